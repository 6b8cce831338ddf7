//! Which call of S3 a request is, on what.

#![no_main]

use gateway_user::classify::fuzzing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    fuzzing::s3(data);
});
