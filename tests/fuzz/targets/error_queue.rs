//! A message of a socket's error queue.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::error_queue(bytes));
