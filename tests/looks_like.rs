//! "looks like": the real binary before servers that bear a vendor's marks, and where its name is shown.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::ground::Ground;
use crate::support::http::Behaviour as Http;
use crate::support::pki::Authority;
use crate::support::program::run;
use crate::support::proxy::{Behaviour as Tunnelling, Proxy};
use crate::support::tls::{Behaviour as Tls, TlsServer};

/// A page with the header of a vendor's device and the words of another's.
fn page() -> Tls {
    let headers = vec![("server", "Zscaler/6.2".to_owned()), ("content-type", "text/html".into())];
    let body = b"<html>Powered By FortiGuard</html>".to_vec();
    Tls::Serve(Http::Answer { status: 403, headers, body })
}

/// A check of that target; its names are nowhere but in `looks_like` and below `means`.
fn check(world: &Ground, trust: &str, target: &str) -> Value {
    let tables = world.tables_with("1s", trust);
    let file = world.folder.write("egressd.toml", &format!("{tables}{target}"));
    let file = file.display().to_string();
    let of = |format: &str| run(&["check", "--config", &file, "--format", format]).stdout;
    let document: Value = serde_json::from_str(&of("json")).expect("JSON");
    let check = &document["checks"][0];
    let (text, nagios) = (of("text"), of("nagios"));
    let seen = check["looks_like"].as_array().expect("it is always there");
    for like in seen {
        let vendor = like["vendor"].as_str().expect("a name");
        let shown = format!("{vendor} ({})", like["by"].as_str().expect("a mark"));
        let lines: Vec<&str> = text.lines().filter(|line| line.contains(&shown)).collect();
        assert!(matches!(lines[..], [line] if line.trim().starts_with("looks like ")), "{text}");
        for key in ["summary", "advice", "do_not", "ask", "cause", "party", "confidence"] {
            assert!(!check[key].to_string().contains(vendor), "{vendor} in {key}: {check:#}");
        }
        assert!(!document["targets"].to_string().contains(vendor) && !nagios.contains(vendor));
    }
    assert_eq!(text.contains("looks like"), !seen.is_empty(), "{text}");
    check.clone()
}

fn direct(server: &TlsServer) -> String {
    format!("[[target]]\nname = \"api\"\nurl = \"https://{}/v1/models\"\n", server.address())
}

#[test]
fn an_issuer_that_nobody_trusts_is_named() {
    for (issuer, seen) in [
        ("FortiGate CA", json!([{ "vendor": "FortiGate", "by": "issuer" }])),
        // A CA that an organisation has named itself.
        ("Example Corp Inspection", json!([])),
    ] {
        let world = Ground::new();
        let leaf = Arc::new(Authority::new(issuer).leaf(&["127.0.0.1"]));
        let server = TlsServer::start(&leaf, Tls::Serve(Http::AnthropicUnauthorized));
        let check = check(&world, "", &direct(&server));
        assert_eq!(
            (&check["status"], &check["looks_like"]),
            (&json!("broken"), &seen),
            "{check:#}"
        );
        assert_eq!(check["failure"], json!({ "layer": "tls", "kind": "unknown_issuer" }));
    }
}

#[test]
fn a_page_is_named_under_the_organisations_chain_and_not_under_a_public_one() {
    let target = |proxy: &Proxy| {
        format!(
            "[[route]]\nname = \"corp\"\nproxy = \"http://{}\"\n\
             [[target]]\nname = \"api\"\nprovider = \"anthropic\"\nroutes = [\"corp\"]\n",
            proxy.address()
        )
    };
    let world = Ground::new();
    let organisation = Authority::new("Example Corp Root");
    let file = world.folder.write("organisation.pem", &organisation.pem());
    let trust = format!("ca_files = [\"{}\"]", file.display());
    for (authority, cause, seen) in [
        (
            &organisation,
            "block_page",
            json!([{ "vendor": "Zscaler", "by": "header" }, { "vendor": "FortiGate", "by": "body" }]),
        ),
        (&world.authority, "edge_blocked", json!([])),
    ] {
        let leaf = Arc::new(authority.leaf(&["api.anthropic.com", "localhost"]));
        let server = TlsServer::start(&leaf, page());
        let leads =
            [("api.anthropic.com", server.address()), ("localhost", world.control.address())];
        let proxy = Proxy::start(Tunnelling::Tunnel, &leads);
        let check = check(&world, &trust, &target(&proxy));
        assert_eq!((&check["cause"], &check["looks_like"]), (&json!(cause), &seen), "{check:#}");
    }
}

#[test]
fn a_proxys_refusal_is_named() {
    let world = Ground::new();
    let squid = vec![("X-Squid-Error", "ERR_ACCESS_DENIED 0".to_owned())];
    let refusal =
        Tunnelling::Status { code: 403, headers: squid, body: "<html>Denied</html>".into() };
    let proxy = Proxy::start(refusal, &[]);
    let target = format!(
        "[[route]]\nname = \"corp\"\nproxy = \"http://{}\"\n\
         [[target]]\nname = \"api\"\nurl = \"https://api.example/\"\nroutes = [\"corp\"]\n",
        proxy.address()
    );
    let check = check(&world, "", &target);
    assert_eq!(check["party"], "proxy", "{check:#}");
    assert_eq!(check["looks_like"], json!([{ "vendor": "Squid", "by": "header" }]), "{check:#}");
}
