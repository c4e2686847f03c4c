//! The part of the loop that says whether this process leads, and ends what is under way when it goes.

use std::time::Duration;

use jiff::Timestamp;
use swr_operator_clock as clock;

use super::Loop;

/// Reconciles that are under way at SIGTERM have this time to end; a write to SWR takes 20 s at most,
/// and the process must be gone after 25.
const SHUTDOWN: Duration = Duration::from_secs(22);
/// Writes begin for so long after SIGTERM, so that a reconcile that is about to write does.
const LAST_WRITES: Duration = Duration::from_secs(2);
/// What reconciles have told people last may take this long to be written.
const EVENTS_SHUTDOWN: Duration = Duration::from_secs(2);

/// Why the controller ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was told to.
    Told,
    /// Another process holds the lease.
    LeaseLost,
}

impl Loop {
    /// Waits to lead.
    pub(super) fn stand_by(&self) {
        self.context.metrics.leads(self.leadership.name(), false);
        self.context.metrics.objects.stand_by();
    }

    /// Whether this process leads now, so that reconciles and reads may begin. The first time it begins as after a
    /// start: of what the watches showed until now, another process has reconciled an unknown part.
    pub(super) fn leads(&mut self, now: Timestamp) -> bool {
        let leads = self.context.fence.is_open(now);
        if leads != self.leads {
            self.leads = leads;
            self.context.metrics.leads(self.leadership.name(), leads);
            if leads && self.leads_since.is_none() {
                self.leads_since = Some(now);
                self.begin_guarding(now);
                self.context.metrics.objects.begin();
            } else if leads {
                tracing::info!("the lease is renewed again, and work goes on");
            } else if !self.leadership.is_lost() {
                tracing::warn!("nothing is started while the lease cannot be renewed");
            }
        }
        leads
    }

    /// Starts nothing any more, and ends what is under way.
    pub(super) async fn shut_down(mut self) -> Ending {
        self.reads.abort_all();
        self.secret_reads.abort_all();
        self.refreshes.abort_all();
        // A write that begins later could be cut off half way, which costs T_settle at the start.
        let write = Duration::from_secs(self.context.windows.write_secs.unsigned_abs());
        let last_writes = clock::after(LAST_WRITES.min(SHUTDOWN.saturating_sub(write)));
        self.context.fence.end(last_writes);
        let under_way = self.reconciles.len();
        tracing::info!(under_way, "stopping");
        let ended = tokio::time::timeout(SHUTDOWN, async {
            let all_written = async {
                tokio::time::sleep(clock::until(last_writes)).await;
                self.context.fence.all_written().await;
            };
            tokio::select! {
                () = async { while self.reconciles.join_next().await.is_some() {} } => {}
                // What has written nothing has nothing to write down, and the next process waits.
                () = all_written => {}
            }
        });
        let all_written = ended.await.is_ok();
        if !all_written {
            // What they would have written down is found by its tag at the next start.
            tracing::warn!(
                abandoned = self.reconciles.len(),
                "reconciles did not end in time"
            );
        }
        self.reconciles.shutdown().await;
        let is_lost = self.leadership.is_lost();
        self.leadership.end(all_written && !is_lost).await;
        let publishing = self.publishing;
        let _ = tokio::time::timeout(EVENTS_SHUTDOWN, async {
            self.context.events.end().await;
            let _ = publishing.await;
        })
        .await;
        match is_lost {
            true => Ending::LeaseLost,
            false => Ending::Told,
        }
    }
}
