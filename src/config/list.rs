//! A list of targets, in the form of Prometheus' `file_sd`: groups of URLs with labels, in JSON.
//!
//! A list says where to go, and never with which secret: who writes it may be another than who writes the
//! configuration. Labels that begin with `__egressd_` are settings; others that begin with `__` are somebody else's.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use serde::de::IntoDeserializer as _;
use serde::de::value::Error as ValueError;
use serde_json::value::RawValue;
use toml::Spanned;

use super::{Period, Problem, Target, TargetRoute, Text, nearest};

/// Targets of all lists together at most.
pub const MOST: usize = 10_000;
/// Faults of one list that are told; there may be as many as it has bytes.
pub const TOLD: usize = 100;
/// Bytes of a name at most.
const LONGEST: usize = 64;
/// What begins a setting, and the settings.
const OWN: &str = "__egressd_";
const SETTINGS: &[&str] = &[
    "__egressd_name",
    "__egressd_routes",
    "__egressd_needs",
    "__egressd_interval",
    "__egressd_timeout",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group<'a> {
    #[serde(borrow)]
    targets: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    labels: BTreeMap<String, &'a RawValue>,
}

/// Reads a list. What could be understood comes back beside everything that could not.
pub fn list(text: &str) -> (Vec<Spanned<Target>>, Vec<Problem>) {
    let mut reading = Reading { text, targets: Vec::new(), problems: Vec::new() };
    if let Some(groups) = reading.json::<Vec<&RawValue>>(text) {
        for group in groups {
            if reading.is_enough() {
                break;
            }
            if let Some(group) = reading.json::<Group<'_>>(group.get()) {
                reading.group(&group);
            }
        }
    }
    (reading.targets, reading.problems)
}

struct Reading<'a> {
    text: &'a str,
    targets: Vec<Spanned<Target>>,
    problems: Vec<Problem>,
}

impl<'a> Reading<'a> {
    /// A part of the text, as what it is meant to be.
    fn json<T: Deserialize<'a>>(&mut self, part: &'a str) -> Option<T> {
        let error = match serde_json::from_str(part) {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let lines = part.split_inclusive('\n').take(error.line().saturating_sub(1));
        let before: usize = lines.map(str::len).sum();
        // Columns count bytes, from 1.
        let start = self.place(part).start + before + error.column().saturating_sub(1);
        let start = start.min(self.text.len());
        let whole = error.to_string();
        let message = whole.rsplit_once(" at line ").map_or(&*whole, |(message, _)| message);
        let problem = if message.starts_with("unknown field") {
            Problem::from_serde(message, Some(start..start + 1))
        } else {
            let form =
                "write [ { \"targets\": [\"https://…\"], \"labels\": { \"team\": \"…\" } } ]";
            Problem::at(Some(start..start + 1), message, form)
        };
        self.problems.push(problem);
        None
    }

    /// Whether what follows changes nothing: there are too many targets, or too many faults.
    fn is_enough(&self) -> bool {
        self.targets.len() > MOST || self.problems.len() > TOLD
    }

    /// Where a part of the text stands in it.
    fn place(&self, part: &str) -> Range<usize> {
        let start = part.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        start..start + part.len()
    }

    fn string(&mut self, raw: &'a RawValue) -> Option<Spanned<String>> {
        let place = self.place(raw.get());
        let value = serde_json::from_str::<String>(raw.get());
        if value.is_err() {
            let problem = Problem::at(Some(place.clone()), "this is no string", "write \"…\"");
            self.problems.push(problem);
        }
        value.ok().map(|value| Spanned::new(place, value))
    }

    fn fault(&mut self, place: Range<usize>, what: String, help: impl Into<String>) {
        self.problems.push(Problem::at(Some(place), what, help));
    }

    fn group(&mut self, group: &Group<'a>) {
        let mut common = Target::default();
        let mut name = None;
        for (label, raw) in &group.labels {
            let Some(value) = self.string(raw) else { continue };
            match label.as_str() {
                "__egressd_name" => name = Some(value),
                "__egressd_routes" => common.routes = Some(routes(&value)),
                "__egressd_needs" => common.needs = Some(value),
                "__egressd_interval" => common.interval = self.period(&value),
                "__egressd_timeout" => common.timeout = self.period(&value),
                "provider" => common.provider = Some(value),
                other if other.starts_with(OWN) => {
                    let what = format!("there is no setting `{other}`");
                    self.fault(value.span(), what, nearest(other, SETTINGS));
                }
                other if other.starts_with("__") => {}
                other => {
                    let key = Spanned::new(value.span(), other.to_owned());
                    common.labels.insert(key, value.into_inner());
                }
            }
        }
        if let Some(name) = name.as_ref().filter(|_| group.targets.len() != 1) {
            let what = format!("`{}` cannot be the name of several targets", name.get_ref());
            self.fault(name.span(), what, "give each target that has a name a group of its own");
        }
        for raw in &group.targets {
            if self.is_enough() {
                return;
            }
            let Some(url) = self.string(raw) else { continue };
            let place = url.span();
            let named = name.clone().filter(|_| group.targets.len() == 1);
            let named =
                named.unwrap_or_else(|| Spanned::new(place.clone(), name_of(url.get_ref())));
            if named.get_ref().len() > LONGEST && named.span() == place {
                let what = "this URL is too long to be the target's name, too".to_owned();
                let help = "give it one: a group of its own with the label \"__egressd_name\"";
                self.fault(place, what, help);
                continue;
            }
            let url = Spanned::new(place.clone(), Text::Literal(url.into_inner()));
            let target = Target { name: Some(named), url: Some(url), ..common.clone() };
            self.targets.push(Spanned::new(place, target));
        }
    }

    fn period(&mut self, text: &Spanned<String>) -> Option<Spanned<Period>> {
        let value: Result<Period, ValueError> =
            Period::deserialize(text.get_ref().as_str().into_deserializer());
        match value {
            Ok(period) => Some(Spanned::new(text.span(), period)),
            Err(error) => {
                self.problems.push(Problem::from_serde(&error.to_string(), Some(text.span())));
                None
            }
        }
    }
}

/// Names of routes behind commas, each with what is expected of it where that is said: `corp, direct=closed`.
fn routes(text: &Spanned<String>) -> Vec<Spanned<TargetRoute>> {
    let names = text.get_ref().split(',').map(str::trim).filter(|name| !name.is_empty());
    let of = |name: &str| match name.split_once('=') {
        Some((name, expect)) => {
            TargetRoute { name: name.trim().into(), expect: Some(expect.trim().into()) }
        }
        None => TargetRoute { name: name.into(), expect: None },
    };
    names.map(|name| Spanned::new(text.span(), of(name))).collect()
}

/// The name of a target that has none: its URL without scheme, login and query, what no name has as `_`.
fn name_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    // A login is a fault, and is not told where that is told.
    let (authority, below) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let letters = host.chars().chain(below.chars());
    let name: String = letters.map(|c| if sound(c) { c } else { '_' }).collect();
    name.trim_matches('_').to_owned()
}
