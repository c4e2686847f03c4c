//! The one place of the harness that reads the clock, the environment and the checkout's location, and that sleeps.

use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::Error;

#[expect(
    clippy::disallowed_methods,
    reason = "the clock of the harness: deadlines and durations of real processes"
)]
pub fn now() -> Instant {
    Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "compared with the times that other processes of this machine write down"
)]
pub fn timestamp() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "between two looks at a real process; every caller has a deadline"
)]
pub fn pause(length: Duration) {
    std::thread::sleep(length);
}

/// A variable of the environment; empty counts as absent.
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The folder of this checkout: the one we are started in, else the one we were built in. With a target folder that
/// several checkouts share, the two can differ.
pub fn checkout() -> PathBuf {
    let is_checkout = |folder: &&Path| folder.join("tests/harness/Cargo.toml").is_file();
    let started_in = std::env::current_dir().unwrap_or_default();
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = started_in
        .ancestors()
        .chain(built_in.ancestors())
        .find(is_checkout);
    found.unwrap_or(built_in).to_path_buf()
}

/// Where `cargo dev` keeps what a person may want to look at.
pub fn dev_folder() -> PathBuf {
    checkout().join("target/dev")
}

/// Where builds live that should outlast a checkout.
pub fn cache_folder() -> Result<PathBuf, Error> {
    let base = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".cache")));
    base.map(|base| base.join("swr-operator")).ok_or_else(|| {
        Error::unmet(
            "a cache folder",
            "neither XDG_CACHE_HOME nor HOME is set",
            "set one of them",
        )
    })
}

/// The program's path, if it is on the PATH.
pub fn find_program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&variable("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// Ports of loopback that were free a moment ago, all different.
pub fn free_ports<const N: usize>() -> Result<[u16; N], Error> {
    // All listeners are held until the last port is known, so that no port is given twice.
    let mut listeners = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .map_err(Error::io("find a free port on 127.0.0.1"))?;
        *port = listener
            .local_addr()
            .map_err(Error::io("read the port of a listener"))?
            .port();
        listeners.push(listener);
    }
    Ok(ports)
}
