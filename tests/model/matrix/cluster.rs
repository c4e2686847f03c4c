//! The objects of a namespace and the Secret that they share: what a quorum read shows, and what a write that is bound to
//! a version does. Judges S7 and S9 when a write is carried out. Answers effects and imitates no API.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use swr_operator_api::FINALIZER;
use swr_operator_api::registry::ReplicationRegistryStatus;
use swr_operator_core::answer::KubeFailure;
use swr_operator_core::object::{Object, Version};

use crate::core::NAMESPACE;
use crate::moves::Lie;

/// One object.
pub(super) struct Stored {
    spec: Value,
    pub(super) object: Object,
    /// Before its last change.
    pub(super) previous: Option<Object>,
    /// The generation that was last written into the status of this very object. What a backup brings may name a higher
    /// one: under another uid generations are counted anew.
    observed: i64,
}

/// What a write to an object changes.
#[derive(Clone, Debug)]
pub(super) enum Change {
    AddFinalizer,
    RemoveFinalizer,
    Status(Box<ReplicationRegistryStatus>),
}

/// A write to an object, bound to the version of `base`.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) base: Object,
    pub(super) change: Change,
}

/// The objects, by name.
pub(super) struct Cluster {
    pub(super) objects: BTreeMap<String, Stored>,
    /// Version of the Secret; `None` while there is none.
    pub(super) secret: Option<u8>,
    newest_secret: u8,
    versions: u64,
    uids: u64,
    lie: Lie,
    /// Writes that were carried out.
    pub(super) n_writes: usize,
}

impl Cluster {
    pub(super) fn new(lie: Lie) -> Self {
        Cluster {
            objects: BTreeMap::new(),
            secret: Some(1),
            newest_secret: 1,
            versions: 0,
            uids: 0,
            lie,
            n_writes: 0,
        }
    }

    pub(super) fn object(&self, name: &str) -> Option<&Object> {
        Some(&self.objects.get(name)?.object)
    }

    /// The object with this uid.
    pub(super) fn of_uid(&self, uid: &str) -> Option<&Object> {
        let mut all = self.objects.values().map(|stored| &stored.object);
        all.find(|object| object.uid == uid)
    }

    fn version(&mut self) -> Version {
        self.versions += 1;
        Version(self.versions.to_string())
    }

    /// Somebody creates an object; one that is there stays.
    pub(super) fn create(&mut self, name: &str, spec: Value) {
        if self.objects.contains_key(name) {
            return;
        }
        self.uids += 1;
        let uid = format!("00000000-0000-0000-0000-{:012}", self.uids);
        let version = self.version();
        let object = parsed(name, &uid, 1, &version, &spec);
        let stored = Stored {
            spec,
            object,
            previous: None,
            observed: 0,
        };
        self.objects.insert(name.to_owned(), stored);
    }

    /// Somebody edits a spec.
    pub(super) fn edit(&mut self, name: &str, edit: impl FnOnce(&mut Value)) {
        let version = self.version();
        let Some(stored) = self.objects.get_mut(name) else {
            return;
        };
        let before = stored.spec.clone();
        edit(&mut stored.spec);
        if stored.spec == before {
            return;
        }
        let old = stored.object.clone();
        let new = parsed(name, &old.uid, old.generation + 1, &version, &stored.spec);
        stored.object = Object {
            status: old.status.clone(),
            finalizers: old.finalizers.clone(),
            deleting: old.deleting,
            ..new
        };
        stored.previous = Some(old);
    }

    /// Somebody writes what concerns nobody here: an annotation, a label.
    pub(super) fn touch(&mut self, name: &str) {
        let version = self.version();
        if let Some(stored) = self.objects.get_mut(name) {
            stored.previous = Some(stored.object.clone());
            stored.object.version = version;
        }
    }

    /// Somebody deletes an object.
    pub(super) fn delete(&mut self, name: &str) {
        let version = self.version();
        let Some(stored) = self.objects.get_mut(name) else {
            return;
        };
        if stored.object.finalizers.is_empty() {
            self.objects.remove(name);
        } else if !stored.object.deleting {
            stored.previous = Some(stored.object.clone());
            stored.object.deleting = true;
            stored.object.generation += 1;
            stored.object.version = version;
        }
    }

    /// A backup brings an object back under another uid, as it was but for what `keeps_status` says.
    pub(super) fn restore(&mut self, name: &str, keeps_status: bool) {
        let Some(old) = self.objects.remove(name) else {
            return;
        };
        self.create(name, old.spec);
        if let (true, Some(stored)) = (keeps_status, self.objects.get_mut(name)) {
            stored.object.status = old.object.status;
            stored.object.finalizers = old.object.finalizers;
        }
    }

    /// A restore of the database puts an older status in the place of the newest.
    pub(super) fn restore_status(&mut self, name: &str, status: ReplicationRegistryStatus) {
        let version = self.version();
        if let Some(stored) = self.objects.get_mut(name) {
            stored.previous = None;
            stored.observed = stored.observed.min(status.observed_generation);
            stored.object.status = status;
            stored.object.version = version;
        }
    }

    pub(super) fn rotate(&mut self) {
        self.newest_secret += 1;
        self.secret = Some(self.newest_secret);
    }

    /// Carries out a write, if the object is still as it was; with what is wrong about it.
    pub(super) fn write(
        &mut self,
        write: &Write,
        wrong: &mut Vec<String>,
    ) -> Result<Object, KubeFailure> {
        let Write { base, change } = write;
        let version = self.version();
        let Some(stored) = self.objects.get_mut(&*base.key.name) else {
            return Err(KubeFailure::NotFound);
        };
        let accepts_stale = self.lie == Lie::AcceptsStaleWrites;
        let old = stored.object.clone();
        if !accepts_stale && (old.version != base.version || old.uid != base.uid) {
            return Err(KubeFailure::Conflict);
        }
        let mut new = old.clone();
        new.version = version;
        match change {
            Change::AddFinalizer => {
                if !new.finalizers.iter().any(|it| it == FINALIZER) {
                    new.finalizers.push(FINALIZER.to_owned());
                }
            }
            Change::RemoveFinalizer => {
                if !old.deleting {
                    wrong.push("S7 the finalizer goes from an object that stays".to_owned());
                }
                new.finalizers.retain(|it| it != FINALIZER);
            }
            Change::Status(status) => {
                new.status = ReplicationRegistryStatus::clone(status);
                wrong.extend(wrong_status(&old, &new, stored.observed).map(str::to_owned));
            }
        }
        self.n_writes += 1;
        let is_intent = new.status.create_intent != old.status.create_intent
            && new.status.create_intent.is_some();
        let is_finalizer = matches!(change, Change::AddFinalizer);
        let forgets = self.lie == Lie::ForgetsFinalizer && is_finalizer
            || self.lie == Lie::ForgetsIntent && is_intent;
        if forgets {
            new.version = old.version;
            return Ok(new);
        }
        if new.deleting && new.finalizers.is_empty() {
            self.objects.remove(&*base.key.name);
        } else {
            if matches!(change, Change::Status(_)) {
                stored.observed = new.status.observed_generation;
            }
            stored.previous = Some(old);
            stored.object = new.clone();
        }
        Ok(new)
    }
}

/// What S9 forbids, where `seen` is the generation that was last written of this object.
fn wrong_status(old: &Object, new: &Object, seen: i64) -> Option<&'static str> {
    let (before, after) = (&old.status, &new.status);
    let observed = after.observed_generation;
    if before == after {
        return Some("S9 a status is written that changes nothing");
    }
    if observed < seen || observed > new.generation {
        return Some("S9 observedGeneration goes back or ahead");
    }
    let moves = after.conditions.iter().any(|its| {
        let old = before.conditions.iter().find(|it| it.type_ == its.type_);
        old.is_some_and(|old| {
            (old.status == its.status) != (old.last_transition_time == its.last_transition_time)
                && old.status == its.status
        })
    });
    moves.then_some("S9 lastTransitionTime moves although the status of the condition does not")
}

fn parsed(name: &str, uid: &str, generation: i64, version: &Version, spec: &Value) -> Object {
    let object = Object::from_json(json!({
        "apiVersion": "swr.huaweicloud.com/v1alpha1",
        "kind": "ReplicationRegistry",
        "metadata": {
            "namespace": NAMESPACE, "name": name, "uid": uid,
            "resourceVersion": version.0, "generation": generation,
        },
        "spec": spec,
    }));
    object.expect("an object")
}
