//! Routes of a PAC file, by the real binary: what is asked of it, which proxy is taken, and what is said of a
//! file that gives none.

use serde_json::Value;

use crate::support::dns::{Behaviour as Answering, DnsServer, Zone};
use crate::support::ground::Ground;
use crate::support::http::{Behaviour as Http, HttpServer};
use crate::support::program::{Finished, run};
use crate::support::proxy::{Behaviour, Proxy};
use crate::support::tcp::ClosedPort;
use crate::support::tls::{Behaviour as Tls, TlsServer};

struct World {
    ground: Ground,
    api: TlsServer,
    proxy: Proxy,
}

/// What a check said of its only route.
struct Said {
    code: i32,
    check: Value,
    finished: Finished,
}

impl Said {
    /// Status, cause, party, confidence.
    fn verdict(&self) -> [&str; 4] {
        ["status", "cause", "party", "confidence"]
            .map(|key| self.check[key].as_str().unwrap_or("none"))
    }

    fn pac(&self) -> &Value {
        &self.check["observed"]["pac"]
    }
}

impl World {
    fn new(behaviour: Behaviour) -> Self {
        let ground = Ground::new();
        let api = ground.server(Tls::Serve(Http::AnthropicUnauthorized));
        let proxy = Proxy::start(behaviour, &[("localhost", ground.control.address())]);
        Self { ground, api, proxy }
    }

    /// One check over a route of this PAC URL.
    fn check(&self, url: &str, beside: &str) -> Said {
        self.check_within(url, beside, "20s")
    }

    fn check_within(&self, url: &str, beside: &str, timeout: &str) -> Said {
        let text = format!(
            "{}[[route]]\nname = \"auto\"\nproxy = \"pac+{url}\"\n{beside}\n\
             [[target]]\nname = \"api\"\nurl = \"https://{}/v1/models?team=x\"\nroutes = [\"auto\"]\n",
            self.ground
                .tables()
                .replace("timeout = \"1s\"", &format!("timeout = \"{timeout}\""))
                .replace("interval = \"1s\"", "interval = \"1m\""),
            self.api.address()
        );
        let file = self.ground.folder.write("egressd.toml", &text).display().to_string();
        let finished = run(&["check", "--config", &file, "--format", "json"]);
        let document: Value = serde_json::from_str(&finished.stdout)
            .unwrap_or_else(|_| panic!("{}{}", finished.stdout, finished.stderr));
        Said { code: finished.code, check: document["checks"][0].clone(), finished }
    }

    /// The same with the script in a file.
    fn script(&self, script: &str, beside: &str) -> Said {
        let path = self.ground.folder.write("proxy.pac", script);
        self.check(&format!("file://{}", path.display()), beside)
    }

    fn body(&self, body: &str) -> Said {
        self.script(&format!("function FindProxyForURL(url, host) {{ {body} }}"), "")
    }
}

fn served(script: &str, headers: Vec<(&'static str, String)>) -> Http {
    Http::Answer { status: 200, headers, body: script.as_bytes().to_vec() }
}

#[test]
fn the_file_chooses_the_proxy_and_is_told_no_path() {
    let world = World::new(Behaviour::Tunnel);
    let (proxy, api) = (world.proxy.address(), world.api.address());
    let said = world.body(&format!(
        "if (url !== 'https://{api}/') return 'PROXY wrong:1';
         return isInNet(host, '127.0.0.0', '255.0.0.0') ? 'PROXY {proxy}' : 'DIRECT';"
    ));
    assert_eq!((said.code, said.verdict()[0]), (0, "ok"), "{}", said.finished.stdout);
    assert_eq!(said.pac()["chosen"], proxy.to_string());
    assert_eq!(said.pac()["answer"], format!("PROXY {proxy}"));
    let asked: Vec<String> =
        world.proxy.connects().into_iter().map(|connect| connect.target).collect();
    assert_eq!(asked, [api.to_string()]);
}

#[test]
fn the_file_may_say_direct() {
    let world = World::new(Behaviour::Tunnel);
    let said = world.body("return 'DIRECT'");
    assert_eq!(said.verdict()[0], "ok");
    assert_eq!(said.pac()["chosen"], "DIRECT");
    assert!(world.proxy.connects().is_empty());
}

#[test]
fn the_file_comes_over_https_from_whom_the_roots_know() {
    let world = World::new(Behaviour::Tunnel);
    let script = format!(
        "function FindProxyForURL(url, host) {{ return 'PROXY {}' }} // gr\u{fc}n",
        world.proxy.address()
    );
    let latin: Vec<u8> = script.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let answer = Http::Answer { status: 200, headers: Vec::new(), body: latin };
    let server = world.ground.server(Tls::Serve(answer));
    let said = world.check(&format!("https://{}/proxy.pac?token=1", server.address()), "");
    assert_eq!(said.verdict()[0], "ok", "{}", said.finished.stdout);
    assert_eq!(said.pac()["url"], format!("https://{}/proxy.pac", server.address()));
    assert_eq!(world.proxy.connects().len(), 1);
    assert_eq!(server.requests()[0].path, "/proxy.pac?token=1");
}

#[test]
fn a_file_that_cannot_be_had_is_a_finding() {
    let world = World::new(Behaviour::Tunnel);
    let gone = world.check("file:///nonexistent/proxy.pac", "");
    assert_eq!(gone.verdict(), ["broken", "pac_unavailable", "client", "high"]);
    let server = HttpServer::start(Http::Answer { status: 404, headers: vec![], body: vec![] });
    let insecure = "insecure_pac = true";
    let url = format!("http://{}/proxy.pac", server.address());
    let missing = world.check(&url, insecure);
    assert_eq!(missing.verdict(), ["broken", "pac_unavailable", "client", "high"]);
    let closed = ClosedPort::hold();
    let refused = world.check(&format!("http://{}/proxy.pac", closed.address()), insecure);
    assert_eq!(refused.verdict(), ["broken", "pac_unavailable", "undetermined", "low"]);
    let failure = &refused.pac()["stop"]["unavailable"]["failure"]["tcp"]["kind"];
    assert_eq!(failure, "refused");
    assert!(world.api.connections().is_empty() && world.proxy.connects().is_empty());
}

#[test]
fn a_file_that_gives_no_way_is_a_finding_with_its_place() {
    let world = World::new(Behaviour::Tunnel);
    let rows = [
        ("function FindProxyForURL(url, host) {\n  return 'DIRECT'\n", "line 3, column"),
        ("var x = 1;", "it has no function FindProxyForURL"),
        ("function FindProxyForURL() { for (;;); }", "it takes too long"),
        ("function FindProxyForURL() { var a = []; for (;;) a.push(new Array(9999)) }", "memory"),
        ("function FindProxyForURL() { return null }", "null"),
        ("function FindProxyForURL() { return 'go away' }", "names no way: go away"),
        ("function FindProxyForURL() { return 'SOCKS old:1080' }", "none of its ways is spoken"),
        ("function FindProxyForURL() {\n throw new Error('no') }", "line 2"),
        ("\u{0}\u{1}\u{2}", "line 1"),
    ];
    for (script, expected) in rows {
        let said = world.script(script, "");
        assert_eq!(said.verdict(), ["broken", "pac_invalid", "client", "high"], "{script}");
        let detail = said.pac()["stop"]["invalid"].as_str().unwrap_or_default();
        assert!(detail.contains(expected), "{script}: {detail}");
    }
    assert!(world.api.connections().is_empty());
}

/// A file whose look-ups are not answered is not at fault itself.
#[test]
fn a_file_that_waits_for_a_name_is_not_called_faulty() {
    let world = World::new(Behaviour::Tunnel);
    let silent = DnsServer::start(Zone::new());
    silent.set("silent.test", Answering::Silent);
    let path = world.ground.folder.write(
        "proxy.pac",
        "function FindProxyForURL() { return dnsResolve('silent.test') || 'DIRECT' }",
    );
    let beside = format!("[dns]\nservers = [\"{}\"]", silent.address());
    // The look-up alone takes longer than the file has.
    let said = world.check_within(&format!("file://{}", path.display()), &beside, "2s");
    assert_eq!(said.verdict(), ["broken", "pac_invalid", "undetermined", "low"]);
    assert!(said.pac()["stop"]["undecided"].is_string(), "{}", said.pac());
}

#[test]
fn a_file_without_end_is_cut() {
    let world = World::new(Behaviour::Tunnel);
    let server = HttpServer::start(Http::EndlessBody);
    let said = world.check(&format!("http://{}/p", server.address()), "insecure_pac = true");
    assert_eq!(said.verdict(), ["broken", "pac_invalid", "client", "high"]);
    let connection = &server.wait_closed(1)[0];
    assert!(connection.sent < 16 * 1024 * 1024, "{connection:?}");
}

#[test]
fn the_next_entry_is_tried_where_a_proxy_is_not_reached() {
    let world = World::new(Behaviour::Tunnel);
    let closed = ClosedPort::hold();
    let (dead, alive) = (closed.address(), world.proxy.address());
    let said = world.body(&format!("return 'SOCKS old; PROXY {dead}; PROXY {alive}; DIRECT'"));
    assert_eq!(said.verdict(), ["degraded", "proxy_down", "proxy", "medium"]);
    assert_eq!(said.pac()["chosen"], alive.to_string());
    let summary = said.check["summary"].as_str().unwrap_or_default();
    assert!(summary.contains(&format!("the proxy {dead} refuses connections")), "{summary}");
    // The last one that is spoken is the verdict's, whatever became of it.
    for answer in [format!("PROXY {dead}"), format!("PROXY {dead}; SOCKS old:1080")] {
        let said = world.body(&format!("return '{answer}'"));
        assert_eq!(said.verdict(), ["broken", "proxy_down", "proxy", "high"], "{answer}");
    }
}

/// What was passed over is part of the failure, and of its repeat too: it is the same failure again.
#[test]
fn a_failure_behind_a_dead_entry_is_confirmed_like_any_other() {
    let world = World::new(Behaviour::AuthRequired { accepts: None });
    let closed = ClosedPort::hold();
    let (dead, asks) = (closed.address(), world.proxy.address());
    let said = world.body(&format!("return 'PROXY {dead}; PROXY {asks}'"));
    assert_eq!(said.verdict(), ["broken", "proxy_auth_required", "credential", "high"]);
}

/// The file sends the control host directly, which proves nothing of the proxy that the target is sent to.
#[test]
fn a_control_goes_the_way_of_the_target() {
    let world =
        World::new(Behaviour::Status { code: 403, headers: Vec::new(), body: String::new() });
    let said = world.body(&format!(
        "return host == 'localhost' ? 'DIRECT' : 'PROXY {}'",
        world.proxy.address()
    ));
    assert_eq!(said.verdict(), ["broken", "proxy_denies_all", "proxy", "medium"]);
    let asked: Vec<String> =
        world.proxy.connects().into_iter().map(|connect| connect.target).collect();
    assert!(asked.iter().any(|target| target.starts_with("localhost:")), "{asked:?}");
}

#[test]
fn a_login_goes_to_listed_proxies_only() {
    let accepts = Some("Basic c3ZjOnJpZ2h0".to_owned());
    let world = World::new(Behaviour::AuthRequired { accepts });
    world.ground.folder.write("password", "right");
    let auth = |hosts: &str| {
        format!(
            "auth_hosts = [\"{hosts}\"]\nauth = {{ scheme = \"basic\", username = \"svc\", \
             password = {{ file = \"{}/password\" }} }}",
            world.ground.folder.path().display()
        )
    };
    let script =
        format!("function FindProxyForURL() {{ return 'PROXY {}' }}", world.proxy.address());
    let said = world.script(&script, &auth("proxy.corp.example:3128"));
    assert_eq!(said.verdict()[1], "proxy_auth_required");
    let sent = || {
        let all = world.proxy.connects();
        all.iter().filter(|connect| connect.header("proxy-authorization").is_some()).count()
    };
    assert_eq!(sent(), 0);
    let said = world.script(&script, &auth(&world.proxy.address().to_string()));
    assert_eq!(said.verdict()[0], "ok", "{}", said.finished.stdout);
    assert_eq!(sent(), 1);
}

#[test]
fn a_file_is_fetched_once_for_all_who_ask_in_its_time() {
    let world = World::new(Behaviour::Tunnel);
    let script =
        format!("function FindProxyForURL() {{ return 'PROXY {}' }}", world.proxy.address());
    let server =
        HttpServer::start(served(&script, vec![("Cache-Control", "max-age=60".to_owned())]));
    // A failing check asks for the target, for its repeat and for the control.
    let said = {
        let text = format!("http://{}/proxy.pac", server.address());
        world.check(&text, "insecure_pac = true")
    };
    assert_eq!(said.verdict()[0], "ok", "{}", said.finished.stdout);
    assert_eq!(server.requests().len(), 1);
    let dead = World::new(Behaviour::CloseAfterConnect);
    let script =
        format!("function FindProxyForURL() {{ return 'PROXY {}' }}", dead.proxy.address());
    let server = HttpServer::start(served(&script, Vec::new()));
    let said = dead.check(&format!("http://{}/p", server.address()), "insecure_pac = true");
    assert_eq!(said.verdict()[1], "proxy_closes", "{}", said.finished.stdout);
    assert_eq!(server.requests().len(), 1);
}
