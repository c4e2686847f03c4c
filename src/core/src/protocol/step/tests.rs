//! Reconciles in a small world: which effects a reconcile asks for, in which order, and how it ends.

use std::collections::BTreeMap;

use expect_test::{Expect, expect};
use serde_json::json;

use super::*;
use crate::answer::{Account, Labels, SecretProblem};
use crate::api::account::{Grant, Targets};
use crate::api::registry::{CreateIntent, ReplicationRegistryStatus};
use crate::credential::{Credential, Sealed, Sealer, Sensitive};
use crate::desired::{ProjectId, Region, Registry, RegistryId};
use crate::failure::{Cause, Class, Failure};
use crate::object::{ObjectKey, Version};
use crate::observed::tests::{owner, record, stranger};
use crate::observed::{Digest, Inventory, Record};
use crate::reconcile::{Clearance, Memory, Windows, Witness};
use crate::status::status;

const WINDOWS: Windows = Windows {
    settle_secs: 120,
    write_secs: 20,
    grace_secs: 300,
    poll_secs: 600,
    orphan_secs: 600,
};

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(secs).expect("time")
}

/// One object, the registries of its instance, and what fails.
struct World {
    object: Option<Object>,
    records: BTreeMap<i64, Record>,
    secret: Result<&'static str, SecretProblem>,
    failures: BTreeMap<&'static str, Failure>,
    kube_failures: BTreeMap<&'static str, KubeFailure>,
    /// Registries that LIST does not show yet, or still shows.
    hidden: Vec<i64>,
    /// Records that a LIST cannot read.
    gaps: usize,
    /// A registry as LISTs still show it.
    stale: Option<Record>,
    /// What SWR keeps of a description.
    keeps: fn(String) -> String,
    /// Hosts that the account grants.
    hosts: &'static str,
    /// Whether SWR answers a DELETE and does nothing.
    undead: bool,
    /// Whether the installation only reads.
    read_only: bool,
    /// What `updated_at` is worth.
    witness: Witness,
    clearance: Clearance,
    /// Whether somebody owns a tag that is asked for.
    is_owned: bool,
    memory: Memory,
    baseline: Option<Digest>,
    /// What the API server keeps of a status with an intent.
    stores: fn(ReplicationRegistryStatus) -> ReplicationRegistryStatus,
    /// A request that takes longer than a second, and how long.
    slow: (&'static str, i64),
    /// What somebody makes of the object during the next of that request.
    meanwhile: Option<Object>,
    /// How many seconds the last write without an intent had to be sent.
    time_to_send: Option<i64>,
    now: i64,
    trace: Vec<String>,
}

impl World {
    fn new(edit: impl FnOnce(&mut serde_json::Value)) -> Self {
        let mut value = json!({
            "apiVersion": "swr.huaweicloud.com/v1alpha1",
            "kind": "ReplicationRegistry",
            "metadata": {
                "namespace": "images", "name": "harbor-dr", "uid": UID,
                "resourceVersion": "1", "generation": 1
            },
            "spec": {
                "instanceId": "source-1", "type": "swr-pro",
                "url": "https://harbor.dr.example.com", "insecure": false,
                "credentialSecretRef": {"name": "login"}
            }
        });
        edit(&mut value);
        World {
            object: Object::from_json(value),
            records: BTreeMap::new(),
            secret: Ok("secret"),
            failures: BTreeMap::new(),
            kube_failures: BTreeMap::new(),
            hidden: Vec::new(),
            gaps: 0,
            stale: None,
            keeps: |description| description,
            hosts: "*",
            undead: false,
            read_only: false,
            clearance: Clearance::Given { until: None },
            witness: Witness {
                is_believed: true,
                may_send: false,
            },
            is_owned: false,
            memory: Memory::default(),
            baseline: None,
            stores: |status| status,
            slow: ("List", 1),
            meanwhile: None,
            time_to_send: None,
            now: 10_000,
            trace: Vec::new(),
        }
    }

    /// A world in which the object's registry was created and is in sync.
    fn settled(edit: impl FnOnce(&mut serde_json::Value)) -> Self {
        let mut world = World::new(|_| {});
        world.reconcile();
        world.trace.clear();
        let status = world.object.take().expect("object").status;
        let fresh = World::new(|value| {
            value["metadata"]["finalizers"] = json!([crate::api::FINALIZER]);
            value["metadata"]["resourceVersion"] = json!("100");
            value["status"] = serde_json::to_value(&status).expect("status");
            edit(value);
        });
        world.object = fresh.object;
        world.now += 1_000;
        world
    }

    fn sealed(&self) -> Result<Sealed, SecretProblem> {
        let secret = self.secret.clone()?;
        let credential = Credential {
            access_key: Sensitive::new("user".to_owned()),
            access_secret: Sensitive::new(secret.to_owned()),
        };
        Ok(Sealer::new(vec![1; 32]).seal(UID, &credential))
    }

    /// A write to the object, if it is still at the version that it was decided upon.
    fn write(
        &mut self,
        what: &str,
        decided_on: &Version,
        change: impl FnOnce(&mut Object),
    ) -> Result<Object, KubeFailure> {
        if let Some(failure) = self.kube_failures.get(what) {
            return Err(*failure);
        }
        let object = self.object.as_mut().ok_or(KubeFailure::NotFound)?;
        if object.version != *decided_on {
            return Err(KubeFailure::Conflict);
        }
        change(object);
        let version: i64 = object.version.0.parse().expect("version");
        object.version = Version((version + 1).to_string());
        Ok(object.clone())
    }

    fn swr<T>(&mut self, what: &str, answer: impl FnOnce(&mut Self) -> T) -> Result<T, Failure> {
        match self.failures.get(what) {
            Some(failure) => Err(failure.clone()),
            None => Ok(answer(self)),
        }
    }

    /// One whose create was not answered.
    fn unanswered() -> Self {
        let mut world = World::new(|_| {});
        world.failures.insert("Create", unknown());
        world.reconcile();
        world.failures.clear();
        world.trace.clear();
        world
    }

    fn put(&mut self, id: i64, sent: &Registry) {
        let kept = (self.keeps)(sent.description.clone());
        let mut stored = record(id, &sent.name, &kept);
        stored.updated_at = Some(self.now.to_string());
        stored.url = sent.url.as_str().into();
        stored.insecure = Some(sent.insecure);
        stored.type_ = sent.target.type_name().into();
        self.records.insert(id, stored);
    }

    /// Runs a reconcile to its end, writes the status, and returns how it ended.
    fn reconcile(&mut self) -> Verdict {
        self.reconcile_from(None)
    }

    /// A reconcile that begins with what the watch shows: the object, or an older one.
    fn reconcile_watched(&mut self, object: Object) -> Verdict {
        let at = at(self.now);
        self.reconcile_from(Some(Watched { object, at }))
    }

    fn reconcile_from(&mut self, watched: Option<Watched>) -> Verdict {
        let reconcile = Reconcile {
            key: ObjectKey::new("images", "harbor-dr"),
            uid: UID.to_owned(),
            owner: owner(),
            windows: WINDOWS,
            read_only: self.read_only,
            witness: self.witness,
            clearance: self.clearance,
            memory: self.memory.clone(),
        };
        let mut next = start(reconcile, watched);
        for _ in 0..50 {
            next = match next {
                Next::Finished(summary) => {
                    self.trace.push(format!("-> {:?}", summary.verdict));
                    let new = status(&summary, &WINDOWS, at(self.now));
                    if let Some((object, new)) = summary.object.as_ref().zip(new) {
                        let version = &object.version;
                        let _ = self.write("WriteStatus", version, |object| object.status = new);
                    }
                    self.baseline = summary.baseline.as_ref().map(|baseline| baseline.digest);
                    self.memory = summary.memory;
                    return summary.verdict;
                }
                Next::Do(effect) => self.execute(*effect),
            };
        }
        panic!("a reconcile without end: {:#?}", self.trace);
    }

    fn execute(&mut self, effect: Effect) -> Next {
        let name = effect.name();
        let shown = match &effect {
            Effect::Show { id, .. } => format!("Show {id}"),
            Effect::Update { target, write, .. } => {
                format!("Update {}: {}", target.id(), write.changes)
            }
            Effect::Delete { target, .. } => format!("Delete {}", target.id()),
            Effect::Untag { target, .. } => format!("Untag {}", target.id()),
            Effect::Adopt { target, .. } => format!("Adopt {}", target.id()),
            Effect::List { then, .. } => match then.patience_secs() {
                Some(secs) => format!("List within {secs} s"),
                None => name.to_owned(),
            },
            Effect::ReadObject { .. }
            | Effect::ConfirmObject { .. }
            | Effect::ReadAccount { .. }
            | Effect::ReadSecret { .. }
            | Effect::FindOwner { .. }
            | Effect::AddFinalizer { .. }
            | Effect::Reserve { .. }
            | Effect::RecordIntent { .. }
            | Effect::Create { .. }
            | Effect::RecordId { .. }
            | Effect::RemoveFinalizer { .. } => name.to_owned(),
        };
        self.trace.push(shown);
        if let Effect::Update { not_after, .. }
        | Effect::Untag { not_after, .. }
        | Effect::Delete { not_after, .. } = &effect
        {
            self.time_to_send = Some(not_after.as_second() - self.now);
        }
        let (slow, secs) = self.slow;
        self.now += if name == slow { secs } else { 1 };
        if let Some(meanwhile) = self.meanwhile.take_if(|_| name == slow) {
            self.object = Some(meanwhile);
        }
        let now = at(self.now);
        match effect {
            Effect::ReadObject { then } => then.resume(Ok(self.object.clone()), now),
            Effect::ConfirmObject { then } => then.resume(Ok(self.object.clone()), now),
            Effect::ReadAccount { then } => then.resume(Ok(account(self.hosts)), now),
            Effect::ReadSecret { then, .. } => then.resume(self.sealed(), now),
            Effect::List { then, .. } => {
                let answer = self.swr(name, |world| {
                    let shown = world.records.values();
                    let shown = shown.filter(|record| !world.hidden.contains(&record.id.0));
                    let shown = shown.map(|record| match &world.stale {
                        Some(stale) if stale.id == record.id => stale.clone(),
                        Some(_) | None => record.clone(),
                    });
                    let inventory = Inventory::new(shown);
                    Some(std::sync::Arc::new(inventory.with_gaps(world.gaps)))
                });
                then.resume(answer, now)
            }
            Effect::FindOwner { then, .. } => then.resume(self.is_owned, now),
            Effect::Show { id, then } => {
                let gone = || Failure::new(Class::NotFound, Cause::RegistryNotFound);
                let answer = self
                    .swr(name, |world| world.records.get(&id.0).cloned())
                    .and_then(|record| record.ok_or_else(gone));
                then.resume(answer, now)
            }
            Effect::AddFinalizer { then } => {
                let answer = self.write(name, &then.work().object().version.clone(), |object| {
                    object.finalizers.push(crate::api::FINALIZER.to_owned());
                });
                then.resume(answer, now)
            }
            Effect::Reserve { then } => {
                let answer = self.swr(name, |_| ());
                then.resume(answer, now)
            }
            Effect::RecordIntent { status, then } => {
                let stores = self.stores;
                let answer = self.write(name, &then.work().object().version.clone(), |object| {
                    object.status = stores(*status);
                });
                then.resume(answer, now)
            }
            Effect::Create { write, then, .. } => {
                let answer = self.swr(name, |world| {
                    let id = world.records.keys().max().unwrap_or(&0) + 1;
                    world.put(id, &write.registry);
                    Some(RegistryId(id))
                });
                then.resume(answer, now)
            }
            Effect::RecordId { status, then } => {
                let answer = self.write(name, &then.work().object().version.clone(), |object| {
                    object.status = *status;
                });
                then.resume(answer, now)
            }
            Effect::Update {
                target,
                write,
                then,
                ..
            } => {
                let answer = self.swr(name, |world| world.put(target.id().0, &write.registry));
                then.resume(answer, now)
            }
            Effect::Adopt {
                target,
                write,
                then,
                ..
            } => {
                let answer = self.swr(name, |world| world.put(target.id().0, &write.registry));
                then.resume(answer, now)
            }
            Effect::Untag {
                target,
                write,
                then,
                ..
            } => {
                let answer = self.swr(name, |world| world.put(target.id().0, &write.registry));
                then.resume(answer, now)
            }
            Effect::Delete { target, then, .. } => {
                let answer = self.swr(name, |world| {
                    if !world.undead {
                        world.records.remove(&target.id().0);
                    }
                });
                then.resume(answer, now)
            }
            Effect::RemoveFinalizer { then } => {
                let answer = self.write(name, &then.work().object().version.clone(), |object| {
                    object.finalizers.clear();
                });
                if answer.is_ok() {
                    self.object = None;
                }
                then.resume(answer.map(drop), now)
            }
        }
    }

    fn check(&mut self, expected: &Expect) {
        self.reconcile();
        let trace: String = self.trace.drain(..).map(|line| line + "\n").collect();
        expected.assert_eq(&trace);
    }
}

const UID: &str = "00000000-1111-2222-3333-444455556666";

fn account(hosts: &str) -> Account {
    let all = || vec!["*".to_owned()];
    Account {
        region: Region::new("region-1"),
        project: ProjectId::new("project-1"),
        namespace_labels: Labels::new(),
        grants: vec![Grant {
            namespaces: all(),
            namespace_selector: None,
            instances: all(),
            targets: Targets {
                hosts: vec![hosts.to_owned()],
                addresses: all(),
                instances: all(),
            },
        }],
    }
}

fn unknown() -> Failure {
    Failure::new(Class::Unknown, Cause::TimedOut)
}

#[test]
fn a_registry_is_created_with_finalizer_and_intent_before_the_post() {
    let mut world = World::new(|_| {});
    world.check(&expect![[r#"
        ReadObject
        ReadAccount
        ReadSecret
        List
        AddFinalizer
        Reserve
        RecordIntent
        Create
        List within 2 s
        -> InSync { health: Healthy }
    "#]]);
    let object = world.object.as_ref().expect("object");
    assert_eq!(object.known_id(), Some(RegistryId(1)));
    assert_eq!(object.status.create_intent, None);
    assert!(object.has_finalizer());
    // Finalizer, intent, result: three writes.
    assert_eq!(object.version.0, "4");
    world.check(&expect![[r#"
        ReadObject
        ReadAccount
        ReadSecret
        List
        -> InSync { health: Healthy }
    "#]]);
}

#[test]
fn no_post_without_a_recorded_intent() {
    for failure in [
        KubeFailure::Conflict,
        KubeFailure::NotFound,
        KubeFailure::Forbidden,
        KubeFailure::Rejected,
        KubeFailure::Unavailable,
    ] {
        for step in ["AddFinalizer", "RecordIntent"] {
            let mut world = World::new(|_| {});
            world.kube_failures.insert(step, failure);
            world.reconcile();
            assert!(
                !world.trace.contains(&"Create".to_owned()),
                "{failure:?} {step}"
            );
        }
    }
}

#[test]
fn without_room_within_the_limits_of_the_account_nothing_is_noted_and_nothing_sent() {
    let mut world = World::new(|_| {});
    let class = Class::Throttled {
        after_secs: Some(9),
    };
    let failure = Failure::new(class, Cause::OwnLimits);
    world.failures.insert("Reserve", failure.clone());
    let ended = world.reconcile();
    let operation = Operation::Create;
    assert_eq!(ended, Verdict::Swr { operation, failure });
    assert!(!world.trace.contains(&"RecordIntent".to_owned()));
    assert!(world.object.expect("object").status.create_intent.is_none());
}

#[test]
fn a_definite_refusal_clears_the_intent_and_an_unknown_outcome_keeps_it() {
    let intent_after = |class| {
        let mut world = World::new(|_| {});
        world
            .failures
            .insert("Create", Failure::new(class, Cause::Rejected));
        world.reconcile();
        world.object.expect("object").status.create_intent.is_some()
    };
    assert!(intent_after(Class::Unknown));
    for class in [
        Class::Transient,
        Class::Throttled { after_secs: None },
        Class::NotFound,
        Class::Conflict,
        Class::Denied,
        Class::Invalid,
    ] {
        assert!(!intent_after(class), "{class:?}");
    }
}

#[test]
fn after_an_unanswered_post_the_next_waits_for_the_settle_time() {
    let mut world = World::unanswered();
    let posted_at = world.now;
    let ended = world.reconcile();
    assert!(matches!(ended, Verdict::Settling { until } if until <= at(posted_at + 120)));
    world.now = posted_at + 121;
    world.trace.clear();
    world.check(&expect![[r#"
        ReadObject
        ReadAccount
        ReadSecret
        List
        Reserve
        RecordIntent
        Create
        List within 2 s
        -> InSync { health: Healthy }
    "#]]);
    assert_eq!(world.records.len(), 1);
}

#[test]
fn a_registry_whose_id_was_lost_is_found_by_its_tag_at_once() {
    let mut world = World::unanswered();
    // The POST had landed all the same.
    world
        .records
        .insert(9, record(9, "harbor-dr", owner().tag()));
    world.check(&expect![[r#"
        ReadObject
        ReadAccount
        ReadSecret
        List
        Show 9
        Update 9: credential
        List
        -> InSync { health: Healthy }
    "#]]);
    let status = &world.object.as_ref().expect("object").status;
    assert_eq!(
        (status.registry_id, &status.create_intent),
        (Some(9), &None)
    );
}

#[test]
fn a_late_list_does_not_keep_the_id_waiting() {
    let mut world = World::new(|_| {});
    world.hidden = vec![1];
    world.check(&expect![[r#"
        ReadObject
        ReadAccount
        ReadSecret
        List
        AddFinalizer
        Reserve
        RecordIntent
        Create
        List within 2 s
        -> NotVisible { until: 1970-01-01T02:48:48Z }
    "#]]);
    let status = &world.object.as_ref().expect("object").status;
    assert_eq!(
        (status.registry_id, &status.create_intent),
        (Some(1), &None)
    );
    world.reconcile();
    assert_eq!(world.records.len(), 1, "not visible is not gone");
}

#[test]
fn a_difference_costs_one_put_after_the_tag_was_seen() {
    let mut world = World::settled(|value| {
        value["metadata"]["generation"] = json!(2);
        value["spec"]["url"] = json!("https://new.example.com");
    });
    world.check(&expect![[r#"
        ReadObject
        ReadAccount
        ReadSecret
        List
        Show 1
        Update 1: url
        List
        -> InSync { health: Healthy }
    "#]]);
}

#[test]
fn an_update_that_is_not_visible_is_not_sent_again_before_the_settle_time_and_twice_at_most() {
    let mut world = World::settled(|value| {
        value["metadata"]["generation"] = json!(2);
        value["spec"]["description"] = json!("is not kept");
    });
    world.keeps = |description| description.replace("is not kept ", "");
    let updates = |world: &mut World| {
        let verdict = world.reconcile();
        let n = world
            .trace
            .iter()
            .filter(|line| line.starts_with("Update"))
            .count();
        world.trace.clear();
        (n, verdict)
    };
    assert!(matches!(
        updates(&mut world),
        (1, Verdict::NotVisible { .. })
    ));
    assert!(matches!(
        updates(&mut world),
        (0, Verdict::NotVisible { .. })
    ));
    world.now += 121;
    assert!(matches!(
        updates(&mut world),
        (1, Verdict::NotVisible { .. })
    ));
    world.now += 121;
    assert!(matches!(updates(&mut world), (0, Verdict::NotApplied(_))));
    world.now += 3_600;
    assert!(matches!(
        updates(&mut world),
        (1, Verdict::NotVisible { .. })
    ));
}

#[test]
fn three_corrections_in_half_an_hour_are_a_fight() {
    let mut world = World::settled(|_| {});
    for n in 0..4 {
        world.records.get_mut(&1).expect("ours").url =
            format!("https://other-{n}.example.com").into();
        world.now += 60;
        let verdict = world.reconcile();
        if n < 3 {
            assert!(
                matches!(verdict, Verdict::InSync { .. }),
                "{n}: {verdict:?}"
            );
        } else {
            assert!(matches!(verdict, Verdict::Fighting(_)), "{n}: {verdict:?}");
        }
    }
    // Another observation in between, whatever for, does not end it.
    world.records.get_mut(&1).expect("ours").url = "https://other-5.example.com".into();
    assert!(matches!(world.reconcile(), Verdict::Fighting(_)));
    world.now += 1_800;
    assert!(matches!(world.reconcile(), Verdict::InSync { .. }));
}

#[test]
fn a_registry_that_is_gone_is_made_anew_only_when_that_is_certain() {
    let mut world = World::settled(|_| {});
    world.records.clear();
    // A process that has just come knows no better than the status, whose time is another clock's.
    for created_at in ["1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z"] {
        let mut lagging = World::settled(|value| {
            value["status"]["createdAt"] = json!(created_at);
        });
        lagging.records.clear();
        lagging.memory = Memory::default();
        assert!(matches!(lagging.reconcile(), Verdict::NotVisible { .. }));
        lagging.now += 121;
        assert!(matches!(lagging.reconcile(), Verdict::InSync { .. }));
    }

    world.check(&expect![[r#"
        ReadObject
        ReadAccount
        ReadSecret
        List
        Show 1
        List
        Reserve
        RecordIntent
        Create
        List within 2 s
        -> InSync { health: Healthy }
    "#]]);
}

#[test]
fn a_404_of_the_gateway_or_of_the_instance_never_means_gone() {
    for cause in [Cause::ApiNotFound, Cause::InstanceNotFound] {
        let mut world = World::settled(|_| {});
        world.records.clear();
        world
            .failures
            .insert("Show", Failure::new(Class::Transient, cause));
        world.reconcile();
        assert!(!world.trace.contains(&"Create".to_owned()));
        let mut deleting = World::settled(|value| {
            value["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        });
        deleting
            .failures
            .insert("Show", Failure::new(Class::Transient, cause));
        deleting.reconcile();
        assert!(deleting.object.is_some(), "the finalizer stays");
    }
}

#[test]
fn a_registry_without_our_tag_is_never_written_to() {
    for (id, description) in [
        (1, String::new()),
        (1, stranger().describe("")),
        (7, String::new()),
        (7, stranger().describe("")),
    ] {
        for deleting in [false, true] {
            let mut world = World::settled(|value| {
                value["spec"]["url"] = json!("https://new.example.com");
                if deleting {
                    value["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
                }
            });
            world.records.clear();
            world
                .records
                .insert(id, record(id, "harbor-dr", &description));
            let before = world.records.clone();
            world.reconcile();
            assert_eq!(world.records, before, "{id} {description:?} {deleting}");
        }
    }
}

#[test]
fn a_tag_that_swr_does_not_keep_stops_everything() {
    let mut world = World::new(|_| {});
    world.keeps = |description| description.chars().take(20).collect();
    assert_eq!(world.reconcile(), Verdict::TagNotKept);
    assert_eq!(world.reconcile(), Verdict::TagNotKept);
    assert_eq!(world.records.len(), 1);
    assert_eq!(
        world.object.expect("object").known_id(),
        Some(RegistryId(1))
    );

    // The same when the LIST after the create does not show the registry yet.
    let mut world = World::new(|_| {});
    world.keeps = |description| description.chars().take(20).collect();
    world.hidden = vec![1];
    assert!(matches!(world.reconcile(), Verdict::NotVisible { .. }));
    assert!(matches!(world.reconcile(), Verdict::NotVisible { .. }));
    world.now += 200;
    assert_eq!(world.reconcile(), Verdict::TagNotKept);
}

#[test]
fn an_untagged_registry_is_adopted_only_where_the_spec_allows_it() {
    let adopt = |adoption: serde_json::Value, name: &str| {
        let mut world = World::new(|value| value["spec"]["adoption"] = adoption);
        world.records.insert(4, record(4, name, "made by hand"));
        let verdict = world.reconcile();
        let adopts = world.trace.iter().any(|line| line == "Adopt 4");
        (adopts, verdict)
    };
    for (adoption, name, expected) in [
        (json!({"policy": "Never"}), "harbor-dr", false),
        (json!({"policy": "IfUnowned"}), "harbor-dr", true),
        (json!({"policy": "IfUnowned"}), "another", false),
        (
            json!({"policy": "IfUnowned", "registryId": 4}),
            "another",
            true,
        ),
        (
            json!({"policy": "IfUnowned", "registryId": 5}),
            "harbor-dr",
            false,
        ),
    ] {
        let (adopts, verdict) = adopt(adoption.clone(), name);
        assert_eq!(adopts, expected, "{adoption} {name}: {verdict:?}");
    }
}

#[test]
fn a_lost_tag_is_put_back_where_adoption_is_allowed() {
    let lost = |edit: fn(&mut serde_json::Value)| {
        let mut world = World::settled(edit);
        world.records.insert(1, record(1, "harbor-dr", "edited"));
        let verdict = world.reconcile();
        (world.records[&1].description.clone(), verdict)
    };
    assert_eq!(lost(|_| {}).1, Verdict::OwnershipLost);
    let (description, verdict) =
        lost(|value| value["spec"]["adoption"] = json!({"policy": "IfUnowned"}));
    assert_eq!(description, owner().tag());
    assert!(matches!(verdict, Verdict::InSync { .. }), "{verdict:?}");
}

mod others;
mod preview;
mod read_only;
mod removal;
mod watched;
