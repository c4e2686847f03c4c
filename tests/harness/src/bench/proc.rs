//! /proc -> processor time and memory of one process. Signals nothing and knows no process by name.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::environment;

/// One read of /proc/PID/status takes about 30 us, so this costs 0.2 % of a core.
const SAMPLE: Duration = Duration::from_millis(20);

/// User and system time that a process has used so far, in seconds. 0 for a process that has ended.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let ticks = fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|text| ticks(&text))
        .unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "ticks of hours fit in 52 bits")]
    let seconds = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    seconds
}

/// Fields 14 and 15 of /proc/PID/stat. The second field is the name in parentheses, which may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// In KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) rss: u64,
    pub(crate) rss_anon: u64,
    /// Since the process began, or since [`forget_peak`].
    pub(crate) rss_peak: u64,
}

/// What a process holds. Zeros for one that has ended.
pub(crate) fn memory(pid: u32) -> Memory {
    fs::read_to_string(format!("/proc/{pid}/status"))
        .map(|text| memory_of(&text))
        .unwrap_or_default()
}

fn memory_of(status: &str) -> Memory {
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .and_then(|value| value.trim().strip_suffix(" kB")?.parse().ok())
            .unwrap_or_default()
    };
    Memory {
        rss: field("VmRSS"),
        rss_anon: field("RssAnon"),
        rss_peak: field("VmHWM"),
    }
}

/// How many files, sockets and the like a process has open. 0 for one that has ended.
pub(crate) fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Starts the peak of a process's RSS anew. See `clear_refs` in proc(5): 5 resets VmHWM.
pub(crate) fn forget_peak(pid: u32) {
    // A kernel that refuses keeps the peak since the start, which is then what the figure says.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// Load of the last minute.
pub(crate) fn load() -> f64 {
    fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split_ascii_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

/// The value of the first such line of /proc/cpuinfo or /proc/meminfo.
pub(crate) fn machine_fact(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    value.unwrap_or_default()
}

/// Samples RssAnon until it is asked for the peak: the kernel keeps a peak of RSS only.
pub(crate) struct AnonPeak {
    stop: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl AnonPeak {
    pub(crate) fn of(pid: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let peak = Arc::new(AtomicU64::new(0));
        let (stopped, highest) = (Arc::clone(&stop), Arc::clone(&peak));
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                highest.fetch_max(memory(pid).rss_anon, Ordering::Relaxed);
                environment::pause(SAMPLE);
            }
        });
        Self {
            stop,
            peak,
            thread: Some(thread),
        }
    }

    /// In KiB.
    pub(crate) fn finish(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has no reason to panic, and a figure less is not worth a run.
            let _ = thread.join();
        }
        self.peak.load(Ordering::Relaxed)
    }
}

impl Drop for AnonPeak {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_a_name_with_spaces_and_parentheses() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 900 0 0 0 700 55 9 9 20 0 8 0 100 1000 10";
        assert_eq!(ticks(stat), Some(755));
        assert_eq!(ticks("42 (a"), None);
    }

    #[test]
    fn memory_is_read_in_kib() {
        let status = "Name:\tx\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\nRssAnon:\t    4096 kB\n";
        let read = memory_of(status);
        assert_eq!(
            read,
            Memory {
                rss: 10_240,
                rss_anon: 4_096,
                rss_peak: 20_480
            }
        );
        assert_eq!(memory_of("Name:\tkthreadd\n"), Memory::default());
    }

    #[test]
    fn this_process_has_memory_and_files() {
        let pid = std::process::id();
        let sampler = AnonPeak::of(pid);
        assert!(memory(pid).rss > 0);
        assert!(cpu_seconds(pid) >= 0.0);
        assert!(open_files(pid) > 2);
        drop(sampler);
    }
}
