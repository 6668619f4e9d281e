//! Values of statements and of rows: what a placeholder takes and what a column holds.

use chrono::{DateTime, Utc};
use cml_core::{Result, Score, memory::Metadata};
use half::f16;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{
    Arguments as _, Decode, Encode, Row as _, Sqlite, Type, TypeInfo as _, ValueRef as _,
    error::BoxDynError,
    sqlite::{SqliteArguments, SqliteRow},
};
use uuid::Uuid;

use super::error::{failed, malformed};
use crate::store::Vector;

/// Values for the placeholders of a statement, in order.
#[derive(Default)]
pub(super) struct Binds {
    values: SqliteArguments,
    error: Option<BoxDynError>,
}

impl Binds {
    pub(super) fn add<'t, T: Encode<'t, Sqlite> + Type<Sqlite>>(&mut self, value: T) -> &mut Self {
        if let Err(error) = self.values.add(value) {
            self.error.get_or_insert(error);
        }
        self
    }

    pub(super) fn id(&mut self, id: &Uuid) -> &mut Self {
        self.add(id.as_bytes().as_slice())
    }

    pub(super) fn ids<'i>(&mut self, ids: impl IntoIterator<Item = &'i Uuid>) -> &mut Self {
        self.add(id_list(ids))
    }

    pub(super) fn time(&mut self, instant: DateTime<Utc>) -> &mut Self {
        self.add(instant.timestamp_micros())
    }

    pub(super) fn optional_time(&mut self, instant: Option<DateTime<Utc>>) -> &mut Self {
        self.add(instant.map(|instant| instant.timestamp_micros()))
    }

    pub(super) fn optional_id(&mut self, id: Option<&Uuid>) -> &mut Self {
        self.add(id.map(|id| id.as_bytes().as_slice()))
    }

    pub(super) fn json(&mut self, value: &impl Serialize) -> &mut Self {
        match serde_json::to_string(value) {
            Ok(text) => self.add(text),
            Err(error) => {
                self.error.get_or_insert(error.into());
                self
            }
        }
    }

    /// # Errors
    /// `Internal` when a value could not be encoded.
    pub(super) fn finish(self) -> Result<SqliteArguments> {
        self.error.map_or(Ok(self.values), |error| Err(failed(sqlx::Error::Encode(error))))
    }
}

/// Ids as a JSON list of hexadecimal text, which a statement reads by
/// `SELECT unhex(value) FROM json_each(?)`.
pub(super) fn id_list<'i>(ids: impl IntoIterator<Item = &'i Uuid>) -> String {
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

/// Reads the columns of a row from left to right.
pub(super) struct Columns<'r> {
    row: &'r SqliteRow,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(super) fn new(row: &'r SqliteRow) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn get<T: Decode<'r, Sqlite>>(&mut self) -> Result<T> {
        let raw = self.row.try_get_raw(self.next).map_err(failed)?;
        self.next += 1;
        T::decode(raw).map_err(|error| failed(sqlx::Error::Decode(error)))
    }

    pub(super) fn next_is_blob(&self) -> Result<bool> {
        let raw = self.row.try_get_raw(self.next).map_err(failed)?;
        Ok(raw.type_info().name() == "BLOB")
    }

    pub(super) fn text(&mut self) -> Result<String> {
        self.get()
    }

    pub(super) fn number(&mut self) -> Result<u64> {
        Ok(self.get::<i64>()?.cast_unsigned())
    }

    pub(super) fn small(&mut self) -> Result<u32> {
        u32::try_from(self.get::<i64>()?).map_err(|_out_of_range| malformed("number"))
    }

    pub(super) fn score(&mut self) -> Result<Score> {
        Score::new(self.get()?)
    }

    pub(super) fn id<T: From<Uuid>>(&mut self) -> Result<T> {
        uuid(self.get()?).map(T::from)
    }

    pub(super) fn optional_id<T: From<Uuid>>(&mut self) -> Result<Option<T>> {
        self.get::<Option<&[u8]>>()?.map(|bytes| uuid(bytes).map(T::from)).transpose()
    }

    pub(super) fn time(&mut self) -> Result<DateTime<Utc>> {
        instant(self.get()?)
    }

    pub(super) fn optional_time(&mut self) -> Result<Option<DateTime<Utc>>> {
        self.get::<Option<i64>>()?.map(instant).transpose()
    }

    pub(super) fn name<T: std::str::FromStr<Err = cml_core::Error>>(&mut self) -> Result<T> {
        self.get::<&str>()?.parse()
    }

    pub(super) fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        serde_json::from_str(self.get()?).map_err(|error| malformed("JSON").with_source(error))
    }

    /// A JSON object, without parsing the empty one.
    pub(super) fn metadata(&mut self) -> Result<Metadata> {
        match self.get()? {
            "{}" => Ok(Metadata::new()),
            text => serde_json::from_str(text).map_err(|error| malformed("JSON").with_source(error)),
        }
    }

    /// A JSON list of texts, without parsing the empty one.
    pub(super) fn list(&mut self) -> Result<Vec<String>> {
        match self.get()? {
            "[]" => Ok(Vec::new()),
            text => serde_json::from_str(text).map_err(|error| malformed("JSON").with_source(error)),
        }
    }

    /// A norm and a vector.
    pub(super) fn vector(&mut self) -> Result<Vector> {
        let norm: f64 = self.get()?;
        Ok(Vector { norm: norm as f32, values: halves(self.get()?) })
    }
}

pub(super) fn uuid(bytes: &[u8]) -> Result<Uuid> {
    Uuid::from_slice(bytes).map_err(|error| malformed("id").with_source(error))
}

fn instant(micros: i64) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| malformed("instant"))
}

fn halves(bytes: &[u8]) -> Vec<f16> {
    bytes.as_chunks().0.iter().map(|pair| f16::from_le_bytes(*pair)).collect()
}
