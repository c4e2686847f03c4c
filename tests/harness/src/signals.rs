//! Ctrl-C, SIGTERM and SIGHUP. While something is being built or told they end the process at once, and the children
//! with it; once it is up, they are a request to end in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use harness::Error;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals as Arrivals;

pub(crate) struct Signals {
    /// Somebody waits for a signal and will end things in order.
    awaited: Arc<AtomicBool>,
    arrivals: Receiver<()>,
}

impl Signals {
    pub(crate) fn listen() -> Result<Self, Error> {
        let arrivals =
            Arrivals::new([SIGHUP, SIGINT, SIGTERM]).map_err(Error::io("listen for signals"))?;
        let awaited = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = channel();
        let shared = Arc::clone(&awaited);
        std::thread::spawn(move || forward(arrivals, &shared, &sender));
        Ok(Self {
            awaited,
            arrivals: receiver,
        })
    }

    /// Waits for a signal, but not longer than this.
    pub(crate) fn arrived(&self, length: Duration) -> bool {
        self.awaited.store(true, Ordering::Relaxed);
        !matches!(
            self.arrivals.recv_timeout(length),
            Err(RecvTimeoutError::Timeout)
        )
    }
}

#[expect(
    clippy::exit,
    reason = "the lifelines close with the process, and that is what ends the children"
)]
fn forward(mut arrivals: Arrivals, awaited: &AtomicBool, sender: &Sender<()>) {
    for signal in arrivals.forever() {
        // The second signal of an impatient person finds nobody waiting and ends at once.
        if !awaited.swap(false, Ordering::Relaxed) || sender.send(()).is_err() {
            std::process::exit(128 + signal);
        }
    }
}
