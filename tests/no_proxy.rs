//! The environment's exemptions: the table of what egressd does and what its neighbours do, and those neighbours.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use egressd::plan::is_exempt;
use serde::Deserialize;
use url::Host;

use crate::support::{Journal, not_run};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    versions: Versions,
    rows: Vec<Row>,
}

/// How each program's version begins.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "those of what is not run are for people")]
struct Versions {
    curl: String,
    python: String,
    go: String,
    node: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "a column each")]
#[expect(dead_code, reason = "the columns of what is not run are for people")]
struct Row {
    list: String,
    host: String,
    port: u16,
    ours: bool,
    curl: bool,
    python: bool,
    go: bool,
    node: bool,
}

impl Row {
    /// As a URL has it: without the port that goes without saying.
    fn authority(&self) -> String {
        if self.port == 443 { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }
}

fn table() -> Table {
    toml::from_str(&std::fs::read_to_string("tests/no_proxy.toml").unwrap()).unwrap()
}

/// Fails with all rows at once of which somebody said otherwise.
#[track_caller]
fn compare(rows: &[Row], said: impl IntoIterator<Item = bool>, column: impl Fn(&Row) -> bool) {
    let said: Vec<bool> = said.into_iter().collect();
    assert_eq!(rows.len(), said.len());
    let differ = rows.iter().zip(said).filter(|(row, said)| column(row) != *said);
    let wrong: Vec<String> = differ.map(|(row, said)| format!("{said}: {row:?}")).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether a program is here in the version that the table is of.
#[track_caller]
fn is_here(program: &str, version: &str) -> bool {
    let printed = Command::new(program).arg("--version").output();
    let printed = printed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let found = match &printed {
        Ok(text) => text.split_whitespace().nth(1).unwrap_or_default(),
        Err(_) => "",
    };
    let fits = found.starts_with(version);
    if !fits {
        not_run(&format!("the table is of {program} {version}, here is {found:?}"));
    }
    fits
}

#[test]
fn ours_is_as_the_table_says() {
    let rows = table().rows;
    assert!(rows.len() >= 40, "{} rows", rows.len());
    let ours = |row: &Row| is_exempt(&row.list, &Host::parse(&row.host).unwrap(), row.port);
    compare(&rows, rows.iter().map(ours), |row| row.ours);
}

#[test]
fn the_table_has_each_case_once() {
    let rows = table().rows;
    let mut cases: Vec<_> = rows.iter().map(|row| (&row.list, &row.host, row.port)).collect();
    cases.sort_unstable();
    let all = cases.len();
    cases.dedup();
    assert_eq!(cases.len(), all);
}

/// Asks Python of all rows at once, as urllib does before a request.
const PYTHON: &str = "
import json, sys, urllib.request
ask = lambda host, names: bool(urllib.request.proxy_bypass_environment(host, {'no': names}))
print(json.dumps([ask(host, names) for host, names in json.load(sys.stdin)]))
";

#[test]
fn python_is_as_the_table_says() {
    let table = table();
    if !is_here("python3", &table.versions.python) {
        return;
    }
    let asked: Vec<_> = table.rows.iter().map(|row| (row.authority(), &row.list)).collect();
    let mut python = Command::new("python3")
        .args(["-I", "-c", PYTHON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let asked = serde_json::to_vec(&asked).unwrap();
    python.stdin.take().unwrap().write_all(&asked).unwrap();
    let output = python.wait_with_output().unwrap();
    let said: Vec<bool> = serde_json::from_slice(&output.stdout).unwrap();
    compare(&table.rows, said, |row| row.python);
}

/// Takes connections on the loopback, keeps the first bytes of each, and answers none.
struct Listener {
    address: SocketAddr,
    begins: Journal<Vec<u8>>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let begins = Journal::new();
        let kept = begins.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut begin = vec![0; 64];
                let count = stream.unwrap().read(&mut begin).unwrap_or(0);
                // Only its owner says nothing.
                if count == 0 {
                    break;
                }
                begin.truncate(count);
                kept.push(begin);
            }
        });
        Self { address, begins, thread: Some(thread) }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        TcpStream::connect(self.address).ok();
        self.thread.take().map(JoinHandle::join);
    }
}

#[test]
fn curl_is_as_the_table_says() {
    let table = table();
    if !is_here("curl", &table.versions.curl) {
        return;
    }
    let listener = Listener::start();
    let around = |(at, row): (usize, &Row)| {
        // Whichever way it goes, it comes here: the proxy is here, and so is every host.
        let here = format!("::{}", listener.address);
        let url = format!("https://{}/", row.authority());
        let status = Command::new("curl")
            .args(["-q", "--silent", "--connect-timeout", "10", "--max-time", "20"])
            .args(["--connect-to", &here, &url])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("https_proxy", format!("http://{}", listener.address))
            .env("no_proxy", &row.list)
            .output();
        assert!(!status.unwrap().status.success(), "nobody answers {row:?}");
        let begins = listener.begins.wait_until(|begins| begins.len() > at);
        assert_eq!(begins.len(), at + 1, "{row:?}");
        !begins[at].starts_with(b"CONNECT ")
    };
    let said: Vec<bool> = table.rows.iter().enumerate().map(around).collect();
    compare(&table.rows, said, |row| row.curl);
}
