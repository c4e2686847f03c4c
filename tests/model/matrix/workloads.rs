//! What people, the console and the owner of the Secret do, step by step: the lives that the faults strike.

use serde_json::{Value, json};
use swr_operator_core::tag::{Installation, Owner};

use super::faults::Point;

/// What somebody does.
#[derive(Clone, Copy)]
pub(super) enum Act {
    /// Creates the object with this name; edits its spec first.
    Create(&'static str, fn(&mut Value)),
    Edit(&'static str, fn(&mut Value)),
    Delete(&'static str),
    /// Removes the object and brings it back under another uid, with its status or without.
    Restore(&'static str, bool),
    /// Notes the status of an object, for the next.
    Note(&'static str),
    /// Puts the noted status in the place of what stands.
    RestoreStatus(&'static str),
    Rotate,
    RemoveSecret,
    /// Somebody makes a registry in the console.
    Foreign(fn(&mut Value)),
    /// Edits the registry of an object in the console.
    ConsoleEdit(&'static str, fn(&mut Value)),
    ConsoleDelete(&'static str),
    /// Takes the tag off it.
    ConsoleStrip(&'static str),
    /// Makes another registry like it, tag included.
    ConsoleCopy(&'static str),
    /// Deletes every registry that no object made.
    ForeignGoes,
    /// A replication policy refers to it, or does no more.
    Uses(&'static str, bool),
    /// The operator is started anew, and only reads or not.
    StartReading(bool),
}

/// When.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// When everything rests.
    AtRest,
    /// When this was asked and is not answered yet.
    During(Point),
}

pub(super) type Step = (When, Act);

/// A life.
pub(super) struct Workload {
    pub(super) name: &'static str,
    pub(super) steps: Vec<Step>,
    /// Whether SWR refuses a second registry of the same name.
    pub(super) has_unique_names: bool,
    pub(super) begins_reading: bool,
}

use Act::{
    ConsoleCopy, ConsoleDelete, ConsoleEdit, ConsoleStrip, Create, Delete, Edit, Foreign,
    ForeignGoes, Note, RemoveSecret, Restore, RestoreStatus, Rotate, StartReading, Uses,
};
use When::{AtRest, During};

pub(super) const ONE: &str = "harbor-dr";
pub(super) const OTHER: &str = "harbor-dr-2";
/// The name that both ask for in SWR.
pub(super) const NAME: &str = "harbor-dr";

pub(super) fn spec() -> Value {
    json!({
        "instanceId": "source-1", "name": NAME, "type": "swr-pro", "url": "https://t1.example.com",
        "insecure": false, "description": "dr", "credentialSecretRef": {"name": "login"},
    })
}

/// A registry that somebody made by hand.
pub(super) fn foreign() -> Value {
    json!({
        "name": NAME, "type": "swr-pro", "url": "https://elsewhere.example.com", "insecure": false,
        "description": "by hand",
        "credential": {"type": "basic", "access_key": "theirs", "access_secret": "theirs"},
    })
}

fn as_it_is(_: &mut Value) {}

fn other_url(spec: &mut Value) {
    spec["url"] = json!("https://t2.example.com");
}

fn first_url(spec: &mut Value) {
    spec["url"] = json!("https://t1.example.com");
}

fn third_url(spec: &mut Value) {
    spec["url"] = json!("https://t3.example.com");
}

fn other_description(spec: &mut Value) {
    spec["description"] = json!("changed");
}

fn insecure(spec: &mut Value) {
    spec["insecure"] = json!(true);
}

fn hosts(spec: &mut Value) {
    spec["dnsConf"] = json!({"hosts": {"t1.example.com": "192.0.2.10"}});
}

fn renamed(spec: &mut Value) {
    spec["name"] = json!("harbor-renamed");
}

fn suspended(spec: &mut Value) {
    spec["suspend"] = json!(true);
}

fn resumed(spec: &mut Value) {
    spec["suspend"] = json!(false);
}

fn if_unowned(spec: &mut Value) {
    spec["adoption"] = json!({"policy": "IfUnowned"});
}

fn rebuild(spec: &mut Value) {
    spec["adoption"] = json!({"policy": "Rebuild"});
}

fn orphan(spec: &mut Value) {
    spec["deletionPolicy"] = json!("Orphan");
}

fn observe(spec: &mut Value) {
    spec["mode"] = json!("Observe");
}

fn enforce(spec: &mut Value) {
    spec["mode"] = json!("Enforce");
}

fn internal(spec: &mut Value) {
    spec["type"] = json!("swr-pro-internal");
    spec["insecure"] = json!(true);
    spec["target"] =
        json!({"projectId": "receiving", "regionId": "region-2", "instanceId": "target-1"});
}

fn other_target(spec: &mut Value) {
    spec["target"]["instanceId"] = json!("target-2");
}

fn drifted(held: &mut Value) {
    held["url"] = json!("https://drift.example.com");
}

fn drifted_hosts(held: &mut Value) {
    held["dns_conf"] = json!({"hosts": {"t1.example.com": "192.0.2.99"}});
}

fn strangers(held: &mut Value) {
    let stranger = Owner::new(&Installation::from_configured("other"), "u", "n", "m");
    held["description"] = json!(stranger.describe("theirs"));
}

/// Every life.
pub(super) fn all() -> Vec<Workload> {
    let life = |name, steps: &[Step]| Workload {
        name,
        steps: steps.to_vec(),
        has_unique_names: true,
        begins_reading: false,
    };
    let created = (AtRest, Create(ONE, as_it_is));
    let deleted = (AtRest, Delete(ONE));
    let deleted_during = |name, point| life(name, &[created, (During(point), Delete(ONE))]);
    vec![
        life("create", &[created]),
        life(
            "edit each field",
            &[
                created,
                (AtRest, Edit(ONE, other_url)),
                (AtRest, Edit(ONE, other_description)),
                (AtRest, Edit(ONE, insecure)),
                (AtRest, Edit(ONE, hosts)),
                (AtRest, Edit(ONE, renamed)),
            ],
        ),
        life(
            "edit while an update is under way",
            &[
                created,
                (AtRest, Edit(ONE, other_url)),
                (During(Point::Update), Edit(ONE, third_url)),
            ],
        ),
        life(
            "edit there and back",
            &[
                created,
                (AtRest, Edit(ONE, other_url)),
                (During(Point::List), Edit(ONE, first_url)),
            ],
        ),
        life(
            "the target is another instance",
            &[
                (AtRest, Create(ONE, internal)),
                (AtRest, Edit(ONE, other_target)),
            ],
        ),
        life("rotate", &[created, (AtRest, Rotate), (AtRest, Rotate)]),
        life(
            "rotate between the read and the write",
            &[
                created,
                (AtRest, Rotate),
                (During(Point::ReadSecret), Rotate),
            ],
        ),
        life(
            "the Secret is missing, then there",
            &[(AtRest, RemoveSecret), created, (AtRest, Rotate)],
        ),
        life(
            "the Secret goes and comes back",
            &[created, (AtRest, RemoveSecret), (AtRest, Rotate)],
        ),
        life(
            "adopt",
            &[
                (AtRest, Foreign(as_it_is)),
                (AtRest, Create(ONE, if_unowned)),
                (AtRest, Edit(ONE, other_url)),
            ],
        ),
        life("let go", &[created, (AtRest, Edit(ONE, orphan)), deleted]),
        life(
            "let go, and adopted by the next",
            &[
                created,
                (AtRest, Edit(ONE, orphan)),
                deleted,
                (AtRest, Create(ONE, if_unowned)),
            ],
        ),
        life("delete", &[created, deleted]),
        deleted_during("delete while the finalizer is written", Point::AddFinalizer),
        deleted_during("delete while the intent is written", Point::RecordIntent),
        deleted_during("delete while it is created", Point::Create),
        deleted_during("delete while the status is written", Point::WriteStatus),
        life(
            "delete while an update is under way",
            &[
                created,
                (AtRest, Edit(ONE, other_url)),
                (During(Point::Update), Delete(ONE)),
            ],
        ),
        life(
            "delete while a policy uses it",
            &[
                created,
                (AtRest, Uses(ONE, true)),
                deleted,
                (AtRest, Uses(ONE, false)),
            ],
        ),
        life(
            "delete and create anew",
            &[created, deleted, (AtRest, Create(ONE, other_url))],
        ),
        life(
            "drift",
            &[
                created,
                (AtRest, ConsoleEdit(ONE, drifted)),
                (AtRest, ConsoleEdit(ONE, drifted_hosts)),
            ],
        ),
        life(
            "the console deletes it",
            &[created, (AtRest, ConsoleDelete(ONE))],
        ),
        life(
            "the console takes the tag off",
            &[created, (AtRest, ConsoleStrip(ONE)), deleted],
        ),
        life(
            "the console takes the tag off what may be adopted",
            &[
                (AtRest, Create(ONE, if_unowned)),
                (AtRest, ConsoleStrip(ONE)),
            ],
        ),
        life(
            "the console copies it",
            &[
                created,
                (AtRest, ConsoleCopy(ONE)),
                (AtRest, Edit(ONE, other_url)),
                deleted,
            ],
        ),
        life(
            "conflict, then free",
            &[(AtRest, Foreign(as_it_is)), created, (AtRest, ForeignGoes)],
        ),
        life(
            "conflict with another's tag",
            &[
                (AtRest, Foreign(strangers)),
                (AtRest, Create(ONE, if_unowned)),
                (AtRest, ForeignGoes),
            ],
        ),
        Workload {
            has_unique_names: false,
            ..life(
                "conflict where names need not be unique",
                &[
                    (AtRest, Foreign(as_it_is)),
                    created,
                    (AtRest, ForeignGoes),
                    deleted,
                ],
            )
        },
        life(
            "two objects of one name",
            &[
                created,
                (AtRest, Create(OTHER, other_url)),
                deleted,
                (AtRest, Edit(OTHER, third_url)),
            ],
        ),
        life(
            "suspend, edit, resume",
            &[
                created,
                (AtRest, Edit(ONE, suspended)),
                (AtRest, Edit(ONE, other_url)),
                (AtRest, Edit(ONE, resumed)),
            ],
        ),
        life(
            "suspend, delete, resume",
            &[
                created,
                (AtRest, Edit(ONE, suspended)),
                deleted,
                (AtRest, Edit(ONE, resumed)),
            ],
        ),
        life(
            "observe, then enforce",
            &[(AtRest, Create(ONE, observe)), (AtRest, Edit(ONE, enforce))],
        ),
        Workload {
            begins_reading: true,
            ..life(
                "read-only, then not",
                &[
                    created,
                    (AtRest, StartReading(false)),
                    (AtRest, Edit(ONE, other_url)),
                    (AtRest, StartReading(true)),
                    deleted,
                    (AtRest, StartReading(false)),
                ],
            )
        },
        life(
            "a status of before it was created is restored",
            &[
                (AtRest, Create(ONE, suspended)),
                (AtRest, Note(ONE)),
                (AtRest, Edit(ONE, resumed)),
                (AtRest, RestoreStatus(ONE)),
            ],
        ),
        life(
            "a status with an older id is restored",
            &[
                created,
                (AtRest, Note(ONE)),
                (AtRest, ConsoleDelete(ONE)),
                (AtRest, RestoreStatus(ONE)),
                (AtRest, Edit(ONE, other_url)),
            ],
        ),
        life(
            "the object is restored under another uid, and takes its registry back",
            &[(AtRest, Create(ONE, rebuild)), (AtRest, Restore(ONE, true))],
        ),
        life(
            "the object is restored under another uid, its status lost",
            &[
                (AtRest, Create(ONE, rebuild)),
                (AtRest, Restore(ONE, false)),
            ],
        ),
    ]
}
