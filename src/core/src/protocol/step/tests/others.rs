//! What others do to a registry, or leave behind: copies, changes that SWR does not show, tags
//! taken off, another process's clock, the registry of an earlier object.

use super::*;
use crate::summary::{Held, Operation};

fn posts(world: &World) -> usize {
    let lines = world.trace.iter();
    lines.filter(|line| *line == "Create").count()
}

fn puts(world: &World) -> Vec<&str> {
    let lines = world.trace.iter().map(String::as_str);
    lines
        .filter(|line| line.starts_with("Update") || line.starts_with("Adopt"))
        .collect()
}

fn status(world: &World) -> &crate::api::registry::ReplicationRegistryStatus {
    &world.object.as_ref().expect("object").status
}

/// A world in which somebody copied the object's registry, tag and all.
fn with_copies(ids: &[i64]) -> World {
    let mut world = World::settled(|_| {});
    for id in ids {
        let copy = record(*id, &format!("copy-{id}"), owner().tag());
        world.records.insert(*id, copy);
    }
    world
}

#[test]
fn a_copy_of_the_registry_is_named_and_left_alone() {
    let mut world = with_copies(&[26]);
    assert!(matches!(world.reconcile(), Verdict::InSync { .. }));
    assert_eq!(
        (status(&world).registry_id, status(&world).clones.as_slice()),
        (Some(1), &[26][..])
    );
    let ready = &status(&world).conditions[0];
    assert_eq!(ready.status, crate::api::ConditionStatus::True);
    assert!(
        ready.message.contains("registry 26 carries a copy"),
        "{}",
        ready.message
    );
    world.records.remove(&26);
    world.reconcile();
    assert_eq!(status(&world).clones, [0; 0]);
}

#[test]
fn a_copy_takes_the_place_of_a_registry_that_is_gone_unless_there_are_several() {
    let mut world = with_copies(&[26]);
    world.records.remove(&1);
    assert!(matches!(world.reconcile(), Verdict::InSync { .. }));
    assert_eq!((status(&world).registry_id, posts(&world)), (Some(26), 0));

    let mut world = with_copies(&[26, 27]);
    world.records.remove(&1);
    let both = vec![RegistryId(26), RegistryId(27)];
    for _ in 0..2 {
        assert_eq!(world.reconcile(), Verdict::DuplicateTag(both.clone()));
    }
    assert_eq!((posts(&world), puts(&world).len()), (0, 0));
    // A person deletes one of them.
    world.records.remove(&27);
    assert!(matches!(world.reconcile(), Verdict::InSync { .. }));
    assert_eq!(status(&world).registry_id, Some(26));
}

#[test]
fn of_two_registries_with_our_tag_and_no_id_none_is_written_to_or_deleted() {
    let mut world = World::new(|value| {
        value["metadata"]["finalizers"] = json!([crate::api::FINALIZER]);
    });
    world.records.insert(8, record(8, "a", owner().tag()));
    world.records.insert(9, record(9, "b", owner().tag()));
    let both = vec![RegistryId(8), RegistryId(9)];
    assert_eq!(world.reconcile(), Verdict::DuplicateTag(both.clone()));
    world.object.as_mut().expect("object").deleting = true;
    let verdict = Verdict::CannotDelete(Blocker::DuplicateTag(both));
    assert_eq!(world.reconcile(), verdict);
    assert_eq!(world.records.len(), 2);
}

#[test]
fn an_intent_settles_by_the_clock_of_the_process_that_reads_it() {
    // Written by a process whose clock was far behind, or far ahead, or by a crafted status.
    for started_at in [
        "1970-01-01T00:00:00Z",
        "2300-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
    ] {
        let mut world = World::new(|value| {
            value["metadata"]["finalizers"] = json!([crate::api::FINALIZER]);
            value["status"] = json!({
                "createIntent": {"attempt": i64::MAX, "startedAt": started_at}
            });
        });
        let first_seen = world.now;
        assert!(
            matches!(world.reconcile(), Verdict::Settling { .. }),
            "{started_at}"
        );
        world.now = first_seen + 60;
        assert!(
            matches!(world.reconcile(), Verdict::Settling { .. }),
            "{started_at}"
        );
        assert_eq!(posts(&world), 0);
        world.now = first_seen + 125;
        assert!(
            matches!(world.reconcile(), Verdict::InSync { .. }),
            "{started_at}"
        );
        assert_eq!(posts(&world), 1);
    }
}

#[test]
fn an_intent_of_another_process_begins_to_settle_anew() {
    let mut world = World::new(|_| {});
    world.failures.insert("Create", unknown());
    world.reconcile();
    world.now += 100;
    // It takes over, and writes an intent of its own, which is not answered either.
    let status = &mut world.object.as_mut().expect("object").status;
    status.create_intent = Some(CreateIntent {
        attempt: 2,
        started_at: at(0),
    });
    world.now += 100;
    assert!(matches!(world.reconcile(), Verdict::Settling { .. }));
}

#[test]
fn a_credential_sent_at_a_time_to_come_is_sent_again_when_it_is_due_from_now_on() {
    let mut world = World::settled(|value| {
        value["spec"]["resendCredentialEvery"] = json!("1h");
        value["status"]["credential"]["sentAt"] = json!("2100-01-01T00:00:00Z");
    });
    world.reconcile();
    assert_eq!(puts(&world).len(), 0);
    world.now += 3_601;
    world.reconcile();
    assert_eq!(puts(&world), ["Update 1: credential"]);
}

#[test]
fn a_registry_that_moved_without_a_difference_is_sent_once_and_only_with_leave() {
    let mut world = World::settled(|_| {});
    let left = status(&world).applied.clone().expect("applied").updated_at;
    assert_eq!(left, world.records[&1].updated_at);
    world.records.get_mut(&1).expect("ours").updated_at = Some("by somebody".to_owned());
    assert!(matches!(world.reconcile(), Verdict::InSync { .. }));
    assert_eq!(puts(&world).len(), 0);
    world.witness.may_send = true;
    assert!(matches!(world.reconcile(), Verdict::InSync { .. }));
    assert_eq!(puts(&world), ["Update 1: credential"]);
    // Our own write is what it is compared with from then on.
    world.reconcile();
    assert_eq!(puts(&world).len(), 1);
    // A change of health may have moved it.
    let ours = world.records.get_mut(&1).expect("ours");
    ours.updated_at = Some("by health".to_owned());
    ours.health = crate::observed::Health::Unhealthy;
    world.reconcile();
    world.reconcile();
    assert_eq!(puts(&world).len(), 1);
    // And where that was seen, nothing is believed.
    world.records.get_mut(&1).expect("ours").updated_at = Some("by anything".to_owned());
    world.witness.is_believed = false;
    world.reconcile();
    assert_eq!(puts(&world).len(), 1);
}

#[test]
fn an_own_write_that_a_list_shows_late_is_nobody_elses() {
    let mut world = World::settled(|_| {});
    world.witness.may_send = true;
    world.stale = Some(world.records[&1].clone());
    world.secret = Ok("another");
    assert!(matches!(world.reconcile(), Verdict::InSync { .. }));
    // What this LIST shows is from before, so the next poll leads to a reconcile.
    assert_eq!(world.baseline, Some(Digest::NONE));
    world.stale = None;
    for _ in 0..2 {
        assert!(matches!(world.reconcile(), Verdict::InSync { .. }));
    }
    assert_ne!(world.baseline, Some(Digest::NONE));
    assert_eq!(puts(&world), ["Update 1: credential"]);
    // Whoever writes it after us is noticed as ever.
    world.records.get_mut(&1).expect("ours").updated_at = Some("by somebody".to_owned());
    world.reconcile();
    assert_eq!(puts(&world).len(), 2);
}

#[test]
fn what_only_a_show_shows_is_sent_until_there_is_an_answer() {
    let mut world = World::settled(|_| {});
    world.witness.may_send = true;
    let ours = world.records.get_mut(&1).expect("ours");
    ours.updated_at = Some("by somebody".to_owned());
    let listed = ours.clone();
    ours.dns_hosts = Some([("a.example.com".to_owned(), "192.0.2.99".to_owned())].into());
    world.stale = Some(listed);
    // Lost on its way: what a LIST shows is equal before and after.
    world.failures.insert("Update", unknown());
    world.reconcile();
    world.failures.clear();
    world.reconcile();
    assert_eq!(puts(&world).len(), 2);
    assert_eq!(world.records[&1].dns_hosts, None);
}

#[test]
fn an_own_write_without_an_answer_is_nobody_elses_once_swr_shows_it() {
    const CHANGED: &str = "https://changed.example.com";
    let unanswered = || Failure::new(Class::Unknown, Cause::Unreachable);
    let mut world = World::settled(|value| {
        value["metadata"]["generation"] = json!(2);
        value["spec"]["url"] = json!(CHANGED);
    });
    world.witness.may_send = true;
    world.failures.insert("Update", unanswered());
    world.reconcile();
    world.failures.clear();
    let ours = world.records.get_mut(&1).expect("ours");
    ours.url = CHANGED.into();
    ours.updated_at = Some("by us".to_owned());
    for _ in 0..2 {
        assert!(matches!(world.reconcile(), Verdict::InSync { .. }));
    }
    assert_eq!(puts(&world), ["Update 1: url"]);
    // What SWR does not show is sent until there is an answer.
    world.records.get_mut(&1).expect("ours").updated_at = Some("by somebody".to_owned());
    world.failures.insert("Update", unanswered());
    world.reconcile();
    world.failures.clear();
    for _ in 0..2 {
        assert!(matches!(world.reconcile(), Verdict::InSync { .. }));
    }
    assert_eq!(
        puts(&world),
        [
            "Update 1: url",
            "Update 1: credential",
            "Update 1: credential"
        ]
    );
}

#[test]
fn a_registry_that_moves_again_and_again_is_a_fight() {
    let mut world = World::settled(|_| {});
    world.witness.may_send = true;
    for n in 0..4 {
        world.records.get_mut(&1).expect("ours").updated_at = Some(format!("by somebody {n}"));
        world.now += 60;
        let verdict = world.reconcile();
        assert_eq!(
            matches!(verdict, Verdict::Fighting(_)),
            n == 3,
            "{n}: {verdict:?}"
        );
    }
}

#[test]
fn who_only_observes_says_what_moved_without_a_difference() {
    let moved = |observes: bool| {
        let mut world = World::settled(|value| {
            if observes {
                value["spec"]["mode"] = json!("Observe");
            }
        });
        world.read_only = !observes;
        world.records.get_mut(&1).expect("ours").updated_at = Some("by somebody".to_owned());
        world.reconcile()
    };
    assert!(matches!(moved(true), Verdict::DriftObserved(_)));
    assert!(matches!(moved(false), Verdict::ReadOnly(Held::Update(_))));
}

#[test]
fn a_request_by_annotation_sends_the_credential_once() {
    let mut world = World::settled(|_| {});
    world.object.as_mut().expect("object").requested_at = Some("2026-01-01".to_owned());
    world
        .failures
        .insert("Update", Failure::new(Class::Transient, Cause::ServerError));
    world.reconcile();
    world.failures.clear();
    for _ in 0..3 {
        assert!(matches!(world.reconcile(), Verdict::InSync { .. }));
    }
    assert_eq!(
        puts(&world),
        ["Update 1: credential", "Update 1: credential"]
    );
    assert_eq!(
        status(&world).last_handled_reconcile_at.as_deref(),
        Some("2026-01-01")
    );
}

#[test]
fn a_tag_that_is_taken_off_again_and_again_is_a_fight() {
    let mut world = World::settled(|value| {
        value["spec"]["adoption"] = json!({"policy": "IfUnowned"});
    });
    for n in 0..4 {
        world.records.get_mut(&1).expect("ours").description = "by Terraform".to_owned();
        world.now += 60;
        let verdict = world.reconcile();
        assert_eq!(
            matches!(verdict, Verdict::Fighting(_)),
            n == 3,
            "{n}: {verdict:?}"
        );
    }
    assert_eq!(puts(&world), ["Adopt 1"; 3]);
}

fn earlier() -> crate::tag::Owner {
    let installation = crate::tag::Installation::from_configured("test");
    let uid = "00000000-0000-0000-0000-00000000000e";
    crate::tag::Owner::new(&installation, uid, "images", "harbor-dr")
}

/// A cluster that was restored: the object is new, and its registry is that of the old one.
fn restored(policy: &str, with_status: bool) -> World {
    let old = World::settled(|_| {});
    let old_status = serde_json::to_value(status(&old)).expect("status");
    let mut world = World::new(|value| {
        value["spec"]["adoption"] = json!({"policy": policy});
        if with_status {
            value["metadata"]["finalizers"] = json!([crate::api::FINALIZER]);
            value["status"] = old_status;
        }
    });
    world
        .records
        .insert(1, record(1, "harbor-dr", &earlier().describe("dr")));
    world
}

#[test]
fn after_a_restore_the_registry_is_in_the_way_or_taken_over_as_the_spec_says() {
    for with_status in [false, true] {
        for policy in ["Never", "IfUnowned"] {
            let mut world = restored(policy, with_status);
            let verdict = Verdict::Conflict(crate::plan::Foreign::Predecessor);
            assert_eq!(world.reconcile(), verdict, "{policy} {with_status}");
        }
        let mut world = restored("Rebuild", with_status);
        assert!(matches!(world.reconcile(), Verdict::Rebuilding { .. }));
        world.now += 60;
        // Somebody still writes to it: the wait begins anew.
        world.records.get_mut(&1).expect("old").updated_at = Some("just now".to_owned());
        assert!(matches!(world.reconcile(), Verdict::Rebuilding { .. }));
        world.now += 100;
        assert!(matches!(world.reconcile(), Verdict::Rebuilding { .. }));
        world.now += 100;
        assert!(
            matches!(world.reconcile(), Verdict::InSync { .. }),
            "{:?}",
            world.trace
        );
        assert_eq!((posts(&world), puts(&world)), (0, vec!["Adopt 1"]));
        assert_eq!(world.records[&1].description, owner().tag());
        // Nobody took a tag off, so there was nothing to put right.
        assert_eq!(world.memory.corrected_at, []);
    }
}

#[test]
fn what_a_digest_does_not_cover_is_reconciled_at_every_poll() {
    // Two of an earlier object, with names that are not the spec's.
    let mut world = restored("Rebuild", false);
    for id in [1, 2] {
        let left = record(id, &format!("left-{id}"), earlier().tag());
        world.records.insert(id, left);
    }
    let both = vec![RegistryId(1), RegistryId(2)];
    assert_eq!(world.reconcile(), Verdict::DuplicateTag(both));
    assert_eq!(world.baseline, Some(Digest::NONE));
    world.records.remove(&2);
    assert!(matches!(world.reconcile(), Verdict::Rebuilding { .. }));
    // Its owner may go without any change in SWR.
    world.now += 200;
    world.is_owned = true;
    assert!(matches!(world.reconcile(), Verdict::Conflict(_)));
    assert_eq!(world.baseline, Some(Digest::NONE));
}

#[test]
fn an_absent_updated_at_is_no_sign_of_a_change() {
    let mut world = World::settled(|_| {});
    world.witness.may_send = true;
    world.records.get_mut(&1).expect("ours").updated_at = None;
    assert!(matches!(world.reconcile(), Verdict::InSync { .. }));
    assert_eq!(puts(&world).len(), 0);
}

#[test]
fn the_registry_of_an_object_that_exists_is_never_taken_over() {
    let mut world = restored("Rebuild", false);
    world.is_owned = true;
    world.reconcile();
    world.now += 200;
    let verdict = Verdict::Conflict(crate::plan::Foreign::TaggedByOther);
    assert_eq!(world.reconcile(), verdict);
    assert_eq!(world.records[&1].description, earlier().describe("dr"));
}

#[test]
fn a_list_with_a_gap_proves_neither_that_a_registry_is_gone_nor_that_a_request_was_lost() {
    let mut world = World::settled(|_| {});
    world.records.clear();
    world.gaps = 1;
    for _ in 0..2 {
        let verdict = world.reconcile();
        assert!(
            matches!(
                verdict,
                Verdict::Swr {
                    operation: Operation::List,
                    ..
                }
            ),
            "{verdict:?}"
        );
        world.now += 200;
    }
    assert_eq!(posts(&world), 0);

    let mut world = World::unanswered();
    world.now += 200;
    world.gaps = 1;
    world.reconcile();
    assert_eq!(posts(&world), 0);
    world.gaps = 0;
    world.reconcile();
    assert_eq!(posts(&world), 1);
}

#[test]
fn a_list_with_a_gap_does_not_keep_a_new_registry_from_being_made() {
    let mut world = World::new(|_| {});
    world.gaps = 1;
    assert!(matches!(world.reconcile(), Verdict::InSync { .. }));
}

#[test]
fn a_tag_that_was_not_kept_is_put_back_at_the_second_try_if_the_first_changed_nothing() {
    for refused in ["Reserve", "Adopt"] {
        let mut world = World::new(|_| {});
        world.keeps = |description| description.chars().take(20).collect();
        assert_eq!(world.reconcile(), Verdict::TagNotKept);
        let status = world.object.take().expect("object").status;
        let changed = World::new(|value| {
            value["metadata"]["finalizers"] = json!([crate::api::FINALIZER]);
            value["metadata"]["generation"] = json!(2);
            value["spec"]["adoption"] = json!({"policy": "IfUnowned"});
            value["status"] = serde_json::to_value(&status).expect("status");
        });
        world.object = changed.object;
        world.now += 1_000;
        world.keeps = |description| description;
        let failure = Failure::new(Class::Transient, Cause::TooLate);
        world.failures.insert(refused, failure);
        assert!(matches!(world.reconcile(), Verdict::Swr { .. }));
        world.failures.clear();
        let ended = world.reconcile();
        assert!(
            matches!(ended, Verdict::InSync { .. }),
            "{refused}: {ended:?}"
        );
    }
}

#[test]
fn an_object_that_leads_to_another_instance_than_its_registry_stops() {
    // Admission refuses such an edit; an older CRD would not.
    let mut world = World::settled(|value| {
        value["spec"]["instanceId"] = json!("source-2");
        value["spec"]["url"] = json!("https://changed.example.com");
    });
    let verdict = world.reconcile();
    assert!(
        matches!(&verdict, Verdict::BindingChanged(was) if was.instance_id == "source-1"),
        "{verdict:?}"
    );
    assert_eq!(world.trace[..2], ["ReadObject", "ReadAccount"]);
    assert_eq!(world.trace.len(), 3, "{:?}", world.trace);
}

#[test]
fn no_post_for_an_intent_that_the_api_server_does_not_keep() {
    let mut world = World::new(|_| {});
    world.stores = |status| ReplicationRegistryStatus {
        create_intent: None,
        ..status
    };
    assert_eq!(world.reconcile(), Verdict::KubernetesRefuses);
    assert!(!world.trace.contains(&"Create".to_owned()));
}

#[test]
fn an_adopted_registry_that_a_list_still_shows_without_our_tag_is_waited_for() {
    let mut world = World::new(|value| value["spec"]["adoption"] = json!({"policy": "IfUnowned"}));
    let before = record(3, "harbor-dr", "theirs");
    world.records.insert(3, before.clone());
    world.stale = Some(before);
    let verdict = world.reconcile();
    assert!(matches!(verdict, Verdict::NotVisible { .. }), "{verdict:?}");
    assert_ne!(world.records[&3].description, "theirs");
}

#[test]
fn a_change_of_what_swr_never_shows_is_done_when_it_was_sent() {
    let mut world = World::settled(|value| {
        value["metadata"]["generation"] = json!(2);
        value["spec"]["dnsConf"] = json!({"hosts": {"h.example.com": "192.0.2.10"}});
    });
    for (n_puts, why) in [(1, "sent"), (0, "not again")] {
        let verdict = world.reconcile();
        assert!(
            matches!(verdict, Verdict::InSync { .. }),
            "{why}: {verdict:?}"
        );
        assert_eq!(puts(&world).len(), n_puts, "{why}");
        world.trace.clear();
    }
}
