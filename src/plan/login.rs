//! A login at a proxy as curl and openssl take it: its scheme and name are said, what proves it stays where it is.

use super::shell::{self, Line, quote};
use super::{Account, Proof, Spoken};
use crate::observation::Scheme;

/// curl with the one scheme that is configured.
pub(super) fn curl(line: Line, account: &Account, spoken: Spoken) -> Line {
    let scheme = match account.scheme {
        // RFC 1929 knows no other.
        Scheme::Basic if spoken.is_socks() => "",
        Scheme::Basic => "--proxy-basic",
        Scheme::Digest => "--proxy-digest",
        Scheme::Ntlm => "--proxy-ntlm",
        Scheme::Negotiate => "--proxy-negotiate",
    };
    let line = if scheme.is_empty() { line } else { line.and(scheme) };
    let line = line.and("--proxy-user");
    match &account.proof {
        Proof::Password(source) => {
            let name = match &account.domain {
                Some(domain) => format!("{domain}\\{}", account.name),
                None => account.name.clone(),
            };
            line.and(&format!("{}{}", quote(&format!("{name}:")), shell::secret(source)))
        }
        // The name may be a token, too.
        Proof::Given(_) => line.and("\"$PROXY_USER:$PROXY_PASSWORD\""),
        Proof::Keytab(source) => {
            let file = shell::file(source);
            Line::new(&format!("KRB5_CLIENT_KTNAME={file} KRB5CCNAME=MEMORY:"))
                .and(&line.and(":").finished())
        }
        Proof::Cache(Some(cache)) => {
            Line::new(&format!("KRB5CCNAME={}", quote(cache))).and(&line.and(":").finished())
        }
        Proof::Cache(None) => line.and(":"),
    }
}

/// openssl with the login, or why it cannot have one.
pub(super) fn openssl(line: Line, account: &Account) -> Result<Line, String> {
    let only = || format!("openssl logs in by basic, not by {}", account.scheme.label());
    if account.scheme != Scheme::Basic {
        return Err(only());
    }
    let source = match &account.proof {
        Proof::Given(_) => {
            return Ok(line.and("-proxy_user \"$PROXY_USER\" -proxy_pass env:PROXY_PASSWORD"));
        }
        Proof::Password(source) => source,
        Proof::Keytab(_) | Proof::Cache(_) => return Err(only()),
    };
    let place = match (&source.env, shell::secret_file(source)) {
        (Some(name), _) => quote(&format!("env:{name}")),
        (None, Some(file)) => format!("file:{file}"),
        (None, None) => return Err("the password is nowhere".to_owned()),
    };
    Ok(line.option("-proxy_user", Some(&account.name)).and("-proxy_pass").and(&place))
}

/// What shows whether there is a ticket, without touching the user's own.
pub(super) fn ticket(account: &Account) -> Option<Line> {
    let line = match &account.proof {
        Proof::Keytab(source) => {
            let line = Line::new("KRB5CCNAME=MEMORY: kinit -V -k -t").and(&shell::file(source));
            if account.name.is_empty() { line.and("-i") } else { line.and(&quote(&account.name)) }
        }
        Proof::Cache(Some(cache)) => Line::new(&format!("KRB5CCNAME={} klist", quote(cache))),
        Proof::Cache(None) => Line::new("klist"),
        Proof::Password(_) | Proof::Given(_) => return None,
    };
    Some(line)
}

/// A header of a CONNECT without its value, which often is a token: a variable of its name stands in its place.
pub(super) fn header(name: &str) -> String {
    let variable = name.to_ascii_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let variable = if shell::is_name(&variable) { variable } else { "HEADER".to_owned() };
    format!("{}\"${variable}\"", quote(&format!("{name}: ")))
}
