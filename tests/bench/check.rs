//! What a healthy trip and a healthy check cost, as ratios against a bare rustls client that makes the
//! same handshake and request, measured in one run; and the daemon's own figures.
//!
//! A trip and the bare loop take turns, each timed by itself, and their medians are compared. A check
//! is compared by its CPU, at the daemon's own pace. The origin and the proxy are processes of their own,
//! so that their work is nobody's. A ratio fails only beyond twice its bound; memory, start and size are printed
//! beside their bounds and fail beyond twice of them.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "its result is what it prints")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use egressd::plan::{self, Given, ProxyVariables};
use egressd::probe::Network;
use egressd::probe::pac::{Engine, Question, Script};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};

const TARGETS: usize = 100;
const SECONDS: u64 = 12;
const BARE: usize = 1000;
/// A hundred targets once a second.
const PACE: Duration = Duration::from_millis(10);
const RATIO: f64 = 1.5;
/// Turns of a trip and of the bare loop.
const TURNS: usize = 400;
const TRIP: f64 = 1.3;
/// Rules of a PAC script of a large organisation, the last of which holds.
const RULES: usize = 2000;
const DECISION: f64 = 5.0;
const MEMORY: f64 = 24.0;
const READY: f64 = 100.0;
const SIZE: f64 = 16.0;

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("serve") => serve(),
        Some("forward") => forward(),
        // `cargo test --benches` only asks whether it starts.
        Some("--test") => {}
        _ => measure(),
    }
}

/// The origin: prints its port and its CA, then answers until it is killed.
fn serve() {
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.distinguished_name.push(rcgen::DnType::CommonName, "Benchmark Root");
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let issuer = rcgen::Issuer::from_params(&ca, &ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let pem = ca.self_signed(&ca_key).unwrap().pem();
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(leaf.der().to_vec())],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let config = Arc::new(config);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    println!("{}END", pem.replace('\r', ""));
    for stream in listener.incoming().flatten() {
        let config = Arc::clone(&config);
        std::thread::spawn(move || {
            let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
            stream.sock.set_nodelay(true).unwrap();
            let mut head = [0_u8; 4096];
            // A client that goes away early is no fault of the benchmark.
            if matches!(stream.read(&mut head), Ok(read) if read > 0) {
                let sent = stream.write_all(ANSWER).and_then(|()| stream.flush());
                if sent.is_ok() {
                    while matches!(stream.read(&mut head), Ok(read) if read > 0) {}
                }
            }
        });
    }
}

/// The proxy: prints its port, then opens tunnels until it is killed.
fn forward() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    println!("{}\nEND", listener.local_addr().unwrap().port());
    for client in listener.incoming().flatten() {
        std::thread::spawn(move || tunnel(client));
    }
}

/// One tunnel; a client that goes away early is no fault of the benchmark.
fn tunnel(mut client: TcpStream) -> Option<()> {
    client.set_nodelay(true).ok()?;
    let head = head(&mut client)?;
    let to: SocketAddr = head.strip_prefix("CONNECT ")?.split(' ').next()?.parse().ok()?;
    let mut origin = TcpStream::connect(to).ok()?;
    origin.set_nodelay(true).ok()?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let (mut up, mut down) = (client.try_clone().ok()?, origin.try_clone().ok()?);
    std::thread::spawn(move || {
        std::io::copy(&mut up, &mut origin).ok();
        origin.shutdown(Shutdown::Write).ok();
    });
    std::io::copy(&mut down, &mut client).ok();
    client.shutdown(Shutdown::Write).ok()
}

/// A head, which comes alone: neither end speaks before it has the other's.
fn head(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut chunk = [0_u8; 4096];
    while !bytes.ends_with(b"\r\n\r\n") {
        let read = stream.read(&mut chunk).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&chunk[..read]);
    }
    String::from_utf8(bytes).ok()
}

/// A process of its own.
struct Origin {
    child: Child,
    address: SocketAddr,
    pem: String,
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn start(what: &str) -> Origin {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg(what)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port: u16 = lines.next().unwrap().unwrap().parse().unwrap();
    let mut pem = String::new();
    for line in lines.map_while(Result::ok).take_while(|line| line != "END") {
        pem.push_str(&line);
        pem.push('\n');
    }
    Origin { child, address: (Ipv4Addr::LOCALHOST, port).into(), pem }
}

/// CPU seconds of a process, user and system.
fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let rest = stat.rsplit_once(')').unwrap().1;
    let ticks: f64 =
        rest.split_whitespace().skip(11).take(2).map(|t| t.parse::<f64>().unwrap()).sum();
    ticks / 100.0
}

/// A bare handshake and request, ready to be made; through that proxy, where there is one.
fn bare_client(origin: &Origin, proxy: Option<SocketAddr>) -> impl Fn() + use<> {
    use rustls::pki_types::pem::PemObject as _;
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1];
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(origin.pem.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    let config = Arc::new(config);
    let (name, address) = (ServerName::try_from("127.0.0.1").unwrap(), origin.address);
    move || {
        let mut stream = TcpStream::connect(proxy.unwrap_or(address)).unwrap();
        stream.set_nodelay(true).unwrap();
        if proxy.is_some() {
            let asked = format!("CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n");
            stream.write_all(asked.as_bytes()).unwrap();
            assert!(head(&mut stream).unwrap().starts_with("HTTP/1.1 200 "));
        }
        let connection = ClientConnection::new(Arc::clone(&config), name.clone()).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        stream.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
        let mut answer = [0_u8; 4096];
        assert!(stream.read(&mut answer).unwrap() > 0);
    }
}

/// CPU seconds of one bare handshake and request, at the daemon's pace: back to back, caches and branch
/// predictors would be warm as they never are when a hundred handshakes are spread over a second.
fn bare_cpu(once: impl Fn()) -> f64 {
    (0..20).for_each(|_| once());
    let (before, begun) = (cpu(std::process::id()), Instant::now());
    for place in 0..BARE {
        wait_until(begun + PACE * u32::try_from(place).unwrap());
        once();
    }
    #[expect(clippy::cast_precision_loss, reason = "a thousand")]
    let count = BARE as f64;
    (cpu(std::process::id()) - before) / count
}

/// Seconds of a trip and of the bare loop, each the median of its turns.
fn turns(origin: &Origin, proxy: Option<SocketAddr>, once: impl Fn()) -> (f64, f64) {
    let (route, named) = match proxy {
        None => (String::new(), "direct"),
        Some(proxy) => {
            (format!("[[route]]\nname = \"proxy\"\nproxy = \"http://{proxy}\"\n"), "proxy")
        }
    };
    let text = format!(
        "[trust]\nsystem = false\npublic_roots = \"ca.pem\"\n{route}\
         [[target]]\nname = \"t\"\nroutes = [\"{named}\"]\nurl = \"https://{}/\"\n",
        origin.address
    );
    let (config, _) = egressd::config::parse(&text);
    let given = Given {
        variables: BTreeMap::new(),
        proxies: ProxyVariables::default(),
        files: BTreeMap::from([("ca.pem".into(), Ok(origin.pem.clone().into_bytes()))]),
        lists: Vec::new(),
        system_roots: Ok(Vec::new()),
    };
    let plan = plan::build(&config, &given).0.unwrap();
    let target = &plan.targets[0];
    let trip = Arc::new(plan.trip(target, &target.routes[0].route, None));
    let network = Arc::new(Network::new(&plan).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let walk = || assert!(runtime.block_on(network.walk(&trip)).arrived());
    let timed = |work: &dyn Fn()| {
        let begun = Instant::now();
        work();
        begun.elapsed().as_secs_f64()
    };
    (0..20).for_each(|_| (once(), walk()).0);
    let (mut trips, mut bare): (Vec<f64>, Vec<f64>) =
        (0..TURNS).map(|_| (timed(&walk), timed(&once))).unzip();
    trips.sort_by(f64::total_cmp);
    bare.sort_by(f64::total_cmp);
    (trips[TURNS / 2], bare[TURNS / 2])
}

/// Milliseconds of a decision of a script that is loaded, the pipes included: the median.
fn decision() -> f64 {
    let mut script = String::from("function FindProxyForURL(url, host) {\n");
    for rule in 0..RULES {
        script.push_str(&match rule % 3 {
            0 => format!("if (dnsDomainIs(host, '.n{rule}.example')) return 'DIRECT';\n"),
            1 => format!("if (shExpMatch(url, '*://*.n{rule}.example/*')) return 'DIRECT';\n"),
            _ => format!(
                "if (isInNet(host, '10.{}.0.0', '255.255.0.0')) return 'DIRECT';\n",
                rule % 256
            ),
        });
    }
    script.push_str("return 'PROXY proxy.example:8080; DIRECT';\n}\n");
    let script = Script::decode(script.as_bytes()).unwrap();
    let question = Question::new(&"https://api.example/".parse().unwrap(), Vec::new()).unwrap();
    let engine = Engine::new(env!("CARGO_BIN_EXE_egressd").into());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let decide = || {
        let begun = Instant::now();
        let names = |_| async { vec![Ipv4Addr::new(192, 0, 2, 1).into()] };
        let decision = runtime.block_on(engine.decide(&script, &question, names)).unwrap();
        assert_eq!(decision.lookups.len(), 1);
        begun.elapsed().as_secs_f64() * 1e3
    };
    decide();
    let mut all: Vec<f64> = (0..TURNS).map(|_| decide()).collect();
    all.sort_by(f64::total_cmp);
    all[TURNS / 2]
}

fn wait_until(at: Instant) {
    while Instant::now() < at {
        std::thread::park_timeout(at.saturating_duration_since(Instant::now()));
    }
}

struct Daemon {
    child: Child,
    ready: f64,
    port: u16,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn daemon(origin: &Origin, folder: &std::path::Path) -> Daemon {
    let roots = folder.join("ca.pem");
    std::fs::write(&roots, &origin.pem).unwrap();
    let mut config = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"text\"\n\
         [probe]\ninterval = \"1s\"\ntimeout = \"1s\"\nconcurrency = 100\n\
         [trust]\nsystem = false\npublic_roots = \"{}\"\n",
        roots.display()
    );
    for target in 0..TARGETS {
        config.push_str(&format!(
            "[[target]]\nname = \"t{target}\"\nurl = \"https://{}/\"\n",
            origin.address
        ));
    }
    let file = folder.join("egressd.toml");
    std::fs::write(&file, config).unwrap();
    let notified = folder.join("notify");
    let socket = UnixDatagram::bind(&notified).unwrap();
    let started = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_egressd"))
        .args(["run", "--config"])
        .arg(&file)
        .env("NOTIFY_SOCKET", &notified)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut message = [0_u8; 512];
    loop {
        let read = socket.recv(&mut message).unwrap();
        if message.get(..read).unwrap().starts_with(b"READY=1") {
            break;
        }
    }
    let ready = started.elapsed().as_secs_f64() * 1000.0;
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.find(|line| line.contains("on http://")).unwrap();
    let port = line.rsplit(':').next().unwrap().trim().parse().unwrap();
    std::thread::spawn(move || lines.for_each(drop));
    Daemon { child, ready, port }
}

/// The value summed over the series of a metric.
fn scrape(port: u16, name: &str) -> f64 {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let of = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    text.lines().filter(of).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

fn measure() {
    let (origin, proxy) = (start("serve"), start("forward"));
    let once = bare_client(&origin, None);
    let (trip, alone) = turns(&origin, None, &once);
    let by = Some(proxy.address);
    let (tunnelled, by_hand) = turns(&origin, by, bare_client(&origin, by));
    drop(proxy);
    let bare = bare_cpu(once);
    let decision = decision();
    let folder = tempfile::tempdir().unwrap();
    let daemon = daemon(&origin, folder.path());
    let (pid, port) = (daemon.child.id(), daemon.port);
    // The first checks are of a cold process: measure from the second round on.
    let begun = Instant::now();
    wait_until(begun + Duration::from_secs(2));
    let (cpu_before, checks_before) = (cpu(pid), scrape(port, "egressd_checks_total"));
    wait_until(begun + Duration::from_secs(2 + SECONDS));
    let (cpu_after, checks_after) = (cpu(pid), scrape(port, "egressd_checks_total"));
    let checks = checks_after - checks_before;
    let up = scrape(port, "egressd_check_up");
    assert!(
        checks > 0.5 * f64::from(u32::try_from(SECONDS).unwrap()) * 100.0,
        "only {checks} checks"
    );
    assert!((up - 100.0).abs() < 0.5, "only {up} of 100 checks are up");
    let ratio = (cpu_after - cpu_before) / checks / bare;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let peak: f64 = peak.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0;
    #[expect(clippy::cast_precision_loss, reason = "megabytes")]
    let size = std::fs::metadata(env!("CARGO_BIN_EXE_egressd")).unwrap().len() as f64 / 1e6;
    let mut failed = Vec::new();
    let mut figure = |what: &str, value: f64, bound: f64, unit: &str| {
        println!("{what:<54} {value:>8.2} {unit:<4} bound {bound} {unit}");
        if value > 2.0 * bound {
            failed.push(what.to_owned());
        }
    };
    println!(
        "{checks} checks of {TARGETS} targets once a second; a bare loop takes {:.3} ms of CPU",
        bare * 1e3
    );
    println!("a trip takes {:.3} ms, a bare loop {:.3} ms", trip * 1e3, alone * 1e3);
    figure("time of a trip, against the bare loop", trip / alone, TRIP, "x");
    println!("through a proxy {:.3} ms and {:.3} ms", tunnelled * 1e3, by_hand * 1e3);
    let through = "time of a trip through a proxy, against the bare loop";
    figure(through, tunnelled / by_hand, TRIP, "x");
    figure("CPU a check, against the bare loop", ratio, RATIO, "x");
    figure("PAC decision", decision, DECISION, "ms");
    figure("peak memory of the daemon", peak, MEMORY, "MiB");
    figure("start to ready", daemon.ready, READY, "ms");
    figure("size of the binary", size, SIZE, "MB");
    drop(daemon);
    assert!(failed.is_empty(), "beyond twice their bounds: {}", failed.join(", "));
}
