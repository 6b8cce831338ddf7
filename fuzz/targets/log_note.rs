//! Signed notes.

#![no_main]

use gateway_user::record::log::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzzing::note(data);
});
