//! What an export takes out of a store, and what an import asks of it.

use cml_core::ops::ExportLine;

/// A kind of row of the portable format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowKind {
    /// A conversation.
    Session,
    /// A message of a session log.
    Message,
    /// A memory as it is now.
    Record,
    /// A former state of a memory.
    RecordVersion,
    /// A vector by the model that serves.
    Embedding,
    /// An entity of the knowledge graph.
    Entity,
    /// Where an entity is mentioned.
    Mention,
    /// A relation between entities.
    Edge,
    /// A fact or constraint.
    Fact,
    /// A former state of a fact.
    FactVersion,
    /// What a fact rests on.
    Evidence,
    /// What happened.
    Event,
}

impl RowKind {
    /// Every kind, in the order of the format.
    pub const ALL: [Self; 12] = [
        Self::Session,
        Self::Message,
        Self::Record,
        Self::RecordVersion,
        Self::Embedding,
        Self::Entity,
        Self::Mention,
        Self::Edge,
        Self::Fact,
        Self::FactVersion,
        Self::Evidence,
        Self::Event,
    ];

    /// The kind of a line; none for header, trailer and what this program does not know.
    #[must_use]
    pub const fn of(line: &ExportLine) -> Option<Self> {
        match line {
            ExportLine::Session(_) => Some(Self::Session),
            ExportLine::Message(_) => Some(Self::Message),
            ExportLine::Record(_) => Some(Self::Record),
            ExportLine::RecordVersion(_) => Some(Self::RecordVersion),
            ExportLine::Embedding(_) => Some(Self::Embedding),
            ExportLine::Entity(_) => Some(Self::Entity),
            ExportLine::Mention(_) => Some(Self::Mention),
            ExportLine::Edge(_) => Some(Self::Edge),
            ExportLine::Fact(_) => Some(Self::Fact),
            ExportLine::FactVersion(_) => Some(Self::FactVersion),
            ExportLine::Evidence { .. } => Some(Self::Evidence),
            ExportLine::Event(_) => Some(Self::Event),
            _ => None,
        }
    }

    /// The name of the kind in the portable format.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        // The header comes before the first kind.
        ExportLine::KINDS[self as usize + 1]
    }

    /// `count` rows of this kind in words.
    #[must_use]
    pub fn counted(self, count: u64) -> String {
        let (one, many) = match self {
            Self::Session => ("session", "sessions"),
            Self::Message => ("message", "messages"),
            Self::Record => ("record", "records"),
            Self::RecordVersion => ("former state of a record", "former states of records"),
            Self::Embedding => ("vector", "vectors"),
            Self::Entity => ("entity", "entities"),
            Self::Mention => ("mention", "mentions"),
            Self::Edge => ("edge", "edges"),
            Self::Fact => ("fact", "facts"),
            Self::FactVersion => ("former state of a fact", "former states of facts"),
            Self::Evidence => ("piece of evidence", "pieces of evidence"),
            Self::Event => ("event", "events"),
        };
        format!("{count} {}", if count == 1 { one } else { many })
    }
}

/// What a store knows of a row that comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Nothing. What the row hangs on is there, with the version of its record or 0.
    Absent(u64),
    /// It is there in this version; 0 where its kind has none.
    Stored(u64),
    /// It, or what it hangs on, was erased here.
    Erased,
    /// What it hangs on is not there, or the scope does not see it; or its id is that of a row outside
    /// the scope.
    OutOfReach,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_the_names_of_the_format_in_its_order() {
        let names: Vec<&str> = RowKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names, ExportLine::KINDS[1..ExportLine::KINDS.len() - 1]);
        assert_eq!(RowKind::Entity.as_str(), "entity");
        assert_eq!(RowKind::Entity.counted(2), "2 entities");
    }
}
