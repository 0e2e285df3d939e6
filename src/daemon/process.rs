//! What the kernel counts of this process (`proc_pid_stat(5)`), for the metrics that every exporter has; and that
//! its memory, which holds keys, is left to nobody.

use jiff::Timestamp;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::publish::metrics::Process;

/// Linux reports times to user space in hundredths of a second on every architecture (USER_HZ).
const TICKS: f64 = 100.0;
/// Pages are read from `statm`; every supported target has 4 KiB ones by default.
const PAGE: f64 = 4096.0;

/// The counters, as of now; what cannot be read is 0.
pub fn read() -> Process {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in brackets may hold anything: count from behind it.
    let fields: Vec<f64> = stat
        .rsplit_once(')')
        .map(|(_, rest)| {
            rest.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect()
        })
        .unwrap_or_default();
    let field = |place: usize| fields.get(place).copied().unwrap_or_default();
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Vec<f64> =
        statm.split_whitespace().map(|page| page.parse().unwrap_or(0.0)).collect();
    let page = |place: usize| pages.get(place).copied().unwrap_or_default() * PAGE;
    let fds = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    Process {
        cpu: (field(11) + field(12)) / TICKS,
        rss: page(1),
        vsize: page(0),
        fds: f64::from(u32::try_from(fds).unwrap_or(u32::MAX)),
        max_fds: max_fds(),
    }
}

fn max_fds() -> f64 {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok()).unwrap_or_default()
}

/// No core file is written, not to a pipe either, which a limit would not stop (`core(5)`); and who is not root reads
/// neither memory nor environment in `/proc` (`PR_SET_DUMPABLE(2const)`).
pub fn keep_memory() -> std::io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// The wall clock.
#[expect(clippy::disallowed_methods, reason = "the daemon is where time comes in")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
