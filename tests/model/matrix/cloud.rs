//! SWR, as the simulator holds it: a value that is asked without a socket. Turns what an effect asks into a request, and
//! the answer into a record. Judges S2, S3 and S4 by the simulator's own truth when a write is carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use swr_operator_core::credential::Sealer;
use swr_operator_core::desired::{Registry, RegistryId, Target};
use swr_operator_core::failure::{Cause, Class, Failure};
use swr_operator_core::observed::{Health, Record};
use swr_operator_core::tag::split;
use swr_simulator::Options;
use swr_simulator::message::{Reply, Request};
use swr_simulator::route::Call;
use swr_simulator::switches::DuplicateName;
use swr_simulator::world::{Account, World};

use crate::facts::credential;

/// For so long reads may show what was there before a write: the shortest wait of the protocol is as long.
const LAG_SECS: i64 = 20;

/// A write to SWR.
#[derive(Clone, Debug)]
pub(super) struct Write {
    /// The uid of the object that it is for.
    pub(super) uid: String,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Post(Value),
    Put {
        id: i64,
        body: Value,
        /// The tags with which the registry may stand there.
        expects: Vec<Option<String>>,
        /// Whether sending the same again is what it is for.
        repeats: bool,
    },
    Delete {
        id: i64,
        /// The tag with which it must stand there.
        expects: String,
    },
}

/// The instance.
pub(super) struct Cloud {
    world: World,
    /// Before the last write, and when that was.
    before: Option<(World, Timestamp)>,
    sealer: Sealer,
    project: String,
    instance: String,
    /// For which object each registry was made; none for those of others.
    pub(super) made_for: BTreeMap<i64, String>,
    /// Those whose tag the console took off, and copies that it made.
    pub(super) of_console: BTreeSet<i64>,
    pub(super) policies: BTreeSet<i64>,
    pub(super) n_writes: usize,
}

impl Cloud {
    pub(super) fn new(has_unique_names: bool, now: Timestamp) -> Self {
        let options = Options::default();
        let (project, instance) = (options.project.clone(), options.instances[0].clone());
        let account = Account {
            region: options.region,
            project: options.project,
            instances: options.instances,
            keys: options.keys,
            user: None,
            trust: options.trust,
        };
        let mut switches = options.switches;
        if !has_unique_names {
            switches.duplicate_name = DuplicateName::Allowed;
        }
        Cloud {
            world: World::new(account, switches, now),
            before: None,
            sealer: Sealer::new(vec![7; 32]),
            project,
            instance,
            made_for: BTreeMap::new(),
            of_console: BTreeSet::new(),
            policies: BTreeSet::new(),
            n_writes: 0,
        }
    }

    pub(super) fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// Everything that SWR holds, real secrets included.
    pub(super) fn truth(&self, now: Timestamp) -> Vec<Value> {
        let truth = self.world.truth(&self.instance, now);
        truth.expect("the instance is there")
    }

    fn held(&self, id: i64, now: Timestamp) -> Option<Value> {
        let mut truth = self.truth(now).into_iter();
        truth.find(|held| held["id"] == id)
    }

    fn place(&self) -> (String, String) {
        (self.project.clone(), self.instance.clone())
    }

    /// What reads may show: the truth, or what was there before the last write.
    fn seen(&mut self, lags: bool, now: Timestamp) -> &mut World {
        match &mut self.before {
            Some((before, at)) if lags && now.duration_since(*at).as_secs() < LAG_SECS => before,
            Some(_) | None => &mut self.world,
        }
    }

    pub(super) fn list(&mut self, lags: bool, now: Timestamp) -> Vec<Record> {
        let (project, instance) = self.place();
        let request = Request::new("GET", "/?offset=0&limit=100", "");
        let call = Call::ListRegistries { project, instance };
        let reply = self.seen(lags, now).serve(&call, &request, now);
        assert!(reply.is_success(), "{reply:?}");
        let mut listed = reply.value();
        let listed = listed["registries"].take();
        let listed = listed.as_array().expect("a list").iter();
        listed.map(|seen| self.record(seen)).collect()
    }

    pub(super) fn show(
        &mut self,
        id: RegistryId,
        lags: bool,
        now: Timestamp,
    ) -> Result<Record, Failure> {
        let (project, instance) = self.place();
        let call = Call::ShowRegistry {
            project,
            instance,
            id: id.0.to_string(),
        };
        let request = Request::new("GET", "/", "");
        let reply = self.seen(lags, now).serve(&call, &request, now);
        match reply.is_success() {
            true => Ok(self.record(&reply.value())),
            false => Err(refusal(&reply)),
        }
    }

    fn record(&self, seen: &Value) -> Record {
        let text = |name: &str| seen[name].as_str().map(str::to_owned);
        let hosts = seen["dns_conf"]["hosts"].as_object();
        let key = seen["credential"]["access_key"].as_str();
        Record {
            id: RegistryId(seen["id"].as_i64().expect("an id")),
            name: text("name").expect("a name"),
            type_: text("type").expect("a type").into(),
            url: text("url").expect("a url").into(),
            insecure: seen["insecure"].as_bool(),
            description: text("description").unwrap_or_default(),
            project: text("project_id").map(Arc::from),
            region: text("region_id").map(Arc::from),
            instance: text("instance_id").map(Arc::from),
            dns_hosts: hosts.map(|hosts| {
                let hosts = hosts.iter();
                hosts
                    .map(|(host, at)| (host.clone(), at.as_str().unwrap_or_default().to_owned()))
                    .collect()
            }),
            access_key: key.map(|key| self.sealer.access_key(key)),
            health: Health::from_word(seen["status"].as_str()),
            updated_at: text("updated_at"),
        }
    }

    fn changes(&mut self, now: Timestamp) {
        self.before = Some((self.world.clone(), now));
        self.n_writes += 1;
    }

    /// Carries out a write; with what is wrong about it. Gives the id of what was created.
    pub(super) fn write(
        &mut self,
        write: &Write,
        is_sure: bool,
        now: Timestamp,
        wrong: &mut Vec<String>,
    ) -> Result<Option<RegistryId>, Failure> {
        let (project, instance) = self.place();
        wrong.extend(self.wrong_target(write, is_sure, now).map(str::to_owned));
        let before = self.world.clone();
        let (call, request) = match &write.what {
            What::Post(body) => (
                Call::CreateRegistry { project, instance },
                Request::new("POST", "/", body.to_string()),
            ),
            What::Put { id, body, .. } => (
                Call::UpdateRegistry {
                    project,
                    instance,
                    id: id.to_string(),
                },
                Request::new("PUT", "/", body.to_string()),
            ),
            What::Delete { id, .. } => (
                Call::DeleteRegistry {
                    project,
                    instance,
                    id: id.to_string(),
                },
                Request::new("DELETE", "/", ""),
            ),
        };
        let reply = self.world.serve(&call, &request, now);
        if !reply.is_success() {
            return Err(refusal(&reply));
        }
        self.before = Some((before, now));
        self.n_writes += 1;
        let What::Post(_) = write.what else {
            return Ok(None);
        };
        let id = reply.value()["id"].as_i64().expect("an id");
        self.made_for.insert(id, write.uid.clone());
        let made = |held: &Value| {
            let id = held["id"].as_i64().unwrap_or_default();
            self.made_for.get(&id) == Some(&write.uid) && !self.of_console.contains(&id)
        };
        if self.truth(now).iter().filter(|held| made(held)).count() > 1 {
            wrong.push("S4 two registries are made for one object".to_owned());
        }
        Ok(Some(RegistryId(id)))
    }

    /// What S2 and S3 forbid. `is_sure`: nothing went wrong yet, so that nothing is sent twice.
    fn wrong_target(&self, write: &Write, is_sure: bool, now: Timestamp) -> Option<&'static str> {
        let tag_of = |held: &Value| {
            let description = held["description"].as_str().unwrap_or_default();
            split(description).1.map(str::to_owned)
        };
        match &write.what {
            What::Post(_) => None,
            What::Put {
                id,
                body,
                expects,
                repeats,
            } => {
                let held = self.held(*id, now)?;
                // An earlier PUT of the same object took the tag off, which a read that lags does not show.
                let was_let_go = tag_of(&held).is_none()
                    && self.made_for.get(id) == Some(&write.uid)
                    && !self.of_console.contains(id);
                if !expects.contains(&tag_of(&held)) && !was_let_go {
                    return Some("S3 a PUT on a registry that is not ours");
                }
                let is_equal = is_sure && !repeats && differing(body, &held).is_empty();
                is_equal.then_some("S2 a PUT without a difference")
            }
            What::Delete { id, expects } => {
                let held = self.held(*id, now)?;
                let is_ours = tag_of(&held).as_ref() == Some(expects);
                (!is_ours).then_some("S3 a DELETE of a registry that is not ours")
            }
        }
    }

    /// Somebody makes a registry in the console.
    pub(super) fn console_create(&mut self, body: &Value, now: Timestamp) {
        self.changes(now);
        let bytes = body.to_string();
        let made = self
            .world
            .console_create(&self.instance, bytes.as_bytes(), now);
        self.of_console.insert(made.expect("a registry"));
    }

    /// Somebody edits one in the console, as this says.
    pub(super) fn console_edit(&mut self, id: i64, edit: impl FnOnce(&mut Value), now: Timestamp) {
        let Some(mut body) = self.held(id, now) else {
            return;
        };
        for name in ["id", "status", "created_at", "updated_at"] {
            body.as_object_mut().expect("a registry").remove(name);
        }
        edit(&mut body);
        self.changes(now);
        let bytes = body.to_string();
        let edited = self
            .world
            .console_update(&self.instance, id, bytes.as_bytes(), now);
        edited.expect("a registry");
    }

    pub(super) fn console_delete(&mut self, id: i64, now: Timestamp) {
        self.changes(now);
        // What is gone already stays gone.
        let _ = self.world.console_delete(&self.instance, id, now);
    }

    /// Whether replication policies refer to a registry.
    pub(super) fn uses(&mut self, id: i64, uses: bool) {
        match uses {
            true => self.policies.insert(id),
            false => self.policies.remove(&id),
        };
        let set = self
            .world
            .set_policies(&self.instance, self.policies.clone());
        set.expect("the instance is there");
    }
}

/// The registry as it is sent.
pub(super) fn body(registry: &Registry, secret: u8) -> Value {
    let Registry {
        name,
        url,
        insecure,
        description,
        target,
    } = registry;
    let credential = credential(secret);
    let mut body = json!({
        "name": name, "url": url, "insecure": insecure, "description": description, "type": target.type_name(),
        "credential": {
            "type": "basic",
            "access_key": credential.access_key.expose(),
            "access_secret": credential.access_secret.expose(),
        },
    });
    match target {
        Target::Harbor { dns_hosts } if dns_hosts.is_empty() => {}
        Target::Harbor { dns_hosts } => body["dns_conf"] = json!({"hosts": dns_hosts}),
        Target::SwrEnterprise {
            project,
            region,
            instance,
        } => {
            body["project_id"] = json!(project.as_str());
            body["region_id"] = json!(region.as_str());
            body["instance_id"] = json!(instance.as_str());
        }
        Target::SwrBasic => {}
    }
    body
}

/// The fields in which what SWR holds differs from what is to be sent.
pub(super) fn differing(body: &Value, held: &Value) -> Vec<&'static str> {
    let fields = [
        "name",
        "url",
        "insecure",
        "description",
        "type",
        "credential",
        "dns_conf",
        "project_id",
        "region_id",
        "instance_id",
    ];
    let differs = |name: &&str| body[*name] != held[*name];
    fields.into_iter().filter(differs).collect()
}

/// What the simulator refuses by itself, as the client of SWR classifies it.
fn refusal(reply: &Reply) -> Failure {
    let (class, cause) = match reply.status {
        404 => (Class::NotFound, Cause::RegistryNotFound),
        409 => (Class::Conflict, Cause::AlreadyExists),
        412 => (Class::Conflict, Cause::InUse),
        _ => panic!("{reply:?} is not expected"),
    };
    Failure::new(class, cause)
}
