//! A modules file that is wrong, or asks for what is not done: all of it is named, with its place and the way out.

use crate::support::ground::Ground;
use crate::support::program::{Finished, run};

pub(super) fn check(modules: &str) -> (Finished, String) {
    check_with(modules, &[])
}

fn check_with(modules: &str, more: &[&str]) -> (Finished, String) {
    let ground = Ground::new();
    let file = ground.folder.write("modules.yml", modules);
    let text = format!(
        "[server]\nblackbox_modules = \"{}\"\n{}[[target]]\nname = \"c\"\nurl = \"https://{}/\"\n",
        file.display(),
        ground.tables(),
        ground.control.address(),
    );
    let config = ground.folder.write("egressd.toml", &text);
    let config = config.display().to_string();
    let finished = run(&[&["config", "check", config.as_str()][..], more].concat());
    let said = finished.stderr.replace(&file.display().to_string(), "FILE");
    (finished, said)
}

#[test]
fn what_a_terminal_would_obey_is_escaped() {
    let modules = "\
modules:
  \"a\\e[2Jb\\u202ec\\nd\":
    prober: http
    egressd: { hosts: [\"\\e[31mx\"] }
  \"\\e[1m\":
    prober: http
";
    let (finished, said) = check_with(modules, &["--plan"]);
    assert_eq!(finished.code, 0, "{said}");
    let plain = |c: char| !c.is_control() && c != '\u{202e}';
    for out in [&finished.stdout, &finished.stderr] {
        assert!(out.lines().all(|line| line.chars().all(plain)), "{out:?}");
    }
    assert!(said.contains("module `\\u{1b}[1m` names no hosts"), "{said}");
    let line = "  a\\u{1b}[2Jb\\u{202e}c\\nd: GET to \\u{1b}[31mx · ";
    assert!(finished.stdout.contains(line), "{}", finished.stdout);
}

/// BC01.
#[test]
fn what_is_wrong_is_named_all_at_once() {
    let text = "\
egressd: { hosts: [a.test], port: [1] }
modules:
  one:
    prober: http
    timeout: 5
    http:
      valid_status_code: [200]
      fail_if_body_matches_regexp: [\"(\"]
      body: a
      body_file: /nowhere
      preferred_ip_protocol: ip5
      fail_if_ssl: maybe
  two:
    prober: carrier_pigeon
  three:
    prober: http
    http:
      bearer_token: a
      bearer_token_file: /b
      headers: { \"bad name\": x }
";
    let (finished, said) = check(text);
    assert_eq!(finished.code, 78);
    let expected = "\
FILE:1:29: unknown key `port`
    did you mean `ports`?
FILE:5:14: `5` is no time
    write a number with its unit: 5s
FILE:7:7: unknown key `valid_status_code`
    did you mean `valid_status_codes`?
FILE:8:37: this is no regular expression: error: unclosed group
    correct it
FILE:10:18: /nowhere cannot be read: No such file or directory (os error 2)
    correct the path, or its permissions
FILE:10:18: `body` and `body_file` are both given
    take one of them out
FILE:11:30: `ip5` is no protocol
    write ip4 or ip6
FILE:12:20: this is neither true nor false
    write true or false
FILE:14:13: `carrier_pigeon` is no prober
    write http
FILE:19:26: two logins are given
    take one of them out
FILE:20:30: `bad name` cannot be sent as a header
    write printable characters on one line
";
    assert_eq!(said, expected, "{said}");
}

/// What a proxy is told is a header too, and none may carry a second one.
#[test]
fn what_cannot_be_a_header_is_named() {
    let text = "\
egressd: { hosts: [a.test] }
modules:
  one:
    prober: http
    http:
      proxy_url: http://proxy.test:3128
      proxy_connect_header: { X-Team: [\"planted\\r\\nX-Other: 1\"], \"X:\\r\\n\": [a] }
      headers: { Content-Length: 5 }
      http_headers: { \"bad name\": { files: [/token] } }
";
    let (finished, said) = check(text);
    assert_eq!(finished.code, 78);
    let expected = "\
FILE:7:39: `X-Team` cannot be sent as a header
    write printable characters on one line
FILE:7:76: `X:\\r\\n` cannot be sent as a header
    write printable characters on one line
FILE:8:34: `Content-Length` follows from the body
    take it out
FILE:9:35: `bad name` cannot be sent as a header
    write printable characters on one line
";
    assert_eq!(said, expected, "{said}");
}

#[test]
fn what_is_not_done_is_named_and_its_module_refused() {
    let text = "\
egressd: { hosts: [a.test] }
modules:
  tcp_connect: { prober: tcp }
  packed:
    prober: http
    http: { compression: gzip, enable_http3: true, oauth2: { client_id: a } }
  any:
    prober: http
    http:
      follow_redirects: true
      tls_config: { insecure_skip_verify: true, min_version: TLS13 }
      basic_auth: { username: a, password: b }
  nothing:
    prober: http
    egressd: { hosts: [] }
";
    let (finished, said) = check(text);
    assert_eq!(finished.code, 0, "{said}");
    let lines: Vec<&str> = said.lines().filter(|line| line.starts_with("FILE")).collect();
    let expected = [
        "FILE:3:26: warning: `prober: tcp` is not supported: only http is done here; this module is refused",
        "FILE:6:26: warning: `compression` is not supported: answers are read as they come; this module is refused",
        "FILE:6:46: warning: `enable_http3` is not supported: HTTP/3 is not spoken here; this module is refused",
        "FILE:6:60: warning: `oauth2` is not supported: no token is fetched here; this module is refused",
        "FILE:10:25: warning: redirects are not followed: a 3xx is a failure unless valid_status_codes has it",
        "FILE:11:19: warning: `insecure_skip_verify` is not supported: a secret goes only over a chain that verifies; this module is refused",
        "FILE:11:62: warning: `min_version: TLS13` is not supported: TLS 1.2 and 1.3 are offered here; this module is refused",
        "FILE:14:5: warning: module `nothing` names no hosts: every probe by it is refused",
    ];
    assert_eq!(lines, expected, "{said}");
}

/// What multiplies, nests or never ends is refused in a moment.
#[test]
fn a_hostile_file_is_refused() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, of) in
        ["b", "c", "d", "e", "f", "g", "h"].iter().zip(["a", "b", "c", "d", "e", "f", "g"])
    {
        bomb.push_str(&format!(
            "{name}: &{name} [*{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}]\n"
        ));
    }
    let rows = [
        bomb,
        "[".repeat(100_000),
        format!("modules: {{ a: \"{}\" }}", "x".repeat(300_000)),
        "\u{0}\u{1}".into(),
        "modules: [".into(),
        "- a\n- b\n".into(),
    ];
    for text in rows {
        let (finished, said) = check(&text);
        assert_ne!(finished.code, 0, "{said}");
        assert!(
            said.len() < 1000 && !said.contains("panicked"),
            "{}",
            &said[..said.len().min(1000)]
        );
    }
}

/// What may be asked is part of what may be sent.
#[test]
fn the_plan_says_what_modules_may_reach() {
    let text = "\
modules:
  open:
    prober: http
    egressd: { hosts: [a.test, \"*.b.test\"], networks: [10.0.0.0/8] }
  proxied:
    prober: http
    http: { method: POST, proxy_url: http://user:password@proxy.test:3128 }
    egressd: { hosts: [a.test], ports: [8443] }
  tcp_connect: { prober: tcp }
";
    let (finished, _) = check_with(text, &["--plan"]);
    let expected = "
/probe: a request for each scrape by a module, at most 4 at once
  open: GET to a.test, *.b.test · ports 80, 443 · public addresses, 10.0.0.0/8 · direct
  proxied: POST to a.test · ports 8443 · public addresses · proxy.test:3128
  tcp_connect: nothing, every probe is refused
";
    assert!(finished.stdout.ends_with(expected), "{}", finished.stdout);
}

/// BC02: a file that is wrong leaves the old modules in force.
#[test]
fn modules_are_read_again_and_a_broken_file_changes_nothing() {
    let ground = Ground::new();
    let port = ground.control.address().port();
    let folder = ground.folder.path().to_owned();
    let file = folder.join("blackbox.yml");
    let bench = super::Bench::on(ground, &[port], &[("old", "")], "");
    let target = format!("https://localhost:{port}/");
    assert!(bench.probe("old", &target).success());
    std::fs::write(&file, "modules: [").unwrap();
    bench.daemon.signal("HUP");
    bench.daemon.wait_for("the old plan stays in force");
    assert!(bench.probe("old", &target).success());
    let (_, metrics) = bench.daemon.get("/metrics");
    assert!(metrics.contains("\negressd_config_last_reload_successful 0\n"), "{metrics}");
    std::fs::write(&file, super::text(&[port], &[("new", "")])).unwrap();
    bench.daemon.signal("HUP");
    bench.daemon.wait_for("reloaded");
    assert!(bench.probe("new", &target).success());
    assert_eq!(bench.probe("old", &target).status, 400);
}
