//! One question to one server, by whatever way it is asked: here over a stream (TCP, TLS, HTTPS), made of
//! the same connection, handshake and request that a trip is made of.

use std::sync::Arc;
use std::time::Duration;

use ::http::Method;
use data_encoding::BASE64URL_NOPAD;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};
use url::Host;

use super::message::{Asked, fault};
use super::questions::{Sheet, of_flaw};
use crate::observation::{DnsFailure, DnsKind, Failure, Family, Reply, TcpKind};
use crate::plan::{Alpn, Hello, Nameserver, RequestPlan, SocketPlan, Through, TlsPlan};
use crate::probe::stream::{Counted, Counts};
use crate::probe::{Network, http, tcp, tls};

/// How long an answer is waited for: the C library's own time for a server (`resolv.conf(5)`, `timeout`).
const PATIENCE: Duration = Duration::from_secs(5);

/// One question, ready to be put.
pub(super) struct Task {
    pub(super) network: Arc<Network>,
    pub(super) sheet: Sheet,
    pub(super) server: Nameserver,
    pub(super) name: String,
    pub(super) family: Family,
    pub(super) deadline: Instant,
}

impl Task {
    /// Asks, and writes down what comes.
    pub(super) async fn run(self) {
        let Some(asked) = self.asked(random_id()) else {
            let detail = format!("{} cannot be a name", self.name);
            self.sheet.note(|q| q.stop = Some(DnsFailure::new(DnsKind::Other, detail)));
            return;
        };
        match &self.server.through {
            Through::Udp => self.over_udp(&asked).await,
            Through::Tcp => settle(&self.sheet, self.over_tcp(&asked).await),
            Through::Tls(name) => settle(&self.sheet, self.over_tls(&asked, name).await),
            Through::Https(name, path) => {
                settle(&self.sheet, self.over_https(name, path).await);
            }
        }
    }

    pub(super) fn asked(&self, id: u16) -> Option<Asked> {
        Asked::new(&self.name, self.family, id)
    }

    pub(super) fn until(&self) -> Instant {
        self.deadline.min(Instant::now() + PATIENCE)
    }

    pub(super) async fn over_tcp(&self, asked: &Asked) -> Result<Reply, DnsFailure> {
        let until = self.until();
        let (stream, _gauge) = self.connect(until).await?;
        framed(stream, asked, until).await
    }

    async fn over_tls(&self, asked: &Asked, name: &Host<String>) -> Result<Reply, DnsFailure> {
        let until = self.until();
        let (stream, gauge) = self.connect(until).await?;
        // RFC 7858 3.1: the port says what is spoken.
        let hello = Hello { alpn: Alpn::Nothing, ..Hello::default() };
        let plan = TlsPlan { hello, ..TlsPlan::to(name.clone()) };
        let (stream, _) = self.secure(&plan, stream, (&gauge, until)).await?;
        framed(stream, asked, until).await
    }

    /// RFC 8484 4.1: the id is 0, the question is in the URL.
    async fn over_https(&self, name: &Host<String>, path: &str) -> Result<Reply, DnsFailure> {
        let until = self.until();
        let other = |detail: &str| DnsFailure::new(DnsKind::Other, detail);
        let asked = self.asked(0).ok_or_else(|| other("no question"))?;
        let message = asked.message().ok_or_else(|| other("no question"))?;
        let (stream, gauge) = self.connect(until).await?;
        let (stream, http2) =
            self.secure(&TlsPlan::to(name.clone()), stream, (&gauge, until)).await?;
        let request = RequestPlan {
            method: Method::GET,
            // RFC 9110 7.2: the port too, where it is not the scheme's.
            authority: match self.server.address.port() {
                443 => name.to_string(),
                port => format!("{name}:{port}"),
            },
            path: format!("{path}?dns={}", BASE64URL_NOPAD.encode(&message)),
            headers: vec![("accept".to_owned(), "application/dns-message".to_owned())],
            secrets: Vec::new(),
            keyed: false,
            key_wants_public_chain: false,
            body: None,
            file: false,
            whole_body: true,
            limit: None,
        };
        let around = http::Around { gauge: &gauge, deadline: until, asked: false };
        let http::Exchange { response, bytes, stop } =
            http::request(&request, stream, (true, http2), &around).await;
        match (stop, response) {
            (Some(stop), _) => Err(through(stop)),
            (None, Some(response)) if response.status == 200 => asked
                .read(if bytes.is_empty() { response.body.as_bytes() } else { &bytes })
                .map_err(|flaw| of_flaw(flaw).unwrap_or_else(|| other("what came is no answer"))),
            (None, Some(response)) => {
                Err(DnsFailure::new(DnsKind::Transport, format!("HTTP {}", response.status)))
            }
            (None, None) => Err(other("no answer")),
        }
    }

    async fn connect(
        &self,
        until: Instant,
    ) -> Result<(tokio::net::TcpStream, tcp::Gauge), DnsFailure> {
        let (mut local, plan) = (None, SocketPlan::default());
        self.sheet.note(|question| question.sent = question.sent.saturating_add(1));
        match tcp::connect(self.server.address, &plan, until, &mut local).await {
            Ok((stream, gauge, _)) => Ok((stream, gauge)),
            Err(tcp::NoConnection::Failed(failure) | tcp::NoConnection::NoRoute(failure)) => {
                Err(through(failure))
            }
        }
    }

    async fn secure(
        &self,
        plan: &TlsPlan,
        stream: tokio::net::TcpStream,
        (gauge, until): (&tcp::Gauge, Instant),
    ) -> Result<(impl AsyncRead + AsyncWrite + Unpin + Send + use<>, bool), DnsFailure> {
        let counts = Counts::with_limit(u64::MAX);
        let stream = Counted::new(stream, Arc::clone(&counts));
        let around = tls::Around { counts: &counts, gauge, deadline: until, identity: None };
        let made = tls::handshake(&self.network.tls, plan, stream, around).await;
        let (stream, secured) = made.end.map_err(through)?;
        counts.allow_more(u64::MAX);
        Ok((stream, secured.alpn == "h2"))
    }
}

/// The way to the server failed.
pub(super) fn through(failure: Failure) -> DnsFailure {
    let detail = format!("{} {}", failure.layer(), failure.kind());
    let (kind, icmp) = match &failure {
        Failure::Tcp(tcp) => match (tcp.kind, tcp.icmp) {
            (_, Some(icmp)) => (DnsKind::Icmp, Some(icmp)),
            (TcpKind::Timeout, None) => (DnsKind::Timeout, None),
            (TcpKind::Refused, None) => (DnsKind::PortClosed, None),
            (_, None) => (DnsKind::Transport, None),
        },
        _ => (DnsKind::Transport, None),
    };
    DnsFailure { icmp, inner: Some(Box::new(failure)), ..DnsFailure::new(kind, detail) }
}

pub(super) fn settle(sheet: &Sheet, answer: Result<Reply, DnsFailure>) {
    sheet.note(|question| match answer {
        Ok(reply) => {
            question.stop = fault(&reply).map(|kind| DnsFailure::new(kind, ""));
            question.reply = Some(reply);
        }
        Err(failure) => question.stop = Some(failure),
    });
}

/// One exchange with two bytes of length before each message (RFC 1035 4.2.2).
async fn framed<S>(mut stream: S, asked: &Asked, until: Instant) -> Result<Reply, DnsFailure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let transport = |detail: String| DnsFailure::new(DnsKind::Transport, detail);
    let message = asked.message().unwrap_or_default();
    let length = u16::try_from(message.len()).unwrap_or_default();
    let exchange = async {
        stream.write_all(&[&length.to_be_bytes()[..], &message].concat()).await?;
        stream.flush().await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0_u8; usize::from(length)];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    match timeout_at(until, exchange).await {
        Err(_) => Err(DnsFailure::new(DnsKind::Timeout, "connected, and no answer")),
        Ok(Err(error)) => Err(transport(error.to_string())),
        Ok(Ok(answer)) => asked.read(&answer).map_err(|flaw| {
            of_flaw(flaw).unwrap_or_else(|| transport("what came is no answer".to_owned()))
        }),
    }
}

/// What a forger would have to guess, beside the port that the kernel picks.
pub(super) fn random_id() -> u16 {
    let mut id = [0_u8; 2];
    // Where the kernel has no randomness the port is all there is.
    aws_lc_rs::rand::fill(&mut id).unwrap_or_default();
    u16::from_ne_bytes(id)
}
