//! The kinds as CustomResourceDefinitions, with the rules that only the root schema can carry.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
    ValidationRule,
};
use kube::CustomResourceExt;

use super::account::SwrAccount;
use super::registry::ReplicationRegistry;

/// Every CRD of this operator, in the order of installation.
pub fn crds() -> [CustomResourceDefinition; 2] {
    [swr_account_crd(), replication_registry_crd()]
}

/// The CRD of `SwrAccount`.
pub fn swr_account_crd() -> CustomResourceDefinition {
    with_whole_sentences(SwrAccount::crd())
}

/// The CRD of `ReplicationRegistry`.
pub fn replication_registry_crd() -> CustomResourceDefinition {
    let mut crd = with_whole_sentences(ReplicationRegistry::crd());
    // Only a rule at the root can see metadata.name, which is the default of spec.name.
    let rule = ValidationRule {
        rule: "has(self.spec.name) || self.metadata.name.matches('^[a-z0-9-]{1,64}$')".to_owned(),
        message: Some(
            "metadata.name is not a valid registry name (1 to 64 lower-case letters, digits and '-'): set spec.name"
                .to_owned(),
        ),
        field_path: Some(".spec.name".to_owned()),
        ..ValidationRule::default()
    };
    for version in &mut crd.spec.versions {
        if let Some(schema) = version
            .schema
            .as_mut()
            .and_then(|validation| validation.open_api_v3_schema.as_mut())
        {
            schema
                .x_kubernetes_validations
                .get_or_insert_default()
                .push(rule.clone());
        }
    }
    crd
}

/// Takes the line breaks of the source out of every description, which `kubectl explain` would show; those
/// between paragraphs stay.
fn with_whole_sentences(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let schema = version.schema.as_mut();
        if let Some(schema) = schema.and_then(|it| it.open_api_v3_schema.as_mut()) {
            unwrap_descriptions(schema);
        }
    }
    crd
}

fn unwrap_descriptions(schema: &mut JSONSchemaProps) {
    if let Some(text) = &mut schema.description {
        let paragraphs = text
            .split("\n\n")
            .map(|paragraph| paragraph.replace('\n', " "));
        *text = paragraphs.collect::<Vec<_>>().join("\n\n");
    }
    let properties = schema.properties.iter_mut().flat_map(BTreeMap::values_mut);
    properties.for_each(unwrap_descriptions);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        unwrap_descriptions(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        unwrap_descriptions(values);
    }
}
