//! `auth` of an account -> where its credential comes from, and a fingerprint by which one source is told from
//! another. Obtains nothing.

use std::path::PathBuf;
use std::sync::Arc;

use swr_operator_api::account::{self, AuthSource, SecretName, SwrAccount};
use swr_operator_core::account::AccountVerdict;
use swr_operator_core::credential::{self, Fingerprint, Rejected, Sealer, SecretData};
use swr_operator_core::desired::{ProjectId, Region};
use swr_operator_swr::{
    AccessKey, Agency, AuthError, Authentication, Authenticator, Domain, Endpoint, Endpoints,
    IdentityProvider, Login, NodeUrl, Refused, Scope, Source,
};

use super::secrets::SharedSecrets;
use super::shared::Load;

/// Where accounts without a stored key get their credentials: it belongs to the operator's pod, not to an
/// account.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The metadata service of the node.
    pub metadata_url: NodeUrl,
    /// The token of the operator's ServiceAccount for IAM.
    pub oidc_token_file: PathBuf,
    /// The agent of pod identity, and the pod's token for it, or why what the pod was given cannot be used.
    pub pod_identity: Result<Option<(NodeUrl, PathBuf)>, String>,
}

/// What an account's `auth` is resolved with.
pub(super) struct Resolver<'a> {
    pub(super) identity: &'a Identity,
    pub(super) endpoints: &'a Endpoints,
    /// The operator's own.
    pub(super) namespace: &'a str,
    pub(super) secrets: &'a SharedSecrets,
    pub(super) sealer: &'a Sealer,
}

/// Another account, as far as an agency is assumed with its credential.
pub(super) struct Other {
    pub(super) authenticator: Arc<Authenticator>,
    /// What tells its credential from others.
    pub(super) fingerprint: Fingerprint,
    /// Whether its credential is that of an agency itself.
    pub(super) assumes: bool,
}

/// A source of credentials, and what tells it from others.
pub(super) struct Resolved {
    pub(super) source: Source,
    pub(super) fingerprint: Fingerprint,
}

impl Resolver<'_> {
    /// `other` finds the account whose credential assumes an agency.
    pub(super) async fn resolve(
        &self,
        cr: &SwrAccount,
        other: impl Fn(&str) -> Option<Other>,
    ) -> Result<Resolved, AccountVerdict> {
        let region = Region::new(cr.spec.region.clone());
        let auth = cr.spec.auth.source().ok_or_else(|| {
            AccountVerdict::InvalidAuth(
                "exactly one source of a credential must be given".to_owned(),
            )
        })?;
        match auth {
            AuthSource::AccessKey(by) => self.read(by, |secret| self.access_key(secret)).await,
            AuthSource::Token(by) => self.read(by, |secret| self.token(secret)).await,
            AuthSource::Password(by) => {
                let iam = of_region(self.endpoints.iam(&region))?;
                let scope = match &cr.spec.project_id {
                    Some(id) => Scope::Project(ProjectId::new(id.clone())),
                    None => Scope::Region(region),
                };
                self.read(by, |secret| self.password(secret, iam, scope))
                    .await
            }
            AuthSource::Agency(agency) => {
                let by = &agency.account_ref.name;
                let other =
                    other(by).ok_or_else(|| AccountVerdict::CredentialOfOther(by.clone()))?;
                self.agency(agency, &other, &region)
            }
            AuthSource::Oidc(oidc) => self.oidc(oidc, &region),
            AuthSource::PodIdentity => {
                let found = self.identity.pod_identity.clone();
                let found = found.map_err(|why| AccountVerdict::NoCredential(why, None))?;
                let (url, token_file) = found.ok_or_else(|| {
                    AccountVerdict::NoCredential(
                        "this pod has no pod identity: associate an agency with the operator's ServiceAccount in CCE and restart the operator".to_owned(),
                        None,
                    )
                })?;
                Ok(self.resolved(Source::PodIdentity { url, token_file }, &["podIdentity"]))
            }
            AuthSource::EcsMetadata => {
                let url = self.identity.metadata_url.clone();
                Ok(self.resolved(Source::Metadata(url), &["ecsMetadata"]))
            }
        }
    }

    /// Reads the Secret that an account names.
    async fn read(
        &self,
        by: &SecretName,
        resolve: impl FnOnce(&SecretData) -> Result<Resolved, Rejected>,
    ) -> Result<Resolved, AccountVerdict> {
        let secret = self
            .secrets
            .read(self.namespace, &by.name, Load::Light)
            .await;
        let secret = secret
            .map_err(|_| AccountVerdict::SecretUnavailable(by.name.clone()))?
            .ok_or_else(|| AccountVerdict::SecretNotFound(by.name.clone()))?;
        resolve(&secret)
            .map_err(|rejected| AccountVerdict::SecretRejected(by.name.clone(), rejected))
    }

    fn access_key(&self, secret: &SecretData) -> Result<Resolved, Rejected> {
        let security_token = match secret.data.contains_key("securityToken") {
            true => Some(credential::token(secret, "securityToken")?),
            false => None,
        };
        let key = AccessKey {
            access_key: credential::text(secret, "accessKey")?,
            secret_key: credential::value(secret, "secretKey")?,
            security_token,
        };
        let fingerprint = self.sealer.account_key(&[
            &key.access_key,
            key.secret_key.expose(),
            key.security_token
                .as_ref()
                .map_or("", |token| token.expose()),
        ]);
        Ok(Resolved {
            source: Source::Given(Arc::new(Authentication::AccessKey(key))),
            fingerprint,
        })
    }

    fn token(&self, secret: &SecretData) -> Result<Resolved, Rejected> {
        let token = credential::token(secret, "token")?;
        let fingerprint = self.sealer.account_key(&["token", token.expose()]);
        Ok(Resolved {
            source: Source::Given(Arc::new(Authentication::Token(token))),
            fingerprint,
        })
    }

    fn password(
        &self,
        secret: &SecretData,
        iam: Endpoint,
        scope: Scope,
    ) -> Result<Resolved, Rejected> {
        let login = Login {
            domain: credential::text(secret, "domainName")?,
            user: credential::text(secret, "userName")?,
            password: credential::value(secret, "password")?,
        };
        let parts = [
            "password",
            &login.domain,
            &login.user,
            login.password.expose(),
        ];
        let fingerprint = self.sealer.account_key(&parts);
        Ok(Resolved {
            source: Source::Password { iam, login, scope },
            fingerprint,
        })
    }

    fn agency(
        &self,
        agency: &account::Agency,
        other: &Other,
        region: &Region,
    ) -> Result<Resolved, AccountVerdict> {
        if other.assumes {
            return Err(AccountVerdict::InvalidAuth(format!(
                "agency.accountRef: SwrAccount {:?} assumes an agency itself; name one that has a credential of its own",
                agency.account_ref.name
            )));
        }
        let assumed = match (
            &agency.urn,
            &agency.name,
            &agency.domain_id,
            &agency.domain_name,
        ) {
            (Some(urn), None, None, None) => Agency::Urn(urn.clone()),
            (None, Some(name), Some(id), None) => Agency::Named {
                name: name.clone(),
                domain: Domain::Id(id.clone()),
            },
            (None, Some(name), None, Some(domain)) => Agency::Named {
                name: name.clone(),
                domain: Domain::Name(domain.clone()),
            },
            _ => {
                return Err(AccountVerdict::InvalidAuth(
                    "agency must have either urn, or name and one of domainName and domainId"
                        .to_owned(),
                ));
            }
        };
        let (endpoint, [kind, name, domain]) = match &assumed {
            Agency::Urn(urn) => (self.endpoints.sts(region), ["urn", urn, ""]),
            Agency::Named { name, domain } => {
                let (kind, domain) = match domain {
                    Domain::Id(id) => ("id", id),
                    Domain::Name(name) => ("name", name),
                };
                (self.endpoints.iam(region), [kind, name, domain])
            }
        };
        let by = other.fingerprint.as_str();
        let fingerprint = (self.sealer).account_key(&["agency", by, kind, name, domain]);
        Ok(Resolved {
            source: Source::Agency {
                endpoint: of_region(endpoint)?,
                from: Arc::clone(&other.authenticator),
                agency: assumed,
            },
            fingerprint,
        })
    }

    fn oidc(&self, oidc: &account::Oidc, region: &Region) -> Result<Resolved, AccountVerdict> {
        let provider = match (
            &oidc.identity_provider_id,
            &oidc.provider_urn,
            &oidc.agency_urn,
        ) {
            (Some(id), None, None) => IdentityProvider::Id(id.clone()),
            (None, Some(provider), Some(agency)) => IdentityProvider::Urn {
                provider: provider.clone(),
                agency: agency.clone(),
            },
            _ => {
                return Err(AccountVerdict::InvalidAuth(
                    "oidc must have either providerUrn and agencyUrn, or identityProviderId"
                        .to_owned(),
                ));
            }
        };
        let (endpoint, parts) = match &provider {
            IdentityProvider::Id(id) => (self.endpoints.iam(region), ["oidc", id, ""]),
            IdentityProvider::Urn { provider, agency } => {
                (self.endpoints.sts(region), ["oidc", provider, agency])
            }
        };
        let fingerprint = self.sealer.account_key(&parts);
        Ok(Resolved {
            source: Source::Oidc {
                endpoint: of_region(endpoint)?,
                provider,
                token_file: self.identity.oidc_token_file.clone(),
            },
            fingerprint,
        })
    }

    fn resolved(&self, source: Source, parts: &[&str]) -> Resolved {
        Resolved {
            source,
            fingerprint: self.sealer.account_key(parts),
        }
    }
}

/// Why an account has no endpoint.
pub(super) fn of_region(endpoint: Result<Endpoint, Refused>) -> Result<Endpoint, AccountVerdict> {
    endpoint.map_err(|refused| AccountVerdict::NoEndpoint(refused.to_string()))
}

/// What an account without a credential says.
pub(super) fn no_credential(error: &AuthError) -> AccountVerdict {
    let failure = match error {
        AuthError::Refused { failure, .. } => Some(failure.clone()),
        AuthError::TokenFile { .. } | AuthError::NoAgency => None,
    };
    AccountVerdict::NoCredential(error.to_string(), failure)
}
