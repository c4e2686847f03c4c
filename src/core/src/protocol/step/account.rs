//! What the object's account leads to: whether it is usable, is still the one under which the registry was
//! created, and grants the object what it asks for.

use jiff::Timestamp;

use super::{ask, finish, remove};
use crate::answer::{Account, AccountProblem};
use crate::api::registry::Binding;
use crate::desired::Desired;
use crate::effect::{AccountAnswer, Effect, Goal, Next, ReadingAccount, ReadingSecret};
use crate::grant::{self, Denied};
use crate::object::Object;
use crate::reconcile::{Removed, Work};
use crate::summary::{Blocker, Verdict};

impl ReadingAccount {
    /// Takes the account, or what is wrong with it.
    pub fn resume(self, answer: AccountAnswer, now: Timestamp) -> Next {
        let ReadingAccount { work, goal } = self;
        let account = match answer {
            Ok(account) => account,
            Err(problem) => return without_account(work, &goal, problem, now),
        };
        if let Some(was) = moved(&work.object, &account) {
            return match goal {
                Goal::Keep(_) | Goal::Remove => finish(&work, Verdict::BindingChanged(was)),
                Goal::Orphan(_) => remove::orphan(work, Removed::StillTagged, now),
            };
        }
        match goal {
            Goal::Keep(desired) => {
                let granted = grant(&work, &account, &desired);
                match granted {
                    Err(denied) => finish(&work, Verdict::NotGranted(denied)),
                    Ok(()) => ask(Effect::ReadSecret {
                        secret: desired.secret.clone(),
                        then: ReadingSecret {
                            work,
                            account,
                            desired,
                            orphan: false,
                        },
                    }),
                }
            }
            // What was created under a grant may always be removed, or it would stay for ever.
            Goal::Remove => remove::observe(work, now),
            // The PUT that takes the tag off sends the whole spec, so it needs a grant like any.
            Goal::Orphan(desired) if !is_granted(&work, &account, &desired) => {
                remove::orphan(work, Removed::StillTagged, now)
            }
            Goal::Orphan(desired) => ask(Effect::ReadSecret {
                secret: desired.secret.clone(),
                then: ReadingSecret {
                    work,
                    account,
                    desired,
                    orphan: true,
                },
            }),
        }
    }
}

fn without_account(work: Work, goal: &Goal, problem: AccountProblem, now: Timestamp) -> Next {
    match goal {
        Goal::Keep(_) => finish(&work, Verdict::NoAccount(problem)),
        Goal::Remove => finish(&work, Verdict::CannotDelete(Blocker::Account(problem))),
        Goal::Orphan(_) => match problem {
            // Nobody can wait for an account that is gone.
            AccountProblem::NotFound | AccountProblem::NotServed => {
                remove::orphan(work, Removed::StillTagged, now)
            }
            AccountProblem::NotReady | AccountProblem::NotUnderstood => {
                remove::orphan_later(work, Blocker::Account(problem), now)
            }
        },
    }
}

fn is_granted(work: &Work, account: &Account, desired: &Desired) -> bool {
    grant(work, account, desired).is_ok()
}

fn grant(work: &Work, account: &Account, desired: &Desired) -> Result<(), Denied> {
    let object = &work.object;
    let namespace = (&*object.key.namespace, &account.namespace_labels);
    let instance = &object.scope.instance;
    grant::check(&account.grants, namespace, instance, &desired.registry)
}

/// The remote identity under which the registry was created, if the account leads elsewhere.
fn moved(object: &Object, account: &Account) -> Option<Binding> {
    let holds_something = object.known_id().is_some() || object.status.create_intent.is_some();
    let was = object.status.binding.as_ref().filter(|_| holds_something)?;
    let same = was.project_id == account.project.as_str()
        && was.region == account.region.as_str()
        && was.instance_id == object.scope.instance.as_str();
    (!same).then(|| was.clone())
}
