//! grants x what an object asks -> allowed, or which part nobody grants. What no single grant
//! covers as a whole is denied.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::answer::Labels;
use crate::api::account::{Grant, LabelOperator, LabelRequirement, NamespaceSelector, Targets};
use crate::api::reason::Reason;
use crate::desired::{InstanceId, Registry, Target};
use crate::url;

/// The first thing that no grant covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Denied {
    /// Which part: namespace, instance or target.
    pub reason: Reason,
    /// In words. Names only what the object itself says.
    pub message: String,
}

/// Whether some grant lets objects of `namespace`, which has these labels, keep `registry` in `instance`.
///
/// # Errors
/// What the grants that come closest do not cover.
pub fn check(
    grants: &[Grant],
    (namespace, labels): (&str, &Labels),
    instance: &InstanceId,
    registry: &Registry,
) -> Result<(), Denied> {
    let denied = |reason, message: String| Err(Denied { reason, message });

    let for_namespace: Vec<&Grant> = grants
        .iter()
        .filter(|grant| {
            let selector = grant.namespace_selector.as_ref();
            lists(&grant.namespaces, namespace)
                || selector.is_some_and(|selector| selects(selector, labels))
        })
        .collect();
    if for_namespace.is_empty() {
        return denied(
            Reason::NamespaceNotAllowed,
            format!("no grant of the account covers namespace {namespace:?}"),
        );
    }
    let for_instance: Vec<&Grant> = for_namespace
        .into_iter()
        .filter(|grant| lists(&grant.instances, instance.as_str()))
        .collect();
    if for_instance.is_empty() {
        return denied(
            Reason::InstanceNotAllowed,
            format!("no grant of the account lets namespace {namespace:?} use instance {instance}"),
        );
    }
    let mut missing = None;
    for grant in for_instance {
        match uncovered(&grant.targets, registry) {
            None => return Ok(()),
            Some(what) => missing.get_or_insert(what),
        };
    }
    denied(
        Reason::TargetNotAllowed,
        format!(
            "no grant of the account lets namespace {namespace:?} send images to {}",
            missing.unwrap_or_default()
        ),
    )
}

/// The first part of the target that `targets` do not cover.
fn uncovered(targets: &Targets, registry: &Registry) -> Option<String> {
    let host = url::host(&registry.url).unwrap_or_default();
    if !targets
        .hosts
        .iter()
        .any(|pattern| host_matches(pattern, &host))
    {
        return Some(format!("host {host:?}"));
    }
    match &registry.target {
        Target::Harbor { dns_hosts } => dns_hosts
            .values()
            .find(|ip| !targets.addresses.iter().any(|net| net_contains(net, **ip)))
            .map(|ip| format!("address {ip}")),
        Target::SwrEnterprise { instance, .. } => {
            (!lists(&targets.instances, instance.as_str())).then(|| format!("instance {instance}"))
        }
        Target::SwrBasic => None,
    }
}

fn lists(allowed: &[String], value: &str) -> bool {
    allowed.iter().any(|entry| entry == "*" || entry == value)
}

/// Whether a grant covers namespaces by their labels, which must then be known.
pub fn needs_labels(grants: &[Grant]) -> bool {
    let mut grants = grants.iter();
    grants.any(|grant| grant.namespace_selector.is_some())
}

/// A selector without a requirement, which admission refuses, selects nothing.
fn selects(selector: &NamespaceSelector, labels: &Labels) -> bool {
    let NamespaceSelector {
        match_labels,
        match_expressions,
    } = selector;
    (!match_labels.is_empty() || !match_expressions.is_empty())
        && match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
        && match_expressions
            .iter()
            .all(|requirement| holds(requirement, labels))
}

fn holds(requirement: &LabelRequirement, labels: &Labels) -> bool {
    let value = labels.get(&requirement.key);
    let is_listed = value.is_some_and(|value| requirement.values.contains(value));
    match requirement.operator {
        LabelOperator::In => is_listed,
        LabelOperator::NotIn => !is_listed,
        LabelOperator::Exists => value.is_some(),
        LabelOperator::DoesNotExist => value.is_none(),
    }
}

/// `*.example.com` covers every name below `example.com`, but not `example.com` itself.
fn host_matches(pattern: &str, host: &str) -> bool {
    let pattern = url::canonical_host(pattern);
    match pattern.strip_prefix("*.") {
        Some(domain) => host
            .strip_suffix(domain)
            .is_some_and(|below| below.len() > 1 && below.ends_with('.')),
        None => pattern == "*" || pattern == host,
    }
}

fn net_contains(net: &str, ip: IpAddr) -> bool {
    let network = || net.parse().is_ok_and(|net: IpNet| net.contains(&ip));
    let address = || net.parse().is_ok_and(|net: IpAddr| net == ip);
    net == "*" || network() || address()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::{ProjectId, Region};

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    fn grant() -> Grant {
        Grant {
            namespaces: words(&["images"]),
            namespace_selector: None,
            instances: words(&["source-1"]),
            targets: Targets {
                hosts: words(&["*.dr.example.com"]),
                addresses: words(&["192.0.2.0/24", "2001:db8::/32"]),
                instances: words(&["target-1"]),
            },
        }
    }

    fn harbor(url: &str, ip: Option<&str>) -> Registry {
        Registry {
            name: "n".into(),
            url: url.into(),
            insecure: false,
            description: String::new(),
            target: Target::Harbor {
                dns_hosts: ip
                    .map(|ip| ("h.dr.example.com".to_owned(), ip.parse().expect("ip")))
                    .into_iter()
                    .collect(),
            },
        }
    }

    fn enterprise(instance: &str) -> Registry {
        Registry {
            target: Target::SwrEnterprise {
                project: ProjectId::new("p"),
                region: Region::new("r"),
                instance: InstanceId::new(instance),
            },
            ..harbor("https://h.dr.example.com", None)
        }
    }

    fn answer(grants: &[Grant], ns: &str, instance: &str, registry: &Registry) -> Option<Reason> {
        let namespace = (ns, &Labels::new());
        check(grants, namespace, &InstanceId::new(instance), registry)
            .err()
            .map(|denied| denied.reason)
    }

    #[test]
    fn what_nothing_grants_is_denied_and_the_reason_names_the_part() {
        use Reason::{InstanceNotAllowed, NamespaceNotAllowed, TargetNotAllowed};
        let good = "https://h.dr.example.com";
        for (ns, instance, registry, expected) in [
            ("images", "source-1", harbor(good, None), None),
            ("images", "source-1", harbor(good, Some("192.0.2.9")), None),
            (
                "images",
                "source-1",
                harbor(good, Some("2001:db8::9")),
                None,
            ),
            ("images", "source-1", enterprise("target-1"), None),
            (
                "other",
                "source-1",
                harbor(good, None),
                Some(NamespaceNotAllowed),
            ),
            (
                "images",
                "source-2",
                harbor(good, None),
                Some(InstanceNotAllowed),
            ),
            (
                "images",
                "source-1",
                harbor("https://dr.example.com", None),
                Some(TargetNotAllowed),
            ),
            (
                "images",
                "source-1",
                harbor("https://evil-dr.example.com", None),
                Some(TargetNotAllowed),
            ),
            (
                "images",
                "source-1",
                harbor(good, Some("192.0.3.9")),
                Some(TargetNotAllowed),
            ),
            (
                "images",
                "source-1",
                enterprise("target-2"),
                Some(TargetNotAllowed),
            ),
        ] {
            assert_eq!(
                answer(&[grant()], ns, instance, &registry),
                expected,
                "{ns} {instance} {registry:?}"
            );
        }
        assert_eq!(
            answer(&[], "images", "source-1", &harbor(good, None)),
            Some(NamespaceNotAllowed)
        );
    }

    #[test]
    fn two_grants_do_not_add_up_to_a_third() {
        let mut first = grant();
        first.targets.hosts = words(&["a.example.com"]);
        let mut second = grant();
        second.instances = words(&["source-2"]);
        assert_eq!(
            answer(
                &[first, second],
                "images",
                "source-1",
                &harbor("https://h.dr.example.com", None)
            ),
            Some(Reason::TargetNotAllowed)
        );
    }

    #[test]
    fn a_star_means_all_and_an_absent_list_means_none() {
        let all = Grant {
            namespaces: words(&["*"]),
            namespace_selector: None,
            instances: words(&["*"]),
            targets: Targets {
                hosts: words(&["*"]),
                addresses: words(&["*"]),
                instances: words(&["*"]),
            },
        };
        assert_eq!(
            answer(
                std::slice::from_ref(&all),
                "x",
                "y",
                &harbor("https://z", Some("10.0.0.1"))
            ),
            None
        );
        let none = Grant {
            targets: Targets::default(),
            ..all
        };
        assert_eq!(
            answer(&[none], "x", "y", &harbor("https://z", None)),
            Some(Reason::TargetNotAllowed)
        );
    }

    #[test]
    fn a_selector_covers_the_namespaces_whose_labels_it_names() {
        let requirement = |operator, values: &[&str]| NamespaceSelector {
            match_expressions: vec![LabelRequirement {
                key: "team".to_owned(),
                operator,
                values: words(values),
            }],
            ..NamespaceSelector::default()
        };
        let label = NamespaceSelector {
            match_labels: [("team".to_owned(), "web".to_owned())].into(),
            ..NamespaceSelector::default()
        };
        let both = NamespaceSelector {
            match_labels: [("stage".to_owned(), "prod".to_owned())].into(),
            ..requirement(LabelOperator::Exists, &[])
        };
        // For the labels none, team=web, team=data, and team=web with stage=prod.
        for (selector, expected) in [
            (label, [false, true, false, true]),
            (both, [false, false, false, true]),
            (
                requirement(LabelOperator::In, &["web", "ops"]),
                [false, true, false, true],
            ),
            (
                requirement(LabelOperator::NotIn, &["web", "ops"]),
                [true, false, true, false],
            ),
            (
                requirement(LabelOperator::Exists, &[]),
                [false, true, true, true],
            ),
            (
                requirement(LabelOperator::DoesNotExist, &[]),
                [true, false, false, false],
            ),
            (NamespaceSelector::default(), [false; 4]),
        ] {
            let grants = [Grant {
                namespaces: Vec::new(),
                namespace_selector: Some(selector.clone()),
                ..grant()
            }];
            assert!(needs_labels(&grants) && !needs_labels(&[grant()]));
            let labels = [
                &[][..],
                &[("team", "web")],
                &[("team", "data")],
                &[("team", "web"), ("stage", "prod")],
            ];
            let covered = labels.map(|labels| {
                let labels = labels
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
                let registry = harbor("https://h.dr.example.com", None);
                let instance = InstanceId::new("source-1");
                check(&grants, ("other", &labels.collect()), &instance, &registry).is_ok()
            });
            assert_eq!(covered, expected, "{selector:?}");
        }
    }
}
