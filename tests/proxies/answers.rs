//! What a real squid answers instead of a tunnel, and what it does when it is stopped or hangs.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use egressd::cause::Cause;
use egressd::daemon::inquiry::{Context, Memory, inquire};
use egressd::daemon::load;
use egressd::diagnosis::Confidence;

use super::{HOSTS, NAME, OTHER, Stand};
use crate::support::squid::{self, Login, PASSWORD, Setup, Squid, USER};

/// Where nobody listens on the target's port.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));

/// How squid logs that it turned the user away.
const DENIED: &str = " 407 TCP_DENIED walter";

fn squid_that(lines: &str) -> Squid {
    Squid::start(&Setup { hosts: HOSTS, lines, ..Setup::default() })
}

#[test]
fn squid_refuses_a_name_or_everybody() {
    if !squid::is_here() {
        return;
    }
    let stand = Stand::new();
    let one = squid_that(&format!("acl no dstdomain {NAME}\nhttp_access deny no\n"));
    let says = "the proxy PROXY refuses api.corp.test; the proxy lets another host through";
    stand.through(one.address()).verdict().is("proxy_denied", "proxy", "high", says);
    one.wait_access(&format!("CONNECT {NAME}:{} 403 TCP_DENIED", stand.port()));
    stand.through(one.address()).to(OTHER).verdict().is_fine();
    let all = squid_that("http_access deny all\n");
    let says = "probably the proxy PROXY refuses every host for this client; \
                the proxy lets no other host through either";
    stand.through(all.address()).verdict().is("proxy_denies_all", "proxy", "medium", says);
}

#[test]
fn squid_sends_to_a_portal() {
    if !squid::is_here() {
        return;
    }
    let stand = Stand::new();
    let lines = format!(
        "acl elsewhere dstdomain {NAME}\ndeny_info 302:http://portal.corp.test/ elsewhere\n\
         http_access deny elsewhere\n"
    );
    let squid = squid_that(&lines);
    let says = "the proxy PROXY sends a sign-in page instead of a tunnel";
    stand.through(squid.address()).verdict().is("proxy_login_required", "proxy", "high", says);
    squid.wait_access(&format!("CONNECT {NAME}:{} 302 ", stand.port()));
}

#[test]
fn squid_asks_a_right_login_again_where_it_may_not_go() {
    if !squid::is_here() {
        return;
    }
    let stand = Stand::new();
    let squid = Squid::start(&Setup {
        hosts: HOSTS,
        logins: &[Login::Basic],
        lines: &format!("acl blocked dstdomain {NAME}\n"),
        rules: "http_access deny blocked known\n",
        ..Setup::default()
    });
    let check = || stand.through(squid.address()).password("basic", USER, PASSWORD);
    // Whoever sees no more than this cannot know that it is not the password.
    let alone = check().verdict();
    let says = "probably the proxy PROXY rejects the configured login";
    alone.is("proxy_auth_rejected", "credential", "medium", says);
    let advice = alone.check()["advice"].as_str().unwrap_or_default();
    assert!(
        advice.ends_with("if it is right, ask the proxy team about api.corp.test."),
        "{advice}"
    );

    // A daemon, which saw the login let through, does.
    let loaded = load::load(Some(&check().and_to(OTHER).file()));
    let plan = loaded.unwrap_or_else(|fault| panic!("{fault}")).plan;
    let context = Context::new(Arc::new(plan)).expect("a sound plan");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let refused = || squid.access().iter().filter(|line| line.ends_with(DENIED)).count();
    let before = refused();
    for (name, cause) in [
        ("other", None),
        ("api", Some(Cause::ProxyDenied)),
        ("other", None),
        ("api", Some(Cause::ProxyDenied)),
    ] {
        let target = context.plan.targets.iter().find(|target| target.name == name);
        let target = Arc::new(target.expect("it is there").clone());
        let report = runtime.block_on(inquire(context.clone(), target, Memory::default()));
        let route = &report.findings.routes[0];
        let found = route.finding.as_ref().map(|finding| (finding.cause, finding.confidence));
        assert_eq!(found, cause.map(|cause| (cause, Confidence::High)), "{name}: {route:#?}");
    }
    assert_eq!(refused() - before, 1, "it is not sent again for the one that is denied");
}

#[test]
fn squid_does_not_know_a_name() {
    if !squid::is_here() {
        return;
    }
    let stand = Stand::new();
    let hosts = &[(OTHER, super::HERE), ("localhost", super::HERE)];
    let squid = Squid::start(&Setup { hosts, ..Setup::default() });
    let verdict = stand.through(squid.address()).verdict();
    let says = "cannot tell from here: the proxy's resolver, or the name's own zone";
    verdict.is("proxy_dns_failed", "undetermined", "low", says);
    let verdict = stand.through(squid.address()).and_direct().verdict();
    let says = "the proxy PROXY cannot resolve api.corp.test; another route was compared";
    verdict.is("proxy_dns_failed", "proxy", "high", says);
    stand.through(squid.address()).to(OTHER).verdict().is_fine();
}

#[test]
fn squid_is_refused_behind_itself() {
    if !squid::is_here() {
        return;
    }
    let stand = Stand::new();
    let hosts = &[(NAME, NOBODY), ("localhost", super::HERE)];
    let squid = Squid::start(&Setup { hosts, ..Setup::default() });
    let verdict = stand.through(squid.address()).verdict();
    let says = "cannot tell from here: a firewall behind the proxy, or the provider's edge; \
                the proxy lets another host through";
    verdict.is("proxy_upstream_blocked", "undetermined", "low", says);
    let verdict = stand.through(squid.address()).and_direct().verdict();
    let says = "a firewall behind the proxy PROXY stops api.corp.test; \
                the proxy lets another host through";
    verdict.is("proxy_upstream_blocked", "firewall", "high", says);
}

#[test]
fn squid_is_stopped_or_hangs() {
    if !squid::is_here() {
        return;
    }
    let (stand, squid) = (Stand::new(), squid_that(""));
    squid.signal("STOP");
    // The kernel still accepts for it.
    let verdict = stand.through(squid.address()).within("1s").verdict();
    let says = "probably the proxy PROXY accepts and never answers; \
                the proxy lets no other host through either";
    verdict.is("proxy_silent", "proxy", "medium", says);
    squid.signal("CONT");
    stand.through(squid.address()).verdict().is_fine();
    let address = squid.address();
    drop(squid);
    let says = "the proxy PROXY refuses connections";
    stand.through(address).verdict().is("proxy_down", "proxy", "high", says);
}
