//! Where a socket is bound says who reaches it: one that the service manager hands over, and one that stays while the
//! configuration changes.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{secret, user};
use crate::support::ground::Ground;
use crate::support::netns::{Host, Hosts};
use crate::support::program::{Daemon, Finished, get, until};

const PROBES: &str = "could make this host probe others";

/// A configuration with modules, behind a web configuration.
fn configure(ground: &Ground, listen: &str, web: &str) -> std::path::PathBuf {
    let modules = ground.folder.write("m.yml", "modules: {}\n");
    let web = secret(&ground.folder, "web.yml", web);
    let text = format!(
        "[server]\nlisten = \"{listen}\"\nweb_config_file = \"{}\"\nblackbox_modules = \"{}\"\n{}\n[[target]]\nname = \"control\"\nurl = \"https://{}/\"\n",
        web.display(),
        modules.display(),
        ground.tables(),
        ground.control.address(),
    );
    ground.folder.write("egressd.toml", &text)
}

/// The daemon with that socket, as systemd hands it over (`sd_listen_fds(3)`).
fn handed(config: &Path, socket: TcpListener) -> Command {
    let mut command = Command::new("sh");
    let line = "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" run --config \"$1\"";
    command.args(["-ec", line, env!("CARGO_BIN_EXE_egressd")]).arg(config);
    command.env_clear().stdin(Stdio::from(OwnedFd::from(socket)));
    command
}

/// What `/probe` says on every address of the client's, to nobody.
fn asked(hosts: &Hosts, daemon: &Daemon) -> [u16; 2] {
    let port = daemon.address().port();
    let ask =
        move || [[127, 0, 0, 1], [10, 1, 2, 3]].map(|ip| get((ip, port).into(), "/probe", &[]).0);
    hosts.there(Host::Client, ask)
}

#[test]
fn a_socket_that_is_handed_over_is_judged_by_its_own_address() {
    let Some(hosts) = Hosts::new() else { return };
    let bind = |to: &'static str| {
        hosts.there(Host::Client, move || TcpListener::bind(to).expect("an address of its own"))
    };
    // What the configuration would listen on is of no account, to either side.
    let ground = Ground::new();
    let config = configure(&ground, "127.0.0.1:9737", "{}\n");
    let started = Finished::of(handed(&config, bind("0.0.0.0:0")).output().expect("it starts"));
    assert_eq!(started.code, 78, "{}", started.stderr);
    assert!(started.stderr.contains(PROBES), "{}", started.stderr);
    let config = configure(&ground, "0.0.0.0:9737", "{}\n");
    let loopback = Daemon::start_by(&ground.folder, handed(&config, bind("127.0.0.1:0")));
    let port = loopback.address().port();
    let answer =
        hosts.there(Host::Client, move || get(([127, 0, 0, 1], port).into(), "/-/healthy", &[]));
    assert_eq!(answer.0, 200);
    assert!(!loopback.log().iter().any(|line| line.contains("everybody")), "{:?}", loopback.log());

    // Nor is it later, when the users are taken out.
    let ground = Ground::new();
    let config = configure(&ground, "127.0.0.1:9737", &user("mon", "sesame"));
    let daemon = Daemon::start_by(&ground.folder, handed(&config, bind("0.0.0.0:0")));
    assert_eq!(asked(&hosts, &daemon), [401; 2]);
    secret(&ground.folder, "web.yml", "{}\n");
    daemon.wait_for(PROBES);
    assert_eq!(asked(&hosts, &daemon), [401; 2]);
    secret(&ground.folder, "web.yml", &user("mon", "other"));
    daemon.signal("HUP");
    daemon.wait_for("reloaded: 1 targets");
    assert_eq!(asked(&hosts, &daemon), [401; 2]);
}

/// `[server] listen` takes effect with a restart: until then it says nothing about who reaches the port.
#[test]
fn a_socket_that_stays_is_judged_where_it_is() {
    let Some(hosts) = Hosts::new() else { return };
    let ground = Ground::new();
    let config = configure(&ground, "0.0.0.0:0", &user("mon", "sesame"));
    let mut command = hosts.egressd();
    command.args(["run", "--config"]).arg(&config);
    let daemon = Daemon::start_by(&ground.folder, command);
    configure(&ground, "127.0.0.1:0", "{}\n");
    daemon.signal("HUP");
    daemon.wait_for("the old plan stays in force");
    daemon.wait_for(PROBES);
    assert_eq!(asked(&hosts, &daemon), [401; 2]);
    // And the next one must not be open, either.
    configure(&ground, "127.0.0.1:0", &user("mon", "sesame"));
    daemon.signal("HUP");
    until("it is sound", || daemon.log().iter().any(|line| line.contains("reloaded: 1 targets")));
}
