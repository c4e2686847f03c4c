//! Answer -> how it is written, beyond what the operator needs of it: for who compares SWR with its documents. Shows no
//! credential, only in which form one comes back.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use swr_operator_core::credential::Sensitive;

use super::wire::{Malformed, object};

/// A member of a JSON object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Member<T> {
    /// It is not there.
    #[default]
    Absent,
    /// It is `null`.
    Null,
    /// It is there.
    Is(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Member<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let it = Option::<T>::deserialize(deserializer)?;
        Ok(it.map_or(Member::Null, Member::Is))
    }
}

impl<T> Member<T> {
    /// What it is, if it is there.
    pub fn get(&self) -> Option<&T> {
        match self {
            Member::Is(it) => Some(it),
            Member::Absent | Member::Null => None,
        }
    }
}

/// How the secret of a credential comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// Not at all.
    Absent,
    /// Empty.
    Empty,
    /// So many asterisks.
    Masked(usize),
    /// As it was sent.
    Plain,
    /// As something else.
    Other,
}

/// How a registry is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Its id.
    pub id: i64,
    /// Whether the id is a text.
    pub id_is_text: bool,
    /// Its name.
    pub name: String,
    /// SWR's word for the type.
    pub type_: String,
    /// Address.
    pub url: String,
    /// Description, tag included.
    pub description: Member<String>,
    /// The secret.
    pub echo: Echo,
    /// Project, region and instance of the target.
    pub target: [Member<String>; 3],
    /// How many hosts it names.
    pub hosts: Member<usize>,
    /// Health.
    pub health: Member<String>,
    /// When it was created.
    pub created_at: Member<String>,
    /// When it changed last.
    pub updated_at: Member<String>,
}

/// How a list is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Its registries.
    pub sights: Vec<Sight>,
    /// What it says of their number.
    pub total: Option<i64>,
}

/// How the answer to a write is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It has no body.
    Empty,
    /// An object without an id.
    Object,
    /// An object with this id.
    Id(i64),
    /// Something else.
    Other,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Number(i64),
    Text(String),
}

#[derive(Deserialize)]
struct SightIn {
    id: Id,
    name: String,
    #[serde(default, rename = "type")]
    type_: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    description: Member<String>,
    #[serde(default)]
    project_id: Member<String>,
    #[serde(default)]
    region_id: Member<String>,
    #[serde(default)]
    instance_id: Member<String>,
    #[serde(default)]
    dns_conf: Member<DnsConfIn>,
    #[serde(default)]
    credential: Option<CredentialIn>,
    #[serde(default)]
    status: Member<String>,
    #[serde(default)]
    created_at: Member<String>,
    #[serde(default)]
    updated_at: Member<String>,
}

#[derive(Deserialize)]
struct CredentialIn {
    #[serde(default)]
    access_secret: Option<String>,
}

#[derive(Deserialize)]
struct DnsConfIn {
    #[serde(default)]
    hosts: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Deserialize)]
struct ListingIn {
    #[serde(default)]
    registries: Option<Vec<SightIn>>,
    #[serde(default)]
    total: Option<i64>,
}

#[derive(Deserialize)]
struct ReplyIn {
    #[serde(default)]
    id: Option<Id>,
}

/// Reads one registry; `sent` is the secret that it was given, if somebody here knows it.
pub(super) fn decode_sight(body: &[u8], sent: Option<&Sensitive>) -> Result<Sight, Malformed> {
    sight(object(body)?, sent)
}

/// Reads a list.
pub(super) fn decode_listing(body: &[u8], sent: Option<&Sensitive>) -> Result<Listing, Malformed> {
    let listing: ListingIn = object(body)?;
    let registries = listing.registries.unwrap_or_default().into_iter();
    let sights: Result<Vec<Sight>, Malformed> = registries.map(|it| sight(it, sent)).collect();
    Ok(Listing {
        sights: sights?,
        total: listing.total,
    })
}

/// Reads the answer to a write.
pub(super) fn decode_reply(body: &[u8]) -> Reply {
    if body.is_empty() {
        return Reply::Empty;
    }
    match object::<ReplyIn>(body) {
        Ok(ReplyIn { id: None }) => Reply::Object,
        Ok(ReplyIn { id: Some(id) }) => number(&id).map_or(Reply::Other, Reply::Id),
        Err(Malformed) => Reply::Other,
    }
}

fn number(id: &Id) -> Option<i64> {
    match id {
        Id::Number(number) => Some(*number),
        Id::Text(text) => text.parse().ok(),
    }
}

fn sight(it: SightIn, sent: Option<&Sensitive>) -> Result<Sight, Malformed> {
    let secret = it.credential.and_then(|it| it.access_secret);
    Ok(Sight {
        id: number(&it.id).ok_or(Malformed)?,
        id_is_text: matches!(it.id, Id::Text(_)),
        name: it.name,
        type_: it.type_.unwrap_or_default(),
        url: it.url.unwrap_or_default(),
        description: it.description,
        echo: echo(secret.map(Zeroizing::new).as_ref(), sent),
        target: [it.project_id, it.region_id, it.instance_id],
        hosts: match it.dns_conf {
            Member::Absent => Member::Absent,
            Member::Null => Member::Null,
            Member::Is(conf) => Member::Is(conf.hosts.map_or(0, |hosts| hosts.len())),
        },
        health: it.status,
        created_at: it.created_at,
        updated_at: it.updated_at,
    })
}

fn echo(secret: Option<&Zeroizing<String>>, sent: Option<&Sensitive>) -> Echo {
    let Some(secret) = secret else {
        return Echo::Absent;
    };
    let is_sent = sent.is_some_and(|sent| sent.expose() == secret.as_str());
    match secret.len() {
        0 => Echo::Empty,
        _ if is_sent => Echo::Plain,
        n if secret.bytes().all(|byte| byte == b'*') => Echo::Masked(n),
        _ => Echo::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_seen_as_it_is_written() {
        let body = br#"{"id": "7", "name": "a", "description": null, "region_id": "", "dns_conf": {"hosts": {}},
            "credential": {"access_secret": "*****"}, "status": "healthy", "updated_at": "1762243200"}"#;
        let seen = decode_sight(body, None).expect("a registry");
        assert_eq!(
            seen,
            Sight {
                id: 7,
                id_is_text: true,
                name: "a".to_owned(),
                type_: String::new(),
                url: String::new(),
                description: Member::Null,
                echo: Echo::Masked(5),
                target: [Member::Absent, Member::Is(String::new()), Member::Absent],
                hosts: Member::Is(0),
                health: Member::Is("healthy".to_owned()),
                created_at: Member::Absent,
                updated_at: Member::Is("1762243200".to_owned()),
            }
        );
    }

    #[test]
    fn of_a_secret_only_its_form_is_told() {
        let sent = Sensitive::new("c4n4ry".to_owned());
        for (secret, expected) in [
            ("{}", Echo::Absent),
            (r#"{"access_secret": null}"#, Echo::Absent),
            (r#"{"access_secret": ""}"#, Echo::Empty),
            (r#"{"access_secret": "******"}"#, Echo::Masked(6)),
            (r#"{"access_secret": "c4n4ry"}"#, Echo::Plain),
            (r#"{"access_secret": "other"}"#, Echo::Other),
        ] {
            let body = format!(r#"{{"id": 1, "name": "a", "credential": {secret}}}"#);
            let seen = decode_sight(body.as_bytes(), Some(&sent)).expect("a registry");
            assert_eq!(seen.echo, expected, "{secret}");
            assert!(!format!("{seen:?}").contains("c4n4ry"));
        }
    }

    #[test]
    fn an_answer_to_a_write_has_an_id_or_none_or_no_body() {
        for (body, expected) in [
            ("", Reply::Empty),
            ("{}", Reply::Object),
            (r#"{"id": 7}"#, Reply::Id(7)),
            (r#"{"id": "7"}"#, Reply::Id(7)),
            (r#"{"id": "x"}"#, Reply::Other),
            ("[]", Reply::Other),
            ("no", Reply::Other),
        ] {
            assert_eq!(decode_reply(body.as_bytes()), expected, "{body}");
        }
    }
}
