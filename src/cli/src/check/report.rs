//! What was checked and what came of it, for people and for programs.

use schemars::JsonSchema;
use serde::Serialize;

/// The result of `check`.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Report {
    /// Version of this format: the first number changes when a field goes or means something else.
    format_version: &'static str,
    /// What was checked, in this order. Empty with `--contract`.
    pub(super) checks: Vec<Check>,
    /// What SWR does, beside what is assumed. Only with `--contract`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) contract: Option<Contract>,
}

/// One thing that was checked.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Check {
    /// What, for programs, such as `kubernetes` or `account/default`.
    pub(super) id: String,
    /// What came of it.
    pub(super) state: State,
    /// What was found.
    pub(super) found: String,
    /// Why it matters. Only if it is not ok.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<String>,
    /// What to do about it. Only if it is not ok.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next: Option<String>,
}

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// It is as it should be.
    Ok,
    /// It keeps the operator, or you, from working.
    Problem,
    /// It could not be found out.
    Unknown,
}

/// SWR beside what is assumed.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Contract {
    /// Id of the instance that was asked.
    pub(super) instance_id: String,
    /// Whether a scratch registry was written.
    pub(super) wrote: bool,
    /// What was compared.
    pub(super) rows: Vec<Row>,
    /// What this command cannot find out.
    pub(super) not_asked: Vec<&'static str>,
}

/// One thing that the documents leave open.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Row {
    /// For programs.
    pub(super) id: &'static str,
    /// What is asked.
    pub(super) asked: &'static str,
    /// What the operator takes for the usual case; it copes with others, as docs/cli.md says.
    pub(super) assumed: &'static str,
    /// What SWR does. Absent if it could not be found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) found: Option<String>,
    /// How the two compare.
    pub(super) verdict: Verdict,
    /// Why it could not be found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) why: Option<&'static str>,
}

/// How what was found compares with what is assumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// It is the same.
    AsAssumed,
    /// It is something else.
    Differs,
    /// It could not be found out.
    NotKnown,
}

impl Check {
    pub(super) fn ok(id: &str, found: impl Into<String>) -> Self {
        Check {
            id: id.to_owned(),
            state: State::Ok,
            found: found.into(),
            why: None,
            next: None,
        }
    }

    pub(super) fn problem(id: &str, found: impl Into<String>, why: &str, next: &str) -> Self {
        Check {
            state: State::Problem,
            why: Some(why.to_owned()).filter(|why| !why.is_empty()),
            next: Some(next.to_owned()).filter(|next| !next.is_empty()),
            ..Check::ok(id, found)
        }
    }

    pub(super) fn unknown(id: &str, found: impl Into<String>, next: &str) -> Self {
        Check {
            state: State::Unknown,
            ..Check::problem(id, found, "", next)
        }
    }
}

impl Report {
    pub(super) fn of_checks(checks: Vec<Check>) -> Self {
        Report {
            format_version: "1.0",
            checks,
            contract: None,
        }
    }

    pub(super) fn of_contract(contract: Contract) -> Self {
        Report {
            contract: Some(contract),
            ..Report::of_checks(Vec::new())
        }
    }

    pub(super) fn names_of_problems(&self) -> Vec<String> {
        let problems = self.checks.iter().filter(|it| it.state == State::Problem);
        problems.map(|it| it.id.clone()).collect()
    }
}
