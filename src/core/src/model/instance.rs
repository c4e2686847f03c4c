//! What SWR tells of an instance beside its registries.

use crate::failure::{Cause, Class, Code, Failure};

/// The documented states in which nothing can be done in an instance (swr-api.md 3). Any other word is left to the
/// answers of SWR itself: a state that was added later must not stop what works.
const NOT_RUNNING: [&str; 3] = ["Initial", "Creating", "Unavailable"];

/// What is known of an instance; each part may be unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceFacts {
    /// Its state, in SWR's word.
    pub status: Option<Code>,
    /// Registries that it may hold.
    pub quota: Option<usize>,
}

impl InstanceFacts {
    /// Whether anything can be done in it.
    ///
    /// # Errors
    /// `InstanceNotRunning` with the state.
    pub fn is_running(&self) -> Result<(), Failure> {
        let status = self.status.as_ref();
        match status.filter(|status| NOT_RUNNING.contains(&status.as_str())) {
            None => Ok(()),
            Some(status) => Err(Failure {
                class: Class::Transient,
                cause: Cause::InstanceNotRunning,
                code: Some(status.clone()),
            }),
        }
    }

    /// Whether an instance that holds so many registries takes one more.
    ///
    /// # Errors
    /// `QuotaExceeded`, as SWR would answer to a POST.
    pub fn has_room(&self, registries: usize) -> Result<(), Failure> {
        match self.quota.is_some_and(|quota| registries >= quota) {
            false => Ok(()),
            true => Err(Failure::new(Class::Denied, Cause::QuotaExceeded)),
        }
    }
}

/// Whether the state of an instance can be why it cannot be listed.
pub fn may_not_run(cause: Cause) -> bool {
    may_be_hidden(cause)
        || matches!(
            cause,
            Cause::ServerError
                | Cause::Malformed
                | Cause::InstanceNotRunning
                | Cause::QuestionRejected
        )
}

/// Whether an instance cannot be listed because SWR may offer the project none.
pub fn may_be_hidden(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::Forbidden | Cause::InstanceNotFound | Cause::ApiNotFound
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_documented_state_stops_an_instance() {
        for (status, is_running) in [
            (None, true),
            (Some("Running"), true),
            (Some("Upgrading"), true),
            (Some("Initial"), false),
            (Some("Creating"), false),
            (Some("Unavailable"), false),
        ] {
            let facts = InstanceFacts {
                status: status.and_then(Code::parse),
                quota: None,
            };
            assert_eq!(facts.is_running().is_ok(), is_running, "{status:?}");
        }
    }

    #[test]
    fn a_full_instance_takes_no_more() {
        let of = |quota| InstanceFacts {
            status: None,
            quota,
        };
        for (quota, registries, has_room) in [
            (None, 100_000, true),
            (Some(20), 19, true),
            (Some(20), 20, false),
            (Some(20), 21, false),
        ] {
            assert_eq!(of(quota).has_room(registries).is_ok(), has_room);
        }
    }

    #[test]
    fn some_causes_let_the_state_of_an_instance_be_asked_for_and_some_the_offer() {
        for (cause, expected) in [
            (Cause::Forbidden, (true, true)),
            (Cause::InstanceNotFound, (true, true)),
            (Cause::ApiNotFound, (true, true)),
            (Cause::ServerError, (true, false)),
            (Cause::Malformed, (true, false)),
            (Cause::InstanceNotRunning, (true, false)),
            (Cause::QuestionRejected, (true, false)),
            (Cause::Throttled, (false, false)),
            (Cause::AuthFailed, (false, false)),
            (Cause::TimedOut, (false, false)),
        ] {
            let found = (may_not_run(cause), may_be_hidden(cause));
            assert_eq!(found, expected, "{cause:?}");
        }
    }
}
