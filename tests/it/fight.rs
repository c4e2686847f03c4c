//! Somebody else takes the tag off again and again, as a colleague or Terraform would: putting it back is a correction
//! like any other, and ends like any other.

use serde_json::json;

use crate::bed::with_site;
use crate::site::{registry_id, state};

#[test]
fn who_takes_the_tag_off_again_and_again_is_fought_three_times() {
    with_site("fight", |bed, site| {
        let instance = &site.cloud.instances[0];
        let mut object = site.registry("it", "swr-pro");
        object["spec"]["adoption"] = json!({"policy": "IfUnowned"});
        let (object, _) = site.ready_with(object);
        let id = registry_id(&object);
        let mark = site.cloud.mark();
        let take_off = || {
            site.cloud
                .console_edit(instance, id, "/description", json!("desc"));
        };
        for n in 1..=3 {
            let before = site.object("it");
            take_off();
            site.await_writes(mark, n);
            site.await_sent_after("it", &before);
        }
        for _ in 4..=8 {
            take_off();
            site.cloud.await_lists(instance, 1);
        }
        let (object, _) = site.await_state("it", "False Fighting");
        assert_eq!(state(&object, "Stalled"), "True Fighting");
        site.cloud.await_lists(instance, 3);
        let puts = vec![format!("PUT registries/{id}"); 3];
        assert_eq!(site.cloud.writes(mark), puts);
        let labels = [site.name.as_str(), "it"];
        bed.await_series("swr_drift_corrected_total", &labels, "3");
        let detected = bed.series("swr_drift_detected_total", &labels);
        let detected: u32 = detected.expect("a series").parse().expect("a number");
        assert!(detected >= 3, "{detected}");
    });
}
