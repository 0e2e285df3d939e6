//! Passwords at a real squid: right, wrong, missing, unreadable, by each scheme.

use super::{HOSTS, NAME, Stand};
use crate::support::squid::{self, Login, PASSWORD, Setup, Squid, USER};

/// How many lines of squid's log begin with a status and end with a user, `-` where none was sent.
fn count(squid: &Squid, status: u16, user: &str) -> usize {
    let (status, user) = (format!(" {status} "), format!(" {user}"));
    squid.access().iter().filter(|line| line.contains(&status) && line.ends_with(&user)).count()
}

fn squid_with(logins: &[Login<'_>]) -> Squid {
    Squid::start(&Setup { hosts: HOSTS, logins, ..Setup::default() })
}

#[test]
fn an_open_squid_is_asked_by_name() {
    if !squid::is_here() {
        return;
    }
    let (stand, squid) = (Stand::new(), squid_with(&[]));
    stand.through(squid.address()).verdict().is_fine();
    squid.wait_access(&format!("CONNECT {}:{} 200 TCP_TUNNEL -", NAME, stand.port()));
}

#[test]
fn squid_knows_who_has_the_password() {
    if !squid::is_here() {
        return;
    }
    let stand = Stand::new();
    for (login, scheme) in [(Login::Basic, "basic"), (Login::Digest, "digest")] {
        let squid = squid_with(&[login]);
        let check = || stand.through(squid.address());
        check().password(scheme, USER, PASSWORD).verdict().is_fine();
        let line = squid.wait_access("TCP_TUNNEL");
        assert!(line.ends_with(&format!(" {USER}")), "{line}");

        let verdict = check().password(scheme, USER, "wrong").verdict();
        let says = "probably the proxy PROXY rejects the configured login";
        verdict.is("proxy_auth_rejected", "credential", "medium", says);
        assert_eq!(verdict.failure()["login"]["rejected"]["scheme"], scheme);
        assert_eq!(count(&squid, 407, USER), 1, "the repeat and the control go without it");

        let missing = check().verdict();
        let says = "the proxy PROXY asks for a login and none is configured";
        missing.is("proxy_auth_required", "credential", "high", says);
        assert_eq!(missing.failure()["offers"], serde_json::json!([scheme]));

        let gone = "{ file = \"/nonexistent/password\" }";
        let lines =
            format!("auth = {{ scheme = \"{scheme}\", username = \"{USER}\", password = {gone} }}");
        let unreadable = check().with(&lines).verdict();
        let says = "the secret file /nonexistent/password cannot be read";
        unreadable.is("local_credential_unavailable", "credential", "high", says);
        assert_eq!(count(&squid, 407, USER), 1, "{:#?}", squid.access());
    }
}

#[test]
fn squid_is_shown_both_messages_of_ntlm() {
    if !squid::is_here() {
        return;
    }
    let (stand, squid) = (Stand::new(), squid_with(&[Login::Ntlm]));
    stand.through(squid.address()).password("ntlm", "CORP\\\\walter", "any").verdict().is_fine();
    squid.wait_access("TCP_TUNNEL");
    let asked = format!("CONNECT {NAME}:{}", stand.port());
    let expected = ["407 TCP_DENIED -", "407 TCP_DENIED -", "200 TCP_TUNNEL CORP\\walter"];
    assert_eq!(squid.access(), expected.map(|line| format!("{asked} {line}")));
}

#[test]
fn of_several_schemes_the_configured_one_is_used() {
    if !squid::is_here() {
        return;
    }
    let (stand, squid) = (Stand::new(), squid_with(&[Login::Ntlm, Login::Digest, Login::Basic]));
    for scheme in ["basic", "digest", "ntlm"] {
        let check = stand.through(squid.address()).password(scheme, USER, PASSWORD);
        check.verdict().is_fine();
    }
    let tunnels = |lines: &[String]| lines.iter().filter(|line| line.contains(" 200 ")).count();
    squid.wait_until(|lines| tunnels(lines) == 3);
    // Each was asked once, and NTLM has a challenge more.
    assert_eq!(
        (count(&squid, 200, USER), count(&squid, 407, "-")),
        (3, 4),
        "{:#?}",
        squid.access()
    );
    let only = squid_with(&[Login::Ntlm, Login::Digest]);
    let verdict = stand.through(only.address()).password("basic", USER, PASSWORD).verdict();
    let says = "the proxy PROXY takes ntlm, digest only, and the login is basic";
    verdict.is("proxy_auth_unsupported", "client", "high", says);
    let access = only.access();
    assert!(access.iter().all(|line| line.ends_with(" 407 TCP_DENIED -")), "{access:#?}");
}
