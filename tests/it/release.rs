//! What a release is made of, as far as text can show it: Containerfile, scripts, workflows, versions. What takes a
//! compiler is `cargo dev image` and `cargo dev sbom`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::{Value, json};

use crate::architecture::{files, read, root};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// As `rust-version` in Cargo.toml.
const RUST: &str = env!("CARGO_PKG_RUST_VERSION");

fn workflows() -> Vec<(String, Value)> {
    let found: Vec<_> = files(".github/workflows", "yaml")
        .into_iter()
        .map(|path| {
            let workflow = serde_saphyr::from_str(&read(&path))
                .unwrap_or_else(|error| panic!("{path}: {error}"));
            (path, workflow)
        })
        .collect();
    assert_eq!(found.len(), 3);
    found
}

/// Job -> its fields, of every workflow.
fn jobs() -> Vec<(String, Value)> {
    let of = |(path, workflow): (String, Value)| {
        let jobs = workflow["jobs"].as_object().expect("jobs").clone();
        jobs.into_iter()
            .map(move |(name, job)| (format!("{path}, job {name}"), job))
    };
    workflows().into_iter().flat_map(of).collect()
}

fn steps() -> Vec<(String, Value)> {
    let of = |(name, job): (String, Value)| {
        let steps = job["steps"].as_array().expect("steps").clone();
        steps.into_iter().map(move |step| (name.clone(), step))
    };
    jobs().into_iter().flat_map(of).collect()
}

#[test]
fn every_file_names_the_same_version() {
    for (path, key) in [
        ("Containerfile", "ARG VERSION="),
        ("tests/simulator/Containerfile", "ARG VERSION="),
        ("deploy/try/kustomization.yaml", "    newTag: "),
        ("charts/swr-operator/Chart.yaml", "version: "),
        ("charts/swr-operator/Chart.yaml", "appVersion: "),
        ("deploy/base/kustomization.yaml", "    newTag: "),
    ] {
        let text = read(path);
        let found: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix(key))
            .map(|value| value.trim_matches('"'))
            .collect();
        assert_eq!(found, [VERSION], "{path}, {key}");
    }
}

/// `1.2.3` and `v1.2.3` in a text, without the `v`.
fn versions(text: &str) -> Vec<&str> {
    let is_version = |word: &&str| {
        let parts: Vec<&str> = word.split('.').collect();
        let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        parts.len() == 3 && parts.iter().all(is_number)
    };
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '.')
        .map(|word| word.trim_start_matches('v').trim_end_matches('.'))
        .filter(is_version)
        .collect()
}

#[test]
fn what_argo_cd_flux_and_krew_follow_is_pinned_to_the_same_version() {
    assert_eq!(
        versions("a:v1.2.3 10.0.0.1, 4.5.6. v1alpha1 1.2"),
        ["1.2.3", "4.5.6"]
    );
    let folders = [
        "deploy/argocd/applications",
        "deploy/argocd/helm",
        "deploy/flux",
        "deploy/krew",
    ];
    let mut n_pins = BTreeMap::new();
    for path in folders.iter().flat_map(|folder| files(folder, "yaml")) {
        let text = read(&path);
        let found = versions(&text);
        assert!(found.iter().all(|it| *it == VERSION), "{path}: {found:?}");
        if !found.is_empty() {
            n_pins.insert(path, found.len());
        }
    }
    let wanted = [
        ("argocd/applications/swr-accounts.yaml", 1),
        ("argocd/applications/swr-operator.yaml", 2),
        ("argocd/applications/swr-registries.yaml", 1),
        ("argocd/helm/kustomization.yaml", 1),
        ("flux/helm/oci/ocirepository.yaml", 1),
        ("flux/helm/source.yaml", 1),
        ("flux/kustomizations.yaml", 1),
        ("flux/source-oci.yaml", 3),
        ("flux/source.yaml", 1),
        ("krew/swr.yaml", 5),
    ];
    let wanted = wanted.map(|(path, n)| (format!("deploy/{path}"), n));
    assert_eq!(n_pins, BTreeMap::from(wanted));
}

#[test]
fn the_images_are_nobodys_and_hold_nothing_but_the_first_stage() {
    let run = ["CMD [\"run\"]"];
    assert_empty_but_for("Containerfile", "swr-operator", &run);
    assert_empty_but_for("tests/simulator/Containerfile", "swr-simulator", &[]);
}

/// The last stage has this program, and more instructions behind it.
fn assert_empty_but_for(path: &str, program: &str, more: &[&str]) {
    let text = read(path);
    let last = text.rsplit_once("\nFROM ").expect("stages").1;
    let instructions: Vec<&str> = last
        .lines()
        .filter(|line| !line.starts_with(['#', ' ']))
        .collect();
    let version = format!("ARG VERSION={VERSION}");
    let title = format!("LABEL org.opencontainers.image.title=\"{program}\" \\");
    let entry = format!("ENTRYPOINT [\"/usr/local/bin/{program}\"]");
    let wanted = [
        "scratch",
        &version,
        "ARG REVISION",
        &title,
        "COPY --from=build /out/root/ /",
        "USER 65532:65532",
        &entry,
    ];
    assert_eq!(instructions, [&wanted[..], more].concat(), "{path}");
    // What moves makes no two builds equal.
    assert!(!text.contains(":latest"));
    let base = format!("ARG BUILDER=rust:{RUST}-");
    assert!(text.lines().any(|line| line.starts_with(&base)), "{base}");
}

#[test]
fn the_image_is_built_from_the_whole_workspace() {
    let ignored = read(".dockerignore");
    let taken: BTreeSet<&str> = ignored
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .collect();
    // Cargo reads the manifests of all members, whichever it builds.
    let members = [
        "src/*",
        "tests/it",
        "tests/model",
        "tests/simulator",
        "tests/harness",
    ];
    let members = format!("members = {members:?}");
    assert!(read("Cargo.toml").contains(&members), "{members}");
    let ours = [
        ".cargo",
        "Cargo.lock",
        "Cargo.toml",
        "release",
        "src",
        "tests/harness",
        "tests/it/Cargo.toml",
        "tests/model/Cargo.toml",
        "tests/simulator",
    ];
    assert_eq!(taken, BTreeSet::from(ours));
}

#[test]
fn scripts_of_the_release_are_programs_that_the_shell_can_read() {
    let entries = std::fs::read_dir(root().join("release")).expect("the folder");
    let mut names = BTreeSet::new();
    for entry in entries {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy();
        names.insert(name.into_owned());
        let read = Command::new("sh").arg("-n").arg(&path).status();
        assert!(read.expect("sh").success(), "{}", path.display());
        let runs = Command::new("test").arg("-x").arg(&path).status();
        assert!(runs.expect("test").success(), "{}", path.display());
    }
    let named = ["binary", "fetch", "krew", "name-image", "root"].map(str::to_owned);
    assert_eq!(names, BTreeSet::from(named));
}

#[test]
fn krew_is_told_of_the_archives_of_a_release() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = |arch: &str| format!("swr-operator-{VERSION}-linux-{arch}.tar.gz");
    let named = || {
        let script = root().join("release/krew");
        let mut command = Command::new(script);
        command.arg("https://git.example.com/team/swr-operator");
        let output = command.arg(folder.path()).output().expect("sh");
        output.status.success()
    };
    std::fs::write(folder.path().join(name("amd64")), "amd64").expect("written");
    assert!(!named(), "an archive is missing");
    std::fs::write(folder.path().join(name("arm64")), "arm64").expect("written");
    assert!(named());

    // What the workflow makes, and puts into each.
    let workflow = read(".github/workflows/release.yaml");
    for line in [
        "for machine in amd64:x86_64 arm64:aarch64; do",
        "install -D -m 0755 \"root/linux_$arch/usr/local/bin/swr-operator\" \"archive/$arch/swr-operator\"",
        "cp LICENSE \"archive/$arch/\"",
        "gzip --no-name > \"dist/swr-operator-$VERSION-linux-$arch.tar.gz\"",
        "release/krew \"$GITHUB_SERVER_URL/$GITHUB_REPOSITORY\" dist",
    ] {
        assert!(workflow.contains(line), "{line}");
    }
    let text = std::fs::read_to_string(folder.path().join("swr.yaml")).expect("a manifest");
    let manifest: Value = serde_saphyr::from_str(&text).expect("YAML");
    let platform = |arch: &str, sum: &str| {
        json!({
            "selector": {"matchLabels": {"os": "linux", "arch": arch}},
            "uri": format!(
                "https://git.example.com/team/swr-operator/releases/download/v{VERSION}/{}",
                name(arch)
            ),
            "sha256": sum,
            "files": [
                {"from": "./swr-operator", "to": "kubectl-swr"},
                {"from": "./LICENSE", "to": "."},
            ],
            "bin": "kubectl-swr",
        })
    };
    assert_eq!(
        manifest["spec"]["platforms"],
        json!([
            platform(
                "amd64",
                "5861314d7fccb39c2192173240eab44fa35ca66426201ca2acd0630a6258dd51"
            ),
            platform(
                "arm64",
                "f69162950f235e3cdbbad33f1f912d1a504be90d8a37d002c735d6f3e3882265"
            ),
        ])
    );
    assert_eq!(
        [
            &manifest["apiVersion"],
            &manifest["kind"],
            &manifest["metadata"]["name"]
        ],
        [
            "krew.googlecontainertools.github.com/v1alpha2",
            "Plugin",
            "swr"
        ]
    );
    let short = manifest["spec"]["shortDescription"].as_str().expect("text");
    // krew's index takes no more.
    assert!(short.len() <= 80, "{short}");
}

#[test]
fn actions_are_named_by_commit_and_each_by_one() {
    let mut commits: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let examples = ["deploy/ci/github.yaml".to_owned()];
    for path in workflows()
        .into_iter()
        .map(|(path, _)| path)
        .chain(examples)
    {
        let text = read(&path);
        let lines = text.lines().filter_map(|line| line.split_once("uses: "));
        for (_, used) in lines {
            let (action, pin) = used.split_once('@').expect("an action at a commit");
            let (commit, version) = pin.split_once(" # v").expect("a commit # a version");
            assert!(
                commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
                "{used}"
            );
            assert!(
                version.starts_with(|first: char| first.is_ascii_digit()),
                "{used}"
            );
            commits
                .entry(action.to_owned())
                .or_default()
                .insert(pin.to_owned());
        }
    }
    assert!(!commits.is_empty());
    for (action, pins) in commits {
        assert_eq!(pins.len(), 1, "{action}: {pins:?}");
    }
}

#[test]
fn jobs_have_a_deadline_and_only_the_permissions_that_they_name() {
    for (path, workflow) in workflows() {
        assert_eq!(workflow["permissions"], json!({}), "{path}");
    }
    let writes = |job: &Value| {
        let permissions = job["permissions"].as_object().expect("permissions");
        permissions
            .iter()
            .filter(|(_, level)| *level != "read")
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
    };
    let mut found = BTreeMap::new();
    for (name, job) in jobs() {
        assert!(job["timeout-minutes"].as_u64().is_some(), "{name}");
        let writes = writes(&job);
        if !writes.is_empty() {
            found.insert(name, writes);
        }
    }
    let writing = |workflow: &str, job: &str, permissions: &[&str]| {
        (
            format!(".github/workflows/{workflow}.yaml, job {job}"),
            permissions.iter().map(|name| (*name).to_owned()).collect(),
        )
    };
    assert_eq!(
        found,
        BTreeMap::from([
            writing("release", "chart", &["attestations", "id-token"]),
            writing("release", "image", &["attestations", "id-token"]),
            writing("release", "publish", &["contents", "id-token"]),
            writing("site", "deploy", &["id-token", "pages"]),
        ])
    );
}

#[test]
fn workflows_use_our_rust_and_keep_no_credential_in_the_checkout() {
    let mut n_checkouts = 0;
    for (job, step) in steps() {
        if let Some(script) = step["run"].as_str() {
            for line in script.lines().filter(|line| line.contains("rustup ")) {
                assert!(
                    line.starts_with(&format!("rustup toolchain install {RUST}.0 "))
                        && line.ends_with(&format!(" && rustup default {RUST}.0")),
                    "{job}: {line}"
                );
            }
            // An expression in a script is text that the shell runs.
            assert!(!script.contains("${{"), "{job}: {script}");
        }
        let action = step["uses"].as_str().unwrap_or_default();
        if action.starts_with("actions/checkout@") {
            n_checkouts += 1;
            assert_eq!(step["with"]["persist-credentials"], false, "{job}");
        }
    }
    // What deploys the site takes what another job has built.
    let without = jobs()
        .into_iter()
        .filter(|(name, _)| name.ends_with("site.yaml, job deploy"));
    assert_eq!(n_checkouts + without.count(), jobs().len());
}

#[test]
fn the_trial_runs_on_the_oldest_and_the_newest_kubernetes_that_is_claimed() {
    let module = read("tests/controlplane/go.mod");
    let newest = module
        .lines()
        .find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes v"))
        .and_then(|rest| rest.split(' ').next());
    let newest = format!("v{}", newest.expect("a version"));
    let (_, job) = jobs()
        .into_iter()
        .find(|(name, _)| name == ".github/workflows/ci.yaml, job try")
        .expect("the job");
    assert_eq!(
        job["strategy"]["matrix"]["kubernetes"],
        json!([harness::minors::VERSIONS[0], newest])
    );
}
