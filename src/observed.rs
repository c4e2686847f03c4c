//! SWR's records -> inventory, and whose each record is. The only place that makes an [`Owned`],
//! so nothing else can name a registry to write to. Knows no JSON and no HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::credential::Fingerprint;
use crate::desired::RegistryId;
use crate::tag::{self, Owner};

/// One registry as SWR reports it. A field that SWR left out is `None` and is no difference.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Id, unique within the instance.
    pub id: RegistryId,
    /// Name.
    pub name: String,
    /// SWR's word for the type.
    pub type_: String,
    /// Address as reported.
    pub url: String,
    /// Whether the target's certificate is not verified.
    pub insecure: Option<bool>,
    /// Description as reported, tag included.
    pub description: String,
    /// Project of the receiving instance.
    pub project: Option<String>,
    /// Region of the receiving instance.
    pub region: Option<String>,
    /// The receiving instance.
    pub instance: Option<String>,
    /// Host names and addresses as reported.
    pub dns_hosts: Option<BTreeMap<String, String>>,
    /// Fingerprint of the access key, made at decoding; the secret is never looked at.
    pub access_key: Option<Fingerprint>,
    /// Health of the target.
    pub health: Health,
    /// Time of the last change, as reported; never parsed.
    pub updated_at: Option<String>,
}

impl Record {
    /// The user's part of the description.
    pub fn text(&self) -> &str {
        tag::split(&self.description).0
    }

    /// The record without what changes by itself and means nothing (`updated_at`), for the
    /// question whether anything moved since it was judged.
    pub fn judged(&self) -> Record {
        Record {
            updated_at: None,
            ..self.clone()
        }
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

/// A registry that no operator has tagged. Only this module makes one; adoption needs one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Untagged(Record);

impl Untagged {
    /// The record.
    pub fn record(&self) -> &Record {
        &self.0
    }
}

/// Whose a single record is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It carries exactly our tag.
    Ours(Owned),
    /// It carries no tag.
    Untagged(Untagged),
    /// It carries another tag: of another object, installation or operator.
    TaggedByOther(RegistryId),
}

/// Whose a record is, by exact match of the tag (rule 3).
pub fn standing(record: Record, owner: &Owner) -> Standing {
    match tag::split(&record.description).1 {
        Some(found) if found == owner.tag() => Standing::Ours(Owned(record)),
        Some(_) => Standing::TaggedByOther(record.id),
        None => Standing::Untagged(Untagged(record)),
    }
}

/// What an instance holds for one owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Claim {
    /// The registry with our tag. Should there be several, it is the known one, else the oldest.
    Ours(Owned),
    /// None is ours, and one with our name belongs to nobody we know.
    Untagged(Untagged),
    /// None is ours, and one with our name carries another tag.
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

/// Everything that concerns one object in an inventory, as a hash: two equal views lead to the
/// same decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View(u64);

impl View {
    /// A view that no inventory has, for what a SHOW told against the LIST: whatever the next
    /// poll sees differs from it and is looked at. The view of that LIST must not stand in its
    /// place, because the world may come to look just so.
    pub(crate) const NONE: View = View(0);
}

/// Which records of an inventory concern one object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Lookout {
    /// Those with this owner's tag,
    pub owner: Owner,
    /// those with these ids,
    pub ids: Vec<RegistryId>,
    /// and those of this name.
    pub name: String,
}

impl Lookout {
    /// What an inventory shows of them.
    pub fn view(&self, inventory: &Inventory) -> View {
        let by_id = self.ids.iter().filter_map(|id| inventory.position(*id));
        let concerned: BTreeSet<usize> = positions_of(&inventory.by_tag, self.owner.tag())
            .chain(positions_of(&inventory.by_name, &self.name))
            .chain(by_id)
            .collect();
        // SipHash with fixed keys: views are compared within this process only.
        let mut hasher = DefaultHasher::new();
        for at in concerned {
            inventory.records[at].judged().hash(&mut hasher);
        }
        View(hasher.finish())
    }
}

/// All registries of one instance at one time, sorted by id; two records never share one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Inventory {
    records: Vec<Record>,
    /// Positions of the records with each tag, and of each name: ten thousand objects look theirs
    /// up in ten thousand records at every poll.
    by_tag: BTreeMap<String, Vec<usize>>,
    by_name: BTreeMap<String, Vec<usize>>,
    /// How many records could not be read.
    gaps: usize,
}

impl Inventory {
    /// From the pages of a LIST. A registry that moved from one page to the next while others
    /// were created is listed twice; the later page is the newer look.
    pub fn new(records: impl IntoIterator<Item = Record>) -> Self {
        let by_id: BTreeMap<RegistryId, Record> = records
            .into_iter()
            .map(|record| (record.id, record))
            .collect();
        let records: Vec<Record> = by_id.into_values().collect();
        let mut by_tag = BTreeMap::<String, Vec<usize>>::new();
        let mut by_name = BTreeMap::<String, Vec<usize>>::new();
        for (at, record) in records.iter().enumerate() {
            by_name.entry(record.name.clone()).or_default().push(at);
            if let Some(tag) = tag::split(&record.description).1 {
                by_tag.entry(tag.to_owned()).or_default().push(at);
            }
        }
        Inventory {
            records,
            by_tag,
            by_name,
            gaps: 0,
        }
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
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The record with this id.
    pub fn get(&self, id: RegistryId) -> Option<&Record> {
        self.position(id).map(|at| &self.records[at])
    }

    fn position(&self, id: RegistryId) -> Option<usize> {
        self.records
            .binary_search_by_key(&id, |record| record.id)
            .ok()
    }

    /// Every registry that carries the owner's tag, oldest first.
    pub fn all_of(&self, owner: &Owner) -> Vec<Owned> {
        positions_of(&self.by_tag, owner.tag())
            .map(|at| Owned(self.records[at].clone()))
            .collect()
    }

    /// Every tag, and how many records carry it.
    pub fn tags(&self) -> impl Iterator<Item = (&str, usize)> {
        let tags = self.by_tag.iter();
        tags.map(|(tag, positions)| (tag.as_str(), positions.len()))
    }

    /// What the inventory holds for this owner: by tag first, and only then by exact name or id.
    pub fn claim(&self, owner: &Owner, known: Option<RegistryId>, wanted: Wanted<'_>) -> Claim {
        let mut ours = self.all_of(owner);
        if let Some(at) = ours.iter().position(|owned| Some(owned.id()) == known) {
            return Claim::Ours(ours.swap_remove(at));
        }
        if !ours.is_empty() {
            return Claim::Ours(ours.swap_remove(0));
        }
        let found = match wanted {
            Wanted::Name(name) => positions_of(&self.by_name, name)
                .next()
                .map(|at| &self.records[at]),
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
            Standing::TaggedByOther(id) => Claim::TaggedByOther(id),
        }
    }
}

fn positions_of<'a>(
    index: &'a BTreeMap<String, Vec<usize>>,
    key: &str,
) -> impl Iterator<Item = usize> + use<'a> {
    index.get(key).into_iter().flatten().copied()
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
            type_: "swr-pro".to_owned(),
            url: "https://harbor.dr.example.com".to_owned(),
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

    #[test]
    fn a_registry_is_ours_by_its_tag_and_never_by_its_name() {
        let ours = record(5, "renamed", &owner().describe("dr"));
        let same_name = record(3, "harbor-dr", "somebody's");
        let other_tag = record(4, "harbor-dr", &stranger().describe(""));
        let inventory = |records: &[&Record]| Inventory::new(records.iter().copied().cloned());
        let claim = |records: &[&Record], known| {
            inventory(records).claim(&owner(), known, Wanted::Name("harbor-dr"))
        };
        assert_eq!(
            claim(&[&ours, &same_name], None),
            Claim::Ours(Owned(ours.clone()))
        );
        assert_eq!(
            claim(&[&same_name], Some(RegistryId(3))),
            Claim::Untagged(Untagged(same_name.clone()))
        );
        assert_eq!(
            claim(&[&other_tag], None),
            Claim::TaggedByOther(RegistryId(4))
        );
        assert_eq!(claim(&[], Some(RegistryId(3))), Claim::Absent);
    }

    #[test]
    fn of_several_with_our_tag_the_known_one_counts_and_else_the_oldest() {
        let one = record(1, "a", &owner().describe(""));
        let two = record(2, "b", &owner().describe(""));
        let inventory = Inventory::new([two.clone(), one.clone()]);
        assert_eq!(
            inventory.claim(&owner(), Some(RegistryId(2)), Wanted::Name("a")),
            Claim::Ours(Owned(two))
        );
        assert_eq!(
            inventory.claim(&owner(), Some(RegistryId(9)), Wanted::Name("a")),
            Claim::Ours(Owned(one))
        );
    }

    #[test]
    fn a_name_that_only_begins_alike_is_another() {
        let inventory = Inventory::new([record(1, "harbor-dr-2", "")]);
        assert_eq!(
            inventory.claim(&owner(), None, Wanted::Name("harbor-dr")),
            Claim::Absent
        );
    }
}
