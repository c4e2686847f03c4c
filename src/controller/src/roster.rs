//! The accounts that the watch shows, and when the key of each is read next. A data structure
//! without tasks: time comes in as an argument.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use swr_operator_api::GROUP;
use swr_operator_api::account::SwrAccount;
use swr_operator_core::account::{Recheck, deletions_allowed_until};
use swr_operator_core::grant;

/// The accounts that there are.
#[derive(Default)]
pub(super) struct Roster {
    accounts: BTreeMap<String, Entry>,
    /// Those that are there and do not fit our CRD.
    unfit: HashSet<String>,
    /// Those whose key is being read.
    reading: HashSet<String>,
    /// What the list under way has shown.
    listed: Option<HashSet<String>>,
    /// Whether there was a complete list.
    was_listed: bool,
}

struct Entry {
    account: SwrAccount,
    read_at: Timestamp,
    /// Whether an object names it, or did.
    is_named: bool,
    /// Whether a check of it has ended.
    was_checked: bool,
    /// How often in a row the cloud was asked in vain.
    failures: u32,
}

/// What became of an account while its key was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meanwhile {
    /// It is there.
    Stayed,
    /// It does not fit our CRD any more, and is not what was read.
    Unfit,
    /// It was deleted.
    Gone,
}

impl Roster {
    /// A complete list begins.
    pub(super) fn listing(&mut self) {
        self.listed = Some(HashSet::new());
    }

    /// The list is complete. The accounts that it did not show are gone.
    pub(super) fn listed(&mut self) -> Vec<String> {
        let listed = self.listed.take().unwrap_or_default();
        self.was_listed = true;
        let known = self.accounts.keys().chain(&self.unfit);
        let gone: Vec<String> = known
            .filter(|name| !listed.contains(*name))
            .cloned()
            .collect();
        for name in &gone {
            self.deleted(name);
        }
        gone
    }

    /// The watch shows an account. Says whether it did not fit our CRD before.
    pub(super) fn fits(&mut self, name: &str, account: SwrAccount, now: Timestamp) -> bool {
        self.shown(name);
        let known = self.accounts.get(name);
        // Our own write of its status changes nothing of this.
        let is_same = known.is_some_and(|known| {
            let (old, new) = (&known.account, &account);
            old.metadata.uid == new.metadata.uid
                && old.metadata.generation == new.metadata.generation
                && deletions_allowed_until(old) == deletions_allowed_until(new)
        });
        let read_at = known.map_or(now, |known| known.read_at);
        let entry = Entry {
            account,
            is_named: known.is_some_and(|known| known.is_named),
            was_checked: known.is_some_and(|known| known.was_checked),
            failures: known.map_or(0, |known| if is_same { known.failures } else { 0 }),
            read_at: if is_same { read_at } else { now },
        };
        self.accounts.insert(name.to_owned(), entry);
        self.unfit.remove(name)
    }

    /// The watch shows an account that cannot be understood: whatever it said before does not count.
    pub(super) fn does_not_fit(&mut self, name: &str) {
        self.shown(name);
        self.accounts.remove(name);
        self.unfit.insert(name.to_owned());
    }

    fn shown(&mut self, name: &str) {
        if let Some(listed) = &mut self.listed {
            listed.insert(name.to_owned());
        }
    }

    /// An account is gone.
    pub(super) fn deleted(&mut self, name: &str) {
        self.accounts.remove(name);
        self.unfit.remove(name);
    }

    /// Whether every account is known, and no list is under way.
    pub(super) fn is_complete(&self) -> bool {
        self.was_listed && self.listed.is_none()
    }

    /// Whether a check of every account that fits our CRD has ended. What an object is told before that, it is told
    /// again: the end of a check asks for a reconcile of all objects of its account.
    pub(super) fn is_each_checked(&self) -> bool {
        self.accounts.values().all(|entry| entry.was_checked)
    }

    /// Whether there is an account of this name that fits our CRD.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.accounts.contains_key(name)
    }

    /// The uid of an account.
    pub(super) fn uid_of(&self, name: &str) -> Option<&str> {
        self.accounts.get(name)?.account.metadata.uid.as_deref()
    }

    /// Whether there is an account of this name that grants by the labels of namespaces.
    pub(super) fn selects_namespaces(&self, name: &str) -> bool {
        let entry = self.accounts.get(name);
        entry.is_some_and(|entry| grant::needs_labels(&entry.account.spec.grants))
    }

    /// An object names this account: the first one asks for a check, which holds the account.
    pub(super) fn is_named(&mut self, name: &str, now: Timestamp) {
        if let Some(entry) = self.accounts.get_mut(name)
            && !entry.is_named
        {
            entry.is_named = true;
            let mut finalizers = entry.account.metadata.finalizers.iter().flatten();
            if !finalizers.any(|name| name.starts_with(GROUP)) {
                entry.read_at = now;
            }
        }
    }

    /// Whether this account is being deleted, so that every object that goes may be the last one.
    pub(super) fn is_deleting(&self, name: &str) -> bool {
        let entry = self.accounts.get(name);
        entry.is_some_and(|entry| entry.account.metadata.deletion_timestamp.is_some())
    }

    /// Checks this account now.
    pub(super) fn check(&mut self, name: &str, now: Timestamp) {
        if let Some(entry) = self.accounts.get_mut(name) {
            entry.read_at = now;
        }
    }

    /// The accounts whose key is to be read now.
    pub(super) fn due(&self, now: Timestamp) -> Vec<(String, SwrAccount)> {
        let due = self
            .accounts
            .iter()
            .filter(|(name, entry)| entry.read_at <= now && !self.reading.contains(*name))
            .filter(|(_, entry)| !self.waits_for_other(entry, |other| other.read_at <= now));
        due.map(|(name, entry)| (name.clone(), entry.account.clone()))
            .collect()
    }

    /// Whether the account whose credential this one uses is being checked, or is to be before it: else it would be
    /// told at every start that the other is not ready. One that uses another's itself is waited for by none.
    fn waits_for_other(&self, entry: &Entry, is_before: impl Fn(&Entry) -> bool) -> bool {
        let Some(agency) = &entry.account.spec.auth.agency else {
            return false;
        };
        let name = &agency.account_ref.name;
        self.accounts.get(name).is_some_and(|other| {
            let has_its_own = other.account.spec.auth.agency.is_none();
            has_its_own && (self.reading.contains(name) || is_before(other))
        })
    }

    /// A read of this account's key begins; until [`Roster::read`] there is no other.
    pub(super) fn begins(&mut self, name: &str) {
        if let Some(entry) = self.accounts.get_mut(name) {
            entry.read_at = Timestamp::MAX;
            self.reading.insert(name.to_owned());
        }
    }

    /// When the next key is to be read.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        let waiting = self
            .accounts
            .iter()
            .filter(|(name, _)| !self.reading.contains(*name))
            .filter(|(_, entry)| !self.waits_for_other(entry, |_| false));
        waiting.map(|(_, entry)| entry.read_at).min()
    }

    /// A check ended so. Says how often in a row the cloud was asked in vain.
    pub(super) fn checked(&mut self, name: &str, recheck: Recheck) -> u32 {
        let Some(entry) = self.accounts.get_mut(name) else {
            return 0;
        };
        entry.failures = match recheck {
            Recheck::Backoff { .. } => entry.failures.saturating_add(1),
            Recheck::Refresh | Recheck::Soon => 0,
        };
        entry.failures
    }

    /// A key was read, and is read again at this time; at once, if its account changed meanwhile.
    pub(super) fn read(&mut self, name: &str, again_at: Timestamp) -> Meanwhile {
        self.reading.remove(name);
        if let Some(entry) = self.accounts.get_mut(name) {
            entry.read_at = entry.read_at.min(again_at);
            entry.was_checked = true;
            return Meanwhile::Stayed;
        }
        match self.unfit.contains(name) {
            true => Meanwhile::Unfit,
            false => Meanwhile::Gone,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_second(secs).expect("a time")
    }

    fn account(generation: i64) -> SwrAccount {
        let account = json!({
            "metadata": {"name": "a", "uid": "uid", "generation": generation},
            "spec": {"region": "r", "auth": {"accessKeySecretRef": {"name": "key"}}, "grants": []},
        });
        serde_json::from_value(account).expect("an account")
    }

    fn due(roster: &mut Roster, secs: i64) -> Vec<String> {
        let due = roster.due(at(secs)).into_iter();
        let due: Vec<String> = due.map(|(name, _)| name).collect();
        for name in &due {
            roster.begins(name);
        }
        due
    }

    #[test]
    fn a_key_is_read_at_first_sight_again_in_time_and_at_once_after_an_edit() {
        let mut roster = Roster::default();
        roster.fits("a", account(1), at(0));
        assert_eq!(due(&mut roster, 0), ["a"]);
        assert_eq!((due(&mut roster, 0), roster.next_at()), (vec![], None));
        assert!(!roster.is_each_checked());
        assert_eq!(roster.read("a", at(60)), Meanwhile::Stayed);
        assert!(roster.is_each_checked());
        // Our own write of its status.
        roster.fits("a", account(1), at(1));
        assert_eq!(roster.next_at(), Some(at(60)));
        assert_eq!(due(&mut roster, 60), ["a"]);
        // An edit while it is read: once more when that is over.
        roster.fits("a", account(2), at(61));
        assert_eq!(due(&mut roster, 61), [""; 0]);
        assert_eq!(roster.read("a", at(120)), Meanwhile::Stayed);
        assert_eq!(roster.next_at(), Some(at(61)));
        assert!(roster.is_each_checked(), "an edit is not the first sight");
        roster.fits("b", account(1), at(61));
        assert!(!roster.is_each_checked());
    }

    #[test]
    fn failures_of_the_cloud_count_until_a_check_ends_otherwise_or_the_account_is_edited() {
        let mut roster = Roster::default();
        roster.fits("a", account(1), at(0));
        let backoff = Recheck::Backoff { min_secs: 0 };
        let mut ends = |recheck| roster.checked("a", recheck);
        assert_eq!([ends(backoff), ends(backoff)], [1, 2]);
        assert_eq!([ends(Recheck::Soon), ends(backoff)], [0, 1]);
        // Our own write of its status.
        roster.fits("a", account(1), at(1));
        assert_eq!(roster.checked("a", backoff), 2);
        roster.fits("a", account(2), at(2));
        assert_eq!(roster.checked("a", backoff), 1);
        assert_eq!(roster.checked("b", backoff), 0);
    }

    #[test]
    fn an_account_that_goes_or_is_spoilt_while_its_key_is_read_does_not_come_back() {
        let mut roster = Roster::default();
        roster.fits("a", account(1), at(0));
        due(&mut roster, 0);
        roster.does_not_fit("a");
        assert_eq!(roster.read("a", at(60)), Meanwhile::Unfit);
        assert!(roster.fits("a", account(2), at(1)), "it fits again");
        assert_eq!(due(&mut roster, 1), ["a"]);
        roster.deleted("a");
        assert_eq!(roster.read("a", at(60)), Meanwhile::Gone);
        assert_eq!(roster.next_at(), None);
    }

    #[test]
    fn an_account_waits_for_the_one_whose_credential_it_uses() {
        let of = |other: &str| {
            let mut using = account(1);
            let agency =
                json!({"agency": {"accountRef": {"name": other}, "urn": "iam::d:agency:a"}});
            using.spec.auth = serde_json::from_value(agency).expect("auth");
            using
        };
        let mut roster = Roster::default();
        roster.fits("a", of("hub"), at(0));
        roster.fits("hub", account(1), at(0));
        assert_eq!(due(&mut roster, 0), ["hub"]);
        // Nothing is due before that check is over.
        assert_eq!((due(&mut roster, 0), roster.next_at()), (vec![], None));
        roster.read("hub", at(60));
        assert_eq!(roster.next_at(), Some(at(0)));
        assert_eq!(due(&mut roster, 1), ["a"]);
        roster.read("a", at(61));
        // What uses another's itself, or does not exist, is not waited for.
        roster.fits("b", of("c"), at(1));
        roster.fits("c", of("b"), at(1));
        roster.fits("d", of("nobody"), at(1));
        roster.fits("e", of("e"), at(1));
        assert_eq!(due(&mut roster, 1), ["b", "c", "d", "e"]);
    }

    #[test]
    fn what_a_complete_list_does_not_show_is_gone() {
        let mut roster = Roster::default();
        assert!(!roster.is_complete());
        roster.listing();
        roster.fits("a", account(1), at(0));
        roster.does_not_fit("b");
        roster.does_not_fit("c");
        assert_eq!(roster.listed(), [""; 0]);
        assert!(roster.is_complete());
        roster.listing();
        assert!(!roster.is_complete());
        roster.does_not_fit("c");
        assert_eq!(roster.listed(), ["a", "b"]);
        assert!(!roster.contains("a"));
    }
}
