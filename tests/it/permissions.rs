//! Every subset of the five permissions: what may not be seen is not taken for absent, and the
//! condition names the action that is missing.

use serde_json::json;

use crate::bed::{check_all, say};
use crate::site::Site;

/// Operation and action, in the order in which a life first needs them.
const PERMISSIONS: [(&str, &str); 5] = [
    ("ListInstanceRegistries", "swr:instance:listRegistries"),
    ("CreateInstanceRegistry", "swr:instance:createRegistry"),
    ("ShowInstanceRegistry", "swr:instance:getRegistry"),
    ("UpdateInstanceRegistry", "swr:instance:updateRegistry"),
    ("DeleteInstanceRegistry", "swr:instance:deleteRegistry"),
];

/// What an account lacks.
struct Lacks([bool; 5]);

impl Lacks {
    /// The first of these permissions that is missing, by its action.
    fn first_of(&self, needed: &[usize]) -> Option<&'static str> {
        let missing = needed.iter().find(|n| self.0[**n])?;
        Some(PERMISSIONS[*missing].1)
    }
}

#[test]
fn with_any_subset_of_the_permissions_the_missing_one_is_named_and_nothing_is_guessed() {
    let cases: Vec<(String, Lacks)> = (0..32_usize)
        .map(|bits| {
            let lacks = [0, 1, 2, 3, 4].map(|n| bits & (1 << n) != 0);
            (format!("{bits:05b}"), Lacks(lacks))
        })
        .collect();
    // Sixteen operators' worth of tenants at once is what two cores serve in time.
    for (n, half) in cases.chunks(16).enumerate() {
        let half: Vec<(&str, &Lacks)> = half
            .iter()
            .map(|(name, lacks)| (name.as_str(), lacks))
            .collect();
        check_all(&format!("permissions-{n}"), &half, |site, lacks| {
            check(site, lacks);
        });
    }
    say("32 subsets");
}

fn check(site: &Site, lacks: &Lacks) {
    for ((operation, _), _) in PERMISSIONS.iter().zip(lacks.0).filter(|(_, lacks)| *lacks) {
        site.cloud.fault(&json!({
            "match": {"operation": operation}, "phase": "before", "kind": "status", "status": 403,
            "body": {"error_code": "SVCSTG.SWR.4030170", "error_msg": "Insufficient permissions"},
        }));
    }
    let instance = &site.cloud.instances[0];
    site.put_login("it", &site.login());
    site.create(&site.registry("it", "swr-pro"));

    if let Some(action) = lacks.first_of(&[0, 1]) {
        let (_, message) = site.await_state("it", "False Forbidden");
        assert!(
            message.ends_with(&format!("the account needs {action}")),
            "{message}"
        );
        assert_eq!(
            site.cloud.registries(instance),
            Vec::<serde_json::Value>::new()
        );
        let posts = site.cloud.asked(0, "CreateInstanceRegistry").len();
        assert!(
            !lacks.0[0] || posts == 0,
            "what may not be seen was taken for absent"
        );
    } else {
        site.await_ready("it");
        let before = site.cloud.registries(instance);
        site.patch(
            "it",
            &json!({"spec": {"url": "https://changed.example.com"}}),
        );
        if let Some(action) = lacks.first_of(&[2, 3]) {
            let (_, message) = site.await_state("it", "False Forbidden");
            assert!(
                message.ends_with(&format!("the account needs {action}")),
                "{message}"
            );
            assert_eq!(site.cloud.registries(instance), before);
        } else {
            site.await_status("it", "the change to be there", |object| {
                object["status"]["observed"]["url"] == "https://changed.example.com"
            });
        }
    }

    site.delete("it");
    let exists = !site.cloud.registries(instance).is_empty();
    let needed: &[usize] = if exists { &[2, 4] } else { &[0] };
    // Without a look at the instance there was no finalizer, and nothing holds the object.
    let blocker = lacks.first_of(needed).filter(|_| exists);
    if let Some(action) = blocker {
        let (_, message) = site.await_state("it", "False DeletionBlocked");
        assert!(
            message.contains(&format!("the account needs {action}")),
            "{message}"
        );
        site.cloud.clear_faults();
        site.request("it", "granted");
    }
    site.await_gone("it");
    assert_eq!(
        site.cloud.registries(instance),
        Vec::<serde_json::Value>::new()
    );
}
