//! Customers are approved while the service is killed: whoever Optimove was told yes about has a durable grant.

use std::collections::{BTreeMap, BTreeSet};

use bestow::random::Random;
use jiff::ToSpan;
use optimove_sandbox::Sandbox;
use serde_json::json;

use super::{
    Home, Listeners, Service, kill_at_random, ledger, set_up_with, silent_sandbox, verify,
};

const CAMPAIGNS: u64 = 5;
const CUSTOMERS: u64 = 800;
/// For each campaign.
const KILLS: u32 = 4;
const HELD_SECONDS: u32 = 7_200;

/// Customers about whom Optimove was told yes.
fn approved(sandbox: &Sandbox, campaign: u64) -> BTreeSet<String> {
    let told = sandbox.statuses(campaign).expect("it is held");
    told.filter(|one| one.status == Some(true))
        .map(|one| one.customer_id)
        .collect()
}

/// Customers with a grant; none has two.
async fn granted(service: &Service, campaign: u64) -> BTreeSet<String> {
    let held = ledger(service, campaign).await;
    let customer = |grant: &String| grant.split(' ').next().expect("a customer").to_owned();
    let customers: BTreeSet<String> = held.iter().map(customer).collect();
    assert_eq!(customers.len(), held.len(), "something was granted twice");
    customers
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_approved_without_a_durable_grant_whenever_it_is_killed() {
    let random = Random::seeded(161);
    let home = Home::new();
    let sandbox = silent_sandbox(7).await;
    let mut service = Service::start(&home);
    let conditional = json!({"conditional": true, "scheduled_channels": [504]});
    set_up_with(&service, &sandbox, &conditional).await;
    let listeners = Listeners::register(&service, &sandbox).await;
    // Reports need several tries, so that kills come between them, too.
    let failing = json!({
        "fault-percent": 50, "fault-kind": "status-500", "fault-functions": ["UpdateCustomerPromotionStatus"],
    });
    sandbox
        .set_switches(&failing)
        .expect("these switches exist");
    // What Optimove was told before a kill has to be in the ledger after it. One campaign after the other, so that the
    // later kills come between two reports.
    let mut told = BTreeMap::new();
    for place in 0..CAMPAIGNS {
        let spec = json!({
            "tenant": "acme", "kind": "conditional", "duration": 7, "lead_time": 0,
            "audience": {"count": CUSTOMERS, "prefix": format!("H{place}-")},
            "actions": [{"id": 24, "promo_codes": ["FS20"], "channels": [{"id": 504}]}],
        });
        let campaign = sandbox.add_campaign(spec).expect("a campaign");
        sandbox.hold(campaign, HELD_SECONDS).expect("it is held");
        let deadline = sandbox.now() + i64::from(HELD_SECONDS - 60).seconds();
        let deadline = deadline.strftime("%Y-%m-%d %H:%M").to_string();
        let deadline = json!({ "ClearanceRequiredBy": deadline });
        listeners.tell(&service, 5, campaign, &deadline).await;
        told.insert(campaign, BTreeSet::new());
        service = kill_at_random(service, &home, &random, KILLS, async |service| {
            for (campaign, told) in &mut told {
                let granted = granted(service, *campaign).await;
                assert!(told.is_subset(&granted), "approved and not granted");
                *told = approved(&sandbox, *campaign);
            }
            service.campaign(campaign).await["rounds"][0]["state"] == "closed"
        })
        .await;
    }
    for campaign in told.into_keys() {
        let seen = service.campaign(campaign).await;
        let round = &seen["rounds"][0];
        assert_eq!(round["close_reason"], "complete", "{round}");
        assert_eq!(
            (&round["approved"], &round["reported"]),
            (&json!(CUSTOMERS), &json!(CUSTOMERS))
        );
        let all = approved(&sandbox, campaign);
        assert_eq!(all.len() as u64, CUSTOMERS);
        assert_eq!(granted(&service, campaign).await, all);
    }
    verify(service, &home);
    sandbox.stop().await;
}
