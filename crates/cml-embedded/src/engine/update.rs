//! Changing a memory: its fields, or its text with everything that was read off it.

use chrono_tz::Tz;
use cml_core::{
    Error, ErrorKind, MemoryId, Result, Scope, Score,
    memory::{EventType, Evidence, Fact, FactStatus, MemoryRecord, MemoryStatus, OperationType},
    ops::{Extract, Feedback, UpdateRequest, UpdateResponse},
};

use super::{
    Attempts, Engine,
    answers::Repeatable,
    draft::{Content, hex, spoken},
    facts::{Said, Slots, slot_of},
    generation::Serving,
    plan::{Plan, payload},
    traits::CONFIRMATION,
    write::turn_row,
};
use crate::{
    digest::sha256,
    extract::{Context, value_key},
    store::{ModelId, Outcome, Precondition, View, Wanted},
};

/// The records of one text, and the facts that rest on them.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// By chunk index.
    pub(super) records: Vec<MemoryRecord>,
    pub(super) facts: Vec<Fact>,
}

impl Engine {
    /// Changes what is given on a memory.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` for another version than expected.
    pub async fn update(&self, scope: &Scope, request: UpdateRequest) -> Result<UpdateResponse> {
        request.validate()?;
        let repeatable = match &request.idempotency_key {
            Some(key) => Some(Repeatable::new("update", key, scope, &request)?),
            None => None,
        };
        let text = request.text.as_deref().map(|text| self.drafter.replacement(text)).transpose()?;
        let timezone = request.user_timezone.as_deref().map_or(Ok(Tz::UTC), cml_core::time::zone)?;
        let tenant = scope.tenant();
        let mut attempts = Attempts::new(self, tenant);
        loop {
            attempts.next().await?;
            let now = self.clock.now();
            let group = self.group(scope, request.memory_id).await?;
            let current = group.records.iter().find(|record| record.id == request.memory_id);
            let current = current.ok_or_else(|| unknown(request.memory_id))?.clone();

            let serving = self.generation.get();
            let unchanged = |text: &str| hex(&sha256(&[text.as_bytes()])) == current.content_hash;
            let content = match text.as_ref().filter(|text| !unchanged(text)) {
                Some(text) => Some(self.read_replacement(&serving, text, &current, timezone).await?),
                None => None,
            };
            let mut wanted = Wanted { now, ..Wanted::default() };
            wanted.idempotency.extend(repeatable.iter().map(|repeatable| repeatable.key.clone()));
            let statements = || {
                content.iter().flat_map(|content| &content.statements).map(|statement| {
                    (slot_of(&current.namespace, &current.user_id, statement), statement, current.timestamp)
                })
            };
            wanted.slots.extend(statements().map(|(slot, ..)| slot));
            let observed = self.store.observe(tenant, &wanted).await?;
            let mut plan = Plan::new(tenant, now);
            if let Some(repeatable) = &repeatable {
                if let Some(row) = observed.idempotency.get(&repeatable.key) {
                    return repeatable.answer(row);
                }
                plan.require(Precondition::Unused(repeatable.key.clone()));
            }
            if request.expected_version.is_some_and(|expected| expected != current.version) {
                let message = format!("the memory is at version {}", current.version);
                return Err(Error::new(ErrorKind::Conflict, message).with_context("memory_id", current.id));
            }
            if observed.model != serving.id {
                self.generation.check(self.store.as_ref()).await?;
                continue;
            }
            let mut slots = Slots::new(&observed);
            self.complete_slots(scope, &mut slots, statements()).await?;
            if let Some(content) = &content {
                plan.require(Precondition::Model(serving.id));
                plan.replace_text(scope, serving.id, content, &group, &mut slots);
            }
            let changed = content.is_some() || changes_fields(&request, &current);
            if changed {
                let deleted = plan.changes.delete_records.clone();
                for record in group.records.iter().filter(|record| !deleted.contains(&record.id)) {
                    let edited = plan.record(record).clone();
                    plan.change_record(&edited, |record| apply(&request, record, now));
                }
                let ids = group.records.iter().map(|record| record.id).collect();
                let detail = payload([("fields", fields(&request).into())]);
                plan.event(scope, EventType::Memory, OperationType::Update, ids, detail);
            }
            let answer = UpdateResponse {
                success: true,
                memory_id: current.id,
                version: plan.record(&current).version,
                message: if changed { "updated".to_owned() } else { "nothing to change".to_owned() },
            };
            if let Some(repeatable) = &repeatable {
                plan.changes.idempotency.push(repeatable.row(&answer, now));
            }
            if !changed && repeatable.is_none() {
                return Ok(answer);
            }
            if let Outcome::Committed(_) = self.commit(plan.changes).await? {
                return Ok(answer);
            }
        }
    }

    /// The records of the text that a memory is part of, with their facts.
    pub(super) async fn group(&self, scope: &Scope, id: MemoryId) -> Result<Group> {
        let tenant = scope.tenant();
        let named = self.store.records(tenant, &[id]).await?.pop();
        let named = named
            .filter(|record| scope.sees(&record.namespace, &record.user_id, &record.session_id))
            .ok_or_else(|| unknown(id))?;
        let records = self.store.records_of(tenant, &[named.message_id]).await?;
        let ids: Vec<MemoryId> = records.iter().map(|record| record.id).collect();
        Ok(Group { facts: self.store.facts_of(tenant, &ids).await?, records })
    }

    async fn read_replacement(
        &self,
        serving: &Serving,
        text: &str,
        current: &MemoryRecord,
        timezone: Tz,
    ) -> Result<Content> {
        let context = Context {
            role: Some(current.role),
            said_at: current.timestamp,
            timezone,
            speaker: Some(current.speaker.clone()).filter(|speaker| !speaker.is_empty()),
        };
        let max_tokens = serving.model().max_tokens;
        let mut content = self.drafter.content(text.to_owned(), Extract::Full, &context, max_tokens);
        let spoken: Vec<_> =
            content.chunks.iter().map(|chunk| spoken(&current.speaker, &chunk.text)).collect();
        let texts: Vec<&str> = spoken.iter().map(AsRef::as_ref).collect();
        let vectors = self.vectors(serving, &current.tenant_id).await?.embed(&texts).await?;
        drop(spoken);
        for (chunk, vector) in content.chunks.iter_mut().zip(vectors) {
            chunk.own = Some(vector);
        }
        Ok(content)
    }
}

impl Plan {
    /// Puts a new text in the place of a group's: chunk by chunk, further chunks added, surplus ones
    /// removed. Facts that only the former text stated are retracted.
    pub(super) fn replace_text(
        &mut self,
        scope: &Scope,
        model: ModelId,
        content: &Content,
        group: &Group,
        slots: &mut Slots,
    ) {
        let first = self.record(&group.records[0]).clone();
        let mut records = Vec::with_capacity(content.chunks.len());
        for (index, chunk) in content.chunks.iter().enumerate() {
            let edit = |record: &mut MemoryRecord| {
                record.text.clone_from(&chunk.text);
                record.content_hash.clone_from(&content.hash);
                (record.event_start, record.event_end) = (chunk.event.map(|e| e.0), chunk.event.map(|e| e.1));
            };
            let id = match group.records.get(index) {
                Some(record) => {
                    let record = self.record(record).clone();
                    self.change_record(&record, edit);
                    record.id
                }
                None => {
                    let mut record = MemoryRecord {
                        id: MemoryId::new(),
                        chunk_index: u32::try_from(index).unwrap_or(u32::MAX),
                        key: None,
                        version: 1,
                        written_at: self.now,
                        ..first.clone()
                    };
                    edit(&mut record);
                    self.add_record(record.clone());
                    record.id
                }
            };
            self.add_vector(id, model, View::Own, chunk.own.as_ref());
            self.add_vector(id, model, View::Context, chunk.context.as_ref());
            let put = self.changes.records.iter().find(|put| put.record.id == id);
            records.extend(put.map(|put| put.record.clone()));
        }
        let surplus = group.records.iter().skip(content.chunks.len()).map(|record| record.id);
        self.changes.delete_records.extend(surplus);
        self.changes.turns.extend(turn_row(&records[0], content));
        for mention in &content.mentions {
            self.mention(&records[content.chunk_of(&mention.span)], (&mention.name, mention.kind));
        }
        for statement in &content.statements {
            let record = &records[content.chunk_of(&statement.span)];
            let said = Said { scope, at: record.timestamp, record, mentions: &content.mentions };
            self.assert(slots, statement, said);
        }
        self.retract_unstated(content, group);
    }

    fn retract_unstated(&mut self, content: &Content, group: &Group) {
        let of_group = |evidence: &Evidence| match evidence {
            Evidence::Memory(id) => group.records.iter().any(|record| record.id == *id),
            _ => false,
        };
        for fact in &group.facts {
            let planned = self.changes.facts.iter().any(|other| other.id == fact.id);
            let stated = content.statements.iter().any(|statement| {
                statement.predicate == fact.predicate && statement.value_key == value_key(&fact.value)
            });
            let alone = fact.evidence.iter().all(of_group);
            if fact.status == FactStatus::Current && alone && !stated && !planned {
                let now = self.now;
                self.change_fact(fact, |fact| {
                    fact.status = FactStatus::Retracted;
                    fact.valid_to = Some(now.max(fact.valid_from));
                });
            }
        }
    }
}

/// Whether the request changes anything but the text.
fn changes_fields(request: &UpdateRequest, current: &MemoryRecord) -> bool {
    let mut edited = current.clone();
    apply(request, &mut edited, current.written_at);
    edited != *current || request.feedback == Some(Feedback::Outdated)
}

fn apply(request: &UpdateRequest, record: &mut MemoryRecord, now: chrono::DateTime<chrono::Utc>) {
    if let Some(confidence) = request.confidence {
        record.confidence = Score::clamped(confidence);
    }
    if let Some(importance) = request.importance {
        record.importance = Score::clamped(importance);
    }
    for (name, value) in request.metadata.iter().flatten() {
        if value.is_null() {
            record.metadata.remove(name);
        } else {
            record.metadata.insert(name.clone(), value.clone());
        }
    }
    if let Some(tags) = &request.context_tags {
        record.context_tags.clone_from(tags);
    }
    if let Some(memory_type) = request.memory_type {
        record.memory_type = memory_type;
    }
    record.valid_from = request.valid_from.map(cml_core::time::truncate).or(record.valid_from);
    record.valid_to = request.valid_to.map(cml_core::time::truncate).or(record.valid_to);
    match request.feedback {
        Some(Feedback::Correct) => {
            record.confidence = Score::clamped(record.confidence.get() + CONFIRMATION);
        }
        Some(Feedback::Incorrect) => {
            record.confidence = Score::ZERO;
            record.status = MemoryStatus::Deleted;
        }
        Some(Feedback::Outdated) => record.valid_to = Some(now),
        _ => {}
    }
}

/// Names of the fields that a request gives, for the event log.
fn fields(request: &UpdateRequest) -> Vec<&'static str> {
    [
        ("text", request.text.is_some()),
        ("confidence", request.confidence.is_some()),
        ("importance", request.importance.is_some()),
        ("metadata", request.metadata.is_some()),
        ("feedback", request.feedback.is_some()),
        ("context_tags", request.context_tags.is_some()),
        ("memory_type", request.memory_type.is_some()),
        ("valid_from", request.valid_from.is_some()),
        ("valid_to", request.valid_to.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, given)| given.then_some(name))
    .collect()
}

pub(super) fn unknown(id: MemoryId) -> Error {
    Error::not_found("memory", id).with_context("memory_id", id)
}
