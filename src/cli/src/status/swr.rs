//! What SWR holds for an object now, by one GET: of its registry if its id is known, else of the list. Each account is
//! reached once.

use std::collections::BTreeMap;

use serde_json::Value;
use swr_operator_core::desired::{InstanceId, RegistryId};
use swr_operator_core::failure::{Cause, Failure as SwrFailure};
use swr_operator_core::observed::Record;
use swr_operator_core::tag;
use swr_operator_kube::Session;

use super::report::{Registry, Swr, Tag};
use crate::cloud::{Cloud, Reached};
use crate::exit::Failure;

/// Asks SWR.
pub(super) struct Asker<'a> {
    cloud: Cloud,
    session: &'a Session,
    operator_namespace: &'a str,
    /// By name.
    accounts: BTreeMap<String, Result<Reached, Failure>>,
}

impl<'a> Asker<'a> {
    pub(super) fn new(cloud: Cloud, session: &'a Session, operator_namespace: &'a str) -> Self {
        Asker {
            cloud,
            session,
            operator_namespace,
            accounts: BTreeMap::new(),
        }
    }

    /// What SWR holds for an object of the cluster.
    pub(super) async fn ask(&mut self, object: &Value) -> Swr {
        let account = object["spec"]["accountRef"]["name"].as_str();
        let account = account.unwrap_or("default").to_owned();
        if !self.accounts.contains_key(&account) {
            let reached = self
                .cloud
                .of_cluster(self.session, &account, self.operator_namespace);
            let reached = reached.await;
            self.accounts.insert(account.clone(), reached);
        }
        let reached = match self.accounts.get(&account) {
            Some(Ok(reached)) => reached,
            Some(Err(failure)) => {
                return Swr::Unknown {
                    why: failure.what().to_owned(),
                    hint: failure.advice().map(str::to_owned),
                };
            }
            None => return Swr::Missing,
        };
        match look(reached, object).await {
            Ok(Some(record)) => Swr::Registry(Box::new(registry(&record, object))),
            Ok(None) => Swr::Missing,
            Err(failure) => Swr::Unknown {
                why: failure.to_string(),
                hint: None,
            },
        }
    }
}

async fn look(reached: &Reached, object: &Value) -> Result<Option<Record>, SwrFailure> {
    let instance = InstanceId::new(object["spec"]["instanceId"].as_str().unwrap_or_default());
    if let Some(id) = object["status"]["registryId"].as_i64() {
        return match reached.reader.show(&instance, RegistryId(id)).await {
            Ok(record) => Ok(Some(record)),
            Err(failure) if failure.cause == Cause::RegistryNotFound => Ok(None),
            Err(failure) => Err(failure),
        };
    }
    let name = object["spec"]["name"].as_str();
    let name = name.or_else(|| object["metadata"]["name"].as_str());
    let inventory = reached.reader.list(&instance).await?;
    let mut records = inventory.records();
    Ok(records.find(|it| Some(it.name.as_str()) == name).cloned())
}

fn registry(record: &Record, object: &Value) -> Registry {
    let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
    let (description, tag) = tag::split(&record.description);
    Registry {
        id: record.id.0,
        name: record.name.clone(),
        type_: record.type_.to_string(),
        url: record.url.to_string(),
        insecure: record.insecure,
        description: description.to_owned(),
        health: record.health.word(),
        updated_at: record.updated_at.clone(),
        tag: match tag {
            None => Tag::None,
            Some(tag) if tag::uid_of(tag) == Some(tag::uid_bytes(uid)) => Tag::Own,
            Some(_) => Tag::Other,
        },
    }
}
