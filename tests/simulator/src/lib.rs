//! Huawei Cloud SWR Enterprise as its documents describe it, with the sources of credentials that a client of it needs.
//! Must not know any client: no type of the operator comes in here, so that a shared mistake cannot hide.
//!
//! [`world`] is the cloud as a value: `World::handle(request, now)` checks signature and token, then answers. Around
//! it stand the [`faults`] that a test scripts, the [`journal`] of what was asked, the [`control`] surface and, in
//! [`serve`], the sockets and the clock. Where the documents are silent, [`switches`] choose among the answers that
//! are possible.
//!
//! ```no_run
//! # async fn demo() -> std::io::Result<()> {
//! use swr_simulator::{Options, serve};
//!
//! let server = serve(Options::default()).await?;
//! let endpoint = server.url(); // "http://127.0.0.1:43210"
//! server.with(|simulator, _now| simulator.world.switches.set("create_status", "200")).expect("a known switch");
//! server.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! Left out: replication policies (only their effect on DELETE is there), the signature of ID tokens, HTTP/2 and gzip.

pub mod body;
pub mod control;
pub mod faults;
pub mod iam;
pub mod journal;
pub mod listing;
pub mod message;
pub mod refusal;
pub mod registry;
pub mod route;
pub mod sign;
pub mod switches;
pub mod world;

mod http;

use std::net::{Ipv4Addr, SocketAddr};

use jiff::Timestamp;

pub use crate::http::{Server, serve};
pub use crate::iam::{Trust, User};
pub use crate::sign::Keys;
pub use crate::switches::Switches;

use crate::faults::Faults;
use crate::journal::Journal;
use crate::world::{Account, World};

/// How a simulator starts.
#[derive(Clone)]
pub struct Options {
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    pub region: String,
    pub project: String,
    /// Ids of the instances, all `Running` and empty.
    pub instances: Vec<String>,
    pub keys: Keys,
    /// Who may get tokens by password; `None`: nobody.
    pub user: Option<User>,
    /// Whom the account trusts: agency, identity provider, audience.
    pub trust: Trust,
    pub switches: Switches,
}

impl Default for Options {
    /// An account of example values with one instance.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            region: "cn-north-4".to_owned(),
            project: "0605767a3a80d5762fb2c00a1b2c3d4e".to_owned(),
            instances: vec!["1d7a1e6c-9f0b-4c1e-8a2f-3b5d7e9c0a11".to_owned()],
            keys: Keys {
                access_key: "AKIDEXAMPLE0000SWR01".to_owned(),
                secret_key: "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00".to_owned(),
                security_token: None,
            },
            user: None,
            trust: Trust::default(),
            switches: Switches::default(),
        }
    }
}

/// The cloud, what is scripted against its clients, and what they asked.
#[derive(Clone)]
pub struct Simulator {
    pub world: World,
    pub faults: Faults,
    pub journal: Journal,
}

impl Simulator {
    pub fn new(options: Options, now: Timestamp) -> Self {
        let account = Account {
            region: options.region,
            project: options.project,
            instances: options.instances,
            keys: options.keys,
            user: options.user,
            trust: options.trust,
        };
        Self {
            world: World::new(account, options.switches, now),
            faults: Faults::default(),
            journal: Journal::default(),
        }
    }
}
