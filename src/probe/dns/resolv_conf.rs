//! `resolv.conf` as the C library of this host reads it (`resolv.conf(5)`, glibc `resolv/res_init.c`):
//! what it does not understand it passes over, and what is beyond its limits it cuts.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// Servers that are asked at most (`MAXNS`).
const SERVERS: usize = 3;
/// The longest name in its written form, without the last dot (RFC 1035 2.3.4).
const LONGEST: usize = 253;

/// The file's meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// The servers in their order; none: the library asks 127.0.0.1.
    pub servers: Vec<Listed>,
    /// What is appended to a name in turn.
    pub search: Vec<String>,
    /// A name with fewer dots is searched for before it is taken as it is.
    pub ndots: u8,
    /// How long a server is given the first time.
    pub timeout: Duration,
    /// How often all of them are asked.
    pub attempts: u8,
    /// Whether each question begins with another server.
    pub rotate: bool,
    /// Whether TCP is used from the start (`use-vc`).
    pub tcp: bool,
}

/// One `nameserver`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its address.
    pub address: IpAddr,
    /// The interface of a link-local one, by name or number.
    pub scope: Option<String>,
}

impl Default for ResolvConf {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            rotate: false,
            tcp: false,
        }
    }
}

/// Reads the file's bytes.
pub fn read(bytes: &[u8]) -> ResolvConf {
    let mut conf = ResolvConf::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        // A keyword begins its line and ends at a blank; `;` and `#` begin a comment.
        let Some((keyword, rest)) = line.split_once([' ', '\t']) else { continue };
        // These end a word and no others: a line's end as of Windows is a part of its last word, and
        // an address with one is none.
        let mut words = rest.split([' ', '\t']).filter(|word| !word.is_empty());
        match keyword {
            "nameserver" if conf.servers.len() < SERVERS => {
                conf.servers.extend(words.next().and_then(listed));
            }
            // The last of these lines counts; one without a word is none.
            "domain" => conf.search_in(words.take(1)),
            "search" => conf.search_in(words),
            "options" => words.for_each(|word| conf.option(word)),
            _ => {}
        }
    }
    conf
}

impl ResolvConf {
    fn search_in<'a>(&mut self, words: impl Iterator<Item = &'a str>) {
        let words: Vec<String> = words.map(str::to_owned).collect();
        if !words.is_empty() {
            self.search = words;
        }
    }

    /// The names that are asked for in turn (glibc `resolv/res_query.c`, `__res_context_search`).
    pub fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let searched = self.search.iter().map(|domain| match domain.trim_matches('.') {
            "" => name.to_owned(),
            domain => format!("{name}.{domain}"),
        });
        let as_it_is = || std::iter::once(name.to_owned());
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        let first = dots >= usize::from(self.ndots);
        let mut all: Vec<String> = Vec::new();
        for candidate in as_it_is().filter(|_| first).chain(searched).chain(as_it_is()) {
            // A name that is too long for DNS is none.
            if candidate.len() <= LONGEST && !all.contains(&candidate) {
                all.push(candidate);
            }
        }
        all
    }

    fn option(&mut self, word: &str) {
        let number = |limit: u8| {
            let (_, digits) = word.split_once(':')?;
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            let value: u64 = digits.get(..end)?.parse().unwrap_or(0);
            Some(u8::try_from(value).unwrap_or(u8::MAX).min(limit))
        };
        match word.split(':').next() {
            Some("ndots") => self.ndots = number(15).unwrap_or(self.ndots),
            Some("timeout") => {
                let seconds = number(30).map(|seconds| Duration::from_secs(seconds.max(1).into()));
                self.timeout = seconds.unwrap_or(self.timeout);
            }
            Some("attempts") => {
                self.attempts = number(5).map_or(self.attempts, |attempts| attempts.max(1));
            }
            // Only the begin of these is compared.
            Some(name) if name.starts_with("rotate") => self.rotate = true,
            Some(name) if name.starts_with("use-vc") => self.tcp = true,
            _ => {}
        }
    }

    /// How long a server is given, in every round: the first as long as is configured, each further one of
    /// the list twice as long as the one before, shared by all (glibc `resolv/res_send.c`, `send_dg`).
    pub fn patience(&self, place: usize) -> Duration {
        if place == 0 {
            return self.timeout;
        }
        let doubled = self.timeout.saturating_mul(1 << place.min(SERVERS));
        let count = u64::try_from(self.servers.len().max(1)).unwrap_or(1);
        Duration::from_secs((doubled.as_secs() / count).max(1))
    }
}

fn listed(word: &str) -> Option<Listed> {
    if let Ok(address) = word.parse() {
        return Some(Listed { address, scope: None });
    }
    let (address, scope) = word.split_once('%')?;
    let address = IpAddr::V6(address.parse::<Ipv6Addr>().ok()?);
    (!scope.is_empty()).then(|| Listed { address, scope: Some(scope.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(conf: &ResolvConf) -> Vec<String> {
        conf.servers.iter().map(|server| server.address.to_string()).collect()
    }

    #[test]
    fn what_is_written_is_what_counts() {
        let conf = read(
            b"# a comment\n; another\nnameserver 10.0.0.53\nnameserver\t2001:db8::53 # trailing\n\
              domain corp.example\nsearch a.example b.example\n\
              options ndots:5 timeout:2 attempts:3 rotate use-vc edns0\n",
        );
        assert_eq!(servers(&conf), ["10.0.0.53", "2001:db8::53"]);
        assert_eq!(conf.search, ["a.example", "b.example"]);
        assert_eq!((conf.ndots, conf.timeout.as_secs(), conf.attempts), (5, 2, 3));
        assert!(conf.rotate && conf.tcp);
    }

    #[test]
    fn what_is_left_out_is_what_the_library_takes() {
        for bytes in
            [&b""[..], b"\n\n", b"nameserver\n", b"nameserver x\n", b" nameserver 1.1.1.1\n"]
        {
            assert_eq!(read(bytes), ResolvConf::default(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_is_written_badly_is_taken_as_the_library_takes_it() {
        // The library asks 127.0.0.1 for all that is configured here.
        let conf = read(b"nameserver 10.0.0.1\r\nsearch a.example\r\noptions rotate\r\n");
        assert_eq!((conf.servers, conf.search), (vec![], vec!["a.example\r".to_owned()]));
        assert!(conf.rotate);
        let conf = read(b"search a.example\nsearch \ndomain\t\n");
        assert_eq!(conf.search, ["a.example"]);
    }

    #[test]
    fn what_is_beyond_a_limit_is_cut() {
        let conf = read(
            b"nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n\
              options ndots:99 timeout:999999999999 attempts:200\n",
        );
        assert_eq!(servers(&conf), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        assert_eq!((conf.ndots, conf.timeout.as_secs(), conf.attempts), (15, 30, 5));
        let conf = read(b"options timeout:0 attempts:0 ndots:0\n");
        assert_eq!((conf.ndots, conf.timeout.as_secs(), conf.attempts), (0, 1, 1));
    }

    #[test]
    fn a_link_local_server_keeps_its_interface() {
        let conf =
            read(b"nameserver fe80::1%eth0\nnameserver fe80::2%\nnameserver 10.0.0.1%eth0\n");
        let scope = Some("eth0".to_owned());
        assert_eq!(conf.servers, [Listed { address: "fe80::1".parse().unwrap(), scope }]);
    }

    #[test]
    fn later_servers_are_given_other_times() {
        let conf = read(b"nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n");
        let seconds: Vec<u64> = (0..3).map(|place| conf.patience(place).as_secs()).collect();
        assert_eq!(seconds, [5, 3, 6]);
        let conf = read(b"nameserver 10.0.0.1\noptions timeout:1\n");
        assert_eq!(conf.patience(0).as_secs(), 1);
    }

    #[test]
    fn a_line_without_a_word_changes_nothing() {
        let conf = read(b"search corp.example\ndomain \nsearch \t\n");
        assert_eq!(conf.search, ["corp.example"]);
    }

    #[test]
    fn names_are_searched_for_in_the_librarys_order() {
        let candidates = |text: &str, name: &str| read(text.as_bytes()).candidates(name);
        let two = "search a.example b.example\n";
        assert_eq!(
            candidates(two, "api.test"),
            ["api.test", "api.test.a.example", "api.test.b.example"]
        );
        assert_eq!(candidates(two, "api"), ["api.a.example", "api.b.example", "api"]);
        assert_eq!(candidates(two, "api."), ["api."]);
        let dots = "options ndots:2\nsearch a.example\n";
        assert_eq!(candidates(dots, "api.test"), ["api.test.a.example", "api.test"]);
        assert_eq!(candidates("search . a.example\n", "api"), ["api", "api.a.example"]);
        assert_eq!(candidates("", "api.test"), ["api.test"]);
        let long = format!("{}.test", "x".repeat(240));
        assert_eq!(candidates("search corporate.example\n", &long), [long]);
    }
}
