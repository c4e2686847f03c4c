//! The world that tests of the simulator begin with. Must not know what they ask.

use jiff::Timestamp;

use super::{Account, World};
use crate::Options;
use crate::iam::User;
use crate::switches::Switches;

/// A new world with a user and these switches, and the time in it.
pub(crate) fn example(switches: &[&str]) -> (World, Timestamp) {
    let options = Options::default();
    let now: Timestamp = "2026-01-31T09:30:00Z".parse().unwrap();
    let mut chosen = Switches::default();
    for pair in switches {
        chosen.set_pair(pair).unwrap();
    }
    let account = Account {
        region: options.region,
        project: options.project,
        instances: options.instances,
        keys: options.keys,
        user: Some(User {
            domain: "acme".to_owned(),
            name: "robot".to_owned(),
            password: "hunter2".to_owned(),
        }),
        trust: options.trust,
    };
    (World::new(account, chosen, now), now)
}
