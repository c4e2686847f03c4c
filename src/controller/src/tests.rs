//! What several parts of the controller do together, in virtual time and without Kubernetes.

mod outage;
mod reconcile;
mod shell;
mod site;
