//! egressd walks the way to each API that an organisation depends on, layer by layer, over every
//! route, and ends in one verdict: what broke, who has to act, and the evidence.
//!
//! This page is the map. Everything flows one way:
//!
//! ```text
//!  config        plan         probe         observation    diagnosis          store           publish
//!  as written →  as meant  →  the only   →  plain data  →  evidence in,    →  one owner    →  pure renders
//!  (TOML)        (valid by    network I/O   (what passed,  a verdict out,     (snapshots)     (metrics, JSON,
//!                construction)              what stopped)  or experiments                     text, one server)
//!  ─────────────────────────────────────────────────────────────────────────────────────────────────────────
//!                              daemon: wires, schedules, signals, systemd · cli: one file a subcommand
//!                              lint: a request as data, judged by what its provider wants; sends nothing
//!                              blackbox: modules of blackbox_exporter as plans, and trips in its metrics' names
//!                              web: the web port's TLS and users, by the exporters' own file
//! ```
//!
//! Read in this order: [`observation`] (the words of everything else), [`probe`] (how a trip is
//! walked), [`diagnosis`] (how it is judged), then [`daemon::inquiry`], the one loop that ties the
//! three together for the daemon and for `check` alike.
//!
//! # What holds everywhere
//!
//! - **The trip reads as a page.** Resolve; for each address connect, tunnel, handshake; one request.
//!   No client library is instrumented from outside, no name is dialled behind our back, families are
//!   never raced.
//! - **One ending a leg.** A second failure of a leg cannot be written. Failures are classified once,
//!   where they are born, by errno, alert, certificate error or ICMP sender; never by message text.
//! - **Diagnosis decides, the shell acts.** `diagnose` is pure; it answers with a verdict or with the
//!   experiments it needs, and naming a party needs proof.
//! - **Two kinds of wrong.** What the network did is data ([`observation::Failure`]); what we did wrong
//!   is an error type of the module that did it. A walk returns no `Result`.
//! - **One snapshot, many views.** Only [`store::Store`] changes state; views are renders of the same
//!   immutable [`store::Snapshot`].
//! - **A key goes only over a chain that verified**, and no experiment that changes the way carries one.
//!   **A login goes only to the proxy that asks for it**, and one that was rejected is held back.
//!
//! Deliberately absent: HTTP client pools and retries, a cache of names, privileges, globals. Which
//! module may know which is held by a test (`tests/tidy.rs`).
//!
//! # Decisions
//!
//! - *One package, library and thin binary*: the direction of knowledge is held by a test, at a finer
//!   grain than crates would give.
//! - *One thread*: checks wait, they do not compute; a second worker costs memory and hides nothing.
//! - *Panics unwind*: a hostile peer must not blind the other checks; a panic in one is contained by
//!   its task, counted and shown as unknown.
//! - *Single questions beside the resolver*: the walk takes what an application would get; wrong ids,
//!   second answers and closed ports, which a resolver hides, are facts from a socket of our own.
//! - *HTTP/2 by `h2`, 1.1 by hyper*: hyper's client drops the connection's own error, and with it the
//!   code of a GOAWAY.
//! - *PAC files in a process of their own*: they are programs from the network; the child has no file, no
//!   socket and no environment, and asks its parent for names.
//! - *The host's own GSSAPI, loaded when it is needed*: keytab, cache and `krb5.conf` are read as its other
//!   programs read them, and nothing is needed to build.
//! - *Rules are tables that read as prose*: the first that holds decides, so an order can be read and nothing
//!   is weighed; what stands above a rule is what `explain` prints.
//! - *Standing controls*: those that depend on no target are measured while nothing fails, too, and one result
//!   serves all targets: what never worked here proves nothing when it fails.
//! - *Vendors' marks beside the verdict*: whom to ask is a guess worth showing, and no rule may lean on it.
//! - *A lab beside the stories*: a story is evidence as we imagine it; in the lab kernels, firewalls and real
//!   proxies make it, all names and addresses are drawn, and the truth is written by hand (`tests/lab`).
//! - *State is kept before it is served*: a counter that comes back smaller after a crash is a reset, and Prometheus would
//!   count all of it again.
//! - *Own families for `/metrics`*: the `prometheus` crate's labelled vectors can merge two series, and it writes no
//!   OpenMetrics.

#[macro_use]
mod documented;

pub mod cause;
pub mod mistake;

pub mod config;
pub mod plan;
pub mod observation;
pub mod provider;
pub mod lint;
pub mod probe;
pub mod diagnosis;
pub mod blackbox;
pub mod web;
pub mod store;
pub mod publish;

pub mod daemon;
pub mod cli;
