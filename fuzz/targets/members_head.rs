//! Labels, query strings and headers of REST calls.

#![no_main]

use gateway_user::classify::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzzing::rest_head(data);
});
