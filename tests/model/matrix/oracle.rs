//! What must hold at rest, by the truth of both worlds and not by what anybody saw: L1, L2 and S6, and that nothing is left
//! of who is gone.

use serde_json::Value;
use swr_operator_api::ConditionStatus;
use swr_operator_api::registry::Mode;
use swr_operator_core::desired::Registry;
use swr_operator_core::object::Object;
use swr_operator_core::observed::Inventory;
use swr_operator_core::summary::Baseline;
use swr_operator_core::tag::split;
use swr_operator_core::witness::{self, Testimony, Trust};

use super::cloud::{body, differing};
use super::run::Run;

/// Few objects, so a poll lets each be sent whenever it moved.
const TESTIMONY: Testimony = Testimony {
    trust: Trust::Proven,
    is_believed: true,
    polls: 0,
};

/// Whether a registry moved without a difference.
pub(super) fn moved(baseline: &Baseline, inventory: &Inventory) -> bool {
    witness::examine(TESTIMONY, [((), baseline)], inventory).unexplained > 0
}

fn tag_of(held: &Value) -> Option<&str> {
    split(held["description"].as_str().unwrap_or_default()).1
}

fn id_of(held: &Value) -> i64 {
    held["id"].as_i64().unwrap_or_default()
}

/// Everything that is wrong.
pub(super) fn wrong_at_rest(run: &Run) -> Vec<String> {
    let truth = run.cloud.truth(run.now);
    let objects = || run.cluster.objects.values().map(|stored| &stored.object);
    let mut wrong = Vec::new();
    for (id, uid) in &run.cloud.made_for {
        let held = truth.iter().find(|held| id_of(held) == *id);
        let is_ours = held.is_some_and(|held| tag_of(held).is_some());
        let is_excused = run.cloud.of_console.contains(id) || run.let_go.contains(uid);
        let is_present = objects().any(|object| object.uid == *uid);
        // Whose tag it carries may be that of an object that took it over.
        let has_owner = held
            .and_then(tag_of)
            .is_some_and(|tag| objects().any(|object| run.owner(object).tag() == tag));
        if is_ours && !is_present && !has_owner && !is_excused {
            wrong.push(format!(
                "L2 registry {id} is left of an object that is gone"
            ));
        }
    }
    for object in objects() {
        if let Err(text) = is_right(run, object, &truth) {
            let ready = object.condition_of("Ready");
            wrong.push(format!("L1 {text} ({} {ready})", object.key.name));
        }
    }
    wrong
}

trait Shown {
    fn condition_of(&self, type_: &str) -> String;
}

impl Shown for Object {
    fn condition_of(&self, type_: &str) -> String {
        let mut all = self.status.conditions.iter();
        let found = all.find(|it| it.type_ == type_);
        found.map_or("-".to_owned(), |it| {
            format!("{} {}", it.status.as_str(), it.reason)
        })
    }
}

fn is_right(run: &Run, object: &Object, truth: &[Value]) -> Result<(), &'static str> {
    let owner = run.owner(object);
    let desired = object.desired.as_ref().map_err(|_| "the spec is invalid")?;
    let known = object.status.registry_id;
    let ready = object.condition_of("Ready");
    let is = |reason: &str| ready.ends_with(&format!(" {reason}"));
    let carriers: Vec<&Value> = truth
        .iter()
        .filter(|held| tag_of(held) == Some(owner.tag()))
        .collect();
    // Copies of the one that is known only look like it.
    let ours = carriers.iter().find(|held| Some(id_of(held)) == known);
    let ours = ours.or(carriers.first().filter(|_| carriers.len() == 1));
    let stripped = truth
        .iter()
        .any(|held| Some(id_of(held)) == known && tag_of(held) != Some(owner.tag()));
    let is_used = ours.is_some_and(|held| run.cloud.policies.contains(&id_of(held)));
    let is_in_the_way = truth.iter().any(|held| {
        held["name"] == desired.registry.name.as_str() && tag_of(held) != Some(owner.tag())
    });
    if object.deleting {
        return match () {
            () if object.suspended && is("Suspended") => Ok(()),
            () if run.read_only && is("ReadOnly") => Ok(()),
            () if is_used && !ready.starts_with("True") => Ok(()),
            () if object.status.observed.is_none() && stripped && is("DeletionBlocked") => Ok(()),
            () => Err("the deletion never ends"),
        };
    }
    if object.status.observed_generation != object.generation {
        return Err("the status is about an older spec");
    }
    let is_explained = object.suspended && is("Suspended")
        || object.mode == Mode::Observe
        || run.cluster.secret.is_none() && is("SecretNotFound")
        || run.read_only && ours.is_none() && is("ReadOnly")
        || ours.is_none() && is_in_the_way && is("Conflict")
        || ours.is_none() && stripped && is("OwnershipLost")
        || carriers.len() > 1 && ours.is_none() && is("DuplicateTag");
    if is_explained {
        return Ok(());
    }
    let synced = object.condition_of("Synced");
    let Some(ours) = ours else {
        return Err("neither ready nor in a condition that is true");
    };
    let asked = Registry {
        description: owner.describe(&desired.registry.description),
        ..desired.registry.clone()
    };
    let is_copied = carriers.len() > 1
        && carriers
            .iter()
            .any(|held| *held != *ours && !run.cloud.of_console.contains(&id_of(held)));
    let expected = body(&asked, run.cluster.secret.unwrap_or_default());
    let differs = differing(&expected, ours);
    // A known limit: what no LIST shows is noticed by `updated_at` alone, and the status that names it after a create may
    // be lost.
    let applied = object.status.applied.as_ref();
    let has_witness = applied.is_some_and(|applied| applied.updated_at.is_some());
    let is_unseen = differs == ["dns_conf"] && !has_witness;
    let is_true = |text: &str| text.starts_with(ConditionStatus::True.as_str());
    let reads = run.read_only && is("ReadOnly");
    match () {
        () if is_copied => Err("S4 several registries are ours"),
        () if reads && !differs.is_empty() => Ok(()),
        () if !(is_true(&ready) && is_true(&synced)) => Err("all is equal, and it does not say so"),
        () if !differs.is_empty() && !is_unseen => Err("S6 ready, and SWR holds something else"),
        () if known != Some(id_of(ours)) => Err("ready, and the status names another registry"),
        () if object.status.create_intent.is_some() => Err("ready, and an intent is open"),
        () if !object.has_finalizer() && !run.read_only => Err("S7 ready, and nothing holds it"),
        () => Ok(()),
    }
}
