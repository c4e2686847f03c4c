//! Whose turn it is: the instances take turns, of the objects of an instance a person's change goes
//! before what the operator found itself, and of those the namespaces take turns. Instances that are
//! slow, or whose account is, hold up their own objects and no others.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use swr_operator_core::desired::Scope;
use swr_operator_core::object::ObjectKey;

use super::shared::Load;

/// Reconciles of one instance under way at once: they share what they read, and each waits most of its
/// time for that or for its turn at the account's limit. So many as the account may write in this time,
/// within the 20 s for which what was read may be acted upon.
const WRITES_OF_SECS: f64 = 12.8;
/// At the default 10 requests per second, and of an account that may send fewer or is not known.
const AT_ONCE_MIN: usize = 128;
/// However many an account may send. Ten thousand deletions with 128 under way would need 78 LISTs of up
/// to 101 pages, for each that of those under way; with 640 they need 16.
const AT_ONCE_MAX: usize = 640;
/// Reconciles of all instances under way at once. Each takes some 20 KiB, 20 MiB in all.
pub(super) const ALL_AT_ONCE: usize = 1_024;
/// An instance with fewer than so many under way does not wait for the others: however many of them
/// are slow, it goes on.
const FEW: usize = 4;
/// But for the memory: 40 MiB.
const MANY: usize = 2_048;
/// Of so many turns of an instance one is for the background, so that a flood of changes cannot stop it.
const BACKGROUND_EVERY: u32 = 8;

/// Why an object waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// A person, by a change of the object.
    Change,
    /// The operator itself: a poll, a retry, a changed Secret or account.
    Background,
}

/// The objects that wait for their turn. Those that do not fit our CRD have no instance, and share a
/// lane of their own.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// How many of an instance of this account may be under way, where that is not the least.
    at_once: HashMap<String, usize>,
    instances: HashMap<Option<Scope>, Instance>,
    /// Those that have something waiting, the next one first.
    order: VecDeque<Option<Scope>>,
    /// Reconciles under way.
    under_way: usize,
}

#[derive(Debug, Default)]
struct Instance {
    changes: Line,
    background: Line,
    turns: u32,
    under_way: usize,
}

impl Instance {
    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.background.is_empty()
    }

    fn pop(&mut self) -> Option<ObjectKey> {
        self.turns = self.turns.wrapping_add(1);
        if self.turns.is_multiple_of(BACKGROUND_EVERY) {
            self.background.pop().or_else(|| self.changes.pop())
        } else {
            self.changes.pop().or_else(|| self.background.pop())
        }
    }
}

/// Objects that wait for the same reason. Their namespaces take turns, so that one with thousands of
/// objects does not hold up one with few.
#[derive(Debug, Default)]
struct Line {
    waiting: HashMap<Arc<str>, VecDeque<ObjectKey>>,
    /// Namespaces that have something waiting, the next one first.
    order: VecDeque<Arc<str>>,
}

impl Line {
    fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    fn push(&mut self, key: ObjectKey) {
        if let Some(waiting) = self.waiting.get_mut(&key.namespace) {
            waiting.push_back(key);
            return;
        }
        self.order.push_back(key.namespace.clone());
        self.waiting.insert(key.namespace.clone(), [key].into());
    }

    fn pop(&mut self) -> Option<ObjectKey> {
        let namespace = self.order.pop_front()?;
        let waiting = self.waiting.get_mut(&namespace)?;
        let key = waiting.pop_front();
        if waiting.is_empty() {
            self.waiting.remove(&namespace);
        } else {
            self.order.push_back(namespace);
        }
        key
    }
}

impl Lanes {
    /// An account may send so many requests per second.
    pub(super) fn account_may(&mut self, account: &str, requests_per_second: f64) {
        let at_once = at_once(requests_per_second);
        if at_once == AT_ONCE_MIN {
            self.at_once.remove(account);
        } else {
            self.at_once.insert(account.to_owned(), at_once);
        }
    }

    /// There is no account of this name any more.
    pub(super) fn account_is_gone(&mut self, account: &str) {
        self.at_once.remove(account);
    }

    /// An object of this instance waits.
    pub(super) fn push(&mut self, scope: Option<&Scope>, key: ObjectKey, lane: Lane) {
        let scope = scope.cloned();
        let instance = self.instances.entry(scope.clone()).or_default();
        if instance.is_empty() {
            self.order.push_back(scope);
        }
        match lane {
            Lane::Change => instance.changes.push(key),
            Lane::Background => instance.background.push(key),
        }
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.instances.values().all(Instance::is_empty)
    }

    /// The object whose turn it is, and the instance in whose lane it waited.
    pub(super) fn pop(&mut self) -> Option<(Option<Scope>, ObjectKey)> {
        for _ in 0..self.order.len() {
            let scope = self.order.pop_front()?;
            let Some(instance) = self.instances.get_mut(&scope) else {
                continue;
            };
            let account = scope.as_ref().map(|scope| &*scope.account);
            let at_once = account.and_then(|account| self.at_once.get(account));
            let at_once = at_once.copied().unwrap_or(AT_ONCE_MIN);
            let may_begin = match instance.under_way < FEW {
                true => self.under_way < MANY,
                false => instance.under_way < at_once && self.under_way < ALL_AT_ONCE,
            };
            let key = if may_begin { instance.pop() } else { None };
            if !instance.is_empty() {
                self.order.push_back(scope.clone());
            } else if key.is_none() && instance.under_way == 0 {
                self.instances.remove(&scope);
            }
            if let Some(key) = key {
                return Some((scope, key));
            }
        }
        None
    }

    /// A reconcile of this instance begins. Says how much the instance has to do.
    pub(super) fn begins(&mut self, scope: Option<&Scope>) -> Load {
        let instance = self.instances.entry(scope.cloned()).or_default();
        instance.under_way += 1;
        self.under_way += 1;
        Load::of(instance.under_way)
    }

    /// One that began is over.
    pub(super) fn ended(&mut self, scope: Option<&Scope>) {
        let scope = scope.cloned();
        if let Some(instance) = self.instances.get_mut(&scope) {
            instance.under_way = instance.under_way.saturating_sub(1);
            self.under_way = self.under_way.saturating_sub(1);
            if instance.under_way == 0 && instance.is_empty() {
                self.instances.remove(&scope);
            }
        }
    }
}

/// Of one instance of an account that may send so many requests per second.
fn at_once(requests_per_second: f64) -> usize {
    let writes = requests_per_second * WRITES_OF_SECS;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and clamped before and after; a fraction of a reconcile is none"
    )]
    let writes = writes.clamp(0.0, 1e6) as usize;
    writes.clamp(AT_ONCE_MIN, AT_ONCE_MAX)
}

#[cfg(test)]
mod tests {
    use swr_operator_core::desired::InstanceId;

    use super::*;

    fn scope(instance: &str) -> Scope {
        Scope {
            account: "account".into(),
            instance: InstanceId::new(instance.to_owned()),
        }
    }

    fn key(name: &str, n: usize) -> ObjectKey {
        ObjectKey::new(name, n.to_string())
    }

    #[test]
    fn an_instance_that_is_busy_holds_up_no_other_and_goes_on_when_one_of_its_reconciles_ends() {
        let mut lanes = Lanes::default();
        let (slow, quick) = (scope("slow"), scope("quick"));
        for n in 0..AT_ONCE_MIN + 2 {
            lanes.push(Some(&slow), key("slow", n), Lane::Change);
        }
        lanes.push(Some(&quick), key("quick", 0), Lane::Background);
        lanes.push(None, key("unfit", 0), Lane::Background);
        let mut turns = Vec::new();
        while let Some((scope, key)) = lanes.pop() {
            lanes.begins(scope.as_ref());
            turns.push(key.namespace.to_string());
        }
        assert_eq!(turns[..4], ["slow", "quick", "unfit", "slow"]);
        assert_eq!(turns.len(), AT_ONCE_MIN + 2);
        lanes.ended(Some(&slow));
        let next = lanes.pop().expect("room for one");
        assert_eq!(next, (Some(slow), key("slow", AT_ONCE_MIN)));
    }

    #[test]
    fn an_account_that_may_send_more_has_more_under_way() {
        let begun = |lanes: &mut Lanes| {
            for n in 0..=AT_ONCE_MAX {
                lanes.push(Some(&scope("busy")), key("busy", n), Lane::Change);
            }
            let begun = std::iter::from_fn(|| {
                let (scope, _) = lanes.pop()?;
                lanes.begins(scope.as_ref());
                Some(())
            });
            begun.count()
        };
        let rates = [0.1, 10.0, 20.0, 39.9, 1_000.0, f64::INFINITY];
        let begun_at = rates.map(|rate| {
            let mut lanes = Lanes::default();
            lanes.account_may("account", rate);
            begun(&mut lanes)
        });
        assert_eq!(begun_at, [128, 128, 256, 510, 640, 640]);
        let mut lanes = Lanes::default();
        lanes.account_may("account", 1_000.0);
        lanes.account_is_gone("account");
        assert_eq!(begun(&mut lanes), AT_ONCE_MIN);
    }

    #[test]
    fn however_many_instances_are_slow_another_goes_on() {
        let mut lanes = Lanes::default();
        for slow in 0..2 * ALL_AT_ONCE / AT_ONCE_MIN {
            for n in 0..AT_ONCE_MIN {
                lanes.push(
                    Some(&scope(&format!("slow-{slow}"))),
                    key("slow", n),
                    Lane::Change,
                );
            }
        }
        let begin = |lanes: &mut Lanes| {
            let (scope, key) = lanes.pop()?;
            lanes.begins(scope.as_ref());
            Some(key.namespace.to_string())
        };
        let under_way = std::iter::from_fn(|| begin(&mut lanes)).count();
        assert_eq!(under_way, ALL_AT_ONCE);
        for n in 0..AT_ONCE_MIN {
            lanes.push(Some(&scope("quick")), key("quick", n), Lane::Change);
        }
        let quick: Vec<String> = std::iter::from_fn(|| begin(&mut lanes)).collect();
        assert_eq!(quick, ["quick"; FEW]);
    }

    #[test]
    fn a_namespace_with_many_objects_does_not_hold_up_one_with_few() {
        let mut lanes = Lanes::default();
        let names = ["many", "many", "many", "many", "few", "few", "one"];
        for (n, name) in names.into_iter().enumerate() {
            lanes.push(None, key(name, n), Lane::Change);
        }
        let turns = std::iter::from_fn(|| lanes.pop());
        let turns: Vec<String> = turns.map(|(_, key)| key.name.to_string()).collect();
        assert_eq!(turns, ["0", "4", "6", "1", "5", "2", "3"]);
    }

    #[test]
    fn changes_go_first_and_the_background_is_not_starved() {
        let mut lanes = Lanes::default();
        for n in 0..20 {
            lanes.push(None, key("change", n), Lane::Change);
        }
        lanes.push(None, key("other", 0), Lane::Background);
        let turns: Vec<String> = std::iter::from_fn(|| lanes.pop())
            .map(|(_, key)| key.namespace.to_string())
            .collect();
        let at = turns.iter().position(|name| name == "other");
        assert_eq!((turns.len(), at), (21, Some(7)));
    }
}
