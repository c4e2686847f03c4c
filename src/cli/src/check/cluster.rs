//! The cluster: its version, our definitions in it, and who may do what.

use std::collections::BTreeSet;

use futures::future::join_all;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps,
    JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use swr_operator_api::crds;
use swr_operator_kube::{Refusal, Refused, Session};

use super::Args;
use super::report::Check;
use super::rights::{Needed, OPERATOR, PERSON, right, shown};
use crate::output::counted;

/// The README says so as well, and so does the chart: selectable fields of CRDs need it.
const MINOR_MIN: u32 = 31;

const INSTALL: &str = "apply the CustomResourceDefinitions of this version: swr-operator crd | kubectl apply --server-side -f -";

pub(super) async fn check(args: &Args, session: &Session) -> Vec<Check> {
    let mut checks = vec![version(session).await];
    for definition in crds() {
        checks.push(compared(session, &definition).await);
    }
    let namespace = args.object.namespace(session);
    checks.push(yours(session, &namespace).await);
    checks.push(operators(args, session).await);
    checks
}

fn refused(id: &str, refused: &Refused) -> Check {
    let next = match refused.refusal {
        Refusal::Unreachable => "check --kubeconfig and --context",
        Refusal::Forbidden => "ask an administrator for the right, or to run this check",
        Refusal::UnknownKind | Refusal::Other => "",
    };
    match refused.refusal {
        Refusal::Forbidden => Check::unknown(id, refused.to_string(), next),
        Refusal::Unreachable | Refusal::UnknownKind | Refusal::Other => {
            Check::problem(id, refused.to_string(), "", next)
        }
    }
}

async fn version(session: &Session) -> Check {
    let id = "kubernetes";
    let version = match session.server_version().await {
        Ok(version) => version,
        Err(error) => return refused(id, &error),
    };
    let text = version.text;
    match version.minor {
        Some(minor) if minor >= MINOR_MIN => Check::ok(id, text),
        Some(_) => Check::problem(
            id,
            format!("{text}, older than 1.{MINOR_MIN}"),
            "older API servers do not know selectable fields of a CustomResourceDefinition",
            "upgrade the cluster",
        ),
        None => Check::unknown(
            id,
            format!("{text}, which cannot be compared with 1.{MINOR_MIN}"),
            "",
        ),
    }
}

/// A definition of the cluster, compared with the one that this binary prints.
async fn compared(session: &Session, ours: &CustomResourceDefinition) -> Check {
    let name = ours.metadata.name.as_deref().unwrap_or_default();
    let id = format!("definition/{name}");
    let theirs = match session.definition(name).await {
        Ok(Some(theirs)) => theirs,
        Ok(None) => {
            return Check::problem(&id, "not installed", "there can be no objects", INSTALL);
        }
        Err(error) => return refused(&id, &error),
    };
    let problem = |found: String, why: &str| Check::problem(&id, found, why, INSTALL);
    let wanted = ours.spec.versions.first().map(|it| it.name.as_str());
    let wanted = wanted.unwrap_or_default();
    let conditions = theirs.status.iter().flat_map(|it| &it.conditions).flatten();
    let mut established = conditions.filter(|it| it.type_ == "Established");
    if !established.any(|it| it.status == "True") {
        return problem(
            "not established".to_owned(),
            "the API server does not serve it",
        );
    }
    let mut served = theirs.spec.versions.iter().filter(|it| it.served);
    let Some(version) = served.find(|it| it.name == wanted) else {
        return problem(
            format!("version {wanted} is not served"),
            "the operator reads and writes no other",
        );
    };
    if has_status(ours, wanted)
        && version
            .subresources
            .as_ref()
            .is_none_or(|it| it.status.is_none())
    {
        return problem(
            "it has no status".to_owned(),
            "the operator keeps in it what it has created",
        );
    }
    let lacks: Vec<String> = paths_of(ours, wanted)
        .difference(&paths(version))
        .cloned()
        .collect();
    match lacks.first() {
        None => Check::ok(&id, format!("{wanted}, with every field of this version")),
        Some(first) => {
            let more = match lacks.len() {
                1 => String::new(),
                n => format!(" and {} more", n - 1),
            };
            problem(
                format!("older than this version: it lacks {first}{more}"),
                "the API server drops fields that a definition does not have",
            )
        }
    }
}

fn version_of<'a>(
    definition: &'a CustomResourceDefinition,
    name: &str,
) -> Option<&'a CustomResourceDefinitionVersion> {
    definition.spec.versions.iter().find(|it| it.name == name)
}

fn has_status(definition: &CustomResourceDefinition, version: &str) -> bool {
    let version = version_of(definition, version);
    version.is_some_and(|it| {
        it.subresources
            .as_ref()
            .is_some_and(|it| it.status.is_some())
    })
}

fn paths_of(definition: &CustomResourceDefinition, version: &str) -> BTreeSet<String> {
    version_of(definition, version)
        .map(paths)
        .unwrap_or_default()
}

/// The path of every field below `spec` and `status`.
fn paths(version: &CustomResourceDefinitionVersion) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let schema = version.schema.as_ref();
    if let Some(schema) = schema.and_then(|it| it.open_api_v3_schema.as_ref()) {
        collect(schema, "", &mut found);
    }
    found
}

fn collect(schema: &JSONSchemaProps, before: &str, found: &mut BTreeSet<String>) {
    for (name, schema) in schema.properties.iter().flatten() {
        let path = match before {
            "" => name.clone(),
            before => format!("{before}.{name}"),
        };
        collect(schema, &path, found);
        found.insert(path);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        collect(items, &format!("{before}[]"), found);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
        collect(values, &format!("{before}.*"), found);
    }
}

async fn yours(session: &Session, namespace: &str) -> Check {
    let id = "rights/yours";
    let missing = missing(session, None, &PERSON, Some(namespace), "").await;
    match missing {
        Err(error) => refused(id, &error),
        Ok(missing) if missing.is_empty() => Check::ok(
            id,
            format!("everything that this command line does, in namespace {namespace}"),
        ),
        Ok(missing) => Check::problem(
            id,
            format!("you may not {}", missing.join(", ")),
            "some verbs of this command line need it",
            "ask an administrator for ClusterRole swr-operator-edit, and for swr-operator-account-view to read accounts",
        ),
    }
}

async fn operators(args: &Args, session: &Session) -> Check {
    let id = "rights/operator";
    let (operators, account) = (&args.operator_namespace, &args.service_account);
    let user = format!("system:serviceaccount:{operators}:{account}");
    let served = args.object.given_namespace();
    let missing = missing(session, Some(&user), &OPERATOR, served, operators).await;
    match missing {
        Err(error) => refused(id, &error),
        Ok(missing) if missing.is_empty() => Check::ok(
            id,
            format!("everything that ServiceAccount {operators}/{account} needs"),
        ),
        Ok(missing) => Check::problem(
            id,
            format!(
                "ServiceAccount {operators}/{account} lacks {}: {}",
                counted(missing.len(), "right"),
                missing.join(", ")
            ),
            "the operator cannot work without",
            "install the operator (deploy/base or the chart), name it by --operator-namespace and \
             --service-account, or, if it serves some namespaces, one of them by --namespace",
        ),
    }
}

/// The rights of these that do not hold, in words.
async fn missing(
    session: &Session,
    user: Option<&str>,
    needed: &[Needed],
    served: Option<&str>,
    operators: &str,
) -> Result<Vec<String>, Refused> {
    let rights = needed
        .iter()
        .filter_map(|needed| right(needed, served, operators));
    let asked = rights.map(|right| async move {
        let holds = session.may(user, right).await?;
        Ok::<_, Refused>((!holds).then(|| shown(&right)))
    });
    let answers: Result<Vec<Option<String>>, Refused> = join_all(asked).await.into_iter().collect();
    Ok(answers?.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_api_server_is_the_one_of_the_chart() {
        let chart = include_str!("../../../../charts/swr-operator/Chart.yaml");
        let line = format!("kubeVersion: \">=1.{MINOR_MIN}.0-0\"");
        assert!(chart.contains(&line), "{chart}");
    }

    #[test]
    fn the_fields_of_a_definition_have_paths() {
        let [account, registry] = crds();
        let (registry, account) = (
            paths_of(&registry, "v1alpha1"),
            paths_of(&account, "v1alpha1"),
        );
        for path in [
            "spec.url",
            "spec.dnsConf.hosts",
            "status.conditions[].reason",
        ] {
            assert!(registry.contains(path), "{registry:#?}");
        }
        assert!(
            account.contains("spec.grants[].targets.hosts"),
            "{account:#?}"
        );
    }
}
