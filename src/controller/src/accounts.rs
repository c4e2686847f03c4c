//! SwrAccount -> a client that can be used, kept fresh: the key is read again every minute, and
//! sooner while there is none.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::metrics::Accounts as Meters;
use swr_operator_api::account::{SwrAccount, SwrAccountSpec};
use swr_operator_core::account::{AccountVerdict, InstanceUsage};
use swr_operator_core::answer::{Account, AccountProblem, Labels};
use swr_operator_core::credential::{Fingerprint, Sealer};
use swr_operator_core::desired::{ProjectId, Region};
use swr_operator_core::grant;
use swr_operator_swr::{
    Authenticator, Circuitry, Circuits, Client, Endpoints, Limiter, Limits, ObserveAccount as _,
    ProjectError, Transport, project_of,
};

use super::identity::{Identity, Other, Resolver, no_credential, of_region};
use super::namespaces::Namespaces;
use super::secrets::SharedSecrets;
use super::snapshots::Snapshots;

/// A usable account.
pub(super) struct Usable {
    pub(super) account: Account,
    pub(super) client: Client,
    pub(super) snapshots: Arc<Snapshots>,
    /// What the client was made from.
    made_from: MadeFrom,
}

#[derive(PartialEq)]
struct MadeFrom {
    spec: SwrAccountSpec,
    key: Fingerprint,
}

impl MadeFrom {
    fn is_of(&self, spec: &SwrAccountSpec) -> bool {
        self.spec == *spec
    }

    /// Whether a client that was made from this serves the other as well: it knows nothing of grants.
    fn makes_the_client_of(&self, other: &MadeFrom) -> bool {
        let spec = SwrAccountSpec {
            grants: other.spec.grants.clone(),
            ..self.spec.clone()
        };
        spec == other.spec && self.key == other.key
    }
}

impl Usable {
    /// For an account that assumes an agency with its credential.
    fn as_other(&self) -> Other {
        Other {
            authenticator: Arc::clone(self.client.authenticator()),
            fingerprint: self.made_from.key.clone(),
            assumes: self.made_from.spec.auth.agency.is_some(),
        }
    }

    /// What is known of the instances that are used.
    pub(super) fn instances(&self) -> Vec<InstanceUsage> {
        let mut usage = self.snapshots.usage();
        usage.sort_by(|one, other| one.id.cmp(&other.id));
        usage
    }
}

/// Every account that was seen.
pub(super) struct Accounts {
    /// Names of the accounts that are served; all if empty.
    pub(super) served: Vec<String>,
    pub(super) namespace: String,
    identity: Identity,
    endpoints: Endpoints,
    transport: Transport,
    settle_secs: i64,
    meters: Meters,
    /// By key, whichever accounts use it.
    circuits: Circuits,
    known: RwLock<HashMap<String, Known>>,
}

/// What is known of an account.
enum Known {
    /// It does not fit our CRD.
    NotUnderstood,
    /// It was checked, and something is wrong with it.
    NotReady,
    /// It can be used.
    Usable(Arc<Usable>),
}

impl Accounts {
    pub(super) fn new(
        served: Vec<String>,
        namespace: String,
        identity: Identity,
        endpoints: Endpoints,
        transport: Transport,
        settle_secs: i64,
        meters: Meters,
    ) -> Self {
        Accounts {
            served,
            namespace,
            identity,
            endpoints,
            transport,
            settle_secs,
            meters,
            circuits: Circuits::default(),
            known: RwLock::default(),
        }
    }

    pub(super) fn serves(&self, name: &str) -> bool {
        self.served.is_empty() || self.served.iter().any(|served| served == name)
    }

    /// The account of this name, if it can be used.
    pub(super) fn get(&self, name: &str) -> Result<Arc<Usable>, AccountProblem> {
        if !self.serves(name) {
            return Err(AccountProblem::NotServed);
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        match known.get(name) {
            None => Err(AccountProblem::NotFound),
            Some(Known::NotUnderstood) => Err(AccountProblem::NotUnderstood),
            Some(Known::NotReady) => Err(AccountProblem::NotReady),
            Some(Known::Usable(usable)) => Ok(Arc::clone(usable)),
        }
    }

    /// The account does not fit our CRD any more, so neither its key nor its grants count. Says
    /// whether that is news.
    pub(super) fn does_not_fit(&self, name: &str) -> bool {
        self.meters.meter(name).circuit_is(false);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.insert(name.to_owned(), Known::NotUnderstood);
        !matches!(before, Some(Known::NotUnderstood))
    }

    /// The account fits our CRD, and is to be checked.
    pub(super) fn fits(&self, name: &str) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known @ Known::NotUnderstood) = known.get_mut(name) {
            *known = Known::NotReady;
        }
    }

    pub(super) fn forget(&self, name: &str) {
        self.meters.forget(name);
        self.known
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(name);
    }

    /// The accounts of which SWR told something new since this was asked last.
    pub(super) fn news(&self) -> Vec<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let has_news = |known: &Known| match known {
            Known::Usable(usable) => usable.snapshots.has_news(),
            Known::NotUnderstood | Known::NotReady => false,
        };
        let news = known.iter().filter(|(_, known)| has_news(known));
        news.map(|(name, _)| name.clone()).collect()
    }

    /// Only these instances, by account, are used.
    pub(super) fn retain_instances(&self, is_used: impl Fn(&str, &str) -> bool) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        for (name, usable) in known.iter() {
            if let Known::Usable(usable) = usable {
                usable
                    .snapshots
                    .retain(|instance| is_used(name, instance.as_str()));
            }
        }
    }

    /// Checks an account: reads its key, looks its project up, makes a client if anything
    /// changed. Says what it found, and whether objects of the account should be reconciled.
    pub(super) async fn refresh(
        &self,
        cr: &SwrAccount,
        secrets: &SharedSecrets,
        sealer: &Arc<Sealer>,
        namespaces: &Namespaces,
    ) -> (AccountVerdict, bool) {
        let name = cr.metadata.name.clone().unwrap_or_default();
        let before = self.get(&name).ok();
        let prepared = match grant::needs_labels(&cr.spec.grants) && !namespaces.are_listed().await
        {
            true => Err(AccountVerdict::NamespacesUnavailable),
            false => self.prepare(cr, secrets, sealer, before.as_ref()).await,
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        // It was changed during this check, which must not bring back what it was.
        let is_outdated = matches!(known.get(&name), Some(Known::NotUnderstood));
        match prepared {
            Ok(usable) => {
                let changed = before.is_none_or(|before| !Arc::ptr_eq(&before, &usable));
                let project = usable.account.project.clone();
                let refusal = usable.client.refusal();
                let are_offered = usable.snapshots.are_offered();
                if !is_outdated {
                    known.insert(name, Known::Usable(usable));
                }
                let verdict = match refusal {
                    Some(failure) => AccountVerdict::Refused(project, failure),
                    None if !are_offered => AccountVerdict::NotOffered(project),
                    None => AccountVerdict::Usable(project),
                };
                (verdict, changed)
            }
            // The API server being slow for a moment is no reason to take a good key away, but for
            // grants that were taken back it would be kept for as long as that lasts.
            Err(verdict @ AccountVerdict::SecretUnavailable(_))
                if before.is_some_and(|before| before.made_from.is_of(&cr.spec)) =>
            {
                (verdict, false)
            }
            Err(verdict) => {
                // Without a key nothing is refused.
                self.meters.meter(&name).circuit_is(false);
                if is_outdated {
                    return (verdict, false);
                }
                let before = known.insert(name, Known::NotReady);
                (verdict, !matches!(before, Some(Known::NotReady)))
            }
        }
    }

    async fn prepare(
        &self,
        cr: &SwrAccount,
        secrets: &SharedSecrets,
        sealer: &Arc<Sealer>,
        before: Option<&Arc<Usable>>,
    ) -> Result<Arc<Usable>, AccountVerdict> {
        let resolver = Resolver {
            identity: &self.identity,
            endpoints: &self.endpoints,
            namespace: &self.namespace,
            secrets,
            sealer,
        };
        let other = |name: &str| self.get(name).ok().map(|usable| usable.as_other());
        let resolved = resolver.resolve(cr, other).await?;
        let made_from = MadeFrom {
            spec: cr.spec.clone(),
            key: resolved.fingerprint,
        };
        let serves = |before: &&Arc<Usable>| before.made_from.makes_the_client_of(&made_from);
        if let Some(before) = before.filter(serves) {
            let kept = before.client.authenticator().keep_fresh().await;
            kept.map_err(|error| no_credential(&error))?;
            if before.made_from == made_from {
                return Ok(Arc::clone(before));
            }
            // With what SWR asked of the client, and what was observed.
            return Ok(Arc::new(Usable {
                account: Account {
                    grants: cr.spec.grants.clone(),
                    ..before.account.clone()
                },
                client: before.client.clone(),
                snapshots: Arc::clone(&before.snapshots),
                made_from,
            }));
        }
        let region = Region::new(cr.spec.region.clone());
        let endpoint = of_region(self.endpoints.swr(&region))?;
        let circuits = Circuitry {
            using: self.circuits.of(&made_from.key),
            issuing: self.circuits.of(&sealer.issuing(&made_from.key)),
        };
        let authenticator = Arc::new(Authenticator::new(
            resolved.source,
            self.transport.clone(),
            circuits,
        ));
        let obtained = authenticator.keep_fresh().await;
        obtained.map_err(|error| no_credential(&error))?;
        let given = cr.spec.project_id.clone().map(ProjectId::new);
        let limits = Limits {
            requests_per_second: cr.spec.limits.requests_per_second,
            burst: cr.spec.limits.burst,
            in_flight: cr.spec.limits.in_flight,
        };
        let limiter = Limiter::of(limits, &authenticator);
        let project = match given.or_else(|| authenticator.project()) {
            Some(project) => project,
            None => {
                self.look_up_project(&region, &authenticator, &limiter)
                    .await?
            }
        };
        Ok(Arc::new(Usable {
            account: Account {
                region,
                project: project.clone(),
                grants: cr.spec.grants.clone(),
                namespace_labels: Labels::new(),
            },
            client: Client::new(
                self.transport.clone(),
                endpoint,
                project,
                authenticator,
                limiter,
                Arc::clone(sealer),
                Arc::new(
                    self.meters
                        .meter(cr.metadata.name.as_deref().unwrap_or_default()),
                ),
            ),
            snapshots: Arc::new(Snapshots::new(self.settle_secs, limits.requests_per_second)),
            made_from,
        }))
    }

    async fn look_up_project(
        &self,
        region: &Region,
        authenticator: &Authenticator,
        limiter: &Limiter,
    ) -> Result<ProjectId, AccountVerdict> {
        let iam = of_region(self.endpoints.iam(region))?;
        project_of(&self.transport, &iam, region, authenticator, limiter)
            .await
            .map_err(|error| match error {
                ProjectError::Failed(failure) => AccountVerdict::ProjectLookup(failure),
                ProjectError::None | ProjectError::Several(_) => {
                    AccountVerdict::NoProject(error.to_string())
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use swr_operator_swr::{NodeUrl, Settings, Transport};

    #[test]
    fn a_key_that_cannot_be_read_again_goes_on_only_for_the_spec_that_it_was_read_for() {
        let spec = |grants| -> SwrAccountSpec {
            serde_json::from_value(serde_json::json!({
                "region": "region-1",
                "auth": {"accessKeySecretRef": {"name": "key"}},
                "grants": grants
            }))
            .expect("spec")
        };
        let granted = serde_json::json!([{
            "namespaces": ["images"], "instances": ["*"], "targets": {"hosts": ["*"]}
        }]);
        let made_from = MadeFrom {
            spec: spec(granted.clone()),
            key: Fingerprint::from_status("f"),
        };
        let revoked = spec(serde_json::json!([]));
        assert_eq!(
            (made_from.is_of(&spec(granted)), made_from.is_of(&revoked)),
            (true, false)
        );
        let with = |spec: SwrAccountSpec, key: &str| MadeFrom {
            spec,
            key: Fingerprint::from_status(key),
        };
        let mut elsewhere = revoked.clone();
        elsewhere.region = "region-2".to_owned();
        // Whether the client goes on.
        for (made_from_next, goes_on) in [
            (with(revoked.clone(), "f"), true),
            (with(revoked, "g"), false),
            (with(elsewhere, "f"), false),
        ] {
            assert_eq!(made_from.makes_the_client_of(&made_from_next), goes_on);
        }
    }

    #[test]
    fn an_account_that_does_not_fit_is_no_account_until_it_fits_again() {
        let accounts = Accounts::new(
            Vec::new(),
            "operator".to_owned(),
            Identity {
                metadata_url: NodeUrl::parse(NodeUrl::METADATA).expect("a URL"),
                oidc_token_file: PathBuf::new(),
                pod_identity: Ok(None),
            },
            Endpoints::default(),
            Transport::new(Settings::default()).expect("transport"),
            120,
            Meters::default(),
        );
        let problem = || accounts.get("main").err();
        assert_eq!(problem(), Some(AccountProblem::NotFound));
        assert!(accounts.does_not_fit("main"));
        assert!(!accounts.does_not_fit("main"), "no news");
        assert_eq!(problem(), Some(AccountProblem::NotUnderstood));
        accounts.fits("main");
        assert_eq!(problem(), Some(AccountProblem::NotReady));
        assert!(accounts.does_not_fit("main"));
        accounts.forget("main");
        accounts.fits("main");
        assert_eq!(problem(), Some(AccountProblem::NotFound));
    }
}
