//! A real tinyproxy, which has answers of its own.

use super::{NAME, Stand};
use crate::support::foreign::At;
use crate::support::tinyproxy::{self, Tinyproxy};

/// Requests that it read, and tunnels that it opened.
fn seen(tinyproxy: &Tinyproxy) -> [usize; 2] {
    let lines = tinyproxy.log().entries();
    ["Request (file", "Established connection"]
        .map(|what| lines.iter().filter(|line| line.contains(what)).count())
}

#[test]
fn tinyproxy_answers_401_where_it_means_407() {
    if !tinyproxy::is_here() {
        return;
    }
    let stand = Stand::new();
    let open = Tinyproxy::start(At::Loopback, "", &[]);
    stand.through(open.address()).to("127.0.0.1").verdict().is_fine();
    let closed = Tinyproxy::start(At::Loopback, "BasicAuth walter sesame", &[]);
    let check = || stand.through(closed.address()).to("127.0.0.1");
    let none = check().verdict();
    let says = "the proxy PROXY asks for a login and none is configured";
    none.is("proxy_auth_required", "credential", "high", says);
    assert_eq!(seen(&closed), [2, 0], "the trip and its repeat");

    let wrong = check().password("basic", "walter", "wrong").verdict();
    let says = "probably the proxy PROXY rejects the configured login";
    wrong.is("proxy_auth_rejected", "credential", "medium", says);
    assert_eq!(wrong.failure()["status"], 401);
    // Asked once, answered once; the repeat and the controls go without it.
    assert_eq!(seen(&closed), [7, 0], "{:#?}", closed.log().entries());

    check().password("basic", "walter", "sesame").verdict().is_fine();
    assert_eq!(seen(&closed), [9, 1], "{:#?}", closed.log().entries());
}

#[test]
fn tinyproxy_has_a_filter() {
    if !tinyproxy::is_here() {
        return;
    }
    let stand = Stand::new();
    let tinyproxy = Tinyproxy::start(At::Loopback, "", &["api"]);
    let verdict = stand.through(tinyproxy.address()).to(NAME).verdict();
    let says = "the proxy PROXY refuses api.corp.test; the proxy lets another host through";
    verdict.is("proxy_denied", "proxy", "high", says);
    assert_eq!(verdict.failure()["status"], 403);
}
