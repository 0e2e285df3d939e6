//! The walk's own look-up: the servers in the order and with the patience of `resolv.conf`, hickory's
//! resolver for those that are asked in the clear, our own exchange for those behind TLS.
//!
//! Nothing is cached: a check that is answered from memory checks nothing.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, Record, RecordType};
use tokio::time::{Instant, timeout_at};

use super::questions::Board;
use super::resolv_conf::ResolvConf;
use crate::observation::{Answer, DnsFailure, DnsKind, Family};
use crate::plan::{Nameserver, Through};

/// hickory's resolver, one for each server in order: its own pool gives a server that is silent the
/// whole time of a question, and never comes to the next.
pub(super) struct Resolver {
    each: Vec<(Nameserver, Way)>,
    conf: ResolvConf,
    /// With `rotate`, where the next question begins.
    next: AtomicUsize,
}

enum Way {
    Hickory(Box<TokioResolver>),
    /// By the question that is put to it anyway.
    Single,
}

/// An answer, and the name that it was for where the search list made another one of it.
pub(super) type Answered = (Answer, Option<String>);

impl Resolver {
    pub(super) fn new(servers: &[Nameserver], conf: &ResolvConf) -> Result<Self, String> {
        let search: Vec<Name> =
            conf.search.iter().filter_map(|name| Name::from_utf8(name).ok()).collect();
        let way = |server: &Nameserver| match server.through {
            Through::Tls(_) | Through::Https(..) => Ok((server.clone(), Way::Single)),
            Through::Udp | Through::Tcp => {
                let resolver = hickory(server, &search, conf)?;
                Ok((server.clone(), Way::Hickory(Box::new(resolver))))
            }
        };
        let each = servers.iter().map(way).collect::<Result<_, String>>()?;
        Ok(Self { each, conf: conf.clone(), next: AtomicUsize::new(0) })
    }

    /// Both questions at the same time. Once one family has an address the other is waited for as
    /// long as `patience`, so that a silent AAAA does not take the time of the whole trip.
    pub(super) async fn ask_both(
        &self,
        name: &str,
        board: &Board,
        (deadline, patience): (Instant, Duration),
    ) -> (Answered, Answered) {
        let a = self.ask(name, Family::A, board, deadline);
        let aaaa = self.ask(name, Family::Aaaa, board, deadline);
        tokio::pin!(a, aaaa);
        let silent = || (Answer::Failed(DnsFailure::new(DnsKind::Timeout, "no answer")), None);
        let until = |first: &Answered| {
            let found = first.0.failure().is_none();
            if found { deadline.min(Instant::now() + patience) } else { deadline }
        };
        tokio::select! {
            first = &mut a => {
                let second = timeout_at(until(&first), aaaa).await.unwrap_or_else(|_| silent());
                (first, second)
            }
            first = &mut aaaa => {
                let second = timeout_at(until(&first), a).await.unwrap_or_else(|_| silent());
                (second, first)
            }
        }
    }

    /// The servers in their order, each for as long as a question may take, and all of them again. A
    /// server that cannot or will not answer leaves it to the next.
    async fn ask(&self, name: &str, family: Family, board: &Board, deadline: Instant) -> Answered {
        let mut last = DnsFailure::new(DnsKind::Timeout, "no answer");
        let count = self.each.len();
        let begin = if self.conf.rotate { self.next.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let rounds = 0..self.conf.attempts;
        for (round, place) in rounds.flat_map(|round| (0..count).map(move |at| (round, at))) {
            let Some((server, way)) = self.each.get((begin + place) % count) else { break };
            // A dead first server must leave time for the others, also in a short trip.
            let now = Instant::now();
            let share = deadline.saturating_duration_since(now)
                / u32::try_from(count - place).unwrap_or(u32::MAX);
            let until = now + share.min(self.conf.patience(round));
            match timeout_at(until, one(way, server, name, (family, board))).await {
                Err(_) if Instant::now() >= deadline => break,
                Err(_) => {}
                Ok(Ok(found)) => return found,
                Ok(Err(failure)) => last = failure,
            }
            if matches!(last.kind, DnsKind::Nxdomain | DnsKind::Nodata) {
                break;
            }
        }
        (Answer::Failed(last), None)
    }
}

/// One server. The C library's socket is connected: it learns at once that a port is closed, and goes on.
async fn one(
    way: &Way,
    server: &Nameserver,
    name: &str,
    (family, board): (Family, &Board),
) -> Result<Answered, DnsFailure> {
    match way {
        Way::Single => board.answer(server, family).await.map(|found| (found, None)),
        Way::Hickory(resolver) => tokio::select! {
            found = resolver.lookup(name, record_type(family)) => match found {
                Ok(found) => of_records(found.answers()).map(|answer| {
                    (answer, other_name(name, found.query().name()))
                }),
                Err(error) => Err(classify(&error)),
            },
            refusal = board.refusal(server, family) => Err(refusal),
        },
    }
}

fn record_type(family: Family) -> RecordType {
    match family {
        Family::A => RecordType::A,
        Family::Aaaa => RecordType::AAAA,
    }
}

/// The name that was asked for in the end, where it is another one.
fn other_name(name: &str, asked: &Name) -> Option<String> {
    let asked = asked.to_ascii();
    let asked = asked.strip_suffix('.').unwrap_or(&asked);
    let name = name.strip_suffix('.').unwrap_or(name);
    (!asked.eq_ignore_ascii_case(name)).then(|| asked.to_owned())
}

fn hickory(
    server: &Nameserver,
    search: &[Name],
    conf: &ResolvConf,
) -> Result<TokioResolver, String> {
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    udp.port = server.address.port();
    tcp.port = server.address.port();
    let ways = if server.through == Through::Tcp { vec![tcp] } else { vec![udp, tcp] };
    let servers = vec![NameServerConfig::new(server.address.ip(), true, ways)];
    let config = ResolverConfig::from_parts(None, search.to_vec(), servers);
    let mut options = ResolverOpts::default();
    options.ndots = usize::from(conf.ndots);
    // Rounds and times are ours.
    options.attempts = 0;
    options.timeout = conf.patience(conf.attempts);
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build().map_err(|error| error.to_string())
}

fn of_records(records: &[Record]) -> Result<Answer, DnsFailure> {
    let addresses: Vec<IpAddr> =
        records.iter().filter_map(|record| record.data.ip_addr()).collect();
    if addresses.is_empty() {
        Err(DnsFailure::new(DnsKind::Nodata, "an answer without an address"))
    } else {
        Ok(Answer::Addresses(addresses))
    }
}

fn classify(error: &NetError) -> DnsFailure {
    let kind = match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NoError => DnsKind::Nodata,
            code => of_code(code),
        },
        NetError::Dns(DnsError::ResponseCode(code)) => of_code(*code),
        NetError::Timeout => DnsKind::Timeout,
        NetError::Truncated => DnsKind::Truncated,
        NetError::Proto(_) => DnsKind::Malformed,
        NetError::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            DnsKind::PortClosed
        }
        NetError::Io(_) | NetError::NoConnections => DnsKind::Transport,
        _ => DnsKind::Other,
    };
    DnsFailure::new(kind, error.to_string())
}

fn of_code(code: ResponseCode) -> DnsKind {
    match code {
        ResponseCode::NXDomain => DnsKind::Nxdomain,
        ResponseCode::ServFail => DnsKind::Servfail,
        ResponseCode::Refused => DnsKind::Refused,
        ResponseCode::NoError => DnsKind::Nodata,
        _ => DnsKind::RcodeOther,
    }
}
