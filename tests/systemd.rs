//! The shipped unit under a real systemd, in a machine that is booted for it: what it starts as, what it is told and tells,
//! and what happens to it when it is wrong, silent or asked to end.

// Every kind of fault from inside of the sandbox.
mod sandbox;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use crate::support::booted::Bed;
use crate::support::foreign::are_here;
use crate::support::http::Behaviour as Http;
use crate::support::pki::Authority;
use crate::support::program::{get, until};
use crate::support::tls::{Behaviour as Tls, TlsServer};

const UNIT: &str = include_str!("../deploy/systemd/egressd.service");
const KEY: &str = "sk-ant-planted-secret";
const CONFIG: &str = "/etc/egressd/egressd.toml";
const OWN: &[&str] = &["-t", "egressd"];
const PROCESS_1: &[&str] = &["_PID=1"];
const WEB: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9737);

/// What the README's blocks of commands below a headline tell an administrator to type.
fn readme(headline: &str) -> Vec<Vec<&'static str>> {
    let text = include_str!("../README.md").split(&format!("### {headline}\n")).nth(1);
    let part = text.expect("the headline").split("\n### ").next().unwrap_or_default();
    let blocks = part.split("```").skip(1).step_by(2);
    blocks.map(|block| block.lines().filter_map(|line| line.strip_prefix("# ")).collect()).collect()
}

/// A machine with a target, and egressd installed, but not started.
struct World {
    bed: Bed,
    api: TlsServer,
}

impl World {
    fn new() -> Option<Self> {
        let bed = Bed::boot()?;
        let authority = Authority::new("Public Test Root");
        bed.put("/etc/egressd/public.pem", "0644", authority.pem());
        bed.put("/etc/systemd/system/egressd.service", "0644", UNIT);
        let leaf = Arc::new(authority.leaf(&["127.0.0.1", "api.test"]));
        let good = Http::AnthropicByKey { good: KEY.to_owned() };
        let api = bed.there(None, move || TlsServer::start(&leaf, Tls::Serve(good)));
        let world = Self { bed, api };
        world.configure(&world.target("api", ""));
        // What systemd is told stands in its journal.
        world.bed.must("systemctl log-level debug");
        Some(world)
    }

    fn target(&self, name: &str, more: &str) -> String {
        format!(
            "[[target]]\nname = \"{name}\"\nprovider = \"anthropic\"\nroutes = [\"direct\"]\n\
             url = \"https://{}/v1/models\"\n{more}\n",
            self.api.address()
        )
    }

    fn configure(&self, targets: &str) {
        let text = format!(
            "[log]\nformat = \"journald\"\n[probe]\ninterval = \"2s\"\ntimeout = \"1s\"\n\
             [trust]\nsystem = false\npublic_roots = \"/etc/egressd/public.pem\"\n{targets}"
        );
        self.bed.put(CONFIG, "0644", text);
    }

    /// A drop-in, as `systemctl edit` would write it.
    fn edit(&self, unit: &str, lines: &str) {
        self.bed.put(&format!("/etc/systemd/system/{unit}.d/edit.conf"), "0644", lines);
        self.bed.must("systemctl daemon-reload");
    }

    fn start(&self) {
        self.bed.must("systemctl daemon-reload; systemctl start egressd");
    }

    /// A property of the service.
    fn show(&self, property: &str) -> String {
        self.bed.must(&format!("systemctl show -P {property} egressd.service")).trim().to_owned()
    }

    fn get(&self, at: SocketAddr, path: &'static str) -> (u16, String) {
        self.bed.there(None, move || get(at, path, &[]))
    }

    /// The value of the series that begins so.
    fn series(&self, name: &str) -> f64 {
        let (_, text) = self.get(WEB, "/metrics");
        let line = text.lines().find(|line| line.starts_with(name)).expect("the series");
        line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
    }
}

#[test]
fn what_boots_is_closed_and_ends_with_its_guard() {
    let Some(bed) = Bed::boot_without() else { return };
    assert_eq!(bed.must("systemctl is-system-running").trim(), "running");
    let running =
        bed.must("systemctl list-units --type=service --state=running --plain --no-legend");
    let running: Vec<&str> = running.lines().filter_map(|line| line.split('.').next()).collect();
    assert_eq!(running, ["dbus", "systemd-journald"], "none of the host's");
    assert_eq!(bed.must("ls /tmp; ls /var/log/journal /sys/class/net/ | grep -v :").trim(), "lo");
    let identity = std::fs::read("/etc/machine-id").unwrap_or_default();
    assert_ne!(std::fs::read(bed.seen("/etc/machine-id")).expect("it has one"), identity);
    assert_ne!(bed.sh("test -e /usr/bin/egressd").code, 0);

    bed.put("/etc/systemd/system/x.service", "0644", "[Service]\nExecStart=/bin/echo here I am\n");
    bed.must("systemctl daemon-reload; systemctl start x; ip netns add inner");
    assert_eq!(bed.wait_for(&["-t", "echo"], "here I"), "here I am");
    assert_eq!(bed.journal(&["-t", "echo"])[0]["_UID"], "0");
    assert!(!std::path::Path::new("/run/netns/inner").exists());
    let address =
        bed.there(None, || TcpListener::bind("127.0.0.1:1").expect("a port").local_addr());
    assert_eq!(address.expect("an address").port(), 1, "a network of its own");

    let other = Bed::boot_without().expect("a second one beside it");
    assert_eq!(other.run(&["test", "-e", "/etc/systemd/system/x.service"]).code, 1);
    let leader = bed.seen("");
    drop(bed);
    assert!(!leader.exists(), "its process 1 is gone");
    assert_eq!(other.must("systemctl is-system-running").trim(), "running");
}

#[test]
fn it_starts_by_the_readmes_lines_and_keeps_its_state_over_a_stop() {
    let Some(world) = World::new() else { return };
    let World { bed, .. } = &world;
    // Without its folder; one that systemd makes for a user of the moment would be the next one's tomorrow.
    bed.must("mv /etc/egressd /srv/; systemctl start egressd; systemctl stop egressd");
    bed.must("test ! -e /etc/egressd; mv /srv/egressd /etc/");
    bed.must("mkdir -p /srv/target/release /srv/deploy/systemd; mv /usr/bin/egressd /srv/target/release/");
    bed.must("mv /etc/systemd/system/egressd.service /srv/deploy/systemd/");
    let [lines, ..] = &readme("Put it under systemd")[..] else { panic!("no block") };
    assert_eq!(lines.len(), 5, "{lines:?}");
    bed.must(&format!("cd /srv\n{}", lines.join("\n")));

    // It is ready when it listens, and not before: nobody waited.
    assert_eq!(world.get(WEB, "/-/healthy").0, 200);
    bed.wait_for(OWN, "api via direct: works");
    bed.wait_for(PROCESS_1, "STATUS=1 targets: 1 ok");
    assert_eq!(world.show("StatusText"), "1 targets: 1 ok, 0 degraded, 0 broken, 0 unknown");

    let process = world.show("MainPID");
    let status = bed.must(&format!("cat /proc/{process}/status"));
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().unwrap_or_default().to_owned()
    };
    // systemd's range of dynamic users.
    assert!((61184..=65519).contains(&field("Uid:").parse::<u32>().expect("a user")), "{status}");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    assert_eq!([field("NoNewPrivs:"), field("Seccomp:")], ["1", "2"]);
    let kept = "/var/lib/private/egressd";
    assert_eq!(
        bed.must(&format!("stat -c '%u %a' {kept}")).trim(),
        format!("{} 700", field("Uid:"))
    );
    // A core file is the kernel's to write, and it may write none.
    let limit =
        bed.must(&format!("prlimit --pid {process} --core --output SOFT,HARD --noheadings"));
    assert_eq!(limit.split_whitespace().collect::<Vec<_>>(), ["0", "0"]);

    let counted = "egressd_checks_total{target=\"api\",route=\"direct\",status=\"ok\"";
    // Kept first, and then served.
    until("the check is served", || world.series(counted) >= 1.0);
    // What is closed to others is its own to count.
    assert!(world.series("process_open_fds ") > 5.0);
    assert!(world.series("process_resident_memory_bytes ") > 1e6);
    let before = world.series(counted);
    bed.must("timeout 5 systemctl stop egressd");
    bed.wait_for(PROCESS_1, "(STOPPING=1)");
    assert_eq!(world.show("Result"), "success");
    bed.must(&format!("test -s {kept}/state.json; systemctl start egressd"));
    assert!(world.series(counted) >= before, "it goes on counting");
}

#[test]
fn a_key_comes_as_a_credential_that_nobody_else_can_read() {
    let Some(world) = World::new() else { return };
    let World { bed, api } = &world;
    world.configure(&world.target("api", "key = { credential = \"anthropic-api-key\" }"));
    // Without one it starts all the same, and says so.
    world.start();
    let missing = bed.wait_for(OWN, "api via direct: ");
    assert!(missing.contains("anthropic-api-key"), "{missing}");
    assert!(api.requests().iter().all(|request| request.header("x-api-key").is_none()));

    let [plain, sealed] = &readme("Keep keys as credentials")[..] else { panic!("two blocks") };
    bed.put("/root/key", "0600", format!("{KEY}\n"));
    bed.must(&format!("cd /root\n{}", plain.join("\n")));
    bed.wait_for(OWN, "api via direct: works");
    api.wait_for_request(|request| request.header("x-api-key") == Some(KEY));
    let file = "/run/credentials/egressd.service/anthropic-api-key";
    let [us, others] = ["", "setpriv --reuid=65534 --regid=65534 --clear-groups "]
        .map(|who| bed.sh(&format!("{who}cat {file}")));
    assert_eq!((us.code, us.stdout), (0, format!("{KEY}\n")));
    assert_eq!((others.code, others.stdout), (1, String::new()), "{}", others.stderr);
    let said = bed.must("systemctl show egressd; systemctl status --no-pager egressd");
    assert!(!said.contains(KEY) && !format!("{:?}", bed.journal(&[])).contains(KEY));

    // Sealed with this machine's own secret: it has no TPM.
    let line = "LoadCredentialEncrypted=anthropic-api-key:/etc/egressd/anthropic-api-key.cred";
    assert!(include_str!("../README.md").contains(line));
    world.edit("egressd.service", &format!("[Service]\n{line}\n"));
    bed.must("rm /etc/credstore/anthropic-api-key");
    let asked = api.requests().len();
    bed.must(&format!("cd /root\n{{ {}\n}} 2>&1", sealed.join("\n")));
    until("it asks again", || api.requests().len() > asked);
    let keys = api.requests();
    let last = keys.last().and_then(|request| request.header("x-api-key"));
    assert_eq!(last, Some(KEY));
}

/// By the README's lines, and by the group that it names.
#[test]
fn the_web_port_has_a_key_that_only_the_service_reads() {
    let Some(world) = World::new() else { return };
    let World { bed, .. } = &world;
    if !are_here(&["/usr/bin/curl"]) {
        return;
    }
    let text = include_str!("../README.md");
    let own = "/run/credentials/egressd.service/web.yml";
    for line in [&format!("`web_config_file = \"{own}\"`"), "`SupplementaryGroups=ssl-cert`"] {
        assert!(text.contains(line), "{line}");
    }
    let configure = |file: &str| {
        world.configure(&format!(
            "[server]\nweb_config_file = \"{file}\"\n{}",
            world.target("api", "")
        ));
    };
    let pair = |folder: &str, mode: &str, authority: &Authority| {
        let leaf = authority.leaf(&["localhost"]);
        bed.put("/root/ca.pem", "0644", authority.pem());
        bed.put(&format!("{folder}/web.pem"), "0644", leaf.chain_pem());
        bed.put(&format!("{folder}/web.key"), mode, leaf.key_pem());
    };
    let hash = bcrypt::hash("sesame", 4).expect("a hash");
    let web = format!(
        "tls_server_config: {{ cert_file: web.pem, key_file: web.key }}\nbasic_auth_users: {{ mon: {hash} }}\n"
    );
    let asked = |login: &str| {
        bed.sh(&format!(
            "curl -s --cacert /root/ca.pem -u {login} -w '%{{http_code}}' https://localhost:9737/-/healthy"
        ))
        .stdout
    };

    configure(own);
    bed.put("/root/web.yml", "0600", &web);
    pair("/root", "0600", &Authority::new("Web"));
    let blocks = readme("TLS and a password on the web port");
    let lines = blocks.last().expect("a block").join("\n");
    assert!(lines.contains("/etc/credstore web.yml web.pem web.key\n"), "{lines}");
    bed.must("systemctl daemon-reload");
    bed.must(&format!("cd /root\n{lines}"));
    assert_eq!(
        [asked("mon:sesame"), asked("mon:guess")].map(|said| said[said.len() - 3..].to_owned()),
        ["200", "401"]
    );
    bed.must("systemctl reload egressd");
    let others = "setpriv --reuid=65534 --regid=65534 --clear-groups ";
    assert_ne!(bed.sh(&format!("{others} cat /run/credentials/egressd.service/web.key")).code, 0);

    // In its place, and another one while it runs.
    bed.must("groupadd -f ssl-cert; rm /etc/credstore/web.*");
    configure("/etc/egressd/web.yml");
    bed.put("/etc/egressd/web.yml", "0640", &web);
    pair("/etc/egressd", "0640", &Authority::new("Web"));
    bed.must("chgrp ssl-cert /etc/egressd/web.yml /etc/egressd/web.key");
    assert_ne!(bed.sh("systemctl restart egressd").code, 0, "it is not the service's");
    bed.wait_for(OWN, "read /etc/egressd/web.yml: Permission denied");
    world.edit("egressd.service", "[Service]\nSupplementaryGroups=ssl-cert\n");
    bed.must("systemctl restart egressd");
    assert_eq!(asked("mon:sesame"), "healthy\n200");
    pair("/etc/egressd", "0640", &Authority::new("Next"));
    bed.must("chgrp ssl-cert /etc/egressd/web.key; systemctl reload egressd");
    until("the next one is in force", || asked("mon:sesame") == "healthy\n200");
}

#[test]
fn a_reload_is_told_and_a_bad_one_fails_and_keeps_what_is_in_force() {
    let Some(world) = World::new() else { return };
    let World { bed, .. } = &world;
    world.start();
    world.configure(&format!("{}{}", world.target("api", ""), world.target("more", "")));
    // Of Debian's procps, which a minimal host does not have.
    bed.must("rm -f /bin/kill /usr/bin/kill; systemctl reload egressd");
    let told = bed.wait_for(PROCESS_1, "RELOADING=1");
    assert!(told.contains("MONOTONIC_USEC="), "{told}");
    bed.wait_for(OWN, "more via direct: works");

    bed.put(CONFIG, "0644", "[probe]\nintervall = \"1s\"\n");
    let reload = bed.sh("systemctl reload egressd");
    assert_eq!(reload.code, 1, "{}", reload.stderr);
    bed.wait_for(OWN, "unknown key `intervall`");
    bed.wait_for(PROCESS_1, "the last reload failed");
    assert_eq!(world.show("ActiveState"), "active");
    let status = world.show("StatusText");
    let failed = "; the last reload failed, see the log: what was in force before stays in force";
    assert!(status.starts_with("2 targets: ") && status.ends_with(failed), "{status}");
    until("it is counted", || world.series("egressd_config_last_reload_successful") < 1.0);

    world.configure(&world.target("again", ""));
    bed.must("systemctl reload egressd");
    bed.wait_for(OWN, "again via direct: works");
    bed.wait_for(PROCESS_1, "STATUS=1 targets: 1 ok");
    assert_eq!(world.show("StatusText"), "1 targets: 1 ok, 0 degraded, 0 broken, 0 unknown");

    // Who is broken, and who has to act.
    world.api.set(Tls::Serve(Http::Answer { status: 500, headers: Vec::new(), body: Vec::new() }));
    let told = bed.wait_for(PROCESS_1, "; broken: again (");
    assert!(told.contains("1 broken"), "{told}");
}

#[test]
fn a_configuration_that_is_bad_from_the_start_is_seen_and_not_tried_again() {
    let Some(world) = World::new() else { return };
    let World { bed, .. } = &world;
    bed.put(CONFIG, "0644", "[probe]\nintervall = \"1s\"\n");
    assert_ne!(bed.sh("systemctl start egressd").code, 0);
    assert_eq!(world.show("ActiveState"), "failed");
    assert_eq!([world.show("ExecMainStatus"), world.show("NRestarts")], ["78", "0"]);
    let status = bed.sh("systemctl status --no-pager --lines=20 egressd");
    assert_eq!(status.code, 3);
    assert!(status.stdout.contains("intervall"), "{}", status.stdout);
    assert!(status.stdout.contains("status=78/CONFIG"), "{}", status.stdout);
}

#[test]
fn a_daemon_that_is_silent_is_ended_by_the_watchdog_and_goes_on_counting() {
    let Some(world) = World::new() else { return };
    let World { bed, .. } = &world;
    world.edit("egressd.service", "[Service]\nWatchdogSec=3\nRestartSec=0\n");
    world.start();
    bed.wait_for(OWN, "api via direct: works");
    bed.wait_for(PROCESS_1, "(WATCHDOG=1)");
    let counted = "egressd_checks_total{target=\"api\",route=\"direct\",status=\"ok\"";
    until("the check is served", || world.series(counted) >= 1.0);
    let (process, before) = (world.show("MainPID"), world.series(counted));
    bed.must(&format!("kill -STOP {process}"));
    bed.wait_for(PROCESS_1, "egressd.service: Watchdog timeout");
    // Dumped, it would be `code=dumped`.
    bed.wait_for(PROCESS_1, "Main process exited, code=killed, status=6/ABRT");
    bed.wait_for(PROCESS_1, "restart counter is at 1");
    // A start that is under way is waited for.
    bed.must("systemctl start egressd");
    assert_ne!(world.show("MainPID"), process);
    assert!(world.series(counted) >= before);
}

/// A file whose server does not answer, as far as a program sees it: `open(2)` waits for the lease (`fcntl(2)`, F_SETLEASE), and the
/// kernel would end it after 45 seconds only.
const HELD: &str = "
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = os.open('/run/hosts', os.O_RDWR)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('held', flush=True)
signal.pause()
";

#[test]
fn a_daemon_that_a_file_holds_up_is_ended_by_the_watchdog_and_recovers() {
    let Some(world) = World::new() else { return };
    let World { bed, .. } = &world;
    world.edit("egressd.service", "[Service]\nWatchdogSec=3\nRestartSec=0\n");
    bed.must("echo 127.0.0.1 api.test > /run/hosts; ln -sf /run/hosts /etc/hosts");
    // By its name, so that each check looks whether that file has changed.
    world.configure(&world.target("api", "").replace("//127.0.0.1:", "//api.test:"));
    world.start();
    bed.wait_for(OWN, "api via direct: works");

    bed.put("/run/held.py", "0644", HELD);
    bed.must("systemd-run -q --unit=held -p SuccessExitStatus=TERM python3 /run/held.py");
    bed.wait_for(&["-u", "held"], "held");
    bed.must("touch /run/hosts");
    bed.wait_for(PROCESS_1, "egressd.service: Watchdog timeout");
    bed.wait_for(PROCESS_1, "restart counter is at 1");
    bed.must("systemctl stop held; systemctl start egressd");
    until("it checks again", || world.get(WEB, "/-/ready").0 == 200);
}

#[test]
fn a_socket_of_systemds_is_served_and_outlives_the_daemon() {
    let Some(world) = World::new() else { return };
    let World { bed, .. } = &world;
    world.start();
    let socket = include_str!("../deploy/systemd/egressd.socket");
    bed.put("/srv/deploy/systemd/egressd.socket", "0644", socket);
    let blocks = readme("Put it under systemd");
    bed.must(&format!("cd /srv\n{}", blocks[1].join("\n")));
    assert_eq!(world.get(WEB, "/-/healthy").0, 200);
    bed.must("systemctl stop egressd.socket egressd.service");
    world.edit("egressd.socket", "[Socket]\nListenStream=\nListenStream=127.0.0.1:80\n");
    bed.must("systemctl start egressd.socket egressd.service");
    let at = SocketAddr::from(([127, 0, 0, 1], 80));
    let line = bed.wait_for(OWN, "[server] listen: http://127.0.0.1:80");
    let says =
        "on the service manager's socket, in the place of [server] listen: http://127.0.0.1:80";
    assert!(line.ends_with(says), "{line}");
    assert_eq!(world.get(at, "/-/healthy").0, 200);
    assert!(bed.there(None, || TcpStream::connect(WEB).is_err()), "its own is not bound");
    // Who comes while it is away waits for it.
    bed.must("systemctl stop egressd.service 2>&1");
    assert_eq!(world.get(at, "/-/healthy").0, 200);
    assert_eq!(world.show("ActiveState"), "active");

    // What it cannot serve is said, and not bound around.
    bed.must("systemctl stop egressd.socket egressd.service");
    world.edit(
        "egressd.socket",
        "[Socket]\nListenStream=\nListenStream=127.0.0.1:80\nListenStream=127.0.0.1:81\n",
    );
    assert_ne!(bed.sh("systemctl start egressd.socket; systemctl start egressd.service").code, 0);
    bed.wait_for(
        OWN,
        "take over the socket of the service manager: it is one socket that is served, and 2 came",
    );
}
