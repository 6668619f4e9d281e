//! The portable format: each kind of line, and the file as bytes.

use cml_core::{
    BoxStream, ErrorKind, Result,
    ops::{ExportLine, FORMAT_NAME, FORMAT_VERSION, ImportReport},
    portable,
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use crate::{
    ID, OTHER_ID, TestResult,
    answers::{fact, record},
};

/// One line of each kind but the trailer, in the order of the format.
fn lines() -> Vec<Value> {
    let mut bare_fact = fact();
    bare_fact["evidence"] = json!([]);
    let line = |kind: &str, value: Value| json!({"kind": kind, "value": value});
    vec![
        line(
            "header",
            json!({
                "format": "cml-export", "version": 1, "created_at": "2026-05-07T09:30:00Z",
                "models": [{"name": "static-en", "dimensions": 256, "max_tokens": 512, "additive": true}],
                "counts": {"record": 1}, "origin": "cml-1.5", "losses": ["vectors are left out"]
            }),
        ),
        line(
            "session",
            json!({
                "session_id": "monday", "tenant_id": "acme", "participants": [], "metadata": {},
                "created_at": "2026-05-07T09:30:00Z"
            }),
        ),
        line(
            "message",
            json!({
                "id": OTHER_ID, "tenant_id": "acme", "namespace": "default", "session_id": "monday", "seq": 1,
                "role": "user", "text": "Hi", "metadata": {}, "said_at": "2026-05-07T09:30:00Z"
            }),
        ),
        line("record", record()),
        line("record_version", json!({"record": record(), "recorded_at": "2026-05-08T00:00:00Z"})),
        line(
            "embedding",
            json!({"memory_id": ID, "model": "static-en", "view": "own", "vector": [0.5, -0.5], "norm": 2.0}),
        ),
        line(
            "entity",
            json!({"id": ID, "tenant_id": "acme", "namespace": "default", "name": "Berlin", "entity_type": "place"}),
        ),
        line("mention", json!({"entity_id": ID, "memory_id": ID, "message_id": OTHER_ID})),
        line("edge", json!({"source": ID, "target": OTHER_ID, "predicate": "lives_in", "confidence": 0.5})),
        line("fact", bare_fact.clone()),
        line("fact_version", json!({"fact": bare_fact, "recorded_at": "2026-05-08T00:00:00Z"})),
        line("evidence", json!({"fact_id": ID, "evidence": {"message": OTHER_ID}})),
        line(
            "event",
            json!({
                "id": ID, "tenant_id": "acme", "event_type": "fact", "operation": "supersede", "payload": {},
                "memory_ids": [], "created_at": "2026-05-07T09:30:00Z"
            }),
        ),
    ]
}

fn read(file: &str) -> Result<Vec<ExportLine>> {
    let bytes = Ok(file.as_bytes().to_vec());
    let chunks: BoxStream<'static, Result<Vec<u8>>> = stream::iter([bytes]).boxed();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.expect("a runtime").block_on(portable::decode(chunks).try_collect())
}

#[test]
fn every_kind_of_line_is_read_and_written_as_it_was() -> TestResult {
    let mut kinds = Vec::new();
    for json in lines() {
        let line: ExportLine = serde_json::from_value(json.clone())?;
        assert_eq!(json["kind"], line.kind());
        assert_eq!(serde_json::to_value(&line)?, json);
        kinds.push(line.kind());
    }
    kinds.push("trailer");
    assert_eq!(kinds, ExportLine::KINDS, "every kind has a fixture, in the order of the format");
    assert_eq!((FORMAT_NAME, FORMAT_VERSION), ("cml-export", 1));
    Ok(())
}

/// Bytes of a file; the hash was computed with `sha256sum` over its first three lines.
const FILE: &str = r#"{"kind":"header","value":{"format":"cml-export","version":1,"created_at":"2026-05-07T09:30:00Z","models":[],"counts":{}}}
{"kind":"session","value":{"session_id":"monday","tenant_id":"acme","created_at":"2026-05-07T09:30:00Z"}}
{"kind":"message","value":{"id":"0198c0de-0000-7000-8000-000000000002","tenant_id":"acme","namespace":"default","session_id":"monday","seq":1,"role":"user","text":"We meet on Friday","said_at":"2026-05-07T09:30:00Z"}}
{"kind":"trailer","value":{"counts":{"message":1,"session":1},"sha256":"c2f0d2ee75285cb81aa8be42a97fe828664345533725be13d3d7abda720899aa"}}
"#;

#[test]
fn a_file_ends_with_counts_and_the_hash_of_what_came_before() -> TestResult {
    let lines = read(FILE)?;
    assert_eq!(lines.iter().map(ExportLine::kind).collect::<Vec<_>>(), ["header", "session", "message"]);
    let cut = FILE.lines().take(3).collect::<Vec<_>>().join("\n");
    let edited = FILE.replace("Friday", "Monday");
    let dropped = FILE.replace("\"counts\":{\"message\":1,", "\"counts\":{");
    for broken in [cut, edited, dropped] {
        let error = read(&broken).expect_err("a cut or edited file");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.fields()[0].field, "line 4");
    }
    Ok(())
}

#[test]
fn an_import_reports_by_kind() -> TestResult {
    let json =
        json!({"imported": {"record": 2}, "skipped": {"session": 1}, "losses": ["one fact has no slot"]});
    let report: ImportReport = serde_json::from_value(json.clone())?;
    assert_eq!((report.imported["record"], report.skipped["session"]), (2, 1));
    assert_eq!(serde_json::to_value(&report)?, json);
    Ok(())
}
