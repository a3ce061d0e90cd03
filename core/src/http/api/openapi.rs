//! The OpenAPI document: the file beside this one, as far as its routes are mounted.

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::http::Route;

const FILE: &str = include_str!("openapi.json");

/// Nobody has to say who they are for it, so it is made once.
static OPEN: LazyLock<Bytes> = LazyLock::new(|| document(Route::OPEN).to_string().into());
static ALL: LazyLock<Bytes> = LazyLock::new(|| document(Route::ALL).to_string().into());

/// The document as it is answered.
pub(super) fn body(with_admin: bool) -> Bytes {
    if with_admin { ALL.clone() } else { OPEN.clone() }
}

/// The document of these routes: what they do not need is left out.
fn document(routes: &[Route]) -> Value {
    // The file is part of the program: a test reads it.
    let mut document: Value = serde_json::from_str(FILE).unwrap_or_default();
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    retain(&mut document["paths"], |path, item| {
        retain(item, |method, _| routes.iter().any(|route| is(*route, method, path)));
        !item.as_object().is_some_and(Map::is_empty)
    });
    let paths = document["paths"].to_string();
    if let Some(tags) = document["tags"].as_array_mut() {
        tags.retain(|tag| paths.contains(&format!("[{}]", tag["name"])));
    }
    while drops_unused(&mut document) {}
    document
}

fn is(route: Route, method: &str, path: &str) -> bool {
    route.path() == path && route.method().as_str().eq_ignore_ascii_case(method)
}

/// Drops the schemas to which nothing refers; true where there were any, since others may be unused now.
fn drops_unused(document: &mut Value) -> bool {
    let text = document.to_string();
    let mut dropped = false;
    retain(&mut document["components"]["schemas"], |name, _| {
        let is_used = text.contains(&format!(r##""#/components/schemas/{name}""##));
        dropped |= !is_used;
        is_used
    });
    dropped
}

/// Keeps the entries of an object that pass.
fn retain(object: &mut Value, mut keep: impl FnMut(&str, &mut Value) -> bool) {
    if let Some(entries) = object.as_object_mut() {
        entries.retain(|name, value| keep(name, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `METHOD /path` of every operation.
    fn operations(document: &Value) -> Vec<String> {
        let paths = document["paths"].as_object().unwrap();
        let of = |(path, item): (&String, &Value)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(|method| format!("{} {path}", method.to_uppercase())).collect::<Vec<_>>()
        };
        paths.iter().flat_map(of).collect()
    }

    #[test]
    fn the_document_has_the_routes_that_are_mounted_and_no_others() {
        assert_eq!(operations(&serde_json::from_str(FILE).unwrap()).len(), Route::ALL.len());
        for (with_admin, routes) in [(false, Route::OPEN), (true, Route::ALL)] {
            let document: Value = serde_json::from_slice(&body(with_admin)).unwrap();
            let mut expected: Vec<_> =
                routes.iter().map(|route| format!("{} {}", route.method(), route.path())).collect();
            let mut found = operations(&document);
            expected.sort();
            found.sort();
            assert_eq!(found, expected);
            assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        }
    }

    #[test]
    fn without_admin_routes_nothing_speaks_of_them() {
        let (open, all) = (document(Route::OPEN), document(Route::ALL));
        for name in ["PushRequest", "KickRequest", "KickAnswer", "Named", "ConnectionId", "Token"] {
            assert!(open["components"]["schemas"].get(name).is_none(), "{name}");
            assert!(all["components"]["schemas"].get(name).is_some(), "{name}");
        }
        assert!(open["components"]["schemas"].get("Session").is_some());
        assert_eq!((open["tags"].as_array().unwrap().len(), all["tags"].as_array().unwrap().len()), (1, 2));
        assert!(!open.to_string().contains("\"admin\""));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(entries) => {
                    found.extend(entries.get("$ref").and_then(Value::as_str));
                    entries.values().for_each(|value| references(value, found));
                }
                Value::Array(values) => values.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        for document in [document(Route::OPEN), document(Route::ALL)] {
            let mut found = Vec::new();
            references(&document, &mut found);
            assert!(found.len() > 20);
            for reference in found {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
        }
    }
}
