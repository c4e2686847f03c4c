//! The series of each object and account: at most eleven for an object, and they go with it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use swr_operator_api::{Condition, ConditionStatus};
use swr_operator_core::diff::Changes;
use swr_operator_core::object::{Object, ObjectKey};
use swr_operator_core::tag;
use swr_operator_core::texts::Texts;

const OBJECT: &str = "ReplicationRegistry";
const ACCOUNT: &str = "SwrAccount";

/// From what one request takes to what somebody should have noticed.
const LIFE_BUCKETS: [f64; 13] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0,
];

/// Objects and accounts.
#[derive(Clone)]
pub struct Objects {
    state: State,
    first_ready: Family<KindLabel, Histogram, fn() -> Histogram>,
    convergence: Family<KindLabel, Histogram, fn() -> Histogram>,
    deletion: Family<KindLabel, Histogram, fn() -> Histogram>,
    drift_fields: Family<FieldLabel, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FieldLabel {
    field: &'static str,
}

/// An object as a reconcile left it.
pub struct Shown<'a> {
    /// As the reconcile read it.
    pub object: &'a Object,
    /// Its generation that the status speaks of.
    pub observed_generation: i64,
    /// Its conditions.
    pub conditions: &'a [Condition],
    /// Seconds between two polls of it.
    pub poll_secs: i64,
    /// Whether the reconcile compared it with what SWR holds.
    pub was_compared: bool,
}

#[derive(Clone, Default)]
struct State(Arc<Mutex<Series>>);

#[derive(Default)]
struct Series {
    /// Whether another process reconciles. Then what this one sees is not told: a scrape of both would count each
    /// object twice.
    stands_by: bool,
    /// Boxed: a third of a map's places are empty.
    objects: HashMap<ObjectKey, Box<OfObject>>,
    /// Types and reasons of conditions.
    names: Texts,
    accounts: BTreeMap<String, Box<[OfCondition]>>,
    instances: BTreeMap<(String, String), OfInstance>,
    /// How many deletions the guard pauses, by account and instance.
    paused: BTreeMap<(String, String), usize>,
}

/// What an observation of an instance as a whole found.
#[derive(Clone, Copy, Debug, Default)]
pub struct OfInstance {
    /// Registries with our installation's tag and no object.
    pub orphans: usize,
    /// Registries with a copy of another one's tag.
    pub duplicates: usize,
    /// Registries that something wrote without SWR showing a difference.
    pub unexplained: usize,
    /// Whether a change of health was seen that moved `updated_at`.
    pub distrusted: bool,
    /// Whether SWR was seen not to list what changed last first, or refuses to.
    pub order_distrusted: bool,
}

#[derive(Default)]
struct OfObject {
    /// As in a tag.
    uid: [u8; 16],
    generation: i64,
    shown: Option<Last>,
    last_success: Option<Timestamp>,
    drift_detected: u64,
    drift_corrected: u64,
    rotations: u64,
    /// Since when it has not been ready for the first time; `None` if it was there before us.
    new_since: Option<Timestamp>,
    /// Since when its newest generation has not been ready.
    changed_at: Option<Timestamp>,
    deleting_since: Option<Timestamp>,
}

/// What the last reconcile left.
struct Last {
    observed_generation: i64,
    suspended: bool,
    poll_secs: i64,
    conditions: Box<[OfCondition]>,
}

struct OfCondition {
    type_: Arc<str>,
    status: ConditionStatus,
    reason: Arc<str>,
}

fn of_all(names: &mut Texts, conditions: &[Condition]) -> Box<[OfCondition]> {
    let of = |condition: &Condition| OfCondition {
        type_: names.shared(&condition.type_),
        status: condition.status,
        reason: names.shared(&condition.reason),
    };
    conditions.iter().map(of).collect()
}

impl Last {
    fn is(&self, type_: &str, status: ConditionStatus) -> bool {
        self.conditions
            .iter()
            .any(|condition| *condition.type_ == *type_ && condition.status == status)
    }
}

fn secs(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

impl Objects {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let life = || -> Family<KindLabel, Histogram, fn() -> Histogram> {
            let family = Family::new_with_constructor(
                (|| Histogram::new(LIFE_BUCKETS)) as fn() -> Histogram,
            );
            drop(family.get_or_create(&KindLabel { kind: OBJECT }));
            family
        };
        let objects = Objects {
            state: State::default(),
            first_ready: life(),
            convergence: life(),
            deletion: life(),
            drift_fields: Family::default(),
        };
        registry.register(
            "swr_first_ready_seconds",
            "Time from the creation of an object to its first Ready, for objects that were created while this process ran",
            objects.first_ready.clone(),
        );
        registry.register(
            "swr_convergence_seconds",
            "Time from a change of a spec to Ready for that generation",
            objects.convergence.clone(),
        );
        registry.register(
            "swr_deletion_seconds",
            "Time from the deletion of an object, as this process saw it, to the end of its finalizer",
            objects.deletion.clone(),
        );
        registry.register(
            "swr_drift_fields",
            "Fields that were found changed in SWR",
            objects.drift_fields.clone(),
        );
        registry.register_collector(Box::new(objects.state.clone()));
        objects
    }

    fn locked(&self) -> MutexGuard<'_, Series> {
        self.state.locked()
    }

    fn change<T>(&self, key: &ObjectKey, change: impl FnOnce(&mut OfObject) -> T) -> Option<T> {
        let mut series = self.locked();
        let of = series.objects.get_mut(key)?;
        Some(change(of))
    }

    /// The watch shows an object; `created_at` if that was while this process ran.
    pub fn seen(
        &self,
        key: &ObjectKey,
        uid: &str,
        generation: i64,
        deleting: bool,
        created_at: Option<Timestamp>,
        now: Timestamp,
    ) {
        let mut series = self.locked();
        let object = series.objects.entry(key.clone()).or_default();
        let uid = tag::uid_bytes(uid);
        if object.uid != uid {
            **object = OfObject {
                uid,
                generation,
                new_since: created_at,
                ..OfObject::default()
            };
        }
        if object.generation != generation {
            object.generation = generation;
            object.changed_at = object.changed_at.or(Some(now));
        }
        if deleting {
            object.deleting_since = object.deleting_since.or(Some(now));
        }
    }

    /// Another process reconciles.
    pub fn stand_by(&self) {
        self.locked().stands_by = true;
    }

    /// From now on this process reconciles. What it saw before is no news: another process may have been there.
    pub fn begin(&self) {
        let mut series = self.locked();
        series.stands_by = false;
        for of in series.objects.values_mut() {
            of.new_since = None;
            of.changed_at = None;
        }
    }

    /// The object of this name is not watched any more.
    pub fn forget(&self, key: &ObjectKey) {
        self.locked().objects.remove(key);
    }

    /// Only these are watched.
    pub fn retain(&self, is_watched: impl Fn(&ObjectKey) -> bool) {
        self.locked().objects.retain(|key, _| is_watched(key));
    }

    /// A reconcile ended and left the object so.
    pub fn shown(&self, shown: &Shown<'_>, now: Timestamp) {
        let object = shown.object;
        let mut series = self.locked();
        let Series { objects, names, .. } = &mut *series;
        let uid = tag::uid_bytes(&object.uid);
        let Some(of) = objects.get_mut(&object.key).filter(|of| of.uid == uid) else {
            return;
        };
        let last = Last {
            observed_generation: shown.observed_generation,
            suspended: object.suspended,
            poll_secs: shown.poll_secs,
            conditions: of_all(names, shown.conditions),
        };
        let is_ready = last.is("Ready", ConditionStatus::True);
        if is_ready && shown.observed_generation >= of.generation {
            let kind = KindLabel { kind: OBJECT };
            if let Some(since) = of.new_since.take() {
                self.first_ready
                    .get_or_create(&kind)
                    .observe(secs(since, now));
                of.changed_at = None;
            }
            if let Some(at) = of.changed_at.take() {
                self.convergence.get_or_create(&kind).observe(secs(at, now));
            }
        }
        if shown.was_compared && !last.is("Synced", ConditionStatus::Unknown) {
            of.last_success = Some(now);
        }
        of.shown = Some(last);
    }

    /// A poll found the object's registry as it was.
    pub fn verified(&self, key: &ObjectKey, now: Timestamp) {
        self.change(key, |of| {
            let last = of.shown.as_ref();
            if last.is_some_and(|last| !last.is("Synced", ConditionStatus::Unknown)) {
                of.last_success = Some(now);
            }
        });
    }

    /// Our finalizer is off.
    pub fn released(&self, key: &ObjectKey, now: Timestamp) {
        let since = self.change(key, |of| of.deleting_since.take());
        if let Some(since) = since.flatten() {
            let kind = KindLabel { kind: OBJECT };
            self.deletion.get_or_create(&kind).observe(secs(since, now));
        }
    }

    /// Something else changed these fields in SWR.
    pub fn drift_detected(&self, key: &ObjectKey, changes: &Changes) {
        for change in changes.all() {
            let field = change.field.path();
            self.drift_fields.get_or_create(&FieldLabel { field }).inc();
        }
        self.change(key, |of| of.drift_detected += 1);
    }

    /// And SWR took them back.
    pub fn drift_corrected(&self, key: &ObjectKey) {
        self.change(key, |of| of.drift_corrected += 1);
    }

    /// SWR took a credential that was changed in its Secret.
    pub fn credential_rotated(&self, key: &ObjectKey) {
        self.change(key, |of| of.rotations += 1);
    }

    /// An account has these conditions.
    pub fn account_shown(&self, name: &str, conditions: &[Condition]) {
        let mut series = self.locked();
        let conditions = of_all(&mut series.names, conditions);
        series.accounts.insert(name.to_owned(), conditions);
    }

    /// There is no account of this name any more.
    pub fn account_forgotten(&self, name: &str) {
        let mut series = self.locked();
        series.accounts.remove(name);
        series.instances.retain(|(account, _), _| account != name);
    }

    /// An instance was observed.
    pub fn observed(&self, account: &str, instance: &str, found: OfInstance) {
        let of = (account.to_owned(), instance.to_owned());
        self.locked().instances.insert(of, found);
    }

    /// The guard pauses so many deletions, by account and instance, and no others.
    pub fn deletions_paused(&self, paused: BTreeMap<(String, String), usize>) {
        self.locked().paused = paused;
    }

    /// Only these instances are observed.
    pub fn retain_instances(&self, is_used: impl Fn(&str, &str) -> bool) {
        let mut series = self.locked();
        series
            .instances
            .retain(|(account, instance), _| is_used(account, instance));
    }
}

impl Series {
    /// What is told of.
    fn objects(&self) -> impl Iterator<Item = (&ObjectKey, &OfObject)> {
        let told = self.objects.iter().filter(|_| !self.stands_by);
        told.map(|(key, of)| (key, &**of))
    }
}

impl State {
    fn locked(&self) -> MutexGuard<'_, Series> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

impl Collector for State {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let series = self.locked();
        encode_conditions(&mut encoder, &series)?;
        let with_shown = || {
            let objects = series.objects();
            objects.filter_map(|(key, of)| Some((key, of, of.shown.as_ref()?)))
        };
        #[expect(
            clippy::cast_precision_loss,
            reason = "times, generations and counts far below 2^52"
        )]
        let float = |n: i64| n as f64;
        gauge(
            &mut encoder,
            "swr_resource_suspended",
            "1 if spec.suspend is true, else 0.",
            with_shown().map(|(key, _, last)| (key, f64::from(u8::from(last.suspended)))),
        )?;
        gauge(
            &mut encoder,
            "swr_resource_generation",
            "Generation of the spec.",
            with_shown().map(|(key, of, _)| (key, float(of.generation))),
        )?;
        gauge(
            &mut encoder,
            "swr_resource_observed_generation",
            "Generation that the status speaks of.",
            with_shown().map(|(key, _, last)| (key, float(last.observed_generation))),
        )?;
        gauge(
            &mut encoder,
            "swr_resource_poll_interval_seconds",
            "Time between two comparisons with SWR.",
            with_shown().map(|(key, _, last)| (key, float(last.poll_secs))),
        )?;
        gauge(
            &mut encoder,
            "swr_resource_last_success_timestamp_seconds",
            "When the object was last compared with what SWR holds.",
            with_shown()
                .filter_map(|(key, of, _)| Some((key, float(of.last_success?.as_second())))),
        )?;
        counter(
            &mut encoder,
            "swr_drift_detected",
            "How often something else was found to have changed the registry in SWR.",
            series.objects().map(|(key, of)| (key, of.drift_detected)),
        )?;
        counter(
            &mut encoder,
            "swr_drift_corrected",
            "How often that was put back.",
            series.objects().map(|(key, of)| (key, of.drift_corrected)),
        )?;
        counter(
            &mut encoder,
            "swr_credential_rotations",
            "How often a credential was sent because it alone had changed, in its Secret.",
            series.objects().map(|(key, of)| (key, of.rotations)),
        )?;
        encode_instances(&mut encoder, &series)
    }
}

type OfInstanceGauge = (&'static str, &'static str, fn(&OfInstance) -> usize);

const OF_INSTANCE: [OfInstanceGauge; 5] = [
    (
        "swr_orphans",
        "Registries that carry this installation's tag and whose object is not watched.",
        |of| of.orphans,
    ),
    (
        "swr_duplicate_tags",
        "Registries that carry a copy of the tag of another one.",
        |of| of.duplicates,
    ),
    (
        "swr_unexplained_changes",
        "Registries that something wrote since the operator did, without SWR showing a difference.",
        |of| of.unexplained,
    ),
    (
        "swr_updated_at_distrusted",
        "1 if a change of a target's health moved updated_at, so that changes that SWR does not show are not noticed until the operator starts anew.",
        |of| usize::from(of.distrusted),
    ),
    (
        "swr_order_distrusted",
        "1 if SWR does not list the newest changes first, so that all registries are read instead, and edits in SWR are noticed at the next poll.",
        |of| usize::from(of.order_distrusted),
    ),
];

fn encode_instances(
    encoder: &mut DescriptorEncoder<'_>,
    series: &Series,
) -> Result<(), fmt::Error> {
    for (name, help, value) in OF_INSTANCE {
        let all = series.instances.iter();
        encode_of_instance(encoder, name, help, all.map(|(id, of)| (id, value(of))))?;
    }
    // Zero where none is, so that whoever watches it sees it end.
    let ids: BTreeSet<_> = series
        .instances
        .keys()
        .chain(series.paused.keys())
        .collect();
    let paused = |id: &(String, String)| series.paused.get(id).copied().unwrap_or_default();
    let paused = ids.into_iter().map(|id| (id, paused(id)));
    encode_of_instance(
        encoder,
        "swr_deletions_paused",
        "Deletions that the mass-deletion guard pauses, until an administrator lets them through.",
        paused,
    )
}

fn encode_of_instance<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (&'a (String, String), usize)>,
) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for ((account, instance), value) in values {
        // Not `instance`, which is the name of Prometheus' own label of a target.
        let labels = [("account", account), ("swr_instance", instance)];
        let value = u32::try_from(value).unwrap_or(u32::MAX);
        metric.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

fn encode_conditions(
    encoder: &mut DescriptorEncoder<'_>,
    series: &Series,
) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(
        "swr_resource_condition",
        "1 for the status and reason that a condition has now; others have no series.",
        None,
        MetricType::Gauge,
    )?;
    let objects = series.objects().flat_map(|(key, of)| {
        let conditions = of.shown.iter().flat_map(|last| &last.conditions);
        conditions.map(move |condition| (OBJECT, &*key.namespace, &*key.name, condition))
    });
    let accounts = series.accounts.iter().flat_map(|(name, conditions)| {
        conditions
            .iter()
            .map(move |condition| (ACCOUNT, "", name.as_str(), condition))
    });
    for (kind, namespace, name, condition) in objects.chain(accounts) {
        let labels = [
            ("kind", kind),
            ("namespace", namespace),
            ("name", name),
            ("type", &condition.type_),
            ("status", condition.status.as_str()),
            ("reason", &condition.reason),
        ];
        metric.encode_family(&labels)?.encode_gauge(&1i64)?;
    }
    Ok(())
}

fn gauge<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (&'a ObjectKey, f64)>,
) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (key, value) in values {
        let labels = [
            ("kind", OBJECT),
            ("namespace", &key.namespace),
            ("name", &key.name),
        ];
        metric.encode_family(&labels)?.encode_gauge(&value)?;
    }
    Ok(())
}

fn counter<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (&'a ObjectKey, u64)>,
) -> Result<(), fmt::Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (key, value) in values {
        let labels = [("namespace", &*key.namespace), ("name", &*key.name)];
        metric
            .encode_family(&labels)?
            .encode_counter::<NoLabelSet, _, u64>(&value, None)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ObjectKey {
        ObjectKey::new("images", "harbor-dr")
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_second(secs).expect("time")
    }

    fn condition(type_: &str, status: ConditionStatus, reason: &str) -> Condition {
        Condition {
            type_: type_.to_owned(),
            status,
            reason: reason.to_owned(),
            message: String::new(),
            last_transition_time: at(0),
            observed_generation: Some(1),
        }
    }

    fn object() -> Object {
        Object::from_json(serde_json::json!({
            "apiVersion": "swr.huaweicloud.com/v1alpha1",
            "kind": "ReplicationRegistry",
            "metadata": {
                "namespace": "images", "name": "harbor-dr", "uid": "u-1",
                "resourceVersion": "7", "generation": 2
            },
            "spec": {}
        }))
        .expect("object")
    }

    fn exposed(edit: impl Fn(&Objects)) -> Vec<String> {
        let mut registry = Registry::default();
        let objects = Objects::register(&mut registry);
        edit(&objects);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
        text.lines()
            .filter(|line| !line.starts_with('#') && !line.contains("_bucket"))
            .map(str::to_owned)
            .collect()
    }

    fn show(objects: &Objects, conditions: &[Condition], now: i64) {
        let shown = Shown {
            object: &object(),
            observed_generation: 2,
            conditions,
            poll_secs: 600,
            was_compared: true,
        };
        objects.shown(&shown, at(now));
    }

    #[test]
    fn an_object_has_few_series_and_they_go_with_it() {
        let live = |objects: &Objects| {
            objects.seen(&key(), "u-1", 1, false, Some(at(100)), at(101));
            objects.seen(&key(), "u-1", 2, false, Some(at(100)), at(105));
            let unknown = ConditionStatus::Unknown;
            show(
                objects,
                &[
                    condition("Ready", unknown, "Progressing"),
                    condition("Synced", unknown, "Progressing"),
                    condition("Reconciling", ConditionStatus::True, "Progressing"),
                ],
                106,
            );
        };
        let ready = |objects: &Objects| {
            live(objects);
            let yes = ConditionStatus::True;
            show(
                objects,
                &[
                    condition("Ready", yes, "Available"),
                    condition("Synced", yes, "Available"),
                ],
                110,
            );
        };
        let of_object = |lines: Vec<String>| -> Vec<String> {
            let mut lines = lines;
            lines.retain(|line| line.contains("harbor-dr"));
            lines
        };
        expect_test::expect![[r#"
            swr_resource_condition{kind="ReplicationRegistry",namespace="images",name="harbor-dr",type="Ready",status="Unknown",reason="Progressing"} 1
            swr_resource_condition{kind="ReplicationRegistry",namespace="images",name="harbor-dr",type="Synced",status="Unknown",reason="Progressing"} 1
            swr_resource_condition{kind="ReplicationRegistry",namespace="images",name="harbor-dr",type="Reconciling",status="True",reason="Progressing"} 1
            swr_resource_suspended{kind="ReplicationRegistry",namespace="images",name="harbor-dr"} 0.0
            swr_resource_generation{kind="ReplicationRegistry",namespace="images",name="harbor-dr"} 2.0
            swr_resource_observed_generation{kind="ReplicationRegistry",namespace="images",name="harbor-dr"} 2.0
            swr_resource_poll_interval_seconds{kind="ReplicationRegistry",namespace="images",name="harbor-dr"} 600.0
            swr_drift_detected_total{namespace="images",name="harbor-dr"} 0
            swr_drift_corrected_total{namespace="images",name="harbor-dr"} 0
            swr_credential_rotations_total{namespace="images",name="harbor-dr"} 0
        "#]]
        .assert_eq(&(of_object(exposed(live)).join("\n") + "\n"));
        let lines = exposed(ready);
        for line in [
            "swr_first_ready_seconds_sum{kind=\"ReplicationRegistry\"} 10.0",
            "swr_convergence_seconds_count{kind=\"ReplicationRegistry\"} 0",
        ] {
            assert!(
                lines.iter().any(|known| known == line),
                "{line}: {lines:#?}"
            );
        }
        let success = "swr_resource_last_success_timestamp_seconds{kind=\"ReplicationRegistry\",namespace=\"images\",name=\"harbor-dr\"} 110.0";
        assert!(lines.iter().any(|known| known == success), "{lines:#?}");
        let gone = exposed(|objects| {
            ready(objects);
            objects.forget(&key());
        });
        assert_eq!(of_object(gone), Vec::<String>::new());
    }

    #[test]
    fn a_change_of_the_spec_is_timed_from_the_first_change_to_ready() {
        let lines = exposed(|objects| {
            objects.seen(&key(), "u-1", 1, false, None, at(0));
            objects.seen(&key(), "u-1", 2, false, None, at(10));
            let yes = ConditionStatus::True;
            let ready = [
                condition("Ready", yes, "Available"),
                condition("Synced", yes, "Available"),
            ];
            show(objects, &ready, 17);
            show(objects, &ready, 99);
            objects.seen(&key(), "u-1", 3, true, None, at(200));
            objects.released(&key(), at(203));
        });
        for line in [
            "swr_first_ready_seconds_count{kind=\"ReplicationRegistry\"} 0",
            "swr_convergence_seconds_sum{kind=\"ReplicationRegistry\"} 7.0",
            "swr_convergence_seconds_count{kind=\"ReplicationRegistry\"} 1",
            "swr_deletion_seconds_sum{kind=\"ReplicationRegistry\"} 3.0",
        ] {
            assert!(
                lines.iter().any(|known| known == line),
                "{line}: {lines:#?}"
            );
        }
    }
}
