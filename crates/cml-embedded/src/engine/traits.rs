//! What a new memory is worth by its type and source: strength, decay, confidence.

use cml_core::{
    DecayRate, Score,
    memory::{MemorySource, MemoryType, Role},
};

/// Loss of strength per day by type, as the time after which half is left. What tells how to act
/// (constraints, preferences, procedures) outlasts what happened, which outlasts working notes.
pub const DECAY_RATES: [(MemoryType, DecayRate); 15] = [
    (MemoryType::Constraint, DecayRate::half_life_days(730.0)),
    (MemoryType::Preference, DecayRate::half_life_days(365.0)),
    (MemoryType::Procedure, DecayRate::half_life_days(365.0)),
    (MemoryType::SemanticFact, DecayRate::half_life_days(365.0)),
    (MemoryType::Knowledge, DecayRate::half_life_days(365.0)),
    (MemoryType::Plan, DecayRate::half_life_days(90.0)),
    (MemoryType::EpisodicEvent, DecayRate::half_life_days(90.0)),
    (MemoryType::Observation, DecayRate::half_life_days(60.0)),
    (MemoryType::Conversation, DecayRate::half_life_days(60.0)),
    (MemoryType::Message, DecayRate::half_life_days(60.0)),
    (MemoryType::Hypothesis, DecayRate::half_life_days(30.0)),
    (MemoryType::TaskState, DecayRate::half_life_days(30.0)),
    (MemoryType::ToolResult, DecayRate::half_life_days(14.0)),
    (MemoryType::ReasoningStep, DecayRate::half_life_days(7.0)),
    (MemoryType::Scratch, DecayRate::half_life_days(3.0)),
];

/// Added to confidence when the same text is said again, at most up to 1.
pub(super) const REPETITION: f64 = 0.05;

/// Added to confidence by the feedback `correct`, at most up to 1.
pub(super) const CONFIRMATION: f64 = 0.2;

/// Loss of strength per day of a new memory of this type.
#[must_use]
pub fn decay_rate(memory_type: MemoryType) -> DecayRate {
    DECAY_RATES
        .iter()
        .find(|(other, _)| *other == memory_type)
        .map_or(DecayRate::half_life_days(90.0), |(_, rate)| *rate)
}

/// How much it matters to keep a new memory of this type.
pub(super) fn importance(memory_type: MemoryType) -> Score {
    Score::clamped(match memory_type {
        MemoryType::Constraint => 0.9,
        MemoryType::Preference | MemoryType::Procedure => 0.7,
        MemoryType::SemanticFact | MemoryType::Plan | MemoryType::Knowledge => 0.6,
        MemoryType::ToolResult | MemoryType::ReasoningStep | MemoryType::Scratch => 0.2,
        _ => 0.5,
    })
}

/// Where a memory comes from, by who said it.
pub(super) const fn source(role: Role) -> MemorySource {
    match role {
        Role::User => MemorySource::UserExplicit,
        Role::Tool => MemorySource::ToolResult,
        _ => MemorySource::AgentInferred,
    }
}

/// How sure we are of a new memory, by where it comes from.
pub(super) fn confidence(source: MemorySource) -> Score {
    Score::clamped(match source {
        MemorySource::UserConfirmed => 0.95,
        MemorySource::UserExplicit => 0.8,
        MemorySource::ToolResult => 0.7,
        _ => 0.6,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_its_own_row() {
        for memory_type in MemoryType::ALL {
            let rows = DECAY_RATES.iter().filter(|(other, _)| other == memory_type).count();
            assert_eq!(rows, 1, "{memory_type}");
        }
    }
}
