//! TLS before a real squid, broken open inside of it, and cut by it.

use super::{HOSTS, NAME, OTHER, Stand};
use crate::support::pki::Authority;
use crate::support::squid::{self, Setup, Squid};

#[test]
fn squid_is_asked_over_tls() {
    if !squid::is_here() {
        return;
    }
    let stand = Stand::new();
    let own = Authority::new("Corp Proxy Root");
    let leaf = own.leaf(&["localhost"]);
    let squid = Squid::start(&Setup { hosts: HOSTS, leaf: Some(&leaf), ..Setup::default() });
    let file = stand.ground.folder.write("proxy.pem", &own.pem());
    let check = || stand.by(format!("https://localhost:{}", squid.address().port()));
    let trusted = check().with(&format!("ca_files = [\"{}\"]", file.display())).verdict();
    trusted.is_fine();
    squid.wait_access(&format!("CONNECT {NAME}:{} 200 TCP_TUNNEL", stand.port()));
    let unknown = check().verdict();
    let says = "the TLS of the proxy PROXY itself fails (unknown_issuer)";
    unknown.is("proxy_tls_failed", "proxy", "high", says);
}

#[test]
fn squid_breaks_tls_open() {
    if !squid::is_here() {
        return;
    }
    let stand = Stand::new();
    let organisation = Authority::new("Corp Inspection");
    let squid = Squid::start(&Setup {
        hosts: HOSTS,
        bump: Some((&organisation, &stand.ground.authority.pem())),
        ..Setup::default()
    });
    let file = stand.ground.folder.write("organisation.pem", &organisation.pem());
    let trust = format!("ca_files = [\"{}\"]", file.display());
    let inspected = stand.through(squid.address()).trusting(trust).of("anthropic").verdict();
    inspected.is_fine();
    assert_eq!(inspected.notes(), ["tls_inspected", "api_key_missing", "gateway"]);
    // It saw the request inside.
    squid.wait_access(&format!("GET https://{NAME}:{}/v1/models 401", stand.port()));
    let untrusted = stand.through(squid.address()).verdict();
    // The control host is shown the same CA: it is not the server's own.
    let says = "an inspecting device presents a CA that this host does not trust; \
                the control host fails over this route too";
    untrusted.is("tls_inspection_untrusted", "inspection", "high", says);
    let beside = stand.through(squid.address()).and_direct().verdict();
    beside.is("tls_inspection_untrusted", "inspection", "high", says);
}

#[test]
fn squid_cuts_a_name_in_the_tunnel() {
    if !squid::is_here() {
        return;
    }
    let stand = Stand::new();
    let organisation = Authority::new("Corp Inspection");
    let lines = format!(
        "acl begin at_step SslBump1\nacl cut ssl::server_name {NAME}\nssl_bump peek begin\n\
         ssl_bump terminate cut\nssl_bump splice all\n"
    );
    let squid = Squid::start(&Setup {
        hosts: HOSTS,
        bump: Some((&organisation, &stand.ground.authority.pem())),
        lines: &lines,
        ..Setup::default()
    });
    stand.through(squid.address()).to(OTHER).verdict().is_fine();
    let cut = stand.through(squid.address()).verdict();
    let says = "cannot tell from here: a firewall or proxy on the way, or the provider's edge; \
                another name on the same address passes";
    cut.is("sni_filtered", "undetermined", "low", says);
    let beside = stand.through(squid.address()).and_direct().verdict();
    let says = "probably a filter on the way cuts TLS that names api.corp.test; \
                another name on the same address passes";
    beside.is("sni_filtered", "proxy", "medium", says);
    let advice = beside.check()["advice"].as_str().unwrap_or_default();
    assert!(advice.starts_with("Proxy team: allow TLS that names api.corp.test"), "{advice}");
}
