//! Name servers that are not ours: `dnsmasq` and `unbound`, on a host in a network namespace, where port 53 is free.

use std::io::{BufRead as _, BufReader};
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};
use std::thread;

use tempfile::TempDir;

use super::netns::{Host, Hosts};
use super::pki::Leaf;
use super::{Journal, not_run};

/// A running name server. It is killed when this goes.
#[derive(Debug)]
pub(crate) struct NameServer {
    child: Child,
    log: Journal<String>,
    reader: Option<thread::JoinHandle<()>>,
    _folder: TempDir,
}

/// What every unbound is told: in the foreground, as it is, its queries on standard error.
const UNBOUND: &str = "server:
  do-daemonize: no
  chroot: \"\"
  username: \"\"
  pidfile: \"\"
  directory: \"\"
  use-syslog: no
  logfile: \"\"
  log-queries: yes
  verbosity: 1
  module-config: \"iterator\"
  do-not-query-localhost: no
  ede: yes
remote-control:
  control-enable: no
server:
";

/// Whether both are here; a run in CI does not accept that one is not.
#[track_caller]
pub(crate) fn are_here() -> bool {
    let missing: Vec<&str> = ["/usr/sbin/dnsmasq", "/usr/sbin/unbound"]
        .into_iter()
        .filter(|path| !std::path::Path::new(path).exists())
        .collect();
    if !missing.is_empty() {
        not_run(&format!("not installed: {missing:?}"));
    }
    missing.is_empty()
}

impl NameServer {
    /// A dnsmasq on that address, or on those of an interface, with further arguments. Without an upstream it refuses what it does not know.
    pub(crate) fn dnsmasq(hosts: &Hosts, host: Host, at: &str, arguments: &[&str]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let mut command = on(hosts, host, "dnsmasq");
        command.args(["--keep-in-foreground", "--log-queries", "--log-facility=-", "--user=root"]);
        command.args(["--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces"]);
        let is_address = at.parse::<IpAddr>().is_ok();
        let option = if is_address { "--listen-address" } else { "--interface" };
        command.arg(format!("{option}={at}"));
        command.arg(format!("--pid-file={}", folder.path().join("pid").display()));
        command.args(arguments);
        Self::start(command, folder, "started, version")
    }

    /// An unbound with these lines of configuration, `ZONE` in them being the path of a file with that
    /// zone, and, behind TLS, that leaf.
    pub(crate) fn unbound(
        hosts: &Hosts,
        host: Host,
        (lines, zone): (&str, &str),
        leaf: &Leaf,
    ) -> Self {
        let folder = TempDir::new().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path.display().to_string()
        };
        let zone = write("zone", zone);
        let (chain, key) =
            (write("chain.pem", leaf.chain_pem()), write("key.pem", &leaf.key_pem()));
        let tls = format!("  tls-service-pem: \"{chain}\"\n  tls-service-key: \"{key}\"\n");
        let lines = lines.replace("ZONE", &zone);
        let file = write("unbound.conf", &format!("{UNBOUND}{tls}{lines}"));
        let mut command = on(hosts, host, "unbound");
        command.args(["-d", "-c", &file]);
        Self::start(command, folder, "start of service")
    }

    /// Waits until it says that it listens; a wrong argument ends it, and its log with it.
    fn start(mut command: Command, folder: TempDir, ready: &str) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let mut lines = BufReader::new(child.stderr.take().expect("its log")).lines();
        let log = Journal::new();
        loop {
            let Some(Ok(line)) = lines.next() else {
                panic!("it does not start: {:#?}", log.entries());
            };
            let is_ready = line.contains(ready);
            log.push(line);
            if is_ready {
                break;
            }
        }
        let writer = log.clone();
        let reader = thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| {
                writer.push(line);
            });
        });
        Self { child, log, reader: Some(reader), _folder: folder }
    }

    /// The questions of its log, as `A api.corp.example`, once the text of `last` is among them: what it
    /// was asked before that is there as well.
    #[track_caller]
    pub(crate) fn asked(&self, last: &str) -> Vec<String> {
        let of = |lines: &[String]| lines.iter().filter_map(|line| question(line)).collect();
        self.log.wait_until(|lines| {
            let asked: Vec<String> = of(lines);
            asked.iter().any(|question| question == last)
        });
        of(&self.log.entries())
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        self.reader.take().map(thread::JoinHandle::join);
    }
}

/// `ip netns exec` becomes the program: to kill it is to kill the server.
fn on(hosts: &Hosts, host: Host, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &hosts.namespace(host), program]);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

/// dnsmasq says `dnsmasq[7]: query[A] api.corp.example from 127.0.0.1`.
fn question(line: &str) -> Option<String> {
    let (record_type, rest) = line.split_once("query[")?.1.split_once("] ")?;
    Some(format!("{record_type} {}", rest.split(' ').next()?))
}
