//! What the kernel says of this process -> `process_*`, read when a scrape asks. What it does not say has no series.

use std::fmt;

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use swr_operator_clock as clock;
use tokio::time::Instant;

pub(super) fn register(registry: &mut Registry) {
    let process = Process {
        started_at: clock::wall(),
        begun: Instant::now(),
    };
    registry
        .sub_registry_with_prefix("process")
        .register_collector(Box::new(process));
}

#[derive(Debug)]
struct Process {
    started_at: Timestamp,
    begun: Instant,
}

#[derive(Debug, Default)]
struct Usage {
    cpu_secs: Option<f64>,
    virtual_bytes: Option<u64>,
    resident_bytes: Option<u64>,
    threads: Option<u64>,
    open_fds: Option<u64>,
    max_fds: Option<u64>,
    received_bytes: Option<u64>,
    sent_bytes: Option<u64>,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_times(&mut encoder)?;
        usage().encode(&mut encoder)
    }
}

impl Process {
    fn encode_times(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        gauge(
            encoder,
            "start_time",
            "Time that the process started (in seconds since the UNIX epoch).",
            Some(&Unit::Seconds),
            Some(self.started_at.as_duration().as_secs_f64()),
        )?;
        gauge(
            encoder,
            "clock_time",
            "Current system time for this process.",
            Some(&Unit::Seconds),
            Some(clock::wall().as_second()),
        )?;
        counter(
            encoder,
            "uptime",
            "Total time since the process started (in seconds).",
            &Unit::Seconds,
            Some(self.begun.elapsed().as_secs_f64()),
        )
    }
}

impl Usage {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        counter(
            encoder,
            "cpu",
            "Total user and system CPU time spent in seconds.",
            &Unit::Seconds,
            self.cpu_secs,
        )?;
        for (name, help, unit, value) in [
            (
                "virtual_memory",
                "Virtual memory size in bytes.",
                Some(&Unit::Bytes),
                self.virtual_bytes,
            ),
            (
                "resident_memory",
                "Resident memory size in bytes.",
                Some(&Unit::Bytes),
                self.resident_bytes,
            ),
            (
                "open_fds",
                "Number of open file descriptors.",
                None,
                self.open_fds,
            ),
            (
                "max_fds",
                "Maximum number of open file descriptors.",
                None,
                self.max_fds,
            ),
            (
                "threads",
                "Number of OS threads in the process.",
                None,
                self.threads,
            ),
        ] {
            gauge(encoder, name, help, unit, value)?;
        }
        for (name, help, value) in [
            (
                "network_receive",
                "Number of bytes received by the process over the network.",
                self.received_bytes,
            ),
            (
                "network_transmit",
                "Number of bytes sent by the process over the network.",
                self.sent_bytes,
            ),
        ] {
            counter(encoder, name, help, &Unit::Bytes, value)?;
        }
        Ok(())
    }
}

fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    value: Option<impl EncodeGaugeValue>,
) -> fmt::Result {
    let Some(value) = value else { return Ok(()) };
    encoder
        .encode_descriptor(name, help, unit, MetricType::Gauge)?
        .encode_gauge(&value)
}

fn counter<V: EncodeCounterValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: &Unit,
    value: Option<V>,
) -> fmt::Result {
    let Some(value) = value else { return Ok(()) };
    encoder
        .encode_descriptor(name, help, Some(unit), MetricType::Counter)?
        .encode_counter::<NoLabelSet, V, u64>(&value, None)
}

#[cfg(target_os = "linux")]
use linux::usage;

#[cfg(not(target_os = "linux"))]
fn usage() -> Usage {
    Usage::default()
}

/// proc(5), and two system calls that say what no file says better: CPU time in nanoseconds instead of ticks, and a
/// limit as a number.
#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::time::Duration;

    use rustix::process::{Resource, getrlimit};
    use rustix::time::{ClockId, clock_gettime};

    use super::Usage;

    pub(super) fn usage() -> Usage {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let netstat = fs::read_to_string("/proc/self/net/netstat").unwrap_or_default();
        let cpu = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).ok();
        Usage {
            cpu_secs: cpu.map(|cpu| cpu.as_secs_f64()),
            virtual_bytes: of_status(&status, "VmSize").map(bytes),
            resident_bytes: of_status(&status, "VmRSS").map(bytes),
            threads: of_status(&status, "Threads"),
            open_fds: open_fds(),
            max_fds: getrlimit(Resource::Nofile).current,
            received_bytes: of_netstat(&netstat, "InOctets"),
            sent_bytes: of_netstat(&netstat, "OutOctets"),
        }
    }

    fn bytes(kibibytes: u64) -> u64 {
        kibibytes.saturating_mul(1024)
    }

    /// The one that this looks with is among them.
    fn open_fds() -> Option<u64> {
        let open = fs::read_dir("/proc/self/fd").ok()?.flatten().count();
        u64::try_from(open).ok()
    }

    /// The number of a line such as `VmRSS: 17408 kB`.
    fn of_status(status: &str, name: &str) -> Option<u64> {
        let value = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value?.split_whitespace().next()?.parse().ok()
    }

    /// One line has the names, the next one the values in the same order.
    fn of_netstat(netstat: &str, name: &str) -> Option<u64> {
        let mut lines = netstat
            .lines()
            .filter_map(|line| line.strip_prefix("IpExt: "));
        let (names, values) = (lines.next()?, lines.next()?);
        let at = names.split(' ').position(|known| known == name)?;
        values.split(' ').nth(at)?.parse().ok()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_number_is_found_by_its_whole_name() {
            let status = "Name:\tVmSize\nVmSizes:\t1 kB\nVmSize:\t  76404 kB\nThreads:\t3\n";
            assert_eq!(of_status(status, "VmSize"), Some(76_404));
            assert_eq!(of_status(status, "Threads"), Some(3));
            assert_eq!(of_status(status, "VmRSS"), None);
            assert_eq!(of_status(status, "Name"), None);
            let netstat = "TcpExt: InOctets\nTcpExt: 1\nIpExt: InMcastOctets InOctets OutOctets\nIpExt: 2 3 4\n";
            assert_eq!(of_netstat(netstat, "InOctets"), Some(3));
            assert_eq!(of_netstat(netstat, "OutOctets"), Some(4));
            assert_eq!(of_netstat(netstat, "Octets"), None);
            assert_eq!(of_netstat("IpExt: InOctets\n", "InOctets"), None);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Without the values, which nobody knows before.
    fn shown(text: &str) -> String {
        let shape = |line: &str| match line.starts_with('#') {
            true => format!("{line}\n"),
            false => format!("{}\n", line.split(' ').next().unwrap_or_default()),
        };
        text.lines().map(shape).collect()
    }

    #[test]
    fn the_process_has_the_series_that_dashboards_know() {
        let mut registry = Registry::default();
        register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).expect("text");
        expect_test::expect![[r#"
            # HELP process_start_time_seconds Time that the process started (in seconds since the UNIX epoch).
            # TYPE process_start_time_seconds gauge
            # UNIT process_start_time_seconds seconds
            process_start_time_seconds
            # HELP process_clock_time_seconds Current system time for this process.
            # TYPE process_clock_time_seconds gauge
            # UNIT process_clock_time_seconds seconds
            process_clock_time_seconds
            # HELP process_uptime_seconds Total time since the process started (in seconds).
            # TYPE process_uptime_seconds counter
            # UNIT process_uptime_seconds seconds
            process_uptime_seconds_total
            # HELP process_cpu_seconds Total user and system CPU time spent in seconds.
            # TYPE process_cpu_seconds counter
            # UNIT process_cpu_seconds seconds
            process_cpu_seconds_total
            # HELP process_virtual_memory_bytes Virtual memory size in bytes.
            # TYPE process_virtual_memory_bytes gauge
            # UNIT process_virtual_memory_bytes bytes
            process_virtual_memory_bytes
            # HELP process_resident_memory_bytes Resident memory size in bytes.
            # TYPE process_resident_memory_bytes gauge
            # UNIT process_resident_memory_bytes bytes
            process_resident_memory_bytes
            # HELP process_open_fds Number of open file descriptors.
            # TYPE process_open_fds gauge
            process_open_fds
            # HELP process_max_fds Maximum number of open file descriptors.
            # TYPE process_max_fds gauge
            process_max_fds
            # HELP process_threads Number of OS threads in the process.
            # TYPE process_threads gauge
            process_threads
            # HELP process_network_receive_bytes Number of bytes received by the process over the network.
            # TYPE process_network_receive_bytes counter
            # UNIT process_network_receive_bytes bytes
            process_network_receive_bytes_total
            # HELP process_network_transmit_bytes Number of bytes sent by the process over the network.
            # TYPE process_network_transmit_bytes counter
            # UNIT process_network_transmit_bytes bytes
            process_network_transmit_bytes_total
            # EOF
        "#]].assert_eq(&shown(&text));
    }

    #[test]
    fn what_is_read_is_of_this_process() {
        let few = usage();
        let files: Vec<_> = (0..5)
            .map(|_| std::fs::File::open("/proc/self/status").expect("a file"))
            .collect();
        let block = std::hint::black_box(vec![1_u8; 64 * 1024 * 1024]);
        let many = usage();
        drop((files, block));
        // Other tests run beside this one, so they may have opened and closed some.
        assert!(many.open_fds > Some(5) && many.open_fds < many.max_fds);
        assert!(many.resident_bytes > Some(64 * 1024 * 1024), "{many:?}");
        assert!(many.virtual_bytes > many.resident_bytes, "{many:?}");
        assert!(many.cpu_secs > few.cpu_secs, "{few:?}, {many:?}");
        assert!(many.threads >= Some(1), "{many:?}");
    }
}
