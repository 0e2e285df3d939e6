//! The static binary: glibc inside (`+crt-static`), no library of the system, therefore no Kerberos. It asks name servers by
//! itself and looks no user up, so that nothing of glibc's is missing that a static program cannot load.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::built::said;
use crate::support::dns::{DnsServer, Zone};
use crate::support::http::Behaviour as Http;
use crate::support::not_run;
use crate::support::pki::Authority;
use crate::support::program::{Finished, Folder};
use crate::support::tls::{Behaviour, TlsServer};

/// By the README's line, in the profile of tests.
fn made() -> PathBuf {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        let readme = fs::read_to_string("README.md").expect("it is there");
        let mut lines = readme.lines().filter_map(|line| line.strip_prefix("$ "));
        let line = lines.find(|line| line.contains("+crt-static")).expect("the README says how");
        let line = line.replace("--profile dist", "--locked --bin egressd");
        let made = Command::new("sh").args(["-c", &line]).status();
        assert!(made.expect("a shell").success(), "no static binary");
    });
    PathBuf::from("target/x86_64-unknown-linux-gnu/debug/egressd")
}

/// A root with the binary in it and nothing else, no device either.
fn root(binary: &Path) -> Folder {
    let root = Folder::new();
    fs::copy(binary, root.path().join("egressd")).expect("a copy");
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("its folder");
    root
}

/// Runs it there; none where this process may not.
fn run(root: &Folder, arguments: &[&str]) -> Option<Finished> {
    let mut command = Command::new("chroot");
    command
        .arg(root.path())
        .arg("/egressd")
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin");
    let finished = Finished::of(command.output().expect("chroot runs"));
    if finished.code == 125 {
        not_run("another root needs root");
        return None;
    }
    Some(finished)
}

/// A site whose names and CA are only what it brings along: its own bundle, where the system's would be.
fn configuration(root: &Folder, dns: SocketAddr, api: &TlsServer, authority: &Authority) {
    fs::create_dir_all(root.path().join("etc/ssl/certs")).expect("a folder");
    root.write("etc/ssl/certs/ca-certificates.crt", &authority.pem());
    let text = format!(
        "[dns]\nservers = [\"{dns}\"]\n[trust]\npublic_roots = \"/etc/ssl/certs/ca-certificates.crt\"\n\
         [[target]]\nname = \"api\"\nprovider = \"anthropic\"\nroutes = [\"direct\"]\n\
         url = \"https://api.egressd.test:{}/v1/models\"\n",
        api.address().port()
    );
    root.write("egressd.toml", &text);
}

#[test]
fn it_checks_from_a_root_with_a_ca_bundle_and_nothing_else() {
    let binary = made();
    let needs = said("readelf", &["--dynamic", "--program-headers", &binary.display().to_string()]);
    assert!(!needs.contains("NEEDED") && !needs.contains("INTERP"), "{needs}");
    let authority = Authority::new("Public Test Root");
    let leaf = Arc::new(authority.leaf(&["api.egressd.test"]));
    let api = TlsServer::start(&leaf, Behaviour::Serve(Http::AnthropicUnauthorized));
    let dns = DnsServer::start(Zone::new().address("api.egressd.test", [127, 0, 0, 1]));
    let root = root(&binary);
    configuration(&root, dns.address(), &api, &authority);
    let arguments = ["check", "--config", "/egressd.toml", "--format", "json"];
    let Some(finished) = run(&root, &arguments) else { return };
    assert_eq!(finished.code, 0, "{}{}", finished.stdout, finished.stderr);
    let document: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!(document["checks"][0]["status"], "ok", "{document:#}");
    assert_eq!(dns.queries()[0].name, "api.egressd.test");
}

#[test]
fn it_says_that_it_has_no_kerberos() {
    let root = root(&made());
    root.write(
        "egressd.toml",
        "[[route]]\nname = \"corp\"\nproxy = \"http://proxy.corp.example:3128\"\n\
         auth = { scheme = \"negotiate\" }\n[[target]]\nname = \"anthropic\"\nprovider = \"anthropic\"\n",
    );
    let Some(version) = run(&root, &["--version"]) else { return };
    let wanted =
        concat!("egressd ", env!("CARGO_PKG_VERSION"), " without kerberos\nkerberos: no\n");
    assert!(version.stdout.starts_with(wanted), "{}", version.stdout);
    let checked = run(&root, &["config", "check", "/egressd.toml"]).expect("it ran before");
    assert_eq!(checked.code, 78, "{}", checked.stderr);
    assert!(checked.stderr.contains("this build is without negotiate"), "{}", checked.stderr);
}
