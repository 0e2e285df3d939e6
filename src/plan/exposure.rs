//! Who may reach the web port, and what follows from it: what is open to a network is said, and `/probe` is open to no
//! network.

use std::net::SocketAddr;

use crate::config::{Problem, Server};

/// What stands before the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// TLS.
    pub tls: bool,
    /// Names and passwords.
    pub passwords: bool,
    /// Verified certificates of all clients.
    pub certificates: bool,
}

/// What is wrong with a listener at that address: faults, and warnings.
pub fn exposure(at: SocketAddr, guard: Guard, probes: bool) -> Vec<Problem> {
    if at.ip().to_canonical().is_loopback() {
        return Vec::new();
    }
    let mut problems = Vec::new();
    if !guard.passwords && !guard.certificates {
        let what = format!("everybody who reaches {at} can read all results");
        let help = "listen on 127.0.0.1, or ask for a password: web_config_file";
        problems.push(Problem::at(None, what, help).as_warning());
        if probes {
            let what = format!("everybody who reaches {at} could make this host probe others");
            let help = "take `blackbox_modules` out, listen on 127.0.0.1, or ask for a password: web_config_file";
            problems.push(Problem::at(None, what, help));
        }
    } else if !guard.tls {
        let what = format!("passwords cross the network to {at} in clear text");
        let help = "add tls_server_config to the web_config_file, or listen on 127.0.0.1";
        problems.push(Problem::at(None, what, help).as_warning());
    }
    problems
}

/// The same for the address of a configuration, with places.
pub fn exposure_of(server: &Server, at: SocketAddr, guard: Guard) -> Vec<Problem> {
    let problems = exposure(at, guard, server.blackbox_modules.is_some());
    let place = |problem: &Problem| match &server.blackbox_modules {
        Some(modules) if !problem.warning => modules.span(),
        Some(_) | None => server.listen.span(),
    };
    let placed = |problem: Problem| {
        let again = Problem::at(Some(place(&problem)), problem.what, problem.help);
        Problem { warning: problem.warning, ..again }
    };
    problems.into_iter().map(placed).collect()
}
