//! What a proxy is told: exactly these bytes, the target's key never among them.

use super::super::{AMPLE, LEAF, Way, finding};
use super::{KEY, logged_in, password};
use crate::support::script::{Script, Scripted, Step};
use egressd::observation::Scheme;

fn no() -> Script {
    vec![Step::Head, Step::Say(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n".to_vec())]
}

fn head(authority: &str, beside: &str) -> String {
    let agent = concat!("egressd/", env!("CARGO_PKG_VERSION"));
    format!(
        "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: {agent}\r\n{beside}\r\n"
    )
}

/// What it was told on the way to that URL, with further lines of the route.
fn told(url: &str, beside: &str, secured: bool) -> String {
    let proxy = Scripted::start_over(secured.then(|| LEAF.server_config(&[])), vec![no()]);
    let scheme = if secured { "https" } else { "http" };
    let way = Way::to(url).by(format!("{scheme}://{}", proxy.address()), beside).within(AMPLE);
    let trip = Way { provider: "anthropic", key: Some(KEY), ..way }.walk();
    assert_eq!(finding(&trip), "proxy status", "{url}");
    proxy.wait_closed(1);
    let told = proxy.told();
    let text = told.iter().map(|(_, told)| String::from_utf8_lossy(told)).collect::<String>();
    assert!(!text.contains(KEY), "{text}");
    text
}

#[test]
fn a_connect_is_these_bytes() {
    let rows = [
        ("https://api.layers.test/v1/models?x=y", "api.layers.test:443"),
        ("https://API.Layers.test:8443/", "api.layers.test:8443"),
        ("https://bücher.test/", "xn--bcher-kva.test:443"),
        ("https://127.0.0.1/", "127.0.0.1:443"),
        ("https://127.0.0.1:4433/", "127.0.0.1:4433"),
        ("https://[::1]/", "[::1]:443"),
        ("https://[2001:DB8:0:0::7]:8443/", "[2001:db8::7]:8443"),
    ];
    for (url, authority) in rows {
        assert_eq!(told(url, "", false), head(authority, ""), "{url}");
        assert_eq!(told(url, "", true), head(authority, ""), "{url} in TLS");
    }
}

#[test]
fn further_headers_follow_the_usual_ones() {
    let beside = "connect_headers = { X-Team = \"ml\", X-Cost-Centre = \"12 34\" }";
    let expected = head("api.layers.test:443", "X-Cost-Centre: 12 34\r\nX-Team: ml\r\n");
    assert_eq!(told("https://api.layers.test/", beside, false), expected);
}

#[test]
fn a_login_follows_a_407_and_nothing_else() {
    let challenge = "Proxy-Authenticate: Basic realm=\"r\"\r\nContent-Length: 0\r\n\r\n";
    let credential = || password(Scheme::Basic, "svc", "right");
    for (status, beside) in [
        ("401 Unauthorized", "WWW-Authenticate: Basic realm=\"r\"\r\n"),
        ("403 Forbidden", ""),
        ("302 Found", "Location: http://127.0.0.1:1/\r\n"),
        ("511 Network Authentication Required", ""),
    ] {
        let answer = format!("HTTP/1.1 {status}\r\n{beside}{challenge}");
        let proxy = Scripted::start(vec![vec![Step::Head, Step::Say(answer.into_bytes())]]);
        let way = Way::to("https://api.layers.test/").by(format!("http://{}", proxy.address()), "");
        logged_in(&way, credential());
        assert_eq!(proxy.told(), [(0, head("api.layers.test:443", "").into_bytes())], "{status}");
    }
    let answer = format!("HTTP/1.1 407 Login\r\n{challenge}");
    let mut script = vec![Step::Head, Step::Say(answer.into_bytes())];
    script.extend(no());
    let proxy = Scripted::start(vec![script]);
    let beside = "connect_headers = { X-Team = \"ml\" }";
    let way = Way::to("https://api.layers.test/").by(format!("http://{}", proxy.address()), beside);
    logged_in(&way, credential());
    let first = head("api.layers.test:443", "X-Team: ml\r\n");
    let login = "X-Team: ml\r\nProxy-Authorization: Basic c3ZjOnJpZ2h0\r\n";
    let second = head("api.layers.test:443", login);
    assert_eq!(proxy.told(), [(0, first.into_bytes()), (0, second.into_bytes())]);
}
