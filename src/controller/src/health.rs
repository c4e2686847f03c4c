//! What the controller tells of itself -> whether it is alive, and whether it is ready. Serves nothing.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use swr_operator_clock as clock;

/// The controller's loop turns at least once a second; after this time it is stuck.
const STUCK_SECS: i64 = 60;

/// What the controller tells of itself.
#[derive(Default)]
pub struct Health {
    turned_at: AtomicI64,
    objects_listed: AtomicBool,
    accounts_listed: AtomicBool,
}

impl Health {
    /// The controller's loop turned.
    pub fn beat(&self) {
        self.turned_at
            .store(clock::now().as_second(), Ordering::Relaxed);
    }

    /// The objects were listed once.
    pub fn objects_listed(&self) {
        self.objects_listed.store(true, Ordering::Relaxed);
    }

    /// The accounts were listed once.
    pub fn accounts_listed(&self) {
        self.accounts_listed.store(true, Ordering::Relaxed);
    }

    /// What must hold as long as the process runs, and whether it does.
    pub fn live(&self) -> Vec<(&'static str, bool)> {
        let turned_at = self.turned_at.load(Ordering::Relaxed);
        let waits_to_start = turned_at == 0;
        let turns = clock::now().as_second() - turned_at < STUCK_SECS;
        vec![("loop", waits_to_start || turns)]
    }

    /// What must hold before the process counts as started, and whether it does.
    pub fn ready(&self) -> Vec<(&'static str, bool)> {
        let mut checks = self.live();
        checks.push((
            "objects listed",
            self.objects_listed.load(Ordering::Relaxed),
        ));
        checks.push((
            "accounts listed",
            self.accounts_listed.load(Ordering::Relaxed),
        ));
        checks
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_stands_still_for_a_minute_is_not_alive() {
        let health = Health::default();
        let alive = |health: &Health| health.live() == [("loop", true)];
        assert!(alive(&health), "it waits to start");
        health.beat();
        tokio::time::advance(Duration::from_secs(58)).await;
        assert!(alive(&health));
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(!alive(&health));
        assert_eq!(health.ready()[0], ("loop", false));
        health.beat();
        assert!(alive(&health));
    }
}
