//! The routes: a handler and its documentation, registered together.

mod dashboard;
mod doc;
mod facts;
mod log;
mod memory;
mod session;
mod system;
mod transfer;

use axum::{
    Router,
    handler::Handler,
    http::Method,
    middleware::from_fn_with_state,
    routing::{MethodFilter, MethodRouter, on},
};
use cml_core::wire::API;
use tower_http::decompression::RequestDecompressionLayer;

pub(crate) use self::doc::{Content, Doc, SchemaOf};
use crate::{
    app::App,
    gate::{Access, gate},
};

/// Routes that [`Routes::router`] and the OpenAPI document are made of.
pub(crate) struct Routes {
    prefix: &'static str,
    entries: Vec<Entry>,
}

/// A route.
pub(crate) struct Entry {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) doc: Doc,
    handler: MethodRouter<App>,
}

/// Every route of the server.
pub(crate) fn all() -> Routes {
    Routes::new()
        .merge(memory::routes())
        .merge(session::routes())
        .merge(facts::routes())
        .merge(log::routes())
        .merge(transfer::routes())
        .merge(dashboard::routes())
        .merge(system::routes())
        .merge(system::root())
}

macro_rules! methods {
    ($($name:ident => $filter:ident),*) => {$(
        #[doc = concat!("Answers `", stringify!($filter), "` at `path`.")]
        #[allow(dead_code, reason = "the contract has no route of every method")]
        pub(crate) fn $name<H, T>(self, path: &str, handler: H, doc: Doc) -> Self
        where
            H: Handler<T, App>,
            T: 'static,
        {
            self.add(Method::$filter, path, on(MethodFilter::$filter, handler), doc)
        }
    )*};
}

impl Routes {
    /// No routes yet; their paths are below [`API`].
    pub(crate) fn new() -> Self {
        Self { prefix: API, entries: Vec::new() }
    }

    /// No routes yet; their paths are below the root.
    fn at_root() -> Self {
        Self { prefix: "", entries: Vec::new() }
    }

    methods!(get => GET, post => POST, put => PUT, patch => PATCH, delete => DELETE);

    /// The routes of both.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.entries.extend(other.entries);
        self
    }

    /// The routes, in the order of their registration.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The routes, each behind its gate.
    pub(crate) fn router(self, app: &App) -> Router<App> {
        self.entries.into_iter().fold(Router::new(), |router, entry| {
            let access = entry.access();
            // Nothing is unpacked for who is refused.
            let unpack = RequestDecompressionLayer::new().pass_through_unaccepted(true);
            let gate = from_fn_with_state((app.clone(), access), gate);
            let handler = entry.handler.route_layer(unpack).route_layer(gate);
            router.route(&entry.path, handler)
        })
    }

    fn add(mut self, method: Method, path: &str, handler: MethodRouter<App>, doc: Doc) -> Self {
        self.entries.push(Entry { method, path: format!("{}{path}", self.prefix), doc, handler });
        self
    }
}

impl Entry {
    /// Whether a change needs the header that only scripts of the same origin send.
    pub(crate) fn csrf(&self) -> bool {
        let below = self.path.strip_prefix(API).is_some_and(|path| path.starts_with("/dashboard/"));
        below && self.method != Method::GET
    }

    fn access(&self) -> Access {
        Access {
            open: self.doc.open,
            admin: self.doc.admin,
            csrf: self.csrf(),
            unbounded: self.doc.unbounded,
        }
    }
}
