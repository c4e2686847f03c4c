//! What SWR's `updated_at` tells of changes that nothing else shows, and which registries are sent
//! again because of it. SWR may show neither the hosts of `dnsConf` nor the target's project, and
//! never the secret; but it says when a registry was written last.
//!
//! Whether a change of health, which is nobody's write, moves `updated_at` too, no document says.
//! A thousand registries of one target turn unhealthy together, and must not be sent a thousand
//! times. So one at most is sent at a time until a change of health was seen that left
//! `updated_at` alone; none where many moved together; and none any more, until the process ends,
//! once a change of health moved it.

use crate::observed::Inventory;
use crate::summary::Baseline;

/// Of an instance's registries, this many or one in a hundred may move without explanation between
/// two observations. More is something that happened to the instance, and not somebody's edits.
const UNEXPLAINED_MAX: usize = 2;

/// What is known of how an instance moves `updated_at`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// No change of health was seen.
    #[default]
    Untested,
    /// A change of health leaves it alone.
    Proven,
    /// A change of health moves it: it says nothing.
    Broken,
}

/// What the polls of an instance told of its `updated_at`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Testimony {
    /// Whether a change of health moves it.
    pub trust: Trust,
    /// Whether what moved at the last poll is believed to be changed; not before the first.
    pub is_believed: bool,
    /// How many polls there were.
    pub polls: usize,
}

/// What one poll of an instance shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moves<K> {
    /// What is known with this poll.
    pub testimony: Testimony,
    /// How many registries something wrote without SWR showing a difference.
    pub unexplained: usize,
    /// Those, if they are believed to be changed. The first of them may be sent again.
    pub moved: Vec<K>,
    /// How many that is.
    pub may_send: usize,
}

impl<K> Moves<K> {
    /// What a poll that failed shows.
    pub fn none(before: Testimony) -> Self {
        Moves {
            testimony: before,
            unexplained: 0,
            moved: Vec::new(),
            may_send: 0,
        }
    }
}

/// Examines the registries of an instance, each with its baseline. Of several that
/// may be sent, another one is first at every poll: one that moves for ever must not keep the
/// others from their turn.
pub fn examine<'a, K: Ord>(
    before: Testimony,
    objects: impl IntoIterator<Item = (K, &'a Baseline)>,
    inventory: &Inventory,
) -> Moves<K> {
    let (mut trust, mut total, mut moved) = (before.trust, 0_usize, Vec::new());
    for (key, baseline) in objects {
        total = total.saturating_add(1);
        match sight(baseline, inventory) {
            Sight::Unexplained => moved.push(key),
            Sight::HealthAlone if trust == Trust::Untested => trust = Trust::Proven,
            Sight::HealthMoved => trust = Trust::Broken,
            Sight::HealthAlone | Sight::Nothing => {}
        }
    }
    let unexplained = moved.len();
    let may_move = UNEXPLAINED_MAX.max(total.div_ceil(100));
    let is_believed = unexplained <= may_move && trust != Trust::Broken;
    if is_believed {
        moved.sort_unstable();
        moved.rotate_left(before.polls.checked_rem(unexplained).unwrap_or_default());
    } else {
        moved.clear();
    }
    let may_send = match trust {
        Trust::Untested => moved.len().min(1),
        Trust::Proven | Trust::Broken => moved.len(),
    };
    Moves {
        testimony: Testimony {
            trust,
            is_believed,
            polls: before.polls.wrapping_add(1),
        },
        unexplained,
        moved,
        may_send,
    }
}

enum Sight {
    /// `updated_at` moved, and nothing else did.
    Unexplained,
    /// Only the health is another.
    HealthAlone,
    /// The health is another, and `updated_at` moved with it.
    HealthMoved,
    /// Anything else.
    Nothing,
}

fn sight(baseline: &Baseline, inventory: &Inventory) -> Sight {
    let Some(left) = &baseline.left else {
        return Sight::Nothing;
    };
    let Some(record) = inventory.get(left.id) else {
        return Sight::Nothing;
    };
    let health = (record.health != left.health).then_some((left.id, left.health));
    // A field that SWR leaves out says nothing.
    let updated_at = record.updated_at.as_ref();
    let has_moved = updated_at.is_some_and(|at| *at != left.updated_at);
    if health.is_none() && !has_moved {
        // At rest, ten thousand times at a poll: no digest is made for that.
        return Sight::Nothing;
    }
    if baseline.concern.digest_as_if(inventory, health) != baseline.digest {
        // Something else differs, and an ordinary reconcile sees to it.
        return Sight::Nothing;
    }
    match (health.is_some(), has_moved) {
        (true, true) => Sight::HealthMoved,
        (true, false) => Sight::HealthAlone,
        (false, true) => Sight::Unexplained,
        (false, false) => Sight::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Fingerprint;
    use crate::desired::{RegistryId, SecretRef};
    use crate::observed::tests::{owner, record};
    use crate::observed::{Concern, Health, Record};
    use crate::summary::Left;

    fn at(id: i64, updated_at: &str, health: Health) -> Record {
        Record {
            updated_at: Some(updated_at.to_owned()),
            health,
            ..record(id, &format!("r{id}"), "")
        }
    }

    fn after(trust: Trust, polls: usize) -> Testimony {
        Testimony {
            trust,
            is_believed: true,
            polls,
        }
    }

    /// The baseline when all were written at `old` and are healthy.
    fn baseline(id: i64) -> Baseline {
        let concern = Concern {
            owner: owner(),
            ids: vec![RegistryId(id)],
            name: format!("r{id}"),
        };
        let digest = concern.digest(&Inventory::new([at(id, "old", Health::Healthy)]));
        Baseline {
            concern,
            digest,
            secret: SecretRef {
                name: "login".into(),
                keys: None,
            },
            credential: Fingerprint::from_status("f"),
            left: Some(Left {
                id: RegistryId(id),
                updated_at: "old".into(),
                health: Health::Healthy,
            }),
        }
    }

    fn check(trust: Trust, all: i64, changed: &[Record], expected: (Trust, usize, &[i64])) {
        let unchanged = (1..=all).map(|id| at(id, "old", Health::Healthy));
        // Of two with one id, the later is kept.
        let inventory = Inventory::new(unchanged.chain(changed.iter().cloned()));
        let all: Vec<(i64, Baseline)> = (1..=all).map(|id| (id, baseline(id))).collect();
        let objects = all.iter().map(|(id, baseline)| (*id, baseline));
        let moves = examine(after(trust, 0), objects, &inventory);
        let sent = &moves.moved[..moves.may_send];
        let found = (moves.testimony.trust, moves.unexplained, sent);
        assert_eq!(found, expected, "{trust:?} {changed:?}");
    }

    #[test]
    fn a_registry_that_moved_without_a_difference_is_sent_again_but_not_many_at_once() {
        use Health::{Healthy, Unhealthy};
        use Trust::{Broken, Proven, Untested};
        let moved = |ids: std::ops::RangeInclusive<i64>| -> Vec<Record> {
            ids.map(|id| at(id, "new", Healthy)).collect()
        };
        let elsewhere = Record {
            url: "https://else.example.com".into(),
            ..at(1, "new", Healthy)
        };
        let sick = at(1, "old", Unhealthy);
        let sick_and_moved = at(1, "new", Unhealthy);
        check(Untested, 6, &[], (Untested, 0, &[]));
        check(Untested, 6, &moved(3..=3), (Untested, 1, &[3]));
        check(Untested, 6, &moved(3..=4), (Untested, 2, &[3]));
        check(Proven, 6, &moved(3..=4), (Proven, 2, &[3, 4]));
        check(Proven, 6, &moved(3..=5), (Proven, 3, &[]));
        check(Proven, 300, &moved(3..=5), (Proven, 3, &[3, 4, 5]));
        check(Proven, 300, &moved(3..=6), (Proven, 4, &[]));
        check(Broken, 6, &moved(3..=3), (Broken, 1, &[]));
        // What shows a difference is not explained by this observation, and needs it not.
        check(Untested, 6, &[elsewhere], (Untested, 0, &[]));
        check(Untested, 6, std::slice::from_ref(&sick), (Proven, 0, &[]));
        check(
            Untested,
            6,
            std::slice::from_ref(&sick_and_moved),
            (Broken, 0, &[]),
        );
        check(
            Proven,
            6,
            std::slice::from_ref(&sick_and_moved),
            (Broken, 0, &[]),
        );
        check(Broken, 6, &[sick], (Broken, 0, &[]));
        let both = [sick_and_moved, at(2, "new", Healthy)];
        check(Proven, 6, &both, (Broken, 1, &[]));
    }

    #[test]
    fn of_several_that_moved_each_has_its_turn() {
        let inventory = Inventory::new((1..=2).map(|id| at(id, "new", Health::Healthy)));
        let all = [(1, baseline(1)), (2, baseline(2))];
        let first = |turn| {
            let objects = all.iter().map(|(id, baseline)| (*id, baseline));
            let moves = examine(after(Trust::Untested, turn), objects, &inventory);
            (moves.moved, moves.may_send)
        };
        assert_eq!(first(0), (vec![1, 2], 1));
        assert_eq!(first(1), (vec![2, 1], 1));
    }

    #[test]
    fn an_instance_of_which_nothing_is_known_is_no_witness() {
        let mut without = baseline(1);
        without.left = None;
        let left_out = Record {
            updated_at: None,
            ..at(1, "", Health::Healthy)
        };
        for (baseline, records) in [
            (without, vec![at(1, "new", Health::Healthy)]),
            (baseline(1), vec![left_out]),
            (baseline(1), Vec::new()),
        ] {
            let inventory = Inventory::new(records);
            let moves = examine(after(Trust::Proven, 0), [(1, &baseline)], &inventory);
            assert_eq!(moves, Moves::none(after(Trust::Proven, 1)), "{inventory:?}");
        }
    }
}
