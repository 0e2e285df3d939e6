//! SOCKS5: every step of it broken, every reply, the login, and what the proxy is told.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use egressd::observation::{Login, Scheme, Trip};
use egressd::plan::Credential;

use super::super::{AMPLE, BRIEF, BUFFERS, NAME, Way, finding, resolver, table};
use super::{KEY, logged_in, password, refusal, site};
use crate::support::script::{Script, Scripted, Step};
use crate::support::wire::Ending::{self, Close, Reset, Silent};
use Step::{Carry, Read, Repeat};

/// What it is called, whether there is a login, and what the proxy does.
type Row = ((&'static str, bool, Script), &'static str);

/// Bytes of a request for [`NAME`].
const REQUEST: usize = 4 + 1 + NAME.len() + 2;
/// A success, bound to nothing.
const OPENED: &[u8] = b"\x05\x00\x00\x01\0\0\0\0\0\0";

fn say(bytes: &[u8]) -> Step {
    Step::Say(bytes.to_vec())
}

/// Takes the greeting, wants no login, takes the request.
fn asked() -> Script {
    vec![Read(3), say(b"\x05\x00"), Read(REQUEST)]
}

/// Wants a login, and takes it.
fn logging_in() -> Script {
    vec![Read(4), say(b"\x05\x02"), Read(1 + 1 + 3 + 1 + 5)]
}

fn and(script: Script, steps: &[Step]) -> Script {
    [script, steps.to_vec()].concat()
}

fn login() -> Credential {
    password(Scheme::Basic, "svc", "right")
}

fn walk(script: &Script, with_login: bool, timeout: Duration) -> (Trip, Scripted) {
    let proxy = Scripted::start(vec![script.clone()]);
    let way = Way::to(format!("https://{NAME}/v1/models"));
    let way = way.by(format!("socks5h://{}", proxy.address()), "").within(timeout);
    let way = Way { provider: "anthropic", key: Some(KEY), ..way };
    let trip = if with_login { logged_in(&way, login()) } else { way.walk() };
    (trip, proxy)
}

/// Walks the rows, each with its bounds in time and memory.
fn hold(rows: &[Row]) -> Vec<Trip> {
    table(rows, |(what, with_login, script)| {
        let expected = rows.iter().find(|((name, ..), _)| name == what).expect("a row").1;
        let timeout = if expected.ends_with("timeout") { BRIEF } else { AMPLE };
        let (trip, proxy) = walk(script, *with_login, timeout);
        let connections = proxy.wait_closed(1);
        assert_eq!(connections.len(), 1, "{what}");
        assert!(connections[0].sent < BUFFERS, "{what}: {:?}", connections[0]);
        let seconds = connections[0].seconds_until_closed.expect("an end");
        assert!(seconds < AMPLE.as_secs_f64() / 2.0, "{what}: {seconds}");
        let at_the_proxy = finding(&trip).starts_with("proxy");
        assert_eq!(trip.legs[0].tunnelled.is_none(), at_the_proxy, "{what}");
        if at_the_proxy {
            let refusal = refusal(&trip);
            assert!(refusal.socket.is_some() && refusal.status.is_none(), "{what}: {refusal:?}");
            assert!(!refusal.body.contains("right"), "{what}: {}", refusal.body);
        }
        trip
    })
}

#[test]
fn every_step_can_break_off() {
    let steps = |ending: Ending| {
        let end = Step::End(ending);
        let replied = |bytes: &[u8]| and(asked(), &[say(bytes), end.clone()]);
        let logged = |bytes: &[u8]| and(logging_in(), &[say(bytes), end.clone()]);
        vec![
            ("the greeting", false, vec![Read(3), end.clone()]),
            ("half a method", false, vec![Read(3), say(b"\x05"), end.clone()]),
            ("the method", false, vec![Read(3), say(b"\x05\x00"), Read(1), end.clone()]),
            ("the request", false, and(asked(), std::slice::from_ref(&end))),
            ("half a reply", false, replied(b"\x05")),
            ("no bound address", false, replied(b"\x05\x00\x00")),
            ("half a bound address", false, replied(b"\x05\x00\x00\x01\x7f\0")),
            ("half a bound name", false, replied(b"\x05\x00\x00\x03\xffproxy")),
            ("no port", false, replied(b"\x05\x00\x00\x01\x7f\0\0\x01")),
            ("the login", true, and(logging_in(), std::slice::from_ref(&end))),
            ("half an answer to the login", true, logged(b"\x01")),
            (
                "the answer to the login",
                true,
                and(logging_in(), &[say(b"\x01\x00"), Read(1), end.clone()]),
            ),
            (
                "the request after a login",
                true,
                and(logging_in(), &[say(b"\x01\x00"), Read(REQUEST), end.clone()]),
            ),
        ]
    };
    for (ending, expected) in
        [(Silent, "proxy timeout"), (Close, "proxy closed"), (Reset, "proxy reset")]
    {
        let rows: Vec<Row> = steps(ending).into_iter().map(|row| (row, expected)).collect();
        for (trip, ((what, with_login, _), _)) in hold(&rows).iter().zip(&rows) {
            let login = refusal(trip).login;
            let expected = if *with_login { Login::Sent(Scheme::Basic) } else { Login::None };
            assert_eq!(login, expected, "{what}");
        }
    }
    let unasked = [
        (("silent", false, vec![Step::End(Silent)]), "proxy timeout"),
        (("closed", false, vec![Step::End(Close)]), "proxy closed"),
    ];
    hold(&unasked);
}

#[test]
fn another_protocol_is_not_a_proxy() {
    let no = "proxy not_a_proxy";
    let first = |bytes: &[u8]| vec![Read(3), say(bytes)];
    let replied = |bytes: &[u8]| and(asked(), &[say(bytes)]);
    let rows = [
        (("HTTP", false, first(b"HTTP/1.1 400 Bad Request\r\nServer: squid\r\n\r\n")), no),
        (("a TLS alert", false, first(b"\x15\x03\x03\x00\x02\x02\x50")), no),
        (("SSH", false, first(b"SSH-2.0-OpenSSH_9.6\r\n")), no),
        (("SMTP", false, first(b"220 mail.layers.test ESMTP\r\n")), no),
        (("SOCKS4", false, first(b"\x00\x5b\0\0\0\0\0\0")), no),
        (("garbage", false, first(b"\x00\x01\x02 what nobody speaks \xfd\xfe\xff")), no),
        (("without end", false, vec![Read(3), Repeat(vec![b'x'; 4096])]), no),
        (("GSSAPI unasked", false, first(b"\x05\x01")), no),
        (("a method that nobody has", false, first(b"\x05\x80")), no),
        (("GSSAPI for a login", true, vec![Read(4), say(b"\x05\x01")]), no),
        (("SOCKS4 later", false, replied(b"\x04\x00\x00\x01\0\0\0\0\0\0")), no),
        (("an address of no kind", false, replied(b"\x05\x00\x00\x02\0\0\0\0\0\0")), no),
        (("no kind of address", false, replied(b"\x05\x00\x00\x00\0\0\0\0\0\0")), no),
        (("HTTP later", false, replied(b"HTTP/1.1 400 Bad Request\r\n\r\n")), no),
        (("garbage for a login", true, and(logging_in(), &[say(b"\x09\x09 right")])), no),
        (("without end for a login", true, and(logging_in(), &[Repeat(vec![b'x'; 4096])])), no),
        // A port that sends back what it is sent looks like one that wants a login.
        (("an echo", true, and(logging_in(), &[say(b"\x00\x02\x01\x03svc\x05right")])), no),
    ];
    let trips = hold(&rows);
    let bodies: Vec<String> = trips.iter().map(|trip| refusal(trip).body).collect();
    // What it said beside its first two bytes shows what it is.
    assert_eq!(bodies[0], r"HTTP/1.1 400 Bad Request\r\nServer: squid\r\n\r\n");
    assert_eq!(bodies[1], r"\x15\x03\x03\x00\x02\x02P");
    assert_eq!(bodies[2], r"SSH-2.0-OpenSSH_9.6\r\n");
    assert_eq!(bodies[16], r"\x05\x02\x00\x02");
}

#[test]
fn every_reply_keeps_its_number() {
    let codes: [u8; 10] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 255];
    // Some close with the number, others say the address too.
    let rows: Vec<((u8, bool), &str)> = codes
        .iter()
        .flat_map(|code| [((*code, false), "proxy status"), ((*code, true), "proxy status")])
        .collect();
    table(&rows, |(code, whole)| {
        let reply = [0x05, *code, 0, 1, 0, 0, 0, 0, 0, 0];
        let reply = if *whole { &reply[..] } else { &reply[..2] };
        let (trip, _) = walk(&and(asked(), &[say(reply)]), false, AMPLE);
        let failure = refusal(&trip);
        assert_eq!((failure.socks, failure.status), (Some(*code), None));
        assert_eq!(failure.answer(), Some(u16::from(*code)));
        trip
    });
}

#[test]
fn a_login_is_refused_in_four_ways() {
    let none = |with_login| {
        if with_login { vec![Read(4), say(b"\x05\xff")] } else { vec![Read(3), say(b"\x05\xff")] }
    };
    let refused = |bytes: &[u8]| and(logging_in(), &[say(bytes)]);
    let rows = [
        (("no method, no login", false, none(false)), "proxy auth"),
        (("no method", true, none(true)), "proxy auth"),
        (("a login unoffered", false, vec![Read(3), say(b"\x05\x02")]), "proxy auth"),
        (("refused", true, refused(b"\x01\x01")), "proxy auth"),
        (("refused with the wrong version", true, refused(b"\x05\x01")), "proxy auth"),
        (("refused with another number", true, refused(b"\x01\xff")), "proxy auth"),
    ];
    let logins: Vec<(String, Vec<String>)> = hold(&rows)
        .iter()
        .map(|trip| (refusal(trip).login.label().to_owned(), refusal(trip).offers))
        .collect();
    let basic = || vec!["basic".to_owned()];
    let expected = [
        ("none", basic()),
        ("not_offered", Vec::new()),
        ("none", basic()),
        ("rejected", basic()),
        ("rejected", basic()),
        ("rejected", basic()),
    ];
    for ((found, expected), (row, _)) in logins.iter().zip(&expected).zip(&rows) {
        assert_eq!((found.0.as_str(), &found.1), (expected.0, &expected.1), "{}", row.0);
    }
}

/// The password of a login by digests never travels as it is, whatever the proxy asks for.
#[test]
fn a_login_by_another_scheme_is_not_sent_in_clear() {
    let script = vec![Read(3), say(b"\x05\xff")];
    let proxy = Scripted::start(vec![script]);
    let credential = password(Scheme::Digest, "svc", "right");
    let way =
        Way::to(format!("https://{NAME}:4433/")).by(format!("socks5h://{}", proxy.address()), "");
    let trip = logged_in(&way, credential);
    assert_eq!(finding(&trip), "proxy auth");
    assert_eq!(refusal(&trip).login, Login::NotOffered(Scheme::Digest));
    proxy.wait_closed(1);
    let told: Vec<Vec<u8>> = proxy.told().into_iter().map(|(_, told)| told).collect();
    assert_eq!(told, [b"\x05\x01\x00"]);
}

#[test]
fn a_tunnel_begins_behind_the_bound_address() {
    let api = site();
    let leads = |reply: &[u8]| and(asked(), &[say(reply), Carry(api.address())]);
    let logged = |answer: &[u8]| {
        and(logging_in(), &[say(answer), Read(REQUEST), say(OPENED), Carry(api.address())])
    };
    let name = [b"\x05\x00\x00\x03\xff".as_slice(), &[b'n'; 255], b"\x01\xbb"].concat();
    let ipv6 = [b"\x05\x00\x00\x04".as_slice(), &[0xfe; 16], b"\x01\xbb"].concat();
    let pieces: Vec<Step> = OPENED.iter().map(|byte| say(&[*byte])).collect();
    let pieces = and(and(asked(), &pieces), &[Carry(api.address())]);
    let after = |bytes: &[u8]| and(asked(), &[say(&[OPENED, bytes].concat())]);
    let ok = "200 over 2";
    let rows = [
        (("an address", false, leads(OPENED)), ok),
        (("an address of IPv6", false, leads(&ipv6)), ok),
        (("the longest name", false, leads(&name)), ok),
        (("the shortest name", false, leads(b"\x05\x00\x00\x03\x00\x01\xbb")), ok),
        (("something reserved", false, leads(b"\x05\x00\x77\x01\0\0\0\0\0\0")), ok),
        (("byte by byte", false, pieces), ok),
        (("a login", true, logged(b"\x01\x00")), ok),
        (("a login of the wrong version", true, logged(b"\x05\x00")), ok),
        (
            (
                "no login wanted",
                true,
                and(
                    vec![Read(4), say(b"\x05\x00"), Read(REQUEST), say(OPENED)],
                    &[Carry(api.address())],
                ),
            ),
            ok,
        ),
        (("and silence", false, and(asked(), &[say(OPENED), Step::End(Silent)])), "tls timeout"),
        (("and the end", false, after(b"")), "tls closed"),
        (("and a page", false, after(b"HTTP/1.1 502 Down\r\n\r\n")), "tls not_tls"),
    ];
    for (trip, ((what, with_login, _), _)) in hold(&rows).iter().zip(&rows) {
        let tunnelled = trip.legs[0].tunnelled.as_ref().expect("a tunnel");
        assert!(tunnelled.seconds > 0.0 && tunnelled.socket.is_some(), "{what}");
        let login = if !with_login {
            "none"
        } else if *what == "no login wanted" {
            "not_asked"
        } else {
            "sent"
        };
        assert_eq!((tunnelled.status, tunnelled.login.label()), (0, login), "{what}");
    }
}

/// All that the proxy was told on the way there, which it refuses.
fn told(way: Way, request: usize) -> (Trip, Vec<u8>) {
    let proxy =
        Scripted::start(vec![vec![Read(3), say(b"\x05\x00"), Read(request), say(b"\x05\x02")]]);
    let scheme = way.proxy.clone().expect("a scheme");
    let trip = Way { proxy: Some(format!("{scheme}://{}", proxy.address())), ..way }.walk();
    proxy.wait_closed(1);
    let told = proxy.told().into_iter().flat_map(|(_, bytes)| bytes).collect();
    (trip, told)
}

#[test]
fn the_proxy_is_told_a_name_or_an_address() {
    let to = |scheme: &str, host: &str| Way::to(format!("https://{host}:4433/")).by(scheme, "");
    let port = &[0x11, 0x51][..];
    let begin = b"\x05\x01\x00\x05\x01\x00".as_slice();
    let by_name = [begin, b"\x03\x0fapi.layers.test", port].concat();
    let v4 = [begin, b"\x01\x7f\0\0\x01", port].concat();
    let v6 = [begin, b"\x04", &Ipv6Addr::LOCALHOST.octets(), port].concat();
    for scheme in ["socks5", "socks5h"] {
        assert_eq!(told(to(scheme, "127.0.0.1"), 10).1, v4, "{scheme}");
        assert_eq!(told(to(scheme, "[::1]"), 22).1, v6, "{scheme}");
    }
    let dns = resolver(&[]);
    assert_eq!(told(to("socks5h", NAME).asking(dns.address()), REQUEST).1, by_name);
    assert_eq!(dns.queries(), []);
    for (address, expected) in [("127.0.0.1", &v4), ("::1", &v6)] {
        let address: IpAddr = address.parse().expect("an address");
        let dns = resolver(&[address]);
        let (trip, told) = told(to("socks5", NAME).asking(dns.address()), expected.len() - 3);
        assert_eq!((&told, finding(&trip).as_str()), (expected, "proxy status"));
        assert!(dns.queries().iter().all(|query| query.name == NAME) && !dns.queries().is_empty());
        let here = trip.resolved_here.expect("a look-up");
        assert!(format!("{here:?}").contains(&address.to_string()), "{here:?}");
    }
}

#[test]
fn a_name_that_does_not_resolve_here_is_the_targets_and_the_proxy_is_left_alone() {
    let dns = resolver(&[]);
    let proxy = Scripted::start(vec![asked()]);
    let way = Way::to("https://unknown.layers.test/").asking(dns.address());
    let trip = way.by(format!("socks5://{}", proxy.address()), "").walk();
    assert_eq!(finding(&trip), "dns nxdomain");
    assert!(trip.legs.is_empty() && proxy.connections().is_empty());
    assert!(dns.queries().iter().all(|query| query.name == "unknown.layers.test"));
}
