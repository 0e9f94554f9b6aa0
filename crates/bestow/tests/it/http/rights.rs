//! Who may use which route: the whole table of routes, by every role, for the own tenant and for a
//! foreign one.

use std::path::Path;

use bestow::actor::{Actor, Role};
use bestow::http::routes::{Access, Route, table};
use bestow::service::tokens;
use serde_json::Value;

use super::support::{ADMIN, Answer, Service};

/// An address of the route. Whatever the route would do, it is not given what it needs to do it.
fn address(route: &Route, tenant: &str) -> String {
    let path = route
        .path
        .replace("{tenant}", tenant)
        .replace("{code}", "FS20")
        .replace("{customer}", "a")
        .replace("{unique_code}", "K1")
        .replace("{id}", "404");
    // Refused once the asker is in, so that the stream of events does not keep the test.
    if path == "/v1/events" {
        format!("{path}?bogus=1")
    } else {
        path
    }
}

/// The table of routes as people read it.
fn written() -> String {
    let mut lines = vec![
        "| route | which tenants | roles |".to_owned(),
        "| --- | --- | --- |".to_owned(),
    ];
    for route in table() {
        let (tenants, roles): (_, &[Role]) = match route.access {
            Access::Public => ("", &[]),
            Access::Any(roles) => ("those the token may see", roles),
            Access::Deployment(roles) => ("only tokens of all tenants", roles),
            Access::Tenant(roles) => ("the one in the path", roles),
        };
        let names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
        let names = match (roles.len(), names.join(", ")) {
            (0, _) => "whoever comes".to_owned(),
            (5, _) => "all".to_owned(),
            (_, names) => names,
        };
        lines.push(format!(
            "| `{} {}` | {tenants} | {names} |",
            route.method, route.path
        ));
    }
    lines.join("\n")
}

#[test]
fn the_committed_table_of_rights_is_that_of_the_code() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rights.md");
    let page = std::fs::read_to_string(page).expect("docs/rights.md is there");
    let table = page.find("| route |").map(|at| page[at..].trim_end());
    let wanted = written();
    assert!(
        table == Some(&wanted),
        "the table in docs/rights.md is not that of the routes; this is:\n\n{wanted}\n"
    );
}

/// All routes; the one that ends a tenant comes last.
fn routes() -> Vec<Route> {
    let mut routes = table();
    routes.sort_by_key(|route| route.method == "DELETE" && route.path == "/v1/tenants/{tenant}");
    routes
}

/// What the table says to a role that is bound to a tenant, or to none, when it asks for `acme`.
fn expected(access: Access, role: Role, bound_to: Option<&str>) -> u16 {
    let (roles, is_closed) = match access {
        Access::Public => return 200,
        Access::Any(roles) | Access::Tenant(roles) => (roles, false),
        Access::Deployment(roles) => (roles, bound_to.is_some()),
    };
    match access {
        _ if !roles.contains(&role) || is_closed => 403,
        Access::Tenant(_) if bound_to.is_some_and(|own| own != "acme") => 404,
        _ => 200,
    }
}

async fn call(service: &Service, route: &Route, tenant: &str, token: Option<&str>) -> Answer {
    let (method, path) = (route.method.as_str(), address(route, tenant));
    service.call_as(token, method, &path, &Value::Null).await
}

async fn quick() -> Service {
    Service::start_with(|config| {
        config.optimove.tries_max = 1;
        config.optimove.retry_ms = 1;
    })
    .await
}

#[tokio::test]
async fn every_route_takes_the_roles_it_declares_and_no_others() {
    let service = quick().await;
    let mut tokens = Vec::new();
    for role in Role::ALL {
        for bound_to in [None, Some("acme"), Some("blue")] {
            tokens.push((role, bound_to, service.token(role, bound_to).await));
        }
    }
    for route in routes() {
        let unknown = call(&service, &route, "nobody", Some(ADMIN)).await;
        for (role, bound_to, token) in &tokens {
            let answer = call(&service, &route, "acme", Some(token)).await;
            let what = format!(
                "{} {} as {role:?} of {bound_to:?}",
                route.method, route.path
            );
            match expected(route.access, *role, *bound_to) {
                403 => assert_eq!(answer.problem(), (403, "forbidden".to_owned()), "{what}"),
                404 => assert_eq!(answer.body, unknown.body, "{what}"),
                _ => {
                    assert!(
                        ![401, 403, 405, 500].contains(&answer.status),
                        "{what}: {answer:?}"
                    );
                    let is_foreign =
                        matches!(route.access, Access::Tenant(_)) && answer.body == unknown.body;
                    assert!(!is_foreign, "{what}");
                }
            }
        }
    }
}

#[tokio::test]
async fn without_a_valid_token_nothing_but_the_public_routes_answers() {
    let service = quick().await;
    let before = service.everything();
    let revoked = service.token(Role::Admin, None).await;
    let id = revoked.split('_').nth(1).unwrap();
    tokens::revoke(&service.app, &Actor::cli(), id)
        .await
        .unwrap();
    let wrong = format!("{}x", service.token(Role::Admin, None).await);
    for route in routes() {
        for token in [
            None,
            Some(""),
            Some("nonsense"),
            Some(&revoked[..]),
            Some(&wrong[..]),
        ] {
            let answer = call(&service, &route, "acme", token).await;
            if route.access == Access::Public {
                assert_eq!(answer.status, 200, "{}", route.path);
            } else {
                assert_eq!(
                    answer.problem(),
                    (401, "unauthorized".to_owned()),
                    "{}",
                    route.path
                );
                assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            }
        }
    }
    assert_eq!(service.everything(), before);
}

#[tokio::test]
async fn an_expired_token_is_no_token() {
    let service = Service::start().await;
    let token = service.token(Role::Viewer, None).await;
    let path = "/v1/tenants/acme";
    assert_eq!(
        service
            .call_as(Some(&token), "GET", path, &Value::Null)
            .await
            .status,
        200
    );
    assert!(service.app.clock.advance(366 * 86_400_000));
    assert_eq!(
        service
            .call_as(Some(&token), "GET", path, &Value::Null)
            .await
            .status,
        401
    );
}

#[tokio::test]
async fn a_bound_token_sees_its_own_tenant_in_the_list() {
    let service = Service::start().await;
    let token = service.token(Role::Viewer, Some("blue")).await;
    let list = service
        .call_as(Some(&token), "GET", "/v1/tenants", &Value::Null)
        .await;
    let (rows, next) = list.list();
    assert_eq!(
        (rows.len(), &rows[0]["id"], next),
        (1, &Value::from("blue"), None)
    );
    assert_eq!(service.get("/v1/tenants").await.list().0.len(), 2);
}

#[tokio::test]
async fn what_anybody_may_see_names_no_tenant() {
    let service = Service::start().await;
    service.get("/v1/tenants/acme").await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        let answer = service.call_as(None, "GET", path, &Value::Null).await;
        assert_eq!(answer.status, 200);
        assert!(!answer.text().contains("acme"), "{}", answer.text());
    }
    let numbers = service.get("/metrics").await;
    let line =
        r#"bestow_http_requests_total{method="GET",route="/v1/tenants/{tenant}",status="2xx"} 1"#;
    assert!(
        numbers.text().lines().any(|one| one == line),
        "{}",
        numbers.text()
    );
}
