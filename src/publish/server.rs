//! The web port: routes to renders, nothing else. What it may do besides is handed in as functions.
//!
//! A name in `Host` that is not ours gets 421, so that a page elsewhere cannot read results through a
//! rebound name; a cross-site request gets 403 outside of `/`; who is no user, where there are users, 401.

mod connections;
mod login;
mod pace;
mod rests;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::api;
use super::metrics::{self, Choice, Format, Outside};
use crate::store::Snapshot;
use connections::{Hangup, Peer};
use login::{Logins, Ruling};
use rests::Rests;

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
    /// Who may ask, as of now.
    pub access: Box<dyn Fn() -> Arc<Access> + Send + Sync>,
    /// Loads the configuration again, or says what is wrong with it.
    pub reload: Reload,
}

/// Who may ask, and how TLS is spoken.
#[derive(Clone, Default)]
pub struct Access {
    /// None: plain HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// Whether a certificate that a client shows was verified.
    pub verifies_clients: bool,
    /// Whether each client must show one that is.
    pub requires_client: bool,
    /// Headers of each answer.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Who is answered; empty: everybody.
    pub users: Vec<Login>,
}

/// A user.
#[derive(Clone)]
pub struct Login {
    /// The name.
    pub name: String,
    /// The bcrypt hash of the password.
    pub hash: String,
    /// Its cost.
    pub cost: u32,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access")
    }
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login")
    }
}

/// What loads the configuration again.
pub type Reload =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

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

/// What all requests share.
struct Shared {
    site: Arc<Site>,
    logins: Logins,
    rests: Rests,
    /// Loading again is done once at a time.
    loading: Semaphore,
}

/// Serves until the future ends; connections that are then open are closed.
pub async fn serve(listener: TcpListener, site: Arc<Site>, end: impl Future<Output = ()>) {
    // Without random bytes nobody could log in: nobody is served.
    let Some(logins) = Logins::new() else { return };
    let (rests, loading) = (Rests::default(), Semaphore::new(1));
    let shared = Shared { site: Arc::clone(&site), logins, rests, loading };
    connections::serve(listener, site, router(Arc::new(shared)), end).await;
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(|| async { Html(LINKS) }))
        .route("/metrics", get(scrape))
        .route("/api/v1/status", get(status))
        // HEAD would dial as GET does, and answer nothing.
        .route("/probe", get(probe).head(only_get))
        .route("/-/healthy", get(|| async { "healthy\n" }))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload))
        .layer(from_fn_with_state(Arc::clone(&shared), guard))
        .with_state(shared)
}

async fn only_get() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")]).into_response()
}

async fn reload(State(shared): State<Arc<Shared>>, Extension(peer): Extension<Peer>) -> Response {
    let access = (shared.site.access)();
    if access.users.is_empty() && !(access.verifies_clients && peer.showed) {
        let how = "a reload needs a login: basic_auth_users or verified client certificates in \
                   [server] web_config_file; SIGHUP (systemctl reload egressd) needs none\n";
        return (StatusCode::FORBIDDEN, how).into_response();
    }
    let Ok(_one) = shared.loading.try_acquire() else {
        return (StatusCode::CONFLICT, "a reload is under way\n").into_response();
    };
    match (shared.site.reload)().await {
        Ok(()) => "reloaded\n".into_response(),
        Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")).into_response(),
    }
}

async fn scrape(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let page = shared.rests.page(peer.from).await;
    let snapshot = Arc::clone(&shared.site.snapshot.borrow());
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let format = Format::of(accept);
    let text = metrics::render(&snapshot, (shared.site.choice)(), &(shared.site.outside)(), format);
    page.made();
    let named = [(header::CONTENT_TYPE, format.content_type()), (header::VARY, "accept")];
    (named, text).into_response()
}

async fn probe(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let timeout = request.headers().get("x-prometheus-scrape-timeout-seconds");
    let asked = Asked {
        query: request.uri().query().unwrap_or_default().to_owned(),
        // What is no text is no number, either.
        scrape_timeout: timeout.map(|value| value.to_str().unwrap_or("?").to_owned()),
    };
    let Reply { status, content_type, body } = (shared.site.probe)(asked).await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
}

async fn status(State(shared): State<Arc<Shared>>, Extension(peer): Extension<Peer>) -> Response {
    let page = shared.rests.page(peer.from).await;
    let snapshot = Arc::clone(&shared.site.snapshot.borrow());
    let text = api::json(&snapshot, None);
    page.made();
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    if shared.site.snapshot.borrow().is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the first checks are under way\n")
    }
}

/// Who may ask, and what every answer carries.
async fn guard(
    State(shared): State<Arc<Shared>>,
    Extension(peer): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let access = (shared.site.access)();
    let same = match (&access.tls, &peer.tls) {
        (Some(now), Some(then)) => Arc::ptr_eq(now, then),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    if !same && access.verifies_clients && peer.tls.is_some() {
        // Another one judged its certificate. Without an answer, clients ask again by themselves (RFC 9110 9.2.2).
        return ([(header::CONNECTION, "close")], Extension(Hangup)).into_response();
    }
    let (parts, body) = request.into_parts();
    let mut response = match refused(&shared, &access, &peer, &parts).await {
        Some(response) => response,
        None => next.run(Request::from_parts(parts, body)).await,
    };
    let headers = response.headers_mut();
    let csp = "default-src 'none'; frame-ancestors 'none'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, csp),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.extend(access.headers.iter().cloned());
    if !same {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Why a request is not answered.
async fn refused(
    shared: &Shared,
    access: &Access,
    peer: &Peer,
    request: &Parts,
) -> Option<Response> {
    let (path, headers) = (request.uri.path(), &request.headers);
    let always = path == "/metrics" || path == "/probe" || path.starts_with("/-/");
    let older = access.tls.is_some() && peer.tls.is_none();
    Some(if has_body(headers) {
        let close = [(header::CONNECTION, "close")];
        (StatusCode::PAYLOAD_TOO_LARGE, close, "no request has a body here\n").into_response()
    } else if older {
        (StatusCode::FORBIDDEN, "who may ask has changed: connect again\n").into_response()
    } else if !always && !is_ours(&request.uri, headers, &(shared.site.hosts)()) {
        (StatusCode::MISDIRECTED_REQUEST, "this host name is not in [server] hosts\n")
            .into_response()
    } else if path != "/" && is_cross_site(&request.method, headers) {
        (StatusCode::FORBIDDEN, "not from another site\n").into_response()
    } else if access.users.is_empty() {
        return None;
    } else {
        let carried = headers.get(header::AUTHORIZATION);
        match shared.logins.judge(&access.users, carried, peer.from).await {
            Ruling::Right => return None,
            Ruling::Wrong => {
                let ask =
                    [(header::WWW_AUTHENTICATE, "Basic realm=\"egressd\", charset=\"UTF-8\"")];
                (StatusCode::UNAUTHORIZED, ask, "a name and a password are needed\n")
                    .into_response()
            }
            Ruling::Busy => {
                let later = [(header::RETRY_AFTER, "1")];
                (StatusCode::SERVICE_UNAVAILABLE, later, "too many logins at once\n")
                    .into_response()
            }
        }
    })
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
}

fn is_ours(uri: &Uri, headers: &HeaderMap, hosts: &[String]) -> bool {
    // What is no text is no name of ours.
    let named = headers.get(header::HOST).map(|host| host.to_str().unwrap_or("?"));
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

/// `Sec-Fetch-Site` is set by browsers and cannot be set by a page. What changes something is not asked for by a page
/// at all.
fn is_cross_site(method: &Method, headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    if method == Method::GET || method == Method::HEAD {
        return site.is_some_and(|site| site == "cross-site");
    }
    site.is_some_and(|site| site != "same-origin" && site != "none")
        || (site.is_none() && headers.contains_key(header::ORIGIN))
}
