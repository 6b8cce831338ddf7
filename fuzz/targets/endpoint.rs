//! Host names.

#![no_main]

use gateway_user::{parse::Endpoint, prim::HostName};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(host) = text.parse::<HostName>() else { return };
    let _ = Endpoint::read(&host);
});
