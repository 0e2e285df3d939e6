//! From a fault to the team that mends it, with the programs that people run: a firewall refuses, the daemon names it,
//! Prometheus evaluates the shipped rules, Alertmanager routes as it is shipped to, and the team is told; and told
//! when it is mended.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::netns::{World, overloaded};
use crate::support::http::Behaviour as Http;
use crate::support::netns::{API, Host};
use crate::support::program::{Daemon, Folder};
use crate::support::stack::{FASTER, Notice, Stack, configured, faster};

const ALERTS: &str = "deploy/prometheus/alerts.yml";
const SCRAPE: &str = "deploy/prometheus/scrape.yml";
const ROUTING: &str = "deploy/alertmanager/alertmanager.yml";

/// What a busy machine may take beyond what is configured.
const SLACK: Duration = Duration::from_secs(20);

/// Alerts on the objective, which count over hours: a test that is seconds long says nothing of them.
const OBJECTIVE: [&str; 2] = ["EgressFastBurn", "EgressSlowBurn"];

/// A target at a site, and who watches over it.
struct Scene {
    stack: Stack,
    daemon: Daemon,
    world: World,
    _folder: Folder,
}

impl Scene {
    /// With these lines in the target's table. It is healthy, and Prometheus knows.
    fn new(more: &str) -> Option<Self> {
        let (world, folder) = (World::new()?, Folder::new());
        let key = folder.write("key", "sk-ant-planted");
        let more = more.replace("KEY", &key.display().to_string());
        world.answers(Http::AnthropicByKey { good: "sk-ant-planted".to_owned() });
        let target = format!("[[target]]\nname = \"api\"\nprovider = \"anthropic\"\n{more}");
        let daemon = world.daemon(&folder, "site = \"tokyo-2\"\n", &target);
        let stack = Stack::start(&world.hosts, &[daemon.address()])?;
        daemon.wait_for("api via direct: works");
        stack.prometheus.wait_for("egressd_target_status == 0");
        Some(Self { stack, daemon, world, _folder: folder })
    }

    /// Every series of an alert that ever was pending or firing.
    fn ever(&self, selector: &str) -> Vec<serde_json::Value> {
        let expression = format!("count_over_time(ALERTS{{{selector}}}[1h])");
        self.stack.prometheus.query(&expression).expect("an expression")
    }
}

/// The longest way from a published verdict to the team, as configured.
fn configured_way(alert_for: Duration) -> Duration {
    configured(SCRAPE, "scrape_interval")
        + configured(SCRAPE, "evaluation_interval")
        + alert_for
        + configured(ROUTING, "group_wait")
}

/// The `for` of an alert.
fn patience(alert: &str) -> Duration {
    let rules = std::fs::read_to_string(ALERTS).unwrap();
    let rule = rules.split("- alert: ").find(|rule| rule.lines().next() == Some(alert));
    let rule = rule.unwrap_or_else(|| panic!("{alert} is no alert"));
    let line = rule.lines().find_map(|line| line.trim().strip_prefix("for: "));
    humantime::parse_duration(line.expect("a `for`")).unwrap() / FASTER
}

fn labels(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Who was called about a target: not for the objective, and not because the first scrape came late.
fn called(notices: &[Notice]) -> BTreeSet<&str> {
    let of_verdicts = |notice: &&Notice| {
        !OBJECTIVE.contains(&notice.label("alertname")) && notice.label("team") != "egressd"
    };
    notices.iter().filter(of_verdicts).map(|notice| notice.receiver.as_str()).collect()
}

fn the_one<'a>(notices: &'a [Notice], alert: &str, status: &str) -> &'a Notice {
    notices.iter().find(|notice| notice.is(alert, status)).expect("it was waited for")
}

#[test]
fn a_firewall_that_refuses_calls_its_team_and_nobody_else() {
    let Some(scene) = Scene::new("") else { return };
    let rule = format!("ip daddr {} reject with icmp type admin-prohibited", API[0]);
    scene.world.hosts.firewall(&rule);
    scene.daemon.wait_for("cause=\"tcp_rejected\"");
    let (alert, named) = ("EgressFirewallBroken", Instant::now());
    let notices = scene.stack.wait_for(alert, "firing");
    let (took, bound) = (named.elapsed(), configured_way(patience(alert)));
    assert!(took <= bound + SLACK, "{took:?}, where {bound:?} is configured");
    let told = the_one(&notices, alert, "firing");
    assert_eq!(told.receiver, "firewall");
    let expected = [
        ("alertname", alert),
        ("party", "firewall"),
        ("severity", "critical"),
        ("site", "tokyo-2"),
        ("target", "api"),
        ("team", "firewall"),
    ];
    assert_eq!(told.labels, labels(&expected));
    assert_eq!(told.summary, "api at tokyo-2 is broken; to act: firewall");
    assert_eq!(called(&notices), ["firewall"].into(), "{notices:#?}");

    scene.world.hosts.on(Host::Router, "nft flush chain inet f fw");
    scene.daemon.wait_for("before=\"broken\"");
    let notices = scene.stack.wait_for(alert, "resolved");
    let mended = the_one(&notices, alert, "resolved");
    assert_eq!((mended.receiver.as_str(), &mended.labels), ("firewall", &labels(&expected)));
    assert_eq!(called(&notices), ["firewall"].into(), "{notices:#?}");
}

#[test]
fn a_bad_key_calls_its_owner_and_never_the_network() {
    let Some(scene) = Scene::new("key = { file = \"KEY\" }\n") else { return };
    scene.world.answers(Http::AnthropicByKey { good: "another".to_owned() });
    scene.daemon.wait_for("cause=\"api_key_invalid\"");
    let alert = "EgressAccountBroken";
    let notices = scene.stack.wait_for(alert, "firing");
    let told = the_one(&notices, alert, "firing");
    assert_eq!(told.receiver, "account");
    let expected = [
        ("alertname", alert),
        ("party", "account"),
        ("severity", "warning"),
        ("site", "tokyo-2"),
        ("target", "api"),
        ("team", "account"),
    ];
    assert_eq!(told.labels, labels(&expected));
    assert_eq!(called(&notices), ["account"].into(), "{notices:#?}");
    // Not even pending: none of these waits longer than the account's.
    let verdicts = r#"alertname=~"Egress.+", alertname!~"Egress(Fast|Slow)Burn""#;
    assert!(!scene.ever(&format!("team=\"account\", {verdicts}")).is_empty(), "all is seen");
    let others = scene.ever(&format!("team!~\"account|egressd\", {verdicts}"));
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn an_outage_of_the_provider_is_one_alert_and_silences_those_of_the_sites() {
    let Some(world) = World::new() else { return };
    let sites = ["tokyo-2", "osaka-1", "fra-1"].map(|site| (site, Folder::new()));
    let target = "[[target]]\nname = \"api\"\nprovider = \"anthropic\"\n";
    let daemons = sites
        .each_ref()
        .map(|(site, folder)| world.daemon(folder, &format!("site = \"{site}\"\n"), target));
    let addresses = daemons.each_ref().map(Daemon::address);
    let Some(stack) = Stack::start(&world.hosts, &addresses) else { return };
    // The fleet counts ways out that have worked.
    stack.prometheus.wait_for("count(egressd:check_worked:max7d) == 3");
    world.answers(overloaded());
    let (outage, of_a_site) = ("EgressProviderOutage", "EgressProviderBroken");
    let notices = stack.wait_for(outage, "firing");
    let told = the_one(&notices, outage, "firing");
    assert_eq!(told.receiver, "provider");
    let expected =
        [("alertname", outage), ("severity", "critical"), ("target", "api"), ("team", "provider")];
    assert_eq!(told.labels, labels(&expected));
    assert_eq!(told.summary, "api is down at the provider, as 100% of our ways out see it");
    stack.wait_until_silenced(of_a_site, sites.len());
    assert_eq!(called(&notices), ["provider"].into(), "{notices:#?}");
}

#[test]
fn what_is_shipped_is_shortened_and_otherwise_the_same() {
    let text = "a:\n  for: 3m\n  - interval: 15s # often\n  expr: rate(x[5m])\n  summary: for: 3m\n\
                - {receiver: x, group_wait: 5m, repeat_interval: 24h}\n";
    let expected = "a:\n  for: 3000ms\n  - interval: 250ms # often\n  expr: rate(x[5m])\n  \
                    summary: for: 3m\n- {receiver: x, group_wait: 5000ms, repeat_interval: 1440000ms}";
    assert_eq!(faster(text), expected);
}
