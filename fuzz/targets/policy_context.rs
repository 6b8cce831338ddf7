//! What rules see of a call, and what is decided.

#![no_main]

use gateway_user::decide::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzzing::policy_context(data);
});
