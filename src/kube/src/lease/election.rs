//! What is known of the lease, and the time -> the next request about it, and what this process may do. Pure: nothing
//! here sends, waits or reads a clock.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use swr_operator_core::time;

/// A person may have written any duration into the lease. None of ours is longer.
pub const LEASE_DURATION_MAX: Duration = Duration::from_mins(10);
/// Whoever lets go of the lease writes this duration beside no holder, as client-go does.
const RELEASED_SECS: i32 = 1;

/// The windows of a lease, by client-go's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseWindows {
    /// For so long a process that sees no renewal waits before it takes over.
    pub duration: Duration,
    /// For so long after it sent a renewal the holder may begin writes.
    pub renew_deadline: Duration,
    /// Time between two renewals, and between two reads by those who wait.
    pub retry_period: Duration,
}

/// What this process may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Watch and wait: another process leads, or it is not known yet.
    Standby,
    /// Everything, and begin writes until then. It may be in the past, when renewals fail.
    Leads {
        /// The write fence.
        until: Timestamp,
    },
    /// Nothing any more: it led, and another process does now.
    Lost,
}

impl Standing {
    /// Whether anything may begin now.
    pub fn leads_at(self, now: Timestamp) -> bool {
        match self {
            Standing::Leads { until } => now <= until,
            Standing::Standby | Standing::Lost => false,
        }
    }
}

/// What is asked of the API server.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Request {
    Read,
    /// By POST, which is refused if there is one.
    Create(Box<LeaseSpec>),
    /// By PUT, which is refused unless the resourceVersion is that of the stored one.
    Replace(Box<Lease>),
}

/// What the API server said.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Read(Option<Box<Lease>>),
    Written(Box<Lease>),
    /// Somebody else wrote in between.
    Conflict,
    /// It was refused, or nobody knows what came of it.
    Failed,
}

/// The lease as it was answered last.
#[derive(Clone, Debug, PartialEq)]
enum Known {
    Nothing,
    Absent,
    There(Box<Lease>),
}

/// The last claim of another process, or the last that was seen of one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rival {
    /// The resourceVersion of the lease with this claim.
    version: Option<String>,
    /// Counted from when this process first saw it, because no clock is compared with another.
    expires_at: Timestamp,
}

/// One process' part in the election.
#[derive(Clone, Debug)]
pub(super) struct Election {
    identity: String,
    windows: LeaseWindows,
    known: Known,
    rival: Option<Rival>,
    /// When the last renewal was sent that was answered; `None` until the first.
    renewed_at: Option<Timestamp>,
    is_lost: bool,
    asks_at: Timestamp,
}

impl Election {
    pub(super) fn new(identity: String, windows: LeaseWindows, now: Timestamp) -> Self {
        Election {
            identity,
            windows,
            known: Known::Nothing,
            rival: None,
            renewed_at: None,
            is_lost: false,
            asks_at: now,
        }
    }

    pub(super) fn standing(&self) -> Standing {
        match self.renewed_at {
            _ if self.is_lost => Standing::Lost,
            None => Standing::Standby,
            Some(at) => Standing::Leads {
                until: time::after_wait(at, self.windows.renew_deadline),
            },
        }
    }

    /// Who holds the lease as far as is known.
    pub(super) fn holder(&self) -> Option<&str> {
        match &self.known {
            Known::Nothing | Known::Absent => None,
            Known::There(lease) => holder(lease),
        }
    }

    /// When [`Election::request`] has something to ask again.
    pub(super) fn asks_at(&self) -> Timestamp {
        self.asks_at
    }

    /// What to ask, if anything. `wall` goes into the lease for people to read, and decides nothing.
    pub(super) fn request(&mut self, now: Timestamp, wall: Timestamp) -> Option<Request> {
        if self.is_lost || now < self.asks_at {
            return None;
        }
        if self.known == Known::Nothing {
            return Some(Request::Read);
        }
        let expires_at = self.rival.as_ref().map(|rival| rival.expires_at);
        if let Some(at) = expires_at.filter(|at| now < *at) {
            // A renewal shows when the lease is read again, at the latest just before it is taken.
            self.known = Known::Nothing;
            self.asks_at = time::after_wait(now, self.windows.retry_period).min(at);
            return None;
        }
        Some(match &self.known {
            Known::Nothing => Request::Read,
            Known::Absent => Request::Create(Box::new(self.claim(None, wall))),
            Known::There(lease) => Request::Replace(Box::new(Lease {
                spec: Some(self.claim(lease.spec.as_ref(), wall)),
                ..Lease::clone(lease)
            })),
        })
    }

    /// What came of a request that was sent at `sent_at`.
    pub(super) fn answered(&mut self, answer: Answer, sent_at: Timestamp, now: Timestamp) {
        match answer {
            Answer::Written(lease) => {
                self.known = Known::There(lease);
                self.rival = None;
                self.renewed_at = Some(sent_at);
                self.asks_at = time::after_wait(sent_at, self.windows.retry_period);
            }
            Answer::Read(lease) => {
                self.read(lease.as_deref(), now);
                self.known = lease.map_or(Known::Absent, Known::There);
            }
            Answer::Conflict => self.known = Known::Nothing,
            Answer::Failed => {
                // It may have been carried out.
                self.known = Known::Nothing;
                self.asks_at = time::after_wait(now, self.windows.retry_period);
            }
        }
    }

    fn read(&mut self, lease: Option<&Lease>, now: Timestamp) {
        let holder = lease.and_then(holder);
        if holder == Some(&self.identity) {
            self.rival = None;
            return;
        }
        self.is_lost = holder.is_some() && self.renewed_at.is_some();
        let wait = if holder.is_some() {
            self.patience(lease)
        } else if lease.is_some_and(is_released) {
            // Whoever let go of it has stopped.
            Duration::ZERO
        } else if self.may_have_been_held(now) {
            // A person emptied or deleted it, and its holder may not know yet.
            self.windows.duration
        } else {
            return;
        };
        let version = lease.and_then(|lease| lease.metadata.resource_version.clone());
        if self.rival.as_ref().map(|rival| &rival.version) != Some(&version) {
            self.rival = Some(Rival {
                version,
                expires_at: time::after_wait(now, wait),
            });
        }
    }

    /// Whether a lease without a holder may have had another one than this process. One that nobody has seen held is
    /// that of a new installation.
    fn may_have_been_held(&self, now: Timestamp) -> bool {
        match self.renewed_at {
            Some(at) => time::after_wait(at, self.windows.duration) <= now,
            None => self.rival.is_some(),
        }
    }

    /// How long another's claim is believed: for the longer of its duration and ours, so that neither an edit nor an
    /// upgrade that changes the duration cuts short what the holder relies on.
    fn patience(&self, lease: Option<&Lease>) -> Duration {
        let spec = lease.and_then(|lease| lease.spec.as_ref());
        let secs = spec.and_then(|spec| spec.lease_duration_seconds);
        let theirs = secs.and_then(|secs| u64::try_from(secs).ok());
        let theirs = Duration::from_secs(theirs.unwrap_or_default());
        theirs.min(LEASE_DURATION_MAX).max(self.windows.duration)
    }

    /// The lease with this process as its holder.
    fn claim(&self, old: Option<&LeaseSpec>, wall: Timestamp) -> LeaseSpec {
        let old = old.cloned().unwrap_or_default();
        let is_ours = old.holder_identity.as_deref() == Some(&self.identity);
        let transitions = old.lease_transitions.unwrap_or_default();
        LeaseSpec {
            acquire_time: old.acquire_time.filter(|_| is_ours).or(Some(micro(wall))),
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.windows.duration.as_secs()).ok(),
            lease_transitions: Some(transitions.saturating_add(i32::from(!is_ours))),
            renew_time: Some(micro(wall)),
            preferred_holder: old.preferred_holder,
            strategy: old.strategy,
        }
    }

    /// The lease without a holder, so that another process need not wait; `None` if it is not ours to give away.
    pub(super) fn released(&self, wall: Timestamp) -> Option<Lease> {
        let Known::There(lease) = &self.known else {
            return None;
        };
        (holder(lease) == Some(&self.identity)).then(|| Lease {
            spec: Some(LeaseSpec {
                holder_identity: Some(String::new()),
                lease_duration_seconds: Some(RELEASED_SECS),
                acquire_time: Some(micro(wall)),
                renew_time: Some(micro(wall)),
                ..lease.spec.clone().unwrap_or_default()
            }),
            ..Lease::clone(lease)
        })
    }
}

fn micro(at: Timestamp) -> MicroTime {
    MicroTime(at)
}

fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref()?;
    (!holder.is_empty()).then_some(holder)
}

fn is_released(lease: &Lease) -> bool {
    let secs = (lease.spec.as_ref()).and_then(|spec| spec.lease_duration_seconds);
    secs == Some(RELEASED_SECS) && holder(lease).is_none()
}

#[cfg(test)]
mod tests;
