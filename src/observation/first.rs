//! How a peer began its answer to a `ClientHello`, as far as anybody on the way could read it too.

use serde::{Deserialize, Serialize};

/// What the first bytes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// A TLS record.
    Tls,
    /// HTTP/1 in clear text.
    Http,
    /// An SSH server's banner (RFC 4253 4.2).
    Ssh,
    /// None of these.
    #[default]
    Other,
}

/// The first bytes, taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct First {
    /// What they are.
    pub protocol: Protocol,
    /// The header of the first record.
    pub record: Option<Record>,
    /// The alert in it, where it is one in clear text.
    pub alert: Option<PlainAlert>,
    /// The `ServerHello` in it, where it is one.
    pub hello: Option<ServerHello>,
}

/// The header of a record (RFC 8446 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// 20 to 23: change_cipher_spec, alert, handshake, application_data.
    pub kind: u8,
    /// 0x0301 to 0x0303.
    pub version: u16,
    /// Bytes that follow.
    pub length: u16,
}

/// An alert before any key (RFC 8446 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlainAlert {
    /// 1 warning, 2 fatal.
    pub level: u8,
    /// Its number.
    pub code: u8,
}

/// What a server chose (RFC 8446 4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerHello {
    /// `legacy_version`: TLS 1.2 and 1.3 are both 0x0303 here.
    pub version: u16,
    /// The cipher suite's number: 0x13.. in TLS 1.3 alone (RFC 8446 B.4).
    pub cipher: Option<u16>,
    /// What `supported_versions` chose (RFC 8446 4.2.1), where it stands early enough to be kept:
    /// 0x0304 is TLS 1.3.
    #[serde(default)]
    pub selected: Option<u16>,
    /// Whether it asks for another `ClientHello` (HelloRetryRequest, RFC 8446 4.1.4).
    #[serde(default)]
    pub retry: bool,
}
