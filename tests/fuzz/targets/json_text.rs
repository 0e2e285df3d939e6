//! A body that is or is not JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::json_text(bytes));
