//! Logins under a clock that moves by itself when nothing else can.

use std::sync::Arc;
use std::sync::Mutex;

use super::*;

/// Logs in with the outcomes given, the last of which stays, and remembers when.
#[derive(Default)]
struct Logins {
    outcomes: Vec<Result<(), Error>>,
    spans: Mutex<Vec<(Instant, Instant)>>,
}

impl Logins {
    fn new(outcomes: impl IntoIterator<Item = Result<(), Error>>) -> Arc<Self> {
        Arc::new(Self {
            outcomes: outcomes.into_iter().collect(),
            ..Self::default()
        })
    }

    async fn login(&self) -> Result<Secret, Error> {
        let started = Instant::now();
        sleep(Duration::from_millis(300)).await;
        let mut spans = self.spans.lock().unwrap();
        let number = spans.len();
        spans.push((started, Instant::now()));
        let last = self.outcomes.len() - 1;
        self.outcomes[number.min(last)]
            .clone()
            .map(|()| Secret::new(format!("token-{number}")))
    }

    fn count(&self) -> usize {
        self.spans.lock().unwrap().len()
    }

    /// From the end of each login to the start of the next.
    fn gaps(&self) -> Vec<Duration> {
        let spans = self.spans.lock().unwrap();
        spans.windows(2).map(|pair| pair[1].0 - pair[0].1).collect()
    }
}

async fn get(cell: &TokenCell, logins: &Logins, expired: Option<u64>) -> Result<Token, Error> {
    let policy = DoorPolicy {
        retry: &RetryPolicy::default(),
        peers: None,
    };
    cell.get(expired, &policy, || 0, || logins.login()).await
}

/// The results of callers who all come at once.
async fn together(
    cell: &Arc<TokenCell>,
    logins: &Arc<Logins>,
    expired: Option<u64>,
) -> Vec<Result<Token, Error>> {
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let (cell, logins) = (Arc::clone(cell), Arc::clone(logins));
            tokio::spawn(async move { get(&cell, &logins, expired).await })
        })
        .collect();
    let mut results = vec![];
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

fn refused() -> Error {
    Error::LoginRefused {
        status: 401,
        message: String::new(),
    }
}

fn broken() -> Error {
    Error::Transport {
        detail: String::new(),
    }
}

#[tokio::test(start_paused = true)]
async fn many_callers_share_one_login() {
    let (cell, logins) = (Arc::default(), Logins::new([Ok(())]));
    for result in together(&cell, &logins, None).await {
        assert_eq!(result.unwrap().generation, 1);
    }
    for result in together(&cell, &logins, Some(1)).await {
        assert_eq!(result.unwrap().generation, 2);
    }
    // A late complaint about the first token does not touch the second one.
    assert_eq!(get(&cell, &logins, Some(1)).await.unwrap().generation, 2);
    assert_eq!(logins.gaps(), [LOGIN_SPACING]);
}

#[tokio::test(start_paused = true)]
async fn a_429_is_waited_for_with_growing_waits() {
    let limited = || Err(Error::RateLimited { retry_after: None });
    let (cell, logins) = (
        Arc::default(),
        Logins::new([limited(), limited(), limited(), Ok(())]),
    );
    for result in together(&cell, &logins, None).await {
        assert!(result.is_ok());
    }
    assert_eq!(logins.gaps(), [1, 2, 4].map(Duration::from_secs));

    let (cell, logins) = (TokenCell::default(), Logins::new([limited()]));
    let error = get(&cell, &logins, None).await.unwrap_err();
    assert!(matches!(error, Error::RateLimited { .. }));
    assert_eq!(logins.count(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_is_shared_and_then_rests() {
    let (cell, logins) = (Arc::default(), Logins::new([Err(refused()), Ok(())]));
    for result in together(&cell, &logins, None).await {
        assert!(matches!(
            result,
            Err(Error::LoginRefused { status: 401, .. })
        ));
    }
    sleep(LOGIN_REFUSED_PAUSE / 2).await;
    assert!(get(&cell, &logins, None).await.is_err());
    assert_eq!(logins.count(), 1);
    sleep(LOGIN_REFUSED_PAUSE / 2).await;
    assert!(get(&cell, &logins, None).await.is_ok());
    assert_eq!(logins.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_broken_login_is_shared_by_those_who_waited_only() {
    let (cell, logins) = (Arc::default(), Logins::new([Err(broken()), Ok(())]));
    for result in together(&cell, &logins, None).await {
        assert!(matches!(result, Err(Error::Transport { .. })));
    }
    assert_eq!(logins.count(), 1);
    assert!(get(&cell, &logins, None).await.is_ok());
    assert_eq!(logins.gaps(), [LOGIN_SPACING]);
}

#[tokio::test(start_paused = true)]
async fn a_login_given_up_half_way_still_counts() {
    let (cell, logins) = (TokenCell::default(), Logins::new([Ok(())]));
    let begun = Instant::now();
    let half = tokio::time::timeout(Duration::from_millis(100), get(&cell, &logins, None));
    assert!(half.await.is_err());
    assert!(get(&cell, &logins, None).await.is_ok());
    // One second from the start of the first, and the time of the second.
    assert_eq!(begun.elapsed(), LOGIN_SPACING + Duration::from_millis(300));
}

#[tokio::test(start_paused = true)]
async fn only_the_token_complained_about_is_forgotten() {
    let (cell, logins) = (TokenCell::default(), Logins::new([Ok(())]));
    let token = get(&cell, &logins, None).await.unwrap();
    cell.forget(token.generation + 1).await;
    assert_eq!(get(&cell, &logins, None).await.unwrap().generation, 1);
    cell.forget(token.generation).await;
    assert_eq!(get(&cell, &logins, None).await.unwrap().generation, 2);
}
