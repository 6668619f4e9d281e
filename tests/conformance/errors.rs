//! What every error says.

use cml::{
    Error, ErrorKind, MemoryId, Result,
    memory::{MemoryStatus, MemoryType},
    ops::{
        ForgetAction, ForgetRequest, ListRequest, OrderBy, ReadFormat, ReadRequest, TurnRequest,
        UpdateRequest, WriteRequest,
    },
};

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, failed, invalid, some},
};

/// One failed call of each verb, with the verb.
async fn failures(ctx: &Ctx) -> CaseResult<Vec<(&'static str, Error)>> {
    fn error<T>(verb: &'static str, result: Result<T>) -> CaseResult<(&'static str, Error)> {
        Ok((verb, some(result.err(), verb)?))
    }
    let id =
        ctx.write(WriteRequest::new("The zeppelin is in the hangar.").with_idempotency_key("k1")).await?;
    let noon = at("2024-03-06T12:00:00Z")?;
    Ok(vec![
        error("write", ctx.try_write("zeppelin\0").await)?,
        error("write", ctx.try_write(WriteRequest::new("A zeppelin.").with_idempotency_key("k1")).await)?,
        error("read", ctx.read("zeppelin\0").await)?,
        error("read", ctx.read(ReadRequest::new("zeppelin").with_since(noon).with_until(noon)).await)?,
        error("get", ctx.get(MemoryId::new()).await)?,
        error("list", ctx.list(ListRequest::new().with_cursor("zeppelin")).await)?,
        error("update", ctx.update(UpdateRequest::new(MemoryId::new()).with_text("A zeppelin.")).await)?,
        error(
            "update",
            ctx.update(UpdateRequest::new(id).with_text("A zeppelin.").with_expected_version(9u64)).await,
        )?,
        error("forget", ctx.forget(ForgetRequest::new()).await)?,
        error("turn", ctx.turn(TurnRequest::new("zeppelin\0")).await)?,
    ])
}

async fn every_error_has_a_message_in_plain_words(ctx: &Ctx) -> CaseResult {
    for (verb, error) in failures(ctx).await? {
        let message = error.message();
        assert!(message.len() > 5 && message.contains(' '), "{verb}: {message}");
        assert!(!message.ends_with('.') && !message.starts_with(char::is_uppercase), "{verb}: {message}");
    }
    Ok(())
}

async fn every_error_names_its_operation(ctx: &Ctx) -> CaseResult {
    for (verb, error) in failures(ctx).await? {
        let operation = some(error.operation(), verb)?;
        assert!(operation.contains(verb), "{verb}: {operation}");
        assert!(error.to_string().starts_with(operation), "{error}");
    }
    Ok(())
}

async fn no_error_holds_memory_text(ctx: &Ctx) -> CaseResult {
    for (verb, error) in failures(ctx).await? {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("zeppelin"), "{verb}: {shown}");
    }
    Ok(())
}

async fn what_the_caller_did_wrong_is_not_worth_a_retry(ctx: &Ctx) -> CaseResult {
    for (verb, error) in failures(ctx).await? {
        assert!(!error.is_retryable() && error.retry_after().is_none(), "{verb}: {error}");
        assert_eq!(error.fields().is_empty(), error.kind() != ErrorKind::InvalidInput, "{verb}: {error}");
    }
    Ok(())
}

async fn a_failed_call_leaves_no_rows(ctx: &Ctx) -> CaseResult {
    failures(ctx).await?;
    let records = ctx.records().await?;
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].text.as_str(), records[0].version), ("The zeppelin is in the hangar.", 1));
    Ok(())
}

async fn a_text_that_is_no_id_is_invalid(_: &Ctx) -> CaseResult {
    for text in ["", "42", "not-an-id", "0198c0de-0000-7000-8000-00000000000g"] {
        failed(text.parse::<MemoryId>(), ErrorKind::InvalidInput)?;
    }
    Ok(())
}

async fn a_word_of_no_vocabulary_is_invalid(_: &Ctx) -> CaseResult {
    for word in ["", "nonsense", "Preference"] {
        invalid(word.parse::<MemoryType>(), "memory_type")?;
        invalid(word.parse::<MemoryStatus>(), "status")?;
        invalid(word.parse::<ForgetAction>(), "action")?;
        invalid(word.parse::<OrderBy>(), "order_by")?;
        invalid(word.parse::<ReadFormat>(), "format")?;
    }
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    every_error_has_a_message_in_plain_words: Idempotency ExpectedVersion List,
    every_error_names_its_operation: Idempotency ExpectedVersion List,
    no_error_holds_memory_text: Idempotency ExpectedVersion List,
    what_the_caller_did_wrong_is_not_worth_a_retry: Idempotency ExpectedVersion List,
    a_failed_call_leaves_no_rows: Idempotency ExpectedVersion List,
    a_text_that_is_no_id_is_invalid,
    a_word_of_no_vocabulary_is_invalid,
];
