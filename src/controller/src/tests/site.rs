//! One account with one instance, and what reconciles its objects: the real `reconcile` and `execute` and all that they
//! share, the client of SWR and its limiter included. SWR is the simulator on loopback, in the same runtime, whose paused
//! clock goes on only when nothing is under way.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use swr_operator_api::account::SwrAccount;
use swr_operator_clock as clock;
use swr_operator_core::credential::Sealer;
use swr_operator_core::reconcile::Windows;
use swr_operator_core::tag::Installation;
use swr_operator_core::time;
use swr_operator_kube::{Objects, Secrets, Standing, publisher};
use swr_operator_swr::{Endpoint, Endpoints, NodeUrl, ObserveRequests, Settings, Transport};
use swr_simulator::{Options, Server, serve};
use tokio::sync::{mpsc, watch};

use super::kubernetes::{Kubernetes, Shown};
use crate::accounts::{Accounts, Usable};
use crate::context::Context;
use crate::identity::Identity;
use crate::leadership::Fence;
use crate::metrics::Metrics;
use crate::namespaces::Namespaces;
use crate::present::Present;
use crate::secrets::SharedSecrets;

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

/// The only one.
const ACCOUNT: &str = "default";

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

/// What reconciles share, and what it stands between.
pub(super) struct Site {
    pub(super) server: Server,
    pub(super) kubernetes: Arc<Kubernetes>,
    pub(super) context: Arc<Context>,
    requests: Arc<Requests>,
    instance: String,
}

impl Site {
    pub(super) async fn new(shown: mpsc::UnboundedSender<Shown>) -> Self {
        let options = Options::default();
        let (project, keys) = (options.project.clone(), options.keys.clone());
        let instance = options.instances[0].clone();
        let server = serve(options).await.expect("a simulator");
        let requests = Arc::<Requests>::default();
        let transport = Transport::new(Settings {
            requests: Arc::clone(&requests) as Arc<dyn ObserveRequests>,
            ..Settings::default()
        });
        let endpoint = Endpoint::parse(&server.url()).expect("an endpoint");
        let (key, secret) = (&keys.access_key, &keys.secret_key);
        let kubernetes = Kubernetes::new(
            &[
                ("cloud", [("accessKey", key), ("secretKey", secret)]),
                (
                    "login",
                    [("accessKey", "robot"), ("accessSecret", "canary-outage")],
                ),
            ],
            shown,
        );
        let client = kubernetes.client();
        let leads = Standing::Leads {
            until: Timestamp::MAX,
        };
        let standing = watch::channel(leads).1;
        let metrics = Metrics::default();
        let context = Context {
            installation: Installation::from_configured("outage"),
            windows: WINDOWS,
            read_only: false,
            started_at: clock::now(),
            objects: Objects::new(client.clone(), standing.clone()),
            secrets: SharedSecrets::new(Secrets::new(client.clone())),
            // Nobody takes them.
            events: publisher(client, String::new()).0,
            sealer: Arc::new(Sealer::new(vec![7; 32])),
            accounts: Accounts::new(
                Vec::new(),
                "operator".to_owned(),
                Identity {
                    metadata_url: NodeUrl::parse(NodeUrl::METADATA).expect("a URL"),
                    oidc_token_file: PathBuf::new(),
                    pod_identity: Ok(None),
                },
                Endpoints {
                    swr: HashMap::from([(String::new(), endpoint)]),
                    ..Endpoints::default()
                },
                transport.expect("a transport"),
                WINDOWS.settle_secs,
                metrics.accounts.clone(),
            ),
            metrics,
            namespaces: Namespaces::default(),
            present: Present::default(),
            fence: Fence::new(standing),
        };
        let Context {
            secrets,
            sealer,
            namespaces,
            ..
        } = &context;
        let account = account(&project);
        let refreshed = context
            .accounts
            .refresh(&account, secrets, sealer, namespaces);
        refreshed.await;
        Site {
            server,
            kubernetes,
            context: Arc::new(context),
            requests,
            instance,
        }
    }

    /// The account.
    pub(super) fn usable(&self) -> Arc<Usable> {
        self.context
            .accounts
            .get(ACCOUNT)
            .expect("the account can be used")
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
        self.kubernetes.create(name, &spec);
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

fn account(project: &str) -> SwrAccount {
    let account = json!({
        "apiVersion": "swr.huaweicloud.com/v1alpha1",
        "kind": "SwrAccount",
        "metadata": {"name": ACCOUNT},
        "spec": {
            "region": "cn-north-4",
            "projectId": project,
            "auth": {"accessKeySecretRef": {"name": "cloud"}},
            "grants": [{"namespaces": ["*"], "instances": ["*"], "targets": {"hosts": ["*"]}}],
            "limits": {"requestsPerSecond": RATE, "burst": BURST},
        },
    });
    serde_json::from_value(account).expect("an account")
}
