//! What is shipped, as those who install it meet it: the packages, read by their distributions' own tools, lived through
//! under a real systemd; the static binary in a root with nothing beside it. What the program does is for the other tests.
//!
//! ```console
//! # .ci/install rpm=rpm lintian=lintian systemd-nspawn=systemd-container curl=curl
//! # cargo test --test packages
//! ```
//!
//! The packages are made here, by `deploy/package/build` with the profile `release`: that of `dist`, which is shipped,
//! takes minutes and is the same but for its size.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

// Made once for all tests.
mod built;
// Debian's.
mod deb;
// Fedora's and its kin's.
mod rpm;
// Without a library of the system.
mod lone;

#[expect(dead_code, reason = "the fast tests need more of it")]
#[path = "../support/mod.rs"]
mod support;
