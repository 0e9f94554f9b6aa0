use std::collections::BTreeSet;

use bestow_core::{
    CampaignKind, CampaignStatus, Expiry, GrantSource, GrantStatus, HoldReason, PromotionKind,
    PromotionStatus, Refusal, RefuseReason,
};

/// Names as promised to users, in order.
macro_rules! promised {
    ($test:ident, $name:ident, [$($text:literal),+ $(,)?]) => {
        #[test]
        fn $test() {
            let names: Vec<_> = $name::ALL.iter().map(|each| each.as_str()).collect();
            assert_eq!(names, [$($text),+]);
            for &each in $name::ALL {
                assert_eq!($name::parse(each.as_str()), Ok(each));
                assert_eq!(each.to_string(), each.as_str());
            }
            assert!($name::ALL.is_sorted(), "order is declaration order");
        }
    };
}

promised!(
    refusals_in_their_order,
    Refusal,
    [
        "unknown_promotion",
        "promotion_paused",
        "no_grant",
        "excluded",
        "revoked",
        "suspended",
        "not_cleared",
        "not_started",
        "expired",
        "already_redeemed",
        "limit_reached",
        "budget_exhausted",
    ]
);

promised!(
    grant_statuses,
    GrantStatus,
    [
        "pending",
        "awaiting_clearance",
        "active",
        "suspended",
        "redeemed",
        "expired",
        "revoked",
        "not_cleared",
    ]
);

promised!(
    campaign_statuses,
    CampaignStatus,
    [
        "announced",
        "importing",
        "awaiting_clearance",
        "running",
        "ended",
        "suspended",
        "revoked",
        "failed",
    ]
);

promised!(
    grant_sources,
    GrantSource,
    ["scheduled", "conditional", "triggered", "manual"]
);
promised!(
    campaign_kinds,
    CampaignKind,
    ["scheduled", "conditional", "triggered"]
);
promised!(
    promotion_statuses,
    PromotionStatus,
    ["draft", "active", "paused", "archived", "stopped"]
);
promised!(promotion_kinds, PromotionKind, ["shared", "unique"]);
promised!(
    ways_of_expiry,
    Expiry,
    ["duration", "ended_by_date", "both"]
);

#[test]
fn reasons_have_distinct_names_that_read_back() {
    let mut names = BTreeSet::new();
    for &reason in HoldReason::ALL {
        assert_eq!(HoldReason::parse(reason.as_str()), Ok(reason));
        assert!(names.insert(reason.as_str()), "{reason} twice");
    }
    for &reason in RefuseReason::ALL {
        assert_eq!(RefuseReason::parse(reason.as_str()), Ok(reason));
        assert!(names.insert(reason.as_str()), "{reason} twice");
    }
    let snake = |name: &&str| {
        name.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    assert!(names.iter().all(snake));
}

#[test]
fn unknown_names_say_what_would_do() {
    let fault = Expiry::parse("DURATION").expect_err("names are exact");
    assert_eq!(
        fault.to_string(),
        "\"DURATION\" is not a way of expiry; it must be one of: duration, ended_by_date, both"
    );
    let long = GrantStatus::parse(&"x".repeat(1_000)).expect_err("no status");
    assert_eq!(long.found.len(), 64);
    assert!(Refusal::parse("").is_err());
    assert_eq!(Refusal::NoGrant.code(), "no_grant");
}
