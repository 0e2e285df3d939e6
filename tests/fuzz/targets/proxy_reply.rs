//! What a proxy answers to CONNECT.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::proxy_reply(bytes));
