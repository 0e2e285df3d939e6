//! What all rules look at: the request beside what its API is known to take; and how a finding is made.

use ::url::Url;

use super::request::{Header, Place, Request};
use super::{Answers, Around, Finding, MOST, json};
use crate::config::nearest;
use crate::mistake::{Level, Mistake};
use crate::provider::Provider;
use crate::provider::request::{Endpoint, Requests};

/// The longest name of a field or model that is shown: a key is longer.
const LONGEST_NAME: usize = 48;

/// How far a host may be from a provider's to be taken for a slip.
const SLIP: usize = 2;

/// A request, and what is known of its API.
pub(super) struct Look<'a> {
    pub(super) request: &'a Request,
    pub(super) around: &'a Around<'a>,
    pub(super) wants: &'static Requests,
    /// What it asks for, where that is known.
    pub(super) endpoint: Option<&'static Endpoint>,
    pub(super) found: Vec<Finding>,
    full: bool,
}

impl<'a> Look<'a> {
    pub(super) fn new(request: &'a Request, around: &'a Around<'a>) -> Self {
        let wants = around.provider.facts().requests;
        let path = request.url.path().trim_end_matches('/');
        let endpoint = wants.endpoints.iter().find(|endpoint| fits(endpoint.path, path));
        let at_gateway = || {
            let ends = |endpoint: &&Endpoint| ends_with(path, endpoint.path);
            wants.endpoints.iter().find(ends)
        };
        let own = around.provider.owns(&request.host().to_string());
        let endpoint = endpoint.or_else(|| if own { None } else { at_gateway() });
        Self { request, around, wants, endpoint, found: Vec::new(), full: false }
    }

    /// Whether it goes to one of the provider's own hosts.
    pub(super) fn is_own_host(&self) -> bool {
        self.around.provider.owns(&self.request.host().to_string())
    }

    /// The provider's name.
    pub(super) fn api(&self) -> &'static str {
        self.around.provider.facts().id
    }

    /// A finding with the answer that was captured.
    pub(super) fn find(&mut self, mistake: Mistake, place: &str, message: String, fix: String) {
        self.found_with(mistake, place, (message, fix), self.answer(mistake, ""));
    }

    /// A finding with an answer of its own.
    pub(super) fn found_with(
        &mut self,
        mistake: Mistake,
        place: &str,
        (message, fix): (String, String),
        answers: Answers,
    ) {
        let level = mistake.row().level;
        self.push(Finding { mistake, level, place: place.to_owned(), message, answers, fix });
    }

    pub(super) fn push(&mut self, finding: Finding) {
        let same = self.found.iter().filter(|old| old.mistake == finding.mistake).count();
        if same < MOST {
            self.found.push(finding);
        }
        self.full |= same + 1 >= MOST;
    }

    /// Whether one mistake was found so often that lists need no further look.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// The last finding made milder.
    pub(super) fn soften(&mut self) {
        if let Some(last) = self.found.last_mut() {
            last.level = Level::Warning;
        }
    }

    /// What the API answers to a mistake; the slot is what the answer names, and decides between several.
    pub(super) fn answer(&self, mistake: Mistake, slot: &str) -> Answers {
        let mut all = self.wants.answers.iter().filter(|answer| answer.mistake == mistake);
        let has_slot = |message: &str| {
            message.starts_with('…') || message.contains("\"…\"") || message.ends_with(": …")
        };
        let fits = |message: &str| slot.is_empty() || message.contains(slot) || has_slot(message);
        match all.find(|answer| fits(answer.message)) {
            Some(answer) => Answers::Api {
                status: answer.status,
                error_type: answer.error_type.to_owned(),
                message: match slot {
                    slot if !slot.is_empty() && has_slot(answer.message) => {
                        answer.message.replacen('…', slot, 1)
                    }
                    _ => answer.message.to_owned(),
                },
            },
            None => Answers::Unknown,
        }
    }

    /// Where a byte of the body stands.
    pub(super) fn body_place(&self, at: usize) -> String {
        let bytes = self.request.body.as_deref().unwrap_or_default();
        format!("body:{}", Place::of(bytes, at))
    }

    /// The newest version that the request names by a header, where that is one of the known ones.
    pub(super) fn version(&self) -> Option<&'a str> {
        let needed = self.wants.headers.iter().find(|needed| !needed.values.is_empty())?;
        self.request.header(needed.name).map(Header::trimmed)
    }

    /// The body, where it is JSON.
    pub(super) fn json(&self) -> Option<Result<json::Node, json::NotJson>> {
        self.request.body.as_deref().map(json::read)
    }
}

/// Whether a path is one of this pattern; `{}` stands for one segment or a part of it.
pub(super) fn fits(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(part)) if is_segment(wanted, part) => {}
            _ => return false,
        }
    }
}

fn is_segment(wanted: &str, part: &str) -> bool {
    match wanted.split_once("{}") {
        None => wanted == part,
        Some((before, after)) => {
            part.len() > before.len() + after.len()
                && part.starts_with(before)
                && part.ends_with(after)
        }
    }
}

/// Whether a path ends as this pattern says, after segments of a gateway's own.
fn ends_with(path: &str, pattern: &str) -> bool {
    let count = pattern.split('/').count() - 1;
    let from = path.rmatch_indices('/').nth(count.saturating_sub(1)).map(|(at, _)| at);
    from.and_then(|from| path.get(from..)).is_some_and(|end| fits(pattern, end))
}

/// A name out of a body or a URL, where it looks like a name: what else stands there may be a secret.
pub(super) fn shown_name(name: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.:@/".contains(c);
    let is_key = Provider::ALL.iter().any(|provider| {
        let keys = provider.facts().requests.keys.iter();
        keys.filter(|kind| !kind.prefix.is_empty()).any(|kind| name.starts_with(kind.prefix))
    });
    (!name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(plain) && !is_key)
        .then_some(name)
}

/// The name that was probably meant.
pub(super) fn meant(name: &str, known: &[&str]) -> Option<String> {
    Some(nearest(name, known)).filter(|hint| hint.starts_with("did you mean"))
}

/// The API that a request is for: by its host, else by its headers, its path, and what the host is nearly.
pub fn provider_of(request: &Request, variables: &[(String, String)]) -> Provider {
    let host = request.host().to_string();
    let known = || Provider::ALL.iter().copied().filter(|provider| *provider != Provider::Generic);
    let by_variable = |provider: &Provider| {
        let names = provider.facts().requests.base_variables;
        variables.iter().any(|(name, value)| {
            names.contains(&name.as_str())
                && Url::parse(value).is_ok_and(|url| url.host_str() == Some(&host))
        })
    };
    let by_header = |provider: &Provider| {
        let wants = provider.facts().requests;
        let keys = wants.key_headers.iter().map(|header| header.name);
        let names = wants.headers.iter().map(|needed| needed.name).chain(keys);
        names.filter(|name| *name != "authorization").any(|name| request.header(name).is_some())
    };
    let path = request.url.path().trim_end_matches('/');
    let by_path = |provider: &Provider| {
        provider.facts().requests.endpoints.iter().any(|endpoint| {
            endpoint.path.matches('/').count() > 1
                && !endpoint.path.contains("{}")
                && fits(endpoint.path, path)
        })
    };
    let by_slip = |provider: &Provider| {
        let hosts = provider.facts().hosts.iter().filter(|own| !own.contains('*'));
        hosts.into_iter().any(|own| strsim::damerau_levenshtein(own, &host) <= SLIP)
    };
    let only = |holds: &dyn Fn(&Provider) -> bool| {
        let mut found = known().filter(|provider| holds(provider));
        found.next().filter(|_| found.next().is_none())
    };
    Provider::of_host(&host)
        .or_else(|| known().find(by_variable))
        .or_else(|| known().find(by_header))
        .or_else(|| only(&by_slip))
        .or_else(|| only(&by_path))
        .unwrap_or(Provider::Generic)
}
