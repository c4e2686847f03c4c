//! What a preview asks, answered from manifests, cluster and SWR, each thing once: an account, a Secret, and one list
//! per instance.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde::Deserialize as _;
use swr_operator_api::account::SwrAccount;
use swr_operator_clock as clock;
use swr_operator_core::answer::{Account, AccountProblem, Labels, SecretProblem};
use swr_operator_core::credential::{Credential, Sealed, Sealer, SecretData};
use swr_operator_core::desired::{Scope, SecretRef};
use swr_operator_core::effect::SecretAnswer;
use swr_operator_core::failure::{Cause, Class, Failure as SwrFailure};
use swr_operator_core::grant;
use swr_operator_core::observed::{Inventory, Record};
use swr_operator_core::preview::{Known, Preview, World, preview};
use swr_operator_core::tag::Owners;
use swr_operator_kube::{Refusal, Refused, Session};
use zeroize::Zeroizing;

use super::report::{Planned, WINDOWS};
use super::subject::{Subject, unknown_credential};
use super::whose::Whose;
use crate::cloud::{Cloud, Reached, secret_of};
use crate::cluster::AT_ONCE;
use crate::exit::Failure;
use crate::manifest::{API_VERSION, Document, Manifests};
use crate::output::{Manners, counted};

/// A preview asks for the Secret, then for the registries, and then it is made.
const ROUNDS_MAX: usize = 3;

/// Everything that was asked so far.
pub(super) struct Answers<'a> {
    pub(super) cloud: Cloud,
    pub(super) session: Option<&'a Session>,
    /// How a refusal of the cluster is told.
    pub(super) refused: fn(Refused) -> Failure,
    pub(super) operator_namespace: &'a str,
    pub(super) sealer: &'a Sealer,
    /// Whether the sealer is that of the installation, so that its fingerprints can be compared.
    pub(super) has_key: bool,
    pub(super) manifests: &'a Manifests,
    pub(super) default_namespace: &'a str,
    pub(super) manners: &'a Manners,
    /// By name.
    pub(super) accounts: BTreeMap<String, Result<Reached, AccountProblem>>,
    /// By namespace.
    pub(super) labels: BTreeMap<String, Labels>,
    /// By namespace and name.
    pub(super) secrets: BTreeMap<(String, String), Found>,
    pub(super) inventories: BTreeMap<Scope, Result<Listed, SwrFailure>>,
    /// Tags of the objects in the cluster.
    pub(super) tags: Vec<String>,
}

/// What is known of a Secret.
pub(super) enum Found {
    /// It is there or not, and nobody here knows, for this reason.
    Unknown(String),
    /// It is not there.
    Missing,
    /// What it holds.
    Holds(SecretData),
}

/// The registries of an instance, as they are and as if SWR showed no access key, for objects whose own is not known.
pub(super) struct Listed {
    whole: Arc<Inventory>,
    without_keys: Arc<Inventory>,
    /// Of all of them, by what they name.
    owners: Owners,
}

impl Listed {
    /// As SWR shows them.
    pub(super) fn whole(&self) -> &Inventory {
        &self.whole
    }
}

/// What an object's own credential is, for a preview.
struct Own {
    answer: SecretAnswer,
    /// Whether nothing tells if it was sent, so that it is taken for granted.
    assumes_sent: bool,
    /// Why not even its access key is compared with SWR's, if it is not.
    not_compared: Option<String>,
}

impl Answers<'_> {
    /// Plans for every object.
    pub(super) async fn plan_all(
        &mut self,
        mut subjects: Vec<Subject>,
        whose: &Whose,
    ) -> Result<Vec<Planned>, Failure> {
        self.read_accounts(&subjects).await?;
        for _ in 0..ROUNDS_MAX {
            let mut secrets = BTreeSet::new();
            let mut scopes: BTreeMap<Scope, usize> = BTreeMap::new();
            for subject in &mut subjects {
                match self.preview(subject, whose).0 {
                    Preview::NeedsSecret => secrets.extend(secret_key(subject)),
                    Preview::NeedsInventory => {
                        let n = scopes.entry(subject.object.scope.clone()).or_default();
                        *n = n.saturating_add(1);
                    }
                    Preview::Writes(_) | Preview::Ends(_) => {}
                }
            }
            if secrets.is_empty() && scopes.is_empty() {
                break;
            }
            self.read_secrets(secrets).await?;
            self.list(scopes).await;
        }
        let plan = |subject: &mut Subject| {
            let (preview, not_compared) = self.preview(subject, whose);
            Planned::new(subject, preview, not_compared)
        };
        Ok(subjects.iter_mut().map(plan).collect())
    }

    /// Whether a credential was compared by its access key alone.
    pub(super) fn compares_access_keys_only(&self) -> bool {
        let mut secrets = self.secrets.values();
        !self.has_key && secrets.any(|found| matches!(found, Found::Holds(_)))
    }

    /// What a reconcile of the object comes to, as far as everything is known, and why its credential is not
    /// compared if it is not.
    fn preview(&self, subject: &mut Subject, whose: &Whose) -> (Preview, Option<String>) {
        let scope = subject.object.scope.clone();
        let listed = self.inventories.get(&scope);
        let known = listed.and_then(|it| it.as_ref().ok());
        let whole = known.map(|it| &*it.whole);
        let owner = subject.owner(&whose.ownership(subject), known.map(|it| &it.owners));
        let own = self.own(subject);
        let not_compared = own.as_ref().and_then(|own| own.not_compared.clone());
        if let Some(Ok(sealed)) = own.as_ref().map(|own| &own.answer) {
            if let Some(inventory) = whole {
                subject.assume_status(&owner, inventory, sealed);
            }
            if own.as_ref().is_some_and(|own| own.assumes_sent) {
                subject.assume_sent(sealed);
            }
        }
        let inventory = match listed {
            None => Known::NotYet,
            Some(Err(failure)) => Known::Answered(Err(failure.clone())),
            Some(Ok(listed)) => Known::Answered(Ok(match self.knows_access_key(subject) {
                true => Arc::clone(&listed.whole),
                false => Arc::clone(&listed.without_keys),
            })),
        };
        let world = World {
            object: &subject.object,
            owner: &owner,
            windows: WINDOWS,
            account: self.account(subject),
            secret: own.map_or(Known::NotYet, |own| Known::Answered(own.answer)),
            inventory,
            tags: &self.tags,
            now: clock::now(),
        };
        (preview(&world), not_compared)
    }

    fn account(&self, subject: &Subject) -> Result<Account, AccountProblem> {
        let reached = self.accounts.get(&*subject.object.scope.account);
        let reached = reached.ok_or(AccountProblem::NotFound)?;
        let account = &reached.as_ref().map_err(Clone::clone)?.account;
        let labels = self.labels.get(&*subject.object.key.namespace);
        Ok(Account {
            namespace_labels: labels.cloned().unwrap_or_default(),
            ..account.clone()
        })
    }

    fn knows_access_key(&self, subject: &Subject) -> bool {
        let found = secret_key(subject).and_then(|key| self.secrets.get(&key));
        matches!(found, Some(Found::Holds(_)))
    }

    fn own(&self, subject: &Subject) -> Option<Own> {
        let found = self.secrets.get(&secret_key(subject)?)?;
        let by = &subject.object.desired.as_ref().ok()?.secret;
        let answered = |answer| Own {
            answer,
            assumes_sent: false,
            not_compared: None,
        };
        Some(match found {
            Found::Missing => answered(Err(SecretProblem::NotFound)),
            Found::Unknown(why) => Own {
                answer: Ok(unknown_credential()),
                assumes_sent: true,
                not_compared: Some(why.clone()),
            },
            Found::Holds(secret) => match self.seal(subject, secret, by) {
                Ok(sealed) => Own {
                    assumes_sent: !self.has_key,
                    ..answered(Ok(sealed))
                },
                Err(problem) => answered(Err(problem)),
            },
        })
    }

    fn seal(
        &self,
        subject: &Subject,
        secret: &SecretData,
        by: &SecretRef,
    ) -> Result<Sealed, SecretProblem> {
        let keys = by.keys.as_ref().map(|(one, other)| (&**one, &**other));
        let credential = Credential::from_secret(secret, keys).map_err(SecretProblem::Rejected)?;
        Ok(self.sealer.seal(&subject.object.uid, &credential))
    }

    async fn read_accounts(&mut self, subjects: &[Subject]) -> Result<(), Failure> {
        let used = subjects
            .iter()
            .map(|it| it.object.scope.account.to_string());
        for name in used.collect::<BTreeSet<String>>() {
            let reached = self.reach(&name).await?;
            if let Ok(reached) = &reached
                && grant::needs_labels(&reached.account.grants)
            {
                self.read_labels(subjects).await?;
            }
            self.accounts.insert(name, reached);
        }
        Ok(())
    }

    pub(super) async fn reach(
        &self,
        name: &str,
    ) -> Result<Result<Reached, AccountProblem>, Failure> {
        let mut accounts = self.manifests.of_kind(API_VERSION, "SwrAccount");
        let of_manifests = accounts.find(|it| it.name() == name);
        let account = match (of_manifests, self.session) {
            (Some(document), _) => {
                Some(SwrAccount::deserialize(document.to_json()).map_err(Failure::new)?)
            }
            (None, Some(session)) => session.account(name).await.map_err(self.refused)?,
            (None, None) => return Ok(Ok(self.cloud.of_environment().await?)),
        };
        let Some(account) = account else {
            return Ok(Err(AccountProblem::NotFound));
        };
        let secret = match secret_of(&account) {
            Some(by) => self.find(self.operator_namespace, by).await?,
            None => Found::Missing,
        };
        let secret = match secret {
            Found::Holds(secret) => Some(secret),
            Found::Missing | Found::Unknown(_) => None,
        };
        Ok(Ok(self.cloud.of_account(&account, secret).await?))
    }

    async fn read_labels(&mut self, subjects: &[Subject]) -> Result<(), Failure> {
        let Some(session) = self.session else {
            return Ok(());
        };
        let namespaces = subjects
            .iter()
            .map(|it| it.object.key.namespace.to_string());
        let mut namespaces: BTreeSet<String> = namespaces.collect();
        namespaces.retain(|namespace| !self.labels.contains_key(namespace));
        for namespace in namespaces {
            let found = session
                .namespace_named(&namespace)
                .await
                .map_err(self.refused)?;
            let labels = found.map(|(_, labels)| labels).unwrap_or_default();
            self.labels.insert(namespace, labels);
        }
        Ok(())
    }

    async fn read_secrets(&mut self, keys: BTreeSet<(String, String)>) -> Result<(), Failure> {
        if keys.is_empty() {
            return Ok(());
        }
        let text = format!("reading {}", counted(keys.len(), "Secret"));
        // Those of manifests are at hand.
        let progress = (self.session).map(|_| self.manners.begin(&text, keys.len()));
        let progress = progress.as_ref();
        let this = &*self;
        let reads = keys.into_iter().map(|key| async move {
            let found = this.find(&key.0, &key.1).await?;
            if let Some(progress) = progress {
                progress.one_is_done();
            }
            Ok::<_, Failure>((key, found))
        });
        let read: Vec<_> = stream::iter(reads)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        for found in read {
            let (key, found) = found?;
            self.secrets.insert(key, found);
        }
        Ok(())
    }

    /// A Secret of the manifests, else of the cluster.
    async fn find(&self, namespace: &str, name: &str) -> Result<Found, Failure> {
        let is_it = |document: &&Document| {
            let its = document.namespace().unwrap_or(self.default_namespace);
            document.name() == name && its == namespace
        };
        if let Some(document) = self.manifests.of_kind("v1", "Secret").find(is_it) {
            let secret = Secret::deserialize(document.to_json());
            // Without the parser's words, which may be of the value.
            let secret = secret.map_err(|_| {
                Failure::new(format!("{}: Secret {name} is not one", document.file))
                    .hint("values of data are base64, those of stringData are plain text")
            })?;
            return Ok(Found::Holds(data(secret)));
        }
        let Some(session) = self.session else {
            let why = format!("Secret {name} is not among the manifests");
            return Ok(Found::Unknown(why));
        };
        match session.secret(namespace, name).await {
            Ok(Some(secret)) => Ok(Found::Holds(secret)),
            Ok(None) => Ok(Found::Missing),
            Err(error) if error.refusal == Refusal::Forbidden => {
                Ok(Found::Unknown(format!("you may not read Secret {name}")))
            }
            Err(error) => Err((self.refused)(error)),
        }
    }

    /// One list per instance, all at once. With how many registries to expect in each: an operator's instance holds
    /// about as many as there are objects for it.
    pub(super) async fn list(&mut self, scopes: BTreeMap<Scope, usize>) {
        if scopes.is_empty() {
            return;
        }
        let n = counted(scopes.len(), "instance");
        let text = format!("listing the registries of {n}");
        let progress = &self.manners.begin(&text, scopes.len());
        let this = &*self;
        let lists = scopes.into_iter().map(|(scope, n)| async move {
            let listed = match this.accounts.get(&*scope.account) {
                Some(Ok(reached)) => reached.reader.list_expecting(&scope.instance, n).await,
                Some(Err(_)) | None => Err(SwrFailure::new(Class::Transient, Cause::Unreachable)),
            };
            let listed = listed.map(|inventory| Listed {
                without_keys: Arc::new(without_keys(&inventory)),
                owners: Owners::of(inventory.tags().map(|(tag, _)| tag)),
                whole: Arc::new(inventory),
            });
            progress.one_is_done();
            (scope, listed)
        });
        let listed = join_all(lists).await;
        self.inventories.extend(listed);
    }
}

fn secret_key(subject: &Subject) -> Option<(String, String)> {
    let desired = subject.object.desired.as_ref().ok()?;
    Some((
        subject.object.key.namespace.to_string(),
        desired.secret.name.to_string(),
    ))
}

fn without_keys(inventory: &Inventory) -> Inventory {
    let records = inventory.records().map(|record| Record {
        access_key: None,
        ..record.clone()
    });
    let gaps = usize::from(!inventory.is_whole());
    Inventory::new(records.collect::<Vec<_>>()).with_gaps(gaps)
}

/// What a Secret of a manifest will hold; `stringData` wins, as in the API server.
fn data(secret: Secret) -> SecretData {
    let plain = secret.string_data.unwrap_or_default().into_iter();
    let plain = plain.map(|(key, value)| (key, value.into_bytes()));
    let encoded = secret.data.unwrap_or_default().into_iter();
    let encoded = encoded.map(|(key, ByteString(value))| (key, value));
    SecretData {
        type_: secret.type_.unwrap_or_else(|| "Opaque".to_owned()),
        data: encoded
            .chain(plain)
            .map(|(key, value)| (key, Zeroizing::new(value)))
            .collect(),
    }
}
