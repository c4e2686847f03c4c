//! The API as its documents have it, and every switch with the answers it can give.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::example::example;
use super::*;
use crate::sign::sign;

const PROJECT: &str = "0605767a3a80d5762fb2c00a1b2c3d4e";
const INSTANCE: &str = "1d7a1e6c-9f0b-4c1e-8a2f-3b5d7e9c0a11";
const REGISTRIES: &str = "/v2/0605767a3a80d5762fb2c00a1b2c3d4e/instances/1d7a1e6c-9f0b-4c1e-8a2f-3b5d7e9c0a11/registries";

/// The world and the time in it.
struct Cloud {
    world: World,
    now: Timestamp,
}

impl Cloud {
    fn with(switches: &[&str]) -> Self {
        let (world, now) = example(switches);
        Self { world, now }
    }

    fn keys(&self) -> Keys {
        self.world.iam.keys.clone()
    }

    fn signed(&self, method: &str, target: &str, body: &Value) -> Request {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let mut request = Request::new(method, target, body).with_header("X-Project-Id", PROJECT);
        sign(&mut request, &self.keys(), self.now);
        request
    }

    fn reply(&mut self, method: &str, target: &str, body: &Value) -> Reply {
        let request = self.signed(method, target, body);
        self.world.handle(&request, self.now)
    }

    fn take(&mut self, step: &Step) -> Option<(u16, Value)> {
        let reply = match step {
            Step::Create(body) => self.reply("POST", REGISTRIES, body),
            Step::Update(id, body) => self.reply("PUT", &format!("{REGISTRIES}/{id}"), body),
            Step::Delete(id) => self.reply("DELETE", &format!("{REGISTRIES}/{id}"), &Value::Null),
            Step::Show(id) => self.reply("GET", &format!("{REGISTRIES}/{id}"), &Value::Null),
            Step::List(query) => self.reply("GET", &format!("{REGISTRIES}{query}"), &Value::Null),
            Step::Get(target) => self.reply("GET", target, &Value::Null),
            Step::Wait(millis) => {
                self.now = self
                    .now
                    .checked_add(SignedDuration::from_millis(*millis))
                    .unwrap();
                return None;
            }
            Step::Switch(pair) => {
                self.world.switches.set_pair(pair).unwrap();
                return None;
            }
            Step::UseInPolicy(id) => {
                self.world
                    .set_policies(INSTANCE, BTreeSet::from([*id]))
                    .unwrap();
                return None;
            }
            Step::Instance(status) => {
                self.world
                    .set_instance_status(INSTANCE, status, self.now)
                    .unwrap();
                return None;
            }
        };
        Some((reply.status, reply.value()))
    }
}

enum Step {
    Create(Value),
    Update(&'static str, Value),
    Delete(&'static str),
    Show(&'static str),
    List(&'static str),
    Get(&'static str),
    Wait(i64),
    Switch(&'static str),
    UseInPolicy(i64),
    Instance(&'static str),
}

use Step::{Create, Delete, Get, List, Show, Switch, Update, UseInPolicy, Wait};

/// The answers to the steps, whole; `only` narrows each body to what the case is about.
fn check(switches: &[&str], steps: &[Step], only: &[&str], answers: &[(u16, Value)]) {
    let mut cloud = Cloud::with(switches);
    let seen: Vec<_> = steps
        .iter()
        .filter_map(|step| cloud.take(step))
        .map(|(status, body)| (status, narrowed(body, only)))
        .collect();
    assert_eq!(seen, answers, "{switches:?}");
}

fn narrowed(mut body: Value, only: &[&str]) -> Value {
    if let Some(fields) = body.as_object_mut()
        && !only.is_empty()
    {
        fields.retain(|name, _| only.contains(&name.as_str()));
    }
    body
}

fn harbor(name: &str) -> Value {
    json!({
        "name": name,
        "description": "disaster recovery",
        "type": "swr-pro",
        "url": "https://harbor.example.com/",
        "credential": {"type": "basic", "access_key": "robot$push", "access_secret": "p@ss"},
        "dns_conf": {"hosts": {"harbor.example.com": "192.0.2.10"}},
        "insecure": false,
    })
}

fn enterprise(name: &str) -> Value {
    json!({
        "name": name,
        "type": "swr-pro-internal",
        "project_id": "target-project",
        "region_id": "cn-east-3",
        "instance_id": "target-instance",
        "url": "https://target.example.com",
        "credential": {"type": "basic", "access_key": "user1", "access_secret": "s3cret"},
        "insecure": true,
    })
}

fn basic(name: &str) -> Value {
    json!({
        "name": name,
        "type": "huawei-SWR",
        "url": "https://swr.cn-east-3.example.com",
        "credential": {"type": "basic", "access_key": "cn-east-3@AK", "access_secret": "login"},
        "insecure": true,
    })
}

/// The body with one field set; null takes it out.
fn but(mut body: Value, field: &str, value: Value) -> Value {
    if value.is_null() {
        body.as_object_mut().unwrap().remove(field);
    } else {
        body[field] = value;
    }
    body
}

fn empty(status: u16) -> (u16, Value) {
    (status, Value::Null)
}

fn id(id: i64) -> (u16, Value) {
    (201, json!({"id": id}))
}

/// The whole error body of SWR.
fn refused(status: u16, code: &str, message: &str) -> (u16, Value) {
    (
        status,
        json!({
            "errors": [{"errorCode": code, "errorMessage": message, "detail": ""}],
            "error_code": code,
            "error_msg": message,
            "details": [{"error_code": code, "error_msg": message}],
        }),
    )
}

fn invalid(message: &str) -> (u16, Value) {
    refused(400, "SVCSTG.SWR.4001025", message)
}

fn no_registry(id: i64) -> (u16, Value) {
    refused(404, "SWR.404001", &format!("registry {id} not found"))
}

#[test]
fn a_registry_is_created_shown_listed_updated_and_deleted() {
    let shown = json!({
        "id": 1,
        "name": "a",
        "description": "disaster recovery",
        "type": "swr-pro",
        "url": "https://harbor.example.com",
        "credential": {"type": "basic", "access_key": "robot$push", "access_secret": "*****"},
        "dns_conf": {"hosts": {"harbor.example.com": "192.0.2.10"}},
        "insecure": false,
        "status": "healthy",
        "created_at": "2026-01-31T09:30:00.000Z",
        "updated_at": "2026-01-31T09:30:00.000Z",
    });
    let updated = but(
        but(shown.clone(), "name", json!("b")),
        "updated_at",
        json!("2026-01-31T09:30:01.500Z"),
    );
    let updated = but(updated, "description", json!(""));
    let listed = but(updated.clone(), "dns_conf", Value::Null);
    check(
        &[],
        &[
            Create(harbor("a")),
            Show("1"),
            Wait(1500),
            Update("1", but(harbor("b"), "description", Value::Null)),
            Show("1"),
            List(""),
            Delete("1"),
            Show("1"),
            List(""),
            Create(basic("b")),
        ],
        &[],
        &[
            id(1),
            (200, shown),
            empty(200),
            (200, updated),
            (200, json!({"registries": [listed], "total": 1})),
            empty(200),
            no_registry(1),
            (200, json!({"registries": [], "total": 0})),
            id(2),
        ],
    );
}

#[test]
fn each_type_shows_the_fields_it_has() {
    let common = |id: i64, rest: Value| {
        let mut body = json!({
            "id": id,
            "description": "",
            "insecure": true,
            "status": "healthy",
            "created_at": "2026-01-31T09:30:00.000Z",
            "updated_at": "2026-01-31T09:30:00.000Z",
        });
        for (name, value) in rest.as_object().unwrap() {
            body[name] = value.clone();
        }
        (200, body)
    };
    check(
        &[],
        &[
            Create(enterprise("e")),
            Create(basic("b")),
            Show("1"),
            Show("2"),
        ],
        &[],
        &[
            id(1),
            id(2),
            common(
                1,
                json!({
                    "name": "e",
                    "type": "swr-pro-internal",
                    "project_id": "target-project",
                    "region_id": "cn-east-3",
                    "instance_id": "target-instance",
                    "url": "https://target.example.com",
                    "credential": {"type": "basic", "access_key": "user1", "access_secret": "*****"},
                }),
            ),
            common(
                2,
                json!({
                    "name": "b",
                    "type": "huawei-SWR",
                    "url": "https://swr.cn-east-3.example.com",
                    "credential": {"type": "basic", "access_key": "cn-east-3@AK", "access_secret": "*****"},
                }),
            ),
        ],
    );
}

#[test]
fn switches_of_replies_to_writes() {
    let steps = || [Create(harbor("a")), Update("1", harbor("a")), Delete("1")];
    let answers = |create, update: (u16, Value)| [create, update.clone(), update];
    check(
        &["create_status=200"],
        &steps(),
        &[],
        &answers((200, json!({"id": 1})), empty(200)),
    );
    check(
        &["create_status=202"],
        &steps(),
        &[],
        &answers((202, json!({"id": 1})), empty(200)),
    );
    check(
        &["create_reply=without_id"],
        &steps(),
        &[],
        &answers((201, json!({})), empty(200)),
    );
    check(
        &["create_reply=empty"],
        &steps(),
        &[],
        &answers(empty(201), empty(200)),
    );
    check(
        &["write_reply=object"],
        &steps(),
        &[],
        &answers(id(1), (200, json!({}))),
    );
    check(
        &["write_reply=204"],
        &steps(),
        &[],
        &answers(id(1), empty(204)),
    );
    check(
        &["id_style=large"],
        &[Create(harbor("a"))],
        &[],
        &[id(3_000_000_001)],
    );
    check(
        &["id_style=string"],
        &[Create(harbor("a")), Show("1")],
        &["id"],
        &[(201, json!({"id": "1"})), (200, json!({"id": "1"}))],
    );
}

/// What a GET and a list item show of one field.
fn check_echo(switch: &str, body: Value, field: &str, show: Value, list: Value) {
    let mut cloud = Cloud::with(&[switch]);
    cloud.take(&Create(body));
    let (_, shown) = cloud.take(&Show("1")).unwrap();
    let (_, listed) = cloud.take(&List("")).unwrap();
    // Absent is told from null by the error value.
    let of = |body: &Value| {
        body.get(field)
            .cloned()
            .unwrap_or_else(|| json!("(absent)"))
    };
    assert_eq!(
        (of(&shown), of(&listed["registries"][0])),
        (show, list),
        "{switch}"
    );
}

#[test]
fn switches_of_what_comes_back() {
    let absent = || json!("(absent)");
    let same = |switch, body: fn(&str) -> Value, field, value: Value| {
        check_echo(switch, body("a"), field, value.clone(), value);
    };
    let credential = |secret: &str| json!({"type": "basic", "access_key": "robot$push", "access_secret": secret});
    same(
        "secret_echo=other_mask",
        harbor,
        "credential",
        credential("******"),
    );
    same(
        "secret_echo=plain",
        harbor,
        "credential",
        credential("p@ss"),
    );
    same("secret_echo=empty", harbor, "credential", credential(""));
    let without = json!({"type": "basic", "access_key": "robot$push"});
    same("secret_echo=absent", harbor, "credential", without);

    let project = || json!("target-project");
    check_echo(
        "project_id_echo=show",
        enterprise("a"),
        "project_id",
        project(),
        absent(),
    );
    same(
        "project_id_echo=show_and_list",
        enterprise,
        "project_id",
        project(),
    );
    same("project_id_echo=absent", enterprise, "project_id", absent());

    let hosts = || json!({"hosts": {"harbor.example.com": "192.0.2.10"}});
    same("dns_conf_echo=show_and_list", harbor, "dns_conf", hosts());
    same("dns_conf_echo=absent", harbor, "dns_conf", absent());
    check_echo(
        "dns_conf_echo=empty_hosts",
        harbor("a"),
        "dns_conf",
        json!({"hosts": {}}),
        absent(),
    );
    check_echo(
        "dns_conf_echo=null",
        harbor("a"),
        "dns_conf",
        Value::Null,
        absent(),
    );

    same("empty_description=absent", basic, "description", absent());
    same("empty_description=null", basic, "description", Value::Null);
    same("empty_target_ids=empty", basic, "region_id", json!(""));
    same("empty_target_ids=null", basic, "instance_id", Value::Null);

    same("new_status=absent", basic, "status", absent());
    same(
        "connection_test=mark_unhealthy",
        basic,
        "status",
        json!("unhealthy"),
    );
    same(
        "time_format=no_zone",
        basic,
        "created_at",
        json!("2026-01-31 09:30:00"),
    );
    same(
        "time_format=epoch",
        basic,
        "created_at",
        json!("1769851800"),
    );
}

#[test]
fn status_changes_by_itself() {
    let seen =
        |status: &str, updated_at: &str| (200, json!({"status": status, "updated_at": updated_at}));
    let start = "2026-01-31T09:30:00.000Z";
    let steps = || {
        [
            Create(basic("a")),
            Show("1"),
            Wait(5000),
            Show("1"),
            Wait(5000),
            Show("1"),
        ]
    };
    let only = ["status", "updated_at"];
    let created = (201, json!({}));
    check(
        &["new_status=unhealthy_first"],
        &steps(),
        &only,
        &[
            created.clone(),
            seen("unhealthy", start),
            seen("healthy", start),
            seen("healthy", start),
        ],
    );
    check(
        &[
            "new_status=flipping",
            "status_millis=4000",
            "updated_at=health",
        ],
        &steps(),
        &only,
        &[
            created,
            seen("healthy", start),
            seen("unhealthy", "2026-01-31T09:30:04.000Z"),
            seen("healthy", "2026-01-31T09:30:08.000Z"),
        ],
    );
}

#[test]
fn a_put_that_changes_nothing_moves_updated_at_unless_switched() {
    let steps = || {
        [
            Create(basic("a")),
            Wait(1000),
            Update("1", basic("a")),
            Show("1"),
        ]
    };
    let seen = |time: &str| {
        [
            (201, json!({})),
            empty(200),
            (200, json!({"updated_at": time})),
        ]
    };
    check(
        &[],
        &steps(),
        &["updated_at"],
        &seen("2026-01-31T09:30:01.000Z"),
    );
    check(
        &["updated_at=health"],
        &steps(),
        &["updated_at"],
        &seen("2026-01-31T09:30:00.000Z"),
    );
}

#[test]
fn names_are_unique_on_create_and_on_rename() {
    let steps = || {
        [
            Create(basic("a")),
            Create(basic("b")),
            Create(basic("a")),
            Update("2", basic("a")),
            Update("1", basic("a")),
        ]
    };
    let answers = |refusal: (u16, Value)| [id(1), id(2), refusal.clone(), refusal, empty(200)];
    let text = "registry a already exists";
    check(
        &[],
        &steps(),
        &[],
        &answers(refused(409, "SWR.409001", text)),
    );
    check(
        &["duplicate_name=400"],
        &steps(),
        &[],
        &answers(refused(400, "SVCSTG.SWR.4000014", text)),
    );
    check(
        &["duplicate_name=500"],
        &steps(),
        &[],
        &answers(refused(500, "SVCSTG.SWR.5000001", text)),
    );
    check(
        &["duplicate_name=allowed"],
        &steps(),
        &[],
        &[id(1), id(2), id(3), empty(200), empty(200)],
    );
}

#[test]
fn connection_tests_may_refuse_or_take_their_time() {
    let refusal = refused(400, "SWR.400101", "the registry is unhealthy");
    check(
        &[],
        &[
            Create(basic("a")),
            Switch("connection_test=refuse"),
            Create(basic("b")),
            Update("1", basic("c")),
        ],
        &[],
        &[id(1), refusal.clone(), refusal],
    );
    let mut cloud = Cloud::with(&["connection_test=slow", "connection_test_millis=1500"]);
    let reply = cloud.reply("POST", REGISTRIES, &basic("a"));
    assert_eq!(
        (reply.status, reply.thinks),
        (201, Duration::from_millis(1500))
    );
}

/// What the truth is after a create and one PUT.
fn check_put(switches: &[&str], put: Value, answer: (u16, Value), truth: &[(&str, Value)]) {
    let mut cloud = Cloud::with(switches);
    cloud.take(&Create(harbor("a")));
    assert_eq!(cloud.take(&Update("1", put)), Some(answer), "{switches:?}");
    let stored = cloud.world.truth(INSTANCE, cloud.now).unwrap();
    let seen: Vec<_> = truth
        .iter()
        .map(|(field, _)| (*field, stored[0][field].clone()))
        .collect();
    assert_eq!(seen, truth, "{switches:?}");
}

#[test]
fn switches_of_a_put() {
    let bare = || {
        but(
            but(harbor("b"), "description", Value::Null),
            "dns_conf",
            Value::Null,
        )
    };
    let cleared = [
        ("name", json!("b")),
        ("description", json!("")),
        ("dns_conf", Value::Null),
    ];
    check_put(&[], bare(), empty(200), &cleared);
    let kept = [
        ("name", json!("b")),
        ("description", json!("disaster recovery")),
        (
            "dns_conf",
            json!({"hosts": {"harbor.example.com": "192.0.2.10"}}),
        ),
    ];
    check_put(&["put_semantics=merge"], bare(), empty(200), &kept);

    let secret = |secret: &str| json!({"type": "basic", "access_key": "robot$push", "access_secret": secret});
    let masked = || but(harbor("a"), "credential", secret("*****"));
    check_put(
        &[],
        masked(),
        empty(200),
        &[("credential", secret("*****"))],
    );
    check_put(
        &["mask_in_put=kept"],
        masked(),
        empty(200),
        &[("credential", secret("p@ss"))],
    );
    let refusal = invalid("credential.access_secret is invalid");
    check_put(
        &["mask_in_put=refused"],
        masked(),
        refusal,
        &[("credential", secret("p@ss"))],
    );

    let kind = |kind: &str| {
        [
            ("type", json!(kind)),
            ("url", json!("https://harbor.example.com")),
        ]
    };
    let other = || but(harbor("a"), "type", json!("huawei-SWR"));
    check_put(
        &[],
        other(),
        invalid("type cannot be changed"),
        &kind("swr-pro"),
    );
    check_put(
        &["type_change=accepted"],
        other(),
        empty(200),
        &kind("huawei-SWR"),
    );
    check_put(
        &["type_change=ignored"],
        other(),
        empty(200),
        &kind("swr-pro"),
    );
}

#[test]
fn unknown_ids_are_not_found_unless_switched() {
    let steps = || {
        [
            Show("7"),
            Update("7", basic("a")),
            Delete("7"),
            Show("seven"),
        ]
    };
    let no_number = invalid("registry_id must be an integer");
    let not_found = no_registry(7);
    let odd = refused(400, "SWR.400003", "registry 7 not found");
    let answers =
        |show: &(u16, Value), delete| [show.clone(), show.clone(), delete, no_number.clone()];
    check(&[], &steps(), &[], &answers(&not_found, not_found.clone()));
    check(
        &["unknown_id=400"],
        &steps(),
        &[],
        &answers(&odd, not_found.clone()),
    );
    check(
        &["unknown_id_on_delete=400"],
        &steps(),
        &[],
        &answers(&not_found, odd.clone()),
    );
    check(
        &["unknown_id_on_delete=200"],
        &steps(),
        &[],
        &answers(&not_found, empty(200)),
    );
}

#[test]
fn a_registry_in_use_is_not_deleted_unless_switched() {
    let check_delete = |switches: &[&str], answer: (u16, Value), then: (u16, Value)| {
        check(
            switches,
            &[Create(basic("a")), UseInPolicy(1), Delete("1"), Show("1")],
            &["error_code"],
            &[(201, json!({})), answer, then],
        );
    };
    let code = |status, code: &str| (status, json!({"error_code": code}));
    let there = || (200, json!({}));
    check_delete(&[], code(412, "SWR.412001"), there());
    check_delete(&["delete_in_use=400"], code(400, "SWR.400102"), there());
    check_delete(&["delete_in_use=409"], code(409, "SWR.409002"), there());
    check_delete(&["delete_in_use=403"], code(403, "SWR.403001"), there());
    check_delete(
        &["delete_in_use=500"],
        code(500, "SVCSTG.SWR.5000002"),
        there(),
    );
    check_delete(
        &["delete_in_use=allowed"],
        empty(200),
        code(404, "SWR.404001"),
    );
}

#[test]
fn the_quota_ends_creates_unless_switched() {
    let check_second = |switches: &[&str], answer| {
        check(
            switches,
            &[
                Switch("registry_quota=1"),
                Create(basic("a")),
                Create(basic("b")),
            ],
            &[],
            &[id(1), answer],
        );
    };
    let text = "quota exceeded";
    check_second(&[], refused(400, "SWR.400097", text));
    check_second(&["quota_reply=403"], refused(403, "SWR.400097", text));
    check_second(&["quota_reply=429"], refused(429, "SWR.400097", text));
    check_second(&["quota_reply=off"], id(2));
}

#[test]
fn a_reply_can_be_lost_after_the_write() {
    let check_lost = |switch: &str, status: u16, delivery: Delivery| {
        let mut cloud = Cloud::with(&[switch]);
        let reply = cloud.reply("POST", REGISTRIES, &basic("a"));
        assert_eq!(
            (reply.status, reply.delivery),
            (status, delivery),
            "{switch}"
        );
        let stored = cloud.world.truth(INSTANCE, cloud.now).unwrap();
        assert_eq!(stored[0]["name"], "a", "{switch}");
    };
    check_lost("lost_reply=none", 201, Delivery::Answer);
    check_lost("lost_reply=close", 201, Delivery::Close);
    check_lost("lost_reply=504", 504, Delivery::Answer);
    check_lost("lost_reply=hang", 201, Delivery::Hang);
}

mod gateway;
mod reads;
