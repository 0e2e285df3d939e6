//! One binary of fast tests.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

// The architecture: who may know whom, sizes, first lines.
mod tidy;
// Configurations, good and bad.
mod config;
// The environment's exemptions, beside what other clients make of them.
mod no_proxy;
// Byte parsers on the corpora of the fuzz targets.
mod fuzz;
// Stories: observations in, verdict out.
mod scenarios;
// What the APIs answer, row by row.
mod providers;
// Each layer against servers that misbehave.
mod layers;
// The look-up with real name servers and the host's own configuration.
mod dns;
// Logins at proxies, and how often one is tried.
mod logins;
// State over time.
mod store;
// Targets from lists.
mod lists;
// State over restarts.
mod state;
// `egressd check`, the real binary against real servers.
mod check;
// A target's own request, and whose certificates count for it.
mod requests;
// What a target asks for beyond its minimal request.
mod further;
// A check as commands of other programs, run.
mod by_hand;
// Whose marks a check shows.
mod looks_like;
// `/probe` in the place of blackbox_exporter.
mod blackbox;
// The web port closed to strangers: TLS, passwords, limits.
mod web;
// The daemon as a function: panics, hangs, room.
mod shell;
// The daemon, the real binary, scraped by a real Prometheus.
mod daemon;

// Alerts of made snapshots.
mod standing;
// Alerts, told to a real Alertmanager.
mod alertmanager;
// The image, in namespaces.
mod container;
// What the daemon logs, and how.
mod logging;
// Secrets are in no output.
mod secrets;
// Fields in a real journal.
mod journal;
// The shipped unit under a real systemd.
mod systemd;
// What is published as metrics: the table, the formats, the budget.
mod metrics;
// What is written is true.
mod docs;
// Alert and recording rules, routes to the teams.
mod alerts;
// What is said of a cause.
mod explain;
// What holds for every command.
mod commands;
// Configurations by situation, on a wire.
mod examples;
// Pages of the manual, completions.
mod manual;
// What clients say, looked up.
mod said;
// Requests that are judged before they are sent.
mod lint;
// Faults that need a network of namespaces.
mod netns;
// Walks by TTL, paths with small packets, dead neighbours.
mod hops;

// From a fault to the right team, with the Prometheus and Alertmanager that people run.
mod stack;

// Dashboards, and their queries.
mod dashboards;

// Proxies and a KDC that are not ours.
mod proxies;
// PAC scripts in the real child.
#[cfg(feature = "pac")]
mod pac;
// Routes of a PAC file.
#[cfg(feature = "pac")]
mod pac_routes;

// Servers and programs that the tests start.
mod support;
