//! One call -> one signed request -> one verdict, with what may be logged of it. Waits for nobody
//! and repeats nothing.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue};
use jiff::Timestamp;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::auth::Authentication;
use super::endpoint::Endpoint;
use super::error::{self, Operation, Reported};
use super::http::{Answer, Head, Lost, Transport};
use super::secrets::Secrets;
use super::sign::{self, Signable};
use swr_operator_clock as clock;
use swr_operator_core::credential::Sensitive;
use swr_operator_core::desired::ProjectId;
use swr_operator_core::failure::{Cause, Class, Code, Failure};

/// Where a request goes, and in whose name.
pub(super) struct Caller<'a> {
    pub(super) transport: &'a Transport,
    pub(super) endpoint: &'a Endpoint,
    /// `None` for a question that is what proves who asks.
    pub(super) credential: Option<&'a Authentication>,
    /// IAM takes none.
    pub(super) project: Option<&'a ProjectId>,
}

/// What is asked.
pub(super) struct Call<'a> {
    pub(super) operation: Operation,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    /// Beside those that every request has.
    pub(super) headers: &'a [(&'static str, &'a str)],
    /// Zeroized once it is sent.
    pub(super) body: Option<Zeroizing<Vec<u8>>>,
    /// Values that must not be logged, beside the credential's.
    pub(super) secrets: &'a [&'a str],
}

impl<'a> Call<'a> {
    /// A question without query and body.
    pub(super) fn of(operation: impl Into<Operation>, path: &'a str) -> Self {
        Call {
            operation: operation.into(),
            path,
            query: "",
            headers: &[],
            body: None,
            secrets: &[],
        }
    }
}

/// What came of it.
pub(super) struct Verdict {
    pub(super) result: Result<Zeroizing<Vec<u8>>, Failure>,
    pub(super) status: Option<u16>,
    pub(super) request_id: Option<String>,
    /// A success whose body is too long to be read.
    pub(super) is_too_long: bool,
    /// A token that IAM issued.
    pub(super) subject_token: Option<Sensitive>,
    date: Option<Timestamp>,
}

impl Verdict {
    fn not_sent(failure: Failure) -> Self {
        Verdict {
            result: Err(failure),
            status: None,
            request_id: None,
            is_too_long: false,
            subject_token: None,
            date: None,
        }
    }

    /// The time of the answer by the server's clock, or ours where it does not say.
    pub(super) fn date(&self) -> Timestamp {
        self.date.unwrap_or_else(clock::wall)
    }
}

/// More of the cloud's text than this is not logged.
const MESSAGE_CHARS_MAX: usize = 512;

/// Stands in the log for a message that repeats a secret.
const WITHHELD: &str = "withheld";

/// Sends one request and classifies the answer. A failure is logged here, once.
pub(super) async fn exchange(caller: &Caller<'_>, call: Call<'_>) -> Verdict {
    let operation = call.operation;
    let of_caller = caller
        .credential
        .map(Authentication::secrets)
        .unwrap_or_default();
    let secrets = Secrets::new(call.secrets.iter().copied().chain(of_caller));

    let Some(request) = signed(caller, call) else {
        // No registry can be there.
        tracing::warn!(
            operation = operation.as_str(),
            "an id cannot be part of a path"
        );
        return Verdict::not_sent(Failure::new(Class::Invalid, Cause::Rejected));
    };
    let begun = Instant::now();
    let deadline = begun + caller.transport.deadline(operation.patience());
    let mut is_too_long = false;
    let mut subject_token = None;
    let (head, reported, mut result) = match caller.transport.exchange(request, deadline).await {
        Err(lost) => (
            Head::default(),
            Reported::default(),
            Err(error::lost(operation, lost)),
        ),
        Ok(mut answer) => {
            subject_token = answer.subject_token.take();
            is_too_long = answer.head.is_success() && matches!(answer.body, Err(Lost::TooLong));
            classify(operation, answer)
        }
    };
    // What it means is decided; what is kept of it from here on repeats no secret.
    let request_id = head.request_id.filter(|id| !secrets.occur_in(id));
    if let Err(failure) = &mut result {
        failure.code.take_if(|code| secrets.occur_in(code.as_str()));
    }
    let status = (head.status != 0).then_some(head.status);
    caller.transport.requests.ended(
        operation.as_str(),
        status,
        // A code that is not well-formed is none: it could be anything.
        result
            .as_ref()
            .err()
            .and_then(|failure| failure.code.as_ref())
            .map(Code::as_str),
        begun.elapsed(),
    );
    match &result {
        Ok(_) => tracing::debug!(
            operation = operation.as_str(),
            status,
            request_id,
            "SWR answered"
        ),
        Err(failure) if operation.is_optional() => tracing::debug!(
            operation = operation.as_str(),
            status,
            class = failure.class.as_str(),
            code = failure.code.as_ref().map(Code::as_str),
            request_id,
            "{}",
            failure.cause.words()
        ),
        // A list is read on in smaller parts; what comes of it is told there, once.
        Err(_) if is_too_long && operation == Operation::List => tracing::debug!(
            operation = operation.as_str(),
            status,
            request_id,
            "a part of the list is too long to be read"
        ),
        Err(failure) => tracing::warn!(
            operation = operation.as_str(),
            status,
            class = failure.class.as_str(),
            code = failure.code.as_ref().map(Code::as_str),
            request_id,
            said = printable(&reported.message, &secrets),
            "{}",
            failure.cause.words_of(operation.service())
        ),
    }
    Verdict {
        result,
        status,
        request_id,
        is_too_long,
        subject_token,
        date: head.date,
    }
}

type Classified = (Head, Reported, Result<Zeroizing<Vec<u8>>, Failure>);

/// Classifies the answer as it came: a secret in it must not change what it means.
fn classify(operation: Operation, answer: Answer) -> Classified {
    let Answer { head, body, .. } = answer;
    let reported = body
        .as_ref()
        .map_or_else(|_| Reported::default(), |body| Reported::read(body));
    let result = if head.is_success() {
        match (body, &reported.code) {
            (Err(lost), _) => Err(error::lost(operation, lost)),
            (Ok(_), Some(code)) => Err(error::malformed(operation, Some(code))),
            (Ok(body), None) => Ok(body),
        }
    } else {
        Err(error::classify(operation, &head, &reported, clock::wall()))
    };
    (head, reported, result)
}

/// `None` if an id in the path is none: two dots would lead somewhere else.
fn signed(caller: &Caller<'_>, call: Call<'_>) -> Option<reqwest::Request> {
    let method = call.operation.method();
    let url = caller.endpoint.url(call.path, call.query)?;
    let host = caller.endpoint.authority();
    let project = caller.project.map(ProjectId::as_str);

    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(sign::CONTENT_TYPE));
    headers.insert(HOST, HeaderValue::from_str(host).ok()?);
    if let Some(project) = project {
        headers.insert("x-project-id", HeaderValue::from_str(project).ok()?);
    }
    for (name, value) in call.headers {
        headers.insert(*name, sensitive(value)?);
    }
    match caller.credential {
        None => {}
        Some(Authentication::Token(token)) => {
            headers.insert("x-auth-token", sensitive(token.expose())?);
        }
        Some(Authentication::AccessKey(key)) => {
            let date = sign::date(clock::wall());
            let signable = Signable {
                method: method.as_str(),
                path: call.path,
                query: call.query,
                host,
                project,
                date: &date,
                body: call.body.as_ref().map_or(&[], |body| body.as_slice()),
            };
            let authorization = sign::authorization(&signable, key);
            headers.insert("x-sdk-date", HeaderValue::from_str(&date).ok()?);
            if let Some(token) = &key.security_token {
                headers.insert("x-security-token", sensitive(token.expose())?);
            }
            headers.insert(AUTHORIZATION, sensitive(&authorization)?);
        }
    }

    let mut request = reqwest::Request::new(method, url);
    *request.headers_mut() = headers;
    // Exactly the bytes that were signed, and zeroized when the connection is done with them.
    *request.body_mut() = call.body.map(|body| Bytes::from_owner(body).into());
    Some(request)
}

/// A header that `Debug` does not show.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// One line of bounded length, or nothing of it if it repeats a secret.
fn printable(text: &str, secrets: &Secrets<'_>) -> String {
    if secrets.occur_in(text) {
        return WITHHELD.to_owned();
    }
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MESSAGE_CHARS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_repeats_a_secret_is_withheld_as_a_whole() {
        for secret in ["p", "ta", "p@ss"] {
            let secrets = Secrets::new([secret]);
            for (message, logged) in [
                ("type p@ss is swr-pro, not ta", "withheld"),
                ("no", "no"),
                ("", ""),
            ] {
                assert_eq!(printable(message, &secrets), logged, "{secret}");
            }
        }
    }

    #[test]
    fn what_is_logged_is_one_line_of_bounded_length() {
        let secrets = Secrets::new(["canary-7f3a"]);
        assert_eq!(printable("a\nb\u{1b}[31m\0c", &secrets), "a b [31m c");
        let long = "é".repeat(600);
        assert_eq!(printable(&long, &secrets).chars().count(), 512);
        // Also if the secret stands where nothing would be logged.
        assert_eq!(printable(&format!("{long}canary-7f3a"), &secrets), WITHHELD);
    }
}
