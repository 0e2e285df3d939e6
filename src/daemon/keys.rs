//! API keys, those of client certificates and logins at proxies, read when they are used: a file's change
//! counts at once, a file that vanishes is a finding.
//!
//! A secret from a file loses exactly one final line break. What no header may carry is found here and
//! never sent; its place is said, its value never.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::environment;
use crate::config::{FileSource, Secret, SecretSource};
use crate::diagnosis::Key;
use crate::plan::{Account, Credential, Plan, Proof, TripPlan, Way};

/// A key larger than this is no key.
const LIMIT: usize = 64 * 1024;

/// The state of a target's key, and the key where it can be sent.
pub fn read(source: Option<&SecretSource>) -> (Key, Option<Secret>) {
    let Some(source) = source else { return (Key::None, None) };
    let place = source.to_string();
    match value(source) {
        Err(why) => (Key::Unavailable(place, why), None),
        Ok(text) if text.is_empty() => (Key::Empty(place), None),
        Ok(text) => match text.char_indices().find(|(_, c)| !c.is_ascii_graphic()) {
            Some((at, c)) => {
                let what =
                    if c.is_whitespace() { "white space" } else { "a character no header carries" };
                (Key::Unsendable(place, format!("{what} at byte {}", at + 1)), None)
            }
            None => (Key::InForce(place), Some(Secret::new(text))),
        },
    }
}

/// A key as it stands where it is kept, with whatever is wrong with it; or why there is none, with its place.
pub fn as_kept(source: &SecretSource) -> Result<Secret, String> {
    value(source).map(Secret::new).map_err(|why| format!("{source}: {why}"))
}

/// The text of a PEM file's secret, line breaks and all, or why there is none, with its place.
pub fn read_pem(source: &SecretSource) -> Result<Secret, String> {
    value(source).map(Secret::new).map_err(|why| format!("{source}: {why}"))
}

/// Every secret of a plan that can be read now, for who has to recognise them in what comes back.
pub fn known(plan: &Plan) -> Vec<Secret> {
    let keys = plan.targets.iter().filter_map(|target| read(target.key.as_ref()).1);
    let mut all: Vec<Secret> = keys.collect();
    for account in accounts(plan) {
        all.extend(basic(account));
        if let Ok(Credential::Password { password, .. }) = credential(account) {
            all.push(password);
        }
    }
    all
}

/// All logins of a plan.
fn accounts(plan: &Plan) -> impl Iterator<Item = &Account> {
    let of_routes = plan.routes.iter().filter_map(|route| match &route.way {
        Way::Direct => None,
        Way::Proxy(proxy) => proxy.account.as_ref(),
        Way::Pac(pac) => pac.account.as_ref(),
    });
    of_routes.chain(plan.alertmanager.as_ref().and_then(|to| to.account.as_ref()))
}

/// The files that hold secrets, by what is said of them to people: the same words as in a verdict.
pub type Files = BTreeMap<String, PathBuf>;

/// Those of a plan. What stands in a variable has no age.
pub fn files(plan: &Plan) -> Files {
    let keys = plan.targets.iter().flat_map(|target| {
        [target.key.as_ref(), target.client_cert.as_ref().map(|cert| &cert.key)]
    });
    let mut files: Files = keys.flatten().filter_map(file_of).collect();
    for account in accounts(plan) {
        match &account.proof {
            Proof::Password(source) => files.extend(file_of(source)),
            Proof::Keytab(source) => {
                files.extend(place(source).ok().map(|path| (source.to_string(), path)));
            }
            Proof::Given(_) | Proof::Cache(_) => {}
        }
    }
    files
}

/// Seconds since each changed; none of one that cannot be read.
pub fn ages(files: &Files, now: Timestamp) -> Vec<(String, f64)> {
    let age = |path: &PathBuf| {
        let changed = std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
        let changed = Timestamp::try_from(changed).ok()?;
        Some(now.duration_since(changed).as_secs_f64())
    };
    files.iter().filter_map(|(place, path)| Some((place.clone(), age(path)?))).collect()
}

fn file_of(source: &SecretSource) -> Option<(String, PathBuf)> {
    let path = match source {
        SecretSource { file: Some(path), .. } => path.clone(),
        SecretSource { credential: Some(name), .. } => environment::credentials()?.join(name),
        SecretSource { file: None, credential: None, .. } => return None,
    };
    Some((source.to_string(), path))
}

/// Gives a trip the login of its proxy as it is now, or why there is none.
pub fn equip(trip: &mut TripPlan) {
    if let Some(tunnel) = &mut trip.tunnel {
        tunnel.credential = tunnel.proxy.account.as_ref().map(credential);
    }
}

/// The header by which a name and a password are told (RFC 7617 2), or why they cannot be.
pub fn basic(account: &Account) -> Result<Secret, String> {
    match credential(account)? {
        Credential::Password { name, password, .. } => {
            let both = Zeroizing::new(format!("{name}:{}", password.expose()));
            Ok(Secret::new(format!("Basic {}", BASE64.encode(both.as_bytes()))))
        }
        Credential::Ticket { .. } => Err("a ticket is no password".to_owned()),
    }
}

fn credential(account: &Account) -> Result<Credential, String> {
    let of = |password| Credential::Password {
        scheme: account.scheme,
        name: account.name.clone(),
        domain: account.domain.clone(),
        password,
    };
    let principal = account.name.clone();
    match &account.proof {
        Proof::Given(password) => Ok(of(password.clone())),
        Proof::Password(source) => {
            let password = value(source).and_then(|password| match password.as_str() {
                "" => Err("it is empty".to_owned()),
                text if text.contains(char::is_control) => {
                    Err("a control character is in it".to_owned())
                }
                _ => Ok(password),
            });
            let password = password.map_err(|why| format!("{source}: {why}"))?;
            Ok(of(Secret::new(password)))
        }
        Proof::Keytab(source) => {
            let path = readable(source).map_err(|why| format!("{source}: {why}"))?;
            Ok(Credential::Ticket { principal, keytab: Some(path), cache: None })
        }
        Proof::Cache(cache) => {
            Ok(Credential::Ticket { principal, keytab: None, cache: cache.clone() })
        }
    }
}

/// The path of a file that a library reads by itself, where it can be read.
fn readable(source: &FileSource) -> Result<PathBuf, String> {
    let path = place(source)?;
    environment::read_bounded(&path, LIMIT).map_err(|error| error.to_string())?;
    Ok(path)
}

fn place(source: &FileSource) -> Result<PathBuf, String> {
    match source {
        FileSource::Path(path) => Ok(path.clone()),
        FileSource::Credential(name) => match environment::credentials() {
            Some(folder) => Ok(folder.join(name)),
            None => Err("systemd handed no credentials over".to_owned()),
        },
    }
}

fn value(source: &SecretSource) -> Result<String, String> {
    match source {
        SecretSource { env: Some(name), .. } => {
            environment::variable(name).ok_or_else(|| "the variable is not set".to_owned())
        }
        SecretSource { file: Some(path), .. } => from_file(path),
        SecretSource { credential: Some(name), .. } => match environment::credentials() {
            Some(folder) => from_file(&folder.join(name)),
            None => Err("systemd handed no credentials over".to_owned()),
        },
        SecretSource { env: None, file: None, credential: None } => {
            Err("no place is given".to_owned())
        }
    }
}

fn from_file(path: &Path) -> Result<String, String> {
    let mut text = environment::read_text(path, LIMIT).map_err(|error| error.to_string())?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> (Key, Option<Secret>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        read(Some(&SecretSource { file: Some(file.path().to_owned()), ..SecretSource::default() }))
    }

    #[test]
    fn one_line_break_is_lost_and_no_more() {
        assert_eq!(of(b"k\n").1, Some(Secret::new("k".into())));
        assert_eq!(of(b"k\r\n").1, Some(Secret::new("k".into())));
        assert!(
            matches!(of(b"k\n\n"), (Key::Unsendable(_, at), None) if at == "white space at byte 2")
        );
    }

    #[test]
    fn a_pem_keeps_its_lines_and_one_that_is_not_there_its_place() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "-----BEGIN\nAAAA\n-----END\n").unwrap();
        let source = SecretSource { file: Some(file.path().to_owned()), ..SecretSource::default() };
        let read = read_pem(&source).unwrap();
        assert_eq!(read.expose(), "-----BEGIN\nAAAA\n-----END");
        drop(file);
        let why = read_pem(&source).unwrap_err();
        assert!(why.starts_with(&format!("{source}: ")), "{why}");
    }

    #[test]
    fn what_cannot_be_sent_is_said_without_its_value() {
        assert!(matches!(of(b""), (Key::Empty(_), None)));
        assert!(matches!(of(b"\n"), (Key::Empty(_), None)));
        let (key, none) = of("sk-\u{200b}secret".as_bytes());
        assert!(matches!(&key, Key::Unsendable(_, at) if at.ends_with("byte 4")), "{key:?}");
        assert!(none.is_none() && !format!("{key:?}").contains("secret"));
        let source =
            SecretSource { file: Some("/nonexistent/key".into()), ..SecretSource::default() };
        assert!(matches!(read(Some(&source)), (Key::Unavailable(..), None)));
    }
}
