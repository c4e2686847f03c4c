//! Sources -> breaches of what ARCHITECTURE.md says. Reads text and compiles nothing, so it knows
//! names and no types; what a type can forbid is forbidden there and only looked at here.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use swr_operator_api::reason::Reason;

use source::{blanked, is_word, line_of, positions, shown, sources};

pub(crate) use source::{files, read, root};

/// A file that nobody can hold in mind is two files.
const LINES_MAX: usize = 800;

/// Where a secret may be turned into text: the request, the fingerprints, and the files that a person asks for.
const MAY_EXPOSE: [&str; 4] = [
    "src/cli/src/import/secrets.rs",
    "src/core/src/model/credential.rs",
    "src/swr/",
    "src/controller/src/identity.rs",
];

fn assert_none(breaches: &[String], rule: &str) {
    assert!(breaches.is_empty(), "{rule}\n  {}", breaches.join("\n  "));
}

/// What the pure crates are built on. Nothing else: no runtime, no client, no logger.
const PURE: [(&str, &[&str]); 2] = [
    (
        "api",
        &[
            "jiff",
            "k8s-openapi",
            "kube",
            "schemars",
            "serde",
            "serde_json",
        ],
    ),
    (
        "core",
        &[
            "base64",
            "hmac",
            "ipnet",
            "jiff",
            "k8s-openapi",
            "serde",
            "serde_json",
            "sha2",
            "zeroize",
        ],
    ),
];

/// What the rest of the workspace must not make of the client of SWR, so that others can use it.
const NOT_FOR_SWR: [&str; 3] = ["kube", "k8s-openapi", "prometheus-client"];

/// Packages that ship, by their folder below `src`: what they depend on by their manifest.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let manifests = files("src", "toml").into_iter();
    let of = |path: String| {
        let text = read(&path);
        let (_, after) = text.split_once("\n[dependencies]\n").unwrap_or_default();
        let section = after.split("\n[").next().unwrap_or_default();
        let names = section.lines().filter_map(|line| {
            let name = line.split(['.', ' ']).next().unwrap_or_default();
            (!name.is_empty() && !name.starts_with('#')).then(|| name.to_owned())
        });
        let folder = path.split('/').nth(1).expect("src/FOLDER/Cargo.toml");
        (folder.to_owned(), names.collect())
    };
    manifests.map(of).collect()
}

#[test]
fn the_pure_crates_can_name_no_runtime_and_no_client() {
    let found = dependencies();
    for (folder, wanted) in PURE {
        let foreign = found[folder]
            .iter()
            .filter(|name| !name.starts_with("swr-operator-"));
        assert_eq!(
            foreign.map(String::as_str).collect::<Vec<_>>(),
            wanted,
            "src/{folder}/Cargo.toml"
        );
    }
    let names_it = |name: &&str| found["swr"].contains(*name);
    let named: Vec<&str> = NOT_FOR_SWR.into_iter().filter(names_it).collect();
    assert_eq!(named, Vec::<&str>::new(), "src/swr/Cargo.toml");
    // What members ask for beside this, they alone can name.
    let kube =
        "\nkube = { version = \"5.0\", default-features = false, features = [\"derive\"] }\n";
    assert!(read("Cargo.toml").contains(kube), "kube without a client");
    assert!(read("src/api/Cargo.toml").contains("\nkube.workspace = true\n"));
}

#[test]
fn the_pure_crates_look_at_nothing_that_std_offers() {
    const WORDS: [&str; 11] = [
        "async",
        "Instant",
        "Mutex",
        "SystemTime",
        "TcpStream",
        "static",
        "std::env",
        "std::fs",
        "std::process",
        "std::thread",
        "::now(",
    ];
    let mut breaches = Vec::new();
    for source in sources(&["src/api", "src/core"]) {
        for word in WORDS {
            for at in positions(&source.code, word) {
                breaches.push(format!(
                    "{}:{} {word}",
                    source.path,
                    line_of(&source.code, at)
                ));
            }
        }
    }
    assert_none(
        &breaches,
        "a decision takes time, randomness and answers as arguments:",
    );
}

/// The table between the markers of ARCHITECTURE.md: crate -> those of ours that it depends on.
fn table_of_crates() -> BTreeMap<String, BTreeSet<String>> {
    let text = read("ARCHITECTURE.md");
    let (_, after) = text
        .split_once("<!-- crates -->")
        .expect("ARCHITECTURE.md has <!-- crates -->");
    let (table, _) = after.split_once("<!-- end -->").expect("its end");
    let names = |cell: &str| -> BTreeSet<String> {
        let quoted = cell.split('`').skip(1).step_by(2);
        quoted
            .map(|name| name.trim_start_matches("src/").to_owned())
            .collect()
    };
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let folder = names(cells[0])
            .pop_first()
            .expect("a crate in the first cell");
        (folder, names(cells.last().expect("a last cell")))
    })
    .collect()
}

#[test]
fn every_crate_depends_on_what_its_row_says_and_nothing_else_of_ours() {
    let ours = |names: BTreeSet<String>| -> BTreeSet<String> {
        let name = |name: &String| name.strip_prefix("swr-operator-").map(str::to_owned);
        names.iter().filter_map(name).collect()
    };
    let found = dependencies().into_iter();
    let found: BTreeMap<_, _> = found.map(|(folder, names)| (folder, ours(names))).collect();
    assert_eq!(
        table_of_crates(),
        found,
        "ARCHITECTURE.md, \"Code map\", against src/*/Cargo.toml"
    );
}

/// Files that Cargo takes as the root of a crate, by its own rules for where they lie, and the two that manifests name.
fn crate_roots() -> Vec<PathBuf> {
    let mut roots = vec![
        root().join("tests/it/main.rs"),
        root().join("tests/model/main.rs"),
    ];
    let manifests = files("src", "toml")
        .into_iter()
        .chain(files("tests", "toml"));
    for package in manifests.filter(|path| path.ends_with("/Cargo.toml")) {
        let folder = root().join(package);
        let folder = folder.parent().expect("a folder");
        for path in ["src/lib.rs", "src/main.rs", "build.rs"] {
            roots.push(folder.join(path));
        }
        for kind in ["tests", "benches", "examples", "src/bin"] {
            let Ok(entries) = fs::read_dir(folder.join(kind)) else {
                continue;
            };
            for path in entries.map(|entry| entry.expect("entry").path()) {
                if path.extension().is_some_and(|extension| extension == "rs") {
                    roots.push(path);
                } else {
                    roots.push(path.join("main.rs"));
                }
            }
        }
    }
    roots.retain(|path| path.is_file());
    roots
}

#[test]
fn every_source_file_is_declared_by_a_mod() {
    let mut reached = BTreeSet::new();
    let mut breaches = Vec::new();
    let mut to_read: Vec<(PathBuf, bool)> =
        crate_roots().into_iter().map(|path| (path, true)).collect();
    while let Some((path, is_root)) = to_read.pop() {
        let name = shown(&path);
        let code = blanked(&read(&name));
        let parent = path.parent().expect("a folder");
        let owns_folder = is_root || path.file_name().is_some_and(|name| name == "mod.rs");
        let folder = if owns_folder {
            parent.to_owned()
        } else {
            parent.join(path.file_stem().expect("a stem"))
        };
        for at in positions(&code, "mod") {
            let tail = code[at + 3..].trim_start();
            let end = tail.find(|c| !is_word(c)).unwrap_or(tail.len());
            let (module, after) = tail.split_at(end);
            if module.is_empty() || !after.trim_start().starts_with(';') {
                continue;
            }
            let candidates = [
                folder.join(format!("{module}.rs")),
                folder.join(module).join("mod.rs"),
            ];
            match candidates.into_iter().find(|path| path.is_file()) {
                Some(path) => to_read.push((path, false)),
                None => breaches.push(format!("{name} declares {module}, which has no file")),
            }
        }
        reached.insert(name);
    }
    for path in files("src", "rs").into_iter().chain(files("tests", "rs")) {
        if !reached.contains(&path) {
            breaches.push(format!(
                "{path} is declared by no mod, so nothing compiles it"
            ));
        }
    }
    assert_none(&breaches, "a file that no mod declares only looks alive:");
}

#[test]
fn every_file_says_first_what_it_is_for_and_stays_short() {
    // Spelt so that this file does not find itself.
    let unfinished = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    let mut breaches = Vec::new();
    for source in sources(&["src", "tests"]) {
        if !source.text.starts_with("//!") {
            breaches.push(format!("{} does not open with //!", source.path));
        }
        let n_lines = source.text.lines().count();
        if n_lines > LINES_MAX {
            breaches.push(format!(
                "{} has {n_lines} lines, more than {LINES_MAX}",
                source.path
            ));
        }
        for (n, line) in source.text.lines().enumerate() {
            let promises = unfinished
                .iter()
                .flat_map(|word| positions(line, word).map(move |at| &line[at + word.len()..]));
            for tail in promises {
                if !tail.starts_with("(#") {
                    breaches.push(format!(
                        "{}:{} promises work without an issue's number",
                        source.path,
                        n + 1
                    ));
                }
            }
        }
    }
    assert_none(&breaches, "every file:");
}

/// A newcomer reads this much, and understands what an edit of an object leads to.
const WALK_FILES_MAX: usize = 15;
const WALK_LINES_MAX: usize = 400;

#[test]
fn the_walk_from_an_edit_to_its_put_is_short() {
    let text = read("ARCHITECTURE.md");
    let (_, walk) = text.split_once("## A walk").expect("a walk");
    let (walk, _) = walk
        .split_once("\n## ")
        .expect("another part behind the walk");
    let files: BTreeSet<&str> = walk
        .split('`')
        .filter(|text| text.starts_with("src/"))
        .collect();
    assert!(
        (5..=WALK_FILES_MAX).contains(&files.len()),
        "the walk leads through {} files",
        files.len()
    );
    let breaches: Vec<String> = files
        .into_iter()
        .map(|path| (path, read(path).lines().count()))
        .filter(|(_, n_lines)| *n_lines > WALK_LINES_MAX)
        .map(|(path, n_lines)| format!("{path} has {n_lines} lines, more than {WALK_LINES_MAX}"))
        .collect();
    assert_none(&breaches, "every file of the walk:");
}

#[test]
fn every_reason_has_its_row_and_every_row_its_reason() {
    let text = read("docs/reasons.md");
    let (_, list) = text
        .split_once("<!-- generated: reasons -->")
        .expect("the list");
    let rows: Vec<&str> = list
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let reasons: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(
        rows, reasons,
        "docs/reasons.md against src/api/src/reason.rs"
    );
}

#[test]
fn a_secret_becomes_text_where_it_goes_out_and_nowhere_else() {
    let mut breaches = Vec::new();
    for source in sources(&["src"]) {
        if MAY_EXPOSE.iter().any(|path| source.path.starts_with(path)) {
            continue;
        }
        let shipped = source.shipped();
        for at in positions(&shipped, "expose(") {
            breaches.push(format!("{}:{}", source.path, line_of(&shipped, at)));
        }
    }
    assert_none(&breaches, "these expose a secret:");
}

/// Where `name` is built: not where it is declared, implemented or returned, and not where an
/// enum's variant of the same name stands.
fn builds(code: &str, name: &str) -> Vec<usize> {
    let opens = |tail: &str| tail.trim_start().starts_with(['(', '{']);
    positions(code, name)
        .filter(|at| opens(&code[at + name.len()..]))
        .filter(|at| {
            let before = code[..*at].trim_end();
            let word = |text: &str| -> String {
                let end = text.trim_end();
                let start = end.rfind(|c| !is_word(c)).map_or(0, |at| at + 1);
                end[start..].to_owned()
            };
            match before.strip_suffix("::") {
                // `Claim::Owned(..)` is a variant; `observed::Owned(..)` is the type.
                Some(path) => word(path).starts_with(char::is_lowercase),
                None => {
                    !before.ends_with("->")
                        && !["struct", "enum", "impl", "for"].contains(&word(before).as_str())
                }
            }
        })
        .map(|at| line_of(code, at))
        .collect()
}

// No other crate can build one: their fields are private to `core`.
#[test]
fn a_permission_is_made_by_the_module_that_gives_it() {
    let mut breaches = Vec::new();
    let mut made = BTreeSet::new();
    for source in sources(&["src/core"]) {
        for (name, giver) in [
            ("Owned", "model/observed"),
            ("Untagged", "model/observed"),
            ("Intent", "protocol/step"),
        ] {
            // The variants of the enums that `observed` and `plan` declare bear the same names.
            let within = |module: &str| source.path.starts_with(&format!("src/core/src/{module}"));
            let lines = builds(&source.shipped(), name);
            if within(giver) {
                made.extend((!lines.is_empty()).then_some(name));
            } else if !within("model/observed") && !within("decide/plan") {
                let breach = |line| format!("{}:{line} builds {name}", source.path);
                breaches.extend(lines.into_iter().map(breach));
            }
        }
    }
    assert_none(
        &breaches,
        "only observed says whose a registry is, and only step that an intent is recorded:",
    );
    assert_eq!(
        made.into_iter().collect::<Vec<_>>(),
        ["Intent", "Owned", "Untagged"],
        "this test does not see any more where a permission is made"
    );
}

/// Files outside `home` that say `word` in what ships.
fn who_says(word: &str, home: &str) -> Vec<String> {
    sources(&["src"])
        .into_iter()
        .filter(|source| !source.path.starts_with(home))
        .filter(|source| positions(&source.shipped(), word).next().is_some())
        .map(|source| source.path)
        .collect()
}

#[test]
fn one_place_writes_to_swr_one_drives_the_steps_and_one_knows_patches() {
    assert_eq!(
        who_says("client.writer(", "src/swr/"),
        [
            "src/cli/src/check/contract/probe.rs",
            "src/controller/src/execute.rs"
        ],
        "a write to SWR is only ever made from an Effect, or to a scratch registry that a person names"
    );
    assert_eq!(
        who_says("step::start", "src/core/"),
        ["src/controller/src/reconcile.rs"],
        "one loop drives the steps"
    );
    assert_eq!(
        who_says("Patch", "src/kube/"),
        Vec::<String>::new(),
        "a patch format outside src/kube"
    );
    assert_eq!(who_says("unsafe", "-"), Vec::<String>::new(), "unsafe code");
}

#[test]
fn randomness_comes_from_the_operating_system_in_one_place() {
    // A generator with a state of its own would go on alike in two copies of a process.
    let clock = ["src/clock/src/lib.rs"];
    assert_eq!(who_says("secure_random", "-"), clock);
    for word in [
        "fastrand",
        "rand::",
        "getrandom",
        "RandomState",
        "thread_rng",
    ] {
        assert_eq!(who_says(word, "-"), Vec::<String>::new(), "{word}");
    }
}

#[test]
fn neither_simulator_nor_harness_knows_the_operators_types() {
    let mut breaches = Vec::new();
    for folder in ["tests/simulator", "tests/harness"] {
        let manifest = read(&format!("{folder}/Cargo.toml"));
        let names_it = |line: &&str| line.trim_start().starts_with("swr-operator");
        breaches.extend(
            manifest
                .lines()
                .filter(names_it)
                .map(|line| format!("{folder}/Cargo.toml: {line}")),
        );
        for source in sources(&[folder]) {
            for (at, _) in source.code.match_indices("swr_operator_") {
                breaches.push(format!("{}:{}", source.path, line_of(&source.code, at)));
            }
        }
    }
    assert_none(
        &breaches,
        "a mistake that both sides share is invisible to every test:",
    );
}
