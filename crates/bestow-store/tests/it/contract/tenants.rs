//! Tenants, listeners and tokens.

use bestow_store::tenants::TenantFields;
use bestow_store::tokens::ApiToken;

use crate::support::{Fresh, NOW_MS};

pub(crate) const ACME: TenantFields<'static> = TenantFields {
    id: "acme",
    name: "Acme",
    time_zone: "Europe/Berlin",
    base_url: "https://api4.optimove.net",
    auth_kind: "api_key",
    credential: b"sealed",
    settings: "{}",
};

fn named(id: &'static str) -> TenantFields<'static> {
    TenantFields { id, ..ACME }
}

pub(crate) async fn numbers_count_up(fresh: Fresh) {
    let numbers = fresh
        .tx(|tx| {
            Ok([
                tx.insert_tenant(&ACME)?,
                tx.insert_tenant(&named("zeta"))?,
                tx.insert_tenant(&ACME)?,
                tx.insert_tenant(&named("beta"))?,
            ])
        })
        .await;
    assert_eq!(numbers, [Some(1), Some(2), None, Some(3)]);
}

pub(crate) async fn update_keeps_identity(fresh: Fresh) {
    let changed = TenantFields {
        id: "acme",
        name: "Acme Ltd",
        time_zone: "Asia/Tokyo",
        base_url: "https://api5.optimove.net",
        auth_kind: "login",
        credential: b"other",
        settings: r#"{"a":1}"#,
    };
    let known = fresh
        .tx(move |tx| {
            tx.insert_tenant(&ACME)?;
            Ok([
                tx.update_tenant(&changed)?,
                tx.update_tenant(&named("nobody"))?,
            ])
        })
        .await;
    assert_eq!(known, [true, false]);
    let kept = fresh.read(|tx| tx.tenant("acme")).expect("acme is there");
    assert_eq!((kept.no, kept.created_at), (1, NOW_MS));
    assert_eq!(
        (kept.name, kept.time_zone, kept.base_url, kept.auth_kind),
        (
            "Acme Ltd".into(),
            "Asia/Tokyo".into(),
            "https://api5.optimove.net".into(),
            "login".into()
        )
    );
    assert_eq!(
        (kept.credential, kept.settings),
        (b"other".to_vec(), r#"{"a":1}"#.into())
    );
    assert_eq!(fresh.read(|tx| tx.tenant("nobody")), None);
}

pub(crate) async fn pages_by_id(fresh: Fresh) {
    fresh
        .tx(|tx| {
            for id in ["zeta", "acme", "beta"] {
                tx.insert_tenant(&named(id))?;
            }
            Ok(())
        })
        .await;
    let page = |after: &'static str, limit| {
        let found = fresh.read(|tx| tx.tenants(after, limit));
        found.into_iter().map(|t| t.id).collect::<Vec<_>>()
    };
    assert_eq!(page("", 2), ["acme", "beta"]);
    assert_eq!(page("beta", 2), ["zeta"]);
    assert!(page("zeta", 2).is_empty());
}

pub(crate) async fn suspension_comes_and_goes(fresh: Fresh) {
    fresh
        .tx(|tx| {
            tx.insert_tenant(&ACME)?;
            tx.insert_tenant(&named("beta"))?;
            tx.set_tenant_suspended(1, Some(NOW_MS))
        })
        .await;
    let suspended = |no| {
        fresh
            .read(|tx| tx.tenant_by_no(no))
            .expect("it is there")
            .suspended_at
    };
    assert_eq!((suspended(1), suspended(2)), (Some(NOW_MS), None));
    fresh.tx(|tx| tx.set_tenant_suspended(1, None)).await;
    assert_eq!(suspended(1), None);
}

pub(crate) async fn listeners_rotate(fresh: Fresh) {
    fresh
        .tx(|tx| {
            tx.insert_listener(1, 13, 1, b"first")?;
            tx.insert_listener(1, 13, 1, b"first")?;
            tx.insert_listener(1, 13, 2, b"second")?;
            tx.insert_listener(1, 4, 1, b"another event")?;
            tx.insert_listener(2, 13, 1, b"another tenant")?;
            tx.retire_listeners(1, 13, 2, 100)
        })
        .await;
    // A later rotation must not give a retired secret a longer life.
    fresh.tx(|tx| tx.retire_listeners(1, 13, 3, 200)).await;
    let found = fresh.read(|tx| tx.listeners());
    let kept: Vec<_> = found
        .iter()
        .map(|l| {
            let hash = std::str::from_utf8(&l.secret_hash).expect("text");
            (l.tenant, l.event_type, l.generation, hash, l.retired_at)
        })
        .collect();
    assert_eq!(
        kept,
        [
            (1, 4, 1, "another event", None),
            (1, 13, 1, "first", Some(100)),
            (1, 13, 2, "second", Some(200)),
            (2, 13, 1, "another tenant", None),
        ]
    );
}

pub(crate) async fn tokens_are_refused_once_revoked(fresh: Fresh) {
    let token = |id: &str, tenant| ApiToken {
        id: id.into(),
        secret_hash: format!("hash of {id}").into_bytes(),
        name: "ci".into(),
        role: "operator".into(),
        tenant,
        created_at: NOW_MS,
        expires_at: NOW_MS + 1_000,
        revoked_at: None,
    };
    let (bound, free) = (token("b", Some(1)), token("a", None));
    let both = [bound.clone(), free.clone()];
    fresh
        .tx(move |tx| both.iter().try_for_each(|token| tx.insert_token(token)))
        .await;
    let found = |hash: &'static str| fresh.read(|tx| tx.token_by_hash(hash.as_bytes()));
    assert_eq!(found("hash of b"), Some(bound.clone()));
    assert_eq!(found("hash of c"), None);
    assert_eq!(fresh.read(|tx| tx.tokens()), [free, bound.clone()]);

    let revoked = fresh
        .tx(|tx| {
            Ok([
                tx.revoke_token("b")?,
                tx.revoke_token("b")?,
                tx.revoke_token("c")?,
            ])
        })
        .await;
    assert_eq!(revoked, [true, false, false]);
    let revoked_at = Some(NOW_MS);
    assert_eq!(
        found("hash of b"),
        Some(ApiToken {
            revoked_at,
            ..bound
        })
    );
}
