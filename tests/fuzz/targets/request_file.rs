//! A request as a file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::request_file(bytes));
