//! That the real proxies and the real Kerberos do what their names say, told by their own logs. The client
//! is `curl`, which is not ours either.

use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;

use crate::support::foreign::{At, are_here};
use crate::support::http::Behaviour as Http;
use crate::support::kdc::{self, Kdc, REALM};
use crate::support::netns::{API, Host, Hosts};
use crate::support::pki::Authority;
use crate::support::program::Folder;
use crate::support::socks::{self, Socks};
use crate::support::squid::{self, Login, PASSWORD, Setup, Squid, USER};
use crate::support::tinyproxy::{self, Tinyproxy};
use crate::support::tls::{Behaviour, Options, TlsServer};

/// A target behind the proxies, and the name under which only a proxy finds it.
const NAME: &str = "api.corp.test";
const HERE: std::net::IpAddr = std::net::IpAddr::V4(Ipv4Addr::LOCALHOST);

fn target(authority: &Authority) -> TlsServer {
    let leaf = Arc::new(authority.leaf(&[NAME, "127.0.0.1"]));
    TlsServer::start(&leaf, Behaviour::Serve(Http::AnthropicUnauthorized))
}

/// Asks the target, and returns the proxy's status and the target's, 000 where there was none.
fn curl(mut command: Command, proxy: &str, url: &str, arguments: &[&str]) -> String {
    command.args(["-qsk", "-m", "30", "-o", "/dev/null", "--proxy-insecure", "-x", proxy, url]);
    command.args(["-w", "%{http_connect} %{response_code}"]).args(arguments);
    String::from_utf8(command.output().expect("curl runs").stdout).expect("text")
}

fn here() -> Command {
    At::Loopback.command("curl")
}

fn credentials() -> String {
    format!("{USER}:{PASSWORD}")
}

#[test]
fn squid_passes_on_what_it_does_not_refuse() {
    if !squid::is_here() || !are_here(&["/usr/bin/curl"]) {
        return;
    }
    let authority = Authority::new("Test Root");
    let target = target(&authority);
    let refusals = "acl no dstdomain denied.corp.test\nacl elsewhere dstdomain moved.corp.test\n\
                    deny_info 302:http://portal.corp.test/ elsewhere\n\
                    http_access deny no\nhttp_access deny elsewhere\n";
    let squid = Squid::start(&Setup {
        hosts: &[(NAME, HERE), ("denied.corp.test", HERE), ("moved.corp.test", HERE)],
        lines: refusals,
        ..Setup::default()
    });
    let proxy = format!("http://{}", squid.address());
    let port = target.address().port();
    let ask = |name: &str| curl(here(), &proxy, &format!("https://{name}:{port}/"), &[]);
    assert_eq!(ask(NAME), "200 401");
    assert_eq!(ask("denied.corp.test"), "403 000");
    assert_eq!(ask("moved.corp.test"), "302 000");
    // 500 or 503: versions differ.
    assert!(ask("unknown.corp.test").starts_with("50"));
    squid.wait_access(&format!("CONNECT {NAME}:{port} 200 TCP_TUNNEL"));
    squid.wait_access(&format!("CONNECT denied.corp.test:{port} 403 TCP_DENIED"));
}

#[test]
fn squid_knows_who_has_the_password() {
    if !squid::is_here() || !are_here(&["/usr/bin/curl"]) {
        return;
    }
    let target = target(&Authority::new("Test Root"));
    let url = format!("https://{}/", target.address());
    let good = credentials();
    // Its helper for NTLM believes everybody, and adds a letter of the workstation's to each name.
    for (login, option, who, logged) in [
        (Login::Basic, "--proxy-basic", &*good, " walter"),
        (Login::Digest, "--proxy-digest", &good, " walter"),
        (Login::Ntlm, "--proxy-ntlm", "CORP\\walter:anything", "\\walterw"),
    ] {
        let squid = Squid::start(&Setup { logins: &[login], ..Setup::default() });
        let proxy = format!("http://{}", squid.address());
        let ask = |who: &str| curl(here(), &proxy, &url, &[option, "-U", who]);
        assert_eq!(ask(who), "200 401", "{option}");
        let line = squid.wait_access("TCP_TUNNEL");
        assert!(line.ends_with(logged), "{line}");
        if !matches!(login, Login::Ntlm) {
            assert_eq!(ask(&format!("{USER}:wrong")), "407 000", "{option}");
        }
    }
}

#[test]
fn squid_offers_several_logins_at_once() {
    if !squid::is_here() || !are_here(&["/usr/bin/curl"]) {
        return;
    }
    let target = target(&Authority::new("Test Root"));
    let url = format!("https://{}/", target.address());
    let logins = &[Login::Ntlm, Login::Digest, Login::Basic];
    let squid = Squid::start(&Setup { logins, ..Setup::default() });
    let proxy = format!("http://{}", squid.address());
    let ask = |option: &str| curl(here(), &proxy, &url, &[option, "-U", &credentials()]);
    for option in ["--proxy-basic", "--proxy-digest", "--proxy-ntlm", "--proxy-anyauth"] {
        assert_eq!(ask(option), "200 401", "{option}");
    }
    assert_eq!(curl(here(), &proxy, &url, &[]), "407 000");
    let refused = squid.access().into_iter().filter(|line| line.contains(" 407 ")).count();
    assert!(refused >= 2, "{:#?}", squid.access());
}

#[test]
fn squid_takes_a_ticket_of_the_kdc() {
    if !squid::is_here() || !kdc::is_here() || !are_here(&["/usr/bin/curl"]) {
        return;
    }
    let target = target(&Authority::new("Test Root"));
    let url = format!("https://{}/", target.address());
    let mut kdc = Kdc::start(&["HTTP/localhost"]);
    for user in [USER, "late"] {
        kdc.admin(&format!("addprinc -pw secret {user}"));
    }
    let logins = &[Login::Negotiate(&kdc, "HTTP/localhost")];
    let squid = Squid::start(&Setup { logins, ..Setup::default() });
    let proxy = format!("http://localhost:{}", squid.address().port());
    let ask = |kdc: &Kdc, cache: &str| {
        let mut command = here();
        command.env("KRB5_CONFIG", kdc.conf()).env("KRB5CCNAME", cache);
        curl(command, &proxy, &url, &["--proxy-negotiate", "-U", ":"])
    };
    let ticket = kdc.kinit(USER, "secret", "1h");
    assert_eq!(ask(&kdc, &ticket), "200 401");
    let line = squid.wait_access("TCP_TUNNEL");
    assert!(line.ends_with(&format!(" {USER}@{REALM}")), "{line}");
    for request in ["AS_REQ", "TGS_REQ"] {
        kdc.log().wait_until(|lines| {
            lines.iter().any(|line| line.contains(request) && line.contains("ISSUE"))
        });
    }
    // A clock that is an hour ahead, for one who has no ticket for the proxy yet.
    let ticket = kdc.kinit("late", "secret", "1h");
    kdc.run(3600);
    assert_eq!(ask(&kdc, &ticket), "407 000");
    kdc.log().wait_until(|lines| lines.iter().any(|line| line.contains("Clock skew")));
}

#[test]
fn squid_is_asked_over_tls() {
    if !squid::is_here() || !are_here(&["/usr/bin/curl"]) {
        return;
    }
    let authority = Authority::new("Test Root");
    let target = target(&authority);
    let leaf = authority.leaf(&["localhost"]);
    let squid = Squid::start(&Setup { leaf: Some(&leaf), ..Setup::default() });
    let proxy = format!("https://localhost:{}", squid.address().port());
    assert_eq!(curl(here(), &proxy, &format!("https://{}/", target.address()), &[]), "200 401");
    squid.wait_access(&format!("CONNECT {} 200 TCP_TUNNEL", target.address()));
}

#[test]
fn squid_breaks_tls_open() {
    if !squid::is_here() || !are_here(&["/usr/bin/curl"]) {
        return;
    }
    let (behind, organisation) = (Authority::new("Test Root"), Authority::new("Corp Inspection"));
    let target = target(&behind);
    let squid = Squid::start(&Setup {
        hosts: &[(NAME, HERE)],
        bump: Some((&organisation, &behind.pem())),
        ..Setup::default()
    });
    let folder = Folder::new();
    let trusted = folder.write("organisation.pem", &organisation.pem());
    let mut command = here();
    let proxy = format!("http://{}", squid.address());
    // Without `-k`: only a certificate of the organisation's verifies against this one.
    command.args(["-qs", "-m", "30", "-o", "/dev/null", "-w", "%{response_code}", "-x", &proxy]);
    command
        .arg("--cacert")
        .arg(trusted)
        .arg(format!("https://{NAME}:{}/", target.address().port()));
    let output = command.output().expect("curl runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "401");
    // It saw the request inside.
    squid.wait_access(&format!("GET https://{NAME}:{}/ 401", target.address().port()));
}

#[test]
fn squid_runs_on_a_host_of_its_own() {
    if !squid::is_here() || !are_here(&["/usr/bin/curl"]) {
        return;
    }
    let Some(hosts) = Hosts::new() else { return };
    let target = hosts.there(Host::Internet, || {
        let leaf = Arc::new(Authority::new("Test Root").leaf(&[NAME]));
        let bind = (API[0].parse::<Ipv4Addr>().expect("an address"), 443).into();
        let options = Options { bind, ..Options::default() };
        TlsServer::start_with(&leaf, Behaviour::Serve(Http::AnthropicUnauthorized), options)
    });
    let router = Ipv4Addr::new(10, 1, 2, 1).into();
    let squid = Squid::start(&Setup {
        at: At::Host(&hosts, Host::Router, router),
        hosts: &[(NAME, target.address().ip())],
        ..Setup::default()
    });
    let client = At::Host(&hosts, Host::Client, HERE).command("curl");
    let proxy = format!("http://{}", squid.address());
    assert_eq!(curl(client, &proxy, &format!("https://{NAME}/"), &[]), "200 401");
    squid.wait_access(&format!("CONNECT {NAME}:443 200 TCP_TUNNEL"));
}

#[test]
fn tinyproxy_has_a_password_and_a_filter() {
    if !tinyproxy::is_here() || !are_here(&["/usr/bin/curl"]) {
        return;
    }
    let target = target(&Authority::new("Test Root"));
    let url = format!("https://{}/", target.address());
    let tinyproxy = Tinyproxy::start(At::Loopback, "BasicAuth walter sesame", &["denied"]);
    let proxy = format!("http://{}", tinyproxy.address());
    let established = |lines: &[String]| {
        lines.iter().filter(|line| line.contains("Established connection")).count()
    };
    assert_eq!(curl(here(), &proxy, &url, &["-U", "walter:sesame"]), "200 401");
    tinyproxy.log().wait_until(|lines| established(lines) == 1);
    // 401, not 407.
    assert_eq!(curl(here(), &proxy, &url, &["-U", "walter:wrong"]), "401 000");
    let denied = curl(here(), &proxy, "https://denied.corp.test/", &["-U", "walter:sesame"]);
    assert_eq!(denied, "403 000");
    tinyproxy.log().wait_until(|lines| lines.iter().any(|line| line.contains("denied.corp.test")));
    assert_eq!(established(&tinyproxy.log().entries()), 1);
}

#[test]
fn socks_servers_have_rules_and_a_password() {
    if !socks::are_both_here() || !are_here(&["/usr/bin/curl"]) {
        return;
    }
    let target = target(&Authority::new("Test Root"));
    let port = target.address().port();
    let url = format!("https://{}/", target.address());
    let ask = |socks: &Socks, url: &str, who: &str| {
        curl(here(), &format!("socks5h://{who}{}", socks.address()), url, &[])
    };
    let rule = "socks block { from: 0.0.0.0/0 to: 127.0.0.9/32 log: connect }";
    let danted = Socks::danted(At::Loopback, rule);
    assert_eq!(ask(&danted, &url, ""), "000 401");
    assert_eq!(ask(&danted, &format!("https://127.0.0.9:{port}/"), ""), "000 000");
    danted.log().wait_until(|lines| {
        let has = |what: &str, to: String| {
            lines.iter().any(|line| line.contains(what) && line.contains(&to))
        };
        has(": pass(", format!(" 127.0.0.1.{port}"))
            && has(": block(", format!(" 127.0.0.9.{port}"))
    });
    let microsocks = Socks::microsocks(At::Loopback, Some(("walter", "sesame")));
    assert_eq!(ask(&microsocks, &url, "walter:sesame@"), "000 401");
    assert_eq!(ask(&microsocks, &url, "walter:wrong@"), "000 000");
    assert_eq!(ask(&microsocks, &url, ""), "000 000");
    let connected = microsocks.log().wait_until(|lines| !lines.is_empty());
    let towards = format!("connected to 127.0.0.1:{port}");
    assert!(connected.iter().all(|line| line.contains(&towards)), "{connected:#?}");
    let open = Socks::microsocks(At::Loopback, None);
    assert_eq!(ask(&open, &url, ""), "000 401");
}
