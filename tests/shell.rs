//! The daemon as a function: what happens when the work itself panics, hangs, or has no room.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use egressd::daemon::inquiry::{Context, inquire};
use egressd::daemon::{self, Order, Setup, Work};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::config::{nothing_given, plan};
use crate::support::Journal;
use crate::support::http::Behaviour as Http;
use crate::support::pki::Authority;
use crate::support::program::{Folder, get};
use crate::support::tls::{Behaviour as Tls, TlsServer};

/// A daemon on a thread of its own, with this work in the place of the real one.
struct Shell {
    address: std::net::SocketAddr,
    orders: mpsc::Sender<Order>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Shell {
    fn start(text: &str, work: impl FnOnce(Context) -> Work + Send + 'static) -> Self {
        let mut given = nothing_given();
        for part in text.split('"').filter(|part| part.ends_with("ca.pem")) {
            given.files.insert(part.into(), std::fs::read(part).map_err(|error| error.to_string()));
        }
        let plan = plan(text, &given).expect("sound");
        let (orders, receiver) = mpsc::channel(1);
        let (bound, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
                bound.send(listener.local_addr().expect("an address")).expect("it is awaited");
                let context = Context::new(Arc::new(plan)).expect("TLS");
                let setup = Setup {
                    plan: Arc::clone(&context.plan),
                    work: work(context),
                    controls: None,
                    probes: None,
                    access: Arc::default(),
                };
                daemon::run(
                    setup,
                    listener,
                    receiver,
                    Box::new(|_, _| daemon::Reloaded::default()),
                )
                .await;
            });
        });
        Self { address: address.recv().expect("it listens"), orders, thread: Some(thread) }
    }

    fn metrics(&self) -> String {
        get(self.address, "/metrics", &[]).1
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.orders.blocking_send(Order::Stop).ok();
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "the daemon panicked");
    }
}

fn api(folder: &Folder) -> (TlsServer, String) {
    let authority = Authority::new("Public Test Root");
    let roots = folder.write("ca.pem", &authority.pem());
    let leaf = Arc::new(authority.leaf(&["127.0.0.1"]));
    let server = TlsServer::start(&leaf, Tls::Serve(Http::AnthropicUnauthorized));
    let trust = format!("[trust]\nsystem = false\npublic_roots = \"{}\"\n", roots.display());
    (server, trust)
}

fn target(name: &str, server: &TlsServer) -> String {
    format!(
        "[[target]]\nname = \"{name}\"\nprovider = \"anthropic\"\nurl = \"https://{}/\"\n",
        server.address()
    )
}

#[test]
fn a_panic_in_one_check_is_contained_counted_and_blinds_nobody() {
    let folder = Folder::new();
    let (server, trust) = api(&folder);
    let text = format!(
        "{trust}[probe]\ninterval = \"200ms\"\ntimeout = \"200ms\"\n{}{}",
        target("bad", &server),
        target("good", &server)
    );
    let started = Journal::new();
    let writer = started.clone();
    let shell = Shell::start(&text, move |context| {
        Arc::new(move |target, memory| {
            writer.push(target.name.clone());
            let context = context.clone();
            Box::pin(async move {
                assert!(target.name != "bad", "a check that panics");
                inquire(context, target, memory).await
            })
        })
    });
    // Both go on: the bad one panics again and again, the good one is published.
    let count = |names: &[String], name: &str| names.iter().filter(|n| *n == name).count();
    started.wait_until(|names: &[String]| count(names, "bad") >= 3 && count(names, "good") >= 3);
    let text = shell.metrics();
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok())
    };
    assert!(value("egressd_panics_total ") >= Some(2.0), "{text}");
    assert_eq!(value("egressd_check_status{target=\"bad\""), Some(3.0));
    assert_eq!(value("egressd_check_status{target=\"good\""), Some(0.0));
    assert_eq!(value("egressd_check_up{target=\"bad\""), None, "unknown is neither up nor down");
}

#[test]
fn a_check_that_hangs_is_given_up_and_shown_as_unknown() {
    let folder = Folder::new();
    let (server, trust) = api(&folder);
    let text = format!(
        "{trust}[probe]\ninterval = \"100ms\"\ntimeout = \"50ms\"\n{}",
        target("stuck", &server)
    );
    let started = Journal::new();
    let writer = started.clone();
    let shell = Shell::start(&text, move |_| {
        Arc::new(move |target, _| {
            writer.push(target.name.clone());
            Box::pin(std::future::pending())
        })
    });
    // The second start shows that the first was given up.
    started.wait_until(|names: &[String]| names.len() >= 2);
    let text = shell.metrics();
    assert!(text.contains("egressd_check_status{target=\"stuck\",route=\"direct\"} 3"), "{text}");
    assert!(text.contains("egressd_checks_late_total 1"), "{text}");
}

#[test]
fn no_more_run_at_once_than_are_allowed_and_all_get_their_turn() {
    let folder = Folder::new();
    let (server, trust) = api(&folder);
    let targets: String = (0..6).map(|place| target(&format!("t{place}"), &server)).collect();
    let text = format!(
        "{trust}[probe]\ninterval = \"300ms\"\ntimeout = \"300ms\"\nconcurrency = 2\n{targets}"
    );
    let (ended, most) = (Journal::new(), Arc::new(AtomicUsize::new(0)));
    let (writer, peak) = (ended.clone(), Arc::clone(&most));
    let shell = Shell::start(&text, move |context| {
        let running = Arc::new(AtomicUsize::new(0));
        Arc::new(move |target, memory| {
            let (context, writer) = (context.clone(), writer.clone());
            let (running, peak) = (Arc::clone(&running), Arc::clone(&peak));
            Box::pin(async move {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                peak.fetch_max(now, Ordering::SeqCst);
                let name = target.name.clone();
                let report = inquire(context, target, memory).await;
                running.fetch_sub(1, Ordering::SeqCst);
                writer.push(name);
                report
            })
        })
    });
    ended.wait_until(|names: &[String]| {
        (0..6).all(|place| names.iter().filter(|name| **name == format!("t{place}")).count() >= 2)
    });
    assert!(most.load(Ordering::SeqCst) <= 2, "{most:?} at once");
    drop(shell);
}
