//! The image without an engine: its root file system is made, and the program runs in it as an engine would run it,
//! in namespaces, read-only, as nobody, without a capability.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::ground::{Ground, target};
use crate::support::http::{Behaviour as Http, HttpServer};
use crate::support::not_run;
use crate::support::program::{Daemon, Finished, Folder, run};
use crate::support::tls::Behaviour as Tls;

/// Arguments: the root, the folder that is mounted on /etc/egressd, what is run. The bounding set is what `chroot`
/// needs to become nobody, who has no capability.
const ENTER: &str = r#"
root=$1 config=$2; shift 2
mount --bind "$root" "$root"
mount --bind -o ro "$config" "$root/etc/egressd"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=0700,uid=65534,gid=65534 state "$root/var/lib/egressd"
mount -o remount,bind,ro "$root"
export STATE_DIRECTORY=/var/lib/egressd
exec setpriv --no-new-privs --bounding-set=-all,+sys_chroot,+setuid,+setgid \
  chroot --userspec=65534:65534 --groups= "$root" "$@"
"#;

/// The file system, made from the tested binary, and a folder for its configuration.
struct Image {
    root: Folder,
    config: PathBuf,
}

impl Image {
    /// None where this process may not do what an engine does.
    fn make(ground: &Ground) -> Option<Self> {
        let may = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "setpriv", "--reuid=65534", "--clear-groups"])
            .args(["/bin/true"])
            .stderr(Stdio::null())
            .status();
        if !may.is_ok_and(|status| status.success()) {
            not_run("namespaces and the user nobody need root");
            return None;
        }
        let root = Folder::new();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("its folder");
        let made = Command::new("deploy/container/root")
            .arg(env!("CARGO_BIN_EXE_egressd"))
            .arg(root.path())
            .output()
            .expect("a shell");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let config = ground.folder.path().to_owned();
        fs::set_permissions(&config, fs::Permissions::from_mode(0o755)).expect("its folder");
        Some(Self { root, config })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
        command.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-e", "-c", ENTER, "sh"]);
        command.arg(self.root.path()).arg(&self.config).arg("/usr/bin/egressd").args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        Finished::of(self.command(arguments).output().expect("it runs"))
    }
}

/// As the configuration's place is seen from inside.
fn inside(ground: &Ground, more: &str) -> String {
    let outside = ground.folder.path().display().to_string();
    format!("{}{more}", ground.tables()).replace(&outside, "/etc/egressd")
}

fn field(status: &str, name: &str) -> String {
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}

/// Ends a process that outlives `unshare`: who changes its user loses the signal of its parent's death (prctl(2)).
struct End(u32);

impl Drop for End {
    fn drop(&mut self) {
        let (Ok(_) | Err(_)) =
            Command::new("kill").args(["-s", "KILL", &self.0.to_string()]).output();
    }
}

/// The process that `unshare` became the parent of.
fn child_of(process: u32) -> u32 {
    let path = format!("/proc/{process}/task/{process}/children");
    let children = fs::read_to_string(path).expect("its children");
    children.split_whitespace().next().and_then(|child| child.parse().ok()).expect("one child")
}

#[test]
fn the_image_holds_the_program_and_nothing_to_run_beside_it() {
    let ground = Ground::new();
    let Some(image) = Image::make(&ground) else { return };
    let mut programs = Vec::new();
    let mut left = vec![image.root.path().to_owned()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").flatten() {
            let (path, metadata) = (entry.path(), entry.metadata().expect("its metadata"));
            if metadata.is_dir() {
                left.push(path);
            } else if metadata.permissions().mode() & 0o111 != 0 {
                let path = path.strip_prefix(image.root.path()).expect("inside").to_owned();
                programs.push(path);
            }
        }
    }
    let others = programs.iter().filter(|path| !path.to_string_lossy().contains(".so"));
    assert_eq!(others.collect::<Vec<_>>(), [Path::new("usr/bin/egressd")]);
    let again = Command::new("deploy/container/root")
        .arg(env!("CARGO_BIN_EXE_egressd"))
        .arg(image.root.path())
        .output()
        .expect("a shell");
    assert_eq!(again.status.code(), Some(1), "over another image it is not made");
}

#[test]
fn its_own_configuration_is_sound_and_it_checks_from_inside() {
    let ground = Ground::new();
    let Some(mut image) = Image::make(&ground) else { return };
    let server = HttpServer::start(Http::Answer {
        status: 200,
        headers: Vec::new(),
        body: b"fine".to_vec(),
    });
    let url = format!("http://{}/", server.address());
    image.config = image.root.path().join("etc/egressd");
    let checked = image.run(&["config", "check"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    let checked = image.run(&["check", &url, "--route", "direct"]);
    assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
    let agent = concat!("egressd/", env!("CARGO_PKG_VERSION"));
    assert_eq!(server.requests()[0].header("user-agent"), Some(agent));
}

#[test]
fn the_daemon_runs_in_it_as_nobody_and_can_write_nothing_but_its_state() {
    let ground = Ground::new();
    let Some(image) = Image::make(&ground) else { return };
    let api = ground.server(Tls::Serve(Http::AnthropicUnauthorized));
    let more = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"text\"\n{}",
        target("api", &api, "provider = \"anthropic\"\nroutes = [\"direct\"]")
    );
    ground.folder.write("egressd.toml", &inside(&ground, &more));
    let outside = Folder::new();
    let daemon = Daemon::start_by(&outside, image.command(&["run"]));
    let process = child_of(daemon.pid());
    let _end = End(process);
    daemon.wait_for("api via direct: works");
    assert_eq!(daemon.get("/-/healthy").0, 200);
    daemon.wait_until_ready();
    assert!(daemon.get("/metrics").1.contains("egressd_check_up{target=\"api\""));

    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
    assert_eq!(field(&status, "Uid"), "65534\t65534\t65534\t65534");
    assert_eq!(field(&status, "Groups"), "");
    assert_eq!(field(&status, "NoNewPrivs"), "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(field(&status, set), "0000000000000000", "{set}");
    }
    assert_eq!(field(&status, "NSpid").split_whitespace().last(), Some("1"), "the first process");
    let below = format!("/proc/{process}/root");
    for place in ["tmp", "etc", "usr/bin", "run", "etc/egressd"] {
        let written = fs::write(format!("{below}/{place}/x"), "x").expect_err("read-only");
        assert_eq!(written.kind(), std::io::ErrorKind::ReadOnlyFilesystem, "{place}");
    }
    fs::write(format!("{below}/var/lib/egressd/x"), "x").expect("its state");

    // Process 1 has no default action for a signal: it ends because it listens.
    let sent = Command::new("kill").args(["-s", "TERM", &process.to_string()]).status();
    assert!(sent.expect("kill runs").success());
    daemon.wait_for("stopped");
}

#[test]
fn the_shipped_configurations_are_sound() {
    for folder in ["container", "kubernetes"] {
        let file = format!("deploy/{folder}/egressd.toml");
        let checked = run(&["config", "check", &file]);
        assert_eq!(checked.code, 0, "{file}: {}", checked.stderr);
        let warnings = checked.stderr.lines().filter(|line| !line.starts_with(' '));
        let warnings: Vec<&str> = warnings.collect();
        assert_eq!(warnings.len(), 1, "that everybody can read it, and no more: {warnings:?}");
        assert!(warnings[0].contains("everybody who reaches 0.0.0.0:9737"), "{warnings:?}");
    }
}
