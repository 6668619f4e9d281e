//! The JSON that travels: requests as clients send them, answers as servers give them, names and paths.
//!
//! Every fixture is written by hand from the REST contract (`docs/rest.md`), none by our own serializer.

#[path = "wire/answers.rs"]
mod answers;
#[path = "wire/errors.rs"]
mod errors;
#[path = "wire/names.rs"]
mod names;
#[path = "wire/original.rs"]
mod original;
#[path = "wire/requests.rs"]
mod requests;
#[path = "wire/sdk.rs"]
mod sdk;
#[path = "wire/shape.rs"]
mod shape;
#[path = "wire/transfer.rs"]
mod transfer;

use std::error::Error;

use chrono::{DateTime, Utc};
use cml_core::MemoryId;

/// The result of a test.
type TestResult<T = ()> = Result<T, Box<dyn Error>>;

/// A memory's id as it stands in the fixtures.
const ID: &str = "0198c0de-0000-7000-8000-000000000001";
/// Another one.
const OTHER_ID: &str = "0198c0de-0000-7000-8000-000000000002";

fn id() -> TestResult<MemoryId> {
    Ok(ID.parse()?)
}

fn instant(text: &str) -> TestResult<DateTime<Utc>> {
    Ok(DateTime::parse_from_rfc3339(text)?.with_timezone(&Utc))
}
