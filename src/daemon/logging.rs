//! Log lines: text or JSON on standard error, or fields in the journal; what is let through, and as what, can change
//! while the daemon runs. It writes nothing itself: a reader that does not read must not hold a check up.

mod line;
mod queue;

use std::panic::PanicHookInfo;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{Event, Level, Subscriber, debug, error, info, warn};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use super::{environment, process};
use crate::cause::Status;
use crate::observation::Failure;
use crate::plan::{Log, LogFormat};
use crate::publish::{api, shown};
use crate::store::{Change, Document, Report, Restored};
use line::Line;
use queue::{Out, Queue, To};

/// By which all changes of verdicts are found in the journal: `journalctl MESSAGE_ID=…`.
pub const CHANGED: &str = "6d0f9c1f8f5b4a0c9e4be1d2a7c35e10";

/// How long the last lines may take to be written.
const PATIENCE: Duration = Duration::from_secs(1);

/// The log: what is let through, and as what.
#[derive(Clone, Debug)]
pub struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
    form: Arc<Mutex<Form>>,
    queue: Arc<Queue>,
}

/// What a line is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Json,
    Journal,
}

impl Form {
    /// A journal that is not there is no reason to be silent; that is the second.
    fn of(format: LogFormat) -> (Self, bool) {
        let journal = match format {
            LogFormat::Text => return (Self::Text, true),
            LogFormat::Json => return (Self::Json, true),
            LogFormat::Auto => environment::logs_to_journal(),
            LogFormat::Journald => true,
        };
        match journal {
            true if queue::journal_listens() => (Self::Journal, true),
            missing => (Self::Text, !missing),
        }
    }

    fn render(self, line: &Line) -> (To, Vec<u8>) {
        match self {
            Self::Text => (To::Stderr, line.text()),
            Self::Json => (To::Stderr, line.json()),
            Self::Journal => (To::Journal, line.journal()),
        }
    }
}

/// Begins to log as the plan says.
pub fn start(log: &Log) -> Logging {
    let (form, found) = Form::of(log.format);
    let form = Arc::new(Mutex::new(form));
    let of_lost = Arc::clone(&form);
    let queue = Queue::new(Box::new(move |lost| {
        let told = format!("{lost} lines of the log were lost: nobody took them in time");
        let line = Line::new(process::now(), Level::WARN, "egressd::log", told);
        current(&of_lost).render(&line)
    }));
    let (filter, handle) = reload::Layer::new(filter(log));
    let lines = Lines { form: Arc::clone(&form), queue: Arc::clone(&queue) };
    let started = tracing_subscriber::registry().with(filter).with(lines).try_init();
    let written = queue.begin(Out::new());
    if let Err(error) = written {
        warn!(%error, "the log has no thread: nothing is written");
    }
    if let Err(error) = started {
        warn!(%error, "logging was started before");
    }
    std::panic::set_hook(Box::new(panicked));
    tell_missing(found);
    Logging { filter: handle, form, queue }
}

impl Logging {
    /// Goes on as another plan says. Lines that were logged before are written as they were to be.
    pub fn change(&self, log: &Log) {
        let (form, found) = Form::of(log.format);
        *self.form.lock().unwrap_or_else(PoisonError::into_inner) = form;
        if let Err(error) = self.filter.reload(filter(log)) {
            warn!(%error, "the log keeps its filter");
        }
        tell_missing(found);
    }

    /// Waits at its own end, also where a panic brings that, until everything is written that somebody takes.
    pub fn until_written(&self) -> impl Drop + use<> {
        Written(Arc::clone(&self.queue))
    }
}

struct Written(Arc<Queue>);

impl Drop for Written {
    fn drop(&mut self) {
        self.0.flush(PATIENCE);
    }
}

fn filter(log: &Log) -> EnvFilter {
    // The plan has parsed the filter once; a level that it cannot have is not a reason to be silent.
    EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"))
}

fn tell_missing(found: bool) {
    if !found {
        warn!("no journal listens at {}: this is text on standard error", queue::JOURNAL);
    }
}

fn current(form: &Mutex<Form>) -> Form {
    *form.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where it was. What was formatted into the message may be anything, also what nobody may see.
fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let what =
        panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("no fixed message");
    error!("panicked at {place}: {what}");
}

/// Takes events as lines.
struct Lines {
    form: Arc<Mutex<Form>>,
    queue: Arc<Queue>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line = Line::of(event, process::now());
        self.queue.push(current(&self.form).render(&line));
    }
}

/// What goes on after a restart.
pub(super) fn restored(document: &Document, restored: Restored) {
    let Restored { checks, verdicts } = restored;
    let written = api::time(document.written());
    info!("state: of {written}: counters of {checks} checks go on, {verdicts} verdicts stand");
}

/// At debug: how each trip of a check ended, what its controls showed, and which rule decided. Only words of our own:
/// what a peer said is in the documents.
pub(super) fn report(report: &Report) {
    let target = report.target.as_str();
    for walked in &report.trips {
        let (route, failure) = (walked.route.as_str(), walked.trip.failure());
        let layer = failure.as_ref().map_or("none", Failure::layer);
        let kind = failure.as_ref().map_or("none", Failure::kind);
        let response = walked.trip.leading().and_then(|leg| leg.response.as_ref());
        let answer = response.map_or(0, |response| response.status);
        let seconds = walked.trip.seconds;
        debug!(target, route, layer, kind, answer, seconds, "trip of {target} via {route}");
    }
    for verdict in &report.findings.routes {
        let (route, status) = (verdict.route.as_str(), verdict.status.label());
        for line in &verdict.evidence {
            let (control, result) = (line.control.label(), line.result.label());
            debug!(target, route, control, result, "control of {target} via {route}");
        }
        let finding = verdict.finding.as_ref();
        let rule = finding.map_or("none", |finding| finding.rule.as_str());
        let cause = finding.map_or("none", |finding| finding.cause.label());
        debug!(target, route, status, cause, rule, "verdict on {target} via {route}");
    }
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
    let rule = finding.map_or("none", |finding| finding.rule.as_str());
    let since = check.steady.since.map(api::time).unwrap_or_default();
    let summary = shown(&api::summary(check));
    macro_rules! line {
        ($level:ident) => {
            $level!(
                message_id = CHANGED,
                target,
                route,
                status,
                before,
                layer,
                cause,
                party,
                confidence,
                rule,
                since,
                "{summary}"
            )
        };
    }
    match check.status() {
        Status::Ok => line!(info),
        Status::Degraded | Status::Unknown => line!(warn),
        Status::Broken => line!(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_that_ends_it_waits_for_its_own_line() {
        let queue = Queue::new(Box::new(|_| (To::Stderr, Vec::new())));
        queue.push((To::Stderr, b"why".to_vec()));
        let begun = std::time::Instant::now();
        let unwinds = std::panic::AssertUnwindSafe(|| {
            let _written = Written(Arc::clone(&queue));
            std::panic::resume_unwind(Box::new(()));
        });
        assert!(std::panic::catch_unwind(unwinds).is_err());
        // Nobody writes here: it is given up after its time, and not before.
        assert!(begun.elapsed() >= PATIENCE);
    }
}
