//! Changes to a signed checkpoint, of which none may be believed.

#![no_main]

use gateway_user::record::log::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzzing::tampered(data);
});
