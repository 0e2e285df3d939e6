//! `egressd lint`: a request judged before it is sent. It sends nothing: it reads what is to be judged, hands it
//! over as data, and prints what was found.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{CONFIG, FAILED, OK, USAGE, colour, complain, print};
use crate::config::nearest;
use crate::daemon::load::{self, Loaded};
use crate::daemon::{environment, keys, process};
use crate::lint::{self, Around, Header, Judged, Request, curl, http};
use crate::mistake::Level;
use crate::plan::{Target, is_exempt};
use crate::provider::Provider;
use crate::publish::api;

/// A command line that is longer is none.
const LONGEST_LINE: usize = 16 * 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The configuration, whose requests are judged where no other is given [default: as for `run`].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The API that is spoken [default: told by host, headers and path].
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// A file with the request as HTTP/1.1 has it; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "curl")]
    request: Option<PathBuf>,
    /// A curl command line, which is not run; `-` is standard input.
    #[arg(long, value_name = "LINE")]
    curl: Option<String>,
    /// How findings are printed.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// As `egressd.lint/1`.
    Json,
}

/// Why nothing was judged: what is said, and the exit code.
type Refused = (String, u8);

pub(super) fn main(options: &Options) -> u8 {
    let judged = match judged(options) {
        Ok(judged) => judged,
        Err((why, code)) => {
            complain(&why);
            if options.format == Format::Json {
                print(&format!("{}\n", crate::publish::lint::refused(&why)));
            }
            return code;
        }
    };
    let text = match options.format {
        Format::Json => format!("{}\n", crate::publish::lint::json(&judged)),
        Format::Text => crate::publish::lint::text(&judged, colour()),
    };
    if print(&text) != OK {
        return FAILED;
    }
    let mut all = judged.iter().flat_map(|one| &one.findings);
    if all.any(|finding| finding.level == Level::Error) { FAILED } else { OK }
}

fn judged(options: &Options) -> Result<Vec<Judged>, Refused> {
    let provider = options.provider.as_deref().map(named).transpose()?;
    let of_config = || load::load(options.config.as_deref());
    let request = match (&options.request, &options.curl) {
        (None, None) => {
            let loaded = of_config().map_err(|fault| (fault.to_string(), CONFIG))?;
            return Ok(of_targets(&loaded, provider));
        }
        (Some(path), _) => of_file(path)?,
        (None, Some(line)) => of_curl(line)?,
    };
    // The targets say which gateways there are; without a word the default file is not demanded.
    let targets = match of_config() {
        Ok(loaded) => loaded.plan.targets,
        Err(fault) if options.config.is_some() => return Err((fault.to_string(), CONFIG)),
        Err(_) => Vec::new(),
    };
    Ok(vec![one(&request, provider, &targets)])
}

/// Judges a request that no configuration made.
pub(super) fn one(request: &Request, provider: Option<Provider>, targets: &[Target]) -> Judged {
    let variables = environment::of_clients();
    let host = request.url.host().map(|host| host.to_owned());
    let gateway = targets.iter().find(|target| Some(&target.endpoint.host) == host.as_ref());
    let told = gateway.map(|target| target.provider).filter(|told| *told != Provider::Generic);
    let said = provider.is_some();
    let provider = provider.or(told).unwrap_or_else(|| lint::provider_of(request, &variables));
    let today = today();
    let around = Around {
        provider,
        declared: said || told == Some(provider),
        keyless: false,
        today: &today,
        variables: &variables,
        exempts: is_exempt,
    };
    lint::judge(None, request, &around)
}

fn today() -> String {
    api::time(process::now()).chars().take("2026-11-22".len()).collect()
}

fn named(name: &str) -> Result<Provider, Refused> {
    Provider::named(name).ok_or_else(|| {
        let known: Vec<&str> = Provider::ALL.iter().map(|provider| provider.facts().id).collect();
        let name = crate::publish::shown(name);
        (format!("there is no provider `{name}`: {}", nearest(&name, &known)), USAGE)
    })
}

/// A file's bytes, or those of standard input, up to a limit and one more.
fn bytes(path: &Path, most: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(path)?.take(most).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn of_file(path: &Path) -> Result<Request, Refused> {
    let source = path.display();
    let bytes = bytes(path, http::LONGEST_HEAD + http::LONGEST_BODY)
        .map_err(|error| (format!("read {source}: {error}"), USAGE))?;
    http::read(&bytes).map_err(|fault| (fault.render(&source.to_string()), USAGE))
}

/// The request of a curl command line.
pub(super) fn of_curl(line: &str) -> Result<Request, Refused> {
    let refused = |fault: lint::Fault| (fault.render("--curl"), USAGE);
    let text = if line == "-" {
        let read = bytes(Path::new("-"), LONGEST_LINE)
            .map_err(|error| (format!("read standard input: {error}"), USAGE))?;
        if read.len() > LONGEST_LINE {
            return Err(("--curl: a command line of more than 16 MiB".to_owned(), USAGE));
        }
        let text = String::from_utf8(read);
        text.map_err(|error| {
            (format!("--curl: the command line is no text: {}", error.utf8_error()), USAGE)
        })?
    } else {
        line.to_owned()
    };
    let line = curl::read(&text, &environment::variable).map_err(refused)?;
    let named: BTreeSet<&str> = line.files().collect();
    let files = named.into_iter().map(|path| (path.to_owned(), of_body(path))).collect();
    line.request(&files).map_err(refused)
}

fn of_body(path: &str) -> Result<Vec<u8>, String> {
    let bytes = bytes(Path::new(path), http::LONGEST_BODY).map_err(|error| error.to_string())?;
    if bytes.len() > http::LONGEST_BODY {
        return Err("it has more than 64 MiB".to_owned());
    }
    Ok(bytes)
}

/// What each target would be asked, each finding once.
fn of_targets(loaded: &Loaded, provider: Option<Provider>) -> Vec<Judged> {
    let (variables, today) = (environment::of_clients(), today());
    let wanted = |target: &&Target| provider.is_none_or(|provider| provider == target.provider);
    let mut all: Vec<Judged> = Vec::new();
    for target in loaded.plan.targets.iter().filter(wanted) {
        let request = of_target(target);
        let around = Around {
            provider: target.provider,
            declared: true,
            keyless: target.key.is_none(),
            today: &today,
            variables: &variables,
            exempts: is_exempt,
        };
        let mut judged = lint::judge(Some(target.name.clone()), &request, &around);
        judged.findings.retain(|finding| {
            let mut said = all.iter().flat_map(|one| &one.findings);
            !said.any(|old| {
                (&old.place, &old.message) == (&finding.place, &finding.message)
                    && !is_of_request(&old.place)
            })
        });
        all.push(judged);
    }
    all
}

/// Whether a place is in the request, and not beside it.
fn is_of_request(place: &str) -> bool {
    !place.to_ascii_lowercase().ends_with("_proxy") && !place.ends_with("_URL")
}

/// The request that a target's checks send.
fn of_target(target: &Target) -> Request {
    let facts = target.provider.facts();
    let own = target.request.as_ref();
    let method = own.map_or("GET", |own| own.method.as_str());
    let mut request = Request::new(method, target.endpoint.url.clone());
    request.body = own.and_then(|own| own.body.as_ref()).map(|body| body.to_vec());
    let headers = target.headers().into_iter();
    request.headers.extend(headers.map(|(name, value)| Header::new(&name, value)));
    match (target.key.as_ref().map(keys::as_kept), facts.key) {
        (Some(Ok(key)), Some(header)) => {
            let value = format!("{}{}", header.prefix, key.expose());
            request.headers.push(Header::new(header.name, value));
        }
        (Some(Err(why)), _) => request.notes.push(format!("the key cannot be had: {why}")),
        (None, _) => {
            request.notes.push("no key is configured: the check goes without one".to_owned());
        }
        (Some(Ok(_)), None) => {}
    }
    request
}
