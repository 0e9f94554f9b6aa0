//! What anybody may send to the addresses that Optimove calls: bodies of notifications and of the gateway.
#![no_main]

use libfuzzer_sys::fuzz_target;
use optimove::wire::{GatewayRequest, Notification};

fuzz_target!(|body: &[u8]| {
    if let Ok(read) = Notification::parse(body) {
        // Read once more it says the same, and nothing in it is longer than what came.
        assert_eq!(Notification::parse(body).as_ref(), Ok(&read));
        // A byte that is no UTF-8 becomes a character of three.
        let longest = body.len() * 3;
        let ids = [&read.campaign_id, &read.channel_id, &read.customer_id];
        assert!(ids.into_iter().flatten().all(|id| id.len() <= longest));
        let texts = read.promo_codes.texts();
        assert!(texts.map(str::len).sum::<usize>() <= longest);
    }
    let _ = GatewayRequest::parse(body);
});
