//! What strikes a process before it asks, and what people do.

use super::{Crashed, Fault, Run, SignedDuration, later, split};
use crate::matrix::workloads::{Act, foreign, spec};

impl Run {
    pub(super) fn strike(&mut self, fault: Fault, name: &str) -> Result<Option<Fault>, Crashed> {
        let hour = SignedDuration::from_hours(1);
        if fault == Fault::CrashBefore {
            return Err(Crashed);
        }
        if fault == Fault::CrashClockAhead {
            self.skew = hour;
            return Err(Crashed);
        }
        if fault == Fault::CrashClockBehind {
            self.skew = -hour;
            return Err(Crashed);
        }
        if fault == Fault::Stopped {
            self.now = later(self.now, 300);
            self.land();
        } else if fault == Fault::OtherWriter {
            self.cluster.touch(name);
        } else if fault == Fault::UserEdits {
            self.cluster.edit(name, |spec| {
                spec["description"] = "edited meanwhile".into();
            });
        } else if fault == Fault::UserDeletes {
            self.cluster.delete(name);
        } else if fault == Fault::SecretRotates {
            if self.cluster.secret.is_some() {
                self.cluster.rotate();
            }
        } else if fault == Fault::ConsoleEdits {
            if let Some(id) = self.registry_of(name) {
                let edit = |held: &mut serde_json::Value| {
                    held["url"] = "https://meanwhile.example.com".into();
                };
                self.cloud.console_edit(id, edit, self.now);
            }
        } else if fault == Fault::ConsoleDeletes {
            if let Some(id) = self.registry_of(name) {
                self.cloud.console_delete(id, self.now);
            }
        } else {
            return Ok(Some(fault));
        }
        Ok(None)
    }

    /// The registry that carries an object's tag and is no copy.
    fn registry_of(&self, name: &str) -> Option<i64> {
        let owner = self.owner(self.cluster.object(name)?);
        let truth = self.cloud.truth(self.now);
        let ours = truth.iter().filter(|held| {
            let description = held["description"].as_str().unwrap_or_default();
            split(description).1 == Some(owner.tag())
        });
        let ids = ours.filter_map(|held| held["id"].as_i64());
        ids.into_iter().min()
    }

    /// What somebody does.
    pub(super) fn act(&mut self, act: Act) {
        self.disturbed_at = self.now;
        self.note(|| "-- somebody acts".to_owned());
        let now = self.now;
        match act {
            Act::Create(name, edit) => {
                let mut spec = spec();
                edit(&mut spec);
                self.cluster.create(name, spec);
            }
            Act::Edit(name, edit) => self.cluster.edit(name, edit),
            Act::Delete(name) => self.cluster.delete(name),
            Act::Restore(name, keeps_status) => {
                self.is_sure = false;
                let before = self.cluster.object(name).map(|object| object.uid.clone());
                self.let_go.extend(before);
                self.cluster.restore(name, keeps_status);
            }
            Act::Note(name) => {
                let object = self.cluster.object(name);
                self.noted = object.map(|object| object.status.clone());
            }
            Act::RestoreStatus(name) => {
                self.is_sure = false;
                if let Some(status) = self.noted.take() {
                    let object = self.cluster.object(name);
                    // Deleted before it was looked at, it takes its own registry for a copy of the one that the
                    // older status names, and leaves it alone: a known limit.
                    let other = object.filter(|it| it.status.registry_id != status.registry_id);
                    let uid = other.filter(|_| status.registry_id.is_some());
                    self.let_go.extend(uid.map(|object| object.uid.clone()));
                    self.cluster.restore_status(name, status);
                }
                self.restart();
            }
            Act::Rotate => self.cluster.rotate(),
            Act::RemoveSecret => self.cluster.secret = None,
            Act::Foreign(edit) => {
                let mut body = foreign();
                edit(&mut body);
                self.cloud.console_create(&body, now);
            }
            Act::ConsoleEdit(name, edit) => {
                if let Some(id) = self.registry_of(name) {
                    self.cloud.console_edit(id, edit, now);
                }
            }
            Act::ConsoleDelete(name) => {
                if let Some(id) = self.registry_of(name) {
                    self.cloud.console_delete(id, now);
                }
            }
            Act::ConsoleStrip(name) => {
                if let Some(id) = self.registry_of(name) {
                    self.cloud.of_console.insert(id);
                    let strip = |held: &mut serde_json::Value| held["description"] = "".into();
                    self.cloud.console_edit(id, strip, now);
                }
            }
            Act::ConsoleCopy(name) => {
                let id = self.registry_of(name);
                let truth = self.cloud.truth(now);
                let held = truth.into_iter().find(|held| held["id"].as_i64() == id);
                if let Some(mut copy) = held {
                    for field in ["id", "status", "created_at", "updated_at"] {
                        copy.as_object_mut().expect("a registry").remove(field);
                    }
                    copy["name"] = "a-copy".into();
                    self.cloud.console_create(&copy, now);
                }
            }
            Act::ForeignGoes => {
                let made = |id: &i64| self.cloud.made_for.contains_key(id);
                let truth = self.cloud.truth(now);
                let ids = truth.iter().filter_map(|held| held["id"].as_i64());
                for id in ids.filter(|id| !made(id)).collect::<Vec<_>>() {
                    self.cloud.console_delete(id, now);
                }
            }
            Act::Uses(name, uses) => {
                if let Some(id) = self.registry_of(name) {
                    self.cloud.uses(id, uses);
                }
            }
            Act::StartReading(read_only) => {
                self.is_sure = false;
                self.read_only = read_only;
                self.restart();
            }
        }
    }
}
