//! The part of the loop that asks the mass-deletion guard, and tells what it says.

use jiff::Timestamp;
use swr_operator_api::account::SwrAccount;
use swr_operator_clock as clock;
use swr_operator_core::account::deletions_allowed_until;
use swr_operator_core::event;
use swr_operator_kube::Seen;

use super::super::lanes::Lane;
use super::super::mass_deletion::Judgement;
use super::Loop;

impl Loop {
    pub(super) fn object_applied(&mut self, seen: Seen, now: Timestamp) {
        let key = seen.key.clone();
        let waits = self.guard.seen(&seen, now);
        self.queue.applied(seen, now);
        if waits {
            self.queue.hold(&key);
        }
    }

    /// This process begins to lead. While it stood by it judged nothing, and another paused deletions or began
    /// them: that stands in the objects, as after a start.
    pub(super) fn begin_guarding(&mut self, now: Timestamp) {
        self.guard.begin();
        for seen in self.queue.deleting() {
            match self.guard.seen(&seen, now) {
                true => self.queue.hold(&seen.key),
                false => self.queue.wake(&seen.key, Lane::Change, now),
            }
        }
    }

    /// An administrator may let the deletions of an account through by an annotation. One that cannot be read
    /// counts as none; the status of the account says so.
    pub(super) fn deletions_allowed(&mut self, name: &str, account: &SwrAccount) {
        let until = deletions_allowed_until(account).unwrap_or_default();
        let now = clock::now();
        let released = self.guard.allow(name, until, now);
        if !released.is_empty() {
            tracing::info!(
                account = name,
                deletions = released.len(),
                ?until,
                "deletions let through"
            );
        }
        for key in released {
            self.queue.wake(&key, Lane::Change, now);
        }
    }

    pub(super) fn judge_deletions(&mut self, now: Timestamp) {
        if !self.may_begin(now) {
            return;
        }
        for judgement in self.guard.judge(|scope| self.queue.holders_of(scope), now) {
            self.tell_of_too_many(&judgement);
            for key in judgement.objects {
                self.queue.wake(&key, Lane::Change, now);
            }
        }
        let paused = self.guard.paused(now);
        self.context.metrics.objects.deletions_paused(paused);
    }

    fn tell_of_too_many(&self, judgement: &Judgement) {
        let Some((deleting, of)) = judgement.too_many else {
            return;
        };
        let scope = &judgement.scope;
        tracing::warn!(
            account = %scope.account,
            instance = %scope.instance,
            deleting,
            of,
            "too many objects are being deleted at once: nothing is deleted in SWR until an administrator lets it through"
        );
        if let Some(uid) = self.roster.uid_of(&scope.account) {
            let event = event::deletions_paused(scope, deleting, of);
            self.context
                .events
                .publish_of_account(&scope.account, uid, event);
        }
    }
}
