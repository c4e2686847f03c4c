//! What a preview says of a world, and what reconciles then do in it.

use super::*;
use crate::preview::{Known, Preview, What, World as Facts, Write, preview};

/// More than the settle time.
const LATER_SECS: i64 = WINDOWS.settle_secs + 1;

impl World {
    fn facts<'a>(&self, object: &'a Object, owner: &'a crate::tag::Owner) -> Facts<'a> {
        let inventory = Inventory::new(self.records.values().cloned());
        Facts {
            object,
            owner,
            windows: WINDOWS,
            account: Ok(account(self.hosts)),
            secret: Known::Answered(self.sealed()),
            inventory: Known::Answered(Ok(std::sync::Arc::new(inventory))),
            tags: &[],
            now: at(self.now),
        }
    }

    /// The first write to SWR as the preview tells it, in the words of the trace; else how it ends.
    fn previewed(&self) -> String {
        let object = self.object.as_ref().expect("object");
        match preview(&self.facts(object, &owner())) {
            Preview::NeedsSecret | Preview::NeedsInventory => panic!("it is at hand"),
            Preview::Ends(summary) => kind(&summary.verdict),
            Preview::Writes(write) => match write.what {
                What::Create(_) => "Create".to_owned(),
                What::Update(target, write) => {
                    format!("Update {}: {}", target.id(), write.changes)
                }
                What::Adopt(target, _) => format!("Adopt {}", target.id()),
                What::Untag(target, _) => format!("Untag {}", target.id()),
                What::Delete(target) => format!("Delete {}", target.id()),
            },
        }
    }

    /// The same, as reconciles do it, and after each wait that they ask for.
    fn done(&mut self) -> String {
        let is_write = |line: &&String| {
            let writes = ["Create", "Update", "Adopt", "Untag", "Delete"];
            writes.iter().any(|write| line.starts_with(write))
        };
        let mut ended = String::new();
        for _ in 0..4 {
            if self.object.is_none() {
                break;
            }
            self.trace.clear();
            let verdict = self.reconcile();
            if let Some(write) = self.trace.iter().find(is_write) {
                return write.clone();
            }
            ended = kind(&verdict);
            let (Verdict::NotVisible { .. }
            | Verdict::Settling { .. }
            | Verdict::Rebuilding { .. }
            | Verdict::DeletionSettling { .. }) = verdict
            else {
                break;
            };
            self.now += LATER_SECS;
        }
        ended
    }
}

/// How it ended, without the instants.
fn kind(verdict: &Verdict) -> String {
    let text = format!("{verdict:?}");
    let end = text.find("until").unwrap_or(text.len());
    text[..end].to_owned()
}

type Edit = fn(&mut serde_json::Value);
type Edits = &'static [(&'static str, Edit)];
type Incidents = &'static [(&'static str, fn(&mut World))];

const SPECS: Edits = &[
    ("as it is", |_| {}),
    ("another url", |it| {
        it["spec"]["url"] = json!("https://new.example.com");
    }),
    ("another name", |it| it["spec"]["name"] = json!("renamed")),
    ("insecure", |it| it["spec"]["insecure"] = json!(true)),
    ("described", |it| {
        it["spec"]["description"] = json!("new words");
    }),
    ("all of it", |it| {
        it["spec"]["url"] = json!("https://new.example.com");
        it["spec"]["name"] = json!("renamed");
        it["spec"]["insecure"] = json!(true);
        it["spec"]["description"] = json!("new words");
    }),
    ("no url", |it| {
        it["spec"]["url"] = json!("ftp://no.example.com");
    }),
    ("suspended", |it| it["spec"]["suspend"] = json!(true)),
    ("sent every hour", |it| {
        it["spec"]["resendCredentialEvery"] = json!("1h");
    }),
    ("asked for", |it| {
        it["metadata"]["annotations"] = json!({"swr.huaweicloud.com/requestedAt": "now"});
    }),
];

const POLICIES: Edits = &[
    ("never adopts", |_| {}),
    ("adopts untagged", |it| {
        it["spec"]["adoption"] = json!({"policy": "IfUnowned"});
    }),
    ("adopts one by id", |it| {
        it["spec"]["adoption"] = json!({"policy": "IfUnowned", "registryId": 7});
    }),
    ("rebuilds", |it| {
        it["spec"]["adoption"] = json!({"policy": "Rebuild"});
    }),
    ("observes", |it| it["spec"]["mode"] = json!("Observe")),
];

const LIVES: Edits = &[
    ("stays", |_| {}),
    ("goes", |it| {
        it["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    }),
    ("goes and leaves it", |it| {
        it["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        it["spec"]["deletionPolicy"] = json!("Orphan");
    }),
    ("goes, protected", |it| {
        it["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        it["spec"]["deletionProtection"] = json!(true);
    }),
];

/// An earlier object of our name.
fn predecessor() -> crate::tag::Owner {
    let installation = crate::tag::Installation::from_configured("test");
    let uid = "00000000-1111-2222-3333-444455557777";
    crate::tag::Owner::new(&installation, uid, "images", "harbor-dr")
}

fn edited(world: &mut World, edit: impl FnOnce(&mut Record)) {
    if let Some(record) = world.records.get_mut(&1) {
        edit(record);
    }
}

const INCIDENTS: Incidents = &[
    ("nothing happened", |_| {}),
    ("url edited", |it| {
        edited(it, |its| its.url = "https://edited.example.com".into());
    }),
    ("two fields edited", |it| {
        edited(it, |its| {
            its.name = "edited".to_owned();
            its.insecure = Some(true);
        });
    }),
    ("deleted in SWR", |it| drop(it.records.remove(&1))),
    ("tag taken off", |it| {
        edited(it, |its| its.description = "bare".to_owned());
    }),
    ("tag replaced", |it| {
        edited(it, |its| its.description = stranger().describe(""));
    }),
    ("namesake untagged", |it| {
        drop(it.records.insert(7, record(7, "harbor-dr", "theirs")));
    }),
    ("namesake tagged", |it| {
        it.records
            .insert(7, record(7, "harbor-dr", &stranger().describe("")));
    }),
    ("namesake of an earlier object", |it| {
        it.records
            .insert(7, record(7, "harbor-dr", &predecessor().describe("")));
    }),
    ("two carry our tag", |it| {
        it.records
            .insert(8, record(8, "copy", &owner().describe("")));
    }),
    ("secret rotated", |it| it.secret = Ok("rotated")),
    ("secret gone", |it| it.secret = Err(SecretProblem::NotFound)),
    ("host not granted", |it| it.hosts = "granted.example.org"),
];

fn check(begin: impl Fn(&dyn Fn(&mut serde_json::Value)) -> World) -> usize {
    let mut n_checked = 0;
    for (spec, edit_spec) in SPECS {
        for (policy, edit_policy) in POLICIES {
            for (life, edit_life) in LIVES {
                for (incident, happens) in INCIDENTS {
                    let mut world = begin(&|value| {
                        edit_spec(value);
                        edit_policy(value);
                        edit_life(value);
                    });
                    happens(&mut world);
                    let before = world.records.clone();
                    let told = world.previewed();
                    let done = world.done();
                    let case = format!("{spec}, {policy}, {life}, {incident}");
                    assert_eq!(told, done, "{case}: {:#?}", world.trace);
                    if let Some((_, fields)) =
                        told.split_once(": ").filter(|_| told.starts_with("Update"))
                    {
                        assert_eq!(
                            shown(fields),
                            differing(&before, &world.records),
                            "{case}: the fields that the PUT changed"
                        );
                    }
                    n_checked += 1;
                }
            }
        }
    }
    n_checked
}

/// The named fields that a record shows.
fn shown(fields: &str) -> Vec<String> {
    let named = fields.split(", ").filter(|field| *field != "credential");
    named
        .filter(|field| *field != "dnsConf.hosts")
        .map(str::to_owned)
        .collect()
}

/// The fields in which a record is another than before: found by comparing them, and not by the diff.
fn differing(before: &BTreeMap<i64, Record>, after: &BTreeMap<i64, Record>) -> Vec<String> {
    let changed = after.iter().find(|(id, record)| {
        let was = before.get(*id);
        was.is_some_and(|was| was.compared() != record.compared())
    });
    let Some((id, after)) = changed else {
        return Vec::new();
    };
    let before = &before[id];
    [
        ("name", before.name != after.name),
        ("type", before.type_ != after.type_),
        ("url", before.url != after.url),
        ("insecure", before.insecure != after.insecure),
        ("description", before.text() != after.text()),
    ]
    .into_iter()
    .filter(|(_, differs)| *differs)
    .map(|(field, _)| field.to_owned())
    .collect()
}

#[test]
fn a_preview_tells_what_reconciles_then_do() {
    let n_new = check(|edit| World::new(|value| edit(value)));
    let n_settled = check(|edit| World::settled(|value| edit(value)));
    let n_unanswered = check(|edit| {
        let status = World::unanswered().object.expect("object").status;
        World::new(|value| {
            value["metadata"]["finalizers"] = json!([crate::api::FINALIZER]);
            value["status"] = serde_json::to_value(&status).expect("status");
            edit(value);
        })
    });
    assert_eq!([n_new, n_settled, n_unanswered], [2600; 3]);
}

#[test]
fn a_preview_says_what_it_needs_before_it_says_what_would_be_done() {
    let world = World::new(|_| {});
    let object = world.object.as_ref().expect("object");
    let owner = owner();
    let facts = world.facts(object, &owner);
    let without_secret = Facts {
        secret: Known::NotYet,
        ..facts.clone()
    };
    let without_inventory = Facts {
        inventory: Known::NotYet,
        ..facts
    };
    assert_eq!(
        [preview(&without_secret), preview(&without_inventory)],
        [Preview::NeedsSecret, Preview::NeedsInventory]
    );
}

#[test]
fn an_adoption_names_every_field_that_it_changes_and_waits_for_an_earlier_object() {
    let mut world = World::new(|value| {
        value["spec"]["adoption"] = json!({"policy": "Rebuild"});
        value["spec"]["url"] = json!("https://new.example.com");
    });
    let namesake = record(7, "another", &predecessor().describe("old words"));
    world.records.insert(7, namesake);
    let owner = owner();
    let object = world.object.as_ref().expect("object");
    let told = preview(&world.facts(object, &owner));
    let Preview::Writes(write) = told else {
        panic!("{told:?}");
    };
    let Write {
        what: What::Adopt(target, write),
        in_secs,
    } = *write
    else {
        panic!("{write:?}");
    };
    assert_eq!(
        (target.id(), write.changes.to_string(), in_secs),
        (
            RegistryId(7),
            "name, url, description, credential".to_owned(),
            WINDOWS.settle_secs
        )
    );
}
