//! Archiving, silencing and deleting on request.

use std::collections::{BTreeMap, HashMap, HashSet};

use cml_core::{
    MemoryId, MessageId, Result, Scope, Score,
    memory::{EventType, MemoryItem, MemoryRecord, MemoryStatus, OperationType},
    ops::{ForgetAction, ForgetRequest, ForgetResponse, ListRequest},
    wire::join_session,
};

use super::{
    Attempts, Engine,
    answers::Repeatable,
    plan::{Plan, payload},
};
use crate::store::{Outcome, Precondition, Removal, Wanted};

/// Least relevance of a memory that `forget(query)` selects: clearly about the query, not merely near it.
pub const FORGET_FLOOR: f64 = crate::search::STRONG;

/// A memory that was selected: its records, and how well it matches the query if there was one.
struct Selected {
    records: Vec<MemoryRecord>,
    relevance: f64,
}

impl Engine {
    /// Forgets the selected memories.
    ///
    /// # Errors
    /// `InvalidInput` without a selector.
    pub async fn forget(&self, scope: &Scope, request: ForgetRequest) -> Result<ForgetResponse> {
        request.validate()?;
        join_session(scope, request.session_id.clone())?;
        let repeatable = match &request.idempotency_key {
            Some(key) => Some(Repeatable::new("forget", key, scope, &request)?),
            None => None,
        };
        let tenant = scope.tenant();
        let mut attempts = Attempts::new(self, tenant);
        loop {
            attempts.next().await?;
            let now = self.clock.now();
            let mut plan = Plan::new(tenant, now);
            if let Some(repeatable) = &repeatable {
                let wanted = Wanted { idempotency: vec![repeatable.key.clone()], now, ..Wanted::default() };
                if let Some(row) = self.store.observe(tenant, &wanted).await?.idempotency.get(&repeatable.key)
                {
                    return repeatable.answer(row);
                }
                plan.require(Precondition::Unused(repeatable.key.clone()));
            }
            let selected = self.select(scope, &request).await?;
            let mut answer = ForgetResponse {
                success: true,
                affected_count: selected.len() as u64,
                message: message(&request, selected.len()),
                matches: Vec::new(),
            };
            if request.dry_run {
                answer.matches = selected
                    .into_iter()
                    .filter_map(|memory| {
                        let first = memory.records.into_iter().next()?;
                        Some(MemoryItem::new(first, Score::clamped(memory.relevance)))
                    })
                    .collect();
                return Ok(answer);
            }
            if selected.is_empty() && repeatable.is_none() {
                return Ok(answer);
            }
            let ids: Vec<MemoryId> =
                selected.iter().flat_map(|memory| &memory.records).map(|record| record.id).collect();
            match status_of(request.action) {
                Some(status) => {
                    for record in selected.iter().flat_map(|memory| &memory.records) {
                        plan.change_record(record, |record| record.status = status);
                    }
                }
                None => {
                    self.renew_followers(&mut plan, tenant, &Removal::Records(ids.clone())).await?;
                    for record in selected.iter().flat_map(|memory| &memory.records) {
                        plan.require(Precondition::Version(record.id, record.version));
                    }
                    plan.changes.delete_records.clone_from(&ids);
                }
            }
            if !selected.is_empty() {
                let detail =
                    payload([("action", request.action.as_str().into()), ("count", selected.len().into())]);
                plan.event(scope, EventType::Memory, OperationType::Forget, ids, detail);
            }
            if let Some(repeatable) = &repeatable {
                plan.changes.idempotency.push(repeatable.row(&answer, now));
            }
            let deleted = plan.changes.delete_records.clone();
            if let Outcome::Committed(_) = self.commit(plan.changes).await? {
                if !deleted.is_empty() {
                    self.forget_deleted(tenant, &deleted).await;
                }
                return Ok(answer);
            }
        }
    }

    /// The memories that every selector of the request selects and that the action would change.
    async fn select(&self, scope: &Scope, request: &ForgetRequest) -> Result<Vec<Selected>> {
        let tenant = scope.tenant();
        let mut relevance: HashMap<MemoryId, f64> = HashMap::new();
        let proposed: Vec<MemoryRecord> = if request.memory_ids.is_empty() {
            match &request.query {
                Some(query) => {
                    relevance = self.matches(scope, query, FORGET_FLOOR).await?.into_iter().collect();
                    let ids: Vec<MemoryId> = relevance.keys().copied().collect();
                    self.store.records(tenant, &ids).await?
                }
                None => self.listed(scope, request).await?,
            }
        } else {
            if let Some(query) = &request.query {
                relevance = self.matches(scope, query, FORGET_FLOOR).await?.into_iter().collect();
            }
            self.store.records(tenant, &request.memory_ids).await?
        };
        let mut seen = HashSet::new();
        let named: Vec<MemoryRecord> = proposed
            .into_iter()
            .filter(|record| {
                let session = request.session_id.as_ref();
                seen.insert(record.id)
                    && scope.sees(&record.namespace, &record.user_id, &record.session_id)
                    && session.is_none_or(|session| *session == record.session_id)
                    && request.before.is_none_or(|before| record.timestamp < before)
                    && request.filter.as_ref().is_none_or(|filter| filter.matches(&record.metadata))
            })
            .collect();
        // Every chunk of a text shares its fate; the query may have found any of them.
        let messages: BTreeMap<MessageId, f64> = named
            .iter()
            .map(|record| (record.message_id, relevance.get(&record.id).copied()))
            .filter(|(_, found)| request.query.is_none() || found.is_some() || !request.memory_ids.is_empty())
            .map(|(message, found)| (message, found.unwrap_or(0.0)))
            .collect();
        let ids: Vec<MessageId> = messages.keys().copied().collect();
        let mut groups: BTreeMap<MessageId, Vec<MemoryRecord>> = BTreeMap::new();
        for record in self.store.records_of(tenant, &ids).await? {
            groups.entry(record.message_id).or_default().push(record);
        }
        let both = !request.memory_ids.is_empty() && request.query.is_some();
        let status = status_of(request.action);
        Ok(groups
            .into_iter()
            .map(|(message, records)| {
                let best = records.iter().filter_map(|record| relevance.get(&record.id)).copied();
                let relevance = best.fold(messages[&message], f64::max);
                Selected { records, relevance }
            })
            .filter(|memory| !both || memory.relevance >= FORGET_FLOOR)
            .filter(|memory| memory.records.iter().any(|record| Some(record.status) != status))
            .collect())
    }

    /// Every record that the selectors but for ids and query may select.
    async fn listed(&self, scope: &Scope, request: &ForgetRequest) -> Result<Vec<MemoryRecord>> {
        let mut list = ListRequest::new().with_limit(1000usize);
        list.filter.clone_from(&request.filter);
        list.session_id.clone_from(&request.session_id);
        let mut records = Vec::new();
        loop {
            let page = self.list(scope, list.clone()).await?;
            records.extend(page.items);
            match page.next_cursor {
                Some(cursor) => list.cursor = Some(cursor),
                None => return Ok(records),
            }
        }
    }
}

/// The status that an action sets; none for deletion.
fn status_of(action: ForgetAction) -> Option<MemoryStatus> {
    match action {
        ForgetAction::Archive => Some(MemoryStatus::Archived),
        ForgetAction::Silence => Some(MemoryStatus::Silent),
        _ => None,
    }
}

fn message(request: &ForgetRequest, count: usize) -> String {
    let memories = if count == 1 { "memory" } else { "memories" };
    let done = match request.action {
        ForgetAction::Archive => "archived",
        ForgetAction::Silence => "silenced",
        _ => "deleted",
    };
    let would = if request.dry_run { "would be " } else { "" };
    format!("{count} {memories} {would}{done}")
}
