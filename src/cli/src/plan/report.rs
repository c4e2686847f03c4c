//! Previews -> the plan as a value: what JSON, YAML and people read. Its schema is committed as
//! docs/schemas/plan.json.

use schemars::JsonSchema;
use serde::Serialize;
use swr_operator_clock as clock;
use swr_operator_core::diff::{Changes, Field, fields};
use swr_operator_core::effect::RegistryWrite;
use swr_operator_core::observed::Record;
use swr_operator_core::plan::Foreign;
use swr_operator_core::preview::{Preview, What, Write};
use swr_operator_core::reconcile::{Removed, Windows};
use swr_operator_core::status;
use swr_operator_core::summary::{Blocker, Summary, Verdict};

use super::subject::Subject;
use crate::cloud;

/// The operator's defaults. A plan waits for none of them; it only says how long the operator would.
pub(super) const WINDOWS: Windows = Windows {
    settle_secs: 120,
    write_secs: 20,
    grace_secs: 300,
    poll_secs: 600,
    orphan_secs: 600,
};

/// The result of `plan`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Report {
    /// Version of this format: the first number changes when a field goes or means something else.
    format_version: &'static str,
    /// One entry per object, by namespace and name.
    pub(super) objects: Vec<Planned>,
    /// How many objects of each action.
    pub(super) summary: Totals,
    /// What limits the plan as a whole.
    pub(super) notes: Vec<String>,
}

/// How many objects of each action.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub(super) struct Totals {
    pub(super) create: usize,
    pub(super) update: usize,
    pub(super) adopt: usize,
    pub(super) release: usize,
    pub(super) delete: usize,
    pub(super) unchanged: usize,
    pub(super) held: usize,
    pub(super) conflict: usize,
    pub(super) blocked: usize,
    pub(super) unknown: usize,
}

/// What the operator would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Action {
    /// Create the registry.
    Create,
    /// Write the whole registry, because some fields differ.
    Update,
    /// Take over a registry that is there.
    Adopt,
    /// Take the ownership tag off a registry that stays.
    Release,
    /// Delete the registry.
    Delete,
    /// Nothing: SWR is equal to the spec.
    Unchanged,
    /// Nothing: the spec, or the object's deletion, asks for none.
    Held,
    /// Nothing: a registry that is not the object's own is in the way.
    Conflict,
    /// Nothing: something has to be mended first.
    Blocked,
    /// It is not known: SWR did not say what it holds.
    Unknown,
}

/// The plan for one object.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Planned {
    /// Namespace of the object.
    pub(super) namespace: String,
    /// Name of the object.
    pub(super) name: String,
    /// The manifest that it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// Name of the SwrAccount.
    account: String,
    /// Id of the SWR instance.
    instance_id: String,
    /// What the operator would do.
    pub(super) action: Action,
    /// Id of the registry in SWR, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) registry_id: Option<i64>,
    /// Why, in one word: of a write as in the operator's audit log, else the reason of the condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// The same in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
    /// Seconds that the operator waits before it writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) wait_seconds: Option<i64>,
    /// The fields that differ, or, of what is created, all.
    pub(super) changes: Vec<Changed>,
    /// The fields that stay.
    pub(super) unchanged: Vec<Kept>,
    /// What limits the plan for this object.
    pub(super) notes: Vec<String>,
}

/// A field that differs. Of a credential only that it differs.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Changed {
    /// Path below `spec`, or `credential`.
    pub(super) field: String,
    /// What SWR holds; absent if there is no registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) observed: Option<String>,
    /// What the spec asks for.
    pub(super) desired: String,
}

/// A field that stays.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Kept {
    /// Path below `spec`, or `credential`.
    pub(super) field: String,
    /// What the spec asks for and SWR holds.
    pub(super) value: String,
}

impl Report {
    pub(super) fn new(objects: Vec<Planned>, notes: Vec<String>) -> Self {
        let mut summary = Totals::default();
        for planned in &objects {
            *(match planned.action {
                Action::Create => &mut summary.create,
                Action::Update => &mut summary.update,
                Action::Adopt => &mut summary.adopt,
                Action::Release => &mut summary.release,
                Action::Delete => &mut summary.delete,
                Action::Unchanged => &mut summary.unchanged,
                Action::Held => &mut summary.held,
                Action::Conflict => &mut summary.conflict,
                Action::Blocked => &mut summary.blocked,
                Action::Unknown => &mut summary.unknown,
            }) += 1;
        }
        Report {
            format_version: "1.0",
            objects,
            summary,
            notes,
        }
    }

    /// Whether SWR would be written.
    pub(super) fn has_changes(&self) -> bool {
        self.objects.iter().any(|it| it.action.writes())
    }

    /// Whether the operator would stop at an object.
    pub(super) fn is_stopped(&self) -> bool {
        self.summary.conflict + self.summary.blocked > 0
    }

    /// Whether everything that was asked was answered.
    pub(super) fn is_complete(&self) -> bool {
        self.summary.unknown == 0
    }

    /// `namespace/name` of each object whose registry would be written.
    pub(super) fn names_of_changed(&self) -> Vec<String> {
        let changed = self.objects.iter().filter(|it| it.action.writes());
        changed
            .map(|it| format!("{}/{}", it.namespace, it.name))
            .collect()
    }
}

impl Action {
    fn writes(self) -> bool {
        match self {
            Action::Create | Action::Update | Action::Adopt | Action::Release | Action::Delete => {
                true
            }
            Action::Unchanged
            | Action::Held
            | Action::Conflict
            | Action::Blocked
            | Action::Unknown => false,
        }
    }
}

impl Planned {
    /// The plan for one object. `not_compared` says why its credential was not compared with what SWR was sent.
    pub(super) fn new(
        subject: &Subject,
        preview: Preview,
        not_compared: Option<String>,
    ) -> Planned {
        let object = &subject.object;
        let mut planned = Planned {
            namespace: object.key.namespace.to_string(),
            name: object.key.name.to_string(),
            file: subject.file.clone(),
            account: object.scope.account.to_string(),
            instance_id: object.scope.instance.as_str().to_owned(),
            action: Action::Unknown,
            registry_id: object.status.registry_id,
            reason: None,
            message: None,
            hint: None,
            wait_seconds: None,
            changes: Vec::new(),
            unchanged: Vec::new(),
            notes: Vec::new(),
        };
        match preview {
            Preview::Writes(write) => planned.writes(subject, *write),
            Preview::Ends(summary) => planned.ends(subject, &summary),
            // It asks for the same again and again only if nothing answers.
            Preview::NeedsSecret | Preview::NeedsInventory => {}
        }
        let compares = matches!(planned.action, Action::Update | Action::Unchanged);
        planned.notes.extend(
            not_compared
                .filter(|_| compares)
                .map(|why| format!("credential is not compared: {why}")),
        );
        planned
    }

    fn writes(&mut self, subject: &Subject, write: Write) {
        self.wait_seconds = (write.in_secs > 0).then_some(write.in_secs);
        match write.what {
            What::Create(write) => {
                self.action = Action::Create;
                self.registry_id = None;
                self.reason = Some(write.why.to_string());
                if let Ok(desired) = &subject.object.desired {
                    let all = fields(&desired.registry).into_iter();
                    self.changes = all
                        .map(|(field, desired)| Changed {
                            field: field.path().to_owned(),
                            observed: None,
                            desired,
                        })
                        .collect();
                }
            }
            What::Update(target, write) => {
                self.differs(subject, Action::Update, &write, target.record());
            }
            What::Adopt(target, write) => {
                self.differs(subject, Action::Adopt, &write, target.record());
            }
            What::Untag(target, write) => {
                self.registry_id = Some(target.id().0);
                self.action = Action::Release;
                self.reason = Some(write.why.to_string());
            }
            What::Delete(target) => {
                self.registry_id = Some(target.id().0);
                self.action = Action::Delete;
                self.reason = Some("ObjectDeleted".to_owned());
            }
        }
    }

    fn differs(
        &mut self,
        subject: &Subject,
        action: Action,
        write: &RegistryWrite,
        record: &Record,
    ) {
        self.action = action;
        self.registry_id = Some(record.id.0);
        self.reason = Some(write.why.to_string());
        self.takes(&write.changes);
        let changed: Vec<Field> = write.changes.all().iter().map(|it| it.field).collect();
        self.keeps(subject, &changed, record);
    }

    /// The fields that stay, and the one of which nobody here can tell.
    fn keeps(&mut self, subject: &Subject, changed: &[Field], record: &Record) {
        let Ok(desired) = &subject.object.desired else {
            return;
        };
        // Where SWR leaves a field out, the operator compares with what it has sent.
        let is_left_out = |field: Field| match field {
            Field::DnsHosts => record.dns_hosts.is_none(),
            Field::TargetProject => record.project.is_none(),
            Field::Name
            | Field::Type
            | Field::Url
            | Field::Insecure
            | Field::Description
            | Field::TargetRegion
            | Field::TargetInstance
            | Field::Credential => false,
        };
        let is_sent_known = subject.object.status.applied.is_some();
        for (field, value) in fields(&desired.registry) {
            let path = field.path().to_owned();
            if changed.contains(&field) {
                continue;
            }
            if is_left_out(field) && !is_sent_known {
                let note = format!("{path} is not compared: SWR does not show it");
                self.notes.push(note);
            } else {
                self.unchanged.push(Kept { field: path, value });
            }
        }
    }

    fn takes(&mut self, changes: &Changes) {
        let changes = changes.all().iter();
        self.changes = changes
            .map(|change| Changed {
                field: change.field.path().to_owned(),
                observed: Some(change.observed.clone()),
                desired: change.desired.clone(),
            })
            .collect();
    }

    fn ends(&mut self, subject: &Subject, summary: &Summary) {
        let unwritten = summary.verdict.unwritten();
        if let Some(changes) = unwritten {
            self.takes(changes);
        }
        if let Some(record) = &summary.observed {
            self.registry_id = Some(record.id.0);
            let changed = unwritten.into_iter().flat_map(Changes::all);
            let changed: Vec<Field> = changed.map(|it| it.field).collect();
            self.keeps(subject, &changed, record);
        }
        self.action = action_of(&summary.verdict);
        self.hint = hint_of(&summary.verdict).map(str::to_owned);
        let said = status::said(summary, &WINDOWS, clock::now());
        let (reason, message) = match said {
            Some((reason, message)) => (Some(reason.as_str().to_owned()), Some(message)),
            None => (None, silent_end(&summary.verdict).map(str::to_owned)),
        };
        if self.action != Action::Unchanged {
            (self.reason, self.message) = (reason, message);
        }
    }
}

fn action_of(verdict: &Verdict) -> Action {
    match verdict {
        Verdict::InSync { .. } => Action::Unchanged,
        Verdict::Gone
        | Verdict::Released { .. }
        | Verdict::Suspended
        | Verdict::DriftObserved(_)
        | Verdict::MissingObserved
        | Verdict::ReadOnly(_)
        | Verdict::DeletionSuspended
        | Verdict::DeletionReadOnly
        | Verdict::DeletionProtected
        | Verdict::DeletionAwaited
        | Verdict::DeletionPaused => Action::Held,
        Verdict::Conflict(_)
        | Verdict::DuplicateTag(_)
        | Verdict::OwnershipLost
        | Verdict::TagNotKept
        | Verdict::CannotDelete(Blocker::TagNotKept | Blocker::DuplicateTag(_)) => Action::Conflict,
        Verdict::InvalidSpec(_)
        | Verdict::NoAccount(_)
        | Verdict::NotGranted(_)
        | Verdict::BindingChanged(_)
        | Verdict::NoCredential { .. }
        | Verdict::NotApplied(_)
        | Verdict::Fighting(_)
        | Verdict::CannotDelete(Blocker::Account(_)) => Action::Blocked,
        Verdict::Swr { .. }
        | Verdict::CannotDelete(Blocker::Swr { .. } | Blocker::Kubernetes)
        | Verdict::CannotUntag { .. }
        | Verdict::Stale
        | Verdict::KubernetesUnavailable
        | Verdict::KubernetesRefuses
        | Verdict::Panicked
        | Verdict::NotVisible { .. }
        | Verdict::Settling { .. }
        | Verdict::Rebuilding { .. }
        | Verdict::DeletionSettling { .. } => Action::Unknown,
    }
}

/// What a person can do, where the sentence of the condition does not say it.
fn hint_of(verdict: &Verdict) -> Option<&'static str> {
    if let Verdict::NotGranted(_) = verdict {
        return Some("ask an administrator for a grant in the SwrAccount");
    }
    if let Verdict::Swr { failure, .. } | Verdict::CannotDelete(Blocker::Swr { failure, .. }) =
        verdict
    {
        return cloud::hint_of(&failure.cause);
    }
    let Verdict::Conflict(foreign) = verdict else {
        return None;
    };
    match foreign {
        Foreign::Untagged => Some(
            "to take it over, set spec.adoption.policy to IfUnowned; else set another spec.name",
        ),
        Foreign::TaggedByOther => Some("set another spec.name"),
        Foreign::NothingToAdopt => {
            Some("look the id up in SWR, or leave spec.adoption.registryId out")
        }
        Foreign::Predecessor => None,
    }
}

/// How a deletion ends about which no condition tells any more.
fn silent_end(verdict: &Verdict) -> Option<&'static str> {
    if let Verdict::Gone = verdict {
        return Some("the object goes; the operator holds nothing of it");
    }
    let Verdict::Released { removed, .. } = verdict else {
        return None;
    };
    Some(match removed {
        Removed::Nothing => "the object goes; there is no registry in SWR",
        Removed::Deleted => "the object goes; its registry is deleted",
        Removed::Untagged => "the object goes; its registry stays without the ownership tag",
        Removed::LeftAlone => "the object goes; the registry stays as it is",
        Removed::StillTagged => "the object goes; the registry stays with the ownership tag",
    })
}
