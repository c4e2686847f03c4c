//! The order of events of `run`, in short: what the watch shows and what has ended comes in, and what is due is started.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use swr_operator_api::registry::ReplicationRegistry;
use swr_operator_clock as clock;
use swr_operator_core::desired::Scope;
use swr_operator_core::object::{Object, ObjectKey};
use swr_operator_core::reconcile::{Clearance, Witness};
use swr_operator_core::time;
use swr_operator_kube::Seen;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::kubernetes::Shown;
use super::site::{Site, WINDOWS};
use crate::lanes::Lane;
use crate::poll::{self, Polled};
use crate::queue::Queue;
use crate::reconcile;
use crate::schedule::{Purpose, Schedule};
use crate::turn::Ended;

const DRIFT_SECS: i64 = 30;
/// As in `run`.
const ROUND: Duration = Duration::from_millis(250);

/// The shell around the site.
pub(super) struct Shell {
    pub(super) site: Arc<Site>,
    queue: Queue,
    schedule: Schedule,
    reconciles: JoinSet<EndedReconcile>,
    reads: JoinSet<Polled>,
    shown: mpsc::UnboundedReceiver<Shown>,
    round_at: Timestamp,
}

struct EndedReconcile {
    lane: Option<Scope>,
    key: ObjectKey,
    uid: String,
    ended: Ended,
}

impl Shell {
    pub(super) async fn new() -> Self {
        // The time of the process begins with this test's clock.
        let now = clock::now();
        let (sender, shown) = mpsc::unbounded_channel();
        Shell {
            site: Arc::new(Site::new(sender).await),
            queue: Queue::default(),
            schedule: Schedule::new(Some(DRIFT_SECS), clock::jittered),
            reconciles: JoinSet::new(),
            reads: JoinSet::new(),
            shown,
            round_at: now,
        }
    }

    /// Works until this time, or until `is_done`.
    pub(super) async fn work(&mut self, until: Timestamp, is_done: impl Fn(&Site) -> bool) {
        while clock::now() < until && !is_done(&self.site) {
            self.start_what_is_due();
            let nap = clock::until(until).min(ROUND);
            tokio::select! {
                biased;
                Some(shown) = self.shown.recv() => self.see(shown),
                Some(ended) = self.reconciles.join_next() => self.ended(ended.expect("no panic")),
                Some(polled) = self.reads.join_next() => self.read(&polled.expect("no panic")),
                () = tokio::time::sleep(nap) => {}
            }
        }
    }

    fn see(&mut self, shown: Shown) {
        match shown {
            Shown::Applied(cr) => self.queue.applied(seen(cr), clock::now()),
            Shown::Deleted(key, uid) => self.queue.deleted(&key, &uid),
        }
    }

    fn start_what_is_due(&mut self) {
        let now = clock::now();
        while let Some(turn) = self.queue.next(now) {
            let testimony = turn.scope.as_ref().map(|it| self.schedule.testimony(it));
            let witness = Witness {
                is_believed: testimony.is_some_and(|testimony| testimony.is_believed),
                may_send: turn.may_resend,
            };
            // What the guard holds back has its own tests.
            let clearance = Clearance::Given { until: None };
            let context = Arc::clone(&self.site.context);
            self.reconciles.spawn(async move {
                let (key, uid, lane) = (turn.key.clone(), turn.uid.clone(), turn.lane.clone());
                EndedReconcile {
                    ended: Box::pin(reconcile::run(context, turn, witness, clearance)).await,
                    lane,
                    key,
                    uid,
                }
            });
        }
        if self.round_at > now {
            return;
        }
        self.round_at = time::after_wait(now, ROUND);
        if let Some(polls) = self.queue.changed_polls(WINDOWS.poll_secs) {
            self.schedule.polls(&polls, now);
        }
        self.schedule
            .waited_for(self.queue.instances_waited_for(), now);
        for (scope, purpose) in self.schedule.due(now) {
            self.schedule.begins(&scope);
            let usable = self.site.usable();
            self.reads.spawn(async move {
                let begun = clock::now();
                let reader = usable.client.reader();
                let read = poll::observe(&reader, &usable.snapshots, &scope.instance, purpose);
                Polled {
                    observation: read.await,
                    scope,
                    purpose,
                    begun,
                    secrets: HashMap::new(),
                    order_distrusted: false,
                }
            });
        }
    }

    fn ended(&mut self, ended: EndedReconcile) {
        let EndedReconcile {
            lane,
            key,
            uid,
            ended,
        } = ended;
        self.queue.ended_in(lane.as_ref());
        self.queue
            .finished(&key, &uid, ended, clock::now(), clock::jittered);
    }

    fn read(&mut self, polled: &Polled) {
        let (now, scope) = (clock::now(), &polled.scope);
        self.schedule.ended(scope, polled.purpose, now);
        let before = self.schedule.testimony(scope);
        let moves = poll::moves(&self.queue, polled, before);
        let moved: Vec<ObjectKey> = moves.moved.into_iter().cloned().collect();
        let (testimony, may_send) = (moves.testimony, moves.may_send);
        let differing = poll::differing(&self.site.context.sealer, &self.queue, polled);
        match &polled.observation {
            Some(Err(failure)) => {
                self.schedule.fails(scope, failure, now);
                self.queue.instance_fails(scope, failure.cause, now);
            }
            Some(Ok(_)) => {
                self.schedule.answers(scope);
                self.queue.instance_answers(scope, now);
            }
            None => {}
        }
        for key in differing {
            self.queue.wake(&key, Lane::Background, now);
        }
        if polled.purpose == Purpose::Poll && matches!(&polled.observation, Some(Ok(_))) {
            self.schedule.testifies(scope, testimony);
            for (n, key) in moved.iter().enumerate() {
                self.queue.moved(key, n < may_send, now);
            }
        }
    }
}

fn seen(cr: Box<ReplicationRegistry>) -> Seen {
    let object = Object::from_cr(&cr).expect("an object");
    Seen {
        key: object.key.clone(),
        uid: object.uid.clone(),
        version: object.version.clone(),
        generation: object.generation,
        deleting: object.deleting,
        deletion: object.deletion().map(Box::new),
        has_finalizer: object.has_finalizer(),
        requested_at: object.requested_at.clone(),
        created_at: None,
        scope: Some(object.scope),
        poll_secs: object.poll_secs,
        object: Some(cr),
    }
}
