//! Secret -> credential. Nothing here prints, clones, compares or serializes a secret; what may
//! leave is a fingerprint, and that only with the installation's key.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A value that must not be shown. Reading it takes a call that can be searched for.
pub struct Sensitive(Zeroizing<String>);

impl Sensitive {
    /// Takes a value in.
    pub fn new(value: String) -> Self {
        Sensitive(Zeroizing::new(value))
    }

    /// The value itself, for a request to SWR and for nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What SWR uses to log in to the target. It can be used, but neither shown, copied nor written:
///
/// ```
/// fn used<T>() {}
/// used::<swr_operator_core::credential::Credential>();
/// ```
/// ```compile_fail
/// fn shown<T: std::fmt::Debug>() {}
/// shown::<swr_operator_core::credential::Credential>();
/// ```
/// ```compile_fail
/// fn shown<T: std::fmt::Display>() {}
/// shown::<swr_operator_core::credential::Credential>();
/// ```
/// ```compile_fail
/// fn copied<T: Clone>() {}
/// copied::<swr_operator_core::credential::Credential>();
/// ```
/// ```compile_fail
/// fn written<T: serde::Serialize>() {}
/// written::<swr_operator_core::credential::Credential>();
/// ```
pub struct Credential {
    /// User name, robot account or access key.
    pub access_key: Sensitive,
    /// Password, token or secret key.
    pub access_secret: Sensitive,
}

/// The bytes of a Secret and its type.
pub struct SecretData {
    /// `type` of the Secret.
    pub type_: String,
    /// `data` of the Secret, decoded.
    pub data: BTreeMap<String, Zeroizing<Vec<u8>>>,
}

/// Why a Secret cannot be used. Names key and rule, never the value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rejected {
    /// The key in question.
    pub key: String,
    /// The rule that it breaks.
    pub rule: Rule,
}

/// The rules for a value in a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The key must be there.
    Present,
    /// One of the two pairs of keys that are looked for must be there.
    Pair,
    /// The value must not be empty.
    NotEmpty,
    /// The value must be at most so many bytes long.
    Short(usize),
    /// The value must be UTF-8.
    Utf8,
    /// The value must not begin with a byte order mark.
    NoByteOrderMark,
    /// The value must not contain control characters.
    NoControl,
}

/// 4 KiB hold every password and token that SWR or Harbor is known to issue.
pub const VALUE_BYTES_MAX: usize = 4096;

/// A token of IAM can name the roles of its user, and has several KiB then.
pub const TOKEN_BYTES_MAX: usize = 32 * 1024;

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = match self.rule {
            Rule::Pair => {
                return f.write_str(
                    "it has neither accessKey and accessSecret nor username and password; \
                     if its keys have other names, say them in spec.credentialSecretRef.keys",
                );
            }
            Rule::Present => "is missing",
            Rule::NotEmpty => "is empty",
            Rule::Short(max) => {
                return write!(f, "key {:?} is longer than {max} bytes", self.key);
            }
            Rule::Utf8 => "is not UTF-8 text",
            Rule::NoByteOrderMark => "begins with a byte order mark",
            Rule::NoControl => "contains a control character such as a line break or NUL",
        };
        write!(f, "key {:?} {rule}", self.key)
    }
}

impl Rejected {
    /// Whether something is missing that whoever fills the Secret may still add.
    pub fn is_incomplete(&self) -> bool {
        match self.rule {
            Rule::Present | Rule::Pair => true,
            Rule::NotEmpty
            | Rule::Short(_)
            | Rule::Utf8
            | Rule::NoByteOrderMark
            | Rule::NoControl => false,
        }
    }
}

impl Credential {
    /// Reads the credential out of a Secret: by the keys that the object names, else by the type
    /// of the Secret, else by what it holds. One trailing line break is no part of a value,
    /// because `kubectl create secret --from-file` and editors leave one.
    ///
    /// # Errors
    /// The first key, access key before access secret, that breaks a rule.
    pub fn from_secret(
        secret: &SecretData,
        keys: Option<(&str, &str)>,
    ) -> Result<Credential, Rejected> {
        const BY_KEY: (&str, &str) = ("accessKey", "accessSecret");
        const BY_LOGIN: (&str, &str) = ("username", "password");
        let has_some_of = |(one, other): (&str, &str)| {
            secret.data.contains_key(one) || secret.data.contains_key(other)
        };
        let (access_key, access_secret) = match keys {
            Some(keys) => keys,
            None if secret.type_ == "kubernetes.io/basic-auth" => BY_LOGIN,
            None if has_some_of(BY_KEY) => BY_KEY,
            None if has_some_of(BY_LOGIN) => BY_LOGIN,
            None => {
                return Err(Rejected {
                    key: BY_KEY.0.to_owned(),
                    rule: Rule::Pair,
                });
            }
        };
        Ok(Credential {
            access_key: value(secret, access_key)?,
            access_secret: value(secret, access_secret)?,
        })
    }
}

/// Reads one value by the rules above.
///
/// # Errors
/// The rule that the value breaks.
pub fn value(secret: &SecretData, key: &str) -> Result<Sensitive, Rejected> {
    value_up_to(VALUE_BYTES_MAX, secret, key)
}

/// Reads one that is no secret, as a name, by the same rules.
///
/// # Errors
/// The rule that the value breaks.
pub fn text(secret: &SecretData, key: &str) -> Result<String, Rejected> {
    Ok(value(secret, key)?.expose().to_owned())
}

/// Reads a token of IAM by the same rules, but for its length.
///
/// # Errors
/// The rule that the token breaks.
pub fn token(secret: &SecretData, key: &str) -> Result<Sensitive, Rejected> {
    value_up_to(TOKEN_BYTES_MAX, secret, key)
}

fn value_up_to(bytes_max: usize, secret: &SecretData, key: &str) -> Result<Sensitive, Rejected> {
    let reject = |rule| Rejected {
        key: key.to_owned(),
        rule,
    };
    let bytes = secret.data.get(key).ok_or_else(|| reject(Rule::Present))?;
    if bytes.len() > bytes_max {
        return Err(reject(Rule::Short(bytes_max)));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| reject(Rule::Utf8))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(reject(Rule::NotEmpty));
    }
    if text.starts_with('\u{FEFF}') {
        return Err(reject(Rule::NoByteOrderMark));
    }
    if text.chars().any(char::is_control) {
        return Err(reject(Rule::NoControl));
    }
    Ok(Sensitive::new(text.to_owned()))
}

/// A keyed hash of a credential: equal values have equal fingerprints, and without the
/// installation's key nothing can be learnt from one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// From the text in a status.
    pub fn from_status(text: &str) -> Self {
        Fingerprint(text.to_owned())
    }

    /// The text that goes into a status.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({})", self.0)
    }
}

/// The two fingerprints of a credential that decisions are made from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sealed {
    /// Of both values, bound to the object, so that equal credentials of two objects do not show.
    pub whole: Fingerprint,
    /// Of the access key, comparable with [`Sealer::access_key`] of what SWR reports.
    pub access_key: Fingerprint,
}

/// Makes fingerprints with the installation's key.
pub struct Sealer(Zeroizing<Vec<u8>>);

impl Sealer {
    /// With the key of the installation, 32 random bytes.
    pub fn new(key: Vec<u8>) -> Self {
        Sealer(Zeroizing::new(key))
    }

    /// The fingerprints of a credential for the object with this uid.
    pub fn seal(&self, uid: &str, credential: &Credential) -> Sealed {
        Sealed {
            whole: self.mac(&[
                b"registry credential",
                uid.as_bytes(),
                credential.access_key.expose().as_bytes(),
                credential.access_secret.expose().as_bytes(),
            ]),
            access_key: self.access_key(credential.access_key.expose()),
        }
    }

    /// The fingerprint of an access key, ours or one that SWR reports.
    pub fn access_key(&self, access_key: &str) -> Fingerprint {
        self.mac(&[b"registry access key", access_key.as_bytes()])
    }

    /// The fingerprint of an account's key, to notice that it changed.
    pub fn account_key(&self, parts: &[&str]) -> Fingerprint {
        let parts = parts.iter().map(|part| part.as_bytes());
        let all: Vec<&[u8]> = std::iter::once(b"account key".as_slice())
            .chain(parts)
            .collect();
        self.mac(&all)
    }

    /// The fingerprint of what is asked to get a credential, where `key` is that of the credential.
    pub fn issuing(&self, key: &Fingerprint) -> Fingerprint {
        self.mac(&[b"issuing", key.as_str().as_bytes()])
    }

    /// Each part goes in with its length, so that no two lists of parts hash alike.
    fn mac(&self, parts: &[&[u8]]) -> Fingerprint {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0)
            .expect("invariant: HMAC takes a key of any length");
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        Fingerprint(URL_SAFE_NO_PAD.encode(&mac.finalize().into_bytes()[..16]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(type_: &str, data: &[(&str, &[u8])]) -> SecretData {
        SecretData {
            type_: type_.to_owned(),
            data: data
                .iter()
                .map(|(key, value)| ((*key).to_owned(), Zeroizing::new(value.to_vec())))
                .collect(),
        }
    }

    fn read(secret: &SecretData, keys: Option<(&str, &str)>) -> Result<(String, String), String> {
        Credential::from_secret(secret, keys)
            .map(|credential| {
                (
                    credential.access_key.expose().to_owned(),
                    credential.access_secret.expose().to_owned(),
                )
            })
            .map_err(|rejected| rejected.to_string())
    }

    #[test]
    fn keys_follow_the_type_of_the_secret_unless_the_object_names_them() {
        let data: &[(&str, &[u8])] = &[
            ("accessKey", b"ak"),
            ("accessSecret", b"as"),
            ("username", b"user"),
            ("password", b"pw"),
            ("u", b"own-user"),
            ("p", b"own-pw"),
        ];
        let login: &[(&str, &[u8])] = &[("username", b"user"), ("password", b"pw")];
        assert_eq!(
            read(&secret("Opaque", login), None),
            Ok(("user".to_owned(), "pw".to_owned()))
        );
        // What is half there is what was meant.
        for (data, missing) in [
            (
                &[
                    ("accessKey", b"ak" as &[u8]),
                    ("username", b"user"),
                    ("password", b"pw"),
                ][..],
                "accessSecret",
            ),
            (&[("username", b"user")], "password"),
            (&[("password", b"pw")], "username"),
        ] {
            assert_eq!(
                read(&secret("Opaque", data), None),
                Err(format!("key {missing:?} is missing"))
            );
        }
        for (type_, keys, expected) in [
            ("Opaque", None, ("ak", "as")),
            ("kubernetes.io/basic-auth", None, ("user", "pw")),
            (
                "kubernetes.io/basic-auth",
                Some(("u", "p")),
                ("own-user", "own-pw"),
            ),
        ] {
            assert_eq!(
                read(&secret(type_, data), keys),
                Ok((expected.0.to_owned(), expected.1.to_owned()))
            );
        }
    }

    #[test]
    fn a_value_that_breaks_a_rule_is_named_by_key_and_rule() {
        let big = vec![b'x'; VALUE_BYTES_MAX + 1];
        let cases: &[(&[u8], &str)] = &[
            (b"", "is empty"),
            (b"\n", "is empty"),
            (b"\r\n", "is empty"),
            (b"\xff\xfe", "is not UTF-8 text"),
            (b"\xef\xbb\xbfx", "begins with a byte order mark"),
            (
                b"a\0b",
                "contains a control character such as a line break or NUL",
            ),
            (
                b"a\nb",
                "contains a control character such as a line break or NUL",
            ),
            (
                b"a\n\n",
                "contains a control character such as a line break or NUL",
            ),
            (&big, "is longer than 4096 bytes"),
        ];
        for (value, rule) in cases {
            let secret = secret("Opaque", &[("accessKey", b"ak"), ("accessSecret", value)]);
            assert_eq!(
                read(&secret, None),
                Err(format!("key \"accessSecret\" {rule}"))
            );
        }
        assert_eq!(
            read(&secret("Opaque", &[("accessSecret", b"as")]), None),
            Err("key \"accessKey\" is missing".to_owned())
        );
        assert_eq!(
            read(&secret("Opaque", &[("token", b"t")]), None),
            Err("it has neither accessKey and accessSecret nor username and password; if its keys have other names, say them in spec.credentialSecretRef.keys".to_owned())
        );
    }

    #[test]
    fn one_trailing_line_break_is_no_part_of_a_value() {
        for value in [b"as".as_slice(), b"as\n", b"as\r\n"] {
            let secret = secret("Opaque", &[("accessKey", b"ak"), ("accessSecret", value)]);
            assert_eq!(read(&secret, None), Ok(("ak".to_owned(), "as".to_owned())));
        }
    }

    #[test]
    fn fingerprints_differ_by_key_object_and_value_and_by_nothing_else() {
        let credential = |ak: &str, sk: &str| Credential {
            access_key: Sensitive::new(ak.to_owned()),
            access_secret: Sensitive::new(sk.to_owned()),
        };
        let one = Sealer::new(vec![1; 32]);
        let two = Sealer::new(vec![2; 32]);
        let base = one.seal("uid", &credential("ak", "as"));
        assert_eq!(base, one.seal("uid", &credential("ak", "as")));
        for other in [
            two.seal("uid", &credential("ak", "as")),
            one.seal("uid-2", &credential("ak", "as")),
            one.seal("uid", &credential("ak", "as2")),
            one.seal("uid", &credential("aka", "s")),
        ] {
            assert_ne!(base.whole, other.whole);
        }
        assert_eq!(base.access_key, one.access_key("ak"));
        // The key of an account is another thing than the login of a registry, though the values be the same.
        let account = one.account_key(&["ak", "as"]);
        let of_login = [one.access_key("ak"), base.whole, one.issuing(&account)];
        assert!(!of_login.contains(&account));
    }

    #[test]
    fn a_secret_gives_two_clean_values_or_names_the_key_and_never_the_value() {
        const TYPES: [&str; 3] = ["Opaque", "kubernetes.io/basic-auth", ""];
        const KEYS: [(&str, &str); 3] = [
            ("accessKey", "accessSecret"),
            ("username", "password"),
            ("user", "pass"),
        ];
        bolero::check!().for_each(|input: &[u8]| {
            let [how, rest @ ..] = input else { return };
            let how = usize::from(*how);
            let (keys, type_) = (KEYS[how % 3], TYPES[how / 3 % 3]);
            let said = (how % 2 == 0).then_some(keys);
            // NUL is refused in a value, so it cannot part the two of a good Secret.
            let mut values = rest.splitn(2, |byte| *byte == 0);
            let mut data = BTreeMap::new();
            for key in [keys.0, keys.1] {
                if let Some(value) = values.next() {
                    data.insert(key.to_owned(), Zeroizing::new(value.to_vec()));
                }
            }
            let secret = SecretData {
                type_: type_.to_owned(),
                data,
            };
            match Credential::from_secret(&secret, said) {
                Ok(credential) => {
                    for value in [&credential.access_key, &credential.access_secret] {
                        let value = value.expose();
                        assert!((1..=VALUE_BYTES_MAX).contains(&value.len()));
                        assert!(!value.chars().any(char::is_control));
                    }
                }
                // The rule is a word, so what could hold a value is the key.
                Err(rejected) => {
                    let mut named = KEYS.iter().flat_map(|(one, other)| [one, other]);
                    assert!(named.any(|key| **key == rejected.key), "{rejected}");
                }
            }
        });
    }
}
