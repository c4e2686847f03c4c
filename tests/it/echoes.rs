//! A credential that occurs in SWR's own words, or that SWR repeats in its refusal: the refusal is understood all the
//! same, and the log keeps nothing from which the credential can be read.

use serde_json::{Value, json};

use crate::bed::check_all;
use crate::canary::{Canary, Login};
use crate::manifest::{body, split_tag};
use crate::site::Site;

/// User name and password that SWR repeats. Without them the site has a login of its own, which nothing repeats: what that
/// leads to, the others must lead to as well.
const LOGINS: [(&str, [&str; 2]); 6] = [
    ("harmless", ["", ""]),
    ("one", ["p", "p"]),
    ("two", ["ta", "ta"]),
    ("three", ["quo", "req"]),
    ("quote", ["a\"b", "c\"d"]),
    ("backslash", ["a\\b", "c\\d\\"]),
];

/// Status and words of a refusal, and what `Ready` says of it.
const REFUSALS: [(&str, u16, &str, &str, &str); 5] = [
    (
        "quota",
        403,
        "quota exceeded: type huawei-SWR takes part",
        "False QuotaExceeded",
        "cannot create the registry: the instance's quota of registries is used up",
    ),
    (
        "rule",
        400,
        "bad request: type and data do not keep the rules",
        "False InvalidSpec",
        "cannot create the registry: SWR refuses the request as invalid",
    ),
    (
        "names",
        422,
        "dns_conf: the type takes part in no data of the request",
        "False InvalidSpec",
        "cannot create the registry: SWR refuses spec.dnsConf, or requires it",
    ),
    (
        "target",
        400,
        "the target's status is unhealthy: requested type huawei-SWR",
        "False TargetUnhealthy",
        "cannot create the registry: SWR could not connect to the target with this url and credential",
    ),
    (
        "right",
        403,
        "not permitted: the request takes a role of type data",
        "False Forbidden",
        "cannot create the registry: the account lacks the permission",
    ),
];

#[test]
fn a_credential_in_the_words_of_a_refusal_changes_nothing_and_stays_hidden() {
    check_all("echoes", &LOGINS, check);
}

fn check(site: &Site, [user, password]: &[&str; 2]) {
    let instance = &site.cloud.instances[0];
    let repeated = (!user.is_empty()).then(|| Login {
        access_key: (*user).to_owned(),
        access_secret: (*password).to_owned(),
    });
    let login = repeated.clone().unwrap_or_else(|| site.login());
    site.put_login("shared", &login);
    for (name, status, words, wanted, said) in REFUSALS {
        // By this the log is searched for both ends of the message.
        let mark = Canary::hatch().key();
        let echo = repeated.as_ref().map_or(
            Value::Null,
            |login| json!({"access_key": login.access_key, "access_secret": login.access_secret}),
        );
        let answer = json!({
            "error_code": "SVCSTG.SWR.4000000",
            "error_msg": format!("{mark} {words} {echo} {mark}"),
        });
        site.cloud.fault(&json!({
            "match": {"operation": "CreateInstanceRegistry", "instance": instance},
            "kind": "status", "status": status, "body": answer,
        }));
        let mut object = site.registry(name, "huawei-SWR");
        object["spec"]["credentialSecretRef"]["name"] = json!("shared");
        site.create(&object);
        let (_, message) = site.await_state(name, wanted);
        assert!(message.starts_with(said), "{message}");
        site.cloud.clear_faults();

        let log = site.log();
        let is_told = log.contains(&mark);
        assert_eq!(is_told, repeated.is_none(), "{name}: {mark} in\n{log}");
        site.request(name, "mended");
        let object = site.await_ready(name);
        let mut held = site.held(&object);
        split_tag(&mut held);
        for (field, value) in body(&object, &login).as_object().into_iter().flatten() {
            assert_eq!(held[field], *value, "{name}: {field}");
        }
    }
}
