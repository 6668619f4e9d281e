//! Names in a text.

use std::{collections::HashSet, ops::Range, sync::LazyLock};

use regex::Regex;

use super::{EntityKind, Mention, Statement, pattern, sentences, words};

/// Words before a name, and what the name then stands for.
const LEADS: &[(EntityKind, &str)] = &[
    (
        EntityKind::Organisation,
        r"(?i)\b(?:work(?:s|ed|ing)? (?:at|for|with)|employed (?:at|by)|job (?:at|with)|joined|company(?: called| named)?|employer(?: is)?|intern(?:ed|ing)? at|stud(?:y|ies|ied|ying)(?: \p{L}+)? at|graduated from|offer from|founded|hired by|started at|left|quit)\s+(?:the\s+)?$",
    ),
    (
        EntityKind::Person,
        r"(?i)\b(?:{RELATIONS}|name is|name's|called|named|mr|mrs|ms|dr|prof|meet|met|with|thanks|dear|hi|hello|hey|told|asked|married|visited my friend|and my friend|from my friend),?\.?\s+$",
    ),
    (
        EntityKind::Place,
        r"(?i)\b(?:in|near|from|live in|moved? to|trip to|fl(?:y|ew|ight|ying) to|visit(?:ed|ing)?|travel(?:l?ed|l?ing)? to|go(?:ing)? to|went to|based in|born in|around|via|outside|across|through|back to|drive to|train to|landed in|arrived in)\s+(?:the\s+|downtown\s+|north(?:ern)?\s+|south(?:ern)?\s+|east(?:ern)?\s+|west(?:ern)?\s+|central\s+)?$",
    ),
];

/// Last words of names that tell their kind.
const ENDS: &[(EntityKind, &str)] = &[
    (
        EntityKind::Organisation,
        "Inc Inc. Ltd Ltd. GmbH AG LLC Corp Corp. Corporation Company University College School Institute Hospital Bank Foundation Group Labs Studios Museum Airlines Church Ministry Department",
    ),
    (
        EntityKind::Place,
        "Street Avenue Road City Park River Lake Mountain Mountains Island Beach Airport Station Square Bridge Valley Bay County Square Forest Hills",
    ),
];

struct Table {
    leads: Vec<Regex>,
    speaks: Regex,
    possessive: Regex,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let relations = words::RELATIONS.iter().rev().map(|(word, _)| *word).collect::<Vec<_>>().join("|");
    Table {
        leads: LEADS.iter().map(|(_, source)| pattern(&source.replace("{RELATIONS}", &relations))).collect(),
        speaks: pattern(
            r"(?i)^,?\s+(?:said|says|told|asked|and i|lives|loves|likes|hates|works|called|texted|thinks|wants|came|went|laughed|smiled|married|who)\b",
        ),
        possessive: pattern(r"^['’]s\s"),
    }
});

/// Bytes before a name in which its lead words are looked for.
const LEAD_WINDOW: usize = 40;

/// The names in `text`, in order, without overlap.
pub(super) fn mentions(text: &str, sentences: &[Range<usize>], statements: &[Statement]) -> Vec<Mention> {
    let mut mentions: Vec<Mention> = Vec::new();
    for sentence in sentences {
        in_sentence(text, sentence, &mut mentions);
    }
    for statement in statements {
        let subject = statement.subject.as_str();
        if subject.starts_with(char::is_uppercase)
            && !subject.contains('/')
            && text[statement.span.clone()].starts_with(subject)
        {
            let span = statement.span.start..statement.span.start + subject.len();
            match mentions
                .iter_mut()
                .find(|mention| mention.span.start < span.end && span.start < mention.span.end)
            {
                Some(mention) => mention.kind = EntityKind::Person,
                None => mentions.push(Mention { name: subject.to_owned(), kind: EntityKind::Person, span }),
            }
        }
        let Some(kind) = kind_of_value(statement) else { continue };
        let Some(at) = text.get(statement.span.clone()).and_then(|body| body.find(&statement.value)) else {
            continue;
        };
        let span = statement.span.start + at..statement.span.start + at + statement.value.len();
        match mentions
            .iter_mut()
            .find(|mention| mention.span.start < span.end && span.start < mention.span.end)
        {
            Some(mention) => mention.kind = kind,
            None => mentions.push(Mention { name: statement.value.clone(), kind, span }),
        }
    }
    mentions.sort_by_key(|mention| mention.span.start);
    mentions
}

/// Most names that a query may mean.
const MOST_ASKED: usize = 16;

/// Names that a query may mean: one that is none only finds nothing.
pub(super) fn asked(query: &str) -> Vec<String> {
    let mut names: Vec<String> =
        mentions(query, &sentences(query), &[]).into_iter().map(|mention| mention.name).collect();
    let written_small = !query.contains(char::is_uppercase);
    let mut before: Option<&str> = None;
    for token in tokens(query) {
        let word = &query[token];
        let named = !words::is_ordinary(word) && (written_small || capital(word));
        if named {
            names.push(word.to_owned());
        }
        if let Some(before) = before.filter(|_| named && written_small) {
            names.push(format!("{before} {word}"));
        }
        before = named.then_some(word);
    }
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.to_lowercase()));
    names.truncate(MOST_ASKED);
    names
}

/// What the value of a statement is a name of.
fn kind_of_value(statement: &Statement) -> Option<EntityKind> {
    match statement.predicate.as_str() {
        "name" | "called" | "married_to" => Some(EntityKind::Person),
        "lives_in" | "from" | "grew_up_in" | "born_in" => Some(EntityKind::Place),
        "works_at" | "studies_at" if statement.value.starts_with(char::is_uppercase) => {
            Some(EntityKind::Organisation)
        }
        _ => None,
    }
}

fn in_sentence(text: &str, sentence: &Range<usize>, mentions: &mut Vec<Mention>) {
    let body = &text[sentence.clone()];
    let shouted = !body.chars().any(char::is_lowercase);
    if shouted && body.len() > 12 {
        return;
    }
    let tokens = tokens(body);
    let mut at = 0;
    while at < tokens.len() {
        if !opens_name(body, &tokens, at) {
            at += 1;
            continue;
        }
        let mut last = at;
        while last + 1 < tokens.len() {
            let gap = &body[tokens[last].end..tokens[last + 1].start];
            let next = &body[tokens[last + 1].clone()];
            if gap != " " && gap != "-" && !(gap == ". " && tokens[last].len() <= 2) {
                break;
            }
            let follows = |index: usize| {
                tokens.get(index).is_some_and(|token| {
                    let word = &body[token.clone()];
                    capital(word) && !words::is_ordinary(word)
                })
            };
            if follows(last + 1) || (capital(next) && ends_name(next)) {
                last += 1;
            } else if is_particle(next)
                && follows(last + 2)
                && body[tokens[last + 1].end..tokens[last + 2].start] == *" "
            {
                last += 2;
            } else {
                break;
            }
        }
        let range = tokens[at].start..tokens[last].end;
        at = last + 1;
        let name = &body[range.clone()];
        let (kind, sure) = classify(body, &range);
        let opens_sentence = range.start == tokens[0].start;
        let single = !name.contains([' ', '-']);
        // A single capitalised word at the head says little unless something marks it as a name.
        if opens_sentence && single && !sure && !name.chars().skip(1).any(char::is_uppercase) {
            continue;
        }
        if mentions.len() < 200 {
            mentions.push(Mention {
                name: name.to_owned(),
                kind,
                span: sentence.start + range.start..sentence.start + range.end,
            });
        }
    }
}

fn tokens(body: &str) -> Vec<Range<usize>> {
    let mut tokens = Vec::new();
    let mut start = None;
    for (at, c) in body.char_indices() {
        if c.is_alphanumeric() || (c == '&' && start.is_some()) {
            start.get_or_insert(at);
        } else if matches!(c, '\'' | '’')
            && start.is_some_and(|first| at == first + 1)
            && body[at + c.len_utf8()..].starts_with(char::is_uppercase)
        {
            // O'Neil
        } else if let Some(first) = start.take() {
            tokens.push(first..at);
        }
    }
    tokens.extend(start.map(|first| first..body.len()));
    tokens
}

fn capital(word: &str) -> bool {
    word.starts_with(char::is_uppercase)
}

fn opens_name(body: &str, tokens: &[Range<usize>], at: usize) -> bool {
    let word = &body[tokens[at].clone()];
    let after = &body[tokens[at].end..];
    let contracted = (after.starts_with('\'') || after.starts_with('’'))
        && !after[after.chars().next().map_or(0, char::len_utf8)..].starts_with("s ");
    let next_is_name = tokens.get(at + 1).is_some_and(|next| {
        let next_word = &body[next.clone()];
        &body[tokens[at].end..next.start] == " " && capital(next_word) && !words::is_ordinary(next_word)
    });
    let compound =
        matches!(word, "New" | "Old" | "Little" | "Big" | "Long" | "Great") && next_is_name && at > 0;
    let marked = body[..tokens[at].start].ends_with(['[', '@', '#', '<', '/', '_']) || after.starts_with('_');
    capital(word)
        && !contracted
        && !marked
        && (compound || !words::is_ordinary(word))
        && word.chars().count() > 1
}

fn is_particle(word: &str) -> bool {
    matches!(
        word,
        "de" | "la"
            | "van"
            | "von"
            | "der"
            | "den"
            | "del"
            | "da"
            | "di"
            | "of"
            | "le"
            | "al"
            | "bin"
            | "y"
            | "and"
            | "the"
    ) && word != "and"
}

fn ends_name(word: &str) -> bool {
    ENDS.iter().any(|(_, list)| list.split_whitespace().any(|end| end == word))
}

/// The kind of a name, and whether something around it marks it as one.
fn classify(body: &str, range: &Range<usize>) -> (EntityKind, bool) {
    let name = &body[range.clone()];
    let last = name.rsplit(' ').next().unwrap_or(name);
    let by_end =
        ENDS.iter().find(|(_, list)| name.contains(' ') && list.split_whitespace().any(|end| end == last));
    if let Some((kind, _)) = by_end {
        return (*kind, true);
    }
    if name.starts_with("University ") || name.starts_with("Bank of ") {
        return (EntityKind::Organisation, true);
    }
    let mut from = range.start.saturating_sub(LEAD_WINDOW);
    while !body.is_char_boundary(from) {
        from += 1;
    }
    let before = &body[from..range.start];
    if let Some(index) = TABLE.leads.iter().position(|lead| lead.is_match(before)) {
        let kind = LEADS[index].0;
        let tool = words::is_tool(name) || words::is_demonym(name);
        return (if tool { EntityKind::Thing } else { kind }, true);
    }
    let after = &body[range.end..];
    if TABLE.speaks.is_match(after) && !words::is_tool(name) {
        return (EntityKind::Person, true);
    }
    let owns = TABLE.possessive.is_match(after);
    (if owns && !words::is_tool(name) { EntityKind::Person } else { EntityKind::Thing }, owns)
}

#[cfg(test)]
mod tests {
    use super::super::same;
    use super::*;

    fn of(text: &str) -> Vec<String> {
        mentions(text, &super::super::sentences(text), &[])
            .into_iter()
            .map(|mention| {
                assert_eq!(&text[mention.span.clone()], mention.name);
                format!("{}:{}", mention.name, mention.kind)
            })
            .collect()
    }

    #[test]
    fn names_are_found_with_their_kind() {
        let mut wrong = Vec::new();
        for (text, expected) in [
            ("I met my friend Anna in Berlin.", vec!["Anna:person", "Berlin:place"]),
            ("I work at Acme Corp now", vec!["Acme Corp:organisation"]),
            ("Yesterday Ludwig van Beethoven came", vec!["Ludwig van Beethoven:person"]),
            ("We flew to New York on Monday", vec!["New York:place"]),
            ("Anna said hi", vec!["Anna:person"]),
            ("Anna's dog barked", vec!["Anna:person"]),
            ("I read Moby Dick in May", vec!["Moby Dick:thing"]),
            ("She studies at the University of Vienna", vec!["University of Vienna:organisation"]),
        ] {
            same(&mut wrong, text, of(text), expected);
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn a_query_asks_for_what_is_written_as_a_name() {
        let mut wrong = Vec::new();
        for (query, expected) in [
            ("Where does Anna live?", vec!["Anna"]),
            ("Anna's dog", vec!["Anna"]),
            (
                "What did Ludwig van Beethoven tell Anna?",
                vec!["Ludwig van Beethoven", "Anna", "Ludwig", "Beethoven"],
            ),
            ("where does anna smith live", vec!["anna", "smith", "anna smith"]),
            ("What time is it?", vec![]),
        ] {
            same(&mut wrong, query, asked(query), expected);
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn ordinary_words_days_and_months_are_no_names() {
        let mut wrong = Vec::new();
        for text in [
            "Dinner was great",
            "On Monday I slept",
            "I'm tired",
            "In May we rest",
            "Yesterday was fun. Today too.",
            "THIS IS ALL LOUD TEXT",
        ] {
            same(&mut wrong, text, of(text), Vec::<String>::new());
        }
        assert_eq!(wrong, Vec::<String>::new());
    }
}
