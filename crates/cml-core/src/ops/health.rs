//! Whether a backend and its parts work.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{string_enum, time};

string_enum! {
    /// How a component does.
    pub enum ComponentStatus("status") {
        /// It works.
        Ok = "ok",
        /// It works with losses, or is away and can be done without.
        Degraded = "degraded",
        /// It does not work.
        Error = "error",
        /// It was not asked.
        Unknown = "unknown",
    }
}

/// A part of a backend: database, embedder, graph ...
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Component {
    /// Its name.
    pub name: String,
    /// How it does.
    pub status: ComponentStatus,
    /// Time of a small request to it, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// Version, model, counts.
    #[serde(default)]
    pub details: serde_json::Map<String, serde_json::Value>,
    /// What is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Whether a backend works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Health {
    /// `healthy`, `degraded` (it works without some of its parts) or `unhealthy`.
    pub status: String,
    /// When it was asked.
    #[serde(deserialize_with = "time::required")]
    pub timestamp: DateTime<Utc>,
    /// Version of the backend.
    #[serde(default)]
    pub version: String,
    /// What kind of backend it is.
    #[serde(default)]
    pub backend: String,
    /// Its mode: `lite`, `standard`, `full`, `http`.
    #[serde(default)]
    pub mode: String,
    /// Its parts. In JSON an object by name, as the published SDK reads it; a list is read as well.
    #[serde(default, with = "by_name")]
    #[cfg_attr(feature = "schema", schemars(with = "std::collections::BTreeMap<String, Component>"))]
    pub components: Vec<Component>,
}

impl Health {
    /// What [`status`](Self::status) says of a backend with these parts: `unhealthy` where one does not
    /// work, `degraded` where one works with losses or can be done without.
    #[must_use]
    pub fn status_of(components: &[Component]) -> &'static str {
        let any = |status| components.iter().any(|component| component.status == status);
        match (any(ComponentStatus::Error), any(ComponentStatus::Degraded)) {
            (true, _) => "unhealthy",
            (false, true) => "degraded",
            (false, false) => "healthy",
        }
    }

    /// Whether every component works without loss.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.status == "healthy"
    }

    /// Whether reads and writes work, though perhaps with losses.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.is_healthy() || self.status == "degraded"
    }
}

mod by_name {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::Component;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Shape {
        Named(BTreeMap<String, Component>),
        Listed(Vec<Component>),
    }

    pub(super) fn serialize<S: Serializer>(
        components: &[Component],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(components.iter().map(|component| (&component.name, component)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Component>, D::Error> {
        Ok(match Shape::deserialize(deserializer)? {
            Shape::Named(components) => components.into_values().collect(),
            Shape::Listed(components) => components,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_part_decides() {
        use ComponentStatus::{Degraded, Error, Ok, Unknown};
        for (statuses, expected) in [
            (&[][..], "healthy"),
            (&[Ok, Unknown], "healthy"),
            (&[Ok, Degraded], "degraded"),
            (&[Error, Degraded, Ok], "unhealthy"),
        ] {
            let component = |status: &ComponentStatus| Component {
                name: "Store".to_owned(),
                status: *status,
                latency_ms: None,
                details: serde_json::Map::new(),
                error: None,
            };
            let components: Vec<_> = statuses.iter().map(component).collect();
            assert_eq!(Health::status_of(&components), expected);
        }
    }
}
