//! What `/probe` refuses: whoever may ask must not make this host a way into its own network.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream};

use super::Bench;
use crate::support::dns::{DnsServer, Zone};
use crate::support::ground::Ground;
use crate::support::http::{Behaviour as Http, HttpServer};
use crate::support::program::{Folder, run};
use crate::support::tls::Behaviour as Tls;

fn page() -> HttpServer {
    HttpServer::start(Http::Answer { status: 200, headers: Vec::new(), body: Vec::new() })
}

#[test]
fn what_a_module_does_not_name_is_refused_before_a_look_up() {
    let dns = DnsServer::start(Zone::new());
    let servers = format!("[dns]\nservers = [\"{}\"]\n", dns.address());
    let bench = Bench::on(Ground::new(), &[443], &[("m", "")], &servers);
    let rows = [
        (
            "module=m&target=https://elsewhere.invalid/",
            403,
            "module m does not name the host elsewhere.invalid in egressd: { hosts: [...] }\n",
        ),
        (
            "module=m&target=https://api.test:8443/",
            403,
            "module m does not name port 8443 in egressd: { ports: [...] }\n",
        ),
        (
            "module=m&target=https://api.test.elsewhere.invalid/",
            403,
            "module m does not name the host api.test.elsewhere.invalid in egressd: { hosts: [...] }\n",
        ),
        (
            "module=m&target=https://2130706434/",
            403,
            "module m does not name the host 127.0.0.2 in egressd: { hosts: [...] }\n",
        ),
        (
            "module=m&target=https://u:p@api.test/",
            400,
            "a login inside of a URL is not sent; write it into the module\n",
        ),
        ("module=m&target=ftp://api.test/", 400, "the target's scheme is neither http nor https\n"),
        ("module=x&target=https://api.test/", 400, "Unknown module \"x\"\n"),
        ("target=https://api.test/", 400, "Unknown module \"http_2xx\"\n"),
        ("module=m", 400, "Target parameter is missing\n"),
    ];
    for (query, status, text) in rows {
        let probe = bench.ask(query, &[]);
        assert_eq!((probe.status, probe.body.as_str()), (status, text), "{query}");
    }
    let asked = dns.queries();
    assert!(asked.iter().all(|query| !query.name.contains(".test")), "{asked:?}");
    let foreign =
        bench.ask("module=m&target=https://api.test/", &[("Sec-Fetch-Site", "cross-site")]);
    assert_eq!(foreign.status, 403);
}

/// A name that is allowed and leads inside, by DNS: it is refused at the address, and nobody is dialled.
#[test]
fn a_name_that_leads_inside_is_not_followed() {
    let server = page();
    let home = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let zone = Zone::new()
        .address("api.test", home)
        .address("both.test", Ipv4Addr::new(10, 1, 2, 3))
        .address("both.test", home)
        .address("mapped.test", Ipv4Addr::LOCALHOST.to_ipv6_mapped())
        .address("nat64.test", Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0x7f00, 1))
        .address("6to4.test", Ipv6Addr::new(0x2002, 0x7f00, 1, 0, 0, 0, 0, 1));
    let dns = DnsServer::start(zone);
    let ground = Ground::new();
    let text = format!(
        "egressd: {{ hosts: [\"*.test\"], ports: [{}] }}\nmodules:\n  open: {{ prober: http, http: {{ preferred_ip_protocol: ip4 }} }}\n  other: {{ prober: http }}\n  listed:\n    prober: http\n    http: {{ preferred_ip_protocol: ip4 }}\n    egressd: {{ networks: [127.0.0.1] }}\n",
        server.address().port()
    );
    let servers = format!("[dns]\nservers = [\"{}\"]\n", dns.address());
    let bench = Bench::with(ground, &text, &servers);
    let at = |name: &str| format!("http://{name}:{}/", server.address().port());
    let refused = bench.probe("open", &at("api.test"));
    let text = "127.0.0.1 is no public address, and module open does not name it in egressd: { networks: [...] }\n";
    assert_eq!((refused.status, refused.body.as_str()), (403, text));
    assert_eq!(bench.probe("open", &at("both.test")).status, 403);
    // What carries the same address in another form leads there, too.
    for name in ["mapped.test", "nat64.test", "6to4.test"] {
        let refused = bench.probe("other", &at(name));
        assert_eq!(refused.status, 403, "{name}: {}", refused.body);
        assert!(refused.body.contains(" is no public address, and module other "), "{name}");
    }
    assert!(server.connections().is_empty(), "nobody was dialled");
    // The address that is listed is the one that is dialled, whatever else the name has.
    assert!(bench.probe("listed", &at("api.test")).success());
    assert!(bench.probe("listed", &at("both.test")).success());
    assert_eq!(server.requests().len(), 2);
}

/// BX01: it ends before the scrape does, and the fifth of five is sent away.
#[test]
fn probes_are_few_and_end_in_time() {
    let (silent, page) = (HttpServer::start(Http::NoAnswer), page());
    let ports = [silent.address().port(), page.address().port()];
    let bench = slow(&ports);
    let query = |server: &HttpServer| format!("module=m&target=http://{}/", server.address());
    let within = |seconds: &'static str| [("X-Prometheus-Scrape-Timeout-Seconds", seconds)];
    let probe = bench.ask(&query(&silent), &within("3"));
    assert!(!probe.success());
    assert_eq!(probe.value("probe_timeout_seconds"), Some(2.5));
    assert_eq!(probe.phases(), ["resolve", "connect"]);
    let wrong = bench.ask(&query(&silent), &within("soon"));
    assert_eq!(
        (wrong.status, wrong.body.as_str()),
        (500, "Failed to parse timeout from Prometheus header\n")
    );

    let before = silent.requests().len();
    let four = [(); 4].map(|()| begin(&bench, &query(&silent)));
    silent.wait_requests(before + 4);
    let fifth = bench.ask(&query(&page), &within("1"));
    assert_eq!(fifth.status, 503, "{}", fifth.body);
    drop(four);
    assert!(bench.ask(&query(&page), &[]).success(), "there is room again");
}

/// Its probes take two minutes of whoever does not answer, unless the scrape says less.
fn slow(ports: &[u16]) -> Bench {
    let modules = super::text(ports, &[("m", "")]).replace("timeout: 5s", "timeout: 120s");
    Bench::with(Ground::new(), &modules, "")
}

/// A probe whose answer nobody reads.
fn begin(bench: &Bench, query: &str) -> TcpStream {
    let mut stream = TcpStream::connect(bench.daemon.address()).unwrap();
    write!(stream, "GET /probe?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    stream
}

/// A place is left by who goes away, and taken by who waits for it.
#[test]
fn a_probe_that_nobody_waits_for_any_more_leaves_its_place() {
    let silent = HttpServer::start(Http::NoAnswer);
    let bench = slow(&[silent.address().port()]);
    let query = format!("module=m&target=http://{}/", silent.address());
    let four = [(); 4].map(|()| begin(&bench, &query));
    silent.wait_requests(4);
    let _fifth = begin(&bench, &query);
    drop(four);
    silent.wait_requests(5);
}

/// A secret that came with a second line is a fault of here, and no network's.
#[test]
fn a_secret_that_no_header_can_carry_is_not_sent() {
    let world = Ground::new();
    let server = page();
    let token = world.folder.write("token", "sesame\r\nX-Other: 1\n");
    let file = format!("bearer_token_file: {}", token.display());
    let bench = Bench::on(world, &[server.address().port()], &[("m", &file)], "");
    let probe = bench.probe("m", &format!("https://{}/", server.address()));
    let why =
        format!("file {}: no line that the header authorization can carry\n", token.display());
    assert_eq!((probe.status, probe.body), (500, why));
    assert!(server.requests().is_empty());
}

/// BX03: what a module proves itself with is nowhere to be read.
#[test]
fn secrets_are_shown_nowhere() {
    let world = Ground::new();
    let server = world.server(Tls::Serve(Http::Answer {
        status: 500,
        headers: Vec::new(),
        body: Vec::new(),
    }));
    let lines = "headers: { Authorization: Bearer planted-one, X-Plain: shown }\nhttp_headers:\n  X-Api-Key:\n    secrets: [planted-two]\n  X-Auth-Token: { values: [planted-three] }\n";
    let basic = "basic_auth: { username: user, password: planted-four }";
    let proxy = "proxy_url: http://user:planted-five@127.0.0.1:9";
    let bare = "proxy_url: user:planted-seven@127.0.0.1:9\nmethod: POST\nbody: key=planted-eight";
    let modules = [("m", lines), ("b", basic), ("p", proxy), ("s", bare)];
    let bench =
        Bench::on(world, &[server.address().port()], &modules, "[log]\nfilter = \"trace\"\n");
    for module in ["m", "b", "p", "s"] {
        let query = format!(
            "module={module}&target=https://{}/?key=planted-six&debug=true",
            server.address()
        );
        let probe = bench.ask(&query, &[]);
        assert_eq!(probe.status, 200);
        assert!(!probe.body.contains("planted"), "{}", probe.body);
        assert!(probe.body.contains("<secret>"), "{}", probe.body);
        let heads = [
            "Logs for the probe:\n",
            "Metrics that would have been returned:\n",
            "Module configuration:\n",
        ];
        assert!(heads.iter().all(|head| probe.body.contains(head)), "{}", probe.body);
        assert!(
            !bench
                .probe(module, &format!("https://{}/", server.address()))
                .body
                .contains("planted")
        );
    }
    assert!(bench.daemon.log().iter().all(|line| !line.contains("planted")));
    // They are not sent in clear text, either.
    let plain = bench.probe("m", &format!("http://{}/", server.address()));
    assert_eq!(
        (plain.status, plain.body.as_str()),
        (400, "a secret is not sent over plain HTTP: write https://\n")
    );
}

#[test]
fn without_modules_there_is_no_probe_and_none_for_everybody() {
    let ground = Ground::new();
    let file = ground.config("[server]\nlisten = \"127.0.0.1:0\"\n[[target]]\nname = \"a\"\nurl = \"https://localhost:1/\"\n");
    let daemon = crate::support::program::Daemon::start(&ground.folder, file.as_ref());
    assert_eq!(
        daemon.get("/probe?target=x"),
        (404, "there is no /probe without [server] blackbox_modules\n".to_owned())
    );

    let folder = Folder::new();
    let modules = folder.write("m.yml", "modules: {}\n");
    let text = format!(
        "[server]\nlisten = \"0.0.0.0:9737\"\nblackbox_modules = \"{}\"\n[[target]]\nname = \"a\"\nurl = \"https://localhost:1/\"\n",
        modules.display()
    );
    let file = folder.write("open.toml", &text);
    let finished = run(&["config", "check", &file.display().to_string()]);
    assert_eq!(finished.code, 78, "{}", finished.stderr);
    assert!(
        finished
            .stderr
            .contains("everybody who reaches 0.0.0.0:9737 could make this host probe others"),
        "{}",
        finished.stderr
    );
}
