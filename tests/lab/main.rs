//! The lab: real faults on a real wire, the real binary in the middle, its verdict beside a truth written by hand.
//!
//! Four hosts are network namespaces (`net.rs`): the client; the router with nftables, the company's dnsmasq
//! and a device that can end TLS; the proxies (squid, tinyproxy, danted, microsocks, and ours that misbehave);
//! the internet with the target, two unrelated hosts, a landing page, a portal check, a public and an
//! independent name server. Each run has a world of its own, which is gone after it: namespaces, files and
//! processes are looked for, and one that is left fails the lab, as does a change of this host's network.
//!
//! ```console
//! # cargo test --test lab                      # all, at the fixed seed
//! # cargo test --test lab -- tcp-drop --seed 7 # one case, or all whose id begins so
//! # cargo test --test lab -- --tenth           # a drawn tenth at a drawn seed
//! # cargo test --test lab -- tcp-drop --keep   # wait for Enter before a world goes: look around in it
//! # cargo test --test lab -- --transcript ID   # what a case says as text, for the README
//! ```
//!
//! A block of README.md whose fence is `transcript ID one` (or `two`) is what that run says as text at the
//! fixed seed. All is compared but times and ports; what differs fails the lab, which prints the block anew.
//!
//! # A case
//!
//! Cases are data, in `faults/LAYER.toml` (and `LAYER-PART.toml`) and `healthy.toml`; ids begin with their layer.
//!
//! ```toml
//! [[case]]
//! id = "tcp-drop"
//! story = "The router drops what the client sends to the target."
//! set = [{ firewall = "ip saddr {client} ip daddr {api} drop" }]
//! one = { routes = ["direct"], status = "broken", cause = "tcp_dropped", party = "undetermined" }
//! two = { routes = ["direct", "squid"], status = "degraded", cause = "tcp_dropped", party = "firewall" }
//! ```
//!
//! `one` and `two` are two runs. Their truth is about `targets[0]` of the JSON: written by hand, it names the
//! best party that can be proven from that client with those routes, not what the program says today. Every
//! route is `open` unless it stands as `{ name = "direct", expect = "closed" }`. A target of which one route
//! is fine and another only degraded is ok: then the truth says so, and `checks = { direct = { status =
//! "degraded", cause = "…", party = "…" } }` what is wrong. Where it is ok, cause and party are left out.
//!
//! Also of a case: `second_hop` (another router, `upstream`, whose links are `lower` and `upper`), `target` (`anthropic`, `gateway`: the same API under a drawn name, `generic`: a page),
//! `ipv6` (the client and the proxies have a way out over it), `addresses = 2`, `proxy_by_name`.
//!
//! Routes: `direct`, `line` (direct, from `{client2}`), `squid`, `tinyproxy`, `danted`, `microsocks`, `ours`
//! (our HTTP proxy), `secure` (the same in TLS), `socks` (our SOCKS proxy), `pac`, `environment`.
//!
//! # What can be set
//!
//! The types in `case.rs` and `words.rs` are the reference; a word that is none is refused. Servers take their words when
//! they start; rules and commands follow in the order in which they stand.
//!
//! | action | what |
//! | --- | --- |
//! | `firewall = "RULE"` | a rule of nft for what the router passes on. It sees the proxies too: say `ip saddr {client}` or `iifname lan` |
//! | `nft = { on, chain, rule }` | on `client`, `router`, `proxies`, `internet`, `upstream`; in `raw`, `prerouting`, `input`, `forward`, `output`, `postrouting`, `dnat`, `local_dnat`, `snat`. Loss: `numgen inc mod 3 0 drop`; size: `meta length > 1000`; bytes: `@th,160,8 0x16`; rates: `limit rate over …` |
//! | `run = { on, command }` | `ip`, `tc` (tbf; this needs no netem), `sysctl`, `nft` |
//! | `hosts_file`, `resolv_conf` | lines; the second replaces what is there |
//! | `file = { name, text, mode }` | `{files}/NAME`, for a configuration |
//! | `dnsmasq = ["--address=/{host}/{dead}"]` | further arguments of the company's resolver |
//! | `resolver`, `second_resolver`, `public_dns`, `independent` | our name server there: `all`, `names = { "{host}" = WORD }`, `records = { "{host}" = ["{dead}"] }`, `closed`. Words: `answer nxdomain nodata servfail refused silent garbage wrong_id wrong_question truncated truncated_no_tcp aaaa_silent aaaa_servfail wrong_id_first`, `{ aaaa_late_ms = 900 }`, `{ forged = "{dead}" }`, `{ blocked = 15 }`, `{ late_ms = 900 }` |
//! | `origin`, `control`, `elsewhere` | TLS servers, all of a kind or `at = ["api2"]`: `closed`; `handshake = "plain_http"`, `"garbage"`, `"corrupt_record"`, `"client_certificate"`, `{ on_accept \| after_hello \| after_server_hello = "close" \| "reset" \| "silent" }`, `{ alert = 40 }`, `{ sni_filter = { name, then } }`, `{ sni_alert = { name, code } }`, `{ hello_filter = { larger_than, then } }`; `certificate = { flaw, issuer, names }`; `tls = "1.2"`; `alpn`; `answer`, and `plain` on port 80. A certificate's `flaw` or `days = [-6, 1]`, its `issuer` (`public`, `organisation`, `nobody`, `untrusted`) |
//! | an answer | `api`, `page`, `{ page_of = BYTES }`, `{ says = { status, headers, body } }`, `{ api_error = { status, type, message } }`, `{ edge = { status, headers, body } }`, `edge_challenge edge_forbidden edge522`, `{ block_page = 403 }`, `{ redirect = "…" }`, `silent close reset half_head_then_stall half_head_then_close head_then_stall body_stall body_truncated chunk_cut bad_status_line two_content_lengths endless_headers endless_continue endless_body huge_content_length compressed_bomb`, `{ drip_ms }`, `{ late_ms }`, `{ h2_go_away }`, `{ h2_reset_stream }`, `{ raw = { bytes, then } }` |
//! | `interceptor` | ends TLS on the router; of several, the first that takes: `takes` (nft's words; TCP 443 over IPv4), `side = "dmz"`, `only` (names), `certificate`, `then = "forward"`, `{ strip = ["x-api-key"] }`, `{ answer = … }`, `{ end = "reset" }`, `{ alert = 40 }`, `{ plain = "HTTP/1.1 302 …" }`, `{ cut = { after, then } }`, `{ refuse = { larger_than, in_segments, offers_13, end, alert } }`, `{ verify = { trusts, answer } }`, `"client_certificate"` |
//! | `proxy` | of `ours` and `secure`: `all`, `names`: `opens ask_login silent close reset garbage tls_bytes endless_head opens_then_silent opens_then_close opens_then_reset opens_then_plain_text`, `{ says = { status, headers, body } }`; `leads = { "{host}" = "{elsewhere}" }`, `certificate`, `down` |
//! | `socks` | of `socks`: `method`, `reply`, `names = { "{host}" = 2 }`, `raw`, `silent` |
//! | `squid = { lines, login, bump, dns, down }`, `tinyproxy = { lines, refused, down }`, `danted = "RULES"`, `microsocks = { user, password }` | the real ones |
//! | `start = ["squid"]`, `pac = "function …"`, `environment = { https_proxy = "http://{squid}" }` | for the routes `pac` and `environment` |
//! | `config = { probe = { timeout = "4s" }, route.squid.auth = { … }, target = { … } }` | laid over the configuration |
//! | `key = "good" \| "wrong" \| "missing" \| "empty"` | the target's |
//! | `clock = -400` | days by which the client's clock is wrong |
//!
//! # What is drawn
//!
//! `{host} {api} {api2} {api6} {control} {control_name} {control2} {control2_name} {elsewhere}
//! {elsewhere_name} {portal} {portal_name} {dead}` (silent) `{spare1}` … `{spare4}` (of the target's network, and nobody's) `{dns_public} {independent} {internet}`;
//! `{client} {client2} {client6} {router} {router_wan} {resolver} {resolver2} {lan} {dmz} {lan_nobody}
//! {dmz_nobody} {proxies} {proxy_name}`; `{squid}` and each other proxy's word (address and port), and
//! `{squid_port}`; `{text} {key} {user} {password} {files} {public_ca} {organisation_ca} {public_issuer}
//! {organisation_issuer} {nobody_issuer}`, `{client_cert} {client_key}` (a client's, by the organisation),
//! `{stranger_cert} {stranger_key}` (by nobody). Links are `eth0` on the client, the proxies and the internet;
//! `lan`, `dmz` and `wan` on the router. With a second hop: `{upstream} {upstream_wan} {transit}`.
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
mod words;
// What is drawn.
mod draw;
// The four hosts.
mod net;
// What a case says, as servers.
mod servers;
mod device;
// All of it for one run.
mod world;
mod proxies;
mod configuration;
mod run;
// What people read of it.
mod table;
mod transcript;

#[expect(dead_code, reason = "the fast tests need more of it")]
#[path = "../support/mod.rs"]
mod support;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use draw::Draw;
use run::{Given, Job, Outcome};
use support::program::Folder;

/// The seed of the runs that count.
const SEED: u64 = 20_261_122;

/// Most of a run is waiting.
const SIDE_BY_SIDE: usize = 8;

struct Arguments {
    seed: u64,
    tenth: bool,
    keep: bool,
    only: Vec<String>,
    /// Only this case, for the README.
    transcript: Option<String>,
}

fn main() -> ExitCode {
    let arguments = arguments();
    let blocks = transcript::of_readme();
    if !net::run("ip netns add labprobe$$ && ip netns del labprobe$$").status.success() {
        support::not_run("network namespaces need root");
        return ExitCode::SUCCESS;
    }
    let cases = case::read_all(Path::new("tests/lab"));
    let mut jobs = Vec::new();
    for (case, is_healthy) in &cases {
        for (which, truth) in [("one", &case.one), ("two", &case.two)] {
            let Some(truth) = truth else { continue };
            jobs.push(Job { case, truth, is_healthy: *is_healthy, which, as_text: false });
        }
    }
    for block in &blocks {
        let exists = jobs.iter().any(|job| job.name() == block.name);
        assert!(exists, "README.md: no run is {:?}", block.name);
    }
    if let Some(id) = &arguments.transcript {
        jobs.retain(|job| job.case.id == *id);
    } else if !arguments.only.is_empty() {
        jobs.retain(|job| arguments.only.iter().any(|only| job.case.id.starts_with(only)));
    } else if arguments.tenth {
        jobs.retain(|job| Draw::of(arguments.seed, &job.case.id).between(1, 10) == 1);
    }
    println!("lab: seed {}, {} runs of {} cases", arguments.seed, jobs.len(), cases.len());
    let before = net::own_network();
    let folder = Folder::new();
    let is_shown = |job: &Job<'_>| blocks.iter().any(|block| block.name == job.name());
    for job in &mut jobs {
        job.as_text = arguments.transcript.is_some() || arguments.seed == SEED && is_shown(job);
    }
    let given = Given { seed: arguments.seed, clock: clock(&folder), keep: arguments.keep };
    let results = run_all(&jobs, &given);
    let mut faults = table::print(&jobs, &results, arguments.seed);
    if arguments.transcript.is_some() {
        transcript::print(&jobs, &results);
    } else {
        faults.extend(transcript::compare(&blocks, &jobs, &results));
    }
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
    let mut arguments = Arguments {
        seed: seed.unwrap_or(SEED),
        tenth: false,
        keep: false,
        only: Vec::new(),
        transcript: None,
    };
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
                    arguments.seed = drawn();
                }
            }
            "--transcript" => {
                arguments.transcript = Some(words.next().expect("--transcript takes a case's id"));
            }
            "--keep" => arguments.keep = true,
            other if other.starts_with("--") => panic!("{other}: not known"),
            other => arguments.only.push(other.to_owned()),
        }
    }
    arguments
}

/// Short enough to be typed again.
fn drawn() -> u64 {
    let mut bytes = [0; 4];
    let mut random = std::fs::File::open("/dev/urandom").expect("the system's random numbers");
    random.read_exact(&mut bytes).expect("they do not end");
    u32::from_ne_bytes(bytes).into()
}

type Results = Vec<Option<Result<Outcome, String>>>;

fn run_all(jobs: &[Job<'_>], given: &Given) -> Results {
    let next = AtomicUsize::new(0);
    let results: Mutex<Results> = Mutex::new(jobs.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        let side_by_side = if given.keep { 1 } else { SIDE_BY_SIDE };
        for _ in 0..side_by_side.min(jobs.len()) {
            scope.spawn(|| {
                while let Some((place, job)) = take(jobs, &next) {
                    let result = job.run(given);
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
