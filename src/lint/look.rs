//! What all rules look at: the request beside what its API is known to take; and how a finding is made.

use ::url::Url;

use super::request::{Header, Place, Request};
use super::{Answers, Around, Finding, MOST, json};
use crate::config::nearest;
use crate::mistake::{Level, Mistake};
use crate::provider::Provider;
use crate::provider::request::{Endpoint, Needs, Requests};

/// The longest name of a field or model that is shown: a key is longer.
const LONGEST_NAME: usize = 64;

/// How far a host may be from a provider's to be taken for a slip.
const SLIP: usize = 2;

/// Headers that one API alone has: who sends one means it, wherever it goes.
const TELLING: &[&str] = &["anthropic-version", "copilot-integration-id"];

/// What breaks, or surprises, whoever answers.
const ANYWHERE: &[Mistake] = &[
    Mistake::UrlHostUnknown,
    Mistake::KeyEmpty,
    Mistake::KeyControlCharacter,
    Mistake::KeyNotAscii,
    Mistake::KeyWhiteSpace,
    Mistake::KeyQuoted,
    Mistake::KeyPlaceholder,
    Mistake::KeyBearerDoubled,
    Mistake::HeaderDoubled,
    Mistake::BodyNotJson,
    Mistake::ProxyVariableInvalid,
    Mistake::ProxyVariablesDisagree,
    Mistake::NoProxyCatchesHost,
    Mistake::NoProxyMissesLocalhost,
    Mistake::BaseUrlElsewhere,
    Mistake::CurlInsecure,
];

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
        let own = owns(around.provider, request);
        let at_gateway =
            || wants.endpoints.iter().filter(|_| !own).find(|endpoint| ends_at(path, endpoint));
        let endpoint = wants.endpoint(path).or_else(at_gateway);
        Self { request, around, wants, endpoint, found: Vec::new(), notes: Vec::new(), full: false }
    }

    /// Whether it goes to one of the provider's own hosts.
    pub(super) fn is_own_host(&self) -> bool {
        owns(self.around.provider, self.request)
    }

    /// Whether what this API demands is demanded there: a gateway that nobody declared may have keys, models and
    /// fields of its own, or be another API in the same shape.
    pub(super) fn is_strict(&self) -> bool {
        self.is_own_host() || self.around.declared
    }

    /// What is asked for needs of the API's headers.
    pub(super) fn needs(&self) -> Needs {
        self.endpoint.map_or(Needs::All, |endpoint| endpoint.needs)
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
        if !self.is_strict() && !ANYWHERE.contains(&finding.mistake) {
            return;
        }
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
        // What others answer is not known.
        if !self.is_own_host() {
            return Answers::Unknown;
        }
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
        keys.filter(|kind| !kind.prefix.is_empty()).any(|kind| name.contains(kind.prefix))
    });
    (!name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(plain) && !is_key)
        .then_some(name)
}

/// The name that was probably meant; what is long is no slip, and would take long to compare.
pub(super) fn meant(name: &str, known: &[&str]) -> Option<String> {
    let near = || Some(nearest(name, known)).filter(|hint| hint.starts_with("did you mean"));
    (name.len() <= LONGEST_NAME).then(near).flatten()
}

/// Whether a host is the API's own, or serves it below this path.
fn owns(provider: Provider, request: &Request) -> bool {
    let host = request.host().to_string();
    let path = request.url.path();
    let is_of = |domain: &str| host.ends_with(domain);
    let mut shared = provider.facts().requests.shared.iter();
    let of_others = shared.any(|(domain, begins)| {
        is_of(domain) && !begins.iter().any(|begin| path.starts_with(begin))
    });
    provider.owns(&host) && !of_others
}

fn known() -> impl Iterator<Item = Provider> {
    Provider::ALL.iter().copied().filter(|provider| *provider != Provider::Generic)
}

/// The API that a request is surely for: by the host that it goes to, or a header that no other API has.
pub fn certain_provider_of(request: &Request) -> Provider {
    let by_header = |provider: &Provider| {
        let mut names = provider.facts().requests.headers.iter().map(|needed| needed.name);
        names.any(|name| TELLING.contains(&name) && request.header(name).is_some())
    };
    known()
        .find(|provider| owns(*provider, request))
        .or_else(|| known().find(by_header))
        .unwrap_or(Provider::Generic)
}

/// The API that a request is probably for: what is sure, else by clients' variables, the header of its key beside
/// its path, and what the host is nearly.
pub fn provider_of(request: &Request, variables: &[(String, String)]) -> Provider {
    let host = request.host().to_string();
    let by_variable = |provider: &Provider| {
        let names = provider.facts().requests.base_variables;
        variables.iter().any(|(name, value)| {
            names.contains(&name.as_str())
                && Url::parse(value).is_ok_and(|url| url.host_str() == Some(&host))
        })
    };
    let path = request.url.path().trim_end_matches('/');
    // Many APIs take a key by a header of this name, and paths alone are copied by those who come after.
    let by_key = |provider: &Provider| {
        let facts = provider.facts();
        let has_key = facts
            .key
            .is_some_and(|key| key.name != "authorization" && request.header(key.name).is_some());
        let endpoint = facts.requests.endpoint(path);
        has_key && endpoint.is_some_and(|endpoint| !endpoint.fields.is_empty())
    };
    let by_slip = |provider: &Provider| {
        let hosts = provider.facts().hosts.iter().filter(|own| !own.contains('*'));
        hosts.into_iter().any(|own| {
            host.len().abs_diff(own.len()) <= SLIP
                && strsim::damerau_levenshtein(own, &host) <= SLIP
        })
    };
    let certain = Some(certain_provider_of(request)).filter(|found| *found != Provider::Generic);
    certain
        .or_else(|| known().find(by_variable))
        .or_else(|| known().find(by_key))
        .or_else(|| known().find(by_slip))
        .unwrap_or(Provider::Generic)
}
