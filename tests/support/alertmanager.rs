//! A real Alertmanager on loopback, its storage in a folder of its own, without peers.

use serde_json::Value;

use super::foreign::{At, Foreign, are_here};
use super::program::Folder;
use super::prometheus::Web;

/// A running Alertmanager; it is ended when this goes.
#[derive(Debug)]
pub(crate) struct Alertmanager {
    web: Web,
    _program: Foreign,
    _folder: Folder,
}

impl Alertmanager {
    /// With this configuration; none where it is not installed, which a run in CI does not accept.
    pub(crate) fn start(at: At<'_>, config: &str) -> Option<Self> {
        Self::start_on(at, 0, config)
    }

    /// On this port; 0: on any.
    pub(crate) fn start_on(at: At<'_>, port: u16, config: &str) -> Option<Self> {
        if !are_here(&["/usr/bin/prometheus-alertmanager"]) {
            return None;
        }
        let folder = Folder::new();
        let file = folder.write("alertmanager.yml", config);
        let mut command = at.command("prometheus-alertmanager");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", folder.path().join("storage").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--cluster.listen-address="]);
        // Its API is complete before it listens.
        let program = Foreign::start(command, "msg=\"Listening on\"")
            .unwrap_or_else(|log| panic!("alertmanager does not start: {log:#?}"));
        Some(Self { web: Web::of(at, program.log()), _program: program, _folder: folder })
    }

    pub(crate) fn url(&self) -> String {
        self.web.url()
    }

    /// Status and document of a path, as `/api/v2/alerts`.
    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        self.web.get(path)
    }

    /// The labels and annotations of the alerts that it has, with their state.
    pub(crate) fn alerts(&self) -> Vec<Value> {
        self.get("/api/v2/alerts").1.as_array().cloned().unwrap_or_default()
    }
}
