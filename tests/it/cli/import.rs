//! `import list` and `import registry`: manifests for what is in SWR.

use expect_test::expect_file;
use serde_json::json;

use super::place::{INSTANCE, Place, object};
use super::{Ran, transcript, typed};
use crate::manifest::{self, STRANGERS_TAG, TYPES};

#[test]
fn what_is_in_swr_becomes_manifests_that_adopt_it() {
    let mut place = Place::new();
    for kind in TYPES {
        let login = place.login();
        let named = manifest::registry("images", "default", INSTANCE, &format!("{kind}_1"), kind);
        let mut body = manifest::body(&named, &login);
        body["description"] = json!("Copy");
        place.cloud.console_create(INSTANCE, &body);
    }
    let login = place.login();
    let mut body = manifest::body(&object("tagged"), &login);
    body["description"] = json!(STRANGERS_TAG);
    place.cloud.console_create(INSTANCE, &body);

    let mark = place.cloud.mark();
    let url = place.cloud.url();
    let import = |line: &'static str| -> (&'static str, Ran) {
        let args: Vec<&str> = line.split(' ').skip(1).collect();
        let led = [
            "--region",
            "region-1",
            "--project-id",
            "project-1",
            "--swr-endpoint",
            &url,
        ];
        let ran = typed([&args[..], &led].concat()).keys(place.keys()).run();
        place.assert_keeps_secrets(&ran);
        (line, ran)
    };
    let runs = [
        import("swr-operator import list 5f1c8a0e-1111-2222-3333-444455556666 --namespace images"),
        import(
            "swr-operator import registry 5f1c8a0e-1111-2222-3333-444455556666/3 --account prod -o json -q",
        ),
        import("swr-operator import registry 5f1c8a0e-1111-2222-3333-444455556666/9"),
        import("swr-operator import list another"),
    ];
    let codes: Vec<_> = runs.iter().map(|(_, ran)| ran.code).collect();
    assert_eq!(codes, [0, 0, 1, 1].map(Some), "{}", transcript(runs));
    let manifests = runs[0].1.stdout.clone();
    expect_file!["../goldens/cli-import.txt"].assert_eq(&transcript(runs));
    assert_eq!(place.cloud.writes(mark), Vec::<String>::new());

    // What SWR does not show is filled in by hand.
    let whole = manifests.replace(
        "  target:\n",
        "  target:\n    projectId: fedcba9876543210fedcba9876543210\n",
    );
    let whole = if manifests.contains("projectId") {
        manifests
    } else {
        whole
    };
    std::fs::write(place.at().join("imported.yaml"), whole).expect("written");
    let planned = place.plan(&["-f", "imported.yaml", "-o", "json"]);
    let summary = &planned.json()["summary"];
    assert_eq!(
        (&summary["adopt"], &summary["create"], &summary["update"]),
        (&json!(3), &json!(0), &json!(0)),
        "{}",
        planned.shown()
    );
}
