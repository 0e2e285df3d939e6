//! A machine in which a real systemd boots: this one's files as the lower layer of an overlay, everything that is written on a tmpfs,
//! a network of its own with nothing but its loopback. None of the host's services starts in it: it boots into a target of its own.
//!
//! It is gone with its guard, and with this process, however that ends: everything hangs on a shell that reads from a pipe of ours.

use std::fs::File;
use std::io::Write as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::netns::inside;
use super::not_run;
use super::program::{Finished, Folder};

/// The running machine.
#[derive(Debug)]
pub(crate) struct Bed {
    /// Its process 1, as this side counts.
    leader: u32,
    /// The files that it sees: what is done as root is done to those and to no others.
    mounts: PathBuf,
    keeper: Child,
    /// Closed, it ends the machine.
    hold: Option<ChildStdin>,
    console: Folder,
}

/// Below a tmpfs, in a mount namespace of its own: `$1` is its name, `$2` the binary that becomes /usr/bin/egressd, or nothing.
///
/// All of the host's own units are taken away, and with them who is enabled; the packages' stay and can be started. A control
/// group of its own in the one hierarchy of version 2, wherever the host has it: systemd-nspawn makes its groups below the one that
/// it runs in, and two machines in one would end each other's processes.
const ROOT: &str = r"
mount -t tmpfs -o mode=0755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
mount -t cgroup2 cgroup2 /sys/fs/cgroup
";

const BOOT: &str = r#"
trap '' HUP INT TERM
cd /mnt/root
rm -rf etc/systemd/system usr/sbin/policy-rc.d var/lib/systemd/random-seed
mkdir -p etc/systemd/system etc/systemd/journald.conf.d
# Its own, and not none: with none, systemd would enable what presets say.
tr -d - < /proc/sys/kernel/random/uuid > etc/machine-id
printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nForwardToConsole=no\n' > etc/systemd/journald.conf.d/bed.conf
printf '[Unit]\nRequires=basic.target\nAfter=basic.target\nWants=dbus.service systemd-journald.service\nAllowIsolate=yes\n' \
  > etc/systemd/system/bed.target
for timer in usr/lib/systemd/system/*.timer lib/systemd/system/*.timer; do
  if [ -e "$timer" ]; then ln -sf /dev/null "etc/systemd/system/${timer##*/}"; fi
done
if [ -n "$2" ]; then install -m 0755 "$2" usr/bin/egressd; fi
cd /
mkdir "/sys/fs/cgroup/$1"
echo $$ > "/sys/fs/cgroup/$1/cgroup.procs"
mount -t tmpfs tmpfs /run
# In the background, a shell's programs read nothing else.
exec 3<&0 < /dev/null
set +e
systemd-nspawn -q -D /mnt/root -M "$1" --private-network --register=no --keep-unit --link-journal=no --timezone=off \
  --resolv-conf=off --notify-ready=yes --console=read-only -b -- systemd.unit=bed.target systemd.log_target=journal <&- 3<&- &
nspawn=$!
# Until nspawn ends, or the pipe does.
cat <&3 > /dev/null &
hold=$!
wait -n "$nspawn" "$hold"
children=$(cat "/proc/$nspawn/task/$nspawn/children")
kill -KILL ${children:-$nspawn}
wait "$nspawn"
echo $$ > /sys/fs/cgroup/cgroup.procs
find "/sys/fs/cgroup/$1" -depth -type d -exec rmdir {} +
"#;

/// How long it may take until it has booted, where the machine has much to do.
const BOOTING: Duration = Duration::from_secs(90);

impl Bed {
    /// Boots one with the tested binary as /usr/bin/egressd; none where this user, or this machine, cannot.
    pub(crate) fn boot() -> Option<Self> {
        Self::boot_with(env!("CARGO_BIN_EXE_egressd"))
    }

    /// The same without a trace of egressd.
    pub(crate) fn boot_without() -> Option<Self> {
        Self::boot_with("")
    }

    fn boot_with(binary: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if let Some(why) = cannot() {
            not_run(&format!("a systemd cannot be booted here: {why}"));
            return None;
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("egressd-bed-{}-{count}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("an abstract name");
        let told = UnixDatagram::bind_addr(&address).expect("a socket");
        let console = Folder::new();
        let output = File::create(console.path().join("console")).expect("a file");
        let mut command = privately(&format!("{ROOT}{BOOT}"));
        command.args([&name, binary]).env("NOTIFY_SOCKET", format!("@{name}"));
        // A group of its own: what interrupts the tests does not reach it, and it can clear away.
        command.process_group(0).stdin(Stdio::piped());
        command.stdout(output.try_clone().expect("a copy")).stderr(output);
        let mut keeper = command.spawn().expect("unshare runs");
        let hold = keeper.stdin.take();
        let mut bed = Self { leader: 0, mounts: PathBuf::new(), keeper, hold, console };
        bed.wait_until_booted(&told);
        bed.mounts = mounts(bed.leader);
        assert_ne!(bed.mounts, mounts(std::process::id()), "it has files of its own");
        Some(bed)
    }

    /// systemd-nspawn passes on the READY=1 of the systemd inside, which comes when its target is reached.
    fn wait_until_booted(&mut self, told: &UnixDatagram) {
        told.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        let begun = Instant::now();
        let mut message = [0; 4096];
        loop {
            if let Ok(length) = told.recv(&mut message) {
                let text = String::from_utf8_lossy(&message[..length]).into_owned();
                let of = |key| text.lines().find_map(|line| line.strip_prefix(key));
                if let Some(leader) = of("X_NSPAWN_LEADER_PID=") {
                    self.leader = leader.parse().expect("a process");
                }
                if of("READY=") == Some("1") && self.leader != 0 {
                    return;
                }
            }
            let ended = self.keeper.try_wait().expect("its state");
            assert!(ended.is_none(), "it has ended, {ended:?}: {}", self.console());
            assert!(begun.elapsed() < BOOTING, "it does not boot: {}", self.console());
        }
    }

    fn console(&self) -> String {
        std::fs::read_to_string(self.console.path().join("console")).unwrap_or_default()
    }

    /// A program in it, as root. `nsenter` waits for it: what is to run on ends with the machine, and not by killing the command.
    pub(crate) fn command(&self, program: &str) -> Command {
        // Its number may be another one's by now, even of a process of this side.
        assert_eq!(mounts(self.leader), self.mounts, "the machine has ended");
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.leader.to_string(), "-a", "--", program]);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
        command
    }

    /// Runs one to its end.
    pub(crate) fn run(&self, line: &[&str]) -> Finished {
        Finished::of(self.command(line[0]).args(&line[1..]).output().expect("nsenter runs"))
    }

    /// Runs a script of a shell that ends with the first command that fails.
    pub(crate) fn sh(&self, script: &str) -> Finished {
        self.run(&["bash", "-euc", script])
    }

    /// What such a script prints; it must succeed.
    #[track_caller]
    pub(crate) fn must(&self, script: &str) -> String {
        let Finished { code, stdout, stderr } = self.sh(script);
        assert_eq!(code, 0, "{script}: {stdout}{stderr}");
        stdout
    }

    /// Writes a file into it, and the folders above; the mode as `chmod` takes it.
    #[track_caller]
    pub(crate) fn put(&self, file: &str, mode: &str, bytes: impl AsRef<[u8]>) {
        let script = "mkdir -p \"$(dirname \"$0\")\"; cat > \"$0\"; chmod \"$1\" \"$0\"";
        let mut command = self.command("bash");
        command.args(["-euc", script, file, mode]).stdin(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("nsenter runs");
        child.stdin.take().expect("its input").write_all(bytes.as_ref()).ok();
        let Output { status, stderr, .. } = child.wait_with_output().expect("it ended");
        assert!(status.success(), "{file}: {}", String::from_utf8_lossy(&stderr));
    }

    /// The journal's entries that match (`["-u", "egressd"]`, `["EGRESSD_PARTY=firewall"]`), oldest first.
    pub(crate) fn journal(&self, matches: &[&str]) -> Vec<Value> {
        let mut command = self.command("journalctl");
        command.args(["-q", "--no-pager", "--all", "-o", "json"]).args(matches);
        let output = Finished::of(command.output().expect("nsenter runs"));
        let entries = output.stdout.lines().map(serde_json::from_str);
        entries.collect::<Result<_, _>>().expect("a line of JSON each")
    }

    /// Waits for an entry with this text among those that match, and returns its text.
    #[track_caller]
    pub(crate) fn wait_for(&self, matches: &[&str], text: &str) -> String {
        let script = "text=$1; shift; timeout 60 grep -m 1 -F -e \"$text\" \
             < <(exec timeout 61 journalctl -q -f -n all -o cat \"$@\")";
        let arguments = ["bash", "-uc", script, "sh", text];
        let found = self.run(&[&arguments, matches].concat());
        if found.code != 0 {
            let all = self.journal(&[]);
            let last = all.iter().rev().take(60).rev().map(|entry| &entry["MESSAGE"]);
            panic!("waited in vain for {text}: {:#?}", last.collect::<Vec<_>>());
        }
        found.stdout.trim_end().to_owned()
    }

    /// Its network, by the name that `netns::inside` and `foreign::At::Namespace` take: its own, or one that was made in it.
    pub(crate) fn network(&self, nested: Option<&str>) -> String {
        match nested {
            None => format!("/proc/{}/ns/net", self.leader),
            Some(name) => self.seen(&format!("/run/netns/{name}")).display().to_string(),
        }
    }

    /// Does something with a thread of this process's own in its network; threads that it starts stay there.
    pub(crate) fn there<T: Send + 'static>(
        &self,
        nested: Option<&str>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        inside(&self.network(nested), work)
    }

    /// A file of it as this side can read it.
    pub(crate) fn seen(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{file}", self.leader))
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        drop(self.hold.take());
        self.keeper.wait().ok();
    }
}

/// What tells the mounts of a process from those of others; nothing where it has ended.
fn mounts(process: u32) -> PathBuf {
    std::fs::read_link(format!("/proc/{process}/ns/mnt")).unwrap_or_default()
}

/// A script of a shell whose mounts nobody else sees, and which end with it; it ends with the first command that fails.
fn privately(script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "bash", "-euc", script, "bash"]);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

/// Why it cannot be done here, if it cannot.
fn cannot() -> Option<String> {
    if !["/usr/bin/systemd-nspawn", "/bin/systemd-nspawn"]
        .iter()
        .any(|file| std::path::Path::new(file).exists())
    {
        return Some("systemd-nspawn is not installed".to_owned());
    }
    // A user namespace of one user has no place for the users of a machine.
    let users = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    if users.split_whitespace().next_back() != Some("4294967295") {
        return Some("it takes root, and not that of a user namespace".to_owned());
    }
    let tried = privately(ROOT).stdin(Stdio::null()).output().ok()?;
    let why = String::from_utf8_lossy(&tried.stderr);
    (!tried.status.success()).then(|| format!("it takes root: {}", why.trim()))
}
