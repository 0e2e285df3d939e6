//! `egressd check --explain`: the commands that it prints, as they are, and run by a shell against real servers.

use std::process::Command;
use std::sync::Arc;

use egressd::plan::{Given, Plan, commands, commands_text};

use crate::config::{nothing_given, plan};
use crate::support::foreign::At;
use crate::support::ground::Ground;
use crate::support::http::Behaviour as Http;
use crate::support::pki::Authority;
use crate::support::program::{Finished, egressd};
use crate::support::proxy::{Behaviour as Tunnelling, Proxy};
use crate::support::socks::{self, Socks};
use crate::support::squid::{self, Login, PASSWORD, Setup, Squid, USER};
use crate::support::tls::{Behaviour as Tls, TlsServer};

const KEY: &str = "sk-ant-it's$a`secret`";

/// Programs that need not be here.
const ELSEWHERE: &[&str] = &["dig ", "kdig ", "getent ", "nc "];

/// A name and a value.
type Variable<'a> = (&'a str, &'a str);

/// A check with these variables, which are secrets; its text, and the commands in it.
fn explained(ground: &Ground, rest: &str, secrets: &[(&str, &str)]) -> (String, Vec<String>) {
    explained_with(ground, "", rest, (secrets, &[]))
}

/// The same, with further lines of `[trust]`, and variables that are none.
fn explained_with(
    ground: &Ground,
    trust: &str,
    rest: &str,
    (secrets, others): (&[Variable<'_>], &[Variable<'_>]),
) -> (String, Vec<String>) {
    let text = format!("{}{rest}", ground.tables_with("5s", trust));
    let file = ground.folder.write("egressd.toml", &text);
    let mut command = egressd();
    command.args(["check", "--explain", "--config"]).arg(file);
    command.envs(secrets.iter().chain(others).copied());
    let finished = Finished::of(command.output().expect("it runs"));
    for (_, secret) in secrets {
        assert!(!finished.stdout.contains(secret), "{secret} in {}", finished.stdout);
    }
    let hand = finished.stdout.split_once("  The same by hand").expect(&finished.stdout).1;
    let hand = hand.split("\n\n").next().unwrap_or_default();
    let lines = hand.lines().skip(1).map(|line| line.strip_prefix("  ").expect("an indent"));
    (finished.stdout.clone(), lines.map(str::to_owned).collect())
}

/// Runs the lines as one script, as if they were pasted; what they print.
fn pasted(lines: &[String], variables: &[(&str, &str)]) -> String {
    let here = |line: &&String| !ELSEWHERE.iter().any(|program| line.starts_with(program));
    let script: Vec<&str> = lines.iter().filter(here).map(String::as_str).collect();
    let output = Command::new("sh")
        .args(["-ec", &script.join("\n")])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        // What the environment says of proxies is not asked.
        .env("https_proxy", "http://127.0.0.1:9")
        .env("all_proxy", "http://127.0.0.1:9")
        .env("no_proxy", "*")
        .envs(variables.iter().copied())
        .output()
        .expect("sh runs");
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{}\n{out}\n{err}", lines.join("\n"));
    format!("{out}{err}")
}

fn target(url: &str, more: &str) -> String {
    format!("[[target]]\nname = \"api\"\nprovider = \"anthropic\"\nurl = \"{url}\"\n{more}\n")
}

fn by_key() -> Tls {
    Tls::Serve(Http::AnthropicByKey { good: KEY.to_owned() })
}

#[test]
fn the_direct_way_by_hand() {
    let ground = Ground::new();
    let api = ground.server(by_key());
    let url = format!("https://{}/v1/models", api.address());
    let rest = target(&url, "key = { env = \"THE_KEY\" }\nroutes = [\"direct\"]");
    let variables = [("THE_KEY", KEY)];
    let (text, lines) = explained(&ground, &rest, &variables);
    let said = pasted(&lines, &variables);
    // TCP, the handshake, and the request with the key.
    assert_eq!(lines.iter().filter(|line| !line.starts_with('#')).count(), 3, "{text}");
    assert!(said.contains("Verify return code: 0 (ok)") && said.contains("HTTP/2 200"), "{said}");
    let request = api.requests().pop().expect("curl's");
    assert_eq!(request.header("x-api-key"), Some(KEY));
    assert_eq!(request.header("anthropic-version"), Some("2023-06-01"));

    // What a check finds is found by hand, too.
    let stranger = Authority::new("Stranger").leaf(&["127.0.0.1"]);
    let other = TlsServer::start(&Arc::new(stranger), by_key());
    let url = format!("https://{}/v1/models", other.address());
    let (_, lines) = explained(&ground, &target(&url, "routes = [\"direct\"]"), &[]);
    for program in ["openssl", "curl -sS -v --noproxy '*' --max-time 5 --cacert"] {
        let line = lines.iter().find(|line| line.starts_with(program)).expect(program);
        let output = Command::new("sh").args(["-c", line]).output().expect("sh runs");
        assert!(!output.status.success(), "{line}");
    }
}

#[test]
fn a_name_its_addresses_and_two_files_of_roots_by_hand() {
    let ground = Ground::new();
    let leaf = Arc::new(ground.authority.leaf(&["localhost"]));
    let api = TlsServer::start(&leaf, by_key());
    ground.folder.write("it's ours.pem", &Authority::new("Ours").pem());
    let ours = ground.folder.path().join("it's ours.pem");
    let url = format!("https://localhost:{}/v1/models?limit=1", api.address().port());
    let clients = Authority::new("Test Clients").leaf(&["one.test"]);
    let certificate = ground.folder.write("a:b.pem", clients.chain_pem());
    let rest = format!(
        "[[route]]\nname = \"here\"\nsource = \"127.0.0.1\"\n{}client_cert = {{ certificate = \"{}\", \
         key = {{ env = \"PEM\" }} }}\n",
        target(&url, "routes = [\"here\"]"),
        certificate.display()
    );
    let rest = format!("{rest}\n[dns]\nservers = [\"127.0.0.1:9\"]\n");
    let trust = format!("ca_files = [\"{}\"]", ours.display());
    let pem = clients.key_pem();
    let (text, lines) = explained_with(&ground, &trust, &rest, (&[("PEM", &pem)], &[]));
    assert!(!text.contains("PRIVATE KEY"), "{text}");
    assert!(lines.iter().any(|line| line.contains("--resolve localhost:")), "{text}");
    let said = pasted(&lines, &[("PEM", &pem)]);
    assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
    let requests = api.requests();
    // Once by egressd, once by name, once by address.
    assert_eq!(requests.len(), 3, "{text}");
    assert!(requests.iter().all(|request| request.path == "/v1/models?limit=1"), "{requests:?}");
}

#[test]
fn a_request_of_its_own_by_hand() {
    let ground = Ground::new();
    let answer = Http::Answer { status: 200, headers: Vec::new(), body: b"{}".to_vec() };
    let api = ground.server(Tls::Serve(answer));
    let url = format!("https://{}/", api.address());
    let body = "{\"it's\": \"100% $a `b`\",\n \"c\": \"\u{e9}\\\\\"}";
    let variables = [("TWO", "two $of 'them'"), ("BODY", body)];
    for written in [format!("'''{body}'''"), "{ env = \"BODY\" }".to_owned()] {
        let request = format!(
            "[[target]]\nname = \"api\"\nurl = \"{url}\"\nroutes = [\"direct\"]\n[target.request]\n\
             path = \"/v1/x?limit=1&page={{2}}\"\nbody = {written}\n\
             headers = {{ X-One = \"it's one\", X-Two = {{ env = \"TWO\" }} }}\n"
        );
        let (text, lines) =
            explained_with(&ground, "", &request, (&variables[..1], &variables[1..]));
        assert!(!text.contains("it's\": "), "what is in a body is not printed: {text}");
        ground.folder.write("BODY", body);
        let there = format!("cd '{}'", ground.folder.path().display());
        pasted(&[vec![there], lines].concat(), &variables);
        let requests = api.requests();
        let [.., ours, theirs] = &requests[..] else { panic!("two requests") };
        assert_eq!((&ours.method, &ours.path), (&theirs.method, &theirs.path));
        assert_eq!((ours.method.as_str(), ours.path.as_str()), ("POST", "/v1/x?limit=1&page={2}"));
        for name in ["x-one", "x-two", "content-type"] {
            assert_eq!(ours.header(name), theirs.header(name), "{text}");
        }
        assert_eq!([&ours.body, &theirs.body], [body.as_bytes(); 2], "{text}");
    }
}

#[test]
fn proxies_and_their_logins_by_hand() {
    let ground = Ground::new();
    let api = ground.server(by_key());
    let url = format!("https://{}/v1/models", api.address());
    let password = ground.folder.write("it's a password", "open sesame\n");
    let accepts = Some("Basic d2FsdGVyOm9wZW4gc2VzYW1l".to_owned());
    let behaviour = Tunnelling::AuthRequired { accepts };
    let proxy = Proxy::start(behaviour, &[("127.0.0.1", api.address())]);
    let auth = format!(
        "auth = {{ scheme = \"basic\", username = \"walter\", password = {{ file = \"{}\" }} }}\n\
         connect_headers = {{ X-Team = \"a token\" }}\n",
        password.display()
    );
    let route =
        |url: &str, auth: &str| format!("[[route]]\nname = \"out\"\nproxy = \"{url}\"\n{auth}");
    let keyed = target(&url, "key = { env = \"THE_KEY\" }\nroutes = [\"out\"]");
    let variables = [("THE_KEY", KEY), ("X_TEAM", "a token"), ("PW", PASSWORD)];
    let rest = format!("{}{keyed}", route(&format!("http://{}", proxy.address()), &auth));
    let (text, lines) = explained(&ground, &rest, &variables);
    let said = pasted(&lines, &variables);
    assert!(said.contains("Verify return code: 0 (ok)") && said.contains("HTTP/2 200"), "{said}");
    assert_eq!(lines.iter().filter(|line| !line.starts_with('#')).count(), 4, "{text}");
    let connects = proxy.connects();
    let last = connects.last().expect("curl's");
    assert_eq!(last.header("x-team"), Some("a token"));

    if socks::are_both_here() {
        let socks = Socks::microsocks(At::Loopback, Some(("walter", "open sesame")));
        let auth =
            "auth = { scheme = \"basic\", username = \"walter\", password = { env = \"PW\" } }\n";
        for scheme in ["socks5", "socks5h"] {
            let rest =
                format!("{}{keyed}", route(&format!("{scheme}://{}", socks.address()), auth));
            let (_, lines) = explained(&ground, &rest, &variables);
            let said = pasted(&lines, &variables);
            assert!(said.contains("HTTP/2 200"), "{said}");
        }
    }
    if squid::is_here() {
        let leaf = ground.authority.leaf(&["127.0.0.1"]);
        let squid = Squid::start(&Setup {
            logins: &[Login::Digest],
            leaf: Some(&leaf),
            ..Setup::default()
        });
        let auth = format!(
            "auth = {{ scheme = \"digest\", username = \"{USER}\", password = {{ env = \"PW\" }} }}\n"
        );
        let rest = format!("{}{keyed}", route(&format!("https://{}", squid.address()), &auth));
        let (_, lines) = explained(&ground, &rest, &variables);
        let said = pasted(&lines, &variables);
        assert!(said.contains("HTTP/2 200"), "{said}");
    }
}

/// The commands of the only target along a route.
fn printed(plan: &Plan, route: &str) -> String {
    let target = &plan.targets[0];
    let used = target.routes.iter().find(|used| used.route.name == route).expect("the route");
    commands_text(&commands(plan, target, &used.route, None))
}

fn built(text: &str, given: &Given) -> Plan {
    plan(text, given).unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[test]
fn every_kind_of_server_route_and_login_is_written_so() {
    let text = std::fs::read_to_string("tests/by_hand/all.toml").unwrap();
    let mut given = nothing_given();
    let pem = Authority::new("Example").pem().into_bytes();
    for file in ["/etc/ca one.pem", "/etc/ca.pem", "/etc/client.pem"] {
        given.files.insert(file.into(), Ok(pem.clone()));
    }
    let variables =
        [("https_proxy".to_owned(), "http://a-token:pw-of-env@proxy.test:8080".to_owned())];
    given.proxies = egressd::plan::ProxyVariables::new(variables);
    let plan = built(&text, &given);
    let mut all = String::new();
    for used in &plan.targets[0].routes {
        all.push_str(&format!("{}\n{}\n", used.route.name, printed(&plan, &used.route.name)));
    }
    for secret in ["a-token", "pw-of-env", "header-token"] {
        assert!(!all.contains(secret), "{all}");
    }
    let expected = std::fs::read_to_string("tests/by_hand/all.txt").unwrap_or_default();
    assert!(all == expected, "tests/by_hand/all.txt is not\n{all}");
}

#[test]
fn what_is_not_text_has_no_commands() {
    let ground = Ground::new();
    let api = ground.server(by_key());
    let url = format!("https://{}/v1/models", api.address());
    let file =
        ground.folder.write("egressd.toml", &format!("{}{}", ground.tables(), target(&url, "")));
    let with = |more: &[&str]| {
        let mut command = egressd();
        command.args(["check", "--format", "json", "--config"]).arg(&file).args(more);
        Finished::of(command.output().expect("it runs"))
    };
    let document = with(&["--explain"]).stdout;
    assert!(document.starts_with('{') && !document.contains("curl"), "{document}");
}
