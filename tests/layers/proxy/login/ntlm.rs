//! NTLM: its three messages mean something on the connection that they began on, and nowhere else.

use data_encoding::BASE64;

use super::*;

/// The least challenge that can be answered: type 2, no name, no flags, a nonce.
fn challenge() -> String {
    let message = [b"NTLMSSP\0\x02\0\0\0".as_slice(), &[0; 12], b"nonce678"].concat();
    format!("NTLM {}", BASE64.encode(&message))
}

fn story(
    what: &'static str,
    scripts: Vec<Script>,
    found: &'static str,
    seen: (usize, usize),
) -> Story {
    let (connections, attempts) = seen;
    let login = password(Scheme::Ntlm, "svc", "right");
    Story { what, login, scripts, found, became: "sent", connections, attempts }
}

#[test]
fn its_second_half_goes_over_the_connection_of_the_first() {
    let (api, type2) = (site(), challenge());
    let ok = "401 over 2";
    let second = || ask(&type2);
    hold(&[
        story("kept", vec![[ask("NTLM"), second(), open(&api)].concat()], ok, (1, 2)),
        // Most close with the first 407: then it begins on the next connection.
        story(
            "closed first",
            vec![ask_and_close("NTLM"), [second(), open(&api)].concat()],
            ok,
            (2, 2),
        ),
        story(
            "gone with the first half",
            vec![[ask("NTLM"), end(Ending::Close)].concat(), [second(), open(&api)].concat()],
            ok,
            (2, 3),
        ),
        // The answer to a challenge means nothing on another connection, but can count as an attempt.
        story(
            "closed with the challenge",
            vec![[ask("NTLM"), ask_and_close(&type2)].concat(), open(&api)],
            "proxy other",
            (1, 1),
        ),
        story(
            "gone with the second half",
            vec![[ask("NTLM"), second(), end(Ending::Close)].concat(), open(&api)],
            "proxy closed",
            (1, 2),
        ),
    ]);
    let twice = vec![[ask("NTLM"), second(), ask("NTLM")].concat()];
    Story { became: "rejected", ..story("rejected", twice, "proxy auth", (1, 2)) }.holds();
    // Nothing of the login was shown yet: whoever looks after NTLM behind the proxy is not there.
    let not_gone_on_with = vec![[ask("NTLM"), ask("NTLM")].concat()];
    story("not gone on with", not_gone_on_with, "proxy other", (1, 1)).holds();
    let another = vec![[ask("NTLM"), ask("Basic realm=\"proxy\"")].concat()];
    story("another asked for then", another, "proxy other", (1, 1)).holds();
}

#[test]
fn a_challenge_that_is_none_is_no_rejection() {
    let rows = [
        ("NTLM AAAA", "the challenge is no message of NTLM"),
        ("NTLM TlRMTVNTUAABAAAA", "the challenge is of type 1, not 2"),
        ("NTLM TlRMTVNTUAACAAAA", "the challenge has 12 bytes"),
        ("NTLM abc", "its token is none: invalid length at 0"),
    ];
    for (second, words) in rows {
        let proxy = Scripted::start(vec![[ask("NTLM"), ask(second)].concat()]);
        let way = Way::to(format!("https://{NAME}/")).by(format!("http://{}", proxy.address()), "");
        let trip = logged_in(&way, password(Scheme::Ntlm, "svc", "right"));
        let failure = refusal(&trip);
        assert_eq!(
            (finding(&trip).as_str(), failure.body.as_str()),
            ("proxy other", words),
            "{second}"
        );
        assert_eq!((failure.status, failure.login), (Some(407), Login::Sent(Scheme::Ntlm)));
    }
}
