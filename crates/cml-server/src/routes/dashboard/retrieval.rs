//! Trying out reads and writes.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use cml_core::{
    Error, ErrorKind, MemoryBackend, MemoryId, Result, Scope, Score,
    memory::{MemoryItem, MemoryType, Metadata},
    ops::{GetRequest, ReadFormat, ReadRequest, ReadResponse, RetrievalMeta, Sufficiency, WriteRequest},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{doc, scopes};
use crate::{
    app::App,
    auth::{AdminCaller, Caller},
    error::Answer,
    extract::Body,
    routes::Routes,
};

/// Most results of a trial.
const MOST: usize = 50;

pub(super) fn routes() -> Routes {
    Routes::new()
        .post(
            "/dashboard/retrieval",
            retrieval,
            doc("A read in any tenant, with the score of every result").body::<Trial>().answer::<Retrieval>(),
        )
        .post(
            "/dashboard/retrieval/explain",
            explain,
            doc("The same read, with the reasons for every result").body::<Trial>().answer::<Explained>(),
        )
        .post(
            "/dashboard/write/simulate",
            simulate,
            doc("What a write would store; stores nothing").body::<WriteRequest>().answer::<Value>(),
        )
}

/// A read to try.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
struct Trial {
    /// The tenant; the caller's when absent.
    tenant_id: Option<String>,
    /// What to recall.
    query: String,
    /// Most results, 1..=50.
    #[serde(default = "usual_results")]
    max_results: usize,
    /// Only memories that carry at least one of these tags.
    #[serde(default)]
    context_filter: Vec<String>,
    /// Only these types.
    #[serde(default)]
    memory_types: Vec<MemoryType>,
    /// How the answer is laid out.
    #[serde(default = "usual_format")]
    format: ReadFormat,
}

const fn usual_results() -> usize {
    10
}

const fn usual_format() -> ReadFormat {
    ReadFormat::List
}

/// What a read returned.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Retrieval {
    query: String,
    /// Best first.
    results: Vec<RetrievalResult>,
    llm_context: Option<String>,
    total_count: usize,
    elapsed_ms: f64,
}

/// A result with its score.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct RetrievalResult {
    id: MemoryId,
    text: String,
    #[serde(rename = "type")]
    memory_type: MemoryType,
    confidence: Score,
    relevance_score: Score,
    /// The channels that proposed candidates to this read.
    retrieval_source: String,
    /// When it was said.
    timestamp: DateTime<Utc>,
    supersedes_id: Option<MemoryId>,
    metadata: Metadata,
    /// Why it is there, where that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    explain: Option<Value>,
}

/// What a read returned, and how it came about.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Explained {
    #[serde(flatten)]
    retrieval: Retrieval,
    retrieval_meta: RetrievalMeta,
    sufficiency: Option<Sufficiency>,
    warnings: Vec<String>,
}

async fn retrieval(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Body(trial): Body<Trial>,
) -> Answer<Retrieval> {
    let (scope, response) = read(&app, &caller, trial, false).await?;
    Ok(Json(Retrieval::new(app.backend(), &scope, response).await?))
}

async fn explain(
    State(app): State<App>,
    AdminCaller(caller): AdminCaller,
    Body(trial): Body<Trial>,
) -> Answer<Explained> {
    let (scope, mut response) = read(&app, &caller, trial, true).await?;
    Ok(Json(Explained {
        retrieval_meta: response.retrieval_meta.clone(),
        sufficiency: response.sufficiency,
        warnings: std::mem::take(&mut response.warnings),
        retrieval: Retrieval::new(app.backend(), &scope, response).await?,
    }))
}

async fn simulate(_: AdminCaller, Body(request): Body<WriteRequest>) -> Answer<Value> {
    request.validate()?;
    Err(Error::unsupported("write simulation", "write into a tenant made for trials").into())
}

async fn read(app: &App, caller: &Caller, trial: Trial, explain: bool) -> Result<(Scope, ReadResponse)> {
    if !(1..=MOST).contains(&trial.max_results) {
        return Err(Error::invalid("max_results", format!("must be 1 to {MOST}")));
    }
    let scope = scopes::named_or_own(caller, trial.tenant_id.as_deref())?;
    let request = ReadRequest::new(trial.query)
        .with_max_results(trial.max_results)
        .with_tags(trial.context_filter)
        .with_memory_types(trial.memory_types)
        .with_format(trial.format)
        .with_explain(explain);
    let response = app.backend().read(&scope, request).await?;
    Ok((scope, response))
}

impl Retrieval {
    async fn new(backend: &dyn MemoryBackend, scope: &Scope, response: ReadResponse) -> Result<Self> {
        let channels = response.retrieval_meta.channels.iter();
        let sources: Vec<&str> = channels
            .filter(|channel| channel.candidates > 0 && channel.error.is_none())
            .map(|channel| channel.name.as_str())
            .collect();
        let source = sources.join("+");
        let mut results = Vec::with_capacity(response.memories.len());
        for item in response.memories {
            let supersedes = superseded(backend, scope, item.id).await?;
            results.push(RetrievalResult::new(item, source.clone(), supersedes));
        }
        Ok(Self {
            query: response.query,
            results,
            llm_context: response.llm_context,
            total_count: response.total_count,
            elapsed_ms: response.elapsed_ms,
        })
    }
}

impl RetrievalResult {
    fn new(item: MemoryItem, source: String, supersedes_id: Option<MemoryId>) -> Self {
        Self {
            id: item.id,
            text: item.text,
            memory_type: item.memory_type,
            confidence: item.confidence,
            relevance_score: item.relevance,
            retrieval_source: source,
            timestamp: item.timestamp,
            supersedes_id,
            metadata: item.metadata,
            explain: item.explain,
        }
    }
}

/// What the memory replaced; none where it was removed since the read.
async fn superseded(backend: &dyn MemoryBackend, scope: &Scope, id: MemoryId) -> Result<Option<MemoryId>> {
    match backend.get(scope, GetRequest::new(id)).await {
        Ok(detail) => Ok(detail.record.supersedes_id),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
