//! Owner -> tag -> description, and back. The tag is how a registry in SWR says whose it is
//! (rule 3). Knows no wire format and no Kubernetes type.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::api::{GROUP, TAG_OPENING};

/// 128 bits as 22 characters of base64url.
const ID_CHARS: usize = 22;
/// 48 bits as 8 characters of base64url: it tells names of one installation apart, no more.
const NAME_CHARS: usize = 8;
/// `[swr-operator:` 14, installation 22, `/` 1, uid 22, `/` 1, name 8, `]` 1.
pub const TAG_CHARS: usize = TAG_OPENING.len() + ID_CHARS + 1 + ID_CHARS + 1 + NAME_CHARS + 1;

/// One installation of the operator. Two releases in one cluster are strangers to each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Installation(String);

impl Installation {
    /// From an id that a person configured.
    pub fn from_configured(id: &str) -> Self {
        Installation(short_id(&["configured", id]))
    }

    /// From what is unique without any configuration: the cluster, and the operator's namespace.
    pub fn from_cluster(kube_system_uid: &str, namespace: &str) -> Self {
        Installation(short_id(&["cluster", kube_system_uid, namespace]))
    }

    /// The 22 characters that stand in the tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The finalizer of accounts that objects of this installation name. Each installation has its own, because
    /// it knows its own objects only. A finalizer ends with a letter or digit, which base64url need not.
    pub fn account_finalizer(&self) -> String {
        format!("{GROUP}/account.{}.in-use", self.0)
    }

    /// Whether this tag is of our installation, of whichever object.
    pub fn wrote(&self, tag: &str) -> bool {
        tag.strip_prefix(TAG_OPENING)
            .and_then(|rest| rest.strip_prefix(self.as_str()))
            .is_some_and(|rest| rest.starts_with('/'))
    }
}

/// The object that owns a registry. Equal owners write equal tags.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    tag: String,
}

impl Owner {
    /// The owner `namespace/name` with this uid, in this installation.
    pub fn new(installation: &Installation, uid: &str, namespace: &str, name: &str) -> Self {
        let uid = URL_SAFE_NO_PAD.encode(uid_bytes(uid));
        let name = short_name(namespace, name);
        Owner {
            tag: format!("{TAG_OPENING}{}/{uid}/{name}]", installation.0),
        }
    }

    /// Whether this tag is that of an earlier object of the same namespace and name, in the same
    /// installation. Two names share their 48 bits once in 281 billion, so whoever acts on this
    /// makes sure that no other object owns the tag.
    pub fn succeeds(&self, tag: &str) -> bool {
        match (parts(&self.tag), parts(tag)) {
            (Some([installation, uid, name]), Some(other)) => {
                [installation, name] == [other[0], other[2]] && uid != other[1]
            }
            (None, _) | (_, None) => false,
        }
    }

    /// The tag as it stands in a description.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// What goes into the `description` of the registry: the user's text, one space, the tag.
    pub fn describe(&self, text: &str) -> String {
        if text.is_empty() {
            self.tag.clone()
        } else {
            format!("{text} {}", self.tag)
        }
    }
}

/// Owners by the object that each can be: for who reads SWR without the cluster, and so knows no uid.
#[derive(Clone, Debug, Default)]
pub struct Owners(BTreeMap<String, Vec<Owner>>);

impl Owners {
    /// The owners whose tags these are.
    pub fn of<'a>(tags: impl IntoIterator<Item = &'a str>) -> Self {
        let mut owners: BTreeMap<String, Vec<Owner>> = BTreeMap::new();
        for tag in tags {
            if let Some([_, _, name]) = parts(tag) {
                let same = owners.entry(name.to_owned()).or_default();
                same.push(Owner {
                    tag: tag.to_owned(),
                });
            }
        }
        Owners(owners)
    }

    /// Those that can be an object `namespace/name` of this installation. Without an installation any will do.
    pub fn named<'a>(
        &'a self,
        installation: Option<&'a Installation>,
        namespace: &str,
        name: &str,
    ) -> impl Iterator<Item = &'a Owner> {
        let same = self.0.get(&short_name(namespace, name));
        let is_of_it = move |owner: &&Owner| installation.is_none_or(|it| it.wrote(owner.tag()));
        same.into_iter().flatten().filter(is_of_it)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tag)
    }
}

/// Splits a registry's description into the user's text and the tag at its end, if there is one.
/// Trailing blanks are no part of either: some servers trim them, some do not.
pub fn split(description: &str) -> (&str, Option<&str>) {
    let trimmed = description.trim_end();
    let Some(start) = trimmed.len().checked_sub(TAG_CHARS) else {
        return (trimmed, None);
    };
    // A tag is ASCII, so a start inside a character means that there is none.
    let Some(tail) = trimmed.get(start..) else {
        return (trimmed, None);
    };
    if tail.starts_with(TAG_OPENING) && tail.ends_with(']') && well_formed(tail) {
        (trimmed[..start].trim_end(), Some(tail))
    } else {
        (trimmed, None)
    }
}

fn well_formed(tag: &str) -> bool {
    let inner = &tag[TAG_OPENING.len()..tag.len() - 1];
    let parts: Vec<&str> = inner.split('/').collect();
    let is_id = |part: &str| {
        part.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    matches!(parts.as_slice(), [installation, uid, name]
        if installation.len() == ID_CHARS && uid.len() == ID_CHARS && name.len() == NAME_CHARS
            && parts.iter().all(|part| is_id(part)))
}

/// Installation, uid and name.
fn parts(tag: &str) -> Option<[&str; 3]> {
    let inner = tag.strip_prefix(TAG_OPENING)?.strip_suffix(']')?;
    let (installation, rest) = inner.split_once('/')?;
    let (uid, name) = rest.split_once('/')?;
    Some([installation, uid, name])
}

/// What a uid becomes in a tag: its own 128 bits, or a hash of what is no UUID.
pub fn uid_bytes(uid: &str) -> [u8; 16] {
    uuid_bytes(uid).unwrap_or_else(|| short_hash(&["uid", uid]))
}

/// The same, read from a tag.
pub fn uid_of(tag: &str) -> Option<[u8; 16]> {
    let [_, uid, _] = parts(tag)?;
    URL_SAFE_NO_PAD.decode(uid).ok()?.try_into().ok()
}

fn short_name(namespace: &str, name: &str) -> String {
    let mut id = short_id(&["name", namespace, name]);
    id.truncate(NAME_CHARS);
    id
}

fn short_id(parts: &[&str]) -> String {
    URL_SAFE_NO_PAD.encode(short_hash(parts))
}

/// A hash of several parts that no other split of the same characters gives.
fn short_hash(parts: &[&str]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut short = [0; 16];
    short.copy_from_slice(&hash.finalize()[..16]);
    short
}

fn uuid_bytes(uid: &str) -> Option<[u8; 16]> {
    let hex: Vec<u8> = uid.bytes().filter(|b| *b != b'-').collect();
    if hex.len() != 32 {
        return None;
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
        let text = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(text, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        let installation = Installation::from_cluster("a-uid", "swr-operator");
        Owner::new(
            &installation,
            "00000000-1111-2222-3333-444455556666",
            "images",
            "harbor-dr",
        )
    }

    #[test]
    fn a_tag_has_69_characters() {
        assert_eq!((owner().tag().len(), TAG_CHARS), (69, 69));
    }

    #[test]
    fn a_description_splits_into_what_it_was_made_of() {
        let tag = owner().tag().to_owned();
        for (text, written) in [
            ("", tag.clone()),
            ("Disaster recovery", format!("Disaster recovery {tag}")),
            ("容灾", format!("容灾 {tag}")),
        ] {
            assert_eq!(owner().describe(text), written);
            assert_eq!(split(&written), (text, Some(tag.as_str())));
        }
    }

    #[test]
    fn a_tag_names_its_object_to_who_does_not_know_the_uid() {
        let installation = Installation::from_cluster("a-uid", "swr-operator");
        let other = Installation::from_configured("other");
        let tag = owner().tag().to_owned();
        let owners = Owners::of([tag.as_str(), "no tag"]);
        let named = |installation, name| owners.named(installation, "images", name).eq([&owner()]);
        assert_eq!(
            [
                named(None, "harbor-dr"),
                named(Some(&installation), "harbor-dr"),
                named(Some(&other), "harbor-dr"),
                named(None, "another"),
            ],
            [true, true, false, false]
        );
    }

    #[test]
    fn what_is_not_exactly_a_tag_is_text() {
        let tag = owner().tag().to_owned();
        for text in [
            "Disaster recovery".to_owned(),
            String::new(),
            tag[..68].to_owned(),
            format!("{tag} and more"),
            tag.replace('/', "-"),
            "容".repeat(40),
        ] {
            assert_eq!(split(&text), (text.as_str(), None), "{text}");
        }
    }

    #[test]
    fn trailing_blanks_that_a_server_adds_or_trims_do_not_count() {
        let tag = owner().tag().to_owned();
        assert_eq!(split(&format!("dr  {tag} \n")), ("dr", Some(tag.as_str())));
    }

    #[test]
    fn owners_that_differ_in_anything_have_different_tags() {
        let one = Installation::from_configured("one");
        let two = Installation::from_configured("two");
        let uid = "00000000-1111-2222-3333-444455556666";
        let tags = [
            Owner::new(&one, uid, "a", "bc"),
            Owner::new(&two, uid, "a", "bc"),
            Owner::new(&one, uid, "ab", "c"),
            Owner::new(&one, "not a uuid", "a", "bc"),
        ]
        .map(|owner| owner.tag().to_owned());
        for (i, tag) in tags.iter().enumerate() {
            assert_eq!(tag.len(), TAG_CHARS);
            assert!(!tags[..i].contains(tag), "{tag}");
        }
    }
}
