//! Records of a foreign system: written as new texts.

use std::collections::{BTreeMap, HashMap, HashSet};

use cml_core::{
    ErrorKind, MemoryId, Result, Scope,
    memory::{MemoryRecord, MemoryStatus},
    ops::{ExportLine, ForgetAction, ForgetRequest, ImportReport, WriteRequest, WriteResponse},
};

use super::{check::parts, report::listed, spool::Spooled};
use crate::{
    engine::{Engine, answers::derived_key},
    store::{RowKind, TurnOf, Wanted},
};

/// What became of the records so far.
#[derive(Debug, Default)]
struct Written {
    imported: u64,
    skipped: u64,
    /// Texts that the gate kept out.
    kept_out: u64,
    /// Records that were marked as deleted.
    deleted: u64,
    /// Records that were refused, by reason.
    refused: BTreeMap<String, u64>,
}

impl Engine {
    /// Writes the records of a foreign system through gate and extraction.
    ///
    /// Each record has an idempotency key of its own, and in a session a turn id, so that a run that
    /// was cut off is finished by running it again within a day; after that a text that is there
    /// already grows stronger instead.
    pub(super) async fn import_foreign(&self, scope: &Scope, mut spooled: Spooled) -> Result<ImportReport> {
        let origin = spooled.header.origin.clone().unwrap_or_default();
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
        let mut records = Vec::with_capacity(batch.len());
        for line in batch {
            match line {
                ExportLine::Record(record) if record.status == MemoryStatus::Deleted => written.deleted += 1,
                ExportLine::Record(record) => records.push(*record),
                _ => {}
            }
        }
        let requests: Vec<WriteRequest> = records.iter().map(|record| request(origin, record)).collect();
        let known = self.known_foreign(scope, &requests).await?;
        let results = self.write_batch(scope, requests).await?;
        let mut quiet: HashMap<ForgetAction, Vec<MemoryId>> = HashMap::new();
        for ((record, result), known) in records.iter().zip(results).zip(known) {
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
                    }
                    if let Some(action) = action(record.status).filter(|_| chunks_created > 0) {
                        quiet.entry(action).or_default().push(id);
                    }
                }
            }
        }
        for (action, ids) in quiet {
            self.forget(scope, ForgetRequest::ids(ids).with_action(action)).await?;
        }
        Ok(())
    }

    /// Which of the requests were carried out by an earlier run.
    async fn known_foreign(&self, scope: &Scope, requests: &[WriteRequest]) -> Result<Vec<bool>> {
        let turn = |request: &WriteRequest| {
            let session = request.scope.session_id.clone();
            let session = session.or_else(|| Some(scope.session().to_owned()).filter(|id| !id.is_empty()))?;
            Some(TurnOf { session, role: request.role?, turn_id: request.turn_id.clone()? })
        };
        let key = |request: &WriteRequest| {
            let key = request.idempotency_key.as_deref().unwrap_or_default();
            format!("write:{key}")
        };
        let wanted = Wanted {
            turns: requests.iter().filter_map(turn).collect(),
            idempotency: requests.iter().map(key).collect(),
            now: self.clock.now(),
            ..Wanted::default()
        };
        let observed = self.store.observe(scope.tenant(), &wanted).await?;
        let mut seen = HashSet::new();
        let known = |request: &WriteRequest| {
            observed.idempotency.contains_key(&key(request))
                || turn(request).is_some_and(|turn| observed.turns.contains_key(&turn))
                || !seen.insert(key(request))
        };
        Ok(requests.iter().map(known).collect())
    }
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
