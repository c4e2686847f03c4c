//! The part of the loop that reads instances, and the Secrets that objects wait for.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jiff::Timestamp;
use swr_operator_clock as clock;
use swr_operator_core::desired::Scope;
use swr_operator_core::failure::{Cause, Class, Failure};
use swr_operator_core::object::ObjectKey;
use swr_operator_core::time;
use swr_operator_core::witness::Testimony;
use swr_operator_kube::{Event, SeenSecret};
use tokio::task::{self, JoinError};

use super::super::lanes::Lane;
use super::super::poll::{self, Polled, ReadSecrets};
use super::super::schedule::Purpose;
use super::Loop;

impl Loop {
    pub(super) fn start_reads(&mut self, now: Timestamp) {
        if let Some(polls) = self.queue.changed_polls(self.context.windows.poll_secs) {
            self.schedule.polls(&polls, now);
        }
        let waits = self.queue.instances_waited_for();
        self.schedule.waited_for(waits, now);
        for (scope, purpose) in self.schedule.due(now) {
            let secrets = match purpose {
                Purpose::Poll => poll::secrets_of(&self.queue, &scope),
                Purpose::Changes | Purpose::Retry => BTreeSet::new(),
            };
            self.schedule.begins(&scope);
            let context = Arc::clone(&self.context);
            let read = poll::read(context, scope.clone(), purpose, secrets);
            let task = self.reads.spawn(read);
            self.of_read.insert(task.id(), (scope, purpose));
        }
    }

    pub(super) fn instance_read(&mut self, read: Result<(task::Id, Polled), JoinError>) {
        let now = clock::now();
        let id = read.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some((scope, purpose)) = self.of_read.remove(&id) else {
            return;
        };
        self.schedule.ended(&scope, purpose, now);
        // What panics here costs this instance one read.
        let compared = read.ok().and_then(|(_, polled)| {
            let compare = || {
                let before = self.schedule.testimony(&scope);
                let moves = poll::moves(&self.queue, &polled, before);
                let differing = poll::differing(&self.context.sealer, &self.queue, &polled);
                poll::count(&self.context, &self.queue, &polled, &differing, &moves, now);
                let moved: Vec<ObjectKey> = moves.moved.into_iter().cloned().collect();
                (differing, (moves.testimony, moved, moves.may_send))
            };
            let (differing, moves) = catch_unwind(AssertUnwindSafe(compare)).ok()?;
            Some((polled, differing, moves))
        });
        let Some((polled, differing, moves)) = compared else {
            tracing::error!(
                account = %scope.account,
                instance = %scope.instance,
                "a read of an instance panicked; this is a bug, please report it"
            );
            let broken = Failure::new(Class::Transient, Cause::Malformed);
            self.instance_fails(&scope, &broken, now);
            return;
        };
        tracing::debug!(
            account = %scope.account,
            instance = %scope.instance,
            ?purpose,
            differing = differing.len(),
            "instance read"
        );
        match &polled.observation {
            Some(Err(failure)) => self.instance_fails(&scope, failure, now),
            Some(Ok(_)) => self.instance_answers(&scope, now),
            // Without its account an object has something else to say than that it waits.
            None if purpose != Purpose::Changes => self.instance_answers(&scope, now),
            None => {}
        }
        for key in differing {
            self.queue.wake(&key, Lane::Background, now);
        }
        // So many at a poll; reads in between are for those that wait, and for what shows.
        if purpose == Purpose::Poll && matches!(&polled.observation, Some(Ok(_))) {
            let (testimony, moved, may_send) = moves;
            self.testifies(&scope, testimony);
            for (n, key) in moved.iter().enumerate() {
                self.queue.moved(key, n < may_send, now);
            }
        }
    }

    /// A LIST of the instance succeeded, whoever made it: so would one of those who wait for it.
    pub(super) fn instance_answers(&mut self, scope: &Scope, now: Timestamp) {
        self.schedule.answers(scope);
        self.queue.instance_answers(scope, now);
    }

    fn instance_fails(&mut self, scope: &Scope, failure: &Failure, now: Timestamp) {
        self.schedule.fails(scope, failure, now);
        self.queue.instance_fails(scope, failure.cause, now);
    }

    /// Notes what a poll tells of the instance's `updated_at`, and says once that it tells nothing.
    fn testifies(&mut self, scope: &Scope, testimony: Testimony) {
        if self.schedule.testifies(scope, testimony) {
            tracing::warn!(
                account = %scope.account,
                instance = %scope.instance,
                "a change of a target's health moved updated_at: what is changed in SWR without showing is not noticed in this instance until the operator starts anew"
            );
        }
    }

    /// The watch of Secrets tells something, which is read when the round comes.
    pub(super) fn secret_event(&mut self, namespace: Option<String>, event: Event<SeenSecret>) {
        match &event {
            Event::Failing(error) => tracing::warn!(error, "the watch of Secrets begins anew"),
            Event::Listed => {
                self.unlisted_secrets.remove(&namespace);
            }
            Event::Listing | Event::Applied(_) | Event::Deleted(_) => {}
        }
        self.changed_secrets.event(namespace, &event, clock::now());
        if self.leads_since.is_none() {
            // Who begins to lead reads every Secret in use. On a standby names of what changed would pile up.
            self.changed_secrets.forget();
        }
    }

    pub(super) fn start_secret_read(&mut self, now: Timestamp) {
        if !self.secret_reads.is_empty() {
            return;
        }
        let changed = self.changed_secrets.take_due(now);
        // Who is reconciled just now may have read it before.
        for (namespace, _) in &changed {
            for key in self.queue.running_in(namespace) {
                self.queue.wake(&key, Lane::Background, now);
            }
        }
        let mut secrets = poll::secrets_in_use(&self.queue, changed);
        let waits = self.queue.waits_for_secrets();
        self.secret_read_at = match self.secret_read_at.filter(|_| waits) {
            Some(at) if at <= now => {
                secrets.extend(poll::secrets_waited_for(&self.queue));
                None
            }
            None if waits => Some(time::after_wait(now, self.secret_retry)),
            at => at,
        };
        if !secrets.is_empty() {
            let context = Arc::clone(&self.context);
            self.secret_reads
                .spawn(async move { poll::read_secrets(&context, secrets).await });
        }
    }

    pub(super) fn secrets_read(&mut self, secrets: Result<ReadSecrets, JoinError>) {
        let differing = secrets.ok().and_then(|secrets| {
            let compare = || {
                let released = poll::released(&self.queue, &secrets);
                [
                    released,
                    poll::rotated(&self.context.sealer, &self.queue, &secrets),
                ]
                .concat()
            };
            catch_unwind(AssertUnwindSafe(compare)).ok()
        });
        let Some(differing) = differing else {
            // Who waits is read for again; what changed is found by the next poll.
            tracing::error!("a read of Secrets panicked; this is a bug, please report it");
            return;
        };
        for key in differing {
            self.queue.wake(&key, Lane::Background, clock::now());
        }
    }
}
