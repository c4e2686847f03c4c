//! `check --contract`: what SWR does beside what is assumed. The simulator does what is assumed, until one of its switches
//! is turned.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;

use expect_test::expect_file;
use harness::eventually_blocking;
use serde_json::{Value, json};
use swr_simulator::Switches;

use super::place::{INSTANCE, Place};
use super::{Ran, Typed, transcript, typed};
use crate::bed::in_parallel;
use crate::cloud::PATIENCE;
use crate::manifest;

/// Commands at once: each waits for most of its time.
const AT_ONCE: usize = 8;
const SCRATCH: &str = "scratch";

/// Switches, and the rows that then differ from what is assumed, each with the beginning of what is found. `?` stands for
/// what is not known.
type Case = (&'static str, &'static [(&'static str, &'static str)]);

const REFUSED: &str = "refused: ";
const NO_ANSWER: &str = "no answer that tells: ";

const CASES: &[Case] = &[
    ("create_status=201", &[]),
    ("create_status=200", &[("create.answer", "200 with an id")]),
    ("create_status=202", &[("create.answer", "202 with an id")]),
    (
        "create_reply=without_id",
        &[("create.answer", "201 without an id")],
    ),
    (
        "create_reply=empty",
        &[("create.answer", "201 without a body")],
    ),
    (
        "write_reply=object",
        &[
            ("update.answer", "200 without an id"),
            ("delete.answer", "200 without an id"),
        ],
    ),
    (
        "write_reply=204",
        &[
            ("update.answer", "204 without a body"),
            ("delete.answer", "204 without a body"),
        ],
    ),
    (
        "secret_echo=other_mask",
        &[
            ("secret.list", "6 asterisks"),
            ("secret.show", "6 asterisks"),
        ],
    ),
    (
        "secret_echo=plain",
        &[
            ("secret.list", "as it was sent"),
            ("secret.show", "as it was sent"),
        ],
    ),
    (
        "secret_echo=empty",
        &[("secret.list", "empty"), ("secret.show", "empty")],
    ),
    (
        "secret_echo=absent",
        &[("secret.list", "not shown"), ("secret.show", "not shown")],
    ),
    (
        "project_id_echo=show_and_list",
        &[("project.list", "shown")],
    ),
    ("project_id_echo=absent", &[("project.show", "not shown")]),
    ("dns_conf_echo=show_and_list", &[("hosts.list", "shown")]),
    (
        "dns_conf_echo=empty_hosts",
        &[("hosts.show", "empty"), ("update.hosts", "?")],
    ),
    (
        "dns_conf_echo=null",
        &[("hosts.show", "null"), ("update.hosts", "?")],
    ),
    (
        "dns_conf_echo=absent",
        &[("hosts.show", "not shown"), ("update.hosts", "?")],
    ),
    ("empty_description=null", &[("description.empty", "null")]),
    (
        "empty_description=absent",
        &[("description.empty", "not shown")],
    ),
    ("empty_target_ids=empty", &[("target.unset", "shown empty")]),
    ("empty_target_ids=null", &[("target.unset", "null")]),
    ("duplicate_name=400", &[("name.unique", "refused with 400")]),
    ("duplicate_name=500", &[("name.unique", "refused with 500")]),
    (
        "duplicate_name=allowed",
        &[("name.unique", "makes another registry")],
    ),
    ("connection_test=refuse", &[("create.answer", REFUSED)]),
    (
        "connection_test=slow connection_test_millis=2500",
        &[("create.time", "2 s")],
    ),
    (
        "connection_test=mark_unhealthy",
        &[("create.health", "unhealthy")],
    ),
    (
        "new_status=unhealthy_first status_millis=2000",
        &[("create.health", "unhealthy, then healthy")],
    ),
    (
        "new_status=flipping status_millis=900",
        &[("create.health", "healthy, then unhealthy, then healthy")],
    ),
    (
        "new_status=absent",
        &[("create.health", "not shown"), ("health.word", "not shown")],
    ),
    ("put_semantics=merge", &[("update.hosts", "keeps them")]),
    ("missing_dns_conf=refused", &[("update.hosts", REFUSED)]),
    (
        "name_rule=ascii",
        &[("name.letters", REFUSED), ("name.length", REFUSED)],
    ),
    ("name_rule=han_bytes", &[("name.length", REFUSED)]),
    ("url_rule=as_sent", &[("url.form", "as it was sent")]),
    (
        "url_rule=lower_host",
        &[("url.form", "in lower case, without the slash")],
    ),
    (
        "unknown_id=400",
        &[("show.absent", "400"), ("delete.show", "400")],
    ),
    ("unknown_id_on_delete=400", &[("delete.absent", "400")]),
    ("unknown_id_on_delete=200", &[("delete.absent", "200")]),
    ("unknown_instance=403", &[("instance.absent", "403")]),
    ("list_order=unstable", &[("list.order", "in another order")]),
    ("list_total=page", &[("list.total", "those of the page")]),
    (
        "show_lag_after_create_millis=1500",
        &[("create.show", "shows it after ")],
    ),
    (
        "show_lag_after_update_millis=1500",
        &[("update.show", "shows it after ")],
    ),
    (
        "list_lag_millis=1500",
        &[
            ("create.list", "shows it after "),
            ("update.list", "shows it after "),
        ],
    ),
    (
        "list_lag_after_delete_millis=1500",
        &[("delete.list", "shows it no more after ")],
    ),
    ("lost_reply=close", &[("create.answer", NO_ANSWER)]),
    ("lost_reply=504", &[("create.answer", NO_ANSWER)]),
    ("lost_reply=hang", &[("create.answer", NO_ANSWER)]),
    (
        "time_format=no_zone",
        &[("time.form", "another form"), ("list.newest", "?")],
    ),
    (
        "time_format=epoch",
        &[("time.form", "another form"), ("list.newest", "?")],
    ),
    ("updated_at=health", &[("update.time", "stays")]),
    ("id_style=large", &[("id.form", "numbers above 2^31")]),
    ("id_style=string", &[("id.form", "text")]),
    ("gateway_prefix=APIG", &[("api.absent", "404 APIG.0101")]),
    (
        "deny=create",
        &[(
            "create.answer",
            "refused: the account lacks the permission (SVC",
        )],
    ),
    (
        "deny=create denied_reply=gateway",
        &[(
            "create.answer",
            "refused: the account lacks the permission (APIGW.0302)",
        )],
    ),
    (
        "deny=writes denied_reply=array",
        &[("create.answer", REFUSED)],
    ),
    ("deny=update", &[("update.answer", REFUSED)]),
    (
        "deny=instance",
        &[("instance.state", "?"), ("instance.quota", "?")],
    ),
    ("request_id_header=absent", &[("request.id", "not given")]),
    ("wrong_path=html", &[("api.absent", "404 without a code")]),
    (
        "description_limit=refused",
        &[("description.long", REFUSED)],
    ),
    (
        "description_limit=truncated",
        &[("description.long", "cut to 255 characters")],
    ),
    (
        "description_newlines=space",
        &[("description.lines", "changed")],
    ),
    (
        "description_blanks=trimmed",
        &[("description.blanks", "cut to ")],
    ),
    ("description_brackets=refused", &[("tag.kept", REFUSED)]),
];

/// Switches, or single values of them, of which the table says nothing, and why.
const UNSEEN: &[(&str, &str)] = &[
    ("deny=list", SAID_AT_ONCE),
    ("deny=all", SAID_AT_ONCE),
    (
        "deny=show",
        "tested apart: every GET is refused, so little is found",
    ),
    ("deny=delete", "tested apart: the scratch registry stays"),
    ("enterprise_edition", SAID_AT_ONCE),
    ("clock_ahead_minutes", SAID_AT_ONCE),
    ("projects", SAID_AT_ONCE),
    ("token_error", KEYS),
    ("credential_ttl_seconds", KEYS),
    ("metadata_token", KEYS),
    ("ecs_agency", KEYS),
    ("pod_identity_reply", KEYS),
    ("access_key_lock", KEYS),
    ("delete_in_use", NOT_ASKED),
    ("instance_not_running", NOT_ASKED),
    ("quota_reply", NOT_ASKED),
    ("registry_quota", NOT_ASKED),
    ("throttle", NOT_ASKED),
    ("throttle_requests", NOT_ASKED),
    ("throttle_window_millis", NOT_ASKED),
    ("throttled_requests", NOT_ASKED),
    ("retry_after", NOT_ASKED),
    ("mask_in_put", NEVER_SENT),
    ("type_change", NEVER_SENT),
    ("null_fields", NEVER_SENT),
    ("unknown_fields", NEVER_SENT),
    ("enforce_internal_ids", NEVER_SENT),
    ("insecure_false_internal", NEVER_SENT),
    ("foreign_dns_conf", NEVER_SENT),
    ("url_rule=scheme_required", NEVER_SENT),
    ("name_filter", NEVER_SENT),
    ("paging_errors", NEVER_SENT),
    ("lone_order_type", NEVER_SENT),
    ("project_mismatch", NEVER_SENT),
    ("path_slashes", NEVER_SENT),
];
const SAID_AT_ONCE: &str = "the first list or the account fails, which `check` says";
const KEYS: &str = "it is about keys and tokens, not about registries";
const NOT_ASKED: &str = "the report names it as not asked";
const NEVER_SENT: &str = "the operator sends nothing of the kind";

/// A cloud with registries of others: three of one second, and one that names an instance.
fn stocked() -> Place {
    let mut place = Place::new();
    for (n, kind) in [
        "swr-pro",
        "swr-pro",
        "huawei-SWR",
        "swr-pro-internal",
        "swr-pro",
    ]
    .into_iter()
    .enumerate()
    {
        let login = place.login();
        let registry = manifest::registry("images", "default", INSTANCE, &format!("r{n}"), kind);
        let mut body = manifest::body(&registry, &login);
        body["description"] = json!("");
        place.cloud.console_create(INSTANCE, &body);
    }
    place
}

fn contract(place: &Place, args: &[&str]) -> Typed {
    let url = place.cloud.url();
    let head = [
        "check",
        "--contract",
        "--no-cluster",
        "--region",
        "region-1",
        "--project-id",
        "project-1",
        "--instance",
        INSTANCE,
        "--swr-endpoint",
        &url,
    ];
    typed([&head, args].concat()).keys(place.keys())
}

fn run(place: &Place, args: &[&str]) -> Ran {
    let ran = contract(place, args).run();
    place.assert_keeps_secrets(&ran);
    ran
}

fn written(place: &Place, mark: u64) -> BTreeSet<String> {
    let requests = place.cloud.requests(mark).into_iter();
    let writes = requests.filter(|entry| entry.method != "GET");
    writes.map(|entry| entry.method).collect()
}

#[test]
fn a_cloud_is_only_read_unless_a_scratch_registry_is_named() {
    let place = stocked();
    let before = place.cloud.registries(INSTANCE);
    let runs = [
        ("read", run(&place, &[])),
        (
            "written",
            run(
                &place,
                &["--write-probe", SCRATCH, "-q", "--detailed-exitcode"],
            ),
        ),
        ("as JSON", run(&place, &["-q", "-o", "json"])),
        (
            "the names of what differs",
            run(&place, &["-q", "-o", "name"]),
        ),
        (
            "a name that is taken",
            run(&place, &["--write-probe", "r0"]),
        ),
    ];
    let codes: Vec<_> = runs.iter().map(|(_, ran)| ran.code).collect();
    assert_eq!(codes, [0, 0, 0, 0, 1].map(Some), "{}", transcript(runs));
    expect_file!["../goldens/cli-contract.txt"].assert_eq(&transcript(runs));
    assert_eq!(place.cloud.registries(INSTANCE), before);
    let mark = place.cloud.mark();
    run(&place, &[]);
    assert_eq!(written(&place, mark), BTreeSet::new());
    run(&place, &["--write-probe", "r"]);
    assert_eq!(
        written(&place, mark),
        BTreeSet::new(),
        "no name may begin with it"
    );
}

#[test]
fn each_answer_that_swr_may_give_shows_in_the_table() {
    let cases: Vec<(&str, &Case)> = CASES.iter().map(|case| (case.0, case)).collect();
    for some in cases.chunks(AT_ONCE) {
        in_parallel(some, |(switches, expected)| {
            let place = stocked();
            let before = place.cloud.registries(INSTANCE);
            for pair in switches.split(' ') {
                let (name, value) = pair.split_once('=').expect("NAME=VALUE");
                let number = value.parse::<u32>().ok();
                let number = number.filter(|_| name.ends_with("_millis"));
                let value = number.map_or_else(|| json!(value), Value::from);
                place.cloud.switch(&json!({name: value}));
            }
            let ran = run(&place, &["--write-probe", SCRATCH, "-q", "-o", "json"]);
            assert_eq!(ran.code, Some(0), "{switches}: {}", ran.shown());
            assert_table(switches, &ran.json(), expected);
            place.cloud.switch(&Switches::default().to_json());
            assert_eq!(
                place.cloud.registries(INSTANCE),
                before,
                "{switches}: nothing stays"
            );
        });
    }
}

fn assert_table(switches: &str, report: &Value, expected: &[(&str, &str)]) {
    let rows = report["contract"]["rows"].as_array().expect("rows");
    let by = |verdict: &str| -> BTreeMap<&str, &str> {
        let rows = rows.iter().filter(|row| row["verdict"] == verdict);
        rows.map(|row| {
            let text = |field: &str| row[field].as_str().unwrap_or_default();
            (text("id"), text("found"))
        })
        .collect()
    };
    let (differs, unknown) = (by("differs"), by("not_known"));
    let ids: BTreeSet<&str> = differs.keys().copied().collect();
    let wanted = expected.iter().filter(|(_, found)| *found != "?");
    let wanted: BTreeMap<&str, &str> = wanted.copied().collect();
    let wanted_ids: BTreeSet<&str> = wanted.keys().copied().collect();
    assert_eq!(ids, wanted_ids, "{switches}: {differs:#?}");
    for (id, found) in wanted {
        assert!(
            differs[id].starts_with(found),
            "{switches}: {id} is {}",
            differs[id]
        );
    }
    for (id, _) in expected.iter().filter(|(_, found)| *found == "?") {
        assert!(unknown.contains_key(id), "{switches}: {id} is known");
    }
    // Where no answer is in the way, everything else is found.
    let is_stopped = differs.values().any(|found| found.starts_with("no answer"))
        || ["create.answer", "update.answer"].iter().any(|id| {
            differs
                .get(id)
                .is_some_and(|found| found.starts_with(REFUSED))
        });
    // What was made just now, a list may not show yet.
    if !is_stopped && !switches.starts_with("list_lag_millis") {
        let unexpected: Vec<&&str> = unknown
            .keys()
            .filter(|id| !expected.contains(&(**id, "?")))
            .collect();
        assert!(
            unexpected.is_empty(),
            "{switches}: {unexpected:?} not known"
        );
    }
}

#[test]
fn every_value_of_every_switch_is_in_the_table_or_said_to_be_outside() {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for (switches, _) in CASES {
        seen.extend(switches.split(' ').map(str::to_owned));
    }
    let defaults = Switches::default().to_json();
    let mut missing = Vec::new();
    for row in Switches::table() {
        if UNSEEN.iter().any(|(name, _)| *name == row.name) {
            continue;
        }
        let is_number = row.allowed.starts_with("a ");
        let values: Vec<&str> = match is_number {
            true => vec![""],
            false => row.allowed.split(", ").collect(),
        };
        for value in values {
            let pair = format!("{}={value}", row.name);
            let is_default = defaults[row.name] == *value;
            let is_seen = seen.iter().any(|it| match is_number {
                true => it.starts_with(&pair),
                false => *it == pair,
            });
            let is_outside = UNSEEN.iter().any(|(name, _)| *name == pair);
            if !is_default && !is_seen && !is_outside {
                missing.push(pair);
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn a_scratch_registry_is_deleted_however_the_probe_ends() {
    // Somebody presses Ctrl-C while a GET hangs.
    let place = stocked();
    let before = place.cloud.registries(INSTANCE);
    let hang = json!({"match": {"operation": "UpdateInstanceRegistry"}, "phase": "before", "kind": "hang"});
    place.cloud.fault(&hang);
    let child = contract(&place, &["--write-probe", SCRATCH])
        .command()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    eventually_blocking(PATIENCE, "it changes its registry", || {
        match place.cloud.asked(0, "UpdateInstanceRegistry").is_empty() {
            true => Err("no PUT"),
            false => Ok(()),
        }
    });
    let id = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(sent.expect("kill runs").success());
    let ran = Ran::of(child.wait_with_output().expect("it ends"));
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(130), ""),
        "{}",
        ran.shown()
    );
    assert!(
        ran.stderr
            .ends_with("interrupted; the scratch registry is deleted\n"),
        "{}",
        ran.stderr
    );
    assert_eq!(place.cloud.registries(INSTANCE), before);

    // Its time is up.
    let ran = run(&place, &["--write-probe", SCRATCH, "--timeout", "3s"]);
    assert_eq!(ran.code, Some(3), "{}", ran.shown());
    assert_eq!(place.cloud.registries(INSTANCE), before);
    place.cloud.clear_faults();

    // No GET is allowed: little is found, and nothing stays.
    place.cloud.switch(&json!({"deny": "show"}));
    let ran = run(&place, &["--write-probe", SCRATCH, "-q", "-o", "name"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "show.absent\n"),
        "{}",
        ran.shown()
    );
    assert_eq!(place.cloud.registries(INSTANCE), before);
}

#[test]
fn what_is_left_of_a_scratch_registry_is_said() {
    let place = stocked();
    let n = place.cloud.registries(INSTANCE).len();
    place.cloud.switch(&json!({"deny": "delete"}));
    let child = contract(&place, &["--write-probe", SCRATCH, "-q"])
        .command()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    eventually_blocking(
        Duration::from_secs(60),
        "it tries to delete",
        || match place.cloud.asked(0, "DeleteInstanceRegistry").len() {
            0 | 1 => Err("not twice yet"),
            _ => Ok(()),
        },
    );
    let id = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(sent.expect("kill runs").success());
    let ran = Ran::of(child.wait_with_output().expect("it ends"));
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(1), ""),
        "{}",
        ran.shown()
    );
    let held = place.cloud.registries(INSTANCE);
    assert_eq!(held.len(), n + 1);
    let left = &held[n];
    let said = format!(
        "error: scratch registry {SCRATCH} (id {}) may be left in instance {INSTANCE}: interrupted\nhint: delete it in the console",
        left["id"]
    );
    assert!(ran.stderr.starts_with(&said), "{}", ran.stderr);
}

#[test]
fn an_instance_that_cannot_be_listed_ends_the_comparison() {
    let place = stocked();
    place.cloud.switch(&json!({"deny": "list"}));
    let ran = run(&place, &["--write-probe", SCRATCH]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""));
    assert!(
        ran.stderr.contains("the account lacks the permission")
            && ran
                .stderr
                .ends_with("hint: the account needs swr:instance:listRegistries\n"),
        "{}",
        ran.stderr
    );
    place.cloud.switch(&json!({"deny": "none"}));
    let mark = place.cloud.mark();
    let ran = run(&place, &["--write-probe", "not a name"]);
    assert_eq!(ran.code, Some(64), "{}", ran.shown());
    assert!(place.cloud.requests(mark).is_empty());
}
