//! The real binary: run to its end, or kept running with its log read line by line, and asked over HTTP.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Journal;

/// The binary, in an environment of which only what a test sets matters.
pub(crate) fn egressd() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_egressd"));
    command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    command
}

/// What a finished run printed, and its exit status.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it was not killed"),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

/// Runs it to its end.
pub(crate) fn run(arguments: &[&str]) -> Finished {
    Finished::of(egressd().args(arguments).output().expect("the binary starts"))
}

/// A folder with a configuration in it.
#[derive(Debug)]
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder can be made"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).expect("a file can be written");
        path
    }
}

/// The daemon, running. It is killed when this goes.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    address: SocketAddr,
    log: Journal<String>,
    reader: Option<JoinHandle<()>>,
    notified: UnixDatagram,
}

impl Daemon {
    /// Starts it on a port of its own choice, and waits until it says where it listens.
    pub(crate) fn start(folder: &Folder, file: &Path) -> Self {
        Self::start_with(folder, file, |command| command)
    }

    pub(crate) fn start_with(
        folder: &Folder,
        file: &Path,
        change: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Self {
        let mut command = egressd();
        command.args(["run", "--config"]).arg(file);
        change(&mut command);
        Self::start_by(folder, command)
    }

    /// By a command line that becomes the daemon.
    pub(crate) fn start_by(folder: &Folder, mut command: Command) -> Self {
        let socket = folder.path().join("notify");
        let notified = UnixDatagram::bind(&socket).expect("a socket can be made");
        let mut child = command
            .env("NOTIFY_SOCKET", &socket)
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let log = Journal::new();
        let lines = BufReader::new(child.stderr.take().expect("it was piped")).lines();
        let writer = log.clone();
        let reader = std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| {
                writer.push(line);
            });
        });
        let mut daemon = Self {
            child,
            address: ([127, 0, 0, 1], 0).into(),
            log,
            reader: Some(reader),
            notified,
        };
        let line = daemon.wait_for(" targets, on ");
        let address = line.rsplit("://").next().expect("an address");
        // In a log of JSON more follows.
        let address = address.split('"').next().unwrap_or_default();
        daemon.address = address.trim().parse().expect("an address");
        daemon
    }

    /// The first line of the log that holds this text, now or soon.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let lines = self.log.wait_until(|lines| lines.iter().any(|line| line.contains(text)));
        lines.into_iter().find(|line| line.contains(text)).expect("it was there")
    }

    /// Returns once each check has been made and is served, which where state is kept is after it was kept.
    #[track_caller]
    pub(crate) fn wait_until_ready(&self) {
        until("every check was made", || self.get("/-/ready").0 == 200);
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.entries()
    }

    /// The next message to systemd.
    pub(crate) fn notification(&self) -> String {
        let mut message = [0_u8; 1024];
        let read = self.notified.recv(&mut message).expect("a message");
        String::from_utf8_lossy(&message[..read]).into_owned()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.child.wait().expect("it ends")
    }

    /// The status and body of an answer.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        get(self.address, path, &[])
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if let Some(reader) = self.reader.take() {
            reader.join().ok();
        }
    }
}

/// Asks again until it is so.
#[track_caller]
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let asked = Instant::now();
    while !is_so() {
        assert!(asked.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::yield_now();
    }
}

/// A plain request; headers may replace `Host`.
pub(crate) fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let answer = get_whole(address, path, headers);
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    (status, body)
}

/// The same, with the head of the answer.
pub(crate) fn get_whole(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let mut request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        request.push_str(&format!("Host: {address}\r\n"));
    }
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{request}\r\n").as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}
