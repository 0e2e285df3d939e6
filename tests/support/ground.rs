//! What most stories of the real binary stand on: a folder, a CA that counts as public, and a control
//! host that works.

use std::sync::Arc;

use serde_json::Value;

use super::http::Behaviour as Http;
use super::pki::Authority;
use super::program::{Folder, run};
use super::tls::{Behaviour, TlsServer};

/// The ground; its servers end with it.
pub(crate) struct Ground {
    pub(crate) folder: Folder,
    pub(crate) authority: Authority,
    pub(crate) control: TlsServer,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let folder = Folder::new();
        let authority = Authority::new("Public Test Root");
        folder.write("public.pem", &authority.pem());
        let answer = Http::Answer { status: 200, headers: Vec::new(), body: b"hello".to_vec() };
        let leaf = Arc::new(authority.leaf(&["127.0.0.1", "localhost"]));
        let control = TlsServer::start(&leaf, Behaviour::Serve(answer));
        Self { folder, authority, control }
    }

    /// A server with a sound certificate.
    pub(crate) fn server(&self, behaviour: Behaviour) -> TlsServer {
        TlsServer::start(&Arc::new(self.authority.leaf(&["127.0.0.1"])), behaviour)
    }

    /// The tables of a configuration that say so; trips are a second long, a second apart.
    pub(crate) fn tables(&self) -> String {
        self.tables_with("1s", "")
    }

    /// The same with longer trips, and further lines of `[trust]`.
    pub(crate) fn tables_with(&self, timeout: &str, trust: &str) -> String {
        format!(
            "[probe]\ninterval = \"{timeout}\"\ntimeout = \"{timeout}\"\n\
             [trust]\nsystem = false\npublic_roots = \"{}\"\n{trust}\n\
             [control]\nurls = [\"https://localhost:{}/\"]\n",
            self.folder.path().join("public.pem").display(),
            self.control.address().port(),
        )
    }

    /// A configuration with these targets.
    pub(crate) fn config(&self, rest: &str) -> String {
        let text = format!("{}{rest}", self.tables());
        self.folder.write("egressd.toml", &text).display().to_string()
    }

    /// How `check` of these targets ends, and what it says.
    pub(crate) fn json(&self, rest: &str) -> (i32, Value) {
        let file = self.config(rest);
        let finished = run(&["check", "--config", &file, "--format", "json"]);
        let value = serde_json::from_str(&finished.stdout);
        (finished.code, value.unwrap_or_else(|_| panic!("{}{}", finished.stdout, finished.stderr)))
    }
}

/// A target at a server.
pub(crate) fn target(name: &str, server: &TlsServer, more: &str) -> String {
    format!(
        "[[target]]\nname = \"{name}\"\nurl = \"https://{}/v1/models\"\n{more}\n",
        server.address()
    )
}

/// Status, cause, party, network of the first check.
pub(crate) fn verdict(document: &Value) -> [Option<&str>; 4] {
    ["status", "cause", "party", "network"].map(|key| document["checks"][0][key].as_str())
}
