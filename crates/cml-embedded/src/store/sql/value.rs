//! Values of statements and of rows, the same for every SQL database.

use chrono::{DateTime, Utc};
use cml_core::{Result, Score, memory::Metadata};
use half::f16;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Decode, error::BoxDynError};
use uuid::Uuid;

use super::{error::malformed, hash};
use crate::store::Vector;

/// What a placeholder takes.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::store) enum Value {
    Bool(bool),
    Number(Option<i64>),
    Real(f64),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    /// 16 bytes: an id or a digest.
    Id(Option<Uuid>),
    /// Ids to look for; see [`Dialect::in_ids`](super::dialect::Dialect::in_ids).
    AnyOf(Vec<Uuid>),
    /// Names to look for; see [`Dialect::in_names`](super::dialect::Dialect::in_names).
    AnyName(Vec<String>),
    /// Microseconds since 1970.
    Time(Option<i64>),
    /// JSON text.
    Json(String),
    /// A column of several texts.
    Texts(Vec<String>),
    /// A column of several ids.
    Ids(Vec<Uuid>),
    Vector(Vec<f16>),
    /// A content hash, hexadecimal, or any other text.
    Hash(String),
}

macro_rules! values {
    ($($from:ty => $variant:ident($make:expr),)+) => {
        $(impl From<$from> for Value {
            fn from(value: $from) -> Self {
                let make: fn($from) -> _ = $make;
                Self::$variant(make(value))
            }
        })+
    };
}

values! {
    bool => Bool(|value| value),
    i64 => Number(Some),
    Option<i64> => Number(|value| value),
    f64 => Real(|value| value),
    String => Text(Some),
    Option<String> => Text(|value| value),
    &str => Text(|value| Some(value.to_owned())),
    Option<&str> => Text(|value| value.map(str::to_owned)),
    Vec<u8> => Bytes(Some),
    &[u8] => Bytes(|value| Some(value.to_vec())),
    Vec<f16> => Vector(|value| value),
}

/// Values for the placeholders of a statement, in order.
#[derive(Debug, Default)]
pub(in crate::store) struct Binds {
    values: Vec<Value>,
    error: Option<BoxDynError>,
}

impl Binds {
    pub(in crate::store) fn add(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self
    }

    pub(in crate::store) fn id(&mut self, id: &Uuid) -> &mut Self {
        self.optional_id(Some(id))
    }

    pub(in crate::store) fn optional_id(&mut self, id: Option<&Uuid>) -> &mut Self {
        self.values.push(Value::Id(id.copied()));
        self
    }

    /// Ids to look for.
    pub(in crate::store) fn ids<'i>(&mut self, ids: impl IntoIterator<Item = &'i Uuid>) -> &mut Self {
        self.values.push(Value::AnyOf(ids.into_iter().copied().collect()));
        self
    }

    /// Names to look for.
    pub(in crate::store) fn names<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) -> &mut Self {
        self.values.push(Value::AnyName(names.into_iter().map(str::to_owned).collect()));
        self
    }

    pub(in crate::store) fn time(&mut self, instant: DateTime<Utc>) -> &mut Self {
        self.optional_time(Some(instant))
    }

    pub(in crate::store) fn optional_time(&mut self, instant: Option<DateTime<Utc>>) -> &mut Self {
        self.values.push(Value::Time(instant.map(|instant| instant.timestamp_micros())));
        self
    }

    /// An instant, in microseconds since 1970.
    pub(in crate::store) fn micros(&mut self, micros: i64) -> &mut Self {
        self.values.push(Value::Time(Some(micros)));
        self
    }

    /// A content hash.
    pub(in crate::store) fn hash(&mut self, text: &str) -> &mut Self {
        self.values.push(Value::Hash(text.to_owned()));
        self
    }

    pub(in crate::store) fn json(&mut self, value: &impl Serialize) -> &mut Self {
        match serde_json::to_string(value) {
            Ok(text) => self.values.push(Value::Json(text)),
            Err(error) => {
                self.error.get_or_insert(error.into());
            }
        }
        self
    }

    /// A column of several texts.
    pub(in crate::store) fn texts(&mut self, texts: &[String]) -> &mut Self {
        self.values.push(Value::Texts(texts.to_vec()));
        self
    }

    /// A column of several ids.
    pub(in crate::store) fn id_list(&mut self, ids: Vec<Uuid>) -> &mut Self {
        self.values.push(Value::Ids(ids));
        self
    }

    /// The value at this place.
    pub(super) fn at(&self, index: usize) -> Option<&Value> {
        self.values.get(index)
    }

    /// The values, or what could not be encoded.
    pub(super) fn finish(self) -> std::result::Result<Vec<Value>, BoxDynError> {
        self.error.map_or(Ok(self.values), Err)
    }
}

/// The placeholders' values, added by `add`.
pub(in crate::store) fn binds(add: impl FnOnce(&mut Binds)) -> Binds {
    let mut binds = Binds::default();
    add(&mut binds);
    binds
}

/// A row of any database.
pub(super) enum Row {
    #[cfg(feature = "lite")]
    Sqlite(sqlx::sqlite::SqliteRow),
    #[cfg(feature = "standard")]
    Postgres(sqlx::postgres::PgRow),
}

/// What can be read out of a column of every database.
pub(in crate::store) trait Readable<'r>: FromSqlite<'r> + FromPostgres<'r> {}

impl<'r, T: FromSqlite<'r> + FromPostgres<'r>> Readable<'r> for T {}

/// Whatever SQLite decodes, where it is compiled in.
#[cfg(feature = "lite")]
pub(in crate::store) trait FromSqlite<'r>: Decode<'r, sqlx::Sqlite> {}
#[cfg(feature = "lite")]
impl<'r, T: Decode<'r, sqlx::Sqlite>> FromSqlite<'r> for T {}
/// Whatever SQLite decodes, where it is compiled in.
#[cfg(not(feature = "lite"))]
pub(in crate::store) trait FromSqlite<'r> {}
#[cfg(not(feature = "lite"))]
impl<T> FromSqlite<'_> for T {}

/// Whatever PostgreSQL decodes, where it is compiled in.
#[cfg(feature = "standard")]
pub(in crate::store) trait FromPostgres<'r>: Decode<'r, sqlx::Postgres> {}
#[cfg(feature = "standard")]
impl<'r, T: Decode<'r, sqlx::Postgres>> FromPostgres<'r> for T {}
/// Whatever PostgreSQL decodes, where it is compiled in.
#[cfg(not(feature = "standard"))]
pub(in crate::store) trait FromPostgres<'r> {}
#[cfg(not(feature = "standard"))]
impl<T> FromPostgres<'_> for T {}

/// Reads the columns of a row from left to right.
pub(in crate::store) struct Columns<'r> {
    row: &'r Row,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(super) fn new(row: &'r Row) -> Self {
        Self { row, next: 0 }
    }

    pub(in crate::store) fn get<T: Readable<'r>>(&mut self) -> Result<T> {
        use sqlx::Row as _;
        let at = self.next;
        self.next += 1;
        match self.row {
            #[cfg(feature = "lite")]
            Row::Sqlite(row) => {
                let failed = crate::store::sqlite::error::failed;
                let raw = row.try_get_raw(at).map_err(failed)?;
                <T as Decode<sqlx::Sqlite>>::decode(raw).map_err(|error| failed(sqlx::Error::Decode(error)))
            }
            #[cfg(feature = "standard")]
            Row::Postgres(row) => {
                let failed = crate::store::postgres::error::failed;
                let raw = row.try_get_raw(at).map_err(failed)?;
                <T as Decode<sqlx::Postgres>>::decode(raw).map_err(|error| failed(sqlx::Error::Decode(error)))
            }
        }
    }

    pub(in crate::store) fn text(&mut self) -> Result<String> {
        self.get()
    }

    pub(in crate::store) fn number(&mut self) -> Result<u64> {
        Ok(self.get::<i64>()?.cast_unsigned())
    }

    pub(in crate::store) fn small(&mut self) -> Result<u32> {
        u32::try_from(self.get::<i64>()?).map_err(|_out_of_range| malformed("number"))
    }

    pub(in crate::store) fn score(&mut self) -> Result<Score> {
        Score::new(self.get()?)
    }

    pub(in crate::store) fn id<T: From<Uuid>>(&mut self) -> Result<T> {
        uuid(self.get()?).map(T::from)
    }

    pub(in crate::store) fn optional_id<T: From<Uuid>>(&mut self) -> Result<Option<T>> {
        self.get::<Option<&[u8]>>()?.map(|bytes| uuid(bytes).map(T::from)).transpose()
    }

    pub(in crate::store) fn time(&mut self) -> Result<DateTime<Utc>> {
        self.optional_time()?.ok_or_else(|| malformed("instant"))
    }

    pub(in crate::store) fn optional_time(&mut self) -> Result<Option<DateTime<Utc>>> {
        match self.row {
            #[cfg(feature = "lite")]
            Row::Sqlite(_) => {
                let micros = self.get::<Option<i64>>()?;
                let instant = |micros| DateTime::from_timestamp_micros(micros);
                micros.map(|micros| instant(micros).ok_or_else(|| malformed("instant"))).transpose()
            }
            #[cfg(feature = "standard")]
            Row::Postgres(row) => {
                use sqlx::Row as _;
                let at = self.next;
                self.next += 1;
                row.try_get_unchecked(at).map_err(crate::store::postgres::error::failed)
            }
        }
    }

    pub(in crate::store) fn name<T: std::str::FromStr<Err = cml_core::Error>>(&mut self) -> Result<T> {
        self.get::<&str>()?.parse()
    }

    pub(in crate::store) fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        serde_json::from_str(self.get()?).map_err(|error| malformed("JSON").with_source(error))
    }

    /// A JSON object, without parsing the empty one.
    pub(in crate::store) fn metadata(&mut self) -> Result<Metadata> {
        match self.get()? {
            "{}" => Ok(Metadata::new()),
            text => serde_json::from_str(text).map_err(|error| malformed("JSON").with_source(error)),
        }
    }

    /// A column of several texts; without parsing where there is none.
    pub(in crate::store) fn texts(&mut self) -> Result<Vec<String>> {
        match self.row {
            #[cfg(feature = "lite")]
            Row::Sqlite(_) => match self.get()? {
                "[]" => Ok(Vec::new()),
                text => serde_json::from_str(text).map_err(|error| malformed("JSON").with_source(error)),
            },
            #[cfg(feature = "standard")]
            Row::Postgres(row) => {
                use sqlx::Row as _;
                let at = self.next;
                self.next += 1;
                row.try_get_unchecked(at).map_err(crate::store::postgres::error::failed)
            }
        }
    }

    /// A content hash.
    pub(in crate::store) fn hash(&mut self) -> Result<String> {
        let (text, bytes): (bool, &[u8]) = match self.row {
            #[cfg(feature = "lite")]
            Row::Sqlite(row) => {
                use sqlx::{Row as _, TypeInfo as _, ValueRef as _};
                let raw = row.try_get_raw(self.next).map_err(crate::store::sqlite::error::failed)?;
                (raw.type_info().name() != "BLOB", self.get()?)
            }
            #[cfg(feature = "standard")]
            Row::Postgres(_) => {
                let bytes = self.get()?;
                match crate::store::postgres::values::text_of_hash(bytes) {
                    Some(text) => (true, text),
                    None => (false, bytes),
                }
            }
        };
        if !text {
            return Ok(hash::to_hex(bytes));
        }
        String::from_utf8(bytes.to_vec()).map_err(|error| malformed("content hash").with_source(error))
    }

    /// A column of several ids.
    pub(in crate::store) fn id_list<T: From<Uuid>>(&mut self) -> Result<Vec<T>> {
        match self.row {
            #[cfg(feature = "lite")]
            Row::Sqlite(_) => self.get::<&[u8]>()?.chunks(16).map(|id| uuid(id).map(T::from)).collect(),
            #[cfg(feature = "standard")]
            Row::Postgres(row) => {
                use sqlx::Row as _;
                let at = self.next;
                self.next += 1;
                let ids: Vec<Uuid> =
                    row.try_get_unchecked(at).map_err(crate::store::postgres::error::failed)?;
                Ok(ids.into_iter().map(T::from).collect())
            }
        }
    }

    /// A norm and a vector.
    pub(in crate::store) fn vector(&mut self) -> Result<Vector> {
        let norm: f64 = self.get()?;
        let norm = norm as f32;
        match self.row {
            #[cfg(feature = "lite")]
            Row::Sqlite(_) => {
                let bytes: &[u8] = self.get()?;
                let values = bytes.as_chunks().0.iter().map(|pair| f16::from_le_bytes(*pair)).collect();
                Ok(Vector { norm, values })
            }
            #[cfg(feature = "standard")]
            Row::Postgres(row) => {
                use sqlx::Row as _;
                let at = self.next;
                self.next += 1;
                let vector: pgvector::HalfVector =
                    row.try_get_unchecked(at).map_err(crate::store::postgres::error::failed)?;
                Ok(Vector { norm, values: vector.into() })
            }
        }
    }
}

pub(in crate::store) fn uuid(bytes: &[u8]) -> Result<Uuid> {
    Uuid::from_slice(bytes).map_err(|error| malformed("id").with_source(error))
}
