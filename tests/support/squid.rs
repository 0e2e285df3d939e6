//! A real squid: the login it demands, the names it refuses, TLS in front of it or broken open inside.
//!
//! It has no root's rights for long: started by root it goes on as the user `proxy`, which is why its
//! folder becomes that user's.

use std::fmt::Write as _;
use std::fs::{File, Permissions};
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

use super::Journal;
use super::foreign::{At, Foreign, are_here, follow, on_a_free_port};
use super::kdc::Kdc;
use super::pki::{Authority, Leaf};
use super::program::Folder;

/// Who may pass, by Basic and Digest. The helper for NTLM believes everybody, and knows the name.
pub(crate) const USER: &str = "walter";
pub(crate) const PASSWORD: &str = "open sesame";
/// Of the above, by `openssl passwd -apr1 -salt egressd`.
const HASHED: &str = "$apr1$egressd$Nz.R8MA3qk6SygW0tMKqq/";

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The user of Debian's base system that squid's package is built for.
const PROXY: u32 = 13;

/// What it demands and does; by default, nothing and everything.
#[derive(Debug, Default)]
pub(crate) struct Setup<'a> {
    pub(crate) at: At<'a>,
    /// Offered in this order in one 407.
    pub(crate) logins: &'a [Login<'a>],
    /// What it thinks of these names.
    pub(crate) hosts: &'a [(&'a str, IpAddr)],
    /// Whom it asks for other names; on the loopback nobody answers.
    pub(crate) dns: Option<IpAddr>,
    /// Lines of its configuration, before everything else that allows or denies.
    pub(crate) lines: &'a str,
    /// The same after who is `known` was said, where it demands a login.
    pub(crate) rules: &'a str,
    /// Its own certificate: it is asked over TLS.
    pub(crate) leaf: Option<&'a Leaf>,
    /// Breaks TLS open with this CA; what is behind it has to verify against that PEM.
    pub(crate) bump: Option<(&'a Authority, &'a str)>,
}

/// A way to say who one is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Login<'a> {
    Basic,
    Digest,
    Ntlm,
    /// As this service of that KDC.
    Negotiate(&'a Kdc, &'a str),
}

/// A running squid; it is ended when this goes.
#[derive(Debug)]
pub(crate) struct Squid {
    address: SocketAddr,
    name: String,
    program: Option<Foreign>,
    access: Journal<String>,
    reader: Option<JoinHandle<()>>,
    _folder: Folder,
}

/// Whether it is here, with all that this needs; a run in CI does not accept that it is not. `squid` may
/// be of the package that has no OpenSSL, and with it no certificates of its own.
#[track_caller]
pub(crate) fn is_here() -> bool {
    are_here(&["/usr/sbin/squid", "/usr/lib/squid/security_file_certgen"])
}

impl Squid {
    pub(crate) fn start(setup: &Setup<'_>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let folder = Folder::new();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("its folder");
        let lines = setup.lines_in(&folder);
        // Its log goes through a pipe with a name: to wait for a line is to read. Opened for both, it has a
        // writer before there is squid; after that, its end is squid's.
        let pipe = folder.path().join("access");
        must(Command::new("mkfifo").arg(&pipe));
        let writer = File::options().read(true).write(true).open(&pipe).expect("the pipe");
        let access = Journal::new();
        let reader = follow(BufReader::new(File::open(&pipe).expect("the pipe")).lines(), &access);
        if is_root() && has_user(PROXY) {
            must(Command::new("chown").args(["-R", &PROXY.to_string()]).arg(folder.path()));
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("egressd{}x{count}", std::process::id());
        let (address, mut program) = on_a_free_port(setup.at, |address| {
            let port = setup.port_line(address, folder.path());
            let file = folder.write("squid.conf", &format!("{port}\n{lines}"));
            Foreign::start(setup.command(&name, &file), " connections at ")
        });
        // It has bound the port when it says so, and listens in its next turn (`TcpAcceptor::start`).
        program.wait_until_it_listens(address);
        drop(writer);
        let (program, reader) = (Some(program), Some(reader));
        Self { address, name, program, access, reader, _folder: folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for a line of its access log with this text: method, what was asked for, status, what squid
    /// did, the user's name or `-`. A tunnel is logged when it is over.
    #[track_caller]
    pub(crate) fn wait_access(&self, text: &str) -> String {
        let lines = self.wait_until(|lines| lines.iter().any(|line| line.contains(text)));
        lines.into_iter().find(|line| line.contains(text)).expect("it was there")
    }

    /// The same for lines that are told otherwise.
    #[track_caller]
    pub(crate) fn wait_until(&self, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
        self.access.wait_until(enough)
    }

    /// Sends it a signal by its name, as `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        self.program.as_ref().expect("it runs").signal(name);
    }

    /// Its access log so far.
    pub(crate) fn access(&self) -> Vec<String> {
        self.access.entries()
    }
}

impl Drop for Squid {
    fn drop(&mut self) {
        // Asked to end it takes a second, killed it leaves its shared memory, which has its name
        // (`ipc/mem/Segment.cc`).
        drop(self.program.take());
        for entry in std::fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&format!("{}-", self.name)) {
                std::fs::remove_file(entry.path()).ok();
            }
        }
        self.reader.take().map(JoinHandle::join);
    }
}

impl Setup<'_> {
    fn command(&self, name: &str, file: &Path) -> Command {
        let mut command = if is_root() && !has_user(PROXY) {
            // It refuses to be root, and in a user namespace of one user there is no other to become: in one
            // inside of that, the same user has another number.
            let mut command = self.at.command("unshare");
            command.args(["--user", "--map-user=1000", "--map-group=1000", "squid"]);
            command
        } else {
            self.at.command("squid")
        };
        command.args(["-N", "-d", "1", "-n", name, "-f"]).arg(file);
        for login in self.logins {
            if let Login::Negotiate(kdc, _) = login {
                command.env("KRB5_CONFIG", kdc.conf()).env("KRB5RCACHENAME", "none:");
            }
        }
        command
    }

    fn port_line(&self, address: SocketAddr, folder: &Path) -> String {
        let folder = folder.display();
        let (kind, bump) = (
            if self.leaf.is_some() { "https_port" } else { "http_port" },
            if self.bump.is_some() { " ssl-bump generate-host-certificates=on" } else { "" },
        );
        let pair = format!(" tls-cert={folder}/chain.pem tls-key={folder}/key.pem");
        let pair = if self.leaf.is_some() || self.bump.is_some() { &*pair } else { "" };
        format!("{kind} {address}{bump}{pair}")
    }

    /// Everything but the port, and the files that it names.
    fn lines_in(&self, folder: &Folder) -> String {
        let here = folder.path().display();
        let hosts = self.hosts.iter().fold(String::new(), |mut text, (name, address)| {
            writeln!(text, "{address} {name}").expect("text");
            text
        });
        folder.write("hosts", &hosts);
        // Few descriptors: it allocates room for as many as it may have. Nobody answers at port 53 here.
        let mut lines = format!(
            "pid_filename none\ncache_log /dev/null\ncoredump_dir {here}\nnetdb_filename none\n\
             logformat seen %rm %ru %>Hs %Ss %un\naccess_log stdio:{here}/access logformat=seen\n\
             max_filedescriptors 512\ncache deny all\ncache_mem 1 MB\nmemory_cache_shared off\n\
             pinger_enable off\nhosts_file {here}/hosts\ndns_nameservers {}\n\
             dns_timeout 1 second\ndns_retransmit_interval 1 second\nshutdown_lifetime 0 seconds\nvisible_hostname squid.test\n\
             sslproxy_session_cache_size 0\n{}\n",
            self.dns.unwrap_or(HERE),
            self.lines,
        );
        if is_root() && has_user(PROXY) {
            lines.push_str("cache_effective_user proxy\n");
        }
        if let Some(leaf) = self.leaf {
            folder.write("chain.pem", leaf.chain_pem());
            folder.write("key.pem", &leaf.key_pem());
        }
        if let Some((authority, behind)) = self.bump {
            folder.write("chain.pem", &authority.pem());
            folder.write("key.pem", &authority.key_pem());
            folder.write("behind.pem", behind);
            let program = "/usr/lib/squid/security_file_certgen";
            must(Command::new(program).args(["-c", "-s", &format!("{here}/made"), "-M", "4MB"]));
            write!(
                lines,
                "sslcrtd_program {program} -s {here}/made -M 4MB\nsslcrtd_children 1\n\
                 tls_outgoing_options cafile={here}/behind.pem default-ca=off\nssl_bump bump all\n"
            )
            .expect("text");
        }
        for login in self.logins {
            lines.push_str(&login.lines(folder));
        }
        let rest = if self.logins.is_empty() { "" } else { "acl known proxy_auth REQUIRED\n" };
        let whom = if self.logins.is_empty() { "all" } else { "known" };
        let rules = self.rules;
        format!("{lines}{rest}{rules}http_access allow {whom}\nhttp_access deny all\n")
    }
}

impl Login<'_> {
    fn lines(self, folder: &Folder) -> String {
        let (scheme, helper) = match self {
            Self::Basic => {
                let file = folder.write("passwords", &format!("{USER}:{HASHED}\n"));
                ("basic", format!("basic_ncsa_auth {}", file.display()))
            }
            Self::Digest => {
                let file = folder.write("digests", &format!("{USER}:{PASSWORD}\n"));
                ("digest", format!("digest_file_auth {}", file.display()))
            }
            Self::Ntlm => ("ntlm", "ntlm_fake_auth".to_owned()),
            Self::Negotiate(kdc, service) => {
                let keytab = kdc.keytab(service);
                std::fs::set_permissions(&keytab, Permissions::from_mode(0o644))
                    .expect("its keytab");
                let helper =
                    format!("negotiate_kerberos_auth -k {} -s {service}", keytab.display());
                ("negotiate", helper)
            }
        };
        let realm = match self {
            Self::Basic | Self::Digest => format!("auth_param {scheme} realm squid of a test\n"),
            Self::Ntlm | Self::Negotiate(..) => String::new(),
        };
        format!(
            "auth_param {scheme} program /usr/lib/squid/{helper}\n{realm}\
             auth_param {scheme} children 1 startup=1 idle=1\n"
        )
    }
}

fn must(command: &mut Command) {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Whether this process is root, be it of a user namespace.
fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").expect("it is readable");
    status.lines().any(|line| line.starts_with("Uid:\t0\t0\t"))
}

/// Whether there is such a number in this user namespace (`user_namespaces(7)`).
fn has_user(number: u32) -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").expect("it is readable");
    map.lines().any(|line| {
        let fields: Vec<u32> = line.split_whitespace().flat_map(str::parse).collect();
        fields.len() == 3 && (fields[0]..=fields[0].saturating_add(fields[2] - 1)).contains(&number)
    })
}
