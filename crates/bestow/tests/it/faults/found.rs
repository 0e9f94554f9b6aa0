//! What the simulation found, each as the short list of operations that showed it. Mended; it has to stay so.

use serde_json::json;

use super::{history, notify, play};
use crate::sim::model::Op;

/// Two ids differ by letter case only, and both wait for a code beside a code that is granted. Releasing one code after
/// the other took the second id for the customer although it held nothing, and the first one's pair was lost.
#[test]
fn a_release_goes_to_the_id_that_holds_grants() {
    let campaign = json!({
        "audience": {"customers": [
            {"id": "aB1", "action": 24, "promo_code": "OLD"},
            {"id": "Ab1", "action": 24, "promo_code": "FS20,NEW"},
        ]},
        "scheduled_at": "2027-03-25T09:00",
        "actions": [{"id": 24, "promo_codes": [], "channels": [{"id": 504}, {"id": 505}]}],
    });
    play(&history(
        campaign,
        vec![Op::Process(0), notify(), Op::Work(4)],
    ));
}

/// All customers are known from one channel, so the number agrees; but a row of another channel was skipped, and with
/// it the earlier or later end of a window.
#[test]
fn a_row_is_missed_although_its_customer_is_known() {
    let campaign = json!({
        "audience": {"count": 9, "prefix": "P-"}, "scheduled_at": "2027-03-25T09:00",
        "actions": [{"id": 24, "promo_codes": ["FS20"], "channels": [
            {"id": 504}, {"id": 505, "delay_minutes": 1_560}, {"id": 506, "delay_minutes": 15},
        ]}],
    });
    let skip = Op::Switch("page-churn", json!("skip"));
    play(&history(
        campaign,
        vec![Op::Process(0), skip, notify(), Op::Work(8)],
    ));
}

/// A confirming pass brought no new pair, only a later end for a pair that was held. Its rows were dropped as known, and
/// the release that came later granted the shorter window.
#[test]
fn a_confirming_pass_widens_what_is_held() {
    let customers: Vec<String> = (1..10).map(|number| format!("C{number}")).collect();
    let campaign = json!({
        "audience": {"customers": customers}, "scheduled_at": "2027-03-25T09:00",
        "actions": [{"id": 24, "promo_codes": ["OLD"], "channels": [
            {"id": 504}, {"id": 505, "delay_minutes": 1_560},
        ]}],
    });
    let churn = |how| Op::Switch("page-churn", json!(how));
    let (skip, calm) = (churn("skip"), churn("off"));
    let before = [Op::Process(0), skip, notify(), Op::Work(8)];
    let after = [calm, Op::Release(0), Op::Work(8)];
    play(&history(
        campaign,
        before.into_iter().chain(after).collect(),
    ));
}
