//! JSON over plain HTTP on loopback, with a deadline and without a proxy.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

use crate::Error;

/// Everything asked here answers from memory on the same machine.
const DEADLINE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct Http {
    agent: Agent,
}

impl Default for Http {
    fn default() -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(DEADLINE))
            .http_status_as_error(false)
            // A proxy of the environment is meant for the world outside.
            .proxy(None)
            .build();
        Self {
            agent: config.into(),
        }
    }
}

/// The body that a GET gives.
pub fn get_text(url: &str) -> Result<String, Error> {
    let (status, body) = Http::default().get(url)?;
    answered("GET", url, status, &body)?;
    Ok(body)
}

impl Http {
    /// Any status is an answer; an error means that there was none.
    pub fn get(&self, url: &str) -> Result<(u16, String), Error> {
        let mut response = self.agent.get(url).call().map_err(failed("GET", url))?;
        let body = response
            .body_mut()
            .read_to_string()
            .map_err(failed("GET", url))?;
        Ok((response.status().as_u16(), body))
    }

    pub fn get_json(&self, url: &str) -> Result<Value, Error> {
        let (status, body) = self.get(url)?;
        answered("GET", url, status, &body)?;
        serde_json::from_str(&body).map_err(Error::json(format!("the answer of {url}")))
    }

    /// As [`Self::get`] with status 200, for a body of up to 256 MiB: a journal of 50,000 requests has about 50.
    pub fn get_large(&self, url: &str) -> Result<String, Error> {
        const BODY_BYTES_MAX: u64 = 256 << 20;
        let mut response = self.agent.get(url).call().map_err(failed("GET", url))?;
        let body = response
            .body_mut()
            .with_config()
            .limit(BODY_BYTES_MAX)
            .read_to_string()
            .map_err(failed("GET", url))?;
        answered("GET", url, response.status().as_u16(), &body)?;
        Ok(body)
    }

    pub fn delete(&self, url: &str) -> Result<(), Error> {
        let mut response = self
            .agent
            .delete(url)
            .call()
            .map_err(failed("DELETE", url))?;
        let body = response.body_mut().read_to_string().unwrap_or_default();
        answered("DELETE", url, response.status().as_u16(), &body)
    }

    pub fn post_json(&self, url: &str, body: &Value) -> Result<Value, Error> {
        let mut response = self
            .agent
            .post(url)
            .send_json(body)
            .map_err(failed("POST", url))?;
        let text = response
            .body_mut()
            .read_to_string()
            .map_err(failed("POST", url))?;
        answered("POST", url, response.status().as_u16(), &text)?;
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    pub fn put_json(&self, url: &str, body: &Value) -> Result<Value, Error> {
        let mut response = self
            .agent
            .put(url)
            .send_json(body)
            .map_err(failed("PUT", url))?;
        let text = response
            .body_mut()
            .read_to_string()
            .map_err(failed("PUT", url))?;
        answered("PUT", url, response.status().as_u16(), &text)?;
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }
}

fn failed(method: &'static str, url: &str) -> impl FnOnce(ureq::Error) -> Error {
    let url = url.to_owned();
    move |error| Error::Http {
        method,
        url,
        why: error.to_string(),
    }
}

fn answered(method: &'static str, url: &str, status: u16, body: &str) -> Result<(), Error> {
    if (200..300).contains(&status) {
        return Ok(());
    }
    Err(Error::Http {
        method,
        url: url.to_owned(),
        why: format!("status {status}: {body}"),
    })
}
