//! Memories out of the original server and into it, with what is lost on the way.

use std::collections::{BTreeMap, HashSet, VecDeque};

use chrono::Utc;
use cml_core::{
    BoxStream, Error, ErrorKind, MemoryId, Result, Scope,
    memory::{MemoryRecord, MemoryStatus, Role},
    ops::{
        ExportHeader, ExportLine, ExportOptions, FORMAT_NAME, FORMAT_VERSION, ForgetAction, ForgetRequest,
        ForgetResponse, ImportReport, WriteRequest, WriteResponse,
    },
    portable::original::ORIGIN,
    scope::ScopeParts,
    wire::path,
};
use futures_util::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{MEMORY, Original, answers, limits};
use crate::{batch::of_item, call::Call, client::Client, error, retry::Repeat, spool::Spool};

/// Memories page by page, texts cut, admin.
const PAGES: &str = "/dashboard/memories";
const PER_PAGE: usize = 200;
/// Records in full that are fetched at the same time.
const CONCURRENT: usize = 8;

/// What this server does not give.
const LOSSES: [&str; 4] = [
    "sessions, messages, vectors, facts, graph and events stay behind: the server does not export them",
    "former states of memories stay behind",
    "memories of status deleted are left out",
    "who said a text is not known: all count as said by the user",
];

#[derive(Debug, Deserialize)]
struct Page {
    items: Vec<Row>,
    total: u64,
    total_pages: u64,
}

#[derive(Debug, Deserialize)]
struct Row {
    id: MemoryId,
}

/// How far an export has come.
struct Walk {
    client: Client,
    scope: Scope,
    next_page: u64,
    pages: u64,
    total: u64,
    seen: HashSet<MemoryId>,
    ready: VecDeque<MemoryRecord>,
}

impl Original<'_> {
    pub(crate) async fn export(
        self,
        scope: &Scope,
        _options: ExportOptions,
    ) -> Result<BoxStream<'static, Result<ExportLine>>> {
        limits::no_user(scope)?;
        let mut walk = Walk {
            client: self.client.clone(),
            scope: scope.clone(),
            next_page: 1,
            pages: 1,
            total: 0,
            seen: HashSet::new(),
            ready: VecDeque::new(),
        };
        walk.turn_page().await?;
        let header = ExportLine::Header(ExportHeader {
            format: FORMAT_NAME.to_owned(),
            version: FORMAT_VERSION,
            created_at: Utc::now(),
            models: Vec::new(),
            counts: BTreeMap::new(),
            origin: Some(ORIGIN.to_owned()),
            losses: LOSSES.map(str::to_owned).into(),
        });
        let records = stream::try_unfold(walk, |mut walk| async move {
            let record = walk.next().await?;
            Ok::<_, Error>(record.map(|record| (ExportLine::Record(Box::new(record)), walk)))
        });
        Ok(stream::iter([Ok(header)]).chain(records).boxed())
    }

    /// Writes every record that holds as a new text, after the stream ended without an error.
    pub(crate) async fn import(
        self,
        scope: &Scope,
        mut lines: BoxStream<'static, Result<ExportLine>>,
    ) -> Result<ImportReport> {
        limits::no_user(scope)?;
        let mut spool = Spool::new()?;
        let mut lost = Lost::default();
        while let Some(line) = lines.try_next().await? {
            match line {
                ExportLine::Record(record) => {
                    if lost.record(&record) {
                        spool.push(&Carried::new(scope, &record)?)?;
                    }
                }
                ExportLine::Header(header) => lost.told.extend(header.losses),
                line => lost.kind(line.kind()),
            }
        }
        let mut written = 0;
        for carried in spool.rows::<Carried>()? {
            match of_item(carried?.send(self, scope).await) {
                Ok(Ok(_)) => written += 1,
                Ok(Err(_refused)) => lost.refused += 1,
                Err(error) => {
                    let context = error::copy(&error).with_context("written", written).with_source(error);
                    return Err(context.with_suggestion(
                        "the memories written so far stay; run again, and they are written again",
                    ));
                }
            }
        }
        Ok(lost.report(written))
    }
}

impl Walk {
    /// The next record of the scope.
    async fn next(&mut self) -> Result<Option<MemoryRecord>> {
        loop {
            if let Some(record) = self.ready.pop_front() {
                return Ok(Some(record));
            }
            if self.next_page > self.pages {
                return if (self.seen.len() as u64) < self.total { Err(removed()) } else { Ok(None) };
            }
            self.turn_page().await?;
        }
    }

    async fn turn_page(&mut self) -> Result<()> {
        // New memories come in at the end of this order.
        let query = json!({
            "tenant_id": self.scope.tenant(), "page": self.next_page, "per_page": PER_PAGE,
            "sort_by": "written_at", "order": "asc",
        });
        let call = Call::get(PAGES).of_original().query(&query).admin().of(&self.scope);
        let page: Page = self.client.json(call).await?;
        self.next_page += 1;
        self.pages = if page.items.is_empty() { 0 } else { page.total_pages };
        if page.total < self.total {
            // Rows moved up, one of them maybe onto a page that was read already.
            return Err(removed());
        }
        self.total = page.total;
        let seen = &mut self.seen;
        let new: Vec<MemoryId> = page.items.iter().map(|row| row.id).filter(|id| seen.insert(*id)).collect();
        for ids in new.chunks(CONCURRENT) {
            let details = ids.iter().map(|id| detail(&self.client, &self.scope, *id));
            self.ready.extend(try_join_all(details).await?.into_iter().flatten());
        }
        Ok(())
    }
}

fn removed() -> Error {
    Error::new(ErrorKind::Unavailable, "memories were removed while they were exported")
        .with_suggestion("export again while nobody writes")
}

/// The record in full, if it was not deleted and is in the scope.
async fn detail(client: &Client, scope: &Scope, id: MemoryId) -> Result<Option<MemoryRecord>> {
    let record = match client.json(Call::get(MEMORY).of_original().id(&id).admin().of(scope)).await {
        Ok(answer) => answers::record(answer)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let within = record.tenant_id == scope.tenant()
        && scope.sees(&record.namespace, &record.user_id, &record.session_id);
    Ok(Some(record).filter(|record| within && record.status != MemoryStatus::Deleted))
}

/// A memory to write, and what gives it the status that it had.
#[derive(Debug, Serialize, Deserialize)]
struct Carried {
    request: WriteRequest,
    action: Option<ForgetAction>,
}

impl Carried {
    /// # Errors
    /// `InvalidInput` for a record outside the scope.
    fn new(scope: &Scope, record: &MemoryRecord) -> Result<Self> {
        let action = match record.status {
            MemoryStatus::Archived => Some(ForgetAction::Archive),
            MemoryStatus::Silent => Some(ForgetAction::Silence),
            _ => None,
        };
        Ok(Self { request: write_of(scope, record)?, action })
    }

    async fn send(self, original: Original<'_>, scope: &Scope) -> Result<()> {
        let call = Call::post(path::WRITE, &self.request, Repeat::Twice)?.of(scope);
        let written: WriteResponse = original.client.json(call).await?;
        if let Some((id, action)) = written.memory_id.zip(self.action) {
            let request = ForgetRequest::ids([id]).with_action(action);
            let call = Call::post(path::FORGET, &request, Repeat::Twice)?.of(scope);
            original.client.json::<ForgetResponse>(call).await?;
        }
        Ok(())
    }
}

/// `record` as a new text for this server.
fn write_of(scope: &Scope, record: &MemoryRecord) -> Result<WriteRequest> {
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let mut parts = ScopeParts::default();
    parts.namespace = some(&record.namespace);
    parts.agent_id = some(&record.agent_id);
    parts.session_id = some(&record.session_id);
    let mut request = WriteRequest::new(&record.text)
        .with_memory_type(record.memory_type)
        .with_metadata(record.metadata.clone())
        .with_timestamp(record.timestamp)
        .with_tags(&record.context_tags);
    request.scope = (&scope.narrow(&parts)?).into();
    Ok(request)
}

/// What is not carried over.
#[derive(Debug, Default)]
struct Lost {
    told: Vec<String>,
    kinds: BTreeMap<&'static str, u64>,
    deleted: u64,
    outdated: u64,
    refused: u64,
    users: u64,
    speakers: u64,
    keys: u64,
    expiries: u64,
    chunks: u64,
}

impl Lost {
    /// Counts what is lost of a record; whether it is written at all.
    fn record(&mut self, record: &MemoryRecord) -> bool {
        if record.status == MemoryStatus::Deleted {
            self.deleted += 1;
            return false;
        }
        if record.superseded_by_id.is_some() || record.valid_to.is_some_and(|end| end <= Utc::now()) {
            self.outdated += 1;
            return false;
        }
        self.users += u64::from(!record.user_id.is_empty());
        self.speakers += u64::from(record.role != Role::User || !record.speaker.is_empty());
        self.keys += u64::from(record.key.is_some());
        self.expiries += u64::from(record.expires_at.is_some());
        self.chunks += u64::from(record.chunk_index > 0);
        true
    }

    fn kind(&mut self, kind: &'static str) {
        *self.kinds.entry(kind).or_default() += 1;
    }

    fn report(self, written: u64) -> ImportReport {
        let mut losses = self.told;
        let kinds =
            self.kinds.iter().map(|(kind, count)| (*count, format!("rows of kind {kind} stay behind")));
        let parts = [
            (self.deleted, "memories of status deleted are left out"),
            (self.outdated, "memories that no longer hold are left out"),
            (self.refused, "memories were refused by the server"),
            (self.users, "memories lose their user"),
            (self.speakers, "memories lose their role and speaker"),
            (self.keys, "memories lose their key"),
            (self.expiries, "memories lose their expiry"),
            (self.chunks, "later chunks of long texts become memories of their own"),
        ];
        let parts = parts.into_iter().map(|(count, what)| (count, what.to_owned()));
        losses.extend(
            kinds.chain(parts).filter(|(count, _)| *count > 0).map(|(n, what)| format!("{n} {what}")),
        );
        if written > 0 {
            losses.push("ids, versions and scores are made anew: another import writes again".to_owned());
        }
        ImportReport { imported: [("record".to_owned(), written)].into(), skipped: BTreeMap::new(), losses }
    }
}
