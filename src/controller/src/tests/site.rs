//! One account with one instance, and what of the operator stands between the objects and SWR: the real queue, schedule,
//! observations, client, limiter, step, status and requeue. SWR is the simulator on loopback, in the same runtime, whose
//! paused clock goes on only when nothing is under way.
//!
//! What is not here is what holds a client of Kubernetes: `run`, `reconcile` and `execute`. Their order of events is kept
//! in short; objects are read and written at once, each write bound to a version.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use swr_operator_api::account::{Grant, Targets};
use swr_operator_api::registry::{ReplicationRegistry, ReplicationRegistryStatus};
use swr_operator_clock as clock;
use swr_operator_core::answer::{Account, KubeFailure, Labels};
use swr_operator_core::credential::{Sealer, Sensitive};
use swr_operator_core::desired::{InstanceId, ProjectId, Region};
use swr_operator_core::object::{Object, ObjectKey};
use swr_operator_core::reconcile::Windows;
use swr_operator_core::tag::Installation;
use swr_operator_core::time;
use swr_operator_swr::{
    AccessKey, Authentication, Authenticator, Circuitry, Client, Endpoint, Limiter, Limits,
    ObserveRequests, Settings, Source, Transport, Unobserved,
};
use swr_simulator::{Options, Server, serve};
use tokio::sync::mpsc;

use crate::snapshots::Snapshots;

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
/// A request to Kubernetes.
const KUBE_TAKES: Duration = Duration::from_millis(5);

pub(super) const NAMESPACE: &str = "images";

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

/// What reconciles share.
pub(super) struct Site {
    pub(super) server: Server,
    requests: Arc<Requests>,
    pub(super) client: Client,
    pub(super) snapshots: Snapshots,
    pub(super) sealer: Arc<Sealer>,
    pub(super) installation: Installation,
    pub(super) instance: InstanceId,
    pub(super) account: Account,
    objects: Mutex<Objects>,
    shown: mpsc::UnboundedSender<Shown>,
}

/// What the watch shows.
pub(super) enum Shown {
    Applied(Box<ReplicationRegistry>),
    Deleted(ObjectKey, String),
}

#[derive(Default)]
struct Objects {
    all: BTreeMap<String, ReplicationRegistry>,
    versions: u64,
}

impl Site {
    pub(super) async fn new(shown: mpsc::UnboundedSender<Shown>) -> Self {
        let options = Options::default();
        let (project, keys) = (options.project.clone(), options.keys.clone());
        let instance = InstanceId::new(options.instances[0].clone());
        let server = serve(options).await.expect("a simulator");
        let requests = Arc::<Requests>::default();
        let settings = Settings {
            requests: Arc::clone(&requests) as Arc<dyn ObserveRequests>,
            ..Settings::default()
        };
        let transport = Transport::new(settings).expect("a transport");
        let key = AccessKey {
            access_key: keys.access_key,
            secret_key: Sensitive::new(keys.secret_key),
            security_token: None,
        };
        let authenticator = Arc::new(Authenticator::new(
            Source::Given(Arc::new(Authentication::AccessKey(key))),
            transport.clone(),
            Circuitry {
                using: Arc::default(),
                issuing: Arc::default(),
            },
        ));
        let limits = Limits {
            requests_per_second: RATE,
            burst: BURST,
            ..Limits::default()
        };
        let limiter = Limiter::of(limits, &authenticator);
        let sealer = Arc::new(Sealer::new(vec![7; 32]));
        let project = ProjectId::new(project);
        let all = || vec!["*".to_owned()];
        Site {
            client: Client::new(
                transport,
                Endpoint::parse(&server.url()).expect("an endpoint"),
                project.clone(),
                authenticator,
                limiter,
                Arc::clone(&sealer),
                Arc::new(Unobserved),
            ),
            server,
            requests,
            snapshots: Snapshots::new(WINDOWS.settle_secs, RATE),
            sealer,
            installation: Installation::from_configured("outage"),
            account: Account {
                region: Region::new("cn-north-4"),
                project,
                grants: vec![Grant {
                    namespaces: all(),
                    namespace_selector: None,
                    instances: all(),
                    targets: Targets {
                        hosts: all(),
                        ..Targets::default()
                    },
                }],
                namespace_labels: Labels::new(),
            },
            instance,
            objects: Mutex::default(),
            shown,
        }
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every request since a time.
    pub(super) fn sent_since(&self, at: Timestamp) -> Vec<Sent> {
        let sent = self.requests.0.lock().expect("no panic");
        sent.iter().filter(|sent| sent.at >= at).copied().collect()
    }

    pub(super) fn instance_id(&self) -> &str {
        self.instance.as_str()
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
        let cr = json!({
            "apiVersion": "swr.huaweicloud.com/v1alpha1",
            "kind": "ReplicationRegistry",
            "metadata": {
                "namespace": NAMESPACE, "name": name, "uid": format!("uid-{name}"), "generation": 1,
            },
            "spec": {
                "instanceId": self.instance_id(), "type": "swr-pro",
                "url": format!("https://{name}.example.com"), "insecure": false,
                "description": "first", "credentialSecretRef": {"name": "login"},
            },
        });
        let cr = serde_json::from_value(cr).expect("an object");
        self.objects().all.insert(name.to_owned(), cr);
        self.change(name, |_| {});
    }

    pub(super) fn describe(&self, name: &str, description: &str) {
        self.change(name, |cr| {
            cr.spec.description = Some(description.to_owned());
            cr.metadata.generation = cr.metadata.generation.map(|it| it + 1);
        });
    }

    pub(super) fn delete(&self, name: &str) {
        self.change(name, |cr| {
            let at = json!(clock::now().to_string());
            cr.metadata.deletion_timestamp = serde_json::from_value(at).expect("a time");
            cr.metadata.generation = cr.metadata.generation.map(|it| it + 1);
        });
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.objects().all.keys().cloned().collect()
    }

    /// Whether the status says that the newest spec is what SWR holds.
    pub(super) fn is_ready(&self, name: &str) -> bool {
        let objects = self.objects();
        let Some(cr) = objects.all.get(name) else {
            return false;
        };
        let status = cr.status.as_ref();
        status.is_some_and(|status| {
            let ready = status.conditions.iter().find(|it| it.type_ == "Ready");
            Some(status.observed_generation) == cr.metadata.generation
                && ready.is_some_and(|ready| ready.status.as_str() == "True")
        })
    }

    /// Changes an object; it goes when nothing holds it.
    fn change(&self, name: &str, change: impl FnOnce(&mut ReplicationRegistry)) {
        let mut objects = self.objects();
        objects.versions += 1;
        let version = objects.versions.to_string();
        let cr = objects.all.get_mut(name).expect("an object");
        change(cr);
        cr.metadata.resource_version = Some(version);
        let (cr, key) = (Box::new(cr.clone()), self.key(name));
        let finalizers = cr.metadata.finalizers.as_deref().unwrap_or_default();
        let shown = if cr.metadata.deletion_timestamp.is_some() && finalizers.is_empty() {
            objects.all.remove(name);
            Shown::Deleted(key, cr.metadata.uid.unwrap_or_default())
        } else {
            Shown::Applied(cr)
        };
        drop(objects);
        // Nobody looks any more when the test ends.
        let _ = self.shown.send(shown);
    }

    #[expect(clippy::unused_self, reason = "reads like its neighbours")]
    fn key(&self, name: &str) -> ObjectKey {
        ObjectKey::new(NAMESPACE, name)
    }

    pub(super) async fn read(&self, key: &ObjectKey) -> Result<Option<Object>, KubeFailure> {
        tokio::time::sleep(KUBE_TAKES).await;
        Ok(self.objects().all.get(&*key.name).and_then(Object::from_cr))
    }

    /// A write that is bound to the version that was decided upon.
    pub(super) async fn write(
        &self,
        decided_on: &Object,
        change: impl FnOnce(&mut ReplicationRegistry),
    ) -> Result<Object, KubeFailure> {
        tokio::time::sleep(KUBE_TAKES).await;
        let name = &decided_on.key.name;
        let stands = self.objects().all.get(&**name).and_then(Object::from_cr);
        let stands = stands.ok_or(KubeFailure::NotFound)?;
        if stands.version != decided_on.version {
            return Err(KubeFailure::Conflict);
        }
        let mut written = None;
        self.change(name, |cr| {
            change(cr);
            written = Some(cr.clone());
        });
        let object = written.and_then(|mut cr| {
            cr.metadata.resource_version = Some(self.objects().versions.to_string());
            Object::from_cr(&cr)
        });
        object.ok_or(KubeFailure::NotFound)
    }

    pub(super) async fn write_status(
        &self,
        decided_on: &Object,
        status: &ReplicationRegistryStatus,
    ) -> Result<Object, KubeFailure> {
        let status = status.clone();
        self.write(decided_on, |cr| cr.status = Some(status)).await
    }
}
