//! What panics is one attempt of one object (E9): the others go on, and people are told.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use swr_operator_clock as clock;

use super::kubernetes::{CANARY, Panic};
use super::site::Site;

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
    let site = Site::start().await;
    site.kubernetes.panics_at("it", panics);
    for name in ["it", "other"] {
        site.create(name);
    }
    let soon = clock::after(Duration::from_mins(10));
    site.work(soon, |site| site.is_ready("other")).await;
    assert!(site.is_ready("other"), "the other one goes on");
    assert_eq!(held(&site), ["other"]);

    let shown = site.metrics.exposition("").expect("metrics").text;
    let counted =
        "\ncontroller_runtime_reconcile_panics_total{controller=\"replicationregistry\"} 1\n";
    assert!(shown.contains(counted), "{shown}");
    let status = site.kubernetes.object("it").expect("it is there")["status"].to_string();
    assert!(status.contains("\"reason\":\"InternalError\""), "{status}");
    // What it says is for the log of the process alone.
    assert!(!status.contains(CANARY) && !shown.contains(CANARY));
    let log = String::from_utf8(log.0.lock().expect("no panic").clone()).expect("text");
    let told = log
        .lines()
        .find(|line| line.contains("a reconcile panicked"));
    assert!(
        told.is_some_and(|line| line.contains("name=\"it\"")),
        "{log}"
    );

    let in_two_hours = clock::after(Duration::from_hours(2));
    site.work(in_two_hours, |site| site.is_ready("it")).await;
    assert!(site.is_ready("it"), "it cost one attempt");
    assert_eq!(held(&site), ["it", "other"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_attempt_of_one_object_and_is_told() {
    for panics in [Panic::Decoding, Panic::Dropping] {
        Box::pin(check(panics)).await;
    }
}
