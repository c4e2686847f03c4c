//! An operator that may not have what a process usually has: no file to write, and few to open.

use harness::eventually_blocking;
use serde_json::json;

use crate::bed::{Bed, in_parallel, with_site};
use crate::cloud::PATIENCE;
use crate::site::Site;

/// What a shell does before it becomes the operator, and what must hold then.
type Case = (&'static str, fn(&Bed, &Site));

#[test]
fn an_operator_lives_within_the_limits_of_its_process() {
    let cases: [(&str, Case); 2] = [
        ("writes_no_file", ("starved-disk", writes_no_file)),
        ("few_files", ("starved-files", few_files)),
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

fn live(site: &Site, n: usize) {
    site.put_login("shared", &site.login());
    site.allow_deletions();
    let names: Vec<String> = (0..n).map(|n| format!("it-{n}")).collect();
    for name in &names {
        let mut object = site.registry(name, "huawei-SWR");
        object["spec"]["credentialSecretRef"]["name"] = json!("shared");
        site.create(&object);
    }
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
