//! A login as the proxy sees it: over how many connections, how often, and what is found where that does not end well.

#[cfg(feature = "ntlm")]
mod ntlm;

use egressd::observation::{Login, Scheme, Trip};
use egressd::plan::Credential;

use super::super::{AMPLE, BRIEF, LEAF, NAME, Way, finding};
use super::{logged_in, password, refusal, site};
use crate::support::script::{Script, Scripted, Step};
use crate::support::tls::TlsServer;
use crate::support::wire::Ending;
use Step::{Carry, Head};

/// A story: the login, what the proxy does on each connection, what is found, what becomes of the
/// login; and how many connections and requests with a login the proxy sees.
struct Story {
    what: &'static str,
    login: Credential,
    scripts: Vec<Script>,
    found: &'static str,
    became: &'static str,
    connections: usize,
    attempts: usize,
}

fn basic() -> Credential {
    password(Scheme::Basic, "svc", "right")
}

fn digest() -> Credential {
    password(Scheme::Digest, "svc", "right")
}

/// Reads a request and answers with that.
fn answer(text: &str) -> Script {
    vec![Head, Step::Say(text.as_bytes().to_vec())]
}

/// A 407 that keeps the connection.
fn ask(challenge: &str) -> Script {
    answer(&format!(
        "HTTP/1.1 407 Login\r\nProxy-Authenticate: {challenge}\r\nContent-Length: 4\r\n\r\npage"
    ))
}

fn ask_and_close(challenge: &str) -> Script {
    let mut script = answer(&format!(
        "HTTP/1.1 407 Login\r\nProxy-Authenticate: {challenge}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    ));
    script.push(Step::End(Ending::Close));
    script
}

fn open(api: &TlsServer) -> Script {
    [answer("HTTP/1.1 200 OK\r\n\r\n"), vec![Carry(api.address())]].concat()
}

fn end(ending: Ending) -> Script {
    vec![Head, Step::End(ending)]
}

fn became(trip: &Trip) -> Login {
    match &trip.legs[0].tunnelled {
        Some(tunnelled) => tunnelled.login.clone(),
        None => refusal(trip).login,
    }
}

impl Story {
    /// In clear and inside of TLS.
    fn holds(&self) {
        for secured in [false, true] {
            let tls = secured.then(|| LEAF.server_config(&[]));
            let proxy = Scripted::start_over(tls, self.scripts.clone());
            let scheme = if secured { "https" } else { "http" };
            let brief = if secured { BRIEF * 2 } else { BRIEF };
            let timeout = if self.found.ends_with("timeout") { brief } else { AMPLE };
            let way = Way::to(format!("https://{NAME}:4433/v1/models"));
            let way = way.by(format!("{scheme}://{}", proxy.address()), "").within(timeout);
            let trip = logged_in(&way, self.login.clone());
            let what = format!("{}, {scheme}", self.what);
            assert_eq!(finding(&trip), self.found, "{what}: {trip:?}");
            assert_eq!(became(&trip).label(), self.became, "{what}");
            assert_eq!(proxy.wait_closed(self.connections).len(), self.connections, "{what}");
            let told = proxy.told();
            let told: Vec<String> =
                told.iter().map(|(_, told)| String::from_utf8_lossy(told).into_owned()).collect();
            let attempts = told.iter().filter(|told| told.contains("Proxy-Authorization: "));
            assert_eq!(attempts.count(), self.attempts, "{what}: {told:#?}");
            assert!(!told[0].contains("Proxy-Authorization"), "{what}: unasked");
            let all = format!("{trip:?}");
            assert!(!all.contains("c3ZjOnJpZ2h0") && !all.contains("right"), "{what}");
        }
    }
}

/// All at the same time.
fn hold(stories: &[Story]) {
    std::thread::scope(|scope| {
        for story in stories {
            scope.spawn(|| story.holds());
        }
    });
}

#[test]
fn a_login_goes_over_the_same_connection_where_that_is_kept() {
    let api = site();
    let story = |what, first: Script, connections| Story {
        what,
        login: basic(),
        scripts: if connections == 1 {
            vec![[first, open(&api)].concat()]
        } else {
            vec![first, open(&api)]
        },
        found: "401 over 2",
        became: "sent",
        connections,
        attempts: 1,
    };
    let with = |fields: &str, page: &str| {
        answer(&format!(
            "HTTP/1.1 407 Login\r\nProxy-Authenticate: Basic realm=\"r\"\r\n{fields}\r\n{page}"
        ))
    };
    let closed = |mut script: Script| {
        script.push(Step::End(Ending::Close));
        script
    };
    let old = "HTTP/1.0 407 Login\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n";
    let (page, more) = ("x".repeat(60_000), "x".repeat(70_000));
    hold(&[
        story("kept", ask("Basic realm=\"r\""), 1),
        story(
            "kept with chunks",
            with("Transfer-Encoding: chunked\r\n", "4\r\npage\r\n0\r\n\r\n"),
            1,
        ),
        story("kept with a long page", with("Content-Length: 60000\r\n", &page), 1),
        story(
            "kept by an old proxy",
            answer(&format!("{old}Proxy-Connection: Keep-Alive\r\n\r\n")),
            1,
        ),
        story("many challenges", ask(&"Basic realm=\"r\", ".repeat(50)), 1),
        story("challenges in garbage", ask("@@@, \"a, b\", Basic realm=\"r, é"), 1),
        story(
            "an interim answer",
            [answer("HTTP/1.1 100 Go\r\n\r\n"), ask("Basic").split_off(1)].concat(),
            1,
        ),
        story("closed", ask_and_close("Basic realm=\"r\""), 2),
        story(
            "closed by a header of proxies",
            closed(with("Proxy-Connection: close\r\nContent-Length: 0\r\n", "")),
            2,
        ),
        story("an old proxy", closed(answer(&format!("{old}\r\n"))), 2),
        story("no length", closed(with("", "page")), 2),
        story("two lengths", with("Content-Length: 4\r\nContent-Length: 5\r\n", "page"), 2),
        story("a page without end", with("Content-Length: 100\r\n", "page"), 2),
        story("a page beyond the limit", with("Content-Length: 70000\r\n", &more), 2),
        story("more than the page", with("Content-Length: 4\r\n", "page and more"), 2),
        story("trailers", with("Transfer-Encoding: chunked\r\n", "0\r\nX: y\r\n\r\n"), 2),
    ]);
}

#[test]
fn a_kept_connection_that_is_gone_is_made_anew_once() {
    let api = site();
    let story = |what, scripts, found, connections, attempts| Story {
        what,
        login: basic(),
        scripts,
        found,
        became: "sent",
        connections,
        attempts,
    };
    let kept = |ending| [ask("Basic"), end(ending)].concat();
    let half = [ask("Basic"), answer("HTTP/1.1 200"), vec![Step::End(Ending::Close)]].concat();
    hold(&[
        story("closed", vec![kept(Ending::Close), open(&api)], "401 over 2", 2, 2),
        story("reset", vec![kept(Ending::Reset), open(&api)], "401 over 2", 2, 2),
        // A second time is no chance.
        story("closed again", vec![kept(Ending::Close), end(Ending::Close)], "proxy closed", 2, 2),
        story("reset again", vec![kept(Ending::Reset), end(Ending::Reset)], "proxy reset", 2, 2),
        story("half an answer", vec![half], "proxy closed", 1, 1),
        story(
            "closed first",
            vec![ask_and_close("Basic"), end(Ending::Close)],
            "proxy closed",
            2,
            1,
        ),
        story("silent", vec![[ask("Basic"), end(Ending::Silent)].concat()], "proxy timeout", 1, 1),
        story("garbage", vec![[ask("Basic"), answer("\0\0")].concat()], "proxy not_a_proxy", 1, 1),
    ]);
}

#[test]
fn what_becomes_of_a_login_is_said() {
    let story = |what, script: Script, found, became, attempts| Story {
        what,
        login: basic(),
        scripts: vec![script],
        found,
        became,
        connections: 1,
        attempts,
    };
    let both = |first: &str, second: Script| [ask(first), second].concat();
    let no = "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n";
    let elsewhere = "HTTP/1.1 302 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let silent = "HTTP/1.1 407 Login\r\nContent-Length: 0\r\n\r\n";
    hold(&[
        story("rejected", both("Basic", ask("Basic")), "proxy auth", "rejected", 1),
        story(
            "rejected for another scheme",
            both("Basic", ask("NTLM")),
            "proxy auth",
            "rejected",
            1,
        ),
        story(
            "rejected without a word",
            both("Basic", answer(silent)),
            "proxy auth",
            "rejected",
            1,
        ),
        story("taken, and refused", both("Basic", answer(no)), "proxy status", "sent", 1),
        story(
            "taken, and sent away",
            both("Basic", answer(elsewhere)),
            "proxy redirect",
            "sent",
            1,
        ),
        story("no challenge", answer(silent), "proxy auth", "not_asked", 0),
        story("garbage for a challenge", ask("\"@@@\" , , = "), "proxy auth", "not_asked", 0),
        story("tickets only", ask("Negotiate, NTLM"), "proxy auth", "not_offered", 0),
        story("a scheme nobody knows", ask("Bearer realm=\"r\""), "proxy auth", "not_offered", 0),
        story("not asked", answer(no), "proxy status", "not_asked", 0),
    ]);
}

#[test]
fn what_is_offered_is_named() {
    let offers = |challenge: &str| {
        let proxy = Scripted::start(vec![ask(challenge)]);
        let way = Way::to(format!("https://{NAME}/")).by(format!("http://{}", proxy.address()), "");
        refusal(&way.walk()).offers
    };
    assert_eq!(
        offers("Negotiate, NTLM, Basic realm=\"a\", Digest nonce=\"b\""),
        ["negotiate", "ntlm", "basic", "digest"]
    );
    assert_eq!(offers("Bearer, Hawk, BASIC"), ["other", "basic"]);
    assert_eq!(offers("@@@"), [""; 0]);
}

#[test]
fn a_nonce_runs_out_once() {
    let api = site();
    let story = |what, scripts, found, became, connections, attempts| Story {
        what,
        login: digest(),
        scripts,
        found,
        became,
        connections,
        attempts,
    };
    let first = "Digest realm=\"r\", nonce=\"a\", qop=\"auth\"";
    let stale = "Digest realm=\"r\", nonce=\"b\", qop=\"auth\", stale=TRUE";
    let all = |parts: &[Script]| vec![parts.concat()];
    let (ok, no) = ("401 over 2", "proxy auth");
    hold(&[
        story("good", all(&[ask(first), open(&api)]), ok, "sent", 1, 1),
        story("stale once", all(&[ask(first), ask(stale), open(&api)]), ok, "sent", 1, 2),
        story(
            "stale once, each on its own",
            vec![ask_and_close(first), ask_and_close(stale), open(&api)],
            ok,
            "sent",
            3,
            2,
        ),
        story("stale for ever", all(&[ask(first), ask(stale), ask(stale)]), no, "rejected", 1, 2),
        story(
            "stale for ever, each on its own",
            vec![ask_and_close(first), ask_and_close(stale), ask_and_close(stale)],
            no,
            "rejected",
            3,
            2,
        ),
        story("wrong", all(&[ask(first), ask(first)]), no, "rejected", 1, 1),
        story("no nonce", all(&[ask("Digest realm=\"r\"")]), no, "not_offered", 1, 0),
        story(
            "an algorithm nobody knows",
            all(&[ask("Digest nonce=\"a\", algorithm=CRC32")]),
            no,
            "not_offered",
            1,
            0,
        ),
    ]);
}
