//! A request, a silence, and a second request on the same connection, over HTTP/1.1.

use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;

use super::{
    Arc, Around, AsyncRead, AsyncWrite, BODY_LIMIT, Body, Counted, Counts, Driver, End, Exchange,
    Failure, Full, HEAD_LIMIT, HEAD_SLACK, HttpKind, Instant, Listen, RequestPlan, Response, Stage,
    TokioIo, Watch, Wrong, build, finish, http1, ready, timeout_at,
};
use crate::observation::{Held, HeldEnd};

/// The answer to the first request, what ended that, and what became of the connection.
type Kept = (Option<Response>, Option<Failure>, Option<Held>);

/// Asks, is silent for so long, and asks again, which is waited for as long as the second time says.
pub(in crate::probe) async fn hold<S>(
    plan: &RequestPlan,
    stream: S,
    tls: bool,
    around: &Around<'_>,
    (silence, patience): (Duration, Duration),
) -> Kept
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let counts = Counts::with_limit(HEAD_LIMIT as u64 + HEAD_SLACK);
    let watch = Watch::new(false);
    let listener = Arc::clone(&watch) as Arc<dyn Listen>;
    let io = Counted::new(stream, Arc::clone(&counts)).heard_by(listener);
    let (watched, counted, http2, stage) = (&watch, &counts, false, Stage::Head);
    let mut end = End { counts: counted, watch: watched, around, http2, tls, stage };
    let (Some(first), Some(second)) = (build(plan, tls, false), build(plan, tls, false)) else {
        return (None, Some(end.plain(HttpKind::Other, None, "no such request")), None);
    };
    let mut builder = http1::Builder::new();
    let shaken = builder.max_headers(100).max_buf_size(HEAD_LIMIT).handshake(TokioIo::new(io));
    let (mut sender, connection) = match ready(shaken, &end).await {
        Ok(shaken) => shaken,
        Err(failure) => return (None, Some(failure), None),
    };
    let connection = pin!(async { connection.await.map_err(Wrong::from) });
    let mut driver = Driver::of(connection);
    let body = plan.body.clone().unwrap_or_default();
    let answer = sender.send_request(first.map(|()| Full::new(body.clone())));
    let answer = async { Ok(answer.await?.map(Body::Http1)) };
    let answer = timeout_at(around.deadline, driver.drive(answer)).await;
    let Exchange { response, stop, .. } = finish(plan, answer, &mut driver, &mut end).await;
    let whole = response.as_ref().is_some_and(|response| response.whole);
    if stop.is_some() || !whole || driver.over || closes(response.as_ref()) {
        return (response, stop, None);
    }
    // One that is as long as the first.
    counts.allow_more(BODY_LIMIT);
    let asked = silence.as_secs_f64();
    let quiet = Instant::now();
    let held = if timeout(silence, driver.ended()).await.is_ok() {
        let ended = Some(quiet.elapsed().as_secs_f64());
        let end = match driver.error.take() {
            None if tls => HeldEnd::Notified,
            None => HeldEnd::Closed,
            Some(error) => named(&end.of(&error, None)),
        };
        Held { asked, ended, end }
    } else {
        let answer = sender.send_request(second.map(|()| Full::new(body)));
        let answer = driver.drive(async { Ok(answer.await?) });
        let end = match timeout(patience, answer).await {
            Ok(Ok(_)) => HeldEnd::Lived,
            Ok(Err(error)) => named(&end.of(&error, driver.error().await.as_ref())),
            Err(_) => HeldEnd::Silent,
        };
        Held { asked, ended: None, end }
    };
    (response, stop, Some(held))
}

/// Whether the server said that it would not keep the connection (RFC 9112 9.6).
fn closes(response: Option<&Response>) -> bool {
    let field = response.and_then(|response| response.header("connection"));
    field.is_some_and(|field| field.to_ascii_lowercase().contains("close"))
}

/// An end by its failure. What is neither of TCP nor silence, the peer said itself.
fn named(failure: &Failure) -> HeldEnd {
    match failure {
        Failure::Http(failure) => match failure.kind {
            HttpKind::Reset => HeldEnd::Reset,
            HttpKind::Closed | HttpKind::Truncated => HeldEnd::Closed,
            HttpKind::Timeout => HeldEnd::Silent,
            _ => HeldEnd::Notified,
        },
        Failure::Local(_)
        | Failure::Dns(_)
        | Failure::Tcp(_)
        | Failure::Proxy(_)
        | Failure::Tls(_) => HeldEnd::Notified,
    }
}
