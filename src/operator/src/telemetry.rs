//! Logs: JSON lines on stderr for machines, text for people.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::log_line::JsonLine;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

/// E4: at WARN, kube-client logs the whole body of an answer that it cannot decode, and that may
/// be a Secret. Whatever level is asked for, these targets stay off.
const NEVER: [&str; 3] = ["kube_client", "hyper", "h2"];
/// And this one stays on: every write to SWR leaves its line.
const ALWAYS: &str = "audit=info";

/// Sets the process's logger up, once.
///
/// # Errors
/// When `level` is not a filter, such as `info` or `swr_operator=debug`.
pub(crate) fn init(
    level: &str,
    format: LogFormat,
) -> Result<(), tracing_subscriber::filter::ParseError> {
    let mut filter = EnvFilter::try_new(level)?;
    filter = filter.add_directive(ALWAYS.parse()?);
    // A filter of its own: a directive for a longer target would win over one for a shorter.
    let never = filter_fn(|metadata| {
        let target = metadata.target();
        !NEVER.iter().any(|prefix| target.starts_with(prefix))
    });
    let registry = tracing_subscriber::registry().with(filter).with(never);
    match format {
        LogFormat::Json => registry
            .with(
                fmt::layer()
                    .event_format(JsonLine)
                    .fmt_fields(JsonFields::new())
                    .with_writer(std::io::stderr),
            )
            .init(),
        LogFormat::Text => registry
            .with(fmt::layer().with_writer(std::io::stderr))
            .init(),
    }
    // Else Rust writes a panic as lines of its own between those that a machine reads.
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        let text = panic.payload_as_str().unwrap_or_default();
        tracing::error!(at, "panicked: {text}");
    }));
    Ok(())
}
