//! A source file -> its code without comments and literals. Knows no rule.

use std::fs;
use std::path::Path;

/// One file: as it is, and with comments and literals blanked.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
    pub(super) code: String,
}

impl Source {
    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path[4..].contains("/tests/")
    }

    /// What ships: the code without `#[cfg(test)]` modules; nothing of a file of tests.
    pub(super) fn shipped(&self) -> String {
        if self.is_test() {
            String::new()
        } else {
            without_test_modules(&self.code)
        }
    }
}

/// The folder of the repository.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).expect("tests/it is two below")
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every file below a folder with this extension, as paths from the root of the repository.
pub(crate) fn files(folder: &str, extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in
            fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(shown(&path));
            }
        }
    }
    found.sort();
    found
}

pub(super) fn shown(path: &Path) -> String {
    let path = path.strip_prefix(root()).unwrap_or(path);
    path.to_string_lossy().replace('\\', "/")
}

pub(super) fn sources(folders: &[&str]) -> Vec<Source> {
    let paths = folders.iter().flat_map(|folder| files(folder, "rs"));
    paths
        .map(|path| {
            let text = read(&path);
            Source {
                code: blanked(&text),
                path,
                text,
            }
        })
        .collect()
}

pub(super) fn is_word(c: char) -> bool {
    // A lifetime is no item: `'static` must not be found as `static`.
    c.is_alphanumeric() || c == '_' || c == '\''
}

/// The code with comments and the insides of literals replaced by blanks, line for line.
pub(super) fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let blank = |out: &mut String, from: usize, to: usize| {
        for c in &chars[from..to.min(chars.len())] {
            out.push(if *c == '\n' { '\n' } else { ' ' });
        }
    };
    while at < chars.len() {
        let end = end_of_blank(&chars, at);
        if end > at {
            blank(&mut out, at, end);
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Where the comment or literal that begins here ends; `at` itself if none begins.
fn end_of_blank(chars: &[char], at: usize) -> usize {
    let next = |n: usize| chars.get(at + n).copied().unwrap_or('\n');
    let begins_word = at == 0 || !is_word(chars[at - 1]);
    match (chars[at], next(1)) {
        ('/', '/') => position(chars, at, |at| chars[at] == '\n').unwrap_or(chars.len()),
        ('/', '*') => end_of_comment(chars, at),
        ('"', _) => end_of_string(chars, at + 1),
        ('r', '"' | '#') if begins_word => end_of_raw_string(chars, at + 1).unwrap_or(at),
        ('b', 'r') if begins_word => end_of_raw_string(chars, at + 2).unwrap_or(at),
        ('\'', '\\') => {
            position(chars, at + 3, |at| chars[at] == '\'').map_or(chars.len(), |end| end + 1)
        }
        ('\'', _) if next(2) == '\'' => at + 3,
        _ => at,
    }
}

fn position(chars: &[char], from: usize, holds: impl Fn(usize) -> bool) -> Option<usize> {
    (from..chars.len()).find(|at| holds(*at))
}

fn end_of_comment(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

fn end_of_string(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// `at` stands behind the `r`. `None` for a raw identifier.
fn end_of_raw_string(chars: &[char], at: usize) -> Option<usize> {
    let opened = position(chars, at, |at| chars[at] != '#')?;
    let n_hashes = opened - at;
    (chars[opened] == '"').then(|| {
        position(chars, opened + 1, |at| {
            chars[at] == '"' && (1..=n_hashes).all(|n| chars.get(at + n) == Some(&'#'))
        })
        .map_or(chars.len(), |end| end + 1 + n_hashes)
    })
}

fn without_test_modules(code: &str) -> String {
    const ATTRIBUTE: &str = "#[cfg(test)]";
    let mut out = String::new();
    let mut rest = code;
    while let Some(at) = rest.find(ATTRIBUTE) {
        out.push_str(&rest[..at]);
        let item = &rest[at..];
        let opens = item.find('{').unwrap_or(item.len());
        let ends = item.find(';').unwrap_or(item.len());
        let end = if ends < opens {
            ends + 1
        } else {
            closing(item, opens)
        };
        // The lines stay, so that findings name the right ones.
        out.extend(item[..end].chars().filter(|c| *c == '\n'));
        rest = &item[end..];
    }
    out + rest
}

/// The byte behind the brace that closes the one at `opens`.
fn closing(code: &str, opens: usize) -> usize {
    let mut depth = 0;
    for (at, c) in code[opens..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return opens + at + 1;
        }
    }
    code.len()
}

/// Byte positions of a text that is not part of a longer word.
pub(super) fn positions<'a>(code: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(needle).map(|(at, _)| at).filter(|at| {
        let before = code[..*at].chars().next_back();
        let after = code[at + needle.len()..].chars().next();
        let joined = |inside: Option<char>, outside: Option<char>| {
            inside.is_some_and(is_word) && outside.is_some_and(is_word)
        };
        !joined(needle.chars().next(), before) && !joined(needle.chars().next_back(), after)
    })
}

pub(super) fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = r##"
// async
/* Mutex /* nested */ Mutex */ fn real<'a>(x: &'a str) { "tokio \" // " ; r#"hyper" "#; b'x'; '"'; '\''; '\u{1F}'; r"rand"; }
#[cfg(test)]
mod tests { fn gone() { { } } }
fn kept() {}
"##;
    let code = blanked(text);
    assert_eq!(code.lines().count(), text.lines().count());
    for word in ["async", "Mutex", "tokio", "hyper", "rand", "nested"] {
        assert_eq!(positions(&code, word).count(), 0, "{word} in {code}");
    }
    let shipped = without_test_modules(&code);
    assert!(shipped.contains("fn real<'a>") && shipped.contains("fn kept"));
    assert!(!shipped.contains("gone"));
    assert_eq!(shipped.lines().count(), text.lines().count());
}
