//! What only the whole daemon shows: the age of secrets' files, configured certificates, what TCP knows, the clocks of
//! APIs, and what is kept while a target fails.

use std::collections::BTreeMap;
use std::fs::File;
use std::time::{Duration, SystemTime};

use super::openmetrics::{Sample, read};
use crate::support::ground::{Ground, target};
use crate::support::http::Behaviour as Http;
use crate::support::pki::Authority;
use crate::support::program::{Daemon, get, run};
use crate::support::tls::Behaviour as Tls;
use crate::support::wire::Ending;

const DAY: f64 = 86_400.0;

/// An answer with the marks of Anthropic's origin and of its edge, a day late.
fn late() -> Http {
    let error = r#"{"type":"error","error":{"type":"authentication_error","message":"x-api-key header is required"},"request_id":"req_011CT"}"#;
    let headers = [
        ("content-type", "application/json"),
        ("request-id", "req_011CT"),
        ("cf-ray", "9a1b2c3d4e5f6789-NRT"),
        ("date", "Tue, 20 Oct 2015 07:28:00 GMT"),
    ];
    let headers = headers.map(|(name, value)| (name, value.to_owned())).to_vec();
    Http::Answer { status: 401, headers, body: error.as_bytes().to_vec() }
}

fn scrape(daemon: &Daemon) -> Vec<Sample> {
    let accept = [("Accept", "application/openmetrics-text")];
    let (status, page) = get(daemon.address(), "/metrics", &accept);
    assert_eq!(status, 200);
    read(&page).into_iter().flat_map(|family| family.samples).collect()
}

/// The one series of this name with these labels among its own.
fn one(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> Sample {
    let has = |sample: &&Sample| {
        sample.name == name
            && labels
                .iter()
                .all(|(name, value)| sample.labels.get(*name).map(String::as_str) == Some(value))
    };
    let found: Vec<&Sample> = samples.iter().filter(has).collect();
    assert_eq!(found.len(), 1, "{name} {labels:?}: {found:?}");
    found[0].clone()
}

#[test]
fn what_the_whole_daemon_measures_is_published_and_kept() {
    let ground = Ground::new();
    let api = ground.server(Tls::Serve(late()));
    let folder = &ground.folder;
    let key = folder.write("key", "sk-ant-planted-secret\n");
    let old = SystemTime::now() - Duration::from_secs(90 * 86_400);
    File::options().append(true).open(&key).unwrap().set_modified(old).unwrap();
    let corp = Authority::new("Corp (Inspection) Root 1");
    let client = corp.leaf(&["mon1"]);
    let file = |name: &str, text: &str| folder.write(name, text).display().to_string();
    let (roots, shown) = (file("corp.pem", &corp.pem()), file("client.pem", client.chain_pem()));
    let client_key = file("client.key", &client.key_pem());
    let more = format!(
        "provider = \"anthropic\"\nkey = {{ file = \"{}\" }}\n\
         client_cert = {{ certificate = \"{shown}\", key = {{ file = \"{client_key}\" }} }}\n",
        key.display()
    );
    let tables = ground.tables_with("1s", &format!("ca_files = [\"{roots}\"]"));
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"text\"\n{tables}{}",
        target("api", &api, &more)
    );
    let config = folder.write("egressd.toml", &text);
    let daemon = Daemon::start(folder, &config);
    daemon.wait_for("api via direct: ");
    let now = scrape(&daemon);

    let place = format!("file {}", key.display());
    let age = one(&now, "egressd_credential_age_seconds", &[("credential", &place)]).value;
    assert!((90.0 * DAY..90.0 * DAY + 600.0).contains(&age), "{age}");
    let place = format!("file {client_key}");
    let age = one(&now, "egressd_credential_age_seconds", &[("credential", &place)]).value;
    assert!((0.0..600.0).contains(&age), "{age}");

    let own = [("target", "api"), ("route", "direct")];
    let pop = |samples: &[Sample]| one(samples, "egressd_pop_info", &own).labels["pop"].clone();
    assert_eq!(pop(&now), "NRT");
    let mtu = one(&now, "egressd_path_mtu_bytes", &own).value;
    assert!(mtu >= 16_436.0, "that of loopback: {mtu}");
    let offset = one(&now, "egressd_clock_offset_seconds", &[]);
    assert!(offset.value < -365.0 * DAY && offset.labels.is_empty(), "{offset:?}");

    // The server's chain, the client's, and the organisation's roots, each with its dates and its name.
    for (of, trust, issuer) in [
        ("target", "public", "Public Test Root"),
        ("client", "none", "Corp (Inspection) Root 1"),
        ("ca", "organisation", "Corp (Inspection) Root 1"),
    ] {
        let labels = [("of", of), ("trust", trust)];
        let end = one(&now, "egressd_certificate_not_after_timestamp_seconds", &labels);
        let begin = one(&now, "egressd_certificate_not_before_timestamp_seconds", &labels);
        assert!(begin.value < end.value, "{of}");
        let named = one(&now, "egressd_certificate_info", &labels);
        assert_eq!(named.labels["issuer"], issuer);
        let whose: BTreeMap<&str, bool> =
            ["target", "route"].map(|name| (name, named.labels.contains_key(name))).into();
        let expected = [("target", of != "ca"), ("route", of == "target")];
        assert_eq!(whose, expected.into(), "{of}");
    }
    one(&now, "egressd_target_info", &[("target", "api"), ("zone", "own")]);

    // What the plan says of it beforehand is not less.
    let config = config.display().to_string();
    let printed = run(&["config", "check", "--plan", &config]).stdout;
    let most = printed.lines().find(|line| line.starts_with("series: ")).expect("a budget");
    let most = most.split(", ").nth(1).and_then(|part| part.split(' ').next()?.parse().ok());
    assert!(now.len() <= most.expect("a number"), "{} of {printed}", now.len());

    api.set(Tls::AfterHello(Ending::Reset));
    daemon.wait_for("layer=\"tls\"");
    let now = scrape(&daemon);
    assert_eq!(one(&now, "egressd_check_up", &own).value, 0.0);
    assert_eq!(pop(&now), "NRT");
    // No answer, no clock.
    assert!(now.iter().all(|sample| sample.name != "egressd_clock_offset_seconds"));
}
