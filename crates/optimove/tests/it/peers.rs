//! Calls and sessions that several processes share: here the others are a list of what they will say.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use optimove::peers::{LoginTurn, Peers, Place, Session, Waiting};
use optimove::rate::{BudgetConfig, CallBudget, Priority};
use optimove::{Error, Secret};
use tokio::sync::Semaphore;

use crate::server::{Reply, Request, Server, login, ok};

/// Others that give a place for each permit, and log who came.
#[derive(Debug)]
struct Doorman {
    places: Arc<Semaphore>,
}

impl Peers for Doorman {
    fn place(&self) -> Waiting<'_, Result<Place, Error>> {
        let places = Arc::clone(&self.places);
        Box::pin(async move {
            let refused = |_| Error::Peers {
                reason: "closed".to_owned(),
            };
            places
                .acquire_owned()
                .await
                .map(Place::new)
                .map_err(refused)
        })
    }

    fn session<'a>(&'a self, _: Option<&'a Secret>) -> Waiting<'a, Result<Session, Error>> {
        Box::pin(std::future::pending())
    }
}

fn budget(places: &Arc<Semaphore>) -> Arc<CallBudget> {
    let places = Arc::clone(places);
    let config = BudgetConfig::default();
    Arc::new(CallBudget::shared(config, Arc::new(Doorman { places })))
}

#[tokio::test(start_paused = true)]
async fn the_most_urgent_gets_the_place_of_the_others() {
    let places = Arc::new(Semaphore::new(1));
    let budget = budget(&places);
    let first = budget.acquire(Priority::Import).await.unwrap();
    let order = Arc::new(Mutex::new(VecDeque::new()));
    let come = |priority| {
        let (budget, order) = (Arc::clone(&budget), Arc::clone(&order));
        tokio::spawn(async move {
            let _permit = budget.acquire(priority).await.unwrap();
            order.lock().unwrap().push_back(priority);
        })
    };
    // One asks the others already; of those behind it the most urgent is next.
    let asking = come(Priority::Import);
    tokio::task::yield_now().await;
    let late = [come(Priority::Sweep), come(Priority::Clearance)];
    tokio::task::yield_now().await;
    assert_eq!(places.available_permits(), 0);
    drop(first);
    asking.await.unwrap();
    for one in late {
        one.await.unwrap();
    }
    let order: Vec<_> = order.lock().unwrap().iter().copied().collect();
    assert_eq!(
        order,
        [Priority::Import, Priority::Clearance, Priority::Sweep]
    );
    assert_eq!(places.available_permits(), 1, "each place is given back");
}

#[tokio::test(start_paused = true)]
async fn who_cannot_ask_the_others_does_not_call() {
    let places = Arc::new(Semaphore::new(0));
    let budget = budget(&places);
    places.close();
    for _ in 0..3 {
        let refused = budget.acquire(Priority::Import).await;
        assert!(matches!(refused, Err(Error::Peers { .. })), "{refused:?}");
    }
}

/// A turn that tells what became of it.
struct Turn(Arc<Mutex<Vec<Result<String, String>>>>);

impl LoginTurn for Turn {
    fn end(self: Box<Self>, outcome: Result<Secret, Error>) -> Waiting<'static, Result<(), Error>> {
        let told = outcome.map(|token| token.expose().to_owned());
        self.0
            .lock()
            .unwrap()
            .push(told.map_err(|error| error.to_string()));
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Others that know some tokens, one after the other, and then let us log in.
#[derive(Debug, Default)]
struct Friends {
    tokens: Mutex<VecDeque<&'static str>>,
    expired: Mutex<Vec<Option<String>>>,
    ended: Arc<Mutex<Vec<Result<String, String>>>>,
}

impl Peers for Friends {
    fn place(&self) -> Waiting<'_, Result<Place, Error>> {
        Box::pin(std::future::ready(Ok(Place::new(()))))
    }

    fn session<'a>(&'a self, expired: Option<&'a Secret>) -> Waiting<'a, Result<Session, Error>> {
        let expired = expired.map(|text| text.expose().to_owned());
        self.expired.lock().unwrap().push(expired);
        let known = self.tokens.lock().unwrap().pop_front();
        let session = match known {
            Some(token) => Session::Token(Secret::new(token)),
            None => Session::LogIn(Box::new(Turn(Arc::clone(&self.ended)))),
        };
        Box::pin(std::future::ready(Ok(session)))
    }
}

/// A server that knows the tokens `friend` and `fresh`, the second of which it gives to whoever logs in.
async fn server() -> Server {
    Server::start(|request| {
        if request.is_login() {
            return ok("\"fresh\"");
        }
        match request.header("authorization-token") {
            Some("friend" | "fresh") => ok("[]"),
            _ => Reply::Full(403, "Authorization-Token Expired".into()),
        }
    })
    .await
}

#[tokio::test]
async fn a_token_of_others_is_used_before_anybody_logs_in() {
    let server = server().await;
    let friends = Arc::new(Friends::default());
    friends.tokens.lock().unwrap().extend(["stale", "friend"]);
    let client = server.builder(login()).peers(Arc::clone(&friends) as _);
    client.build().unwrap().get_promotions().await.unwrap();
    assert!(!server.seen().iter().any(Request::is_login));
    let asked = friends.expired.lock().unwrap().clone();
    assert_eq!(asked, [None, Some("stale".to_owned())]);
}

#[tokio::test]
async fn others_are_told_of_a_login() {
    let server = server().await;
    let friends = Arc::new(Friends::default());
    friends.tokens.lock().unwrap().push_back("stale");
    let client = server.builder(login()).peers(Arc::clone(&friends) as _);
    client.build().unwrap().get_promotions().await.unwrap();
    let told = friends.ended.lock().unwrap().clone();
    assert_eq!(told, [Ok("fresh".to_owned())]);
}
