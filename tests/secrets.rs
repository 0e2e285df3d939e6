//! No secret is in any output: one of each kind that a configuration can hold is planted, everything that can be
//! printed is printed, also while peers say back what they were told, and all of it is searched.

mod printed;
mod refused;
mod words;
mod world;

use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

use data_encoding::{BASE64, HEXLOWER};

use crate::support::ground::Ground;
use crate::support::http::Behaviour as Http;
use crate::support::program::{Daemon, get, until};
use crate::support::tls::Behaviour as Tls;
use world::World;

/// What every planted value begins with; with the byte before it in each place of a group of base64.
const MARK: &str = "planted-";
const ANTHROPIC: &str = "planted-anthropic-31f7";
const OPENAI: &str = "planted-openai-52c8";
const GEMINI: &str = "planted-gemini-77d0";
const AZURE: &str = "planted-azure-81e4";
const BEDROCK: &str = "planted-bedrock-93a2";
const BASIC: &str = "planted-basic-14b6";
const DIGEST: &str = "planted-digest-25c9";
const GIVEN: &str = "planted-given-36d1";
const NTLM: &str = "planted-ntlm-58f4";
const WEB: &str = "planted-web-62d5";
const PROBE: &str = "planted-probe-73e6";
const PAC: &str = "planted-pac-47e3";
const COOKIE: &str = "planted-cookie-69a7";
const BODY: &str = "planted-body-70b8";

/// The forms in which a text could have it.
fn forms() -> Vec<String> {
    let mut forms = vec![
        MARK.to_owned(),
        HEXLOWER.encode(MARK.as_bytes()),
        "planted%2D".to_ascii_lowercase(),
        r"planted\x2d".to_owned(),
    ];
    for before in ["", "x", "xy"] {
        let encoded = BASE64.encode(format!("{before}{MARK}").as_bytes());
        // Letters that hold bits of a neighbour are none of its own.
        let inside = &encoded[(before.len() * 8).div_ceil(6)..(before.len() + MARK.len()) * 8 / 6];
        forms.push(inside.to_ascii_lowercase());
    }
    forms
}

/// The lines that have a planted value in them.
fn leaks<'a>(text: &'a str, forms: &[String]) -> Vec<&'a str> {
    let has = |line: &&str| {
        let line = line.to_ascii_lowercase();
        forms.iter().any(|form| line.contains(form.as_str()))
    };
    text.lines().filter(has).collect()
}

#[track_caller]
fn none_leaks(what: &str, text: &str) {
    let found = leaks(text, &forms());
    let shown: Vec<String> =
        found.iter().take(8).map(|line| line.chars().take(300).collect()).collect();
    assert!(found.is_empty(), "{what}: {shown:#?}");
}

#[test]
fn the_search_finds_what_is_there() {
    let forms = forms();
    for before in ["", "a", "ab", "abc"] {
        let encoded = BASE64.encode(format!("{before}{BASIC}").as_bytes());
        assert_eq!(leaks(&format!("a\nb {encoded} c"), &forms).len(), 1, "{encoded}");
    }
    let (hex, upper) = (HEXLOWER.encode(BASIC.as_bytes()), BASIC.to_ascii_uppercase());
    assert_eq!(leaks(&format!("{hex}\n{upper}\nplanted%2Dx"), &forms).len(), 3);
    assert_eq!(leaks("planted\nplant-ed", &forms), [""; 0]);
}

#[test]
fn the_daemon_tells_none() {
    let world = World::new();
    let file = world.write("text");
    let daemon = Daemon::start_with(&world.ground.folder, Path::new(&file), |command| {
        world.with_secrets(command)
    });
    daemon.wait_until_ready();
    daemon.wait_for("good via direct: works");
    none_leaks("what systemd is told", &daemon.notification());
    none_leaks("what systemd is told", &daemon.notification());
    let pushed = world.alertmanager.wait_for_request(|request| request.body.len() > 2);
    for request in pushed {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        none_leaks("an alert", &format!("{} {:?} {body}", request.path, request.headers));
    }
    let openmetrics = ("Accept", "application/openmetrics-text;version=1.0.0");
    none_leaks("OpenMetrics", &get(daemon.address(), "/metrics", &[openmetrics]).1);
    for path in ["/", "/metrics", "/api/v1/status", "/-/ready", "/probe?target=x", "/nothing"] {
        none_leaks(path, &daemon.get(path).1);
    }
    // Its children, too, are nobody's to read a key from.
    for pid in [daemon.pid()].into_iter().chain(children(daemon.pid())) {
        let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        none_leaks("a command line", &String::from_utf8_lossy(&read("cmdline")));
        if pid != daemon.pid() {
            none_leaks("a child's environment", &String::from_utf8_lossy(&read("environ")));
        }
    }
    world.write("json");
    daemon.signal("HUP");
    daemon.wait_for("{\"timestamp\":");
    let before = daemon.log().len();
    until("more is logged", || daemon.log().len() > before + 500);
    let log = daemon.log();
    assert!(log.iter().any(|line| line.contains("TRACE h2")), "libraries are heard");
    none_leaks("the log", &log.join("\n"));
    until("the state is kept", || world.folder().join("state.json").exists());
    daemon.stop();
    let state = std::fs::read_to_string(world.folder().join("state.json")).expect("it is kept");
    none_leaks("the state", &state);
    told_to_peers(&world);
}

/// What clients of the web port say of themselves, and what modules of `/probe` say to targets that say it back.
#[test]
fn the_web_port_and_its_probes_tell_none() {
    let world = World::new();
    let folder = &world.ground.folder;
    let secret = |name: &str, text: &str| {
        let path = folder.write(name, text);
        let own = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, own).expect("our own");
    };
    let hash = bcrypt::hash(WEB, 4).expect("a hash");
    secret("web.yml", &format!("basic_auth_users:\n  mon: \"{hash}\"\n"));
    let said = format!(
        "{{\"type\":\"error\",\"error\":{{\"type\":\"authentication_error\",\"message\":\"You said {PROBE}, didn't you?\"}}}}"
    );
    let told = Http::Answer {
        status: 401,
        headers: vec![("content-type", "application/json".to_owned())],
        body: said.into_bytes(),
    };
    let told = world.ground.server(Tls::Serve(told));
    let port = told.address().port();
    secret(
        "blackbox.yml",
        &format!(
            "egressd: {{ hosts: [\"127.0.0.1\"], networks: [127.0.0.0/8], ports: [{port}] }}\nmodules:\n  login:\n    \
             prober: http\n    timeout: 5s\n    http:\n      preferred_ip_protocol: ip4\n      \
             basic_auth: {{ username: svc, password: {PROBE} }}\n      headers: {{ X-Api-Key: {PROBE} }}\n      \
             fail_if_body_not_matches_regexp: [\"plante[d].probe\"]\n"
        ),
    );
    let here = folder.path().display();
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nweb_config_file = \"{here}/web.yml\"\n\
         blackbox_modules = \"{here}/blackbox.yml\"\n[log]\nformat = \"json\"\nfilter = \"trace\"\n{}\
         [[target]]\nname = \"a\"\nprovider = \"anthropic\"\nurl = \"https://{}/\"\n",
        world.ground.tables(),
        told.address(),
    );
    let daemon = Daemon::start(folder, &folder.write("web.toml", &text));
    let basic = |both: String| format!("Basic {}", BASE64.encode(both.as_bytes()));
    let (right, wrong) = (basic(format!("mon:{WEB}")), basic(format!("mon:{WEB}x")));
    let ask = |path: &str, login: &str| get(daemon.address(), path, &[("Authorization", login)]);
    assert_eq!(ask("/", &right).0, 200);
    let probe = format!("/probe?module=login&target=https://127.0.0.1:{port}/&debug=true");
    // The expression is held against what was on the wire: there the password stands.
    let (status, text) = ask(&probe, &right);
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("\nprobe_failed_due_to_regex 0\n"), "{text}");
    let login = basic(format!("svc:{PROBE}"));
    assert!(told.requests().iter().any(|asked| asked.header("authorization") == Some(&login)));
    none_leaks("a probe", &text);
    // A peer that learned it there may say it in a check.
    let status = || ask("/api/v1/status", &right).1;
    until("a check was told it back", || status().contains("You said [secret], didn't"));
    for path in ["/", "/metrics", "/api/v1/status", "/probe?module=login&target=x", "/nothing"] {
        for login in [&right, &wrong, &format!("Bearer {WEB}")] {
            none_leaks(path, &ask(path, login).1);
        }
    }
    let log = daemon.log().join("\n");
    assert!(log.contains("\"level\":\"trace\""), "libraries are heard");
    none_leaks("the log", &log);
    assert!(!log.contains(&hash) && !ask("/api/v1/status", &right).1.contains(&hash));
}

/// They were in use, by the peers' own word.
#[track_caller]
fn told_to_peers(world: &World) {
    let received = world.received();
    for secret in [ANTHROPIC, OPENAI, GEMINI, AZURE, BEDROCK, BODY] {
        assert!(received.contains(secret), "{secret} was sent");
    }
    for secret in [BASIC, GIVEN, PAC] {
        let login = BASE64.encode(format!("svc:{secret}").as_bytes());
        assert!(received.contains(&login), "{secret} was sent");
    }
    assert!(leaks(&received, &forms()).len() > 10);
}

#[test]
fn no_command_tells_any() {
    let world = World::new();
    let file = world.write("text");
    let rows: &[&[&str]] = &[
        &["check", "--config", &file],
        &["check", "--config", &file, "--format", "json"],
        &["check", "--config", &file, "--format", "nagios"],
        &["check", "--config", &file, "--explain"],
        &["config", "check", &file],
        &["lint", "--config", &file],
        &["lint", "--config", &file, "--format", "json"],
    ];
    for arguments in rows {
        let finished = world.run(arguments);
        assert_ne!(finished.stdout, "", "{arguments:?}: {}", finished.stderr);
        none_leaks(&format!("{arguments:?}"), &format!("{}{}", finished.stdout, finished.stderr));
    }
    // The plan says what is sent, where to and with which query: who wrote it reads it.
    let plan = world.run(&["config", "check", &file, "--plan"]);
    none_leaks("the plan", &format!("{}{}", plan.stdout, plan.stderr));
    told_to_peers(&world);
}

/// The processes that a process started.
fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn a_pasted_command_line_is_judged_without_its_key() {
    let world = World::new();
    let line = format!(
        "curl https://u:{BASIC}@{}/v1/models -H 'x-api-key: {ANTHROPIC}' -H 'Cookie: a={COOKIE}' \
         -x http://u:{GIVEN}@127.0.0.1:9 -d '{{\"k\":\"{BODY}\"}}'",
        world.echo.address()
    );
    for command in ["lint", "check"] {
        for format in ["text", "json"] {
            let finished = world.run(&[command, "--curl", &line, "--format", format]);
            none_leaks(command, &format!("{}{}", finished.stdout, finished.stderr));
        }
    }
}

/// Whose `/proc` says a command's memory is, once it has said a word: its user's where the kernel may dump it, else
/// root's (`proc_pid(5)`), whatever this machine does with core files. It is not root that runs it.
fn owner(program: &Path, arguments: &[&str]) -> u32 {
    let mut command = match user() {
        0 => Command::new("setpriv"),
        _ => Command::new("env"),
    };
    if user() == 0 {
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    }
    let mut child =
        command.arg(program).args(arguments).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut word = [0_u8; 1];
    child.stderr.take().expect("it was piped").read_exact(&mut word).expect("it says something");
    let memory = std::fs::metadata(format!("/proc/{}/mem", child.id())).expect("it runs");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    memory.uid()
}

/// Who runs the tests.
fn user() -> u32 {
    std::fs::metadata("/proc/self/stat").expect("it is there").uid()
}

#[test]
fn no_core_file_is_written() {
    let ground = Ground::new();
    let folder = ground.folder.path();
    let file = ground.config("[server]\nlisten = \"127.0.0.1:0\"\n");
    let program = folder.join("egressd");
    std::fs::copy(env!("CARGO_BIN_EXE_egressd"), &program).expect("a copy");
    for path in [folder, &program] {
        let everybody = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(path, everybody).expect("our own");
    }
    let anybody = if user() == 0 { 65534 } else { user() };
    let other = owner(Path::new("/bin/bash"), &["-c", "echo ready >&2; exec sleep 60"]);
    assert_eq!(other, anybody, "another program's is its user's");
    assert_eq!(owner(&program, &["run", "--config", &file]), 0);
}
