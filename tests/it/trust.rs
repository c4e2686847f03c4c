//! What the operator and the API server prove to each other, in files as a pod has them, is replaced while the operator
//! runs: the token of its ServiceAccount and the authority behind the API server's certificate.

use std::path::Path;
use std::time::Duration;

use harness::front::{Authority, Front, IPV4};
use harness::proxy::{Proxy, Seen};
use harness::{eventually_blocking, kubectl_stdout};
use serde_json::json;

use crate::bed::with_site;
use crate::cloud::PATIENCE;
use crate::cluster::{Cluster, OPERATOR};
use crate::site::Site;

/// Both files are read again after a minute, and requests that failed are repeated at growing distances.
const READ_AGAIN: Duration = Duration::from_secs(150);

const HOST: &str = "127.0.0.1";

#[test]
fn a_token_and_an_authority_that_are_replaced_need_no_restart() {
    with_site("trust", |bed, site| {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name);
        let (token, authority, kubeconfig) = (file("token"), file("ca.crt"), file("config"));
        let [old, new] = [(); 2].map(|()| Authority::create().expect("an authority"));
        bed.terminate();
        let proxy = Proxy::start(Cluster::shared().plane, &[&site.name]).expect("a proxy");
        let requests = proxy.of(&site.name);
        let serve = |at: &str, by: &Authority| {
            let certificate = by.issue(HOST, false).expect("a certificate");
            Front::tls(at, certificate, proxy.address()).expect("it listens")
        };
        let front = serve(IPV4, &old);
        let address = front.address();
        let first = issue("trust-1");
        write(&token, &first);
        write(&authority, &old.pem());
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {
                "server": format!("https://{address}"), "certificate-authority": authority,
            }}],
            "users": [{"name": "u", "user": {"tokenFile": token}}],
        });
        write(&kubeconfig, &config.to_string());
        bed.start_operator_by(&kubeconfig);
        site.ready("it");

        // Missing for a moment, which lasts until the authority is read again: the old one is used.
        std::fs::remove_file(&token).expect("it is there");
        drop(front);
        let logged = bed.log().len();
        let _front = serve(&address.to_string(), &new);
        bed.await_log(logged, UNTRUSTED);
        requests.answer(Vec::new());
        edit(site, "trusted");
        // Whoever is not trusted is sent nothing, and asked again.
        bed.await_log(bed.log().len(), UNTRUSTED);
        assert_eq!(requests.seen(), Vec::<Seen>::new());
        write(&authority, &new.pem());
        arrives(site, "trusted");

        let logged = bed.log().len();
        withdraw("trust-1");
        await_end(&first);
        edit(site, "with another token");
        bed.await_log(logged, "Unauthorized");
        write(&token, &issue("trust-2"));
        arrives(site, "with another token");
        bed.terminate();
        withdraw("trust-2");
    });
}

/// There is a server, so what fails is the handshake.
const UNTRUSTED: &str = "client error (Connect)";

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file");
}

fn edit(site: &Site, description: &str) {
    site.patch("it", &json!({"spec": {"description": description}}));
}

fn arrives(site: &Site, description: &str) {
    eventually_blocking(READ_AGAIN, description, || {
        let object = site.object("it");
        let seen = object["status"]["observed"]["description"].clone();
        (seen == description).then_some(()).ok_or(seen)
    });
}

fn secret_path(name: &str) -> String {
    format!("/api/v1/namespaces/{OPERATOR}/secrets/{name}")
}

/// A token of the operator's that holds as long as a Secret of this name is there.
fn issue(name: &str) -> String {
    let secrets = format!("/api/v1/namespaces/{OPERATOR}/secrets");
    let secret = json!({"metadata": {"name": name}});
    (Cluster::shared().create(&secrets, &secret)).expect("a Secret");
    let kind = "--bound-object-kind=Secret";
    let bound = format!("--bound-object-name={name}");
    let namespace = format!("--namespace={OPERATOR}");
    let args = ["create", "token", OPERATOR, &namespace, kind, &bound];
    let token = kubectl_stdout(Cluster::shared().plane, &args, None).expect("a token");
    token.trim().to_owned()
}

/// The API server remembers a token for some seconds.
fn await_end(token: &str) {
    let review = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token},
    });
    eventually_blocking(PATIENCE, "a token that holds no longer", || {
        let path = "/apis/authentication.k8s.io/v1/tokenreviews";
        let review = Cluster::shared().create(path, &review).expect("a review");
        let holds = review["status"]["authenticated"] == true;
        (!holds).then_some(()).ok_or("it holds")
    });
}

fn withdraw(name: &str) {
    (Cluster::shared().delete(&secret_path(name))).expect("it is there");
}
