//! Each server asked by itself: the facts beside the walk.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use egressd::observation::{DnsKind, ExtendedError, Family, Flaw, Question, Role, Transport, Trip};

use super::{HOME, ask, site, way};
use crate::layers::{AMPLE, BRIEF, LEAF, NAME, PUBLIC, Way, finding, resolver, table};
use crate::support::dns::{Behaviour, DnsServer, Zone};
use crate::support::http::{self, HttpServer};
use crate::support::tcp::ClosedPort;
use crate::support::tls::{Behaviour as Tls, TlsServer};

/// The question for A over that transport.
#[track_caller]
fn question(trip: &Trip, transport: Transport) -> &Question {
    let of = |question: &&Question| {
        question.family == Family::A && question.server.transport == transport
    };
    trip.lookup.questions.iter().find(of).expect("it was asked")
}

fn kind(question: &Question) -> Option<DnsKind> {
    question.stop.as_ref().map(|failure| failure.kind)
}

fn addresses(question: &Question) -> Vec<IpAddr> {
    question.reply.iter().flat_map(|reply| &reply.addresses).map(|found| found.address).collect()
}

#[test]
fn every_behaviour_has_its_own_finding() {
    let rows = [
        (Behaviour::Nxdomain, Some(DnsKind::Nxdomain)),
        (Behaviour::Nodata, Some(DnsKind::Nodata)),
        (Behaviour::Servfail, Some(DnsKind::Servfail)),
        (Behaviour::Refused, Some(DnsKind::Refused)),
        (Behaviour::Silent, Some(DnsKind::Timeout)),
        (Behaviour::Garbage, Some(DnsKind::Malformed)),
        (Behaviour::WrongId, Some(DnsKind::WrongId)),
        (Behaviour::WrongQuestion, Some(DnsKind::WrongQuestion)),
        (Behaviour::TruncatedUdpNoTcp, Some(DnsKind::Truncated)),
        (Behaviour::Blocked(15), Some(DnsKind::Nxdomain)),
    ];
    for (behaviour, expected) in rows {
        let (trip, _) = ask(behaviour, BRIEF);
        let question = question(&trip, Transport::Udp);
        assert_eq!(kind(question), expected, "{behaviour:?}: {question:?}");
        assert_eq!(question.server.role, Role::Configured);
        assert!(question.seconds > 0.0 && question.seconds <= trip.seconds, "{behaviour:?}");
    }
}

/// A trip that goes on long after all answers: its site is silent.
fn watched(servers: &[&DnsServer]) -> Trip {
    let site = HttpServer::start(http::Behaviour::NoAnswer);
    let url = format!("http://{NAME}:{}/", site.address().port());
    let way = servers.iter().fold(Way::to(url), |way, server| way.asking(server.address()));
    let trip = way.within(BRIEF).walk();
    assert_eq!(finding(&trip), "http timeout", "{trip:?}");
    trip
}

#[test]
fn an_answer_is_kept_with_all_that_it_says() {
    let zone = Zone::new().alias(NAME, "edge.layers.test").address("edge.layers.test", HOME);
    let trip = watched(&[&DnsServer::start(zone)]);
    let question = question(&trip, Transport::Udp);
    let reply = question.reply.as_ref().expect("an answer");
    assert_eq!((reply.rcode, reply.soa, question.sent), (0, false, 1));
    assert!(reply.flags.ra && !reply.flags.aa && !reply.flags.tc && reply.bytes > 12);
    let aliases: Vec<(&str, &str, u32)> =
        reply.aliases.iter().map(|a| (a.name.as_str(), a.target.as_str(), a.ttl)).collect();
    assert_eq!(aliases, [(NAME, "edge.layers.test", 60)]);
    assert_eq!((reply.addresses[0].address, reply.addresses[0].ttl), (HOME, 60));
    let denied = trip.lookup.questions.iter().find(|q| q.family == Family::Aaaa).expect("asked");
    assert_eq!(kind(denied), Some(DnsKind::Nodata));
    assert!(denied.reply.as_ref().expect("an answer").soa);
}

#[test]
fn a_filter_that_says_so_is_quoted() {
    let (trip, _) = ask(Behaviour::Blocked(15), BRIEF);
    let reply = question(&trip, Transport::Udp).reply.as_ref().expect("an answer");
    let error = ExtendedError { code: 15, text: "blocked by policy".to_owned() };
    assert_eq!((reply.errors.as_slice(), reply.soa, reply.flags.ra), (&[error][..], false, false));
}

#[test]
fn a_second_answer_that_differs_is_seen_and_one_that_agrees_is_none() {
    let real = IpAddr::from(Ipv4Addr::new(127, 0, 0, 66));
    let (first, second) = (resolver(&[real]), resolver(&[HOME]));
    first.set(NAME, Behaviour::Forged(Ipv4Addr::LOCALHOST));
    second.set(NAME, Behaviour::WrongIdFirst);
    let trip = watched(&[&first, &second]);
    let of = |server: &DnsServer| {
        let asked = |q: &&Question| q.server.address == server.address() && q.family == Family::A;
        trip.lookup.questions.iter().find(asked).expect("it was asked")
    };
    let question = of(&first);
    assert_eq!(addresses(question), [HOME]);
    let late: Vec<IpAddr> =
        question.late.iter().flat_map(|late| &late.addresses).map(|found| found.address).collect();
    assert_eq!((late.as_slice(), kind(question)), (&[real][..], None));
    let question = of(&second);
    let flaws: Vec<Flaw> = question.strays.iter().map(|stray| stray.flaw).collect();
    assert_eq!((addresses(question), flaws), (vec![HOME], vec![Flaw::WrongId]));
    assert!(question.late.is_empty() && question.stop.is_none(), "{question:?}");
}

#[test]
fn servers_that_disagree_are_seen_beside_the_walk() {
    let (first, second) = (resolver(&[HOME]), resolver(&[]));
    second.set(NAME, Behaviour::Blocked(17));
    let trip = watched(&[&first, &second]);
    let seen: Vec<(Option<DnsKind>, usize)> = trip
        .lookup
        .questions
        .iter()
        .filter(|question| question.family == Family::A)
        .map(|question| (kind(question), addresses(question).len()))
        .collect();
    assert_eq!(seen, [(None, 1), (Some(DnsKind::Nxdomain), 0)]);
}

#[test]
fn a_truncated_answer_and_its_whole_are_two_questions() {
    let server = resolver(&[HOME]);
    server.set(NAME, Behaviour::TruncatedUdp);
    let trip = watched(&[&server]);
    let (udp, tcp) = (question(&trip, Transport::Udp), question(&trip, Transport::Tcp));
    assert!(udp.reply.as_ref().is_some_and(|reply| reply.flags.tc) && udp.stop.is_none());
    assert_eq!((addresses(tcp), kind(tcp)), (vec![HOME], None));
}

#[test]
fn a_silent_server_is_asked_again_and_never_waited_for() {
    let (first, second) = (resolver(&[HOME]), resolver(&[HOME]));
    second.set(NAME, Behaviour::Silent);
    let site = site();
    let trip = way(&site, &first).asking(second.address()).within(AMPLE).walk();
    assert_eq!(finding(&trip), "401 over 1.1");
    let of_second = |q: &&Question| q.server.address == second.address();
    let silent: Vec<&Question> = trip.lookup.questions.iter().filter(of_second).collect();
    assert_eq!(silent.len(), 2, "both families");
    for question in silent {
        // Neither answer nor failure: the trip was over before, and only this question is listened for.
        assert!(question.reply.is_none() && question.stop.is_none(), "{question:?}");
        assert!(question.seconds > trip.seconds, "{} {}", question.seconds, trip.seconds);
    }
    // Where there is no other, it is: once a second has passed.
    let trip = way(&site, &second).within(Duration::from_millis(1500)).walk();
    assert_eq!(finding(&trip), "dns timeout");
    assert_eq!(question(&trip, Transport::Udp).sent, 2);
}

/// A server that sends more than anybody looks at, and no answer.
fn flood() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = socket.local_addr().expect("its address");
    thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut question) {
            question[0] ^= 0xff;
            question[2] |= 0x80;
            for _ in 0..100 {
                socket.send_to(&question[..length], peer).ok();
            }
        }
    });
    address
}

#[test]
fn a_flood_of_what_is_no_answer_ends_the_question_with_its_reason() {
    // Answers once all of it has come.
    let answer = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_owned();
    let site = HttpServer::start(http::Behaviour::Pieces(vec![answer], Duration::from_millis(300)));
    let (flood, server) = (flood(), resolver(&[HOME]));
    let trip = way(&site, &server).asking(flood).within(AMPLE).walk();
    assert_eq!(finding(&trip), "401 over 1.1");
    let flooded = trip.lookup.questions.iter().filter(|q| q.server.address == flood);
    for question in flooded {
        assert_eq!(kind(question), Some(DnsKind::WrongId), "{question:?}");
        assert_eq!(question.strays.len(), 4);
    }
}

#[test]
fn each_transport_has_its_own_findings() {
    let (site, plain, closed) = (site(), resolver(&[HOME]), ClosedPort::hold());
    let tls = DnsServer::start_tls(&LEAF, Zone::new().address(NAME, HOME));
    let other = DnsServer::start_tls(&PUBLIC.leaf(&["elsewhere.test"]), Zone::new());
    let page = TlsServer::start(&LEAF, Tls::Serve(http::Behaviour::HtmlBlockPage(200)));
    let denied = TlsServer::start(&LEAF, Tls::Serve(http::Behaviour::HtmlBlockPage(403)));
    let at = |scheme: &str, address: SocketAddr| format!("{scheme}://{address}");
    let rows = [
        (at("tcp", plain.address()), "401 over 1.1"),
        (at("tcp", closed.address()), "dns port_closed"),
        (at("tls", tls.address()), "401 over 1.1"),
        (format!("tls://{}#{NAME}", tls.address()), "401 over 1.1"),
        (at("tls", closed.address()), "dns port_closed"),
        (at("tls", other.address()), "dns transport"),
        // It takes the hello for the length of a question, and waits for the rest.
        (at("tls", plain.address()), "dns timeout"),
        (at("https", page.address()), "dns malformed"),
        (at("https", denied.address()), "dns transport"),
    ];
    let trips = table(&rows, |server| {
        let url = format!("http://{NAME}:{}/", site.address().port());
        Way::to(url).asking_by(server).within(Duration::from_secs(3)).walk()
    });
    // RFC 9110 7.2: with the port, where it is not the scheme's.
    let authority = page.address().to_string();
    let requests = page.requests();
    assert!(requests.iter().all(|r| r.header("host") == Some(&authority)), "{requests:?}");
    assert!(!requests.is_empty());
    for (trip, (server, expected)) in trips.iter().zip(&rows) {
        let scheme = server.split(':').next();
        let asked = |q: &&Question| Some(q.server.transport.label()) == scheme;
        let question = trip.lookup.questions.iter().find(asked).expect("it was asked");
        assert_eq!(question.stop.is_some(), expected.starts_with("dns"), "{question:?}");
    }
}
