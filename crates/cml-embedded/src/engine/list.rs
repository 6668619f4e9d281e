//! Records in full: one by id, or page by page.

use cml_core::{
    Error, Result, Scope,
    memory::{MemoryDetail, MemoryRecord},
    ops::{At, GetRequest, ListPage, ListRequest, OrderBy},
    wire::join_session,
};
use serde::{Deserialize, Serialize};

use super::{Engine, draft::hex, update::unknown};
use crate::store::PageKey;

impl Engine {
    /// One record in full.
    ///
    /// # Errors
    /// `NotFound` for an unknown id, one outside the scope, or a state that never was.
    pub async fn get(&self, scope: &Scope, request: GetRequest) -> Result<MemoryDetail> {
        let (tenant, id) = (scope.tenant(), request.memory_id);
        self.flush_accesses(tenant).await?;
        let record = self.store.records(tenant, &[id]).await?.pop();
        let record = record
            .filter(|record| scope.sees(&record.namespace, &record.user_id, &record.session_id))
            .ok_or_else(|| unknown(id))?;
        let state = self.state_at(&record, request.at).await?;
        let mut detail = MemoryDetail::new(state.ok_or_else(|| unknown(id))?);
        if request.versions {
            detail.versions = self.store.versions(tenant, id).await?;
        }
        if request.facts {
            detail.facts = self.store.facts_of(tenant, &[id]).await?;
        }
        Ok(detail)
    }

    /// A record as it was; none if it never was so.
    pub(super) async fn state_at(&self, record: &MemoryRecord, at: At) -> Result<Option<MemoryRecord>> {
        let current = match at {
            At::Version(version) => version == record.version,
            At::Time(instant) => record.written_at <= instant,
            _ => true,
        };
        if current {
            return Ok(Some(record.clone()));
        }
        let versions = self.store.versions(&record.tenant_id, record.id).await?;
        Ok(versions
            .into_iter()
            .rev()
            .find(|former| match at {
                At::Version(version) => former.record.version == version,
                At::Time(instant) => former.record.written_at <= instant,
                _ => false,
            })
            .map(|former| former.record))
    }

    /// A page of records.
    ///
    /// # Errors
    /// `InvalidInput` for a cursor that no page of this order returned.
    pub async fn list(&self, scope: &Scope, request: ListRequest) -> Result<ListPage> {
        request.validate()?;
        join_session(scope, request.session_id.clone())?;
        self.flush_accesses(scope.tenant()).await?;
        let mut after = request.cursor.as_deref().map(|cursor| read_cursor(cursor, &request)).transpose()?;
        let mut page = ListPage::default();
        loop {
            // One more than asked for tells whether there is another page.
            let wanted = request.limit + 1;
            let rows = self.store.list(scope, &request, after.as_ref(), wanted).await?;
            let last = rows.len() < wanted;
            for record in rows {
                if page.items.len() == request.limit {
                    page.next_cursor = page.items.last().map(|record| cursor(&PageKey::of(record, &request)));
                    return Ok(page);
                }
                after = Some(PageKey::of(&record, &request));
                if request.filter.as_ref().is_none_or(|filter| filter.matches(&record.metadata)) {
                    page.items.push(record);
                }
            }
            if last {
                return Ok(page);
            }
        }
    }
}

/// A page key as it travels: compact JSON in hexadecimal, opaque to callers.
#[derive(Serialize, Deserialize)]
struct Cursor(OrderBy, cml_core::ops::ListOrder, f64, String, cml_core::MemoryId);

fn cursor(key: &PageKey) -> String {
    let cursor = Cursor(key.order_by, key.order, key.number, key.text.clone(), key.id);
    hex(&serde_json::to_vec(&cursor).unwrap_or_default())
}

fn read_cursor(text: &str, request: &ListRequest) -> Result<PageKey> {
    let bad = || Error::invalid("cursor", "must be the `next_cursor` of a page in the same order");
    let byte = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
    let cursor: Option<Cursor> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Cursor(order_by, order, number, text, id) = cursor.ok_or_else(bad)?;
    if order_by != request.order_by || order != request.order {
        return Err(bad());
    }
    Ok(PageKey { order_by, order, number, text, id })
}
