//! The closed list of reasons: one table, used for conditions, for progress and for the documents.

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

macro_rules! reasons {
    ($($name:ident, $progress:ident, $doc:literal;)*) => {
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
        }
    };
}

reasons! {
    Available, Settled, "The registry is equal to the spec, and SWR reports it healthy, or reports no health at all.";
    Pending, Reconciling, "No operator has seen the object yet. If this stays, the operator is not running or does not watch this namespace.";
    Progressing, Reconciling, "The registry is being created or updated.";
    Verifying, Reconciling, "The registry was written; the operator waits until SWR shows it equal and healthy.";
    TargetUnhealthy, Settled, "SWR reports the target as unhealthy: check the url, the network between SWR and the target, and the credential.";
    DriftObserved, Settled, "Mode Observe: SWR differs from the spec; `status.diff` lists the fields.";
    Suspended, Settled, "`spec.suspend` is true: nothing is read from or written to SWR.";
    ReadOnly, Settled, "The operator runs with `--read-only`: the message says what it would write, and `status.diff` lists the fields. A deletion waits.";
    SecretNotFound, Reconciling, "The Secret of `credentialSecretRef` does not exist in the object's namespace, or lacks a key. The operator continues when it appears.";
    AccountNotReady, Reconciling, "The SwrAccount does not exist or cannot be used yet: see its own conditions.";
    ApiUnavailable, Reconciling, "SWR cannot be reached or answers with an error that passes. The operator tries again.";
    Throttled, Reconciling, "SWR, or `limits` of the SwrAccount, limits the rate of requests. The operator slows down and tries again.";
    ClockSkew, Reconciling, "SWR refuses signatures because the clock of the operator's node is more than 15 minutes off.";
    AuthFailed, Reconciling, "SWR refuses the account's key: check the Secret of the SwrAccount.";
    InstanceNotRunning, Reconciling, "The SWR instance does not exist, or is not in state Running.";
    InvalidSpec, Stalled, "The spec breaks a rule, or SWR refuses it as invalid: change the field that the message names.";
    InvalidSecret, Stalled, "The Secret exists, but a key has been missing for a minute or its value is unusable: the message names key and rule, never the value.";
    Conflict, Stalled, "A registry of this name exists in SWR and is not ours. It is left alone: choose another name, delete it, or adopt it with `spec.adoption`: `IfUnowned` takes one without a tag, `Rebuild` also the one of an earlier object of this namespace and name, as after the restore of a cluster.";
    Forbidden, Stalled, "The account lacks a permission: the message names the action of the SWR API.";
    QuotaExceeded, Stalled, "The instance holds as many registries as its quota allows.";
    NotApplied, Stalled, "SWR accepted the update twice and still shows the old value: the message names the fields.";
    TagNotKept, Stalled, "SWR did not keep the ownership tag in the description, so the operator cannot recognise its own registry and writes nothing more.";
    DuplicateTag, Stalled, "Several registries carry this object's ownership tag, and the registry it created no longer exists: delete all but one in SWR, or remove the tag from their descriptions. An event with this reason reports copies while the object's own registry still exists.";
    OwnershipLost, Stalled, "The registry's ownership tag was removed or replaced in SWR. The operator writes nothing more: restore the tag, or set `spec.adoption.policy: IfUnowned`.";
    Fighting, Stalled, "Something else keeps changing the registry back; the operator corrected it three times within 30 minutes and now waits an hour between attempts.";
    BindingChanged, Stalled, "The account leads to another project or region than the one in which the registry was created: restore it, or delete and re-create the object.";
    NamespaceNotAllowed, Stalled, "No grant of the SwrAccount covers this namespace.";
    InstanceNotAllowed, Stalled, "No grant of the SwrAccount allows this namespace to use this instance.";
    TargetNotAllowed, Stalled, "No grant of the SwrAccount allows this namespace to send images to this target.";
    Deleting, Reconciling, "The object is being deleted, and the registry with it.";
    DeletionProtected, Reconciling, "`spec.deletionProtection` holds the deletion.";
    DeletionBlocked, Stalled, "SWR refuses to delete the registry, for example because a replication policy uses it: remove the cause, or set `spec.deletionPolicy: Orphan`.";
    InternalError, Reconciling, "The operator met a bug of its own while working on this object; it tries again hourly. Please report it with the log.";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
