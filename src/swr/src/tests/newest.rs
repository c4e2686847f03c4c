//! Reads of the newest changes, over real sockets, under every answer that the simulator may give
//! about time, order and pages.

use super::*;
use swr_operator_core::observed::Inventory;
use swr_operator_core::recent::{Occasion, Outcome, Recent, Trust, Why, Written};
use swr_operator_core::time;

const SETTLE: jiff::SignedDuration = jiff::SignedDuration::from_secs(120);

/// So many registries that somebody made an hour ago and later, one every 10 ms.
fn fill_in_turn(server: &Server, n: i64, from: i64) {
    let hour_ago = time::after(clock::now(), -3_600);
    for at in from..from + n {
        let made = jiff::SignedDuration::from_millis(10 * at);
        let made = time::after_span(hour_ago, made);
        let body = json!({
            "name": format!("r{at}"), "type": "swr-pro", "url": "https://a.test", "insecure": true,
            "credential": {"type": "basic", "access_key": "a", "access_secret": "b"},
        });
        server
            .with(|simulator, _| {
                let body = body.to_string();
                simulator
                    .world
                    .console_create(instance().as_str(), body.as_bytes(), made)
            })
            .expect("created");
    }
}

/// What knows an instance.
struct Known {
    client: Client,
    recent: Recent,
    inventory: Arc<Inventory>,
}

impl Known {
    async fn new(server: &Server) -> Self {
        let mut known = Known {
            client: client(&server.url()),
            recent: Recent::new(SETTLE),
            inventory: Arc::default(),
        };
        known.sweep().await;
        known
    }

    async fn sweep(&mut self) {
        let begun = clock::now();
        let listed = self.client.reader().list(&instance()).await;
        let listed = listed.expect("listed");
        self.recent.swept(Occasion::Poll, begun, &listed);
        self.inventory = Arc::new(listed);
    }

    /// `None` where only a sweep helps.
    async fn read(&mut self) -> Result<Option<Outcome>, Failure> {
        // The clock counts milliseconds, and a read begins after the answer of a write.
        let written = clock::now();
        while clock::now() <= written {
            tokio::task::yield_now().await;
        }
        let Some(read) = self.recent.newest(&self.inventory, clock::now()) else {
            return Ok(None);
        };
        let read = self.client.reader().newest(&instance(), read).await?;
        Ok(Some(self.recent.merge(read, &mut self.inventory)))
    }

    async fn edit(&mut self, id: RegistryId) {
        let before = self.inventory.get(id).cloned().expect("listed");
        let (registry, credential) = (registry("edited"), credential());
        let body = Body {
            registry: &registry,
            credential: &credential,
        };
        writer(&self.client)
            .update(&instance(), id, &body, &audit())
            .await
            .expect("updated");
        self.recent
            .wrote(id, Written::Updated(&before), clock::now());
    }

    async fn create(&mut self, name: &str) -> RegistryId {
        let id = create(&self.client, name).await.expect("created");
        let id = id.expect("an id");
        self.recent.wrote(id, Written::Created, clock::now());
        id
    }
}

/// The oldest of 250 is edited by us, and one is created.
async fn check(switch: &str, value: &str, expected: Option<Outcome>, trust: Trust) {
    let server = simulator().await;
    set(&server, switch, value);
    fill_in_turn(&server, 250, 0);
    let mut known = Known::new(&server).await;
    let oldest = known.inventory.records().next().expect("250").id;
    known.edit(oldest).await;
    known.create("ours").await;
    asked(&server);
    let outcome = known.read().await.expect(switch);
    assert_eq!(
        (outcome, known.recent.trust()),
        (expected, trust),
        "{switch}={value}"
    );
    let n_pages = usize::from(outcome.is_some());
    assert_eq!(asked(&server), vec!["ListInstanceRegistries"; n_pages]);
    if outcome == Some(Outcome::Current) {
        let listed = known.client.reader().list(&instance()).await;
        assert_eq!(*known.inventory, listed.expect("listed"));
    }
}

#[tokio::test]
async fn what_swr_may_answer_of_time_and_order_is_used_or_swept() {
    const CURRENT: Option<Outcome> = Some(Outcome::Current);
    for (switch, value) in [
        ("list_order", "stable"),
        ("updated_at", "health"),
        ("list_total", "page"),
        ("paging_errors", "clamped"),
        ("paging_errors", "ignored"),
        ("lone_order_type", "ignored"),
        ("list_lag_after_delete_millis", "600000"),
        ("show_lag_after_create_millis", "600000"),
        ("show_lag_after_update_millis", "600000"),
        ("id_style", "string"),
        ("id_style", "large"),
    ] {
        check(switch, value, CURRENT, Trust::Proven).await;
    }
    for format in ["no_zone", "epoch"] {
        check("time_format", format, None, Trust::Unproven).await;
    }
}

#[tokio::test]
async fn an_order_that_is_none_is_broken_until_a_poll() {
    let server = simulator().await;
    fill_in_turn(&server, 250, 0);
    let mut known = Known::new(&server).await;
    set(&server, "list_order", "unstable");
    let broken = Outcome::Partial(Why::Broken);
    assert_eq!(known.read().await, Ok(Some(broken)));
    assert_eq!(known.read().await, Ok(None));
    set(&server, "list_order", "stable");
    known.sweep().await;
    known.create("ours").await;
    assert_eq!(known.read().await, Ok(Some(Outcome::Current)));
}

#[tokio::test]
async fn lists_that_lag_behind_own_writes_are_remembered() {
    let server = simulator().await;
    fill_in_turn(&server, 50, 0);
    let mut known = Known::new(&server).await;
    set(&server, "list_lag_millis", "600000");
    let id = known.create("ours").await;
    assert_eq!(
        known.read().await,
        Ok(Some(Outcome::Partial(Why::OwnWriteMissing)))
    );
    assert!(known.recent.awaits(id) && !known.recent.lists_never_lagged());
    known.sweep().await;
    assert!(known.recent.awaits(id) && !known.recent.is_broken());
    set(&server, "list_lag_millis", "0");
    assert_eq!(known.read().await, Ok(Some(Outcome::Current)));
    assert!(!known.recent.awaits(id) && !known.recent.lists_never_lagged());
}

#[tokio::test]
async fn several_pages_overlap_and_the_first_is_read_again() {
    let server = simulator().await;
    fill_in_turn(&server, 450, 0);
    let mut known = Known::new(&server).await;
    fill_in_turn(&server, 120, 450);
    asked(&server);
    assert_eq!(
        known.read().await,
        Ok(Some(Outcome::Partial(Why::Unproven)))
    );
    assert_eq!(asked(&server), ["ListInstanceRegistries"; 3]);
    let listed = known.client.reader().list(&instance()).await;
    assert_eq!(*known.inventory, listed.expect("listed"));
}

#[tokio::test]
async fn a_page_that_is_too_long_is_swept_and_a_failure_changes_nothing() {
    let server = simulator().await;
    fill_in_turn(&server, 50, 0);
    let mut known = Known::new(&server).await;
    let before = Arc::clone(&known.inventory);
    known.create("ours").await;
    let answer = |status: u16, body: String| {
        let times = json!(1);
        json!({"kind": "status", "status": status, "times": times, "body": body})
    };
    fault(&server, answer(500, String::new()));
    let failure = known.read().await.expect_err("an error");
    assert_eq!(failure.cause, Cause::ServerError);
    assert_eq!(known.inventory, before);
    fault(&server, answer(200, " ".repeat(BODY_BYTES_MAX + 1)));
    assert_eq!(known.read().await, Ok(Some(Outcome::Partial(Why::TooLong))));
    assert_eq!(known.read().await, Ok(None));
    known.sweep().await;
    assert_eq!(
        known.read().await,
        Ok(Some(Outcome::Partial(Why::Unproven)))
    );
}

#[tokio::test]
async fn a_record_tells_when_its_page_was_requested() {
    let server = simulator().await;
    fill_in_turn(&server, 150, 0);
    let begun = clock::now();
    let mut known = Known::new(&server).await;
    let id = known.create("ours").await;
    let written = clock::now();
    known.read().await.expect("read");
    let seen = |id| known.inventory.seen(id).map(|(_, at)| at);
    assert!(seen(id).is_some_and(|at| at > written));
    let oldest = known.inventory.records().next().expect("some").id;
    assert!(seen(oldest).is_some_and(|at| at >= begun && at <= written));
}
