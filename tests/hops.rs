//! Walks by TTL over three routers, one of which stops something; links that take only small packets; dead neighbours.
//!
//! The library walks in the client's namespace. Where a test counts, the far end's own journal is asked too.

mod links;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use egressd::config;
use egressd::observation::{
    Came, Distance, Failure, Hop, Icmp, Place, Sent, Stopper, TlsKind, Trip, distance, refusal,
    stopper,
};
use egressd::plan::{self, Given, ProxyVariables, TripPlan};
use egressd::probe::Network;

use crate::support::http::Behaviour as Http;
use crate::support::netns::{API, CLIENT, Chain, INTERNET, drop_privileges};
use crate::support::pki::Authority;
use crate::support::tls::{Behaviour as Tls, Options, TlsServer};

const NAME: &str = "api.hops.test";
const ROOTS: &str = "/roots/public.pem";
/// What a walk sends at most.
const SYNS: usize = 16;
/// Both segments of a `ClientHello` with a post-quantum key share, and nothing else that a walk sends: without data
/// a packet has 52 bytes, 72 in IPv6, and a SYN 60 or 80.
const HELLO: &str = "tcp dport 443 meta length > 80";

struct World {
    chain: Chain,
    authority: Authority,
    /// The target's, IPv4 and IPv6.
    servers: Vec<TlsServer>,
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

impl World {
    fn new() -> Option<Self> {
        let chain = Chain::new()?;
        let authority = Authority::with_intermediate("Hops Public");
        // As many names as a provider's edge has: the server's flight takes several packets.
        let names: Vec<String> =
            (0..60).map(|n| format!("edge-{n}.some-other-name.test")).collect();
        let names: Vec<&str> = [NAME].into_iter().chain(names.iter().map(String::as_str)).collect();
        let leaf = Arc::new(authority.leaf(&names));
        let servers = chain.there(INTERNET, move || {
            let start = |api: &&str| {
                let options = Options { bind: (address(api), 443).into(), ..Options::default() };
                TlsServer::start_with(&leaf, Tls::Serve(Http::AnthropicUnauthorized), options)
            };
            API.iter().map(start).collect()
        });
        Some(Self { chain, authority, servers })
    }

    /// A trip of the client to one of the target's addresses, with something that no configuration says.
    fn walk(&self, api: &'static str, change: impl FnOnce(&mut TripPlan) + Send + 'static) -> Trip {
        let roots = self.authority.pem();
        self.chain.there(CLIENT, move || walk(api, roots, change))
    }

    fn hops(&self, api: &'static str, sent: Sent) -> Vec<Hop> {
        let trip = self.walk(api, move |trip| trip.hops = Some(sent));
        let [leg] = trip.legs.as_slice() else { panic!("one leg: {trip:?}") };
        assert!(leg.connected.is_none() && leg.stop.is_none() && leg.response.is_none(), "{leg:?}");
        assert!(!leg.hops.is_empty() && leg.hops.len() <= SYNS, "{leg:?}");
        leg.hops.clone()
    }

    /// Nobody of the far end ever heard a request.
    fn heard_no_request(&self) -> bool {
        self.servers.iter().all(|server| server.requests().is_empty())
    }
}

fn walk(api: &str, roots: String, change: impl FnOnce(&mut TripPlan)) -> Trip {
    let text = format!(
        "[trust]\nsystem = false\npublic_roots = {ROOTS:?}\n[[target]]\nname = \"target\"\n\
         provider = \"generic\"\nurl = \"https://{NAME}/\"\ntimeout = \"20s\"\n"
    );
    let (config, problems) = config::parse(&text);
    assert!(problems.is_empty(), "{problems:?}");
    let given = Given {
        variables: BTreeMap::new(),
        proxies: ProxyVariables::default(),
        files: [(ROOTS.into(), Ok(roots.into_bytes()))].into(),
        lists: Vec::new(),
        system_roots: Ok(Vec::new()),
    };
    let (plan, problems) = plan::build(&config, &given);
    let plan = plan.unwrap_or_else(|| panic!("{problems:?}"));
    let target = &plan.targets[0];
    let mut trip = plan.trip(target, &target.routes[0].route, None);
    trip.hop.address = Some(address(api));
    change(&mut trip);
    let network = Arc::new(Network::new(&plan).expect("a sound plan"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(network.walk(&Arc::new(trip)))
}

/// Who a router is when it speaks to the client.
fn router(api: &str, number: u8) -> IpAddr {
    let v6 = api.contains(':');
    address(&if v6 { format!("fd00:{number}::2") } else { format!("10.1.{number}.2") })
}

/// The routers that an ICMP error named, in the order of the TTL, up to the first that none did.
fn named(hops: &[Hop]) -> Vec<IpAddr> {
    let expired = hops.iter().map_while(|hop| match hop.came {
        Came::Expired(Some(Icmp { offender, own: false, .. })) => Some(offender),
        _ => None,
    });
    expired.collect()
}

fn routers(api: &str, numbers: impl IntoIterator<Item = u8>) -> Vec<IpAddr> {
    numbers.into_iter().map(|number| router(api, number)).collect()
}

/// The way with three routers, all of them heard.
const FAR: Distance = Distance { beyond: 3, within: 4 };

fn place(api: &str, after: u8, before: Option<u8>) -> Place {
    Place { after, router: Some(router(api, after)), before }
}

fn of(hops: &[Hop], sent: Sent) -> Vec<(u8, Came)> {
    hops.iter().filter(|hop| hop.sent == sent).map(|hop| (hop.ttl, hop.came)).collect()
}

#[test]
fn a_way_without_a_fault_shows_its_routers_and_its_length() {
    let Some(world) = World::new() else { return };
    for api in API {
        let hops = world.hops(api, Sent::Syn);
        assert_eq!(named(&hops), routers(api, 1..=3), "{hops:?}");
        assert_eq!((hops[3].ttl, hops[3].came), (4, Came::Answered), "{hops:?}");
        assert_eq!(distance(&hops), Some(FAR));
        assert_eq!(stopper(&hops, Sent::Syn, None), Stopper::Nobody);

        let hops = world.hops(api, Sent::Hello);
        assert_eq!(distance(&hops), Some(FAR), "{hops:?}");
        assert_eq!(stopper(&hops, Sent::Hello, None), Stopper::Nobody, "{hops:?}");
        let hellos = of(&hops, Sent::Hello);
        assert!(hellos.contains(&(3, Came::Expired(None))), "{hellos:?}");
        assert!(hellos.contains(&(4, Came::Answered)), "{hellos:?}");
    }
    assert!(world.heard_no_request());
    assert!(world.servers[0].connections().len() <= SYNS, "both walks together");
}

#[test]
fn a_walk_needs_no_privilege() {
    let Some(world) = World::new() else { return };
    let roots = world.authority.pem();
    let trip = world.chain.there(CLIENT, move || {
        drop_privileges();
        walk(API[0], roots, |trip| trip.hops = Some(Sent::Syn))
    });
    let hops = &trip.legs[0].hops;
    assert_eq!(named(hops), routers(API[0], 1..=3), "{hops:?}");
    assert_eq!(distance(hops), Some(FAR));
}

#[test]
fn a_syn_that_a_router_drops_ends_in_silence_behind_it() {
    let Some(world) = World::new() else { return };
    world.chain.firewall(2, "tcp dport 443 drop");
    let hops = world.hops(API[0], Sent::Syn);
    assert_eq!(named(&hops), routers(API[0], 1..=2), "{hops:?}");
    assert!(hops[2..].iter().all(|hop| hop.came == Came::Nothing), "{hops:?}");
    // Nobody says how far the far end is, and it may be what is silent.
    let silence = Stopper::Silence(place(API[0], 2, None));
    assert_eq!(stopper(&hops, Sent::Syn, None), silence);
    // A hello needs a connection: there is only the SYN to tell of.
    let hops = world.hops(API[0], Sent::Hello);
    assert!(of(&hops, Sent::Hello).is_empty(), "{hops:?}");
    assert!(world.servers[0].connections().is_empty());
}

#[test]
fn a_router_that_refuses_a_syn_is_found_and_the_far_end_is_not_accused() {
    let Some(world) = World::new() else { return };
    for (api, family) in [(API[0], "icmp"), (API[1], "icmpv6")] {
        world.chain.firewall(2, "tcp dport 443 reject with tcp reset");
        let hops = world.hops(api, Sent::Syn);
        assert_eq!(named(&hops), routers(api, 1..=2), "{hops:?}");
        assert_eq!((hops[2].ttl, hops[2].came, hops.len()), (3, Came::Reset, 3), "{hops:?}");
        // A closed port looks like this where it is as far away: without the distance nobody is accused.
        assert_eq!(stopper(&hops, Sent::Syn, None), Stopper::CannotTell);
        let found = stopper(&hops, Sent::Syn, Some(FAR));
        assert_eq!(found, Stopper::OnTheWay(place(api, 2, Some(3))));
        world.chain.open(2);

        world
            .chain
            .firewall(2, &format!("tcp dport 443 reject with {family} type admin-prohibited"));
        let hops = world.hops(api, Sent::Syn);
        let Stopper::Named(icmp) = stopper(&hops, Sent::Syn, None) else { panic!("{hops:?}") };
        assert!(icmp.is_prohibition() && !icmp.own, "{icmp:?}");
        assert_eq!((icmp.offender, hops.len()), (router(api, 2), 3));
        world.chain.open(2);
    }
}

#[test]
fn a_far_end_that_refuses_by_itself_is_no_middlebox() {
    let Some(world) = World::new() else { return };
    let trip = world.walk(API[0], |trip| {
        trip.hop.port = 444;
        trip.hops = Some(Sent::Syn);
    });
    let hops = &trip.legs[0].hops;
    assert_eq!(named(hops), routers(API[0], 1..=3), "{hops:?}");
    assert_eq!(refusal(hops, Sent::Syn).map(|hop| (hop.ttl, hop.came)), Some((4, Came::Reset)));
    let far = distance(&world.hops(API[0], Sent::Syn));
    assert_eq!(far, Some(FAR));
    let found = stopper(hops, Sent::Syn, far);
    assert_eq!(found, Stopper::FarEnd(place(API[0], 3, Some(4))));
}

#[test]
fn a_router_that_cuts_a_hello_is_found_though_the_connection_passes() {
    let Some(world) = World::new() else { return };
    for api in API {
        world.chain.firewall(2, &format!("{HELLO} reject with tcp reset"));
        let hops = world.hops(api, Sent::Hello);
        assert_eq!(distance(&hops), Some(FAR), "{hops:?}");
        let cut = refusal(&hops, Sent::Hello).map(|hop| (hop.ttl, hop.came));
        assert_eq!(cut, Some((3, Came::Reset)), "{hops:?}");
        let found = stopper(&hops, Sent::Hello, None);
        assert_eq!(found, Stopper::OnTheWay(place(api, 2, Some(3))), "{hops:?}");
        world.chain.open(2);
    }
    world.chain.firewall(2, &format!("{HELLO} drop"));
    let hops = world.hops(API[0], Sent::Hello);
    let found = stopper(&hops, Sent::Hello, None);
    assert_eq!(found, Stopper::OnTheWay(place(API[0], 2, Some(3))), "{hops:?}");
    // The router behind it lives: a SYN got there.
    assert!(of(&hops, Sent::Hello).contains(&(3, Came::Nothing)), "{hops:?}");
    assert!(named(&hops).contains(&router(API[0], 3)), "{hops:?}");
    let received = world.servers.iter().flat_map(TlsServer::connections);
    assert_eq!(received.map(|connection| connection.received).sum::<u64>(), 0);
}

#[test]
fn an_icmp_error_about_a_hello_names_nobody() {
    let Some(world) = World::new() else { return };
    world.chain.firewall(2, &format!("{HELLO} reject with icmp type admin-prohibited"));
    let hops = world.hops(API[0], Sent::Hello);
    // On a connection the kernel tells that there was one, not of which type or from whom.
    let [(ttl, Came::Expired(None))] = of(&hops, Sent::Hello)[..] else { panic!("{hops:?}") };
    assert!(ttl > 4 && distance(&hops) == Some(FAR), "{hops:?}");
    assert_eq!(stopper(&hops, Sent::Hello, None), Stopper::CannotTell, "{hops:?}");
    // The ordinary trip hears of it as well, and would wait in vain.
    let trip = world.walk(API[0], |trip| trip.timeout = std::time::Duration::from_secs(1));
    let Some(Failure::Tls(failure)) = &trip.legs[0].stop else { panic!("{trip:?}") };
    assert_eq!((failure.kind, failure.errno), (TlsKind::Timeout, Some(libc::EHOSTUNREACH)));
}

#[test]
fn a_hello_that_the_far_end_resets_is_the_far_ends() {
    let Some(world) = World::new() else { return };
    let ending = crate::support::wire::Ending::Reset;
    world.servers[0].set(Tls::AfterHello(ending));
    let hops = world.hops(API[0], Sent::Hello);
    let found = stopper(&hops, Sent::Hello, None);
    assert_eq!(found, Stopper::FarEnd(place(API[0], 3, Some(4))), "{hops:?}");
}

#[test]
fn a_walk_that_its_deadline_leaves_no_time_sends_nothing() {
    let Some(world) = World::new() else { return };
    for sent in [Sent::Syn, Sent::Hello] {
        let trip = world.walk(API[0], move |trip| {
            trip.hops = Some(sent);
            trip.timeout = std::time::Duration::from_millis(500);
        });
        assert!(trip.legs[0].hops.is_empty() && trip.seconds < 0.5, "{trip:?}");
    }
    assert!(world.servers[0].connections().is_empty());
}

#[test]
fn a_walk_without_a_route_says_so() {
    let Some(world) = World::new() else { return };
    world.chain.on(CLIENT, "ip route del default");
    for sent in [Sent::Syn, Sent::Hello] {
        let trip = world.walk(API[0], move |trip| trip.hops = Some(sent));
        let Some(Failure::Local(failure)) = trip.failure() else { panic!("{trip:?}") };
        assert!(failure.synchronous && failure.errno == Some(libc::ENETUNREACH), "{failure:?}");
    }
}
