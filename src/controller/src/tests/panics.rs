//! What panics is one attempt of one object (E9): the others go on, and people are told.

use std::io;
use std::sync::{Arc, Mutex};

use swr_operator_clock as clock;
use swr_operator_core::object::ObjectKey;
use swr_operator_core::reconcile::{Clearance, Memory, Witness};
use swr_operator_core::requeue::Requeue;
use tokio::sync::mpsc;

use super::kubernetes::{CANARY, NAMESPACE, Panic};
use super::site::Site;
use crate::metrics::Outcome;
use crate::reconcile;
use crate::shared::Load;
use crate::turn::{Ended, Turn};

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reconciles an object that the watch has not shown, so that it is read first.
async fn reconcile(site: &Site, name: &str) -> Ended {
    let turn = Turn {
        key: ObjectKey::new(NAMESPACE, name),
        uid: format!("uid-{name}"),
        memory: Memory::default(),
        scope: None,
        lane: None,
        load: Load::Light,
        may_resend: false,
        queued_at: clock::now(),
        watched: None,
    };
    let clearance = Clearance::Given { until: None };
    let (context, witness) = (Arc::clone(&site.context), Witness::default());
    Box::pin(reconcile::run(context, turn, witness, clearance)).await
}

/// Names of the registries that SWR holds, sorted.
fn held(site: &Site) -> Vec<String> {
    let held = site.truth().into_iter();
    let mut names: Vec<String> = held
        .map(|held| held["name"].as_str().unwrap_or_default().to_owned())
        .collect();
    names.sort();
    names
}

async fn check(panics: Panic) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone());
    let _logs = tracing::subscriber::set_default(subscriber.with_ansi(false).finish());
    // Else tracing lets a thread of another test say that no line is wanted.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let site = Site::new(mpsc::unbounded_channel().0).await;
    for name in ["it", "other"] {
        site.create(name);
    }

    site.kubernetes.panics_at("it", panics);
    let (it, other) = tokio::join!(reconcile(&site, "it"), reconcile(&site, "other"));
    let hourly = Requeue::Backoff { min_secs: 3_600 };
    assert_eq!((it.outcome(), it.requeue), (Outcome::Panic, hourly));
    assert_ne!(other.outcome(), Outcome::Panic);
    assert_eq!(held(&site), ["other"], "the other one goes on");

    let controller = &site.context.metrics.controller;
    controller.ended(it.outcome());
    let shown = site.context.metrics.exposition("").expect("metrics").text;
    let counted =
        "\ncontroller_runtime_reconcile_panics_total{controller=\"replicationregistry\"} 1\n";
    assert!(shown.contains(counted), "{shown}");
    let status = site.kubernetes.object("it").expect("it is there")["status"].to_string();
    assert!(status.contains("\"reason\":\"InternalError\""), "{status}");
    let log = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    let told = log
        .lines()
        .find(|line| line.contains("a reconcile panicked"));
    assert!(
        told.is_some_and(|line| line.contains("name=\"it\"")),
        "{log}"
    );
    // What it says is for the log of the process alone.
    assert!(!status.contains(CANARY) && !shown.contains(CANARY));

    let again = reconcile(&site, "it").await;
    assert_ne!(again.outcome(), Outcome::Panic);
    assert_eq!(held(&site), ["it", "other"], "it cost one attempt");
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_attempt_of_one_object_and_is_told() {
    for panics in [Panic::Decoding, Panic::Dropping] {
        Box::pin(check(panics)).await;
    }
}
