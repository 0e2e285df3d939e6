//! The vocabulary of single servers: what a name server, a TLS server, a device or a proxy does. `servers.rs` makes them.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A name server of ours: it has everything that was drawn, and what is said here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NameServer {
    /// To every name without a word of its own.
    pub(crate) all: Option<Dns>,
    #[serde(default)]
    pub(crate) names: BTreeMap<String, Dns>,
    /// In the place of what was drawn for a name: addresses, or one name that it is an alias of; nothing
    /// makes the name unknown.
    #[serde(default)]
    pub(crate) records: BTreeMap<String, Vec<String>>,
    /// Its port is closed.
    #[serde(default)]
    pub(crate) closed: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dns {
    Answer,
    Nxdomain,
    Nodata,
    Servfail,
    Refused,
    Silent,
    Garbage,
    WrongId,
    WrongQuestion,
    /// TC over UDP.
    Truncated,
    /// The same, and TCP resets.
    TruncatedNoTcp,
    AaaaSilent,
    AaaaServfail,
    AaaaLateMs(u64),
    /// An address in front of the true answer.
    Forged(String),
    /// A stray answer in front of the true one.
    WrongIdFirst,
    /// NXDOMAIN with that extended error.
    Blocked(u16),
    LateMs(u64),
}

/// A TLS server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    /// The placeholders' words of its addresses, as `api2`; all of its kind where nothing is said.
    pub(crate) at: Option<Vec<String>>,
    /// Nobody listens.
    #[serde(default)]
    pub(crate) closed: bool,
    pub(crate) handshake: Option<Handshake>,
    #[serde(default)]
    pub(crate) certificate: Certificate,
    /// 1.2 for nothing newer.
    pub(crate) tls: Option<String>,
    pub(crate) alpn: Option<Vec<String>>,
    pub(crate) answer: Option<Answer>,
    /// What its port 80 says, where that is something else.
    pub(crate) plain: Option<Answer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Certificate {
    pub(crate) flaw: Option<Flaw>,
    #[serde(default)]
    pub(crate) issuer: Issuer,
    /// Other names than the true ones.
    pub(crate) names: Option<Vec<String>>,
    /// Valid from so many days after today, to so many; for very long where nothing is said.
    pub(crate) days: Option<[i64; 2]>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Flaw {
    Expired,
    NotYetValid,
    WrongName,
    SelfSigned,
    MissingIntermediate,
    /// The leaf is good, and the intermediate that signed it has expired.
    ExpiredIntermediate,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Issuer {
    #[default]
    Public,
    /// Whose root is `{organisation_ca}`, which a case may trust.
    Organisation,
    Nobody,
    /// The other CA of an inspecting device, for what it does not trust itself.
    Untrusted,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Handshake {
    OnAccept(End),
    AfterHello(End),
    AfterServerHello(End),
    Alert(u8),
    PlainHttp,
    Garbage,
    CorruptRecord,
    ClientCertificate,
    SniFilter { name: String, then: End },
    SniAlert { name: String, code: u8 },
    HelloFilter { larger_than: u64, then: End },
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    Close,
    Reset,
    Silent,
}

/// What is said to a request.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Answer {
    /// As the API: 401 without a key, the models for `{key}`.
    Api,
    /// 200 and a page with `{text}`.
    Page,
    /// The same with so many bytes.
    PageOf(usize),
    /// Those, and nothing more.
    Says {
        status: u16,
        headers: Option<BTreeMap<String, String>>,
        body: Option<String>,
    },
    /// An error of the API itself, with its marks and those of its edge.
    ApiError {
        status: u16,
        r#type: String,
        message: String,
    },
    /// A page of the edge, with its marks.
    Edge {
        status: u16,
        headers: Option<BTreeMap<String, String>>,
        body: Option<String>,
    },
    EdgeChallenge,
    EdgeForbidden,
    Edge522,
    /// HTML with that status by some device.
    BlockPage(u16),
    Redirect(String),
    Silent,
    Close,
    Reset,
    HalfHeadThenStall,
    HalfHeadThenClose,
    HeadThenStall,
    BodyStall,
    DripMs(u64),
    BodyTruncated,
    ChunkCut,
    BadStatusLine,
    TwoContentLengths,
    EndlessHeaders,
    EndlessContinue,
    EndlessBody,
    HugeContentLength,
    CompressedBomb,
    H2GoAway(u32),
    H2ResetStream(u32),
    /// These bytes over HTTP/1.1.
    Raw {
        bytes: String,
        then: End,
    },
    /// As the API without a key, after that time.
    LateMs(u64),
}

/// A device that ends TLS for what comes from the client.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Interceptor {
    /// nft's words for what it takes; TCP 443 of the client where nothing is said.
    pub(crate) takes: Option<String>,
    /// What it stands before: the client, or the proxies.
    #[serde(default)]
    pub(crate) side: Side,
    /// Names that it ends TLS for; it passes others on as they are. All where nothing is said.
    pub(crate) only: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) certificate: Certificate,
    #[serde(default)]
    pub(crate) then: Then,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Side {
    #[default]
    Lan,
    Dmz,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Then {
    /// Carries on with the true server.
    #[default]
    Forward,
    /// The same without these headers of the request.
    Strip(Vec<String>),
    /// Answers itself.
    Answer(Box<Answer>),
    /// Breaks off once the `ClientHello` is there.
    End(End),
    /// The same with a fatal alert.
    Alert(u8),
    /// Says this in clear text, and closes.
    Plain(String),
    /// Passes TLS on as it is, and breaks off after so many bytes of the server's.
    Cut { after: u64, then: End },
    /// The same, after so many bytes of the client's.
    CutUpload { after: u64, then: End },
    /// Breaks off, or says that alert, where all that is said of a `ClientHello` is so; passes others on.
    Refuse {
        larger_than: Option<u64>,
        /// Came in more than one segment.
        #[serde(default)]
        in_segments: bool,
        /// Offers TLS 1.3.
        #[serde(default)]
        offers_13: bool,
        end: Option<End>,
        alert: Option<u8>,
    },
    /// Carries on where that authority issued the server's certificate and it is good; shows a certificate of
    /// its untrusted CA where not, or answers itself.
    Verify {
        #[serde(default)]
        trusts: Issuer,
        answer: Option<Box<Answer>>,
    },
    /// Carries on for clients with a certificate of the organisation's.
    ClientCertificate,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OurProxy {
    /// To every name without a word of its own.
    pub(crate) all: Option<Tunnel>,
    #[serde(default)]
    pub(crate) names: BTreeMap<String, Tunnel>,
    /// Where names lead in the place of their true addresses: `ADDRESS`.
    #[serde(default)]
    pub(crate) leads: BTreeMap<String, String>,
    /// Of `secure`.
    #[serde(default)]
    pub(crate) certificate: Certificate,
    #[serde(default)]
    pub(crate) down: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Tunnel {
    Opens,
    Says {
        status: u16,
        headers: Option<BTreeMap<String, String>>,
        body: Option<String>,
    },
    /// 407, unless the login is `{user}` with `{password}`.
    AskLogin,
    Silent,
    Close,
    Reset,
    Garbage,
    TlsBytes,
    EndlessHead,
    OpensThenSilent,
    OpensThenClose,
    OpensThenReset,
    OpensThenPlainText,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OurSocks {
    /// Method chosen: 255 for none of those offered.
    pub(crate) method: Option<u8>,
    /// Reply code to every name without one of its own; 0 opens the tunnel.
    #[serde(default)]
    pub(crate) reply: u8,
    #[serde(default)]
    pub(crate) names: BTreeMap<String, u8>,
    /// Says this instead of anything.
    pub(crate) raw: Option<String>,
    #[serde(default)]
    pub(crate) silent: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SquidSetup {
    /// Lines before everything that allows.
    pub(crate) lines: Option<String>,
    /// Demands walter's login by Basic.
    #[serde(default)]
    pub(crate) login: bool,
    /// Breaks TLS open with the organisation's CA.
    #[serde(default)]
    pub(crate) bump: bool,
    /// Whom it asks for names; `{dns_public}` where nothing is said.
    pub(crate) dns: Option<String>,
    #[serde(default)]
    pub(crate) down: bool,
}
