use bestow::actor::{Actor, Role};
use bestow::service::tokens::{self, NewToken, TokenMade};

use super::code;
use crate::support::{TOKEN, World};

fn new(role: &str, tenant: Option<&str>, days: u32) -> NewToken {
    let tenant = tenant.map(str::to_owned);
    NewToken {
        name: "test".to_owned(),
        role: role.to_owned(),
        tenant,
        days: Some(days),
    }
}

async fn create(world: &World, new: NewToken) -> bestow::Result<TokenMade> {
    tokens::create(&world.app, &Actor::cli(), new).await
}

#[tokio::test]
async fn a_token_is_accepted_until_it_expires_or_is_revoked() {
    let world = World::connected().await;
    let bound = create(&world, new("viewer", Some("acme"), 1))
        .await
        .unwrap();
    let free = create(&world, new("admin", None, 10)).await.unwrap();
    let who = tokens::authenticate(&world.app, &bound.token).unwrap();
    assert_eq!(
        (who.role, who.tenant),
        (Role::Viewer, Some(world.acme().no()))
    );
    assert_eq!(
        tokens::authenticate(&world.app, &free.token)
            .unwrap()
            .tenant,
        None
    );
    world.travel("2027-03-26T05:59:59Z").await;
    assert!(tokens::authenticate(&world.app, &bound.token).is_some());
    world.travel("2027-03-26T06:00:00Z").await;
    assert!(tokens::authenticate(&world.app, &bound.token).is_none());
    tokens::revoke(&world.app, &Actor::cli(), &free.id)
        .await
        .unwrap();
    assert!(tokens::authenticate(&world.app, &free.token).is_none());
    let mut statuses: Vec<String> = tokens::list(&world.app)
        .unwrap()
        .into_iter()
        .map(|token| token.status)
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["expired", "revoked"]);
    let again = tokens::revoke(&world.app, &Actor::cli(), &free.id)
        .await
        .unwrap_err();
    assert_eq!(code(&again), "token");
}

#[tokio::test]
async fn nothing_but_the_whole_text_is_accepted() {
    let world = World::start().await;
    let made = create(&world, new("operator", None, 1)).await.unwrap();
    let cut = &made.token[..made.token.len() - 1];
    let longer = format!("{}A", made.token);
    for text in ["", "bst_", cut, &longer, &made.id, &TOKEN[1..], "Bearer"] {
        assert!(tokens::authenticate(&world.app, text).is_none(), "{text}");
    }
    assert_eq!(
        tokens::authenticate(&world.app, TOKEN).unwrap().id,
        "admin-token"
    );
    assert!(made.token.starts_with(&format!("bst_{}_", made.id)));
    assert!(
        !format!("{made:?}").contains(&made.token),
        "it is not printed by accident"
    );
}

#[tokio::test]
async fn without_an_admin_token_an_empty_text_is_nobody() {
    let world = World::with(|config| config.admin_token.0.clear()).await;
    assert!(tokens::authenticate(&world.app, "").is_none());
}

#[tokio::test]
async fn roles_spans_and_tenants_are_checked() {
    let world = World::start().await;
    let cases = [
        (new("king", None, 1), "bad_role"),
        (new("viewer", None, 0), "bad_days"),
        (new("viewer", None, 3_651), "bad_days"),
        (new("viewer", Some("nobody"), 1), "tenant"),
    ];
    for (new, wanted) in cases {
        assert_eq!(code(&create(&world, new).await.unwrap_err()), wanted);
    }
    assert_eq!(tokens::list(&world.app).unwrap(), []);
}
