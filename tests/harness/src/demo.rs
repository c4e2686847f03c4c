//! The story that `cargo dev demo` tells: seven chapters, each an act, what kubectl shows after it, and what SWR saw.
//! A chapter that goes otherwise than told is an error, so the demo is a test, too.

#![expect(clippy::print_stdout, reason = "the story is what the reader came for")]

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{IsTerminal, stdout};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bed::{Bed, INSTANCE_IDS, OperatorPlan, Plan, Windows};
use crate::kubectl::{apply, kubectl, kubectl_stdout};
use crate::process::seconds_since;
use crate::simulator::Request;
use crate::wait::{Look, until};
use crate::{Error, environment};

/// Twice the settle time and some polls: what a crash of the operator in the middle of a chapter would cost.
const CHAPTER: Duration = Duration::from_mins(1);

/// Short, because a reader waits for each poll. The settle time must be twice the write deadline of 3 s.
const READERS: Windows = Windows {
    poll_interval: "5s",
    settle: "6s",
};

const FOREIGN: &str = "somebody-elses";

/// A bed in which the operator looks often.
pub fn plan(install: PathBuf) -> Plan {
    Plan {
        operator: Some(OperatorPlan {
            windows: READERS,
            args: Vec::new(),
        }),
        install,
    }
}

/// Tells the story once.
pub fn tell(bed: &Bed) -> Result<(), Error> {
    let samples = environment::checkout().join("deploy/samples");
    println!("\nA real Kubernetes API server, a simulated SWR, and the operator as it ships.");
    let mut story = Story { bed, n_chapters: 0 };
    let told = story.tell(&samples);
    if let (Err(_), Some(operator)) = (&told, &bed.operator) {
        println!(
            "\nThe story ends here. The operator's log: {}",
            operator.log_path().display()
        );
    }
    told
}

/// Leaves the reader with the samples in place and says how to reach them.
pub fn stay_up(bed: &Bed) -> Result<(), Error> {
    let samples = environment::checkout().join("deploy/samples");
    apply_samples(bed, &samples)?;
    let story = Story { bed, n_chapters: 0 };
    until(CHAPTER, "the samples ready again", || {
        story.all_ready_or_seen()
    })?;
    println!("\nThe samples are back, and everything stays up until Ctrl-C. In another terminal:");
    println!("   source target/dev/env");
    println!("   kubectl get rreg --all-namespaces");
    println!("   swr-operator plan --all-namespaces");
    println!("   curl \"$SWR_SIMULATOR/_simulator/registries?instance=${{SWR_INSTANCE_IDS%%,*}}\"");
    Ok(())
}

/// One ReplicationRegistry as the API server has it.
struct Object(Value);

impl Object {
    fn text(&self, pointer: &str) -> &str {
        self.0
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }

    fn kind(&self) -> &str {
        self.text("/spec/type")
    }

    fn instance_id(&self) -> &str {
        self.text("/spec/instanceId")
    }

    fn secret_name(&self) -> &str {
        self.text("/spec/credentialSecretRef/name")
    }

    fn registry_id(&self) -> Option<i64> {
        self.0["status"]["registryId"].as_i64()
    }

    /// `PUT registries/3`
    fn write(&self, method: &str) -> String {
        self.registry_id().map_or_else(
            || format!("{method} registries/?"),
            |id| format!("{method} registries/{id}"),
        )
    }

    fn ready(&self) -> Option<&Value> {
        let conditions = self.0["status"]["conditions"].as_array()?;
        conditions
            .iter()
            .find(|condition| condition["type"] == "Ready")
    }

    /// Ready, and for the generation that is there.
    fn is_ready(&self) -> bool {
        self.ready().is_some_and(|ready| ready["status"] == "True")
            && self.0["status"]["observedGeneration"] == self.0["metadata"]["generation"]
    }

    /// `harbor-dr: False, Conflict: a registry of this name ...`
    fn shown(&self) -> String {
        let ready = self.ready().unwrap_or(&Value::Null);
        let word = |field: &str| ready[field].as_str().unwrap_or("none").to_owned();
        format!(
            "{}: {}, {}: {}",
            self.name(),
            word("status"),
            word("reason"),
            word("message")
        )
    }
}

struct Story<'a> {
    bed: &'a Bed,
    n_chapters: usize,
}

impl Story<'_> {
    fn tell(&mut self, samples: &Path) -> Result<(), Error> {
        self.planned(samples)?;
        self.declared(samples)?;
        let objects = self.objects()?;
        self.edited_here(of_type(&objects, "huawei-SWR")?)?;
        self.edited_there(of_type(&objects, "swr-pro")?)?;
        self.rotated(of_type(&objects, "swr-pro-internal")?, &objects)?;
        self.foreign(of_type(&objects, "swr-pro")?)?;
        self.deleted(&objects)
    }

    fn planned(&mut self, samples: &Path) -> Result<(), Error> {
        let started = self.open(
            "A plan, before anything is applied",
            "kubectl kustomize deploy/samples | swr-operator plan -f -",
        )?;
        let folder = samples.display().to_string();
        let manifests = kubectl_stdout(&self.bed.plane, &["kustomize", &folder], None)?;
        let plan = self.bed.swr_operator(&["plan", "-f", "-"], &manifests)?;
        for line in plan.lines() {
            println!("   {line}");
        }
        let n_objects = manifests.matches("\nkind: ReplicationRegistry\n").count();
        let expected =
            format!("Plan: {n_objects} to create, 0 to update, 0 to adopt, 0 to delete.");
        if !plan.contains(&expected) {
            return Err(unexpected(expected, plan));
        }
        let writes = self.writes()?;
        if !writes.is_empty() || !self.objects()?.is_empty() {
            return Err(unexpected("nothing applied and no write", list(&writes)));
        }
        let took = seconds_since(started);
        println!("\n   SWR saw: {}   ({took})", list(&writes));
        Ok(())
    }

    fn declared(&mut self, samples: &Path) -> Result<(), Error> {
        let started = self.open(
            "Three registries are declared",
            "kubectl apply --server-side -k deploy/samples",
        )?;
        apply_samples(self.bed, samples)?;
        let n_objects = self.objects()?.len();
        if n_objects < 3 {
            return Err(unexpected(
                "three ReplicationRegistry objects in deploy/samples",
                n_objects,
            ));
        }
        let writes = vec!["POST registries".to_owned(); n_objects];
        self.close(started, &writes, Self::all_ready)
    }

    fn edited_here(&mut self, object: &Object) -> Result<(), Error> {
        let text = "Edited with kubectl";
        let patch = json!({"spec": {"description": text}}).to_string();
        let typed = format!(
            "kubectl patch rreg {} --type merge -p '{patch}'",
            object.name()
        );
        let started = self.open("The spec of one is edited", &typed)?;
        self.patch(object, "rreg", object.name(), &patch)?;
        self.close(started, &[object.write("PUT")], |story| {
            story.all_ready()?;
            let registry = story.registry(object)?;
            let description = registry["description"].as_str().unwrap_or_default();
            if description.starts_with(text) {
                return Ok(());
            }
            Err(unexpected("the new description in SWR", description))
        })
    }

    fn edited_there(&mut self, object: &Object) -> Result<(), Error> {
        let act = format!(
            "{} is pointed at https://elsewhere.example.com in the console",
            object.name()
        );
        let started = self.open("Somebody edits a registry in SWR", &act)?;
        let before = self.registry(object)?;
        let url = before["url"].clone();
        let body = edited(before, "url", json!("https://elsewhere.example.com"));
        let id = object.registry_id().unwrap_or_default();
        self.bed
            .simulator
            .console_edit(object.instance_id(), id, &body)?;
        self.close(started, &[object.write("PUT")], |story| {
            story.all_ready()?;
            let seen = &story.registry(object)?["url"];
            if *seen == url {
                return Ok(());
            }
            Err(unexpected(format!("{url} in SWR again"), seen))
        })
    }

    fn rotated(&mut self, object: &Object, objects: &[Object]) -> Result<(), Error> {
        let secret_name = object.secret_name();
        let started = self.open(
            "A Secret is rotated",
            &format!("kubectl patch secret {secret_name} ..."),
        )?;
        let rotated = "a-new-secret-for-the-demo";
        let patch = json!({"stringData": {self.secret_key(object)?: rotated}}).to_string();
        self.patch(object, "secret", secret_name, &patch)?;
        // Whoever shares the Secret is sent anew, too.
        let shares = |other: &&Object| {
            other.secret_name() == secret_name && other.namespace() == object.namespace()
        };
        let writes: Vec<String> = objects
            .iter()
            .filter(shares)
            .map(|other| other.write("PUT"))
            .collect();
        self.close(started, &writes, |story| {
            story.all_ready()?;
            let registry = story.registry(object)?;
            if registry["credential"]["access_secret"] == rotated {
                return Ok(());
            }
            Err(unexpected("the new secret in SWR", "the old one"))
        })
    }

    fn foreign(&mut self, model: &Object) -> Result<(), Error> {
        let started = self.open(
            "A registry of somebody else is left alone",
            &format!("SWR already has a registry named {FOREIGN}; kubectl apply asks for one of that name"),
        )?;
        let theirs = edited(self.registry(model)?, "name", json!(FOREIGN));
        let theirs = edited(theirs, "description", json!("Made by hand in the console"));
        self.bed
            .simulator
            .console_create(model.instance_id(), &theirs)?;
        let before = self.named(model.instance_id(), FOREIGN)?;
        let mut spec = model.0["spec"].clone();
        spec["name"] = json!(FOREIGN);
        apply(
            &self.bed.plane,
            &[json!({
                "apiVersion": "swr.huaweicloud.com/v1alpha1",
                "kind": "ReplicationRegistry",
                "metadata": {"name": FOREIGN, "namespace": model.namespace()},
                "spec": spec,
            })],
        )?;
        self.close(started, &[], |story| {
            let objects = story.objects()?;
            let object = objects.iter().find(|object| object.name() == FOREIGN);
            let object = object.ok_or_else(|| unexpected("the object", "none of that name"))?;
            if object
                .ready()
                .is_none_or(|ready| ready["reason"] != "Conflict")
            {
                return Err(unexpected("reason Conflict", object.shown()));
            }
            // Looked again after the conflict was reported, and still not touched.
            story.has_polled(3)?;
            let after = story.named(model.instance_id(), FOREIGN)?;
            if after == before {
                return Ok(());
            }
            Err(unexpected("their registry as it was", "an altered one"))
        })
    }

    fn deleted(&mut self, objects: &[Object]) -> Result<(), Error> {
        let namespace = objects.first().map_or("default", Object::namespace);
        let started = self.open(
            "Everything is deleted",
            &format!("kubectl delete rreg --all --namespace {namespace}"),
        )?;
        let args = [
            "delete",
            "replicationregistries",
            "--all",
            "--namespace",
            namespace,
            "--wait=false",
        ];
        kubectl_stdout(&self.bed.plane, &args, None)?;
        let writes: Vec<String> = objects
            .iter()
            .map(|object| object.write("DELETE"))
            .collect();
        self.close(started, &writes, |story| {
            let left = story.objects()?;
            if let Some(object) = left.first() {
                return Err(unexpected("no object", object.shown()));
            }
            let mut names = Vec::new();
            for instance_id in INSTANCE_IDS {
                for registry in story.bed.simulator.registries(instance_id)? {
                    names.push(registry["name"].clone());
                }
            }
            if names == [json!(FOREIGN)] {
                return Ok(());
            }
            Err(unexpected(
                format!("only {FOREIGN} left in SWR"),
                Value::from(names),
            ))
        })?;
        println!("   {FOREIGN} is still there: it never was ours.");
        Ok(())
    }

    /// The heading and the act. What SWR is asked from here on belongs to this chapter.
    fn open(&mut self, heading: &str, act: &str) -> Result<Instant, Error> {
        self.n_chapters += 1;
        let (bold, plain) = if stdout().is_terminal() {
            ("\x1b[1m", "\x1b[0m")
        } else {
            ("", "")
        };
        println!("\n{bold}{}. {heading}{plain}", self.n_chapters);
        let prompt = if act.starts_with("kubectl") { "$ " } else { "" };
        println!("   {prompt}{act}\n");
        self.bed.simulator.clear_journal()?;
        Ok(environment::now())
    }

    /// Waits until the chapter's end is reached with exactly these writes, and shows it.
    fn close(
        &self,
        started: Instant,
        writes: &[String],
        mut reached: impl FnMut(&Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        until(CHAPTER, "the end of this chapter", || {
            let seen = match self.writes() {
                Ok(seen) => seen,
                Err(error) => return Look::NotYet(error.to_string()),
            };
            if !within(&seen, writes) {
                return Look::Hopeless(unexpected(list(writes), list(&seen)));
            }
            match reached(self) {
                Ok(()) if seen.len() == writes.len() => Look::Ready(()),
                Ok(()) => Look::NotYet(format!(
                    "SWR saw {} instead of {}",
                    list(&seen),
                    list(writes)
                )),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })?;
        let took = seconds_since(started);
        self.show_table();
        println!("\n   SWR saw: {}   ({took})", list(&self.writes()?));
        Ok(())
    }

    /// As the reader's own kubectl shows it.
    fn show_table(&self) {
        let namespace = self
            .objects()
            .ok()
            .and_then(|objects| objects.first().map(|object| object.namespace().to_owned()));
        let scope = namespace.map_or_else(
            || vec!["--all-namespaces".to_owned()],
            |name| vec!["--namespace".to_owned(), name],
        );
        let args = [vec!["get".to_owned(), "rreg".to_owned()], scope].concat();
        let output = kubectl(&self.bed.plane, &args, None);
        for text in [output.stdout, output.stderr] {
            for line in String::from_utf8_lossy(&text).lines() {
                println!("   {line}");
            }
        }
    }

    fn objects(&self) -> Result<Vec<Object>, Error> {
        let args = [
            "get",
            "replicationregistries",
            "--all-namespaces",
            "--output=json",
        ];
        let text = kubectl_stdout(&self.bed.plane, &args, None)?;
        let list: Value =
            serde_json::from_str(&text).map_err(Error::json("kubectl's list of registries"))?;
        let items = list["items"].as_array().cloned().unwrap_or_default();
        Ok(items.into_iter().map(Object).collect())
    }

    fn all_ready(&self) -> Result<(), Error> {
        let objects = self.objects()?;
        match objects.iter().find(|object| !object.is_ready()) {
            None => Ok(()),
            Some(object) => Err(unexpected("Ready=True", object.shown())),
        }
    }

    fn all_ready_or_seen(&self) -> Look<()> {
        Look::from(self.all_ready())
    }

    /// The writes of this chapter so far.
    fn writes(&self) -> Result<Vec<String>, Error> {
        let journal = self.bed.simulator.journal()?;
        Ok(journal
            .iter()
            .filter(|request| request.is_write())
            .map(Request::short)
            .collect())
    }

    fn has_polled(&self, n_lists: usize) -> Result<(), Error> {
        let journal = self.bed.simulator.journal()?;
        let seen = journal
            .iter()
            .filter(|request| request.short() == "GET registries")
            .count();
        if seen >= n_lists {
            return Ok(());
        }
        Err(unexpected(format!("{n_lists} lists"), seen))
    }

    /// What SWR holds for this object.
    fn registry(&self, object: &Object) -> Result<Value, Error> {
        let registries = self.bed.simulator.registries(object.instance_id())?;
        let id = json!(object.registry_id());
        let found = registries.into_iter().find(|registry| registry["id"] == id);
        found.ok_or_else(|| unexpected(format!("registry {id} in SWR"), "none of that id"))
    }

    fn named(&self, instance_id: &str, name: &str) -> Result<Value, Error> {
        let registries = self.bed.simulator.registries(instance_id)?;
        let found = registries
            .into_iter()
            .find(|registry| registry["name"] == name);
        found.ok_or_else(|| unexpected(format!("{name} in SWR"), "none of that name"))
    }

    /// The key of the Secret that holds the secret half.
    fn secret_key(&self, object: &Object) -> Result<String, Error> {
        let named = object.text("/spec/credentialSecretRef/keys/accessSecret");
        if !named.is_empty() {
            return Ok(named.to_owned());
        }
        let args = [
            "get",
            "secret",
            object.secret_name(),
            "--namespace",
            object.namespace(),
            "--output=jsonpath={.type}",
        ];
        let kind = kubectl_stdout(&self.bed.plane, &args, None)?;
        let key = if kind == "kubernetes.io/basic-auth" {
            "password"
        } else {
            "accessSecret"
        };
        Ok(key.to_owned())
    }

    fn patch(&self, object: &Object, kind: &str, name: &str, patch: &str) -> Result<(), Error> {
        let args = [
            "patch",
            kind,
            name,
            "--namespace",
            object.namespace(),
            "--type=merge",
            "--patch",
            patch,
        ];
        kubectl_stdout(&self.bed.plane, &args, None)?;
        Ok(())
    }
}

/// A folder of the user, with or without a kustomization.
fn apply_samples(bed: &Bed, samples: &Path) -> Result<(), Error> {
    let flag = if samples.join("kustomization.yaml").is_file() {
        "--kustomize"
    } else {
        "--filename"
    };
    let folder = samples.display().to_string();
    let args = ["apply", "--server-side", flag, &folder];
    kubectl_stdout(&bed.plane, &args, None)?;
    Ok(())
}

fn of_type<'a>(objects: &'a [Object], kind: &str) -> Result<&'a Object, Error> {
    objects
        .iter()
        .find(|object| object.kind() == kind)
        .ok_or_else(|| unexpected(format!("a sample of type {kind}"), "none"))
}

/// The whole body of an edit: what SWR holds, without what SWR itself adds, and one field changed.
fn edited(mut registry: Value, field: &str, value: Value) -> Value {
    if let Value::Object(fields) = &mut registry {
        for own in ["id", "status", "created_at", "updated_at"] {
            fields.remove(own);
        }
        fields.retain(|_, value| !value.is_null());
        fields.insert(field.to_owned(), value);
    }
    registry
}

/// Whether the seen writes are some of those expected, each as often at most.
fn within(seen: &[String], expected: &[String]) -> bool {
    let mut left = counts(expected);
    seen.iter().all(|write| match left.get_mut(write.as_str()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        Some(_) | None => false,
    })
}

/// `3 x POST registries, PUT registries/1`
fn list(writes: &[String]) -> String {
    if writes.is_empty() {
        return "no write".to_owned();
    }
    let shown: Vec<String> = counts(writes)
        .into_iter()
        .map(|(write, count)| match count {
            1 => write.to_owned(),
            _ => format!("{count} x {write}"),
        })
        .collect();
    shown.join(", ")
}

fn counts(writes: &[String]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for write in writes {
        *counts.entry(write.as_str()).or_default() += 1;
    }
    counts
}

fn unexpected(expected: impl Into<String>, seen: impl Display) -> Error {
    Error::Unexpected {
        expected: expected.into(),
        seen: format!("{seen}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_write_more_than_told_is_noticed() {
        let told = writes(&["POST registries", "POST registries"]);
        assert!(within(&[], &told));
        assert!(within(&told, &told));
        assert!(!within(
            &writes(&["POST registries", "POST registries", "POST registries"]),
            &told
        ));
        assert!(!within(&writes(&["PUT registries/1"]), &told));
    }

    #[test]
    fn equal_writes_are_counted() {
        assert_eq!(list(&[]), "no write");
        let seen = writes(&["PUT registries/1", "POST registries", "POST registries"]);
        assert_eq!(list(&seen), "2 x POST registries, PUT registries/1");
    }

    #[test]
    fn an_edit_sends_nothing_that_swr_itself_adds() {
        let registry = json!({"id": 1, "name": "a", "status": "healthy", "dns_conf": null, "created_at": "", "url": "b"});
        assert_eq!(
            edited(registry, "url", json!("c")),
            json!({"name": "a", "url": "c"})
        );
    }
}
