//! The kinds of failures, a closed enum a layer.
//!
//! The labels are a contract: `failure.kind` in JSON and `kind` in `egressd_failures_total`.

use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $label:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $label)] $variant),+ }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The fixed name.
            pub fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),+ }
            }
        }
    };
}
pub(super) use kinds;

kinds! {
    /// Local failures.
    LocalKind {
        /// `ENETUNREACH` at once.
        NoRoute = "no_route",
        /// `EACCES`, `EPERM`, or an ICMP error from an address of this host.
        PolicyDenied = "policy_denied",
        /// `EADDRNOTAVAIL`, `EMFILE`, `ENFILE`, `ENOBUFS`.
        ResourcesExhausted = "resources_exhausted",
        /// A secret that cannot be read.
        CredentialUnavailable = "credential_unavailable",
        /// No name server is configured.
        NoResolver = "no_resolver",
        /// Anything else.
        Other = "other",
    }
}
kinds! {
    /// Failures of a look-up.
    DnsKind {
        /// The name does not exist.
        Nxdomain = "nxdomain",
        /// The name has no address of this family.
        Nodata = "nodata",
        /// SERVFAIL.
        Servfail = "servfail",
        /// REFUSED.
        Refused = "refused",
        /// Another response code.
        RcodeOther = "rcode_other",
        /// No answer in time.
        Timeout = "timeout",
        /// ICMP port unreachable from the server.
        PortClosed = "port_closed",
        /// Another ICMP error.
        Icmp = "icmp",
        /// Not a DNS message.
        Malformed = "malformed",
        /// An answer to another query.
        WrongId = "wrong_id",
        /// An answer to another question.
        WrongQuestion = "wrong_question",
        /// Truncated, and no TCP.
        Truncated = "truncated",
        /// An address that cannot be a destination (unspecified, multicast).
        UnusableAddress = "unusable_address",
        /// The transport to the server failed.
        Transport = "transport",
        /// Anything else.
        Other = "other",
    }
}
kinds! {
    /// Failures of a connection.
    TcpKind {
        /// No answer to the SYN in time.
        Timeout = "timeout",
        /// RST, or an ICMP error that the kernel maps to it without a named offender.
        Refused = "refused",
        /// Reset while it was being made.
        Reset = "reset",
        /// ICMP: prohibited.
        IcmpProhibited = "icmp_prohibited",
        /// ICMP: net or host unreachable.
        IcmpUnreachable = "icmp_unreachable",
        /// No route, told by the kernel later than at once.
        NoRoute = "no_route",
        /// Anything else.
        Other = "other",
    }
}
kinds! {
    /// Failures at a proxy.
    ProxyKind {
        /// Its name.
        Resolve = "resolve",
        /// Its address and port.
        Connect = "connect",
        /// Its own handshake.
        Tls = "tls",
        /// 407.
        Auth = "auth",
        /// Another status than 2xx.
        Status = "status",
        /// A redirect instead of a tunnel.
        Redirect = "redirect",
        /// What answers does not speak HTTP.
        NotAProxy = "not_a_proxy",
        /// No complete answer to CONNECT in time.
        Timeout = "timeout",
        /// Closed before an answer.
        Closed = "closed",
        /// Reset before an answer.
        Reset = "reset",
        /// The PAC file.
        Pac = "pac",
        /// Anything else.
        Other = "other",
    }
}
kinds! {
    /// Failures of a handshake.
    TlsKind {
        /// Not finished in time.
        Timeout = "timeout",
        /// Reset.
        Reset = "reset",
        /// Closed without an alert.
        Closed = "closed",
        /// A fatal alert from the peer.
        Alert = "alert",
        /// The first byte is no TLS record.
        NotTls = "not_tls",
        /// A record that does not decrypt or decode.
        Corrupted = "corrupted",
        /// Certificate past its end.
        Expired = "expired",
        /// Certificate before its begin.
        NotYetValid = "not_yet_valid",
        /// Certificate for other names.
        WrongName = "wrong_name",
        /// The leaf is its own issuer.
        SelfSigned = "self_signed",
        /// No set of roots knows the issuer.
        UnknownIssuer = "unknown_issuer",
        /// Another fault of the certificate.
        CertificateOther = "certificate_other",
        /// The server wants a client certificate.
        ClientCertificate = "client_certificate",
        /// No version, cipher or group in common.
        NoCommonVersion = "no_common_version",
        /// Anything else.
        Other = "other",
    }
}
kinds! {
    /// Failures of a request.
    HttpKind {
        /// No byte of an answer in time.
        Timeout = "timeout",
        /// Reset before the answer was complete.
        Reset = "reset",
        /// Closed without a byte of an answer.
        Closed = "closed",
        /// The answer stopped half-way.
        Stalled = "stalled",
        /// The answer ended before its declared end.
        Truncated = "truncated",
        /// Not sound HTTP.
        Malformed = "malformed",
        /// More head or body than the limits allow.
        TooLarge = "too_large",
        /// A redirect that was not asked for.
        Redirect = "redirect",
        /// A status from 400 to 499.
        Status4xx = "status_4xx",
        /// A status from 500 on.
        Status5xx = "status_5xx",
        /// A success with another content than was asked for.
        UnexpectedBody = "unexpected_body",
        /// HTTP/2: GOAWAY, RST_STREAM or a framing error.
        H2 = "h2",
        /// Anything else.
        Other = "other",
    }
}

impl TlsKind {
    /// Whether a TLS record of the peer is needed to fail in this way.
    pub fn is_a_record(self) -> bool {
        match self {
            Self::Timeout | Self::Reset | Self::Closed | Self::NotTls | Self::Other => false,
            Self::Alert
            | Self::Corrupted
            | Self::Expired
            | Self::NotYetValid
            | Self::WrongName
            | Self::SelfSigned
            | Self::UnknownIssuer
            | Self::CertificateOther
            | Self::ClientCertificate
            | Self::NoCommonVersion => true,
        }
    }
}
