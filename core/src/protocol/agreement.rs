//! `docs/PROTOCOL.md` and what this crate speaks: the same messages, codes and words.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde::Deserialize;
use serde_json::Value;

use super::*;
use crate::{Advice, Cause, Close};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn document() -> String {
    fs::read_to_string(root().join("docs/PROTOCOL.md")).unwrap()
}

/// What stands between two texts.
fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let rest = text.split_once(start).unwrap_or_else(|| panic!("no {start:?}")).1;
    rest.split_once(end).unwrap_or_else(|| panic!("no {end:?}")).0
}

/// The words in backquotes.
fn quoted(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Each message of one of the two tables, with the words of its row.
fn table(direction: &str) -> BTreeMap<String, BTreeSet<String>> {
    let document = document();
    let table = between(&document, &format!("\n{direction}\n\n"), "\n\n");
    let mut messages = BTreeMap::new();
    for row in table.lines().skip(2) {
        let (types, rest) = row.trim_start_matches('|').split_once('|').unwrap();
        let words = quoted(rest);
        let fields: BTreeSet<String> = words
            .iter()
            .flat_map(|words| words.split(|c: char| !c.is_ascii_alphanumeric()))
            .map(str::to_owned)
            .collect();
        messages.extend(quoted(types).into_iter().map(|kind| (kind, fields.clone())));
    }
    messages
}

/// Every frame of the fixtures of one direction.
fn frames(direction: &str) -> Vec<Value> {
    let files = fs::read_dir(root().join("protocol/fixtures")).unwrap();
    let fixtures = files.map(|file| fs::read(file.unwrap().path()).unwrap());
    let fixtures = fixtures.map(|bytes| serde_json::from_slice::<Value>(&bytes).unwrap());
    fixtures
        .filter(|fixture| fixture["direction"] == direction)
        .map(|fixture| fixture["frame"].clone())
        .collect()
}

#[test]
fn every_message_of_the_document_has_a_fixture_and_every_field_of_a_fixture_is_in_the_document() {
    for (title, direction) in [("Client → server", "client"), ("Server → client", "server")] {
        let table = table(title);
        let mut seen = BTreeSet::new();
        for frame in frames(direction) {
            let kind = frame["type"].as_str().unwrap().to_owned();
            let Some(fields) = table.get(&kind) else {
                assert_eq!(kind, "dance", "a type that the document does not have");
                continue;
            };
            for field in frame.as_object().unwrap().keys().filter(|field| *field != "type") {
                assert!(fields.contains(field), "{kind}.{field} is not in the document: {fields:?}");
            }
            seen.insert(kind);
        }
        assert_eq!(seen, table.into_keys().collect(), "{title}");
    }
}

#[test]
fn the_error_codes_of_the_document_are_those_of_the_code() {
    let document = document();
    let listed = between(&document, "Error codes: `", "` (`*`");
    let listed: BTreeSet<(String, bool)> = listed
        .split_whitespace()
        .map(|word| (word.trim_end_matches('*').to_owned(), word.ends_with('*')))
        .collect();
    let ours: BTreeSet<(String, bool)> = ErrorCode::ALL
        .iter()
        .map(|code| (serde_json::to_value(code).unwrap().as_str().unwrap().to_owned(), code.temporary()))
        .collect();
    assert_eq!(listed, ours);
}

#[test]
fn the_causes_of_the_document_are_those_of_the_code() {
    let document = document();
    let listed: BTreeSet<&str> = between(&document, "`cause` says more: `", "`").split_whitespace().collect();
    assert_eq!(listed, Cause::ALL.iter().map(|cause| cause.as_str()).collect());
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Coded {
    code: u16,
    reason: Option<String>,
    advice: String,
}

fn advised(code: u16, reason: Option<&str>) -> Coded {
    let advice = match Advice::of(code) {
        Advice::Stop => "stop",
        Advice::BackOff => "backOff",
        Advice::AtOnce => "atOnce",
        Advice::RefreshToken => "refreshToken",
        Advice::RefreshOnce => "refreshOnce",
    };
    Coded { code, reason: reason.map(str::to_owned), advice: advice.to_owned() }
}

/// The TypeScript client reads the same file.
#[test]
fn the_table_of_close_codes_is_the_one_that_clients_mirror() {
    let file = fs::read(root().join("protocol/close-codes.json")).unwrap();
    let listed: Vec<Coded> = serde_json::from_slice(&file).unwrap();
    let table = Close::TABLE.iter().map(|close| advised(close.code(), Some(close.reason())));
    let others = listed[Close::TABLE.len()..].iter().map(|other| advised(other.code, None));
    assert_eq!(listed, table.chain(others).collect::<Vec<_>>());
}
