//! `--read-only`: an incident, or a first roll-out. Everything is compared and reported, and SWR is not written.

use serde_json::{Value, json};

use crate::bed::{Bed, with_site};
use crate::site::{Site, condition, registry_id};

#[test]
fn an_installation_that_only_reads_reports_and_writes_nothing() {
    with_site("readonly", |bed, site| {
        // What is there from better days.
        for name in ["equal", "edited", "drifted", "gone", "going", "orphan"] {
            site.ready(name);
        }
        let (theirs, before) = site.foreign("adopted", "theirs");
        bed.terminate();
        bed.start_operator_with(&["--read-only"]);
        let mark = site.cloud.mark();
        what_differs_is_reported(bed, site);
        assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
        site.assert_untouched(theirs, &before);

        // And everything is made good when the incident is over.
        bed.terminate();
        bed.start_operator();
        for name in ["equal", "edited", "drifted", "gone", "new", "adopted"] {
            let object = site.await_ready(name);
            assert_eq!(object["status"]["diff"], Value::Null, "{name}");
        }
        for name in ["going", "orphan"] {
            site.await_gone(name);
        }
        let names = [
            "equal", "edited", "drifted", "gone", "new", "adopted", "orphan",
        ];
        let held = site.cloud.registries(&site.cloud.instances[0]);
        assert_eq!(held.len(), names.len(), "{held:#?}");
    });
}

fn what_differs_is_reported(bed: &Bed, site: &Site) {
    let instance = &site.cloud.instances[0];
    let id_of = |name: &str| registry_id(&site.object(name));
    site.patch(
        "edited",
        &json!({"spec": {"url": "https://edited.example.com", "description": "edited"}}),
    );
    site.cloud
        .console_edit(instance, id_of("drifted"), "/insecure", json!(false));
    site.cloud.console_delete(instance, id_of("gone"));
    site.put_login("new", &site.login());
    site.create(&site.registry("new", "swr-pro"));
    site.put_login("adopted", &site.login());
    let mut adopted = site.registry("adopted", "swr-pro");
    adopted["spec"]["name"] = json!("adopted");
    adopted["spec"]["adoption"] = json!({"policy": "IfUnowned"});
    site.create(&adopted);
    site.patch("orphan", &json!({"spec": {"deletionPolicy": "Orphan"}}));
    site.delete("going");
    site.delete("orphan");

    let would = "the operator runs with --read-only; it would";
    for (name, message) in [
        ("edited", format!("{would} update: url, description")),
        ("drifted", format!("{would} update: insecure")),
        ("gone", format!("{would} create the registry")),
        ("new", format!("{would} create the registry")),
        ("adopted", format!("{would} adopt the registry")),
        (
            "going",
            "the operator runs with --read-only, which holds the deletion".to_owned(),
        ),
        (
            "orphan",
            "the operator runs with --read-only, which holds the deletion".to_owned(),
        ),
    ] {
        let object = site.await_saying(name, "False ReadOnly", &message);
        for absent in ["Reconciling", "Stalled"] {
            assert_eq!(*condition(&object, absent), Value::Null, "{name}");
        }
    }
    let object = site.object("edited");
    assert_eq!(
        object["status"]["diff"][0],
        json!({
            "field": "url",
            "desired": "https://edited.example.com",
            "observed": site.cloud.registry(instance, id_of("edited")).expect("there")["url"],
        })
    );
    assert_eq!(site.object("new")["metadata"]["finalizers"], Value::Null);
    site.await_ready("equal");
    assert!(bed.scrape().contains("\nswr_read_only 1\n"));
}
