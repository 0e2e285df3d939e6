//! One binary of fast tests.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

// The architecture: who may know whom, sizes, first lines.
mod tidy;
