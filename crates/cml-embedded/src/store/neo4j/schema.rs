//! Names in the database: labels, types, constraint and index.

use cml_core::Scope;
use neo4rs::Query;

/// Stands between the parts of a key; ids hold no control characters.
const SEPARATOR: char = '\u{1f}';

/// The character after [`SEPARATOR`]: keys of a kind lie between the two.
const AFTER_SEPARATOR: char = '\u{20}';

/// Idempotent. Nodes that no composite index holds (those without a name) are found by key.
const SCHEMA: [&str; 2] = [
    "CREATE CONSTRAINT Cml_node_key IF NOT EXISTS FOR (n:CmlNode) REQUIRE n.key IS UNIQUE",
    "CREATE INDEX Cml_node_name IF NOT EXISTS FOR (n:CmlNode) ON (n.kind, n.tenant, n.name_lower)",
];

/// Makes statements out of Cypher texts, which are written with the default prefix.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The statements that make what the rest relies on.
    pub(super) fn schema(&self) -> impl Iterator<Item = Query> {
        SCHEMA.map(|text| self.query(text)).into_iter()
    }

    /// A statement. In `text`, `Cml` and `CML_` stand for the prefix, and `seen(x)` for the condition that
    /// the scope sees node `x`, which needs the parameters of [`scoped`](Self::scoped).
    pub(super) fn query(&self, text: &str) -> Query {
        let upper = format!("{}_", self.prefix.to_uppercase());
        let mut parts = text.split("seen(");
        let mut full = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (node, rest) = part.split_once(')').unwrap_or((part, ""));
            full.push_str(&SEEN.replace("x.", &format!("{node}.")));
            full.push_str(rest);
        }
        Query::new(full.replace("CML_", &upper).replace("Cml", &self.prefix))
    }

    /// A statement about what a scope sees; of every tenant without one.
    pub(super) fn scoped(&self, text: &str, scope: Option<&Scope>) -> Query {
        let part = |part: fn(&Scope) -> &str| scope.map_or("", part).to_owned();
        let query =
            self.query(text).param("namespace", part(Scope::namespace)).param("user", part(Scope::user));
        match scope {
            Some(scope) => query.param("tenant", scope.tenant()),
            None => query,
        }
    }
}

/// [`Scope::sees`] without the session. A node is reached from one of its tenant, so that is not asked.
const SEEN: &str = "(x.pending IS NULL AND ($namespace = '' OR x.namespace = $namespace) \
                    AND ($user = '' OR x.user = '' OR x.user = $user))";

/// The key of a node.
pub(super) fn key(tenant: &str, kind: &str, id: impl std::fmt::Display) -> String {
    format!("{tenant}{SEPARATOR}{kind}{SEPARATOR}{id}")
}

/// Every key of a kind is larger than the first and smaller than the second.
pub(super) fn bounds(tenant: &str, kind: &str) -> (String, String) {
    (key(tenant, kind, ""), format!("{tenant}{SEPARATOR}{kind}{AFTER_SEPARATOR}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_takes_the_place_of_ours() {
        let names = Names::new("Acme");
        assert_eq!(
            names.query("MATCH (n:CmlNode)-[:CML_EDGE]->(m) RETURN n").query(),
            "MATCH (n:AcmeNode)-[:ACME_EDGE]->(m) RETURN n"
        );
        assert!(names.query("WHERE seen(n) AND seen(m)").query().contains("m.user = $user"));
    }

    #[test]
    fn keys_of_a_kind_lie_between_its_bounds_and_no_others() {
        let (from, to) = bounds("acme", "session");
        for id in ["!", "a", "\u{10ffff}"] {
            let inside = key("acme", "session", id);
            assert!(from < inside && inside < to);
        }
        for (tenant, kind) in [("acme", "record"), ("acme ", "session"), ("acm", "session")] {
            let outside = key(tenant, kind, "a");
            assert!(outside < from || outside > to);
        }
    }
}
