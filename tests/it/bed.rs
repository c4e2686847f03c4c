//! An operator process as it ships, with a site for each case, and what must hold after every test: it ends in order, it
//! asked for nothing it may not have, each status that it wrote kept the contract, and no secret got out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use harness::{ControlPlane, Operator, OperatorOptions, eventually_blocking};
use jiff::Timestamp;
use serde_json::Value;

use crate::canary::{Forbidden, Hashes};
use crate::cloud::PATIENCE;
use crate::cluster::{Audit, Cluster, OPERATOR, now};
use crate::log;
use crate::rotation::WATCHED;
use crate::site::{Logs, Site};
use crate::status;

/// The operator answers in a second; a machine that compiles beside it needs more.
const READY: Duration = Duration::from_secs(60);
/// It holds the key for fingerprints.
const KEY_SECRET: &str = "swr-operator-key";
/// From SIGTERM to the end, at most.
pub(crate) const SHUTDOWN: Duration = Duration::from_secs(25);

/// Any free port, short windows, so that seconds show what takes minutes in production, and a log for whoever
/// reads a failure.
const WINDOWS: [(&str, &str); 10] = [
    ("--health-address", "127.0.0.1:0"),
    ("--metrics-address", "127.0.0.1:0"),
    ("--poll-interval", "2s"),
    ("--settle", "6s"),
    ("--write-deadline", "2s"),
    ("--read-deadline", "3s"),
    ("--grace", "2s"),
    ("--secret-retry", "2s"),
    ("--mass-deletion-guard", "1s"),
    ("--log-level", "info,swr_operator=debug"),
];

/// Flags of an operator with their values.
pub(crate) type Windows<'a> = &'a [(&'a str, &'a str)];

/// One of several operators, and where it is scraped.
pub(crate) struct Replica {
    pub(crate) operator: Operator,
    pub(crate) metrics: String,
}

pub(crate) struct Bed {
    pub(crate) name: String,
    pub(crate) cluster: &'static Cluster,
    /// Those of the bed, where they differ from ours.
    windows: Vec<(String, String)>,
    pub(crate) sites: Vec<Site>,
    audit: Audit,
    logs: Logs,
    operator: Mutex<Option<Operator>>,
    /// Where the newest operator is scraped.
    metrics: Mutex<String>,
    /// When a test had taken something away from under the operator.
    upset: Mutex<Vec<RangeInclusive<Timestamp>>>,
}

/// Runs one check per case, all at once: each has a site, and one operator serves them all.
pub(crate) fn check_all<C: Sync>(
    name: &str,
    cases: &[(&str, C)],
    check: impl Fn(&Site, &C) + Sync,
) {
    let names: Vec<&str> = cases.iter().map(|(name, _)| *name).collect();
    with_bed(name, &names, |bed| {
        let sites: Vec<(&str, (&Site, &C))> = bed
            .sites
            .iter()
            .zip(cases)
            .map(|(site, (name, case))| (*name, (site, case)))
            .collect();
        in_parallel(&sites, |(site, case)| {
            site_check(site, || check(site, case));
        });
    });
}

/// A check and its name, which is a sentence.
pub(crate) type Case = (&'static str, fn(&Site));

/// The named functions as cases.
macro_rules! cases {
    ($($check:ident),* $(,)?) => {
        [$((stringify!($check), $check as fn(&$crate::site::Site))),*]
    };
}
pub(crate) use cases;

/// Runs all cases at once: each has a site, and one operator serves them all.
pub(crate) fn check_cases(name: &str, checks: &[Case]) {
    let numbers: Vec<String> = (1..=checks.len()).map(|n| n.to_string()).collect();
    let names: Vec<&str> = numbers.iter().map(String::as_str).collect();
    with_bed(name, &names, |bed| {
        let checks: Vec<(&str, (&Site, &Case))> = bed
            .sites
            .iter()
            .zip(checks)
            .map(|(site, case)| (case.0, (site, case)))
            .collect();
        in_parallel(&checks, |(site, (_, check))| {
            site_check(site, || check(site));
        });
    });
}

/// Runs a test on a bed whose sites are named so.
pub(crate) fn with_bed(name: &str, sites: &[&str], test: impl FnOnce(&Bed)) {
    with_windows(name, sites, &[], test);
}

/// The same with other windows than ours, or with further flags.
pub(crate) fn with_windows(
    name: &str,
    sites: &[&str],
    windows: Windows<'_>,
    test: impl FnOnce(&Bed),
) {
    let bed = Bed::start(Cluster::shared(), name, sites, windows);
    test(&bed);
    bed.finish();
}

/// The same on a control plane of its own, which the test may treat as it likes.
pub(crate) fn with_own_plane(
    name: &str,
    sites: &[&str],
    windows: Windows<'_>,
    test: impl FnOnce(&Bed, &ControlPlane),
) {
    on_own_plane(name, sites, windows, |bed, plane| {
        test(&bed, plane);
        bed.finish();
    });
}

/// The same for operators that are not judged afterwards.
pub(crate) fn on_own_plane(
    name: &str,
    sites: &[&str],
    windows: Windows<'_>,
    test: impl FnOnce(Bed, &ControlPlane),
) {
    struct Ends(&'static ControlPlane);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.end();
        }
    }
    let cluster = Cluster::own();
    let _ends = Ends(cluster.plane);
    test(Bed::start(cluster, name, sites, windows), cluster.plane);
}

/// A check that needs the bed of its site, and the name of the site.
pub(crate) type BedCase = (&'static str, fn(&Bed, &Site));

/// Runs the checks at once, each on the site that bears its name.
pub(crate) fn check_on(bed: &Bed, checks: &[BedCase]) {
    let checks: Vec<(&str, &BedCase)> = checks.iter().map(|case| (case.0, case)).collect();
    in_parallel(&checks, |(name, check)| {
        let site = bed.site(name);
        site_check(site, || check(bed, site));
    });
}

/// Runs a test on a bed with a single site.
pub(crate) fn with_site(name: &str, test: impl FnOnce(&Bed, &Site)) {
    with_bed(name, &["site"], |bed| {
        let site = &bed.sites[0];
        site_check(site, || test(bed, site));
    });
}

/// Shows what there is to see of a site when the check fails.
pub(crate) fn site_check(site: &Site, check: impl FnOnce()) {
    struct Report<'a>(&'a Site);
    impl Drop for Report<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                say(&self.0.report());
            }
        }
    }
    let _report = Report(site);
    check();
}

/// Runs `work` on every item, each in a thread of its own, and fails with the names of those that failed.
pub(crate) fn in_parallel<T: Sync>(items: &[(&str, T)], work: impl Fn(&T) + Sync) {
    let failed: Vec<&str> = std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = items
            .iter()
            .map(|(name, item)| {
                let thread = std::thread::Builder::new()
                    .name((*name).to_owned())
                    .spawn_scoped(scope, move || work(item))
                    .expect("a thread");
                (*name, thread)
            })
            .collect();
        threads
            .into_iter()
            .filter_map(|(name, thread)| thread.join().is_err().then_some(name))
            .collect()
    });
    assert!(
        failed.is_empty(),
        "{} of {} cases failed: {}",
        failed.len(),
        items.len(),
        failed.join(", ")
    );
}

#[expect(
    clippy::print_stderr,
    reason = "for whoever reads a failure; libtest keeps it with its test"
)]
pub(crate) fn say(text: &str) {
    eprintln!("{text}");
}

/// Waits until an operator is ready.
pub(crate) fn await_ready(mut operator: Operator) -> Replica {
    let mut address = |message| {
        operator
            .await_address(message, READY)
            .unwrap_or_else(|error| panic!("{error}\n{}", operator.log()))
    };
    let health = address("listening for health checks");
    let metrics = address("listening for scrapes");
    operator
        .await_ready(&format!("http://{health}/readyz"), READY)
        .unwrap_or_else(|error| panic!("{error}\n{}", operator.log()));
    Replica {
        operator,
        metrics: format!("http://{metrics}/metrics"),
    }
}

/// SIGTERM, and the exit code 0 within the time that is promised.
pub(crate) fn terminate(mut operator: Operator) {
    operator.terminate().expect("SIGTERM");
    let status = operator
        .wait(SHUTDOWN)
        .unwrap_or_else(|error| panic!("{error}\n{}", operator.log()));
    assert_eq!(status.code(), Some(0), "{}", operator.log());
}

impl Bed {
    fn start(cluster: &'static Cluster, name: &str, sites: &[&str], windows: Windows<'_>) -> Self {
        let audit = cluster.audit();
        let logs = Logs::default();
        let sites = sites
            .iter()
            .map(|site| Site::start(cluster, &format!("{name}-{site}"), Arc::clone(&logs)))
            .collect();
        let bed = Self {
            name: name.to_owned(),
            cluster,
            windows: windows
                .iter()
                .map(|(flag, value)| ((*flag).to_owned(), (*value).to_owned()))
                .collect(),
            sites,
            audit,
            logs,
            operator: Mutex::new(None),
            metrics: Mutex::default(),
            upset: Mutex::default(),
        };
        bed.start_operator();
        for site in &bed.sites {
            site.await_account("True Available");
        }
        bed
    }

    /// The site that `name` stands for.
    pub(crate) fn site(&self, name: &str) -> &Site {
        let name = format!("{}-{name}", self.name);
        let found = self.sites.iter().find(|site| site.name == name);
        found.unwrap_or_else(|| panic!("no site {name}"))
    }

    fn operator(&self) -> MutexGuard<'_, Option<Operator>> {
        self.operator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts an operator; the one before must have ended.
    pub(crate) fn start_operator(&self) {
        self.start_operator_by(&self.cluster.operator_kubeconfig);
    }

    /// Starts an operator that reaches the API server by this kubeconfig.
    pub(crate) fn start_operator_by(&self, kubeconfig: &Path) {
        self.start_operator_as(kubeconfig, &[]);
    }

    /// Starts an operator with further flags.
    pub(crate) fn start_operator_with(&self, flags: &[&str]) {
        self.start_operator_as(&self.cluster.operator_kubeconfig, flags);
    }

    /// Starts an operator that a shell becomes after it did this.
    pub(crate) fn start_operator_after(&self, script: &str) {
        let operator = Operator::executable().display();
        let cluster = &self.cluster;
        let path = cluster.folder.join(format!("{}-operator.sh", self.name));
        let text = format!("#!/bin/sh\n{script}\nexec {operator} \"$@\"\n");
        std::fs::write(&path, text).expect("a script");
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("a program");
        let options = OperatorOptions {
            binary: path,
            ..self.options(&cluster.operator_kubeconfig, &[])
        };
        let operator = Operator::spawn(&options).expect("the operator starts");
        self.take(await_ready(operator));
    }

    fn start_operator_as(&self, kubeconfig: &Path, further: &[&str]) {
        self.take(self.spawn(kubeconfig, further));
    }

    /// Makes an operator that runs the one of this bed.
    pub(crate) fn take(&self, replica: Replica) {
        let Replica { operator, metrics } = replica;
        *self.operator() = Some(operator);
        *self.metrics() = metrics;
    }

    /// The id of the operator's process.
    pub(crate) fn pid(&self) -> u32 {
        self.operator().as_ref().expect("an operator runs").pid()
    }

    /// Starts an operator beside those that run, and waits until it is ready.
    pub(crate) fn spawn(&self, kubeconfig: &Path, further: &[&str]) -> Replica {
        await_ready(self.launch(kubeconfig, further))
    }

    /// Starts an operator that may be unable to become ready yet.
    pub(crate) fn launch(&self, kubeconfig: &Path, further: &[&str]) -> Operator {
        Operator::spawn(&self.options(kubeconfig, further)).expect("the operator starts")
    }

    /// How an operator of this bed is started.
    pub(crate) fn options(&self, kubeconfig: &Path, further: &[&str]) -> OperatorOptions {
        let mut args: Vec<String> = Vec::new();
        let mut flag = |name: &str, value: &str| args.extend([name.to_owned(), value.to_owned()]);
        flag("--namespace", OPERATOR);
        flag("--installation-id", &self.name);
        for (name, value) in WINDOWS {
            if self.windows.iter().all(|(other, _)| other != name) {
                flag(name, value);
            }
        }
        for (name, value) in &self.windows {
            flag(name, value);
        }
        for site in &self.sites {
            let endpoint = format!("{}={}", site.cloud.region, site.cloud.url());
            flag("--watch-namespace", &site.name);
            flag("--account", &site.name);
            flag("--swr-endpoint", &endpoint);
            flag("--iam-endpoint", &endpoint);
            flag("--sts-endpoint", &endpoint);
            flag("--account", &format!("{}-hub", site.name));
            flag("--account", &format!("{}-outer", site.name));
        }
        args.extend(further.iter().map(|flag| (*flag).to_owned()));
        OperatorOptions {
            binary: Operator::executable().to_owned(),
            kubeconfig: kubeconfig.to_owned(),
            args,
            log_path: self.next_log(),
        }
    }

    /// Waits until one of the operators of this bed has logged these words beyond so many bytes.
    pub(crate) fn await_log(&self, from: usize, words: &str) {
        eventually_blocking(PATIENCE, &format!("{words:?} in the log"), || {
            let log = self.log();
            let new = log.get(from..).unwrap_or_default();
            match new.contains(words) {
                true => Ok(()),
                false => Err(new.lines().last().unwrap_or_default().to_owned()),
            }
        });
    }

    /// What the operators of this bed have logged.
    pub(crate) fn log(&self) -> String {
        self.sites.first().map(Site::log).unwrap_or_default()
    }

    /// Panics with the end of the log when the operator has ended by itself.
    pub(crate) fn assert_operator_lives(&self) {
        let mut operator = self.operator();
        let operator = operator.as_mut().expect("an operator was started");
        operator
            .assert_running()
            .unwrap_or_else(|error| panic!("{error}"));
    }

    fn metrics(&self) -> MutexGuard<'_, String> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a scrape of the operator reads, in Prometheus' own format.
    pub(crate) fn scrape(&self) -> String {
        let url = self.metrics().clone();
        harness::get_text(&url).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, if it is answered within the time that a scrape waits.
    pub(crate) fn try_scrape(&self) -> Option<String> {
        let url = self.metrics().clone();
        harness::get_text(&url).ok()
    }

    /// The value of the one series of a metric whose labels hold all these values.
    pub(crate) fn series(&self, metric: &str, values: &[&str]) -> Option<String> {
        let text = self.scrape();
        text.lines()
            .filter_map(|line| {
                line.strip_prefix(metric)?
                    .strip_prefix('{')?
                    .rsplit_once('}')
            })
            .find(|(labels, _)| {
                values
                    .iter()
                    .all(|value| labels.contains(&format!("=\"{value}\"")))
            })
            .map(|(_, value)| value.trim().to_owned())
    }

    /// Waits until [`Self::series`] has this value.
    pub(crate) fn await_series(&self, metric: &str, values: &[&str], wanted: &str) {
        let what = format!("{metric} of {values:?}: {wanted}");
        eventually_blocking(PATIENCE, &what, || {
            let seen = self.series(metric, values);
            if seen.as_deref() == Some(wanted) {
                Ok(())
            } else {
                Err(format!("{seen:?}"))
            }
        });
    }

    /// Every start has a log of its own: spawning empties it.
    fn next_log(&self) -> PathBuf {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = &self.cluster.folder;
        let path = folder.join(format!("{}-{}.log", self.name, logs.len() + 1));
        logs.push(path.clone());
        path
    }

    /// The crash that every protocol here must survive.
    pub(crate) fn kill_9(&self) {
        let mut operator = self.operator().take().expect("an operator runs");
        operator.kill_9().expect("it is killed");
    }

    /// SIGTERM, and an end in order.
    pub(crate) fn terminate(&self) {
        terminate(self.operator().take().expect("an operator runs"));
    }

    /// What must hold after every test.
    fn finish(self) {
        let metrics = self.operator().is_some().then(|| self.scrape());
        if metrics.is_some() {
            self.terminate();
        }
        self.assert_permitted();
        let mut statuses = self.audit.statuses();
        for written in &mut statuses {
            // Not judged, but what is written next follows it.
            written.is_of_operator &= !self.was_upset(written.at);
        }
        status::assert_kept(&statuses);
        let kept = Kept::of(&self);
        kept.assert("the metrics", &metrics.unwrap_or_default());
        let logs = self.sites.first().map(Site::logs);
        for log in logs.into_iter().flatten() {
            log::assert_strict(&log);
            assert!(!log.contains("panicked"), "the operator panicked:\n{log}");
            kept.assert("the operator's log", &log);
        }
        kept.assert("an object as it was once", &self.audit.lines_of_written());
        for site in &self.sites {
            let objects = site.objects();
            kept.assert("an object", &text_of(&objects));
            objects.iter().for_each(assert_own_fields);
            let events = format!("/api/v1/namespaces/{}/events", site.name);
            kept.assert("an event", &text_of(&site.cluster.list(&events)));
            let account = site.account_now();
            kept.assert("the account", &account.to_string());
            assert_own_fields(&account);
        }
    }

    /// What happens while something is taken away from under the operator, a right or a field: meanwhile it may be
    /// refused, and what it writes may come to nothing.
    pub(crate) fn upset<T>(&self, test: impl FnOnce() -> T) -> T {
        let since = now();
        let outcome = test();
        // The API server knows a right a moment after it was given, or after its own start.
        let until = now() + Duration::from_secs(5);
        let mut upset = self.upset.lock().unwrap_or_else(PoisonError::into_inner);
        upset.push(since..=until);
        outcome
    }

    fn was_upset(&self, at: Timestamp) -> bool {
        let upset = self.upset.lock().unwrap_or_else(PoisonError::into_inner);
        upset.iter().any(|range| range.contains(&at))
    }

    /// RBAC: nothing was refused, and no Secret was asked for but by its name. RBAC cannot say which names: those that
    /// an object in the namespace of the Secret gives, an account in the operator's own, and the operator's key.
    fn assert_permitted(&self) {
        let all_asked = self.audit.asked();
        // The operators of other beds share the ServiceAccount, so what counts was named by anything in the run.
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        let of_cluster = named.entry(self.cluster.folder.clone());
        let Named { audit, secrets } = of_cluster.or_insert_with(|| Named::of(self.cluster));
        secrets.extend(audit.take_written().iter().flat_map(secrets_named_by));
        // What was put into etcd beside the API server is in no audit log.
        let present = self.sites.iter().flat_map(Site::objects);
        secrets.extend(present.flat_map(|object| secrets_named_by(&object)));
        let is_going = |namespace: &str| {
            let path = format!("/api/v1/namespaces/{namespace}");
            let found = self.cluster.get(&path);
            found.is_none_or(|namespace| namespace["metadata"]["deletionTimestamp"].is_string())
        };
        for asked in all_asked {
            // A namespace that goes takes no new event; RBAC has no part in that.
            let in_vain = asked.resource == "events" && is_going(&asked.namespace);
            let lacked = self.was_upset(asked.at);
            assert!(
                asked.code != 403 || in_vain || lacked,
                "{asked}: {}",
                asked.uri
            );
            let is_watch = ["list", "watch"].contains(&asked.verb.as_str());
            if is_watch
                && (asked.resource.as_str(), asked.namespace.as_str()) == ("secrets", WATCHED)
            {
                continue;
            }
            if asked.resource == "secrets" {
                let fills_key = asked.verb == "patch"
                    && (asked.namespace.as_str(), asked.name.as_str()) == (OPERATOR, KEY_SECRET);
                assert!(asked.verb == "get" || fills_key, "{asked}: {}", asked.uri);
                let is_named = secrets.contains(&(asked.namespace.clone(), asked.name.clone()));
                assert!(is_named, "nothing names it: {asked}: {}", asked.uri);
            }
        }
    }
}

/// What must stand nowhere.
struct Kept {
    /// The secrets of all sites, the operator's token and the key of the installation.
    forbidden: Forbidden,
    /// Those of the secrets of all sites.
    hashes: Hashes,
}

impl Kept {
    fn of(bed: &Bed) -> Self {
        let mut hashes = Hashes::default();
        for site in &bed.sites {
            site.add_hashes(&mut hashes);
        }
        let of_sites = bed.sites.iter().flat_map(Site::forbidden);
        let own = bed.cluster.secrets_of_operator();
        let own = own.map(|secret| ("the operator's token or key".to_owned(), secret));
        let forbidden = Forbidden::new(of_sites.chain(own));
        Self { forbidden, hashes }
    }

    /// Panics when any of it stands in `text`.
    fn assert(&self, what: &str, text: &str) {
        let shown = self.forbidden.shown_in(text);
        assert_eq!(shown, None, "stands in {what}:\n{text}");
        let hash = self.hashes.shown_in(text);
        assert_eq!(hash, None, "a hash of a secret stands in {what}:\n{text}");
    }
}

fn text_of(objects: &[Value]) -> String {
    let lines: Vec<String> = objects.iter().map(Value::to_string).collect();
    lines.join("\n")
}

/// Of an object the operator has written its finalizer and the status. Above all no annotation, which may hold a copy
/// of anything.
fn assert_own_fields(object: &Value) {
    let entries = object["metadata"]["managedFields"].as_array();
    let own = (entries.into_iter().flatten()).filter(|entry| entry["manager"] == OPERATOR);
    for entry in own {
        let fields = entry["fieldsV1"].as_object().into_iter().flatten();
        for (field, inner) in fields {
            let is_own = match field.as_str() {
                "f:status" => true,
                "f:metadata" => {
                    let mut inner = inner.as_object().into_iter().flatten();
                    inner.all(|(field, _)| field == "f:finalizers")
                }
                _ => false,
            };
            assert!(is_own, "the operator wrote {field}: {object:#}");
        }
    }
}

/// Namespace and name of each Secret that the operator may read: what an object or an account has named, and its key.
struct Named {
    /// Where nobody has looked yet.
    audit: Audit,
    secrets: BTreeSet<(String, String)>,
}

impl Named {
    fn of(cluster: &Cluster) -> Self {
        Self {
            audit: cluster.audit().whole(),
            secrets: BTreeSet::from([(OPERATOR.to_owned(), KEY_SECRET.to_owned())]),
        }
    }
}

/// By the folder of the cluster.
static NAMED: Mutex<BTreeMap<PathBuf, Named>> = Mutex::new(BTreeMap::new());

/// Namespace and name of the Secrets that an object or an account names.
fn secrets_named_by(object: &Value) -> Vec<(String, String)> {
    let spec = &object["spec"];
    let (namespace, references) = match object["kind"].as_str() {
        Some("ReplicationRegistry") => {
            let namespace = object["metadata"]["namespace"].as_str();
            (namespace.unwrap_or_default(), spec)
        }
        _ => (OPERATOR, &spec["auth"]),
    };
    let references = references.as_object().into_iter().flatten();
    references
        .filter(|(field, _)| field.ends_with("SecretRef"))
        .filter_map(|(_, reference)| reference["name"].as_str())
        .map(|name| (namespace.to_owned(), name.to_owned()))
        .collect()
}
