//! Manifests -> every finding at once: the schema of the CRDs that this binary embeds, and the
//! operator's own checks of a spec, which say what the rules at admission say; and, on request, what the API server says.

mod schema;

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _};
use schemars::JsonSchema;
use serde::{Deserialize as _, Serialize};
use swr_operator_api::account::SwrAccount;
use swr_operator_api::registry::ReplicationRegistry;
use swr_operator_api::{GROUP, replication_registry_crd, swr_account_crd};
use swr_operator_core::desired::Desired;
use swr_operator_kube::{Applicable, Applied, ApplyOptions, Session};

use crate::cluster::{AT_ONCE, ObjectArgs, refused};
use crate::exit::{Exit, Failure};
use crate::manifest::{API_VERSION, Document, Finding, Manifests, Sources};
use crate::output::{Manners, Tone, counted};

/// Which manifests.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    #[command(flatten)]
    sources: Sources,

    /// Also ask the API server, by an apply that it does not carry out: what admission refuses, and what cannot be
    /// changed.
    #[arg(long)]
    server: bool,

    #[command(flatten)]
    object: ObjectArgs,

    /// Print the JSON schema of `--output json`, and end.
    #[arg(long, exclusive = true)]
    schema: bool,

    #[command(flatten)]
    manners: Manners,
}

const AFTER_HELP: &str = "\
Exit codes: 0 everything is valid; 1 there are findings, or a file cannot be read; 64 usage.

Without --server it is not checked whether a field that cannot be changed was changed, nor the rules for the items of a
SwrAccount's grants. Objects in a file with other findings are not sent to the API server.";

/// The result of `validate`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Report {
    /// Version of this format: the first number changes when a field goes or means something else.
    format_version: &'static str,
    /// Whether there is no finding.
    valid: bool,
    /// How many objects of this operator's kinds were checked.
    checked: usize,
    /// How many objects of other kinds were passed over.
    ignored: usize,
    /// Everything that is wrong, by file and place.
    findings: Vec<Found>,
}

/// Something that is wrong, and where.
#[derive(Debug, Serialize, JsonSchema)]
struct Found {
    /// The file as it was named; `-` is stdin.
    file: String,
    /// Line, from 1.
    line: u64,
    /// Column, from 1.
    column: u64,
    /// Path of the field, as `spec.url`; empty for a document as a whole.
    field: String,
    /// What is wrong, and what would be right.
    message: String,
}

pub(crate) async fn run(args: Args) -> Result<Exit, Failure> {
    if args.schema {
        return args.manners.print_schema(&schemars::schema_for!(Report));
    }
    if args.sources.paths.is_empty() {
        return Err(Failure::new("nothing to validate was named")
            .hint("swr-operator validate -f FILE, a folder, or - for stdin")
            .exits(Exit::Usage));
    }
    let manifests = args.sources.read()?;
    let mut checked = check(&manifests);
    if args.server {
        let session = args.object.session().await?;
        let namespace = args.object.namespace(&session);
        let refused = ask(&session, &namespace, &manifests, &checked.findings).await?;
        checked.findings.extend(refused);
        sort(&mut checked.findings);
    }
    let report = Report {
        format_version: "1.0",
        valid: checked.findings.is_empty(),
        checked: checked.n_objects,
        ignored: checked.n_ignored,
        findings: checked.findings.into_iter().map(found).collect(),
    };
    args.manners.print(&report, human, |report| {
        let mut files: Vec<String> = report.findings.iter().map(|it| it.file.clone()).collect();
        files.dedup();
        files
    })?;
    match report.valid {
        true => Ok(Exit::Done),
        false => Ok(Exit::Failed),
    }
}

fn found(finding: Finding) -> Found {
    Found {
        file: finding.file,
        line: finding.at.line,
        column: finding.at.column,
        field: finding.field,
        message: finding.message,
    }
}

fn human(report: &Report) -> String {
    let line = |found: &Found| {
        let Found {
            file,
            line,
            column,
            field,
            message,
        } = found;
        let place = Tone::Strong.paint(&format!("{file}:{line}:{column}:"));
        let error = Tone::Wrong.paint("error:");
        let field = match field.as_str() {
            "" => String::new(),
            field => format!("{field}: "),
        };
        format!("{place} {error} {field}{message}\n")
    };
    let lines: String = report.findings.iter().map(line).collect();
    let checked = counted(report.checked, "object");
    let ignored = match report.ignored {
        0 => String::new(),
        n => format!(" ({} of other kinds passed over)", counted(n, "object")),
    };
    match report.findings.len() {
        0 => format!("{checked} checked, all valid{ignored}.\n"),
        n => format!(
            "{lines}\n{checked} checked, {}{ignored}.\n",
            counted(n, "finding")
        ),
    }
}

/// What was checked.
pub(crate) struct Checked {
    pub(crate) n_objects: usize,
    pub(crate) n_ignored: usize,
    /// By file and place.
    pub(crate) findings: Vec<Finding>,
}

/// Checks every object of ours.
pub(crate) fn check(manifests: &Manifests) -> Checked {
    let mut findings = manifests.findings.clone();
    let (mut n_objects, mut n_ignored) = (0, 0);
    let (registry, account) = (replication_registry_crd(), swr_account_crd());
    let mut seen: BTreeMap<(String, String, String), String> = BTreeMap::new();
    for document in &manifests.documents {
        if document.api_version.split('/').next() != Some(GROUP) {
            n_ignored += 1;
            continue;
        }
        n_objects += 1;
        let is_known = document.api_version == API_VERSION;
        match document.kind.as_str() {
            _ if !is_known => {
                let message = format!("must be {API_VERSION}");
                findings.push(document.finding("apiVersion", message));
                continue;
            }
            "ReplicationRegistry" => {
                let before = findings.len();
                findings.extend(schema::check(document, &registry));
                if findings.len() == before {
                    findings.extend(rules_of_registry(document));
                }
            }
            "SwrAccount" => {
                let before = findings.len();
                findings.extend(schema::check(document, &account));
                if findings.len() == before {
                    findings.extend(rules_of_account(document));
                }
            }
            _ => {
                let message = "must be ReplicationRegistry or SwrAccount";
                findings.push(document.finding("kind", message));
                continue;
            }
        }
        if document.name().is_empty() {
            findings.push(document.finding("metadata.name", "Required value"));
        }
        let at = document.finding("metadata.name", "");
        let key = (
            document.kind.clone(),
            document.namespace().unwrap_or_default().to_owned(),
            document.name().to_owned(),
        );
        let here = format!("{}:{}:{}", at.file, at.at.line, at.at.column);
        if let Some(first) = seen.get(&key) {
            let message = format!("the same {} is at {first}", document.kind);
            findings.push(document.finding("metadata.name", message));
        } else {
            seen.insert(key, here);
        }
    }
    sort(&mut findings);
    Checked {
        n_objects,
        n_ignored,
        findings,
    }
}

fn sort(findings: &mut [Finding]) {
    findings.sort_by(|one, other| (&one.file, one.at).cmp(&(&other.file, other.at)));
}

/// What the API server has against the objects that nothing else was found against.
async fn ask(
    session: &Session,
    default: &str,
    manifests: &Manifests,
    found: &[Finding],
) -> Result<Vec<Finding>, Failure> {
    let is_spotless = |document: &&Document| {
        document.api_version == API_VERSION && found.iter().all(|it| it.file != document.file)
    };
    let tries = manifests
        .documents
        .iter()
        .filter(is_spotless)
        .filter_map(|document| {
            let kind = Applicable::of(&document.api_version, &document.kind)?;
            Some((document, kind))
        })
        .map(|(document, kind)| async move {
            let namespace = document.namespace().unwrap_or(default);
            let options = ApplyOptions {
                dry_run: true,
                // Whoever else manages fields of it is no objection.
                force_conflicts: true,
            };
            let applied = session
                .apply(kind, &document.to_json(), namespace, options)
                .await;
            let objections = match applied.map_err(refused)? {
                Applied::Taken(_) | Applied::Conflict(_) => Vec::new(),
                Applied::Objections(objections) => objections,
            };
            let objections = objections.into_iter();
            Ok::<_, Failure>(
                objections
                    .map(|it| document.finding(&it.field, it.message))
                    .collect::<Vec<_>>(),
            )
        });
    let answers: Vec<_> = stream::iter(tries).buffered(AT_ONCE).collect().await;
    let answers: Result<Vec<Vec<Finding>>, Failure> = answers.into_iter().collect();
    Ok(answers?.concat())
}

fn rules_of_registry(document: &Document) -> Vec<Finding> {
    match ReplicationRegistry::deserialize(document.to_json()) {
        Ok(cr) => match Desired::parse(&cr) {
            Ok(_) => Vec::new(),
            Err(invalid) => invalid
                .into_iter()
                .map(|it| document.finding(it.field, it.message))
                .collect(),
        },
        Err(error) => vec![document.finding("spec", error.to_string())],
    }
}

fn rules_of_account(document: &Document) -> Vec<Finding> {
    match SwrAccount::deserialize(document.to_json()) {
        Ok(cr) if cr.spec.auth.source().is_none() => {
            let message = "must have exactly one source of a credential";
            vec![document.finding("spec.auth", message)]
        }
        Ok(_) => Vec::new(),
        Err(error) => vec![document.finding("spec", error.to_string())],
    }
}

#[cfg(test)]
mod tests;
