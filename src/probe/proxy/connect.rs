//! CONNECT (RFC 9110 9.3.6), the step by hand: a request head out, one bounded answer in, and the same
//! again with a login where the proxy asks for one. The request carries the target's *name*.

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use super::super::stream::{Counted, Counts};
use super::reply::{BODY_KEPT, BODY_READ, HEAD_LIMIT, Head, Reader, escaped, of_io};
use super::session::{Answer, Session};
use super::{Opened, PATIENCE, challenge};
use crate::observation::{ProxyFailure, ProxyKind, Tunnelled};

/// Headers that carry what a login exchanges, or a cookie: their beginning is kept alone.
const SECRET: &[&str] = &[
    "proxy-authenticate",
    "proxy-authentication-info",
    "www-authenticate",
    "authentication-info",
    "set-cookie",
    "set-cookie2",
];

/// Asks for the tunnel on one connection.
pub(super) async fn open<S>(
    stream: &mut Counted<S>,
    session: &mut Session<'_>,
    counts: &Counts,
    deadline: Instant,
) -> Opened
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut reader = Reader::default();
    // Whether this connection answered before, and whether the login that is sent now goes on from there.
    let (mut used, mut bound) = (false, false);
    loop {
        counts.begin_stage((HEAD_LIMIT + BODY_READ) as u64);
        let request = request(session);
        let head = match timeout_at(deadline, ask(stream, &request, &mut reader)).await {
            Ok(Ok(head)) => head,
            // A connection that was kept may be closed by the time it is used (RFC 9112 9.5).
            Ok(Err(ProxyKind::Closed | ProxyKind::Reset))
                if used && reader.rest().is_empty() && !bound =>
            {
                session.in_vain();
                return Opened::Again;
            }
            Ok(Err(kind)) => return Opened::Not(of_bytes(kind, &reader, session)),
            Err(_) => return Opened::Not(of_bytes(ProxyKind::Timeout, &reader, session)),
        };
        if (200..300).contains(&head.status) {
            session.let_through();
            // Whoever speaks first behind the proxy may have spoken already.
            stream.put_back(reader.rest());
            return Opened::Tunnel(Tunnelled {
                status: head.status,
                headers: kept(&head, session),
                reason: head.reason,
                ..Tunnelled::default()
            });
        }
        let until = deadline.min(Instant::now() + PATIENCE);
        let whole = timeout_at(until, reader.body(stream, &head)).await.unwrap_or(false);
        // tinyproxy means 407 by the status of an origin, once a login was sent that it does not take.
        if head.status == 401 && session.has_shown() {
            session.turned_away();
            let refusal = refusal(&head, &reader, session);
            return Opened::Not(ProxyFailure { kind: ProxyKind::Auth, ..refusal });
        }
        if head.status != 407 {
            session.answered(head.status);
            return Opened::Not(refusal(&head, &reader, session));
        }
        bound = session.is_bound();
        let challenges = challenge::challenges(head.all("proxy-authenticate"));
        match session.answer(&challenges, deadline).await {
            Answer::Again => {}
            Answer::Nothing => return Opened::Not(refusal(&head, &reader, session)),
            Answer::Busy => {
                let body = "the login of other trips is not answered yet".to_owned();
                return Opened::Not(ProxyFailure { body, ..ProxyFailure::new(ProxyKind::Timeout) });
            }
            Answer::Flawed(why) => return Opened::Not(flawed(&head, &reader, session, &why)),
        }
        if !whole || !head.persists() {
            // What began on this connection cannot go on over another; what begins now can.
            return if bound {
                Opened::Not(flawed(&head, &reader, session, "it closes between two messages of it"))
            } else {
                Opened::Again
            };
        }
        reader.clear();
        used = true;
    }
}

/// The request as it is to be sent now.
fn request(session: &mut Session<'_>) -> Zeroizing<String> {
    let authority = session.authority();
    let agent = concat!("egressd/", env!("CARGO_PKG_VERSION"));
    let mut request = Zeroizing::new(format!(
        "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {agent}\r\n"
    ));
    for (name, value) in &session.proxy().headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(header) = session.show() {
        request.push_str("Proxy-Authorization: ");
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    request
}

/// Whoever refuses all clients may say so and close before it has read: then the request cannot be
/// written, but what was said can still be read.
async fn ask<S>(
    stream: &mut Counted<S>,
    request: &str,
    reader: &mut Reader,
) -> Result<Head, ProxyKind>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let written = async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await
    };
    let written = written.await.map_err(|error| of_io(&error));
    match (written, reader.head(stream).await) {
        // Of a socket's errors only the first has the reason.
        (Err(kind), Err(ProxyKind::Closed)) => Err(kind),
        (_, head) => head,
    }
}

/// A login that the proxy cannot be finished with: what is wrong with its part.
fn flawed(head: &Head, reader: &Reader, session: &Session<'_>, why: &str) -> ProxyFailure {
    let refusal = refusal(head, reader, session);
    ProxyFailure { kind: ProxyKind::Other, body: why.to_owned(), ..refusal }
}

/// An answer that opens nothing.
fn refusal(head: &Head, reader: &Reader, session: &Session<'_>) -> ProxyFailure {
    let kind = match head.status {
        407 => ProxyKind::Auth,
        300..=399 => ProxyKind::Redirect,
        _ => ProxyKind::Status,
    };
    let body = session.before_login(reader.rest());
    let body = body.get(..BODY_KEPT).unwrap_or(body);
    ProxyFailure {
        status: Some(head.status),
        headers: kept(head, session),
        reason: session.text_before_login(&head.reason),
        body: String::from_utf8_lossy(body).into_owned(),
        ..ProxyFailure::new(kind)
    }
}

/// The headers as evidence, without what a login exchanges.
fn kept(head: &Head, session: &Session<'_>) -> Vec<(String, String)> {
    let begin = |value: &str| value.split([' ', '\t', '=']).next().unwrap_or_default().to_owned();
    let one = |(name, value): &(String, String)| {
        let value = if SECRET.contains(&name.as_str()) {
            begin(value)
        } else {
            String::from_utf8_lossy(session.before_login(value.as_bytes())).into_owned()
        };
        (name.clone(), value)
    };
    head.headers.iter().map(one).collect()
}

/// A failure with what was read, escaped: it is no HTTP and may be anything.
fn of_bytes(kind: ProxyKind, reader: &Reader, session: &Session<'_>) -> ProxyFailure {
    let read = session.before_login(reader.rest());
    ProxyFailure { body: escaped(read), ..ProxyFailure::new(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::stream::Gone;

    /// What is found where that was said before the request could be written.
    fn said(before: &str) -> Result<u16, ProxyKind> {
        let stream = tokio::io::join(before.as_bytes(), Gone);
        let mut stream = Counted::new(stream, Counts::with_limit(u64::MAX));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut reader = Reader::default();
        let head = runtime.block_on(ask(&mut stream, "CONNECT", &mut reader));
        head.map(|head| head.status)
    }

    #[test]
    fn what_was_said_before_a_reset_is_heard() {
        assert_eq!(said("HTTP/1.1 503 Full\r\n\r\n"), Ok(503));
        assert_eq!(said("SSH-2.0-OpenSSH_9.6\r\n"), Err(ProxyKind::NotAProxy));
        assert_eq!(said("HTTP/1.1 50"), Err(ProxyKind::Reset));
        assert_eq!(said(""), Err(ProxyKind::Reset));
    }
}
