//! Heads that are signed, in the header or in the query string.

#![no_main]

use gateway_user::parse::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzzing::head(data);
});
