//! Secrets that can be recognised wherever they turn up, and hashes of them. Must not know where one looks for them.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use sha2::Digest as _;

/// What SWR logs in to a target with. Both halves are unique in the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) access_key: String,
    pub(crate) access_secret: String,
}

/// Sixteen characters that stand in one secret and nowhere else. Escaping of any kind leaves them as they are.
#[derive(Clone, Debug)]
pub(crate) struct Canary(String);

impl Canary {
    pub(crate) fn hatch() -> Self {
        static HATCHED: AtomicU64 = AtomicU64::new(0);
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u64(HATCHED.fetch_add(1, Ordering::Relaxed));
        Self(format!("{:016x}", hasher.finish()))
    }

    /// As a password: with the characters that JSON, URLs, shells and base64 each treat in their own way.
    pub(crate) fn secret(&self) -> String {
        format!("s3cret/{}+\"\\&=%41<", self.0)
    }

    /// As the name of a robot account.
    pub(crate) fn user(&self) -> String {
        format!("robot${}", self.0)
    }

    /// As a key of the cloud.
    pub(crate) fn key(&self) -> String {
        format!("AK{}", self.0)
    }

    /// How it shows in `text`, if it does: as it is, in hex, or in base64 at any of the three offsets.
    pub(crate) fn shows_in(&self, text: &str) -> Option<&'static str> {
        let forms = self.forms();
        let shown = forms.iter().find(|(_, form)| text.contains(form));
        shown.map(|(name, _)| *name)
    }

    /// Every form in which it may turn up, each with what people call it.
    pub(crate) fn forms(&self) -> Vec<(&'static str, String)> {
        let core = self.0.as_bytes();
        let hex = hex(core);
        let mut forms = vec![
            ("as it is", self.0.clone()),
            ("in capitals", self.0.to_ascii_uppercase()),
            ("in hex", hex.clone()),
            ("in hex", hex.to_ascii_uppercase()),
        ];
        for offset in 0..3 {
            let shifted = [&[b'x'; 3][..offset], core].concat();
            // What the neighbours of the core take part in is left out: the first group, and the last one that is not
            // whole.
            let whole = shifted.len() / 3 * 4;
            let from = if offset == 0 { 0 } else { 4 };
            for alphabet in [STANDARD, URL_SAFE] {
                let encoded = alphabet.encode(&shifted);
                forms.push(("in base64", encoded[from..whole].to_owned()));
            }
        }
        forms
    }
}

/// Texts that must stand nowhere, looked for all at once: a bed has hundreds, and the audit log 150 MB.
pub(crate) struct Forbidden {
    finder: AhoCorasick,
    /// What each of them is.
    are: Vec<String>,
}

impl Forbidden {
    /// Each text with what it is.
    pub(crate) fn new(texts: impl IntoIterator<Item = (String, String)>) -> Self {
        let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
        let (are, texts): (Vec<_>, Vec<_>) = texts.unzip();
        let finder = AhoCorasick::new(texts).expect("fewer texts than it takes");
        Self { finder, are }
    }

    /// What one of them is that stands in `text`, if one does.
    pub(crate) fn shown_in(&self, text: &str) -> Option<&str> {
        let found = self.finder.find(text)?;
        Some(&self.are[found.pattern().as_usize()])
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How the hashes of secrets begin that anybody can make. Whoever reads one can try passwords on it.
#[derive(Debug, Default)]
pub(crate) struct Hashes(HashSet<Vec<u8>>);

impl Hashes {
    /// 64 bits in hex and 96 in base64: nothing else begins so, and a hash that was cut for people is as long.
    const CHARACTERS: usize = 16;

    /// A secret by itself.
    pub(crate) fn add(&mut self, secret: &str) {
        // As a shell's `echo` hashes it, and as it stands in `data` of a Secret.
        for text in [
            secret.to_owned(),
            format!("{secret}\n"),
            STANDARD.encode(secret),
        ] {
            let hashes: [Vec<u8>; 3] = [
                md5::Md5::digest(&text).to_vec(),
                sha1::Sha1::digest(&text).to_vec(),
                sha2::Sha256::digest(&text).to_vec(),
            ];
            for hash in hashes {
                let hex = hex(&hash);
                for form in [
                    hex.to_ascii_uppercase(),
                    hex,
                    STANDARD.encode(&hash),
                    URL_SAFE.encode(&hash),
                ] {
                    self.0.insert(form.as_bytes()[..Self::CHARACTERS].to_vec());
                }
            }
        }
    }

    /// A secret, the name that belongs to it, and both together.
    pub(crate) fn add_login(&mut self, name: &str, secret: &str) {
        self.add(name);
        self.add(secret);
        for between in [":", "", "\n", "\0"] {
            self.add(&format!("{name}{between}{secret}"));
        }
    }

    /// The beginning of a hash that stands in `text`, if one does.
    pub(crate) fn shown_in<'a>(&self, text: &'a str) -> Option<&'a str> {
        let is_digit = |c: char| c.is_ascii_alphanumeric() || "+/-_".contains(c);
        let words = text.split(|c| !is_digit(c));
        let long = words.filter(|word| word.len() >= Self::CHARACTERS);
        // Where a word begins, or goes on after what is no letter.
        let mut beginnings = long.flat_map(|word| {
            let marks = word.match_indices(['+', '/', '-', '_']);
            let marks = marks.flat_map(|(at, _)| [at, at + 1]);
            let begin = std::iter::once(0).chain(marks);
            begin.filter_map(move |at| word.get(at..at + Self::CHARACTERS))
        });
        beginnings.find(|beginning| self.0.contains(beginning.as_bytes()))
    }
}

#[test]
fn a_canary_is_seen_in_every_disguise() {
    let canary = Canary::hatch();
    let secret = canary.secret();
    let forms = canary.forms().into_iter();
    let forbidden = Forbidden::new(forms.map(|(name, form)| (name.to_owned(), form)));
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for (disguise, text) in [
        ("raw", secret.clone()),
        ("JSON", serde_json::json!({"a": secret}).to_string()),
        (
            "JSON in JSON",
            serde_json::json!(serde_json::json!(secret).to_string()).to_string(),
        ),
        (
            "hex",
            secret.bytes().map(|byte| format!("{byte:02x}")).collect(),
        ),
        ("base64", STANDARD.encode(&secret)),
        ("base64, one further", STANDARD.encode(format!("x{secret}"))),
        (
            "base64, two further",
            URL_SAFE.encode(format!("xx{secret}")),
        ),
    ] {
        assert!(canary.shows_in(&text).is_some(), "{disguise}: {text}");
        assert!(forbidden.shown_in(&text).is_some(), "{disguise}: {text}");
    }
    // Only who encodes letters, too, which no URL encoder does, gets by.
    assert_eq!(canary.shows_in(&percent), None);
    assert_eq!(forbidden.shown_in(&percent), None);
    assert_eq!(Canary::hatch().shows_in(&secret), None);
}

#[test]
fn a_hash_that_needs_no_key_is_seen_in_every_form() {
    let mut hashes = Hashes::default();
    hashes.add_login("robot$push", "s3cret");
    // Of `s3cret` and of `robot$push:s3cret`, as md5sum, sha1sum and sha256sum print them, and in base64.
    for shown in [
        "33e1b232a4e6fa0028a6670753749a17",
        "fef341f85d87439e7d91a2d465b9871ef66b5e98",
        "1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0",
        "1b2e960e3238e6a5f8f4ec47ed6954a9",
        "24e85eba6750891f465b488c9b08f0c06a2b8beb",
        "7d791a85ddad72053f7bea8cbac911a48dd379c27769f7b8cf601f6ac34a513d",
        "M+GyMqTm+gAopmcHU3SaFw==",
        "/vNB+F2HQ559kaLUZbmHHvZrXpg=",
        "HsHCa1DV08WNlYMYGvgHZlX+AHVr9yhZQLo2cPmfy6A=",
        "1EC1C26B50D5D3C58D9583181AF8076655FE00756BF7285940BA3670F99FCBA0",
        // With a line break, and cut.
        "82ba9d712d21dc75",
    ] {
        for text in [
            shown.to_owned(),
            format!("{{\"fingerprint\":\"sha256:{shown}\"}}"),
            format!("swr_credential{{hash=\"v1-{shown}\"}} 1"),
        ] {
            assert!(hashes.shown_in(&text).is_some(), "{text}");
        }
        assert_eq!(hashes.shown_in(&shown[..15]), None);
    }
    assert_eq!(hashes.shown_in("robot$push and s3cret"), None);
    assert_eq!(
        Hashes::default()
            .shown_in("1ec1c26b50d5d3c58d9583181af8076655fe00756bf7285940ba3670f99fcba0"),
        None
    );
}
