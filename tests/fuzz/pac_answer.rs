//! What holds of the answer of a PAC script.

use egressd::probe::parse::pac_answer::{Entry, Kind, Nonsense, parse};

/// An answer has limits; each of its entries means the same alone, in capitals, and written out in full.
pub fn pac_answer(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let whole = parse(&text);
    if text.len() > 4096 {
        return assert_eq!(whole, Err(Nonsense::TooLong(text.len())));
    }
    let elements = text.split(';').map(str::trim_ascii).filter(|element| !element.is_empty());
    let alone = elements.take(16).map(|element| match parse(element) {
        Ok(entries) => {
            assert_eq!(entries.len(), 1, "{element}");
            entries[0].clone()
        }
        Err(Nonsense::NoEntry(shown)) => {
            assert!(shown.chars().count() <= 256 && element.starts_with(&shown));
            Entry::Unusable(shown)
        }
        Err(Nonsense::TooLong(_)) => panic!("a part is longer than the whole"),
    });
    let alone: Vec<Entry> = alone.collect();
    match whole {
        Ok(entries) if text.trim_ascii().is_empty() => assert_eq!(entries, [Entry::Direct]),
        Ok(entries) => assert_eq!(entries, alone),
        Err(_) => assert!(alone.iter().all(|entry| matches!(entry, Entry::Unusable(_)))),
    }
    for entry in alone {
        if let Some(text) = written(&entry) {
            let shouted = text.to_ascii_uppercase();
            assert_eq!(parse(&text), Ok(vec![entry]), "{text}");
            assert_eq!(parse(&shouted), parse(&text), "{text}");
        }
    }
}

/// A usable entry in full.
fn written(entry: &Entry) -> Option<String> {
    match entry {
        Entry::Direct => Some("DIRECT".to_owned()),
        Entry::Unusable(_) => None,
        Entry::Proxy { kind, host, port } => {
            assert!(*port > 0);
            let word = match kind {
                Kind::Http => "PROXY",
                Kind::Https => "HTTPS",
                Kind::Socks4 => "SOCKS",
                Kind::Socks5 => "SOCKS5",
            };
            Some(format!("{word} {host}:{port}"))
        }
    }
}
