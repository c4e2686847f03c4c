//! What was asked of the cloud and what it answered, in order. Must not know the control surface or the world.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::Serialize;

use crate::message::Request;
use crate::sign;

// At about 1 KiB an entry this is 50 MiB: an hour of 14 requests a second.
const ENTRIES_MAX: usize = 50_000;

/// One request of the cloud's API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// From 1, without gaps.
    pub seq: u64,
    pub at: Timestamp,
    pub operation: String,
    pub instance: Option<String>,
    pub method: String,
    pub path: String,
    pub query: String,
    /// Null while there is no answer, and for ever when none is given.
    pub status: Option<u16>,
    /// Of the answer; null without one.
    pub request_id: Option<String>,
    /// As claimed by the signature; null with a token.
    pub access_key: Option<String>,
    /// As named by the signature, `content-type;host;x-sdk-date`; null with a token.
    pub signed_headers: Option<String>,
    pub request_body: String,
    /// The kind of the scripted fault that struck it.
    pub fault: Option<String>,
}

/// The last requests. The first ones go when there are too many; `seq` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Journal {
    entries: VecDeque<Entry>,
    last_seq: u64,
}

impl Journal {
    /// Notes a request as it comes in and gives its number.
    pub fn begin(
        &mut self,
        request: &Request,
        operation: &str,
        instance: Option<String>,
        fault: Option<String>,
        now: Timestamp,
    ) -> u64 {
        if self.entries.len() == ENTRIES_MAX {
            self.entries.pop_front();
        }
        self.last_seq += 1;
        self.entries.push_back(Entry {
            seq: self.last_seq,
            at: now,
            operation: operation.to_owned(),
            instance,
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            status: None,
            request_id: None,
            access_key: sign::access_key(request).map(str::to_owned),
            signed_headers: sign::signed_headers(request).map(str::to_owned),
            request_body: String::from_utf8_lossy(&request.body).into_owned(),
            fault,
        });
        self.last_seq
    }

    /// Notes the answer that goes out.
    pub fn end(&mut self, seq: u64, status: u16, request_id: Option<&str>) {
        let Some(first) = self.entries.front().map(|entry| entry.seq) else {
            return;
        };
        let place = seq
            .checked_sub(first)
            .and_then(|place| usize::try_from(place).ok());
        if let Some(entry) = place.and_then(|place| self.entries.get_mut(place)) {
            entry.status = Some(status);
            entry.request_id = request_id.map(str::to_owned);
        }
    }

    /// The entries after `seq`; 0 gives all.
    pub fn after(&self, seq: u64) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.seq > seq)
    }

    /// Forgets the entries; `seq` goes on.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entries_go_when_there_are_too_many() {
        let mut journal = Journal::default();
        let request = Request::new("GET", "/v2/p/instances", "");
        for _ in 0..=ENTRIES_MAX {
            journal.begin(&request, "ListInstance", None, None, Timestamp::UNIX_EPOCH);
        }
        journal.end(1, 200, None);
        journal.end(3, 503, Some("r3"));
        let first: Vec<_> = journal
            .after(0)
            .take(2)
            .map(|entry| (entry.seq, entry.status, entry.request_id.as_deref()))
            .collect();
        assert_eq!(first, [(2, None, None), (3, Some(503), Some("r3"))]);
        assert_eq!(journal.after(0).count(), ENTRIES_MAX);
        journal.clear();
        journal.end(3, 200, None);
        assert_eq!(journal.after(0).count(), 0);
        assert_eq!(
            journal.begin(&request, "ListInstance", None, None, Timestamp::UNIX_EPOCH),
            50_002
        );
    }
}
