//! Answers of no server: what SWR says, with bytes and fields changed at random. Nothing panics, and nothing of it is
//! taken for an instance without registries.

use std::io::{self, Write as _};

use super::canned::Canned;
use super::*;
use crate::error::Reported;
use crate::wire;

/// Repeats the cases of a run that failed.
const SEED: &str = "SWR_GARBLED_SEED";

/// A second in an unoptimised build.
const N_BODIES: usize = 10_000;
/// The same; each of these goes over a socket for every operation.
const N_ANSWERS: usize = 80;

#[expect(
    clippy::disallowed_methods,
    reason = "a run that failed is repeated by its seed, which whoever runs it gives"
)]
fn random() -> fastrand::Rng {
    let given = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    // libtest shows it when the test fails.
    writeln!(io::stderr(), "{SEED}={seed}").expect("stderr");
    fastrand::Rng::with_seed(seed)
}

fn registry_answer() -> Value {
    json!({
        "id": 7, "name": "a", "type": "swr-pro", "url": "https://a.test", "insecure": true,
        "description": "dr", "project_id": "p", "region_id": "r", "instance_id": "i",
        "dns_conf": {"hosts": {"a.test": "192.0.2.1"}},
        "credential": {"type": "basic", "access_key": "ak", "access_secret": "***"},
        "status": "healthy", "created_at": "2022-10-17T18:00:00Z", "updated_at": "2022-10-17T18:00:00Z",
    })
}

/// What the operations answer with when all is well.
fn sound() -> [Value; 4] {
    let mut other = registry_answer();
    other["id"] = json!(8);
    [
        json!({"registries": [registry_answer(), other], "total": 2}),
        registry_answer(),
        json!({"projects": [{"id": PROJECT, "name": "cn-north-4"}, {"id": "q", "name": "other"}]}),
        json!({"error_code": "SVCSTG.SWR.4001", "error_msg": "no", "errors": [{"code": "a", "message": "b"}]}),
    ]
}

/// Goes down at random and changes what it comes to.
fn change(value: &mut Value, random: &mut fastrand::Rng) {
    let goes_down = random.u8(..) < 200;
    match value {
        Value::Object(members) if goes_down && !members.is_empty() => {
            let n = random.usize(..members.len());
            let key = members.keys().nth(n).expect("a member").clone();
            match random.u8(..4) {
                0 => drop(members.remove(&key)),
                _ => change(&mut members[&key], random),
            }
        }
        Value::Array(items) if goes_down && !items.is_empty() => {
            let n = random.usize(..items.len());
            match random.u8(..4) {
                0 => drop(items.remove(n)),
                1 => items.push(items[n].clone()),
                _ => change(&mut items[n], random),
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => {
            *value = match random.u8(..10) {
                0 => Value::Null,
                1 => json!(random.bool()),
                2 => json!(random.i64(..)),
                3 => json!(u64::MAX),
                4 => json!(f64::MIN_POSITIVE),
                5 => json!([]),
                6 => json!({}),
                7 => json!(random.i64(..).to_string()),
                8 => json!([{"id": 9, "name": "\u{0}\u{202e}"}]),
                _ => json!(HUGE),
            }
        }
    }
}

/// Stands for what `serde_json` cannot write.
const HUGE: &str = "<huge>";

fn garbled(random: &mut fastrand::Rng) -> Vec<u8> {
    let [page, registry, projects, error] = sound();
    // A page most of the time: it has most to lose.
    let mut body = match random.u8(..6) {
        0 => registry,
        1 => projects,
        2 => error,
        _ => page,
    };
    for _ in 0..random.u8(..3) {
        change(&mut body, random);
    }
    let huge = match random.u8(..4) {
        0 => "1e999".to_owned(),
        1 => "123456789012345678901234567890".to_owned(),
        2 => "-0".to_owned(),
        _ => "[".repeat(10_000),
    };
    let mut bytes = (body.to_string().replace(&json!(HUGE).to_string(), &huge)).into_bytes();
    if random.u8(..6) == 0 {
        bytes.truncate(random.usize(..=bytes.len()));
    }
    for _ in 0..random.u8(..6).saturating_sub(3) {
        if !bytes.is_empty() {
            let n = random.usize(..bytes.len());
            bytes[n] = random.u8(..);
        }
    }
    bytes
}

/// Whether this is an instance without registries: other code than the client's, and as strict as SWR's documents.
fn says_empty(body: &[u8]) -> bool {
    let Ok(Value::Object(page)) = serde_json::from_slice(body) else {
        return false;
    };
    let total = page.get("total").filter(|total| !total.is_null());
    let is_zero = total.is_some_and(|total| *total == json!(0) || *total == json!("0"));
    match page.get("registries") {
        Some(Value::Array(registries)) => registries.is_empty(),
        Some(Value::Null) => total.is_none() || is_zero,
        _ => is_zero,
    }
}

#[test]
fn no_body_panics_and_none_is_an_empty_page_unless_it_says_so() {
    let mut random = random();
    let (mut n_read, mut n_refused) = (0, 0);
    for _ in 0..N_BODIES {
        let body = garbled(&mut random);
        let shown = String::from_utf8_lossy(&body);
        match wire::decode_page(&body, &sealer()) {
            Ok(page) => {
                n_read += 1;
                assert!(!page.records.is_empty() || says_empty(&body), "{shown}");
            }
            Err(wire::Malformed) => n_refused += 1,
        }
        // What they make of it is theirs; that they end is what counts.
        let _ = wire::decode_record(&body, &sealer());
        let _ = wire::decode_projects(&body, "cn-north-4");
        let _ = Reported::read(&body);
        if let Some(id) = wire::decode_created(&body) {
            assert!(id.0 > 0, "{shown}");
        }
    }
    assert!(
        n_read > N_BODIES / 10 && n_refused > N_BODIES / 10,
        "{n_read} and {n_refused}"
    );
}

/// An answer of HTTP with this body, more or less, and the body that a reader of HTTP gets of it.
fn answer(body: Vec<u8>, random: &mut fastrand::Rng) -> (u16, Vec<u8>, Vec<u8>) {
    let statuses = [
        200, 200, 200, 200, 201, 206, 299, 302, 404, 409, 500, 599, 999,
    ];
    let status = statuses[random.usize(..statuses.len())];
    let length = match random.u8(..6) {
        0 => random.usize(..=body.len()),
        1 => body.len() + random.usize(1..100),
        _ => body.len(),
    };
    let mut bytes =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
            .into_bytes();
    bytes.extend_from_slice(&body);
    let received = body[..length.min(body.len())].to_vec();
    (status, bytes, received)
}

#[tokio::test]
async fn no_answer_ends_the_client_and_none_is_an_empty_instance_unless_it_says_so() {
    let mut random = random();
    let canned = Canned::serve(b"").await;
    let client = client(&canned.url);
    let iam = Endpoint::parse(&canned.url).expect("an endpoint");
    let transport = transport(Duration::from_secs(10));
    let region = Region::new("cn-north-4");
    for _ in 0..N_ANSWERS {
        let (status, bytes, body) = answer(garbled(&mut random), &mut random);
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        canned.answer(bytes);
        let is_success = (200..300).contains(&status);
        if let Ok(inventory) = client.reader().list(&instance()).await {
            let is_empty = inventory.records().len() == 0;
            assert!(is_success && (!is_empty || says_empty(&body)), "{shown}");
        }
        match client.reader().show(&instance(), RegistryId(7)).await {
            Ok(record) => assert!(is_success && record.id == RegistryId(7), "{shown}"),
            Err(failure) => assert!(failure.class != Class::NotFound || status == 404, "{shown}"),
        }
        let created = create(&client, "a").await;
        assert!(created.is_err() || is_success, "{shown}");
        let deleted = writer(&client)
            .delete(&instance(), RegistryId(7), &audit())
            .await;
        assert!(deleted.is_err() || is_success || status == 404, "{shown}");
        let right = given(right_key(), Arc::default());
        let project = project_of(&transport, &iam, &region, &right, &limiter(&right, 1)).await;
        assert!(project.is_err() || is_success, "{shown}");
    }
}
