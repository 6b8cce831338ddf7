//! Answers of AWS that carry keys.

#![no_main]

use gateway_user::mint::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzzing::answer(data);
});
