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
        self.view_as_if(inventory, None)
    }

    /// What it would show if the registry with this id had this health.
    pub(crate) fn view_as_if(
        &self,
        inventory: &Inventory,
        health: Option<(RegistryId, Health)>,
    ) -> View {
        let by_id = self.ids.iter().filter_map(|id| inventory.position(*id));
        let concerned: BTreeSet<usize> = positions_of(&inventory.by_tag, self.owner.tag())
            .chain(positions_of(&inventory.by_name, &self.name))
            .chain(by_id)
            .collect();
        // SipHash with fixed keys: views are compared within this process only.
        let mut hasher = DefaultHasher::new();
        for at in concerned {
            let mut record = inventory.records[at].judged();
            if let Some((_, health)) = health.filter(|(id, _)| *id == record.id) {
                record.health = health;
            }
            record.hash(&mut hasher);
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

    /// Ids of the registries that carry the owner's tag, oldest first. More than one is somebody's
    /// copy (rule 8).
    pub fn carriers(&self, owner: &Owner) -> Vec<RegistryId> {
        positions_of(&self.by_tag, owner.tag())
            .map(|at| self.records[at].id)
            .collect()
    }

    /// The registry with this id, if it carries the owner's tag.
    pub fn owned(&self, owner: &Owner, id: RegistryId) -> Option<Owned> {
        let mut positions = positions_of(&self.by_tag, owner.tag());
        let at = positions.find(|at| self.records[*at].id == id)?;
        Some(Owned(self.records[at].clone()))
    }

    /// Every tag, and how many records carry it.
    pub fn tags(&self) -> impl Iterator<Item = (&str, usize)> {
        let tags = self.by_tag.iter();
        tags.map(|(tag, positions)| (tag.as_str(), positions.len()))
    }

    /// What the inventory holds for an owner that knows of no registry: by tag first, then, if it
    /// `succeeds` an earlier object of its name, by the tag of that, and only then by exact name or
    /// id.
    pub fn claim(&self, owner: &Owner, wanted: Wanted<'_>, succeeds: bool) -> Claim {
        let ours: Vec<usize> = positions_of(&self.by_tag, owner.tag()).collect();
        match ours.as_slice() {
            [] => {}
            [only] => return Claim::Ours(Owned(self.records[*only].clone())),
            _ => return Claim::Several(self.carriers(owner)),
        }
        let earlier = self.by_tag.iter();
        let earlier: Vec<usize> = earlier
            .filter(|(tag, _)| succeeds && owner.succeeds(tag))
            .flat_map(|(_, positions)| positions.iter().copied())
            .filter(|at| match wanted {
                Wanted::Name(_) => true,
                Wanted::Id(id) => self.records[*at].id == id,
            })
            .collect();
        match earlier.as_slice() {
            [] => {}
            [only] => return Claim::Predecessor(Adoptable(self.records[*only].clone())),
            several => {
                let ids = several.iter().map(|at| self.records[*at].id);
                return Claim::Several(ids.collect());
            }
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
            Standing::Predecessor(earlier) => Claim::Predecessor(earlier),
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
}
