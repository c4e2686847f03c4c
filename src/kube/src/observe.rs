//! What these clients tell whoever counts. They count nothing themselves.

/// Is told of the requests to the API server.
pub trait ObserveRequests: Send + Sync {
    /// The head of an answer came, or there is none.
    fn ended(&self, host: &str, method: &str, status: Option<u16>);
}

/// Counts nothing.
#[derive(Clone, Copy, Debug)]
pub struct Unobserved;

impl ObserveRequests for Unobserved {
    fn ended(&self, _: &str, _: &str, _: Option<u16>) {}
}
