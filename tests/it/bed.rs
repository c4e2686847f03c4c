//! An operator process as it ships, with a site for each case, and what must hold after every test: it ends in order, it
//! asked for nothing it may not have, each status that it wrote kept the contract, and no secret got out.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use harness::{Operator, OperatorOptions, eventually_blocking};
use serde_json::Value;

use crate::canary::Hashes;
use crate::cloud::PATIENCE;
use crate::cluster::{Audit, Cluster, OPERATOR};
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
    /// Those of the bed, where they differ from ours.
    windows: Vec<(String, String)>,
    pub(crate) sites: Vec<Site>,
    audit: Audit,
    logs: Logs,
    operator: Mutex<Option<Operator>>,
    /// Where the newest operator is scraped.
    metrics: Mutex<String>,
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
    let bed = Bed::start(name, sites, windows);
    test(&bed);
    bed.finish();
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

impl Bed {
    fn start(name: &str, sites: &[&str], windows: Windows<'_>) -> Self {
        let cluster = Cluster::shared();
        let audit = cluster.audit();
        let logs = Logs::default();
        let sites = sites
            .iter()
            .map(|site| Site::start(&format!("{name}-{site}"), Arc::clone(&logs)))
            .collect();
        let bed = Self {
            name: name.to_owned(),
            windows: windows
                .iter()
                .map(|(flag, value)| ((*flag).to_owned(), (*value).to_owned()))
                .collect(),
            sites,
            audit,
            logs,
            operator: Mutex::new(None),
            metrics: Mutex::default(),
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
        self.start_operator_by(&Cluster::shared().operator_kubeconfig);
    }

    /// Starts an operator that reaches the API server by this kubeconfig.
    pub(crate) fn start_operator_by(&self, kubeconfig: &Path) {
        self.start_operator_as(kubeconfig, &[]);
    }

    /// Starts an operator with further flags.
    pub(crate) fn start_operator_with(&self, flags: &[&str]) {
        self.start_operator_as(&Cluster::shared().operator_kubeconfig, flags);
    }

    /// Starts an operator that a shell becomes after it did this.
    pub(crate) fn start_operator_after(&self, script: &str) {
        let operator = Operator::executable().display();
        let cluster = Cluster::shared();
        let path = cluster.folder.join(format!("{}-operator.sh", self.name));
        let text = format!("#!/bin/sh\n{script}\nexec {operator} \"$@\"\n");
        std::fs::write(&path, text).expect("a script");
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("a program");
        self.serve(self.spawn_binary(&path, &cluster.operator_kubeconfig, &[]));
    }

    fn start_operator_as(&self, kubeconfig: &Path, further: &[&str]) {
        self.serve(self.spawn(kubeconfig, further));
    }

    fn serve(&self, replica: Replica) {
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
        self.spawn_binary(Operator::executable(), kubeconfig, further)
    }

    fn spawn_binary(&self, binary: &Path, kubeconfig: &Path, further: &[&str]) -> Replica {
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
        let mut operator = Operator::spawn(&OperatorOptions {
            binary: binary.to_owned(),
            kubeconfig: kubeconfig.to_owned(),
            args,
            log_path: self.next_log(),
        })
        .expect("the operator starts");
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
        let path = Cluster::shared()
            .folder
            .join(format!("{}-{}.log", self.name, logs.len() + 1));
        logs.push(path.clone());
        path
    }

    /// The crash that every protocol here must survive.
    pub(crate) fn kill_9(&self) {
        let mut operator = self.operator().take().expect("an operator runs");
        operator.kill_9().expect("it is killed");
    }

    /// SIGTERM, and the exit code 0 within the time that is promised.
    pub(crate) fn terminate(&self) {
        let mut operator = self.operator().take().expect("an operator runs");
        operator.terminate().expect("SIGTERM");
        let status = operator
            .wait(SHUTDOWN)
            .unwrap_or_else(|error| panic!("{error}\n{}", operator.log()));
        assert_eq!(status.code(), Some(0), "{}", operator.log());
    }

    /// What must hold after every test.
    fn finish(self) {
        let metrics = self.operator().is_some().then(|| self.scrape());
        if metrics.is_some() {
            self.terminate();
        }
        self.assert_permitted();
        status::assert_kept(&self.audit.statuses());
        let kept = Kept::of(&self.sites);
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

    /// RBAC: nothing was refused, and no Secret was asked for but by its name. RBAC cannot say which names: those that
    /// an object in the namespace of the Secret gives, an account in the operator's own, and the operator's key.
    fn assert_permitted(&self) {
        let all_asked = self.audit.asked();
        // The operators of other beds share the ServiceAccount, so what counts was named by anything in the run.
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        let Named { audit, secrets } = &mut *named;
        secrets.extend(audit.take_written().iter().flat_map(secrets_named_by));
        let is_going = |namespace: &str| {
            let path = format!("/api/v1/namespaces/{namespace}");
            let found = Cluster::shared().get(&path);
            found.is_none_or(|namespace| namespace["metadata"]["deletionTimestamp"].is_string())
        };
        for asked in all_asked {
            // A namespace that goes takes no new event; RBAC has no part in that.
            let in_vain = asked.resource == "events" && is_going(&asked.namespace);
            assert!(asked.code != 403 || in_vain, "{asked}: {}", asked.uri);
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
struct Kept<'a> {
    sites: &'a [Site],
    /// Those of the secrets of all sites.
    hashes: Hashes,
    /// The operator's token and the key of the installation.
    own: [String; 2],
}

impl<'a> Kept<'a> {
    fn of(sites: &'a [Site]) -> Self {
        let mut hashes = Hashes::default();
        for site in sites {
            site.add_hashes(&mut hashes);
        }
        let own = Cluster::shared().secrets_of_operator();
        Self { sites, hashes, own }
    }

    /// Panics when any of it stands in `text`.
    fn assert(&self, what: &str, text: &str) {
        for site in self.sites {
            site.assert_keeps_secrets(what, text);
        }
        let hash = self.hashes.shown_in(text);
        assert_eq!(hash, None, "a hash of a secret stands in {what}:\n{text}");
        let is_shown = self.own.iter().any(|secret| text.contains(secret));
        assert!(
            !is_shown,
            "the operator's token or key stands in {what}:\n{text}"
        );
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

static NAMED: LazyLock<Mutex<Named>> = LazyLock::new(|| {
    Mutex::new(Named {
        audit: Cluster::shared().audit().whole(),
        secrets: BTreeSet::from([(OPERATOR.to_owned(), KEY_SECRET.to_owned())]),
    })
});

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
