//! Lines on their way out: a bounded queue, and the one thread that writes it. A reader that is slow or gone loses
//! lines, which are counted and told; the daemon never waits for one.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes that wait at most: some seconds of a trace, hours of anything else.
const LIMIT: usize = 1 << 20;
/// Where the journal listens (`systemd-journald.service(8)`).
pub(super) const JOURNAL: &str = "/run/systemd/journal/socket";

/// Where a line goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// Standard error.
    Stderr,
    /// The journal's socket.
    Journal,
}

/// A line as it will be written.
pub(super) type Rendered = (To, Vec<u8>);

/// The line that says how many were lost.
pub(super) type OfLost = Box<dyn Fn(u64) -> Rendered + Send + Sync>;

/// The queue.
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    lost: OfLost,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Rendered>,
    bytes: usize,
    /// Refused: they came after those that wait.
    lost: u64,
    /// Not written: they came before those that wait.
    failed: u64,
    /// Whether the thread has a line in its hands.
    writing: bool,
}

impl Waiting {
    fn take(&mut self, line: Rendered) {
        self.bytes += line.1.len();
        self.lines.push_back(line);
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queue")
    }
}

impl Queue {
    /// A queue without a writer.
    pub(super) fn new(lost: OfLost) -> Arc<Self> {
        Arc::new(Self { waiting: Mutex::default(), changed: Condvar::new(), lost })
    }

    /// Begins to write, for as long as the process lives.
    pub(super) fn begin(self: &Arc<Self>, mut out: Out) -> io::Result<()> {
        let queue = Arc::clone(self);
        let writer = move || {
            loop {
                let line = queue.next();
                if out.write(&line).is_err() {
                    queue.waiting().failed += 1;
                }
            }
        };
        std::thread::Builder::new().name("log".to_owned()).spawn(writer).map(|_| ())
    }

    /// Takes a line, or counts it as lost. Those that were lost before it are told in their place.
    pub(super) fn push(&self, line: Rendered) {
        let mut waiting = self.waiting();
        if waiting.bytes + line.1.len() > LIMIT {
            waiting.lost += 1;
            return;
        }
        if waiting.lost > 0 && !waiting.lines.is_empty() {
            let told = (self.lost)(std::mem::take(&mut waiting.lost));
            waiting.take(told);
        }
        waiting.take(line);
        drop(waiting);
        self.changed.notify_all();
    }

    /// The next line, once there is one.
    fn next(&self) -> Rendered {
        let mut waiting = self.waiting();
        waiting.writing = false;
        self.changed.notify_all();
        loop {
            let (empty, failed) = (waiting.lines.is_empty(), waiting.failed);
            if failed > 0 && !empty {
                waiting.failed = 0;
                waiting.writing = true;
                return (self.lost)(failed);
            }
            if empty && waiting.lost > 0 {
                waiting.writing = true;
                return (self.lost)(std::mem::take(&mut waiting.lost));
            }
            if let Some(line) = waiting.lines.pop_front() {
                waiting.bytes -= line.1.len();
                waiting.writing = true;
                return line;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until all is written, for so long at most.
    pub(super) fn flush(&self, patience: Duration) {
        let waiting = self.waiting();
        let busy = |waiting: &mut Waiting| waiting.writing || !waiting.lines.is_empty();
        drop(self.changed.wait_timeout_while(waiting, patience, busy));
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The two ways out.
pub(super) struct Out {
    journal: io::Result<UnixDatagram>,
}

impl Out {
    pub(super) fn new() -> Self {
        Self { journal: UnixDatagram::unbound() }
    }

    fn write(&mut self, (to, bytes): &Rendered) -> io::Result<()> {
        match (to, &self.journal) {
            (To::Stderr, _) => io::stderr().lock().write_all(bytes),
            // By its name each time: a journal that was started anew has another socket.
            (To::Journal, Ok(socket)) => socket.send_to(bytes, JOURNAL).map(|_| ()),
            (To::Journal, Err(_)) => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

/// Whether a journal listens: it takes an empty message, and drops it.
pub(super) fn journal_listens() -> bool {
    let asked = UnixDatagram::unbound().and_then(|socket| {
        socket.set_nonblocking(true)?;
        socket.send_to(&[], JOURNAL)
    });
    // A full queue is one that somebody holds.
    asked.map_or_else(|error| error.kind() == io::ErrorKind::WouldBlock, |_| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> Arc<Queue> {
        Queue::new(Box::new(|lost| (To::Stderr, format!("{lost} lost").into_bytes())))
    }

    fn line(text: &str) -> Rendered {
        (To::Stderr, text.as_bytes().to_vec())
    }

    #[test]
    fn what_nobody_takes_is_counted_and_told_in_its_place() {
        let queue = queue();
        let large = "x".repeat(LIMIT / 4);
        for _ in 0..6 {
            queue.push(line(&large));
        }
        assert_eq!(queue.next().1.len(), LIMIT / 4);
        queue.push(line("short"));
        let told: Vec<String> =
            (0..5).map(|_| String::from_utf8(queue.next().1).unwrap()).collect();
        assert_eq!(told[..3], [large.clone(), large.clone(), large]);
        assert_eq!(told[3..], ["2 lost", "short"]);
        assert_eq!(queue.waiting().bytes, 0);
        queue.waiting().lost = 4;
        assert_eq!(queue.next(), line("4 lost"), "also where nothing follows");
    }

    #[test]
    fn what_could_not_be_written_is_told_with_the_next_line() {
        let queue = queue();
        queue.waiting().failed = 3;
        queue.push(line("next"));
        assert_eq!([queue.next(), queue.next()], [line("3 lost"), line("next")]);
        assert_eq!(queue.waiting().bytes, 0);
    }
}
