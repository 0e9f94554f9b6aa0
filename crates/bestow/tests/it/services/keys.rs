//! Changing the key that seals credentials and secrets, beside a service that uses them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::sync::Arc;

use bestow::App;
use bestow::actor::Actor;
use bestow::clock::Clock;
use bestow::random::Random;
use bestow::service::keys::{self, Resealed};
use bestow::service::{destinations, tenants};
use bestow_store::Migrate;
use serde_json::json;

use crate::home::Home;

const SECRET: &str = "whsec_c2l4dGVlbiBieXRlcyBhbmQgbW9yZSBvZiB0aGVt";

fn open(home: &Home) -> Arc<App> {
    App::open(
        home.config(),
        Clock::system(),
        Random::seeded(3),
        Migrate::Apply,
    )
    .unwrap()
}

async fn stage(app: &App) {
    for id in ["acme", "blue"] {
        let new = json!({
            "id": id, "name": id, "time_zone": "UTC",
            "optimove": {"base_url": "http://127.0.0.1:1", "auth": {"api_key": "canary-key"}},
            "scheduled_channels": [504], "conditional": true, "expiry": "duration",
            "approval": {"url": "http://127.0.0.1:1/ask", "secret": "canary-approval"},
        });
        let new = serde_json::from_value(new).unwrap();
        tenants::create(app, &Actor::cli(), new).await.unwrap();
    }
    let acme = app.tenant("acme").unwrap();
    let new =
        json!({"id": "hook", "kind": "http", "url": "https://hook.example/", "secret": SECRET});
    let new = serde_json::from_value(new).unwrap();
    destinations::create(app, &Actor::cli(), &acme, new)
        .await
        .unwrap();
}

/// Everything sealed, as the database has it.
fn sealed(app: &App) -> Vec<(String, Vec<u8>)> {
    let read = app.store.peek(|tx| {
        let mut all = Vec::new();
        for tenant in tx.tenants("", 100)? {
            for destination in tx.destinations(tenant.no, "", 100)? {
                let secrets = destination.secrets.unwrap();
                let place = format!("tenant/{}/destination/{}", tenant.id, destination.id);
                all.push((place, secrets));
            }
            all.push((
                bestow::tenant::credential_place(&tenant.id),
                tenant.credential,
            ));
        }
        Ok::<_, bestow_store::Error>(all)
    });
    read.unwrap()
}

#[tokio::test]
async fn the_sealing_key_is_changed_beside_a_running_service() {
    let home = Home::new();
    let service = open(&home);
    stage(&service).await;
    let before = sealed(&service);
    let opened = |app: &App| -> Vec<Vec<u8>> {
        let all = sealed(app);
        all.iter()
            .map(|(place, sealed)| app.keys.open(place, sealed).unwrap())
            .collect()
    };
    let secrets = opened(&service);
    // Nothing was prepared, so there is nothing to change to, and nothing to do.
    assert!(service.keys.promote().is_err());
    let actor = Actor::cli();
    let none = Resealed {
        tenants: 2,
        secrets: 0,
    };
    assert_eq!(keys::reseal(&service, &actor).await.unwrap(), none);
    // As another process does it.
    let random = Random::seeded(4);
    let other = bestow::keys::Keys::load_or_create(&home.config().key_file(), &random).unwrap();
    other.prepare(&random).unwrap();
    other.promote().unwrap();
    assert_eq!(opened(&service), secrets, "the older key still opens");
    let all = Resealed {
        tenants: 2,
        secrets: 5,
    };
    assert_eq!(keys::reseal(&service, &actor).await.unwrap(), all);
    assert_eq!(keys::reseal(&service, &actor).await.unwrap(), none);
    other.drop_old().unwrap();
    // One that starts now has only the new key.
    let fresh = bestow::keys::Keys::load_or_create(&home.config().key_file(), &random).unwrap();
    for ((place, sealed), secret) in sealed(&service).iter().zip(&secrets) {
        assert_eq!(&fresh.open(place, sealed).unwrap(), secret, "{place}");
    }
    for (place, sealed) in &before {
        assert!(
            fresh.open(place, sealed).is_err(),
            "{place} was not sealed anew"
        );
    }
    assert!(!home.holds("canary-key") && !home.holds("canary-approval") && !home.holds(SECRET));
    let records = service
        .store
        .peek(|tx| tx.audit_records(1, 0, 100))
        .unwrap();
    let resealed = records
        .iter()
        .filter(|record| record.action == "tenant.resealed");
    assert_eq!(resealed.count(), 1);
}

#[tokio::test]
async fn what_was_interrupted_goes_on_where_it_was() {
    let home = Home::new();
    let service = open(&home);
    stage(&service).await;
    let random = Random::seeded(4);
    service.keys.prepare(&random).unwrap();
    service.keys.promote().unwrap();
    // As far as an interrupted run came: one tenant's credential.
    let (place, old) = sealed(&service).pop().unwrap();
    let anew = service.keys.reseal(&place, &old, &random).unwrap().unwrap();
    let id = "blue".to_owned();
    let write = service
        .store
        .tx::<_, bestow_store::Error, _>("plant", move |tx| {
            let mut tenant = tx.tenant(&id)?.unwrap();
            tenant.credential.clone_from(&anew);
            tx.update_tenant(&bestow_store::tenants::TenantFields {
                id: &tenant.id,
                name: &tenant.name,
                time_zone: &tenant.time_zone,
                base_url: &tenant.base_url,
                auth_kind: &tenant.auth_kind,
                credential: &tenant.credential,
                settings: &tenant.settings,
            })
        });
    assert!(write.await.unwrap());
    service.keys.promote().expect("done once, it stays done");
    let left = Resealed {
        tenants: 2,
        secrets: 4,
    };
    let done = keys::reseal(&service, &Actor::cli()).await.unwrap();
    assert_eq!(done, left);
}
