//! Every answer of SWR and its gateway, and the class that it means.

use super::*;
use swr_operator_core::failure::Obstacle;

use Operation::{Create, Delete, List, Projects, Show, Update};

const ALL: [Operation; 6] = [List, Show, Create, Update, Delete, Projects];
const READS: [Operation; 3] = [List, Show, Projects];
const WRITES: [Operation; 3] = [Create, Update, Delete];
const OF_REGISTRY: [Operation; 3] = [Show, Update, Delete];

fn wall() -> Timestamp {
    "2026-01-31T09:30:00Z".parse().expect("a time")
}

fn answer(operation: Operation, status: u16, code: Option<&str>, message: &str) -> Failure {
    let head = Head {
        status,
        ..Head::default()
    };
    let reported = Reported {
        code: code.map(str::to_owned),
        message: message.to_owned(),
    };
    classify(operation, &head, &reported, wall())
}

/// Operations, status, code, message; and what they mean together.
type Case = (
    &'static [Operation],
    u16,
    Option<&'static str>,
    &'static str,
    (Class, Cause),
);

#[test]
#[expect(clippy::too_many_lines, reason = "it is a table")]
fn status_decides_first_and_code_second() {
    let unknown = |cause| (Class::Unknown, cause);
    let transient = |cause| (Class::Transient, cause);
    let rejected = (Class::Invalid, Cause::Rejected);
    let question = (Class::Invalid, Cause::QuestionRejected);
    let dns_conf = (Class::Invalid, Cause::DnsConfRejected);
    let exists = (Class::Conflict, Cause::AlreadyExists);
    let in_use = (Class::Conflict, Cause::InUse);
    let gone = (Class::NotFound, Cause::RegistryNotFound);
    let quota = (Class::Denied, Cause::QuotaExceeded);
    let throttled = (Class::Throttled { after_secs: None }, Cause::Throttled);
    let cases: &[Case] = &[
        // Redirects are never followed.
        (&READS, 302, None, "", transient(Cause::Redirected)),
        (&WRITES, 303, None, "", unknown(Cause::Redirected)),
        (&WRITES, 307, None, "", unknown(Cause::Redirected)),
        // 400.
        (&WRITES, 400, None, "", rejected),
        (&READS, 400, None, "", question),
        (
            &WRITES,
            400,
            Some("SVCSTG.SWR.4000014"),
            "Invalid parameter",
            rejected,
        ),
        (
            &READS,
            400,
            Some("SVCSTG.SWR.4000014"),
            "Invalid parameter",
            question,
        ),
        (
            &WRITES,
            400,
            Some("SVCSTG.SWR.4001037"),
            "Type not supported",
            rejected,
        ),
        (
            &READS,
            400,
            Some("SVCSTG.SWR.4001037"),
            "Type not supported",
            question,
        ),
        (
            &ALL,
            400,
            Some("SVCSTG.SWR.4000031"),
            "",
            (Class::Denied, Cause::AuthFailed),
        ),
        (&[Show, Delete], 400, Some("SWR.400003"), "", gone),
        (&[Create, Update], 400, Some("SWR.400003"), "", rejected),
        (&[List, Projects], 400, Some("SWR.400003"), "", question),
        (
            &[Create, Update],
            400,
            Some("SVCSTG.SWR.4000014"),
            "registry a already exists",
            exists,
        ),
        (&[Create], 400, None, "Name Exists", exists),
        (&[Create], 400, None, "project does not exist", rejected),
        (&[Delete], 400, None, "already exists", rejected),
        (&READS, 400, None, "already exists", question),
        (&READS, 400, None, "dns_conf is bad", question),
        (
            &[Create, Update],
            400,
            None,
            "dns_conf is required when type is swr-pro",
            dns_conf,
        ),
        (
            &[Create, Update],
            422,
            None,
            "Invalid dns_conf.hosts: a duplicate",
            dns_conf,
        ),
        (
            &[Create, Update],
            409,
            None,
            "project p does not exist",
            rejected,
        ),
        (&[Create], 400, Some("SWR.400097"), "Quota exceeded", quota),
        (&[Create], 403, Some("SWR.400097"), "Quota exceeded", quota),
        (
            &[Create, Update],
            400,
            None,
            "the registry is unhealthy",
            (Class::Invalid, Cause::TargetUnreachable),
        ),
        (&[Delete], 400, None, "the registry is unhealthy", rejected),
        (&READS, 400, None, "the registry is unhealthy", question),
        (
            &[Delete],
            400,
            None,
            "the registry 7 is referenced by replication policies, cannot delete it",
            in_use,
        ),
        (
            &[Delete],
            403,
            None,
            "the registry 7 is referenced by replication policies, cannot delete it",
            in_use,
        ),
        (
            &ALL,
            400,
            None,
            "The instance is not running",
            transient(Cause::InstanceNotRunning),
        ),
        (
            &ALL,
            400,
            Some("SWR.400100"),
            "instance 1d7a1e6c is Creating",
            transient(Cause::InstanceNotRunning),
        ),
        (
            &[Create],
            400,
            None,
            "creating a registry in this instance needs a url",
            rejected,
        ),
        // 401, 403.
        (
            &ALL,
            401,
            Some("APIGW.0301"),
            "",
            (Class::Denied, Cause::AuthFailed),
        ),
        (&ALL, 401, None, "", (Class::Denied, Cause::AuthFailed)),
        (
            &ALL,
            401,
            Some("APIG.0301"),
            "The X-Sdk-Date is too old",
            (Class::Denied, Cause::ClockSkew { ahead_mins: None }),
        ),
        (
            &ALL,
            403,
            Some("SVCSTG.SWR.4030170"),
            "",
            (Class::Denied, Cause::Forbidden),
        ),
        (&ALL, 403, None, "", (Class::Denied, Cause::Forbidden)),
        (
            &[Update],
            403,
            None,
            "quota",
            (Class::Denied, Cause::Forbidden),
        ),
        // A 404 says that a registry is gone only on its own path and with a code of SWR.
        (
            &ALL,
            404,
            Some("APIGW.0101"),
            "",
            transient(Cause::ApiNotFound),
        ),
        (
            &ALL,
            404,
            Some("APIG.0101"),
            "",
            transient(Cause::ApiNotFound),
        ),
        (&ALL, 404, None, "", transient(Cause::ApiNotFound)),
        (&OF_REGISTRY, 404, Some("SWR.404001"), "", gone),
        (&OF_REGISTRY, 404, Some("APIGW.01010"), "", gone),
        (
            &[List, Create],
            404,
            Some("SWR.404001"),
            "",
            transient(Cause::InstanceNotFound),
        ),
        (
            &[Projects],
            404,
            Some("SWR.404001"),
            "",
            transient(Cause::ApiNotFound),
        ),
        // In use, taken, busy.
        (&[Delete], 406, Some("SVCSTG.SWR.4060012"), "", in_use),
        (&[Delete], 409, None, "", in_use),
        (&[Delete], 412, None, "", in_use),
        (&[Delete], 423, None, "", in_use),
        (
            &[Create, Update],
            409,
            Some("SVCSTG.SWR.4090089"),
            "",
            exists,
        ),
        (&[Create, Update], 409, None, "", exists),
        (&READS, 409, None, "", question),
        (
            &ALL,
            409,
            Some("SVCSTG.SWR.4090023"),
            "",
            transient(Cause::ServerError),
        ),
        (&[Create, Update], 412, None, "", rejected),
        // The other 4xx.
        (&READS, 408, None, "", transient(Cause::TimedOut)),
        (&WRITES, 408, None, "", unknown(Cause::TimedOut)),
        (&WRITES, 405, None, "", rejected),
        (&READS, 405, None, "", question),
        (&WRITES, 413, Some("APIGW.0201"), "", rejected),
        (&READS, 413, Some("APIGW.0201"), "", question),
        (&WRITES, 422, None, "", rejected),
        (&READS, 422, None, "", question),
        (&WRITES, 494, Some("APIGW.0201"), "", rejected),
        (&READS, 494, Some("APIGW.0201"), "", question),
        (&ALL, 429, Some("APIGW.0308"), "", throttled),
        // 5xx: a write may have landed.
        (
            &READS,
            500,
            Some("SVCSTG.SWR.5001038"),
            "",
            transient(Cause::ServerError),
        ),
        (
            &WRITES,
            500,
            None,
            "already exists",
            unknown(Cause::ServerError),
        ),
        (&READS, 503, None, "", transient(Cause::ServerError)),
        (
            &WRITES,
            502,
            Some("APIGW.0201"),
            "",
            unknown(Cause::ServerError),
        ),
        (
            &WRITES,
            504,
            Some("APIGW.0201"),
            "",
            unknown(Cause::ServerError),
        ),
        // No status of HTTP.
        (&READS, 101, None, "", transient(Cause::Malformed)),
        (&WRITES, 600, None, "", unknown(Cause::Malformed)),
    ];
    for (operations, status, code, message, (class, cause)) in cases {
        for operation in *operations {
            assert_eq!(
                answer(*operation, *status, *code, message),
                Failure {
                    class: *class,
                    cause: *cause,
                    code: code.and_then(Code::parse),
                },
                "{operation:?} {status} {code:?} {message:?}"
            );
        }
    }
}

#[test]
fn only_what_is_there_is_taken() {
    let taken = [
        "registry a already exists",
        "Name Exists",
        "A registry with this name exists.",
        "the name exists already",
        "duplicate name",
        "Name cannot be duplicated",
        "the name is already in use",
        "name already taken",
        "cannot create registry because a already exists",
        "The registry does not answer; its name already exists",
        "failed to create: registry a exists, choose another",
    ];
    let not_taken = [
        "project doesn't exist",
        "project doesn\u{2019}t exist",
        "region cn-north-4 does not exist",
        "target instance does not already exist",
        "the namespace Doesn't Exist",
        "no such project exists",
        "no registry of this name exists",
        "the instance could not be shown to exist",
        "project p never existed",
        "nonexistent region",
        "non-existing region",
        "credential not found",
        "no such region",
        "the project must exist",
        "check whether the instance exists",
        "an existing project is needed",
        "use of http is not allowed",
        "",
    ];
    for operation in [Create, Update] {
        for message in taken {
            let cause = answer(operation, 400, None, message).cause;
            assert_eq!(cause, Cause::AlreadyExists, "{message}");
        }
        for message in not_taken {
            let cause = answer(operation, 400, None, message).cause;
            assert_eq!(cause, Cause::Rejected, "{message}");
        }
    }
}

#[test]
fn a_message_that_repeats_the_request_does_not_name_its_fields() {
    let body = r#"{"name":"a","dns_conf":{"hosts":{}},"insecure":true}"#;
    let escaped = format!("{body:?}");
    for (message, cause) in [
        (format!("quota exceeded: {body}"), Cause::QuotaExceeded),
        (format!("bad request {escaped}"), Cause::Rejected),
        (format!("bad url in {body}"), Cause::Rejected),
        (
            format!("dns_conf: no IP address in {body}"),
            Cause::DnsConfRejected,
        ),
        ("\"dns_conf\" is invalid".to_owned(), Cause::DnsConfRejected),
    ] {
        assert_eq!(
            answer(Create, 400, None, &message).cause,
            cause,
            "{message}"
        );
    }
}

#[test]
fn no_answer_to_a_list_or_a_create_says_that_a_registry_is_gone() {
    for status in 100..=999 {
        for code in [
            None,
            Some("SWR.404001"),
            Some("SWR.400003"),
            Some("APIGW.0101"),
        ] {
            for operation in [List, Create, Projects] {
                let class = answer(operation, status, code, "registry not found").class;
                assert_ne!(class, Class::NotFound, "{operation:?} {status} {code:?}");
            }
            for operation in OF_REGISTRY {
                let failure = answer(operation, status, code, "registry not found");
                let is_vouched_for = matches!(
                    (status, code),
                    (404, Some("SWR.404001" | "SWR.400003")) | (400, Some("SWR.400003"))
                );
                assert!(failure.class != Class::NotFound || is_vouched_for);
            }
        }
    }
}

#[test]
fn the_difference_of_the_clocks_is_measured_on_a_401() {
    let cause = |date: Option<&str>| {
        let head = Head {
            status: 401,
            date: date.map(|date| date.parse().expect("a time")),
            ..Head::default()
        };
        classify(List, &head, &Reported::default(), wall()).cause
    };
    let skewed = |mins| Cause::ClockSkew {
        ahead_mins: Some(mins),
    };
    for (date, expected) in [
        (None, Cause::AuthFailed),
        (Some("2026-01-31T09:30:00Z"), Cause::AuthFailed),
        (Some("2026-01-31T09:45:00Z"), Cause::AuthFailed),
        (Some("2026-01-31T09:45:01Z"), skewed(-15)),
        (Some("2026-01-31T09:14:59Z"), skewed(15)),
        (Some("2026-01-31T09:09:31Z"), skewed(20)),
        (Some("2036-01-31T09:30:00Z"), skewed(-5_258_880)),
    ] {
        assert_eq!(cause(date), expected, "{date:?}");
    }
}

#[test]
fn retry_after_is_clamped_and_garbage_is_ignored() {
    for (text, expected) in [
        ("30", Some(30)),
        (" 30 ", Some(30)),
        ("0", Some(1)),
        ("900", Some(900)),
        ("901", Some(900)),
        ("1000000000000", Some(900)),
        ("99999999999999999999999999", Some(900)),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
        ("Sat, 31 Jan 2026 09:30:45 GMT", Some(45)),
        ("Sat, 31 Jan 2026 09:00:00 GMT", Some(1)),
        ("Sun, 31 Jan 2027 09:30:00 GMT", Some(900)),
    ] {
        let head = Head {
            status: 429,
            retry_after: Some(text.to_owned()),
            ..Head::default()
        };
        let class = classify(Create, &head, &Reported::default(), wall()).class;
        assert_eq!(
            class,
            Class::Throttled {
                after_secs: expected
            },
            "{text:?}"
        );
    }
    // The server's own clock counts when it shows one.
    let head = Head {
        status: 429,
        date: Some("2026-01-31T10:30:00Z".parse().expect("a time")),
        retry_after: Some("Sat, 31 Jan 2026 10:30:20 GMT".to_owned()),
        ..Head::default()
    };
    let class = classify(List, &head, &Reported::default(), wall()).class;
    assert_eq!(
        class,
        Class::Throttled {
            after_secs: Some(20)
        }
    );
}

#[test]
fn without_a_whole_answer_only_what_was_never_sent_is_certain() {
    for (what, read, write) in [
        (
            Lost::NotSent(None),
            (Class::Transient, Cause::Unreachable),
            (Class::Transient, Cause::Unreachable),
        ),
        (
            Lost::NotSent(Some(Obstacle::OtherHost)),
            (Class::Transient, Cause::NotConnected(Obstacle::OtherHost)),
            (Class::Transient, Cause::NotConnected(Obstacle::OtherHost)),
        ),
        (
            Lost::TimedOut,
            (Class::Transient, Cause::TimedOut),
            (Class::Unknown, Cause::TimedOut),
        ),
        (
            Lost::Broken,
            (Class::Transient, Cause::Unreachable),
            (Class::Unknown, Cause::Unreachable),
        ),
        (
            Lost::TooLong,
            (Class::Transient, Cause::Malformed),
            (Class::Unknown, Cause::Malformed),
        ),
    ] {
        for operation in READS {
            assert_eq!(lost(operation, what), Failure::new(read.0, read.1));
        }
        for operation in WRITES {
            assert_eq!(lost(operation, what), Failure::new(write.0, write.1));
        }
    }
}

#[test]
fn the_five_shapes_of_an_error_are_read() {
    let long = format!(
        r#"{{"error_code":"A","error_msg":"{}"}}"#,
        "x".repeat(ERROR_BYTES_MAX)
    );
    let cases: &[(&str, Option<&str>, &str)] = &[
        // 1: SWR, both forms in one body.
        (
            r#"{"errors":[{"errorCode":"OLD","errorMessage":"old","detail":"","encoded_authorization_message":"x"}],
                "error_code":"SVCSTG.SWR.4030170","error_msg":"Insufficient permissions",
                "details":[{"error_code":"D","error_msg":""}],"encoded_authorization_message":"x"}"#,
            Some("SVCSTG.SWR.4030170"),
            "Insufficient permissions",
        ),
        (
            r#"{"errors":[{"errorCode":"OLD","errorMessage":"old"}]}"#,
            Some("OLD"),
            "old",
        ),
        // Harbor's own.
        (
            r#"{"errors":[{"code":"NOT_FOUND","message":"registry 7 not found"}]}"#,
            Some("NOT_FOUND"),
            "registry 7 not found",
        ),
        // 2: the old array.
        (
            r#"[{"errorCode":"SVCSTG.SWR.4010000","errorMessage":"no","detail":""}]"#,
            Some("SVCSTG.SWR.4010000"),
            "no",
        ),
        // 3: the gateway.
        (
            r#"{"error_msg":"Incorrect IAM authentication information","error_code":"APIG.0301","request_id":"r"}"#,
            Some("APIG.0301"),
            "Incorrect IAM authentication information",
        ),
        // 4: Keystone.
        (
            r#"{"error":{"code":401,"message":"no","title":"Unauthorized"}}"#,
            Some("401"),
            "no",
        ),
        // 5: anything else.
        ("", None, ""),
        ("<html>404</html>", None, ""),
        ("null", None, ""),
        ("[]", None, ""),
        ("{}", None, ""),
        ("[1]", None, ""),
        (r#"{"error_code":null,"error_msg":"m"}"#, None, "m"),
        (r#"{"error_code":"","error_msg":"m"}"#, None, "m"),
        (
            r#"{"error_code":["a"],"error_msg":{"b":1},"errors":"c","error":true}"#,
            None,
            "",
        ),
        (r#"{"error_code":400}"#, Some("400"), ""),
        (&long, None, ""),
        // What is no error has none, whatever its texts say.
        (r#"{"id":7,"description":"\"error_code\":\"A\""}"#, None, ""),
        (r#"{"registries":[{"error_code":"A"}],"total":1}"#, None, ""),
    ];
    for (body, code, message) in cases {
        assert_eq!(
            Reported::read(body.as_bytes()),
            Reported {
                code: code.map(str::to_owned),
                message: (*message).to_owned(),
            },
            "{body}"
        );
    }
    assert_eq!(Reported::read(b"\xff\xfe"), Reported::default());
    let deep = "[".repeat(60_000);
    assert_eq!(Reported::read(deep.as_bytes()), Reported::default());
}
