//! What is shipped in `deploy/`, run: a real Prometheus with the rules, a real Alertmanager with the routing, and a
//! receiver in the place of every team's. All of it is beside the daemon that is scraped.
//!
//! Only durations that are configured (`for`, `group_wait`, intervals) are shortened, all by the same factor, so that
//! their proportions stay; expressions, labels and texts are as they are shipped.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::alertmanager::Alertmanager;
use super::foreign::At;
use super::http::{Behaviour, HttpServer};
use super::netns::{Host, Hosts};
use super::prometheus::Prometheus;

/// A configured minute is a second of a test.
pub(crate) const FASTER: u32 = 60;

/// The keys whose values are shortened.
const SHORTENED: [&str; 9] = [
    "for",
    "keep_firing_for",
    "interval",
    "scrape_interval",
    "evaluation_interval",
    "group_wait",
    "group_interval",
    "repeat_interval",
    "resolve_timeout",
];

/// How long is waited for an alert: longer than the longest `for` and all waits, shortened as they are. It is never
/// reached where all is well.
const DEADLINE: Duration = Duration::from_secs(90);

/// The files of rules.
pub(crate) const RULES: [&str; 3] = ["alerts.yml", "recording.yml", "fleet.yml"];

/// The three, running; they are ended when this goes.
pub(crate) struct Stack {
    pub(crate) prometheus: Prometheus,
    alertmanager: Alertmanager,
    receiver: HttpServer,
}

/// An alert in a message to a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) receiver: String,
    /// `firing` or `resolved`.
    pub(crate) status: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) summary: String,
    pub(crate) description: String,
}

impl Stack {
    /// On the client of these hosts, scraping these daemons; none where a program is missing.
    pub(crate) fn start(hosts: &Hosts, daemons: &[SocketAddr]) -> Option<Self> {
        let sent = Behaviour::Answer { status: 200, headers: Vec::new(), body: Vec::new() };
        let receiver = hosts.there(Host::Client, move || HttpServer::start(sent));
        let namespace = hosts.namespace(Host::Client);
        let at = At::Namespace(&namespace, IpAddr::V4(Ipv4Addr::LOCALHOST), None);
        let routing = shipped("deploy/alertmanager/alertmanager.yml");
        let routing = received_at(&faster(&routing), &format!("http://{}/", receiver.address()));
        let alertmanager = Alertmanager::start(at, &routing)?;
        let called = alertmanager.url().replace("http://", "");
        let config = faster(&shipped("deploy/prometheus/scrape.yml"));
        let list = daemons.iter().map(|address| format!("\"{address}\"")).collect::<Vec<_>>();
        let config = replaced(&config, "\"127.0.0.1:9737\"", &list.join(", "));
        let config = replaced(&config, "127.0.0.1:9093", &called);
        let rules =
            RULES.map(|name| (name, faster(&shipped(&format!("deploy/prometheus/{name}")))));
        let files = rules.each_ref().map(|(name, text)| (*name, text.as_str()));
        let prometheus = Prometheus::start(at, &config, &files)?;
        Some(Self { prometheus, alertmanager, receiver })
    }

    /// Waits until a receiver has had an alert of this name and status, and returns all notices until then.
    #[track_caller]
    pub(crate) fn wait_for(&self, alert: &str, status: &str) -> Vec<Notice> {
        let is = |notice: &Notice| notice.is(alert, status);
        let requests = self.receiver.wait_within(DEADLINE, |requests| {
            requests.iter().flat_map(|request| notices(&request.body)).any(|notice| is(&notice))
        });
        requests.iter().flat_map(|request| notices(&request.body)).collect()
    }

    /// Waits until Alertmanager keeps so many alerts of this name from everybody, because another one says it all.
    #[track_caller]
    pub(crate) fn wait_until_silenced(&self, alert: &str, count: usize) {
        let begun = Instant::now();
        loop {
            let alerts = self.alertmanager.alerts();
            let is = |one: &&Value| {
                one["labels"]["alertname"] == alert && one["status"]["state"] == "suppressed"
            };
            if alerts.iter().filter(is).count() == count {
                return;
            }
            assert!(begun.elapsed() < DEADLINE, "{alert}: {alerts:#?}");
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }
}

impl Notice {
    pub(crate) fn is(&self, alert: &str, status: &str) -> bool {
        self.status == status && self.label("alertname") == alert
    }

    pub(crate) fn label(&self, name: &str) -> &str {
        let found = self.labels.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }
}

/// The value of a key in a shipped file, shortened as all are; the first one.
pub(crate) fn configured(file: &str, key: &str) -> Duration {
    let text = shipped(file);
    let value = text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": "));
    let value = value.unwrap_or_else(|| panic!("{file} has no {key}"));
    duration(value).unwrap_or_else(|| panic!("{file}: {key}: {value}")) / FASTER
}

/// A file with its durations shortened.
pub(crate) fn faster(text: &str) -> String {
    text.lines().map(faster_line).collect::<Vec<_>>().join("\n")
}

fn faster_line(line: &str) -> String {
    SHORTENED.iter().fold(line.to_owned(), |line, key| faster_key(&line, key))
}

/// With the value of this key shortened, where it is one: at the line's beginning or inside of braces.
fn faster_key(line: &str, key: &str) -> String {
    let Some((before, behind)) = line.split_once(&format!("{key}: ")) else {
        return line.to_owned();
    };
    let is_key = before.is_empty() || before.ends_with([' ', '{']);
    let opens = before.trim_end();
    let (value, rest) = behind.split_at(behind.find([',', '}', ' ']).unwrap_or(behind.len()));
    match duration(value) {
        Some(long) if is_key && (opens.is_empty() || opens.ends_with(['-', '{', ','])) => {
            format!("{before}{key}: {}ms{rest}", (long / FASTER).as_millis())
        }
        _ => line.to_owned(),
    }
}

/// A duration in Prometheus's words, as `1h30m`; what stands behind it is a comment.
fn duration(value: &str) -> Option<Duration> {
    humantime::parse_duration(value.split('#').next()?.trim()).ok()
}

fn shipped(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"))
}

#[track_caller]
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from} is not in {text}");
    text.replace(from, to)
}

/// Routing with one receiver in the place of all.
fn received_at(routing: &str, url: &str) -> String {
    let line = |line: &str| match line.split_once("url: ") {
        Some((before, _)) => format!("{before}url: {url}"),
        None => line.to_owned(),
    };
    routing.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The alerts in a message of Alertmanager to a webhook.
fn notices(body: &[u8]) -> Vec<Notice> {
    let message: Value = serde_json::from_slice(body).expect("a document");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let receiver = text(&message["receiver"]);
    let alerts = message["alerts"].as_array().expect("alerts");
    let labels = |alert: &Value| {
        let labels = alert["labels"].as_object().expect("labels");
        labels.iter().map(|(name, value)| (name.clone(), text(value))).collect()
    };
    let notice = |alert: &Value| Notice {
        receiver: receiver.clone(),
        status: text(&alert["status"]),
        labels: labels(alert),
        summary: text(&alert["annotations"]["summary"]),
        description: text(&alert["annotations"]["description"]),
    };
    alerts.iter().map(notice).collect()
}
