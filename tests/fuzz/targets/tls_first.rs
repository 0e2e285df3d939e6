//! The first bytes of a peer that was greeted in TLS.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::tls_first(bytes));
