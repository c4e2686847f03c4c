//! What reads registries, all of an instance, what changed last, one; and what SWR tells of an instance
//! itself. Decides nothing about them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use swr_operator_core::desired::{InstanceId, RegistryId};
use swr_operator_core::failure::{Code, Failure};
use swr_operator_core::observed::{Inventory, Record};
use swr_operator_core::recent::Newest;
use zeroize::Zeroizing;

use super::super::error::{self, Operation, malformed};
use super::super::http::Lost;
use super::super::pages::{self, List, Next, Pages, Part};
use super::super::{sign, wire};
use super::Account;

/// A list that keeps contradicting itself is given up after this many passes.
const LIST_PASSES_MAX: usize = 3;

/// A list that takes longer is given up, however slow its pages are: others wait for it. 10,000
/// registries, 100 pages, take 10 s at the default of 10 requests per second, and 160 s at the
/// sixteenth of it that SWR can slow us down to; three minutes and two read deadlines of 30 s more
/// are enough for either. Of pages that take 25 s each it reads nine.
const LIST_DEADLINE: Duration = Duration::from_secs(240);

/// The same for a read of the newest changes: eleven pages at most take 18 s at the sixteenth of
/// the default rate, and two read deadlines of 30 s.
const NEWEST_DEADLINE: Duration = Duration::from_secs(90);

/// Why a whole list is read in this order: see `pages`.
const OLDEST_FIRST: (&str, &str) = ("created_at", "asc");

/// What changed last comes first: see `recent`.
const NEWEST_FIRST: (&str, &str) = ("updated_at", "desc");

/// Reads. Cannot write.
#[derive(Clone)]
pub struct Reader(pub(super) Arc<Account>);

impl Reader {
    /// Every registry of an instance. What exists from the beginning to the end of the call is in
    /// it, whatever others do meanwhile (see `pages`).
    ///
    /// # Errors
    /// `InstanceNotFound` and the like; `Malformed` if the list is longer than 100,000, keeps
    /// contradicting itself or has more than a few records that are too long; `TimedOut`.
    pub async fn list(&self, instance: &InstanceId) -> Result<Inventory, Failure> {
        self.list_expecting(instance, 0).await
    }

    /// The same for somebody who knows about how many registries to expect, which saves a request
    /// the first time. It changes nothing of what is found.
    ///
    /// # Errors
    /// As [`Reader::list`].
    pub async fn list_expecting(
        &self,
        instance: &InstanceId,
        n_registries: usize,
    ) -> Result<Inventory, Failure> {
        let list = tokio::time::timeout(LIST_DEADLINE, self.list_whole(instance, n_registries));
        list.await.unwrap_or_else(|_| {
            tracing::warn!(%instance, "the list of registries takes too long");
            Err(error::lost(Operation::List, Lost::TimedOut))
        })
    }

    async fn list_whole(
        &self,
        instance: &InstanceId,
        expected: usize,
    ) -> Result<Inventory, Failure> {
        for _ in 0..LIST_PASSES_MAX {
            let counts_all = self.total_counts_all(instance).await;
            let last_time = self.0.guess(instance);
            let guess = last_time.unwrap_or_else(|| pages::guess(expected, counts_all));
            let mut pages = Pages::new(guess, counts_all);
            loop {
                match pages.next() {
                    Next::Read(part) => match self.part(instance, part).await? {
                        Some((page, requested_at)) => {
                            if page.total.is_some_and(|total| total > page.records.len()) {
                                let _ = self.0.total_counts_all.set(true);
                            }
                            pages.take(page, requested_at);
                        }
                        None => pages.too_long(),
                    },
                    Next::TooMany => {
                        tracing::warn!(%instance, "the list of registries has no end");
                        return Err(malformed(Operation::List, None));
                    }
                    Next::TooManyGaps => {
                        tracing::warn!(
                            %instance,
                            "too many registries are too long to be read, even one by one"
                        );
                        return Err(malformed(Operation::List, None));
                    }
                    Next::Done => break,
                }
            }
            if let Some(list) = pages.finish() {
                return Ok(self.inventory(instance, list));
            }
        }
        tracing::warn!(%instance, "the list of registries is shorter than its total");
        Err(malformed(Operation::List, None))
    }

    fn inventory(&self, instance: &InstanceId, list: List) -> Inventory {
        self.0.remember(instance, list.guess);
        if !list.gaps.is_empty() {
            // Its id and name cannot be read; the place leads to it in the console.
            tracing::warn!(
                %instance,
                skipped = list.gaps.len(),
                places_from_0_by_creation_oldest_first = ?list.gaps,
                "registries that do not fit into an answer of 4 MiB are skipped, and until they \
                 are shortened or deleted no other is known to be missing: sort the instance's \
                 registries by creation and look for an enormous description"
            );
        }
        Inventory::listed(list.records).with_gaps(list.gaps.len())
    }

    /// Whether `total` counts all registries, or only those of the page (swr-api.md 8.2, 34). Any
    /// list that is longer than a page shows it; when the first is exactly one page long, it is
    /// asked for once, by a page of one.
    async fn total_counts_all(&self, instance: &InstanceId) -> bool {
        let known = &self.0.total_counts_all;
        if self.0.guess(instance).is_some_and(|page| page > 0) && !known.initialized() {
            // What cannot be told now is asked again the next time.
            let first = Part {
                offset: 0,
                length: 1,
            };
            if let Ok(Some((page, _))) = self.part(instance, first).await {
                let n = page.records.len();
                let _ = known.set(page.total.is_some_and(|total| total > n));
            }
        }
        known.get().copied().unwrap_or_default()
    }

    /// What changed last in an instance, newest first, as far as `read` asks; it says itself what
    /// came of it. One request at most is under way, and nothing is decided here.
    ///
    /// # Errors
    /// As SWR answers; `TimedOut`. Nothing of the read counts then.
    pub async fn newest(&self, instance: &InstanceId, read: Newest) -> Result<Newest, Failure> {
        let reading = tokio::time::timeout(NEWEST_DEADLINE, self.newest_pages(instance, read));
        reading.await.unwrap_or_else(|_| {
            tracing::warn!(%instance, "the newest changes of registries take too long");
            Err(error::lost(Operation::List, Lost::TimedOut))
        })
    }

    async fn newest_pages(
        &self,
        instance: &InstanceId,
        mut read: Newest,
    ) -> Result<Newest, Failure> {
        while let Some(part) = read.next() {
            let part = Part {
                offset: part.offset,
                length: part.limit,
            };
            match self.sorted(instance, part, NEWEST_FIRST).await? {
                Some((page, at)) => read.take(page.records, page.total, at),
                None => read.too_long(),
            }
        }
        Ok(read)
    }

    /// A part of the list and when it was requested; `None` if it is too long to be read.
    async fn part(
        &self,
        instance: &InstanceId,
        part: Part,
    ) -> Result<Option<(wire::Page, Timestamp)>, Failure> {
        self.sorted(instance, part, OLDEST_FIRST).await
    }

    async fn sorted(
        &self,
        instance: &InstanceId,
        part: Part,
        (column, direction): (&str, &str),
    ) -> Result<Option<(wire::Page, Timestamp)>, Failure> {
        // Sorted by column and direction together, limit and offset together, and the offset a
        // multiple of the limit (swr-api.md 1.3).
        let query = sign::query(&[
            ("limit", &part.length.to_string()),
            ("offset", &part.offset.to_string()),
            ("order_column", column),
            ("order_type", direction),
        ]);
        let path = self.0.path(instance, None);
        let (verdict, requested_at) = self.0.ask(Operation::List, &path, &query).await?;
        if verdict.is_too_long {
            return Ok(None);
        }
        wire::decode_page(&verdict.result?, &self.0.sealer)
            .map(|page| Some((page, requested_at)))
            .map_err(|wire::Malformed| undecodable(Operation::List, instance))
    }

    /// One registry. `RegistryNotFound` alone does not prove that it is gone (rule 7).
    ///
    /// # Errors
    /// As SWR answers.
    pub async fn show(&self, instance: &InstanceId, id: RegistryId) -> Result<Record, Failure> {
        let path = self.0.path(instance, Some(id));
        let (verdict, _) = self.0.ask(Operation::Show, &path, "").await?;
        let body = verdict.result?;
        wire::decode_record(&body, &self.0.sealer)
            .ok()
            // A record of another id is an answer to another question.
            .filter(|record| record.id == id)
            .ok_or_else(|| undecodable(Operation::Show, instance))
    }

    /// The state of an instance, in SWR's word. `None` if SWR does not say, which may be for want of
    /// a permission that nothing else needs.
    pub async fn status_of(&self, instance: &InstanceId) -> Option<Code> {
        let path = self.0.path_of(instance);
        let body = self.tell(Operation::Instance, &path).await?;
        wire::decode_instance(&body)
    }

    /// How many registries an instance may hold. `None` as for [`Reader::status_of`].
    pub async fn quota_of(&self, instance: &InstanceId) -> Option<usize> {
        let path = format!("{}/statistics", self.0.path_of(instance));
        let body = self.tell(Operation::Statistics, &path).await?;
        wire::decode_quota(&body)
    }

    /// Whether the Enterprise Edition is offered to the project in its region. `None` as for
    /// [`Reader::status_of`].
    pub async fn is_offered(&self) -> Option<bool> {
        let path = format!("{}/feature-gates", self.0.path_of_project());
        let body = self.tell(Operation::FeatureGates, &path).await?;
        wire::decode_offer(&body)
    }

    async fn tell(&self, operation: Operation, path: &str) -> Option<Zeroizing<Vec<u8>>> {
        let (verdict, _) = self.0.ask(operation, path, "").await.ok()?;
        verdict.result.ok()
    }
}

fn undecodable(operation: Operation, instance: &InstanceId) -> Failure {
    let failure = malformed(operation, None);
    tracing::warn!(operation = operation.as_str(), %instance, "{}", failure.cause.words());
    failure
}
