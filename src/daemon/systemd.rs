//! What systemd is told: ready, reloading, stopping, a status line, and the watchdog's food.
//!
//! Without systemd every message is a no-op; that it cannot be delivered is no reason to stop.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;

use super::environment;
use crate::cause::Status;
use crate::store::{Snapshot, Target};

/// How long a message that systemd waits for may wait for a place in its queue.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many broken targets the status line names: it is one line of a terminal or two.
const NAMED: usize = 4;

/// What may be lost: it is said again.
fn tell(states: &[NotifyState<'_>]) {
    tell_within(states, None);
}

fn tell_within(states: &[NotifyState<'_>], patience: Option<Duration>) {
    let Some(socket) = environment::notify_socket() else { return };
    // One to a line.
    let message = states.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    if let Err(error) = send(&socket, message.as_bytes(), patience) {
        tracing::debug!(%error, "systemd was not told");
    }
}

/// A queue holds some ten datagrams (`net.unix.max_dgram_qlen`), and a plain `send` waits for a place for ever: the
/// daemon would stand while its reader does.
fn send(socket: &OsStr, message: &[u8], patience: Option<Duration>) -> io::Result<()> {
    let sender = UnixDatagram::unbound()?;
    match patience {
        Some(_) => sender.set_write_timeout(patience)?,
        None => sender.set_nonblocking(true)?,
    }
    match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => sender.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
        None => sender.connect(socket)?,
    }
    sender.send(message).map(|_| ())
}

/// Configuration and listener stand.
pub(super) fn ready(status: &str) {
    tell_within(&[NotifyState::Ready, NotifyState::Status(status)], Some(PATIENCE));
}

/// A reload has begun (`sd_notify(3)`: with the time, so that it can be told from the last one).
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell_within(&[NotifyState::Reloading, now], Some(PATIENCE)),
        Err(_) => tell_within(&[NotifyState::Reloading], Some(PATIENCE)),
    }
}

/// One line for `systemctl status`.
pub(super) fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// The end has begun.
pub(super) fn stopping() {
    tell_within(&[NotifyState::Stopping], Some(PATIENCE));
}

/// The daemon checks what it should.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How all targets stand, who is broken and who has to act, and whether the last reload took.
pub(super) fn status_line(snapshot: &Snapshot) -> String {
    let targets = || snapshot.targets.values();
    let count = |wanted| targets().filter(|target| target.status() == wanted).count();
    let mut line = format!(
        "{} targets: {} ok, {} degraded, {} broken, {} unknown",
        snapshot.targets.len(),
        count(Status::Ok),
        count(Status::Degraded),
        count(Status::Broken),
        count(Status::Unknown),
    );
    let broken = snapshot.targets.iter().filter(|(_, target)| target.status() == Status::Broken);
    let finding = |target: &Target| target.verdict.as_ref()?.finding.as_ref().map(|f| f.party);
    let broken = broken.map(|(name, target)| match finding(target) {
        Some(party) => format!("{name} ({})", party.label()),
        None => name.to_string(),
    });
    let named: Vec<String> = broken.take(NAMED).collect();
    if !named.is_empty() {
        line.push_str("; broken: ");
        line.push_str(&named.join(", "));
        match count(Status::Broken) - named.len() {
            0 => {}
            more => line.push_str(&format!(" and {more} more")),
        }
    }
    if !snapshot.own.reload_ok {
        line.push_str("; the last reload failed, see the log: ");
        line.push_str("what was in force before stays in force");
    }
    line
}

/// How often it has to say so: twice as often as systemd waits.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}
