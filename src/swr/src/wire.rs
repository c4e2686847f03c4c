//! Registry -> request body, answer -> records. With `shape` the only place that knows SWR's JSON
//! names, and with it and the signature the only one that exposes a secret. Never reads a secret back.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use swr_operator_core::credential::{Credential, Sealer};
use swr_operator_core::desired::{Registry, RegistryId, Target};
use swr_operator_core::failure::Code;
use swr_operator_core::observed::{Health, Record};
use swr_operator_core::texts::Texts;

/// What a create or an update sends: always the whole registry with its real credential, because
/// SWR replaces everything (swr-api.md 3).
pub struct Body<'a> {
    /// The registry; its description as it is sent, with the tag.
    pub registry: &'a Registry,
    /// Its credential.
    pub credential: &'a Credential,
}

impl<'a> Body<'a> {
    /// What must not show up in a log should SWR repeat it. The access key counts: for SWR Basic
    /// it holds the key of an account.
    pub(super) fn secrets(&self) -> Vec<&'a str> {
        let Credential {
            access_key,
            access_secret,
        } = self.credential;
        vec![access_key.expose(), access_secret.expose()]
    }
}

/// CreateRegistryRequestBody and UpdateRegistryRequestBody are the same; fields in the order of
/// the documents (swr-api.md 1.1).
#[derive(Serialize)]
struct RegistryOut<'a> {
    name: &'a str,
    // Sent even when empty: that is how it is cleared.
    description: &'a str,
    #[serde(rename = "type")]
    type_: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<&'a str>,
    url: &'a str,
    credential: CredentialOut<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dns_conf: Option<DnsConfOut<'a>>,
    insecure: bool,
}

#[derive(Serialize)]
struct CredentialOut<'a> {
    #[serde(rename = "type")]
    type_: &'a str,
    access_key: &'a str,
    access_secret: &'a str,
}

#[derive(Serialize)]
struct DnsConfOut<'a> {
    hosts: &'a BTreeMap<String, IpAddr>,
}

/// Two values of 4 KiB that escaping doubles, and some hosts: large enough that growing, which
/// leaves a copy of the secret behind, is the exception.
const BODY_BYTES_USUAL: usize = 32 * 1024;

/// The bytes that are signed and sent.
pub(super) fn encode(body: &Body<'_>) -> Zeroizing<Vec<u8>> {
    let Registry {
        name,
        url,
        insecure,
        description,
        target,
    } = body.registry;
    let (ids, dns_hosts) = match target {
        Target::Harbor { dns_hosts } => (None, Some(dns_hosts).filter(|hosts| !hosts.is_empty())),
        Target::SwrEnterprise {
            project,
            region,
            instance,
        } => (Some((project, region, instance)), None),
        Target::SwrBasic => (None, None),
    };
    let out = RegistryOut {
        name,
        description,
        type_: target.type_name(),
        project_id: ids.map(|(project, _, _)| project.as_str()),
        region_id: ids.map(|(_, region, _)| region.as_str()),
        instance_id: ids.map(|(_, _, instance)| instance.as_str()),
        url,
        credential: CredentialOut {
            type_: "basic",
            access_key: body.credential.access_key.expose(),
            access_secret: body.credential.access_secret.expose(),
        },
        dns_conf: dns_hosts.map(|hosts| DnsConfOut { hosts }),
        insecure: *insecure,
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(BODY_BYTES_USUAL));
    serde_json::to_writer(&mut *bytes, &out)
        .expect("invariant: text, booleans and maps of text are JSON, and memory takes all bytes");
    bytes
}

/// A registry as SWR gives it. Lenient: everything may be absent or null, and what is not named
/// here is skipped unread, `credential.access_secret` above all.
#[derive(Deserialize)]
struct RegistryIn {
    #[serde(default, deserialize_with = "integer")]
    id: Option<i64>,
    name: Option<String>,
    #[serde(rename = "type")]
    type_: Option<String>,
    url: Option<String>,
    insecure: Option<bool>,
    description: Option<String>,
    project_id: Option<String>,
    region_id: Option<String>,
    instance_id: Option<String>,
    dns_conf: Option<DnsConfIn>,
    credential: Option<CredentialIn>,
    status: Option<String>,
    // Text of any format; compared as text and never parsed (swr-api.md 8.2, 37).
    updated_at: Option<String>,
}

#[derive(Deserialize)]
struct CredentialIn {
    access_key: Option<String>,
}

#[derive(Deserialize)]
struct DnsConfIn {
    hosts: Option<BTreeMap<String, Option<String>>>,
}

/// Without the field an answer is no list; with null in it, it is an empty one.
#[derive(Default)]
enum Registries {
    These(Vec<RegistryIn>),
    Null,
    #[default]
    Absent,
}

/// Not by serde's `untagged`, which copies all that it reads before it tries, secrets among it.
impl<'de> Deserialize<'de> for Registries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = Option::deserialize(deserializer)?;
        Ok(given.map_or(Registries::Null, Registries::These))
    }
}

#[derive(Deserialize)]
struct PageIn {
    #[serde(default)]
    registries: Registries,
    #[serde(default, deserialize_with = "integer")]
    total: Option<i64>,
}

#[derive(Deserialize)]
struct CreatedIn {
    #[serde(default, deserialize_with = "integer")]
    id: Option<i64>,
}

#[derive(Deserialize)]
struct ProjectsIn {
    projects: Vec<ProjectIn>,
}

#[derive(Deserialize)]
struct ProjectIn {
    id: String,
    name: Option<String>,
}

#[derive(Deserialize)]
struct InstanceIn {
    status: Option<String>,
}

#[derive(Deserialize)]
struct StatisticsIn {
    #[serde(default, deserialize_with = "integer")]
    replica_registry_quota: Option<i64>,
}

#[derive(Deserialize)]
struct FeatureGatesIn {
    enable_enterprise: Option<bool>,
}

/// The answer is not what the API documents. Says nothing more, because its text is the cloud's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// One page of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) records: Vec<Record>,
    /// How many there are in all, says SWR. May be absent, or wrong.
    pub(super) total: Option<usize>,
}

/// Reads one page. A registry without id or name spoils the whole page: were it left out, it
/// would look as if it did not exist.
pub(super) fn decode_page(body: &[u8], sealer: &Sealer) -> Result<Page, Malformed> {
    let page: PageIn = object(body)?;
    // A total below zero is none, and no reason to believe that there are no registries.
    let registries = match (page.registries, page.total) {
        (Registries::These(registries), _) => registries,
        // Go writes an empty list as null.
        (Registries::Null, None | Some(0)) | (Registries::Absent, Some(0)) => Vec::new(),
        (Registries::Null, Some(_)) | (Registries::Absent, _) => return Err(Malformed),
    };
    let mut texts = Texts::default();
    let records = registries
        .into_iter()
        .map(|registry| record(registry, sealer, &mut texts).ok_or(Malformed))
        .collect::<Result<_, _>>()?;
    let total = page.total.and_then(|total| usize::try_from(total).ok());
    Ok(Page { records, total })
}

/// Reads the answer to a SHOW.
pub(super) fn decode_record(body: &[u8], sealer: &Sealer) -> Result<Record, Malformed> {
    let registry: RegistryIn = object(body)?;
    record(registry, sealer, &mut Texts::default()).ok_or(Malformed)
}

/// Reads the id out of the answer to a create, if it has one.
pub(super) fn decode_created(body: &[u8]) -> Option<RegistryId> {
    let created: CreatedIn = object(body).ok()?;
    // 0 is the instance itself (swr-api.md 2.2) and not what was created.
    created.id.filter(|id| *id > 0).map(RegistryId)
}

/// Reads the ids of the projects of this name.
pub(super) fn decode_projects(body: &[u8], name: &str) -> Result<Vec<String>, Malformed> {
    let list: ProjectsIn = object(body)?;
    Ok(list
        .projects
        .into_iter()
        .filter(|project| project.name.as_deref().is_none_or(|found| found == name))
        .map(|project| project.id)
        .collect())
}

/// Reads the state of an instance.
pub(super) fn decode_instance(body: &[u8]) -> Option<Code> {
    let instance: InstanceIn = object(body).ok()?;
    Code::parse(&instance.status?)
}

/// Reads how many registries an instance may hold. Zero is no quota: SWR would sell nothing.
pub(super) fn decode_quota(body: &[u8]) -> Option<usize> {
    let statistics: StatisticsIn = object(body).ok()?;
    let quota = usize::try_from(statistics.replica_registry_quota?).ok()?;
    Some(quota).filter(|quota| *quota > 0)
}

/// Reads whether the Enterprise Edition is offered.
pub(super) fn decode_offer(body: &[u8]) -> Option<bool> {
    let gates: FeatureGatesIn = object(body).ok()?;
    gates.enable_enterprise
}

/// JSON that is an object. serde would take an array for an object's fields in order, and `[[]]`
/// is no list of registries.
pub(super) fn object<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, Malformed> {
    match body.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_slice(body).map_err(|_| Malformed),
        Some(_) | None => Err(Malformed),
    }
}

fn record(registry: RegistryIn, sealer: &Sealer, texts: &mut Texts) -> Option<Record> {
    let RegistryIn {
        id,
        name,
        type_,
        url,
        insecure,
        description,
        project_id,
        region_id,
        instance_id,
        dns_conf,
        credential,
        status,
        updated_at,
    } = registry;
    let access_key = credential
        .and_then(|credential| credential.access_key)
        .map(Zeroizing::new)
        // Harbor gives an empty one when none is stored.
        .filter(|access_key| !access_key.is_empty());
    Some(Record {
        id: RegistryId(id?),
        name: name?,
        type_: texts.shared(&type_.unwrap_or_default()),
        url: texts.shared(&url.unwrap_or_default()),
        insecure,
        description: description.unwrap_or_default(),
        project: project_id.map(|id| texts.shared(&id)),
        region: region_id.map(|id| texts.shared(&id)),
        instance: instance_id.map(|id| texts.shared(&id)),
        dns_hosts: dns_conf.and_then(|conf| conf.hosts).map(|hosts| {
            hosts
                .into_iter()
                .map(|(host, address)| (host, address.unwrap_or_default()))
                .collect()
        }),
        access_key: access_key.map(|access_key| sealer.access_key(&access_key)),
        health: Health::from_word(status.as_deref()),
        updated_at,
    })
}

/// An integer, also as decimal text; null is absent.
fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Integer {
        Number(i64),
        Text(String),
    }
    match Option::<Integer>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Integer::Number(number)) => Ok(Some(number)),
        Some(Integer::Text(text)) => text.parse().map(Some).map_err(D::Error::custom),
    }
}

#[cfg(test)]
mod tests;
