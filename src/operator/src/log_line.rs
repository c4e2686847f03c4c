//! A log line as one JSON object, each key once. Its keys are those of controller-runtime, so that queries
//! and dashboards made for other operators read these lines, too.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// What every line has. A field of the same name is left out.
const ALWAYS: [&str; 4] = ["ts", "level", "msg", "logger"];
/// The name that `tracing` gives to the text of an event.
const TEXT: &str = "message";

/// Writes events with the fields of the spans around them. Those must be kept as JSON.
pub(crate) struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut members = Members::default();
        let spans = context.event_scope().into_iter();
        for span in spans.flat_map(tracing_subscriber::registry::Scope::from_root) {
            let extensions = span.extensions();
            if let Some(fields) = extensions.get::<FormattedFields<N>>()
                && let Ok(fields) = serde_json::from_str::<Map<String, Value>>(fields)
            {
                members.0.extend(fields);
            }
        }
        event.record(&mut members);
        let Members(mut members) = members;
        let metadata = event.metadata();
        let text = members.remove(TEXT).unwrap_or_default();
        members.retain(|key, _| !ALWAYS.contains(&key.as_str()));

        writer.write_str("{\"ts\":\"")?;
        SystemTime.format_time(&mut writer)?;
        let level = metadata.level().as_str().to_ascii_lowercase();
        write!(writer, "\",\"level\":\"{level}\",\"msg\":{text}")?;
        for (key, value) in members {
            write!(writer, ",{}:{value}", Value::from(key))?;
        }
        writeln!(writer, ",\"logger\":{}}}", Value::from(metadata.target()))
    }
}

/// The fields of an event. One that comes twice counts as it came last.
#[derive(Default)]
struct Members(Map<String, Value>);

impl Members {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        // `r#type` is how Rust writes a field that is named as a word of its own.
        let name = field.name();
        let name = name.strip_prefix("r#").unwrap_or(name);
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Members {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::format::JsonFields;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("lines").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The one line that this logs, behind its time.
    fn line(log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(JsonLine)
            .fmt_fields(JsonFields::new())
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, log);
        let bytes = lines.0.lock().expect("lines").clone();
        let text = String::from_utf8(bytes).expect("text");
        let (time, rest) = text.split_once(',').expect("a time and more");
        assert!(
            time.starts_with("{\"ts\":\"2") && time.ends_with("Z\""),
            "{time}"
        );
        rest.to_owned()
    }

    #[test]
    fn a_line_has_the_fields_of_its_spans_and_each_key_once() {
        let logged = line(|| {
            let reconcile = tracing::error_span!("reconcile", namespace = "images", name = "a");
            let _in_reconcile = reconcile.enter();
            tracing::info!(
                name = "b",
                n = 7,
                msg = "no",
                ok = true,
                "status \"written\""
            );
        });
        assert_eq!(
            logged,
            "\"level\":\"info\",\"msg\":\"status \\\"written\\\"\",\"n\":7,\"name\":\"b\",\
             \"namespace\":\"images\",\"ok\":true,\
             \"logger\":\"swr_operator::log_line::tests\"}\n"
        );
    }
}
