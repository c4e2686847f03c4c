//! What is found out with a scratch registry, one thing after the other. Writes nothing itself: `probe` does.

use std::collections::BTreeMap;
use std::time::Duration;

use swr_operator_core::desired::{Registry, RegistryId, Target};
use swr_operator_core::failure::Class;
use swr_operator_swr::{Look, Member, Reply, Sight};
use tokio::time::Instant;

use super::probe::{LOOK_EVERY, Probe, Put, Stop};
use super::read::{refusal, seen_alone, seen_in_list};
use super::rows::Findings;

/// What takes longer is not waited for.
const LAG_MAX: Duration = Duration::from_secs(20);
/// Times may count whole seconds.
const TICK: Duration = Duration::from_millis(1_100);
/// A POST that takes longer tests the target first.
const SLOW: Duration = Duration::from_secs(2);
const NAME_CHARS_MAX: usize = 64;
/// Of a description that is long.
const LONG_CHARS: usize = 400;

impl Probe<'_> {
    /// A registry of type `swr-pro`, from its POST to its DELETE.
    pub(super) async fn of_harbor(&mut self, findings: &mut Findings) -> Result<(), Stop> {
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
                shown = self.show(id).await.filter(is_it);
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
    pub(super) async fn of_another_instance(
        &mut self,
        findings: &mut Findings,
    ) -> Result<(), Stop> {
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
}

/// At once, or how much later.
fn since(is_first: bool, begun: Instant, what: &str) -> String {
    match is_first {
        true => format!("{what} at once"),
        false => format!("{what} after {:.1} s", begun.elapsed().as_secs_f64()),
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
