//! The control surface: what a test or a demo asks of the simulator itself. Must not know signatures or sockets.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::Simulator;
use crate::faults::Fault;
use crate::iam::{Trust, User};
use crate::message::{Reply, Request, decode};
use crate::sign::Keys;
use crate::switches::Switches;
use crate::world::World;
use crate::world::console::Mistake;

/// Paths that belong to the control surface.
pub const PREFIX: &str = "/_simulator/";

/// Answers one request of the control surface. It is not authenticated: the server listens on loopback only.
pub fn handle(simulator: &mut Simulator, request: &Request, now: Timestamp) -> Reply {
    match answer(simulator, request, now) {
        Ok(reply) => reply,
        Err(complaint) => Reply::json(complaint.status, &json!({"error": complaint.message})),
    }
}

/// What is wrong with a request, as a sentence.
struct Complaint {
    status: u16,
    message: String,
}

fn bad_request(message: impl Into<String>) -> Complaint {
    Complaint {
        status: 400,
        message: message.into(),
    }
}

impl From<Mistake> for Complaint {
    fn from(mistake: Mistake) -> Self {
        match mistake {
            Mistake::NoInstance(id) => Self {
                status: 404,
                message: format!("there is no instance {id:?}"),
            },
            Mistake::NoRegistry(id) => Self {
                status: 404,
                message: format!("there is no registry {id}"),
            },
            Mistake::Invalid(message) => bad_request(message),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Status {
    status: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policies {
    registries: BTreeSet<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Credential {
    access_key: String,
    secret_key: String,
    security_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    domain: String,
    name: String,
    password: String,
}

fn answer(
    simulator: &mut Simulator,
    request: &Request,
    now: Timestamp,
) -> Result<Reply, Complaint> {
    let path = request.path.strip_prefix(PREFIX).unwrap_or_default();
    let segments: Vec<String> = path.split('/').map(decode).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.first() {
        Some(&("journal" | "switches" | "faults")) => about_the_test(simulator, request, &segments),
        _ => about_the_cloud(&mut simulator.world, request, &segments, now),
    }
}

/// What somebody does to the cloud without its API.
fn about_the_cloud(
    world: &mut World,
    request: &Request,
    segments: &[&str],
    now: Timestamp,
) -> Result<Reply, Complaint> {
    match (request.method.as_str(), segments) {
        ("GET", ["registries"]) => {
            let registries = world.truth(&instance(request)?, now)?;
            return Ok(Reply::json(200, &json!({"registries": registries})));
        }
        ("POST", ["registries"]) => {
            let id = world.console_create(&instance(request)?, &request.body, now)?;
            return Ok(Reply::json(201, &json!({"id": id})));
        }
        ("PUT", ["registries", id]) => {
            world.console_update(&instance(request)?, number(id)?, &request.body, now)?;
        }
        ("DELETE", ["registries", id]) => {
            world.console_delete(&instance(request)?, number(id)?, now)?;
        }
        ("PUT", ["registries", id, "status"]) => {
            let Status { status } = body(request)?;
            world.set_health(&instance(request)?, number(id)?, status, now)?;
        }
        ("PUT", ["policies"]) => {
            let Policies { registries } = body(request)?;
            world.set_policies(&instance(request)?, registries)?;
        }
        ("PUT", ["instances", id]) => {
            let Status { status } = body(request)?;
            world.set_instance_status(id, &status.unwrap_or_default(), now)?;
        }
        ("DELETE", ["instances", id]) => world.remove_instance(id)?,
        ("PUT", ["credential"]) => {
            let Credential {
                access_key,
                secret_key,
                security_token,
            } = body(request)?;
            world.iam.keys = Keys {
                access_key,
                secret_key,
                security_token,
            };
        }
        ("PUT", ["user"]) => {
            let NewUser {
                domain,
                name,
                password,
            } = body(request)?;
            world.iam.user = Some(User {
                domain,
                name,
                password,
            });
        }
        ("DELETE", ["user"]) => world.iam.user = None,
        ("GET", ["trust"]) => return Ok(Reply::json(200, &json!(world.iam.trust))),
        ("PUT", ["trust"]) => {
            let named: Value = body(request)?;
            world
                .iam
                .trust
                .set_json(named)
                .map_err(|error| bad_request(error.to_string()))?;
            return Ok(Reply::json(200, &json!(world.iam.trust)));
        }
        ("DELETE", ["trust"]) => world.iam.trust = Trust::default(),
        ("DELETE", ["tokens"]) => world.iam.revoke(),
        ("DELETE", ["metadata-tokens"]) => world.iam.forget_metadata_tokens(),
        _ => return Err(no_such_thing(request)),
    }
    Ok(done())
}

/// What a test scripts and reads.
fn about_the_test(
    simulator: &mut Simulator,
    request: &Request,
    segments: &[&str],
) -> Result<Reply, Complaint> {
    let Simulator {
        world: World { switches, .. },
        faults,
        journal,
    } = simulator;
    match (request.method.as_str(), segments) {
        ("GET", ["journal"]) => {
            let after = request.parameter("after").unwrap_or_else(|| "0".to_owned());
            let after = after
                .parse()
                .map_err(|_| bad_request("after must be a sequence number"))?;
            let requests: Vec<_> = journal.after(after).collect();
            return Ok(Reply::json(200, &json!({"requests": requests})));
        }
        ("DELETE", ["journal"]) => journal.clear(),
        ("GET", ["switches"]) => return Ok(Reply::json(200, &switches.to_json())),
        ("PUT", ["switches"]) => {
            let named: Value = body(request)?;
            switches
                .set_json(&named)
                .map_err(|unknown| bad_request(unknown.to_string()))?;
            return Ok(Reply::json(200, &switches.to_json()));
        }
        ("DELETE", ["switches"]) => *switches = Switches::default(),
        ("GET", ["faults"]) => {
            return Ok(Reply::json(200, &json!({"faults": faults.all()})));
        }
        ("POST", ["faults"]) => {
            let fault: Fault = body(request)?;
            let id = faults.add(fault).map_err(bad_request)?;
            return Ok(Reply::json(201, &json!({"id": id})));
        }
        ("DELETE", ["faults"]) => faults.clear(),
        ("DELETE", ["faults", id]) => {
            let id = id
                .parse()
                .map_err(|_| bad_request("a fault has a number"))?;
            if !faults.remove(id) {
                return Err(Complaint {
                    status: 404,
                    message: format!("there is no fault {id}"),
                });
            }
        }
        _ => return Err(no_such_thing(request)),
    }
    Ok(done())
}

fn done() -> Reply {
    Reply::json(200, &json!({}))
}

fn no_such_thing(request: &Request) -> Complaint {
    Complaint {
        status: 404,
        message: format!(
            "there is no {} {}; the control surface has {}",
            request.method,
            request.path,
            SURFACE.join(", ")
        ),
    }
}

const SURFACE: [&str; 14] = [
    "GET|POST /_simulator/registries?instance=ID",
    "PUT|DELETE /_simulator/registries/{id}?instance=ID",
    "PUT /_simulator/registries/{id}/status?instance=ID",
    "PUT /_simulator/policies?instance=ID",
    "PUT|DELETE /_simulator/instances/{id}",
    "PUT /_simulator/credential",
    "PUT|DELETE /_simulator/user",
    "GET|PUT|DELETE /_simulator/trust",
    "DELETE /_simulator/tokens",
    "DELETE /_simulator/metadata-tokens",
    "GET|DELETE /_simulator/journal",
    "GET|PUT|DELETE /_simulator/switches",
    "GET|POST|DELETE /_simulator/faults",
    "DELETE /_simulator/faults/{id}",
];

fn instance(request: &Request) -> Result<String, Complaint> {
    request
        .parameter("instance")
        .ok_or_else(|| bad_request("say which instance: ?instance=ID"))
}

fn number(id: &str) -> Result<i64, Complaint> {
    id.parse()
        .map_err(|_| bad_request(format!("a registry has a number, not {id:?}")))
}

/// The complaint is serde's own: it names unknown words and lists those allowed.
fn body<T: for<'de> Deserialize<'de>>(request: &Request) -> Result<T, Complaint> {
    serde_json::from_slice(&request.body).map_err(|error| bad_request(error.to_string()))
}

#[cfg(test)]
mod tests;
