//! What holds of every parser, whatever bytes it is given: that none panics, and what its readers rely on.
//!
//! One function a parser. The fuzz targets run it on what libFuzzer invents, the tests on the corpora.

// By their places: this file is a library's first in one package, and a module in the other.
#[path = "events.rs"]
mod event_stream;
#[path = "lint.rs"]
mod lint;
#[path = "pac_answer.rs"]
mod pac;
#[path = "proxies.rs"]
mod proxies;

use std::net::IpAddr;

use egressd::observation::{Family, First, Flaw, Framing, Protocol, Reply};
use egressd::probe::parse::{
    Asked, Frames, Goaway, Head, Hosts, Listed, QueuedError, ResolvConf, first, head, queued_error,
    read_resolv_conf, transfer_codings,
};

pub use event_stream::events;
pub use lint::{command_line, json_text, request_file};
pub use pac::pac_answer;
pub use proxies::{challenge, no_proxy, ntlm_challenge, proxy_reply, socks_reply};

/// A parser's name, as of its target and its corpus, and what holds of it.
pub type Property = (&'static str, fn(&[u8]));

/// All of them.
pub const ALL: [Property; 17] = [
    ("challenge", challenge),
    ("command_line", command_line),
    ("dns_answer", dns_answer),
    ("error_queue", error_queue),
    ("events", events),
    ("h2_frames", h2_frames),
    ("hosts", hosts),
    ("http_head", http_head),
    ("json_text", json_text),
    ("no_proxy", no_proxy),
    ("ntlm_challenge", ntlm_challenge),
    ("pac_answer", pac_answer),
    ("proxy_reply", proxy_reply),
    ("request_file", request_file),
    ("resolv_conf", resolv_conf),
    ("socks_reply", socks_reply),
    ("tls_first", tls_first),
];

/// The id of the question that the seeds answer.
const ID: u16 = 0x1234;

/// An input cut in two: everywhere, or at some sixty places of a long one.
fn cuts(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    (0..=bytes.len()).step_by(bytes.len() / 64 + 1).map(|at| bytes.split_at(at))
}

/// The same at the ends of lines, without the line's end.
fn line_cuts(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    ends.map(|(at, _)| (&bytes[..at], &bytes[at + 1..])).take(16)
}

/// A reply answers its own question and no other, keeps to its limits, and says what the bytes say.
pub fn dns_answer(bytes: &[u8]) {
    let read = |name, family, id| Asked::new(name, family, id).unwrap().read(bytes);
    let [a, aaaa] = [Family::A, Family::Aaaa].map(|family| {
        let reply = read("api.example", family, ID);
        if let Ok(reply) = &reply {
            says_what_its_header_says(reply, bytes);
            keeps_to_its_limits(reply, family, bytes);
            assert_eq!(read("api.example", family, !ID), Err(Flaw::WrongId));
            // A question may come back in another case than it was asked in.
            let shouted = read("API.EXAMPLE.", family, ID).unwrap();
            assert!(shouted.agrees_with(reply), "{shouted:?} {reply:?}");
        }
        reply
    });
    if let (Ok(a), Ok(aaaa)) = (a, aaaa) {
        assert!(a.rcode == aaaa.rcode && a.rcode != 0, "one answer to two questions: {a:?}");
        assert_eq!(bytes[4..6], [0, 0], "one question is another's");
    }
}

fn says_what_its_header_says(reply: &Reply, bytes: &[u8]) {
    assert_eq!(bytes[..2], ID.to_be_bytes());
    let (upper, lower) = (bytes[2], bytes[3]);
    assert!(upper & 0x80 != 0, "a query was accepted");
    assert_eq!(reply.rcode & 15, u16::from(lower & 15));
    let flags = (reply.flags.aa, reply.flags.tc, reply.flags.ra, reply.flags.ad);
    let bits = (upper & 4 != 0, upper & 2 != 0, lower & 0x80 != 0, lower & 0x20 != 0);
    assert_eq!(flags, bits);
    let questions = u16::from_be_bytes([bytes[4], bytes[5]]);
    assert!(questions == 1 || (questions == 0 && reply.rcode != 0), "{questions} questions");
    assert_eq!(reply.bytes, bytes.len());
}

fn keeps_to_its_limits(reply: &Reply, family: Family, bytes: &[u8]) {
    assert!(reply.aliases.len() <= 16 && reply.addresses.len() <= 64 && reply.errors.len() <= 8);
    assert!(reply.errors.iter().all(|error| error.text.chars().count() <= 256));
    let mut name = "api.example";
    for alias in &reply.aliases {
        assert!(alias.name.eq_ignore_ascii_case(name), "{name} is no alias of {alias:?}");
        // It is shown to people: nothing in it acts on a terminal. A byte takes four characters at most.
        assert!(alias.target.bytes().all(|byte| byte.is_ascii_graphic()), "{alias:?}");
        assert!(alias.target.len() <= 4 * 255);
        name = &alias.target;
    }
    for found in &reply.addresses {
        assert_eq!(found.address.is_ipv4(), family == Family::A);
        let octets = match found.address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let data = [&found.ttl.to_be_bytes()[..], &[0, octets.len().to_be_bytes()[7]], &octets];
        let data = data.concat();
        assert!(bytes.windows(data.len()).any(|window| window == data), "{found:?} is invented");
    }
}

/// What is not TLS shows nothing of TLS; what is shown stands in the bytes; more bytes take nothing back.
pub fn tls_first(bytes: &[u8]) {
    let Some(whole) = first(bytes) else { return assert!(bytes.is_empty()) };
    let begins = |text: &[u8]| bytes.starts_with(text);
    let protocol = match bytes[0] {
        20..=23 if bytes.len() == 1 || bytes[1] == 3 => Protocol::Tls,
        _ if begins(b"HTTP/") => Protocol::Http,
        _ if begins(b"SSH-") => Protocol::Ssh,
        _ => Protocol::Other,
    };
    assert_eq!(whole.protocol, protocol);
    assert_eq!(whole.record.is_some(), protocol == Protocol::Tls && bytes.len() >= 5);
    shows_what_stands_there(&whole, bytes);
    for (begin, _) in cuts(bytes).filter(|(begin, _)| begin.len() > 1) {
        let earlier = first(begin).unwrap();
        if !matches!(earlier.protocol, Protocol::Other) {
            assert_eq!(earlier.protocol, whole.protocol);
        }
        assert!(is_part(earlier.record, whole.record) && is_part(earlier.alert, whole.alert));
        let (earlier, whole) = (earlier.hello, whole.hello);
        assert!(is_part(earlier.map(|hello| hello.version), whole.map(|hello| hello.version)));
        assert!(is_part(earlier.and_then(|h| h.cipher), whole.and_then(|h| h.cipher)));
        assert!(is_part(earlier.and_then(|h| h.selected), whole.and_then(|h| h.selected)));
        assert!(whole.is_some_and(|h| h.retry) || !earlier.is_some_and(|h| h.retry));
    }
}

fn is_part<T: Copy + PartialEq>(earlier: Option<T>, whole: Option<T>) -> bool {
    earlier.is_none() || earlier == whole
}

fn shows_what_stands_there(shown: &First, bytes: &[u8]) {
    let Some(record) = shown.record else {
        return assert!(shown.alert.is_none() && shown.hello.is_none(), "{shown:?}");
    };
    let [version, length] = [1, 3].map(|at| u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    assert_eq!((record.kind, record.version, record.length), (bytes[0], version, length));
    if let Some(alert) = shown.alert {
        assert_eq!((record.kind, record.length), (21, 2), "an encrypted alert was read");
        assert_eq!([alert.level, alert.code], bytes[5..7]);
    }
    let end = bytes.len().min(5 + usize::from(length));
    let inside = &bytes[5..end];
    if let Some(hello) = shown.hello {
        assert_eq!((record.kind, inside[0]), (22, 2));
        assert_eq!(hello.version.to_be_bytes(), inside[4..6]);
        let after = &inside[6..];
        let stands = |number: u16| after.windows(2).any(|pair| pair == number.to_be_bytes());
        assert!(hello.cipher.is_none_or(stands));
        // supported_versions is extension 43.
        let selects =
            |bytes: &[u8], number: u16| bytes[..2] == [0, 43] && bytes[4..] == number.to_be_bytes();
        let selected = |number| after.windows(6).any(|extension| selects(extension, number));
        assert!(hello.selected.is_none_or(selected));
        assert!(hello.cipher.is_some() || hello.selected.is_none());
    }
    // What follows the record is another's.
    assert_eq!(first(&bytes[..end]), Some(*shown));
}

/// Names have no case, no line hides another, and of one name no more than the limit is kept.
pub fn hosts(bytes: &[u8]) {
    let whole = Hosts::read(bytes);
    assert_eq!(Hosts::read(&bytes.to_ascii_uppercase()), whole);
    assert_eq!(Hosts::read(&[bytes, b"# 192.0.2.9 name"].concat()), whole);
    let text = String::from_utf8_lossy(bytes);
    let words: Vec<&str> = text.split_ascii_whitespace().take(16).collect();
    for word in &words {
        let found = whole.addresses(word);
        assert!(found.len() <= 16);
        assert_eq!(whole.addresses(&word.to_ascii_uppercase()), found);
        for (at, address) in found.iter().enumerate() {
            assert!(!found[..at].contains(address), "{address} is there twice");
            let stands = |word: &str| word.parse() == Ok(*address);
            assert!(
                text.split([' ', '\t', '\n', '\r', '\x0c', '#']).any(stands),
                "{address} is not"
            );
        }
    }
    for (begin, rest) in line_cuts(bytes) {
        let parts = [Hosts::read(begin), Hosts::read(rest)];
        for word in &words {
            let mut joined: Vec<IpAddr> = Vec::new();
            for address in parts.iter().flat_map(|part| part.addresses(word)) {
                if joined.len() < 16 && !joined.contains(address) {
                    joined.push(*address);
                }
            }
            assert_eq!(whole.addresses(word), joined, "{word}");
        }
    }
    // A name that is not ASCII hides none of those on its line.
    let beside = bytes.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b" \xff\n"[..]);
    let beside = Hosts::read(&beside);
    assert!(words.iter().all(|word| beside.addresses(word) == whole.addresses(word)));
}

/// Numbers and servers keep to the limits of the C library, and lines mean the same in any company.
pub fn resolv_conf(bytes: &[u8]) {
    let whole = read_resolv_conf(bytes);
    assert!(whole.servers.len() <= 3 && whole.ndots <= 15);
    assert!((1..=5).contains(&whole.attempts) && (1..=30).contains(&whole.timeout.as_secs()));
    for place in [0, 1, 2, 5, usize::MAX] {
        let (patience, most) = (whole.patience(place), whole.timeout * 8);
        assert!(patience.as_secs() >= 1 && patience <= most, "{patience:?} at place {place}");
    }
    let is_word = |word: &String| !word.is_empty() && !word.contains([' ', '\t', '\n']);
    assert!(whole.search.iter().all(is_word));
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    for server in &whole.servers {
        assert!(lines.iter().any(|line| lists(line, server)), "{server:?} is nobody's");
    }
    let commented = lines.iter().flat_map(|line| [b"#", *line, b"\n"]).flatten().copied();
    assert_eq!(read_resolv_conf(&commented.collect::<Vec<u8>>()), ResolvConf::default());
    for (begin, rest) in line_cuts(bytes) {
        let (begin, rest) = (read_resolv_conf(begin), read_resolv_conf(rest));
        let servers = begin.servers.iter().chain(&rest.servers).take(3);
        assert!(whole.servers.iter().eq(servers), "{:?}", whole.servers);
        // A line without a name changes nothing; the last with one counts.
        let search = if rest.search.is_empty() { begin.search } else { rest.search };
        assert_eq!(whole.search, search);
        assert_eq!((whole.rotate, whole.tcp), (begin.rotate | rest.rotate, begin.tcp | rest.tcp));
    }
}

/// Whether a line has a server as its second word; only blanks and tabs end one.
fn lists(line: &[u8], server: &Listed) -> bool {
    let line = String::from_utf8_lossy(line);
    let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
    let word = words.nth(1).unwrap_or_default();
    match (&server.scope, word.split_once('%')) {
        (None, _) => word.parse() == Ok(server.address),
        (Some(scope), Some((address, after))) => {
            server.address.is_ipv6() && address.parse() == Ok(server.address) && scope == after
        }
        (Some(_), None) => false,
    }
}

/// `EMSGSIZE` of Linux.
const TOO_BIG: u32 = 90;

/// An error is of a known origin, says what stands there, and is not guessed from half of a message.
pub fn error_queue(bytes: &[u8]) {
    let whole = queued_error(bytes);
    for (begin, _) in cuts(bytes) {
        assert!(is_part(queued_error(begin), whole));
    }
    // The structure, and the longest sender.
    assert_eq!(queued_error(&bytes[..bytes.len().min(16 + 24)]), whole);
    let number = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
    match whole {
        None => {}
        Some(QueuedError::Local { errno, mtu }) => {
            assert!(bytes.len() >= 16);
            assert_eq!((errno, bytes[4]), (number(0), 1));
            assert_eq!(mtu, (errno == TOO_BIG).then(|| number(8)));
        }
        Some(QueuedError::Icmp { kind, code, offender, mtu }) => {
            assert!(bytes.len() >= 24 && [2, 3].contains(&bytes[4]));
            assert_eq!([kind, code], bytes[5..7]);
            let too_big = matches!((bytes[4], kind, code), (2, 3, 4) | (3, 2, _));
            assert_eq!(mtu, too_big.then(|| number(8)));
            assert_eq!(
                offender,
                offender.to_canonical(),
                "an address of IPv4 that looks like IPv6"
            );
            let octets = match offender {
                IpAddr::V4(address) => address.octets().to_vec(),
                IpAddr::V6(address) => address.octets().to_vec(),
            };
            assert!(bytes[16..].windows(octets.len()).any(|window| window == octets));
        }
    }
}

/// A judgement stands whatever follows; interim answers are passed over, and transfer codings are one list.
pub fn http_head(bytes: &[u8]) {
    let whole = head(bytes);
    match whole {
        Head::Partial { interim, rest } => {
            assert_eq!(interim + rest, bytes.len());
            assert_eq!(head(&bytes[interim..]), Head::Partial { interim: 0, rest });
        }
        Head::Sound => {
            let line = bytes.trim_ascii_start();
            assert!(line.starts_with(b"HTTP/1.") && line.contains(&b'\n'));
        }
        // The rest is told by what follows the head.
        Head::Broken(framing) => assert!(matches!(
            framing,
            Framing::StatusLine
                | Framing::Header
                | Framing::HeaderFlood
                | Framing::ConflictingLengths
                | Framing::TransferCoding
        )),
    }
    for (begin, _) in cuts(bytes) {
        match head(begin) {
            Head::Partial { interim, .. } => {
                assert!(!matches!(whole, Head::Partial { interim: all, .. } if all < interim));
            }
            judged => assert_eq!(judged, whole, "{}", begin.escape_ascii()),
        }
    }
    is_judged_line_by_line(whole, bytes);
    let hint = b"HTTP/1.1 103 -\r\nlink: x\r\n\r\n";
    let after_hint = match whole {
        Head::Partial { interim, rest } => Head::Partial { interim: interim + hint.len(), rest },
        judged => judged,
    };
    assert_eq!(head(&[hint, bytes].concat()), after_hint);
    codings_are_one_list(bytes);
}

/// The first line is at fault where it is at fault by itself, and only there.
fn is_judged_line_by_line(whole: Head, bytes: &[u8]) {
    let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let Some(end) = bytes[blank..].iter().position(|byte| *byte == b'\n') else { return };
    // After an interim answer there is another first line.
    let is_interim = bytes.get(blank + b"HTTP/1.1 ".len()) == Some(&b'1');
    match head(&bytes[..=blank + end]) {
        Head::Broken(_) => assert_eq!(whole, Head::Broken(Framing::StatusLine)),
        _ => assert!(is_interim || whole != Head::Broken(Framing::StatusLine)),
    }
}

/// Fields of one name are one list, in the order that they came in (RFC 9110 5.3).
fn codings_are_one_list(bytes: &[u8]) {
    let one = transfer_codings(std::iter::once(bytes));
    assert!(matches!(one, None | Some(Framing::TransferCoding)));
    assert_eq!(transfer_codings(bytes.split(|byte| *byte == b',')), one);
    let shouted = bytes.to_ascii_uppercase();
    assert_eq!(transfer_codings(std::iter::once(&shouted[..])), one);
    assert!(transfer_codings([bytes, b"gzip"].into_iter()).is_some());
    // A body is chunked once (RFC 9112 7.1).
    let is_chunked = shouted.windows(7).any(|word| word == b"CHUNKED");
    assert!(!is_chunked || transfer_codings([bytes, bytes].into_iter()).is_some());
}

/// However the bytes come, the frames are those that whole bytes show.
pub fn h2_frames(bytes: &[u8]) {
    let seen = |pieces: &[&[u8]]| {
        let mut frames = Frames::default();
        let of_answer = pieces.iter().fold(false, |any, piece| frames.read(piece) | any);
        let shown = (frames.blocks(), frames.largest_block(), frames.is_block_open());
        (of_answer, shown, frames.goaway())
    };
    let whole = whole_frames(bytes);
    assert_eq!(seen(&[bytes]), whole);
    assert_eq!(seen(&bytes.chunks(1).collect::<Vec<_>>()), whole);
    for (begin, rest) in cuts(bytes) {
        assert_eq!(seen(&[begin, rest]), whole, "cut at {}", begin.len());
    }
}

/// RFC 9113 4.1 of bytes that are all there.
fn whole_frames(mut rest: &[u8]) -> (bool, (u64, u64, bool), Option<Goaway>) {
    let (mut of_answer, mut blocks, mut open, mut goaway) = (false, 0, false, None);
    let (mut block, mut largest) = (0, 0);
    while let Some(([a, b, c, kind, flags, ..], after)) = rest.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let payload = &after[..length.min(after.len())];
        of_answer |= [0, 1, 9].contains(kind);
        if [1, 9].contains(kind) {
            (blocks, block) = if *kind == 1 { (blocks + 1, 0) } else { (blocks, block) };
            block += payload.len() as u64;
            largest = block.max(largest);
            open = flags & 4 == 0;
        }
        if let (7, true, Some(said)) = (*kind, payload.len() == length, payload.first_chunk::<8>())
        {
            let number = |at: usize| u32::from_be_bytes(said[at..at + 4].try_into().unwrap());
            goaway = Some(Goaway { last: number(0) & 0x7fff_ffff, code: number(4) });
        }
        rest = &after[payload.len()..];
    }
    (of_answer, (blocks, largest, open), goaway)
}
