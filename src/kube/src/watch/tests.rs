//! What a wire can do to a watch, by canned replies under a paused clock: the facts E1 to E3, E5, E10, E13
//! and E18 of kube 5.0, and that the stream outlives each of them.

mod history;

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::StreamExt as _;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use kube::client::Body;
use serde_json::{Value, json};

use super::*;

type Reply = Response<UnsyncBoxBody<Bytes, io::Error>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    List,
    Watch,
}

/// What a call asks.
struct Asked {
    call: Call,
    /// Which call of its kind it is, from 1.
    nth: usize,
    query: String,
}

impl Asked {
    /// The value of a parameter; empty if it is absent.
    fn parameter(&self, name: &str) -> &str {
        let mut pairs = self
            .query
            .split('&')
            .filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(other, _)| *other == name);
        found.map_or("", |(_, value)| value)
    }
}

/// An API server that answers every call as `answer` says, and remembers the calls.
struct Server {
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Server {
    fn new<F, Answer>(answer: F) -> (Server, Client)
    where
        F: Fn(Call, usize) -> Answer + Clone + Send + Sync + 'static,
        Answer: Future<Output = Reply> + Send + 'static,
    {
        Server::asked(move |asked| answer(asked.call, asked.nth))
    }

    /// The same for an answer that depends on the query.
    fn asked<F, Answer>(answer: F) -> (Server, Client)
    where
        F: Fn(Asked) -> Answer + Clone + Send + Sync + 'static,
        Answer: Future<Output = Reply> + Send + 'static,
    {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&calls);
        let service = tower::service_fn(move |request: Request<Body>| {
            let query = request.uri().query().unwrap_or_default().to_owned();
            let call = match query.contains("watch=true") {
                true => Call::Watch,
                false => Call::List,
            };
            let nth = {
                let mut seen = seen.lock().unwrap();
                seen.push(call);
                seen.iter().filter(|other| **other == call).count()
            };
            let reply = answer(Asked { call, nth, query });
            async move { Ok::<_, Infallible>(reply.await) }
        });
        (Server { calls }, Client::new(service, "default"))
    }

    fn count(&self, call: Call) -> usize {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|other| **other == call).count()
    }
}

fn reply(code: u16, body: &Value) -> Reply {
    let body = Full::new(Bytes::from(body.to_string()));
    Response::builder()
        .status(code)
        .body(body.map_err(|never| match never {}).boxed_unsync())
        .expect("reply")
}

/// How a watch goes on after its last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    StaysOpen,
    Ends,
    /// The same within another line.
    EndsWithinLine,
    /// The connection is reset.
    Breaks,
}

/// Lines of a watch.
fn lines(events: Vec<Value>, then: Then) -> Reply {
    let events = futures::stream::iter(events).map(|event| {
        let line = Bytes::from(format!("{event}\n"));
        Ok(http_body::Frame::data(line))
    });
    let broken = || Err(io::Error::from(io::ErrorKind::ConnectionReset));
    let body = match then {
        Then::StaysOpen => StreamBody::new(events.chain(stream::pending())).boxed_unsync(),
        Then::Ends => StreamBody::new(events).boxed_unsync(),
        Then::EndsWithinLine => {
            let half = http_body::Frame::data(Bytes::from(r#"{"type": "MODI"#));
            let events = events.chain(stream::once(async move { Ok(half) }));
            StreamBody::new(events).boxed_unsync()
        }
        Then::Breaks => {
            let events = events.chain(stream::once(async move { broken() }));
            StreamBody::new(events).boxed_unsync()
        }
    };
    Response::new(body)
}

fn failure(code: u16, reason: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": reason, "reason": reason, "code": code
    })
}

fn object(name: &str) -> Value {
    json!({
        "apiVersion": "swr.huaweicloud.com/v1alpha1",
        "kind": "ReplicationRegistry",
        "metadata": {
            "namespace": "images", "name": name, "uid": format!("uid-{name}"),
            "resourceVersion": "5", "generation": 1
        },
        "spec": {
            "instanceId": "i", "type": "huawei-SWR", "url": "https://a.example",
            "insecure": true, "credentialSecretRef": {"name": "s"}
        }
    })
}

fn list(objects: &[Value]) -> Reply {
    reply(
        200,
        &json!({
            "kind": "ReplicationRegistryList", "apiVersion": "swr.huaweicloud.com/v1alpha1",
            "metadata": {"resourceVersion": "9"}, "items": objects
        }),
    )
}

async fn never() -> Reply {
    futures::future::pending().await
}

/// Watches for `secs` seconds of paused time; the names that were applied, in order.
async fn watch_for(secs: u64, client: Client) -> Vec<String> {
    let names = Mutex::new(Vec::new());
    let watch = watch_objects(client, None).for_each(|event| {
        if let Event::Applied(seen) = event {
            names.lock().unwrap().push(seen.key.name.to_string());
        }
        futures::future::ready(())
    });
    let _ = tokio::time::timeout(Duration::from_secs(secs), watch).await;
    names.into_inner().unwrap()
}

/// Runs a server for `secs` seconds and checks how often it was listed.
async fn check<F, Answer>(what: &str, secs: u64, lists: std::ops::RangeInclusive<usize>, answer: F)
where
    F: Fn(Call, usize) -> Answer + Clone + Send + Sync + 'static,
    Answer: Future<Output = Reply> + Send + 'static,
{
    let (server, client) = Server::new(answer);
    watch_for(secs, client).await;
    let n = server.count(Call::List);
    assert!(
        lists.contains(&n),
        "{what}: {n} LISTs in {secs} s, not {lists:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_whose_place_in_history_is_gone_begins_anew_with_a_list() {
    check("E1: 410 at the start", 600, 8..=40, |call, _| async move {
        match call {
            Call::List => list(&[object("a")]),
            Call::Watch => reply(410, &failure(410, "Expired")),
        }
    })
    .await;
    check("E2: 504 as an event", 600, 8..=40, |call, _| async move {
        match call {
            Call::List => list(&[object("a")]),
            Call::Watch => lines(
                vec![json!({"type": "ERROR", "object": failure(504, "Timeout")})],
                Then::Ends,
            ),
        }
    })
    .await;
    let what = "504 at the start";
    check(what, 600, 8..=40, |call, _| async move {
        match call {
            Call::List => list(&[object("a")]),
            Call::Watch => reply(504, &failure(504, "Timeout")),
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_is_asked_again() {
    check("E3: LIST hangs", 3_600, 10..=130, |_, _| never()).await;
    check("E3b: WATCH hangs", 3_600, 4..=6, |call, _| async move {
        match call {
            Call::List => list(&[object("a")]),
            Call::Watch => never().await,
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_stalls_within_its_body_is_asked_for_again() {
    for (secs, expected) in [(299, 1), (301, 2)] {
        let (server, client) = Server::new(|call, nth| async move {
            match (call, nth) {
                (Call::List, 1) => {
                    let half = http_body::Frame::data(Bytes::from("{\"kind\": \"Repl"));
                    let half = stream::once(async move { Ok(half) });
                    Response::new(StreamBody::new(half.chain(stream::pending())).boxed_unsync())
                }
                (Call::List, _) => list(&[object("a")]),
                (Call::Watch, _) => lines(Vec::new(), Then::StaysOpen),
            }
        });
        watch_for(secs, client).await;
        assert_eq!(server.count(Call::List), expected, "after {secs} s");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_silent_watch_lost_is_found_within_its_bounded_age() {
    // E5: etcd was restored, so the watch waits for a revision that is far ahead, and the object
    // that was made meanwhile is in no event.
    let (_, client) = Server::new(|call, nth| async move {
        match (call, nth) {
            (Call::List, 1) => list(&[object("a")]),
            (Call::List, _) => list(&[object("a"), object("made-meanwhile")]),
            (Call::Watch, _) => lines(Vec::new(), Then::StaysOpen),
        }
    });
    let names = watch_for(1_200, client).await;
    assert!(names.contains(&"made-meanwhile".to_owned()), "{names:?}");
}

#[tokio::test(start_paused = true)]
async fn a_healthy_silent_watch_is_listed_by_its_age_and_no_more() {
    check("silence", 3_600, 4..=6, |call, _| async move {
        match call {
            Call::List => list(&[object("a")]),
            Call::Watch => {
                tokio::time::sleep(WATCH_TIMEOUT).await;
                lines(Vec::new(), Then::Ends)
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_is_listed_at_most_130_times_an_hour() {
    for code in [403, 404, 429, 500, 503] {
        check(
            &format!("E18: {code}"),
            3_600,
            30..=130,
            move |_, _| async move { reply(code, &failure(code, "No")) },
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_secrets_that_is_refused_holds_up_no_object() {
    // E10: one backoff for both would let half of the objects come, minutes late.
    const N: usize = 600;
    let (_, objects) = Server::new(|call, nth| async move {
        match (call, nth) {
            (Call::List, _) => list(&[]),
            (Call::Watch, 1) => {
                let events = stream::iter(0..N).then(|n| async move {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    let event = json!({"type": "ADDED", "object": object(&format!("n{n}"))});
                    Ok(http_body::Frame::data(Bytes::from(format!("{event}\n"))))
                });
                Response::new(StreamBody::new(events).boxed_unsync())
            }
            (Call::Watch, _) => lines(Vec::new(), Then::StaysOpen),
        }
    });
    let (refusing, secrets) =
        Server::new(|_, _| async move { reply(403, &failure(403, "Forbidden")) });
    let begun = monotonic();
    let late = Mutex::new(Vec::new());
    let objects = watch_objects(objects, None).for_each(|event| {
        if let Event::Applied(seen) = event {
            let n = seen.key.name.trim_start_matches('n').parse::<u64>();
            let due = Duration::from_secs(n.expect("a number") + 1);
            late.lock()
                .unwrap()
                .push(begun.elapsed().saturating_sub(due));
        }
        futures::future::ready(())
    });
    let secrets = watch_secrets(secrets, None, None).for_each(|_| futures::future::ready(()));
    let both = futures::future::join(objects, secrets);
    let _ = tokio::time::timeout(Duration::from_secs(700), both).await;
    let late = late.into_inner().unwrap();
    assert_eq!(late.len(), N);
    let latest = late.into_iter().max().unwrap_or_default();
    assert!(latest < Duration::from_millis(100), "{latest:?}");
    let n = refusing.count(Call::List);
    assert!((8..=40).contains(&n), "{n} LISTs of Secrets");
}

#[tokio::test(start_paused = true)]
async fn one_object_that_does_not_fit_stops_no_other() {
    // E13.
    let mut misfit = object("misfit");
    misfit["spec"]["type"] = json!("a-type-of-tomorrow");
    let (_, client) = Server::new(move |call, _| {
        let misfit = misfit.clone();
        async move {
            match call {
                Call::List => list(&[misfit, object("good")]),
                Call::Watch => lines(Vec::new(), Then::StaysOpen),
            }
        }
    });
    assert_eq!(watch_for(10, client).await, ["misfit", "good"]);
}

#[tokio::test(start_paused = true)]
async fn events_go_on_across_the_regular_end_of_a_watch_without_a_list() {
    let (server, client) = Server::new(|call, nth| async move {
        match call {
            Call::List => list(&[]),
            Call::Watch => {
                tokio::time::sleep(Duration::from_secs(30)).await;
                let event = json!({"type": "ADDED", "object": object(&format!("n{nth}"))});
                lines(vec![event], Then::Ends)
            }
        }
    });
    let names = watch_for(300, client).await;
    assert!(names.len() >= 5, "{names:?}");
    assert_eq!(server.count(Call::List), 1);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_does_not_fit_is_told_of_by_name_and_so_is_its_end() {
    let account = |region: Value| {
        json!({
            "apiVersion": "swr.huaweicloud.com/v1alpha1",
            "kind": "SwrAccount",
            "metadata": {"name": "main", "uid": "u", "resourceVersion": "5", "generation": 1},
            "spec": {"region": region, "auth": {"accessKeySecretRef": {"name": "s"}}}
        })
    };
    let (_, client) = Server::new(move |call, _| async move {
        match call {
            Call::List => list(&[account(json!("cn-north-4"))]),
            Call::Watch => {
                let event = |type_, object| json!({"type": type_, "object": object});
                let events = vec![
                    event("MODIFIED", account(json!(7))),
                    event("DELETED", account(json!(7))),
                ];
                lines(events, Then::StaysOpen)
            }
        }
    });
    let told = Mutex::new(Vec::new());
    let watch = watch_accounts(client).for_each(|event| {
        let seen = match event {
            Event::Applied(seen) => Some(("applied", seen)),
            Event::Deleted(seen) => Some(("deleted", seen)),
            Event::Listing | Event::Listed | Event::Failing(_) => None,
        };
        let seen = seen.map(|(what, seen)| (what, seen.name, seen.account.is_ok()));
        told.lock().unwrap().extend(seen);
        futures::future::ready(())
    });
    let _ = tokio::time::timeout(Duration::from_secs(10), watch).await;
    let main = || "main".to_owned();
    assert_eq!(
        told.into_inner().unwrap(),
        [
            ("applied", main(), true),
            ("applied", main(), false),
            ("deleted", main(), false)
        ]
    );
}
