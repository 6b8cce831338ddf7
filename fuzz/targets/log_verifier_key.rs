//! Keys that auditors are given.

#![no_main]

use gateway_user::record::log::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzzing::verifier_key(data);
});
