//! One reconcile of one object, as `controller::reconcile` and `controller::execute` do it, with the answers of the
//! modelled worlds. Judges what must hold when a write is sent: S5 to S8 and S10.

use super::{
    ACCOUNT_CHECK_SECS, Arc, Blocker, Cause, Change, Class, Clearance, Crashed, Effect, Entry,
    Failure, Fault, Flight, Inventory, KUBE_DEADLINE_SECS, KubeFailure, Lie, Listing, Next, Object,
    ObjectKey, Owner, Point, REBASES_MAX, Reconcile, Record, RegistryWrite, Removed, Requeue, Run,
    SECRET_RETRY_SECS, SecretProblem, SecretThen, Sent, SignedDuration, Summary, Timestamp,
    Verdict, Version, WINDOWS, Watched, What, Witness, backoff_secs, body, cloud, cluster,
    credential, granting, later, list_backoff_secs, requeue, split, status, step,
};
use crate::core::NAMESPACE;
use swr_operator_core::desired::RegistryId;
use swr_operator_core::effect::ListAnswer;

impl Run {
    pub(super) fn drive(&mut self, name: &str, is_watched: bool) -> Result<(), Crashed> {
        let stored = &self.cluster.objects[name];
        let (object, previous) = (stored.object.clone(), stored.previous.clone());
        let entry = self.entries.entry(name.to_owned()).or_default();
        if entry.uid != object.uid {
            *entry = Entry {
                uid: object.uid.clone(),
                ..Entry::default()
            };
        }
        entry.looked = Some((object.generation, object.deleting));
        (entry.due, entry.needs_list, entry.needs_secret) = (None, false, None);
        entry.upon = None;
        let memory = entry.memory.clone();
        let owner = self.owner(&object);
        let mut watched = None;
        if is_watched {
            let old = previous.filter(|old| old.uid == object.uid);
            let shown = match self.point(Point::Watch, name)? {
                Some(Fault::OldView) => old.unwrap_or(object.clone()),
                Some(_) | None => object.clone(),
            };
            // What it shows next asks for another reconcile.
            if let Some(entry) = self.entries.get_mut(name) {
                entry.looked = Some((shown.generation, shown.deleting));
            }
            watched = Some(Watched {
                object: shown,
                at: self.clock(),
            });
        }
        let upon = watched.as_ref().map(|it| it.object.version.clone());
        let reconcile = Reconcile {
            key: ObjectKey::new(NAMESPACE, name),
            uid: object.uid.clone(),
            owner,
            windows: self.windows,
            read_only: self.read_only && self.lie != Lie::ForgetsReadOnly,
            witness: Witness {
                is_believed: true,
                may_send: true,
            },
            clearance: Clearance::Given { until: None },
            memory,
        };
        let mut secret = 0;
        let mut next = step::start(reconcile, watched);
        loop {
            match next {
                Next::Do(effect) => next = self.execute(name, *effect, &mut secret)?,
                Next::Finished(summary) => return self.end(name, upon, *summary),
            }
        }
    }

    /// `secret`: the credential that the executor holds.
    fn execute(&mut self, name: &str, effect: Effect, secret: &mut u8) -> Result<Next, Crashed> {
        Ok(match effect {
            Effect::ReadObject { then } => {
                let answer = self.read_object(Point::ReadObject, name)?;
                then.resume(answer, self.clock())
            }
            Effect::ConfirmObject { then } => {
                let answer = self.read_object(Point::ConfirmObject, name)?;
                then.resume(answer, self.clock())
            }
            Effect::ReadAccount { then } => {
                let problem = self.point(Point::ReadAccount, name)?;
                let answer = match problem.and_then(Fault::of_account) {
                    Some(problem) => Err(problem),
                    None => Ok(granting()),
                };
                then.resume(answer, self.clock())
            }
            Effect::ReadSecret { secret: by, then } => {
                if *by.name != *"login" {
                    self.wrong.push("S11 another Secret is read".to_owned());
                }
                let fault = self.point(Point::ReadSecret, name)?;
                let answer = match fault {
                    Some(Fault::CrashAfter) => return Err(Crashed),
                    Some(Fault::SecretAbsent) => Err(SecretProblem::NotFound),
                    Some(Fault::KubeForbidden) => Err(SecretProblem::Forbidden),
                    Some(_) => Err(SecretProblem::Unavailable),
                    None => match self.cluster.secret {
                        None => Err(SecretProblem::NotFound),
                        Some(version) => {
                            *secret = version;
                            let uid = &then.work().object().uid;
                            Ok(self.cloud.sealer().seal(uid, &credential(version)))
                        }
                    },
                };
                then.resume(answer, self.clock())
            }
            Effect::List { then, .. } => {
                let removes = matches!(then, Listing::Removing(_));
                let mut answer = self.read_list(Point::List, name, then.patience_secs())?;
                let owner = then.work().owner();
                if let Ok(Some(inventory)) = &answer {
                    if removes && self.lie == Lie::ListsNothingWhileRemoving {
                        answer = Ok(Some(Arc::new(Inventory::new([]))));
                    } else if self.lie == Lie::TagsEverything {
                        let tagged = inventory.records().map(|record| tagged(record, owner));
                        answer = Ok(Some(Arc::new(Inventory::new(tagged))));
                    }
                }
                then.resume(answer, self.clock())
            }
            Effect::Show { id, then } => {
                let answer = self.show(name, id)?;
                let owner = then.work().owner();
                let answer = match self.lie == Lie::TagsEverything {
                    true => answer.map(|record| tagged(&record, owner)),
                    false => answer,
                };
                then.resume(answer, self.clock())
            }
            Effect::FindOwner { tag, then } => {
                self.point(Point::FindOwner, name)?;
                let mut objects = self.cluster.objects.values();
                let exists = objects.any(|stored| self.owner(&stored.object).tag() == tag);
                then.resume(exists, self.clock())
            }
            Effect::Reserve { then } => {
                let fault = self.point(Point::Reserve, name)?;
                let failure = fault.and_then(|fault| fault.of_swr(false));
                then.resume(failure.map_or(Ok(()), Err), self.clock())
            }
            Effect::AddFinalizer { then } => {
                let base = then.work().object().clone();
                let answer = self.kube_write(Point::AddFinalizer, base, Change::AddFinalizer)?;
                then.resume(answer, self.clock())
            }
            Effect::RecordIntent { status, then } => {
                let base = then.work().object().clone();
                let answer = self.kube_write(Point::RecordIntent, base, Change::Status(status))?;
                then.resume(answer, self.clock())
            }
            Effect::RecordId { status, then } => {
                let base = then.work().object().clone();
                let answer = self.kube_write(Point::RecordId, base, Change::Status(status))?;
                then.resume(answer, self.clock())
            }
            Effect::RemoveFinalizer { then } => {
                let base = then.work().object().clone();
                // Whether or not the answer comes back.
                if matches!(then.removed, Removed::StillTagged | Removed::LeftAlone) {
                    self.let_go.insert(base.uid.clone());
                }
                let change = Change::RemoveFinalizer;
                let answer = self.kube_write(Point::RemoveFinalizer, base, change)?;
                then.resume(answer.map(|_| ()), self.clock())
            }
            Effect::Create {
                intent,
                write,
                then,
            } => {
                let what = What::Post(body(&write.registry, *secret));
                let object = then.work().object().clone();
                let not_after = intent.not_after();
                let answer = self.send(Point::Create, &object, what, not_after)?;
                then.resume(answer, self.clock())
            }
            Effect::Update {
                target,
                write,
                not_after,
                then,
            } => {
                let object = then.work().object().clone();
                let what = put(target.record(), &write, then.work().owner(), *secret);
                let answer = self.send(Point::Update, &object, what, not_after)?;
                then.resume(answer.map(|_| ()), self.clock())
            }
            Effect::Adopt {
                intent,
                target,
                write,
                then,
            } => {
                let object = then.work().object().clone();
                let what = put(target.record(), &write, then.work().owner(), *secret);
                let not_after = intent.not_after();
                let answer = self.send(Point::Adopt, &object, what, not_after)?;
                then.resume(answer.map(|_| ()), self.clock())
            }
            Effect::Untag {
                target,
                write,
                not_after,
                then,
            } => {
                let object = then.work().object().clone();
                let what = put(target.record(), &write, then.work().owner(), *secret);
                let answer = self.send(Point::Untag, &object, what, not_after)?;
                then.resume(answer.map(|_| ()), self.clock())
            }
            Effect::Delete {
                target,
                not_after,
                then,
            } => {
                let object = then.work().object().clone();
                let what = What::Delete {
                    id: target.id().0,
                    expects: then.work().owner().tag().to_owned(),
                };
                let answer = self.send(Point::Delete, &object, what, not_after)?;
                then.resume(answer.map(|_| ()), self.clock())
            }
        })
    }

    fn read_object(
        &mut self,
        point: Point,
        name: &str,
    ) -> Result<Result<Option<Object>, KubeFailure>, Crashed> {
        match self.point(point, name)? {
            None => Ok(Ok(self.cluster.object(name).cloned())),
            Some(Fault::CrashAfter) => Err(Crashed),
            Some(fault) => Ok(Err(fault.of_kube().expect("an answer"))),
        }
    }

    /// A write to an object, bound to the version that was decided upon.
    fn kube_write(
        &mut self,
        point: Point,
        base: Object,
        change: Change,
    ) -> Result<Result<Object, KubeFailure>, Crashed> {
        let name = base.key.name.clone();
        let write = cluster::Write { base, change };
        let fault = self.point(point, &name)?;
        let apply = |run: &mut Self| {
            let written = run.cluster.write(&write, &mut run.wrong);
            if written.is_ok() {
                run.changed_at = run.now;
                judge_release(run, &write);
            }
            written
        };
        let Some(fault) = fault else {
            return Ok(apply(self));
        };
        if fault == Fault::CrashAfter {
            let _ = apply(self);
            return Err(Crashed);
        }
        if fault.carries_out() {
            let _ = apply(self);
        }
        if let Some(secs) = fault.lands_after_secs() {
            self.flights.push(Flight {
                lands_at: later(self.now, secs),
                what: Sent::Kube(Box::new(write)),
            });
            self.now = later(self.now, KUBE_DEADLINE_SECS);
        }
        Ok(Err(fault.of_kube().expect("an answer")))
    }

    /// A LIST. Whoever asks waits for it as long as `patience` says.
    pub(super) fn read_list(
        &mut self,
        point: Point,
        name: &str,
        patience: Option<i64>,
    ) -> Result<ListAnswer, Crashed> {
        let fault = self.point(point, name)?;
        let lags = fault == Some(Fault::Lagging);
        let inventory = Inventory::new(self.cloud.list(lags, self.now));
        match fault {
            None | Some(Fault::Lagging) => Ok(Ok(Some(Arc::new(inventory)))),
            Some(Fault::CrashAfter) => Err(Crashed),
            Some(Fault::Gaps) => Ok(Ok(Some(Arc::new(inventory.with_gaps(1))))),
            Some(Fault::Slow) => match patience {
                Some(secs) => {
                    self.now = later(self.now, secs);
                    Ok(Ok(None))
                }
                None => {
                    self.now = later(self.now, 30);
                    Ok(Err(Failure::new(Class::Transient, Cause::TimedOut)))
                }
            },
            Some(fault) => Ok(Err(fault.of_swr(false).expect("an answer"))),
        }
    }

    fn show(&mut self, name: &str, id: RegistryId) -> Result<Result<Record, Failure>, Crashed> {
        match self.point(Point::Show, name)? {
            None => Ok(self.cloud.show(id, false, self.now)),
            Some(Fault::Lagging) => Ok(self.cloud.show(id, true, self.now)),
            Some(Fault::CrashAfter) => Err(Crashed),
            Some(fault) => Ok(Err(fault.of_swr(false).expect("an answer"))),
        }
    }

    /// A write to SWR, which is not sent after `not_after`.
    fn send(
        &mut self,
        point: Point,
        object: &Object,
        what: What,
        not_after: Timestamp,
    ) -> Result<Result<Option<RegistryId>, Failure>, Crashed> {
        let fault = self.point(point, &object.key.name)?;
        let has_window = self.lie != Lie::NothingToSettle;
        let is_late = has_window && self.clock() > not_after;
        if is_late && self.lie != Lie::SendsTooLate {
            return Ok(Err(Failure::new(Class::Transient, Cause::TooLate)));
        }
        if is_late {
            self.wrong.push("a write is sent after its time".to_owned());
        }
        let is_sent = fault != Some(Fault::NotConnected);
        if is_sent {
            self.judge_sending(object, &what);
        }
        let write = cloud::Write {
            uid: object.uid.clone(),
            what,
        };
        let Some(fault) = fault else {
            return Ok(self.write(&write));
        };
        if fault == Fault::CrashAfter {
            let _ = self.write(&write);
            return Err(Crashed);
        }
        if fault.carries_out() {
            let written = self.write(&write);
            if fault == Fault::WithoutId {
                return Ok(written.map(|_| None));
            }
        }
        if let Some(secs) = fault.lands_after_secs() {
            self.flights.push(Flight {
                lands_at: later(self.now, secs),
                what: Sent::Swr(write),
            });
            self.now = later(self.now, WINDOWS.write_secs);
        }
        let mut failure = fault.of_swr(true).expect("an answer");
        if self.lie == Lie::DeniesUnknown && failure.class == Class::Unknown {
            failure.class = Class::Transient;
        }
        Ok(Err(failure))
    }

    fn judge_sending(&mut self, object: &Object, what: &What) {
        let stands = self.cluster.of_uid(&object.uid);
        let is_held = stands.is_some_and(Object::has_finalizer);
        let has_intent = stands.is_some_and(|it| it.status.create_intent.is_some());
        let is_post = matches!(what, What::Post(_));
        let flies = self.flights.iter().any(|flight| match &flight.what {
            Sent::Swr(write) => write.uid == object.uid && matches!(write.what, What::Post(_)),
            Sent::Kube(_) => false,
        });
        let newest = self.sent.get(&object.uid).copied().unwrap_or_default();
        let sends_spec = !matches!(what, What::Delete { .. });
        for (is_wrong, text) in [
            (self.read_only, "S10 a process that only reads writes"),
            (stands.is_none(), "S8 a write for an object that is gone"),
            (
                stands.is_some() && !is_held,
                "S7 a write without our finalizer",
            ),
            (
                is_post && !has_intent,
                "rule 4: a POST without a recorded intent",
            ),
            (is_post && flies, "S5 a second POST while one is unresolved"),
            (
                sends_spec && object.generation < newest,
                "S6 an older spec is sent after a newer one",
            ),
        ] {
            if is_wrong {
                self.wrong.push(text.to_owned());
            }
        }
        if sends_spec {
            self.sent.insert(object.uid.clone(), object.generation);
        }
    }

    /// The end of a reconcile: the status, and when to look again.
    fn end(&mut self, name: &str, upon: Option<Version>, summary: Summary) -> Result<(), Crashed> {
        let now = self.clock();
        self.note(|| format!("  => {:?}", summary.verdict));
        self.fought |= matches!(summary.verdict, Verdict::Fighting(_));
        let had_object = summary.object.is_some();
        let mut next = requeue(&summary, &self.windows, now);
        let new = status(&summary, &self.windows, now);
        let written = match (&summary.object, &new) {
            (Some(object), Some(new)) => self.write_status(object, new)?,
            _ => Ok(()),
        };
        match written {
            Ok(()) => {}
            Err(KubeFailure::Conflict | KubeFailure::NotFound) => next = Requeue::Now,
            Err(KubeFailure::Forbidden | KubeFailure::Rejected | KubeFailure::Unavailable) => {
                next = Requeue::Backoff { min_secs: 0 };
            }
        }
        let version = summary.object.as_ref().map(|object| &object.version);
        let upon = upon.filter(|upon| version == Some(upon) && new.is_none());
        let baseline = summary.to_baseline();
        let mut memory = summary.memory;
        let lost_a_write = had_object && summary.verdict == Verdict::KubernetesUnavailable;
        if written == Err(KubeFailure::Unavailable) || lost_a_write {
            memory.unanswered_at = Some(now);
        }
        let settle = SignedDuration::from_secs(self.windows.settle_secs);
        let settled_at = memory.unanswered_at.map(|at| at.checked_add(settle));
        let again_at = settled_at.and_then(Result::ok);
        let again_at = again_at.filter(|at| *at > now && next != Requeue::Never);
        let due = self.due(name, next);
        // A change of the account ends every wait.
        let check = later(self.now, ACCOUNT_CHECK_SECS);
        let is_of_account = if let Verdict::CannotDelete(blocker)
        | Verdict::CannotUntag { blocker, .. } = &summary.verdict
        {
            matches!(blocker, Blocker::Account(_))
        } else {
            matches!(summary.verdict, Verdict::NoAccount(_))
        };
        let needs_account = is_of_account.then_some(check);
        let again_at = again_at.map(|at| self.in_truth(at));
        let Some(entry) = self.entries.get_mut(name) else {
            return Ok(());
        };
        entry.memory = memory;
        entry.baseline = baseline.filter(|_| written.is_ok());
        entry.upon = upon;
        entry.due = due.into_iter().chain(again_at).chain(needs_account).min();
        Ok(())
    }

    /// As `controller::queue` does it, without jitter.
    fn due(&mut self, name: &str, next: Requeue) -> Option<Timestamp> {
        let (now, secret) = (self.now, self.cluster.secret);
        let in_truth = |at: Timestamp, skew| at.checked_sub(skew).unwrap_or(at);
        let skew = self.skew;
        let entry = self.entries.get_mut(name)?;
        let mut fails = || {
            entry.failures = entry.failures.saturating_add(1);
            backoff_secs(entry.failures)
        };
        match next {
            Requeue::Never | Requeue::Poll | Requeue::ObjectChange => {
                entry.failures = 0;
                None
            }
            Requeue::AccountChange => {
                entry.failures = 0;
                Some(later(now, ACCOUNT_CHECK_SECS))
            }
            Requeue::SecretChange { until } => {
                entry.failures = 0;
                entry.needs_secret = Some(SecretThen(secret));
                let again = secret.map(|_| later(now, SECRET_RETRY_SECS));
                until
                    .map(|at| in_truth(at, skew))
                    .into_iter()
                    .chain(again)
                    .min()
            }
            Requeue::Now => {
                fails();
                Some(later(now, 1))
            }
            Requeue::At(at) => {
                entry.failures = 0;
                Some(in_truth(at, skew))
            }
            Requeue::SoonUntil(until) => {
                let soon = later(now, fails());
                Some(soon.min(later(in_truth(until, skew), 1)))
            }
            Requeue::Backoff { min_secs } => Some(later(now, fails().max(i64::from(min_secs)))),
            Requeue::Instance { min_secs, until } => {
                entry.needs_list = true;
                let first = later(now, list_backoff_secs(1).max(i64::from(min_secs)));
                self.list_retry.get_or_insert((first, 0));
                until.map(|at| in_truth(at, skew))
            }
        }
    }

    /// If somebody changed the object since, but not its status, the decision still stands.
    fn write_status(
        &mut self,
        decided_on: &Object,
        new: &swr_operator_api::registry::ReplicationRegistryStatus,
    ) -> Result<Result<(), KubeFailure>, Crashed> {
        let mut object = decided_on.clone();
        for _ in 0..REBASES_MAX {
            let change = Change::Status(Box::new(new.clone()));
            match self.kube_write(Point::WriteStatus, object.clone(), change)? {
                Ok(_) => return Ok(Ok(())),
                Err(KubeFailure::Conflict) => {}
                Err(failure) => return Ok(Err(failure)),
            }
            match self.read_object(Point::ReadObject, &decided_on.key.name)? {
                Ok(Some(newer)) if newer.uid == object.uid && newer.status == object.status => {
                    object = newer;
                }
                Ok(_) => return Ok(Err(KubeFailure::Conflict)),
                Err(failure) => return Ok(Err(failure)),
            }
        }
        Ok(Err(KubeFailure::Conflict))
    }
}

/// S7: when the finalizer goes, nothing of the object's may be left, or on the wire.
fn judge_release(run: &mut Run, write: &cluster::Write) {
    if !matches!(write.change, Change::RemoveFinalizer) {
        return;
    }
    let base = &write.base;
    let owner = run.owner(base);
    let keeps = run.let_go.contains(&base.uid)
        || base.deletion_policy == swr_operator_api::registry::DeletionPolicy::Orphan
        || base.mode == swr_operator_api::registry::Mode::Observe;
    let truth = run.cloud.truth(run.now);
    let is_left = truth.iter().any(|held| {
        let id = held["id"].as_i64().unwrap_or_default();
        let description = held["description"].as_str().unwrap_or_default();
        split(description).1 == Some(owner.tag()) && !run.cloud.of_console.contains(&id)
    });
    let flies = run.flights.iter().any(|flight| match &flight.what {
        Sent::Swr(it) => it.uid == base.uid && matches!(it.what, What::Post(_)),
        Sent::Kube(_) => false,
    });
    if is_left && !keeps {
        run.wrong
            .push("S7 the finalizer goes while a registry of ours is there".to_owned());
    }
    if flies && !keeps {
        run.wrong
            .push("S7 the finalizer goes while a POST may still land".to_owned());
    }
}

fn tagged(record: &Record, owner: &Owner) -> Record {
    Record {
        description: owner.describe(split(&record.description).0),
        ..record.clone()
    }
}

/// A PUT in the place of this record, right only while the registry carries the same tag, or ours by an earlier PUT of it.
fn put(record: &Record, write: &RegistryWrite, owner: &Owner, secret: u8) -> What {
    let stood = split(&record.description).1.map(str::to_owned);
    let leaves = split(&write.registry.description).1.map(str::to_owned);
    let leaves = leaves.filter(|tag| tag == owner.tag());
    let mut expects = vec![stood];
    expects.extend(leaves.map(Some));
    What::Put {
        id: record.id.0,
        body: body(&write.registry, secret),
        expects,
        repeats: write.why.only_repeats(),
    }
}
