//! Fifty sites that watch one API: whose turn is it? Each site has one daemon with one route; what happens begins at
//! 30m. Answers are read at 45m, and the alerts beside them.

use std::fmt::Write as _;

use super::Story;

/// How a site stands from 30m on.
#[derive(Clone, Copy)]
enum Now {
    Works,
    /// Cause, party, and whether the provider itself has answered.
    Broken(&'static str, &'static str, Option<bool>),
    Gone,
}

struct Site {
    name: Option<String>,
    instance: String,
    egress: &'static str,
    pop: &'static str,
    /// Whether it worked until 30m; else there is nothing of it before.
    before: bool,
    now: Now,
}

const API_DOWN: Now = Now::Broken("api_error", "origin", Some(true));
const EDGE_DOWN: Now = Now::Broken("edge_failed", "edge", Some(true));
const SNI: Now = Now::Broken("sni_filtered", "firewall", Some(false));
const UNNAMED: Now = Now::Broken("unknown", "undetermined", None);
const PROXY: Now = Now::Broken("proxy_failed", "proxy", Some(false));
const KEY: Now = Now::Broken("api_key_invalid", "account", Some(true));

fn sites(now: impl Fn(usize) -> Now) -> Vec<Site> {
    let site = |number: usize| Site {
        name: Some(format!("s{number:02}")),
        instance: format!("m{number:02}:9737"),
        egress: "",
        pop: if number < 10 { "NRT" } else { "CDG" },
        before: true,
        now: now(number),
    };
    (0..50).map(site).collect()
}

fn told(name: &str, sites: &[Site]) -> Story {
    let mut story = Story::new(name);
    for site in sites {
        let named =
            site.name.as_ref().map_or_else(String::new, |name| format!(", site=\"{name}\""));
        let own = format!("job=\"egressd\", instance=\"{}\"{named}", site.instance);
        let check = format!("{own}, target=\"api\", route=\"out\"");
        let gone = matches!(site.now, Now::Gone);
        // Values until 30m, and from there on.
        let timeline = |before: &str, now: Option<&str>| {
            let before = if site.before { format!("{before}x29") } else { "_x29".to_owned() };
            now.map_or_else(|| format!("{before} stale"), |now| format!("{before} {now}x30"))
        };
        let lasting = timeline("1", (!gone).then_some("1"));
        story.put(format!("up{{{own}}}"), if gone { "1x29 0x30" } else { "1x60" });
        story.put(format!("egressd_build_info{{{own}, version=\"0\"}}"), &lasting);
        story.put(
            format!("egressd_route_info{{{own}, route=\"out\", egress=\"{}\"}}", site.egress),
            &lasting,
        );
        story.put(format!("egressd_pop_info{{{check}, pop=\"{}\"}}", site.pop), &lasting);
        let verdict = |status: &str, cause: &str, party: &str| {
            format!("status=\"{status}\", layer=\"any\", cause=\"{cause}\", party=\"{party}\"")
        };
        let ok = verdict("ok", "none", "none");
        let (status, network, fault) = match site.now {
            Now::Works => (Some("0"), Some("1"), None),
            Now::Broken(cause, party, network) => {
                let network = network.map(|up| if up { "1" } else { "0" });
                (Some("2"), network, Some(verdict("broken", cause, party)))
            }
            Now::Gone => (None, None, None),
        };
        story.put(format!("egressd_check_status{{{check}}}"), &timeline("0", status));
        story.put(format!("egressd_network_up{{{check}}}"), &timeline("1", network));
        let well = matches!(site.now, Now::Works).then_some("1");
        let of_target = format!("{own}, target=\"api\"");
        for (metric, labels) in
            [("egressd_verdict", &check), ("egressd_target_verdict", &of_target)]
        {
            story.put(format!("{metric}{{{labels}, {ok}}}"), &timeline("1", well));
            if let Some(fault) = &fault {
                story.put(format!("{metric}{{{labels}, {fault}}}"), "_x30 1x30");
            }
        }
    }
    story
}

const FLEET: &str = "count by (answer, target) (egressd:fleet_answer)";
const SITES: &str = "count by (answer) (egressd:site_answer)";
const ALERTS: &str = "count by (alertname, team, target) (ALERTS{alertstate=\"firing\", alertname!~\"EgressRouteBroken|EgressRedundancyLost\"})";

/// At 25m nothing is said; at 45m this.
fn answered(
    mut story: Story,
    fleet: &str,
    sites: &[(&str, f64)],
    alerts: &[(&str, &str, f64)],
) -> Story {
    let of = |answer: &str| (format!("answer=\"{answer}\", target=\"api\""), 1.0);
    for expression in [FLEET, SITES, ALERTS] {
        story.expect("25m", expression, Vec::new());
    }
    story.expect("45m", FLEET, (!fleet.is_empty()).then(|| of(fleet)).into_iter().collect());
    let sites = sites.iter().map(|(answer, count)| (format!("answer=\"{answer}\""), *count));
    story.expect("45m", SITES, sites.collect());
    let target = |alert: &str| {
        if alert.starts_with("Egressd") || alert == "EgressSitesUnseen" {
            ""
        } else {
            ", target=\"api\""
        }
    };
    let alerts = alerts.iter().map(|(alert, team, count)| {
        (format!("alertname=\"{alert}\", team=\"{team}\"{}", target(alert)), *count)
    });
    story.expect("45m", ALERTS, alerts.collect());
    story
}

/// Silent at 25m, and at 45m with these words.
fn text(story: &mut Story, alert: &str, labels: &str, [summary, description, anchor]: [&str; 3]) {
    write!(
        story.texts,
        "      - eval_time: 25m\n        alertname: {alert}\n      - eval_time: 45m\n        alertname: {alert}\n        \
         exp_alerts:\n          - exp_labels: {{{labels}}}\n            exp_annotations:\n              \
         summary: '{}'\n              description: '{}'\n              \
         runbook_url: 'file:///usr/share/doc/egressd/VERDICTS.md#{anchor}'\n",
        summary.replace('\'', "''"),
        description.replace('\'', "''"),
    )
    .unwrap();
}

pub(super) fn stories() -> Vec<Story> {
    let mut all = vec![
        answered(told("all is well", &sites(|_| Now::Works)), "", &[], &[]),
        provider_outage(),
        silent_provider(),
        our_policy(),
        one_site(),
        bad_key(),
        without_site_labels(),
        new_site(),
        dead_pop(),
    ];
    all.extend(central_proxy());
    all.extend(half_unscraped());
    all
}

fn provider_outage() -> Story {
    let now = |n: usize| {
        if n < 25 {
            API_DOWN
        } else if n < 40 {
            EDGE_DOWN
        } else {
            Now::Works
        }
    };
    let story = told("the API is down, as forty sites see it", &sites(now));
    let alerts =
        [("EgressProviderBroken", "provider", 40.0), ("EgressProviderOutage", "provider", 1.0)];
    let mut story = answered(story, "provider", &[("provider", 40.0)], &alerts);
    text(
        &mut story,
        "EgressProviderOutage",
        "severity: critical, team: provider, target: api",
        [
            "api is down at the provider, as 80% of our ways out see it",
            "Of 50 ways out that worked within the last 7 days, most fail, and their measurements name the provider or nobody. \
         Evidence: api_error at http://m00:9737/api/v1/status; api_error at http://m01:9737/api/v1/status; api_error at \
         http://m02:9737/api/v1/status; egressd:way_answer has every way. Do: watch the provider's status page, announce it, \
         use the fallback if there is one; ask the provider with request ids and times of several sites. Do not: change \
         firewall, proxy, DNS, keys or clients at any site.",
            "party-origin",
        ],
    );
    story
}

/// Where nothing answers, each site alone can name nobody; together they say at least that it is none of them.
fn silent_provider() -> Story {
    let story = told("nothing answers anywhere", &sites(|_| UNNAMED));
    let alerts =
        [("EgressUndeterminedBroken", "network", 50.0), ("EgressCommonCause", "network", 1.0)];
    answered(story, "unclear", &[("unclear", 50.0)], &alerts)
}

fn our_policy() -> Story {
    let now = |n: usize| if n < 45 { SNI } else { Now::Works };
    let story = told("a policy reaches nearly all firewalls", &sites(now));
    let alerts =
        [("EgressFirewallBroken", "firewall", 45.0), ("EgressCommonCause", "network", 1.0)];
    let mut story = answered(story, "us", &[("us", 45.0)], &alerts);
    text(
        &mut story,
        "EgressCommonCause",
        "severity: critical, team: network, target: api, answer: us",
        [
            "api is broken on 90% of our ways out at once; the cause is on our side",
            "Of 50 ways out that worked within the last 7 days, most fail. Most of them name a party of ours: look for one change \
         that reached all of them. Evidence: sni_filtered at http://m00:9737/api/v1/status; sni_filtered at \
         http://m01:9737/api/v1/status; sni_filtered at http://m02:9737/api/v1/status; egressd:way_answer has every way. Do: \
         ask what was rolled out everywhere (firewall policy, DNS filter, inspection, proxy); compare with a network that is \
         not ours. Do not: repair site by site before that.",
            "party-undetermined",
        ],
    );
    story
}

fn one_site() -> Story {
    let story = told("one site's firewall", &sites(|n| if n == 7 { SNI } else { Now::Works }));
    answered(story, "", &[("site", 1.0)], &[("EgressFirewallBroken", "firewall", 1.0)])
}

fn bad_key() -> Story {
    let story = told("one key for all sites, revoked", &sites(|_| KEY));
    answered(story, "", &[("request", 50.0)], &[("EgressAccountBroken", "account", 50.0)])
}

/// Twenty sites go out through one proxy. It is one way out where it has a name, and twenty where it has none.
fn central_proxy() -> Vec<Story> {
    let behind = |egress: &'static str, sites: Vec<Site>| -> Vec<Site> {
        let through =
            |(n, site): (usize, Site)| Site { egress: if n < 20 { egress } else { "" }, ..site };
        sites.into_iter().enumerate().map(through).collect()
    };
    let proxy = |n: usize| if n < 20 { PROXY } else { Now::Works };
    let mine = |alerts: f64| ("EgressProxyBroken", "proxy", alerts);
    let story = told("the proxy of twenty sites fails", &behind("fra-1", sites(proxy)));
    let shared = ("EgressSharedWayBroken", "network", 1.0);
    let mut named = answered(story, "", &[("egress", 20.0)], &[mine(20.0), shared]);
    text(
        &mut named,
        "EgressSharedWayBroken",
        "severity: critical, team: network, target: api, way: egress/fra-1",
        [
            "api is broken for 100% of the sites behind egress/fra-1",
            "Sites that share this way out fail together, others work: it is not the sites. The alert of the party (proxy, \
         firewall) has gone to its team for each of them. Evidence: proxy_failed at http://m00:9737/api/v1/status; \
         proxy_failed at http://m01:9737/api/v1/status; proxy_failed at http://m02:9737/api/v1/status; egressd:way_answer has \
         every way. Do: look at the shared proxy or line; move its sites to another way out, if there is one. Do not: repair \
         site by site.",
            "party-network",
        ],
    );
    let story = told("the same, and its egress has no name", &sites(proxy));
    let unnamed = answered(story, "", &[("site", 20.0)], &[mine(20.0)]);
    let most = |n: usize| if n < 30 { PROXY } else { Now::Works };
    let story = told("a proxy without a name, of most sites: never the provider's", &sites(most));
    let common = ("EgressCommonCause", "network", 1.0);
    let of_most = answered(story, "us", &[("us", 30.0)], &[mine(30.0), common]);
    // The reverse: the proxy repeats as its own what all others see of the provider.
    let reverse = |n: usize| if n < 20 { PROXY } else { API_DOWN };
    let story =
        told("the API is down, and a proxy calls it its own", &behind("fra-1", sites(reverse)));
    let alerts = [
        mine(20.0),
        ("EgressProviderBroken", "provider", 30.0),
        ("EgressProviderOutage", "provider", 1.0),
    ];
    let reverse = answered(story, "provider", &[("provider", 50.0)], &alerts);
    vec![named, unnamed, of_most, reverse]
}

fn dead_pop() -> Story {
    let story =
        told("one point of presence", &sites(|n| if n < 10 { EDGE_DOWN } else { Now::Works }));
    let alerts = [("EgressProviderBroken", "provider", 10.0), ("EgressPopDead", "provider", 1.0)];
    let mut story = answered(story, "", &[("site", 10.0)], &alerts);
    text(
        &mut story,
        "EgressPopDead",
        "severity: warning, team: provider, target: api, pop: NRT",
        [
            "api is down at the provider's point of presence NRT",
            "100% of our ways out that were served by NRT fail, and the others work. Evidence: edge_failed at \
         http://m00:9737/api/v1/status; edge_failed at http://m01:9737/api/v1/status; edge_failed at \
         http://m02:9737/api/v1/status; egressd_pop_info has each way's. Do: ask the provider with the point of presence and \
         the times; send the sites out elsewhere, if they can. Do not: change firewall, proxy, DNS, keys or clients at these \
         sites.",
            "party-edge",
        ],
    );
    story
}

fn half_unscraped() -> Vec<Story> {
    let unseen = [("EgressdDown", "egressd", 25.0), ("EgressSitesUnseen", "egressd", 1.0)];
    let half = |other: Now| move |n: usize| if n.is_multiple_of(2) { Now::Gone } else { other };
    let story = told("half of the sites are not scraped", &sites(half(Now::Works)));
    let mut well = answered(story, "", &[], &unseen);
    text(
        &mut well,
        "EgressSitesUnseen",
        "severity: critical, team: egressd",
        [
            "50% of the sites of the last day are not scraped",
            "What fleet alerts say rests on the sites that are left. Do: look at the way from Prometheus to the sites, then at \
         EgressdDown and EgressdGone of each. Do not: take silent egress alerts of these sites as good news.",
            "egressd-itself",
        ],
    );
    let story =
        told("half of the sites are not scraped, and the API is down", &sites(half(API_DOWN)));
    let more =
        [("EgressProviderBroken", "provider", 25.0), ("EgressProviderOutage", "provider", 1.0)];
    let alerts: Vec<_> = unseen.into_iter().chain(more).collect();
    vec![well, answered(story, "provider", &[("provider", 25.0)], &alerts)]
}

/// Without `site` the instance is the way out, and one alert speaks for all.
fn without_site_labels() -> Story {
    let mut bare = sites(|_| API_DOWN);
    for site in &mut bare {
        site.name = None;
    }
    let story = told("no host has a site", &bare);
    let alerts =
        [("EgressProviderBroken", "provider", 1.0), ("EgressProviderOutage", "provider", 1.0)];
    answered(story, "provider", &[("provider", 1.0)], &alerts)
}

/// Sites that never worked are broken from their first check on. They are no sign of anything elsewhere.
fn new_site() -> Story {
    let now = |n: usize| if n < 30 { UNNAMED } else { Now::Works };
    let mut all = sites(now);
    all.iter_mut().take(30).for_each(|site| site.before = false);
    let story = told("thirty sites are new, and not let out yet", &all);
    answered(story, "", &[("site", 30.0)], &[("EgressUndeterminedBroken", "network", 30.0)])
}
