//! Samples, and the objects that pages show -> what the operator would make of them.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;
use swr_operator_api::account::SwrAccount;
use swr_operator_api::registry::ReplicationRegistry;
use swr_operator_core::credential::{Credential, SecretData};
use swr_operator_core::desired::{Desired, Scope};
use swr_operator_core::grant;

use super::{blocks, lost, objects};
use crate::architecture::{files, read};

/// Takes an object for what its kind says it is. Nothing that is written may get lost: a field
/// that our types do not know is a mistake in the sample.
fn typed<T: DeserializeOwned + serde::Serialize>(origin: &str, object: &Value) -> T {
    let typed: T = serde_json::from_value(object.clone())
        .unwrap_or_else(|error| panic!("{origin}: {error}\n{object:#}"));
    let kept = serde_json::to_value(&typed).expect("JSON");
    if let Some(lost) = lost(object, &kept) {
        panic!("{origin}: {lost} is no field of the kind");
    }
    typed
}

#[derive(Default)]
struct Samples {
    accounts: BTreeMap<String, SwrAccount>,
    registries: Vec<(String, ReplicationRegistry)>,
    secrets: BTreeMap<(String, String), SecretData>,
}

impl Samples {
    fn take(&mut self, origin: &str, text: &str) {
        for object in objects(text) {
            let name = |field: &str| {
                let found = object["metadata"][field].as_str();
                found.unwrap_or("default").to_owned()
            };
            match object["kind"].as_str() {
                Some("ReplicationRegistry") => {
                    self.registries
                        .push((origin.to_owned(), typed(origin, &object)));
                }
                Some("SwrAccount") => {
                    self.accounts.insert(name("name"), typed(origin, &object));
                }
                Some("Secret") => {
                    let data = object["stringData"].as_object().expect("stringData");
                    let secret = SecretData {
                        type_: object["type"].as_str().unwrap_or("Opaque").to_owned(),
                        data: data
                            .iter()
                            .map(|(key, value)| {
                                let value = value.as_str().expect("text").as_bytes().to_vec();
                                (key.clone(), value.into())
                            })
                            .collect(),
                    };
                    self.secrets
                        .insert((name("namespace"), name("name")), secret);
                }
                Some("Namespace" | "Kustomization") => {}
                other => panic!("{origin}: a sample of kind {other:?}"),
            }
        }
    }

    /// Everything the operator checks before it asks SWR.
    fn check(&self) {
        for (origin, registry) in &self.registries {
            let desired = Desired::parse(registry)
                .unwrap_or_else(|findings| panic!("{origin}: {findings:?}"));
            let namespace = registry.metadata.namespace.as_deref().unwrap_or("default");
            let scope = Scope::of(registry);
            let account = self
                .accounts
                .get(&*scope.account)
                .unwrap_or_else(|| panic!("{origin}: no account {:?}", scope.account));
            grant::check(
                &account.spec.grants,
                (namespace, &BTreeMap::new()),
                &scope.instance,
                &desired.registry,
            )
            .unwrap_or_else(|denied| panic!("{origin}: {}", denied.message));
            let key = (namespace.to_owned(), desired.secret.name.to_string());
            let secret = self
                .secrets
                .get(&key)
                .unwrap_or_else(|| panic!("{origin}: no Secret {key:?}"));
            let keys = desired.secret.keys.as_ref().map(|(k, s)| (&**k, &**s));
            if let Err(rejected) = Credential::from_secret(secret, keys) {
                panic!("{origin}: Secret {key:?}: {rejected}");
            }
        }
    }
}

#[test]
fn every_sample_is_one_that_the_operator_would_carry_out() {
    let mut samples = Samples::default();
    for path in files("deploy/samples", "yaml") {
        samples.take(&path, &read(&path));
    }
    assert!(samples.registries.len() >= 3 && !samples.accounts.is_empty());
    samples.check();
    // Each file is in the kustomization of its folder, and each folder in the one above it.
    for path in files("deploy/samples", "yaml") {
        let part = path.strip_suffix("/kustomization.yaml").unwrap_or(&path);
        let (folder, name) = part.rsplit_once('/').expect("a folder");
        assert!(
            part == "deploy/samples"
                || read(&format!("{folder}/kustomization.yaml")).contains(&format!("- {name}\n")),
            "{path} is in no kustomization"
        );
    }
}

#[test]
fn the_objects_that_pages_show_are_valid() {
    let mut samples = Samples::default();
    for path in [
        "deploy/samples/accounts/account.yaml",
        "deploy/samples/secrets/secrets.yaml",
    ] {
        samples.take(path, &read(path));
    }
    for path in ["README.md", "docs/install.md"] {
        for block in blocks(&read(path), "yaml") {
            samples.take(path, block);
        }
    }
    assert_eq!(samples.registries.len(), 2);
    samples.check();
}
