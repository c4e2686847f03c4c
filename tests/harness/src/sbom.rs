//! `cargo dev sbom`: the bill of materials of what ships, as CycloneDX, by the CycloneDX project's own cargo-cyclonedx.
//! It is written only if it names every crate that cargo links, with the checksums of Cargo.lock, and no crate that the
//! build does not use.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use crate::process::{output_of, tethered};
use crate::progress::say;
use crate::{Error, cargo, environment, image, tools};

/// The newest that the tool writes.
const SPEC: &str = "1.5";
const PACKAGE: &str = "swr-operator";

/// Name and version -> checksum, which a crate of this checkout has not.
type Crates = BTreeMap<(String, String), Option<String>>;

/// Writes it to `output`, or to `target/dev`.
pub fn run(target: Option<String>, output: Option<PathBuf>) -> Result<(), Error> {
    let target = target.unwrap_or_else(image::target);
    let output = output
        .unwrap_or_else(|| environment::dev_folder().join(format!("{PACKAGE}-{target}.cdx.json")));
    let bill = generate(&target)?;
    // With derive macros, and what these link on this machine.
    let used = tree(&target, "normal")?;
    let linked = tree(&target, "normal,no-proc-macro")?;
    let bill = without_unused(&bill, &used)?;
    let named = named(&bill)?;
    compare(&named, &linked, &used)?;
    fs::write(&output, bill).map_err(Error::io(format!("write {}", output.display())))?;
    say(&format!(
        "{}: {} crates of {target}, as in Cargo.lock",
        output.display(),
        named.len()
    ));
    Ok(())
}

/// What the tool says about a copy of this checkout, in which it may leave its files.
fn generate(target: &str) -> Result<String, Error> {
    let tool = tools::provide(&tools::CYCLONEDX)?;
    let copy = environment::dev_folder().join("sbom");
    image::remove(&copy)?;
    image::copy_checkout(&copy)?;
    let mut command = tethered(&tool);
    command
        .current_dir(&copy)
        .args(["cyclonedx", "--quiet", "--format", "json"])
        .args(["--describe", "binaries", "--no-build-deps"])
        .args(["--spec-version", SPEC, "--target", target])
        // Without it the tool writes a time and a number that differ at every call.
        .env("SOURCE_DATE_EPOCH", image::epoch()?);
    output_of(&mut command)?;
    // It writes one for each package, beside its manifest.
    let written = copy.join(format!("src/operator/{PACKAGE}_bin.cdx.json"));
    let bill =
        fs::read_to_string(&written).map_err(Error::io(format!("read {}", written.display())))?;
    // Where the copy lies is nobody's business, and would be different for everybody.
    let bill = bill.replace(&format!("file://{}", copy.display()), "file:///src");
    image::remove(&copy)?;
    Ok(bill)
}

#[derive(Deserialize)]
struct Bill {
    components: Vec<Component>,
}

#[derive(Deserialize)]
struct Component {
    name: String,
    version: String,
    #[serde(default)]
    hashes: Vec<Hash>,
}

#[derive(Deserialize)]
struct Hash {
    alg: String,
    content: String,
}

/// What the bill names. The operator itself is its subject and no component.
fn named(bill: &str) -> Result<Crates, Error> {
    let bill: Bill =
        serde_json::from_str(bill).map_err(Error::json("the bill of materials".to_owned()))?;
    let crates = bill.components.into_iter().map(|component| {
        let mut hashes = component.hashes.into_iter();
        let checksum = hashes
            .find(|hash| hash.alg == "SHA-256")
            .map(|hash| hash.content);
        ((component.name, component.version), checksum)
    });
    Ok(crates.collect())
}

/// What the operator for a target depends on, by these kinds of edges.
fn tree(target: &str, edges: &str) -> Result<Crates, Error> {
    let mut command = cargo::command();
    command
        .args(["tree", "--locked", "--package", PACKAGE])
        .args(["--edges", edges, "--target", target])
        .args(["--prefix", "none", "--format", "{p}"]);
    let tree = output_of(&mut command)?;
    let path = environment::checkout().join("Cargo.lock");
    let lock = fs::read_to_string(&path).map_err(Error::io(format!("read {}", path.display())))?;
    let checksums = checksums(&lock);
    let tree = String::from_utf8_lossy(&tree);
    Ok(packages(&tree)
        .filter(|(name, _)| name != PACKAGE)
        .map(|package| {
            let checksum = checksums.get(&package).cloned();
            (package, checksum)
        })
        .collect())
}

/// The lines of `cargo tree`: `name v1.2.3`, and what else it says of it.
fn packages(tree: &str) -> impl Iterator<Item = (String, String)> {
    tree.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let name = words.next()?;
        let version = words.next()?.strip_prefix('v')?;
        Some((name.to_owned(), version.to_owned()))
    })
}

/// Of the packages in Cargo.lock that have one. Cargo writes the file, always in this form.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    lock.split("[[package]]")
        .filter_map(|package| {
            let value = |key: &str| {
                package
                    .lines()
                    .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "))
                    .map(|value| value.trim_matches('"').to_owned())
            };
            Some(((value("name")?, value("version")?), value("checksum")?))
        })
        .collect()
}

/// The tool asks `cargo metadata`, which also names optional crates that no feature asks for (jiff's own).
fn without_unused(bill: &str, used: &Crates) -> Result<String, Error> {
    let mut bill: Value =
        serde_json::from_str(bill).map_err(Error::json("the bill of materials".to_owned()))?;
    let mut unused = Vec::new();
    if let Some(components) = bill["components"].as_array_mut() {
        components.retain(|component| {
            let text = |key: &str| component[key].as_str().unwrap_or_default().to_owned();
            let is_used = used.contains_key(&(text("name"), text("version")));
            if !is_used {
                unused.push(component["bom-ref"].clone());
            }
            is_used
        });
    }
    if let Some(dependencies) = bill["dependencies"].as_array_mut() {
        dependencies.retain(|of| !unused.contains(&of["ref"]));
        for of in dependencies {
            if let Some(on) = of.get_mut("dependsOn").and_then(Value::as_array_mut) {
                on.retain(|on| !unused.contains(on));
            }
        }
    }
    serde_json::to_string_pretty(&bill)
        .map(|bill| bill + "\n")
        .map_err(Error::json("the bill of materials".to_owned()))
}

fn compare(named: &Crates, linked: &Crates, used: &Crates) -> Result<(), Error> {
    let other = named
        .iter()
        .filter(|(package, checksum)| used.get(*package) != Some(*checksum))
        .map(|(package, _)| ("not used, or with another checksum", package));
    let missing = linked
        .keys()
        .filter(|package| !named.contains_key(*package))
        .map(|package| ("not in the bill", package));
    let differing: Vec<String> = other
        .chain(missing)
        .map(|(what, (name, version))| format!("{name} {version}: {what}"))
        .collect();
    if differing.is_empty() {
        return Ok(());
    }
    Err(Error::Unexpected {
        expected: "the bill of materials to name what cargo links".to_owned(),
        seen: differing.join("; "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crates(list: &[(&str, &str, Option<&str>)]) -> Crates {
        list.iter()
            .map(|(name, version, checksum)| {
                (
                    ((*name).to_owned(), (*version).to_owned()),
                    checksum.map(str::to_owned),
                )
            })
            .collect()
    }

    #[test]
    fn a_bill_names_crates_with_their_checksums() {
        let bill = r#"{"components": [
            {"name": "ring", "version": "0.17.14", "hashes": [
                {"alg": "SHA-1", "content": "11"}, {"alg": "SHA-256", "content": "22"}]},
            {"name": "local", "version": "0.1.0"}]}"#;
        assert_eq!(
            named(bill).expect("a bill"),
            crates(&[("ring", "0.17.14", Some("22")), ("local", "0.1.0", None)])
        );
    }

    #[test]
    fn the_lock_has_a_checksum_for_what_comes_from_a_registry() {
        let lock = "version = 4\n\n[[package]]\nname = \"local\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"ring\"\n\
                    version = \"0.17.14\"\nsource = \"registry+x\"\nchecksum = \"22\"\n";
        assert_eq!(
            checksums(lock),
            BTreeMap::from([(("ring".to_owned(), "0.17.14".to_owned()), "22".to_owned())])
        );
    }

    #[test]
    fn a_tree_lists_packages_with_versions() {
        let tree = "serde_derive v1.0.1 (proc-macro)\nring v0.17.14 (*)\n\n";
        assert_eq!(
            packages(tree).collect::<Vec<_>>(),
            [
                ("serde_derive".to_owned(), "1.0.1".to_owned()),
                ("ring".to_owned(), "0.17.14".to_owned())
            ]
        );
    }

    #[test]
    fn a_bill_with_more_less_or_other_crates_is_refused() {
        let linked = crates(&[("a", "1.0.0", Some("11")), ("b", "1.0.0", Some("22"))]);
        let mut used = linked.clone();
        used.extend(crates(&[("derive", "1.0.0", Some("33"))]));
        let check = |named: &[(&str, &str, Option<&str>)], seen: Option<&str>| {
            let refused = compare(&crates(named), &linked, &used).err();
            let seen = seen.map(|seen| {
                format!("expected the bill of materials to name what cargo links; saw {seen}")
            });
            assert_eq!(refused.map(|error| error.to_string()), seen);
        };
        let a = ("a", "1.0.0", Some("11"));
        let b = ("b", "1.0.0", Some("22"));
        check(&[a, b], None);
        check(&[a, b, ("derive", "1.0.0", Some("33"))], None);
        check(&[a], Some("b 1.0.0: not in the bill"));
        check(
            &[("a", "1.0.0", Some("33")), ("b", "1.0.0", None)],
            Some(
                "a 1.0.0: not used, or with another checksum; b 1.0.0: not used, or with another checksum",
            ),
        );
        check(
            &[a, b, ("c", "1.0.0", Some("44"))],
            Some("c 1.0.0: not used, or with another checksum"),
        );
    }

    #[test]
    fn what_the_build_does_not_use_leaves_the_bill_with_its_edges() {
        let bill = r#"{
            "components": [
                {"bom-ref": "x#a", "name": "a", "version": "1.0.0"},
                {"bom-ref": "x#b", "name": "b", "version": "1.0.0"},
                {"bom-ref": "x#c", "name": "c", "version": "1.0.0"}],
            "dependencies": [
                {"ref": "x#a", "dependsOn": ["x#b", "x#c"]},
                {"ref": "x#b"},
                {"ref": "x#c"}]}"#;
        let used = crates(&[("a", "1.0.0", None), ("c", "1.0.0", None)]);
        let kept = without_unused(bill, &used).expect("a bill");
        let kept: Value = serde_json::from_str(&kept).expect("JSON");
        assert_eq!(
            kept,
            serde_json::json!({
                "components": [
                    {"bom-ref": "x#a", "name": "a", "version": "1.0.0"},
                    {"bom-ref": "x#c", "name": "c", "version": "1.0.0"},
                ],
                "dependencies": [{"ref": "x#a", "dependsOn": ["x#c"]}, {"ref": "x#c"}],
            })
        );
    }
}
