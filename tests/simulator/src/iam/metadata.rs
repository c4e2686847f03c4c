//! The metadata service of an ECS, which the cloud has at 169.254.169.254. Must not know any other source of keys.

use std::ops::RangeInclusive;

use jiff::Timestamp;

use super::{Iam, end_of_life};
use crate::message::{Reply, Request};
use crate::refusal::Refusal;
use crate::switches::{MetadataToken, Presence, Switches};

pub const TOKEN_PATH: &str = "/meta-data/latest/api/token";
pub const KEY_PATH: &str = "/openstack/latest/securitykey";

/// How long a token may be asked for: up to 6 hours.
const TOKEN_SECS: RangeInclusive<u32> = 1..=21_600;
/// How long keys of the node live. Each request gets a new one; the real service gives the same one for a while.
const KEY_SECS: u32 = 6 * 60 * 60;

impl Iam {
    pub(super) fn create_metadata_token(
        &mut self,
        request: &Request,
        switches: &Switches,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let old_service = |status, message| Err(Refusal::Text { status, message });
        match switches.metadata_token {
            MetadataToken::Issued => {}
            MetadataToken::NotFound => return old_service(404, "Not Found"),
            MetadataToken::NotAllowed => return old_service(405, "Method Not Allowed"),
            MetadataToken::Unavailable => return old_service(503, "Service Unavailable"),
        }
        let secs = request
            .header("x-metadata-token-ttl-seconds")
            .and_then(|secs| secs.parse().ok())
            .filter(|secs| TOKEN_SECS.contains(secs))
            .ok_or(Refusal::Text {
                status: 400,
                message: "X-Metadata-Token-Ttl-Seconds must be from 1 to 21600",
            })?;
        let token = self.next_secret("metadata token", now);
        self.metadata_tokens
            .insert(token.clone(), end_of_life(secs, switches, now));
        Ok(Reply::empty(200).with_body("text/plain; charset=utf-8", token.as_bytes()))
    }

    pub(super) fn show_metadata_key(
        &mut self,
        request: &Request,
        switches: &Switches,
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let known = request
            .header("x-metadata-token")
            .and_then(|token| self.metadata_tokens.get(token))
            .is_some_and(|end| *end > now);
        if switches.metadata_token == MetadataToken::Issued && !known {
            return Err(Refusal::unauthorized_in_text(
                "The metadata token is missing or invalid",
            ));
        }
        if switches.ecs_agency == Presence::Absent {
            return Err(Refusal::unauthorized_in_text(
                "Please configure Cloud Service Agency first",
            ));
        }
        let issued = self.issue_key(KEY_SECS, switches, now);
        Ok(Reply::json(200, &issued.in_old_words()))
    }
}
