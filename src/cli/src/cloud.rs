//! Where SWR is and with which key it is read: flags and environment, or a SwrAccount and its Secret -> a client.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use swr_operator_api::account::{AuthSource, SwrAccount, SwrAccountSpec};
use swr_operator_clock as clock;
use swr_operator_core::answer::{Account, Labels};
use swr_operator_core::credential::{self, Rejected, Sealer, SecretData};
use swr_operator_core::desired::{InstanceId, ProjectId, Region};
use swr_operator_core::failure::{Cause, Failure as SwrFailure};
use swr_operator_kube::Session;
use swr_operator_swr::{
    AccessKey, Authentication, Authenticator, Circuitry, Client, Endpoint, Endpoints, Limiter,
    Limits, Login, Proxy, Reader, Scope, Settings, Source, Transport, Unobserved, project_of,
};

use crate::cluster::refused;
use crate::environment::{self, KEY_HINT, PROJECT_ID, REGION};
use crate::exit::Failure;

/// Where SWR is.
#[derive(Args)]
pub(crate) struct CloudArgs {
    /// Region, where there is no SwrAccount. Default: HUAWEICLOUD_SDK_REGION or HW_REGION_NAME.
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,

    /// Project, where no SwrAccount names one. Default: HUAWEICLOUD_SDK_PROJECT_ID or HW_PROJECT_ID, else
    /// it is looked up by the region's name.
    #[arg(long, value_name = "ID")]
    pub(crate) project_id: Option<String>,

    /// Endpoint of SWR for a region, or for all if no region is given. Default: derived from the region.
    #[arg(long = "swr-endpoint", env = "SWR_OPERATOR_SWR_ENDPOINTS", value_delimiter = ',', value_name = "[REGION=]URL", value_parser = regional)]
    swr_endpoints: Vec<(String, Endpoint)>,

    /// Endpoint of IAM, as for SWR.
    #[arg(long = "iam-endpoint", env = "SWR_OPERATOR_IAM_ENDPOINTS", value_delimiter = ',', value_name = "[REGION=]URL", value_parser = regional)]
    iam_endpoints: Vec<(String, Endpoint)>,

    /// PEM certificates that are trusted for SWR and IAM besides the platform's.
    #[arg(long, env = "SWR_OPERATOR_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// HTTP proxy for SWR and IAM.
    #[arg(
        long,
        env = "SWR_OPERATOR_PROXY",
        value_name = "URL",
        hide_env_values = true
    )]
    proxy: Option<String>,

    /// Hosts that are reached without the proxy, separated by commas.
    #[arg(
        long,
        env = "SWR_OPERATOR_NO_PROXY",
        value_name = "HOSTS",
        requires = "proxy"
    )]
    no_proxy: Option<String>,
}

/// Without the proxy, which may hold a password.
impl std::fmt::Debug for CloudArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CloudArgs")
            .field("region", &self.region)
            .field("project_id", &self.project_id)
            .finish_non_exhaustive()
    }
}

/// For where nothing is compared with fingerprints of another process, so that any key will do.
pub(crate) fn any_sealer() -> Sealer {
    let mut key = vec![0; 32];
    clock::random(&mut key);
    Sealer::new(key)
}

fn regional(text: &str) -> Result<(String, Endpoint), String> {
    Endpoint::regional(text).map_err(|refused| refused.to_string())
}

/// The cloud, as every account is reached.
pub(crate) struct Cloud {
    transport: Transport,
    endpoints: Endpoints,
    region: Option<String>,
    project_id: Option<String>,
    /// Makes fingerprints of what SWR shows.
    sealer: Arc<Sealer>,
}

/// An account that can be read.
pub(crate) struct Reached {
    pub(crate) account: Account,
    pub(crate) reader: Reader,
    /// For who was told by a person to write; everybody else uses the reader.
    pub(crate) client: Client,
}

impl CloudArgs {
    /// The cloud that these lead to.
    pub(crate) fn cloud(&self, sealer: Arc<Sealer>) -> Result<Cloud, Failure> {
        let ca_bundle = self.ca_file.as_ref().map(|path| {
            std::fs::read(path).map_err(|error| {
                Failure::new(format!(
                    "failed to read --ca-file {}: {error}",
                    path.display()
                ))
            })
        });
        let settings = Settings {
            ca_bundle: ca_bundle.transpose()?,
            proxy: self.proxy.clone().map(|url| Proxy {
                url,
                no_proxy: self.no_proxy.clone(),
            }),
            ..Settings::default()
        };
        Ok(Cloud {
            transport: Transport::new(settings).map_err(Failure::new)?,
            endpoints: Endpoints {
                swr: self.swr_endpoints.iter().cloned().collect(),
                iam: self.iam_endpoints.iter().cloned().collect(),
                ..Endpoints::default()
            },
            region: self.region.clone().or_else(|| environment::value(REGION)),
            project_id: (self.project_id.clone()).or_else(|| environment::value(PROJECT_ID)),
            sealer,
        })
    }
}

/// Which Secret an account's credential is in.
pub(crate) fn secret_of(account: &SwrAccount) -> Option<&str> {
    match account.spec.auth.source()? {
        AuthSource::AccessKey(by) | AuthSource::Token(by) | AuthSource::Password(by) => {
            Some(&by.name)
        }
        AuthSource::Agency(_)
        | AuthSource::Oidc(_)
        | AuthSource::PodIdentity
        | AuthSource::EcsMetadata => None,
    }
}

impl Cloud {
    /// The account that flags and environment describe, where there is no SwrAccount: nobody says what it grants.
    pub(crate) async fn of_environment(&self) -> Result<Reached, Failure> {
        let region = self.region.clone().ok_or_else(|| {
            Failure::new("no SwrAccount is given, and no region")
                .hint("pass --region, set HW_REGION_NAME, or add the SwrAccount to the manifests")
        })?;
        let everything = || vec!["*".to_owned()];
        let grant = serde_json::json!({
            "namespaces": everything(), "instances": everything(),
            "targets": {"hosts": everything(), "addresses": everything(), "instances": everything()},
        });
        let spec = serde_json::json!({
            "region": region, "projectId": self.project_id, "auth": {}, "grants": [grant],
        });
        let spec: SwrAccountSpec = serde_json::from_value(spec).map_err(Failure::new)?;
        let source = key_of_environment()?.ok_or_else(no_key)?;
        self.reach(&spec, None, source).await
    }

    /// An account of the cluster or of the manifests. The key of the environment is used if there is one, else
    /// that of the account's Secret.
    pub(crate) async fn of_account(
        &self,
        account: &SwrAccount,
        secret: Option<SecretData>,
    ) -> Result<Reached, Failure> {
        let name = account.metadata.name.as_deref().unwrap_or_default();
        let source = match key_of_environment()? {
            Some(source) => source,
            None => self.source_of(account, name, secret)?,
        };
        let status = account.status.as_ref();
        let known = status.and_then(|status| status.project_id.clone());
        self.reach(&account.spec, known, source).await
    }

    /// An account of the cluster, by its name.
    pub(crate) async fn of_cluster(
        &self,
        session: &Session,
        name: &str,
        operator_namespace: &str,
    ) -> Result<Reached, Failure> {
        let account = session.account(name).await.map_err(refused)?;
        let account =
            account.ok_or_else(|| Failure::new(format!("there is no SwrAccount {name}")))?;
        self.with_secret_of(session, &account, operator_namespace)
            .await
    }

    /// The same account, with its Secret if this person may read it.
    pub(crate) async fn with_secret_of(
        &self,
        session: &Session,
        account: &SwrAccount,
        operator_namespace: &str,
    ) -> Result<Reached, Failure> {
        let secret = match secret_of(account) {
            Some(by) => session.secret(operator_namespace, by).await.ok().flatten(),
            None => None,
        };
        self.of_account(account, secret).await
    }

    fn source_of(
        &self,
        account: &SwrAccount,
        name: &str,
        secret: Option<SecretData>,
    ) -> Result<Source, Failure> {
        let Some(by) = secret_of(account) else {
            return Err(Failure::new(format!(
                "SwrAccount {name} gets its credential where the operator runs, and this command does not run there"
            ))
            .hint(KEY_HINT));
        };
        let secret = secret.ok_or_else(|| {
            Failure::new(format!(
                "the credential of SwrAccount {name} is in Secret {by}, which cannot be read here"
            ))
            .hint(KEY_HINT)
        })?;
        let rejected = |rejected: Rejected| {
            Failure::new(format!("Secret {by} of SwrAccount {name}: {rejected}"))
        };
        let given = |authentication| Source::Given(Arc::new(authentication));
        match account.spec.auth.source() {
            Some(AuthSource::Token(_)) => {
                let token = credential::token(&secret, "token").map_err(rejected)?;
                Ok(given(Authentication::Token(token)))
            }
            Some(AuthSource::Password(_)) => {
                let region = Region::new(account.spec.region.clone());
                let iam = self.endpoints.iam(&region);
                Ok(Source::Password {
                    iam: iam.map_err(|error| Failure::new(format!("region {region}: {error}")))?,
                    login: Login {
                        domain: credential::text(&secret, "domainName").map_err(rejected)?,
                        user: credential::text(&secret, "userName").map_err(rejected)?,
                        password: credential::value(&secret, "password").map_err(rejected)?,
                    },
                    scope: match &account.spec.project_id {
                        Some(id) => Scope::Project(ProjectId::new(id.clone())),
                        None => Scope::Region(region),
                    },
                })
            }
            Some(
                AuthSource::AccessKey(_)
                | AuthSource::Agency(_)
                | AuthSource::Oidc(_)
                | AuthSource::PodIdentity
                | AuthSource::EcsMetadata,
            )
            | None => {
                let key = access_key(&secret).map_err(rejected)?;
                Ok(given(Authentication::AccessKey(key)))
            }
        }
    }

    async fn reach(
        &self,
        spec: &SwrAccountSpec,
        known_project: Option<String>,
        source: Source,
    ) -> Result<Reached, Failure> {
        let region = Region::new(spec.region.clone());
        let refused = |error| Failure::new(format!("region {region}: {error}"));
        let endpoint = self.endpoints.swr(&region).map_err(refused)?;
        let authenticator = Arc::new(Authenticator::new(
            source,
            self.transport.clone(),
            Circuitry::default(),
        ));
        authenticator.keep_fresh().await.map_err(Failure::new)?;
        let limits = Limits {
            requests_per_second: spec.limits.requests_per_second,
            burst: spec.limits.burst,
            in_flight: spec.limits.in_flight,
        };
        let limiter = Limiter::of(limits, &authenticator);
        let given = spec.project_id.clone().or(known_project);
        let given = given
            .or_else(|| self.project_id.clone())
            .map(ProjectId::new);
        let project = match given.or_else(|| authenticator.project()) {
            Some(project) => project,
            None => {
                let iam = self.endpoints.iam(&region).map_err(refused)?;
                project_of(&self.transport, &iam, &region, &authenticator, &limiter)
                    .await
                    .map_err(|error| {
                        Failure::new(format!(
                            "the project of region {region} is not known: {error}"
                        ))
                        .hint("pass --project-id, or set HW_PROJECT_ID")
                    })?
            }
        };
        let client = Client::new(
            self.transport.clone(),
            endpoint,
            project.clone(),
            authenticator,
            limiter,
            Arc::clone(&self.sealer),
            Arc::new(Unobserved),
        );
        Ok(Reached {
            account: Account {
                region,
                project,
                grants: spec.grants.clone(),
                namespace_labels: Labels::new(),
            },
            reader: client.reader(),
            client,
        })
    }
}

/// What a person can do about an answer of SWR, or the want of one, whose words do not say it.
pub(crate) fn hint_of(cause: &Cause) -> Option<&'static str> {
    let is_of_way = matches!(
        cause,
        Cause::Unreachable | Cause::NotConnected(_) | Cause::TimedOut | Cause::ApiNotFound
    );
    is_of_way.then_some("check region, --swr-endpoint and --proxy, and the network")
}

/// That the registries of an instance could not be listed.
pub(crate) fn not_listed(instance: &InstanceId, failure: &SwrFailure) -> Failure {
    let why = format!("failed to list the registries of instance {instance}: {failure}");
    match hint_of(&failure.cause) {
        Some(hint) => Failure::new(why).hint(hint),
        None => Failure::new(why),
    }
}

fn access_key(secret: &SecretData) -> Result<AccessKey, Rejected> {
    Ok(AccessKey {
        access_key: credential::text(secret, "accessKey")?,
        secret_key: credential::value(secret, "secretKey")?,
        security_token: match secret.data.contains_key("securityToken") {
            true => Some(credential::token(secret, "securityToken")?),
            false => None,
        },
    })
}

fn key_of_environment() -> Result<Option<Source>, Failure> {
    let key = environment::access_key().map_err(|why| Failure::new(why).hint(KEY_HINT))?;
    Ok(key.map(|key| Source::Given(Arc::new(Authentication::AccessKey(key)))))
}

fn no_key() -> Failure {
    Failure::new("no SwrAccount is given, and no access key").hint(KEY_HINT)
}
