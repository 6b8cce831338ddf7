//! Which operation a request is.

#![no_main]

use gateway_user::classify::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzzing::operation(data);
});
