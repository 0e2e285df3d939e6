//! That the sandbox of the unit breaks nothing: faults of every kind, judged by the daemon under the shipped unit and by the same
//! binary as root in the same machine, which must agree to the word.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde_json::Value;

use super::{CONFIG, OWN, UNIT, WEB};
use crate::support::booted::Bed;
use crate::support::foreign::{At, Foreign, are_here};
use crate::support::http::{Behaviour as Http, HttpServer};
use crate::support::kdc::{self, Kdc, REALM};
use crate::support::pki::Authority;
use crate::support::program::{get, until};
use crate::support::squid::{self, Login, PASSWORD, Setup, Squid, USER};
use crate::support::tls::{Behaviour as Tls, Options, TlsServer};

/// The machine is the client; behind it a router with a firewall, and behind that the internet. A gateway that does not exist has
/// a route of its own.
const NETWORK: &str = "
for n in r i; do ip netns add $n; ip -n $n link set lo up; done
for n in r i; do ip netns exec $n sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.dad_transmits=0; done
sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.dad_transmits=0
ip link add c0 type veth peer name r0 netns r
ip link add i0 netns i type veth peer name r1 netns r
ip addr add 10.1.2.3/24 dev c0; ip addr add fd00:1::3/64 dev c0 nodad
ip -n r addr add 10.1.2.1/24 dev r0; ip -n r addr add fd00:1::1/64 dev r0 nodad
ip -n r addr add 192.0.2.1/24 dev r1; ip -n r addr add fd00:2::1/64 dev r1 nodad
ip -n i addr add 192.0.2.2/24 dev i0; ip -n i addr add fd00:2::2/64 dev i0 nodad
for n in 10 11 12; do ip -n i addr add 160.79.104.$n/32 dev lo; done
ip -n i addr add 2607:6bc0::10/128 dev lo nodad
ip link set c0 up; ip -n r link set r0 up; ip -n r link set r1 up; ip -n i link set i0 up
ip route add default via 10.1.2.1; ip -6 route add default via fd00:1::1
ip route add 203.0.113.0/24 via 10.1.2.99
ip -n r route add default via 192.0.2.2; ip -n r -6 route add default via fd00:2::2
ip -n i route add 10.1.2.0/24 via 192.0.2.1; ip -n i -6 route add fd00:1::/64 via fd00:2::1
ip netns exec r sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0
ip netns exec r nft add table inet f
ip netns exec r nft 'add chain inet f fw { type filter hook forward priority 0; }'
ip netns exec r nft 'add rule inet f fw ip daddr 160.79.104.11 tcp dport 443 reject with icmp type admin-prohibited'
ip netns exec r nft 'add rule inet f fw ip daddr 160.79.104.12 tcp dport 443 drop'
for end in 'ip -6 route show dev c0' 'ip -n i -6 route show dev i0'; do
  timeout 30 sh -c \"until $end | grep -q fe80; do :; done\"
done
rm -f /etc/resolv.conf; echo nameserver 192.0.2.2 > /etc/resolv.conf
";

/// What dnsmasq knows.
const NAMES: &[&str] = &[
    "--local=/test/",
    "--host-record=six.test,2607:6bc0::10",
    "--host-record=four.test,160.79.104.10",
    "--host-record=prohibited.test,160.79.104.11",
    "--host-record=dropped.test,160.79.104.12",
    "--host-record=beyond.test,203.0.113.10",
    "--host-record=proxy.test,192.0.2.2",
];

const INTERNET: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

/// What is out there, and runs as long as this.
struct Internet {
    basic: Squid,
    negotiate: Squid,
    kdc: Kdc,
    pac: SocketAddr,
    _servers: (Vec<TlsServer>, HttpServer, Foreign),
}

impl Internet {
    fn new(bed: &Bed, authority: &Authority) -> Self {
        bed.must(NETWORK);
        let inner = bed.network(Some("i"));
        let at = At::Namespace(&inner, INTERNET, None);
        let mut dnsmasq = at.command("dnsmasq");
        dnsmasq.args(["--keep-in-foreground", "--log-facility=-"]);
        dnsmasq.args([
            "--user=root",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
            "--pid-file=",
        ]);
        dnsmasq.args(["--bind-interfaces", "--listen-address=192.0.2.2"]).args(NAMES);
        let dnsmasq = Foreign::start(dnsmasq, "started, version").expect("dnsmasq starts");
        let names = ["six.test", "four.test", "prohibited.test", "dropped.test"];
        let leaf = Arc::new(authority.leaf(&names));
        let servers = bed.there(Some("i"), move || {
            let at = ["2607:6bc0::10", "160.79.104.10", "160.79.104.11", "160.79.104.12"];
            let start = |at: &str| {
                let bind = (at.parse::<IpAddr>().expect("an address"), 443).into();
                let options = Options { bind, ..Options::default() };
                TlsServer::start_with(&leaf, Tls::Serve(Http::AnthropicUnauthorized), options)
            };
            at.map(start).into()
        });
        let basic = Squid::start(&Setup {
            at,
            logins: &[Login::Basic],
            dns: Some(INTERNET),
            ..Setup::default()
        });
        let kdc = Kdc::start_in(Some((inner.clone(), INTERNET)), &["HTTP/proxy.test"]);
        kdc.admin(&format!("addprinc -pw secret {USER}"));
        let logins = &[Login::Negotiate(&kdc, "HTTP/proxy.test")];
        let negotiate =
            Squid::start(&Setup { at, logins, dns: Some(INTERNET), ..Setup::default() });
        let script = format!(
            "function FindProxyForURL(url, host) {{\n\
               if (isInNet(dnsResolve(host), \"160.79.104.0\", \"255.255.255.0\")) return \"PROXY proxy.test:{}\";\n\
               return \"DIRECT\";\n}}\n",
            basic.address().port()
        );
        let pac = bed.there(Some("i"), move || {
            let headers = vec![("content-type", "application/x-ns-proxy-autoconfig".into())];
            let answer = Http::Answer { status: 200, headers, body: script.into_bytes() };
            HttpServer::start_at((INTERNET, 0).into(), answer)
        });
        let address = pac.address();
        Self { basic, negotiate, kdc, pac: address, _servers: (servers, pac, dnsmasq) }
    }

    fn config(&self) -> String {
        let target = |name: &str, host: &str, route: &str| {
            format!(
                "[[target]]\nname = \"{name}\"\nprovider = \"anthropic\"\nroutes = [\"{route}\"]\n\
                 url = \"https://{host}/v1/models\"\n"
            )
        };
        let basic = format!(
            "{{ scheme = \"basic\", username = \"{USER}\", password = {{ credential = \"proxy-password\" }} }}"
        );
        let negotiate = format!(
            "{{ scheme = \"negotiate\", principal = \"{USER}@{REALM}\", keytab = {{ credential = \"svc.keytab\" }} }}"
        );
        let [first, second] = [&self.basic, &self.negotiate].map(|squid| squid.address().port());
        let routes = format!(
            "[[route]]\nname = \"basic\"\nproxy = \"http://proxy.test:{first}\"\nauth = {basic}\n\
             [[route]]\nname = \"kerberos\"\nproxy = \"http://proxy.test:{second}\"\nauth = {negotiate}\n\
             [[route]]\nname = \"pac\"\nproxy = \"pac+http://{}/proxy.pac\"\ninsecure_pac = true\n\
             auth = {basic}\nauth_hosts = [\"proxy.test:{first}\"]\n",
            self.pac
        );
        let targets = [
            target("six", "six.test", "direct"),
            target("four", "four.test", "direct"),
            target("prohibited", "prohibited.test", "direct"),
            target("dropped", "dropped.test", "direct"),
            target("beyond", "beyond.test", "direct"),
            target("nowhere", "nowhere.test", "direct"),
            target("by-basic", "four.test", "basic"),
            target("by-ticket", "four.test", "kerberos"),
            target("by-pac", "four.test", "pac"),
        ];
        format!(
            "[log]\nformat = \"journald\"\n[probe]\ninterval = \"1h\"\ntimeout = \"4s\"\n\
             [control]\nurls = [\"https://four.test/\"]\n{routes}{}",
            targets.concat()
        )
    }
}

/// What was decided of each target, and what it rests on.
fn verdicts(document: &str) -> BTreeMap<String, Vec<Value>> {
    let document: Value = serde_json::from_str(document).expect("JSON");
    let checks = document["checks"].as_array().expect("checks").iter();
    let said = ["status", "layer", "cause", "party", "confidence", "network", "summary"];
    checks
        .map(|check| {
            let name = check["target"].as_str().expect("a name").to_owned();
            (name, said.map(|key| check[key].clone()).into())
        })
        .collect()
}

#[test]
fn what_is_judged_inside_of_it_is_judged_so_outside() {
    let needed = ["/usr/sbin/dnsmasq", "/usr/sbin/nft", "/usr/sbin/update-ca-certificates"];
    if !squid::is_here() || !kdc::is_here() || !are_here(&needed) {
        return;
    }
    let Some(bed) = Bed::boot() else { return };
    let authority = Authority::new("Root of this host");
    let internet = Internet::new(&bed, &authority);
    // The host's own store, as its administrator fills it.
    bed.put("/usr/local/share/ca-certificates/corp.crt", "0644", authority.pem());
    bed.must("update-ca-certificates 2>&1");
    bed.put("/etc/krb5.conf", "0644", std::fs::read(internet.kdc.conf()).expect("it is written"));
    bed.put("/etc/egressd/proxy-password", "0600", PASSWORD);
    let keytab = internet.kdc.keytab(USER);
    bed.put("/etc/egressd/svc.keytab", "0600", std::fs::read(keytab).expect("it is written"));
    bed.put("/etc/systemd/system/egressd.service", "0644", UNIT);
    // The unit's own lines, which are commented there.
    let lines = UNIT.lines().filter_map(|line| line.strip_prefix('#'));
    let lines: Vec<&str> =
        lines.filter(|line| line.contains("=proxy-") || line.contains("=svc.")).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let edit = format!("[Service]\n{}\n", lines.join("\n"));
    bed.put("/etc/systemd/system/egressd.service.d/edit.conf", "0644", edit);
    bed.put(CONFIG, "0644", internet.config());
    bed.must("systemctl daemon-reload; systemctl start egressd || { journalctl --no-pager -t egressd; exit 1; }");
    let mut command = bed.command("egressd");
    command.env("CREDENTIALS_DIRECTORY", "/run/credentials/egressd.service");
    command.args(["check", "--format", "json"]);
    let outside = std::thread::spawn(move || {
        verdicts(&String::from_utf8_lossy(&command.output().expect("it runs").stdout))
    });
    let ask = |path: &'static str| bed.there(None, move || get(WEB, path, &[]));
    bed.wait_for(OWN, "dropped via direct: ");
    until("every check was made", || ask("/-/ready").0 == 200);
    let inside = verdicts(&ask("/api/v1/status").1);

    let outside = outside.join().expect("it is asked");
    for (target, verdict) in &outside {
        assert_eq!(inside[target], *verdict, "{target}, inside and outside");
    }
    // And both are as they should be: agreeing on nothing would be easy.
    let said = |target: &str| {
        let text = |at: usize| outside[target][at].as_str().unwrap_or("-");
        [text(0), text(2), text(3), text(4)]
    };
    for target in ["four", "six", "by-basic", "by-ticket", "by-pac"] {
        assert_eq!(said(target), ["ok", "-", "-", "-"], "{target}");
    }
    let refused = ["broken", "tcp_rejected", "firewall", "high"];
    assert_eq!(said("prohibited"), refused, "the sender of an ICMP error");
    assert_eq!(said("beyond")[1], "tcp_unreachable", "this host's own ICMP error");
    assert_eq!(said("dropped")[1], "tcp_dropped");
    assert_eq!(said("nowhere")[1], "dns_name_missing");
    internet.basic.wait_access(&format!("TCP_TUNNEL {USER}"));
    internet.negotiate.wait_access(&format!("TCP_TUNNEL {USER}@{REALM}"));
}
