//! The body of an event stream.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::events(bytes));
