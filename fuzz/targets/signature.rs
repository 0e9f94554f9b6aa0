//! Signatures: ours are taken, and nothing that differs from them by a byte is.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use optimove::sign::{Signer, StandardHeaders};

const NOW: i64 = 1_800_000_000;
const TOLERANCE: Duration = Duration::from_mins(5);

fuzz_target!(|input: (&str, &str, &str, &[u8])| {
    let (id, timestamp, signature, body) = input;
    let signer = Signer::new([b"one secret of ours, and long".to_vec()]).expect("it has a key");
    let given = StandardHeaders {
        id,
        timestamp,
        signature,
    };
    let check = |headers: StandardHeaders<'_>, body: &[u8]| {
        signer.verify_standard(headers, body, NOW, TOLERANCE)
    };
    // Whatever is taken is what we would have signed ourselves.
    if check(given, body).is_ok() {
        let time = timestamp
            .parse()
            .expect("a time that was taken is a number");
        let ours = signer.sign_standard(id, time, body);
        assert!(signature.split_ascii_whitespace().any(|one| one == ours));
    }
    assert!(signer.verify_hub(signature, body).is_err() || signer.sign_hub(body).len() == 71);
    let ours = signer.sign_standard(id, NOW, body);
    let time = NOW.to_string();
    let good = StandardHeaders {
        id,
        timestamp: &time,
        signature: &ours,
    };
    assert_eq!(check(good, body), Ok(()));
    let mut other = body.to_vec();
    other.push(b'.');
    assert!(check(good, &other).is_err());
    assert!(signer.verify_hub(&signer.sign_hub(body), body).is_ok());
    assert!(signer.verify_hub(&signer.sign_hub(body), &other).is_err());
    // Names of ours in a list of others' are still found.
    let listed = format!(
        "{} v1a,xx {ours}",
        signature.replace(char::is_whitespace, "")
    );
    let listed = StandardHeaders {
        signature: &listed,
        ..good
    };
    assert_eq!(check(listed, body), Ok(()));
});
