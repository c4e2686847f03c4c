//! Somebody else's registry that does not fit into an answer.

use serde_json::json;

use crate::bed::with_site;
use crate::site::registry_id;

/// The limit of the operator for a body is 4 MiB.
const GIANT_BYTES: usize = 4 * 1024 * 1024 + 1;

#[test]
fn one_giant_record_hides_no_other() {
    with_site("giant", |_, site| {
        let instance = &site.cloud.instances[0];
        let first = site.ready("first");
        let giant = json!({
            "name": "giant", "type": "swr-pro", "url": "https://giant.example.com",
            "insecure": true, "description": "x".repeat(GIANT_BYTES),
            "credential": {"type": "basic", "access_key": "a", "access_secret": "b"},
        });
        site.cloud.console_create(instance, &giant);
        for name in ["second", "third"] {
            site.put_login(name, &site.login());
            site.create(&site.registry(name, "swr-pro"));
        }
        for name in ["second", "third"] {
            site.await_ready(name);
        }

        let held = site.held(&first);
        site.cloud.console_edit(
            instance,
            registry_id(&first),
            "/url",
            json!("https://elsewhere.example.com"),
        );
        site.await_sent_after("first", &first);
        assert_eq!(site.held(&first)["url"], held["url"]);
        assert_eq!(site.cloud.registries(instance).len(), 4);
        let log = site.log();
        assert!(log.contains("sort the instance's registries by creation"));
    });
}
