//! What kubectl, Argo CD, Flux and Helm make of an object at each moment of its life, and what happens when several of
//! them manage the same one.

mod argocd;
mod coexistence;
mod kstatus;
mod moments;
mod testdata;
