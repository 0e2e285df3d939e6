//! Peers that mean harm: many connections, silent ones, heads without an end, readers that do not read.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use super::{Bench, TLS, is_here};
use crate::support::program::{get, get_whole};

/// From that address of this host.
fn connect(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((from, 0)).into()).expect("an address of loopback");
    socket.connect(&to.into()).expect("it listens");
    socket.into()
}

/// The bytes of memory that a process has.
fn memory(pid: u32) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).expect("it runs");
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("a number") * 4096
}

/// WEB06: of a thousand connections from one address the newest are held; a scrape from it and from another one comes
/// through all the same, and who has a connection from elsewhere keeps it.
#[test]
fn a_thousand_connections_keep_nobody_out() {
    let bench = Bench::new("{}\n");
    let address = bench.daemon.address();
    let ask = |stream: &mut TcpStream| {
        write!(stream, "GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it is open");
        let mut answer = [0; 1024];
        let read = stream.read(&mut answer).expect("it answers");
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"), "{read}");
    };
    let mut elsewhere = connect([127, 0, 0, 2], address);
    ask(&mut elsewhere);
    let before = memory(bench.daemon.pid());
    let mut held: VecDeque<TcpStream> = VecDeque::new();
    let mut sent = 0;
    for number in 0..1000 {
        let mut stream = connect([127, 0, 0, 1], address);
        // Some are silent, some send a head that never ends, some ask and do not read.
        match number % 3 {
            0 => {}
            1 => {
                stream.set_nonblocking(true).expect("a socket");
                let head = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(15_000));
                sent += stream.write(head.as_bytes()).unwrap_or(0);
            }
            _ => {
                stream.set_nonblocking(true).expect("a socket");
                let ask = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(30);
                sent += stream.write(ask.as_bytes()).unwrap_or(0);
            }
        }
        held.push_back(stream);
        if held.len() > 200 {
            held.pop_front();
        }
        if number % 100 == 99 {
            assert_eq!(get(address, "/metrics", &[]).0, 200, "from the same address");
        }
    }
    ask(&mut elsewhere);
    ask(&mut connect([127, 0, 0, 3], address));
    let grown = memory(bench.daemon.pid()).saturating_sub(before);
    assert!(sent > 4 << 20, "{sent} bytes were taken");
    assert!(grown < 16 << 20, "{grown} bytes of memory for {sent} that were sent");
}

#[test]
fn a_handshake_that_never_comes_keeps_nobody_out() {
    if !is_here() {
        return;
    }
    let bench = Bench::new(TLS);
    let silent: Vec<TcpStream> =
        (0..200).map(|_| connect([127, 0, 0, 1], bench.daemon.address())).collect();
    assert_eq!(bench.curl("/metrics", &[]).status, 200);
    drop(silent);
}

#[test]
fn heads_and_bodies_are_bounded() {
    let bench = Bench::new("{}\n");
    let address = bench.daemon.address();
    let status = |head: &str| {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(head.as_bytes()).ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        answer.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok())
    };
    let with = |headers: &str| {
        status(&format!("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n"))
    };
    assert_eq!(with(""), Some(200));
    assert_eq!(with(&"A: b\r\n".repeat(60)), Some(200));
    assert_eq!(with(&"A: b\r\n".repeat(70)), Some(431));
    assert_eq!(with(&format!("A: {}\r\n", "b".repeat(14_000))), Some(200));
    assert_eq!(with("Content-Length: 5\r\n\r\nhello"), Some(413));
    assert_eq!(with("Content-Length: 0\r\n"), Some(200));
    assert_eq!(with("Transfer-Encoding: chunked\r\n\r\n0\r\n"), Some(413));
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(70_000));
    assert!(matches!(status(&long), Some(414 | 431) | None));

    // A head without an end is cut long before it fills anything.
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(b"GET / HTTP/1.1\r\nX: ").expect("it reads");
    let mut taken = 0_usize;
    while taken < 64 << 20 {
        match stream.write(&[b'a'; 4096]) {
            Ok(written) => taken += written,
            Err(_) => break,
        }
    }
    assert!(taken < 16 << 20, "{taken} bytes of a head were taken");

    // A name that cannot be read is none of ours.
    let mut stream = TcpStream::connect(address).expect("it listens");
    let ask = b"GET /api/v1/status HTTP/1.1\r\nHost: \xff\r\nConnection: close\r\n\r\n";
    stream.write_all(ask).expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    assert!(answer.starts_with(b"HTTP/1.1 421 "), "{}", String::from_utf8_lossy(&answer));

    // What is sent at once is answered in its order.
    let many = "GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n".repeat(50)
        + "GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(many.as_bytes()).expect("it reads");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("it answers");
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 50);
    assert_eq!(answers.matches("HTTP/1.1 404").count(), 1);
}

/// Only GET makes a probe.
#[test]
fn head_is_no_probe() {
    let bench = Bench::new("{}\n");
    let address = bench.daemon.address();
    let mut stream = TcpStream::connect(address).expect("it listens");
    let ask = "HEAD /probe?target=x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(ask.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(answer.contains("\r\nallow: GET\r\n"), "{answer}");
    assert!(get_whole(address, "/metrics", &[]).starts_with("HTTP/1.1 200"));
}
