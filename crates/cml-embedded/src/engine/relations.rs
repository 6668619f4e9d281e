//! Relations between entities, read off facts.

use cml_core::memory::Fact;

use crate::{
    extract::{EntityKind, Mention},
    store::subject_name,
};

/// A name and what it stands for.
pub(super) type Named<'a> = (&'a str, EntityKind);

/// From whom to what a fact leads, where its value is a name in the text that states it, and its subject
/// is one as well, or the user, or whoever speaks.
pub(super) fn ends<'a>(
    fact: &'a Fact,
    speaker: &str,
    mentions: &'a [Mention],
) -> Option<(Named<'a>, Named<'a>)> {
    let mentioned = |name: &str| {
        let name = name.to_lowercase();
        mentions.iter().find(|mention| mention.name.to_lowercase() == name)
    };
    let value = mentioned(&fact.value)?;
    let subject = subject_name(&fact.user_id, &fact.subject);
    let kind = match mentioned(subject) {
        Some(mention) => mention.kind,
        None if fact.subject == "user" || fact.subject == speaker => EntityKind::Person,
        None => return None,
    };
    (subject.to_lowercase() != value.name.to_lowercase())
        .then_some(((subject, kind), (&value.name, value.kind)))
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use cml_core::{
        FactId, Score,
        memory::{FactCategory, FactStatus, MemorySource},
    };

    use super::*;
    use crate::extract::{Context, Extractor};

    fn fact(user: &str, subject: &str, predicate: &str, value: &str) -> Fact {
        Fact {
            id: FactId::new(),
            tenant_id: "acme".to_owned(),
            namespace: "default".to_owned(),
            user_id: user.to_owned(),
            agent_id: String::new(),
            session_id: String::new(),
            subject: subject.to_owned(),
            predicate: predicate.to_owned(),
            value: value.to_owned(),
            category: FactCategory::Attribute,
            slot: predicate.to_owned(),
            situations: Vec::new(),
            confidence: Score::ONE,
            source: MemorySource::UserExplicit,
            status: FactStatus::Current,
            valid_from: DateTime::<Utc>::UNIX_EPOCH,
            valid_to: None,
            recorded_at: DateTime::<Utc>::UNIX_EPOCH,
            version: 1,
            supersedes_id: None,
            superseded_by_id: None,
            evidence: Vec::new(),
        }
    }

    /// The relations of a text as `subject predicate value`.
    fn of(text: &str, user: &str, speaker: Option<&str>) -> Vec<String> {
        let context =
            Context { speaker: speaker.map(str::to_owned), ..Context::new(DateTime::<Utc>::UNIX_EPOCH) };
        let found = Extractor::default().analyse(text, &context);
        let facts =
            found.statements.iter().map(|said| fact(user, &said.subject, &said.predicate, &said.value));
        facts
            .filter_map(|fact| {
                let ((subject, _), (value, _)) = ends(&fact, speaker.unwrap_or_default(), &found.mentions)?;
                Some(format!("{subject} {} {value}", fact.predicate))
            })
            .collect()
    }

    #[test]
    fn a_fact_about_the_user_relates_the_user_to_what_it_names() {
        assert_eq!(of("I live in Berlin.", "", None), ["user lives_in Berlin"]);
        assert_eq!(of("I live in Berlin.", "u-1", None), ["u-1 lives_in Berlin"]);
        assert_eq!(of("I live in Berlin.", "", Some("Maria")), ["Maria lives_in Berlin"]);
    }

    #[test]
    fn a_fact_about_a_named_person_relates_both_names() {
        assert_eq!(of("Anna works at IBM.", "", None), ["Anna works_at IBM"]);
    }

    #[test]
    fn a_value_that_is_no_name_relates_nothing() {
        for text in ["My favourite colour is green.", "I am vegetarian.", "Do I live in Berlin?"] {
            assert_eq!(of(text, "", None), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn nobody_is_related_to_himself() {
        assert_eq!(of("My name is Maria.", "maria", None), Vec::<String>::new());
    }

    #[test]
    fn the_kinds_of_both_ends_are_those_of_the_text() {
        let found =
            Extractor::default().analyse("I live in Berlin.", &Context::new(DateTime::<Utc>::UNIX_EPOCH));
        let fact = fact("", "user", "lives_in", "Berlin");
        let kinds = ends(&fact, "", &found.mentions).map(|((_, subject), (_, value))| (subject, value));
        assert_eq!(kinds, Some((EntityKind::Person, EntityKind::Place)));
    }
}
