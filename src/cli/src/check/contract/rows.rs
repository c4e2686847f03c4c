//! The list of what is assumed, and what was found beside it. Asks nobody.

use std::collections::BTreeMap;

use super::super::report::{Row, Verdict};

/// What has to be there to find it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// Nothing.
    Instance,
    /// One registry, or several.
    Registries,
    /// A scratch registry.
    Scratch,
}

use Needs::{Instance, Registries, Scratch};

/// Id, what is asked, what is assumed, what has to be there.
const ROWS: [(&str, &str, &str, Needs); 43] = [
    (
        "edition.offered",
        "the Enterprise Edition in the region",
        "offered",
        Instance,
    ),
    (
        "instance.state",
        "state of the instance",
        "Running",
        Instance,
    ),
    ("instance.quota", "quota of registries", "told", Instance),
    (
        "instance.absent",
        "a list of an instance that is not there",
        "404",
        Instance,
    ),
    (
        "show.absent",
        "a GET of a registry that is not there",
        "404",
        Instance,
    ),
    (
        "api.absent",
        "a path that no API is published for",
        "404 APIGW.0101",
        Instance,
    ),
    (
        "request.id",
        "the id of a request in its answer",
        "given",
        Instance,
    ),
    (
        "list.order",
        "the same list twice",
        "in the same order",
        Registries,
    ),
    (
        "list.newest",
        "a list by the last change",
        "newest first",
        Registries,
    ),
    (
        "list.total",
        "what the total of a list counts",
        "all registries",
        Registries,
    ),
    (
        "id.form",
        "ids of registries",
        "numbers below 2^31",
        Registries,
    ),
    ("time.form", "times", "RFC 3339 with a zone", Registries),
    (
        "secret.list",
        "the secret in a list",
        "5 asterisks",
        Registries,
    ),
    (
        "secret.show",
        "the secret by GET",
        "5 asterisks",
        Registries,
    ),
    ("health.word", "health of a registry", "shown", Registries),
    (
        "target.unset",
        "region and instance of a target without them",
        "not shown",
        Registries,
    ),
    (
        "hosts.show",
        "the hosts of swr-pro by GET",
        "shown",
        Registries,
    ),
    (
        "hosts.list",
        "the hosts of swr-pro in a list",
        "not shown",
        Registries,
    ),
    (
        "project.show",
        "the project of swr-pro-internal by GET",
        "shown",
        Registries,
    ),
    (
        "project.list",
        "the project of swr-pro-internal in a list",
        "not shown",
        Registries,
    ),
    (
        "create.answer",
        "the answer to a POST",
        "201 with an id",
        Scratch,
    ),
    (
        "create.time",
        "how long a POST takes",
        "less than 2 s",
        Scratch,
    ),
    (
        "create.show",
        "a GET after a POST",
        "shows it at once",
        Scratch,
    ),
    (
        "create.list",
        "a list after a POST",
        "shows it at once",
        Scratch,
    ),
    (
        "create.health",
        "health of a new registry",
        "healthy",
        Scratch,
    ),
    (
        "update.answer",
        "the answer to a PUT",
        "200 without a body",
        Scratch,
    ),
    (
        "update.show",
        "a GET after a PUT",
        "shows it at once",
        Scratch,
    ),
    (
        "update.list",
        "a list after a PUT",
        "shows it at once",
        Scratch,
    ),
    (
        "update.time",
        "the time of the last change after a PUT that changes nothing",
        "moves",
        Scratch,
    ),
    (
        "update.hosts",
        "a PUT without hosts",
        "clears them",
        Scratch,
    ),
    (
        "tag.kept",
        "an ownership tag at the end of a description",
        "kept",
        Scratch,
    ),
    (
        "description.lines",
        "line breaks in a description",
        "kept",
        Scratch,
    ),
    (
        "description.blanks",
        "blanks at the end of a description",
        "kept",
        Scratch,
    ),
    (
        "description.long",
        "a description of 400 characters",
        "kept",
        Scratch,
    ),
    (
        "description.empty",
        "an empty description",
        "shown empty",
        Scratch,
    ),
    (
        "url.form",
        "an address with capitals and a slash at its end",
        "without the slash",
        Scratch,
    ),
    (
        "name.unique",
        "a second POST of the same name",
        "refused with 409",
        Scratch,
    ),
    (
        "name.letters",
        "a name with Chinese characters",
        "kept",
        Scratch,
    ),
    ("name.length", "a name of 64 characters", "kept", Scratch),
    (
        "delete.answer",
        "the answer to a DELETE",
        "200 without a body",
        Scratch,
    ),
    (
        "delete.list",
        "a list after a DELETE",
        "shows it no more at once",
        Scratch,
    ),
    (
        "delete.absent",
        "a DELETE of a registry that is gone",
        "404",
        Scratch,
    ),
    ("delete.show", "a GET after a DELETE", "404", Scratch),
];

/// What this command cannot find out.
pub(super) const NOT_ASKED: [&str; 6] = [
    "what a DELETE says of a registry that a replication policy uses: that needs a policy",
    "what a POST says above the quota: that needs a full instance",
    "what an instance says that is not running: that needs one that is stopped",
    "rate limits and Retry-After: that needs too many requests",
    "what is said of a missing permission, an expired token or a locked key: that needs one",
    "whether a request without an answer may still be carried out much later",
];

/// What was found, by the ids of rows.
#[derive(Debug, Default)]
pub(super) struct Findings(BTreeMap<&'static str, String>);

impl Findings {
    /// Notes what was found. The last word counts.
    pub(super) fn note(&mut self, id: &'static str, found: impl Into<String>) {
        debug_assert!(ROWS.iter().any(|row| row.0 == id), "there is no row {id}");
        self.0.insert(id, found.into());
    }

    /// Whether this was found.
    pub(super) fn is(&self, id: &str, found: &str) -> bool {
        self.0.get(id).is_some_and(|it| it == found)
    }

    /// The table.
    pub(super) fn rows(mut self, wrote: bool) -> Vec<Row> {
        let rows = ROWS.iter();
        rows.map(|(id, asked, assumed, needs)| {
            let found = self.0.remove(id);
            let verdict = match found.as_deref() {
                None => Verdict::NotKnown,
                Some(found) if found == *assumed => Verdict::AsAssumed,
                Some(_) => Verdict::Differs,
            };
            let why = match needs {
                _ if verdict != Verdict::NotKnown => None,
                Instance => Some("SWR does not tell it to this account"),
                Registries if wrote => Some("SWR did not let it be seen"),
                Registries => Some("the instance holds no registry that shows it"),
                Scratch if wrote => Some("an earlier answer was in the way"),
                Scratch => Some("it needs --write-probe"),
            };
            Row {
                id,
                asked,
                assumed,
                found,
                verdict,
                why,
            }
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_as_assumed_or_differs_or_is_not_known() {
        let mut findings = Findings::default();
        findings.note("list.total", "all registries");
        findings.note("show.absent", "400");
        let rows = findings.rows(false);
        assert_eq!(rows.len(), ROWS.len());
        let of = |id: &str| {
            let row = rows.iter().find(|row| row.id == id);
            row.map(|row| (row.found.as_deref(), row.verdict, row.why))
        };
        assert_eq!(
            of("list.total"),
            Some((Some("all registries"), Verdict::AsAssumed, None))
        );
        assert_eq!(
            of("show.absent"),
            Some((Some("400"), Verdict::Differs, None))
        );
        let why = Some("it needs --write-probe");
        assert_eq!(of("tag.kept"), Some((None, Verdict::NotKnown, why)));
    }

    #[test]
    fn no_two_rows_have_one_id() {
        let ids: std::collections::BTreeSet<&str> = ROWS.iter().map(|row| row.0).collect();
        assert_eq!(ids.len(), ROWS.len());
    }
}
