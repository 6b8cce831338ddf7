//! Answers that are masked: json.

#![no_main]

use gateway_user::mask::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzzing::json(data);
});
