//! Answer -> failure: the one place that says what a status and a code of SWR mean
//! (swr-api.md 6). Pure; logs nothing and keeps no text.

use http::Method;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::http::{Head, Lost, Patience, http_date};
use swr_operator_core::failure::{Cause, Class, Code, Failure};

/// What is asked of SWR, or of IAM and its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    List,
    Show,
    /// The state of an instance.
    Instance,
    /// How much of its quotas an instance uses.
    Statistics,
    /// What SWR offers in the region.
    FeatureGates,
    Create,
    Update,
    Delete,
    /// IAM's list of projects.
    Projects,
    /// A credential.
    Issue(Issue),
}

/// How a credential, or what it is made of, is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Issue {
    /// IAM's token for a password.
    Token,
    /// IAM's token for the token of an identity provider.
    IdToken,
    /// IAM's temporary key for an agency or a token.
    SecurityToken,
    /// STS's temporary key for an agency.
    AssumeAgency,
    /// STS's temporary key for the token of an identity provider.
    AssumeWithOidc,
    /// The token of the metadata service itself.
    MetadataToken,
    /// The temporary key of the node's agency.
    MetadataKey,
    /// The temporary key of the pod.
    PodIdentity,
}

impl From<Issue> for Operation {
    fn from(issue: Issue) -> Self {
        Operation::Issue(issue)
    }
}

impl Operation {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Operation::List => "list",
            Operation::Show => "show",
            Operation::Instance => "instance",
            Operation::Statistics => "statistics",
            Operation::FeatureGates => "feature_gates",
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Delete => "delete",
            Operation::Projects => "projects",
            Operation::Issue(Issue::Token) => "token",
            Operation::Issue(Issue::IdToken) => "id_token",
            Operation::Issue(Issue::SecurityToken) => "security_token",
            Operation::Issue(Issue::AssumeAgency) => "assume_agency",
            Operation::Issue(Issue::AssumeWithOidc) => "assume_with_oidc",
            Operation::Issue(Issue::MetadataToken) => "metadata_token",
            Operation::Issue(Issue::MetadataKey) => "metadata_key",
            Operation::Issue(Issue::PodIdentity) => "pod_identity",
        }
    }

    pub(super) fn method(self) -> Method {
        match self {
            Operation::List
            | Operation::Show
            | Operation::Instance
            | Operation::Statistics
            | Operation::FeatureGates
            | Operation::Projects
            | Operation::Issue(Issue::MetadataKey) => Method::GET,
            Operation::Update | Operation::Issue(Issue::MetadataToken) => Method::PUT,
            Operation::Delete => Method::DELETE,
            Operation::Create | Operation::Issue(_) => Method::POST,
        }
    }

    /// Who is asked, for messages.
    pub(super) fn service(self) -> &'static str {
        match self {
            Operation::List
            | Operation::Show
            | Operation::Instance
            | Operation::Statistics
            | Operation::FeatureGates
            | Operation::Create
            | Operation::Update
            | Operation::Delete => "SWR",
            Operation::Projects
            | Operation::Issue(Issue::Token | Issue::IdToken | Issue::SecurityToken) => "IAM",
            Operation::Issue(Issue::AssumeAgency | Issue::AssumeWithOidc) => "STS",
            Operation::Issue(Issue::MetadataToken | Issue::MetadataKey) => "the metadata service",
            Operation::Issue(Issue::PodIdentity) => "the agent of pod identity",
        }
    }

    /// How long it may take.
    pub(super) fn patience(self) -> Patience {
        let is_of_node = matches!(
            self,
            Operation::Issue(Issue::MetadataToken | Issue::MetadataKey | Issue::PodIdentity)
        );
        match (self.writes(), is_of_node) {
            (true, _) => Patience::Write,
            (false, true) => Patience::Node,
            (false, false) => Patience::Read,
        }
    }

    /// Whether it changes something that SWR keeps.
    pub(super) fn writes(self) -> bool {
        // Each by name: one that is added later must be thought of here.
        match self {
            Operation::Create | Operation::Update | Operation::Delete => true,
            Operation::List
            | Operation::Show
            | Operation::Instance
            | Operation::Statistics
            | Operation::FeatureGates
            | Operation::Projects
            | Operation::Issue(_) => false,
        }
    }

    /// Whether it only explains or informs, so that nothing depends on its answer and an account may
    /// lack the permission for it.
    pub(super) fn is_optional(self) -> bool {
        matches!(
            self,
            Operation::Instance | Operation::Statistics | Operation::FeatureGates
        )
    }

    fn sends_registry(self) -> bool {
        matches!(self, Operation::Create | Operation::Update)
    }

    /// What it means that nobody can tell what the server did: on a write, that nobody can tell.
    fn unclear(self) -> Class {
        if self.writes() {
            Class::Unknown
        } else {
            Class::Transient
        }
    }
}

/// What a body says about an error. Both texts are the cloud's and may repeat what we sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reported {
    pub(super) code: Option<String>,
    pub(super) message: String,
}

/// An error body is a few hundred bytes; what is longer is no error body, and is not parsed.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// The top level of shapes 1, 3 and 4. What is not named here, a secret above all, is skipped.
#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    error_code: Lenient<Text>,
    #[serde(default)]
    error_msg: Lenient<Text>,
    #[serde(default)]
    errors: Lenient<Vec<Entry>>,
    #[serde(default)]
    error: Lenient<Entry>,
}

/// An entry of `errors` or of shape 2, or the `error` of shape 4.
#[derive(Deserialize)]
struct Entry {
    #[serde(default, alias = "errorCode", alias = "error_code")]
    code: Lenient<Text>,
    #[serde(
        default,
        alias = "errorMessage",
        alias = "errorMsg",
        alias = "error_msg"
    )]
    message: Lenient<Text>,
}

/// What is expected, or anything else, which counts as absent.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient<T> {
    Is(T),
    IsNot(IgnoredAny),
}

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Lenient::IsNot(IgnoredAny)
    }
}

impl<T> Lenient<T> {
    fn get(self) -> Option<T> {
        match self {
            Lenient::Is(value) => Some(value),
            Lenient::IsNot(IgnoredAny) => None,
        }
    }
}

/// Keystone gives its code as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Number(i64),
}

impl Lenient<Text> {
    fn text(self) -> Option<String> {
        let text = match self.get()? {
            Text::Text(text) => text,
            Text::Number(number) => number.to_string(),
        };
        (!text.is_empty()).then_some(text)
    }
}

impl Entry {
    fn report(self) -> Reported {
        Reported {
            code: self.code.text(),
            message: self.message.text().unwrap_or_default(),
        }
    }
}

impl Reported {
    /// Reads the five shapes of swr-api.md 6.1; of anything else, nothing.
    pub(super) fn read(body: &[u8]) -> Reported {
        if body.len() > ERROR_BYTES_MAX {
            return Reported::default();
        }
        // serde would take an array for an object's fields in order, so the bracket decides.
        if body.trim_ascii_start().first() == Some(&b'[') {
            let entries = serde_json::from_slice::<Vec<Entry>>(body).unwrap_or_default();
            let first = entries.into_iter().next();
            return first.map(Entry::report).unwrap_or_default();
        }
        let Ok(object) = serde_json::from_slice::<Object>(body) else {
            return Reported::default();
        };
        if let Some(code) = object.error_code.text() {
            return Reported {
                code: Some(code),
                message: object.error_msg.text().unwrap_or_default(),
            };
        }
        let inner = object.errors.get().and_then(|all| all.into_iter().next());
        match inner.or(object.error.get()) {
            Some(entry) => entry.report(),
            None => Reported {
                code: None,
                message: object.error_msg.text().unwrap_or_default(),
            },
        }
    }

    fn says(&self, words: &str) -> bool {
        self.message.to_ascii_lowercase().contains(words)
    }

    /// Whether the message speaks of a field of the request. One that repeats the whole request has
    /// it as a key, which says nothing.
    fn names(&self, field: &str) -> bool {
        let message = self.message.to_ascii_lowercase();
        let mut mentions = message.match_indices(field);
        mentions.any(|(at, _)| {
            let behind = message[at + field.len()..].trim_start_matches('\\');
            let is_key = behind
                .strip_prefix('"')
                .is_some_and(|rest| rest.trim_start().starts_with(':'));
            !is_key
        })
    }

    /// Whether the message says that what is to be created is there.
    fn says_taken(&self) -> bool {
        self.clauses().any(|clause| clause == Existence::Is)
    }

    /// Whether the message says that something is not there, and of nothing that it is.
    fn says_missing(&self) -> bool {
        !self.says_taken() && self.clauses().any(|clause| clause == Existence::IsNot)
    }

    fn clauses(&self) -> impl Iterator<Item = Existence> {
        let message = self.message.to_lowercase().replace('\u{2019}', "'");
        let clauses: Vec<Existence> = message
            .split(['.', ',', ';', ':', '!', '?', '(', ')', '\n'])
            .map(Existence::of)
            .collect();
        clauses.into_iter()
    }

    /// Whether the code is the gateway's with this number. It goes by two names.
    fn is_gateway(&self, number: &str) -> bool {
        self.code.as_deref().is_some_and(|code| {
            ["APIGW.", "APIG."]
                .iter()
                .any(|prefix| code.strip_prefix(prefix) == Some(number))
        })
    }

    fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

/// What a clause says about existence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Existence {
    Is,
    IsNot,
    Nothing,
}

impl Existence {
    /// Of a clause in lower case. SWR publishes no list of its sentences, so this goes by the words
    /// of the language: something exists, is a duplicate or is in use already, unless a word before
    /// "exists" says no or leaves it open.
    fn of(clause: &str) -> Existence {
        /// A "not" further before belongs to another verb: "cannot create a, which exists".
        const REACH: usize = 3;
        let words: Vec<&str> = clause
            .split(|c: char| !(c.is_alphanumeric() || c == '\''))
            .filter(|word| !word.is_empty())
            .collect();
        let says_no = |word: &&str| {
            matches!(
                *word,
                "not" | "no" | "never" | "none" | "non" | "neither" | "nor" | "cannot"
            ) || word.ends_with("n't")
        };
        let leaves_open = |word: &&str| {
            matches!(
                *word,
                "must" | "should" | "to" | "if" | "whether" | "unless"
            )
        };
        let is_there = |at: usize| {
            // "already in use", "already taken", "taken already".
            let already = || {
                let near = at.saturating_sub(2)..words.len().min(at + 2);
                words[near].contains(&"already")
            };
            match words[at] {
                "exist" | "exists" | "existed" => true,
                "used" | "use" | "taken" | "occupied" | "registered" => already(),
                _ => false,
            }
        };
        // Who forbids duplicates has found one.
        if words.iter().any(|word| word.starts_with("duplicat")) {
            return Existence::Is;
        }
        if words.contains(&"nonexistent") {
            return Existence::IsNot;
        }
        let not_found = words.iter().position(|word| *word == "found");
        if not_found.is_some_and(|at| words[at.saturating_sub(REACH)..at].iter().any(says_no)) {
            return Existence::IsNot;
        }
        let Some(at) = (0..words.len()).find(|at| is_there(*at)) else {
            return match words.windows(2).any(|pair| pair == ["no", "such"]) {
                true => Existence::IsNot,
                false => Existence::Nothing,
            };
        };
        let before = &words[..at];
        let near = &before[at.saturating_sub(REACH)..];
        if near.iter().any(says_no) || before.contains(&"no") {
            Existence::IsNot
        } else if near.iter().any(leaves_open) {
            Existence::Nothing
        } else {
            Existence::Is
        }
    }
}

/// The gateway refuses a signature whose date is further off (swr-api.md 4.2).
const SKEW_MAX: SignedDuration = SignedDuration::from_mins(15);

/// What an answer other than 2xx means. The status decides; a code only tells apart what the
/// status leaves open, because SWR Enterprise publishes no list of its codes (swr-api.md 6.2).
pub(super) fn classify(
    operation: Operation,
    head: &Head,
    reported: &Reported,
    wall: Timestamp,
) -> Failure {
    let (class, cause) = match head.status {
        400 => bad_request(operation, reported),
        422 if operation.sends_registry() && reported.names("dns_conf") => {
            (Class::Invalid, Cause::DnsConfRejected)
        }
        401 => (Class::Denied, unauthorized(head, reported, wall)),
        403 if operation == Operation::Create && reported.says("quota") => {
            (Class::Denied, Cause::QuotaExceeded)
        }
        // Whatever the status of a registry in use, SWR's sentence about it is Harbor's.
        403 if operation == Operation::Delete && reported.says("referenced by") => {
            (Class::Conflict, Cause::InUse)
        }
        403 => (Class::Denied, Cause::Forbidden),
        404 => not_found(operation, reported),
        408 => (operation.unclear(), Cause::TimedOut),
        406 | 412 | 423 if operation == Operation::Delete => (Class::Conflict, Cause::InUse),
        409 => conflict(operation, reported),
        429 => {
            let after_secs = head
                .retry_after
                .as_deref()
                .and_then(|text| retry_after(text, head.date.unwrap_or(wall)));
            (Class::Throttled { after_secs }, Cause::Throttled)
        }
        status => match status / 100 {
            3 => (operation.unclear(), Cause::Redirected),
            4 => rejected(operation),
            // A 504 may have landed, and who can say more of a 500.
            5 => (operation.unclear(), Cause::ServerError),
            _ => (operation.unclear(), Cause::Malformed),
        },
    };
    Failure {
        class,
        cause,
        code: reported.code.as_deref().and_then(Code::parse),
    }
}

/// What it means that there is no whole answer.
pub(super) fn lost(operation: Operation, lost: Lost) -> Failure {
    match lost {
        Lost::NotSent(obstacle) => Failure::new(
            Class::Transient,
            obstacle.map_or(Cause::Unreachable, Cause::NotConnected),
        ),
        Lost::TimedOut => Failure::new(operation.unclear(), Cause::TimedOut),
        Lost::Broken => Failure::new(operation.unclear(), Cause::Unreachable),
        Lost::TooLong => Failure::new(operation.unclear(), Cause::Malformed),
    }
}

/// A 2xx whose body is an error, or not what was asked for (reliability.md C11).
pub(super) fn malformed(operation: Operation, code: Option<&str>) -> Failure {
    Failure {
        class: operation.unclear(),
        cause: Cause::Malformed,
        code: code.and_then(Code::parse),
    }
}

/// 400 is where SWR's family puts quotas, taken names and failed connection tests, too.
fn bad_request(operation: Operation, reported: &Reported) -> (Class, Cause) {
    let sends_registry = operation.sends_registry();
    if reported.is("SVCSTG.SWR.4000031") {
        // Invalid access key: a 401 in all but number.
        return (Class::Denied, Cause::AuthFailed);
    }
    // The documented states other than Running; SWR's sentence about them is not documented.
    let is_not_running = ["not running", "is initial", "is creating", "is unavailable"]
        .iter()
        .any(|words| reported.says(words));
    if reported.says("instance") && is_not_running {
        return (Class::Transient, Cause::InstanceNotRunning);
    }
    if matches!(operation, Operation::Show | Operation::Delete) && reported.is("SWR.400003") {
        // The provider of Terraform reads this code as "not found" on a sibling resource.
        return (Class::NotFound, Cause::RegistryNotFound);
    }
    if sends_registry && reported.says("quota") {
        return (Class::Denied, Cause::QuotaExceeded);
    }
    if sends_registry && reported.names("dns_conf") {
        return (Class::Invalid, Cause::DnsConfRejected);
    }
    if sends_registry && reported.says_taken() {
        return (Class::Conflict, Cause::AlreadyExists);
    }
    if sends_registry && reported.says("unhealthy") {
        return (Class::Invalid, Cause::TargetUnreachable);
    }
    if operation == Operation::Delete && reported.says("referenced by") {
        return (Class::Conflict, Cause::InUse);
    }
    rejected(operation)
}

/// Only what a person wrote can be a person's fault. A refused LIST says nothing about any object.
fn rejected(operation: Operation) -> (Class, Cause) {
    let cause = match operation.writes() {
        true => Cause::Rejected,
        false => Cause::QuestionRejected,
    };
    (Class::Invalid, cause)
}

fn unauthorized(head: &Head, reported: &Reported, wall: Timestamp) -> Cause {
    let ahead = head.date.map(|date| wall.duration_since(date));
    let is_measured = ahead.is_some_and(|ahead| ahead.abs() > SKEW_MAX);
    let is_told = ["x-sdk-date", "clock", "15 minutes"]
        .iter()
        .any(|words| reported.says(words));
    if is_measured || is_told {
        // To the nearest minute.
        let ahead_mins = ahead.filter(|_| is_measured);
        Cause::ClockSkew {
            ahead_mins: ahead_mins.map(|ahead| (ahead.as_secs() + 30).div_euclid(60)),
        }
    } else {
        Cause::AuthFailed
    }
}

/// A 404 makes people and programs delete and create anew, so only one that a registry's own path
/// and a code of SWR vouch for says that a registry is gone. What comes from the gateway, or from
/// something that gives no code, says that we are at the wrong place. An instance that is gone
/// can look like a registry that is gone; a LIST tells them apart (rule 7).
fn not_found(operation: Operation, reported: &Reported) -> (Class, Cause) {
    if reported.is_gateway("0101") || reported.code.is_none() {
        return (Class::Transient, Cause::ApiNotFound);
    }
    match operation {
        Operation::Show | Operation::Update | Operation::Delete => {
            (Class::NotFound, Cause::RegistryNotFound)
        }
        Operation::List | Operation::Create | Operation::Instance | Operation::Statistics => {
            (Class::Transient, Cause::InstanceNotFound)
        }
        Operation::FeatureGates | Operation::Projects | Operation::Issue(_) => {
            (Class::Transient, Cause::ApiNotFound)
        }
    }
}

fn conflict(operation: Operation, reported: &Reported) -> (Class, Cause) {
    if reported.is("SVCSTG.SWR.4090023") {
        // "The system is busy."
        return (Class::Transient, Cause::ServerError);
    }
    // What is missing is not taken, whatever the status.
    if operation.sends_registry() && !reported.says_missing() {
        (Class::Conflict, Cause::AlreadyExists)
    } else if operation == Operation::Delete {
        (Class::Conflict, Cause::InUse)
    } else {
        rejected(operation)
    }
}

/// Seconds, or a date by the server's clock; 1..=900. A quarter of an hour is more than any
/// window of the gateway, and a mistaken header must not stop an account for a day.
pub(super) fn retry_after(text: &str, now: Timestamp) -> Option<u32> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let secs = if is_number {
        // Only too many digits can fail here.
        text.parse::<i64>().unwrap_or(i64::MAX)
    } else {
        http_date(text)?.duration_since(now).as_secs()
    };
    u32::try_from(secs.clamp(1, 900)).ok()
}

#[cfg(test)]
mod tests;
