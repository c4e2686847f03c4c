//! RAW: a plain client that does the unavoidable Kubernetes writes and nothing else. It is the floor in the same run: no
//! operator that keeps its promises can ask less of the API server.

use serde_json::{Value, json};

use super::client::{Client, User};
use super::objects::Place;
use crate::Error;

pub(crate) const FINALIZER: &str = "swr.huaweicloud.com/registry";

/// After the user's create: finalizer, intent, result. With the user's own request that is RAW(4).
pub(crate) async fn create(
    client: &Client,
    raw: &User,
    place: &Place,
    new: &Value,
) -> Result<(), Error> {
    let path = path_of(place, new);
    let finalizer = json!({"metadata": {
        "resourceVersion": version(new), "finalizers": [FINALIZER],
    }});
    let held = client.merge(raw, &path, &finalizer).await?;
    let intent = json!({
        "metadata": {"resourceVersion": version(&held)},
        "status": {"createIntent": {"attempt": 1, "startedAt": NOW}},
    });
    let intended = client
        .merge(raw, &format!("{path}/status"), &intent)
        .await?;
    settle(client, raw, place, &intended).await
}

/// After the user's edit, or a new Secret: the object as it is, and its status.
pub(crate) async fn update(
    client: &Client,
    raw: &User,
    place: &Place,
    name: &str,
) -> Result<(), Error> {
    let object = client.get(raw, &place.path_of(name)).await?;
    settle(client, raw, place, &object).await
}

/// After the user's delete: the object as it is, and its finalizer off.
pub(crate) async fn delete(
    client: &Client,
    raw: &User,
    place: &Place,
    name: &str,
) -> Result<(), Error> {
    let path = place.path_of(name);
    let object = client.get(raw, &path).await?;
    let patch = json!({"metadata": {
        "uid": object["metadata"]["uid"], "resourceVersion": version(&object), "finalizers": [],
    }});
    client.merge(raw, &path, &patch).await?;
    Ok(())
}

/// All objects, in pages of 500.
pub(crate) async fn list(client: &Client, raw: &User, place: &Place) -> Result<(), Error> {
    let mut token = String::new();
    loop {
        let path = format!("{}?limit=500&continue={token}", place.path());
        let page = client.get(raw, &path).await?;
        match page["metadata"]["continue"].as_str() {
            Some(next) if !next.is_empty() => next.clone_into(&mut token),
            Some(_) | None => return Ok(()),
        }
    }
}

/// The status that says Ready, with the fields and about the bytes that the operator writes.
async fn settle(client: &Client, raw: &User, place: &Place, object: &Value) -> Result<(), Error> {
    let generation = &object["metadata"]["generation"];
    let spec = &object["spec"];
    let condition = |kind: &str| {
        json!({
            "type": kind, "status": "True", "reason": "Available", "lastTransitionTime": NOW,
            "observedGeneration": generation, "message": "the registry is equal to the spec and healthy",
        })
    };
    let patch = json!({
        "metadata": {"resourceVersion": version(object)},
        "status": {
            "createIntent": null,
            "observedGeneration": generation,
            "registryId": 1,
            "createdAt": NOW,
            "binding": {
                "projectId": "0123456789abcdef0123456789abcdef", "region": "ap-southeast-3",
                "instanceId": spec["instanceId"],
            },
            "observed": {
                "name": spec["name"], "type": spec["type"], "url": spec["url"], "insecure": true,
                "description": spec["description"], "status": "healthy", "updatedAt": NOW,
            },
            "conditions": [condition("Ready"), condition("Synced")],
        },
    });
    let path = format!("{}/status", path_of(place, object));
    client.merge(raw, &path, &patch).await?;
    Ok(())
}

/// An instant like any other.
const NOW: &str = "2026-01-01T00:00:00Z";

fn path_of(place: &Place, object: &Value) -> String {
    place.path_of(object["metadata"]["name"].as_str().unwrap_or_default())
}

fn version(object: &Value) -> &Value {
    &object["metadata"]["resourceVersion"]
}
