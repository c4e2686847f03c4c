//! summary -> when to look again. Jitter is the shell's; the classes and the growth are here.

use jiff::Timestamp;

use crate::answer::SecretProblem;
use crate::failure::{Cause, Class, Failure};
use crate::observed::Health;
use crate::pass::Windows;
use crate::summary::{Hindrance, Summary, Verdict};
use crate::time::after;

/// When to look at an object again, if nothing happens to it before.
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
    /// When its Secret changes; it is looked at every few seconds, at no cost to SWR.
    SecretChange,
    /// When its account changes.
    AccountChange,
    /// Only a change of the object helps.
    ObjectChange,
    /// After a wait that grows with every failure in a row.
    Backoff {
        /// Not before this many seconds.
        min_secs: u32,
    },
}

/// The first wait after a failure.
const FIRST_SECS: i64 = 2;
/// The longest wait after a failure: 2, 4, 8 .. 512, 600 gives 14 attempts in the first hour and
/// 6 in each later one (budget: 15 and 7).
const MAX_SECS: i64 = 600;
/// Waits for a person who is not expected to act within minutes.
const HOURLY_SECS: u32 = 3_600;

/// The wait after this many failures in a row, before jitter.
pub fn backoff_secs(failures: u32) -> i64 {
    let doublings = failures.saturating_sub(1).min(20);
    (FIRST_SECS << doublings).min(MAX_SECS)
}

/// When to look again after a pass.
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
        | Verdict::DeletionProtected => Requeue::ObjectChange,
        Verdict::NoAccount(_) | Verdict::NotGranted(_) | Verdict::BindingChanged(_) => {
            Requeue::AccountChange
        }
        Verdict::NoCredential { problem, .. } => match problem {
            SecretProblem::NotFound | SecretProblem::Rejected(_) => Requeue::SecretChange,
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
        Verdict::Swr { failure, .. } | Verdict::CannotDelete(Hindrance::Swr { failure, .. }) => {
            after_failure(failure)
        }
        Verdict::CannotDelete(Hindrance::Account(_)) => Requeue::AccountChange,
        Verdict::CannotDelete(
            Hindrance::TagNotKept | Hindrance::DuplicateTag(_) | Hindrance::Kubernetes,
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

fn after_failure(failure: &Failure) -> Requeue {
    let min_secs = match (failure.class, failure.cause) {
        (Class::Throttled { after_secs }, _) => after_secs.unwrap_or(0),
        (_, Cause::QuotaExceeded) => HOURLY_SECS,
        _ => 0,
    };
    Requeue::Backoff { min_secs }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_wait_never_overflows() {
        assert_eq!(backoff_secs(0), 2);
        assert_eq!(backoff_secs(u32::MAX), 600);
    }
}
