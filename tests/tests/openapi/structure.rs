//! Whether a document is OpenAPI 3.1: the rules of its metaschema as far as ours uses them.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::document::DIALECT;

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// # Panics
/// It is not.
pub(crate) fn check(document: &Value) {
    only(document, &["openapi", "info", "paths"], &["servers", "security", "tags", "components"]);
    assert!(text(&document["openapi"]).starts_with("3.1."));
    only(&document["info"], &["title", "version"], &["summary", "description"]);
    for server in list(&document["servers"]) {
        only(server, &["url"], &["description"]);
    }
    for tag in list(&document["tags"]) {
        only(tag, &["name"], &["description"]);
    }
    check_components(document);
    check_security(document, &document["security"]);
    let mut ids = BTreeSet::new();
    for (path, item) in object(&document["paths"]) {
        assert!(path.starts_with('/'), "{path}");
        for (method, operation) in object(item) {
            assert!(METHODS.contains(&method.as_str()), "{path}: {method}");
            check_operation(document, path, operation);
            assert!(ids.insert(text(&operation["operationId"])), "two operations of one id: {path}");
        }
    }
    check_references(document, document);
}

fn check_operation(document: &Value, path: &str, operation: &Value) {
    let more = ["parameters", "requestBody", "security", "description"];
    only(operation, &["operationId", "summary", "tags", "responses"], &more);
    for tag in list(&operation["tags"]) {
        assert!(list(&document["tags"]).iter().any(|known| known["name"] == *tag), "{path}: {tag}");
    }
    if operation.get("security").is_some() {
        check_security(document, &operation["security"]);
    }
    let parameters = list(&operation["parameters"]);
    let mut in_path = BTreeSet::new();
    for parameter in parameters {
        only(parameter, &["name", "in", "schema"], &["description", "required"]);
        let place = text(&parameter["in"]);
        assert!(["query", "header", "path", "cookie"].contains(&place), "{path}: {place}");
        if place == "path" {
            assert_eq!(parameter["required"], true, "{path}");
            in_path.insert(text(&parameter["name"]));
        }
        check_schema(&parameter["schema"]);
    }
    let template: BTreeSet<_> =
        path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
    assert_eq!(in_path, template, "{path}");
    if let Some(body) = operation.get("requestBody") {
        only(body, &["content"], &["required", "description"]);
        check_content(&body["content"]);
    }
    let responses = object(&operation["responses"]);
    assert!(!responses.is_empty(), "{path}");
    for (status, response) in responses {
        assert!(status.parse::<u16>().is_ok_and(|status| (100..600).contains(&status)), "{path}: {status}");
        if response.get("$ref").is_none() {
            check_response(response);
        }
    }
}

fn check_response(response: &Value) {
    only(response, &["description"], &["headers", "content"]);
    if let Some(content) = response.get("content") {
        check_content(content);
    }
}

fn check_content(content: &Value) {
    for (kind, media) in object(content) {
        assert!(kind.contains('/'), "{kind}");
        only(media, &["schema"], &["example"]);
        check_schema(&media["schema"]);
    }
}

fn check_components(document: &Value) {
    let components = &document["components"];
    only(components, &["securitySchemes", "responses", "headers", "schemas"], &[]);
    for scheme in object(&components["securitySchemes"]).values() {
        match text(&scheme["type"]) {
            "http" => only(scheme, &["type", "scheme"], &["description", "bearerFormat"]),
            "apiKey" => {
                only(scheme, &["type", "in", "name"], &["description"]);
                assert!(["query", "header", "cookie"].contains(&text(&scheme["in"])));
            }
            other => panic!("a security scheme of type {other}"),
        }
    }
    object(&components["responses"]).values().for_each(check_response);
    for header in object(&components["headers"]).values() {
        only(header, &["schema"], &["description", "required"]);
        check_schema(&header["schema"]);
    }
    for (name, schema) in object(&components["schemas"]) {
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)), "{name}");
        check_schema(schema);
    }
}

/// Each entry is one way that is enough; an empty list: nobody has to say who they are.
fn check_security(document: &Value, security: &Value) {
    for way in list(security) {
        for (name, scopes) in object(way) {
            assert!(document["components"]["securitySchemes"].get(name).is_some(), "{name}");
            assert_eq!(*scopes, json!([]), "{name} has no scopes");
        }
    }
}

fn check_schema(schema: &Value) {
    assert!(schema.is_object() || schema.is_boolean(), "no schema: {schema}");
    let whole = json!({"$schema": DIALECT, "allOf": [schema]});
    if let Err(problem) = jsonschema::meta::validate(&whole) {
        panic!("no schema of 2020-12: {problem}: {schema}");
    }
}

fn check_references(document: &Value, value: &Value) {
    match value {
        Value::Object(entries) => {
            if let Some(reference) = entries.get("$ref") {
                let pointer = text(reference).strip_prefix('#').expect("within the document");
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
            entries.values().for_each(|value| check_references(document, value));
        }
        Value::Array(values) => values.iter().for_each(|value| check_references(document, value)),
        _ => {}
    }
}

/// These fields, these others where they are, and no more.
fn only(value: &Value, required: &[&str], optional: &[&str]) {
    let entries = object(value);
    for field in required {
        assert!(entries.contains_key(*field), "no {field}: {value}");
    }
    for field in entries.keys() {
        assert!(required.contains(&field.as_str()) || optional.contains(&field.as_str()), "{field}: {value}");
    }
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}"))
}

/// Absent is empty.
fn list(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(values) => values,
        other => panic!("no list: {other}"),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}
