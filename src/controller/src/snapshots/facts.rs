//! What SWR tells of an instance beside its registries, and when it is asked again.

use std::time::Duration;

use swr_operator_core::account::InstanceUsage;
use swr_operator_core::desired::InstanceId;
use swr_operator_core::failure::Failure;
use swr_operator_core::instance::{self, InstanceFacts};
use swr_operator_swr::Reader;
use tokio::time::{Instant, timeout};

use super::super::shared::Load;
use super::Snapshots;
use super::instance::Instance;

/// States and quotas change by the hand of a person.
const EVERY: Duration = Duration::from_hours(1);
/// The same for an instance that could not be listed more than once.
const EVERY_FAILING: Duration = Duration::from_mins(5);
/// Nothing waits longer for what only explains.
const PATIENCE: Duration = Duration::from_secs(2);

/// What SWR told when it was asked last.
#[derive(Default)]
pub(super) struct Told<T> {
    pub(super) known: T,
    asked_at: Option<Instant>,
    is_news: bool,
}

/// Of an instance.
pub(super) type Facts = Told<InstanceFacts>;
/// Whether the project is offered none.
pub(super) type NotOffered = Told<bool>;

impl<T: PartialEq> Told<T> {
    /// Whether so much time has passed since it was asked; if so, it is asked now.
    fn is_due(&mut self, every: Duration) -> bool {
        let is_due = self.asked_at.is_none_or(|at| at.elapsed() >= every);
        if is_due {
            self.asked_at = Some(Instant::now());
        }
        is_due
    }

    fn learn(&mut self, known: T) {
        self.is_news |= self.known != known;
        self.known = known;
    }

    fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.is_news)
    }
}

impl Instance {
    /// Asks for state and quota, if it is time: at once if the last LIST failed, the first time that one did.
    pub(super) async fn ask_facts(
        &self,
        reader: &Reader,
        instance: &InstanceId,
        failing: Option<(&Failure, u32)>,
    ) {
        let every = match failing.filter(|(failure, _)| instance::may_not_run(failure.cause)) {
            None => EVERY,
            Some((_, 1)) => Duration::ZERO,
            Some(_) => EVERY_FAILING,
        };
        if !self.notes().facts.is_due(every) {
            return;
        }
        let asking = async { tokio::join!(reader.status_of(instance), reader.quota_of(instance)) };
        if let Ok((status, quota)) = timeout(PATIENCE, asking).await {
            let facts = &mut self.notes().facts;
            let quota = quota.or(facts.known.quota);
            facts.learn(InstanceFacts { status, quota });
        }
    }

    /// Whether the instance runs, as far as SWR told. One that did not is asked for that again.
    pub(super) async fn comes_to_run(
        &self,
        reader: &Reader,
        instance: &InstanceId,
    ) -> Result<(), Failure> {
        if self.is_running().is_err() {
            let status = timeout(PATIENCE, reader.status_of(instance)).await;
            let facts = &mut self.notes().facts;
            let (status, quota) = (status.ok().flatten(), facts.known.quota);
            facts.learn(InstanceFacts { status, quota });
        }
        self.is_running()
    }

    /// The same as SWR told last.
    pub(super) fn is_running(&self) -> Result<(), Failure> {
        self.notes().facts.known.is_running()
    }

    fn has_room(&self) -> Result<(), Failure> {
        let notes = self.notes();
        let registries = notes.registries().unwrap_or_default();
        notes.facts.known.has_room(registries)
    }

    /// What is known of it, for the status of its account.
    pub(super) fn usage(&self, instance: &InstanceId) -> InstanceUsage {
        let notes = self.notes();
        InstanceUsage {
            id: instance.clone(),
            registries: notes.registries(),
            facts: notes.facts.known.clone(),
        }
    }
}

impl Snapshots {
    /// Whether the instance takes one registry more, as far as SWR told. One that was full is asked for its
    /// quota again, by one question of all who come before it.
    pub(in super::super) async fn room(
        &self,
        reader: &Reader,
        instance: &InstanceId,
    ) -> Result<(), Failure> {
        let it = self.instance(instance);
        if it.has_room().is_err() {
            let (reader, asked) = (reader.clone(), instance.clone());
            let ask = move || async move {
                let quota = timeout(PATIENCE, reader.quota_of(&asked)).await;
                quota.ok().flatten()
            };
            let quota = self.quotas.read(instance.clone(), Load::Heavy, ask).await;
            let facts = &mut it.notes().facts;
            let status = facts.known.status.clone();
            facts.learn(InstanceFacts { status, quota });
        }
        it.has_room()
    }

    /// Whether SWR offers instances to the project, as far as it told when one could not be listed.
    pub(in super::super) fn are_offered(&self) -> bool {
        !self.not_offered().known
    }

    /// Whether SWR told something new since this was asked last.
    pub(in super::super) fn has_news(&self) -> bool {
        let instances = self.locked();
        let of_instances = instances.values().filter(|it| it.notes().facts.take_news());
        of_instances.count() > 0 || self.not_offered().take_news()
    }

    /// What can explain why an instance could not be listed.
    pub(super) async fn explain(&self, reader: &Reader, failure: Option<&Failure>) {
        let Some(failure) = failure else {
            self.not_offered().learn(false);
            return;
        };
        if instance::may_be_hidden(failure.cause) && self.not_offered().is_due(EVERY) {
            let offered = timeout(PATIENCE, reader.is_offered()).await;
            self.not_offered()
                .learn(offered.ok().flatten() == Some(false));
        }
    }
}
