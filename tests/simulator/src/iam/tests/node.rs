//! What stands on the node: the metadata service, and the agent of Pod Identity.

use super::*;

#[test]
fn the_metadata_service_asks_for_a_token_that_it_gave() {
    const UNKNOWN: &str = "The metadata token is missing or invalid";
    const TTL: &str = "X-Metadata-Token-Ttl-Seconds must be from 1 to 21600";
    check_refused(&[
        (
            |_| Request::new("GET", metadata::KEY_PATH, ""),
            401,
            UNKNOWN,
        ),
        (|_| metadata_key_request("x"), 401, UNKNOWN),
        (
            |cloud| {
                let token = cloud.metadata_token();
                cloud.wait(21_600);
                metadata_key_request(&token)
            },
            401,
            UNKNOWN,
        ),
        (
            |cloud| {
                let token = cloud.metadata_token();
                cloud.world.iam.forget_metadata_tokens();
                metadata_key_request(&token)
            },
            401,
            UNKNOWN,
        ),
        (
            |cloud| {
                let token = cloud.metadata_token();
                cloud.world.switches.set_pair("ecs_agency=absent").unwrap();
                metadata_key_request(&token)
            },
            401,
            "Please configure Cloud Service Agency first",
        ),
        (|_| Request::new("PUT", metadata::TOKEN_PATH, ""), 400, TTL),
        (|_| metadata_token_request("0"), 400, TTL),
        (|_| metadata_token_request("21601"), 400, TTL),
    ]);
}

#[test]
fn an_old_metadata_service_knows_no_tokens() {
    let check_old = |status: &str, message: &str| {
        let mut cloud = Cloud::with(&[&format!("metadata_token={status}")]);
        let seen = summary(&cloud.send(&metadata_token_request("21600")));
        assert_eq!(seen, (status.parse().unwrap(), message.to_owned()));
        let keys = key(&cloud.send(&Request::new("GET", metadata::KEY_PATH, ""))).0;
        assert_eq!(cloud.list(&keys), (200, String::new()));
    };
    check_old("404", "Not Found");
    check_old("405", "Method Not Allowed");
    check_old("503", "Service Unavailable");
}

#[test]
fn pod_identity_answers_in_each_spelling_that_is_known() {
    let spelling = |word: &str| {
        let mut cloud = Cloud::with(&[&format!("pod_identity_reply={word}")]);
        let reply = cloud.send(&pod_request(&cloud.pod_token()));
        let (keys, expires_at) = key(&reply);
        assert_eq!(cloud.list(&keys), (200, String::new()));
        let body = reply.value();
        let (name, fields) = match body.as_object().unwrap().iter().next() {
            Some((name, Value::Object(fields))) => (name.as_str(), fields),
            _ => ("", body.as_object().unwrap()),
        };
        let names: Vec<&str> = fields.keys().map(String::as_str).collect();
        format!("{name}: {} {expires_at}", names.join(" "))
    };
    assert_eq!(
        ["credential", "credentials", "flat"].map(spelling),
        [
            "credential: access expires_at secret securitytoken 2026-01-31T15:30:00.000000Z",
            "credentials: access_key_id expiration secret_access_key security_token 2026-01-31T15:30:00.000Z",
            ": accessKeyId expiration secretAccessKey securityToken 2026-01-31T15:30:00.000Z",
        ]
    );
}

#[test]
fn pod_identity_wants_a_header_and_an_object() {
    check_refused(&[
        (
            |_| post(pod_identity::PATH, &json!({})),
            401,
            "Authorization is missing",
        ),
        (
            |c| {
                Request::new("POST", pod_identity::PATH, "")
                    .with_header("Authorization", &c.pod_token())
            },
            400,
            "The body must be a JSON object",
        ),
    ]);
}
