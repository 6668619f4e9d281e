//! Runs the table of [`rules`] over the clauses of a text.

use std::{borrow::Cow, ops::Range, sync::LazyLock};

use cml_core::memory::{FactCategory, MemorySource, Role};
use regex::Regex;

use super::{
    Context, Patterns, Statement,
    clauses::{self, Clause, Subject},
    gate, pattern,
    rules::{self, ROWS, Row, who},
    situations,
    values::{self, Shape},
};

struct Table {
    rows: Patterns,
    /// Cheap test before the rows for whole sentences.
    causal: Regex,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| Table {
    rows: Patterns::new(ROWS.iter().map(source_of).collect()),
    causal: pattern(r"(?i)\b(?:if|when|whenever|time|anytime|me|my|because|from|unless|without|after)\b"),
});

/// The pattern of a row; it does not end inside a word ("prefer" in "prefers").
fn source_of(row: &Row) -> String {
    let end = if row.shape == Shape::Group { "" } else { r"(?-u:\b{start-half}|\b{end-half})" };
    format!("(?i)(?:{}){end}", rules::fill(row.pattern))
}

/// The statements that `text` makes, in the order of the text.
pub(super) fn find(text: &str, sentences: &[Range<usize>], context: &Context) -> Vec<Statement> {
    if context.role == Some(Role::Tool) {
        return Vec::new();
    }
    let mut statements: Vec<Statement> = Vec::new();
    let mut fenced = false;
    let mut last_sentence = 0;
    let spoken = sentences.iter().filter(|sentence| !gate::is_empty_talk(&text[(*sentence).clone()])).count();
    let mut context = context.clone();
    for sentence in sentences {
        let mut sentence = sentence.clone();
        if let Some((name, length)) = clauses::speaker(&text[sentence.clone()]) {
            // A transcript: what follows is said by that person.
            match name.to_lowercase().as_str() {
                "user" | "human" => context.role = Some(Role::User),
                "assistant" | "bot" | "agent" => context.role = Some(Role::Assistant),
                "system" => context.role = Some(Role::System),
                _ => context.speaker = Some(name.to_owned()),
            }
            sentence.start += length;
        }
        let sentence = &sentence;
        let context = &context;
        let body = &text[sentence.clone()];
        let fences = body.matches("```").count();
        let was_fenced = fenced;
        fenced ^= fences % 2 == 1;
        if was_fenced || fences > 0 || body.starts_with('>') {
            continue;
        }
        if clauses::takes_back(body) {
            statements.truncate(last_sentence);
            continue;
        }
        last_sentence = statements.len();
        let found = clauses::asserted(text, sentence);
        for clause in &found {
            let only = spoken == 1 && clause.opens && clause.closes;
            in_clause(text, clause, only, context, &mut statements);
        }
        in_sentence(text, sentence, spoken == 1, context, &mut statements);
    }
    dedup(&mut statements);
    // "I left Acme" may end two things, and is still one statement.
    let one_ending = statements.iter().all(|other| other.ended && other.span == statements[0].span);
    if statements.len() > 1 && !one_ending {
        for statement in &mut statements {
            statement.whole = false;
        }
    }
    statements
}

/// What the context lets a subject say.
fn source(subject: &Subject, context: &Context) -> Option<(MemorySource, f64)> {
    match (context.role, subject) {
        (Some(Role::Assistant), Subject::Named(_)) => Some((MemorySource::AgentInferred, 0.6)),
        (Some(Role::Assistant), _) => None,
        (Some(Role::System), Subject::First | Subject::We) => None,
        (_, Subject::We) => Some((MemorySource::UserExplicit, 0.85)),
        _ => Some((MemorySource::UserExplicit, 1.0)),
    }
}

fn bit(subject: &Subject) -> u8 {
    match subject {
        Subject::First => who::FIRST,
        Subject::We => who::WE,
        Subject::Implied => who::IMPLIED,
        Subject::Relation { .. } => who::RELATION,
        Subject::Named(_) => who::NAMED,
        Subject::Imperative => who::IMPERATIVE,
        Subject::Other => who::OTHER,
    }
}

fn speaker(context: &Context) -> &str {
    context.speaker.as_deref().map(str::trim).filter(|name| !name.is_empty()).unwrap_or("user")
}

fn in_clause(text: &str, clause: &Clause, only: bool, context: &Context, statements: &mut Vec<Statement>) {
    let Some((source, trust)) = source(&clause.subject, context) else { return };
    let me = speaker(context);
    let (subject, one_of_many) = match &clause.subject {
        Subject::Named(name) => (name.clone(), false),
        Subject::Relation { name: Some(name), path, .. } if super::words::is_one_of_many(path) => {
            statements.push(kinship(name, path, me, clause, source, trust));
            (name.clone(), false)
        }
        Subject::Relation { path, name, one_of_many } => {
            let subject = format!("{me}/{path}");
            if let Some(name) = name {
                statements.push(name_of(&subject, name, text, clause, source, trust));
            }
            (subject, *one_of_many)
        }
        _ => (me.to_owned(), false),
    };
    let bit = bit(&clause.subject);
    let predicate = &text[clause.predicate.clone()];
    let whole_clause = &text[clause.span.clone()];
    let mut indexes: Vec<usize> =
        TABLE.rows.matching(predicate).into_iter().filter(|&index| !ROWS[index].on_clause).collect();
    if matches!(
        clause.subject,
        Subject::Other | Subject::Named(_) | Subject::First | Subject::Relation { .. }
    ) {
        indexes.extend(TABLE.rows.matching(whole_clause).into_iter().filter(|&index| ROWS[index].on_clause));
    }
    for index in indexes {
        let row = &ROWS[index];
        if row.who & bit == 0 || row.who == who::SENTENCE {
            continue;
        }
        let range = if row.on_clause { clause.span.clone() } else { clause.predicate.clone() };
        // What a row says of the clause as a whole, it says of the speaker.
        let subject = if row.on_clause { me } else { &subject };
        for mut statement in apply(text, row, index, range, &clause.span, only) {
            if let Subject::Relation { .. } = clause.subject
                && statement.subject.is_empty()
            {
                statement.single_valued &= !one_of_many;
            }
            statement.subject = if statement.subject.is_empty() {
                subject.to_owned()
            } else {
                format!("{subject}/{}", statement.subject)
            };
            statement.source = source;
            statement.confidence *= trust;
            statements.push(statement);
        }
    }
}

/// Rows about the sentence as a whole, such as "if I drink coffee late, I can't sleep".
fn in_sentence(
    text: &str,
    sentence: &Range<usize>,
    single: bool,
    context: &Context,
    statements: &mut Vec<Statement>,
) {
    let body = &text[sentence.clone()];
    let Some((source, trust)) = source(&Subject::First, context) else { return };
    if clauses::is_question(body) || !TABLE.causal.is_match(body) || clauses::is_unserious(body) {
        return;
    }
    let start = sentence.start + clauses::skip_lead(body);
    for index in TABLE.rows.matching(&text[start..sentence.end]) {
        let row = &ROWS[index];
        if row.who != who::SENTENCE {
            continue;
        }
        let range = start..sentence.end;
        if let Some(mut statement) = apply(text, row, index, range.clone(), &range, single).pop() {
            statement.subject = speaker(context).to_owned();
            statement.source = source;
            statement.confidence *= trust;
            statements.push(statement);
            return;
        }
    }
}

/// The statements of one row on `range`; their subject is empty, or the relation they are about.
fn apply(
    text: &str,
    row: &Row,
    index: usize,
    range: Range<usize>,
    clause: &Range<usize>,
    only: bool,
) -> Vec<Statement> {
    let body = &text[range.clone()];
    let grouped = row.shape == Shape::Group || row.pattern.contains("(?P<");
    let (hit, group, favourite, relation) = if grouped {
        let Some(found) = TABLE.rows.row(index).captures(body) else { return Vec::new() };
        let Some(hit) = found.get(0).map(|hit| hit.range()) else { return Vec::new() };
        let text_of = |name: &str| found.name(name).map(|group| group.as_str().to_owned());
        (hit, found.name("v").map(|group| group.range()), text_of("x"), text_of("rel"))
    } else {
        let Some(hit) = TABLE.rows.row(index).find(body) else { return Vec::new() };
        (hit.range(), None, None, None)
    };
    let rest = range.start + hit.end..range.end;
    let values = match row.shape {
        Shape::Group => group
            .into_iter()
            .map(|group| trimmed(text, range.start + group.start..range.start + group.end))
            .collect(),
        Shape::Clause => vec![trimmed(text, clause.clone())],
        shape => values::find(text, rest.clone(), shape),
    };
    let last = values.last().map_or(rest.start, |value| value.end.max(rest.start));
    let count = values.len();
    let tail_adds_nothing = values::is_filler(&text[last.min(clause.end)..clause.end]);
    let mut statements = Vec::new();
    for value in values {
        let kept = &text[value.clone()];
        if kept.is_empty() || (row.alone && !tail_adds_nothing) || !(row.check)(&body[hit.clone()], kept) {
            continue;
        }
        let favourite = favourite.as_deref().map(situations::favourite_key);
        let predicate = favourite
            .as_ref()
            .map_or_else(|| row.predicate.to_owned(), |key| format!("favourite_{}", key.replace(' ', "_")));
        let slot =
            favourite.map(|key| Cow::Owned(format!("favourite:{key}"))).or(row.slot.map(Cow::Borrowed));
        let mut bears_on = Vec::new();
        if row.category.is_constraint() || !row.situations.is_empty() {
            bears_on = row.situations.to_vec();
            for situation in situations::of(&text[clause.clone()]) {
                if !bears_on.contains(&situation) {
                    bears_on.push(situation);
                }
            }
        }
        statements.push(Statement {
            subject: relation
                .clone()
                .map(|word| super::words::relation(&word).map_or(word, str::to_owned))
                .unwrap_or_default(),
            predicate,
            value: kept.to_owned(),
            value_key: values::key(kept),
            category: row.category,
            single_valued: slot.is_some() && !row.many,
            slot,
            situations: bears_on,
            confidence: row.confidence,
            source: MemorySource::UserExplicit,
            span: clause.clone(),
            whole: only && count == 1 && tail_adds_nothing,
            ended: row.ended,
        });
    }
    statements
}

fn trimmed(text: &str, range: Range<usize>) -> Range<usize> {
    let body = &text[range.clone()];
    let left = body.len() - body.trim_start().len();
    let right =
        body.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '.' | '!' | ',' | ';' | ':')).len();
    range.start + left..range.start + right.max(left)
}

/// "my sister Anna": the relation's name.
fn name_of(
    subject: &str,
    name: &str,
    text: &str,
    clause: &Clause,
    source: MemorySource,
    trust: f64,
) -> Statement {
    let start = text[clause.span.clone()].find(name).map_or(clause.span.start, |at| clause.span.start + at);
    Statement {
        subject: subject.to_owned(),
        predicate: "name".to_owned(),
        value: name.to_owned(),
        value_key: values::key(name),
        category: FactCategory::Identity,
        slot: Some(Cow::Borrowed("name")),
        single_valued: true,
        situations: Vec::new(),
        confidence: 0.9 * trust,
        source,
        span: clause.span.start..(start + name.len()).min(clause.span.end),
        whole: false,
        ended: false,
    }
}

/// "my friend Anna": what Anna is to the speaker.
fn kinship(
    name: &str,
    relation: &str,
    me: &str,
    clause: &Clause,
    source: MemorySource,
    trust: f64,
) -> Statement {
    Statement {
        subject: me.to_owned(),
        predicate: relation.replace(' ', "_"),
        value: name.to_owned(),
        value_key: values::key(name),
        category: FactCategory::Relationship,
        slot: None,
        single_valued: false,
        situations: Vec::new(),
        confidence: 0.9 * trust,
        source,
        span: clause.span.clone(),
        whole: false,
        ended: false,
    }
}

/// Keeps one statement of those that say the same, the surest first, in the order of the text.
fn dedup(statements: &mut Vec<Statement>) {
    let mut kept: Vec<Statement> = Vec::new();
    for statement in statements.drain(..) {
        let same = |other: &Statement| {
            other.subject == statement.subject
                && other.predicate == statement.predicate
                && other.ended == statement.ended
                && (other.value_key == statement.value_key
                    || (other.span == statement.span
                        && other.slot == statement.slot
                        && statement.single_valued))
        };
        match kept.iter().position(same) {
            Some(at) if kept[at].confidence < statement.confidence => kept[at] = statement,
            Some(_) => {}
            None => kept.push(statement),
        }
    }
    kept.sort_by_key(|statement| statement.span.start);
    *statements = kept;
}

#[cfg(test)]
mod tests {
    use super::super::same;
    use chrono::DateTime;

    use super::*;

    fn analyse(text: &str, context: &Context) -> Vec<Statement> {
        find(text, &super::super::sentences(text), context)
    }

    fn context() -> Context {
        Context::new(DateTime::UNIX_EPOCH)
    }

    /// Statements as `subject predicate value`, ended ones with a `-` in front.
    fn of(text: &str) -> Vec<String> {
        analyse(text, &context())
            .into_iter()
            .map(|s| format!("{}{} {} {}", if s.ended { "-" } else { "" }, s.subject, s.predicate, s.value))
            .collect()
    }

    #[test]
    fn facts_are_read_from_plain_statements() {
        let mut wrong = Vec::new();
        for (text, expected) in [
            ("I live in Berlin.", &["user lives_in Berlin"][..]),
            ("I live in Berlin now", &["user lives_in Berlin"]),
            ("I live in Berlin with my two cats.", &["user lives_in Berlin"]),
            ("i live in berlin now", &["user lives_in berlin"]),
            ("I moved to Berlin last month.", &["user lives_in Berlin"]),
            ("Last month I moved from Lisbon to Berlin.", &["user lives_in Berlin"]),
            ("I've relocated to New York City", &["user lives_in New York City"]),
            ("I'm now based in the Netherlands.", &["user lives_in the Netherlands"]),
            ("We moved to Porto, Portugal.", &["user lives_in Porto, Portugal"]),
            ("I've been living in Oslo for two years", &["user lives_in Oslo"]),
            ("Location: Graz", &["user lives_in Graz"]),
            ("My name is Anna Schmidt.", &["user name Anna Schmidt"]),
            ("my name's anna", &["user name anna"]),
            ("Hi, I'm Anna!", &["user name Anna"]),
            ("Please call me Bob.", &["user called Bob"]),
            ("You can call me Bob", &["user called Bob"]),
            ("I'm Anna and I live in Rome", &["user name Anna", "user lives_in Rome"]),
            ("I work at Acme.", &["user works_at Acme"]),
            ("I work for a small bakery", &["user works_at a small bakery"]),
            ("I just started at Acme as a designer", &["user works_at Acme", "user works_as designer"]),
            ("I'm a nurse.", &["user works_as nurse"]),
            (
                "I'm a senior software engineer at Acme",
                &["user works_at Acme", "user works_as senior software engineer"],
            ),
            ("I work as a freelance translator", &["user works_as freelance translator"]),
            ("I live in Rome and work at Acme", &["user lives_in Rome", "user works_at Acme"]),
            ("I left Acme last week", &["-user lives_in Acme", "-user works_at Acme"]),
            ("I no longer work at Acme", &["-user works_at Acme"]),
            ("I don't work at Acme anymore.", &["-user works_at Acme"]),
            ("I moved away from Lisbon", &["-user lives_in Lisbon"]),
            ("I'm no longer vegan", &["-user diet vegan"]),
            ("I'm vegetarian", &["user diet vegetarian"]),
            ("is vegetarian", &["user diet vegetarian"]),
            ("I went vegan last year", &["user diet vegan"]),
            ("I am 34 years old", &["user age 34"]),
            ("I'm 34.", &["user age 34"]),
            ("I just turned 30!", &["user age 30"]),
            ("I'm married", &["user relationship_status married"]),
            ("I got engaged last week", &["user relationship_status engaged"]),
            ("My birthday is on May 7", &["user birthday May 7"]),
            ("I'm from Ohio", &["user from Ohio"]),
            ("I'm German", &["user nationality German"]),
            ("My favourite colour is blue.", &["user favourite_colour blue"]),
            ("my favorite color is green now", &["user favourite_colour green"]),
            ("Blue is my favorite color", &["user favourite_colour Blue"]),
            ("My sister lives in Rome", &["user/sister lives_in Rome"]),
            ("My manager is Karen", &["user/manager name Karen"]),
            ("Turns out I'm lactose intolerant.", &["user intolerant_to lactose"]),
            ("My favourite book is \"Emma\" by Austen", &["user favourite_book Emma"]),
            ("I have a cat allergy", &["user allergic_to cat"]),
            ("My mum works at IBM", &["user/mother works_at IBM"]),
            ("My sister's name is Anna", &["user/sister name Anna"]),
            ("Anna works at IBM", &["Anna works_at IBM"]),
            ("My friend Tom lives in Oslo", &["user friend Tom", "Tom lives_in Oslo"]),
            ("I have a dog named Rex", &["user/dog name Rex", "user has I have a dog named Rex"]),
            ("prefers dark mode", &["user prefers dark mode"]),
            ("User prefers dark mode.", &["user prefers dark mode"]),
            ("uses VS Code", &["user uses VS Code"]),
            ("I like jazz and hiking", &["user likes jazz", "user likes hiking"]),
            ("I hate cilantro", &["user dislikes cilantro"]),
            ("I speak German and French", &["user speaks German", "user speaks French"]),
            ("I live in the US", &["user lives_in the US"]),
            ("My name is Dr. Jane O'Neil.", &["user name Dr. Jane O'Neil"]),
            ("I work remotely for Globex", &["user works_at Globex"]),
            ("By the way, I live in Rome", &["user lives_in Rome"]),
            ("I'm allergic to nuts, what can I eat?", &["user allergic_to nuts"]),
        ] {
            same(&mut wrong, text, of(text), expected);
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn constraints_are_read_with_their_situations() {
        let mut wrong = Vec::new();
        for (text, expected, category, situation) in [
            (
                "I'm allergic to shellfish and peanuts",
                "user allergic_to shellfish",
                FactCategory::State,
                "restaurant",
            ),
            ("allergic to nuts", "user allergic_to nuts", FactCategory::State, "food"),
            ("I have a severe peanut allergy", "user allergic_to peanut", FactCategory::State, "cooking"),
            ("I'm lactose intolerant.", "user intolerant_to lactose", FactCategory::State, "food"),
            ("I can't eat gluten", "user avoids gluten", FactCategory::State, "restaurant"),
            ("I don't drink alcohol", "user avoids alcohol", FactCategory::State, "drink"),
            ("I'm pregnant", "user condition pregnant", FactCategory::State, "health"),
            ("I broke my left leg", "user condition left leg", FactCategory::State, "exercise"),
            ("I'm on a tight budget", "user budget a tight budget", FactCategory::State, "money"),
            ("My budget is $500", "user budget $500", FactCategory::State, "shopping"),
            (
                "I want to run a marathon by May",
                "user goal run a marathon by May",
                FactCategory::Goal,
                "exercise",
            ),
            ("I'm trying to quit sugar", "user goal quit sugar", FactCategory::Goal, "food"),
            ("I'm saving up for a house", "user goal a house", FactCategory::Goal, "home"),
            ("My goal is to learn Spanish", "user goal learn Spanish", FactCategory::Goal, "study"),
            ("Honesty matters a lot to me", "user values Honesty", FactCategory::Value, ""),
            ("I care about the environment", "user values the environment", FactCategory::Value, ""),
            (
                "It's important to me that my kids eat well",
                "user values my kids eat well",
                FactCategory::Value,
                "family",
            ),
            (
                "If I drink coffee late, I can't sleep",
                "user causes If I drink coffee late, I can't sleep",
                FactCategory::Causal,
                "sleep",
            ),
            (
                "Red wine gives me headaches",
                "user causes Red wine gives me headaches",
                FactCategory::Causal,
                "drink",
            ),
            (
                "Flying makes me anxious",
                "user causes Flying makes me anxious",
                FactCategory::Causal,
                "travel",
            ),
            (
                "I always take the train because flying scares me",
                "user causes I always take the train because flying scares me",
                FactCategory::Causal,
                "travel",
            ),
            (
                "Never schedule meetings before 9:30",
                "user policy Never schedule meetings before 9:30",
                FactCategory::Policy,
                "meeting",
            ),
            (
                "No meetings before 10am please",
                "user policy No meetings before 10am please",
                FactCategory::Policy,
                "meeting",
            ),
            (
                "Deploys on Fridays are forbidden",
                "user policy Deploys on Fridays are forbidden",
                FactCategory::Policy,
                "coding",
            ),
            (
                "Always ask before deploying",
                "user policy Always ask before deploying",
                FactCategory::Policy,
                "coding",
            ),
            (
                "Please don't call me after 8pm",
                "user policy Please don't call me after 8pm",
                FactCategory::Policy,
                "communication",
            ),
            (
                "Please answer in German",
                "user policy Please answer in German",
                FactCategory::Policy,
                "communication",
            ),
            ("I never eat after 8pm", "user policy I never eat after 8pm", FactCategory::Policy, "food"),
            (
                "I don't take meetings on Fridays",
                "user policy I don't take meetings on Fridays",
                FactCategory::Policy,
                "meeting",
            ),
        ] {
            let found = analyse(text, &context());
            let hit = found.iter().find(|s| format!("{} {} {}", s.subject, s.predicate, s.value) == expected);
            let Some(hit) = hit else {
                same(&mut wrong, text, of(text), vec![expected.to_owned()]);
                continue;
            };
            same(&mut wrong, text, hit.category, category);
            assert!(
                situation.is_empty() || hit.situations.contains(&situation),
                "{text:?}: {:?}",
                hit.situations
            );
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn what_is_not_asserted_states_nothing() {
        let mut wrong = Vec::new();
        for text in [
            "Call me when you arrive",
            "Call me back later",
            "I like how the weather is",
            "I live for the weekend",
            "I'm dying to see it",
            "Do I live in Berlin?",
            "I live in Berlin, right?",
            "If I lived in Berlin, I would be happy",
            "I wish I lived in Berlin",
            "I might move to Berlin",
            "I would live in Berlin",
            "I'd love a coffee",
            "I don't live in Berlin",
            "I used to live in Lisbon",
            "I lived in Lisbon once",
            "She said I live in Rome",
            "She said she is happy, and I live in Rome",
            "\"I live in Rome,\" said the man",
            "I love Mondays, yeah right",
            "I'm moving to Berlin next month",
            "I'm not vegetarian",
            "I'm not Anna",
            "I'm sorry",
            "I'm OK",
            "I'm Anna's brother",
            "I'm in a hurry",
            "I'm a bit tired",
            "I'm a mess today",
            "I live in fear of spiders",
            "I live in the moment",
            "I work at night",
            "I work at home",
            "I work for free",
            "Works for me!",
            "I moved to Rust last year",
            "I moved to the couch",
            "I left home early",
            "I left my keys at home",
            "My name is on the list",
            "My job is killing me",
            "Vegetarian restaurant recommendations please",
            "Don't worry about it",
            "Never mind",
            "Please don't forget the milk",
            "I love it",
            "I love your idea",
            "I like that",
            "What makes me happy is rain",
            "This makes me sad",
            "I want to know the time",
            "I'm going to the store",
            "Dinner was great",
            "Work is busy",
            "Imagine I live in Paris",
            "In my dream I live in a castle",
            "I told him he lives in Rome",
            "He lives in Rome",
            "They work at Acme",
            "Where do I live",
            "I have to go",
            "I'm allergic to Mondays",
            "I think you live in Berlin",
            "Can you call me Anna?",
            "The secret to good bread is time",
            "I'm from the marketing team",
            "I turned 5 pages",
            "I'm 5 minutes away",
            "I was in Berlin last week",
            "I left Anna a message",
            "I work as hard as I can",
            "I'm Team Edward",
            "I'm Back!",
            "I play with my kids",
            "Always a pleasure!",
            "Your opinion matters to me",
            "I want to learn how this works",
        ] {
            same(&mut wrong, text, of(text), Vec::<String>::new());
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn a_joke_takes_its_sentence_back() {
        assert_eq!(of("I live in Atlantis. Just kidding!"), Vec::<String>::new());
    }

    #[test]
    fn an_assistant_says_nothing_about_the_user_and_a_tool_nothing_at_all() {
        for (role, text, expected) in [
            (Role::Assistant, "I am a language model.", 0),
            (Role::Assistant, "I live in Berlin.", 0),
            (Role::Assistant, "You live in Berlin.", 0),
            (Role::Assistant, "Never share your password.", 0),
            (Role::Assistant, "Anna works at IBM.", 1),
            (Role::Tool, "I live in Berlin.", 0),
            (Role::User, "I live in Berlin.", 1),
        ] {
            let found = analyse(text, &Context { role: Some(role), ..context() });
            assert_eq!(found.len(), expected, "{role} {text:?}: {found:?}");
            assert!(role != Role::Assistant || found.iter().all(|s| s.source == MemorySource::AgentInferred));
        }
    }

    #[test]
    fn a_named_speaker_is_the_subject() {
        let context = Context { speaker: Some("Maria".to_owned()), ..context() };
        assert_eq!(analyse("I live in Rome", &context)[0].subject, "Maria");
        assert_eq!(analyse("My sister lives in Rome", &context)[0].subject, "Maria/sister");
        assert_eq!(of("Caroline: I live in Denver"), ["Caroline lives_in Denver"]);
        assert_eq!(of("Correction: I live in Denver"), ["user lives_in Denver"]);
    }

    #[test]
    fn slots_say_whether_a_new_value_closes_the_old_one() {
        let mut wrong = Vec::new();
        for (text, slot, single) in [
            ("I live in Rome", Some("residence"), true),
            ("I work at Acme", Some("employer"), true),
            ("I'm allergic to nuts", Some("allergy"), false),
            ("My favourite film is Heat", Some("favourite:film"), true),
            ("I like jazz", None, false),
            ("My friend lives in Rome", Some("residence"), false),
        ] {
            let found = analyse(text, &context());
            same(&mut wrong, text, (found[0].slot.as_deref(), found[0].single_valued), (slot, single));
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn a_text_is_whole_if_it_says_nothing_else() {
        let mut wrong = Vec::new();
        for (text, whole) in [
            ("I live in Berlin", true),
            ("I live in Berlin now.", true),
            ("Well, I moved to Berlin last month!", true),
            ("I live in Berlin with my two cats", false),
            ("I live in Berlin. It rains.", false),
            ("I live in Berlin and work at Acme", false),
            ("prefers dark mode", true),
            ("Thanks! I live in Rome btw.", true),
            ("Pizza is my favourite food", true),
        ] {
            let found = analyse(text, &context());
            same(&mut wrong, text, found.first().map(|statement| statement.whole), Some(whole));
        }
        assert_eq!(wrong, Vec::<String>::new());
    }
}
