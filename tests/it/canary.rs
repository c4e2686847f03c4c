//! Secrets that can be recognised wherever they turn up. Must not know where one looks for them.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

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

    fn forms(&self) -> Vec<(&'static str, String)> {
        let core = self.0.as_bytes();
        let hex: String = core.iter().map(|byte| format!("{byte:02x}")).collect();
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

#[test]
fn a_canary_is_seen_in_every_disguise() {
    let canary = Canary::hatch();
    let secret = canary.secret();
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
    }
    // Only who encodes letters, too, which no URL encoder does, gets by.
    assert_eq!(canary.shows_in(&percent), None);
    assert_eq!(Canary::hatch().shows_in(&secret), None);
}
