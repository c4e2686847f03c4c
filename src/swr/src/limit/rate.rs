//! How many requests may go, by the limits of an account and by what SWR refused. A state machine: time
//! comes in as an argument.

use std::time::Duration;

use swr_operator_core::failure::Class;
use tokio::time::Instant;

use super::{Limits, Windows};

/// The rate never falls below nominal / 16: with the default of 10 per second, one in 1.6 s.
const SLOWEST: f64 = 1.0 / 16.0;

/// What SWR takes, as a part of the rate at which it answered 429. At 95 of 100 requests per second, one
/// that is late by half of a gap still meets no limit that counts seconds.
const TAKEN: f64 = 0.95;

/// What is tried beyond a rate that was refused.
const RAISE: f64 = 1.25;

/// Twice what an intent takes to be written. At a rate below one request in it, none is let go ahead.
const AHEAD: Duration = Duration::from_millis(500);

/// After a 429 that names no time. The gateway counts the requests of a second, so that at once the next
/// would be refused for the same burst.
const PAUSE: Duration = Duration::from_secs(1);

/// A bucket of tokens that fills at a rate.
pub(super) struct Rate {
    nominal: f64,
    burst: f64,
    windows: Windows,
    tokens: f64,
    refilled_at: Instant,
    pub(super) per_second: f64,
    /// When that changed last, either way.
    changed_at: Instant,
    /// The last 429 that was news.
    pub(super) refused: Option<Refused>,
    /// No request leaves before: SWR asked for a pause, or another has just left.
    leaves_at: Option<Instant>,
}

/// SWR answered 429.
#[derive(Clone, Copy)]
pub(super) struct Refused {
    at: Instant,
    /// The rate that was too much.
    pub(super) rate: f64,
    /// When that was raised last, to see whether SWR takes more after all.
    raised_at: Option<Instant>,
    /// How long nothing is refused before it is raised: requests that were held up on their way and met
    /// in one second were refused by accident.
    pub(super) patience: Duration,
}

/// Whose limit a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// SWR's: it answered 429, and the account is paused or slower since.
    Swr,
    /// The account's own.
    OwnLimits,
}

/// When a request may go, and by whose limit not before.
type Later = (Instant, WaitsFor);

impl Rate {
    pub(super) fn new(limits: Limits, windows: Windows, now: Instant) -> Self {
        Rate {
            nominal: limits.requests_per_second,
            burst: f64::from(limits.burst),
            windows,
            tokens: f64::from(limits.burst),
            refilled_at: now,
            per_second: limits.requests_per_second,
            changed_at: now,
            refused: None,
            leaves_at: None,
        }
    }

    /// A request may leave, if it has its token.
    pub(super) fn may_leave(&self, now: Instant) -> Result<(), Later> {
        match self.leaves_at.filter(|at| *at > now) {
            Some(at) => Err((at, WaitsFor::Swr)),
            None => Ok(()),
        }
    }

    /// A request leaves. What was reserved leaves when its intent is written, so that tokens alone do not
    /// keep requests apart where SWR counts those of a second.
    pub(super) fn leaves(&mut self, now: Instant) {
        if self.remembers(now).is_some() {
            let gap = Duration::from_secs_f64(1.0 / self.per_second);
            self.leaves_at = Some(now + gap);
        }
    }

    /// The rate allows one more request.
    pub(super) fn has_token(&mut self, now: Instant) -> Result<(), Later> {
        // Who counts the requests of a second has no room for a burst beside them. They leave one by one
        // then, and are let go a little ahead, so that one is ready when it may leave.
        let (burst, ahead) = match self.remembers(now) {
            Some(_) => (1.0, self.per_second * AHEAD.as_secs_f64()),
            None => (self.burst, 0.0),
        };
        let needed = 1.0 - ahead;
        let passed = now.duration_since(self.refilled_at).as_secs_f64();
        self.refilled_at = now;
        self.tokens = (self.tokens + passed * self.per_second).min(burst);
        // A millionth of a token is what rounding to the timer's resolution may leave missing.
        if self.tokens < needed - 1e-6 {
            let missing = Duration::from_secs_f64((needed - self.tokens) / self.per_second);
            let limit = match self.per_second < self.nominal {
                true => WaitsFor::Swr,
                false => WaitsFor::OwnLimits,
            };
            return Err((now + missing, limit));
        }
        Ok(())
    }

    /// A token that is there is used.
    pub(super) fn spend(&mut self) {
        self.tokens -= 1.0;
    }

    /// A token is taken ahead of its request; during a pause none is, because it would be old at its end.
    pub(super) fn take_token(&mut self, now: Instant) -> Result<(), Later> {
        self.may_leave(now)?;
        self.has_token(now)?;
        self.spend();
        Ok(())
    }

    /// One that was taken was not used.
    pub(super) fn give_back(&mut self) {
        self.tokens = (self.tokens + 1.0).min(self.burst);
    }

    /// The last 429, unless that is long ago.
    fn remembers(&self, now: Instant) -> Option<Refused> {
        let is_recent = |it: &Refused| now.duration_since(it.at) < self.windows.memory;
        self.refused.filter(is_recent)
    }

    /// A request went well: the rate grows towards what SWR takes.
    pub(super) fn succeeded(&mut self, now: Instant) {
        let mut refused = self.remembers(now);
        if let Some(refused) = &mut refused
            && now.duration_since(refused.raised_at.unwrap_or(refused.at)) >= refused.patience
            && refused.rate < self.nominal
        {
            refused.rate = (refused.rate * RAISE).min(self.nominal);
            refused.raised_at = Some(now);
            self.refused = Some(*refused);
        }
        let most = refused.map_or(self.nominal, |it| it.rate * TAKEN);
        let is_due = now.duration_since(self.changed_at) >= self.windows.recovery;
        if self.per_second < most && is_due {
            self.per_second = (self.per_second + self.nominal / 10.0).min(most);
            self.changed_at = now;
        }
    }

    /// SWR answered 429 to a request that was sent then.
    pub(super) fn refused(&mut self, sent_at: Instant, now: Instant, class: Class) {
        // Requests that were under way together are refused together; that is one sign.
        if self.refused.is_none_or(|it| sent_at >= it.at) {
            let (rate, patience) = match self.remembers(now) {
                None => (self.per_second, self.windows.patience),
                Some(before) if before.raised_at.is_none() => (self.per_second, before.patience),
                // More was tried, and is too much.
                Some(before) => {
                    let patience = (before.patience * 2).min(self.windows.memory);
                    (self.per_second.min(before.rate / RAISE), patience)
                }
            };
            self.refused = Some(Refused {
                at: now,
                rate,
                raised_at: None,
                patience,
            });
            self.per_second = (self.per_second / 2.0).max(self.nominal * SLOWEST);
        }
        self.changed_at = now;
        self.tokens = self.tokens.min(0.0);
        self.refilled_at = now;
        let asked = match class {
            Class::Throttled { after_secs } => after_secs.map(u64::from),
            Class::Transient
            | Class::Denied
            | Class::Invalid
            | Class::NotFound
            | Class::Conflict
            | Class::Unknown => None,
        };
        let pause = asked.map_or(PAUSE, Duration::from_secs);
        self.leaves_at = self.leaves_at.max(Some(now + pause));
    }
}
