//! For people at three in the morning: broken checks first, a line a layer, the controls with what each
//! means, then the seven lines that say what to do. Working checks take one line.

use anstyle::{AnsiColor, Style};

use super::layers::{lines, ms};
use super::{api, beside, shown};
use crate::cause::{Layer, Status};
use crate::diagnosis::{ControlResult, EvidenceLine, Finding};
use crate::observation::{Response, Trip};
use crate::store::{Check, Snapshot};

/// Columns at most.
const WIDTH: usize = 110;

/// The text of a snapshot; colour only where it is asked for.
pub fn render(snapshot: &Snapshot, colour: bool) -> String {
    render_with(snapshot, colour, |_| String::new())
}

/// The same, with further lines below each check.
pub fn render_with(snapshot: &Snapshot, colour: bool, below: impl Fn(&Check) -> String) -> String {
    let mut out = String::new();
    let mut checks: Vec<&Check> = snapshot.checks.values().map(AsRef::as_ref).collect();
    checks.sort_by_key(|check| std::cmp::Reverse(check.status()));
    for check in checks {
        one(&mut out, check, colour);
        let below = below(check);
        if !below.is_empty() {
            out.push_str(&format!("{below}\n"));
        }
    }
    for target in snapshot.targets.values() {
        let summary = target.verdict.as_ref().map_or("not known", |verdict| &verdict.summary);
        let word = painted(target.status(), colour);
        out.push_str(&format!("target {}: {word} - {}\n", target.declared.target, shown(summary)));
    }
    out
}

fn one(out: &mut String, check: &Check, colour: bool) {
    let status = check.status();
    let name = format!("{} · {}", check.id.target, check.id.route);
    let finding = check.verdict().and_then(|verdict| verdict.finding.as_ref());
    let Some(trip) = check.trip.as_deref().filter(|_| status != Status::Ok) else {
        let took = check.trip.as_deref().map(fine).unwrap_or_default();
        head(out, &format!("{name}   {took}"), &painted(status, colour), status);
        notes(out, check);
        if let Some(vendors) = looks_like(check) {
            out.push_str(&format!("  {vendors}\n"));
        }
        if status == Status::Unknown {
            out.push_str(&format!("  {}\n", shown(&api::summary(check))));
        }
        out.push('\n');
        return;
    };
    head(out, &name, &painted(status, colour), status);
    let evidence = check.verdict().map(|verdict| verdict.evidence.as_slice()).unwrap_or_default();
    tree(out, trip, evidence, finding.map(|finding| finding.layer));
    notes(out, check);
    if let Some(finding) = finding {
        seven_lines(out, check, finding);
    }
    out.push('\n');
}

fn notes(out: &mut String, check: &Check) {
    for note in check.verdict().iter().flat_map(|verdict| &verdict.notes) {
        out.push_str(&format!("  note: {} - {}\n", note.cause, shown(&note.summary)));
    }
}

/// Whose marks were seen, and where.
fn looks_like(check: &Check) -> Option<String> {
    let seen = &check.verdict()?.looks_like;
    let each = seen.iter().map(|like| format!("{} ({})", like.vendor, like.by.label()));
    let all: Vec<String> = each.collect();
    (!all.is_empty()).then(|| format!("looks like {}", all.join(", ")))
}

/// A name at the left, a word at the right edge.
fn head(out: &mut String, name: &str, word: &str, status: Status) {
    let used = name.chars().count() + status.label().len();
    let gap = WIDTH.saturating_sub(used).max(1);
    out.push_str(&format!("{name}{}{word}\n", " ".repeat(gap)));
}

pub(super) fn painted(status: Status, colour: bool) -> String {
    let word = match status {
        Status::Ok => status.label().to_owned(),
        Status::Degraded | Status::Unknown | Status::Broken => status.label().to_uppercase(),
    };
    let of = |colour: AnsiColor| Style::new().fg_color(Some(colour.into())).bold();
    let style = match status {
        _ if !colour => return word,
        Status::Ok => of(AnsiColor::Green),
        Status::Degraded | Status::Unknown => of(AnsiColor::Yellow),
        Status::Broken => of(AnsiColor::Red),
    };
    format!("{style}{word}{style:#}")
}

/// A word of how bad it is.
pub(super) fn coloured(word: &str, bad: bool) -> String {
    let colour = if bad { AnsiColor::Red } else { AnsiColor::Yellow };
    let style = Style::new().fg_color(Some(colour.into())).bold();
    format!("{style}{word}{style:#}")
}

/// A working check in one line.
fn fine(trip: &Trip) -> String {
    let Some(leg) = trip.leading() else { return String::new() };
    match (&leg.response, &leg.stop) {
        (Some(response), None) => {
            format!("status {} from {} in {}", response.status, leg.address.ip(), ms(trip.seconds))
        }
        (_, Some(failure)) => format!("{} {}", failure.layer(), failure.kind()),
        (None, None) => String::new(),
    }
}

fn tree(out: &mut String, trip: &Trip, evidence: &[EvidenceLine], at: Option<Layer>) {
    let lines = lines(trip);
    let last = lines.len().saturating_sub(1);
    for (place, line) in lines.iter().enumerate() {
        let branch = if place == last { '└' } else { '├' };
        let time = line.seconds.map(ms).unwrap_or_default();
        let text = format!(
            "{branch} {:<8} {:<16} {time:>9}   {}",
            line.layer.label(),
            line.word,
            line.facts
        );
        out.push_str(&format!("{}\n", cut(text.trim_end())));
        for below in &line.below {
            out.push_str(&format!("{}\n", cut(&format!("│          {below}"))));
        }
        let first = || lines.iter().position(|line| line.layer == Layer::Dns);
        if first() == Some(place) {
            for beside in beside::lines(&trip.lookup) {
                out.push_str(&format!("{}\n", cut(&format!("│          {beside}"))));
            }
        }
    }
    if let Some(layer) = at.filter(|_| !evidence.is_empty()) {
        controls(out, trip, evidence, layer);
    }
}

/// Those that ran, a line each, and those that did not, a line a reason.
fn controls(out: &mut String, trip: &Trip, evidence: &[EvidenceLine], layer: Layer) {
    let newest = evidence.iter().filter_map(|line| line.at).max();
    let of_then =
        newest.filter(|at| *at < trip.started).map(|at| format!(" (of {})", api::time(at)));
    out.push_str(&format!("  controls for {layer}{}:\n", of_then.unwrap_or_default()));
    let mut left_out: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in evidence {
        let mark = match line.result {
            ControlResult::Passed => '✓',
            ControlResult::Failed => '✗',
            ControlResult::NotRun => {
                let label = line.control.label();
                match left_out.iter_mut().find(|(why, _)| *why == line.detail) {
                    Some((_, labels)) => labels.push(label),
                    None => left_out.push((&line.detail, vec![label])),
                }
                continue;
            }
        };
        let detail = shown(&line.detail);
        let text = format!("  {mark} {:<21} {detail:<38} -> {}", line.control.label(), line.means);
        out.push_str(&format!("{}\n", cut(&text)));
    }
    for (why, labels) in left_out {
        out.push_str(&format!("{}\n", cut(&format!("  – {}: {}", labels.join(", "), shown(why)))));
    }
}

fn seven_lines(out: &mut String, check: &Check, finding: &Finding) {
    let since = check.steady.since.map(api::time).unwrap_or_default();
    let report = check.answer.as_ref().map(|(reading, _)| {
        let part = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!("{name} {}", shown(value))).unwrap_or_default()
        };
        let response = check.trip.as_ref().and_then(|trip| trip.leading()?.response.as_ref());
        let again = response.and_then(Response::retry_after);
        [
            part("id", &reading.request_id),
            part("type", &reading.error_type),
            again.map(|seconds| format!("retry after {seconds} s")).unwrap_or_default(),
            part("says", &reading.message),
        ]
        .iter()
        .filter(|part| !part.is_empty())
        .cloned()
        .collect::<Vec<String>>()
        .join(" ")
    });
    let verdict = format!(
        "{} · {} · confidence {} · since {since}",
        finding.cause, finding.party, finding.confidence
    );
    let report = report.map(|report| report.trim().to_owned()).filter(|report| !report.is_empty());
    let rows = [
        ("verdict", verdict),
        ("means", shown_sentence(&finding.means)),
        ("do", shown_sentence(&finding.advice)),
        ("do not", shown_sentence(&finding.do_not)),
        ("ask", shown_sentence(&finding.ask)),
        (
            "report",
            report.unwrap_or_else(|| format!("egressd check {} --format json", check.id.target)),
        ),
    ];
    out.push('\n');
    for (label, text) in rows {
        wrapped(out, label, &text);
        if let Some(vendors) = looks_like(check).filter(|_| label == "means") {
            wrapped(out, "", &vendors);
        }
    }
}

/// Our own sentence; a configured name in it may be anything.
pub(super) fn shown_sentence(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

pub(super) fn wrapped(out: &mut String, label: &str, text: &str) {
    let mut line = format!("{label:<11}");
    let indent = line.clone();
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(&format!("{}\n", line.trim_end()));
            line = " ".repeat(indent.chars().count());
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    out.push_str(&format!("{}\n", line.trim_end()));
}

pub(super) fn cut(text: &str) -> String {
    if text.chars().count() <= WIDTH {
        return text.to_owned();
    }
    text.chars().take(WIDTH - 1).chain(['…']).collect()
}
