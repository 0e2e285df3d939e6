//! A server program that is not ours: in the foreground, on this host's loopback or on a host in a network
//! namespace, what it prints read line by line.

use std::io::{BufRead as _, BufReader, Lines, PipeReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use super::netns::inside;
use super::{Journal, not_run};

/// Where it runs, and listens.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum At<'a> {
    #[default]
    Loopback,
    /// In that network namespace, named or a file, at that address, on that port or on any.
    Namespace(&'a str, IpAddr, Option<u16>),
}

/// A running program. It is ended when this goes.
#[derive(Debug)]
pub(crate) struct Foreign {
    child: Child,
    log: Journal<String>,
    reader: Option<JoinHandle<()>>,
}

/// How often a port is looked for. Between the moment when a port was free and the one when a program
/// binds it, another process may take it, and none of these programs can be handed a listener.
const PORTS: usize = 10;

/// Whether these programs are here; a run in CI does not accept that one is not.
#[track_caller]
pub(crate) fn are_here(programs: &[&str]) -> bool {
    let missing: Vec<_> = programs.iter().filter(|path| !Path::new(path).exists()).collect();
    if !missing.is_empty() {
        not_run(&format!("not installed: {missing:?}"));
    }
    missing.is_empty()
}

/// Starts something on a free port of TCP and UDP; on another one where that is taken meanwhile.
#[track_caller]
pub(crate) fn on_a_free_port<T>(
    at: At<'_>,
    mut start: impl FnMut(SocketAddr) -> Result<T, Vec<String>>,
) -> (SocketAddr, T) {
    for _ in 0..PORTS {
        let address = at.free_port();
        match start(address) {
            Ok(started) => return (address, started),
            Err(log) if log.iter().any(|line| line.contains("in use")) => {}
            Err(log) => panic!("it does not start: {log:#?}"),
        }
    }
    panic!("{PORTS} free ports were taken, one after the other");
}

impl At<'_> {
    /// A command there, with nothing of this process's environment that matters.
    pub(crate) fn command(self, program: &str) -> Command {
        let mut command = match self {
            At::Loopback => Command::new(program),
            At::Namespace(namespace, ..) => {
                // It becomes the program: to kill it is to kill the server.
                if namespace.starts_with('/') {
                    let mut command = Command::new("nsenter");
                    command.arg(format!("--net={namespace}")).args(["--", program]);
                    command
                } else {
                    let mut command = Command::new("ip");
                    command.args(["netns", "exec", namespace, program]);
                    command
                }
            }
        };
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }

    fn free_port(self) -> SocketAddr {
        match self {
            At::Loopback => free_port(Ipv4Addr::LOCALHOST.into()),
            At::Namespace(_, ip, Some(port)) => (ip, port).into(),
            At::Namespace(namespace, ip, None) => inside(namespace, move || free_port(ip)),
        }
    }
}

/// A port that neither TCP nor UDP uses at this moment.
fn free_port(ip: IpAddr) -> SocketAddr {
    for _ in 0..PORTS {
        let listener = TcpListener::bind((ip, 0)).expect("a port");
        let address = listener.local_addr().expect("the listener's address");
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port is free for UDP where it is for TCP");
}

impl Foreign {
    /// Waits until it prints this; what it printed is the error of one that ends before.
    pub(crate) fn start(command: Command, ready: &str) -> Result<Self, Vec<String>> {
        let (mut child, mut lines) = spawn(command);
        let log = Journal::new();
        loop {
            let Some(Ok(line)) = lines.next() else {
                child.wait().expect("it ended");
                return Err(log.entries());
            };
            let is_ready = line.contains(ready);
            log.push(line);
            if is_ready {
                break;
            }
        }
        Ok(Self { child, reader: Some(follow(lines, &log)), log })
    }

    /// The same for one that prints nothing at first: waits until it listens there.
    pub(crate) fn start_mute(command: Command, at: SocketAddr) -> Result<Self, Vec<String>> {
        let (mut child, lines) = spawn(command);
        let log = Journal::new();
        let reader = follow(lines, &log);
        while !is_listening(child.id(), at) {
            if child.try_wait().expect("its state").is_some() {
                reader.join().ok();
                return Err(log.entries());
            }
            std::thread::yield_now();
        }
        Ok(Self { child, reader: Some(reader), log })
    }

    /// Waits until it listens there, for one that says so a moment before it does.
    #[track_caller]
    pub(crate) fn wait_until_it_listens(&mut self, at: SocketAddr) {
        while listener(self.child.id(), at).is_none() {
            assert!(self.child.try_wait().expect("its state").is_none(), "it has ended");
            std::thread::yield_now();
        }
    }

    /// What it printed.
    pub(crate) fn log(&self) -> &Journal<String> {
        &self.log
    }

    /// Asks it to end, which it may need in order to end its children; a killed one would leave them.
    pub(crate) fn terminate(&mut self) {
        self.signal("TERM");
        self.child.wait().ok();
    }

    /// Sends it a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().ok();
    }
}

#[expect(clippy::print_stdout, reason = "the log belongs to a test that fails")]
impl Drop for Foreign {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        self.reader.take().map(JoinHandle::join);
        if std::thread::panicking() {
            println!("{:#?}", self.log.entries());
        }
    }
}

/// The program, and what it prints in either way. The command, which holds an end of the pipe, goes: the
/// last line would never be the last.
fn spawn(mut command: Command) -> (Child, Lines<BufReader<PipeReader>>) {
    let (output, input) = std::io::pipe().expect("a pipe");
    command.stdin(Stdio::null()).stdout(input.try_clone().expect("a copy")).stderr(input);
    (command.spawn().expect("it runs"), BufReader::new(output).lines())
}

/// A thread that writes lines down until there are no more.
pub(crate) fn follow(
    lines: impl Iterator<Item = std::io::Result<String>> + Send + 'static,
    log: &Journal<String>,
) -> JoinHandle<()> {
    let writer = log.clone();
    std::thread::spawn(move || {
        lines.map_while(Result::ok).for_each(|line| {
            writer.push(line);
        });
    })
}

/// What listens there in the network of this process, as its descriptors name it (`proc_pid_net(5)`). Only
/// IPv4, whose bytes are printed as one number of this machine's.
fn listener(process: u32, at: SocketAddr) -> Option<String> {
    const LISTEN: &str = "0A";
    let IpAddr::V4(ip) = at.ip() else { panic!("{at} is not of IPv4") };
    let local = format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), at.port());
    let table = std::fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap_or_default();
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (fields.get(1) == Some(&&*local) && fields.get(3) == Some(&LISTEN))
            .then(|| format!("socket:[{}]", fields[9]))
    })
}

/// Whether a socket of this very process listens there: somebody else's may, where the port was lost.
fn is_listening(process: u32, at: SocketAddr) -> bool {
    let Some(inode) = listener(process, at) else { return false };
    let descriptors = std::fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten();
    descriptors
        .flatten()
        .any(|entry| std::fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == &*inode))
}
