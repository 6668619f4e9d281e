//! Export and import as streams of lines.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use cml_core::{
    BoxStream, Error, Result, Scope, Transfer,
    ops::{ExportLine, ExportOptions, ImportReport},
    portable,
    scope::ScopeParts,
    wire::{ExportQuery, path},
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use reqwest::Body;

use crate::{
    HttpBackend,
    backend::{scoped, verb},
    call::Call,
    original::Original,
};

/// What the type of an export holds.
const MEDIA_TYPE: &str = "ndjson";

#[async_trait]
impl Transfer for HttpBackend {
    async fn export(
        &self,
        scope: &Scope,
        options: ExportOptions,
    ) -> Result<BoxStream<'static, Result<ExportLine>>> {
        let lines = verb!(scope, "export", {
            let open = self.open_admin(scope).await?;
            if open.seen.original {
                return Original::new(open.client).export(scope, options).await;
            }
            let query = scoped(scope, ExportQuery { vectors: (!options.vectors).then_some(false) });
            let call = Call::get(path::EXPORT).query(&query).admin().of(scope);
            let chunks = open.client.stream(&call, MEDIA_TYPE).await?;
            Ok(portable::decode(chunks.map_ok(Vec::from).boxed()))
        })?;
        Ok(lines.map_err(|error| error.with_operation("export")).boxed())
    }

    async fn import(
        &self,
        scope: &Scope,
        lines: BoxStream<'static, Result<ExportLine>>,
    ) -> Result<ImportReport> {
        verb!(scope, "import", {
            if self.open_unscoped().await?.seen.original {
                // Its writes are no administrative calls.
                let open = self.open(scope).await?;
                return Original::new(open.client).import(scope, lines).await;
            }
            let open = self.open_admin(scope).await?;
            let call = Call::upload(path::IMPORT).query(&ScopeParts::from(scope)).admin().of(scope);
            let broken = Arc::new(Mutex::new(None));
            let body = body(lines, Arc::clone(&broken));
            let outcome = open.client.upload(call, body).await;
            let broken = broken.lock().unwrap_or_else(PoisonError::into_inner).take();
            broken.map_or(outcome, Err)
        })
    }
}

/// The lines as a body. An error of theirs is put into `broken` and breaks the body off before its
/// trailer, so that the server sees that it is not whole.
fn body(lines: BoxStream<'static, Result<ExportLine>>, broken: Arc<Mutex<Option<Error>>>) -> Body {
    let chunks = portable::encode(lines).map_err(move |error| {
        *broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        std::io::Error::other("the source of the import failed")
    });
    Body::wrap_stream(chunks)
}
