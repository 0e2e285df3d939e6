//! Sound answers, with the marks by which their authors are known: the API itself, its edge, a device on the way.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;

use super::{Behaviour, Request};

/// The answer to a request. Behaviours that are no answer are played elsewhere; over HTTP/1.1 those of HTTP/2 answer as the API does.
pub(super) fn to(request: &Request, behaviour: &Behaviour) -> Response<Full<Bytes>> {
    match behaviour {
        Behaviour::Answer { status, headers, body } => {
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            answer(*status, &headers, body.clone())
        }
        Behaviour::AnthropicByKey { good } => anthropic_by_key(request, good),
        Behaviour::HtmlBlockPage(status) => {
            answer(*status, &[("content-type", "text/html")], BLOCK_PAGE)
        }
        Behaviour::CloudflareChallenge => {
            edge(403, &[("cf-mitigated", "challenge"), HTML], CHALLENGE)
        }
        Behaviour::CloudflareForbiddenJson => {
            edge(403, &[JSON], r#"{"error":{"type":"forbidden","message":"Request not allowed"}}"#)
        }
        Behaviour::Edge522 => edge(522, &[JSON], EDGE_522),
        Behaviour::Redirect(location) => answer(302, &[("location", location)], ""),
        Behaviour::CompressedBomb => answer(200, &[("content-encoding", "gzip"), JSON], bomb()),
        _ => anthropic_unauthorized("x-api-key header is required"),
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");
const HTML: (&str, &str) = ("content-type", "text/html; charset=UTF-8");

fn anthropic_by_key(request: &Request, good: &str) -> Response<Full<Bytes>> {
    match request.header("x-api-key") {
        None => anthropic_unauthorized("x-api-key header is required"),
        Some(key) if key == good => origin(200, MODELS),
        Some(_) => anthropic_unauthorized("invalid x-api-key"),
    }
}

/// Typed out, because the order of the keys is the API's own.
fn anthropic_unauthorized(message: &str) -> Response<Full<Bytes>> {
    let error = format!(r#"{{"type":"authentication_error","message":"{message}"}}"#);
    origin(401, format!(r#"{{"type":"error","error":{error},"request_id":"req_011CT"}}"#))
}

/// The API answers through its edge, so the edge's marks are there as well.
fn origin(status: u16, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    edge(status, &[JSON, ("request-id", "req_011CT"), ("via", "1.1 google")], body)
}

fn edge(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let marks = [("server", "cloudflare"), ("cf-ray", "9a1b2c3d4e5f6789-NRT")];
    answer(status, &[headers, &marks].concat(), body)
}

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let start = Response::builder().status(status);
    let builder =
        headers.iter().fold(start, |builder, (name, value)| builder.header(*name, *value));
    builder.body(Full::new(body.into())).expect("a status and headers that HTTP can carry")
}

const MODELS: &str = r#"{"data":[{"type":"model","id":"claude-test-1","display_name":"Claude Test 1","created_at":"2026-01-01T00:00:00Z"}],"has_more":false,"first_id":"claude-test-1","last_id":"claude-test-1"}"#;

const EDGE_522: &str = r#"{"type":"https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/error-522/","title":"Error 522: Connection timed out","status":522,"error_category":"origin","ray_id":"9a1b2c3d4e5f6789","zone":"api.anthropic.com","cloudflare_error":true,"retryable":true,"retry_after":120}"#;

const BLOCK_PAGE: &str = "<!DOCTYPE html><html><head><title>Access Denied</title></head><body><h1>Access Denied</h1>\
    <p>Your organization's policy does not allow this site. Category: Artificial Intelligence.</p></body></html>";

const CHALLENGE: &str = "<!DOCTYPE html><html lang=\"en-US\"><head><title>Just a moment...</title></head><body>\
    <noscript>Enable JavaScript and cookies to continue</noscript></body></html>";

/// gzip's header and the tables of one deflate block in which a match of 258 zeros is two zero bits; the bits; the block's end, CRC-32 and size.
fn bomb() -> Vec<u8> {
    let start =
        b"\x1f\x8b\x08\0\0\0\0\0\0\xff\xed\xc1\x01\x01\0\0\0\x82\x20\xff\xaf\x6e\x48\x40\x01";
    let end = b"\x7c\x1b\x8a\x15\x05\xec\x08\xf5\xff\x03";
    [&start[..], &vec![0; 65_024], end].concat()
}
