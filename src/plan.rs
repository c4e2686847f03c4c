//! desired x claim -> one action and its reason. One value, read by the controller and by people.
//! Knows no order of requests: whether a create is safe yet is `step`'s to say.

use std::fmt;

use jiff::Timestamp;

use crate::desired::{Adoption, Desired, RegistryId};
use crate::diff::{Changes, SentFacts, diff};
use crate::observed::{Claim, Owned, Untagged};

/// What a plan is made from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Facts<'a> {
    /// What the spec asks for.
    pub desired: &'a Desired,
    /// What the instance holds for us.
    pub claim: Claim,
    /// The id in the status, which an adopted registry's tag may have been lost from.
    pub known: Option<RegistryId>,
    /// What is known of the credential.
    pub credential: &'a SentFacts,
    /// Whether this generation of the spec was in sync before, so that a difference is drift.
    pub was_in_sync: bool,
    /// The time.
    pub now: Timestamp,
}

/// The one thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Nothing: SWR is equal to the spec.
    NoOp(Owned),
    /// Create the registry.
    Create,
    /// Write the whole registry, because these fields differ.
    Update(Owned, Changes),
    /// Take over a registry that nobody has tagged.
    Adopt(Untagged),
    /// Leave alone a registry that is not ours.
    Conflict(Foreign),
}

/// Whose a registry is that we leave alone. Says no more than a tenant may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Foreign {
    /// It carries no tag.
    Untagged,
    /// It carries a tag that is not ours.
    TaggedByOther,
    /// The registry that the spec wants to adopt by id is not there.
    NothingToAdopt,
}

/// Why a write is made, for the audit line and for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// Nothing is to be done.
    InSync,
    /// The registry does not exist.
    Missing,
    /// The spec asks for something else than what SWR holds.
    SpecChanged,
    /// Something else changed the registry in SWR.
    Drift,
    /// The Secret holds another credential than the one sent last.
    CredentialRotated,
    /// `spec.resendCredentialEvery` asks for it again.
    CredentialDue,
    /// The spec allows it.
    Adoption,
    /// The registry belongs to nobody we know, or to somebody else.
    NotOurs,
    /// The object is being deleted.
    ObjectDeleted,
    /// The object is being deleted, and its registry stays.
    ObjectOrphaned,
}

impl Why {
    /// A word for logs and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Why::InSync => "InSync",
            Why::Missing => "Missing",
            Why::SpecChanged => "SpecChanged",
            Why::Drift => "Drift",
            Why::CredentialRotated => "CredentialRotated",
            Why::CredentialDue => "CredentialDue",
            Why::Adoption => "Adoption",
            Why::NotOurs => "NotOurs",
            Why::ObjectDeleted => "ObjectDeleted",
            Why::ObjectOrphaned => "ObjectOrphaned",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An action and its reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// What to do.
    pub action: Action,
    /// Why.
    pub why: Why,
}

/// Chooses the action.
pub fn plan(facts: &Facts<'_>) -> Plan {
    let plan = match &facts.claim {
        Claim::Ours(owned) => plan_owned(facts, owned),
        Claim::Untagged(untagged) => {
            let wanted = match facts.desired.adoption {
                Adoption::Never => false,
                Adoption::ByName => {
                    untagged.record().name == facts.desired.registry.name
                        || Some(untagged.record().id) == facts.known
                }
                Adoption::ById(id) => {
                    untagged.record().id == id || Some(untagged.record().id) == facts.known
                }
            };
            if wanted {
                Plan {
                    action: Action::Adopt(untagged.clone()),
                    why: Why::Adoption,
                }
            } else {
                Plan {
                    action: Action::Conflict(Foreign::Untagged),
                    why: Why::NotOurs,
                }
            }
        }
        Claim::TaggedByOther(_) => Plan {
            action: Action::Conflict(Foreign::TaggedByOther),
            why: Why::NotOurs,
        },
        Claim::NothingToAdopt(_) => Plan {
            action: Action::Conflict(Foreign::NothingToAdopt),
            why: Why::NotOurs,
        },
        Claim::Absent => Plan {
            action: Action::Create,
            why: Why::Missing,
        },
    };
    debug_assert_eq!(unsound(facts, &plan), None);
    plan
}

fn plan_owned(facts: &Facts<'_>, owned: &Owned) -> Plan {
    let changes = diff(
        &facts.desired.registry,
        facts.credential,
        owned.record(),
        facts.now,
    );
    let Some(changes) = changes else {
        return Plan {
            action: Action::NoOp(owned.clone()),
            why: Why::InSync,
        };
    };
    let rotated = facts
        .credential
        .sent
        .as_ref()
        .is_some_and(|(fingerprint, _)| *fingerprint != facts.credential.desired.whole);
    let why = if changes.only_credential() && rotated {
        Why::CredentialRotated
    } else if changes.only_credential() && facts.credential.is_as_sent(owned.record()) {
        Why::CredentialDue
    } else if facts.was_in_sync {
        Why::Drift
    } else {
        Why::SpecChanged
    };
    Plan {
        action: Action::Update(owned.clone(), changes),
        why,
    }
}

/// A second opinion on a plan, by other code than the one that made it: what is wrong with it.
pub fn unsound(facts: &Facts<'_>, plan: &Plan) -> Option<&'static str> {
    let ours = matches!(facts.claim, Claim::Ours(_));
    match &plan.action {
        Action::Create if facts.claim != Claim::Absent => {
            Some("creates beside a registry that is there")
        }
        Action::Update(..) | Action::NoOp(_) if !ours => {
            Some("takes a registry for ours that is not")
        }
        Action::Update(_, changes) if changes.all().is_empty() => {
            Some("updates without a difference")
        }
        Action::Adopt(_) if facts.desired.adoption == Adoption::Never => {
            Some("adopts against the spec")
        }
        Action::Adopt(_) if !matches!(facts.claim, Claim::Untagged(_)) => {
            Some("adopts what carries a tag")
        }
        Action::Conflict(_) if ours => Some("sees a conflict with our own registry"),
        Action::NoOp(_)
        | Action::Create
        | Action::Update(..)
        | Action::Adopt(_)
        | Action::Conflict(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::registry::Mode;
    use crate::credential::{Credential, Fingerprint, Sealer, Sensitive};
    use crate::desired::{Registry, SecretRef, Target};
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

    fn check(
        records: &[Record],
        adoption: Adoption,
        sent: &str,
        was_in_sync: bool,
    ) -> (String, Why) {
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
                None,
                match adoption {
                    Adoption::ById(id) => Wanted::Id(id),
                    Adoption::Never | Adoption::ByName => Wanted::Name("harbor-dr"),
                },
            ),
            known: None,
            credential: &credential,
            was_in_sync,
            now: Timestamp::UNIX_EPOCH,
        });
        let action = match plan.action {
            Action::NoOp(owned) => format!("no-op {}", owned.id()),
            Action::Create => "create".to_owned(),
            Action::Update(owned, changes) => format!("update {}: {changes}", owned.id()),
            Action::Adopt(untagged) => format!("adopt {}", untagged.record().id),
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
        let never = Adoption::Never;
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
                Adoption::ByName,
                "same",
                true,
                "adopt 2",
                Why::Adoption,
            ),
            (
                vec![&tagged],
                Adoption::ByName,
                "same",
                true,
                "conflict TaggedByOther",
                Why::NotOurs,
            ),
            (
                vec![&foreign],
                Adoption::ById(RegistryId(2)),
                "same",
                true,
                "adopt 2",
                Why::Adoption,
            ),
            (
                vec![&foreign],
                Adoption::ById(RegistryId(9)),
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
}
