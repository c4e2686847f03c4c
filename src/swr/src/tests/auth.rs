//! Credentials that are issued, over real sockets: how often they are asked for, and who sees that they end.

use std::path::PathBuf;

use super::*;

const PASSWORD: &str = "canary-password-19ab";

/// A cloud with a user, whose credentials last this long.
async fn cloud(ttl_secs: u32) -> Server {
    let server = simulator().await;
    server.with(|simulator, _| {
        simulator.world.iam.user = Some(swr_simulator::User {
            domain: "swr-example".to_owned(),
            name: "operator".to_owned(),
            password: PASSWORD.to_owned(),
        });
    });
    set(&server, "credential_ttl_seconds", &ttl_secs.to_string());
    server
}

fn password(server: &Server, password: &str) -> Source {
    Source::Password {
        iam: Endpoint::parse(&server.url()).expect("an endpoint"),
        login: Login {
            domain: "swr-example".to_owned(),
            user: "operator".to_owned(),
            password: Sensitive::new(password.to_owned()),
        },
        scope: Scope::Region(Region::new("cn-north-4")),
    }
}

/// A client with this source that may have so many requests under way.
fn client_with(server: &Server, source: Source, in_flight: u32) -> Client {
    let transport = transport(Duration::from_secs(10));
    let authenticator = Authenticator::new(source, transport.clone(), Circuitry::default());
    let limiter = limiter(&authenticator, in_flight);
    Client::new(
        transport,
        Endpoint::parse(&server.url()).expect("an endpoint"),
        ProjectId::new(PROJECT),
        Arc::new(authenticator),
        limiter,
        Arc::new(sealer()),
        Arc::new(Unobserved),
    )
}

fn n_asked(server: &Server, operation: &str) -> usize {
    server.with(|simulator, _| {
        let entries = simulator.journal.after(0);
        entries.filter(|it| it.operation == operation).count()
    })
}

/// So many reads at once; how they ended.
async fn read_at_once(client: &Client, n: usize) -> Vec<Result<(), Failure>> {
    let mut reads = tokio::task::JoinSet::new();
    for _ in 0..n {
        let reader = client.reader();
        reads.spawn(async move {
            let all = reader.list(&instance()).await;
            all.map(|_| ())
        });
    }
    reads.join_all().await
}

#[tokio::test]
async fn a_credential_that_is_revoked_under_fifty_requests_is_renewed_once_and_none_of_them_fails()
{
    let server = cloud(0).await;
    let client = client_with(&server, password(&server, PASSWORD), 32);
    for (revoked, issued) in [(false, 1), (true, 2), (true, 3)] {
        if revoked {
            server.with(|simulator, _| simulator.world.iam.revoke());
        }
        let ended = read_at_once(&client, 50).await;
        assert_eq!(ended, vec![Ok(()); 50]);
        assert_eq!(n_asked(&server, "CreateToken"), issued);
    }
    assert_eq!(client.refusal(), None);
}

#[tokio::test]
async fn a_write_whose_credential_was_revoked_is_left_to_whoever_asked_for_it() {
    let server = cloud(0).await;
    let client = client_with(&server, password(&server, PASSWORD), 4);
    assert!(create(&client, "a").await.is_ok());
    server.with(|simulator, _| simulator.world.iam.revoke());
    let refused = create(&client, "b").await.expect_err("refused");
    assert_eq!(
        (refused.class, refused.cause),
        (Class::Denied, Cause::AuthFailed)
    );
    assert_eq!(n_asked(&server, "CreateInstanceRegistry"), 2);
    assert!(create(&client, "b").await.is_ok());
    assert_eq!(n_asked(&server, "CreateToken"), 2);
}

#[tokio::test]
async fn a_wrong_password_is_asked_with_five_times_whoever_waits() {
    let server = cloud(0).await;
    let circuits = Circuitry::default();
    for _ in 0..20 {
        let transport = transport(Duration::from_secs(10));
        let wrong = password(&server, "wrong");
        let authenticator = Authenticator::new(wrong, transport, circuits.clone());
        let error = authenticator.keep_fresh().await.expect_err("refused");
        assert_eq!(error.failure().cause, Cause::AuthFailed);
    }
    assert_eq!(n_asked(&server, "CreateToken"), 5);
}

#[tokio::test]
async fn a_source_that_fails_is_asked_once_for_all_who_wait() {
    let server = cloud(0).await;
    let client = client_with(&server, password(&server, PASSWORD), 32);
    fault(
        &server,
        json!({"match": {"operation": "CreateToken"}, "kind": "status", "status": 503}),
    );
    let ended = read_at_once(&client, 50).await;
    let unavailable = |result: &Result<(), Failure>| {
        result
            .as_ref()
            .is_err_and(|it| it.cause == Cause::ServerError)
    };
    assert!(ended.iter().all(unavailable), "{ended:?}");
    assert_eq!(n_asked(&server, "CreateToken"), 1);
}

#[tokio::test]
async fn a_token_file_that_cannot_be_read_is_named() {
    let server = cloud(0).await;
    let path = PathBuf::from("/nowhere/token");
    let source = Source::Oidc {
        endpoint: Endpoint::parse(&server.url()).expect("an endpoint"),
        provider: IdentityProvider::Id("cce-idp".to_owned()),
        token_file: path.clone(),
    };
    let transport = transport(Duration::from_secs(10));
    let authenticator = Authenticator::new(source, transport, Circuitry::default());
    let error = authenticator.keep_fresh().await.expect_err("no file");
    let kind = std::io::ErrorKind::NotFound;
    assert_eq!(error, AuthError::TokenFile { path, kind });
    assert_eq!(
        error.to_string(),
        "the token file /nowhere/token cannot be read (entity not found)"
    );
    assert_eq!(asked(&server), Vec::<String>::new());
}

#[tokio::test]
async fn the_token_of_the_service_account_is_read_again_at_each_renewal() {
    let server = cloud(0).await;
    let folder = tempfile::tempdir().expect("a folder");
    let token_file = folder.path().join("token");
    let trust = |token: &str| {
        std::fs::write(&token_file, format!("{token}\n")).expect("a token");
        server.with(|simulator, _| {
            simulator.world.iam.trust.id_token = Some(token.to_owned());
        });
    };
    let (provider, agency) = server.with(|simulator, _| {
        let trust = &simulator.world.iam.trust;
        (trust.provider_urn(), trust.agency_urn())
    });
    let source = Source::Oidc {
        endpoint: Endpoint::parse(&server.url()).expect("an endpoint"),
        provider: IdentityProvider::Urn { provider, agency },
        token_file: token_file.clone(),
    };
    let client = client_with(&server, source, 4);
    for token in ["canary-id-token-1", "canary-id-token-2"] {
        trust(token);
        server.with(|simulator, _| simulator.world.iam.revoke());
        assert_eq!(read_at_once(&client, 1).await, vec![Ok(())]);
    }
    assert_eq!(n_asked(&server, "AssumeAgencyWithOIDC"), 2);
}

#[tokio::test]
async fn an_agency_is_assumed_again_when_the_credential_that_assumes_it_was_revoked() {
    let server = cloud(0).await;
    let transport = transport(Duration::from_secs(10));
    let hub = password(&server, PASSWORD);
    let hub = Authenticator::new(hub, transport, Circuitry::default());
    let (name, domain) = server.with(|simulator, _| {
        let trust = &simulator.world.iam.trust;
        (trust.agency.clone(), Domain::Id(trust.domain_id.clone()))
    });
    let source = Source::Agency {
        endpoint: Endpoint::parse(&server.url()).expect("an endpoint"),
        from: Arc::new(hub),
        agency: Agency::Named { name, domain },
    };
    let client = client_with(&server, source, 8);
    for issued in [1, 2] {
        assert_eq!(read_at_once(&client, 20).await, vec![Ok(()); 20]);
        assert_eq!(n_asked(&server, "CreateToken"), issued);
        // Both the agency's key and the token that assumed it.
        server.with(|simulator, _| simulator.world.iam.revoke());
    }
    // Refused once with the old token.
    assert_eq!(n_asked(&server, "CreateTemporaryAccessKeyByAgency"), 3);
}

#[tokio::test]
async fn a_credential_that_ends_between_two_pages_costs_no_registry() {
    let server = cloud(0).await;
    fill(&server, 150);
    let client = client_with(&server, password(&server, PASSWORD), 4);
    fault(
        &server,
        json!({
            "match": {"operation": "ListInstanceRegistries", "ordinal": 2}, "times": 1,
            "kind": "status", "status": 401,
            "body": {"error_code": "APIGW.0301", "error_msg": "Incorrect IAM authentication information"},
        }),
    );
    let listed = client.reader().list(&instance()).await.expect("listed");
    assert_eq!(listed.records().len(), 150);
    assert_eq!(n_asked(&server, "CreateToken"), 2);
}

#[tokio::test]
async fn a_token_that_is_missing_or_gigantic_is_an_error_or_a_token() {
    let body = json!({"token": {"project": {"id": PROJECT}}});
    let gigantic = "t".repeat(20 * 1024);
    for (headers, is_token) in [
        (json!({}), false),
        (json!({"x-subject-token": ""}), false),
        (json!({"x-subject-token": gigantic}), true),
    ] {
        let server = cloud(0).await;
        fault(
            &server,
            json!({
                "match": {"operation": "CreateToken"}, "kind": "status", "status": 201,
                "body": body, "headers": headers,
            }),
        );
        let source = password(&server, PASSWORD);
        let transport = transport(Duration::from_secs(10));
        let authenticator = Authenticator::new(source, transport, Circuitry::default());
        let fresh = authenticator.keep_fresh().await;
        assert_eq!(fresh.is_ok(), is_token, "{:?}", fresh.err());
    }
}
