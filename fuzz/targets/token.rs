//! Tokens of an issuer.

#![no_main]

use gateway_user::issuer::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzzing::token(data);
});
