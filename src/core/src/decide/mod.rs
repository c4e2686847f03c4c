//! Desired x observed -> one action and its reason.

pub mod diff;
pub mod grant;
pub mod plan;
