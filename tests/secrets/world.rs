//! What the secrets are planted in: a configuration with each kind of place for one, and peers that say back what
//! they were told, and more.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use data_encoding::{BASE64, HEXLOWER};

use super::{ANTHROPIC, AZURE, BASIC, BEDROCK, BODY, DIGEST, GEMINI, GIVEN, NTLM, OPENAI, PAC};
use crate::support::ground::Ground;
use crate::support::http::{Behaviour as Http, HttpServer};
use crate::support::program::{Finished, egressd};
use crate::support::proxy::{Behaviour, Proxy};
use crate::support::tls::{Behaviour as Tls, Options, TlsServer};
use crate::support::wire::Ending;

/// All that a peer can say back, in a head and in a page.
fn said_back() -> (Vec<(&'static str, String)>, String) {
    let all = [ANTHROPIC, OPENAI, GEMINI, AZURE, BEDROCK, BASIC, DIGEST, GIVEN, PAC, NTLM];
    let list = all.join(" ");
    let encoded: Vec<String> = all
        .iter()
        .flat_map(|one| ["", "u", "us", "svc:"].map(|before| format!("{before}{one}")))
        .map(|text| BASE64.encode(text.as_bytes()))
        .collect();
    let hex: Vec<String> = all.iter().map(|one| HEXLOWER.encode(one.as_bytes())).collect();
    let headers = vec![
        ("server", list.clone()),
        ("via", format!("1.1 {ANTHROPIC}")),
        ("request-id", ANTHROPIC.to_owned()),
        ("x-request-id", OPENAI.to_owned()),
        ("location", format!("https://svc:{BASIC}@elsewhere.example/?key={GEMINI}")),
        ("www-authenticate", format!("Bearer realm=\"{list}\"")),
        ("retry-after", AZURE.to_owned()),
        ("x-cache", encoded.join(" ")),
    ];
    let body = format!(
        "{{\"type\":\"error\",\"error\":{{\"type\":\"{ANTHROPIC}\",\"message\":\"no such key: {list}\",\
         \"code\":\"{OPENAI}\"}},\"request_id\":\"{ANTHROPIC}\"}} {} {}",
        encoded.join(" "),
        hex.join(" ")
    );
    (headers, body)
}

pub(super) struct World {
    pub(super) ground: Ground,
    good: TlsServer,
    pub(super) echo: TlsServer,
    echo1: TlsServer,
    redirect: TlsServer,
    basic: Proxy,
    digest: HttpServer,
    pub(super) alertmanager: HttpServer,
}

impl World {
    pub(super) fn new() -> Self {
        let ground = Ground::new();
        let (headers, body) = said_back();
        let answer = |status| {
            let (headers, body) = (headers.clone(), body.clone().into_bytes());
            Tls::Serve(Http::Answer { status, headers, body })
        };
        // Its certificate is for a name that is a key.
        let names = ["127.0.0.1", "planted-anthropic-31f7.example"];
        let leaf = || Arc::new(ground.authority.leaf(&names));
        let old = Options { alpn: Some(vec![b"http/1.1"]), ..Options::default() };
        let page = format!(
            "HTTP/1.1 407 You said {DIGEST} {GIVEN}\r\nProxy-Authenticate: Digest realm=\"{DIGEST}\", \
             nonce=\"{DIGEST}\", qop=\"auth\", stale=true\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Negotiate\r\nConnection: close\r\nX-Squid-Error: {DIGEST}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        Self {
            good: ground.server(Tls::Serve(Http::AnthropicByKey { good: ANTHROPIC.to_owned() })),
            echo: TlsServer::start(&leaf(), answer(401)),
            echo1: TlsServer::start_with(&leaf(), answer(500), old),
            redirect: TlsServer::start(&leaf(), answer(302)),
            basic: Proxy::start(Behaviour::AuthThenEcho(format!("svc:{BASIC} {GIVEN} {PAC}")), &[]),
            digest: HttpServer::start(Http::Raw(page, Ending::Close)),
            alertmanager: HttpServer::start(Http::Answer {
                status: 200,
                headers: Vec::new(),
                body: Vec::new(),
            }),
            ground,
        }
    }

    pub(super) fn folder(&self) -> &Path {
        self.ground.folder.path()
    }

    fn routes(&self) -> String {
        let folder = self.folder().display();
        let (basic, digest) = (self.basic.address(), self.digest.address());
        format!(
            "[[route]]\nname = \"basic\"\nproxy = \"http://{basic}\"\nconnect_headers = {{ X-Team = \"ml\" }}\n\
             auth = {{ scheme = \"basic\", username = \"svc\", password = {{ file = \"{folder}/basic\" }} }}\n\
             [[route]]\nname = \"digest\"\nproxy = \"http://{digest}\"\n\
             auth = {{ scheme = \"digest\", username = \"svc\", password = {{ credential = \"digest\" }} }}\n\
             [[route]]\nname = \"ntlm\"\nproxy = \"http://{digest}\"\nauth = {{ scheme = \"ntlm\", username = \"svc\", \
             domain = \"CORP\", password = {{ file = \"{folder}/ntlm\" }} }}\n\
             [[route]]\nname = \"kerberos\"\nproxy = \"http://{digest}\"\nauth = {{ scheme = \"negotiate\", \
             principal = \"svc@CORP.EXAMPLE\", keytab = \"{folder}/ntlm\" }}\n\
             [[route]]\nname = \"environment\"\nproxy = \"environment\"\n\
             [[route]]\nname = \"pac\"\nproxy = \"pac+file://{folder}/proxy.pac\"\nauth_hosts = [\"{basic}\"]\n\
             auth = {{ scheme = \"basic\", username = \"svc\", password = {{ env = \"PAC_PASSWORD\" }} }}\n",
        )
    }

    fn targets(&self) -> String {
        let folder = self.folder().display();
        let direct = "routes = [\"direct\"]";
        let client = format!(
            "client_cert = {{ certificate = \"{folder}/client.pem\", key = {{ file = \"{folder}/client.key\" }} }}"
        );
        let all = "routes = [\"direct\", \"basic\", \"digest\", \"ntlm\", \"kerberos\", \"environment\", \"pac\"]";
        let keyed = |source: &str| format!("key = {{ {source} }}\n{direct}");
        let request = format!(
            "request = {{ method = \"POST\", headers = {{ X-Team = \"ml\" }}, \
             body = '{{\"token\":\"{BODY}\"}}' }}\n{direct}"
        );
        let rows = [
            ("good", "anthropic", &self.good, "/v1/models", keyed("env = \"ANTHROPIC_API_KEY\"")),
            (
                "echo",
                "anthropic",
                &self.echo,
                "/v1/models",
                format!("key = {{ env = \"ANTHROPIC_API_KEY\" }}\n{all}\n{client}"),
            ),
            (
                "openai",
                "openai",
                &self.echo1,
                "/v1/models",
                keyed(&format!("file = \"{folder}/openai\"")),
            ),
            (
                "gemini",
                "gemini",
                &self.redirect,
                "/v1beta/models",
                keyed("credential = \"gemini\""),
            ),
            (
                "azure",
                "azure_openai",
                &self.echo,
                "/openai/models",
                keyed(&format!("file = \"{folder}/azure\"")),
            ),
            (
                "bedrock",
                "bedrock",
                &self.echo1,
                "/foundation-models",
                keyed(&format!("file = \"{folder}/bedrock\"")),
            ),
            ("own", "generic", &self.echo1, "/own", request),
        ];
        let tables: Vec<String> = rows
            .iter()
            .map(|(name, provider, server, path, more)| {
                format!(
                    "[[target]]\nname = \"{name}\"\nprovider = \"{provider}\"\nurl = \"https://{}{path}\"\n{more}\n",
                    server.address()
                )
            })
            .collect();
        tables.concat()
    }

    /// Writes everything that is read, and says where the configuration is.
    pub(super) fn write(&self, format: &str) -> String {
        let folder = &self.ground.folder;
        let leaf = self.ground.authority.leaf(&["client"]);
        folder.write("client.pem", leaf.chain_pem());
        folder.write("client.key", &leaf.key_pem());
        for (name, value) in [
            ("basic", BASIC),
            ("ntlm", NTLM),
            ("openai", OPENAI),
            ("azure", AZURE),
            ("bedrock", BEDROCK),
        ] {
            folder.write(name, &format!("{value}\n"));
        }
        for (name, value) in [("digest", DIGEST), ("gemini", GEMINI)] {
            folder.write(name, value);
        }
        let script = format!(
            "function FindProxyForURL(url, host) {{ return \"PROXY {}\"; }}",
            self.basic.address()
        );
        folder.write("proxy.pac", &script);
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[log]\nformat = \"{format}\"\nfilter = \"trace\"\n\
             [state]\ndir = \"{}\"\n[alertmanager]\nhold = \"100ms\"\nurls = [\"http://{}\"]\n{}{}{}",
            self.folder().display(),
            self.alertmanager.address(),
            self.ground.tables_with("2s", ""),
            self.routes(),
            self.targets()
        );
        folder.write("egressd.toml", &text).display().to_string()
    }

    pub(super) fn with_secrets<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("ANTHROPIC_API_KEY", ANTHROPIC)
            .env("PAC_PASSWORD", PAC)
            .env("CREDENTIALS_DIRECTORY", self.folder())
            .env("https_proxy", format!("http://svc:{GIVEN}@{}", self.basic.address()))
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Finished {
        let mut command = egressd();
        self.with_secrets(command.args(arguments));
        Finished::of(command.output().expect("the binary starts"))
    }

    /// What peers were told, as they were told it.
    pub(super) fn received(&self) -> String {
        let requests = [&self.good, &self.echo, &self.echo1, &self.redirect]
            .into_iter()
            .flat_map(TlsServer::requests)
            .map(|request| {
                let body = String::from_utf8_lossy(&request.body).into_owned();
                format!("{} {:?} {body}", request.path, request.headers)
            });
        let connects =
            self.basic.connects().into_iter().map(|connect| format!("{:?}", connect.headers));
        requests.chain(connects).collect::<Vec<_>>().join("\n")
    }
}
