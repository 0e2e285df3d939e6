//! A real tinyproxy: open, with a password, or with names that it refuses.

use std::net::SocketAddr;

use super::Journal;
use super::foreign::{At, Foreign, are_here, on_a_free_port};
use super::program::Folder;

/// What ends a start on a port that is taken: it keeps the reason for a log that has not begun.
const TAKEN: &str = "Could not create listening sockets";

/// A running tinyproxy; it is ended when this goes.
#[derive(Debug)]
pub(crate) struct Tinyproxy {
    address: SocketAddr,
    program: Foreign,
    _folder: Folder,
}

/// Whether it is here; a run in CI does not accept that it is not.
#[track_caller]
pub(crate) fn is_here() -> bool {
    are_here(&["/usr/bin/tinyproxy"])
}

impl Tinyproxy {
    /// With these lines of configuration, as `BasicAuth walter sesame`, and a filter of these patterns.
    pub(crate) fn start(at: At<'_>, lines: &str, refused: &[&str]) -> Self {
        let folder = Folder::new();
        let filter = folder.write("filter", &refused.join("\n"));
        let (address, program) = on_a_free_port(at, |address| {
            let text = format!(
                "Listen {}\nPort {}\nTimeout 60\nMaxClients 20\nLogLevel Info\nFilter \"{}\"\n{lines}\n",
                address.ip(),
                address.port(),
                filter.display()
            );
            let mut command = at.command("tinyproxy");
            command.arg("-d").arg("-c").arg(folder.write("tinyproxy.conf", &text));
            Foreign::start(command, "Accepting connections").map_err(|mut log| {
                if log.iter().any(|line| line.contains(TAKEN)) {
                    log.push("address in use".to_owned());
                }
                log
            })
        });
        Self { address, program, _folder: folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its log: `Request` before it looks at a password, `Established connection` after it.
    pub(crate) fn log(&self) -> &Journal<String> {
        self.program.log()
    }
}
