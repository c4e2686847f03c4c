//! One account with one instance, and the whole controller that serves it, as it ships. SWR is the simulator on loopback, in
//! the same runtime, whose paused clock goes on only when nothing is under way.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use swr_operator_clock as clock;
use swr_operator_core::reconcile::Windows;
use swr_operator_core::time;
use swr_operator_kube::Connection;
use swr_operator_swr::{Endpoint, Endpoints, NodeUrl, ObserveRequests, Settings, Transport};
use swr_simulator::{Options as SwrOptions, Server, serve};
use tokio::sync::watch;

use super::kubernetes::{Kubernetes, NAMESPACE};
use crate::identity::Identity;
use crate::metrics::Metrics;
use crate::start::{Options, WatchSecrets, start};

pub(super) const WINDOWS: Windows = Windows {
    settle_secs: 120,
    write_secs: 20,
    grace_secs: 300,
    poll_secs: 600,
    orphan_secs: 600,
};
/// As by default.
pub(super) const RATE: f64 = 10.0;
pub(super) const BURST: u32 = 20;

/// A request that was sent to SWR.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) at: Timestamp,
    pub(super) operation: &'static str,
    pub(super) went_well: bool,
}

/// Notes every request.
#[derive(Default)]
struct Requests(Mutex<Vec<Sent>>);

impl ObserveRequests for Requests {
    fn ended(&self, operation: &'static str, status: Option<u16>, _: Option<&str>, took: Duration) {
        let at = time::after_span(
            clock::now(),
            -jiff::SignedDuration::try_from(took).expect("short"),
        );
        let went_well = status.is_some_and(|status| status < 300);
        self.0.lock().expect("no panic").push(Sent {
            at,
            operation,
            went_well,
        });
    }
}

/// The controller and what it stands between.
pub(super) struct Site {
    pub(super) server: Server,
    pub(super) kubernetes: Arc<Kubernetes>,
    pub(super) metrics: Metrics,
    requests: Arc<Requests>,
    instance: String,
    /// Dropping it ends the controller.
    _stop: watch::Sender<bool>,
}

/// Between two looks at whether it is done.
const LOOK: Duration = Duration::from_millis(250);

impl Site {
    pub(super) async fn start() -> Self {
        let swr = SwrOptions::default();
        let (project, keys) = (swr.project.clone(), swr.keys.clone());
        let instance = swr.instances[0].clone();
        let server = serve(swr).await.expect("a simulator");
        let requests = Arc::<Requests>::default();
        let transport = Transport::new(Settings {
            requests: Arc::clone(&requests) as Arc<dyn ObserveRequests>,
            ..Settings::default()
        });
        let endpoint = Endpoint::parse(&server.url()).expect("an endpoint");
        let kubernetes = Kubernetes::new(&[
            (
                "swr-operator-key",
                &[("key", "a key of thirty-two bytes or more")],
            ),
            (
                "cloud",
                &[
                    ("accessKey", &keys.access_key),
                    ("secretKey", &keys.secret_key),
                ],
            ),
            (
                "login",
                &[("accessKey", "robot"), ("accessSecret", "canary-outage")],
            ),
        ]);
        kubernetes.create_account(
            "default",
            &json!({
                "region": "cn-north-4",
                "projectId": project,
                "auth": {"accessKeySecretRef": {"name": "cloud"}},
                "grants": [{"namespaces": ["*"], "instances": ["*"], "targets": {"hosts": ["*"]}}],
                "limits": {"requestsPerSecond": RATE, "burst": BURST},
            }),
        );
        let metrics = Metrics::default();
        let client = kubernetes.client();
        let options = Options {
            connection: Connection {
                unary: client.clone(),
                watch: client.clone(),
                lease: client,
            },
            namespace: "operator".to_owned(),
            watch_namespaces: vec![NAMESPACE.to_owned()],
            watch_secrets: WatchSecrets::Off,
            accounts: Vec::new(),
            installation_id: Some("outage".to_owned()),
            endpoints: Endpoints {
                swr: HashMap::from([(String::new(), endpoint)]),
                ..Endpoints::default()
            },
            identity: Identity {
                metadata_url: NodeUrl::parse(NodeUrl::METADATA).expect("a URL"),
                oidc_token_file: PathBuf::new(),
                pod_identity: Ok(None),
            },
            transport: transport.expect("a transport"),
            windows: WINDOWS,
            read_only: false,
            // What the guard holds back has its own tests.
            deletion_hold: None,
            secret_retry: Duration::from_secs(10),
            drift_secs: Some(30),
            lease: None,
            pod_name: "pod".to_owned(),
            metrics: metrics.clone(),
        };
        let (stop, mut shutdown) = watch::channel(false);
        let running = Box::pin(start(options, Arc::default(), &mut shutdown)).await;
        let running = running.expect("all that it needs is there");
        tokio::spawn(Box::pin(running.run(shutdown)));
        Site {
            server,
            kubernetes,
            metrics,
            requests,
            instance,
            _stop: stop,
        }
    }

    /// Lets the controller work until this time, or until `is_done`.
    pub(super) async fn work(&self, until: Timestamp, is_done: impl Fn(&Site) -> bool) {
        while clock::now() < until && !is_done(self) {
            tokio::time::sleep(clock::until(until).min(LOOK)).await;
        }
    }

    /// Every request since a time.
    pub(super) fn sent_since(&self, at: Timestamp) -> Vec<Sent> {
        let sent = self.requests.0.lock().expect("no panic");
        sent.iter().filter(|sent| sent.at >= at).copied().collect()
    }

    pub(super) fn instance_id(&self) -> &str {
        &self.instance
    }

    /// What SWR holds.
    pub(super) fn truth(&self) -> Vec<serde_json::Value> {
        let truth = |simulator: &mut swr_simulator::Simulator, now| {
            simulator.world.truth(self.instance_id(), now)
        };
        self.server.with(truth).expect("the instance is there")
    }

    /// Somebody creates an object.
    pub(super) fn create(&self, name: &str) {
        let spec = json!({
            "instanceId": self.instance_id(), "type": "swr-pro",
            "url": format!("https://{name}.example.com"), "insecure": false,
            "description": "first", "credentialSecretRef": {"name": "login"},
        });
        self.kubernetes.create_object(name, &spec);
    }

    pub(super) fn describe(&self, name: &str, description: &str) {
        let patch = json!({"spec": {"description": description}});
        self.kubernetes.edit(name, patch);
    }

    pub(super) fn delete(&self, name: &str) {
        let at = clock::now().to_string();
        let patch = json!({"metadata": {"deletionTimestamp": at}});
        self.kubernetes.edit(name, patch);
    }

    /// Whether the status says that the newest spec is what SWR holds.
    pub(super) fn is_ready(&self, name: &str) -> bool {
        self.kubernetes.object(name).is_some_and(|object| {
            let status = &object["status"];
            let ready = status["conditions"].as_array().into_iter().flatten();
            let mut ready = ready.filter(|it| it["type"] == "Ready" && it["status"] == "True");
            status["observedGeneration"] == object["metadata"]["generation"]
                && ready.next().is_some()
        })
    }
}
