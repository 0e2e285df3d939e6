//! The request: what each answer, and what stands in for one, is found to be, over HTTP/1.1 and 2; what is kept of it; what it carried.

mod allocations;
mod endless;
mod framing;
mod nginx;
mod times;
mod version2;

use std::time::Duration;

use egressd::observation::{Failure, HttpFailure, Response, Trip};

use super::{AMPLE, BRIEF, LEAF, NAME, PUBLIC, Way, finding, table};
use crate::support::http::{Behaviour, HttpServer, Request};
use crate::support::pki::Authority;
use crate::support::tls::{self, Options, TlsServer};

const KEY: &str = "sk-planted-in-the-http-tests";
const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// What is silent is left at its deadline; everything else ends by itself.
fn timeout(behaviour: &Behaviour) -> Duration {
    match behaviour {
        Behaviour::NoAnswer
        | Behaviour::HalfHeadThenStall
        | Behaviour::HeadThenStall
        | Behaviour::BodyStall => BRIEF,
        Behaviour::Drip(pause) if *pause > AMPLE => BRIEF,
        _ => AMPLE,
    }
}

fn server(behaviour: &Behaviour, alpn: &'static [u8]) -> TlsServer {
    let options = Options { alpn: Some(vec![alpn]), ..Options::default() };
    TlsServer::start_with(&LEAF, tls::Behaviour::Serve(behaviour.clone()), options)
}

/// One walk to a server that behaves like that, over that protocol.
fn walk(behaviour: &Behaviour, alpn: &'static [u8]) -> Trip {
    let server = server(behaviour, alpn);
    Way::named(server.address()).within(timeout(behaviour)).walk()
}

fn answer(status: u16, headers: &[(&'static str, &str)], body: impl Into<Vec<u8>>) -> Behaviour {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Behaviour::Answer { status, headers, body: body.into() }
}

fn response(trip: &Trip) -> &Response {
    trip.legs[0].response.as_ref().expect("an answer")
}

fn refused(trip: &Trip) -> HttpFailure {
    match trip.failure() {
        Some(Failure::Http(failure)) => failure,
        other => panic!("no failure of HTTP: {other:?}"),
    }
}

#[test]
fn sound_answers_are_answers_over_both_protocols() {
    let rows = [
        (answer(200, &[], "{}"), "200"),
        (answer(204, &[], ""), "204"),
        (answer(500, &[], "oops"), "500"),
        (Behaviour::AnthropicUnauthorized, "401"),
        (Behaviour::AnthropicByKey { good: KEY.to_owned() }, "401"),
        (Behaviour::HtmlBlockPage(200), "200"),
        (Behaviour::HtmlBlockPage(403), "403"),
        (Behaviour::CloudflareChallenge, "403"),
        (Behaviour::CloudflareForbiddenJson, "403"),
        (Behaviour::Edge522, "522"),
        (Behaviour::Redirect("https://login.layers.test/".to_owned()), "302"),
        (Behaviour::CompressedBomb, "200"),
    ];
    for (alpn, version) in [(HTTP1, "1.1"), (HTTP2, "2")] {
        let expected: Vec<String> =
            rows.iter().map(|(_, status)| format!("{status} over {version}")).collect();
        let rows: Vec<_> =
            rows.iter().map(|(row, _)| row).zip(expected.iter().map(String::as_str)).collect();
        for trip in table(&rows, |behaviour| walk(behaviour, alpn)) {
            assert!(response(&trip).whole && !response(&trip).keyed, "{trip:?}");
        }
    }
}

#[test]
fn unsound_answers_are_found_to_be_what_they_are() {
    let rows = [
        (Behaviour::NoAnswer, "http timeout"),
        (Behaviour::CloseWithoutByte, "http closed"),
        (Behaviour::ResetWithoutByte, "http reset"),
        (Behaviour::HalfHeadThenStall, "http stalled"),
        (Behaviour::HalfHeadThenClose, "http truncated"),
        (Behaviour::HeadThenStall, "http stalled"),
        (Behaviour::BodyStall, "http stalled"),
        (Behaviour::Drip(AMPLE * 2), "http stalled"),
        (Behaviour::Drip(Duration::from_millis(5)), "200 over 1.1"),
        (Behaviour::BodyTruncated, "http truncated"),
        (Behaviour::ChunkCut, "http truncated"),
        (Behaviour::BadStatusLine, "http malformed"),
        (Behaviour::TwoContentLengths, "http malformed"),
        (Behaviour::EndlessHeaders, "http too_large"),
        (Behaviour::EndlessContinue, "http too_large"),
        (Behaviour::H2GoAway(0), "401 over 1.1"),
    ];
    let trips = table(&rows, |behaviour| walk(behaviour, HTTP1));
    for ((behaviour, _), trip) in rows.iter().zip(&trips) {
        let head = matches!(
            behaviour,
            Behaviour::HeadThenStall
                | Behaviour::BodyStall
                | Behaviour::Drip(_)
                | Behaviour::BodyTruncated
                | Behaviour::ChunkCut
                | Behaviour::H2GoAway(_)
        );
        assert_eq!(trip.legs[0].response.is_some(), head, "{behaviour:?}: {trip:?}");
        if let (true, Some(_)) = (head, trip.failure()) {
            assert!(!response(trip).whole && response(trip).status == 200, "{trip:?}");
        }
    }
    assert_eq!(response(&trips[6]).body, "{\"data\":[],\"h");
    assert_eq!((refused(&trips[1]).received, refused(&trips[2]).received), (0, 0));
    assert_eq!(refused(&trips[3]).received, 38, "as many as came of the head");
    assert!(refused(&trips[0]).socket.is_some_and(|socket| socket.unacked == 0));
}

#[test]
fn http_2_has_failures_of_its_own() {
    let rows = [
        (Behaviour::NoAnswer, "http timeout"),
        // These go away after this request, and close without an answer: the first for no reason.
        (Behaviour::H2GoAway(0), "http closed"),
        (Behaviour::H2GoAway(2), "http h2"),
        (Behaviour::H2GoAway(11), "http h2"),
        (Behaviour::H2ResetStream(2), "http h2"),
        (Behaviour::H2ResetStream(7), "http h2"),
        // RFC 9113 8.1.1 has no such reset.
        (Behaviour::H2ResetStream(4711), "http h2"),
        (Behaviour::CloseWithoutByte, "http closed"),
        (Behaviour::ResetWithoutByte, "http reset"),
        // HTTP/1.1 on a connection that was agreed to be HTTP/2.
        (Behaviour::BodyTruncated, "http malformed"),
        (Behaviour::EndlessHeaders, "http malformed"),
        (Behaviour::BadStatusLine, "http h2"),
    ];
    for trip in table(&rows, |behaviour| walk(behaviour, HTTP2)) {
        assert!(trip.legs[0].response.is_none(), "{trip:?}");
        assert_eq!(trip.legs[0].secured.as_ref().expect("a handshake").alpn, "h2");
    }
}

#[test]
fn headers_are_kept_in_lower_case_and_in_their_order() {
    let headers = [
        ("X-Request-Id", "one"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("CF-Ray", "Ray-Id"),
    ];
    for alpn in [HTTP1, HTTP2] {
        let trip = walk(&answer(418, &headers, "short"), alpn);
        let response = response(&trip);
        let kept: Vec<(&str, &str)> = response
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .filter(|(name, _)| !["date", "content-length"].contains(name))
            .collect();
        let expected = [
            ("x-request-id", "one"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("cf-ray", "Ray-Id"),
        ];
        assert_eq!(kept, expected);
        assert_eq!((response.body.as_str(), response.length), ("short", 5));
        assert!(response.first_byte > 0.0 && response.body_seconds >= 0.0);
    }
}

#[test]
fn a_body_is_kept_up_to_its_limit() {
    const KIB: usize = 1024;
    // Bytes; kept; generic: whole; anthropic: whole.
    let rows = [
        (10 * KIB, 10 * KIB, true, true),
        (64 * KIB, 64 * KIB, true, true),
        (300 * KIB, 64 * KIB, false, true),
    ];
    for (length, kept, generic, anthropic) in rows {
        for alpn in [HTTP1, HTTP2] {
            for (provider, whole) in [("generic", generic), ("anthropic", anthropic)] {
                let server = server(&answer(200, &[], vec![b'x'; length]), alpn);
                let trip = Way { provider, ..Way::named(server.address()) }.walk();
                let what = format!("{length} bytes from {provider}: {:?}", trip.failure());
                assert!(trip.failure().is_none(), "{what}");
                let response = response(&trip);
                assert_eq!((response.body.len(), response.whole), (kept, whole), "{what}");
                assert!(response.length >= kept as u64, "{what}");
                assert_eq!(response.length == length as u64, whole, "{what}");
            }
        }
    }
}

#[test]
fn what_is_compressed_stays_so() {
    let trip = walk(&Behaviour::CompressedBomb, HTTP2);
    let response = response(&trip);
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert!(response.whole && response.length < 65 * 1024, "{}", response.length);
    assert_eq!(response.encoding(), Some("gzip"), "and that is to be seen");
    assert!(response.body.chars().count() <= 64 * 1024 && response.body.contains('\u{fffd}'));
}

/// What reaches a server of a walk with the key.
fn sent(alpn: &'static [u8], provider: &'static str) -> (Request, Trip) {
    let server = server(&Behaviour::AnthropicByKey { good: KEY.to_owned() }, alpn);
    let way = Way { provider, key: Some(KEY), ..Way::named(server.address()) };
    let trip = way.walk();
    let [request] = &server.requests()[..] else { panic!("one request: {:?}", server.requests()) };
    (request.clone(), trip)
}

#[test]
fn a_request_says_what_it_needs_and_no_more() {
    for alpn in [HTTP1, HTTP2] {
        let (request, trip) = sent(alpn, "anthropic");
        assert_eq!(request.http2, alpn == HTTP2);
        assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/v1/models"));
        let mut names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let expected =
            ["accept", "accept-encoding", "anthropic-version", "host", "user-agent", "x-api-key"];
        assert_eq!(names, expected);
        assert_eq!(request.header("accept-encoding"), Some("identity"));
        assert_eq!(request.header("x-api-key"), Some(KEY));
        let host = request.header("host").expect("a host");
        assert_eq!(host.split(':').next(), Some(NAME));
        assert!(request.body.is_empty());
        assert_eq!((response(&trip).status, response(&trip).keyed), (200, true));
        let (request, trip) = sent(alpn, "generic");
        assert_eq!(request.header("authorization"), Some(&*format!("Bearer {KEY}")));
        assert_eq!((response(&trip).status, response(&trip).keyed), (401, true));
    }
}

#[test]
fn no_request_and_no_key_reach_a_server_that_nobody_trusts() {
    let stranger = Authority::new("Test Stranger");
    let server = server(&Behaviour::AnthropicByKey { good: KEY.to_owned() }, HTTP2);
    let way = Way { provider: "anthropic", key: Some(KEY), ..Way::named(server.address()) };
    let trusting = |public: &Authority| Way { public: public.clone(), ..way.clone() };
    assert_eq!(finding(&trusting(&stranger).walk()), "tls unknown_issuer");
    assert_eq!(server.wait_closed(1).len(), 1);
    assert_eq!(server.requests().len(), 0);
    assert_eq!(finding(&trusting(&PUBLIC).walk()), "200 over 2");
    assert_eq!(server.requests().len(), 1, "the same, where it is trusted");
}

#[test]
fn no_key_goes_without_tls() {
    let server = HttpServer::start(Behaviour::AnthropicByKey { good: KEY.to_owned() });
    let url = format!("http://{}/", server.address());
    let trip = Way { provider: "anthropic", key: Some(KEY), ..Way::to(url) }.walk();
    assert_eq!(finding(&trip), "401 over 1.1");
    assert!(!response(&trip).keyed);
    assert_eq!(server.requests()[0].header("x-api-key"), None);
}

#[test]
fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = server(&Behaviour::AnthropicUnauthorized, HTTP2);
    let location = format!("https://{NAME}:{}/login", elsewhere.address().port());
    for alpn in [HTTP1, HTTP2] {
        let server = server(&Behaviour::Redirect(location.clone()), alpn);
        let trip = Way { key: Some(KEY), ..Way::named(server.address()) }.walk();
        let redirect = response(&trip).redirect().expect("a redirect");
        assert_eq!((redirect.status, redirect.location), (302, location.as_str()));
        assert_eq!((server.requests().len(), server.wait_closed(1).len()), (1, 1));
    }
    assert_eq!(elsewhere.requests().len(), 0, "no request, and no key with it");
    // Connections are accepted in their order: this one brings to light what came before it.
    assert_eq!(finding(&Way::named(elsewhere.address()).walk()), "401 over 2");
    assert_eq!(elsewhere.wait_closed(1).len(), 1);
}

#[test]
fn marks_tell_who_answered() {
    let trip = walk(&Behaviour::CloudflareChallenge, HTTP2);
    let marks: Vec<_> = response(&trip).marks().collect();
    let ray = ("cf-ray", "9a1b2c3d4e5f6789-NRT");
    assert_eq!(marks, [("cf-mitigated", "challenge"), ("server", "cloudflare"), ray]);
    let trip = walk(&Behaviour::AnthropicUnauthorized, HTTP1);
    let names: Vec<_> = response(&trip).marks().map(|(name, _)| name).collect();
    assert_eq!(names, ["request-id", "via", "server", "cf-ray"]);
}

#[test]
fn no_connection_outlives_its_trip() {
    let rows = [
        (Behaviour::AnthropicUnauthorized, HTTP1, "401 over 1.1"),
        (Behaviour::AnthropicUnauthorized, HTTP2, "401 over 2"),
        (Behaviour::NoAnswer, HTTP2, "http timeout"),
        (Behaviour::BodyStall, HTTP1, "http stalled"),
        (Behaviour::H2ResetStream(2), HTTP2, "http h2"),
    ];
    for (behaviour, alpn, expected) in rows {
        let server = server(&behaviour, alpn);
        let walker = Way::named(server.address()).within(timeout(&behaviour)).walker();
        assert_eq!(finding(&walker.walk()), expected);
        // The runtime goes on meanwhile, as the daemon's does.
        let ended = walker.runtime.block_on(async {
            tokio::task::spawn_blocking(move || server.wait_closed(1).len()).await
        });
        assert_eq!(ended.expect("an end of the connection"), 1, "{behaviour:?}");
    }
}
