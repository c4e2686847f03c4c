//! Two replicas: one works, the other one waits and takes over. Each has a ServiceAccount of its own, so that the audit log
//! of the API server tells them apart; in the journal of SWR the ids of requests do, which each logs for its writes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use harness::proxy::{self, Fault, Phase, Proxy, Trouble};
use harness::{eventually_blocking, kubectl_stdout, service_account_kubeconfig};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::architecture::read;
use crate::bed::{Bed, Replica, say, with_windows};
use crate::cloud::PATIENCE;
use crate::cluster::{Audit, Cluster, OPERATOR, now};
use crate::guard;
use crate::site::Site;

/// As short as the write deadline of the bed, 2 s, allows: 4 s + 2 s + 8 s / 6.
const LEASE: Duration = Duration::from_secs(8);
const RENEW: Duration = Duration::from_secs(4);
const RETRY: Duration = Duration::from_secs(1);
const WRITE: Duration = Duration::from_secs(2);
/// For a machine that does other things, too.
const LATE: Duration = Duration::from_secs(4);
/// What is promised for a SIGTERM without a write under way.
const HANDOVER: Duration = Duration::from_secs(5);

const FLAGS: [&str; 7] = [
    "--leader-elect",
    "--leader-elect-lease-duration",
    "8s",
    "--leader-elect-renew-deadline",
    "4s",
    "--leader-elect-retry-period",
    "1s",
];

/// A replica with a name of its own.
struct Named {
    name: String,
    replica: Replica,
    audit: Audit,
}

impl Named {
    /// Starts one, with the rights that `deploy/overlays/ha` grants, on a lease with the bed's name.
    fn start(bed: &Bed, letter: char) -> Self {
        Self::start_by(bed, letter, |kubeconfig| kubeconfig)
    }

    /// The same for one that does not reach the API server by the kubeconfig of its rights alone.
    fn start_by(bed: &Bed, letter: char, by: impl FnOnce(PathBuf) -> PathBuf) -> Self {
        let name = format!("{}-{letter}", bed.name);
        let kubeconfig = by(permitted(&name, &bed.name));
        let audit = Audit::of(Cluster::shared().plane, OPERATOR, &name);
        let own = [
            "--pod-name",
            &name,
            "--leader-elect-resource-name",
            &bed.name,
        ];
        let replica = bed.spawn(&kubeconfig, &[&FLAGS[..], &own].concat());
        Self {
            name,
            replica,
            audit,
        }
    }

    /// The value of `leader_election_master_status`.
    fn leads(&self, lease: &str) -> bool {
        let text = harness::get_text(&self.replica.metrics).unwrap_or_else(|e| panic!("{e}"));
        let series = format!("leader_election_master_status{{name=\"{lease}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&series));
        value.unwrap_or_else(|| panic!("no {series}")) == "1"
    }

    /// Ids of the requests by which it wrote to SWR.
    fn written(&self) -> BTreeSet<String> {
        let log = self.replica.operator.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .filter(|line| line["target"] == "audit" || line["logger"] == "audit")
            .filter_map(|line| line["request_id"].as_str().map(str::to_owned))
            .collect()
    }

    /// When it wrote the lease.
    fn renewals(&self) -> Vec<Timestamp> {
        let asked = self.audit.asked().into_iter();
        asked
            .filter(|asked| asked.resource == "leases" && asked.is_write() && asked.code < 300)
            .map(|asked| asked.at)
            .collect()
    }

    /// That it only watched so far, and asked for nothing that it may not have.
    fn assert_waited(&self, lease: &str) {
        assert!(!self.leads(lease), "{} leads", self.name);
        let asked = self.audit.asked();
        let writes: Vec<String> = asked
            .iter()
            .filter(|asked| asked.is_write())
            .map(ToString::to_string)
            .collect();
        assert_eq!(writes, Vec::<String>::new(), "{} wrote", self.name);
        let text = harness::get_text(&self.replica.metrics).unwrap_or_else(|e| panic!("{e}"));
        for series in ["swr_api_requests_total{", "swr_resource_generation{"] {
            assert!(!text.contains(series), "{} serves {series}", self.name);
        }
    }

    fn assert_ends(&mut self, code: i32) {
        let operator = &mut self.replica.operator;
        let status = operator
            .wait(crate::bed::SHUTDOWN)
            .unwrap_or_else(|error| panic!("{error}\n{}", operator.log()));
        assert_eq!(status.code(), Some(code), "{}", operator.log());
    }
}

/// A ServiceAccount with the rights of the operator's, and those of the overlay on this lease.
fn permitted(account: &str, lease: &str) -> PathBuf {
    let cluster = Cluster::shared();
    let base = format!("/api/v1/namespaces/{OPERATOR}/serviceaccounts");
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let own = format!("{rbac}/namespaces/{OPERATOR}");
    let create = |path: &str, object: &Value| {
        (cluster.create(path, object)).unwrap_or_else(|refused| panic!("{path}: {refused}"));
    };
    create(&base, &json!({"metadata": {"name": account}}));
    let mut role = role_of_overlay();
    role["metadata"]["name"] = json!(account);
    role["rules"][1]["resourceNames"] = json!([lease]);
    create(&format!("{own}/roles"), &role);
    let binding = |name: &str, kind: &str, role: &str| {
        json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": OPERATOR}],
        })
    };
    create(
        &format!("{rbac}/clusterrolebindings"),
        &binding(account, "ClusterRole", OPERATOR),
    );
    for (name, role) in [
        (format!("{account}-own"), OPERATOR),
        (account.to_owned(), account),
    ] {
        create(
            &format!("{own}/rolebindings"),
            &binding(&name, "Role", role),
        );
    }
    let user = format!("--as=system:serviceaccount:{OPERATOR}:{account}");
    for (verb, resource) in [
        ("get", format!("leases/{lease}")),
        ("patch", "rreg".to_owned()),
    ] {
        eventually_blocking(PATIENCE, "the rights in force", || {
            let args = [
                "auth",
                "can-i",
                verb,
                &resource,
                "--namespace",
                OPERATOR,
                &user,
            ];
            kubectl_stdout(cluster.plane, &args, None)
        });
    }
    let path = cluster.folder.join(format!("{account}.kubeconfig"));
    service_account_kubeconfig(cluster.plane, OPERATOR, account, &path).expect("a token")
}

fn role_of_overlay() -> Value {
    let text = read("deploy/overlays/ha/rbac.yaml");
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
    let mut roles = objects
        .into_iter()
        .filter(|object| object["kind"] == "Role");
    roles.next().expect("a Role")
}

fn lease_path(bed: &Bed) -> String {
    let name = &bed.name;
    format!("/apis/coordination.k8s.io/v1/namespaces/{OPERATOR}/leases/{name}")
}

fn holder(bed: &Bed) -> String {
    let lease = Cluster::shared().get(&lease_path(bed)).unwrap_or_default();
    let holder = lease["spec"]["holderIdentity"].as_str();
    holder.unwrap_or_default().to_owned()
}

/// Waits until this replica leads, and returns how long that took.
fn await_leader(bed: &Bed, replica: &Named, within: Duration) -> Duration {
    #[expect(clippy::disallowed_methods, reason = "the time of a test's own")]
    let begun = Instant::now();
    let pod = format!("{}_", replica.name);
    eventually_blocking(
        within,
        &format!("{} leads", replica.name),
        || match holder(bed) {
            holder if holder.starts_with(&pod) && replica.leads(&bed.name) => Ok(()),
            holder => Err(format!("the holder is {holder:?}")),
        },
    );
    begun.elapsed()
}

/// Each write to SWR was sent by the replica that then held the lease: it had renewed the lease shortly before, and no
/// other one has had it since.
fn assert_one_writer(site: &Site, replicas: &[&Named], mark: u64) {
    let terms: Vec<(BTreeSet<String>, Vec<Timestamp>)> = replicas
        .iter()
        .map(|replica| (replica.written(), replica.renewals()))
        .collect();
    let entries = site.cloud.requests(mark).into_iter();
    let writes: Vec<_> = entries.filter(|entry| entry.method != "GET").collect();
    assert!(!writes.is_empty(), "nothing was written");
    for write in writes {
        let id = write.request_id.clone().unwrap_or_default();
        let by: Vec<usize> = (0..terms.len())
            .filter(|n| terms[*n].0.contains(&id))
            .collect();
        let [by] = by[..] else {
            panic!("{} {}: in {} logs", write.method, write.path, by.len());
        };
        let before = |renewals: &[Timestamp]| {
            let earlier = renewals.iter().filter(|at| **at <= write.at);
            earlier.max().copied().unwrap_or(Timestamp::MIN)
        };
        let own = before(&terms[by].1);
        let age = write.at.duration_since(own).unsigned_abs();
        assert!(
            age <= RENEW + WRITE,
            "a write {age:?} after the last renewal"
        );
        for (n, (_, renewals)) in terms.iter().enumerate() {
            let other = before(renewals);
            assert!(n == by || other < own, "another one has led since {other}");
        }
    }
}

/// Two replicas, the first of which leads.
fn two(bed: &Bed) -> (Named, Named) {
    // What the bed has started shows that the account can be used.
    bed.terminate();
    let first = Named::start(bed, 'a');
    await_leader(bed, &first, PATIENCE);
    (first, Named::start(bed, 'b'))
}

fn check(name: &str, windows: &[(&str, &str)], check: impl FnOnce(&Bed, &Site)) {
    with_windows(name, &["site"], windows, |bed| {
        let site = &bed.sites[0];
        crate::bed::site_check(site, || check(bed, site));
    });
}

fn change(site: &Site, n: usize) {
    let url = format!("https://changed-{n}.example.com");
    site.patch("it", &json!({"spec": {"url": url}}));
    site.await_status("it", "the change", |object| {
        object["status"]["observed"]["url"] == *url
    });
}

#[test]
fn sigterm_hands_over_within_five_seconds() {
    check("ha-term", &[], |bed, site| {
        let mark = site.cloud.mark();
        let (mut first, mut second) = two(bed);
        site.ready("it");
        second.assert_waited(&bed.name);

        // A person deletes the lease: whoever leads goes on.
        let term = holder(bed);
        (Cluster::shared().delete(&lease_path(bed))).expect("deleted");
        eventually_blocking(PATIENCE, "the lease", || match holder(bed) {
            holder if holder == term => Ok(()),
            holder => Err(holder),
        });
        change(site, 1);
        second.assert_waited(&bed.name);

        first.replica.operator.terminate().expect("SIGTERM");
        let took = await_leader(bed, &second, HANDOVER);
        first.assert_ends(0);
        say(&format!("SIGTERM: the other one leads after {took:?}"));
        change(site, 2);
        assert_one_writer(site, &[&first, &second], mark);
        assert_rights_used(&[&first, &second]);

        second.replica.operator.terminate().expect("SIGTERM");
        second.assert_ends(0);
        assert_eq!(holder(bed), "", "the last one releases the lease, too");
    });
}

/// The rights that the overlay grants are those that are used, and nothing was refused.
fn assert_rights_used(replicas: &[&Named]) {
    let mut used = BTreeSet::new();
    for replica in replicas {
        for asked in replica.audit.asked() {
            // A lost race is an answer.
            assert_ne!(asked.code, 403, "{asked}");
            if asked.resource == "leases" {
                used.insert(asked.verb);
            }
        }
    }
    let role = role_of_overlay();
    let verbs = |n: usize| {
        role["rules"][n]["verbs"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let granted: BTreeSet<String> = [verbs(0), verbs(1)]
        .concat()
        .iter()
        .map(|verb| verb.as_str().expect("a verb").to_owned())
        .collect();
    assert_eq!(used, granted);
}

#[test]
fn a_killed_leader_is_replaced_when_its_lease_expires() {
    check("ha-kill", &[], |bed, site| {
        let mark = site.cloud.mark();
        let (mut first, second) = two(bed);
        site.ready("it");
        first.replica.operator.kill_9().expect("it is killed");
        let killed_at = now();
        let took = await_leader(bed, &second, LEASE + RETRY + LATE);
        say(&format!("kill -9: the other one leads after {took:?}"));
        let renewed_at = first.renewals().pop().expect("a renewal");
        let waited = second.renewals()[0].duration_since(renewed_at);
        assert!(waited.unsigned_abs() >= LEASE, "taken over after {waited}");
        assert!(renewed_at <= killed_at);
        change(site, 1);
        assert_one_writer(site, &[&first, &second], mark);
        end(second);
    });
}

#[test]
fn a_stopped_leader_writes_nothing_when_it_wakes_up() {
    // Else the answer that it waits for would be too old anyway.
    let windows = [("--read-deadline", "60s")];
    check("ha-stop", &windows, |bed, site| {
        let mark = site.cloud.mark();
        let (mut first, second) = two(bed);
        site.ready("it");
        // It stops between the last look at the registry and the DELETE.
        site.cloud.fault(&json!({
            "match": {"operation": "ShowInstanceRegistry", "ordinal": 1},
            "phase": "after", "kind": "delay", "delayMs": 1500,
        }));
        let deleting = site.cloud.mark();
        site.delete("it");
        site.await_asked(deleting, "ShowInstanceRegistry");
        first.replica.operator.suspend().expect("SIGSTOP");
        site.cloud.fault(&json!({
            "match": {"operation": "ShowInstanceRegistry"}, "kind": "status", "status": 503,
        }));
        await_leader(bed, &second, LEASE + RETRY + LATE);
        let waking = site.cloud.mark();
        let written = first.written();
        first.replica.operator.resume().expect("SIGCONT");
        first.assert_ends(1);
        assert_eq!(site.cloud.writes(waking), Vec::<String>::new());
        assert_eq!(first.written(), written);
        let log = first.replica.operator.log();
        assert!(log.contains("lease lost"), "{log}");

        site.cloud.clear_faults();
        site.await_gone("it");
        assert_one_writer(site, &[&first, &second], mark);
        end(second);
    });
}

#[test]
fn sigterm_during_a_write_hands_over_when_the_write_has_ended() {
    check("ha-write", &[], |bed, site| {
        let mark = site.cloud.mark();
        let (mut first, second) = two(bed);
        site.cloud.fault(&json!({
            "match": {"operation": "CreateInstanceRegistry", "ordinal": 1},
            "phase": "after", "kind": "delay", "delayMs": 1200,
        }));
        let creating = site.cloud.mark();
        site.put_login("it", &site.login());
        site.create(&site.registry("it", "swr-pro"));
        site.await_asked(creating, "CreateInstanceRegistry");
        first.replica.operator.terminate().expect("SIGTERM");
        await_leader(bed, &second, WRITE + HANDOVER);
        first.assert_ends(0);
        site.await_ready("it");
        assert_eq!(site.cloud.asked(mark, "CreateInstanceRegistry").len(), 1);
        assert_one_writer(site, &[&first, &second], mark);
        end(second);
    });
}

#[test]
fn sigterm_does_not_wait_for_a_read_that_hangs() {
    check("ha-read", &[("--read-deadline", "60s")], |bed, site| {
        let mark = site.cloud.mark();
        let (mut first, second) = two(bed);
        site.ready("it");
        site.cloud.fault(&json!({
            "match": {"operation": "ShowInstanceRegistry", "ordinal": 1}, "kind": "hang",
        }));
        let deleting = site.cloud.mark();
        site.delete("it");
        site.await_asked(deleting, "ShowInstanceRegistry");
        first.replica.operator.terminate().expect("SIGTERM");
        let took = await_leader(bed, &second, HANDOVER);
        say(&format!(
            "SIGTERM during a read: the other one leads after {took:?}"
        ));
        first.assert_ends(0);
        site.await_gone("it");
        assert_one_writer(site, &[&first, &second], mark);
        end(second);
    });
}

#[test]
fn a_replica_that_takes_over_goes_on_pausing_deletions() {
    check("ha-guard", &[], |bed, site| {
        let (mut first, second) = two(bed);
        let ids = guard::ready(site, 8);
        let mark = site.cloud.mark();
        let paused = |n: usize| site.await_state(&guard::name(n), "False DeletionPaused");
        guard::delete(site, 0..7);
        for n in 0..7 {
            paused(n);
        }
        first.replica.operator.kill_9().expect("it is killed");
        await_leader(bed, &second, LEASE + RETRY + LATE);
        // One by itself would not be too many.
        guard::delete(site, 7..8);
        paused(7);
        assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
        site.allow_deletions();
        guard::gone_with_their_registries(site, mark, &ids);
        assert_one_writer(site, &[&first, &second], mark);
        end(second);
    });
}

fn end(mut replica: Named) {
    replica.replica.operator.terminate().expect("SIGTERM");
    replica.assert_ends(0);
}

/// As many as find no place among the requests that one client has under way.
const THROTTLED: usize = 20;
/// One a second. Within three such spans the waits of an object grow from 2 s to 25 s.
const SPAN: usize = 30;

#[test]
fn a_leader_that_is_throttled_keeps_its_lease_and_asks_less_and_less() {
    check("ha-throttled", &[], |bed, site| {
        bed.terminate();
        let proxy = Proxy::start(Cluster::shared().plane, &[&site.name]).expect("a proxy");
        let mut leader = Named::start_by(bed, 'a', |kubeconfig| {
            let through = kubeconfig.with_extension("throttled");
            (proxy.kubeconfig(&kubeconfig, &through)).expect("a kubeconfig")
        });
        await_leader(bed, &leader, PATIENCE);
        site.put_login("shared", &site.login());
        let names: Vec<String> = (0..THROTTLED).map(|n| format!("it-{n}")).collect();
        for name in &names {
            let mut object = site.registry(name, "huawei-SWR");
            object["spec"]["credentialSecretRef"]["name"] = json!("shared");
            site.create(&object);
        }
        for name in &names {
            site.await_ready(name);
        }

        let requests = proxy.of(&site.name);
        requests.answer(vec![Fault {
            what: proxy::ANY.to_owned(),
            nth: None,
            phase: Phase::Before,
            trouble: Trouble::Throttled,
        }]);
        let (mark, begun) = (site.cloud.mark(), now());
        let url = json!("https://changed.example.com");
        for name in &names {
            site.patch(name, &json!({"spec": {"url": url}}));
        }
        let renewals = || -> Vec<Timestamp> {
            let all = leader.renewals().into_iter();
            all.filter(|at| *at > begun).collect()
        };
        let asked_until = |n: usize| {
            eventually_blocking(
                2 * PATIENCE,
                &format!("the lease renewed {n} times"),
                || {
                    assert!(leader.leads(&bed.name));
                    let renewed = renewals().len();
                    (renewed >= n).then_some(()).ok_or(renewed)
                },
            );
            requests.seen().len()
        };
        let [first, second, third] = [1, 2, 3].map(|n| asked_until(n * SPAN));
        let last = third - second;
        assert!(
            last * 5 <= first * 3,
            "{first} requests in the first third of the time, {last} in the last"
        );
        for pair in renewals().windows(2) {
            let gap = pair[1].duration_since(pair[0]).unsigned_abs();
            assert!(gap < RENEW, "{gap:?} between two renewals");
        }
        assert_eq!(site.cloud.writes(mark), Vec::<String>::new());
        let seen = requests.seen();
        for name in &names {
            let of_it = format!("GET replicationregistries/{name}");
            assert!(seen.iter().any(|seen| seen.what == of_it), "{name}");
        }

        requests.answer(Vec::new());
        for name in &names {
            // The last wait may be as long as all before it.
            eventually_blocking(3 * PATIENCE, &format!("the change of {name}"), || {
                let seen = site.object(name)["status"]["observed"]["url"].clone();
                (seen == url).then_some(()).ok_or(seen)
            });
        }
        leader.replica.operator.terminate().expect("SIGTERM");
        leader.assert_ends(0);
    });
}
