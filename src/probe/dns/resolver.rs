//! The walk's own look-up: the servers in the order and with the patience of `resolv.conf`, hickory's
//! resolver for those that are asked in the clear, our own exchange for the others.
//!
//! Nothing is cached: a check that is answered from memory checks nothing.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Record, RecordType};
use tokio::time::{Instant, timeout_at};

use super::questions::Board;
use super::resolv_conf::ResolvConf;
use crate::observation::{Answer, DnsFailure, DnsKind, Family};
use crate::plan::{Nameserver, Through};

/// The servers of this host, or those that a trip wants instead.
pub(super) struct Resolver {
    servers: Vec<Nameserver>,
    conf: ResolvConf,
    /// With `rotate`, where the next question begins.
    next: AtomicUsize,
}

/// What came of both questions.
pub(super) struct Answers {
    pub(super) a: Answer,
    pub(super) aaaa: Answer,
    /// The name that was answered, where the search list made another one of it.
    pub(super) searched: Option<String>,
}

/// A name, and whether the search list made it.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    name: &'a str,
    searched: bool,
}

impl Resolver {
    pub(super) fn new(servers: &[Nameserver], conf: &ResolvConf) -> Self {
        Self { servers: servers.to_vec(), conf: conf.clone(), next: AtomicUsize::new(0) }
    }

    /// The same search list and times, with other servers.
    pub(super) fn of(&self, servers: &[Nameserver]) -> Self {
        Self::new(servers, &self.conf)
    }

    /// Both questions for the names that the search list makes of one, in turn. A name that has an
    /// address of either family is the one (glibc `resolv/res_query.c`): the other family is not looked
    /// for under the next, where a wildcard may have somebody else's.
    pub(super) async fn ask_both(
        &self,
        name: &str,
        board: &Board,
        times: (Instant, Duration),
    ) -> Answers {
        let mut kept = None;
        for candidate in self.conf.candidates(name) {
            let searched = candidate != name;
            // Whom only our own question asks, it asks for the name as it is.
            if searched && self.servers.iter().all(is_ours) {
                continue;
            }
            let wanted = Wanted { name: &candidate, searched };
            let (a, aaaa) = self.of_one_name(wanted, board, times).await;
            let goes_on = [&a, &aaaa].into_iter().all(leaves_it_to_the_next_name);
            let found = [&a, &aaaa].into_iter().any(|answer| answer.failure().is_none());
            let answers = Answers { a, aaaa, searched: None };
            if found {
                return Answers { searched: searched.then_some(candidate), ..answers };
            }
            // What was said of the name as it is counts, where it was asked for first.
            if kept.as_ref().is_none_or(|(searched, _)| *searched) {
                kept = Some((searched, answers));
            }
            if !goes_on {
                break;
            }
        }
        kept.map_or_else(
            || Answers { a: silent(), aaaa: silent(), searched: None },
            |(_, answers)| answers,
        )
    }

    /// Both families at the same time. Once one has an address the other is waited for as long as
    /// `patience`, so that a silent AAAA does not take the time of the whole trip.
    async fn of_one_name(
        &self,
        wanted: Wanted<'_>,
        board: &Board,
        (deadline, patience): (Instant, Duration),
    ) -> (Answer, Answer) {
        // The C library asks one server for both.
        let begin = if self.conf.rotate { self.next.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let a = self.ask(wanted, (Family::A, begin), board, deadline);
        let aaaa = self.ask(wanted, (Family::Aaaa, begin), board, deadline);
        tokio::pin!(a, aaaa);
        let until = |first: &Answer| {
            let found = first.failure().is_none();
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
    async fn ask(
        &self,
        wanted: Wanted<'_>,
        (family, begin): (Family, usize),
        board: &Board,
        deadline: Instant,
    ) -> Answer {
        let mut last = DnsFailure::new(DnsKind::Timeout, "no answer");
        let count = self.servers.len();
        for place in (0..self.conf.attempts).flat_map(|_| 0..count) {
            let at = (begin + place) % count;
            let Some(server) = self.servers.get(at) else { break };
            // A dead first server must leave time for the others, also in a short trip.
            let now = Instant::now();
            let share = deadline.saturating_duration_since(now)
                / u32::try_from(count - place).unwrap_or(u32::MAX);
            let until = now + share.min(self.conf.patience(at));
            match timeout_at(until, self.one(server, wanted, family, board)).await {
                Err(_) if Instant::now() >= deadline => break,
                Err(_) => {}
                Ok(Ok(found)) => return found,
                Ok(Err(denial)) if matches!(denial.kind, DnsKind::Nxdomain | DnsKind::Nodata) => {
                    return Answer::Failed(denial);
                }
                // Of several servers the one that said most.
                Ok(Err(failure)) if telling(failure.kind) >= telling(last.kind) => last = failure,
                Ok(Err(_)) => {}
            }
        }
        Answer::Failed(last)
    }

    /// One server. The C library's socket is connected: it learns at once that a port is closed, and
    /// goes on.
    async fn one(
        &self,
        server: &Nameserver,
        wanted: Wanted<'_>,
        family: Family,
        board: &Board,
    ) -> Result<Answer, DnsFailure> {
        if is_ours(server) {
            return if wanted.searched {
                Err(DnsFailure::new(DnsKind::Other, "it is not asked for names of the search list"))
            } else {
                board.answer(server, family).await
            };
        }
        let resolver = hickory(server)?;
        let name = format!("{}.", wanted.name.trim_end_matches('.'));
        tokio::select! {
            found = resolver.lookup(name, record_type(family)) => match found {
                Ok(found) => of_records(found.answers()),
                Err(error) => Err(classify(&error)),
            },
            refusal = board.refusal(server, family) => Err(refusal),
        }
    }
}

/// Whether the question that is put to a server anyway is the walk's too: hickory is built without TLS,
/// and knows no interface of a link-local address.
fn is_ours(server: &Nameserver) -> bool {
    let scoped = matches!(server.address, SocketAddr::V6(address) if address.scope_id() != 0);
    scoped || matches!(server.through, Through::Tls(_) | Through::Https(..))
}

fn silent() -> Answer {
    Answer::Failed(DnsFailure::new(DnsKind::Timeout, "no answer"))
}

/// How much a failure says of the name: an answer the most, silence the least.
fn telling(kind: DnsKind) -> u8 {
    match kind {
        DnsKind::Nxdomain
        | DnsKind::Nodata
        | DnsKind::Servfail
        | DnsKind::Refused
        | DnsKind::RcodeOther => 3,
        DnsKind::Malformed | DnsKind::WrongId | DnsKind::WrongQuestion | DnsKind::Truncated => 2,
        DnsKind::PortClosed | DnsKind::Icmp => 1,
        DnsKind::Timeout | DnsKind::UnusableAddress | DnsKind::Transport | DnsKind::Other => 0,
    }
}

/// A denial is about one name, and so may a failure be. Who is silent or refuses does so for the next.
fn leaves_it_to_the_next_name(answer: &Answer) -> bool {
    let kind = answer.failure().map(|failure| failure.kind);
    matches!(kind, Some(DnsKind::Nxdomain | DnsKind::Nodata | DnsKind::Servfail))
}

fn record_type(family: Family) -> RecordType {
    match family {
        Family::A => RecordType::A,
        Family::Aaaa => RecordType::AAAA,
    }
}

/// hickory's resolver for one question to one server: its own pool gives a server that is silent the
/// whole time of a question, and never comes to the next; and it keeps connections, so that a later
/// check would fail of one that the server has closed since, or pass where none can be made any more.
fn hickory(server: &Nameserver) -> Result<TokioResolver, DnsFailure> {
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    udp.port = server.address.port();
    tcp.port = server.address.port();
    let ways = if server.through == Through::Tcp { vec![tcp] } else { vec![udp, tcp] };
    let servers = vec![NameServerConfig::new(server.address.ip(), true, ways)];
    let config = ResolverConfig::from_parts(None, Vec::new(), servers);
    let mut options = ResolverOpts::default();
    // Rounds and times are ours: this is longer than any of them.
    options.attempts = 0;
    options.timeout = Duration::from_secs(60);
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build().map_err(|error| DnsFailure::new(DnsKind::Other, error.to_string()))
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
