//! The binary as a harness starts it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};

const SECRET: &str = "a-secret-key-that-must-not-be-printed";

fn command(further: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swr-simulator"));
    command
        .args([
            "--region",
            "cn-north-4",
            "--project",
            "p1",
            "--instance",
            "i1",
            "--instance",
            "i2",
        ])
        .args(["--access-key", "AK", "--secret-key", SECRET])
        .args(further)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Sends one request of the control surface and gives the whole answer.
fn send(address: &str, method: &str, target: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the simulator listens");
    let head =
        format!("{method} {target} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream
        .write_all(head.as_bytes())
        .expect("the request goes out");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("the answer is text");
    answer
}

#[test]
fn the_first_line_tells_the_url_and_no_secret_is_ever_printed() {
    let mut child = command(&["--listen", "127.0.0.1:0", "--switch", "create_status=200"])
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    let address = line
        .strip_prefix("listening on http://")
        .and_then(|rest| rest.strip_suffix('\n'))
        .unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{line}");
    let switches = send(address, "GET", "/_simulator/switches");
    assert!(switches.contains("\"create_status\":\"200\""), "{switches}");
    for instance in ["i1", "i2"] {
        let registries = send(
            address,
            "GET",
            &format!("/_simulator/registries?instance={instance}"),
        );
        assert!(registries.ends_with("{\"registries\":[]}"), "{registries}");
    }
    let unsigned = send(address, "GET", "/v2/p1/instances");
    assert!(unsigned.starts_with("HTTP/1.1 401 "), "{unsigned}");
    child.kill().unwrap();
    child.wait().unwrap();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!((rest.as_str(), stderr.as_str()), ("", ""));
}

fn check_refused(further: &[&str], complaint: &str) {
    let Output {
        status,
        stdout,
        stderr,
    } = command(further).output().expect("the binary starts");
    let stderr = String::from_utf8(stderr).expect("complaints are text");
    assert!(!status.success() && stdout.is_empty());
    assert!(stderr.contains(complaint), "{stderr}");
    assert!(!stderr.contains(SECRET), "{stderr}");
}

#[test]
fn arguments_without_sense_are_refused_with_a_sentence() {
    check_refused(
        &["--listen", "0.0.0.0:0"],
        "swr-simulator: 0.0.0.0:0 is not a loopback address\n",
    );
    check_refused(
        &["--switch", "create_status=204"],
        "swr-simulator: switch create_status does not take \"204\"; it takes 200, 201, 202\n",
    );
    check_refused(
        &["--switch", "colour=red"],
        "swr-simulator: there is no switch \"colour\"; the switches are create_status, ",
    );
    check_refused(
        &["--switch", "colour"],
        "swr-simulator: a switch is given as NAME=VALUE or {\"NAME\": VALUE}, not \"colour\"\n",
    );
}
