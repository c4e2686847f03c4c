//! The closed list of reasons: one table, used for conditions, progress, events and the documents.

use std::fmt;

/// Where an object stands: nothing to wait for, on its way, or waiting for a person. There is no
/// way to be on the way and stalled at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// Nothing changes until the spec, SWR or the Secret does.
    Settled,
    /// The operator goes on by itself.
    Reconciling,
    /// A person must change something.
    Stalled,
}

/// What kind of event tells that an object got a reason, as `kubectl describe` shows it under Type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// Something was done.
    Normal,
    /// Something is wrong.
    Warning,
}

/// For the table: steps on the way are told by no event.
const SILENT: Option<EventType> = None;
const NORMAL: Option<EventType> = Some(EventType::Normal);
const WARNING: Option<EventType> = Some(EventType::Warning);

macro_rules! reasons {
    ($($name:ident, $progress:ident, $event:ident, $doc:literal;)*) => {
        /// Why a condition has its status. The words are API: programs match on them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $(#[doc = $doc] $name,)* }

        impl Reason {
            /// Every reason, in the order of the documents.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// The word that goes into the object.
            pub fn as_str(self) -> &'static str {
                match self { $(Reason::$name => stringify!($name),)* }
            }

            /// What it means and what to do, for the documents.
            pub fn doc(self) -> &'static str {
                match self { $(Reason::$name => $doc,)* }
            }

            /// Whether the object is settled, on its way or waiting for a person.
            pub fn progress(self) -> Progress {
                match self { $(Reason::$name => Progress::$progress,)* }
            }

            /// What kind of event tells of it, if any does.
            pub fn event(self) -> Option<EventType> {
                match self { $(Reason::$name => $event,)* }
            }
        }
    };
}

reasons! {
    Available, Settled, SILENT, "The registry is equal to the spec, and SWR reports it healthy, or reports no health at all.";
    Pending, Reconciling, SILENT, "No operator has seen the object yet. If this stays, the operator is not running or does not watch this namespace.";
    Progressing, Reconciling, SILENT, "The registry is being created or updated.";
    Verifying, Reconciling, SILENT, "The registry was written; the operator waits until SWR shows it equal and healthy.";
    TargetUnhealthy, Settled, WARNING, "SWR reports the target as unhealthy: check the url, the network between SWR and the target, and the credential.";
    DriftObserved, Settled, WARNING, "Mode Observe: SWR differs from the spec; `status.diff` lists the fields.";
    Suspended, Settled, NORMAL, "`spec.suspend` is true: nothing is read from or written to SWR.";
    ReadOnly, Settled, WARNING, "The operator runs with `--read-only`: the message says what it would write, and `status.diff` lists the fields. A deletion waits.";
    SecretNotFound, Reconciling, WARNING, "The Secret of `credentialSecretRef` does not exist in the object's namespace, or lacks a key. The operator continues when it appears.";
    AccountNotReady, Reconciling, WARNING, "The SwrAccount does not exist or cannot be used yet: see its own conditions.";
    ApiUnavailable, Reconciling, WARNING, "SWR cannot be reached or answers with an error that passes, or the API server does not give the Secret. The operator tries again.";
    Throttled, Reconciling, WARNING, "SWR, or `limits` of the SwrAccount, limits the rate of requests. The operator slows down and tries again.";
    ClockSkew, Reconciling, WARNING, "SWR refuses signatures because the clock of the operator's node is more than 15 minutes off.";
    AuthFailed, Reconciling, WARNING, "SWR or IAM refuses the account's credential, or there is none: see the SwrAccount's own conditions, and check what its `auth` names.";
    InstanceNotRunning, Reconciling, WARNING, "The SWR instance does not exist, or is not in state Running.";
    InvalidSpec, Stalled, WARNING, "The spec breaks a rule, or SWR refuses it as invalid: change the field that the message names.";
    InvalidSecret, Stalled, WARNING, "The Secret exists, but a key has been missing for a minute or its value is unusable: the message names key and rule, never the value.";
    Conflict, Stalled, WARNING, "A registry of this name exists in SWR and is not ours. It is left alone: choose another name, delete it, or adopt it with `spec.adoption`: `IfUnowned` takes one without a tag, `Rebuild` also the one of an earlier object of this namespace and name, as after the restore of a cluster.";
    Forbidden, Stalled, WARNING, "The account lacks a permission, and the message names the action of the SWR API; or the operator may not read the Secret or write to the object.";
    QuotaExceeded, Stalled, WARNING, "The instance holds as many registries as its quota allows.";
    NotApplied, Stalled, WARNING, "SWR accepted the update twice and still shows the old value: the message names the fields.";
    TagNotKept, Stalled, WARNING, "SWR did not keep the ownership tag in the description, so the operator cannot recognise its own registry and writes nothing more.";
    DuplicateTag, Stalled, WARNING, "Several registries carry this object's ownership tag, and the registry it created no longer exists: delete all but one in SWR, or remove the tag from their descriptions. An event with this reason reports copies while the object's own registry still exists.";
    OwnershipLost, Stalled, WARNING, "The registry's ownership tag was removed or replaced in SWR. The operator writes nothing more: restore the tag, or, where it was only removed, set `spec.adoption.policy: IfUnowned`.";
    Fighting, Stalled, WARNING, "Something else keeps changing the registry back; the operator corrected it three times within 30 minutes and now waits an hour between attempts.";
    BindingChanged, Stalled, WARNING, "The account leads to another project or region than the one in which the registry was created: restore it, or set `spec.deletionPolicy: Orphan`, delete the object and create it again.";
    NamespaceNotAllowed, Stalled, WARNING, "No grant of the SwrAccount covers this namespace.";
    InstanceNotAllowed, Stalled, WARNING, "No grant of the SwrAccount allows this namespace to use this instance.";
    TargetNotAllowed, Stalled, WARNING, "No grant of the SwrAccount allows this namespace to send images to this target.";
    InUse, Settled, NORMAL, "Of an SwrAccount that is being deleted: objects still name it. It serves them until they are gone or name another account.";
    Deleting, Reconciling, SILENT, "The object is being deleted, and the registry with it.";
    DeletionPaused, Reconciling, WARNING, "Too many objects of one SWR instance are being deleted at once, so the operator deletes nothing in SWR. An administrator lets the deletions through with an annotation of the SwrAccount, which the message names; with `spec.deletionPolicy: Orphan` the object goes and the registry stays.";
    DeletionProtected, Reconciling, WARNING, "`spec.deletionProtection` holds the deletion. It is only met where the admission policy that refuses such a deletion is not installed.";
    DeletionBlocked, Stalled, WARNING, "SWR refuses to delete the registry, for example because a replication policy uses it: remove the cause, or set `spec.deletionPolicy: Orphan`.";
    InternalError, Reconciling, WARNING, "The operator met a bug of its own while working on this object; it tries again hourly. Please report it with the log.";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
