//! PAC files: programs from the network that name the proxy for a URL. One is run by a process of its own,
//! which has no file, no socket, no environment and little of anything else; it asks its parent for names.
//!
//! What a script sees is what Chromium shows it, as far as that is written down: the same helper functions
//! with the same odd cases, Microsoft's `Ex` functions for IPv6, no path of an `https` URL, and
//! `FindProxyForURL` only. `FindProxyForURLEx`, which Internet Explorer and WinHTTP prefer, is not called.
//! Here, too, is what Chromium does not have: at most eight names are looked up for one decision.
//!
//! The child's time zone is that of the host (`/etc/localtime`); `TZ` does not reach it.

pub mod answer;
mod child;
mod choice;
mod engine;
mod fault;
mod limits;
mod natives;
mod parent;
mod question;
mod script;
mod wire;

pub use answer::{Entry, Kind, Nonsense};
pub use child::serve;
pub use choice::Choice;
pub(super) use choice::Files;
pub use fault::{Failure, ScriptFault};
pub use parent::{Asked, Decision, Engine};
pub use question::{Question, own_addresses};
pub use script::{Script, TooLarge};
