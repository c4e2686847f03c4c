//! An operator that may not have what a process usually has: no file to write, few to open, nobody who reads its log.

use harness::eventually_blocking;
use serde_json::{Value, json};

use crate::bed::{Bed, in_parallel, with_site};
use crate::cloud::PATIENCE;
use crate::site::Site;

/// What a shell does before it becomes the operator, and what must hold then.
type Case = (&'static str, fn(&Bed, &Site));

#[test]
fn an_operator_lives_within_the_limits_of_its_process() {
    let cases: [(&str, Case); 3] = [
        ("writes_no_file", ("starved-disk", writes_no_file)),
        ("few_files", ("starved-files", few_files)),
        ("unread_log", ("starved-log", unread_log)),
    ];
    in_parallel(&cases, |(name, check)| {
        with_site(name, check);
    });
}

/// As on a disk that is full or read-only. The log goes through a pipe to somebody who may write.
fn writes_no_file(bed: &Bed, site: &Site) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (pipe, file) = (path("log"), path("file"));
    bed.terminate();
    bed.start_operator_after(&format!(
        "mkfifo {pipe}\n\
         cat {pipe} >&2 &\n\
         ulimit -f 0\n\
         exec 2> /dev/null\n\
         (echo 1 > {file}) && exit 9\n\
         exec 2> {pipe}"
    ));
    live(site, 3);
    bed.assert_operator_lives();
    bed.terminate();
}

/// 64, of which connections to the API server and to SWR take most.
fn few_files(bed: &Bed, site: &Site) {
    const FILES: usize = 64;
    const OBJECTS: usize = 40;
    bed.terminate();
    bed.start_operator_after(&format!("ulimit -n {FILES}"));
    live(site, OBJECTS);
    let open = || {
        let folder = format!("/proc/{}/fd", bed.pid());
        std::fs::read_dir(folder).expect("its files").count()
    };
    let before = open();
    assert!(before < FILES, "{before} files");
    let instance = &site.cloud.instances[0];
    // At rest.
    site.cloud.await_lists(instance, 4);
    eventually_blocking(PATIENCE, "no more files than before", || {
        let now = open();
        (now <= before).then_some(()).ok_or(now)
    });
}

/// Who reads the log stops reading, and goes on later. No write to SWR is without its line, so the operator waits.
fn unread_log(bed: &Bed, site: &Site) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (pipe, deaf) = (path("log"), path("deaf"));
    bed.terminate();
    bed.start_operator_after(&format!(
        "mkfifo {pipe}\n\
         while IFS= read -r line; do\n\
         while [ -e {deaf} ]; do sleep 0.1; done\n\
         printf '%s\\n' \"$line\"\n\
         done < {pipe} >&2 &\n\
         exec 2> {pipe}"
    ));
    let instance = &site.cloud.instances[0];
    live(site, 1);
    std::fs::write(&deaf, "").expect("a file");
    create(site, "more", UNREAD);
    // Neither a scrape nor a probe is answered: one thread serves them and writes the log.
    eventually_blocking(PATIENCE, "an operator that stands still", || {
        bed.try_scrape().map_or(Ok(()), |_| Err("it answers"))
    });
    let mark = site.cloud.mark();
    let begun = site.cloud.registries(instance).len();
    assert!(begun < UNREAD, "it made all {begun} before it stood still");
    assert_eq!(
        bed.try_scrape(),
        None,
        "it stands still for as long as nobody reads"
    );
    assert_eq!(site.cloud.writes(mark), Vec::<String>::new());

    std::fs::remove_file(&deaf).expect("it is there");
    for name in names("more", UNREAD) {
        site.await_ready(&name);
    }
    assert_eq!(site.cloud.registries(instance).len(), UNREAD);
    // What waits in the pipe is still to be read.
    eventually_blocking(PATIENCE, "a line for each registry", || {
        let log = bed.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let lines = lines.filter(|it: &Value| it["target"] == "audit" || it["logger"] == "audit");
        let told: Vec<Value> = lines.map(|line| line["registry_id"].clone()).collect();
        let mut held = site.cloud.registries(instance).into_iter();
        held.find(|held| !told.contains(&held["id"]))
            .map_or(Ok(()), Err)
    });
    bed.terminate();
}

/// A pipe holds 64 KiB, and the audit line of a create has more than 400 bytes: whatever else is told, and when, it is
/// full before 170 are made.
const UNREAD: usize = 250;

fn names(prefix: &str, n: usize) -> Vec<String> {
    (0..n).map(|n| format!("{prefix}-{n}")).collect()
}

fn create(site: &Site, prefix: &str, n: usize) {
    for name in names(prefix, n) {
        let mut object = site.registry(&name, "huawei-SWR");
        object["spec"]["credentialSecretRef"]["name"] = json!("shared");
        site.create(&object);
    }
}

fn live(site: &Site, n: usize) {
    site.put_login("shared", &site.login());
    site.allow_deletions();
    create(site, "it", n);
    let names = names("it", n);
    for name in &names {
        site.await_ready(name);
    }
    let before = site.object(&names[0]);
    site.patch(&names[0], &json!({"spec": {"description": "changed"}}));
    site.await_sent_after(&names[0], &before);
    site.delete(&names[0]);
    site.await_gone(&names[0]);
    let held = site.cloud.registries(&site.cloud.instances[0]);
    assert_eq!(held.len(), n - 1);
}
