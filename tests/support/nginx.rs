//! A real nginx, in the foreground, on listeners that the test has opened for it: nothing is waited for, no port is guessed.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use super::not_run;
use super::pki::Leaf;
use super::program::Folder;

/// A running nginx with one TLS server; ended when this goes.
#[derive(Debug)]
pub(crate) struct Nginx {
    address: SocketAddr,
    child: Child,
    folder: Folder,
}

impl Nginx {
    /// With these locations, and these files in its root; none where there is no nginx, which a run in CI does not accept.
    pub(crate) fn start(leaf: &Leaf, locations: &str, files: &[(&str, &str)]) -> Option<Self> {
        if !Command::new("nginx")
            .arg("-v")
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
        {
            not_run("there is no nginx");
            return None;
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let address = listener.local_addr().expect("the listener's address");
        let folder = Folder::new();
        for (name, text) in files {
            folder.write(name, text);
        }
        folder.write("chain.pem", leaf.chain_pem());
        folder.write("key.pem", &leaf.key_pem());
        let here = folder.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {here}/{kind};"))
            .concat();
        let config = format!(
            "daemon off; user root; worker_processes 1; pid {here}/pid; error_log {here}/log warn; events {{}}\n\
             http {{ {temporary} access_log off; root {here}; default_type application/json;\n\
             server {{ listen {address} ssl http2; server_name localhost;\n\
             ssl_certificate chain.pem; ssl_certificate_key key.pem;\n{locations} }} }}\n"
        );
        let config = folder.write("nginx.conf", &config);
        // Its worker is root as its master is, or it could not read this folder; another user's nginx passes the line over.
        // What a binary upgrade hands on (nginx.org, "Upgrading Executable on the Fly"): it listens already, so that who
        // connects early waits in its queue. Standard input is a descriptor that needs no code between fork and exec.
        let child = Command::new("nginx")
            .env("NGINX", "0;")
            .arg("-p")
            .arg(folder.path())
            .arg("-e")
            .arg(folder.path().join("log"))
            .arg("-c")
            .arg(config)
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts");
        Some(Self { address, child, folder })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

#[expect(clippy::print_stdout, reason = "the log belongs to a test that fails")]
impl Drop for Nginx {
    fn drop(&mut self) {
        // Its worker would outlive a master that is killed.
        Command::new("kill").arg(self.child.id().to_string()).status().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log"));
            println!("nginx: {}", log.unwrap_or_default());
        }
    }
}
