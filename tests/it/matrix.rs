//! The wall between tenants as one table: namespace x instance x target, on the real API server. What is allowed becomes
//! Ready; what is denied says why and never reaches the cloud.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::bed::{Bed, with_bed};
use crate::manifest;
use crate::site::{Site, state};

/// Four namespaces that use the account of the first.
const NAMESPACES: [&str; 4] = ["images", "web", "labelled", "stranger"];

/// Name of the target, the url's host, an address in dnsConf, the instance of a target in SWR.
const TARGETS: [(&str, &str, Option<&str>, Option<&str>); 8] = [
    ("below", "a.dr.example.com", None, None),
    ("domain", "dr.example.com", None, None),
    ("exact", "exact.example.com", None, None),
    ("other", "other.example.com", None, None),
    ("inside", "exact.example.com", Some("192.0.2.10"), None),
    ("outside", "exact.example.com", Some("198.51.100.1"), None),
    ("ours", "exact.example.com", None, Some("target-1")),
    ("theirs", "exact.example.com", None, Some("target-2")),
];

/// A row for each namespace and instance, a column for each target: `+` is allowed; `N`, `I` and `T` are denied by
/// namespace, instance and target.
const TABLE: [(&str, usize, &str); 8] = [
    // Grant 1 gives the first instance and all below a domain; grant 2 the second, one host and a network.
    ("images", 0, "+TTTTTTT"),
    ("images", 1, "TT+T+TTT"),
    // Grant 2 alone.
    ("web", 0, "IIIIIIII"),
    ("web", 1, "TT+T+TTT"),
    // Grant 3, by label: every instance, one target in SWR and the host that leads to it.
    ("labelled", 0, "TT+TTT+T"),
    ("labelled", 1, "TT+TTT+T"),
    ("stranger", 0, "NNNNNNNN"),
    ("stranger", 1, "NNNNNNNN"),
];

#[test]
fn what_each_namespace_may_do_with_each_instance_and_target_is_what_the_grants_say() {
    with_bed("matrix", &NAMESPACES, |bed| {
        let owner = bed.site("images");
        let label = json!({"metadata": {"labels": {"team": "platform"}}});
        let path = format!("/api/v1/namespaces/{}", bed.site("labelled").name);
        owner.cluster.patch(&path, &label).expect("the namespace");
        let [one, two] = &owner.cloud.instances;
        owner.patch_account(&json!({"spec": {"grants": [
            {
                "namespaces": [owner.name], "instances": [one],
                "targets": {"hosts": ["*.dr.example.com"]},
            },
            {
                "namespaces": [owner.name, bed.site("web").name], "instances": [two],
                "targets": {"hosts": ["exact.example.com"], "addresses": ["192.0.2.0/24"]},
            },
            {
                "namespaceSelector": {"matchLabels": {"team": "platform"}}, "instances": ["*"],
                "targets": {"hosts": ["exact.example.com"], "instances": ["target-1"]},
            },
        ]}}));
        owner.await_account("True Available");
        let mark = owner.cloud.mark();

        let cells = cells(bed, owner);
        for cell in &cells {
            cell.site.put_login(&cell.name, &cell.site.login());
            cell.site.create(&cell.object);
        }
        let seen: Vec<String> = cells.iter().map(Cell::settled).collect();
        let wanted: Vec<String> = cells.iter().map(|cell| cell.wanted.clone()).collect();
        assert_eq!(seen, wanted);

        // Only what is allowed was sent, and the clouds of the other accounts were asked nothing.
        let allowed: BTreeSet<&str> = cells
            .iter()
            .filter(|cell| cell.wanted.ends_with("True Available"))
            .map(|cell| cell.name.as_str())
            .collect();
        let held: BTreeSet<String> = owner
            .cloud
            .instances
            .iter()
            .flat_map(|instance| owner.cloud.registries(instance))
            .map(|registry| registry["name"].as_str().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(
            held.iter().map(String::as_str).collect::<BTreeSet<_>>(),
            allowed
        );
        assert_eq!(owner.cloud.writes(mark).len(), allowed.len());
        for site in bed.sites.iter().filter(|site| site.name != owner.name) {
            assert!(site.cloud.requests(0).is_empty(), "{}", site.cloud.shown());
        }
    });
}

struct Cell<'a> {
    site: &'a Site,
    name: String,
    object: Value,
    wanted: String,
    /// Namespaces, instances, objects and what the grants say; a message may repeat the object itself.
    of_all: Vec<String>,
}

impl Cell<'_> {
    /// What became of it, with its name before it.
    fn settled(&self) -> String {
        let (object, message) = {
            let object = self.site.await_status(&self.name, "settled", |object| {
                let ready = state(object, "Ready");
                ready.ends_with("NotAllowed") || ready == "True Available"
            });
            let ready = crate::site::condition(&object, "Ready");
            let message = ready["message"].as_str().unwrap_or_default().to_owned();
            (object, message)
        };
        // The tenant learns what is denied, and nothing of others: who they are, and what they have or may do.
        for word in &self.of_all {
            let is_own = self.object.to_string().contains(word);
            assert!(is_own || !message.contains(word), "{message}");
        }
        format!("{}: {}", self.name, state(&object, "Ready"))
    }
}

fn cells<'a>(bed: &'a Bed, owner: &Site) -> Vec<Cell<'a>> {
    let mut of_all: Vec<String> = [
        "*.dr.example.com",
        "exact.example.com",
        "192.0.2.0/24",
        "target-1",
        "platform",
    ]
    .map(str::to_owned)
    .to_vec();
    of_all.extend(bed.sites.iter().map(|site| site.name.clone()));
    of_all.extend(owner.cloud.instances.clone());
    of_all.extend(TABLE.map(|(namespace, number, _)| format!("{namespace}-{number}-")));
    let mut cells = Vec::new();
    for (namespace, number, row) in TABLE {
        let site = bed.site(namespace);
        for (answer, (target, host, address, target_instance)) in row.chars().zip(TARGETS) {
            let name = format!("{namespace}-{number}-{target}");
            let kind = match target_instance {
                Some(_) => "swr-pro-internal",
                None => "swr-pro",
            };
            let instance = &owner.cloud.instances[number];
            let mut object = manifest::registry(&site.name, &owner.name, instance, &name, kind);
            let spec = &mut object["spec"];
            spec["name"] = json!(name);
            spec["url"] = json!(format!("https://{host}"));
            if let Some(id) = target_instance {
                spec["target"]["instanceId"] = json!(id);
            } else {
                spec["dnsConf"] = match address {
                    Some(address) => json!({"hosts": {host: address}}),
                    None => Value::Null,
                };
            }
            let wanted = match answer {
                '+' => "True Available",
                'N' => "False NamespaceNotAllowed",
                'I' => "False InstanceNotAllowed",
                _ => "False TargetNotAllowed",
            };
            cells.push(Cell {
                site,
                wanted: format!("{name}: {wanted}"),
                name,
                object,
                of_all: of_all.clone(),
            });
        }
    }
    cells
}
