//! The SWR simulator behind a socket, and what a test asks of it. Must not know the operator or Kubernetes.

use std::time::Duration;

use harness::eventually_blocking;
use jiff::Timestamp;
use serde_json::{Value, json};
use swr_simulator::journal::Entry;
use swr_simulator::message::Request;
use swr_simulator::world::console::Mistake;
use swr_simulator::{Keys, Options, Server, control, serve};

use crate::cluster::block_on;

/// Long enough for several polls on a machine that does other things, too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(45);

/// One region of the cloud with one project and two instances.
pub(crate) struct Cloud {
    server: Server,
    pub(crate) region: String,
    pub(crate) project: String,
    pub(crate) instances: [String; 2],
}

impl Cloud {
    pub(crate) fn start(region: &str, project: &str, instances: [String; 2], keys: Keys) -> Self {
        let options = Options {
            region: region.to_owned(),
            project: project.to_owned(),
            instances: instances.to_vec(),
            keys,
            ..Options::default()
        };
        Self {
            server: block_on(serve(options)).expect("the simulator listens"),
            region: region.to_owned(),
            project: project.to_owned(),
            instances,
        }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// The number of the last request.
    pub(crate) fn mark(&self) -> u64 {
        self.requests(0).last().map_or(0, |entry| entry.seq)
    }

    /// What was asked after a mark.
    pub(crate) fn requests(&self, mark: u64) -> Vec<Entry> {
        self.server
            .with(|simulator, _| simulator.journal.after(mark).cloned().collect())
    }

    /// What was asked of an operation after a mark.
    pub(crate) fn asked(&self, mark: u64, operation: &str) -> Vec<Entry> {
        let mut entries = self.requests(mark);
        entries.retain(|entry| entry.operation == operation);
        entries
    }

    /// What would have changed a registry after a mark, answered or not, as `PUT registries/3`.
    pub(crate) fn writes(&self, mark: u64) -> Vec<String> {
        self.requests(mark)
            .iter()
            .filter(|entry| entry.method != "GET")
            .map(short)
            .collect()
    }

    /// Everything that an instance holds, real secrets included, in the order of ids.
    pub(crate) fn registries(&self, instance: &str) -> Vec<Value> {
        self.server
            .with(|simulator, now| simulator.world.truth(instance, now))
            .expect("the instance exists")
    }

    pub(crate) fn registry(&self, instance: &str, id: i64) -> Option<Value> {
        let mut registries = self.registries(instance).into_iter();
        registries.find(|registry| registry["id"] == id)
    }

    /// Asks the control surface, as a person at the console would.
    pub(crate) fn control(&self, method: &str, target: &str, body: &Value) -> Value {
        let request = Request::new(
            method,
            &format!("/_simulator/{target}"),
            body.to_string().into_bytes(),
        );
        let reply = self
            .server
            .with(|simulator, now| control::handle(simulator, &request, now));
        let answer = reply.value();
        assert!(reply.is_success(), "{method} {target}: {answer}");
        answer
    }

    /// Somebody gets a token of IAM for this body.
    pub(crate) fn issue_token(&self, body: &Value) -> String {
        let request = Request::new("POST", "/v3/auth/tokens", body.to_string().into_bytes())
            .with_header("content-type", "application/json");
        let reply = self
            .server
            .with(|simulator, now| simulator.world.handle(&request, now));
        let token = reply.header("x-subject-token");
        token
            .unwrap_or_else(|| panic!("{}", reply.value()))
            .to_owned()
    }

    /// Tokens and temporary keys that were issued.
    pub(crate) fn issued_secrets(&self) -> Vec<String> {
        self.server
            .with(|simulator, _| simulator.world.iam.issued_secrets())
    }

    /// Somebody creates a registry in the console; its id.
    pub(crate) fn console_create(&self, instance: &str, body: &Value) -> i64 {
        let answer = self.control("POST", &format!("registries?instance={instance}"), body);
        answer["id"].as_i64().expect("an id")
    }

    /// What SWR held once is there again, with its times. Ids are given in order.
    pub(crate) fn restore(&self, instance: &str, registry: &Value) {
        let body = registry.to_string().into_bytes();
        let time = |field: &str| -> Timestamp {
            let time = registry[field].as_str().and_then(|time| time.parse().ok());
            time.unwrap_or_else(|| panic!("{field} of {registry}"))
        };
        let [created, updated] = ["created_at", "updated_at"].map(time);
        let id = self.server.with(|simulator, _| {
            let world = &mut simulator.world;
            let id = world.console_create(instance, &body, created)?;
            world.console_update(instance, id, &body, updated)?;
            Ok::<_, Mistake>(id)
        });
        assert_eq!(json!(id.expect("the registry")), registry["id"]);
    }

    /// Somebody edits a registry in the console: the whole of it with one field changed.
    pub(crate) fn console_edit(&self, instance: &str, id: i64, field: &str, value: Value) {
        let mut body = self.registry(instance, id).expect("the registry");
        *body
            .pointer_mut(field)
            .unwrap_or_else(|| panic!("a field {field}")) = value;
        self.control(
            "PUT",
            &format!("registries/{id}?instance={instance}"),
            &body,
        );
    }

    /// Somebody deletes a registry in the console.
    pub(crate) fn console_delete(&self, instance: &str, id: i64) {
        let target = format!("registries/{id}?instance={instance}");
        self.control("DELETE", &target, &Value::Null);
    }

    /// SWR's own check of the target finds this.
    pub(crate) fn health(&self, instance: &str, id: i64, status: &str) {
        let target = format!("registries/{id}/status?instance={instance}");
        self.control("PUT", &target, &json!({"status": status}));
    }

    pub(crate) fn fault(&self, fault: &Value) {
        self.control("POST", "faults", fault);
    }

    pub(crate) fn clear_faults(&self) {
        self.control("DELETE", "faults", &Value::Null);
    }

    pub(crate) fn switch(&self, switches: &Value) {
        self.control("PUT", "switches", switches);
    }

    /// Waits until an instance was listed so often from now on, each time from the first page.
    pub(crate) fn await_lists(&self, instance: &str, n: usize) {
        let mark = self.mark();
        eventually_blocking(PATIENCE, &format!("{n} more lists of {instance}"), || {
            let seen = self.n_lists(mark, instance);
            if seen >= n { Ok(()) } else { Err(seen) }
        });
    }

    /// How often an instance was listed after a mark, counted by its first page.
    pub(crate) fn n_lists(&self, mark: u64, instance: &str) -> usize {
        self.asked(mark, "ListInstanceRegistries")
            .iter()
            .filter(|entry| entry.instance.as_deref() == Some(instance))
            .filter(|entry| entry.query.split('&').any(|pair| pair == "offset=0"))
            .count()
    }

    /// The journal as a person reads it.
    pub(crate) fn shown(&self) -> String {
        let line = |entry: &Entry| {
            let status = entry
                .status
                .map_or_else(|| "-".to_owned(), |status| status.to_string());
            let fault = entry.fault.as_deref().unwrap_or_default();
            let instance = entry.instance.as_deref().unwrap_or_default();
            format!(
                "{:>5} {} {status:>3} {} {instance} {fault}",
                entry.seq,
                entry.at,
                short(entry)
            )
        };
        let lines: Vec<String> = self.requests(0).iter().map(line).collect();
        let skipped = lines.len().saturating_sub(120);
        format!("({skipped} before)\n{}", lines[skipped..].join("\n"))
    }
}

/// The method and what follows the instance: `PUT registries/3`.
pub(crate) fn short(entry: &Entry) -> String {
    let rest = entry
        .path
        .find("/registries")
        .map_or(entry.path.as_str(), |start| &entry.path[start + 1..]);
    let query = if entry.query.is_empty() {
        String::new()
    } else {
        format!("?{}", entry.query)
    };
    format!("{} {rest}{query}", entry.method)
}
