//! The series of the daemon itself, and what is read from outside at each scrape.

use super::page::{Page, count, seconds};
use super::table;
use crate::store::Own;

/// What is read at each scrape, beside the snapshot.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// What the kernel counts of this process.
    pub process: Process,
    /// Where each secret is kept, and the seconds since its file changed.
    pub credentials: Vec<(String, f64)>,
}

/// What the kernel counts of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process {
    /// CPU seconds.
    pub cpu: f64,
    /// Resident bytes.
    pub rss: f64,
    /// Virtual bytes.
    pub vsize: f64,
    /// Open descriptors.
    pub fds: f64,
    /// Descriptors at most.
    pub max_fds: f64,
}

/// Adds them.
pub(super) fn put(page: &mut Page, own: &Own, outside: &Outside) {
    page.put(table::BUILD_INFO, &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    page.put(table::RELOAD_OK, &[], f64::from(u8::from(own.reload_ok)));
    page.put(table::RELOAD_AT, &[], seconds(own.reloaded));
    page.put(table::LATE, &[], count(own.late));
    page.put(table::PANICS, &[], count(own.panics));
    page.put(table::ALERTS_FAILED, &[], count(own.alerts_failed));
    page.put(table::STARTED, &[], seconds(own.started));
    let Outside { process, credentials } = outside;
    page.put(table::CPU, &[], process.cpu);
    page.put(table::RSS, &[], process.rss);
    page.put(table::VSIZE, &[], process.vsize);
    page.put(table::OPEN_FDS, &[], process.fds);
    page.put(table::MAX_FDS, &[], process.max_fds);
    for (credential, age) in credentials {
        page.put(table::CREDENTIAL_AGE, &[("credential", credential)], *age);
    }
}
