//! What changes while it runs: certificates and users by themselves, all of it by `POST /-/reload`.

use super::{Bench, MUTUAL, TLS, curl, is_here, secret, show, user};
use crate::support::pki::Authority;
use crate::support::program::{get, until};

fn reload(bench: &Bench, arguments: &[&str]) -> (u16, String) {
    let answer = bench.curl("/-/reload", &[&["-X", "POST"][..], arguments].concat());
    (answer.status, answer.body)
}

fn is_sound(bench: &Bench, login: &str) -> bool {
    let text = bench.curl("/metrics", &["-u", login]).body;
    text.lines().any(|line| line == "egressd_config_last_reload_successful 1")
}

/// WEB03
#[test]
fn new_files_count_without_a_restart_and_bad_ones_never() {
    if !is_here() {
        return;
    }
    let bench = Bench::new(&format!("{TLS}{}", user("mon", "old")));
    let folder = &bench.ground.folder;
    let ask = |login: &str| bench.curl("/-/healthy", &["-u", login]).status;
    assert_eq!([ask("mon:old"), ask("mon:new")], [200, 401]);

    let web = format!("{TLS}{}", user("mon", "new"));
    secret(folder, "web.yml", &web);
    until("the new password counts", || ask("mon:new") == 200);
    assert_eq!(ask("mon:old"), 401, "what was remembered of the old one does not");

    // Another key: no pair until both are there.
    let next = Authority::new("Next");
    let leaf = next.leaf(&["127.0.0.1"]);
    folder.write("next.pem", &next.pem());
    folder.write("web.pem", leaf.chain_pem());
    bench.daemon.wait_for("certificate and key cannot be used together");
    assert_eq!(ask("mon:new"), 200, "the last good pair is in force");
    until("it is told", || !is_sound(&bench, "mon:new"));
    show(folder, "web", &leaf);
    let as_next = || {
        let arguments = ["--cacert", "next.pem", "-u", "mon:new"];
        curl(folder, &bench.url("https", "/-/healthy"), &arguments).status == 200
    };
    until("the new pair is in force", as_next);
    let told =
        bench.daemon.log().iter().filter(|line| line.contains("cannot be used together")).count();
    assert_eq!(told, 1, "{:#?}", bench.daemon.log());

    secret(folder, "web.yml", "basic_auth_users: { mon: sesame }\n");
    bench.daemon.wait_for("this is no bcrypt hash");
    assert!(as_next());
    secret(folder, "web.yml", &web);
    let sound = || {
        let arguments = ["--cacert", "next.pem", "-u", "mon:new"];
        let text = curl(folder, &bench.url("https", "/metrics"), &arguments).body;
        text.lines().any(|line| line == "egressd_config_last_reload_successful 1")
    };
    until("all is well again", sound);
}

/// WEB04
#[test]
fn a_reload_over_the_port_needs_a_login() {
    if !is_here() {
        return;
    }
    let how = "a reload needs a login: basic_auth_users or verified client certificates in [server] web_config_file; SIGHUP (systemctl reload egressd) needs none\n";
    let bench = Bench::new(TLS);
    assert_eq!(reload(&bench, &[]), (403, how.to_owned()));
    let any = Bench::new(&format!("{TLS}  client_auth_type: RequestClientCert\n"));
    let shown = ["--cert", "client.pem", "--key", "client.key"];
    assert_eq!(reload(&any, &shown).0, 403, "what nobody verified proves nothing");
    let bench = Bench::new(MUTUAL);
    assert_eq!(reload(&bench, &shown), (200, "reloaded\n".to_owned()));

    let bench = Bench::new(&format!("{TLS}{}", user("mon", "sesame")));
    let login = ["-u", "mon:sesame"];
    assert_eq!(reload(&bench, &[]).0, 401);
    assert_eq!(reload(&bench, &login), (200, "reloaded\n".to_owned()));
    let and = |more: &[&'static str]| reload(&bench, &[&login[..], more].concat());
    assert_eq!(and(&["-X", "GET"]).0, 405);
    assert_eq!(and(&["-H", "Sec-Fetch-Site: same-site"]).0, 403);
    assert_eq!(and(&["-H", "Origin: https://elsewhere.example"]).0, 403);
    assert_eq!(and(&["-d", "a=b"]), (413, "no request has a body here\n".to_owned()));
    assert_eq!(and(&["-H", "Transfer-Encoding: chunked", "-d", "a"]).0, 413);

    let file = bench.ground.folder.path().join("egressd.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, good.replace("[[target]]\nname", "[[target]]\nnam")).unwrap();
    let (status, why) = and(&[]);
    assert_eq!(status, 500);
    assert!(why.contains("unknown key `nam`\n    did you mean `name`?"), "{why}");
    assert!(!is_sound(&bench, "mon:sesame"));
    std::fs::write(&file, good).unwrap();
    assert_eq!(and(&[]).0, 200);
    assert!(is_sound(&bench, "mon:sesame"));
}

/// From the moment on when a password is asked for, who came before is asked, too.
#[test]
fn a_connection_that_is_open_is_no_way_around() {
    use std::io::{Read as _, Write as _};
    if !is_here() {
        return;
    }
    let bench = Bench::new("{}\n");
    let address = bench.daemon.address();
    let mut open = std::net::TcpStream::connect(address).unwrap();
    let mut ask = || {
        write!(open, "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut answer = [0; 1024];
        let read = open.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    };
    assert!(ask().starts_with("HTTP/1.1 200"));
    secret(&bench.ground.folder, "web.yml", TLS);
    until("TLS is spoken", || bench.curl("/-/healthy", &[]).status == 200);
    let answer = ask();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    drop(open);
    secret(&bench.ground.folder, "web.yml", &user("mon", "sesame"));
    until("a password is asked for", || {
        std::net::TcpStream::connect(address).is_ok() && get_status(address) == 401
    });
    assert_eq!(get(address, "/metrics", &[]).0, 401);
}

/// Who was let in by another judge is not answered, asks again, and is judged.
#[test]
fn a_certificate_counts_only_for_who_judged_it() {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    if !is_here() || !crate::support::openssl::is_here() {
        return;
    }
    let bench = Bench::new(&format!("{TLS}  client_auth_type: RequestClientCert\n"));
    let mut open = std::process::Command::new("openssl")
        .current_dir(bench.ground.folder.path())
        .args([
            "s_client",
            "-quiet",
            "-ign_eof",
            "-no_ticket",
            "-cert",
            "other.pem",
            "-key",
            "other.key",
        ])
        .args(["-connect", &bench.daemon.address().to_string()])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let (mut ask, answers) = (open.stdin.take().unwrap(), open.stdout.take().unwrap());
    let mut answers = BufReader::new(answers);
    ask.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut line = String::new();
    while line != "healthy\n" {
        line.clear();
        assert_ne!(answers.read_line(&mut line).unwrap(), 0);
    }
    secret(&bench.ground.folder, "web.yml", MUTUAL);
    let shown = ["--cert", "client.pem", "--key", "client.key"];
    until("certificates are verified", || bench.curl("/-/healthy", &[]).status == 0);
    assert_eq!(bench.curl("/-/healthy", &shown).status, 200);
    ask.write_all(b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut rest = String::new();
    answers.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    open.wait().unwrap();
    let log = bench.daemon.log();
    assert_eq!(log.iter().filter(|line| line.contains("reloaded: ")).count(), 1, "{log:#?}");
}

/// The status of an answer in clear; 0 where there is none.
fn get_status(address: std::net::SocketAddr) -> u16 {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    let text = String::from_utf8_lossy(&answer).into_owned();
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}
