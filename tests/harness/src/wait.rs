//! Waiting for something real. Every wait has a deadline and says at its end what it saw last.

use std::fmt::Display;
use std::time::Duration;

use crate::{Error, environment};

/// Between two looks: short against the seconds that a control plane takes, long against the cost of one kubectl.
const INTERVAL: Duration = Duration::from_millis(100);

/// One look at the thing waited for.
pub enum Look<T> {
    Ready(T),
    /// Not yet, and what there is instead.
    NotYet(String),
    /// It cannot come any more.
    Hopeless(Error),
}

impl<T, E: Display> From<Result<T, E>> for Look<T> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Ready(value),
            Err(seen) => Self::NotYet(seen.to_string()),
        }
    }
}

/// Looks until the thing is there, hopeless, or the deadline is over. Blocks.
pub fn until<T, L: Into<Look<T>>>(
    deadline: Duration,
    what: impl Into<String>,
    mut look: impl FnMut() -> L,
) -> Result<T, Error> {
    let started = environment::now();
    loop {
        let seen = match look().into() {
            Look::Ready(value) => return Ok(value),
            Look::Hopeless(error) => return Err(error),
            Look::NotYet(seen) => seen,
        };
        if started.elapsed() >= deadline {
            return Err(Error::Deadline {
                what: what.into(),
                deadline,
                seen,
            });
        }
        environment::pause(INTERVAL);
    }
}

/// For async tests: probes until the answer is `Ok`. `Err` says what there is instead.
///
/// # Panics
/// When the deadline is over, with what the probe saw last. A probe that hangs counts as over, too.
pub async fn eventually<T, E: Display>(
    deadline: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Result<T, E>,
) -> T {
    let mut seen = String::from("nothing, the first look did not end");
    let answer = tokio::time::timeout(deadline, async {
        loop {
            match probe().await {
                Ok(value) => return value,
                Err(instead) => seen = instead.to_string(),
            }
            tokio::time::sleep(INTERVAL).await;
        }
    })
    .await;
    answer.unwrap_or_else(|_elapsed| panic!("{what}: not within {deadline:?}; last seen: {seen}"))
}

/// For plain tests: as [`eventually`], but blocks.
///
/// # Panics
/// When the deadline is over, with what the probe saw last.
pub fn eventually_blocking<T, E: Display>(
    deadline: Duration,
    what: &str,
    probe: impl FnMut() -> Result<T, E>,
) -> T {
    until(deadline, what, probe).unwrap_or_else(|error| panic!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_ends_in_vain_says_what_it_saw_last() {
        let mut looks = 0;
        let error = until(Duration::from_millis(250), "the answer", || {
            looks += 1;
            Err::<(), _>(format!("look {looks}"))
        })
        .expect_err("the probe never answers");
        assert_eq!(
            error.to_string(),
            format!("the answer: not within 250ms; last seen: look {looks}")
        );
    }

    #[test]
    fn a_hopeless_wait_ends_at_once() {
        let error = until(Duration::from_hours(1), "the answer", || {
            Look::<()>::Hopeless(Error::Unexpected {
                expected: "life".into(),
                seen: "death".into(),
            })
        })
        .expect_err("it is hopeless");
        assert_eq!(error.to_string(), "expected life; saw death");
    }
}
