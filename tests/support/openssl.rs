//! A TLS server that is not ours: `openssl s_server`, and what else its command line says of a certificate.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread;

use tempfile::TempDir;

use super::not_run;
use super::pki::Leaf;

/// Whether there is one here; a run in CI does not accept that there is none.
#[track_caller]
pub(crate) fn is_here() -> bool {
    let found = Command::new("openssl").arg("version").output().is_ok();
    if !found {
        not_run("openssl is not installed");
    }
    found
}

/// What ends a certificate.
const END: &str = "-----END CERTIFICATE-----\n";

/// What a shell prints, with a certificate on its standard input's place, `$1`.
pub(crate) fn says(script: &str, pem: &str) -> String {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("certificate.pem");
    std::fs::write(&file, pem).expect("a file");
    let output =
        Command::new("sh").args(["-ec", script, "sh"]).arg(&file).output().expect("a shell");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A running `openssl s_server`, which answers every request with a page about the connection.
#[derive(Debug)]
pub(crate) struct SServer {
    child: Child,
    address: SocketAddr,
    drain: Option<thread::JoinHandle<()>>,
    _folder: TempDir,
}

impl SServer {
    /// With that leaf, that PEM as its file of client CAs, and further arguments.
    pub(crate) fn start(leaf: &Leaf, clients: &str, arguments: &[&str]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        let mut command = Command::new("openssl");
        command.args(["s_server", "-accept", "127.0.0.1:0", "-www"]);
        let own = leaf.chain_pem().find(END).map_or(0, |at| at + END.len());
        let (own, rest) = leaf.chain_pem().split_at(own);
        command.arg("-cert").arg(write("leaf.pem", own));
        if !rest.is_empty() {
            command.arg("-cert_chain").arg(write("rest.pem", rest));
        }
        command.arg("-key").arg(write("key.pem", &leaf.key_pem()));
        if !clients.is_empty() {
            command.arg("-CAfile").arg(write("clients.pem", clients));
        }
        command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("openssl runs");
        let mut lines = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        // It says so once it listens; a wrong argument ends it, and the output with it.
        let address = loop {
            line.clear();
            let read = lines.read_line(&mut line).expect("text");
            assert!(read > 0, "openssl s_server {arguments:?} does not start");
            if let Some(address) = line.trim().strip_prefix("ACCEPT ") {
                break address.parse().expect("an address");
            }
        };
        // A pipe that nobody reads would stop it.
        let drain = thread::spawn(move || {
            lines.read_to_end(&mut Vec::new()).ok();
        });
        Self { child, address, drain: Some(drain), _folder: folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for SServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        self.drain.take().map(thread::JoinHandle::join);
    }
}
