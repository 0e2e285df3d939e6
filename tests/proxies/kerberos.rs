//! Tickets of a real KDC, for a real squid; and why there is none.

use serde_json::Value;

use super::{Check, HOSTS, Stand, Verdict};
use crate::support::kdc::{self, Kdc, REALM};
use crate::support::squid::{self, Login, Setup, Squid, USER};

fn are_here() -> bool {
    squid::is_here() && kdc::is_here()
}

/// A KDC, a squid that takes its tickets, and what is behind it.
struct Realm {
    stand: Stand,
    kdc: Kdc,
    squid: Squid,
}

impl Realm {
    fn new() -> Self {
        let kdc = Kdc::start(&["HTTP/localhost"]);
        kdc.admin(&format!("addprinc -pw secret {USER}"));
        let logins = &[Login::Negotiate(&kdc, "HTTP/localhost")];
        let squid = Squid::start(&Setup { hosts: HOSTS, logins, ..Setup::default() });
        Self { stand: Stand::new(), kdc, squid }
    }

    /// A check by the proxy's name, with this in its `auth`.
    fn check(&self, auth: &str) -> Check<'_> {
        self.check_at("localhost", auth)
    }

    fn check_at(&self, name: &str, auth: &str) -> Check<'_> {
        let check = self.stand.by(format!("http://{name}:{}", self.squid.address().port()));
        check
            .with(&format!("auth = {{ scheme = \"negotiate\"{auth} }}"))
            .env("KRB5_CONFIG", self.kdc.conf())
    }

    fn by_keytab(&self) -> Check<'_> {
        self.check(&self.keytab())
    }

    fn keytab(&self) -> String {
        let file = self.kdc.keytab(USER);
        format!(", principal = \"{USER}@{REALM}\", keytab = \"{}\"", file.display())
    }

    /// The proxy was asked, and told no user.
    #[track_caller]
    fn assert_nothing_was_sent(&self) {
        let access = self.squid.access();
        let refused = access.iter().all(|line| line.ends_with(" 407 TCP_DENIED -"));
        assert!(refused && !access.is_empty(), "{access:#?}");
    }

    /// Lines of the KDC's log with all of these.
    fn logged(&self, words: &[&str]) -> usize {
        let lines = self.kdc.log().entries();
        lines.iter().filter(|line| words.iter().all(|word| line.contains(word))).count()
    }
}

/// No ticket, and nothing was sent to the proxy.
#[track_caller]
fn is_without_ticket(realm: &Realm, verdict: &Verdict, kind: &str, why: &str) {
    let says = format!("there is no Kerberos ticket for the proxy PROXY: {why}");
    verdict.is("proxy_auth_unavailable", "credential", "high", &says);
    let login = &verdict.failure()["login"];
    let found = &login["no_ticket"]["kind"];
    assert_eq!(*found, Value::from(kind), "{login:#}");
    realm.assert_nothing_was_sent();
}

#[test]
fn a_ticket_is_had_by_a_keytab_or_from_a_cache() {
    if !are_here() {
        return;
    }
    let realm = Realm::new();
    let passed = |count: usize| {
        realm.squid.wait_until(|lines| {
            lines
                .iter()
                .filter(|line| line.ends_with(&format!("TCP_TUNNEL {USER}@{REALM}")))
                .count()
                == count
        });
    };
    realm.by_keytab().verdict().is_fine();
    passed(1);
    for request in ["AS_REQ", "TGS_REQ"] {
        assert_eq!(realm.logged(&[request, "ISSUE"]), 1, "{:#?}", realm.kdc.log().entries());
    }
    let cache = realm.kdc.kinit(USER, "secret", "1h");
    let issued = realm.logged(&["AS_REQ", "ISSUE"]);
    realm.check(&format!(", ccache = \"{cache}\"")).verdict().is_fine();
    passed(2);
    // The one that the host's environment names.
    realm.check("").env("KRB5CCNAME", &cache).verdict().is_fine();
    passed(3);
    assert_eq!(realm.logged(&["AS_REQ", "ISSUE"]), issued, "there was one");
}

#[test]
fn why_there_is_no_ticket_is_said_and_nothing_is_sent() {
    if !are_here() {
        return;
    }
    let mut realm = Realm::new();
    let none = realm.check("").verdict();
    is_without_ticket(&realm, &none, "no_ticket", "no ticket, and no keytab to get one with");

    let keytab = realm.keytab();
    let unknown = realm.check_at("proxy.test", &keytab).verdict();
    is_without_ticket(
        &realm,
        &unknown,
        "unknown_service",
        "the KDC does not know the proxy's service HTTP/host",
    );

    realm.kdc.admin(&format!("modprinc -allow_tix {USER}"));
    let locked = realm.check(&keytab).verdict();
    is_without_ticket(&realm, &locked, "revoked", "the account is locked");
    realm.kdc.admin(&format!("modprinc +allow_tix {USER}"));

    // All sides take a ticket for good until five minutes after its end.
    let cache = realm.kdc.kinit(USER, "secret", "1m");
    realm.kdc.run(1200);
    let expired = realm.check(&format!(", ccache = \"{cache}\"")).verdict();
    is_without_ticket(&realm, &expired, "expired", "the ticket or the password has expired");

    realm.kdc.run(3600);
    let ahead = realm.check(&keytab).verdict();
    is_without_ticket(&realm, &ahead, "clock_skew", "the clocks of KDC and host differ");

    realm.kdc.stop();
    let stopped = realm.check(&keytab).verdict();
    is_without_ticket(&realm, &stopped, "kdc_unreachable", "no KDC answers");
}

#[test]
fn an_old_key_is_tried_once() {
    if !are_here() {
        return;
    }
    let realm = Realm::new();
    let keytab = realm.keytab();
    realm.kdc.admin(&format!("cpw -randkey {USER}"));
    let verdict = realm.check(&keytab).and_to(super::OTHER).verdict();
    let says = "there is no Kerberos ticket for the proxy PROXY: the keytab holds an old key";
    let logins = [0, 1].map(|check| {
        verdict.that(check, ["proxy_auth_unavailable", "credential", "high"], says);
        &verdict.of(check)["observed"]["legs"][0]["stop"]["proxy"]["login"]
    });
    // One of the two targets asked; the other one, both repeats and the controls did not.
    let asked = logins.iter().find(|login| login["no_ticket"].is_object()).expect("one asked");
    let held = logins.iter().find(|login| login["withheld"].is_object()).expect("one did not");
    assert_eq!(asked["no_ticket"]["kind"], "wrong_key", "{asked:#}");
    assert_eq!(asked["no_ticket"]["until"], held["withheld"]["until"], "{held:#}");
    assert_eq!(held["withheld"]["ticket"]["kind"], "wrong_key", "{held:#}");
    realm.assert_nothing_was_sent();
    // An attempt is two requests: the first one learns that a key is to be proven.
    assert_eq!(realm.logged(&["AS_REQ", "NEEDED_PREAUTH"]), 1);
    assert_eq!(realm.logged(&["AS_REQ", "PREAUTH_FAILED"]), 1);
}
