//! CONNECT (RFC 9110 9.3.6), the step by hand: a request head out, one bounded answer in, and the same
//! again with a login where the proxy asks for one. The request carries the target's *name*.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};

use super::super::stream::{Counted, Counts};
use super::reply::{BODY_KEPT, BODY_READ, HEAD_LIMIT, Head, Reader, escaped, of_io};
use super::session::{Answer, Session};
use super::{Opened, challenge};
use crate::observation::{ProxyFailure, ProxyKind, Tunnelled};

/// How long a refusal's body is waited for: without a length, on a connection that stays open, it
/// would take the whole trip.
const PATIENCE: Duration = Duration::from_secs(1);

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
        let request = session.request();
        let head = match timeout_at(deadline, ask(stream, &request, &mut reader)).await {
            Ok(Ok(head)) => head,
            // A connection that was kept may be closed by the time it is used (RFC 9112 9.5).
            Ok(Err(ProxyKind::Closed | ProxyKind::Reset))
                if used && reader.rest().is_empty() && !bound =>
            {
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
        if head.status != 407 {
            session.let_through();
            return Opened::Not(refusal(head, &reader, session));
        }
        bound = session.is_bound();
        let challenges = challenge::challenges(head.all("proxy-authenticate"));
        match session.answer(&challenges, deadline).await {
            Answer::Again => {}
            Answer::Nothing => return Opened::Not(refusal(head, &reader, session)),
            Answer::Flawed(why) => {
                let refusal = refusal(head, &reader, session);
                return Opened::Not(ProxyFailure { kind: ProxyKind::Other, body: why, ..refusal });
            }
        }
        if !whole || !head.persists() {
            // What began on this connection cannot go on over another; what begins now can.
            return if bound {
                Opened::Not(refusal(head, &reader, session))
            } else {
                Opened::Again
            };
        }
        reader.clear();
        used = true;
    }
}

async fn ask<S>(
    stream: &mut Counted<S>,
    request: &str,
    reader: &mut Reader,
) -> Result<Head, ProxyKind>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(request.as_bytes()).await.map_err(|error| of_io(&error))?;
    stream.flush().await.map_err(|error| of_io(&error))?;
    reader.head(stream).await
}

/// An answer that opens nothing.
fn refusal(head: Head, reader: &Reader, session: &Session<'_>) -> ProxyFailure {
    let kind = match head.status {
        407 => ProxyKind::Auth,
        300..=399 => ProxyKind::Redirect,
        _ => ProxyKind::Status,
    };
    let body = session.before_login(reader.rest());
    let body = body.get(..BODY_KEPT).unwrap_or(body);
    ProxyFailure {
        status: Some(head.status),
        headers: kept(&head, session),
        reason: head.reason,
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
