//! Errors over the wire: every kind to a status and body, and back.

use cml_core::{
    Error, ErrorKind, Result,
    wire::{Detail, ErrorBody, kind_of, status_of},
};
use serde_json::{Value, json};

type TestResult<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// `error` as a server sends it and a client reads it: through JSON text.
fn travel(error: &Error) -> TestResult<(u16, Value, Error)> {
    let status = status_of(error.kind());
    let text = serde_json::to_string(&ErrorBody::new(error, "body", Some("r-1".to_owned())))?;
    let body: ErrorBody = serde_json::from_str(&text)?;
    Ok((status, serde_json::from_str(&text)?, body.into_error(status)))
}

#[test]
fn every_kind_has_the_status_of_the_contract() {
    for (kind, status) in [
        (ErrorKind::InvalidInput, 422),
        (ErrorKind::NotFound, 404),
        (ErrorKind::Conflict, 409),
        (ErrorKind::Unauthenticated, 401),
        (ErrorKind::PermissionDenied, 403),
        (ErrorKind::RateLimited, 429),
        (ErrorKind::Timeout, 504),
        (ErrorKind::Unavailable, 503),
        (ErrorKind::Unsupported, 501),
        (ErrorKind::Config, 500),
        (ErrorKind::Internal, 500),
    ] {
        assert_eq!(status_of(kind), status, "{kind}");
    }
}

#[test]
fn every_kind_travels_there_and_back() -> TestResult {
    for kind in ErrorKind::ALL {
        let (_, json, back) = travel(&Error::new(kind, "what went wrong").with_suggestion("what to do"))?;
        assert_eq!(json["code"], kind.as_str());
        assert_eq!(json["request_id"], "r-1");
        assert_eq!(json["suggestion"], "what to do");
        assert_eq!(back.kind(), kind);
        assert_eq!(back.suggestion(), Some("what to do"));
        assert_eq!(back.is_retryable(), Error::new(kind, "x").is_retryable());
        if kind != ErrorKind::Internal {
            assert_eq!(json["detail"], "what went wrong");
            assert_eq!(back.message(), "what went wrong");
        }
    }
    Ok(())
}

#[test]
fn every_broken_field_travels_with_its_name_and_rule() -> TestResult {
    let error = Error::join(vec![
        Error::invalid("content", "must not be empty"),
        Error::invalid("filter.eq.field", "must not be empty"),
        Error::invalid("max_results", "must be 1 to 1000"),
    ])
    .ok_or("three faults")?;
    let (status, json, back) = travel(&error)?;
    assert_eq!((status, json["detail"].as_array().map(Vec::len)), (422, Some(3)));
    assert_eq!(json["detail"][1]["loc"], json!(["body", "filter", "eq", "field"]));
    assert_eq!(back.fields(), error.fields());
    assert_eq!(back.message(), error.message());
    Ok(())
}

#[test]
fn a_bug_keeps_its_details_to_the_server() -> TestResult {
    let error = Error::new(ErrorKind::Internal, "row 7 of acme holds hunter2").with_operation("read");
    let (status, json, back) = travel(&error)?;
    assert_eq!((status, &json["detail"]), (500, &json!("Internal server error")));
    assert!(!json.to_string().contains("hunter2"), "{json}");
    assert_eq!((back.kind(), back.message()), (ErrorKind::Internal, "Internal server error"));
    Ok(())
}

#[test]
fn what_is_not_meant_for_others_does_not_travel() -> TestResult {
    let error = Error::new(ErrorKind::Unavailable, "the store is away")
        .with_context("path", "/var/lib/secret.db")
        .with_answer(502, Some("r-9".to_owned()), Some("upstream text".to_owned()))
        .with_source(std::io::Error::other("disk of ana"));
    let (_, json, back) = travel(&error)?;
    for hidden in ["secret.db", "upstream text", "disk of ana"] {
        assert!(!json.to_string().contains(hidden), "{json}");
    }
    assert_eq!(back.message(), "the store is away");
    assert!(back.context().is_empty() && back.body().is_none());
    Ok(())
}

#[test]
fn absent_parts_are_left_out() -> TestResult {
    let body = ErrorBody::new(&Error::new(ErrorKind::NotFound, "no such fact"), "body", None);
    assert_eq!(serde_json::to_value(body)?, json!({"detail": "no such fact", "code": "not_found"}));
    Ok(())
}

#[test]
fn without_a_code_the_status_decides() -> TestResult {
    for (status, kind) in [
        (400, ErrorKind::InvalidInput),
        (401, ErrorKind::Unauthenticated),
        (403, ErrorKind::PermissionDenied),
        (404, ErrorKind::NotFound),
        (405, ErrorKind::Unsupported),
        (408, ErrorKind::Timeout),
        (409, ErrorKind::Conflict),
        (410, ErrorKind::NotFound),
        (412, ErrorKind::Conflict),
        (413, ErrorKind::InvalidInput),
        (415, ErrorKind::InvalidInput),
        (422, ErrorKind::InvalidInput),
        (429, ErrorKind::RateLimited),
        (500, ErrorKind::Internal),
        (501, ErrorKind::Unsupported),
        (502, ErrorKind::Unavailable),
        (503, ErrorKind::Unavailable),
        (504, ErrorKind::Timeout),
        (599, ErrorKind::Internal),
    ] {
        assert_eq!(kind_of(status), kind, "{status}");
        let body: ErrorBody = serde_json::from_value(json!({"detail": "as the original says it"}))?;
        let error = body.into_error(status);
        assert_eq!((error.kind(), error.message()), (kind, "as the original says it"));
    }
    Ok(())
}

#[test]
fn a_kind_is_what_its_own_status_means_but_for_config() {
    for kind in ErrorKind::ALL {
        let expected = if kind == ErrorKind::Config { ErrorKind::Internal } else { kind };
        assert_eq!(kind_of(status_of(kind)), expected);
    }
}

#[test]
fn the_code_decides_over_the_status() -> TestResult {
    let body: ErrorBody =
        serde_json::from_value(json!({"detail": "cml.toml: unknown key", "code": "config"}))?;
    assert_eq!(body.into_error(500).kind(), ErrorKind::Config);
    Ok(())
}

#[test]
fn an_unknown_code_falls_back_to_the_status() -> TestResult {
    let body: ErrorBody = serde_json::from_value(json!({"detail": "wait", "code": "of_a_later_version"}))?;
    assert_eq!(body.into_error(429).kind(), ErrorKind::RateLimited);
    Ok(())
}

#[test]
fn fields_under_another_kind_become_one_sentence() -> TestResult {
    let body: ErrorBody = serde_json::from_value(json!({
        "detail": [{"type": "x", "loc": ["query", "limit"], "msg": "too many"}], "code": "conflict"
    }))?;
    let error = body.into_error(409);
    assert_eq!((error.kind(), error.message()), (ErrorKind::Conflict, "limit: too many"));
    assert!(error.fields().is_empty());
    Ok(())
}

#[test]
fn a_verb_that_is_missing_says_how_to_get_it() -> TestResult {
    let (status, json, back) = travel(&Error::unsupported("graph", "needs mode full"))?;
    assert_eq!((status, &json["code"]), (501, &json!("unsupported")));
    assert_eq!((back.kind(), back.suggestion()), (ErrorKind::Unsupported, Some("needs mode full")));
    assert!(!back.is_retryable());
    Ok(())
}

#[test]
fn a_detail_of_another_shape_keeps_the_kind_and_names_the_status() -> Result<(), serde_json::Error> {
    let body: ErrorBody = serde_json::from_value(json!({"detail": {"reason": "private"}}))?;
    assert!(matches!(body.detail, Detail::Other(_)));
    let error = body.into_error(503);
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unavailable, "the server answered 503"));
    Ok(())
}
