//! What a route says of itself.

use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Makes the schema of a type, or a reference to it.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The documentation of a route, which also decides what a request needs to pass.
#[derive(Debug, Clone)]
pub(crate) struct Doc {
    pub(crate) summary: &'static str,
    pub(crate) tag: &'static str,
    pub(crate) queries: Vec<SchemaOf>,
    pub(crate) body: Option<Content>,
    pub(crate) answer: Option<Content>,
    pub(crate) admin: bool,
    pub(crate) open: bool,
    pub(crate) unbounded: bool,
}

/// A body: its type, and its schema where it is JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content {
    pub(crate) content_type: &'static str,
    pub(crate) schema: Option<SchemaOf>,
}

impl Doc {
    /// A route that needs a key.
    pub(crate) fn new(summary: &'static str) -> Self {
        Self {
            summary,
            tag: "memory",
            queries: Vec::new(),
            body: None,
            answer: None,
            admin: false,
            open: false,
            unbounded: false,
        }
    }

    /// The section of the documentation.
    pub(crate) fn tag(mut self, tag: &'static str) -> Self {
        self.tag = tag;
        self
    }

    /// Reads the fields of `Q` from the query; may be said several times.
    pub(crate) fn query<Q: JsonSchema>(mut self) -> Self {
        self.queries.push(Q::json_schema);
        self
    }

    /// Reads a JSON body.
    pub(crate) fn body<B: JsonSchema>(mut self) -> Self {
        self.body = Some(json::<B>());
        self
    }

    /// Reads a body of another type, of any length.
    pub(crate) fn body_stream(mut self, content_type: &'static str) -> Self {
        self.body = Some(Content { content_type, schema: None });
        self.unbounded()
    }

    /// Answers with JSON.
    pub(crate) fn answer<T: JsonSchema>(mut self) -> Self {
        self.answer = Some(json::<T>());
        self
    }

    /// Answers with a body of another type, at once or as a stream.
    pub(crate) fn text(mut self, content_type: &'static str) -> Self {
        self.answer = Some(Content { content_type, schema: None });
        self
    }

    /// Works for as long as it takes: cutting the answer would not end the work.
    pub(crate) fn unbounded(mut self) -> Self {
        self.unbounded = true;
        self
    }

    /// Needs an administrative key.
    pub(crate) fn admin(mut self) -> Self {
        self.admin = true;
        self
    }

    /// Needs no key, and nothing limits it.
    pub(crate) fn open(mut self) -> Self {
        self.open = true;
        self
    }
}

fn json<T: JsonSchema>() -> Content {
    Content { content_type: "application/json", schema: Some(|generator| generator.subschema_for::<T>()) }
}
