//! A request that was given, as one that a check sends: what of it a connection of ours says by itself is left
//! out, and so is what no header can carry. It judges nothing, which is `lint`'s.

use http::{HeaderValue, Method};

use super::complain;
use crate::config::Secret;
use crate::lint::{Header, Request};
use crate::plan::OwnRequest;

/// What belongs to a connection, and is said anew on ours (RFC 9110 7.6.1).
const OF_CONNECTIONS: &[&str] = &[
    "host",
    "connection",
    "proxy-connection",
    "proxy-authorization",
    "keep-alive",
    "content-length",
    "transfer-encoding",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "accept-encoding",
];

/// The request as a target's own.
pub(super) fn own(request: &Request) -> Result<OwnRequest, String> {
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_error| "the method of the request is none".to_owned())?;
    let mut own = OwnRequest {
        method,
        complete: true,
        body: request.body.clone().map(Into::into),
        ..OwnRequest::default()
    };
    for header in &request.headers {
        let name = header.name.to_ascii_lowercase();
        if OF_CONNECTIONS.contains(&name.as_str()) {
            continue;
        }
        if !can_be_sent(header) {
            complain(&format!(
                "the header {} goes without: it cannot be sent as it is",
                shown(&name)
            ));
            continue;
        }
        if Secret::is_named(&name) {
            own.secrets.push((name, header.value.clone()));
        } else {
            own.headers.push((name, header.value.expose().to_owned()));
        }
    }
    Ok(own)
}

/// Whether a value is all there, and one that a header can carry.
fn can_be_sent(header: &Header) -> bool {
    let named = http::HeaderName::try_from(header.name.as_str()).is_ok();
    let carried = HeaderValue::try_from(header.value.expose()).is_ok();
    named && carried && header.value.expose().is_ascii() && header.unset.is_empty() && !header.made
}

fn shown(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(64).collect()
}
