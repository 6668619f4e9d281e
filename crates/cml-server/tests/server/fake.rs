//! A backend of few verbs, which misbehaves on request.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use cml_core::{
    Admin, BoxStream, Capabilities, Error, ErrorKind, Graph, Maintenance, MemoryBackend, Result, Scope,
    Transfer,
    memory::{MemoryDetail, MemoryItem},
    ops::{
        EraseRequest, EraseResponse, ExportLine, ExportOptions, ForgetRequest, ForgetResponse, GetRequest,
        Health, ImportReport, ListPage, ListRequest, ReadRequest, ReadResponse, Stats, TenantSummary,
        TurnRequest, TurnResponse, UpdateRequest, UpdateResponse, WriteRequest, WriteResponse,
    },
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::Notify;

/// What the texts of a read do: `panic`, `internal`, `unavailable`, `wait` (until told to go on).
#[derive(Debug, Default)]
pub(crate) struct Fake {
    /// A waiting call has begun.
    pub(crate) begun: Notify,
    /// A waiting call may end.
    pub(crate) go_on: Notify,
    /// A stream was dropped.
    pub(crate) dropped: Arc<Notify>,
    /// What was imported.
    pub(crate) imported: Mutex<Vec<ExportLine>>,
    /// What is exported before the export breaks.
    pub(crate) exported: Mutex<Vec<ExportLine>>,
    /// What it has beside the verbs and the transfer.
    pub(crate) runs: Option<Box<dyn Runs>>,
    /// What `health` tells; it fails without.
    pub(crate) health: Option<Health>,
    /// What is counted together with other processes; nothing where there is none.
    pub(crate) counted: Option<Counted>,
}

/// Runs of maintenance in several tenants, and a graph.
pub(crate) trait Runs: Maintenance + Admin + Graph + Debug + 'static {}

/// Counters that several backends share.
pub(crate) type Counted = Arc<Mutex<HashMap<String, u64>>>;

struct Tell(Arc<Notify>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

fn absent<T>() -> Result<T> {
    Err(Error::unsupported("the verb", "use another backend"))
}

/// An item of any kind.
pub(crate) fn item(text: &str) -> Result<MemoryItem> {
    let json = serde_json::json!({
        "id": "0192d1f0-0000-7000-8000-000000000001", "text": text, "type": "episodic_event",
        "confidence": 0.5, "relevance": 0.5, "timestamp": "2026-05-07T09:30:00Z", "metadata": {},
    });
    serde_json::from_value(json)
        .map_err(|error| Error::new(ErrorKind::Internal, "no item").with_source(error))
}

#[async_trait]
impl MemoryBackend for Fake {
    async fn write_batch(&self, _: &Scope, _: Vec<WriteRequest>) -> Result<Vec<Result<WriteResponse>>> {
        absent()
    }

    async fn read(&self, _: &Scope, request: ReadRequest) -> Result<ReadResponse> {
        match request.query.as_str() {
            "panic" => panic!("private text"),
            "internal" => Err(Error::new(ErrorKind::Internal, "private text")),
            "unavailable" => Err(Error::new(ErrorKind::Unavailable, "the store is away")),
            "wait" => {
                self.begun.notify_one();
                self.go_on.notified().await;
                Ok(ReadResponse::default())
            }
            _ => Ok(ReadResponse::default()),
        }
    }

    async fn read_stream(
        &self,
        _: &Scope,
        request: ReadRequest,
    ) -> Result<BoxStream<'static, Result<MemoryItem>>> {
        let first = stream::iter([item("first\nline")]);
        Ok(match request.query.as_str() {
            "broken" => first.chain(stream::iter([Err(Error::new(ErrorKind::Unavailable, "away"))])).boxed(),
            "endless" => {
                let tell = Tell(Arc::clone(&self.dropped));
                stream::unfold(tell, |tell| async move {
                    tokio::task::yield_now().await;
                    Some((item(&"x".repeat(10_000)), tell))
                })
                .boxed()
            }
            _ => first.boxed(),
        })
    }

    async fn turn(&self, _: &Scope, _: TurnRequest) -> Result<TurnResponse> {
        absent()
    }

    async fn get(&self, _: &Scope, _: GetRequest) -> Result<MemoryDetail> {
        absent()
    }

    async fn list(&self, _: &Scope, _: ListRequest) -> Result<ListPage> {
        absent()
    }

    async fn update(&self, _: &Scope, _: UpdateRequest) -> Result<UpdateResponse> {
        absent()
    }

    async fn forget(&self, _: &Scope, _: ForgetRequest) -> Result<ForgetResponse> {
        absent()
    }

    async fn erase(&self, _: &Scope, _: EraseRequest) -> Result<EraseResponse> {
        absent()
    }

    async fn stats(&self, _: &Scope) -> Result<Stats> {
        absent()
    }

    async fn health(&self) -> Result<Health> {
        self.health.clone().map_or_else(absent, Ok)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::new("fake", "lite", "0.0.0", [])
    }

    async fn close(&self) -> Result<()> {
        Ok(())
    }

    fn maintenance(&self) -> Result<&dyn Maintenance> {
        match self.runs.as_deref() {
            Some(runs) => Ok(runs),
            None => absent(),
        }
    }

    fn admin(&self) -> Result<&dyn Admin> {
        match self.runs.as_deref() {
            Some(runs) => Ok(runs),
            None => Ok(self),
        }
    }

    fn graph(&self) -> Result<&dyn Graph> {
        match self.runs.as_deref() {
            Some(runs) => Ok(runs),
            None => absent(),
        }
    }

    fn transfer(&self) -> Result<&dyn Transfer> {
        Ok(self)
    }
}

#[async_trait]
impl Admin for Fake {
    async fn tenants(&self) -> Result<Vec<TenantSummary>> {
        absent()
    }

    async fn count_request(&self, key: &str, _: Duration) -> Result<Option<(u64, Duration)>> {
        let Some(counted) = &self.counted else { return Ok(None) };
        let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counted.entry(key.to_owned()).or_default();
        *count += 1;
        Ok(Some((*count, Duration::from_secs(7))))
    }
}

#[async_trait]
impl Transfer for Fake {
    async fn export(
        &self,
        _: &Scope,
        options: ExportOptions,
    ) -> Result<BoxStream<'static, Result<ExportLine>>> {
        let lines = self.exported.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let broken = stream::once(async {
            tokio::task::yield_now().await;
            Err(Error::new(ErrorKind::Unavailable, "the store is away"))
        });
        let end = if options.vectors { broken.boxed() } else { stream::empty().boxed() };
        Ok(stream::iter(lines.into_iter().map(Ok)).chain(end).boxed())
    }

    async fn import(&self, _: &Scope, lines: BoxStream<'static, Result<ExportLine>>) -> Result<ImportReport> {
        let lines: Vec<_> = lines.try_collect().await?;
        let mut report = ImportReport::default();
        for line in &lines {
            *report.imported.entry(line.kind().to_owned()).or_default() += 1;
        }
        self.imported.lock().unwrap_or_else(PoisonError::into_inner).extend(lines);
        Ok(report)
    }
}
