//! Which of several processes leads, by a Lease of coordination.k8s.io. `election` decides; here its requests are sent,
//! one after the other, and what may be done is told to whoever listens.
//!
//! The semantics are client-go's, with one addition: a holder knows until when it may begin writes elsewhere. A renewal
//! that was sent at t allows them until t + renew deadline, and nobody else takes over before t + lease duration.

mod election;

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use swr_operator_clock as clock;
use swr_operator_core::answer::KubeFailure;
use tokio::sync::{oneshot, watch};

use self::election::{Answer, Election, Request};
use super::{FIELD_MANAGER, call_within, present};

pub use self::election::{LEASE_DURATION_MAX, LeaseWindows, Standing};

/// A renewal that takes longer is repeated; with the defaults that leaves room for five within the renew deadline.
const DEADLINE_MAX: Duration = Duration::from_secs(5);
/// Requests in a row, so that a mistake here cannot become a flood: read, take, read again after a lost race, and one
/// to spare.
const IN_A_ROW: usize = 4;

/// Which lease, and in whose name.
#[derive(Clone, Debug)]
pub struct LeaseOptions {
    /// Namespace of the lease.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The pod, for people who read the lease.
    pub pod_name: String,
    /// Its windows.
    pub windows: LeaseWindows,
}

/// Takes part in the election for as long as it runs.
pub struct Elector {
    api: Api<Lease>,
    name: String,
    identity: String,
    deadline: Duration,
    election: Election,
    standing: watch::Sender<Standing>,
}

impl Elector {
    /// Asks nothing yet. `client` should be nobody else's, so that a renewal waits for no other request.
    pub fn new(client: Client, options: LeaseOptions) -> (Self, watch::Receiver<Standing>) {
        let (standing, listener) = watch::channel(Standing::Standby);
        let LeaseOptions {
            namespace,
            name,
            pod_name,
            windows,
        } = options;
        // The pod's name alone would be that of the container before this one, too.
        let mut id = [0; 8];
        clock::random(&mut id);
        let identity = format!("{pod_name}_{:016x}", u64::from_be_bytes(id));
        let elector = Elector {
            api: Api::namespaced(client, &namespace),
            name,
            identity: identity.clone(),
            deadline: DEADLINE_MAX.min(windows.renew_deadline / 2),
            election: Election::new(identity, windows, clock::now()),
            standing,
        };
        (elector, listener)
    }

    /// Takes the lease when it is free and renews it, until the lease is lost or `end` comes. That says whether to let
    /// go of the lease.
    pub async fn run(mut self, mut end: oneshot::Receiver<bool>) {
        tracing::info!(
            lease = self.name,
            identity = self.identity,
            "waiting for the lease"
        );
        loop {
            self.ask().await;
            if self.election.standing() == Standing::Lost {
                return;
            }
            let pause = clock::until(self.election.asks_at());
            tokio::select! {
                release = &mut end => {
                    if release.unwrap_or_default() {
                        self.release().await;
                    }
                    return;
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn ask(&mut self) {
        for _ in 0..IN_A_ROW {
            let sent_at = clock::now();
            let Some(request) = self.election.request(sent_at, clock::wall()) else {
                return;
            };
            let answer = self.send(request).await;
            self.election.answered(answer, sent_at, clock::now());
            self.tell();
        }
    }

    fn tell(&self) {
        let new = self.election.standing();
        let old = self.standing.send_replace(new);
        let lease = self.name.as_str();
        match (old, new) {
            (Standing::Standby, Standing::Leads { .. }) => {
                tracing::info!(lease, identity = self.identity, "lease acquired");
            }
            (Standing::Leads { .. }, Standing::Lost) => {
                let holder = self.election.holder();
                tracing::warn!(lease, identity = self.identity, holder, "lease lost");
            }
            (Standing::Standby | Standing::Leads { .. } | Standing::Lost, _) => {}
        }
    }

    async fn send(&self, request: Request) -> Answer {
        let (api, name) = (&self.api, self.name.as_str());
        match request {
            Request::Read => {
                let read = call_within(self.deadline, "read lease", name, api.get(name)).await;
                present(read).map_or(Answer::Failed, |lease| Answer::Read(lease.map(Box::new)))
            }
            Request::Create(spec) => {
                let lease = self.lease(*spec);
                let params = params();
                let written = api.create(&params, &lease);
                written_or(call_within(self.deadline, "create lease", name, written).await)
            }
            Request::Replace(lease) => {
                written_or(self.replace("renew lease", without_managers(*lease)).await)
            }
        }
    }

    async fn replace(&self, what: &'static str, lease: Lease) -> Result<Lease, KubeFailure> {
        let params = params();
        let written = self.api.replace(&self.name, &params, &lease);
        call_within(self.deadline, what, &self.name, written).await
    }

    fn lease(&self, spec: LeaseSpec) -> Lease {
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(spec),
        }
    }

    /// Lets another process take over at once. If that fails, it waits for the lease to expire.
    async fn release(&self) {
        let Some(lease) = self.election.released(clock::wall()) else {
            return;
        };
        let released = self.replace("release lease", without_managers(lease)).await;
        if released.is_ok() {
            tracing::info!(
                lease = self.name,
                identity = self.identity,
                "lease released"
            );
        }
    }
}

fn params() -> PostParams {
    PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    }
}

/// The API server keeps them itself.
fn without_managers(mut lease: Lease) -> Lease {
    lease.metadata.managed_fields = None;
    lease
}

fn written_or(written: Result<Lease, KubeFailure>) -> Answer {
    match written {
        Ok(lease) => Answer::Written(Box::new(lease)),
        // Deleted since, or written by another process.
        Err(KubeFailure::Conflict | KubeFailure::NotFound) => Answer::Conflict,
        Err(KubeFailure::Forbidden | KubeFailure::Rejected | KubeFailure::Unavailable) => {
            Answer::Failed
        }
    }
}
