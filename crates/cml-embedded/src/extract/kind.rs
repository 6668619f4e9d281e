//! The kind of memory a text is, by the shape of its sentences.

use std::{ops::Range, sync::LazyLock};

use cml_core::memory::{FactCategory, MemoryType, Role};
use regex::{Regex, RegexSet};

use super::{Statement, clauses, pattern, pattern_set};

/// Shape and kind; the first row that matches a sentence counts. `^` is the first word behind a
/// lead-in such as "well,".
const ROWS: &[(MemoryType, &str)] = &[
    (MemoryType::EpisodicEvent, r"^(?:never ?mind|never have i|always a |don['’]t worry)\b"),
    (
        MemoryType::Procedure,
        r"^(?:steps?(?: to| for)?\b.*?:|how to \w+.*?:|to [\p{L}]+ .+?, (?:first|you (?:need|have|must|should)|start|open|run|go|click|press|use|simply|just|type|set)\b)",
    ),
    (MemoryType::Procedure, r"\bfirst,? .+?[,;.]? (?:and )?(?:then|next|after that|finally)\b.{3,}"),
    (
        MemoryType::Hypothesis,
        r"^(?:maybe|perhaps|possibly|presumably|i (?:guess|suspect|suppose|assume|wonder (?:if|whether))|i think (?:that )?(?:perhaps|maybe|it might|this might|it may|it could)|it (?:might|may|could) be|my (?:guess|theory|hypothesis|suspicion) is|what if|(?:one )?hypothesis\b)",
    ),
    (
        MemoryType::Hypothesis,
        r"\b(?:might|may|could) (?:be|have been) (?:the (?:cause|reason)|because|due to|caused by|related)\b|\bprobably (?:because|due to|caused)\b",
    ),
    (
        MemoryType::Constraint,
        r"\ballergic to\b|\ballerg(?:y|ies) to\b|\b(?:lactose|gluten|dairy)[- ]intolerant\b|\b(?:can(?:['’]t|not)|must(?:n['’]t| not)|may not|should(?:n['’]t| not)) (?:eat|have|drink|exceed|use|spend|share|be (?:used|shared|exceeded|stored|changed))\b",
    ),
    (
        MemoryType::Constraint,
        r"^(?:please )?(?:never|always|do not|don['’]t ever|under no circumstances|from now on|no (?:meetings?|calls?|emojis?|nuts|dairy|meat|deploys?|deployments?|exceptions))\b",
    ),
    (
        MemoryType::Constraint,
        r"^(?:i|we) (?:never|always|only) (?:eat|drink|schedule|take|work|book|buy|use|fly|wear|order|travel|accept|deploy|share|merge|push)\b|\b(?:my|our|the) (?:\w+ )?(?:rule|policy|budget|limit) (?:is|for)\b|\b(?:on a|a) (?:tight |strict )?budget\b|\bis (?:not allowed|forbidden|mandatory|required|non-negotiable)\b|\b(?:must|has to|have to) (?:be|never|always|not)\b|\bmatters? (?:a lot |most )?to me\b|\bimportant to me\b|\bcan['’]t sleep (?:if|when)\b",
    ),
    (
        MemoryType::Preference,
        r"\b(?:prefers?|preferred|favou?rite)\b|^(?:i|we|he|she|they|the user|my \p{L}+|[\p{L}]+)? ?(?:really |absolutely |do |also |just )*(?:likes?|loves?|hates?|dislikes?|enjoys?|adores?|detests?|loathes?)\s\p{L}|\b(?:can['’]t stand|fan of|fond of|keen on|would rather|['’]d rather)\b|\b(?:don['’]t|doesn['’]t|do not|does not) (?:really )?(?:like|enjoy|care for)\b",
    ),
    (
        MemoryType::Plan,
        r"^(?:i['’]m|i am|we['’]re|we are|he['’]s|she['’]s|they['’]re|\p{Lu}\p{L}+ is) (?:\w+ )?(?:going to|gonna|planning|about to|moving to|flying to|travell?ing to|starting (?:a|my|at)|getting married|meeting)\b|\b(?:plan|plans|planning|intend|intends|hope|hopes) to\b|^(?:i|we|he|she|they)(?:['’]ll| will| shall)\b|\b(?:next (?:week|month|year|weekend|summer|winter|spring|autumn|fall|monday|tuesday|wednesday|thursday|friday|saturday|sunday)|tomorrow|this weekend|in (?:two|three|a few) (?:days|weeks|months))\b.*?\b(?:i['’]ll|i will|we['’]ll|we will|i['’]m|i am|we['’]re)\b|^(?:my|our|the) plan is\b|^(?:todo|to-do|plan)\b|\bwant(?:s)? to\b",
    ),
    (
        MemoryType::TaskState,
        r"\b(?:is|are|['’]s|was|still|keeps?) (?:still )?(?:failing|broken|blocked|passing|deployed|merged|pending|in progress|done|finished|complete|completed|stuck|down|green|red|ready for review|under review|work in progress)\b|^(?:still |i['’]m (?:still )?|i am (?:still )?|currently |now |we['’]re (?:still )?|we are (?:still )?)(?:working on|debugging|fixing|implementing|refactoring|writing|blocked|stuck|done with|finished with|waiting (?:for|on)|halfway|reviewing|testing|migrating)\b|^(?:done|finished|completed|blocked|stuck|wip|status|fixed|implemented|merged|deployed|progress)\b|\b(?:blocked on|blocked by|done with|\d{1,3} ?% (?:done|complete))\b|^(?:i|we)(?: have|['’]ve)? (?:just )?(?:finished|completed|fixed|implemented|merged|deployed|refactored|pushed|shipped)\b",
    ),
    (
        MemoryType::Observation,
        r"^(?:i|we)(?: have|['’]ve)? (?:just |also |recently )?(?:noticed?|observed?|realis?z?e?d|see that|found (?:that|out)|spotted)\b|^(?:it (?:seems|appears|looks)(?: like| that| as)?|it turns out|apparently|looks like|seems (?:like|that)|interesting(?:ly)?)\b|^(?:there (?:is|are|was|were) (?:a|an|some|many|no)\b|the (?:log|logs|sensor|screen|page|output|data|chart|graph) (?:shows?|says?|reads?|indicates?))",
    ),
    (
        MemoryType::SemanticFact,
        r"^(?:my|our|his|her|their|[\p{L}'’]+['’]s) (?:\p{L}+ ){0,3}(?:is|are|['’]s) |^(?:i|we|he|she|they)(?: am| are| is|['’]m|['’]re|['’]s) (?:an? |the |from |based |called |named |married|single|vegan|vegetarian|\d{1,3}\b|originally |\p{Lu})|\b(?:lives?|works?|based|resides?|stud(?:y|ies)|born) (?:in|at|for|as)\b|^(?:i|we|he|she|they|\p{Lu}\p{L}+) (?:speaks?|owns?|has|have|uses?|plays?|drives?|stud(?:y|ies)|teach(?:es)?) |^(?:the |a |an )?[\p{L}\d .+#-]+? (?:is|are|means|consists of|contains|was (?:founded|born|built|invented)|has|supports|requires|stands for|belongs to|refers to) (?:an? |the |one |called |known |located |in |on |of |part |by |\p{Lu}|\d)|^(?:name|age|city|location|job|occupation|employer|birthday|diet|nationality|timezone)\s*:",
    ),
];

struct Table {
    set: RegexSet,
    numbered: Regex,
    story: Regex,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| Table {
    set: pattern_set(ROWS.iter().map(|(_, source)| {
        // Capitals tell names from other words even where letter case is ignored elsewhere.
        format!("(?i){}", source.replace(r"\p{Lu}", r"(?-i:\p{Lu})"))
    })),
    numbered: pattern(r"(?m)^\s*(?:\d{1,2}[.)]|step \d{1,2}[:.]?|Step \d{1,2}[:.]?)\s+\S"),
    story: pattern(
        r"(?i)^(?:i|we|he|she|they|\p{L}+)(?:['’]ve| have| had)? (?:just |also |really |finally |then )?(?:went|saw|met|bought|visited|ate|had|made|got|took|watched|called|attended|drove|flew|ran|cooked|finished reading|talked|spoke|sent|gave|found|lost|won|told|said|asked|was|were)\b",
    ),
});

/// The kind of memory `text` is; what fits no row is an event.
pub(super) fn detect(
    text: &str,
    sentences: &[Range<usize>],
    role: Option<Role>,
    statements: &[Statement],
) -> MemoryType {
    if role == Some(Role::Tool) {
        return MemoryType::ToolResult;
    }
    if TABLE.numbered.find_iter(text).count() >= 2 {
        return MemoryType::Procedure;
    }
    if sentences.len() > 1 && sentences.len() <= 12 && tells_steps(text) {
        return MemoryType::Procedure;
    }
    let kinds: Vec<Option<MemoryType>> =
        sentences.iter().map(|sentence| of_sentence(text, sentence, statements)).collect();
    let known = || kinds.iter().copied().flatten();
    // In a longer text one sentence does not make the whole.
    if kinds.len() > 3 {
        let most =
            MemoryType::ALL.iter().copied().max_by_key(|kind| known().filter(|other| other == kind).count());
        return most
            .filter(|kind| known().filter(|other| other == kind).count() * 2 >= kinds.len())
            .unwrap_or(MemoryType::EpisodicEvent);
    }
    let rank = |kind: &MemoryType| ROWS.iter().position(|(row, _)| row == kind).unwrap_or(usize::MAX);
    let constraint = known().find(|kind| *kind == MemoryType::Constraint);
    constraint.or_else(|| known().min_by_key(rank)).unwrap_or(MemoryType::EpisodicEvent)
}

/// Whether the text as a whole tells steps ("First ... Then ...").
fn tells_steps(text: &str) -> bool {
    text.len() < 4000 && TABLE.set.matches(text).iter().any(|index| ROWS[index].0 == MemoryType::Procedure)
}

fn of_sentence(text: &str, sentence: &Range<usize>, statements: &[Statement]) -> Option<MemoryType> {
    let body = &text[sentence.clone()];
    if clauses::is_question(body) || body.len() > 2000 {
        return None;
    }
    let body = &body[clauses::skip_lead(body)..];
    let shape = TABLE.set.matches(body).iter().next().map(|index| ROWS[index].0);
    if matches!(shape, Some(MemoryType::Procedure | MemoryType::Hypothesis | MemoryType::Constraint)) {
        return shape;
    }
    let mut within = statements.iter().filter(|statement| {
        statement.span.start >= sentence.start && statement.span.end <= sentence.end && !statement.ended
    });
    let told = within
        .clone()
        .find(|statement| statement.category.is_constraint() && statement.category != FactCategory::Goal);
    if told.is_some() {
        return Some(MemoryType::Constraint);
    }
    if let Some(statement) = within.next() {
        return Some(match statement.category {
            FactCategory::Preference => MemoryType::Preference,
            FactCategory::Goal => shape.unwrap_or(MemoryType::Plan),
            _ => MemoryType::SemanticFact,
        });
    }
    let told_story =
        TABLE.story.is_match(body) && matches!(shape, Some(MemoryType::SemanticFact | MemoryType::TaskState));
    shape.filter(|_| !told_story)
}

#[cfg(test)]
mod tests {
    use super::super::same;
    use chrono::DateTime;

    use super::super::{Context, Extractor};
    use super::*;

    #[test]
    fn sentence_shapes_tell_the_kind() {
        let mut wrong = Vec::new();
        use MemoryType::{
            Constraint, EpisodicEvent, Hypothesis, Observation, Plan, Preference, Procedure, SemanticFact,
            TaskState,
        };
        let (extractor, context) = (Extractor::default(), Context::new(DateTime::UNIX_EPOCH));
        for (text, expected) in [
            ("I prefer tea over coffee", Preference),
            ("prefers dark mode", Preference),
            ("I love hiking in the Alps", Preference),
            ("My favourite colour is blue", Preference),
            ("She hates mushrooms", Preference),
            ("I'm vegetarian", Preference),
            ("I'm allergic to peanuts", Constraint),
            ("Never schedule meetings before 9:30", Constraint),
            ("Always run the tests before pushing", Constraint),
            ("I can't have dairy", Constraint),
            ("My budget is $500", Constraint),
            ("The report must be signed by two people", Constraint),
            ("To deploy the app, first build the image, then push it", Procedure),
            ("1. Mix flour and water.\n2. Bake for an hour.", Procedure),
            ("First, preheat the oven. Then mix the dough.", Procedure),
            ("I'm going to visit Rome in May", Plan),
            ("We're planning to buy a house", Plan),
            ("Next week I'll start the course", Plan),
            ("I live in Berlin", SemanticFact),
            ("My name is Anna", SemanticFact),
            ("Anna works at IBM", SemanticFact),
            ("Paris is the capital of France", SemanticFact),
            ("The build is failing", TaskState),
            ("Still working on the parser", TaskState),
            ("Blocked on the review", TaskState),
            ("I'm done with the migration", TaskState),
            ("I noticed that the light flickers", Observation),
            ("It seems that the cache is cold", Observation),
            ("Maybe the cache is stale", Hypothesis),
            ("I think that perhaps the disk is full", Hypothesis),
            ("I went to the cinema with Tom yesterday", EpisodicEvent),
            ("We had pizza for dinner", EpisodicEvent),
            ("What should I cook?", EpisodicEvent),
            ("The concert was great and everyone danced", EpisodicEvent),
            ("I met Anna at the station", EpisodicEvent),
        ] {
            same(&mut wrong, text, extractor.analyse(text, &context).kind, expected);
        }
        let tool = Context { role: Some(Role::Tool), ..context };
        assert_eq!(extractor.analyse("I like it", &tool).kind, MemoryType::ToolResult);
        assert_eq!(wrong, Vec::<String>::new());
    }
}
