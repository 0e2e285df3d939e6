//! The web port: routes to renders, nothing else. What it may do besides is handed in as functions.
//!
//! A name in `Host` that is not ours gets 421, so that a page elsewhere cannot read results through a
//! rebound name; a cross-site request gets 403 outside of `/`. Heads are bounded in size and time.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::api;
use super::metrics::{self, Choice, Format, Outside};
use crate::store::Snapshot;

/// Connections at the same time.
const CONNECTIONS: usize = 64;
/// How long a request's head may take.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long one connection may live.
const CONNECTION_TIME: Duration = Duration::from_secs(300);
/// A request's head at most.
const HEAD_BYTES: usize = 16 * 1024;

/// What the pages are made of.
pub struct Site {
    /// The state.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// What is published, as of now.
    pub choice: Box<dyn Fn() -> Choice + Send + Sync>,
    /// What is read at each scrape.
    pub outside: Box<dyn Fn() -> Outside + Send + Sync>,
    /// Host names that are answered, as of now.
    pub hosts: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Answers `/probe`.
    pub probe: Probe,
}

/// What answers a question at `/probe`.
pub type Probe = Box<dyn Fn(Asked) -> Pin<Box<dyn Future<Output = Reply> + Send>> + Send + Sync>;

/// A question at `/probe`.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The part of the URL behind `?`.
    pub query: String,
    /// How long the asker waits, in seconds, as it says.
    pub scrape_timeout: Option<String>,
}

/// An answer, ready to be sent.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// What it is.
    pub content_type: &'static str,
    /// It.
    pub body: String,
}

impl Reply {
    /// Nobody configured modules.
    pub fn off() -> Self {
        let body = "there is no /probe without [server] blackbox_modules\n".to_owned();
        Self { status: 404, content_type: "text/plain; charset=utf-8", body }
    }
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Site")
    }
}

const LINKS: &str = "<!doctype html><meta charset=utf-8><title>egressd</title><h1>egressd</h1><ul>\
<li><a href=\"/metrics\">/metrics</a><li><a href=\"/api/v1/status\">/api/v1/status</a>\
<li><a href=\"/-/healthy\">/-/healthy</a><li><a href=\"/-/ready\">/-/ready</a></ul>";

fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(|| async { Html(LINKS) }))
        .route("/metrics", get(scrape))
        .route("/api/v1/status", get(status))
        .route("/probe", get(probe))
        .route("/-/healthy", get(|| async { "healthy\n" }))
        .route("/-/ready", get(ready))
        .layer(from_fn_with_state(Arc::clone(&site), guard))
        .with_state(site)
}

async fn scrape(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    let snapshot = Arc::clone(&site.snapshot.borrow());
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::of(accept);
    let text = metrics::render(&snapshot, (site.choice)(), &(site.outside)(), format);
    let named = [(header::CONTENT_TYPE, format.content_type()), (header::VARY, "accept")];
    (named, text).into_response()
}

async fn probe(State(site): State<Arc<Site>>, request: Request) -> Response {
    let timeout = request.headers().get("x-prometheus-scrape-timeout-seconds");
    let asked = Asked {
        query: request.uri().query().unwrap_or_default().to_owned(),
        // What is no text is no number, either.
        scrape_timeout: timeout.map(|value| value.to_str().unwrap_or("?").to_owned()),
    };
    let Reply { status, content_type, body } = (site.probe)(asked).await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}

async fn status(State(site): State<Arc<Site>>) -> Response {
    let snapshot = Arc::clone(&site.snapshot.borrow());
    ([(header::CONTENT_TYPE, "application/json")], api::json(&snapshot, None)).into_response()
}

async fn ready(State(site): State<Arc<Site>>) -> (StatusCode, &'static str) {
    if site.snapshot.borrow().is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the first checks are under way\n")
    }
}

/// Who may ask, and what every answer carries.
async fn guard(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let always = path == "/metrics" || path == "/probe" || path.starts_with("/-/");
    let mut response = if !always && !is_ours(request.uri(), request.headers(), &(site.hosts)()) {
        (StatusCode::MISDIRECTED_REQUEST, "this host name is not in [server] hosts\n")
            .into_response()
    } else if path != "/" && is_cross_site(request.headers()) {
        (StatusCode::FORBIDDEN, "not from another site\n").into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    let csp = "default-src 'none'; frame-ancestors 'none'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, csp),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    response
}

fn is_ours(uri: &Uri, headers: &HeaderMap, hosts: &[String]) -> bool {
    let named = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(host) = uri.host().or(named) else {
        return true;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_matches(['[', ']']);
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(|ours| ours.eq_ignore_ascii_case(name))
}

/// `Sec-Fetch-Site` is set by browsers and cannot be set by a page.
fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}

/// Serves until the future ends; connections that are then open are closed.
pub async fn serve(listener: TcpListener, site: Arc<Site>, end: impl Future<Output = ()>) {
    let router = router(site);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    tokio::pin!(end);
    loop {
        let accepted = tokio::select! {
            () = &mut end => break,
            accepted = accept(&listener, &places) => accepted,
        };
        // Finished ones leave the set.
        while connections.try_join_next().is_some() {}
        let Some((stream, place)) = accepted else { continue };
        let service = TowerToHyperService::new(router.clone());
        connections.spawn(async move {
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_BYTES);
            let connection = server.serve_connection(TokioIo::new(stream), service);
            // A client's own errors are no business of ours.
            match tokio::time::timeout(CONNECTION_TIME, connection).await {
                Ok(Ok(()) | Err(_)) | Err(_) => drop(place),
            }
        });
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        // Out of descriptors: wait for one, instead of spinning on the same error.
        Err(_) => {
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}
