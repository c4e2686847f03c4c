//! What several parts of the controller do together, in virtual time and without a cluster.

mod kubernetes;
mod outage;
mod panics;
mod shell;
mod site;
