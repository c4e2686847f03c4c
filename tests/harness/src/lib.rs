//! Starts and stops real processes: a Kubernetes control plane, the SWR simulator, the operator. Holds no opinion about
//! what the operator should do, and knows it only as a binary, a folder of YAML and a port.
//!
//! | Module | Job |
//! |---|---|
//! | [`process`] | a child that ends with us, however we end |
//! | [`assets`] | the control plane's binaries: given, cached, or built by Go |
//! | [`minors`] | API servers of the earlier versions of Kubernetes that are claimed |
//! | `gomodule` | a Go module whose tools are built once |
//! | [`promtool`] | the checker that comes with Prometheus |
//! | [`controlplane`] | etcd, kube-apiserver, kube-controller-manager on loopback |
//! | [`mod@kubectl`] | the real kubectl, the installation, kubeconfigs |
//! | [`operator`] | the operator as a process |
//! | [`simulator`] | the SWR simulator as a process, and its control surface |
//! | [`bed`] | all of it together, as `cargo dev up` and `cargo dev demo` use it |
//! | [`demo`] | the story that `cargo dev demo` tells |
//! | [`suite`] | `cargo dev test`, `cargo dev faults` |
//! | [`scenarios`] | what of `docs/reliability.md` passed |
//! | [`bench`] | `cargo dev bench` |
//! | [`soak`] | `cargo dev soak` |
//! | [`fuzz`] | `cargo dev fuzz` |
//! | [`image`] | `cargo dev image` |
//! | [`node`] | `cargo dev node` |
//! | [`sbom`] | `cargo dev sbom` |
//! | [`site`] | `cargo dev site` |
//! | [`tools`] | programs of others, installed from crates once; `cargo dev deny` |
//! | [`proxy`] | between an operator and the API server: stops a request, or answers it otherwise |
//! | [`wait`] | waits with a deadline that say what they saw last |

#![forbid(unsafe_code)]

pub mod assets;
pub mod bed;
pub mod bench;
pub mod cargo;
pub mod controlplane;
pub mod demo;
pub mod environment;
pub mod error;
pub mod front;
pub mod fuzz;
mod gomodule;
pub mod http;
pub mod image;
pub mod kubectl;
pub mod minors;
pub mod node;
pub mod operator;
pub mod pki;
pub mod process;
pub mod progress;
pub mod promtool;
pub mod proxy;
pub mod sbom;
pub mod scenarios;
pub mod simulator;
pub mod site;
pub mod soak;
pub mod suite;
pub mod tools;
pub mod wait;

pub use controlplane::ControlPlane;
pub use error::Error;
pub use http::get_text;
pub use kubectl::{apply_install, kubectl, kubectl_stdout, service_account_kubeconfig};
pub use operator::{Operator, OperatorOptions};
pub use simulator::{Simulator, SimulatorOptions};
pub use wait::{eventually, eventually_blocking};
