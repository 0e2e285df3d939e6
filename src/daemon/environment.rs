//! The one place that reads the environment, the files that a configuration names, and the host's
//! roots, and hands them over as data.
#![expect(clippy::disallowed_methods, reason = "this is the file that may read the environment")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{Error, ErrorKind, Read as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::lists;
use crate::config::Config;
use crate::plan::{Given, Listed, ProxyVariables, named_files, named_variables};
use crate::provider::Provider;

/// Where the configuration is looked for.
pub const DEFAULT_FILE: &str = "/etc/egressd/egressd.toml";

/// A configuration, at most; and a file that it names: a host's whole bundle of roots is a quarter of a mebibyte.
pub const CONFIG: usize = 4 << 20;
const NAMED: usize = 16 << 20;

/// Reads what a configuration names.
pub fn read(config: &Config) -> Given {
    let patterns = config.target_list.iter().flat_map(|table| &table.get_ref().files);
    read_beside(lists::read(patterns.map(|pattern| pattern.get_ref().as_str())), config)
}

/// The same beside lists that were read already.
pub fn read_beside(lists: Vec<Listed>, config: &Config) -> Given {
    let variables: BTreeMap<String, String> = named_variables(config)
        .into_iter()
        .filter_map(|name| variable(&name).map(|value| (name, value)))
        .collect();
    let files = named_files(config)
        .into_iter()
        .map(|path| {
            let bytes = read_bounded(&path, NAMED).map_err(|error| error.to_string());
            (path, bytes)
        })
        .collect();
    let proxies = ProxyVariables::NAMES.iter().chain(ProxyVariables::EXEMPTIONS);
    let proxies =
        proxies.filter_map(|name| variable(name).map(|value| ((*name).to_owned(), value)));
    Given {
        variables,
        proxies: ProxyVariables::new(proxies),
        files,
        lists,
        system_roots: if config.trust.system { system_roots() } else { Ok(Vec::new()) },
    }
}

/// The variables by which clients are led to a proxy, or to another base URL.
pub fn of_clients() -> Vec<(String, String)> {
    let proxies = ["http_proxy", "HTTP_PROXY"];
    let proxies = proxies.iter().chain(ProxyVariables::NAMES).chain(ProxyVariables::EXEMPTIONS);
    let bases = Provider::ALL.iter().flat_map(|provider| provider.facts().requests.base_variables);
    let mut names: Vec<&str> = proxies.chain(bases).copied().collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .filter_map(|name| variable(name).map(|value| (name.to_owned(), value)))
        .collect()
}

/// One variable; none where it is not set or not text.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Where systemd wants to be told (`sd_notify(3)`).
pub fn notify_socket() -> Option<OsString> {
    std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty())
}

/// The folder of systemd's credentials.
pub fn credentials() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)
}

/// Whether standard error goes to the journal (`systemd.exec(5)`, `JOURNAL_STREAM`).
pub fn logs_to_journal() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let named: OsString = std::env::var_os("JOURNAL_STREAM").unwrap_or_default();
    let Ok(metadata) = std::fs::metadata("/proc/self/fd/2") else { return false };
    named.to_string_lossy() == format!("{}:{}", metadata.dev(), metadata.ino())
}

/// The host's store, as its other programs see it.
fn system_roots() -> Result<Vec<Vec<u8>>, String> {
    let loaded = rustls_native_certs::load_native_certs();
    if loaded.certs.is_empty()
        && let Some(error) = loaded.errors.first()
    {
        return Err(error.to_string());
    }
    Ok(loaded.certs.iter().map(|certificate| certificate.as_ref().to_vec()).collect())
}

/// What others than its owner may write of a file, so that it decides nothing here: itself, or the folder in which it
/// lies, where they could put another one in its place.
pub fn writable_by_others(path: &Path) -> Option<(PathBuf, &'static str)> {
    let is = |path: &Path, sticky: u32| {
        let mode = std::fs::metadata(path).map(|metadata| metadata.permissions().mode());
        mode.is_ok_and(|mode| mode & (0o002 | sticky) == 0o002)
    };
    if is(path, 0) {
        return Some((path.to_owned(), "file"));
    }
    // Behind all links, as a volume of Kubernetes has them. In a folder like /tmp each replaces their own (`unlink(2)`).
    let folder = path.canonicalize().ok()?.parent()?.to_owned();
    is(&folder, 0o1000).then_some((folder, "folder"))
}

/// Whether others than its owner and group may read a file: then it holds no secret.
pub fn is_readable_by_others(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

/// What a regular file holds, up to a limit. Nothing else is read: whoever waits for a pipe checks nothing.
pub fn read_bounded(path: &Path, limit: usize) -> std::io::Result<Vec<u8>> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let mut bytes = Vec::new();
    if file.metadata()?.is_file() {
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() <= limit {
            return Ok(bytes);
        }
    }
    let kibibytes = limit / 1024;
    let size = match kibibytes / 1024 {
        0 => format!("{kibibytes} KiB"),
        mebibytes => format!("{mebibytes} MiB"),
    };
    Err(Error::other(format!("it is no regular file of at most {size}")))
}

/// The same of a text.
pub fn read_text(path: &Path, limit: usize) -> std::io::Result<String> {
    let invalid = |_| Error::new(ErrorKind::InvalidData, "stream did not contain valid UTF-8");
    String::from_utf8(read_bounded(path, limit)?).map_err(invalid)
}

/// This host's own name.
pub fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}
