//! The contract's checklist: every documented field of every operation has a cell, every cell a test that is there, and
//! `docs/coverage.md` says so. Must not know what the tests do.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::architecture::{files, read};
use crate::documents::compare;

mod cells;
mod errors;
mod wire;

use cells::{ALL, CELLS, Cell, Operation, Use};

/// Whether some test or check of this name stands in the sources.
pub(crate) fn exists(test: &str) -> bool {
    place(test).is_some()
}

/// The file of a test.
pub(crate) fn place(test: &str) -> Option<String> {
    let head = format!("fn {test}(");
    ["src", "tests/it", "tests/simulator/src", "tests/model"]
        .iter()
        .flat_map(|folder| files(folder, "rs"))
        .find(|path| read(path).contains(&head))
}

fn fields() -> Vec<&'static str> {
    let mut fields: Vec<&str> = Vec::new();
    for cell in CELLS {
        if !fields.contains(&cell.field) {
            fields.push(cell.field);
        }
    }
    fields
}

fn cell_of(field: &str, operation: Operation) -> Option<&'static Cell> {
    CELLS
        .iter()
        .find(|cell| cell.field == field && cell.operations.contains(&operation))
}

const HEAD: &str = "\
# What of the SWR API is used, and which test shows it

Written by `cargo test` from `tests/it/coverage/cells.rs` (`UPDATE_EXPECT=1` writes it anew). One row for each field that
Huawei documents for the five operations on the registries of an instance. `-`: not part of the operation.

";

const MEETS: &str = "
## How, and the test that shows it

The operator is a binary that talks to a simulated SWR over a socket in all tests below `tests/it`; tests below `src`
take the same bytes apart without one.

";

fn page() -> String {
    let mut page = HEAD.to_owned();
    let words: Vec<&str> = ALL.iter().map(|operation| operation.word()).collect();
    writeln!(page, "| Field | {} |", words.join(" | ")).expect("a String takes everything");
    writeln!(page, "|---|{}", "---|".repeat(ALL.len())).expect("a String takes everything");
    for field in fields() {
        let does: Vec<&str> = ALL
            .iter()
            .map(|operation| cell_of(field, *operation).map_or("-", |cell| cell.does.word()))
            .collect();
        writeln!(page, "| {} | {} |", shown(field), does.join(" | "))
            .expect("a String takes everything");
    }
    page.push_str(MEETS);
    page.push_str("| Field | Operations | | How, or why not | Test |\n|---|---|---|---|---|\n");
    for cell in CELLS {
        let operations: Vec<&str> = cell.operations.iter().map(|its| its.word()).collect();
        let operations = if cell.operations == ALL {
            "all".to_owned()
        } else {
            operations.join(", ")
        };
        let test = place(cell.test).map_or_else(
            || "-".to_owned(),
            |path| format!("`{}` in {path}", cell.test),
        );
        writeln!(
            page,
            "| {} | {operations} | {} | {} | {test} |",
            shown(cell.field),
            cell.does.word(),
            cell.how,
        )
        .expect("a String takes everything");
    }
    page
}

/// `body name` as body `name`.
fn shown(field: &str) -> String {
    let (place, name) = field.split_once(' ').expect("a place and a name");
    format!("{place} `{name}`")
}

#[test]
fn the_page_of_coverage_is_the_one_of_the_cells() {
    compare("docs/coverage.md", &page());
}

#[test]
fn every_cell_has_a_test_and_none_has_two() {
    let mut seen = BTreeSet::new();
    for cell in CELLS {
        let Cell {
            field,
            operations,
            does,
            how,
            test,
        } = cell;
        for operation in *operations {
            assert!(
                seen.insert((*field, *operation)),
                "{field} of {operation:?} stands there twice"
            );
        }
        assert!(!how.is_empty() && !how.contains('|'), "{field}: {how:?}");
        // What is left alone may have nothing to show.
        let excused = test.is_empty() && *does == Use::Not;
        assert!(
            excused || exists(test),
            "{field} of {operations:?}: there is no test {test:?}"
        );
    }
}

/// The fields of bodies that the cells say are used so by an operation.
fn body_fields(operation: Operation, does: &[Use]) -> BTreeSet<String> {
    CELLS
        .iter()
        .filter(|cell| cell.operations.contains(&operation) && does.contains(&cell.does))
        .filter_map(|cell| cell.field.strip_prefix("body "))
        .map(str::to_owned)
        .collect()
}
