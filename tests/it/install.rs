//! The ways into a cluster and out of it: what lies in `deploy/` holds together, the API server takes it, and the
//! documents are followed to the letter on a control plane of their own.

mod documents;
mod kinds;
mod manifests;
mod namespaced;
mod place;
mod trial;
