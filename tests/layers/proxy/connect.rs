//! Whatever may be answered to CONNECT, in clear and inside of TLS: what it is found to be, how much of it is read, how soon it is left.

use std::time::Duration;

use egressd::observation::{Login, Trip};

use super::super::{AMPLE, BRIEF, BUFFERS, LEAF, NAME, Way, finding, table};
use super::{KEY, refusal, site};
use crate::support::script::{Script, Scripted, Step};
use crate::support::wire::Ending::{Close, Reset, Silent};
use crate::support::wire::{End, Ending};
use Step::{Carry, Head, Read, Repeat};

/// What it is called, and what it does.
type Row = ((&'static str, Script), &'static str);

fn say(text: impl AsRef<[u8]>) -> Step {
    Step::Say(text.as_ref().to_vec())
}

/// Reads the request, answers with that, and ends so.
fn then(text: impl AsRef<[u8]>, ending: Ending) -> Script {
    vec![Head, say(text), Step::End(ending)]
}

/// The same, in order.
fn answer(text: impl AsRef<[u8]>) -> Script {
    then(text, Close)
}

/// One walk, with a key, through a proxy that follows a script; over TLS or not.
fn walk(script: &Script, secured: bool, timeout: Duration) -> (Trip, Scripted) {
    let tls = secured.then(|| LEAF.server_config(&[]));
    let proxy = Scripted::start_over(tls, vec![script.clone()]);
    let scheme = if secured { "https" } else { "http" };
    // No name is asked for: its port is the site's only where the script leads there.
    let way = Way::to(format!("https://{NAME}:4433/v1/models"));
    let way = way.by(format!("{scheme}://{}", proxy.address()), "").within(timeout);
    let way = Way { provider: "anthropic", key: Some(KEY), ..way };
    (way.walk(), proxy)
}

/// Each row in clear and inside of TLS.
fn both(rows: &[Row]) {
    for secured in [false, true] {
        table(rows, |(what, script)| {
            let expected = rows.iter().find(|((name, _), _)| name == what).expect("a row").1;
            // Inside of TLS there is a handshake before what is silent.
            let brief = if secured { BRIEF * 2 } else { BRIEF };
            let timeout = if expected.ends_with("timeout") { brief } else { AMPLE };
            let (trip, proxy) = walk(script, secured, timeout);
            is_bounded(what, &trip, &proxy);
            is_told_little(what, script, &proxy);
            is_complete(what, &trip, secured);
            trip
        });
    }
}

/// Left by us or over, early, without having got rid of more than its buffers hold.
fn is_bounded(what: &str, trip: &Trip, proxy: &Scripted) {
    let connections = proxy.wait_closed(1);
    assert_eq!(connections.len(), 1, "{what}");
    let connection = &connections[0];
    assert!(connection.sent < BUFFERS, "{what}: {connection:?}");
    let seconds = connection.seconds_until_closed.expect("an end");
    assert!(seconds < AMPLE.as_secs_f64() / 2.0, "{what}: {connection:?}");
    assert!(trip.seconds < AMPLE.as_secs_f64() / 2.0, "{what}: {}", trip.seconds);
}

/// One request, without a login and without the key.
fn is_told_little(what: &str, script: &Script, proxy: &Scripted) {
    let told = proxy.told();
    let heads = script.iter().filter(|step| matches!(step, Head)).count();
    assert_eq!(
        told.iter().filter(|(_, told)| told.ends_with(b"\r\n\r\n")).count(),
        heads,
        "{what}"
    );
    let text: String = told.iter().map(|(_, told)| String::from_utf8_lossy(told)).collect();
    assert!(!text.contains(KEY), "{what}: {text}");
    assert!(!text.to_ascii_lowercase().contains("authorization"), "{what}: {text}");
}

fn is_complete(what: &str, trip: &Trip, secured: bool) {
    let leg = &trip.legs[0];
    let at_the_proxy = finding(trip).starts_with("proxy");
    assert_eq!(leg.tunnelled.is_none(), at_the_proxy, "{what}");
    assert_eq!(leg.proxy_secured.is_some(), secured, "{what}");
    let Some(tunnelled) = &leg.tunnelled else {
        let refusal = refusal(trip);
        assert!(refusal.socket.is_some(), "{what}");
        assert_eq!(refusal.login, Login::None, "{what}");
        assert_eq!(refusal.inner, None, "{what}");
        let seconds = Duration::from_millis(refusal.waited_ms).as_secs_f64();
        assert!(seconds <= trip.seconds, "{what}: {seconds}");
        assert!(refusal.waited_ms > 0 || !finding(trip).ends_with("timeout"), "{what}");
        assert_eq!((&leg.chain, &leg.secured), (&None, &None), "{what}");
        return;
    };
    assert!((200..300).contains(&tunnelled.status), "{what}: {tunnelled:?}");
    assert!(tunnelled.seconds > 0.0 && tunnelled.socket.is_some(), "{what}: {tunnelled:?}");
}

const HALF: &str = "HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nhalf of it";
const CHUNKED: &str = "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n";
const OPENED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

#[test]
fn a_proxy_that_hangs_is_left() {
    let open = "HTTP/1.1 200 OK\r\nVia: 1.1 proxy\r\n";
    let ask = "HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic\r\nContent-Length: 100\r\n\r\nhalf";
    let endless = "HTTP/1.1 503 Down\r\n\r\n";
    both(&[
        (("nothing", vec![Step::End(Silent)]), "proxy timeout"),
        (("the request taken", vec![Head, Step::End(Silent)]), "proxy timeout"),
        (("half a status line", then("HTTP/1.1 20", Silent)), "proxy timeout"),
        (("a head without its empty line", then(open, Silent)), "proxy timeout"),
        (("an interim answer", then("HTTP/1.1 100 Go\r\n\r\n", Silent)), "proxy timeout"),
        (("half a page", then(HALF, Silent)), "proxy status"),
        (("half a page of a login", then(ask, Silent)), "proxy auth"),
        (("a page without a length", then(endless, Silent)), "proxy status"),
        (("one chunk", then(format!("{CHUNKED}4\r\npage\r\n"), Silent)), "proxy status"),
        (("half a chunk", then(format!("{CHUNKED}ff\r\npage"), Silent)), "proxy status"),
        (("no chunk", then(format!("{CHUNKED}zz\r\npage"), Silent)), "proxy status"),
        (("silence after the tunnel", then(OPENED, Silent)), "tls timeout"),
    ]);
}

#[test]
fn a_proxy_that_breaks_off_says_where() {
    let open = "HTTP/1.1 200 OK\r\nVia: 1.1 proxy\r\n";
    both(&[
        (("closed unasked", vec![Step::End(Close)]), "proxy closed"),
        (("closed", vec![Head, Step::End(Close)]), "proxy closed"),
        (("closed in the status line", answer("HTTP/1.1 20")), "proxy closed"),
        (("closed before the empty line", answer(open)), "proxy closed"),
        (("closed after an interim answer", answer("HTTP/1.1 100 Go\r\n\r\n")), "proxy closed"),
        (("closed in a page", answer(HALF)), "proxy status"),
        (("closed in a chunk", answer(format!("{CHUNKED}ff\r\npage"))), "proxy status"),
        (("closed after the tunnel", answer(OPENED)), "tls closed"),
        (("reset", vec![Head, Step::End(Reset)]), "proxy reset"),
        (("reset in the status line", then("HTTP/1.1 20", Reset)), "proxy reset"),
        (("reset before the empty line", then(open, Reset)), "proxy reset"),
        (("reset after an interim answer", then("HTTP/1.1 100 Go\r\n\r\n", Reset)), "proxy reset"),
        // What came before a reset is read before it (`net/ipv4/tcp.c`, `tcp_recvmsg_locked`).
        (("reset in a page", then(HALF, Reset)), "proxy status"),
        (("reset in the tunnel", vec![Head, say(OPENED), Read(1), Step::End(Reset)]), "tls reset"),
    ]);
}

#[test]
fn a_reset_at_once_is_one_of_the_two_layers_it_can_hit() {
    let (trip, _) = walk(&vec![Step::End(Reset)], false, AMPLE);
    assert!(["proxy connect", "proxy reset"].contains(&finding(&trip).as_str()), "{trip:?}");
}

#[test]
fn what_is_said_before_the_request_is_read_is_heard() {
    // As of a proxy that has too many clients, or wants none from here.
    let full = "HTTP/1.1 503 Too many clients\r\nConnection: close\r\n\r\n";
    for ending in [Close, Reset] {
        let (trip, _) = walk(&vec![say(full), Step::End(ending)], false, AMPLE);
        // A reset may be there before the request is, which is why it is read none the less.
        if finding(&trip) != "proxy connect" {
            assert_eq!(refusal(&trip).status, Some(503), "{ending:?}: {trip:?}");
        }
    }
}

#[test]
fn another_protocol_is_not_a_proxy() {
    let no = "proxy not_a_proxy";
    both(&[
        (("garbage", answer(b"\x00\x01\x02 what nobody speaks \xfd\xfe\xff")), no),
        (("a TLS alert", answer(b"\x15\x03\x03\x00\x02\x02\x50")), no),
        (("SSH", vec![say("SSH-2.0-OpenSSH_9.6\r\n"), Head]), no),
        (("SMTP", vec![say("220 mail.layers.test ESMTP\r\n"), Head]), no),
        (("FTP", answer("220 FTP\r\n500 CONNECT not understood\r\n")), no),
        (("the preface of HTTP/2", answer("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")), no),
        (("SETTINGS of HTTP/2", answer(b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64")), no),
        (("SOCKS5", answer(b"\x05\xff")), no),
        (("SOCKS4", answer(b"\x00\x5b\0\0\0\0\0\0")), no),
        (("an echo", answer("CONNECT api.layers.test:443 HTTP/1.1\r\n\r\n")), no),
        (("HTTP/0.9", answer("<html><body>It works!</body></html>\r\n")), no),
        (("a cast of music", answer("ICY 200 OK\r\n\r\n")), no),
        (("small letters", answer("http/1.1 200 ok\r\n\r\n")), no),
        (("HTTP/2 in words", answer("HTTP/2 200\r\n\r\n")), no),
        (("a status of letters", answer("HTTP/1.1 2OO OK\r\n\r\n")), no),
        (("a status of two digits", answer("HTTP/1.1 20 OK\r\n\r\n")), no),
        (("NUL in a header", answer("HTTP/1.1 200 OK\r\nVia: a\0b\r\n\r\n")), no),
        (("a header without a colon", answer("HTTP/1.1 200 OK\r\nVia\r\n\r\n")), no),
    ]);
}

#[test]
fn a_head_is_cut_at_its_limits() {
    let no = "proxy not_a_proxy";
    let ok = "HTTP/1.1 200 OK\r\n";
    let endless = |line: &str| vec![Head, say(ok), Repeat(line.repeat(100).into_bytes())];
    let begin = vec![Head, say("HTTP/1.1 200 "), Repeat(vec![b'x'; 4096])];
    let filler = vec![Head, say("HTTP/1.1 200 OK\r\nX-Filler: "), Repeat(vec![b'x'; 4096])];
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(50);
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(50);
    let long = format!("{ok}X-Long: {}\r\n\r\n", "x".repeat(1024 * 1024));
    let many = format!("{ok}{}\r\n", "X: y\r\n".repeat(101));
    let most = format!("HTTP/1.1 403 No\r\n{}\r\n", "X: y\r\n".repeat(100));
    both(&[
        (("headers without end", endless("X-Filler: xxxxxxxxxxxxxxxxxxxxxxxxx\r\n")), no),
        (("one header without end", filler), "proxy other"),
        (("a first line without end", begin), "proxy other"),
        (("blank lines without end", vec![Head, Repeat(b"\r\n".repeat(2048))]), no),
        (("interim answers without end", vec![Head, Repeat(interim.into_bytes())]), no),
        (("hints without end", vec![Head, Repeat(hints.into_bytes())]), no),
        (("a header of a megabyte", answer(long)), "proxy other"),
        (("more headers than anybody sends", answer(many)), no),
        (("as many headers as are taken", answer(most)), "proxy status"),
    ]);
}

#[test]
fn a_page_is_cut_at_its_limits() {
    let down = "HTTP/1.1 503 Down\r\n";
    let repeat = |head: &str, what: &[u8]| {
        vec![Head, say(format!("{down}{head}\r\n")), Repeat(what.repeat(100))]
    };
    // A bomb would take a gigabyte: nobody unpacks it.
    let bomb = "Content-Encoding: gzip\r\nContent-Length: 1000000\r\n";
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xec\xc1\x01\x01\0\0\0\x80\x90\xfe\xaf\xee\x08\x0a\0\0\0\0\0\0";
    both(&[
        (("a page without end", repeat("", b"<html>")), "proxy status"),
        (
            ("chunks without end", repeat("Transfer-Encoding: chunked\r\n", b"4\r\npage\r\n")),
            "proxy status",
        ),
        (
            (
                "a chunk of all there is",
                repeat("Transfer-Encoding: chunked\r\n", b"ffffffffffffffff\r\n"),
            ),
            "proxy status",
        ),
        (
            ("a length of all there is", repeat("Content-Length: 18446744073709551615\r\n", b"x")),
            "proxy status",
        ),
        (
            ("a length beyond that", repeat("Content-Length: 99999999999999999999999\r\n", b"x")),
            "proxy status",
        ),
        (("a bomb", repeat(bomb, gzip)), "proxy status"),
    ]);
    let (trip, _) = walk(&repeat("", b"<html>"), false, AMPLE);
    assert_eq!(refusal(&trip).body, "<html>".repeat(1000)[..4096]);
    let (trip, _) = walk(&repeat("Content-Encoding: gzip\r\n", gzip), false, AMPLE);
    assert!(refusal(&trip).body.chars().count() <= 4096, "{}", refusal(&trip).body.len());
}

#[test]
fn an_odd_head_is_read_as_far_as_clients_read_it() {
    let (no, reset) = ("proxy status", "proxy redirect");
    both(&[
        (("lines that end in LF", answer("HTTP/1.1 403 No\nVia: x\n\npage")), no),
        (("no reason", answer("HTTP/1.1 403\r\n\r\n")), no),
        (("no reason, but its blank", answer("HTTP/1.1 403 \r\n\r\n")), no),
        (("blanks in the first line", answer("HTTP/1.1  403  No\r\n\r\n")), no),
        (
            ("a reason that is not ASCII", answer("HTTP/1.1 403 Zutritt f\u{fc}r niemand\r\n\r\n")),
            no,
        ),
        (("HTTP/1.0", answer("HTTP/1.0 403 No\r\n\r\npage")), no),
        (("blank lines before", answer("\r\n\r\nHTTP/1.1 403 No\r\n\r\n")), no),
        (("a folded header", answer("HTTP/1.1 403 No\r\nVia: 1.1 a,\r\n 1.1 b\r\n\r\n")), no),
        (("a blank before the colon", answer("HTTP/1.1 403 No\r\nVia : 1.1 a\r\n\r\n")), no),
        (("a byte that is not ASCII", answer(b"HTTP/1.1 403 No\r\nVia: \xff\xfe\r\n\r\n")), no),
        (("a status that nobody has", answer("HTTP/1.1 999 Blocked\r\n\r\n")), no),
        (("no status", answer("HTTP/1.1 000 Nothing\r\n\r\n")), no),
        (("switched protocols", answer("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n")), no),
        (("hints, and then no", answer("HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 403 No\r\n\r\n")), no),
        (("not modified", then("HTTP/1.1 304 Same\r\n\r\n", Silent)), reset),
    ]);
}

#[test]
fn every_answer_that_opens_a_tunnel_opens_one() {
    let api = site();
    let leads = |text: &str| vec![Head, say(text), Carry(api.address())];
    let piece = |text: &str| {
        vec![Head, say(&text[..text.len() / 2]), say(&text[text.len() / 2..]), Carry(api.address())]
    };
    let ok = "200 over 2";
    both(&[
        (("established", leads(OPENED)), ok),
        (("in two pieces", piece(OPENED)), ok),
        (("without a reason", leads("HTTP/1.1 200\r\n\r\n")), ok),
        (("of HTTP/1.0", leads("HTTP/1.0 200 OK\r\n\r\n")), ok),
        (("with lines that end in LF", leads("HTTP/1.1 200 OK\nVia: x\n\n")), ok),
        (("with a folded header", leads("HTTP/1.1 200 OK\r\nVia: a,\r\n\tb\r\n\r\n")), ok),
        (("no content", leads("HTTP/1.1 204 No Content\r\n\r\n")), ok),
        (("the last success", leads("HTTP/1.1 299 Fine\r\n\r\n")), ok),
        // RFC 9110 9.3.6: a success has neither, whatever it says.
        (("with a length", leads("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")), ok),
        (("with a coding", leads("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")), ok),
        (("that closes", leads("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")), ok),
        (("after an interim answer", leads("HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")), ok),
        (
            ("and a page in it", answer("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage")),
            "tls not_tls",
        ),
        (("and HTML", answer("HTTP/1.1 200 OK\r\n\r\n<html>log in</html>")), "tls not_tls"),
        (
            ("and another answer", answer("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 502 Down\r\n\r\n")),
            "tls not_tls",
        ),
        (
            ("and an alert", answer(b"HTTP/1.1 200 OK\r\n\r\n\x15\x03\x03\x00\x02\x02\x28")),
            "tls alert",
        ),
    ]);
}

/// Whoever never ends is ended by us, not by a limit of its own.
#[test]
fn who_never_ends_is_ended_by_us() {
    let flood = vec![Head, say("HTTP/1.1 200 OK\r\n"), Repeat(b"X-Filler: x\r\n".repeat(300))];
    let (_, proxy) = walk(&flood, false, AMPLE);
    let connection = proxy.wait_closed(1).remove(0);
    assert_ne!(connection.end, Some(End::Server), "{connection:?}");
}
