//! The shape of a JSON object, written as the contract's tables are.

use serde_json::Value;

use crate::TestResult;

/// Checks that `json` is an object with every field of `table`: `"success bool, memory_id uuid?"`.
///
/// Types: `bool`, `int`, `number`, `str`, `uuid`, `time` (RFC 3339 with `Z`), `list`, `object`. A `?`
/// allows null and absence. Fields beyond the table are allowed.
pub(crate) fn assert_fields(json: &Value, table: &str) {
    let object = json.as_object().unwrap_or_else(|| panic!("no object: {json}"));
    for row in table.split(',').map(str::trim) {
        let (name, expected) = row.split_once(' ').unwrap_or_else(|| panic!("no name and type: {row}"));
        let (expected, optional) = match expected.strip_suffix('?') {
            Some(expected) => (expected, true),
            None => (expected, false),
        };
        match object.get(name) {
            None | Some(Value::Null) => assert!(optional, "{name} is missing in {json}"),
            Some(value) => assert!(is(value, expected), "{name} is no {expected} in {json}"),
        }
    }
}

fn is(value: &Value, expected: &str) -> bool {
    match expected {
        "bool" => value.is_boolean(),
        "int" => value.is_u64(),
        "number" => value.is_number(),
        "str" => value.is_string(),
        "uuid" => value.as_str().is_some_and(|text| uuid::Uuid::parse_str(text).is_ok()),
        "time" => value.as_str().is_some_and(is_time),
        "list" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("the type {expected} is not known"),
    }
}

fn is_time(text: &str) -> bool {
    text.ends_with('Z') && text.contains('T') && chrono::DateTime::parse_from_rfc3339(text).is_ok()
}

#[test]
fn a_missing_field_and_a_wrong_type_are_noticed() -> TestResult {
    let json: Value = serde_json::from_str(r#"{"at": "2026-05-07T09:30:00", "count": 1.5}"#)?;
    assert_fields(&json, "at str, count number, more str?");
    for table in ["at time", "count int", "more str", "count str?"] {
        let noticed = std::panic::catch_unwind(|| assert_fields(&json, table));
        assert!(noticed.is_err(), "{table}");
    }
    Ok(())
}
