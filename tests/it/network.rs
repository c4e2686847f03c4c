//! What stands between the operator and the cloud: TLS with a private authority, a proxy, IPv6. Every operator here has
//! the proxy variables of the environment set to where nobody listens (`harness::operator`), and ignores them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use harness::Operator;
use harness::front::{Authority, ConnectProxy, Front, IPV4, IPV6, Rules};
use serde_json::{Value, json};

use crate::bed::{Bed, in_parallel, site_check, with_bed, with_windows};
use crate::cluster::Cluster;
use crate::site::Site;

/// What a server on `localhost` presents.
#[derive(Clone, Copy)]
enum Presents {
    /// What the operator trusts.
    Trusted,
    /// The same by IPv6, for the address.
    TrustedOnIpv6,
    OtherHost,
    Expired,
    OfOthers,
    OldTls,
}

const UNTRUSTED: &str =
    "presents a certificate of an authority that is not trusted: add the authority to --ca-file";

/// A server, and what the operator says of it.
const SERVERS: [(&str, Presents, Option<&str>); 6] = [
    ("trusted", Presents::Trusted, None),
    ("ipv6", Presents::TrustedOnIpv6, None),
    (
        "other-host",
        Presents::OtherHost,
        Some("presents a certificate of another host: correct the endpoint or the certificate"),
    ),
    (
        "expired",
        Presents::Expired,
        Some(
            "presents a certificate that is not valid today: renew it, or correct the clock of the node",
        ),
    ),
    ("of-others", Presents::OfOthers, Some(UNTRUSTED)),
    (
        "old-tls",
        Presents::OldTls,
        Some(
            "does not answer with TLS 1.2 or 1.3: correct the endpoint, or what terminates TLS there",
        ),
    ),
];

#[test]
fn a_server_is_asked_only_behind_tls_that_proves_who_it_is() {
    let ours = Authority::create().expect("an authority");
    let theirs = Authority::create().expect("another of the same name");
    let heard: Arc<Mutex<Vec<u8>>> = Arc::default();
    let serve = |presents, behind| {
        let issue = |authority: &Authority, host, expired| {
            authority.issue(host, expired).expect("a certificate")
        };
        let front = match presents {
            Presents::Trusted => Front::tls(IPV4, issue(&ours, "localhost", false), behind),
            Presents::TrustedOnIpv6 => Front::tls(IPV6, issue(&ours, "::1", false), behind),
            Presents::OtherHost => Front::tls(IPV4, issue(&ours, "swr.test", false), behind),
            Presents::Expired => Front::tls(IPV4, issue(&ours, "localhost", true), behind),
            Presents::OfOthers => Front::tls(IPV4, issue(&theirs, "localhost", false), behind),
            Presents::OldTls => Front::tls_1_1(IPV4, Arc::clone(&heard)),
        };
        front.expect("a server")
    };
    with_bed("tls", &SERVERS.map(|(name, ..)| name), |bed| {
        bed.terminate();
        let fronts: Vec<Front> = bed
            .sites
            .iter()
            .zip(SERVERS)
            .map(|(site, (_, presents, _))| serve(presents, simulator(site)))
            .collect();
        let mut flags: Vec<String> = Vec::new();
        for ((site, front), (_, presents, _)) in bed.sites.iter().zip(&fronts).zip(SERVERS) {
            let url = match presents {
                Presents::TrustedOnIpv6 => format!("https://[::1]:{}", front.port()),
                Presents::Trusted
                | Presents::OtherHost
                | Presents::Expired
                | Presents::OfOthers
                | Presents::OldTls => format!("https://localhost:{}", front.port()),
            };
            flags.extend(endpoints(site, &url, &url));
            set_project(site, &Value::Null);
        }
        let ca_file = file("tls-ca.crt", &ours.pem());
        let with_authority = [flags.clone(), vec![format!("--ca-file={ca_file}")]].concat();
        start(bed, &with_authority);
        on_each(bed, &SERVERS, |site, (_, _, trouble)| match trouble {
            None => assert_created(site),
            Some(trouble) => assert_kept_off(site, trouble),
        });
        let heard = heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let heard = String::from_utf8_lossy(&heard);
        assert!(!heard.is_empty() && !heard.contains("HTTP/"), "{heard}");
        bed.site("old-tls")
            .assert_keeps_secrets("what a server of TLS 1.1 heard", &heard);

        // The authority counts because the operator was told of it.
        bed.terminate();
        let site = bed.site("trusted");
        let mark = site.cloud.mark();
        start(bed, &flags);
        await_account_in_trouble(site, &format!("IAM {UNTRUSTED}"));
        assert!(site.cloud.requests(mark).is_empty());
    });
}

fn assert_created(site: &Site) {
    site.ready("it");
    let asked = |operation| site.cloud.asked(0, operation).len();
    let asked = [
        asked("KeystoneListProjects"),
        asked("CreateInstanceRegistry"),
    ];
    assert_eq!(asked, [1, 1]);
}

/// Account and object say what is wrong, and the cloud got no request.
fn assert_kept_off(site: &Site, trouble: &str) {
    site.put_login("it", &site.login());
    site.create(&site.registry("it", "swr-pro"));
    await_account_in_trouble(site, &format!("IAM {trouble}"));
    let not_ready = format!(
        "SwrAccount {:?} is not ready: see its conditions",
        site.name
    );
    site.await_saying("it", "False AccountNotReady", &not_ready);
    // With its project the account is not asked about, and the object meets the same.
    set_project(site, &json!(site.cloud.project));
    site.await_account("True Available");
    let (_, message) = site.await_synced("it", "Unknown ApiUnavailable");
    let wanted = format!("cannot list the instance's registries: SWR {trouble}");
    assert_eq!(message, wanted);
    assert!(site.cloud.requests(0).is_empty(), "{}", site.cloud.shown());
}

#[test]
fn a_ca_bundle_that_is_none_ends_the_operator_with_file_and_reason() {
    let good = Authority::create().expect("an authority").pem();
    let broken = |inside: &str| {
        format!("{good}-----BEGIN CERTIFICATE-----\n{inside}-----END CERTIFICATE-----\n")
    };
    let none = "the CA bundle holds no certificate in PEM form";
    let second = "certificate 2 of the CA bundle is not one";
    for (name, content, reason) in [
        ("empty", String::new(), none.to_owned()),
        ("text", "ca.crt".to_owned(), none.to_owned()),
        (
            "base64",
            broken("!\n"),
            format!("{second}: base64 decode error: InvalidCharacter(33)"),
        ),
        (
            "der",
            broken("AAAA\n"),
            format!("{second}: what it encodes is no X.509 certificate"),
        ),
        (
            "cut",
            format!("{good}-----BEGIN CERTIFICATE-----\nAAAA\n"),
            format!("{second}: its END line is missing"),
        ),
    ] {
        let path = file(&format!("bundle-{name}.crt"), &content);
        let said = format!("error: --ca-file {path}: {reason}\n");
        assert_eq!(run_with_ca_file(&path), (Some(1), said));
    }
    let path = format!("{}/bundle-none.crt", folder().display());
    let said =
        format!("error: failed to read --ca-file {path}: No such file or directory (os error 2)\n");
    assert_eq!(run_with_ca_file(&path), (Some(1), said));
}

fn run_with_ca_file(path: &str) -> (Option<i32>, String) {
    let output = Command::new(Operator::executable())
        .args(["run", "--kubeconfig", "/dev/null", "--ca-file", path])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

/// How the cloud of a site is reached with `--proxy` and `--no-proxy`.
#[derive(Clone, Copy)]
enum Way {
    /// Through the proxy, which knows the names.
    Proxy,
    /// The proxy does not connect there.
    Refused,
    /// Past the proxy, where it is.
    Direct,
    /// Past the proxy, where nobody is.
    Nowhere,
}

const NO_PROXY: &str = "exempt.test,.suffix.test";

/// A site, the URL of its SWR without the port, and how it is reached.
const WAYS: [(&str, &str, Way); 6] = [
    ("through", "https://swr.through.test", Way::Proxy),
    ("refused", "https://swr.refused.test", Way::Refused),
    ("loopback", "https://localhost", Way::Direct),
    ("name", "https://swr.exempt.test", Way::Nowhere),
    ("suffix", "https://swr.suffix.test", Way::Nowhere),
    // Loopback is always exempt, and that is a network.
    ("network", "https://127.0.0.1", Way::Direct),
];

#[test]
fn a_proxy_gets_every_request_to_the_cloud_but_those_that_are_exempt() {
    let authority = Authority::create().expect("an authority");
    with_bed("proxy", &WAYS.map(|(name, ..)| name), |bed| {
        bed.terminate();
        let through = bed.site("through");
        let front = |site, host| {
            let config = authority.issue(host, false).expect("a certificate");
            Front::tls(IPV4, config, simulator(site)).expect("a server")
        };
        let swr = front(through, "swr.through.test");
        let iam = front(through, "iam.through.test");
        let local = front(bed.site("loopback"), "localhost");
        let network = front(bed.site("network"), "127.0.0.1");
        let mut flags = vec![
            format!("--ca-file={}", file("proxy-ca.crt", &authority.pem())),
            format!("--no-proxy={NO_PROXY}"),
        ];
        for (site, (name, url, way)) in bed.sites.iter().zip(WAYS) {
            let url = match way {
                Way::Direct if name == "network" => format!("{url}:{}", network.port()),
                Way::Direct => format!("{url}:{}", local.port()),
                Way::Proxy | Way::Refused | Way::Nowhere => url.to_owned(),
            };
            let iam = format!("https://iam.{name}.test:8443");
            flags.extend(endpoints(site, &url, &iam));
        }
        set_project(through, &Value::Null);
        // Every site has its eye on the password.
        let password = through.canary().key();
        let proxy = ConnectProxy::start(Rules {
            user: format!("operator:{password}"),
            routes: HashMap::from([
                ("swr.through.test:443".to_owned(), swr.address()),
                ("iam.through.test:8443".to_owned(), iam.address()),
            ]),
        })
        .expect("a proxy");
        let with_password = |password: &str| {
            let url = format!("http://operator:{password}@{}", proxy.address());
            [flags.clone(), vec![format!("--proxy={url}")]].concat()
        };

        start(bed, &with_password(&password));
        on_each(bed, &WAYS, |site, (_, _, way)| assert_goes(site, *way));
        let asked = [
            "CONNECT iam.through.test:8443 200",
            "CONNECT swr.refused.test:443 403",
            "CONNECT swr.through.test:443 200",
        ];
        assert_eq!(proxy.asked(), asked);

        bed.terminate();
        let mark = through.cloud.mark();
        start(bed, &with_password(&through.canary().key()));
        await_account_in_trouble(
            through,
            "the proxy refuses the user and password in --proxy",
        );
        bed.terminate();
        let flags = with_password(&password);
        drop(proxy);
        start(bed, &flags);
        await_account_in_trouble(through, "the proxy cannot be reached: correct --proxy");
        assert!(through.cloud.requests(mark).is_empty());
    });
}

fn assert_goes(site: &Site, way: Way) {
    let said_of_object = || {
        site.put_login("it", &site.login());
        site.create(&site.registry("it", "swr-pro"));
        site.await_synced("it", "Unknown ApiUnavailable").1
    };
    match way {
        Way::Proxy => assert_created(site),
        Way::Direct => {
            site.ready("it");
        }
        Way::Refused => assert_eq!(
            said_of_object(),
            "cannot list the instance's registries: the proxy does not connect to the endpoint: allow its host and port there, or add the host to --no-proxy"
        ),
        // The name is looked up here, and nobody may have one below `test`.
        Way::Nowhere => assert_eq!(
            said_of_object(),
            "cannot list the instance's registries: SWR has no address in DNS: correct spec.region of the account, the endpoint or DNS"
        ),
    }
}

#[test]
fn an_operator_lives_with_ipv6_alone() {
    let ports = [
        ("--health-address", "[::1]:0"),
        ("--metrics-address", "[::1]:0"),
    ];
    with_windows("ipv6", &["site"], &ports, |bed| {
        bed.terminate();
        let site = bed.site("site");
        let front = Front::plain(IPV6, simulator(site)).expect("a server");
        let url = format!("http://{}", front.address());
        start(bed, &endpoints(site, &url, &url));
        site_check(site, || {
            site.ready("it");
            bed.await_series("swr_resource_generation", &[&site.name, "it"], "1.0");
        });
    });
}

// --- What the tests share.

/// Where the simulator of a site listens.
fn simulator(site: &Site) -> SocketAddr {
    let url = site.cloud.url();
    let address = url.strip_prefix("http://").expect("http");
    address.parse().expect("an address")
}

/// The flags that move a site's cloud. The last of a region counts.
fn endpoints(site: &Site, swr: &str, iam: &str) -> [String; 2] {
    let region = &site.cloud.region;
    [
        format!("--swr-endpoint={region}={swr}"),
        format!("--iam-endpoint={region}={iam}"),
    ]
}

/// Without a project, IAM is asked for it before the account is Ready.
fn set_project(site: &Site, project: &Value) {
    site.patch_account(&json!({"spec": {"projectId": project}}));
}

fn start(bed: &Bed, flags: &[String]) {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    bed.start_operator_with(&flags);
}

fn await_account_in_trouble(site: &Site, trouble: &str) {
    let message =
        format!("cannot look up the project of the region: {trouble}; or set spec.projectId");
    site.await_account_saying("False ApiUnavailable", &message);
}

/// Checks all sites at once, each with its row.
fn on_each<C: Sync>(bed: &Bed, rows: &[C], check: impl Fn(&Site, &C) + Sync) {
    let items: Vec<(&str, (&Site, &C))> = bed
        .sites
        .iter()
        .zip(rows)
        .map(|(site, row)| (site.name.as_str(), (site, row)))
        .collect();
    in_parallel(&items, |(site, row)| site_check(site, || check(site, row)));
}

fn folder() -> PathBuf {
    Cluster::shared().folder.clone()
}

/// Writes a file; its path.
fn file(name: &str, content: &str) -> String {
    let path = folder().join(name);
    std::fs::write(&path, content).expect("a file");
    path.display().to_string()
}
