//! The control surface as a test sees it, without sockets.

use super::*;
use crate::Options;

const INSTANCE: &str = "1d7a1e6c-9f0b-4c1e-8a2f-3b5d7e9c0a11";

fn simulator() -> Simulator {
    Simulator::new(Options::default(), now())
}

fn now() -> Timestamp {
    "2026-01-31T09:30:00Z".parse().unwrap()
}

fn send(simulator: &mut Simulator, method: &str, target: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let request = Request::new(method, &format!("{PREFIX}{target}"), body);
    let reply = handle(simulator, &request, now());
    (reply.status, reply.value())
}

/// The answers of one simulator to requests in turn.
fn check(requests: &[(&str, &str, Value)], answers: &[(u16, Value)]) {
    let mut simulator = simulator();
    let seen: Vec<_> = requests
        .iter()
        .map(|(method, target, body)| send(&mut simulator, method, target, body))
        .collect();
    assert_eq!(seen, answers);
}

fn done() -> (u16, Value) {
    (200, json!({}))
}

fn error(status: u16, message: &str) -> (u16, Value) {
    (status, json!({"error": message}))
}

fn registry(name: &str) -> Value {
    json!({
        "name": name,
        "description": "",
        "type": "huawei-SWR",
        "url": "https://swr.example.com",
        "credential": {"type": "basic", "access_key": "AK", "access_secret": "login"},
        "insecure": true,
    })
}

fn truth(id: i64, name: &str, status: &Value) -> Value {
    json!({
        "id": id,
        "name": name,
        "description": "",
        "type": "huawei-SWR",
        "project_id": null,
        "region_id": null,
        "instance_id": null,
        "url": "https://swr.example.com",
        "credential": {"type": "basic", "access_key": "AK", "access_secret": "login"},
        "dns_conf": null,
        "insecure": true,
        "status": status,
        "created_at": "2026-01-31T09:30:00.000Z",
        "updated_at": "2026-01-31T09:30:00.000Z",
    })
}

#[test]
fn the_console_shows_the_truth_and_edits_it() {
    let all = format!("registries?instance={INSTANCE}");
    let one = format!("registries/1?instance={INSTANCE}");
    let status = format!("registries/1/status?instance={INSTANCE}");
    check(
        &[
            ("POST", &all, registry("a")),
            ("POST", &all, registry("a")),
            ("PUT", &one, registry("not a name of the API")),
            ("PUT", &status, json!({"status": "unhealthy"})),
            ("GET", &all, Value::Null),
            ("PUT", &status, json!({"status": null})),
            (
                "DELETE",
                &format!("registries/2?instance={INSTANCE}"),
                Value::Null,
            ),
            ("GET", &all, Value::Null),
        ],
        &[
            (201, json!({"id": 1})),
            (201, json!({"id": 2})),
            done(),
            done(),
            (
                200,
                json!({"registries": [
                    truth(1, "not a name of the API", &json!("unhealthy")),
                    truth(2, "a", &json!("healthy")),
                ]}),
            ),
            done(),
            done(),
            (
                200,
                json!({"registries": [truth(1, "not a name of the API", &Value::Null)]}),
            ),
        ],
    );
}

#[test]
fn instances_come_go_and_change_their_state() {
    check(
        &[
            ("PUT", "instances/new", json!({"status": "Creating"})),
            ("GET", "registries?instance=new", Value::Null),
            ("PUT", "instances/new", json!({"status": "Broken"})),
            ("DELETE", "instances/new", Value::Null),
            ("GET", "registries?instance=new", Value::Null),
            ("DELETE", "instances/new", Value::Null),
        ],
        &[
            done(),
            (200, json!({"registries": []})),
            error(
                400,
                "there is no status \"Broken\"; an instance is Initial, Creating, Running, Unavailable",
            ),
            done(),
            error(404, "there is no instance \"new\""),
            error(404, "there is no instance \"new\""),
        ],
    );
}

#[test]
fn switches_are_read_set_and_reset() {
    let mut simulator = simulator();
    let changed = json!({"create_status": "200", "list_lag_millis": 50});
    let (status, after) = send(&mut simulator, "PUT", "switches", &changed);
    assert_eq!(
        (status, &after["create_status"], &after["list_lag_millis"]),
        (200, &json!("200"), &json!(50))
    );
    let read = send(&mut simulator, "GET", "switches", &Value::Null);
    assert_eq!(read, (200, after));
    let unknown = send(
        &mut simulator,
        "PUT",
        "switches",
        &json!({"create_status": "204"}),
    );
    let complaint = "switch create_status does not take \"204\"; it takes 200, 201, 202";
    assert_eq!(unknown, error(400, complaint));
    assert_eq!(
        send(&mut simulator, "DELETE", "switches", &Value::Null),
        done()
    );
    let read = send(&mut simulator, "GET", "switches", &Value::Null);
    assert_eq!(read, (200, Switches::default().to_json()));
}

#[test]
fn faults_are_added_read_and_removed() {
    let fault = json!({
        "match": {"operation": "CreateInstanceRegistry", "ordinal": 1},
        "phase": "after",
        "kind": "status",
        "status": 503,
        "body": {"error_code": "X"},
        "headers": {"retry-after": "1"},
    });
    let mut scripted = fault.clone();
    for (name, value) in [("id", 1), ("matched", 0), ("struck", 0)] {
        scripted[name] = json!(value);
    }
    check(
        &[
            ("POST", "faults", fault),
            ("GET", "faults", Value::Null),
            ("DELETE", "faults/2", Value::Null),
            ("DELETE", "faults/1", Value::Null),
            ("POST", "faults", json!({"kind": "reset"})),
            ("DELETE", "faults", Value::Null),
            ("GET", "faults", Value::Null),
        ],
        &[
            (201, json!({"id": 1})),
            (200, json!({"faults": [scripted]})),
            error(404, "there is no fault 2"),
            done(),
            (201, json!({"id": 2})),
            done(),
            (200, json!({"faults": []})),
        ],
    );
}

#[test]
fn what_is_not_understood_is_refused_with_what_would_be() {
    let check_begins = |method: &str, target: &str, body: Value, status: u16, begins: &str| {
        let (seen, answer) = send(&mut simulator(), method, target, &body);
        let message = answer["error"].as_str().unwrap();
        assert!(
            seen == status && message.starts_with(begins),
            "{seen} {message}"
        );
    };
    check_begins(
        "POST",
        "faults",
        json!({"kind": "explode"}),
        400,
        "unknown variant `explode`, expected one of `status`, `reset`, `hang`, `delay`, `late-apply`",
    );
    check_begins(
        "POST",
        "faults",
        json!({"kind": "reset", "when": "now"}),
        400,
        "unknown field `when`, expected one of ",
    );
    check_begins(
        "PUT",
        "switches",
        json!({"colour": "red"}),
        400,
        "there is no switch \"colour\"; the switches are create_status, ",
    );
    check_begins(
        "GET",
        "registries",
        Value::Null,
        400,
        "say which instance: ?instance=ID",
    );
    check_begins(
        "GET",
        "registries?instance=x",
        Value::Null,
        404,
        "there is no instance \"x\"",
    );
    check_begins(
        "PUT",
        &format!("registries/one?instance={INSTANCE}"),
        Value::Null,
        400,
        "a registry has a number, not \"one\"",
    );
    check_begins(
        "DELETE",
        &format!("registries/1?instance={INSTANCE}"),
        Value::Null,
        404,
        "there is no registry 1",
    );
    check_begins(
        "GET",
        "journal?after=x",
        Value::Null,
        400,
        "after must be a sequence number",
    );
    check_begins(
        "PATCH",
        "journal",
        Value::Null,
        404,
        "there is no PATCH /_simulator/journal; the control surface has GET|POST /_simulator/registries",
    );
}

#[test]
fn credentials_can_be_rotated() {
    let mut simulator = simulator();
    let keys = json!({"accessKey": "AK2", "secretKey": "SK2", "securityToken": "ST2"});
    assert_eq!(send(&mut simulator, "PUT", "credential", &keys), done());
    let stored = &simulator.world.iam.keys;
    assert_eq!(
        (
            stored.access_key.as_str(),
            stored.secret_key.as_str(),
            stored.security_token.as_deref()
        ),
        ("AK2", "SK2", Some("ST2"))
    );
    assert_eq!(
        send(&mut simulator, "DELETE", "tokens", &Value::Null),
        done()
    );
}

#[test]
fn a_change_of_health_moves_updated_at_only_where_switched() {
    let later = "2026-01-31T09:31:00Z".parse().unwrap();
    let moved = |switch: &str, status: &str| {
        let mut simulator = simulator();
        let target = format!("registries?instance={INSTANCE}");
        send(&mut simulator, "POST", &target, &registry("a"));
        simulator.world.switches.set_pair(switch).unwrap();
        let target = format!("{PREFIX}registries/1/status?instance={INSTANCE}");
        let body = json!({"status": status}).to_string();
        handle(&mut simulator, &Request::new("PUT", &target, body), later);
        let truth = simulator.world.truth(INSTANCE, later).unwrap();
        truth[0]["updated_at"] != json!("2026-01-31T09:30:00.000Z")
    };
    assert!(!moved("updated_at=put", "unhealthy"));
    assert!(!moved("updated_at=health", "healthy"));
    assert!(moved("updated_at=health", "unhealthy"));
}

#[test]
fn whom_the_account_trusts_is_read_changed_and_reset() {
    let mut simulator = simulator();
    let defaults = json!(Trust::default());
    let changed = json!({"audience": "swr", "idToken": "abc", "idpId": "other"});
    let (status, after) = send(&mut simulator, "PUT", "trust", &changed);
    let mut expected = defaults.clone();
    for (name, value) in changed.as_object().unwrap() {
        expected[name] = value.clone();
    }
    assert_eq!((status, &after), (200, &expected));
    let unknown = json!({"audience": "third", "colour": "red"});
    let (status, complaint) = send(&mut simulator, "PUT", "trust", &unknown);
    let complaint = complaint["error"].as_str().unwrap();
    assert!(
        status == 400 && complaint.starts_with("unknown field `colour`, expected one of "),
        "{complaint}"
    );
    assert_eq!(
        send(&mut simulator, "GET", "trust", &Value::Null),
        (200, expected)
    );
    assert_eq!(
        send(&mut simulator, "PUT", "trust", &json!({"idToken": null})).1["idToken"],
        Value::Null
    );
    assert_eq!(
        send(&mut simulator, "DELETE", "trust", &Value::Null),
        done()
    );
    assert_eq!(
        send(&mut simulator, "GET", "trust", &Value::Null),
        (200, defaults)
    );
}

#[test]
fn a_user_comes_and_goes() {
    let mut simulator = simulator();
    let user = json!({"domain": "acme", "name": "robot", "password": "hunter2"});
    assert_eq!(send(&mut simulator, "PUT", "user", &user), done());
    let stored = simulator.world.iam.user.as_ref().unwrap();
    assert_eq!(
        (
            stored.domain.as_str(),
            stored.name.as_str(),
            stored.password.as_str()
        ),
        ("acme", "robot", "hunter2")
    );
    assert_eq!(send(&mut simulator, "DELETE", "user", &Value::Null), done());
    assert!(simulator.world.iam.user.is_none());
    assert_eq!(
        send(&mut simulator, "DELETE", "metadata-tokens", &Value::Null),
        done()
    );
}
