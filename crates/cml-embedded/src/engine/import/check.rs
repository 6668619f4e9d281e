//! What a line must fulfil before it is kept.

use cml_core::{
    Result, Scope,
    memory::Metadata,
    ops::{EmbeddingRow, ExportHeader, ExportLine, MAX_CONTENT_CHARS, MAX_METADATA_BYTES},
    scope::{MAX_ID_CHARS, MAX_KEY_CHARS, ScopeParts, check_id},
};

use super::spool::broken;

/// Numbers that every store can hold.
const MOST: u64 = i64::MAX.cast_unsigned();
/// A text grows when its write redacts it, to less than this.
const MOST_CHARS: usize = 4 * MAX_CONTENT_CHARS;
/// A text that is said again gets the metadata of each time.
const MOST_METADATA_BYTES: usize = 16 * MAX_METADATA_BYTES;

/// Checks a row of an engine like this one.
pub(super) fn own(scope: &Scope, header: &ExportHeader, line: &ExportLine) -> Result<()> {
    if let Some(place) = Place::of(line) {
        place.check()?;
        place.check_seen(scope, line.kind())?;
    }
    match line {
        ExportLine::Session(row) => {
            check_id("session_id", &row.session_id, MAX_ID_CHARS)?;
            check_metadata(&row.metadata)
        }
        ExportLine::Message(row) => {
            check_id("session_id", &row.session_id, MAX_ID_CHARS)?;
            check_text(&row.text)?;
            check_metadata(&row.metadata)?;
            check_number("seq", row.seq)
        }
        ExportLine::Record(row) => {
            if let Some(key) = &row.key {
                check_id("key", key, MAX_KEY_CHARS)?;
            }
            check_text(&row.text)?;
            check_metadata(&row.metadata)?;
            check_number("version", row.version)?;
            check_number("access_count", row.access_count.max(1))
        }
        ExportLine::RecordVersion(row) => {
            check_text(&row.record.text)?;
            check_metadata(&row.record.metadata)?;
            check_number("version", row.record.version)?;
            check_number("access_count", row.record.access_count.max(1))
        }
        ExportLine::Embedding(row) => check_vector(header, row),
        ExportLine::Fact(row) => check_number("version", row.version),
        ExportLine::FactVersion(row) => check_number("version", row.fact.version),
        ExportLine::Edge(row) if !row.confidence.is_finite() => Err(broken("confidence: must be a number")),
        _ => Ok(()),
    }
}

/// Checks where a record of a foreign system is; what its text may be is the write's to decide. `false`
/// when nothing can be there, because a part of it is no id here.
pub(super) fn foreign(scope: &Scope, line: &ExportLine) -> Result<bool> {
    let ExportLine::Record(row) = line else { return Ok(true) };
    let ids = [&row.namespace, &row.user_id, &row.agent_id, &row.session_id];
    if ids.iter().any(|id| !id.is_empty() && check_id("id", id, MAX_ID_CHARS).is_err()) {
        return Ok(false);
    }
    scope.narrow(&parts(&row.namespace, &row.user_id, &row.agent_id, &row.session_id)).map(|_| true)
}

/// The parts of a scope that are not empty.
pub(super) fn parts(namespace: &str, user: &str, agent: &str, session: &str) -> ScopeParts {
    let some = |part: &str| Some(part.to_owned()).filter(|part| !part.is_empty());
    let mut parts = ScopeParts::default();
    parts.namespace = some(namespace);
    parts.user_id = some(user);
    parts.agent_id = some(agent);
    parts.session_id = some(session);
    parts
}

/// Makes `tenant` the owner of a row.
pub(super) fn move_to(tenant: &str, line: &mut ExportLine) {
    let owner = match line {
        ExportLine::Session(row) => &mut row.tenant_id,
        ExportLine::Message(row) => &mut row.tenant_id,
        ExportLine::Record(row) => &mut row.tenant_id,
        ExportLine::RecordVersion(row) => &mut row.record.tenant_id,
        ExportLine::Entity(row) => &mut row.tenant_id,
        ExportLine::Fact(row) => &mut row.tenant_id,
        ExportLine::FactVersion(row) => &mut row.fact.tenant_id,
        ExportLine::Event(row) => &mut row.tenant_id,
        _ => return,
    };
    tenant.clone_into(owner);
}

/// Where a row is.
struct Place<'l> {
    namespace: &'l str,
    user: &'l str,
    agent: &'l str,
    session: &'l str,
    /// Whether it must be in a namespace.
    named: bool,
    /// Whether its session limits who sees it.
    of_session: bool,
}

impl<'l> Place<'l> {
    /// None for rows that are where the row is on which they hang.
    fn of(line: &'l ExportLine) -> Option<Self> {
        macro_rules! place {
            ($row:expr, $named:literal) => {
                Some(Self {
                    namespace: &$row.namespace,
                    user: &$row.user_id,
                    agent: &$row.agent_id,
                    session: &$row.session_id,
                    named: $named,
                    of_session: true,
                })
            };
        }
        match line {
            ExportLine::Session(row) => place!(row, false),
            ExportLine::Message(row) => place!(row, true),
            ExportLine::Record(row) => place!(row, true),
            ExportLine::RecordVersion(row) => place!(row.record, true),
            ExportLine::Fact(row) => place!(row, true),
            ExportLine::FactVersion(row) => place!(row.fact, true),
            ExportLine::Event(row) => place!(row, false),
            ExportLine::Entity(row) => Some(Self {
                namespace: &row.namespace,
                user: &row.user_id,
                agent: "",
                session: "",
                named: true,
                of_session: false,
            }),
            _ => None,
        }
    }

    fn check(&self) -> Result<()> {
        if self.named {
            check_id("namespace", self.namespace, MAX_ID_CHARS)?;
        }
        for (field, id) in [
            ("namespace", self.namespace),
            ("user_id", self.user),
            ("agent_id", self.agent),
            ("session_id", self.session),
        ] {
            if !id.is_empty() {
                check_id(field, id, MAX_ID_CHARS)?;
            }
        }
        Ok(())
    }

    fn check_seen(&self, scope: &Scope, kind: &str) -> Result<()> {
        let session = if self.of_session { self.session } else { scope.session() };
        if scope.sees(self.namespace, self.user, session) {
            return Ok(());
        }
        let (namespace, user) = (self.namespace, self.user);
        Err(broken(format!(
            "the {kind} lies outside the scope of the import: namespace \"{namespace}\", user \"{user}\", \
             session \"{session}\""
        )))
    }
}

fn check_text(text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(broken("text: must not contain NUL"));
    }
    if text.len() > MOST_CHARS && text.chars().count() > MOST_CHARS {
        return Err(broken(format!("text: must not have more than {MOST_CHARS} characters")));
    }
    Ok(())
}

fn check_metadata(metadata: &Metadata) -> Result<()> {
    if json_bytes(metadata) > MOST_METADATA_BYTES {
        return Err(broken(format!("metadata: must not exceed {MOST_METADATA_BYTES} bytes of JSON")));
    }
    Ok(())
}

/// Bytes of metadata as JSON.
pub(super) fn json_bytes(metadata: &Metadata) -> usize {
    if metadata.is_empty() {
        return 0;
    }
    serde_json::to_string(metadata).map_or(0, |json| json.len())
}

fn check_number(field: &str, number: u64) -> Result<()> {
    if (1..=MOST).contains(&number) { Ok(()) } else { Err(broken(format!("{field}: must be 1 to {MOST}"))) }
}

fn check_vector(header: &ExportHeader, row: &EmbeddingRow) -> Result<()> {
    let model = header.models.iter().find(|model| model.name == row.model);
    let model = model.ok_or_else(|| broken("model: must be one that the header names"))?;
    if row.vector.len() != model.dimensions {
        return Err(broken(format!("vector: must have {} dimensions", model.dimensions)));
    }
    if !row.norm.is_finite() || row.vector.iter().any(|value| !value.is_finite()) {
        return Err(broken("vector: must hold numbers"));
    }
    if row.view != "own" && row.view != "context" {
        return Err(broken("view: must be own or context"));
    }
    Ok(())
}
