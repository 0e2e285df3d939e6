//! The host's own configuration, with the real binary: `/etc` and `/run` are the test's, and so is the
//! name of the host.

use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::http::{Behaviour as Http, HttpServer};
use crate::support::nameserver::{self, NameServer};
use crate::support::netns::{Host, Hosts, UNRELATED};
use crate::support::program::{Daemon, Finished, Folder};

/// What the folders become the host's by, before the rest of the command line is run.
const ENTER: &str = "mount --bind \"$1/etc\" /etc; mount --bind \"$1/run\" /run
    echo \"$2\" > /proc/sys/kernel/hostname; shift 2; exec \"$@\"";

/// A client with a site of its own, which takes a moment to answer: what is asked beside the walk is answered by then.
pub(super) struct Machine {
    pub(super) hosts: Hosts,
    site: HttpServer,
}

/// The files of a host; without one there is none.
#[derive(Clone, Copy, Default)]
pub(super) struct Files {
    pub(super) resolv: Option<&'static str>,
    pub(super) hosts: &'static str,
    /// Whom a stub asks.
    pub(super) upstream: Option<&'static str>,
    pub(super) hostname: &'static str,
    /// The one control that may be run.
    pub(super) control: Option<&'static str>,
}

impl Files {
    pub(super) fn resolv(text: &'static str) -> Self {
        Self { resolv: Some(text), hostname: "client", ..Self::default() }
    }

    fn put(self) -> Folder {
        let folder = Folder::new();
        for name in ["etc", "run/systemd/resolve"] {
            std::fs::create_dir_all(folder.path().join(name)).expect("a folder can be made");
        }
        folder.write("etc/hosts", self.hosts);
        if let Some(text) = self.resolv {
            folder.write("etc/resolv.conf", text);
        }
        if let Some(text) = self.upstream {
            folder.write("run/systemd/resolve/resolv.conf", text);
        }
        folder
    }
}

impl Machine {
    /// None where this user may not, or the servers are not here.
    pub(super) fn new() -> Option<Self> {
        if !nameserver::are_here() {
            return None;
        }
        let hosts = Hosts::new()?;
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned();
        let site = hosts.there(Host::Client, || {
            HttpServer::start(Http::Pieces(vec![answer], Duration::from_millis(300)))
        });
        Some(Self { hosts, site })
    }

    /// A dnsmasq on the client.
    pub(super) fn dnsmasq(&self, address: &str, arguments: &[&str]) -> NameServer {
        NameServer::dnsmasq(&self.hosts, Host::Client, address, arguments)
    }

    fn command(&self, files: Files, folder: &Folder, names: &[&str], subcommand: &str) -> Command {
        let port = self.site.address().port();
        let target = |name: &&str| {
            let url = format!("http://{name}:{port}/");
            format!("[[target]]\nname = \"{name}\"\nprovider = \"generic\"\nurl = \"{url}\"\n")
        };
        let targets: String = names.iter().map(target).collect();
        let (interval, timeout) = if subcommand == "run" { ("1s", "1s") } else { ("1m", "2500ms") };
        let allow = files.control.map_or("\"passive\"".to_owned(), |one| format!("[\"{one}\"]"));
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"text\"\n\
             [experiments]\nallow = {allow}\n\
             [probe]\ntimeout = \"{timeout}\"\ninterval = \"{interval}\"\n\
             [trust]\nsystem = false\n{targets}"
        );
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.hosts.namespace(Host::Client)]);
        command.args(["unshare", "-mu", "sh", "-ec", ENTER, "sh"]);
        command.arg(folder.path()).arg(files.hostname);
        command.arg(env!("CARGO_BIN_EXE_egressd")).args([subcommand, "--config"]);
        command.arg(folder.write("egressd.toml", &text));
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    /// One check of each name, in their order.
    #[track_caller]
    pub(super) fn checks(&self, files: Files, names: &[&str]) -> Vec<Value> {
        let folder = files.put();
        let mut command = self.command(files, &folder, names, "check");
        let output = command.args(["--format", "json"]).output().expect("it runs");
        let finished = Finished::of(output);
        let document = serde_json::from_str::<Value>(&finished.stdout);
        let mut document = document.unwrap_or_else(|_| panic!("{}", finished.stderr));
        document["checks"].as_array_mut().expect("a list").drain(..).collect()
    }

    #[track_caller]
    pub(super) fn check(&self, files: Files, name: &str) -> Value {
        self.checks(files, &[name]).remove(0)
    }

    /// What the rules of the client's own firewall have counted, in their order.
    fn packets(&self) -> Vec<usize> {
        let client = self.hosts.namespace(Host::Client);
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &client, "nft", "list", "table", "inet", "o"]);
        let listed = Finished::of(command.output().expect("it runs")).stdout;
        let counts = listed.split(" packets ").skip(1);
        let number = |text: &str| text.split(' ').next()?.parse().ok();
        counts.map(|text| number(text).expect("a number")).collect()
    }

    fn daemon(&self, files: Files, folder: &Folder, name: &str) -> Daemon {
        Daemon::start_by(folder, self.command(files, folder, &[name], "run"))
    }
}

/// The addresses of the answer for A, or why there are none.
pub(super) fn answer(check: &Value) -> String {
    let a = &check["observed"]["lookup"]["a"];
    match &a["failed"]["kind"] {
        Value::String(kind) => kind.clone(),
        _ => a["addresses"].to_string(),
    }
}

/// Role, address and answer of each question for A.
fn told(check: &Value) -> Vec<String> {
    let questions = check["observed"]["lookup"]["questions"].as_array().expect("a list");
    let a = questions.iter().filter(|question| question["family"] == "A");
    a.map(|question| {
        let server = &question["server"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let first = &question["reply"]["addresses"][0]["address"];
        let what = if first.is_string() { first } else { &question["stop"]["kind"] };
        format!("{} {} {}", text(&server["role"]), text(&server["address"]), text(what))
    })
    .collect()
}

const API: &str = "api.corp.example";
const HOME: &str = "[\"127.0.0.1\"]";
/// A server that knows the name, and whoever else is under that domain is nobody.
const KNOWS: [&str; 2] = ["--local=/corp.example/", "--host-record=api.corp.example,127.0.0.1"];

#[test]
fn a_first_server_that_is_dead_closed_or_refuses_leaves_it_to_the_next() {
    let Some(machine) = Machine::new() else { return };
    machine.hosts.firewall(&format!("ip daddr {UNRELATED} drop"));
    let (_knows, _refuses) =
        (machine.dnsmasq("127.0.0.1", &KNOWS), machine.dnsmasq("127.0.0.2", &[]));
    let rows = [
        (
            "nameserver 192.0.2.80\nnameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
            HOME,
            1.0..2.4,
        ),
        ("nameserver 127.0.0.3\nnameserver 127.0.0.1\n", HOME, 0.0..1.0),
        ("nameserver 127.0.0.2\nnameserver 127.0.0.1\n", HOME, 0.0..1.0),
        // In the order of the file: nobody is left.
        ("nameserver 127.0.0.3\nnameserver 127.0.0.2\n", "refused", 0.0..3.0),
        // To send to the unspecified address is to send to this host.
        ("nameserver 0.0.0.0\n", HOME, 0.0..1.0),
    ];
    thread::scope(|scope| {
        for (resolv, expected, seconds) in rows {
            let machine = &machine;
            scope.spawn(move || {
                let check = machine.check(Files::resolv(resolv), API);
                assert_eq!(answer(&check), expected, "{resolv}{check:#}");
                let took = check["observed"]["lookup"]["seconds"].as_f64().expect("a number");
                assert!(seconds.contains(&took), "{resolv}{took}");
            });
        }
    });
}

#[test]
fn rotation_begins_each_look_up_with_the_next_server_for_both_families() {
    let Some(machine) = Machine::new() else { return };
    let knows = ["--local=/corp.example/", "--address=/corp.example/127.0.0.1"];
    let servers = [machine.dnsmasq("127.0.0.1", &knows), machine.dnsmasq("127.0.0.2", &knows)];
    let names = ["a.corp.example", "b.corp.example", "c.corp.example", "d.corp.example"];
    let files = Files::resolv("nameserver 127.0.0.1\nnameserver 127.0.0.2\noptions rotate\n");
    for check in machine.checks(files, &names) {
        assert_eq!(answer(&check), HOME, "{check:#}");
    }
    let asked = servers.each_ref().map(|server| server.asked("A a.corp.example"));
    // Each is asked by itself too: whoever was the walk's own is asked twice.
    let twice = |asked: &[String], record_type: &str| -> Vec<&str> {
        let of = |name: &&str| {
            let question = format!("{record_type} {name}");
            asked.iter().filter(|other| **other == question).count() == 2
        };
        names.into_iter().filter(of).collect()
    };
    for asked in asked {
        assert_eq!(twice(&asked, "A").len(), 2, "{asked:?}");
        assert_eq!(twice(&asked, "A"), twice(&asked, "AAAA"), "{asked:?}");
    }
}

#[test]
fn the_search_list_is_gone_through_as_an_application_would() {
    let Some(machine) = Machine::new() else { return };
    let server = machine.dnsmasq(
        "127.0.0.1",
        &[
            "--local=/example/",
            "--local=/test/",
            // Names without a dot are denied.
            "--domain-needed",
            "--host-record=api.corp.example,127.0.0.1",
            "--host-record=www.office.corp.example,127.0.0.1",
            "--host-record=four.test,127.0.0.1",
            // A wildcard for IPv6 in the domain that is searched.
            "--address=/wild.example/::1",
        ],
    );
    let searched = |resolv, hostname, name| {
        let check = machine.check(Files { hostname, ..Files::resolv(resolv) }, name);
        (answer(&check), check["observed"]["lookup"]["searched"].clone())
    };
    let found = |name: &str| (HOME.to_owned(), Value::from(name));
    let as_it_is = (HOME.to_owned(), Value::Null);
    let denied = ("nxdomain".to_owned(), Value::Null);
    // One family is enough: the other is not looked for under another name.
    let wild = "nameserver 127.0.0.1\nsearch wild.example\n";
    assert_eq!(searched(wild, "client", "four.test"), as_it_is);
    let two = "nameserver 127.0.0.1\nsearch office.example corp.example\n";
    assert_eq!(searched(two, "client", "api"), found("api.corp.example"));
    // Fewer dots than two: the search list comes first, and its answer counts.
    let dots = "nameserver 127.0.0.1\nsearch corp.example\noptions ndots:2\n";
    assert_eq!(searched(dots, "client", "www.office"), found("www.office.corp.example"));
    assert_eq!(searched(dots, "client", "api.corp.example"), as_it_is);
    // Without a list it is the domain of the host's own name.
    assert_eq!(
        searched("nameserver 127.0.0.1\n", "client.corp.example", "api"),
        found("api.corp.example")
    );
    assert_eq!(searched("nameserver 127.0.0.1\n", "client", "api"), denied);
    let asked = server.asked("AAAA four.test");
    assert!(!asked.iter().any(|question| question.contains("four.test.wild")), "{asked:?}");
    assert!(asked.contains(&"A api.office.example".to_owned()), "{asked:?}");
    assert!(asked.contains(&"AAAA www.office.corp.example".to_owned()), "{asked:?}");
}

#[test]
fn use_vc_is_tcp_and_a_connection_for_each_question() {
    let Some(machine) = Machine::new() else { return };
    let _knows = machine.dnsmasq("127.0.0.1", &KNOWS);
    let on = |command: &str| machine.hosts.on(Host::Client, command);
    on("nft add table inet o");
    on("nft 'add chain inet o out { type filter hook output priority 0; }'");
    on("nft add rule inet o out udp dport 53 counter drop");
    on("nft 'add rule inet o out tcp dport 53 tcp flags & (syn|ack) == syn counter'");
    let files = Files::resolv("nameserver 127.0.0.1\noptions use-vc\n");
    let folder = files.put();
    let daemon = machine.daemon(files, &folder, API);
    daemon.wait_for("api.corp.example via direct: works");
    let trips = machine.site.wait_closed(2).len();
    drop(daemon);
    let [udp, connections] = machine.packets()[..] else { panic!("two rules") };
    // Two families, the walk and the question beside it; a later trip may have begun.
    assert!(udp == 0 && connections >= 4 * trips, "{udp} {connections} in {trips}");
    let check = machine.check(files, API);
    assert_eq!(check["observed"]["lookup"]["questions"][0]["server"]["transport"], "tcp");
    let check = machine.check(Files::resolv("nameserver 127.0.0.1\n"), API);
    assert_eq!(check["cause"], "local_policy_denied", "{check:#}");
}

#[test]
fn without_a_server_in_resolv_conf_this_host_itself_is_asked() {
    let Some(machine) = Machine::new() else { return };
    let missing = Files { hostname: "client", ..Files::default() };
    let empty = Files::resolv("# nothing\n");
    for (files, why) in [(missing, "cannot be read"), (empty, "has no nameserver")] {
        let check = machine.check(files, API);
        assert_eq!(check["cause"], "local_resolver_missing", "{check:#}");
        let said = check["observed"]["lookup"]["missing"].as_str().expect("why");
        assert!(said.contains(why), "{said}");
    }
    let _knows = machine.dnsmasq("127.0.0.1", &KNOWS);
    for files in [missing, empty] {
        let [api, other] = &machine.checks(files, &[API, "other.corp.example"])[..] else {
            panic!()
        };
        assert_eq!(answer(api), HOME, "{api:#}");
        assert!(api["observed"]["lookup"]["missing"].is_string(), "{api:#}");
        // Who denies a name is a resolver.
        assert_eq!(
            (answer(other), &other["observed"]["lookup"]["stop"]),
            ("nxdomain".into(), &Value::Null)
        );
    }
}

#[test]
fn the_hosts_file_overrides_and_what_dns_says_is_shown_beside_it() {
    let Some(machine) = Machine::new() else { return };
    let _server = machine.dnsmasq("127.0.0.2", &["--address=/corp.example/192.0.2.80"]);
    let hosts = "127.0.0.1 API.corp.example\n";
    let check = machine.check(Files { hosts, ..Files::resolv("nameserver 127.0.0.2\n") }, API);
    assert_eq!(
        (answer(&check), &check["observed"]["lookup"]["source"]),
        (HOME.into(), &"hosts".into())
    );
    assert_eq!(told(&check), ["stub 127.0.0.2:53 192.0.2.80"]);
}

#[test]
fn a_stub_and_whom_it_asks_are_seen_side_by_side() {
    let Some(machine) = Machine::new() else { return };
    let _stub = machine.dnsmasq("127.0.0.53", &["--address=/corp.example/127.0.0.1"]);
    let _upstream = machine.dnsmasq(
        "127.0.0.2",
        &["--address=/api.corp.example/127.0.0.1", "--address=/old.corp.example/192.0.2.80"],
    );
    // The stub itself is none of those that it asks.
    let upstream = Some("nameserver 127.0.0.53\nnameserver 127.0.0.2\n");
    let files = Files { upstream, ..Files::resolv("nameserver 127.0.0.53\n") };
    let [same, other] = &machine.checks(files, &[API, "old.corp.example"])[..] else { panic!() };
    assert_eq!(told(same), ["stub 127.0.0.53:53 127.0.0.1", "upstream 127.0.0.2:53 127.0.0.1"]);
    assert_eq!(told(other), ["stub 127.0.0.53:53 127.0.0.1", "upstream 127.0.0.2:53 192.0.2.80"]);
    // A file that others left behind is nothing to a server that is not on this host.
    let files = Files { upstream, ..Files::resolv("nameserver 10.1.2.3\n") };
    let check = machine.check(files, API);
    assert_eq!(told(&check), ["configured 10.1.2.3:53 port_closed"]);
}

#[test]
fn a_file_that_takes_the_place_of_another_is_read_even_where_it_is_as_old_and_as_long() {
    let Some(machine) = Machine::new() else { return };
    let _knows = machine.dnsmasq("127.0.0.1", &KNOWS);
    let _denies = machine.dnsmasq("127.0.0.2", &["--local=/corp.example/"]);
    let files = Files::resolv("nameserver 127.0.0.1\n");
    let folder = files.put();
    let daemon = machine.daemon(files, &folder, API);
    daemon.wait_for("api.corp.example via direct: works");
    let new = folder.write("etc/new", "nameserver 127.0.0.2\n");
    let old = folder.path().join("etc/resolv.conf");
    let copied = Command::new("touch").arg("-r").arg(&old).arg(&new).status();
    assert!(copied.expect("touch runs").success());
    std::fs::rename(&new, &old).expect("it can be put there");
    let line = daemon.wait_for("before=\"ok\"");
    assert!(line.contains("layer=\"dns\""), "{line}");
}
