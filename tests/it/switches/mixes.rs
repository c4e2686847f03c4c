//! A seed -> several switches at once and odd objects, with the states that are then true. Must not know how a life is
//! lived.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use serde_json::{Value, json};

use super::life::{AVAILABLE, Case, UNPROVEN, Wish, is_number};
use super::rows::long_text;
use crate::manifest::TYPES;

/// SplitMix64: the same seed gives the same cases on every machine.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `n` - 1.
    fn below(&mut self, n: usize) -> usize {
        let n = u64::try_from(n).expect("a small number");
        usize::try_from(self.roll() % n).expect("a small number")
    }

    fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
}

/// The seed of the gate, so that a change is judged by itself and not by the dice.
const SEED_OF_CI: u64 = 1;

/// The seed that the caller of the test names; without, that of the gate in CI, and another one
/// each time elsewhere.
pub(super) fn seed() -> u64 {
    if let Some(named) = std::env::var_os("SWR_IT_SEED") {
        let seed = named.to_str().and_then(|seed| seed.parse().ok());
        seed.expect("SWR_IT_SEED is a number")
    } else if std::env::var_os("CI").is_some() {
        SEED_OF_CI
    } else {
        RandomState::new().build_hasher().finish()
    }
}

/// With these nothing can be kept for long; the rows show what is said then.
const UNUSABLE: [&str; 14] = [
    "connection_test=refuse",
    "lost_reply=close",
    "lost_reply=504",
    "lost_reply=hang",
    "description_brackets=refused",
    "enterprise_edition=not_offered",
    "clock_ahead_minutes",
    // What has a number of its own is set along with its companion.
    "registry_quota",
    "throttle_requests",
    "throttle_window_millis",
    "connection_test_millis",
    "status_millis",
    "credential_ttl_seconds",
    "deny",
];

/// Every value that leaves SWR usable, by switch, and its switches that take a number.
fn usable() -> BTreeMap<&'static str, Vec<String>> {
    let defaults = swr_simulator::Switches::default().to_json();
    let mut usable = BTreeMap::new();
    for row in swr_simulator::Switches::table() {
        if UNUSABLE.contains(&row.name) {
            continue;
        }
        let values: Vec<String> = if is_number(row.name) {
            // Below what the operator waits before it believes that a registry is not there.
            ["300", "900", "1500"].map(str::to_owned).to_vec()
        } else {
            row.allowed
                .split(", ")
                .filter(|value| defaults[row.name] != **value)
                .filter(|value| !UNUSABLE.contains(&format!("{}={value}", row.name).as_str()))
                .map(str::to_owned)
                .collect()
        };
        if !values.is_empty() {
            usable.insert(row.name, values);
        }
    }
    usable
}

/// Four to eight switches, three odd objects, and for every other case an answer that gets lost.
pub(super) fn mix(dice: &mut Dice) -> Case {
    let usable = usable();
    let mut names: Vec<&str> = usable.keys().copied().collect();
    let n = 4 + dice.below(5);
    let mut set: Vec<(String, String)> = Vec::new();
    for _ in 0..n {
        let name = names.swap_remove(dice.below(names.len()));
        set.push((name.to_owned(), dice.pick(&usable[name])));
    }
    for (name, value) in [
        ("connection_test_millis", "800"),
        ("status_millis", "1500"),
        ("throttle_requests", "12"),
        ("throttle_window_millis", "2000"),
    ] {
        set.push((name.to_owned(), value.to_owned()));
    }
    let specs = TYPES.map(|kind| (kind, odd_spec(dice, kind)));
    let lost = [CREATE, "UpdateInstanceRegistry"];
    let (lost, faults) = match dice.below(2) {
        0 => ("", Vec::new()),
        _ => {
            let lost = dice.pick(&lost);
            let fault = json!({
                "match": {"operation": lost, "ordinal": 1 + dice.below(3)},
                "phase": "after", "kind": "reset",
            });
            (lost, vec![fault])
        }
    };
    let objects = specs.map(|(kind, spec)| Wish {
        kind,
        rests: rests(&set, lost, kind, &spec),
        spec,
    });
    let objects = objects.into();
    Case {
        restless: set.iter().any(|(_, value)| value == "flipping"),
        set,
        objects,
        faults,
        ..Case::default()
    }
}

const CREATE: &str = "CreateInstanceRegistry";

fn odd_spec(dice: &mut Dice, kind: &str) -> Value {
    let mut spec = json!({
        "name": dice.pick(&[json!("{name}_镜像"), json!("{name}-2"), json!(format!("{{name}}{}", "镜".repeat(30)))]),
        "description": dice.pick(&[json!("short"), json!(null), json!("one\ntwo  \n"), json!(long_text())]),
        "url": dice.pick(&[
            json!("https://{name}.example.com"),
            json!("http://{name}.Example.COM:8080/v2/"),
        ]),
    });
    if kind == "swr-pro" && dice.below(3) == 0 {
        spec["dnsConf"] = Value::Null;
    }
    spec
}

/// States of `Ready` that are true for an object under these switches, once nothing moves any more.
fn rests(set: &[(String, String)], lost: &str, kind: &str, spec: &Value) -> Vec<&'static str> {
    let is = |name: &str, value: &str| set.iter().any(|(n, v)| n == name && v == value);
    let name = spec["name"].as_str().unwrap_or_default();
    // As long as the longest name of an object.
    let n_bytes = name.replace("{name}", "enterprise").len();
    let description = spec["description"].as_str().unwrap_or_default();
    // The tag and a blank take 70 characters.
    let is_long = description.chars().count() + 70 > 255;
    let refused = is("name_rule", "ascii") && !name.is_ascii()
        || is("name_rule", "han_bytes") && n_bytes > 64
        || is("description_limit", "refused") && is_long
        || is("missing_dns_conf", "refused")
            && kind == "swr-pro"
            && spec["dnsConf"].is_null()
            && spec.get("dnsConf").is_some();
    if refused {
        return vec!["False InvalidSpec"];
    }
    if is("description_limit", "truncated") && is_long {
        let knows_id =
            lost != CREATE && !is("create_reply", "without_id") && !is("create_reply", "empty");
        return if knows_id {
            vec!["False TagNotKept"]
        } else {
            vec!["False TagNotKept", UNPROVEN]
        };
    }
    if is("connection_test", "mark_unhealthy") {
        return vec!["False TargetUnhealthy"];
    }
    if is("new_status", "flipping") {
        return vec![AVAILABLE, "False TargetUnhealthy", "Unknown Verifying"];
    }
    vec![AVAILABLE]
}
