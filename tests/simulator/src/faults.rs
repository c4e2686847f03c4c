//! Scripted faults: which request is hit, and by what. Must not know how a fault is carried out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A fault that waits for its request, in the JSON of the control surface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    #[serde(default)]
    pub r#match: Match,
    #[serde(default)]
    pub phase: Phase,
    pub kind: Kind,
    /// For `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// For `status`: JSON, or a string that is sent as text. Absent: what the gateway or SWR would say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// For `status`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// For `delay` and `late-apply`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u32>,
    /// How often it strikes. Absent: once when `match.ordinal` is given, else each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

/// Which requests a fault is for. What is absent matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Match {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The n-th matching request from now on, beginning with 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordinal: Option<u64>,
    /// So many of so many matching requests, `[1, 3]`, drawn by lot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<(u64, u64)>,
    /// Which lots are drawn: the same seed draws the same ones. Absent: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl Match {
    /// Whether the lot falls on the n-th matching request.
    fn draws(&self, n: u64) -> bool {
        self.share
            .is_none_or(|(part, whole)| lot(self.seed.unwrap_or_default(), n) % whole < part)
    }
}

/// The n-th number of the seed's sequence (splitmix64). No number depends on the one before, so what else is going on does
/// not change the lots of a fault.
fn lot(seed: u64, n: u64) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let state = seed.wrapping_add(STEP.wrapping_mul(n));
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Before or after the world has carried out the request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    #[default]
    Before,
    After,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Another answer.
    Status,
    /// The connection closes without an answer.
    Reset,
    /// No answer until the client goes away.
    Hang,
    /// The right answer, `delayMs` later.
    Delay,
    /// The connection closes at once, and the request is carried out `delayMs` later.
    LateApply,
}

/// Operations that a fault can be for.
pub const OPERATIONS: [&str; 20] = [
    "CreateInstanceRegistry",
    "ListInstanceRegistries",
    "ShowInstanceRegistry",
    "UpdateInstanceRegistry",
    "DeleteInstanceRegistry",
    "ListInstance",
    "ShowInstance",
    "ListInstanceStatistics",
    "ListFeatureGates",
    "KeystoneListProjects",
    "CreateToken",
    "CreateTemporaryAccessKeyByAgency",
    "CreateTemporaryAccessKeyByToken",
    "CreateUnscopedTokenByIdToken",
    "AssumeAgency",
    "AssumeAgencyWithOIDC",
    "MetadataToken",
    "MetadataSecurityKey",
    "PodIdentityCredentials",
    crate::route::UNKNOWN_OPERATION,
];

/// What was scripted, what it has met and how often it struck.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Scripted {
    pub id: u64,
    #[serde(flatten)]
    pub fault: Fault,
    pub matched: u64,
    pub struck: u64,
}

/// The faults in force, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    scripted: Vec<Scripted>,
    n_added: u64,
}

impl Faults {
    /// Adds a fault and gives its id; the message of a refusal names the words allowed.
    pub fn add(&mut self, fault: Fault) -> Result<u64, String> {
        check(&fault)?;
        self.n_added += 1;
        self.scripted.push(Scripted {
            id: self.n_added,
            fault,
            matched: 0,
            struck: 0,
        });
        Ok(self.n_added)
    }

    pub fn all(&self) -> &[Scripted] {
        &self.scripted
    }

    pub fn clear(&mut self) {
        self.scripted.clear();
    }

    /// False when there is none with this id.
    pub fn remove(&mut self, id: u64) -> bool {
        let before = self.scripted.len();
        self.scripted.retain(|scripted| scripted.id != id);
        self.scripted.len() < before
    }

    /// The fault that strikes this request. Each fault that matches counts it; the oldest one that is due strikes.
    pub fn strike(&mut self, operation: &str, instance: Option<&str>) -> Option<Fault> {
        let mut striking = None;
        for scripted in &mut self.scripted {
            let Fault { r#match, times, .. } = &scripted.fault;
            let same_operation = r#match
                .operation
                .as_deref()
                .is_none_or(|its| its == operation);
            let same_instance =
                r#match.instance.is_none() || r#match.instance.as_deref() == instance;
            if !same_operation || !same_instance {
                continue;
            }
            scripted.matched += 1;
            let (first, times) = match (r#match.ordinal, *times) {
                (Some(ordinal), times) => (ordinal, times.unwrap_or(1)),
                (None, times) => (1, times.unwrap_or(u64::MAX)),
            };
            let is_due = scripted.matched >= first
                && scripted.struck < times
                && r#match.draws(scripted.matched);
            if striking.is_none() && is_due {
                scripted.struck += 1;
                striking = Some(scripted.fault.clone());
            }
        }
        striking
    }
}

fn check(fault: &Fault) -> Result<(), String> {
    if let Some(operation) = &fault.r#match.operation
        && !OPERATIONS.contains(&operation.as_str())
    {
        return Err(format!(
            "there is no operation {operation:?}; the operations are {}",
            OPERATIONS.join(", ")
        ));
    }
    if fault.r#match.ordinal == Some(0) {
        return Err("match.ordinal counts from 1".to_owned());
    }
    let Match {
        share,
        seed,
        ordinal,
        ..
    } = &fault.r#match;
    if let Some((part, whole)) = *share
        && !(1..=whole).contains(&part)
    {
        return Err(format!("match.share: {part} of {whole} is no share"));
    }
    if share.is_some() && ordinal.is_some() {
        return Err("match takes share or ordinal, not both".to_owned());
    }
    if share.is_none() && seed.is_some() {
        return Err("match.seed belongs to match.share".to_owned());
    }
    match (fault.kind, fault.status, fault.delay_ms) {
        (Kind::Status, Some(200..=599), None)
        | (Kind::Reset | Kind::Hang, None, None)
        | (Kind::Delay | Kind::LateApply, None, Some(_)) => {}
        (Kind::Status, _, _) => {
            return Err(
                "a fault of kind status takes a status from 200 to 599 and no delayMs".to_owned(),
            );
        }
        (Kind::Reset | Kind::Hang, _, _) => {
            return Err(
                "a fault of kind reset or hang takes neither status nor delayMs".to_owned(),
            );
        }
        (Kind::Delay | Kind::LateApply, _, _) => {
            return Err(
                "a fault of kind delay or late-apply takes delayMs and no status".to_owned(),
            );
        }
    }
    if fault.kind != Kind::Status && (fault.body.is_some() || !fault.headers.is_empty()) {
        return Err("only a fault of kind status takes body and headers".to_owned());
    }
    let token = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let printable = |value: &str| value.bytes().all(|b| (b' '..=b'~').contains(&b));
    match fault
        .headers
        .iter()
        .find(|(name, value)| !token(name) || !printable(value))
    {
        Some((name, _)) => Err(format!("{name:?} is no header that can be sent")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fault(json: Value) -> Fault {
        serde_json::from_value(json).unwrap()
    }

    /// Sends creates to instance `a` and lists to instance `b` by turns, and tells which of them the fault strikes.
    fn check_strikes(json: Value, struck: &[usize]) {
        let mut faults = Faults::default();
        faults.add(fault(json)).unwrap();
        let requests = (0..8).map(|n| {
            if n % 2 == 0 {
                ("CreateInstanceRegistry", Some("a"))
            } else {
                ("ListInstanceRegistries", Some("b"))
            }
        });
        let hits: Vec<usize> = requests
            .enumerate()
            .filter(|(_, (operation, instance))| faults.strike(operation, *instance).is_some())
            .map(|(n, _)| n)
            .collect();
        assert_eq!(hits, struck);
    }

    #[test]
    fn a_fault_strikes_the_requests_it_matches() {
        let operation = "CreateInstanceRegistry";
        check_strikes(json!({"kind": "reset"}), &[0, 1, 2, 3, 4, 5, 6, 7]);
        check_strikes(
            json!({"kind": "reset", "match": {"operation": operation}}),
            &[0, 2, 4, 6],
        );
        check_strikes(
            json!({"kind": "reset", "match": {"operation": operation}, "times": 2}),
            &[0, 2],
        );
        check_strikes(
            json!({"kind": "reset", "match": {"operation": operation, "ordinal": 2}}),
            &[2],
        );
        check_strikes(
            json!({"kind": "reset", "match": {"ordinal": 2}, "times": 3}),
            &[1, 2, 3],
        );
        check_strikes(
            json!({"kind": "reset", "match": {"instance": "b", "ordinal": 1}}),
            &[1],
        );
        check_strikes(json!({"kind": "reset", "match": {"instance": "c"}}), &[]);
    }

    #[test]
    fn a_share_of_the_requests_is_drawn_by_the_seed() {
        let struck = |seed: u64| -> Vec<u64> {
            let mut faults = Faults::default();
            let json = json!({"kind": "reset", "match": {"share": [1, 3], "seed": seed}});
            faults.add(fault(json)).unwrap();
            (1..=3000)
                .filter(|_| faults.strike("ShowInstance", None).is_some())
                .collect()
        };
        let [one, again, other] = [1, 1, 2].map(struck);
        assert_eq!(one, again);
        assert_ne!(one, other);
        for struck in [&one, &other] {
            assert!((900..=1100).contains(&struck.len()), "{}", struck.len());
        }
        check_strikes(
            json!({"kind": "reset", "match": {"share": [1, 1]}, "times": 2}),
            &[0, 1],
        );
    }

    #[test]
    fn the_oldest_fault_that_is_due_strikes_and_the_others_still_count() {
        let mut faults = Faults::default();
        faults
            .add(fault(json!({"kind": "reset", "match": {"ordinal": 1}})))
            .unwrap();
        faults
            .add(fault(json!({"kind": "hang", "match": {"ordinal": 2}})))
            .unwrap();
        let kinds: Vec<_> = (0..3)
            .map(|_| faults.strike("ShowInstance", None).map(|fault| fault.kind))
            .collect();
        assert_eq!(kinds, [Some(Kind::Reset), Some(Kind::Hang), None]);
        assert!(faults.remove(1));
        assert!(!faults.remove(1));
        assert_eq!(faults.all().len(), 1);
    }

    fn check_refused(json: Value, complaint: &str) {
        assert_eq!(
            Faults::default().add(fault(json)),
            Err(complaint.to_owned())
        );
    }

    #[test]
    fn a_fault_without_sense_is_refused() {
        check_refused(
            json!({"kind": "status"}),
            "a fault of kind status takes a status from 200 to 599 and no delayMs",
        );
        check_refused(
            json!({"kind": "reset", "status": 503}),
            "a fault of kind reset or hang takes neither status nor delayMs",
        );
        check_refused(
            json!({"kind": "late-apply"}),
            "a fault of kind delay or late-apply takes delayMs and no status",
        );
        check_refused(
            json!({"kind": "hang", "body": "no"}),
            "only a fault of kind status takes body and headers",
        );
        check_refused(
            json!({"kind": "hang", "match": {"ordinal": 0}}),
            "match.ordinal counts from 1",
        );
        check_refused(
            json!({"kind": "hang", "match": {"share": [4, 3]}}),
            "match.share: 4 of 3 is no share",
        );
        check_refused(
            json!({"kind": "hang", "match": {"share": [1, 3], "ordinal": 1}}),
            "match takes share or ordinal, not both",
        );
        check_refused(
            json!({"kind": "hang", "match": {"seed": 1}}),
            "match.seed belongs to match.share",
        );
        check_refused(
            json!({"kind": "status", "status": 500, "headers": {"a b": ""}}),
            "\"a b\" is no header that can be sent",
        );
        let complaint = Faults::default()
            .add(fault(
                json!({"kind": "hang", "match": {"operation": "CreateRegistry"}}),
            ))
            .unwrap_err();
        assert!(
            complaint.starts_with(
                "there is no operation \"CreateRegistry\"; the operations are CreateInstanceRegistry, "
            ),
            "{complaint}"
        );
    }
}
