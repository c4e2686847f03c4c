//! OpenMetrics -> the text format that every Prometheus and every person reads.

use std::fmt::Write as _;

/// What OpenMetrics writes differently: the name of a family of counters lacks the `_total` of its
/// samples, units have a line of their own, and there are types that the older format lacks.
pub(super) fn prometheus(open: &str) -> String {
    // Writing to a String cannot fail.
    let mut text = String::with_capacity(open.len());
    // The HELP line comes before the TYPE line, which alone tells a counter.
    let mut help: Option<(&str, &str)> = None;
    for line in open.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = Some(rest.split_once(' ').unwrap_or((rest, "")));
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, type_) = rest.split_once(' ').unwrap_or((rest, "unknown"));
            let (suffix, type_) = match type_ {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some((_, words)) = help.take() {
                let _ = writeln!(text, "# HELP {name}{suffix} {words}");
            }
            let _ = writeln!(text, "# TYPE {name}{suffix} {type_}");
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_infos_are_named_as_their_samples() {
        let open = "\
# HELP a_b Things.
# TYPE a_b counter
a_b_total{x=\"# TYPE\"} 1
# HELP swr_build Version.
# TYPE swr_build info
swr_build_info{version=\"1\"} 1
# HELP t_seconds Time.
# TYPE t_seconds histogram
# UNIT t_seconds seconds
t_seconds_bucket{le=\"+Inf\"} 0
# EOF
";
        let expected = "\
# HELP a_b_total Things.
# TYPE a_b_total counter
a_b_total{x=\"# TYPE\"} 1
# HELP swr_build_info Version.
# TYPE swr_build_info gauge
swr_build_info{version=\"1\"} 1
# HELP t_seconds Time.
# TYPE t_seconds histogram
t_seconds_bucket{le=\"+Inf\"} 0
";
        assert_eq!(prometheus(open), expected);
    }
}
