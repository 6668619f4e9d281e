//! Conditions on a memory's metadata.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Metadata;
use crate::error::{Error, Result};

/// Deepest nesting of a filter.
const MAX_DEPTH: usize = 16;

/// A condition on metadata. Fields are names at the top level, or paths joined by dots (`task.id`)
/// where no field has that very name.
///
/// JSON: `{"eq": {"field": "topic", "value": "billing"}}`, `{"in": {"field": "lang", "values": ["en", "pt"]}}`,
/// `{"range": {"field": "year", "gte": 2024, "lt": 2026}}`, `{"and": [...]}`, `{"or": [...]}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MetadataFilter {
    /// The field equals the value; an array field matches when one of its elements does.
    Eq {
        /// Name or path.
        field: String,
        /// JSON value; numbers compare by value.
        value: Value,
    },
    /// The field equals one of the values.
    In {
        /// Name or path.
        field: String,
        /// At least one value.
        values: Vec<Value>,
    },
    /// The field, a number or a string, lies between the bounds given.
    Range {
        /// Name or path.
        field: String,
        /// Greater than.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gt: Option<Value>,
        /// Greater than or equal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gte: Option<Value>,
        /// Less than.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lt: Option<Value>,
        /// Less than or equal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lte: Option<Value>,
    },
    /// Every one of them holds; holds when empty.
    And(Vec<MetadataFilter>),
    /// At least one of them holds; never holds when empty.
    Or(Vec<MetadataFilter>),
}

impl MetadataFilter {
    /// `field` equals `value`.
    #[must_use]
    pub fn eq(field: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::Eq { field: field.into(), value: value.into() }
    }

    /// `field` equals one of `values`.
    #[must_use]
    pub fn any_of<V: Into<Value>>(field: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        Self::In { field: field.into(), values: values.into_iter().map(Into::into).collect() }
    }

    /// Whether `metadata` satisfies the condition. Values of different types never match.
    #[must_use]
    pub fn matches(&self, metadata: &Metadata) -> bool {
        match self {
            Self::Eq { field, value } => find(metadata, field).is_some_and(|found| contains(found, value)),
            Self::In { field, values } => {
                find(metadata, field).is_some_and(|found| values.iter().any(|value| contains(found, value)))
            }
            Self::Range { field, gt, gte, lt, lte } => find(metadata, field).is_some_and(|found| {
                let bound = |limit: &Option<Value>, allowed: fn(Ordering) -> bool| {
                    limit.as_ref().is_none_or(|limit| order(found, limit).is_some_and(allowed))
                };
                bound(gt, Ordering::is_gt)
                    && bound(gte, Ordering::is_ge)
                    && bound(lt, Ordering::is_lt)
                    && bound(lte, Ordering::is_le)
            }),
            Self::And(all) => all.iter().all(|filter| filter.matches(metadata)),
            Self::Or(any) => any.iter().any(|filter| filter.matches(metadata)),
        }
    }

    /// Checks that every field has a name and every range a comparable bound.
    ///
    /// # Errors
    /// `InvalidInput` naming the part of the filter.
    pub fn validate(&self) -> Result<()> {
        self.check(0)
    }

    fn check(&self, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(Error::invalid("filter", format!("must not nest deeper than {MAX_DEPTH}")));
        }
        match self {
            Self::Eq { field, .. } if field.is_empty() => {
                Err(Error::invalid("filter.eq.field", "must not be empty"))
            }
            Self::In { field, values } if field.is_empty() || values.is_empty() => {
                Err(Error::invalid("filter.in", "needs a field and at least one value"))
            }
            Self::Range { field, gt, gte, lt, lte } => {
                let bounds = [gt, gte, lt, lte];
                let given = bounds.iter().filter_map(|bound| bound.as_ref());
                if field.is_empty() || given.clone().count() == 0 {
                    Err(Error::invalid("filter.range", "needs a field and at least one of gt, gte, lt, lte"))
                } else if given.clone().any(|bound| !bound.is_number() && !bound.is_string()) {
                    Err(Error::invalid("filter.range", "bounds must be numbers or strings"))
                } else {
                    Ok(())
                }
            }
            Self::And(filters) | Self::Or(filters) => {
                filters.iter().try_for_each(|filter| filter.check(depth + 1))
            }
            _ => Ok(()),
        }
    }
}

/// Reads an optional filter: an object, or its JSON text as a query string holds it.
pub(crate) fn optional<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<MetadataFilter>, D::Error> {
    use serde::de::Error as _;
    match Option::<Value>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Value::String(text)) => serde_json::from_str(&text).map(Some).map_err(D::Error::custom),
        Some(value) => serde_json::from_value(value).map(Some).map_err(D::Error::custom),
    }
}

fn find<'a>(metadata: &'a Metadata, field: &str) -> Option<&'a Value> {
    if let Some(value) = metadata.get(field) {
        return Some(value);
    }
    let (first, rest) = field.split_once('.')?;
    rest.split('.').try_fold(metadata.get(first)?, |value, name| value.get(name))
}

fn contains(found: &Value, value: &Value) -> bool {
    equal(found, value)
        || found.as_array().is_some_and(|elements| elements.iter().any(|element| equal(element, value)))
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata(value: &Value) -> Metadata {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn conditions_combine() -> Result<(), serde_json::Error> {
        let row =
            metadata(&json!({"topic": "billing", "year": 2025, "labels": ["a", "b"], "task": {"id": 7}}));
        for (filter, expected) in [
            (json!({"eq": {"field": "topic", "value": "billing"}}), true),
            (json!({"eq": {"field": "labels", "value": "b"}}), true),
            (json!({"eq": {"field": "task.id", "value": 7.0}}), true),
            (json!({"eq": {"field": "absent", "value": null}}), false),
            (json!({"in": {"field": "year", "values": [2024, 2025]}}), true),
            (json!({"range": {"field": "year", "gte": 2025, "lt": 2026}}), true),
            (json!({"range": {"field": "year", "gt": 2025}}), false),
            (json!({"range": {"field": "topic", "gt": 3}}), false),
            (json!({"and": [{"eq": {"field": "year", "value": 2025}}, {"or": []}]}), false),
        ] {
            let filter: MetadataFilter = serde_json::from_value(filter)?;
            assert_eq!(filter.matches(&row), expected, "{filter:?}");
        }
        Ok(())
    }

    #[test]
    fn a_range_without_bounds_is_refused() -> Result<(), serde_json::Error> {
        let filter: MetadataFilter = serde_json::from_value(json!({"range": {"field": "year"}}))?;
        assert!(filter.validate().is_err());
        Ok(())
    }
}
