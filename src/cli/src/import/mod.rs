//! What exists already -> manifests that adopt it: registries of SWR, or of a Terraform state. Prints no secret, and
//! writes nothing but the files that are asked for.

mod found;
mod secrets;
mod terraform;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use swr_operator_core::desired::InstanceId;

use self::found::{Found, Names};
use crate::cloud::{CloudArgs, any_sealer, not_listed};
use crate::exit::{Exit, Failure};
use crate::manifest::{API_VERSION, read_text};
use crate::output::{counted, print};
use crate::progress::progress;

/// What is imported.
#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(subcommand)]
    from: From,
}

/// Where from.
#[derive(Debug, Subcommand)]
enum From {
    /// Every registry of an SWR instance that carries no operator's tag.
    List {
        /// Id of the instance.
        instance: String,
        #[command(flatten)]
        cloud: Box<CloudArgs>,
        #[command(flatten)]
        into: Into,
    },
    /// Single registries of SWR.
    Registry {
        /// INSTANCE/ID, as `terraform import` takes it.
        #[arg(required = true, value_name = "INSTANCE/ID", value_parser = place)]
        registries: Vec<(String, i64)>,
        #[command(flatten)]
        cloud: Box<CloudArgs>,
        #[command(flatten)]
        into: Into,
    },
    /// The registries of a Terraform state: `terraform state pull`, or `terraform show -json`.
    Terraform {
        /// The file, or `-` for stdin.
        file: PathBuf,
        /// Write the credentials of the state as Secrets into this folder, one file each, readable by you alone.
        #[arg(long, value_name = "FOLDER")]
        write_secrets: Option<PathBuf>,
        #[command(flatten)]
        into: Into,
    },
}

/// What the manifests say.
#[derive(Debug, Args)]
struct Into {
    /// Namespace of the objects.
    #[arg(short, long, default_value = "default")]
    namespace: String,

    /// SwrAccount that they name.
    #[arg(long, value_name = "NAME", default_value = "default")]
    account: String,

    /// How they are printed.
    #[arg(short, long, value_enum, default_value = "yaml")]
    output: Format,

    /// Say nothing on stderr but errors.
    #[arg(short, long)]
    quiet: bool,
}

/// How manifests are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One document for each object.
    Yaml,
    /// A `List`.
    Json,
}

fn place(text: &str) -> Result<(String, i64), String> {
    let parsed = text.split_once('/').and_then(|(instance, id)| {
        let id: i64 = id.parse().ok()?;
        (!instance.is_empty() && id > 0).then(|| (instance.to_owned(), id))
    });
    parsed.ok_or_else(|| {
        "expected INSTANCE/ID, such as 5f1c8a0e-1111-2222-3333-444455556666/42".to_owned()
    })
}

pub(crate) async fn run(args: ImportArgs) -> Result<Exit, Failure> {
    match args.from {
        From::List {
            instance,
            cloud,
            into,
        } => {
            let found = list(&cloud, &instance).await?;
            into.print(&found, None)
        }
        From::Registry {
            registries,
            cloud,
            into,
        } => {
            let mut found = Vec::new();
            for (instance, id) in registries {
                let all = list(&cloud, &instance).await?;
                let one = all.into_iter().find(|it| it.registry_id == Some(id));
                found.push(one.ok_or_else(|| {
                    Failure::new(format!("instance {instance} has no registry with id {id}"))
                        .hint(format!("swr-operator import list {instance}"))
                })?);
            }
            into.print(&found, None)
        }
        From::Terraform {
            file,
            write_secrets,
            into,
        } => {
            let found = terraform::found(&read_text(&file)?, &file.display().to_string())?;
            into.print(&found, write_secrets.as_deref())
        }
    }
}

async fn list(cloud: &CloudArgs, instance: &str) -> Result<Vec<Found>, Failure> {
    let reached = cloud
        .cloud(Arc::new(any_sealer()))?
        .of_environment()
        .await?;
    let id = InstanceId::new(instance);
    let listed = reached.reader.list(&id).await;
    let listed = listed.map_err(|failure| not_listed(&id, &failure))?;
    Ok(listed
        .records()
        .map(|record| Found::of_record(instance, record))
        .collect())
}

impl Into {
    fn print(&self, found: &[Found], secrets: Option<&std::path::Path>) -> Result<Exit, Failure> {
        let (taken, left): (Vec<&Found>, Vec<&Found>) =
            found.iter().partition(|found| !found.is_tagged);
        let say = |text: &str| progress(self.quiet, text);
        for found in left {
            say(&format!(
                "passed over registry {}: it carries the ownership tag of an operator",
                found.shown()
            ));
        }
        if taken.is_empty() {
            return Err(Failure::new("there is no registry to import"));
        }
        let mut names = Names::default();
        let mut objects: Vec<(Value, &Found)> = Vec::new();
        for found in taken {
            let name = names.of(found);
            for lack in found.lacks() {
                // Also where nobody wants progress: it has to be mended.
                progress(false, &format!("registry {}: {lack}", found.shown()));
            }
            objects.push((self.object(found, &name), found));
        }
        let regions = found::regions(found);
        if regions.len() > 1 {
            say(&format!(
                "the registries are in {}, and a SwrAccount is for one: import each by itself, with its --account",
                counted(regions.len(), "region")
            ));
        }
        if let Some(folder) = secrets {
            let n = secrets::write(folder, &self.namespace, &objects)?;
            say(&format!(
                "wrote {} to {}; keep them out of Git",
                counted(n, "Secret"),
                folder.display()
            ));
        }
        print(&match self.output {
            Format::Yaml => {
                let documents: Result<Vec<String>, _> = objects
                    .iter()
                    .map(|(object, _)| serde_saphyr::to_string(object))
                    .collect();
                documents.map_err(Failure::new)?.join("---\n")
            }
            Format::Json => {
                let items: Vec<&Value> = objects.iter().map(|(object, _)| object).collect();
                let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
                serde_json::to_string_pretty(&list).map_err(Failure::new)? + "\n"
            }
        })?;
        if secrets.is_none() {
            say(&format!(
                "imported {}; each needs its Secret: `kubectl create secret generic NAME --from-file=accessKey=FILE --from-file=accessSecret=FILE`",
                counted(objects.len(), "registry")
            ));
        }
        Ok(Exit::Done)
    }

    fn object(&self, found: &Found, name: &str) -> Value {
        let mut spec = found.spec(name);
        if self.account != "default" {
            spec["accountRef"] = json!({"name": self.account});
        }
        json!({
            "apiVersion": API_VERSION,
            "kind": "ReplicationRegistry",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": spec,
        })
    }
}
