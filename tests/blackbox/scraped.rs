//! The job of blackbox_exporter's own README, with another address, in a real Prometheus; and the README of ours.

use super::Bench;
use crate::support::foreign::At;
use crate::support::http::{Behaviour as Http, HttpServer};
use crate::support::prometheus::Prometheus;

#[test]
fn the_job_of_its_readme_works_with_another_address() {
    let server =
        HttpServer::start(Http::Answer { status: 200, headers: Vec::new(), body: Vec::new() });
    let bench = Bench::new(&[server.address().port()], &[("http_2xx", "")]);
    // As the README has it, with this server and this daemon.
    let config = after("prometheus.yml")
        .replace("https://www.example.com/", &format!("http://{}", server.address()))
        .replace("127.0.0.1:9737", &bench.daemon.address().to_string());
    let config = format!("global: {{ scrape_interval: 1s }}\n{config}");
    let Some(prometheus) = Prometheus::start(At::Loopback, &config, &[]) else { return };
    let series = &prometheus.wait_for("probe_success")[0];
    assert_eq!(series["metric"]["instance"], format!("http://{}", server.address()));
    assert_eq!(series["value"][1], "1");
    // It said how long it waits, and the probe keeps to that.
    let timeout = &prometheus.wait_for("probe_timeout_seconds")[0];
    assert_eq!(timeout["value"][1], "0.5");
}

/// A diff of the README, as the file is after it.
fn after(name: &str) -> String {
    let readme = std::fs::read_to_string("README.md").unwrap();
    let mut blocks = readme.split("```diff\n").skip(1).filter_map(|rest| rest.split("```").next());
    let block =
        blocks.find(|block| block.starts_with(&format!(" # {name}\n"))).expect("it is there");
    let changed = |line: &&str| line.starts_with('+') || line.starts_with('-');
    assert!((1..=2).contains(&block.lines().filter(changed).count()), "{block}");
    let kept = block.lines().filter(|line| !line.starts_with('-'));
    kept.fold(String::new(), |text, line| text + &line[1..] + "\n")
}

#[test]
fn the_readmes_modules_are_sound() {
    let (finished, said) = super::config::check(&after("blackbox.yml"));
    assert_eq!((finished.code, said.as_str()), (0, ""), "{said}");
}
