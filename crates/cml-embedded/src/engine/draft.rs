//! What a text becomes before anything is known of the store: gate, chunks, analysis. Pure.

use std::{borrow::Cow, fmt::Write as _, sync::Arc};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use cml_core::{
    Error, Result, Scope,
    config::EngineConfig,
    memory::{MemoryType, Role},
    ops::{Extract, WriteRequest},
    provider::TokenCounter,
};

use super::answers::Repeatable;
use crate::{
    digest::sha256,
    extract::{Context, Extraction, Extractor, GateVerdict, Mention, Statement, chunk, resolve_dates},
    search::TurnAnalysis,
    store::Vector,
};

/// Makes drafts; shared with the threads that do.
#[derive(Debug)]
pub(super) struct Drafter {
    extractor: Extractor,
    counter: Arc<dyn TokenCounter>,
    redaction: bool,
    chunk_tokens: usize,
}

/// A write, ready to be planned.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) scope: Scope,
    pub(super) request: WriteRequest,
    pub(super) repeatable: Option<Repeatable>,
    pub(super) role: Role,
    pub(super) said_at: DateTime<Utc>,
    /// Why the gate decided as it did.
    pub(super) reason: String,
    /// Whether a memory is made of it.
    pub(super) stored: bool,
    pub(super) content: Content,
}

/// A text after the gate, with what was read off it.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// The text; empty where it held a secret.
    pub(super) text: String,
    /// Its SHA-256, hexadecimal.
    pub(super) hash: String,
    pub(super) memory_type: Option<MemoryType>,
    pub(super) statements: Vec<Statement>,
    pub(super) mentions: Vec<Mention>,
    /// Its words, for search.
    pub(super) analysis: Option<TurnAnalysis>,
    /// In order; none when nothing is stored.
    pub(super) chunks: Vec<Chunk>,
}

/// A part of a text that becomes a record.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) text: String,
    pub(super) event: Option<(DateTime<Utc>, DateTime<Utc>)>,
    pub(super) own: Option<Vector>,
    pub(super) context: Option<Vector>,
}

impl Content {
    /// The chunk that holds this span of the text.
    pub(super) fn chunk_of(&self, span: &std::ops::Range<usize>) -> usize {
        let said = self.text.get(span.clone()).unwrap_or_default();
        self.chunks.iter().position(|chunk| chunk.text.contains(said)).unwrap_or(0)
    }
}

impl Drafter {
    pub(super) fn new(counter: Arc<dyn TokenCounter>, config: &EngineConfig) -> Self {
        Self {
            extractor: Extractor::default(),
            counter,
            redaction: config.redaction,
            chunk_tokens: config.chunk_tokens,
        }
    }

    /// Checks `request` and reads its text.
    pub(super) fn draft(
        &self,
        scope: &Scope,
        mut request: WriteRequest,
        max_tokens: usize,
        now: DateTime<Utc>,
    ) -> Result<Draft> {
        request.validate()?;
        let scope = scope.narrow(&request.scope)?;
        let repeatable = match &request.idempotency_key {
            Some(key) => Some(Repeatable::new("write", key, &scope, &request)?),
            None => None,
        };
        let timezone = request.user_timezone.as_deref().map_or(Ok(Tz::UTC), cml_core::time::zone)?;
        let said_at = cml_core::time::truncate(request.timestamp.unwrap_or(now));
        let role = request.role.unwrap_or(Role::User);
        let raw = std::mem::take(&mut request.content);
        let gate = self.extractor.gate(raw.trim(), self.redaction);
        let stored = gate.verdict != GateVerdict::Skip;
        let context = Context { role: Some(role), said_at, timezone, speaker: request.speaker.clone() };
        let extract = request.extract.unwrap_or(Extract::Full);
        let content =
            if stored { self.content(gate.text, extract, &context, max_tokens) } else { log_only(gate.text) };
        Ok(Draft { scope, request, repeatable, role, said_at, reason: gate.reason, stored, content })
    }

    /// Reads a text that passed the gate.
    pub(super) fn content(
        &self,
        text: String,
        extract: Extract,
        context: &Context,
        max_tokens: usize,
    ) -> Content {
        let extraction = match extract {
            Extract::Raw => Extraction {
                kind: MemoryType::Knowledge,
                statements: Vec::new(),
                mentions: Vec::new(),
                event: None,
            },
            _ => self.extractor.analyse(&text, context),
        };
        let parts = chunk(&text, self.chunk_tokens.min(max_tokens), &|part| self.counter.count(part));
        let single = parts.len() == 1;
        let chunks = parts
            .into_iter()
            .map(|part| Chunk {
                event: match extract {
                    Extract::Raw => None,
                    _ if single => extraction.event,
                    _ => resolve_dates(&part, context.said_at, context.timezone)
                        .first()
                        .map(|mention| (mention.start, mention.end)),
                },
                text: part,
                own: None,
                context: None,
            })
            .collect();
        Content {
            hash: hex(&sha256(&[text.as_bytes()])),
            analysis: Some(TurnAnalysis::of(&text)),
            memory_type: Some(extraction.kind),
            statements: extraction.statements,
            mentions: extraction.mentions,
            chunks,
            text,
        }
    }

    /// What the gate leaves of a text that replaces another.
    ///
    /// # Errors
    /// `InvalidInput` when it holds a secret.
    pub(super) fn replacement(&self, text: &str) -> Result<String> {
        let gate = self.extractor.gate(text.trim(), self.redaction);
        if gate.text.is_empty() {
            return Err(Error::invalid("text", "must not hold a secret such as a password or a key"));
        }
        Ok(gate.text)
    }
}

fn log_only(text: String) -> Content {
    let analysis = (!text.is_empty()).then(|| TurnAnalysis::of(&text));
    Content { analysis, text, ..Content::default() }
}

/// What is embedded for a text: who says it is part of the meaning.
pub(super) fn spoken<'a>(speaker: &str, text: &'a str) -> Cow<'a, str> {
    if speaker.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(format!("{speaker}: {text}")) }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
