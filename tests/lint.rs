//! `egressd lint`: each mistake in a request that has it, and in none that has not, word for word; and that no
//! secret is said back.

mod bad;
mod curl;
mod program;

use std::collections::{BTreeMap, BTreeSet};

use egressd::lint::{self, Around, Judged, Request};
use egressd::mistake::{Level, MISTAKES};
use egressd::plan::is_exempt;
use egressd::provider::Provider;
use egressd::publish;
use serde::Deserialize;

/// The day of the table.
const TODAY: &str = "2026-11-22";
/// In each key, password and the like.
const SECRET: &str = "SECRET";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    sound: BTreeMap<String, String>,
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    says: String,
    #[serde(default = "anthropic")]
    sound: String,
    #[serde(default)]
    change: Vec<(String, String)>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    notes: String,
    #[serde(default)]
    finds: String,
}

fn anthropic() -> String {
    "anthropic".to_owned()
}

fn table() -> Table {
    toml::from_str(&std::fs::read_to_string("tests/lint/requests.toml").unwrap()).unwrap()
}

/// A command line's request, with files that nobody has.
fn request(line: &str, environment: &BTreeMap<String, String>) -> Request {
    let line = lint::curl::read(line, &|name| environment.get(name).cloned());
    line.unwrap().request(&BTreeMap::new()).unwrap()
}

fn judged(request: &Request, environment: &BTreeMap<String, String>, today: &str) -> Judged {
    let pairs = environment.iter().map(|(name, value)| (name.clone(), value.clone()));
    let variables: Vec<(String, String)> = pairs.collect();
    let around = Around {
        provider: lint::provider_of(request, &variables),
        declared: false,
        keyless: false,
        today,
        variables: &variables,
        exempts: is_exempt,
    };
    lint::judge(None, request, &around)
}

impl Case {
    fn line(&self, table: &Table) -> String {
        let mut line = table.sound[&self.sound].clone();
        for (old, new) in &self.change {
            assert!(line.contains(old), "{}: {old}", self.says);
            line = line.replacen(old, new, 1);
        }
        line
    }

    fn judged(&self, table: &Table) -> Judged {
        let line = self.line(table);
        judged(&request(&line, &self.environment), &self.environment, TODAY)
    }
}

#[test]
fn every_request_has_the_mistakes_of_the_table_and_no_others() {
    let table = table();
    let mut wrong = Vec::new();
    for case in &table.case {
        let judged = case.judged(&table);
        let text = publish::lint::findings(&[judged], false);
        let (head, found) = text.split_once("\n\n").unwrap();
        let notes = head.lines().skip_while(|line| !line.starts_with("note"));
        let notes: Vec<&str> = notes.flat_map(|line| [line, "\n"]).collect();
        let notes = notes.concat();
        let found = if found.is_empty() { "" } else { found.trim_end() };
        if (notes.as_str(), found) != (case.notes.as_str(), case.finds.trim_end()) {
            wrong.push(format!("{}:\n{notes}{found}", case.says));
        }
        for line in text.lines() {
            assert!(line.chars().count() <= 110, "{}: {line}", case.says);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_mistake_is_in_the_table() {
    let table = table();
    let judged: Vec<Judged> = table.case.iter().map(|case| case.judged(&table)).collect();
    let found: BTreeSet<&str> = judged
        .iter()
        .flat_map(|one| &one.findings)
        .map(|finding| finding.mistake.row().id)
        .collect();
    let missing: Vec<&str> = MISTAKES
        .iter()
        .map(|row| row.id)
        // A body of 32 MiB has a test of its own.
        .filter(|id| !found.contains(id) && *id != "body_too_large")
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    for api in table.sound.keys() {
        let is_sound = |case: &&Case| {
            case.sound == *api && case.change.is_empty() && case.environment.is_empty()
        };
        let sound = table.case.iter().find(is_sound).expect("each API has a sound request");
        assert_eq!(sound.finds, "", "{api}");
    }
    let providers: BTreeSet<String> = judged.iter().map(|one| one.provider.to_string()).collect();
    let all = Provider::ALL.iter();
    let all: BTreeSet<String> = all.map(ToString::to_string).collect();
    assert_eq!(providers, all);
}

#[test]
fn no_secret_is_said_back() {
    let table = table();
    for case in &table.case {
        let judged = [case.judged(&table)];
        let told = [
            publish::lint::text(&judged, true),
            publish::lint::json(&judged),
            format!("{judged:?}"),
            format!("{:?}", request(&case.line(&table), &case.environment)),
        ];
        for text in told {
            assert!(!text.contains(SECRET), "{}: {text}", case.says);
        }
    }
}

/// Each place of a request where a secret may stand by a slip.
#[test]
fn no_secret_is_said_back_wherever_it_stands() {
    let key = "sk-ant-api03-SECRETSECRETSECRETSECRETSECRETSECRETSECRET";
    let lines = [
        format!("curl https://{key}:{key}@api.anthropic.com/v1/messages/"),
        format!("curl 'https://api.anthropic.com/v1/{key}/?key={key}&{key}#{key}'"),
        format!("curl https://api.anthropic.com/v1/messages -H '{key}'"),
        format!(
            "curl https://api.anthropic.com/v1/messages -H 'anthropic-version: {key}' -H 'origin: {key}'"
        ),
        format!(
            "curl https://api.anthropic.com/v1/messages -H 'x-api-key: {key}' -H 'X-Api-Key: {key}'"
        ),
        format!("curl https://api.anthropic.com/v1/messages -X {key} -u {key}:{key} -b a={key}"),
        format!("curl https://api.anthropic.com/v1/messages -d '{key}'"),
        format!(
            "curl https://api.anthropic.com/v1/messages -d '{{\"model\":\"{key}\",\"{key}\":\"{key}\"}}'"
        ),
        format!(
            "curl https://api.anthropic.com/v1/messages -d '{{\"messages\":[{{\"role\":\"{key}\",\"content\":{{\"{key}\":1}}}}]}}'"
        ),
        format!("curl https://api.anthropic.com/v1/messages -d '{{\"model\": {key}'"),
        format!("curl https://api.openai.com/v1/models -H \"authorization: $({key})\""),
        format!("curl https://api.openai.com/v1/models {key} --next {key}"),
    ];
    for line in &lines {
        let judged = [judged(&request(line, &BTreeMap::new()), &BTreeMap::new(), TODAY)];
        let told = publish::lint::text(&judged, true) + &publish::lint::json(&judged);
        assert!(!told.contains(SECRET), "{line}: {told}");
    }
    let refused = [
        format!("curl https://x.example '--{key}'"),
        format!("curl https://x.example '-{key}'"),
        format!("curl 'https://x.example/ {key}'"),
        format!("curl -H 'x-api-key: {key} https://x.example"),
        format!("{key} https://x.example"),
        format!("curl https://x.example -F a={key}"),
        format!("curl {key}://x.example"),
    ];
    for line in &refused {
        let why = match lint::curl::read(line, &|_| None) {
            Err(fault) => fault.render("--curl"),
            Ok(line) => line.request(&BTreeMap::new()).unwrap_err().render("--curl"),
        };
        assert!(!why.contains(SECRET), "{line}: {why}");
    }
}

#[test]
fn a_body_is_held_against_the_most_that_the_api_takes() {
    let ends = |length: usize| {
        let mut request = request("curl https://api.anthropic.com/v1/messages", &BTreeMap::new());
        request.body = Some(vec![b' '; length]);
        let found = judged(&request, &BTreeMap::new(), TODAY).findings;
        let found = found.into_iter().find(|finding| finding.mistake.row().id == "body_too_large");
        found.map(|finding| (finding.place, finding.message))
    };
    assert_eq!(ends(32 * 1024 * 1024), None);
    let message = "The body has 33554433 bytes, and anthropic takes 32 MiB at most.";
    let found = ends(32 * 1024 * 1024 + 1);
    assert_eq!(found, Some(("body:1:1".to_owned(), message.to_owned())));
}

#[test]
fn a_retirement_is_an_error_from_its_day_on() {
    let line =
        "curl https://api.anthropic.com/v1/messages -d '{\"model\":\"claude-3-opus-20240229\"}'";
    let request = request(line, &BTreeMap::new());
    let level = |today: &str| {
        let found = judged(&request, &BTreeMap::new(), today).findings;
        found
            .iter()
            .find(|found| found.mistake.row().id == "model_retired")
            .map(|found| found.level)
    };
    assert_eq!(level("2026-01-04"), Some(Level::Warning));
    assert_eq!(level("2026-01-05"), Some(Level::Error));
}

/// Whatever a body holds, what is said of it has an end, and comes soon.
#[test]
fn a_large_body_full_of_mistakes_is_judged_in_bounded_time() {
    let begun = std::time::Instant::now();
    for (one, count) in
        [("{}", 800_000), ("{\"role\":1,\"content\":[{\"type\":\"text\",\"text\":\"\"}]}", 100_000)]
    {
        let list = vec![one; count].join(",");
        let fields: Vec<String> = (0..100_000).map(|n| format!(",\"f{n}\":0")).collect();
        let fields = fields.concat();
        let body = format!("{{\"messages\":[{list}]{fields}}}");
        let mut request = request("curl https://api.anthropic.com/v1/messages", &BTreeMap::new());
        request.body = Some(body.into_bytes());
        let found = judged(&request, &BTreeMap::new(), TODAY).findings;
        assert!((8..60).contains(&found.len()), "{}", found.len());
    }
    // Without optimisation a second or two; each finding's place by itself would take hours.
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}
