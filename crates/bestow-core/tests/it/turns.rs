use std::collections::BTreeMap;

use bestow_core::turns::{Due, Places, Queue, next, shares};

const PLACES: Places = Places {
    jobs_max: 4,
    jobs_most: 6,
};

fn due(tenant: i64, since: i64) -> Due {
    Due {
        tenant,
        since,
        is_on_trial: false,
    }
}

fn running(jobs: &[(i64, usize)]) -> BTreeMap<i64, usize> {
    jobs.iter().copied().collect()
}

#[test]
fn the_only_tenant_has_all_places() {
    let due = [due(1, 0)];
    for (jobs, expected) in [(0, Some(1)), (3, Some(1)), (4, None), (6, None)] {
        assert_eq!(
            next(&due, &running(&[(1, jobs)]), PLACES),
            expected,
            "{jobs}"
        );
    }
}

#[test]
fn a_first_job_starts_although_another_tenant_has_all_places() {
    let all = [due(1, 0), due(2, 100)];
    assert_eq!(next(&all, &running(&[(1, 4)]), PLACES), Some(2));
    assert_eq!(next(&all, &running(&[(1, 4), (2, 1)]), PLACES), None);
}

#[test]
fn the_fewest_running_go_first_then_the_longest_due() {
    let all = [due(1, 0), due(2, 50), due(3, 20)];
    assert_eq!(next(&all, &running(&[]), PLACES), Some(1));
    assert_eq!(next(&all, &running(&[(1, 1)]), PLACES), Some(3));
    assert_eq!(next(&all, &running(&[(1, 1), (3, 1)]), PLACES), Some(2));
    let equal = running(&[(1, 1), (2, 1), (3, 1)]);
    assert_eq!(next(&all, &equal, PLACES), Some(1));
}

#[test]
fn there_are_never_more_than_the_most() {
    let running: BTreeMap<i64, usize> = (1..=6).map(|tenant| (tenant, 1)).collect();
    assert_eq!(next(&[due(7, 0)], &running, PLACES), None);
    let odd = Places {
        jobs_max: 0,
        jobs_most: 0,
    };
    assert_eq!(
        next(&[due(7, 0)], &BTreeMap::new(), odd),
        Some(7),
        "never none at all"
    );
}

#[test]
fn a_tenant_on_trial_has_one_job_at_a_time() {
    let trial = Due {
        is_on_trial: true,
        ..due(1, 0)
    };
    assert_eq!(next(&[trial], &running(&[]), PLACES), Some(1));
    assert_eq!(next(&[trial], &running(&[(1, 1)]), PLACES), None);
}

/// One tenant floods; nine send a job each now and then: they start at the next look, whatever the flood does.
#[test]
fn a_flood_delays_nobodys_first_job() {
    let places = Places {
        jobs_max: 4,
        jobs_most: 32,
    };
    let mut jobs = running(&[]);
    for _ in 0..4 {
        assert_eq!(next(&[due(1, 0)], &jobs, places), Some(1));
        *jobs.entry(1).or_default() += 1;
    }
    for tenant in 2..=10 {
        let all = [due(1, 0), due(tenant, 1_000)];
        assert_eq!(next(&all, &jobs, places), Some(tenant));
        jobs.insert(tenant, 1);
    }
}

fn queue(tenant: i64, first: &str) -> Queue {
    Queue {
        tenant,
        first: first.to_owned(),
    }
}

#[test]
fn a_batch_is_shared_alike_and_the_longest_waiting_comes_first() {
    assert_eq!(shares(vec![queue(7, "a")], 200), [(7, 200)]);
    let queues = vec![queue(1, "b"), queue(2, "c"), queue(3, "a")];
    assert_eq!(shares(queues, 200), [(3, 66), (1, 66), (2, 66)]);
    assert_eq!(shares(vec![], 200), []);
}

#[test]
fn where_more_wait_than_there_are_places_each_has_one_in_turn() {
    let queues = (0..5).map(|tenant| queue(tenant, &format!("{}", 9 - tenant)));
    assert_eq!(shares(queues.collect(), 3), [(4, 1), (3, 1), (2, 1)]);
}
