//! The values of Proxy-Authenticate, one a line.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::challenge(bytes));
