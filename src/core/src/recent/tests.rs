//! A server in memory, with everything that a server may do to a list.

use super::*;

const SETTLE: SignedDuration = SignedDuration::from_secs(120);

/// The variable that the seed of one world is read from, to see that world again.
const SEED: &str = "SWR_RECENT_SEED";

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).expect("in range")
}

/// Numbers below a bound, the same for the same seed (xorshift).
fn seeded(seed: u64) -> impl FnMut(u64) -> u64 {
    let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move |below| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below.max(1)
    }
}

fn small(n: u64) -> i64 {
    i64::try_from(n).expect("small")
}

/// What a server does that ours need not do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a habit of its own")]
struct Habits {
    /// Stamps count seconds.
    whole_seconds: bool,
    /// What is written shows in lists so much later.
    lag: i64,
    /// The order of equal stamps is another one with every request.
    shuffles: bool,
    /// It sorts by creation, newest first, whatever it is asked for.
    ignores_column: bool,
    /// It sorts by change, oldest first.
    ignores_direction: bool,
    /// A PUT leaves the stamp of the creation.
    stands_still: bool,
    /// It says nothing of changes, or not in a way that can be read.
    tells: Tells,
    total: Total,
    /// It gives pages of 70 whatever it is asked for.
    short_pages: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Tells {
    #[default]
    Time,
    NoZone,
    Nothing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Total {
    #[default]
    All,
    Page,
    Absent,
}

/// One version of a registry; `None` when it is deleted.
#[derive(Clone)]
struct Version {
    visible_at: i64,
    is_late: bool,
    state: Option<State>,
}

#[derive(Clone, PartialEq, Eq)]
struct State {
    text: u64,
    stamp: i64,
    created: i64,
}

struct World {
    habits: Habits,
    /// Ours and, but for `skew`, the server's time.
    now: i64,
    skew: i64,
    n_texts: u64,
    turn: u64,
    versions: BTreeMap<i64, Vec<Version>>,
}

impl World {
    fn new(habits: Habits, n: i64) -> Self {
        let mut world = World {
            habits,
            now: 1_000_000,
            skew: 5_000,
            n_texts: 0,
            turn: 0,
            versions: BTreeMap::new(),
        };
        for _ in 0..n {
            world.create(0);
            world.now += 300;
        }
        world.now += 200_000;
        world
    }

    /// Stamped now, and visible so much later.
    fn put(&mut self, id: i64, late: i64, lives: bool) {
        let before = self.state(id, i64::MAX).cloned();
        let stamp = self.now + self.skew;
        self.n_texts += 1;
        let created = before.as_ref().map_or(stamp, |state| state.created);
        let stamp = if self.habits.stands_still {
            created
        } else {
            stamp
        };
        let version = Version {
            visible_at: self.now + late + self.habits.lag,
            is_late: late > 0,
            state: lives.then_some(State {
                text: self.n_texts,
                stamp,
                created,
            }),
        };
        self.versions.entry(id).or_default().push(version);
    }

    fn create(&mut self, late: i64) -> i64 {
        let id = self.versions.keys().next_back().map_or(1, |id| id + 1);
        self.put(id, late, true);
        id
    }

    /// As lists show it at a time.
    fn state(&self, id: i64, when: i64) -> Option<&State> {
        let versions = self.versions.get(&id)?.iter();
        let mut visible = versions.rev().filter(|version| version.visible_at <= when);
        visible.next()?.state.as_ref()
    }

    fn living(&self) -> Vec<i64> {
        let ids = self.versions.keys().copied();
        ids.filter(|id| self.state(*id, i64::MAX).is_some())
            .collect()
    }

    fn stamp(&self, millis: i64) -> i64 {
        match self.habits.whole_seconds {
            true => millis.div_euclid(1_000) * 1_000,
            false => millis,
        }
    }

    fn record(&self, id: i64, state: &State) -> Record {
        let stamp = at(self.stamp(state.stamp));
        Record {
            id: RegistryId(id),
            name: format!("r{id}"),
            type_: "".into(),
            url: "".into(),
            insecure: None,
            description: state.text.to_string(),
            project: None,
            region: None,
            instance: None,
            dns_hosts: None,
            access_key: None,
            health: Health::NotReported,
            updated_at: match self.habits.tells {
                Tells::Time => Some(stamp.to_string()),
                Tells::NoZone => Some(stamp.strftime("%Y-%m-%d %H:%M:%S").to_string()),
                Tells::Nothing => None,
            },
        }
    }

    fn visible(&self, when: i64) -> Vec<(i64, State)> {
        let ids = self.versions.keys();
        ids.filter_map(|id| Some((*id, self.state(*id, when)?.clone())))
            .collect()
    }

    fn sweep(&self) -> Inventory {
        let records = self.visible(self.now).into_iter();
        Inventory::listed(records.map(|(id, state)| (self.record(id, &state), at(self.now))))
    }

    fn page(&mut self, part: Part) -> (Vec<Record>, Option<usize>) {
        assert!(part.offset.is_multiple_of(part.limit) && part.limit <= PAGE_LENGTH);
        self.turn += 1;
        let mut all = self.visible(self.now);
        let turn = i64::try_from(self.turn).expect("small");
        all.sort_by_key(|(id, state)| {
            let key = match self.habits.ignores_column {
                true => state.created,
                false => self.stamp(state.stamp),
            };
            let tie = match self.habits.shuffles {
                true => id.wrapping_mul(2_654_435_761 + 2 * turn) % 1_009,
                false => *id,
            };
            (key, tie)
        });
        if !self.habits.ignores_direction {
            all.reverse();
        }
        let limit = match self.habits.short_pages {
            true => part.limit.min(70),
            false => part.limit,
        };
        let page = all.iter().skip(part.offset).take(limit);
        let page: Vec<Record> = page.map(|(id, state)| self.record(*id, state)).collect();
        let total = match self.habits.total {
            Total::All => Some(all.len()),
            Total::Page => Some(page.len()),
            Total::Absent => None,
        };
        (page, total)
    }
}

/// A world, and what we know of it.
struct Bed {
    world: World,
    recent: Recent,
    inventory: Arc<Inventory>,
    n_pages: usize,
}

impl Bed {
    fn new(habits: Habits, n: i64) -> Self {
        let mut bed = Bed {
            world: World::new(habits, n),
            recent: Recent::new(SETTLE),
            inventory: Arc::default(),
            n_pages: 0,
        };
        bed.sweep(Occasion::Poll);
        bed
    }

    fn sweep(&mut self, occasion: Occasion) {
        self.world.now += 1;
        let begun = at(self.world.now);
        let sweep = self.world.sweep();
        self.world.now += 1;
        self.recent.swept(occasion, begun, &sweep);
        self.inventory = Arc::new(sweep);
    }

    /// A read; `meanwhile` runs before every page but the first.
    fn read(&mut self, mut meanwhile: impl FnMut(&mut World)) -> Option<Outcome> {
        self.world.now += 1;
        let mut read = self.recent.newest(&self.inventory, at(self.world.now))?;
        let mut n_pages = 0;
        while let Some(part) = read.next() {
            self.world.now += 1;
            if n_pages > 0 {
                meanwhile(&mut self.world);
                self.world.now += 1;
            }
            let requested_at = at(self.world.now);
            let (records, total) = self.world.page(part);
            read.take(records, total, requested_at);
            n_pages += 1;
        }
        assert!(n_pages <= PAGES_MAX + 1);
        self.n_pages += n_pages;
        self.world.now += 1;
        let ids = |of: &Inventory| of.records().map(|r| r.id).collect::<BTreeSet<_>>();
        let before = ids(&self.inventory);
        let outcome = self.recent.merge(read, &mut self.inventory);
        // No absence is claimed.
        assert!(before.is_subset(&ids(&self.inventory)));
        Some(outcome)
    }

    fn quiet(&mut self) -> Option<Outcome> {
        self.read(|_| {})
    }

    /// Creates one, or edits, and SWR answers.
    fn write(&mut self, id: Option<i64>) -> i64 {
        let before = id.and_then(|id| self.inventory.get(RegistryId(id)).cloned());
        let id = match id {
            Some(id) => {
                self.world.put(id, 0, true);
                id
            }
            None => self.world.create(0),
        };
        self.world.now += 1;
        let written = before.as_ref().map_or(Written::Created, Written::Updated);
        self.recent
            .wrote(RegistryId(id), written, at(self.world.now));
        self.world.now += 1;
        id
    }
}

#[test]
fn a_look_costs_a_page_and_is_believed_once_an_own_write_was_at_the_head() {
    let mut bed = Bed::new(Habits::default(), 350);
    assert_eq!(bed.quiet(), Some(Outcome::Partial(Why::Unproven)));
    bed.write(Some(7));
    assert_eq!(bed.quiet(), Some(Outcome::Current));
    bed.world.put(9, 0, true);
    let created = bed.world.create(0);
    assert_eq!(bed.quiet(), Some(Outcome::Current));
    assert_eq!(*bed.inventory, bed.world.sweep());
    assert_eq!(bed.n_pages, 3);
    // What is gone stays until the next sweep.
    bed.world.put(created, 0, false);
    assert_eq!(bed.quiet(), Some(Outcome::Current));
    assert!(bed.inventory.get(RegistryId(created)).is_some());
    bed.sweep(Occasion::Poll);
    assert!(!bed.recent.is_broken() && bed.recent.lists_never_lagged());
    assert_eq!(bed.inventory.get(RegistryId(created)), None);
}

/// Own edits of old registries and a creation, each followed by a read and a sweep.
fn live(bed: &mut Bed) -> Vec<Option<Outcome>> {
    let mut outcomes = Vec::new();
    for id in [Some(3), None, Some(5)] {
        bed.write(id);
        outcomes.push(bed.quiet());
        bed.world.now += 500;
        bed.sweep(Occasion::Demand);
    }
    outcomes
}

fn check(habits: Habits, expected: [Option<Outcome>; 3], trust: Trust, never_lagged: bool) {
    let mut bed = Bed::new(habits, 350);
    let outcomes = live(&mut bed);
    let found = (bed.recent.trust(), bed.recent.lists_never_lagged());
    assert_eq!(
        (&*outcomes, found),
        (&expected[..], (trust, never_lagged)),
        "{habits:?}"
    );
}

#[test]
fn each_habit_of_a_server_leads_to_reads_that_are_used_or_to_sweeps() {
    const CURRENT: Option<Outcome> = Some(Outcome::Current);
    const BROKEN: Option<Outcome> = Some(Outcome::Partial(Why::Broken));
    const MISSING: Option<Outcome> = Some(Outcome::Partial(Why::OwnWriteMissing));
    let usual = Habits::default();
    for total in [Total::All, Total::Page, Total::Absent] {
        for whole_seconds in [false, true] {
            let habits = Habits {
                whole_seconds,
                total,
                ..usual
            };
            check(habits, [CURRENT; 3], Trust::Proven, true);
            let habits = Habits {
                shuffles: true,
                ..habits
            };
            check(habits, [CURRENT; 3], Trust::Proven, true);
        }
    }
    // A page of 70 still shows something older than the mark.
    let short = Habits {
        short_pages: true,
        ..usual
    };
    check(short, [CURRENT; 3], Trust::Proven, true);
    for tells in [Tells::NoZone, Tells::Nothing] {
        let habits = Habits { tells, ..usual };
        check(habits, [None; 3], Trust::Unproven, true);
    }
    let backwards = Habits {
        ignores_direction: true,
        ..usual
    };
    check(backwards, [BROKEN, None, None], Trust::Broken, true);
    // The first edit is not at the head, and the sweep tells of a stamp that belongs there. The
    // second read does not show it either, the second sweep does.
    let by_creation = Habits {
        ignores_column: true,
        ..usual
    };
    check(by_creation, [MISSING, MISSING, None], Trust::Broken, true);
    // An edit leaves a stamp that is long ago.
    let still = Habits {
        stands_still: true,
        ..usual
    };
    check(still, [MISSING, None, None], Trust::Broken, true);
    // Visible when the sweep comes, or even later.
    for lag in [100, 900] {
        let habits = Habits { lag, ..usual };
        check(habits, [MISSING; 3], Trust::Unproven, false);
    }
}

#[test]
fn an_order_that_broke_is_tried_again_after_a_poll_and_no_earlier() {
    let mut bed = Bed::new(
        Habits {
            stands_still: true,
            ..Habits::default()
        },
        350,
    );
    live(&mut bed);
    assert_eq!(bed.recent.reads(), Read::Sweep);
    bed.world.habits.stands_still = false;
    bed.sweep(Occasion::Demand);
    assert!(bed.recent.is_broken());
    bed.sweep(Occasion::Poll);
    assert_eq!(
        (bed.recent.reads(), bed.recent.trust()),
        (Read::Newest, Trust::Unproven)
    );
    bed.write(Some(11));
    assert_eq!(bed.quiet(), Some(Outcome::Current));
}

#[test]
fn lists_that_lagged_are_remembered_and_not_blamed_on_the_order() {
    let mut bed = Bed::new(
        Habits {
            lag: 300,
            ..Habits::default()
        },
        350,
    );
    let id = bed.write(None);
    assert_eq!(bed.quiet(), Some(Outcome::Partial(Why::OwnWriteMissing)));
    assert!(bed.recent.awaits(RegistryId(id)) && !bed.recent.lists_never_lagged());
    bed.world.now += 1_000;
    assert_eq!(bed.quiet(), Some(Outcome::Current));
    assert!(!bed.recent.awaits(RegistryId(id)) && !bed.recent.lists_never_lagged());
    bed.sweep(Occasion::Poll);
    assert!(!bed.recent.lists_never_lagged() && !bed.recent.is_broken());
}

#[test]
fn a_put_that_changes_nothing_and_a_registry_that_somebody_deleted_are_no_evidence() {
    let mut bed = Bed::new(Habits::default(), 350);
    bed.write(Some(3));
    assert_eq!(bed.quiet(), Some(Outcome::Current));
    let unchanged = bed.inventory.get(RegistryId(8)).cloned().expect("there");
    let answered = at(bed.world.now);
    bed.recent
        .wrote(RegistryId(8), Written::Updated(&unchanged), answered);
    let gone = bed.write(None);
    bed.world.put(gone, 0, false);
    let ours = bed.write(None);
    bed.world.put(ours, 0, false);
    bed.recent.deleted(RegistryId(ours));
    assert!(!bed.recent.awaits(RegistryId(ours)));
    bed.world.now += 5;
    assert_eq!(bed.quiet(), Some(Outcome::Partial(Why::OwnWriteMissing)));
    bed.sweep(Occasion::Demand);
    // Not known yet: SWR may still show them.
    assert!(!bed.recent.is_broken() && !bed.recent.lists_never_lagged());
    bed.world.now += 121_000;
    bed.sweep(Occasion::Poll);
    assert!(!bed.recent.is_broken() && bed.recent.lists_never_lagged());
    bed.write(None);
    assert_eq!(bed.quiet(), Some(Outcome::Current));
}

#[test]
fn a_write_that_never_shows_is_waited_for_no_longer_than_it_could_take() {
    let mut bed = Bed::new(Habits::default(), 350);
    bed.write(Some(3));
    assert_eq!(bed.quiet(), Some(Outcome::Current));
    let unchanged = bed.inventory.get(RegistryId(8)).cloned().expect("there");
    bed.recent.wrote(
        RegistryId(8),
        Written::Updated(&unchanged),
        at(bed.world.now),
    );
    bed.world.now += 5;
    assert_eq!(bed.quiet(), Some(Outcome::Partial(Why::OwnWriteMissing)));
    assert_eq!(bed.recent.trust(), Trust::Unproven);
    bed.world.now += 121_000;
    assert_eq!(bed.quiet(), Some(Outcome::Partial(Why::Unproven)));
    assert!(!bed.recent.awaits(RegistryId(8)) && bed.recent.lists_never_lagged());
}

#[test]
fn the_newest_registry_of_others_may_be_deleted_without_doubt_about_our_writes() {
    let mut bed = Bed::new(Habits::default(), 350);
    bed.write(Some(3));
    let theirs = bed.world.create(0);
    assert_eq!(bed.quiet(), Some(Outcome::Current));
    bed.world.put(theirs, 0, false);
    for _ in 0..2 {
        assert_eq!(bed.quiet(), Some(Outcome::Current));
    }
}

#[test]
fn an_own_write_below_the_mark_proves_nothing() {
    let mut bed = Bed::new(Habits::default(), 350);
    bed.world.create(0);
    bed.sweep(Occasion::Demand);
    // The server's clock goes back.
    bed.world.skew -= 10_000;
    bed.write(Some(7));
    assert_eq!(bed.quiet(), Some(Outcome::Partial(Why::Unproven)));
    assert!(!bed.recent.awaits(RegistryId(7)));
}

#[test]
fn what_committed_late_shows_unless_a_page_of_others_was_stamped_since() {
    for (n_others, shows) in [(10, true), (150, false)] {
        let mut bed = Bed::new(Habits::default(), 500);
        bed.write(Some(1));
        assert_eq!(bed.quiet(), Some(Outcome::Current));
        // Stamped now, and lists show it a minute later.
        bed.world.put(7, 60_000, true);
        for _ in 0..n_others {
            bed.world.create(0);
            bed.world.now += 100;
        }
        assert_eq!(bed.quiet(), Some(Outcome::Current));
        bed.world.now += 60_000;
        assert_eq!(bed.quiet(), Some(Outcome::Current));
        let is_shown = |bed: &Bed| {
            let state = bed.world.state(7, bed.world.now).expect("alive");
            bed.inventory.get(RegistryId(7)) == Some(&bed.world.record(7, state))
        };
        assert_eq!(is_shown(&bed), shows, "{n_others}");
        bed.sweep(Occasion::Poll);
        assert!(is_shown(&bed), "{n_others}");
    }
}

#[test]
fn a_burst_is_read_over_several_pages_and_page_0_again() {
    let mut bed = Bed::new(Habits::default(), 1_000);
    for _ in 0..230 {
        bed.write(None);
    }
    // 2 and 3 are edited before and during the read: they are at the head when it ends.
    bed.world.put(2, 0, true);
    assert_eq!(
        bed.read(|world| world.put(2, 0, true)),
        Some(Outcome::Current)
    );
    assert_eq!(bed.n_pages, 4);
    assert_eq!(*bed.inventory, bed.world.sweep());
    // Half of a sweep at most, and a page.
    let mut bed = Bed::new(Habits::default(), 300);
    for _ in 0..100 {
        bed.write(None);
    }
    assert_eq!(bed.quiet(), Some(Outcome::Partial(Why::TooMany)));
    assert_eq!((bed.n_pages, bed.recent.reads()), (1, Read::Sweep));
    bed.sweep(Occasion::Demand);
    assert_eq!(bed.recent.reads(), Read::Newest);
}

#[test]
fn a_deletion_between_two_pages_lets_nothing_slip_through_unnoticed() {
    let mut bed = Bed::new(Habits::default(), 1_000);
    for _ in 0..150 {
        bed.write(None);
    }
    let mut newest: Vec<i64> = bed.world.living().into_iter().rev().take(5).collect();
    let outcome = bed.read(|world| {
        // Two go and two come: `total` is the same.
        for _ in 0..2 {
            world.put(newest.pop().expect("five"), 0, false);
        }
    });
    assert_eq!(outcome, Some(Outcome::Partial(Why::Moved)));
}

#[test]
fn registries_that_all_changed_at_once_are_swept() {
    let habits = Habits {
        whole_seconds: true,
        ..Habits::default()
    };
    let mut bed = Bed::new(habits, 350);
    for _ in 0..120 {
        bed.world.create(0);
    }
    bed.sweep(Occasion::Poll);
    assert_eq!(bed.recent.reads(), Read::Sweep);
    bed.world.now += 2_000;
    bed.world.create(0);
    bed.sweep(Occasion::Poll);
    assert_eq!(bed.recent.reads(), Read::Newest);
}

/// Every record that lists showed when the read began, that nobody wrote since and none of whose writes committed
/// late, is as it was.
fn check_current(bed: &Bed, begun: i64, seed: u64) {
    for (id, state) in bed.world.visible(begun) {
        let touched = &bed.world.versions[&id];
        if touched
            .iter()
            .any(|v| v.is_late || v.visible_at > begun && v.visible_at <= bed.world.now)
        {
            continue;
        }
        let found = bed.inventory.get(RegistryId(id));
        assert_eq!(
            found,
            Some(&bed.world.record(id, &state)),
            "{SEED}={seed}: {id}"
        );
    }
}

/// What is in the inventory was true when its page was requested, or became so before it came.
fn check_seen(bed: &Bed, seed: u64) {
    for record in bed.inventory.records() {
        let (_, seen_at) = bed.inventory.seen(record.id).expect("seen");
        let state = bed.world.state(record.id.0, seen_at.as_millisecond());
        let state = state.map(|state| bed.world.record(record.id.0, state));
        assert_eq!(state.as_ref(), Some(record), "{SEED}={seed}");
    }
}

fn run(seed: u64) -> (usize, usize) {
    let mut random = seeded(seed);
    let mut pick = |n| random(n);
    let habits = Habits {
        whole_seconds: pick(2) == 0,
        lag: [0, 0, 700][usize::try_from(pick(3)).expect("small")],
        shuffles: pick(3) == 0,
        ignores_column: pick(8) == 0,
        ignores_direction: pick(12) == 0,
        stands_still: pick(10) == 0,
        tells: [
            Tells::Time,
            Tells::Time,
            Tells::Time,
            Tells::NoZone,
            Tells::Nothing,
        ][usize::try_from(pick(5)).expect("small")],
        total: [Total::All, Total::Page, Total::Absent][usize::try_from(pick(3)).expect("small")],
        short_pages: pick(8) == 0,
    };
    let lies = habits.ignores_column || habits.ignores_direction || habits.stands_still;
    // Most servers never step back in time, and commit at once.
    let (steps_back, is_late) = (pick(4) == 0, pick(4) == 0);
    let mut bed = Bed::new(habits, small(pick(500)));
    let (mut n_current, mut n_reads) = (0, 0);
    let mut back_until = 0;
    for _ in 0..30 {
        let most = if pick(5) == 0 { 130 } else { 6 };
        for _ in 0..pick(most) {
            let living = bed.world.living();
            let any = usize::try_from(pick(1_000)).expect("small") % living.len().max(1);
            let any = living.get(any).copied();
            let late = if is_late { small(pick(60_000)) } else { 0 };
            match pick(8) {
                0 | 1 => {
                    bed.write(None);
                }
                2 | 3 if any.is_some_and(|id| bed.inventory.get(RegistryId(id)).is_some()) => {
                    bed.write(any);
                }
                4 => {
                    bed.world.create(late);
                }
                5 | 6 => {
                    // Nobody edits what a write is still under way for.
                    if let Some(id) = any.filter(|id| {
                        bed.world.versions[id]
                            .iter()
                            .all(|v| v.visible_at <= bed.world.now)
                    }) {
                        bed.world.put(id, late, true);
                    }
                }
                _ => {
                    if let Some(id) = any.filter(|id| {
                        bed.world.versions[id]
                            .iter()
                            .all(|v| v.visible_at <= bed.world.now)
                    }) {
                        bed.world.put(id, 0, false);
                        if pick(2) == 0 {
                            bed.recent.deleted(RegistryId(id));
                        }
                    }
                }
            }
            bed.world.now += small(pick(40));
        }
        bed.world.now += small(pick(3_000));
        if steps_back && pick(10) == 0 {
            bed.world.skew -= 20_000;
            back_until = bed.world.now + 20_000;
        }
        let begun = bed.world.now + 1;
        n_reads += 1;
        let mut busy = seeded(seed ^ u64::try_from(begun).expect("positive"));
        let outcome = bed.read(|world| {
            for _ in 0..busy(4) {
                let living = world.living();
                let any = usize::try_from(busy(1_000)).expect("small") % living.len().max(1);
                match (busy(3), living.get(any)) {
                    (0, _) | (_, None) => {
                        world.create(0);
                    }
                    (1, Some(id)) => world.put(*id, 0, true),
                    (_, Some(id)) => world.put(*id, 0, false),
                }
                world.now += 1;
            }
        });
        let is_told = !lies && bed.world.now > back_until;
        if outcome == Some(Outcome::Current) {
            n_current += 1;
            if is_told {
                check_current(&bed, begun, seed);
            }
        }
        // Deleted and not swept yet is what a read does not show.
        if outcome.is_none_or(|outcome| outcome != Outcome::Current) && pick(2) == 0 || pick(8) == 0
        {
            let occasion = if pick(3) == 0 {
                Occasion::Poll
            } else {
                Occasion::Demand
            };
            bed.sweep(occasion);
        }
        if pick(4) == 0 {
            check_seen(&bed, seed);
        }
        let is_well = !lies && !steps_back;
        assert!(
            !(is_well && bed.recent.is_broken()),
            "{SEED}={seed}: {habits:?}"
        );
        let has_lagged = habits.lag > 0;
        assert!(
            has_lagged || !bed.recent.lists_lag || lies || is_late || steps_back,
            "{SEED}={seed}: {habits:?}"
        );
    }
    (n_current, n_reads)
}

#[test]
fn whatever_others_do_meanwhile_a_current_inventory_is_the_truth() {
    // Read when the test is built: this module looks at no environment.
    let named = option_env!("SWR_RECENT_SEED").map(|seed| seed.parse().expect("a number"));
    if let Some(seed) = named {
        run(seed);
        return;
    }
    let runs: Vec<(usize, usize)> = (1..=40).map(run).collect();
    let n_current: usize = runs.iter().map(|(current, _)| current).sum();
    assert!(n_current > 150, "{n_current}");
}
