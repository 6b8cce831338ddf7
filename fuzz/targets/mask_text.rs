//! Answers that are masked: text.

#![no_main]

use gateway_user::mask::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzzing::text(data);
});
