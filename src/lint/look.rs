//! What all rules look at: the request beside what its API is known to take; and how a finding is made.

use ::url::Url;

use super::request::{Header, Place, Request};
use super::{Answers, Around, Finding, MOST, json};
use crate::config::nearest;
use crate::mistake::{Level, Mistake};
use crate::provider::Provider;
use crate::provider::request::{Endpoint, Requests};

/// The longest name of a field or model that is shown: a key is longer.
const LONGEST_NAME: usize = 64;

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
    pub(super) notes: Vec<String>,
    full: bool,
}

impl<'a> Look<'a> {
    pub(super) fn new(request: &'a Request, around: &'a Around<'a>) -> Self {
        let wants = around.provider.facts().requests;
        let path = request.url.path().trim_end_matches('/');
        let own = around.provider.owns(&request.host().to_string());
        let at_gateway =
            || wants.endpoints.iter().filter(|_| !own).find(|endpoint| ends_at(path, endpoint));
        let endpoint = wants.endpoint(path).or_else(at_gateway);
        Self { request, around, wants, endpoint, found: Vec::new(), notes: Vec::new(), full: false }
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
            let named = ["\"…\"", "`…`", "models/…"];
            message.starts_with('…')
                || message.ends_with(": …")
                || named.iter().any(|slot| message.contains(slot))
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
    pub(super) fn json(&self) -> Option<Result<json::Read, json::NotJson>> {
        self.request.body.as_deref().map(json::read)
    }
}

/// Whether a path ends as an endpoint's, after segments of a gateway's own.
fn ends_at(path: &str, endpoint: &Endpoint) -> bool {
    let count = endpoint.path.matches('/').count();
    let from = path.rmatch_indices('/').nth(count.saturating_sub(1)).map(|(at, _)| at);
    from.and_then(|from| path.get(from..)).is_some_and(|end| endpoint.is_at(end))
}

/// A name out of a body or a URL, where it looks like a name: what else stands there may be a secret.
pub(super) fn shown_name(name: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.:@/%~".contains(c);
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
        let facts = provider.facts();
        let needed = facts.requests.headers.iter().map(|needed| needed.name);
        let mut names = needed.chain(facts.key.map(|header| header.name));
        names.any(|name| name != "authorization" && request.header(name).is_some())
    };
    let path = request.url.path().trim_end_matches('/');
    // Those whose fields are known: others have the same paths for those who come from there.
    let by_path = |provider: &Provider| {
        let endpoint = provider.facts().requests.endpoint(path);
        endpoint.is_some_and(|endpoint| !endpoint.fields.is_empty() && endpoint.path == path)
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
