//! TLS, and the certificates of clients.

use std::process::{Command, Stdio};

use super::{Bench, MUTUAL, TLS, curl, is_here, user};
use crate::support::http::{Behaviour as Http, HttpServer};
use crate::support::openssl;
use crate::support::program::Folder;

#[test]
fn a_client_sees_who_we_are() {
    if !is_here() {
        return;
    }
    let headers = "http_server_config:\n  headers:\n    Strict-Transport-Security: max-age=60\n    X-Frame-Options: deny\n    Content-Security-Policy: default-src 'self'\n    X-XSS-Protection: \"\"\n";
    let bench = Bench::new(&format!("{TLS}{headers}"));
    let answer = bench.curl("/-/healthy", &["-D", "-", "--http2"]);
    assert_eq!((answer.code, answer.status), (0, 200), "{answer:?}");
    for line in [
        "HTTP/1.1 200 OK\r\n",
        "\r\nstrict-transport-security: max-age=60\r\n",
        "\r\nx-frame-options: deny\r\n",
        "\r\ncontent-security-policy: default-src 'self'\r\n",
        "\r\nx-content-type-options: nosniff\r\n",
        "\r\ncache-control: no-store\r\n",
    ] {
        assert!(answer.body.contains(line), "{line:?} in {}", answer.body);
    }
    assert!(!answer.body.contains("x-xss"), "{}", answer.body);
    // A name of TLS is not the Host.
    let status = bench.curl("/api/v1/status", &["-H", "Host: attacker.example"]);
    assert_eq!(status.status, 421, "{status:?}");
    let folder = &bench.ground.folder;
    let stranger = curl(folder, &bench.url("https", "/"), &["--cacert", "clients.pem"]);
    assert_eq!((stranger.code, stranger.status), (60, 0), "{}", stranger.error);
    let plain = curl(folder, &bench.url("http", "/metrics"), &[]);
    assert_eq!(plain.status, 0, "nothing is said in clear: {plain:?}");
    assert!(bench.daemon.log().iter().any(|line| line.contains("on https://")));
}

#[test]
fn certificates_of_clients_are_judged_as_go_does() {
    if !is_here() {
        return;
    }
    let with = |policy: &str, more: &str| format!("{TLS}  client_auth_type: {policy}\n{more}");
    let ca = "  client_ca_file: clients.pem\n";
    let named = "  client_ca_file: clients.pem\n  client_allowed_sans: [mon.example]\n";
    let by_address =
        "  client_ca_file: clients.pem\n  client_allowed_sans: [a.example, 10.9.8.7]\n";
    let unnamed = "  client_ca_file: clients.pem\n  client_allowed_sans: [other.example]\n";
    // Whether who shows nothing, a certificate of the CA, and one of another is answered.
    let rows = [
        ("NoClientCert", "", [true, true, true]),
        ("RequestClientCert", "", [true, true, true]),
        ("RequireAnyClientCert", "", [false, true, true]),
        ("VerifyClientCertIfGiven", ca, [true, true, false]),
        ("RequireAndVerifyClientCert", ca, [false, true, false]),
        ("RequireAndVerifyClientCert", named, [false, true, false]),
        ("RequireAndVerifyClientCert", by_address, [false, true, false]),
        ("RequireAndVerifyClientCert", unnamed, [false, false, false]),
    ];
    let shown = [
        &[][..],
        &["--cert", "client.pem", "--key", "client.key"],
        &["--cert", "other.pem", "--key", "other.key"],
    ];
    for (policy, more, answered) in rows {
        let bench = Bench::new(&with(policy, more));
        for version in ["1.2", "1.3"] {
            let got = shown.map(|shown| {
                let version = ["--tls-max", version];
                bench.curl("/-/healthy", &[shown, &version].concat()).status == 200
            });
            assert_eq!(got, answered, "{policy} {more} {version}");
        }
    }
}

/// The version and cipher that `openssl s_client` agrees on, or nothing.
fn agreed(bench: &Bench, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &bench.daemon.address().to_string()]).args(arguments);
    let output = command.stdin(Stdio::null()).output().expect("openssl runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.starts_with("New, ") && !line.contains("(NONE)"))?;
    line.rsplit("Cipher is ").next().map(str::to_owned)
}

#[test]
fn versions_ciphers_and_curves_are_those_that_are_named() {
    if !openssl::is_here() {
        return;
    }
    let any = ["-cipher", "DEFAULT:@SECLEVEL=0"];
    let bench = Bench::new(TLS);
    for old in ["-tls1", "-tls1_1"] {
        assert_eq!(agreed(&bench, &[&[old][..], &any].concat()), None, "{old}");
    }
    assert!(agreed(&bench, &["-tls1_2"]).is_some());
    assert!(agreed(&bench, &["-tls1_3"]).is_some());
    for weak in ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256"] {
        assert_eq!(agreed(&bench, &["-tls1_2", "-cipher", weak]), None, "{weak}");
    }

    let bench =
        Bench::new(&format!("{TLS}  min_version: TLS13\n  curve_preferences: [CurveP384]\n"));
    assert_eq!(agreed(&bench, &["-tls1_2"]), None);
    assert!(agreed(&bench, &["-tls1_3", "-groups", "P-384"]).is_some());
    assert_eq!(agreed(&bench, &["-tls1_3", "-groups", "X25519"]), None);

    let suites = "  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n";
    let both = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384";
    let bench = Bench::new(&format!("{TLS}{suites}"));
    assert_eq!(agreed(&bench, &["-tls1_3"]), None);
    let got = agreed(&bench, &["-tls1_2", "-cipher", both]);
    assert_eq!(got.as_deref(), Some("ECDHE-ECDSA-AES256-GCM-SHA384"), "our order counts");
    assert_eq!(agreed(&bench, &["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"]), None);
    let bench = Bench::new(&format!("{TLS}{suites}  prefer_server_cipher_suites: false\n"));
    let got = agreed(&bench, &["-tls1_2", "-cipher", both]);
    assert_eq!(got.as_deref(), Some("ECDHE-ECDSA-AES128-GCM-SHA256"), "the client's counts");
}

#[test]
fn a_probe_comes_by_tls_and_needs_the_password() {
    if !is_here() {
        return;
    }
    let page =
        HttpServer::start(Http::Answer { status: 200, headers: Vec::new(), body: Vec::new() });
    let (folder, at) = (Folder::new(), page.address());
    let modules = format!(
        "egressd: {{ hosts: [\"127.0.0.1\"], networks: [127.0.0.1], ports: [{}] }}\nmodules: {{ m: {{ prober: http }} }}\n",
        at.port()
    );
    let modules = folder.write("m.yml", &modules);
    let server = format!("blackbox_modules = \"{}\"\n", modules.display());
    let bench = Bench::with(&format!("{TLS}{}", user("mon", "sesame")), &server, "");
    let path = format!("/probe?module=m&target=http://{at}/");
    assert_eq!(bench.curl(&path, &[]).status, 401);
    assert_eq!(bench.curl(&path, &["-u", "mon:guess"]).status, 401);
    assert!(page.connections().is_empty(), "nobody was dialled");
    let answer = bench.curl(&path, &["-u", "mon:sesame"]);
    assert!(answer.status == 200 && answer.body.contains("\nprobe_success 1\n"), "{answer:?}");
}

/// A session that goes on would be one whose certificate nobody looks at again.
#[test]
fn no_session_goes_on() {
    if !openssl::is_here() {
        return;
    }
    let bench = Bench::new(MUTUAL);
    let folder = bench.ground.folder.path();
    let ask = |more: &str| {
        let line = format!(
            "printf 'GET /-/healthy HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' | openssl s_client -ign_eof -connect {} -cert client.pem -key client.key {more} 2>&1",
            bench.daemon.address()
        );
        let output = Command::new("sh").current_dir(folder).args(["-c", &line]).output();
        String::from_utf8_lossy(&output.expect("a shell").stdout).into_owned()
    };
    for version in ["-tls1_2", "-tls1_3"] {
        let first = ask(&format!("{version} -sess_out session"));
        assert!(first.contains("\nhealthy\n") && first.contains("\nNew, TLSv1."), "{first}");
        if folder.join("session").exists() {
            let again = ask(&format!("{version} -sess_in session"));
            assert!(again.contains("\nhealthy\n") && !again.contains("\nReused, "), "{again}");
        }
    }
}

/// A certificate inside of the file, as newer exporters have it.
#[test]
fn certificate_and_key_may_stand_in_the_file() {
    if !is_here() {
        return;
    }
    let bench = Bench::new(MUTUAL);
    let leaf = bench.ground.authority.leaf(&["127.0.0.1"]);
    let indented =
        |pem: &str| pem.lines().fold(String::new(), |text, line| text + "    " + line + "\n");
    let inline = format!(
        "tls_server_config:\n  cert: |\n{}  key: |\n{}  client_ca: |\n{}  client_auth_type: RequireAndVerifyClientCert\n",
        indented(leaf.chain_pem()),
        indented(&leaf.key_pem()),
        indented(&bench.clients.pem()),
    );
    let second = Bench::new(&inline);
    // Who signs for this one's clients, and for itself, is the first.
    let first = |name: &str| bench.ground.folder.path().join(name).display().to_string();
    let (ca, cert, key) = (first("public.pem"), first("client.pem"), first("client.key"));
    let arguments = ["--cacert", &ca, "--cert", &cert, "--key", &key];
    let answer = curl(&second.ground.folder, &second.url("https", "/-/healthy"), &arguments);
    assert_eq!(answer.status, 200, "{answer:?}");
}
