//! A host, and on the next lines the list that may take it around the proxy.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::no_proxy(bytes));
