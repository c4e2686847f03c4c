//! What SWR holds beside what the objects ask for -> what is wrong. Asks nobody anything.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// How the operator ends a description: with the tag that says whose registry it is.
const TAG: &str = " [swr-operator:";

/// What is wrong, by the names of objects or registries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Objects that are not Ready for what their spec asks.
    pub(super) not_ready: BTreeSet<String>,
    /// Objects whose registry is absent, another one than their status names, or not as their spec asks.
    pub(super) lost_updates: BTreeSet<String>,
    /// Names that more than one registry has.
    pub(super) duplicates: BTreeSet<String>,
    /// Registries that no object asks for.
    pub(super) leaks: BTreeSet<String>,
    /// Registries of others that are not as they were.
    pub(super) foreign_writes: BTreeSet<String>,
}

impl Wrong {
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// `foreign` are the registries of others, as they were made; `held` is all that SWR holds.
    pub(super) fn of(objects: &[Value], held: &[Value], foreign: &[Value]) -> Self {
        let mut wrong = Self::default();
        let mut by_name: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for registry in held {
            by_name
                .entry(text(&registry["name"]))
                .or_default()
                .push(registry);
        }
        for (name, registries) in &by_name {
            if registries.len() > 1 {
                wrong.duplicates.insert((*name).to_owned());
            }
        }
        let mut asked_for = BTreeSet::new();
        for registry in foreign {
            let name = text(&registry["name"]);
            asked_for.insert(name);
            // SWR notes when a registry was last written, so what was written and written back shows, too.
            if by_name.get(name).and_then(|held| held.first()) != Some(&registry) {
                wrong.foreign_writes.insert(name.to_owned());
            }
        }
        for object in objects {
            let name = text(&object["metadata"]["name"]);
            asked_for.insert(text(&object["spec"]["name"]));
            if !is_ready(object) {
                wrong.not_ready.insert(name.to_owned());
            }
            let held = by_name.get(text(&object["spec"]["name"]));
            if !held.is_some_and(|held| held.iter().any(|registry| is_as_asked(object, registry))) {
                wrong.lost_updates.insert(name.to_owned());
            }
        }
        let names = by_name.into_keys().filter(|name| !asked_for.contains(name));
        wrong.leaks = names.map(str::to_owned).collect();
        wrong
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn is_ready(object: &Value) -> bool {
    let status = &object["status"];
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let is_true = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    status["observedGeneration"] == object["metadata"]["generation"]
        && conditions.into_iter().any(is_true)
}

/// The id of the status, and every field of the spec. The description in SWR is that of the spec and the tag.
fn is_as_asked(object: &Value, registry: &Value) -> bool {
    let spec = &object["spec"];
    let description = text(&registry["description"]).split_once(TAG);
    registry["id"] == object["status"]["registryId"]
        && description.is_some_and(|(ours, _)| ours == text(&spec["description"]))
        && ["url", "type", "insecure"]
            .iter()
            .all(|field| registry[field] == spec[field])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, id: i64) -> Value {
        json!({
            "metadata": {"name": name, "generation": 3},
            "spec": {
                "name": format!("soak-{name}"), "type": "huawei-SWR", "insecure": true,
                "url": "https://a.example.com", "description": "edit 7",
            },
            "status": {
                "observedGeneration": 3, "registryId": id,
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        })
    }

    fn registry(name: &str, id: i64) -> Value {
        json!({
            "id": id, "name": name, "type": "huawei-SWR", "insecure": true,
            "url": "https://a.example.com", "description": "edit 7 [swr-operator:a/b/c]",
        })
    }

    fn names(of: &[&str]) -> BTreeSet<String> {
        of.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_else_is() {
        let foreign = [registry("theirs", 1)];
        let objects = [object("a", 2), object("b", 3)];
        let right = [
            foreign[0].clone(),
            registry("soak-a", 2),
            registry("soak-b", 3),
        ];
        assert_eq!(Wrong::of(&objects, &right, &foreign), Wrong::default());

        let check = |edit: &dyn Fn(&mut Vec<Value>, &mut Vec<Value>), expected: Wrong| {
            let (mut objects, mut held) = (objects.to_vec(), right.to_vec());
            edit(&mut objects, &mut held);
            assert_eq!(Wrong::of(&objects, &held, &foreign), expected);
        };
        let lost = |name: &str| Wrong {
            lost_updates: names(&[name]),
            ..Wrong::default()
        };
        check(
            &|_, held| held[1]["description"] = json!("edit 6 [swr-operator:a/b/c]"),
            lost("a"),
        );
        check(
            &|_, held| held[1]["description"] = json!("edit 7"),
            lost("a"),
        );
        check(
            &|_, held| held[2]["url"] = json!("https://b.example.com"),
            lost("b"),
        );
        check(&|_, held| held[2]["id"] = json!(9), lost("b"));
        check(&|_, held| drop(held.pop()), lost("b"));
        check(
            &|objects, _| objects[0]["metadata"]["generation"] = json!(4),
            Wrong {
                not_ready: names(&["a"]),
                ..Wrong::default()
            },
        );
        check(
            &|objects, _| objects[1]["status"]["conditions"][0]["status"] = json!("False"),
            Wrong {
                not_ready: names(&["b"]),
                ..Wrong::default()
            },
        );
        check(
            &|_, held| held.push(registry("soak-a", 9)),
            Wrong {
                duplicates: names(&["soak-a"]),
                ..Wrong::default()
            },
        );
        check(
            &|objects, _| drop(objects.pop()),
            Wrong {
                leaks: names(&["soak-b"]),
                ..Wrong::default()
            },
        );
        for theirs in [
            &|held: &mut Vec<Value>| held[0]["updated_at"] = json!("later"),
            &|held: &mut Vec<Value>| drop(held.remove(0)),
        ] as [&dyn Fn(&mut Vec<Value>); 2]
        {
            check(
                &|_, held| theirs(held),
                Wrong {
                    foreign_writes: names(&["theirs"]),
                    ..Wrong::default()
                },
            );
        }
    }
}
