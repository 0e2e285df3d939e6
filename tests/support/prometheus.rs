//! A real Prometheus on loopback, its storage in a folder of its own, asked over its API.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::Journal;
use super::foreign::{At, Foreign, are_here};
use super::netns::inside;
use super::program::Folder;

/// A running Prometheus; it is ended when this goes.
#[derive(Debug)]
pub(crate) struct Prometheus {
    web: Web,
    _program: Foreign,
    _folder: Folder,
}

/// How long is waited for something that an expression shows. It is never reached where all is well.
const DEADLINE: Duration = Duration::from_secs(60);

impl Prometheus {
    /// With this configuration and these files beside it, which it may name as its `rule_files`; none where it is not
    /// installed, which a run in CI does not accept.
    pub(crate) fn start(at: At<'_>, config: &str, files: &[(&str, &str)]) -> Option<Self> {
        if !are_here(&["/usr/bin/prometheus"]) {
            return None;
        }
        let folder = Folder::new();
        for (name, text) in files {
            folder.write(name, text);
        }
        let file = folder.write("prometheus.yml", config);
        let mut command = at.command("prometheus");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("storage").display()))
            // A minute by default, as long as a whole test.
            .arg("--rules.alert.resend-delay=1s")
            .arg("--web.listen-address=127.0.0.1:0");
        let ready = "Server is ready to receive web requests";
        let program = Foreign::start(command, ready)
            .unwrap_or_else(|log| panic!("prometheus does not start: {log:#?}"));
        Some(Self { web: Web::of(at, program.log()), _program: program, _folder: folder })
    }

    /// Status and document of a path of its API.
    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        self.web.get(path)
    }

    /// The series that an expression has now; what it says where it is none.
    pub(crate) fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let encoded = utf8_percent_encode(expression, NON_ALPHANUMERIC);
        let (_, document) = self.get(&format!("/api/v1/query?query={encoded}"));
        if document["status"] != "success" {
            return Err(document["error"].to_string());
        }
        Ok(match document["data"]["resultType"].as_str() {
            Some("vector" | "matrix") => {
                document["data"]["result"].as_array().cloned().unwrap_or_default()
            }
            _ => vec![document["data"]["result"].clone()],
        })
    }

    /// Waits until an expression has a series, and returns all that it has then.
    #[track_caller]
    pub(crate) fn wait_for(&self, expression: &str) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let series = self.query(expression).expect("an expression");
            if !series.is_empty() {
                return series;
            }
            assert!(begun.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain for {expression}");
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }
}

/// The web side of a program of Prometheus's family, on a port of its own choice.
#[derive(Clone, Debug)]
pub(crate) struct Web {
    address: SocketAddr,
    namespace: Option<String>,
}

impl Web {
    /// From the line of its log that says where it listens.
    pub(crate) fn of(at: At<'_>, log: &Journal<String>) -> Self {
        let is = |line: &String| line.contains("msg=\"Listening on\"");
        let lines = log.wait_until(|lines| lines.iter().any(is));
        let line = lines.iter().find(|line| is(line)).expect("it was there");
        let address = line.rsplit("address=").next().and_then(|text| text.trim().parse().ok());
        let namespace = match at {
            At::Loopback => None,
            At::Namespace(namespace, ..) => Some(namespace.to_owned()),
        };
        Self { address: address.expect("an address"), namespace }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Status of an answer, and its document where it is one.
    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        let (address, path) = (self.address, path.to_owned());
        let answer = match &self.namespace {
            Some(namespace) => inside(namespace, move || ask(address, &path)),
            None => ask(address, &path),
        };
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status.expect("a status"), serde_json::from_str(body).unwrap_or(Value::Null))
    }
}

/// HTTP/1.0, in which no answer comes in chunks.
fn ask(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}
