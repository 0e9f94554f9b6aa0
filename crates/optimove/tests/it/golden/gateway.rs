//! What Optimove asks before it sends.

use optimove::read::Codes;
use optimove::wire::{Answer, GatewayRegistration, GatewayReply, GatewayRequest};

use super::{assert_writes, golden};

#[test]
fn gateway() {
    let name = "gateway/register.json";
    let registration = GatewayRegistration::read(&golden(name)).unwrap();
    assert_writes(&registration, name);

    let request = GatewayRequest::parse(&golden("gateway/request.json")).unwrap();
    assert_eq!(
        (request.user_id.as_str(), request.is_visitor),
        ("P-20031", false)
    );
    assert_eq!(
        (request.campaign_id.as_str(), request.series_id.as_deref()),
        ("90121", Some("812"))
    );
    assert_eq!(
        (request.action_id, request.action_name.as_deref()),
        (Some(24), Some("Reload"))
    );
    assert_eq!(request.promo_codes, Codes::One("FS20".into()));
    assert_eq!(
        (request.channels[0].id, request.channels[0].templates.len()),
        (Some(15), 1)
    );
    assert_writes(
        &request.reply(Answer::Allowed),
        "gateway/reply.allowed.json",
    );

    let request = GatewayRequest::parse(&golden("gateway/request.string-ids.json")).unwrap();
    assert_eq!(
        (request.user_id.as_str(), request.campaign_id.as_str()),
        ("00731", "rt-812")
    );
    assert_eq!(request.promo_codes, Codes::None);
    assert_eq!(request.channels[0].brand_id.as_deref(), Some("blue"));
    assert!(request.channels[0].templates.is_empty());

    let request = GatewayRequest::parse(&golden("gateway/request.visitor.json")).unwrap();
    assert!(request.is_visitor && request.channels.is_empty());
    assert_writes(&request.reply(Answer::Denied), "gateway/reply.denied.json");
    for (name, allowed) in [
        ("gateway/reply.allowed.json", true),
        ("gateway/reply.denied.json", false),
    ] {
        assert_eq!(GatewayReply::read(&golden(name)).unwrap().allowed, allowed);
    }
}
