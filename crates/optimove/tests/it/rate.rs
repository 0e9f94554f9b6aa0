//! The call budget under a clock that moves by itself when nothing else can.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use optimove::rate::{BudgetConfig, CallBudget, Priority};
use tokio::time::{Instant, sleep};

const WINDOW: Duration = Duration::from_secs(10);

fn budget(calls_max: u32) -> Arc<CallBudget> {
    Arc::new(CallBudget::new(BudgetConfig {
        calls_max,
        window: WINDOW,
    }))
}

/// The most instants that lie within one window, both ends of which count.
fn most_in_a_window(instants: &[Instant]) -> usize {
    let within = |from: &Instant| {
        instants
            .iter()
            .filter(|at| *at >= from && **at - *from < WINDOW)
            .count()
    };
    instants.iter().map(within).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn never_more_in_a_window_than_the_budget_holds() {
    let budget = budget(40);
    let starts = Arc::new(Mutex::new(vec![]));
    // The server sees a call somewhere between start and end: here at once, late, or at the end.
    let arrivals = Arc::new(Mutex::new(vec![]));
    let tasks: Vec<_> = (0..300_u64)
        .map(|index| {
            let (budget, starts, arrivals) = (
                Arc::clone(&budget),
                Arc::clone(&starts),
                Arc::clone(&arrivals),
            );
            tokio::spawn(async move {
                let permit = budget.acquire(Priority::Import).await.unwrap();
                starts.lock().unwrap().push(Instant::now());
                sleep(Duration::from_millis(index * 37 % 3_000)).await;
                arrivals.lock().unwrap().push(Instant::now());
                sleep(Duration::from_millis(index * 53 % 2_000)).await;
                drop(permit);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let (starts, arrivals) = (starts.lock().unwrap(), arrivals.lock().unwrap());
    assert_eq!(starts.len(), 300);
    assert_eq!(most_in_a_window(&starts), 40);
    assert!(most_in_a_window(&arrivals) <= 40);
}

#[tokio::test(start_paused = true)]
async fn the_most_urgent_starts_first_and_equals_in_turn() {
    use Priority::{Cancel, Catalogue, Clearance, Import, Sweep};
    let budget = budget(1);
    let first = budget.acquire(Sweep).await.unwrap();
    let order = Arc::new(Mutex::new(vec![]));
    let mut tasks = vec![];
    let arriving = [
        Sweep, Import, Catalogue, Import, Cancel, Clearance, Sweep, Clearance,
    ];
    for (index, priority) in arriving.into_iter().enumerate() {
        let (budget, order) = (Arc::clone(&budget), Arc::clone(&order));
        tasks.push(tokio::spawn(async move {
            let _permit = budget.acquire(priority).await.unwrap();
            order.lock().unwrap().push((priority, index));
        }));
        // Lets the task enter the queue before the next one.
        tokio::task::yield_now().await;
    }
    drop(first);
    for task in tasks {
        task.await.unwrap();
    }
    let expected = [
        (Clearance, 5),
        (Clearance, 7),
        (Cancel, 4),
        (Import, 1),
        (Import, 3),
        (Catalogue, 2),
        (Sweep, 0),
        (Sweep, 6),
    ];
    assert_eq!(*order.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_gives_up_leaves_its_turn_to_others() {
    let budget = budget(1);
    let first = budget.acquire(Priority::Import).await.unwrap();
    let waiting = {
        let budget = Arc::clone(&budget);
        tokio::spawn(async move { drop(budget.acquire(Priority::Clearance).await.unwrap()) })
    };
    tokio::task::yield_now().await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    drop(first);
    let started = Instant::now();
    drop(budget.acquire(Priority::Sweep).await.unwrap());
    assert_eq!(started.elapsed(), WINDOW);
}

#[tokio::test(start_paused = true)]
async fn a_place_stays_taken_for_a_window_after_the_call() {
    let budget = budget(1);
    let started = Instant::now();
    let permit = budget.acquire(Priority::Import).await.unwrap();
    sleep(Duration::from_secs(3)).await;
    drop(permit);
    drop(budget.acquire(Priority::Import).await.unwrap());
    assert_eq!(started.elapsed(), Duration::from_secs(13));
}

#[tokio::test(start_paused = true)]
async fn a_429_halves_the_budget_and_it_grows_back() {
    let budget = budget(40);
    let started = Instant::now();
    budget.on_rate_limited(None);
    budget.on_rate_limited(None);
    assert_eq!(budget.calls_allowed(), 20);
    drop(budget.acquire(Priority::Import).await.unwrap());
    assert_eq!(started.elapsed(), WINDOW / 5);
    let mut sizes = vec![];
    for _ in 0..5 {
        sleep(WINDOW).await;
        sizes.push(budget.calls_allowed());
    }
    assert_eq!(sizes, [25, 30, 35, 40, 40]);
    // A later one halves again, and the size never falls to nothing.
    for _ in 0..10 {
        budget.on_rate_limited(None);
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(budget.calls_allowed(), 20);
}

#[tokio::test(start_paused = true)]
async fn the_servers_hint_closes_the_budget() {
    let budget = budget(40);
    let started = Instant::now();
    budget.on_rate_limited(Some(Duration::from_secs(30)));
    budget.on_rate_limited(Some(Duration::from_secs(7)));
    drop(budget.acquire(Priority::Clearance).await.unwrap());
    assert_eq!(started.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_shrunk_budget_is_kept_too() {
    let budget = budget(8);
    budget.on_rate_limited(Some(Duration::ZERO));
    let starts = Arc::new(Mutex::new(vec![]));
    let tasks: Vec<_> = (0..30)
        .map(|_| {
            let (budget, starts) = (Arc::clone(&budget), Arc::clone(&starts));
            tokio::spawn(async move {
                drop(budget.acquire(Priority::Import).await.unwrap());
                starts.lock().unwrap().push(Instant::now());
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let starts = starts.lock().unwrap();
    let first = starts[0];
    let early = starts.iter().filter(|at| **at - first < WINDOW).count();
    assert_eq!(early, 4);
    assert!(most_in_a_window(&starts) <= 8);
}
