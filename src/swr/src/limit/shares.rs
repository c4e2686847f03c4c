//! Of those who share an account, each has one request at most in the line that all wait in, so that one
//! with many does not hold up one with few.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// A line for each that waits.
#[derive(Default)]
pub(super) struct Shares(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Shares {
    /// Waits until those of the same share that came before are through the line. Dropped, it is the next
    /// one's turn.
    pub(super) async fn turn(&self, share: &str) -> OwnedMutexGuard<()> {
        let line = {
            let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // There are no more lines than shares with somebody in them.
            lines.retain(|_, line| Arc::strong_count(line) > 1);
            Arc::clone(lines.entry(share.to_owned()).or_default())
        };
        line.lock_owned().await
    }
}
