//! From a question at `/probe` to a plan with one target, or to a refusal before anything is looked up.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use url::{Host, Url};

use super::{DEFAULT, Header, Kept, Module, Modules, login};
use crate::config::Secret;
use crate::observation::Wanted;
use crate::plan::{AdHoc, Families, OwnRequest, Plan, Reach, Route, Rules, ad_hoc, is_exempt};
use crate::provider::Provider;

/// Bytes of a body that are read where a module says nothing.
const BODY: u64 = 1024 * 1024;
/// What is kept back of Prometheus's own timeout, in seconds, as blackbox_exporter does.
const OFFSET: f64 = 0.5;
/// The longest where neither says anything, in seconds.
const LONGEST: f64 = 120.0;

/// What was asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The URL, as it was written.
    pub target: String,
    /// The module's name.
    pub module: String,
    /// Another name for Host and TLS.
    pub hostname: Option<String>,
    /// Whether a text for people is wanted.
    pub debug: bool,
}

/// Why nothing is probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer.
    pub status: u16,
    /// The reason, for people.
    pub why: String,
}

impl Refusal {
    /// What was asked cannot be understood.
    pub fn bad(why: impl Into<String>) -> Self {
        Self { status: 400, why: why.into() }
    }

    /// What was asked is not allowed.
    pub fn forbidden(why: impl Into<String>) -> Self {
        Self { status: 403, why: why.into() }
    }
}

impl Query {
    /// Reads the part of a URL behind `?`.
    pub fn read(query: &str) -> Result<Self, Refusal> {
        // Of several of one name the first counts, as in Go.
        let first = |name: &str| {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        let written = |name| first(name).filter(|value| !value.is_empty());
        Ok(Self {
            target: written("target").ok_or_else(|| Refusal::bad("Target parameter is missing"))?,
            module: written("module").unwrap_or_else(|| DEFAULT.to_owned()),
            hostname: written("hostname"),
            debug: first("debug").is_some_and(|debug| debug == "true"),
        })
    }

    /// The module that is meant, if it can be had.
    pub fn module<'a>(&self, modules: &'a Modules) -> Result<&'a Arc<Module>, Refusal> {
        let Some(module) = modules.get(&self.module) else {
            return Err(Refusal::bad(format!("Unknown module {:?}", cut(&self.module))));
        };
        if module.unsupported.is_empty() {
            return Ok(module);
        }
        let why = module.unsupported.join("; ");
        Err(Refusal::bad(format!("Module {:?} asks for what is not supported: {why}", module.name)))
    }
}

fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// How long a probe may take, by the module and by the header that Prometheus sends.
pub fn time_for(module: Option<Duration>, header: Option<&str>) -> Result<Duration, Refusal> {
    let scrape = match header.filter(|header| !header.is_empty()) {
        None => LONGEST,
        Some(text) => match text.parse::<f64>() {
            Ok(seconds) if seconds.is_finite() && seconds > 0.0 => seconds.min(LONGEST),
            Ok(_) | Err(_) => {
                let why = "Failed to parse timeout from Prometheus header";
                return Err(Refusal { status: 500, why: why.to_owned() });
            }
        },
    };
    let most = if scrape > OFFSET { scrape - OFFSET } else { scrape / 2.0 };
    let own = module.map(|module| module.as_secs_f64()).filter(|own| *own > 0.0);
    // What comes after the scrape has ended is heard by nobody.
    let seconds = own.map_or(most, |own| own.min(most));
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(1)))
}

/// The plan of one probe. Nothing has been looked up yet; what a name leads to is judged where it is dialled.
pub fn planned(
    base: &Plan,
    (module, query): (&Module, &Query),
    time: Duration,
    read: impl Fn(&crate::config::SecretSource) -> Result<Secret, String>,
) -> Result<Plan, Refusal> {
    let url = url(&query.target)?;
    let host = url.host().map(|host| host.to_owned());
    let (Some(host), Some(port)) = (host, url.port_or_known_default()) else {
        return Err(Refusal::bad("the target names no host"));
    };
    let renamed = renamed(module, query)?;
    let may = &module.may;
    for one in [Some(&host), renamed.as_ref()].into_iter().flatten() {
        if !may.names(one) {
            return Err(Refusal::forbidden(format!(
                "module {} does not name the host {one} in egressd: {{ hosts: [...] }}",
                module.name
            )));
        }
    }
    if !may.opens(port) {
        let why = format!(
            "module {} does not name port {port} in egressd: {{ ports: [...] }}",
            module.name
        );
        return Err(Refusal::forbidden(why));
    }
    let reach = Arc::new(Reach { networks: may.networks.clone() });
    let literal = match &host {
        Host::Ipv4(address) => Some((*address).into()),
        Host::Ipv6(address) => Some((*address).into()),
        Host::Domain(_) => None,
    };
    if let Some(address) = literal.filter(|address| !reach.allows(*address)) {
        return Err(Refusal::forbidden(not_listed(module, address)));
    }
    if url.scheme() == "http" && module.http.headers.iter().any(Header::is_secret) {
        return Err(Refusal::bad("a secret is not sent over plain HTTP: write https://"));
    }
    let route = route(base, module, (&host, port))?;
    let asked = AdHoc {
        url: url.as_str(),
        proxy: None,
        provider: Some(may.provider.unwrap_or(Provider::Generic)),
        request: Some(request(module, read)?),
    };
    let mut plan =
        ad_hoc(&Plan { routes: vec![route], ..base.clone() }, asked).map_err(Refusal::bad)?;
    let rules = rules(module, reach, renamed.as_ref());
    for target in &mut plan.targets {
        target.timeout = time;
        target.rules = Some(Arc::new(rules.clone()));
        target.trust.clone_from(&module.http.tls.trust);
        target.client_cert.clone_from(&module.http.tls.client);
    }
    Ok(plan)
}

/// An address that the module does not list.
pub(super) fn not_listed(module: &Module, address: std::net::IpAddr) -> String {
    format!(
        "{address} is no public address, and module {} does not name it in egressd: {{ networks: [...] }}",
        module.name
    )
}

impl Module {
    /// The refusal of an address that a name led to.
    pub fn refuses(&self, address: std::net::IpAddr) -> Refusal {
        Refusal::forbidden(not_listed(self, address))
    }
}

/// Without a scheme it is http://, as blackbox_exporter has it.
fn url(target: &str) -> Result<Url, Refusal> {
    let whole = if target.contains("://") { target.to_owned() } else { format!("http://{target}") };
    let url = Url::parse(&whole)
        .map_err(|error| Refusal::bad(format!("the target is no URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refusal::bad("the target's scheme is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::bad("a login inside of a URL is not sent; write it into the module"));
    }
    Ok(url)
}

/// The host of `&hostname=`.
fn renamed(module: &Module, query: &Query) -> Result<Option<Host<String>>, Refusal> {
    let Some(name) = &query.hostname else { return Ok(None) };
    if let Some(host) = &module.http.host {
        return Err(Refusal::bad(format!(
            "host header defined both in module configuration ({host}) and with URL-parameter 'hostname' ({})",
            cut(name)
        )));
    }
    let host = Host::parse(name).map_err(|_why| Refusal::bad("'hostname' is no host"))?;
    Ok(Some(host))
}

/// The route: the module's own proxy, or one of the configuration, without the logins that are egressd's own.
fn route(
    base: &Plan,
    module: &Module,
    (host, port): (&Host<String>, u16),
) -> Result<Route, Refusal> {
    if let Some(proxy) = &module.http.proxy {
        if is_exempt(&module.http.no_proxy, host, port) {
            return Ok(Route { name: "direct".into(), ..Route::default() });
        }
        return Ok(proxy.clone());
    }
    let name = module.may.route.as_deref().unwrap_or("direct");
    let found = base.routes.iter().find(|route| route.name == name);
    found.cloned().ok_or_else(|| Refusal::bad(format!("there is no route {name:?}")))
}

fn rules(module: &Module, reach: Arc<Reach>, renamed: Option<&Host<String>>) -> Rules {
    let http = &module.http;
    let server_name = http.tls.server_name.as_ref().or(renamed).cloned();
    Rules {
        reach,
        family: Some(Families::One { ipv4: http.ipv4, other: !http.no_fallback }),
        any_chain: http.tls.any_chain,
        http1: http.http1,
        tls12_only: http.tls.tls12_only,
        server_name,
        authority: http.host.clone().or_else(|| renamed.map(ToString::to_string)),
        // One byte more shows that there is more.
        body_limit: Some(http.size_limit.map_or(BODY, |limit| limit.saturating_add(1).min(BODY))),
    }
}

/// What is sent, with its secrets as they are now.
fn request(
    module: &Module,
    read: impl Fn(&crate::config::SecretSource) -> Result<Secret, String>,
) -> Result<OwnRequest, Refusal> {
    let http = &module.http;
    let mut own = OwnRequest {
        method: http.method.clone(),
        body: http.body.clone(),
        complete: true,
        wanted: Wanted { status: http.statuses.clone(), ..Wanted::default() },
        ..OwnRequest::default()
    };
    for header in &http.headers {
        let of_file = match header.source().map(&read) {
            Some(Ok(secret)) => secret,
            Some(Err(why)) => return Err(Refusal { status: 500, why }),
            None => Secret::new(String::new()),
        };
        let secret = match &header.value {
            Kept::Plain(value) => {
                own.headers.push((header.name.clone(), value.clone()));
                continue;
            }
            Kept::Secret(secret) => secret.clone(),
            Kept::File(prefix, _) => Secret::new(format!("{prefix}{}", of_file.expose())),
            Kept::Basic(user, _) => login::basic(user, of_file.expose()),
        };
        if HeaderValue::try_from(secret.expose()).is_err() {
            let place = header.source().map(|source| format!("{source}: ")).unwrap_or_default();
            let why = format!("{place}no line that the header {} can carry", header.name);
            return Err(Refusal { status: 500, why });
        }
        own.secrets.push((header.name.clone(), secret));
    }
    Ok(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of blackbox_exporter's own test of it, with its offset of half a second.
    #[test]
    fn a_probe_ends_before_the_scrape_does() {
        let rows = [
            (0.0, Some("15"), 14.5),
            (20.0, Some("15"), 14.5),
            (5.0, Some("15"), 5.0),
            (10.0, None, 10.0),
            (10.0, Some("10"), 9.5),
            (9.5, None, 9.5),
            (0.0, None, 119.5),
            (0.0, Some("0.4"), 0.2),
            (10.0, Some("0.4"), 0.2),
        ];
        for (module, header, expected) in rows {
            let module = Some(Duration::from_secs_f64(module));
            let time = time_for(module, header).unwrap();
            assert!((time.as_secs_f64() - expected).abs() < 1e-9, "{module:?} {header:?} {time:?}");
        }
        for wrong in ["ten", "NaN", "-1", "inf"] {
            assert_eq!(time_for(None, Some(wrong)).unwrap_err().status, 500, "{wrong}");
        }
    }

    #[test]
    fn a_target_is_read_as_it_is_written() {
        let target = |query: &str| Query::read(query).map(|query| query.target);
        let whole = Ok("http://example.com/a%3Ab".to_owned());
        assert_eq!(target("target=http://example.com/a%253Ab"), whole);
        assert_eq!(target("target=http%3A%2F%2Fexample.com%2Fa%253Ab"), whole);
        assert_eq!(target("target=a&target=b"), Ok("a".to_owned()));
        assert_eq!(target("module=x").unwrap_err().why, "Target parameter is missing");
        assert_eq!(url("example.com").unwrap().as_str(), "http://example.com/");
        assert_eq!(url("HtTpS://example.com").unwrap().as_str(), "https://example.com/");
        assert_eq!(url("invalid://example.com").unwrap_err().status, 400);
        assert_eq!(url("https://u:p@example.com").unwrap_err().status, 400);
    }
}
