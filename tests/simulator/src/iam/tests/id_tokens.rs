//! Who comes with an ID token.

use super::*;

#[test]
fn an_id_token_comes_through_a_provider_that_is_known() {
    check_refused(&[
        (
            |c| {
                let mut request = unscoped_token_request(&c.id_token());
                request.headers.clear();
                request
            },
            400,
            "X-Idp-Id is missing",
        ),
        (
            |c| {
                let mut request = unscoped_token_request(&c.id_token());
                request.headers.clear();
                request.with_header("X-Idp-Id", "x")
            },
            404,
            "Could not find Identity Provider: x",
        ),
        (
            |_| post(ID_TOKENS, &json!({"auth": {}})),
            400,
            "auth.id_token.id is missing",
        ),
        (
            |c| {
                let further = json!({"provider_urn": "x", "id_token": c.id_token()});
                post(ASSUME_OIDC, &session(&further))
            },
            403,
            "The identity provider is not trusted",
        ),
        (
            |c| {
                c.world.iam.trust.agency = "other".to_owned();
                oidc_request(&c.id_token())
            },
            403,
            "You are not authorized to assume the agency",
        ),
        (
            |_| {
                let provider_urn = format!("iam::{DOMAIN}:oidcProvider:cce-oidc");
                post(
                    ASSUME_OIDC,
                    &session(&json!({"provider_urn": provider_urn})),
                )
            },
            400,
            "id_token is missing",
        ),
    ]);
}

/// All three who take an ID token give the same verdict, each with its own audience.
fn check_id_token(trust: &Value, token: impl Fn(&Cloud, &str) -> String, message: Option<&str>) {
    type Taker = (fn(&str) -> Request, &'static str, u16);
    let sources: [Taker; 3] = [
        (unscoped_token_request, "swr-operator", 201),
        (oidc_request, "swr-operator", 200),
        (pod_request, "pod-identity.example.com", 200),
    ];
    for (request, audience, ok) in sources {
        let mut cloud = Cloud::with(&[]);
        cloud.world.iam.trust.set_json(trust.clone()).unwrap();
        let request = request(&token(&cloud, audience));
        let expected = match message {
            Some(message) => (401, message.to_owned()),
            None => (ok, String::new()),
        };
        let seen = summary(&cloud.send(&request));
        assert_eq!(seen, expected, "{trust} {}", request.path);
    }
}

#[test]
fn an_id_token_is_taken_for_its_audience_its_issuer_and_its_time() {
    let any = json!({});
    let with = |name: &'static str, value: Value| {
        move |cloud: &Cloud, audience: &str| {
            let mut claims = claims(cloud.now, audience);
            claims[name] = value.clone();
            jwt(&claims)
        }
    };
    let right = |cloud: &Cloud, audience: &str| jwt(&claims(cloud.now, audience));
    let malformed = Some("The ID token is not a JWT");
    let audience = Some("The audience of the ID token is not trusted");
    let expired = Some("The ID token has expired");
    let now = Cloud::with(&[]).now.as_second();
    check_id_token(&any, right, None);
    check_id_token(
        &any,
        |cloud, audience| {
            let mut claims = claims(cloud.now, audience);
            claims["aud"] = json!(["other", audience]);
            jwt(&claims)
        },
        None,
    );
    check_id_token(&any, with("aud", json!("other")), audience);
    check_id_token(&any, with("aud", json!(["other"])), audience);
    check_id_token(&any, with("aud", Value::Null), audience);
    check_id_token(&any, with("exp", json!(now)), expired);
    check_id_token(&any, with("exp", json!(now + 1)), None);
    check_id_token(&any, with("exp", json!("soon")), malformed);
    check_id_token(&any, |_, _| "text".to_owned(), malformed);
    let bearer = |cloud: &Cloud, audience: &str| format!("Bearer {}", right(cloud, audience));
    check_id_token(&any, bearer, malformed);
    let issuer = json!({"issuer": "https://kubernetes.default.svc"});
    check_id_token(&issuer, right, None);
    check_id_token(
        &issuer,
        with("iss", json!("https://other")),
        Some("The issuer of the ID token is not trusted"),
    );
}

#[test]
fn only_the_token_that_is_named_is_taken_once_one_is() {
    let named = json!({"idToken": "any text", "podToken": "any text"});
    check_id_token(&named, |_, _| "any text".to_owned(), None);
    check_id_token(
        &named,
        |cloud, audience| jwt(&claims(cloud.now, audience)),
        Some("The ID token is not the one that is valid at present"),
    );
    // A token with claims is bound by them although it is named.
    let now = Cloud::with(&[]).now;
    let mut late = claims(now, "swr-operator");
    late["exp"] = json!(now.as_second());
    late["aud"] = json!(["swr-operator", "pod-identity.example.com"]);
    let late = jwt(&late);
    check_id_token(
        &json!({"idToken": late, "podToken": late}),
        |_, _| late.clone(),
        Some("The ID token has expired"),
    );
}
