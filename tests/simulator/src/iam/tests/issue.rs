//! By password, agency and token: who gets something, who does not.

use super::*;

#[test]
fn a_password_is_right_for_its_user_and_its_account() {
    fn with(user: Value) -> Request {
        password_request(&user, &json!({"project": {"name": "cn-north-4"}}))
    }
    const WRONG: &str = "The username or password is wrong.";
    const SCOPE: &str = "The scope must be the project";
    check_refused(&[
        (
            |_| with(json!({"name": "robot", "password": "x", "domain": {"name": "acme"}})),
            401,
            WRONG,
        ),
        (
            |_| with(json!({"name": "x", "password": "hunter2", "domain": {"name": "acme"}})),
            401,
            WRONG,
        ),
        (
            |_| with(json!({"name": "robot", "password": "hunter2", "domain": {"name": "x"}})),
            401,
            WRONG,
        ),
        (
            |cloud| {
                cloud.world.iam.user = None;
                with(robot())
            },
            401,
            WRONG,
        ),
        (
            |_| password_request(&robot(), &json!({"project": {"id": "x"}})),
            400,
            SCOPE,
        ),
        (
            |_| password_request(&robot(), &json!({"domain": {"name": "acme"}})),
            400,
            SCOPE,
        ),
    ]);
}

#[test]
fn an_agency_gives_a_token_of_the_project_to_who_may_assume_it() {
    let mut cloud = Cloud::with(&[]);
    let request = cloud.signed(role_request(TOKENS, &role(&json!({}))), &cloud.own_keys());
    let reply = cloud.send(&request);
    let body = json!({"token": {
        "expires_at": "2026-02-01T09:30:00.000000Z",
        "issued_at": "2026-01-31T09:30:00.000000Z",
        "methods": ["assume_role"],
        "project": {"id": PROJECT, "name": "cn-north-4", "domain": {"name": "swr-example"}},
        "user": {
            "name": "swr-example/swr-agency",
            "domain": {"id": DOMAIN, "name": "swr-example"},
        },
        "roles": [],
        "catalog": [],
    }});
    assert_eq!((reply.status, reply.value()), (201, body));
    let token = subject_token(&reply);
    assert_eq!(cloud.list_with_token(&token), (200, String::new()));
}

#[test]
fn an_agency_is_assumed_by_those_who_may_and_as_long_as_allowed() {
    fn old(cloud: &Cloud, further: &Value) -> Request {
        cloud.signed(role_request(OLD_KEYS, &role(further)), &cloud.own_keys())
    }
    fn new(cloud: &Cloud, further: &Value) -> Request {
        cloud.signed(post(ASSUME, &session(further)), &cloud.own_keys())
    }
    const NOT_ALLOWED: &str = "You are not authorized to assume the agency";
    const OLD: &str = "duration_seconds must be from 900 to 86400";
    const NEW: &str = "duration_seconds must be from 900 to 43200";
    const UNKNOWN: &str = "Incorrect IAM authentication information: x-auth-token not found";
    check_refused(&[
        (|_| role_request(OLD_KEYS, &role(&json!({}))), 401, UNKNOWN),
        (|_| role_request(TOKENS, &role(&json!({}))), 401, UNKNOWN),
        (|_| post(ASSUME, &session(&json!({}))), 401, UNKNOWN),
        (
            |cloud| {
                // It has no project, so it is good for a key and for nothing else.
                let token = cloud.unscoped_token();
                role_request(OLD_KEYS, &role(&json!({}))).with_header("X-Auth-Token", &token)
            },
            401,
            "Incorrect IAM authentication information: the token has no project",
        ),
        (|c| old(c, &json!({"agency_name": "x"})), 403, NOT_ALLOWED),
        (|c| old(c, &json!({"domain_name": "x"})), 403, NOT_ALLOWED),
        (|c| old(c, &json!({"domain_id": "x"})), 403, NOT_ALLOWED),
        (
            |c| old(c, &json!({"domain_name": null})),
            400,
            "assume_role needs agency_name and domain_id or domain_name",
        ),
        (|c| old(c, &json!({"duration_seconds": 899})), 400, OLD),
        (|c| old(c, &json!({"duration_seconds": 86401})), 400, OLD),
        (|c| old(c, &json!({"duration_seconds": "900"})), 400, OLD),
        (
            |c| {
                let body = json!({"auth": {"identity": {"methods": ["password"]}}});
                c.signed(post(OLD_KEYS, &body), &c.own_keys())
            },
            400,
            "The methods must be [\"assume_role\"] or [\"token\"]",
        ),
        (
            |c| new(c, &json!({"agency_urn": "iam::x:agency:swr-agency"})),
            403,
            NOT_ALLOWED,
        ),
        (|c| new(c, &json!({"duration_seconds": 43201})), 400, NEW),
        (
            |c| new(c, &json!({"agency_session_name": ""})),
            400,
            "agency_session_name is missing",
        ),
        (
            |c| c.signed(Request::new("POST", ASSUME, "{"), &c.own_keys()),
            400,
            "The request body is invalid",
        ),
        (
            |c| {
                let (keys, _) = key(&c.send(&oidc_request(&c.id_token())));
                let body = session(&json!({"duration_seconds": 3601}));
                c.signed(post(ASSUME, &body), &keys)
            },
            400,
            "duration_seconds must be from 900 to 3600",
        ),
    ]);
}

#[test]
fn a_key_is_given_for_a_token_that_lives() {
    let expired: Refused = (
        |cloud| {
            let token = cloud.unscoped_token();
            cloud.wait(86_400);
            token_request(&json!({"id": token}))
        },
        401,
        "The token has expired",
    );
    check_refused(&[
        expired,
        (
            |_| token_request(&json!({"id": "x"})),
            401,
            "The token is invalid",
        ),
        (
            |_| token_request(&json!({})),
            400,
            "auth.identity.token.id is missing",
        ),
        (
            |_| token_request(&json!({"id": "x", "duration_seconds": 1})),
            400,
            "duration_seconds must be from 900 to 86400",
        ),
    ]);
}

#[test]
fn an_unscoped_token_says_who_came_and_opens_nothing_of_swr() {
    let mut cloud = Cloud::with(&[]);
    let reply = cloud.send(&unscoped_token_request(&cloud.id_token()));
    let body = json!({"token": {
        "expires_at": "2026-02-01T09:30:00.000000Z",
        "issued_at": "2026-01-31T09:30:00.000000Z",
        "methods": ["mapped"],
        "user": {
            "id": "federated",
            "name": "federated",
            "domain": {"id": DOMAIN, "name": "swr-example"},
            "OS-FEDERATION": {
                "identity_provider": {"id": "cce-idp"},
                "protocol": {"id": "oidc"},
                "groups": [],
            },
        },
    }});
    assert_eq!((reply.status, reply.value()), (201, body));
    let message = "Incorrect IAM authentication information: the token has no project";
    assert_eq!(
        cloud.list_with_token(&subject_token(&reply)),
        (401, message.to_owned())
    );
}
