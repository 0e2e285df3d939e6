//! A request as curl takes it. What a variable holds is written as that variable, and what is secret as one too; what
//! was given as a command of curl is not written a second time.

use super::login;
use super::shell::{self, Line, quote};
use super::{OwnRequest, RequestPlan, Target};

/// Headers that hold nothing of anybody's.
const USUAL: &[&str] = &["accept", "content-type", "user-agent"];

/// curl with method, headers and body; and what was left out of it.
pub(super) fn asked(line: Line, target: &Target, request: &RequestPlan) -> (Line, String) {
    let own = target.request.as_ref();
    let usual = if request.body.is_some() { "POST" } else { "GET" };
    let mut line = match request.method.as_str() {
        "HEAD" => line.and("-I"),
        method => line.option("-X", Some(method).filter(|method| *method != usual)),
    };
    let facts = target.provider.facts();
    let is_usual =
        |name: &str| USUAL.contains(&name) || facts.headers.iter().any(|(usual, _)| *usual == name);
    let given = own.is_some_and(|own| own.complete);
    for (name, value) in &request.headers {
        line = line.and("-H").and(&match own.and_then(|own| own.variables.get(name)) {
            Some(variable) => {
                format!("{}{}", quote(&format!("{name}: ")), shell::variable(variable))
            }
            None if given && !is_usual(name) => login::header(name),
            // Without a value it means to curl that the header is to go.
            None if value.is_empty() => quote(&format!("{name};")),
            None => quote(&format!("{name}: {value}")),
        });
    }
    line = keyed(line, target);
    if request.body.is_some() && !request.headers.iter().any(|(name, _)| name == "content-type") {
        line = line.and("-H content-type:");
    }
    match own {
        Some(own) => with_body(line, own),
        None => (line, String::new()),
    }
}

/// With the key, from where it is, and places for what else is secret: over TLS only.
fn keyed(line: Line, target: &Target) -> Line {
    if !target.endpoint.is_tls() {
        return line;
    }
    let secrets = target.request.iter().flat_map(|own| &own.secrets);
    let secrets: Vec<&str> = secrets.map(|(name, _)| name.as_str()).collect();
    let header = target.provider.facts().key.filter(|header| !secrets.contains(&header.name));
    let line = match header.zip(target.key.as_ref()) {
        Some((header, source)) => {
            let name = quote(&format!("{}: {}", header.name, header.prefix));
            line.and("-H").and(&format!("{name}{}", shell::secret(source)))
        }
        None => line,
    };
    secrets.iter().fold(line, |line, name| line.and("-H").and(&login::header(name)))
}

fn with_body(line: Line, own: &OwnRequest) -> (Line, String) {
    let Some(body) = &own.body else { return (line, String::new()) };
    if let Some(variable) = &own.body_variable {
        return (line.and("--data-raw").and(&shell::variable(variable)), String::new());
    }
    // Whatever is in it is nobody's to see but who wrote it.
    let whose = if own.complete { "its" } else { "the configured" };
    let left_out = format!(", {whose} body of {} bytes in a file named BODY", body.len());
    (line.and("--data-binary @BODY"), left_out)
}
