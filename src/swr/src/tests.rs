//! The client over real sockets against the simulator. What no well-behaved server sends stands in
//! `canned`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use swr_simulator::{Options, Server, serve};

use super::*;
use swr_operator_clock as clock;
use swr_operator_core::credential::{Credential, Sealer, Sensitive};
use swr_operator_core::desired::{
    self, InstanceId, ProjectId, Region, Registry, RegistryId, Target,
};
use swr_operator_core::failure::{Cause, Class, Code, Failure, Obstacle};

mod auth;
mod canned;
mod fuzz;
mod garbled;
mod log;
mod newest;
mod stalls;

const PROJECT: &str = "0605767a3a80d5762fb2c00a1b2c3d4e";
const SECRET: &str = "canary-access-secret-7f3a";

fn instance() -> InstanceId {
    InstanceId::new("1d7a1e6c-9f0b-4c1e-8a2f-3b5d7e9c0a11")
}

fn key(secret_key: &str) -> AccessKey {
    AccessKey {
        access_key: "AKIDEXAMPLE0000SWR01".to_owned(),
        secret_key: Sensitive::new(secret_key.to_owned()),
        security_token: None,
    }
}

fn right_key() -> AccessKey {
    key("wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00")
}

fn transport(deadline: Duration) -> Transport {
    Transport::new(Settings {
        read_deadline: deadline,
        write_deadline: deadline,
        ..Settings::default()
    })
    .expect("a transport")
}

fn given(key: AccessKey, circuit: Arc<Circuit>) -> Arc<Authenticator> {
    let source = Source::Given(Arc::new(Authentication::AccessKey(key)));
    Arc::new(Authenticator::new(
        source,
        transport(Duration::from_secs(10)),
        Circuitry {
            using: circuit,
            issuing: Arc::default(),
        },
    ))
}

fn limiter(authenticator: &Authenticator, in_flight: u32) -> Arc<Limiter> {
    let limits = Limits {
        requests_per_second: 1000.0,
        burst: 1000,
        in_flight,
    };
    Limiter::of(limits, authenticator)
}

fn client_of(url: &str, key: AccessKey, deadline: Duration) -> Client {
    let authenticator = given(key, Arc::default());
    let limiter = limiter(&authenticator, 8);
    Client::new(
        transport(deadline),
        Endpoint::parse(url).expect("an endpoint"),
        ProjectId::new(PROJECT),
        authenticator,
        limiter,
        Arc::new(sealer()),
        Arc::new(Unobserved),
    )
}

fn client(url: &str) -> Client {
    client_of(url, right_key(), Duration::from_secs(10))
}

fn writer(client: &Client) -> Writer {
    client.writer(clock::after(Duration::from_mins(1)))
}

fn sealer() -> Sealer {
    Sealer::new(vec![7; 32])
}

fn credential() -> Credential {
    Credential {
        access_key: Sensitive::new("robot-push".to_owned()),
        access_secret: Sensitive::new(SECRET.to_owned()),
    }
}

fn registry(name: &str) -> desired::Registry {
    desired::Registry {
        name: name.to_owned(),
        url: "https://harbor.dr.example.com".to_owned(),
        insecure: false,
        description: String::new(),
        target: Target::Harbor {
            dns_hosts: [(
                "harbor.dr.example.com".to_owned(),
                "192.0.2.10".parse().expect("an address"),
            )]
            .into(),
        },
    }
}

fn audit() -> Audit {
    Audit {
        object: "images/harbor-dr".to_owned(),
        generation: 3,
        reason: "Missing".to_owned(),
        fields: "url,insecure".to_owned(),
    }
}

async fn create(client: &Client, name: &str) -> Result<Option<RegistryId>, Failure> {
    create_as(client, name, &credential()).await
}

async fn create_as(
    client: &Client,
    name: &str,
    credential: &Credential,
) -> Result<Option<RegistryId>, Failure> {
    let registry = Registry {
        description: "dr [tag]".to_owned(),
        ..registry(name)
    };
    let body = Body {
        registry: &registry,
        credential,
    };
    writer(client).create(&instance(), &body, &audit()).await
}

async fn simulator() -> Server {
    serve(Options::default()).await.expect("a port")
}

fn set(server: &Server, switch: &str, value: &str) {
    server
        .with(|simulator, _| simulator.world.switches.set(switch, value))
        .expect("a switch");
}

fn fault(server: &Server, fault: Value) {
    let fault = serde_json::from_value(fault).expect("a fault");
    server
        .with(|simulator, _| simulator.faults.add(fault))
        .expect("a fault");
}

/// Operations that reached the simulator since the last call.
fn asked(server: &Server) -> Vec<String> {
    server.with(|simulator, _| {
        let asked = simulator
            .journal
            .after(0)
            .map(|e| e.operation.clone())
            .collect();
        simulator.journal.clear();
        asked
    })
}

/// What the instance holds, secrets included.
fn truth(server: &Server) -> Vec<Value> {
    server
        .with(|simulator, now| simulator.world.truth(instance().as_str(), now))
        .expect("an instance")
}

fn fill(server: &Server, n: usize) {
    for at in 0..n {
        let body = json!({
            "name": format!("r{at}"), "type": "swr-pro", "url": "https://a.test", "insecure": true,
            "credential": {"type": "basic", "access_key": "a", "access_secret": "b"},
        });
        server
            .with(|simulator, now| {
                let body = body.to_string();
                simulator
                    .world
                    .console_create(instance().as_str(), body.as_bytes(), now)
            })
            .expect("created");
    }
}

#[tokio::test]
async fn a_registry_is_created_listed_shown_updated_and_deleted() {
    let server = simulator().await;
    let client = client(&server.url());
    let reader = client.reader();

    let id = create(&client, "harbor-dr")
        .await
        .expect("created")
        .expect("an id");
    let shown = reader.show(&instance(), id).await.expect("shown");
    assert_eq!(
        (
            shown.name.as_str(),
            shown.description.as_str(),
            shown.insecure
        ),
        ("harbor-dr", "dr [tag]", Some(false))
    );
    assert_eq!(shown.access_key, Some(sealer().access_key("robot-push")));
    assert_eq!(
        shown.dns_hosts,
        Some([("harbor.dr.example.com".to_owned(), "192.0.2.10".to_owned())].into())
    );
    let listed = reader.list(&instance()).await.expect("listed");
    assert_eq!(listed.records().map(|r| r.id).collect::<Vec<_>>(), [id]);
    assert_eq!(truth(&server)[0]["credential"]["access_secret"], SECRET);

    let credential = credential();
    let renamed = Registry {
        description: String::new(),
        ..registry("renamed")
    };
    let body = Body {
        registry: &renamed,
        credential: &credential,
    };
    for reply in ["empty", "object", "204"] {
        set(&server, "write_reply", reply);
        writer(&client)
            .update(&instance(), id, &body, &audit())
            .await
            .expect(reply);
    }
    let shown = reader.show(&instance(), id).await.expect("shown");
    assert_eq!(
        (shown.name.as_str(), shown.description.as_str()),
        ("renamed", "")
    );

    writer(&client)
        .delete(&instance(), id, &audit())
        .await
        .expect("deleted");
    let gone = reader.show(&instance(), id).await.expect_err("gone");
    assert_eq!(
        (gone.class, gone.cause),
        (Class::NotFound, Cause::RegistryNotFound)
    );
    let listed = reader.list(&instance()).await.expect("listed");
    assert_eq!(listed.records().len(), 0);
}

#[tokio::test]
async fn every_page_of_a_list_is_read_and_none_twice_the_second_time() {
    let server = simulator().await;
    fill(&server, 250);
    let client = client(&server.url());
    for n_requests in [4, 3, 3] {
        let listed = client.reader().list(&instance()).await.expect("listed");
        assert_eq!(listed.records().len(), 250);
        assert_eq!(asked(&server), vec!["ListInstanceRegistries"; n_requests]);
    }
    set(&server, "id_style", "string");
    set(&server, "secret_echo", "plain");
    let listed = client.reader().list(&instance()).await.expect("listed");
    assert_eq!(listed.records().len(), 250);
}

#[tokio::test]
async fn an_instance_that_is_not_there_has_no_list() {
    let server = simulator().await;
    let client = client(&server.url());
    let other = InstanceId::new("00000000-0000-0000-0000-000000000000");
    let failure = client.reader().list(&other).await.expect_err("no instance");
    assert_eq!(
        (failure.class, failure.cause),
        (Class::Transient, Cause::InstanceNotFound)
    );
    fault(
        &server,
        json!({"kind": "status", "status": 404, "body": "<html>no</html>"}),
    );
    for result in [
        client.reader().list(&instance()).await.map(|_| ()),
        client
            .reader()
            .show(&instance(), RegistryId(7))
            .await
            .map(|_| ()),
    ] {
        assert_eq!(
            result,
            Err(Failure::new(Class::Transient, Cause::ApiNotFound))
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_never_taken_for_an_empty_instance() {
    for (what, answer) in [
        (
            "truncated",
            json!({"status": 200, "body": "{\"registries\":[{\"id\":1,\"na"}),
        ),
        ("empty", json!({"status": 200, "body": ""})),
        ("no content", json!({"status": 204, "body": ""})),
        ("a page", json!({"status": 200, "body": "<html>ok</html>"})),
        ("no list", json!({"status": 200, "body": {}})),
        ("an array", json!({"status": 200, "body": []})),
        (
            "null, but three",
            json!({"status": 200, "body": {"registries": null, "total": 3}}),
        ),
        (
            "an error inside",
            json!({"status": 200, "body": {"error_code": "X", "error_msg": "y"}}),
        ),
        (
            // The client asks for no compression and unpacks none: a bomb stays a few bytes.
            "compressed",
            json!({"status": 200, "body": "\u{1f}\u{8b}", "headers": {"content-encoding": "gzip"}}),
        ),
    ] {
        let server = simulator().await;
        let client = client(&server.url());
        let mut script = answer;
        script["kind"] = json!("status");
        fault(&server, script);
        let failure = client.reader().list(&instance()).await.expect_err(what);
        assert_eq!(failure.class, Class::Transient, "{what}: {failure:?}");
        let shown = client.reader().show(&instance(), RegistryId(7)).await;
        let failure = shown.expect_err(what);
        assert_ne!(failure.class, Class::NotFound, "{what}: {failure:?}");
    }
}

#[tokio::test]
async fn an_id_that_would_lead_elsewhere_is_never_sent() {
    let server = simulator().await;
    let client = client(&server.url());
    for id in ["", ".", "..", "%2e%2e"] {
        let result = client.reader().list(&InstanceId::new(id)).await;
        assert!(result.is_err(), "{id:?}");
    }
    // An escaped `%` stays within its segment, so it may be asked, and is answered.
    assert_eq!(asked(&server).len(), 1);
}

#[tokio::test]
async fn a_wrong_key_is_tried_five_times_and_then_not_at_all() {
    let server = simulator().await;
    let client = client_of(&server.url(), key("wrong"), Duration::from_secs(10));
    for _ in 0..8 {
        let failure = client
            .reader()
            .list(&instance())
            .await
            .expect_err("refused");
        assert_eq!(
            (failure.class, failure.cause),
            (Class::Denied, Cause::AuthFailed)
        );
        assert_eq!(failure.code, Code::parse("APIGW.0301"));
    }
    assert_eq!(
        create(&client, "a").await.expect_err("refused").cause,
        Cause::AuthFailed
    );
    assert_eq!(asked(&server).len(), 5);
    assert_eq!(truth(&server), Vec::<Value>::new());
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_unknown_and_sent_once() {
    let server = simulator().await;
    let client = client(&server.url());
    let operation = json!({"operation": "CreateInstanceRegistry"});
    fault(
        &server,
        json!({"match": operation, "phase": "after", "kind": "reset", "times": 1}),
    );
    assert_eq!(
        create(&client, "one").await,
        Err(Failure::new(Class::Unknown, Cause::Unreachable))
    );
    assert_eq!(asked(&server), ["CreateInstanceRegistry"]);
    assert_eq!(truth(&server).len(), 1);

    // Also on a connection that has served before.
    client.reader().list(&instance()).await.expect("listed");
    fault(
        &server,
        json!({"match": operation, "phase": "before", "kind": "reset", "times": 1}),
    );
    assert_eq!(
        create(&client, "two").await.map_err(|f| f.class),
        Err(Class::Unknown)
    );
    assert_eq!(
        asked(&server),
        ["ListInstanceRegistries", "CreateInstanceRegistry"]
    );
    assert_eq!(truth(&server).len(), 1);

    fault(
        &server,
        json!({"match": operation, "phase": "after", "kind": "status", "status": 504, "times": 1}),
    );
    let failure = create(&client, "three").await.expect_err("unclear");
    assert_eq!(
        (failure.class, failure.cause),
        (Class::Unknown, Cause::ServerError)
    );
    assert_eq!(truth(&server).len(), 2);
}

#[tokio::test]
async fn a_deadline_ends_every_exchange() {
    let server = simulator().await;
    let client = client_of(&server.url(), right_key(), Duration::from_millis(200));
    fault(&server, json!({"kind": "hang"}));
    assert_eq!(
        client.reader().list(&instance()).await.err(),
        Some(Failure::new(Class::Transient, Cause::TimedOut))
    );
    assert_eq!(
        create(&client, "a").await,
        Err(Failure::new(Class::Unknown, Cause::TimedOut))
    );
}

#[tokio::test]
async fn a_429_says_how_long_to_wait_and_stops_the_account() {
    let server = simulator().await;
    let client = client(&server.url());
    fault(
        &server,
        json!({"kind": "status", "status": 429, "headers": {"Retry-After": "700"},
               "body": {"error_code": "APIGW.0308", "error_msg": "The throttling threshold has been reached"}}),
    );
    let failure = create(&client, "a").await.expect_err("throttled");
    assert_eq!(
        failure,
        Failure {
            class: Class::Throttled {
                after_secs: Some(700)
            },
            cause: Cause::Throttled,
            code: Code::parse("APIGW.0308"),
        }
    );
    let failure = client.reader().list(&instance()).await.expect_err("paused");
    assert!(matches!(
        failure.class,
        Class::Throttled {
            after_secs: Some(699..=700)
        }
    ));
    assert_eq!(asked(&server), ["CreateInstanceRegistry"]);
}

#[tokio::test]
async fn a_credential_that_stands_in_the_answer_does_not_change_what_it_means() {
    let server = simulator().await;
    let client = client(&server.url());
    for (access_key, access_secret, code) in [
        ("robot-push", SECRET, Code::parse("SWR.400097")),
        ("ta", "p", Code::parse("SWR.400097")),
        // Of the code, too, nothing is kept that shows what the secret is.
        ("quota exceeded", "400097", None),
        ("9", "quot", None),
    ] {
        let credential = Credential {
            access_key: Sensitive::new(access_key.to_owned()),
            access_secret: Sensitive::new(access_secret.to_owned()),
        };
        fault(
            &server,
            json!({"kind": "status", "status": 400, "times": 1,
                   "body": {"error_code": "SWR.400097", "error_msg": "quota exceeded"}}),
        );
        assert_eq!(
            create_as(&client, "a", &credential).await,
            Err(Failure {
                class: Class::Denied,
                cause: Cause::QuotaExceeded,
                code,
            }),
            "{access_key} {access_secret}"
        );
    }
}

#[tokio::test]
async fn a_success_that_holds_an_error_is_none() {
    let server = simulator().await;
    let client = client(&server.url());
    fault(
        &server,
        json!({"kind": "status", "status": 200, "body": {"error_code": "SWR.500001", "error_msg": "no"}}),
    );
    let failure = |class| Failure {
        class,
        cause: Cause::Malformed,
        code: Code::parse("SWR.500001"),
    };
    let id = RegistryId(7);
    assert_eq!(
        client.reader().list(&instance()).await,
        Err(failure(Class::Transient))
    );
    assert_eq!(
        client.reader().show(&instance(), id).await,
        Err(failure(Class::Transient))
    );
    assert_eq!(create(&client, "a").await, Err(failure(Class::Unknown)));
    assert_eq!(
        writer(&client).delete(&instance(), id, &audit()).await,
        Err(failure(Class::Unknown))
    );
}

#[tokio::test]
async fn a_create_without_an_id_has_landed() {
    let server = simulator().await;
    let client = client(&server.url());
    for status in ["200", "201", "202"] {
        set(&server, "create_status", status);
        let id = create(&client, status).await.expect("created");
        assert!(id.is_some());
    }
    for (status, body) in [
        (201, json!("")),
        (200, json!({})),
        (204, json!("")),
        (200, json!("ok")),
    ] {
        fault(
            &server,
            json!({"kind": "status", "status": status, "body": body, "times": 1}),
        );
        assert_eq!(create(&client, "a").await, Ok(None), "{status} {body}");
    }
}

#[tokio::test]
async fn a_writer_writes_nothing_after_its_time() {
    let server = simulator().await;
    let client = client(&server.url());
    let past = jiff::Timestamp::from_millisecond(clock::now().as_millisecond() - 1);
    let late = client.writer(past.expect("a time"));
    assert_eq!(
        late.delete(&instance(), RegistryId(7), &audit()).await,
        Err(Failure::new(Class::Transient, Cause::TooLate))
    );
    assert_eq!(asked(&server), Vec::<String>::new());
}

#[tokio::test]
async fn the_project_of_a_region_is_one_or_none_or_several() {
    let server = simulator().await;
    let iam = Endpoint::parse(&server.url()).expect("an endpoint");
    let transport = transport(Duration::from_secs(10));
    let region = Region::new("cn-north-4");
    let right = given(right_key(), Arc::default());
    let limits = limiter(&right, 1);
    let ask = async || project_of(&transport, &iam, &region, &right, &limits).await;
    assert_eq!(ask().await, Ok(ProjectId::new(PROJECT)));
    set(&server, "projects", "none");
    assert_eq!(ask().await, Err(ProjectError::None));
    set(&server, "projects", "two");
    assert_eq!(ask().await, Err(ProjectError::Several(2)));
    let circuit = Arc::<Circuit>::default();
    let wrong = given(key("wrong"), Arc::clone(&circuit));
    let limits = limiter(&wrong, 1);
    let refused = project_of(&transport, &iam, &region, &wrong, &limits).await;
    assert!(matches!(
        refused,
        Err(ProjectError::Failed(Failure {
            cause: Cause::AuthFailed,
            ..
        }))
    ));
    // IAM refuses the same key that SWR would.
    assert!(circuit.refusal().is_some());
}

#[tokio::test]
async fn a_long_encoded_cause_that_differs_each_time_leaves_no_trace() {
    let server = simulator().await;
    let client = client(&server.url());
    let mut failures = Vec::new();
    for letter in ["q", "z"] {
        let cause = format!("canary-{}", letter.repeat(10_240));
        fault(
            &server,
            json!({
                "kind": "status", "status": 403, "times": 1,
                "body": {
                    "error_code": "SVCSTG.SWR.4030170",
                    "error_msg": format!("Insufficient permissions: {cause}"),
                    "encoded_authorization_message": cause,
                },
            }),
        );
        failures.push(create(&client, "a").await.expect_err("refused"));
    }
    let expected = Failure {
        class: Class::Denied,
        cause: Cause::Forbidden,
        code: Code::parse("SVCSTG.SWR.4030170"),
    };
    assert_eq!(failures, [expected.clone(), expected]);
}
