//! What this client tells whoever counts. It counts nothing itself.

use std::time::Duration;

/// Is told of the requests of all accounts.
pub trait ObserveRequests: Send + Sync {
    /// A request ended. `status` is missing if there was no answer, `error_code` if the cloud named none.
    fn ended(
        &self,
        operation: &'static str,
        status: Option<u16>,
        error_code: Option<&str>,
        took: Duration,
    );
}

/// Is told of one account.
pub trait ObserveAccount: Send + Sync {
    /// A request waited for this long before it could go.
    fn waited(&self, time: Duration);

    /// Whether the key is known to be refused.
    fn circuit_is(&self, open: bool);
}

/// Counts nothing.
#[derive(Clone, Copy, Debug)]
pub struct Unobserved;

impl ObserveRequests for Unobserved {
    fn ended(&self, _: &'static str, _: Option<u16>, _: Option<&str>, _: Duration) {}
}

impl ObserveAccount for Unobserved {
    fn waited(&self, _: Duration) {}

    fn circuit_is(&self, _: bool) {}
}
