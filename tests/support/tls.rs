//! A TLS server that breaks off wherever a handshake can be broken off, or finishes it and hands the stream to `http`.
//!
//! Where the failure is not rustls's own, the bytes are written by hand: a library cannot be asked to be wrong.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use rustls::server::{Accepted, Acceptor};
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::StartHandshake;

use super::Journal;
use super::http::{self, Protocol, Request};
use super::pki::{Authority, Leaf};
use super::wire::{self, Connection, Ending, Server, Wire};

/// What the server does with a connection.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    /// Finishes the handshake, then answers requests.
    Serve(http::Behaviour),
    /// Ends before it reads a byte. A reset here can reach the client while it still connects.
    OnAccept(Ending),
    /// Ends once the whole `ClientHello` is there.
    AfterHello(Ending),
    /// Sends the record with the `ServerHello` and nothing more, then ends.
    AfterServerHello(Ending),
    /// A fatal alert in answer to the `ClientHello`; 70 is that of a server which knows only TLS 1.1.
    Alert(u8),
    /// HTTP in clear text, as a plain server, or a device that blocks, answers a `ClientHello`.
    PlainHttp,
    /// Bytes of no protocol.
    Garbage,
    /// A true handshake with one bit of the first encrypted record changed.
    CorruptRecord,
    /// Demands a certificate of that authority, then serves. TLS 1.3 clients believe to have finished before they hear of it.
    ClientCertificateRequired(Authority, http::Behaviour),
    /// Refuses one name and serves every other: a filter on the way.
    SniFilter { deny: String, then: Refusal, otherwise: http::Behaviour },
    /// Refuses a `ClientHello` of more bytes, headers of records included: a device that cannot take a large one.
    HelloFilter { larger_than: u64, then: Refusal, otherwise: http::Behaviour },
    /// The first connection gets the first, and so on; the last is for all that follow.
    InTurn(Vec<Self>),
}

/// What a filter does to what it does not let pass.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    End(Ending),
    Alert(u8),
}

/// What a server can be given beyond its behaviour.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// For IPv6, or for a second address with the same port.
    pub(crate) bind: SocketAddr,
    /// The protocols it agrees to; `None` for those that the HTTP behaviour can speak.
    pub(crate) alpn: Option<Vec<&'static [u8]>>,
    pub(crate) versions: &'static [&'static SupportedProtocolVersion],
}

impl Default for Options {
    fn default() -> Self {
        Self { bind: (Ipv4Addr::LOCALHOST, 0).into(), alpn: None, versions: rustls::ALL_VERSIONS }
    }
}

/// A running TLS server.
#[derive(Debug)]
pub(crate) struct TlsServer {
    server: Server,
    behaviour: Arc<Mutex<Behaviour>>,
    requests: Journal<Request>,
}

impl TlsServer {
    /// On 127.0.0.1, with every version of TLS.
    pub(crate) fn start(leaf: &Arc<Leaf>, behaviour: Behaviour) -> Self {
        Self::start_with(leaf, behaviour, Options::default())
    }

    pub(crate) fn start_with(leaf: &Arc<Leaf>, behaviour: Behaviour, options: Options) -> Self {
        let behaviour = Arc::new(Mutex::new(behaviour));
        let requests = Journal::new();
        let bind = options.bind;
        let site = Arc::new(Site { leaf: Arc::clone(leaf), options, requests: requests.clone() });
        let current = Arc::clone(&behaviour);
        let server = Server::start(bind, move |wire| {
            let behaviour = take_turn(&mut current.lock().expect("no panic while locked"));
            let site = Arc::clone(&site);
            async move { site.serve(wire, behaviour).await }
        });
        Self { server, behaviour, requests }
    }

    /// Changes the behaviour from the next connection on.
    pub(crate) fn set(&self, behaviour: Behaviour) {
        *self.behaviour.lock().expect("no panic while locked") = behaviour;
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub(crate) fn connections(&self) -> Vec<Connection> {
        self.server.connections()
    }

    /// Blocks until `count` connections have ended.
    #[track_caller]
    pub(crate) fn wait_closed(&self, count: usize) -> Vec<Connection> {
        self.server.wait_closed(count)
    }

    /// Every request that came out of the tunnel, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.entries()
    }

    /// Every request, once one of them is as wanted.
    #[track_caller]
    pub(crate) fn wait_for_request(&self, wanted: impl Fn(&Request) -> bool) -> Vec<Request> {
        self.requests.wait_until(|requests| requests.iter().any(&wanted))
    }
}

fn take_turn(behaviour: &mut Behaviour) -> Behaviour {
    match behaviour {
        Behaviour::InTurn(turns) if turns.len() > 1 => turns.remove(0),
        Behaviour::InTurn(turns) => turns.first().expect("at least one turn").clone(),
        other => other.clone(),
    }
}

/// What all connections of a server share.
struct Site {
    leaf: Arc<Leaf>,
    options: Options,
    requests: Journal<Request>,
}

impl Site {
    async fn serve(&self, mut wire: Wire, behaviour: Behaviour) {
        if let Behaviour::OnAccept(ending) = behaviour {
            let record = wire.record();
            wire::end(&mut wire, &record, ending).await;
            return wire::settle(wire).await;
        }
        // What is no ClientHello is answered by rustls with an alert where one is due.
        let Ok(start) = LazyConfigAcceptor::new(Acceptor::default(), wire).await else {
            return;
        };
        let (sni, hello_bytes) = note_hello(&start);
        match behaviour {
            Behaviour::SniFilter { deny, then, .. } if sni.as_deref() == Some(&deny) => {
                refuse(start.io, then).await;
            }
            Behaviour::HelloFilter { larger_than, then, .. } if hello_bytes > larger_than => {
                refuse(start.io, then).await;
            }
            Behaviour::Serve(http)
            | Behaviour::SniFilter { otherwise: http, .. }
            | Behaviour::HelloFilter { otherwise: http, .. } => {
                self.finish(start, &http, None).await;
            }
            Behaviour::ClientCertificateRequired(authority, http) => {
                self.finish(start, &http, Some(&authority)).await;
            }
            Behaviour::AfterHello(ending) => refuse(start.io, Refusal::End(ending)).await,
            Behaviour::Alert(code) => refuse(start.io, Refusal::Alert(code)).await,
            Behaviour::PlainHttp => say(start.io, PLAIN_HTTP, Ending::Close).await,
            Behaviour::Garbage => say(start.io, GARBAGE, Ending::Close).await,
            Behaviour::AfterServerHello(ending) => self.server_hello(start, ending).await,
            Behaviour::CorruptRecord => self.corrupt(start).await,
            Behaviour::OnAccept(_) | Behaviour::InTurn(_) => {
                unreachable!("turns do not nest, and an accept comes first")
            }
        }
    }

    async fn finish(
        &self,
        start: StartHandshake<Wire>,
        http: &http::Behaviour,
        clients: Option<&Authority>,
    ) {
        let record = start.io.record();
        let alpn = self.options.alpn.clone().unwrap_or_else(|| http.alpn());
        match start.into_stream(self.config(&alpn, clients)).into_fallible().await {
            Ok(mut stream) => {
                let protocol = Protocol::from_alpn(stream.get_ref().1.alpn_protocol());
                http::serve(&mut stream, &record, protocol, http, &self.requests).await;
                wire::settle(stream.into_inner().0).await;
            }
            Err((error, wire)) => {
                note_alert(&error, &record);
                wire::settle(wire).await;
            }
        }
    }

    /// The first record is the `ServerHello`; in TLS 1.2 rustls puts the rest of its flight into the same one, which still lacks the client's part.
    async fn server_hello(&self, start: StartHandshake<Wire>, ending: Ending) {
        let mut connection = self.connection(start.accepted);
        let flight = flight(&mut connection);
        say(start.io, records(&flight).next().unwrap_or_default(), ending).await;
    }

    /// A flight at a time, because in TLS 1.2 nothing is encrypted before the second.
    async fn corrupt(&self, start: StartHandshake<Wire>) {
        let StartHandshake { accepted, io: mut wire, .. } = start;
        let mut connection = self.connection(accepted);
        let mut buffer = vec![0; 16_384];
        let mut done = false;
        while wire.write_all(&corrupted(&flight(&mut connection), &mut done)).await.is_ok() {
            let Ok(length @ 1..) = wire.read(&mut buffer).await else {
                return;
            };
            let mut received = &buffer[..length];
            while !received.is_empty() {
                // The client's alert ends up here as an error; it has all that it was to get.
                if connection.read_tls(&mut received).is_err()
                    || connection.process_new_packets().is_err()
                {
                    return wire::settle(wire).await;
                }
            }
        }
    }

    fn connection(&self, accepted: Accepted) -> ServerConnection {
        let config = self.config(&[b"http/1.1", b"h2"], None);
        accepted
            .into_connection(config)
            .unwrap_or_else(|(error, _)| panic!("no answer to this ClientHello: {error}"))
    }

    fn config(&self, alpn: &[&[u8]], clients: Option<&Authority>) -> Arc<ServerConfig> {
        self.leaf.server_config_with(alpn, self.options.versions, clients)
    }
}

const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nContent-Type: text/html\r\nContent-Length: 52\r\n\
    Connection: close\r\n\r\n<html><head><title>400 Bad Request</title></head></h";

const GARBAGE: &[u8] = b"\x00\x01\x02 this is no protocol that anybody speaks \xfd\xfe\xff";

fn note_hello(start: &StartHandshake<Wire>) -> (Option<String>, u64) {
    let hello = start.client_hello();
    let sni = hello.server_name().map(str::to_owned);
    let alpn = hello
        .alpn()
        .into_iter()
        .flatten()
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    let mut hello_bytes = 0;
    let segments = start.io.segments();
    start.io.record().update(|connection| {
        // Nothing follows a ClientHello before the server has spoken, so all that came is the ClientHello.
        hello_bytes = connection.received;
        connection.sni.clone_from(&sni);
        connection.alpn = alpn;
        connection.hello_bytes = Some(hello_bytes);
        connection.hello_segments = Some(segments);
    });
    (sni, hello_bytes)
}

fn note_alert(error: &std::io::Error, record: &wire::Record) {
    let error = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    if let Some(rustls::Error::AlertReceived(alert)) = error {
        record.update(|connection| connection.alert = Some(u8::from(*alert)));
    }
}

async fn refuse(wire: Wire, refusal: Refusal) {
    match refusal {
        Refusal::Alert(code) => say(wire, &[0x15, 3, 3, 0, 2, 2, code], Ending::Close).await,
        Refusal::End(ending) => say(wire, b"", ending).await,
    }
}

async fn say(mut wire: Wire, bytes: &[u8], ending: Ending) {
    let record = wire.record();
    wire.write_all(bytes).await.ok();
    wire::end(&mut wire, &record, ending).await;
    wire::settle(wire).await;
}

/// All that the connection has to say now.
fn flight(connection: &mut ServerConnection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut bytes).expect("memory takes every byte");
    }
    bytes
}

/// Splits a flight at its record headers: type, two bytes of version, two of length.
fn records(flight: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = flight;
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_be_bytes([*rest.get(3)?, *rest.get(4)?]));
        let (record, others) = rest.split_at_checked(5 + length)?;
        rest = others;
        Some(record)
    })
}

/// Changes the last bit of the first encrypted record: type 23 in TLS 1.3, in TLS 1.2 the one after `ChangeCipherSpec` (type 20).
fn corrupted(flight: &[u8], done: &mut bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut after_change = false;
    for record in records(flight) {
        bytes.extend_from_slice(record);
        if !*done && (after_change || record[0] == 23) {
            *bytes.last_mut().expect("a record has a header") ^= 1;
            *done = true;
        }
        after_change = record[0] == 20;
    }
    bytes
}
