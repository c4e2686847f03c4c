//! What a reconcile found and did -> what people read, and when to reconcile again.

pub mod account;
pub mod event;
pub mod requeue;
pub mod status;
pub mod summary;
