//! Crashes and failed commits: at every commit of an import, before it and after it.

use bestow_store::Fault;
use serde_json::{Value, json};

use super::{history, notify, play};
use crate::sim::model::Op;

/// More commits than the import below makes; a crash beyond them is none.
const COMMITS_MAX: u32 = 60;

/// Seven customers on two channels; codes that are granted, repeated, held and released; a confirming pass.
fn campaign() -> Value {
    json!({
        "audience": {"count": 7, "prefix": "P-"}, "scheduled_at": "2027-03-25T09:00",
        "lead_time": 2, "duration": 7,
        "actions": [{
            "id": 24, "promo_codes": ["FS20", "NEW", "old"],
            "channels": [{"id": 504}, {"id": 505, "share": 0.5, "delay_minutes": 15}],
        }],
    })
}

#[test]
fn the_process_dies_at_each_commit() {
    for commit in 1..=COMMITS_MAX {
        for fault in [Fault::BeforeCommit, Fault::AfterCommit] {
            let ops = vec![
                Op::Process(0),
                notify(),
                Op::Crash { commit, fault },
                Op::Work(20),
                Op::Promote(3),
                Op::Work(20),
            ];
            play(&history(campaign(), ops));
        }
    }
}

#[test]
fn each_transaction_fails_once_and_for_a_while() {
    let names = [
        "accept_notification",
        "settle_notifications",
        "want_regular",
        "claim_job",
        "put_details",
        "begin_pass",
        "number_terms",
        "land_page",
        "end_pass",
        "begin_merge",
        "merge_chunk",
        "end_merge",
        "complete_import",
        "clear_campaign_error",
        "finish_job",
        "want_release",
        "release_chunk",
        "end_release",
        "want_swept",
    ];
    for name in names {
        for fault in [Fault::BeforeCommit, Fault::AfterCommit] {
            for places in [0..1, 1..3, 0..6] {
                let ops = vec![
                    Op::FailCommit {
                        name,
                        places,
                        fault,
                    },
                    Op::Process(0),
                    notify(),
                    Op::Work(20),
                    Op::Advance(61),
                    Op::Promote(2),
                    Op::Promote(3),
                    Op::Work(20),
                    Op::Advance(3_700),
                    Op::Work(20),
                ];
                play(&history(campaign(), ops));
            }
        }
    }
}
