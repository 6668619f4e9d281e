//! Records of a foreign system: written as new texts.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use cml_core::{
    ErrorKind, MemoryId, Result, Scope,
    memory::{MemoryRecord, MemoryStatus},
    ops::{ExportLine, ForgetAction, ForgetRequest, ImportReport, WriteRequest, WriteResponse},
};

use super::{check::parts, report::listed, spool::Spooled};
use crate::{
    engine::{Engine, answers::derived_key},
    store::{KeyOf, Observed, RowKind, TurnOf, Wanted},
};

/// A record on its way in.
#[derive(Debug)]
struct Entry {
    record: MemoryRecord,
    request: WriteRequest,
    /// Whether an earlier run carried it out.
    known: bool,
    /// Whether the request lacks the record's key.
    keyless: bool,
}

/// What became of the records so far.
#[derive(Debug, Default)]
struct Written {
    imported: u64,
    skipped: u64,
    /// Texts that the gate kept out.
    kept_out: u64,
    /// Records that were marked as deleted.
    deleted: u64,
    /// Records that no longer hold.
    outdated: u64,
    /// Records that were written without the key that they had.
    keyless: u64,
    /// Records that were refused, by reason.
    refused: BTreeMap<String, u64>,
}

impl Engine {
    /// Writes the records of a foreign system through gate and extraction.
    ///
    /// Each record has an idempotency key of its own, and in a session a turn id, so that a run that
    /// was cut off is finished by running it again within a day; after that a text that is there
    /// already grows stronger instead. Of the records with one key the latest that is active has it.
    pub(super) async fn import_foreign(&self, scope: &Scope, mut spooled: Spooled) -> Result<ImportReport> {
        let origin = spooled.header.origin.clone().unwrap_or_default();
        let misplaced = spooled.misplaced;
        let mut written = Written::default();
        if let Some(mut rows) = spooled.rows(RowKind::Record) {
            loop {
                let batch;
                (batch, rows) = self.next_rows(rows).await?;
                if batch.is_empty() {
                    break;
                }
                self.write_foreign(scope, &origin, batch, &mut written).await?;
            }
        }
        let mut losses = spooled.header.losses;
        if !spooled.left_out.is_empty() {
            losses.push(format!(
                "of {origin} only memories are taken; left out: {}",
                listed(&spooled.left_out)
            ));
        }
        if written.imported > 0 {
            losses.push(format!(
                "confidence, importance, use, validity and versions of the memories of {origin} begin anew"
            ));
        }
        for (rows, what) in [
            (written.kept_out, "not stored: a secret, or nothing to remember".to_owned()),
            (written.deleted, "left out: marked as deleted".to_owned()),
            (written.outdated, "left out: outdated or superseded".to_owned()),
            (misplaced, "left out: a namespace, user, agent or session that is no id here".to_owned()),
            (written.keyless, "put without their key, not being the latest active one under it".to_owned()),
        ]
        .into_iter()
        .chain(written.refused.into_iter().map(|(reason, rows)| (rows, format!("refused: {reason}"))))
        {
            if rows > 0 {
                losses.push(format!("{} {what}", RowKind::Record.counted(rows)));
            }
        }
        let named = |rows: u64| {
            let record = RowKind::Record.as_str().to_owned();
            BTreeMap::from_iter((rows > 0).then_some((record, rows)))
        };
        Ok(ImportReport { imported: named(written.imported), skipped: named(written.skipped), losses })
    }

    async fn write_foreign(
        &self,
        scope: &Scope,
        origin: &str,
        batch: Vec<ExportLine>,
        written: &mut Written,
    ) -> Result<()> {
        let now = self.clock.now();
        let mut records = Vec::with_capacity(batch.len());
        for line in batch {
            match line {
                ExportLine::Record(record) if record.status == MemoryStatus::Deleted => written.deleted += 1,
                ExportLine::Record(record) if is_outdated(&record, now) => written.outdated += 1,
                ExportLine::Record(record) => records.push(*record),
                _ => {}
            }
        }
        records.sort_by_key(|record| record.timestamp);
        let entries = self.entries(scope, origin, records, now).await?;
        let requests = entries.iter().map(|entry| entry.request.clone()).collect();
        let results = self.write_batch(scope, requests).await?;
        let mut quiet: HashMap<ForgetAction, Vec<MemoryId>> = HashMap::new();
        let mut active = HashSet::new();
        for (Entry { record, known, keyless, .. }, result) in entries.into_iter().zip(results) {
            let answer = match result {
                Ok(answer) => answer,
                Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Conflict) => {
                    *written.refused.entry(error.message().to_owned()).or_default() += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            match answer {
                WriteResponse { memory_id: None, .. } => written.kept_out += 1,
                WriteResponse { memory_id: Some(id), chunks_created, .. } => {
                    if known || chunks_created == 0 {
                        written.skipped += 1;
                    } else {
                        written.imported += 1;
                        written.keyless += u64::from(keyless);
                    }
                    match action(record.status) {
                        Some(action) if chunks_created > 0 => quiet.entry(action).or_default().push(id),
                        Some(_) => {}
                        None => drop(active.insert(id)),
                    }
                }
            }
        }
        for (action, mut ids) in quiet {
            // The same text may be there once more, and active.
            ids.retain(|id| !active.contains(id));
            if ids.is_empty() {
                continue;
            }
            self.forget(scope, ForgetRequest::ids(ids).with_action(action)).await?;
        }
        Ok(())
    }

    /// The requests that write the records. A key goes to an active record, unless the memory that has
    /// it here is newer.
    async fn entries(
        &self,
        scope: &Scope,
        origin: &str,
        records: Vec<MemoryRecord>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Entry>> {
        let requests: Vec<WriteRequest> = records.iter().map(|record| request(origin, record)).collect();
        let wanted = Wanted {
            turns: requests.iter().filter_map(|request| turn_of(scope, request)).collect(),
            idempotency: requests
                .iter()
                .flat_map(|request| [entry_of(request), entry_of(&without_key(request))])
                .collect(),
            keys: requests.iter().filter_map(|request| key_of(scope, request)).collect(),
            now,
            ..Wanted::default()
        };
        let observed = self.store.observe(scope.tenant(), &wanted).await?;
        let mut seen = HashSet::new();
        let entry = |(record, request): (MemoryRecord, WriteRequest)| {
            let written = |request: &WriteRequest| observed.idempotency.contains_key(&entry_of(request));
            let again = !seen.insert(record.id)
                || turn_of(scope, &request).is_some_and(|turn| observed.turns.contains_key(&turn));
            // An earlier run may have found another owner of the key; its request is the one to repeat.
            let keyless = without_key(&request);
            let keyless = Some(keyless).filter(|keyless| {
                request.key.is_some()
                    && !written(&request)
                    && (written(keyless) || loses_key(scope, &record, &request, &observed))
            });
            let is_keyless = keyless.is_some();
            let request = keyless.unwrap_or(request);
            Entry { known: again || written(&request), keyless: is_keyless, record, request }
        };
        Ok(records.into_iter().zip(requests).map(entry).collect())
    }
}

/// Whether a record no longer holds; what it said is not said anew.
fn is_outdated(record: &MemoryRecord, now: DateTime<Utc>) -> bool {
    record.superseded_by_id.is_some() || record.valid_to.is_some_and(|end| end <= now)
}

fn loses_key(scope: &Scope, record: &MemoryRecord, request: &WriteRequest, observed: &Observed) -> bool {
    let owner = key_of(scope, request).and_then(|key| observed.keys.get(&key));
    let newer = owner
        .is_some_and(|owner| owner.status != MemoryStatus::Deleted && owner.timestamp > record.timestamp);
    newer || record.status != MemoryStatus::Active
}

fn key_of(scope: &Scope, request: &WriteRequest) -> Option<KeyOf> {
    let key = request.key.clone()?;
    let scope = scope.narrow(&request.scope).ok()?;
    Some(KeyOf { namespace: scope.write_namespace().to_owned(), user: scope.user().to_owned(), key })
}

fn turn_of(scope: &Scope, request: &WriteRequest) -> Option<TurnOf> {
    let session = request.scope.session_id.clone();
    let session = session.or_else(|| Some(scope.session().to_owned()).filter(|id| !id.is_empty()))?;
    Some(TurnOf { session, role: request.role?, turn_id: request.turn_id.clone()? })
}

/// What a store knows an idempotency key by.
fn entry_of(request: &WriteRequest) -> String {
    format!("write:{}", request.idempotency_key.as_deref().unwrap_or_default())
}

/// The request without its key, which makes it another one.
fn without_key(request: &WriteRequest) -> WriteRequest {
    let own = request.idempotency_key.as_deref().unwrap_or_default();
    let own = derived_key(own, "without its key");
    let mut request = request.clone().with_idempotency_key(own);
    request.key = None;
    request
}

fn request(origin: &str, record: &MemoryRecord) -> WriteRequest {
    let own = derived_key(origin, &record.id.to_string());
    let mut request = WriteRequest::new(record.text.clone())
        .with_memory_type(record.memory_type)
        .with_metadata(record.metadata.clone())
        .with_tags(record.context_tags.clone())
        .with_timestamp(record.timestamp)
        .with_role(record.role)
        .with_turn_id(own.clone())
        .with_idempotency_key(own);
    request.speaker = Some(record.speaker.clone()).filter(|speaker| !speaker.is_empty());
    request.key.clone_from(&record.key);
    request.expires_at = record.expires_at;
    request.scope = parts(&record.namespace, &record.user_id, &record.agent_id, &record.session_id);
    request
}

/// What gives a memory the status that it had.
fn action(status: MemoryStatus) -> Option<ForgetAction> {
    match status {
        MemoryStatus::Archived => Some(ForgetAction::Archive),
        MemoryStatus::Silent => Some(ForgetAction::Silence),
        _ => None,
    }
}
