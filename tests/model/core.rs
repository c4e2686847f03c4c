//! The shipped core behind tables: every object, effect, summary and answer that occurs is kept
//! once, and every call of `start` and `resume` is made once. That is sound because the core is
//! pure, and it is what makes millions of states affordable. Decides nothing itself.

use std::rc::Rc;

use jiff::Timestamp;
use serde_json::json;
use swr_operator_api::registry::{AdoptionPolicy, ReplicationRegistryStatus};
use swr_operator_api::{ConditionStatus, FINALIZER};
use swr_operator_core::credential::{Fingerprint, Sealed, Sealer};
use swr_operator_core::desired::RegistryId;
use swr_operator_core::effect::{Effect, Listing, Next, ObjectWritten, RegistryWrite, Showing};
use swr_operator_core::failure::Failure;
use swr_operator_core::object::{Object, Version};
use swr_operator_core::observed::{Health, Inventory, Record};
use swr_operator_core::reconcile::{Clearance, Memory, Reconcile, Windows, Witness};
use swr_operator_core::requeue::{Requeue, requeue};
use swr_operator_core::status::status;
use swr_operator_core::step;
use swr_operator_core::summary::{Baseline, Summary, Verdict};
use swr_operator_core::tag::{Installation, Owner, split};
use swr_operator_core::witness::{self, Testimony, Trust};

use crate::age::without_clocks;
use crate::ask::{Answer, KubeKind, Request, View};
use crate::facts::{account, credential, done};
use crate::prints::{Memo, Table};
use crate::world::{CloudWrite, Controller, Index, KubeWrite, Mark, NEVER, Shown, Tick};

/// Seconds of a tick.
const UNIT: i64 = 60;
/// When the world begins.
const BEGINNING: i64 = 1_800_000_000;
/// Ticks between two polls.
pub(crate) const POLL: Tick = 10;

/// What the core says to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Effect(Index),
    Ended(Index),
}

/// What is left of a summary once status and requeue are computed from it, as at the end of a
/// reconcile in production.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ending {
    /// The object decided upon, and the same with the new status, if there is something to write.
    pub(crate) write: Option<(Index, Index)>,
    pub(crate) due: Tick,
    pub(crate) memory: Index,
    pub(crate) baseline: Index,
    pub(crate) gone: bool,
    /// Whether the status says that SWR was found equal to the spec.
    pub(crate) claims: bool,
    /// The version of the object decided upon; 0 without one.
    pub(crate) version: u16,
    /// Whether it waits for something to settle that has long settled.
    pub(crate) waits_long: bool,
    summary: Index,
}

/// What a reconcile is told at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Told {
    /// That its process only reads.
    pub(crate) read_only: bool,
    /// What the mass-deletion guard says.
    pub(crate) clearance: Clearance,
}

/// What the objects of a configuration have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) settle: Tick,
    pub(crate) write: Tick,
    /// What the controllers believe of both: the ablation gives them other windows.
    pub(crate) believed: (Tick, Tick),
    pub(crate) adoption: AdoptionPolicy,
    /// Whether SWR reports the access key, which changes with every rotation.
    pub(crate) shows_key: bool,
    /// Whether SWR reports when a registry was changed last.
    pub(crate) shows_updates: bool,
    /// How many ticks a wrong clock is ahead or behind.
    pub(crate) skew: i8,
    /// Whether room for a write may be waited for, and refused. If not, it is there at once.
    pub(crate) lacks_room: bool,
}

/// The core and its tables.
pub(crate) struct Core {
    pub(crate) setting: Setting,
    windows: Windows,
    sealer: Sealer,
    owners: Vec<Owner>,
    stranger: Owner,
    pub(crate) objects: Table<Object>,
    effects: Table<Effect>,
    summaries: Table<Summary>,
    pub(crate) memories: Table<Memory>,
    baseline: Table<Baseline>,
    endings: Table<Ending>,
    requests: Memo<Index, Request>,
    starts: Memo<(u8, Told, Index), Index>,
    shown_starts: Memo<(u8, Told, Index, Index, Tick), Outcome>,
    outcomes: Memo<(Index, Answer, Tick), Outcome>,
    polls: Memo<(Index, View, u8, u8), bool>,
    written: Memo<(Index, bool, Index, u16), Index>,
    /// See `aged_memory`.
    pub(crate) aged: Memo<(Index, Option<Index>, Tick), (Index, bool)>,
}

pub(crate) fn time(tick: Tick) -> Timestamp {
    Timestamp::from_second(BEGINNING + i64::from(tick) * UNIT).expect("in range")
}

pub(crate) fn tick(time: Timestamp) -> Tick {
    // Rounded up: what is due within a tick is due at its end.
    let secs = time.as_second() - BEGINNING + i64::from(time.subsec_nanosecond() > 0);
    Tick::try_from((secs + UNIT - 1).div_euclid(UNIT).max(0)).unwrap_or(NEVER)
}

/// The text of a uid.
fn uid_text(uid: u8) -> String {
    format!("00000000-0000-0000-0000-{uid:012}")
}

pub(crate) fn uid_of(text: &str) -> u8 {
    text.rsplit('-')
        .next()
        .and_then(|tail| tail.parse().ok())
        .unwrap_or_default()
}

pub(crate) fn url_text(url: u8) -> String {
    format!("https://t{url}.example.com")
}

pub(crate) fn url_of(text: &str) -> u8 {
    text.trim_start_matches("https://t")
        .split('.')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

/// There is one object, so a poll lets it be sent whenever it moved.
const TESTIMONY: Testimony = Testimony {
    trust: Trust::Proven,
    is_believed: true,
    polls: 0,
};
pub(crate) const NAMESPACE: &str = "images";
const NAME: &str = "harbor-dr";
/// Incarnations that the tags are made for.
const UIDS_MAX: u8 = 4;

impl Core {
    pub(crate) fn new(setting: Setting) -> Self {
        let installation = Installation::from_configured("model");
        let mut core = Core {
            setting,
            windows: Windows {
                settle_secs: i64::from(setting.believed.0) * UNIT,
                write_secs: i64::from(setting.believed.1) * UNIT,
                grace_secs: 0,
                poll_secs: i64::from(POLL) * UNIT,
                // Whatever passes, passes before.
                orphan_secs: i64::from(NEVER) * UNIT,
            },
            sealer: Sealer::new(vec![7; 32]),
            owners: (0..=UIDS_MAX)
                .map(|uid| Owner::new(&installation, &uid_text(uid), NAMESPACE, NAME))
                .collect(),
            stranger: Owner::new(&Installation::from_configured("other"), "u", "n", "m"),
            objects: Table::new(),
            effects: Table::new(),
            summaries: Table::new(),
            memories: Table::new(),
            baseline: Table::new(),
            endings: Table::new(),
            requests: Memo::default(),
            starts: Memo::default(),
            shown_starts: Memo::default(),
            outcomes: Memo::default(),
            polls: Memo::default(),
            written: Memo::default(),
            aged: Memo::default(),
        };
        core.memories.keep(Memory::default());
        core
    }

    /// How many distinct calls of the core were made.
    pub(crate) fn calls(&self) -> usize {
        self.starts.len() + self.shown_starts.len() + self.outcomes.len()
    }

    /// A new object as a person creates it.
    pub(crate) fn create_object(&mut self, uid: u8, url: u8, version: u16) -> Index {
        let object = Object::from_json(json!({
            "apiVersion": "swr.huaweicloud.com/v1alpha1",
            "kind": "ReplicationRegistry",
            "metadata": {
                "namespace": NAMESPACE, "name": NAME, "uid": uid_text(uid),
                "resourceVersion": version.to_string(), "generation": 1,
            },
            "spec": {
                "instanceId": "source-1", "type": "swr-pro", "url": url_text(url),
                "insecure": false, "description": "dr",
                "adoption": {"policy": self.setting.adoption},
                "credentialSecretRef": {"name": "login"},
            },
        }))
        .expect("an object");
        assert!(object.desired.is_ok(), "{:?}", object.desired);
        self.objects.keep(object)
    }

    pub(crate) fn object(&self, index: Index) -> Rc<Object> {
        self.objects.get(index)
    }

    pub(crate) fn summary(&self, ending: Index) -> Rc<Summary> {
        self.summaries.get(self.ending(ending).summary)
    }

    /// The object as a restore from a backup brings it back, under a new uid.
    pub(crate) fn restored(
        &mut self,
        object: Index,
        (uid, version): (u8, u16),
        (keeps_status, keeps_finalizer): (bool, bool),
    ) -> Index {
        let fresh = self.create_object(uid, 1, version);
        let fresh = self.object(fresh);
        self.change(object, version, |object| {
            object.uid.clone_from(&fresh.uid);
            object.deleting = false;
            if !keeps_status {
                object.status = fresh.status.clone();
            }
            if !keeps_finalizer {
                object.finalizers.clear();
            }
        })
    }

    /// Changes an object and gives it a version.
    pub(crate) fn change(
        &mut self,
        object: Index,
        version: u16,
        change: impl FnOnce(&mut Object),
    ) -> Index {
        let mut object = self.objects.at(object).clone();
        change(&mut object);
        object.version = Version(version.to_string());
        self.objects.keep(object)
    }

    /// The object as a write makes it.
    pub(crate) fn written(&mut self, write: KubeWrite, onto: Index, version: u16) -> Index {
        let key = (write.new, write.finalizers, onto, version);
        if let Some(written) = self.written.get(&key) {
            return *written;
        }
        let new = self.objects.get(write.new);
        let written = self.change(onto, version, |object| {
            if write.finalizers {
                object.finalizers.clone_from(&new.finalizers);
            } else {
                object.status = new.status.clone();
            }
        });
        self.written.insert(key, written);
        written
    }

    pub(crate) fn effect(&self, index: Index) -> Rc<Effect> {
        self.effects.get(index)
    }

    pub(crate) fn ending(&self, index: Index) -> Ending {
        *self.endings.at(index)
    }

    /// A reconcile begins with a read of the object.
    pub(crate) fn start(&mut self, uid: u8, process: &Controller, told: Told) -> Index {
        let key = (uid, told, process.memory);
        if let Some(effect) = self.starts.get(&key) {
            return *effect;
        }
        let Next::Do(effect) = step::start(self.reconcile(uid, process, told), None) else {
            panic!("without an object a reconcile begins with an effect");
        };
        let effect = self.effects.keep(*effect);
        self.starts.insert(key, effect);
        effect
    }

    /// A reconcile begins with what the watch shows, which comes now by the clock of the process.
    pub(crate) fn start_shown(
        &mut self,
        uid: u8,
        process: &Controller,
        told: Told,
        object: Index,
        now: Tick,
    ) -> Outcome {
        let key = (uid, told, process.memory, object, now);
        if let Some(outcome) = self.shown_starts.get(&key) {
            return *outcome;
        }
        let shown = swr_operator_core::reconcile::Watched {
            object: Object::clone(&self.objects.get(object)),
            at: time(now),
        };
        let next = step::start(self.reconcile(uid, process, told), Some(shown));
        let outcome = self.outcome(next, now);
        self.shown_starts.insert(key, outcome);
        outcome
    }

    fn reconcile(&self, uid: u8, process: &Controller, told: Told) -> Reconcile {
        Reconcile {
            key: swr_operator_core::object::ObjectKey::new(NAMESPACE, NAME),
            uid: uid_text(uid),
            owner: self.owners[usize::from(uid)].clone(),
            windows: self.windows,
            read_only: told.read_only,
            // A poll lets one at a time be sent again, and there is one object.
            witness: Witness {
                is_believed: true,
                may_send: true,
            },
            clearance: told.clearance,
            memory: Memory::clone(&self.memories.get(process.memory)),
        }
    }

    fn outcome(&mut self, next: Next, now: Tick) -> Outcome {
        match next {
            Next::Do(effect) => {
                if let Effect::Reserve { then } = &*effect
                    && !self.setting.lacks_room
                {
                    let next = then.clone().resume(Ok(()), time(now));
                    return self.outcome(next, now);
                }
                Outcome::Effect(self.effects.keep(*effect))
            }
            Next::Finished(summary) => Outcome::Ended(self.end(*summary, now)),
        }
    }

    /// Gives an answer to an effect. The time is by the clock of the process.
    pub(crate) fn resume(&mut self, effect: Index, answer: Answer, now: Tick) -> Outcome {
        if let Some(outcome) = self.outcomes.get(&(effect, answer, now)) {
            return *outcome;
        }
        let next = self.call(self.effects.at(effect).clone(), answer, time(now));
        let outcome = self.outcome(next, now);
        self.outcomes.insert((effect, answer, now), outcome);
        outcome
    }

    fn call(&self, effect: Effect, answer: Answer, now: Timestamp) -> Next {
        let object = |index: Index| self.objects.at(index).clone();
        match (effect, answer) {
            (Effect::ReadObject { then }, Answer::Object(found)) => {
                then.resume(Ok(found.map(object)), now)
            }
            (Effect::ReadObject { then }, Answer::Kube(failure)) => then.resume(Err(failure), now),
            (Effect::ConfirmObject { then }, Answer::Object(found)) => {
                then.resume(Ok(found.map(object)), now)
            }
            (Effect::ConfirmObject { then }, Answer::Kube(failure)) => {
                then.resume(Err(failure), now)
            }
            (Effect::ReadAccount { then }, Answer::Account) => then.resume(Ok(account()), now),
            (Effect::ReadSecret { then, .. }, Answer::Secret(version)) => {
                let uid = uid_of(&then.work().object().uid);
                then.resume(Ok(self.seal(uid, version)), now)
            }
            (Effect::List { then, .. }, Answer::Inventory(view)) => {
                then.resume(Ok(Some(std::sync::Arc::new(self.inventory(&view)))), now)
            }
            (Effect::List { then, .. }, Answer::LateList) => then.resume(Ok(None), now),
            (Effect::List { then, .. }, Answer::Cloud(class, cause)) => {
                then.resume(Err(Failure::new(class, cause)), now)
            }
            (Effect::Show { then, .. }, Answer::Registry(shown)) => {
                then.resume(Ok(self.record(shown)), now)
            }
            (Effect::Show { then, .. }, Answer::Cloud(class, cause)) => {
                then.resume(Err(Failure::new(class, cause)), now)
            }
            (Effect::FindOwner { then, .. }, Answer::Owned(exists)) => then.resume(exists, now),
            (Effect::AddFinalizer { then }, answer) => then.resume(written(answer, object), now),
            (Effect::RecordIntent { then, .. }, answer) => {
                then.resume(written(answer, object), now)
            }
            (Effect::RecordId { then, .. }, answer) => then.resume(written(answer, object), now),
            (Effect::RemoveFinalizer { then }, Answer::Done) => then.resume(Ok(()), now),
            (Effect::RemoveFinalizer { then }, Answer::Kube(failure)) => {
                then.resume(Err(failure), now)
            }
            (Effect::Reserve { then }, answer) => then.resume(done(answer), now),
            (Effect::Create { then, .. }, Answer::Created(id)) => {
                then.resume(Ok(id.map(|id| RegistryId(i64::from(id)))), now)
            }
            (Effect::Create { then, .. }, Answer::Cloud(class, cause)) => {
                then.resume(Err(Failure::new(class, cause)), now)
            }
            (Effect::Update { then, .. }, answer) => then.resume(done(answer), now),
            (Effect::Adopt { then, .. }, answer) => then.resume(done(answer), now),
            (Effect::Untag { then, .. }, answer) => then.resume(done(answer), now),
            (Effect::Delete { then, .. }, answer) => then.resume(done(answer), now),
            (effect, answer) => panic!("{} has no answer {answer:?}", effect.name()),
        }
    }

    /// What production does with a summary, but for the write itself.
    fn end(&mut self, summary: Summary, now: Tick) -> Index {
        let at = time(now);
        let next = requeue(&summary, &self.windows, at);
        let settled = now + self.setting.settle.max(self.setting.believed.0);
        let is_patient = matches!(summary.verdict, Verdict::CannotUntag { .. });
        let waits_long =
            !is_patient && matches!(next, Requeue::SoonUntil(until) if tick(until) > settled);
        let due = match next {
            // Looked at when something else asks for it.
            Requeue::Never
            | Requeue::Poll
            | Requeue::SecretChange { .. }
            | Requeue::AccountChange
            | Requeue::ObjectChange => NEVER,
            Requeue::Now => now,
            Requeue::At(at) => tick(at),
            // Seconds to minutes: within the tick or the next.
            Requeue::SoonUntil(until) => tick(until).min(now + 1),
            Requeue::Backoff { min_secs } | Requeue::Instance { min_secs, .. } => {
                let ticks = (i64::from(min_secs) + UNIT - 1) / UNIT;
                now + Tick::try_from(ticks).expect("fits").max(1)
            }
        };
        let new = status(&summary, &self.windows, at);
        let claims = new.as_ref().is_some_and(|new| {
            new.conditions.iter().any(|condition| {
                condition.type_ == "Synced" && condition.status == ConditionStatus::True
            })
        });
        let write = summary.object.as_ref().zip(new).map(|(object, new)| {
            let base = self.objects.keep(object.clone());
            let mut object = object.clone();
            object.status = new;
            without_clocks(&mut object);
            (base, self.objects.keep(object))
        });
        let ending = Ending {
            write,
            due,
            memory: self.memories.keep(summary.memory.clone()),
            baseline: match summary.to_baseline() {
                Some(baseline) => self.baseline.keep(baseline) + 1,
                None => 0,
            },
            gone: matches!(summary.verdict, Verdict::Gone | Verdict::Released { .. }),
            claims,
            version: summary.object.as_ref().map_or(0, version_of),
            waits_long,
            summary: self.summaries.keep(summary),
        };
        self.endings.keep(ending)
    }

    /// Whether two objects have the same status.
    pub(crate) fn same_status(&self, one: Index, other: Index) -> bool {
        self.objects.at(one).status == self.objects.at(other).status
    }

    /// The version of the object that a reconcile is about.
    pub(crate) fn version_held(&self, effect: Index) -> u16 {
        let work = match self.effects.at(effect) {
            Effect::ReadObject { .. } => return 0,
            Effect::ConfirmObject { then } => then.work(),
            Effect::ReadAccount { then } => then.work(),
            Effect::ReadSecret { then, .. } => then.work(),
            Effect::List { then, .. } => then.work(),
            Effect::Show { then, .. } => then.work(),
            Effect::FindOwner { then, .. } => then.work(),
            Effect::AddFinalizer { then } => then.work(),
            Effect::Reserve { then } => then.work(),
            Effect::RecordIntent { then, .. } => then.work(),
            Effect::Create { then, .. } => then.work(),
            Effect::RecordId { then, .. } => then.work(),
            Effect::Update { then, .. } => then.work(),
            Effect::Adopt { then, .. } => then.work(),
            Effect::Untag { then, .. } => then.work(),
            Effect::Delete { then, .. } => then.work(),
            Effect::RemoveFinalizer { then } => then.work(),
        };
        version_of(work.object())
    }

    /// The version of an object.
    pub(crate) fn version(&self, object: Index) -> u16 {
        version_of(self.objects.at(object))
    }

    /// What an effect asks.
    pub(crate) fn request(&mut self, index: Index) -> Request {
        if let Some(request) = self.requests.get(&index) {
            return *request;
        }
        let effect = self.effects.get(index);
        let request = self.read(&effect);
        self.requests.insert(index, request);
        request
    }

    fn read(&mut self, effect: &Effect) -> Request {
        match effect {
            Effect::ReadObject { .. } => Request::Object,
            Effect::ConfirmObject { .. } => Request::Confirm,
            Effect::ReadAccount { .. } => Request::Account,
            Effect::ReadSecret { .. } => Request::Secret,
            Effect::List { then, .. } => Request::List {
                hurried: then.patience_secs().is_some(),
                removing: matches!(then, Listing::Removing(_)),
            },
            Effect::Show { id, then } => Request::Show {
                id: id_of(*id),
                before_delete: matches!(then, Showing::BeforeDelete(..)),
            },
            Effect::FindOwner { tag, .. } => Request::Owner(self.mark(tag)),
            Effect::AddFinalizer { then } => {
                let base = then.work().object();
                let mut new = base.clone();
                new.finalizers.push(FINALIZER.to_owned());
                self.kube(base, new, true, KubeKind::AddFinalizer)
            }
            Effect::RemoveFinalizer { then } => {
                let base = then.work().object();
                let mut new = base.clone();
                new.finalizers.retain(|name| name != FINALIZER);
                self.kube(base, new, true, KubeKind::RemoveFinalizer)
            }
            Effect::Reserve { .. } => Request::Room,
            Effect::RecordIntent { status, then } => {
                let base = then.work().object();
                let intent = status.create_intent.as_ref().expect("an intent");
                let started_at = tick(intent.started_at);
                let mut new = base.clone();
                new.status = ReplicationRegistryStatus::clone(status);
                without_clocks(&mut new);
                self.kube(base, new, false, KubeKind::Intent(started_at))
            }
            Effect::RecordId { status, then } => {
                let base = then.work().object();
                let mut new = base.clone();
                new.status = ReplicationRegistryStatus::clone(status);
                without_clocks(&mut new);
                self.kube(base, new, false, KubeKind::Id)
            }
            Effect::Create {
                intent,
                write,
                then,
            } => Request::Cloud {
                write: CloudWrite::Post {
                    uid: uid_of(&then.work().object().uid),
                    url: url_of(&write.registry.url),
                    credential: 0,
                },
                not_after: tick(intent.not_after()),
            },
            Effect::Update {
                target,
                write,
                then,
                ..
            } => self.put(then.work().owner(), write, target.record(), NEVER),
            Effect::Adopt {
                intent,
                target,
                write,
                then,
            } => {
                let not_after = tick(intent.not_after());
                self.put(then.work().owner(), write, target.record(), not_after)
            }
            Effect::Untag {
                target,
                write,
                then,
                ..
            } => self.put(then.work().owner(), write, target.record(), NEVER),
            Effect::Delete { target, then, .. } => Request::Cloud {
                write: CloudWrite::Delete {
                    id: id_of(target.id()),
                    uid: uid_of(&then.work().object().uid),
                },
                not_after: NEVER,
            },
        }
    }

    fn kube(&mut self, base: &Object, new: Object, finalizers: bool, kind: KubeKind) -> Request {
        let write = KubeWrite {
            base: self.objects.keep(base.clone()),
            new: self.objects.keep(new),
            finalizers,
        };
        Request::Kube(write, kind)
    }

    /// `tags`: whether our tag is on it afterwards. Right only while its description ends as in
    /// this record.
    fn put(
        &self,
        owner: &Owner,
        write: &RegistryWrite,
        record: &Record,
        not_after: Tick,
    ) -> Request {
        let ours = self.mark(owner.tag());
        let Mark::Uid(uid) = ours else {
            panic!("an owner has a uid");
        };
        let mark_in = |description: &str| {
            let tag = split(description).1;
            tag.map_or(Mark::Untagged, |tag| self.mark(tag))
        };
        Request::Cloud {
            write: CloudWrite::Put {
                id: id_of(record.id),
                uid,
                mark: mark_in(&write.registry.description),
                expects: mark_in(&record.description),
                url: url_of(&write.registry.url),
                credential: 0,
            },
            not_after,
        }
    }

    fn mark(&self, tag: &str) -> Mark {
        match self.owners.iter().position(|owner| owner.tag() == tag) {
            Some(uid) => Mark::Uid(u8::try_from(uid).expect("few")),
            None => Mark::Stranger,
        }
    }

    fn seal(&self, uid: u8, version: u8) -> Sealed {
        self.sealer.seal(&uid_text(uid), &credential(version))
    }

    fn record(&self, shown: Shown) -> Record {
        let description = match shown.mark {
            Mark::Untagged => "dr".to_owned(),
            Mark::Uid(uid) => self.owners[usize::from(uid)].describe("dr"),
            Mark::Stranger => self.stranger.describe("dr"),
        };
        debug_assert_eq!(
            split(&description).1.map(|tag| self.mark(tag)),
            (shown.mark != Mark::Untagged).then_some(shown.mark)
        );
        let key = |version| -> Fingerprint {
            self.sealer
                .access_key(credential(version).access_key.expose())
        };
        Record {
            id: RegistryId(i64::from(shown.id)),
            name: if shown.renamed { "copy" } else { NAME }.to_owned(),
            type_: "swr-pro".into(),
            url: url_text(shown.url).into(),
            insecure: Some(false),
            description,
            project: None,
            region: None,
            instance: None,
            dns_hosts: None,
            access_key: self.setting.shows_key.then(|| key(shown.credential)),
            health: Health::Healthy,
            updated_at: (shown.updated > 0).then(|| shown.updated.to_string()),
        }
    }

    fn inventory(&self, view: &View) -> Inventory {
        Inventory::new(view.iter().flatten().map(|shown| self.record(*shown)))
    }

    /// Whether a poll finds that the baseline of the last reconcile does not hold any more.
    pub(crate) fn differs(&mut self, baseline: Index, view: &View, uid: u8, secret: u8) -> bool {
        let key = (baseline, *view, uid, secret);
        if let Some(differs) = self.polls.get(&key) {
            return *differs;
        }
        let baseline = self.baseline.get(baseline - 1);
        let inventory = self.inventory(view);
        // A poll also sends again what moved without a difference.
        let moved = witness::examine(TESTIMONY, [((), &*baseline)], &inventory).unexplained > 0;
        let differs = moved
            || baseline.concern.digest(&inventory) != baseline.digest
            || self.seal(uid, secret).whole != baseline.credential;
        self.polls.insert(key, differs);
        differs
    }
}

fn version_of(object: &Object) -> u16 {
    object.version.0.parse().expect("a number")
}

fn id_of(id: RegistryId) -> u8 {
    u8::try_from(id.0).expect("few")
}

fn written(answer: Answer, object: impl Fn(Index) -> Object) -> ObjectWritten {
    if let Answer::Object(Some(index)) = answer {
        return Ok(object(index));
    }
    let Answer::Kube(failure) = answer else {
        panic!("{answer:?} is no answer to a write of the object");
    };
    Err(failure)
}
