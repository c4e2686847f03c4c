//! SWR answers with everything but what was asked for, on each of its five operations.

use std::collections::BTreeMap;
use std::sync::Mutex;

use expect_test::{ExpectFile, expect_file};
use serde_json::{Value, json};

use crate::bed::check_all;
use crate::manifest::{body, split_tag};
use crate::site::{Site, condition, registry_id, shown, state};

/// What a fault does to the object `it` in the first instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    List,
    Show,
    Create,
    Update,
    Delete,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::List => "ListInstanceRegistries",
            Self::Show => "ShowInstanceRegistry",
            Self::Create => "CreateInstanceRegistry",
            Self::Update => "UpdateInstanceRegistry",
            Self::Delete => "DeleteInstanceRegistry",
        }
    }

    /// The word of the simulator's switch `deny`.
    fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Show => "show",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }

    /// Whether it is certain that a fault of this operation leaves SWR as it was.
    fn reads(self) -> bool {
        matches!(self, Self::List | Self::Show)
    }
}

enum Trouble {
    /// A scripted answer in one instance.
    Fault(fn() -> Value),
    /// The account lacks the permission, in both instances.
    Denied,
}

/// The limit of the operator for a body is 4 MiB.
const GIANT_BYTES: usize = 5 * 1024 * 1024;

const TROUBLES: [(&str, Trouble); 12] = [
    (
        "401",
        Trouble::Fault(|| json!({"kind": "status", "status": 401})),
    ),
    ("403", Trouble::Denied),
    (
        "404-gateway",
        Trouble::Fault(|| {
            let body = json!({"error_code": "APIGW.0101", "error_msg": "The API does not exist"});
            json!({"kind": "status", "status": 404, "body": body})
        }),
    ),
    (
        "429",
        Trouble::Fault(
            || json!({"kind": "status", "status": 429, "headers": {"retry-after": "2"}}),
        ),
    ),
    (
        "500",
        Trouble::Fault(|| json!({"kind": "status", "status": 500})),
    ),
    (
        "502-html",
        Trouble::Fault(|| {
            let html = "<html><body>502 Bad Gateway</body></html>";
            json!({"kind": "status", "status": 502, "body": html})
        }),
    ),
    (
        "503",
        Trouble::Fault(|| json!({"kind": "status", "status": 503})),
    ),
    ("reset", Trouble::Fault(|| json!({"kind": "reset"}))),
    ("hang", Trouble::Fault(|| json!({"kind": "hang"}))),
    (
        "redirect",
        Trouble::Fault(|| {
            let headers = json!({"location": "http://127.0.0.1:9/elsewhere"});
            json!({"kind": "status", "status": 302, "headers": headers, "body": ""})
        }),
    ),
    (
        "giant",
        Trouble::Fault(
            || json!({"kind": "status", "status": 200, "body": "x".repeat(GIANT_BYTES)}),
        ),
    ),
    (
        "error-in-200",
        Trouble::Fault(|| {
            let body = json!({"error_code": "SVCSTG.SWR.5000001", "error_msg": "not really"});
            json!({"kind": "status", "status": 200, "body": body})
        }),
    ),
];

#[test]
fn a_list_in_trouble_is_reported_and_nothing_is_written() {
    check(Operation::List, expect_file!["goldens/faults-list.txt"]);
}

#[test]
fn a_show_in_trouble_is_reported_and_nothing_is_written() {
    check(Operation::Show, expect_file!["goldens/faults-show.txt"]);
}

#[test]
fn a_create_in_trouble_is_reported_and_makes_one_registry_in_the_end() {
    check(Operation::Create, expect_file!["goldens/faults-create.txt"]);
}

#[test]
fn an_update_in_trouble_is_reported_and_made_in_the_end() {
    check(Operation::Update, expect_file!["goldens/faults-update.txt"]);
}

#[test]
fn a_delete_in_trouble_is_reported_and_made_in_the_end() {
    check(Operation::Delete, expect_file!["goldens/faults-delete.txt"]);
}

/// The golden says what a user reads in each case.
fn check(operation: Operation, golden: ExpectFile) {
    let said = Mutex::new(BTreeMap::new());
    let bed = format!("faults-{}", operation.word());
    check_all(&bed, &TROUBLES, |site, trouble| {
        let line = check_one(site, operation, trouble);
        let name = site.name.replace(&format!("{bed}-"), "");
        said.lock().expect("the lines").insert(name, line);
    });
    let said = said.into_inner().expect("the lines");
    let lines: Vec<String> = said
        .iter()
        .map(|(name, line)| format!("{name}: {line}\n"))
        .collect();
    golden.assert_eq(&lines.concat());
}

fn check_one(site: &Site, operation: Operation, trouble: &Trouble) -> String {
    let [instance, other] = site.cloud.instances.each_ref();
    let mut witness = site.registry("witness", "swr-pro");
    witness["spec"]["instanceId"] = json!(other);
    let (witness, _) = site.ready_with(witness);
    let login = site.login();
    site.put_login("it", &login);
    let object = site.registry("it", "swr-pro");
    if operation != Operation::Create {
        site.create(&object);
        site.await_ready("it");
    }

    let mark = site.cloud.mark();
    match trouble {
        Trouble::Fault(fault) => {
            let mut fault = fault();
            fault["match"] = json!({"operation": operation.name(), "instance": instance});
            site.cloud.fault(&fault);
        }
        Trouble::Denied => site.cloud.switch(&json!({"deny": operation.word()})),
    }
    match operation {
        Operation::List => {}
        Operation::Show | Operation::Update => {
            site.patch(
                "it",
                &json!({"spec": {"url": "https://changed.example.com"}}),
            );
        }
        Operation::Create => {
            site.create(&object);
        }
        Operation::Delete => site.delete("it"),
    }
    let reported = site.await_status("it", "a failure", |object| {
        let message = condition(object, "Synced")["message"].as_str();
        message.unwrap_or_default().starts_with("cannot ")
    });

    // Ten seconds, in polls of the instance that is well: no hot loop, and the other object goes on.
    if let Trouble::Fault(_) = trouble {
        site.cloud.await_lists(other, 5);
        let asked = site.cloud.asked(mark, operation.name());
        // A page that is too long is asked for again in parts, which belong to the same list.
        let is_part = |query: &str| query.contains("limit=") && !query.contains("limit=100");
        let n_asked = asked.iter().filter(|entry| !is_part(&entry.query)).count();
        let of_others = site.cloud.n_lists(mark, other);
        let n_asked = n_asked
            - if operation == Operation::List {
                of_others
            } else {
                0
            };
        assert!((1..=8).contains(&n_asked), "{n_asked} requests in 10 s");
        let now = site.object("witness");
        assert_eq!(state(&now, "Ready"), "True Available", "{}", shown(&now));
        site.patch("witness", &json!({"spec": {"description": "goes on"}}));
        site.await_sent_after("witness", &witness);
    } else {
        site.cloud
            .await_lists(other, if operation == Operation::List { 1 } else { 3 });
    }
    if operation.reads() {
        let writes = site.cloud.writes(mark);
        let witness = format!("PUT registries/{}", registry_id(&witness));
        let in_instance = site.cloud.requests(mark).into_iter().filter(|entry| {
            entry.method != "GET" && entry.instance.as_deref() == Some(instance.as_str())
        });
        assert_eq!(
            in_instance.count(),
            0,
            "{writes:?} with {witness} of the other"
        );
    }

    site.cloud.clear_faults();
    site.cloud.switch(&json!({"deny": "none"}));
    if operation == Operation::Delete {
        site.request("it", "mended");
        site.await_gone("it");
        assert_eq!(site.cloud.registries(instance), Vec::<Value>::new());
    } else {
        site.request("it", "mended");
        // Ready may come of an attempt that was due anyway; the look that was asked for writes its echo.
        let object = site.await_status("it", "Ready and asked for", |object| {
            state(object, "Ready") == "True Available"
                && object["status"]["lastHandledReconcileAt"] == "mended"
        });
        site.await_ready("witness");
        let held = site.cloud.registries(instance);
        assert_eq!(held.len(), 1, "{held:#?}");
        let mut held = held.into_iter().next().unwrap_or_default();
        split_tag(&mut held);
        for (field, value) in body(&object, &login).as_object().expect("an object") {
            assert_eq!(held[field], *value, "{field}");
        }
        site.assert_rests(site.cloud.mark(), &site.cluster.audit());
    }
    let progress = ["Reconciling", "Stalled"]
        .into_iter()
        .find(|kind| state(&reported, kind).starts_with("True"))
        .unwrap_or("neither");
    format!(
        "Ready={}, Synced={}, {progress}: {}",
        state(&reported, "Ready"),
        state(&reported, "Synced"),
        condition(&reported, "Synced")["message"]
            .as_str()
            .unwrap_or_default()
    )
}
