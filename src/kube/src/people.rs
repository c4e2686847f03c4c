//! What a person at a terminal asks of a cluster, with the person's own rights: reads, single fields of an object, and applies. Says what went wrong
//! in the API server's own words, which the operator must not put into a status and a person needs.

mod apply;
mod events;
mod readiness;

use std::fmt;
use std::path::Path;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::config::{Kubeconfig, KubeconfigError};
use kube::core::{ApiResource, Resource as _};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::client::{config_of, harden, without_excerpt};
use super::secret::{KEY, KEY_SECRET, data};
use super::{CALL_DEADLINE, names_missing};
use swr_operator_api::account::SwrAccount;
use swr_operator_api::registry::ReplicationRegistry;
use swr_operator_core::answer::Labels;
use swr_operator_core::credential::{Sealer, SecretData};

pub use apply::{Applicable, Applied, ApplyOptions};
pub use events::Told;
pub use readiness::{Right, ServerVersion};

/// Who writes what a person asks for, for `managedFields`.
const PERSON: &str = "swr-operator-cli";

/// Objects of one page, as client-go asks for them.
const PAGE: u32 = 500;
/// 200 pages are 100,000 objects, ten times what an operator is measured with.
const PAGES_MAX: usize = 200;

/// What the API server has against an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// Path of the field; empty if it names none.
    pub field: String,
    /// Its words.
    pub message: String,
}

/// A cluster, as a person's kubeconfig leads to it.
pub struct Session {
    client: Client,
    namespace: String,
    server: String,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The kubeconfig cannot be used.
    #[error("failed to read the kubeconfig{}: {why}", of(path.as_deref()))]
    Kubeconfig {
        /// The file, if one was named.
        path: Option<String>,
        /// What is wrong.
        why: String,
    },
    /// The client cannot be made.
    #[error("failed to set up the client of the API server: {0}")]
    Client(#[source] kube::Error),
}

fn of(path: Option<&str>) -> String {
    path.map_or_else(String::new, |path| format!(" {path}"))
}

/// Why the API server did not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The person may not.
    Forbidden,
    /// The cluster does not know the kind.
    UnknownKind,
    /// No answer.
    Unreachable,
    /// It refuses for another reason.
    Other,
}

/// What was asked, and why it was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to {what}: {why}")]
pub struct Refused {
    /// What was asked.
    pub what: String,
    /// What stands in the way.
    pub refusal: Refusal,
    /// The same in words.
    pub why: String,
}

impl Session {
    /// The cluster of a context, by default the current one of the kubeconfig that is named, else of `KUBECONFIG`,
    /// else of the home directory. `None` if there is no kubeconfig.
    ///
    /// # Errors
    /// When a kubeconfig is there and cannot be used; whether the server answers is not tried here.
    pub async fn open(
        kubeconfig: Option<&Path>,
        context: Option<&str>,
    ) -> Result<Option<Session>, SessionError> {
        let failed = |error| SessionError::Kubeconfig {
            path: kubeconfig.map(|path| path.display().to_string()),
            why: without_excerpt(&error),
        };
        let found = match kubeconfig {
            Some(path) => Some(Kubeconfig::read_from(path).map_err(failed)?),
            None => at_home().map_err(failed)?,
        };
        let Some(found) = found else {
            return Ok(None);
        };
        let mut config = config_of(found, context).await.map_err(failed)?;
        harden(&mut config);
        let namespace = config.default_namespace.clone();
        let server = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(SessionError::Client)?;
        Ok(Some(Session {
            client,
            namespace,
            server,
        }))
    }

    /// The namespace of the context.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Every object of a namespace, or of all.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn registries(
        &self,
        namespace: Option<&str>,
        selector: Option<&str>,
    ) -> Result<Vec<Value>, Refused> {
        let kind = ApiResource::erase::<ReplicationRegistry>(&());
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &kind),
            None => Api::all_with(self.client.clone(), &kind),
        };
        let what = || match namespace {
            Some(namespace) => format!("list ReplicationRegistries in namespace {namespace}"),
            None => "list ReplicationRegistries".to_owned(),
        };
        let mut found = Vec::new();
        let mut params = ListParams::default().limit(PAGE);
        params.label_selector = selector.map(str::to_owned);
        for _ in 0..PAGES_MAX {
            let page = self.call(what, api.list(&params)).await?;
            for mut object in page.items {
                // Items of a list come without it.
                object.types = Some(kube::core::TypeMeta::resource::<ReplicationRegistry>());
                object.metadata.managed_fields = None;
                found.extend(serde_json::to_value(object).ok());
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => break,
            }
        }
        Ok(found)
    }

    /// One object.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn registry(&self, namespace: &str, name: &str) -> Result<Option<Value>, Refused> {
        let kind = ApiResource::erase::<ReplicationRegistry>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &kind);
        let what = || format!("read ReplicationRegistry {namespace}/{name}");
        let object = self.one(&api, name, what).await?;
        Ok(object.and_then(|object| serde_json::to_value(object).ok()))
    }

    /// Writes fields of an object's spec or annotations, and nothing else of it.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn patch(&self, namespace: &str, name: &str, fields: &Value) -> Result<(), Refused> {
        let kind = ApiResource::erase::<ReplicationRegistry>(&());
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &kind);
        let params = PatchParams {
            field_manager: Some(PERSON.to_owned()),
            ..PatchParams::default()
        };
        let what = || format!("change ReplicationRegistry {namespace}/{name}");
        let patch = Patch::Merge(fields);
        self.call(what, api.patch(name, &params, &patch)).await?;
        Ok(())
    }

    /// An account.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn account(&self, name: &str) -> Result<Option<SwrAccount>, Refused> {
        let api: Api<SwrAccount> = Api::all(self.client.clone());
        let kind = SwrAccount::kind(&());
        self.one(&api, name, || format!("read {kind} {name}")).await
    }

    /// Every account.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn accounts(&self) -> Result<Vec<SwrAccount>, Refused> {
        let api: Api<SwrAccount> = Api::all(self.client.clone());
        let what = || "list SwrAccounts".to_owned();
        let listed = self.call(what, api.list(&ListParams::default())).await?;
        Ok(listed.items)
    }

    /// A Secret.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn secret(&self, namespace: &str, name: &str) -> Result<Option<SecretData>, Refused> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let what = || format!("read Secret {namespace}/{name}");
        let secret = self.one(&api, name, what).await?;
        Ok(secret.map(data))
    }

    /// What makes fingerprints in this installation; `None` if it has no key yet.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn sealer(&self, namespace: &str) -> Result<Option<Sealer>, Refused> {
        let secret = self.secret(namespace, KEY_SECRET).await?;
        let key = secret.and_then(|mut secret| secret.data.remove(KEY));
        Ok(key
            .filter(|key| !key.is_empty())
            .map(|key| Sealer::new(key.to_vec())))
    }

    /// Uid and labels of a namespace.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn namespace_named(&self, name: &str) -> Result<Option<(String, Labels)>, Refused> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let what = || format!("read namespace {name}");
        let namespace = self.one(&api, name, what).await?;
        Ok(namespace.map(|namespace| {
            let meta = namespace.metadata;
            (
                meta.uid.unwrap_or_default(),
                meta.labels.unwrap_or_default(),
            )
        }))
    }

    async fn one<K>(
        &self,
        api: &Api<K>,
        name: &str,
        what: impl Fn() -> String,
    ) -> Result<Option<K>, Refused>
    where
        K: Clone + DeserializeOwned + fmt::Debug,
    {
        let read = async {
            match api.get(name).await {
                Ok(found) => Ok(Some(found)),
                Err(kube::Error::Api(status))
                    if status.code == 404 && names_missing(&status, name) =>
                {
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        };
        self.call(what, read).await
    }

    async fn call<T>(
        &self,
        what: impl Fn() -> String,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Refused> {
        let (refusal, why) = match tokio::time::timeout(CALL_DEADLINE, request).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => self.why(&error),
            Err(_) => (
                Refusal::Unreachable,
                format!(
                    "{} did not answer within {} s",
                    self.server,
                    CALL_DEADLINE.as_secs()
                ),
            ),
        };
        Err(Refused {
            what: what(),
            refusal,
            why,
        })
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "kube's error enum grows; what it says is shown"
    )]
    fn why(&self, error: &kube::Error) -> (Refusal, String) {
        match error {
            kube::Error::Api(status) => {
                let refusal = match status.code {
                    401 | 403 => Refusal::Forbidden,
                    404 => Refusal::UnknownKind,
                    _ => Refusal::Other,
                };
                let message = match status.message.trim() {
                    "" => format!("the API server answered {}", status.code),
                    message => message.to_owned(),
                };
                (refusal, message)
            }
            kube::Error::HyperError(_) | kube::Error::Service(_) => (
                Refusal::Unreachable,
                format!("{} does not answer ({})", self.server, root_of(error)),
            ),
            other => (Refusal::Other, root_of(other)),
        }
    }
}

/// One for each cause, else one for the whole.
fn objections(status: &kube::core::Status) -> Vec<Objection> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let found: Vec<Objection> = causes
        .map(|cause| Objection {
            field: cause.field.clone(),
            message: cause.message.clone(),
        })
        .collect();
    match found.is_empty() {
        true => vec![Objection {
            field: String::new(),
            message: status.message.clone(),
        }],
        false => found,
    }
}

/// The innermost cause: the ones around it say no more than where it was met.
fn root_of(error: &dyn std::error::Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

/// The kubeconfig of whoever is at the terminal.
fn at_home() -> Result<Option<Kubeconfig>, KubeconfigError> {
    if let Some(named) = Kubeconfig::from_env()? {
        return Ok(Some(named));
    }
    match Kubeconfig::read() {
        Ok(found) => Ok(Some(found)),
        Err(KubeconfigError::FindPath) => Ok(None),
        Err(KubeconfigError::ReadConfig(error, _))
            if error.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
