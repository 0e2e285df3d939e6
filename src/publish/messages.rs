//! What clients, libraries, proxies and APIs print when a request fails, and what each of it can mean. Data: how
//! a message is found in a text is `said`'s. A message proves no cause, and no row names one for sure.
//!
//! Sources: axios `settle.js`, Node "Errors", c-ares `ares_strerror`, OpenSSL `x509_txt.c`, `curl/curl.h`,
//! undici "Errors", Go `net` and `crypto/x509`, rustls `CertificateError`, and the vendors' pages on errors.

use crate::cause::Cause;
use crate::observation::Control;

documented! {
/// How far a client that prints a message has come for sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worked {
    /// Nothing for sure: the message does not say how far it came.
    Unknown,
    /// Nothing was sent, so that nothing is known of the network.
    Unsent,
    /// Nothing after DNS was tried: the name was not resolved.
    Unresolved,
    /// The name was resolved, if it was one. Nothing more.
    Resolved,
    /// DNS and TCP worked, to somebody.
    Connected,
    /// DNS and TCP worked, to somebody who speaks TLS.
    Handshaking,
    /// DNS, TCP and (for https) TLS worked, to somebody.
    Sent,
    /// DNS, TCP and (for https) TLS worked, to somebody, who answered the request.
    Answered,
    /// The proxy was reached, and answered.
    Proxy,
    /// All of the way, if the API's edge itself said this: whoever ends TLS can say it too.
    Edge,
    /// All of the way, if the API itself said this: a gateway or a proxy can repeat its words.
    Api,
}
}

/// A message, and what it can mean.
#[derive(Debug)]
pub struct Message {
    /// Its usual spelling.
    pub id: &'static str,
    /// Whether any other beside it says more.
    pub vague: bool,
    /// How far the client has come.
    pub worked: Worked,
    /// Whose word it is.
    pub by: &'static str,
    /// By what it is found, whatever the case: each as whole words.
    pub patterns: &'static [&'static str],
    /// What it means, and on whom that depends.
    pub means: &'static str,
    /// What of a check's evidence decides.
    pub look: &'static str,
    /// The controls that decide.
    pub controls: &'static [Control],
    /// What it can be, the likeliest first.
    pub causes: &'static [Cause],
}

macro_rules! vague {
    (says) => {
        false
    };
    (vague) => {
        true
    };
}

macro_rules! messages {
    ($($id:literal $kind:ident $worked:ident by $by:literal as [$($pattern:literal)+] means $means:literal
        look $look:literal [$($control:ident)*] is [$($cause:ident)+])+) => {
        /// All of them, by layer.
        pub const MESSAGES: &[Message] = &[$(Message {
            id: $id, vague: vague!($kind), worked: Worked::$worked, by: $by, patterns: &[$($pattern),+],
            means: $means, look: $look, controls: &[$(Control::$control),*], causes: &[$(Cause::$cause),+],
        }),+];
    };
}

messages! {
// ---- a status as a client words it: of a 4xx or 5xx only the sender says what it means
"ERR_BAD_REQUEST" vague Answered by "axios"
    as ["ERR_BAD_REQUEST"]
    means "Any answer with a 4xx status, from anybody: a proxy, a web filter, the provider's edge, or the API. In spite of the name it does not say that the request is malformed; the status, and who answered, are what counts. A first connection check of a client carries no body, so that no model, prompt or limit can cause it. Rarely, and with no network at all, axios says it of a URL or body that it cannot send."
    look "who wrote the answer (`response.author`), its status and error type, and what a proxy answered to CONNECT"
    [OtherRoute ControlTunnel Portal UntrustedHandshake NoKey]
    is [ProxyDenied BlockPage RegionNotSupported EdgeBlocked EdgeChallenge ProxyAuthRequired ApiKeyInvalid ApiNotFound ApiBadRequest]
"ERR_BAD_RESPONSE" vague Answered by "axios"
    as ["ERR_BAD_RESPONSE"]
    means "Any answer with a 5xx status, from anybody: a proxy that does not get further, the provider's edge, a gateway, or the API. axios also says it of a redirect chain or a body that it could not follow to the end."
    look "who wrote the answer (`response.author`), its status, and what a proxy answered to CONNECT"
    [OtherRoute ControlTunnel RandomTunnel UntrustedHandshake]
    is [ApiError ApiOverloaded EdgeOriginUnreachable EdgeFailed ProxyFailed ProxyUpstreamBlocked ProxyDnsFailed GatewayUpstreamFailed]
"Request failed with status code 400" vague Answered by "axios, or another HTTP client"
    as ["Request failed with status code 400" "status code 400" "400 Bad Request" "HTTP 400" "HTTP/2 400" "HTTP/1.1 400" "API Error: 400"]
    means "Somebody did not take the request: the API for what is in it, the provider's edge for plain HTTP on the port of TLS, or a proxy that got a URL where it wanted CONNECT."
    look "who wrote the answer (`response.author`), its error type and the API's own words"
    [OtherRoute UntrustedHandshake]
    is [ApiBadRequest ApiBilling EdgeBlocked ProxyMisconfigured ProxyConnectUnsupported]
"Request failed with status code 401" vague Answered by "axios, or another HTTP client"
    as ["Request failed with status code 401" "status code 401" "401 Unauthorized" "HTTP 401" "HTTP/2 401" "HTTP/1.1 401" "API Error: 401"]
    means "Somebody wants another login than the one that came. From the API it is about its key, from a gateway about the gateway's own; a proxy would say 407. Where a device on the way removes the header, the API answers the same."
    look "who wrote the answer (`response.author`), its error type, and whether a key was sent at all"
    [NoKey OtherRoute]
    is [ApiKeyInvalid ApiKeyMissing HeaderStripped Gateway]
"Request failed with status code 403" vague Answered by "axios, or another HTTP client"
    as ["Request failed with status code 403" "status code 403" "403 Forbidden" "HTTP 403" "HTTP/2 403" "HTTP/1.1 403" "API Error: 403"]
    means "Somebody refuses. Which of them is the whole question: a proxy, a web filter, the provider's edge (country, reputation of the address, challenge), or the API (permissions of the key)."
    look "who wrote the answer (`response.author`), its error type and the headers kept of it"
    [OtherRoute ControlTunnel Portal UntrustedHandshake ControlHost]
    is [ProxyDenied BlockPage RegionNotSupported EdgeChallenge EdgeBlocked RequestFiltered ApiForbidden ApiEgressNotAllowed]
"Request failed with status code 404" vague Answered by "axios, or another HTTP client"
    as ["Request failed with status code 404" "status code 404" "404 Not Found" "HTTP 404" "HTTP/2 404" "HTTP/1.1 404" "API Error: 404"]
    means "Somebody has nothing under this path: often `/v1` is missing or there twice, or the path is that of another API or gateway. APIs also say it of a model or deployment that they do not have."
    look "who wrote the answer (`response.author`), its error type and the API's own words"
    [OtherRoute]
    is [ApiNotFound ApiModelUnknown Gateway ResponseReplaced]
"Request failed with status code 405" vague Answered by "axios, or another HTTP client"
    as ["Request failed with status code 405" "status code 405" "405 Method Not Allowed" "HTTP 405" "HTTP/2 405" "HTTP/1.1 405"]
    means "The path is there, the method is not the one it takes; a proxy says it of CONNECT."
    look "who wrote the answer (`response.author`), and what a proxy answered to CONNECT"
    [OtherRoute]
    is [ApiBadRequest ApiNotFound ProxyConnectUnsupported]
"407 Proxy Authentication Required" says Proxy by "a proxy"
    as ["407 Proxy Authentication Required" "Proxy Authentication Required" "Request failed with status code 407" "status code 407" "response 407 from proxy" "code 407 from proxy" "Tunnel connection failed: 407" "HTTP 407" "HTTP/2 407" "HTTP/1.1 407" "ERR_CACHE_ACCESS_DENIED"]
    means "The proxy wants a login, or does not accept the one that came: many clients know Basic only, where the proxy asks for NTLM or Kerberos. Some proxies ask for certain hosts only."
    look "what the proxy offers and what became of the login (`failure`, `observed`)"
    [ControlTunnel]
    is [ProxyAuthRequired ProxyAuthRejected ProxyAuthUnsupported ProxyAuthUnavailable]
"Request failed with status code 408" says Answered by "axios, or another HTTP client"
    as ["Request failed with status code 408" "status code 408" "408 Request Timeout" "user_request_timeout" "HTTP 408" "HTTP/2 408" "HTTP/1.1 408"]
    means "Somebody waited too long for the request, or for something to pass on the connection: a server, or a load balancer before it."
    look "who wrote the answer (`response.author`), and where the time went"
    [LongerTimeout OtherRoute ClampedSegments]
    is [OriginSilent EdgeFailed MtuBlackhole Intermittent]
"Request failed with status code 413" says Answered by "axios, or another HTTP client"
    as ["Request failed with status code 413" "status code 413" "413 Payload Too Large" "413 Request Entity Too Large" "413 Content Too Large" "request_too_large" "HTTP 413" "HTTP/2 413" "HTTP/1.1 413" "API Error: 413"]
    means "The request is too large for whoever answered: the API's limit is in its edge, and a proxy or gateway may have a smaller one."
    look "who wrote the answer (`response.author`)"
    [OtherRoute]
    is [ApiTooLarge EdgeBlocked RequestFiltered BlockPage]
"Request failed with status code 429" says Answered by "axios, or another HTTP client"
    as ["Request failed with status code 429" "status code 429" "429 Too Many Requests" "HTTP 429" "HTTP/2 429" "HTTP/1.1 429" "API Error: 429"]
    means "Somebody counts requests: the API those of the account, the provider's edge those of an egress address that others share."
    look "who wrote the answer (`response.author`), and the rate limits among its headers"
    [OtherRoute]
    is [ApiRateLimited EdgeRateLimited ApiBilling]
"Request failed with status code 500" vague Answered by "axios, or another HTTP client"
    as ["Request failed with status code 500" "status code 500" "500 Internal Server Error" "HTTP 500" "HTTP/2 500" "HTTP/1.1 500" "API Error: 500"]
    means "Somebody failed: the API, a gateway, or a proxy or web filter that could not reach or did not trust the site."
    look "who wrote the answer (`response.author`), and what a proxy answered to CONNECT"
    [OtherRoute ControlTunnel]
    is [ApiError ProxyFailed InspectionUpstreamFailed EdgeFailed]
"Request failed with status code 502" vague Answered by "axios, or another HTTP client"
    as ["Request failed with status code 502" "status code 502" "502 Bad Gateway" "HTTP 502" "HTTP/2 502" "HTTP/1.1 502" "API Error: 502"]
    means "Whoever answered could not reach what is behind it: a proxy the host, a gateway its provider, or the provider's edge its own API."
    look "who wrote the answer (`response.author`), and what a proxy answered to CONNECT"
    [ControlTunnel RandomTunnel OtherResolver OtherRoute]
    is [ProxyUpstreamBlocked ProxyDnsFailed ProxyFailed EdgeOriginUnreachable GatewayUpstreamFailed]
"Request failed with status code 503" vague Answered by "axios, or another HTTP client"
    as ["Request failed with status code 503" "status code 503" "503 Service Unavailable" "HTTP 503" "HTTP/2 503" "HTTP/1.1 503" "API Error: 503"]
    means "Whoever answered has no capacity or no way on: Squid says it of a host that it cannot reach or resolve, APIs say it of overload."
    look "who wrote the answer (`response.author`), and what a proxy answered to CONNECT"
    [ControlTunnel RandomTunnel OtherRoute]
    is [ProxyUpstreamBlocked ProxyDnsFailed ProxyOverloaded ApiOverloaded EdgeFailed]
"Request failed with status code 504" vague Answered by "axios, or another HTTP client"
    as ["Request failed with status code 504" "status code 504" "504 Gateway Timeout" "504 Gateway Time-out" "HTTP 504" "HTTP/2 504" "HTTP/1.1 504" "API Error: 504"]
    means "Whoever answered waited in vain for what is behind it: a proxy, a gateway, or the provider's edge."
    look "who wrote the answer (`response.author`), and what a proxy answered to CONNECT"
    [ControlTunnel LongerTimeout OtherRoute]
    is [ProxyUpstreamBlocked EdgeOriginUnreachable GatewayUpstreamFailed ApiError]
"52x page of Cloudflare" says Edge by "Cloudflare, the edge of whoever's zone it names"
    as ["error code: 520" "error code: 521" "error code: 522" "error code: 523" "error code: 524" "error code: 525" "error code: 526" "error code: 530" "status code 520" "status code 522" "status code 524" "Error 520" "Error 521" "Error 522" "Error 523" "Error 524" "cloudflare_error" "Web server is down" "Web server is returning an unknown error" "520: Web server" "522: Connection timed out" "524: A timeout occurred"]
    means "The edge was reached and does not reach, or does not understand, the server behind it. The zone in the page says whose edge: a gateway's own zone is not the provider."
    look "who wrote the answer (`response.author`), and its status"
    [OtherRoute]
    is [EdgeOriginUnreachable EdgeFailed]

// ---- names
"ENOTFOUND" says Unresolved by "Node"
    as ["ENOTFOUND" "getaddrinfo ENOTFOUND" "EAI_NONAME" "EAI_NODATA" "ENODATA"]
    means "The name resolver said that there is no such name, or no address for it. The name in the message counts: it may be the proxy's. Where a proxy resolves names, a client that looks the API's name up itself does not use the proxy."
    look "the single questions to each name server (`observed.lookup.questions`)"
    [OtherResolver ControlName RandomName OtherTransport]
    is [DnsNameFiltered DnsNameMissing ProxyNameUnresolvable DnsCnameDangling DnsPrivateAnswerMissing]
"EAI_AGAIN" says Unresolved by "the C library, by way of Node or Python"
    as ["EAI_AGAIN" "getaddrinfo EAI_AGAIN" "Temporary failure in name resolution" "[Errno -3]"]
    means "No name server answered, or those that did had failed. It is no word about the name itself. The name in the message may be the proxy's."
    look "which name server answers what (`observed.lookup.questions`), and the host's resolver settings"
    [ControlName OtherResolver OtherTransport LongerTimeout]
    is [DnsResolverUnreachable DnsResolverDown DnsNameFailing DnsResolverFailing LocalResolverMissing ProxyNameUnresolvable DnsOneResolverDead DnsZoneBroken]
"EREFUSED" says Unresolved by "c-ares, the resolver library in Node and Bun"
    as ["EREFUSED" "queryA EREFUSED" "DNS server refused query"]
    means "A name server answered that it does not serve this client or this name (REFUSED). This library reads resolv.conf by itself: curl and others of the host may ask another server and be content."
    look "which name server refuses (`observed.lookup.questions`)"
    [ControlName OtherResolver OtherTransport]
    is [DnsNameFailing DnsResolverFailing DnsOneResolverDead DnsNameFiltered]
"ESERVFAIL" says Unresolved by "c-ares, the resolver library in Node and Bun"
    as ["ESERVFAIL" "queryA ESERVFAIL" "DNS server returned general failure" "server misbehaving" "SERVFAIL"]
    means "A name server answered that it failed: what it forwards to, or the name's own zone (servers, DNSSEC)."
    look "whether an unrelated name is answered, and what another resolver says"
    [ControlName OtherResolver]
    is [DnsNameFailing DnsZoneBroken DnsResolverFailing]
"ETIMEOUT" says Unresolved by "c-ares, the resolver library in Node and Bun"
    as ["queryA ETIMEOUT" "queryAaaa ETIMEOUT" "queryTxt ETIMEOUT" "ETIMEOUT" "Timeout while contacting DNS servers" "no servers could be reached"]
    means "No name server answered in time."
    look "which name server is silent (`observed.lookup.questions`)"
    [ControlName OtherResolver OtherTransport LongerTimeout]
    is [DnsResolverUnreachable DnsOneResolverDead DnsResolverBlocked DnsSlow]
"Name or service not known" says Unresolved by "the C library, by way of Python and others"
    as ["Name or service not known" "[Errno -2]" "nodename nor servname provided" "No address associated with hostname" "no such host" "failed to lookup address information" "dns error" "Could not resolve host" "NameResolutionError"]
    means "The name was not resolved: it is not there, it has no address, or nobody could be asked. The name in the message counts: it may be the proxy's."
    look "the single questions to each name server (`observed.lookup.questions`)"
    [OtherResolver ControlName RandomName]
    is [DnsNameFiltered DnsNameMissing DnsResolverUnreachable ProxyNameUnresolvable LocalResolverMissing]

// ---- connections
"ECONNREFUSED" says Resolved by "the kernel, by way of Node and others"
    as ["ECONNREFUSED" "Connection refused" "actively refused" "os error 111" "os error 61" "os error 10061" "[Errno 111]" "[Errno 61]" "ConnectionRefused" "connect ECONNREFUSED"]
    means "At the address in the message the port is closed, or a device on the way rejects. The address counts: 127.0.0.1 or a proxy's is most often a proxy variable or base URL left over from a program that no longer runs, 0.0.0.0 a DNS filter."
    look "which address refused, and who sent the refusal (`observed`)"
    [OtherPort ControlHost OtherRoute TtlWalk OtherResolver]
    is [ProxyDown TcpRejected EgressPortBlocked EgressBlocked DnsSinkholed LocalHostsOverride DnsStaleAddress]
"ECONNRESET" says Connected by "the kernel, by way of Node and others"
    as ["ECONNRESET" "Connection reset" "Connection reset by peer" "read ECONNRESET" "write ECONNRESET" "os error 104" "os error 54" "os error 10054" "[Errno 104]" "[Errno 54]" "ConnectionResetError" "forcibly closed by the remote host"]
    means "Somebody ended a connection that was made, without a word: the far end, or a device on the way in its name. When is what counts: at the handshake a filter by name, a large first message or a refused client certificate; after minutes of silence a timer, which hits clients that keep connections and no fresh check."
    look "at which layer the trip is cut, after how many bytes, and what other names and sizes do"
    [OtherName SmallHello SplitHello ClampedSegments NameElsewhere TtlWalk OtherRoute Repeat]
    is [SniFiltered TlsCut ProxyCloses TlsHelloTooLarge MtuBlackhole TlsClientCertRejected OriginCloses Intermittent]
"ETIMEDOUT" says Resolved by "the kernel, by way of Node and others"
    as ["ETIMEDOUT" "connect ETIMEDOUT" "Connection timed out" "Operation timed out" "os error 110" "os error 60" "os error 10060" "[Errno 110]" "[Errno 60]" "i/o timeout" "ConnectTimeout" "ConnectTimeoutError" "TimedOut"]
    means "Nothing came back from the address in the message. The address counts: an IPv6 address points at IPv6, a proxy's at the way to the proxy, a public one at a firewall that drops, or at a client that should use a proxy and does not."
    look "which addresses are silent, and whether an unrelated host answers"
    [ControlHost OtherPort OtherFamily EachAddress OtherRoute TtlWalk]
    is [TcpDropped EgressBlocked EgressPortBlocked ProxyUnreachable Ipv6Broken TcpAddressDead UplinkDown DnsStaleAddress]
"EHOSTUNREACH" says Resolved by "the kernel, by way of Node and others"
    as ["EHOSTUNREACH" "No route to host" "os error 113" "os error 65" "[Errno 113]"]
    means "A router, a firewall or this host's own link said that the address cannot be reached."
    look "who sent the ICMP error, and the state of the gateway on the link (`observed`)"
    [ControlHost TtlWalk OtherRoute]
    is [TcpUnreachable TcpRejected LocalGatewayDead Ipv6Broken]
"ENETUNREACH" says Resolved by "the kernel, by way of Node and others"
    as ["ENETUNREACH" "Network is unreachable" "os error 101" "os error 51" "[Errno 101]" "[Errno 51]"]
    means "This host, or a router, has no route to that network. With an IPv6 address it says only that IPv6 is not to be had here; whoever then tries IPv4 is not harmed."
    look "for which family there is no route"
    [OtherFamily ControlHost]
    is [LocalNoRoute Ipv6Broken TcpUnreachable]
"EACCES" says Resolved by "the kernel, by way of Node and others"
    as ["connect EACCES" "connect EPERM" "EACCES" "EPERM" "Operation not permitted" "Permission denied (os error 13)"]
    means "This host itself forbids the connection: its packet filter, a security module, a container's or sandbox's policy. Beside the name of a file it is about that file."
    look "whether an unrelated host is forbidden, too"
    [ControlHost OtherPort]
    is [LocalPolicyDenied TcpRejected]
"EMFILE" says Unsent by "the kernel, by way of Node and others"
    as ["EMFILE" "ENFILE" "EADDRNOTAVAIL" "Too many open files" "Cannot assign requested address"]
    means "This host, or this program, has no descriptor or port left, or the source address is not its own."
    look "the trip's own failure at the layer local"
    [ControlHost Repeat]
    is [LocalResourcesExhausted LocalNoRoute]
"socket hang up" says Connected by "Node"
    as ["socket hang up" "The socket connection was closed unexpectedly" "ERR_SOCKET_CLOSED" "other side closed" "Remote end closed connection without response" "RemoteDisconnected" "Server disconnected without sending a response" "Server disconnected" "connection closed before message completed" "Connection aborted" "unexpected EOF" "Premature close" "ERR_STREAM_PREMATURE_CLOSE" "EPIPE" "Broken pipe" "ERR_SOCKET_CONNECTION_TIMEOUT"]
    means "The connection was closed before the answer was there or complete. Behind a proxy: the proxy, and where its URL begins with https:// a client that does not speak TLS to it. A connection that was kept open and had idled is closed by timers on the way; a fresh check does not see that."
    look "at which layer the trip is closed, and after how many bytes"
    [OtherName ControlTunnel Http1 ClampedSegments OtherRoute Repeat]
    is [ProxyCloses TlsCut SniFiltered OriginCloses ProxyTlsFailed ProxyTunnelBroken H2Broken ResponseTruncated Intermittent]
"fetch failed" vague Unknown by "undici, the fetch of Node"
    as ["fetch failed" "TypeError: fetch failed"]
    means "It wraps another error, which stands beside it as `cause`: look that one up. This fetch knows no PAC file, and takes a proxy only where the program gives it one."
    look "the layer at which the trip of this check ends, if it ends"
    [ControlHost OtherRoute OtherFamily]
    is [EgressBlocked DnsNameFiltered TlsInspectionUntrusted ProxyDown Ipv6Broken]
"UND_ERR_SOCKET" says Connected by "undici, the fetch of Node"
    as ["UND_ERR_SOCKET" "terminated" "TypeError: terminated" "SocketError" "UND_ERR_SOCKET other side closed"]
    means "The connection was closed under a request, often in the middle of a stream: by the far end, by a proxy's or a firewall's timer, or by loss. A check is one small request, and may well pass."
    look "whether the answer of this check is whole, and what HTTP/1.1 does"
    [Http1 ClampedSegments OtherRoute Repeat]
    is [ResponseTruncated OriginCloses ProxyTunnelBroken H2Broken MtuBlackhole Intermittent]
"UND_ERR_CONNECT_TIMEOUT" says Resolved by "undici, the fetch of Node"
    as ["UND_ERR_CONNECT_TIMEOUT" "Connect Timeout Error" "attempted address"]
    means "Within the client's time (10 s by default) no connection, TLS included, was made to any of the addresses that stand behind it."
    look "which addresses are silent, by family, and whether an unrelated host answers"
    [ControlHost OtherFamily EachAddress OtherPort OtherRoute]
    is [TcpDropped EgressBlocked Ipv6Broken TcpAddressDead ProxyUnreachable MtuBlackhole]
"UND_ERR_HEADERS_TIMEOUT" says Sent by "undici, the fetch of Node"
    as ["UND_ERR_HEADERS_TIMEOUT" "UND_ERR_BODY_TIMEOUT" "Headers Timeout Error" "Body Timeout Error" "ReadTimeout" "ReadTimeoutError" "Read timed out" "The read operation timed out"]
    means "The request was sent, and the answer, or its next part, did not come in the client's time: the API is slow, a device on the way holds the answer back, or large packets vanish."
    look "the time to the first byte, and what arrived until then"
    [LongerTimeout ClampedSegments NoKey OtherRoute]
    is [OriginSilent OriginSlow StreamBuffered MtuBlackhole TcpDataDropped ResponseStalled ProxySlow]
"timeout of 10000ms exceeded" says Unknown by "a client's own clock (axios, Go, SDKs)"
    as ["ECONNABORTED" "ms exceeded" "timeout exceeded" "Request timed out" "Client.Timeout exceeded" "context deadline exceeded" "APITimeoutError" "APIConnectionTimeoutError" "operation was aborted due to timeout" "request timeout" "deadline has elapsed" "Timeout awaiting"]
    means "The client's own time was over; which layer used it up is not said."
    look "the seconds of each layer of this check"
    [LongerTimeout ControlHost OtherFamily OtherRoute]
    is [TcpDropped OriginSlow OriginSilent MtuBlackhole StreamBuffered DnsSlow ProxySlow ProxySilent TcpLossy]
"Connection error." vague Unknown by "the Python and TypeScript SDKs of Anthropic and OpenAI"
    as ["APIConnectionError" "Connection error." "Connection error" "Unable to connect to API" "Unable to connect. Is the computer able to access the url?" "error sending request for url" "error sending request" "All connection attempts failed" "Max retries exceeded with url" "ERR_NETWORK" "Network Error" "Load failed" "NetworkError when attempting to fetch resource" "Failed to fetch" "FailedToOpenSocket" "poor internet connection" "ConnectError"]
    means "It wraps another error, which stands beside it as cause: look that one up. It does not even say that the network was used: an empty key, or one with a line break, ends in the same words before anything is sent."
    look "how far this check comes with the configured key, and whether that key could be sent"
    [ControlHost NoKey OtherRoute OtherFamily]
    is [ApiKeyMissing ApiKeyInvalid TlsInspectionUntrusted EgressBlocked ProxyDown DnsNameFiltered]

// ---- proxies
"tunneling socket could not be established" says Unknown by "Node libraries that go through a proxy"
    as ["tunneling socket could not be established" "ERR_PROXY_TUNNEL" "ERR_TUNNEL_CONNECTION_FAILED" "Failed to establish a socket connection to proxies" "Proxy response (" "ProxyTunnelError" "CONNECT tunnel failed" "Tunnel connection failed" "Received HTTP code" "unsuccessful tunnel" "proxyconnect tcp" "Unable to connect to proxy" "Cannot connect to proxy" "ProxyError" "Bad response to CONNECT"]
    means "There is no way through the proxy. A status beside it (statusCode, response) is the proxy's own answer to CONNECT: 407 asks for a login, 403 refuses the host, 502 to 504 do not get further. A cause beside it (ENOTFOUND, ECONNREFUSED) is about the proxy's own name or port."
    look "how far the trip comes: the proxy's name, its port, its TLS, its answer to CONNECT (`failure`)"
    [ControlTunnel RandomTunnel OtherRoute OtherResolver]
    is [ProxyDenied ProxyAuthRequired ProxyDown ProxyNameUnresolvable ProxyUpstreamBlocked ProxyDnsFailed ProxyUnreachable ProxyFailed ProxyMisconfigured]
"Tunnel connection failed: 403" says Proxy by "a proxy"
    as ["Tunnel connection failed: 403" "CONNECT tunnel failed, response 403" "Received HTTP code 403 from proxy" "Proxy response (403)" "statusCode=403" "x-deny-reason" "host_not_allowed" "ERR_ACCESS_DENIED" "X-Squid-Error: ERR_ACCESS_DENIED"]
    means "The proxy was asked for a tunnel and refuses this host, or everything from this client. No word of this came from the API."
    look "the proxy's answer to CONNECT (`failure`), and whether it lets an unrelated host through"
    [ControlTunnel OtherRoute]
    is [ProxyDenied ProxyDeniesAll ProxyLoginRequired]
"ERR_CANNOT_FORWARD" says Proxy by "Squid"
    as ["ERR_CANNOT_FORWARD" "ERR_CONNECT_FAIL" "ERR_DNS_FAIL" "ERR_READ_TIMEOUT" "ERR_SECURE_CONNECT_FAIL" "Tunnel connection failed: 502" "Tunnel connection failed: 503" "Tunnel connection failed: 504" "CONNECT tunnel failed, response 502" "CONNECT tunnel failed, response 503" "CONNECT tunnel failed, response 504"]
    means "The proxy takes the request and does not get further: its own DNS, a firewall behind it, or the host's TLS where the proxy looks into it."
    look "the proxy's own error name, and whether it reaches an unrelated host"
    [ControlTunnel RandomTunnel OtherRoute]
    is [ProxyUpstreamBlocked ProxyDnsFailed InspectionUpstreamFailed ProxyFailed]
"No Kerberos credentials available" says Unknown by "the host's Kerberos library"
    as ["No Kerberos credentials available" "No credentials cache found" "Credentials cache file" "GSSAPI Error" "Unspecified GSS failure" "Cannot find KDC" "Server not found in Kerberos database" "Ticket expired" "Clock skew too great" "KRB_AP_ERR_SKEW" "Preauthentication failed" "KDC_ERR_C_PRINCIPAL_UNKNOWN"]
    means "The proxy asks for Kerberos, and this user, on this host (or in this container or WSL), has no ticket to show. A ticket of the same person elsewhere does not count."
    look "why there is no ticket (`failure`)"
    [ControlTunnel]
    is [ProxyAuthUnavailable ProxyAuthUnsupported ProxyAuthRejected]
"SOCKS" says Unknown by "a client that goes through a SOCKS proxy"
    as ["SOCKS5 connect" "SOCKSHTTPSConnection" "Socks5 proxy rejected connection" "SOCKS error" "cannot complete SOCKS5 connection" "Connection not allowed by ruleset" "User was rejected by the SOCKS5 server" "connection to proxy closed" "Unsupported proxy protocol"]
    means "The SOCKS proxy refuses, or what is at its port is none. Not every client speaks SOCKS."
    look "the proxy's reply (`failure`), and whether it lets an unrelated host through"
    [ControlTunnel OtherRoute]
    is [ProxyDenied ProxyAuthRejected ProxyMisconfigured ProxyUpstreamBlocked]

// ---- certificates
"SELF_SIGNED_CERT_IN_CHAIN" says Handshaking by "OpenSSL, by way of Node, Python and others"
    as ["SELF_SIGNED_CERT_IN_CHAIN" "self-signed certificate in certificate chain" "self signed certificate in certificate chain" "Self-signed certificate detected" "X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN"]
    means "The chain ends in a root that came along with it and that this client does not have. Public servers seldom send their root; a device that inspects TLS often does. Browsers and other programs of the host may have the root in a store that this client does not read."
    look "who issued the chain, and by whose roots it verifies: the host's, the organisation's, the public ones (`observed`)"
    [OtherRoute NameElsewhere UntrustedHandshake ControlHost]
    is [TlsInspected TlsInspectionUntrusted TrustStoreLacksCa CertUnknownIssuer CaptivePortal]
"DEPTH_ZERO_SELF_SIGNED_CERT" says Handshaking by "OpenSSL, by way of Node, Python and others"
    as ["DEPTH_ZERO_SELF_SIGNED_CERT" "self-signed certificate" "self signed certificate" "CaUsedAsEndEntity"]
    means "The server's own certificate has signed itself. That is no public API's: a device, a portal or another server stands in its place, or a gateway was set up so."
    look "the certificate, and what answers behind it"
    [UntrustedHandshake OtherRoute OtherResolver Portal]
    is [CertSelfSigned CaptivePortal BlockPage InspectionUpstreamFailed DnsHijacked TlsInspectionUntrusted]
"UNABLE_TO_GET_ISSUER_CERT_LOCALLY" says Handshaking by "OpenSSL, by way of Node, Python and others"
    as ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY" "unable to get local issuer certificate" "UNABLE_TO_GET_ISSUER_CERT"]
    means "The issuer of a certificate in the chain is not in the store of this client. Most often a device inspects TLS under a CA that the host trusts and this program, with a store of its own, does not; else the server leaves an intermediate out, or the store is old."
    look "who issued the chain, whether it is complete, and by whose roots it verifies: the host's, the organisation's, the public ones, each bundle of `trust.also`"
    [OtherRoute NameElsewhere UntrustedHandshake ControlHost]
    is [TlsInspected TrustStoreLacksCa TlsInspectionUntrusted CertIncompleteChain TrustStoreOutdated CertUnknownIssuer]
"UNABLE_TO_VERIFY_LEAF_SIGNATURE" says Handshaking by "OpenSSL, by way of Node, Python and others"
    as ["UNABLE_TO_VERIFY_LEAF_SIGNATURE" "unable to verify the first certificate" "unable to verify leaf signature"]
    means "One certificate came, without its issuer, and this client does not have the issuer either: the server, or a device in its place, leaves the intermediate out."
    look "whether the chain is complete, and who issued it"
    [OtherRoute NameElsewhere UntrustedHandshake]
    is [CertIncompleteChain TlsInspected TlsInspectionUntrusted TrustStoreLacksCa]
"CERTIFICATE_VERIFY_FAILED" vague Handshaking by "OpenSSL, by way of Python, Ruby and others"
    as ["CERTIFICATE_VERIFY_FAILED" "certificate verify failed" "SSLCertVerificationError" "unknown certificate verification error" "SSL certificate verification failed" "SSL certificate problem" "CERT_UNTRUSTED" "CERT_SIGNATURE_FAILURE" "CERT_CHAIN_TOO_LONG"]
    means "The chain that was shown does not verify here; the reason stands behind it. Python's certifi, Java, Node and the host have a store each."
    look "by whose roots the chain verifies, and by which name and dates"
    [OtherRoute NameElsewhere UntrustedHandshake ControlHost]
    is [TlsInspected TrustStoreLacksCa TlsInspectionUntrusted CertIncompleteChain CertExpired CertWrongName LocalClockSkew]
"UnknownIssuer" says Handshaking by "rustls, Go, Java and GnuTLS"
    as ["UnknownIssuer" "invalid peer certificate" "certificate signed by unknown authority" "PKIX path building failed" "unable to find valid certification path" "SEC_ERROR_UNKNOWN_ISSUER" "ERR_CERT_AUTHORITY_INVALID" "unable to find certification path" "The certificate issuer is unknown"]
    means "The chain leads to no root that this client has. Rust and Java programs often bring roots of their own, and then do not see the CA that the host trusts."
    look "who issued the chain, and by whose roots it verifies: the host's, the organisation's, the public ones"
    [OtherRoute NameElsewhere UntrustedHandshake ControlHost]
    is [TlsInspected TrustStoreLacksCa TlsInspectionUntrusted CertIncompleteChain CertUnknownIssuer TrustStoreOutdated]
"CERT_HAS_EXPIRED" says Handshaking by "OpenSSL, by way of Node, Python and others"
    as ["CERT_HAS_EXPIRED" "certificate has expired" "ERR_CERT_DATE_INVALID" "has expired or is not yet valid" "CERT_NOT_YET_VALID" "certificate is not yet valid" "NotValidYet" "InvalidCertificate(Expired)" "invalid peer certificate: Expired"]
    means "A certificate of the chain is outside its dates by this client's clock: the server's, a device's own, an old root in the client's store, or the clock is wrong."
    look "the dates of each certificate against this host's clock, and whether unrelated hosts are outside theirs, too"
    [ControlHost OtherRoute UntrustedHandshake]
    is [CertExpired LocalClockSkew InspectionCertInvalid CertNotYetValid TrustStoreOutdated]
"ERR_TLS_CERT_ALTNAME_INVALID" says Handshaking by "Node, and others in their words"
    as ["ERR_TLS_CERT_ALTNAME_INVALID" "Hostname/IP does not match" "does not match certificate's altnames" "Hostname mismatch" "certificate is not valid for" "certificate is valid for" "no alternative certificate subject name matches" "NotValidForName" "HOSTNAME_MISMATCH" "ERR_CERT_COMMON_NAME_INVALID" "SSL: no alternative certificate"]
    means "The certificate is for other names. Another server answers: DNS or a proxy leads elsewhere, a portal or filter stands in between; or the client judges an https:// proxy's certificate by the API's name."
    look "for which names the certificate is, and where another resolver leads"
    [OtherResolver UntrustedHandshake OtherRoute Portal]
    is [CertWrongName DnsHijacked CaptivePortal BlockPage ProxyWrongUpstream InspectionCertInvalid LocalHostsOverride]

// ---- TLS itself
"EPROTO" says Connected by "OpenSSL, by way of Node"
    as ["EPROTO" "ERR_SSL_PROTOCOL_ERROR" "ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE" "sslv3 alert handshake failure" "SSLV3_ALERT_HANDSHAKE_FAILURE" "tlsv1 alert" "alert number 40" "alert protocol version" "HandshakeFailure" "no protocols available" "unsupported protocol" "bad record mac" "decryption failed or bad record mac" "alert decode error"]
    means "The handshake failed on its own terms: an alert of the far end or of a device on the way, another version or cipher, bytes that were changed, or no TLS at all. The words behind it say which."
    look "the alert, the first bytes that came, and what a smaller or older hello does"
    [OtherName SmallHello OlderTls ClampedSegments OtherRoute NameElsewhere]
    is [TlsPlaintextReply TlsVersionUnsupported SniFiltered EdgeTlsFailed TlsCorrupted TlsHelloTooLarge TlsClientCertRequired]
"wrong version number" says Connected by "OpenSSL, Go and others"
    as ["wrong version number" "WRONG_VERSION_NUMBER" "first record does not look like a TLS handshake" "server gave HTTP response to HTTPS client" "packet length too long" ":http request" "InvalidContentType" "received corrupt message" "unknown protocol"]
    means "What came back is not TLS. Most often a client speaks TLS to a proxy that expects plain CONNECT (its URL begins with https:// where http:// is meant); else a device or another service answers at that port."
    look "the first bytes that came back, from the proxy or from the host"
    [OtherRoute ControlHost UntrustedHandshake]
    is [ProxyMisconfigured ProxyTlsFailed TlsPlaintextReply CaptivePortal]
"EOF during the handshake" says Connected by "OpenSSL, Go and others"
    as ["UNEXPECTED_EOF_WHILE_READING" "EOF occurred in violation of protocol" "unexpected eof while reading" "Client network socket disconnected before secure TLS connection was established" "TLS handshake timeout" "SSL_ERROR_SYSCALL" "SSL_connect" "tls handshake eof" "SSLEOFError" "handshake operation timed out" "SSL: UNEXPECTED_EOF"]
    means "The connection was made, and closed or left silent before the handshake was finished. Filters by name do this, devices that cannot take today's large first message, links that lose large packets, and proxies that do not get further."
    look "at which byte it stops, and what another name, a smaller hello and small segments do"
    [OtherName SmallHello SplitHello ClampedSegments NameElsewhere TtlWalk OtherRoute]
    is [SniFiltered TlsCut TlsHelloTooLarge MtuBlackhole ProxyTunnelBroken TcpDataDropped EdgeTlsFailed]
"certificate required" says Handshaking by "the far end of TLS, as an alert"
    as ["certificate required" "CertificateRequired" "tlsv13 alert certificate required" "alert bad certificate" "alert unknown ca" "alert certificate unknown" "alert certificate expired" "No required SSL certificate was sent" "400 The SSL certificate error" "ssl/tls alert bad certificate"]
    means "The far end wants a certificate of this client, or does not accept the one that was shown. `unknown ca` in an alert is the far end's judgement about ours, not ours about the server's."
    look "the alert, and whether the server asked for a certificate"
    [OtherRoute]
    is [TlsClientCertRequired TlsClientCertRejected]

// ---- HTTP
"The plain HTTP request was sent to HTTPS port" says Edge by "nginx and Cloudflare"
    as ["The plain HTTP request was sent to HTTPS port" "plain HTTP request was sent to HTTPS" "Client sent an HTTP request to an HTTPS server" "This combination of host and port requires TLS"]
    means "Plain HTTP arrived where TLS was expected: a base URL with http://, or a client that sends its request to a proxy as it is instead of asking for a tunnel (CONNECT). The way itself is open."
    look "whether this check passes over the same route: it asks the proxy for a tunnel"
    [OtherRoute]
    is [ApiBadRequest ProxyMisconfigured ProxyConnectUnsupported]
"Illegal header value" says Unsent by "the client's HTTP library"
    as ["Illegal header value" "LocalProtocolError" "Invalid character in header content" "ERR_INVALID_CHAR" "Invalid header value" "invalid HTTP header" "failed to parse header value" "Invalid request header value" "InvalidHeader" "Invalid leading whitespace" "ByteString" "Invalid value for header" "net/http: invalid header field value"]
    means "The client refused to send its own header, so that nothing left this host. Nearly always the key: empty, with a line break or space from a file, with a quotation mark or a character outside of Latin-1 from a document."
    look "whether the configured key can be sent: a check says at which character it cannot, never the key"
    [NoKey]
    is [ApiKeyInvalid ApiKeyMissing LocalCredentialUnavailable]
"cf-mitigated: challenge" says Edge by "Cloudflare, the provider's edge"
    as ["cf-mitigated: challenge" "cf-mitigated" "Just a moment..." "Attention Required! | Cloudflare" "Enable JavaScript and cookies to continue" "cf_chl_opt" "Checking your browser before accessing" "challenge-platform"]
    means "The edge wants a browser to prove itself, because of the egress address or of how the request looks. A program cannot answer that, and no key helps."
    look "the mark in the answer's headers, and what another egress gets"
    [OtherRoute NoKey]
    is [EdgeChallenge EdgeBlocked]
"HTTP/2 stream error" says Sent by "curl, Go, Node and their HTTP/2 libraries"
    as ["curl: (92)" "curl: (16)" "NGHTTP2_INTERNAL_ERROR" "NGHTTP2_PROTOCOL_ERROR" "NGHTTP2_REFUSED_STREAM" "NGHTTP2_ENHANCE_YOUR_CALM" "ERR_HTTP2_STREAM_ERROR" "ERR_HTTP2_PROTOCOL_ERROR" "ERR_HTTP2_SESSION_ERROR" "ERR_HTTP2_GOAWAY_SESSION" "http2: server sent GOAWAY" "was not closed cleanly" "stream error: stream ID" "http2 error" "RemoteProtocolError"]
    means "The HTTP/2 connection or a stream of it was ended: by the server, or by a device on the way that does not carry HTTP/2 well."
    look "the code of GOAWAY or RST_STREAM, and what HTTP/1.1 does"
    [Http1 NoKey OtherRoute]
    is [H2Broken OriginCloses EdgeFailed ResponseMalformed]
"error decoding response body" says Answered by "reqwest, and other clients in their words"
    as ["error decoding response body" "error reading a body from connection" "incomplete chunked read" "peer closed connection without sending complete message body" "IncompleteRead" "curl: (18)" "transfer closed with" "ERR_CONTENT_LENGTH_MISMATCH" "ERR_INCOMPLETE_CHUNKED_ENCODING" "unexpected end of file" "invalid chunk size" "HPE_INVALID" "Parse Error: Expected HTTP" "invalid HTTP version parsed" "malformed HTTP response" "BadStatusLine"]
    means "An answer had begun, and ended early or was no sound HTTP: the far end stopped, or a device, a VPN or a security agent on the way changed or cut it."
    look "how many bytes came of how many, and what another route gets"
    [Http1 OtherRoute ClampedSegments]
    is [ResponseTruncated ResponseMalformed ResponseStalled H2Broken Intermittent]
"unexpected token < in JSON" says Answered by "a client's JSON parser"
    as ["Unexpected token <" "Unexpected token '<'" "is not valid JSON" "Expecting value: line 1 column 1" "invalid character '<' looking for beginning of value" "expected value at line 1 column 1" "JSONDecodeError" "Unexpected end of JSON input"]
    means "Success was answered with something that is not the API's JSON: most often a page (sign-in, block, portal), or nothing at all."
    look "who wrote the answer (`response.author`), its content type, and the issuer of the certificate"
    [Portal UntrustedHandshake OtherRoute ControlHost]
    is [CaptivePortal BlockPage ResponseReplaced ProxyLoginRequired ResponseUnexpected ResponseTruncated]
"too many redirects" says Answered by "a client that follows redirects"
    as ["ERR_FR_TOO_MANY_REDIRECTS" "Maximum number of redirects exceeded" "Exceeded 30 redirects" "too many redirects" "redirect count exceeded" "curl: (47)" "307 Temporary Redirect" "302 Found"]
    means "Somebody leads the request elsewhere: an API none that is sound, but for a slash too many at the end of the path. A portal or a proxy's sign-in page does so."
    look "where the redirect leads, and who wrote it"
    [Portal UntrustedHandshake OtherRoute]
    is [RedirectUnexpected CaptivePortal ProxyLoginRequired BlockPage]

// ---- curl's codes
"curl: (5)" says Unresolved by "curl"
    as ["curl: (5)" "CURLE_COULDNT_RESOLVE_PROXY" "Could not resolve proxy"]
    means "The proxy's name was not resolved."
    look "the look-up of the proxy's name"
    [ControlName OtherResolver]
    is [ProxyNameUnresolvable DnsResolverUnreachable LocalResolverMissing]
"curl: (6)" says Unresolved by "curl"
    as ["curl: (6)" "CURLE_COULDNT_RESOLVE_HOST"]
    means "The host's name was not resolved here. With an http:// or socks5h:// proxy curl would not have looked it up: then no proxy was used."
    look "the single questions to each name server (`observed.lookup.questions`)"
    [OtherResolver ControlName RandomName OtherTransport]
    is [DnsNameFiltered DnsNameMissing DnsResolverUnreachable DnsNameFailing LocalResolverMissing]
"curl: (7)" says Resolved by "curl"
    as ["curl: (7)" "CURLE_COULDNT_CONNECT" "Couldn't connect to server" "Could not connect to server"]
    means "No connection to the host, or to the proxy where one is used: the words behind it name which, and whether it was refused."
    look "which address did not answer, or refused"
    [ControlHost OtherPort OtherFamily OtherRoute TtlWalk]
    is [ProxyDown TcpRejected EgressBlocked EgressPortBlocked TcpUnreachable LocalNoRoute]
"curl: (28)" says Unknown by "curl"
    as ["curl: (28)" "CURLE_OPERATION_TIMEDOUT" "Connection timeout after" "SSL connection timeout" "Resolving timed out"]
    means "curl's time was over: the words behind it (Resolving, Connection, SSL, Operation with bytes received) say at which layer."
    look "the seconds of each layer of this check"
    [LongerTimeout ControlHost OtherFamily ClampedSegments OtherRoute]
    is [TcpDropped EgressBlocked ProxyUnreachable MtuBlackhole OriginSilent DnsSlow]
"curl: (35)" says Connected by "curl"
    as ["curl: (35)" "CURLE_SSL_CONNECT_ERROR"]
    means "TCP was made and the handshake failed: cut, refused with an alert, or answered with something that is not TLS. Certificates are not meant: that is 60."
    look "the alert or the place of the cut, and what another name and a smaller hello do"
    [OtherName SmallHello OlderTls ClampedSegments NameElsewhere TtlWalk OtherRoute]
    is [SniFiltered TlsCut TlsPlaintextReply TlsVersionUnsupported TlsHelloTooLarge ProxyMisconfigured EdgeTlsFailed]
"curl: (52)" says Sent by "curl"
    as ["curl: (52)" "CURLE_GOT_NOTHING" "Empty reply from server"]
    means "The request was sent and the connection closed without a byte of an answer; before a tunnel it is the proxy that closed."
    look "at which layer the trip is closed"
    [ControlTunnel NoKey OtherRoute Repeat]
    is [OriginCloses ProxyCloses ProxyTunnelBroken TlsCut]
"curl: (55)" says Connected by "curl"
    as ["curl: (55)" "curl: (56)" "CURLE_SEND_ERROR" "CURLE_RECV_ERROR" "Recv failure" "Send failure"]
    means "The connection broke under the request. curl says 56 of a proxy that refuses CONNECT, too: then its status stands behind it."
    look "what the proxy answered to CONNECT, else where the trip is cut"
    [ControlTunnel OtherName ClampedSegments Http1 OtherRoute]
    is [ProxyDenied ProxyAuthRequired ProxyUpstreamBlocked TlsCut OriginCloses MtuBlackhole]
"curl: (58)" says Unsent by "curl"
    as ["curl: (58)" "curl: (77)" "CURLE_SSL_CERTPROBLEM" "CURLE_SSL_CACERT_BADFILE" "error setting certificate" "could not load PEM client certificate"]
    means "curl cannot use a file of its own: the client certificate, its key (58), or the CA bundle (77)."
    look "whether the configured secrets can be read"
    [ControlHost]
    is [LocalCredentialUnavailable TrustStoreLacksCa]
"curl: (60)" vague Handshaking by "curl"
    as ["curl: (60)" "CURLE_PEER_FAILED_VERIFICATION" "SSL peer certificate or SSH remote key was not OK"]
    means "The certificate does not verify with curl's bundle: its issuer, its name or its dates; the words behind it say which. curl's bundle is not that of Node, Python or Java."
    look "by whose roots the chain verifies, and by which name and dates"
    [OtherRoute NameElsewhere UntrustedHandshake ControlHost]
    is [TlsInspectionUntrusted TrustStoreLacksCa CertIncompleteChain TrustStoreOutdated CertExpired CertWrongName CaptivePortal]
"curl: (97)" says Proxy by "curl"
    as ["curl: (97)" "CURLE_PROXY"]
    means "The handshake with a SOCKS proxy failed: the words behind it hold its reply."
    look "the proxy's reply (`failure`)"
    [ControlTunnel OtherRoute]
    is [ProxyDenied ProxyUpstreamBlocked ProxyAuthRejected ProxyMisconfigured]

// ---- APIs: keys
"invalid x-api-key" says Api by "the Claude API"
    as ["invalid x-api-key" "API key is invalid." "Invalid authentication credentials" "Invalid API key" "Invalid API key provided" "Incorrect API key provided" "invalid_api_key" "Access denied due to invalid subscription key" "Invalid API Key format"]
    means "A key arrived and is not accepted: another's, revoked, a placeholder, sent twice, or a sign-in token in the place of a key. The network is not the matter."
    look "the answer's error type and who wrote it; where the key is read from stands in the first line of a check"
    [NoKey OtherRoute]
    is [ApiKeyInvalid HeaderStripped Gateway]
"API key not valid" says Api by "the Gemini API"
    as ["API key not valid" "API_KEY_INVALID"]
    means "A key arrived and is not accepted: another's, revoked, restricted to other callers, or a placeholder. Google says it with 400. The network is not the matter."
    look "the answer's error type and who wrote it; where the key is read from stands in the first line of a check"
    [NoKey OtherRoute]
    is [ApiKeyInvalid HeaderStripped Gateway]
"x-api-key header is required" says Api by "the Claude API"
    as ["x-api-key header is required" "You didn't provide an API key" "Authorization header is missing" "Missing Authentication header" "Missing API key" "No API key provided" "Could not resolve authentication method"]
    means "No key arrived: none was sent, or a device on the way took the header out. The network is not the matter otherwise."
    look "whether a key was sent, and whether the answer is the same without"
    [NoKey OtherRoute]
    is [ApiKeyMissing HeaderStripped LocalCredentialUnavailable]
"authentication_error" vague Api by "the Claude API, and others that copy its errors"
    as ["authentication_error" "AuthenticationError"]
    means "The API does not accept the login that came, or none came; its message says which. The network is not the matter, unless a device on the way removes the header."
    look "the API's own words, and whether a key was sent"
    [NoKey OtherRoute]
    is [ApiKeyInvalid ApiKeyMissing HeaderStripped]
"Invalid bearer token" says Api by "the Claude API"
    as ["Invalid bearer token" "OAuth authentication is currently not supported" "OAuth token has expired" "OAuth token revoked" "OAuth token has been revoked" "This credential is only authorized for use with Claude Code" "token expired" "IDE token expired"]
    means "A sign-in token where the API wants a key, a key where it wants a token, one that has expired, or a gateway that took out the header that allows tokens (`anthropic-beta`)."
    look "the API's own words, and who wrote the answer"
    [NoKey OtherRoute]
    is [ApiKeyInvalid HeaderStripped Gateway]
"CORS requests are not allowed" says Api by "the Claude API"
    as ["CORS requests are not allowed" "dangerously-allow-browser"]
    means "The request carried an `Origin` header, as browsers and some proxies of theirs add it. It is said with 401, and the key is not the matter."
    look "whether this check, which sends no `Origin`, is answered"
    [OtherRoute]
    is [ApiBadRequest ApiKeyInvalid]
"UnrecognizedClientException" says Api by "AWS Bedrock"
    as ["UnrecognizedClientException" "The security token included in the request is invalid" "ExpiredTokenException" "The security token included in the request is expired" "MissingAuthenticationTokenException"]
    means "AWS does not know the key or the session token: mistyped, deleted, expired, of another account or partition, or none was sent. It is said with 403."
    look "the answer's error type, who wrote it, and which credentials the client really found"
    [NoKey]
    is [ApiKeyInvalid ApiKeyMissing]
"InvalidSignatureException" says Api by "AWS Bedrock"
    as ["InvalidSignatureException" "Signature expired" "Signature not yet current"]
    means "AWS knows the key and does not accept what was signed with it: signed by a clock that is wrong, for another region or service, or a signed header or path was changed on the way. It is said with 403."
    look "this host's clock, and whether another route, without a proxy that changes headers, is answered"
    [OtherRoute ControlHost]
    is [LocalClockSkew HeaderStripped ApiKeyInvalid]

// ---- APIs: who may
"Request not allowed" says Edge by "the Claude API's edge"
    as ["Request not allowed"]
    means "The edge answers 403 with the type `forbidden`, without the API's request id: most often the country or kind of the egress address is not served, also where a client goes out directly instead of through the proxy meant for it. The same words were seen for a path that is only `/v1/`."
    look "who wrote the answer (`response.author`: edge), and whether another route's egress is answered by the API"
    [OtherRoute NoKey UntrustedHandshake]
    is [RegionNotSupported EdgeBlocked ApiNotFound]
"unsupported_country_region_territory" says Edge by "OpenAI"
    as ["unsupported_country_region_territory" "Country, region, or territory not supported" "request_forbidden" "not available in your country" "not available in your region" "Unsupported region"]
    means "The provider does not serve the country in which it places the egress address. Google says it with 400. A VPN, a proxy or a cloud region elsewhere is where the request left."
    look "from which route the request left, and whether another is answered"
    [OtherRoute NoKey]
    is [RegionNotSupported EdgeBlocked]
"User location is not supported" says Api by "the Gemini API"
    as ["User location is not supported"]
    means "The provider does not serve the country in which it places the egress address. Google says it with 400. A VPN, a proxy or a cloud region elsewhere is where the request left."
    look "from which route the request left, and whether another is answered"
    [OtherRoute NoKey]
    is [RegionNotSupported EdgeBlocked]
"IP not authorized" says Api by "OpenAI, Anthropic and others with allow-lists"
    as ["IP not authorized" "ip_not_authorized" "IP address is not allowed" "not in the organization's IP allowlist" "IP allowlist" "IP allow list"]
    means "The account has a list of addresses, and the egress address of this request is not in it."
    look "the API's own words, and which route is answered"
    [OtherRoute]
    is [ApiEgressNotAllowed ApiForbidden]
"Access denied due to Virtual Network/Firewall rules" says Api by "Azure"
    as ["Access denied due to Virtual Network/Firewall rules" "ThrowExceptionDueToTrafficDenied" "Public access is disabled" "A Virtual Network is configured for this resource" "Please configure private endpoint"]
    means "The resource takes private addresses or listed networks only. Often its name resolves to the public address here, where the private endpoint is meant."
    look "which address the name has here, against `private` of the target"
    [OtherResolver OtherRoute]
    is [DnsPrivateAnswerMissing ApiEgressNotAllowed ApiForbidden]
"permission_error" says Api by "the Claude API, and others in their words"
    as ["permission_error" "PermissionDeniedError" "PERMISSION_DENIED" "insufficient_permissions" "AccessDeniedException" "You don't have access to the model" "This organization has been disabled" "organization has been disabled"]
    means "The API knows the key, and does not let it do this: permissions, the organisation's state, a model that is not enabled."
    look "the API's own words, and who wrote the answer"
    [OtherRoute]
    is [ApiForbidden ApiEgressNotAllowed ApiModelUnknown]

// ---- APIs: money, limits, state
"Your credit balance is too low" says Api by "the Claude API, and others in their words"
    as ["Your credit balance is too low" "credit balance is too low" "billing_error" "insufficient_quota" "You exceeded your current quota" "billing_hard_limit_reached" "You have reached your specified API usage limits"]
    means "The account has no credit, or has reached its own limit. It may come as 400, 402 or 429; the network is not the matter."
    look "the API's own words"
    [OtherRoute]
    is [ApiBilling ApiRateLimited]
"rate_limit_error" says Api by "the Claude API, and others in their words"
    as ["rate_limit_error" "RateLimitError" "rate_limit_exceeded" "Rate limit reached" "RESOURCE_EXHAUSTED" "ThrottlingException" "Too many requests, please wait" "Number of request tokens has exceeded"]
    means "The API counts the account's requests or tokens. `retry-after` and the limits among the headers say when to come back."
    look "the rate limits among the headers, and who wrote the answer"
    [OtherRoute]
    is [ApiRateLimited ApiBilling EdgeRateLimited]
"overloaded_error" says Api by "the Claude API, and others in their words"
    as ["overloaded_error" "Overloaded" "status code 529" "API Error: 529" "engine is currently overloaded" "The model is overloaded" "ServiceUnavailableException" "ModelNotReadyException"]
    means "The provider is short of capacity. It is neither a quota of the account nor the network: back off and retry."
    look "who wrote the answer (`response.author`: origin), and the provider's status page"
    [OtherRoute]
    is [ApiOverloaded ApiError]
"api_error" says Api by "the Claude API"
    as ["api_error" "Internal server error" "timeout_error" "InternalServerError" "InternalFailure"]
    means "The API failed while it worked on the request. With its request id the provider can look it up."
    look "the request id, and who wrote the answer"
    [OtherRoute]
    is [ApiError GatewayUpstreamFailed OriginSilent]

// ---- APIs: requests
"not_found_error" says Api by "the Claude API"
    as ["not_found_error" "NotFoundError" "model_not_found" "does not exist or you do not have access to it" "ResourceNotFoundException" "is not found for API version"]
    means "The path or the model is not there: a model that was retired or misspelt, `/v1` missing or there twice. The credential and the way are proven."
    look "the API's own words: `model:` names a model"
    [OtherRoute]
    is [ApiModelUnknown ApiNotFound]
"DeploymentNotFound" says Api by "Azure OpenAI"
    as ["DeploymentNotFound" "The API deployment for this resource does not exist" "api-version query parameter" "Resource not found"]
    means "The resource has no deployment of that name, or the URL lacks `api-version`, or is that of another resource."
    look "the API's own words"
    [OtherRoute]
    is [ApiModelUnknown ApiNotFound]
"invalid_request_error" vague Api by "the Claude API and OpenAI"
    as ["invalid_request_error" "BadRequestError" "INVALID_ARGUMENT" "ValidationException"]
    means "The API does not take what is in the request; its message names the field. It also wraps refusals for billing. The way and the credential are proven."
    look "the API's own words"
    [OtherRoute]
    is [ApiBadRequest ApiBilling ApiModelUnknown]
"The request body is not valid JSON" says Api by "the Claude API, and others in their words"
    as ["The request body is not valid JSON" "We could not parse the JSON body of your request" "Invalid JSON payload received" "unsupported_content_type" "Invalid Content-Type header"]
    means "The body is no JSON, or is not declared as such: a quotation mark, a comma at the end, a control character, half a surrogate pair, or a shell that changed it. The place stands behind it."
    look "the API's own words; a check without a body passes"
    [OtherRoute]
    is [ApiBadRequest]
"Field required" says Api by "the Claude API"
    as ["max_tokens: Field required" "messages: Field required" "Field required" "Extra inputs are not permitted" "Input should be a valid" "at least one message is required" "must be non-empty" "messages: text content blocks must be non-empty" "which is the maximum allowed number of output tokens" "must be greater than or equal to 1" "must be greater than `thinking.budget_tokens`" "unsupported_parameter" "prompt must start with" "prompt is too long"]
    means "A field of the body is missing, too much, or of another kind; its name stands before it. The way and the credential are proven."
    look "the API's own words; a check without a body passes"
    [OtherRoute]
    is [ApiBadRequest]
"anthropic-version: header is required" says Api by "the Claude API"
    as ["anthropic-version: header is required" "is not a valid version" "Unexpected value(s) for the anthropic-beta header"]
    means "The header that names the version (or a beta) is missing, unknown, or there twice, joined by a comma. A gateway that drops or doubles headers makes the same of a sound request."
    look "whether this check, which sends the header once, is answered over the same route"
    [OtherRoute]
    is [ApiBadRequest HeaderStripped]
"missing Editor-Version header" says Api by "GitHub Copilot"
    as ["missing Editor-Version header" "missing Editor-Version header for IDE auth" "Copilot-Integration-Id"]
    means "The API wants to know the editor, and the client, or a device on the way, sent no such header."
    look "the API's own words, and what another route gets"
    [OtherRoute]
    is [ApiBadRequest HeaderStripped]

// ---- pages of filters
"Your web posting was blocked" says Answered by "a web filter or a data loss prevention in between"
    as ["Your web posting was blocked" "Internet Security by Zscaler" "zscloud.net" "Web Page Blocked" "This page is blocked" "Access to this site is blocked" "URL Blocked" "handshakefailed" "has been blocked in accordance with" "blocked by your organization" "Secure Web Gateway" "Application Blocked" "The requested URL was rejected" "Host not permitted"]
    means "A device on the way answers in the API's place, some with 200. Filters that look into bodies let a small check pass and stop a long prompt."
    look "who wrote the answer (`response.author`), the issuer of the certificate, and `looks_like`"
    [UntrustedHandshake OtherRoute Portal]
    is [BlockPage RequestFiltered ProxyDenied ResponseReplaced HeaderStripped]
}
