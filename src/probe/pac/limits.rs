//! What the child takes from itself before it reads a word: files, sockets, processes, memory, rights.
//!
//! A script cannot reach any of it anyway, for its language has no words for it; this is for the day when
//! the engine has a hole.

use std::io::Result;

use rustix::process::{
    DumpableBehavior, Gid, Resource, Rlimit, Signal, Uid, getuid, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit,
};
use rustix::thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// Address space: the program itself, its stack, an engine of 32 MiB, and messages.
const ADDRESS_SPACE: u64 = 256 * 1024 * 1024;
/// `nobody`, as the kernel calls it where an id cannot be shown.
const NOBODY: u32 = 65534;

/// Gives up what is not needed. An error means that the child must not go on.
pub(super) fn confine() -> Result<()> {
    if getuid().is_root() {
        become_nobody();
    }
    set_no_new_privs(true)?;
    // After the change of user, which undoes both.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let limits = [
        // The three that are open stay so.
        (Resource::Nofile, 0),
        (Resource::Nproc, 0),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::As, ADDRESS_SPACE),
    ];
    for (resource, most) in limits {
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

/// The child has one thread, so that what Linux does for a thread is done for the process. In a container
/// root may be without the capability for it, or there may be no such user: then the limits have to do.
fn become_nobody() {
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    let (Ok(()) | Err(_)) = set_thread_groups(&[])
        .and_then(|()| set_thread_res_gid(group, group, group))
        .and_then(|()| set_thread_res_uid(user, user, user));
}
