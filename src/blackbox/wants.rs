//! What a module wants of an answer: statuses, versions, expressions, sizes.

use regex::{Regex, RegexBuilder};

use super::{HeaderRule, Http};
use crate::config::yaml::{Node, Reader};

/// The compiled form of one expression at most.
const EXPRESSION: usize = 1024 * 1024;

impl Reader<'_> {
    /// What decides about the answer.
    pub(super) fn of_answer(&mut self, http: &mut Http, key: &str, value: &Node) -> bool {
        match key {
            "valid_status_codes" => {
                let kind = ("status", "write a number from 100 to 599");
                let statuses = self.list(value);
                let statuses =
                    statuses.iter().filter_map(|one| self.parsed(one, kind, |t| t.parse().ok()));
                http.statuses = statuses.collect();
            }
            "valid_http_versions" => http.versions = self.texts(value),
            "fail_if_ssl" => http.fail_if_ssl = self.truth(value),
            "fail_if_not_ssl" => http.fail_if_not_ssl = self.truth(value),
            "fail_if_body_matches_regexp" => http.body_matches = self.expressions(value),
            "fail_if_body_not_matches_regexp" => http.body_not_matches = self.expressions(value),
            "fail_if_header_matches" => http.header_matches = self.header_rules(value),
            "fail_if_header_not_matches" => http.header_not_matches = self.header_rules(value),
            "fail_if_body_json_matches_cel" | "fail_if_body_json_not_matches_cel" => {
                let help = "write fail_if_body_matches_regexp, or a [[target]] with expect_json";
                self.refuse(value, key, "CEL is not evaluated here", help);
            }
            "body_size_limit" => {
                http.size_limit = self.parsed(value, ("size", "write 10KB or 1MB"), size);
            }
            "compression" => {
                let compression = self.text(value);
                if !["", "identity"].contains(&compression.as_str()) {
                    let why = "answers are read as they come";
                    self.refuse(value, key, why, "take it out: the plain form is asked for");
                }
            }
            _ => return false,
        }
        true
    }

    fn expressions(&mut self, node: &Node) -> Vec<Regex> {
        self.list(node).iter().filter_map(|one| self.expression(one)).collect()
    }

    fn expression(&mut self, node: &Node) -> Option<Regex> {
        let text = self.text(node);
        let built = RegexBuilder::new(&text).size_limit(EXPRESSION).build();
        built
            .inspect_err(|error| {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim().to_owned();
                self.fault(node, format!("this is no regular expression: {why}"), "correct it");
            })
            .ok()
    }

    fn header_rules(&mut self, node: &Node) -> Vec<HeaderRule> {
        self.list(node).iter().filter_map(|one| self.header_rule(one)).collect()
    }

    fn header_rule(&mut self, node: &Node) -> Option<HeaderRule> {
        let (mut header, mut regexp, mut allow_missing) = (String::new(), None, false);
        for (key, value) in self.table(node) {
            match key.value.as_str() {
                "header" => header = self.text(&value).to_ascii_lowercase(),
                "regexp" => regexp = self.expression(&value),
                "allow_missing" => allow_missing = self.truth(&value),
                _ => self.unknown(&key, &["header", "regexp", "allow_missing"]),
            }
        }
        if header.is_empty() {
            self.fault(node, "the condition names no header", "add header: NAME");
        }
        Some(HeaderRule { header, regexp: regexp?, allow_missing })
    }
}

/// `10KB`, `1MiB`: by 1024, as blackbox_exporter has it.
fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "KB" | "KiB" => 1 << 10,
        "MB" | "MiB" => 1 << 20,
        "GB" | "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}
