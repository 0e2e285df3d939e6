//! A real Kerberos: a realm of its own with a KDC of MIT's, keytabs, tickets, and a clock that may be wrong.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::Journal;
use super::foreign::{At, Foreign, are_here, on_a_free_port};
use super::program::Folder;

pub(crate) const REALM: &str = "EGRESSD.TEST";

/// The realm, and its KDC while it runs; it is ended when this goes.
#[derive(Debug)]
pub(crate) struct Kdc {
    /// A network namespace and an address in it, if not this host's loopback.
    place: Option<(String, IpAddr)>,
    address: SocketAddr,
    program: Option<Foreign>,
    folder: Folder,
}

/// Whether all of it is here; a run in CI does not accept that it is not.
#[track_caller]
pub(crate) fn is_here() -> bool {
    let programs =
        ["/usr/sbin/krb5kdc", "/usr/sbin/kdb5_util", "/usr/sbin/kadmin.local", "/usr/bin/kinit"];
    are_here(&programs)
}

impl Kdc {
    /// A realm with these principals, whose keys are random, on this host's loopback.
    pub(crate) fn start(principals: &[&str]) -> Self {
        Self::start_in(None, principals)
    }

    /// The same in a network namespace, at that address.
    pub(crate) fn start_in(place: Option<(String, IpAddr)>, principals: &[&str]) -> Self {
        let folder = Folder::new();
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), open).expect("its folder");
        let here = folder.path().display();
        // A ticket is usable at once, and what asks for one has to prove that it has the key.
        let database = format!(
            "[realms]\n{REALM} = {{\n database_name = {here}/principal\n key_stash_file = {here}/stash\n\
             \x20acl_file = {here}/acl\n max_life = 1h\n default_principal_flags = +preauth\n\
             \x20supported_enctypes = aes256-cts-hmac-sha1-96:normal\n}}\n"
        );
        folder.write("kdc.conf", &database);
        let address = ([127, 0, 0, 1], 0).into();
        let mut kdc = Self { place, address, program: None, folder };
        kdc.write_conf();
        must(kdc.tool("kdb5_util").args(["-r", REALM, "create", "-s", "-P", "master"]), "");
        for principal in principals {
            kdc.admin(&format!("addprinc -randkey {principal}"));
        }
        kdc.run(0);
        kdc
    }

    /// Starts it anew, with its clock so many seconds ahead, on another port.
    pub(crate) fn run(&mut self, ahead: i32) {
        self.stop();
        let place = self.place.clone();
        let at = place.as_ref().map_or(At::Loopback, |(name, ip)| At::Namespace(name, *ip, None));
        let (address, program) = on_a_free_port(at, |address| {
            self.address = address;
            self.write_conf();
            let mut command = self.tool_at(at, "krb5kdc");
            command.args(["-n", "-r", REALM, "-T", &ahead.to_string(), "-P"]);
            command.arg(self.folder.path().join("pid"));
            Foreign::start(command, "commencing operation")
        });
        (self.address, self.program) = (address, Some(program));
    }

    /// Nobody answers at its port any more; the realm stays.
    pub(crate) fn stop(&mut self) {
        drop(self.program.take());
    }

    /// What belongs into `KRB5_CONFIG`.
    pub(crate) fn conf(&self) -> PathBuf {
        self.folder.path().join("krb5.conf")
    }

    /// One command of `kadmin.local`, as `modprinc -allow_tix monitor`.
    #[track_caller]
    pub(crate) fn admin(&self, command: &str) {
        let output = must(self.tool("kadmin.local").args(["-r", REALM, "-q", command]), "");
        // Its exit status is of the program, not of the command.
        assert!(!output.contains(" while "), "{command}: {output}");
    }

    /// A keytab with the keys that this principal has now.
    #[track_caller]
    pub(crate) fn keytab(&self, principal: &str) -> PathBuf {
        let file = self.folder.path().join(format!("{}.keytab", principal.replace('/', "-")));
        // A key that was there before would stay in it.
        std::fs::remove_file(&file).ok();
        self.admin(&format!("ktadd -k {} -norandkey {principal}", file.display()));
        file
    }

    /// A ticket for somebody with a password, good for so long (`1h`): the name of its cache.
    #[track_caller]
    pub(crate) fn kinit(&self, principal: &str, password: &str, life: &str) -> String {
        let cache =
            format!("FILE:{}", self.folder.path().join(format!("{principal}.cc")).display());
        must(self.tool("kinit").args(["-l", life, "-c", &cache, principal]), password);
        cache
    }

    /// The KDC's log while it runs: `AS_REQ` and `TGS_REQ`, each with `ISSUE:` or with what is wrong.
    pub(crate) fn log(&self) -> &Journal<String> {
        self.program.as_ref().expect("it runs").log()
    }

    fn write_conf(&self) {
        // No name is looked up, and a clock that differs is not quietly taken over.
        let text = format!(
            "[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n\
             \x20dns_lookup_realm = false\n rdns = false\n dns_canonicalize_hostname = false\n\
             \x20kdc_timesync = 0\n default_ccache_name = FILE:{here}/default\n\
             [realms]\n {REALM} = {{\n  kdc = {address}\n }}\n\
             [domain_realm]\n localhost = {REALM}\n .test = {REALM}\n\
             [kdcdefaults]\n kdc_listen = {address}\n kdc_tcp_listen = {address}\n\
             [logging]\n kdc = STDERR\n",
            here = self.folder.path().display(),
            address = self.address,
        );
        self.folder.write("krb5.conf", &text);
    }

    fn tool(&self, program: &str) -> Command {
        self.tool_at(At::Loopback, program)
    }

    fn tool_at(&self, at: At<'_>, program: &str) -> Command {
        let mut command = at.command(program);
        command.env("KRB5_CONFIG", self.conf());
        command.env("KRB5_KDC_PROFILE", self.folder.path().join("kdc.conf"));
        command
    }
}

/// What it prints, with this as its input.
#[track_caller]
fn must(command: &mut Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    writeln!(child.stdin.take().expect("its input"), "{input}").ok();
    let output = child.wait_with_output().expect("its output");
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{command:?}: {out}{err}");
    format!("{out}{err}")
}
