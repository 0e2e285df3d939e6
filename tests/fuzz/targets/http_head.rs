//! The head of an answer of HTTP/1, and the values of its Transfer-Encoding.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::http_head(bytes));
