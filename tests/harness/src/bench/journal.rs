//! The simulator's journal -> requests to SWR by operation. Reads it in parts, so that each entry crosses once.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::report::Counts;
use crate::http::Http;
use crate::{Error, Simulator};

/// Counts requests that the journal had forgotten before they were read.
const LOST: &str = "(of unknown operation)";

/// What was asked since the last [`Journal::clear`].
#[derive(Debug)]
pub(crate) struct Journal {
    http: Http,
    url: String,
    last_seq: u64,
    counts: Counts,
    /// Of the answered ones: the first and the last.
    spans: BTreeMap<String, [Timestamp; 2]>,
}

#[derive(Deserialize)]
struct Page {
    requests: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    seq: u64,
    at: Timestamp,
    operation: String,
}

impl Journal {
    pub(crate) fn of(simulator: &Simulator) -> Self {
        Self {
            http: Http::default(),
            url: format!("{}/_simulator/journal", simulator.endpoint()),
            last_seq: 0,
            counts: Counts::new(),
            spans: BTreeMap::new(),
        }
    }

    /// Reads what is new.
    pub(crate) fn read(&mut self) -> Result<(), Error> {
        let url = format!("{}?after={}", self.url, self.last_seq);
        let body = self.http.get_large(&url)?;
        let page: Page =
            serde_json::from_str(&body).map_err(Error::json("the simulator's journal"))?;
        for entry in page.requests {
            self.enter(entry);
        }
        Ok(())
    }

    fn enter(&mut self, entry: Entry) {
        // The journal keeps the last 50,000 requests. A figure that is too small must not look like a good one.
        let n_lost = entry.seq.saturating_sub(self.last_seq + 1);
        if n_lost > 0 {
            *self.counts.entry(LOST.to_owned()).or_default() += n_lost;
        }
        self.last_seq = entry.seq;
        let at = entry.at;
        let span = self
            .spans
            .entry(entry.operation.clone())
            .or_insert([at, at]);
        *span = [span[0].min(at), span[1].max(at)];
        *self.counts.entry(entry.operation).or_default() += 1;
    }

    /// Forgets what was asked so far, here and there.
    pub(crate) fn clear(&mut self) -> Result<(), Error> {
        self.read()?;
        self.http.delete(&self.url)?;
        self.counts.clear();
        self.spans.clear();
        Ok(())
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(crate) fn n(&self, operation: &str) -> u64 {
        self.counts.get(operation).copied().unwrap_or_default()
    }

    pub(crate) fn n_all(&self) -> u64 {
        self.counts.values().sum()
    }

    /// When the first and the last request of this operation came in.
    pub(crate) fn span(&self, operation: &str) -> Option<[Timestamp; 2]> {
        self.spans.get(operation).copied()
    }

    /// When the last request of all came in.
    pub(crate) fn last_at(&self) -> Option<Timestamp> {
        self.spans.values().map(|span| span[1]).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_the_journal_forgot_are_counted_by_their_numbers() {
        let mut journal = Journal {
            http: Http::default(),
            url: String::new(),
            last_seq: 0,
            counts: Counts::new(),
            spans: BTreeMap::new(),
        };
        for seq in [1, 2, 6] {
            journal.enter(Entry {
                seq,
                at: Timestamp::UNIX_EPOCH,
                operation: "ShowInstanceRegistry".to_owned(),
            });
        }
        assert_eq!(
            *journal.counts(),
            Counts::from([(LOST.to_owned(), 3), ("ShowInstanceRegistry".to_owned(), 3)])
        );
    }
}
