//! Views of a snapshot: metrics, JSON, text, nagios; and of the tables themselves: what a cause means. Pure
//! renders, and one server that serves them.

pub mod alerts;
pub mod api;
mod beside;
pub mod explain;
mod layers;
pub mod lint;
pub mod messages;
pub mod metrics;
pub mod nagios;
mod observed;
pub mod said;
pub mod server;
pub mod teams;
pub mod text;
pub mod verdicts;

/// Bytes of a peer, safe to show on a terminal, in a log or a nagios line: cut, and everything
/// outside of printable ASCII as `\xNN`.
pub fn shown(text: &str) -> String {
    let bytes: Vec<u8> = text.bytes().take(256).collect();
    bytes
        .iter()
        .map(|byte| match byte {
            b' '..=b'~' => char::from(*byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        })
        .collect()
}
