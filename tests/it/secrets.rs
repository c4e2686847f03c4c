//! The Secret that a registry's credential comes from: what is refused with which words, and what is taken.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::bed::{cases, check_cases, in_parallel, with_site};
use crate::canary::Login;
use crate::manifest::body;
use crate::site::{Site, condition, registry_id, state};

/// From the mended Secret to Ready.
const MENDED: Duration = Duration::from_secs(15);

/// What stands in the Secret, `None` if there is none; a canary is given for use in it.
type Content = fn(&Login) -> Option<Value>;

/// Bytes that no `stringData` can carry.
fn bytes(key: &str, value: &[u8], other: &str, text: &str) -> Value {
    json!({"data": {key: STANDARD.encode(value), other: STANDARD.encode(text)}})
}

fn text(access_key: &str, access_secret: &str) -> Value {
    json!({"stringData": {"accessKey": access_key, "accessSecret": access_secret}})
}

/// Name of the object and of its Secret, content, and what the object says: reason and message.
const UNUSABLE: [(&str, Content, &str, &str); 15] = [
    (
        "missing",
        |_| None,
        "SecretNotFound",
        "Secret \"missing\" does not exist in this namespace",
    ),
    (
        "no-key",
        |login| Some(json!({"stringData": {"accessSecret": login.access_secret}})),
        "SecretNotFound",
        "Secret \"no-key\" has no key \"accessKey\" yet",
    ),
    (
        "no-secret",
        |login| Some(json!({"stringData": {"accessKey": login.access_key}})),
        "SecretNotFound",
        "Secret \"no-secret\" has no key \"accessSecret\" yet",
    ),
    (
        "other-keys",
        |login| {
            Some(json!({"stringData": {"user": login.access_key, "token": login.access_secret}}))
        },
        "SecretNotFound",
        "Secret \"other-keys\" has no keys accessKey and accessSecret, nor username and password, yet",
    ),
    (
        "no-data",
        |_| Some(json!({})),
        "SecretNotFound",
        "Secret \"no-data\" has no keys accessKey and accessSecret, nor username and password, yet",
    ),
    (
        "empty-key",
        |login| Some(text("", &login.access_secret)),
        "InvalidSecret",
        "Secret \"empty-key\": key \"accessKey\" is empty",
    ),
    (
        "empty-secret",
        |login| Some(text(&login.access_key, "")),
        "InvalidSecret",
        "Secret \"empty-secret\": key \"accessSecret\" is empty",
    ),
    (
        "only-a-line-break",
        |login| Some(text(&login.access_key, "\r\n")),
        "InvalidSecret",
        "Secret \"only-a-line-break\": key \"accessSecret\" is empty",
    ),
    (
        "nul",
        |login| {
            Some(text(
                &login.access_key,
                &format!("{}\0", login.access_secret),
            ))
        },
        "InvalidSecret",
        "Secret \"nul\": key \"accessSecret\" contains a control character such as a line break or NUL",
    ),
    (
        "line-break",
        |login| {
            Some(text(
                &format!("{}\r\n{}", login.access_key, login.access_key),
                &login.access_secret,
            ))
        },
        "InvalidSecret",
        "Secret \"line-break\": key \"accessKey\" contains a control character such as a line break or NUL",
    ),
    (
        "two-line-breaks",
        |login| {
            Some(text(
                &login.access_key,
                &format!("{}\n\n", login.access_secret),
            ))
        },
        "InvalidSecret",
        "Secret \"two-line-breaks\": key \"accessSecret\" contains a control character such as a line break or NUL",
    ),
    (
        "byte-order-mark",
        |login| {
            Some(text(
                &login.access_key,
                &format!("\u{FEFF}{}", login.access_secret),
            ))
        },
        "InvalidSecret",
        "Secret \"byte-order-mark\": key \"accessSecret\" begins with a byte order mark",
    ),
    (
        "too-long",
        |login| {
            Some(text(
                &login.access_key,
                &format!("{:x<4097}", login.access_secret),
            ))
        },
        "InvalidSecret",
        "Secret \"too-long\": key \"accessSecret\" is longer than 4096 bytes",
    ),
    (
        "not-utf-8",
        |login| {
            let value = [login.access_secret.as_bytes(), b"\xff\xfe"].concat();
            Some(bytes(
                "accessSecret",
                &value,
                "accessKey",
                &login.access_key,
            ))
        },
        "InvalidSecret",
        "Secret \"not-utf-8\": key \"accessSecret\" is not UTF-8 text",
    ),
    (
        "basic-auth-keys",
        |login| {
            Some(json!({
                "type": "kubernetes.io/basic-auth",
                "stringData": {"username": login.access_key, "accessSecret": login.access_secret},
            }))
        },
        "SecretNotFound",
        "Secret \"basic-auth-keys\" has no key \"password\" yet",
    ),
];

#[test]
fn an_unusable_secret_is_named_with_key_and_rule_and_nothing_is_written_until_it_is_mended() {
    with_site("secrets", |_, site| {
        let mark = site.cloud.mark();
        let mended: Vec<(&str, Login)> = UNUSABLE
            .iter()
            .map(|(name, content, _, _)| {
                let login = site.login();
                if let Some(content) = content(&login) {
                    site.put_secret(name, &content);
                }
                site.create(&site.registry(name, "swr-pro"));
                (*name, login)
            })
            .collect();
        for (name, _, reason, message) in UNUSABLE {
            let (object, said) = site.await_state(name, &format!("False {reason}"));
            assert_eq!(said, message);
            assert_eq!(state(&object, "Synced"), format!("Unknown {reason}"));
            assert_eq!(condition(&object, "Synced")["message"], message);
            let progress = match reason {
                "SecretNotFound" => ("Reconciling", "True ProgressingWithRetry"),
                _ => ("Stalled", "True InvalidSecret"),
            };
            assert_eq!(state(&object, progress.0), progress.1);
            assert_eq!(
                object["metadata"]["finalizers"],
                Value::Null,
                "{name}: nothing to keep"
            );
        }
        assert!(
            site.cloud.requests(mark).is_empty(),
            "SWR is not asked anything"
        );

        let audit = site.cluster.audit();
        for (name, login) in &mended {
            site.put_login(name, login);
        }
        in_parallel(
            &mended
                .iter()
                .map(|(name, login)| (*name, (*name, login)))
                .collect::<Vec<_>>(),
            |(name, login)| {
                let object = site.await_ready_within(MENDED, name);
                assert_eq!(
                    site.held(&object)["credential"],
                    body(&object, login)["credential"]
                );
            },
        );
        assert_eq!(site.cloud.writes(mark).len(), UNUSABLE.len());
        let asked = audit.in_namespace(&site.name);
        assert!(
            asked
                .iter()
                .all(|asked| asked.resource != "secrets" || asked.verb == "get"),
            "{asked:?}"
        );
    });
}

#[test]
fn a_secret_is_read_as_its_type_or_the_object_says() {
    check_cases(
        "logins",
        &cases![
            a_basic_auth_secret_has_username_and_password,
            an_opaque_secret_may_hold_username_and_password,
            named_keys_win_over_the_type,
            one_line_break_at_the_end_is_no_part_of_a_value,
            a_value_of_4096_bytes_and_unicode_are_taken,
            a_secret_that_goes_leaves_the_registry_alone,
            objects_that_share_a_secret_are_all_sent_anew,
            an_immutable_secret_of_a_foreign_type_is_read_and_so_is_its_successor,
        ],
    );
}

/// Creates an object with this Secret and returns the credential that SWR has then.
fn credential(site: &Site, secret: &Value, keys: Option<Value>) -> Value {
    site.put_secret("it", secret);
    let mut object = site.registry("it", "swr-pro");
    if let Some(keys) = keys {
        object["spec"]["credentialSecretRef"]["keys"] = keys;
    }
    site.create(&object);
    let object = site.await_ready("it");
    site.held(&object)["credential"].clone()
}

fn basic(login: &Login) -> Value {
    json!({"type": "basic", "access_key": login.access_key, "access_secret": login.access_secret})
}

fn an_opaque_secret_may_hold_username_and_password(site: &Site) {
    let login = site.login();
    let secret = json!({
        "stringData": {"username": login.access_key, "password": login.access_secret},
    });
    assert_eq!(credential(site, &secret, None), basic(&login));
}

fn a_basic_auth_secret_has_username_and_password(site: &Site) {
    let login = site.login();
    let secret = json!({
        "type": "kubernetes.io/basic-auth",
        "stringData": {"username": login.access_key, "password": login.access_secret},
    });
    assert_eq!(credential(site, &secret, None), basic(&login));
}

fn named_keys_win_over_the_type(site: &Site) {
    let login = site.login();
    let secret = json!({
        "type": "kubernetes.io/basic-auth",
        "stringData": {
            "username": "not this", "password": "nor this",
            "robot.name": login.access_key, "robot.token": login.access_secret,
        },
    });
    let keys = json!({"accessKey": "robot.name", "accessSecret": "robot.token"});
    assert_eq!(credential(site, &secret, Some(keys)), basic(&login));
}

fn one_line_break_at_the_end_is_no_part_of_a_value(site: &Site) {
    let login = site.login();
    let secret = json!({"stringData": {
        "accessKey": format!("{}\n", login.access_key),
        "accessSecret": format!("{}\r\n", login.access_secret),
    }});
    assert_eq!(credential(site, &secret, None), basic(&login));
}

fn a_value_of_4096_bytes_and_unicode_are_taken(site: &Site) {
    let login = site.login();
    let login = Login {
        access_key: format!("{}@机器人 ", login.access_key),
        access_secret: format!("{:x<4096}", login.access_secret),
    };
    let secret = json!({"stringData": {
        "accessKey": login.access_key, "accessSecret": login.access_secret,
    }});
    assert_eq!(credential(site, &secret, None), basic(&login));
}

fn a_secret_that_goes_leaves_the_registry_alone(site: &Site) {
    let before = site.ready("it");
    let held = site.held(&before);
    let mark = site.cloud.mark();
    site.delete_secret("it");
    let (object, message) = site.await_state("it", "False SecretNotFound");
    assert_eq!(message, "Secret \"it\" does not exist in this namespace");
    assert_eq!(registry_id(&object), registry_id(&before));
    assert_eq!(site.held(&object), held);
    site.put_login("it", &site.login());
    site.await_ready_within(MENDED, "it");
    assert_eq!(
        site.cloud.writes(mark),
        [format!("PUT registries/{}", registry_id(&before))]
    );
}

fn objects_that_share_a_secret_are_all_sent_anew(site: &Site) {
    let names = ["one", "two", "three"];
    site.put_login("shared", &site.login());
    for name in names {
        let mut object = site.registry(name, "huawei-SWR");
        object["spec"]["credentialSecretRef"]["name"] = json!("shared");
        site.create(&object);
    }
    let before = names.map(|name| site.await_ready(name));
    let mark = site.cloud.mark();
    let login = site.login();
    site.put_login("shared", &login);
    for object in &before {
        let object = site.await_sent_after(crate::site::name_of(object), object);
        assert_eq!(site.held(&object)["credential"], basic(&login));
    }
    site.cloud.await_lists(&site.cloud.instances[0], 2);
    assert_eq!(site.cloud.writes(mark).len(), 3);
}

fn an_immutable_secret_of_a_foreign_type_is_read_and_so_is_its_successor(site: &Site) {
    let secret = |login: &Login| {
        json!({
            "type": "example.com/robot", "immutable": true,
            "stringData": {"accessKey": login.access_key, "accessSecret": login.access_secret},
        })
    };
    let login = site.login();
    assert_eq!(credential(site, &secret(&login), None), basic(&login));
    let before = site.object("it");
    let path = format!("/api/v1/namespaces/{}/secrets/it", site.name);
    let edit = json!({"stringData": {"accessSecret": "edited"}});
    let refused = site.cluster.patch(&path, &edit);
    assert_eq!(refused.expect_err("it is immutable").code, 422);
    // Deleted and made anew, which is how such a Secret is rotated.
    let login = site.login();
    site.put_secret("it", &secret(&login));
    let after = site.await_sent_after("it", &before);
    assert_eq!(site.held(&after)["credential"], basic(&login));
}
