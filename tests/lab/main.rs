//! The lab: real faults on a real wire, the real binary in the middle, its verdict beside a truth written by hand.
//!
//! Four hosts are network namespaces (`net.rs`): the client; the router with nftables, the company's dnsmasq
//! and a device that can end TLS; the proxies (squid, tinyproxy, danted, microsocks, and ours that misbehave);
//! the internet with the target, two unrelated hosts, a landing page, a portal check, a public and an
//! independent name server.
//!
//! ```console
//! # cargo test --test lab                      # all, at the fixed seed
//! # cargo test --test lab -- tcp-drop --seed 7 # one case, or all whose id begins so
//! # cargo test --test lab -- --tenth           # a drawn tenth at a drawn seed
//! ```
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    reason = "a lab fails by panicking, and prints what it found"
)]

// The vocabulary.
mod case;
// What is drawn.
mod draw;
// The four hosts.
mod net;
// What a case says, as servers.
mod servers;
mod device;
// All of it for one run.
mod world;
mod configuration;
mod run;
// What people read of it.
mod table;

#[expect(dead_code, reason = "the fast tests need more of it")]
#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use draw::Draw;
use run::{Job, Outcome};
use support::program::Folder;

/// The seed of the runs that count.
const SEED: u64 = 20_261_122;

/// Most of a run is waiting.
const SIDE_BY_SIDE: usize = 8;

struct Arguments {
    seed: u64,
    tenth: bool,
    only: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = arguments();
    if !net::run("ip netns add labprobe$$ && ip netns del labprobe$$").status.success() {
        support::not_run("network namespaces need root");
        return ExitCode::SUCCESS;
    }
    let cases = case::read_all(Path::new("tests/lab"));
    let mut jobs = Vec::new();
    for (case, is_healthy) in &cases {
        for (which, truth) in [("one", &case.one), ("two", &case.two)] {
            let Some(truth) = truth else { continue };
            jobs.push(Job { case, truth, is_healthy: *is_healthy, which });
        }
    }
    if !arguments.only.is_empty() {
        jobs.retain(|job| arguments.only.iter().any(|only| job.case.id.starts_with(only)));
    } else if arguments.tenth {
        jobs.retain(|job| Draw::of(arguments.seed, &job.case.id).between(1, 10) == 1);
    }
    println!("lab: seed {}, {} runs of {} cases", arguments.seed, jobs.len(), cases.len());
    let before = net::own_network();
    let folder = Folder::new();
    let results = run_all(&jobs, arguments.seed, &clock(&folder));
    let mut faults = table::print(&jobs, &results, arguments.seed);
    let left = net::footprint(&net::prefix());
    if !left.is_empty() {
        faults.push(format!("not undone: {left:?}"));
    }
    if net::own_network() != before {
        faults.push("the network of this host is another than before".to_owned());
    }
    for fault in &faults {
        println!("FAILED: {fault}");
    }
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::disallowed_methods, reason = "CI gives the seed in the environment")]
fn arguments() -> Arguments {
    let given = std::env::var("LAB_SEED").ok();
    let seed = given.map(|seed| seed.parse().expect("LAB_SEED is a number"));
    let mut arguments = Arguments { seed: seed.unwrap_or(SEED), tenth: false, only: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seed" => {
                let seed = words.next().expect("--seed takes a number");
                arguments.seed = seed.parse().expect("--seed takes a number");
            }
            "--tenth" => {
                arguments.tenth = true;
                if seed.is_none() {
                    arguments.seed = std::process::id().into();
                }
            }
            other if other.starts_with("--") => panic!("{other}: not known"),
            other => arguments.only.push(other.to_owned()),
        }
    }
    arguments
}

type Results = Vec<Option<Result<Outcome, String>>>;

fn run_all(jobs: &[Job<'_>], seed: u64, clock: &Path) -> Results {
    let next = AtomicUsize::new(0);
    let results: Mutex<Results> = Mutex::new(jobs.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE.min(jobs.len()) {
            scope.spawn(|| {
                while let Some((place, job)) = take(jobs, &next) {
                    let result = job.run(seed, clock);
                    results.lock().expect("no panic while locked")[place] = Some(result);
                }
            });
        }
    });
    results.into_inner().expect("no panic while locked")
}

fn take<'a, 'b>(jobs: &'a [Job<'b>], next: &AtomicUsize) -> Option<(usize, &'a Job<'b>)> {
    let place = next.fetch_add(1, Ordering::Relaxed);
    jobs.get(place).map(|job| (place, job))
}

/// What is loaded in front of libc to give one process another time of day.
fn clock(folder: &Folder) -> PathBuf {
    let source = folder.write("clock.c", include_str!("clock.c"));
    let library = folder.path().join("clock.so");
    net::must(&format!("cc -O1 -shared -fPIC -o {} {}", library.display(), source.display()));
    library
}
