//! Sentences cut into clauses, each with its subject and its predicate phrase, and the guards that
//! tell what is asserted from what is asked, supposed or reported.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::{pattern, words};

/// Whom a clause is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    /// "I", "my ...", "the user".
    First,
    /// "we", "our ...".
    We,
    /// Nobody is named: "prefers dark mode".
    Implied,
    /// "my sister": path of relations below the speaker, and a name if one is given.
    Relation { path: String, name: Option<String>, one_of_many: bool },
    /// A name.
    Named(String),
    /// "never ...", "please ...": an instruction.
    Imperative,
    /// Anything else: "he", "the weather".
    Other,
}

/// A part of a sentence with one subject and one predicate.
#[derive(Debug, Clone)]
pub(super) struct Clause {
    pub(super) subject: Subject,
    /// Bytes of the text from the subject (without a lead-in such as "well,") to the clause's end.
    pub(super) span: Range<usize>,
    /// Bytes from the verb on: "live in Berlin", "'m a nurse", "my name is Anna", "'s name is Anna".
    pub(super) predicate: Range<usize>,
    /// Whether nothing stands before the clause in its sentence except a lead-in.
    pub(super) opens: bool,
    /// Whether nothing but an end mark follows it in its sentence.
    pub(super) closes: bool,
}

struct Table {
    lead: Regex,
    time_lead: Regex,
    supposed: Regex,
    sarcasm: Regex,
    joke: Regex,
    reported: Regex,
    asks: Regex,
    border: Regex,
    subject: Regex,
    first: Regex,
    we: Regex,
    user: Regex,
    relation: Regex,
    parent: Regex,
    named: Regex,
    implied: Regex,
    imperative: Regex,
    verb: Regex,
}

/// Verbs with which a clause may go on without repeating its subject ("and work at Acme").
const VERBS: &str = r"(?:live|lives|work|works|worked|love|loves|like|likes|hate|hates|prefer|prefers|enjoy|enjoys|use|uses|need|needs|want|wants|drink|drinks|eat|eats|play|plays|speak|speaks|study|studies|teach|teaches|run|drive|drives|own|owns|moved|relocated|started|joined|left|quit|am|is|are|have|has|can['’]?t|cannot|don['’]?t|doesn['’]?t|never|always|avoid|avoids|hope|plan|became|got|was born|grew up|married|adopted|care)";

/// First words of a clause with a subject of its own.
const START: &str = r"(?:I|I['’]m|I['’]ve|I['’]d|I['’]ll|we|we['’]re|my|our|he|she|they|you|it|it['’]s|he['’]s|she['’]s|they['’]re|never|always|please|don['’]t|do not|can you|could you|would you|will you|do you|is there|are there|what|what['’]s|where|how|which|who|when|any|should|suggest|recommend)\b";

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    Table {
    lead: pattern(
        r"(?i)^(?:(?:and|but|so|well|also|oh|hey|hi|hello|yes|yeah|yep|nope|nah|ok|okay|btw|by the way|actually|fyi|just so you know|just fyi|for the record|for context|for reference|remember(?: that)?|please (?:remember|note|keep in mind|be aware)(?: that)?|(?:please )?don['’]t forget(?: that)?|note(?: that)?|keep in mind(?: that)?|honestly|to be honest|tbh|frankly|currently|right now|now|these days|nowadays|as of (?:today|now)|as you know|as i said|unfortunately|sadly|luckily|fortunately|good news|big news|exciting news|great news|guess what|update|reminder|fun fact|quick note|first of all|in fact|in general|generally|usually|anyway|sure|thanks|thank you|sorry|hmm+|haha|lol|wow|because|since|although|though|you know|i mean|then|plus|besides|meanwhile|today|finally|recently|lately|personally|just|good morning|my situation|about me|i should (?:mention|add|say) that|(?:it )?turns out(?: that)?|i (?:just |recently )?(?:found out|learned|learnt|reali[sz]ed|discovered)(?: that)?|i wanted to (?:tell you|let you know|mention) that|i (?:can|must) say(?: that)?|i(?:'m| am) happy to say(?: that)?)\b[,:!.]*(?:\s+|$)|no[,.!]+\s+|[\-*•–—>\d.)]+\s+|[^\p{L}\p{N}\s'’(/$\x22“]+\s*)+",
    ),
    time_lead: pattern(
        r"(?i)^(?:last|this|in|on|since|for|two|three|a|after|as of|from|earlier|back in|yesterday|over|until|by|starting|around|next)\b[^,.]{0,40}?,?\s+(?P<subject>(?:I|I['’]m|I['’]ve|we|we['’]ve|my)\s.*)$",
    ),
    supposed: pattern(
        r"(?i)^(?:and |but |so |well,? )?(?:if|suppose|supposing|imagine|what if|let['’]s say|say i|pretend|hypothetically|assuming|unless|in (?:my|the|a|an|our|your) (?:\w+ )?(?:dreams?|story|novel|book|game|movie|film|play|fantasy|simulation|scenario|role|other life)|once upon|i (?:wish|dreamed|dreamt|dream|pretended|imagined|imagine|doubt)|wish|it would|it['’]s not (?:true )?that|nobody|as if|let['’]s pretend|for example|e\.g\.|example)\b",
    ),
    sarcasm: pattern(
        r"(?i)(?:^|\s)/s\b|🙄|\b(?:yeah,? right|as if|not really|haha,? not|lol,? not|said no one|just kidding|jk|i['’]?m kidding|i['’]?m joking|only joking|just joking|sarcasm)\b|\bNOT!|[.…]{2,3}\s*not[.!]*$",
    ),
    joke: pattern(r"(?i)^(?:haha,? |lol,? )?(?:(?:i['’]?m |i was )?(?:just |only )?(?:kidding|joking)|jk|not|psych|no,? not really)[.!\s😂🤣😄]*$"),
    reported: pattern(
        r"(?i)\b(?:said|says|say|told|tells|claims?|claimed|thinks?|thought|believes?|believed|asked|asks|wrote|writes|heard|jokes?|joked|insists?|insisted|assumes?|assumed|pretends?|pretending|mentioned|announced|dreamed|dreamt|lied|guessed|wondered|wonders|supposedly|allegedly|according to|rumou?r|quote|character|lyrics?|song)\b",
    ),
    asks: pattern(
        r"(?i)^(?:so |and |but |then |please,? )?(?:what|what['’]s|where|where['’]s|how|which|who|who['’]s|when|why|can|could|would|will|do|does|did|is|are|was|were|should|shall|may|any|have you|has|got any|know any|suggest|recommend|give me|tell me|help me|show me|find me|please|ideas)\b",
    ),
    border: pattern(
        &r"(?i)(?:[,;:–—]|\.\.\.|…|\s-\s|\s\()\s*(?:(?:and|but|so|because|though|although|while|yet|since|which is why|plus|also|then|or)\s+)*(?P<a>{START})|\s(?:and|but|so|because|while|whereas|though|although|yet|plus|then)\s+(?:(?:then|also|now|so|since|currently|just|still|yes)\s+)*(?P<b>{START}|{VERBS}\b)"
            .replace("{START}", START)
            .replace("{VERBS}", VERBS),
    ),
    subject: pattern(r"^\p{L}"),
    first: pattern(r"^(?:I|i)(?:['’]?(?:m|ve)\b|\s+|['’]\s?)"),
    we: pattern(r"(?i)^we(?:\s+|['’](?:re|ve)\b)"),
    user: pattern(r"(?i)^(?:the )?user(?:\s+|['’]s\s)"),
    relation: pattern(&format!(
        r"(?i)^(?:my|our)\s+(?P<mod>(?:(?:older|younger|elder|eldest|oldest|youngest|little|big|baby|twin|half|best|good|close|dear|old|new|first|second|only|late|lovely|beloved|wonderful|ex|pet|middle|adopted|former|current|great|female|male|childhood|long-time)[ \-])*)(?P<relation>{})\b",
        words::RELATIONS.iter().rev().map(|(word, _)| *word).collect::<Vec<_>>().join("|")
    )),
    parent: pattern(r"^(?P<relation>Mum|Mom|Dad|Grandma|Grandpa|Granny)\b"),
    named: pattern(
        r"^(?P<name>\p{Lu}[\p{L}\-]+(?:\s+(?:(?:van|von|de|der|del|la|da|al|bin)\s+)*\p{Lu}[\p{L}\-]*\.?){0,2})(?P<rest>['’]s\s|\s+(?:is|lives|works|worked|likes|loves|hates|prefers|has|moved|relocated|enjoys|plays|uses|drives|eats|drinks|owns|studies|speaks|started|joined|left|quit|wants|needs|teaches|can['’]?t|cannot|doesn['’]?t|never|no longer|just|recently|now|currently|still|also|was born|grew up|got|became|avoids|runs|adopted|married)\s)",
    ),
    implied: pattern(
        r"(?i)^(?:prefers|likes|loves|hates|dislikes|enjoys|lives|works|uses|is|has|wants|needs|speaks|drinks|eats|owns|avoids|plays|drives|studies|moved|relocated|based|born|allergic|vegetarian|vegan|pescatarian|lactose|gluten|diabetic|married|single|divorced|engaged|works|cannot|can['’]?t|doesn['’]?t|does not|grew|favou?rite|no longer|name|age|location|city|residence|lives|occupation|job|employer|company|diet|allergies|allergy|birthday|relationship status|hometown|nationality|preferred|intolerant|severely|deathly|recently|just|currently|now|strictly)\b",
    ),
    imperative: pattern(r"(?i)^(?:please|never|always|don['’]?t|do not|avoid|make sure|from now on|in (?:the )?future|going forward|no|only|under no circumstances|keep|answer|reply|respond|use|when(?:ever)?|ask)\b"),
    verb: pattern(&format!("(?i)^{VERBS}\\b")),
}
});

/// The clauses of a sentence that assert something, in order; empty if it only asks or supposes.
pub(super) fn asserted(text: &str, sentence: &Range<usize>) -> Vec<Clause> {
    let table = &*TABLE;
    let body = &text[sentence.clone()];
    if table.sarcasm.is_match(body) || !body.contains(char::is_alphabetic) {
        return Vec::new();
    }
    let start = sentence.start + skip_lead(body);
    let end = sentence.start + trim_end(body);
    if start >= end || table.supposed.is_match(&text[start..end]) || table.supposed.is_match(body) {
        return Vec::new();
    }
    let mut pieces = pieces(text, start..end);
    if is_question(body) {
        // "I'm allergic to nuts, what can I eat?" asserts what comes before the question.
        let asked = pieces.iter().position(|piece| table.asks.is_match(&text[piece.clone()]));
        pieces.truncate(asked.unwrap_or(0));
    }
    let mut clauses: Vec<Clause> = Vec::new();
    let (first_start, count) = (pieces.first().map(|piece| piece.start), pieces.len());
    for (index, piece) in pieces.into_iter().enumerate() {
        let before = piece.start;
        let Some(mut clause) = parse(text, piece, clauses.last()) else { continue };
        clause.opens = first_start == Some(before);
        clause.closes = index + 1 == count && clause.span.end >= end;
        let reported =
            table.reported.is_match(&text[clause.span.clone()]) && clause.subject != Subject::Imperative;
        if reported && !matches!(clause.subject, Subject::First | Subject::Imperative) {
            break; // what follows may still be what she said
        }
        clauses.push(clause);
    }
    clauses
}

/// The name before "Name: what she says", and where her words begin.
pub(super) fn speaker(sentence: &str) -> Option<(&str, usize)> {
    let (name, rest) = sentence.split_once(':')?;
    let known =
        TABLE.implied.is_match(name) || TABLE.lead.find(name).is_some_and(|lead| lead.end() == name.len());
    let count = name.split_whitespace().count();
    let named = (1..=2).contains(&count)
        && name.split(' ').all(|word| {
            word.starts_with(char::is_uppercase)
                && word.chars().any(char::is_lowercase)
                && word.chars().all(|c| c.is_alphabetic() || c == '-')
                && !words::is_ordinary(word)
                && !words::is_label(word)
        });
    (named && !known && rest.starts_with(' ')).then(|| (name, sentence.len() - rest.trim_start().len()))
}

/// Whether a sentence takes back the one before it ("just kidding").
pub(super) fn takes_back(sentence: &str) -> bool {
    TABLE.joke.is_match(sentence.trim())
}

/// Whether a sentence carries a mark of sarcasm.
pub(super) fn is_unserious(sentence: &str) -> bool {
    TABLE.sarcasm.is_match(sentence)
}

pub(super) fn is_question(sentence: &str) -> bool {
    let end = sentence.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '?');
    end.ends_with('?')
}

/// The length of "Well, by the way," and list marks at the head.
pub(super) fn skip_lead(body: &str) -> usize {
    let Some(found) = TABLE.lead.find(body) else { return 0 };
    // A lead-in that is all there is ("Thanks!") is no lead-in.
    if found.end() == body.len() { 0 } else { found.end() }
}

fn trim_end(body: &str) -> usize {
    body.trim_end_matches(|c: char| {
        !c.is_alphanumeric() && !matches!(c, ')' | '"' | '”' | '%' | '€' | '+' | '#' | ']')
    })
    .len()
}

/// Cuts at commas and conjunctions after which a new subject or a verb stands.
fn pieces(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let body = &text[range.clone()];
    let mut pieces = Vec::new();
    let (mut start, mut from) = (0, 0);
    while let Some(found) = TABLE.border.captures_at(body, from) {
        let Some(hit) = found.get(0) else { break };
        let next = found.name("a").or(found.name("b")).map_or(hit.end(), |next| next.start());
        if hit.start() > start {
            pieces.push(range.start + start..range.start + hit.start());
        }
        start = next;
        from = next.max(hit.start() + 1);
        while !body.is_char_boundary(from) {
            from += 1;
        }
    }
    pieces.push(range.start + start..range.end);
    pieces
}

fn parse(text: &str, piece: Range<usize>, previous: Option<&Clause>) -> Option<Clause> {
    let table = &*TABLE;
    let mut start = piece.start + skip_lead(&text[piece.clone()]);
    let mut body = &text[start..piece.end];
    if let Some(found) = table.time_lead.captures(body)
        && let Some(subject) = found.name("subject")
        && !table.first.is_match(body)
    {
        start += subject.start();
        body = &text[start..piece.end];
    }
    let clause = |subject, offset: usize| {
        let predicate = start + offset.min(body.len())..piece.end;
        Some(Clause { subject, span: start..piece.end, predicate, opens: false, closes: false })
    };
    if let Some(found) = table.first.find(body) {
        let verb = found.as_str().trim_start_matches(['I', 'i']);
        let kept = if verb.trim().is_empty() { found.end() } else { found.end() - verb.len() };
        return clause(Subject::First, kept);
    }
    if let Some(found) = table.we.find(body) {
        return clause(
            Subject::We,
            if found.as_str().ends_with(char::is_whitespace) { found.end() } else { 2 },
        );
    }
    if let Some(found) = table.user.find(body) {
        let possessive = found.as_str().contains(['\'', '’']);
        return clause(
            Subject::First,
            if possessive {
                "user".len() + body.to_lowercase().find("user").unwrap_or(0)
            } else {
                found.end()
            },
        );
    }
    if let Some((subject, end)) = relation(body) {
        return clause(subject, end);
    }
    if body.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("my ")) {
        return clause(Subject::First, 0);
    }
    if body.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("our ")) {
        return clause(Subject::We, 0);
    }
    if table.imperative.is_match(body) && !table.implied.is_match(body) {
        return clause(Subject::Imperative, 0);
    }
    if let Some(found) = table.named.captures(body)
        && let (Some(name), Some(rest)) = (found.name("name"), found.name("rest"))
        && !name.as_str().split_whitespace().any(words::is_ordinary)
        && !name.as_str().split_whitespace().any(words::is_tool)
        && !words::is_demonym(name.as_str())
        && !table.implied.is_match(name.as_str())
    {
        let end = if rest.as_str().starts_with(char::is_whitespace) {
            rest.end() - rest.as_str().trim_start().len()
        } else {
            rest.start()
        };
        return clause(Subject::Named(name.as_str().to_owned()), end);
    }
    if let Some(previous) = previous
        && piece.start > previous.span.start
        && table.verb.is_match(body)
    {
        return clause(previous.subject.clone(), 0);
    }
    let begins_text_or_sentence = previous.is_none();
    if begins_text_or_sentence && table.implied.is_match(body) {
        return clause(Subject::Implied, 0);
    }
    if !table.subject.is_match(body) {
        return None;
    }
    clause(Subject::Other, 0)
}

/// "my older sister's husband Tom lives ...": the path and where the predicate begins.
fn relation(body: &str) -> Option<(Subject, usize)> {
    let table = &*TABLE;
    let found = table.relation.captures(body).or_else(|| table.parent.captures(body))?;
    let mut path = words::relation(&found["relation"])?.to_owned();
    if let Some(modifier) = found.name("mod") {
        let kept: Vec<&str> = modifier
            .as_str()
            .split([' ', '-'])
            .filter(|word| {
                matches!(
                    word.to_lowercase().as_str(),
                    "older"
                        | "younger"
                        | "little"
                        | "big"
                        | "twin"
                        | "half"
                        | "best"
                        | "ex"
                        | "eldest"
                        | "oldest"
                        | "youngest"
                )
            })
            .collect();
        if !kept.is_empty() {
            path = format!("{} {path}", kept.join(" ").to_lowercase());
        }
    }
    let mut end = found.get(0)?.end();
    let mut last = path.rsplit(' ').next().unwrap_or(&path).to_owned();
    while let Some(rest) = body[end..].strip_prefix("'s ").or_else(|| body[end..].strip_prefix("’s ")) {
        let word: &str = rest.split(|c: char| !(c.is_alphanumeric() || c == '-')).next().unwrap_or("");
        let Some(next) = words::relation(word) else { break };
        path = format!("{path}/{next}");
        last = next.to_owned();
        end = body.len() - rest.len() + word.len();
    }
    let mut name = None;
    let rest = &body[end..];
    let gap = rest.len() - rest.trim_start_matches([',', ' ']).len();
    if gap > 0 {
        let mut length = 0;
        for word in rest[gap..].split_inclusive(' ') {
            let bare = word.trim_end_matches([',', ' ']);
            let bare = bare.strip_suffix("'s").or_else(|| bare.strip_suffix("’s")).unwrap_or(bare);
            if !bare.starts_with(char::is_uppercase)
                || words::is_ordinary(bare)
                || !bare.chars().all(|c| c.is_alphabetic() || c == '-')
            {
                break;
            }
            length += bare.len();
            if bare.len() < word.trim_end().len() || length > 40 {
                break;
            }
            length += word.len() - bare.len();
        }
        let found = rest[gap..gap + length].trim_end_matches([',', ' ']);
        if !found.is_empty() {
            name = Some(found.to_owned());
            end += gap + found.len();
        }
    }
    let rest = &body[end..];
    let end = end + rest.len() - rest.trim_start_matches([',', ' ']).len();
    let one_of_many = name.is_none() && words::is_one_of_many(&last) && !path.contains("best");
    Some((Subject::Relation { path, name, one_of_many }, end))
}

#[cfg(test)]
mod tests {
    use super::super::same;
    use super::*;

    fn of(text: &str) -> Vec<(Subject, &str)> {
        asserted(text, &(0..text.len())).into_iter().map(|c| (c.subject, &text[c.predicate])).collect()
    }

    #[test]
    fn clauses_have_a_subject_and_a_predicate() {
        let mut wrong = Vec::new();
        let named = |name: &str| Subject::Named(name.to_owned());
        for (text, expected) in [
            ("Well, I live in Berlin.", vec![(Subject::First, "live in Berlin")]),
            (
                "I'm Anna and I live in Rome",
                vec![(Subject::First, "'m Anna"), (Subject::First, "live in Rome")],
            ),
            (
                "I live in Rome and work at Acme",
                vec![(Subject::First, "live in Rome"), (Subject::First, "work at Acme")],
            ),
            ("Anna works at Acme", vec![(named("Anna"), "works at Acme")]),
            ("prefers dark mode", vec![(Subject::Implied, "prefers dark mode")]),
            ("never call me", vec![(Subject::Imperative, "never call me")]),
            ("Last month I moved to Berlin", vec![(Subject::First, "moved to Berlin")]),
            ("I am allergic to nuts, what can I eat?", vec![(Subject::First, "am allergic to nuts")]),
            ("The user lives in Rome", vec![(Subject::First, "lives in Rome")]),
        ] {
            same(&mut wrong, text, of(text), expected);
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn relations_form_a_path() {
        let text = "My older sister's husband Tom lives in Rome";
        let Subject::Relation { path, name, one_of_many } = of(text)[0].0.clone() else { return };
        assert_eq!(
            (path.as_str(), name.as_deref(), one_of_many),
            ("older sister/husband", Some("Tom"), false)
        );
        assert_eq!(of(text)[0].1, "lives in Rome");
    }

    #[test]
    fn questions_suppositions_and_reports_assert_nothing() {
        let mut wrong = Vec::new();
        for text in [
            "I live in Berlin, right?",
            "If I lived in Rome, I would sing",
            "I wish I lived in Rome",
            "What if I move?",
            "I love Mondays /s",
        ] {
            same(&mut wrong, text, of(text), []);
        }
        assert_eq!(of("She said she is happy, and I live in Rome"), []);
        assert_eq!(wrong, Vec::<String>::new());
    }
}
