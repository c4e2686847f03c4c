//! A registry is created, changed field by field, and deleted, for each type of target.

use serde_json::{Value, json};
use swr_simulator::journal::Entry;

use crate::bed::check_all;
use crate::canary::Login;
use crate::manifest::{body, split_tag, uid_in_tag};
use crate::site::{Site, name_of, registry_id};

/// What a user changes, and where it shows. One object each, so that all are changed at once.
#[derive(Clone, Copy, Debug)]
enum Edit {
    /// Name of the object, and a merge patch of its spec.
    Spec(&'static str, fn() -> Value),
    AccessKey,
    AccessSecret,
    /// The reference points to another Secret.
    SecretRef,
}

const COMMON: [Edit; 6] = [
    Edit::Spec("name", || json!({"name": "改名-2"})),
    Edit::Spec("url", || json!({"url": "http://other.example.com:8443/v2"})),
    Edit::Spec(
        "description",
        || json!({"description": "第二版 \"quoted\" \\ <b>"}),
    ),
    Edit::AccessKey,
    Edit::AccessSecret,
    Edit::SecretRef,
];

fn edits(kind: &str) -> Vec<Edit> {
    let own: &[Edit] = match kind {
        "swr-pro" => &[
            Edit::Spec("insecure", || json!({"insecure": false})),
            Edit::Spec("no-description", || json!({"description": null})),
        ],
        "swr-pro-internal" => &[
            Edit::Spec(
                "region",
                || json!({"target": {"regionId": "another-region"}}),
            ),
            Edit::Spec(
                "instance",
                || json!({"target": {"instanceId": "another-instance"}}),
            ),
        ],
        _ => &[Edit::Spec("insecure", || json!({"insecure": false}))],
    };
    [&COMMON[..], own].concat()
}

/// What SWR shows when it is asked for one registry, but not in a list.
fn edits_that_a_list_does_not_show(kind: &str) -> Vec<Edit> {
    match kind {
        "swr-pro" => vec![
            Edit::Spec(
                "hosts",
                || json!({"dnsConf": {"hosts": {"a.example.com": "198.51.100.7", "b.example.com": "2001:db8::7"}}}),
            ),
            Edit::Spec("no-hosts", || json!({"dnsConf": null})),
        ],
        "swr-pro-internal" => vec![Edit::Spec(
            "project",
            || json!({"target": {"projectId": "another-project"}}),
        )],
        _ => Vec::new(),
    }
}

impl Edit {
    fn object(self) -> &'static str {
        match self {
            Self::Spec(name, _) => name,
            Self::AccessKey => "access-key",
            Self::AccessSecret => "access-secret",
            Self::SecretRef => "secret-ref",
        }
    }

    /// Makes the change; the login that must be sent then.
    fn make(self, site: &Site, login: &Login) -> Login {
        let object = self.object();
        match self {
            Self::Spec(_, spec) => {
                site.patch(object, &json!({"spec": spec()}));
                login.clone()
            }
            Self::AccessKey => {
                let login = Login {
                    access_key: site.login().access_key,
                    ..login.clone()
                };
                site.put_login(object, &login);
                login
            }
            Self::AccessSecret => {
                let login = Login {
                    access_secret: site.login().access_secret,
                    ..login.clone()
                };
                site.put_login(object, &login);
                login
            }
            Self::SecretRef => {
                let login = site.login();
                site.put_login("another-secret", &login);
                let name = json!({"credentialSecretRef": {"name": "another-secret"}});
                site.patch(object, &json!({"spec": name}));
                login
            }
        }
    }
}

/// The body of a write, with `[tag]` in place of the tag, which must be that of the object.
fn sent(entry: &Entry, object: &Value) -> Value {
    let mut sent: Value = serde_json::from_str(&entry.request_body).expect("a JSON body");
    let tag = split_tag(&mut sent);
    let uid = object["metadata"]["uid"].as_str().expect("a uid");
    assert_eq!(tag.uid, uid_in_tag(uid), "{}", name_of(object));
    sent
}

fn bodies(site: &Site, mark: u64, method: &str, object: &Value) -> Vec<Value> {
    let uid = uid_in_tag(object["metadata"]["uid"].as_str().expect("a uid"));
    let entries = site.cloud.requests(mark);
    entries
        .iter()
        .filter(|entry| entry.method == method && entry.request_body.contains(&uid))
        .map(|entry| sent(entry, object))
        .collect()
}

#[test]
fn each_type_is_created_changed_field_by_field_and_deleted_with_one_request_each() {
    let cases = [
        ("harbor", "swr-pro"),
        ("enterprise", "swr-pro-internal"),
        ("basic", "huawei-SWR"),
    ];
    check_all("lifecycle", &cases, |site, kind| {
        check(site, kind, &edits(kind));
    });
}

#[test]
fn a_changed_field_that_swr_does_not_list_is_sent_all_the_same() {
    let cases = [("harbor", "swr-pro"), ("enterprise", "swr-pro-internal")];
    check_all("unlisted", &cases, |site, kind| {
        check(site, kind, &edits_that_a_list_does_not_show(kind));
    });
}

fn check(site: &Site, kind: &str, edits: &[Edit]) {
    let instance = &site.cloud.instances[0];

    let before = site.cloud.mark();
    let mut logins = Vec::new();
    for edit in edits {
        let login = site.login();
        let object = site.registry(edit.object(), kind);
        site.put_login(edit.object(), &login);
        site.create(&object);
        logins.push(login);
    }
    let mut created = Vec::new();
    for (edit, login) in edits.iter().zip(&logins) {
        let object = site.await_ready(edit.object());
        assert_eq!(
            bodies(site, before, "POST", &object),
            [body(&object, login)],
            "what was sent to create {edit:?}"
        );
        let mut held = site.held(&object);
        split_tag(&mut held);
        assert_eq!(held["name"], object["spec"]["name"]);
        assert_eq!(
            held["credential"]["access_secret"],
            login.access_secret.as_str()
        );
        created.push(object);
    }
    // The line of a write may come a moment after what it wrote.
    site.cloud.await_lists(instance, 1);
    let creation = site.audit.clone();
    for edit in edits {
        let writes: Vec<String> = site
            .kubernetes_writes(&creation)
            .iter()
            .filter(|asked| asked.name == edit.object())
            .map(ToString::to_string)
            .collect();
        assert_eq!(writes.len(), 3, "finalizer, intent, result: {writes:#?}");
    }

    let changes = site.cluster.audit();
    let changed = site.cloud.mark();
    let logins: Vec<Login> = edits
        .iter()
        .zip(&logins)
        .map(|(edit, login)| edit.make(site, login))
        .collect();
    for ((edit, login), before) in edits.iter().zip(&logins).zip(&created) {
        let object = site.await_sent_after(edit.object(), before);
        assert_eq!(
            bodies(site, changed, "PUT", &object),
            [body(&object, login)],
            "what was sent to change {edit:?}"
        );
    }
    // A status for each, and nothing after it.
    let mark = site.cloud.mark();
    let rest = site.cluster.audit();
    site.assert_rests(mark, &rest);
    assert_eq!(site.cloud.writes(changed).len(), edits.len());
    for edit in edits {
        let writes: Vec<String> = site
            .kubernetes_writes(&changes)
            .iter()
            .filter(|asked| asked.name == edit.object())
            .map(ToString::to_string)
            .collect();
        assert_eq!(writes.len(), 1, "{edit:?}: {writes:#?}");
    }

    let deleted = site.cloud.mark();
    let objects = site.objects();
    site.allow_deletions();
    for object in &objects {
        site.delete(name_of(object));
    }
    for object in &objects {
        site.await_gone(name_of(object));
    }
    assert_eq!(site.cloud.registries(instance), Vec::<Value>::new());
    let mut writes = site.cloud.writes(deleted);
    writes.sort();
    let mut expected: Vec<String> = objects
        .iter()
        .map(|object| format!("DELETE registries/{}", registry_id(object)))
        .collect();
    expected.sort();
    assert_eq!(writes, expected);
}
