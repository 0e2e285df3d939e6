//! What is drawn for a world: names, addresses, ports, issuers, texts, times. The same seed draws the same.
//!
//! A case writes `{api}`, `{host}`, …; `Facts::fill` puts in what was drawn. No rule of the product can lean
//! on a value, because each run has others.

use std::collections::BTreeMap;

use super::case::{Case, TargetKind};

/// A generator of its own (splitmix64), so that a seed means the same in every version of every library.
#[derive(Clone, Debug)]
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// One for a thing of this run, whatever else is run beside it.
    pub(crate) fn of(seed: u64, name: &str) -> Self {
        let mixed = name.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self::new(mixed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        let place = self.between(0, from.len() as u64 - 1);
        from[usize::try_from(place).expect("a place in a list")]
    }

    fn word(&mut self) -> String {
        format!("{}{}", self.pick(&FIRST), self.pick(&SECOND))
    }

    fn host(&mut self, prefixes: &[&'static str]) -> String {
        let (prefix, top) = (self.pick(prefixes), self.pick(&["com", "net", "org", "io", "dev"]));
        format!("{prefix}.{}{}.{top}", self.word(), self.between(2, 999))
    }

    /// A /24 of the public internet, in ranges that are nobody's special ones (RFC 6890) and not the target's.
    fn public_net(&mut self) -> String {
        let first = self.pick(&["23", "45", "62", "81", "91", "104", "142", "185", "194", "212"]);
        format!("{first}.{}.{}", self.between(1, 250), self.between(1, 250))
    }

    fn private_net(&mut self) -> String {
        match self.between(0, 2) {
            0 => format!("10.{}.{}", self.between(1, 119), self.between(0, 255)),
            1 => format!("172.{}.{}", self.between(16, 31), self.between(0, 255)),
            _ => format!("192.168.{}", self.between(1, 119)),
        }
    }
}

const FIRST: [&str; 16] = [
    "alder", "birch", "cedar", "delta", "ember", "fjord", "gravel", "harbor", "indigo", "juniper",
    "kestrel", "lumen", "maple", "nimbus", "ocean", "pebble",
];
/// Routes with a word, and the device that is none.
const PROXIES: [&str; 11] = [
    "squid",
    "tinyproxy",
    "danted",
    "microsocks",
    "ours",
    "secure",
    "socks",
    "interceptor",
    "pac",
    "line",
    "environment",
];
const SECOND: [&str; 12] = [
    "works", "field", "line", "point", "stone", "bridge", "yard", "crest", "view", "dale", "forge",
    "port",
];

/// What was drawn for one world, by the name of its placeholder.
#[derive(Clone, Debug)]
pub(crate) struct Facts(BTreeMap<String, String>);

impl Facts {
    pub(crate) fn draw(draw: &mut Draw, case: &Case) -> Self {
        let mut facts = Self(BTreeMap::new());
        facts.draw_net(draw);
        facts.draw_internet(draw, case);
        facts.draw_proxies(draw);
        facts.draw_texts(draw);
        facts.draw_way(draw, case);
        facts
    }

    fn draw_net(&mut self, draw: &mut Draw) {
        let lan = draw.private_net();
        // The last part of an address and the part before it differ for the two networks, whatever is drawn.
        let dmz = format!("10.{}.{}", draw.between(120, 250), draw.between(0, 255));
        let wan = draw.public_net();
        let low = draw.between(1, 9);
        self.set("client", format!("{lan}.{}", draw.between(20, 120)));
        self.set("client2", format!("{lan}.{}", draw.between(121, 190)));
        self.set("router", format!("{lan}.{low}"));
        self.set("resolver", format!("{lan}.{low}"));
        self.set("resolver2", format!("{lan}.{}", draw.between(10, 19)));
        self.set("lan_nobody", format!("{lan}.{}", draw.between(200, 250)));
        self.set("lan", format!("{lan}.0/24"));
        self.set("proxies", format!("{dmz}.{}", draw.between(20, 120)));
        self.set("router_dmz", format!("{dmz}.{}", draw.between(1, 9)));
        self.set("dmz_nobody", format!("{dmz}.{}", draw.between(200, 250)));
        self.set("dmz", format!("{dmz}.0/24"));
        self.set("router_wan", format!("{wan}.{}", draw.between(1, 99)));
        self.set("internet", format!("{wan}.{}", draw.between(100, 200)));
        let v6 = format!("fd{:02x}:{:x}", draw.between(0, 255), draw.between(1, 0xffff));
        self.set("client6", format!("{v6}:1::{:x}", draw.between(0x10, 0xffff)));
        self.set("router6", format!("{v6}:1::1"));
        self.set("router6_wan", format!("{v6}:2::1"));
        self.set("internet6", format!("{v6}:2::2"));
        self.set("proxies6", format!("{v6}:3::{:x}", draw.between(0x10, 0xffff)));
        self.set("router6_dmz", format!("{v6}:3::1"));
    }

    fn draw_internet(&mut self, draw: &mut Draw, case: &Case) {
        let is_own = case.target == TargetKind::Anthropic;
        let net =
            if is_own { format!("160.79.{}", draw.between(104, 105)) } else { draw.public_net() };
        let host = if is_own {
            "api.anthropic.com".to_owned()
        } else {
            draw.host(&["api", "llm", "gateway", "svc", "models"])
        };
        self.set("host", host);
        self.set("port", "443".to_owned());
        self.set("api", format!("{net}.{}", draw.between(1, 80)));
        self.set("api2", format!("{net}.{}", draw.between(81, 160)));
        self.set("api3", format!("{net}.{}", draw.between(161, 250)));
        for (name, last) in [("spare1", 251), ("spare2", 252), ("spare3", 253), ("spare4", 254)] {
            self.set(name, format!("{net}.{last}"));
        }
        let v6 = if is_own {
            format!("2607:6bc0:{:x}", draw.between(0, 0xff))
        } else {
            format!(
                "2a0{}:{:x}:{:x}",
                draw.between(1, 9),
                draw.between(1, 0xfff),
                draw.between(1, 0xfff)
            )
        };
        self.set("api6", format!("{v6}::{:x}", draw.between(1, 0xffff)));
        for (name, prefixes) in [
            ("control", &["www", "static", "packages"]),
            ("control2", &["mirror", "docs", "assets"]),
            ("portal", &["connect", "check", "detect"]),
            ("elsewhere", &["landing", "notice", "info"]),
        ] {
            self.set(name, format!("{}.{}", draw.public_net(), draw.between(1, 250)));
            self.set(&format!("{name}_name"), draw.host(prefixes));
        }
        for name in ["dns_public", "independent", "dead"] {
            self.set(name, format!("{}.{}", draw.public_net(), draw.between(1, 250)));
        }
    }

    /// Where the router and the internet send what is for each other.
    fn draw_way(&mut self, draw: &mut Draw, case: &Case) {
        if case.second_hop {
            // A network of the company's own, as 172.16.0.0/12 may be the client's.
            let transit = format!("10.{}.{}", draw.between(251, 254), draw.between(0, 255));
            let wan = self.get("internet").rsplit_once('.').expect("four parts").0.to_owned();
            self.set("router_wan", format!("{transit}.{}", draw.between(1, 99)));
            self.set("upstream", format!("{transit}.{}", draw.between(100, 200)));
            self.set("upstream_wan", format!("{wan}.{}", draw.between(201, 250)));
            self.set("transit", format!("{transit}.0/24"));
            self.set("way_out", self.get("upstream").to_owned());
            self.set("way_back", self.get("upstream_wan").to_owned());
        } else {
            self.set("way_out", self.get("internet").to_owned());
            self.set("way_back", self.get("router_wan").to_owned());
        }
    }

    fn draw_proxies(&mut self, draw: &mut Draw) {
        let mut port = draw.between(3000, 3100);
        self.set(
            "proxy_name",
            format!("{}.{}.example", draw.pick(&["proxy", "gw", "out"]), draw.word()),
        );
        for name in PROXIES {
            port += draw.between(1, 900);
            self.set(&format!("{name}_port"), port.to_string());
            let at = format!("{}:{port}", self.get("proxies"));
            self.set(name, at);
            let label = format!(
                "{}-{}",
                draw.pick(&["corp", "site", "exit", "line"]),
                draw.between(100, 999)
            );
            self.set(&format!("{name}_route"), format!("{label}-{}", &name[..2]));
        }
        self.set("direct_route", "direct".to_owned());
        self.set("direct", format!("{}:1", self.get("proxies")));
    }

    fn draw_texts(&mut self, draw: &mut Draw) {
        let (public, own) = (draw.word(), draw.word());
        self.set("public_issuer", format!("{public} Global Root R{}", draw.between(1, 9)));
        self.set("organisation_issuer", format!("{own} Internal CA {}", draw.between(1, 9)));
        self.set("untrusted_issuer", format!("{own} Untrusted CA"));
        self.set("nobody_issuer", format!("{} Authority {}", draw.word(), draw.between(1, 99)));
        let text = format!("{} {} {}", draw.word(), draw.word(), draw.between(1000, 9999));
        self.set("text", text);
        self.set("target", format!("{}-{}", draw.word(), draw.between(1, 99)));
        self.set("key", format!("sk-ant-{:016x}", draw.next()));
        self.set("timeout_ms", draw.between(1500, 1900).to_string());
        self.set("user", draw.word());
        self.set("password", format!("{:012x}", draw.next() >> 16));
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("nothing is drawn under {{{name}}}"))
    }

    pub(crate) fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    /// Puts in what was drawn. What is no word in braces stays as it is: nft and JSON have braces, too.
    pub(crate) fn fill(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            match after.split_once('}').filter(|(name, _)| is_word(name)) {
                Some((name, following)) => {
                    out.push_str(self.get(name));
                    rest = following;
                }
                None => {
                    out.push('{');
                    rest = after;
                }
            }
        }
        out + rest
    }
}

fn is_word(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
