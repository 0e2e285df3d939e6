//! The dashboards: sound as documents, and every query of theirs answered by a real Prometheus that runs the shipped
//! rules and scraped real daemons while something broke. No Grafana is run: what it would substitute is substituted here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::netns::{World, overloaded};
use crate::support::http::Behaviour as Http;
use crate::support::netns::{API, Host};
use crate::support::program::{Daemon, Folder};
use crate::support::stack::{RULES, Stack};

const BOARDS: [&str; 3] = ["overview", "target", "fleet"];

/// How long a query may have no data, after all has happened that gives it some.
const DEADLINE: Duration = Duration::from_secs(60);

fn board(name: &str) -> Value {
    let text = fs::read_to_string(format!("deploy/grafana/{name}.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn list<'a>(value: &'a Value, place: &str) -> &'a [Value] {
    value.pointer(place).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, place: &str) -> &'a str {
    value.pointer(place).and_then(Value::as_str).unwrap_or_default()
}

/// Those that show something.
fn panels(board: &Value) -> impl Iterator<Item = &Value> {
    list(board, "/panels").iter().filter(|panel| panel["type"] != "row")
}

/// Every query of a dashboard, with the place where it stands.
fn queries(name: &str) -> Vec<(String, String)> {
    let board = board(name);
    let of_panels = panels(&board).flat_map(|panel| {
        let title = text(panel, "/title");
        list(panel, "/targets").iter().map(move |target| {
            (
                format!("{name}: {title}, {}", text(target, "/refId")),
                text(target, "/expr").to_owned(),
            )
        })
    });
    let of_annotations = list(&board, "/annotations/list").iter().filter_map(|annotation| {
        let expression = annotation["expr"].as_str()?;
        Some((format!("{name}: annotation {}", text(annotation, "/name")), expression.to_owned()))
    });
    let of_variables = list(&board, "/templating/list").iter().filter_map(|variable| {
        let query = variable.pointer("/query/query")?.as_str()?;
        let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
        let (series, label) = inner.and_then(|inner| inner.rsplit_once(", ")).expect(query);
        let expression = format!("count by ({label}) ({series})");
        Some((format!("{name}: variable {}", text(variable, "/name")), expression))
    });
    of_panels.chain(of_annotations).chain(of_variables).collect()
}

/// As Grafana substitutes: `All` stands for anything, or one value of each variable is chosen.
fn substituted(expression: &str, chosen: bool) -> String {
    let [site, target, route] =
        if chosen { ["tokyo-2", "api", "direct"] } else { [".*", ".*", ".*"] };
    // What was meant for another order has to fail: `$site` is no beginning of another name.
    let pairs = [
        ("$__rate_interval", "10s"),
        ("$__interval", "1s"),
        ("$__range", "10m"),
        ("$site", site),
        ("$target", target),
        ("$route", route),
    ];
    let text = pairs.iter().fold(expression.to_owned(), |text, (from, to)| text.replace(from, to));
    assert!(!text.contains('$'), "{expression} has a variable that is none");
    text
}

/// 3 is unknown: as the most of several daemons or routes it would hide one that is broken.
#[test]
fn unknown_hides_nothing_that_is_broken() {
    for (place, query) in BOARDS.into_iter().flat_map(queries) {
        let statuses = ["egressd_target_status{", "egressd_check_status{"];
        let most = query.starts_with("max ") && statuses.iter().any(|name| query.contains(name));
        assert!(!most || query.contains("!= 3) or max"), "{place}: {query}");
    }
}

#[test]
fn every_panel_says_what_it_shows() {
    let mut boards = BTreeSet::new();
    for name in BOARDS {
        let board = board(name);
        assert!(boards.insert(text(&board, "/uid").to_owned()), "{name}: its uid is another's");
        assert_eq!(board["schemaVersion"], 39, "{name}");
        let mut ids = BTreeSet::new();
        for panel in list(&board, "/panels") {
            let title = text(panel, "/title");
            assert!(!title.is_empty(), "{name}: a panel without a title");
            assert!(
                ids.insert(panel["id"].as_u64().unwrap()),
                "{name}: {title}: its id is another's"
            );
        }
        for panel in panels(&board) {
            let title = text(panel, "/title");
            let about = text(panel, "/description");
            assert!(about.ends_with('.'), "{name}: {title}: no description");
            assert!(
                panel.pointer("/fieldConfig/defaults/unit").is_some(),
                "{name}: {title}: no unit"
            );
            assert!(!list(panel, "/targets").is_empty(), "{name}: {title}: no query");
            let refs: BTreeSet<&str> =
                list(panel, "/targets").iter().map(|target| text(target, "/refId")).collect();
            assert_eq!(refs.len(), list(panel, "/targets").len(), "{name}: {title}: refId twice");
            for source in list(panel, "/targets").iter().chain([panel]) {
                assert_eq!(text(source, "/datasource/uid"), "${datasource}", "{name}: {title}");
                assert_eq!(text(source, "/datasource/type"), "prometheus", "{name}: {title}");
            }
        }
    }
}

#[test]
fn no_panel_lies_on_another() {
    for name in BOARDS {
        let board = board(name);
        let mut taken = BTreeMap::new();
        for panel in list(&board, "/panels") {
            let title = text(panel, "/title");
            let [x, y, w, h] =
                ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
            assert!(w > 0 && h > 0 && x + w <= 24, "{name}: {title} is wider than the page");
            for cell in (x..x + w).flat_map(|column| (y..y + h).map(move |line| (column, line))) {
                let other = taken.insert(cell, title.to_owned());
                assert!(other.is_none(), "{name}: {title} lies on {}", other.unwrap_or_default());
            }
        }
    }
}

#[test]
fn links_lead_to_dashboards_and_statuses_have_words() {
    let uids: BTreeSet<String> = BOARDS.map(|name| text(&board(name), "/uid").to_owned()).into();
    for name in BOARDS {
        let whole = board(name).to_string();
        let linked: Vec<&str> = whole
            .split("/d/")
            .skip(1)
            .filter_map(|rest| rest.split(['"', '?', '\\']).next())
            .collect();
        assert!(linked.len() >= 2, "{name}");
        for uid in linked {
            assert!(uids.contains(uid), "{name}: no dashboard {uid}");
        }
        for panel in panels(&board(name)) {
            let status = list(panel, "/targets").iter().any(|target| {
                let plain =
                    ["max by (site) (egressd_", "max by (site, target) (egressd_target_status"];
                plain.iter().any(|begin| text(target, "/expr").starts_with(begin))
            });
            if status {
                let all = ["ok", "degraded", "broken", "unknown"];
                let said = panel.to_string();
                let words = all.iter().all(|word| said.contains(&format!("\"text\":\"{word}\"")));
                assert!(words, "{name}: {}", text(panel, "/title"));
            }
        }
    }
}

#[test]
fn what_is_recorded_is_what_is_shown() {
    let rules = RULES.map(|file| fs::read_to_string(format!("deploy/prometheus/{file}")).unwrap());
    let recorded: BTreeSet<&str> = rules
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("record: "))
        .collect();
    for (place, expression) in BOARDS.iter().flat_map(|name| queries(name)) {
        let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':');
        let names = expression.split(word).filter(|name| name.contains(':') && name.len() > 4);
        for name in names {
            assert!(recorded.contains(name), "{place}: nobody records {name}");
        }
    }
}

/// Two sites with two targets each, on two routes, and a third site, whose daemon ends.
struct Scene {
    stack: Stack,
    daemons: Vec<Daemon>,
    world: World,
    _kept: (Vec<Folder>, crate::support::proxy::Proxy),
}

impl Scene {
    fn new() -> Option<Self> {
        let world = World::new()?;
        world.answers(Http::AnthropicByKey { good: "sk-ant-planted".to_owned() });
        let (proxy, routes) = world.proxy(API[0]);
        let folders: Vec<Folder> = (0..3).map(|_| Folder::new()).collect();
        let daemon = |site: &str, folder: &Folder| {
            let key = folder.write("key", "sk-ant-planted");
            let tables = format!(
                "{routes}egress = \"fra-1\"\n\
                 [[target]]\nname = \"api\"\nprovider = \"anthropic\"\nneeds = \"direct\"\nkey = {{ file = \"{}\" }}\n\
                 routes = [\"corp\", {{ name = \"direct\", expect = \"open\" }}]\n\
                 [[target]]\nname = \"keyless\"\nprovider = \"anthropic\"\n\
                 routes = [\"corp\", {{ name = \"direct\", expect = \"open\" }}]\n",
                key.display()
            );
            world.daemon(folder, &format!("site = \"{site}\"\n"), &tables)
        };
        let sites = ["tokyo-2", "osaka-1", "lab-3"];
        let daemons: Vec<Daemon> =
            sites.iter().zip(&folders).map(|(site, folder)| daemon(site, folder)).collect();
        let addresses: Vec<_> = daemons.iter().map(Daemon::address).collect();
        let stack = Stack::start(&world.hosts, &addresses)?;
        Some(Self { stack, daemons, world, _kept: (folders, proxy) })
    }

    /// Takes out what has data now.
    fn ask(&self, left: &mut Vec<(String, String)>) {
        left.retain(|(place, expression)| {
            let series = |chosen| {
                let text = substituted(expression, chosen);
                let series = self.stack.prometheus.query(&text);
                series.unwrap_or_else(|error| panic!("{place}: {text}: {error}"))
            };
            let [all, one] = [false, true].map(series);
            let is_number = |series: &&Value| text(series, "/value/1") != "NaN";
            !all.iter().chain(&one).any(|series| is_number(&series))
        });
    }

    /// What happens: nothing, a firewall, an outage of the provider, the end of a daemon.
    fn play(&mut self, left: &mut Vec<(String, String)>) {
        let prometheus = |expression: &str| self.stack.prometheus.wait_for(expression);
        prometheus("count(egressd_check_status == 0) >= 8");
        self.ask(left);
        let rule = format!(
            "ip daddr {} ip saddr 10.1.2.3 tcp dport 443 reject with icmp type admin-prohibited",
            API[0]
        );
        self.world.hosts.firewall(&rule);
        prometheus("count(ALERTS{alertname=\"EgressFirewallBroken\", alertstate=\"firing\"}) >= 2");
        self.ask(left);
        self.world.hosts.on(Host::Router, "nft flush chain inet f fw");
        self.world.answers(overloaded());
        prometheus("count(egressd_target_verdict{status=\"broken\", party=\"origin\"}) >= 2");
        self.ask(left);
        self.daemons.pop().map(Daemon::stop);
        prometheus("up{job=\"egressd\"} == 0");
    }
}

/// Names of labels in an expression and in a legend.
fn labels_of(expression: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for list in ["by (", "on (", "group_left (", "without (", "ignoring ("] {
        for rest in expression.split(list).skip(1) {
            let names = rest.split(')').next().unwrap_or_default();
            found.extend(names.split(',').map(|name| name.trim().to_owned()));
        }
    }
    for matchers in expression.split('{').skip(1) {
        let matchers = matchers.split('}').next().unwrap_or_default();
        let names = matchers.split(',').filter_map(|one| one.split(['=', '!']).next());
        found.extend(names.map(|name| name.trim().to_owned()));
    }
    found.retain(|name| !name.is_empty());
    found
}

#[test]
fn every_query_has_data_while_something_is_broken() {
    let Some(mut scene) = Scene::new() else { return };
    let all: Vec<(String, String)> = BOARDS.iter().flat_map(|name| queries(name)).collect();
    assert!(all.len() > 60, "{}", all.len());
    let mut left = all.clone();
    scene.play(&mut left);
    let begun = Instant::now();
    while !left.is_empty() {
        scene.ask(&mut left);
        assert!(begun.elapsed() < DEADLINE, "never any data: {left:#?}");
    }
    // What is no label of anything that was scraped or recorded cannot be asked for.
    let (_, document) = scene.stack.prometheus.get("/api/v1/labels");
    let known: BTreeSet<&str> = list(&document, "/data").iter().filter_map(Value::as_str).collect();
    for (place, expression) in &all {
        let used = labels_of(expression);
        let unknown: Vec<_> = used.iter().filter(|name| !known.contains(name.as_str())).collect();
        assert!(unknown.is_empty(), "{place}: {unknown:?} in {expression}");
    }
    // All rules were evaluated all the time.
    let (_, document) = scene.stack.prometheus.get("/api/v1/rules");
    let rules = list(&document, "/data/groups").iter().flat_map(|group| list(group, "/rules"));
    let mut count = 0;
    for rule in rules {
        count += 1;
        assert_eq!(rule["health"], "ok", "{}: {}", rule["name"], rule["lastError"]);
    }
    assert!(count > 20, "{count} rules");
}
