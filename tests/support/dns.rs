//! A resolver on UDP and TCP of one port of 127.0.0.1, which answers from its zone, or as badly as it is told to.
//!
//! It answers as a recursive resolver would: nothing is delegated, nothing is signed, and negative answers carry a SOA.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_resolver::proto::op::{Edns, Message, Metadata, Query as Question, ResponseCode};
use hickory_resolver::proto::rr::rdata::opt::EdnsOption;
use hickory_resolver::proto::rr::rdata::{CNAME, SOA};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::pki::Leaf;
use super::{Background, Journal, reap};

/// What the server does with a question. `Aaaa…` touch only questions for that type, and answer all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// From the zone: its records, NODATA for another type, NXDOMAIN for another name.
    Answer,
    Nxdomain,
    Nodata,
    Servfail,
    Refused,
    /// Takes the question and says nothing; on TCP the connection stays open.
    Silent,
    /// Bytes that are no DNS message.
    Garbage,
    /// The answer under another id.
    WrongId,
    /// The answer to another question, under the right id.
    WrongQuestion,
    /// TC over UDP, the answer over TCP.
    TruncatedUdp,
    /// TC over UDP, and a connection that is reset instead of an answer over TCP.
    TruncatedUdpNoTcp,
    /// The answer, after that time.
    Late(Duration),
    AaaaSilent,
    AaaaServfail,
    AaaaLate(Duration),
    /// The answer twice: first with another address, as somebody on the way would forge it.
    Forged(Ipv4Addr),
    /// The answer under another id first, then the answer.
    WrongIdFirst,
    /// NXDOMAIN with this extended error (RFC 8914) and without an SOA or recursion, as a filter says it.
    Blocked(u16),
}

/// Records and behaviours by name, in any case and without the last dot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Zone {
    records: HashMap<String, Vec<RData>>,
    ttls: HashMap<String, u32>,
    behaviours: HashMap<String, Behaviour>,
}

/// One question that arrived. The name is in lower case and without the last dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) name: String,
    /// As in `AAAA`.
    pub(crate) record_type: String,
    pub(crate) over_tcp: bool,
}

/// A running resolver.
#[derive(Debug)]
pub(crate) struct DnsServer {
    address: SocketAddr,
    state: Arc<State>,
    _background: Background,
}

#[derive(Debug)]
struct State {
    zone: Mutex<Zone>,
    queries: Journal<Query>,
}

impl Zone {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds an A or AAAA record; several of one name are answered in this order.
    pub(crate) fn address(self, name: &str, address: impl Into<IpAddr>) -> Self {
        self.record(name, RData::from(address.into()))
    }

    /// Adds a CNAME, which is followed inside the zone.
    pub(crate) fn alias(self, name: &str, target: &str) -> Self {
        self.record(name, RData::CNAME(CNAME(fqdn(target))))
    }

    fn record(mut self, name: &str, data: RData) -> Self {
        self.records.entry(key(name)).or_default().push(data);
        self
    }
}

impl DnsServer {
    pub(crate) fn start(zone: Zone) -> Self {
        Self::start_on(bind_both(), zone)
    }

    /// The same at that very address, which nobody else has.
    pub(crate) fn start_at(address: SocketAddr, zone: Zone) -> Self {
        let udp = UdpSocket::bind(address).expect("a free UDP port");
        let tcp = TcpListener::bind(address).expect("a free TCP port");
        udp.set_nonblocking(true).expect("a socket that does not block");
        tcp.set_nonblocking(true).expect("a listener that does not block");
        Self::start_on((udp, tcp), zone)
    }

    fn start_on((udp, tcp): (UdpSocket, TcpListener), zone: Zone) -> Self {
        let address = udp.local_addr().expect("the socket's address");
        let state = Arc::new(State { zone: Mutex::new(zone), queries: Journal::new() });
        let shared = Arc::clone(&state);
        let background = Background::run(move || serve(udp, tcp, shared));
        Self { address, state, _background: background }
    }

    /// The same zone behind TLS only (RFC 7858).
    pub(crate) fn start_tls(leaf: &Leaf, zone: Zone) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let address = listener.local_addr().expect("the listener's address");
        let acceptor = TlsAcceptor::from(leaf.server_config(&[]));
        let state = Arc::new(State { zone: Mutex::new(zone), queries: Journal::new() });
        let shared = Arc::clone(&state);
        let background = Background::run(move || serve_tls(listener, acceptor, shared));
        Self { address, state, _background: background }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes a name's behaviour, or with `.` that of every name without its own, from the next question on.
    pub(crate) fn set(&self, name: &str, behaviour: Behaviour) {
        self.state
            .zone
            .lock()
            .expect("no panic while locked")
            .behaviours
            .insert(key(name), behaviour);
    }

    /// Every question so far, in order.
    pub(crate) fn queries(&self) -> Vec<Query> {
        self.state.queries.entries()
    }
}

/// The kernel picks the UDP port; where something else has that number on TCP, it picks again.
fn bind_both() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free UDP port");
        let address = udp.local_addr().expect("the socket's address");
        match TcpListener::bind(address) {
            Ok(tcp) => {
                udp.set_nonblocking(true).expect("a socket that does not block");
                tcp.set_nonblocking(true).expect("a listener that does not block");
                return (udp, tcp);
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => panic!("cannot listen on {address}: {error}"),
        }
    }
}

async fn serve(udp: UdpSocket, tcp: TcpListener, state: Arc<State>) {
    let udp = Arc::new(tokio::net::UdpSocket::from_std(udp).expect("a socket in a runtime"));
    let tcp = tokio::net::TcpListener::from_std(tcp).expect("a listener in a runtime");
    let mut tasks = JoinSet::new();
    let mut datagram = vec![0; 65_535];
    loop {
        tokio::select! {
            // An error here is the ICMP message to an earlier answer.
            received = udp.recv_from(&mut datagram) => if let Ok((length, peer)) = received {
                let reaction = react(&datagram[..length], &state, false);
                let udp = Arc::clone(&udp);
                tasks.spawn(async move {
                    for answer in reaction.take_time().await {
                        udp.send_to(&answer, peer).await.ok();
                    }
                });
            },
            accepted = tcp.accept() => if let Ok((stream, _)) = accepted {
                let state = Arc::clone(&state);
                tasks.spawn(async move {
                    serve_tcp(stream, &state).await.ok();
                });
            },
            () = reap(&mut tasks) => {}
        }
    }
}

async fn serve_tls(listener: TcpListener, acceptor: TlsAcceptor, state: Arc<State>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener in a runtime");
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
                tasks.spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve_stream(stream, &state).await.ok();
                    }
                });
            },
            () = reap(&mut tasks) => {}
        }
    }
}

async fn serve_tcp(stream: TcpStream, state: &State) -> io::Result<()> {
    let linger = SockRef::from(&stream).try_clone()?;
    if serve_stream(stream, state).await?.is_reset() {
        linger.set_linger(Some(Duration::ZERO))?;
    }
    Ok(())
}

/// Answers until the peer goes, or is to be sent away.
async fn serve_stream<S>(mut stream: S, state: &State) -> io::Result<Reaction>
where
    S: AsyncReadExt + AsyncWriteExt + Unpin,
{
    loop {
        let length = stream.read_u16().await?;
        let mut question = vec![0; length.into()];
        stream.read_exact(&mut question).await?;
        match react(&question, state, true) {
            Reaction::Reset => return Ok(Reaction::Reset),
            other => {
                for answer in other.take_time().await {
                    let length =
                        u16::try_from(answer.len()).expect("an answer that fits its length field");
                    // One segment: some resolvers take a length that arrives alone for a broken answer.
                    stream.write_all(&[&length.to_be_bytes()[..], &answer].concat()).await?;
                    stream.flush().await?;
                }
            }
        }
    }
}

/// What follows a question.
enum Reaction {
    Nothing,
    Reset,
    Send(Vec<u8>),
    SendBoth(Vec<u8>, Vec<u8>),
    SendAfter(Duration, Vec<u8>),
}

impl Reaction {
    fn is_reset(&self) -> bool {
        matches!(self, Self::Reset)
    }

    async fn take_time(self) -> Vec<Vec<u8>> {
        match self {
            Self::Nothing | Self::Reset => Vec::new(),
            Self::Send(bytes) => vec![bytes],
            Self::SendBoth(first, second) => vec![first, second],
            Self::SendAfter(delay, bytes) => {
                tokio::time::sleep(delay).await;
                vec![bytes]
            }
        }
    }
}

fn react(bytes: &[u8], state: &State, over_tcp: bool) -> Reaction {
    let Ok(query) = Message::from_vec(bytes) else {
        return Reaction::Nothing;
    };
    let Some(question) = query.queries.first() else {
        return Reaction::Nothing;
    };
    let name = key(&question.name().to_ascii());
    let record_type = question.query_type();
    let zone = state.zone.lock().expect("no panic while locked");
    let behaviour = zone.behaviours.get(&name).or_else(|| zone.behaviours.get("")).copied();
    state.queries.push(Query { name, record_type: record_type.to_string(), over_tcp });
    let mut answer = zone.answer(&query, question);
    match behaviour.unwrap_or(Behaviour::Answer).for_type(record_type) {
        Behaviour::Nxdomain => answer = negative(bare(&query, question, ResponseCode::NXDomain)),
        Behaviour::Nodata => answer = negative(bare(&query, question, ResponseCode::NoError)),
        Behaviour::Servfail => answer = bare(&query, question, ResponseCode::ServFail),
        Behaviour::Refused => answer = bare(&query, question, ResponseCode::Refused),
        Behaviour::Silent => return Reaction::Nothing,
        Behaviour::Garbage => return Reaction::Send(b"\xff\xfenot a DNS message".to_vec()),
        Behaviour::WrongId => answer.metadata.id ^= 0xffff,
        Behaviour::WrongQuestion => {
            let other = fqdn("another-question.invalid");
            answer.answers.iter_mut().for_each(|record| record.name = other.clone());
            answer.queries = vec![Question::query(other, record_type)];
        }
        Behaviour::TruncatedUdp | Behaviour::TruncatedUdpNoTcp if !over_tcp => {
            answer = answer.truncate();
        }
        Behaviour::TruncatedUdpNoTcp => return Reaction::Reset,
        Behaviour::Late(delay) => return Reaction::SendAfter(delay, encoded(&answer)),
        Behaviour::Forged(address) if record_type == RecordType::A && !over_tcp => {
            let mut forged = bare(&query, question, ResponseCode::NoError);
            let data = RData::from(IpAddr::from(address));
            forged.add_answer(Record::from_rdata(question.name().clone(), 60, data));
            return Reaction::SendBoth(encoded(&forged), encoded(&answer));
        }
        Behaviour::WrongIdFirst => {
            let mut stray = answer.clone();
            stray.metadata.id ^= 0xffff;
            return Reaction::SendBoth(encoded(&stray), encoded(&answer));
        }
        Behaviour::Blocked(code) => answer = blocked(&query, question, code),
        Behaviour::Answer
        | Behaviour::TruncatedUdp
        | Behaviour::AaaaSilent
        | Behaviour::AaaaServfail
        | Behaviour::AaaaLate(_)
        | Behaviour::Forged(_) => {}
    }
    Reaction::Send(encoded(&answer))
}

impl Behaviour {
    fn for_type(self, record_type: RecordType) -> Self {
        match self {
            Self::AaaaSilent if record_type == RecordType::AAAA => Self::Silent,
            Self::AaaaServfail if record_type == RecordType::AAAA => Self::Servfail,
            Self::AaaaLate(delay) if record_type == RecordType::AAAA => Self::Late(delay),
            other => other,
        }
    }
}

impl Zone {
    fn answer(&self, query: &Message, question: &Question) -> Message {
        let mut message = bare(query, question, ResponseCode::NoError);
        let mut owner = question.name().clone();
        // As many aliases as there are names, so that a loop of them ends.
        for _ in 0..=self.records.len() {
            let name = key(&owner.to_ascii());
            let Some(records) = self.records.get(&name) else {
                // RFC 6604, section 3: the code is that of the last name of the chain.
                message.metadata.response_code = ResponseCode::NXDomain;
                break;
            };
            let ttl = self.ttls.get(&name).copied().unwrap_or(60);
            let of_type = |wanted: RecordType| {
                records.iter().filter(move |data| data.record_type() == wanted)
            };
            let before = message.answers.len();
            let found = of_type(question.query_type());
            message.add_answers(
                found.map(|data| Record::from_rdata(owner.clone(), ttl, data.clone())),
            );
            if message.answers.len() > before {
                return message;
            }
            let Some(RData::CNAME(target)) = of_type(RecordType::CNAME).next() else {
                break;
            };
            message.add_answer(Record::from_rdata(owner, ttl, RData::CNAME(target.clone())));
            owner = target.0.clone();
        }
        negative(message)
    }
}

/// An answer with the question, no record, and what a client of a recursive resolver expects of the header (RFC 1035, section 4.1.1; RFC 6891, section 7).
fn bare(query: &Message, question: &Question, code: ResponseCode) -> Message {
    let mut message = Message::response(query.metadata.id, query.metadata.op_code);
    message.metadata = Metadata::response_from_request(&query.metadata);
    message.metadata.recursion_available = true;
    message.metadata.response_code = code;
    message.add_query(question.clone());
    if query.edns.is_some() {
        message.set_edns(Edns::new());
    }
    message
}

/// Adds the SOA that says how long a negative answer may be kept (RFC 2308, section 3).
fn negative(mut message: Message) -> Message {
    let soa = SOA::new(fqdn("ns.invalid"), fqdn("admin.invalid"), 1, 3600, 600, 86_400, 60);
    message.add_authority(Record::from_rdata(Name::root(), 60, RData::SOA(soa)));
    message
}

/// A filter's denial, with its own reason.
fn blocked(query: &Message, question: &Question, code: u16) -> Message {
    let mut message = bare(query, question, ResponseCode::NXDomain);
    message.metadata.recursion_available = false;
    let mut edns = Edns::new();
    let data = [&code.to_be_bytes()[..], b"blocked by policy"].concat();
    edns.options_mut().insert(EdnsOption::Unknown(15, data));
    message.set_edns(edns);
    message
}

fn encoded(message: &Message) -> Vec<u8> {
    message.to_vec().expect("a message that can be encoded")
}

fn key(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

fn fqdn(name: &str) -> Name {
    let mut name = Name::from_ascii(name).expect("a name that DNS can carry");
    name.set_fqdn(true);
    name
}
