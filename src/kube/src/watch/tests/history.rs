//! Whatever happens to the connection at whichever event, what the watch has shown in the end is what is there
//! (K01, K02, K06).

use std::collections::BTreeMap;

use super::*;

/// Type, name and generation of each event; the first one is of version 11.
const HISTORY: [(&str, &str, i64); 6] = [
    ("ADDED", "a", 1),
    ("MODIFIED", "a", 2),
    ("ADDED", "b", 1),
    ("DELETED", "a", 2),
    ("ADDED", "c", 1),
    ("MODIFIED", "kept", 2),
];
/// Version of the list before the first event.
const BEGINNING: usize = 10;

/// Generations by name.
type State = BTreeMap<String, i64>;

fn at(name: &str, generation: i64, version: usize) -> Value {
    let mut object = object(name);
    object["metadata"]["generation"] = json!(generation);
    object["metadata"]["resourceVersion"] = json!(version.to_string());
    object
}

/// What is there after so many events.
fn state_after(n: usize) -> State {
    let mut state = State::from([("kept".to_owned(), 1)]);
    for (type_, name, generation) in &HISTORY[..n] {
        match *type_ {
            "DELETED" => state.remove(*name),
            _ => state.insert((*name).to_owned(), *generation),
        };
    }
    state
}

fn list_after(n: usize) -> Reply {
    let version = BEGINNING + n;
    let objects: Vec<Value> = state_after(n)
        .iter()
        .map(|(name, generation)| at(name, *generation, version))
        .collect();
    let metadata = json!({"resourceVersion": version.to_string()});
    reply(200, &json!({"metadata": metadata, "items": objects}))
}

/// The events from a version on, up to the nth.
fn events(since: usize, up_to: usize) -> Vec<Value> {
    let from = since.saturating_sub(BEGINNING).min(up_to);
    let events = HISTORY[..up_to].iter().enumerate().skip(from);
    events
        .map(|(n, (type_, name, generation))| {
            json!({"type": type_, "object": at(name, *generation, BEGINNING + n + 1)})
        })
        .collect()
}

/// What whoever listens believes to be there, and every event as a word.
#[derive(Default)]
struct Listener {
    state: State,
    /// What a list has shown that is not complete.
    listed: Option<State>,
    told: Vec<String>,
}

impl Listener {
    fn hears(&mut self, event: Event<Seen>) {
        let told = match event {
            Event::Listing => {
                self.listed = Some(State::new());
                "listing".to_owned()
            }
            Event::Listed => {
                self.state = self.listed.take().unwrap_or_default();
                "listed".to_owned()
            }
            Event::Applied(seen) => {
                let name = seen.key.name.to_string();
                let state = self.listed.as_mut().unwrap_or(&mut self.state);
                state.insert(name.clone(), seen.generation);
                name
            }
            Event::Deleted(seen) => {
                self.state.remove(&*seen.key.name);
                format!("-{}", seen.key.name)
            }
            Event::Failing(_) => "failing".to_owned(),
        };
        self.told.push(told);
    }

    /// Listens for two minutes of paused time.
    async fn to(client: Client) -> Self {
        let listener = Mutex::new(Listener::default());
        let watch = watch_objects(client, None).for_each(|event| {
            listener.lock().unwrap().hears(event);
            futures::future::ready(())
        });
        let _ = tokio::time::timeout(Duration::from_secs(120), watch).await;
        listener.into_inner().unwrap()
    }
}

/// What happens after the nth event of the first watch.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Wire(Then),
    /// An event says that the place in history is gone.
    Gone,
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_at_any_event_loses_nothing() {
    for (trouble, n_lists) in [
        (Trouble::Wire(Then::Ends), 1),
        (Trouble::Wire(Then::EndsWithinLine), 1),
        (Trouble::Wire(Then::Breaks), 2),
        (Trouble::Gone, 2),
    ] {
        for n in 0..=HISTORY.len() {
            let (server, client) = Server::asked(move |asked| async move {
                let since: usize = asked
                    .parameter("resourceVersion")
                    .parse()
                    .unwrap_or_default();
                match (asked.call, asked.nth, trouble) {
                    (Call::List, 1, _) => list_after(0),
                    // Meanwhile all has happened.
                    (Call::List, _, _) => list_after(HISTORY.len()),
                    (Call::Watch, 1, Trouble::Wire(then)) => lines(events(since, n), then),
                    (Call::Watch, 1, Trouble::Gone) => {
                        let gone = json!({"type": "ERROR", "object": failure(410, "Expired")});
                        lines([events(since, n), vec![gone]].concat(), Then::Ends)
                    }
                    (Call::Watch, _, _) => lines(events(since, HISTORY.len()), Then::StaysOpen),
                }
            });
            let listener = Listener::to(client).await;
            let what = format!("{trouble:?} after {n} events: {:?}", listener.told);
            assert_eq!(listener.state, state_after(HISTORY.len()), "{what}");
            assert_eq!(server.count(Call::List), n_lists, "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_whose_second_page_has_expired_begins_anew_and_shows_nothing_as_gone() {
    let page = |name: &str, next: &str| {
        let metadata = json!({"resourceVersion": "11", "continue": next});
        reply(200, &json!({"metadata": metadata, "items": [object(name)]}))
    };
    let (_, client) = Server::asked(move |asked| async move {
        match (asked.call, asked.nth, asked.parameter("continue")) {
            (Call::List, 2, "more") => reply(410, &failure(410, "Expired")),
            (Call::List, _, "") => page("a", "more"),
            (Call::List, ..) => page("b", ""),
            (Call::Watch, ..) => lines(Vec::new(), Then::StaysOpen),
        }
    });
    let told = Listener::to(client).await.told;
    let expected = ["listing", "a", "failing", "listing", "a", "b", "listed"];
    assert_eq!(told, expected);
}
