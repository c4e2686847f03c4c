//! Which Secrets changed, as a watch of their metadata shows. A data structure without tasks: time comes in as an
//! argument.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hasher as _};
use std::time::Duration;

use jiff::Timestamp;
use swr_operator_core::time;
use swr_operator_kube::{Event, SeenSecret};

use super::secrets::SecretKey;

/// Between two reads of one Secret, however often it is written.
const GAP: Duration = Duration::from_secs(5);

/// What the watches show, and what was not read since.
#[derive(Debug, Default)]
pub(super) struct ChangedSecrets {
    /// By the namespace that is watched; `None` for all.
    watches: HashMap<Option<String>, Watched>,
    /// When each may be read that changed.
    due: BTreeMap<SecretKey, Timestamp>,
    /// When those were read that changed lately.
    read_at: HashMap<SecretKey, Timestamp>,
}

#[derive(Debug, Default)]
struct Watched {
    versions: Versions,
    /// What a list that is under way has shown.
    listing: Option<Versions>,
    /// Whether a list was complete once: before that, nothing is known to have changed.
    is_listed: bool,
}

/// Hashes of names and of versions, 16 bytes for each Secret of the cluster. Two names with one hash look like changes,
/// each of which costs a read.
type Versions = HashMap<u64, u64>;

impl ChangedSecrets {
    /// A watch tells something.
    pub(super) fn event(
        &mut self,
        namespace: Option<String>,
        event: &Event<SeenSecret>,
        now: Timestamp,
    ) {
        let watched = self.watches.entry(namespace).or_default();
        match event {
            Event::Listing => watched.listing = Some(Versions::new()),
            // One that was deleted while nobody watched is found by the next poll.
            Event::Listed => {
                watched.versions = watched.listing.take().unwrap_or_default();
                watched.is_listed = true;
            }
            Event::Applied(secret) => {
                let name = hash_of(&(&secret.namespace, &secret.name));
                let version = hash_of(&secret.version);
                let before = watched.versions.insert(name, version);
                if let Some(listing) = &mut watched.listing {
                    listing.insert(name, version);
                }
                if watched.is_listed && before != Some(version) {
                    self.changed(secret, now);
                }
            }
            Event::Deleted(secret) => {
                watched
                    .versions
                    .remove(&hash_of(&(&secret.namespace, &secret.name)));
                self.changed(secret, now);
            }
            Event::Failing(_) => {}
        }
    }

    fn changed(&mut self, secret: &SeenSecret, now: Timestamp) {
        let key = (
            secret.namespace.as_str().into(),
            secret.name.as_str().into(),
        );
        let read_at = self.read_at.get(&key);
        let at = read_at.map_or(now, |at| time::after_wait(*at, GAP).max(now));
        self.due.entry(key).or_insert(at);
    }

    /// What changed so far need not be read.
    pub(super) fn forget(&mut self) {
        self.due.clear();
    }

    /// Those that are to be read now.
    pub(super) fn take_due(&mut self, now: Timestamp) -> BTreeSet<SecretKey> {
        let due = self.due.iter().filter(|(_, at)| **at <= now);
        let due: BTreeSet<SecretKey> = due.map(|(key, _)| key.clone()).collect();
        self.due.retain(|key, _| !due.contains(key));
        self.read_at
            .retain(|_, at| now < time::after_wait(*at, GAP));
        self.read_at
            .extend(due.iter().map(|key| (key.clone(), now)));
        due
    }

    /// When the next one is to be read.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.due.values().min().copied()
    }
}

fn hash_of(it: &impl std::hash::Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    it.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use swr_operator_core::object::Version;

    fn at(secs: i64) -> Timestamp {
        time::after(Timestamp::UNIX_EPOCH, secs)
    }

    fn secret(name: &str, version: &str) -> SeenSecret {
        SeenSecret {
            namespace: "images".to_owned(),
            name: name.to_owned(),
            version: Version(version.to_owned()),
        }
    }

    /// What is due at a time, after these events at the times given.
    fn due(secrets: &mut ChangedSecrets, events: &[(i64, Event<SeenSecret>)], now: i64) -> String {
        for (secs, event) in events {
            secrets.event(None, event, at(*secs));
        }
        let names = secrets.take_due(at(now)).into_iter().map(|(_, name)| name);
        names.collect::<Vec<_>>().join(" ")
    }

    fn listed() -> ChangedSecrets {
        let mut secrets = ChangedSecrets::default();
        let shown = ["a", "b"].map(|name| (0, Event::Applied(secret(name, "1"))));
        let [a, b] = shown;
        let events = [(0, Event::Listing), a, b, (0, Event::Listed)];
        assert_eq!(
            due(&mut secrets, &events, 0),
            "",
            "what is there at the start is read anyway"
        );
        secrets
    }

    #[test]
    fn what_is_written_comes_or_goes_is_read_once() {
        let mut secrets = listed();
        let events = [
            (1, Event::Applied(secret("a", "2"))),
            (1, Event::Applied(secret("a", "2"))),
            (1, Event::Applied(secret("b", "1"))),
            (1, Event::Applied(secret("c", "3"))),
        ];
        assert_eq!(due(&mut secrets, &events, 1), "a c");
        assert_eq!(
            due(&mut secrets, &[(2, Event::Deleted(secret("b", "1")))], 2),
            "b"
        );
        assert_eq!(due(&mut secrets, &[], 60), "");
        assert_eq!(secrets.next_at(), None);
    }

    #[test]
    fn what_is_forgotten_is_read_when_it_changes_again() {
        let mut secrets = listed();
        secrets.event(None, &Event::Applied(secret("a", "2")), at(1));
        secrets.forget();
        assert_eq!(secrets.next_at(), None);
        let events = [
            (2, Event::Applied(secret("a", "2"))),
            (2, Event::Applied(secret("b", "2"))),
        ];
        assert_eq!(due(&mut secrets, &events, 2), "b");
    }

    #[test]
    fn one_that_is_written_all_the_time_is_read_every_five_seconds() {
        let mut secrets = listed();
        let mut reads = Vec::new();
        for secs in 0..12 {
            let version = format!("{}", secs + 10);
            let events = [(secs, Event::Applied(secret("a", &version)))];
            if due(&mut secrets, &events, secs) == "a" {
                reads.push(secs);
            }
        }
        assert_eq!(reads, [0, 5, 10]);
        assert_eq!(
            secrets.next_at(),
            Some(at(15)),
            "the last change is not lost"
        );
    }

    #[test]
    fn what_changed_while_nobody_watched_shows_in_the_next_list() {
        let mut secrets = listed();
        let events = [
            (9, Event::Failing("410".to_owned())),
            (9, Event::Listing),
            (9, Event::Applied(secret("a", "2"))),
            (9, Event::Applied(secret("b", "1"))),
            (9, Event::Listed),
        ];
        assert_eq!(due(&mut secrets, &events, 9), "a");
        // One that a list did not show is forgotten, and new when it comes.
        let events = [
            (30, Event::Listing),
            (30, Event::Applied(secret("a", "2"))),
            (30, Event::Listed),
            (31, Event::Applied(secret("b", "1"))),
        ];
        assert_eq!(due(&mut secrets, &events, 31), "b");
    }
}
