//! Watches and lists that break off in the middle: whatever was read counts, and nothing is taken for gone.

use std::collections::BTreeSet;
use std::io;

use super::*;

type Broken = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// How a watch ends after some of its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    BetweenLines,
    WithinLine,
    Reset,
}

/// What happens to three objects; the n-th event has the version `FIRST + n`.
const EVENTS: [(&str, &str); 6] = [
    ("ADDED", "a"),
    ("ADDED", "b"),
    ("MODIFIED", "a"),
    ("DELETED", "a"),
    ("ADDED", "c"),
    ("MODIFIED", "b"),
];
const FIRST: usize = 10;

fn event(n: usize) -> Value {
    let (kind, name) = EVENTS[n];
    let mut object = object(name);
    object["metadata"]["resourceVersion"] = json!((FIRST + n).to_string());
    json!({"type": kind, "object": object})
}

fn parameter(request: &Request<Body>, name: &str) -> Option<String> {
    let query = request.uri().query().unwrap_or_default();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(key, _)| *key == name);
    found.next().map(|(_, value)| value.to_owned())
}

/// Serves the events after the version that is asked for. The first watch breaks off after so many.
fn breaking(after: usize, how: Break) -> (Arc<Mutex<Vec<Call>>>, Client) {
    let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
    let seen = Arc::clone(&calls);
    let service = tower::service_fn(move |request: Request<Body>| {
        let is_watch = parameter(&request, "watch").is_some();
        let call = if is_watch { Call::Watch } else { Call::List };
        let mut seen = seen.lock().unwrap();
        seen.push(call);
        let is_first = seen.iter().filter(|it| **it == Call::Watch).count() == 1;
        let answer = match call {
            Call::List => whole(seen.len() > 1),
            Call::Watch => {
                let version = parameter(&request, "resourceVersion").unwrap_or_default();
                let begin = version.parse::<usize>().expect("a version") + 1 - FIRST;
                watched(begin, is_first.then_some((after, how)))
            }
        };
        async move { Ok::<_, Infallible>(answer) }
    });
    (calls, Client::new(service, "default"))
}

/// Before anything happened, or after all of it.
fn whole(at_the_end: bool) -> Broken {
    let (objects, version) = match at_the_end {
        true => (vec![object("b"), object("c")], FIRST + EVENTS.len() - 1),
        false => (Vec::new(), FIRST - 1),
    };
    let list = json!({
        "kind": "ReplicationRegistryList", "apiVersion": "swr.huaweicloud.com/v1alpha1",
        "metadata": {"resourceVersion": version.to_string()}, "items": objects,
    });
    let body = Full::new(Bytes::from(list.to_string()));
    Response::new(body.map_err(|never| match never {}).boxed_unsync())
}

fn watched(begin: usize, breaks: Option<(usize, Break)>) -> Broken {
    let line = |n: usize| format!("{}\n", event(n));
    let end = breaks.map_or(EVENTS.len(), |(after, _)| after);
    let mut parts: Vec<io::Result<String>> = (begin..end).map(|n| Ok(line(n))).collect();
    match breaks {
        Some((n, Break::WithinLine)) if n < EVENTS.len() => {
            parts.push(Ok(line(n)[..40].to_owned()));
        }
        Some((_, Break::Reset)) => parts.push(Err(io::ErrorKind::ConnectionReset.into())),
        Some(_) | None => {}
    }
    let frames = futures::stream::iter(parts)
        .map(|part| part.map(|text| http_body::Frame::data(Bytes::from(text))));
    Response::new(match breaks {
        Some(_) => StreamBody::new(frames).boxed_unsync(),
        None => StreamBody::new(frames.chain(futures::stream::pending())).boxed_unsync(),
    })
}

/// What a watch told within so many seconds of paused time.
async fn told(secs: u64, client: Client) -> Vec<String> {
    let told = Mutex::new(Vec::new());
    let watch = watch_objects(client, None).for_each(|event| {
        told.lock().unwrap().push(match event {
            Event::Listing => "listing".to_owned(),
            Event::Listed => "listed".to_owned(),
            Event::Applied(seen) => format!("+{}", seen.key.name),
            Event::Deleted(seen) => format!("-{}", seen.key.name),
            Event::Failing(_) => "failing".to_owned(),
        });
        futures::future::ready(())
    });
    let _ = tokio::time::timeout(Duration::from_secs(secs), watch).await;
    told.into_inner().unwrap()
}

/// Who is there after all that was told.
fn present(told: &[String]) -> BTreeSet<&str> {
    let mut present = BTreeSet::new();
    for word in told {
        match word.split_at(1) {
            ("+", name) => drop(present.insert(name)),
            ("-", name) => drop(present.remove(name)),
            _ if word == "listing" => present.clear(),
            _ => {}
        }
    }
    present
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_breaks_off_after_any_event_misses_none() {
    for how in [Break::BetweenLines, Break::WithinLine, Break::Reset] {
        for after in 0..=EVENTS.len() {
            let (calls, client) = breaking(after, how);
            let told = told(60, client).await;
            let what = format!("{how:?} after {after}: {told:?}");
            assert_eq!(present(&told), BTreeSet::from(["b", "c"]), "{what}");
            let calls = calls.lock().unwrap();
            let lists = calls.iter().filter(|call| **call == Call::List).count();
            // Where it ended in order it goes on without a list; else one list says what there is.
            let most = if how == Break::BetweenLines { 1 } else { 2 };
            assert!(lists <= most, "{lists} lists, {what}");
            if lists == 1 {
                let told: Vec<_> = told.iter().filter(|word| !word.ends_with('g')).collect();
                let all = ["listed", "+a", "+b", "+a", "-a", "+c", "+b"];
                assert_eq!(told, all, "{what}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_went_while_a_watch_was_lost_is_missing_in_the_list_that_follows() {
    let (_, client) = Server::new(|call, nth| async move {
        match (call, nth) {
            (Call::List, 1) => list(&[object("gone"), object("stays")]),
            (Call::Watch, 1) => {
                let error = json!({"type": "ERROR", "object": failure(410, "Expired")});
                lines(vec![error], false)
            }
            (Call::List, _) => list(&[object("stays")]),
            (Call::Watch, _) => lines(Vec::new(), true),
        }
    });
    let told = told(60, client).await;
    assert_eq!(present(&told), BTreeSet::from(["stays"]), "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("listed"));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_stalls_within_its_body_is_asked_for_again() {
    for (secs, expected) in [
        (299, &["listing"][..]),
        (301, &["listing", "listing", "+a", "listed"]),
    ] {
        let (_, client) = Server::new(|call, nth| async move {
            match (call, nth) {
                (Call::List, 1) => {
                    let half = http_body::Frame::data(Bytes::from("{\"kind\": \"Repl"));
                    let half = futures::stream::iter([Ok(half)]);
                    let body = StreamBody::new(half.chain(futures::stream::pending()));
                    Response::new(body.boxed_unsync())
                }
                (Call::List, _) => list(&[object("a")]),
                (Call::Watch, _) => lines(Vec::new(), true),
            }
        });
        assert_eq!(told(secs, client).await, expected, "after {secs} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_whose_second_page_is_gone_begins_anew() {
    let page = |objects: &[Value], next: &str| {
        reply(
            200,
            &json!({
                "kind": "ReplicationRegistryList", "apiVersion": "swr.huaweicloud.com/v1alpha1",
                "metadata": {"resourceVersion": "9", "continue": next}, "items": objects,
            }),
        )
    };
    let (_, client) = Server::new(move |call, nth| async move {
        match (call, nth) {
            (Call::List, 1) => page(&[object("a"), object("gone")], "next"),
            (Call::List, 2) => reply(410, &failure(410, "Expired")),
            (Call::List, 3) => page(&[object("a")], "next"),
            (Call::List, _) => page(&[object("b")], ""),
            (Call::Watch, _) => lines(Vec::new(), true),
        }
    });
    let told = told(60, client).await;
    assert_eq!(present(&told), BTreeSet::from(["a", "b"]), "{told:?}");
    // Until a list is complete, nothing that it did not show is gone.
    let listed = told.iter().position(|word| word == "listed");
    assert_eq!(listed, Some(told.len() - 1), "{told:?}");
    assert_eq!(told.iter().filter(|word| *word == "listing").count(), 2);
}
