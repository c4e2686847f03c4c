//! docs/from-terraform.md, typed line by line: forty registries move from a Terraform state to objects, and one moves back.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::{Operator, environment};
use serde_json::{Value, json};

use super::Ran;
use crate::architecture::read;
use crate::bed::{Bed, say, with_site};
use crate::canary::Login;
use crate::documents::blocks;
use crate::manifest::{self, TYPES};
use crate::site::{Site, registry_id};

const N_REGISTRIES: usize = 40;

/// Path of terraform, and a folder of providers in the layout of its flag -plugin-dir: with both, the state is also one
/// that the real provider wrote.
const TERRAFORM: &str = "SWR_TEST_TERRAFORM";
const PROVIDERS: &str = "SWR_TEST_TERRAFORM_PROVIDERS";

#[test]
fn forty_registries_move_from_terraform_with_forty_updates_and_one_moves_back() {
    moves("terraform", |site, _| state(site).to_string());
}

#[test]
fn the_same_holds_of_a_state_that_the_real_provider_wrote() {
    let given = [TERRAFORM, PROVIDERS].map(environment::variable);
    let [Some(terraform), Some(providers)] = given.map(|it| it.map(PathBuf::from)) else {
        say(&format!(
            "not run: {TERRAFORM} and {PROVIDERS} are not set, so no real provider wrote a state"
        ));
        return;
    };
    moves("terraform-real", |site, at| {
        state_of_provider(site, &at.join("terraform"), &terraform, &providers)
    });
}

fn moves(name: &str, state: impl FnOnce(&Site, &Path) -> String) {
    with_site(name, |bed, site| {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path();
        fs::write(at.join("state.json"), state(site, at)).expect("written");
        programs(bed, at);
        let before = site.cloud.registries(&site.cloud.instances[0]);
        let mark = site.cloud.mark();
        let text = read("docs/from-terraform.md");
        let mut n_typed = 0;
        for block in blocks(&text, "console") {
            n_typed += follow(bed, site, at, block);
        }
        assert!(n_typed >= 10, "{n_typed} commands");

        let writes = site.cloud.writes(mark);
        let puts = |line: &&String| line.starts_with("PUT ");
        // Forty adoptions, and the tag that came off on the way back.
        assert_eq!(
            (writes.len(), writes.iter().filter(puts).count()),
            (N_REGISTRIES + 1, N_REGISTRIES + 1),
            "{writes:#?}"
        );
        let after = site.cloud.registries(&site.cloud.instances[0]);
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(
                without_tag(after),
                without_tag(before),
                "but for the tag, as it was"
            );
        }
        let tagged = after
            .iter()
            .filter(|it| it["description"].to_string().contains("[swr-operator:"));
        assert_eq!(tagged.count(), N_REGISTRIES - 1);
    });
}

/// What the registry is, without its tag and what SWR says of it by itself.
fn without_tag(registry: &Value) -> Value {
    let mut registry = registry.clone();
    let description = registry["description"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let text = description
        .split("[swr-operator:")
        .next()
        .unwrap_or_default();
    registry["description"] = json!(text.trim_end());
    registry
        .as_object_mut()
        .expect("an object")
        .remove("updated_at");
    registry
}

/// What SWR gets of each registry, and the login of its target.
fn bodies(site: &Site) -> Vec<(Value, Login)> {
    let bodies = (0..N_REGISTRIES).map(|n| {
        let kind = TYPES[n % TYPES.len()];
        let name = format!("registry-{n:02}");
        let mut object = site.registry(&name, kind);
        // Some have names that Kubernetes does not take, and some no description.
        object["spec"]["name"] = match n % 4 {
            1 => json!(format!("Registry_{n:02}")),
            _ => json!(name),
        };
        if n % 5 == 0 {
            object["spec"]["description"] = json!("");
        }
        let login = site.login();
        let mut body = manifest::body(&object, &login);
        let text = body["description"].as_str().unwrap_or_default();
        body["description"] = json!(text.replace("[tag]", "").trim_end());
        (body, login)
    });
    bodies.collect()
}

/// A state as the provider writes it, of registries that are in SWR.
fn state(site: &Site) -> Value {
    let instance = &site.cloud.instances[0];
    let instances: Vec<Value> = bodies(site)
        .into_iter()
        .enumerate()
        .map(|(n, (body, login))| {
            let id = site.cloud.console_create(instance, &body);
            json!({"index_key": n, "schema_version": 0, "attributes": attributes(site, id, &body, &login)})
        })
        .collect();
    json!({
        "version": 4, "terraform_version": "1.9.5", "serial": 3, "lineage": "a-b-c", "outputs": {},
        "resources": [{
            "mode": "managed", "type": "huaweicloud_swr_enterprise_instance_registry", "name": "target",
            "provider": "provider[\"registry.terraform.io/huaweicloud/huaweicloud\"]",
            "instances": instances
        }]
    })
}

/// The state that the provider writes when it creates the same registries.
fn state_of_provider(site: &Site, at: &Path, terraform: &Path, providers: &Path) -> String {
    fs::create_dir(at).expect("a folder");
    let configuration = configuration(site).to_string();
    fs::write(at.join("main.tf.json"), configuration).expect("written");
    let run = |args: &[&str]| {
        let output = Command::new(terraform)
            .args(args)
            .current_dir(at)
            .env_clear()
            .env("HOME", at)
            .env("PATH", "/usr/bin:/bin")
            .env("CHECKPOINT_DISABLE", "1")
            .output()
            .expect("terraform runs");
        let ran = Ran::of(output);
        assert_eq!(ran.code, Some(0), "terraform {args:?}: {}", ran.shown());
        ran.stdout
    };
    let plugins = format!("-plugin-dir={}", providers.display());
    run(&["init", "-input=false", &plugins]);
    run(&["apply", "-input=false", "-auto-approve"]);
    run(&["state", "pull"])
}

fn configuration(site: &Site) -> Value {
    let registries: serde_json::Map<String, Value> = bodies(site)
        .into_iter()
        .map(|(body, login)| {
            let mut registry = body;
            registry["login"] = json!([login.access_key, login.access_secret]);
            let hosts = registry.pointer("/dns_conf/hosts").cloned();
            registry["hosts"] = hosts.unwrap_or(Value::Null);
            for field in ["project_id", "region_id", "instance_id"] {
                let value = registry.get(field).cloned();
                registry[field] = value.unwrap_or(Value::Null);
            }
            (
                registry["name"].as_str().expect("a name").to_owned(),
                registry,
            )
        })
        .collect();
    let each = |field: &str| format!("${{each.value.{field}}}");
    let url = format!("{}/", site.cloud.url());
    json!({
        "terraform": {"required_providers": {"huaweicloud": {"source": "huaweicloud/huaweicloud"}}},
        "provider": {"huaweicloud": {
            "region": site.cloud.region, "project_id": site.cloud.project,
            "access_key": site.keys.access_key, "secret_key": site.keys.secret_key,
            "auth_url": format!("{url}v3"), "endpoints": {"swr": url, "iam": url},
        }},
        "locals": {"registries": registries},
        "resource": {"huaweicloud_swr_enterprise_instance_registry": {"target": {
            "for_each": "${local.registries}",
            "instance_id": site.cloud.instances[0],
            "name": each("name"), "type": each("type"), "url": each("url"),
            "insecure": each("insecure"), "description": each("description"),
            "project_id": each("project_id"), "region_id": each("region_id"),
            "target_instance_id": each("instance_id"),
            "credential": [{
                "type": "basic", "access_key": each("login[0]"), "access_secret": each("login[1]"),
            }],
            "dynamic": {"dns_conf": {
                "for_each": "${each.value.hosts == null ? [] : [each.value.hosts]}",
                "content": {"hosts": "${dns_conf.value}"},
            }},
        }}},
    })
}

/// By the provider's documentation; what is not set is null or empty.
fn attributes(site: &Site, id: i64, body: &Value, login: &Login) -> Value {
    let instance = &site.cloud.instances[0];
    let hosts = body
        .get("dns_conf")
        .map(|conf| json!([{"hosts": conf["hosts"]}]));
    json!({
        "id": format!("{instance}/{id}"), "registry_id": id, "region": site.cloud.region,
        "instance_id": instance, "name": body["name"], "type": body["type"], "url": body["url"],
        "insecure": body["insecure"], "description": body["description"],
        "project_id": body["project_id"], "region_id": body["region_id"],
        "target_instance_id": body["instance_id"],
        "credential": [{
            "type": "basic", "access_key": login.access_key, "access_secret": login.access_secret,
        }],
        "dns_conf": hosts.unwrap_or_else(|| json!([])),
        "status": "healthy", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    })
}

/// The programs that a person has: this operator, kubectl, and a terraform that knows the state and does nothing else.
fn programs(bed: &Bed, at: &Path) {
    let site = &bed.sites[0];
    let bin = at.join("bin");
    fs::create_dir(&bin).expect("a folder");
    symlink(Operator::executable(), bin.join("swr-operator")).expect("a link");
    symlink(site.cluster.plane.kubectl(), bin.join("kubectl")).expect("a link");
    let terraform = bin.join("terraform");
    let script = "#!/bin/sh\nif [ \"$1 $2\" = 'state pull' ]; then cat state.json; fi\n";
    fs::write(&terraform, script).expect("written");
    fs::set_permissions(&terraform, fs::Permissions::from_mode(0o755)).expect("executable");
}

/// Types the commands of a block, and finds in what each prints the lines that the page shows. The namespace and the
/// account are those of the site.
fn follow(bed: &Bed, site: &Site, at: &Path, block: &str) -> usize {
    let mut n_typed = 0;
    let mut printed = String::new();
    for line in block.lines() {
        let Some(command) = line.strip_prefix("$ ") else {
            assert!(printed.contains(line), "{line:?} is not in\n{printed}");
            continue;
        };
        let command = command
            .replace("--namespace images", &format!("--namespace {}", site.name))
            .replace(
                "import terraform -",
                &format!("import terraform - --account {}", site.name),
            );
        printed = sh(bed, site, at, &command);
        site.assert_keeps_secrets(&command, &printed);
        n_typed += 1;
    }
    if at.join("secrets").exists() {
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&at.join("secrets")), 0o700);
        assert_eq!(mode(&at.join("secrets/registry-00.yaml")), 0o600);
        let manifests = fs::read_to_string(at.join("registries.yaml")).expect("manifests");
        site.assert_keeps_secrets("registries.yaml", &manifests);
    }
    n_typed
}

/// What a command prints, on either stream.
fn sh(bed: &Bed, site: &Site, at: &Path, command: &str) -> String {
    let path = format!("{}:/usr/bin:/bin", at.join("bin").display());
    let endpoint = format!("{}={}", site.cloud.region, site.cloud.url());
    let output = Command::new("sh")
        .args(["-c", &format!("set -e; {{ {command}; }} 2>&1")])
        .current_dir(at)
        .env_clear()
        .env("PATH", path)
        .env("HOME", at)
        .env("KUBECONFIG", site.cluster.plane.kubeconfig())
        .env("SWR_OPERATOR_INSTALLATION_ID", &bed.name)
        .env("SWR_OPERATOR_SWR_ENDPOINTS", endpoint)
        .output()
        .expect("sh runs");
    // What goes to a file does not come here.
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "$ {command}\n{printed}");
    printed
}

#[test]
fn a_registry_that_an_operator_has_is_passed_over() {
    with_site("terraform-tagged", |_, site| {
        let object = site.ready("tagged");
        let instance = &site.cloud.instances[0];
        let id = registry_id(&object).to_string();
        let place = format!("{instance}/{id}");
        let url = site.cloud.url();
        let ran = super::typed([
            "import",
            "registry",
            &place,
            "--region",
            &site.cloud.region,
            "--project-id",
            &site.cloud.project,
            "--swr-endpoint",
            &url,
        ])
        .keys(&site.keys)
        .run();
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(1), ""),
            "{}",
            ran.shown()
        );
        let expected = format!(
            "passed over registry tagged_镜像 (id {id}): it carries the ownership tag of an operator\nerror: there is no registry to import\n"
        );
        assert_eq!(ran.stderr, expected);
    });
}
