//! Arguments that are more than text.

use chrono::{DateTime, Utc};
use cml::{
    Error,
    memory::{MemoryRecord, MetadataFilter},
};

/// A JSON object of the caller's own fields.
pub(crate) type Metadata = cml::memory::Metadata;

/// Parser of an enum with fixed names, which the help and completions then list.
macro_rules! names {
    ($type:ty) => {{
        use clap::builder::TypedValueParser as _;
        clap::builder::PossibleValuesParser::new(<$type>::ALL.iter().map(|value| value.as_str()))
            .try_map(|text| text.parse::<$type>())
    }};
}
pub(crate) use names;

/// An instant: RFC 3339, ISO 8601, or a day.
pub(crate) fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    cml::time::parse("time", text).map_err(|error| what(&error))
}

/// A JSON object.
pub(crate) fn object(text: &str) -> Result<Metadata, String> {
    serde_json::from_str(text).map_err(|error| format!("must be a JSON object: {error}"))
}

/// A condition on metadata, as JSON.
pub(crate) fn filter(text: &str) -> Result<MetadataFilter, String> {
    serde_json::from_str(text).map_err(|error| {
        format!("must be a condition such as {{\"eq\": {{\"field\": \"topic\", \"value\": \"billing\"}}}}: {error}")
    })
}

/// An id, or another type that reads itself from text.
pub(crate) fn id<T: std::str::FromStr<Err = Error>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| what(&error))
}

fn what(error: &Error) -> String {
    error.fields().first().map_or_else(|| error.message().to_owned(), |field| field.message.clone())
}

/// One line about a record: id, day, type, status unless active, text.
pub(crate) fn row(record: &MemoryRecord) -> String {
    let status = match record.status {
        cml::memory::MemoryStatus::Active => String::new(),
        status => format!(" ({status})"),
    };
    let text = record.text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{}  {}  {}{status}  {text}", record.id, record.timestamp.date_naive(), record.memory_type)
}
