//! A case of switches -> a whole life of registries under it, and what must hold all the while: theirs untouched, ours
//! one for each object, one request for each change. Must not know what a switch means.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::eventually_blocking;
use serde_json::{Map, Value, json};
use swr_simulator::journal::Entry;

use crate::canary::Login;
use crate::cloud::{PATIENCE, short};
use crate::cluster::{Asked, Audit};
use crate::manifest::{body, uid_in_tag};
use crate::site::{Site, condition, name_of, registry_id, shown, state};

/// Three times what a life on an idle machine needs for its longest step.
const LIFE_PATIENCE: Duration = Duration::from_secs(90);
/// A look at the API server at every so many looks at the clock, which come ten times a second.
const LOOK_EVERY: u32 = 4;

/// Looks at an object that answers a change late; whoever writes for ever is found out after them.
const ROUNDS_MAX: usize = 4;

pub(super) const AVAILABLE: &str = "True Available";

/// What SWR does, what is asked of it, and what must come of that.
#[derive(Clone, Debug, Default)]
pub(super) struct Case {
    /// Switches by name; the first one is what the case is about.
    pub(super) set: Vec<(String, String)>,
    pub(super) objects: Vec<Wish>,
    /// Registries of others beside the usual two.
    pub(super) n_others: usize,
    /// What stands in the way of a create, an update, a deletion.
    pub(super) create: Option<Refusal>,
    pub(super) update: Option<Refusal>,
    pub(super) delete: Option<Refusal>,
    /// Health changes by itself, so the status is written at rest, too.
    pub(super) restless: bool,
    /// Scripted beside the switches: answers that get lost.
    pub(super) faults: Vec<Value>,
}

/// One object.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) kind: &'static str,
    /// Merged into the spec; `{name}` stands for the name of the object.
    pub(super) spec: Value,
    /// States of `Ready` that are true at rest.
    pub(super) rests: Vec<&'static str>,
}

/// Why something cannot be done, in the words of the condition.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) state: &'static str,
    pub(super) says: &'static str,
    pub(super) cure: Cure,
}

/// What makes it possible after all.
#[derive(Clone, Debug)]
pub(super) enum Cure {
    /// The switches go back to their defaults.
    Defaults,
    /// A merge patch of the spec.
    Spec(Value),
}

/// Where an object of a combination stays when it cannot be Ready.
const STUCK: [&str; 3] = ["False InvalidSpec", "False TagNotKept", UNPROVEN];
/// With neither id nor tag nobody can tell a registry from somebody else's of that name.
pub(super) const UNPROVEN: &str = "False Conflict";

impl Case {
    pub(super) fn switches(&self) -> Value {
        let pairs = self.set.iter().map(|(name, value)| {
            let number = value.parse::<u32>().ok().filter(|_| is_number(name));
            (
                name.clone(),
                number.map_or_else(|| json!(value), Value::from),
            )
        });
        Value::Object(pairs.collect::<Map<_, _>>())
    }

    pub(super) fn title(&self) -> String {
        let pairs: Vec<String> = self
            .set
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join(" ")
    }
}

/// Whether the switch takes a number and not a word.
pub(super) fn is_number(switch: &str) -> bool {
    swr_simulator::Switches::table()
        .iter()
        .any(|row| row.name == switch && row.allowed.starts_with("a "))
}

pub(super) fn live(site: &Site, case: &Case) {
    let life = Life::begin(site, case);
    life.create();
    life.change("updated", update);
    life.change("drifted", drift);
    life.change("rotated", rotate);
    life.rest();
    life.end();
}

struct Life<'a> {
    site: &'a Site,
    case: &'a Case,
    instance: &'a str,
    /// What was there before.
    theirs: Vec<Value>,
    logins: std::cell::RefCell<BTreeMap<String, Login>>,
}

/// A change that SWR must learn of, made to an object.
type Change = fn(&Life<'_>, &Value);

impl<'a> Life<'a> {
    fn begin(site: &'a Site, case: &'a Case) -> Self {
        let instance = site.cloud.instances[0].as_str();
        others(site, instance, case.n_others);
        let theirs = site.cloud.registries(instance);
        site.cloud.switch(&case.switches());
        for fault in &case.faults {
            site.cloud.fault(fault);
        }
        Self {
            site,
            case,
            instance,
            theirs,
            logins: std::cell::RefCell::default(),
        }
    }

    fn create(&self) {
        for wish in &self.case.objects {
            let name = object_name(wish.kind);
            let mut object = self.site.registry(name, wish.kind);
            merge(&mut object["spec"], &named(&wish.spec, name));
            let login = self.site.login();
            self.site.put_login(name, &login);
            self.site.create(&object);
            self.logins.borrow_mut().insert(name.to_owned(), login);
        }
        self.overcome(self.case.create.as_ref());
        for wish in &self.case.objects {
            // What was asked for by annotation may come ten seconds later, and is no part of what follows.
            let object = self.await_settled(wish, "settled", |object| {
                let asked = &object["metadata"]["annotations"]["swr.huaweicloud.com/requestedAt"];
                asked.is_null()
                    || is_stuck(object)
                    || object["status"]["lastHandledReconcileAt"] == *asked
            });
            if !is_stuck(&object) {
                assert_eq!(self.sent(&object), Ok(()), "created {}", name_of(&object));
            }
        }
    }

    /// Waits for what the condition must say, makes sure of the order, and cures what can be cured.
    fn overcome(&self, refusal: Option<&Refusal>) {
        let Some(Refusal { state, says, cure }) = refusal else {
            return;
        };
        for wish in &self.case.objects {
            let name = object_name(wish.kind);
            self.await_status(name, &format!("{state}: {says}"), |object| {
                let ready = condition(object, "Ready");
                let message = ready["message"].as_str().unwrap_or_default();
                crate::site::state(object, "Ready") == *state && message.contains(says)
            });
        }
        self.assert_order();
        if let Cure::Defaults = cure {
            self.reset();
        }
        let mark = self.site.cloud.mark();
        for wish in &self.case.objects {
            let name = object_name(wish.kind);
            match cure {
                // The object may be gone by now, if its deletion was in the way.
                Cure::Defaults => {
                    let asked = json!({"swr.huaweicloud.com/requestedAt": format!("mark {mark}")});
                    let patched = self
                        .site
                        .try_patch(name, &json!({"metadata": {"annotations": asked}}));
                    assert!(patched.is_ok() || self.site.try_object(name).is_none());
                }
                Cure::Spec(spec) => {
                    self.site.patch(name, &json!({"spec": named(spec, name)}));
                }
            }
        }
    }

    fn reset(&self) {
        self.site.cloud.control("DELETE", "switches", &Value::Null);
    }

    /// Every object once it says what it may say in the end.
    fn settled(&self) -> Vec<Value> {
        self.case
            .objects
            .iter()
            .map(|wish| self.await_settled(wish, "settled", |_| true))
            .collect()
    }

    /// As the site does it, but with more patience and fewer looks: many lives share one API server.
    fn await_status(&self, name: &str, wanted: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut looks = 0;
        let mut seen = String::new();
        eventually_blocking(LIFE_PATIENCE, &format!("{name}: {wanted}"), || {
            looks += 1;
            if looks % LOOK_EVERY == 1 {
                let object = self.site.object(name);
                let is_fresh =
                    object["status"]["observedGeneration"] == object["metadata"]["generation"];
                if is_fresh && is(&object) {
                    return Ok(object);
                }
                seen = shown(&object);
            }
            Err(seen.clone())
        })
    }

    fn await_settled(&self, wish: &Wish, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let name = object_name(wish.kind);
        let what = format!("{what}, one of {:?}", wish.rests);
        let object = self.await_status(name, &what, |object| {
            let ready = state(object, "Ready");
            // The note of a create that was not answered stays until the registry is found.
            let has_settled = object["status"]["createIntent"].is_null() || ready == UNPROVEN;
            wish.rests.contains(&ready.as_str()) && has_settled && is(object)
        });
        self.assert_order();
        object
    }

    /// A change costs one request and reaches SWR whole.
    fn change(&self, what: &str, change: Change) {
        let before: Vec<(&Wish, Value)> = self
            .case
            .objects
            .iter()
            .zip(self.settled())
            .filter(|(_, object)| !is_stuck(object))
            .collect();
        let mark = self.site.cloud.mark();
        for (_, object) in &before {
            change(self, object);
        }
        if what == "updated" {
            self.overcome(self.case.update.as_ref());
        }
        for (wish, before) in &before {
            let sent_at = &before["status"]["credential"]["sentAt"];
            let object = self.await_settled(wish, what, |object| {
                if self.case.faults.is_empty() || what == "rotated" {
                    object["status"]["credential"]["sentAt"] != *sent_at
                        && self.sent(object).is_ok()
                } else {
                    // An answer that got lost is made up for by a look, without another write.
                    self.puts(mark, before) > 0
                        && state(object, "Synced").starts_with("True")
                        && self.sent(object).is_ok()
                }
            });
            let n_puts = self.puts(mark, &object);
            // What was sent while its answer got lost is sent once more, and so is what a person asks for by
            // annotation a moment after it went out.
            let was_asked = what == "updated" && self.case.update.is_some();
            let n_most = 1 + self.case.faults.len() + usize::from(was_asked);
            assert!(
                (1..=n_most).contains(&n_puts),
                "{what} {}: {n_puts} PUTs",
                name_of(&object)
            );
        }
        if !self.case.faults.is_empty() {
            self.quiet();
        }
    }

    /// Updates of an object's registry after a mark.
    fn puts(&self, mark: u64, object: &Value) -> usize {
        let id = registry_id(object);
        landed(&self.site.cloud.requests(mark))
            .filter(|entry| entry.method == "PUT" && id_of(entry) == Some(id))
            .count()
    }

    /// Where answers get lost, the last word on a change comes later than the change itself.
    fn quiet(&self) {
        for _ in 0..ROUNDS_MAX {
            let mark = self.site.cloud.mark();
            let audit = self.site.cluster.audit();
            self.site.cloud.await_lists(self.instance, 3);
            if self.written(mark, &audit).is_empty() {
                return;
            }
        }
    }

    /// What was written to SWR and to Kubernetes, as lines. What SWR refuses is tried again now and then, and noted.
    fn written(&self, mark: u64, audit: &Audit) -> Vec<String> {
        let requests = self.site.cloud.requests(mark);
        let mut written: Vec<String> = landed(&requests).map(short).collect();
        if !self.case.restless {
            let stuck: Vec<Value> = self.site.objects().into_iter().filter(is_tried).collect();
            let of_stuck = |asked: &Asked| stuck.iter().any(|object| name_of(object) == asked.name);
            let mut asked = self.site.kubernetes_writes(audit);
            asked.retain(|asked| !of_stuck(asked));
            written.extend(asked.iter().map(ToString::to_string));
        }
        written
    }

    fn rest(&self) {
        let objects = self.settled();
        if objects.iter().all(is_stuck) {
            return;
        }
        let mark = self.site.cloud.mark();
        let audit = self.site.cluster.audit();
        self.site.cloud.await_lists(self.instance, 3);
        assert_eq!(self.written(mark, &audit), Vec::<String>::new());
        self.assert_order();
    }

    fn end(&self) {
        // What was cured comes back: a deletion must cope with it, too.
        self.site.cloud.switch(&self.case.switches());
        let objects = self.site.objects();
        let kept: Vec<&Value> = objects
            .iter()
            .filter(|object| state(object, "Ready") == "False TagNotKept")
            .collect();
        for object in &objects {
            self.site.delete(name_of(object));
        }
        if let Some(refusal) = &self.case.delete {
            self.overcome(Some(refusal));
        }
        for object in &kept {
            let name = name_of(object);
            let (_, message) = self.site.await_state(name, "False DeletionBlocked");
            assert!(message.contains("does not carry our tag"), "{message}");
            let orphan = json!({"spec": {"deletionPolicy": "Orphan"}});
            self.site.patch(name, &orphan);
        }
        for object in &objects {
            self.site.await_gone(name_of(object));
        }
        let mut left = self.site.cloud.registries(self.instance);
        let kept: Vec<i64> = kept.iter().map(|object| registry_id(object)).collect();
        let lost: Vec<&Value> = objects
            .iter()
            .filter(|object| state(object, "Ready") == UNPROVEN)
            .map(|object| &object["spec"]["name"])
            .collect();
        left.retain(|registry| {
            !kept.iter().any(|id| registry["id"] == *id) && !lost.contains(&&registry["name"])
        });
        assert_eq!(left, self.theirs, "nothing of ours is left");
        self.assert_order();
    }

    /// What must hold at any time.
    fn assert_order(&self) {
        let held = self.site.cloud.registries(self.instance);
        let (theirs, ours): (Vec<Value>, Vec<Value>) = held
            .into_iter()
            .partition(|registry| self.is_theirs(registry["id"].as_i64()));
        assert_eq!(theirs, self.theirs, "theirs are as they were");
        assert!(
            ours.len() <= self.case.objects.len(),
            "more registries than objects: {ours:#?}"
        );
        let requests = self.site.cloud.requests(0);
        let mut creates: BTreeMap<String, usize> = BTreeMap::new();
        for entry in landed(&requests) {
            assert!(!self.is_theirs(id_of(entry)), "{entry:?} is for theirs");
            if entry.method == "POST" {
                *creates.entry(tag_in(&entry.request_body)).or_default() += 1;
            }
        }
        for (tag, n) in creates {
            assert_eq!(n, 1, "creates for {tag}");
        }
    }

    fn is_theirs(&self, id: Option<i64>) -> bool {
        let mut theirs = self.theirs.iter();
        id.is_some_and(|id| theirs.any(|registry| registry["id"] == id))
    }

    /// Whether SWR holds what the object asks for, or what is different.
    fn sent(&self, object: &Value) -> Result<(), String> {
        let login = self.logins.borrow()[name_of(object)].clone();
        let uid = uid_in_tag(object["metadata"]["uid"].as_str().expect("a uid"));
        let mut held = self.site.held(object);
        let mut wanted = body(object, &login);
        let description = held["description"].as_str().unwrap_or_default();
        if !tag_in(description).contains(&uid) {
            return Err(format!("no tag: {held:#}"));
        }
        let text = description.split("[swr-operator:").next();
        held["description"] = normal(text.unwrap_or_default());
        let text = wanted["description"].as_str().unwrap_or_default();
        wanted["description"] = normal(text.trim_end_matches("[tag]"));
        for body in [&mut held, &mut wanted] {
            let url = body["url"].as_str().unwrap_or_default();
            body["url"] = json!(url.trim_end_matches('/').to_ascii_lowercase());
        }
        for (field, value) in wanted.as_object().expect("an object") {
            if held[field] != *value {
                return Err(format!("{field}: {} and not {value}", held[field]));
            }
        }
        Ok(())
    }
}

fn update(life: &Life<'_>, object: &Value) {
    let name = name_of(object);
    let spec = json!({"url": format!("http://{name}.changed.example.com:8443/v2"), "description": "第二版"});
    life.site.patch(name, &json!({"spec": spec}));
}

/// Somebody edits a field that a list shows.
fn drift(life: &Life<'_>, object: &Value) {
    let id = registry_id(object);
    let mut registry = life.site.held(object);
    registry["url"] = json!("https://theirs.example.com");
    let fields = registry.as_object_mut().expect("an object");
    // Only what a body may have: some switches refuse the rest.
    for field in ["id", "status", "created_at", "updated_at"] {
        fields.remove(field);
    }
    fields.retain(|_, value| !value.is_null());
    let target = format!("registries/{id}?instance={}", life.instance);
    life.site.cloud.control("PUT", &target, &registry);
}

fn rotate(life: &Life<'_>, object: &Value) {
    let login = life.site.login();
    let name = name_of(object);
    life.site.put_login(name, &login);
    life.logins.borrow_mut().insert(name.to_owned(), login);
}

/// Two registries of somebody else's, and more if asked for: one whose name begins like one of ours and that has no
/// description, and one with a stranger's tag.
fn others(site: &Site, instance: &str, n_more: usize) {
    let create = |name: &str, description: &str| {
        let body = json!({
            "name": name,
            "description": description,
            "type": "swr-pro",
            "url": "https://theirs.example.com",
            "credential": {"type": "basic", "access_key": "theirs", "access_secret": "theirs too"},
            "insecure": false,
        });
        site.cloud.console_create(instance, &body);
    };
    create("harbor_镜像2", "");
    create(
        "theirs",
        "[swr-operator:AAAAAAAAAAAAAAAAAAAAAA/BBBBBBBBBBBBBBBBBBBBBB/CCCCCCCC]",
    );
    for n in 0..n_more {
        create(&format!("theirs-{n:03}"), "by hand");
    }
}

/// Names of objects, none of which is another type's word.
fn object_name(kind: &str) -> &'static str {
    match kind {
        "swr-pro" => "harbor",
        "swr-pro-internal" => "enterprise",
        _ => "basic",
    }
}

fn named(spec: &Value, name: &str) -> Value {
    let text = spec.to_string().replace("{name}", name);
    serde_json::from_str(&text).expect("JSON stays JSON")
}

/// As a merge patch does it.
fn merge(into: &mut Value, patch: &Value) {
    for (field, value) in patch.as_object().into_iter().flatten() {
        if value.is_null() {
            into.as_object_mut().expect("an object").remove(field);
        } else {
            into[field] = value.clone();
        }
    }
}

/// Whether SWR refuses its create, which is tried again: it says so by turns with Progressing.
fn is_tried(object: &Value) -> bool {
    object["status"]["registryId"].is_null()
}

fn is_stuck(object: &Value) -> bool {
    STUCK.contains(&state(object, "Ready").as_str())
}

/// Writes that were carried out, or of which nobody can tell from their answers that they were not.
fn landed(requests: &[Entry]) -> impl Iterator<Item = &Entry> {
    requests.iter().filter(|entry| {
        entry.method != "GET"
            && entry
                .status
                .is_none_or(|status| status < 400 || status == 504)
    })
}

fn id_of(entry: &Entry) -> Option<i64> {
    entry.path.rsplit('/').next()?.parse().ok()
}

fn tag_in(body: &str) -> String {
    let tag = body.split("[swr-operator:").nth(1).unwrap_or_default();
    tag.split(']').next().unwrap_or_default().to_owned()
}

/// Without what some switches do to blanks.
fn normal(text: &str) -> Value {
    json!(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Waits for a state of `Synced` and gives the message, whatever `Ready` says meanwhile.
pub(super) fn await_synced(site: &Site, name: &str, wanted: &str) -> String {
    eventually_blocking(PATIENCE, &format!("{name}: Synced={wanted}"), || {
        let object = site.object(name);
        if state(&object, "Synced") == wanted {
            let message = condition(&object, "Synced")["message"].as_str();
            Ok(message.unwrap_or_default().to_owned())
        } else {
            Err(shown(&object))
        }
    })
}
