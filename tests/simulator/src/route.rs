//! Method and path -> operation. Must not know the state of the cloud or who asks.

use crate::message::{Request, decode};
use crate::switches::PathSlashes;

/// A request that an API of the cloud is published for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    ListProjects,
    CreateToken,
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
            ("GET", ["v3", "projects"]) => Some(Self::ListProjects),
            ("POST", ["v3", "auth", "tokens"]) => Some(Self::CreateToken),
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
            _ => None,
        }
    }

    /// The name that Huawei's SDKs give to the operation.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::ListProjects => "KeystoneListProjects",
            Self::CreateToken => "KeystoneCreateUserTokenByPassword",
            Self::ListInstances { .. } => "ListInstance",
            Self::ShowInstance { .. } => "ShowInstance",
            Self::Statistics { .. } => "ListInstanceStatistics",
            Self::CreateRegistry { .. } => "CreateInstanceRegistry",
            Self::ListRegistries { .. } => "ListInstanceRegistries",
            Self::ShowRegistry { .. } => "ShowInstanceRegistry",
            Self::UpdateRegistry { .. } => "UpdateInstanceRegistry",
            Self::DeleteRegistry { .. } => "DeleteInstanceRegistry",
        }
    }

    /// The permission that the operation needs; IAM's own calls need none here.
    pub fn action(&self) -> Option<&'static str> {
        match self {
            Self::ListProjects | Self::CreateToken => None,
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

    /// The project of the path; IAM's calls have none.
    pub fn project(&self) -> Option<&str> {
        match self {
            Self::ListProjects | Self::CreateToken => None,
            Self::ListInstances { project }
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
            Self::ListProjects | Self::CreateToken | Self::ListInstances { .. } => None,
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
            Self::ListProjects
            | Self::CreateToken
            | Self::ListInstances { .. }
            | Self::ShowInstance { .. }
            | Self::Statistics { .. }
            | Self::ListRegistries { .. }
            | Self::ShowRegistry { .. } => false,
        }
    }
}
