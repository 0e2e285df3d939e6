//! A target's own request: what is sent, what a good answer is; whose certificates count for one target alone,
//! and where its key does not go.

use crate::support::ground::{Ground, target, verdict};
use crate::support::http::Behaviour as Http;
use crate::support::pki::Authority;
use crate::support::program::run;
use crate::support::tls::{Behaviour as Tls, Options, TlsServer};

const OK: [Option<&str>; 4] = [Some("ok"), None, None, Some("ok")];

fn answer(status: u16, body: &str) -> Tls {
    let headers = vec![("content-type", "application/json".to_owned())];
    Tls::Serve(Http::Answer { status, headers, body: body.as_bytes().to_vec() })
}

#[test]
fn it_is_sent_as_it_is_written_over_either_version() {
    let world = Ground::new();
    let leaf = std::sync::Arc::new(world.authority.leaf(&["127.0.0.1"]));
    let key = world.folder.write("key", "precious\n");
    let body = format!("{{\"text\":\"{}\"}}", "a".repeat(100_000));
    for (alpn, http2) in [(vec![&b"http/1.1"[..]], false), (vec![&b"h2"[..]], true)] {
        let options = Options { alpn: Some(alpn), ..Options::default() };
        let behaviour = answer(200, r#"{"status":"ok"}"#);
        let api = TlsServer::start_with(&leaf, behaviour, options);
        let more = format!(
            "key = {{ file = \"{}\" }}\nrequest = {{ path = \"/v2/query?limit=1\", headers = {{ X-Team = \"ml\", Accept = \"text/plain\" }}, body = '{body}' }}",
            key.display()
        );
        let (code, document) = world.json(&target("own", &api, &more));
        assert_eq!((code, verdict(&document)), (0, OK), "{document:#}");
        let [request] = &api.requests()[..] else { panic!("{:?}", api.requests()) };
        assert_eq!((request.http2, request.method.as_str()), (http2, "POST"));
        assert_eq!(request.path, "/v2/query?limit=1");
        assert!(request.body == body.as_bytes(), "{} bytes", request.body.len());
        let of = |name: &str| {
            let all = request.headers.iter().filter(|(key, _)| key == name);
            all.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(of("x-team"), ["ml"]);
        assert_eq!(of("accept"), ["text/plain"]);
        assert_eq!(of("content-type"), ["application/json"]);
        assert_eq!(of("authorization"), ["Bearer precious"]);
        assert_eq!(of("content-length"), ["100011"]);
    }
}

#[test]
fn a_good_answer_is_what_was_declared() {
    let world = Ground::new();
    let unexpected = [Some("broken"), Some("response_unexpected"), Some("origin"), Some("ok")];
    let bad = [Some("broken"), Some("api_not_found"), Some("request"), Some("ok")];
    let rows = [
        ("expect_status = 404", 404, "{}", OK),
        ("expect_status = [404, 405]", 405, "{}", OK),
        ("expect_status = 404", 200, "{}", unexpected),
        ("expect_status = 200", 404, "{}", bad),
        ("expect_json = \"/data/0\"", 200, r#"{"data":[null]}"#, OK),
        ("expect_json = \"/data/0\"", 200, r#"{"data":[]}"#, unexpected),
        ("expect_json = { \"/status\" = \"ok\", \"/n\" = 1 }", 200, r#"{"n":1,"status":"ok"}"#, OK),
        ("expect_json = { \"/status\" = \"ok\" }", 200, r#"{"status":"down"}"#, unexpected),
        ("expect_json = \"\"", 200, "it works", unexpected),
        ("method = \"OPTIONS\"", 204, "", OK),
    ];
    for (wanted, status, body, expected) in rows {
        let api = world.server(answer(status, body));
        let more = format!("request = {{ {wanted} }}");
        let (_, document) = world.json(&target("own", &api, &more));
        assert_eq!(verdict(&document), expected, "{wanted} {status} {body}: {document:#}");
    }
}

/// The API's other answers have other shapes than its list of models.
#[test]
fn a_providers_other_answers_are_its_own_where_they_were_asked_for() {
    let world = Ground::new();
    let headers = vec![
        ("content-type", "application/json".to_owned()),
        ("request-id", "req_011CVcount".to_owned()),
    ];
    let body = br#"{"input_tokens":14}"#.to_vec();
    let api = world.server(Tls::Serve(Http::Answer { status: 200, headers, body }));
    let more =
        "provider = \"anthropic\"\nrequest = { path = \"/v1/messages/count_tokens\", body = '{}' }";
    let (code, document) = world.json(&target("own", &api, more));
    assert_eq!((code, verdict(&document)), (0, OK), "{document:#}");
    let [request] = &api.requests()[..] else { panic!("{:?}", api.requests()) };
    assert_eq!(request.header("anthropic-version"), Some("2023-06-01"));
}

/// Both are accepted by `[trust]`, and by one target only those that it names.
#[test]
fn the_roots_of_one_target_count_for_it_alone() {
    let world = Ground::new();
    let (ours, other) = (Authority::new("Ours"), Authority::new("Other"));
    let ca_file = world.folder.write("ours.pem", &ours.pem());
    world.folder.write("other.pem", &other.pem());
    let both = format!(
        "ca_files = [\"{}\", \"{}\"]",
        ca_file.display(),
        world.folder.path().join("other.pem").display()
    );
    let tables = world.tables_with("1s", &both);
    let server = |authority: &Authority| {
        let leaf = std::sync::Arc::new(authority.leaf(&["127.0.0.1"]));
        TlsServer::start(&leaf, answer(200, "{}"))
    };
    let servers = [server(&world.authority), server(&ours), server(&other)];
    let file = format!("trust = {{ ca_file = \"{}\" }}", ca_file.display());
    let rows = [
        ("", [true, true, true]),
        ("trust = \"public\"", [true, false, false]),
        ("trust = \"organisation\"", [false, true, true]),
        (file.as_str(), [false, true, false]),
    ];
    for (trust, accepted) in rows {
        for (server, accepted) in servers.iter().zip(accepted) {
            let text = format!("{tables}{}", target("own", server, trust));
            let config = world.folder.write("egressd.toml", &text).display().to_string();
            let run = run(&["check", "--config", &config, "--format", "json"]);
            let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
            let layer = document["checks"][0]["layer"].as_str();
            let expected = if accepted { None } else { Some("tls") };
            assert_eq!(layer, expected, "{trust}: {document:#}");
        }
    }
}

#[test]
fn a_key_that_is_not_to_be_inspected_is_left_out() {
    let world = Ground::new();
    let device = Authority::new("Inspection");
    let ca_file = world.folder.write("device.pem", &device.pem());
    let tables = world.tables_with("1s", &format!("ca_files = [\"{}\"]", ca_file.display()));
    let key = world.folder.write("key", "sk-ant-precious\n");
    let leaf = std::sync::Arc::new(device.leaf(&["127.0.0.1"]));
    let rows = [
        ("", true),
        ("key_through_inspection = true", true),
        ("key_through_inspection = false", false),
        // The same request is sent twice on each of the connections that are silent.
        ("key_through_inspection = false\nidle_hold = \"2s\"", false),
    ];
    for (more, sent) in rows {
        let api = TlsServer::start(
            &leaf,
            Tls::Serve(Http::AnthropicByKey { good: "sk-ant-precious".to_owned() }),
        );
        let keyed =
            format!("provider = \"anthropic\"\nkey = {{ file = \"{}\" }}\n{more}", key.display());
        let text = format!("{tables}{}", target("own", &api, &keyed));
        let config = world.folder.write("egressd.toml", &text).display().to_string();
        let run = run(&["check", "--config", &config, "--format", "json"]);
        let document: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!(verdict(&document), OK, "{more}: {document:#}");
        let keyed =
            |request: &_| crate::support::http::Request::header(request, "x-api-key").is_some();
        let requests = api.requests();
        assert!(requests.iter().all(|request| keyed(request) == sent), "{more}: {requests:?}");
        assert_eq!(requests.len() > 8, more.contains("idle_hold"), "{more}: {requests:?}");
        let status = document["checks"][0]["response"]["status"].as_u64();
        assert_eq!(status, Some(if sent { 200 } else { 401 }), "{more}");
    }
}
