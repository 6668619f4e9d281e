//! Bodies of answers that are no success.

use cml_core::{
    Error, ErrorKind,
    ops::{WriteOutcome, WriteResponse},
    wire::{Detail, ErrorBody, WriteBatchResponse, WriteResult},
};
use serde_json::json;

use crate::{ID, TestResult, id};

fn body(json: serde_json::Value) -> TestResult<ErrorBody> {
    Ok(serde_json::from_value(json)?)
}

#[test]
fn a_sentence_keeps_the_original_s_shape_and_adds_ours() -> TestResult {
    let error = Error::new(ErrorKind::NotFound, "memory does not exist").with_suggestion("check the id");
    let json = serde_json::to_value(ErrorBody::new(&error, "body", Some("r-1".to_owned())))?;
    let expected = json!({
        "detail": "memory does not exist", "code": "not_found", "suggestion": "check the id",
        "request_id": "r-1"
    });
    assert_eq!(json, expected);
    Ok(())
}

#[test]
fn broken_fields_keep_the_shape_of_fastapi() -> TestResult {
    let error = Error::join(vec![
        Error::invalid("content", "must not be empty"),
        Error::invalid("filter.range", "needs a field"),
    ])
    .ok_or("two faults")?;
    let json = serde_json::to_value(ErrorBody::new(&error, "body", None))?;
    let expected = json!([
        {"type": "value_error", "loc": ["body", "content"], "msg": "must not be empty"},
        {"type": "value_error", "loc": ["body", "filter", "range"], "msg": "needs a field"}
    ]);
    assert_eq!(json["detail"], expected);
    let query = ErrorBody::new(&Error::invalid("limit", "must be 1 to 1000"), "query", None);
    assert_eq!(serde_json::to_value(query)?["detail"][0]["loc"], json!(["query", "limit"]));
    Ok(())
}

#[test]
fn the_list_of_fastapi_is_understood() -> TestResult {
    let error = body(json!({"detail": [
        {"type": "string_too_short", "loc": ["body", "content"], "msg": "String should have at least 1 character",
         "input": "", "ctx": {"min_length": 1}},
        {"type": "enum", "loc": ["body", "memory_types", 0], "msg": "Input should be 'plan'", "input": "dream"}
    ]}))?
    .into_error(422);
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let fields: Vec<_> = error.fields().iter().map(|field| field.field.as_str()).collect();
    assert_eq!(fields, ["content", "memory_types.0"]);
    assert_eq!(error.fields()[0].message, "String should have at least 1 character");
    Ok(())
}

#[test]
fn any_other_detail_is_no_fault() -> TestResult {
    for detail in [json!({"reason": "x"}), json!(null), json!(7), json!([])] {
        let error = body(json!({"detail": detail}))?.into_error(409);
        assert_eq!(error.kind(), ErrorKind::Conflict, "{detail}");
    }
    assert!(serde_json::from_value::<ErrorBody>(json!({"message": "x"})).is_err());
    Ok(())
}

#[test]
fn a_batch_tells_of_each_item_in_order() -> TestResult {
    let expected = json!({
        "success": false, "turns_processed": 1, "chunks_created": 1, "message": "1 of 2 stored",
        "results": [
            {"success": true, "memory_id": ID, "chunks_created": 1, "message": "stored",
             "eval_outcome": "stored", "eval_reason": "content"},
            {"error": {"detail": [{"type": "value_error", "loc": ["body", "content"], "msg": "must not be empty"}],
                       "code": "invalid_input"}}
        ]
    });
    let done = WriteResponse {
        success: true,
        memory_id: Some(id()?),
        chunks_created: 1,
        message: "stored".to_owned(),
        eval_outcome: Some(WriteOutcome::Stored),
        eval_reason: Some("content".to_owned()),
    };
    let failed = ErrorBody::new(&Error::invalid("content", "must not be empty"), "body", None);
    let answer = WriteBatchResponse {
        success: false,
        turns_processed: 1,
        chunks_created: 1,
        message: "1 of 2 stored".to_owned(),
        results: vec![WriteResult::Done(done), WriteResult::Failed { error: failed }],
    };
    assert_eq!(serde_json::to_value(&answer)?, expected);
    assert_eq!(serde_json::from_value::<WriteBatchResponse>(expected)?, answer);
    Ok(())
}

#[test]
fn the_original_s_batch_has_no_results() -> TestResult {
    let json = json!({"success": true, "turns_processed": 2, "chunks_created": 3, "message": "ok"});
    let answer: WriteBatchResponse = serde_json::from_value(json)?;
    assert!(answer.results.is_empty());
    assert_eq!((answer.turns_processed, answer.chunks_created), (2, 3));
    Ok(())
}

#[test]
fn a_detail_is_text_or_fields() -> TestResult {
    assert_eq!(
        body(json!({"detail": "API key required"}))?.detail,
        Detail::Text("API key required".to_owned())
    );
    let fields =
        body(json!({"detail": [{"type": "missing", "loc": ["body", "query"], "msg": "Field required"}]}))?;
    assert!(matches!(fields.detail, Detail::Fields(fields) if fields[0].rule == "missing"));
    Ok(())
}
