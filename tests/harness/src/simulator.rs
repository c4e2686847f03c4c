//! The SWR simulator as a process of its own, and its control surface as a person at the console would use it.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::Error;
use crate::http::Http;
use crate::process::{Process, tethered};
use crate::wait::{Look, until};

const STARTED: Duration = Duration::from_secs(15);

#[derive(Clone, Debug)]
pub struct SimulatorOptions {
    pub binary: PathBuf,
    pub region: String,
    pub project_id: String,
    pub instance_ids: Vec<String>,
    pub access_key: String,
    pub secret_key: String,
    /// `NAME=VALUE`.
    pub switches: Vec<String>,
    pub log_path: PathBuf,
}

/// One request to the cloud's own paths.
#[derive(Clone, Debug, Deserialize)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Absent when no answer was given.
    pub status: Option<u16>,
}

impl Request {
    /// `PUT registries/1`: the method and what follows the instance.
    pub fn short(&self) -> String {
        let rest = self
            .path
            .find("/registries")
            .map_or(self.path.as_str(), |start| &self.path[start + 1..]);
        format!("{} {}", self.method, rest.trim_end_matches('/'))
    }

    /// A write to a registry, answered or refused.
    pub fn is_write(&self) -> bool {
        self.path.contains("/registries") && self.method != "GET"
    }
}

/// So many requests of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Struck {
    pub struck: u64,
    pub of: u64,
}

/// What a person does at the console, and what the simulator tells of itself, wherever it runs.
#[derive(Clone, Debug)]
pub struct Console {
    endpoint: String,
    http: Http,
}

#[derive(Debug)]
pub struct Simulator {
    process: Process,
    console: Console,
}

impl Deref for Simulator {
    type Target = Console;

    fn deref(&self) -> &Console {
        &self.console
    }
}

impl Simulator {
    pub fn spawn(options: &SimulatorOptions) -> Result<Self, Error> {
        let mut command = tethered(&options.binary);
        command.args([
            "--listen",
            "127.0.0.1:0",
            "--region",
            &options.region,
            "--project",
            &options.project_id,
        ]);
        for instance_id in &options.instance_ids {
            command.args(["--instance", instance_id]);
        }
        command.args([
            "--access-key",
            &options.access_key,
            "--secret-key",
            &options.secret_key,
        ]);
        for switch in &options.switches {
            command.args(["--switch", switch]);
        }
        let mut process = Process::spawn("swr-simulator", command, &options.log_path)?;
        let endpoint = until(STARTED, "the first line of the simulator", || {
            if let Err(error) = process.assert_running() {
                return Look::Hopeless(error);
            }
            match listening(&process.log()) {
                Some(endpoint) => Look::Ready(endpoint),
                None => Look::NotYet(format!("{:?}", process.log())),
            }
        })?;
        Ok(Self {
            process,
            console: Console::at(endpoint),
        })
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub fn log_path(&self) -> &Path {
        self.process.log_path()
    }

    pub fn assert_running(&mut self) -> Result<(), Error> {
        self.process.assert_running()
    }

    pub fn stop(&mut self) {
        self.process.stop();
    }
}

impl Console {
    /// Of the simulator that answers there.
    pub fn at(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            http: Http::default(),
        }
    }

    /// `http://127.0.0.1:PORT`, for SWR, IAM and the control surface alike.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Everything that this instance holds, in the API's field names.
    pub fn registries(&self, instance_id: &str) -> Result<Vec<Value>, Error> {
        let mut answer = self.http.get_json(&self.url("registries", instance_id))?;
        Ok(match answer["registries"].take() {
            Value::Array(registries) => registries,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_) => Vec::new(),
        })
    }

    /// Somebody creates a registry in the console.
    pub fn console_create(&self, instance_id: &str, body: &Value) -> Result<Value, Error> {
        self.http
            .post_json(&self.url("registries", instance_id), body)
    }

    /// Somebody edits a registry in the console; the whole body counts.
    pub fn console_edit(&self, instance_id: &str, id: i64, body: &Value) -> Result<Value, Error> {
        self.http
            .put_json(&self.url(&format!("registries/{id}"), instance_id), body)
    }

    /// Somebody deletes a registry in the console.
    pub fn console_delete(&self, instance_id: &str, id: i64) -> Result<(), Error> {
        self.http
            .delete(&self.url(&format!("registries/{id}"), instance_id))
    }

    /// What the cloud's own paths were asked since the journal was last cleared.
    pub fn journal(&self) -> Result<Vec<Request>, Error> {
        let mut answer = self
            .http
            .get_json(&format!("{}/_simulator/journal", self.endpoint))?;
        serde_json::from_value(answer["requests"].take())
            .map_err(Error::json("the simulator's journal"))
    }

    pub fn clear_journal(&self) -> Result<(), Error> {
        self.http
            .delete(&format!("{}/_simulator/journal", self.endpoint))
    }

    /// From now on requests that match are struck by this.
    pub fn fault(&self, fault: &Value) -> Result<(), Error> {
        self.http.post_json(&self.faults(), fault).map(drop)
    }

    /// What the faults in force have struck so far, each of which was for every request.
    pub fn struck(&self) -> Result<Struck, Error> {
        let answer = self.http.get_json(&self.faults())?;
        let of = |field: &'static str| {
            let faults = answer["faults"].as_array().into_iter().flatten();
            faults.map(move |fault| fault[field].as_u64().unwrap_or_default())
        };
        Ok(Struck {
            struck: of("struck").sum(),
            of: of("matched").max().unwrap_or_default(),
        })
    }

    pub fn clear_faults(&self) -> Result<(), Error> {
        self.http.delete(&self.faults())
    }

    fn faults(&self) -> String {
        format!("{}/_simulator/faults", self.endpoint)
    }

    fn url(&self, path: &str, instance_id: &str) -> String {
        format!("{}/_simulator/{path}?instance={instance_id}", self.endpoint)
    }
}

fn listening(log: &str) -> Option<String> {
    // A line that is still being written has no end yet.
    let (line, _) = log.split_once('\n')?;
    line.strip_prefix("listening on ")
        .map(|endpoint| endpoint.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_counts_once_it_is_whole() {
        assert_eq!(listening("listening on http://127.0.0.1:80"), None);
        assert_eq!(
            listening("listening on http://127.0.0.1:80\n..."),
            Some("http://127.0.0.1:80".to_owned())
        );
    }

    #[test]
    fn a_request_is_shown_from_the_registry_on() {
        let request = |method: &str, path: &str| Request {
            method: method.into(),
            path: path.into(),
            status: Some(200),
        };
        let put = request("PUT", "/v2/p/instances/i/registries/1");
        assert_eq!(
            (put.short().as_str(), put.is_write()),
            ("PUT registries/1", true)
        );
        let list = request("GET", "/v2/p/instances/i/registries");
        assert_eq!(
            (list.short().as_str(), list.is_write()),
            ("GET registries", false)
        );
        assert!(!request("POST", "/v3/auth/tokens").is_write());
    }
}
