//! The description of the API, generated from the handlers.

use axum::http::Method;
use serde_json::Value;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi as Description, PathItem, RefOr, Response};
use utoipa::{Modify, OpenApi};

use crate::actor::Role;
use crate::http::routes::{Access, table};
use crate::http::{api, gateway, listener};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Bestow",
        description = "A promotion system for Optimove campaigns. The rules of all routes: docs/api-design.md.",
    ),
    paths(
        api::tenants::create, api::tenants::list, api::tenants::get, api::tenants::update,
        api::tenants::delete, api::tenants::suspend, api::tenants::resume, api::listeners::sync, api::listeners::rotate,
        api::promotions::list, api::promotions::sync, api::promotions::get, api::promotions::put,
        api::promotions::versions, api::promotions::stop, api::promotions::resume, api::promotions::import,
        api::codes::load, api::codes::get, api::codes::void, api::codes::of_campaign,
        api::archives::list, api::archives::of_customer,
        api::grants::of_customer, api::grants::of_campaign, api::eligibility::ask,
        api::redemptions::redeem, api::redemptions::list, api::redemptions::get, api::redemptions::reverse,
        api::redemptions::confirm, api::redemptions::cancel,
        api::campaigns::list, api::campaigns::get, api::campaigns::suspend, api::campaigns::resume,
        api::campaigns::revoke, api::campaigns::dry_run, api::campaigns::approve, api::campaigns::refuse,
        api::notifications::list, api::notifications::get, api::notifications::replay,
        api::held::list, api::held::release, api::findings::list, api::findings::settle, api::audit::list, api::audit::checkpoints, api::why::tell,
        api::exclusions::list, api::exclusions::exclude, api::exclusions::include, api::exclusions::include_one,
        api::destinations::list, api::destinations::create, api::destinations::get, api::destinations::update,
        api::destinations::end, api::deliveries::list, api::deliveries::retry,
        api::events::stream, api::clock::get, api::clock::set, api::clock::advance,
        api::clock::confirm,
        api::health::alive, api::health::ready, api::health::metrics, listener::take, gateway::ask,
    ),
    modifiers(&Names, &Rights, &Problems),
)]
struct Described;

/// Names each operation after its method and path, since handlers of several files share names.
struct Names;

impl Modify for Names {
    fn modify(&self, described: &mut Description) {
        for (path, item) in &mut described.paths.paths {
            let words: Vec<_> = path
                .split('/')
                .map(|piece| piece.trim_matches(['{', '}']))
                .filter(|piece| !piece.is_empty() && *piece != "v1")
                .collect();
            for method in METHODS {
                if let Some(operation) = operation(item, &method) {
                    let method = method.as_str().to_lowercase();
                    operation.operation_id = Some(format!("{method}_{}", words.join("_")));
                }
            }
        }
    }
}

/// Says of each route what the table of routes says: who may use it.
struct Rights;

impl Modify for Rights {
    fn modify(&self, described: &mut Description) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = described.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        for route in table() {
            let (Access::Any(roles) | Access::Deployment(roles) | Access::Tenant(roles)) =
                route.access
            else {
                continue;
            };
            let item = described.paths.paths.get_mut(route.path);
            if let Some(operation) = item.and_then(|item| operation(item, &route.method)) {
                let names: Vec<_> = roles.iter().copied().map(Role::as_str).collect();
                let text = operation.description.get_or_insert_default();
                text.push_str("\n\nRoles: ");
                text.push_str(&names.join(", "));
                text.push('.');
                let needed = SecurityRequirement::new("bearer", Vec::<String>::new());
                operation.security = Some(vec![needed]);
            }
        }
    }
}

/// Says that problems come in a type of their own.
struct Problems;

impl Modify for Problems {
    fn modify(&self, described: &mut Description) {
        let items = described.paths.paths.values_mut();
        let operations = items.flat_map(|item| {
            let PathItem {
                get,
                post,
                put,
                patch,
                delete,
                ..
            } = item;
            [get, post, put, patch, delete].into_iter().flatten()
        });
        for operation in operations {
            for response in operation.responses.responses.values_mut() {
                let RefOr::T(Response { content, .. }) = response else {
                    continue;
                };
                if content.get(JSON).is_some_and(is_problem)
                    && let Some(problem) = content.shift_remove(JSON)
                {
                    content.insert(PROBLEM.to_owned(), problem);
                }
            }
        }
    }
}

fn is_problem(content: &RefOr<Content>) -> bool {
    let RefOr::T(Content {
        schema: Some(RefOr::Ref(to)),
        ..
    }) = content
    else {
        return false;
    };
    to.ref_location.ends_with("/Problem")
}

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// The methods that routes have.
const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
];

fn operation<'a>(item: &'a mut PathItem, method: &Method) -> Option<&'a mut Operation> {
    match *method {
        Method::GET => item.get.as_mut(),
        Method::POST => item.post.as_mut(),
        Method::PUT => item.put.as_mut(),
        Method::PATCH => item.patch.as_mut(),
        Method::DELETE => item.delete.as_mut(),
        _ => None,
    }
}

/// The description as JSON, with a line's end at its end: what `docs/openapi.json` holds.
pub fn document() -> String {
    const JSON: &str = "a description made of texts is always JSON";
    let mut described = serde_json::to_value(Described::openapi()).expect(JSON);
    unwrap_lines(&mut described);
    let mut text = serde_json::to_string_pretty(&described).expect(JSON);
    text.push('\n');
    text
}

/// Joins the lines of paragraphs, so that the description does not depend on where a comment in the
/// code is wrapped.
fn unwrap_lines(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "description" => {
                        let paragraphs: Vec<_> = text
                            .split("\n\n")
                            .map(|one| one.replace('\n', " "))
                            .collect();
                        *text = paragraphs.join("\n\n");
                    }
                    value => unwrap_lines(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(unwrap_lines),
        _ => {}
    }
}
