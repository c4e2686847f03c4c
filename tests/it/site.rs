//! One tenant with a cloud of its own: a namespace, an account, a simulator, and what a test does with them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use harness::eventually_blocking;
use serde_json::{Value, json};
use swr_simulator::Keys;

use crate::canary::{Canary, Hashes, Login};
use crate::cloud::{Cloud, PATIENCE};
use crate::cluster::{Asked, Audit, Cluster, OPERATOR, Refused};
use crate::manifest::{self, API_VERSION, uid_in_tag};

/// Logs of the operators that have served a bed, the newest last.
pub(crate) type Logs = Arc<Mutex<Vec<PathBuf>>>;

/// Namespace, account and region bear the site's name.
pub(crate) struct Site {
    pub(crate) name: String,
    pub(crate) cluster: &'static Cluster,
    pub(crate) cloud: Cloud,
    /// What operators asked about this namespace since the bed was made.
    pub(crate) audit: Audit,
    pub(crate) keys: Keys,
    canaries: Mutex<Vec<Canary>>,
    logins: Mutex<Vec<Login>>,
    logs: Logs,
}

impl Site {
    pub(crate) fn start(cluster: &'static Cluster, name: &str, logs: Logs) -> Self {
        let canary = Canary::hatch();
        let keys = Keys {
            access_key: canary.key(),
            secret_key: canary.secret(),
            security_token: None,
        };
        let instances = ["one", "two"].map(|number| format!("{name}-{number}"));
        let project = format!("project-of-{name}");
        let site = Self {
            name: name.to_owned(),
            cluster,
            cloud: Cloud::start(name, &project, instances, keys.clone()),
            audit: cluster.audit(),
            keys,
            canaries: Mutex::new(vec![canary]),
            logins: Mutex::default(),
            logs,
        };
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name},
        });
        cluster
            .create("/api/v1/namespaces", &namespace)
            .expect("a namespace of its own");
        site.put_account_secret(&site.keys);
        cluster
            .create(ACCOUNTS, &site.account())
            .expect("an account of its own");
        site
    }

    // --- Things to remember and to find again.

    fn locked(&self) -> std::sync::MutexGuard<'_, Vec<Canary>> {
        self.canaries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A secret that must not turn up anywhere.
    pub(crate) fn canary(&self) -> Canary {
        let canary = Canary::hatch();
        self.locked().push(canary.clone());
        canary
    }

    pub(crate) fn login(&self) -> Login {
        let login = Login {
            access_key: self.canary().user(),
            access_secret: self.canary().secret(),
        };
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        logins.push(login.clone());
        login
    }

    /// The hashes that anybody could make of the secrets of this site.
    pub(crate) fn add_hashes(&self, hashes: &mut Hashes) {
        for canary in self.locked().iter() {
            for secret in [canary.secret(), canary.user(), canary.key()] {
                hashes.add(&secret);
            }
        }
        hashes.add_login(&self.keys.access_key, &self.keys.secret_key);
        for login in self
            .logins
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            hashes.add_login(&login.access_key, &login.access_secret);
        }
        for secret in self.cloud.issued_secrets() {
            hashes.add(&secret);
        }
    }

    /// The secrets of this site in every form in which they may turn up, each with what it is.
    pub(crate) fn forbidden(&self) -> Vec<(String, String)> {
        let canaries = self.locked();
        let forms = canaries.iter().flat_map(Canary::forms);
        let forms = forms.map(|(form, text)| (format!("a secret of {}, {form},", self.name), text));
        let issued = self.cloud.issued_secrets().into_iter();
        let issued = issued.map(|secret| (format!("what {} issued", self.name), secret));
        forms.chain(issued).collect()
    }

    /// Panics when a secret of this site stands in `text`, which is short.
    pub(crate) fn assert_keeps_secrets(&self, what: &str, text: &str) {
        let forbidden = self.forbidden().into_iter();
        let shown = forbidden.filter(|(_, form)| text.contains(form.as_str()));
        let shown: Vec<String> = shown.map(|(is, _)| is).collect();
        assert_eq!(shown, Vec::<String>::new(), "in {what}:\n{text}");
    }

    /// What the operator has logged about this site, over all its starts.
    pub(crate) fn log(&self) -> String {
        self.logs().concat()
    }

    /// The same, one for each process.
    pub(crate) fn logs(&self) -> Vec<String> {
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.iter()
            .map(|path| std::fs::read(path).unwrap_or_default())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect()
    }

    // --- The account.

    /// The account with a grant for everything.
    pub(crate) fn account(&self) -> Value {
        json!({
            "apiVersion": API_VERSION,
            "kind": "SwrAccount",
            "metadata": {"name": self.name},
            "spec": {
                "region": self.cloud.region,
                "projectId": self.cloud.project,
                "auth": {"accessKeySecretRef": {"name": self.name}},
                "limits": {"requestsPerSecond": 500, "burst": 500, "inFlight": 16},
                "grants": [{
                    "namespaces": ["*"],
                    "instances": ["*"],
                    "targets": {"hosts": ["*"], "addresses": ["*"], "instances": ["*"]},
                }],
            },
        })
    }

    pub(crate) fn patch_account(&self, patch: &Value) {
        self.cluster
            .patch(&format!("{ACCOUNTS}/{}", self.name), patch)
            .expect("the account is patched");
    }

    /// An administrator lets deletions pass the mass-deletion guard until then.
    pub(crate) fn allow_deletions_until(&self, until: &Value) {
        let annotation = "swr.huaweicloud.com/allow-deletions-until";
        self.patch_account(&json!({"metadata": {"annotations": {annotation: until}}}));
    }

    /// The same for the rest of the test.
    pub(crate) fn allow_deletions(&self) {
        self.allow_deletions_until(&json!("2199-01-01T00:00:00Z"));
    }

    /// Waits for a state of the account's `Ready`; the condition's message.
    pub(crate) fn await_account(&self, wanted: &str) -> String {
        eventually_blocking(
            PATIENCE,
            &format!("account {}: {wanted}", self.name),
            || {
                let account = self.account_now();
                let is_fresh =
                    account["status"]["observedGeneration"] == account["metadata"]["generation"];
                if is_fresh && state(&account, "Ready") == wanted {
                    let message = condition(&account, "Ready")["message"].as_str();
                    Ok(message.unwrap_or_default().to_owned())
                } else {
                    Err(shown(&account))
                }
            },
        )
    }

    /// Waits for a state of the account's `Ready` with exactly this message.
    pub(crate) fn await_account_saying(&self, wanted: &str, message: &str) {
        self.await_other_account(&self.name, wanted, message);
    }

    /// The same for another account of this site.
    pub(crate) fn await_other_account(&self, name: &str, wanted: &str, message: &str) {
        let what = format!("account {name}: {wanted}: {message}");
        eventually_blocking(PATIENCE, &what, || {
            let account = self.cluster.get(&format!("{ACCOUNTS}/{name}"));
            let account = account.unwrap_or_default();
            let said = &condition(&account, "Ready")["message"];
            if state(&account, "Ready") == wanted && said == message {
                Ok(())
            } else {
                Err(shown(&account))
            }
        });
    }

    /// The account as it is.
    pub(crate) fn account_now(&self) -> Value {
        self.cluster
            .get(&format!("{ACCOUNTS}/{}", self.name))
            .unwrap_or_default()
    }

    pub(crate) fn create_account(&self, account: &Value) {
        self.cluster
            .create(ACCOUNTS, account)
            .expect("the account is created");
    }

    /// A change that means nothing, so that the operator looks at the account at once.
    pub(crate) fn touch_account(&self) {
        let generation = self.account_now()["metadata"]["generation"].as_i64();
        let burst = 500 + generation.unwrap_or_default();
        self.patch_account(&json!({"spec": {"limits": {"burst": burst}}}));
    }

    pub(crate) fn put_account_secret(&self, keys: &Keys) {
        self.put_account_content(
            &json!({"accessKey": keys.access_key, "secretKey": keys.secret_key}),
        );
    }

    pub(crate) fn put_account_content(&self, data: &Value) {
        self.put_secret_in(OPERATOR, &self.name, &json!({"stringData": data}));
    }

    pub(crate) fn delete_account_secret(&self) {
        self.cluster
            .delete(&secret_path(OPERATOR, &self.name))
            .expect("the account's Secret is deleted");
    }

    /// Deletes the account and takes its finalizers off, as an administrator does who does not care for the
    /// objects that name it.
    pub(crate) fn delete_account(&self) {
        self.ask_to_delete_account();
        let path = format!("{ACCOUNTS}/{}", self.name);
        // It may have none, and is gone then.
        let finalizers = json!({"metadata": {"finalizers": null}});
        let _ = self.cluster.patch(&path, &finalizers);
    }

    /// Deletes the account, which stays while objects name it.
    pub(crate) fn ask_to_delete_account(&self) {
        self.cluster
            .delete(&format!("{ACCOUNTS}/{}", self.name))
            .expect("the account is deleted");
    }

    // --- Secrets of the namespace.

    /// Creates or replaces a Secret; `content` has `stringData` or `data`, and maybe `type`.
    pub(crate) fn put_secret(&self, name: &str, content: &Value) {
        self.put_secret_in(&self.name, name, content);
    }

    fn put_secret_in(&self, namespace: &str, name: &str, content: &Value) {
        let path = secret_path(namespace, name);
        let mut secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace},
        });
        for (field, value) in content.as_object().expect("an object") {
            secret[field] = value.clone();
        }
        if self.cluster.get(&path).is_some() {
            self.cluster.delete(&path).expect("the Secret is replaced");
        }
        self.cluster
            .create(&format!("/api/v1/namespaces/{namespace}/secrets"), &secret)
            .expect("a Secret");
    }

    pub(crate) fn put_login(&self, name: &str, login: &Login) {
        let secret = manifest::secret(&self.name, name, login);
        self.put_secret(name, &json!({"stringData": secret["stringData"]}));
    }

    pub(crate) fn delete_secret(&self, name: &str) {
        self.cluster
            .delete(&secret_path(&self.name, name))
            .expect("the Secret is deleted");
    }

    // --- Objects.

    /// An object of this site in its first instance, with every field that the type allows.
    pub(crate) fn registry(&self, name: &str, kind: &str) -> Value {
        manifest::registry(&self.name, &self.name, &self.cloud.instances[0], name, kind)
    }

    pub(crate) fn objects_path(&self) -> String {
        format!(
            "/apis/{API_VERSION}/namespaces/{}/replicationregistries",
            self.name
        )
    }

    pub(crate) fn object_path(&self, name: &str) -> String {
        format!("{}/{name}", self.objects_path())
    }

    pub(crate) fn create(&self, object: &Value) -> Value {
        self.cluster
            .create(&self.objects_path(), object)
            .unwrap_or_else(|refused| panic!("{refused}: {object}"))
    }

    /// An object of type `swr-pro` with its Secret, created and Ready.
    pub(crate) fn ready(&self, name: &str) -> Value {
        self.ready_with(self.registry(name, "swr-pro")).0
    }

    /// The same for any object; with its login.
    pub(crate) fn ready_with(&self, object: Value) -> (Value, Login) {
        let login = self.login();
        let name = name_of(&object).to_owned();
        self.put_login(secret_of(&object), &login);
        self.create(&object);
        (self.await_ready(&name), login)
    }

    /// A merge patch of the object.
    pub(crate) fn patch(&self, name: &str, patch: &Value) -> Value {
        self.try_patch(name, patch)
            .unwrap_or_else(|refused| panic!("{name}: {refused}: {patch}"))
    }

    pub(crate) fn try_patch(&self, name: &str, patch: &Value) -> Result<Value, Refused> {
        self.cluster.patch(&self.object_path(name), patch)
    }

    /// A merge patch of the status by an administrator, as `kubectl patch --subresource=status` makes it: what another
    /// process wrote, or what somebody put back.
    pub(crate) fn patch_status(&self, name: &str, status: &Value) {
        let path = format!("{}/status", self.object_path(name));
        self.cluster
            .patch(&path, &json!({"status": status}))
            .unwrap_or_else(|refused| panic!("{name}: {refused}: {status}"));
    }

    pub(crate) fn delete(&self, name: &str) {
        self.cluster
            .delete(&self.object_path(name))
            .unwrap_or_else(|refused| panic!("{name}: {refused}"));
    }

    /// Asks for a look now, as `kubectl annotate` does.
    pub(crate) fn request(&self, name: &str, at: &str) {
        self.patch(
            name,
            &json!({"metadata": {"annotations": {"swr.huaweicloud.com/requestedAt": at}}}),
        );
    }

    pub(crate) fn try_object(&self, name: &str) -> Option<Value> {
        let object = self.cluster.get(&self.object_path(name))?;
        self.assert_keeps_secrets(&format!("object {name}"), &object.to_string());
        Some(object)
    }

    pub(crate) fn object(&self, name: &str) -> Value {
        self.try_object(name)
            .unwrap_or_else(|| panic!("object {name} is gone"))
    }

    pub(crate) fn objects(&self) -> Vec<Value> {
        self.cluster.list(&self.objects_path())
    }

    /// Waits until the status speaks of the present spec and shows `wanted`.
    pub(crate) fn await_status(
        &self,
        name: &str,
        wanted: &str,
        is: impl Fn(&Value) -> bool,
    ) -> Value {
        self.await_status_within(PATIENCE, name, wanted, is)
    }

    pub(crate) fn await_status_within(
        &self,
        deadline: Duration,
        name: &str,
        wanted: &str,
        is: impl Fn(&Value) -> bool,
    ) -> Value {
        eventually_blocking(deadline, &format!("{name}: {wanted}"), || {
            let object = self.object(name);
            let is_fresh =
                object["status"]["observedGeneration"] == object["metadata"]["generation"];
            if is_fresh && is(&object) {
                Ok(object)
            } else {
                Err(shown(&object))
            }
        })
    }

    pub(crate) fn await_ready(&self, name: &str) -> Value {
        self.await_ready_within(PATIENCE, name)
    }

    pub(crate) fn await_ready_within(&self, deadline: Duration, name: &str) -> Value {
        self.await_status_within(deadline, name, "Ready", |object| {
            state(object, "Ready") == "True Available"
                && state(object, "Synced") == "True Available"
                && object["status"]["createIntent"].is_null()
        })
    }

    /// Waits until the registry was sent once more than `before` says, and is Ready.
    pub(crate) fn await_sent_after(&self, name: &str, before: &Value) -> Value {
        let sent_at = &before["status"]["credential"]["sentAt"];
        self.await_status(name, "sent again and Ready", |object| {
            object["status"]["credential"]["sentAt"] != *sent_at
                && state(object, "Ready") == "True Available"
        })
    }

    /// Waits for a state of `Ready` such as `False Conflict`; the object and the condition's message.
    pub(crate) fn await_state(&self, name: &str, wanted: &str) -> (Value, String) {
        let object = self.await_status(name, &format!("Ready={wanted}"), |object| {
            state(object, "Ready") == wanted
        });
        let message = condition(&object, "Ready")["message"].clone();
        (object, message.as_str().unwrap_or_default().to_owned())
    }

    /// Waits for a state of `Ready` with exactly this message.
    pub(crate) fn await_saying(&self, name: &str, wanted: &str, message: &str) -> Value {
        self.await_status(name, &format!("Ready={wanted}: {message}"), |object| {
            state(object, "Ready") == wanted && condition(object, "Ready")["message"] == message
        })
    }

    /// Waits for a state of `Synced`, whatever `Ready` says meanwhile.
    pub(crate) fn await_synced(&self, name: &str, wanted: &str) -> (Value, String) {
        let object = self.await_status(name, &format!("Synced={wanted}"), |object| {
            state(object, "Synced") == wanted
        });
        let message = condition(&object, "Synced")["message"].clone();
        (object, message.as_str().unwrap_or_default().to_owned())
    }

    pub(crate) fn await_gone(&self, name: &str) {
        eventually_blocking(PATIENCE, &format!("the end of {name}"), || {
            match self.try_object(name) {
                None => Ok(()),
                Some(object) => Err(shown(&object)),
            }
        });
    }

    /// Waits for so many answered or unanswered writes after a mark.
    pub(crate) fn await_writes(&self, mark: u64, n: usize) -> Vec<String> {
        eventually_blocking(PATIENCE, &format!("{n} writes to SWR"), || {
            let writes = self.cloud.writes(mark);
            if writes.len() >= n {
                Ok(writes)
            } else {
                Err(format!("{writes:?}"))
            }
        })
    }

    /// Waits until SWR has got a request of this operation after a mark, answered or not.
    pub(crate) fn await_asked(&self, mark: u64, operation: &str) {
        eventually_blocking(PATIENCE, operation, || {
            if self.cloud.asked(mark, operation).is_empty() {
                Err("not asked yet")
            } else {
                Ok(())
            }
        });
    }

    /// What an instance holds with the tag of this object.
    pub(crate) fn tagged(&self, instance: &str, object: &Value) -> Vec<Value> {
        let uid = uid_in_tag(object["metadata"]["uid"].as_str().expect("a uid"));
        let mut held = self.cloud.registries(instance);
        held.retain(|registry| {
            let description = registry["description"].as_str().unwrap_or_default();
            description.contains(&format!("/{uid}/"))
        });
        held
    }

    /// Somebody copies a registry in the console, tag included, under another name; the copy's id and how it looks.
    pub(crate) fn clone_of(&self, registry: &Value, name: &str) -> (i64, Value) {
        let instance = &self.cloud.instances[0];
        let mut copy = registry.clone();
        copy["name"] = json!(name);
        let id = self.cloud.console_create(instance, &copy);
        (id, self.cloud.registry(instance, id).expect("it is there"))
    }

    /// What SWR holds for an object.
    pub(crate) fn held(&self, object: &Value) -> Value {
        let instance = object["spec"]["instanceId"].as_str().unwrap_or_default();
        let id = registry_id(object);
        self.cloud
            .registry(instance, id)
            .unwrap_or_else(|| panic!("registry {id} is gone"))
    }

    /// Somebody makes a registry by hand in the first instance; its id and how it looks.
    pub(crate) fn foreign(&self, name: &str, description: &str) -> (i64, Value) {
        let instance = &self.cloud.instances[0];
        let id = self.cloud.console_create(
            instance,
            &json!({
                "name": name,
                "description": description,
                "type": "swr-pro",
                "url": "https://theirs.example.com",
                "credential": {"type": "basic", "access_key": "theirs", "access_secret": "theirs too"},
                "insecure": false,
            }),
        );
        (id, self.cloud.registry(instance, id).expect("it is there"))
    }

    /// What somebody made by hand is as it was.
    pub(crate) fn assert_untouched(&self, id: i64, before: &Value) {
        let after = self.cloud.registry(&self.cloud.instances[0], id);
        assert_eq!(after.as_ref(), Some(before), "theirs is as it was");
    }

    /// Three polls of the first instance, after which nothing may have been written anywhere since `mark` and `audit`.
    pub(crate) fn assert_rests(&self, mark: u64, audit: &Audit) {
        self.cloud.await_lists(&self.cloud.instances[0], 3);
        assert_eq!(self.cloud.writes(mark), Vec::<String>::new());
        let writes: Vec<String> = self
            .kubernetes_writes(audit)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(writes, Vec::<String>::new());
    }

    /// What `kubectl describe` shows under Events, oldest first: object, type, reason, note, and how often if more than
    /// once.
    pub(crate) fn events(&self) -> Vec<String> {
        let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events", self.name);
        let mut events = self.cluster.list(&path);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        events.retain(|event| event["regarding"]["kind"] == "ReplicationRegistry");
        events.sort_by_key(|event| text(&event["eventTime"]));
        let line = |event: &Value| {
            let times = match event["series"]["count"].as_i64() {
                Some(count) => format!(" (x{count})"),
                None => String::new(),
            };
            format!(
                "{} {} {}: {}{times}",
                text(&event["regarding"]["name"]),
                text(&event["type"]),
                text(&event["reason"]),
                text(&event["note"]),
            )
        };
        events.iter().map(line).collect()
    }

    /// Waits until an event of this reason has happened so often; more is a failure.
    pub(crate) fn await_events(&self, reason: &str, n: usize) {
        let what = format!("{n} events {reason} in {}", self.name);
        let seen = eventually_blocking(PATIENCE, &what, || {
            let part = format!(" {reason}: ");
            let events = self.events();
            let of_reason = events.iter().filter(|event| event.contains(&part));
            let found: usize = of_reason.map(|event| times(event)).sum();
            if found >= n {
                Ok(found)
            } else {
                Err(format!("{found} of them: {events:?}"))
            }
        });
        assert_eq!(seen, n, "{what}");
    }

    /// Writes of the operator to this namespace, events apart.
    pub(crate) fn kubernetes_writes(&self, audit: &Audit) -> Vec<Asked> {
        let mut asked = audit.in_namespace(&self.name);
        asked.retain(|asked| asked.is_write() && asked.resource != "events");
        asked
    }

    // --- For whoever reads a failure.

    /// Objects, journal and the part of the log that speaks of this site.
    pub(crate) fn report(&self) -> String {
        let yaml = |value: &Value| serde_saphyr::to_string(value).unwrap_or_default();
        let (ready, others): (Vec<Value>, Vec<Value>) = self
            .objects()
            .into_iter()
            .partition(|object| state(object, "Ready") == "True Available");
        let objects: Vec<String> = others
            .into_iter()
            .chain(ready)
            .take(OBJECTS_SHOWN_MAX)
            .map(|mut object| {
                object["metadata"]["managedFields"] = Value::Null;
                yaml(&object)
            })
            .collect();
        let log = self.log();
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| line.contains(&self.name) || !line.starts_with('{'))
            .collect();
        let skipped = lines.len().saturating_sub(80);
        format!(
            "=== {name}: objects\n{objects}\n=== {name}: account\n{account}\n=== {name}: journal\n{journal}\n=== {name}: operator's log\n({skipped} lines before)\n{log}",
            name = self.name,
            objects = objects.join("---\n"),
            account = yaml(&self.account_now()["status"]),
            journal = self.cloud.shown(),
            log = lines[skipped..].join("\n"),
        )
    }
}

/// How often an event happened, from its line in [`Site::events`].
fn times(event: &str) -> usize {
    let counted = event
        .strip_suffix(')')
        .and_then(|line| line.rsplit_once(" (x"));
    counted.map_or(1, |(_, count)| count.parse().expect("a number"))
}

/// A page or two; those that are not Ready come first.
const OBJECTS_SHOWN_MAX: usize = 8;

const ACCOUNTS: &str = "/apis/swr.huaweicloud.com/v1alpha1/swraccounts";

fn secret_path(namespace: &str, name: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets/{name}")
}

pub(crate) fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn secret_of(object: &Value) -> &str {
    object["spec"]["credentialSecretRef"]["name"]
        .as_str()
        .unwrap_or_default()
}

/// # Panics
/// When the status names none.
pub(crate) fn registry_id(object: &Value) -> i64 {
    object["status"]["registryId"]
        .as_i64()
        .unwrap_or_else(|| panic!("no registry id: {}", shown(object)))
}

pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    object["status"]["conditions"]
        .as_array()
        .and_then(|conditions| {
            conditions
                .iter()
                .find(|condition| condition["type"] == kind)
        })
        .unwrap_or(&Value::Null)
}

/// Status and reason of a condition: `False Conflict`.
pub(crate) fn state(object: &Value, kind: &str) -> String {
    let condition = condition(object, kind);
    let word = |field: &str| condition[field].as_str().unwrap_or("-").to_owned();
    format!("{} {}", word("status"), word("reason"))
}

/// All conditions in one line each.
pub(crate) fn shown(object: &Value) -> String {
    let conditions = object["status"]["conditions"].as_array();
    let lines = conditions.into_iter().flatten().map(|condition| {
        let kind = condition["type"].as_str().unwrap_or_default();
        let message = condition["message"].as_str().unwrap_or_default();
        format!("{kind}={}: {message}", state(object, kind))
    });
    format!(
        "generation {} seen {}: {}",
        object["metadata"]["generation"],
        object["status"]["observedGeneration"],
        lines.collect::<Vec<_>>().join("; ")
    )
}
