//! What servers answer, and what is signed, given to a fuzzer. In `cargo test` the committed corpus (`__fuzz__/`) and some
//! hundred random inputs; with `cargo dev fuzz` a fuzzer that is led by coverage.

use jiff::Timestamp;
use swr_simulator::Keys;
use swr_simulator::message::Request;
use swr_simulator::sign::verify;

use super::*;
use crate::error::{Operation, Reported, classify, retry_after};
use crate::http::Head;
use crate::sign::{self, Signable};
use crate::wire;

fn now() -> Timestamp {
    "2026-01-31T10:30:00Z".parse().expect("a time")
}

fn sealer() -> Sealer {
    Sealer::new(vec![7; 32])
}

#[test]
fn an_answer_of_any_bytes_is_read_or_refused() {
    bolero::check!().for_each(|body: &[u8]| {
        let sealer = sealer();
        if let Ok(page) = wire::decode_page(body, &sealer) {
            assert!(
                page.records
                    .iter()
                    .all(|record| record.text().len() <= body.len())
            );
        }
        if let Ok(record) = wire::decode_record(body, &sealer) {
            assert!(body.trim_ascii_start().starts_with(b"{"), "{record:?}");
        }
        assert!(wire::decode_created(body).is_none_or(|id| id.0 > 0));
        assert!(wire::decode_quota(body).is_none_or(|quota| quota > 0));
        let _ = wire::decode_projects(body, "cn-north-4");
        let _ = (wire::decode_instance(body), wire::decode_offer(body));
    });
}

#[test]
fn a_refusal_of_any_bytes_becomes_a_failure_in_our_own_words() {
    const OPERATIONS: [Operation; 6] = [
        Operation::List,
        Operation::Show,
        Operation::Create,
        Operation::Update,
        Operation::Delete,
        Operation::Projects,
    ];
    bolero::check!().for_each(|input: &[u8]| {
        let [how, status, body @ ..] = input else {
            return;
        };
        let reported = Reported::read(body);
        let head = Head {
            // 300 to 599, for 2xx is no refusal.
            status: 300 + u16::from(*status) + u16::from(*how >> 7) * 44,
            date: Some(now()),
            retry_after: Some(String::from_utf8_lossy(body).into_owned()),
            request_id: None,
        };
        let operation = OPERATIONS[usize::from(*how) % OPERATIONS.len()];
        let said = classify(operation, &head, &reported, now()).to_string();
        // A cause of ours, and at most a code of 64 characters.
        assert!(
            said.len() < 400 && !said.contains(char::is_control),
            "{said:?}"
        );
    });
}

#[test]
fn a_server_makes_us_wait_a_second_to_a_quarter_of_an_hour() {
    bolero::check!().for_each(|input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let secs = retry_after(&text, now());
        assert!(
            secs.is_none_or(|secs| (1..=900).contains(&secs)),
            "{secs:?}"
        );
    });
}

/// The simulator computes the signature by its own reading of the documents.
#[test]
fn whatever_is_signed_is_taken_for_signed() {
    bolero::check!().for_each(|input: &[u8]| {
        let text = String::from_utf8_lossy(input);
        let mut parts = text.split('\n');
        let mut part = || parts.next().unwrap_or_default();
        let path = format!(
            "/v2/{}/registries/{}",
            sign::escape(part()),
            sign::escape(part())
        );
        let query = sign::query(&[("limit", part()), ("offset", part()), (part(), "x")]);
        let (host, date) = ("swr-api.test:8443", sign::date(now()));
        let token = Some(part()).filter(|token| !token.is_empty());
        let key = AccessKey {
            access_key: "AKID".to_owned(),
            secret_key: Sensitive::new("secret".to_owned()),
            security_token: token.map(|token| Sensitive::new(token.to_owned())),
        };
        let signable = Signable {
            method: "PUT",
            path: &path,
            query: &query,
            host,
            project: Some(PROJECT),
            date: &date,
            body: input,
        };
        let mut request = Request::new("PUT", &format!("{path}?{query}"), input);
        let authorization = sign::authorization(&signable, &key);
        for (name, value) in [
            ("content-type", sign::CONTENT_TYPE),
            ("host", host),
            ("x-project-id", PROJECT),
            ("x-sdk-date", &date),
            ("authorization", &authorization),
        ] {
            request.headers.push((name.to_owned(), value.to_owned()));
        }
        if let Some(token) = token {
            request
                .headers
                .push(("x-security-token".to_owned(), token.to_owned()));
        }
        let keys = Keys {
            access_key: key.access_key,
            secret_key: "secret".to_owned(),
            security_token: token.map(str::to_owned),
        };
        assert_eq!(verify(&request, &keys, now()), Ok(()));
    });
}
