//! A status that no operator of ours wrote: restored, edited, made to do harm. It costs its own object at most T_settle,
//! and nobody else anything.

use serde_json::{Value, json};

use crate::bed::with_site;
use crate::manifest::STRANGERS_TAG;
use crate::site::{Site, registry_id, state};

/// The first is the last moment but two that jiff can hold: T_settle after it is none.
const CENTURIES: [&str; 3] = [
    "9999-12-30T21:59:58Z",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z",
];

/// Names of objects and what is patched into their status.
fn crafts() -> Vec<(String, Value)> {
    let mut crafts = Vec::new();
    let mut craft = |name: String, status: Value| crafts.push((name, status));
    for (n, time) in CENTURIES.iter().enumerate() {
        let intent = json!({"attempt": 1, "startedAt": time});
        // Its registry goes as well, so that only the intent says what is to be done.
        craft(
            format!("gone-{n}"),
            json!({"createIntent": intent, "registryId": null, "createdAt": null}),
        );
        craft(format!("intent-{n}"), json!({"createIntent": intent}));
        craft(
            format!("lost-{n}"),
            json!({"createIntent": intent, "registryId": null, "createdAt": null}),
        );
        craft(format!("created-{n}"), json!({"createdAt": time}));
        craft(format!("sent-{n}"), json!({"credential": {"sentAt": time}}));
        craft(format!("due-{n}"), json!({"credential": {"sentAt": time}}));
    }
    for (n, attempt) in [i64::MAX, i64::MIN].into_iter().enumerate() {
        let intent = json!({"attempt": attempt, "startedAt": CENTURIES[n]});
        craft(
            format!("attempt-{n}"),
            json!({"createIntent": intent, "registryId": null, "createdAt": null}),
        );
    }
    crafts
}

#[test]
fn a_crafted_status_ends_no_process_and_holds_up_nobody() {
    with_site("crafted", |bed, site| {
        let crafts = crafts();
        let ids: Vec<i64> = crafts
            .iter()
            .map(|(name, _)| {
                let mut object = site.registry(name, "huawei-SWR");
                if name.starts_with("due-") {
                    object["spec"]["resendCredentialEvery"] = json!("1h");
                }
                registry_id(&site.ready_with(object).0)
            })
            .collect();
        let other = site.ready("other");

        // Under the eyes of a process, and before it looks for the first time.
        let patch_all = || {
            for (name, status) in &crafts {
                if name.starts_with("gone-") {
                    let id = registry_id(&site.object(name));
                    site.cloud.console_delete(&site.cloud.instances[0], id);
                }
                site.patch_status(name, status);
            }
        };
        patch_all();
        // A change of the status alone wakes nobody up.
        for (name, _) in &crafts {
            site.request(name, "crafted");
        }
        site.cloud.await_lists(&site.cloud.instances[0], 2);
        bed.assert_operator_lives();
        mended(site, &crafts, &ids);
        bed.terminate();
        patch_all();
        bed.start_operator();
        site.patch("other", &json!({"spec": {"description": "goes on"}}));
        site.await_sent_after("other", &other);
        mended(site, &crafts, &ids);
        bed.assert_operator_lives();

        // And an end in order.
        for (name, status) in &crafts {
            site.patch_status(name, status);
            site.patch(name, &json!({"spec": {"deletionPolicy": "Orphan"}}));
            site.delete(name);
        }
        for (name, _) in &crafts {
            site.await_gone(name);
        }
        bed.assert_operator_lives();
    });
}

/// Everything is Ready with the registry that it had, or with a new one where it was gone.
fn mended(site: &Site, crafts: &[(String, Value)], ids: &[i64]) {
    for ((name, _), id) in crafts.iter().zip(ids) {
        // An intent beside an id means nothing, so it may stand.
        site.await_status(name, "Ready with its registry", |object| {
            let found = &object["status"]["registryId"];
            let is_right = if name.starts_with("gone-") {
                found.is_i64() && *found != *id
            } else {
                *found == *id
            };
            state(object, "Ready") == "True Available" && is_right
        });
    }
    let held = site.cloud.registries(&site.cloud.instances[0]);
    assert_eq!(held.len(), crafts.len() + 1, "{held:#?}");
}

#[test]
fn an_id_in_the_status_opens_no_registry_but_ones_own() {
    with_site("planted", |_, site| {
        let instance = &site.cloud.instances[0];
        let by_hand = site.foreign("by-hand", "nobody's");
        let strangers = site.foreign("strangers", &format!("theirs {STRANGERS_TAG}"));
        let other = site.ready("other");
        let of_other = (registry_id(&other), site.held(&other));
        let theirs = [by_hand, strangers, of_other];
        for (n, (id, _)) in theirs.iter().enumerate() {
            let name = format!("planted-{n}");
            site.ready(&name);
            let mark = site.cloud.mark();
            site.patch_status(&name, &json!({"registryId": id}));
            // What would be an update, a credential to be sent, and a deletion.
            site.patch(
                &name,
                &json!({"spec": {"url": "https://planted.example.com"}}),
            );
            site.await_state(&name, "False OwnershipLost");
            site.put_login(&name, &site.login());
            site.request(&name, "planted");
            site.cloud.await_lists(instance, 2);
            site.await_state(&name, "False OwnershipLost");
            site.delete(&name);
            site.await_gone(&name);
            let writes = site.cloud.writes(mark);
            let is_theirs = |write: &String| {
                theirs
                    .iter()
                    .any(|(id, _)| write.ends_with(&format!("/{id}")))
            };
            assert!(!writes.iter().any(is_theirs), "{writes:?}");
            for (id, before) in &theirs {
                site.assert_untouched(*id, before);
            }
        }
    });
}
