//! How SQLite keeps values.

use cml_core::Result;
use half::f16;
use sqlx::{Arguments as _, error::BoxDynError, sqlite::SqliteArguments};
use uuid::Uuid;

use super::error::failed;
use crate::store::sql::{hash, value::Value};

/// Values for the placeholders of a statement.
///
/// # Errors
/// `Internal` when a value could not be encoded.
pub(in crate::store) fn arguments(
    values: std::result::Result<Vec<Value>, BoxDynError>,
) -> Result<SqliteArguments> {
    encoded(values).map_err(|error| failed(sqlx::Error::Encode(error)))
}

fn encoded(
    values: std::result::Result<Vec<Value>, BoxDynError>,
) -> std::result::Result<SqliteArguments, BoxDynError> {
    let mut arguments = SqliteArguments::default();
    for value in values? {
        match value {
            Value::Bool(value) => arguments.add(value),
            Value::Number(value) | Value::Time(value) => arguments.add(value),
            Value::Real(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
            Value::Bytes(value) => arguments.add(value),
            Value::Id(id) => arguments.add(id.map(|id| id.as_bytes().to_vec())),
            Value::AnyOf(ids) => arguments.add(hexadecimal(&ids)),
            Value::AnyName(names) | Value::Texts(names) => arguments.add(serde_json::to_string(&names)?),
            Value::Json(text) => arguments.add(text),
            Value::Ids(ids) => arguments.add(ids.iter().flat_map(|id| *id.as_bytes()).collect::<Vec<u8>>()),
            Value::Hash(text) => match hash::from_hex(&text) {
                Some(bytes) => arguments.add(bytes),
                None => arguments.add(text),
            },
            Value::Vector(halves) => arguments.add(bytes_of(&halves)),
        }?;
    }
    Ok(arguments)
}

/// Ids as a JSON list of hexadecimal text, which a statement reads by
/// `SELECT unhex(value) FROM json_each(?)`.
fn hexadecimal(ids: &[Uuid]) -> String {
    let mut list = String::from("[");
    for id in ids {
        if list.len() > 1 {
            list.push(',');
        }
        list.push('"');
        list.push_str(id.simple().encode_lower(&mut Uuid::encode_buffer()));
        list.push('"');
    }
    list.push(']');
    list
}

fn bytes_of(halves: &[f16]) -> Vec<u8> {
    halves.iter().flat_map(|half| half.to_le_bytes()).collect()
}
