//! Flags of the lease -> which of several processes leads, or a sentence that says which windows contradict each other.

use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use swr_operator_kube::{LEASE_DURATION_MAX, LeaseOptions, LeaseWindows};

use crate::value::{duration, lease};

/// Of the lease duration one part in so many is neither for beginning writes nor for ending them: clocks do not run alike.
const SLACK_SHARE: u32 = 6;

/// The flags, by the names of kube-controller-manager.
#[derive(Debug, Args)]
pub(crate) struct LeaseArgs {
    /// Work only while this process holds the lease, so that several replicas can run: one works, the
    /// others watch and wait.
    #[arg(long = "leader-elect", env = "SWR_OPERATOR_LEADER_ELECT", value_parser = BoolishValueParser::new())]
    is_on: bool,

    /// Name of the Lease in the operator's own namespace.
    #[arg(
        long = "leader-elect-resource-name",
        env = "SWR_OPERATOR_LEADER_ELECT_RESOURCE_NAME",
        default_value = "swr-operator",
        value_name = "NAME",
        value_parser = lease
    )]
    resource_name: String,

    /// Another replica takes over when it has seen no renewal of the lease for so long. Must be at least the
    /// renew deadline, the write deadline and a sixth of itself together.
    #[arg(long = "leader-elect-lease-duration", env = "SWR_OPERATOR_LEADER_ELECT_LEASE_DURATION", default_value = "60s", value_parser = duration)]
    lease_duration: Duration,

    /// The leader begins no write to SWR when it last renewed the lease so long ago.
    #[arg(long = "leader-elect-renew-deadline", env = "SWR_OPERATOR_LEADER_ELECT_RENEW_DEADLINE", default_value = "30s", value_parser = duration)]
    renew_deadline: Duration,

    /// Time between two renewals of the lease by the leader, and between two reads of it by the others.
    #[arg(long = "leader-elect-retry-period", env = "SWR_OPERATOR_LEADER_ELECT_RETRY_PERIOD", default_value = "2s", value_parser = duration)]
    retry_period: Duration,
}

/// Windows that contradict each other.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LeaseError {
    #[error(
        "--leader-elect-lease-duration ({} s) must be at least --leader-elect-renew-deadline ({} s), --write-deadline ({} s) and a sixth of itself together: a write that the leader began must have ended before another replica takes over",
        lease.as_secs(), renew.as_secs(), write.as_secs()
    )]
    TooShort {
        lease: Duration,
        renew: Duration,
        write: Duration,
    },
    #[error(
        "--leader-elect-lease-duration ({} s) must be at most {} s: nobody believes a longer one",
        lease.as_secs(), LEASE_DURATION_MAX.as_secs()
    )]
    TooLong { lease: Duration },
    #[error(
        "--leader-elect-renew-deadline ({} s) must be at least twice --leader-elect-retry-period ({} s): one renewal may fail",
        renew.as_secs(), retry.as_secs()
    )]
    NoRetry { renew: Duration, retry: Duration },
}

impl LeaseArgs {
    /// The lease, if there is to be an election. `pod_name` is for people who read the lease.
    ///
    /// # Errors
    /// When a write that began in time could still be under way when another process takes over.
    pub(crate) fn options(
        &self,
        write_deadline: Duration,
        namespace: &str,
        pod_name: &str,
    ) -> Result<Option<LeaseOptions>, LeaseError> {
        if !self.is_on {
            return Ok(None);
        }
        let (lease, renew) = (self.lease_duration, self.renew_deadline);
        let retry = self.retry_period;
        let slack = lease / SLACK_SHARE;
        let taken = renew.saturating_add(write_deadline).saturating_add(slack);
        if lease < taken {
            return Err(LeaseError::TooShort {
                lease,
                renew,
                write: write_deadline,
            });
        }
        if lease > LEASE_DURATION_MAX {
            return Err(LeaseError::TooLong { lease });
        }
        if renew < retry.saturating_mul(2) {
            return Err(LeaseError::NoRetry { renew, retry });
        }
        Ok(Some(LeaseOptions {
            namespace: namespace.to_owned(),
            name: self.resource_name.clone(),
            pod_name: pod_name.to_owned(),
            windows: LeaseWindows {
                duration: lease,
                renew_deadline: renew,
                retry_period: retry,
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        lease: LeaseArgs,
    }

    fn windows(flags: &str) -> Result<Option<LeaseWindows>, LeaseError> {
        let line = Line::try_parse_from(["run"].into_iter().chain(flags.split_whitespace()));
        let line = line.expect("flags");
        let options = line.lease.options(Duration::from_secs(20), "own", "me");
        options.map(|lease| lease.map(|lease| lease.windows))
    }

    #[test]
    fn windows_that_leave_no_room_for_a_write_are_refused() {
        let secs = Duration::from_secs;
        let defaults = LeaseWindows {
            duration: secs(60),
            renew_deadline: secs(30),
            retry_period: secs(2),
        };
        let on = |flags: &str| windows(&format!("--leader-elect {flags}"));
        assert_eq!(windows(""), Ok(None));
        assert_eq!(windows("--leader-elect-lease-duration 1s"), Ok(None));
        assert_eq!(on(""), Ok(Some(defaults)));
        for (flags, refused) in [
            (
                "--leader-elect-renew-deadline 31s",
                LeaseError::TooShort {
                    lease: secs(60),
                    renew: secs(31),
                    write: secs(20),
                },
            ),
            (
                "--leader-elect-lease-duration 59s",
                LeaseError::TooShort {
                    lease: secs(59),
                    renew: secs(30),
                    write: secs(20),
                },
            ),
            (
                "--leader-elect-lease-duration 11m",
                LeaseError::TooLong { lease: secs(660) },
            ),
            (
                "--leader-elect-retry-period 16s",
                LeaseError::NoRetry {
                    renew: secs(30),
                    retry: secs(16),
                },
            ),
        ] {
            assert_eq!(on(flags), Err(refused), "{flags}");
        }
    }
}
