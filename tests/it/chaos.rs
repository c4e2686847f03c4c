//! One request in three fails, in every way that passes, while objects come and change. When it stops, everything is as
//! asked for within a poll and T_settle, and nobody else's registry was touched.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::{environment, eventually_blocking};
use serde_json::{Value, json};

use crate::bed::{say, with_windows};
use crate::canary::Login;
use crate::manifest::{self, STRANGERS_TAG, body, split_tag};
use crate::site::{Site, name_of, registry_id, shown, state};

/// Draws the same faults again. What they hit depends on the machine's pace all the same.
const SEED: &str = "SWR_CHAOS_SEED";

const WINDOWS: [(&str, &str); 4] = [
    ("--poll-interval", "30s"),
    ("--settle", "10s"),
    ("--write-deadline", "3s"),
    ("--read-deadline", "5s"),
];
const FAULTS_LAST: Duration = Duration::from_secs(60);
/// One poll, T_settle, and the time to do it in.
const RECOVERY: Duration = Duration::from_secs(30 + 10 + 5);

const N_OBJECTS: usize = 40;
/// Each object is made, and changed once, while the faults last.
const STEP: Duration = Duration::from_millis(750);

/// Each of these seven strikes one request in so many: together one in three.
const ONE_IN: u64 = 18;

fn ways() -> Vec<Value> {
    vec![
        json!({"kind": "status", "status": 429}),
        json!({"kind": "status", "status": 500}),
        json!({"kind": "status", "status": 503}),
        json!({"kind": "reset"}),
        json!({"kind": "hang"}),
        json!({"kind": "reset", "phase": "after"}),
        // Less than T_settle after the intent, which is up to a write's deadline before the request.
        json!({"kind": "late-apply", "delayMs": 6_000}),
    ]
}

#[test]
fn when_one_request_in_three_has_failed_all_is_well_in_time() {
    let seed = environment::variable(SEED)
        .and_then(|seed| seed.to_str()?.parse().ok())
        .unwrap_or_else(|| u64::from(std::process::id()));
    say(&format!("{SEED}={seed}"));
    with_windows("chaos", &["site"], &WINDOWS, |bed| {
        let site = bed.site("site");
        let mut scene = Scene::set(site);
        for (n, way) in (0..).zip(ways()) {
            let mut fault = way;
            fault["match"] = json!({"share": [1, ONE_IN], "seed": seed.wrapping_add(n)});
            site.cloud.fault(&fault);
        }
        scene.play();
        site.cloud.clear_faults();
        let stopped = environment::now();

        let left = || RECOVERY.saturating_sub(stopped.elapsed());
        for n in 0..N_OBJECTS {
            let what = format!("object {n} as asked for, in time after the faults (seed {seed})");
            eventually_blocking(left(), &what, || scene.is_well(n));
        }
        scene.assert_only_ours_was_written();
    });
}

struct Scene<'a> {
    site: &'a Site,
    objects: Vec<Value>,
    login: Login,
    /// Registries of others, by instance and id.
    foreign: BTreeMap<(String, i64), Value>,
}

impl<'a> Scene<'a> {
    fn set(site: &'a Site) -> Self {
        let login = site.login();
        site.put_login("shared", &login);
        let mut foreign = BTreeMap::new();
        for instance in &site.cloud.instances {
            for (name, description) in [
                ("by-hand", "theirs"),
                ("by-stranger", STRANGERS_TAG),
                ("it-1", "a name that is nearly ours"),
            ] {
                let registry = json!({
                    "name": name, "description": description, "type": "huawei-SWR",
                    "url": "https://theirs.example.com", "insecure": false,
                    "credential": {"type": "basic", "access_key": "theirs", "access_secret": "theirs"},
                });
                let id = site.cloud.console_create(instance, &registry);
                let held = site.cloud.registry(instance, id).expect("it is there");
                foreign.insert((instance.clone(), id), held);
            }
        }
        let objects = (0..N_OBJECTS)
            .map(|n| {
                let instance = &site.cloud.instances[n % 2];
                let name = format!("it-{n}");
                let mut object =
                    manifest::registry(&site.name, &site.name, instance, &name, "huawei-SWR");
                object["spec"]["credentialSecretRef"]["name"] = json!("shared");
                object
            })
            .collect();
        Self {
            site,
            objects,
            login,
            foreign,
        }
    }

    /// What people do meanwhile, spread over the time that the faults last.
    fn play(&mut self) {
        let started = environment::now();
        let await_time = |due: Duration| {
            eventually_blocking(FAULTS_LAST, "the next step", || {
                let passed = started.elapsed();
                (passed >= due).then_some(()).ok_or(format!("{passed:?}"))
            });
        };
        let mut due = Duration::ZERO;
        for step in 0..2 * N_OBJECTS {
            await_time(due);
            due += STEP;
            let n = step % N_OBJECTS;
            if step < N_OBJECTS {
                self.site.create(&self.objects[n]);
            } else {
                let url = json!(format!("https://changed-{n}.example.com"));
                let name = name_of(&self.objects[n]).to_owned();
                self.site.patch(&name, &json!({"spec": {"url": url}}));
                self.objects[n]["spec"]["url"] = url;
            }
        }
        await_time(FAULTS_LAST);
    }

    /// Ready, with exactly one registry, which is as the spec asks.
    fn is_well(&self, n: usize) -> Result<(), String> {
        let wanted = &self.objects[n];
        let object = self.site.object(name_of(wanted));
        let instance = wanted["spec"]["instanceId"].as_str().unwrap_or_default();
        let is_fresh = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        if !is_fresh || state(&object, "Ready") != "True Available" {
            return Err(shown(&object));
        }
        let [held] = &self.site.tagged(instance, &object)[..] else {
            let held = self.site.tagged(instance, &object);
            return Err(format!("{} registries: {held:#?}", held.len()));
        };
        if held["id"] != registry_id(&object) {
            return Err(format!("{} is not {}", held["id"], registry_id(&object)));
        }
        let mut held = held.clone();
        split_tag(&mut held);
        for (field, value) in body(wanted, &self.login).as_object().into_iter().flatten() {
            if held[field] != *value {
                return Err(format!("{field} is {}", held[field]));
            }
        }
        Ok(())
    }

    /// What others made is as it was and was never asked about; there is one registry per object, and no more.
    fn assert_only_ours_was_written(&self) {
        let site = self.site;
        for ((instance, id), before) in &self.foreign {
            let after = site.cloud.registry(instance, *id);
            assert_eq!(after.as_ref(), Some(before), "theirs is as it was");
        }
        let of_foreign: Vec<String> = site
            .cloud
            .requests(0)
            .iter()
            .filter(|entry| entry.method != "GET")
            .filter(|entry| {
                let instance = entry.instance.clone().unwrap_or_default();
                let id = entry.path.rsplit('/').next().and_then(|id| id.parse().ok());
                id.is_some_and(|id| self.foreign.contains_key(&(instance, id)))
            })
            .map(crate::cloud::short)
            .collect();
        assert_eq!(of_foreign, Vec::<String>::new());
        let held: usize = site
            .cloud
            .instances
            .iter()
            .map(|instance| site.cloud.registries(instance).len())
            .sum();
        assert_eq!(held, N_OBJECTS + self.foreign.len());
        let struck = site.cloud.requests(0);
        let struck = struck.iter().filter(|entry| entry.fault.is_some()).count();
        let all = site.cloud.requests(0).len();
        say(&format!("{struck} of {all} requests were struck"));
        assert!(
            struck >= N_OBJECTS / 2,
            "{struck} of {all} requests were struck"
        );
    }
}
