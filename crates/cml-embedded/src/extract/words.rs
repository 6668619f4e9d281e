//! Word lists: relations, roles, and words that are no names.

use std::{collections::HashSet, sync::LazyLock};

/// Words for a person or animal that belongs to somebody, with the form under which they are kept.
pub(super) const RELATIONS: &[(&str, &str)] = &[
    ("sister", "sister"),
    ("brother", "brother"),
    ("mother", "mother"),
    ("mum", "mother"),
    ("mom", "mother"),
    ("mommy", "mother"),
    ("mummy", "mother"),
    ("father", "father"),
    ("dad", "father"),
    ("daddy", "father"),
    ("parents", "parents"),
    ("wife", "wife"),
    ("husband", "husband"),
    ("hubby", "husband"),
    ("spouse", "spouse"),
    ("partner", "partner"),
    ("girlfriend", "girlfriend"),
    ("gf", "girlfriend"),
    ("boyfriend", "boyfriend"),
    ("bf", "boyfriend"),
    ("fiancé", "fiancé"),
    ("fiancée", "fiancée"),
    ("fiance", "fiancé"),
    ("fiancee", "fiancée"),
    ("son", "son"),
    ("daughter", "daughter"),
    ("kid", "child"),
    ("kids", "children"),
    ("child", "child"),
    ("children", "children"),
    ("baby", "baby"),
    ("grandma", "grandmother"),
    ("granny", "grandmother"),
    ("grandmother", "grandmother"),
    ("nan", "grandmother"),
    ("grandpa", "grandfather"),
    ("granddad", "grandfather"),
    ("grandfather", "grandfather"),
    ("grandparents", "grandparents"),
    ("aunt", "aunt"),
    ("auntie", "aunt"),
    ("uncle", "uncle"),
    ("cousin", "cousin"),
    ("niece", "niece"),
    ("nephew", "nephew"),
    ("grandson", "grandson"),
    ("granddaughter", "granddaughter"),
    ("mother-in-law", "mother-in-law"),
    ("father-in-law", "father-in-law"),
    ("sister-in-law", "sister-in-law"),
    ("brother-in-law", "brother-in-law"),
    ("twin", "twin"),
    ("stepmother", "stepmother"),
    ("stepfather", "stepfather"),
    ("ex-wife", "ex-wife"),
    ("ex-husband", "ex-husband"),
    ("ex", "ex"),
    ("friend", "friend"),
    ("buddy", "friend"),
    ("mate", "friend"),
    ("pal", "friend"),
    ("flatmate", "flatmate"),
    ("roommate", "flatmate"),
    ("housemate", "flatmate"),
    ("neighbour", "neighbour"),
    ("neighbor", "neighbour"),
    ("colleague", "colleague"),
    ("coworker", "colleague"),
    ("co-worker", "colleague"),
    ("boss", "boss"),
    ("manager", "manager"),
    ("teammate", "teammate"),
    ("teacher", "teacher"),
    ("tutor", "tutor"),
    ("coach", "coach"),
    ("trainer", "trainer"),
    ("therapist", "therapist"),
    ("doctor", "doctor"),
    ("dentist", "dentist"),
    ("landlord", "landlord"),
    ("mentor", "mentor"),
    ("assistant", "assistant"),
    ("client", "client"),
    ("dog", "dog"),
    ("puppy", "dog"),
    ("cat", "cat"),
    ("kitten", "cat"),
    ("horse", "horse"),
    ("rabbit", "rabbit"),
    ("hamster", "hamster"),
    ("parrot", "parrot"),
    ("pet", "pet"),
];

/// Relations of which a person has many, so that a new value need not be about the same one.
const MANY: &str = "friend flatmate neighbour colleague teammate client cousin aunt uncle niece nephew teacher pet kids children child";

/// Occupations that stand as the last word of "a ...".
const ROLES: &str = "accountant actor actress actuary administrator advisor adviser agent analyst anaesthetist anesthesiologist \
    architect archaeologist artist assistant astronaut astronomer athlete attorney auditor author baker banker barber barista bartender \
    beekeeper biologist blogger bookkeeper botanist bricklayer broker builder butcher buyer captain caregiver caretaker carer carpenter cashier \
    chef chemist chiropractor cleaner clerk coach columnist comedian composer conductor consultant contractor controller cook copywriter \
    counsellor counselor courier curator dancer dean dentist dermatologist designer detective developer dietitian director dj doctor driver \
    ecologist economist editor educator electrician engineer entrepreneur estate-agent farmer filmmaker firefighter fisherman florist founder \
    freelancer gardener geologist goldsmith guard guide hairdresser historian illustrator inspector instructor interpreter intern investor \
    janitor jeweller jeweler journalist judge lawyer lecturer librarian lifeguard linguist locksmith logger machinist magician manager masseur \
    mathematician mechanic medic merchant meteorologist midwife miner model mover musician nanny neurologist neuroscientist novelist nurse nutritionist \
    officer operator optician optometrist painter paralegal paramedic pathologist pediatrician paediatrician performer pharmacist philosopher photographer \
    physician physicist physiotherapist pianist pilot planner plumber poet policeman policewoman politician postman potter president principal producer \
    professor programmer psychiatrist psychologist psychotherapist publicist radiologist ranger realtor receptionist recruiter reporter researcher retiree \
    roofer sailor salesman saleswoman salesperson scientist sculptor secretary seamstress sergeant shopkeeper singer social-worker sociologist soldier solicitor \
    statistician steward stewardess student supervisor surgeon surveyor tailor teacher technician technologist teller therapist trader trainer trainee translator \
    treasurer tutor undertaker veterinarian vet videographer violinist volunteer waiter waitress warden watchmaker web-developer welder worker writer yoga-teacher \
    ceo cto cfo coo vp phd postdoc apprentice magistrate barrister freelancer streamer youtuber illustrator animator tester sysadmin dba devops sre";

const DEMONYMS: &str = "african albanian algerian american argentinian argentine armenian asian australian austrian bangladeshi belgian bolivian bosnian \
    brazilian british bulgarian cambodian canadian catalan chilean chinese colombian croatian cuban cypriot czech danish dutch ecuadorian egyptian english \
    estonian ethiopian european filipino finnish french georgian german ghanaian greek guatemalan haitian hungarian icelandic indian indonesian iranian \
    iraqi irish israeli italian jamaican japanese jordanian kazakh kenyan korean kurdish latvian lebanese lithuanian malaysian maltese mexican mongolian \
    moroccan nepalese nepali nigerian norwegian pakistani palestinian peruvian polish portuguese romanian russian scottish senegalese serbian singaporean \
    slovak slovenian somali spanish swedish swiss syrian taiwanese thai tunisian turkish ugandan ukrainian uruguayan venezuelan vietnamese welsh zambian zimbabwean";

/// Words with a capital at the head of a sentence, or by habit, that are no names of people or places.
const ORDINARY: &str = "back type team vegan vegetarian single married pregnant okey a about above absolutely according action actually add after again ago ah all almost alone along already alright also although always am amazing an and annoying another answer any anybody anyone anything anyway apart apparently are \
    aren't around as ask at avoid aw away awesome bad basically be because been before behind being believe below besides best better between big both boy break breakfast bring but buy by call came can can't cancel care change check cheers children christmas city cleaning clearly coffee come \
    coming companies congrats congratulations consider cooking cool could couldn't crazy create currently dad day days dear definitely delete despite did didn't dinner do does doesn't doing don't done down due during each early easy eat either else email enjoy especially even eventually ever every \
    everybody everyone everything everywhere exactly excellent except excited excuse exercise false family far few finally find fine first follow food for forget forgot fortunately free friday from fun funny generally get getting girl give given glad go god going good got grateful great guess guys had half happy hard \
    hate has have haven't having he he'd he'll he's hello help hence her here here's hers hey hi high him his hm home honestly hopefully hot how how's however huge hurry i i'd i'll i'm i've idk if imagine important in indeed inside instead interesting into is isn't it it'd it'll it's its itself \
    join just keep kids kind know last lastly late lately later learn least leave left less let let's life like likely listen literally little live living lol long look looking lost lots love lovely luckily lunch made mainly make makes making man many may maybe me mean meanwhile meet meeting \
    message mind mine money monday more moreover morning most mostly mr mrs ms much mum mom music must my myself name near need needs neither never nevertheless new news next nice night no nobody none nope nor normally not note nothing now nowadays nowhere obviously of off often oh ok okay old on \
    once one only onto open opposite or order other others otherwise ouch our ours out over overall own painting pass people perfect perhaps person personally phew place plan please plus possibly presumably pretty previously probably put quick quickly quite rather read reading really recently reading regarding regardless remember \
    remind reply right running sad sadly said same saturday say school second see seems seriously set shall she she'd she'll she's should shouldn't show similarly simply since small so some somebody somehow someone something sometimes somewhere soon sorry sounds speaking start still stop strange such sunday super suppose sure \
    surely surprisingly swimming take talk tell test text than thank thankfully thanks that that's the their theirs them then there there's therefore these they they'd they'll they're they've thing things think third this those though three through thursday thus time to today together told tomorrow tonight too totally toward towards \
    traffic travel traveling travelling true truly try trying tuesday turn two typically ugh um under unfortunately unless unlike until up update upon us use used user using usually very via visit wait walking want was wasn't watch way we we'd we'll we're we've weather wednesday week weekend weekends welcome well went were weren't what \
    what's whatever when whenever where where's whereas whether which while who who's whoever whole whom whose why will with within without woman women won't wonderful wondering words work working world would wouldn't wow write wrong yay yeah year years yep yes yesterday yet yikes you you'd you'll you're you've young your yours yourself yup \
    january february march april june july august september october november december spring summer autumn fall winter english pm am tv usa etc ps fyi btw imo asap faq diy id ai api url http https json sql html css gps dna pdf";

/// Names of tools that people move to, start with or work with, and that are no towns or firms.
const TOOLS: &str = "rust python java javascript typescript kotlin swift ruby go golang haskell scala elixir linux ubuntu debian fedora arch windows mac macos android ios iphone kubernetes docker postgres postgresql mysql sqlite redis mongodb kafka aws azure gcp github gitlab \
    bitbucket slack teams zoom discord notion obsidian vim neovim emacs vscode chrome firefox safari react vue angular svelte django flask rails spring node excel word powerpoint outlook gmail jira trello asana marketing sales engineering finance hr legal operations support spotify netflix";

static MANY_WORDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| MANY.split_whitespace().collect());
static ROLE_WORDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| ROLES.split_whitespace().collect());
static DEMONYM_WORDS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| DEMONYMS.split_whitespace().collect());
static ORDINARY_WORDS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| ORDINARY.split_whitespace().collect());
static TOOL_WORDS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| TOOLS.split_whitespace().collect());

fn key(word: &str) -> String {
    word.to_lowercase().replace('’', "'")
}

/// The kept form of a relation word.
pub(super) fn relation(word: &str) -> Option<&'static str> {
    let word = key(word);
    RELATIONS.iter().find(|(known, _)| *known == word).map(|(_, kept)| *kept)
}

/// Whether a person has many of this relation.
pub(super) fn is_one_of_many(relation: &str) -> bool {
    MANY_WORDS.contains(relation)
}

/// Whether a word is an occupation.
pub(super) fn is_role(word: &str) -> bool {
    let word = key(word);
    let singular = word.strip_suffix('s').unwrap_or(&word);
    ROLE_WORDS.contains(word.as_str()) || ROLE_WORDS.contains(singular) || word.ends_with("ologist")
}

pub(super) fn is_demonym(word: &str) -> bool {
    DEMONYM_WORDS.contains(key(word).as_str())
}

/// Whether a word with a capital is an ordinary word rather than a name.
pub(super) fn is_ordinary(word: &str) -> bool {
    let word = key(word);
    let day = word.strip_suffix('s').filter(|day| day.ends_with("day"));
    ORDINARY_WORDS.contains(word.as_str()) || day.is_some_and(|day| ORDINARY_WORDS.contains(day))
}

/// Whether a word before a colon says what follows rather than who speaks.
pub(super) fn is_label(word: &str) -> bool {
    const LABELS: &str = "correction update reminder question answer summary todo context background goal goals policy rule rules budget \
        title subject date allergies notes note status result results warning error info example task tasks project details favourites \
        favorites preferences preference constraint constraints fact facts address phone email hobbies interests timezone pronouns";
    LABELS.split_whitespace().any(|label| label == key(word))
}

/// Whether a word names a tool or department.
pub(super) fn is_tool(word: &str) -> bool {
    TOOL_WORDS.contains(key(word).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_letter_case_and_with_either_apostrophe() {
        assert_eq!(relation("Mum"), Some("mother"));
        assert!(is_role("Nurse") && is_role("engineers") && is_role("paleontologist") && !is_role("mess"));
        assert!(is_ordinary("Don’t") && !is_ordinary("Anna"));
        assert!(is_demonym("German") && is_tool("Rust") && is_one_of_many("friend"));
    }
}
