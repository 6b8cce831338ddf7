//! Answers that are masked: event_stream.

#![no_main]

use gateway_user::mask::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzzing::event_stream(data);
});
