//! What campaigns would give, and what was decided about it.

use bestow_store::guards::{Guard, Weighed};

use crate::support::{Fresh, NOW_MS, TENANT};

fn weighed(state: &'static str, customers: u64) -> Weighed {
    Weighed {
        state,
        run_of: Some("target_group/7".into()),
        customers,
        figures: format!(r#"{{"customers":{customers}}}"#),
        beyond: "[]".into(),
    }
}

fn kept(fresh: &Fresh, campaign: i64) -> Guard {
    fresh
        .read(|tx| tx.guard(TENANT, campaign))
        .expect("it is there")
}

pub(crate) async fn what_is_decided_covers_what_was_in_view(fresh: Fresh) {
    assert_eq!(fresh.read(|tx| tx.guard(TENANT, 1)), None);
    fresh
        .tx(|tx| tx.put_weighed(TENANT, 1, &weighed("held", 40)))
        .await;
    let held = kept(&fresh, 1);
    assert_eq!(
        (&*held.state, held.weighed_at, held.approved),
        ("held", Some(NOW_MS), None)
    );
    let decide = async |state: &'static str| {
        fresh
            .tx(move |tx| tx.decide_guard(TENANT, 1, state, "somebody", "why"))
            .await
    };
    assert!(decide("approved").await);
    // Decided once; and what is weighed again does not take it back.
    assert!(!decide("refused").await);
    fresh
        .tx(|tx| tx.put_weighed(TENANT, 1, &weighed("held", 50)))
        .await;
    let again = kept(&fresh, 1);
    assert_eq!(again.approved.as_deref(), Some(r#"{"customers":40}"#));
    assert_eq!(again.decided_by.as_deref(), Some("somebody"));
    assert!(decide("refused").await);
    fresh
        .tx(|tx| tx.put_weighed(TENANT, 1, &weighed("passed", 50)))
        .await;
    assert_eq!(kept(&fresh, 1).state, "refused");
    assert_eq!(fresh.read(|tx| tx.guard(2, 1)), None);
}

pub(crate) async fn whoever_asks_to_see_is_kept(fresh: Fresh) {
    let ask = async |campaign: i64, by: &'static str| {
        fresh
            .tx(move |tx| tx.ask_to_see(TENANT, campaign, by))
            .await
    };
    assert!(ask(1, "first").await);
    assert!(!ask(1, "second").await);
    assert_eq!(kept(&fresh, 1).asked_by.as_deref(), Some("first"));
    // One that was let through can be looked at while nothing of it is granted; one that was decided cannot.
    for (state, taken) in [("passed", true), ("held", false)] {
        fresh
            .tx(move |tx| tx.put_weighed(TENANT, 2, &weighed(state, 1)))
            .await;
        assert_eq!(ask(2, "third").await, taken, "{state}");
    }
}

pub(crate) async fn who_waits_is_found(fresh: Fresh) {
    let states = ["passed", "held", "approved", "held", "held"];
    for (at, state) in states.into_iter().enumerate() {
        fresh
            .tx(move |tx| {
                let id = (70 + at).to_string();
                let (no, _) = tx.see_campaign(TENANT, &id, "scheduled", "sweep")?;
                tx.put_weighed(TENANT, no, &weighed(state, 1))?;
                if at == 3 {
                    tx.revoke_campaign(TENANT, no, "cancelled")?;
                }
                Ok(())
            })
            .await;
    }
    let undecided = |tenant, limit| fresh.read(move |tx| tx.campaigns_undecided(tenant, limit));
    assert_eq!(undecided(TENANT, 10), ["71", "74"]);
    assert_eq!(undecided(TENANT, 1), ["71"]);
    assert_eq!(undecided(TENANT + 1, 10), Vec::<String>::new());
}

pub(crate) async fn earlier_runs_are_those_let_through(fresh: Fresh) {
    let states = ["passed", "held", "approved", "refused", "passed"];
    for (no, state) in (1_i64..).zip(states) {
        let customers = 10 * no as u64;
        fresh
            .tx(move |tx| tx.put_weighed(TENANT, no, &weighed(state, customers)))
            .await;
    }
    let largest = |before: i64, run_of: &str| {
        let run_of = run_of.to_owned();
        fresh.read(move |tx| tx.largest_run(TENANT, &run_of, before))
    };
    assert_eq!(largest(1, "target_group/7"), None);
    assert_eq!(largest(3, "target_group/7"), Some(10));
    assert_eq!(largest(5, "target_group/7"), Some(30));
    assert_eq!(largest(6, "target_group/7"), Some(50));
    assert_eq!(largest(6, "target_group/8"), None);
}
