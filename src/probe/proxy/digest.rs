//! Digest (RFC 7616) at a proxy: which of its offers is taken, and the answer to it.
//!
//! Pure: the count and the client's nonce come from outside. `auth-int` is not spoken, since the
//! request has no body that it could protect; names and passwords are sent as UTF-8 as they are,
//! not normalised (RFC 7616 4), as curl does.

use std::fmt::Write as _;

use aws_lc_rs::{digest, rand};
use data_encoding::HEXLOWER;
use md5::{Digest as _, Md5};
use zeroize::Zeroizing;

use super::challenge::Challenge;
use crate::observation::Scheme;

/// Why an offer cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    /// There is none.
    #[error("the proxy does not offer Digest")]
    NotOffered,
    /// RFC 7616 3.3 demands it.
    #[error("the Digest challenge has no nonce")]
    NoNonce,
    /// Neither MD5 nor a SHA of RFC 7616 6.1.
    #[error("the Digest challenge wants an unknown algorithm, {0}")]
    Algorithm(String),
    /// Only what protects a body, or nothing known.
    #[error("the Digest challenge wants an unknown quality of protection, {0}")]
    Protection(String),
}

/// A Digest challenge that can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// As the proxy spelled it; none is MD5.
    algorithm: Option<String>,
    hash: Hash,
    session: bool,
    /// Whether a count and a nonce of the client take part; without is RFC 2069.
    auth: bool,
    names: Names,
    stale: bool,
}

/// How the proxy likes a name that is not ASCII (RFC 7616 3.4, 3.4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// It said nothing.
    Quoted,
    /// It knows of UTF-8.
    Encoded,
    /// It likes to see no name at all.
    Hashed,
}

/// In order of strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hash {
    Md5,
    Sha256,
    Sha512_256,
}

/// Who asks. It has no `Debug`, so that nothing prints it.
#[derive(Clone, Copy)]
pub(super) struct Login<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
}

impl<'a> Asked<'a> {
    /// A tunnel: of CONNECT the target is the authority itself (RFC 9110 9.3.6).
    pub(super) const fn tunnel(authority: &'a str) -> Self {
        Self { method: "CONNECT", uri: authority }
    }
}

/// What makes this answer differ from the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fresh<'a> {
    /// How often the proxy's nonce was used, this time included.
    pub(super) count: u32,
    /// A nonce of our own.
    pub(super) cnonce: &'a str,
}

/// A client's nonce of 128 bits.
pub(super) fn new_cnonce() -> Result<String, aws_lc_rs::error::Unspecified> {
    let mut bytes = [0_u8; 16];
    rand::fill(&mut bytes)?;
    Ok(HEXLOWER.encode(&bytes))
}

impl Offer {
    /// Of the offers that can be answered the one with the strongest hash; of equals the first, for
    /// a server lists them in its order of preference (RFC 7616 3.7).
    pub(super) fn strongest(challenges: &[Challenge]) -> Result<Self, Unusable> {
        let offers = challenges.iter().filter(|challenge| challenge.scheme == Some(Scheme::Digest));
        let mut best: Result<Self, _> = Err(Unusable::NotOffered);
        for offer in offers.map(Self::of) {
            let better = match (&best, &offer) {
                (Ok(best), Ok(offer)) => offer.hash > best.hash,
                (Err(_), Ok(_)) | (Err(Unusable::NotOffered), Err(_)) => true,
                (_, Err(_)) => false,
            };
            if better {
                best = offer;
            }
        }
        best
    }

    fn of(challenge: &Challenge) -> Result<Self, Unusable> {
        let text = |name| challenge.parameter(name).map(str::to_owned);
        let is = |name, wanted: &str| {
            challenge.parameter(name).is_some_and(|value| value.eq_ignore_ascii_case(wanted))
        };
        let algorithm = text("algorithm");
        let (hash, session) = algorithm.as_deref().map_or(Ok((Hash::Md5, false)), hash)?;
        let listed = challenge.parameter("qop").unwrap_or_default();
        let mut words = listed.split(',').map(str::trim).filter(|word| !word.is_empty()).peekable();
        let legacy = words.peek().is_none();
        if !legacy && !words.any(|word| word.eq_ignore_ascii_case("auth")) {
            return Err(Unusable::Protection(listed.to_owned()));
        }
        Ok(Self {
            realm: text("realm").unwrap_or_default(),
            nonce: text("nonce").ok_or(Unusable::NoNonce)?,
            opaque: text("opaque"),
            algorithm,
            hash,
            session,
            auth: !legacy,
            names: match (is("userhash", "true"), is("charset", "utf-8")) {
                (true, _) => Names::Hashed,
                (false, true) => Names::Encoded,
                (false, false) => Names::Quoted,
            },
            stale: is("stale", "true"),
        })
    }

    /// Whether the proxy took the login, and only its nonce had run out (RFC 7616 3.3).
    pub(super) const fn is_stale(&self) -> bool {
        self.stale
    }

    /// The value of `Proxy-Authorization` (RFC 7616 3.4).
    pub(super) fn answer(&self, login: Login<'_>, asked: Asked<'_>, fresh: Fresh<'_>) -> String {
        let mut value = format!("Digest {}", self.name(login.user));
        let mut add = |name: &str, text: &str| {
            // Writing to a string cannot fail.
            write!(value, ", {name}={text}").ok();
        };
        add("realm", &quoted(&self.realm));
        add("nonce", &quoted(&self.nonce));
        add("uri", &quoted(asked.uri));
        add("response", &quoted(&self.response(login, asked, fresh)));
        // RFC 7616 3.4: these three stand without quotes, or proxies refuse them.
        if let Some(algorithm) = &self.algorithm {
            add("algorithm", algorithm);
        }
        if self.auth {
            add("qop", "auth");
            add("nc", &format!("{:08x}", fresh.count));
        }
        if self.auth || self.session {
            add("cnonce", &quoted(fresh.cnonce));
        }
        if let Some(opaque) = &self.opaque {
            add("opaque", &quoted(opaque));
        }
        if self.names == Names::Hashed {
            add("userhash", "true");
        }
        value
    }

    /// The parameter that says who it is (RFC 7616 3.4.4): hashed where the proxy likes that;
    /// encoded where it is not ASCII and the proxy knows of such names, or where no quotes can hold it.
    fn name(&self, user: &str) -> String {
        let is_plain = !user.contains(char::is_control);
        match self.names {
            Names::Hashed => {
                format!("username=\"{}\"", self.hash.of(&format!("{user}:{}", self.realm)))
            }
            Names::Quoted if is_plain => format!("username={}", quoted(user)),
            Names::Encoded if is_plain && user.is_ascii() => format!("username={}", quoted(user)),
            Names::Quoted | Names::Encoded => {
                format!("username*=UTF-8''{}", percent_encoded(user))
            }
        }
    }

    /// RFC 7616 3.4.1 to 3.4.3.
    fn response(&self, login: Login<'_>, asked: Asked<'_>, fresh: Fresh<'_>) -> String {
        let (nonce, cnonce) = (&self.nonce, fresh.cnonce);
        let mut secret =
            Zeroizing::new(format!("{}:{}:{}", login.user, self.realm, login.password));
        if self.session {
            let inner = Zeroizing::new(self.hash.of(&secret));
            secret = Zeroizing::new(format!("{}:{nonce}:{cnonce}", *inner));
        }
        let secret = Zeroizing::new(self.hash.of(&secret));
        let request = self.hash.of(&format!("{}:{}", asked.method, asked.uri));
        let rest = if self.auth {
            format!("{nonce}:{:08x}:{cnonce}:auth:{request}", fresh.count)
        } else {
            format!("{nonce}:{request}")
        };
        self.hash.of(&Zeroizing::new(format!("{}:{rest}", *secret)))
    }
}

fn hash(algorithm: &str) -> Result<(Hash, bool), Unusable> {
    let lower = algorithm.to_ascii_lowercase();
    let (name, session) = match lower.strip_suffix("-sess") {
        Some(name) => (name, true),
        None => (lower.as_str(), false),
    };
    let hash = match name {
        "md5" => Hash::Md5,
        "sha-256" => Hash::Sha256,
        "sha-512-256" => Hash::Sha512_256,
        _ => return Err(Unusable::Algorithm(algorithm.to_owned())),
    };
    Ok((hash, session))
}

impl Hash {
    /// In hexadecimal, as everything here is hashed further and sent.
    fn of(self, text: &str) -> String {
        let sha = |algorithm| HEXLOWER.encode(digest::digest(algorithm, text.as_bytes()).as_ref());
        match self {
            Self::Md5 => HEXLOWER.encode(&Md5::digest(text.as_bytes())),
            Self::Sha256 => sha(&digest::SHA256),
            Self::Sha512_256 => sha(&digest::SHA512_256),
        }
    }
}

/// RFC 9110 5.6.4.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// RFC 8187 3.2: all but the letters of `attr-char`.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").ok();
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::super::challenge::challenges;
    use super::*;

    fn offer(challenge: &str) -> Result<Offer, Unusable> {
        Offer::strongest(&challenges([challenge]))
    }

    /// The parameter as it stands in the answer.
    fn said<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
        let all = answer.strip_prefix("Digest ").unwrap().split(", ");
        all.filter_map(|pair| pair.split_once('=')).find(|(n, _)| *n == name).map(|(_, text)| text)
    }

    const MUFASA: &str = r#"realm="http-auth@example.org", qop="auth, auth-int", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;

    #[track_caller]
    fn answer_mufasa(algorithm: &str, response: &str) {
        let offer = offer(&format!("Digest {MUFASA}, algorithm={algorithm}")).unwrap();
        let answer = offer.answer(
            Login { user: "Mufasa", password: "Circle of Life" },
            Asked { method: "GET", uri: "/dir/index.html" },
            Fresh { count: 1, cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ" },
        );
        let wanted = format!(
            "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", uri=\"/dir/index.html\", \
             response=\"{response}\", algorithm={algorithm}, qop=auth, nc=00000001, \
             cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        );
        assert_eq!(answer, wanted);
    }

    #[test]
    fn the_first_example_of_the_standard() {
        // RFC 7616 3.9.1.
        answer_mufasa("MD5", "8ca523f5e9506fed4657c9700eebdbec");
        answer_mufasa(
            "SHA-256",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        );
    }

    #[test]
    fn the_second_example_of_the_standard() {
        // RFC 7616 3.9.2 with the values of erratum 4897: those of the text are not of a SHA-512/256.
        let line = r#"Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, userhash=true"#;
        let login = Login { user: "J\u{e4}s\u{f8}n Doe", password: "Secret, or not?" };
        let asked = Asked { method: "GET", uri: "/doe.json" };
        let fresh = Fresh { count: 1, cnonce: "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v" };
        let answer = offer(line).unwrap().answer(login, asked, fresh);
        let name = "\"793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b\"";
        let response = "\"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5\"";
        assert_eq!(said(&answer, "username"), Some(name));
        assert_eq!(said(&answer, "response"), Some(response));
        assert_eq!(said(&answer, "userhash"), Some("true"));
        let plain = line.replace(", userhash=true", "");
        let answer = offer(&plain).unwrap().answer(login, asked, fresh);
        assert_eq!(said(&answer, "username*"), Some("UTF-8''J%C3%A4s%C3%B8n%20Doe"));
        assert_eq!(said(&answer, "username"), None);
        assert_eq!(said(&answer, "response"), Some(response));
        assert_eq!(said(&answer, "userhash"), None);
    }

    #[track_caller]
    fn tunnel(algorithm: &str, qop: &str, response: &str) -> String {
        let parameters = r#"realm="Proxy \"A\"", nonce="n0nce==""#;
        let offer = offer(&format!("Digest {parameters}{algorithm}{qop}")).unwrap();
        let answer = offer.answer(
            Login { user: r"CORP\ann", password: "pa:ss\"w\u{f6}rd" },
            Asked::tunnel("api.example.org:443"),
            Fresh { count: 2, cnonce: "0123456789abcdef" },
        );
        assert_eq!(said(&answer, "response"), Some(format!("\"{response}\"").as_str()), "{answer}");
        assert_eq!(said(&answer, "username"), Some(r#""CORP\\ann""#));
        assert_eq!(said(&answer, "realm"), Some(r#""Proxy \"A\"""#));
        assert_eq!(said(&answer, "uri"), Some("\"api.example.org:443\""));
        answer
    }

    #[test]
    fn a_tunnel_with_every_algorithm() {
        // Computed with Python's hashlib.
        let auth = ", qop=\"auth\"";
        tunnel("", auth, "021641449be38b8c7005a4bd339d6b86");
        tunnel(", algorithm=MD5-sess", auth, "2f9ca9600afdfbaa93812caa75ea5c92");
        tunnel(
            ", algorithm=sha-256",
            auth,
            "c8359c8c295da1e1e0d07b5df0b62145963920dd2fb32f1fea36024758b24157",
        );
        tunnel(
            ", algorithm=\"SHA-256-sess\"",
            auth,
            "e211d8c6acbc23f88fbaee3ade886b48eab833b570cd304125d3352a47c39a4a",
        );
        tunnel(
            ", algorithm=SHA-512-256",
            auth,
            "8794f3a6e49ce4083d682e805645eea3bad30ac21afb3f8e8929d7f2f7d22c5e",
        );
        tunnel(
            ", algorithm=SHA-512-256-sess",
            auth,
            "8a99f77598f2813ffa2935713e31a773f51b5882854257e33f57a02edb0a5fb3",
        );
    }

    #[test]
    fn without_a_quality_of_protection_it_is_the_old_digest() {
        let answer = tunnel("", "", "c6b53038f25280160d3319397422ca00");
        for absent in ["qop", "nc", "cnonce", "algorithm", "opaque"] {
            assert_eq!(said(&answer, absent), None, "{answer}");
        }
        // A session's key has the client's nonce in it, so the proxy has to be told.
        let answer = tunnel(", algorithm=MD5-sess", "", "e34b3cfd22ddd97f1db091bda735985c");
        assert_eq!(said(&answer, "cnonce"), Some("\"0123456789abcdef\""));
        tunnel("", ", qop=\"\"", "c6b53038f25280160d3319397422ca00");
    }

    #[test]
    fn the_strongest_offer_that_can_be_answered_is_taken() {
        let taken = |line: &str| offer(line).map(|offer| (offer.nonce, offer.hash));
        let md5 = "Digest nonce=a";
        let sha = "Digest nonce=b, algorithm=SHA-256";
        let sess = "Digest nonce=c, algorithm=SHA-256-sess";
        let new = "Digest nonce=d, algorithm=SHA3-512";
        assert_eq!(taken(&format!("{md5}, {sha}, {sess}")), Ok(("b".into(), Hash::Sha256)));
        assert_eq!(taken(&format!("{sess}, {md5}, Basic realm=x")), Ok(("c".into(), Hash::Sha256)));
        assert_eq!(taken(&format!("{new}, {md5}")), Ok(("a".into(), Hash::Md5)));
        assert_eq!(taken(new), Err(Unusable::Algorithm("SHA3-512".into())));
        assert_eq!(taken("Digest realm=x"), Err(Unusable::NoNonce));
        let body = "Digest nonce=a, qop=\"auth-int\"";
        assert_eq!(taken(body), Err(Unusable::Protection("auth-int".into())));
        assert_eq!(taken("Basic realm=x, NTLM"), Err(Unusable::NotOffered));
    }

    #[test]
    fn a_name_is_written_so_that_the_proxy_can_read_it() {
        let name = |line: &str, user| offer(line).unwrap().name(user);
        let (old, new) = ("Digest nonce=a", "Digest nonce=a, charset=utf-8");
        assert_eq!(name(old, "a\"b"), r#"username="a\"b""#);
        assert_eq!(name(old, "\u{e4}"), "username=\"\u{e4}\"");
        assert_eq!(name(new, "\u{e4}"), "username*=UTF-8''%C3%A4");
        assert_eq!(name(old, "a\r\nb"), "username*=UTF-8''a%0D%0Ab");
    }

    #[test]
    fn stale_is_read_and_nonces_differ() {
        assert!(offer("Digest nonce=a, stale=TRUE").unwrap().is_stale());
        assert!(!offer("Digest nonce=a, stale=false").unwrap().is_stale());
        let (one, other) = (new_cnonce().unwrap(), new_cnonce().unwrap());
        assert!(one.len() == 32 && one != other);
    }
}
