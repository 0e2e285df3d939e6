//! The web port closed to strangers: TLS and passwords by the exporters' web configuration, asked by curl, openssl, a
//! real Prometheus, and by those who mean harm.

mod config;
mod flood;
mod handed;
mod logins;
mod reload;
mod tls;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::foreign::are_here;
use crate::support::ground::Ground;
use crate::support::pki::{Authority, Leaf};
use crate::support::program::{Daemon, Finished, Folder};

/// A daemon with a web configuration, and what its clients have.
struct Bench {
    daemon: Daemon,
    ground: Ground,
    /// Who signs for the clients.
    clients: Authority,
}

/// TLS by the files that a bench has.
const TLS: &str = "tls_server_config:\n  cert_file: web.pem\n  key_file: web.key\n";
/// The same, with a certificate demanded.
const MUTUAL: &str = "tls_server_config:\n  cert_file: web.pem\n  key_file: web.key\n  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.pem\n";

/// A user, by a hash as cheap as they may be.
fn user(name: &str, password: &str) -> String {
    let hash = bcrypt::hash(password, 4).expect("a hash");
    format!("basic_auth_users:\n  {name}: \"{hash}\"\n")
}

/// What only its owner may read.
fn secret(folder: &Folder, name: &str, text: &str) -> PathBuf {
    let path = folder.write(name, text);
    allow(&path, 0o600);
    path
}

fn allow(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("our own file");
}

fn show(folder: &Folder, name: &str, leaf: &Leaf) {
    secret(folder, &format!("{name}.key"), &leaf.key_pem());
    folder.write(&format!("{name}.pem"), leaf.chain_pem());
}

impl Bench {
    fn new(web: &str) -> Self {
        Self::with(web, "", "")
    }

    /// With further lines of `[server]`, and further tables.
    fn with(web: &str, server: &str, tables: &str) -> Self {
        let (ground, clients) = (Ground::new(), Authority::new("Clients"));
        show(&ground.folder, "web", &ground.authority.leaf(&["127.0.0.1", "localhost"]));
        show(&ground.folder, "client", &clients.leaf(&["mon.example", "10.9.8.7"]));
        show(&ground.folder, "other", &ground.authority.leaf(&["mon.example"]));
        ground.folder.write("clients.pem", &clients.pem());
        let file = secret(&ground.folder, "web.yml", web);
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nweb_config_file = \"{}\"\n{server}{}{tables}\n[[target]]\nname = \"control\"\nurl = \"https://{}/\"\n",
            file.display(),
            ground.tables(),
            ground.control.address(),
        );
        let config = ground.folder.write("egressd.toml", &config);
        let daemon = Daemon::start(&ground.folder, &config);
        Self { daemon, ground, clients }
    }

    /// What curl makes of a path over HTTPS, trusting who signs here.
    fn curl(&self, path: &str, arguments: &[&str]) -> Answer {
        let ca = ["--cacert", "public.pem"];
        curl(&self.ground.folder, &self.url("https", path), &[&ca[..], arguments].concat())
    }

    fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://{}{path}", self.daemon.address())
    }
}

/// What curl got.
#[derive(Debug)]
struct Answer {
    code: i32,
    status: u16,
    body: String,
    error: String,
}

/// None is running where curl is not installed.
fn is_here() -> bool {
    are_here(&["/usr/bin/curl"])
}

fn curl(folder: &Folder, url: &str, arguments: &[&str]) -> Answer {
    let mut command = Command::new("curl");
    command.current_dir(folder.path()).env_clear();
    command.args(["-sS", "--max-time", "30", "-w", "\n%{http_code}"]).args(arguments).arg(url);
    let Finished { code, stdout, stderr } = Finished::of(command.output().expect("curl runs"));
    let (body, status) = stdout.rsplit_once('\n').expect("it was asked for");
    let status = status.parse().expect("a status");
    Answer { code, status, body: body.to_owned(), error: stderr }
}
