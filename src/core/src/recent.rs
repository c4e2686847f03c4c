//! What changed in an instance since it was read last: which page to ask next, newest change
//! first, and whether what the pages showed may be believed. Pure: knows no clock and no HTTP, and
//! never says that a registry is absent.
//!
//! A sweep of an instance costs a page per 100 registries. One page in the order of `updated_at`,
//! newest first, shows what was created or edited since: whoever reads down to a record strictly
//! older than the newest one of the last read (the *mark*) has seen every later change. Strictly,
//! because a server may count whole seconds.
//!
//! **What such a read does not show.** Deletions: a record that no page shows stays as it was until
//! the next sweep. And writes that commit late: SWR may stamp a write, and let lists show it up to
//! T_settle (120 s) later, below the mark. Reading all records within T_settle of the mark each
//! time would show those too, but in a burst of 60 creations a second that is 120 x 60 = 7,200
//! records, 72 pages instead of one. So a read goes to the mark and no further. Its first page
//! holds the 100 newest in any case: as long as fewer than 100 registries change within T_settle,
//! which is all but bursts, the page reaches that far and nothing is missed. Where it does not, the
//! sweep at the poll interval shows what committed late.
//!
//! **Several pages.** Between two pages others write, and then the second begins elsewhere. So each
//! page overlaps the one before, and must show its last record again, unchanged: then nothing has
//! slipped from a page still to be read to one already read, whatever was created and deleted
//! meanwhile, and whatever `total` counts. (An offset must be a multiple of its limit, swr-api.md
//! 1.3. Page k with limit 100 - k begins at k x (100 - k), and page k - 1 ended at k x (101 - k),
//! which is k records further.) Records with the stamp of that last one on both sides could have
//! changed places, and are not relied upon. What was edited between the pages went to the head, so
//! page 0 is read once more at the end. When any of this fails, the read shows what it showed and
//! no more: whoever needs certainty sweeps.
//!
//! **Trust.** No document says that SWR moves `updated_at` with every write, or that it sorts by
//! it. So own writes are the proof: after SWR answered one, it must stand at the head of the next
//! read. Until one has, the reads of an instance are `Unproven`; they show what they show. When one
//! has not, the next sweep tells why. Deleted since, or unchanged by the write, or not visible
//! there either, because lists lag: nothing is wrong with the order. There with a stamp that cannot
//! come to the head: `Broken`. There with a stamp that should have been at the head: lists lagged,
//! and do no more, or the order is broken; the next read must show it then. Missing there and
//! unchanged in one more sweep, it is `Broken`. The same holds for the record at the mark, whoever
//! wrote it. Broken lasts until a poll's sweep has passed that finds nothing new to blame, so an
//! order that is ignored costs a few pages per poll. Stamps that cannot be read leave sweeps alone.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::desired::RegistryId;
use crate::observed::{Health, Inventory, Record};
use crate::time;

/// The most that SWR gives (swr-api.md 1.3).
pub const PAGE_LENGTH: usize = 100;

/// A read of ten pages takes a second at the default of 10 requests per second, and reaches 9 x 91
/// + 91 = 910 changes back: 15 s of 60 creations a second, where reads are 250 ms apart.
const PAGES_MAX: usize = 10;

/// Stamps a second apart may be of writes that nearly are two seconds apart.
const TICK: SignedDuration = SignedDuration::from_secs(2);

/// An instant by SWR's clock. It is a type of its own, because it is never compared with ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(Timestamp);

impl Stamp {
    /// When SWR says that this record changed last. `None` if it does not say, or not so that an
    /// instant can be read without guessing: a time without a zone is no instant.
    pub fn of(record: &Record) -> Option<Stamp> {
        record.updated_at.as_deref()?.parse().ok().map(Stamp)
    }

    /// Whether this is more than `span` before `other`.
    fn precedes_by(self, other: Stamp, span: SignedDuration) -> bool {
        time::after_span(self.0, span) < other.0
    }
}

/// Whether the newest changes of an instance come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// No own write was at the head when it had to be.
    #[default]
    Unproven,
    /// The last ones were.
    Proven,
    /// They are elsewhere.
    Broken,
}

/// How an instance can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Page by page, whole.
    Sweep,
    /// Newest change first.
    Newest,
}

/// What SWR answered with success.
#[derive(Clone, Copy, Debug)]
pub enum Written<'a> {
    /// A POST.
    Created,
    /// A PUT, and the record that it was to replace.
    Updated(&'a Record),
}

/// Why a sweep is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// The poll interval.
    Poll,
    /// Somebody needed it.
    Demand,
}

/// What a read of the newest changes gave. Whatever it says, what its pages showed is in the
/// inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The inventory shows everything that was created or edited before the read began, but for
    /// what committed late in a burst; and what was deleted.
    Current,
    /// Something may be missing. Whoever has to know sweeps.
    Partial(Why),
}

/// Why a read does not show everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// There was no sweep before.
    NotSwept,
    /// No own write has shown yet that the newest changes come first.
    Unproven,
    /// An own write is not at the head. The next sweep tells why.
    OwnWriteMissing,
    /// The pages are not in the order that was asked for, or an own write cannot come to the head.
    Broken,
    /// SWR does not say when a record changed, or not so that it can be read.
    Unreadable,
    /// More changed than a read may cost.
    TooMany,
    /// Others wrote between two pages, and something may have slipped through.
    Moved,
    /// The list ended before everything that it counts or that is known.
    Short,
    /// A page does not fit into an answer.
    TooLong,
}

/// What is known of the order in which one instance gives its registries, and of the changes read
/// so far.
#[derive(Clone, Debug)]
pub struct Recent {
    settle: SignedDuration,
    trust: Trust,
    /// `None` before the first sweep.
    base: Option<Base>,
    /// Own writes that have to show. At most one for each registry, and none for longer than
    /// T_settle after it was answered.
    expected: BTreeMap<RegistryId, Expected>,
    /// What a sweep or an earlier read showed and the head did not. At most one for each
    /// registry; the sweep after the next read empties it.
    suspects: BTreeMap<RegistryId, Suspect>,
    lists_lag: bool,
}

/// What the last read left.
#[derive(Clone, Debug)]
struct Base {
    mark: Option<Mark>,
    /// Whether newest first can come to an end from here. A sweep sets it.
    is_usable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    stamp: Stamp,
    /// `None` once we deleted it.
    id: Option<RegistryId>,
}

#[derive(Clone, Debug)]
struct Expected {
    answered_at: Timestamp,
    /// What the record was before, as a hash, and its stamp; `None` if there was none.
    before: Option<(u64, Option<Stamp>)>,
    missed: Option<Missed>,
}

/// Where an own write did not show although the read began after its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missed {
    InSweep,
    AtHead,
}

#[derive(Clone, Debug)]
struct Suspect {
    stamp: Stamp,
    /// A later read that went below its stamp did not show it.
    is_absent: bool,
    /// An own write that the head did not show: if it does later, lists lagged.
    is_own: bool,
}

impl Recent {
    /// Of an instance of which nothing is known yet. `settle` is T_settle: no write takes effect
    /// later than that after it began.
    pub fn new(settle: SignedDuration) -> Self {
        Recent {
            settle,
            trust: Trust::Unproven,
            base: None,
            expected: BTreeMap::new(),
            suspects: BTreeMap::new(),
            lists_lag: false,
        }
    }

    /// SWR answered our write of this registry with success at this time.
    pub fn wrote(&mut self, id: RegistryId, written: Written<'_>, answered_at: Timestamp) {
        let suspect = self.suspects.remove(&id).filter(|suspect| suspect.is_own);
        let known = self.expected.remove(&id);
        let missed = known.and_then(|known| known.missed);
        self.expected.insert(
            id,
            Expected {
                answered_at,
                before: match written {
                    Written::Created => None,
                    Written::Updated(record) => Some((without_health(record), Stamp::of(record))),
                },
                // What did not show then has not shown yet.
                missed: missed.or(suspect.map(|_| Missed::AtHead)),
            },
        );
    }

    /// SWR answered our DELETE of this registry with success: it need not show any more.
    pub fn deleted(&mut self, id: RegistryId) {
        self.expected.remove(&id);
        self.suspects.remove(&id);
        if let Some(mark) = self.base.as_mut().and_then(|base| base.mark.as_mut()) {
            mark.id = mark.id.filter(|its| *its != id);
        }
    }

    /// How the instance can be read. Where only sweeps remain, a read between two polls is left
    /// out.
    pub fn reads(&self) -> Read {
        match &self.base {
            Some(base) if base.is_usable && self.trust != Trust::Broken => Read::Newest,
            Some(_) | None => Read::Sweep,
        }
    }

    /// A read of the newest changes that begins at this time; `None` where only a sweep helps.
    pub fn newest(&self, inventory: &Inventory, begun: Timestamp) -> Option<Newest> {
        let base = self.base.as_ref()?;
        let n_known = inventory.records().len();
        let may_read = self.reads() == Read::Newest;
        let own = self.suspects.values().filter(|suspect| suspect.is_own);
        let own = own.map(|suspect| suspect.stamp).min();
        may_read.then(|| Newest {
            begun,
            // What the head did not show before, it is to show now.
            floor: base
                .mark
                .map(|mark| own.map_or(mark.stamp, |own| own.min(mark.stamp))),
            // Page 0 once more at the end not counted: with it, at most a page more than half of
            // what a sweep costs.
            pages_max: (n_known.div_ceil(PAGE_LENGTH) / 2).clamp(1, PAGES_MAX),
            n_known,
            at: Place::Page(0),
            first_head: None,
            head: None,
            last: None,
            oldest: None,
            has_ended: false,
            ids: BTreeSet::new(),
            records: Vec::new(),
        })
    }

    /// Takes in a read of the newest changes.
    pub fn merge(&mut self, read: Newest, inventory: &mut Arc<Inventory>) -> Outcome {
        let outcome = self.assess(&read, inventory);
        if !read.records.is_empty() {
            Arc::make_mut(inventory).merge(read.records);
        }
        outcome
    }

    fn assess(&mut self, read: &Newest, inventory: &Inventory) -> Outcome {
        let Some(base) = self.base.clone() else {
            return Outcome::Partial(Why::NotSwept);
        };
        match read.at {
            Place::Done => {}
            Place::Given(Why::Broken) => {
                self.is_broken_now();
                return Outcome::Partial(Why::Broken);
            }
            // The next sweep sets the mark anew; before it, another read would come to the same.
            Place::Given(why) => {
                self.base = Some(Base {
                    is_usable: false,
                    ..base
                });
                return Outcome::Partial(why);
            }
            Place::Page(_) | Place::Again => return Outcome::Partial(Why::Short),
        }
        let shown: BTreeMap<RegistryId, &Record> = read
            .records
            .iter()
            .map(|(record, _)| (record.id, &**record))
            .collect();
        let floor = base.mark.map(|mark| mark.stamp);
        let has_mark = base
            .mark
            .and_then(|mark| mark.id)
            .is_none_or(|id| shown.contains_key(&id));

        let (mut n_at_head, mut is_missing, mut is_broken) = (0_usize, false, false);
        for (id, mut expected) in std::mem::take(&mut self.expected) {
            let is_told = expected.answered_at < read.begun;
            let shows = |record: &Record| expected.shows(record);
            let at_head = shown.get(&id).copied().filter(|record| shows(record));
            // A read that began before the answer may have shown it already.
            let known = inventory.get(id).filter(|record| shows(record));
            match (at_head, known) {
                (Some(record), _) => {
                    self.lists_lag |= expected.missed.is_some();
                    match Stamp::of(record).map(|stamp| self.place(&expected, stamp, floor)) {
                        Some(At::Head) => n_at_head += 1,
                        Some(At::Near) => {}
                        Some(At::Below) | None => is_broken = true,
                    }
                }
                (None, Some(_)) => {}
                (None, None) if expected.is_over(read.begun, self.settle) => {}
                (None, None) => {
                    if is_told {
                        expected.missed = Some(Missed::AtHead);
                        is_missing = true;
                    }
                    self.expected.insert(id, expected);
                }
            }
        }
        let is_below = |stamp: Stamp| read.has_ended || read.oldest.is_some_and(|it| it < stamp);
        self.suspects.retain(|id, suspect| {
            let is_shown = shown.contains_key(id);
            self.lists_lag |= is_shown && suspect.is_own;
            suspect.is_absent |= !is_shown && is_below(suspect.stamp);
            is_missing |= !is_shown && suspect.is_own;
            !is_shown
        });
        if let Some(Mark {
            stamp,
            id: Some(id),
        }) = base.mark.filter(|_| !has_mark)
        {
            self.suspects.entry(id).or_insert(Suspect {
                stamp,
                is_absent: true,
                is_own: false,
            });
        }
        if is_broken {
            self.is_broken_now();
            return Outcome::Partial(Why::Broken);
        }
        self.trust = match self.trust {
            Trust::Unproven if n_at_head > 0 && !is_missing && has_mark => Trust::Proven,
            Trust::Proven if is_missing => Trust::Unproven,
            Trust::Unproven | Trust::Proven | Trust::Broken => self.trust,
        };

        self.base = Some(Base {
            mark: read.head,
            is_usable: true,
        });
        match self.trust {
            _ if is_missing => Outcome::Partial(Why::OwnWriteMissing),
            Trust::Proven => Outcome::Current,
            Trust::Unproven | Trust::Broken => Outcome::Partial(Why::Unproven),
        }
    }

    /// Takes in a sweep that began at `begun`.
    pub fn swept(&mut self, occasion: Occasion, begun: Timestamp, sweep: &Inventory) {
        let stamps: Option<Vec<(Stamp, RegistryId)>> = sweep
            .records()
            .map(|record| Some((Stamp::of(record)?, record.id)))
            .collect();
        let mark = stamps.as_ref().and_then(|stamps| stamps.iter().max());
        let n_newest = stamps.iter().flatten();
        let n_newest = n_newest.filter(|(stamp, _)| mark.is_some_and(|mark| *stamp == mark.0));
        // A page of equal stamps holds nothing strictly older.
        let is_usable = stamps.is_some() && sweep.is_whole() && n_newest.count() < PAGE_LENGTH;

        let is_broken = self.blame(begun, sweep);
        self.trust = match (self.trust, occasion) {
            _ if is_broken => Trust::Broken,
            (Trust::Broken, Occasion::Poll) => Trust::Unproven,
            (trust, Occasion::Poll | Occasion::Demand) => trust,
        };
        self.base = Some(Base {
            mark: mark.map(|(stamp, id)| Mark {
                stamp: *stamp,
                id: Some(*id),
            }),
            is_usable,
        });
    }

    /// Whether a sweep shows that what was not at the head should have been.
    fn blame(&mut self, begun: Timestamp, sweep: &Inventory) -> bool {
        let mut is_broken = false;
        for (id, suspect) in std::mem::take(&mut self.suspects) {
            let Some(stamp) = sweep.get(id).and_then(Stamp::of) else {
                continue;
            };
            if suspect.is_absent {
                // Deleted or edited since, it would not be here as it was.
                is_broken |= stamp == suspect.stamp;
            } else if suspect.is_own {
                let suspect = Suspect { stamp, ..suspect };
                self.suspects.insert(id, suspect);
            }
        }
        let floor = self.base.as_ref().and_then(|base| base.mark);
        let floor = floor.map(|mark| mark.stamp);
        for (id, mut expected) in std::mem::take(&mut self.expected) {
            let is_told = expected.answered_at < begun;
            let record = sweep.get(id).filter(|record| expected.shows(record));
            let Some(record) = record else {
                if !expected.is_over(begun, self.settle) {
                    expected.missed = expected.missed.or(is_told.then_some(Missed::InSweep));
                    self.expected.insert(id, expected);
                }
                continue;
            };
            let Some(stamp) = Stamp::of(record) else {
                continue;
            };
            match (self.place(&expected, stamp, floor), expected.missed) {
                (At::Below, _) => is_broken = true,
                // No read went down to it, or nobody has read since.
                (At::Near, Some(Missed::AtHead)) | (At::Near | At::Head, None) => {}
                (At::Near | At::Head, Some(Missed::InSweep)) => self.lists_lag = true,
                (At::Head, Some(Missed::AtHead)) => {
                    let suspect = Suspect {
                        stamp,
                        is_absent: false,
                        is_own: true,
                    };
                    self.suspects.insert(id, suspect);
                }
            }
        }
        is_broken
    }

    fn place(&self, expected: &Expected, stamp: Stamp, floor: Option<Stamp>) -> At {
        let before = expected.before.and_then(|(_, before)| before);
        match floor {
            // It stood still, and not because two writes fell into one second.
            Some(floor) if before == Some(stamp) && stamp.precedes_by(floor, TICK) => At::Below,
            Some(floor) if stamp.precedes_by(floor, self.settle) => At::Below,
            Some(floor) if stamp < floor => At::Near,
            Some(_) | None => At::Head,
        }
    }

    fn is_broken_now(&mut self) {
        self.trust = Trust::Broken;
        self.suspects.clear();
    }

    /// Whether an own write of this registry has not shown in any read yet.
    pub fn awaits(&self, id: RegistryId) -> bool {
        self.expected.contains_key(&id)
    }

    /// What is known of the order.
    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// Whether reads of the newest changes are switched off, because the newest did not come first.
    pub fn is_broken(&self) -> bool {
        self.trust == Trust::Broken
    }

    /// Whether every own write has shown in the first read that began after its answer, so that a
    /// PUT may rely on the record that a page showed (rule 9).
    pub fn lists_never_lagged(&self) -> bool {
        let mut expected = self.expected.values();
        let mut suspects = self.suspects.values();
        !self.lists_lag
            && !expected.any(|expected| expected.missed.is_some())
            && !suspects.any(|suspect| suspect.is_own)
    }
}

/// Where a stamp stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Not below the mark, so every read shows it.
    Head,
    /// Below the mark by what a write may commit late.
    Near,
    /// Where no write of now can be.
    Below,
}

impl Expected {
    /// Whether a record is as our write left it, or later, and not as it was before.
    fn shows(&self, record: &Record) -> bool {
        self.before
            .is_none_or(|(before, _)| before != without_health(record))
    }

    /// Whether it is too late for it to show: the write changed nothing, or was undone.
    fn is_over(&self, begun: Timestamp, settle: SignedDuration) -> bool {
        time::after_span(self.answered_at, settle) < begun
    }
}

/// A record as what writes change of it: health moves by itself.
fn without_health(record: &Record) -> u64 {
    let mut hasher = DefaultHasher::new();
    let record = Record {
        health: Health::NotReported,
        ..record.clone()
    };
    record.hash(&mut hasher);
    hasher.finish()
}

/// One read of the newest changes, page after page.
#[derive(Clone, Debug)]
pub struct Newest {
    begun: Timestamp,
    floor: Option<Stamp>,
    pages_max: usize,
    /// How many registries were known before.
    n_known: usize,
    at: Place,
    /// The newest stamp of the first page.
    first_head: Option<Stamp>,
    /// The newest record of page 0 when it was read last.
    head: Option<Mark>,
    /// The last record of the page before.
    last: Option<(RegistryId, Stamp)>,
    /// How far the read went, without a hole.
    oldest: Option<Stamp>,
    /// It went to the end of the list.
    has_ended: bool,
    ids: BTreeSet<RegistryId>,
    records: Vec<(Arc<Record>, Timestamp)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Page(usize),
    /// Page 0, after the others.
    Again,
    Done,
    /// Given up.
    Given(Why),
}

/// Consecutive places in the list, newest change first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The first of them.
    pub offset: usize,
    /// How many.
    pub limit: usize,
}

impl Newest {
    /// What to ask next; `None` when the read is over.
    pub fn next(&self) -> Option<Part> {
        let page = match self.at {
            Place::Page(page) => page,
            Place::Again => 0,
            Place::Done | Place::Given(_) => return None,
        };
        let limit = PAGE_LENGTH.saturating_sub(page);
        Some(Part {
            offset: page * limit,
            limit,
        })
    }

    /// Takes the part that [`Newest::next`] asked for, and how many registries there are in all, as
    /// far as SWR told.
    pub fn take(&mut self, records: Vec<Record>, total: Option<usize>, requested_at: Timestamp) {
        let Some(part) = self.next() else {
            return;
        };
        let stamps: Option<Vec<Stamp>> = records.iter().map(Stamp::of).collect();
        let ids: Vec<RegistryId> = records.iter().map(|record| record.id).collect();
        // Whatever is wrong with the order, the records are as they are.
        let records = records
            .into_iter()
            .map(|record| (Arc::new(record), requested_at));
        self.records.extend(records);
        self.at = match stamps {
            Some(stamps) => self.turn_page(part, &ids, &stamps, total),
            None => Place::Given(Why::Unreadable),
        };
        self.ids.extend(ids);
    }

    fn turn_page(
        &mut self,
        part: Part,
        ids: &[RegistryId],
        stamps: &[Stamp],
        total: Option<usize>,
    ) -> Place {
        if !stamps.is_sorted_by(|newer, older| newer >= older) {
            return Place::Given(Why::Broken);
        }
        let first = ids.first().zip(stamps.first());
        let last = ids.last().zip(stamps.last());
        match (self.at, self.last) {
            (Place::Page(page), Some(boundary)) if page > 0 => {
                let mut pairs = ids.iter().copied().zip(stamps.iter().copied());
                let mut new = pairs.clone().filter(|(id, _)| !self.ids.contains(id));
                // Equal stamps on both sides may have changed places.
                if !pairs.any(|pair| pair == boundary) || new.any(|(_, at)| at == boundary.1) {
                    return Place::Given(Why::Moved);
                }
            }
            (Place::Page(_) | Place::Again | Place::Done | Place::Given(_), _) => {
                self.head = first.map(|(id, stamp)| Mark {
                    stamp: *stamp,
                    id: Some(*id),
                });
                self.first_head = self.first_head.or(first.map(|(_, stamp)| *stamp));
            }
        }
        let is_last = ids.len() < part.limit;
        if is_last {
            // A server that gives shorter pages than it was asked for has more behind it.
            let n_read = self.ids.iter().chain(ids).collect::<BTreeSet<_>>().len();
            let n_told = total.unwrap_or_default().max(self.n_known);
            if n_read < n_told && !self.is_below(stamps) {
                return Place::Given(Why::Short);
            }
        }
        let is_through = self.is_below(stamps) || is_last;
        match self.at {
            Place::Page(page) => {
                self.last = last.map(|(id, stamp)| (*id, *stamp));
                self.oldest = last.map(|(_, stamp)| *stamp);
                self.has_ended = is_last && !self.is_below(stamps);
                match page {
                    0 if is_through => Place::Done,
                    _ if is_through => Place::Again,
                    _ if page + 1 >= self.pages_max => Place::Given(Why::TooMany),
                    _ => Place::Page(page + 1),
                }
            }
            Place::Again if is_through => Place::Done,
            Place::Again | Place::Done | Place::Given(_) => Place::Given(Why::TooMany),
        }
    }

    /// Whether a page shows a record strictly older than what the read goes down to.
    fn is_below(&self, stamps: &[Stamp]) -> bool {
        let floor = match self.at {
            Place::Again => self.first_head,
            Place::Page(_) | Place::Done | Place::Given(_) => self.floor,
        };
        stamps
            .last()
            .copied()
            .zip(floor)
            .is_some_and(|(last, floor)| last < floor)
    }

    /// The part that [`Newest::next`] asked for does not fit into an answer.
    pub fn too_long(&mut self) {
        self.at = Place::Given(Why::TooLong);
    }
}

#[cfg(test)]
mod tests;
