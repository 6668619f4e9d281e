//! Conversations: header, log, working context.

use std::collections::HashMap;

use chrono::{DateTime, Duration, Utc};
use cml_core::{
    Error, ErrorKind, MemoryId, MessageId, Result, Scope, Score, Subject,
    memory::{EventType, MemoryItem, MemoryRecord, MemoryType, Message, OperationType, Role, Session},
    ops::{
        CreateSession, EraseResponse, EventPage, ListEvents, MessagePage, SessionContext, Stats,
        TenantSummary,
    },
    scope::{MAX_ID_CHARS, check_id},
};

use super::{
    Attempts, Engine,
    answers::Repeatable,
    plan::{Plan, event},
    write::session_header,
};
use crate::store::{ChangeSet, IdempotencyRow, Outcome, Precondition, Wanted};

/// Hours until the working context of a session ends where its caller names none.
const DEFAULT_TTL_HOURS: u32 = 24;

impl Engine {
    /// Opens a conversation with a fresh id.
    ///
    /// # Errors
    /// `InvalidInput`, `Conflict` for an idempotency key that was used with another request.
    pub async fn create_session(&self, scope: &Scope, request: CreateSession) -> Result<Session> {
        request.validate()?;
        let tenant = scope.tenant();
        let repeatable = match &request.idempotency_key {
            Some(key) => Some(Repeatable::new("create_session", key, scope, &request)?),
            None => None,
        };
        let mut attempts = Attempts::new(self, tenant);
        loop {
            attempts.next().await?;
            let now = self.clock.now();
            if let Some(repeatable) = &repeatable {
                let wanted = Wanted { idempotency: vec![repeatable.key.clone()], now, ..Wanted::default() };
                let known = self.store.observe(tenant, &wanted).await?.idempotency;
                if let Some(row) = known.get(&repeatable.key) {
                    let id: String = repeatable.answer(row)?;
                    let removed = || Error::new(ErrorKind::NotFound, "the session was removed meanwhile");
                    return self.store.session(tenant, &id).await?.ok_or_else(removed);
                }
            }
            let (session, changes) = opened(scope, &request, repeatable.as_ref(), now)?;
            if let Outcome::Committed(_) = self.commit(changes).await? {
                return Ok(session);
            }
        }
    }

    /// Conversations of the scope, newest first.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn sessions(&self, scope: &Scope) -> Result<Vec<Session>> {
        self.store.sessions(scope).await
    }

    /// A page of a session log.
    ///
    /// # Errors
    /// `InvalidInput` for a bad id or limit.
    pub async fn messages(
        &self,
        scope: &Scope,
        session: &str,
        after: u64,
        limit: usize,
    ) -> Result<MessagePage> {
        check_session(scope, session)?;
        if !(1..=1000).contains(&limit) {
            return Err(Error::invalid("limit", "must be 1 to 1000"));
        }
        let mut messages = self.store.messages(scope, session, after, limit + 1).await?;
        let more = messages.len() > limit;
        messages.truncate(limit);
        let next_after = messages.last().filter(|_| more).map(|message| message.seq);
        Ok(MessagePage { messages, next_after })
    }

    /// The working context of a session.
    ///
    /// # Errors
    /// `InvalidInput` for a bad id.
    pub async fn session_context(
        &self,
        scope: &Scope,
        session: &str,
        max_tokens: usize,
    ) -> Result<SessionContext> {
        check_session(scope, session)?;
        let mut context = SessionContext { session_id: session.to_owned(), ..SessionContext::default() };
        let (header, now) = (self.store.session(scope.tenant(), session).await?, self.clock.now());
        let ends = header.and_then(|header| header.expires_at);
        if ends.is_some_and(|end| end <= now) {
            return Ok(context);
        }
        let left = ends.and_then(|end| (end - now).to_std().ok());
        let place = self.context_place(scope, session, max_tokens).await?;
        let mut after = 0;
        loop {
            let page = self.messages(scope, session, after, 1000).await?;
            let ids: Vec<MessageId> = page.messages.iter().map(|message| message.id).collect();
            let records = self.store.records_of(scope.tenant(), &ids).await?;
            let first: HashMap<MessageId, MemoryRecord> = records
                .into_iter()
                .filter(|record| record.chunk_index == 0)
                .map(|record| (record.message_id, record))
                .collect();
            for message in page.messages.into_iter().filter(|message| !message.text.is_empty()) {
                let record = first.get(&message.id);
                let memory_type = record.map(|record| record.memory_type);
                let tool = message.role == Role::Tool || memory_type == Some(MemoryType::ToolResult);
                let part = match memory_type {
                    _ if tool => &mut context.tool_results,
                    Some(MemoryType::Scratch) => &mut context.scratch_pad,
                    _ => &mut context.messages,
                };
                part.push(said(message, record));
            }
            match page.next_after {
                Some(next) => after = next,
                None => break,
            }
        }
        let lines = match place.as_ref().and_then(|place| place.lines(&context.messages)) {
            Some(lines) => {
                self.kept.contexts.count(1, 0);
                lines
            }
            None => {
                let lines = self.lines_within(&context.messages, max_tokens);
                if let Some(place) = place {
                    self.kept.contexts.count(0, 1);
                    self.keep_context(place, &context.messages, lines, left).await;
                }
                lines
            }
        };
        context.context_string = transcript(&context.messages, lines);
        Ok(context)
    }

    /// How many of the last messages have room in the budget.
    fn lines_within(&self, messages: &[MemoryItem], max_tokens: usize) -> usize {
        let fits = |lines: &usize| self.counter.count(&transcript(messages, *lines)) <= max_tokens;
        (1..=messages.len()).take_while(fits).last().unwrap_or(0)
    }

    /// Removes a session with everything said in it.
    ///
    /// # Errors
    /// `InvalidInput` for a bad id.
    pub async fn clear_session(&self, scope: &Scope, session: &str) -> Result<EraseResponse> {
        check_session(scope, session)?;
        // The log of events still says that the session was opened, and that it was cleared.
        let whole = scope.whole_tenant().with_session(session)?;
        let of_session = ListEvents::new().with_event_type(EventType::Session).with_limit(1000usize);
        let mut events = self.store.events(&whole, &of_session).await?.items;
        let none = cml_core::memory::Metadata::new();
        let now = self.clock.now();
        events.push(event(&whole, EventType::Session, OperationType::ClearSession, Vec::new(), none, now));
        self.remove(scope, &Subject::Session(session.to_owned()), events).await
    }

    /// What happened in the scope, newest first.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub async fn events(&self, scope: &Scope, request: ListEvents) -> Result<EventPage> {
        request.validate()?;
        self.store.events(scope, &request).await
    }

    /// Counts of what the scope sees.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn stats(&self, scope: &Scope) -> Result<Stats> {
        self.store.stats(scope).await
    }

    /// Every tenant with its counts.
    ///
    /// # Errors
    /// `Unavailable`.
    pub async fn tenants(&self) -> Result<Vec<TenantSummary>> {
        self.store.tenants().await
    }
}

/// A fresh session as it was asked for, and what opens it.
fn opened(
    scope: &Scope,
    request: &CreateSession,
    repeatable: Option<&Repeatable>,
    now: DateTime<Utc>,
) -> Result<(Session, ChangeSet)> {
    let hours = request.ttl_hours.unwrap_or(DEFAULT_TTL_HOURS);
    let session = Session {
        name: request.name.clone().unwrap_or_default(),
        kind: request.kind.clone().unwrap_or_default(),
        participants: request.participants.clone(),
        metadata: request.metadata.clone(),
        expires_at: Some(now + Duration::hours(hours.into())),
        ..session_header(scope, &uuid::Uuid::now_v7().to_string(), now)
    };
    let mut plan = Plan::new(scope.tenant(), now);
    plan.changes.sessions.push(session.clone());
    let of_session = scope.without_session().with_session(session.session_id.clone())?;
    let none = cml_core::memory::Metadata::new();
    plan.event(&of_session, EventType::Session, OperationType::CreateSession, Vec::new(), none);
    if let Some(repeatable) = repeatable {
        plan.require(Precondition::Unused(repeatable.key.clone()));
        // Of the session, so that it goes when the session does.
        let row = IdempotencyRow { scope: of_session, ..repeatable.row(&session.session_id, now) };
        plan.changes.idempotency.push(row);
    }
    Ok((session, plan.changes))
}

/// The last messages as text, oldest first.
fn transcript(messages: &[MemoryItem], lines: usize) -> String {
    let line = |message: &MemoryItem| {
        let role = message.role.map_or("user", Role::as_str);
        format!("{}: {}", message.speaker.as_deref().unwrap_or(role), message.text)
    };
    messages[messages.len().saturating_sub(lines)..].iter().map(line).collect::<Vec<_>>().join("\n")
}

fn check_session(scope: &Scope, session: &str) -> Result<()> {
    check_id("session_id", session, MAX_ID_CHARS)?;
    if scope.session().is_empty() || scope.session() == session {
        Ok(())
    } else {
        Err(Error::invalid("session_id", "contradicts the scope of the call"))
    }
}

/// A message as an item; its id is that of its memory, or its own where it became none.
fn said(message: Message, record: Option<&MemoryRecord>) -> MemoryItem {
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    MemoryItem {
        id: message.memory_id.unwrap_or_else(|| MemoryId::from_uuid(*message.id.as_uuid())),
        text: message.text,
        memory_type: record.map_or(MemoryType::Message, |record| record.memory_type),
        confidence: record.map_or(Score::ONE, |record| record.confidence),
        relevance: Score::ONE,
        timestamp: message.said_at,
        metadata: message.metadata,
        context_tags: record.map(|record| record.context_tags.clone()).unwrap_or_default(),
        namespace: message.namespace,
        said_at: Some(message.said_at),
        event_start: record.and_then(|record| record.event_start),
        event_end: record.and_then(|record| record.event_end),
        session_id: some(message.session_id),
        role: Some(message.role),
        speaker: some(message.speaker),
        explain: None,
    }
}
