//! Keeps one account within its rate and out of the way of a cloud that says stop. Whether its key
//! is tried at all is the matter of `circuit`. Sends nothing and reads no answer itself.

mod rate;
mod shares;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until, timeout_at};

use self::rate::{Rate, WaitsFor};
use self::shares::Shares;
use super::auth::Authenticator;
use super::circuit::{Circuit, TRIAL_CHECK_EVERY, Trial};
use swr_operator_clock as clock;
use swr_operator_core::failure::{Cause, Class, Failure};

/// What an account may use of the cloud.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Sustained rate.
    pub requests_per_second: f64,
    /// Requests that may go at once after a pause.
    pub burst: u32,
    /// Requests under way at the same time.
    pub in_flight: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            requests_per_second: 10.0,
            burst: 20,
            in_flight: 4,
        }
    }
}

/// The times the limiter works with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    /// Longest wait for admission.
    pub(super) wait_max: Duration,
    /// Time without a 429 after which the rate grows by a tenth of the nominal rate.
    pub(super) recovery: Duration,
    /// For so long a 429 is remembered: the rate stays below the one at which it came, and requests leave
    /// one by one.
    pub(super) memory: Duration,
    /// Time without a 429 after which more than that is tried, at first; each time in vain doubles it.
    pub(super) patience: Duration,
}

impl Default for Windows {
    fn default() -> Self {
        Windows {
            wait_max: Duration::from_mins(1),
            // From 1/16 back to nominal takes ten steps. That is quick, because it goes no further than
            // to the rate that SWR is known to take.
            recovery: Duration::from_secs(1),
            memory: Duration::from_mins(5),
            patience: Duration::from_secs(10),
        }
    }
}

/// Lets the requests of one account go.
pub struct Limiter {
    wait_max: Duration,
    circuit: Arc<Circuit>,
    in_flight: Semaphore,
    /// One place for each reservation.
    reservations: Arc<Semaphore>,
    /// Who waits for a reservation, one of each share.
    shares: Shares,
    /// Who waits for the token of a reservation, one after the other.
    line: tokio::sync::Mutex<()>,
    rate: Mutex<Rate>,
}

/// Leave for one request. Dropping it makes room for the next.
pub(super) struct Permit<'a> {
    limiter: &'a Limiter,
    admitted_at: Instant,
    _trial: Trial<'a>,
    _slot: SemaphorePermit<'a>,
    _reservation: Option<Reservation>,
}

/// A token of the rate that is taken ahead of its request. There are no more reservations than requests
/// may be under way, so that whoever has one waits at most for those before it to end. Dropped unused, the
/// token goes to others.
pub struct Reservation {
    limiter: Arc<Limiter>,
    is_used: bool,
    _place: OwnedSemaphorePermit,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.is_used {
            self.limiter.lock().give_back();
        }
    }
}

/// What stands between a request and its admission.
enum Held {
    Wait(Instant, WaitsFor),
    Refuse(Failure),
}

impl Limiter {
    /// Of the account with this credential.
    pub fn of(limits: Limits, authenticator: &Authenticator) -> Arc<Self> {
        let circuit = Arc::clone(authenticator.circuit());
        Arc::new(Limiter::new(limits, Windows::default(), circuit))
    }

    fn new(limits: Limits, windows: Windows, circuit: Arc<Circuit>) -> Self {
        // The schema forbids what is corrected here; an older CRD may be installed.
        let rate = limits.requests_per_second;
        let limits = Limits {
            requests_per_second: if rate.is_finite() {
                rate.clamp(0.01, 1000.0)
            } else {
                1.0
            },
            burst: limits.burst.max(1),
            in_flight: limits.in_flight.clamp(1, 64),
        };
        Limiter {
            in_flight: Semaphore::new(limits.in_flight as usize),
            reservations: Arc::new(Semaphore::new(limits.in_flight as usize)),
            shares: Shares::default(),
            line: tokio::sync::Mutex::new(()),
            rate: Mutex::new(Rate::new(limits, windows, Instant::now())),
            wait_max: windows.wait_max,
            circuit,
        }
    }

    /// Waits until the rate allows a request. Those who wait take turns by `share`.
    ///
    /// # Errors
    /// As [`Limiter::admit`].
    pub(super) async fn reserve(self: &Arc<Self>, share: &str) -> Result<Reservation, Failure> {
        let deadline = Instant::now() + self.wait_max;
        self.circuit.check(Instant::now())?;
        let _turn = timeout_at(deadline, self.shares.turn(share))
            .await
            .map_err(|_| gave_up(WaitsFor::OwnLimits, None))?;
        let place = Arc::clone(&self.reservations).acquire_owned();
        let place = timeout_at(deadline, place)
            .await
            .map_err(|_| gave_up(WaitsFor::OwnLimits, None))?
            .expect("invariant: the semaphore is never closed");
        // One at a time looks for room, so that who came first goes first.
        let _line = timeout_at(deadline, self.line.lock())
            .await
            .map_err(|_| gave_up(WaitsFor::OwnLimits, None))?;
        loop {
            let now = Instant::now();
            self.circuit.check(now)?;
            let taken = self.lock().take_token(now);
            match taken {
                Ok(()) => {
                    return Ok(Reservation {
                        limiter: Arc::clone(self),
                        is_used: false,
                        _place: place,
                    });
                }
                Err((until, limit)) if until > deadline => {
                    return Err(gave_up(limit, Some(until - now)));
                }
                Err((until, _)) => sleep_until(until).await,
            }
        }
    }

    /// Waits until a request may go, at most until `not_after`. One with a reservation waits for no
    /// token, only until SWR wants to be asked again and fewer are under way: after a 429 for a gap of the
    /// rate behind each of those that have a reservation, too.
    ///
    /// # Errors
    /// `Throttled` or `OwnLimits` when that would take too long, by whose limit it is that the
    /// request waits for; `TooLate` when `not_after` has passed; and the last refusal of the key
    /// while the key is not tried.
    pub(super) async fn admit(
        &self,
        not_after: Option<Timestamp>,
        mut reservation: Option<Reservation>,
    ) -> Result<Permit<'_>, Failure> {
        let patience = Instant::now() + self.wait_max;
        // How long to wait is the timer's matter, which stands still while the machine sleeps;
        // whether it is too late is asked of the clock that does not.
        let ends = not_after.map(|at| Instant::now() + clock::until(at));
        let deadline = ends.map_or(patience, |at| at.min(patience));
        // Nobody queues for a key that is known to be refused.
        self.circuit.check(Instant::now())?;
        if not_after.is_some_and(|at| clock::now() > at) {
            return Err(too_late());
        }
        let slot = timeout_at(deadline, self.in_flight.acquire())
            .await
            .map_err(|_| gave_up(WaitsFor::OwnLimits, None))?
            .expect("invariant: the semaphore is never closed");
        loop {
            let now = Instant::now();
            // A future polled late, as after a suspended process, must not send late.
            if not_after.is_some_and(|at| clock::now() > at) {
                return Err(too_late());
            }
            let taken = self.take(now, reservation.is_some());
            match taken {
                Ok(trial) => {
                    if let Some(reservation) = &mut reservation {
                        reservation.is_used = true;
                    }
                    return Ok(Permit {
                        limiter: self,
                        admitted_at: now,
                        _trial: trial,
                        _slot: slot,
                        _reservation: reservation,
                    });
                }
                Err(Held::Refuse(failure)) => return Err(failure),
                Err(Held::Wait(until, limit)) if until > deadline => {
                    return Err(gave_up(limit, Some(until - now)));
                }
                Err(Held::Wait(until, _)) => sleep_until(until).await,
            }
        }
    }

    /// The failure by which the key was refused when it was tried last, if it was.
    pub(super) fn refusal(&self) -> Option<Failure> {
        self.circuit.refusal()
    }

    /// Whether the key is refused so often that it is tried now and then only.
    pub(super) fn circuit_is_open(&self) -> bool {
        self.circuit.is_open()
    }

    fn take(&self, now: Instant, is_reserved: bool) -> Result<Trial<'_>, Held> {
        self.circuit.check(now).map_err(Held::Refuse)?;
        let mut rate = self.lock();
        let room = rate.may_leave(now).and_then(|()| match is_reserved {
            true => Ok(()),
            false => rate.has_token(now),
        });
        room.map_err(|(until, limit)| Held::Wait(until, limit))?;
        let trial = self.circuit.enter(now).map_err(Held::Refuse)?;
        let trial = trial.ok_or(Held::Wait(now + TRIAL_CHECK_EVERY, WaitsFor::OwnLimits))?;
        if !is_reserved {
            rate.spend();
        }
        rate.leaves(now);
        Ok(trial)
    }

    fn lock(&self) -> MutexGuard<'_, Rate> {
        // Every critical section leaves it whole, so a panic elsewhere does not spoil it.
        self.rate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// Learns from how the request went.
    pub(super) fn settle(self, result: Result<(), &Failure>) {
        let now = Instant::now();
        let limiter = self.limiter;
        limiter.circuit.settle(now, result);
        let mut rate = limiter.lock();
        match result {
            Ok(()) => rate.succeeded(now),
            Err(failure) if failure.cause == Cause::Throttled => {
                rate.refused(self.admitted_at, now, failure.class);
            }
            Err(_) => {}
        }
    }
}

fn too_late() -> Failure {
    Failure::new(Class::Transient, Cause::TooLate)
}

/// Nothing was sent, so SWR has refused nothing.
fn gave_up(limit: WaitsFor, after: Option<Duration>) -> Failure {
    let after_secs = after.map(|after| {
        let secs = after.as_secs_f64().ceil().clamp(1.0, 900.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 1..=900"
        )]
        let secs = secs as u32;
        secs
    });
    let cause = match limit {
        WaitsFor::Swr => Cause::Throttled,
        WaitsFor::OwnLimits => Cause::OwnLimits,
    };
    Failure::new(Class::Throttled { after_secs }, cause)
}

#[cfg(test)]
mod tests;
