//! What can go wrong at one request: the process, the way there and back, the answer, and what others do in between. Each
//! kind says at which requests it can happen, and what whoever asked is told. Knows no order of requests.

use swr_operator_core::answer::{AccountProblem, KubeFailure};
use swr_operator_core::failure::{Cause, Class, Failure};

/// A place where a process meets the world: an effect, or what surrounds a reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Point {
    /// What the watch shows when a reconcile begins.
    Watch,
    ReadObject,
    ConfirmObject,
    ReadAccount,
    ReadSecret,
    List,
    Show,
    FindOwner,
    Reserve,
    AddFinalizer,
    RecordIntent,
    Create,
    RecordId,
    Update,
    Adopt,
    Untag,
    Delete,
    RemoveFinalizer,
    /// The status at the end of a reconcile.
    WriteStatus,
    /// The LIST of a poll.
    Poll,
}

impl Point {
    /// Whether it writes to SWR.
    pub(super) fn writes_to_swr(self) -> bool {
        matches!(
            self,
            Point::Create | Point::Update | Point::Adopt | Point::Untag | Point::Delete
        )
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    // The process.
    CrashBefore,
    CrashAfter,
    /// The next process finds its clock set an hour ahead.
    CrashClockAhead,
    CrashClockBehind,
    /// It stands still for five minutes before it asks.
    Stopped,

    // The way there and back.
    /// Nothing was sent.
    NotConnected,
    Lost,
    AnswerLost,
    /// Carried out after whoever asked has given up.
    Late,
    /// The same, almost T_settle later.
    VeryLate,

    // The API server.
    /// The watch shows the object before its last change.
    OldView,
    KubeConflict,
    KubeForbidden,
    KubeRejected,
    /// The CRD has no status subresource.
    KubeNotFound,
    SecretAbsent,
    AccountGone,
    AccountNotReady,
    AccountNotServed,
    AccountNotUnderstood,

    // SWR.
    ServerError,
    ServerErrorApplied,
    Throttled,
    ThrottledLong,
    OwnLimits,
    Forbidden,
    AuthFailed,
    ClockSkew,
    InstanceMissing,
    ApiMissing,
    NotRunning,
    Redirected,
    /// 200, with something else than what was asked for.
    Malformed,
    /// A LIST without records that are too large to be read.
    Gaps,
    /// A LIST that takes longer than its asker waits.
    Slow,
    /// What was there before the last write.
    Lagging,
    /// 404 for a registry that is there.
    Hidden,
    Rejected,
    Taken,
    InUse,
    Quota,
    TargetUnreachable,
    WithoutId,

    // Others, just before the request.
    OtherWriter,
    UserEdits,
    UserDeletes,
    SecretRotates,
    ConsoleEdits,
    ConsoleDeletes,
}

use Fault::{
    AccountGone, AccountNotReady, AccountNotServed, AccountNotUnderstood, AnswerLost, ApiMissing,
    AuthFailed, ClockSkew, ConsoleDeletes, ConsoleEdits, CrashAfter, CrashBefore, CrashClockAhead,
    CrashClockBehind, Forbidden, Gaps, Hidden, InUse, InstanceMissing, KubeConflict, KubeForbidden,
    KubeNotFound, KubeRejected, Lagging, Late, Lost, Malformed, NotConnected, NotRunning, OldView,
    OtherWriter, OwnLimits, Quota, Redirected, Rejected, SecretAbsent, SecretRotates, ServerError,
    ServerErrorApplied, Slow, Stopped, Taken, TargetUnreachable, Throttled, ThrottledLong,
    UserDeletes, UserEdits, VeryLate, WithoutId,
};

/// At every request.
const ANYWHERE: [Fault; 10] = [
    CrashBefore,
    CrashClockAhead,
    CrashClockBehind,
    Stopped,
    OtherWriter,
    UserEdits,
    UserDeletes,
    SecretRotates,
    ConsoleEdits,
    ConsoleDeletes,
];
/// At every request whose answer comes from elsewhere.
const ANSWERED: [Fault; 1] = [CrashAfter];
const KUBE_READ: [Fault; 2] = [Lost, KubeForbidden];
const KUBE_WRITE: [Fault; 7] = [
    Lost,
    AnswerLost,
    Late,
    VeryLate,
    KubeConflict,
    KubeForbidden,
    KubeRejected,
];
const SWR: [Fault; 11] = [
    NotConnected,
    Lost,
    ServerError,
    Throttled,
    ThrottledLong,
    OwnLimits,
    Forbidden,
    AuthFailed,
    ClockSkew,
    Redirected,
    Malformed,
];
const SWR_READ: [Fault; 4] = [Lagging, InstanceMissing, ApiMissing, NotRunning];
const SWR_WRITE: [Fault; 6] = [
    AnswerLost,
    Late,
    VeryLate,
    ServerErrorApplied,
    InstanceMissing,
    NotRunning,
];
const SWR_BODY: [Fault; 4] = [Rejected, Taken, Quota, TargetUnreachable];

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "each of these questions concerns few of the kinds"
)]
impl Fault {
    /// All that can go wrong at a request.
    pub(super) fn at(point: Point) -> Vec<Fault> {
        let own: &[&[Fault]] = match point {
            Point::Watch => &[&[OldView]],
            Point::ReadObject | Point::ConfirmObject => &[&ANSWERED, &KUBE_READ],
            Point::ReadAccount => &[&[
                AccountGone,
                AccountNotReady,
                AccountNotServed,
                AccountNotUnderstood,
            ]],
            Point::ReadSecret => &[&ANSWERED, &KUBE_READ, &[SecretAbsent]],
            Point::List => &[&ANSWERED, &SWR, &SWR_READ, &[Gaps, Slow]],
            Point::Poll => &[&ANSWERED, &SWR, &SWR_READ, &[Gaps]],
            Point::Show => &[&ANSWERED, &SWR, &SWR_READ, &[Hidden]],
            // From memory.
            Point::FindOwner => &[],
            Point::Reserve => &[&[Throttled, OwnLimits, Quota]],
            Point::AddFinalizer | Point::RemoveFinalizer => &[&ANSWERED, &KUBE_WRITE],
            Point::RecordIntent | Point::RecordId | Point::WriteStatus => {
                &[&ANSWERED, &KUBE_WRITE, &[KubeNotFound]]
            }
            Point::Create => &[&ANSWERED, &SWR, &SWR_WRITE, &SWR_BODY, &[WithoutId]],
            Point::Update | Point::Adopt | Point::Untag => {
                &[&ANSWERED, &SWR, &SWR_WRITE, &SWR_BODY, &[Hidden]]
            }
            Point::Delete => &[&ANSWERED, &SWR, &SWR_WRITE, &[InUse, Hidden]],
        };
        let own = own.iter().flat_map(|some| some.iter());
        ANYWHERE.iter().chain(own).copied().collect()
    }

    /// How long its own answer makes the operator wait.
    pub(super) fn asks_secs(self) -> i64 {
        match self {
            ThrottledLong => 900,
            // Quotas are asked for once an hour.
            Quota => 3_600,
            _ => 0,
        }
    }

    /// What a read or write of Kubernetes is told.
    pub(super) fn of_kube(self) -> Option<KubeFailure> {
        match self {
            Lost | AnswerLost | Late | VeryLate => Some(KubeFailure::Unavailable),
            KubeConflict => Some(KubeFailure::Conflict),
            KubeForbidden => Some(KubeFailure::Forbidden),
            KubeRejected => Some(KubeFailure::Rejected),
            KubeNotFound => Some(KubeFailure::NotFound),
            _ => None,
        }
    }

    /// What is told of the account.
    pub(super) fn of_account(self) -> Option<AccountProblem> {
        match self {
            AccountGone => Some(AccountProblem::NotFound),
            AccountNotReady => Some(AccountProblem::NotReady),
            AccountNotServed => Some(AccountProblem::NotServed),
            AccountNotUnderstood => Some(AccountProblem::NotUnderstood),
            _ => None,
        }
    }

    /// What a request to SWR is told, as the client of SWR classifies it (`swr::error`).
    pub(super) fn of_swr(self, writes: bool) -> Option<Failure> {
        let unclear = match writes {
            true => Class::Unknown,
            false => Class::Transient,
        };
        let throttled = |secs| Class::Throttled {
            after_secs: Some(secs),
        };
        let (class, cause) = match self {
            NotConnected => (Class::Transient, Cause::Unreachable),
            Lost | AnswerLost | Late | VeryLate => (unclear, Cause::TimedOut),
            ServerError | ServerErrorApplied => (unclear, Cause::ServerError),
            Throttled => (throttled(5), Cause::Throttled),
            ThrottledLong => (throttled(900), Cause::Throttled),
            OwnLimits => (throttled(1), Cause::OwnLimits),
            Forbidden => (Class::Denied, Cause::Forbidden),
            AuthFailed => (Class::Denied, Cause::AuthFailed),
            ClockSkew => {
                let ahead_mins = Some(20);
                (Class::Denied, Cause::ClockSkew { ahead_mins })
            }
            InstanceMissing => (Class::Transient, Cause::InstanceNotFound),
            ApiMissing => (Class::Transient, Cause::ApiNotFound),
            NotRunning => (Class::Transient, Cause::InstanceNotRunning),
            Redirected => (unclear, Cause::Redirected),
            Malformed => (unclear, Cause::Malformed),
            Hidden => (Class::NotFound, Cause::RegistryNotFound),
            Rejected => (Class::Invalid, Cause::Rejected),
            Taken => (Class::Conflict, Cause::AlreadyExists),
            InUse => (Class::Conflict, Cause::InUse),
            Quota => (Class::Denied, Cause::QuotaExceeded),
            TargetUnreachable => (Class::Invalid, Cause::TargetUnreachable),
            _ => return None,
        };
        Some(Failure::new(class, cause))
    }

    /// Whether a write that is answered so was carried out all the same.
    pub(super) fn carries_out(self) -> bool {
        matches!(
            self,
            AnswerLost | ServerErrorApplied | Malformed | WithoutId
        )
    }

    /// After how many seconds a write that is still on the wire is carried out.
    pub(super) fn lands_after_secs(self) -> Option<i64> {
        match self {
            Late => Some(30),
            VeryLate => Some(100),
            _ => None,
        }
    }
}
