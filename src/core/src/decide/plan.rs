//! desired x claim -> one action and its reason. One value, read by the controller and by people.
//! Knows no order of requests: whether a create is safe yet is `step`'s to say.

use std::fmt;

use jiff::Timestamp;

use crate::desired::{Desired, RegistryId};
use crate::diff::{Changes, SentFacts, diff, unshown};
use crate::observed::{Adoptable, Claim, Owned};

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
    /// Whether it is to be sent even if nothing differs.
    pub resend: Resend,
    /// Whether this generation of the spec was in sync before, so that a difference is drift.
    pub was_in_sync: bool,
    /// The time.
    pub now: Timestamp,
}

/// Why a registry that is equal in all that SWR shows is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resend {
    /// It is not.
    No,
    /// A person asks for it.
    Requested,
    /// SWR says that it was written, and not by us.
    ChangedElsewhere,
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
    /// Take over a registry that belongs to nobody.
    Adopt(Adoptable),
    /// Write nothing, because nothing tells which of these registries is meant.
    Choose(Vec<RegistryId>),
    /// Leave alone a registry that is not ours.
    Conflict(Foreign),
}

/// Whose a registry is that we leave alone. Says no more than a tenant may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Foreign {
    /// It carries no tag.
    Untagged,
    /// It carries the tag of an earlier object of our name.
    Predecessor,
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
    /// Nothing that SWR shows differs, but SWR says that something wrote the registry.
    ChangedElsewhere,
    /// The annotation `requestedAt` asks for it.
    Requested,
    /// The spec allows it.
    Adoption,
    /// The tag was taken off our registry, and the spec allows to put it back.
    TagRemoved,
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
            Why::ChangedElsewhere => "ChangedElsewhere",
            Why::Requested => "Requested",
            Why::Adoption => "Adoption",
            Why::TagRemoved => "TagRemoved",
            Why::NotOurs => "NotOurs",
            Why::ObjectDeleted => "ObjectDeleted",
            Why::ObjectOrphaned => "ObjectOrphaned",
        }
    }

    /// Why this registry is taken by an object that knows the one with this id. One with the tag of
    /// an earlier object did not lose ours: it never had it.
    pub fn of_adoption(found: &Adoptable, known: Option<RegistryId>) -> Why {
        if known == Some(found.id()) && found.tag().is_none() {
            Why::TagRemoved
        } else {
            Why::Adoption
        }
    }

    /// Whether it puts right what something else changed in SWR. Three times within half an hour
    /// is a fight.
    pub fn corrects(self) -> bool {
        matches!(self, Why::Drift | Why::ChangedElsewhere | Why::TagRemoved)
    }

    /// Whether it sends again what SWR holds as far as anybody knows.
    pub fn only_repeats(self) -> bool {
        matches!(self, Why::CredentialDue | Why::Requested)
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
        Claim::Several(ids) => Plan {
            action: Action::Choose(ids.clone()),
            why: Why::NotOurs,
        },
        Claim::Untagged(found) if facts.desired.adoption.takes_untagged() => {
            plan_adoption(facts, found, Foreign::Untagged)
        }
        Claim::Untagged(_) => leave_alone(Foreign::Untagged),
        Claim::Predecessor(found) if facts.desired.adoption.takes_predecessor() => {
            plan_adoption(facts, found, Foreign::Predecessor)
        }
        Claim::Predecessor(_) => leave_alone(Foreign::Predecessor),
        Claim::TaggedByOther(_) => leave_alone(Foreign::TaggedByOther),
        Claim::NothingToAdopt(_) => leave_alone(Foreign::NothingToAdopt),
        Claim::Absent => Plan {
            action: Action::Create,
            why: Why::Missing,
        },
    };
    debug_assert_eq!(unsound(facts, &plan), None);
    plan
}

fn leave_alone(foreign: Foreign) -> Plan {
    Plan {
        action: Action::Conflict(foreign),
        why: Why::NotOurs,
    }
}

fn plan_adoption(facts: &Facts<'_>, found: &Adoptable, foreign: Foreign) -> Plan {
    let (id, name) = (found.id(), &found.record().name);
    let is_meant = match facts.desired.adoption.id {
        Some(wanted) => id == wanted,
        // That of an earlier object is known by its tag, whatever its name.
        None => *name == facts.desired.registry.name || foreign == Foreign::Predecessor,
    };
    if is_meant || Some(id) == facts.known {
        Plan {
            action: Action::Adopt(found.clone()),
            why: Why::of_adoption(found, facts.known),
        }
    } else {
        leave_alone(foreign)
    }
}

fn plan_owned(facts: &Facts<'_>, owned: &Owned) -> Plan {
    let changes = diff(
        &facts.desired.registry,
        facts.credential,
        owned.record(),
        facts.now,
    );
    let Some(changes) = changes else {
        let again = || Action::Update(owned.clone(), unshown(&facts.desired.registry));
        let (action, why) = match facts.resend {
            Resend::No => (Action::NoOp(owned.clone()), Why::InSync),
            Resend::Requested => (again(), Why::Requested),
            Resend::ChangedElsewhere => (again(), Why::ChangedElsewhere),
        };
        return Plan { action, why };
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
        Action::Adopt(found) => {
            let allowed = match found.tag() {
                None => facts.desired.adoption.takes_untagged(),
                Some(_) => facts.desired.adoption.takes_predecessor(),
            };
            let is_claimed =
                matches!(&facts.claim, Claim::Untagged(it) | Claim::Predecessor(it) if it == found);
            (!allowed || !is_claimed).then_some("adopts against the spec")
        }
        Action::Conflict(_) if ours => Some("sees a conflict with our own registry"),
        Action::NoOp(_)
        | Action::Create
        | Action::Update(..)
        | Action::Choose(_)
        | Action::Conflict(_) => None,
    }
}
#[cfg(test)]
mod tests;
