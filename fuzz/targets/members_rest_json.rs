//! JSON bodies of REST calls.

#![no_main]

use gateway_user::{catalog::Protocol, classify::fuzzing};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzzing::body(Protocol::RestJson, data);
});
