//! What counts as a difference, and what does not.

use expect_test::{Expect, expect};

use super::*;
use crate::credential::{Credential, Sealer, Sensitive};
use crate::observed::Hosts;
use crate::observed::tests::{owner, record};

fn sealer() -> Sealer {
    Sealer::new(vec![7; 32])
}

fn sealed(access_key: &str) -> Sealed {
    sealer().seal(
        "uid",
        &Credential {
            access_key: Sensitive::new(access_key.to_owned()),
            access_secret: Sensitive::new("secret".to_owned()),
        },
    )
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(secs).expect("time")
}

fn facts() -> SentFacts {
    SentFacts {
        desired: sealed("ak"),
        sent: Some((sealed("ak").whole, at(1_000))),
        resend_secs: None,
        applied: None,
    }
}

fn harbor() -> Registry {
    Registry {
        name: "harbor-dr".to_owned(),
        url: "https://harbor.dr.example.com".to_owned(),
        insecure: false,
        description: "Disaster recovery".to_owned(),
        target: Target::Harbor {
            dns_hosts: [(
                "h.example.com".to_owned(),
                "192.0.2.10".parse().expect("ip"),
            )]
            .into(),
        },
    }
}

fn enterprise() -> Registry {
    Registry {
        target: Target::SwrEnterprise {
            project: crate::desired::ProjectId::new("project-2"),
            region: crate::desired::Region::new("region-2"),
            instance: crate::desired::InstanceId::new("instance-2"),
        },
        ..harbor()
    }
}

/// What SWR holds after our own write of `registry`.
fn written(registry: &Registry) -> Record {
    let mut record = record(1, &registry.name, &owner().describe(&registry.description));
    record.type_ = registry.target.type_name().into();
    record.url = registry.url.as_str().into();
    record.insecure = Some(registry.insecure);
    record.access_key = Some(sealer().access_key("ak"));
    match &registry.target {
        Target::Harbor { dns_hosts } => {
            record.dns_hosts = Some(
                dns_hosts
                    .iter()
                    .map(|(host, ip)| (host.clone(), ip.to_string()))
                    .collect(),
            );
        }
        Target::SwrEnterprise {
            project,
            region,
            instance,
        } => {
            record.project = Some(project.as_str().into());
            record.region = Some(region.as_str().into());
            record.instance = Some(instance.as_str().into());
        }
        Target::SwrBasic => {}
    }
    record
}

fn check(what: &str, desired: &Registry, edit: impl FnOnce(&mut Record), expected: Expect) {
    let mut observed = written(desired);
    edit(&mut observed);
    let shown = match diff(desired, &facts(), &observed, at(2_000)) {
        None => String::new(),
        Some(changes) => changes
            .all()
            .iter()
            .map(|change| {
                format!(
                    "{}: {:?} <- {:?}\n",
                    change.field.path(),
                    change.desired,
                    change.observed
                )
            })
            .collect(),
    };
    let shown = format!("{what}\n{shown}");
    expected.assert_eq(&shown);
}

#[test]
fn what_was_written_does_not_differ() {
    for registry in [harbor(), enterprise()] {
        assert_eq!(
            diff(&registry, &facts(), &written(&registry), at(2_000)),
            None
        );
    }
}

#[test]
fn each_field_differs_alone() {
    let harbor = &harbor();
    check(
        "name",
        harbor,
        |r| r.name = "x".into(),
        expect![[r#"
        name
        name: "harbor-dr" <- "x"
    "#]],
    );
    check(
        "type",
        harbor,
        |r| r.type_ = "huawei-SWR".into(),
        expect![[r#"
        type
        type: "swr-pro" <- "huawei-SWR"
    "#]],
    );
    check(
        "url",
        harbor,
        |r| r.url = "https://evil.example".into(),
        expect![[r#"
        url
        url: "https://harbor.dr.example.com" <- "https://evil.example"
    "#]],
    );
    check(
        "insecure",
        harbor,
        |r| r.insecure = Some(true),
        expect![[r#"
        insecure
        insecure: "false" <- "true"
    "#]],
    );
    check(
        "description",
        harbor,
        |r| r.description = owner().describe("x"),
        expect![[r#"
        description
        description: "Disaster recovery" <- "x"
    "#]],
    );
    check(
        "hosts",
        harbor,
        |r| r.dns_hosts = Some(Hosts::default()),
        expect![[r#"
        hosts
        dnsConf.hosts: "h.example.com=192.0.2.10" <- ""
    "#]],
    );
    check(
        "access key",
        harbor,
        |r| r.access_key = Some(sealer().access_key("x")),
        expect![[r#"
        access key
        credential: "(sensitive)" <- "(sensitive)"
    "#]],
    );
    let enterprise = &enterprise();
    check(
        "target",
        enterprise,
        |r| {
            r.project = Some("p".into());
            r.region = Some("r".into());
            r.instance = Some("i".into());
        },
        expect![[r#"
        target
        target.projectId: "project-2" <- "p"
        target.regionId: "region-2" <- "r"
        target.instanceId: "instance-2" <- "i"
    "#]],
    );
}

#[test]
fn what_swr_changes_or_leaves_out_is_no_difference() {
    let harbor = &harbor();
    let same = |what: &str, edit: fn(&mut Record)| {
        check(
            what,
            harbor,
            edit,
            expect_test::Expect {
                position: expect_test::Position {
                    file: file!(),
                    line: line!(),
                    column: 1,
                },
                data: Box::leak(format!("{what}\n").into_boxed_str()),
                indent: false,
            },
        );
    };
    same("trailing slash", |r| r.url = format!("{}/", r.url).into());
    same("upper-case host", |r| {
        r.url = "HTTPS://HARBOR.dr.example.com".into();
    });
    same("hosts left out", |r| r.dns_hosts = None);
    same("access key left out", |r| r.access_key = None);
    same("insecure left out", |r| r.insecure = None);
    same("health", |r| r.health = crate::observed::Health::Unhealthy);
    same("updated_at", |r| r.updated_at = Some("later".into()));
    same("upper-case dns host", |r| {
        r.dns_hosts = Some([("H.example.com".into(), "192.0.2.10".into())].into());
    });
}

#[test]
fn line_breaks_that_come_back_as_blanks_are_no_difference() {
    let mut registry = harbor();
    registry.description = "two\nlines ".to_owned();
    let mut observed = written(&registry);
    observed.description = owner().describe("two lines");
    assert_eq!(diff(&registry, &facts(), &observed, at(2_000)), None);
}

#[test]
fn a_credential_differs_when_it_is_new_rotated_or_due() {
    let record = written(&harbor());
    let differs = |facts: &SentFacts, now| {
        diff(&harbor(), facts, &record, now).is_some_and(|changes| changes.only_credential())
    };
    assert!(!differs(&facts(), at(2_000)));
    assert!(differs(
        &SentFacts {
            sent: None,
            ..facts()
        },
        at(2_000)
    ));
    let rotated = SentFacts {
        sent: Some((sealed("old").whole, at(1_000))),
        ..facts()
    };
    assert!(differs(&rotated, at(2_000)));
    let resend = SentFacts {
        resend_secs: Some(3_600),
        ..facts()
    };
    assert!(!differs(&resend, at(1_000 + 3_599)));
    assert!(differs(&resend, at(1_000 + 3_600)));
}

#[test]
fn a_field_that_swr_does_not_show_differs_when_another_value_was_sent() {
    let check = |registry: &Registry, hide: fn(&mut Record), other: &Registry, path: &str| {
        let mut observed = written(registry);
        hide(&mut observed);
        let differs = |applied: &Registry| {
            let facts = SentFacts {
                applied: Some(applied.unshown()),
                ..facts()
            };
            diff(registry, &facts, &observed, at(2_000)).map(|changes| changes.to_string())
        };
        assert_eq!(differs(registry), None);
        assert_eq!(differs(other), Some(path.to_owned()));
    };
    let other_hosts = Registry {
        target: Target::Harbor {
            dns_hosts: BTreeMap::new(),
        },
        ..harbor()
    };
    check(
        &harbor(),
        |r| r.dns_hosts = None,
        &other_hosts,
        "dnsConf.hosts",
    );
    let mut other_project = enterprise();
    if let Target::SwrEnterprise { project, .. } = &mut other_project.target {
        *project = crate::desired::ProjectId::new("another");
    }
    check(
        &enterprise(),
        |r| r.project = None,
        &other_project,
        "target.projectId",
    );
}

#[test]
fn the_fields_of_a_registry_are_those_that_are_not_empty() {
    let check = |registry: &Registry, expected: Expect| {
        let all = fields(registry).into_iter();
        let lines: Vec<String> = all
            .map(|(field, value)| format!("{}: {value}\n", field.path()))
            .collect();
        expected.assert_eq(&lines.concat());
    };
    check(
        &harbor(),
        expect![[r#"
        name: harbor-dr
        type: swr-pro
        url: https://harbor.dr.example.com
        insecure: false
        description: Disaster recovery
        dnsConf.hosts: h.example.com=192.0.2.10
        credential: (sensitive)
    "#]],
    );
    let without = Registry {
        description: String::new(),
        ..enterprise()
    };
    check(
        &without,
        expect![[r#"
        name: harbor-dr
        type: swr-pro-internal
        url: https://harbor.dr.example.com
        insecure: false
        target.projectId: project-2
        target.regionId: region-2
        target.instanceId: instance-2
        credential: (sensitive)
    "#]],
    );
}
