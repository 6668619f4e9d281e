//! Which of the records that a search comes upon a read may return.

use chrono::{DateTime, Utc};
use cml_core::memory::MemoryStatus;

use super::read::Question;
use crate::search::IndexedRecord;

/// Statuses of memories that a read may return.
pub(super) const RETURNED: [MemoryStatus; 3] =
    [MemoryStatus::Active, MemoryStatus::Compressed, MemoryStatus::Silent];

/// The filters of a read, prepared for one pass over the index.
pub(super) struct Filter<'a> {
    question: &'a Question,
    now: i64,
    as_of: Option<i64>,
    since: Option<i64>,
    until: Option<i64>,
}

impl<'a> Filter<'a> {
    pub(super) fn new(question: &'a Question) -> Self {
        let request = &question.request;
        let micros = |instant: DateTime<Utc>| instant.timestamp_micros();
        Self {
            question,
            now: micros(question.now),
            as_of: request.as_of.map(micros),
            since: request.since.map(micros),
            until: request.until.map(micros),
        }
    }

    pub(super) fn accepts(&self, record: &IndexedRecord<'_>) -> bool {
        let (request, row) = (&self.question.request, record.row);
        let status = RETURNED.contains(&row.status);
        let at = self.as_of.unwrap_or(self.now);
        let holds = match self.as_of {
            None => !row.superseded,
            Some(as_of) => record.said_at <= as_of,
        };
        status
            && holds
            && row.valid_to.is_none_or(|end| end > at)
            && row.expires_at.is_none_or(|end| end > at)
            && (request.memory_types.is_empty() || request.memory_types.contains(&row.kind))
            && (request.agents.is_empty() || request.agents.contains(&row.agent))
            && (request.context_filter.is_empty()
                || request.context_filter.iter().any(|tag| row.tags.contains(tag)))
            && self.in_range(record)
            && self.question.passes(row.metadata.as_deref())
    }

    /// When a record that is accepted will no longer be, in microseconds since 1970.
    pub(super) fn end(&self, record: &IndexedRecord<'_>) -> Option<i64> {
        // What held at a former instant does not change by time.
        if self.as_of.is_some() { None } else { earlier(record.row.valid_to, record.row.expires_at) }
    }

    /// Said in the range, or telling of something that overlaps it.
    fn in_range(&self, record: &IndexedRecord<'_>) -> bool {
        let within = |start: i64, end: i64| {
            self.since.is_none_or(|since| end >= since) && self.until.is_none_or(|until| start < until)
        };
        let event = record.row.event.is_some_and(|(start, end)| within(start, (end - 1).max(start)));
        within(record.said_at, record.said_at) || event
    }
}

/// The earlier one of those that are there.
pub(super) fn earlier(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    a.into_iter().chain(b).min()
}
