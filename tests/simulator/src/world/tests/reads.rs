//! Instances and lists: filters, order, pages, and reads that lag behind writes.

use super::*;

const SHOW_INSTANCE: &str =
    "/v2/0605767a3a80d5762fb2c00a1b2c3d4e/instances/1d7a1e6c-9f0b-4c1e-8a2f-3b5d7e9c0a11";
const STATISTICS: &str = "/v2/0605767a3a80d5762fb2c00a1b2c3d4e/instances/1d7a1e6c-9f0b-4c1e-8a2f-3b5d7e9c0a11/statistics";

/// A list narrowed to the names on the page.
fn page(names: &[&str], total: usize) -> (u16, Value) {
    let items: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
    (200, json!({"registries": items, "total": total}))
}

/// As `check`, for lists: items show their name only.
fn check_lists(switches: &[&str], steps: &[Step], answers: &[(u16, Value)]) {
    let mut cloud = Cloud::with(switches);
    let seen: Vec<_> = steps
        .iter()
        .filter_map(|step| {
            let (status, mut body) = cloud.take(step)?;
            let items = body.get_mut("registries")?.as_array_mut()?;
            for item in items {
                *item = json!({"name": item["name"]});
            }
            Some((status, body))
        })
        .collect();
    assert_eq!(seen, answers, "{switches:?}");
}

#[test]
fn instances_that_are_not_there_or_not_running() {
    const ELSEWHERE: &str = "/v2/0605767a3a80d5762fb2c00a1b2c3d4e/instances/ffffffff/registries";
    let absent = refused(404, "SWR.404000", "instance ffffffff not found");
    check(&[], &[Get(ELSEWHERE)], &[], &[absent]);
    let hidden = refused(403, "SVCSTG.SWR.4030170", "Insufficient permissions");
    check(&["unknown_instance=403"], &[Get(ELSEWHERE)], &[], &[hidden]);

    let message = format!("instance {INSTANCE} is Creating");
    let check_creating = |switches: &[&str], answer| {
        check(
            switches,
            &[Step::Instance("Creating"), List("")],
            &[],
            &[answer],
        );
    };
    check_creating(&[], refused(400, "SWR.400100", &message));
    check_creating(
        &["instance_not_running=500"],
        refused(500, "SWR.400100", &message),
    );
    check_creating(
        &["instance_not_running=503"],
        refused(503, "SWR.400100", &message),
    );
    check_creating(
        &["instance_not_running=works"],
        (200, json!({"registries": [], "total": 0})),
    );
}

#[test]
fn instances_are_shown_listed_and_counted() {
    let shown = json!({
        "id": INSTANCE,
        "name": "registry-1d7a1e6c",
        "description": "",
        "spec": "swr.ee.professional",
        "version": "2.0",
        "charge_mode": "postPaid",
        "access_address": "registry-1d7a1e6c.swr-pro.cn-north-4.example.com",
        "created_at": "2026-01-31T09:30:00.000Z",
        "updated_at": "2026-01-31T09:30:00.000Z",
        "status": "Running",
        "project_id": PROJECT,
        "enterprise_project_id": "0",
    });
    check(
        &["registry_quota=50"],
        &[
            Create(basic("a")),
            Get(SHOW_INSTANCE),
            Get("/v2/0605767a3a80d5762fb2c00a1b2c3d4e/instances?status=Running&offset=0&limit=100"),
            Get("/v2/0605767a3a80d5762fb2c00a1b2c3d4e/instances?status=Creating"),
            Get(STATISTICS),
        ],
        &[],
        &[
            id(1),
            (200, shown.clone()),
            (200, json!({"instances": [shown], "total": 1})),
            (200, json!({"instances": [], "total": 0})),
            (
                200,
                json!({
                    "replica_registry_quota": 50,
                    "replica_registry_count": 1,
                    "replica_policy_quota": 500,
                    "replica_policy_count": 0,
                }),
            ),
        ],
    );
}

#[test]
fn the_feature_gates_tell_whether_there_are_instances_at_all() {
    let gates = "/v2/0605767a3a80d5762fb2c00a1b2c3d4e/feature-gates";
    let gate = |is_offered: bool| json!({"enable_enterprise": is_offered, "cer_available": false, "enable_user_def_obs": true});
    check(&[], &[Get(gates)], &[], &[(200, gate(true))]);
    check(
        &["enterprise_edition=not_offered"],
        &[Get(gates)],
        &[],
        &[(200, gate(false))],
    );
}

/// Three registries, a second apart: `ab`, `a`, `B`.
fn three() -> Vec<Step> {
    vec![
        Create(basic("ab")),
        Wait(1000),
        Create(enterprise("a")),
        Wait(1000),
        Create(basic("B")),
    ]
}

fn check_query(switches: &[&str], query: &'static str, answer: (u16, Value)) {
    let mut steps = three();
    steps.push(List(query));
    check_lists(switches, &steps, &[answer]);
}

#[test]
fn lists_are_filtered_ordered_and_paged() {
    check_query(&[], "", page(&["B", "a", "ab"], 3));
    check_query(
        &[],
        "?order_column=created_at&order_type=asc",
        page(&["ab", "a", "B"], 3),
    );
    check_query(&[], "?order_column=name", page(&["ab", "a", "B"], 3));
    check_query(
        &[],
        "?order_column=updated_at&order_type=desc",
        page(&["B", "a", "ab"], 3),
    );
    check_query(&[], "?name=a", page(&["a", "ab"], 2));
    check_query(&[], "?name=b", page(&["ab"], 1));
    check_query(
        &["name_filter=contains_ignoring_case"],
        "?name=b",
        page(&["B", "ab"], 2),
    );
    check_query(&[], "?type=swr-pro-internal", page(&["a"], 1));
    check_query(&[], "?offset=2&limit=2", page(&["ab"], 3));
    check_query(&[], "?offset=4&limit=2", page(&[], 3));
    check_query(&["list_total=page"], "?offset=2&limit=2", page(&["ab"], 1));
    check_query(
        &["lone_order_type=ignored"],
        "?order_type=asc",
        page(&["B", "a", "ab"], 3),
    );
    check_query(
        &["paging_errors=clamped"],
        "?offset=3&limit=2",
        page(&["ab"], 3),
    );
    check_query(
        &["paging_errors=clamped"],
        "?offset=0&limit=500",
        page(&["B", "a", "ab"], 3),
    );
    check_query(
        &["paging_errors=ignored"],
        "?offset=3&limit=2",
        page(&["B", "a", "ab"], 3),
    );
}

#[test]
fn lists_against_the_documented_rules_are_refused() {
    let check_refused = |query, message| check(&[], &[List(query)], &[], &[invalid(message)]);
    check_refused(
        "?offset=3&limit=2",
        "offset must be 0 or a multiple of limit",
    );
    check_refused("?offset=0", "offset and limit must be used together");
    check_refused("?limit=10", "offset and limit must be used together");
    check_refused("?offset=0&limit=101", "limit must be 1 to 100");
    check_refused("?offset=0&limit=0", "limit must be 1 to 100");
    check_refused("?offset=-1&limit=10", "offset and limit must be numbers");
    check_refused(
        "?order_type=asc",
        "order_type must be used together with order_column",
    );
    check_refused(
        "?order_column=url",
        "order_column must be created_at, updated_at or name",
    );
    check_refused(
        "?order_column=name&order_type=up",
        "order_type must be desc or asc",
    );
}

#[test]
fn ten_are_listed_by_default_and_every_page_fits_the_next() {
    let mut cloud = Cloud::with(&[]);
    for n in 0..250 {
        cloud.take(&Create(basic(&format!("r{n}"))));
    }
    let (_, first) = cloud.take(&List("")).unwrap();
    assert_eq!(first["registries"].as_array().unwrap().len(), 10);
    let mut ids: Vec<i64> = Vec::new();
    for query in [
        "?offset=0&limit=100",
        "?offset=100&limit=100",
        "?offset=200&limit=100",
    ] {
        let (_, page) = cloud.take(&List(query)).unwrap();
        assert_eq!(page["total"], 250);
        ids.extend(
            page["registries"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].as_i64().unwrap()),
        );
    }
    assert_eq!(ids, (1..=250).rev().collect::<Vec<_>>());
}

#[test]
fn an_unstable_order_makes_pages_drift() {
    let mut cloud = Cloud::with(&["list_order=unstable"]);
    for n in 0..100 {
        cloud.take(&Create(basic(&format!("r{n}"))));
    }
    let mut names = BTreeSet::new();
    for query in ["?offset=0&limit=50", "?offset=50&limit=50"] {
        let (_, page) = cloud.take(&List(query)).unwrap();
        names.extend(
            page["registries"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["name"].to_string()),
        );
    }
    assert!(
        names.len() < 100,
        "some registries are on both pages, others on none"
    );
}

#[test]
fn reads_lag_behind_writes_when_switched() {
    check(
        &["show_lag_after_create_millis=300"],
        &[
            Create(basic("a")),
            Show("1"),
            Wait(299),
            Show("1"),
            Wait(1),
            Show("1"),
        ],
        &["name", "error_code"],
        &[
            (201, json!({})),
            (404, json!({"error_code": "SWR.404001"})),
            (404, json!({"error_code": "SWR.404001"})),
            (200, json!({"name": "a"})),
        ],
    );
    check(
        &["show_lag_after_update_millis=300"],
        &[
            Create(basic("a")),
            Show("1"),
            Wait(1000),
            Update("1", basic("b")),
            Show("1"),
            Wait(300),
            Show("1"),
            Update("1", basic("c")),
            Show("1"),
        ],
        &["name"],
        &[
            (201, json!({})),
            (200, json!({"name": "a"})),
            empty(200),
            (200, json!({"name": "a"})),
            (200, json!({"name": "b"})),
            empty(200),
            (200, json!({"name": "b"})),
        ],
    );
    check_lists(
        &["list_lag_millis=300", "list_lag_after_delete_millis=500"],
        &[
            Create(basic("a")),
            List(""),
            Wait(300),
            List(""),
            Update("1", basic("b")),
            List(""),
            Wait(300),
            List(""),
            Delete("1"),
            Wait(499),
            List(""),
            Wait(1),
            List(""),
        ],
        &[
            page(&[], 0),
            page(&["a"], 1),
            page(&["a"], 1),
            page(&["b"], 1),
            page(&["b"], 1),
            page(&[], 0),
        ],
    );
}

#[test]
fn a_lagging_list_does_not_keep_the_deleted_for_ever() {
    let mut cloud = Cloud::with(&["list_lag_after_delete_millis=500"]);
    for _ in 0..3 {
        cloud.take(&Create(basic("a")));
        let last = cloud.world.instances[INSTANCE].last_id;
        cloud.reply("DELETE", &format!("{REGISTRIES}/{last}"), &Value::Null);
        cloud.take(&Wait(1000));
    }
    assert_eq!(cloud.world.instances[INSTANCE].records.len(), 1);
}
