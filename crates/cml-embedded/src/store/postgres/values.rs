//! How PostgreSQL keeps values.

use chrono::DateTime;
use cml_core::Result;
use pgvector::HalfVector;
use sqlx::{
    Arguments as _, Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgArguments, PgTypeInfo, types::Oid},
};

use super::error::failed;
use crate::store::sql::{error::malformed, hash, value::Value};

/// Values for the placeholders of a statement.
///
/// # Errors
/// `Internal` when a value could not be encoded.
pub(in crate::store) fn arguments(
    values: std::result::Result<Vec<Value>, BoxDynError>,
) -> Result<PgArguments> {
    encoded(values).map_err(|error| failed(sqlx::Error::Encode(error)))
}

fn encoded(
    values: std::result::Result<Vec<Value>, BoxDynError>,
) -> std::result::Result<PgArguments, BoxDynError> {
    let mut arguments = PgArguments::default();
    for value in values? {
        match value {
            Value::Bool(value) => arguments.add(value),
            Value::Number(value) => arguments.add(value),
            Value::Real(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value),
            Value::Bytes(value) => arguments.add(value),
            Value::Id(id) => arguments.add(id),
            Value::AnyOf(ids) | Value::Ids(ids) => arguments.add(ids),
            Value::AnyName(names) | Value::Texts(names) => arguments.add(names),
            Value::Time(micros) => {
                let instant = |micros| DateTime::from_timestamp_micros(micros);
                let instant =
                    micros.map(|micros| instant(micros).ok_or_else(|| malformed("instant"))).transpose()?;
                arguments.add(instant)
            }
            Value::Json(text) => arguments.add(Json(text)),
            Value::Hash(text) => arguments.add(bytes_of_hash(text)),
            Value::Vector(halves) => arguments.add(HalfVector::from(halves)),
        }?;
    }
    Ok(arguments)
}

/// A content hash as bytes. Any other text comes with zeros before it, so that it has another length.
fn bytes_of_hash(text: String) -> Vec<u8> {
    hash::from_hex(&text).unwrap_or_else(|| {
        let zeros = if text.len() + 1 == hash::LENGTH { 2 } else { 1 };
        [vec![0; zeros], text.into_bytes()].concat()
    })
}

/// The text that is no hash in the bytes of one.
pub(in crate::store) fn text_of_hash(bytes: &[u8]) -> Option<&[u8]> {
    let begin = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    (bytes.len() != hash::LENGTH).then(|| &bytes[begin..])
}

/// A statement with `$1`, `$2`, ... for its `?`, which stand in no text of ours.
pub(in crate::store) fn numbered(sql: &str) -> String {
    let mut parts = sql.split('?');
    let mut text = String::with_capacity(sql.len() + 16);
    text.push_str(parts.next().unwrap_or_default());
    for (index, part) in parts.enumerate() {
        text.push('$');
        text.push_str(&(index + 1).to_string());
        text.push_str(part);
    }
    text
}

/// JSON text, kept as it is: `json`, not `jsonb`.
struct Json(String);

impl Type<Postgres> for Json {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(114))
    }
}

impl Encode<'_, Postgres> for Json {
    fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> std::result::Result<IsNull, BoxDynError> {
        buf.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_and_any_other_text_come_back() {
        let texts =
            ["c0ffee00".repeat(8), String::new(), "no hash".to_owned(), "x".repeat(31), "x".repeat(32)];
        for text in texts {
            let bytes = bytes_of_hash(text.clone());
            let found = match text_of_hash(&bytes) {
                Some(text) => String::from_utf8_lossy(text).into_owned(),
                None => hash::to_hex(&bytes),
            };
            assert_eq!(found, text);
        }
    }

    #[test]
    fn placeholders_are_numbered_from_one() {
        assert_eq!(numbered("SELECT ? WHERE a = ? AND b"), "SELECT $1 WHERE a = $2 AND b");
        assert_eq!(numbered("SELECT 1"), "SELECT 1");
    }
}
