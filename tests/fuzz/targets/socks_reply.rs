//! What a SOCKS5 proxy says, after a byte that says what it is asked.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::socks_reply(bytes));
