//! What the tests of the core say of a reconcile -> pictures of it, one arrow for each effect.

use std::fmt::Write as _;

use super::compare;
use crate::architecture::{read, root};

/// A picture, and the test of the core whose trace it shows.
const PICTURES: [(&str, &str, &str); 3] = [
    (
        "docs/pictures/created.svg",
        "src/core/src/protocol/step/tests.rs",
        "a_registry_is_created_with_finalizer_and_intent_before_the_post",
    ),
    (
        "docs/pictures/updated.svg",
        "src/core/src/protocol/step/tests.rs",
        "a_difference_costs_one_put_after_the_tag_was_seen",
    ),
    (
        "docs/pictures/deleted.svg",
        "src/core/src/protocol/step/tests/removal.rs",
        "a_deletion_removes_the_known_registry_and_then_the_finalizer_and_leaves_copies",
    ),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Kubernetes,
    Swr,
    /// Asks nobody outside.
    Operator,
}

/// What an effect is to the world: whom it asks, whether it writes, and what it is for.
fn shown(effect: &str) -> (Side, bool, &'static str) {
    use Side::{Kubernetes, Operator, Swr};
    match effect {
        "ReadObject" => (Kubernetes, false, "the object, by its uid"),
        "ReadAccount" => (Operator, false, "the account and its grants"),
        "ReadSecret" => (Kubernetes, false, "its Secret, by name"),
        "List" => (Swr, false, "all registries, for all who wait"),
        "AddFinalizer" => (Kubernetes, true, "the finalizer (rule 2)"),
        "Reserve" => (Operator, false, "room within the account's limits"),
        "RecordIntent" => (Kubernetes, true, "status: the intent (rule 4)"),
        "Create" => (Swr, true, "POST (rules 5 and 6)"),
        "Show" => (Swr, false, "GET: is the tag ours? (rule 3)"),
        "Update" => (Swr, true, "PUT of the whole body (rule 9)"),
        "Delete" => (Swr, true, "DELETE by id (rule 8)"),
        "RemoveFinalizer" => (Kubernetes, true, "the finalizer off (rule 8)"),
        "InSync" => (Kubernetes, true, "status: Ready, and the id"),
        other => panic!("a picture shows {other}"),
    }
}

/// The effects of the first trace that a test expects. The verdict in the end becomes the status that is written; there
/// is none of an object that is gone.
fn trace(path: &str, test: &str) -> Vec<String> {
    let text = read(path);
    let (_, after) = text
        .split_once(&format!("fn {test}()"))
        .unwrap_or_else(|| panic!("{path} has no test {test}"));
    let (_, after) = after.split_once("expect![[r#\"\n").expect("a trace");
    let (trace, _) = after.split_once("\"#]]").expect("its end");
    let lines = trace
        .lines()
        .map(|line| line.trim().trim_start_matches("-> "));
    let words = lines.filter_map(|line| line.split(' ').next());
    let words = words.filter(|word| !word.is_empty() && *word != "Released");
    words.map(str::to_owned).collect()
}

const WIDTH: u32 = 760;
const ROW: u32 = 46;
const TOP: u32 = 74;
/// Where the three stand.
const KUBERNETES: u32 = 90;
const OPERATOR: u32 = 380;
const SWR: u32 = 670;

fn picture(effects: &[String]) -> String {
    let bottom = TOP + ROW * u32::try_from(effects.len()).expect("few");
    let mut svg = String::new();
    write!(
        svg,
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">
<style>
  .card {{ fill: #ffffff; stroke: #d0d7de; }}
  .box {{ fill: #f0f3f6; stroke: #d0d7de; }}
  .line {{ stroke: #c3cad2; stroke-width: 2; }}
  .read {{ stroke: #6e7781; stroke-width: 1.5; stroke-dasharray: 5 4; fill: none; }}
  .write {{ stroke: #0a5cc2; stroke-width: 2.5; fill: none; }}
  .head-read {{ fill: #6e7781; }}
  .head-write {{ fill: #0a5cc2; }}
  .dot {{ fill: #6e7781; }}
  text {{ font: 14px system-ui, sans-serif; fill: #1f2328; }}
  .name {{ font-weight: 600; text-anchor: middle; }}
  .effect {{ font: 600 13px ui-monospace, monospace; }}
  .note {{ fill: #57606a; font-size: 13px; }}
  @media (prefers-color-scheme: dark) {{
    .card {{ fill: #1b1f24; stroke: #3d444d; }}
    .box {{ fill: #2a313a; stroke: #3d444d; }}
    .line {{ stroke: #4a525c; }}
    .read {{ stroke: #9ba4ae; }}
    .write {{ stroke: #61aeee; }}
    .head-read {{ fill: #9ba4ae; }}
    .head-write {{ fill: #61aeee; }}
    .dot {{ fill: #9ba4ae; }}
    text {{ fill: #e6edf3; }}
    .note {{ fill: #aab3bd; }}
  }}
</style>
<rect class="card" x="1" y="1" width="{card_width}" height="{card_height}" rx="8"/>
"#,
        height = bottom + 20,
        card_width = WIDTH - 2,
        card_height = bottom + 18,
    )
    .expect("a String takes everything");
    for (x, name) in [
        (KUBERNETES, "Kubernetes"),
        (OPERATOR, "operator"),
        (SWR, "SWR"),
    ] {
        writeln!(
            svg,
            r#"<line class="line" x1="{x}" y1="48" x2="{x}" y2="{bottom}"/><rect class="box" x="{left}" y="18" width="120" height="30" rx="6"/><text class="name" x="{x}" y="38">{name}</text>"#,
            left = x - 60,
        )
        .expect("a String takes everything");
    }
    for (y, effect) in (TOP..)
        .step_by(usize::try_from(ROW).expect("small"))
        .zip(effects)
    {
        svg += &arrow(effect, y + 18);
    }
    svg + "</svg>\n"
}

/// One row: the effect's name in the code and what it is for, above an arrow to whom it asks.
fn arrow(effect: &str, y: u32) -> String {
    let (side, writes, note) = shown(effect);
    let kind = if writes { "write" } else { "read" };
    let (text_x, mark) = match side {
        Side::Kubernetes => (KUBERNETES + 12, mark(kind, (OPERATOR, KUBERNETES), y)),
        Side::Swr => (OPERATOR + 12, mark(kind, (OPERATOR, SWR), y)),
        Side::Operator => (
            OPERATOR + 12,
            format!(
                r#"<circle class="dot" cx="{OPERATOR}" cy="{}" r="5"/>"#,
                y - 10
            ),
        ),
    };
    // The status is written by the end of the reconcile, not by an effect of that name.
    let name = match effect {
        "InSync" => String::new(),
        effect => format!(r#"<tspan class="effect">{effect}</tspan> "#),
    };
    format!(
        r#"{mark}<text x="{text_x}" y="{}">{name}<tspan class="note">{note}</tspan></text>
"#,
        y - 6
    )
}

fn mark(kind: &str, (from, to): (u32, u32), y: u32) -> String {
    // Short of the line by the length of the head.
    let (end, back) = if to > from {
        (to - 2, to - 11)
    } else {
        (to + 2, to + 11)
    };
    format!(
        r#"<path class="{kind}" d="M{from} {y} H{back}"/><path class="head-{kind}" d="M{end} {y} L{back} {} L{back} {} Z"/>"#,
        y - 5,
        y + 5,
    )
}

#[test]
fn the_pictures_of_a_reconcile_show_what_the_core_asks_for() {
    for (path, tests, test) in PICTURES {
        let effects = trace(tests, test);
        assert!(effects.len() >= 6, "{test}: {effects:?}");
        compare(path, &picture(&effects));
    }
}

/// `turns.svg` is drawn by hand.
#[test]
fn the_modules_that_the_picture_of_the_loop_names_are_there() {
    let text = read("docs/pictures/turns.svg");
    let lines = text.lines().filter_map(|line| line.strip_suffix("</text>"));
    let named: Vec<&str> = lines
        .filter(|line| line.contains(">which ") || line.contains(">whose "))
        .filter_map(|line| line.rsplit_once(": "))
        .map(|(_, module)| module)
        .collect();
    assert_eq!(named.len(), 3, "{named:?}");
    for module in named {
        let file = format!("src/controller/src/{module}.rs");
        assert!(root().join(&file).is_file(), "{file}");
    }
}
