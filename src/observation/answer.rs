//! The answer to the request, and what its head alone says: where it sends the client, who left a mark on
//! it, whether its body is encoded.
//!
//! Facts, not judgement: a mark passes through an inspecting device unchanged, and whose it is, is diagnosis's to say.

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde::{Deserialize, Serialize};

use super::Socket;

/// An answer to the request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// `1.0`, `1.1` or `2`.
    pub version: String,
    /// The headers, names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The first bytes of the body.
    pub body: String,
    /// How many bytes of the body were read.
    pub length: u64,
    /// Whether that was all of it.
    pub whole: bool,
    /// Whether the request carried the configured key.
    pub keyed: bool,
    /// Whether the configured key was left out, because the chain is no public one.
    pub withheld: bool,
    /// Time from the request sent to the first byte of the answer, in seconds: on HTTP/2 that of its HEADERS, since
    /// SETTINGS come before any answer.
    pub first_byte: f64,
    /// Time from the request sent to the end of the answer's head, in seconds.
    pub head_seconds: f64,
    /// Time from the head to the end of the body, in seconds.
    pub body_seconds: f64,
    /// When the body's parts came.
    pub parts: Parts,
    /// What the kernel counted at the end.
    pub socket: Option<Socket>,
}

/// The parts of a body: the events of an event stream, else what one read brought.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parts {
    /// How many came.
    pub count: u64,
    /// From the head to the first, in seconds.
    pub first: Option<f64>,
    /// Between two of them in their order, in seconds, the first 64.
    pub gaps: Vec<f64>,
    /// The longest time between two, in seconds.
    pub longest: f64,
}

/// An answer that leads elsewhere. It is never followed: what is there is another host's answer, and the key is not its.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirect<'a> {
    /// The status: 301, 302, 303, 307 or 308.
    pub status: u16,
    /// Where to, as it was written.
    pub location: &'a str,
}

/// The headers that tell who answered, in lower case: the server's own name, those on the way (RFC 9110 7.6.3, RFC 9209), the
/// edges' and the APIs' identifiers, and who wants to be asked how (RFC 9110 10.2.3, 11.6.1).
const MARKS: &[&str] = &[
    "server",
    "via",
    "x-powered-by",
    "x-served-by",
    "proxy-status",
    "proxy-authenticate",
    "www-authenticate",
    "retry-after",
    "x-cache",
    "x-cache-lookup",
    "x-squid-error",
    "x-envoy-upstream-service-time",
    "cf-ray",
    "cf-mitigated",
    "cf-error-type",
    "cf-error-origin",
    "x-amz-cf-id",
    "x-amz-cf-pop",
    "x-amzn-requestid",
    "x-amzn-errortype",
    "x-azure-ref",
    "x-ms-region",
    "policy-id",
    "apim-request-id",
    "request-id",
    "x-request-id",
    "x-github-request-id",
    "x-github-backend",
    "openai-version",
    "openai-processing-ms",
];

/// Whether a header tells who answered; its name is in lower case.
pub fn is_mark(name: &str) -> bool {
    MARKS.contains(&name)
}

impl Response {
    /// The first header of this name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Where it leads, if it does (RFC 9110 15.4). 300 and 304 do not ask to go elsewhere.
    pub fn redirect(&self) -> Option<Redirect<'_>> {
        match self.status {
            301 | 302 | 303 | 307 | 308 => {
                let location = self.header("location")?;
                Some(Redirect { status: self.status, location })
            }
            _ => None,
        }
    }

    /// The headers that tell who answered, in the order of arrival.
    pub fn marks(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        all.filter(|(name, _)| is_mark(name))
    }

    /// After how many seconds it wants to be asked again (RFC 9110 10.2.3): a number, or a date, which counts from
    /// the server's own.
    pub fn retry_after(&self) -> Option<u64> {
        let text = self.header("retry-after")?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(seconds);
        }
        let until = rfc2822::parse(text).ok()?.timestamp().as_second();
        let seconds = until.checked_sub(self.date()?.as_second())?;
        u64::try_from(seconds).ok()
    }

    /// When it says that it was made (RFC 9110 6.6.1).
    pub fn date(&self) -> Option<Timestamp> {
        Some(rfc2822::parse(self.header("date")?).ok()?.timestamp())
    }

    /// The point of presence of the edge that gave it, by the letters of its airport, as Cloudflare, CloudFront, Fastly
    /// and Azure Front Door name theirs; reduced to those and three digits at most.
    pub fn pop(&self) -> Option<String> {
        let last = |name, by: char| self.header(name).and_then(|value| value.rsplit(by).next());
        let front_door = || {
            let (_, place) = self.header("x-msedge-ref")?.split_once("Ref B: ")?;
            Some(place)
        };
        let place = last("cf-ray", '-')
            .or_else(|| self.header("x-amz-cf-pop"))
            .or_else(|| last("x-served-by", '-'))
            .or_else(front_door)?;
        let letters: String = place.chars().take(3).collect();
        let sound = letters.len() == 3 && letters.chars().all(|c| c.is_ascii_alphabetic());
        let digits = place.chars().skip(3).take_while(char::is_ascii_digit).take(3);
        sound.then(|| letters.to_ascii_uppercase().chars().chain(digits).collect())
    }

    /// The content coding of the body (RFC 9110 8.4): the request asked for none, and the body is kept as it came.
    pub fn encoding(&self) -> Option<&str> {
        self.header("content-encoding").filter(|coding| !coding.eq_ignore_ascii_case("identity"))
    }

    /// Whether it is an event stream (WHATWG HTML 9.2.5).
    pub fn is_event_stream(&self) -> bool {
        let kind = self.header("content-type").unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("text/event-stream")
    }
}

#[cfg(test)]
mod tests {
    use super::{MARKS, Redirect, Response};

    fn answer(status: u16, headers: &[(&str, &str)]) -> Response {
        let headers =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Response { status, headers, ..Response::default() }
    }

    #[test]
    fn a_redirect_is_a_status_and_a_place() {
        let to = [("location", "/there")];
        for status in [301, 302, 303, 307, 308] {
            let answer = answer(status, &to);
            assert_eq!(answer.redirect(), Some(Redirect { status, location: "/there" }));
        }
        for status in [200, 201, 300, 304, 401] {
            assert_eq!(answer(status, &to).redirect(), None);
        }
        assert_eq!(answer(302, &[]).redirect(), None);
    }

    #[test]
    fn marks_are_those_that_tell_who_answered() {
        let answer = answer(
            200,
            &[("date", "x"), ("via", "1.1 a"), ("server", "b"), ("via", "1.1 c"), ("vary", "d")],
        );
        let marks: Vec<_> = answer.marks().collect();
        assert_eq!(marks, [("via", "1.1 a"), ("server", "b"), ("via", "1.1 c")]);
        assert!(MARKS.iter().all(|name| name.to_ascii_lowercase() == *name));
    }

    #[test]
    fn when_to_ask_again_is_a_number_or_a_date() {
        let date = ("date", "Wed, 21 Oct 2026 07:28:00 GMT");
        let of = |value| answer(429, &[date, ("retry-after", value)]).retry_after();
        assert_eq!(of("120"), Some(120));
        assert_eq!(of("Wed, 21 Oct 2026 07:29:30 GMT"), Some(90));
        for none in ["-1", "Wed, 21 Oct 2026 07:27:00 GMT", "soon", "1.5", ""] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn a_point_of_presence_is_three_letters_and_few_digits() {
        let rows = [
            ("cf-ray", "8f1a2b3c4d5e6f70-FRA", Some("FRA")),
            ("x-amz-cf-pop", "FRA56-P12", Some("FRA56")),
            ("x-served-by", "cache-iad-kcgs7200042-IAD, cache-fra-eddf8230099-FRA", Some("FRA")),
            (
                "x-msedge-ref",
                "Ref A: 0C5 Ref B: FRA31EDGE0514 Ref C: 2026-11-22T18:00:41Z",
                Some("FRA31"),
            ),
            ("cf-ray", "8f1a2b3c4d5e6f70-fra", Some("FRA")),
            ("cf-ray", "8f-ABC1234567", Some("ABC123")),
            ("cf-ray", "8f1a2b3c4d5e6f70-", None),
            ("cf-ray", "-F\u{f6}A", None),
            ("x-amz-cf-pop", "12", None),
            ("server", "cloudflare", None),
        ];
        for (name, value, expected) in rows {
            assert_eq!(answer(200, &[(name, value)]).pop().as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn what_the_body_is_is_told_by_its_headers() {
        assert_eq!(answer(200, &[("content-encoding", "gzip")]).encoding(), Some("gzip"));
        assert_eq!(answer(200, &[("content-encoding", "Identity")]).encoding(), None);
        assert!(answer(200, &[("content-type", "Text/Event-Stream; charset=x")]).is_event_stream());
        assert!(!answer(200, &[("content-type", "text/plain")]).is_event_stream());
    }
}
