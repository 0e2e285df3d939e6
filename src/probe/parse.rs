//! Every parser of bytes that a peer, a file or the kernel chose, by name: what fuzzing enters by.
//!
//! None of them panics, whatever comes, and none does I/O.

mod queue;

pub use self::queue::{QueuedError, queued_error};
pub use super::dns::{Asked, Hosts, Listed, ResolvConf, read_resolv_conf};
