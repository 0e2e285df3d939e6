//! A proxy's message in the middle of a login by NTLM.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::ntlm_challenge(bytes));
