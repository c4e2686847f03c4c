//! What `plan` prints on a terminal -> the picture of it, and the same as text in its page.

use std::fs;

use anstyle_svg::{Term, WIN10_CONSOLE};
use serde_json::{Value, json};

use super::place::{INSTANCE, Place};
use crate::architecture::read;
use crate::canary::Login;
use crate::documents::{compare, with_part};
use crate::manifest;

const TYPED: &str = "swr-operator plan -f registries/ --no-cluster";

fn registry(name: &str, url: &str) -> Value {
    json!({
        "apiVersion": manifest::API_VERSION,
        "kind": "ReplicationRegistry",
        "metadata": {"namespace": "images", "name": name},
        "spec": {
            "instanceId": INSTANCE,
            "type": "swr-pro",
            "url": url,
            "insecure": false,
            "credentialSecretRef": {"name": name},
        },
    })
}

/// One registry that is missing, one that differs, one of somebody else, one that is right.
fn manifests(place: &mut Place) -> Vec<Value> {
    let login = place.login();
    let wanted = registry("harbor-new", "https://harbor.example.com");
    let differing = registry("harbor-dr", "https://harbor.dr.example.com");
    place.left(&registry("harbor-dr", "https://old.example.com"), &login);
    let theirs = registry("legacy", "https://legacy.example.com");
    let mut made_by_hand = manifest::body(&theirs, &login);
    made_by_hand["description"] = json!("Made in the console");
    place.cloud.console_create(INSTANCE, &made_by_hand);
    let equal = registry("harbor-eu", "https://harbor.eu.example.com");
    place.left(&equal, &login);
    let secret = |object: &Value, login: &Login| {
        let name = object["metadata"]["name"].as_str().expect("a name");
        manifest::secret("images", name, login)
    };
    let registries = [wanted, differing, theirs, equal];
    let secrets: Vec<Value> = registries.iter().map(|it| secret(it, &login)).collect();
    [registries.to_vec(), secrets].concat()
}

/// Columns of the terminal in the picture; on a wider one its letters would be too small.
const COLUMNS: usize = 100;

/// Begins a new line where a terminal does. Codes for colours take no room.
fn as_wide_as_a_terminal(text: &str) -> String {
    let mut shown = String::new();
    let (mut column, mut is_code) = (0, false);
    for letter in text.chars() {
        match letter {
            '\u{1b}' => is_code = true,
            '\n' => column = 0,
            'm' if is_code => is_code = false,
            _ if is_code => {}
            _ if column == COLUMNS => {
                shown.push('\n');
                column = 1;
            }
            _ => column += 1,
        }
        shown.push(letter);
    }
    shown
}

#[test]
fn a_plan_in_the_pages_is_what_it_prints() {
    let mut place = Place::new();
    fs::create_dir(place.at().join("registries")).expect("a folder");
    let manifests = manifests(&mut place);
    place.write("registries/all.yaml", &manifests);
    let plan = |colour: &str| place.plan(&["-f", "registries", "--color", colour]).stdout;

    let plain = plan("never");
    let part = format!("\n```console\n$ {TYPED}\n{plain}```\n\n");
    let text = with_part(&read("docs/cli.md"), "plan", &part);
    compare("docs/cli.md", &text);

    let coloured = plan("always");
    assert_ne!(coloured, plain);
    // The usual palette's red and grey are too dark to be read.
    let terminal = Term::new().palette(WIN10_CONSOLE);
    let picture = terminal.render_svg(&as_wide_as_a_terminal(&format!("$ {TYPED}\n{coloured}")));
    compare("docs/pictures/plan.svg", &picture);
}
