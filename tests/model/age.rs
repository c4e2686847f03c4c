//! What time makes equal: instants that are over, and those that decide nothing. Without this no
//! exploration would end.

use jiff::Timestamp;
use swr_operator_core::object::Object;
use swr_operator_core::reconcile::{KnownIntent, Memory};

use crate::core::{Core, tick, time};
use crate::world::{Index, Tick};

/// So long ago that it decides nothing any more.
pub(crate) const ANCIENT: Timestamp = Timestamp::UNIX_EPOCH;

/// What the model does not tell apart: the times of a status, by which nothing is decided (no
/// grace, no `resendCredentialEvery` in the model), but for that of an intent, which tells it from
/// others.
pub(crate) fn without_clocks(object: &mut Object) {
    for condition in &mut object.status.conditions {
        condition.last_transition_time = time(0);
    }
    if let Some(sent) = &mut object.status.credential {
        sent.sent_at = time(0);
    }
    for at in [
        &mut object.status.created_at,
        &mut object.status.deletion_attempted_at,
    ] {
        *at = at.map(|_| time(0));
    }
}

impl Core {
    /// Whether a time is so long ago that it decides nothing any more.
    fn is_old(&self, at: Timestamp, now: Tick) -> bool {
        let settle = self.setting.settle.max(self.setting.believed.0);
        tick(at).saturating_add(settle) <= now
    }

    /// Whether an object waits for something that time decides.
    pub(crate) fn is_timed(&self, object: Index) -> bool {
        self.objects.get(object).status.create_intent.is_some()
    }

    /// What a controller remembers with times that are over made equal, and whether one is not
    /// over yet, by its own clock. Every time that a `Memory` holds must be aged here.
    ///
    /// An intent that the object does not carry any more is forgotten: the next one would have
    /// another time, but for the clock of the model, which begins again.
    pub(crate) fn aged_memory(
        &mut self,
        memory: Index,
        object: Option<Index>,
        now: Tick,
    ) -> (Index, bool) {
        let key = (memory, object, now);
        if let Some(aged) = self.aged.get(&key) {
            return *aged;
        }
        let aged = self.age_memory(memory, object, now);
        self.aged.insert(key, aged);
        aged
    }

    fn age_memory(&mut self, memory: Index, object: Option<Index>, now: Tick) -> (Index, bool) {
        let object = object.map(|object| self.object(object));
        let mut new = Memory::clone(&self.memories.get(memory));
        let mut is_young = false;
        let mut age = |at: &mut Timestamp| {
            if self.is_old(*at, now) {
                *at = ANCIENT;
            } else {
                is_young = true;
            }
        };
        if let Some(sent) = &mut new.update {
            age(&mut sent.at);
        }
        let carried = object.and_then(|object| object.status.create_intent.clone());
        let is_carried = |known: &KnownIntent| {
            carried.as_ref().is_some_and(|intent| {
                (intent.attempt, intent.started_at) == (known.attempt, known.started_at)
            })
        };
        new.intent = new.intent.filter(is_carried);
        if let Some(known) = &mut new.intent {
            age(&mut known.since);
        }
        if let Some((_, since)) = &mut new.id {
            age(since);
        }
        if let Some(untouched) = &mut new.untouched {
            age(&mut untouched.since);
        }
        // What is over here decides as little as what never was.
        if let Some(at) = &mut new.put_unanswered_at {
            age(at);
        }
        new.put_unanswered_at = new.put_unanswered_at.filter(|at| *at != ANCIENT);
        if let Some(met) = &mut new.met {
            if met.had_history {
                age(&mut met.at);
            } else {
                met.at = ANCIENT;
            }
            met.had_history &= met.at != ANCIENT;
        }
        new.corrected_at.fill(time(0));
        for at in [&mut new.unverified_since, &mut new.orphaning_since] {
            *at = at.map(|_| time(0));
        }
        (self.memories.keep(new), is_young)
    }

    /// The memory of a process that believes to have known for ever what it knows.
    pub(crate) fn known_long_ago(&mut self, memory: Index) -> Index {
        let mut new = Memory::clone(&self.memories.get(memory));
        new.id = new.id.map(|(id, _)| (id, ANCIENT));
        self.memories.keep(new)
    }
}
