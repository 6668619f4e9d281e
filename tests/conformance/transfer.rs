//! Export and import: nothing is lost, nothing comes twice, nothing stays half done.

use cml::{
    Error, ErrorKind, Result,
    memory::{MemoryRecord, MemoryStatus, Role},
    ops::{
        CreateSession, ExportLine, ExportOptions, FORMAT_NAME, Feedback, ForgetAction, ForgetRequest,
        ImportReport, TurnRequest, UpdateRequest, WriteRequest,
    },
    portable,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, failed, ids, metadata, open, sentences, some},
};

async fn export_with(ctx: &Ctx, options: ExportOptions) -> Result<Vec<ExportLine>> {
    ctx.backend.transfer()?.export(&ctx.scope, options).await?.try_collect().await
}

pub(crate) async fn export(ctx: &Ctx) -> Result<Vec<ExportLine>> {
    export_with(ctx, ExportOptions::default()).await
}

async fn try_import(ctx: &Ctx, lines: Vec<Result<ExportLine>>) -> Result<ImportReport> {
    ctx.backend.transfer()?.import(&ctx.scope, stream::iter(lines).boxed()).await
}

pub(crate) async fn import(ctx: &Ctx, lines: &[ExportLine]) -> Result<ImportReport> {
    try_import(ctx, lines.iter().cloned().map(Ok).collect()).await
}

pub(crate) async fn to_bytes(lines: Vec<ExportLine>) -> Result<Vec<u8>> {
    portable::encode(stream::iter(lines.into_iter().map(Ok)).boxed()).try_concat().await
}

pub(crate) async fn import_bytes(ctx: &Ctx, bytes: Vec<u8>) -> Result<ImportReport> {
    let chunks = stream::iter(bytes.chunks(1000).map(|chunk| Ok(chunk.to_vec())).collect::<Vec<_>>());
    ctx.backend.transfer()?.import(&ctx.scope, portable::decode(chunks.boxed())).await
}

/// What two exports of the same rows have in common: everything but when they were made.
pub(crate) fn rows(lines: &[ExportLine]) -> &[ExportLine] {
    &lines[1..]
}

fn of_kind<'l>(lines: &'l [ExportLine], kind: &str) -> Vec<&'l ExportLine> {
    lines.iter().filter(|line| line.kind() == kind).collect()
}

fn records(lines: &[ExportLine]) -> Vec<&MemoryRecord> {
    let mut records = Vec::new();
    for line in lines {
        if let ExportLine::Record(record) = line {
            records.push(&**record);
        }
    }
    records
}

/// An empty backend of the same kind with the same scope.
async fn elsewhere(ctx: &Ctx) -> CaseResult<Ctx> {
    let place = ctx.place.another(|_| {}).await?;
    Ok(Ctx { backend: place.backend.clone(), place, scope: ctx.scope.clone() })
}

/// A tenant in which everything happened that leaves a row.
pub(crate) async fn fill(ctx: &Ctx) -> CaseResult {
    let session = CreateSession::new().with_name("planning");
    ctx.backend.sessions()?.create(&ctx.scope, session).await?;
    let (ana, bob) = (ctx.user("ana")?, ctx.user("bob")?.namespace("work")?.agent("scribe")?);
    let said = |text: &str, when: &str| -> CaseResult<WriteRequest> {
        Ok(WriteRequest::new(text).with_timestamp(at(when)?))
    };
    let talk = ana.session("talk")?;
    let lisbon = talk.write(said("I live in Lisbon.", "2024-03-01T10:00:00Z")?.with_turn_id("t1")).await?;
    talk.try_write(said("ok", "2024-03-01T10:01:00Z")?).await?;
    talk.try_write(said("password: hunter2zebra", "2024-03-01T10:02:00Z")?).await?;
    talk.write(said("I live in Berlin now.", "2024-03-10T10:00:00Z")?.with_speaker("Ana")).await?;
    talk.write(said("I live in Berlin now.", "2024-03-11T10:00:00Z")?.with_speaker("Ana")).await?;
    talk.write(said("I lived at the coast; I live in Porto.", "2024-02-01T10:00:00Z")?).await?;
    talk.write(WriteRequest::new(sentences(200).join(" ")).with_role(Role::Assistant)).await?;
    let numbers = metadata(json!({
        "precise": 121.487_919_511_619_45_f64,
        "small": 0.1 + 0.2,
        "nested": {"z": [1, -2.5e-9, null, "\u{1F600}\n\"x\""], "a": {}},
    }))?;
    let kept = bob.write(WriteRequest::new("The safe is new.").with_metadata(numbers).with_tags(["b", "a"]));
    let kept = kept.await?;
    ctx.update(UpdateRequest::new(kept).with_importance(0.1 + 0.2)).await?;
    ctx.update(UpdateRequest::new(kept).with_text("The safe in Zurich is older than Anna's house.")).await?;
    bob.write(WriteRequest::new("The door is red.").with_key("door")).await?;
    bob.session("shift")?.write(WriteRequest::new("The door is green.").with_key("door")).await?;
    let clock = bob.write(WriteRequest::new("The clock is slow.").with_key("clock")).await?;
    ctx.update(UpdateRequest::new(clock).with_feedback(Feedback::Incorrect)).await?;
    bob.write(WriteRequest::new("The clock is right.").with_key("clock")).await?;
    bob.write(WriteRequest::new("The offer ends.").with_expires_at(at("2199-01-01T00:00:00Z")?)).await?;
    for (text, action) in [
        ("The lamp is old.", ForgetAction::Archive),
        ("The lock is old.", ForgetAction::Silence),
        ("The zeppelin is old.", ForgetAction::Delete),
    ] {
        let id = ana.write(text).await?;
        ana.forget(ForgetRequest::ids([id]).with_action(action)).await?;
    }
    let wrong = ana.write("The moon is square.").await?;
    ctx.update(UpdateRequest::new(wrong).with_feedback(Feedback::Incorrect)).await?;
    ctx.update(UpdateRequest::new(lisbon).with_metadata(metadata(json!({"checked": true}))?)).await?;
    ana.write_all([
        "I am allergic to peanuts.",
        "I am allergic to shellfish.",
        "My sister Anna works at Acme.",
    ])
    .await?;
    let turn = TurnRequest::new("Where do I live?").with_assistant_response("In Berlin.");
    ana.session("talk")?.turn(turn).await?;
    let allergy = ana.facts().await?.into_iter().find(|fact| fact.value.contains("peanuts"));
    ana.backend.facts()?.retract(&ana.scope, some(allergy, "the allergy")?.id).await?;
    ctx.read("Where is the safe?").await?;
    Ok(())
}

async fn a_second_export_is_equal(ctx: &Ctx) -> CaseResult {
    fill(ctx).await?;
    let lines = export(ctx).await?;
    for kind in ExportLine::KINDS {
        let expected = *kind != "trailer";
        assert_eq!(!of_kind(&lines, kind).is_empty(), expected, "{kind}");
    }
    let other = elsewhere(ctx).await?;
    let report = import_bytes(&other, to_bytes(lines.clone()).await?).await?;
    assert_eq!((report.skipped.len(), report.losses.len()), (0, 0), "{report:?}");
    assert_eq!(report.imported.values().sum::<u64>(), rows(&lines).len() as u64);
    let again = export(&other).await?;
    for (line, expected) in rows(&again).iter().zip(rows(&lines)) {
        assert_eq!(line, expected);
    }
    assert_eq!(again.len(), lines.len());
    for query in ["Where do I live?", "the safe", "gardener lantern", "Can you recommend a restaurant?", ""] {
        let (found, expected) = (other.read(open(query)).await?, ctx.read(open(query)).await?);
        assert_eq!(ids(&found.memories), ids(&expected.memories), "{query:?}");
    }
    other.backend.close().await?;
    Ok(())
}

async fn importing_twice_imports_nothing(ctx: &Ctx) -> CaseResult {
    let other = ctx.stranger()?;
    fill(&other).await?;
    let lines = export(&other).await?;
    let first = import(ctx, &lines).await?;
    let before = export(ctx).await?;
    let second = import(ctx, &lines).await?;
    assert!(second.imported.is_empty() && second.losses.is_empty(), "{second:?}");
    assert_eq!(second.skipped, first.imported);
    assert_eq!(rows(&export(ctx).await?), rows(&before));
    Ok(())
}

async fn rows_become_the_tenants_into_which_they_come(ctx: &Ctx) -> CaseResult {
    let other = ctx.stranger()?;
    fill(&other).await?;
    let lines = export(&other).await?;
    import(ctx, &lines).await?;
    let moved = export(ctx).await?;
    let named = |lines: &[ExportLine]| serde_json::to_string(rows(lines));
    assert_eq!(named(&moved)?, named(&lines)?.replace(other.scope.tenant(), ctx.scope.tenant()));
    assert_eq!(rows(&export(&other).await?), rows(&lines));
    let (ana, theirs) = (ctx.user("ana")?, other.user("ana")?);
    let query = || open("Where do I live?");
    assert_eq!(ids(&ana.read(query()).await?.memories), ids(&theirs.read(query()).await?.memories));
    ana.write("My sister Anna has a dog.").await?;
    assert_eq!(of_kind(&export(ctx).await?, "entity"), of_kind(&moved, "entity"), "Anna is known");
    Ok(())
}

async fn without_vectors_the_same_is_found(ctx: &Ctx) -> CaseResult {
    let other = ctx.stranger()?;
    fill(&other).await?;
    other.write_unrelated().await?;
    let mut options = ExportOptions::default();
    options.vectors = false;
    let lines = export_with(&other, options).await?;
    assert!(of_kind(&lines, "embedding").is_empty());
    import(ctx, &lines).await?;
    for query in ["Where do I live?", "An eclipse seen from a hill", "Who mended the roof?"] {
        let (found, expected) = (ctx.read(open(query)).await?, other.read(open(query)).await?);
        assert_eq!(ids(&found.memories), ids(&expected.memories), "{query:?}");
    }
    let vectors = |lines: &[ExportLine]| of_kind(lines, "embedding").len();
    let deleted = records(&lines).iter().filter(|record| record.status == MemoryStatus::Deleted).count();
    assert_eq!(vectors(&export(ctx).await?), vectors(&export(&other).await?) - deleted);
    Ok(())
}

async fn vectors_of_another_model_are_made_again(ctx: &Ctx) -> CaseResult {
    let other = ctx.stranger()?;
    other.write_unrelated().await?;
    let mut lines = export(&other).await?;
    for line in &mut lines {
        match line {
            ExportLine::Header(header) => "elder".clone_into(&mut header.models[0].name),
            ExportLine::Embedding(row) => {
                "elder".clone_into(&mut row.model);
                row.vector.reverse();
            }
            _ => {}
        }
    }
    let report = import(ctx, &lines).await?;
    assert_eq!((report.imported.get("embedding"), report.losses.len()), (None, 1), "{report:?}");
    assert_eq!(of_kind(&export(ctx).await?, "embedding"), of_kind(&export(&other).await?, "embedding"));
    Ok(())
}

async fn a_stream_that_fails_stores_nothing(ctx: &Ctx) -> CaseResult {
    let other = ctx.stranger()?;
    fill(&other).await?;
    let mut lines: Vec<Result<ExportLine>> = export(&other).await?.into_iter().map(Ok).collect();
    lines.pop();
    lines.push(Err(Error::new(ErrorKind::Unavailable, "the wire broke")));
    let error = failed(try_import(ctx, lines).await, ErrorKind::Unavailable)?;
    assert!(error.to_string().contains("the wire broke"));
    assert!(rows(&export(ctx).await?).is_empty());
    Ok(())
}

async fn what_was_cut_off_is_finished_by_another_run(ctx: &Ctx) -> CaseResult {
    fill(ctx).await?;
    let lines = export(ctx).await?;
    let kinds_until = |last: &str| -> Vec<ExportLine> {
        let end = ExportLine::KINDS.iter().position(|kind| *kind == last).unwrap_or(0);
        let kept = |line: &&ExportLine| ExportLine::KINDS[..=end].contains(&line.kind());
        lines.iter().filter(kept).cloned().collect()
    };
    let every_other: Vec<ExportLine> =
        lines[..1].iter().chain(rows(&lines).iter().step_by(2)).cloned().collect();
    let parts = [
        kinds_until("message"),
        kinds_until("record"),
        kinds_until("embedding"),
        kinds_until("fact"),
        every_other,
    ];
    for part in parts {
        let other = elsewhere(ctx).await?;
        import(&other, &part).await?;
        // An index that was built meanwhile follows.
        other.read(open("Where do I live?")).await?;
        import(&other, &lines).await?;
        other.read(open("")).await?;
        let found = other.read(open("Where do I live?")).await?;
        assert_eq!(ids(&found.memories), ids(&ctx.read(open("Where do I live?")).await?.memories));
        let constraints = || open("Can you recommend a restaurant?");
        let found = other.read(constraints()).await?;
        assert_eq!(ids(&found.memories), ids(&ctx.read(constraints()).await?.memories));

        let fresh = elsewhere(ctx).await?;
        import(&fresh, &lines).await?;
        let (finished, expected) = (export(&other).await?, export(&fresh).await?);
        assert_eq!(finished.len(), expected.len());
        for (line, expected) in rows(&finished).iter().zip(rows(&expected)) {
            match (line, expected) {
                (ExportLine::Record(line), ExportLine::Record(expected)) => {
                    // The reads above were recorded.
                    let mut line = (**line).clone();
                    line.access_count = expected.access_count;
                    line.last_accessed_at = expected.last_accessed_at;
                    assert_eq!(line, **expected);
                }
                _ => assert_eq!(line, expected),
            }
        }
        fresh.backend.close().await?;
        other.backend.close().await?;
    }
    Ok(())
}

async fn lines_may_come_in_any_order(ctx: &Ctx) -> CaseResult {
    fill(ctx).await?;
    let lines = export(ctx).await?;
    let mut shuffled = lines.clone();
    shuffled[1..].reverse();
    let other = elsewhere(ctx).await?;
    let report = import(&other, &shuffled).await?;
    // Messages alone keep to the order in which they come.
    assert!(report.losses.iter().all(|loss| loss.contains("message")), "{report:?}");
    let of_others = |lines: &[ExportLine]| -> Vec<ExportLine> {
        rows(lines).iter().filter(|line| line.kind() != "message").cloned().collect()
    };
    assert_eq!(of_others(&export(&other).await?), of_others(&lines));
    other.backend.close().await?;
    Ok(())
}

async fn the_higher_version_wins(ctx: &Ctx) -> CaseResult {
    let other = ctx.stranger()?;
    let id = other.session("s1")?.write("The safe is in the cellar.").await?;
    other.write("I live in Berlin.").await?;
    let old = export(&other).await?;
    other.update(UpdateRequest::new(id).with_text("The zeppelin is in the hangar.")).await?;
    let berlin = other.facts().await?.remove(0);
    other.backend.facts()?.retract(&other.scope, berlin.id).await?;
    let new = export(&other).await?;

    import(ctx, &old).await?;
    ctx.read(open("safe")).await?;
    let report = import(ctx, &new).await?;
    assert_eq!((report.imported.get("record"), report.imported.get("fact")), (Some(&1), Some(&1)));
    let report = import(ctx, &old).await?;
    assert!(report.imported.is_empty(), "{report:?}");
    let record = ctx.get(id).await?;
    assert_eq!((record.version, record.text.as_str()), (2, "The zeppelin is in the hangar."));
    assert!(ctx.facts().await?.is_empty());
    assert_eq!(ids(&ctx.read("Where is the zeppelin?").await?.memories), [id]);
    let vectors = export(ctx).await?;
    assert_eq!(of_kind(&vectors, "embedding"), of_kind(&new, "embedding"), "that of the former text is gone");
    Ok(())
}

async fn a_key_that_went_to_another_memory_goes_there(ctx: &Ctx) -> CaseResult {
    let other = ctx.stranger()?;
    let wrong = other.write(WriteRequest::new("The clock is slow.").with_key("clock")).await?;
    import(ctx, &export(&other).await?).await?;
    other.update(UpdateRequest::new(wrong).with_feedback(Feedback::Incorrect)).await?;
    let right = other.write(WriteRequest::new("The clock is right.").with_key("clock")).await?;
    let report = import(ctx, &export(&other).await?).await?;
    assert!(report.losses.is_empty(), "{report:?}");
    assert_eq!(ctx.get(wrong).await?.key, None);
    assert_eq!(ctx.get(right).await?.key.as_deref(), Some("clock"));
    Ok(())
}

async fn a_narrow_scope_exports_and_takes_only_what_it_sees(ctx: &Ctx) -> CaseResult {
    let other = ctx.stranger()?;
    fill(&other).await?;
    let whole = export(&other).await?;
    for narrow in [other.namespace("work")?, other.user("ana")?, other.session("talk")?] {
        let into = ctx.stranger()?.named_as(&narrow)?;
        let lines = export(&narrow).await?;
        assert!(lines.len() > 10 && lines.len() < whole.len(), "{}", narrow.scope);
        let seen = records(&lines);
        for record in &seen {
            assert!(narrow.scope.sees(&record.namespace, &record.user_id, &record.session_id));
        }
        let hidden = records(&whole).len() - seen.len();
        assert!(hidden > 0 && seen.len() == narrow.records().await?.len());
        let vectors = of_kind(&lines, "embedding").len();
        assert_eq!(vectors, seen.len(), "vectors follow their records");
        let error = failed(import(&into, &whole).await, ErrorKind::InvalidInput)?;
        assert!(error.fields()[0].field.starts_with("line "), "{error}");
        assert_eq!(into.stats().await?.total_memories, 0);
        let report = import(&into, &lines).await?;
        assert!(report.losses.is_empty(), "{report:?}");
        let again = export(&into).await?;
        assert_eq!(again.len(), lines.len());
    }
    Ok(())
}

async fn an_empty_scope_exports_its_header_alone(ctx: &Ctx) -> CaseResult {
    let lines = export(ctx).await?;
    assert!(matches!(&lines[..], [ExportLine::Header(header)] if header.format == FORMAT_NAME));
    let report = import(ctx, &lines).await?;
    assert_eq!(report, ImportReport::default());
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    a_second_export_is_equal: Transfer Sessions Facts Events,
    importing_twice_imports_nothing: Transfer,
    rows_become_the_tenants_into_which_they_come: Transfer,
    without_vectors_the_same_is_found: Transfer,
    vectors_of_another_model_are_made_again: Transfer,
    a_stream_that_fails_stores_nothing: Transfer,
    what_was_cut_off_is_finished_by_another_run: Transfer,
    lines_may_come_in_any_order: Transfer,
    the_higher_version_wins: Transfer Facts,
    a_key_that_went_to_another_memory_goes_there: Transfer Keys,
    a_narrow_scope_exports_and_takes_only_what_it_sees: Transfer Namespaces Users,
    an_empty_scope_exports_its_header_alone: Transfer,
];
