//! Snapshots as bad as peers can make them: each round all that they choose is another value.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use egressd::cause::{CAUSES, Layer, Party, Status};
use egressd::diagnosis::{
    Author, Confidence, Finding, Findings, NetworkState, RouteVerdict, Symptom, TargetVerdict,
};
use egressd::observation::{
    Certificate, Chain, ChainVerdict, Connected, Control, DnsKind, Expect, Failure, HttpKind, Leg,
    LocalKind, Needs, ProxyKind, Response, Secured, Socket, TcpKind, TlsFailure, TlsKind, Trip,
    Tunnelled,
};
use egressd::provider::Reading;
use egressd::store::{Configured, Declared, Kind, Own, Report, Store, Walked, Zone};
use jiff::Timestamp;

/// What no page may hold.
pub(crate) const PLANTED: &str = "planted";

/// A store with so many targets on so many routes, and what every target is.
pub(crate) fn store(targets: usize, routes: usize) -> Store {
    let mut store = Store::new(Own::default());
    store.declare(Some("a \"site\"\\\n".to_owned()), declared(targets, routes));
    store.certificates(configured());
    for route in 0..routes {
        store.control("www.example.com".to_owned(), route_name(route), route.is_multiple_of(2));
    }
    store
}

pub(crate) fn declared(targets: usize, routes: usize) -> Vec<Declared> {
    let names = (0..targets).map(target_name);
    names
        .map(|target| Declared {
            target,
            provider: "anthropic".to_owned(),
            zone: Zone::Provider,
            labels: BTreeMap::from([("team".to_owned(), "m\\l \"1\"\n".to_owned())]),
            needs: Needs::Any,
            interval: 60.0,
            ranges: &[],
            routes: (0..routes)
                .map(|route| (route_name(route), Expect::Open, Some("fra-1".to_owned())))
                .collect(),
        })
        .collect()
}

pub(crate) fn target_name(number: usize) -> String {
    format!("api-{number}")
}

pub(crate) fn route_name(number: usize) -> String {
    format!("route-{number}")
}

/// A client's chain, and a file of more roots than have a name.
pub(crate) fn configured() -> Vec<Configured> {
    let client = vec![certificate("CN=leaf", 1), certificate("CN=Corp Clients", 2)];
    let roots = (0..9).map(|root| certificate(&format!("CN=Corp Root {root}"), root)).collect();
    let of = |of, target, certificates| Configured { of, target, route: None, certificates };
    vec![of(Kind::Client, Some(target_name(0)), client), of(Kind::Ca, None, roots)]
}

/// Each target's next check.
pub(crate) fn round(store: &mut Store, round: usize, targets: usize, routes: usize) {
    for target in 0..targets {
        store.apply(report(&target_name(target), round, routes));
    }
}

fn report(target: &str, round: usize, routes: usize) -> Report {
    let at = Timestamp::from_second(1_790_000_000 + i64::try_from(round).unwrap()).unwrap();
    let names: Vec<String> = (0..routes).map(route_name).collect();
    let walked = names.iter().map(|route| Walked {
        route: route.clone(),
        trip: trip(round, at),
        answer: Some((
            Reading { origin_mark: true, ..Reading::default() },
            Author::ALL[round % Author::ALL.len()],
        )),
    });
    Report {
        target: target.to_owned(),
        trips: walked.collect(),
        findings: Findings {
            routes: names.iter().map(|route| verdict(route, round)).collect(),
            target: TargetVerdict { status: Status::Ok, finding: None, summary: String::new() },
            symptom: Vec::new(),
            baseline: Vec::new(),
            at,
        },
        experiments: names
            .iter()
            .map(|route| (route.clone(), Control::ALL[round % Control::ALL.len()]))
            .collect(),
        at,
        seconds: 1.0,
    }
}

/// Forty addresses, two of them the same; each shows chains of its own, in every state of trust.
fn trip(round: usize, at: Timestamp) -> Trip {
    let legs = (0..40).map(|number| leg(round, number)).collect();
    Trip { started: at, seconds: 1.0, legs, ..Trip::default() }
}

fn leg(round: usize, number: usize) -> Leg {
    let low = u16::try_from(number.max(1)).unwrap();
    let high = u16::try_from(round % 60_000).unwrap();
    let address: IpAddr = if number.is_multiple_of(2) {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, high, low).into()
    } else {
        let [high, middle] = high.to_be_bytes();
        Ipv4Addr::new(10, high, middle, low.to_be_bytes()[1]).into()
    };
    let socket = Some(Socket { pmtu: 1500, ..Socket::default() });
    let mut leg = Leg::to(SocketAddr::new(address, 443));
    leg.connected = Some(Connected { seconds: 0.01, socket });
    leg.tunnelled = Some(Tunnelled { seconds: 0.01, ..Tunnelled::default() });
    leg.secured = Some(Secured { seconds: 0.01, ..Secured::default() });
    leg.chain = Some(chain(round, number));
    leg.proxy_chain = Some(chain(round, number + 1));
    if number == 0 {
        leg.response = Some(Response {
            status: u16::try_from(round % 600).unwrap(),
            headers: vec![
                ("cf-ray".to_owned(), format!("{PLANTED}-{}{PLANTED}", letters(round))),
                ("date".to_owned(), "Sun, 22 Nov 2026 18:00:41 GMT".to_owned()),
                (PLANTED.to_owned(), PLANTED.to_owned()),
            ],
            body: PLANTED.to_owned(),
            first_byte: 0.02,
            socket,
            ..Response::default()
        });
    } else if number.is_multiple_of(3) {
        leg.stop = Some(Failure::Tls(TlsFailure::new(TlsKind::Reset)));
    }
    leg
}

/// Three letters that differ from round to round.
fn letters(round: usize) -> String {
    let of = |place: usize| char::from(b'A' + u8::try_from(place % 26).unwrap());
    [of(round), of(round / 26), of(round / 676)].iter().collect()
}

fn chain(round: usize, number: usize) -> Arc<Chain> {
    let verified = |place: usize| {
        if number % 4 == place { ChainVerdict::Verified } else { ChainVerdict::UnknownIssuer }
    };
    let hidden = format!("O={PLANTED}, CN=evil\"}} 1\n# EOF\n{round} {number}\\, C=US");
    Arc::new(Chain {
        certificates: vec![certificate("CN=leaf", round), certificate(&hidden, number)],
        public: verified(0),
        system: verified(1),
        organisation: verified(2),
        ..Chain::default()
    })
}

fn certificate(issuer: &str, days: usize) -> Certificate {
    let day = i64::try_from(days % 300).unwrap() * 86_400;
    Certificate {
        subject: PLANTED.to_owned(),
        issuer: issuer.to_owned(),
        names: vec![PLANTED.to_owned()],
        not_before: Timestamp::from_second(1_780_000_000 + day).unwrap(),
        not_after: Timestamp::from_second(1_800_000_000 + day).unwrap(),
        self_signed: false,
        serial: PLANTED.to_owned(),
        fingerprint: String::new(),
        spki: String::new(),
        scts: 0,
    }
}

/// Every cause, party and status by turns, with a note of each cause.
fn verdict(route: &str, round: usize) -> RouteVerdict {
    let finding = |number: usize| {
        let row = &CAUSES[number % CAUSES.len()];
        Finding {
            rule: PLANTED.to_owned(),
            cause: row.cause,
            layer: row.layer.unwrap_or(Layer::Http),
            party: Party::ALL[number % Party::ALL.len()],
            status: row.status,
            confidence: Confidence::ALL[number % Confidence::ALL.len()],
            summary: PLANTED.to_owned(),
            means: PLANTED.to_owned(),
            advice: PLANTED.to_owned(),
            do_not: PLANTED.to_owned(),
            ask: PLANTED.to_owned(),
        }
    };
    let all = symptoms();
    let (layer, kind) = all[round % all.len()];
    let works = round.is_multiple_of(2);
    RouteVerdict {
        route: route.to_owned(),
        status: if works { Status::ALL[round % 2] } else { Status::Broken },
        network: NetworkState::ALL[round % NetworkState::ALL.len()],
        works,
        finding: (!works).then(|| finding(round)),
        notes: (0..CAUSES.len()).map(finding).collect(),
        evidence: Vec::new(),
        symptom: Some(Symptom {
            layer: layer.to_owned(),
            kind: kind.to_owned(),
            status: None,
            mark: Some(PLANTED.to_owned()),
        }),
        looks_like: Vec::new(),
    }
}

/// Each layer with each of its kinds.
pub(crate) fn symptoms() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<(&str, &str)> =
        LocalKind::ALL.iter().map(|kind| ("local", kind.label())).collect();
    all.extend(DnsKind::ALL.iter().map(|kind| ("dns", kind.label())));
    all.extend(TcpKind::ALL.iter().map(|kind| ("tcp", kind.label())));
    all.extend(ProxyKind::ALL.iter().map(|kind| ("proxy", kind.label())));
    all.extend(TlsKind::ALL.iter().map(|kind| ("tls", kind.label())));
    all.extend(HttpKind::ALL.iter().map(|kind| ("http", kind.label())));
    all
}
