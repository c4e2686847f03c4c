//! An error in each of the five shapes that SWR, its gateway and IAM give it, for each operation. Must not know the
//! operator's words for anything but a missing permission.

use serde_json::{Value, json};

use crate::bed::check_all;
use crate::site::{Site, condition, state};

/// Operation of the API, what could not be done, and the permission for it.
const OPERATIONS: [(&str, (&str, &str, &str)); 5] = [
    (
        "list",
        (
            "ListInstanceRegistries",
            "cannot list the instance's registries",
            "listRegistries",
        ),
    ),
    (
        "show",
        (
            "ShowInstanceRegistry",
            "cannot read the registry",
            "getRegistry",
        ),
    ),
    (
        "create",
        (
            "CreateInstanceRegistry",
            "cannot create the registry",
            "createRegistry",
        ),
    ),
    (
        "update",
        (
            "UpdateInstanceRegistry",
            "cannot update the registry",
            "updateRegistry",
        ),
    ),
    (
        "delete",
        (
            "DeleteInstanceRegistry",
            "cannot delete the registry",
            "deleteRegistry",
        ),
    ),
];

/// Each with a code of its own, and the part of the condition's message that names it.
fn shapes(encoded: &str) -> [(&'static str, Value); 5] {
    [
        (
            " (SVCSTG.SWR.4030170)",
            json!({
                "errors": [{
                    "errorCode": "OLD", "errorMessage": "old", "detail": "",
                    "encoded_authorization_message": encoded,
                }],
                "error_code": "SVCSTG.SWR.4030170", "error_msg": "shape-one is not allowed",
                "details": [{"error_code": "DETAIL", "error_msg": ""}],
                "encoded_authorization_message": encoded,
            }),
        ),
        (
            " (SVCSTG.SWR.4030171)",
            json!([{"errorCode": "SVCSTG.SWR.4030171", "errorMessage": "shape-two is not allowed", "detail": ""}]),
        ),
        (
            " (APIGW.0302)",
            json!({"error_msg": "shape-three is not allowed", "error_code": "APIGW.0302", "request_id": "r"}),
        ),
        (
            " (403)",
            json!({"error": {"code": 403, "message": "shape-four is not allowed", "title": "Forbidden"}}),
        ),
        ("", json!("<html><body>403 Forbidden</body></html>")),
    ]
}

#[test]
fn every_shape_of_an_error_is_read_in_every_operation() {
    check_all("shapes", &OPERATIONS, check);
}

fn check(site: &Site, (operation, cannot, action): &(&str, &str, &str)) {
    // Of the length that it has, and nobody's to see.
    let encoded = site.canary().secret().repeat(20);
    let mut object = match *operation {
        "CreateInstanceRegistry" => {
            site.put_login("it", &site.login());
            None
        }
        _ => Some(site.ready("it")),
    };
    for (at, (code, answer)) in shapes(&encoded).into_iter().enumerate() {
        let request_id = format!("{operation}-{at}");
        site.cloud.fault(&json!({
            "match": {"operation": operation}, "kind": "status", "status": 403, "body": answer,
            "headers": {"X-Request-Id": request_id},
        }));
        let look = format!("look {at}");
        match (*operation, at) {
            ("CreateInstanceRegistry", 0) => {
                site.create(&site.registry("it", "swr-pro"));
            }
            ("DeleteInstanceRegistry", 0) => site.delete("it"),
            ("ShowInstanceRegistry" | "UpdateInstanceRegistry", _) => {
                site.patch("it", &json!({"spec": {"description": look}}));
            }
            _ => site.request("it", &look),
        }
        let said = format!(
            "{cannot}: the account lacks the permission{code}; the account needs swr:instance:{action}"
        );
        site.await_status("it", &said, |object| {
            let ready = condition(object, "Ready");
            let message = ready["message"].as_str().unwrap_or_default();
            let rest = message.strip_prefix(said.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("; to let the object go"))
                && ready["status"] == "False"
        });
        let status = site.object("it")["status"].to_string();
        assert!(!status.contains(&request_id), "{status}");
        let log = site.log();
        let line = log
            .lines()
            .find(|line| line.contains(&format!("\"request_id\":\"{request_id}\"")))
            .unwrap_or_else(|| panic!("{request_id} is not in the log"));
        let text = ["shape-one", "shape-two", "shape-three", "shape-four", ""][at];
        assert!(line.contains(text), "{line}");
        site.cloud.clear_faults();
        // A LIST that failed stays so for a while, so each shape begins with what is well again.
        match object
            .as_ref()
            .filter(|_| *operation != "DeleteInstanceRegistry")
        {
            Some(before) if *operation != "ListInstanceRegistries" => {
                object = Some(site.await_sent_after("it", before));
            }
            Some(_) => {
                site.await_ready("it");
            }
            None => {}
        }
    }
    if *operation == "CreateInstanceRegistry" {
        site.request("it", "at last");
        site.await_ready("it");
    }
    if *operation == "DeleteInstanceRegistry" {
        // It may be gone already: then there is nothing to ask.
        if let Some(object) = site.try_object("it") {
            assert_ne!(state(&object, "Ready"), "True Available");
        }
        site.await_gone("it");
    }
}
