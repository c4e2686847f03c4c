//! Sees when objects are as wanted, by a watch of their namespace.
//!
//! A watch costs the API server next to nothing beside what it watches: the event that it sends here was encoded for the
//! operator's watch, too, and each write makes one. A list of 10,000 objects would cost 0.6 s of processor time a look.
//! RAW is watched in the same way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::client::{Client, User};
use crate::{Error, environment};

/// As short as client-go's shortest, so that a long run sees watches end.
const WATCH: Duration = Duration::from_mins(5);

#[derive(Debug)]
pub(crate) struct Observer {
    state: Arc<Mutex<State>>,
    /// Told after each change of the state.
    changed: Arc<Notify>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Of what was seen last.
    version: String,
    objects: HashMap<String, Seen>,
    /// The generation that is waited for.
    goal: i64,
    n_reached: usize,
    /// When an object reached the goal or went, last of all.
    last: Option<Instant>,
    failed: Option<String>,
}

/// One object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    generation: i64,
    /// The generation that it is Ready for, if it is.
    ready: Option<i64>,
    /// When it reached the goal.
    reached: Option<Instant>,
}

impl Seen {
    fn reaches(&self, goal: i64) -> bool {
        self.generation >= goal && self.ready.is_some_and(|ready| ready >= self.generation)
    }
}

#[derive(Deserialize)]
struct Event {
    r#type: String,
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    metadata: Metadata,
    #[serde(default)]
    status: serde_json::Value,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: String,
    generation: i64,
    resource_version: String,
}

impl Observer {
    /// Watches the objects at this path of an empty namespace from now on.
    pub(crate) async fn start(client: &Client, user: &User, path: &str) -> Result<Self, Error> {
        let list = client.get(user, &format!("{path}?limit=1")).await?;
        let version = list["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default();
        let state = Arc::new(Mutex::new(State {
            version: version.to_owned(),
            ..State::default()
        }));
        let changed = Arc::new(Notify::new());
        let watch = Watch {
            client: client.clone(),
            user: user.clone(),
            path: path.to_owned(),
            state: Arc::clone(&state),
            changed: Arc::clone(&changed),
        };
        // The first one here, so that the caller learns at once that none can be had.
        let stream = watch.open().await?;
        let task = Handle::current().spawn(watch.follow(stream));
        Ok(Self {
            state,
            changed,
            task,
        })
    }

    /// Waits from now on for objects that are Ready for this generation.
    pub(crate) fn aim(&self, generation: i64) {
        let mut state = lock(&self.state);
        state.goal = generation;
        state.last = None;
        for seen in state.objects.values_mut() {
            seen.reached = None;
        }
        state.n_reached = state
            .objects
            .values()
            .filter(|seen| seen.reaches(generation))
            .count();
    }

    /// Waits until that many objects have reached the goal, and says when the last one did.
    pub(crate) async fn reached(&self, n: usize, deadline: Duration) -> Result<Instant, Error> {
        self.until(deadline, |state| {
            let seen = format!("{} of {n} objects", state.n_reached);
            (state.n_reached >= n, seen)
        })
        .await
    }

    /// Waits until no more than that many objects are left, and says when the last one went.
    pub(crate) async fn left(&self, n: usize, deadline: Duration) -> Result<Instant, Error> {
        self.until(deadline, |state| {
            let seen = format!("{} objects left", state.objects.len());
            (state.objects.len() <= n, seen)
        })
        .await
    }

    /// When this object reached the goal.
    pub(crate) fn reached_at(&self, name: &str) -> Option<Instant> {
        lock(&self.state).objects.get(name)?.reached
    }

    async fn until(
        &self,
        deadline: Duration,
        look: impl Fn(&State) -> (bool, String),
    ) -> Result<Instant, Error> {
        let started = environment::now();
        loop {
            let (seen, failed) = {
                let state = lock(&self.state);
                let (done, seen) = look(&state);
                if done {
                    return Ok(state.last.unwrap_or(started));
                }
                (seen, state.failed.clone())
            };
            if let Some(seen) = failed {
                let expected = "a watch that lasts".to_owned();
                return Err(Error::Unexpected { expected, seen });
            }
            let left = deadline.saturating_sub(started.elapsed());
            let changed = tokio::time::timeout(left, self.changed.notified()).await;
            if changed.is_err() {
                return Err(Error::Deadline {
                    what: "the last object".to_owned(),
                    deadline,
                    seen,
                });
            }
        }
    }
}

/// What the task of an observer holds.
struct Watch {
    client: Client,
    user: User,
    path: String,
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

impl Watch {
    /// Goes on with the first version that was not seen.
    async fn open(&self) -> Result<reqwest::Response, Error> {
        let version = lock(&self.state).version.clone();
        let seconds = WATCH.as_secs();
        let query = format!("watch=true&resourceVersion={version}&timeoutSeconds={seconds}");
        let path = format!("{}?{query}", self.path);
        self.client.watch(&self.user, &path).await
    }

    /// One watch after the other: kube-apiserver ends each after its time, and earlier one that is read too slowly, as
    /// every one is for a moment on a busy machine.
    async fn follow(self, mut stream: reqwest::Response) {
        let failed = loop {
            self.read(stream).await;
            if lock(&self.state).failed.is_some() {
                return;
            }
            stream = match self.open().await {
                Ok(stream) => stream,
                Err(error) => break error,
            };
        };
        lock(&self.state).failed = Some(failed.to_string());
        self.changed.notify_one();
    }

    /// Until the stream ends, whole or broken: a line that is cut off comes again with the next one.
    async fn read(&self, mut stream: reqwest::Response) {
        let mut buffer = Vec::new();
        while let Ok(Some(bytes)) = stream.chunk().await {
            buffer.extend_from_slice(&bytes);
            let Some(end) = buffer.iter().rposition(|byte| *byte == b'\n') else {
                continue;
            };
            let rest = buffer.split_off(end + 1);
            let now = environment::now();
            let mut state = lock(&self.state);
            for line in buffer.split(|byte| *byte == b'\n') {
                state.enter(line, now);
            }
            drop(state);
            self.changed.notify_one();
            buffer = rest;
        }
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn enter(&mut self, line: &[u8], now: Instant) {
        if line.is_empty() {
            return;
        }
        match serde_json::from_slice::<Event>(line) {
            Ok(event) if event.r#type == "ERROR" => {
                self.failed = Some(String::from_utf8_lossy(line).into_owned());
            }
            Ok(event) => self.apply(event, now),
            Err(error) => self.failed = Some(error.to_string()),
        }
    }

    fn apply(&mut self, event: Event, now: Instant) {
        self.version = event.object.metadata.resource_version;
        let name = event.object.metadata.name;
        let before = self.objects.get(&name).copied();
        let had_reached = before.is_some_and(|seen| seen.reaches(self.goal));
        if event.r#type == "DELETED" {
            self.objects.remove(&name);
            self.n_reached -= usize::from(had_reached);
            self.last = Some(now);
            return;
        }
        let mut seen = Seen {
            generation: event.object.metadata.generation,
            ready: ready_for(&event.object.status),
            reached: before.and_then(|seen| seen.reached),
        };
        let reaches = seen.reaches(self.goal);
        if reaches && !had_reached {
            seen.reached = Some(now);
            self.last = Some(now);
        }
        self.n_reached += usize::from(reaches);
        self.n_reached -= usize::from(had_reached);
        self.objects.insert(name, seen);
    }
}

/// The generation that an object is Ready for: that of the condition, else that of the status.
fn ready_for(status: &serde_json::Value) -> Option<i64> {
    let conditions = status["conditions"].as_array()?;
    let ready = conditions
        .iter()
        .find(|condition| condition["type"] == "Ready")?;
    if ready["status"] != "True" {
        return None;
    }
    ready["observedGeneration"]
        .as_i64()
        .or_else(|| status["observedGeneration"].as_i64())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, name: &str, generation: i64, status: serde_json::Value) -> Vec<u8> {
        let metadata = json!({"name": name, "generation": generation, "resourceVersion": "7"});
        json!({"type": kind, "object": {"metadata": metadata, "status": status}})
            .to_string()
            .into_bytes()
    }

    fn ready(generation: i64) -> serde_json::Value {
        json!({"observedGeneration": generation, "conditions": [{"type": "Ready", "status": "True"}]})
    }

    #[test]
    fn an_object_counts_while_it_is_ready_for_its_generation() {
        let now = environment::now();
        let mut state = State {
            goal: 1,
            ..State::default()
        };
        let mut after = |line: Vec<u8>| {
            state.enter(&line, now);
            (state.objects.len(), state.n_reached)
        };
        assert_eq!(after(event("ADDED", "a", 1, json!({}))), (1, 0));
        assert_eq!(after(event("MODIFIED", "a", 1, ready(1))), (1, 1));
        assert_eq!(after(event("MODIFIED", "a", 2, ready(1))), (1, 0));
        assert_eq!(after(event("MODIFIED", "a", 2, ready(2))), (1, 1));
        assert_eq!(after(event("ADDED", "b", 1, ready(1))), (2, 2));
        assert_eq!(after(event("DELETED", "a", 2, ready(2))), (1, 1));
        assert_eq!((state.version, state.failed), ("7".to_owned(), None));
    }

    #[test]
    fn the_condition_says_for_which_generation_it_is() {
        let condition = json!({"type": "Ready", "status": "True", "observedGeneration": 3});
        let status = json!({"observedGeneration": 4, "conditions": [condition]});
        assert_eq!(ready_for(&status), Some(3));
        let status = json!({"conditions": [{"type": "Ready", "status": "False"}]});
        assert_eq!(ready_for(&status), None);
        assert_eq!(ready_for(&json!({})), None);
    }
}
