//! Changing a memory.

use cml::{
    ErrorKind, MemoryId,
    memory::{MemoryStatus, MemoryType},
    ops::{Feedback, GetRequest, ReadRequest, UpdateRequest, WriteRequest},
};
use libtest_mimic::Failed;
use serde_json::json;

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, failed, ids, invalid, metadata, open, values},
};

const TEXT: &str = "The safe is under the stairs.";

/// What makes a request on a memory.
type Change = fn(UpdateRequest) -> UpdateRequest;

async fn an_update_changes_what_is_given_and_nothing_else(ctx: &Ctx) -> CaseResult {
    let request = WriteRequest::new(TEXT).with_tags(["home"]).with_metadata(metadata(json!({"a": 1}))?);
    let id = ctx.write(request.with_timestamp(at("2024-03-06T10:00:00Z")?)).await?;
    let (from, to) = (at("2024-01-01T00:00:00Z")?, at("2199-01-01T00:00:00Z")?);
    let update = || UpdateRequest::new(id);
    for (version, (field, request)) in (2..).zip([
        ("text", update().with_text("The safe is in the bank.")),
        ("context_tags", update().with_tags(["work", "bank"])),
        ("metadata", update().with_metadata(metadata(json!({"b": 2}))?)),
        ("confidence", update().with_confidence(0.25)),
        ("importance", update().with_importance(0.75)),
        ("type", update().with_memory_type(MemoryType::Knowledge)),
        ("valid_from", update().with_valid_from(from)),
        ("valid_to", update().with_valid_to(to)),
    ]) {
        let before = serde_json::to_value(ctx.get(id).await?)?;
        let answer = ctx.update(request).await?;
        assert_eq!((answer.success, answer.memory_id, answer.version), (true, id, version), "{field}");
        assert!(!answer.message.is_empty());
        let after = serde_json::to_value(ctx.get(id).await?)?;
        assert_ne!(after[field], before[field], "{field}");
        for kept in [
            "text",
            "context_tags",
            "metadata",
            "confidence",
            "importance",
            "type",
            "valid_from",
            "valid_to",
            "timestamp",
            "id",
            "status",
            "role",
        ] {
            // A new text may be of another type.
            if kept != field && !(field == "text" && kept == "type") {
                assert_eq!(after[kept], before[kept], "{field} changes {kept}");
            }
        }
    }
    let record = ctx.get(id).await?;
    assert_eq!((record.text.as_str(), record.version), ("The safe is in the bank.", 9));
    assert_eq!(
        (record.context_tags.join(" "), record.metadata),
        ("work bank".to_owned(), metadata(json!({"a": 1, "b": 2}))?)
    );
    assert_eq!((record.confidence.get(), record.importance.get()), (0.25, 0.75));
    assert_eq!(
        (record.memory_type, record.valid_from, record.valid_to),
        (MemoryType::Knowledge, Some(from), Some(to))
    );
    Ok(())
}

async fn an_update_of_several_fields_is_one_version(ctx: &Ctx) -> CaseResult {
    let id = ctx.write(TEXT).await?;
    let request =
        UpdateRequest::new(id).with_text("The safe is in the bank.").with_confidence(0.5).with_tags(["bank"]);
    assert_eq!(ctx.update(request).await?.version, 2);
    let detail = ctx.detail(GetRequest::new(id).with_versions(true)).await?;
    assert_eq!(detail.versions.len(), 1);
    assert_eq!(detail.versions[0].record.text, TEXT);
    Ok(())
}

async fn an_update_that_changes_nothing_leaves_the_version(ctx: &Ctx) -> CaseResult {
    let id = ctx.write(TEXT).await?;
    assert_eq!(ctx.update(UpdateRequest::new(id)).await?.version, 1);
    let record = ctx.get(id).await?;
    let same = UpdateRequest::new(id).with_text(TEXT).with_confidence(record.confidence.get());
    assert_eq!(ctx.update(same).await?.version, 1);
    Ok(())
}

async fn metadata_merges_and_a_null_deletes_its_key(ctx: &Ctx) -> CaseResult {
    let fields = metadata(json!({"a": 1, "b": {"x": 1}, "c": 3}))?;
    let id = ctx.write(WriteRequest::new(TEXT).with_metadata(fields)).await?;
    let change = metadata(json!({"a": null, "b": {"y": 2}, "d": [4], "absent": null}))?;
    ctx.update(UpdateRequest::new(id).with_metadata(change)).await?;
    let expected = metadata(json!({"b": {"y": 2}, "c": 3, "d": [4]}))?;
    let record = ctx.get(id).await?;
    assert_eq!(record.metadata.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    assert_eq!((&record.metadata["c"], &record.metadata["d"]), (&expected["c"], &expected["d"]));
    Ok(())
}

async fn a_new_text_is_found_by_its_own_words_and_meaning_alone(ctx: &Ctx) -> CaseResult {
    ctx.write_unrelated().await?;
    let id = ctx.write("The telescope needs a new mirror.").await?;
    ctx.update(UpdateRequest::new(id).with_text("The sourdough needs more flour.")).await?;
    for query in ["What does the sourdough need?", "flour"]
        .map(ReadRequest::new)
        .into_iter()
        .chain([open("baking bread")])
    {
        let found = ctx.read(query.clone()).await?;
        assert_eq!(ids(&found.memories).first(), Some(&id), "{query:?}");
        assert_eq!(found.memories[0].text, "The sourdough needs more flour.");
    }
    for query in ["telescope", "The mirror of the telescope"] {
        assert!(!ids(&ctx.read(query).await?.memories).contains(&id), "{query:?}");
    }
    Ok(())
}

async fn a_new_text_is_analysed_again(ctx: &Ctx) -> CaseResult {
    let said = at("2024-03-06T10:00:00Z")?;
    let id = ctx.write(WriteRequest::new("I live in Lisbon.").with_timestamp(said)).await?;
    ctx.update(UpdateRequest::new(id).with_text("I live in Berlin.")).await?;
    assert_eq!(values(&ctx.facts().await?, &["Lisbon", "Berlin"]), ["Berlin"]);
    let detail = ctx.detail(GetRequest::new(id).with_facts(true)).await?;
    assert!(detail.facts.iter().any(|fact| fact.value.contains("Berlin")));

    ctx.update(UpdateRequest::new(id).with_text("We met at the harbour yesterday.")).await?;
    let record = ctx.get(id).await?;
    let day = (at("2024-03-05T00:00:00Z")?, at("2024-03-06T00:00:00Z")?);
    assert_eq!(record.event_start.zip(record.event_end), Some(day));
    assert!(values(&ctx.facts().await?, &["Lisbon", "Berlin"]).is_empty(), "nobody says so any more");
    Ok(())
}

async fn a_new_validity_decides_what_a_read_returns(ctx: &Ctx) -> CaseResult {
    let id = ctx.write(WriteRequest::new(TEXT).with_timestamp(at("2024-01-06T10:00:00Z")?)).await?;
    let (from, to) = (at("2024-02-01T00:00:00Z")?, at("2024-03-01T00:00:00Z")?);
    ctx.update(UpdateRequest::new(id).with_valid_from(from).with_valid_to(to)).await?;
    assert!(ctx.read(open(TEXT)).await?.memories.is_empty());
    let then = open(TEXT).with_as_of(at("2024-02-15T00:00:00Z")?);
    assert_eq!(ids(&ctx.read(then).await?.memories), [id]);
    let later = open(TEXT).with_as_of(to);
    assert!(ctx.read(later).await?.memories.is_empty(), "valid_to is exclusive");
    Ok(())
}

async fn correct_raises_the_confidence_up_to_1(ctx: &Ctx) -> CaseResult {
    let id = ctx.write(TEXT).await?;
    ctx.update(UpdateRequest::new(id).with_confidence(0.7)).await?;
    for expected in [0.9, 1.0, 1.0] {
        ctx.update(UpdateRequest::new(id).with_feedback(Feedback::Correct)).await?;
        let record = ctx.get(id).await?;
        assert!((record.confidence.get() - expected).abs() < 1e-9, "{}", record.confidence);
        assert_eq!((record.status, record.valid_to), (MemoryStatus::Active, None));
    }
    Ok(())
}

async fn incorrect_takes_the_memory_out(ctx: &Ctx) -> CaseResult {
    let id = ctx.write("I live in Berlin.").await?;
    ctx.update(UpdateRequest::new(id).with_feedback(Feedback::Incorrect)).await?;
    let record = ctx.get(id).await?;
    assert_eq!((record.confidence.get(), record.status), (0.0, MemoryStatus::Deleted));
    assert!(ctx.read(open("Where do I live?")).await?.memories.is_empty());
    Ok(())
}

async fn outdated_ends_the_validity_now(ctx: &Ctx) -> CaseResult {
    let id = ctx.write(TEXT).await?;
    ctx.update(UpdateRequest::new(id).with_feedback(Feedback::Outdated)).await?;
    let record = ctx.get(id).await?;
    assert!(record.valid_to.is_some_and(|end| end >= record.timestamp));
    assert_eq!((record.status, record.version), (MemoryStatus::Active, 2));
    assert!(ctx.read(open(TEXT)).await?.memories.is_empty());
    Ok(())
}

async fn other_words_of_feedback_are_refused(_: &Ctx) -> CaseResult {
    for word in ["great", "", "CORRECT", "correct "] {
        invalid(word.parse::<Feedback>(), "feedback")?;
    }
    Ok(())
}

async fn an_expected_version_that_does_not_match_is_a_conflict(ctx: &Ctx) -> CaseResult {
    let id = ctx.write(TEXT).await?;
    let request =
        |version: u64, text: &str| UpdateRequest::new(id).with_text(text).with_expected_version(version);
    assert_eq!(ctx.update(request(1, "The safe is in the bank.")).await?.version, 2);
    for version in [0, 1, 3] {
        failed(ctx.update(request(version, "The safe is gone.")).await, ErrorKind::Conflict)?;
    }
    let record = ctx.get(id).await?;
    assert_eq!((record.version, record.text.as_str()), (2, "The safe is in the bank."));
    Ok(())
}

async fn one_of_many_updates_at_once_meets_its_expected_version(ctx: &Ctx) -> CaseResult {
    let id = ctx.write(TEXT).await?;
    let results = ctx
        .parallel(12, |ctx, task| async move {
            let request = UpdateRequest::new(id).with_text(format!("The safe is in room {task}."));
            ctx.update(request.with_expected_version(1u64)).await
        })
        .await?;
    let (met, missed): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(met.len(), 1);
    for result in missed {
        failed(result, ErrorKind::Conflict)?;
    }
    assert_eq!(ctx.get(id).await?.version, 2);
    Ok(())
}

async fn updates_at_once_lose_nothing(ctx: &Ctx) -> CaseResult {
    let id = ctx.write(TEXT).await?;
    let results = ctx
        .parallel(8, |ctx, task| async move {
            let fields = metadata(json!({ task.to_string(): task }))?;
            Ok::<_, Failed>(ctx.update(UpdateRequest::new(id).with_metadata(fields)).await?)
        })
        .await?;
    results.into_iter().collect::<CaseResult<Vec<_>>>()?;
    let record = ctx.get(id).await?;
    assert_eq!((record.metadata.len(), record.version), (8, 9));
    Ok(())
}

async fn an_unknown_or_foreign_id_is_not_found(ctx: &Ctx) -> CaseResult {
    let foreign = ctx.stranger()?.write(TEXT).await?;
    let of_ben = ctx.user("ben")?.write(TEXT).await?;
    for (place, id) in [(ctx.clone(), MemoryId::new()), (ctx.clone(), foreign), (ctx.user("ana")?, of_ben)] {
        for change in [|r| r, |r: UpdateRequest| r.with_text("The safe is gone.")] as [Change; 2] {
            failed(place.update(change(UpdateRequest::new(id))).await, ErrorKind::NotFound)?;
        }
    }
    assert_eq!(ctx.get(of_ben).await?.text, TEXT);
    Ok(())
}

async fn a_broken_update_changes_nothing(ctx: &Ctx) -> CaseResult {
    let id = ctx.write(TEXT).await?;
    let before = ctx.get(id).await?;
    let update = || UpdateRequest::new(id).with_importance(1.0);
    let (early, late) = (at("2024-01-01T00:00:00Z")?, at("2024-02-01T00:00:00Z")?);
    let large = metadata(json!({"note": "n".repeat(70_000)}))?;
    for (request, field) in [
        (update().with_text(""), "text"),
        (update().with_text("x".repeat(100_001)), "text"),
        (update().with_text("nul\0inside"), "text"),
        (update().with_confidence(1.5), "confidence"),
        (update().with_confidence(f64::NAN), "confidence"),
        (UpdateRequest::new(id).with_importance(-0.1), "importance"),
        (update().with_metadata(large), "metadata"),
        (update().with_tags(["a\u{1}"]), "context_tags"),
        (update().with_valid_from(late).with_valid_to(early), "valid_to"),
        (update().with_user_timezone("Mars/Olympus"), "user_timezone"),
    ] {
        invalid(ctx.update(request).await, field)?;
    }
    assert_eq!(ctx.get(id).await?, before);
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    an_update_changes_what_is_given_and_nothing_else: List,
    an_update_of_several_fields_is_one_version: List,
    an_update_that_changes_nothing_leaves_the_version: List,
    metadata_merges_and_a_null_deletes_its_key: List,
    a_new_text_is_found_by_its_own_words_and_meaning_alone,
    a_new_text_is_analysed_again: List Facts,
    a_new_validity_decides_what_a_read_returns: AsOf,
    correct_raises_the_confidence_up_to_1: List,
    incorrect_takes_the_memory_out: List,
    outdated_ends_the_validity_now: List,
    other_words_of_feedback_are_refused,
    an_expected_version_that_does_not_match_is_a_conflict: ExpectedVersion List,
    one_of_many_updates_at_once_meets_its_expected_version: ExpectedVersion List,
    updates_at_once_lose_nothing: List,
    an_unknown_or_foreign_id_is_not_found: List Users,
    a_broken_update_changes_nothing: List,
];
