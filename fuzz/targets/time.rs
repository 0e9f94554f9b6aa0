//! Times of the wire: what is read is written again and read the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use optimove::read::WireTime;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(read) = WireTime::parse(text) else {
        return;
    };
    let written = match read {
        WireTime::Local(wall) => wall.to_string(),
        WireTime::Instant(instant) => instant.to_string(),
    };
    assert_eq!(WireTime::parse(&written), Ok(read), "{text:?} {written:?}");
});
