//! Whether a trip is what a module wants: its conditions on the answer, held against what was observed. Pure.

use super::{HeaderRule, Http, Module};
use crate::cause::{Cause, Layer, Party, Status};
use crate::diagnosis::{NetworkState, RouteVerdict};
use crate::observation::{Response, Trip, Wanted};

/// What became of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Whether all is as the module wants it.
    pub success: bool,
    /// Whether an expression decided against it.
    pub by_expression: bool,
    /// Each condition that was not met, for people.
    pub unmet: Vec<String>,
    /// Layer, cause and party of a failure.
    pub failure: Option<(Layer, Cause, Party)>,
}

/// Holds a trip against its module.
pub fn judge(module: &Module, trip: &Trip, verdict: Option<&RouteVerdict>) -> Judged {
    let mut judged =
        Judged { success: true, by_expression: false, unmet: Vec::new(), failure: None };
    let leg = trip.leading();
    let response = leg.and_then(|leg| leg.response.as_ref());
    match (trip.failure(), response) {
        // One cause: what follows from a trip that ended early is said by nothing else.
        (Some(failure), _) => {
            judged.unmet.push(format!("the trip ended: {} {}", failure.layer(), failure.kind()));
        }
        (None, Some(response)) => {
            let tls = leg.is_some_and(|leg| leg.secured.is_some());
            judged.answer(&module.http, response, tls);
        }
        (None, None) => judged.unmet.push("there is no answer".to_owned()),
    }
    // Where the API is named, its mark is looked for: a page of somebody else is no success.
    let proven = verdict.is_some_and(|verdict| verdict.network == NetworkState::Ok);
    if module.may.provider.is_some() && judged.unmet.is_empty() && !proven {
        judged.unmet.push("the answer does not have the mark of the API that is named".to_owned());
    }
    judged.success = judged.unmet.is_empty();
    if !judged.success {
        let finding = verdict.and_then(|verdict| verdict.finding.as_ref());
        let finding = finding.filter(|finding| finding.status != Status::Ok);
        let usual = Cause::ResponseUnexpected;
        judged.failure = Some(match finding {
            Some(finding) => (finding.layer, finding.cause, finding.party),
            // Who wrote an answer that nobody proves is not known.
            None if proven => (Layer::Http, usual, usual.row().party),
            None => (Layer::Http, usual, Party::Undetermined),
        });
    }
    judged
}

impl Judged {
    fn answer(&mut self, http: &Http, response: &Response, tls: bool) {
        let wanted = Wanted { status: http.statuses.clone(), ..Wanted::default() };
        if !wanted.has_status(response.status) {
            self.unmet.push(match response.redirect() {
                Some(_) => format!("status {}: a redirect, which is not followed", response.status),
                None => format!("status {} is not wanted", response.status),
            });
        }
        let version = protocol(&response.version);
        if !http.versions.is_empty() && !http.versions.iter().any(|known| known == version) {
            self.unmet.push(format!("{version} is not wanted"));
        }
        if http.fail_if_ssl && tls {
            self.unmet.push("the answer came over TLS".to_owned());
        }
        if http.fail_if_not_ssl && !tls {
            self.unmet.push("the answer did not come over TLS".to_owned());
        }
        if let Some(limit) = http.size_limit.filter(|limit| response.length > *limit) {
            self.unmet.push(format!("the body is larger than {limit} bytes"));
        }
        self.expressions(http, response);
    }

    fn expressions(&mut self, http: &Http, response: &Response) {
        let asks = !http.body_matches.is_empty() || !http.body_not_matches.is_empty();
        if asks && !response.whole {
            self.unmet(format!("the body was read to {} bytes, and goes on", response.length));
        }
        for regexp in &http.body_matches {
            if regexp.is_match(&response.body) {
                self.unmet(format!("the body matches {:?}", regexp.as_str()));
            }
        }
        for regexp in &http.body_not_matches {
            if !regexp.is_match(&response.body) {
                self.unmet(format!("the body does not match {:?}", regexp.as_str()));
            }
        }
        for rule in &http.header_matches {
            self.header(rule, response, true);
        }
        for rule in &http.header_not_matches {
            self.header(rule, response, false);
        }
    }

    fn header(&mut self, rule: &HeaderRule, response: &Response, bad: bool) {
        let mut values =
            response.headers.iter().filter(|(name, _)| *name == rule.header).peekable();
        let regexp = rule.regexp.as_str();
        if values.peek().is_none() {
            if !rule.allow_missing {
                self.unmet(format!("the header {} is missing", rule.header));
            }
        } else if values.any(|(_, value)| rule.regexp.is_match(value)) == bad {
            let does = if bad { "matches" } else { "does not match" };
            self.unmet(format!("the header {} {does} {regexp:?}", rule.header));
        }
    }

    fn unmet(&mut self, why: String) {
        self.by_expression = true;
        self.unmet.push(why);
    }
}

/// A version as Go names it.
pub(super) fn protocol(version: &str) -> &'static str {
    match version {
        "2" => "HTTP/2.0",
        "1.0" => "HTTP/1.0",
        _ => "HTTP/1.1",
    }
}
