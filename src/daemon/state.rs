//! The state file: read once at the start, then written whole for each publication, by a thread of its own.
//!
//! What is served was written before, so that no counter that somebody has scraped is a smaller one after a
//! SIGKILL: Prometheus takes that for a reset, and counts all of it again. Of several publications that wait the
//! newest is written. It decides nothing about what is kept: that is `store`.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tracing::{info, warn};

use super::process;
use crate::plan::{Plan, Route, Way};
use crate::store::{CheckId, Document, Snapshot};

/// The file, one that is being written, and one that could not be read.
const NAMES: [&str; 3] = ["state.json", "state.json.new", "state.json.bad"];
/// Bytes of it at most.
const LIMIT: u64 = 32 << 20;
/// Between two writes at least, and how many times as long as one takes: a disk has other work, and wears.
const GAP: Duration = Duration::from_secs(1);
const SHARE: u32 = 9;
/// Between two writes at most, and how long a publication waits for a disk that hangs.
const LONGEST_GAP: Duration = Duration::from_secs(4);
/// Bytes a second at most while no verdict changes, and how long counters wait for that at most.
const RATE: usize = 32 << 10;
const QUIET: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(10);
/// What the last write may take.
const LAST: Duration = Duration::from_secs(2);

/// Where snapshots are published, in their order.
#[derive(Debug)]
pub(super) struct Outlet {
    sender: watch::Sender<Arc<Snapshot>>,
    /// The number of the one that is out.
    out: Mutex<u64>,
}

impl Outlet {
    pub(super) fn new(first: Arc<Snapshot>) -> Self {
        Self { sender: watch::Sender::new(first), out: Mutex::new(0) }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.sender.subscribe()
    }

    /// A later one is not taken back by one that was written late.
    pub(super) fn put(&self, number: u64, snapshot: Arc<Snapshot>) {
        let mut out = lock(&self.out);
        if number > *out {
            *out = number;
            self.sender.send_replace(snapshot);
        }
    }
}

/// Who keeps the file.
#[derive(Debug)]
pub(super) struct Keeper {
    folder: PathBuf,
    desk: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
    /// Held as long as this process lives: two that write one file would lose each other's state.
    _lock: Option<File>,
}

#[derive(Debug, Default)]
struct Desk {
    slot: Mutex<Slot>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct Slot {
    newest: Option<(u64, Arc<Snapshot>)>,
    /// What was handed over last, and whether anything but counters has changed since the last write.
    before: Option<Arc<Snapshot>>,
    is_news: bool,
    /// Since when one is being written.
    writing: Option<Instant>,
    stop: bool,
    ended: bool,
}

impl Keeper {
    /// None where nothing is kept; the reason is logged.
    pub(super) fn new(plan: &Plan) -> Option<Self> {
        let Some(folder) = plan.state.clone() else {
            info!("state: nothing is kept over a restart: no [state] dir, and no $STATE_DIRECTORY");
            return None;
        };
        if let Err(error) = DirBuilder::new().mode(0o700).create(&folder)
            && error.kind() != ErrorKind::AlreadyExists
        {
            warn!("state: make {}: {error}", folder.display());
        }
        // A pipe is no folder, and is not waited for.
        let flags = libc::O_DIRECTORY | libc::O_NONBLOCK;
        let lock = OpenOptions::new().read(true).custom_flags(flags).open(&folder).ok();
        if let Some(Err(TryLockError::WouldBlock)) = lock.as_ref().map(File::try_lock) {
            warn!(
                "state: another egressd keeps its state in {}: nothing is kept",
                folder.display()
            );
            return None;
        }
        Some(Self { folder, desk: Arc::default(), thread: None, _lock: lock })
    }

    /// What is there. A file that cannot be read is set aside, so that it can be looked at.
    pub(super) fn read(&self) -> Option<Document> {
        let path = self.folder.join(NAMES[0]);
        let why = match read(&path) {
            Ok(text) => match Document::parse(&text) {
                Ok(document) => return Some(document),
                Err(fault) => fault.to_string(),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => error.to_string(),
        };
        let aside = self.folder.join(NAMES[2]);
        match std::fs::rename(&path, &aside) {
            Ok(()) => warn!(
                "state: {}: {why}; it is now {}, and all begins anew",
                path.display(),
                aside.display()
            ),
            Err(error) => warn!("state: {}: {why}; set it aside: {error}", path.display()),
        }
        None
    }

    /// Begins to write, and to publish what is written.
    pub(super) fn begin(&mut self, outlet: Arc<Outlet>) {
        let (desk, folder) = (Arc::clone(&self.desk), self.folder.clone());
        let work = move || {
            desk.work(&folder, &outlet);
            lock(&desk.slot).ended = true;
            desk.bell.notify_all();
        };
        match std::thread::Builder::new().name("state".to_owned()).spawn(work) {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => warn!("state: start its thread: {error}; nothing is kept"),
        }
    }

    /// Hands one over, to be published when it is written; whether that can be waited for.
    pub(super) fn take(&self, number: u64, snapshot: Arc<Snapshot>) -> bool {
        let mut slot = lock(&self.desk.slot);
        slot.is_news |= slot.before.as_ref().is_none_or(|before| snapshot.is_news_after(before));
        slot.before = Some(Arc::clone(&snapshot));
        slot.newest = Some((number, snapshot));
        self.desk.bell.notify_all();
        self.thread.is_some() && slot.writing.is_none_or(|since| since.elapsed() < PATIENCE)
    }

    /// Writes what is newest, and ends.
    pub(super) fn end(mut self) {
        let Some(thread) = self.thread.take() else { return };
        let mut slot = lock(&self.desk.slot);
        slot.stop = true;
        self.desk.bell.notify_all();
        let waited = self.desk.bell.wait_timeout_while(slot, LAST, |slot| !slot.ended);
        let (slot, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let ended = slot.ended;
        drop(slot);
        if !ended {
            warn!("state: the disk took too long; what was written before stays");
        } else if thread.join().is_err() {
            warn!("state: its thread panicked");
        }
    }
}

impl Desk {
    fn work(&self, folder: &Path, outlet: &Outlet) {
        let mut told = false;
        while let Some((number, snapshot)) = self.next() {
            let began = Instant::now();
            let text = Document::of(&snapshot, process::now()).text();
            match write(folder, &text) {
                Ok(()) if told => {
                    told = false;
                    info!("state: it is kept again in {}", folder.display());
                }
                Ok(()) => {}
                Err(error) => {
                    // Once, and not for each publication while a disk is full.
                    if !std::mem::replace(&mut told, true) {
                        warn!(
                            "state: write to {}: {error}; what was kept before stays",
                            folder.display()
                        );
                    }
                }
            }
            outlet.put(number, snapshot);
            let mut slot = lock(&self.slot);
            slot.writing = None;
            let gap = (began.elapsed() * SHARE).clamp(GAP, LONGEST_GAP);
            let waited = self.bell.wait_timeout_while(slot, gap, |slot| !slot.stop);
            let (slot, _) = waited.unwrap_or_else(PoisonError::into_inner);
            // A verdict goes on at once, what only counts as the disk can bear it.
            let quiet = rest(text.len()).saturating_sub(gap);
            let idle = |slot: &mut Slot| !slot.stop && !slot.is_news;
            let waited = self.bell.wait_timeout_while(slot, quiet, idle);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// The newest, when there is one; none at the end, when that is written.
    fn next(&self) -> Option<(u64, Arc<Snapshot>)> {
        let idle = |slot: &mut Slot| slot.newest.is_none() && !slot.stop;
        let waited = self.bell.wait_while(lock(&self.slot), idle);
        let mut slot = waited.unwrap_or_else(PoisonError::into_inner);
        slot.is_news = false;
        slot.writing = slot.newest.as_ref().map(|_| Instant::now());
        slot.newest.take()
    }
}

/// How long so many bytes are enough for.
fn rest(bytes: usize) -> Duration {
    let millis = u64::try_from(bytes.saturating_mul(1000) / RATE).unwrap_or(u64::MAX);
    Duration::from_millis(millis).min(QUIET)
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The text of a file that is ours; a link is not followed, and a pipe is not waited for.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > LIMIT {
        return Err(io::Error::other("it is no regular file of at most 32 MiB"));
    }
    let mut text = Vec::new();
    file.take(LIMIT).read_to_end(&mut text)?;
    Ok(text)
}

/// The whole file in the place of the old one, on the disk before it takes that place (`rename(2)` is atomic).
fn write(folder: &Path, text: &[u8]) -> io::Result<()> {
    let [path, fresh, _] = NAMES.map(|name| folder.join(name));
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > LIMIT {
        return Err(io::Error::other("it would be more than 32 MiB"));
    }
    // Left by a process that was killed. A link goes itself, and what it leads to stays.
    match std::fs::remove_file(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(text)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &path)
    })();
    if written.is_err() {
        // A full disk needs the room.
        std::fs::remove_file(&fresh).unwrap_or_default();
    }
    written?;
    File::open(folder)?.sync_all()
}

/// Where each check of a plan leads, and over what. No secret is in it.
pub(super) fn places(plan: &Plan) -> BTreeMap<CheckId, Arc<str>> {
    let targets = plan.targets.iter().flat_map(|target| {
        let method = target.request.as_ref().map_or("GET", |own| own.method.as_str());
        let to = format!("{} {method} {}", target.provider, target.endpoint.shown());
        target.routes.iter().map(move |used| {
            let id = CheckId { target: target.name.clone(), route: used.route.name.clone() };
            (id, format!("{to}{}", by(&used.route)).into())
        })
    });
    targets.collect()
}

fn by(route: &Route) -> String {
    let mut way = match &route.way {
        Way::Direct => String::new(),
        Way::Proxy(proxy) => format!(" by {}://{proxy}", proxy.spoken.label()),
        Way::Pac(pac) => format!(" by pac+{}", pac.shown()),
    };
    if let Some(source) = route.source {
        way.push_str(&format!(" from {source}"));
    }
    if let Some(interface) = &route.interface {
        way.push_str(&format!(" on {interface}"));
    }
    way
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_counts_is_written_as_the_disk_can_bear_it() {
        assert_eq!(rest(0), Duration::ZERO);
        assert_eq!(rest(RATE), Duration::from_secs(1));
        assert_eq!(rest(200 << 10), Duration::from_millis(6250));
        assert_eq!([rest(20 << 20), rest(usize::MAX)], [QUIET; 2]);
    }
}
