//! The labels of namespaces, for grants that select by them. The loop fills it from a watch that it begins
//! with the first account that needs it.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use swr_operator_core::answer::Labels;
use tokio::sync::watch;

/// How long an account waits at its first check; a list of ten thousand namespaces takes two seconds.
const PATIENCE: Duration = Duration::from_secs(8);

/// The namespaces that the watch shows.
pub(super) struct Namespaces {
    state: Mutex<State>,
    are_listed: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    labels: HashMap<String, Labels>,
    /// What the list under way has shown.
    listed: Option<HashSet<String>>,
}

impl Default for Namespaces {
    fn default() -> Self {
        Namespaces {
            state: Mutex::default(),
            are_listed: watch::Sender::new(false),
        }
    }
}

impl Namespaces {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A complete list begins.
    pub(super) fn listing(&self) {
        self.state().listed = Some(HashSet::new());
    }

    /// The list is complete. The namespaces that it did not show are gone.
    pub(super) fn listed(&self) {
        let mut state = self.state();
        let listed = state.listed.take().unwrap_or_default();
        state.labels.retain(|name, _| listed.contains(name));
        self.are_listed.send_replace(true);
    }

    /// The watch shows a namespace. Says whether its labels are other ones than before.
    pub(super) fn applied(&self, name: &str, labels: Labels) -> bool {
        let mut state = self.state();
        if let Some(listed) = &mut state.listed {
            listed.insert(name.to_owned());
        }
        if state.labels.get(name) == Some(&labels) {
            return false;
        }
        state.labels.insert(name.to_owned(), labels);
        true
    }

    /// A namespace is gone.
    pub(super) fn deleted(&self, name: &str) {
        self.state().labels.remove(name);
    }

    /// The labels of a namespace, none if it is not known.
    pub(super) fn labels_of(&self, name: &str) -> Labels {
        self.state().labels.get(name).cloned().unwrap_or_default()
    }

    /// Whether they were listed once; waits for the first list for a while.
    pub(super) async fn are_listed(&self) -> bool {
        let mut are_listed = self.are_listed.subscribe();
        let listed = tokio::time::timeout(PATIENCE, are_listed.wait_for(|listed| *listed));
        listed.await.is_ok_and(|listed| listed.is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(team: &str) -> Labels {
        [("team".to_owned(), team.to_owned())].into()
    }

    #[test]
    fn labels_are_those_that_the_watch_showed_last() {
        let namespaces = Namespaces::default();
        namespaces.listing();
        assert!(namespaces.applied("a", labels("web")));
        assert!(namespaces.applied("b", labels("data")));
        namespaces.listed();
        assert!(!namespaces.applied("a", labels("web")));
        assert!(namespaces.applied("a", labels("ops")));
        namespaces.listing();
        namespaces.applied("a", labels("ops"));
        namespaces.listed();
        assert_eq!(namespaces.labels_of("a"), labels("ops"));
        assert_eq!(
            namespaces.labels_of("b"),
            Labels::new(),
            "the list did not show it"
        );
        namespaces.deleted("a");
        assert_eq!(namespaces.labels_of("a"), Labels::new());
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_list_is_waited_for_and_not_for_ever() {
        let namespaces = Namespaces::default();
        assert!(!namespaces.are_listed().await);
        namespaces.listed();
        assert!(namespaces.are_listed().await);
    }
}
