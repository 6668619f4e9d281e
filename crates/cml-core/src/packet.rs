//! Rendering of recalled memories for a prompt, within a token budget.

use chrono::{DateTime, Duration, Utc};

use crate::{
    memory::{MemoryItem, MemoryType},
    provider::TokenCounter,
};

/// The groups of a packet, in the order in which they are rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Group {
    /// What applies whatever is asked.
    Constraints,
    /// What holds.
    Facts,
    /// What somebody likes.
    Preferences,
    /// What happened, and everything else.
    Episodes,
}

impl Group {
    /// Every group, in the order in which they are rendered.
    pub const ALL: [Self; 4] = [Self::Constraints, Self::Facts, Self::Preferences, Self::Episodes];

    /// The group of a memory type.
    #[must_use]
    pub const fn of(memory_type: MemoryType) -> Self {
        match memory_type {
            MemoryType::Constraint => Self::Constraints,
            MemoryType::SemanticFact | MemoryType::Knowledge | MemoryType::Procedure => Self::Facts,
            MemoryType::Preference => Self::Preferences,
            _ => Self::Episodes,
        }
    }

    /// Its heading.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Constraints => "## Constraints",
            Self::Facts => "## Facts",
            Self::Preferences => "## Preferences",
            Self::Episodes => "## Episodes",
        }
    }
}

/// A rendered context.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendered {
    /// The text; empty when no item fits.
    pub text: String,
    /// Its tokens, at most the budget.
    pub tokens: usize,
    /// Positions of the items that fit, rising.
    pub included: Vec<usize>,
}

/// Renders `items` (best first) in at most `budget` tokens.
///
/// Constraints are admitted first, then the others in their order; an item that does not fit is
/// left out whole and smaller ones after it may still come in. Each item is one line: when it was
/// said, when it happened where the text names a date, who said it, the text. Groups without an
/// item have no heading.
#[must_use]
pub fn render(items: &[(Group, &MemoryItem)], budget: usize, counter: &dyn TokenCounter) -> Rendered {
    let lines: Vec<String> = items.iter().map(|(_, item)| line(item)).collect();
    let mut admission: Vec<usize> = (0..items.len()).collect();
    admission.sort_by_key(|&position| (items[position].0 != Group::Constraints, position));

    let mut included = Vec::new();
    let mut used = 0;
    for position in admission {
        let group = items[position].0;
        let opens_group = !included.iter().any(|&other: &usize| items[other].0 == group);
        // A heading is preceded by an empty line, every line ends in a break.
        let heading = if opens_group { counter.count(&format!("\n{}\n", group.heading())) } else { 0 };
        let cost = heading + counter.count(&format!("{}\n", lines[position]));
        if used + cost <= budget {
            used += cost;
            included.push(position);
        }
    }
    loop {
        included.sort_unstable();
        let text = lay_out(items, &lines, &included);
        let tokens = counter.count(&text);
        if tokens <= budget || included.is_empty() {
            return Rendered { tokens, text, included };
        }
        included.pop();
    }
}

fn lay_out(items: &[(Group, &MemoryItem)], lines: &[String], included: &[usize]) -> String {
    let mut sections = Vec::new();
    for group in Group::ALL {
        let mut section: Vec<&str> = included
            .iter()
            .filter(|&&position| items[position].0 == group)
            .map(|&position| lines[position].as_str())
            .collect();
        if !section.is_empty() {
            section.insert(0, group.heading());
            sections.push(section.join("\n"));
        }
    }
    sections.join("\n\n")
}

/// One item as a line: `- [2026-05-07, about 2026-05-06] Ana: text`.
#[must_use]
pub fn line(item: &MemoryItem) -> String {
    let said = item.timestamp.date_naive();
    let about = item.event_start.map(|start| format!(", about {}", days(start, item.event_end)));
    let speaker = item.speaker.as_ref().map(|speaker| format!("{speaker}: "));
    let text = item.text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("- [{said}{}] {}{text}", about.unwrap_or_default(), speaker.unwrap_or_default())
}

/// The days of a half-open interval: one ISO date, or two joined by "to".
fn days(start: DateTime<Utc>, end: Option<DateTime<Utc>>) -> String {
    let first = start.date_naive();
    let last = end.map_or(first, |end| (end - Duration::microseconds(1)).date_naive());
    if last > first { format!("{first} to {last}") } else { first.to_string() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::provider::ByteTokenCounter;

    fn item(memory_type: &str, text: &str) -> MemoryItem {
        serde_json::from_value(json!({
            "id": "0198c0de-0000-7000-8000-000000000001", "text": text, "type": memory_type,
            "confidence": 1.0, "relevance": 0.5, "timestamp": "2026-05-07T10:00:00Z",
            "event_start": "2026-05-06T00:00:00Z", "event_end": "2026-05-07T00:00:00Z"
        }))
        .expect("a valid item")
    }

    #[test]
    fn constraints_come_first_and_empty_groups_have_no_heading() {
        let (walk, allergy) =
            (item("episodic_event", "We\nwalked."), item("constraint", "Allergic to nuts."));
        let items = [(Group::Episodes, &walk), (Group::Constraints, &allergy)];
        assert_eq!(
            render(&items, 100, &ByteTokenCounter).text,
            "## Constraints\n- [2026-05-07, about 2026-05-06] Allergic to nuts.\n\n\
             ## Episodes\n- [2026-05-07, about 2026-05-06] We walked."
        );
    }

    #[test]
    fn the_text_never_exceeds_any_budget() {
        let texts: Vec<MemoryItem> = (1..40)
            .map(|n| item(if n % 3 == 0 { "constraint" } else { "preference" }, &"word ".repeat(n)))
            .collect();
        let items: Vec<_> = texts.iter().map(|item| (Group::of(item.memory_type), item)).collect();
        for budget in 0..400 {
            let rendered = render(&items, budget, &ByteTokenCounter);
            assert!(ByteTokenCounter.count(&rendered.text) <= budget, "budget {budget}");
            assert_eq!(rendered.text.is_empty(), rendered.included.is_empty());
        }
    }
}
