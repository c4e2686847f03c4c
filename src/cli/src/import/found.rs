//! A registry that exists, from SWR or from a Terraform state -> the spec that adopts it as it is.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use swr_operator_core::credential::Credential;
use swr_operator_core::observed::Record;
use swr_operator_core::tag;

/// A registry that exists.
pub(super) struct Found {
    pub(super) instance_id: String,
    pub(super) registry_id: Option<i64>,
    /// Of the instance; only a state tells it.
    pub(super) region: Option<String>,
    pub(super) name: String,
    pub(super) type_: String,
    pub(super) url: String,
    pub(super) insecure: Option<bool>,
    /// Without an ownership tag.
    pub(super) description: String,
    pub(super) hosts: Option<BTreeMap<String, String>>,
    /// `projectId`, `regionId` and `instanceId` of `spec.target`.
    pub(super) target: [Option<String>; 3],
    /// Only a state tells it.
    pub(super) credential: Option<Credential>,
    /// Whether an operator has it already.
    pub(super) is_tagged: bool,
}

const TARGET: [&str; 3] = ["projectId", "regionId", "instanceId"];

impl Found {
    pub(super) fn of_record(instance: &str, record: &Record) -> Self {
        let (description, tag) = tag::split(&record.description);
        let hosts = record.dns_hosts.as_ref().map(|hosts| {
            let pairs = hosts.pairs();
            pairs
                .map(|(host, address)| (host.to_owned(), address.to_owned()))
                .collect()
        });
        Found {
            instance_id: instance.to_owned(),
            registry_id: Some(record.id.0),
            region: None,
            name: record.name.clone(),
            type_: record.type_.to_string(),
            url: record.url.to_string(),
            insecure: record.insecure,
            description: description.to_owned(),
            hosts,
            target: [
                record.project.as_deref().map(str::to_owned),
                record.region.as_deref().map(str::to_owned),
                record.instance.as_deref().map(str::to_owned),
            ],
            credential: None,
            is_tagged: tag.is_some(),
        }
    }

    /// As a person knows it.
    pub(super) fn shown(&self) -> String {
        match self.registry_id {
            Some(id) => format!("{} (id {id})", self.name),
            None => self.name.clone(),
        }
    }

    /// What is not known, and what then is to be done by hand.
    pub(super) fn lacks(&self) -> Vec<String> {
        let mut lacks = Vec::new();
        if self.type_ == "swr-pro" && self.hosts.is_none() {
            lacks.push(
                "SWR does not show its dnsConf; add spec.dnsConf if it has one, or its adoption clears it"
                    .to_owned(),
            );
        }
        if self.insecure.is_none() {
            lacks.push("SWR does not show whether it is insecure; check spec.insecure".to_owned());
        }
        if self.type_ == "swr-pro-internal" {
            let missing = TARGET.iter().zip(&self.target);
            lacks.extend(
                missing
                    .filter(|(_, value)| value.is_none())
                    .map(|(field, _)| format!("SWR does not show spec.target.{field}; fill it in")),
            );
        }
        if self.registry_id.is_none() {
            lacks.push("its id is not known; it is adopted by its name".to_owned());
        }
        lacks
    }

    /// The spec of an object of this name.
    pub(super) fn spec(&self, object: &str) -> Value {
        let mut spec = json!({"instanceId": self.instance_id});
        if self.name != object {
            spec["name"] = json!(self.name);
        }
        spec["type"] = json!(self.type_);
        spec["url"] = json!(self.url);
        spec["insecure"] = json!(self.insecure.unwrap_or(self.type_ == "swr-pro-internal"));
        if !self.description.is_empty() {
            spec["description"] = json!(self.description);
        }
        let hosts = self.hosts.as_ref().filter(|hosts| !hosts.is_empty());
        if let Some(hosts) = hosts.filter(|_| self.type_ == "swr-pro") {
            spec["dnsConf"] = json!({"hosts": hosts});
        }
        if self.type_ == "swr-pro-internal" {
            let known = TARGET.iter().zip(&self.target);
            let known = known
                .filter_map(|(field, value)| Some(((*field).to_owned(), json!(value.as_ref()?))));
            spec["target"] = Value::Object(known.collect());
        }
        spec["credentialSecretRef"] = json!({"name": object});
        spec["adoption"] = json!({"policy": "IfUnowned"});
        if let Some(id) = self.registry_id {
            spec["adoption"]["registryId"] = json!(id);
        }
        spec
    }
}

/// The regions of registries, as far as they are known.
pub(super) fn regions(found: &[Found]) -> BTreeSet<&str> {
    found.iter().filter_map(|it| it.region.as_deref()).collect()
}

/// Names of objects, each once.
#[derive(Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// A name that Kubernetes takes, as near to the registry's own as can be.
    pub(super) fn of(&mut self, found: &Found) -> String {
        let lower = found.name.to_lowercase().replace('_', "-");
        let kept: String = lower
            .chars()
            .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')
            .collect();
        let kept = kept.trim_matches('-');
        let id = found.registry_id.unwrap_or_default();
        let own = match kept {
            "" => format!("registry-{id}"),
            kept => kept.to_owned(),
        };
        let candidates = [own.clone(), format!("{own}-{id}")].into_iter();
        let numbered = (2..).map(|n| format!("{own}-{id}-{n}"));
        let mut free = candidates
            .chain(numbered)
            .filter(|name| !self.0.contains(name));
        let name = free.next().unwrap_or(own);
        self.0.insert(name.clone());
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, id: i64) -> Found {
        Found {
            instance_id: "source-1".to_owned(),
            registry_id: Some(id),
            region: None,
            name: name.to_owned(),
            type_: "huawei-SWR".to_owned(),
            url: "https://a.example.com".to_owned(),
            insecure: Some(true),
            description: String::new(),
            hosts: None,
            target: [None, None, None],
            credential: None,
            is_tagged: false,
        }
    }

    #[test]
    fn each_registry_gets_a_name_that_kubernetes_takes_and_none_twice() {
        let mut names = Names::default();
        let given = [
            ("Harbor_DR", 1),
            ("harbor-dr", 2),
            ("harbor_dr", 2),
            ("镜像", 4),
            ("镜像_a", 5),
            ("_-", 6),
        ];
        assert_eq!(
            given.map(|(name, id)| names.of(&found(name, id))),
            [
                "harbor-dr",
                "harbor-dr-2",
                "harbor-dr-2-2",
                "registry-4",
                "a",
                "registry-6"
            ]
        );
    }

    #[test]
    fn a_spec_adopts_the_registry_by_its_id_and_names_it_only_where_it_must() {
        assert_eq!(
            found("same", 42).spec("same"),
            json!({
                "instanceId": "source-1", "type": "huawei-SWR", "url": "https://a.example.com", "insecure": true,
                "credentialSecretRef": {"name": "same"},
                "adoption": {"policy": "IfUnowned", "registryId": 42}
            })
        );
        assert_eq!(found("Other", 42).spec("other")["name"], json!("Other"));
    }
}
