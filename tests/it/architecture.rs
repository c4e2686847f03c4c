//! Sources -> breaches of what ARCHITECTURE.md says. Reads text and compiles nothing, so it knows
//! names and no types; what a type can forbid is forbidden there and only looked at here.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use swr_operator::api::reason::Reason;

use source::{blanked, is_word, line_of, paths, positions, shown, sources};

pub(crate) use source::{files, read, root};

/// A file that nobody can hold in mind is two files.
const LINES_MAX: usize = 800;

/// Where a secret may be turned into text: the request, and the fingerprints.
const MAY_EXPOSE: [&str; 3] = [
    "src/credential.rs",
    "src/shell/swr/",
    "src/shell/controller/accounts.rs",
];

fn assert_none(breaches: &[String], rule: &str) {
    assert!(breaches.is_empty(), "{rule}\n  {}", breaches.join("\n  "));
}

#[test]
fn nothing_outside_the_shell_waits_or_looks_at_the_world() {
    const WORDS: [&str; 12] = [
        "async",
        ".await",
        "tokio",
        "reqwest",
        "hyper",
        "SystemTime",
        "Instant",
        "::now(",
        "tracing::",
        "rand",
        "Mutex",
        "static",
    ];
    let mut breaches = Vec::new();
    for source in sources(&["src"]).iter().filter(|source| source.is_pure()) {
        let mut breach = |line, what: &str| breaches.push(format!("{}:{line} {what}", source.path));
        for word in WORDS {
            for at in positions(&source.code, word) {
                breach(line_of(&source.code, at), word);
            }
        }
        for (line, path) in paths(&source.code, "std") {
            let segments: Vec<&str> = path.iter().map(String::as_str).collect();
            match segments.as_slice() {
                ["env" | "fs" | "process" | "thread", ..] => breach(line, &path.join("::")),
                ["net", name, ..] if !name.starts_with("Ip") => breach(line, &path.join("::")),
                _ => {}
            }
        }
        for (line, path) in paths(&source.code, "kube") {
            if matches!(
                path[0].as_str(),
                "Client" | "client" | "runtime" | "Api" | "api"
            ) {
                breach(line, &format!("kube::{}", path.join("::")));
            }
        }
    }
    assert_none(
        &breaches,
        "a decision takes time, randomness and answers as arguments:",
    );
}

/// The table between the markers of ARCHITECTURE.md: module -> what it may import.
fn import_table() -> BTreeMap<String, BTreeSet<String>> {
    let text = read("ARCHITECTURE.md");
    let (_, after) = text
        .split_once("<!-- imports -->")
        .expect("ARCHITECTURE.md has <!-- imports -->");
    let (table, _) = after.split_once("<!-- end -->").expect("its end");
    let names = |cell: &str| -> BTreeSet<String> {
        let quoted = cell.split('`').skip(1).step_by(2);
        quoted.map(str::to_owned).collect()
    };
    let mut rows = BTreeMap::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let module = names(cells[0])
            .pop_first()
            .expect("a module in the first cell");
        let imports = names(cells.last().expect("a last cell"));
        assert!(
            rows.insert(module.clone(), imports).is_none(),
            "{module} has two rows"
        );
    }
    rows
}

fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::<String, BTreeSet<String>>::new();
    for source in sources(&["src"]) {
        let Some(module) = source.module() else {
            continue;
        };
        let root = if source.path == "src/main.rs" {
            "swr_operator"
        } else {
            "crate"
        };
        let imports = all.entry(module.clone()).or_default();
        for (_, path) in paths(&source.shipped(), root) {
            let target = match path.as_slice() {
                [top, below, ..] if top == "shell" => format!("shell::{below}"),
                [top, ..] => top.clone(),
                [] => continue,
            };
            if target != module {
                imports.insert(target);
            }
        }
    }
    all
}

#[test]
fn every_module_imports_what_its_row_says_and_nothing_else() {
    let (table, imports) = (import_table(), imports());
    let list = |names: &BTreeSet<String>| {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        names.join(", ")
    };
    let mut breaches = Vec::new();
    for (module, imports) in &imports {
        match table.get(module) {
            None => breaches.push(format!("{module} has no row; it imports {}", list(imports))),
            Some(row) if row != imports => breaches.push(format!(
                "{module} imports {}\n    its row says {}",
                list(imports),
                list(row)
            )),
            Some(_) => {}
        }
    }
    for module in table.keys().filter(|module| !imports.contains_key(*module)) {
        breaches.push(format!("{module} has a row and no file"));
    }
    assert_none(&breaches, "the table of ARCHITECTURE.md, \"Code map\":");
}

#[test]
fn no_module_leaves_its_folder_by_super() {
    let mut breaches = Vec::new();
    for source in sources(&["src"]) {
        let shipped = source.shipped();
        let is_root_of_module = match source.path.strip_prefix("src/shell/") {
            Some(below) => !below.contains('/') || below.ends_with("/mod.rs"),
            None => !source.path[4..].contains('/') || source.path.ends_with("/mod.rs"),
        };
        for (line, path) in paths(&shipped, "super") {
            if is_root_of_module || path.first().is_some_and(|first| first == "super") {
                breaches.push(format!("{}:{line} super::{}", source.path, path.join("::")));
            }
        }
    }
    assert_none(
        &breaches,
        "an import of another module begins with crate::, so that the table sees it:",
    );
}

#[test]
fn no_module_knows_itself_by_way_of_others() {
    let mut reaches = import_table();
    loop {
        let before: usize = reaches.values().map(BTreeSet::len).sum();
        for module in reaches.keys().cloned().collect::<Vec<_>>() {
            let further: Vec<String> = reaches[&module]
                .iter()
                .filter_map(|import| reaches.get(import))
                .flatten()
                .cloned()
                .collect();
            reaches.entry(module).or_default().extend(further);
        }
        if before == reaches.values().map(BTreeSet::len).sum::<usize>() {
            break;
        }
    }
    let in_a_circle: Vec<&str> = reaches
        .iter()
        .filter(|(module, reached)| reached.contains(*module))
        .map(|(module, _)| module.as_str())
        .collect();
    assert_eq!(in_a_circle, Vec::<&str>::new(), "these form a circle");
}

/// Files that Cargo takes as the root of a crate, by its own rules for where they lie.
fn crate_roots() -> Vec<PathBuf> {
    let mut roots = Vec::new();
    for package in ["", "tests/simulator", "tests/harness"] {
        let folder = root().join(package);
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
    assert_eq!(rows, reasons, "docs/reasons.md against src/api/reason.rs");
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

#[test]
fn a_permission_is_made_by_the_module_that_gives_it() {
    let mut breaches = Vec::new();
    let mut made = BTreeSet::new();
    for source in sources(&["src"]) {
        let module = source.module().unwrap_or_default();
        for (name, giver) in [
            ("Owned", "observed"),
            ("Untagged", "observed"),
            ("Intent", "step"),
        ] {
            // The variants of the enums that `observed` and `plan` declare bear the same names.
            let lines = builds(&source.shipped(), name);
            if module == giver {
                made.extend((!lines.is_empty()).then_some(name));
            } else if module != "observed" && module != "plan" {
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
        who_says("Writer", "src/shell/swr/"),
        ["src/shell/controller/execute.rs"],
        "a write to SWR is only ever made from an Effect"
    );
    assert_eq!(
        who_says("step::start", "src/step/"),
        ["src/shell/controller/pass.rs"],
        "one loop drives the steps"
    );
    assert_eq!(
        who_says("Patch", "src/shell/kube/"),
        Vec::<String>::new(),
        "a patch format outside shell::kube"
    );
    assert_eq!(who_says("unsafe", "-"), Vec::<String>::new(), "unsafe code");
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
            for at in positions(&source.code, "swr_operator") {
                breaches.push(format!("{}:{}", source.path, line_of(&source.code, at)));
            }
        }
    }
    assert_none(
        &breaches,
        "a mistake that both sides share is invisible to every test:",
    );
}
