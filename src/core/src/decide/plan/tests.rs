//! Situations -> one action and one reason.

use super::*;
use crate::api::registry::{AdoptionPolicy, Mode};
use crate::credential::{Credential, Fingerprint, Sealer, Sensitive};
use crate::desired::{Adoption, Registry, SecretRef, Target};
use crate::observed::tests::{owner, record, stranger};
use crate::observed::{Inventory, Record, Wanted};
use crate::tag::{Installation, Owner};

fn desired(adoption: Adoption) -> Desired {
    Desired {
        registry: Registry {
            name: "harbor-dr".into(),
            url: "https://harbor.dr.example.com".into(),
            insecure: false,
            description: "dr".into(),
            target: Target::Harbor {
                dns_hosts: std::collections::BTreeMap::new(),
            },
        },
        secret: SecretRef {
            name: "login".into(),
            keys: None,
        },
        mode: Mode::Enforce,
        adoption,
        resend_secs: None,
    }
}

/// What an object finds in SWR, what it asks for, and what it knows of before.
struct Situation<'a> {
    records: &'a [Record],
    wanted: Wanted<'a>,
    adoption: Adoption,
    known: Option<RegistryId>,
    sent: &'a str,
    was_in_sync: bool,
}

fn planned(it: &Situation<'_>) -> (String, Why) {
    let sealed = Sealer::new(vec![1]).seal(
        "uid",
        &Credential {
            access_key: Sensitive::new("ak".into()),
            access_secret: Sensitive::new("as".into()),
        },
    );
    let sent = match it.sent {
        "same" => sealed.whole.clone(),
        other => Fingerprint::from_status(other),
    };
    let credential = SentFacts {
        desired: sealed,
        sent: Some((sent, Timestamp::UNIX_EPOCH)),
        resend_secs: None,
        applied: None,
    };
    let desired = desired(it.adoption);
    let inventory = Inventory::new(it.records.iter().cloned());
    let plan = plan(&Facts {
        desired: &desired,
        claim: inventory.claim(&owner(), it.wanted, it.adoption.takes_predecessor()),
        known: it.known,
        resend: Resend::No,
        credential: &credential,
        was_in_sync: it.was_in_sync,
        now: Timestamp::UNIX_EPOCH,
    });
    let action = match plan.action {
        Action::NoOp(owned) => format!("no-op {}", owned.id()),
        Action::Create => "create".to_owned(),
        Action::Update(owned, changes) => format!("update {}: {changes}", owned.id()),
        Action::Adopt(untagged) => format!("adopt {}", untagged.record().id),
        Action::Choose(ids) => format!("choose {ids:?}"),
        Action::Conflict(foreign) => format!("conflict {foreign:?}"),
    };
    (action, plan.why)
}

fn check(records: &[Record], adoption: Adoption, sent: &str, was_in_sync: bool) -> (String, Why) {
    planned(&Situation {
        records,
        wanted: match adoption.id {
            Some(id) => Wanted::Id(id),
            None => Wanted::Name("harbor-dr"),
        },
        adoption,
        known: None,
        sent,
        was_in_sync,
    })
}

#[test]
fn one_action_and_one_reason_for_each_situation() {
    let ours = record(1, "harbor-dr", &owner().describe("dr"));
    let edited = Record {
        url: "https://other.example".into(),
        ..ours.clone()
    };
    let foreign = record(2, "harbor-dr", "somebody's");
    let tagged = record(3, "harbor-dr", &stranger().describe(""));
    let never = Adoption::NEVER;
    let unowned = Adoption {
        policy: AdoptionPolicy::IfUnowned,
        id: None,
    };
    let by_id = |id| Adoption {
        id: Some(RegistryId(id)),
        ..unowned
    };
    for (records, adoption, sent, was_in_sync, action, why) in [
        (vec![], never, "same", true, "create", Why::Missing),
        (vec![&ours], never, "same", true, "no-op 1", Why::InSync),
        (
            vec![&edited],
            never,
            "same",
            true,
            "update 1: url",
            Why::Drift,
        ),
        (
            vec![&edited],
            never,
            "same",
            false,
            "update 1: url",
            Why::SpecChanged,
        ),
        (
            vec![&ours],
            never,
            "old",
            true,
            "update 1: credential",
            Why::CredentialRotated,
        ),
        (
            vec![&foreign],
            never,
            "same",
            true,
            "conflict Untagged",
            Why::NotOurs,
        ),
        (
            vec![&tagged],
            never,
            "same",
            true,
            "conflict TaggedByOther",
            Why::NotOurs,
        ),
        (
            vec![&foreign],
            unowned,
            "same",
            true,
            "adopt 2",
            Why::Adoption,
        ),
        (
            vec![&tagged],
            unowned,
            "same",
            true,
            "conflict TaggedByOther",
            Why::NotOurs,
        ),
        (
            vec![&foreign],
            by_id(2),
            "same",
            true,
            "adopt 2",
            Why::Adoption,
        ),
        (
            vec![&foreign],
            by_id(9),
            "same",
            true,
            "conflict NothingToAdopt",
            Why::NotOurs,
        ),
    ] {
        let records: Vec<Record> = records.into_iter().cloned().collect();
        assert_eq!(
            check(&records, adoption, sent, was_in_sync),
            (action.to_owned(), why),
            "{records:?} {adoption:?}"
        );
    }
}

#[test]
fn a_registry_of_another_name_is_taken_by_its_id_or_the_tag_of_an_earlier_object() {
    let untagged = record(1, "renamed", "somebody's");
    let earlier = Owner::new(
        &Installation::from_configured("test"),
        "99999999-1111-2222-3333-444455556666",
        "images",
        "harbor-dr",
    );
    let left = record(1, "renamed", &earlier.describe("dr"));
    let adoption = |policy, id: Option<i64>| Adoption {
        policy,
        id: id.map(RegistryId),
    };
    let (unowned, rebuild) = (AdoptionPolicy::IfUnowned, AdoptionPolicy::Rebuild);
    for (found, policy, id, known, action, why) in [
        (
            &untagged,
            unowned,
            None,
            Some(1),
            "adopt 1",
            Why::TagRemoved,
        ),
        (
            &untagged,
            unowned,
            None,
            Some(2),
            "conflict Untagged",
            Why::NotOurs,
        ),
        (
            &untagged,
            unowned,
            None,
            None,
            "conflict Untagged",
            Why::NotOurs,
        ),
        (&untagged, unowned, Some(1), None, "adopt 1", Why::Adoption),
        (&left, rebuild, None, None, "adopt 1", Why::Adoption),
        (&left, rebuild, None, Some(1), "adopt 1", Why::Adoption),
        (
            &left,
            unowned,
            None,
            None,
            "conflict Predecessor",
            Why::NotOurs,
        ),
    ] {
        let planned = planned(&Situation {
            records: std::slice::from_ref(found),
            wanted: Wanted::Id(RegistryId(1)),
            adoption: adoption(policy, id),
            known: known.map(RegistryId),
            sent: "same",
            was_in_sync: true,
        });
        assert_eq!(
            planned,
            (action.to_owned(), why),
            "{found:?} {policy:?} {id:?} {known:?}"
        );
    }
}

#[test]
fn each_reason_is_told_by_its_name() {
    for why in [
        Why::InSync,
        Why::Missing,
        Why::SpecChanged,
        Why::Drift,
        Why::CredentialRotated,
        Why::CredentialDue,
        Why::ChangedElsewhere,
        Why::Requested,
        Why::Adoption,
        Why::TagRemoved,
        Why::NotOurs,
        Why::ObjectDeleted,
        Why::ObjectOrphaned,
    ] {
        assert_eq!(why.to_string(), format!("{why:?}"));
    }
}
