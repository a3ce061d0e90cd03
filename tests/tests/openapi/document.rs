//! A document as a server gave it, and the requests that are held against it.

use std::collections::BTreeSet;

use herenow_conformance::{Server, client::Response};
use serde_json::{Map, Value, json};

/// The dialect of OpenAPI 3.1 is this one with a few words more, none of which we use.
pub(crate) const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    /// As the document has it.
    pub(crate) path: String,
    /// As it is sent.
    target: String,
    pub(crate) body: Option<Value>,
    headers: Vec<(String, String)>,
}

impl Ask {
    pub(crate) fn get(path: &str) -> Self {
        let headers = Vec::new();
        Self { method: "GET", path: path.to_owned(), target: path.to_owned(), body: None, headers }
    }

    pub(crate) fn post(path: &str, body: Option<Value>) -> Self {
        Self { method: "POST", body, ..Self::get(path) }
    }

    pub(crate) fn at(self, target: &str) -> Self {
        Self { target: target.to_owned(), ..self }
    }

    pub(crate) fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Whether it needs no user.
    pub(crate) fn is_for_anybody(&self) -> bool {
        ["/openapi.json", "/client.js", "/ready"].contains(&self.path.as_str())
    }

    pub(crate) fn is_for_admins(&self) -> bool {
        ["/push", "/broadcast", "/kick"].contains(&self.path.as_str())
    }
}

pub(crate) struct Document {
    pub(crate) json: Value,
    /// Where it was fetched.
    url: String,
    /// Operation and status of every answer so far.
    seen: BTreeSet<(String, u16)>,
}

impl Document {
    /// It needs no user.
    pub(crate) async fn fetch(server: &Server, mount: &str) -> Self {
        let url = format!("{mount}/openapi.json");
        let json = server.request("GET", &url).send().await.ok();
        Self { json, url, seen: BTreeSet::new() }
    }

    /// What the paths stand behind: the server's URL, read relative to the document's own.
    pub(crate) fn base(&self) -> &str {
        assert_eq!(self.json["servers"][0]["url"], ".", "this test reads no other");
        self.url.rsplit_once('/').expect("a path").0
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = (&String, &Map<String, Value>)> {
        let paths = self.json["paths"].as_object().expect("paths").iter();
        paths.map(|(path, item)| (path, item.as_object().expect("a path item")))
    }

    /// Method, path and operation of each.
    pub(crate) fn operations(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        self.paths().flat_map(|(path, item)| {
            item.iter().map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
        })
    }

    /// What a reference stands for, or the value itself.
    fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value["$ref"].as_str() else { return value };
        self.json.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{reference}"))
    }

    /// Sends a request, and holds it and its answer against the document. Returns the body of the answer.
    pub(crate) async fn check(&mut self, server: &Server, ask: Ask, expected: u16) -> Value {
        let operation = self.json["paths"][&ask.path][ask.method.to_lowercase()].clone();
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("not in the document: {ask:?}"));
        let mut dial = server.request(ask.method, &format!("{}{}", self.base(), ask.target));
        for (name, value) in &ask.headers {
            dial = dial.header(name, value);
        }
        if let Some(body) = &ask.body {
            dial = dial.header("Content-Type", "application/json").body(body);
        }
        let answer = dial.send().await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, expected, "{ask:?}: {text}");
        let described = &operation["responses"][expected.to_string()];
        assert!(described.is_object(), "{id}: {expected} is not in the document");
        let described = self.resolved(described).clone();
        self.check_request(&operation, &ask, expected);
        self.check_headers(&described, &answer, id);
        let body = self.check_body(&described, &answer, id);
        self.seen.insert((id.to_owned(), expected));
        body
    }

    /// The schema takes the body that the server takes, and refuses the one that it refuses as nonsense.
    fn check_request(&self, operation: &Value, ask: &Ask, status: u16) {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let Some(body) = ask.body.as_ref().filter(|_| schema.is_object()) else { return };
        let problems = self.problems(schema, body);
        match status {
            400 if ask.headers.len() == 1 => assert!(!problems.is_empty(), "the schema takes {body}"),
            413 => {}
            _ => assert!(problems.is_empty(), "the schema refuses {body}: {problems:?}"),
        }
    }

    fn check_headers(&self, described: &Value, answer: &Response, id: &str) {
        for (name, header) in described["headers"].as_object().into_iter().flatten() {
            let header = self.resolved(header);
            let said = answer.header(&name.to_lowercase());
            let said = said.unwrap_or_else(|| panic!("{id} {}: no {name}", answer.status));
            let value = match header["schema"]["type"].as_str() {
                Some("integer") => said.parse::<u64>().map(Value::from).unwrap_or(Value::Null),
                _ => Value::from(said),
            };
            let problems = self.problems(&header["schema"], &value);
            assert!(problems.is_empty(), "{id} {name}: {problems:?}");
        }
    }

    fn check_body(&self, described: &Value, answer: &Response, id: &str) -> Value {
        let Some(content) = described["content"].as_object() else {
            assert!(answer.body.is_empty(), "{id} {}: a body that is not in the document", answer.status);
            return Value::Null;
        };
        let kind = answer.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default();
        let described = content.get(kind).unwrap_or_else(|| panic!("{id}: {kind} is not in the document"));
        if kind != "application/json" {
            return Value::Null; // A stream, which another test reads.
        }
        let body = answer.json();
        let problems = self.problems(&described["schema"], &body);
        assert!(problems.is_empty(), "{id} {}: {problems:?}\n{body}", answer.status);
        if id != "describe" {
            assert_eq!(body["code"], answer.status, "{id}");
        }
        body
    }

    /// What speaks against a value; a field that the document does not name does.
    fn problems(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut components = self.json["components"].clone();
        close(&mut components);
        let whole = json!({"$schema": DIALECT, "components": components, "allOf": [schema]});
        let validator = jsonschema::validator_for(&whole).expect("a schema");
        validator
            .iter_errors(value)
            .map(|problem| format!("{}: {problem}", problem.instance_path()))
            .collect()
    }

    /// Every answer that the document names was seen at every operation, but for these.
    pub(crate) fn every_answer_was_seen_but(&self, others: [u16; 4]) {
        for (_, path, operation) in self.operations() {
            let id = operation["operationId"].as_str().expect("an id");
            for status in operation["responses"].as_object().expect("responses").keys() {
                let status: u16 = status.parse().expect("a status");
                let was_seen = self.seen.contains(&(id.to_owned(), status));
                assert!(was_seen || others.contains(&status), "{path} was never answered with {status}");
            }
        }
    }
}

/// Lets no object have more fields than it names.
fn close(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.values_mut().for_each(close);
            let is_object = entries.get("type").is_some_and(|kind| kind == "object");
            if is_object && entries.contains_key("properties") {
                entries.entry("additionalProperties").or_insert(Value::Bool(false));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(close),
        _ => {}
    }
}
