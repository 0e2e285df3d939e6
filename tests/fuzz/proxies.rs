//! What holds of what is read on the way through a proxy, or around it: its challenges, the exemptions.

use std::sync::Arc;

use egressd::config::Secret;
use egressd::observation::{ProxyKind, Scheme};
use egressd::plan::{Credential, Proxy, Spoken, Tunnel, is_exempt};
use egressd::probe::parse::{
    Challenge, NtlmFresh, NtlmLogin, challenges, ntlm_challenge as read_ntlm,
    proxy_reply as read_reply, socks_reply as speak_socks,
};
use url::Host;

use super::cuts;

/// Challenges keep to their limits, are those of each field in order, and mean the same written anew.
pub fn challenge(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let fields: Vec<&str> = text.lines().collect();
    let whole = challenges(fields.iter().copied());
    assert!(whole.len() <= 16 && whole.iter().all(|one| one.parameters.len() <= 32));
    for (name, value) in whole.iter().flat_map(|one| &one.parameters) {
        assert!(!name.is_empty() && !name.contains(|c: char| c.is_ascii_uppercase() || c == ' '));
        assert!(fields.iter().any(|field| field.to_ascii_lowercase().contains(name)));
        assert!(value.chars().all(|c| text.contains(c)), "{value} is invented");
    }
    for token in whole.iter().filter_map(|one| one.token.as_deref()) {
        assert!(token.is_ascii() && fields.iter().any(|field| field.contains(token)));
    }
    let each = fields.iter().flat_map(|field| challenges([*field])).take(16);
    assert!(each.eq(whole.iter().cloned()));
    let anew: Vec<String> = whole.iter().map(written).collect();
    assert_eq!(challenges(anew.iter().map(String::as_str)), whole);
    assert_eq!(challenges([anew.join(",").as_str()]), whole);
}

/// A challenge as RFC 9110 11.3 has it written.
fn written(challenge: &Challenge) -> String {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let pairs = challenge.parameters.iter();
    let pairs = pairs.map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
    let words = challenge.token.clone().into_iter().chain(pairs).collect::<Vec<_>>().join(", ");
    let scheme = challenge.scheme.map_or("newauth", Scheme::label);
    format!("{scheme} {words}")
}

/// A challenge that is taken is answered by a sound message, whose fields are inside of it and after its head.
pub fn ntlm_challenge(bytes: &[u8]) {
    let Ok(read) = read_ntlm(bytes) else { return };
    assert!(bytes.starts_with(b"NTLMSSP\0\x02\0\0\0") && (32..=16 * 1024).contains(&bytes.len()));
    let login = NtlmLogin { user: "DOMAIN\\user", password: "planted-secret", workstation: "" };
    let answer = |nonce, bindings| read.answer(login, NtlmFresh { nonce, time: 0, bindings });
    for bindings in [None, Some([0xbb; 16])] {
        let whole = answer([0xaa; 8], bindings);
        assert!(whole.starts_with(b"NTLMSSP\0\x03\0\0\0"));
        let mut at = u32::from_le_bytes(whole[16..20].try_into().unwrap());
        assert!(at == 64 || at == 88);
        for field in whole[12..60].chunks(8) {
            let length = u16::from_le_bytes([field[0], field[1]]);
            assert_eq!(field[..2], field[2..4]);
            assert_eq!(field[4..], at.to_le_bytes());
            at += u32::from(length);
        }
        assert_eq!(whole.len(), at as usize);
        // Either the server says its time and gets a MIC, or the time is ours, which is none here.
        let nt = u32::from_le_bytes(whole[24..28].try_into().unwrap()) as usize;
        let lm = &whole[nt - 24..nt];
        assert_eq!(lm == [0; 24], whole[16] == 88);
        assert!(whole[16] == 88 || whole[nt + 24..nt + 32] == [0; 8]);
        assert_eq!(whole[nt + 32..nt + 40], [0xaa; 8]);
        assert_ne!(answer([0; 8], bindings), whole);
    }
}

/// An answer to CONNECT keeps to its limits, is made of what came, and is the same in whatever pieces it comes.
pub fn proxy_reply(bytes: &[u8]) {
    let whole = read_reply(bytes, b"").expect("all is there");
    match &whole.head {
        Ok((status, headers)) => {
            assert!(*status != 100 && !(102..200).contains(status) && headers.len() <= 100);
            for (name, value) in headers {
                assert!(!name.is_empty() && !name.contains(|c: char| c.is_ascii_uppercase()));
                assert!(!value.contains(['\r', '\n', '\0']), "{value:?}");
            }
        }
        // A head without an end is HTTP for all that.
        Err(ProxyKind::Other) => assert!(bytes.len() > 16 * 1024),
        Err(kind) => assert!(matches!(kind, ProxyKind::Closed | ProxyKind::NotAProxy), "{kind:?}"),
    }
    // One read more than the limits of a head and of a page.
    assert!(whole.rest.len() <= (16 + 64 + 4) * 1024 && whole.rest.len() <= bytes.len());
    let is_tunnel = matches!(whole.head, Ok((200..300, _)));
    assert!(!whole.whole || (!is_tunnel && whole.rest.len() <= 64 * 1024));
    for (first, then) in cuts(bytes) {
        let cut = read_reply(first, then).expect("all is there");
        assert_eq!((&cut.head, cut.persists), (&whole.head, whole.persists));
        // Of a tunnel, and of what is no answer, it is heard as much as came with it.
        let heard = cut.rest.len().min(whole.rest.len());
        assert_eq!(cut.rest[..heard], whole.rest[..heard]);
        if whole.head.is_ok() && !is_tunnel {
            assert_eq!(cut.rest.len().min(4096), whole.rest.len().min(4096));
            // What follows a page may be seen later than the page is used.
            assert!(cut.whole || !whole.whole, "read in pieces it has no end");
        }
    }
}

/// SOCKS5 takes no more than its exchange, sends a login only where it is asked for, and is the same in
/// whatever pieces it comes. The first byte says whether there is a login, and what is asked for.
pub fn socks_reply(bytes: &[u8]) {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let password = Secret::new("planted-secret".to_owned());
    let (scheme, name) = (Scheme::Basic, "svc".to_owned());
    let login = Credential::Password { scheme, name, domain: None, password };
    let host = ["api.example", "127.0.0.1", "[::1]"][usize::from(choice >> 1) % 3];
    let has_login = choice & 1 == 1;
    let tunnel = Tunnel {
        host: Host::parse(host).expect("a host"),
        port: 443,
        proxy: Arc::new(Proxy::new(Spoken::Socks5h, Host::Domain("proxy.example".into()), 1080)),
        credential: has_login.then_some(Ok(login)),
    };
    let whole = speak_socks(&tunnel, bytes, b"").expect("all is there");
    let taken = usize::try_from(whole.taken).unwrap();
    // Method, the login's answer, and a reply with the longest name.
    assert!(taken <= 2 + 2 + 5 + 255 + 2 && taken <= bytes.len());
    let greeting: &[u8] = if has_login { b"\x05\x02\x00\x02" } else { b"\x05\x01\x00" };
    assert!(whole.sent.starts_with(greeting) && whole.sent.len() <= 64);
    let is_told = whole.sent.windows(14).any(|part| part == b"planted-secret");
    assert_eq!(is_told, has_login && bytes.starts_with(b"\x05\x02"));
    let methods = if is_told { 4 } else { 2 };
    match &whole.end {
        Ok(()) => {
            let reply = &bytes[methods..taken];
            assert!(is_told || bytes.starts_with(b"\x05\x00"));
            assert!(reply.starts_with(b"\x05\x00") && [1, 3, 4].contains(&reply[3]));
            assert!(whole.sent.ends_with(b"\x01\xbb"));
        }
        Err(failure) => {
            assert!(failure.status.is_none() && failure.body.is_empty());
            let reply = failure.socks.map(|reply| (5, reply));
            let read = bytes.get(methods..taken).filter(|read| read.len() == 2);
            assert!(reply.is_none() || read.map(|read| (read[0], read[1])) == reply);
            assert_eq!(reply.is_some(), failure.kind == ProxyKind::Status);
        }
    }
    for (first, then) in cuts(bytes) {
        assert_eq!(speak_socks(&tunnel, first, then), Some(whole.clone()));
    }
}

/// Entries count each for itself, in any order and case; what is around the proxy is so with all below it.
pub fn no_proxy(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Some((host, list)) = text.split_once('\n') else { return };
    let Ok(host) = Host::parse(host) else { return };
    let whole = is_exempt(list, &host, 443);
    let blank = |c: char| c == ',' || c.is_ascii_whitespace();
    let entries: Vec<&str> = list.split(blank).filter(|entry| !entry.is_empty()).collect();
    // The star is no entry: it means all only where nothing stands beside it.
    let mut named = entries.iter().filter(|entry| **entry != "*");
    let one = list == "*" || named.any(|entry| is_exempt(entry, &host, 443));
    assert_eq!(one, whole, "{list} of {host}");
    let turned: Vec<&str> = entries.iter().rev().copied().collect();
    assert_eq!(is_exempt(&format!(",{}\t", turned.join(" , ")), &host, 443), whole && list != "*");
    assert_eq!(is_exempt(&list.to_ascii_uppercase(), &host, 443), whole);
    if let (true, Host::Domain(name)) = (whole, &host) {
        assert!(is_exempt(list, &Host::Domain(format!("below.{name}")), 443), "{list} of {name}");
        assert!(is_exempt(list, &Host::Domain(name.to_ascii_uppercase()), 443));
    }
    // An entry without a colon is of no port, and one of another port is none of this.
    let portless = entries.iter().filter(|entry| !entry.contains(':')).copied();
    let portless = portless.collect::<Vec<_>>().join(",");
    assert_eq!(is_exempt(&portless, &host, 1), is_exempt(&portless, &host, 443));
    is_exempt_by_itself(&host);
}

/// A host is exempt by what it is called, with its port and without, and by the network that is all of it.
fn is_exempt_by_itself(host: &Host<String>) {
    let name = host.to_string();
    let bits = match host {
        Host::Ipv4(_) => Some(32),
        Host::Ipv6(_) => Some(128),
        Host::Domain(name) => {
            let is_label = |label: &str| {
                let is_letter = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
                !label.is_empty() && label.chars().all(is_letter)
            };
            if !name.strip_suffix('.').unwrap_or(name).split('.').all(is_label) {
                return;
            }
            None
        }
    };
    assert!(is_exempt(&name, host, 443), "{name}");
    assert!(is_exempt(&format!("{name}:443"), host, 443), "{name}");
    assert!(!is_exempt(&format!("{name}:444"), host, 443), "{name}");
    if let Some(bits) = bits {
        let address = name.trim_matches(['[', ']']);
        assert!(is_exempt(address, host, 443));
        assert!((0..=bits).all(|bits| is_exempt(&format!("{address}/{bits}"), host, 443)));
        assert!(!is_exempt(&format!("{address}/{}", bits + 1), host, 443));
    }
}
