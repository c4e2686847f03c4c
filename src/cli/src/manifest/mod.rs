//! Files, folders and stdin -> documents with their places, and what is wrong with them as text. Knows no schema.

mod node;

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use crate::exit::Failure;
use crate::output::counted;

pub(crate) use node::{Kind, Node, Place};

/// The version of the kinds that this binary knows.
pub(crate) const API_VERSION: &str = "swr.huaweicloud.com/v1alpha1";

/// A manifest of 1,000 objects has 600 KiB.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Which manifests.
#[derive(Debug, Args)]
pub(crate) struct Sources {
    /// A file, a folder with *.yaml, *.yml and *.json files, or `-` for stdin. May be repeated.
    #[arg(short = 'f', long = "filename", value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    /// Folders with the folders in them.
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
}

/// One object of a manifest.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// The file, as it was named.
    pub(crate) file: String,
    /// What stands there.
    pub(crate) node: Node,
    /// `apiVersion`.
    pub(crate) api_version: String,
    /// `kind`.
    pub(crate) kind: String,
}

impl Document {
    /// `metadata.name`.
    pub(crate) fn name(&self) -> &str {
        self.node.text(&["metadata", "name"]).unwrap_or_default()
    }

    /// `metadata.namespace`.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.node.text(&["metadata", "namespace"])
    }

    /// The object without places.
    pub(crate) fn to_json(&self) -> Value {
        self.node.to_json()
    }

    /// Something is wrong with a field, or with the document if the field is not there.
    pub(crate) fn finding(&self, field: &str, message: impl Into<String>) -> Finding {
        Finding {
            file: self.file.clone(),
            at: self.node.place_of(field),
            field: field.to_owned(),
            message: message.into(),
        }
    }
}

/// Something that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) file: String,
    pub(crate) at: Place,
    /// Path of the field; empty for a file as a whole.
    pub(crate) field: String,
    pub(crate) message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { line, column } = self.at;
        write!(f, "{}:{line}:{column}: ", self.file)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// What the manifests hold.
#[derive(Debug, Default)]
pub(crate) struct Manifests {
    pub(crate) documents: Vec<Document>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) n_files: usize,
}

impl Sources {
    /// Reads all of it. What is no YAML, or no object, is a finding.
    ///
    /// # Errors
    /// A file or folder that cannot be read, or a folder without a manifest.
    pub(crate) fn read(&self) -> Result<Manifests, Failure> {
        let mut manifests = Manifests::default();
        for path in &self.paths {
            let files = match path.is_dir() {
                true => self.files_of(path)?,
                false => vec![path.clone()],
            };
            for file in files {
                manifests.parse(&file.display().to_string(), &read_text(&file)?);
            }
        }
        Ok(manifests)
    }

    fn files_of(&self, folder: &Path) -> Result<Vec<PathBuf>, Failure> {
        let mut files = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let shown = folder.display().to_string();
            let entries =
                std::fs::read_dir(&folder).map_err(|error| cannot_read(&shown, &error))?;
            for entry in entries {
                let path = entry.map_err(|error| cannot_read(&shown, &error))?.path();
                if path.is_dir() {
                    folders.extend(self.recursive.then_some(path));
                } else if is_manifest(&path) {
                    files.push(path);
                }
            }
        }
        files.sort();
        match files.is_empty() {
            true => Err(Failure::new(format!(
                "folder {} holds no *.yaml, *.yml or *.json file",
                folder.display()
            ))
            .hint("add --recursive if they are in folders below it")),
            false => Ok(files),
        }
    }
}

/// kustomize's own file is for kustomize.
fn is_manifest(path: &Path) -> bool {
    let extension = path
        .extension()
        .and_then(|it| it.to_str())
        .unwrap_or_default();
    let stem = path
        .file_stem()
        .and_then(|it| it.to_str())
        .unwrap_or_default();
    matches!(extension, "yaml" | "yml" | "json") && stem != "kustomization"
}

/// The text of a file, or of stdin if it is `-`.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    if path.as_os_str() == "-" {
        return read(std::io::stdin().lock(), "stdin");
    }
    let shown = path.display().to_string();
    let open = std::fs::File::open(path);
    read(open.map_err(|error| cannot_read(&shown, &error))?, &shown)
}

fn cannot_read(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(format!("failed to read {what}: {error}"))
        .hint("check that it is there, that you may read it, and that it is text in UTF-8")
}

fn read(from: impl std::io::Read, what: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let mut limited = from.take(FILE_BYTES_MAX + 1);
    match limited.read_to_string(&mut text) {
        Ok(_) if text.len() as u64 > FILE_BYTES_MAX => Err(Failure::new(format!(
            "{what} is longer than {} MiB, which no manifest is",
            FILE_BYTES_MAX / 1024 / 1024
        ))),
        Ok(_) => Ok(text),
        Err(error) => Err(cannot_read(what, &error)),
    }
}

impl Manifests {
    /// The documents of a kind.
    pub(crate) fn of_kind<'a>(
        &'a self,
        api_version: &'static str,
        kind: &'static str,
    ) -> impl Iterator<Item = &'a Document> {
        let is_it = move |it: &&Document| it.api_version == api_version && it.kind == kind;
        self.documents.iter().filter(is_it)
    }

    /// Takes in the text of one file.
    pub(crate) fn parse(&mut self, file: &str, text: &str) {
        self.n_files += 1;
        let parsed: Result<Vec<Node>, _> = serde_saphyr::from_multiple(text);
        match parsed {
            Ok(nodes) => {
                for node in nodes {
                    self.take(file, node);
                }
            }
            // Without the excerpt, which may be of a Secret.
            Err(error) => self.findings.push(Finding {
                file: file.to_owned(),
                at: error.location().map_or(Place::START, Place::of),
                field: String::new(),
                message: told(error.without_snippet()),
            }),
        }
    }

    fn take(&mut self, file: &str, node: Node) {
        let word = |name: &str| node.text(&[name]).unwrap_or_default().to_owned();
        let document = Document {
            file: file.to_owned(),
            api_version: word("apiVersion"),
            kind: word("kind"),
            node,
        };
        if document.api_version.is_empty() || document.kind.is_empty() {
            let message = "is no Kubernetes object: apiVersion and kind must be set";
            self.findings.push(document.finding("", message));
        } else if document.api_version == "v1" && document.kind == "List" {
            let items = document
                .node
                .get("items")
                .map(|entry| entry.value.kind.clone());
            if let Some(Kind::List(items)) = items {
                for item in items {
                    self.take(file, item);
                }
            }
        } else {
            self.documents.push(document);
        }
    }

    /// What is wrong, as an error; nothing if nothing is.
    pub(crate) fn refuse(findings: &[Finding]) -> Result<(), Failure> {
        let lines: Vec<String> = findings.iter().map(|it| format!("\n  {it}")).collect();
        match findings {
            [] => Ok(()),
            _ => Err(Failure::new(format!(
                "the manifests have {}:{}",
                counted(findings.len(), "finding"),
                lines.concat()
            ))
            .hint("correct them; swr-operator validate checks them without cluster and cloud")),
        }
    }
}

/// The words of a parser's error in one line, without the place that is said already.
fn told(error: &serde_saphyr::Error) -> String {
    let mut cause = error;
    while let serde_saphyr::Error::AliasError { error, .. } = cause {
        cause = error.without_snippet();
    }
    if let serde_saphyr::Error::Budget { .. } = cause {
        return "holds more than any manifest, with what its aliases stand for".to_owned();
    }
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.split(" at line ").next().unwrap_or(line);
    format!("is no YAML: {}", line.trim_start_matches("error: "))
}

#[cfg(test)]
mod tests;
