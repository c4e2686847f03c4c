//! Method and path -> operation. Must not know the state of the cloud or who asks.

use serde_json::Value;

use crate::iam::{metadata, pod_identity};
use crate::message::{Request, decode};
use crate::switches::PathSlashes;

/// A request about who somebody is: of IAM, STS, the metadata service of an ECS, or the agent of CCE Pod Identity. They
/// have endpoints of their own in the cloud and share one here, because no two paths are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    ListProjects,
    CreateToken,
    /// The same path as `CreateToken`: the method in the body decides who may ask.
    CreateAgencyToken,
    CreateKeyByAgency,
    /// The same path as `CreateKeyByAgency`, likewise.
    CreateKeyByToken,
    CreateUnscopedToken,
    AssumeAgency,
    AssumeAgencyWithOidc,
    MetadataToken,
    MetadataKey,
    PodIdentity,
}

impl Identity {
    fn from_request(method: &str, segments: &[&str], request: &Request) -> Option<Self> {
        let path = || format!("/{}", segments.join("/"));
        match (method, segments) {
            ("GET", ["v3", "projects"]) => Some(Self::ListProjects),
            ("POST", ["v3", "auth", "tokens"]) => Some(match identity_method(request).as_deref() {
                Some("assume_role") => Self::CreateAgencyToken,
                Some(_) | None => Self::CreateToken,
            }),
            ("POST", ["v3.0", "OS-CREDENTIAL", "securitytokens"]) => {
                Some(match identity_method(request).as_deref() {
                    Some("token") => Self::CreateKeyByToken,
                    Some(_) | None => Self::CreateKeyByAgency,
                })
            }
            ("POST", ["v3.0", "OS-AUTH", "id-token", "tokens"]) => Some(Self::CreateUnscopedToken),
            ("POST", ["v5", "agencies", "assume"]) => Some(Self::AssumeAgency),
            ("POST", ["v5", "agencies", "assume-with-oidc"]) => Some(Self::AssumeAgencyWithOidc),
            ("PUT", _) if path() == metadata::TOKEN_PATH => Some(Self::MetadataToken),
            ("GET", _) if path() == metadata::KEY_PATH => Some(Self::MetadataKey),
            ("POST", _) if path() == pod_identity::PATH => Some(Self::PodIdentity),
            _ => None,
        }
    }

    pub fn operation(self) -> &'static str {
        match self {
            Self::ListProjects => "KeystoneListProjects",
            Self::CreateToken | Self::CreateAgencyToken => "CreateToken",
            Self::CreateKeyByAgency => "CreateTemporaryAccessKeyByAgency",
            Self::CreateKeyByToken => "CreateTemporaryAccessKeyByToken",
            Self::CreateUnscopedToken => "CreateUnscopedTokenByIdToken",
            Self::AssumeAgency => "AssumeAgency",
            Self::AssumeAgencyWithOidc => "AssumeAgencyWithOIDC",
            Self::MetadataToken => "MetadataToken",
            Self::MetadataKey => "MetadataSecurityKey",
            Self::PodIdentity => "PodIdentityCredentials",
        }
    }

    /// Whether the caller must sign or show a token. The others bring what proves them along in another way.
    pub fn is_authenticated(self) -> bool {
        match self {
            Self::ListProjects
            | Self::CreateAgencyToken
            | Self::CreateKeyByAgency
            | Self::AssumeAgency => true,
            Self::CreateToken
            | Self::CreateKeyByToken
            | Self::CreateUnscopedToken
            | Self::AssumeAgencyWithOidc
            | Self::MetadataToken
            | Self::MetadataKey
            | Self::PodIdentity => false,
        }
    }
}

/// The first of `auth.identity.methods`.
fn identity_method(request: &Request) -> Option<String> {
    let body: Value = serde_json::from_slice(&request.body).ok()?;
    body.pointer("/auth/identity/methods/0")?
        .as_str()
        .map(str::to_owned)
}

/// A request that an API of the cloud is published for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    Identity(Identity),
    ListInstances {
        project: String,
    },
    ShowInstance {
        project: String,
        instance: String,
    },
    Statistics {
        project: String,
        instance: String,
    },
    FeatureGates {
        project: String,
    },
    CreateRegistry {
        project: String,
        instance: String,
    },
    ListRegistries {
        project: String,
        instance: String,
    },
    /// The ids below stay text: what is no number is refused by the service, not by the router.
    ShowRegistry {
        project: String,
        instance: String,
        id: String,
    },
    UpdateRegistry {
        project: String,
        instance: String,
        id: String,
    },
    DeleteRegistry {
        project: String,
        instance: String,
        id: String,
    },
}

/// The name that the journal gives to a request no API is published for.
pub const UNKNOWN_OPERATION: &str = "Unknown";

impl Call {
    /// `None`: the gateway has no such API.
    pub fn from_request(request: &Request, slashes: PathSlashes) -> Option<Self> {
        let mut segments: Vec<String> = request
            .path
            .strip_prefix('/')?
            .split('/')
            .map(decode)
            .collect();
        match slashes {
            PathSlashes::Refused => {}
            PathSlashes::Accepted => segments.retain(|segment| !segment.is_empty()),
        }
        if segments.iter().any(String::is_empty) {
            return None;
        }
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let method = request.method.as_str();
        let owned = |text: &str| text.to_owned();
        match (method, segments.as_slice()) {
            ("GET", ["v2", project, "instances"]) => Some(Self::ListInstances {
                project: owned(project),
            }),
            ("GET", ["v2", project, "instances", instance]) => Some(Self::ShowInstance {
                project: owned(project),
                instance: owned(instance),
            }),
            ("GET", ["v2", project, "instances", instance, "statistics"]) => {
                Some(Self::Statistics {
                    project: owned(project),
                    instance: owned(instance),
                })
            }
            ("GET", ["v2", project, "feature-gates"]) => Some(Self::FeatureGates {
                project: owned(project),
            }),
            (_, ["v2", project, "instances", instance, "registries"]) => {
                let (project, instance) = (owned(project), owned(instance));
                match method {
                    "GET" => Some(Self::ListRegistries { project, instance }),
                    "POST" => Some(Self::CreateRegistry { project, instance }),
                    _ => None,
                }
            }
            (_, ["v2", project, "instances", instance, "registries", id]) => {
                let (project, instance, id) = (owned(project), owned(instance), owned(id));
                match method {
                    "GET" => Some(Self::ShowRegistry {
                        project,
                        instance,
                        id,
                    }),
                    "PUT" => Some(Self::UpdateRegistry {
                        project,
                        instance,
                        id,
                    }),
                    "DELETE" => Some(Self::DeleteRegistry {
                        project,
                        instance,
                        id,
                    }),
                    _ => None,
                }
            }
            _ => Identity::from_request(method, &segments, request).map(Self::Identity),
        }
    }

    /// The name that Huawei's SDKs give to the operation, or one in their manner where they have none.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::Identity(call) => call.operation(),
            Self::ListInstances { .. } => "ListInstance",
            Self::ShowInstance { .. } => "ShowInstance",
            Self::Statistics { .. } => "ListInstanceStatistics",
            Self::FeatureGates { .. } => "ListFeatureGates",
            Self::CreateRegistry { .. } => "CreateInstanceRegistry",
            Self::ListRegistries { .. } => "ListInstanceRegistries",
            Self::ShowRegistry { .. } => "ShowInstanceRegistry",
            Self::UpdateRegistry { .. } => "UpdateInstanceRegistry",
            Self::DeleteRegistry { .. } => "DeleteInstanceRegistry",
        }
    }

    /// Whether the caller must sign or show a token.
    pub fn is_authenticated(&self) -> bool {
        match self {
            Self::Identity(call) => call.is_authenticated(),
            Self::ListInstances { .. }
            | Self::ShowInstance { .. }
            | Self::Statistics { .. }
            | Self::FeatureGates { .. }
            | Self::CreateRegistry { .. }
            | Self::ListRegistries { .. }
            | Self::ShowRegistry { .. }
            | Self::UpdateRegistry { .. }
            | Self::DeleteRegistry { .. } => true,
        }
    }

    /// The permission that the operation needs; calls about identity need none here.
    pub fn action(&self) -> Option<&'static str> {
        match self {
            // Which one the feature gates need is documented nowhere.
            Self::Identity(_) | Self::FeatureGates { .. } => None,
            Self::ListInstances { .. } => Some("swr:instance:list"),
            Self::ShowInstance { .. } => Some("swr:instance:get"),
            Self::Statistics { .. } => Some("swr:instance:listStatistics"),
            Self::CreateRegistry { .. } => Some("swr:instance:createRegistry"),
            Self::ListRegistries { .. } => Some("swr:instance:listRegistries"),
            Self::ShowRegistry { .. } => Some("swr:instance:getRegistry"),
            Self::UpdateRegistry { .. } => Some("swr:instance:updateRegistry"),
            Self::DeleteRegistry { .. } => Some("swr:instance:deleteRegistry"),
        }
    }

    /// The project of the path; calls about identity have none.
    pub fn project(&self) -> Option<&str> {
        match self {
            Self::Identity(_) => None,
            Self::ListInstances { project }
            | Self::FeatureGates { project }
            | Self::ShowInstance { project, .. }
            | Self::Statistics { project, .. }
            | Self::CreateRegistry { project, .. }
            | Self::ListRegistries { project, .. }
            | Self::ShowRegistry { project, .. }
            | Self::UpdateRegistry { project, .. }
            | Self::DeleteRegistry { project, .. } => Some(project),
        }
    }

    /// The instance of the path.
    pub fn instance(&self) -> Option<&str> {
        match self {
            Self::Identity(_) | Self::ListInstances { .. } | Self::FeatureGates { .. } => None,
            Self::ShowInstance { instance, .. }
            | Self::Statistics { instance, .. }
            | Self::CreateRegistry { instance, .. }
            | Self::ListRegistries { instance, .. }
            | Self::ShowRegistry { instance, .. }
            | Self::UpdateRegistry { instance, .. }
            | Self::DeleteRegistry { instance, .. } => Some(instance),
        }
    }

    /// Whether the operation changes a registry.
    pub fn is_write(&self) -> bool {
        match self {
            Self::CreateRegistry { .. }
            | Self::UpdateRegistry { .. }
            | Self::DeleteRegistry { .. } => true,
            Self::Identity(_)
            | Self::ListInstances { .. }
            | Self::ShowInstance { .. }
            | Self::Statistics { .. }
            | Self::FeatureGates { .. }
            | Self::ListRegistries { .. }
            | Self::ShowRegistry { .. } => false,
        }
    }
}
