//! Which page of a list to read next, so that nothing that exists all the while is missed, whatever
//! others create and delete in between. Pure; a wrong answer here would be a second registry.
//!
//! Registries are listed by `created_at`, oldest first. So a creation appends and moves nothing,
//! and a deletion moves what is behind it towards page 0. Reading towards page 0 therefore never
//! lets a registry slip by: it can only move to pages that are still to be read. (Towards the end
//! it could move from a page still to be read to one already read, and a creation at the same
//! time would hide that from every count. Newest first, a deletion does the same harm.)
//!
//! The last page is guessed, from the last time, and looked for upwards if the guess is low. A
//! list whose number of pages is as guessed costs exactly its pages; one that grew by pages costs
//! one more, because page 0, which was then read first, is read again.

use std::collections::BTreeSet;

use super::wire::Page;
use crate::observed::Record;

/// The most that SWR gives (swr-api.md 1.3).
pub(super) const PAGE_LENGTH: usize = 100;

/// 100 pages x 100 = 10,000 registries, far more than an instance's quota.
const PAGES_MAX: usize = 100;

/// One pass over a list.
pub(super) struct Pages {
    at: usize,
    direction: Direction,
    records: Vec<Record>,
    /// The smallest number of all registries that a page told, as far as it can be believed.
    total_min: Option<usize>,
    /// Whether `total` is known to count all registries, and not those of the page.
    total_counts_all: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
    Done,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Read(usize),
    Done,
    TooMany,
}

impl Pages {
    /// Begins where the end was the last time.
    pub(super) fn new(guess: usize, total_counts_all: bool) -> Self {
        Pages {
            at: guess.min(PAGES_MAX - 1),
            direction: Direction::Up,
            records: Vec::new(),
            total_min: None,
            total_counts_all,
        }
    }

    pub(super) fn next(&self) -> Next {
        match self.direction {
            Direction::Done => Next::Done,
            Direction::Up | Direction::Down if self.at >= PAGES_MAX => Next::TooMany,
            Direction::Up | Direction::Down => Next::Read(self.at),
        }
    }

    /// Takes the page that [`Pages::next`] asked for.
    pub(super) fn take(&mut self, page: Page) {
        let length = page.records.len();
        // A total that is the length of this page may be just that (swr-api.md 8.2, 34), unless
        // the server is known better, or the page is a short first one.
        let total = page.total.filter(|total| {
            *total != length || self.total_counts_all || (self.at == 0 && length < PAGE_LENGTH)
        });
        self.total_min = self.total_min.into_iter().chain(total).min();
        // A later page is the newer look at a registry that is in both.
        self.records.extend(page.records);

        if self.direction == Direction::Up {
            let last = match total {
                Some(total) => total.saturating_sub(1) / PAGE_LENGTH,
                None if length >= PAGE_LENGTH => self.at + 1,
                None => self.at,
            };
            if last > self.at {
                self.at = last;
                return;
            }
        }
        match self.at.checked_sub(1) {
            Some(before) => {
                self.at = before;
                self.direction = Direction::Down;
            }
            None => self.direction = Direction::Done,
        }
    }

    /// The records, and the guess for the next time. `None` if SWR told of more than it gave:
    /// then it kept no order, or gave short pages.
    pub(super) fn finish(self) -> Option<(Vec<Record>, usize)> {
        let n = self
            .records
            .iter()
            .map(|record| record.id)
            .collect::<BTreeSet<_>>()
            .len();
        if self.total_min.is_some_and(|total| n < total) {
            return None;
        }
        let guess = match n {
            // The one length whose total can be in doubt: begin with the empty page behind it.
            PAGE_LENGTH if !self.total_counts_all => 1,
            n => n.saturating_sub(1) / PAGE_LENGTH,
        };
        Some((self.records, guess))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::RegistryId;
    use crate::observed::Health;

    fn record(id: i64) -> Record {
        Record {
            id: RegistryId(id),
            name: format!("r{id}"),
            type_: String::new(),
            url: String::new(),
            insecure: None,
            description: String::new(),
            project: None,
            region: None,
            instance: None,
            dns_hosts: None,
            access_key: None,
            health: Health::NotReported,
            updated_at: None,
        }
    }

    /// A server's list, oldest first.
    struct World {
        ids: Vec<i64>,
        next_id: i64,
        total: fn(all: usize, page: usize) -> Option<usize>,
    }

    impl World {
        fn new(n: i64, total: fn(usize, usize) -> Option<usize>) -> Self {
            World {
                ids: (1..=n).collect(),
                next_id: n + 1,
                total,
            }
        }

        fn page(&self, at: usize) -> Page {
            let ids = self.ids.iter().skip(at * PAGE_LENGTH).take(PAGE_LENGTH);
            let records: Vec<Record> = ids.map(|id| record(*id)).collect();
            Page {
                total: (self.total)(self.ids.len(), records.len()),
                records,
            }
        }
    }

    /// Reads to the end; `meanwhile` runs before every page.
    fn read(
        world: &mut World,
        guess: usize,
        mut meanwhile: impl FnMut(&mut World, usize),
    ) -> (Vec<usize>, Option<(BTreeSet<i64>, usize)>) {
        let mut pages = Pages::new(guess, false);
        let mut asked = Vec::new();
        while let Next::Read(at) = pages.next() {
            meanwhile(world, asked.len());
            asked.push(at);
            pages.take(world.page(at));
        }
        let found = pages
            .finish()
            .map(|(records, guess)| (records.iter().map(|r| r.id.0).collect(), guess));
        (asked, found)
    }

    const ALL: fn(usize, usize) -> Option<usize> = |all, _| Some(all);
    const OF_PAGE: fn(usize, usize) -> Option<usize> = |_, page| Some(page);
    const ABSENT: fn(usize, usize) -> Option<usize> = |_, _| None;

    #[test]
    fn a_list_costs_its_pages_and_one_more_when_it_grew() {
        for (n, total, guess, asked, next_guess) in [
            (0, ALL, 0, vec![0], 0),
            (1, ALL, 0, vec![0], 0),
            (99, ALL, 0, vec![0], 0),
            (100, ALL, 1, vec![1, 0], 1),
            (100, ALL, 0, vec![0, 1, 0], 1),
            (101, ALL, 1, vec![1, 0], 1),
            (200, ALL, 1, vec![1, 0], 1),
            (250, ALL, 2, vec![2, 1, 0], 2),
            (250, ALL, 0, vec![0, 2, 1, 0], 2),
            (250, ALL, 1, vec![1, 2, 1, 0], 2),
            (150, ALL, 2, vec![2, 1, 0], 1),
            (0, ALL, 1, vec![1, 0], 0),
            (250, OF_PAGE, 2, vec![2, 1, 0], 2),
            (250, OF_PAGE, 0, vec![0, 1, 2, 1, 0], 2),
            (200, OF_PAGE, 1, vec![1, 2, 1, 0], 1),
            (250, ABSENT, 0, vec![0, 1, 2, 1, 0], 2),
            (99, ABSENT, 0, vec![0], 0),
        ] {
            let mut world = World::new(n, total);
            assert_eq!(
                read(&mut world, guess, |_, _| {}),
                (asked, Some(((1..=n).collect(), next_guess))),
                "{n} registries, guess {guess}"
            );
        }
    }

    #[test]
    fn a_deletion_and_a_creation_between_two_pages_hide_nothing() {
        // Towards the end, 101 would slip from page 1 to page 0 after page 0 was read, and 201
        // would make up the number.
        let mut world = World::new(200, ALL);
        let (_, found) = read(&mut world, 0, |world, n_read| {
            if n_read == 1 {
                world.ids.retain(|id| *id != 5);
                world.ids.push(201);
            }
        });
        let (found, _) = found.expect("whole");
        assert!(
            (1..=200)
                .filter(|id| *id != 5)
                .all(|id| found.contains(&id))
        );
    }

    #[test]
    fn what_exists_all_the_while_is_found_whatever_happens_in_between() {
        for seed in 0..400_u64 {
            let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            let mut random = move |below: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % below
            };
            let total = [ALL, OF_PAGE, ABSENT][usize::try_from(random(3)).expect("small")];
            let n = i64::try_from(random(520)).expect("small");
            let guess = usize::try_from(random(7)).expect("small");
            let mut world = World::new(n, total);
            let mut lasting: BTreeSet<i64> = world.ids.iter().copied().collect();
            let (_, found) = read(&mut world, guess, |world, _| {
                for _ in 0..random(6) {
                    if random(2) == 0 && !world.ids.is_empty() {
                        let n = u64::try_from(world.ids.len()).expect("small");
                        let gone = world.ids.remove(usize::try_from(random(n)).expect("small"));
                        lasting.remove(&gone);
                    } else {
                        world.ids.push(world.next_id);
                        world.next_id += 1;
                    }
                }
            });
            // A pass that cannot be sure is made again; one that is sure has everything.
            if let Some((found, _)) = found {
                assert!(lasting.is_subset(&found), "seed {seed}");
            }
        }
    }

    #[test]
    fn a_list_that_gives_less_than_it_tells_is_not_whole() {
        let mut world = World::new(50, |all, _| Some(all + 1));
        assert_eq!(read(&mut world, 0, |_, _| {}).1, None);
        // 120 in all, 70 a page although 100 were asked for.
        let mut pages = Pages::new(0, false);
        for ids in [1..=70, 101..=120, 1..=70] {
            assert!(matches!(pages.next(), Next::Read(_)));
            pages.take(Page {
                records: ids.map(record).collect(),
                total: Some(120),
            });
        }
        assert_eq!(pages.next(), Next::Done);
        assert_eq!(pages.finish(), None);
    }

    #[test]
    fn a_server_whose_total_is_known_to_count_all_is_asked_for_just_its_pages() {
        for n in [0, 99, 100, 101, 200, 250] {
            let world = World::new(n, |all, _| Some(all));
            let guess = usize::try_from(n).expect("n").saturating_sub(1) / PAGE_LENGTH;
            let mut pages = Pages::new(guess, true);
            let mut asked = 0;
            while let Next::Read(at) = pages.next() {
                asked += 1;
                pages.take(world.page(at));
            }
            let (records, next_guess) = pages.finish().expect("whole");
            assert_eq!(
                (records.len(), next_guess, asked),
                (world.ids.len(), guess, guess + 1),
                "{n}"
            );
        }
    }

    #[test]
    fn a_list_without_end_is_given_up() {
        for total in [None, Some(10_001), Some(usize::MAX)] {
            let mut pages = Pages::new(0, false);
            let mut n_read = 0;
            while let Next::Read(at) = pages.next() {
                let from = i64::try_from(at * PAGE_LENGTH).expect("small");
                pages.take(Page {
                    records: (from..from + 100).map(record).collect(),
                    total,
                });
                n_read += 1;
            }
            assert_eq!(pages.next(), Next::TooMany);
            assert!(n_read <= PAGES_MAX);
        }
    }
}
