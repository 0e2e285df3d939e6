//! A real nginx: what its answers, refusals and half answers are found to be, over HTTP/1.1 and 2.

use std::time::Duration;

use egressd::observation::{Framing, H2End, Redirect, Trip};
use egressd::plan::Alpn;

use super::super::{LEAF, Way, finding};
use super::framing::framed;
use super::{Behaviour, refused, response};
use crate::support::http::HttpServer;
use crate::support::nginx::Nginx;
use crate::support::tcp::ClosedPort;
use crate::support::wire::Ending;

const PAUSE: Duration = Duration::from_millis(300);
const VERSIONS: [(Alpn, &str); 2] = [(Alpn::Http1, "1.1"), (Alpn::Http2, "2")];

fn walk(nginx: &Nginx, path: &str, alpn: Alpn) -> Trip {
    let url = format!("https://localhost:{}{path}", nginx.address().port());
    let mut walker = Way::to(url).walker();
    walker.change(|trip| {
        trip.hop.address = Some(nginx.address().ip());
        trip.request.secrets.clear();
        if let Some(tls) = &mut trip.tls {
            tls.hello.alpn = alpn;
            tls.name = url::Host::Domain(super::NAME.to_owned());
        }
    });
    walker.walk()
}

#[test]
fn its_answers_are_what_they_are() {
    let closed = ClosedPort::hold();
    let locations = format!(
        "location /v1/ {{ add_header www-authenticate Bearer always; return 401 '{{}}'; }}\n\
         location /moved {{ return 302 https://elsewhere.layers.test/login; }}\n\
         location /moved/ {{ return 308 /here; }}\n\
         location /large {{ return 413; }}\n\
         location /busy {{ add_header retry-after 7 always; return 429; }}\n\
         location /dead {{ proxy_pass http://{}; }}\n",
        closed.address()
    );
    let Some(nginx) = Nginx::start(&LEAF, &locations, &[("file", "{}")]) else { return };
    let elsewhere = "https://elsewhere.layers.test/login";
    let away = |status, location| Some(Redirect { status, location });
    let rows = [
        ("/v1/models", 401, None, Some(("www-authenticate", "Bearer"))),
        ("/moved", 302, away(302, elsewhere), None),
        ("/large", 413, None, None),
        ("/busy", 429, None, Some(("retry-after", "7"))),
        ("/none", 404, None, None),
        ("/dead", 502, None, None),
        ("/file", 200, None, None),
    ];
    for (alpn, version) in VERSIONS {
        for (path, status, redirect, mark) in rows {
            let trip = walk(&nginx, path, alpn);
            assert_eq!(finding(&trip), format!("{status} over {version}"), "{path}");
            let response = response(&trip);
            assert!(response.whole && response.encoding().is_none(), "{path}: {response:?}");
            assert_eq!(response.redirect(), redirect, "{path}");
            let marks: Vec<_> = response.marks().collect();
            assert!(marks[0].0 == "server" && marks[0].1.starts_with("nginx/"), "{marks:?}");
            assert!(mark.is_none_or(|mark| marks.contains(&mark)), "{path}: {marks:?}");
            assert!(response.first_byte <= response.head_seconds, "{response:?}");
        }
        let trip = walk(&nginx, "/moved/", alpn);
        let location = response(&trip).redirect().expect("a redirect").location.to_owned();
        assert!(location.ends_with("/here"), "{location}");
    }
}

#[test]
fn what_it_is_not_asked_to_pack_comes_as_it_is() {
    let locations =
        "location = /kept { gzip_static on; }\nlocation = /packed { gzip_static always; }\n";
    let files = [("kept", "{}"), ("kept.gz", "packed"), ("packed.gz", "packed")];
    let Some(nginx) = Nginx::start(&LEAF, locations, &files) else { return };
    for (alpn, _) in VERSIONS {
        let trip = walk(&nginx, "/kept", alpn);
        assert_eq!((response(&trip).encoding(), response(&trip).body.as_str()), (None, "{}"));
        let trip = walk(&nginx, "/packed", alpn);
        let response = response(&trip);
        assert_eq!((response.encoding(), response.body.as_str()), (Some("gzip"), "packed"));
    }
}

/// How an answer ended that nginx cannot or may not give: over HTTP/1.1, and over 2 with the code of its reset.
fn broken_off(nginx: &Nginx, http1: (&str, Option<Framing>), code: u32) -> [Trip; 2] {
    let trip = walk(nginx, "/", Alpn::Http1);
    assert_eq!(framed(&trip), (http1.0.to_owned(), http1.1), "{:?}", trip.failure());
    let other = walk(nginx, "/", Alpn::Http2);
    assert_eq!(framed(&other), ("http h2".to_owned(), None), "{:?}", other.failure());
    assert_eq!(refused(&other).h2, Some(H2End { goaway: false, code, remote: true }));
    [trip, other]
}

#[test]
fn what_it_does_not_answer_is_closed_or_reset() {
    let Some(nginx) = Nginx::start(&LEAF, "location / { return 444; }", &[]) else { return };
    broken_off(&nginx, ("http closed", None), 1);
}

#[test]
fn an_upstream_that_ends_early_is_seen_through_it() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}".to_owned();
    let upstream = HttpServer::start(Behaviour::Raw(half, Ending::Close));
    let locations = format!("location / {{ proxy_pass http://{}; }}", upstream.address());
    let Some(nginx) = Nginx::start(&LEAF, &locations, &[]) else { return };
    for trip in broken_off(&nginx, ("http truncated", Some(Framing::Truncated)), 2) {
        let response = response(&trip);
        assert_eq!((response.body.as_str(), response.whole), ("{}", false));
    }
}

/// An event stream through it: with buffering its parts come at once, without it one by one.
#[test]
fn buffering_shows_in_the_parts_of_an_event_stream() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 30\r\n\r\n";
    let pieces = [head, "data: {}\n\n", "data: {}\n\n", "data: {}\n\n"].map(str::to_owned);
    let upstream = HttpServer::start(Behaviour::Pieces(pieces.to_vec(), PAUSE));
    let locations = format!(
        "proxy_read_timeout 20s; location /whole {{ proxy_pass http://{0}; }}\n\
         location /events {{ proxy_pass http://{0}; proxy_buffering off; }}",
        upstream.address()
    );
    let Some(nginx) = Nginx::start(&LEAF, &locations, &[]) else { return };
    for (alpn, version) in VERSIONS {
        let trip = walk(&nginx, "/events", alpn);
        assert_eq!(finding(&trip), format!("200 over {version}"));
        let parts = &response(&trip).parts;
        assert_eq!((parts.count, parts.gaps.len()), (3, 2), "{parts:?}");
        assert!(parts.gaps.iter().all(|gap| *gap > 0.2), "{parts:?}");
        let trip = walk(&nginx, "/whole", alpn);
        let parts = &response(&trip).parts;
        assert_eq!((parts.count, parts.longest < 0.2), (3, true), "{parts:?}");
    }
}
