//! Whether an access key is tried at all. Clouds lock a key that is refused too often, whoever uses
//! it, so all accounts with one key share a circuit. Sends nothing and knows no key, only its
//! fingerprint.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use swr_operator_core::credential::Fingerprint;
use swr_operator_core::failure::{Cause, Failure};

/// Five refusals could be a rotation under way; more are a wrong key, and clouds lock accounts.
const REFUSALS_MAX: u32 = 5;

/// Between two checks whether a key that is not proven has room for one more request: its answers
/// take tenths of a second.
pub(super) const TRIAL_CHECK_EVERY: Duration = Duration::from_millis(50);

/// Time between two attempts while the key is refused.
pub(super) const PROBE_EVERY: Duration = Duration::from_mins(5);

/// The circuits of all keys that are in use, and of those that were refused a moment ago: an
/// account that is not ready for a while must not begin to count anew. There are no more than
/// accounts, and keys that were tried within [`PROBE_EVERY`].
#[derive(Clone, Default)]
pub struct Circuits(Arc<Mutex<HashMap<Fingerprint, Arc<Circuit>>>>);

impl Circuits {
    /// The circuit of the key with this fingerprint: that of everybody who uses it, or a new one.
    pub fn of(&self, key: &Fingerprint) -> Arc<Circuit> {
        self.at(key, Instant::now())
    }

    fn at(&self, key: &Fingerprint, now: Instant) -> Arc<Circuit> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, circuit| Arc::strong_count(circuit) > 1 || circuit.was_refused(now));
        Arc::clone(known.entry(key.clone()).or_default())
    }
}

/// What is known of one key.
#[derive(Debug, Default)]
pub struct Circuit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// In a row, by whichever account.
    refusals: u32,
    refusal: Option<Failure>,
    probe_at: Option<Instant>,
    /// Whether the newest answer took the key.
    is_proven: bool,
    /// Requests that have no answer yet, by whichever account.
    under_way: u32,
}

/// One request with the key, until this is dropped.
#[derive(Debug)]
pub(super) struct Trial<'a>(&'a Circuit);

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.under_way = state.under_way.saturating_sub(1);
    }
}

impl Circuit {
    /// # Errors
    /// The last refusal of the key while it is not tried.
    pub(super) fn check(&self, now: Instant) -> Result<(), Failure> {
        self.lock().check(now)
    }

    /// The same for a request that goes at once. Of those that try a refused key again, one enters.
    /// `None` while so many are under way with a key that is not proven that, were all of them
    /// refused, one more would lock it.
    pub(super) fn enter(&self, now: Instant) -> Result<Option<Trial<'_>>, Failure> {
        let mut state = self.lock();
        state.check(now)?;
        if state.is_open() {
            state.probe_at = Some(now + PROBE_EVERY);
        } else if !state.is_proven && state.refusals.saturating_add(state.under_way) >= REFUSALS_MAX
        {
            return Ok(None);
        }
        state.under_way = state.under_way.saturating_add(1);
        Ok(Some(Trial(self)))
    }

    /// The same, after a wait for those before it, which end within their deadlines.
    pub(super) async fn trial(&self) -> Result<Trial<'_>, Failure> {
        loop {
            match self.enter(Instant::now())? {
                Some(trial) => return Ok(trial),
                None => tokio::time::sleep(TRIAL_CHECK_EVERY).await,
            }
        }
    }

    /// Learns from how a request went.
    pub(super) fn settle(&self, now: Instant, result: Result<(), &Failure>) {
        let mut state = self.lock();
        let Err(failure) = result else {
            state.proven();
            return;
        };
        match failure.cause {
            Cause::AuthFailed | Cause::ClockSkew { .. } => {
                state.refusals = state.refusals.saturating_add(1);
                state.is_proven = false;
                state.refusal = Some(failure.clone());
                state.probe_at = Some(now + PROBE_EVERY);
            }
            // These can come from in front of the place where the key is looked at.
            Cause::Throttled
            | Cause::Unreachable
            | Cause::NotConnected(_)
            | Cause::TimedOut
            | Cause::ServerError
            | Cause::Malformed
            | Cause::ListHasGaps
            | Cause::Redirected
            | Cause::ApiNotFound
            | Cause::OwnLimits
            | Cause::TooLate => {}
            Cause::Forbidden
            | Cause::RegistryNotFound
            | Cause::InstanceNotFound
            | Cause::InstanceNotRunning
            | Cause::AlreadyExists
            | Cause::InUse
            | Cause::QuotaExceeded
            | Cause::Rejected
            | Cause::DnsConfRejected
            | Cause::QuestionRejected
            | Cause::TargetUnreachable => state.proven(),
        }
    }

    /// Whether it was refused so lately that it would not be tried again.
    fn was_refused(&self, now: Instant) -> bool {
        self.lock().probe_at.is_some_and(|at| now < at)
    }

    /// The failure by which the key was refused when it was tried last, if it was.
    pub(super) fn refusal(&self) -> Option<Failure> {
        let state = self.lock();
        state.refusal.clone().filter(|_| state.refusals > 0)
    }

    /// Whether the key is refused so often that it is tried now and then only.
    pub(super) fn is_open(&self) -> bool {
        self.lock().is_open()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every critical section leaves the state whole, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn proven(&mut self) {
        self.refusals = 0;
        self.is_proven = true;
    }

    fn is_open(&self) -> bool {
        self.refusals >= REFUSALS_MAX
    }

    fn check(&self, now: Instant) -> Result<(), Failure> {
        let is_shut_off = self.is_open() && self.probe_at.is_some_and(|at| now < at);
        match self.refusal.clone().filter(|_| is_shut_off) {
            Some(refusal) => Err(refusal),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swr_operator_core::credential::Sealer;
    use swr_operator_core::failure::Class;

    #[test]
    fn a_key_has_one_circuit_as_long_as_it_is_in_use_and_another_key_has_another() {
        let sealer = Sealer::new(vec![7; 32]);
        let key = |secret| sealer.account_key(&["AK1", secret, ""]);
        let circuits = Circuits::default();
        let (one, same) = (circuits.of(&key("a")), circuits.of(&key("a")));
        let other = circuits.of(&key("b"));
        let refused = Failure::new(Class::Denied, Cause::AuthFailed);
        let now = Instant::now();
        for circuit in [&one, &same, &one, &same, &one] {
            assert!(!one.is_open() && !same.is_open());
            circuit.settle(now, Err(&refused));
        }
        assert!(one.is_open() && same.is_open() && !other.is_open());
        assert_eq!(same.check(now), Err(refused.clone()));
        assert_eq!(other.check(now), Ok(()));
        // A client that is made anew with the key does not begin anew.
        drop(one);
        assert_eq!(circuits.of(&key("a")).check(now), Err(refused.clone()));
        // Of all that would try again, one does.
        let later = now + PROBE_EVERY;
        assert!(same.enter(later).is_ok_and(|trial| trial.is_some()));
        assert_eq!(circuits.of(&key("a")).enter(later).err(), Some(refused));
        // Nor does an account that was not ready for a while.
        drop(same);
        assert!(circuits.at(&key("a"), later).is_open());
        // What nobody uses is forgotten in the end.
        let much_later = later + PROBE_EVERY;
        assert!(!circuits.at(&key("a"), much_later).is_open());
        assert_eq!(circuits.0.lock().expect("whole").len(), 2);
    }

    #[test]
    fn a_key_that_is_not_proven_is_never_tried_so_often_at_once_that_it_could_be_locked() {
        let circuit = Circuit::default();
        let now = Instant::now();
        let refused = Failure::new(Class::Denied, Cause::AuthFailed);
        let enter = || circuit.enter(now).expect("closed");
        circuit.settle(now, Err(&refused));
        let mut under_way: Vec<Trial<'_>> = (0..4).filter_map(|_| enter()).collect();
        assert_eq!(under_way.len(), 4);
        assert!(enter().is_none());
        // A request that ended without a word about the key makes room.
        under_way.pop();
        under_way.extend(enter());
        assert!(enter().is_none());
        // A key that was taken is not on trial any more.
        circuit.settle(now, Ok(()));
        under_way.extend((0..20).filter_map(|_| enter()));
        assert_eq!(under_way.len(), 24);
    }
}
