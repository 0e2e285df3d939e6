//! Real SOCKS5 servers: Dante's `danted`, which has rules, and `microsocks`, which has one user.
//!
//! Dante knows the users of the host alone, by its shadow file or its PAM: no test has one of those.

use std::net::SocketAddr;

use super::Journal;
use super::foreign::{At, Foreign, are_here, on_a_free_port};
use super::program::Folder;

/// A running server; it is ended when this goes.
#[derive(Debug)]
pub(crate) struct Socks {
    address: SocketAddr,
    program: Foreign,
    _folder: Folder,
}

/// Whether both are here; a run in CI does not accept that one is not.
#[track_caller]
pub(crate) fn are_both_here() -> bool {
    are_here(&["/usr/sbin/danted", "/usr/bin/microsocks"])
}

impl Socks {
    /// A danted that anybody may use, but not towards what these rules block, as
    /// `socks block { from: 0.0.0.0/0 to: 127.0.0.9/32 log: connect }`. A tunnel is logged as `pass`, with
    /// both ends, when it begins; what is refused as `block`.
    pub(crate) fn danted(at: At<'_>, rules: &str) -> Self {
        let folder = Folder::new();
        let (address, program) = on_a_free_port(at, |address| {
            let text = format!(
                "logoutput: stderr\ninternal: {ip} port = {}\nexternal: {ip}\n\
                 clientmethod: none\nsocksmethod: none\n\
                 client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 log: error }}\n{rules}\n\
                 socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 log: connect error }}\n",
                address.port(),
                ip = address.ip(),
            );
            let mut command = at.command("danted");
            command.arg("-f").arg(folder.write("danted.conf", &text));
            // Files for what its processes share.
            command.env("TMPDIR", folder.path());
            Foreign::start(command, " running")
        });
        Self { address, program, _folder: folder }
    }

    /// A microsocks, for that user alone where there is one. It logs who is `connected to` what, and nothing else.
    pub(crate) fn microsocks(at: At<'_>, user: Option<(&str, &str)>) -> Self {
        let folder = Folder::new();
        let (address, program) = on_a_free_port(at, |address| {
            let mut command = at.command("microsocks");
            command.args(["-i", &address.ip().to_string(), "-p", &address.port().to_string()]);
            if let Some((name, password)) = user {
                command.args(["-u", name, "-P", password]);
            }
            Foreign::start_mute(command, address)
        });
        Self { address, program, _folder: folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn log(&self) -> &Journal<String> {
        self.program.log()
    }
}

impl Drop for Socks {
    fn drop(&mut self) {
        // Dante is a family of processes, whose mother ends the others.
        self.program.terminate();
    }
}
