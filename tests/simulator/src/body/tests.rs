//! What a body may be and what is stored of it.

use serde_json::json;

use super::*;

fn chosen(switches: &[&str]) -> Switches {
    let mut chosen = Switches::default();
    for pair in switches {
        chosen.set_pair(pair).unwrap();
    }
    chosen
}

fn harbor() -> Value {
    json!({
        "name": "a",
        "type": "swr-pro",
        "url": "https://harbor.example.com",
        "credential": {"type": "basic", "access_key": "robot", "access_secret": "p@ss"},
        "insecure": false,
    })
}

fn enterprise() -> Value {
    json!({
        "name": "a",
        "type": "swr-pro-internal",
        "project_id": "p",
        "region_id": "r",
        "instance_id": "i",
        "url": "https://target.example.com",
        "credential": {"type": "basic", "access_key": "user", "access_secret": "p@ss"},
        "insecure": true,
    })
}

/// A body with the value at a JSON pointer set or, when it is `None`, taken out.
fn but(mut body: Value, pointer: &str, value: Option<Value>) -> Value {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(field.to_owned(), value),
        None => parent.remove(field),
    };
    body
}

fn settled(switches: &[&str], body: &Value) -> Result<Draft, String> {
    let switches = chosen(switches);
    let mut draft = Draft::parse(body.to_string().as_bytes(), &switches)?;
    draft.settle(&switches)?;
    Ok(draft)
}

fn check_refused(switches: &[&str], body: &Value, complaint: &str) {
    assert_eq!(
        settled(switches, body).err().as_deref(),
        Some(complaint),
        "{switches:?} {body}"
    );
}

fn check_accepted(switches: &[&str], body: &Value) {
    assert_eq!(settled(switches, body).err(), None, "{switches:?} {body}");
}

#[test]
fn every_required_field_is_required_and_has_its_type() {
    let check = |pointer: &str, name: &str, form: &str| {
        check_refused(
            &[],
            &but(harbor(), pointer, None),
            &format!("{name} is required"),
        );
        check_refused(
            &[],
            &but(harbor(), pointer, Some(Value::Null)),
            &format!("{name} is required"),
        );
        check_refused(
            &[],
            &but(harbor(), pointer, Some(json!(7))),
            &format!("{name} must be {form}"),
        );
    };
    check("/name", "name", "a string");
    check("/type", "type", "a string");
    check("/url", "url", "a string");
    check("/insecure", "insecure", "a boolean");
    check("/credential", "credential", "an object");
    check("/credential/type", "type", "a string");
    check("/credential/access_key", "access_key", "a string");
    check("/credential/access_secret", "access_secret", "a string");
}

#[test]
fn a_body_that_is_no_object_is_refused() {
    check_refused(&[], &json!([]), "the body is not a JSON object");
    let complaint = Draft::parse(b"{", &Switches::default()).err();
    assert_eq!(complaint.as_deref(), Some("the body is not JSON"));
}

#[test]
fn null_and_unknown_fields_follow_their_switches() {
    let null = but(harbor(), "/dns_conf", Some(Value::Null));
    check_accepted(&[], &null);
    check_refused(&["null_fields=refused"], &null, "dns_conf must not be null");
    for pointer in ["/colour", "/credential/colour"] {
        let unknown = but(harbor(), pointer, Some(json!("red")));
        check_accepted(&[], &unknown);
        check_refused(
            &["unknown_fields=refused"],
            &unknown,
            "unknown field colour",
        );
    }
}

#[test]
fn types_and_credentials_are_of_the_documented_kinds() {
    let kind = but(harbor(), "/type", Some(json!("SWR-PRO")));
    check_refused(
        &[],
        &kind,
        "type must be swr-pro, swr-pro-internal or huawei-SWR",
    );
    let token = but(harbor(), "/credential/type", Some(json!("token")));
    check_refused(&[], &token, "credential.type must be basic");
}

#[test]
fn enterprise_targets_name_project_region_and_instance() {
    for name in ["project_id", "region_id", "instance_id"] {
        for value in [None, Some(json!("")), Some(Value::Null)] {
            let body = but(enterprise(), &format!("/{name}"), value);
            let complaint = format!("{name} is required when type is swr-pro-internal");
            check_refused(&[], &body, &complaint);
            check_accepted(&["enforce_internal_ids=off"], &body);
        }
    }
}

#[test]
fn enterprise_targets_are_insecure() {
    let body = but(enterprise(), "/insecure", Some(json!(false)));
    check_refused(
        &[],
        &body,
        "insecure must be true when type is swr-pro-internal",
    );
    let insecure = |switch| settled(&[switch], &body).map(|draft| draft.insecure);
    assert_eq!(insecure("insecure_false_internal=accepted"), Ok(false));
    assert_eq!(insecure("insecure_false_internal=coerced"), Ok(true));
}

#[test]
fn dns_conf_follows_type_and_switches() {
    let conf = Some(json!({"hosts": {"a.example.com": "192.0.2.1"}}));
    let hosts = BTreeMap::from([("a.example.com".to_owned(), "192.0.2.1".to_owned())]);
    let check = |switches: &[&str],
                 body: Value,
                 stored: Result<Option<BTreeMap<String, String>>, String>| {
        assert_eq!(
            settled(switches, &body).map(|draft| draft.dns_hosts),
            stored,
            "{switches:?}"
        );
    };
    check(
        &[],
        but(harbor(), "/dns_conf", conf.clone()),
        Ok(Some(hosts.clone())),
    );
    check(
        &[],
        but(harbor(), "/dns_conf", Some(json!({}))),
        Ok(Some(BTreeMap::new())),
    );
    check(&[], harbor(), Ok(None));
    let missing = "dns_conf is required when type is swr-pro".to_owned();
    check(&["missing_dns_conf=refused"], harbor(), Err(missing));
    let foreign = but(enterprise(), "/dns_conf", conf);
    check(&[], foreign.clone(), Ok(None));
    let refusal = "dns_conf is only for type swr-pro".to_owned();
    check(&["foreign_dns_conf=refused"], foreign.clone(), Err(refusal));
    check(&["foreign_dns_conf=stored"], foreign, Ok(Some(hosts)));
    let list = but(
        harbor(),
        "/dns_conf",
        Some(json!({"hosts": [{"host": "a", "ip": "b"}]})),
    );
    check(&[], list, Err("hosts must be an object".to_owned()));
    let number = but(harbor(), "/dns_conf", Some(json!({"hosts": {"a": 1}})));
    check(
        &[],
        number,
        Err("dns_conf.hosts.a must be a string".to_owned()),
    );
}

#[test]
fn names_follow_the_rule_that_is_switched_on() {
    let check = |rule: &str, name: &str, allowed: bool| {
        let body = but(harbor(), "/name", Some(json!(name)));
        let switch = format!("name_rule={rule}");
        if allowed {
            check_accepted(&[&switch], &body);
        } else {
            let complaint = "name must be 1 to 64 letters, digits, underscores or hyphens";
            check_refused(&[&switch], &body, complaint);
        }
    };
    for rule in ["han", "ascii", "han_bytes"] {
        check(rule, "Harbor_1-dr", true);
        check(rule, "", false);
        check(rule, "a b", false);
        check(rule, "a.b", false);
        check(rule, "é", false);
        check(rule, &"a".repeat(64), true);
        check(rule, &"a".repeat(65), false);
    }
    check("han", &"镜".repeat(64), true);
    check("ascii", "镜", false);
    check("han_bytes", &"镜".repeat(21), true);
    check("han_bytes", &"镜".repeat(22), false);
}

#[test]
fn urls_follow_the_rule_that_is_switched_on() {
    let check = |rule: &str, url: &str, stored: Result<&str, &str>| {
        let body = but(harbor(), "/url", Some(json!(url)));
        let seen = settled(&[&format!("url_rule={rule}")], &body).map(|draft| draft.url);
        assert_eq!(
            seen.as_deref().map_err(String::as_str),
            stored,
            "{rule} {url}"
        );
    };
    check(
        "trim_slash",
        "https://Host.example.com:8443/a//",
        Ok("https://Host.example.com:8443/a"),
    );
    check(
        "trim_slash",
        " host.example.com ",
        Ok("http://host.example.com"),
    );
    check("trim_slash", "HTTPS://host?x=1#y", Ok("https://host"));
    check("trim_slash", "ftp://host", Err("url is invalid"));
    check("trim_slash", "https:///", Err("url is invalid"));
    check("trim_slash", "", Err("url is invalid"));
    check("as_sent", "https://host/ ", Ok("https://host/ "));
    check("as_sent", "", Err("url is invalid"));
    check("scheme_required", "https://host/", Ok("https://host"));
    check("scheme_required", "host", Err("url must have a scheme"));
    check("lower_host", "https://HOST/Path/", Ok("https://host/Path"));
}

#[test]
fn descriptions_follow_their_switches() {
    let check = |switches: &[&str], description: &str, stored: Result<&str, &str>| {
        let body = but(harbor(), "/description", Some(json!(description)));
        let seen = settled(switches, &body).map(|draft| draft.description.unwrap());
        assert_eq!(
            seen.as_deref().map_err(String::as_str),
            stored,
            "{switches:?}"
        );
    };
    let long = "镜".repeat(256);
    let cut = "镜".repeat(255);
    check(&[], &long, Ok(&long));
    check(&["description_limit=truncated"], &long, Ok(&cut));
    check(&["description_limit=truncated"], &cut, Ok(&cut));
    check(&["description_limit=refused"], &cut, Ok(&cut));
    check(
        &["description_limit=refused"],
        &long,
        Err("description must be at most 255 characters"),
    );
    check(&[], "a\nb ", Ok("a\nb "));
    check(&["description_newlines=space"], "a\nb ", Ok("a b "));
    check(&["description_blanks=trimmed"], "a\nb \n ", Ok("a\nb"));
    check(&[], "a [b]", Ok("a [b]"));
    let complaint = "description contains characters that are not allowed";
    check(&["description_brackets=refused"], "a [b]", Err(complaint));
}
