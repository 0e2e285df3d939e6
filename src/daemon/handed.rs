//! The listening socket that systemd hands over (`sd_listen_fds(3)`), which it keeps open while the daemon restarts.
//!
//! One of the places with `unsafe`: that a number is a descriptor of this process is the caller's word. Whatever else
//! is wrong with what was handed over is told, and never bound around.
#![expect(unsafe_code, reason = "a descriptor that comes with the process has no safe owner yet")]

use std::io;
use std::net::TcpListener;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

use socket2::{Domain, Socket, Type};

/// The socket, if one was handed over; to be asked once, and before a program is started, which would inherit it.
pub fn listener() -> io::Result<Option<TcpListener>> {
    let mut numbers = sd_notify::listen_fds()?;
    match (numbers.next(), numbers.len()) {
        (None, _) => Ok(None),
        (Some(number), 0) => take(number).map(Some),
        (Some(_), more) => {
            Err(io::Error::other(format!("it is one socket that is served, and {} came", more + 1)))
        }
    }
}

fn take(number: RawFd) -> io::Result<TcpListener> {
    // SAFETY: `LISTEN_PID` is this process and `fcntl` has found the descriptor open; it was opened before this process
    // began, and nobody else knows of it.
    let socket = Socket::from(unsafe { OwnedFd::from_raw_fd(number) });
    let is_ours = [Domain::IPV4, Domain::IPV6].contains(&socket.domain()?)
        && socket.r#type()? == Type::STREAM
        && socket.is_listener()?;
    if !is_ours {
        return Err(io::Error::other("it is no listening socket of TCP"));
    }
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
