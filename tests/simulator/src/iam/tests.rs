//! Each source of credentials: what it gives to whom, what it refuses, and how long SWR takes what it gave.

use super::*;
use crate::iam::id_token::jwt;
use crate::sign::sign;
use crate::world::World;
use crate::world::example::example;

mod id_tokens;
mod issue;
mod node;

const REGISTRIES: &str = "/v2/0605767a3a80d5762fb2c00a1b2c3d4e/instances/1d7a1e6c-9f0b-4c1e-8a2f-3b5d7e9c0a11/registries";
const PROJECT: &str = "0605767a3a80d5762fb2c00a1b2c3d4e";
const DOMAIN: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";
const TOKENS: &str = "/v3/auth/tokens";
const OLD_KEYS: &str = "/v3.0/OS-CREDENTIAL/securitytokens";
const ID_TOKENS: &str = "/v3.0/OS-AUTH/id-token/tokens";
const ASSUME: &str = "/v5/agencies/assume";
const ASSUME_OIDC: &str = "/v5/agencies/assume-with-oidc";

/// The world and the time in it.
struct Cloud {
    world: World,
    now: Timestamp,
}

impl Cloud {
    fn with(switches: &[&str]) -> Self {
        let (world, now) = example(switches);
        Self { world, now }
    }

    fn wait(&mut self, secs: i64) {
        self.now = self
            .now
            .checked_add(SignedDuration::from_secs(secs))
            .unwrap();
    }

    fn send(&mut self, request: &Request) -> Reply {
        self.world.handle(request, self.now)
    }

    fn signed(&self, request: Request, keys: &Keys) -> Request {
        let mut request = request;
        sign(&mut request, keys, self.now);
        request
    }

    fn own_keys(&self) -> Keys {
        self.world.iam.keys.clone()
    }

    /// The status and message of a list of registries.
    fn list(&mut self, keys: &Keys) -> (u16, String) {
        let request = self.signed(Request::new("GET", REGISTRIES, ""), keys);
        summary(&self.send(&request))
    }

    fn list_with_token(&mut self, token: &str) -> (u16, String) {
        let request = Request::new("GET", REGISTRIES, "").with_header("X-Auth-Token", token);
        summary(&self.send(&request))
    }

    /// An ID token that is right for ten minutes.
    fn id_token(&self) -> String {
        jwt(&claims(self.now, "swr-operator"))
    }

    fn pod_token(&self) -> String {
        jwt(&claims(self.now, "pod-identity.example.com"))
    }

    fn unscoped_token(&mut self) -> String {
        let request = unscoped_token_request(&self.id_token());
        subject_token(&self.send(&request))
    }

    fn metadata_token(&mut self) -> String {
        let request = metadata_token_request("21600");
        String::from_utf8(self.send(&request).body).unwrap()
    }
}

fn claims(now: Timestamp, audience: &str) -> Value {
    json!({"iss": "https://kubernetes.default.svc", "aud": audience, "exp": now.as_second() + 600})
}

/// The message of an error in any of the shapes, or the plain text, or nothing.
fn summary(reply: &Reply) -> (u16, String) {
    let body = reply.value();
    let message = [&body["error_msg"], &body["error"]["message"]]
        .into_iter()
        .find_map(Value::as_str)
        .map(str::to_owned);
    let text = || match reply.status {
        200..300 => String::new(),
        _ => String::from_utf8_lossy(&reply.body).into_owned(),
    };
    (reply.status, message.unwrap_or_else(text))
}

fn subject_token(reply: &Reply) -> String {
    reply.header("x-subject-token").unwrap().to_owned()
}

fn post(path: &str, body: &Value) -> Request {
    Request::new("POST", path, body.to_string())
}

fn password_request(user: &Value, scope: &Value) -> Request {
    post(
        TOKENS,
        &json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": scope,
        }}),
    )
}

fn robot() -> Value {
    json!({"name": "robot", "password": "hunter2", "domain": {"name": "acme"}})
}

fn role(further: &Value) -> Value {
    let mut role = json!({"agency_name": "swr-agency", "domain_name": "swr-example"});
    for (name, value) in further.as_object().unwrap() {
        role[name] = value.clone();
    }
    role
}

fn role_request(path: &str, role: &Value) -> Request {
    post(
        path,
        &json!({"auth": {
            "identity": {"methods": ["assume_role"], "assume_role": role},
            "scope": {"project": {"name": "cn-north-4"}},
        }}),
    )
}

fn token_request(token: &Value) -> Request {
    post(
        OLD_KEYS,
        &json!({"auth": {"identity": {"methods": ["token"], "token": token}}}),
    )
}

fn unscoped_token_request(id_token: &str) -> Request {
    post(ID_TOKENS, &json!({"auth": {"id_token": {"id": id_token}}}))
        .with_header("X-Idp-Id", "cce-idp")
}

fn session(further: &Value) -> Value {
    let mut body = json!({
        "agency_urn": format!("iam::{DOMAIN}:agency:swr-agency"),
        "agency_session_name": "operator",
    });
    for (name, value) in further.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn oidc_request(id_token: &str) -> Request {
    let further = json!({
        "provider_urn": format!("iam::{DOMAIN}:oidcProvider:cce-oidc"),
        "id_token": id_token,
    });
    post(ASSUME_OIDC, &session(&further))
}

fn metadata_token_request(ttl: &str) -> Request {
    Request::new("PUT", metadata::TOKEN_PATH, "").with_header("X-Metadata-Token-Ttl-Seconds", ttl)
}

fn metadata_key_request(token: &str) -> Request {
    Request::new("GET", metadata::KEY_PATH, "").with_header("X-Metadata-Token", token)
}

fn pod_request(token: &str) -> Request {
    post(pod_identity::PATH, &json!({})).with_header("Authorization", token)
}

/// The key of a reply in any spelling, and when it says that it ends.
fn key(reply: &Reply) -> (Keys, String) {
    let body = reply.value();
    let fields = ["credential", "credentials"]
        .iter()
        .find_map(|name| body.get(name))
        .unwrap_or(&body);
    let text = |names: [&str; 3]| {
        names
            .iter()
            .find_map(|name| fields[name].as_str())
            .unwrap_or_else(|| panic!("{names:?} in {body}"))
            .to_owned()
    };
    let keys = Keys {
        access_key: text(["access", "access_key_id", "accessKeyId"]),
        secret_key: text(["secret", "secret_access_key", "secretAccessKey"]),
        security_token: Some(text(["securitytoken", "security_token", "securityToken"])),
    };
    (keys, text(["expires_at", "expiration", "expiration"]))
}

/// A source of keys: the request as it should be.
type Source = fn(&mut Cloud) -> Request;

const SOURCES: [(&str, Source, u16, &str); 8] = [
    (
        "an agency of old IAM, signed",
        |cloud| {
            let role = role(&json!({"duration_seconds": 7200}));
            cloud.signed(role_request(OLD_KEYS, &role), &cloud.own_keys())
        },
        201,
        "2026-01-31T11:30:00.000000Z",
    ),
    (
        "an agency of old IAM, with a token",
        |cloud| {
            let scope = json!({"project": {"id": PROJECT}});
            let token = subject_token(&cloud.send(&password_request(&robot(), &scope)));
            let role = role(&json!({"domain_id": DOMAIN, "domain_name": "does not count"}));
            role_request(OLD_KEYS, &role).with_header("X-Auth-Token", &token)
        },
        201,
        "2026-01-31T09:45:00.000000Z",
    ),
    (
        "a token of old IAM",
        |cloud| {
            let token = cloud.unscoped_token();
            token_request(&json!({"id": token, "duration_seconds": 21600}))
        },
        201,
        "2026-01-31T15:30:00.000000Z",
    ),
    (
        "an agency of STS",
        |cloud| {
            let body = session(&json!({"duration_seconds": 43200}));
            cloud.signed(post(ASSUME, &body), &cloud.own_keys())
        },
        200,
        "2026-01-31T21:30:00.000Z",
    ),
    (
        "STS with an ID token",
        |cloud| oidc_request(&cloud.id_token()),
        200,
        "2026-01-31T10:30:00.000Z",
    ),
    (
        "the metadata service",
        |cloud| metadata_key_request(&cloud.metadata_token()),
        200,
        "2026-01-31T15:30:00.000000Z",
    ),
    (
        "the old metadata service",
        |cloud| {
            cloud.world.switches.set_pair("metadata_token=404").unwrap();
            Request::new("GET", metadata::KEY_PATH, "")
        },
        200,
        "2026-01-31T15:30:00.000000Z",
    ),
    (
        "Pod Identity",
        |cloud| pod_request(&cloud.pod_token()),
        200,
        "2026-01-31T15:30:00.000000Z",
    ),
];

fn check_lives(name: &str, source: Source, status: u16, switches: &[&str], secs: i64, end: &str) {
    let mut cloud = Cloud::with(switches);
    let request = source(&mut cloud);
    let reply = cloud.send(&request);
    assert_eq!(reply.status, status, "{name}: {}", reply.value());
    let (keys, expires_at) = key(&reply);
    assert_eq!(expires_at, end, "{name}");
    cloud.wait(secs - 1);
    assert_eq!(cloud.list(&keys), (200, String::new()), "{name}");
    cloud.wait(1);
    assert_eq!(cloud.list(&keys), (401, EXPIRED_KEY.to_owned()), "{name}");
}

#[test]
fn every_source_gives_a_key_that_swr_takes_until_it_expires() {
    for (name, source, status, end) in SOURCES {
        let secs = end.parse::<Timestamp>().unwrap().as_second() - Cloud::with(&[]).now.as_second();
        check_lives(name, source, status, &[], secs, end);
    }
}

#[test]
fn a_switch_shortens_the_life_of_whatever_is_issued() {
    for (name, source, status, end) in SOURCES {
        // With as many digits behind the point as the source has.
        let short = format!("2026-01-31T09:30:03{}", &end[19..]);
        let switches = ["credential_ttl_seconds=3"];
        check_lives(name, source, status, &switches, 3, &short);
    }
}

#[test]
fn keys_live_beside_each_other_until_all_are_revoked() {
    let mut cloud = Cloud::with(&[]);
    let keys: Vec<Keys> = SOURCES
        .iter()
        .map(|(_, source, _, _)| {
            let request = source(&mut cloud);
            key(&cloud.send(&request)).0
        })
        .collect();
    let token = subject_token(&cloud.send(&password_request(
        &robot(),
        &json!({"project": {"id": PROJECT}}),
    )));
    for keys in &keys {
        assert_eq!(cloud.list(keys), (200, String::new()));
    }
    assert_eq!(cloud.list_with_token(&token), (200, String::new()));
    cloud.world.iam.revoke();
    let unknown = Flaw::UnknownAccessKey.message().to_owned();
    for keys in &keys {
        assert_eq!(cloud.list(keys), (401, unknown.clone()));
    }
    assert_eq!(cloud.list_with_token(&token).0, 401);
    assert_eq!(cloud.list(&cloud.own_keys()), (200, String::new()));
}

#[test]
fn a_temporary_key_is_nothing_without_its_secret_and_its_token() {
    let mut cloud = Cloud::with(&[]);
    let (keys, _) = key(&cloud.send(&oidc_request(&cloud.id_token())));
    let other = key(&cloud.send(&oidc_request(&cloud.id_token()))).0;
    let cases = [
        (None, keys.secret_key.clone(), Flaw::SecurityToken),
        (
            other.security_token,
            keys.secret_key.clone(),
            Flaw::SecurityToken,
        ),
        (
            keys.security_token.clone(),
            other.secret_key,
            Flaw::Mismatch,
        ),
    ];
    for (security_token, secret_key, flaw) in cases {
        let wrong = Keys {
            access_key: keys.access_key.clone(),
            secret_key,
            security_token,
        };
        assert_eq!(cloud.list(&wrong), (401, flaw.message().to_owned()));
    }
    let early = cloud.signed(Request::new("GET", REGISTRIES, ""), &keys);
    cloud.wait(901);
    let late = Flaw::Clock.message().to_owned();
    assert_eq!(summary(&cloud.send(&early)), (401, late));
}

/// A request that is refused, and what is said.
type Refused = (fn(&mut Cloud) -> Request, u16, &'static str);

fn check_refused(cases: &[Refused]) {
    for (request, status, message) in cases {
        let mut cloud = Cloud::with(&[]);
        let request = request(&mut cloud);
        let issued = cloud.world.iam.n_issued;
        let seen = summary(&cloud.send(&request));
        assert_eq!(seen, (*status, (*message).to_owned()));
        assert_eq!(cloud.world.iam.n_issued, issued, "{message}");
    }
}

#[test]
fn requests_have_names_and_show_no_secret_in_the_journal() {
    let mut cloud = Cloud::with(&[]);
    let scope = json!({"project": {"name": "cn-north-4"}});
    let (id_token, pod_token) = (cloud.id_token(), cloud.pod_token());
    let unscoped = cloud.unscoped_token();
    let requests = [
        (password_request(&robot(), &scope), "CreateToken"),
        (role_request(TOKENS, &role(&json!({}))), "CreateToken"),
        (
            role_request(OLD_KEYS, &role(&json!({}))),
            "CreateTemporaryAccessKeyByAgency",
        ),
        (
            token_request(&json!({"id": unscoped})),
            "CreateTemporaryAccessKeyByToken",
        ),
        (
            unscoped_token_request(&id_token),
            "CreateUnscopedTokenByIdToken",
        ),
        (post(ASSUME, &session(&json!({}))), "AssumeAgency"),
        (oidc_request(&id_token), "AssumeAgencyWithOIDC"),
        (metadata_token_request("1"), "MetadataToken"),
        (metadata_key_request("x"), "MetadataSecurityKey"),
        (pod_request(&pod_token), "PodIdentityCredentials"),
        (
            Request::new("POST", TOKENS, "not JSON: hunter2"),
            "CreateToken",
        ),
    ];
    let secrets = ["hunter2", &id_token, &pod_token, &unscoped];
    for (request, operation) in requests {
        let (named, instance) = cloud.world.destination(&request);
        assert_eq!((named, instance), (operation, None));
        assert!(crate::faults::OPERATIONS.contains(&named), "{named}");
        let shown = String::from_utf8(cloud.world.noted(&request).body).unwrap();
        for secret in secrets {
            assert!(!shown.contains(secret), "{operation}: {shown}");
        }
    }
    // What is no secret stays, for whoever counts renewals by scope or agency.
    let shown = cloud.world.noted(&password_request(&robot(), &scope)).body;
    let mut kept: Value = serde_json::from_slice(&password_request(&robot(), &scope).body).unwrap();
    kept["auth"]["identity"]["password"]["user"]["password"] = json!("***");
    assert_eq!(serde_json::from_slice::<Value>(&shown).unwrap(), kept);
}

#[test]
fn every_answer_of_old_iam_has_a_trace_id() {
    let mut cloud = Cloud::with(&[]);
    let mut traced = |request: Request| cloud.send(&request).header("x-iam-trace-id").is_some();
    assert!(traced(token_request(&json!({"id": "x"}))));
    assert!(traced(Request::new("GET", "/v3/projects", "")));
    assert!(!traced(metadata_token_request("1")));
}
