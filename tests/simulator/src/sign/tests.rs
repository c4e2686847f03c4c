//! Vectors of Huawei's own signer, and what the gateway must not accept.

use super::*;

const PROJECT: &str = "0605767a3a80d5762fb2c00a1b2c3d4e";
const REGISTRIES: &str = "/v2/0605767a3a80d5762fb2c00a1b2c3d4e/instances/1d7a1e6c-9f0b-4c1e-8a2f-3b5d7e9c0a11/registries";
const UPDATE: &str = r#"{"name":"test112","description":"","type":"swr-pro-internal","project_id":"0605767a3a80d5762fb2c00a1b2c3d4e","region_id":"cn-north-4","instance_id":"1d7a1e6c-9f0b-4c1e-8a2f-3b5d7e9c0a22","url":"https://target.example.test","credential":{"type":"basic","access_key":"user1","access_secret":"p@ss"},"insecure":true}"#;
const TEMPORARY: &str = "ggpjbi1ub3J0aC00TOKEN+/=EXAMPLE";

fn keys() -> Keys {
    Keys {
        access_key: "AKIDEXAMPLE0000SWR01".to_owned(),
        secret_key: "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00".to_owned(),
        security_token: None,
    }
}

fn temporary_keys() -> Keys {
    Keys {
        security_token: Some(TEMPORARY.to_owned()),
        ..keys()
    }
}

fn noon() -> Timestamp {
    "2026-01-31T09:30:00Z".parse().unwrap()
}

fn request(method: &str, target: &str, body: &str) -> Request {
    Request::new(method, target, body)
        .with_header("Content-Type", "application/json")
        .with_header("Host", "swr-api.cn-north-4.myhuaweicloud.com")
        .with_header("X-Project-Id", PROJECT)
        .with_header("X-Sdk-Date", "20260131T093000Z")
}

fn authorized(request: Request, signed_headers: &str, signature: &str) -> Request {
    request.with_header(
        "Authorization",
        &format!(
            "SDK-HMAC-SHA256 Access=AKIDEXAMPLE0000SWR01, SignedHeaders={signed_headers}, Signature={signature}"
        ),
    )
}

fn v1() -> Request {
    authorized(
        request(
            "GET",
            &format!(
                "{REGISTRIES}?limit=100&name=a%20b%2Fc%2Bd~%C3%A9%26%3D&offset=0&order_column=created_at&order_type=desc"
            ),
            "",
        ),
        "content-type;host;x-project-id;x-sdk-date",
        "1e1f0730e256bb5153588c6eece3cacaf4b7e99149cf605609fd84dd003276a1",
    )
}

fn v2() -> Request {
    authorized(
        request("PUT", &format!("{REGISTRIES}/7"), UPDATE),
        "content-type;host;x-project-id;x-sdk-date",
        "eb9d1706dec1928609677f0c5dd3d96315cc5ef7bf973f1be442e5be07fbc469",
    )
}

fn v3() -> Request {
    authorized(
        request("DELETE", &format!("{REGISTRIES}/7"), "")
            .with_header("X-Security-Token", TEMPORARY),
        "content-type;host;x-project-id;x-sdk-date;x-security-token",
        "7fa0d0b2301d9a9f2e53a9b00645d519628b32474bedc5da4b2a42ba3e9db977",
    )
}

fn v4() -> Request {
    authorized(
        Request::new("GET", "/v3/projects?name=cn-north-4", "")
            .with_header("Content-Type", "application/json")
            .with_header("Host", "iam.cn-north-4.myhuaweicloud.com")
            .with_header("X-Sdk-Date", "20260131T093000Z"),
        "content-type;host;x-sdk-date",
        "e51a77bfb9a53d9f988ccd3daea2e46b76f194c8a02bfe40434195c70f76b6da",
    )
}

/// The vector is accepted, and its canonical request has the documented hash.
fn check_vector(request: &Request, keys: &Keys, canonical_sha256: &str) {
    assert_eq!(verify(request, keys, noon()), Ok(()));
    let header = request.header("authorization").unwrap();
    let signed_headers = Authorization::parse(header).unwrap().signed_headers;
    let canonical = canonical_request(request, signed_headers, &hex_sha256(&request.body)).unwrap();
    assert_eq!(
        hex_sha256(canonical.as_bytes()),
        canonical_sha256,
        "{canonical}"
    );
}

#[test]
fn vectors_of_the_official_signer_are_accepted() {
    check_vector(
        &v1(),
        &keys(),
        "21e8c1f97c5291aa5e19e11e6d5117007eb0a486656b892557555beb735af208",
    );
    check_vector(
        &v2(),
        &keys(),
        "5d07f40f4ce672cb12597cef7bc3601e1d875f15bb47fc99e27addabe723f4ab",
    );
    check_vector(
        &v3(),
        &temporary_keys(),
        "6f4e6641223c3744fcd12b4920a70646495bc0766a86176bb3eb24f245e87aac",
    );
    check_vector(
        &v4(),
        &keys(),
        "c94c6671e9e808db42dcc05fca343722c0b9c3fbc4c502d0794aff1f315daf64",
    );
}

fn check(case: &str, request: &Request, verdict: Result<(), Flaw>) {
    assert_eq!(verify(request, &keys(), noon()), verdict, "{case}");
}

fn changed(mut request: Request, name: &str, value: &str) -> Request {
    for (its, old) in &mut request.headers {
        if its == name {
            value.clone_into(old);
        }
    }
    request
}

/// A PUT whose `Authorization` header has one part replaced.
fn reauthorized(from: &str, to: &str) -> Request {
    let header = v2().header("authorization").unwrap().replace(from, to);
    changed(v2(), "authorization", &header)
}

fn with_query(query: &str) -> Request {
    Request {
        query: query.to_owned(),
        ..v1()
    }
}

#[test]
fn what_the_signature_does_not_cover_may_differ() {
    let unsigned = v2().with_header("X-Domain-Id", "d");
    check("extra header, unsigned", &unsigned, Ok(()));
    let reordered = with_query(
        "offset=0&name=a%20b%2Fc%2Bd%7E%c3%a9%26%3D&limit=100&order_type=desc&order_column=created_at",
    );
    check("parameters in another order", &reordered, Ok(()));
    let padded = changed(v2(), "x-project-id", &format!("  {PROJECT} "));
    check("blanks around a header", &padded, Ok(()));
}

#[test]
fn what_the_signature_covers_may_not_differ() {
    let mismatch = Err(Flaw::Mismatch);
    let post = Request {
        method: "POST".to_owned(),
        ..v2()
    };
    check("other method", &post, mismatch);
    let eight = Request {
        path: format!("{REGISTRIES}/8"),
        ..v2()
    };
    check("other path", &eight, mismatch);
    let body = Request {
        body: UPDATE.replace("p@ss", "p@st").into_bytes(),
        ..v2()
    };
    check("other body", &body, mismatch);
    check("other query", &with_query("limit=100"), mismatch);
    let plus = with_query(&v1().query.replace("%20", "+"));
    check("plus for a blank", &plus, mismatch);
    let project = changed(v2(), "x-project-id", "p");
    check("other signed header", &project, mismatch);
    let absent = reauthorized("host;", "host;x-domain-id;");
    check("signed header that is not there", &absent, mismatch);
}

#[test]
fn an_authorization_that_is_incomplete_or_of_somebody_else_is_refused() {
    let malformed = Err(Flaw::Malformed);
    let stranger = reauthorized("SWR01", "SWR02");
    check("other access key", &stranger, Err(Flaw::UnknownAccessKey));
    check(
        "date not signed",
        &reauthorized(";x-sdk-date", ""),
        malformed,
    );
    check("no signature", &reauthorized(", Signature=", ""), malformed);
    let bearer = changed(v2(), "authorization", "Bearer abc");
    check("other algorithm", &bearer, malformed);
    check(
        "no authorization",
        &request("GET", REGISTRIES, ""),
        malformed,
    );
    let date = changed(v2(), "x-sdk-date", "2026-01-31T09:30:00Z");
    check("date in another form", &date, malformed);
    let payload = v2().with_header("X-Sdk-Content-Sha256", "e3b0c442");
    check("hash of another body", &payload, Err(Flaw::Payload));
}

#[test]
fn fifteen_minutes_of_clock_difference_are_accepted_and_no_more() {
    let check = |now: &str, verdict| {
        assert_eq!(
            verify(&v2(), &keys(), now.parse().unwrap()),
            verdict,
            "{now}"
        );
    };
    check("2026-01-31T09:45:00Z", Ok(()));
    check("2026-01-31T09:45:01Z", Err(Flaw::Clock));
    check("2026-01-31T09:15:00Z", Ok(()));
    check("2026-01-31T09:14:59Z", Err(Flaw::Clock));
}

#[test]
fn temporary_keys_need_their_token() {
    assert_eq!(
        verify(&v2(), &temporary_keys(), noon()),
        Err(Flaw::SecurityToken)
    );
    let other = changed(v3(), "x-security-token", "other");
    assert_eq!(
        verify(&other, &temporary_keys(), noon()),
        Err(Flaw::SecurityToken)
    );
}

#[test]
fn what_sign_signs_is_accepted() {
    let mut request = Request::new("POST", REGISTRIES, UPDATE).with_header("Host", "127.0.0.1:9");
    sign(&mut request, &temporary_keys(), noon());
    assert_eq!(verify(&request, &temporary_keys(), noon()), Ok(()));
}
