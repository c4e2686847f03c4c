//! summary -> when to reconcile again. Jitter is the shell's; the classes and the growth are here.

use jiff::Timestamp;

use crate::answer::SecretProblem;
use crate::failure::{Cause, Class, Failure};
use crate::observed::Health;
use crate::reconcile::Windows;
use crate::status::believed_until;
use crate::summary::{Blocker, Operation, Summary, Verdict};
use crate::time::after;

/// When to reconcile an object again, if nothing happens to it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Requeue {
    /// Never: there is no such object.
    Never,
    /// At once; not a failure.
    Now,
    /// At the next poll, if it shows a change.
    Poll,
    /// At this time, and at polls before.
    At(Timestamp),
    /// Soon, with a growing wait, and at this time at the latest.
    SoonUntil(Timestamp),
    /// When its Secret changes; it is read every few seconds, at no cost to SWR.
    SecretChange {
        /// At this time in any case.
        until: Option<Timestamp>,
    },
    /// When its account changes.
    AccountChange,
    /// Only a change of the object helps.
    ObjectChange,
    /// When a LIST of its instance succeeds. All objects of an instance wait for the same read,
    /// so what one of them cost is what a thousand cost.
    Instance {
        /// The instance is not read before this many seconds.
        min_secs: u32,
        /// At this time in any case.
        until: Option<Timestamp>,
    },
    /// After a wait that grows with every failure in a row.
    Backoff {
        /// Not before this many seconds.
        min_secs: u32,
    },
}

/// The first waits after a failure. While they last, what passes within two minutes is over half
/// a minute later.
const FIRST_SECS: [i64; 8] = [2, 4, 8, 16, 25, 25, 25, 300];
/// Every later wait. Together that is 14 attempts in the first hour and 6 in each later one
/// (budget: 15 and 7).
const MAX_SECS: i64 = 600;
/// The waits between two reads of an instance whose LIST fails double from 1 s to this: 60 an hour, and within a minute
/// it is noticed that SWR is back.
pub const LIST_BACKOFF_SECS_MAX: i64 = 60;
/// Waits for a person who is not expected to act within minutes.
const HOURLY_SECS: u32 = 3_600;

/// The wait after this many failures in a row, before jitter.
pub fn backoff_secs(failures: u32) -> i64 {
    usize::try_from(failures.saturating_sub(1))
        .ok()
        .and_then(|nth| FIRST_SECS.get(nth).copied())
        .unwrap_or(MAX_SECS)
}

/// The wait before an instance is read again whose LIST failed so many times in a row, before
/// jitter.
pub fn list_backoff_secs(failures: u32) -> i64 {
    let doublings = failures.saturating_sub(1).min(10);
    (1 << doublings).min(LIST_BACKOFF_SECS_MAX)
}

/// Whether a reconcile stopped at a request that may have failed because the whole instance is away. That a LIST does not
/// fail tells the one from the other.
pub fn may_be_of_instance(verdict: &Verdict) -> bool {
    let (Verdict::Swr { operation, failure }
    | Verdict::CannotDelete(Blocker::Swr { operation, failure })) = verdict
    else {
        return false;
    };
    let passes = matches!(failure.class, Class::Transient | Class::Unknown);
    // What was not sent tells nothing of SWR.
    let was_sent = failure.cause != Cause::TooLate;
    *operation != Operation::List && passes && was_sent && !failure.cause.lasts()
}

/// When to reconcile again.
pub fn requeue(summary: &Summary, windows: &Windows, now: Timestamp) -> Requeue {
    const BACKOFF: Requeue = Requeue::Backoff { min_secs: 0 };
    const HOURLY: Requeue = Requeue::Backoff {
        min_secs: HOURLY_SECS,
    };
    match &summary.verdict {
        Verdict::Gone | Verdict::Released { .. } => Requeue::Never,
        Verdict::Stale => Requeue::Now,
        Verdict::KubernetesUnavailable | Verdict::KubernetesRefuses => BACKOFF,
        Verdict::Panicked | Verdict::NotApplied(_) | Verdict::Fighting(_) => HOURLY,
        Verdict::Suspended
        | Verdict::InvalidSpec(_)
        | Verdict::DeletionSuspended
        | Verdict::DeletionReadOnly
        // The guard wakes the objects that it holds.
        | Verdict::DeletionAwaited
        | Verdict::DeletionPaused
        | Verdict::DeletionProtected => Requeue::ObjectChange,
        // A change of the account ends every wait.
        Verdict::NoAccount(_) => match doubted_at(summary, windows, now) {
            Some(at) => Requeue::At(at),
            None => Requeue::AccountChange,
        },
        Verdict::NotGranted(_) | Verdict::BindingChanged(_) => Requeue::AccountChange,
        Verdict::NoCredential { problem, .. } => match problem {
            SecretProblem::NotFound | SecretProblem::Rejected(_) => Requeue::SecretChange {
                until: summary.secret_grace_ends_at().filter(|end| now < *end),
            },
            SecretProblem::Forbidden | SecretProblem::Unavailable => BACKOFF,
        },
        Verdict::InSync { health } => in_sync(summary, *health, windows, now),
        Verdict::DriftObserved(_)
        | Verdict::MissingObserved
        | Verdict::ReadOnly(_)
        | Verdict::Conflict(_)
        | Verdict::DuplicateTag(_)
        | Verdict::OwnershipLost
        | Verdict::TagNotKept => Requeue::Poll,
        Verdict::Rebuilding { until } => Requeue::At(*until),
        Verdict::CannotUntag { until, .. }
        | Verdict::NotVisible { until }
        | Verdict::Settling { until }
        | Verdict::DeletionSettling { until } => Requeue::SoonUntil(*until),
        Verdict::Swr {
            operation: Operation::List,
            failure,
        }
        | Verdict::CannotDelete(Blocker::Swr {
            operation: Operation::List,
            failure,
        }) if failure.cause != Cause::ListHasGaps => Requeue::Instance {
            min_secs: asked_secs(failure),
            until: doubted_at(summary, windows, now),
        },
        Verdict::Swr { failure, .. } | Verdict::CannotDelete(Blocker::Swr { failure, .. }) => {
            after_failure(failure)
        }
        Verdict::CannotDelete(Blocker::Account(_)) => Requeue::AccountChange,
        Verdict::CannotDelete(
            Blocker::TagNotKept | Blocker::DuplicateTag(_) | Blocker::Kubernetes,
        ) => BACKOFF,
    }
}

fn in_sync(summary: &Summary, health: Health, windows: &Windows, now: Timestamp) -> Requeue {
    let Some(object) = &summary.object else {
        return Requeue::Poll;
    };
    let grace_end = match health {
        Health::Unhealthy => summary
            .grace_ends_at(object, windows, now)
            .filter(|end| now < *end),
        Health::Healthy | Health::NotReported => None,
    };
    let sent_at = summary.sent.as_ref().map(|(_, _, at)| *at).or(object
        .status
        .credential
        .as_ref()
        .map(|sent| sent.sent_at));
    let resend_at = object
        .desired
        .as_ref()
        .ok()
        .and_then(|desired| desired.resend_secs)
        .zip(sent_at)
        .map(|(secs, at)| after(at.min(now), secs))
        // What is due and not sent waits for the end of --read-only.
        .filter(|at| now < *at);
    match [grace_end, resend_at].into_iter().flatten().min() {
        Some(at) => Requeue::At(at),
        None => Requeue::Poll,
    }
}

/// When `Ready` stops to be believed, if it still is: the object has to say so itself.
fn doubted_at(summary: &Summary, windows: &Windows, now: Timestamp) -> Option<Timestamp> {
    let object = summary.object.as_ref()?;
    believed_until(summary, object, windows).filter(|at| now < *at)
}

/// The seconds that SWR asks to wait.
pub fn asked_secs(failure: &Failure) -> u32 {
    if let Class::Throttled { after_secs } = failure.class {
        after_secs.unwrap_or(0)
    } else {
        0
    }
}

fn after_failure(failure: &Failure) -> Requeue {
    let min_secs = match failure.cause == Cause::QuotaExceeded {
        true => HOURLY_SECS,
        false => asked_secs(failure),
    };
    Requeue::Backoff { min_secs }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::Memory;

    #[test]
    fn a_permanent_failure_costs_at_most_15_attempts_in_the_first_hour_and_7_in_each_later_one() {
        let mut at = 0;
        let mut failures = 0;
        let mut attempts_at = Vec::new();
        while at < 3 * 3_600 {
            attempts_at.push(at);
            failures += 1;
            at += backoff_secs(failures);
        }
        let within = |from: i64, to: i64| {
            attempts_at
                .iter()
                .filter(|at| (from..to).contains(*at))
                .count()
        };
        assert_eq!(
            (
                within(0, 3_600),
                within(3_600, 7_200),
                within(7_200, 10_800)
            ),
            (14, 6, 6)
        );
    }

    #[test]
    fn a_failed_list_is_waited_for_with_the_instance_and_any_other_failure_alone() {
        let throttled = Failure::new(
            Class::Throttled {
                after_secs: Some(7),
            },
            Cause::Throttled,
        );
        let instance = Requeue::Instance {
            min_secs: 7,
            until: None,
        };
        let operations = [
            (Operation::List, instance),
            (Operation::Show, Requeue::Backoff { min_secs: 7 }),
            (Operation::Create, Requeue::Backoff { min_secs: 7 }),
            (Operation::Update, Requeue::Backoff { min_secs: 7 }),
            (Operation::Delete, Requeue::Backoff { min_secs: 7 }),
        ];
        for (operation, expected) in operations {
            check(operation, &throttled, expected);
        }
    }

    fn check(operation: Operation, failure: &Failure, expected: Requeue) {
        let windows = Windows {
            settle_secs: 120,
            write_secs: 20,
            grace_secs: 300,
            poll_secs: 600,
            orphan_secs: 600,
        };
        let failure = failure.clone();
        for verdict in [
            Verdict::Swr {
                operation,
                failure: failure.clone(),
            },
            Verdict::CannotDelete(Blocker::Swr { operation, failure }),
        ] {
            let summary = Summary::unread(Memory::default(), verdict);
            let requeue = requeue(&summary, &windows, Timestamp::UNIX_EPOCH);
            assert_eq!(requeue, expected, "{:?}", summary.verdict);
        }
    }

    #[test]
    fn a_list_with_a_gap_succeeds_for_the_instance_so_the_object_waits_alone_and_longer_and_longer()
    {
        let failure = Failure::new(Class::Transient, Cause::ListHasGaps);
        check(Operation::List, &failure, Requeue::Backoff { min_secs: 0 });
    }

    #[test]
    fn what_passes_may_be_of_the_instance_but_for_a_list_which_is() {
        let of = |operation, class, cause| {
            let failure = Failure::new(class, cause);
            [
                Verdict::Swr {
                    operation,
                    failure: failure.clone(),
                },
                Verdict::CannotDelete(Blocker::Swr { operation, failure }),
            ]
            .map(|verdict| may_be_of_instance(&verdict))
        };
        let (show, list) = (Operation::Show, Operation::List);
        for (operation, class, cause, expected) in [
            (show, Class::Transient, Cause::ServerError, true),
            (Operation::Delete, Class::Unknown, Cause::TimedOut, true),
            (list, Class::Transient, Cause::ServerError, false),
            (show, Class::Denied, Cause::Forbidden, false),
            (show, Class::Transient, Cause::InstanceNotFound, false),
            (Operation::Create, Class::Transient, Cause::TooLate, false),
        ] {
            assert_eq!(
                of(operation, class, cause),
                [expected; 2],
                "{operation:?} {cause:?}"
            );
        }
    }

    #[test]
    fn the_wait_never_overflows() {
        assert_eq!(backoff_secs(0), 2);
        assert_eq!(backoff_secs(u32::MAX), 600);
        assert_eq!(list_backoff_secs(0), 1);
        assert_eq!(list_backoff_secs(u32::MAX), 60);
    }
}
