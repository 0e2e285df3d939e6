//! One world for one case: the network, its servers, and what the case sets. It is made anew for each run of
//! a case, which is faster than to take every change back, and it is gone after it, which is proven.

use std::any::Any;
use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::{Arc, Mutex};

use super::case::{Action, Case, Chain, TargetKind, Truth};
use super::device::Device;
use super::draw::{Draw, Facts};
use super::net::{Host, Net};
use super::servers::{Authorities, name_server, tls};
use super::words::{Answer, Interceptor, NameServer, Server, Side};
use crate::support::foreign::{At, Foreign};
use crate::support::http::HttpServer;
use crate::support::program::Folder;

/// The world of one run.
pub(crate) struct World<'a> {
    pub(crate) net: Net,
    pub(crate) facts: Facts,
    pub(crate) folder: Folder,
    pub(crate) case: &'a Case,
    pub(crate) truth: &'a Truth,
    pub(super) authorities: Arc<Authorities>,
    servers: Vec<Box<dyn Any>>,
}

impl<'a> World<'a> {
    pub(crate) fn new(case: &'a Case, truth: &'a Truth, draw: &mut Draw) -> Self {
        let mut facts = Facts::draw(draw, case);
        let folder = Folder::new();
        // Squid is another user.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("its folder");
        facts.set("files", folder.path().display().to_string());
        let authorities = Arc::new(Authorities::new(&facts));
        for (name, authority) in
            [("public", &authorities.public), ("organisation", &authorities.organisation)]
        {
            let file = folder.write(&format!("{name}.pem"), &authority.pem());
            facts.set(&format!("{name}_ca"), file.display().to_string());
        }
        for (name, authority) in
            [("client", &authorities.organisation), ("stranger", &authorities.nobody)]
        {
            let leaf = authority.leaf(&["client.corp.example"]);
            for (kind, text) in [("cert", leaf.chain_pem()), ("key", &*leaf.key_pem())] {
                let file = folder.write(&format!("{name}-{kind}.pem"), text);
                facts.set(&format!("{name}_{kind}"), file.display().to_string());
            }
        }
        let net = Net::new(&facts, case);
        let mut world = Self { net, facts, folder, case, truth, authorities, servers: Vec::new() };
        world.start_internet();
        world.start_names();
        world.start_proxies();
        world.start_interceptors();
        world.write_files();
        world.do_the_rest();
        world
    }

    /// The last word of a kind, which is the one that counts.
    pub(crate) fn said<T>(&self, which: impl Fn(&'a Action) -> Option<T>) -> Option<T> {
        self.case.set.iter().filter_map(which).next_back()
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.facts.get(name)
    }

    pub(super) fn keep(&mut self, server: impl Any) {
        self.servers.push(Box::new(server));
    }

    pub(super) fn ip(&self, name: &str) -> IpAddr {
        self.get(name).parse().unwrap_or_else(|_| panic!("{name} is no address"))
    }

    pub(super) fn socket(&self, name: &str) -> SocketAddr {
        self.get(name).parse().unwrap_or_else(|_| panic!("{name} is no address with a port"))
    }

    /// The words for the server at an address: of those that name it, else of those for all.
    fn server_at(&self, at: &str, of: impl Fn(&'a Action) -> Option<&'a Server>) -> Server {
        let named = |server: &&Server| {
            server.at.as_ref().is_none_or(|list| list.iter().any(|one| one == at))
        };
        self.case.set.iter().filter_map(of).rfind(named).cloned().unwrap_or_default()
    }

    fn start_internet(&mut self) {
        let page = || Answer::Page;
        let own = || match self.case.target {
            TargetKind::Generic => Answer::Page,
            TargetKind::Anthropic | TargetKind::Gateway => Answer::Api,
        };
        let origin = |action: &'a Action| match action {
            Action::Origin(server) => Some(server),
            _ => None,
        };
        let control = |action: &'a Action| match action {
            Action::Control(server) => Some(server),
            _ => None,
        };
        let elsewhere = |action: &'a Action| match action {
            Action::Elsewhere(server) => Some(server),
            _ => None,
        };
        let rows = [
            ("api", "host", self.server_at("api", origin), own()),
            ("api2", "host", self.server_at("api2", origin), own()),
            ("api6", "host", self.server_at("api6", origin), own()),
            ("control", "control_name", self.server_at("control", control), page()),
            ("control2", "control2_name", self.server_at("control2", control), page()),
            ("elsewhere", "elsewhere_name", self.server_at("elsewhere", elsewhere), page()),
        ];
        for (address, name, words, usual) in rows {
            let (at, port80) = ((self.ip(address), 443), (self.ip(address), 80));
            let answer = super::servers::http(words.answer.as_ref().unwrap_or(&usual), &self.facts);
            // As everywhere in the web: port 80 leads to port 443.
            let away = Answer::Redirect(format!("https://{}/", self.get(name)));
            let answer = match address {
                _ if words.plain.is_some() => {
                    words.plain.as_ref().map(|answer| super::servers::http(answer, &self.facts))
                }
                "elsewhere" => Some(answer),
                "api" | "api2" if !words.closed => Some(super::servers::http(&away, &self.facts)),
                _ => None,
            };
            let about = (&*self.authorities, &self.facts, self.get(name));
            let server = tls(&self.net, at.into(), (&words, usual), about);
            self.keep(server);
            if let Some(answer) = answer {
                self.keep(
                    self.net
                        .there(Host::Internet, move || HttpServer::start_at(port80.into(), answer)),
                );
            }
        }
        let portal = (self.ip("portal"), 80).into();
        let empty = crate::support::http::Behaviour::Answer {
            status: 204,
            headers: Vec::new(),
            body: Vec::new(),
        };
        self.keep(self.net.there(Host::Internet, move || HttpServer::start_at(portal, empty)));
    }

    /// Every name that was drawn, and where it leads.
    fn records(&self) -> Vec<(String, Vec<String>)> {
        let mut api = vec![self.get("api").to_owned(), self.get("api6").to_owned()];
        if self.case.addresses > 1 {
            api.insert(1, self.get("api2").to_owned());
        }
        let mut records = vec![(self.get("host").to_owned(), api)];
        for name in ["control", "control2", "portal", "elsewhere"] {
            let host = self.get(&format!("{name}_name")).to_owned();
            records.push((host, vec![self.get(name).to_owned()]));
        }
        records
    }

    fn start_names(&mut self) {
        let mut records = self.records();
        let public = self.said(|a| if let Action::PublicDns(s) = a { Some(s) } else { None });
        let other = self.said(|a| if let Action::Independent(s) = a { Some(s) } else { None });
        let company = self.said(|a| if let Action::Resolver(s) = a { Some(s) } else { None });
        let second = self.said(|a| if let Action::SecondResolver(s) = a { Some(s) } else { None });
        let usual = NameServer::default();
        for (at, words) in [("dns_public", public), ("independent", other.or(public))] {
            let place = (Host::Internet, self.get(at));
            let server =
                name_server(&self.net, place, words.unwrap_or(&usual), (&self.facts, &records));
            self.keep(server);
        }
        let proxies = vec![self.get("proxies").to_owned()];
        records.push((self.get("proxy_name").to_owned(), proxies));
        for (at, words) in [("resolver", company), ("resolver2", second)] {
            if let Some(words) = words {
                let place = (Host::Router, self.get(at));
                let server = name_server(&self.net, place, words, (&self.facts, &records));
                self.keep(server);
            }
        }
        if company.is_none() {
            self.keep(self.dnsmasq());
        }
    }

    fn dnsmasq(&self) -> Foreign {
        let namespace = self.net.namespace(Host::Router);
        let at = At::Namespace(&namespace, self.ip("resolver"), Some(53));
        let mut command = at.command("dnsmasq");
        command.args(["--keep-in-foreground", "--log-facility=-", "--user=root", "--no-hosts"]);
        command.args(["--conf-file=/dev/null", "--no-resolv", "--bind-interfaces"]);
        for line in [
            "--pid-file={files}/dnsmasq.pid",
            "--listen-address={resolver}",
            "--server={dns_public}",
            "--host-record={proxy_name},{proxies}",
        ] {
            command.arg(self.facts.fill(line));
        }
        for action in &self.case.set {
            if let Action::Dnsmasq(lines) = action {
                command.args(lines.iter().map(|line| self.facts.fill(line)));
            }
        }
        Foreign::start(command, "started, version").unwrap_or_else(|log| panic!("dnsmasq: {log:?}"))
    }

    fn start_interceptors(&mut self) {
        let words = self.case.set.iter().filter_map(|action| match action {
            Action::Interceptor(words) => Some(words.clone()),
            _ => None,
        });
        for (place, words) in words.enumerate() {
            self.start_one_interceptor(u16::try_from(place).expect("a few"), words);
        }
    }

    fn start_one_interceptor(&mut self, place: u16, words: Interceptor) {
        let Interceptor { takes, side, only, certificate, then } = words;
        let mut leads = self.leads();
        leads.insert(String::new(), (self.ip("api"), 443).into());
        let only = only.map(|list| list.iter().map(|name| self.facts.fill(name)).collect());
        let device = Device {
            only,
            certificate,
            then,
            authorities: Arc::clone(&self.authorities),
            facts: self.facts.clone(),
            leads,
            made: Mutex::new(HashMap::new()),
        };
        let port: u16 = self.get("interceptor_port").parse().expect("a port");
        let at = SocketAddr::new(self.ip("router"), port + place);
        self.keep(self.net.there(Host::Router, move || device.start(at)));
        let takes = takes.as_deref().unwrap_or("meta nfproto ipv4 tcp dport 443");
        let side = match side {
            Side::Lan => "lan",
            Side::Dmz => "dmz",
        };
        let rule = format!("iifname {side} {takes} dnat ip to {at}");
        self.rule(Host::Router, Chain::Dnat, &rule);
    }

    fn write_files(&self) {
        let etc = self.net.etc(Host::Client);
        let mut resolv = vec!["nameserver {resolver}".to_owned()];
        if self.said(|a| matches!(a, Action::SecondResolver(_)).then_some(())).is_some() {
            resolv.push("nameserver {resolver2}".to_owned());
        }
        let mut hosts = vec!["127.0.0.1 localhost".to_owned()];
        for action in &self.case.set {
            match action {
                Action::Pac(text) => {
                    self.folder.write("proxy.pac", &self.facts.fill(text));
                }
                Action::ResolvConf(lines) => resolv.clone_from(lines),
                Action::HostsFile(lines) => hosts.extend(lines.iter().cloned()),
                Action::File { name, text, mode } => {
                    let file = self.folder.write(name, &self.facts.fill(text));
                    let mode = Permissions::from_mode(mode.unwrap_or(0o644));
                    fs::set_permissions(file, mode).expect("its mode");
                }
                _ => {}
            }
        }
        for (name, lines) in [("resolv.conf", resolv), ("hosts", hosts)] {
            let text = self.facts.fill(&(lines.join("\n") + "\n"));
            fs::write(etc.join(name), text).expect("a file of /etc/netns");
        }
    }

    /// Rules and commands, once every server is there.
    fn do_the_rest(&self) {
        for action in &self.case.set {
            match action {
                Action::Firewall(rule) => self.rule(Host::Router, Chain::Forward, rule),
                Action::Nft { on, chain, rule } => self.rule(*on, *chain, rule),
                Action::Run { on, command } => {
                    let known = ["ip ", "tc ", "sysctl ", "nft "];
                    assert!(known.iter().any(|word| command.starts_with(word)), "{command}");
                    self.net.on(*on, &self.facts.fill(command));
                }
                _ => {}
            }
        }
    }

    fn rule(&self, on: Host, chain: Chain, rule: &str) {
        let (name, about) = chain.about();
        let rule = self.facts.fill(rule);
        let text = format!(
            "add table inet lab\nadd chain inet lab at_{name} {{ {about}; }}\nadd rule inet lab at_{name} {rule}\n"
        );
        self.net.nft(on, &text);
    }

    /// The binary on the client, ready for arguments.
    pub(crate) fn egressd(&self) -> Command {
        let mut command = Command::new("ip");
        let namespace = self.net.namespace(Host::Client);
        // Longer than any check may take: it ends what hangs.
        command.args(["netns", "exec", &namespace, "timeout", "60", env!("CARGO_BIN_EXE_egressd")]);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        for action in &self.case.set {
            if let Action::Environment(variables) = action {
                command.envs(variables.iter().map(|(name, value)| (name, self.facts.fill(value))));
            }
        }
        command
    }

    /// Ends every server, then the network; says what would not go.
    pub(crate) fn end(self) -> Result<(), String> {
        let Self { net, folder, servers, .. } = self;
        drop(servers);
        let path = folder.path().to_owned();
        drop(folder);
        net.end()?;
        if path.exists() { Err(format!("{} is still there", path.display())) } else { Ok(()) }
    }
}
