//! The command line of the simulator. Must not print a secret.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;
use swr_simulator::{Keys, Options, Switches, Trust, User, serve};
use tokio::signal::unix::{SignalKind, signal};

/// Simulates Huawei Cloud SWR Enterprise on a loopback address
#[derive(Parser)]
#[command(name = "swr-simulator", after_help = switches_help())]
struct Arguments {
    /// Loopback address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Region, which is also the name of the project
    #[arg(long)]
    region: String,
    /// Project id
    #[arg(long, value_name = "ID")]
    project: String,
    /// Id of an instance; may be repeated
    #[arg(long = "instance", value_name = "ID", required = true)]
    instances: Vec<String>,
    /// Access key that requests must be signed with
    #[arg(long, value_name = "AK")]
    access_key: String,
    /// Its secret
    #[arg(long, value_name = "SK")]
    secret_key: String,
    /// Makes the access key a temporary one
    #[arg(long, value_name = "TOKEN")]
    security_token: Option<String>,
    /// IAM user who may get tokens by password
    #[arg(long, value_name = "NAME", requires_all = ["user_password", "user_domain"])]
    user_name: Option<String>,
    /// The user's password
    #[arg(long, value_name = "PASSWORD", requires = "user_name")]
    user_password: Option<String>,
    /// The user's account
    #[arg(long, value_name = "NAME", requires = "user_name")]
    user_domain: Option<String>,
    /// Chooses a behaviour; may be repeated
    #[arg(long = "switch", value_name = "NAME=VALUE")]
    switches: Vec<String>,
}

fn switches_help() -> String {
    let rows: Vec<String> = Switches::table()
        .iter()
        .map(|row| format!("  {}={}\n      {}", row.name, row.allowed, row.about))
        .collect();
    format!(
        "Switches, each with the values it takes and what it decides:\n{}",
        rows.join("\n")
    )
}

fn main() -> ExitCode {
    match start(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when stderr is closed, too.
            let _ = writeln!(io::stderr(), "swr-simulator: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: Arguments) -> io::Result<()> {
    let invalid = |message: String| io::Error::new(io::ErrorKind::InvalidInput, message);
    let mut switches = Switches::default();
    for pair in &arguments.switches {
        switches
            .set_pair(pair)
            .map_err(|unknown| invalid(unknown.to_string()))?;
    }
    let user = match (
        arguments.user_domain,
        arguments.user_name,
        arguments.user_password,
    ) {
        (Some(domain), Some(name), Some(password)) => Some(User {
            domain,
            name,
            password,
        }),
        _ => None,
    };
    let options = Options {
        listen: arguments.listen,
        region: arguments.region,
        project: arguments.project,
        instances: arguments.instances,
        keys: Keys {
            access_key: arguments.access_key,
            secret_key: arguments.secret_key,
            security_token: arguments.security_token,
        },
        user,
        // `PUT /_simulator/trust` changes it.
        trust: Trust::default(),
        switches,
    };
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(run(options))
}

/// Serves until SIGINT or SIGTERM.
async fn run(options: Options) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let server = serve(options).await?;
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on {}", server.url())?;
    stdout.flush()?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    server.shutdown().await;
    Ok(())
}
