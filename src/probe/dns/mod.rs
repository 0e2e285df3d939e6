//! The look-up, as an application of this host would do it: hosts file first, then the servers of
//! `resolv.conf`, A and AAAA as two questions whose fates are kept apart. Beside it each server is
//! asked by itself, for what a resolver hides.

mod datagram;
mod exchange;
mod hosts;
mod message;
mod questions;
mod resolv_conf;
mod resolver;
mod system;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
#[cfg(feature = "pac")]
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use url::Host;

use super::Network;
use super::tcp::local_failure;
use crate::observation::{
    Answer, DnsFailure, DnsKind, Failure, Family, LocalFailure, LocalKind, Lookup, Role, Source,
};
use crate::plan::{TripPlan, is_destination};
use questions::Board;
pub(super) use questions::Questions;
pub(super) use system::Names;
use system::System;

pub use hosts::Hosts;
pub use message::Asked;
pub use resolv_conf::{Listed, ResolvConf, read as read_resolv_conf};

/// Resolves the first hop's name as the trip wants it; the questions beside it go on.
pub(super) async fn look_up(
    network: &Arc<Network>,
    plan: &TripPlan,
    deadline: Instant,
) -> (Lookup, Questions) {
    let started = Instant::now();
    let name = match (plan.hop.address, &plan.hop.host) {
        (Some(address), _) => return (literal(address), Questions::none()),
        (None, Host::Domain(name)) => name,
        (None, Host::Ipv4(address)) => return (literal((*address).into()), Questions::none()),
        (None, Host::Ipv6(address)) => return (literal((*address).into()), Questions::none()),
    };
    let system = match &plan.resolvers {
        Some(servers) => Arc::new(System::of(servers, Role::Independent)),
        None => network.names.system(),
    };
    let system = if plan.dns_over_tcp { Arc::new(system.over_tcp()) } else { system };
    let mut lookup = Lookup {
        name: name.clone(),
        servers: system.servers.iter().map(ToString::to_string).collect(),
        missing: system.missing.clone(),
        ..Lookup::default()
    };
    let found = !plan.without_hosts && look_into_hosts(&system, &mut lookup);
    // RFC 6761 6.3: no server is asked for this host's own name.
    if found && name.rsplit('.').next() == Some("localhost") {
        return (lookup, Questions::none());
    }
    let questions = Questions::ask(network, &system, name, deadline);
    if found {
        return (lookup, questions);
    }
    let board = questions.board();
    let answers = system.resolver.ask_both(name, board, (deadline, plan.patience)).await;
    lookup.seconds = started.elapsed().as_secs_f64();
    let found = [&answers.a, &answers.aaaa].into_iter().flat_map(Answer::addresses);
    if !found.copied().any(is_destination) {
        // There is no trip to hurry for: what the other servers say is worth its time.
        let until = deadline.min(Instant::now() + plan.patience);
        timeout_at(until, board.settled()).await.unwrap_or_default();
    }
    let sharpened = |answer: Answer, family| match answer.failure() {
        Some(vague) => Answer::Failed(board.sharper(family, vague).unwrap_or(vague.clone())),
        None => answer,
    };
    lookup.searched = answers.searched;
    lookup.a = Some(sharpened(answers.a, Family::A));
    lookup.aaaa = Some(sharpened(answers.aaaa, Family::Aaaa));
    if lookup.addresses().is_empty() {
        lookup.stop = nobody(&system, board);
    }
    (lookup, questions)
}

/// The addresses of a name, for a PAC script, which is told nothing else: the hosts file's, else what the
/// resolver says.
#[cfg(feature = "pac")]
pub(super) async fn addresses(
    network: &Arc<Network>,
    name: String,
    times: (Instant, Duration),
) -> Vec<IpAddr> {
    let system = network.names.system();
    let mut lookup = Lookup { name, ..Lookup::default() };
    if !look_into_hosts(&system, &mut lookup) {
        let questions = Questions::none();
        let answers = system.resolver.ask_both(&lookup.name, questions.board(), times).await;
        (lookup.a, lookup.aaaa) = (Some(answers.a), Some(answers.aaaa));
    }
    lookup.addresses()
}

/// The "look-up" of an address.
fn literal(address: IpAddr) -> Lookup {
    let answer = Some(Answer::Addresses(vec![address]));
    let (a, aaaa) = if address.is_ipv4() { (answer, None) } else { (None, answer) };
    Lookup { name: address.to_string(), source: Source::Literal, a, aaaa, ..Lookup::default() }
}

/// Whether the hosts file has the name; then nobody else is asked, as in `getaddrinfo`.
fn look_into_hosts(system: &System, lookup: &mut Lookup) -> bool {
    let found = system.hosts.addresses(&lookup.name);
    let of = |v4: bool| {
        let family: Vec<IpAddr> = found.iter().filter(|a| a.is_ipv4() == v4).copied().collect();
        (!family.is_empty()).then_some(Answer::Addresses(family))
    };
    (lookup.a, lookup.aaaa) = (of(true), of(false));
    if !found.is_empty() {
        lookup.source = Source::Hosts;
    }
    !found.is_empty()
}

/// Why this host itself is to blame for the missing answer, if it is.
fn nobody(system: &System, board: &Board) -> Option<Failure> {
    // glibc asks 127.0.0.1 where nobody is configured. Who answers there, if only that a name does not
    // exist, is a resolver.
    if let Some(why) = system.missing.as_ref().filter(|_| !board.has_reply()) {
        return Some(Failure::Local(LocalFailure::new(LocalKind::NoResolver, why.clone())));
    }
    if let Some(refused) = board.refused_here() {
        return Some(refused);
    }
    let servers: Vec<SocketAddr> = system.servers.iter().map(|server| server.address).collect();
    unroutable(&servers).map(Failure::Local)
}

/// Why no server can be sent to at all, if that is so: connecting a UDP socket sends nothing, and the
/// kernel says at once whether it knows a way.
fn unroutable(servers: &[SocketAddr]) -> Option<LocalFailure> {
    let refusal = |server: &SocketAddr| {
        let unspecified: IpAddr = if server.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let socket = UdpSocket::bind((unspecified, 0)).ok()?;
        socket.connect(server).err()
    };
    let mut refusals = servers.iter().map(refusal);
    let first = refusals.next()??;
    refusals.all(|refusal| refusal.is_some()).then(|| local_failure(&first))
}

/// The addresses to try. One that cannot be a destination is never dialled: on Linux 0.0.0.0 is this
/// host itself, and would answer in the target's place.
pub(super) fn usable(lookup: &mut Lookup, most: usize) -> Vec<IpAddr> {
    let all = lookup.addresses();
    let mut usable: Vec<IpAddr> = Vec::new();
    for address in all.iter().filter(|address| is_destination(**address)) {
        if usable.len() < most && !usable.contains(address) {
            usable.push(*address);
        }
    }
    if usable.is_empty() && !all.is_empty() && lookup.stop.is_none() {
        let detail = all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        lookup.stop = Some(Failure::Dns(DnsFailure::new(DnsKind::UnusableAddress, detail)));
    }
    usable
}
