//! Many clients on one service: ten tenants with their own addresses, credentials, zones and channels; one of them
//! dead, one with a hundred times the load. What the others get is compared in pieces of work, never in seconds.

use std::sync::Arc;

use bestow::actor::Actor;
use bestow::app::App;
use bestow::cli::call::Caller;
use bestow::directory::ListenerTarget;
use bestow::service::tenants::{self, Suspension};
use bestow::service::{listeners, notifications, promotions};
use bestow::tenant::Tenant;
use bestow::work;
use bestow::work::Workers;
use bestow_store::Error as StoreError;
use http::Method;
use serde_json::{Value, json};

use crate::support::World;

/// Zones, by turns.
const ZONES: [&str; 5] = [
    "UTC",
    "Europe/Lisbon",
    "America/New_York",
    "Asia/Kolkata",
    "Pacific/Auckland",
];

/// A client of the service.
struct Client {
    id: String,
    channel: i64,
    campaign: u64,
}

/// Adds tenants with one promotion and one planned campaign each. All of them use the same code, the same campaign
/// audience and the same prefix: whatever is mixed up shows.
async fn ten(world: &World) -> Vec<Client> {
    let mut clients = Vec::new();
    for n in 0..10_i64 {
        clients.push(client(world, &format!("client{n}"), n).await);
    }
    clients
}

async fn client(world: &World, id: &str, n: i64) -> Client {
    let (channel, zone) = (
        600 + n,
        ZONES[usize::try_from(n).expect("small") % ZONES.len()],
    );
    let theirs = json!({
        "time_zone": zone, "username": id, "password": format!("{id}-password"),
        "api_keys": [{"key": format!("{id}-key"), "role": "admin"}],
        "channels": [{"id": channel, "name": "mail"}],
    });
    world
        .control(Method::PUT, &format!("/_sandbox/tenants/{id}"), &theirs)
        .await;
    let auth = if n % 2 == 0 {
        json!({"api_key": format!("{id}-key")})
    } else {
        json!({"username": id, "password": format!("{id}-password")})
    };
    // The same machine under two names is two base addresses.
    let host = if n % 3 == 0 { "127.0.0.1" } else { "localhost" };
    let base_url = format!("http://{host}:{}", world.sandbox.address().port());
    let body = json!({
        "id": id, "name": id, "time_zone": zone, "scheduled_channels": [channel],
        "optimove": {"base_url": base_url, "auth": auth},
    });
    let new = serde_json::from_value(body).expect("a tenant");
    tenants::create(&world.app, &Actor::cli(), new)
        .await
        .expect("the tenant is made");
    let tenant = world.app.tenant(id).expect("it is there");
    listeners::sync(&world.app, &Actor::cli(), &tenant)
        .await
        .expect("the listeners are registered");
    let put = serde_json::from_value(json!({"name": id})).expect("a promotion");
    promotions::put(&world.app, &Actor::cli(), &tenant, "FS20", put)
        .await
        .expect("the promotion is written");
    let campaign = plan(world, id, channel, u64::try_from(10 + n).expect("small")).await;
    Client {
        id: id.to_owned(),
        channel,
        campaign,
    }
}

/// Plans and executes a campaign. Each tenant's first has the same id.
async fn plan(world: &World, tenant: &str, channel: i64, count: u64) -> u64 {
    let actions = json!([{"id": 24, "promo_codes": ["FS20"], "channels": [{"id": channel}]}]);
    let campaign = world.plan(count, &json!({"tenant": tenant, "actions": actions}));
    let path = format!("/_sandbox/campaigns/{campaign}/process?tenant={tenant}");
    world.control(Method::POST, &path, &Value::Null).await;
    campaign
}

/// Who holds a grant of the client's first campaign.
async fn grants(world: &World, client: &Client) -> Vec<String> {
    let Client { id, campaign, .. } = client;
    let path = format!("/v1/tenants/{id}/campaigns/{campaign}/grants");
    customers(&world.api, &path).await
}

/// Who should.
async fn expected(world: &World, client: &Client) -> Vec<String> {
    let Client { id, campaign, .. } = client;
    let path = format!("/_sandbox/campaigns/{campaign}/expected?tenant={id}");
    customers(&world.control, &path).await
}

async fn customers(caller: &Caller, path: &str) -> Vec<String> {
    let mut customers = Vec::new();
    caller
        .lines(path, |line| {
            let grant: Value = serde_json::from_slice(line)?;
            customers.push(grant["customer_id"].as_str().expect("text").to_owned());
            Ok(())
        })
        .await
        .expect("the export is read");
    customers.sort_unstable();
    customers
}

fn is_done(app: &App, tenant: &Tenant, campaign: u64) -> bool {
    let (no, id) = (tenant.no(), campaign.to_string());
    let done = app.store.read(|tx| {
        let Some(found) = tx.campaign(no, &id)? else {
            return Ok(false);
        };
        let imports = tx.imports(no, found.no)?;
        Ok::<_, StoreError>(!imports.is_empty() && imports.iter().all(|one| one.state == "done"))
    });
    done.expect("it can be read")
}

/// Works with all workers until the clients' first campaigns are done.
async fn until_done(world: &World, clients: &[Client]) {
    for client in clients {
        let tenant = world.app.tenant(&client.id).expect("it is there");
        while !is_done(&world.app, &tenant, client.campaign) {
            tokio::task::yield_now().await;
        }
    }
}

/// Puts notifications of a tenant into the inbox: all of different campaigns that nobody knows.
async fn flood(world: &World, tenant: &str, count: usize) {
    let target = ListenerTarget {
        tenant: world.app.tenant(tenant).expect("it is there").no(),
        event_type: 4,
        retired_at: None,
    };
    let all = (0..count).map(|n| {
        let body = json!({"EventTypeID": 4, "CampaignID": 900_000 + n}).to_string();
        notifications::accept(&world.app, target, body.into())
    });
    for stored in futures_util::future::join_all(all).await {
        stored.expect("it is stored");
    }
}

fn waiting(app: &Arc<App>) -> Vec<i64> {
    let waiting = app.store.read(|tx| tx.waiting_tenants());
    let waiting: Result<Vec<(i64, String)>, StoreError> = waiting;
    waiting
        .expect("it can be read")
        .into_iter()
        .map(|(no, _)| no)
        .collect()
}

#[tokio::test]
async fn ten_tenants_with_everything_different_get_what_is_theirs() {
    let world = World::start().await;
    let clients = ten(&world).await;
    world.settle().await;
    for client in &clients {
        assert_eq!(client.campaign, clients[0].campaign, "all have the same id");
        let granted = grants(&world, client).await;
        assert_eq!(granted, expected(&world, client).await, "{}", client.id);
        assert!(granted.len() >= 5, "{}", client.id);
    }
    world.assert_verified();
}

#[tokio::test]
async fn a_flood_of_one_tenant_delays_the_others_by_a_batch_at_most() {
    let world = World::start().await;
    let clients = ten(&world).await;
    world.delivered().await;
    // Client 0 was first, with a hundred times what all others have.
    flood(&world, "client0", 2_000).await;
    notifications::settle_waiting(&world.app).await.unwrap();
    notifications::settle_waiting(&world.app).await.unwrap();
    let flooding = world.app.tenant("client0").unwrap().no();
    assert_eq!(waiting(&world.app), [flooding], "the others are through");
    // What there is to settle is settled all the same, 200 at a time.
    let mut batches = 0;
    while notifications::settle_waiting(&world.app).await.unwrap() {
        batches += 1;
    }
    assert!(batches <= 11, "{batches}");
    assert_eq!(clients.len(), 10);
}

#[tokio::test]
async fn a_hundred_times_the_load_of_one_leaves_the_others_their_turns() {
    let world = World::start().await;
    let heavy = client(&world, "heavy", 0).await;
    for _ in 0..100 {
        plan(&world, "heavy", heavy.channel, 5).await;
    }
    world.delivered().await;
    // All of that came before anything of the others.
    let others = ten(&world).await;
    world.delivered().await;
    let workers = Workers::start(&world.app);
    until_done(&world, &others).await;
    let no = world.app.tenant("heavy").unwrap().no();
    let left = world.app.store.read(|tx| {
        let (jobs, waiting) = (tx.jobs()?, tx.waiting_notifications(no, "", 1_000)?);
        let jobs = jobs
            .iter()
            .filter(|job| job.tenant == no && job.kind == work::kind::IMPORT);
        Ok::<_, StoreError>(jobs.count() + waiting.len())
    });
    // First come, first served would have left none of it.
    let left = left.unwrap();
    assert!(left >= 50, "{left}");
    workers.stop().await;
    world.settle().await;
    for client in others.iter().chain([&heavy]) {
        assert_eq!(grants(&world, client).await, expected(&world, client).await);
    }
    world.assert_verified();
}

#[tokio::test]
async fn tenants_whose_optimove_is_dead_cost_the_others_nothing() {
    // One refuses connections, one takes them and never answers.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hanging = format!("http://{}", silent.local_addr().unwrap());

    let world = World::with(|config| {
        config.work.jobs_max = 2;
        config.optimove.tries_max = 1;
    })
    .await;
    let clients = ten(&world).await;
    world.delivered().await;
    for (id, base_url) in [("client0", refused), ("client1", hanging)] {
        let auth = json!({"api_key": "any"});
        let patch = json!({"optimove": {"base_url": base_url, "auth": auth}});
        let patch = serde_json::from_value(patch).unwrap();
        tenants::update(&world.app, &Actor::cli(), id, patch)
            .await
            .unwrap();
        // More work than there are places, and it was there first.
        let no = world.app.tenant(id).unwrap().no();
        let wanted = world.app.tx("test", move |tx| {
            for n in 0..20 {
                let (campaign, _) = tx.see_campaign(no, &n.to_string(), "scheduled", "sweep")?;
                tx.want_import(no, campaign, 600)?;
                tx.want_job(no, work::kind::IMPORT, &campaign.to_string(), 1)?;
            }
            Ok(())
        });
        wanted.await.unwrap();
    }
    let workers = Workers::start(&world.app);
    // No limit of time: with the two in the way this would not end before their calls do.
    until_done(&world, &clients[2..]).await;
    for client in &clients[2..] {
        let granted = grants(&world, client).await;
        assert_eq!(granted, expected(&world, client).await);
    }
    let hung = world.app.tenant("client1").unwrap().no();
    let still = world.app.turns.running().get(&hung).copied();
    assert!(
        still.is_some_and(|jobs| jobs > 0),
        "its calls hang to this moment"
    );
    let dead = world.app.tenant("client0").unwrap().no();
    let rest = world.app.store.read(|tx| tx.rest(dead)).unwrap();
    assert!(
        rest.is_some(),
        "the other rests instead of trying each of its jobs"
    );
    // Whoever hangs is hung up on.
    drop(silent);
    workers.stop().await;
}

#[tokio::test]
async fn a_suspended_tenant_keeps_what_comes_and_goes_on_when_it_is_resumed() {
    let world = World::connected().await;
    let suspend = async |to| {
        tenants::set_suspended(&world.app, &Actor::cli(), "acme", to)
            .await
            .unwrap();
    };
    suspend(Suspension::Suspend).await;
    let campaign = world.plan(10, &json!({}));
    world.sandbox.process(campaign).unwrap();
    world.delivered().await;
    world.work().await;
    assert_eq!(world.ledger(campaign).await.len(), 0);
    suspend(Suspension::Resume).await;
    world.settle().await;
    world.assert_right(campaign).await;
    assert_eq!(world.ledger(campaign).await.len(), 10);
}

#[tokio::test]
async fn tenants_with_one_key_share_one_budget_and_others_have_their_own() {
    let world = World::start().await;
    client(&world, "one", 0).await;
    client(&world, "other", 2).await;
    let body = world.tenant_body(&json!({
        "id": "twin", "scheduled_channels": [],
        "optimove": {
            "base_url": format!("http://127.0.0.1:{}", world.sandbox.address().port()),
            "auth": {"api_key": "one-key"},
        },
    }));
    let new = serde_json::from_value(body).unwrap();
    tenants::create(&world.app, &Actor::cli(), new)
        .await
        .unwrap();
    let budget = |id: &str| {
        let tenant = world.app.tenant(id).unwrap();
        let client = world
            .app
            .clients
            .for_tenant(&tenant, &world.app.keys)
            .unwrap();
        Arc::clone(client.budget())
    };
    assert!(Arc::ptr_eq(&budget("one"), &budget("twin")));
    assert!(!Arc::ptr_eq(&budget("one"), &budget("other")));
    // Another credential is another budget, from the next call on.
    let patch = json!({"optimove": {"auth": {"api_key": "one-key-2"}}});
    let patch = serde_json::from_value(patch).unwrap();
    tenants::update(&world.app, &Actor::cli(), "twin", patch)
        .await
        .unwrap();
    assert!(!Arc::ptr_eq(&budget("one"), &budget("twin")));
}

#[tokio::test]
async fn tenants_with_one_user_share_one_session() {
    let world = World::start().await;
    let clients = [
        client(&world, "one", 1).await,
        client(&world, "two", 3).await,
    ];
    let twin = json!({
        "id": "twin", "scheduled_channels": [],
        "optimove": {
            "base_url": format!("http://localhost:{}", world.sandbox.address().port()),
            "auth": {"username": "one", "password": "one-password"},
        },
    });
    let new = serde_json::from_value(world.tenant_body(&twin)).unwrap();
    tenants::create(&world.app, &Actor::cli(), new)
        .await
        .unwrap();
    let twin = world.app.tenant("twin").unwrap();
    promotions::sync(&world.app, &Actor::cli(), &twin)
        .await
        .unwrap();
    let path = "/_sandbox/requests?tenant=one";
    let requests = world.control(Method::GET, path, &Value::Null).await;
    assert_eq!(requests["by_function"]["Login"], 1, "{requests}");
    assert_eq!(clients.len(), 2);
}
