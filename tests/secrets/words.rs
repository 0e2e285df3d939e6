//! A password may be any word, also one of the evidence: whatever it is, the verdict is the same.

use std::sync::Arc;

use data_encoding::BASE64;
use serde_json::Value;

use crate::support::ground::Ground;
use crate::support::http::Behaviour as Http;
use crate::support::program::run;
use crate::support::proxy::{Behaviour as Proxied, Proxy};
use crate::support::tls::{Behaviour as Tls, TlsServer};
use crate::support::wire::Ending;

/// No word of anybody.
const NO_WORD: &str = "qzxvkjwqpy";
/// Names of headers, marks of authors, types of errors, issuers, and what stands before a login.
const WORDS: &[&str] = &[
    "server",
    "anthropic",
    "request-id",
    "authentication_error",
    "billing_error",
    "cloudflare",
    "content-type",
    "application/json",
    "Public Test Root",
    "X-Squid-Error",
    "ERR_ACCESS_DENIED",
    "Basic realm",
    "req_011CT",
    "\"type\":\"error\"",
];

/// What was decided, and why.
fn decided(document: &Value) -> String {
    let check = &document["checks"][0];
    let keys = ["status", "network", "cause", "party", "confidence", "layer", "rule", "author"];
    let mut all: Vec<String> = keys.iter().map(|key| format!("{key} {}", check[*key])).collect();
    all.push(check["response"]["author"].to_string());
    all.join(", ")
}

/// The verdicts for a password over each way.
fn verdicts(ground: &Ground, servers: &[TlsServer], password: &str) -> Vec<String> {
    let login = format!("Basic {}", BASE64.encode(format!("svc:{password}").as_bytes()));
    let tunnel = Proxy::start(Proxied::AuthRequired { accepts: Some(login) }, &[]);
    let denies = Proxy::start(
        Proxied::Status {
            code: 403,
            headers: vec![
                ("Server", "squid/5.7".to_owned()),
                ("X-Squid-Error", "ERR_ACCESS_DENIED 0".to_owned()),
                ("Content-Type", "text/html".to_owned()),
            ],
            body: "<html>Access Denied by server</html>".to_owned(),
        },
        &[],
    );
    let file = ground.folder.write("password", password);
    let route = |name: &str, proxy: &Proxy| {
        format!(
            "[[route]]\nname = \"{name}\"\nproxy = \"http://{}\"\nauth = {{ scheme = \"basic\", \
             username = \"svc\", password = {{ file = \"{}\" }} }}\n",
            proxy.address(),
            file.display()
        )
    };
    let mut all = Vec::new();
    for (server, way) in servers.iter().map(|one| (one, "tunnel")).chain([(&servers[0], "denies")])
    {
        // Nothing here is waited for to its deadline, so a busy machine has time.
        let text = format!(
            "{}{}{}[[target]]\nname = \"api\"\nprovider = \"anthropic\"\nurl = \"https://{}/v1/models\"\n\
             routes = [\"{way}\"]\n",
            ground.tables_with("10s", ""),
            route("tunnel", &tunnel),
            route("denies", &denies),
            server.address()
        );
        let config = ground.folder.write("egressd.toml", &text).display().to_string();
        let finished = run(&["check", "--config", &config, "--format", "json"]);
        let document: Value = serde_json::from_str(&finished.stdout)
            .unwrap_or_else(|_| panic!("{}{}", finished.stdout, finished.stderr));
        all.push(decided(&document));
    }
    all
}

/// An error of the API, with one header.
fn said(status: u16, (name, value): (&'static str, &str), kind: &str) -> Tls {
    let body = format!(
        "{{\"type\":\"error\",\"error\":{{\"type\":\"{kind}\",\"message\":\"no\"}},\"request_id\":\"{value}\"}}"
    );
    let headers = vec![(name, value.to_owned()), ("content-type", "application/json".to_owned())];
    Tls::Serve(Http::Answer { status, headers, body: body.into_bytes() })
}

#[test]
fn a_password_that_is_a_word_of_the_evidence_changes_no_verdict() {
    let ground = Ground::new();
    let foreign = crate::support::pki::Authority::new("server anthropic cloudflare inspection");
    let mut servers: Vec<TlsServer> = [
        Tls::Serve(Http::AnthropicUnauthorized),
        // One mark each: none stands in for another.
        said(401, ("request-id", "req_011CT"), "authentication_error"),
        said(400, ("x-request-id", "req_011CT"), "billing_error"),
        Tls::Serve(Http::Answer {
            status: 403,
            headers: vec![("server", "cloudflare".to_owned())],
            body: b"<html>no</html>".to_vec(),
        }),
        Tls::Serve(Http::CloudflareForbiddenJson),
        Tls::Serve(Http::CloudflareChallenge),
        Tls::Serve(Http::HtmlBlockPage(403)),
        Tls::AfterHello(Ending::Reset),
    ]
    .into_iter()
    .map(|behaviour| ground.server(behaviour))
    .collect();
    let leaf = Arc::new(foreign.leaf(&["127.0.0.1"]));
    servers.push(TlsServer::start(&leaf, Tls::Serve(Http::AnthropicUnauthorized)));
    let plain = verdicts(&ground, &servers, NO_WORD);
    assert!(plain[0].starts_with("status \"ok\", network \"ok\""), "{plain:#?}");
    let distinct: std::collections::BTreeSet<&String> = plain.iter().collect();
    assert!(distinct.len() >= 7, "{plain:#?}");
    for word in WORDS {
        assert_eq!(verdicts(&ground, &servers, word), plain, "{word}");
    }
}
