//! Storing memories.

use std::{collections::HashMap, sync::Arc};

use chrono::{DateTime, Utc};
use cml_core::{
    MemoryId, MessageId, Result, Scope, Score,
    memory::{
        EventType, MemoryRecord, MemoryStatus, MemoryType, Message, Metadata, OperationType, Role, Session,
    },
    ops::{WriteOutcome, WriteRequest, WriteResponse},
};

use super::{
    Attempts, Engine,
    draft::{Content, Draft, spoken},
    facts::{Said, Slots, slot_of},
    generation::Serving,
    plan::{Plan, dedup_digest, is_live, payload},
    traits::{REPETITION, confidence, decay_rate, importance, source},
    update::Group,
};
use crate::{
    extract::Statement,
    store::{Digest, KeyOf, ModelId, Observed, Outcome, Precondition, SlotOf, TurnOf, TurnRow, View, Wanted},
};

/// Most requests of one commit.
const COMMIT_REQUESTS: usize = 500;

/// Bytes of text from which on analysis leaves the async threads; about a millisecond of work.
const OFF_THREAD_BYTES: usize = 8 * 1024;

impl Engine {
    /// Stores texts; see [`MemoryBackend::write_batch`](cml_core::MemoryBackend::write_batch).
    ///
    /// # Errors
    /// Per request as documented there; as a whole when the store or the embedder is away.
    pub async fn write_batch(
        &self,
        scope: &Scope,
        requests: Vec<WriteRequest>,
    ) -> Result<Vec<Result<WriteResponse>>> {
        let mut results = Vec::with_capacity(requests.len());
        let mut requests = requests.into_iter().peekable();
        while requests.peek().is_some() {
            let group: Vec<WriteRequest> = requests.by_ref().take(COMMIT_REQUESTS).collect();
            results.extend(self.write_group(scope, group).await?);
        }
        Ok(results)
    }

    async fn write_group(
        &self,
        scope: &Scope,
        group: Vec<WriteRequest>,
    ) -> Result<Vec<Result<WriteResponse>>> {
        let now = self.clock.now();
        let max_tokens = self.generation.get().model().max_tokens;
        let bytes: usize = group.iter().map(|request| request.content.len()).sum();
        let drafter = Arc::clone(&self.drafter);
        let scope_of_drafts = scope.clone();
        let draft = move || -> Vec<Result<Draft>> {
            let requests = group.into_iter();
            requests.map(|request| drafter.draft(&scope_of_drafts, request, max_tokens, now)).collect()
        };
        let drafts = if bytes > OFF_THREAD_BYTES { self.off_thread(draft).await? } else { draft() };

        let mut results: Vec<Option<Result<WriteResponse>>> = Vec::with_capacity(drafts.len());
        let mut good = Vec::with_capacity(drafts.len());
        for draft in drafts {
            match draft {
                Ok(draft) => {
                    results.push(None);
                    good.push(draft);
                }
                Err(error) => results.push(Some(Err(error))),
            }
        }
        let mut written = self.write_drafts(scope.tenant(), good).await?.into_iter();
        let in_order = results.into_iter().map(|result| result.or_else(|| written.next()));
        Ok(in_order.flatten().collect())
    }

    async fn write_drafts(&self, tenant: &str, mut drafts: Vec<Draft>) -> Result<Vec<Result<WriteResponse>>> {
        if drafts.is_empty() {
            return Ok(Vec::new());
        }
        let mut attempts = Attempts::new(self, tenant);
        let mut embedded_by = None;
        loop {
            attempts.next().await?;
            let now = self.clock.now();
            let serving = self.generation.get();
            let observed = self.store.observe(tenant, &wanted(&drafts, &serving, now)).await?;
            if observed.model != serving.id {
                self.generation.check(self.store.as_ref()).await?;
                continue;
            }
            self.embed(tenant, &serving, &mut drafts, &observed, embedded_by == Some(serving.id)).await?;
            embedded_by = Some(serving.id);

            let mut slots = Slots::new(&observed);
            let scope = drafts[0].scope.whole_tenant();
            self.complete_slots(&scope, &mut slots, statements(&drafts)).await?;

            let mut groups = HashMap::new();
            for record in observed.keys.values() {
                groups.insert(record.id, self.group(&scope, record.id).await?);
            }
            let mut writer = Writer::new(tenant, now, serving.id, observed, slots, groups);
            let answers: Vec<Result<WriteResponse>> =
                drafts.iter().map(|draft| writer.write(draft)).collect();
            let mut plan = writer.plan;
            let accessed = self.accesses.take(tenant);
            plan.changes.accessed.clone_from(&accessed);
            let outcome = self.commit(plan.changes).await;
            if let Ok(Outcome::Committed(_)) = outcome {
                return Ok(answers);
            }
            self.accesses.give_back(tenant, accessed);
            if let Outcome::Refused(condition) = outcome? {
                tracing::debug!(tenant, ?condition, "planning a write again");
            }
        }
    }

    /// Makes the vectors that are missing: own ones once, context ones for what now comes before.
    async fn embed(
        &self,
        tenant: &str,
        serving: &Serving,
        drafts: &mut [Draft],
        observed: &Observed,
        own_done: bool,
    ) -> Result<()> {
        let vectors_of = self.vectors_at(serving, tenant, observed.state.epoch);
        if !own_done {
            let texts: Vec<_> = drafts
                .iter()
                .flat_map(|draft| {
                    let speaker = draft.request.speaker.as_deref().unwrap_or_default();
                    draft.content.chunks.iter().map(move |chunk| spoken(speaker, &chunk.text))
                })
                .collect();
            let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
            let mut vectors = vectors_of.embed(&texts).await?.into_iter();
            for chunk in drafts.iter_mut().flat_map(|draft| &mut draft.content.chunks) {
                chunk.own = vectors.next();
            }
        }
        if serving.model().additive {
            return Ok(());
        }
        let mut last: HashMap<&str, &str> = observed
            .last_messages
            .iter()
            .map(|(session, message)| (session.as_str(), message.text.as_str()))
            .collect();
        let mut texts = Vec::new();
        for draft in drafts.iter() {
            let session = draft.scope.session();
            if session.is_empty() {
                continue;
            }
            if let (Some(before), Some(chunk)) = (last.get(session), draft.content.chunks.first()) {
                texts.push(format!("{before}\n{}", chunk.text));
            }
            last.insert(session, &draft.content.text);
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut vectors = vectors_of.embed(&texts).await?.into_iter();
        let mut opened: Vec<String> = observed.last_messages.keys().cloned().collect();
        for draft in drafts {
            let session = draft.scope.session().to_owned();
            if session.is_empty() {
                continue;
            }
            let follows = opened.contains(&session);
            if let Some(chunk) = draft.content.chunks.first_mut() {
                chunk.context = if follows { vectors.next() } else { None };
            }
            if !follows {
                opened.push(session);
            }
        }
        Ok(())
    }
}

/// What planning these drafts needs to know.
fn wanted(drafts: &[Draft], serving: &Serving, now: DateTime<Utc>) -> Wanted {
    let mut wanted = Wanted { now, ..Wanted::default() };
    for draft in drafts {
        wanted.idempotency.extend(draft.repeatable.iter().map(|repeatable| repeatable.key.clone()));
        wanted.turns.extend(turn_of(draft));
        match key_of(draft) {
            Some(key) => wanted.keys.push(key),
            None => wanted.dedup.extend(digest_of(draft)),
        }
        if !draft.scope.session().is_empty() && !serving.model().additive {
            wanted.last_messages.push(draft.scope.session().to_owned());
        }
    }
    wanted.slots = statements(drafts).map(|(slot, ..)| slot).collect();
    wanted
}

fn statements(drafts: &[Draft]) -> impl Iterator<Item = (SlotOf, &Statement, DateTime<Utc>)> {
    drafts.iter().flat_map(|draft| {
        let statements = draft.content.statements.iter();
        statements.map(|statement| {
            (slot_of(draft.scope.write_namespace(), draft.scope.user(), statement), statement, draft.said_at)
        })
    })
}

fn turn_of(draft: &Draft) -> Option<TurnOf> {
    let turn_id = draft.request.turn_id.clone().filter(|_| !draft.scope.session().is_empty())?;
    Some(TurnOf { session: draft.scope.session().to_owned(), role: draft.role, turn_id })
}

fn key_of(draft: &Draft) -> Option<KeyOf> {
    let key = draft.request.key.clone().filter(|_| draft.stored)?;
    Some(KeyOf {
        namespace: draft.scope.write_namespace().to_owned(),
        user: draft.scope.user().to_owned(),
        key,
    })
}

fn digest_of(draft: &Draft) -> Option<Digest> {
    let scope = &draft.scope;
    draft.stored.then(|| {
        let role = draft.role.as_str();
        dedup_digest(scope.write_namespace(), scope.user(), scope.session(), role, &draft.content.hash)
    })
}

/// Plans the drafts of one commit, one after the other.
struct Writer {
    plan: Plan,
    model: ModelId,
    observed: Observed,
    slots: Slots,
    /// The texts under the keys that are written to, by first record.
    groups: HashMap<MemoryId, Group>,
}

impl Writer {
    fn new(
        tenant: &str,
        now: DateTime<Utc>,
        model: ModelId,
        observed: Observed,
        slots: Slots,
        groups: HashMap<MemoryId, Group>,
    ) -> Self {
        let mut plan = Plan::new(tenant, now);
        plan.require(Precondition::Epoch(observed.state.epoch));
        plan.require(Precondition::Model(model));
        Self { plan, model, observed, slots, groups }
    }

    fn write(&mut self, draft: &Draft) -> Result<WriteResponse> {
        self.plan.next_request();
        if let Some(repeatable) = &draft.repeatable {
            if let Some(row) = self.observed.idempotency.get(&repeatable.key) {
                return repeatable.answer(row);
            }
            self.plan.require(Precondition::Unused(repeatable.key.clone()));
        }
        let turn = turn_of(draft);
        if let Some(turn) = &turn {
            if let Some((message, chunks)) = self.observed.turns.get(turn) {
                return Ok(repeated(message, *chunks));
            }
            self.plan.require(Precondition::Turn(turn.clone()));
        }
        let message_id = MessageId::new();
        let mut answer = if draft.stored { self.store(draft, message_id) } else { skipped(draft) };
        self.log(draft, message_id, &answer);
        if let (Some(turn), Some(message)) = (turn, self.plan.changes.messages.last()) {
            self.observed.turns.insert(turn, (message.clone(), answer.chunks_created));
        }
        if draft.request.eval_mode {
            let outcome = if draft.stored { WriteOutcome::Stored } else { WriteOutcome::Skipped };
            answer.eval_outcome = Some(outcome);
            answer.eval_reason = Some(draft.reason.clone());
        }
        if let Some(repeatable) = &draft.repeatable {
            let row = repeatable.row(&answer, self.plan.now);
            self.observed.idempotency.insert(row.key.clone(), row.clone());
            self.plan.changes.idempotency.push(row);
        }
        Ok(answer)
    }

    fn store(&mut self, draft: &Draft, message_id: MessageId) -> WriteResponse {
        if let Some(key) = key_of(draft) {
            let current = self.observed.keys.get(&key).cloned();
            let id = current.as_ref().map(|record| record.id);
            let planned = |id| self.plan.changes.records.iter().any(|put| put.record.id == id);
            if !id.is_some_and(planned) {
                self.plan.require(Precondition::Key(key.clone(), id));
            }
            if let Some(wrong) = current.as_ref().filter(|record| record.status == MemoryStatus::Deleted) {
                // A memory that was marked as wrong gives its key back.
                self.plan.change_record(wrong, |record| record.key = None);
            }
            let replaced = current.filter(|record| record.status != MemoryStatus::Deleted);
            let answer = match replaced.and_then(|record| self.groups.get(&record.id).cloned()) {
                Some(group) => self.replace(draft, &group),
                None => self.insert(draft, message_id),
            };
            let mut records: Vec<MemoryRecord> =
                self.plan.changes.records.iter().map(|put| put.record.clone()).collect();
            if let Some(first) = records.iter().find(|record| Some(record.id) == answer.memory_id).cloned() {
                records.retain(|record| record.message_id == first.message_id);
                records.sort_by_key(|record| record.chunk_index);
                self.groups.insert(first.id, Group { records, facts: Vec::new() });
                self.observed.keys.insert(key, first);
            }
            return answer;
        }
        let Some(digest) = digest_of(draft) else { return self.insert(draft, message_id) };
        let current = self.observed.dedup.get(&digest).cloned();
        let known = current.as_ref().map(|record| record.id);
        if !self.plan.changes.records.iter().any(|put| Some(put.record.id) == known) {
            self.plan.require(Precondition::Dedup(digest, known));
        }
        match current.filter(|record| is_live(self.plan.record(record), self.plan.now)) {
            Some(record) => self.reinforce(draft, &record),
            None => {
                let answer = self.insert(draft, message_id);
                let first =
                    self.plan.changes.records.iter().find(|put| Some(put.record.id) == answer.memory_id);
                if let Some(put) = first {
                    self.observed.dedup.insert(digest, put.record.clone());
                }
                answer
            }
        }
    }

    /// The same text again: the memory there is grows stronger.
    fn reinforce(&mut self, draft: &Draft, current: &MemoryRecord) -> WriteResponse {
        let record = self.plan.record(current).clone();
        let request = &draft.request;
        let tags: Vec<&String> =
            request.context_tags.iter().filter(|tag| !record.context_tags.contains(tag)).collect();
        let changed = request.metadata.iter().any(|(name, value)| record.metadata.get(name) != Some(value));
        if !tags.is_empty() || changed {
            self.plan.change_record(&record, |record| {
                record.context_tags.extend(tags.into_iter().cloned());
                record.metadata.extend(request.metadata.clone());
            });
        }
        let confidence = Score::clamped(record.confidence.get() + REPETITION);
        self.plan.reinforce(record.id, confidence);
        let strengthened = self.plan.record(&record).clone();
        self.assert_all(draft, &[strengthened]);
        self.plan.event(
            &draft.scope,
            EventType::Memory,
            OperationType::Reinforce,
            vec![record.id],
            Metadata::new(),
        );
        WriteResponse {
            success: true,
            memory_id: Some(record.id),
            chunks_created: 0,
            message: "known already, strengthened".to_owned(),
            eval_outcome: None,
            eval_reason: None,
        }
    }

    fn insert(&mut self, draft: &Draft, message_id: MessageId) -> WriteResponse {
        let records: Vec<MemoryRecord> = draft
            .content
            .chunks
            .iter()
            .enumerate()
            .map(|(index, chunk)| {
                let record = self.new_record(draft, message_id, index, &chunk.text, chunk.event);
                self.plan.add_record(record.clone());
                record
            })
            .collect();
        self.attach(&draft.content, &records);
        self.assert_all(draft, &records);
        let ids: Vec<MemoryId> = records.iter().map(|record| record.id).collect();
        let chunks = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        let detail = payload([("chunks", chunks.into()), ("gate", draft.reason.clone().into())]);
        self.plan.event(&draft.scope, EventType::Memory, OperationType::Write, ids.clone(), detail);
        WriteResponse {
            success: true,
            memory_id: ids.first().copied(),
            chunks_created: chunks,
            message: if chunks == 1 { "stored".to_owned() } else { format!("stored in {chunks} chunks") },
            eval_outcome: None,
            eval_reason: None,
        }
    }

    /// A write under a key that exists: its text becomes a new version of that memory.
    fn replace(&mut self, draft: &Draft, group: &Group) -> WriteResponse {
        let request = &draft.request;
        let first = self.plan.record(&group.records[0]).clone();
        let memory_type = request.memory_type.or(draft.content.memory_type).unwrap_or(first.memory_type);
        self.plan.change_record(&first, |record| {
            record.memory_type = memory_type;
            record.status = MemoryStatus::Active;
            record.role = draft.role;
            record.timestamp = draft.said_at;
            record.expires_at = request.expires_at.map(cml_core::time::truncate);
            record.valid_to = None;
            record.superseded_by_id = None;
            if !request.context_tags.is_empty() {
                record.context_tags.clone_from(&request.context_tags);
            }
            record.metadata.extend(request.metadata.clone());
        });
        self.plan.replace_text(&draft.scope, self.model, &draft.content, group, &mut self.slots);
        let version = self.plan.record(&first).version;
        let detail = payload([("version", version.into())]);
        self.plan.event(&draft.scope, EventType::Memory, OperationType::Update, vec![first.id], detail);
        WriteResponse {
            success: true,
            memory_id: Some(first.id),
            chunks_created: u32::try_from(draft.content.chunks.len()).unwrap_or(u32::MAX),
            message: format!("replaced, version {version}"),
            eval_outcome: None,
            eval_reason: None,
        }
    }

    /// Vectors, words and mentions of a text's records.
    fn attach(&mut self, content: &Content, records: &[MemoryRecord]) {
        for (record, chunk) in records.iter().zip(&content.chunks) {
            self.plan.add_vector(record.id, self.model, View::Own, chunk.own.as_ref());
            self.plan.add_vector(record.id, self.model, View::Context, chunk.context.as_ref());
        }
        for mention in &content.mentions {
            let record = &records[content.chunk_of(&mention.span)];
            self.plan.mention(record, (&mention.name, mention.kind));
        }
        self.plan.changes.turns.extend(turn_row(&records[0], content));
    }

    fn assert_all(&mut self, draft: &Draft, records: &[MemoryRecord]) {
        for statement in &draft.content.statements {
            let record = records.get(draft.content.chunk_of(&statement.span)).unwrap_or(&records[0]);
            let mentions = &draft.content.mentions;
            let said = Said { scope: &draft.scope, at: draft.said_at, record, mentions };
            self.plan.assert(&mut self.slots, statement, said);
        }
    }

    /// Appends the message to its session's log.
    fn log(&mut self, draft: &Draft, message_id: MessageId, answer: &WriteResponse) {
        let scope = &draft.scope;
        if scope.session().is_empty() {
            return;
        }
        if !self.plan.changes.sessions.iter().any(|session| session.session_id == scope.session()) {
            self.plan.changes.sessions.push(session_header(scope, scope.session(), self.plan.now));
        }
        let message = Message {
            id: message_id,
            tenant_id: scope.tenant().to_owned(),
            namespace: scope.write_namespace().to_owned(),
            user_id: scope.user().to_owned(),
            agent_id: scope.agent().to_owned(),
            session_id: scope.session().to_owned(),
            seq: 0,
            role: draft.role,
            speaker: draft.request.speaker.clone().unwrap_or_default(),
            text: draft.content.text.clone(),
            metadata: draft.request.metadata.clone(),
            said_at: draft.said_at,
            turn_id: draft.request.turn_id.clone().unwrap_or_default(),
            memory_id: answer.memory_id,
        };
        if !self.plan.changes.turns.iter().any(|turn| turn.id == message_id) {
            self.plan.changes.turns.extend(message_turn(&message, &draft.content));
        }
        self.plan.changes.messages.push(message);
    }

    fn new_record(
        &self,
        draft: &Draft,
        message_id: MessageId,
        index: usize,
        text: &str,
        event: Option<(DateTime<Utc>, DateTime<Utc>)>,
    ) -> MemoryRecord {
        let (scope, request) = (&draft.scope, &draft.request);
        let source = source(draft.role);
        let memory_type =
            request.memory_type.or(draft.content.memory_type).unwrap_or(MemoryType::EpisodicEvent);
        MemoryRecord {
            id: MemoryId::new(),
            tenant_id: scope.tenant().to_owned(),
            namespace: scope.write_namespace().to_owned(),
            user_id: scope.user().to_owned(),
            agent_id: scope.agent().to_owned(),
            session_id: scope.session().to_owned(),
            text: text.to_owned(),
            memory_type,
            status: MemoryStatus::Active,
            key: request.key.clone().filter(|_| index == 0),
            context_tags: request.context_tags.clone(),
            metadata: request.metadata.clone(),
            confidence: confidence(source),
            importance: importance(memory_type),
            decay_rate: decay_rate(memory_type),
            access_count: 0,
            last_accessed_at: None,
            timestamp: draft.said_at,
            event_start: event.map(|event| event.0),
            event_end: event.map(|event| event.1),
            written_at: self.plan.now,
            valid_from: None,
            valid_to: None,
            expires_at: request.expires_at.map(cml_core::time::truncate),
            source,
            role: draft.role,
            speaker: request.speaker.clone().unwrap_or_default(),
            message_id,
            chunk_index: u32::try_from(index).unwrap_or(u32::MAX),
            content_hash: draft.content.hash.clone(),
            version: 1,
            supersedes_id: None,
            superseded_by_id: None,
        }
    }
}

/// The header of a session that a write opens: no name, no end.
pub(super) fn session_header(scope: &Scope, session: &str, now: DateTime<Utc>) -> Session {
    Session {
        session_id: session.to_owned(),
        tenant_id: scope.tenant().to_owned(),
        namespace: scope.namespace().to_owned(),
        user_id: scope.user().to_owned(),
        agent_id: scope.agent().to_owned(),
        name: String::new(),
        kind: String::new(),
        participants: Vec::new(),
        metadata: Metadata::new(),
        created_at: now,
        expires_at: None,
    }
}

/// The turn of a text's records, as search sees it.
pub(super) fn turn_row(record: &MemoryRecord, content: &Content) -> Option<TurnRow> {
    Some(TurnRow {
        id: record.message_id,
        namespace: record.namespace.clone(),
        user: record.user_id.clone(),
        agent: record.agent_id.clone(),
        session: record.session_id.clone(),
        role: record.role,
        speaker: record.speaker.clone(),
        said_at: record.timestamp,
        ..analysed(content)?
    })
}

/// The turn of a message that became no memory of its own.
pub(super) fn message_turn(message: &Message, content: &Content) -> Option<TurnRow> {
    Some(TurnRow {
        id: message.id,
        namespace: message.namespace.clone(),
        user: message.user_id.clone(),
        agent: message.agent_id.clone(),
        session: message.session_id.clone(),
        role: message.role,
        speaker: message.speaker.clone(),
        said_at: message.said_at,
        ..analysed(content)?
    })
}

/// The words of a text in a turn that is nowhere yet; the store numbers it.
fn analysed(content: &Content) -> Option<TurnRow> {
    let (terms, length, flags) = content.analysis.as_ref()?.to_columns();
    Some(TurnRow {
        id: MessageId::new(),
        namespace: String::new(),
        user: String::new(),
        agent: String::new(),
        session: String::new(),
        seq: 0,
        role: Role::User,
        speaker: String::new(),
        said_at: DateTime::UNIX_EPOCH,
        terms,
        length: u32::try_from(length).unwrap_or(u32::MAX),
        flags: u32::try_from(flags).unwrap_or(0),
    })
}

fn repeated(message: &Message, chunks: u32) -> WriteResponse {
    WriteResponse {
        success: true,
        memory_id: message.memory_id,
        chunks_created: chunks,
        message: match message.memory_id {
            Some(_) => "stored".to_owned(),
            None => "skipped".to_owned(),
        },
        eval_outcome: None,
        eval_reason: None,
    }
}

fn skipped(draft: &Draft) -> WriteResponse {
    WriteResponse {
        success: true,
        memory_id: None,
        chunks_created: 0,
        message: format!("skipped: {}", draft.reason),
        eval_outcome: None,
        eval_reason: None,
    }
}
