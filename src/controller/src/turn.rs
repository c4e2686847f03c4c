//! The turn of an object: what its reconcile is given, and what it leaves behind.

use jiff::Timestamp;
use swr_operator_core::desired::Scope;
use swr_operator_core::object::{ObjectKey, Version};
use swr_operator_core::reconcile::{Memory, Watched};
use swr_operator_core::requeue::Requeue;
use swr_operator_core::summary::{Baseline, Verdict};

use super::shared::Load;
use crate::metrics::Outcome;

/// An object whose turn it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) key: ObjectKey,
    pub(super) uid: String,
    pub(super) memory: Memory,
    /// Account and instance, if the object fits our CRD.
    pub(super) scope: Option<Scope>,
    /// Those in whose lane it waited: the object may have changed its account since.
    pub(super) lane: Option<Scope>,
    /// How much its instance has to do.
    pub(super) load: Load,
    /// Whether this reconcile may send a registry that shows no difference.
    pub(super) may_resend: bool,
    /// Since when it has waited for its turn.
    pub(super) queued_at: Timestamp,
    /// The object, if the watch showed it since it was reconciled last.
    pub(super) watched: Option<Box<Watched>>,
}

/// What a reconcile leaves behind.
pub(super) struct Ended {
    pub(super) requeue: Requeue,
    /// Another reconcile that is due in any case.
    pub(super) again_at: Option<Timestamp>,
    pub(super) memory: Memory,
    pub(super) baseline: Option<Baseline>,
    pub(super) verdict: Verdict,
    /// The version that the watch showed, if the reconcile neither read the object nor wrote to it: when
    /// the watch shows another, what was decided may not hold.
    pub(super) upon: Option<Version>,
    /// Whether a person must change something.
    pub(super) stalled: bool,
}

impl Ended {
    /// In the words of metrics.
    pub(super) fn outcome(&self) -> Outcome {
        if self.verdict == Verdict::Panicked {
            return Outcome::Panic;
        }
        if self.stalled {
            return Outcome::TerminalError;
        }
        match self.requeue {
            Requeue::Backoff { .. } | Requeue::Instance { .. } => Outcome::Error,
            Requeue::Now => Outcome::Requeue,
            Requeue::At(_) | Requeue::SoonUntil(_) => Outcome::RequeueAfter,
            Requeue::Never
            | Requeue::Poll
            | Requeue::SecretChange { .. }
            | Requeue::AccountChange
            | Requeue::ObjectChange => Outcome::Success,
        }
    }

    /// Of a reconcile that left nothing behind.
    pub(super) fn broken() -> Self {
        Ended {
            requeue: Requeue::Backoff { min_secs: 3_600 },
            again_at: None,
            memory: Memory::default(),
            baseline: None,
            verdict: Verdict::Panicked,
            upon: None,
            stalled: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reconcile_ends_in_the_words_of_controller_runtime() {
        let at = Timestamp::UNIX_EPOCH;
        let backoff = Requeue::Backoff { min_secs: 0 };
        let ended = |requeue, verdict, stalled| Ended {
            requeue,
            again_at: None,
            memory: Memory::default(),
            baseline: None,
            verdict,
            upon: None,
            stalled,
        };
        for (requeue, stalled, outcome) in [
            (Requeue::Poll, false, Outcome::Success),
            (Requeue::Never, false, Outcome::Success),
            (
                Requeue::SecretChange { until: None },
                false,
                Outcome::Success,
            ),
            (Requeue::Now, false, Outcome::Requeue),
            (Requeue::At(at), false, Outcome::RequeueAfter),
            (Requeue::SoonUntil(at), false, Outcome::RequeueAfter),
            (backoff, false, Outcome::Error),
            (backoff, true, Outcome::TerminalError),
            (Requeue::ObjectChange, true, Outcome::TerminalError),
        ] {
            let ended = ended(requeue, Verdict::Suspended, stalled);
            assert_eq!(ended.outcome(), outcome, "{requeue:?} {stalled}");
        }
        let broken = ended(backoff, Verdict::Panicked, true);
        assert_eq!(broken.outcome(), Outcome::Panic);
    }
}
