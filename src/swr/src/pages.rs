//! Which page of a list to read next, so that nothing that exists all the while is missed, whatever
//! others create and delete in between. Pure; a wrong answer here would be a second registry.
//!
//! Registries are listed by `created_at`, oldest first. So a creation appends and moves nothing,
//! and a deletion moves what is behind it towards page 0. Reading towards page 0 therefore never
//! lets a registry slip by: it can only move to pages that are still to be read. (Towards the end
//! it could move from a page still to be read to one already read, and a creation at the same
//! time would hide that from every count. Newest first, a deletion does the same harm.)
//!
//! A page that is too long to be read, because a record in it is enormous, is read in parts, and
//! a part of it in smaller ones, down to single records; also towards page 0. A record that does
//! not fit alone is a gap. Whether the list goes on behind the page is what its parts told at
//! their earliest and fullest: a registry that was behind it then may have moved into a part that
//! was read before.
//!
//! The last page is guessed, from the last time or from what the caller expects. It is looked for
//! upwards if the guess is low; if it is high, the empty page says where it is. A list whose number
//! of pages is as guessed costs exactly its pages, any other one more: the page that was read first.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::wire::Page;
use swr_operator_core::observed::Record;
use swr_operator_core::recent::PAGE_LENGTH;

/// 1,000 pages x 100 = 100,000 registries, ten times what is measured and far more than an
/// instance's quota. At the default of 10 requests per second they take 100 s of the 240 s that a
/// list may take, and some 800 bytes each, so 80 MB.
const PAGES_MAX: usize = 1_000;

/// A page that is too long is read in parts of these lengths. Each divides the one before, because
/// an offset must be a multiple of its limit (swr-api.md 1.3). One giant record among a hundred
/// costs 5 + 5 + 4 requests more.
const PART_LENGTHS: [usize; 3] = [20, 4, 1];

/// 10 x 14 requests more take 14 s at the default of 10 per second. With more, this is no instance
/// with a few giant records, but one that answers nonsense.
const GAPS_MAX: usize = 10;

/// One pass over a list.
pub(super) struct Pages {
    at: usize,
    direction: Direction,
    /// What is still to be read of the page; the next one last, which is the one furthest behind.
    parts: Vec<Part>,
    /// What was read of the page.
    so_far: SoFar,
    records: Vec<(Arc<Record>, Timestamp)>,
    /// Positions of records that are too long to be read.
    gaps: BTreeSet<usize>,
    /// The smallest number of all registries that a page told, as far as it can be believed.
    total_min: Option<usize>,
    /// Whether `total` is known to count all registries, and not those of the page.
    total_counts_all: bool,
}

/// Consecutive places in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) offset: usize,
    pub(super) length: usize,
}

#[derive(Default)]
struct SoFar {
    /// Places that are taken.
    length: usize,
    /// The largest number of all registries that was told and can be believed.
    total: Option<usize>,
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
    Read(Part),
    Done,
    TooMany,
    TooManyGaps,
}

/// A whole list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct List {
    /// Each with the time at which its page was requested.
    pub(super) records: Vec<(Arc<Record>, Timestamp)>,
    /// Positions of records that are too long to be read, oldest first.
    pub(super) gaps: BTreeSet<usize>,
    /// Where to begin the next time.
    pub(super) guess: usize,
}

impl Pages {
    /// Begins where the end is thought to be: `guess` of a list, or of [`guess`].
    pub(super) fn new(guess: usize, total_counts_all: bool) -> Self {
        let at = guess.min(PAGES_MAX - 1);
        Pages {
            at,
            direction: Direction::Up,
            parts: vec![Part::page(at)],
            so_far: SoFar::default(),
            records: Vec::new(),
            gaps: BTreeSet::new(),
            total_min: None,
            total_counts_all,
        }
    }

    pub(super) fn next(&self) -> Next {
        match (self.direction, self.parts.last()) {
            (Direction::Done, _) | (_, None) => Next::Done,
            (Direction::Up | Direction::Down, _) if self.at >= PAGES_MAX => Next::TooMany,
            (Direction::Up | Direction::Down, _) if self.gaps.len() > GAPS_MAX => Next::TooManyGaps,
            (Direction::Up | Direction::Down, Some(part)) => Next::Read(*part),
        }
    }

    /// Takes the part that [`Pages::next`] asked for.
    pub(super) fn take(&mut self, page: Page, requested_at: Timestamp) {
        let Some(part) = self.parts.pop() else {
            return;
        };
        let length = page.records.len();
        // A total that is the length of this page may be just that (swr-api.md 8.2, 34), unless
        // the server is known better, or the page is a short first one.
        let total = page.total.filter(|total| {
            let is_short_first = part.offset == 0 && length < part.length;
            *total != length || self.total_counts_all || is_short_first
        });
        self.total_min = self.total_min.into_iter().chain(total).min();
        self.so_far.total = self.so_far.total.max(total);
        self.so_far.length += length;
        // A later page is the newer read of a registry that is in both.
        let records = page.records.into_iter().map(Arc::new);
        self.records
            .extend(records.map(|record| (record, requested_at)));
        self.turn_page();
    }

    /// The part that [`Pages::next`] asked for is too long to be read.
    pub(super) fn too_long(&mut self) {
        let Some(part) = self.parts.pop() else {
            return;
        };
        match PART_LENGTHS.iter().find(|length| **length < part.length) {
            Some(length) => {
                let offsets = (part.offset..part.offset + part.length).step_by(*length);
                self.parts.extend(offsets.map(|offset| Part {
                    offset,
                    length: *length,
                }));
            }
            None => {
                self.gaps.insert(part.offset);
                self.so_far.length += 1;
            }
        }
        self.turn_page();
    }

    /// Goes to the next page when all of this one was read.
    fn turn_page(&mut self) {
        if !self.parts.is_empty() {
            return;
        }
        let SoFar { length, total } = std::mem::take(&mut self.so_far);
        if self.direction == Direction::Up {
            let last = match total {
                Some(total) => total.saturating_sub(1) / PAGE_LENGTH,
                None if length >= PAGE_LENGTH => self.at + 1,
                None => self.at,
            };
            if last > self.at {
                self.at = last;
                self.parts.push(Part::page(last));
                return;
            }
            // An empty page that tells of registries: all are before it, and can only move on
            // towards page 0.
            if length == 0 && total.is_some() && last < self.at {
                self.at = last;
                self.direction = Direction::Down;
                self.parts.push(Part::page(last));
                return;
            }
        }
        match self.at.checked_sub(1) {
            Some(before) => {
                self.at = before;
                self.direction = Direction::Down;
                self.parts.push(Part::page(before));
            }
            None => self.direction = Direction::Done,
        }
    }

    /// The list. `None` if SWR told of more than it gave: then it kept no order, or gave short
    /// pages.
    pub(super) fn finish(self) -> Option<List> {
        let ids: BTreeSet<_> = self.records.iter().map(|(record, _)| record.id).collect();
        let n = ids.len() + self.gaps.len();
        if self.total_min.is_some_and(|total| n < total) {
            return None;
        }
        Some(List {
            records: self.records,
            gaps: self.gaps,
            guess: guess(n, self.total_counts_all),
        })
    }
}

/// Where to begin a list of this length.
pub(super) fn guess(n_registries: usize, total_counts_all: bool) -> usize {
    match n_registries {
        // The one length whose total can be in doubt: begin with the empty page behind it.
        PAGE_LENGTH if !total_counts_all => 1,
        n => n.saturating_sub(1) / PAGE_LENGTH,
    }
}

impl Part {
    fn page(at: usize) -> Part {
        Part {
            offset: at * PAGE_LENGTH,
            length: PAGE_LENGTH,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swr_operator_core::desired::RegistryId;
    use swr_operator_core::observed::Health;

    fn record(id: i64) -> Record {
        Record {
            id: RegistryId(id),
            name: format!("r{id}"),
            type_: "".into(),
            url: "".into(),
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
        /// Those that no answer can hold beside another, or at all.
        large: BTreeSet<i64>,
        giant: BTreeSet<i64>,
        next_id: i64,
        total: fn(all: usize, page: usize) -> Option<usize>,
    }

    impl World {
        fn new(n: i64, total: fn(usize, usize) -> Option<usize>) -> Self {
            World {
                ids: (1..=n).collect(),
                large: BTreeSet::new(),
                giant: BTreeSet::new(),
                next_id: n + 1,
                total,
            }
        }

        /// `None` if it is too long.
        fn part(&self, part: Part) -> Option<Page> {
            assert!(part.offset.is_multiple_of(part.length) && part.length <= PAGE_LENGTH);
            let ids = self.ids.iter().skip(part.offset).take(part.length);
            let n_large = ids.clone().filter(|id| self.large.contains(id)).count();
            if n_large > 1 || ids.clone().any(|id| self.giant.contains(id)) {
                return None;
            }
            let records: Vec<Record> = ids.map(|id| record(*id)).collect();
            Some(Page {
                total: (self.total)(self.ids.len(), records.len()),
                records,
            })
        }
    }

    /// Reads to the end; `meanwhile` runs before every page.
    fn read(
        world: &mut World,
        guess: usize,
        mut meanwhile: impl FnMut(&mut World, usize),
    ) -> (Vec<usize>, Option<(BTreeSet<i64>, usize)>) {
        let (asked, list) = read_parts(world, guess, |world, n| meanwhile(world, n));
        let asked = asked.iter().map(|part| part.offset / PAGE_LENGTH).collect();
        let list = list.map(|list| (ids(&list), list.guess));
        (asked, list)
    }

    fn read_parts(
        world: &mut World,
        guess: usize,
        mut meanwhile: impl FnMut(&mut World, usize),
    ) -> (Vec<Part>, Option<List>) {
        let mut pages = Pages::new(guess, false);
        let mut asked = Vec::new();
        loop {
            match pages.next() {
                Next::Read(part) => {
                    meanwhile(world, asked.len());
                    asked.push(part);
                    match world.part(part) {
                        Some(page) => pages.take(page, Timestamp::UNIX_EPOCH),
                        None => pages.too_long(),
                    }
                }
                Next::Done => return (asked, pages.finish()),
                Next::TooMany | Next::TooManyGaps => return (asked, None),
            }
        }
    }

    fn ids(list: &List) -> BTreeSet<i64> {
        list.records.iter().map(|(record, _)| record.id.0).collect()
    }

    const ALL: fn(usize, usize) -> Option<usize> = |all, _| Some(all);
    const OF_PAGE: fn(usize, usize) -> Option<usize> = |_, page| Some(page);
    const ABSENT: fn(usize, usize) -> Option<usize> = |_, _| None;

    #[test]
    fn a_list_costs_its_pages_and_one_more_when_the_guess_is_wrong() {
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
            (150, ALL, 9, vec![9, 1, 0], 1),
            (150, OF_PAGE, 4, vec![4, 3, 2, 1, 0], 1),
            (1_000, ALL, 9, vec![9, 8, 7, 6, 5, 4, 3, 2, 1, 0], 9),
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

    /// Numbers below a bound, the same for the same seed (xorshift).
    fn seeded(seed: u64) -> impl FnMut(u64) -> u64 {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        move |below| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        }
    }

    #[test]
    fn what_exists_all_the_while_is_found_whatever_happens_in_between() {
        for seed in 0..400_u64 {
            let mut random = seeded(seed);
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
            let page = Page {
                records: ids.map(record).collect(),
                total: Some(120),
            };
            pages.take(page, Timestamp::UNIX_EPOCH);
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
            while let Next::Read(part) = pages.next() {
                asked += 1;
                pages.take(world.part(part).expect("short"), Timestamp::UNIX_EPOCH);
            }
            let list = pages.finish().expect("whole");
            assert_eq!(
                (list.records.len(), list.guess, asked),
                (world.ids.len(), guess, guess + 1),
                "{n}"
            );
        }
    }

    #[test]
    fn a_list_without_end_is_given_up() {
        for total in [None, Some(100_001), Some(usize::MAX)] {
            let mut pages = Pages::new(0, false);
            let mut n_read = 0;
            while let Next::Read(part) = pages.next() {
                let from = i64::try_from(part.offset).expect("small");
                let page = Page {
                    records: (from..from + 100).map(record).collect(),
                    total,
                };
                pages.take(page, Timestamp::UNIX_EPOCH);
                n_read += 1;
            }
            assert_eq!(pages.next(), Next::TooMany);
            assert!(n_read <= PAGES_MAX);
        }
    }

    #[test]
    fn a_page_that_is_too_long_is_read_in_parts_towards_page_0() {
        let part = |offset, length| Part { offset, length };
        let mut world = World::new(150, ALL);
        world.giant.insert(50);
        let (asked, list) = read_parts(&mut world, 1, |_, _| {});
        assert_eq!(
            asked,
            [
                part(100, 100),
                part(0, 100),
                part(80, 20),
                part(60, 20),
                part(40, 20),
                part(56, 4),
                part(52, 4),
                part(48, 4),
                part(51, 1),
                part(50, 1),
                part(49, 1),
                part(48, 1),
                part(44, 4),
                part(40, 4),
                part(20, 20),
                part(0, 20),
            ]
        );
        let list = list.expect("whole but for one");
        assert_eq!(list.gaps, [49].into());
        assert_eq!(ids(&list).len(), 149);
        assert_eq!(list.guess, 1);
        // Two that are too long together are read one by one, and nothing is missing.
        let mut world = World::new(3, ALL);
        world.large.extend([1, 2]);
        let list = read_parts(&mut world, 0, |_, _| {}).1.expect("whole");
        assert_eq!((ids(&list), list.gaps), ([1, 2, 3].into(), [].into()));
    }

    #[test]
    fn a_server_of_which_nothing_can_be_read_is_given_up_soon() {
        for total in [ALL, OF_PAGE, ABSENT] {
            let mut world = World::new(300, total);
            world.giant.extend(1..=300);
            let (asked, list) = read_parts(&mut world, 0, |_, _| {});
            assert_eq!(list, None);
            assert!(asked.len() < 40, "{}", asked.len());
        }
    }

    #[test]
    fn a_list_that_goes_on_behind_a_page_in_parts_is_read_on() {
        // When the last part of page 0 is read, 101 is behind it. Then it moves into that part.
        for total in [ALL, OF_PAGE, ABSENT] {
            let mut world = World::new(101, total);
            world.giant.insert(30);
            let (_, list) = read_parts(&mut world, 0, |world, n_read| {
                if n_read == 2 {
                    world.ids.retain(|id| *id != 5);
                }
            });
            let list = list.expect("whole but for one");
            assert!(ids(&list).contains(&101));
        }
    }

    #[test]
    fn what_exists_all_the_while_is_found_whatever_its_size_and_whatever_happens() {
        let mut n_whole = 0;
        for seed in 1..=3_000_u64 {
            let mut random = seeded(seed);
            let total = [ALL, OF_PAGE, ABSENT][usize::try_from(random(3)).expect("small")];
            let n = i64::try_from(90 + random(160)).expect("small");
            let guess = usize::try_from(random(3)).expect("small");
            let mut world = World::new(n, total);
            for _ in 0..random(4) {
                let id = 1 + i64::try_from(random(250)).expect("small");
                match random(2) {
                    0 => world.giant.insert(id),
                    _ => world.large.insert(id),
                };
            }
            let mut lasting: BTreeSet<i64> = world.ids.iter().copied().collect();
            let busy = random(3);
            let (_, list) = read_parts(&mut world, guess, |world, _| {
                for _ in 0..random(1 + busy) {
                    if random(3) > 0 && !world.ids.is_empty() {
                        let n = u64::try_from(world.ids.len()).expect("small");
                        let gone = world.ids.remove(usize::try_from(random(n)).expect("small"));
                        lasting.remove(&gone);
                    } else {
                        world.ids.push(world.next_id);
                        world.next_id += 1;
                    }
                }
            });
            let Some(list) = list else {
                continue;
            };
            n_whole += 1;
            let found = ids(&list);
            let missed = lasting.difference(&found);
            let missed: Vec<&i64> = missed.filter(|id| !world.giant.contains(id)).collect();
            assert!(missed.is_empty(), "seed {seed}: {missed:?}");
            // Of a giant one that was there all the while, a gap is left.
            let has_giant = lasting.iter().any(|id| world.giant.contains(id));
            assert!(!has_giant || !list.gaps.is_empty(), "seed {seed}");
        }
        assert!(n_whole > 1_500, "{n_whole}");
    }
}
