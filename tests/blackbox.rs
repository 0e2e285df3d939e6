//! `/probe` in the place of blackbox_exporter: the sense of its own test cases (`prober/http_test.go`,
//! `handler_test.go`, `config_test.go`), and the failures that its metrics cannot tell apart.

mod answers;
mod config;
mod failures;
mod limits;
mod scraped;

use crate::support::ground::Ground;
use crate::support::program::{Daemon, get};

/// What tests may reach: this host.
const HERE: &str = "egressd: { hosts: [\"127.0.0.1\", localhost, \"*.test\"], networks: [127.0.0.0/8], ports: [PORTS] }\n";

/// A daemon with modules.
struct Bench {
    daemon: Daemon,
    /// Its servers, and what they are judged by.
    _ground: Ground,
}

impl Bench {
    /// With these modules, each a name and its further lines, allowed to probe these ports of this host.
    fn new(ports: &[u16], modules: &[(&str, &str)]) -> Self {
        Self::on(Ground::new(), ports, modules, "")
    }

    /// The same on a ground that is there, with further tables of the configuration.
    fn on(ground: Ground, ports: &[u16], modules: &[(&str, &str)], more: &str) -> Self {
        Self::with(ground, &text(ports, modules), more)
    }

    /// With this file of modules.
    fn with(ground: Ground, modules: &str, more: &str) -> Self {
        let file = ground.folder.write("blackbox.yml", modules);
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\nblackbox_modules = \"{}\"\n{}{more}\n[[target]]\nname = \"control\"\nurl = \"https://{}/\"\n",
            file.display(),
            ground.tables(),
            ground.control.address(),
        );
        let config = ground.folder.write("egressd.toml", &config);
        let daemon = Daemon::start(&ground.folder, &config);
        Self { daemon, _ground: ground }
    }

    fn probe(&self, module: &str, target: &str) -> Probe {
        self.ask(&format!("module={module}&target={target}"), &[])
    }

    fn ask(&self, query: &str, headers: &[(&str, &str)]) -> Probe {
        let (status, body) = get(self.daemon.address(), &format!("/probe?{query}"), headers);
        Probe { status, body }
    }
}

/// A file with modules of the kind `http`, each with further lines of its block.
fn text(ports: &[u16], modules: &[(&str, &str)]) -> String {
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    let mut text = HERE.replace("PORTS", &ports.join(", "));
    text.push_str("modules:\n");
    for (name, lines) in modules {
        text.push_str(&format!("  {name}:\n    prober: http\n    timeout: 5s\n    http:\n      preferred_ip_protocol: ip4\n"));
        lines.lines().for_each(|line| text.push_str(&format!("      {line}\n")));
    }
    text
}

/// An answer of `/probe`.
#[derive(Debug)]
struct Probe {
    status: u16,
    body: String,
}

impl Probe {
    /// The value of the one series of this name, with its labels where it has some.
    fn value(&self, series: &str) -> Option<f64> {
        let mut lines = self.body.lines().filter(|line| !line.starts_with('#'));
        let found = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        found.and_then(|value| value.parse().ok())
    }

    fn phase(&self, phase: &str) -> Option<f64> {
        self.value(&format!("probe_http_duration_seconds{{phase=\"{phase}\"}}"))
    }

    /// The phases, in their order.
    fn phases(&self) -> Vec<&str> {
        let lines = self.body.lines();
        let phases = lines.filter_map(|l| l.strip_prefix("probe_http_duration_seconds{phase=\""));
        phases.filter_map(|line| line.split('"').next()).collect()
    }

    #[track_caller]
    fn success(&self) -> bool {
        assert_eq!(self.status, 200, "{}", self.body);
        self.value("probe_success").expect("it is always there") > 0.0
    }

    /// `layer cause party` of a failure.
    fn failure(&self) -> Option<String> {
        let line = self.body.lines().find(|line| line.starts_with("probe_failure_info"))?;
        let labels: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        Some(labels.join(" "))
    }
}
