//! The value of a statement: where it begins and ends in the words after the pattern.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::{pattern, words};

/// How a value looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Named place: "Berlin", "the Netherlands", "Portland, Oregon".
    Place,
    /// Named or described employer: "Acme", "a hospital".
    Organisation,
    /// Named employer only.
    NamedOrganisation,
    /// Name of a person: "Anna Schmidt".
    Name,
    /// Noun phrase up to a conjunction, preposition of time, or comma.
    Noun,
    /// Nouns joined by commas, "and" or "or": one statement each.
    Nouns,
    /// Occupation known as such: "a software engineer".
    Role,
    /// Occupation in any words: "head of sales".
    AnyRole,
    /// Everything up to the end of the clause.
    Rest,
    /// The whole clause with its subject.
    Clause,
    /// What the group `v` of the pattern took.
    Group,
}

/// Time words and conjunctions that end a value, and what may follow it without adding anything.
static STOP: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)[,;:.!?]?\s+(?:now|right now|currently|these days|nowadays|at the moment|at present|since|for (?:the|a|an|about|over|almost|nearly|years|ages|\d|two|three|four|five|six|seven|eight|nine|ten|now|work|my|school|personal|health|religious|ethical)|with|and|but|because|so|where|which|who|whose|that|when|while|until|till|after|before|last|this|next|again|already|too|as well|anymore|any more|any longer|today|tonight|tomorrow|yesterday|if|though|although|as of|as an?|recently|later|early|actually|though|by the way|btw|haha|lol|permanently|full[ -]time|part[ -]time|in (?:19|20)\d\d|in (?:january|february|march|april|may|june|july|august|september|october|november|december)|on (?:mon|tues|wednes|thurs|fri|satur|sun)day|(?:a|one|two|three|four|five|six|seven|eight|nine|ten|\d+|a few|a couple of) (?:day|week|month|year)s? ago|these|from now on|to be|thanks|please|instead|rather than|over|because of|due to|thanks to|starting|during)\b|\s*[;:(–—…]|\s-\s|,\s|[.!?]+(?:\s|$)",
    )
});

/// What may stand behind a value while the text still says nothing else.
static FILLER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^(?:[\s,.!;:)–—\-]|\p{S}|\b(?:now|right now|currently|these days|nowadays|at the moment|at present|again|already|too|as well|anymore|any more|any longer|today|yesterday|tomorrow|recently|actually|permanently|though|by the way|btw|since|as of|last|this|next|in|on|the|for|about|week|weekend|month|year|years?|months?|weeks?|days?|ago|a|an|one|two|three|four|five|six|seven|eight|nine|ten|few|couple|of|full|part|time|january|february|march|april|may|june|july|august|september|october|november|december|(?:mon|tues|wednes|thurs|fri|satur|sun)day|\d{1,4}(?:st|nd|rd|th)?|haha|lol|old|after|originally)\b)*$",
    )
});

/// Words that open a lower-case phrase that is no place, firm or name.
const NOT_NAMED: &str = "a an the my your our his her their its this that these those it me you him them us myself home night nights day days weekends weekend \
    fear hope peace pain denial debt luxury poverty style harmony silence darkness misery harmony exile bed general theory progress trouble love charge touch person real town least all once first free fun money hours now then here there where \
    not never so very too really just what how why when who because if to for with and or as well on in at by of from about over under sorry happy sure late early fine good bad tired busy ready back done going trying looking \
    everything nothing something someone anyone somewhere anywhere nowhere abroad away upstairs downstairs alone together minimum full part remote remotely hard";

/// Finds the values of `shape` in `text[rest]`. Each comes as its range in the text.
pub(super) fn find(text: &str, rest: Range<usize>, shape: Shape) -> Vec<Range<usize>> {
    let body = &text[rest.clone()];
    let lead =
        body.len() - body.trim_start_matches([' ', ',', ':', '"', '“', '\'', '\t', '\n', '-', '–']).len();
    let start = rest.start + lead;
    let body = &text[start..rest.end];
    // A quoted value ends with its quotation mark.
    let quoted = text[..start].ends_with(['"', '“']).then(|| body.find(['"', '”'])).flatten();
    let body = quoted.map_or(body, |end| &body[..end]);
    let one = |length: Option<usize>| -> Vec<Range<usize>> {
        length
            .map(|length| {
                body[..length]
                    .trim_end_matches(|c: char| {
                        c.is_whitespace() || matches!(c, ',' | '.' | '!' | '"' | '”' | '\'' | ';' | ':')
                    })
                    .len()
            })
            .filter(|length| *length > 0)
            .map(|length| start..start + length)
            .into_iter()
            .collect()
    };
    let lazy = !text.chars().any(|c| c.is_uppercase() && c != 'I');
    match shape {
        Shape::Place => one(named(body, lazy, true)),
        Shape::NamedOrganisation => one(named(body, false, false)),
        Shape::Organisation => one(named(body, lazy, false).or_else(|| described(body))),
        Shape::Name => one(name(body, lazy)),
        Shape::Noun => one(noun(body)),
        Shape::Nouns => nouns(text, start..rest.end),
        Shape::Role | Shape::AnyRole => one(role(body, shape == Shape::AnyRole))
            .into_iter()
            .map(|range| range.start + article(&text[range.clone()])..range.end)
            .collect(),
        Shape::Rest => one(Some(body.len()).filter(|_| (1..=40).contains(&body.split_whitespace().count()))),
        Shape::Clause | Shape::Group => Vec::new(),
    }
}

/// Whether what follows a value adds nothing to the statement.
pub(super) fn is_filler(tail: &str) -> bool {
    FILLER.is_match(tail)
}

/// The value for comparisons: lower case, single spaces, no article, no marks at the ends.
pub(super) fn key(value: &str) -> String {
    let lower = value.to_lowercase().replace('’', "'");
    let joined = lower.split_whitespace().collect::<Vec<_>>().join(" ");
    let bare = joined
        .trim_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '$' | '€' | '£' | '+' | '#' | '%'));
    ["the ", "a ", "an "].iter().find_map(|article| bare.strip_prefix(article)).unwrap_or(bare).to_owned()
}

fn until_stop(body: &str) -> &str {
    STOP.find(body).map_or(body, |stop| &body[..stop.start()])
}

fn opens_badly(body: &str) -> bool {
    let first = body.split(|c: char| !(c.is_alphanumeric() || c == '\'' || c == '’')).next().unwrap_or("");
    let lower = first.to_lowercase();
    first.is_empty() || NOT_NAMED.split_whitespace().any(|word| word == lower)
}

/// Capitalised words; for writers without capitals up to three plain words.
fn named(body: &str, lazy: bool, place: bool) -> Option<usize> {
    const BEFORE: &str = "the downtown north south east west northern southern eastern western central upper lower greater inner rural suburban upstate near outside";
    let phrase = until_stop(body);
    if lazy {
        let count = phrase.split_whitespace().count();
        let bad =
            opens_badly(phrase) && !phrase.starts_with("the netherlands") && !phrase.starts_with("the us");
        let first = phrase.split_whitespace().next()?;
        let digits = first.chars().any(|c| c.is_ascii_digit());
        return (!bad && count <= 3 && !digits && !words::is_ordinary(first) && !words::is_tool(first))
            .then_some(phrase.len());
    }
    let mut end = 0;
    let mut names = 0;
    let mut at = 0;
    for word in body.split_inclusive(' ') {
        let bare = word.trim_end_matches([' ', ',', '.', '!', ';', ':', ')', '"', '”']);
        let bare = bare.strip_suffix("'s").or_else(|| bare.strip_suffix("’s")).unwrap_or(bare);
        let lower = bare.to_lowercase();
        let acronym = matches!(bare, "US" | "IT");
        let capital =
            bare.starts_with(|c: char| c.is_uppercase() || c.is_numeric() && !place) && lower != "i";
        if capital
            && !(words::is_ordinary(bare)
                && !acronym
                && !matches!(
                    lower.as_str(),
                    "new"
                        | "long"
                        | "old"
                        | "little"
                        | "big"
                        | "good"
                        | "open"
                        | "best"
                        | "second"
                        | "first"
                        | "life"
                        | "home"
                        | "city"
                        | "usa"
                        | "man"
                        | "world"
                        | "three"
                        | "high"
                ))
        {
            names += 1;
            end = at + bare.len();
        } else if names == 0 && BEFORE.split_whitespace().any(|known| known == lower)
            || (names > 0 && capital)
        {
            // carried along if a name follows, as in "the Bronx"
        } else if names > 0
            && (matches!(
                bare,
                "de" | "la"
                    | "le"
                    | "of"
                    | "del"
                    | "do"
                    | "da"
                    | "am"
                    | "an"
                    | "der"
                    | "den"
                    | "upon"
                    | "on"
                    | "the"
                    | "&"
                    | "City"
                    | "y"
                    | "al"
                    | "sur"
                    | "e"
            ) && names <= 2)
        {
            // a particle, likewise
        } else {
            break;
        }
        at += word.len();
        let marks = &word.trim_end()[bare.len().min(word.trim_end().len())..];
        if marks.contains(['.', '!', ';', ':', ')']) && !(marks == "." && bare.len() <= 2)
            || bare.len() < word.trim_end().len() && marks.starts_with(['\'', '’'])
        {
            break;
        }
        if marks.contains(',') && !place {
            break;
        }
    }
    let first = body.split_whitespace().next()?.trim_matches(|c: char| !c.is_alphanumeric());
    (names > 0 && !words::is_tool(first) && !(names == 1 && words::is_demonym(&body[..end]))).then_some(end)
}

/// "a small bakery", "the university", as an employer.
fn described(body: &str) -> Option<usize> {
    let phrase = until_stop(body);
    let mut words = phrase.split_whitespace();
    let article = words.next()?;
    let second = words.next()?;
    let count = phrase.split_whitespace().count();
    let idle = [
        "the moment",
        "the time",
        "the weekend",
        "the weekends",
        "the office",
        "the end",
        "a distance",
        "a living",
        "the best",
        "a time",
        "the same",
        "a loss",
        "a bit",
        "a while",
        "a desk",
        "a fast",
        "a good",
        "a slow",
        "the top",
        "the bottom",
        "the beach",
    ];
    let starts = format!("{} {}", article.to_lowercase(), second.to_lowercase());
    (matches!(article.to_lowercase().as_str(), "a" | "an" | "the" | "my")
        && (2..=6).contains(&count)
        && !idle.contains(&starts.as_str()))
    .then_some(phrase.len())
}

/// One to three capitalised words, none of them ordinary.
fn name(body: &str, lazy: bool) -> Option<usize> {
    if lazy {
        let phrase = until_stop(body);
        let fine = (1..=2).contains(&phrase.split_whitespace().count())
            && phrase.chars().all(|c| c.is_alphabetic() || matches!(c, ' ' | '-' | '\''))
            && !phrase.split_whitespace().any(|word| {
                words::is_ordinary(word) || NOT_NAMED.split_whitespace().any(|stop| stop == word)
            });
        return fine.then_some(phrase.len());
    }
    let (mut end, mut at, mut count) = (0, 0, 0);
    for word in body.split_inclusive(' ') {
        let bare = word.trim_end_matches(|c: char| !c.is_alphanumeric());
        let particle = count > 0
            && matches!(bare, "van" | "von" | "de" | "der" | "la" | "del" | "da" | "bin" | "al" | "di");
        if bare.ends_with("'s") || bare.ends_with("’s") {
            return None; // "Anna's brother"
        }
        if !particle {
            let fine = bare.starts_with(char::is_uppercase)
                && bare.chars().all(|c| c.is_alphabetic() || matches!(c, '-' | '\'' | '’' | '.'));
            if !fine
                || (words::is_ordinary(bare) && !is_title(bare))
                || bare.split('-').any(words::is_demonym)
                || count == 3
            {
                break;
            }
            count += usize::from(!is_title(bare));
            end = at + bare.len();
        }
        at += word.len();
        let marks = word.trim_end();
        if marks.len() > bare.len() && !((bare.len() == 1 || is_title(bare)) && marks.ends_with('.')) {
            break;
        }
    }
    (count > 0).then_some(end)
}

fn is_title(word: &str) -> bool {
    matches!(word, "Dr" | "Mr" | "Mrs" | "Ms" | "Mx" | "Prof")
}

fn noun(body: &str) -> Option<usize> {
    const BAD: &str = "that how when what where why who which if to it this these those he she they you we i me him them not so very really just being having when at in on about here there for with by from of your after before without until during than and or but";
    let phrase = until_stop(body);
    let count = phrase.split_whitespace().count();
    let first = phrase.split_whitespace().next()?.to_lowercase();
    let first = first.trim_matches(|c: char| !c.is_alphanumeric());
    let pronoun = first == "it" || first.starts_with("it'") || first.starts_with("it’");
    ((1..=8).contains(&count) && !pronoun && !BAD.split_whitespace().any(|bad| bad == first))
        .then_some(phrase.len())
}

/// "peanuts, tree nuts and shellfish" as three values.
fn nouns(text: &str, range: Range<usize>) -> Vec<Range<usize>> {
    static JOINT: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)\s*,\s*(?:and |or )?(?:also )?(?:to )?|\s+(?:and|or|nor|&|plus)\s+(?:also )?(?:to )?")
    });
    let body = &text[range.clone()];
    let mut values = Vec::new();
    let mut start = 0;
    let joints =
        JOINT.find_iter(body).map(|joint| (joint.start(), joint.end())).chain([(body.len(), body.len())]);
    for (end, next) in joints {
        let piece = &body[start..end];
        let Some(length) = noun(piece) else { break };
        let length =
            piece[..length].trim_end_matches(|c: char| !c.is_alphanumeric() && !matches!(c, ')' | '"')).len();
        // Behind the first value only short pieces are items of a list.
        if length == 0 || (!values.is_empty() && piece[..length].split_whitespace().count() > 3) {
            break;
        }
        values.push(range.start + start..range.start + start + length);
        if length < piece.trim_end().len() {
            break;
        }
        start = next;
    }
    values
}

/// Length of a leading "a ", "an " or "the ".
fn article(phrase: &str) -> usize {
    let lower = phrase.get(..4).unwrap_or(phrase).to_ascii_lowercase();
    ["the ", "an ", "a "]
        .iter()
        .find(|article| lower.starts_with(**article))
        .map_or(0, |article| article.len())
}

fn role(body: &str, any: bool) -> Option<usize> {
    let phrase = until_stop(body);
    let cut = [" at ", " for ", " in ", " by ", " from ", " on ", " here", " there", " who ", " to "]
        .iter()
        .filter_map(|stop| phrase.find(stop))
        .min()
        .unwrap_or(phrase.len());
    let phrase = phrase[..cut].trim_end();
    let words: Vec<&str> = phrase.split_whitespace().collect();
    let article =
        words.first().is_some_and(|word| matches!(word.to_lowercase().as_str(), "a" | "an" | "the"));
    let named = &words[usize::from(article)..];
    let last = named.last()?;
    let head = if named.get(1) == Some(&"of") { named.first()? } else { last };
    let known = words::is_role(head) || head.eq_ignore_ascii_case("head");
    let bad = named.first().is_some_and(|word| {
        matches!(
            word.to_lowercase().as_str(),
            "bit"
                | "lot"
                | "team"
                | "good"
                | "bad"
                | "terrible"
                | "great"
                | "huge"
                | "big"
                | "slow"
                | "fast"
                | "way"
                | "means"
                | "result"
                | "whole"
                | "former"
                | "retired"
                | "wannabe"
                | "aspiring"
                | "future"
        )
    });
    (named.len() <= 5 && !bad && (any || (article && known))).then_some(phrase.len())
}

#[cfg(test)]
mod tests {
    use super::super::same;
    use super::*;

    fn first(text: &str, shape: Shape) -> Option<&str> {
        // A capital elsewhere in the text shows that the writer uses them.
        find(text, 0..text.len(), shape).first().map(|range| &text[range.clone()])
    }

    #[test]
    fn values_end_before_time_words_and_conjunctions() {
        let mut wrong = Vec::new();
        for (text, shape, expected) in [
            ("Berlin now", Shape::Place, Some("Berlin")),
            ("Berlin with my two cats", Shape::Place, Some("Berlin")),
            ("Berlin, Germany, with cats", Shape::Place, Some("Berlin, Germany")),
            ("New York City since May", Shape::Place, Some("New York City")),
            ("the Netherlands", Shape::Place, Some("the Netherlands")),
            ("San José de la Costa.", Shape::Place, Some("San José de la Costa")),
            ("berlin now", Shape::Place, Some("berlin")),
            ("fear", Shape::Place, None),
            ("the moment", Shape::Place, None),
            ("Rust for speed", Shape::Place, None),
            ("Acme as a designer", Shape::Organisation, Some("Acme")),
            ("a small bakery in town", Shape::Organisation, Some("a small bakery in town")),
            ("home", Shape::Organisation, None),
            ("Anna Schmidt, nice to meet you", Shape::Name, Some("Anna Schmidt")),
            ("When you arrive", Shape::Name, None),
            ("Anna's brother", Shape::Name, None),
            ("a software engineer at Acme", Shape::Role, Some("software engineer")),
            ("a bit tired", Shape::Role, None),
            ("a mess", Shape::Role, None),
            ("how the weather is", Shape::Noun, None),
            ("dark mode because it is nice", Shape::Noun, Some("dark mode")),
        ] {
            same(&mut wrong, text, first(text, shape), expected);
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn lists_give_one_value_each() {
        let text = "peanuts, tree nuts and shellfish";
        let values: Vec<&str> =
            find(text, 0..text.len(), Shape::Nouns).into_iter().map(|range| &text[range]).collect();
        assert_eq!(values, ["peanuts", "tree nuts", "shellfish"]);
    }

    #[test]
    fn keys_ignore_case_articles_and_marks() {
        assert_eq!(key("The  Netherlands."), "netherlands");
        assert_eq!(key("C++"), "c++");
    }
}
