//! The table of facts and constraints.
//!
//! A row says how a predicate looks in words, whose predicate it may be, how its value ends, and
//! what becomes of it. Rows match from the first word of the predicate on, so "don't live in",
//! "used to live in", "might live in" and "she said I live in" match nothing.

use cml_core::memory::FactCategory::{
    self, Attribute, Causal, Goal, Identity, Location, Occupation, Policy, Preference, Relationship, State,
    Temporal, Value,
};

use super::{
    values::Shape::{
        self, AnyRole, Clause, Group, Name, NamedOrganisation, Noun, Nouns, Organisation, Place, Rest, Role,
    },
    words,
};

/// Whose predicate a row may be, as bits.
pub(super) mod who {
    pub(crate) const FIRST: u8 = 1;
    pub(crate) const WE: u8 = 2;
    pub(crate) const IMPLIED: u8 = 4;
    pub(crate) const RELATION: u8 = 8;
    pub(crate) const NAMED: u8 = 16;
    pub(crate) const IMPERATIVE: u8 = 32;
    pub(crate) const OTHER: u8 = 64;
    /// The row looks at the whole sentence, "if" and all.
    pub(crate) const SENTENCE: u8 = 128;
    /// The speaker.
    pub(crate) const SELF: u8 = FIRST | IMPLIED;
    /// The speaker or a third person.
    pub(crate) const PERSON: u8 = SELF | RELATION | NAMED;
    /// A person or a couple.
    pub(crate) const ANYONE: u8 = PERSON | WE;
}
use who::{ANYONE, FIRST, IMPERATIVE, IMPLIED, NAMED, OTHER, PERSON, RELATION, SELF, SENTENCE, WE};

/// One way to say one thing.
pub(super) struct Row {
    pub(super) predicate: &'static str,
    /// Matches from the start of the predicate. Counted repetitions are slow in a large set; see [`fill`] for what the braces stand for. The
    /// value follows the match, or is its group `v`. Group `x` names a favourite, `rel` a relation.
    pub(super) pattern: &'static str,
    pub(super) who: u8,
    pub(super) shape: Shape,
    pub(super) category: FactCategory,
    pub(super) confidence: f64,
    pub(super) slot: Option<&'static str>,
    /// Values of the slot stand side by side.
    pub(super) many: bool,
    pub(super) ended: bool,
    /// Nothing but time words may follow the value.
    pub(super) alone: bool,
    /// The pattern looks at the clause with its subject.
    pub(super) on_clause: bool,
    pub(super) situations: &'static [&'static str],
    /// Looks at what the pattern matched and at the value.
    pub(super) check: fn(&str, &str) -> bool,
}

impl Row {
    const fn slot(mut self, slot: &'static str) -> Self {
        self.slot = Some(slot);
        self
    }
    const fn many(mut self) -> Self {
        self.many = true;
        self
    }
    const fn ended(mut self) -> Self {
        self.ended = true;
        self
    }
    const fn alone(mut self) -> Self {
        self.alone = true;
        self
    }
    const fn on_clause(mut self) -> Self {
        self.on_clause = true;
        self
    }
    const fn bears_on(mut self, situations: &'static [&'static str]) -> Self {
        self.situations = situations;
        self
    }
    const fn check(mut self, check: fn(&str, &str) -> bool) -> Self {
        self.check = check;
        self
    }
}

const fn row(
    predicate: &'static str,
    pattern: &'static str,
    who: u8,
    shape: Shape,
    category: FactCategory,
    confidence: f64,
) -> Row {
    Row {
        predicate,
        pattern,
        who,
        shape,
        category,
        confidence,
        slot: None,
        many: false,
        ended: false,
        alone: false,
        on_clause: false,
        situations: &[],
        check: |_, _| true,
    }
}

const EATING: &[&str] = &["food", "restaurant", "cooking", "shopping"];
const DRINKING: &[&str] = &["drink", "restaurant", "shopping"];
const MOVING: &[&str] = &["health", "exercise"];
const TALKING: &[&str] = &["communication"];

/// What the braces in a pattern stand for. Blanks match any white space, `'` either apostrophe.
pub(super) fn fill(source: &str) -> String {
    [
        ("{be}", "(?:'?m|'re|'s|am|are|is)"),
        ("{have}", "(?:(?:have|has|'ve|'s|ve|had) )?"),
        ("{neg}", "(?:don't|doesn't|do not|does not|dont|doesnt)"),
        ("{cannot}", "(?:can't|cannot|can not|cant|couldn't|mustn't|must not|shouldn't|should not|may not|am not allowed to|'m not allowed to|is not allowed to|am not supposed to|'m not supposed to)"),
        ("{poss}", "(?:my|our|'s|')"),
        ("{adv}", "(?:(?:just|recently|finally|currently|now|still|actually|also|really|already|officially|permanently|both|only|mainly|mostly|always|generally|usually|personally|absolutely|totally|simply|definitely|truly|do|does|very much|much|often|normally|proudly|happily|so|temporarily|presently|even|kind of|quite|genuinely|strongly|remotely|part-time|full-time) )*"),
        ("{diet}", "(?:vegetarian|vegan|pescatarian|pescetarian|flexitarian|omnivore|fruitarian|plant-based|keto|paleo|halal|kosher|lacto-vegetarian|meat[- ]eater|carnivore)"),
        ("{date}", r"(?:(?:the )?\d{1,2}(?:st|nd|rd|th)?(?: of)? {month}(?:,? \d{4})?|{month} \d{1,2}(?:st|nd|rd|th)?(?:,? \d{4})?|\d{4}-\d{2}-\d{2}|\d{1,2}[/.]\d{1,2}(?:[/.]\d{2,4})?|in {month})"),
        ("{month}", "(?:january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)"),
        ("{achieve}", r"(?:run (?:a|an|the|my|\d|half)|learn|lose|gain|become|quit|stop|give up|save|get (?:fit|fitter|better|in shape|into|promoted|healthier|healthy|stronger|my|a (?:degree|promotion|job|dog|cat|license|licence|certificate))|improve|read (?:more|\d|one|two|ten|twenty|at least|less)|write (?:a|my)|start (?:a|my|an|doing|eating|exercising|running|learning|saving)|finish (?:my|the|a|writing|school|university|college)|graduate|move (?:to|out|abroad|back|into|in with)|buy (?:a|my) (?:house|flat|home|car|boat|apartment|place|first)|pay off|travel|visit|eat (?:less|more|healthier|healthy|better|fewer)|drink (?:less|more|fewer)|sleep (?:more|better|earlier)|go to bed|exercise|work out|spend (?:less|more|no)|reduce|cut (?:down|back|out)|cut|master|reach|achieve|retire|launch|publish|climb|swim|cycle|train for|speak (?:fluent|better)|pass (?:my|the)|stay (?:healthy|fit|sober|under|on)|live (?:more|healthier|abroad|in|sustainably)|wake up|build (?:muscle|a (?:house|business|habit|company))|be (?:more|less|healthier|fluent|debt[- ]free|a better|sober|kinder)|complete|grow (?:my|a)|bulk up|avoid|limit|eat|walk|meditate|practi[sc]e|qualify|win)"),
        ("{habit}", r"(?:eat|eats|drink|drinks|schedule|take|takes|work|works|book|buy|buys|use|uses|fly|flies|drive|drives|answer|wear|wears|order|orders|cook|cooks|travel|travels|sleep|sleeps|go to|watch|read|lend|borrow|accept|skip|skips|check|do|shop|pay|pays|sign|share|deploy|commit|push|merge|tip|exercise|train|run|runs|meet|call|sit|choose|pick|carry|keep|reply|respond|start|stay|smoke|smokes|have (?:meetings|coffee|breakfast|lunch|sugar|alcohol|dinner|calls))"),
        ("'", "['’]"),
        (" ", r"\s+"),
    ]
    .into_iter()
    .fold(source.to_owned(), |source, (name, value)| source.replace(name, value))
}

/// "my dog", "the way it is", "your idea": things at hand rather than tastes.
fn is_taste(_: &str, value: &str) -> bool {
    let lower = value.to_lowercase();
    let mut words = lower.split_whitespace();
    let (first, second) = (words.next().unwrap_or(""), value.split_whitespace().nth(1).unwrap_or(""));
    match first {
        "the" => second.starts_with(char::is_uppercase),
        "my" | "your" | "our" | "his" | "her" | "their" | "its" | "you" | "him" | "them" | "us"
        | "everyone" | "everything" | "another" | "more" | "some" | "any" | "one" | "too" | "also"
        | "and" | "most" | "all" | "what's" | "seeing" | "hearing" | "anything" | "nothing" | "something"
        | "much" | "enough" | "say" | "admit" | "how" => false,
        _ => true,
    }
}

fn follows_role(hit: &str, _: &str) -> bool {
    hit.split_whitespace().rev().nth(1).is_some_and(words::is_role)
}

fn is_nationality(_: &str, value: &str) -> bool {
    value.split(['-', ' ']).all(words::is_demonym)
}

fn is_age(_: &str, value: &str) -> bool {
    value.parse::<u8>().map_or(value.chars().all(char::is_alphabetic), |age| (1..=120).contains(&age))
}

fn is_language(_: &str, value: &str) -> bool {
    value
        .split_whitespace()
        .last()
        .is_some_and(|word| word.starts_with(char::is_uppercase) || words::is_demonym(word))
}

/// "allergic to Mondays" is a figure of speech.
fn is_allergen(_: &str, value: &str) -> bool {
    const FIGURES: &[&str] = &[
        "mornings",
        "mondays",
        "monday",
        "drama",
        "work",
        "people",
        "commitment",
        "exercise",
        "nonsense",
        "bullshit",
        "stupidity",
        "change",
        "responsibility",
        "that",
        "this",
        "fun",
        "meetings",
        "housework",
    ];
    !FIGURES.contains(&value.to_lowercase().as_str())
}

fn is_standing_goal(_: &str, value: &str) -> bool {
    const PASSING: &[&str] = &[
        "know",
        "ask",
        "say",
        "see",
        "tell",
        "thank",
        "go home",
        "talk",
        "understand",
        "figure",
        "find out",
        "get this",
        "fix",
        "debug",
        "think",
        "leave",
    ];
    let lower = value.to_lowercase();
    let asks = [" how ", " why ", " what ", " if ", " whether "].iter().any(|word| lower.contains(word));
    !asks && !PASSING.iter().any(|passing| lower.starts_with(passing))
}

fn is_standing_order(hit: &str, value: &str) -> bool {
    const PASSING: &[&str] = &[
        "worry",
        "know",
        "think",
        "mind",
        "forget",
        "be",
        "you",
        "get me wrong",
        "let",
        "understand",
        "remember",
        "believe",
        "ask me why",
        "ask me how",
        "say",
        "panic",
        "miss",
        "give up",
        "have",
        "want",
        "feel",
        "even",
        "look",
        "like",
        "hesitate",
        "bother",
        "judge",
        "laugh",
        "cry",
        "blame",
        "i",
        "we",
        "wait",
        "go",
        "see",
        "care",
        "need",
        "expect",
        "tell me",
        "take this",
        "take it",
        "stop",
        "work",
        "hurt",
        "make me",
        "get it",
        "do it",
        "do that",
        "start",
        "seem",
        "a",
        "an",
        "the",
    ];
    let lower = value.to_lowercase();
    let rest = &lower[hit.len().min(lower.len())..];
    let rest = rest.trim_start();
    !PASSING.iter().any(|passing| {
        rest.strip_prefix(passing).is_some_and(|after| !after.starts_with(char::is_alphanumeric))
    })
}

fn is_cause(hit: &str, _: &str) -> bool {
    const POINTERS: &[&str] = &[
        "this",
        "that",
        "it",
        "he",
        "she",
        "you",
        "they",
        "which",
        "what",
        "who",
        "these",
        "those",
        "everything",
        "nothing",
        "something",
        "god",
        "and",
        "your",
        "his",
        "her",
        "their",
        "its",
        "there",
    ];
    let first = hit.split_whitespace().next().unwrap_or("").to_lowercase();
    !POINTERS.contains(&first.as_str())
}

/// Whether a new value of the slot closes the old one.
pub(super) fn is_single_valued(slot: &str) -> bool {
    slot == "name"
        || slot.starts_with("favourite:")
        || ROWS.iter().any(|row| row.slot == Some(slot) && !row.many)
}

/// The table. A later row never replaces an earlier one; both may speak of the same clause.
pub(super) const ROWS: &[Row] = &[
    // Name
    row("name", "^{poss} (?:full |first |real |legal |given )?name(?: is|'s|:| =)(?: actually)?", PERSON, Name, Identity, 0.95).slot("name"),
    row("name", "^(?:full )?name:", IMPLIED, Name, Identity, 0.9).slot("name"),
    row("name", "^{be} (?:called|named)", PERSON, Name, Identity, 0.9).slot("name"),
    row("name", "^{be}", FIRST, Name, Identity, 0.75).slot("name").alone().check(|_, value| value.starts_with(char::is_uppercase) && value.chars().any(char::is_lowercase)),
    row("name", "^is", RELATION, Name, Identity, 0.8).slot("name").alone(),
    row("called", "^(?:(?:please|just|you can|you may|you could|feel free to|but) )*call me", IMPERATIVE | OTHER, Name, Identity, 0.9).slot("preferred_name"),
    row("called", "^(?:goes|go) by", PERSON, Name, Identity, 0.85).slot("preferred_name"),
    row("called", "^(?:everyone|everybody|people|(?:all )?my friends|friends|they) calls? me", OTHER | FIRST, Name, Identity, 0.8).slot("preferred_name"),
    row("name", "^(?:have|has|'ve got|got|adopted|have got) an? (?:(?:new|little|older|younger|big|pet|twin|cute|golden|rescue|best|black|white) )*(?P<rel>sister|brother|wife|husband|son|daughter|girlfriend|boyfriend|partner|dog|cat|puppy|kitten|horse|rabbit|hamster|parrot) (?:named|called|whose name is)", FIRST, Name, Identity, 0.9).slot("name"),
    // Age, birthday, nationality, status
    row("age", r"^{be} {adv}(?P<v>\d{1,3}|\p{L}+(?:-\p{L}+)?) ?(?:years?[- ]old|y/o|yo)\b", PERSON, Group, Identity, 0.95).slot("age").check(is_age),
    row("age", r"^{be} an? (?P<v>\d{1,3})[- ]years?[- ]old\b", PERSON, Group, Identity, 0.9).slot("age").check(is_age),
    row("age", r"^{be} {adv}(?P<v>1[0-9]|[2-9]\d)(?:$|[.,!])", FIRST | RELATION, Group, Identity, 0.75).slot("age").alone(),
    row("age", r"^{have}{adv}turned (?P<v>[1-9]\d?)\b", PERSON, Group, Identity, 0.85).slot("age").alone(),
    row("age", r"^(?:{poss} )?age(?: is|:) ?(?P<v>\d{1,3})\b", PERSON, Group, Identity, 0.9).slot("age").check(is_age),
    row("birthday", "^{poss} birthday(?: is|'s)(?: on)? (?P<v>{date})", PERSON, Group, Temporal, 0.95).slot("birthday"),
    row("birthday", "^(?:birthday|date of birth|dob): ?(?P<v>{date})", IMPLIED, Group, Temporal, 0.9).slot("birthday"),
    row("birthday", "^(?:was |were )born on (?P<v>{date})", PERSON, Group, Temporal, 0.95).slot("birthday"),
    row("birth_year", r"^(?:was |were )?born in (?P<v>(?:19|20)\d\d)\b", PERSON, Group, Temporal, 0.95).slot("birth_year"),
    row("nationality", "^{be} {adv}(?:an? )?", PERSON, Noun, Identity, 0.85).slot("nationality").alone().check(is_nationality),
    row("nationality", "^(?:{poss} )?nationality(?: is|:)", PERSON, Noun, Identity, 0.9).slot("nationality"),
    row("relationship_status", r"^{be} {adv}(?:happily |newly |recently )?(?P<v>single|married|divorced|widowed|separated|in a relationship)(?:$|[\s,.!])", PERSON | WE, Group, Relationship, 0.9).slot("relationship_status").check(|_, value| !value.contains('-')),
    row("relationship_status", r"^{be} {adv}(?P<v>engaged)(?:$|[,.!]| to (?:my|be|\p{Lu}))", PERSON | WE, Group, Relationship, 0.85).slot("relationship_status"),
    row("relationship_status", "^{have}{adv}(?:got|gotten) (?P<v>married|divorced|engaged)", PERSON | WE, Group, Relationship, 0.9).slot("relationship_status"),
    row("relationship_status", "^(?P<v>single|married|divorced|widowed|engaged)(?:$|[.,!])", IMPLIED, Group, Relationship, 0.8).slot("relationship_status").alone(),
    row("relationship_status", "^(?:{poss} )?relationship status(?: is|:)", PERSON, Noun, Relationship, 0.9).slot("relationship_status"),
    row("relationship_status", "^(?:have |'ve )?{adv}(?P<v>broke up|broken up|split up|separated) (?:with (?:my|him|her)|last|this|in|a|two|recently)", FIRST | WE, Group, Relationship, 0.75).slot("relationship_status"),
    // Residence and origin
    row("lives_in", "^{adv}(?:live|lives|reside|resides) {adv}(?:over |out |up |down |here )?in(?: the city of)?", ANYONE, Place, Location, 0.95).slot("residence"),
    row("lives_in", "^{be} {adv}(?:living|residing|based|settled|located|domiciled) {adv}(?:out of|in|near)", ANYONE, Place, Location, 0.9).slot("residence"),
    row("lives_in", "^(?:living |based |located )(?:out of |in )", IMPLIED, Place, Location, 0.85).slot("residence"),
    row("lives_in", "^(?:have|has|'ve|'s) {adv}been (?:living|based|residing) in", ANYONE, Place, Location, 0.9).slot("residence"),
    row("lives_in", r"^{have}{adv}(?:moved|relocated|emigrated|immigrated)(?: (?:back|over|out|up|down|house|flat|here|away|again|home))*(?: from [\p{L}\s]+?)? to", ANYONE, Place, Location, 0.85).slot("residence"),
    row("lives_in", "^{have}{adv}(?:settled|settled down) in", ANYONE, Place, Location, 0.85).slot("residence"),
    row("lives_in", "^{poss} (?:current )?(?:home|city|home city|residence|place of residence|location) is {adv}(?:in )?", PERSON | WE, Place, Location, 0.85).slot("residence"),
    row("lives_in", "^(?:location|city|residence|lives in|current city|home city|based in):", IMPLIED, Place, Location, 0.9).slot("residence"),
    row("lives_in", "^{have}{adv}(?:moved|gone|relocated) (?:away |out )(?:from|of)", ANYONE, Place, Location, 0.9).slot("residence").ended(),
    row("lives_in", "^{be} {adv}no longer (?:living|based) in", ANYONE, Place, Location, 0.9).slot("residence").ended(),
    row("lives_in", "^{adv}no longer (?:live|lives|reside) in", ANYONE, Place, Location, 0.95).slot("residence").ended(),
    row("lives_in", "^{neg} live in (?P<v>.+?) (?:anymore|any more|any longer|now)", ANYONE, Group, Location, 0.9).slot("residence").ended(),
    row("lives_in", "^{have}{adv}left", FIRST | WE, Place, Location, 0.6).slot("residence").ended().alone(),
    row("from", "^{be} {adv}(?:originally )?from", ANYONE, Place, Location, 0.85).slot("origin"),
    row("from", "^{poss} home ?town is", PERSON, Place, Location, 0.9).slot("origin"),
    row("from", "^hometown:", IMPLIED, Place, Location, 0.85).slot("origin"),
    row("grew_up_in", "^{adv}(?:grew up|was raised|was brought up) in", ANYONE, Place, Location, 0.9).slot("grew_up_in"),
    row("born_in", "^(?:was |were )?born (?:and raised )?in", PERSON, Place, Location, 0.9).slot("birthplace"),
    // Work and study
    row("works_at", "^{adv}(?:work|works) {adv}(?:at|for)", ANYONE, Organisation, Occupation, 0.95).slot("employer"),
    row("works_at", "^{be} {adv}(?:working|employed|interning) {adv}(?:at|for|by)", ANYONE, Organisation, Occupation, 0.9).slot("employer"),
    row("works_at", "^(?:have|has|'ve|'s) {adv}been (?:working|employed) (?:at|for|by)", ANYONE, Organisation, Occupation, 0.9).slot("employer"),
    row("works_at", "^(?:work|works|{be} {adv}working) as an? .+? (?:at|for|with)", ANYONE, NamedOrganisation, Occupation, 0.9).slot("employer"),
    row("works_at", "^(?:work|works) in .+? (?:at|for)", ANYONE, NamedOrganisation, Occupation, 0.85).slot("employer"),
    row("works_at", "^{be} {adv}(?:an?|the) .+? (?:at|for|with)", ANYONE, NamedOrganisation, Occupation, 0.85).slot("employer").check(follows_role),
    row("works_at", "^{have}{adv}(?:started|begun|began)(?: (?:work|working|a (?:new )?(?:job|position|role)|my new (?:job|position|role)|the new job))?(?: as an? .+?)? (?:at|with|for)", ANYONE, NamedOrganisation, Occupation, 0.85).slot("employer"),
    row("works_at", "^{have}{adv}(?:got|landed|accepted|took) (?:hired|an?|the|my)(?: new| dream)?(?: job| offer| position| role)? (?:at|by|with|from)", ANYONE, NamedOrganisation, Occupation, 0.8).slot("employer"),
    row("works_at", r"^{have}{adv}joined (?P<v>(?-i:\p{Lu}[\w&.-]*(?: \p{Lu}[\w&.-]*){0,3})) as an? ", ANYONE, Group, Occupation, 0.85).slot("employer"),
    row("works_at", "^{poss} (?:new |current )?(?:employer|company|workplace) is(?: called)?", PERSON, NamedOrganisation, Occupation, 0.9).slot("employer"),
    row("works_at", "^(?:employer|company|workplace):", IMPLIED, Organisation, Occupation, 0.9).slot("employer"),
    row("works_at", "^{adv}no longer (?:work|works) (?:at|for)", ANYONE, Organisation, Occupation, 0.95).slot("employer").ended(),
    row("works_at", "^{be} {adv}no longer (?:working |employed |with |at )+(?:at |for |by )?", ANYONE, NamedOrganisation, Occupation, 0.9).slot("employer").ended(),
    row("works_at", "^{neg} work (?:at|for) (?P<v>.+?) (?:anymore|any more|any longer|now)", ANYONE, Group, Occupation, 0.9).slot("employer").ended(),
    row("works_at", "^(?:{have}|was |were |got |been )*{adv}(?:left|quit|resigned from|fired from|fired by|laid off from|laid off by|let go by|retired from|stopped working (?:at|for))(?: (?:my|the) (?:old )?(?:job|position|role) (?:at|with))?", ANYONE, NamedOrganisation, Occupation, 0.8).slot("employer").ended().alone(),
    row("works_as", "^(?:work|works|{be} {adv}(?:working|employed)|have been working|'ve been working) {adv}as(?: an?| the)?", PERSON, AnyRole, Occupation, 0.95).slot("job").check(|_, value| !matches!(value.split(' ').next().unwrap_or(""), "well" | "usual" | "expected" | "intended" | "much" | "hard" | "long" | "fast" | "little" | "if" | "one")),
    row("works_as", "^(?:{be} )?{adv}work(?:s|ing)? (?:at|for|with) .+? as (?:an?|the|their|our)", PERSON, AnyRole, Occupation, 0.9).slot("job"),
    row("works_as", "^{be} {adv}", PERSON, Role, Occupation, 0.9).slot("job"),
    row("works_as", "^{have}{adv}(?:became|become|qualified as|trained as|been promoted to|got promoted to|was promoted to)", PERSON, AnyRole, Occupation, 0.8).slot("job").check(|_, value| words::is_role(value.rsplit(' ').next().unwrap_or(""))),
    row("works_as", r"^{have}{adv}(?:started|joined|began)\b.*? as (?:an?|the|their)", PERSON, AnyRole, Occupation, 0.85).slot("job"),
    row("works_as", "^{poss} (?:current |new )?(?:job|profession|occupation|role|work) is", PERSON, Role, Occupation, 0.85).slot("job"),
    row("works_as", "^{poss} (?:current |new )?job title is", PERSON, AnyRole, Occupation, 0.9).slot("job"),
    row("works_as", "^(?:job|occupation|profession|job title|role):", IMPLIED, AnyRole, Occupation, 0.9).slot("job"),
    row("works_as", "^{be} {adv}(?P<v>retired|unemployed|self-employed|between jobs|a stay-at-home (?:mom|mum|dad|parent))(?:$|[ ,.!])", PERSON, Group, Occupation, 0.9).slot("job"),
    row("works_as", "^{have}{adv}(?P<v>retired)(?:$|[.,!]| (?:last|in|this|two|three|a|early|recently|after|at))", PERSON, Group, Occupation, 0.85).slot("job"),
    row("works_as", "^(?:{be} )?{adv}no longer (?:{be} |an? |works? as an? )+", PERSON, AnyRole, Occupation, 0.85).slot("job").ended().check(|_, value| words::is_role(value.rsplit(' ').next().unwrap_or(""))),
    row("works_as", r"^{be} not an? (?P<v>[\p{L} -]+?) (?:anymore|any more|any longer)", PERSON, Group, Occupation, 0.85).slot("job").ended().check(|_, value| words::is_role(value.rsplit(' ').next().unwrap_or(""))),
    row("studies", "^{adv}(?:study|studies|major in|majors in)", PERSON, Noun, Occupation, 0.85).slot("studies"),
    row("studies", "^{be} {adv}(?:studying|majoring in|doing a degree in|doing a phd in)", PERSON, Noun, Occupation, 0.85).slot("studies"),
    row("studies_at", r"^(?:{be} )?{adv}(?:study|studies|studying)(?: [\p{L} ]+?)? at", PERSON, NamedOrganisation, Occupation, 0.85).slot("school"),
    row("teaches", "^{adv}(?:teach|teaches)", PERSON, Noun, Occupation, 0.8).many(),
    // Family and pets
    row("has", "^(?:have|has|'ve got|have got|adopted|{have}got) (?:an?|one|two|three|four|five|six) (?:(?:older|younger|little|big|twin|small|new|rescue|pet|lovely|beautiful|young|grown|old|teenage) )*(?:sister|brother|sibling|son|daughter|kid|child|children|dog|cat|puppy|kitten|horse|rabbit|hamster|parrot|goldfish|wife|husband|girlfriend|boyfriend|grandchild|niece|nephew)(?:s|ren)?(?:$|[,.!;]| (?:and|who|that|named|called|in|now|at|from|with|since|last|this|aged)\\b)", PERSON | WE, Clause, Relationship, 0.85).many(),
    row("married_to", "^{be} {adv}(?:married|engaged) to", PERSON, Name, Relationship, 0.85).slot("spouse"),
    // Diet
    row("diet", "^{be} {adv}(?:an? )?(?:(?:strict|lifelong|committed|practi[sc]ing) )?(?P<v>{diet})(?:$|[\\s,.!])", ANYONE, Group, Preference, 0.95).slot("diet").bears_on(EATING),
    row("diet", "^(?:strict(?:ly)? )?(?P<v>{diet})(?:$|[,.!])", IMPLIED, Group, Preference, 0.85).slot("diet").bears_on(EATING).alone(),
    row("diet", "^{have}{adv}(?:became|become|gone|went|turned|been|switched to|started eating)(?: an?)? (?P<v>{diet})(?:$|[\\s,.!])", ANYONE, Group, Preference, 0.9).slot("diet").bears_on(EATING),
    row("diet", "^{adv}(?:only |strictly )?(?:eats?|follows?|keeps?|{be} on|{be} following) (?:an? |strictly |only )?(?P<v>{diet}|low[- ]carb|low[- ]fat|low[- ]sodium|gluten[- ]free|dairy[- ]free|mediterranean|fodmap|sugar[- ]free)(?: diet| food)?(?:$|[\\s,.!])", ANYONE, Group, Preference, 0.9).slot("diet").bears_on(EATING),
    row("diet", "^(?:{poss} )?diet(?: is|:)", PERSON, Noun, Preference, 0.85).slot("diet").bears_on(EATING),
    row("diet", "^{be} (?:no longer|not)(?: an?)? (?P<v>{diet})(?: anymore| any more| any longer)?", ANYONE, Group, Preference, 0.9).slot("diet").bears_on(EATING).ended().check(|hit, _| hit.contains("no longer") || hit.contains(" any")),
    row("diet", "^{have}{adv}stopped being(?: an?)? (?P<v>{diet})", ANYONE, Group, Preference, 0.9).slot("diet").bears_on(EATING).ended(),
    // Constraint: state
    row("allergic_to", "^(?:{be} )?{adv}(?:(?:severely|deathly|highly|mildly|very|terribly|extremely|slightly) )?allergic to", ANYONE, Nouns, State, 0.95).slot("allergy").many().bears_on(EATING).check(is_allergen),
    row("allergic_to", "^(?:have|has|'ve got|got|have got) (?:an? )?(?:(?:severe|bad|mild|serious|strong|terrible) )*allerg(?:y|ies) to", ANYONE, Nouns, State, 0.95).slot("allergy").many().bears_on(EATING),
    row("allergic_to", r"^(?:have|has|'ve got|got|have got) (?:an? )?(?:(?:severe|bad|mild|serious|strong|terrible) )*(?P<v>\p{L}+(?:\s\p{L}+)?) allerg(?:y|ies)\b", ANYONE, Group, State, 0.95).slot("allergy").many().bears_on(EATING),
    row("allergic_to", "^{be} no longer allergic to", ANYONE, Nouns, State, 0.9).slot("allergy").many().ended().bears_on(EATING),
    row("allergic_to", "^(?:{poss} )?(?:food )?allerg(?:y|ies)(?: is| are|:)(?: to)?", SELF, Nouns, State, 0.85).slot("allergy").many().bears_on(EATING),
    row("intolerant_to", "^(?:{be} )?{adv}(?P<v>lactose|gluten|histamine|fructose|dairy|wheat)[- ]intolerant", ANYONE, Group, State, 0.95).slot("allergy").many().bears_on(EATING),
    row("intolerant_to", "^(?:{be} )?{adv}intolerant (?:to|of)", ANYONE, Nouns, State, 0.9).slot("allergy").many().bears_on(EATING),
    row("avoids", "^{adv}{cannot} (?:eat|have|tolerate|digest|consume|stomach)", ANYONE, Nouns, State, 0.9).slot("avoids").many().bears_on(EATING).check(is_taste),
    row("avoids", "^{adv}(?:{neg} (?:eat|consume)|never eats?|avoids? eating|stopped eating|gave up|have given up|'ve given up|cut out)", ANYONE, Nouns, State, 0.9).slot("avoids").many().bears_on(EATING).check(is_taste),
    row("avoids", "^{adv}(?:{neg} drink|never drinks?|{cannot} drink|stopped drinking|avoids? drinking)", ANYONE, Nouns, State, 0.9).slot("avoids").many().bears_on(DRINKING).check(is_taste),
    row("avoids", "^{adv}avoids?", PERSON, Nouns, State, 0.85).slot("avoids").many().check(is_taste),
    row("eats_only", "^(?:only|exclusively) eats?|^eats? (?:only|exclusively)|^{cannot} eat anything (?:but|except)", ANYONE, Noun, State, 0.9).bears_on(EATING),
    row("condition", r"^(?:have|has|'ve got|have got|suffer from|suffers from|was diagnosed with|{have}{adv}been diagnosed with|{be} diagnosed with|live with|lives with) (?:an? |my |really |very |chronic |severe |mild |bad |type [12] )*(?P<v>(?:celiac|coeliac|diabetes|type [12] diabetes|asthma|eczema|migraines?|adhd|add|autism|dyslexia|insomnia|high blood pressure|hypertension|high cholesterol|epilepsy|arthritis|gout|ibs|crohn's|endometriosis|anxiety|depression|ptsd|sciatica|scoliosis|tinnitus|vertigo|sleep apn(?:o)?ea|acid reflux|heartburn|anemia|anaemia|cancer|(?:bad|weak|sore|broken|injured|sprained) (?:knees?|back|ankle|shoulder|wrist|hip|leg|arm|foot|neck)|back pain|knee pain|heart (?:condition|disease)|fear of [\p{L} ]+|hearing loss|low vision|pacemaker)\b(?: disease)?)", ANYONE, Group, State, 0.9).slot("condition").many().bears_on(&["health", "exercise", "food"]),
    row("condition", "^{be} {adv}(?:an? )?(?:\\d+ weeks |\\w+ months |type [12] )?(?P<v>pregnant|diabetic|asthmatic|colou?r-?blind|deaf|blind|hard of hearing|dyslexic|autistic|epileptic|celiac|coeliac|breastfeeding|anemic|anaemic|insulin[- ]resistant|claustrophobic|fasting|sober|hypertensive|in a wheelchair|on crutches|left-handed|an? recovering alcoholic)(?:$|[\\s,.!])", ANYONE, Group, State, 0.9).slot("condition").many().bears_on(&["health", "exercise", "food", "travel"]),
    row("condition", "^{have}{adv}(?:broke|broken|injured|hurt|sprained|twisted|tore|torn|fractured|dislocated) (?:my|his|her|the)", FIRST | RELATION | NAMED, Noun, State, 0.8).slot("condition").many().bears_on(MOVING).check(|_, value| ["leg", "arm", "knee", "ankle", "back", "wrist", "shoulder", "foot", "toe", "finger", "hand", "hip", "neck", "rib", "ribs", "elbow", "hamstring", "acl", "calf", "collarbone", "achilles", "muscle", "meniscus"].iter().any(|part| value.to_lowercase().split_whitespace().any(|word| word == *part))),
    row("condition", "^{be} {adv}(?:recovering from|scared of|afraid of|terrified of|phobic of|taking medication for|being treated for)", FIRST | RELATION | NAMED, Noun, State, 0.85).slot("condition").many().bears_on(&["health", "exercise", "travel"]),
    row("budget", "^{be} {adv}on (?P<v>an? (?:very )?(?:tight|strict|limited|small|low|student)?(?: budget))(?: of)?", ANYONE, Group, State, 0.9).slot("budget").bears_on(&["money", "shopping", "travel", "restaurant", "gift"]),
    row("budget", r"^{poss} (?:[\p{L} ]+ )?budget (?:is|for [\p{L} ]+ is)(?: about| around| only| up to| at most| limited to| capped at| roughly)*", FIRST | WE, Noun, State, 0.9).slot("budget").bears_on(&["money", "shopping", "travel", "restaurant", "gift"]),
    row("budget", r"^(?:{be} on a budget of|have a budget of|{cannot} spend more than|can(?:not)? only spend|can afford (?:at most|up to))", FIRST | WE, Noun, State, 0.9).slot("budget").bears_on(&["money", "shopping", "travel", "restaurant", "gift"]),
    row("budget", r"^budget:", IMPLIED | OTHER, Noun, State, 0.85).slot("budget").bears_on(&["money", "shopping"]),
    row("takes", "^{be} {adv}(?:on|taking) (?P<v>antibiotics|medication|blood thinners|insulin|antidepressants|statins|beta blockers|ssris?|metformin|warfarin)", FIRST | RELATION | NAMED, Group, State, 0.9).many().bears_on(&["health", "food", "drink"]),
    row("has_no", "^{neg} (?:have|own) (?:an? |any )?(?P<v>car|oven|driver's licen[sc]e|driving licen[sc]e|passport|microwave|kitchen|garden|balcony|credit card|smartphone|tv|dishwasher|gym membership)", FIRST | WE, Group, State, 0.85).many().bears_on(&["travel", "home", "shopping"]),
    row("cannot", "^{cannot} (?P<v>(?:swim|drive|ride|cook|lift|run|walk|climb|fly|read|hear|see|stand for long|sit for long|work)\\b.*)", FIRST | RELATION, Group, State, 0.75).many().bears_on(&["travel", "exercise"]),
    // Constraint: goal
    row("goal", "^(?:really |also |always |still |just |do )*(?:wanted to|want to|wants to|hope to|hopes to|aim to|aims to|intend to|would love to|plan to|plans to|{be} (?:really |currently |also |still )?(?:trying|aiming|hoping|planning|determined|working hard|striving|going) to) (?P<v>{achieve}\\b.*)", PERSON | WE, Group, Goal, 0.85).many().check(is_standing_goal),
    row("goal", "^(?:my|our|'s) (?:main |biggest |big |new |long-term |short-term |career |fitness |financial |current |ultimate |next |new year's )*(?:goal|aim|objective|ambition|resolution|dream|target)(?: for [\\w ]+?| this (?:year|month|week))? is(?: to)?", FIRST | WE | RELATION | NAMED, Rest, Goal, 0.9).many(),
    row("goal", "^(?:goal|goals|objective): ?(?:to )?", IMPLIED | OTHER, Rest, Goal, 0.8).many(),
    row("goal", "^(?:have|'ve) (?:set|got) (?:myself )?(?:a|the|my) goal (?:of|to)", FIRST, Rest, Goal, 0.9).many(),
    row("goal", "^{be} {adv}(?:training for|saving up for|saving for|studying for|preparing for|working towards?|working on becoming|learning)(?: to)?", PERSON | WE, Rest, Goal, 0.85).many().check(|_, value| !value.to_lowercase().starts_with("a lot") && !value.to_lowercase().starts_with("so much")),
    row("goal", "^(?:want|need|have) to (?P<v>.+? (?:by|before|until) (?:the end of .*|(?:next |this )?(?:january|february|march|april|may|june|july|august|september|october|november|december|summer|autumn|fall|winter|spring|christmas|year|20\\d\\d)\\b.*))", FIRST | WE, Group, Goal, 0.85).many().check(is_standing_goal),
    // Constraint: value
    row("values", r"^(?P<v>.+?) (?:really |truly |always )?(?:matters?|means?) (?:a lot|a great deal|so much|very much|most|the most|more than anything|the world|everything|deeply) to (?:me|us)", OTHER | FIRST | NAMED | RELATION, Group, Value, 0.9).many().on_clause().check(is_cause),
    row("values", r"^(?P<v>.+?) (?:really |truly )?matters? to (?:me|us)\b", OTHER | FIRST | NAMED, Group, Value, 0.9).many().on_clause().check(is_cause),
    row("values", r"^(?P<v>.+?) (?:is|are) (?:very |really |extremely |so |super |incredibly |most |quite )?(?:important|essential|crucial|sacred|non-negotiable|everything) (?:to|for) (?:me|us)\b", OTHER | FIRST | NAMED, Group, Value, 0.9).many().on_clause().check(is_cause),
    row("values", "^it(?:'s| is) (?:very |really |extremely |so |super )?(?:important|essential|crucial) (?:to|for) me (?:that|to)", OTHER, Rest, Value, 0.9).many(),
    row("values", "^what matters (?:most )?to me (?:most )?is|^the most important thing (?:to|for) me is", OTHER, Rest, Value, 0.9).many(),
    row("values", "^{adv}(?:deeply |strongly |firmly |genuinely )?(?:care|cares) (?:(?:deeply|a lot|very much|passionately|strongly|so much|most) )?about", PERSON, Noun, Value, 0.85).many(),
    row("values", "^{adv}(?:deeply |strongly |firmly )?(?:value|values|believe in|believes in|stand for|{be} passionate about|{be} committed to)", PERSON, Noun, Value, 0.85).many().check(is_taste),
    row("rejects", "^{neg} (?:believe in|support|want to support|agree with)", PERSON, Noun, Value, 0.8).many().check(is_taste),
    // Constraint: cause
    row("causes", r"^(?:if|when|whenever|every time|each time|anytime) i .+?,?\s(?:then )?i (?:always |usually |often |just |tend to |really |get |can't|cannot|won't|feel|end up|have trouble|struggle|sleep|wake|start|lose|become|break|am|'m|don't)", SENTENCE, Clause, Causal, 0.85).many().check(|hit, _| !hit.to_lowercase().contains(" was ")),
    row("causes", r"^.+? (?:always |usually |really |often |sometimes |just )?(?:makes?|keeps?|leaves?) me (?:feel |very |really |too |so |extremely |all |up|awake|[\p{L}]+)", SENTENCE, Clause, Causal, 0.8).many().check(is_cause),
    row("causes", r"^.+? (?:always |usually |often )?(?:gives?) me (?:a |an |terrible |bad |really |such )*(?:headaches?|migraines?|hives|heartburn|anxiety|rash(?:es)?|nightmares|stomach ?aches?|jitters|energy|bloating|cramps|indigestion|acne)", SENTENCE, Clause, Causal, 0.9).many().check(is_cause),
    row("causes", r"^.+? (?:triggers?|worsens?|aggravates?|upsets?|irritates?) my [\p{L} ]{3,}", SENTENCE, Clause, Causal, 0.85).many().check(is_cause),
    row("causes", r"^i (?:always |usually |often )?(?:get|have) (?:a |an |bad |terrible |really )*(?:headaches?|migraines?|anxious|carsick|seasick|nauseous|heartburn|sleepy|grumpy|cranky|hives|sick|dizzy|bloated|jittery) (?:from|when|whenever|if|after)\b", SENTENCE, Clause, Causal, 0.9).many(),
    row("causes", r"^i (?:can't|cannot|don't|avoid|always|never|prefer|only|usually|stopped|quit|gave up) .+? (?:because|since it|as it) .{3,}", SENTENCE, Clause, Causal, 0.8).many().check(|hit, _| !hit.to_lowercase().contains("don't know") && !hit.to_lowercase().contains("don't think")),
    row("causes", r"^i (?:can't|cannot) (?:sleep|focus|concentrate|work|relax|function|think|drive|eat|breathe)\b.*? (?:if|when|unless|without|after)\b", SENTENCE, Clause, Causal, 0.9).many(),
    // Constraint: policy
    row("policy", "^(?:please )?(?:never|don't ever|do not ever)", IMPERATIVE, Clause, Policy, 0.9).many().check(is_standing_order),
    row("policy", "^(?:please )?always", IMPERATIVE, Clause, Policy, 0.9).many().check(is_standing_order),
    row("policy", "^(?:please )?(?:don't|do not)", IMPERATIVE, Clause, Policy, 0.8).many().check(is_standing_order),
    row("policy", "^(?:from now on|in (?:the )?future|going forward|under no circumstances|whenever|when(?:ever)? (?:i|you|we) [\\p{L} ]+, (?:always|never|please|use|make))", IMPERATIVE | OTHER, Clause, Policy, 0.85).many(),
    row("policy", "^(?:please )?make sure (?:to always|you always|to never|you never|that you (?:always|never)|all|every|that (?:all|every))", IMPERATIVE, Clause, Policy, 0.85).many(),
    row("policy", "^(?:please )?(?:only )?(?:(?:answer|reply|respond|speak|talk|address me|communicate)(?: to me| me| back)? (?:in|with|using|as|briefly|only)|write(?: to me)? (?:in|using))\\b", IMPERATIVE | OTHER, Clause, Policy, 0.85).many().bears_on(TALKING),
    row("policy", "^(?:please )?(?:only )?use (?:only )?(?:metric|imperial|british|american|formal|informal|bullet|spaces|tabs|simple|short|plain|the 24|24|celsius|fahrenheit|markdown|emojis?|rust|python|typescript|type hints|snake_case|camelcase|semicolons|single quotes|double quotes|conventional commits)", IMPERATIVE | OTHER, Clause, Policy, 0.8).many(),
    row("policy", "^(?:please )?keep (?:your |the |all |my |it |them )*(?:answers?|responses?|replies|messages|explanations?|emails|it|them|commits?|functions|things) (?:very |really )?(?:short|brief|concise|simple|formal|under|small|private|confidential|polite|professional|to)", IMPERATIVE | OTHER, Clause, Policy, 0.85).many().bears_on(TALKING),
    row("policy", "^no (?:meetings?|calls?|emojis?|onions?|meat|dairy|nuts|gluten|sugar|alcohol|pork|beef|seafood|spicy|phone calls?|notifications?|emails?|jargon|spoilers?|small talk|work|screens?|coffee|caffeine|pets|smoking|shoes|deploys?|deployments?|force[- ]push(?:es)?)\\b", IMPERATIVE, Clause, Policy, 0.85).many(),
    row("policy", "^(?:please )?(?:only|ask)(?: me)? (?:schedule|book|call|contact|message|suggest|recommend|email|before|first|use|buy|order|remind|if you)\\b", IMPERATIVE | OTHER, Clause, Policy, 0.8).many(),
    row("policy", "^(?:always|never) {habit}\\b", SELF | RELATION | NAMED | WE, Clause, Policy, 0.85).many(),
    row("policy", "^{neg} (?:take|schedule|accept|do|answer|work|book|want|lend|allow|check|fly|use|share|deploy|hold|attend|wear|buy|smoke|drive|go out|eat out|shop) .+?\\b(?:before|after|on (?:mon|tues|wednes|thurs|fri|satur|sun)days?|on weekends|at weekends|at night|without|during|until|unless|past|in the (?:morning|evening|afternoon)|at all)\\b", FIRST | WE, Clause, Policy, 0.85).many(),
    row("policy", "^(?:my|our) (?:own |personal |golden |only |one |number one |team |team's |company |house )*(?:rule|policy|principle|guideline|standard)s?(?: for [\\p{L} ]+)? (?:is|are|:)(?: that| to)?", FIRST | WE, Rest, Policy, 0.9).many(),
    row("policy", "^(?:you (?:must|should|may|can) (?:never|always|not|only)|you are not allowed to|you mustn't|you shouldn't)", OTHER, Clause, Policy, 0.75).many(),
    row("policy", "^.+? (?:is|are) (?:strictly |absolutely )?(?:forbidden|not allowed|prohibited|off[- ]limits|mandatory)$", OTHER, Clause, Policy, 0.8).many().check(is_cause),
    row("policy", "^{poss} (?:working hours|work hours|office hours|quiet hours|bedtime) (?:are|is)", FIRST | WE, Rest, Policy, 0.85).many().bears_on(&["schedule", "meeting", "work"]),
    row("policy", "^{be} (?:not available|unavailable|only available|only free|never available) (?:before|after|on|between|during|in|until|from)\\b", FIRST | WE, Clause, Policy, 0.8).many().bears_on(&["schedule", "meeting"]),
    // Tastes
    row("favourite", r"^{poss} (?:all[- ]time |absolute |personal |new |current |very )*favou?rite (?P<x>[\p{L}\d' -]+?)(?: of all time| ever| in the world)?(?: is| are| was always|'s| has to be| would be| has always been| will always be|:)(?: definitely| probably| still| now| currently| actually| called)*", PERSON | WE, Noun, Preference, 0.95).check(|hit, _| !hit.contains(" about ")),
    row("favourite", r"^favou?rite (?P<x>[\p{L}\d' -]+?)(?: is| are|:)", IMPLIED, Noun, Preference, 0.9),
    row("favourite", r"^(?P<v>.+?) (?:is|are)(?: definitely| probably| still| now| by far)? my (?:all[- ]time |absolute |new )*favou?rite (?P<x>[\p{L}' -]+?)(?: of all time| ever| now)?$", OTHER | NAMED, Group, Preference, 0.9).on_clause().check(is_cause),
    row("prefers", "^{adv}(?:prefer|prefers)(?: to have| having)?", PERSON | WE, Rest, Preference, 0.95).many().check(|_, value| !value.to_lowercase().starts_with("not to say")),
    row("likes", "^{adv}(?:like|likes|love|loves|adore|adores|enjoy|enjoys)(?: to)?", PERSON | WE, Nouns, Preference, 0.85).many().check(is_taste),
    row("likes", "^{be} {adv}(?:an? )?(?:(?:big|huge|massive|great|lifelong|die-hard) )*(?:fan of|into|fond of|keen on|obsessed with|crazy about|partial to|addicted to)", PERSON, Nouns, Preference, 0.85).many().check(is_taste),
    row("dislikes", "^{adv}(?:hate|hates|dislike|dislikes|detest|detests|loathe|loathes|despise|can't stand|cannot stand|can't bear|cannot bear)(?: to)?", PERSON | WE, Nouns, Preference, 0.85).many().check(is_taste),
    row("dislikes", "^{neg} (?:really |much |particularly |actually )?(?:like|enjoy|care for|love)(?: to)?", PERSON | WE, Nouns, Preference, 0.85).many().check(is_taste),
    row("dislikes", "^{be} not (?:really )?(?:an? )?(?:(?:big|huge) )*(?:fan of|into|fond of|keen on)", PERSON, Nouns, Preference, 0.85).many().check(is_taste),
    // Other lasting properties
    row("speaks", "^{adv}(?:speak|speaks)(?: (?:fluent|some|a little|a bit of|basic|good|native))?", PERSON, Nouns, Attribute, 0.9).slot("languages").many().check(is_language),
    row("plays", "^{adv}(?:play|plays)(?: the)?", PERSON, Nouns, Attribute, 0.8).many().check(is_taste),
    row("uses", "^{adv}(?:use|uses)", PERSON, Nouns, Attribute, 0.8).many().check(is_taste),
    row("drives", "^{adv}(?:drive|drives) an?", PERSON, Noun, Attribute, 0.85).slot("car"),
    row("owns", "^{adv}(?:own|owns)", PERSON | WE, Nouns, Attribute, 0.85).many().check(is_taste),
    row("drinks", "^{adv}(?:drink|drinks)", PERSON, Nouns, Preference, 0.75).many().check(is_taste),
    row("religion", r"^{be} {adv}(?:an? )?(?:practi[sc]ing |devout |roman )?(?P<v>catholic|jewish|muslim|christian|buddhist|hindu|atheist|agnostic|protestant|sikh|mormon|orthodox)(?:$|[ ,.!])", PERSON | WE, Group, Identity, 0.85).slot("religion"),
    row("pronouns", r"^{poss} pronouns are (?P<v>\p{L}+/\p{L}+(?:/\p{L}+)?)", PERSON, Group, Identity, 0.95).slot("pronouns"),
    row("timezone", r"^(?:{poss} time ?zone is|time ?zone:)", SELF, Noun, Attribute, 0.9).slot("timezone"),
];
