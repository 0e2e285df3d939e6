//! The table of causes: what a check may end in, where it shows, who has to act, and the words for it.
//!
//! Identifiers are a contract (metric labels, JSON values, anchors): rows are added, never renamed.
//! The table says what a cause *usually* is; a rule may name another party or status where its
//! evidence says so. It deliberately knows nothing of how a cause is found: that is `diagnosis`.

use std::fmt;

use serde::{Deserialize, Serialize};

documented! {
/// The layer of the way out where something shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Before a packet leaves, or wrong on this host.
    Local,
    /// Resolving names.
    Dns,
    /// Reaching an address and its port.
    Tcp,
    /// The way to and through an explicit proxy.
    Proxy,
    /// The handshake and its certificates.
    Tls,
    /// The request and its answer.
    Http,
}
}

documented! {
/// Who has to act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// This host and its settings.
    Client,
    /// The organisation's DNS.
    Resolver,
    /// The authority of the name itself.
    DnsZone,
    /// Whoever decides what may pass.
    Firewall,
    /// Routing, MTU, loss.
    Network,
    /// A device that inspects or filters TLS.
    Inspection,
    /// A captive portal.
    Portal,
    /// The explicit proxy.
    Proxy,
    /// The provider's edge.
    Edge,
    /// The provider's API.
    Origin,
    /// API key, plan, billing.
    Account,
    /// An API gateway of ours.
    Gateway,
    /// A proxy account, a client certificate, a keytab, a secret's file.
    Credential,
    /// What the client sent.
    Request,
    /// Nobody can be named from here.
    Undetermined,
}
}

documented! {
/// How a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It works.
    Ok,
    /// It works, with a fault worth an alert.
    Degraded,
    /// egressd itself could not finish.
    Unknown,
    /// It does not work.
    Broken,
}
}

macro_rules! labels {
    ($type:ident { $($variant:ident = $label:literal),+ $(,)? }) => {
        impl $type {
            /// All values, in the order of the declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The fixed name in JSON, metrics and logs.
            pub fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.label())
            }
        }
    };
}

labels!(Layer { Local = "local", Dns = "dns", Tcp = "tcp", Proxy = "proxy", Tls = "tls", Http = "http" });
labels!(Party {
    Client = "client", Resolver = "resolver", DnsZone = "dns_zone", Firewall = "firewall",
    Network = "network", Inspection = "inspection", Portal = "portal", Proxy = "proxy",
    Edge = "edge", Origin = "origin", Account = "account", Gateway = "gateway",
    Credential = "credential", Request = "request", Undetermined = "undetermined",
});
labels!(Status { Ok = "ok", Degraded = "degraded", Unknown = "unknown", Broken = "broken" });

/// One row of the table. Text slots: `{host}`, `{port}`, `{address}`, `{resolver}`, `{proxy}`,
/// `{route}`, `{status}`, `{key}`, `{offender}`, `{pac}`, `{until}`, `{offers}`, `{scheme}`, `{ticket}`,
/// `{tls}`, `{bundle}`, `{body}`, `{idle}`: configured names and own measurements only.
#[derive(Debug)]
pub struct Row {
    /// The cause.
    pub cause: Cause,
    /// Its fixed name.
    pub id: &'static str,
    /// Where it shows; none where that is the layer in which the trip ended.
    pub layer: Option<Layer>,
    /// Who usually has to act.
    pub party: Party,
    /// The status that it usually gives.
    pub status: Status,
    /// What is so: a clause with the party as its subject, for confidence high and medium.
    pub says: &'static str,
    /// What cannot be told apart, for confidence low ("A or B").
    pub or: &'static str,
    /// An imperative with an addressee and an object.
    pub advice: &'static str,
    /// What makes it worse, or wastes a day.
    pub do_not: &'static str,
}

macro_rules! causes {
    ($($variant:ident $id:ident $layer:tt $party:ident $status:ident {
        says $says:literal or $or:literal do $advice:literal not $not:expr
    })+) => {
        /// Every cause that diagnosis can end in.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Cause { $(#[doc = $says] $variant),+ }

        /// The table, in the order of precedence of the layers.
        pub const CAUSES: &[Row] = &[$(Row {
            cause: Cause::$variant, id: stringify!($id), layer: layer!($layer),
            party: Party::$party, status: Status::$status,
            says: $says, or: $or, advice: $advice, do_not: $not,
        }),+];

        impl Cause {
            /// The row of this cause.
            pub fn row(self) -> &'static Row {
                match self { $(Self::$variant => {
                    const ROW: &Row = &Row {
                        cause: Cause::$variant, id: stringify!($id), layer: layer!($layer),
                        party: Party::$party, status: Status::$status,
                        says: $says, or: $or, advice: $advice, do_not: $not,
                    };
                    ROW
                }),+ }
            }
        }
    };
}

macro_rules! layer {
    (none) => {
        None
    };
    (local) => {
        Some(Layer::Local)
    };
    (dns) => {
        Some(Layer::Dns)
    };
    (tcp) => {
        Some(Layer::Tcp)
    };
    (proxy) => {
        Some(Layer::Proxy)
    };
    (tls) => {
        Some(Layer::Tls)
    };
    (http) => {
        Some(Layer::Http)
    };
}

impl Cause {
    /// The fixed name in JSON, metrics and logs.
    pub fn label(self) -> &'static str {
        self.row().id
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

const VERIFY: &str = "disable certificate verification in any client.";
const NOT_THEIR_CA: &str = "install the CA that this page brings, or disable verification.";
const PROVEN: &str = "open a firewall or proxy ticket: the answer proves the way to the API.";
const NOTHING_HERE: &str = "change firewall, proxy, DNS, key or client here.";
const NOTHING_SENT: &str = "change the API key or the client: no request has left this network.";

causes! {
// ---- local
LocalNoRoute local_no_route local Client Broken {
    says "this host has no route to {address}" or "this host's routes or its interface"
    do "Owner of this host: add a default route, or bring the interface or VPN up." not NOTHING_SENT }
LocalPolicyDenied local_policy_denied local Client Broken {
    says "this host's own policy refuses the connection to {address}" or "this host's firewall or a security module"
    do "Owner of this host: allow outgoing TCP {port} to {host} in its firewall or security agent." not NOTHING_SENT }
LocalGatewayDead local_gateway_dead local Client Broken {
    says "this host's gateway does not answer on the link" or "this host's link or its gateway"
    do "Owner of this host: check cable, VLAN and the gateway's address; the gateway has no neighbour entry." not NOTHING_SENT }
LocalResourcesExhausted local_resources_exhausted local Client Broken {
    says "this host is out of ports or descriptors" or "this host's limits or a leak in a program"
    do "Owner of this host: raise the limits, or find what holds the sockets (ss -s)." not NOTHING_SENT }
LocalClockSkew local_clock_skew local Client Broken {
    says "this host's clock is wrong: certificates of unrelated hosts are outside their dates too" or "this host's clock or the certificates"
    do "Owner of this host: correct the clock (NTP), then check again." not "renew any certificate: the clock is what is wrong." }
LocalResolverMissing local_resolver_missing local Client Broken {
    says "this host has no usable name server" or "this host's resolver settings"
    do "Owner of this host: put a nameserver into /etc/resolv.conf." not NOTHING_SENT }
LocalHostsOverride local_hosts_override local Client Broken {
    says "this host's hosts file sends {host} to {address}, where it does not work" or "this host's hosts file or the server it names"
    do "Owner of this host: remove or correct the line for {host} in /etc/hosts." not NOTHING_SENT }
LocalCredentialUnavailable local_credential_unavailable local Credential Broken {
    says "the secret {key} cannot be read" or "the secret's file or its permissions"
    do "Owner of the secret: make {key} readable for egressd; it is read again by itself." not "restart egressd, or open a network ticket: the way out was tested without the secret." }

// ---- dns
DnsResolverUnreachable dns_resolver_unreachable dns Network Broken {
    says "no configured resolver answers any name" or "the resolver, or the way to it"
    do "Network team: check the way to the resolver {resolver} on UDP and TCP 53." not NOTHING_SENT }
DnsResolverDown dns_resolver_down dns Resolver Broken {
    says "nothing listens at the resolver {resolver}" or "the resolver, or what stands at its address"
    do "Owner of {resolver}: start the name service there: its own address says that the port is closed." not "open a firewall ticket: the answer came from the resolver's own address." }
DnsResolverBlocked dns_resolver_blocked dns Firewall Broken {
    says "{offender} lets no question through to the resolver {resolver}" or "a hop on the way, or the resolver itself"
    do "Firewall team: allow UDP and TCP 53 from this host to {resolver}; {offender} refuses it." not NOTHING_SENT }
DnsResolverFailing dns_resolver_failing dns Resolver Broken {
    says "the resolver {resolver} fails for every name" or "the resolver, or what it forwards to"
    do "DNS team: check {resolver} and what it forwards to: every name fails here." not NOTHING_SENT }
DnsAnswerMalformed dns_answer_malformed dns Resolver Broken {
    says "what comes back from {resolver} is no answer to the question for {host}" or "the resolver, or a device before it that rewrites DNS"
    do "DNS team: look up {host} at {resolver} with dig, and look for a device that rewrites DNS before it." not NOTHING_SENT }
DnsOverTcpBlocked dns_over_tcp_blocked dns Firewall Broken {
    says "the answer for {host} needs TCP 53, which does not reach {resolver}" or "a firewall before the resolver, or the resolver itself"
    do "Firewall team: allow TCP 53 from this host to {resolver}; DNS team: see that it listens there." not NOTHING_SENT }
DnsNameFiltered dns_name_filtered dns Resolver Broken {
    says "the resolver {resolver} denies the name {host}" or "the resolver's filter, or the name's own zone"
    do "DNS team: allow the name {host} at {resolver}." not NOTHING_SENT }
DnsNameFailing dns_name_failing dns Resolver Broken {
    says "the resolver {resolver} fails for {host} only" or "the resolver's forwarder, or the name's own zone"
    do "DNS team: look up {host} at {resolver} and follow its forwarder." not NOTHING_SENT }
DnsNameMissing dns_name_missing dns DnsZone Broken {
    says "the name {host} does not exist anywhere" or "a misspelt name, or the name's own zone"
    do "Owner of the configuration: check the spelling of {host}; if it is right, its zone lacks it." not "open a firewall ticket before the spelling is checked: a name that is denied has no address to let through." }
DnsZoneBroken dns_zone_broken dns DnsZone Broken {
    says "the zone of {host} fails at every resolver" or "the name's own zone, or all resolvers"
    do "Owner of the zone of {host}: check its servers and its DNSSEC." not NOTHING_HERE }
DnsSinkholed dns_sinkholed dns Resolver Broken {
    says "the resolver {resolver} sends {host} to {address}, where nothing serves it" or "a DNS filter, or a private address that is down"
    do "DNS team: allow {host} at {resolver}, or correct its private address {address}." not NOTHING_SENT }
DnsHijacked dns_hijacked dns Resolver Broken {
    says "the resolver {resolver} sends {host} to somebody else's server at {address}" or "the resolver, or the server at that address"
    do "DNS team: correct the answer for {host} at {resolver}; another resolver gives an address that works." not VERIFY }
DnsStaleAddress dns_stale_address dns Resolver Broken {
    says "the resolver {resolver} gives {address} for {host}, where nothing answers" or "an old record, or a dead server"
    do "DNS team: flush {host} at {resolver}; another resolver gives an address that works." not NOTHING_SENT }
DnsPrivateAnswerMissing dns_private_answer_missing dns Resolver Broken {
    says "the resolver {resolver} has no private address of {host}" or "the resolver's private zone, or the configured ranges"
    do "DNS team: serve the private zone of {host} at {resolver}, or forward it to who does." not "open the way to the public address: the name is meant to be private." }
DnsCnameDangling dns_cname_dangling dns DnsZone Broken {
    says "the alias of {host} leads to a name that does not exist" or "the name's own zone, or a resolver that denies what the alias leads to"
    do "Owner of the zone of {host}: correct its alias, or restore the name that it leads to." not NOTHING_SENT }
DnsInjected dns_injected dns Network Broken {
    says "somebody on the way answers for the resolver {resolver}: {host} gets two different answers" or "somebody on the way, or a resolver that contradicts itself"
    do "Network team: find what answers port 53 between this host and {resolver}; over TCP the resolver says something else." not VERIFY }
DnsIntercepted dns_intercepted dns Network Ok {
    says "port 53 is redirected: an address where no resolver can be answers too" or "a device on the way that redirects port 53"
    do "Nothing, where that is meant: whoever is configured, the redirected resolver answers." not "configure another resolver: its questions are redirected too." }
DnsSlow dns_slow dns Resolver Degraded {
    says "the resolver {resolver} answers later than its budget" or "the resolver, or the way to it"
    do "DNS team: check the load of {resolver} and what it forwards to." not "raise the budget before the resolver was looked at." }
DnsOneResolverDead dns_one_resolver_dead dns Resolver Degraded {
    says "the name server {address}, one of several, fails" or "that name server, or the way to it"
    do "Owner of {address}: mend the name service there: look-ups that ask it first are late or lost." not "take it for harmless: programs ask the servers in their order, and wait." }
DnsAMissing dns_a_missing dns Resolver Degraded {
    says "the resolver {resolver} loses the IPv4 addresses of {host}" or "the resolver, or the name's own zone"
    do "DNS team: look up A of {host} at {resolver}; it has AAAA only." not "rely on IPv6 alone: many of this network's programs cannot." }
DnsAaaaBroken dns_aaaa_broken dns Resolver Degraded {
    says "the resolver {resolver} fails for AAAA of {host}, A is fine" or "the resolver, or the name's own zone"
    do "DNS team: make {resolver} answer AAAA for {host} (an empty answer will do)." not "turn IPv6 off host by host." }

// ---- tcp
TcpDropped tcp_dropped tcp Firewall Broken {
    says "a firewall drops TCP {port} to {host}" or "a firewall on the way, or the provider's edge"
    do "Firewall team: allow TCP {port} to {host} ({address})." not NOTHING_SENT }
TcpRejected tcp_rejected tcp Firewall Broken {
    says "a firewall rejects TCP {port} to {host}" or "a firewall on the way, or the server itself"
    do "Firewall team: allow TCP {port} to {host} ({address})." not NOTHING_SENT }
TcpUnreachable tcp_unreachable tcp Network Broken {
    says "the router {offender} has no way to {address}" or "routing on the way, or at the far end"
    do "Network team: correct the route to {address} at {offender}." not NOTHING_SENT }
EgressPortBlocked egress_port_blocked tcp Firewall Broken {
    says "a firewall closes TCP {port} to every host; another port opens" or "a firewall, or the servers at that port"
    do "Firewall team: allow outgoing TCP {port} to {host} ({address})." not NOTHING_SENT }
EgressBlocked egress_blocked tcp Firewall Broken {
    says "a firewall lets no direct connection out" or "a firewall, or a way out that is down"
    do "Firewall team: allow TCP {port} to {host}; or owner of this host: use the proxy." not NOTHING_SENT }
UplinkDown uplink_down tcp Network Broken {
    says "the way out is down: nothing beyond this network answers any more" or "the uplink, or a new firewall rule"
    do "Network team: check the uplink of route {route}; its control hosts worked before." not NOTHING_SENT }
EdgeUnreachable edge_unreachable tcp Edge Broken {
    says "the provider's edge at {host} answers on no route, the control hosts do on each" or "the provider's edge, or one firewall in front of all routes"
    do "Wait and retry with back-off; watch the provider's status page." not NOTHING_HERE }
TcpDataDropped tcp_data_dropped tcp Firewall Broken {
    says "a firewall drops all that is sent to {address} after the connection is made" or "a firewall or a lost state on the way, or the far end"
    do "Firewall team: find what lets the TCP handshake to {address} port {port} pass, and nothing after it." not NOTHING_SENT }
MtuBlackhole mtu_blackhole tcp Network Broken {
    says "full-sized packets to or from {address} vanish on the way, small ones pass" or "a link with a small MTU and filtered ICMP, or the far end"
    do "Network team: let ICMP type 3 code 4 (IPv6: packet too big) pass, or clamp the MSS on the way to {address}." not "rely on ping: small packets pass, and prove nothing." }
TcpAddressDead tcp_address_dead tcp Undetermined Degraded {
    says "one address of {host} does not answer: {address}" or "the way to one address, or that address itself"
    do "Network team: compare the route to {address} with the others; if it is the same, tell the provider." not "pin the addresses that work." }
Ipv6Broken ipv6_broken tcp Network Degraded {
    says "the network passes no IPv6 to {host}, IPv4 works" or "IPv6 routing here, or at the provider"
    do "Network team: repair IPv6 from this host, or take its IPv6 route away." not "turn IPv6 off host by host, or pin addresses." }
Ipv4Broken ipv4_broken tcp Network Degraded {
    says "the network passes no IPv4 to {host}, IPv6 works" or "IPv4 routing here, or at the provider"
    do "Network team: repair IPv4 (NAT) from this host." not "pin addresses." }
TcpLossy tcp_lossy tcp Network Degraded {
    says "the network loses packets on the way to {address}" or "the network, or the far end"
    do "Network team: look for loss on the way to {address}: a bad link, a full queue, a duplex mismatch." not "raise timeouts: that hides the loss." }
TcpIntercepted tcp_intercepted tcp Inspection Ok {
    says "a device completes every TCP handshake from here, whoever it is for" or "a device that answers for every address"
    do "Nothing, where that is meant: an open port proves nothing on this route." not "take a connection for proof that {host} is reached." }
IdleCut idle_cut tcp Network Degraded {
    says "the network drops connections to {host} that are silent for {idle} s; fresh ones work" or "a firewall or NAT that forgets, the proxy, or the server's own timer"
    do "Network team: let idle TCP connections to {host} live for longer than {idle} s; until then, owner of the clients: TCP keep-alive below that." not "raise the clients' request timeouts: a connection that is dead answers no later." }
EgressOpenUnexpectedly egress_open_unexpectedly tcp Firewall Degraded {
    says "the firewall lets {host} through directly, though the route is declared closed" or "a firewall rule, or the declaration"
    do "Firewall team: close the direct way to {host}; or owner of the configuration: declare it open." not "ignore it: data can leave around the proxy." }

// ---- proxy
ProxyNameUnresolvable proxy_name_unresolvable proxy Client Broken {
    says "the proxy's name {proxy} does not resolve here" or "this host's proxy setting, or its DNS"
    do "Owner of this host: correct the proxy's name {proxy}, or its DNS." not NOTHING_SENT }
PacUnavailable pac_unavailable proxy Client Broken {
    says "the PAC file {pac} cannot be had" or "the server of the PAC file, or the way to it"
    do "Owner of this host: correct the URL {pac}, or its server." not NOTHING_SENT }
PacInvalid pac_invalid proxy Client Broken {
    says "the PAC file {pac} names no way: it is faulty" or "the PAC file, or a name that it looks up"
    do "Owner of the PAC file {pac}: correct it; the engine's words are in this check's failure." not NOTHING_SENT }
ProxyDown proxy_down proxy Proxy Broken {
    says "the proxy {proxy} refuses connections" or "the proxy, or a firewall before it"
    do "Proxy team: start the service of {proxy}, or correct its port in the configuration." not NOTHING_SENT }
ProxyUnreachable proxy_unreachable proxy Network Broken {
    says "the network does not reach the proxy {proxy}" or "the way to the proxy, or the proxy itself"
    do "Network team: check the way from this host to {proxy}." not NOTHING_SENT }
ProxyMisconfigured proxy_misconfigured proxy Client Broken {
    says "what answers at {proxy} is no HTTP proxy" or "this host's proxy setting, or the service there"
    do "Owner of this host: correct scheme and port of {proxy}." not NOTHING_SENT }
ProxyTlsFailed proxy_tls_failed proxy Proxy Broken {
    says "the TLS of the proxy {proxy} itself fails ({tls})" or "the proxy's own TLS, or a device before it"
    do "Proxy team: mend certificate and TLS of {proxy}; or owner of this host: add its CA to the route's `ca_files`." not "disable verification: a login would go to whoever answers." }
ProxyAuthRequired proxy_auth_required proxy Credential Broken {
    says "the proxy {proxy} asks for a login and none is configured" or "the proxy's rules, or the missing login"
    do "Owner of this host: get a proxy account for {proxy}, or an exemption for {host}." not "retry with somebody's password: failed logins lock accounts." }
ProxyAuthRejected proxy_auth_rejected proxy Credential Broken {
    says "the proxy {proxy} rejects the configured login" or "the login, or the proxy's own directory"
    do "Owner of the proxy account: renew or unlock it for {proxy}, and change the configured secret; if it is right, ask the proxy team about {host}." not "retry: failed logins lock accounts. It is sent again at {until}, or once it has changed." }
ProxyAuthUnsupported proxy_auth_unsupported proxy Client Broken {
    says "the proxy {proxy} takes {offers} only, and the login is {scheme}" or "the route's `auth`, or the proxy's schemes"
    do "Owner of this host: configure a login by {offers} for {proxy}." not NOTHING_SENT }
ProxyAuthUnavailable proxy_auth_unavailable proxy Credential Broken {
    says "there is no Kerberos ticket for the proxy {proxy}: {ticket}" or "the KDC, or the keytab of this host"
    do "Owner of the proxy account: {ticket}; mend keytab, account or KDC." not "configure a weaker scheme." }
ProxyDenied proxy_denied proxy Proxy Broken {
    says "the proxy {proxy} refuses {host}" or "the proxy's rules, or a device behind it"
    do "Proxy team: allow CONNECT {host}:{port} at {proxy}." not NOTHING_SENT }
ProxyDeniesAll proxy_denies_all proxy Proxy Broken {
    says "the proxy {proxy} refuses every host for this client" or "the proxy's rules for this client"
    do "Proxy team: allow this client at {proxy}." not NOTHING_SENT }
ProxyLoginRequired proxy_login_required proxy Proxy Broken {
    says "the proxy {proxy} sends a sign-in page instead of a tunnel" or "the proxy's sign-in"
    do "Proxy team: exempt this client from the sign-in page of {proxy}; programs cannot follow it." not NOTHING_SENT }
ProxyConnectUnsupported proxy_connect_unsupported proxy Proxy Broken {
    says "the proxy {proxy} does not take CONNECT" or "the proxy, or a web server in its place"
    do "Proxy team: enable CONNECT to port {port} at {proxy}." not NOTHING_SENT }
ProxyDnsFailed proxy_dns_failed proxy Proxy Broken {
    says "the proxy {proxy} cannot resolve {host}" or "the proxy's resolver, or the name's own zone"
    do "Proxy team: see why the resolver of {proxy} does not know {host}." not NOTHING_SENT }
ProxyUpstreamBlocked proxy_upstream_blocked proxy Firewall Broken {
    says "a firewall behind the proxy {proxy} stops {host}" or "a firewall behind the proxy, or the provider's edge"
    do "Proxy team: see why {proxy} does not reach {host}:{port}; other hosts work through it." not NOTHING_SENT }
ProxyOverloaded proxy_overloaded proxy Proxy Broken {
    says "the proxy {proxy} refuses for lack of capacity" or "the proxy's load, or its way out"
    do "Proxy team: check the load of {proxy}: it answers {status} to every host." not NOTHING_SENT }
ProxyFailed proxy_failed proxy Proxy Broken {
    says "the proxy {proxy} fails with {status}" or "the proxy, or what is behind it"
    do "Proxy team: see the log of {proxy} for CONNECT {host}:{port}." not NOTHING_SENT }
ProxySilent proxy_silent proxy Proxy Broken {
    says "the proxy {proxy} accepts and never answers" or "the proxy, or what is behind it"
    do "Proxy team: see why {proxy} does not answer CONNECT." not NOTHING_SENT }
ProxyCloses proxy_closes proxy Proxy Broken {
    says "the proxy {proxy} closes before it answers CONNECT" or "the proxy, or a device before it"
    do "Proxy team: see why {proxy} closes at CONNECT {host}:{port}." not NOTHING_SENT }
ProxyTunnelBroken proxy_tunnel_broken proxy Proxy Broken {
    says "the tunnel through {proxy} carries nothing, for any host" or "the proxy, or what is behind it"
    do "Proxy team: see what {proxy} does with a tunnel after its 200." not NOTHING_SENT }
ProxyWrongUpstream proxy_wrong_upstream proxy Proxy Broken {
    says "the proxy {proxy} leads the tunnel to {host} to another server" or "the proxy, or the server that it leads to"
    do "Proxy team: see where {proxy} leads CONNECT {host}:{port}: its DNS, a parent, a redirection." not VERIFY }
ProxySlow proxy_slow proxy Proxy Degraded {
    says "the proxy {proxy} answers CONNECT later than its budget" or "the proxy, or its way out"
    do "Proxy team: check the load and the DNS of {proxy}." not "raise the budget before the proxy was looked at." }

// ---- tls
SniFiltered sni_filtered tls Firewall Broken {
    says "a filter on the way cuts TLS that names {host}" or "a firewall or proxy on the way, or the provider's edge"
    do "Firewall team: allow TLS that names {host} to {address} port {port}." not NOTHING_SENT }
TlsInspected tls_inspected tls Inspection Ok {
    says "TLS to {host} is inspected under the organisation's own CA" or "an inspecting device"
    do "Nothing to do; clients need that CA in their stores." not VERIFY }
TlsInspectionUntrusted tls_inspection_untrusted tls Inspection Broken {
    says "an inspecting device presents a CA that this host does not trust" or "an inspecting device, or the server itself"
    do "Inspection team: exempt {host}, or publish the inspecting CA to this host's store." not VERIFY }
InspectionCertInvalid inspection_cert_invalid tls Inspection Broken {
    says "an inspecting device presents a certificate outside its dates or for another name" or "an inspecting device, or the server itself"
    do "Inspection team: renew the inspecting CA, or correct the certificate that it makes for {host}." not VERIFY }
InspectionUpstreamFailed inspection_upstream_failed tls Inspection Broken {
    says "the inspecting device itself does not trust or reach {host}" or "the inspecting device, or the site behind it"
    do "Inspection team: see why the device does not accept {host}: its trust store, its clock, its own way out." not "install the CA that the device uses for sites that it does not trust, or disable verification." }
TrustStoreLacksCa trust_store_lacks_ca tls Client Degraded {
    says "the bundle {bundle} does not accept the chain of {host}, this host does" or "that bundle, or the chain"
    do "Owner of the application that uses {bundle}: add the organisation's CA to it." not VERIFY }
TrustStoreOutdated trust_store_outdated tls Client Degraded {
    says "this host's store lacks the public root of {host}" or "this host's store, or a new public root"
    do "Owner of this host: update its CA certificates package." not VERIFY }
TlsPlaintextReply tls_plaintext_reply tls Edge Broken {
    says "what answers on {address} port {port} does not speak TLS" or "a device on the way, or the server itself"
    do "Network team: see what answers at {address} port {port}; its first bytes are in the evidence." not VERIFY }
TlsCorrupted tls_corrupted tls Network Broken {
    says "something on the way changes the bytes of the handshake" or "a device on the way, or the server itself"
    do "Network team: find the device that changes TLS to {host}; another route is clean." not VERIFY }
TlsHelloTooLarge tls_hello_too_large tls Firewall Degraded {
    says "a firewall cannot take the two-segment ClientHello of today's clients to {host}" or "a device on the way, or the far end"
    do "Firewall team: update the device that inspects TLS to {host}: it drops post-quantum ClientHellos; until then exempt {address}." not NOTHING_SENT }
TlsCut tls_cut tls Firewall Broken {
    says "a firewall cuts the handshake with {host} after it has begun" or "a device on the way, or the provider's edge"
    do "Firewall team: look for a device that resets TLS to {host} ({address}) in the middle." not "renew certificates, or change the client: the handshake is cut from outside." }
EdgeTlsFailed edge_tls_failed tls Edge Broken {
    says "the provider's edge fails the handshake for every name" or "the provider's edge, or a device before it"
    do "Wait and retry with back-off; watch the provider's status page." not NOTHING_HERE }
CertExpired cert_expired tls Edge Broken {
    says "the certificate of {host} has expired" or "the server's certificate, or a device that replaced it"
    do "Owner of {host}: renew its certificate." not VERIFY }
CertNotYetValid cert_not_yet_valid tls Edge Broken {
    says "the certificate of {host} is not valid yet" or "the server's certificate, or a device that replaced it"
    do "Owner of {host}: replace its certificate." not VERIFY }
CertWrongName cert_wrong_name tls Edge Broken {
    says "the certificate at {address} is for other names than {host}" or "the server, or a device in its place"
    do "Owner of {host}: serve a certificate for this name." not VERIFY }
CertSelfSigned cert_self_signed tls Edge Broken {
    says "the certificate at {address} is self-signed" or "the server, or a device in its place"
    do "Owner of {host}: serve a certificate of a public CA." not VERIFY }
CertUnknownIssuer cert_unknown_issuer tls Edge Broken {
    says "nobody here trusts the issuer of the certificate at {address}" or "the server, or a device in its place"
    do "Owner of {host}: serve a certificate of a public CA, with its intermediates." not VERIFY }
CertIncompleteChain cert_incomplete_chain tls Edge Broken {
    says "{host} leaves an intermediate certificate out" or "the server, or a device in its place"
    do "Owner of {host}: serve the intermediate certificate with the leaf." not VERIFY }
TlsVersionUnsupported tls_version_unsupported tls Edge Broken {
    says "{host} and this check have no TLS version or cipher in common" or "the server, or a device in its place"
    do "Owner of {host}: enable TLS 1.2 or 1.3 with current ciphers." not "enable old TLS versions in clients." }
TlsClientCertRejected tls_client_cert_rejected tls Credential Broken {
    says "{host} refuses this client's certificate" or "the client certificate, or what {host} trusts"
    do "Owner of the client certificate: compare its dates and issuer with what {host} accepts, and renew it." not VERIFY }
TlsClientCertRequired tls_client_cert_required tls Credential Broken {
    says "{host} demands a client certificate and none is configured" or "the missing certificate, or a device in the server's place"
    do "Owner of the client: get a client certificate for {host}." not VERIFY }
TlsAddressDiffers tls_address_differs tls Edge Degraded {
    says "one address of {host} fails TLS, others are fine: {address}" or "one address of the provider, or the way to it"
    do "Tell the provider: {address} fails TLS, the other addresses do not." not "pin the addresses that work." }

// ---- http, made on the way
CaptivePortal captive_portal http Portal Broken {
    says "a captive portal answers until somebody signs in" or "a captive portal, or a web filter"
    do "User of this host: sign in to the network with a browser, or use a network without a portal." not "disable certificate verification, or open a ticket with the provider." }
BlockPage block_page http Inspection Broken {
    says "a web filter answers {status} in the API's place" or "a web filter, or the server itself"
    do "Web filter team: allow {host}." not NOT_THEIR_CA }
HeaderStripped header_stripped http Inspection Broken {
    says "a device on the way removes the key's header" or "a device on the way, or the API"
    do "Inspection team: let the request's headers to {host} pass unchanged." not "renew the key: it did not arrive." }
ResponseReplaced response_replaced http Inspection Broken {
    says "something on the way answers in the API's place" or "a device on the way, or the server itself"
    do "Inspection team: see what answers for {host}; the certificate is not a public one." not NOT_THEIR_CA }

H2Broken h2_broken http Inspection Degraded {
    says "something on the way breaks HTTP/2 to {host}, HTTP/1.1 works" or "a device on the way, or the provider's edge"
    do "Inspection team: let HTTP/2 to {host} pass, or do not offer it." not NOTHING_HERE }

RequestFiltered request_filtered http Inspection Broken {
    says "a filter on the way stops requests to {host} with a body of {body}" or "a filter on the way, a link that loses packets, or the API"
    do "Inspection team: let uploads to {host} pass (DLP, size limit): a GET does, a POST with a body of {body} does not." not "make the requests smaller, or retry: this is what the API's clients send." }
StreamBuffered stream_buffered http Inspection Degraded {
    says "something on the way holds a streamed answer of {host} back until its end" or "a device on the way that buffers, or the API"
    do "Inspection team: let text/event-stream from {host} through as it comes: no buffering, scanning or compressing of it." not "raise the clients' timeouts, or take the model for slow: a slow one pauses between the parts." }

// ---- http, the provider's edge
EdgeChallenge edge_challenge http Edge Broken {
    says "the provider's edge asks for a browser challenge" or "the provider's edge, or this egress address"
    do "Tell the provider which egress address is challenged, with the ray id of the evidence." not "change the key or the client: programs cannot answer it." }
EdgeBlocked edge_blocked http Edge Broken {
    says "the provider's edge refuses the request with {status}" or "the provider's edge, or this egress address"
    do "Tell the provider: egress address and the edge's id of the evidence." not "open a firewall ticket: the edge itself has answered." }
EdgeRateLimited edge_rate_limited http Network Broken {
    says "the provider's edge limits the rate of this egress address" or "other users of this egress address"
    do "Network team: see who else calls {host} from this egress address." not "change the key: the edge limits the address." }
RegionNotSupported region_not_supported http Network Broken {
    says "the provider does not serve the country of this egress address" or "the egress address, or the provider's list"
    do "Network team: send {host} out through a supported country; with the provider if the address is placed wrongly." not "try another key, or a private VPN." }
EdgeFailed edge_failed http Edge Broken {
    says "the provider's edge fails with {status}" or "the provider's edge"
    do "Wait and retry with back-off; watch the provider's status page." not NOTHING_HERE }
EdgeOriginUnreachable edge_origin_unreachable http Origin Broken {
    says "the provider's edge answers {status}: it does not reach its own API" or "the provider's API, or its edge"
    do "Wait and retry with back-off; watch the provider's status page." not NOTHING_HERE }
RedirectUnexpected redirect_unexpected http Edge Broken {
    says "{host} redirects away from what was asked" or "the server, or the configured URL"
    do "Owner of the configuration: check the URL; the redirect's target is in the evidence." not "follow it with credentials." }

// ---- http, the API itself
ApiBadRequest api_bad_request http Request Broken {
    says "the API refuses the request with {status}" or "the request"
    do "Owner of the request: correct it; the API's own words are in the evidence." not PROVEN }
ApiKeyMissing api_key_missing http Account Broken {
    says "no API key was sent" or "the key's setting"
    do "Owner of the key: put the API key into {key}." not PROVEN }
ApiKeyInvalid api_key_invalid http Account Broken {
    says "the API does not accept the key {key}" or "the key"
    do "Owner of the key: replace the key in {key}." not PROVEN }
ApiEgressNotAllowed api_egress_not_allowed http Account Broken {
    says "the account does not allow this network's address" or "the account's own rules"
    do "Owner of the account: add the address of route {route} to its allow-list; if {host} has a private endpoint, its name should lead there." not PROVEN }
ApiForbidden api_forbidden http Account Broken {
    says "the API refuses the account of the key {key}" or "the account's permissions"
    do "Owner of the account: check the permissions of the key in {key}." not PROVEN }
ApiBilling api_billing http Account Broken {
    says "the API refuses for billing or a spend limit" or "the account's billing"
    do "Owner of the account: check billing and spend limits." not PROVEN }
ApiNotFound api_not_found http Request Broken {
    says "the API knows no such path" or "the URL"
    do "Owner of the request: correct the path of the URL." not PROVEN }
ApiModelUnknown api_model_unknown http Request Broken {
    says "the API knows no such model" or "the model's name"
    do "Owner of the request: use a model that the API lists." not PROVEN }
ApiDeprecated api_deprecated http Request Degraded {
    says "the API says that this way of asking it will end" or "the request"
    do "Owner of the client: move to what the API's deprecation, sunset or warning header, or its documentation, names, before its date." not PROVEN }
ApiTooLarge api_too_large http Request Broken {
    says "the request is larger than the API takes" or "the request"
    do "Owner of the request: make it smaller." not PROVEN }
ApiRateLimited api_rate_limited http Account Degraded {
    says "the API limits the rate of this account" or "the account's limits"
    do "Owner of the account: back off, or raise the limit." not PROVEN }
ApiError api_error http Origin Broken {
    says "the API itself fails with {status}" or "the API"
    do "Wait and retry with back-off; watch the provider's status page." not NOTHING_HERE }
ApiOverloaded api_overloaded http Origin Broken {
    says "the API is overloaded" or "the API"
    do "Wait and retry with back-off; watch the provider's status page." not NOTHING_HERE }
GatewayUpstreamFailed gateway_upstream_failed http Origin Broken {
    says "the gateway {host} says that its own provider fails" or "the gateway, or its provider"
    do "Owner of the gateway: see the log of {host} for its provider's answer; retry with back-off." not PROVEN }
Gateway gateway http Gateway Ok {
    says "{host} is a gateway, not the provider's own host" or "a gateway"
    do "Nothing to do." not NOTHING_HERE }
OriginSilent origin_silent http Origin Broken {
    says "the API takes the request and does not answer" or "the API, or a device on the way"
    do "Wait and retry with back-off; watch the provider's status page." not NOTHING_HERE }
OriginCloses origin_closes http Origin Broken {
    says "the API closes before it answers" or "the API, or a device on the way"
    do "Wait and retry with back-off; watch the provider's status page." not NOTHING_HERE }
OriginSlow origin_slow http Origin Degraded {
    says "the API answers later than its budget; connect and TLS are fast" or "the API, or a device on the way"
    do "Watch the provider's status page." not NOTHING_HERE }
ResponseStalled response_stalled http Origin Broken {
    says "the API's answer stops half-way" or "the API, or a device on the way"
    do "Tell the provider: the answer stops; the bytes received are in the evidence." not NOTHING_HERE }
ResponseTruncated response_truncated http Origin Broken {
    says "the API's answer ends before its declared end" or "the API, or a device on the way"
    do "Tell the provider: the answer is cut; the bytes received are in the evidence." not NOTHING_HERE }
ResponseMalformed response_malformed http Origin Broken {
    says "what {host} answers is not sound HTTP" or "the API, or a device on the way"
    do "Tell the provider: the answer is malformed; what was seen is in the evidence." not NOTHING_HERE }
ResponseUnexpected response_unexpected http Origin Degraded {
    says "{host} answers with success, but not what was asked for" or "the API, or the configured URL"
    do "Owner of the configuration: check URL and provider; else tell the provider." not NOTHING_HERE }

// ---- always there
Intermittent intermittent none Undetermined Degraded {
    says "the same trip to {host} fails and passes by turns" or "anything on the way"
    do "Watch egressd_failures_total for {host}; the next steady failure will be named." not "act on a single failure." }
Unknown unknown none Undetermined Broken {
    says "the trip to {host} failed, and no known cause fits" or "nothing known fits"
    do "Network team: read the evidence of this check; it holds all that was measured." not "guess: nobody is named by this evidence." }
}
