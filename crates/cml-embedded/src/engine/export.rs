//! Rows of a scope as a stream in the portable format.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    vec,
};

use cml_core::{
    BoxStream, MemoryId, Result, Scope,
    ops::{ExportHeader, ExportLine, ExportOptions, FORMAT_NAME, FORMAT_VERSION},
};
use futures_util::{StreamExt as _, stream};

use super::Engine;
use crate::store::{Changed, RowKind, Store, Tail};

/// Rows of one page: what an export holds in memory.
const PAGE: usize = 500;
/// Changes that are read at once.
const TAIL: usize = 10_000;

impl Engine {
    /// The header, then the scope's rows, kind by kind. Pages are read as they are asked for: what
    /// changes while the export runs is in it as it was or as it is; vectors of memories that change are
    /// left out.
    ///
    /// # Errors
    /// `Unavailable` when the store is away.
    pub async fn export(
        &self,
        scope: &Scope,
        options: ExportOptions,
    ) -> Result<BoxStream<'static, Result<ExportLine>>> {
        self.flush_accesses(scope.tenant()).await?;
        let serving = self.generation.get();
        let began = self.store.tenant(scope.tenant()).await?;
        let header = ExportHeader {
            format: FORMAT_NAME.to_owned(),
            version: FORMAT_VERSION,
            created_at: self.clock.now(),
            models: if options.vectors { vec![serving.model().clone()] } else { Vec::new() },
            counts: BTreeMap::new(),
            origin: None,
            losses: Vec::new(),
        };
        let kinds: Vec<RowKind> =
            RowKind::ALL.into_iter().filter(|kind| options.vectors || *kind != RowKind::Embedding).collect();
        let pages = Pages {
            store: Arc::clone(&self.store),
            scope: scope.clone(),
            kinds: kinds.into_iter(),
            kind: None,
            page: vec![ExportLine::Header(header)].into_iter(),
            last: None,
            changed: Some(HashSet::new()),
            seq: began.last_seq,
        };
        Ok(stream::unfold(Some(pages), |pages| async move {
            let mut pages = pages?;
            match pages.next().await {
                Ok(Some(line)) => Some((Ok(line), Some(pages))),
                Ok(None) => None,
                Err(error) => Some((Err(error.with_operation("export")), None)),
            }
        })
        .boxed())
    }
}

/// Where an export stands.
struct Pages {
    store: Arc<dyn Store>,
    scope: Scope,
    /// Kinds that are still to come.
    kinds: vec::IntoIter<RowKind>,
    /// The kind at hand, while it may have another page.
    kind: Option<RowKind>,
    page: vec::IntoIter<ExportLine>,
    /// The last row of the page.
    last: Option<ExportLine>,
    /// Records that changed since the export began; none when the store no longer knows which.
    changed: Option<HashSet<MemoryId>>,
    /// The last change that was looked at.
    seq: u64,
}

impl Pages {
    async fn next(&mut self) -> Result<Option<ExportLine>> {
        loop {
            if let Some(line) = self.page.next() {
                return Ok(Some(line));
            }
            if self.kind.is_none() {
                self.kind = self.kinds.next();
                self.last = None;
            }
            let Some(kind) = self.kind else { return Ok(None) };
            let mut rows = self.store.export(&self.scope, kind, self.last.as_ref(), PAGE).await?;
            self.last = rows.last().cloned();
            if rows.len() < PAGE {
                self.kind = None;
            }
            if kind == RowKind::Embedding {
                self.leave_vectors_of_changed(&mut rows).await?;
            }
            self.page = rows.into_iter();
        }
    }

    /// Takes out the vectors that may stand for another text than the one exported before; whoever
    /// imports makes them again.
    async fn leave_vectors_of_changed(&mut self, rows: &mut Vec<ExportLine>) -> Result<()> {
        while let Some(changed) = &mut self.changed {
            match self.store.changes(self.scope.tenant(), self.seq, TAIL).await? {
                Tail::Rows(changes) => {
                    self.seq = changes.last().map_or(self.seq, |(seq, _)| *seq);
                    changed.extend(changes.iter().filter_map(|(_, change)| match change {
                        Changed::Record(id) => Some(*id),
                        _ => None,
                    }));
                    if changes.len() < TAIL {
                        break;
                    }
                }
                Tail::Gone => self.changed = None,
            }
        }
        rows.retain(|row| match (row, &self.changed) {
            (ExportLine::Embedding(row), Some(changed)) => !changed.contains(&row.memory_id),
            _ => false,
        });
        Ok(())
    }
}
