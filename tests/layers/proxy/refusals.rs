//! What is kept of a refusal: its status and words, who says it was, the begin of its page; and nothing that opens a door.

use egressd::observation::{Login, ProxyFailure, ProxyKind, Scheme, Trip};

use super::super::{AMPLE, NAME, Way, finding, table};
use super::{logged_in, password, refusal};
use crate::support::script::{Script, Scripted, Step};

fn answer(text: impl AsRef<[u8]>) -> Script {
    vec![Step::Head, Step::Say(text.as_ref().to_vec())]
}

fn through(proxy: &Scripted) -> Way {
    let way = Way::to(format!("https://{NAME}:4433/v1/models"));
    way.by(format!("http://{}", proxy.address()), "").within(AMPLE)
}

fn walk(text: &str) -> Trip {
    through(&Scripted::start(vec![answer(text)])).walk()
}

fn refused(text: &str) -> ProxyFailure {
    refusal(&walk(text))
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn every_status_is_a_finding_with_and_without_marks() {
    let marks = "Server: squid/6.6\r\nX-Squid-Error: ERR_ACCESS_DENIED 0\r\nVia: 1.1 proxy (squid/6.6)\r\n\
                 Proxy-Status: proxy.corp; error=http_request_denied; details=\"policy\"\r\nContent-Type: text/html\r\n";
    let codes = [400, 401, 403, 404, 405, 408, 410, 413, 429, 451, 500, 501, 502, 503, 504, 511];
    let rows: Vec<((u16, bool), &str)> = codes
        .iter()
        .flat_map(|code| [((*code, false), "proxy status"), ((*code, true), "proxy status")])
        .chain([((407, false), "proxy auth"), ((407, true), "proxy auth")])
        .collect();
    table(&rows, |(code, marked)| {
        let marks = if *marked { marks } else { "" };
        let trip = walk(&format!("HTTP/1.1 {code} For a reason\r\n{marks}\r\n<h1>No</h1>"));
        let failure = refusal(&trip);
        assert_eq!((failure.status, failure.socks), (Some(*code), None));
        assert_eq!(
            (failure.reason.as_str(), failure.body.as_str()),
            ("For a reason", "<h1>No</h1>")
        );
        let expected: Vec<(String, String)> = marks
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| pair(&name.to_ascii_lowercase(), value))
            .collect();
        assert_eq!(failure.headers, expected);
        assert_eq!((failure.login, failure.offers), (Login::None, Vec::<String>::new()));
        trip
    });
}

#[test]
fn a_redirect_is_one_with_and_without_a_place() {
    let rows: Vec<((u16, bool), &str)> = [300, 301, 302, 303, 305, 307, 308]
        .iter()
        .flat_map(|code| [((*code, false), "proxy redirect"), ((*code, true), "proxy redirect")])
        .collect();
    table(&rows, |(code, placed)| {
        // It is followed nowhere: the place is a port where somebody listens.
        let elsewhere = Scripted::start(vec![answer("")]);
        let place = format!("Location: http://{}/login\r\n", elsewhere.address());
        let placed = if *placed { place } else { String::new() };
        let trip = walk(&format!("HTTP/1.1 {code} Elsewhere\r\n{placed}Content-Length: 0\r\n\r\n"));
        let failure = refusal(&trip);
        assert_eq!(failure.status, Some(*code));
        let found = failure.headers.iter().any(|(name, _)| name == "location");
        assert_eq!(found, !placed.is_empty(), "{failure:?}");
        assert!(elsewhere.connections().is_empty());
        trip
    });
}

#[test]
fn a_page_of_chunks_is_kept_without_their_sizes() {
    let head = "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(
        refused(&format!("{head}6\r\n<html>\r\n3;x=y\r\nno!\r\n0\r\n\r\n")).body,
        "<html>no!"
    );
    // One that does not end is kept as it came.
    assert_eq!(refused(&format!("{head}6\r\n<html>\r\n")).body, "6\r\n<html>\r\n");
    let long = format!("HTTP/1.1 403 No\r\nContent-Length: 9000\r\n\r\n{}", "x".repeat(9000));
    assert_eq!(refused(&long).body, "x".repeat(4096));
}

#[test]
fn what_a_login_exchanges_and_cookies_are_not_kept() {
    let secret = "dGhpcyBpcyBhIHNlY3JldA==";
    let text = format!(
        "HTTP/1.1 403 No\r\nProxy-Authenticate: NTLM {secret}\r\nProxy-Authenticate: Negotiate\t{secret}\r\n\
         Proxy-Authenticate: Digest realm=\"r\", nonce=\"{secret}\"\r\nWWW-Authenticate: NTLM {secret}\r\n\
         Proxy-Authentication-Info: nextnonce=\"{secret}\"\r\nAuthentication-Info: nextnonce=\"{secret}\"\r\n\
         Set-Cookie: session={secret}; Path=/\r\nSet-Cookie2: session={secret}\r\nVia: 1.1 proxy\r\n\r\n"
    );
    let kept = refused(&text);
    assert!(!format!("{kept:?}").contains(secret), "{:?}", kept.headers);
    let expected = [
        pair("proxy-authenticate", "NTLM"),
        pair("proxy-authenticate", "Negotiate"),
        pair("proxy-authenticate", "Digest"),
        pair("www-authenticate", "NTLM"),
        pair("proxy-authentication-info", "nextnonce"),
        pair("authentication-info", "nextnonce"),
        pair("set-cookie", "session"),
        pair("set-cookie2", "session"),
        pair("via", "1.1 proxy"),
    ];
    assert_eq!(kept.headers, expected);
}

#[test]
fn a_tunnel_keeps_its_headers_without_these_too() {
    let text = "HTTP/1.1 200 Come in\r\nVia: 1.1 proxy\r\nSet-Cookie: session=secret\r\n\
                Proxy-Authentication-Info: nextnonce=\"secret\"\r\n\r\n";
    let trip = walk(text);
    assert_eq!(finding(&trip), "tls closed");
    let tunnelled = trip.legs[0].tunnelled.as_ref().expect("a tunnel");
    assert_eq!((tunnelled.status, tunnelled.reason.as_str()), (200, "Come in"));
    let expected = [
        pair("via", "1.1 proxy"),
        pair("set-cookie", "session"),
        pair("proxy-authentication-info", "nextnonce"),
    ];
    assert_eq!(tunnelled.headers, expected);
}

#[test]
fn a_page_that_repeats_the_request_is_kept_up_to_the_login() {
    let ask =
        "HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm=\"r\"\r\nContent-Length: 0\r\n\r\n";
    // `svc:planted-secret`
    let login = "Basic c3ZjOnBsYW50ZWQtc2VjcmV0";
    for place in ["X-Request: ", "\r\n<p>CONNECT, with Proxy-Authorization: "] {
        let echo = format!("HTTP/1.1 400 Bad\r\n{place}{login} and more\r\n\r\n");
        let mut script = answer(ask);
        script.extend(answer(&echo));
        let proxy = Scripted::start(vec![script]);
        let trip = logged_in(&through(&proxy), password(Scheme::Basic, "svc", "planted-secret"));
        let failure = refusal(&trip);
        assert_eq!((failure.kind, failure.status), (ProxyKind::Status, Some(400)));
        assert_eq!(failure.login, Login::Sent(Scheme::Basic));
        let all = format!("{trip:?}");
        assert!(!all.contains("c3ZjOnBsYW50ZWQtc2VjcmV0") && all.contains("Basic "), "{failure:?}");
        assert!(!all.contains("planted-secret"));
    }
}
