//! The audit log -> requests by user. Reads each line once, while nothing is measured.
//!
//! kube-apiserver's own `apiserver_request_total` would cost less, but has no label for the user: the operator could not
//! be told from the person whose objects it serves, nor from the controller manager. So every request leaves one line at
//! level Metadata, the cheapest there is, and RAW pays for its lines like everybody else.

use std::fs::File;
use std::io::{BufRead, BufReader, Seek as _, SeekFrom};
use std::path::PathBuf;

use serde::Deserialize;

use super::report::Counts;
use crate::Error;

/// A watch has its line when it starts, too; one that has not ended counts.
pub(crate) const POLICY: &str = "\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: Metadata
";

/// A place in the audit log.
#[derive(Debug)]
pub(crate) struct Audit {
    path: PathBuf,
    offset: u64,
}

/// What one user asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) counts: Counts,
    pub(crate) events: u64,
    pub(crate) refused: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(borrow)]
    stage: &'a str,
    #[serde(borrow)]
    verb: &'a str,
    #[serde(borrow)]
    user: User<'a>,
    #[serde(default, borrow)]
    object_ref: Option<Reference<'a>>,
    #[serde(default)]
    response_status: Status,
}

#[derive(Deserialize)]
struct User<'a> {
    username: &'a str,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Reference<'a> {
    #[serde(borrow)]
    resource: &'a str,
    #[serde(borrow)]
    subresource: &'a str,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
}

impl Asked {
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn add(&mut self, more: Self) {
        for (what, n) in more.counts {
            *self.counts.entry(what).or_default() += n;
        }
        self.events += more.events;
        self.refused += more.refused;
    }
}

impl Audit {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path, offset: 0 }
    }

    /// What each of these users has asked since the last call, in their order.
    pub(crate) fn read<const N: usize>(&mut self, users: [&str; N]) -> Result<[Asked; N], Error> {
        let failed = || Error::io(format!("read {}", self.path.display()));
        let mut file = File::open(&self.path).map_err(failed())?;
        file.seek(SeekFrom::Start(self.offset)).map_err(failed())?;
        let mut asked = std::array::from_fn(|_| Asked::default());
        let mut reader = BufReader::new(file);
        let mut line = String::new();
        loop {
            line.clear();
            let length = reader.read_line(&mut line).map_err(failed())?;
            // A line without its end is still being written.
            if !line.ends_with('\n') {
                return Ok(asked);
            }
            self.offset += length as u64;
            count(&line, users, &mut asked);
        }
    }

    /// Forgets what was asked so far.
    pub(crate) fn skip(&mut self) -> Result<(), Error> {
        self.read([]).map(|[]| ())
    }
}

fn count<const N: usize>(line: &str, users: [&str; N], asked: &mut [Asked; N]) {
    let Ok(line) = serde_json::from_str::<Line<'_>>(line) else {
        return;
    };
    let Some(index) = users.iter().position(|user| *user == line.user.username) else {
        return;
    };
    let counts = match (line.verb, line.stage) {
        ("watch", stage) => stage == "ResponseStarted",
        (_, stage) => stage == "ResponseComplete",
    };
    if !counts {
        return;
    }
    let asked = &mut asked[index];
    let reference = line.object_ref.unwrap_or_default();
    if line.response_status.code >= 400 {
        asked.refused += 1;
    }
    if reference.resource == "events" {
        asked.events += 1;
        return;
    }
    let what = match (reference.resource, reference.subresource) {
        ("", _) => line.verb.to_owned(),
        (resource, "") => format!("{} {resource}", line.verb),
        (resource, subresource) => format!("{} {resource}/{subresource}", line.verb),
    };
    *asked.counts.entry(what).or_default() += 1;
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn line(user: &str, verb: &str, stage: &str, reference: &str, code: u16) -> String {
        format!(
            r#"{{"kind":"Event","stage":"{stage}","requestURI":"/x?\"","verb":"{verb}","user":{{"username":"{user}","groups":[]}},"objectRef":{reference},"responseStatus":{{"metadata":{{}},"code":{code}}}}}"#
        ) + "\n"
    }

    #[test]
    fn requests_are_told_apart_by_user_and_counted_once() {
        let status = r#"{"resource":"replicationregistries","subresource":"status","name":"a"}"#;
        let objects = r#"{"resource":"replicationregistries"}"#;
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        let mut audit = Audit::at(file.path().to_path_buf());
        file.write_all(line("a", "get", "ResponseComplete", objects, 200).as_bytes())
            .expect("written");
        audit.skip().expect("read");
        for written in [
            line("a", "patch", "ResponseComplete", status, 200),
            line("a", "patch", "ResponseComplete", status, 409),
            line("a", "watch", "ResponseStarted", objects, 200),
            line("a", "watch", "ResponseComplete", objects, 200),
            line(
                "a",
                "create",
                "ResponseComplete",
                r#"{"resource":"events"}"#,
                201,
            ),
            line("b", "create", "ResponseComplete", objects, 201),
            line("c", "create", "ResponseComplete", objects, 201),
            r#"{"stage":"Resp"#.to_owned(),
        ] {
            file.write_all(written.as_bytes()).expect("written");
        }
        let [a, b] = audit.read(["a", "b"]).expect("read");
        let counts = |pairs: &[(&str, u64)]| -> Counts {
            let owned = pairs.iter().map(|(what, n)| ((*what).to_owned(), *n));
            owned.collect()
        };
        assert_eq!(
            a,
            Asked {
                counts: counts(&[
                    ("patch replicationregistries/status", 2),
                    ("watch replicationregistries", 1)
                ]),
                events: 1,
                refused: 1,
            }
        );
        assert_eq!(b.counts, counts(&[("create replicationregistries", 1)]));
    }
}
