//! What is ours in SWR without an object, and what is forgotten when nobody uses it any more.

use harness::eventually_blocking;
use serde_json::{Value, json};

use crate::bed::{Bed, with_site};
use crate::cli::typed;
use crate::cloud::PATIENCE;
use crate::site::{Site, registry_id};

#[test]
fn registries_without_an_object_are_counted_and_what_nobody_uses_is_forgotten() {
    with_site("orphans", |bed, site| {
        let lost = site.ready("lost");
        site.ready("kept");
        let (instance, account) = (&site.cloud.instances[0], &site.name);
        let orphans = format!("swr_orphans{{account=\"{account}\",swr_instance=\"{instance}\"}}");
        await_series(bed, &orphans, Some("0"));

        // Deleted while no operator held it.
        assert_eq!(orphans_of(bed, site).0, Some(0));
        bed.terminate();
        site.patch("lost", &json!({"metadata": {"finalizers": null}}));
        site.delete("lost");
        site.await_gone("lost");
        bed.start_operator();
        await_series(bed, &orphans, Some("1"));
        let (_, foreign) = site.foreign("theirs", "not ours");
        let (code, told) = orphans_of(bed, site);
        let told = told["orphans"].as_array().expect("orphans");
        let ids: Vec<_> = told
            .iter()
            .map(|it| (&it["instance_id"], &it["registry_id"]))
            .collect();
        let expected = (&json!(instance), &json!(registry_id(&lost)));
        assert_eq!((code, ids), (Some(2), vec![expected]));
        site.cloud.await_lists(instance, 2);
        await_series(bed, &orphans, Some("1"));
        site.cloud.console_delete(instance, registry_id(&lost));
        await_series(bed, &orphans, Some("0"));
        assert_eq!(foreign["name"], "theirs");

        site.delete("kept");
        site.await_gone("kept");
        await_series(bed, &orphans, None);
        let circuit = format!("swr_api_circuit_open{{account=\"{account}\"}}");
        await_series(bed, &circuit, Some("0"));
        site.delete_account();
        await_series(bed, &circuit, None);
        let condition = format!("kind=\"SwrAccount\",namespace=\"\",name=\"{account}\"");
        assert!(!bed.scrape().contains(&condition));
    });
}

/// What `swr-operator orphans` ends with and says of the site's account.
fn orphans_of(bed: &Bed, site: &Site) -> (Option<i32>, Value) {
    let kubeconfig = site.cluster.plane.kubeconfig().display().to_string();
    let endpoint = format!("{}={}", site.cloud.region, site.cloud.url());
    let args = [
        "orphans",
        "--kubeconfig",
        &kubeconfig,
        "--installation-id",
        &bed.name,
        "--swr-endpoint",
        &endpoint,
        "--account",
        &site.name,
        "--detailed-exitcode",
        "-o",
        "json",
    ];
    let ran = typed(args).run();
    site.assert_keeps_secrets("the output of orphans", &ran.shown());
    (ran.code, ran.json())
}

/// Waits until a series has this value, or until there is no such series.
fn await_series(bed: &Bed, series: &str, value: Option<&str>) {
    eventually_blocking(PATIENCE, &format!("{series} {value:?}"), || {
        let text = bed.scrape();
        let found = text.lines().find_map(|line| line.strip_prefix(series));
        let found = found.map(str::trim);
        if found == value {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    });
}
