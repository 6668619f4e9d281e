//! Personal data replaced by marks.

use std::{net::Ipv6Addr, sync::LazyLock};

use super::Patterns;

/// One kind of personal data: how it looks, and a check of what the pattern found.
struct Row {
    kind: &'static str,
    mark: &'static str,
    source: &'static str,
    /// Gets the text before the hit, the hit, and the text after it; gives the part to replace.
    check: fn(&str, &str, &str) -> Option<(usize, usize)>,
}

const STREET: &str = r"(?:Street|Str\.|St|Avenue|Ave|Av|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Square|Sq|Terrace|Way|Parkway|Pkwy|Circle|Highway|Hwy|Close|Crescent|Cres|Row|Mews|Gardens|Grove|Alley|Quay|Loop|Plaza)";

/// In this order, so that a card is not read as a phone number.
const ROWS: &[Row] = &[
    Row {
        kind: "email",
        mark: "[EMAIL_REDACTED]",
        source: r"[\w.%+'\-]+@[\w\-]+(?:\.[\w\-]+)*\.\p{L}{2,}",
        check: |_, hit, _| (!hit.starts_with("git@")).then_some((0, hit.len())),
    },
    Row {
        kind: "address",
        mark: "[ADDRESS_REDACTED]",
        source: concat!(
            r"\b\d{1,5}(?:[A-Za-z]|[\-/]\d{1,4})?,?\s+(?:[NSEW]\.?\s+|North\s+|South\s+|East\s+|West\s+)?",
            r"(?:\p{Lu}[\p{L}'’.\-]*\s+|\d{1,3}(?:st|nd|rd|th)\s+){1,4}{STREET}\b\.?",
            r"(?:\s+(?:NW|NE|SW|SE|N|S|E|W)\b)?(?:,?\s+(?:Apt|Apartment|Suite|Ste|Unit|Flat)\b\.?\s*#?\w+|,?\s+#\s?\w+)?"
        ),
        check: address,
    },
    Row {
        kind: "address",
        mark: "[ADDRESS_REDACTED]",
        source: r"\b\d{1,5}[A-Za-z]?\s+(?:\p{L}[\p{L}'’\-]+\s+){1,2}(?i:street|avenue|boulevard|road|lane)\b",
        check: address,
    },
    Row {
        kind: "address",
        mark: "[ADDRESS_REDACTED]",
        source: concat!(
            r"\p{Lu}[\p{L}\-]*(?:straße|strasse|str\.|gasse|allee|platz|weg|ufer)\s+\d{1,4}\s?[a-z]?\b",
            r"|\b\d{1,4}(?:\s?bis)?,?\s+(?:rue|Rue|avenue|boulevard|via|calle)\s+(?:(?:de|du|des|la|le|del|della)\s+|l['’]|d['’])*\p{Lu}[\p{L}\-]+",
            r"|\b(?:Via|Calle|Rua|Rue)\s+(?:(?:de|du|des|la|le|del|della|da|do)\s+)*\p{Lu}[\p{L}\-]+,?\s+\d{1,4}\b",
            r"|\bP\.?\s?O\.?\s+[Bb]ox\s+\d+"
        ),
        check: |_, hit, _| Some((0, hit.len())),
    },
    Row {
        kind: "card",
        mark: "[CARD_REDACTED]",
        source: r"\d(?:[ \t.\-_/–—\x{a0}\x{2009}|,]{0,3}\d){12,}",
        check: card,
    },
    Row {
        kind: "ssn",
        mark: "[SSN_REDACTED]",
        source: r"\b\d{3}[\- .–]\d{2}[\- .–]\d{4}\b",
        check: |before, hit, after| (is_ssn(hit) && stands_alone(before, after)).then_some((0, hit.len())),
    },
    Row {
        kind: "ssn",
        mark: "[SSN_REDACTED]",
        source: r"(?i)\b(?:ssn|social security(?: (?:number|no\.?))?)(?: is|:|=|#)?\s*\d{9}\b",
        check: |_, hit, _| Some((hit.len() - 9, hit.len())),
    },
    Row { kind: "ip", mark: "[IP_REDACTED]", source: r"\b\d{1,3}(?:\.\d{1,3}){3}\b", check: ipv4 },
    Row {
        kind: "ip",
        mark: "[IP_REDACTED]",
        source: r"(?i)(?:[0-9a-f]{1,4}|:):[0-9a-f:]{1,34}(?:\d{1,3}(?:\.\d{1,3}){3})?",
        check: ipv6,
    },
    Row {
        kind: "phone",
        mark: "[PHONE_REDACTED]",
        source: r"(?:\+|\b00)[1-9]\d{0,2}(?:[ .\-/]?\(\d{1,4}\))?(?:[ .\-/]{0,2}\d{1,5}){1,7}\b",
        check: |before, hit, after| {
            (9..=15).contains(&digits(hit)).then_some(())?;
            stands_alone(before, after).then_some((0, hit.len()))
        },
    },
    Row {
        kind: "phone",
        mark: "[PHONE_REDACTED]",
        source: r"(?:\b1[ .\-])?(?:\(\d{3}\) ?|\b\d{3}[ .\-])\d{3}[ .\-]\d{4}\b",
        check: |before, hit, after| stands_alone(before, after).then_some((0, hit.len())),
    },
    Row {
        kind: "phone",
        mark: "[PHONE_REDACTED]",
        source: r"(?:\(0[1-9]\d{1,3}\) ?|\b0[1-9]\d{1,3}[ \-/])\d{3,4}(?:[ \-]?\d{2,4}){1,2}\b",
        check: |before, hit, after| {
            ((9..=12).contains(&digits(hit)) && stands_alone(before, after)).then_some((0, hit.len()))
        },
    },
    Row {
        kind: "phone",
        mark: "[PHONE_REDACTED]",
        source: r"(?i)\b(?:call|text|phone|tel|telephone|mobile|cell|fax|whatsapp|reach)\b[^\d\n+]{0,20}(?:\d{3}[ .\-]\d{4}|\d{7,12})\b",
        check: |_, hit, after| {
            let start = hit.find(|c: char| c.is_ascii_digit())?;
            stands_alone("", after).then_some((start, hit.len()))
        },
    },
];

static TABLE: LazyLock<Patterns> =
    LazyLock::new(|| Patterns::new(ROWS.iter().map(|row| row.source.replace("{STREET}", STREET)).collect()));

/// Replaces e-mail and street addresses, phone numbers, US social security numbers, payment cards
/// and IP addresses by marks such as `[EMAIL_REDACTED]`. A second run changes nothing.
#[must_use]
pub fn redact(text: &str) -> String {
    redact_with_kinds(text).0
}

/// The text with marks, and the kinds of data that were replaced.
pub(super) fn redact_with_kinds(text: &str) -> (String, Vec<&'static str>) {
    let mut text = text.to_owned();
    let mut kinds = Vec::new();
    if !text.bytes().any(|byte| byte.is_ascii_digit() || byte == b'@' || byte == b':') {
        return (text, kinds);
    }
    // Marks hold no digits, so a replacement never makes a row match that did not match before.
    for index in TABLE.matching(&text) {
        let row = &ROWS[index];
        let mut clean = String::new();
        let mut copied = 0;
        let mut from = 0;
        while let Some(hit) = TABLE.row(index).find_at(&text, from) {
            from = hit.end();
            if let Some((start, end)) = (row.check)(&text[..hit.start()], hit.as_str(), &text[hit.end()..]) {
                clean.push_str(&text[copied..hit.start() + start]);
                clean.push_str(row.mark);
                copied = hit.start() + end;
                from = copied;
            }
        }
        if copied > 0 {
            clean.push_str(&text[copied..]);
            text = clean;
            if !kinds.contains(&row.kind) {
                kinds.push(row.kind);
            }
        }
    }
    (text, kinds)
}

fn digits(text: &str) -> usize {
    text.bytes().filter(u8::is_ascii_digit).count()
}

/// Whether a number is not a part of a longer one.
fn stands_alone(before: &str, after: &str) -> bool {
    let mut back = before.chars().rev();
    let (last, second_last) = (back.next(), back.next());
    let mut forth = after.chars();
    let (first, second) = (forth.next(), forth.next());
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    let joins = |c: Option<char>| c.is_some_and(|c| matches!(c, '-' | '.' | '/' | ',' | ':'));
    let currency = |c: Option<char>| c.is_some_and(|c| matches!(c, '$' | '€' | '£' | '#'));
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let part_of_word = word(last) || word(first) || currency(last);
    let part_of_number = (joins(last) && is_digit(second_last)) || (joins(first) && is_digit(second));
    !part_of_word && !part_of_number
}

fn is_ssn(hit: &str) -> bool {
    let area = &hit[..3];
    !(matches!(area, "000" | "666") || area.starts_with('9') || hit.ends_with("0000"))
}

fn ipv4(before: &str, hit: &str, after: &str) -> Option<(usize, usize)> {
    if hit.split('.').any(|octet| octet.parse::<u16>().is_ok_and(|octet| octet > 255))
        || !stands_alone(before, if after.starts_with([':', '/']) { "" } else { after })
    {
        return None;
    }
    let word = before
        .trim_end()
        .rsplit(|c: char| !c.is_alphanumeric() && c != '§')
        .next()
        .unwrap_or("")
        .to_lowercase();
    let version = [
        "version", "versions", "v", "ver", "release", "build", "firmware", "section", "chapter", "clause",
        "§", "rev",
    ];
    (!version.contains(&word.as_str())).then_some((0, hit.len()))
}

fn ipv6(before: &str, hit: &str, after: &str) -> Option<(usize, usize)> {
    let alone = |c: Option<char>| c.is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == ':'));
    if !alone(before.chars().next_back()) || !alone(after.chars().next()) {
        return None;
    }
    let address = if hit.ends_with(':') && !hit.ends_with("::") { &hit[..hit.len() - 1] } else { hit };
    let parsed: Ipv6Addr = address.parse().ok()?;
    // `a::b` is a path in many programming languages.
    let numeric = address.bytes().any(|byte| byte.is_ascii_digit());
    let colons = address.bytes().filter(|byte| *byte == b':').count();
    (!parsed.is_unspecified() && (numeric || colons > 3)).then_some((0, address.len()))
}

fn address(_: &str, hit: &str, _: &str) -> Option<(usize, usize)> {
    const NOT_STREETS: &str = " the a an of from to on in at my our your his her their down up off along across this that one \
        minutes minute hours hour days day weeks blocks block miles mile km meters metres people cars houses lanes shops \
        years year more other different main side feet steps times long per by and or for with jan feb mar apr may \
        january february march april june july august september october november december am pm percent ";
    let plain = hit.split_whitespace().skip(1).all(|word| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        !NOT_STREETS.split_whitespace().any(|stop| stop == word && stop != "main")
    });
    plain.then_some((0, hit.len()))
}

/// Finds a card number in a run of digits and separators: it begins and ends at a group's border.
fn card(_: &str, hit: &str, _: &str) -> Option<(usize, usize)> {
    let mut groups: Vec<(usize, usize)> = Vec::new();
    for (at, byte) in hit.bytes().enumerate() {
        if byte.is_ascii_digit() {
            match groups.last_mut() {
                Some(group) if group.1 == at => group.1 = at + 1,
                _ => groups.push((at, at + 1)),
            }
        }
    }
    for first in 0..groups.len() {
        for last in (first..groups.len()).rev() {
            let (start, end) = (groups[first].0, groups[last].1);
            let number: Vec<u32> = hit[start..end]
                .bytes()
                .filter(u8::is_ascii_digit)
                .map(|byte| u32::from(byte - b'0'))
                .collect();
            if is_card(&number) {
                return Some((start, end));
            }
        }
    }
    None
}

/// Length, issuer range and Luhn sum (ISO/IEC 7812-1) of a card number.
fn is_card(number: &[u32]) -> bool {
    if !(13..=19).contains(&number.len()) {
        return false;
    }
    let prefix = number[..4].iter().fold(0, |prefix, digit| prefix * 10 + digit);
    // Years such as 2023 open many time stamps; no issuer has them.
    let issued = matches!(prefix, 2200..=2204 | 2221..=2720 | 3000..=6999);
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| match (place % 2, digit) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    issued && sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::super::same;
    use super::*;

    #[test]
    fn personal_data_is_replaced_by_marks() {
        let mut wrong = Vec::new();
        for (text, expected) in [
            ("mail anna.b+x@mail.example.co.uk!", "mail [EMAIL_REDACTED]!"),
            ("call +49 30 901820 99 now", "call [PHONE_REDACTED] now"),
            ("call +1 (555) 123-4567.", "call [PHONE_REDACTED]."),
            ("(555) 123-4567 or 555.123.4567", "[PHONE_REDACTED] or [PHONE_REDACTED]"),
            ("ring 020 7946 0958", "ring [PHONE_REDACTED]"),
            ("+447700900123", "[PHONE_REDACTED]"),
            ("text me at 5551234567", "text me at [PHONE_REDACTED]"),
            ("call 555-1234", "call [PHONE_REDACTED]"),
            ("I live at 221B Baker Street", "I live at [ADDRESS_REDACTED]"),
            ("at 1600 Pennsylvania Ave NW, Washington", "at [ADDRESS_REDACTED], Washington"),
            ("12 west elm street is home", "[ADDRESS_REDACTED] is home"),
            ("5 Main St. Apt 4B", "[ADDRESS_REDACTED]"),
            ("350 5th Avenue", "[ADDRESS_REDACTED]"),
            ("Hauptstraße 12a in Graz", "[ADDRESS_REDACTED] in Graz"),
            ("SSN 123-45-6789", "SSN [SSN_REDACTED]"),
            ("my ssn is 123456789", "my ssn is [SSN_REDACTED]"),
            ("card 4111 1111 1111 1111", "card [CARD_REDACTED]"),
            ("card 4111-1111-1111-1111 ok", "card [CARD_REDACTED] ok"),
            ("card 4111.1111/1111_1111", "card [CARD_REDACTED]"),
            ("378282246310005", "[CARD_REDACTED]"),
            ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "[CARD_REDACTED]"),
            ("5 times 5555 5555 5555 4444", "5 times [CARD_REDACTED]"),
            ("server 192.168.1.20:8080", "server [IP_REDACTED]:8080"),
            ("ping fe80::1 and ::1", "ping [IP_REDACTED] and [IP_REDACTED]"),
            ("2001:0db8:85a3:0000:0000:8a2e:0370:7334", "[IP_REDACTED]"),
        ] {
            let clean = redact(text);
            same(&mut wrong, text, clean.as_str(), expected);
            assert_eq!(redact(&clean), clean, "idempotent: {text:?}");
        }
        assert_eq!(wrong, Vec::<String>::new());
    }

    #[test]
    fn other_numbers_stay() {
        let mut wrong = Vec::new();
        for text in [
            "version 1.2.3.4 is out",
            "v1.2.3.4",
            "Rust 1.95.0",
            "on 2023-05-07 at 10:30:00",
            "2023-05-07T10:00:00+02:00",
            "2023-05-07T10:00:00.000Z",
            "20230507123011",
            "it cost $1,234,567.89",
            "ISBN 978-0-13-468599-1",
            "order 4111 1111 1111 1112",
            "ticket 1234567890123",
            "10:20:30",
            "std::io and a::b",
            "3 blocks down the street",
            "10 minutes from the road",
            "I ran 5 km on Main Street",
            "in 2023 Anna drove",
            "07/05/2023 and 5.7.2023",
            "100 200 300",
            "pi is 3.14159265358979",
            "git@github.com:owner/repo",
            "call me at 10:30",
            "population 1 000 000 000",
        ] {
            same(&mut wrong, text, redact(text).as_str(), text);
        }
        assert_eq!(wrong, Vec::<String>::new());
    }
}
