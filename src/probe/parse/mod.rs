//! Every parser of bytes that a peer, a file or the kernel chose, by name: what fuzzing enters by.
//!
//! Pure: no bytes make them panic, none make them grow, none do I/O. An answer of HTTP itself is read
//! by hyper and h2; what is here reads what these refuse, or do not show.

mod events;
mod frames;
mod head;
mod queue;

pub use self::queue::{QueuedError, queued_error};
pub use super::dns::{Asked, Hosts, Listed, ResolvConf, read_resolv_conf};
#[cfg(feature = "pac")]
pub use super::pac::answer as pac_answer;
pub use super::proxy::challenge::{Challenge, challenges};
pub use super::proxy::heard::{ProxyReply, SocksReply, proxy_reply, socks_reply};
#[cfg(feature = "ntlm")]
pub use super::proxy::ntlm::{
    NtlmChallenge, NtlmFlaw, NtlmFresh, NtlmLogin, channel_bindings, ntlm_challenge, ntlm_negotiate,
};
pub use super::tls::first;
pub use events::Events;
pub use frames::{Frames, Goaway};
pub use head::{Head, head, transfer_codings};
