//! Names and passwords.

use std::process::Command;

use super::{Bench, TLS, is_here, user};
use crate::support::foreign::{At, are_here};
use crate::support::program::{get, get_whole};
use crate::support::prometheus::Prometheus;

/// WEB01: nothing is told to who is nobody, and who may ask gets all.
#[test]
fn every_page_asks_for_a_password() {
    let bench = Bench::with(&user("mon", "pa:ss wörd\u{1f511}"), "", "[log]\nfilter = \"trace\"\n");
    let address = bench.daemon.address();
    let basic = |both: &str| format!("Basic {}", data_encoding::BASE64.encode(both.as_bytes()));
    let ask = |path: &str, login: &str| get(address, path, &[("Authorization", login)]);
    let right = basic("mon:pa:ss wörd\u{1f511}");
    let pages = [
        ("/", 200),
        ("/metrics", 200),
        ("/api/v1/status", 200),
        ("/probe?target=x", 404),
        ("/-/healthy", 200),
        ("/nothing", 404),
        ("/-/reload", 405),
    ];
    for (page, status) in pages {
        assert_eq!(ask(page, &right).0, status, "{page}");
        let told = (401, "a name and a password are needed\n".to_owned());
        assert_eq!(get(address, page, &[]), told, "{page}");
        assert_eq!(ask(page, &basic("mon:pa:ss")), told, "{page}");
    }
    for wrong in [
        basic("nobody:pa:ss wörd\u{1f511}"),
        basic("mon"),
        basic(":"),
        basic("mon:"),
        "Basic".to_owned(),
        "Basic !!".to_owned(),
        "Bearer abc".to_owned(),
        right.replace("Basic", "Digest"),
        format!("Basic {}", "A".repeat(12_000)),
    ] {
        assert_eq!(ask("/metrics", &wrong).0, 401, "{wrong}");
    }
    let head = get_whole(address, "/metrics", &[]);
    let asks = "\r\nwww-authenticate: Basic realm=\"egressd\", charset=\"UTF-8\"\r\n";
    assert!(head.contains(asks), "{head}");
    let log = bench.daemon.log().join("\n");
    for secret in ["pa:ss", "$2b$", right.trim_start_matches("Basic ")] {
        assert!(!log.contains(secret), "{log}");
    }
}

/// Hashes of a program that is not ours.
#[test]
fn hashes_of_htpasswd_are_understood() {
    if !are_here(&["/usr/bin/htpasswd"]) {
        return;
    }
    let output = Command::new("htpasswd").args(["-nbBC", "5", "mon", "sesame"]).output().unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    let (name, hash) = line.trim().split_once(':').unwrap();
    assert!(hash.starts_with("$2y$05$"), "{hash}");
    let bench = Bench::new(&format!("basic_auth_users: {{ {name}: {hash} }}\n"));
    let ask = |login: &str| {
        let login = format!("Basic {}", data_encoding::BASE64.encode(login.as_bytes()));
        get(bench.daemon.address(), "/-/healthy", &[("Authorization", &login)]).0
    };
    assert_eq!([ask("mon:sesame"), ask("mon:Sesame")], [200, 401]);
}

#[test]
fn prometheus_scrapes_with_a_password_over_tls() {
    if !is_here() {
        return;
    }
    let bench = Bench::new(&format!("{TLS}{}", user("prometheus", "sesame")));
    let ca = bench.ground.folder.path().join("public.pem");
    let job = |name: &str, more: &str| {
        format!(
            "  - job_name: {name}\n    scheme: https\n    static_configs: [{{ targets: [\"{}\"] }}]\n{more}",
            bench.daemon.address()
        )
    };
    let trusts = format!("    tls_config: {{ ca_file: {} }}\n", ca.display());
    let login = |password: &str| {
        format!("    basic_auth: {{ username: prometheus, password: {password} }}\n")
    };
    let folder = &bench.ground.folder;
    // As deploy/prometheus has it, once the comments are taken away.
    let shipped = std::fs::read_to_string("deploy/prometheus/scrape.yml").unwrap();
    let (_, lines) = shipped.split_once("([server] web_config_file):\n").unwrap();
    let shipped: String = lines.lines().map(|line| line.replacen("# ", "", 1) + "\n").collect();
    let shipped = shipped
        .replace("/etc/prometheus/egressd-ca.pem", &ca.display().to_string())
        .replace(
            "/etc/prometheus/egressd-password",
            &folder.write("password", "sesame").display().to_string(),
        )
        .replace("    scheme: https\n", "");
    let config = format!(
        "global: {{ scrape_interval: 1s }}\nscrape_configs:\n{}{}{}{}",
        job("right", &shipped),
        job("wrong", &format!("{trusts}{}", login("guess"))),
        job("nobody", &trusts),
        job("stranger", &login("sesame")),
    );
    let Some(prometheus) = Prometheus::start(At::Loopback, &config, &[]) else { return };
    prometheus.wait_for("egressd_build_info{job=\"right\"}");
    for job in ["wrong", "nobody", "stranger"] {
        prometheus.wait_for(&format!("up{{job=\"{job}\"}} == 0"));
    }
    assert_eq!(prometheus.wait_for("up{job=\"right\"}")[0]["value"][1], "1");
}
