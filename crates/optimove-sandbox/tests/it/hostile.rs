//! Whatever is sent, something documented comes back.

use proptest::prelude::*;

use crate::world::{KEY, World, simple};

const FUNCTIONS: [(&str, &str); 32] = [
    ("POST", "general/Login"),
    ("POST", "general/RegisterEventListener"),
    ("POST", "general/UnregisterEventListener"),
    ("GET", "general/GetRegisteredEventListeners"),
    ("GET", "general/GetLastDataUpdate"),
    ("GET", "actions/GetCampaignDetails"),
    ("GET", "actions/GetExecutedCampaignDetails"),
    ("GET", "actions/GetExecutedCampaignChannelDetails"),
    ("GET", "actions/GetExecutedCampaignsByChannel"),
    ("GET", "actions/GetExecutionChannels"),
    ("GET", "actions/GetPromoCodes"),
    ("GET", "actions/GetPromoCodesByCampaign"),
    ("GET", "actions/GetPromoCodesByTargetGroup"),
    ("GET", "actions/GetActionName"),
    ("GET", "actions/GetAllActions"),
    ("GET", "customers/GetCustomerExecutionDetailsByCampaign"),
    ("GET", "customers/GetProcessedCampaignCustomers"),
    ("GET", "customers/GetCanceledCampaignCustomers"),
    ("GET", "customers/GetCustomersActionEndedByDate"),
    ("GET", "customers/GetCurrentlyTargetedCustomers"),
    ("POST", "integrations/UpdateCustomerPromotionStatus"),
    ("PUT", "triggered_conditional_execution_gateway"),
    ("GET", "triggered_conditional_execution_gateway"),
    ("DELETE", "triggered_conditional_execution_gateway"),
    ("POST", "conditional-execution/v2/triggered/webhooks/"),
    ("POST", "conditional-execution/v2/triggered/approval"),
    ("PUT", "conditional-execution/v2/triggered/approval"),
    ("POST", "integrations/AddPromotions"),
    ("POST", "integrations/DeletePromotions"),
    ("GET", "integrations/GetPromotions"),
    ("PUT", "general/Login"),
    ("GET", "nowhere/Nothing"),
];

const CONTROL: [(&str, &str); 15] = [
    ("PUT", "tenants/x"),
    ("POST", "campaigns"),
    ("POST", "campaigns/5101/process"),
    ("POST", "campaigns/5101/cancel"),
    ("GET", "campaigns/5101"),
    ("GET", "campaigns/5101/statuses"),
    ("GET", "campaigns/5101/expected"),
    ("POST", "campaigns/5102/process"),
    ("POST", "triggers"),
    ("PUT", "clock"),
    ("POST", "clock/advance"),
    ("PUT", "switches"),
    ("POST", "notifications/1/redeliver"),
    ("GET", "requests"),
    ("POST", "day/close"),
];

/// The statuses that the contract documents.
const STATUSES: [u16; 8] = [200, 204, 400, 401, 403, 404, 405, 429];

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("5101".to_owned()),
        Just("504".to_owned()),
        Just("18446744073709551615".to_owned()),
        Just("18446744073709551616".to_owned()),
        Just("2025-03-04".to_owned()),
        Just("-9999-01-01".to_owned()),
        Just("%ff%00;;,".to_owned()),
        "[!-~&&[^#\"<>\\\\^`{|}]]{0,12}",
    ]
}

fn query() -> impl Strategy<Value = String> {
    let names = prop::sample::select(vec![
        "CampaignID",
        "ChannelID",
        "Date",
        "ActionID",
        "TargetGroupID",
        "$top",
        "$skip",
        "%24top",
        "CustomerAttributes",
        "CustomerAttributesDelimiter",
        "tenant",
    ]);
    let pairs = prop::collection::vec((names, value()), 0..5);
    pairs.prop_map(|pairs| {
        let pairs: Vec<String> = pairs
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("&")
    })
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        "[\\[\\]{}\",:0-9a-z]{0,40}".prop_map(String::into_bytes),
        prop::sample::select(vec![
            r#"[{"PromoCode":"X","PromotionName":"x"}]"#,
            r#"[{"PromoCode":1e999,"PromotionName":"x"}]"#,
            r#"{"EventTypeID":13,"ListenerURL":"https%3A%ff%","ChannelID":-1}"#,
            r#"{"EventTypeID":13,"ListenerURL":"https%3A%2F%2Fa%zz%4"}"#,
            r#"{"UserName":"acme","Password":"x"}"#,
            r#"{"now":"-009999-01-01T00:00:00Z"}"#,
            r#"{"seconds":-9223372036854775808}"#,
            r#"{"notify-retry-seconds":[1000000000],"page-default":1000000000}"#,
            r#"{"tenant":"acme","audience":{"count":1000000000},"control_share":1.0,
                "duration":36500,"lead_time":36500,"scheduled_at":"9999-12-30T22:00:00Z",
                "actions":[{"id":2,"share":1e300,"channels":[{"id":504}]}]}"#,
            r#"{"tenant":"acme","audience":{"customers":[{"id":"x","promo_code":",,"}]},
                "scheduled_at":"-009999-01-02T01:59:59Z",
                "actions":[{"id":2,"share":0.0,"channels":[{"id":504,"share":0.0}]}]}"#,
            r#"{"tenant":"acme","id":5102,"kind":"conditional","duration":36500,
                "audience":{"count":1000000000},"scheduled_at":"-009999-01-02T01:59:59Z",
                "actions":[{"id":2,"channels":[{"id":504}]}]}"#,
            r#"{"clearance_in_seconds":4294967295}"#,
            r#"{"clearance_in_seconds":0}"#,
            r#"{"CampaignID":5102,"PromosUpdated":[{"CustomerID":"1","Status":true}]}"#,
            r#"{"CampaignID":5102,"PromosUpdated":[{"CustomerID":"\ud800","Status":1e999}]}"#,
            r#"{"tenant":"acme","id":"5101","kind":"triggered","conditional":true,
                "notes":"{\"duration\":36500}","actions":[{"id":2,"channels":[{"id":504}]}]}"#,
            r#"{"campaign_id":"5101","customer_id":"\u0000","attributes":{"":{"a":[]}}}"#,
            r#"{"user_id":"","campaign":{"id":-1},"allowed":true}"#,
            r#"{"conditional-version":"v2","conditional-rounds":10,
                "clearance-notice-minutes":1000000000,"clearance-deadline-minutes":1000000000}"#,
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_answer_is_a_documented_one(
        calls in prop::collection::vec((0_usize..94, query(), body()), 30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::start().await;
            world.executed_spec(simple(5101, 20));
            for (nth, query, body) in calls {
                let all = FUNCTIONS.iter();
                let all = all.map(|(method, path)| (*method, format!("/{path}?{query}")));
                let control = CONTROL.iter();
                let control =
                    control.map(|(method, path)| (*method, format!("/_sandbox/{path}?{query}")));
                let all: Vec<_> = all.chain(control).collect();
                let (method, target) = &all[nth % all.len()];
                let headers = [KEY, "Content-Type: application/json"];
                let answer = world.send(method, target, &headers, &body).await;
                let answer = answer.unwrap_or_else(|| panic!("{method} {target} broke off"));
                let documented = STATUSES.contains(&answer.status)
                    || (target.starts_with("/_sandbox") && [201, 409].contains(&answer.status));
                assert!(documented, "{method} {target}: {}", answer.status);
            }
        });
    }
}
