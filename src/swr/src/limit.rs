//! Keeps one account within its rate and out of the way of a cloud that says stop. Whether its key
//! is tried at all is the matter of `circuit`. Sends nothing and reads no answer itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until, timeout_at};

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
}

impl Default for Windows {
    fn default() -> Self {
        Windows {
            wait_max: Duration::from_mins(1),
            // From 1/16 back to nominal takes ten steps: five minutes.
            recovery: Duration::from_secs(30),
        }
    }
}

/// The rate never falls below nominal / 16: with the default of 10 per second, one in 1.6 s.
const SLOWEST: f64 = 1.0 / 16.0;

pub(super) struct Limiter {
    limits: Limits,
    windows: Windows,
    circuit: Arc<Circuit>,
    in_flight: Semaphore,
    /// One place for each reservation.
    reservations: Arc<Semaphore>,
    /// Who waits for the token of a reservation, one after the other.
    line: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

struct State {
    tokens: f64,
    refilled_at: Instant,
    rate: f64,
    /// When the rate changed last, either way.
    changed_at: Instant,
    /// When it was halved last.
    halved_at: Option<Instant>,
    paused_until: Option<Instant>,
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
            let limiter = &self.limiter;
            limiter.lock().give_back(limiter.limits.burst);
        }
    }
}

/// What stands between a request and its admission.
enum Held {
    Wait(Instant, WaitsFor),
    Refuse(Failure),
}

/// Whose limit a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WaitsFor {
    /// SWR's: it answered 429, and the account is paused or slower since.
    Swr,
    /// The account's own.
    OwnLimits,
}

impl Limiter {
    pub(super) fn new(limits: Limits, windows: Windows, circuit: Arc<Circuit>) -> Self {
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
        let now = Instant::now();
        Limiter {
            limits,
            windows,
            circuit,
            in_flight: Semaphore::new(limits.in_flight as usize),
            reservations: Arc::new(Semaphore::new(limits.in_flight as usize)),
            line: tokio::sync::Mutex::new(()),
            state: Mutex::new(State {
                tokens: f64::from(limits.burst),
                refilled_at: now,
                rate: limits.requests_per_second,
                changed_at: now,
                halved_at: None,
                paused_until: None,
            }),
        }
    }

    /// Waits until the rate allows a request.
    ///
    /// # Errors
    /// As [`Limiter::admit`].
    pub(super) async fn reserve(self: &Arc<Self>) -> Result<Reservation, Failure> {
        let deadline = Instant::now() + self.windows.wait_max;
        self.circuit.check(Instant::now())?;
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
            let taken = self.lock().take_token(now, &self.limits);
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
    /// token, only until SWR wants to be asked again and fewer are under way.
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
        let patience = Instant::now() + self.windows.wait_max;
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
            let taken = self
                .lock()
                .take(now, &self.limits, &self.circuit, reservation.is_some());
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

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every critical section leaves the state whole, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take<'a>(
        &mut self,
        now: Instant,
        limits: &Limits,
        circuit: &'a Circuit,
        is_reserved: bool,
    ) -> Result<Trial<'a>, Held> {
        circuit.check(now).map_err(Held::Refuse)?;
        let waits = |(until, limit)| Held::Wait(until, limit);
        let room = match is_reserved {
            true => self.not_paused(now),
            false => self.has_token(now, limits),
        };
        room.map_err(waits)?;
        let trial = circuit.enter(now).map_err(Held::Refuse)?;
        let trial = trial.ok_or(Held::Wait(now + TRIAL_CHECK_EVERY, WaitsFor::OwnLimits))?;
        if !is_reserved {
            self.tokens -= 1.0;
        }
        Ok(trial)
    }

    /// SWR did not ask for a pause.
    fn not_paused(&self, now: Instant) -> Result<(), (Instant, WaitsFor)> {
        match self.paused_until.filter(|until| *until > now) {
            Some(until) => Err((until, WaitsFor::Swr)),
            None => Ok(()),
        }
    }

    /// The rate allows one more request; if not, when and by whose limit.
    fn has_token(&mut self, now: Instant, limits: &Limits) -> Result<(), (Instant, WaitsFor)> {
        self.not_paused(now)?;
        let passed = now.duration_since(self.refilled_at).as_secs_f64();
        self.refilled_at = now;
        self.tokens = (self.tokens + passed * self.rate).min(f64::from(limits.burst));
        // A millionth of a token is what rounding to the timer's resolution may leave missing.
        if self.tokens < 1.0 - 1e-6 {
            let missing = Duration::from_secs_f64((1.0 - self.tokens) / self.rate);
            let limit = match self.rate < limits.requests_per_second {
                true => WaitsFor::Swr,
                false => WaitsFor::OwnLimits,
            };
            return Err((now + missing, limit));
        }
        Ok(())
    }

    fn take_token(&mut self, now: Instant, limits: &Limits) -> Result<(), (Instant, WaitsFor)> {
        self.has_token(now, limits)?;
        self.tokens -= 1.0;
        Ok(())
    }

    fn give_back(&mut self, burst: u32) {
        self.tokens = (self.tokens + 1.0).min(f64::from(burst));
    }
}

impl Permit<'_> {
    /// Learns from how the request went.
    pub(super) fn settle(self, result: Result<(), &Failure>) {
        let now = Instant::now();
        let limiter = self.limiter;
        let nominal = limiter.limits.requests_per_second;
        let mut state = limiter.lock();
        limiter.circuit.settle(now, result);
        let Err(failure) = result else {
            let is_due = now.duration_since(state.changed_at) >= limiter.windows.recovery;
            if state.rate < nominal && is_due {
                state.rate = (state.rate + nominal / 10.0).min(nominal);
                state.changed_at = now;
            }
            return;
        };
        if failure.cause != Cause::Throttled {
            return;
        }
        // Requests that were under way together are refused together; that is one sign.
        if state.halved_at.is_none_or(|at| self.admitted_at >= at) {
            state.rate = (state.rate / 2.0).max(nominal * SLOWEST);
            state.halved_at = Some(now);
        }
        state.changed_at = now;
        state.tokens = state.tokens.min(0.0);
        state.refilled_at = now;
        if let Class::Throttled {
            after_secs: Some(secs),
        } = failure.class
        {
            let until = now + Duration::from_secs(u64::from(secs));
            state.paused_until = state.paused_until.max(Some(until));
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
