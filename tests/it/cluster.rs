//! The real API server as an administrator sees it, and its audit log. Must not know the operator or SWR.

use std::collections::BTreeSet;
use std::fs::File;
use std::future::Future;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;

use harness::{
    ControlPlane, apply_install, eventually_blocking, kubectl_stdout, service_account_kubeconfig,
};
use jiff::Timestamp;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Of the operator, its ServiceAccount and its installation.
pub(crate) const OPERATOR: &str = "swr-operator";

/// A request to an API server that shares two cores with everything else.
const CALL: Duration = Duration::from_secs(30);

/// The tests are plain functions; what has to await does it here.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
});

/// Awaits from a plain test.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

/// The control plane of the run, with the operator's installation applied.
pub(crate) struct Cluster {
    pub(crate) plane: &'static ControlPlane,
    /// Where tests may leave files; it goes with the control plane.
    pub(crate) folder: PathBuf,
    /// Holds a token of the shipped ServiceAccount.
    pub(crate) operator_kubeconfig: PathBuf,
    client: Client,
}

/// Why the API server did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: u16,
    pub(crate) message: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.code, self.message)
    }
}

impl Cluster {
    /// Starts it with the first test that asks.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Self::on(ControlPlane::shared()))
    }

    /// Of a control plane that other tests do not use. Neither is given back, so that both can be handed around as
    /// those that all share; whoever starts it ends its processes.
    pub(crate) fn own() -> &'static Self {
        let plane = ControlPlane::start_temporary().expect("a control plane of its own");
        Box::leak(Box::new(Self::on(Box::leak(Box::new(plane)))))
    }

    fn on(plane: &'static ControlPlane) -> Self {
        apply_install(plane).expect("deploy/base is applied");
        // Kinds are established, and served, a moment before kubectl discovers them.
        for kind in ["rreg", "swraccount"] {
            eventually_blocking(CALL, "kubectl knows the kind", || {
                kubectl_stdout(plane, &["explain", kind], None)
            });
        }
        let folder = plane.audit_log().with_file_name("it");
        std::fs::create_dir_all(&folder).expect("a folder for the tests");
        let operator_kubeconfig = service_account_kubeconfig(
            plane,
            OPERATOR,
            OPERATOR,
            &folder.join("operator.kubeconfig"),
        )
        .expect("a token of the shipped ServiceAccount");
        let client = block_on(client(plane.kubeconfig()));
        Self {
            plane,
            folder,
            operator_kubeconfig,
            client,
        }
    }

    fn call(
        &self,
        method: http::Method,
        path: &str,
        content_type: &str,
        body: Option<&Value>,
    ) -> Result<Value, Refused> {
        let what = format!("{method} {path}");
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::CONTENT_TYPE, content_type)
            .body(body)
            .expect("a request");
        let answer = block_on(async {
            tokio::time::timeout(CALL, self.client.request::<Value>(request)).await
        });
        match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(kube::Error::Api(status))) => Err(Refused {
                code: status.code,
                message: status.message.clone(),
            }),
            Ok(Err(error)) => panic!("{what}: {error}"),
            Err(elapsed) => panic!("{what}: no answer within {CALL:?}: {elapsed}"),
        }
    }

    /// `None` if there is no such thing.
    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        match self.call(http::Method::GET, path, "application/json", None) {
            Ok(value) => Some(value),
            Err(refused) if refused.code == 404 => None,
            Err(refused) => panic!("GET {path}: {refused}"),
        }
    }

    /// The items of a list.
    pub(crate) fn list(&self, path: &str) -> Vec<Value> {
        let list = self.get(path).unwrap_or_default();
        list["items"].as_array().cloned().unwrap_or_default()
    }

    pub(crate) fn create(&self, path: &str, object: &Value) -> Result<Value, Refused> {
        self.call(http::Method::POST, path, "application/json", Some(object))
    }

    /// A merge patch.
    pub(crate) fn patch(&self, path: &str, patch: &Value) -> Result<Value, Refused> {
        self.call(
            http::Method::PATCH,
            path,
            "application/merge-patch+json",
            Some(patch),
        )
    }

    pub(crate) fn delete(&self, path: &str) -> Result<Value, Refused> {
        let background = json!({"propagationPolicy": "Background"});
        self.call(
            http::Method::DELETE,
            path,
            "application/json",
            Some(&background),
        )
    }

    /// The token of the shipped ServiceAccount, and the key of the installation as it stands in its Secret.
    pub(crate) fn secrets_of_operator(&self) -> [String; 2] {
        let kubeconfig = std::fs::read(&self.operator_kubeconfig).expect("the kubeconfig");
        let kubeconfig: Value = serde_json::from_slice(&kubeconfig).expect("JSON");
        let key = self.get("/api/v1/namespaces/swr-operator/secrets/swr-operator-key");
        let key = key.expect("an operator has run");
        [
            &kubeconfig["users"][0]["user"]["token"],
            &key["data"]["key"],
        ]
        .map(|secret| secret.as_str().expect("a secret").to_owned())
    }

    /// kubectl, which must succeed.
    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        kubectl_stdout(self.plane, args, None).unwrap_or_else(|error| panic!("{error}"))
    }

    /// What the operator has asked the API server from now on.
    pub(crate) fn audit(&self) -> Audit {
        Audit::of(self.plane, OPERATOR, OPERATOR)
    }
}

async fn client(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("the administrator's kubeconfig");
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .expect("a configuration");
    // A proxy of the environment is meant for the world outside.
    config.proxy_url = None;
    Client::try_from(config).expect("a client")
}

/// The part of the audit log that was written since it was made.
#[derive(Clone, Debug)]
pub(crate) struct Audit {
    path: PathBuf,
    user: String,
    start: u64,
    /// What is seen of a write may come before its line in the log, so the time of the request counts.
    since: Timestamp,
}

#[expect(
    clippy::disallowed_methods,
    reason = "compared with the times of other processes, which read them off the same clock"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// A write of a status that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StatusWrite {
    /// Else a test's.
    pub(crate) is_of_operator: bool,
    pub(crate) at: Timestamp,
    /// Whether nobody knows what the write before it made of the object.
    pub(crate) follows_unanswered: bool,
    /// What came of it.
    pub(crate) object: Value,
}

/// A request of the operator's that was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) verb: String,
    /// With the subresource, as in RBAC: `replicationregistries/status`.
    pub(crate) resource: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) code: u64,
    /// When it came in.
    pub(crate) at: Timestamp,
    /// With the query.
    pub(crate) uri: String,
}

impl Asked {
    pub(crate) fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch")
    }
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            verb,
            resource,
            namespace,
            name,
            code,
            at: _,
            uri: _,
        } = self;
        write!(f, "{verb} {resource} {namespace}/{name} {code}")
    }
}

impl Audit {
    /// What this ServiceAccount asks from now on.
    pub(crate) fn of(plane: &ControlPlane, namespace: &str, account: &str) -> Self {
        let path = plane.audit_log().to_path_buf();
        let start = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        Self {
            path,
            user: format!("system:serviceaccount:{namespace}:{account}"),
            start,
            since: now(),
        }
    }

    /// The same from the beginning of the log.
    pub(crate) fn whole(&self) -> Self {
        Self {
            start: 0,
            since: Timestamp::MIN,
            ..self.clone()
        }
    }

    /// Everything that operators have asked, oldest first. A watch counts when it has ended.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        let events = self.events::<Event>(&self.user).into_iter();
        events
            .filter(|event| self.is_of_operator(event))
            .map(asked)
            .collect()
    }

    /// What came of each write of a status, oldest first: the whole object. What a test wrote itself is among them.
    pub(crate) fn statuses(&self) -> Vec<StatusWrite> {
        let mut unanswered = BTreeSet::new();
        let mut statuses = Vec::new();
        for written in self.events::<Written>("\"subresource\":\"status\"") {
            let event = &written.event;
            if !self.is_recent(event) {
                continue;
            }
            match event.response_status.code {
                // Of other kinds the log keeps no object.
                200 if !written.response_object.is_null() => statuses.push(StatusWrite {
                    is_of_operator: self.is_of_operator(event),
                    at: event.request_received_timestamp,
                    follows_unanswered: unanswered.remove(&event.object_ref),
                    object: written.response_object,
                }),
                // Whoever sent it was gone before the answer; it may be stored.
                504 => drop(unanswered.insert(written.event.object_ref)),
                _ => {}
            }
        }
        statuses
    }

    /// The lines of writes of our kinds, whoever wrote, with the whole object that came of each.
    pub(crate) fn lines_of_written(&self) -> String {
        let (lines, _) = self.lines();
        let written = lines.lines().filter(|line| line.contains(WRITTEN));
        written.flat_map(|line| [line, "\n"]).collect()
    }

    /// What came of each write of our kinds, oldest first, once: the next call gives what came since.
    pub(crate) fn take_written(&mut self) -> Vec<Value> {
        let (lines, end) = self.lines();
        self.start = end;
        self.written_in(&lines)
    }

    fn written_in(&self, lines: &str) -> Vec<Value> {
        let written = parse::<Written>(lines, WRITTEN).into_iter();
        written
            .filter(|written| self.is_recent(&written.event))
            .filter(|written| matches!(written.event.response_status.code, 200 | 201))
            .map(|written| written.response_object)
            .collect()
    }

    fn is_of_operator(&self, event: &Event) -> bool {
        event.user.username == self.user && self.is_recent(event)
    }

    fn is_recent(&self, event: &Event) -> bool {
        event.stage == "ResponseComplete" && event.request_received_timestamp >= self.since
    }

    /// The events in whose lines these words stand.
    fn events<T: DeserializeOwned>(&self, words: &str) -> Vec<T> {
        parse(&self.lines().0, words)
    }

    /// The whole lines of its part, and where they end.
    fn lines(&self) -> (String, u64) {
        let mut file = File::open(&self.path).expect("the audit log");
        // From the end of the line before: the log may have ended within a line, which is older than `since`.
        let start = self.start.saturating_sub(1);
        file.seek(SeekFrom::Start(start)).expect("its part");
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).expect("the audit log");
        let is_end = |byte: &u8| *byte == b'\n';
        let begin = match self.start {
            0 => 0,
            _ => (bytes.iter().position(is_end)).map_or(bytes.len(), |end| end + 1),
        };
        let end = (bytes.iter().rposition(is_end)).map_or(begin, |end| begin.max(end + 1));
        let text = String::from_utf8_lossy(&bytes[begin..end]).into_owned();
        (text, start + u64::try_from(end).expect("a length"))
    }

    /// What operators have asked about a namespace and what is in it.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Vec<Asked> {
        let mut asked = self.asked();
        asked.retain(|asked| asked.namespace == namespace);
        asked
    }
}

/// Stands in the lines of writes.
const WRITTEN: &str = "\"responseObject\":";

/// The lines in which these words stand.
fn parse<T: DeserializeOwned>(lines: &str, words: &str) -> Vec<T> {
    lines
        .lines()
        .filter(|line| line.contains(words))
        .map(|line| serde_json::from_str(line).expect("an audit event"))
        .collect()
}

/// What is read of an event of the audit log.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    verb: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    request_received_timestamp: Timestamp,
    user: User,
    #[serde(default)]
    object_ref: Reference,
    #[serde(default)]
    response_status: Status,
}

/// An event with the object that was answered.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    #[serde(flatten)]
    event: Event,
    #[serde(default)]
    response_object: Value,
}

#[derive(Deserialize)]
struct User {
    /// Empty for whoever gives no token, or one that does not hold.
    #[serde(default)]
    username: String,
}

#[derive(Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(default)]
struct Reference {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u64,
}

fn asked(event: Event) -> Asked {
    let Reference {
        resource,
        subresource,
        namespace,
        name,
    } = event.object_ref;
    Asked {
        verb: event.verb,
        resource: match subresource.as_str() {
            "" => resource,
            subresource => format!("{resource}/{subresource}"),
        },
        namespace,
        name,
        code: event.response_status.code,
        at: event.request_received_timestamp,
        uri: event.request_uri,
    }
}
