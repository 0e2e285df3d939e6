//! CONNECT through an HTTP proxy (RFC 9110 9.3.6), the step by hand: one request head out, one
//! bounded answer in. The request carries the target's *name*; the proxy resolves it.

pub(super) mod challenge;
#[cfg_attr(not(test), expect(dead_code, reason = "no exchange logs in yet"))]
mod digest;
#[cfg(feature = "ntlm")]
pub(super) mod ntlm;
#[cfg(feature = "kerberos")]
#[expect(dead_code, reason = "the exchange at the proxy takes it up")]
mod gssapi;

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};

use super::stream::{Counted, Counts};
use super::tcp::Gauge;
use crate::observation::{Failure, ProxyFailure, ProxyKind, Tunnelled};

/// A head longer than this is no answer.
const HEAD_LIMIT: usize = 16 * 1024;
/// Bytes of a refusal's body that are kept.
const BODY_KEPT: usize = 4 * 1024;

/// How long a refusal's body is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks for the tunnel, or says why there is none.
pub(super) async fn tunnel<S>(
    stream: &mut Counted<S>,
    authority: &str,
    counts: &Counts,
    (gauge, deadline): (&Gauge, Instant),
) -> Result<Tunnelled, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let started = Instant::now();
    counts.begin_stage((HEAD_LIMIT + BODY_KEPT) as u64);
    let mut read = Vec::new();
    let answer = timeout_at(deadline, exchange(stream, authority, &mut read)).await;
    let failed = |failure: ProxyFailure| {
        Failure::Proxy(ProxyFailure { socket: gauge.counters(), ..failure })
    };
    match answer {
        Err(_) => Err(failed(of_bytes(ProxyKind::Timeout, &read))),
        Ok(Err(kind)) => Err(failed(of_bytes(kind, &read))),
        Ok(Ok(head)) if (200..300).contains(&head.status) => {
            stream.put_back(read.get(head.length..).unwrap_or_default());
            Ok(Tunnelled {
                seconds: started.elapsed().as_secs_f64(),
                status: head.status,
                socket: gauge.counters(),
            })
        }
        Ok(Ok(head)) => {
            let body = rest_of_body(stream, &head, read, deadline).await;
            let kind = match head.status {
                407 => ProxyKind::Auth,
                300..=399 => ProxyKind::Redirect,
                _ => ProxyKind::Status,
            };
            Err(failed(ProxyFailure {
                status: Some(head.status),
                headers: head.headers,
                body: String::from_utf8_lossy(&body).into_owned(),
                ..ProxyFailure::new(kind)
            }))
        }
    }
}

struct Head {
    status: u16,
    headers: Vec<(String, String)>,
    length: usize,
}

async fn exchange<S>(
    stream: &mut Counted<S>,
    authority: &str,
    read: &mut Vec<u8>,
) -> Result<Head, ProxyKind>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let agent = concat!("egressd/", env!("CARGO_PKG_VERSION"));
    let request =
        format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {agent}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|error| of_io(&error))?;
    stream.flush().await.map_err(|error| of_io(&error))?;
    let mut chunk = [0_u8; 4096];
    loop {
        match parse(read)? {
            // An interim answer says nothing yet (RFC 9110 15.2).
            Some(head) if (100..200).contains(&head.status) => {
                read.drain(..head.length);
            }
            Some(head) => return Ok(head),
            None => {
                let count = stream.read(&mut chunk).await.map_err(|error| of_io(&error))?;
                if count == 0 {
                    return Err(ProxyKind::Closed);
                }
                read.extend_from_slice(chunk.get(..count).unwrap_or_default());
                if read.len() > HEAD_LIMIT {
                    return Err(ProxyKind::NotAProxy);
                }
            }
        }
    }
}

/// A complete head, none while it is incomplete.
fn parse(read: &[u8]) -> Result<Option<Head>, ProxyKind> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(read) {
        Ok(httparse::Status::Partial) => Ok(None),
        Ok(httparse::Status::Complete(length)) => Ok(Some(Head {
            status: response.code.unwrap_or_default(),
            headers: response
                .headers
                .iter()
                .map(|header| {
                    let value = String::from_utf8_lossy(header.value).into_owned();
                    (header.name.to_ascii_lowercase(), value)
                })
                .collect(),
            length,
        })),
        Err(_) => Err(ProxyKind::NotAProxy),
    }
}

/// The refusal's page, as much as is kept: its declared length, or what comes until it closes.
async fn rest_of_body<S>(
    stream: &mut Counted<S>,
    head: &Head,
    read: Vec<u8>,
    deadline: Instant,
) -> Vec<u8>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut body = read.get(head.length..).unwrap_or_default().to_vec();
    let declared = head
        .headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .and_then(|(_, value)| value.trim().parse::<usize>().ok());
    let wanted = declared.unwrap_or(BODY_KEPT).min(BODY_KEPT);
    // A page without a length on a connection that stays open would take the whole trip.
    let deadline = deadline.min(Instant::now() + PATIENCE);
    let mut chunk = [0_u8; 1024];
    while body.len() < wanted {
        match timeout_at(deadline, stream.read(&mut chunk)).await {
            Ok(Ok(count)) if count > 0 => {
                body.extend_from_slice(chunk.get(..count).unwrap_or_default());
            }
            _ => break,
        }
    }
    body.truncate(BODY_KEPT);
    body
}

fn of_io(error: &std::io::Error) -> ProxyKind {
    match error.kind() {
        std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe => ProxyKind::Reset,
        std::io::ErrorKind::UnexpectedEof => ProxyKind::Closed,
        std::io::ErrorKind::FileTooLarge => ProxyKind::NotAProxy,
        _ => ProxyKind::Other,
    }
}

/// A failure with what was read, escaped: it is no HTTP and may be anything.
fn of_bytes(kind: ProxyKind, read: &[u8]) -> ProxyFailure {
    let body = read.iter().take(64).copied().collect::<Vec<u8>>().escape_ascii().to_string();
    ProxyFailure { body, ..ProxyFailure::new(kind) }
}
