//! Whether a text of the cloud's repeats a secret of the request that it answers, in whatever
//! encoding. Such a text is not kept at all: with the secret cut out, its holes would tell what
//! was there. Pure.

use zeroize::Zeroizing;

/// The secrets of one request.
pub(super) struct Secrets<'a>(Vec<&'a str>);

/// A longer text counts as one that repeats a secret: to look through it is not worth the time.
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// Escaped text in escaped text in escaped text: SWR in its gateway in a proxy.
const DEPTH_MAX: u8 = 3;

/// Three decoders three deep make 39 forms at most, each with four of base64 and those again
/// decoded. Texts of people have a handful. 256 forms of 8 KiB are 2 MiB for a moment.
const FORMS_MAX: usize = 256;

impl<'a> Secrets<'a> {
    /// Empty values are none.
    pub(super) fn new(values: impl IntoIterator<Item = &'a str>) -> Self {
        Secrets(values.into_iter().filter(|v| !v.is_empty()).collect())
    }

    /// Whether a secret stands in `text`: raw, escaped as in JSON, URLs or base64, or in several of
    /// these at once, in capitals or not. Of a secret of one character nearly every text says yes.
    pub(super) fn occur_in(&self, text: &str) -> bool {
        if self.0.is_empty() {
            return false;
        }
        if text.len() > TEXT_BYTES_MAX {
            return true;
        }
        let mut forms = vec![Form {
            bytes: Zeroizing::new(text.as_bytes().to_vec()),
            depth: 0,
            was_base64: false,
        }];
        let mut at = 0;
        while at < forms.len() {
            if self.stand_in(&forms[at].bytes) || forms.len() > FORMS_MAX {
                return true;
            }
            for form in forms[at].decoded() {
                if !forms.iter().any(|known| known.bytes == form.bytes) {
                    forms.push(form);
                }
            }
            at += 1;
        }
        false
    }

    fn stand_in(&self, bytes: &[u8]) -> bool {
        let text = Zeroizing::new(String::from_utf8_lossy(bytes).into_owned());
        let lower = Zeroizing::new(text.to_lowercase());
        self.0.iter().any(|secret| {
            text.contains(secret) || lower.contains(Zeroizing::new(secret.to_lowercase()).as_str())
        })
    }
}

/// A text as it came, or decoded.
struct Form {
    bytes: Zeroizing<Vec<u8>>,
    depth: u8,
    /// Base64 in base64 is looked for no more: every word is base64 of something.
    was_base64: bool,
}

impl Form {
    fn decoded(&self) -> Vec<Form> {
        if self.depth == DEPTH_MAX {
            return Vec::new();
        }
        let form = |bytes, was_base64| Form {
            bytes: Zeroizing::new(bytes),
            depth: self.depth + 1,
            was_base64,
        };
        let mut forms = vec![
            form(unescaped(&self.bytes), self.was_base64),
            form(percent_decoded(&self.bytes, b'+'), self.was_base64),
            form(percent_decoded(&self.bytes, b' '), self.was_base64),
        ];
        if !self.was_base64 {
            forms.extend((0..4).map(|from| form(base64_decoded(&self.bytes, from), true)));
        }
        forms
    }
}

/// Without the escapes of JSON, and of Go and Rust where they differ (`\x`). What is no escape
/// stays.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let (taken, decoded) = match (first, tail) {
            (b'\\', [b'u', ..]) => match unicode(rest) {
                Some((length, c)) => (length, c.to_string().into_bytes()),
                None => (1, vec![*first]),
            },
            (b'\\', [b'x', high, low, ..]) => match hex(&[*high, *low]) {
                Some(byte) => (4, vec![byte.to_le_bytes()[0]]),
                None => (1, vec![*first]),
            },
            (b'\\', [c, ..]) => {
                let c = match c {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'f' => 12,
                    other => *other,
                };
                (2, vec![c])
            }
            (_, _) => (1, vec![*first]),
        };
        out.extend(decoded);
        rest = &rest[taken..];
    }
    out
}

/// `\uXXXX`, or two of them for one character: how long it is, and the character.
fn unicode(text: &[u8]) -> Option<(usize, char)> {
    let unit = |at: usize| {
        let escape = text.get(at..at + 6)?;
        escape.strip_prefix(b"\\u").and_then(hex)
    };
    let first = unit(0)?;
    if let Some(c) = char::from_u32(first) {
        return Some((6, c));
    }
    let pair = [u16::try_from(first).ok()?, u16::try_from(unit(6)?).ok()?];
    let c = char::decode_utf16(pair).next()?.ok()?;
    Some((12, c))
}

/// With `%XX` decoded, and with `plus` for a plus. What is no escape stays.
fn percent_decoded(text: &[u8], plus: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let byte = match (first, tail) {
            (b'%', [high, low, ..]) => hex(&[*high, *low]),
            (_, _) => None,
        };
        match byte {
            Some(byte) => {
                out.push(byte.to_le_bytes()[0]);
                rest = &rest[3..];
            }
            None => {
                out.push(if *first == b'+' { plus } else { *first });
                rest = tail;
            }
        }
    }
    out
}

fn hex(digits: &[u8]) -> Option<u32> {
    let all = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| all)?;
    u32::from_str_radix(digits, 16).ok()
}

/// Every run of the alphabets of base64 as what it stands for, read from its digit `from` on: a
/// secret may stand behind something else, and base64 behind a word. Line breaks do not count.
fn base64_decoded(text: &[u8], from: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let (mut n_digits, mut bits, mut n_bits) = (0, 0_u32, 0);
    for byte in text.iter().filter(|byte| !byte.is_ascii_whitespace()) {
        let Some(digit) = digit(*byte) else {
            // No secret has this byte, so none is put together of two runs.
            out.push(0);
            (n_digits, bits, n_bits) = (0, 0, 0);
            continue;
        };
        n_digits += 1;
        if n_digits <= from {
            continue;
        }
        bits = (bits << 6 | u32::from(digit)) & 0xFFFF;
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            out.push((bits >> n_bits).to_le_bytes()[0]);
        }
    }
    out
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;

    const CANARIES: [&str; 9] = [
        "p",
        "ta",
        "a\"b",
        "a\\b",
        "é/ +",
        "x%41",
        "\u{1F511}key",
        "s3cret/7f3a+\"\\&=%41<",
        "correct horse battery staple",
    ];

    /// Percent-encoded as by a browser's form, byte by byte or with the unreserved left.
    fn percent(text: &str, all: bool, blank: &str, upper: bool) -> String {
        text.bytes()
            .map(|byte| match byte {
                b' ' => blank.to_owned(),
                b if !all && b.is_ascii_alphanumeric() => char::from(b).to_string(),
                b if upper => format!("%{b:02X}"),
                b => format!("%{b:02x}"),
            })
            .collect()
    }

    /// Every character as `\uXXXX`.
    fn utf16(text: &str) -> String {
        text.encode_utf16()
            .map(|unit| format!("\\u{unit:04x}"))
            .collect()
    }

    fn disguises(secret: &str) -> Vec<(&'static str, String)> {
        let quoted = json!(secret).to_string();
        let body = json!({"credential": {"access_secret": secret}}).to_string();
        let slashes = quoted.replace('/', "\\/");
        vec![
            ("raw", secret.to_owned()),
            ("in capitals", secret.to_uppercase()),
            ("JSON", quoted),
            ("JSON with escaped slashes", slashes),
            ("JSON in UTF-16", utf16(secret)),
            ("a body in a JSON string", json!(body.clone()).to_string()),
            ("twice", json!(json!(body).to_string()).to_string()),
            ("Rust", format!("{secret:?}")),
            ("URL", percent(secret, false, "%20", true)),
            ("URL in lower case", percent(secret, false, "%20", false)),
            ("every byte of it", percent(secret, true, "%20", true)),
            ("a form", percent(secret, false, "+", true)),
            (
                "URL in URL",
                percent(&percent(secret, true, "+", true), true, "+", true),
            ),
            (
                "JSON in URL",
                percent(&json!(secret).to_string(), false, "+", true),
            ),
            ("base64", STANDARD.encode(secret)),
            ("base64 without padding", STANDARD_NO_PAD.encode(secret)),
            ("base64 for URLs", URL_SAFE.encode(secret)),
            ("the same without padding", URL_SAFE_NO_PAD.encode(secret)),
            (
                "base64, one further",
                STANDARD.encode(format!("x{secret}y")),
            ),
            (
                "base64, two further",
                STANDARD.encode(format!("ab{secret}yz")),
            ),
            ("a login", STANDARD.encode(format!("robot:{secret}"))),
            (
                "base64 in URL",
                percent(&STANDARD.encode(secret), true, "+", true),
            ),
            ("JSON in base64", STANDARD.encode(json!(secret).to_string())),
        ]
    }

    #[test]
    fn a_secret_is_seen_in_every_disguise() {
        for secret in CANARIES {
            let secrets = Secrets::new(["", "another-secret-0815", secret]);
            for (disguise, text) in disguises(secret) {
                for text in [
                    text.clone(),
                    format!("bad: {text}, no"),
                    format!("x{text}x"),
                ] {
                    assert!(secrets.occur_in(&text), "{secret} as {disguise}: {text}");
                }
            }
        }
        let wrapped = format!("{}\n", STANDARD.encode("correct horse battery staple"));
        let wrapped = wrapped.replace("cnJl", "cn\r\nJl");
        assert!(Secrets::new(["correct horse battery staple"]).occur_in(&wrapped));
    }

    #[test]
    fn what_repeats_no_secret_may_be_kept() {
        let secrets = Secrets::new([
            "",
            "s3cret/7f3a+\"\\&=%41<",
            "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00",
            "robot$push",
        ]);
        for text in [
            "",
            "quota exceeded",
            "the registry 7 is referenced by replication policies, cannot delete it",
            "SVCSTG.SWR.4000014",
            "The throttling threshold has been reached: policy user over ratelimit,limit:200",
            r#"{"name":"a\"b","url":"https:\/\/a.example.com%2Fx"} \u \u12 \ud83d \x %zz %"#,
            "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2",
        ] {
            assert!(!secrets.occur_in(text), "{text}");
        }
        assert!(!Secrets::new(["", ""]).occur_in("anything"));
    }

    #[test]
    fn a_text_that_is_too_long_to_look_through_is_not_kept() {
        let secrets = Secrets::new(["secret"]);
        assert!(!secrets.occur_in(&"x".repeat(TEXT_BYTES_MAX)));
        assert!(secrets.occur_in(&"x".repeat(TEXT_BYTES_MAX + 1)));
        // Nested as deep as it gets, it still ends.
        let mut text = "100%25 \\\\u005cu0025 ".repeat(100);
        text.push_str(&STANDARD.encode("\\u005c%25".repeat(100)));
        let _ = secrets.occur_in(&text);
    }
}
