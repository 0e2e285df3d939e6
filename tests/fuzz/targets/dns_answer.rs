//! What arrived as the answer to a question.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::dns_answer(bytes));
