//! A value put into the text of a TOML file, line by line, so that comments and order stay.
//!
//! It understands tables, dotted keys and values of one line. The caller reads the result again and
//! refuses it where it does not say what was meant.

/// `text` with `key`, a table and a name joined by a dot, set to `literal`.
pub(super) fn set(text: &str, key: &str, literal: &str) -> String {
    let (table, name) = key.rsplit_once('.').unwrap_or(("", key));
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let entries = entries(&lines);
    if let Some(entry) = entries.iter().find(|entry| entry.key == key) {
        lines[entry.line] = replaced(&lines[entry.line], literal);
    } else if let Some(last) = entries.iter().rfind(|entry| parent(&entry.key) == table) {
        let here = key.strip_prefix(&last.table).map_or(key, |rest| rest.trim_start_matches('.'));
        lines.insert(last.line + 1, format!("{here} = {literal}"));
    } else if table.is_empty() {
        lines.insert(0, format!("{name} = {literal}"));
    } else if let Some(at) = lines.iter().position(|line| header(line).as_deref() == Some(table)) {
        lines.insert(at + 1, format!("{name} = {literal}"));
    } else {
        if lines.last().is_some_and(|last| !last.trim().is_empty()) {
            lines.push(String::new());
        }
        lines.extend([format!("[{table}]"), format!("{name} = {literal}")]);
    }
    lines.push(String::new());
    lines.join("\n")
}

/// `value` as TOML writes it: a truth value or a number as it is, anything else as a string.
pub(super) fn literal(value: &str) -> String {
    let bare = matches!(value, "true" | "false")
        || value.parse::<i64>().is_ok_and(|number| number.to_string() == value)
        || (value.contains('.') && value.parse::<f64>().is_ok_and(|number| number.to_string() == value));
    if bare { value.to_owned() } else { serde_json::Value::from(value).to_string() }
}

/// A line that sets a key.
struct Entry {
    line: usize,
    /// The table it stands in.
    table: String,
    /// The whole key, with the table.
    key: String,
}

fn entries(lines: &[String]) -> Vec<Entry> {
    let mut table = String::new();
    let mut entries = Vec::new();
    for (line, text) in lines.iter().enumerate() {
        if let Some(name) = header(text) {
            table = name;
        } else if let Some((name, _)) = text.split_once('=').filter(|_| !text.trim_start().starts_with('#')) {
            let name = dotted(name);
            let key = if table.is_empty() { name } else { format!("{table}.{name}") };
            entries.push(Entry { line, table: table.clone(), key });
        }
    }
    entries
}

/// The table that a line opens.
fn header(line: &str) -> Option<String> {
    let inner = line.trim().strip_prefix('[')?;
    inner.split_once(']').map(|(name, _)| dotted(name))
}

/// A key without blanks and quotes around its parts.
fn dotted(key: &str) -> String {
    let part = |part: &str| part.trim().trim_matches(['"', '\'']).to_owned();
    key.split('.').map(part).collect::<Vec<_>>().join(".")
}

fn parent(key: &str) -> &str {
    key.rsplit_once('.').map_or("", |(table, _)| table)
}

/// The line with another value; a comment behind the value stays.
fn replaced(line: &str, literal: &str) -> String {
    let Some((name, value)) = line.split_once('=') else { return line.to_owned() };
    let behind = match after_value(value.trim_start()).trim() {
        "" => String::new(),
        comment => format!(" {comment}"),
    };
    format!("{name}= {literal}{behind}")
}

fn after_value(value: &str) -> &str {
    let mut chars = value.char_indices();
    match chars.next() {
        Some((_, quote @ ('"' | '\''))) => {
            let mut escaped = false;
            for (at, next) in chars {
                if next == quote && !escaped {
                    return &value[at + 1..];
                }
                escaped = quote == '"' && next == '\\' && !escaped;
            }
            ""
        }
        _ => value.find('#').map_or("", |at| &value[at..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_takes_the_place_of_the_former_one_and_its_comment_stays() {
        assert_eq!(set("a = \"x # y\\\"\" # why\nb = 1\n", "a", "\"z\""), "a = \"z\" # why\nb = 1\n");
        assert_eq!(set("[http]\n  timeout=5\n", "http.timeout", "7"), "[http]\n  timeout= 7\n");
        assert_eq!(set("http.timeout = 5", "http.timeout", "7"), "http.timeout = 7\n");
    }

    #[test]
    fn a_new_value_joins_its_table() {
        assert_eq!(set("", "tenant", "1"), "tenant = 1\n");
        assert_eq!(set("[http]\na = 1\n", "tenant", "1"), "tenant = 1\n[http]\na = 1\n");
        assert_eq!(set("x = 1\n\n[http]\n", "tenant", "1"), "x = 1\ntenant = 1\n\n[http]\n");
        assert_eq!(set("[http]\na = 1\n\n[b]\n", "http.c", "2"), "[http]\na = 1\nc = 2\n\n[b]\n");
        assert_eq!(set("http.a = 1\n", "http.c", "2"), "http.a = 1\nhttp.c = 2\n");
        assert_eq!(set("[http] # ours\n", "http.c", "2"), "[http] # ours\nc = 2\n");
        assert_eq!(set("x = 1\n", "http.c", "2"), "x = 1\n\n[http]\nc = 2\n");
        assert_eq!(set("# http.c = 1\n", "http.c", "2"), "# http.c = 1\n\n[http]\nc = 2\n");
    }

    #[test]
    fn only_what_toml_reads_back_the_same_stands_without_quotes() {
        for (value, expected) in [
            ("5", "5"),
            ("2.5", "2.5"),
            ("true", "true"),
            ("007", "\"007\""),
            ("1e3", "\"1e3\""),
            ("a \"b\"", "\"a \\\"b\\\"\""),
            ("127.0.0.1:80", "\"127.0.0.1:80\""),
        ] {
            assert_eq!(literal(value), expected);
        }
    }
}
