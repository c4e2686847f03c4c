//! Who may ask: signatures, tokens, projects, permissions, throttling, paths.

use super::*;

/// The answer of the gateway, without the request id.
fn gateway(status: u16, code: &str, message: &str) -> (u16, Value) {
    (status, json!({"error_code": code, "error_msg": message}))
}

fn check_request(cloud: &mut Cloud, request: &Request, answer: (u16, Value)) {
    let reply = cloud.world.handle(request, cloud.now);
    let request_id = reply.header("x-request-id").map(str::to_owned);
    let mut body = reply.value();
    if let Some(fields) = body.as_object_mut()
        && let Some(named) = fields.remove("request_id")
    {
        assert_eq!(named.as_str(), request_id.as_deref());
    }
    let (status, expected) = answer;
    assert_eq!((reply.status, body), (status, expected));
}

fn nothing_listed() -> (u16, Value) {
    (200, json!({"registries": [], "total": 0}))
}

#[test]
fn requests_that_are_not_signed_rightly_are_unauthorized() {
    let mut cloud = Cloud::with(&[]);
    let unsigned = Request::new("GET", REGISTRIES, "");
    let none = "Incorrect IAM authentication information: x-auth-token not found";
    check_request(&mut cloud, &unsigned, gateway(401, "APIGW.0301", none));
    let mut wrong = Request::new("GET", REGISTRIES, "");
    let keys = Keys {
        secret_key: "other".to_owned(),
        ..cloud.keys()
    };
    sign(&mut wrong, &keys, cloud.now);
    let fails = "Incorrect IAM authentication information: verify aksk signature fail";
    check_request(&mut cloud, &wrong, gateway(401, "APIGW.0301", fails));
    cloud.take(&Switch("gateway_prefix=APIG"));
    check_request(&mut cloud, &wrong, gateway(401, "APIG.0301", fails));
    let early = cloud.signed("GET", REGISTRIES, &Value::Null);
    cloud.take(&Wait(901_000));
    let late = "Incorrect IAM authentication information: verify aksk signature fail, x-sdk-date differs from the current time by more than 15 minutes";
    check_request(&mut cloud, &early, gateway(401, "APIG.0301", late));
}

#[test]
fn six_failures_in_a_row_lock_the_key_for_five_minutes_when_switched() {
    let mut cloud = Cloud::with(&["access_key_lock=on"]);
    let mut wrong = Request::new("GET", REGISTRIES, "");
    let keys = Keys {
        secret_key: "other".to_owned(),
        ..cloud.keys()
    };
    sign(&mut wrong, &keys, cloud.now);
    for _ in 0..6 {
        assert_eq!(cloud.world.handle(&wrong, cloud.now).status, 401);
    }
    let locked =
        "Incorrect IAM authentication information: AK access failed to reach the limit,forbidden";
    cloud.take(&Wait(299_000));
    let right = cloud.signed("GET", REGISTRIES, &Value::Null);
    check_request(&mut cloud, &right, gateway(401, "APIGW.0301", locked));
    cloud.take(&Wait(1000));
    check_request(&mut cloud, &right, nothing_listed());
}

fn token_request(password: &str, project: &str) -> Request {
    let body = json!({"auth": {
        "identity": {
            "methods": ["password"],
            "password": {"user": {"name": "robot", "password": password, "domain": {"name": "acme"}}},
        },
        "scope": {"project": {"name": project}},
    }});
    Request::new("POST", "/v3/auth/tokens?nocatalog=true", body.to_string())
}

fn with_token(token: &str) -> Request {
    Request::new("GET", REGISTRIES, "").with_header("X-Auth-Token", token)
}

#[test]
fn a_token_lets_requests_pass_until_it_expires() {
    let mut cloud = Cloud::with(&["credential_ttl_seconds=60"]);
    let reply = cloud
        .world
        .handle(&token_request("hunter2", "cn-north-4"), cloud.now);
    let token = reply.header("x-subject-token").unwrap().to_owned();
    let body = json!({"token": {
        "expires_at": "2026-01-31T09:31:00.000000Z",
        "issued_at": "2026-01-31T09:30:00.000000Z",
        "methods": ["password"],
        "project": {"id": PROJECT, "name": "cn-north-4", "domain": {"name": "acme"}},
        "user": {"name": "robot", "domain": {"name": "acme"}},
        "roles": [],
        "catalog": [],
    }});
    assert_eq!((reply.status, reply.value()), (201, body));
    check_request(&mut cloud, &with_token(&token), nothing_listed());
    let unknown = "Incorrect IAM authentication information: decrypt token fail";
    check_request(
        &mut cloud,
        &with_token("other"),
        gateway(401, "APIGW.0301", unknown),
    );
    cloud.take(&Wait(60_000));
    check_request(
        &mut cloud,
        &with_token(&token),
        gateway(401, "APIGW.0307", "The token must be updated"),
    );
    cloud.take(&Switch("token_error=service"));
    let service = refused(401, "SVCSTG.SWR.4010000", "Authentication failed");
    check_request(&mut cloud, &with_token(&token), service);
    cloud.world.iam.revoke();
    check_request(
        &mut cloud,
        &with_token(&token),
        gateway(401, "APIGW.0301", unknown),
    );
}

#[test]
fn iam_refuses_in_its_own_shape() {
    let mut cloud = Cloud::with(&[]);
    let iam = |code: u16, title: &str, message: &str| {
        (
            code,
            json!({"error": {"code": code, "title": title, "message": message}}),
        )
    };
    let wrong = iam(401, "Unauthorized", "The username or password is wrong.");
    check_request(&mut cloud, &token_request("hunter3", "cn-north-4"), wrong);
    let scope = iam(400, "Bad Request", "The scope must be the project");
    check_request(&mut cloud, &token_request("hunter2", "cn-east-3"), scope);
    let form = iam(400, "Bad Request", "The request body is invalid");
    check_request(
        &mut cloud,
        &Request::new("POST", "/v3/auth/tokens", "{"),
        form,
    );
}

#[test]
fn projects_are_found_by_the_name_of_the_region() {
    let check_found = |switches: &[&str], name: &str, ids: &[&str]| {
        let mut cloud = Cloud::with(switches);
        let mut request = Request::new("GET", &format!("/v3/projects?name={name}"), "");
        sign(&mut request, &cloud.keys(), cloud.now);
        let body = cloud.world.handle(&request, cloud.now).value();
        let found: Vec<_> = body["projects"]
            .as_array()
            .unwrap()
            .iter()
            .map(|project| {
                (
                    project["name"].as_str().unwrap(),
                    project["id"].as_str().unwrap(),
                )
            })
            .collect();
        let expected: Vec<_> = ids.iter().map(|id| (name, *id)).collect();
        assert_eq!(found, expected, "{switches:?}");
    };
    check_found(&[], "cn-north-4", &[PROJECT]);
    check_found(&[], "cn-east-3", &[]);
    check_found(&["projects=none"], "cn-north-4", &[]);
    check_found(
        &["projects=two"],
        "cn-north-4",
        &[PROJECT, "ffffffffffffffffffffffffffffffff"],
    );
}

#[test]
fn a_request_is_for_one_project() {
    let project_header = |cloud: &Cloud, target: &str, project: &str| {
        let mut request = Request::new("GET", target, "").with_header("X-Project-Id", project);
        sign(&mut request, &cloud.keys(), cloud.now);
        request
    };
    let mut cloud = Cloud::with(&[]);
    let other = project_header(&cloud, REGISTRIES, "other");
    let mismatch = "The project of X-Project-Id is not the project of the request";
    check_request(&mut cloud, &other, gateway(403, "APIGW.0302", mismatch));
    let foreign = project_header(&cloud, "/v2/other/instances", "other");
    check_request(
        &mut cloud,
        &foreign,
        gateway(403, "APIGW.0310", "The project is unavailable"),
    );
    cloud.take(&Switch("project_mismatch=ignored"));
    check_request(&mut cloud, &other, nothing_listed());
}

#[test]
fn a_permission_that_is_missing_is_told_in_three_ways() {
    let create = |switches: &[&str]| {
        let mut cloud = Cloud::with(switches);
        let reply = cloud.reply("POST", REGISTRIES, &basic("a"));
        (reply.status, reply.value())
    };
    let encoded = hex_sha256(b"swr:instance:createRegistry").repeat(12);
    let full = json!({
        "errors": [{
            "errorCode": "SVCSTG.SWR.4030170",
            "errorMessage": "Insufficient permissions",
            "detail": "",
            "encoded_authorization_message": encoded,
        }],
        "error_code": "SVCSTG.SWR.4030170",
        "error_msg": "Insufficient permissions",
        "details": [{"error_code": "SVCSTG.SWR.4030170", "error_msg": ""}],
        "encoded_authorization_message": encoded,
    });
    assert_eq!(create(&["deny=create"]), (403, full));
    let array = json!([
        {"errorCode": "SVCSTG.SWR.4030170", "errorMessage": "Insufficient permissions", "detail": ""}
    ]);
    assert_eq!(create(&["deny=writes", "denied_reply=array"]), (403, array));
    let (status, body) = create(&["deny=all", "denied_reply=gateway"]);
    assert_eq!((status, &body["error_code"]), (403, &json!("APIGW.0302")));
    assert_eq!(create(&["deny=list"]), id(1));
}

/// The statuses of create, list, show, update and delete, in this order.
fn check_denied(switch: &str, statuses: [u16; 5]) {
    let mut cloud = Cloud::with(&[]);
    cloud.take(&Create(basic("a")));
    cloud.world.switches.set_pair(switch).unwrap();
    let steps = [
        Create(basic("b")),
        List(""),
        Show("1"),
        Update("1", basic("a")),
        Delete("1"),
    ];
    let seen: Vec<_> = steps
        .iter()
        .filter_map(|step| Some(cloud.take(step)?.0))
        .collect();
    assert_eq!(seen, statuses, "{switch}");
}

#[test]
fn permissions_are_missing_one_by_one_or_together() {
    check_denied("deny=none", [201, 200, 200, 200, 200]);
    check_denied("deny=create", [403, 200, 200, 200, 200]);
    check_denied("deny=list", [201, 403, 200, 200, 200]);
    check_denied("deny=show", [201, 200, 403, 200, 200]);
    check_denied("deny=update", [201, 200, 200, 403, 200]);
    check_denied("deny=delete", [201, 200, 200, 200, 403]);
    check_denied("deny=writes", [403, 200, 200, 403, 403]);
    check_denied("deny=all", [403, 403, 403, 403, 403]);
}

/// The statuses and Retry-After headers of requests a second apart.
fn check_throttled(switches: &[&str], method: &str, answers: &[(u16, Option<&str>)]) {
    let mut cloud = Cloud::with(&["throttle_requests=2", "throttle_window_millis=4000"]);
    for pair in switches {
        cloud.world.switches.set_pair(pair).unwrap();
    }
    let seen: Vec<_> = answers
        .iter()
        .enumerate()
        .map(|(n, _)| {
            let body = if method == "POST" {
                basic(&format!("r{n}"))
            } else {
                Value::Null
            };
            let reply = cloud.reply(method, REGISTRIES, &body);
            cloud.take(&Wait(1000));
            (reply.status, reply.header("retry-after").map(str::to_owned))
        })
        .collect();
    let answers: Vec<_> = answers
        .iter()
        .map(|(status, after)| (*status, after.map(str::to_owned)))
        .collect();
    assert_eq!(seen, answers, "{switches:?}");
}

#[test]
fn requests_above_the_limit_are_throttled_when_switched() {
    let ok = (200, None);
    let made = (201, None);
    let no = (429, None);
    check_throttled(&[], "GET", &[ok, ok, ok]);
    check_throttled(&["throttle=all"], "GET", &[ok, ok, no, no, ok, ok, no]);
    check_throttled(&["throttle=writes"], "GET", &[ok, ok, ok]);
    check_throttled(&["throttle=writes"], "POST", &[made, made, no, no, made]);
    check_throttled(
        &["throttle=all", "retry_after=present"],
        "GET",
        &[ok, ok, (429, Some("2")), (429, Some("1")), ok],
    );
    check_throttled(
        &["throttle=all", "throttled_requests=counted"],
        "GET",
        &[ok, ok, no, no, no, no, no],
    );
    let mut cloud = Cloud::with(&["throttle=all", "throttle_requests=0"]);
    let request = cloud.signed("GET", REGISTRIES, &Value::Null);
    let text = "The throttling threshold has been reached: policy user over ratelimit,limit:0,time:1 minute";
    check_request(&mut cloud, &request, gateway(429, "APIGW.0308", text));
}

#[test]
fn paths_that_are_not_published_are_the_gateways_not_found() {
    let text = "The API does not exist or has not been published in the environment";
    let no_api = || gateway(404, "APIGW.0101", text);
    let check_path = |switches: &[&str], method: &str, path: &str, answer: (u16, Value)| {
        let mut cloud = Cloud::with(switches);
        let request = cloud.signed(method, path, &Value::Null);
        check_request(&mut cloud, &request, answer);
    };
    check_path(&[], "GET", "/v2/repositories", no_api());
    check_path(&[], "PATCH", REGISTRIES, no_api());
    check_path(&[], "GET", "/", no_api());
    let slash = format!("{REGISTRIES}/");
    let double = REGISTRIES.replace("/v2/", "/v2//");
    check_path(&[], "GET", &slash, no_api());
    check_path(&[], "GET", &double, no_api());
    check_path(&["path_slashes=accepted"], "GET", &slash, nothing_listed());
    check_path(&["path_slashes=accepted"], "GET", &double, nothing_listed());
    let mut cloud = Cloud::with(&["wrong_path=html"]);
    let reply = cloud.reply("GET", "/v2/repositories", &Value::Null);
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (404, Some("text/html"))
    );
}

#[test]
fn every_reply_has_a_request_id_of_its_own_unless_switched() {
    let mut cloud = Cloud::with(&[]);
    let mut request_id = |switch: &'static str| {
        cloud.take(&Switch(switch));
        let reply = cloud.reply("GET", REGISTRIES, &Value::Null);
        reply.header("x-request-id").map(str::to_owned)
    };
    let first = request_id("request_id_header=present").unwrap();
    let second = request_id("request_id_header=present").unwrap();
    assert_eq!((first.len(), second.len()), (32, 32));
    assert_ne!(first, second);
    assert_eq!(request_id("request_id_header=absent"), None);
}

#[test]
fn the_service_alone_answers_calls_that_nobody_signed() {
    let mut cloud = Cloud::with(&[]);
    let request = Request::new("GET", REGISTRIES, "");
    let call = Call::from_request(&request, cloud.world.switches.path_slashes).unwrap();
    let reply = cloud.world.serve(&call, &request, cloud.now);
    assert_eq!((reply.status, reply.value()), nothing_listed());
}
