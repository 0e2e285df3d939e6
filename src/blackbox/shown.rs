//! A module for people, as YAML with its secrets hidden.

use crate::config::Secret;
use crate::config::yaml::{Node, Value};

const HIDDEN: &str = "<secret>";
/// The keys whose value is a secret, whatever it is.
const SECRETS: &[&str] = &[
    "password",
    "credentials",
    "bearer_token",
    "secrets",
    "client_secret",
    "proxy_connect_header",
    "key",
    // Whatever is in it is nobody's to see but who wrote it.
    "body",
];

/// The module as it was written.
pub(super) fn module(node: &Node) -> String {
    let mut out = String::new();
    write(&mut out, &node.value, (0, false));
    out
}

/// Writes a value; in a table of headers a name decides whether its value is shown.
fn write(out: &mut String, value: &Value, (depth, headers): (usize, bool)) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Table(table) if !table.is_empty() => {
            for (key, value) in table {
                let name = key.value.as_str();
                out.push_str(&format!("{indent}{}:", scalar(name)));
                let hidden = SECRETS.contains(&name) || (headers && Secret::is_named(name));
                let inner = headers || name == "headers" || name == "http_headers";
                match &value.value {
                    Value::Table(_) | Value::List(_) if !hidden || headers => {
                        // Which of its values are secrets stands below its name.
                        out.push('\n');
                        let deep = headers && hidden;
                        let masked = if deep { masked(&value.value) } else { value.value.clone() };
                        write(out, &masked, (depth + 1, inner));
                    }
                    _ if hidden => out.push_str(&format!(" {HIDDEN}\n")),
                    one => out.push_str(&format!(" {}\n", url_free(name, one))),
                }
            }
        }
        Value::List(list) if !list.is_empty() => {
            for one in list {
                match &one.value {
                    Value::Table(_) | Value::List(_) => {
                        out.push_str(&format!("{indent}-\n"));
                        write(out, &one.value, (depth + 1, headers));
                    }
                    one => {
                        out.push_str(&format!("{indent}- {}\n", scalar(one.text().unwrap_or(""))));
                    }
                }
            }
        }
        Value::Table(_) => out.push_str(&format!("{indent}{{}}\n")),
        Value::List(_) => out.push_str(&format!("{indent}[]\n")),
        one => out.push_str(&format!("{indent}{}\n", scalar(one.text().unwrap_or("")))),
    }
}

/// The same shape, with nothing but file names left to read.
fn masked(value: &Value) -> Value {
    match value {
        Value::Table(table) => Value::Table(
            table
                .iter()
                .map(|(key, value)| {
                    let mut value = value.clone();
                    if key.value != "files" {
                        value.value = masked(&value.value);
                    }
                    (key.clone(), value)
                })
                .collect(),
        ),
        Value::List(list) => Value::List(
            list.iter()
                .map(|one| {
                    let mut one = one.clone();
                    one.value = masked(&one.value);
                    one
                })
                .collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {
            Value::Text(HIDDEN.to_owned())
        }
    }
}

/// A proxy's URL goes without its login.
fn url_free(key: &str, value: &Value) -> String {
    let text = value.text().unwrap_or_default();
    if key != "proxy_url" {
        return scalar(text);
    }
    // Without a scheme `user` is read as one: a login is told by its sign alone.
    if text.contains('@') { HIDDEN.to_owned() } else { scalar(text) }
}

fn scalar(text: &str) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '<' | '>');
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}
