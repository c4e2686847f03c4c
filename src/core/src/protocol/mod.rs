//! One action -> single requests, each safe whatever crashed before it (docs/protocol.md).

pub mod effect;
pub mod preview;
pub mod reconcile;
pub mod step;
