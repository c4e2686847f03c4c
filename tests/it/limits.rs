//! The limits of an account: a cloud that takes ten requests per second gets nearly ten and refuses few, a key that is
//! refused costs nobody else anything, and a namespace with hundreds of objects leaves room for another.

use std::time::Duration;

use harness::eventually_blocking;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use swr_simulator::journal::Entry;

use crate::bed::{Windows, in_parallel, say, with_bed, with_windows};
use crate::cloud::PATIENCE;
use crate::manifest;
use crate::site::{Site, condition, state};

/// Those of an installation, which reads an instance each ten minutes beside what it needs.
const OF_INSTALLATION: Windows<'_> = &[
    ("--poll-interval", "10m"),
    ("--settle", "120s"),
    ("--write-deadline", "20s"),
    ("--read-deadline", "30s"),
];
/// From the creation of an object to its Ready, where nothing of its own is in the way.
const QUICK: SignedDuration = SignedDuration::from_secs(5);

#[test]
fn a_cloud_of_ten_requests_per_second_is_asked_as_much_as_it_takes() {
    // A thousand take two minutes.
    const N: usize = 300;
    const PER_SECOND: usize = 10;
    with_windows("throttled", &["site"], OF_INSTALLATION, |bed| {
        let site = &bed.sites[0];
        with_default_limits(site);
        site.put_login("shared", &site.login());
        site.cloud.switch(&json!({
            "registry_quota": 2_000,
            "throttle": "all", "throttle_requests": PER_SECOND, "throttle_window_millis": 1_000,
        }));
        let mark = site.cloud.mark();
        let names: Vec<String> = (0..N).map(|n| format!("n{n:04}")).collect();
        let chunks: Vec<(&str, &[String])> = names.chunks(250).map(|it| ("create", it)).collect();
        in_parallel(&chunks, |chunk| {
            for name in *chunk {
                create(site, site, name);
            }
        });
        let objects = await_all_ready(site, N, Duration::from_secs(300));

        let requests = site.cloud.requests(mark);
        let is_refused = |entry: &&Entry| entry.status == Some(429);
        let n_refused = requests.iter().filter(is_refused).count();
        let n_needed = requests.len() - n_refused;
        let first = requests.iter().map(|entry| entry.at).min().expect("one");
        let last = objects.iter().map(ready_at).max().expect("one");
        let took = last.duration_since(first).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let least = n_needed as f64 / PER_SECOND as f64;
        say(&format!(
            "{N} objects: {n_needed} requests and {n_refused} refused in {took:.1} s of at least {least:.1}"
        ));
        // A creation each, and the LISTs that several share.
        assert!(n_needed * 100 <= N * 120, "{n_needed} requests");
        // 0.3 % on a machine that does nothing else; what is held up on its way is refused more often.
        assert!(n_refused * 50 <= n_needed, "{n_refused} are refused");
    });
}

#[test]
fn an_account_whose_key_is_refused_holds_up_no_object_of_another() {
    const N: usize = 20;
    with_bed("lock-out", &["locked", "other"], |bed| {
        let (locked, other) = (bed.site("locked"), bed.site("other"));
        for site in [locked, other] {
            site.put_login("shared", &site.login());
        }
        locked
            .cloud
            .fault(&json!({"match": {}, "kind": "status", "status": 401}));
        let mark = locked.cloud.mark();
        for n in 0..N {
            create(locked, locked, &format!("locked-{n}"));
        }
        locked.await_state("locked-0", "False AuthFailed");
        let took = (0..N).map(|n| {
            let name = format!("other-{n}");
            create(other, other, &name);
            took(&other.await_ready(&name))
        });
        let slowest = took.max().expect("one");
        assert!(slowest <= QUICK, "{slowest} from creation to Ready");
        // Five refusals, and then one in five minutes: the unit tests of the limiter count an hour.
        let n_asked = locked.cloud.requests(mark).len();
        assert!(n_asked <= 6, "{}", locked.cloud.shown());
        locked.cloud.clear_faults();
    });
}

#[test]
fn a_namespace_with_hundreds_of_objects_holds_up_no_object_of_another() {
    const MANY: usize = 300;
    with_windows("shares", &["many", "few"], OF_INSTALLATION, |bed| {
        let (many, few) = (bed.site("many"), bed.site("few"));
        with_default_limits(many);
        for site in [many, few] {
            site.put_login("shared", &site.login());
        }
        let mark = many.cloud.mark();
        for n in 0..MANY {
            create(many, many, &format!("many-{n}"));
        }
        let posts = || many.cloud.asked(mark, "CreateInstanceRegistry").len();
        eventually_blocking(PATIENCE, "the instance is busy", || match posts() {
            n if n >= 50 => Ok(()),
            n => Err(n),
        });
        // The same account, the same instance.
        create(few, many, "few");
        let took = took(&few.await_ready("few"));
        assert!(took <= QUICK, "{took} from creation to Ready");
        let n = posts();
        assert!(n < MANY - 100, "{n} were created: nobody was in the way");
    });
}

/// Those that an account has which names none.
fn with_default_limits(site: &Site) {
    site.patch_account(&json!({"spec": {"limits": Value::Null}}));
    site.await_account("True Available");
}

/// Makes an object in the namespace of `site`, by the account and in the first instance of `owner`.
fn create(site: &Site, owner: &Site, name: &str) {
    let instance = &owner.cloud.instances[0];
    let mut object = manifest::registry(&site.name, &owner.name, instance, name, "huawei-SWR");
    object["spec"]["name"] = json!(name);
    object["spec"]["credentialSecretRef"]["name"] = json!("shared");
    site.create(&object);
}

fn await_all_ready(site: &Site, n: usize, deadline: Duration) -> Vec<Value> {
    eventually_blocking(deadline, "all are Ready", || {
        let objects = site.objects();
        let ready = objects
            .iter()
            .filter(|object| state(object, "Ready") == "True Available");
        match ready.count() {
            ready if ready == n => Ok(objects),
            ready => Err(format!("{ready} of {n} are")),
        }
    })
}

fn took(object: &Value) -> SignedDuration {
    let created = time(&object["metadata"]["creationTimestamp"]);
    ready_at(object).duration_since(created)
}

fn ready_at(object: &Value) -> Timestamp {
    time(&condition(object, "Ready")["lastTransitionTime"])
}

fn time(value: &Value) -> Timestamp {
    let text = value.as_str().expect("a time");
    text.parse().expect("a time")
}
