//! What an import refuses, settles and leaves out.

use cml::{
    DecayRate, Error, ErrorKind, MemoryId, MessageId, Result, Score,
    memory::{FactStatus, MemoryRecord, MemorySource, MemoryStatus, MemoryType, Metadata, Role},
    ops::{
        ExportHeader, ExportLine, FORMAT_NAME, FORMAT_VERSION, ForgetRequest, UpdateRequest, WriteRequest,
    },
    scope::Subject,
};

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, failed, some, values},
    transfer::{export, fill, import, import_bytes, rows, to_bytes},
};

async fn what_was_erased_does_not_come_back(ctx: &Ctx) -> CaseResult {
    let (ana, bob) = (ctx.user("ana")?.session("talk")?, ctx.user("bob")?.session("talk")?);
    for speaker in [&ana, &bob] {
        speaker.write("I live in Berlin.").await?;
        speaker.write("My sister Zenobia works at Acme.").await?;
    }
    let own = ctx.user("ana")?.session("own")?;
    own.write("I live in Porto now, said Quirinius.").await?;
    own.update(UpdateRequest::new(own.write("The zeppelin is new.").await?).with_importance(0.9)).await?;
    let forgotten = bob.write("The unicorn is in the hangar.").await?;
    let scribe = bob.agent("scribe-9")?;
    scribe.write("I live in Berlin.").await?;
    scribe.write("Heliodor was here. I moved to Madrid.").await?;
    ctx.namespace("attic")?.session("talk")?.write("The Rosebud is in the attic.").await?;
    for remove in [
        None,
        Some(Subject::Agent("scribe-9".into())),
        Some(Subject::Session("own".into())),
        Some(Subject::Namespace("attic".into())),
        Some(Subject::User("ana".into())),
    ] {
        let lines = export(ctx).await?;
        match remove {
            None => drop(ctx.forget(ForgetRequest::ids([forgotten])).await?),
            Some(subject) => drop(ctx.erase(subject).await?),
        }
        let before = export(ctx).await?;
        let report = import(ctx, &lines).await?;
        assert!(report.losses.iter().any(|loss| loss.contains("erased here")), "{report:?}");
        assert_eq!(rows(&export(ctx).await?), rows(&before), "{report:?}");
        assert!(report.imported.is_empty(), "{report:?}");
    }
    for word in ["unicorn", "zeppelin", "Quirinius", "\"ana\"", "scribe-9", "Heliodor", "Rosebud", "attic"] {
        assert!(ctx.traces(word).await?.is_empty(), "{word}");
        assert!(!serde_json::to_string(&export(ctx).await?)?.contains(word), "{word}");
    }
    assert_eq!(bob.messages("talk").await?.len(), 2);
    Ok(())
}

async fn a_session_that_was_erased_takes_the_messages_of_another_export(ctx: &Ctx) -> CaseResult {
    let other = ctx.stranger()?;
    other.session("s1")?.write("The safe is new.").await?;
    ctx.session("s1")?.write("The door is red.").await?;
    ctx.erase(Subject::Session("s1".into())).await?;
    import(ctx, &export(&other).await?).await?;
    assert_eq!(ctx.messages("s1").await?.len(), 1);
    assert_eq!(ctx.backend.sessions()?.list(&ctx.scope).await?.len(), 1);
    Ok(())
}

async fn a_taken_number_or_key_is_a_loss_that_is_told(ctx: &Ctx) -> CaseResult {
    let other = ctx.stranger()?;
    for (ctx, texts) in [(ctx, ["The safe is new.", "The safe is old."]), (&other, ["A bell.", "A drum."])] {
        ctx.session("s1")?.write_all(texts).await?;
    }
    let own = ctx.write(WriteRequest::new("The door is red.").with_key("door")).await?;
    let theirs = other.write(WriteRequest::new("The door is green.").with_key("door")).await?;
    let report = import(ctx, &export(&other).await?).await?;
    assert_eq!(report.losses.len(), 2, "{report:?}");
    let said: Vec<String> = ctx.messages("s1").await?.into_iter().map(|message| message.text).collect();
    assert_eq!(said, ["The safe is new.", "The safe is old.", "A bell.", "A drum."]);
    assert_eq!(ctx.get(own).await?.key.as_deref(), Some("door"));
    let without = ctx.get(theirs).await?;
    assert_eq!((without.key, without.text.as_str()), (None, "The door is green."));
    Ok(())
}

async fn a_slot_never_has_two_current_values(ctx: &Ctx) -> CaseResult {
    let other = ctx.stranger()?;
    let said = |text: &str, when: &str| -> CaseResult<WriteRequest> {
        Ok(WriteRequest::new(text).with_timestamp(at(when)?))
    };
    let old = ctx.write(said("I live in Lisbon.", "2024-03-01T10:00:00Z")?).await?;
    ctx.write("I am allergic to peanuts.").await?;
    other.write(said("I live in Berlin now.", "2024-03-10T10:00:00Z")?).await?;
    other.write("I am allergic to shellfish.").await?;
    let (own, theirs) = (export(ctx).await?, export(&other).await?);
    for (into, lines) in [(ctx, &theirs), (&other, &own)] {
        import(into, lines).await?;
        let facts = into.facts().await?;
        assert_eq!(values(&facts, &["Lisbon", "Berlin"]), ["Berlin"]);
        assert_eq!(values(&facts, &["peanuts", "shellfish"]).len(), 2, "these stand side by side");
        let all = into.all_facts().await?;
        let former = some(all.iter().find(|fact| fact.value.contains("Lisbon")), "the former residence")?;
        let latest = some(all.iter().find(|fact| fact.value.contains("Berlin")), "the residence")?;
        assert_eq!((former.status, former.valid_to), (FactStatus::Superseded, Some(latest.valid_from)));
        assert_eq!((former.superseded_by_id, latest.supersedes_id), (Some(latest.id), Some(former.id)));
        let report = import(into, lines).await?;
        assert!(report.imported.is_empty(), "{report:?}");
    }
    for place in [ctx, &other] {
        assert!(place.get(old).await?.valid_to.is_some(), "it said nothing else");
    }
    Ok(())
}

async fn a_broken_file_stores_nothing_and_names_its_line(ctx: &Ctx) -> CaseResult {
    let other = ctx.stranger()?;
    other.session("s1")?.write_all(["The safe is new.", "The door is red."]).await?;
    let text = String::from_utf8(to_bytes(export(&other).await?).await?)?;
    let lines: Vec<&str> = text.lines().collect();
    let cut = lines[..lines.len() - 1].join("\n");
    let half = &text[..text.len() / 2];
    let half_line = half.lines().count();
    for (broken, line) in [
        (String::new(), 1),
        ("{\"format\": \"tar\"}".to_owned(), 1),
        (lines[1..].join("\n"), 1),
        (cut, lines.len()),
        (half.to_owned(), half_line),
        (text.replace("door is red", "door is rot"), lines.len()),
        (text.replacen("\"version\":1", "\"version\":9", 1), 1),
        (text.replacen("\"kind\":\"message\"", "\"kind\":\"dream\"", 1), 3),
    ] {
        let error = failed(import_bytes(ctx, broken.into_bytes()).await, ErrorKind::InvalidInput)?;
        assert_eq!(error.fields()[0].field, format!("line {line}"), "{error}");
        assert!(!error.to_string().contains("safe"), "{error}");
    }
    assert!(rows(&export(ctx).await?).is_empty());
    import_bytes(ctx, text.into_bytes()).await?;
    assert_eq!(ctx.stats().await?.total_memories, 2);
    Ok(())
}

type Spoil = fn(&mut ExportLine);

async fn a_broken_row_is_named_before_anything_is_stored(ctx: &Ctx) -> CaseResult {
    let other = ctx.stranger()?;
    other.session("s1")?.write("The safe is new.").await?;
    let lines = export(&other).await?;
    let broken: [(&str, Spoil); 7] = [
        ("header", |line| {
            if let ExportLine::Header(header) = line {
                header.version = FORMAT_VERSION + 1;
            }
        }),
        ("message", |line| {
            if let ExportLine::Message(row) = line {
                row.seq = 0;
            }
        }),
        ("message", |line| {
            if let ExportLine::Message(row) = line {
                row.text = "a".repeat(400_001);
            }
        }),
        ("record", |line| {
            if let ExportLine::Record(row) = line {
                row.metadata.insert("large".into(), "a".repeat(1 << 20).into());
            }
        }),
        ("record", |line| {
            if let ExportLine::Record(row) = line {
                row.namespace = String::new();
            }
        }),
        ("record", |line| {
            if let ExportLine::Record(row) = line {
                row.user_id = "bell\u{7}".to_owned();
            }
        }),
        ("embedding", |line| {
            if let ExportLine::Embedding(row) = line {
                row.vector.pop();
            }
        }),
    ];
    for (kind, spoil) in broken {
        let mut lines = lines.clone();
        let at = some(lines.iter().position(|line| line.kind() == kind), kind)?;
        spoil(&mut lines[at]);
        let error = failed(import(ctx, &lines).await, ErrorKind::InvalidInput)?;
        assert_eq!(error.fields()[0].field, format!("line {}", at + 1), "{error}");
    }
    failed(import(ctx, &[]).await, ErrorKind::InvalidInput)?;
    failed(import(ctx, &lines[1..]).await, ErrorKind::InvalidInput)?;
    failed(import(ctx, &[&lines[..], &lines[..1]].concat()).await, ErrorKind::InvalidInput)?;
    assert!(rows(&export(ctx).await?).is_empty());
    Ok(())
}

async fn a_row_with_the_id_of_one_outside_the_scope_is_left_out(ctx: &Ctx) -> CaseResult {
    let (home, work) = (ctx.namespace("home")?, ctx.namespace("work")?);
    let id = home.write("The safe is new.").await?;
    let mut lines = export(&home).await?;
    for line in &mut lines {
        match line {
            ExportLine::Record(row) => {
                "work".clone_into(&mut row.namespace);
                "The safe is gone.".clone_into(&mut row.text);
                row.version += 1;
            }
            ExportLine::Event(row) => "work".clone_into(&mut row.namespace),
            _ => {}
        }
    }
    let report = import(&work, &lines).await?;
    assert!(report.imported.is_empty() && report.losses.len() == 1, "{report:?}");
    assert_eq!(home.get(id).await?.text, "The safe is new.");
    assert!(work.records().await?.is_empty());
    Ok(())
}

async fn others_may_write_while_rows_come_in(ctx: &Ctx) -> CaseResult {
    let other = ctx.stranger()?;
    fill(&other).await?;
    let lines = export(&other).await?;
    let counts = ctx
        .parallel(4, |ctx, task| {
            let lines = lines.clone();
            async move {
                if task == 0 {
                    let report = import(&ctx, &lines).await?;
                    return Ok(report.imported.get("record").copied().unwrap_or_default());
                }
                for number in 0..20 {
                    let text = format!("I live in town {number} of land {task}.");
                    let request =
                        WriteRequest::new(text).with_session("talk").with_key(format!("{task}-{number}"));
                    ctx.user("ana")?.try_write(request).await?;
                }
                Ok::<u64, Error>(20)
            }
        })
        .await?;
    let written: u64 = counts.into_iter().sum::<Result<u64>>()?;
    assert_eq!(ctx.stats().await?.total_memories, written);
    let facts = ctx.user("ana")?.facts().await?;
    let homes = facts.iter().filter(|fact| fact.slot == "residence" && fact.subject == "user");
    assert_eq!(homes.count(), 1);
    assert!(import(ctx, &lines).await?.imported.is_empty());
    Ok(())
}

/// A record as another system might give it.
fn foreign(text: &str) -> CaseResult<MemoryRecord> {
    Ok(MemoryRecord {
        id: MemoryId::new(),
        tenant_id: "theirs".into(),
        namespace: String::new(),
        user_id: "ana".into(),
        agent_id: String::new(),
        session_id: "chat".into(),
        text: text.into(),
        memory_type: MemoryType::EpisodicEvent,
        status: MemoryStatus::Active,
        key: None,
        context_tags: vec!["old".into()],
        metadata: Metadata::new(),
        confidence: Score::clamped(0.5),
        importance: Score::clamped(0.5),
        decay_rate: DecayRate::half_life_days(30.0),
        access_count: 7,
        last_accessed_at: None,
        timestamp: at("2024-03-01T10:00:00Z")?,
        event_start: None,
        event_end: None,
        written_at: at("2024-03-01T10:00:00Z")?,
        valid_from: None,
        valid_to: None,
        expires_at: None,
        source: MemorySource::UserExplicit,
        role: Role::User,
        speaker: String::new(),
        message_id: MessageId::new(),
        chunk_index: 0,
        content_hash: String::new(),
        version: 1,
        supersedes_id: None,
        superseded_by_id: None,
    })
}

fn foreign_header() -> CaseResult<ExportHeader> {
    Ok(ExportHeader {
        format: FORMAT_NAME.into(),
        version: FORMAT_VERSION,
        created_at: at("2024-03-02T10:00:00Z")?,
        models: Vec::new(),
        counts: [("record".to_owned(), 6)].into(),
        origin: Some("elsewhere".into()),
        losses: vec!["messages were not to be had".into()],
    })
}

fn foreign_lines(records: impl IntoIterator<Item = MemoryRecord>) -> CaseResult<Vec<ExportLine>> {
    let mut lines = vec![ExportLine::Header(foreign_header()?)];
    lines.extend(records.into_iter().map(|record| ExportLine::Record(Box::new(record))));
    Ok(lines)
}

async fn a_key_goes_to_the_latest_active_row_of_a_foreign_system(ctx: &Ctx) -> CaseResult {
    let door = |text: &str, when: &str, status: MemoryStatus| -> CaseResult<MemoryRecord> {
        Ok(MemoryRecord { key: Some("door".into()), timestamp: at(when)?, status, ..foreign(text)? })
    };
    let first = [
        door("The door is white.", "2024-03-05T10:00:00Z", MemoryStatus::Archived)?,
        door("The door is green.", "2024-03-04T10:00:00Z", MemoryStatus::Active)?,
        door("The door is red.", "2024-03-02T10:00:00Z", MemoryStatus::Active)?,
    ];
    let late = door("The door is blue.", "2024-03-03T10:00:00Z", MemoryStatus::Active)?;
    let second = foreign_lines([late])?;
    let first = foreign_lines(first)?;
    for (lines, puts) in [(&first, 3), (&second, 1)] {
        let report = import(ctx, lines).await?;
        assert_eq!(report.imported.get("record"), Some(&puts), "{report:?}");
        assert!(report.losses.iter().any(|loss| loss.contains("without their key")), "{report:?}");
    }
    let kept = ctx.records().await?;
    for record in &kept {
        let (key, status) = match record.text.as_str() {
            "The door is green." => (Some("door"), MemoryStatus::Active),
            "The door is white." => (None, MemoryStatus::Archived),
            text => {
                assert_eq!(text, "The door is blue.");
                (None, MemoryStatus::Active)
            }
        };
        assert_eq!((record.key.as_deref(), record.status), (key, status), "{}", record.text);
    }
    assert_eq!(kept.len(), 3);
    for (lines, puts) in [(&first, 3), (&second, 1)] {
        let again = import(ctx, lines).await?;
        assert!(again.imported.is_empty(), "{again:?}");
        assert_eq!(again.skipped.get("record"), Some(&puts));
    }
    assert_eq!(ctx.records().await?, kept);
    Ok(())
}

async fn what_does_not_hold_or_fit_is_left_out_of_a_foreign_system(ctx: &Ctx) -> CaseResult {
    let past = Some(at("2024-03-02T10:00:00Z")?);
    let lines = foreign_lines([
        MemoryRecord { valid_to: past, ..foreign("I live in Lisbon.")? },
        MemoryRecord { superseded_by_id: Some(MemoryId::new()), ..foreign("I live in Porto.")? },
        MemoryRecord { session_id: "s".repeat(101), ..foreign("The lamp is old.")? },
        MemoryRecord { namespace: "n".repeat(101), ..foreign("The lock is old.")? },
        foreign("I live in Berlin.")?,
    ])?;
    let report = import(ctx, &lines).await?;
    assert_eq!(report.imported.get("record"), Some(&1), "{report:?}");
    for what in ["2 records left out: outdated", "2 records left out: a namespace"] {
        assert!(report.losses.iter().any(|loss| loss.starts_with(what)), "{report:?}");
    }
    let texts: Vec<String> = ctx.records().await?.into_iter().map(|record| record.text).collect();
    assert_eq!(texts, ["I live in Berlin."]);
    Ok(())
}

async fn rows_of_a_foreign_system_go_through_the_gate(ctx: &Ctx) -> CaseResult {
    let header = foreign_header()?;
    let silent = MemoryRecord { status: MemoryStatus::Silent, ..foreign("The lamp is old.")? };
    let archived = MemoryRecord {
        status: MemoryStatus::Archived,
        session_id: String::new(),
        ..foreign("The lock is old.")?
    };
    let deleted = MemoryRecord { status: MemoryStatus::Deleted, ..foreign("The moon is square.")? };
    let all = [
        foreign("I live in Berlin.")?,
        foreign("Write to ana@example.org about the zeppelin.")?,
        foreign("password: hunter2zebra")?,
        foreign(" ")?,
        silent,
        archived,
        deleted,
    ];
    let lines = foreign_lines(all)?;
    let report = import(ctx, &lines).await?;
    assert_eq!(report.imported.get("record"), Some(&4), "{report:?}");
    assert_eq!(report.losses[0], header.losses[0]);
    assert!(report.losses.len() >= 4, "the secret, the empty and the deleted one are told: {report:?}");
    assert!(ctx.traces("hunter2").await?.is_empty() && ctx.traces("ana@example").await?.is_empty());
    assert_eq!(values(&ctx.facts().await?, &["Berlin"]).len(), 1, "facts are extracted");
    let stats = ctx.stats().await?;
    assert_eq!((stats.total_memories, stats.silent_memories, stats.archived_memories), (4, 1, 1));
    let kept = ctx.records().await?;
    for record in &kept {
        assert_eq!((record.user_id.as_str(), record.namespace.as_str()), ("ana", "default"));
        assert_eq!(record.timestamp, at("2024-03-01T10:00:00Z")?);
        assert_eq!(record.context_tags, ["old"]);
    }
    let again = import(ctx, &lines).await?;
    assert!(again.imported.is_empty(), "{again:?}");
    assert_eq!(again.skipped.get("record"), Some(&4));
    assert_eq!(ctx.records().await?, kept);
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    what_was_erased_does_not_come_back: Transfer Erase,
    a_session_that_was_erased_takes_the_messages_of_another_export: Transfer Erase Sessions,
    a_taken_number_or_key_is_a_loss_that_is_told: Transfer Keys Sessions,
    a_slot_never_has_two_current_values: Transfer Facts,
    a_broken_file_stores_nothing_and_names_its_line: Transfer,
    a_broken_row_is_named_before_anything_is_stored: Transfer,
    a_row_with_the_id_of_one_outside_the_scope_is_left_out: Transfer Namespaces,
    others_may_write_while_rows_come_in: Transfer Users Facts Keys,
    rows_of_a_foreign_system_go_through_the_gate: Transfer Facts,
    a_key_goes_to_the_latest_active_row_of_a_foreign_system: Transfer Keys,
    what_does_not_hold_or_fit_is_left_out_of_a_foreign_system: Transfer,
];
