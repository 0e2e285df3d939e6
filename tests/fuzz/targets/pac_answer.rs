//! What a PAC script returned.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::pac_answer(bytes));
