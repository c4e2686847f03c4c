//! What the client logs, and what it does not.

use std::io::{self, Write};
use std::sync::Mutex;

use super::*;

#[tokio::test]
async fn every_write_leaves_one_audit_line_and_no_line_shows_a_secret() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer({
            let log = log.clone();
            move || log.clone()
        })
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // With a single subscriber, tracing lets whichever thread comes first to a line of the log say
    // whether it is wanted, and the threads of the other tests say no.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());

    let server = simulator().await;
    let client = client(&server.url());
    let id = create(&client, "harbor-dr")
        .await
        .expect("created")
        .expect("an id");
    let echo = format!(
        "bad\n{SECRET} of robot-push {}",
        "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00"
    );
    fault(
        &server,
        json!({"kind": "status", "status": 400, "times": 1, "headers": {"X-Request-Id": "req-1"},
               "body": {"error_code": SECRET, "error_msg": echo}}),
    );
    let failure = create(&client, "b").await.expect_err("refused");
    assert_eq!(failure, Failure::new(Class::Invalid, Cause::Rejected));
    // A write that is given up while it is under way may have landed, so it leaves a line, too.
    fault(&server, json!({"kind": "hang", "times": 1}));
    let given_up = tokio::time::timeout(Duration::from_millis(200), async {
        writer(&client).delete(&instance(), id, &audit()).await
    });
    assert!(given_up.await.is_err());

    let log = log.text();
    let lines: Vec<&str> = log
        .lines()
        .filter(|line| line.contains(" audit: "))
        .collect();
    assert_eq!(lines.len(), 3, "{log}");
    for (line, parts) in lines.iter().zip([
        vec![
            "operation=\"create\"",
            "registry_id=1",
            "outcome=\"done\"",
            "status=201",
            "request_id=",
        ],
        vec![
            "operation=\"create\"",
            "outcome=\"invalid\"",
            "status=400",
            "request_id=\"req-1\"",
        ],
        vec![
            "operation=\"delete\"",
            "registry_id=1",
            "outcome=\"abandoned\"",
        ],
    ]) {
        for part in [
            "INFO",
            "object=\"images/harbor-dr\"",
            "generation=3",
            "reason=\"Missing\"",
            "fields=\"url,insecure\"",
        ]
        .iter()
        .chain(&parts)
        {
            assert!(line.contains(part), "{part}\n{line}");
        }
    }
    assert!(log.contains("said=\"withheld\""), "{log}");
    assert!(log.contains("request_id=\"req-1\""), "{log}");
    for secret in [
        SECRET,
        "robot-push",
        "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00",
        "Signature=",
    ] {
        assert!(!log.contains(secret), "{secret}\n{log}");
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("whole").clone()).expect("UTF-8")
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("whole").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
