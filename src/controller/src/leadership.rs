//! Whether this process leads, and until when a write to SWR may begin: the fence of the lease, the end of the process, and
//! `--read-only` are one bound. Starts and stops nothing but the election.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use swr_operator_kube::{Connection, Elector, LeaseOptions, Standing};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// The lease is let go of within this time, or expires.
const RELEASE: Duration = Duration::from_secs(6);

/// In the place of the lease's name where there is none.
const ALONE: &str = "swr-operator";

/// Until when writes may begin, and who has begun one.
pub(super) struct Fence {
    standing: watch::Receiver<Standing>,
    /// Set when the process is to end, or if it only reads.
    ends_at: OnceLock<Timestamp>,
    /// Reconciles that have begun a write to SWR and have not ended.
    writers: watch::Sender<usize>,
}

/// A reconcile that has begun a write to SWR. Its answer is still to be written down.
pub(super) struct Writing(watch::Sender<usize>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n = n.saturating_sub(1));
    }
}

impl Fence {
    pub(super) fn new(standing: watch::Receiver<Standing>) -> Self {
        Fence {
            standing,
            ends_at: OnceLock::new(),
            writers: watch::Sender::new(0),
        }
    }

    /// `at`, or the end of the time in which writes may begin if that is earlier.
    pub(super) fn not_after(&self, at: Timestamp) -> Timestamp {
        let until = match *self.standing.borrow() {
            Standing::Leads { until } => until,
            Standing::Standby | Standing::Lost => Timestamp::MIN,
        };
        let end = self.ends_at.get().copied();
        end.map_or(at, |end| end.min(at)).min(until)
    }

    /// Whether reconciles and reads may begin.
    pub(super) fn is_open(&self, now: Timestamp) -> bool {
        self.standing.borrow().leads_at(now)
    }

    /// No write begins after this.
    pub(super) fn end(&self, at: Timestamp) {
        let _ = self.ends_at.set(at);
    }

    pub(super) fn begin_writing(&self) -> Writing {
        self.writers.send_modify(|n| *n = n.saturating_add(1));
        Writing(self.writers.clone())
    }

    /// Waits until every reconcile has ended that has begun a write.
    pub(super) async fn all_written(&self) {
        let mut writers = self.writers.subscribe();
        let _ = writers.wait_for(|n| *n == 0).await;
    }
}

/// This process' part in the election, if there is one. Without, it always leads.
pub(super) struct Leadership {
    standing: watch::Receiver<Standing>,
    election: Option<ElectionTask>,
    _alone: Option<watch::Sender<Standing>>,
}

struct ElectionTask {
    name: String,
    end: oneshot::Sender<bool>,
    task: JoinHandle<()>,
}

impl Leadership {
    pub(super) fn begin(lease: Option<LeaseOptions>, connection: &Connection) -> Self {
        let Some(options) = lease else {
            let always = Standing::Leads {
                until: Timestamp::MAX,
            };
            let (alone, standing) = watch::channel(always);
            return Leadership {
                standing,
                election: None,
                _alone: Some(alone),
            };
        };
        let name = options.name.clone();
        let (elector, standing) = Elector::new(connection.lease.clone(), options);
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(elector.run(ended));
        Leadership {
            standing,
            election: Some(ElectionTask { name, end, task }),
            _alone: None,
        }
    }

    pub(super) fn fence(&self) -> Fence {
        Fence::new(self.standing())
    }

    pub(super) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// The name of the lease.
    pub(super) fn name(&self) -> &str {
        self.election.as_ref().map_or(ALONE, |it| it.name.as_str())
    }

    /// Returns when what this process may do has changed.
    pub(super) async fn changed(&mut self) {
        let _ = self.standing.changed().await;
    }

    /// Takes no further part. `release`: nothing of this process is under way, and another may take over at once.
    pub(super) async fn end(&mut self, release: bool) {
        if let Some(ElectionTask { end, task, .. }) = self.election.take() {
            let _ = end.send(release);
            let _ = tokio::time::timeout(RELEASE, task).await;
        }
    }

    /// Whether the lease is lost. Only a bug ends the election without a word: then nobody renews the lease any more.
    pub(super) fn is_lost(&self) -> bool {
        *self.standing.borrow() == Standing::Lost || self.standing.has_changed().is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_write_begins_after_any_of_the_bounds() {
        let at = |secs| Timestamp::from_second(secs).expect("a time");
        let leads = |secs| Standing::Leads { until: at(secs) };
        for (standing, ends_at, asked, not_after) in [
            (leads(30), None, at(20), at(20)),
            (leads(30), None, at(40), at(30)),
            (leads(30), Some(10), at(40), at(10)),
            (leads(30), Some(50), at(40), at(30)),
            (Standing::Standby, None, at(20), Timestamp::MIN),
            (Standing::Lost, None, at(20), Timestamp::MIN),
        ] {
            let (_sender, standing_of) = watch::channel(standing);
            let fence = Fence::new(standing_of);
            if let Some(secs) = ends_at {
                fence.end(at(secs));
            }
            let found = fence.not_after(asked);
            assert_eq!(found, not_after, "{standing:?} {ends_at:?} {asked}");
        }
    }
}
