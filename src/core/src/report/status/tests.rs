//! What people read after a reconcile, one case per way a reconcile can end.

use expect_test::{Expect, expect};
use serde_json::json;

use super::*;
use crate::answer::AccountProblem;
use crate::credential::Rule;
use crate::desired::{Invalid, RegistryId, SecretRef};
use crate::diff::{Change, Field};
use crate::failure::Class;
use crate::observed::tests::record;
use crate::plan::Foreign;
use crate::reconcile::{Memory, Removed};
use crate::requeue::{Requeue, requeue};

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

fn object(edit: impl FnOnce(&mut serde_json::Value)) -> Object {
    let mut value = json!({
        "apiVersion": "swr.huaweicloud.com/v1alpha1",
        "kind": "ReplicationRegistry",
        "metadata": {
            "namespace": "images", "name": "harbor-dr", "uid": "u-1",
            "resourceVersion": "7", "generation": 3
        },
        "spec": {
            "instanceId": "source-1", "type": "huawei-SWR", "url": "https://swr.example.com",
            "insecure": true, "credentialSecretRef": {"name": "login"}
        }
    });
    edit(&mut value);
    Object::from_json(value).expect("object")
}

fn summary(object: Object, verdict: Verdict) -> Summary {
    Summary {
        object: Some(object),
        ..Summary::unread(Memory::default(), verdict)
    }
}

/// An object that was ready for generation 3 when it was reconciled last, at 1,000 s.
fn ready_object() -> Object {
    let fresh = object(|_| {});
    let summary = summary(
        fresh,
        Verdict::InSync {
            health: Health::Healthy,
        },
    );
    let status = status(&summary, &WINDOWS, at(1_000)).expect("a first status");
    object(|value| value["status"] = serde_json::to_value(&status).expect("status"))
}

fn render(status: Option<&ReplicationRegistryStatus>) -> String {
    let Some(status) = status else {
        return "nothing is written\n".to_owned();
    };
    status
        .conditions
        .iter()
        .map(|c| {
            format!(
                "{:<12}{:<8}{} @{}: {}\n",
                c.type_,
                c.status.as_str(),
                c.reason,
                c.last_transition_time.as_second(),
                c.message
            )
        })
        .collect()
}

fn check(object: Object, verdict: Verdict, expected: Expect) {
    let summary = summary(object, verdict);
    let written = status(&summary, &WINDOWS, at(2_000));
    expected.assert_eq(&render(written.as_ref()));
    if let Some(written) = written {
        assert_eq!(written.observed_generation, 3);
        let stalled = written.conditions.iter().any(|c| c.type_ == "Stalled");
        let reconciling = written.conditions.iter().any(|c| c.type_ == "Reconciling");
        assert!(!(stalled && reconciling), "both at once");
        // Writing it makes a second write unnecessary, whatever the time.
        let again = Summary {
            object: summary.object.clone().map(|object| Object {
                status: written,
                ..object
            }),
            ..summary
        };
        assert_eq!(status(&again, &WINDOWS, at(2_050)), None);
    }
}

fn fresh() -> Object {
    object(|_| {})
}

fn changes() -> Changes {
    Changes::new(vec![Change {
        field: Field::Url,
        desired: "https://swr.example.com".to_owned(),
        observed: "https://other.example.com".to_owned(),
    }])
    .expect("one")
}

fn swr(operation: Operation, class: Class, cause: Cause) -> Verdict {
    Verdict::Swr {
        operation,
        failure: Failure::new(class, cause),
    }
}

#[test]
fn a_healthy_registry_in_sync_is_ready() {
    let verdict = |health| Verdict::InSync { health };
    check(
        fresh(),
        verdict(Health::Healthy),
        expect![[r#"
        Ready       True    Available @2000: the registry is equal to the spec and healthy
        Synced      True    Available @2000: the registry is equal to the spec and healthy
    "#]],
    );
    check(
        fresh(),
        verdict(Health::NotReported),
        expect![[r#"
        Ready       True    Available @2000: the registry is equal to the spec; SWR does not report its health
        Synced      True    Available @2000: the registry is equal to the spec; SWR does not report its health
    "#]],
    );
    check(
        ready_object(),
        verdict(Health::Healthy),
        expect![[r#"
        nothing is written
    "#]],
    );
}

#[test]
fn an_unhealthy_target_is_believed_after_the_grace_of_the_last_write() {
    let verdict = Verdict::InSync {
        health: Health::Unhealthy,
    };
    check(
        ready_object(),
        verdict.clone(),
        expect![[r#"
        Ready       False   TargetUnhealthy @2000: SWR reports the target as unhealthy: check url, network and credential
        Synced      True    TargetUnhealthy @1000: SWR reports the target as unhealthy: check url, network and credential
    "#]],
    );
    let written_at = |sent_at: &str| {
        object(|value| {
            value["status"] = json!({"credential": {
                "secretName": "login", "fingerprint": "f", "sentAt": sent_at
            }});
        })
    };
    // 300 s before 2,000 s.
    check(
        written_at("1970-01-01T00:28:20Z"),
        verdict.clone(),
        expect![[r#"
            Ready       False   TargetUnhealthy @2000: SWR reports the target as unhealthy: check url, network and credential
            Synced      True    TargetUnhealthy @2000: SWR reports the target as unhealthy: check url, network and credential
        "#]],
    );
    check(
        written_at("1970-01-01T00:30:00Z"),
        verdict,
        expect![[r#"
        Ready       Unknown Verifying @2000: SWR reports the target as unhealthy; it was just written, so its next check is awaited
        Synced      True    Verifying @2000: SWR reports the target as unhealthy; it was just written, so its next check is awaited
        Reconciling True    Verifying @2000: SWR reports the target as unhealthy; it was just written, so its next check is awaited
    "#]],
    );
}

#[test]
fn a_failure_that_passes_leaves_a_ready_object_ready_for_three_polls() {
    let verdict = || swr(Operation::List, Class::Transient, Cause::ServerError);
    check(
        fresh(),
        verdict(),
        expect![[r#"
        Ready       False   ApiUnavailable @2000: cannot list the instance's registries: SWR answered with an internal error
        Synced      Unknown ApiUnavailable @2000: cannot list the instance's registries: SWR answered with an internal error
        Reconciling True    ProgressingWithRetry @2000: cannot list the instance's registries: SWR answered with an internal error
    "#]],
    );
    let since = |secs| {
        let mut summary = summary(ready_object(), verdict());
        summary.memory.unverified_since = Some(at(secs));
        render(status(&summary, &WINDOWS, at(5_000)).as_ref())
    };
    expect![[r#"
        Ready       True    Available @1000: the registry is equal to the spec and healthy
        Synced      Unknown ApiUnavailable @5000: cannot list the instance's registries: SWR answered with an internal error
    "#]]
    .assert_eq(&since(5_000 - 1_799));
    expect![[r#"
        Ready       Unknown ApiUnavailable @5000: cannot list the instance's registries: SWR answered with an internal error
        Synced      Unknown ApiUnavailable @5000: cannot list the instance's registries: SWR answered with an internal error
        Reconciling True    ProgressingWithRetry @5000: cannot list the instance's registries: SWR answered with an internal error
    "#]]
    .assert_eq(&since(5_000 - 1_800));
    // It says so itself, whatever else it waits for.
    let again = |secs| {
        let mut summary = summary(ready_object(), Verdict::NoAccount(AccountProblem::NotReady));
        summary.memory.unverified_since = Some(at(secs));
        requeue(&summary, &WINDOWS, at(5_000))
    };
    assert_eq!(again(5_000 - 1_799), Requeue::At(at(5_001)));
    assert_eq!(again(5_000 - 1_800), Requeue::AccountChange);
}

#[test]
fn what_a_person_must_change_is_stalled_and_says_so() {
    check(
        fresh(),
        Verdict::InvalidSpec(vec![
            Invalid {
                field: "spec.name",
                message: "must be short".to_owned(),
            },
            Invalid {
                field: "spec.url",
                message: "must be a url".to_owned(),
            },
        ]),
        expect![[r#"
            Ready       False   InvalidSpec @2000: spec.name: must be short; spec.url: must be a url
            Synced      Unknown InvalidSpec @2000: spec.name: must be short; spec.url: must be a url
            Stalled     True    InvalidSpec @2000: spec.name: must be short; spec.url: must be a url
        "#]],
    );
    check(
        fresh(),
        Verdict::Conflict(Foreign::Untagged),
        expect![[r#"
        Ready       False   Conflict @2000: a registry named "harbor-dr" exists in the instance and does not belong to this object; it is left alone
        Synced      False   Conflict @2000: a registry named "harbor-dr" exists in the instance and does not belong to this object; it is left alone
        Stalled     True    Conflict @2000: a registry named "harbor-dr" exists in the instance and does not belong to this object; it is left alone
    "#]],
    );
    check(
        fresh(),
        swr(Operation::Create, Class::Denied, Cause::Forbidden),
        expect![[r#"
            Ready       False   Forbidden @2000: cannot create the registry: the account lacks the permission; the account needs swr:instance:createRegistry
            Synced      False   Forbidden @2000: cannot create the registry: the account lacks the permission; the account needs swr:instance:createRegistry
            Stalled     True    Forbidden @2000: cannot create the registry: the account lacks the permission; the account needs swr:instance:createRegistry
        "#]],
    );
    check(
        ready_object(),
        Verdict::NotApplied(changes()),
        expect![[r#"
        Ready       False   NotApplied @2000: SWR accepted the update twice and still shows the old value of: url
        Synced      False   NotApplied @2000: SWR accepted the update twice and still shows the old value of: url
        Stalled     True    NotApplied @2000: SWR accepted the update twice and still shows the old value of: url
    "#]],
    );
}

#[test]
fn a_missing_secret_passes_by_itself_and_a_bad_one_does_not() {
    let verdict = |problem| Verdict::NoCredential {
        secret: SecretRef {
            name: "login".into(),
            keys: None,
        },
        problem,
    };
    check(
        fresh(),
        verdict(SecretProblem::NotFound),
        expect![[r#"
        Ready       False   SecretNotFound @2000: Secret "login" does not exist in this namespace
        Synced      Unknown SecretNotFound @2000: Secret "login" does not exist in this namespace
        Reconciling True    ProgressingWithRetry @2000: Secret "login" does not exist in this namespace
    "#]],
    );
    let rejected = crate::credential::Rejected {
        key: "accessSecret".to_owned(),
        rule: crate::credential::Rule::NotEmpty,
    };
    check(
        fresh(),
        verdict(SecretProblem::Rejected(rejected)),
        expect![[r#"
        Ready       False   InvalidSecret @2000: Secret "login": key "accessSecret" is empty
        Synced      Unknown InvalidSecret @2000: Secret "login": key "accessSecret" is empty
        Stalled     True    InvalidSecret @2000: Secret "login": key "accessSecret" is empty
    "#]],
    );
    check(
        fresh(),
        verdict(SecretProblem::Unavailable),
        expect![[r#"
        nothing is written
    "#]],
    );
}

#[test]
fn a_secret_that_the_api_server_does_not_give_is_told_when_that_lasts() {
    let check = |object: Object, since, now, expected: Expect| {
        let verdict = Verdict::NoCredential {
            secret: SecretRef {
                name: "login".into(),
                keys: None,
            },
            problem: SecretProblem::Unavailable,
        };
        let mut summary = summary(object, verdict);
        summary.memory.unverified_since = Some(at(since));
        expected.assert_eq(&render(status(&summary, &WINDOWS, at(now)).as_ref()));
    };
    check(
        fresh(),
        1_941,
        2_000,
        expect![[r#"
        nothing is written
    "#]],
    );
    check(
        fresh(),
        1_940,
        2_000,
        expect![[r#"
        Ready       False   ApiUnavailable @2000: Secret "login" cannot be read from the API server
        Synced      Unknown ApiUnavailable @2000: Secret "login" cannot be read from the API server
        Reconciling True    ProgressingWithRetry @2000: Secret "login" cannot be read from the API server
    "#]],
    );
    // What was verified stays so for three polls of 600 s.
    check(
        ready_object(),
        2_000,
        3_799,
        expect![[r#"
        nothing is written
    "#]],
    );
    check(
        ready_object(),
        2_000,
        3_800,
        expect![[r#"
        Ready       Unknown ApiUnavailable @3800: Secret "login" cannot be read from the API server
        Synced      Unknown ApiUnavailable @3800: Secret "login" cannot be read from the API server
        Reconciling True    ProgressingWithRetry @3800: Secret "login" cannot be read from the API server
    "#]],
    );
}

#[test]
fn what_kubernetes_refuses_for_good_is_told_and_a_request_for_it_stays_open() {
    let object = Object {
        requested_at: Some("now".to_owned()),
        ..fresh()
    };
    let refused = summary(object, Verdict::KubernetesRefuses);
    let written = status(&refused, &WINDOWS, at(2_000)).expect("it is told");
    assert_eq!(written.last_handled_reconcile_at, None);
    check(
        fresh(),
        Verdict::KubernetesRefuses,
        expect![[r#"
        Ready       False   Forbidden @2000: the API server refuses or drops what the operator writes to this object, such as its finalizer: check the operator's RBAC, the cluster's admission policies, and that the CRDs are of the operator's version; its log names the write
        Synced      Unknown Forbidden @2000: the API server refuses or drops what the operator writes to this object, such as its finalizer: check the operator's RBAC, the cluster's admission policies, and that the CRDs are of the operator's version; its log names the write
        Stalled     True    Forbidden @2000: the API server refuses or drops what the operator writes to this object, such as its finalizer: check the operator's RBAC, the cluster's admission policies, and that the CRDs are of the operator's version; its log names the write
    "#]],
    );
}

#[test]
fn a_secret_that_lacks_a_key_may_be_on_its_way_for_a_minute() {
    let check = |key: &str, rule, since, expected: Expect| {
        let rejected = crate::credential::Rejected {
            key: key.to_owned(),
            rule,
        };
        let verdict = Verdict::NoCredential {
            secret: SecretRef {
                name: "login".into(),
                keys: None,
            },
            problem: SecretProblem::Rejected(rejected),
        };
        let mut summary = summary(fresh(), verdict);
        summary.memory.secret_incomplete_since = Some(at(since));
        let written = status(&summary, &WINDOWS, at(2_000));
        let due = crate::requeue::requeue(&summary, &WINDOWS, at(2_000));
        expected.assert_eq(&format!("{}{due:?}\n", render(written.as_ref())));
    };
    check(
        "password",
        Rule::Present,
        1_941,
        expect![[r#"
        Ready       False   SecretNotFound @2000: Secret "login" has no key "password" yet
        Synced      Unknown SecretNotFound @2000: Secret "login" has no key "password" yet
        Reconciling True    ProgressingWithRetry @2000: Secret "login" has no key "password" yet
        SecretChange { until: Some(1970-01-01T00:33:21Z) }
    "#]],
    );
    check(
        "password",
        Rule::Present,
        1_940,
        expect![[r#"
        Ready       False   InvalidSecret @2000: Secret "login": key "password" is missing
        Synced      Unknown InvalidSecret @2000: Secret "login": key "password" is missing
        Stalled     True    InvalidSecret @2000: Secret "login": key "password" is missing
        SecretChange { until: None }
    "#]],
    );
    check(
        "accessKey",
        Rule::Pair,
        1_941,
        expect![[r#"
        Ready       False   SecretNotFound @2000: Secret "login" has no keys accessKey and accessSecret, nor username and password, yet
        Synced      Unknown SecretNotFound @2000: Secret "login" has no keys accessKey and accessSecret, nor username and password, yet
        Reconciling True    ProgressingWithRetry @2000: Secret "login" has no keys accessKey and accessSecret, nor username and password, yet
        SecretChange { until: Some(1970-01-01T00:33:21Z) }
    "#]],
    );
    check(
        "accessKey",
        Rule::Pair,
        1_940,
        expect![[r#"
        Ready       False   InvalidSecret @2000: Secret "login": it has neither accessKey and accessSecret nor username and password; if its keys have other names, say them in spec.credentialSecretRef.keys
        Synced      Unknown InvalidSecret @2000: Secret "login": it has neither accessKey and accessSecret nor username and password; if its keys have other names, say them in spec.credentialSecretRef.keys
        Stalled     True    InvalidSecret @2000: Secret "login": it has neither accessKey and accessSecret nor username and password; if its keys have other names, say them in spec.credentialSecretRef.keys
        SecretChange { until: None }
    "#]],
    );
    // What is there and wrong does not become right by waiting.
    check(
        "password",
        Rule::Utf8,
        1_941,
        expect![[r#"
        Ready       False   InvalidSecret @2000: Secret "login": key "password" is not UTF-8 text
        Synced      Unknown InvalidSecret @2000: Secret "login": key "password" is not UTF-8 text
        Stalled     True    InvalidSecret @2000: Secret "login": key "password" is not UTF-8 text
        SecretChange { until: None }
    "#]],
    );
}

#[test]
fn a_suspended_object_keeps_what_was_known_of_it() {
    check(
        ready_object(),
        Verdict::Suspended,
        expect![[r#"
        Ready       True    Suspended @1000: spec.suspend is true: SWR is neither read nor written
        Synced      Unknown Suspended @2000: spec.suspend is true: SWR is neither read nor written
    "#]],
    );
}

#[test]
fn nothing_is_known_of_a_spec_that_is_edited_while_it_is_suspended() {
    let suspended = summary(ready_object(), Verdict::Suspended);
    let mut status = status(&suspended, &WINDOWS, at(1_500)).expect("a status");
    status.observed_generation -= 1;
    check(
        object(|value| value["status"] = serde_json::to_value(&status).expect("status")),
        Verdict::Suspended,
        expect![[r#"
        Ready       Unknown Suspended @2000: spec.suspend is true: SWR is neither read nor written
        Synced      Unknown Suspended @1500: spec.suspend is true: SWR is neither read nor written
    "#]],
    );
}

#[test]
fn a_deletion_that_cannot_go_on_names_the_way_out() {
    let verdict = |cause| {
        Verdict::CannotDelete(Blocker::Swr {
            operation: Operation::Delete,
            failure: Failure::new(Class::Conflict, cause),
        })
    };
    check(
        ready_object(),
        verdict(Cause::InUse),
        expect![[r#"
        Ready       False   DeletionBlocked @2000: cannot delete the registry: something in SWR uses the registry, for example a replication policy; to let the object go without it, set spec.deletionPolicy to Orphan
        Synced      Unknown DeletionBlocked @2000: cannot delete the registry: something in SWR uses the registry, for example a replication policy; to let the object go without it, set spec.deletionPolicy to Orphan
        Stalled     True    DeletionBlocked @2000: cannot delete the registry: something in SWR uses the registry, for example a replication policy; to let the object go without it, set spec.deletionPolicy to Orphan
    "#]],
    );
    // The permission that is missing is that of the request that failed.
    check(
        ready_object(),
        Verdict::CannotDelete(Blocker::Swr {
            operation: Operation::Show,
            failure: Failure::new(Class::Denied, Cause::Forbidden),
        }),
        expect![[r#"
            Ready       False   DeletionBlocked @2000: cannot delete the registry: the account lacks the permission; the account needs swr:instance:getRegistry; to let the object go without it, set spec.deletionPolicy to Orphan
            Synced      Unknown DeletionBlocked @2000: cannot delete the registry: the account lacks the permission; the account needs swr:instance:getRegistry; to let the object go without it, set spec.deletionPolicy to Orphan
            Stalled     True    DeletionBlocked @2000: cannot delete the registry: the account lacks the permission; the account needs swr:instance:getRegistry; to let the object go without it, set spec.deletionPolicy to Orphan
        "#]],
    );
    check(
        ready_object(),
        Verdict::CannotDelete(Blocker::Account(AccountProblem::NotFound)),
        expect![[r#"
            Ready       False   Deleting @2000: SwrAccount "default" does not exist; to let the object go without it, set spec.deletionPolicy to Orphan
            Synced      Unknown Deleting @2000: SwrAccount "default" does not exist; to let the object go without it, set spec.deletionPolicy to Orphan
            Reconciling True    Deleting @2000: SwrAccount "default" does not exist; to let the object go without it, set spec.deletionPolicy to Orphan
        "#]],
    );
}

#[test]
fn what_was_not_learnt_is_not_written() {
    for verdict in [
        Verdict::Gone,
        Verdict::Stale,
        Verdict::KubernetesUnavailable,
        Verdict::Released {
            removed: Removed::Deleted,
            clones: Vec::new(),
        },
    ] {
        assert!(!verdict.is_of_object(), "{verdict:?}");
        check(
            ready_object(),
            verdict,
            expect![[r#"
            nothing is written
        "#]],
        );
    }
    assert!(Verdict::Suspended.is_of_object());
}

#[test]
fn an_observed_difference_is_listed_field_by_field() {
    let summary = summary(ready_object(), Verdict::DriftObserved(changes()));
    let written = status(&summary, &WINDOWS, at(2_000)).expect("a write");
    assert_eq!(
        written.diff,
        [FieldDiff {
            field: "url".to_owned(),
            desired: "https://swr.example.com".to_owned(),
            observed: "https://other.example.com".to_owned(),
        }]
    );
}

#[test]
fn what_only_informs_is_no_reason_to_write_but_goes_along() {
    let observed = |updated_at: &str| {
        let mut record = record(4, "harbor-dr", "");
        record.updated_at = Some(updated_at.to_owned());
        record
    };
    let in_sync = |object, updated_at, health| Summary {
        observed: Some(observed(updated_at)),
        id: Note::Set(RegistryId(4)),
        ..summary(object, Verdict::InSync { health })
    };
    let first = status(
        &in_sync(fresh(), "t1", Health::Healthy),
        &WINDOWS,
        at(1_000),
    );
    let with = |status: Option<ReplicationRegistryStatus>| {
        object(|value| value["status"] = serde_json::to_value(status).expect("status"))
    };
    let settled = with(first);
    let same = in_sync(settled.clone(), "t2", Health::Healthy);
    assert_eq!(status(&same, &WINDOWS, at(2_000)), None);
    let changed = in_sync(settled, "t2", Health::Unhealthy);
    let written = status(&changed, &WINDOWS, at(2_000)).expect("a write");
    assert_eq!(
        written.observed.and_then(|observed| observed.updated_at),
        Some("t2".to_owned())
    );
}

#[test]
fn an_intent_says_that_the_object_was_seen() {
    let intent = CreateIntent {
        attempt: 1,
        started_at: at(2_000),
    };
    let binding = Binding {
        project_id: "p".to_owned(),
        region: "r".to_owned(),
        instance_id: "source-1".to_owned(),
    };
    let with = |object: &Object| {
        let written = with_intent(object, intent.clone(), binding.clone(), true, at(2_000));
        assert_eq!(written.create_intent, Some(intent.clone()));
        render(Some(&written))
    };
    let after = |verdict: Verdict| {
        let before = summary(fresh(), verdict);
        let status = status(&before, &WINDOWS, at(1_000)).expect("a first status");
        Object { status, ..fresh() }
    };
    expect![[r#"
        Ready       Unknown Progressing @2000: creating the registry in SWR
        Synced      False   Progressing @2000: creating the registry in SWR
        Reconciling True    Progressing @2000: creating the registry in SWR
    "#]]
    .assert_eq(&with(&fresh()));
    // What failed for this spec is told until it succeeds; that nothing was written ends here.
    let refused = swr(Operation::Create, Class::Invalid, Cause::Rejected);
    expect![[r#"
        Ready       False   InvalidSpec @1000: cannot create the registry: SWR refuses the request as invalid
        Synced      False   InvalidSpec @1000: cannot create the registry: SWR refuses the request as invalid
        Stalled     True    InvalidSpec @1000: cannot create the registry: SWR refuses the request as invalid
    "#]].assert_eq(&with(&after(refused)));
    let held = Verdict::ReadOnly(crate::summary::Held::Create);
    expect![[r#"
        Ready       Unknown Progressing @2000: creating the registry in SWR
        Synced      False   Progressing @1000: creating the registry in SWR
        Reconciling True    Progressing @2000: creating the registry in SWR
    "#]]
    .assert_eq(&with(&after(held)));
}

#[test]
fn what_only_another_answer_of_swr_lifts_is_not_replaced_by_what_passes() {
    let refused = |cause| swr(Operation::Create, Class::Invalid, cause);
    let passing = [
        swr(Operation::List, Class::Transient, Cause::Unreachable),
        swr(Operation::Update, Class::Unknown, Cause::TimedOut),
        Verdict::NoAccount(AccountProblem::NotReady),
    ];
    for lasting in [
        Verdict::Conflict(Foreign::Untagged),
        Verdict::OwnershipLost,
        Verdict::TagNotKept,
        Verdict::NotApplied(changes()),
        Verdict::Fighting(changes()),
        refused(Cause::Rejected),
        refused(Cause::QuotaExceeded),
        refused(Cause::Forbidden),
        refused(Cause::AlreadyExists),
    ] {
        let told = status(&summary(fresh(), lasting.clone()), &WINDOWS, at(1_000));
        let told = told.expect("it is told");
        for passing in &passing {
            let object = Object {
                status: told.clone(),
                ..fresh()
            };
            let written = status(
                &summary(object.clone(), passing.clone()),
                &WINDOWS,
                at(2_000),
            );
            assert_eq!(written, None, "{lasting:?}, then {passing:?}");
            // A new spec is a new question.
            let newer = Object {
                generation: 4,
                ..object
            };
            let written = status(&summary(newer, passing.clone()), &WINDOWS, at(2_000));
            let written = written.expect("it is told");
            let ready = written.conditions.first().expect("Ready");
            assert_ne!(ready.reason, told.conditions[0].reason, "{lasting:?}");
        }
    }
}
