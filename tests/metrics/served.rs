//! Hostile pages from the real server: the format that is asked for, a real Prometheus, promtool.

use std::fs::File;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;

use egressd::publish::metrics::{Format, METRICS, render};
use egressd::publish::server::{self, Site};
use egressd::store::Snapshot;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use super::openmetrics::read;
use super::{ALL, after, hostile, outside, samples};
use crate::support::foreign::At;
use crate::support::program::{Folder, get_whole};
use crate::support::prometheus::Prometheus;

/// The real server with a snapshot, until this goes.
struct Served {
    address: SocketAddr,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    fn start(snapshot: Arc<Snapshot>) -> Self {
        let (end, ended) = oneshot::channel::<()>();
        let (bound, address) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async move {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
                bound.send(listener.local_addr().unwrap()).unwrap();
                let (_sender, snapshot) = watch::channel(snapshot);
                let site = Site {
                    snapshot,
                    choice: Box::new(|| ALL),
                    outside: Box::new(outside),
                    hosts: Box::new(Vec::new),
                    probe: Box::new(|_| Box::pin(async { server::Reply::off() })),
                    access: Box::new(Arc::default),
                    reload: Box::new(|| Box::pin(async { Ok(()) })),
                };
                server::serve(listener, Arc::new(site), async {
                    ended.await.ok();
                })
                .await;
            });
        });
        Self { address: address.recv().unwrap(), end: Some(end), thread: Some(thread) }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.end.take().map(|end| end.send(()).ok());
        self.thread.take().map(|thread| thread.join().ok());
    }
}

#[test]
fn the_server_answers_in_the_format_that_is_asked_for() {
    let served = Served::start(after(3, 1, 1).snapshot());
    let ask = |accept: &[&str]| {
        let headers: Vec<(&str, &str)> = accept.iter().map(|value| ("Accept", *value)).collect();
        get_whole(served.address, "/metrics", &headers)
    };
    let classic_type = "content-type: text/plain; version=0.0.4; charset=utf-8\r\n";
    for accept in [&[][..], &["*/*"], &["application/openmetrics-text;q=0.1", "text/plain"]] {
        let answer = ask(accept);
        assert!(answer.contains(classic_type) && !answer.contains("# EOF"), "{accept:?}");
    }
    let answer = ask(&["application/openmetrics-text;version=1.0.0,*/*;q=0.1"]);
    let open = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(format!("{head}\r\n").contains(open) && head.contains("vary: accept"), "{head}");
    assert!(read(body).len() > 20);
}

#[test]
fn a_real_prometheus_takes_a_hostile_page_whole() {
    let snapshot = after(hostile::symptoms().len(), 2, 2).snapshot();
    let expected = samples(&snapshot);
    let served = Served::start(snapshot);
    let config = format!(
        "scrape_configs:\n  - job_name: egressd\n    scrape_interval: 1s\n    static_configs:\n      - targets: ['{}']\n",
        served.address
    );
    let Some(prometheus) = Prometheus::start(At::Loopback, &config, &[]) else { return };
    let scraped = prometheus.wait_for("scrape_samples_scraped{job=\"egressd\"} > 0");
    assert_eq!(scraped[0]["value"][1], expected.len().to_string());
    let up = prometheus.query("up{job=\"egressd\"}").unwrap();
    assert_eq!(up[0]["value"][1], "1");
    let team = prometheus.query("egressd_target_info{target=\"api-0\"}").unwrap();
    assert_eq!(team[0]["metric"]["team"], "m\\l \"1\"\n");
    // What it knows of a family is what the table says.
    let (_, metadata) = prometheus.get("/api/v1/metadata?metric=egressd_path_mtu_bytes");
    let known = &metadata["data"]["egressd_path_mtu_bytes"][0];
    assert_eq!((&known["type"], &known["unit"]), (&"gauge".into(), &"bytes".into()), "{metadata}");
}

/// Examples are expressions, and what they name is there.
#[test]
fn a_real_prometheus_evaluates_the_examples() {
    let served = Served::start(after(hostile::symptoms().len(), 2, 2).snapshot());
    let config = format!(
        "scrape_configs:\n  - job_name: egressd\n    scrape_interval: 1s\n    static_configs:\n      - targets: ['{}']\n",
        served.address
    );
    let Some(prometheus) = Prometheus::start(At::Loopback, &config, &[]) else { return };
    prometheus.wait_for("up{job=\"egressd\"} == 1");
    for metric in METRICS {
        if let Some(example) = metric.example {
            let answer = prometheus.query(example);
            assert!(answer.is_ok(), "{}: {example}: {answer:?}", metric.name);
            assert!(example.contains(metric.name), "{example}");
        }
    }
}

#[test]
fn promtool_finds_nothing_in_the_classic_text() {
    let text = render(&after(40, 2, 2).snapshot(), ALL, &outside(), Format::Text);
    let folder = Folder::new();
    let file = File::open(folder.write("page", &text)).unwrap();
    let judged = Command::new("promtool").args(["check", "metrics"]).stdin(file).output().unwrap();
    let said = [judged.stdout, judged.stderr].concat();
    assert!(judged.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
}
