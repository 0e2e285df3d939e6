//! What a module wants of an answer, and what is said of one.

use std::sync::Arc;

use super::Bench;
use crate::support::ground::Ground;
use crate::support::http::{Behaviour as Http, HttpServer};
use crate::support::pki::Authority;
use crate::support::tls::{Behaviour as Tls, Options, TlsServer};

fn answer(status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> Http {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Http::Answer { status, headers, body: body.to_vec() }
}

fn page(status: u16, body: &str) -> HttpServer {
    HttpServer::start(answer(status, &[], body.as_bytes()))
}

fn url(server: &HttpServer) -> String {
    format!("http://{}/", server.address())
}

/// BH01.
#[test]
fn a_status_is_wanted_or_not() {
    let rows: &[(u16, &str, bool)] = &[
        (200, "[]", true),
        (201, "[]", true),
        (299, "[]", true),
        (300, "[]", false),
        (404, "[]", false),
        (404, "[200, 404]", true),
        (200, "[200, 404]", true),
        (201, "[200, 404]", false),
        (404, "[404]", true),
        (200, "[404]", false),
    ];
    let servers: Vec<HttpServer> = rows.iter().map(|(status, ..)| page(*status, "")).collect();
    let ports: Vec<u16> = servers.iter().map(|server| server.address().port()).collect();
    let lines: Vec<(String, String)> = rows
        .iter()
        .enumerate()
        .map(|(at, (_, wanted, _))| (format!("m{at}"), format!("valid_status_codes: {wanted}")))
        .collect();
    let modules: Vec<(&str, &str)> = lines.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let bench = Bench::new(&ports, &modules);
    for (at, (row, server)) in rows.iter().zip(&servers).enumerate() {
        let probe = bench.probe(&format!("m{at}"), &url(server));
        assert_eq!(probe.success(), row.2, "{row:?} {}", probe.body);
        assert_eq!(probe.value("probe_http_status_code"), Some(f64::from(row.0)), "{row:?}");
        // The layers below are not accused of a status.
        let failure = probe.failure().unwrap_or_default();
        assert!(row.2 || failure.starts_with("http "), "{row:?} {failure}");
        assert_eq!(row.2, failure.is_empty(), "{row:?} {failure}");
    }
}

/// BH02.
#[test]
fn a_version_is_wanted_or_not() {
    let server = page(200, "");
    let modules = [
        ("any", "valid_http_versions: []"),
        ("one", "valid_http_versions: [\"HTTP/1.1\"]"),
        ("both", "valid_http_versions: [\"HTTP/1.1\", \"HTTP/2.0\"]"),
        ("two", "valid_http_versions: [\"HTTP/2.0\"]"),
    ];
    let bench = Bench::new(&[server.address().port()], &modules);
    for (module, expected) in [("any", true), ("one", true), ("both", true), ("two", false)] {
        let probe = bench.probe(module, &url(&server));
        assert_eq!(probe.success(), expected, "{module}");
        assert_eq!(probe.value("probe_http_version"), Some(1.1));
    }
}

/// BH03, BH05.
#[test]
fn a_body_has_its_length_and_may_be_too_long() {
    let sound = page(200, &"a".repeat(127));
    let long = page(200, &"a".repeat(129));
    let chunked = HttpServer::start(Http::Raw(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n5\r\nhello\r\n0\r\n\r\n".into(),
        crate::support::wire::Ending::Close,
    ));
    let ports = [&sound, &long, &chunked].map(|server| server.address().port());
    let bench = Bench::new(&ports, &[("small", "body_size_limit: 128B"), ("any", "")]);
    let probe = bench.probe("small", &url(&sound));
    assert!(probe.success());
    assert_eq!(probe.value("probe_http_uncompressed_body_length"), Some(127.0));
    assert_eq!(probe.value("probe_http_content_length"), Some(127.0));
    let probe = bench.probe("small", &url(&long));
    assert!(!probe.success());
    assert_eq!(probe.value("probe_http_content_length"), Some(129.0));
    assert!(bench.probe("any", &url(&long)).success());
    let probe = bench.probe("any", &url(&chunked));
    assert!(probe.success(), "{}", probe.body);
    assert_eq!(probe.value("probe_http_content_length"), Some(-1.0));
    assert_eq!(probe.value("probe_http_uncompressed_body_length"), Some(5.0));
    let modified = probe.value("probe_http_last_modified_timestamp_seconds");
    assert_eq!(modified, Some(784_111_777.0));
}

/// BH13: the body; where it is longer than what is read, that is said and nothing passes by accident.
#[test]
fn a_body_is_held_against_expressions() {
    let modules = [
        ("bad", "fail_if_body_matches_regexp: [\"(?i)denied\", blocked]"),
        ("good", "fail_if_body_not_matches_regexp: [download, \"[0-9]+ files\"]"),
    ];
    let mut huge = "x".repeat(1_100_000);
    huge.push_str(" Denied");
    let rows = [
        ("bad", "Access DENIED".to_owned(), false),
        ("bad", "welcome".to_owned(), true),
        ("bad", huge, false),
        ("good", "download 12 files".to_owned(), true),
        ("good", "download no files".to_owned(), false),
    ];
    let servers: Vec<HttpServer> = rows.iter().map(|(_, body, _)| page(200, body)).collect();
    let ports: Vec<u16> = servers.iter().map(|server| server.address().port()).collect();
    let bench = Bench::new(&ports, &modules);
    for ((module, body, expected), server) in rows.iter().zip(&servers) {
        let probe = bench.probe(module, &url(server));
        let said = &body[..body.len().min(40)];
        assert_eq!(probe.success(), *expected, "{module} {said}");
        let by_expression = probe.value("probe_failed_due_to_regex");
        assert_eq!(by_expression, Some(f64::from(u8::from(!expected))), "{module} {said}");
    }
}

/// BH14, BH15.
#[test]
fn headers_are_held_against_expressions() {
    let rule = |kind: &str, header: &str, regexp: &str, missing: bool| {
        format!("{kind}:\n- header: {header}\n  regexp: \"{regexp}\"\n  allow_missing: {missing}")
    };
    let (bad, good) = ("fail_if_header_matches", "fail_if_header_not_matches");
    let cookies: &[(&'static str, &str)] =
        &[("set-cookie", "a=1"), ("set-cookie", "b=2; Domain=.com")];
    let json: &[(&'static str, &str)] = &[("content-type", "text/json")];
    let rows = [
        (rule(bad, "Content-Type", "text/json", false), json, false),
        (rule(bad, "Content-Type", "text/xml", false), json, true),
        (rule(bad, "CONTENT-TYPE", "text/json", false), json, false),
        (rule(bad, "X-Empty", ".*", false), &[("x-empty", "")][..], false),
        (rule(bad, "X-Missing", ".*", false), json, false),
        (rule(bad, "X-Missing", ".*", true), json, true),
        (rule(bad, "Set-Cookie", ".*Domain=.*", false), cookies, false),
        (rule(good, "Content-Type", "text/json", false), json, true),
        (rule(good, "Content-Type", "text/xml", false), json, false),
        (rule(good, "X-Missing", "a", false), json, false),
        (rule(good, "X-Missing", "a", true), json, true),
        (rule(good, "Set-Cookie", ".*Domain=.*", false), cookies, true),
        (rule(good, "Set-Cookie", "zz", false), cookies, false),
    ];
    let servers: Vec<HttpServer> =
        rows.iter().map(|(_, headers, _)| HttpServer::start(answer(200, headers, b""))).collect();
    let ports: Vec<u16> = servers.iter().map(|server| server.address().port()).collect();
    let names: Vec<String> = (0..rows.len()).map(|at| format!("m{at}")).collect();
    let modules: Vec<(&str, &str)> =
        names.iter().zip(&rows).map(|(name, row)| (name.as_str(), row.0.as_str())).collect();
    let bench = Bench::new(&ports, &modules);
    for ((name, row), server) in names.iter().zip(&rows).zip(&servers) {
        let probe = bench.probe(name, &url(server));
        assert_eq!(probe.success(), row.2, "{row:?} {}", probe.body);
        let regex = probe.value("probe_failed_due_to_regex");
        assert_eq!(regex, Some(f64::from(u8::from(!row.2))), "{row:?}");
    }
}

/// BH06 to BH08, in our own sense: a redirect is an answer, and leads nowhere.
#[test]
fn a_redirect_is_not_followed() {
    let inside = page(200, "inside");
    let server = HttpServer::start(Http::Redirect(url(&inside)));
    let modules = [
        ("default", ""),
        ("off", "follow_redirects: false\nvalid_status_codes: [302]"),
        ("old", "no_follow_redirects: true\nvalid_status_codes: [302]"),
    ];
    let bench = Bench::new(&[server.address().port()], &modules);
    for (module, expected) in [("default", false), ("off", true), ("old", true)] {
        let probe = bench.probe(module, &url(&server));
        assert_eq!(probe.success(), expected, "{module} {}", probe.body);
        assert_eq!(probe.value("probe_http_redirects"), Some(0.0));
        assert_eq!(probe.value("probe_http_status_code"), Some(302.0), "{module}");
    }
    assert!(inside.connections().is_empty(), "nobody went there");
    let probe = bench.ask(&format!("module=default&target={}&debug=true", url(&server)), &[]);
    let expected = "not met: status 302: a redirect, which is not followed\n";
    assert!(probe.body.contains(expected), "{}", probe.body);
}

/// BH09, BH10, BH16.
#[test]
fn a_request_is_sent_as_the_module_writes_it() {
    let world = Ground::new();
    let leaf = Arc::new(world.authority.leaf(&["127.0.0.1"]));
    let alpn = Some(vec![&b"http/1.1"[..]]);
    let options = Options { alpn, ..Options::default() };
    let server = TlsServer::start_with(&leaf, Tls::Serve(answer(200, &[], b"")), options);
    let token = world.folder.write("token", "sesame\n");
    let body = world.folder.write("body.json", "{\"a\":1}");
    let file = format!("bearer_token_file: {}", token.display());
    let post = format!(
        "method: POST\nbody_file: {}\nheaders:\n  Host: api.test\n  User-Agent: probe/1\nhttp_headers:\n  X-Api-Key: {{ secrets: [sk-planted] }}\n  X-Team: {{ values: [ml] }}",
        body.display()
    );
    let basic = "basic_auth: { username: user, password: pass }";
    let modules = [("post", post.as_str()), ("basic", basic), ("bearer", file.as_str())];
    let bench = Bench::on(world, &[server.address().port()], &modules, "");
    for module in ["post", "basic", "bearer", "post"] {
        let probe = bench.probe(module, &format!("https://{}/v1?a=b", server.address()));
        assert!(probe.success(), "{module} {}", probe.body);
    }
    let requests = server.requests();
    let [post, basic, bearer, again] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!((post.method.as_str(), post.path.as_str()), ("POST", "/v1?a=b"));
    let sent = ["host", "user-agent", "x-api-key", "x-team"].map(|name| post.header(name));
    assert_eq!(sent, ["api.test", "probe/1", "sk-planted", "ml"].map(Some));
    assert_eq!((&post.body, &again.body), (&b"{\"a\":1}".to_vec(), &b"{\"a\":1}".to_vec()));
    assert_eq!(basic.header("authorization"), Some("Basic dXNlcjpwYXNz"));
    assert_eq!(bearer.header("authorization"), Some("Bearer sesame"));
}

/// BH11, BH17 to BH21.
#[test]
fn tls_is_as_the_module_wants_it() {
    let world = Ground::new();
    let other = Authority::new("Module Root");
    let ca = world.folder.write("module.pem", &other.pem());
    let public = world.server(Tls::Serve(answer(200, &[], b"")));
    let own =
        TlsServer::start(&Arc::new(other.leaf(&["localhost"])), Tls::Serve(answer(200, &[], b"")));
    let plain = page(200, "");
    let ports = [public.address().port(), own.address().port(), plain.address().port()];
    let with = format!("tls_config: {{ ca_file: {} }}", ca.display());
    let named = format!("tls_config: {{ ca_file: {}, server_name: localhost }}", ca.display());
    let modules = [
        ("usual", ""),
        ("not_ssl", "fail_if_not_ssl: true"),
        ("ssl", "fail_if_ssl: true"),
        ("ca", with.as_str()),
        ("named", named.as_str()),
        ("any", "tls_config: { insecure_skip_verify: true }"),
        ("http1", "enable_http2: false"),
    ];
    let bench = Bench::on(world, &ports, &modules, "");
    let at =
        |server: &TlsServer, host: &str| format!("https://{host}:{}/", server.address().port());
    let rows = [
        ("usual", at(&public, "127.0.0.1"), true, 1.0),
        ("not_ssl", at(&public, "127.0.0.1"), true, 1.0),
        ("ssl", at(&public, "127.0.0.1"), false, 1.0),
        ("not_ssl", url(&plain), false, 0.0),
        // Bad TLS settings are of no account without TLS.
        ("named", url(&plain), true, 0.0),
        ("usual", at(&own, "localhost"), false, 0.0),
        ("ca", at(&own, "localhost"), true, 1.0),
        ("ca", at(&own, "127.0.0.1"), false, 0.0),
        ("named", at(&own, "127.0.0.1"), true, 1.0),
        // A `ca_file` stands in the place of all others.
        ("ca", at(&public, "127.0.0.1"), false, 0.0),
        ("any", at(&own, "127.0.0.1"), true, 1.0),
    ];
    for (module, target, expected, ssl) in rows {
        let probe = bench.probe(module, &target);
        assert_eq!(probe.success(), expected, "{module} {target} {}", probe.body);
        assert_eq!(probe.value("probe_http_ssl"), Some(ssl), "{module} {target}");
        let dated = probe.value("probe_ssl_earliest_cert_expiry");
        assert_eq!(dated.is_some(), target.starts_with("https"), "{module} {target}");
        let vouched = expected && ssl > 0.0 && module != "any" || module == "ssl";
        let chain = probe.value("probe_ssl_last_chain_expiry_timestamp_seconds");
        assert_eq!(chain.is_some(), vouched, "{module} {target} {}", probe.body);
        assert_eq!(probe.body.contains("probe_ssl_last_chain_info{"), vouched, "{module} {target}");
    }
    let probe = bench.probe("usual", &at(&public, "127.0.0.1"));
    assert_eq!(probe.phases(), ["resolve", "connect", "tls", "processing", "transfer"]);
    assert_eq!(probe.value("probe_tls_version_info{version=\"TLS 1.3\"}"), Some(1.0));
    let cipher = "probe_tls_cipher_info{cipher=\"TLS_";
    assert!(probe.body.contains(cipher), "{}", probe.body);
    assert_eq!(probe.value("probe_http_version"), Some(2.0));
    assert_eq!(
        bench.probe("http1", &at(&public, "127.0.0.1")).value("probe_http_version"),
        Some(1.1)
    );
}

/// BX05.
#[test]
fn a_hostname_is_the_requests_and_the_certificates() {
    let world = Ground::new();
    let leaf = Arc::new(world.authority.leaf(&["api.test"]));
    let server = TlsServer::start(&leaf, Tls::Serve(answer(200, &[], b"")));
    let modules = [("usual", ""), ("host", "headers: { Host: api.test }")];
    let bench = Bench::on(world, &[server.address().port()], &modules, "");
    let ask = |module: &str, more: &str| {
        bench.ask(&format!("module={module}&target=https://{}/{more}", server.address()), &[])
    };
    assert!(!ask("usual", "").success());
    assert!(ask("usual", "&hostname=api.test").success());
    let request = server.requests().pop().unwrap();
    assert_eq!(request.header("host").or(request.header(":authority")), Some("api.test"));
    let refused = ask("host", "&hostname=api.test");
    assert_eq!(refused.status, 400);
    assert_eq!(
        refused.body,
        "host header defined both in module configuration (api.test) and with URL-parameter 'hostname' (api.test)\n"
    );
    assert_eq!(ask("usual", "&hostname=elsewhere.invalid").status, 403);
}
