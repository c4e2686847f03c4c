//! What a cluster is and what somebody may do in it, as the API server says.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, PostParams};

use super::{Refused, Session};

/// The version of an API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerVersion {
    /// As it writes it, such as `v1.36.3`.
    pub text: String,
    /// The minor version of 1; `None` if it cannot be read.
    pub minor: Option<u32>,
}

/// One thing that somebody may do or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right<'a> {
    /// API group; empty for the core.
    pub group: &'a str,
    /// Resource, in the plural.
    pub resource: &'a str,
    /// Subresource, if it is about one.
    pub subresource: Option<&'a str>,
    /// Verb.
    pub verb: &'a str,
    /// Namespace; `None` for all, and for what is in none.
    pub namespace: Option<&'a str>,
    /// Name, if it is about one object.
    pub name: Option<&'a str>,
}

impl Session {
    /// The version of the API server.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn server_version(&self) -> Result<ServerVersion, Refused> {
        let what = || "ask the API server for its version".to_owned();
        let info = self.call(what, self.client.apiserver_version()).await?;
        // Some distributions write `31+`.
        let minor = info.minor.trim_end_matches(|c: char| !c.is_ascii_digit());
        Ok(ServerVersion {
            minor: minor.parse().ok().filter(|_| info.major == "1"),
            text: info.git_version,
        })
    }

    /// The address of the API server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// A CustomResourceDefinition.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn definition(
        &self,
        name: &str,
    ) -> Result<Option<CustomResourceDefinition>, Refused> {
        let api: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        let what = || format!("read CustomResourceDefinition {name}");
        self.one(&api, name, what).await
    }

    /// Whether this person may, or, if one is named, this user.
    ///
    /// # Errors
    /// What the API server says.
    pub async fn may(&self, user: Option<&str>, right: Right<'_>) -> Result<bool, Refused> {
        let text = |text: &str| Some(text.to_owned());
        let attributes = ResourceAttributes {
            group: text(right.group),
            resource: text(right.resource),
            subresource: right.subresource.and_then(text),
            verb: text(right.verb),
            namespace: right.namespace.and_then(text),
            name: right.name.and_then(text),
            ..ResourceAttributes::default()
        };
        let params = PostParams::default();
        let status = match user {
            None => {
                let api: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
                let review = SelfSubjectAccessReview {
                    spec: SelfSubjectAccessReviewSpec {
                        resource_attributes: Some(attributes),
                        ..SelfSubjectAccessReviewSpec::default()
                    },
                    ..SelfSubjectAccessReview::default()
                };
                let what = || "ask what you may do".to_owned();
                self.call(what, api.create(&params, &review)).await?.status
            }
            Some(user) => {
                let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
                let review = SubjectAccessReview {
                    spec: SubjectAccessReviewSpec {
                        user: text(user),
                        groups: Some(groups_of(user)),
                        resource_attributes: Some(attributes),
                        ..SubjectAccessReviewSpec::default()
                    },
                    ..SubjectAccessReview::default()
                };
                let what = || format!("ask what {user} may do");
                self.call(what, api.create(&params, &review)).await?.status
            }
        };
        Ok(status.is_some_and(|status| status.allowed))
    }
}

/// A ServiceAccount has these groups; the API server adds none for a user that it is only asked about.
fn groups_of(user: &str) -> Vec<String> {
    let namespace = user
        .strip_prefix("system:serviceaccount:")
        .and_then(|rest| rest.split(':').next());
    let mut groups = vec!["system:authenticated".to_owned()];
    if let Some(namespace) = namespace {
        groups.push("system:serviceaccounts".to_owned());
        groups.push(format!("system:serviceaccounts:{namespace}"));
    }
    groups
}
