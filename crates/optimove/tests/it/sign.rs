//! Signatures against fixed vectors, and what must not verify.

use std::time::Duration;

use optimove::sign::{SignatureError, Signer, StandardHeaders};
use proptest::prelude::*;

const FIVE_MINUTES: Duration = Duration::from_mins(5);

fn signer(keys: &[&[u8]]) -> Signer {
    Signer::new(keys.iter().map(|key| key.to_vec())).unwrap()
}

/// RFC 4231, test cases 1 and 2.
#[test]
fn hub_vectors() {
    let first = signer(&[&[0x0b; 20]]);
    let digest = "sha256=b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7";
    assert_eq!(first.sign_hub(b"Hi There"), digest);
    let second = signer(&[b"Jefe"]);
    let digest = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(second.sign_hub(b"what do ya want for nothing?"), digest);
    assert_eq!(
        second.verify_hub(digest, b"what do ya want for nothing?"),
        Ok(())
    );
    let upper = digest.to_uppercase();
    assert_eq!(
        second.verify_hub(&upper, b"what do ya want for nothing?"),
        Ok(())
    );
}

/// The example of the Standard Webhooks specification's reference libraries.
#[test]
fn standard_vector() {
    let signer = Signer::from_standard(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]).unwrap();
    let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", br#"{"test": 2432232314}"#);
    let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert_eq!(signer.sign_standard(id, 1_614_265_330, body), signature);
    let headers = StandardHeaders {
        id,
        timestamp: "1614265330",
        signature,
    };
    let verify = |headers, now| signer.verify_standard(headers, body, now, FIVE_MINUTES);
    assert_eq!(verify(headers, 1_614_265_330), Ok(()));
    assert_eq!(verify(headers, 1_614_265_630), Ok(()));
    assert_eq!(verify(headers, 1_614_265_030), Ok(()));
    assert_eq!(
        verify(headers, 1_614_265_631),
        Err(SignatureError::OutOfTime)
    );
    assert_eq!(
        verify(headers, 1_614_265_029),
        Err(SignatureError::OutOfTime)
    );
    let other = StandardHeaders {
        id: "msg_other",
        ..headers
    };
    assert_eq!(verify(other, 1_614_265_330), Err(SignatureError::Mismatch));
    let later = StandardHeaders {
        timestamp: "1614265331",
        ..headers
    };
    assert_eq!(verify(later, 1_614_265_330), Err(SignatureError::Mismatch));
    let several = format!("v1a,xyz v1,AAAA {signature}");
    assert_eq!(
        verify(
            StandardHeaders {
                signature: &several,
                ..headers
            },
            1_614_265_330
        ),
        Ok(())
    );
    for signature in ["", "v2,AAAA", "v1,***", "g0hM9SsE"] {
        let result = verify(
            StandardHeaders {
                signature,
                ..headers
            },
            1_614_265_330,
        );
        assert_eq!(result, Err(SignatureError::Unreadable), "{signature}");
    }
}

#[test]
fn secrets_can_be_rotated() {
    let old = signer(&[b"old"]);
    let both = signer(&[b"new", b"old"]);
    let new = signer(&[b"new"]);
    assert_eq!(both.verify_hub(&old.sign_hub(b"body"), b"body"), Ok(()));
    assert_eq!(new.verify_hub(&both.sign_hub(b"body"), b"body"), Ok(()));
    let mismatch = Err(SignatureError::Mismatch);
    assert_eq!(new.verify_hub(&old.sign_hub(b"body"), b"body"), mismatch);
    assert!(Signer::new([]).is_err() && Signer::new([vec![]]).is_err());
    assert!(Signer::from_standard(["whsec_not base64"]).is_err());
    assert_eq!(format!("{both:?}"), "Signer(2 secrets)");
}

#[test]
fn odd_headers_are_unreadable() {
    let signer = signer(&[b"key"]);
    for header in [
        "",
        "sha256",
        "sha256=",
        "sha256=zz",
        "sha256=abc",
        "sha1=00",
        "md5=é",
    ] {
        assert_eq!(
            signer.verify_hub(header, b""),
            Err(SignatureError::Unreadable),
            "{header}"
        );
    }
    assert_eq!(
        signer.verify_hub("sha256=00", b""),
        Err(SignatureError::Mismatch)
    );
}

proptest! {
    #[test]
    fn no_flipped_bit_verifies(mut body in prop::collection::vec(any::<u8>(), 1..200), bit: usize) {
        let signer = signer(&[b"key"]);
        let signature = signer.sign_hub(&body);
        prop_assert_eq!(signer.verify_hub(&signature, &body), Ok(()));
        let bit = bit % (body.len() * 8);
        body[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(signer.verify_hub(&signature, &body), Err(SignatureError::Mismatch));
    }
}
