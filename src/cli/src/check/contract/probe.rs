//! A scratch registry: created, changed one thing at a time, and deleted, however the probe ends. With `execute.rs` of the
//! controller the only place that writes to SWR. It touches nothing but what its own POSTs made: what SWR answered
//! them with, and what carries the mark of this run in its description.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use swr_operator_clock as clock;
use swr_operator_core::credential::{Credential, Sensitive};
use swr_operator_core::desired::{InstanceId, Registry, RegistryId, Target};
use swr_operator_core::failure::{Cause, Class, Code, Failure as SwrFailure};
use swr_operator_core::tag::{Installation, Owner};
use swr_operator_swr::{Audit, Body, Look, Member, Reply, Sight, Writer};
use tokio::time::Instant;

use super::super::Args;
use super::read::{NEWEST_FIRST, seen_alone, seen_in_list};
use super::rows::Findings;
use crate::cloud::Reached;
use crate::exit::Failure;
use crate::output::Manners;

/// What takes longer is not waited for.
const LAG_MAX: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Times may count whole seconds.
const TICK: Duration = Duration::from_millis(1_100);
/// A POST that takes longer tests the target first.
const SLOW: Duration = Duration::from_secs(2);
/// No write begins later than this after it was decided upon.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
const CLEAN_WITHIN: Duration = Duration::from_secs(60);
/// For how long a POST without an answer is looked for.
const UNCLEAR_FOR: Duration = Duration::from_secs(10);
/// So often a list has to leave out what was deleted without an answer.
const MISSES_MIN: usize = 3;
const NAME_CHARS_MAX: usize = 64;
/// More changes of health tell nothing new.
const HEALTH_WORDS_MAX: usize = 3;
/// Of a description that is long.
const LONG_CHARS: usize = 400;

/// The scratch registry.
pub(super) struct Probe<'a> {
    reached: &'a Reached,
    instance: &'a InstanceId,
    manners: &'a Manners,
    name: &'a str,
    url: &'a str,
    /// In every description that this run writes.
    mark: String,
    tag: String,
    credential: Credential,
    /// Ids that SWR answered our POSTs with, until they are deleted.
    made: BTreeSet<RegistryId>,
    /// Whether a POST was sent whose answer is not known.
    is_unclear: bool,
    /// Words for its health, each when it was another.
    health: Vec<String>,
    /// How long a GET lags behind a PUT.
    lag: Duration,
}

/// Nothing more can be found out; what was found stands.
struct Stop;

/// What came of a PUT.
enum Put {
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
        let say = |what: &str| self.manners.progress(&format!("{what} {}", self.name));
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

    fn registry(&self) -> Registry {
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

    async fn create(&mut self, registry: &Registry) -> Look<Reply> {
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
            Ok(Reply::Id(id)) => {
                self.made.insert(RegistryId(*id));
                self.is_unclear = false;
            }
            Ok(Reply::Empty | Reply::Object | Reply::Other) => {}
            Err(failure) => self.is_unclear = !failure.class.changed_nothing(),
        }
        look
    }

    async fn delete(&mut self, id: RegistryId) -> Look<Reply> {
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

    async fn show(&mut self, id: RegistryId) -> Option<Sight> {
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
    async fn listed(&self, is_it: impl Fn(&Sight) -> bool) -> Option<Sight> {
        let sent = Some(&self.credential.access_secret);
        let reader = &self.reached.reader;
        let look = reader.look_at_list(self.instance, NEWEST_FIRST, sent).await;
        look.result.ok()?.sights.into_iter().find(|it| is_it(it))
    }

    /// Replaces it, and looks at it once a GET has had the time to show it.
    async fn put(&mut self, id: RegistryId, registry: &Registry) -> Result<Put, Stop> {
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

    async fn send(&self, id: RegistryId, registry: &Registry) -> Look<Reply> {
        let body = Body {
            registry,
            credential: &self.credential,
        };
        let writer = self.writer();
        writer
            .try_update(self.instance, id, &body, &Self::audit())
            .await
    }

    async fn of_harbor(&mut self, findings: &mut Findings) -> Result<(), Stop> {
        let registry = self.registry();
        let begun = Instant::now();
        let look = self.create(&registry).await;
        let took = begun.elapsed();
        findings.note("create.answer", answer(&look));
        if look.result.is_err() {
            return Err(Stop);
        }
        findings.note(
            "create.time",
            match took > SLOW {
                true => format!("{} s", took.as_secs()),
                false => "less than 2 s".to_owned(),
            },
        );
        let id = self.appears(findings).await.ok_or(Stop)?;
        self.is_replaced(id, findings).await?;
        self.descriptions(id, findings).await?;
        self.other_fields(id, findings).await?;
        self.is_unique(findings).await?;
        self.goes(id, findings).await
    }

    /// It turns up in a GET and in a list.
    async fn appears(&mut self, findings: &mut Findings) -> Option<RegistryId> {
        let begun = Instant::now();
        let mark = self.mark.clone();
        let is_it = |it: &Sight| it.description.get().is_some_and(|it| it.starts_with(&mark));
        let mut id = self.made.first().copied();
        let (mut shown, mut in_list) = (None, None);
        let (mut n_lists, mut n_shows) = (0_u32, 0_u32);
        while begun.elapsed() < LAG_MAX {
            if in_list.is_none() {
                in_list = self.listed(is_it).await;
                if let Some(it) = &in_list {
                    findings.note("create.list", since(n_lists == 0, begun, "shows it"));
                    id = Some(RegistryId(it.id));
                    self.made.insert(RegistryId(it.id));
                    self.is_unclear = false;
                }
                n_lists = n_lists.saturating_add(1);
            }
            if let (Some(id), None) = (id, &shown) {
                shown = self.show(id).await;
                if shown.is_some() {
                    findings.note("create.show", since(n_shows == 0, begun, "shows it"));
                }
                n_shows = n_shows.saturating_add(1);
            }
            if let (Some(shown), Some(in_list)) = (&shown, &in_list) {
                seen_alone(shown, findings);
                seen_in_list(std::slice::from_ref(in_list), findings);
                findings.note("hosts.show", hosts(shown));
                findings.note("hosts.list", hosts(in_list));
                return id;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        None
    }

    /// The first PUT, which tells how long PUTs take to show.
    async fn is_replaced(&mut self, id: RegistryId, findings: &mut Findings) -> Result<(), Stop> {
        let mut registry = self.registry();
        registry.description = format!("{} replaced", self.mark);
        let look = self.send(id, &registry).await;
        findings.note("update.answer", answer(&look));
        if look.result.is_err() {
            return Err(Stop);
        }
        let begun = Instant::now();
        let is_new = |it: &Sight| it.description.get() == Some(&registry.description);
        let (mut is_shown, mut is_listed) = (false, false);
        let mut is_first = true;
        while !is_shown || !is_listed {
            if !is_shown {
                is_shown = self.show(id).await.as_ref().is_some_and(is_new);
                if is_shown {
                    findings.note("update.show", since(is_first, begun, "shows it"));
                    self.lag = match is_first {
                        true => Duration::ZERO,
                        false => begun.elapsed().saturating_add(LOOK_EVERY),
                    };
                }
            }
            if !is_listed {
                is_listed = self
                    .listed(|it| it.id == id.0 && is_new(it))
                    .await
                    .is_some();
                if is_listed {
                    findings.note("update.list", since(is_first, begun, "shows it"));
                }
            }
            if begun.elapsed() > LAG_MAX {
                return Err(Stop);
            }
            is_first = false;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    async fn descriptions(&mut self, id: RegistryId, findings: &mut Findings) -> Result<(), Stop> {
        let mark = self.mark.clone();
        let long = "long ".repeat(LONG_CHARS / 5);
        let long: String = format!("{mark} {long}")
            .chars()
            .take(LONG_CHARS - 1)
            .collect();
        for (row, text) in [
            ("tag.kept", format!("{mark} {}", self.tag)),
            ("description.lines", format!("{mark} one\ntwo\nthree")),
            ("description.blanks", format!("{mark} blanks   ")),
            ("description.long", long + "."),
            ("description.empty", String::new()),
        ] {
            let mut registry = self.registry();
            registry.description.clone_from(&text);
            let found = match self.put(id, &registry).await? {
                Put::Refused(why) => why,
                Put::Shows(shown) if text.is_empty() => match &shown.description {
                    Member::Absent => "not shown".to_owned(),
                    Member::Null => "null".to_owned(),
                    Member::Is(it) if it.is_empty() => "shown empty".to_owned(),
                    Member::Is(_) => "shown with a text".to_owned(),
                },
                Put::Shows(shown) => kept(&shown.description, &text),
            };
            findings.note(row, found);
        }
        Ok(())
    }

    async fn other_fields(&mut self, id: RegistryId, findings: &mut Findings) -> Result<(), Stop> {
        let mut registry = self.registry();
        registry.url = match self.url.split_once("://") {
            Some((scheme, rest)) => format!("{scheme}://CHECK.{}/v2/", rest.trim_end_matches('/')),
            None => self.url.to_owned(),
        };
        let found = match self.put(id, &registry).await? {
            Put::Refused(why) => why,
            Put::Shows(shown) => url_form(&shown.url, &registry.url).to_owned(),
        };
        findings.note("url.form", found);

        let filler = "镜".repeat(NAME_CHARS_MAX.saturating_sub(self.name.len()));
        for (row, name) in [
            ("name.letters", format!("{}-镜像", self.name)),
            ("name.length", format!("{}{filler}", self.name)),
        ] {
            let mut registry = self.registry();
            registry.name.clone_from(&name);
            let found = match self.put(id, &registry).await? {
                Put::Refused(why) => why,
                Put::Shows(shown) if shown.name == name => "kept".to_owned(),
                Put::Shows(_) => "changed".to_owned(),
            };
            findings.note(row, found);
        }

        // Back to what it was, and then the same once more.
        let registry = self.registry();
        if let Put::Shows(before) = self.put(id, &registry).await? {
            tokio::time::sleep(TICK).await;
            if let Put::Shows(after) = self.put(id, &registry).await? {
                findings.note(
                    "update.time",
                    match (before.updated_at.get(), after.updated_at.get()) {
                        (None, _) | (_, None) => "is not shown",
                        (Some(before), Some(after)) if before == after => "stays",
                        (Some(_), Some(_)) => "moves",
                    },
                );
            }
        }
        if findings.is("hosts.show", "shown") {
            let mut registry = self.registry();
            registry.target = Target::Harbor {
                dns_hosts: BTreeMap::new(),
            };
            let found = match self.put(id, &registry).await? {
                Put::Refused(why) => why,
                Put::Shows(shown) if hosts(&shown) == "shown" => "keeps them".to_owned(),
                Put::Shows(_) => "clears them".to_owned(),
            };
            findings.note("update.hosts", found);
        }
        Ok(())
    }

    async fn is_unique(&mut self, findings: &mut Findings) -> Result<(), Stop> {
        let look = self.create(&self.registry()).await;
        let found = match (&look.result, look.status) {
            (Ok(_), _) => "makes another registry".to_owned(),
            (Err(_), Some(status)) => format!("refused with {status}"),
            (Err(_), None) => return Err(Stop),
        };
        findings.note("name.unique", found);
        Ok(())
    }

    async fn goes(&mut self, id: RegistryId, findings: &mut Findings) -> Result<(), Stop> {
        let look = self.delete(id).await;
        findings.note("delete.answer", answer(&look));
        if look.result.is_err() {
            return Err(Stop);
        }
        let begun = Instant::now();
        let mut is_first = true;
        loop {
            if self.listed(|it| it.id == id.0).await.is_none() {
                findings.note("delete.list", since(is_first, begun, "shows it no more"));
                break;
            }
            if begun.elapsed() > LAG_MAX {
                return Err(Stop);
            }
            is_first = false;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let status = |status: Option<u16>| status.map(|status| status.to_string());
        let shown = self.reached.reader.look_at(self.instance, id, None).await;
        if let Some(found) = status(shown.status) {
            findings.note("delete.show", found);
        }
        let again = self.delete(id).await;
        if let Some(found) = status(again.status) {
            findings.note("delete.absent", found);
        }
        Ok(())
    }

    /// A registry of the type that names an instance: it shows a project, or does not.
    async fn of_another_instance(&mut self, findings: &mut Findings) -> Result<(), Stop> {
        let account = &self.reached.account;
        let registry = Registry {
            target: Target::SwrEnterprise {
                project: account.project.clone(),
                region: account.region.clone(),
                instance: self.instance.clone(),
            },
            ..self.registry()
        };
        if self.create(&registry).await.result.is_err() {
            return Err(Stop);
        }
        let mut unused = Findings::default();
        let id = self.appears(&mut unused).await.ok_or(Stop)?;
        let shown = self.show(id).await.ok_or(Stop)?;
        let in_list = self.listed(|it| it.id == id.0).await.ok_or(Stop)?;
        for (row, sight) in [("project.show", &shown), ("project.list", &in_list)] {
            let is_shown = sight.target[0].get().is_some_and(|text| !text.is_empty());
            findings.note(
                row,
                match is_shown {
                    true => "shown",
                    false => "not shown",
                },
            );
        }
        self.delete(id).await;
        Ok(())
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
                    let records = inventory.records();
                    let marked: BTreeSet<RegistryId> = records
                        .filter(|it| it.description.starts_with(&self.mark))
                        .map(|it| it.id)
                        .collect();
                    self.is_unclear &= marked.is_empty() && begun.elapsed() < UNCLEAR_FOR;
                    let listed: BTreeSet<RegistryId> =
                        inventory.records().map(|it| it.id).collect();
                    self.made.extend(marked);
                    for id in self.made.clone() {
                        if let Err(failure) = self.delete(id).await.result {
                            *why = failure.to_string();
                            let missed = misses.entry(id).or_default();
                            *missed = match listed.contains(&id) {
                                true => 0,
                                false => missed.saturating_add(1),
                            };
                            if *missed >= MISSES_MIN {
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
}

/// At once, or how much later.
fn since(is_first: bool, begun: Instant, what: &str) -> String {
    match is_first {
        true => format!("{what} at once"),
        false => format!("{what} after {:.1} s", begun.elapsed().as_secs_f64()),
    }
}

fn refusal(failure: &SwrFailure) -> String {
    let code = failure.code.as_ref().map(Code::as_str);
    match code {
        Some(code) => format!("refused: {} ({code})", failure.cause.words()),
        None => format!("refused: {}", failure.cause.words()),
    }
}

fn answer(look: &Look<Reply>) -> String {
    let reply = match &look.result {
        Ok(Reply::Empty) => "without a body",
        Ok(Reply::Object) => "without an id",
        Ok(Reply::Id(_)) => "with an id",
        Ok(Reply::Other) => "with something else",
        Err(failure) if failure.class == Class::Unknown => {
            return format!("no answer that tells: {failure}");
        }
        Err(failure) => return refusal(failure),
    };
    let status = look.status.map(|it| it.to_string()).unwrap_or_default();
    format!("{status} {reply}")
}

fn kept(shown: &Member<String>, sent: &str) -> String {
    match shown {
        Member::Is(text) if text == sent => "kept".to_owned(),
        Member::Is(text) if !text.is_empty() && sent.starts_with(text.as_str()) => {
            format!("cut to {} characters", text.chars().count())
        }
        Member::Is(_) => "changed".to_owned(),
        Member::Absent | Member::Null => "not shown".to_owned(),
    }
}

fn hosts(sight: &Sight) -> &'static str {
    match sight.hosts {
        Member::Absent => "not shown",
        Member::Null => "null",
        Member::Is(0) => "empty",
        Member::Is(_) => "shown",
    }
}

fn url_form(shown: &str, sent: &str) -> &'static str {
    let cut = sent.trim_end_matches('/');
    match () {
        () if shown == sent => "as it was sent",
        () if shown == cut => "without the slash",
        () if shown.eq_ignore_ascii_case(sent) => "in lower case",
        () if shown.eq_ignore_ascii_case(cut) => "in lower case, without the slash",
        () => "another one",
    }
}
