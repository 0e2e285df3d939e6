//! Which way a PAC file chooses for a URL: the file is fetched on a trip of its own and kept as long as its
//! server says, and so is a decision, for a while.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::answer::{self, Entry, Kind};
use super::parent::LOOK_UP;
use super::{Decision, Engine, Failure, Question, Script, ScriptFault, own_addresses};
use crate::observation::{self, Failure as Stop, HttpKind, PacFailure};
use crate::plan::{Pac, Route, Spoken, Way, pac_trip};
use crate::probe::{Network, dns};

/// How long a script is kept that says nothing of it; and at most and at least of one that does.
const KEPT: Duration = Duration::from_secs(300);
const KEPT_AT_MOST: Duration = Duration::from_secs(3600);
const KEPT_AT_LEAST: Duration = Duration::from_secs(10);
/// How long a failed fetch is shared by those who wait for it.
const FAILED: Duration = Duration::from_secs(2);
/// How long a decision is kept: a script may look at names, and at the clock.
const DECIDED: Duration = Duration::from_secs(60);
/// Bytes of a file at most.
const LARGEST: u64 = 1024 * 1024;
/// Decisions that are kept of one script.
const DECISIONS: usize = 256;
/// How long a look-up of the script's may wait for the second family.
const PATIENCE: Duration = Duration::from_millis(500);

/// The ways that a PAC file names, in order.
#[derive(Debug)]
pub struct Choice {
    /// What is said of it, as far as it is known before the ways are tried.
    pub seen: observation::Pac,
    /// Each entry as it is called, and its way; none for a kind that is not spoken here.
    pub ways: Vec<(String, Option<Way>)>,
}

/// What is kept of PAC files.
#[derive(Debug)]
pub(in crate::probe) struct Files {
    engine: Engine,
    held: Mutex<BTreeMap<Whose, Arc<tokio::sync::Mutex<Option<Held>>>>>,
}

/// A file by its URL, and by where the route that it is fetched over leaves from.
type Whose = (String, Option<IpAddr>, Option<String>);

#[derive(Debug)]
struct Held {
    until: Instant,
    script: Result<Arc<Script>, PacFailure>,
    decisions: BTreeMap<String, (Instant, Decision)>,
}

impl Held {
    /// A decision that was made before, and counts yet.
    fn decision(&mut self, question: &Question) -> Option<Decision> {
        let now = Instant::now();
        self.decisions.retain(|_, (until, _)| *until > now);
        self.decisions.get(question.url()).map(|(_, decision)| decision.clone())
    }

    fn remember(&mut self, question: &Question, decision: &Decision) {
        if self.decisions.len() < DECISIONS {
            let until = Instant::now() + DECIDED;
            self.decisions.insert(question.url().to_owned(), (until, decision.clone()));
        }
    }
}

impl Files {
    /// With this program as the engine's child.
    pub(in crate::probe) fn new() -> Self {
        // The running program, also where its file has been replaced since (`proc(5)`).
        Self { engine: Engine::new("/proc/self/exe".into()), held: Mutex::default() }
    }

    fn of(&self, pac: &Pac, route: &Route) -> Arc<tokio::sync::Mutex<Option<Held>>> {
        let whose = (pac.url.to_string(), route.source, route.interface.clone());
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(held.entry(whose).or_default())
    }
}

impl Network {
    /// What a route's PAC file says of a URL.
    pub async fn choose(
        self: &Arc<Self>,
        (pac, route): (&Pac, &Route),
        to: &Url,
        deadline: Instant,
    ) -> Choice {
        let begun = Instant::now();
        let mut seen = observation::Pac { url: pac.shown(), ..Default::default() };
        let chosen = timeout_at(deadline, self.decided((pac, route), to, deadline)).await;
        seen.seconds = begun.elapsed().as_secs_f64();
        let decision = match chosen {
            Ok(Ok(decision)) => decision,
            Ok(Err(stop)) => return Choice { seen: stopped(seen, stop), ways: Vec::new() },
            Err(_) => {
                let stop = PacFailure::Undecided("it was not decided in time".to_owned());
                return Choice { seen: stopped(seen, stop), ways: Vec::new() };
            }
        };
        seen.answer = decision.text.chars().take(256).collect();
        seen.looked_up = decision.lookups.into_iter().map(|asked| asked.name).collect();
        match answer::parse(&decision.text) {
            Ok(entries) => Choice { seen, ways: entries.iter().map(|e| way(pac, e)).collect() },
            Err(nonsense) => {
                let stop = PacFailure::Invalid(nonsense.to_string());
                Choice { seen: stopped(seen, stop), ways: Vec::new() }
            }
        }
    }

    /// The decision, fresh or kept. Whoever asks at the same time waits for the same fetch.
    async fn decided(
        self: &Arc<Self>,
        (pac, route): (&Pac, &Route),
        to: &Url,
        deadline: Instant,
    ) -> Result<Decision, PacFailure> {
        let nonsense = |what: &str| PacFailure::Invalid(what.to_owned());
        let mine = route.source.map_or_else(own_addresses, |source| vec![source]);
        let question = Question::new(to, mine).ok_or_else(|| nonsense("a URL without a host"))?;
        let cell = self.files.of(pac, route);
        let script = {
            // Who asks at the same time waits for the same fetch, and not for anybody's decision.
            let mut place = cell.lock().await;
            let fresh = place.take().filter(|held| held.until > Instant::now());
            let held = match fresh {
                Some(held) => place.insert(held),
                None => place.insert(self.fetched(pac, route, deadline).await),
            };
            if let Some(decision) = held.decision(&question) {
                return Ok(decision);
            }
            Arc::clone(held.script.as_ref().map_err(Clone::clone)?)
        };
        // As long as it may take, not as long as this trip has left: a name that is cut off is no name that
        // does not exist, and the script would choose another way.
        let look_up = |name| dns::addresses(self, name, (Instant::now() + LOOK_UP, PATIENCE));
        let decision = self.files.engine.decide(&script, &question, look_up).await;
        let decision = decision.map_err(|failure| match failure {
            Failure::Script(fault) => PacFailure::Invalid(place_of(&fault)),
            Failure::Child(error) => PacFailure::Undecided(format!("its engine failed: {error}")),
        })?;
        if let Some(held) = cell.lock().await.as_mut() {
            held.remember(&question, &decision);
        }
        Ok(decision)
    }

    async fn fetched(self: &Arc<Self>, pac: &Pac, route: &Route, deadline: Instant) -> Held {
        let (bytes, kept) = match pac.url.to_file_path() {
            Ok(path) if pac.url.scheme() == "file" => {
                // It is at hand: what is kept of it is only for those who ask at the same time.
                (from_file(path).await, FAILED)
            }
            _ => self.downloaded(pac, route, deadline).await,
        };
        let decoded = |bytes: Vec<u8>| {
            let decoded = Script::decode(&bytes).map(Arc::new);
            decoded.map_err(|error| PacFailure::Invalid(error.to_string()))
        };
        let script = bytes.and_then(decoded);
        let kept = match &script {
            Ok(_) => kept,
            // Cut off by its own trip's end, it says nothing to others.
            Err(_) if deadline.saturating_duration_since(Instant::now()) < FAILED / 2 => {
                Duration::ZERO
            }
            Err(_) => FAILED,
        };
        Held { until: Instant::now() + kept, script, decisions: BTreeMap::new() }
    }

    async fn downloaded(
        self: &Arc<Self>,
        pac: &Pac,
        route: &Route,
        deadline: Instant,
    ) -> (Result<Vec<u8>, PacFailure>, Duration) {
        let unavailable = |failure, status, detail: &str| {
            let failure = Option::map(failure, Box::new);
            Err(PacFailure::Unavailable { failure, status, detail: detail.to_owned() })
        };
        // The rest is for the decision, and so that the trip's own end is told.
        let left = deadline.saturating_duration_since(Instant::now()) * 3 / 4;
        let Some(plan) = pac_trip(pac, route, left) else {
            return (unavailable(None, None, "its URL leads nowhere"), FAILED);
        };
        let (trip, bytes) = self.fetch(&Arc::new(plan)).await;
        match (trip.failure(), trip.leading().and_then(|leg| leg.response.as_ref())) {
            (Some(Stop::Http(http)), _) if http.kind == HttpKind::TooLarge => {
                (Err(PacFailure::Invalid("it has more than 1 MiB".to_owned())), FAILED)
            }
            (Some(failure), _) => (unavailable(Some(failure), None, ""), FAILED),
            (None, Some(response)) if response.status == 200 => {
                (Ok(bytes), kept(response.header("cache-control")))
            }
            (None, Some(response)) => {
                let status = response.status;
                (unavailable(None, Some(status), &format!("status {status}")), FAILED)
            }
            (None, None) => (unavailable(None, None, "no answer"), FAILED),
        }
    }
}

/// A file's bytes. A folder of another host may never answer: that holds up a thread, not this one.
async fn from_file(path: PathBuf) -> Result<Vec<u8>, PacFailure> {
    let unavailable =
        |detail: String| PacFailure::Unavailable { failure: None, status: None, detail };
    let read = move || {
        let metadata = std::fs::metadata(&path).map_err(|error| error.to_string())?;
        if !metadata.is_file() || metadata.len() > LARGEST {
            return Err("it is no regular file of at most 1 MiB".to_owned());
        }
        std::fs::read(&path).map_err(|error| error.to_string())
    };
    let mut thread = JoinSet::new();
    thread.spawn_blocking(read);
    match thread.join_next().await {
        Some(Ok(read)) => read.map_err(unavailable),
        Some(Err(_)) | None => Err(unavailable("reading it ended early".to_owned())),
    }
}

/// How long a file may be kept (RFC 9111 5.2.2.1), within bounds.
fn kept(cache_control: Option<&str>) -> Duration {
    let directives = cache_control.unwrap_or_default().split(',').map(str::trim);
    let age =
        directives.filter_map(|directive| directive.split_once('=')).find_map(|(name, age)| {
            name.eq_ignore_ascii_case("max-age").then(|| age.trim_matches('"').parse().ok())?
        });
    age.map_or(KEPT, |age: u64| Duration::from_secs(age).clamp(KEPT_AT_LEAST, KEPT_AT_MOST))
}

/// The script's own fault, with its place first.
fn place_of(fault: &ScriptFault) -> String {
    match fault {
        ScriptFault::Threw { line: Some(line), .. } => format!("line {line}: {fault}"),
        ScriptFault::Parse { .. }
        | ScriptFault::NoFunction
        | ScriptFault::Threw { .. }
        | ScriptFault::TooLong
        | ScriptFault::TooMuchMemory
        | ScriptFault::TooManyLookups
        | ScriptFault::NotAString { .. } => fault.to_string(),
    }
}

/// An entry's name, and its way. SOCKS 4 is not spoken; by `SOCKS5` browsers let the proxy resolve.
fn way(pac: &Pac, entry: &Entry) -> (String, Option<Way>) {
    match entry {
        Entry::Direct => ("DIRECT".to_owned(), Some(Way::Direct)),
        Entry::Unusable(text) => (text.clone(), None),
        Entry::Proxy { kind, host, port } => {
            let name = format!("{host}:{port}");
            let spoken = match kind {
                Kind::Http => Spoken::Http,
                Kind::Https => Spoken::Https,
                Kind::Socks5 => Spoken::Socks5h,
                Kind::Socks4 => return (name, None),
            };
            let proxy = pac.names(spoken, host.clone(), *port);
            (name, Some(Way::Proxy(Arc::new(proxy))))
        }
    }
}

fn stopped(seen: observation::Pac, stop: PacFailure) -> observation::Pac {
    observation::Pac { stop: Some(stop), ..seen }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_kept_as_long_as_its_server_says_within_bounds() {
        let seconds = |header| kept(header).as_secs();
        assert_eq!(seconds(None), 300);
        assert_eq!(seconds(Some("public, Max-Age=60")), 60);
        assert_eq!(seconds(Some("max-age=0")), 10);
        assert_eq!(seconds(Some("max-age=\"999999\"")), 3600);
        assert_eq!(seconds(Some("max-age=soon, no-cache")), 300);
    }
}
