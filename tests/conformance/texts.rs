//! Texts, instants and checks that several subjects use.

use std::{fmt::Display, panic::Location};

use cml::{
    Error, ErrorKind, MemoryId, Result,
    memory::{Fact, MemoryItem, MemoryRecord, Metadata},
    ops::ReadRequest,
};
use libtest_mimic::Failed;
use serde_json::Value;

use crate::case::CaseResult;

/// An instant in UTC.
pub(crate) type Instant = chrono::DateTime<chrono::Utc>;

/// Statements about nothing that a case asks for: no food, no tools, no persons' data.
pub(crate) const UNRELATED: [&str; 32] = [
    "The river froze over in January.",
    "Our neighbour plays the trumpet on Sundays.",
    "The train to the coast was delayed by an hour.",
    "A fox crossed the garden this morning.",
    "The museum opened a new wing about volcanoes.",
    "My brother repaired the roof of the shed.",
    "The chess club meets in the old school.",
    "We watched the lunar eclipse from the hill.",
    "The bicycle needs a new chain.",
    "Grandma sent a postcard from Norway.",
    "The lighthouse was painted white again.",
    "The choir rehearses in the town hall.",
    "Two swans nest by the canal.",
    "The elevator in the tower is out of order.",
    "A thunderstorm cut the power for a while.",
    "The orchestra hired a new conductor.",
    "Our hike ended at a waterfall.",
    "The ferry to the island runs twice a day.",
    "The kids built a tree house.",
    "The novel about the desert won a prize.",
    "Snow fell on the mountain pass.",
    "The dentist moved to another building.",
    "A balloon landed in the meadow.",
    "The bridge was closed for repairs.",
    "The astronomy lecture was about comets.",
    "The carpenter carved an owl.",
    "Leaves covered the tennis court.",
    "The clock tower struck twelve.",
    "Our cousin teaches geography.",
    "The beach was empty on Monday.",
    "The violinist broke a string.",
    "The parade went past the station.",
];

/// `count` different sentences, each with its number.
pub(crate) fn sentences(count: usize) -> Vec<String> {
    const WHO: [&str; 10] =
        ["gardener", "pilot", "baker", "sailor", "painter", "farmer", "tailor", "miller", "weaver", "hunter"];
    const WHAT: [&str; 10] = [
        "lantern", "ladder", "barrel", "mirror", "basket", "hammer", "blanket", "anchor", "trumpet", "saddle",
    ];
    const WHERE: [&str; 10] = [
        "harbour", "orchard", "castle", "market", "valley", "chapel", "quarry", "station", "meadow",
        "library",
    ];
    let part = |list: [&'static str; 10], n: usize| list[n % 10];
    (0..count)
        .map(|n| {
            format!(
                "The {} left {} number {n} behind the {}.",
                part(WHO, n),
                part(WHAT, n / 10),
                part(WHERE, n / 100 + n)
            )
        })
        .collect()
}

/// An instant in RFC 3339.
pub(crate) fn at(text: &str) -> CaseResult<Instant> {
    Ok(chrono::DateTime::parse_from_rfc3339(text)?.to_utc())
}

/// A JSON object.
pub(crate) fn metadata(value: Value) -> CaseResult<Metadata> {
    match value {
        Value::Object(fields) => Ok(fields),
        other => Err(Failed::from(format!("{other} is no object"))),
    }
}

/// A read without the relevance floor, of up to 50 results.
pub(crate) fn open(query: &str) -> ReadRequest {
    ReadRequest::new(query).with_min_relevance(0.0).with_max_results(50usize)
}

/// A failure that names the line of the case.
#[track_caller]
fn failure(text: impl Display) -> Failed {
    Failed::from(format!("{text} at {}", Location::caller()))
}

/// The error of a call that must fail with `kind`.
#[track_caller]
pub(crate) fn failed<T>(result: Result<T>, kind: ErrorKind) -> CaseResult<Error> {
    match result {
        Err(error) if error.kind() == kind => Ok(error),
        Err(error) => Err(failure(format_args!("expected {kind}, got {}: {error}", error.kind()))),
        Ok(_) => Err(failure(format_args!("expected {kind}, got success"))),
    }
}

/// Passes when a call fails with `InvalidInput` that names `field`.
#[track_caller]
pub(crate) fn invalid<T>(result: Result<T>, field: &str) -> CaseResult {
    let error = failed(result, ErrorKind::InvalidInput)?;
    if error.fields().iter().any(|broken| broken.field == field) {
        Ok(())
    } else {
        Err(failure(format_args!("expected the field {field} to be named: {error}")))
    }
}

/// What must be there.
#[track_caller]
pub(crate) fn some<T>(value: Option<T>, what: &str) -> CaseResult<T> {
    match value {
        Some(value) => Ok(value),
        None => Err(failure(format_args!("missing: {what}"))),
    }
}

/// Ids of items, in their order.
pub(crate) fn ids(items: &[MemoryItem]) -> Vec<MemoryId> {
    items.iter().map(|item| item.id).collect()
}

/// Texts of items, in their order.
pub(crate) fn texts(items: &[MemoryItem]) -> Vec<&str> {
    items.iter().map(|item| item.text.as_str()).collect()
}

/// Ids of records, in their order.
pub(crate) fn record_ids(records: &[MemoryRecord]) -> Vec<MemoryId> {
    records.iter().map(|record| record.id).collect()
}

/// A sorted copy.
pub(crate) fn sorted<T: Ord + Clone>(values: &[T]) -> Vec<T> {
    let mut values = values.to_vec();
    values.sort();
    values
}

/// Whether a text holds a word, letter case ignored.
pub(crate) fn holds(text: &str, word: &str) -> bool {
    text.to_lowercase().contains(&word.to_lowercase())
}

/// Values of facts that hold one of the words, sorted.
pub(crate) fn values<'a>(facts: &'a [Fact], words: &[&str]) -> Vec<&'a str> {
    let mut values: Vec<&str> = facts
        .iter()
        .map(|fact| fact.value.as_str())
        .filter(|value| words.iter().any(|word| holds(value, word)))
        .collect();
    values.sort_unstable();
    values
}

/// The only fact whose value holds `word`.
#[track_caller]
pub(crate) fn fact<'a>(facts: &'a [Fact], word: &str) -> CaseResult<&'a Fact> {
    let found: Vec<&Fact> = facts.iter().filter(|fact| holds(&fact.value, word)).collect();
    match found[..] {
        [fact] => Ok(fact),
        _ => Err(failure(format_args!("expected one fact with the value {word}, got {found:?}"))),
    }
}
