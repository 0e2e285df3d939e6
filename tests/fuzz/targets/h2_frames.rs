//! What a peer sends on a connection of HTTP/2.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::h2_frames(bytes));
