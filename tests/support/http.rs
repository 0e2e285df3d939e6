//! HTTP on any stream: sound answers by hyper (HTTP/1.1 or HTTP/2, whatever was agreed), unsound ones byte by byte.
//!
//! Every request is written down before it is answered, so that a test can prove what was sent, and what was not.

mod answer;
mod raw;

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Journal;
use super::wire::{self, Connection, Ending, Record, Server};

/// What the server does with a request. Those from `CloseWithoutByte` on are made for HTTP/1.1, and a server that does one agrees to nothing else;
/// made to (`tls::Options::alpn`), it speaks HTTP/1.1 on a connection that was agreed to be HTTP/2.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// What api.anthropic.com says to a request without a key.
    AnthropicUnauthorized,
    /// What api.anthropic.com says to each request: the list of models for that key, 401 for another or none.
    AnthropicByKey {
        good: String,
    },
    /// A page of a device on the way.
    HtmlBlockPage(u16),
    CloudflareChallenge,
    /// What Anthropic's edge says to an unsupported region.
    CloudflareForbiddenJson,
    Edge522,
    Redirect(String),
    /// A body of 64 KiB that is said to be gzip, and would be 64 MiB of zeros.
    CompressedBomb,
    /// Takes the request and says nothing.
    NoAnswer,
    /// GOAWAY with that code in answer to the first request over HTTP/2; over HTTP/1.1 as `AnthropicUnauthorized`.
    H2GoAway(u32),
    /// `RST_STREAM` with that code in answer to each request over HTTP/2; over HTTP/1.1 as `AnthropicUnauthorized`.
    H2ResetStream(u32),
    /// As these two, but after a head and some of the body; over HTTP/1.1 as `AnthropicUnauthorized`.
    H2GoAwayInBody(u32),
    H2ResetInBody(u32),
    CloseWithoutByte,
    ResetWithoutByte,
    /// Answers as soon as the head is there, reads nothing of a body, and resets.
    RefusesEarly(String),
    /// Half a head, then silence.
    HalfHeadThenStall,
    /// Half a head, then the end.
    HalfHeadThenClose,
    /// A complete head that announces a body, then silence.
    HeadThenStall,
    /// A complete head and half of the body, then silence.
    BodyStall,
    /// A complete head at once, then a byte of the body each time that long has passed.
    Drip(Duration),
    /// Less body than the Content-Length says, then the end.
    BodyTruncated,
    /// An end in the middle of a chunk.
    ChunkCut,
    /// A first line that is no status line.
    BadStatusLine,
    TwoContentLengths,
    /// Header lines without end.
    EndlessHeaders,
    /// `100 Continue` without end.
    EndlessContinue,
    /// Chunks without end.
    EndlessBody,
    /// A Content-Length of ten terabytes, and bytes for as long as they are taken.
    HugeContentLength,
    /// Answers each request with an empty list of models, and ends a connection so that was silent for so long; over
    /// HTTP/1.1.
    Idles(Duration, Ending),
    /// As the head of the first request makes it choose, over HTTP/1.1.
    Choose(fn(&str) -> Self),
    /// These bytes, then that.
    Raw(String, Ending),
    /// These pieces one by one, each when that long has passed, then silence.
    Pieces(Vec<String>, Duration),
}

/// One request, as it came out of the stream.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) http2: bool,
    pub(crate) method: String,
    /// With the query. Over HTTP/2 without the authority, as over HTTP/1.1.
    pub(crate) path: String,
    /// Names in lower case, in the order they came; over HTTP/2 with `host` made from `:authority`.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The first value under that name (in lower case).
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What was agreed on for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    pub(crate) fn from_alpn(agreed: Option<&[u8]>) -> Self {
        if agreed == Some(b"h2") { Self::Http2 } else { Self::Http1 }
    }
}

impl Behaviour {
    /// The protocols in which it can be done.
    pub(crate) fn alpn(&self) -> Vec<&'static [u8]> {
        if raw::script(self).is_some() || matches!(self, Self::Choose(_) | Self::Idles(..)) {
            vec![b"http/1.1"]
        } else {
            vec![b"h2", b"http/1.1"]
        }
    }
}

/// A server without TLS, as a portal check or a plain API wants it.
#[derive(Debug)]
pub(crate) struct HttpServer {
    server: Server,
    requests: Journal<Request>,
}

impl HttpServer {
    /// On 127.0.0.1, HTTP/1.1 only.
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), behaviour)
    }

    pub(crate) fn start_at(bind: SocketAddr, behaviour: Behaviour) -> Self {
        let requests = Journal::new();
        let journal = requests.clone();
        let server = Server::start(bind, move |mut wire| {
            let (behaviour, journal) = (behaviour.clone(), journal.clone());
            let record = wire.record();
            async move {
                serve(&mut wire, &record, Protocol::Http1, &behaviour, &journal).await;
                wire::settle(wire).await;
            }
        });
        Self { server, requests }
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

    /// Blocks until enough has been asked, and returns that.
    #[track_caller]
    pub(crate) fn wait_within(
        &self,
        long: Duration,
        enough: impl Fn(&[Request]) -> bool,
    ) -> Vec<Request> {
        self.requests.wait_within(long, enough)
    }

    /// Every request, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.entries()
    }

    /// Every request, once one of them is as wanted.
    #[track_caller]
    pub(crate) fn wait_for_request(&self, wanted: impl Fn(&Request) -> bool) -> Vec<Request> {
        self.requests.wait_until(|requests| requests.iter().any(&wanted))
    }

    /// Blocks until `count` requests have come.
    #[track_caller]
    pub(crate) fn wait_requests(&self, count: usize) {
        self.requests.wait_until(|requests| requests.len() >= count);
    }
}

/// A stream of any kind.
trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Duplex for S {}

/// Serves one stream as long as both ends talk. `record` is that of the TCP connection below it, which the caller settles.
pub(crate) async fn serve<S>(
    stream: &mut S,
    record: &Record,
    protocol: Protocol,
    behaviour: &Behaviour,
    requests: &Journal<Request>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    if let Behaviour::Choose(choose) = behaviour {
        let (mut reader, writer) = tokio::io::split(stream);
        let Some((head, early)) = wire::read_head(&mut reader).await else { return };
        let read = std::io::Cursor::new([head.as_bytes(), &early].concat());
        let stream = tokio::io::join(tokio::io::AsyncReadExt::chain(read, reader), writer);
        return chosen(Box::new(stream), record, choose(&head), requests).await;
    }
    if let Behaviour::Idles(silence, ending) = behaviour {
        return raw::idle(stream, record, (*silence, *ending), requests).await;
    }
    if let Behaviour::RefusesEarly(answer) = behaviour {
        return raw::refuse_early(stream, record, answer).await;
    }
    if let Some(script) = raw::script(behaviour) {
        return raw::play(stream, record, script, requests).await;
    }
    let breaks = matches!(
        behaviour,
        Behaviour::H2GoAway(_)
            | Behaviour::H2ResetStream(_)
            | Behaviour::H2GoAwayInBody(_)
            | Behaviour::H2ResetInBody(_)
    );
    if protocol == Protocol::Http2 && breaks {
        return break_http2(stream, behaviour, requests).await;
    }
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (behaviour, requests) = (behaviour.clone(), requests.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body =
                body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
            let request = note(&parts, body);
            requests.push(request.clone());
            if matches!(behaviour, Behaviour::NoAnswer) {
                std::future::pending::<()>().await;
            }
            Ok::<hyper::Response<Full<Bytes>>, Infallible>(answer::to(&request, &behaviour))
        }
    });
    let stream = TokioIo::new(stream);
    // How a connection ends is in its record; hyper's opinion of it adds nothing.
    match protocol {
        Protocol::Http1 => {
            hyper::server::conn::http1::Builder::new().serve_connection(stream, service).await.ok()
        }
        Protocol::Http2 => {
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.serve_connection(stream, service).await.ok()
        }
    };
}

/// The same for what was chosen.
fn chosen<'a>(
    mut stream: Box<dyn Duplex + 'a>,
    record: &'a Record,
    behaviour: Behaviour,
    requests: &'a Journal<Request>,
) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
    Box::pin(async move {
        serve(&mut stream, record, Protocol::Http1, &behaviour, requests).await;
    })
}

/// hyper sends no GOAWAY or `RST_STREAM` of one's own choice, so this is h2 itself.
async fn break_http2<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    behaviour: &Behaviour,
    requests: &Journal<Request>,
) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        requests.push(note(&request.into_parts().0, Vec::new()));
        match *behaviour {
            Behaviour::H2GoAway(code) => connection.abrupt_shutdown(code.into()),
            Behaviour::H2ResetStream(code) => respond.send_reset(code.into()),
            Behaviour::H2GoAwayInBody(code) | Behaviour::H2ResetInBody(code) => {
                let mut body =
                    respond.send_response(http::Response::new(()), false).expect("an answer");
                body.send_data(Bytes::from_static(b"{\"data\":"), false).expect("some of a body");
                // A reset takes the place of what is not sent yet.
                poll_fn(|context| {
                    let closed = connection.poll_closed(context).is_ready();
                    Poll::Ready(closed)
                })
                .await;
                match behaviour {
                    Behaviour::H2ResetInBody(_) => body.send_reset(code.into()),
                    _ => connection.abrupt_shutdown(code.into()),
                }
            }
            _ => unreachable!("called for these only"),
        }
    }
}

fn note(parts: &http::request::Parts, body: Vec<u8>) -> Request {
    let value = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let authority =
        parts.uri.authority().map(|authority| ("host".to_owned(), authority.to_string()));
    let fields = parts.headers.iter().map(|(name, field)| (name.as_str().to_owned(), value(field)));
    Request {
        http2: parts.version == http::Version::HTTP_2,
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map_or_else(|| parts.uri.to_string(), ToString::to_string),
        headers: authority.into_iter().chain(fields).collect(),
        body,
    }
}
