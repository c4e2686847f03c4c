//! A server-side apply in a person's name: of our two kinds, and of what goes with them.

use kube::api::{Api, DynamicObject, Patch, PatchParams, ValidationDirective};
use kube::core::ApiResource;
use serde_json::Value;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use swr_operator_api::account::SwrAccount;
use swr_operator_api::registry::ReplicationRegistry;

use super::{Objection, PERSON, Refused, Session, objections};

/// What can be applied, in the order in which it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Applicable {
    /// A Namespace.
    Namespace,
    /// A Secret.
    Secret,
    /// A SwrAccount.
    Account,
    /// A ReplicationRegistry.
    Registry,
}

/// How it is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplyOptions {
    /// The API server only says whether it would.
    pub dry_run: bool,
    /// Fields that others manage are taken over.
    pub force_conflicts: bool,
}

/// What the API server says to an apply.
#[derive(Clone, Debug, PartialEq)]
pub enum Applied {
    /// It took it, and holds this now.
    Taken(Box<Value>),
    /// It refuses it.
    Objections(Vec<Objection>),
    /// Others manage some of the fields; in its own words, as kubectl shows them.
    Conflict(String),
}

impl Applicable {
    /// The kind of a manifest, if it can be applied.
    pub fn of(api_version: &str, kind: &str) -> Option<Self> {
        let all = [
            Applicable::Namespace,
            Applicable::Secret,
            Applicable::Account,
            Applicable::Registry,
        ];
        all.into_iter().find(|it| {
            let resource = it.resource();
            resource.kind == kind && resource.api_version == api_version
        })
    }

    /// Whether it is in a namespace.
    pub fn is_namespaced(self) -> bool {
        match self {
            Applicable::Secret | Applicable::Registry => true,
            Applicable::Namespace | Applicable::Account => false,
        }
    }

    fn resource(self) -> ApiResource {
        match self {
            Applicable::Namespace => ApiResource::erase::<Namespace>(&()),
            Applicable::Secret => ApiResource::erase::<Secret>(&()),
            Applicable::Account => ApiResource::erase::<SwrAccount>(&()),
            Applicable::Registry => ApiResource::erase::<ReplicationRegistry>(&()),
        }
    }
}

impl Session {
    /// Applies an object on the server's side, into this namespace if its kind has one.
    ///
    /// # Errors
    /// The API server did not say.
    pub async fn apply(
        &self,
        kind: Applicable,
        object: &Value,
        namespace: &str,
        options: ApplyOptions,
    ) -> Result<Applied, Refused> {
        let resource = kind.resource();
        let api: Api<DynamicObject> = match kind.is_namespaced() {
            true => Api::namespaced_with(self.client.clone(), namespace, &resource),
            false => Api::all_with(self.client.clone(), &resource),
        };
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let what = || {
            let verb = match options.dry_run {
                true => "try the apply of",
                false => "apply",
            };
            format!("{verb} {} {name}", resource.kind)
        };
        let params = PatchParams {
            dry_run: options.dry_run,
            force: options.force_conflicts,
            field_manager: Some(PERSON.to_owned()),
            field_validation: Some(ValidationDirective::Strict),
        };
        let patch = Patch::Apply(object);
        let applied = async {
            match api.patch(name, &params, &patch).await {
                Ok(taken) => {
                    let taken = serde_json::to_value(taken).map_err(kube::Error::SerdeError)?;
                    Ok(Applied::Taken(Box::new(taken)))
                }
                Err(kube::Error::Api(status)) if is_conflict_of_managers(&status) => {
                    Ok(Applied::Conflict(status.message.clone()))
                }
                // For what it cannot even read, it says 500.
                Err(kube::Error::Api(status)) if matches!(status.code, 400 | 422 | 500) => {
                    Ok(Applied::Objections(objections(&status)))
                }
                Err(error) => Err(error),
            }
        };
        self.call(what, applied).await
    }
}

fn is_conflict_of_managers(status: &kube::core::Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let reasons: Vec<&str> = causes.map(|cause| cause.reason.as_str()).collect();
    status.code == 409 && reasons.contains(&"FieldManagerConflict")
}
