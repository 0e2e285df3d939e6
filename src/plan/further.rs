//! The requests beyond the minimal one: with a body, and with a streamed answer. They are the ordinary
//! request's kind: to the configured host, with the key, over a chain that verified.

use bytes::Bytes;
use http::Method;
use url::Url;

use super::vary::SMALL_SEGMENT;
use super::{Alpn, Endpoint, Families, Target, TripPlan};
use crate::observation::{Change, NotRun};
use crate::provider::{Post, Provider};

/// What clients offer: a device may hold back only what it compresses.
const CODINGS: &str = "gzip, br, zstd";

impl Endpoint {
    /// Where another request of the API is: what stands before the path of one that is known, a gateway's, stays.
    pub(super) fn path_of(&self, provider: Provider, post: &Post) -> Option<String> {
        let facts = provider.facts();
        let minimal = facts.url.and_then(|url| Url::parse(url).ok());
        let minimal = minimal.as_ref().map(Url::path);
        let posts = [facts.counting, facts.streaming].into_iter().flatten().map(|post| post.path);
        let mut paths = posts.filter_map(|path| path.split('?').next()).chain(minimal);
        let before = paths.find_map(|path| self.url.path().strip_suffix(path))?;
        let joint = if post.path.contains('?') { '&' } else { '?' };
        let query = self.url.query().map(|query| format!("{joint}{query}"));
        Some(format!("{before}{}{}", post.path, query.unwrap_or_default()))
    }
}

/// The ordinary trip on a connection that is kept: of one request after the other, to the first address.
fn kept_open(base: &TripPlan) -> TripPlan {
    let mut trip = TripPlan { families: Families::First, ..base.clone() };
    if let Some(tls) = &mut trip.tls {
        tls.hello.alpn = Alpn::Http1;
    }
    trip
}

/// The ordinary trip with another request.
pub(super) fn request(
    target: &Target,
    base: &TripPlan,
    change: Change,
) -> Result<TripPlan, NotRun> {
    if change == Change::IdleHold {
        return Ok(kept_open(base));
    }
    let facts = target.provider.facts();
    let (post, bytes) = match change {
        Change::LargerBody(bytes) | Change::ClampedBody(bytes) | Change::RepeatedBody(bytes) => {
            (facts.counting, bytes)
        }
        // Without a key nothing is streamed.
        Change::Stream if base.request.secrets.is_empty() => return Err(NotRun::NotConfigured),
        Change::Stream => (facts.streaming, 0),
        _ => return Err(NotRun::NotApplicable),
    };
    let post = post.ok_or(NotRun::NotApplicable)?;
    let mut trip = base.clone();
    let request = &mut trip.request;
    request.method = Method::POST;
    request.path = target.endpoint.path_of(target.provider, &post).ok_or(NotRun::NotApplicable)?;
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    request.body = Some(Bytes::from((post.body)(bytes)));
    let mut set = |name: &str, value: &str| {
        request.headers.retain(|(known, _)| known != name);
        request.headers.push((name.to_owned(), value.to_owned()));
    };
    set("content-type", "application/json");
    if change == Change::Stream {
        set("accept-encoding", CODINGS);
        request.whole_body = false;
    }
    if matches!(change, Change::ClampedBody(_)) {
        trip.socket.segment = Some(SMALL_SEGMENT);
    }
    Ok(trip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_gateway_puts_before_the_path_stays() {
        let path = |provider: Provider, url: &str| {
            let endpoint = Endpoint::of(&Url::parse(url).unwrap()).unwrap();
            endpoint.path_of(provider, &provider.facts().streaming.unwrap())
        };
        for (url, expected) in [
            ("https://api.anthropic.com/v1/models", Some("/v1/messages")),
            ("https://gw.example/anthropic/v1/models", Some("/anthropic/v1/messages")),
            ("https://gw.example/a/v1/messages?team=ml", Some("/a/v1/messages?team=ml")),
            ("https://gw.example/v1/messages/count_tokens", Some("/v1/messages")),
            ("https://gw.example/claude", None),
        ] {
            assert_eq!(path(Provider::Anthropic, url).as_deref(), expected, "{url}");
        }
        let gemini = path(Provider::Gemini, "https://gw.example/g/v1beta/models?team=ml").unwrap();
        assert!(gemini.starts_with("/g/v1beta/models/"), "{gemini}");
        assert!(gemini.ends_with(":streamGenerateContent?alt=sse&team=ml"), "{gemini}");
    }
}
