//! A resolv.conf.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::resolv_conf(bytes));
