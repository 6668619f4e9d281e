//! Values at the edges of what a row can hold.

use chrono::{DateTime, Utc};
use cml::{
    DecayRate, EntityId, MessageId, Score,
    memory::{Evidence, MemoryStatus, Metadata, RecordVersion},
    ops::{Edge, ExportLine},
};
use serde_json::{Value, json};

use crate::TestResult;

/// Changes rows here and there, and adds those that no write makes.
pub(super) fn add(rows: &mut Vec<ExportLine>) -> TestResult {
    let mut added = Vec::new();
    let (mut entities, mut messages, mut facts) = (Vec::new(), Vec::new(), Vec::new());
    for (n, row) in rows.iter_mut().enumerate() {
        match row {
            ExportLine::Session(session) if n % 3 == 0 => {
                session.metadata = metadata(n);
                session.participants = vec!["Zoë".to_owned(), "o'neill \"x\"".to_owned(), String::new()];
                session.expires_at = Some(instant("2199-12-31T23:59:59.999999Z")?);
            }
            ExportLine::Message(message) => {
                messages.push(message.id);
                if n % 11 == 0 {
                    message.metadata = metadata(n);
                }
            }
            ExportLine::Record(record) if record.status == MemoryStatus::Active => {
                match n % 20 {
                    0 => record.metadata = metadata(n),
                    1 => {
                        record.text =
                            format!("{} \u{1F9ED} line\nbreak\ttab \"quoted\" \\ \u{FFFD}", record.text);
                    }
                    2 => {
                        record.event_start = Some(instant("0001-01-01T00:00:00.000001Z")?);
                        record.event_end = Some(instant("9999-12-31T23:59:59.999999Z")?);
                    }
                    3 => {
                        record.valid_from = Some(instant("1969-12-31T23:59:59.999999Z")?);
                        record.valid_to = Some(instant("2024-02-29T12:00:00.5Z")?);
                    }
                    4 => record.expires_at = Some(instant("2020-01-01T00:00:00Z")?),
                    5 => {
                        record.importance = Score::new(0.1 + 0.2)?;
                        record.confidence = Score::new(f64::MIN_POSITIVE)?;
                        record.decay_rate = DecayRate::per_day(1.0 / 3.0)?;
                    }
                    6 => {
                        record.access_count = (1 << 53) + 1;
                        record.last_accessed_at = Some(instant("2026-05-07T10:00:00.123456Z")?);
                    }
                    7 => record.status = MemoryStatus::Compressed,
                    8 => record.context_tags = vec!["b".to_owned(), "a".to_owned(), "日本".to_owned()],
                    _ => {}
                }
                if n % 50 == 9 && record.version == 1 {
                    record.version = 3;
                    for version in [1, 2] {
                        let mut former = (**record).clone();
                        former.version = version;
                        former.text = format!("Version {version}: {}", record.text);
                        former.metadata = metadata(n);
                        let until = instant("2026-01-01T00:00:00.000007Z")?;
                        added.push(ExportLine::RecordVersion(Box::new(RecordVersion::new(former, until))));
                    }
                }
            }
            ExportLine::Entity(entity) => entities.push(entity.id),
            ExportLine::Fact(fact) => {
                facts.push(fact.id);
                if n % 9 == 0 {
                    fact.situations = vec!["food".to_owned(), "Schöße".to_owned()];
                    fact.confidence = Score::new(2.0 / 3.0)?;
                }
            }
            ExportLine::Event(event) if n % 7 == 0 => event.payload = metadata(n),
            _ => {}
        }
    }
    added.extend(edges(&entities));
    let evidence = facts.iter().zip(messages.iter().rev()).step_by(5);
    added.extend(evidence.map(|(fact_id, message)| rests_on(*fact_id, *message)));
    rows.append(&mut added);
    let order = |row: &ExportLine| ExportLine::KINDS.iter().position(|kind| *kind == row.kind());
    rows.sort_by_key(order);
    Ok(())
}

fn rests_on(fact_id: cml::FactId, message: MessageId) -> ExportLine {
    ExportLine::Evidence { fact_id, evidence: Evidence::Message(message) }
}

/// Relations from every entity to the next one and to a distant one.
fn edges(entities: &[EntityId]) -> Vec<ExportLine> {
    let edge = |source: EntityId, target: EntityId, predicate: &str, confidence| {
        ExportLine::Edge(Edge { source, target, predicate: predicate.to_owned(), confidence })
    };
    let next = entities.windows(2).map(|pair| edge(pair[0], pair[1], "knows", 0.1 + 0.2));
    let far = entities.iter().zip(entities.iter().skip(100));
    let far = far.map(|(source, target)| edge(*target, *source, "wohnt bei „ü“", 1.0 / 3.0));
    next.chain(far).collect()
}

/// Names, numbers and depths that a store might mangle.
fn metadata(n: usize) -> Metadata {
    let mut deep = json!(n);
    for level in 0..40 {
        deep = if level % 2 == 0 { json!([deep]) } else { json!({"nested": deep}) };
    }
    let fields = json!({
        "number": n,
        "big": u64::MAX,
        "small": i64::MIN,
        "precise": 121.487_919_511_619_45_f64,
        "tiny": -5e-324,
        "huge": f64::MAX,
        "minus zero": -0.0,
        "whole": 3.0,
        "sum": 0.1 + 0.2,
        "text": "\u{0}\u{7F}\u{2028}\u{1F600} \"x\" \\u0041 e\u{301}\r\n",
        "": {"z": null, "a": [], "Z": {}, "ß": [true, false]},
        "deep": deep,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Metadata::new(),
    }
}

fn instant(text: &str) -> TestResult<DateTime<Utc>> {
    Ok(DateTime::parse_from_rfc3339(text)?.to_utc())
}
