//! What SWR tells of an instance beside its registries, and when it is asked again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use swr_operator_core::desired::InstanceId;
use swr_operator_core::failure::Failure;
use swr_operator_core::instance::{self, InstanceFacts};
use swr_operator_swr::Reader;
use tokio::time::{Instant, timeout};

/// States and quotas change by the hand of a person.
const EVERY: Duration = Duration::from_hours(1);
/// The same for an instance that could not be listed more than once.
const EVERY_FAILING: Duration = Duration::from_mins(30);
/// Nothing waits longer for what only explains.
const PATIENCE: Duration = Duration::from_secs(2);

/// What SWR told when it was asked last.
#[derive(Default)]
struct Told<T> {
    known: T,
    asked_at: Option<Instant>,
    is_news: bool,
}

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

/// State and quota of one instance.
#[derive(Default)]
pub(super) struct Facts(Mutex<Told<InstanceFacts>>);

impl Facts {
    /// Asks for both, if it is time: at once if the last LIST failed, the first time that one did.
    pub(super) async fn ask(
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
        if !self.told().is_due(every) {
            return;
        }
        let asking = async { tokio::join!(reader.status_of(instance), reader.quota_of(instance)) };
        if let Ok((status, quota)) = timeout(PATIENCE, asking).await {
            let mut told = self.told();
            let quota = quota.or(told.known.quota);
            told.learn(InstanceFacts { status, quota });
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
            let mut told = self.told();
            let (status, quota) = (status.ok().flatten(), told.known.quota);
            told.learn(InstanceFacts { status, quota });
        }
        self.is_running()
    }

    /// The same as SWR told last.
    pub(super) fn is_running(&self) -> Result<(), Failure> {
        self.told().known.is_running()
    }

    /// Whether it takes one more beside so many registries, as SWR told last.
    pub(super) fn has_room(&self, registries: usize) -> Result<(), Failure> {
        self.told().known.has_room(registries)
    }

    /// Somebody asked for the quota alone. Without an answer the one told last stands.
    pub(super) fn learn_quota(&self, quota: Option<usize>) {
        let mut told = self.told();
        let status = told.known.status.clone();
        let quota = quota.or(told.known.quota);
        told.learn(InstanceFacts { status, quota });
    }

    pub(super) fn known(&self) -> InstanceFacts {
        self.told().known.clone()
    }

    /// Whether SWR told something new since this was asked last.
    pub(super) fn take_news(&self) -> bool {
        self.told().take_news()
    }

    fn told(&self) -> MutexGuard<'_, Told<InstanceFacts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The quota of an instance, if SWR tells it in time.
pub(super) async fn quota_of(reader: Reader, instance: InstanceId) -> Option<usize> {
    let quota = timeout(PATIENCE, reader.quota_of(&instance)).await;
    quota.ok().flatten()
}

/// Whether SWR offers the project no instances at all.
#[derive(Default)]
pub(super) struct NotOffered(Mutex<Told<bool>>);

impl NotOffered {
    /// Asks, if it is time, when that can be why an instance could not be listed.
    pub(super) async fn explain(&self, reader: &Reader, failure: Option<&Failure>) {
        let Some(failure) = failure else {
            self.told().learn(false);
            return;
        };
        if instance::may_be_hidden(failure.cause) && self.told().is_due(EVERY) {
            let offered = timeout(PATIENCE, reader.is_offered()).await;
            self.told().learn(offered.ok().flatten() == Some(false));
        }
    }

    pub(super) fn known(&self) -> bool {
        self.told().known
    }

    /// As [`Facts::take_news`].
    pub(super) fn take_news(&self) -> bool {
        self.told().take_news()
    }

    fn told(&self) -> MutexGuard<'_, Told<bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
