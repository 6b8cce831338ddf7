//! Answers that are masked: xml.

#![no_main]

use gateway_user::mask::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzzing::xml(data);
});
