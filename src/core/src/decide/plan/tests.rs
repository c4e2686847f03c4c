//! Situations -> one action and one reason.

use super::*;
use crate::api::registry::{AdoptionPolicy, Mode};
use crate::credential::{Credential, Fingerprint, Sealer, Sensitive};
use crate::desired::{Adoption, Registry, SecretRef, Target};
use crate::observed::tests::{owner, record, stranger};
use crate::observed::{Inventory, Record, Wanted};

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

fn check(records: &[Record], adoption: Adoption, sent: &str, was_in_sync: bool) -> (String, Why) {
    let sealed = Sealer::new(vec![1]).seal(
        "uid",
        &Credential {
            access_key: Sensitive::new("ak".into()),
            access_secret: Sensitive::new("as".into()),
        },
    );
    let sent = match sent {
        "same" => sealed.whole.clone(),
        other => Fingerprint::from_status(other),
    };
    let credential = SentFacts {
        desired: sealed,
        sent: Some((sent, Timestamp::UNIX_EPOCH)),
        resend_secs: None,
        applied: None,
    };
    let desired = desired(adoption);
    let plan = plan(&Facts {
        desired: &desired,
        claim: Inventory::new(records.iter().cloned()).claim(
            &owner(),
            match adoption.id {
                Some(id) => Wanted::Id(id),
                None => Wanted::Name("harbor-dr"),
            },
            adoption.takes_predecessor(),
        ),
        known: None,
        resend: Resend::No,
        credential: &credential,
        was_in_sync,
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
