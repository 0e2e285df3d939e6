//! What only the whole daemon shows: the age of secrets' files, configured certificates, what TCP knows, the clocks of
//! APIs, and what is kept while a target fails.

use std::fs::File;
use std::time::{Duration, UNIX_EPOCH};

use super::openmetrics::{Sample, read};
use crate::support::ground::{Ground, target};
use crate::support::http::Behaviour as Http;
use crate::support::pki::Authority;
use crate::support::program::{Daemon, get, run};
use crate::support::tls::{Behaviour as Tls, TlsServer};
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

/// A daemon with all that the configuration can name.
struct World {
    ground: Ground,
    api: TlsServer,
    daemon: Daemon,
}

/// When the key's file changed, as Unix time.
const CHANGED: u64 = 1_577_836_800;

impl World {
    fn new() -> Self {
        let ground = Ground::new();
        let api = ground.server(Tls::Serve(late()));
        let folder = &ground.folder;
        let key = File::options().append(true).open(folder.write("key", "sk-ant-planted\n"));
        key.unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(CHANGED)).unwrap();
        let corp = Authority::new("Corp (Inspection) Root 1");
        let client = corp.leaf(&["mon1"]);
        folder.write("corp.pem", &corp.pem());
        folder.write("client.pem", client.chain_pem());
        folder.write("client.key", &client.key_pem());
        let path = |name: &str| folder.path().join(name).display().to_string();
        let more = format!(
            "provider = \"anthropic\"\nkey = {{ file = \"{}\" }}\n\
             client_cert = {{ certificate = \"{}\", key = {{ file = \"{}\" }} }}\n",
            path("key"),
            path("client.pem"),
            path("client.key")
        );
        let tables = ground.tables_with("1s", &format!("ca_files = [\"{}\"]", path("corp.pem")));
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"text\"\n{tables}{}",
            target("api", &api, &more)
        );
        let daemon = Daemon::start(folder, &folder.write("egressd.toml", &text));
        daemon.wait_for("api via direct: ");
        Self { ground, api, daemon }
    }

    fn path(&self, name: &str) -> String {
        self.ground.folder.path().join(name).display().to_string()
    }
}

const OWN: [(&str, &str); 2] = [("target", "api"), ("route", "direct")];

#[test]
fn what_the_whole_daemon_measures_is_published_and_kept_while_it_fails() {
    let world = World::new();
    let now = scrape(&world.daemon);
    let started = one(&now, "process_start_time_seconds", &[]).value;
    for (file, expected) in
        [("key", started - f64::from(u32::try_from(CHANGED).unwrap())), ("client.key", 0.0)]
    {
        let place = format!("file {}", world.path(file));
        let age = one(&now, "egressd_credential_age_seconds", &[("credential", &place)]).value;
        assert!((expected..expected + 600.0).contains(&age), "{file}: {age}");
    }
    let pop = |samples: &[Sample]| one(samples, "egressd_pop_info", &OWN).labels["pop"].clone();
    assert_eq!(pop(&now), "NRT");
    let mtu = one(&now, "egressd_path_mtu_bytes", &OWN).value;
    assert!(mtu >= 16_436.0, "that of loopback: {mtu}");
    let offset = one(&now, "egressd_clock_offset_seconds", &[]);
    assert!(offset.value < -365.0 * DAY && offset.labels.is_empty(), "{offset:?}");
    one(&now, "egressd_target_info", &[("target", "api"), ("zone", "own")]);
    // What the plan says of it beforehand is not less.
    let printed = run(&["config", "check", "--plan", &world.path("egressd.toml")]).stdout;
    let most = printed.lines().find(|line| line.starts_with("series: ")).expect("a budget");
    let most = most.split(", ").nth(1).and_then(|part| part.split(' ').next()?.parse().ok());
    assert!(now.len() <= most.expect("a number"), "{} of {printed}", now.len());

    // A reload takes no count back.
    world.daemon.signal("HUP");
    world.daemon.wait_for("reloaded");
    let before = now;
    let now = scrape(&world.daemon);
    let counted = before.iter().filter(|sample| sample.name.ends_with("_total"));
    for sample in counted {
        let labels: Vec<(&str, &str)> =
            sample.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert!(one(&now, &sample.name, &labels).value >= sample.value, "{sample:?}");
    }
    let checks = |samples: &[Sample]| -> f64 {
        samples.iter().filter(|one| one.name == "egressd_checks_total").map(|one| one.value).sum()
    };
    assert!(checks(&before) >= 1.0 && checks(&now) >= checks(&before));

    world.api.set(Tls::AfterHello(Ending::Reset));
    world.daemon.wait_for("layer=\"tls\"");
    let now = scrape(&world.daemon);
    assert!(one(&now, "egressd_check_up", &OWN).value < 1.0);
    assert_eq!(pop(&now), "NRT");
    // No answer, no clock.
    assert!(now.iter().all(|sample| sample.name != "egressd_clock_offset_seconds"));
}

#[test]
fn certificates_that_are_configured_have_dates_and_names_as_those_that_are_shown() {
    let world = World::new();
    let now = scrape(&world.daemon);
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
        let has = ["target", "route"].map(|name| named.labels.contains_key(name));
        assert_eq!(has, [of != "ca", of == "target"], "{of}");
    }
}
