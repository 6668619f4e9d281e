//! Rows of an export into a tenant: kept aside until the stream has ended, then put batch by batch.
//!
//! Each batch is one transaction and leaves out what is there already, so that a run that was cut off
//! is finished by running it again.

mod check;
mod facts;
mod foreign;
mod report;
mod rows;
mod spool;
mod turns;

use std::collections::HashMap;

use cml_core::{
    BoxStream, FactId, Result, Scope,
    ops::{ExportLine, ImportReport},
};
use futures_util::StreamExt as _;

use self::{
    facts::Ended,
    report::Tally,
    rows::Step,
    spool::{BATCH, BATCH_BYTES, Rows, Spool, Spooled, weight},
};
use super::{Attempts, Engine};
use crate::store::{Outcome, Precondition, RowKind};

/// The order in which kinds are applied: what a row hangs on comes before it. An entity exists as long
/// as it is mentioned, so mentions come first.
const ORDER: [RowKind; 12] = [
    RowKind::Session,
    RowKind::Message,
    RowKind::Record,
    RowKind::RecordVersion,
    RowKind::Embedding,
    RowKind::Mention,
    RowKind::Entity,
    RowKind::Edge,
    RowKind::Fact,
    RowKind::FactVersion,
    RowKind::Evidence,
    RowKind::Event,
];

impl Engine {
    /// Puts the rows of an export into the scope's tenant. The header comes first, the other lines in
    /// any order; nothing is stored before the stream has ended without an error.
    ///
    /// # Errors
    /// `InvalidInput` naming the line of a row that is broken or that the scope does not see; an error
    /// of the stream; `Unavailable` when the store, the model or the disk is away: then what was put
    /// stays, and another run finishes the rest.
    pub async fn import(
        &self,
        scope: &Scope,
        lines: BoxStream<'static, Result<ExportLine>>,
    ) -> Result<ImportReport> {
        let mut spooled = self.spool(scope, lines).await?;
        let report = if spooled.header.origin.is_some() {
            self.import_foreign(scope, spooled).await?
        } else {
            let mut import = Import {
                engine: self,
                scope,
                total: Tally::default(),
                headless: false,
                ended: HashMap::new(),
            };
            import.run(&mut spooled).await?;
            import.total.report(spooled.header.losses, &self.generation.get().model().name)
        };
        tracing::debug!(imported = ?report.imported, skipped = ?report.skipped, "import ended");
        Ok(report)
    }

    async fn spool(
        &self,
        scope: &Scope,
        mut lines: BoxStream<'static, Result<ExportLine>>,
    ) -> Result<Spooled> {
        let mut spool = Spool::new(scope.clone());
        loop {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            let ended = loop {
                match lines.next().await {
                    Some(line) => {
                        let line = line?;
                        bytes += weight(&line);
                        batch.push(line);
                    }
                    None => break true,
                }
                if batch.len() == BATCH || bytes >= BATCH_BYTES {
                    break false;
                }
            };
            let (taken, kept) = self.off_thread(move || (spool.take(batch), spool)).await?;
            taken?;
            spool = kept;
            if ended {
                return self.off_thread(move || spool.finish()).await?;
            }
        }
    }

    /// The next batch of a kind.
    async fn next_rows(&self, mut rows: Rows) -> Result<(Vec<ExportLine>, Rows)> {
        let (batch, rows) = self.off_thread(move || (rows.next(), rows)).await?;
        Ok((batch?, rows))
    }
}

/// An import of our own format under way.
struct Import<'e> {
    engine: &'e Engine,
    scope: &'e Scope,
    total: Tally,
    /// Whether a session was erased here, so that messages may come without their header.
    headless: bool,
    /// Facts that ended, whose evidence may come yet.
    ended: HashMap<FactId, Ended>,
}

impl Import<'_> {
    async fn run(&mut self, spooled: &mut Spooled) -> Result<()> {
        for kind in ORDER {
            let Some(mut rows) = spooled.rows(kind) else { continue };
            loop {
                let batch;
                (batch, rows) = self.engine.next_rows(rows).await?;
                if batch.is_empty() {
                    break;
                }
                self.apply(kind, batch).await?;
            }
        }
        self.engine.embed_missing(self.scope.tenant()).await?;
        Ok(())
    }

    /// Applies a batch of one kind in one transaction.
    async fn apply(&mut self, kind: RowKind, mut batch: Vec<ExportLine>) -> Result<()> {
        let (engine, tenant) = (self.engine, self.scope.tenant());
        if kind == RowKind::Embedding {
            self.total.other_vectors += self.leave_other_vectors(&mut batch);
        }
        let mut attempts = Attempts::new(engine, tenant);
        loop {
            attempts.next().await?;
            let state = engine.store.tenant(tenant).await?;
            let known = engine.store.known(self.scope, &batch).await?;
            let mut step = Step::new(tenant, engine.clock.now());
            step.plan.require(Precondition::Epoch(state.epoch));
            let sorted = step.tally.sort(kind, &batch, &known);
            self.plan(&mut step, kind, sorted).await?;
            self.headless |= kind == RowKind::Session && step.tally.has_erased();
            if !step.tally.has_imported() {
                self.ended.extend(step.ended);
                self.total.add(step.tally);
                return Ok(());
            }
            match engine.commit(step.plan.changes).await? {
                Outcome::Committed(committed) => {
                    step.tally.moved = committed.moved;
                    self.ended.extend(step.ended);
                    self.total.add(step.tally);
                    return Ok(());
                }
                Outcome::Refused(condition) => {
                    tracing::debug!(tenant, ?condition, "planning a batch of an import again");
                    engine.generation.check(engine.store.as_ref()).await?;
                }
            }
        }
    }

    /// Takes out the vectors that another model made, and says how many there were.
    fn leave_other_vectors(&self, batch: &mut Vec<ExportLine>) -> u64 {
        let serving = self.engine.generation.get();
        let before = batch.len();
        batch.retain(|line| match line {
            ExportLine::Embedding(row) => {
                row.model == serving.model().name && row.vector.len() == serving.model().dimensions
            }
            _ => true,
        });
        (before - batch.len()) as u64
    }
}
