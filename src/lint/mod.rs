//! A request judged before it is sent: what it is held against is `provider`'s data, and what it says is a list
//! of findings. It sends nothing, reads no file and no environment, and never says a secret back: of a key
//! only the kind and the length, of a body only places.

mod body;
pub mod curl;
mod environment;
mod headers;
pub mod http;
mod json;
mod key;
mod look;
mod messages;
mod model;
mod options;
mod placeholder;
mod request;
pub mod shell;
mod url;

use ::url::Host;

pub use json::{NotJson, check as check_json};
pub use look::{certain_provider_of, provider_of};
pub use request::{Fault, Header, Part, Place, Request, Unmade};

use crate::mistake::{Level, MISTAKES, Mistake};
use crate::provider::Provider;
use look::Look;

/// Findings of one mistake that are said at most; the rest is counted.
const MOST: usize = 8;

/// A method that is longer is none, and may be anything.
const LONGEST_METHOD: usize = 16;

/// What stands around a request.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// The API that is spoken.
    pub provider: Provider,
    /// Whether its host was declared to be this API's, or a gateway to it.
    pub declared: bool,
    /// Whether it has no key on purpose.
    pub keyless: bool,
    /// The day, as in `2026-11-22`.
    pub today: &'a str,
    /// The environment's variables that clients read, by name.
    pub variables: &'a [(String, String)],
    /// Whether a list like `no_proxy` takes a host and port around the proxy.
    pub exempts: fn(&str, &Host<String>, u16) -> bool,
}

impl Around<'_> {
    /// A variable that is set to something.
    fn variable(&self, name: &str) -> Option<&str> {
        let found = self.variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

/// What the client hears of a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answers {
    /// The API's answer, as it was captured.
    Api {
        /// The status.
        status: u16,
        /// The error's type; empty where the answer has none.
        error_type: String,
        /// The words.
        message: String,
    },
    /// Nothing: it is never sent, or what happens is the client's own. The sentence says how that shows.
    Never(&'static str),
    /// No answer was captured.
    Unknown,
}

/// Something that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The mistake.
    pub mistake: Mistake,
    /// How bad it is here.
    pub level: Level,
    /// `url`, a header's name, `body:LINE:COLUMN`, a variable's name, or an option.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What comes of it.
    pub answers: Answers,
    /// The way out.
    pub fix: String,
}

/// A request that was judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The target of the configuration that it belongs to.
    pub target: Option<String>,
    /// The API that is spoken.
    pub provider: Provider,
    /// The method and the URL, as they may be shown.
    pub line: String,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
    /// What was not read, or is not judged, and why.
    pub notes: Vec<String>,
}

/// Judges a request.
pub fn judge(target: Option<String>, request: &Request, around: &Around<'_>) -> Judged {
    let method = if request.method.len() > LONGEST_METHOD { "…" } else { &request.method };
    let (findings, more) = findings(request, around);
    let unmade = request.unmade.iter().take(MOST).map(|part| format!("not judged is {part}"));
    let notes = request.notes.iter().cloned().chain(unmade).chain(more).collect();
    Judged {
        target,
        provider: around.provider,
        line: format!("{method} {}", request.shown_url()),
        findings,
        notes,
    }
}

/// Everything that is known to be wrong with a request, errors first, else in the order of the table.
fn findings(request: &Request, around: &Around<'_>) -> (Vec<Finding>, Vec<String>) {
    let mut look = Look::new(request, around);
    url::rules(&mut look);
    key::rules(&mut look);
    headers::rules(&mut look);
    body::rules(&mut look);
    environment::rules(&mut look);
    let mut findings = std::mem::take(&mut look.found);
    findings.retain(|finding| is_known(request, finding));
    let order = |finding: &Finding| {
        let place = MISTAKES.iter().position(|row| row.mistake == finding.mistake);
        (finding.level, place)
    };
    findings.sort_by_key(order);
    (findings, look.notes)
}

/// Whether what a finding is about was read: what something else makes, or may add, is judged by nobody.
fn is_known(request: &Request, finding: &Finding) -> bool {
    let unmade = |part| request.unmade.iter().any(|unmade| unmade.part == part);
    let of_headers = matches!(
        finding.mistake,
        Mistake::KeyMissing | Mistake::VersionHeaderMissing | Mistake::ContentTypeWrong
    );
    let unknown = (request.unread && of_headers)
        || (unmade(Part::Body) && finding.place.starts_with("body"))
        || (unmade(Part::Url) && finding.place == "url")
        || (unmade(Part::Method) && finding.place == "method");
    !unknown
}
