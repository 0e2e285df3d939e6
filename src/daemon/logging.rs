//! Log lines: text on standard error, or fields in the journal; one line for each change of a verdict.

use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::environment;
use crate::cause::Status;
use crate::plan::{Log, LogFormat};
use crate::publish::{api, shown};
use crate::store::{Change, Document, Restored};

/// Begins to log as the plan says. A journal that cannot be reached falls back to text.
pub fn start(log: &Log) {
    // The plan has parsed the filter once; a level that it cannot have is not a reason to be silent.
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let journal = match log.format {
        LogFormat::Journald => true,
        LogFormat::Auto => environment::logs_to_journal(),
        LogFormat::Text => false,
    };
    let journal = if journal { tracing_journald::layer().ok() } else { None };
    let started = match journal {
        Some(journal) => {
            let journal = journal
                .with_field_prefix(Some("EGRESSD".to_owned()))
                .with_syslog_identifier("egressd".to_owned());
            tracing_subscriber::registry().with(filter).with(journal).try_init()
        }
        None => tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_target(false)
            .finish()
            .try_init(),
    };
    if let Err(error) = started {
        warn!(%error, "logging was started before");
    }
}

/// What goes on after a restart.
pub(super) fn restored(document: &Document, restored: Restored) {
    let Restored { checks, verdicts } = restored;
    let written = api::time(document.written());
    info!("state: of {written}: counters of {checks} checks go on, {verdicts} verdicts stand");
}

/// One line for a verdict that changed. Names are configured ones, the rest our own words.
pub(super) fn change(change: &Change) {
    let check = &change.now;
    let finding = check.verdict().and_then(|verdict| verdict.finding.as_ref());
    let label = |name: Option<&'static str>| name.unwrap_or("none");
    let (target, route) = (change.id.target.as_str(), change.id.route.as_str());
    let (status, before) = (check.status().label(), change.before.label());
    let layer = label(finding.map(|finding| finding.layer.label()));
    let cause = label(finding.map(|finding| finding.cause.label()));
    let party = label(finding.map(|finding| finding.party.label()));
    let confidence = label(finding.map(|finding| finding.confidence.label()));
    let summary = shown(&api::summary(check));
    macro_rules! line {
        ($level:ident) => {
            $level!(target, route, status, before, layer, cause, party, confidence, "{summary}")
        };
    }
    match check.status() {
        Status::Ok => line!(info),
        Status::Degraded | Status::Unknown => line!(warn),
        Status::Broken => line!(error),
    }
}
