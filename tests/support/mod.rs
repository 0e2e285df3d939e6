//! Servers that misbehave on purpose, one module a layer, and what they share: a journal that a test can wait on, and a thread that ends with its owner.
//!
//! Every server is real (sockets of this host's loopback, a port that the kernel picks), listens when its `start` returns, and is gone when its
//! handle is dropped. It runs on a thread of its own, so that a test without a runtime, or one that blocks its runtime, can use it. Nothing here
//! judges: a server does what its `Behaviour` says and writes down what it saw.

/// A real Alertmanager.
pub(crate) mod alertmanager;
/// How often a thread allocates.
pub(crate) mod allocations;
/// A machine with a real systemd.
pub(crate) mod booted;
/// A resolver on UDP and TCP, with a behaviour for each name.
pub(crate) mod dns;
/// Programs that are not ours, kept running.
pub(crate) mod foreign;
/// A folder, a CA that counts as public, a control host that works.
pub(crate) mod ground;
/// Answers, and what stands in for one, on any stream; and a server without TLS.
pub(crate) mod http;
/// A real Kerberos.
pub(crate) mod kdc;
/// A real server.
pub(crate) mod nginx;
/// Authorities and leaves, made at run time, sound or with one flaw.
pub(crate) mod pki;
/// Name servers that are not ours.
pub(crate) mod nameserver;
/// Three hosts in network namespaces.
pub(crate) mod netns;
/// A TLS server that is not ours.
pub(crate) mod openssl;
/// The real binary, run or kept running.
pub(crate) mod program;
/// A real Prometheus.
pub(crate) mod prometheus;
/// A proxy that is asked with CONNECT.
pub(crate) mod proxy;
/// A server that follows a script.
pub(crate) mod script;
/// Real SOCKS5 servers.
pub(crate) mod socks;
/// A real proxy, with every login that a proxy may demand.
pub(crate) mod squid;
/// What is shipped for Prometheus and Alertmanager, run with them.
pub(crate) mod stack;
/// Ports where nobody listens, or nobody answers.
pub(crate) mod tcp;
/// A real proxy, a small one.
pub(crate) mod tinyproxy;
/// A TLS server that fails wherever a handshake can fail.
pub(crate) mod tls;
/// The listener and the counted stream below every TCP server here.
pub(crate) mod wire;

use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};

/// Says that a test could not be run here; in CI that fails it.
#[expect(clippy::disallowed_methods, reason = "CI says so in the environment")]
#[expect(clippy::print_stdout, reason = "a test that was not run is told")]
#[track_caller]
pub(crate) fn not_run(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "not run, and CI demands it: {why}");
    println!("not run: {why}");
}

/// How long a test waits for something that is going to happen. It is never reached where all is well, so it may be long.
const DEADLINE: Duration = Duration::from_secs(30);

/// What a server saw, in order. Clones share the entries.
#[derive(Debug)]
pub(crate) struct Journal<T>(Arc<(Mutex<Vec<T>>, Condvar)>);

impl<T: Clone + Debug> Journal<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::new((Mutex::new(Vec::new()), Condvar::new())))
    }

    /// A copy of all entries.
    pub(crate) fn entries(&self) -> Vec<T> {
        self.lock().clone()
    }

    /// Blocks until `enough` holds, and returns the entries of that moment. Woken by each change, so no test sleeps and looks again.
    #[track_caller]
    pub(crate) fn wait_until(&self, enough: impl Fn(&[T]) -> bool) -> Vec<T> {
        self.wait_within(DEADLINE, enough)
    }

    /// The same with another deadline, for what takes longer.
    #[track_caller]
    pub(crate) fn wait_within(&self, long: Duration, enough: impl Fn(&[T]) -> bool) -> Vec<T> {
        let (entries, waited) = (self.0.1)
            .wait_timeout_while(self.lock(), long, |entries| !enough(entries))
            .expect("no writer panicked");
        assert!(!waited.timed_out(), "waited {long:?} in vain; the journal holds {entries:#?}");
        entries.clone()
    }

    /// Adds an entry and returns its place, for `update`.
    pub(crate) fn push(&self, entry: T) -> usize {
        let mut entries = self.lock();
        entries.push(entry);
        self.0.1.notify_all();
        entries.len() - 1
    }

    /// Changes the entry at `place`.
    pub(crate) fn update(&self, place: usize, change: impl FnOnce(&mut T)) {
        change(&mut self.lock()[place]);
        self.0.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        (self.0.0).lock().expect("no writer panicked")
    }
}

impl<T> Clone for Journal<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// A thread with a runtime, which ends, with every socket of its tasks, when this is dropped.
#[derive(Debug)]
struct Background {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Background {
    /// `make` runs on the new thread inside its runtime, because a socket can only be registered there.
    fn run<F: Future<Output = ()>>(make: impl FnOnce() -> F + Send + 'static) -> Self {
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    // The servers first, so that a panic of theirs is found even where the stop has come as well.
                    biased;
                    () = make() => {}
                    _ = stopped => {}
                }
            });
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(thread::JoinHandle::join);
        // A server that panicked has said something false to its test; a second panic while the test unwinds would hide the first.
        assert!(
            thread::panicking() || matches!(ended, Some(Ok(()))),
            "a server of tests/support panicked, see above"
        );
    }
}

/// Waits for the next task to end and hands its panic on, so that it reaches the test. Pends for ever on an empty set: made for `select!`.
async fn reap(tasks: &mut JoinSet<()>) {
    match tasks.join_next().await {
        Some(ended) => {
            if let Some(panic) = ended.err().filter(JoinError::is_panic) {
                std::panic::resume_unwind(panic.into_panic());
            }
        }
        None => std::future::pending().await,
    }
}
