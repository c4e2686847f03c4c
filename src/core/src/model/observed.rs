//! SWR's records -> inventory, and whose each record is. The only place that makes an [`Owned`],
//! so nothing else can name a registry to write to. Knows no JSON and no HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;

use crate::credential::Fingerprint;
use crate::desired::RegistryId;
use crate::tag::{self, Owner};

/// One registry as SWR reports it. A field that SWR left out is `None` and is no difference. Many registries of a page
/// have the same type, address and place, so those texts are shared: 300 of a record's 900 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Id, unique within the instance.
    pub id: RegistryId,
    /// Name.
    pub name: String,
    /// SWR's word for the type.
    pub type_: Arc<str>,
    /// Address as reported.
    pub url: Arc<str>,
    /// Whether the target's certificate is not verified.
    pub insecure: Option<bool>,
    /// Description as reported, tag included.
    pub description: String,
    /// Project of the receiving instance.
    pub project: Option<Arc<str>>,
    /// Region of the receiving instance.
    pub region: Option<Arc<str>>,
    /// The receiving instance.
    pub instance: Option<Arc<str>>,
    /// Host names and addresses as reported.
    pub dns_hosts: Option<Hosts>,
    /// Fingerprint of the access key, made at decoding; the secret is never looked at.
    pub access_key: Option<Fingerprint>,
    /// Health of the target.
    pub health: Health,
    /// Time of the last change, as reported: text of any format, which only `recent` tries to read.
    pub updated_at: Option<String>,
}

impl Record {
    /// The user's part of the description.
    pub fn text(&self) -> &str {
        tag::split(&self.description).0
    }

    /// The tag that it carries, of whichever object.
    fn tag(&self) -> Option<&str> {
        tag::split(&self.description).1
    }

    /// The record without what changes by itself and means nothing (`updated_at`), for the
    /// question whether anything moved.
    pub fn compared(&self) -> Record {
        Record {
            updated_at: None,
            ..self.clone()
        }
    }
}

/// Host names and their addresses as reported, sorted by name; no name twice. Most registries have
/// one, and a map of one text to another takes 544 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hosts(Box<[(Box<str>, Box<str>)]>);

impl Hosts {
    /// Each name with its address.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(host, address)| (&**host, &**address))
    }
}

impl FromIterator<(String, String)> for Hosts {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(hosts: I) -> Self {
        let sorted: BTreeMap<String, String> = hosts.into_iter().collect();
        let hosts = sorted.into_iter();
        Hosts(
            hosts
                .map(|(host, address)| (host.into(), address.into()))
                .collect(),
        )
    }
}

impl<const N: usize> From<[(String, String); N]> for Hosts {
    fn from(hosts: [(String, String); N]) -> Self {
        hosts.into_iter().collect()
    }
}

/// Health of the target as SWR reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// `healthy`.
    Healthy,
    /// `unhealthy`.
    Unhealthy,
    /// Absent, or a word that we do not know: nothing can be said.
    NotReported,
}

impl Health {
    /// From SWR's word.
    pub fn from_word(word: Option<&str>) -> Self {
        match word {
            Some("healthy") => Health::Healthy,
            Some("unhealthy") => Health::Unhealthy,
            Some(_) | None => Health::NotReported,
        }
    }

    /// The word for the status.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Health::Healthy => Some("healthy"),
            Health::Unhealthy => Some("unhealthy"),
            Health::NotReported => None,
        }
    }
}

/// A registry that carries our tag. Only this module makes one; updates and deletions need one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owned(Record);

impl Owned {
    /// The record.
    pub fn record(&self) -> &Record {
        &self.0
    }

    /// Its id.
    pub fn id(&self) -> RegistryId {
        self.0.id
    }
}

/// A registry that may be taken over: nobody has tagged it, or an earlier object of our name has.
/// Only this module makes one; adoption needs one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Adoptable(Record);

impl Adoptable {
    /// The record.
    pub fn record(&self) -> &Record {
        &self.0
    }

    /// Its id.
    pub fn id(&self) -> RegistryId {
        self.0.id
    }

    /// The tag that it carries, if it does.
    pub fn tag(&self) -> Option<&str> {
        tag::split(&self.0.description).1
    }
}

/// Whose a single record is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It carries exactly our tag.
    Ours(Owned),
    /// It carries no tag.
    Untagged(Adoptable),
    /// It carries the tag of an earlier object of our namespace and name.
    Predecessor(Adoptable),
    /// It carries another tag: of another object, installation or operator.
    TaggedByOther(RegistryId),
}

/// Whose a record is, by exact match of the tag (rule 3).
pub fn standing(record: Record, owner: &Owner) -> Standing {
    match tag::split(&record.description).1 {
        Some(found) if found == owner.tag() => Standing::Ours(Owned(record)),
        Some(found) if owner.succeeds(found) => Standing::Predecessor(Adoptable(record)),
        Some(_) => Standing::TaggedByOther(record.id),
        None => Standing::Untagged(Adoptable(record)),
    }
}

/// What an instance holds for an owner that knows of no registry of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Claim {
    /// The one registry with our tag.
    Ours(Owned),
    /// Several carry our tag, or that of an earlier object of our name, and nothing tells which of
    /// them is meant.
    Several(Vec<RegistryId>),
    /// None is ours, and the one that is looked for belongs to nobody we know.
    Untagged(Adoptable),
    /// None is ours, and one belonged to an earlier object of our name.
    Predecessor(Adoptable),
    /// None is ours, and the one that is looked for carries another tag.
    TaggedByOther(RegistryId),
    /// None is ours, and none has our name.
    Absent,
    /// None is ours, and the one that the spec wants to adopt by id is not there.
    NothingToAdopt(RegistryId),
}

/// Which registry an owner looks for besides the tagged one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wanted<'a> {
    /// The one of this name.
    Name(&'a str),
    /// The one with this id, whatever its name.
    Id(RegistryId),
}

/// Everything that concerns one object in an inventory, as a hash: two equal digests lead to the
/// same decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest(u64);

impl Digest {
    /// A digest that no inventory has, for what a SHOW told against the LIST: whatever the next
    /// poll sees differs from it and leads to a reconcile. The digest of that LIST must not stand in its
    /// place, because SWR may come to show just that.
    pub(crate) const NONE: Digest = Digest(0);

    /// Whether the next poll leads to a reconcile, whatever it sees.
    pub fn waits_for_poll(self) -> bool {
        self == Digest::NONE
    }
}

/// Which records of an inventory concern one object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Concern {
    /// Those with this owner's tag,
    pub owner: Owner,
    /// those with these ids,
    pub ids: Vec<RegistryId>,
    /// and those of this name.
    pub name: String,
}

impl Concern {
    /// What an inventory shows of them.
    pub fn digest(&self, inventory: &Inventory) -> Digest {
        self.digest_as_if(inventory, None)
    }

    /// What it would show if the registry with this id had this health.
    pub(crate) fn digest_as_if(
        &self,
        inventory: &Inventory,
        health: Option<(RegistryId, Health)>,
    ) -> Digest {
        let by_id = self.ids.iter().filter_map(|id| inventory.get(*id));
        let concerned: BTreeMap<RegistryId, &Record> = inventory
            .with_tag(self.owner.tag())
            .chain(inventory.with_name(&self.name))
            .chain(by_id)
            .map(|record| (record.id, record))
            .collect();
        // SipHash with fixed keys: digests are compared within this process only.
        let mut hasher = DefaultHasher::new();
        for record in concerned.into_values() {
            let mut record = record.compared();
            if let Some((_, health)) = health.filter(|(id, _)| *id == record.id) {
                record.health = health;
            }
            record.hash(&mut hasher);
        }
        Digest(hasher.finish())
    }
}

/// All registries of one instance, sorted by id; two records never share one. Each is as a page
/// showed it: the pages of a LIST, and what reads of the newest changes merged into them.
///
/// A clone shares the records, so merging into an inventory that others still read costs a list of
/// pointers and not ten thousand records.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// Invariant: sorted by id, and no id twice.
    entries: Vec<Entry>,
    /// Ten thousand objects look theirs up in ten thousand records at every poll.
    by_tag: Index,
    by_name: Index,
    /// How many records could not be read.
    gaps: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    id: RegistryId,
    record: Arc<Record>,
    /// When the page that showed it was requested.
    seen_at: Option<Timestamp>,
}

impl Entry {
    fn new(record: Arc<Record>, seen_at: Option<Timestamp>) -> Self {
        Entry {
            id: record.id,
            record,
            seen_at,
        }
    }
}

/// Hashes of texts and the ids of the records that have them, sorted by both. It keeps no text, so
/// who looks one up compares it with the record's own: 16 bytes per record instead of a copy of
/// its tag.
#[derive(Clone, Debug, Default)]
struct Index(Vec<(u64, RegistryId)>);

impl Index {
    /// Replaces what the index says of `ids` by `entries`, which are all of theirs.
    fn replace<'a>(
        &mut self,
        ids: &BTreeSet<RegistryId>,
        entries: impl Iterator<Item = (&'a str, RegistryId)>,
    ) {
        self.0.retain(|(_, id)| !ids.contains(id));
        self.0.extend(entries.map(|(text, id)| (hash_of(text), id)));
        // One sorted run with a short tail, which a stable sort merges.
        self.0.sort();
    }

    /// Ids of the records that may have this text, in order.
    fn candidates(&self, text: &str) -> impl Iterator<Item = RegistryId> + use<'_> {
        let hash = hash_of(text);
        let first = self.0.partition_point(|(its, _)| *its < hash);
        let equal = self.0[first..]
            .iter()
            .take_while(move |(its, _)| *its == hash);
        equal.map(|(_, id)| *id)
    }
}

/// SipHash with fixed keys. Texts that somebody made to collide cost comparisons and nothing else.
fn hash_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The same records and the same gaps, whenever they were seen.
impl PartialEq for Inventory {
    fn eq(&self, other: &Self) -> bool {
        self.gaps == other.gaps && self.records().eq(other.records())
    }
}

impl Eq for Inventory {}

impl Hash for Inventory {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.gaps.hash(state);
        self.entries.len().hash(state);
        for record in self.records() {
            record.hash(state);
        }
    }
}

impl Inventory {
    /// From the pages of a LIST, of which nobody asks when they were read. A registry that moved
    /// from one page to the next while others were created is listed twice; the later page is the
    /// newer read.
    pub fn new(records: impl IntoIterator<Item = Record>) -> Self {
        let entries = records.into_iter();
        let mut inventory = Inventory::default();
        inventory.put(entries.map(|record| Entry::new(Arc::new(record), None)));
        inventory
    }

    /// The same, each record with the time at which its page was requested.
    pub fn listed<R: Into<Arc<Record>>>(records: impl IntoIterator<Item = (R, Timestamp)>) -> Self {
        let mut inventory = Inventory::default();
        inventory.merge(records);
        // What is kept for minutes holds no room for more.
        inventory.entries.shrink_to_fit();
        inventory
    }

    /// Takes in what newer pages show. What they do not show stays as it is: they prove no absence.
    pub fn merge<R: Into<Arc<Record>>>(
        &mut self,
        records: impl IntoIterator<Item = (R, Timestamp)>,
    ) {
        let records = records.into_iter();
        self.put(records.map(|(record, seen_at)| Entry::new(record.into(), Some(seen_at))));
    }

    fn put(&mut self, entries: impl Iterator<Item = Entry>) {
        let mut changed = BTreeSet::new();
        let mut new = Vec::new();
        for entry in entries {
            // At rest a page shows what is known: then only the time is another.
            match self.position(entry.id).map(|at| &mut self.entries[at]) {
                Some(known) if known.record == entry.record => known.seen_at = entry.seen_at,
                Some(known) => {
                    changed.insert(entry.id);
                    *known = entry;
                }
                None => {
                    changed.insert(entry.id);
                    new.push(entry);
                }
            }
        }
        if changed.is_empty() {
            return;
        }
        self.entries.append(&mut new);
        self.entries.sort_by_key(|entry| entry.id);
        // Of two reads of one record the later stands behind, and is kept.
        self.entries.dedup_by(|later, earlier| {
            let same = later.id == earlier.id;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        let ids = changed.iter();
        let records: Vec<&Record> = ids
            .filter_map(|id| find(&self.entries, *id))
            .map(|at| &*self.entries[at].record)
            .collect();
        let names = records.iter().map(|record| (&*record.name, record.id));
        let tags = records.iter().filter_map(|r| Some((r.tag()?, r.id)));
        self.by_name.replace(&changed, names);
        self.by_tag.replace(&changed, tags);
    }

    /// The same, of a LIST in which so many records could not be read. What it does not show may
    /// be one of them.
    #[must_use]
    pub fn with_gaps(self, gaps: usize) -> Self {
        Inventory { gaps, ..self }
    }

    /// Whether it shows everything, so that what it does not show is not there.
    pub fn is_whole(&self) -> bool {
        self.gaps == 0
    }

    /// Every record, by id.
    pub fn records(&self) -> impl ExactSizeIterator<Item = &Record> {
        self.entries.iter().map(|entry| &*entry.record)
    }

    /// The record with this id.
    pub fn get(&self, id: RegistryId) -> Option<&Record> {
        self.position(id).map(|at| &*self.entries[at].record)
    }

    /// The record with this id, and when the page that showed it was requested, if that is known.
    pub fn seen(&self, id: RegistryId) -> Option<(&Record, Timestamp)> {
        let entry = &self.entries[self.position(id)?];
        Some((&entry.record, entry.seen_at?))
    }

    fn position(&self, id: RegistryId) -> Option<usize> {
        find(&self.entries, id)
    }

    /// The records that carry this tag, by id.
    fn with_tag<'a>(&'a self, tag: &'a str) -> impl Iterator<Item = &'a Record> {
        let candidates = self.by_tag.candidates(tag);
        let records = candidates.filter_map(|id| self.get(id));
        records.filter(move |record| record.tag() == Some(tag))
    }

    /// The records of this name, by id.
    fn with_name<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Record> {
        let candidates = self.by_name.candidates(name);
        let records = candidates.filter_map(|id| self.get(id));
        records.filter(move |record| record.name == name)
    }

    /// Ids of the registries that carry the owner's tag, oldest first. More than one is somebody's
    /// copy (rule 8).
    pub fn carriers(&self, owner: &Owner) -> Vec<RegistryId> {
        self.with_tag(owner.tag()).map(|record| record.id).collect()
    }

    /// The registry with this id, if it carries the owner's tag.
    pub fn owned(&self, owner: &Owner, id: RegistryId) -> Option<Owned> {
        let record = self.get(id)?;
        (record.tag() == Some(owner.tag())).then(|| Owned(record.clone()))
    }

    /// Every tag once, in no order, and how many records carry it.
    pub fn tags(&self) -> impl Iterator<Item = (&str, usize)> {
        let runs = self.by_tag.0.chunk_by(|(one, _), (other, _)| one == other);
        runs.flat_map(|run| {
            // Of one tag, but for hashes that collide.
            let mut counts = BTreeMap::<&str, usize>::new();
            for record in run.iter().filter_map(|(_, id)| self.get(*id)) {
                if let Some(tag) = record.tag() {
                    *counts.entry(tag).or_default() += 1;
                }
            }
            counts
        })
    }

    /// What the inventory holds for an owner that knows of no registry: by tag first, then, if it
    /// `succeeds` an earlier object of its name, by the tag of that, and only then by exact name or
    /// id.
    pub fn claim(&self, owner: &Owner, wanted: Wanted<'_>, succeeds: bool) -> Claim {
        let ours: Vec<&Record> = self.with_tag(owner.tag()).collect();
        match ours.as_slice() {
            [] => {}
            [only] => return Claim::Ours(Owned((*only).clone())),
            _ => return Claim::Several(self.carriers(owner)),
        }
        // Ten thousand objects ask, and few of them for this.
        let candidates = succeeds.then(|| self.records()).into_iter().flatten();
        let mut earlier: Vec<&Record> = candidates
            .filter(|record| record.tag().is_some_and(|tag| owner.succeeds(tag)))
            .filter(|record| match wanted {
                Wanted::Name(_) => true,
                Wanted::Id(id) => record.id == id,
            })
            .collect();
        match earlier.as_slice() {
            [] => {}
            [only] => return Claim::Predecessor(Adoptable((*only).clone())),
            _ => {
                earlier.sort_by_key(|record| (record.tag(), record.id));
                return Claim::Several(earlier.iter().map(|record| record.id).collect());
            }
        }
        let found = match wanted {
            Wanted::Name(name) => self.with_name(name).next(),
            Wanted::Id(id) => self.get(id),
        };
        let Some(record) = found else {
            return match wanted {
                Wanted::Name(_) => Claim::Absent,
                Wanted::Id(id) => Claim::NothingToAdopt(id),
            };
        };
        match standing(record.clone(), owner) {
            Standing::Ours(owned) => Claim::Ours(owned),
            Standing::Untagged(untagged) => Claim::Untagged(untagged),
            Standing::Predecessor(earlier) => Claim::Predecessor(earlier),
            Standing::TaggedByOther(id) => Claim::TaggedByOther(id),
        }
    }
}

fn find(entries: &[Entry], id: RegistryId) -> Option<usize> {
    entries.binary_search_by_key(&id, |entry| entry.id).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::tag::Installation;

    pub(crate) fn owner() -> Owner {
        Owner::new(
            &Installation::from_configured("test"),
            "00000000-1111-2222-3333-444455556666",
            "images",
            "harbor-dr",
        )
    }

    pub(crate) fn stranger() -> Owner {
        Owner::new(&Installation::from_configured("other"), "u", "n", "m")
    }

    pub(crate) fn record(id: i64, name: &str, description: &str) -> Record {
        Record {
            id: RegistryId(id),
            name: name.to_owned(),
            type_: "swr-pro".into(),
            url: "https://harbor.dr.example.com".into(),
            insecure: Some(false),
            description: description.to_owned(),
            project: None,
            region: None,
            instance: None,
            dns_hosts: None,
            access_key: None,
            health: Health::Healthy,
            updated_at: None,
        }
    }

    /// The owner before the object was created anew.
    fn earlier() -> Owner {
        Owner::new(
            &Installation::from_configured("test"),
            "00000000-1111-2222-3333-444455557777",
            "images",
            "harbor-dr",
        )
    }

    fn check(records: &[&Record], succeeds: bool, expected: Claim) {
        let inventory = Inventory::new(records.iter().copied().cloned());
        let claim = inventory.claim(&owner(), Wanted::Name("harbor-dr"), succeeds);
        assert_eq!(claim, expected, "{records:?}");
    }

    #[test]
    fn a_registry_is_ours_by_its_tag_and_never_by_its_name() {
        let ours = record(5, "renamed", &owner().describe("dr"));
        let copy = record(6, "copy", &owner().describe("dr"));
        let same_name = record(3, "harbor-dr", "somebody's");
        let other_tag = record(4, "harbor-dr", &stranger().describe(""));
        let alike = record(7, "harbor-dr-2", "");
        check(
            &[&ours, &same_name],
            false,
            Claim::Ours(Owned(ours.clone())),
        );
        check(
            &[&same_name],
            false,
            Claim::Untagged(Adoptable(same_name.clone())),
        );
        check(&[&other_tag], true, Claim::TaggedByOther(RegistryId(4)));
        check(
            &[&ours, &copy],
            false,
            Claim::Several(vec![RegistryId(5), RegistryId(6)]),
        );
        check(&[&alike], true, Claim::Absent);
    }

    #[test]
    fn the_registry_of_an_earlier_object_is_known_by_its_tag_and_looked_for_only_on_demand() {
        let left = record(5, "renamed", &earlier().describe("dr"));
        let left_too = record(6, "harbor-dr", &earlier().describe("dr"));
        check(&[&left], false, Claim::Absent);
        check(
            &[&left_too],
            false,
            Claim::Predecessor(Adoptable(left_too.clone())),
        );
        check(&[&left], true, Claim::Predecessor(Adoptable(left.clone())));
        let several = Claim::Several(vec![RegistryId(5), RegistryId(6)]);
        check(&[&left, &left_too], true, several);
        let both = Inventory::new([left.clone(), left_too]);
        let by_id = both.claim(&owner(), Wanted::Id(RegistryId(5)), true);
        assert_eq!(by_id, Claim::Predecessor(Adoptable(left)));
    }

    #[test]
    fn of_several_with_our_tag_only_the_known_one_is_ours() {
        let one = record(1, "a", &owner().describe(""));
        let two = record(2, "b", &owner().describe(""));
        let foreign = record(3, "c", "");
        let inventory = Inventory::new([two.clone(), one.clone(), foreign]);
        let owned = |id| inventory.owned(&owner(), RegistryId(id));
        assert_eq!(owned(2), Some(Owned(two)));
        assert_eq!((owned(3), owned(9)), (None, None));
        assert_eq!(inventory.carriers(&owner()), [RegistryId(1), RegistryId(2)]);
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    /// Everything that can be asked, by the records alone.
    fn check_same(merged: &Inventory, records: &[Record]) {
        let whole = Inventory::new(records.iter().cloned());
        assert_eq!(merged, &whole);
        let mut tags: Vec<_> = merged.tags().collect();
        tags.sort_unstable();
        let mut expected = BTreeMap::new();
        for tag in records.iter().filter_map(Record::tag) {
            *expected.entry(tag).or_default() += 1;
        }
        assert_eq!(tags, expected.into_iter().collect::<Vec<_>>());
        for owner in [owner(), earlier(), stranger()] {
            let carriers = records.iter().filter(|r| r.tag() == Some(owner.tag()));
            let mut carriers: Vec<RegistryId> = carriers.map(|r| r.id).collect();
            carriers.sort_unstable();
            assert_eq!(merged.carriers(&owner), carriers);
            for name in ["a", "b", "c", "none"] {
                let concern = Concern {
                    owner: owner.clone(),
                    ids: vec![RegistryId(3)],
                    name: name.to_owned(),
                };
                assert_eq!(concern.digest(merged), concern.digest(&whole));
                for succeeds in [false, true] {
                    let claim = |of: &Inventory| of.claim(&owner, Wanted::Name(name), succeeds);
                    assert_eq!(claim(merged), claim(&whole), "{name} in {records:?}");
                }
            }
        }
    }

    #[test]
    fn an_inventory_that_was_merged_is_as_if_it_had_been_listed_so() {
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        let mut below = |n: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % n
        };
        let mut truth = BTreeMap::new();
        let mut merged = Inventory::default();
        let owners = [owner(), earlier(), stranger()];
        for second in 0..300 {
            let mut page = Vec::new();
            for _ in 0..below(4) {
                let id = i64::try_from(below(12)).expect("small");
                let name = ["a", "b", "c"][usize::try_from(below(3)).expect("small")];
                let owner = owners.get(usize::try_from(below(4)).expect("small"));
                let text = owner.map_or("dr".to_owned(), |owner| owner.describe("dr"));
                let record = record(id, name, &text);
                truth.insert(record.id, record.clone());
                page.push((record, at(second)));
            }
            let seen: Vec<RegistryId> = page.iter().map(|(record, _)| record.id).collect();
            // Somebody may still read the inventory as it was.
            let shared = Arc::new(merged);
            let mut mine = Arc::clone(&shared);
            let before = Inventory::clone(&shared);
            Arc::make_mut(&mut mine).merge(page);
            assert_eq!(*shared, before);
            drop(shared);
            merged = Arc::unwrap_or_clone(mine);
            check_same(&merged, &truth.values().cloned().collect::<Vec<_>>());
            for id in seen {
                assert_eq!(merged.seen(id), Some((&truth[&id], at(second))));
            }
        }
    }

    #[test]
    fn when_a_record_was_seen_does_not_count_as_a_difference() {
        let hash = |inventory: &Inventory| {
            let mut hasher = DefaultHasher::new();
            inventory.hash(&mut hasher);
            hasher.finish()
        };
        let records = [record(2, "b", ""), record(1, "a", "")];
        let plain = Inventory::new(records.clone());
        let listed = Inventory::listed(records.clone().map(|record| (record, at(7))));
        assert_eq!((&plain, hash(&plain)), (&listed, hash(&listed)));
        assert_eq!(plain.seen(RegistryId(1)), None);
        assert_eq!(listed.seen(RegistryId(1)), Some((&records[1], at(7))));
        assert_ne!(plain, listed.clone().with_gaps(1));
        // Of two reads of one record the later counts.
        let twice = [(record(1, "old", ""), at(1)), (record(1, "new", ""), at(2))];
        let twice = Inventory::listed(twice);
        let seen = twice.seen(RegistryId(1));
        assert_eq!(seen, Some((&record(1, "new", ""), at(2))));
    }

    #[test]
    fn inventories_that_differ_have_other_hashes_whenever_they_were_seen() {
        let of = |inventory: &Inventory| {
            let mut hasher = DefaultHasher::new();
            inventory.hash(&mut hasher);
            hasher.finish()
        };
        let one = record(1, "a", "");
        let seen = Inventory::listed([(one.clone(), Timestamp::UNIX_EPOCH)]);
        assert_eq!(of(&seen), of(&Inventory::new([one.clone()])));
        assert_ne!(of(&seen), of(&Inventory::new([record(1, "a", "edited")])));
        assert_ne!(of(&seen), of(&Inventory::default()));
    }
}
