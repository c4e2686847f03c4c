//! Why a request did not give what was asked for: the class that decides what follows, and the
//! closed cause that people read. Knows no HTTP library and keeps no text of the cloud's.

use std::fmt;

/// What a failure means for what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Nothing was changed, and the same request may work later.
    Transient,
    /// Too many requests; nothing was changed.
    Throttled {
        /// Seconds that SWR asks to wait, clamped to 1..=900.
        after_secs: Option<u32>,
    },
    /// What was asked for is not there.
    NotFound,
    /// Something else is in the way.
    Conflict,
    /// We may not.
    Denied,
    /// The request itself is refused.
    Invalid,
    /// Nobody can tell whether the request was carried out.
    Unknown,
}

impl Class {
    /// Whether it is certain that a write with this answer changed nothing.
    pub fn changed_nothing(self) -> bool {
        match self {
            Class::Transient
            | Class::Throttled { .. }
            | Class::NotFound
            | Class::Conflict
            | Class::Denied
            | Class::Invalid => true,
            Class::Unknown => false,
        }
    }

    /// A word for logs and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Transient => "transient",
            Class::Throttled { .. } => "throttled",
            Class::NotFound => "not_found",
            Class::Conflict => "conflict",
            Class::Denied => "denied",
            Class::Invalid => "invalid",
            Class::Unknown => "unknown",
        }
    }
}

/// What happened, from a closed list: stable enough for a condition's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// No connection, no answer, or an answer that ended early.
    Unreachable,
    /// No connection that a request may go over, and what is in the way is known: nothing was sent.
    NotConnected(Obstacle),
    /// The deadline passed.
    TimedOut,
    /// SWR or its gateway failed (5xx).
    ServerError,
    /// Too many requests (429).
    Throttled,
    /// The account's own limits held the request back until it was given up.
    OwnLimits,
    /// The answer is not what the API documents.
    Malformed,
    /// A LIST in which records are missing that are too long to be read: proves no absence.
    ListHasGaps,
    /// The answer points somewhere else (3xx), which is never followed.
    Redirected,
    /// The key or token is refused (401).
    AuthFailed,
    /// The signature is refused because the clocks are too far apart (401).
    ClockSkew {
        /// By how much ours is ahead of the server's, if the answer told the time.
        ahead_mins: Option<i64>,
    },
    /// The account lacks a permission (403).
    Forbidden,
    /// The registry is not there (404).
    RegistryNotFound,
    /// The path or instance is not there (404): says nothing about a registry.
    InstanceNotFound,
    /// The gateway does not know the API (404): endpoint or region is wrong.
    ApiNotFound,
    /// The instance is not running.
    InstanceNotRunning,
    /// The name is taken (409).
    AlreadyExists,
    /// Something uses the registry (406, 409, 412, 423).
    InUse,
    /// The quota of registries is used up.
    QuotaExceeded,
    /// What the registry is to be breaks a rule of SWR (400 and other 4xx).
    Rejected,
    /// The same, and SWR names `dns_conf`.
    DnsConfRejected,
    /// SWR refuses a question that only the operator worded (400 and other 4xx): says nothing about
    /// any registry.
    QuestionRejected,
    /// SWR tried the target and did not get through.
    TargetUnreachable,
    /// The operator did not send the request because it would have come too late to be safe.
    TooLate,
}

/// What is in the way of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Obstacle {
    /// DNS knows no address of the endpoint's name.
    Unresolved,
    /// The name leads to addresses that the operator never connects to.
    ForbiddenAddress,
    /// Nobody who is trusted has issued the certificate.
    UnknownAuthority,
    /// The certificate is of another host.
    OtherHost,
    /// The certificate has expired, or does not count yet.
    OutOfDate,
    /// Something else about the certificate.
    Certificate,
    /// There is no TLS, or none of a version that is taken.
    NoTls,
    /// There is no connection to the proxy, or it breaks off.
    ProxyUnreachable,
    /// The proxy wants to know who asks (407).
    ProxyPassword,
    /// The proxy does not connect to this host and port.
    ProxyRefuses,
}

impl Obstacle {
    fn words(self) -> &'static str {
        match self {
            Obstacle::Unresolved => {
                "SWR has no address in DNS: correct spec.region of the account, the endpoint or DNS"
            }
            Obstacle::ForbiddenAddress => {
                "SWR has an address that is not allowed, such as a link-local one: correct the endpoint or DNS"
            }
            Obstacle::UnknownAuthority => {
                "SWR presents a certificate of an authority that is not trusted: add the authority to --ca-file"
            }
            Obstacle::OtherHost => {
                "SWR presents a certificate of another host: correct the endpoint or the certificate"
            }
            Obstacle::OutOfDate => {
                "SWR presents a certificate that is not valid today: renew it, or correct the clock of the node"
            }
            Obstacle::Certificate => {
                "SWR presents a certificate that cannot be accepted: the operator's log says why"
            }
            Obstacle::NoTls => {
                "SWR does not answer with TLS 1.2 or 1.3: correct the endpoint, or what terminates TLS there"
            }
            Obstacle::ProxyUnreachable => "the proxy cannot be reached: correct --proxy",
            Obstacle::ProxyPassword => "the proxy refuses the user and password in --proxy",
            Obstacle::ProxyRefuses => {
                "the proxy does not connect to the endpoint: allow its host and port there, or add the host to --no-proxy"
            }
        }
    }
}

impl Cause {
    /// Whether it lasts until somebody does something about it.
    pub fn lasts(self) -> bool {
        match self {
            Cause::AuthFailed
            | Cause::ClockSkew { .. }
            | Cause::Forbidden
            | Cause::InstanceNotFound
            | Cause::ApiNotFound
            | Cause::InstanceNotRunning
            | Cause::AlreadyExists
            | Cause::InUse
            | Cause::QuotaExceeded
            | Cause::Rejected
            | Cause::DnsConfRejected
            | Cause::QuestionRejected
            | Cause::ListHasGaps
            | Cause::TargetUnreachable
            | Cause::NotConnected(
                Obstacle::ForbiddenAddress
                | Obstacle::UnknownAuthority
                | Obstacle::OtherHost
                | Obstacle::OutOfDate
                | Obstacle::Certificate
                | Obstacle::NoTls
                | Obstacle::ProxyPassword
                | Obstacle::ProxyRefuses,
            ) => true,
            Cause::Unreachable
            | Cause::NotConnected(Obstacle::Unresolved | Obstacle::ProxyUnreachable)
            | Cause::TimedOut
            | Cause::ServerError
            | Cause::Throttled
            | Cause::OwnLimits
            | Cause::Malformed
            | Cause::Redirected
            | Cause::RegistryNotFound
            | Cause::TooLate => false,
        }
    }

    /// In words, for a condition's message.
    pub fn words(self) -> &'static str {
        match self {
            Cause::Unreachable => "SWR cannot be reached",
            Cause::NotConnected(obstacle) => obstacle.words(),
            Cause::TimedOut => "SWR did not answer in time",
            Cause::ServerError => "SWR answered with an internal error",
            Cause::Throttled => "SWR limits the rate of requests",
            Cause::OwnLimits => {
                "the request exceeded the account's own rate limit (spec.limits of the SwrAccount)"
            }
            Cause::Malformed => "SWR gave an answer that is not understood",
            Cause::ListHasGaps => {
                "the instance holds registries whose records are too large to read, so the list is incomplete"
            }
            Cause::Redirected => "the endpoint answered with a redirect, which is not followed",
            Cause::AuthFailed => "SWR refuses the account's credential",
            Cause::ClockSkew { .. } => {
                "SWR refuses the signature because the clocks differ by more than 15 minutes"
            }
            Cause::Forbidden => "the account lacks the permission",
            Cause::RegistryNotFound => "the registry does not exist in SWR",
            Cause::InstanceNotFound => "the instance does not exist, or the account cannot see it",
            Cause::ApiNotFound => "the endpoint does not know the API: endpoint or region is wrong",
            Cause::InstanceNotRunning => "the instance is not running",
            Cause::AlreadyExists => "a registry of this name exists",
            Cause::InUse => "something in SWR uses the registry, for example a replication policy",
            Cause::QuotaExceeded => "the instance's quota of registries is used up",
            Cause::Rejected => "SWR refuses the request as invalid",
            Cause::DnsConfRejected => "SWR refuses spec.dnsConf, or requires it",
            Cause::QuestionRejected => "SWR refuses the operator's own request as invalid",
            Cause::TargetUnreachable => {
                "SWR could not connect to the target with this url and credential"
            }
            Cause::TooLate => "the operator was held up and did not send the request",
        }
    }

    /// The same of another service than SWR, with what was measured.
    pub fn words_of(self, service: &str) -> String {
        if let Cause::ClockSkew {
            ahead_mins: Some(ahead),
        } = self
        {
            let off = if ahead < 0 { "slow" } else { "fast" };
            let mins = ahead.unsigned_abs();
            return format!(
                "{service} refuses the signature because the clock of the operator's node is {mins} minutes {off}"
            );
        }
        let words = self.words();
        match words.strip_prefix("SWR ") {
            Some(rest) => format!("{service} {rest}"),
            None => words.to_owned(),
        }
    }
}

/// An error code of SWR or its gateway, kept only if it looks like one: up to 64 characters of
/// `A-Z a-z 0-9 . _ -`. Anything else could be free text, and that goes to the log alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Code(String);

impl Code {
    /// `None` for what does not look like a code.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        fits.then(|| Code(text.to_owned()))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a request to SWR failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Failure {
    /// Decides what comes next.
    pub class: Class,
    /// Says what happened.
    pub cause: Cause,
    /// SWR's code, if the answer had one.
    pub code: Option<Code>,
}

impl Failure {
    /// A failure without a code.
    pub fn new(class: Class, cause: Cause) -> Self {
        Failure {
            class,
            cause,
            code: None,
        }
    }
}

impl Failure {
    /// As it is displayed, but of another service than SWR.
    pub fn said_of(&self, service: &str) -> String {
        let words = self.cause.words_of(service);
        match &self.code {
            Some(code) => format!("{words} ({})", code.as_str()),
            None => words,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said_of("SWR"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_word_and_only_one_leaves_open_what_happened() {
        let throttled = Class::Throttled {
            after_secs: Some(7),
        };
        for (class, word) in [
            (Class::Transient, "transient"),
            (throttled, "throttled"),
            (Class::NotFound, "not_found"),
            (Class::Conflict, "conflict"),
            (Class::Denied, "denied"),
            (Class::Invalid, "invalid"),
            (Class::Unknown, "unknown"),
        ] {
            assert_eq!(class.as_str(), word);
            assert_eq!(class.changed_nothing(), word != "unknown", "{word}");
        }
    }
}
