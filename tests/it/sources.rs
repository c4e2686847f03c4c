//! Where the credential of an account comes from: each source lives through expiry, revocation and what may be wrong with it.

use std::path::PathBuf;

use harness::eventually_blocking;
use serde_json::{Value, json};

use crate::bed::{Bed, BedCase, check_on, with_bed};
use crate::cloud::PATIENCE;
use crate::site::{Site, state};

/// Issued credentials end after so long, so that a test sees three of them.
const TTL_SECS: u64 = 6;

/// Agency, provider and audience as the simulator has them.
const DOMAIN: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";

#[test]
fn every_source_of_a_credential_lives_through_expiry_and_revocation() {
    const CASES: [BedCase; 9] = [
        ("password", a_password),
        ("scoped", a_password_for_a_project_that_is_not_given),
        ("token", a_token_that_somebody_else_renews),
        ("agency", an_agency_by_name),
        ("urn", an_agency_by_urn),
        ("idp", the_identity_provider_of_the_older_iam),
        ("oidc", the_identity_provider_of_the_newer_iam),
        ("pod", a_pod_identity),
        ("ecs", the_metadata_service),
    ];
    with_sources(&CASES);
}

#[test]
fn a_source_that_gives_no_credential_is_named_and_used_once_it_does() {
    const CASES: [BedCase; 6] = [
        ("password", a_wrong_password),
        ("agency", an_agency_of_an_account_that_is_not_ready),
        ("nested", an_agency_of_an_agency),
        ("oidc", a_token_for_somebody_else),
        ("pod", a_token_file_that_is_missing),
        ("ecs", a_node_without_an_agency),
    ];
    with_sources(&CASES);
}

/// A bed whose operator gets metadata and pod identity from the sites of these names.
fn with_sources(cases: &[BedCase]) {
    let names: Vec<&str> = cases.iter().map(|(name, _)| *name).collect();
    with_bed(&format!("sources{}", cases.len()), &names, |bed| {
        let folder = token_folder(bed);
        std::fs::create_dir_all(&folder).expect("a folder");
        let site = bed.site("oidc");
        let token = site.canary().secret();
        std::fs::write(folder.join("oidc"), format!("{token}\n")).expect("a token");
        for site in &bed.sites {
            site.cloud
                .control("PUT", "trust", &json!({"idToken": token}));
            site.cloud
                .switch(&json!({"credential_ttl_seconds": TTL_SECS}));
        }
        let pod = bed.site("pod");
        let token = pod.canary().secret();
        pod.cloud
            .control("PUT", "trust", &json!({"podToken": token}));
        std::fs::write(folder.join("pod"), token).expect("a token");
        bed.terminate();
        let file = |name: &str| folder.join(name).display().to_string();
        bed.start_operator_with(&[
            "--oidc-token-file",
            &file("oidc"),
            "--metadata-url",
            &bed.site("ecs").cloud.url(),
            "--pod-identity-url",
            &format!("{}/pod-identity/credentials", pod.cloud.url()),
            "--pod-identity-token-file",
            &file("pod"),
        ]);
        check_on(bed, cases);
        std::fs::remove_dir_all(folder).expect("the folder");
    });
}

fn token_folder(bed: &Bed) -> PathBuf {
    std::env::temp_dir().join(format!(
        "swr-operator-{}-{}",
        bed.sites[0].name,
        std::process::id()
    ))
}

fn set_auth(site: &Site, auth: &Value) {
    let mut auth = auth.clone();
    auth["accessKeySecretRef"] = Value::Null;
    site.patch_account(&json!({"spec": {"auth": auth}}));
}

/// The account proves itself with what this operation issues, and goes on doing so when that ends or is revoked.
fn check_life(site: &Site, auth: &Value, issuing: &str) {
    let mark = site.cloud.mark();
    set_auth(site, auth);
    site.await_account("True Available");
    let mut object = site.ready("it");
    await_issued(site, mark, issuing, 3);
    // Polls every two seconds, and not one of them was refused.
    assert_eq!(refusals(site, mark), Vec::<String>::new());
    site.patch("it", &json!({"spec": {"description": "after two ends"}}));
    object = site.await_sent_after("it", &object);

    // Somebody revokes all that was issued.
    let mark = site.cloud.mark();
    site.cloud.control("DELETE", "tokens", &Value::Null);
    await_issued(site, mark, issuing, 1);
    site.patch(
        "it",
        &json!({"spec": {"description": "after a revocation"}}),
    );
    site.await_sent_after("it", &object);
    assert_eq!(state(&site.account_now(), "Ready"), "True Available");
    let warned: Vec<String> = site
        .events()
        .into_iter()
        .filter(|event| event.contains(" Warning "))
        .collect();
    assert_eq!(warned, Vec::<String>::new());
    site.delete("it");
    site.await_gone("it");
}

fn await_issued(site: &Site, mark: u64, operation: &str, n: usize) {
    let what = format!("{operation} {n} times");
    eventually_blocking(PATIENCE, &what, || {
        let seen = site.cloud.asked(mark, operation).len();
        if seen >= n { Ok(()) } else { Err(seen) }
    });
}

fn refusals(site: &Site, mark: u64) -> Vec<String> {
    let mut refused = site.cloud.requests(mark);
    refused.retain(|entry| entry.status.is_some_and(|status| status >= 400));
    refused.iter().map(crate::cloud::short).collect()
}

fn put_user(site: &Site) -> Value {
    let password = site.canary().secret();
    let (domain, name) = ("swr-example", "operator");
    site.cloud.control(
        "PUT",
        "user",
        &json!({"domain": domain, "name": name, "password": password}),
    );
    json!({"domainName": domain, "userName": name, "password": password})
}

fn a_password(_: &Bed, site: &Site) {
    site.put_account_content(&put_user(site));
    check_life(
        site,
        &json!({"passwordSecretRef": {"name": site.name}}),
        "CreateToken",
    );
}

fn a_password_for_a_project_that_is_not_given(_: &Bed, site: &Site) {
    site.put_account_content(&put_user(site));
    site.patch_account(&json!({"spec": {"projectId": null}}));
    let mark = site.cloud.mark();
    check_life(
        site,
        &json!({"passwordSecretRef": {"name": site.name}}),
        "CreateToken",
    );
    let account = site.account_now();
    assert_eq!(account["status"]["projectId"], site.cloud.project.as_str());
    // The token says its project.
    let lookups = site.cloud.asked(mark, "KeystoneListProjects");
    assert!(lookups.is_empty(), "{lookups:?}");
}

fn a_token_that_somebody_else_renews(_: &Bed, site: &Site) {
    site.cloud.switch(&json!({"credential_ttl_seconds": 0}));
    let token = || {
        let user = put_user(site);
        issue_token(site, &user)
    };
    site.put_account_content(&json!({"token": token()}));
    set_auth(site, &json!({"tokenSecretRef": {"name": site.name}}));
    site.await_account("True Available");
    let object = site.ready("it");

    site.cloud.control("DELETE", "tokens", &Value::Null);
    site.await_state("it", "Unknown AuthFailed");
    site.touch_account();
    site.await_account("False AuthFailed");
    site.put_account_content(&json!({"token": token()}));
    site.touch_account();
    site.await_account("True Available");
    site.patch(
        "it",
        &json!({"spec": {"description": "with the next token"}}),
    );
    site.await_sent_after("it", &object);
}

/// Gets a token as whoever renews the Secret would.
fn issue_token(site: &Site, user: &Value) -> String {
    let body = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": user["userName"], "password": user["password"],
            "domain": {"name": user["domainName"]},
        }}},
        "scope": {"project": {"id": site.cloud.project}},
    }});
    site.cloud.issue_token(&body)
}

/// Another account that has the key of this site's.
fn hub(site: &Site) -> String {
    let name = format!("{}-hub", site.name);
    let mut account = site.account();
    account["metadata"]["name"] = json!(name);
    account["spec"]["grants"] = json!([]);
    site.create_account(&account);
    name
}

fn an_agency_by_name(_: &Bed, site: &Site) {
    let agency = json!({
        "accountRef": {"name": hub(site)}, "name": "swr-agency", "domainName": "swr-example",
    });
    check_life(
        site,
        &json!({"agency": agency}),
        "CreateTemporaryAccessKeyByAgency",
    );
}

fn an_agency_by_urn(_: &Bed, site: &Site) {
    let urn = format!("iam::{DOMAIN}:agency:swr-agency");
    let agency = json!({"accountRef": {"name": hub(site)}, "urn": urn});
    check_life(site, &json!({"agency": agency}), "AssumeAgency");
}

fn the_identity_provider_of_the_older_iam(_: &Bed, site: &Site) {
    let oidc = json!({"identityProviderId": "cce-idp"});
    check_life(
        site,
        &json!({"oidc": oidc}),
        "CreateTemporaryAccessKeyByToken",
    );
}

fn by_urns() -> Value {
    json!({"oidc": {
        "providerUrn": format!("iam::{DOMAIN}:oidcProvider:cce-oidc"),
        "agencyUrn": format!("iam::{DOMAIN}:agency:swr-agency"),
    }})
}

fn the_identity_provider_of_the_newer_iam(_: &Bed, site: &Site) {
    check_life(site, &by_urns(), "AssumeAgencyWithOIDC");
}

fn a_pod_identity(_: &Bed, site: &Site) {
    check_life(site, &json!({"podIdentity": {}}), "PodIdentityCredentials");
}

fn the_metadata_service(_: &Bed, site: &Site) {
    check_life(site, &json!({"ecsMetadata": {}}), "MetadataSecurityKey");
    // An older service knows no tokens of its own.
    site.cloud.switch(&json!({"metadata_token": "404"}));
    let mark = site.cloud.mark();
    site.ready("later");
    await_issued(site, mark, "MetadataSecurityKey", 1);
}

fn a_wrong_password(_: &Bed, site: &Site) {
    let user = put_user(site);
    let mut wrong = user.clone();
    wrong["password"] = json!(site.canary().secret());
    site.put_account_content(&wrong);
    set_auth(site, &json!({"passwordSecretRef": {"name": site.name}}));
    let message = site.await_account("False AuthFailed");
    assert!(
        message.starts_with("no credential was issued: "),
        "{message}"
    );
    site.put_login("it", &site.login());
    site.create(&site.registry("it", "swr-pro"));
    site.await_state("it", "False AccountNotReady");
    site.put_account_content(&user);
    site.touch_account();
    site.await_account("True Available");
    site.await_ready("it");
}

fn an_agency_of_an_account_that_is_not_ready(_: &Bed, site: &Site) {
    let hub = format!("{}-hub", site.name);
    let agency = json!({"accountRef": {"name": hub}, "name": "swr-agency", "domainId": DOMAIN});
    set_auth(site, &json!({"agency": agency}));
    site.await_account_saying(
        "False AccountNotReady",
        &format!(
            "SwrAccount \"{hub}\", whose credential assumes the agency, cannot be used yet: see its own conditions"
        ),
    );
    self::hub(site);
    site.await_account("True Available");
    // Nobody may assume this one.
    let agency = json!({"accountRef": {"name": hub}, "name": "other", "domainId": DOMAIN});
    set_auth(site, &json!({"agency": agency}));
    let message = site.await_account("False Forbidden");
    assert!(
        message.starts_with("no credential was issued: "),
        "{message}"
    );
}

fn an_agency_of_an_agency(_: &Bed, site: &Site) {
    let agency = |of: &str| json!({"agency": {"accountRef": {"name": of}, "name": "swr-agency", "domainId": DOMAIN}});
    let hub = hub(site);
    set_auth(site, &agency(&hub));
    site.await_account("True Available");
    let mut outer = site.account();
    outer["metadata"]["name"] = json!(format!("{}-outer", site.name));
    outer["spec"]["auth"] = agency(&site.name);
    site.create_account(&outer);
    site.await_other_account(
        &format!("{}-outer", site.name),
        "False InvalidSpec",
        &format!(
            "spec.auth: agency.accountRef: SwrAccount \"{}\" assumes an agency itself; name one that has a credential of its own",
            site.name
        ),
    );
}

fn a_token_for_somebody_else(_: &Bed, site: &Site) {
    let other = site.canary().secret();
    let before = site.cloud.control("GET", "trust", &Value::Null);
    site.cloud
        .control("PUT", "trust", &json!({"idToken": other}));
    set_auth(site, &by_urns());
    site.await_account("False AuthFailed");
    site.cloud
        .control("PUT", "trust", &json!({"idToken": before["idToken"]}));
    site.touch_account();
    site.await_account("True Available");
    site.ready("it");
}

fn a_token_file_that_is_missing(bed: &Bed, site: &Site) {
    let file = token_folder(bed).join("pod");
    let token = std::fs::read(&file).expect("the token");
    std::fs::remove_file(&file).expect("no token");
    set_auth(site, &json!({"podIdentity": {}}));
    site.await_account_saying(
        "False AuthFailed",
        &format!(
            "the token file {} cannot be read (entity not found)",
            file.display()
        ),
    );
    std::fs::write(&file, token).expect("the token");
    site.await_account("True Available");
    site.ready("it");
}

fn a_node_without_an_agency(_: &Bed, site: &Site) {
    site.cloud.switch(&json!({"ecs_agency": "absent"}));
    set_auth(site, &json!({"ecsMetadata": {}}));
    site.await_account_saying(
        "False AuthFailed",
        "the metadata service gives no key: assign an agency to the node (ECS)",
    );
    site.cloud.switch(&json!({"ecs_agency": "present"}));
    site.await_account("True Available");
    site.ready("it");
}
