//! One message with its answer: recall, render, then log and store.

use std::collections::HashMap;

use cml_core::{
    MemoryId, Result, Scope, Score,
    memory::{MemoryItem, MemoryRecord, MemoryStatus, Role},
    ops::{ReadFormat, ReadRequest, TurnRequest, TurnResponse, WriteRequest},
    packet::{self, Group},
};
use serde::{Deserialize, Serialize};

use super::{
    Attempts, Engine,
    answers::{Repeatable, derived_key},
    plan::Plan,
};
use crate::store::{Outcome, Precondition, Wanted};

/// Memories recalled for a turn; the token budget decides how many are shown.
const RECALLED: usize = 20;

/// What a turn shows of the memory.
#[derive(Debug)]
struct Context {
    text: String,
    memories: Vec<MemoryItem>,
}

/// What a turn showed, for its repeats. Holds ids and numbers, never text.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    max_context_tokens: usize,
    /// Best first.
    shown: Vec<Shown>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Shown {
    id: MemoryId,
    relevance: Score,
    constraint: bool,
}

impl Engine {
    /// Recalls for a user's message, then stores the exchange if there is an answer.
    ///
    /// # Errors
    /// `InvalidInput`, `Conflict` for an idempotency key that was used with another request.
    pub async fn turn(&self, scope: &Scope, request: TurnRequest) -> Result<TurnResponse> {
        request.validate()?;
        let scope = scope.narrow(&request.scope)?;
        let repeatables = repeatables(&scope, &request)?;
        let context = if repeatables.is_empty() {
            self.context(&scope, &request).await?.0
        } else {
            self.first_context(&scope, &request, &repeatables).await?
        };
        self.recalled(&scope, context.memories.iter().map(|item| item.id)).await;
        let mut stored = 0;
        if let Some(answer) = &request.assistant_response {
            let exchange = [(&request.user_message, Role::User), (answer, Role::Assistant)];
            let writes = exchange.map(|(text, role)| {
                let mut write = WriteRequest::new(text.clone()).with_role(role);
                write.timestamp = request.timestamp;
                write.user_timezone.clone_from(&request.user_timezone);
                write.turn_id.clone_from(&request.turn_id);
                let key = request.idempotency_key.as_ref();
                write.idempotency_key = key.map(|key| derived_key(key, role.as_str()));
                write
            });
            for written in self.write_batch(&scope, writes.into()).await? {
                stored += usize::from(written?.chunks_created > 0);
            }
        }
        Ok(TurnResponse {
            memories_retrieved: context.memories.len(),
            memory_context: context.text,
            memories_stored: stored,
            reconsolidation_applied: false,
            memories: context.memories,
        })
    }

    /// Recalls for the message, and says what a repeat has to know of it.
    async fn context(&self, scope: &Scope, request: &TurnRequest) -> Result<(Context, Kept)> {
        let mut read = ReadRequest::new(request.user_message.clone())
            .with_max_results(RECALLED)
            .with_format(ReadFormat::LlmContext)
            .with_max_context_tokens(request.max_context_tokens);
        read.reference_time = request.timestamp;
        read.user_timezone.clone_from(&request.user_timezone);
        let session = Some(scope.session().to_owned()).filter(|session| !session.is_empty());
        let (recalled, included) = self.recall(&scope.without_session(), read, session).await?;
        let memories: Vec<MemoryItem> =
            included.iter().filter_map(|&at| recalled.memories.get(at).cloned()).collect();
        let shown = memories.iter().map(|item| Shown {
            id: item.id,
            relevance: item.relevance,
            constraint: recalled.constraints.iter().any(|constraint| constraint.id == item.id),
        });
        let kept = Kept { max_context_tokens: request.max_context_tokens, shown: shown.collect() };
        Ok((Context { text: recalled.llm_context.unwrap_or_default(), memories }, kept))
    }

    /// The context of the first attempt at this turn. It is kept before the exchange is stored, which
    /// repeats by keys of its own: whatever attempt breaks off, the next one ends in the same answer.
    async fn first_context(
        &self,
        scope: &Scope,
        request: &TurnRequest,
        repeatables: &[Repeatable],
    ) -> Result<Context> {
        let tenant = scope.tenant();
        let mut attempts = Attempts::new(self, tenant);
        loop {
            attempts.next().await?;
            let now = self.clock.now();
            let keys = repeatables.iter().map(|repeatable| repeatable.key.clone()).collect();
            let wanted = Wanted { idempotency: keys, now, ..Wanted::default() };
            let known = self.store.observe(tenant, &wanted).await?.idempotency;
            for repeatable in repeatables {
                if let Some(row) = known.get(&repeatable.key) {
                    return self.context_again(scope, repeatable.answer(row)?).await;
                }
            }
            let (context, kept) = self.context(scope, request).await?;
            let mut plan = Plan::new(tenant, now);
            for repeatable in repeatables {
                plan.require(Precondition::Unused(repeatable.key.clone()));
                plan.changes.idempotency.push(repeatable.row(&kept, now));
            }
            if let Outcome::Committed(_) = self.commit(plan.changes).await? {
                return Ok(context);
            }
        }
    }

    /// What was shown before, as far as it may still be shown. Counts as no access.
    async fn context_again(&self, scope: &Scope, kept: Kept) -> Result<Context> {
        let (scope, now) = (scope.without_session(), self.clock.now());
        let ids: Vec<MemoryId> = kept.shown.iter().map(|shown| shown.id).collect();
        let records = self.store.records(scope.tenant(), &ids).await?;
        let mut records: HashMap<MemoryId, MemoryRecord> = records
            .into_iter()
            .filter(|record| {
                use MemoryStatus::{Active, Compressed, Silent};
                matches!(record.status, Active | Compressed | Silent)
                    && record.expires_at.is_none_or(|end| end > now)
                    && scope.sees(&record.namespace, &record.user_id, &record.session_id)
            })
            .map(|record| (record.id, record))
            .collect();
        let items: Vec<(Group, MemoryItem)> = kept
            .shown
            .into_iter()
            .filter_map(|shown| {
                let record = records.remove(&shown.id)?;
                let group = if shown.constraint { Group::Constraints } else { Group::of(record.memory_type) };
                Some((group, MemoryItem::new(record, shown.relevance)))
            })
            .collect();
        let lines: Vec<(Group, &MemoryItem)> = items.iter().map(|(group, item)| (*group, item)).collect();
        let rendered = packet::render(&lines, kept.max_context_tokens, self.counter.as_ref());
        let memories = rendered.included.iter().map(|&at| items[at].1.clone()).collect();
        Ok(Context { text: rendered.text, memories })
    }
}

/// What makes a turn that stores the repeat of another: its idempotency key, its id within the session.
fn repeatables(scope: &Scope, request: &TurnRequest) -> Result<Vec<Repeatable>> {
    let mut repeatables = Vec::new();
    if request.assistant_response.is_none() {
        return Ok(repeatables);
    }
    if let Some(key) = &request.idempotency_key {
        repeatables.push(Repeatable::new("turn", key, scope, request)?);
    }
    if let Some(turn) = request.turn_id.as_ref().filter(|_| !scope.session().is_empty()) {
        repeatables.push(Repeatable::within(scope, "turn_id", turn)?);
    }
    Ok(repeatables)
}
