//! What an instance shows of itself, by GETs.

use jiff::{SignedDuration, Timestamp};
use swr_operator_clock as clock;
use swr_operator_core::desired::{InstanceId, RegistryId};
use swr_operator_core::failure::{Code, Failure};
use swr_operator_core::recent::PAGE_LENGTH;
use swr_operator_swr::{Echo, Listing, Look, Member, Portion, Sight};

use super::rows::Findings;
use crate::cloud::Reached;

/// Times may count whole seconds, so those that are nearer may come in any order.
const TICK: SignedDuration = SignedDuration::from_secs(2);

/// No id of SWR's is near.
const NO_ID_ABOVE: i64 = 1_000_003;

pub(super) const OLDEST_FIRST: Portion<'static> = Portion {
    offset: 0,
    limit: PAGE_LENGTH,
    column: "created_at",
    direction: "asc",
};

pub(super) const NEWEST_FIRST: Portion<'static> = Portion {
    column: "updated_at",
    direction: "desc",
    ..OLDEST_FIRST
};

/// Status of an answer that is expected to be a refusal.
pub(super) fn status<T>(look: &Look<T>) -> Option<String> {
    look.status.map(|status| status.to_string())
}

pub(super) async fn read(
    reached: &Reached,
    instance: &InstanceId,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let reader = &reached.reader;
    let first = reader.look_at_list(instance, OLDEST_FIRST, None).await;
    findings.note(
        "request.id",
        match first.has_request_id {
            true => "given",
            false => "not given",
        },
    );
    let listing = first.result?;
    of_the_instance(reached, instance, findings).await;
    of_absences(reached, instance, &listing, findings).await;
    if listing.sights.is_empty() {
        return Ok(());
    }
    of_lists(reached, instance, &listing, findings).await;
    seen_in_list(&listing.sights, findings);
    // One of each type is enough.
    for type_ in ["swr-pro", "swr-pro-internal", "huawei-SWR"] {
        if let Some(sight) = listing.sights.iter().find(|it| it.type_ == type_) {
            let shown = reader.look_at(instance, RegistryId(sight.id), None).await;
            if let Ok(shown) = shown.result {
                seen_alone(&shown, findings);
            }
        }
    }
    Ok(())
}

async fn of_the_instance(reached: &Reached, instance: &InstanceId, findings: &mut Findings) {
    let reader = &reached.reader;
    match reader.is_offered().await {
        Some(true) => findings.note("edition.offered", "offered"),
        Some(false) => findings.note("edition.offered", "not offered"),
        None => {}
    }
    if let Some(state) = reader.status_of(instance).await {
        findings.note("instance.state", state.as_str());
    }
    if reader.quota_of(instance).await.is_some() {
        findings.note("instance.quota", "told");
    }
}

async fn of_absences(
    reached: &Reached,
    instance: &InstanceId,
    listing: &Listing,
    findings: &mut Findings,
) {
    let reader = &reached.reader;
    let highest = listing.sights.iter().map(|it| it.id).max().unwrap_or(0);
    let absent = RegistryId(highest.saturating_add(NO_ID_ABOVE));
    if let Some(found) = status(&reader.look_at(instance, absent, None).await) {
        findings.note("show.absent", found);
    }
    let nowhere = InstanceId::new(unknown_instance());
    if let Some(found) = status(&reader.look_at_list(&nowhere, OLDEST_FIRST, None).await) {
        findings.note("instance.absent", found);
    }
    let nothing = reader.look_at_nothing().await;
    if let Some(status) = status(&nothing) {
        let code = nothing.result.err().and_then(|failure| failure.code);
        findings.note(
            "api.absent",
            match code {
                Some(code) => format!("{status} {}", code.as_str()),
                None => format!("{status} without a code"),
            },
        );
    }
}

/// A uuid that is no instance's.
fn unknown_instance() -> String {
    let mut bytes = [0; 16];
    clock::random(&mut bytes);
    let hex = |range: std::ops::Range<usize>| -> String {
        bytes[range].iter().map(|it| format!("{it:02x}")).collect()
    };
    [hex(0..4), hex(4..6), hex(6..8), hex(8..10), hex(10..16)].join("-")
}

async fn of_lists(
    reached: &Reached,
    instance: &InstanceId,
    listing: &Listing,
    findings: &mut Findings,
) {
    let reader = &reached.reader;
    let n = listing.sights.len();
    if n < 2 {
        return;
    }
    let ids = |listing: &Listing| -> Vec<i64> { listing.sights.iter().map(|it| it.id).collect() };
    let before = ids(listing);
    let mut is_stable = true;
    // What is not stable may come twice in the same order by chance.
    for _ in 0..4 {
        let again = reader.look_at_list(instance, OLDEST_FIRST, None).await;
        let Ok(again) = again.result else {
            return;
        };
        let again = ids(&again);
        // What others create or delete meanwhile is no other order.
        let kept: Vec<i64> = again
            .iter()
            .copied()
            .filter(|id| before.contains(id))
            .collect();
        let had: Vec<i64> = before
            .iter()
            .copied()
            .filter(|id| again.contains(id))
            .collect();
        is_stable &= kept == had;
    }
    findings.note(
        "list.order",
        match is_stable {
            true => "in the same order",
            false => "in another order",
        },
    );
    let newest = reader.look_at_list(instance, NEWEST_FIRST, None).await;
    let stamps: Option<Vec<Timestamp>> = newest.result.ok().and_then(|newest| {
        let stamps = newest.sights.iter();
        stamps.map(|it| it.updated_at.get()?.parse().ok()).collect()
    });
    if let Some(stamps) = stamps {
        findings.note(
            "list.newest",
            match stamps.is_sorted_by(|one, other| other.duration_since(*one) < TICK) {
                true => "newest first",
                false => "in another order",
            },
        );
    }
    let one = Portion {
        limit: 1,
        ..OLDEST_FIRST
    };
    if let Ok(one) = reader.look_at_list(instance, one, None).await.result {
        let total = one.total.map(|total| usize::try_from(total).unwrap_or(0));
        findings.note(
            "list.total",
            match total {
                None => "not given",
                Some(total) if total > one.sights.len() => "all registries",
                Some(_) => "those of the page",
            },
        );
    }
}

/// What registries of a list show.
pub(super) fn seen_in_list(sights: &[Sight], findings: &mut Findings) {
    let is_text = sights.iter().any(|it| it.id_is_text);
    let is_large = sights.iter().any(|it| it.id > i64::from(i32::MAX));
    findings.note(
        "id.form",
        match (is_text, is_large) {
            (true, _) => "text",
            (false, true) => "numbers above 2^31",
            (false, false) => "numbers below 2^31",
        },
    );
    let times = sights
        .iter()
        .flat_map(|it| [&it.created_at, &it.updated_at]);
    let mut texts = times.map(|it| it.get());
    let is_time = |text: Option<&String>| text.is_some_and(|it| it.parse::<Timestamp>().is_ok());
    findings.note(
        "time.form",
        match texts.all(is_time) {
            true => "RFC 3339 with a zone",
            false => "another form",
        },
    );
    for sight in sights {
        findings.note("secret.list", echo(sight.echo));
        note_hosts("hosts.list", sight, findings);
        note_project("project.list", sight, findings);
    }
}

/// What one registry shows by itself.
pub(super) fn seen_alone(sight: &Sight, findings: &mut Findings) {
    findings.note("secret.show", echo(sight.echo));
    findings.note(
        "health.word",
        match sight.health.get() {
            Some(word) if matches!(word.as_str(), "healthy" | "unhealthy") => "shown",
            Some(_) => "another word",
            None => "not shown",
        },
    );
    note_hosts("hosts.show", sight, findings);
    note_project("project.show", sight, findings);
    if sight.type_ != "swr-pro-internal" {
        let [_, region, instance] = &sight.target;
        let unset = |member: &Member<String>| match member {
            Member::Absent => "not shown",
            Member::Null => "null",
            Member::Is(text) if text.is_empty() => "shown empty",
            Member::Is(_) => "shown with a value",
        };
        let (region, instance) = (unset(region), unset(instance));
        findings.note(
            "target.unset",
            match region == instance {
                true => region.to_owned(),
                false => format!("{region}, {instance}"),
            },
        );
    }
}

pub(super) fn refusal(failure: &Failure) -> String {
    let code = failure.code.as_ref().map(Code::as_str);
    match code {
        Some(code) => format!("refused: {} ({code})", failure.cause.words()),
        None => format!("refused: {}", failure.cause.words()),
    }
}

pub(super) fn echo(echo: Echo) -> String {
    match echo {
        Echo::Absent => "not shown".to_owned(),
        Echo::Empty => "empty".to_owned(),
        Echo::Masked(n) => format!("{n} asterisks"),
        Echo::Plain => "as it was sent".to_owned(),
        Echo::Other => "no mask".to_owned(),
    }
}

/// Whoever reads cannot know whether a registry has hosts that are not shown.
fn note_hosts(id: &'static str, sight: &Sight, findings: &mut Findings) {
    if sight.hosts.get().is_some_and(|n| *n > 0) {
        findings.note(id, "shown");
    }
}

fn note_project(id: &'static str, sight: &Sight, findings: &mut Findings) {
    if sight.type_ == "swr-pro-internal" {
        let is_shown = sight.target[0].get().is_some_and(|text| !text.is_empty());
        findings.note(
            id,
            match is_shown {
                true => "shown",
                false => "not shown",
            },
        );
    }
}
