//! One line for Icinga and Nagios (the monitoring-plugins guidelines): status, summary, performance data.

use crate::cause::Status;
use crate::store::Snapshot;

/// A first line at most.
const LINE: usize = 200;

/// The line of a snapshot.
pub fn line(snapshot: &Snapshot) -> String {
    let worst = snapshot.targets.values().max_by_key(|target| target.status());
    let status = worst.map_or(Status::Unknown, |target| target.status());
    let word = match status {
        Status::Ok => "OK",
        Status::Degraded => "WARNING",
        Status::Broken => "CRITICAL",
        Status::Unknown => "UNKNOWN",
    };
    let summary = worst
        .and_then(|target| target.verdict.as_ref())
        .map_or("nothing was checked", |verdict| verdict.summary.as_str());
    // A bar would begin the performance data.
    let text: String = super::shown(&format!("EGRESSD {word} - {summary}")).replace('|', "/");
    let line: String = text.chars().take(LINE).collect();
    let count =
        |wanted| snapshot.targets.values().filter(|target| target.status() == wanted).count();
    format!(
        "{line} | ok={} degraded={} broken={} unknown={}",
        count(Status::Ok),
        count(Status::Degraded),
        count(Status::Broken),
        count(Status::Unknown),
    )
}
