//! A scratch registry: created, changed one thing at a time, and deleted, however the probe ends. With `execute.rs` of the
//! controller the only place that writes to SWR. It touches nothing but what its own POSTs made: what SWR answered
//! them with, and what carries the mark of this run in its description.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use swr_operator_clock as clock;
use swr_operator_core::credential::{Credential, Sensitive};
use swr_operator_core::desired::{InstanceId, Registry, RegistryId, Target};
use swr_operator_core::failure::Cause;
use swr_operator_core::observed::{Inventory, Record};
use swr_operator_core::tag::{Installation, Owner};
use swr_operator_swr::{Audit, Body, Look, Member, Reply, Sight, Writer};
use tokio::time::Instant;

use super::super::Args;
use super::read::{NEWEST_FIRST, refusal};
use super::rows::Findings;
use crate::cloud::Reached;
use crate::exit::Failure;
use crate::output::Manners;

/// Between two looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(200);
/// No write begins later than this after it was decided upon.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
const CLEAN_WITHIN: Duration = Duration::from_secs(60);
/// For how long a POST without an answer is looked for.
const UNCLEAR_FOR: Duration = Duration::from_secs(10);
/// So often a list has to leave out what was deleted without an answer.
const MISSES_MIN: usize = 3;
/// More changes of health tell nothing new.
const HEALTH_WORDS_MAX: usize = 3;

/// The scratch registry.
pub(super) struct Probe<'a> {
    pub(super) reached: &'a Reached,
    pub(super) instance: &'a InstanceId,
    manners: &'a Manners,
    pub(super) name: &'a str,
    pub(super) url: &'a str,
    /// In every description that this run writes.
    pub(super) mark: String,
    pub(super) tag: String,
    credential: Credential,
    /// Ids that SWR answered our POSTs with, until they are deleted.
    pub(super) made: BTreeSet<RegistryId>,
    /// Whether a POST was sent whose answer is not known.
    pub(super) is_unclear: bool,
    /// Words for its health, each when it was another.
    health: Vec<String>,
    /// How long a GET lags behind a PUT.
    pub(super) lag: Duration,
}

/// Nothing more can be found out; what was found stands.
pub(super) struct Stop;

/// What came of a PUT.
pub(super) enum Put {
    Refused(String),
    Shows(Box<Sight>),
}

fn random_hex(n: usize) -> String {
    let mut bytes = vec![0; n];
    clock::random(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl<'a> Probe<'a> {
    pub(super) fn new(
        args: &'a Args,
        reached: &'a Reached,
        instance: &'a InstanceId,
        name: &'a str,
    ) -> Self {
        let mark = format!("swr-operator-check-{}", random_hex(8));
        let nobody = Installation::from_configured(&mark);
        let owner = Owner::new(&nobody, &random_hex(16), "swr-operator-check", name);
        Probe {
            reached,
            instance,
            manners: &args.manners,
            name,
            url: &args.probe_url,
            tag: owner.tag().to_owned(),
            mark,
            credential: Credential {
                access_key: Sensitive::new(format!("check-{}", random_hex(8))),
                access_secret: Sensitive::new(random_hex(16)),
            },
            made: BTreeSet::new(),
            is_unclear: false,
            health: Vec::new(),
            lag: Duration::ZERO,
        }
    }

    /// Creates, changes and deletes it.
    pub(super) async fn run(&mut self, findings: &mut Findings) -> Result<(), Failure> {
        self.refuse_if_taken().await?;
        let say = |what: &str| self.manners.say(&format!("{what} {}", self.name));
        say("creating, changing and deleting scratch registry");
        // Whatever stops one round does not make the other impossible.
        let _ = self.of_harbor(findings).await;
        if self.made.is_empty() && !self.is_unclear {
            let _ = self.of_another_instance(findings).await;
        }
        if !self.health.is_empty() {
            findings.note("create.health", self.health.join(", then "));
        }
        Ok(())
    }

    async fn refuse_if_taken(&self) -> Result<(), Failure> {
        let listed = self.reached.reader.list(self.instance).await;
        let inventory = listed
            .map_err(|failure| Failure::new(format!("instance {}: {failure}", self.instance)))?;
        let mut records = inventory.records();
        match records.find(|record| record.name.starts_with(self.name)) {
            None => Ok(()),
            Some(record) => Err(Failure::new(format!(
                "instance {} has a registry {:?} (id {}); nothing was written",
                self.instance, record.name, record.id
            ))
            .hint("name another with --write-probe: no name of a registry may begin with it")),
        }
    }

    pub(super) fn registry(&self) -> Registry {
        let host = (
            "check.example.com".to_owned(),
            IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        );
        Registry {
            name: self.name.to_owned(),
            url: self.url.to_owned(),
            insecure: true,
            description: self.mark.clone(),
            target: Target::Harbor {
                dns_hosts: BTreeMap::from([host]),
            },
        }
    }

    fn writer(&self) -> Writer {
        let client = &self.reached.client;
        client.writer(clock::after(WRITE_WITHIN))
    }

    fn audit() -> Audit {
        Audit {
            object: "swr-operator check".to_owned(),
            generation: 0,
            reason: "Probe".to_owned(),
            fields: String::new(),
        }
    }

    pub(super) async fn create(&mut self, registry: &Registry) -> Look<Reply> {
        let writer = self.writer();
        self.is_unclear = true;
        let body = Body {
            registry,
            credential: &self.credential,
        };
        let look = writer
            .try_create(self.instance, &body, &Self::audit())
            .await;
        match &look.result {
            // 0 is the instance itself.
            Ok(Reply::Id(id)) if *id > 0 => {
                self.made.insert(RegistryId(*id));
                self.is_unclear = false;
            }
            Ok(Reply::Id(_) | Reply::Empty | Reply::Object | Reply::Other) => {}
            Err(failure) => self.is_unclear = !failure.class.changed_nothing(),
        }
        look
    }

    pub(super) async fn delete(&mut self, id: RegistryId) -> Look<Reply> {
        let audit = Self::audit();
        let deleted = self.writer().try_delete(self.instance, id, &audit);
        let look = deleted.await;
        let is_gone = match &look.result {
            Ok(_) => true,
            Err(failure) => failure.cause == Cause::RegistryNotFound,
        };
        if is_gone {
            self.made.remove(&id);
        }
        look
    }

    pub(super) async fn show(&mut self, id: RegistryId) -> Option<Sight> {
        let sent = Some(&self.credential.access_secret);
        let look = self.reached.reader.look_at(self.instance, id, sent).await;
        let sight = look.result.ok()?;
        let word = match &sight.health {
            Member::Is(word) => word.clone(),
            Member::Absent | Member::Null => "not shown".to_owned(),
        };
        if self.health.last() != Some(&word) && self.health.len() < HEALTH_WORDS_MAX {
            self.health.push(word);
        }
        Some(sight)
    }

    /// Ours, in a list of the newest changes.
    pub(super) async fn listed(&self, is_it: impl Fn(&Sight) -> bool) -> Option<Sight> {
        let sent = Some(&self.credential.access_secret);
        let reader = &self.reached.reader;
        let look = reader.look_at_list(self.instance, NEWEST_FIRST, sent).await;
        look.result.ok()?.sights.into_iter().find(|it| is_it(it))
    }

    /// Replaces it, and looks at it once a GET has had the time to show it.
    pub(super) async fn put(&mut self, id: RegistryId, registry: &Registry) -> Result<Put, Stop> {
        match self.send(id, registry).await.result {
            Ok(_) => {}
            Err(failure) if failure.class.changed_nothing() => {
                return Ok(Put::Refused(refusal(&failure)));
            }
            Err(_) => return Err(Stop),
        }
        tokio::time::sleep(self.lag).await;
        let shown = self.show(id).await.ok_or(Stop)?;
        Ok(Put::Shows(Box::new(shown)))
    }

    pub(super) async fn send(&self, id: RegistryId, registry: &Registry) -> Look<Reply> {
        let body = Body {
            registry,
            credential: &self.credential,
        };
        let writer = self.writer();
        writer
            .try_update(self.instance, id, &body, &Self::audit())
            .await
    }

    /// Deletes whatever is there of this run.
    ///
    /// # Errors
    /// Something may be left, and what.
    pub(super) async fn clean(&mut self) -> Result<(), Failure> {
        if self.made.is_empty() && !self.is_unclear {
            return Ok(());
        }
        let mut why = "it takes too long".to_owned();
        let is_clean = tokio::select! {
            swept = tokio::time::timeout(CLEAN_WITHIN, self.sweep(&mut why)) => swept.is_ok(),
            _ = tokio::signal::ctrl_c() => {
                "interrupted".clone_into(&mut why);
                false
            }
        };
        match is_clean {
            true => Ok(()),
            false => Err(self.left(&why)),
        }
    }

    fn left(&self, why: &str) -> Failure {
        let ids: Vec<String> = self.made.iter().map(ToString::to_string).collect();
        let ids = match ids.as_slice() {
            [] => String::new(),
            ids => format!(" (id {})", ids.join(", ")),
        };
        Failure::new(format!(
            "scratch registry {}{ids} may be left in instance {}: {why}",
            self.name, self.instance
        ))
        .hint(format!(
            "delete it in the console; its description begins with {}, unless it is empty",
            self.mark
        ))
    }

    async fn sweep(&mut self, why: &mut String) {
        let begun = Instant::now();
        let mut misses: BTreeMap<RegistryId, usize> = BTreeMap::new();
        loop {
            match self.reached.reader.list(self.instance).await {
                Err(failure) => *why = failure.to_string(),
                Ok(inventory) => {
                    let marked = inventory.records().filter(|it| self.is_marked(it));
                    let marked: BTreeSet<RegistryId> = marked.map(|it| it.id).collect();
                    let is_late = begun.elapsed() > UNCLEAR_FOR;
                    self.is_unclear &= marked.is_empty() && !is_late;
                    self.made.extend(marked);
                    for id in self.made.clone() {
                        if self.is_ours(id, &inventory).await {
                            let deleted = self.delete(id).await;
                            misses.entry(id).or_default();
                            if let Err(failure) = deleted.result {
                                *why = failure.to_string();
                            }
                        } else {
                            // Deleted without an answer that says so, or never made.
                            let n = misses.get_mut(&id).map_or(0, |n| {
                                *n = n.saturating_add(1);
                                *n
                            });
                            if n >= MISSES_MIN || is_late {
                                self.made.remove(&id);
                            }
                        }
                    }
                    if self.made.is_empty() && !self.is_unclear {
                        return;
                    }
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn is_marked(&self, record: &Record) -> bool {
        record.description.starts_with(&self.mark)
    }

    /// Whether this id, which SWR answered a POST with, is of a registry that this run made. No other name began with
    /// this one.
    async fn is_ours(&mut self, id: RegistryId, inventory: &Inventory) -> bool {
        let mut records = inventory.records();
        match records.find(|it| it.id == id) {
            Some(record) => self.is_marked(record) || record.name.starts_with(self.name),
            None => {
                let shown = self.show(id).await;
                shown.is_some_and(|it| it.name.starts_with(self.name))
            }
        }
    }
}
