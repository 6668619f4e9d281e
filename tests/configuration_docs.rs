//! `docs/configuration.md` names every option as the library knows it.

use cml::config::OPTIONS;

const PAGE: &str = include_str!("../docs/configuration.md");

#[test]
fn the_table_equals_the_options() {
    let documented: Vec<&str> = PAGE.lines().filter(|line| line.starts_with("| `")).collect();
    let expected: Vec<String> = OPTIONS
        .iter()
        .map(|option| {
            let default = if option.default.is_empty() { "" } else { &format!("`{}`", option.default) };
            format!("| `{}` | `{}` | {default} | {} |", option.key, option.variable, option.description)
        })
        .collect();
    assert_eq!(documented, expected, "the table should be:\n{}", expected.join("\n"));
}

#[test]
fn the_example_file_sets_what_exists() -> cml::Result<()> {
    let example =
        PAGE.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
    let config = cml::Config::from_parts(Some(example), &std::collections::BTreeMap::new())?;
    assert_eq!(config.tenant, "acme");
    assert!(config.db_path.is_some());
    Ok(())
}
