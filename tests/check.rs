//! `egressd check`, the real binary against real servers: words, JSON, nagios, exit statuses, and where a
//! key goes.

use std::sync::Arc;

use serde_json::Value;

use crate::support::ground::{Ground, target, verdict};
use crate::support::http::Behaviour as Http;
use crate::support::pki::{Authority, Flaw};
use crate::support::program::{Finished, egressd, run};
use crate::support::proxy::{Behaviour as Tunnelling, Proxy};
use crate::support::tcp::ClosedPort;
use crate::support::tls::{Behaviour as Tls, TlsServer};

#[test]
fn the_origins_own_401_proves_the_way() {
    let world = Ground::new();
    let api = world.server(Tls::Serve(Http::AnthropicUnauthorized));
    let (code, document) = world.json(&target("api", &api, "provider = \"anthropic\""));
    assert_eq!(
        (code, verdict(&document)),
        (0, [Some("ok"), None, None, Some("ok")]),
        "{document:#}"
    );
    let check = &document["checks"][0];
    assert_eq!(check["response"]["author"], "origin");
    assert_eq!(check["response"]["error_type"], "authentication_error");
    let notes: Vec<&str> = check["notes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|note| note["cause"].as_str())
        .collect();
    assert_eq!(notes, ["api_key_missing", "gateway"]);
    // A healthy check makes one trip and no experiment.
    assert_eq!((api.requests().len(), world.control.requests().len()), (1, 0));
}

#[test]
fn a_key_is_sent_and_judged_and_never_shown() {
    let world = Ground::new();
    let api = world.server(Tls::Serve(Http::AnthropicByKey { good: "sk-ant-good".into() }));
    let key = world.folder.write("key", "sk-ant-wrong\n");
    let keyed = format!("provider = \"anthropic\"\nkey = {{ file = \"{}\" }}", key.display());
    let (code, document) = world.json(&target("api", &api, &keyed));
    let expected = [Some("broken"), Some("api_key_invalid"), Some("account"), Some("ok")];
    assert_eq!((code, verdict(&document)), (2, expected), "{document:#}");
    assert!(!document.to_string().contains("sk-ant-wrong"));
    let sent: Vec<_> =
        api.requests().iter().filter_map(|r| r.header("x-api-key").map(str::to_owned)).collect();
    assert!(sent.iter().all(|key| key == "sk-ant-wrong") && !sent.is_empty(), "{sent:?}");

    world.folder.write("key", "sk-ant-good\n");
    let (code, document) = world.json(&target("api", &api, &keyed));
    assert_eq!((code, verdict(&document)[0]), (0, Some("ok")), "{document:#}");
}

#[test]
fn a_key_comes_from_the_environment_a_file_or_systemd() {
    let world = Ground::new();
    let good = "sk-ant-good".to_owned();
    let api = world.server(Tls::Serve(Http::AnthropicByKey { good: good.clone() }));
    let file = world.folder.write("api-key", &format!("{good}\n"));
    for source in [
        "{ env = \"THE_KEY\" }".to_owned(),
        "{ credential = \"api-key\" }".to_owned(),
        format!("{{ file = \"{}\" }}", file.display()),
    ] {
        let keyed = format!("provider = \"anthropic\"\nkey = {source}");
        let config = world.config(&target("api", &api, &keyed));
        let output = egressd()
            .args(["check", "--config", &config, "--format", "json"])
            .env("THE_KEY", &good)
            .env("CREDENTIALS_DIRECTORY", world.folder.path())
            .output()
            .expect("it runs");
        let finished = Finished::of(output);
        assert_eq!(finished.code, 0, "{source}: {}{}", finished.stdout, finished.stderr);
        let sent = api.requests().last().and_then(|r| r.header("x-api-key").map(str::to_owned));
        assert_eq!(sent.as_ref(), Some(&good), "{source}");
    }
}

#[test]
fn a_secret_that_cannot_be_used_stops_nothing_and_is_named() {
    let world = Ground::new();
    let api = world.server(Tls::Serve(Http::AnthropicByKey { good: "k".into() }));
    for (content, cause, party) in [
        (None, "local_credential_unavailable", "credential"),
        (Some(""), "api_key_missing", "account"),
        (Some("sk ant\n"), "api_key_invalid", "account"),
        (Some("sk\tant"), "api_key_invalid", "account"),
    ] {
        let key = world.folder.path().join("secret");
        std::fs::remove_file(&key).ok();
        content.map(|content| world.folder.write("secret", content));
        let keyed = format!("provider = \"anthropic\"\nkey = {{ file = \"{}\" }}", key.display());
        let (code, document) = world.json(&target("api", &api, &keyed));
        let expected = [Some("broken"), Some(cause), Some(party), Some("ok")];
        assert_eq!((code, verdict(&document)), (2, expected), "{content:?}: {document:#}");
        let text = document.to_string();
        assert!(text.contains("secret") && !text.contains("sk ant"), "the place and not the value");
    }
    assert!(api.requests().iter().all(|request| request.header("x-api-key").is_none()));
}

#[test]
fn a_client_certificate_is_shown_by_the_configured_target_alone() {
    let world = Ground::new();
    let clients = Authority::new("Test Clients");
    let behaviour = Tls::ClientCertificateRequired(clients.clone(), Http::AnthropicUnauthorized);
    let api = world.server(behaviour);
    let (one, other) = (clients.leaf(&["one.test"]), clients.leaf(&["other.test"]));
    let certificate = world.folder.write("client.pem", one.chain_pem());
    let key = world.folder.write("client.key", &one.key_pem());
    let more = format!(
        "provider = \"anthropic\"\nclient_cert = {{ certificate = \"{}\", key = {{ file = \"{}\" }} }}",
        certificate.display(),
        key.display()
    );
    let (code, document) = world.json(&target("api", &api, &more));
    let expected = [Some("ok"), None, None, Some("ok")];
    assert_eq!((code, verdict(&document)), (0, expected), "{document:#}");

    let (code, document) = world.json(&target("api", &api, "provider = \"anthropic\""));
    assert_eq!((code, verdict(&document)[1]), (2, Some("tls_client_cert_required")));

    // Another certificate's key is as good as none: the way is walked without.
    let before = api.requests().len();
    for text in [Some(other.key_pem()), None] {
        match text {
            Some(text) => drop(world.folder.write("client.key", &text)),
            None => std::fs::remove_file(&key).unwrap(),
        }
        let (code, document) = world.json(&target("api", &api, &more));
        let expected = [
            Some("broken"),
            Some("local_credential_unavailable"),
            Some("credential"),
            Some("unknown"),
        ];
        assert_eq!((code, verdict(&document)), (2, expected), "{document:#}");
        assert!(!document.to_string().contains("PRIVATE KEY"), "{document:#}");
    }
    assert_eq!(api.requests().len(), before);
}

#[test]
fn a_key_never_goes_over_a_chain_that_nobody_verified() {
    let world = Ground::new();
    let stranger = Authority::new("Stranger");
    for leaf in [
        stranger.leaf(&["127.0.0.1"]),
        world.authority.flawed_leaf(&["127.0.0.1"], Flaw::Expired),
        world.authority.flawed_leaf(&["127.0.0.1"], Flaw::WrongName),
        world.authority.flawed_leaf(&["127.0.0.1"], Flaw::SelfSigned),
    ] {
        let api = TlsServer::start(&Arc::new(leaf), Tls::Serve(Http::AnthropicUnauthorized));
        let key = world.folder.write("key", "sk-ant-precious\n");
        let keyed = format!("provider = \"anthropic\"\nkey = {{ file = \"{}\" }}", key.display());
        let (code, document) = world.json(&target("api", &api, &keyed));
        assert_eq!((code, verdict(&document)[0]), (2, Some("broken")), "{document:#}");
        // What is behind such a certificate is looked at without it.
        let sent = format!("{:?}", api.requests());
        assert!(!sent.contains("sk-ant-precious") && !sent.contains("x-api-key"), "{sent}");
    }
}

#[test]
fn the_document_has_the_keys_of_the_contract_and_what_was_observed() {
    let world = Ground::new();
    let api = world.server(Tls::Alert(112));
    let (_, document) = world.json(&target("api", &api, ""));
    let keys = |value: &Value| -> Vec<String> {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    let sorted = |text: &str| {
        let mut keys: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(&document), sorted("schema version site checks targets"));
    assert_eq!(document["schema"], "egressd.status/1");
    let check = &document["checks"][0];
    assert_eq!(
        keys(check),
        sorted(
            "target route expect status network layer cause party confidence since flapping incident \
             failure rule summary advice do_not ask notes looks_like evidence phases addresses tls response started \
             seconds latest observed"
        )
    );
    assert_eq!(keys(&check["failure"]), sorted("layer kind"));
    assert_eq!(keys(&check["phases"]), sorted("dns connect proxy tls first_byte body"));
    assert_eq!(keys(&check["addresses"][0]), sorted("address family status failure"));
    assert_eq!(keys(&check["evidence"][0]), sorted("control result detail means at"));
    assert_eq!(keys(&check["latest"]), sorted("status failure"));
    assert_eq!(
        keys(&document["targets"][0]),
        sorted("target status layer cause party confidence summary")
    );
    assert_eq!(check["phases"]["tls"], Value::Null, "a phase that was not passed is null, never 0");
    assert_eq!(check["failure"], serde_json::json!({ "layer": "tls", "kind": "alert" }));
    let (observed, leg) = (&check["observed"], &check["observed"]["legs"][0]);
    assert_eq!(keys(observed), sorted("lookup addresses legs"));
    assert_eq!(observed["addresses"][0]["class"], "loopback");
    assert_eq!(leg["stop"]["tls"]["alert"], serde_json::json!({ "code": 112, "own": false }));
    assert_eq!(leg["connected"]["socket"]["state"], 1, "established, when it was made");
}

#[test]
fn exit_statuses_are_those_of_the_worst_target() {
    let world = Ground::new();
    let api = world.server(Tls::Serve(Http::AnthropicUnauthorized));
    let closed = ClosedPort::hold();
    let fine = target("fine", &api, "provider = \"anthropic\"");
    let shut = format!("[[target]]\nname = \"shut\"\nurl = \"https://{}/\"\n", closed.address());
    let file = world.config(&format!("{fine}{shut}"));
    let code = |arguments: &[&str]| run(&[&["check", "--config", &file], arguments].concat()).code;
    assert_eq!(code(&[]), 2);
    assert_eq!(code(&["fine"]), 0);
    assert_eq!(code(&["shut"]), 2);
    assert_eq!(code(&["fine", "--route", "direct"]), 0);
    // What is asked wrongly is "unknown" to a monitor.
    assert_eq!(code(&["fin"]), 3);
    assert_eq!(code(&["fine", "--route", "corp"]), 3);
    assert_eq!(code(&["--format", "yaml"]), 3);
    assert_eq!(run(&["run", "--nonsense"]).code, 2);
    let hint = run(&["check", "--config", &file, "fin"]).stderr;
    assert!(hint.contains("did you mean `fine`?"), "{hint}");
}

#[test]
fn nagios_gets_one_line_and_performance_data() {
    let world = Ground::new();
    let closed = ClosedPort::hold();
    let file = world
        .config(&format!("[[target]]\nname = \"shut\"\nurl = \"https://{}/\"\n", closed.address()));
    let finished = run(&["check", "--config", &file, "--format", "nagios"]);
    assert_eq!(finished.code, 2);
    let line = finished.stdout.strip_suffix('\n').unwrap();
    assert!(!line.contains('\n') && line.is_ascii(), "{line}");
    let (text, data) = line.split_once(" | ").unwrap();
    assert!(
        text.starts_with("EGRESSD CRITICAL - shut via direct: ") && text.len() <= 200,
        "{text}"
    );
    assert_eq!(data, "ok=0 degraded=0 broken=1 unknown=0");
}

#[test]
fn a_url_is_checked_without_a_file() {
    let world = Ground::new();
    let api = world.server(Tls::Serve(Http::Redirect("/elsewhere".into())));
    let file = world.config("[[target]]\nname = \"unused\"\nurl = \"https://127.0.0.1:1/\"\n");
    let url = format!("https://{}/x", api.address());
    let finished = run(&["check", &url, "--config", &file, "--format", "json"]);
    let document: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(finished.code, 0, "{document:#}");
    assert_eq!(document["checks"][0]["target"], "127.0.0.1");
    assert_eq!(api.requests().len(), 1, "a redirect is recorded, not followed");
    assert_eq!(api.requests()[0].path, "/x");

    for (arguments, says) in [
        (vec!["https://"], "no URL"),
        (vec!["ftp://a.example/"], "http:// or https://"),
        (vec!["https://u:pw@a.example/"], "not sent"),
        (vec!["--proxy", "http://p:1"], "goes with a URL"),
    ] {
        let finished = run(&[&["check", "--config", file.as_str()], arguments.as_slice()].concat());
        assert_eq!(finished.code, 3);
        assert!(
            finished.stderr.contains(says) && !finished.stderr.contains("pw@"),
            "{}",
            finished.stderr
        );
    }
}

#[test]
fn the_environments_proxy_is_walked_by_name() {
    let world = Ground::new();
    let leaf = world.authority.leaf(&["api.anthropic.com", "localhost"]);
    let api = TlsServer::start(&Arc::new(leaf), Tls::Serve(Http::AnthropicUnauthorized));
    let proxy = Proxy::start(Tunnelling::Tunnel, &[("api.anthropic.com", api.address())]);
    let file = world.config(
        "[[route]]\nname = \"environment\"\nproxy = \"environment\"\n\
         [[target]]\nname = \"api\"\nprovider = \"anthropic\"\nroutes = [\"environment\"]\n",
    );
    let output = egressd()
        .args(["check", "--config", &file, "--format", "json"])
        .env("https_proxy", format!("http://{}", proxy.address()))
        .output()
        .unwrap();
    let finished = Finished::of(output);
    let document: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!((finished.code, verdict(&document)[0]), (0, Some("ok")), "{document:#}");
    assert_eq!(document["checks"][0]["route"], "environment");
    assert!(document["checks"][0]["phases"]["proxy"].is_number());
    let targets: Vec<String> = proxy.connects().into_iter().map(|connect| connect.target).collect();
    assert_eq!(targets, ["api.anthropic.com:443"], "the name, not an address");
}

#[test]
fn people_get_a_tree_and_what_to_do() {
    let world = Ground::new();
    let api = world.server(Tls::AfterHello(crate::support::wire::Ending::Reset));
    let finished = run(&["check", "--config", &world.config(&target("api", &api, ""))]);
    assert_eq!(finished.code, 2);
    let text = finished.stdout;
    for part in [
        "api · direct",
        "BROKEN",
        "├ dns",
        "├ tcp      ok",
        "├ tls      reset",
        "└ http     –",
        "✓ control_host",
        "✗ other_name",
        "✗ repeat",
        "\nverdict ",
        "\nmeans ",
        "\ndo ",
        "\ndo not ",
        "\nask ",
        "\nreport ",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let wide: Vec<&str> = text.lines().skip(1).filter(|line| line.chars().count() > 110).collect();
    assert_eq!(wide, Vec::<&str>::new());
    assert!(!text.contains('\u{1b}'), "no colour where nobody looks");
    assert!(text.lines().next().unwrap().contains("keys: none configured"), "{text}");
}
