//! What is wrong with a web configuration, and where it may listen.

use std::process::Command;

use super::{MUTUAL, TLS, allow, secret, show, user};
use crate::support::foreign::are_here;
use crate::support::pki::{Authority, Flaw};
use crate::support::program::{Finished, Folder, run};

/// `config check` of a web configuration beside a sound pair of files, on loopback or elsewhere.
fn check(folder: &Folder, server: &str, web: &str) -> Finished {
    let authority = Authority::new("Web");
    show(folder, "web", &authority.leaf(&["localhost"]));
    folder.write("clients.pem", &authority.pem());
    let file = secret(folder, "web.yml", web);
    let text = format!(
        "[server]\nweb_config_file = \"{}\"\n{server}\n[control]\nurls = [\"https://www.example.com/\", \"https://www.example.org/\"]\nportal_url = \"http://www.example.com/\"\n[[target]]\nname = \"a\"\nurl = \"https://localhost:1/\"\n",
        file.display()
    );
    let file = folder.write("e.toml", &text);
    run(&["config", "check", &file.display().to_string()])
}

/// The folder's name taken out.
fn said(folder: &Folder, finished: &Finished) -> String {
    finished.stderr.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn every_fault_is_told_with_its_place_and_no_secret() {
    let folder = Folder::new();
    let web = "\
tls_server_config:
  cert_file: nowhere.pem
  key_file: web.key
  key: |
    planted
  client_auth_typ: NoClientCert
  client_auth_type: RequireAndVerifyClientCert
  min_version: TLS14
  max_version: TLS11
  cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA, TLS_NOTHING]
  curve_preferences: [CurveP521]
http_server_config:
  http2: perhaps
  headers:
    X-Frame-Options: allow
    X-Other: a
basic_auth_users:
  plain: planted
  dear: $2y$15$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyz./ABC
  \"a:b\": $2y$10$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyz./ABC
rate_limit:
  interval: 1s
  burst: 5
";
    let finished = check(&folder, "", web);
    assert_eq!(finished.code, 78, "{}", finished.stderr);
    let expected = include_str!("wrong.txt");
    assert_eq!(said(&folder, &finished), expected);
    assert!(!finished.stderr.contains("planted"));
    let started = run(&["run", "--config", &folder.path().join("e.toml").display().to_string()]);
    assert_eq!((started.code, started.stderr), (78, finished.stderr), "it does not start with it");
}

#[test]
fn what_exporters_read_is_read() {
    let folder = Folder::new();
    let web = "\
tls_server_config:
  cert_file: web.pem
  key_file: web.key
  client_auth_type: VerifyClientCertIfGiven
  client_ca_file: clients.pem
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: true
  curve_preferences: [X25519MLKEM768, X25519, CurveP256, CurveP384]
http_server_config:
  http2: true
  headers: { X-Content-Type-Options: nosniff, X-XSS-Protection: 1; mode=block }
basic_auth_users:
  alice: $2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze
  bob: $2y$10$hLqFl9jSjoAAy95Z/zw8Ye8wkdMBM8c5Bn1ptYqP/AXyV0.oy0S8m
rate_limit:
  interval: 0
";
    let finished = check(&folder, "", web);
    assert_eq!((finished.code, said(&folder, &finished).as_str()), (0, ""));
    assert_eq!(check(&folder, "", "").code, 0, "an empty one asks for nothing");
}

#[test]
fn single_faults_say_the_way_out() {
    let rows = [
        ("- a\n", "web.yml:1:1: this is no table\n    write key: value, one to a line\n"),
        (
            "tls_server_config: { min_version: TLS12 }\n",
            "web.yml:1:20: TLS is asked for, and there is neither `cert_file` nor `cert`\n    add cert_file: FILE.pem\nweb.yml:1:20: TLS is asked for, and there is neither `key_file` nor `key`\n    add key_file: FILE.pem\n",
        ),
        (
            "tls_server_config: { cert_file: web.pem, key_file: web.key, client_ca_file: clients.pem }\n",
            "web.yml:1:77: a client CA is given, and no client_auth_type asks for certificates\n    write client_auth_type: RequireAndVerifyClientCert\n",
        ),
        (
            "tls_server_config: { cert_file: web.pem, key_file: web.key, client_auth_type: RequireAndVerifyClientCert }\n",
            "web.yml:1:79: clients are to be verified, and there is neither `client_ca_file` nor `client_ca`\n    add client_ca_file: FILE.pem\n",
        ),
        (
            "tls_server_config: { cert_file: web.key, key_file: web.pem }\n",
            "web.yml:1:33: there is no certificate in it\n    give PEM: -----BEGIN CERTIFICATE-----\nweb.yml:1:52: there is no key in it\n    give PEM: -----BEGIN PRIVATE KEY-----\n",
        ),
        (
            "tls_server_config: { cert_file: clients.pem, key_file: web.key }\n",
            "web.yml:1:56: certificate and key cannot be used together: keys may not be consistent: KeyMismatch\n    give the key that the first certificate was made for\n",
        ),
    ];
    for (web, text) in rows {
        let folder = Folder::new();
        let finished = check(&folder, "", web);
        assert_eq!((finished.code, said(&folder, &finished).as_str()), (78, text), "{web}");
    }
}

#[test]
fn files_of_everybody_are_refused() {
    let folder = Folder::new();
    assert_eq!(check(&folder, "", TLS).code, 0);
    let again = |name: &str, mode: u32| {
        allow(&folder.path().join(name), mode);
        let file = folder.path().join("e.toml").display().to_string();
        let finished = run(&["config", "check", &file]);
        allow(&folder.path().join(name), 0o600);
        (finished.code, said(&folder, &finished))
    };
    let permissions = "correct the name, relative to this file's folder, or the permissions";
    let readable = format!(
        "web.yml:3:13: web.key: others may read the key in it; chmod o-r it\n    {permissions}\n"
    );
    assert_eq!(again("web.key", 0o644), (78, readable));
    assert_eq!(again("web.key", 0o640), (0, String::new()));
    let writable = format!(
        "web.yml:2:14: web.pem: others may write web.pem; chmod o-w it\n    {permissions}\n"
    );
    assert_eq!(again("web.pem", 0o666), (78, writable));
    let (code, text) = again("web.yml", 0o666);
    assert_eq!((code, text.as_str()), (78, "web.yml: others may write this file; chmod o-w it\n"));
    secret(&folder, "web.yml", &user("mon", "sesame"));
    let open =
        "web.yml: warning: others may read the hashes of passwords in it\n    chmod o-r it\n";
    assert_eq!(again("web.yml", 0o644), (0, open.to_owned()));
}

#[test]
fn a_certificate_that_has_ended_is_said() {
    let folder = Folder::new();
    assert_eq!(check(&folder, "", TLS).stderr, "");
    show(&folder, "web", &Authority::new("Web").flawed_leaf(&["localhost"], Flaw::Expired));
    let finished = run(&["config", "check", &folder.path().join("e.toml").display().to_string()]);
    let warned = "web.yml: warning: clients refuse the certificate, which ended at 2001-12-31T00:00:00Z\n    renew it\n";
    assert_eq!((finished.code, said(&folder, &finished).as_str()), (0, warned));
}

/// WEB05: what is open to a network is said, with the way to close it.
#[test]
fn what_is_open_is_said() {
    let open = "listen = \"0.0.0.0:9737\"";
    let nobody = "e.toml:3:10: warning: everybody who reaches 0.0.0.0:9737 can read all results\n    listen on 127.0.0.1, or ask for a password: web_config_file\n";
    let clear = "e.toml:3:10: warning: passwords cross the network to 0.0.0.0:9737 in clear text\n    add tls_server_config to the web_config_file, or listen on 127.0.0.1\n";
    let users = user("mon", "sesame");
    let if_given = MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven");
    let rows = [
        ("", "", ""),
        (open, "", nobody),
        (open, TLS, nobody),
        (open, users.as_str(), clear),
        (open, &format!("{TLS}{users}"), ""),
        (open, MUTUAL, ""),
        (open, &if_given, nobody),
        ("listen = \"[::ffff:127.0.0.1]:9737\"", "", ""),
    ];
    for (server, web, warned) in rows {
        let folder = Folder::new();
        let finished = check(&folder, server, web);
        assert_eq!(
            (finished.code, said(&folder, &finished).as_str()),
            (0, warned),
            "{server} {web}"
        );
        let modules = folder.write("m.yml", "modules: {}\n");
        let probes = format!("{server}\nblackbox_modules = \"{}\"", modules.display());
        let refused = "could make this host probe others";
        let finished = check(&folder, &probes, web);
        let is_open = warned == nobody;
        assert_eq!(finished.code, if is_open { 78 } else { 0 }, "{probes} {web}");
        assert_eq!(finished.stderr.contains(refused), is_open, "{}", finished.stderr);
    }
}

/// The README's file, with a certificate beside it, and the user that its command makes.
#[test]
fn the_readme_shows_what_works() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let (_, section) = readme.split_once("### TLS and a password on the web port").unwrap();
    let (_, yaml) = section.split_once("```yaml\n").unwrap();
    let (yaml, _) = yaml.split_once("```").unwrap();
    let folder = Folder::new();
    let open = "listen = \"0.0.0.0:9737\"";
    let finished = check(&folder, open, yaml);
    assert_eq!((finished.code, said(&folder, &finished).as_str()), (0, ""));
    let line = section.lines().find_map(|line| line.strip_prefix("$ htpasswd -n")).unwrap();
    if !are_here(&["/usr/bin/htpasswd"]) {
        return;
    }
    // A test has no terminal to be asked at.
    let script = format!("echo sesame | htpasswd -ni{line}");
    let made = Command::new("sh").args(["-ec", &script]).output().unwrap();
    let made = String::from_utf8(made.stdout).unwrap();
    let (head, rest) = yaml.split_once("  prometheus: ").unwrap();
    let (_, rest) = rest.split_once('\n').unwrap();
    let yaml = format!("{head}  {}\n{rest}", made.trim().replacen(':', ": ", 1));
    let finished = check(&folder, open, &yaml);
    assert_eq!((finished.code, said(&folder, &finished).as_str()), (0, ""), "{yaml}");
}
