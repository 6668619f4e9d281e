//! Whether a text is stored, skipped, or stored without its personal data.

use std::{collections::HashSet, sync::LazyLock};

use regex::{Regex, RegexSet};

use super::{pattern, pattern_set, redact};

cml_core::string_enum! {
    /// What the gate decided.
    pub enum GateVerdict("gate_verdict") {
        /// The text is kept as it is.
        Store = "store",
        /// The text is not kept.
        Skip = "skip",
        /// The text is kept with personal data replaced by marks.
        Redact = "redact",
    }
}

/// The gate's decision on a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// What to do.
    pub verdict: GateVerdict,
    /// Why, in plain words, without any of the text.
    pub reason: String,
    /// The text that a session log may keep; empty where it holds a secret.
    pub text: String,
}

/// Keys and tokens that are known by their form. Letter case is ignored.
const TOKENS: &[(&str, &str)] = &[
    ("AWS key", r"\b(?:AKIA|ASIA|AIDA|AROA)[0-9A-Z]{16}\b"),
    ("Google key", r"\bAIza[0-9A-Za-z_\-]{30,}"),
    ("Google token", r"\bya29\.[0-9A-Za-z_\-]{20,}"),
    ("GitHub token", r"\b(?:gh[pousr]_[0-9A-Za-z]{16,}|github_pat_[0-9A-Za-z_]{20,})"),
    ("GitLab token", r"\bglpat-[0-9A-Za-z_\-]{16,}"),
    ("Slack token", r"\bxox[abeoprs]-[0-9A-Za-z\-]{10,}|\bxapp-[0-9A-Za-z\-]{10,}"),
    ("Slack hook", r"hooks\.slack\.com/services/[0-9A-Za-z/]{20,}"),
    ("model provider key", r"\bsk-(?:[a-z]{2,8}[0-9]{0,3}-)*[0-9A-Za-z_]*[0-9][0-9A-Za-z_\-]{12,}"),
    ("model provider key", r"\bsk-[0-9A-Za-z_]{20,}"),
    ("Stripe key", r"\b[sr]k_(?:live|test)_[0-9A-Za-z]{10,}|\bwhsec_[0-9A-Za-z]{16,}"),
    ("package registry token", r"\b(?:npm_[0-9A-Za-z]{30,}|pypi-[0-9A-Za-z_\-]{30,})"),
    ("model hub token", r"\bhf_[0-9A-Za-z]{24,}"),
    ("mail service key", r"\bSG\.[0-9A-Za-z_\-]{16,}\.[0-9A-Za-z_\-]{16,}"),
    ("JSON web token", r"\beyJ[0-9A-Za-z_\-]{6,}\.[0-9A-Za-z_\-]{6,}\.[0-9A-Za-z_\-]*"),
    ("private key", r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY|PuTTY-User-Key-File|AGE-SECRET-KEY-1"),
    ("bearer token", r"\bbearer[ :=]+[0-9A-Za-z._~+/\-]*[0-9][0-9A-Za-z._~+/\-]{8,}=*"),
    ("authorization header", r"\bauthorization:\s*(?:basic|token|digest)\s+[0-9A-Za-z._~+/\-]{8,}"),
    ("credentials in an address", r"\b[a-z][a-z0-9+.\-]{1,20}://[^\s/:@]+:[^\s/@]{3,}@[^\s]+"),
    ("storage account key", r"\bAccountKey=[0-9A-Za-z+/=]{20,}"),
];

/// Names whose value is a secret whatever it looks like.
const STRONG: &str = r"pass(?:word|wd|phrase|code|wort)|pwd|api[ _\-]?key|secret[ _\-]?(?:access[ _\-]?)?key|access[ _\-]?key(?:[ _\-]?id)?|(?:access|auth|refresh|bot|api|session|security)[ _\-]?token|client[ _\-]?secret|private[ _\-]?key|encryption[ _\-]?key";

/// Names whose value is a secret only where it looks like one.
const WEAK: &str = r"secret|token|pin(?:[ _\-]?(?:code|number))?|credentials?|recovery[ _\-]?(?:code|phrase)|seed[ _\-]?phrase|cvv|cvc";

/// Words after "password:" or "my password is" that speak about it.
const NOT_SECRET: &str = "a an the my your our his her its their it this that these those what which who how why when where if as \
    in on at by for from to with of and or not no never always too very so still also just only now again already \
    required optional needed wrong correct incorrect right valid invalid weak strong secure insecure safe long short \
    missing lost empty blank null none nil true false string text hidden secret private new old same different \
    unknown known expired good bad fine ok okay stored saved kept changed reset forgotten leaked hashed encrypted \
    protected compromised there here gone something anything nothing everything i we you they he she \
    is was be been being can could should would must may might will has have had do does did don't doesn't isn't \
    please hunter redacted removed tbd todo example placeholder your-password yourpassword mandatory unsafe easy hard \
    simple complex random unique important sensitive case-sensitive about due set incorrect. more less between";

/// Phrases that carry nothing alone or in a row.
const EMPTY_PHRASES: &str = "ok|okay|okey|okie|okie dokie|k|kk|o k|thanks|thank you|thank u|thankyou|thx|ty|tysm|cheers|ta|thanks a lot|\
    thanks so much|thank you so much|thank you very much|thanks a bunch|thanks a million|many thanks|much appreciated|\
    appreciated|appreciate it|i appreciate it|got it|i got it|gotcha|understood|i understand|i see|makes sense|\
    that makes sense|sounds good|sounds great|sounds perfect|that sounds good|that sounds great|that works|works for me|\
    that works for me|great|good|nice|cool|perfect|awesome|excellent|wonderful|amazing|fantastic|brilliant|lovely|super|sweet|neat|\
    fair enough|noted|roger|roger that|copy that|will do|on it|done|sure|sure thing|of course|absolutely|definitely|\
    certainly|exactly|indeed|agreed|i agree|true|right|alright|all right|all good|no problem|no worries|np|nw|\
    you're welcome|youre welcome|you are welcome|your welcome|yw|welcome|my pleasure|anytime|yes|yeah|yep|yup|yea|ya|aye|yes please|no|nope|nah|\
    no thanks|no thank you|lol|lmao|rofl|haha|hahaha|hahahaha|hehe|heh|ha|xd|wow|whoa|oh|ah|aha|ahh|ohh|hm|hmm|hmmm|mhm|mm|mmm|uh|um|uh huh|\
    hi|hello|hey|hey there|hi there|hello there|good morning|good afternoon|good evening|good night|goodnight|bye|goodbye|bye bye|\
    see you|see ya|see you later|see you soon|talk soon|talk to you later|ttyl|later|take care|have a nice day|have a good day|\
    have a great day|please|pls|plz|go on|continue|next|go ahead|carry on|idk|i don't know|i dont know|dunno|whatever|\
    never mind|nevermind|nvm|brb|gtg|omg|ikr|same|same here|me too|ditto|that's great|thats great|that's good|thats good|\
    that's fine|thats fine|that is fine|that's ok|that's okay|that's nice|it's fine|it's ok|very good|very nice|so cool|really|oh really|oh nice|oh wow|\
    oh ok|oh okay|well done|good job|great job|good idea|great idea|good point|well|so|and you|then|again|man|everyone|all|too|very much|so much|a lot";

/// Bytes; whatever is longer is taken to have content.
const LONGEST_EMPTY_TEXT: usize = 80;

static TOKEN_SET: LazyLock<RegexSet> =
    LazyLock::new(|| pattern_set(TOKENS.iter().map(|(_, source)| format!("(?i){source}"))));

/// `name = value`, `"name": "value"`, `NAME_OF_KEY=value`.
static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r#"(?i)(?:\b|_)(?:(?P<strong>{STRONG})|(?P<weak>{WEAK}))s?["'`”]?\s{{0,3}}(?::=|=>|=|:)\s{{0,3}}(?P<value>\S.*)"#
    ))
});

/// "my password is ...", "the wifi passcode for the garage is ...".
static SPOKEN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r#"(?i)\b(?:(?P<strong>{STRONG})|(?P<weak>{WEAK}))(?:\s+(?:for|to|of|on|at|in)(?:\s+[\w'’.\-]+){{1,5}}?)?(?:\s+(?:is|was|are|equals)(?:\s+(?:now|still|just))?|\s+(?:changed\s+)?to|['’]s)[:\s]\s*(?P<value>\S.*)"#
    ))
});

/// "username bob password hunter2", "log in with password abc123".
static ADJACENT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r#"(?i)\b(?:password|passcode|passphrase|pwd)\s+["'`“]?(?P<value>[^\s"'`”]{6,})"#)
});

static ABOUT: LazyLock<HashSet<&'static str>> = LazyLock::new(|| NOT_SECRET.split_whitespace().collect());

static EMPTY: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| EMPTY_PHRASES.split('|').map(str::trim).collect());

/// Decides on the whole text; `redaction` replaces personal data by marks.
pub(super) fn decide(text: &str, redaction: bool) -> Gate {
    let skip = |reason: String| Gate { verdict: GateVerdict::Skip, reason, text: String::new() };
    if let Some(what) = secret(text) {
        return skip(format!("contains a secret: {what}"));
    }
    if is_empty_talk(text) {
        let reason = "acknowledgement without content".to_owned();
        return Gate { verdict: GateVerdict::Skip, reason, text: text.to_owned() };
    }
    if redaction {
        let (clean, kinds) = redact::redact_with_kinds(text);
        if !kinds.is_empty() {
            let reason = format!("personal data replaced: {}", kinds.join(", "));
            return Gate { verdict: GateVerdict::Redact, reason, text: clean };
        }
    }
    Gate { verdict: GateVerdict::Store, reason: "has content".to_owned(), text: text.to_owned() }
}

/// What kind of secret the text holds.
fn secret(text: &str) -> Option<&'static str> {
    if let Some(hit) = TOKEN_SET.matches(text).iter().next() {
        return Some(TOKENS[hit].0);
    }
    if !speaks_of_secrets(text) {
        return None;
    }
    for found in ASSIGNED.captures_iter(text) {
        let value = found.name("value").map_or("", |value| value.as_str());
        let code = found.name("weak").is_some_and(|name| is_code(&name.as_str().to_lowercase()));
        if assigned_secret(value, found.name("strong").is_some(), code) {
            return Some("value of a key");
        }
    }
    for line in text.split(['\n', ';']) {
        // The greedy value hides a second key of the same line; look again behind each hit.
        let mut rest = line;
        while let Some(found) = SPOKEN.captures(rest) {
            let (strong, weak) = (found.name("strong"), found.name("weak"));
            let name = strong.or(weak).map_or("", |name| name.as_str()).to_lowercase();
            let value = found.name("value").map_or("", |value| value.as_str());
            if spoken_secret(&name, value, strong.is_some()) {
                return Some("password or code");
            }
            let Some(value) = found.name("value") else { break };
            rest = &rest[value.start()..];
        }
    }
    ADJACENT
        .captures_iter(text)
        .filter_map(|found| found.name("value"))
        .any(|value| looks_random(trim_value(value.as_str()), 6))
        .then_some("password or code")
}

fn speaks_of_secrets(text: &str) -> bool {
    static NAMES: LazyLock<Regex> = LazyLock::new(|| {
        pattern(r"(?i)pass(?:w|p|c)|pwd|key|secret|token|\bpin|pin\b|credential|recovery|seed|cvv|cvc")
    });
    NAMES.is_match(text)
}

/// The first word of a value, without quotes and closing marks.
fn trim_value(value: &str) -> &str {
    let value = value.trim_start_matches(['"', '\'', '`', '“', '‘', '(', '<', '[', '{']);
    let word = value.split(|c: char| c.is_whitespace() || matches!(c, '"' | '`' | '”')).next().unwrap_or("");
    word.trim_end_matches(['.', ',', ';', ':', '\'', '’', ')', '>', ']', '}', '?'])
}

/// Names whose value is a few digits.
fn is_code(name: &str) -> bool {
    name.starts_with("pin") || name.starts_with("cv") || name.ends_with("code")
}

fn assigned_secret(value: &str, strong: bool, code: bool) -> bool {
    let word = trim_value(value);
    if is_placeholder(value, word) {
        return false;
    }
    if !strong {
        let digits = !word.is_empty() && word.chars().all(|c| c.is_ascii_digit());
        return if digits {
            code && (3..=8).contains(&word.len()) && value.trim().len() <= 10
        } else {
            looks_random(word, 6)
        };
    }
    // Prose after the colon ("password: see the vault") speaks about it; one word is a value.
    let plain = word.chars().all(|c| c.is_alphabetic() || c == '\'');
    let words = value.split_whitespace().count();
    !(ABOUT.contains(word.to_lowercase().as_str())
        || (plain && words >= 3 && !value.starts_with(['"', '\''])))
}

fn spoken_secret(name: &str, value: &str, strong: bool) -> bool {
    let word = trim_value(value);
    let lower = word.to_lowercase();
    if is_placeholder(value, word) {
        return false;
    }
    if value.starts_with(['"', '\'', '`', '“', '‘']) && !word.is_empty() {
        return strong || looks_random(word, 4);
    }
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    if is_code(name) && (3..=10).contains(&word.len()) && digits * 2 > word.len() {
        return true;
    }
    if looks_random(word, if strong { 4 } else { 8 }) {
        return true;
    }
    let sentence = value.split(['.', '!', '?', ',']).next().unwrap_or("");
    let words = sentence.split_whitespace().count();
    if name.contains("phrase") {
        const LINKS: &[&str] = &[
            "in", "the", "a", "an", "to", "of", "by", "on", "is", "and", "or", "for", "with", "not", "very",
            "too", "that", "it", "at",
        ];
        return words >= 3
            && !sentence.split_whitespace().any(|word| LINKS.contains(&word.to_lowercase().as_str()));
    }
    let about =
        ABOUT.contains(lower.as_str()) || ["ed", "ing", "ly", "able"].iter().any(|end| lower.ends_with(end));
    strong && name.starts_with("pass") && words == 1 && word.len() >= 3 && !about
}

fn is_placeholder(value: &str, word: &str) -> bool {
    let value = value.trim();
    word.is_empty()
        || word.chars().all(|c| matches!(c, '*' | '•' | 'x' | 'X' | '.' | '-' | '_' | '#' | '…' | '?'))
        || value.starts_with("${")
        || value.starts_with("$(")
        || value.starts_with("{{")
        || value.starts_with('<')
        || value.starts_with('[')
        || word.to_lowercase().contains("redacted")
        || word.starts_with("process.env")
        || word.starts_with("os.environ")
        || word.starts_with("env.")
        || word.starts_with("std::env")
}

/// Letters with digits or inner signs, as no ordinary word has.
fn looks_random(word: &str, length: usize) -> bool {
    if word.chars().count() < length || word.contains("://") {
        return false;
    }
    let letters = word.chars().any(char::is_alphabetic);
    let digits = word.chars().filter(char::is_ascii_digit).count();
    let signs =
        word.chars().any(|c| matches!(c, '!' | '@' | '#' | '$' | '%' | '^' | '&' | '*' | '+' | '=' | '~'));
    letters && (digits > 0 || signs) && !is_measure(word)
}

/// "16th", "8-character", "30-day", "2FA", "128bit".
fn is_measure(word: &str) -> bool {
    let rest = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest_is_plain = rest.chars().all(|c| c.is_lowercase() || c == '-');
    rest.len() < word.len() && ((rest_is_plain && (rest.len() <= 4 || rest.starts_with('-'))) || rest == "FA")
}

/// Whether the text is nothing but thanks, assent, greetings and the like.
pub(super) fn is_empty_talk(text: &str) -> bool {
    if text.len() > LONGEST_EMPTY_TEXT || text.chars().any(|c| c.is_numeric() && c.is_ascii()) {
        return false;
    }
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '’' | '\'' => clean.push('\''),
            c if c.is_alphabetic() => clean.extend(c.to_lowercase()),
            _ => clean.push(' '),
        }
    }
    let words: Vec<&str> = clean.split_whitespace().collect();
    let mut at = 0;
    while at < words.len() {
        let longest = (1..=5.min(words.len() - at))
            .rev()
            .find(|&n| EMPTY.contains(words[at..at + n].join(" ").as_str()));
        match longest {
            Some(n) => at += n,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::same;
    use super::*;

    fn verdict(text: &str) -> GateVerdict {
        decide(text, true).verdict
    }

    #[test]
    fn secrets_are_skipped_whatever_the_letter_case() {
        let mut wrong = Vec::new();
        let jwt = format!(
            "eyJ{}.eyJ{}.{}",
            "hbGciOiJIUzI1NiJ9", "zdWIiOiIxMjM0In0", "dBjftJeZ4CVPmB92K27uhbUJU1p1r"
        );
        for text in [
            "password: hunter2",
            "PASSWORD=hunter2",
            "Password : correcthorse",
            "api_key=9f8a7b6c5d",
            "API-KEY: abcdefghij",
            "my password is hunter2",
            "My Password Is Hunter2!",
            "the wifi password is sunflower",
            "the wifi password for the guest room is sunflower99",
            "I changed my password to Tr0ub4dor&3",
            "log in as bob with password abc12345",
            "my PIN is 4711",
            "pin: 4711",
            "The garage passcode is 8842",
            "\"password\": \"s3cr3t\"",
            "DB_PASSWORD=letmein",
            "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "client_secret: 0a1b2c3d4e5f",
            "use postgres://bob:pa55word@db.example.com/app",
            "My passphrase is correct horse battery staple",
            &format!("AKIA{}", "IOSFODNN7EXAMPLE"),
            &format!("akia{}", "iosfodnn7example"),
            &format!("AIza{}", "SyA1234567890abcdefghijklmnopqrstuv"),
            &format!("ghp_{}", "abcdefghijklmnopqrstuvwxyz0123456789"),
            &format!("github_pat_{}", "11ABCDEFG0123456789_abcdefgh"),
            &format!("xoxb-{}", "123456789012-abcdefGHIJKL"),
            &format!("the key sk-{}", "abcdEFGH1234ijklMNOP5678"),
            &format!("sk-proj-{}", "abcd1234EFGH5678ijkl9012"),
            &format!("sk_live_{}", "4eC39HqLyjWDarjtT1zdp7dc"),
            &jwt,
            "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
            "-----begin openssh private key-----",
            "Authorization: Bearer abcdef0123456789abcdef",
        ] {
            same(&mut wrong, text, verdict(text), GateVerdict::Skip);
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn talk_about_secrets_is_stored() {
        let mut wrong = Vec::new();
        for text in [
            "I forgot my password again",
            "we discussed the token budget",
            "the secret to good bread is time",
            "My password is too short, they say",
            "the password is stored in the vault",
            "The password is required",
            "Password: required field",
            "password: ********",
            "API_KEY=${API_KEY}",
            "I changed my password to something stronger",
            "the key is to stay calm",
            "My keys: lost again",
            "max_tokens: 4096",
            "the pin is bent",
            "Her secret is that she bakes",
            "a password manager such as 1Password is fine",
            "the token is expired",
            "the API key was leaked and rotated",
            "risk-assessment-of-large-systems in 2024",
            "The bearer of bad news arrived",
            "my password expires in 30-day cycles",
        ] {
            same(&mut wrong, text, verdict(text), GateVerdict::Store);
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn acknowledgements_are_skipped() {
        let mut wrong = Vec::new();
        for text in [
            "ok",
            "OK!",
            "thanks!",
            "got it 👍",
            "sounds good",
            "lol",
            "yes",
            "Thank you so much!!",
            "ok, thanks",
            "👍",
            "Great, thank you",
            "you’re welcome",
            "hello",
            "...",
            "no worries",
        ] {
            same(&mut wrong, text, verdict(text), GateVerdict::Skip);
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn anything_with_content_is_stored() {
        let mut wrong = Vec::new();
        for text in [
            "ok, see you at 5",
            "42",
            "yes, Berlin",
            "thanks for the book",
            "no onions",
            "I said yes",
            "is vegan",
        ] {
            same(&mut wrong, text, verdict(text), GateVerdict::Store);
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn personal_data_is_replaced_and_named_in_the_reason() {
        let gate = decide("Write to anna@example.org", true);
        assert_eq!(gate.verdict, GateVerdict::Redact);
        assert_eq!(gate.text, "Write to [EMAIL_REDACTED]");
        assert_eq!(gate.reason, "personal data replaced: email");
        assert_eq!(decide("Write to anna@example.org", false).verdict, GateVerdict::Store);
    }
}
