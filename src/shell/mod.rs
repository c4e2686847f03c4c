//! The only folder with async, sockets, clocks, randomness and the environment. What is decided
//! here is when and how, never what.

pub mod clock;
pub mod config;
pub mod controller;
pub mod health;
pub mod kube;
pub mod metrics;
pub mod probe;
pub mod swr;
pub mod telemetry;
pub mod verbs;
