//! What the whole controller does in virtual time, where the cluster is a table.

mod kubernetes;
mod outage;
mod panics;
mod site;
