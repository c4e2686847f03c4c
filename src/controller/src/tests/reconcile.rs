//! One reconcile, as `reconcile` and `execute` do it, but for what needs a client of Kubernetes.

use std::time::Duration;

use jiff::Timestamp;
use swr_operator_api::FINALIZER;
use swr_operator_api::registry::ReplicationRegistry;
use swr_operator_clock as clock;
use swr_operator_core::credential::{Credential, Sensitive};
use swr_operator_core::effect::{Effect, ListAnswer, Listing, Next, RegistryWrite};
use swr_operator_core::failure::Failure;
use swr_operator_core::object::Version;
use swr_operator_core::observed::Record;
use swr_operator_core::reconcile::{Clearance, Reconcile, Witness, Work};
use swr_operator_core::requeue::{Requeue, requeue};
use swr_operator_core::status::status;
use swr_operator_core::step;
use swr_operator_core::summary::Summary;
use swr_operator_core::tag::Owner;
use swr_operator_swr::{Audit, Body, Reservation};

use super::site::{NAMESPACE, Site, WINDOWS};
use crate::shared::Load;
use crate::snapshots::{Need, Own};
use crate::turn::{Ended, Turn};

fn credential() -> Credential {
    Credential {
        access_key: Sensitive::new("robot".to_owned()),
        access_secret: Sensitive::new("canary-outage".to_owned()),
    }
}

/// Reconciles an object whose turn it is.
pub(super) async fn reconcile(site: &Site, turn: Turn, witness: Witness) -> Ended {
    let Turn {
        key,
        uid,
        memory,
        load,
        watched,
        ..
    } = turn;
    let reconcile = Reconcile {
        owner: Owner::new(&site.installation, &uid, &key.namespace, &key.name),
        key,
        uid,
        windows: WINDOWS,
        read_only: false,
        witness,
        // What the guard holds back has its own tests.
        clearance: Clearance::Given { until: None },
        memory,
    };
    let upon = watched.as_ref().map(|it| it.object.version.clone());
    let mut executor = Executor {
        site,
        load,
        reservation: None,
    };
    let mut next = step::start(reconcile, watched.map(|watched| *watched));
    loop {
        match next {
            Next::Do(effect) => next = executor.execute(*effect).await,
            Next::Finished(summary) => return end(site, upon, *summary).await,
        }
    }
}

async fn end(site: &Site, upon: Option<Version>, summary: Summary) -> Ended {
    let now = clock::now();
    let mut next = requeue(&summary, &WINDOWS, now);
    let new = status(&summary, &WINDOWS, now);
    let written = match (&summary.object, &new) {
        (Some(object), Some(new)) => site.write_status(object, new).await.map(|_| ()),
        _ => Ok(()),
    };
    if written.is_err() {
        next = Requeue::Now;
    }
    let version = summary.object.as_ref().map(|object| &object.version);
    let upon = upon.filter(|upon| version == Some(upon) && new.is_none());
    let baseline = summary.to_baseline();
    Ended {
        requeue: next,
        again_at: None,
        baseline: baseline.filter(|_| written.is_ok()),
        memory: summary.memory,
        verdict: summary.verdict,
        upon,
        stalled: false,
    }
}

struct Executor<'a> {
    site: &'a Site,
    load: Load,
    reservation: Option<Reservation>,
}

impl Executor<'_> {
    async fn execute(&mut self, effect: Effect) -> Next {
        let site = self.site;
        match effect {
            Effect::ReadObject { then } => {
                let answer = site.read(then.key()).await;
                then.resume(answer, clock::now())
            }
            Effect::ConfirmObject { then } => {
                let answer = site.read(&then.work().object().key).await;
                then.resume(answer, clock::now())
            }
            Effect::ReadAccount { then } => then.resume(Ok(site.account.clone()), clock::now()),
            Effect::ReadSecret { then, .. } => {
                let sealed = site.sealer.seal(&then.work().object().uid, &credential());
                then.resume(Ok(sealed), clock::now())
            }
            Effect::List {
                started_after,
                then,
            } => {
                let answer = self.list(started_after, &then).await;
                then.resume(answer, clock::now())
            }
            Effect::Show { id, then } => {
                let reader = site.client.reader();
                let answer = match then.takes_page() {
                    true => {
                        let shown = &site.snapshots;
                        shown.show(&reader, &site.instance, id, self.load).await
                    }
                    false => reader.show(&site.instance, id).await,
                };
                then.resume(answer, clock::now())
            }
            Effect::FindOwner { then, .. } => then.resume(false, clock::now()),
            Effect::AddFinalizer { then } => {
                let add = |cr: &mut ReplicationRegistry| {
                    cr.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
                };
                let answer = site.write(then.work().object(), add).await;
                then.resume(answer, clock::now())
            }
            Effect::Reserve { then } => {
                let answer = self.reserve(then.creates()).await;
                then.resume(answer, clock::now())
            }
            Effect::RecordIntent { status, then } => {
                let answer = site.write_status(then.work().object(), &status).await;
                then.resume(answer, clock::now())
            }
            Effect::RecordId { status, then } => {
                let answer = site.write_status(then.work().object(), &status).await;
                then.resume(answer, clock::now())
            }
            Effect::Create {
                intent,
                write,
                then,
            } => {
                let writer = site.client.writer(intent.not_after());
                let writer = writer.with(self.reservation.take());
                let (credential, audit) = (credential(), audit(then.work(), &write));
                let body = Body {
                    registry: &write.registry,
                    credential: &credential,
                };
                let answer = writer.create(&site.instance, &body, &audit).await;
                if let Ok(Some(id)) = &answer {
                    site.snapshots.wrote(&site.instance, *id, Own::Created);
                }
                then.resume(answer, clock::now())
            }
            Effect::Update {
                target,
                write,
                then,
            } => {
                let answer = self.put(then.work(), target.record(), &write).await;
                then.resume(answer, clock::now())
            }
            Effect::Adopt {
                target,
                write,
                then,
                ..
            } => {
                let answer = self.put(then.work(), target.record(), &write).await;
                then.resume(answer, clock::now())
            }
            Effect::Untag {
                target,
                write,
                then,
            } => {
                let answer = self.put(then.work(), target.record(), &write).await;
                then.resume(answer, clock::now())
            }
            Effect::Delete { target, then, .. } => {
                let audit = Audit {
                    object: then.work().object().key.to_string(),
                    generation: then.work().object().generation,
                    reason: "ObjectDeleted".to_owned(),
                    fields: String::new(),
                };
                let writer = site.client.writer(fresh());
                let answer = writer.delete(&site.instance, target.id(), &audit).await;
                if answer.is_ok() {
                    let snapshots = &site.snapshots;
                    snapshots.wrote(&site.instance, target.id(), Own::Deleted);
                }
                then.resume(answer, clock::now())
            }
            Effect::RemoveFinalizer { then } => {
                let remove = |cr: &mut ReplicationRegistry| cr.metadata.finalizers = None;
                let answer = site.write(then.work().object(), remove).await;
                then.resume(answer.map(|_| ()), clock::now())
            }
        }
    }

    async fn list(&self, started_after: Timestamp, then: &Listing) -> ListAnswer {
        let site = self.site;
        let reader = site.client.reader();
        let need = match then.needs_whole() {
            true => Need::Whole,
            false => Need::Changes,
        };
        let read = site
            .snapshots
            .list(&reader, &site.instance, started_after, need, self.load);
        match then.patience_secs() {
            None => read.await.map(Some),
            Some(secs) => {
                let patience = Duration::from_secs(secs.unsigned_abs());
                let read = tokio::time::timeout(patience, read).await;
                read.map_or(Ok(None), |observation| observation.map(Some))
            }
        }
    }

    async fn reserve(&mut self, creates: bool) -> Result<(), Failure> {
        let site = self.site;
        if creates {
            let reader = site.client.reader();
            site.snapshots.room(&reader, &site.instance).await?;
        }
        self.reservation = Some(site.client.reserve(NAMESPACE).await?);
        Ok(())
    }

    async fn put(
        &mut self,
        work: &Work,
        before: &Record,
        write: &RegistryWrite,
    ) -> Result<(), Failure> {
        let site = self.site;
        let writer = site.client.writer(fresh()).with(self.reservation.take());
        let credential = credential();
        let body = Body {
            registry: &write.registry,
            credential: &credential,
        };
        let audit = audit(work, write);
        writer
            .update(&site.instance, before.id, &body, &audit)
            .await?;
        let own = Own::Updated(Box::new(before.clone()));
        site.snapshots.wrote(&site.instance, before.id, own);
        Ok(())
    }
}

/// Until when what was just seen may be acted upon.
fn fresh() -> Timestamp {
    clock::after(Duration::from_secs(WINDOWS.write_secs.unsigned_abs()))
}

fn audit(work: &Work, write: &RegistryWrite) -> Audit {
    Audit {
        object: work.object().key.to_string(),
        generation: work.object().generation,
        reason: write.why.to_string(),
        fields: write.changes.to_string(),
    }
}
