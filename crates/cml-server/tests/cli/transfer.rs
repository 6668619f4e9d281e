//! Export, import and migration.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::place::{KEY, Place, Result, Run, Served, text};

/// What two exports must have in common: every line but the first and last, which tell time and hash.
fn body(path: &str) -> Result<Vec<String>> {
    let lines: Vec<_> = fs::read_to_string(path)?.lines().map(str::to_owned).collect();
    Ok(lines[1..lines.len() - 1].to_vec())
}

#[test]
fn an_export_is_imported_without_loss() -> Result {
    let place = Place::new()?;
    for sentence in ["I live in Lisbon", "I am allergic to nuts", "Ana is my sister"] {
        place.run(&["write", sentence, "--session", "monday", "--tags", "home"])?.ok()?;
    }
    let (first, second) = (place.path("first.jsonl"), place.path("second.jsonl"));
    let report = place.json(&["export", &first])?;
    assert_eq!(report["exported"]["record"], 3);
    assert_eq!(report["losses"], json!([]));

    let other = place.path("other.db");
    let imported = place.json(&["import", &first, "--db", &other])?;
    assert_eq!(imported["imported"]["record"], 3);
    place.run(&["export", &second, "--db", &other])?.ok()?;
    assert_eq!(body(&second)?, body(&first)?);
    assert_eq!(place.json(&["import", &first, "--db", &other])?["skipped"]["record"], 3);
    Ok(())
}

#[test]
fn an_export_travels_compressed_and_through_a_pipe() -> Result {
    let place = Place::new()?;
    for sentence in ["I live in Lisbon", "I am allergic to nuts", "Ana is my sister"] {
        place.run(&["write", sentence])?.ok()?;
    }
    let (plain, packed) = (place.path("plain.jsonl"), place.path("packed.jsonl.zst"));
    place.run(&["export", &plain])?.ok()?;
    place.run(&["export", &packed])?.ok()?;
    assert!(fs::metadata(&packed)?.len() < fs::metadata(&plain)?.len());
    let (other, again) = (place.path("other.db"), place.path("again.jsonl"));
    place.run(&["import", &packed, "--db", &other])?.ok()?;
    place.run(&["export", &again, "--db", &other])?.ok()?;
    assert_eq!(body(&again)?, body(&plain)?);

    let piped = place.run(&["export", "-"])?.ok()?.stdout;
    assert_eq!(piped.lines().count(), fs::read_to_string(&plain)?.lines().count());
    let third = place.path("third.db");
    let run = place.run_with(piped.as_bytes(), &["import", "-", "--db", &third, "--json"])?.ok()?;
    assert_eq!(run.json()?["imported"]["record"], 3);
    let left: Vec<_> = fs::read_dir(place.folder.path())?.collect::<Result<_, _>>()?;
    assert!(!left.iter().any(|entry| entry.file_name().to_string_lossy().ends_with(".part")));
    Ok(())
}

#[test]
fn memories_migrate_into_another_file_and_tenant() -> Result {
    let place = Place::new()?;
    place.run(&["write", "I live in Lisbon"])?.ok()?;
    let (from, to) = (place.path("memory.db"), place.path("to.db"));
    let moved = place.json(&["migrate", "--from", &from, "--to", &to, "--to-tenant", "acme"])?;
    assert_eq!(moved["imported"]["record"], 1);
    assert_eq!(place.json(&["stats", "--db", &to, "--tenant", "acme"])?["total_memories"], 1);
    Ok(())
}

#[test]
fn one_session_migrates_alone() -> Result {
    let place = Place::new()?;
    place.run(&["write", "I live in Lisbon", "--session", "monday"])?.ok()?;
    place.run(&["write", "Ana is my sister", "--session", "tuesday"])?.ok()?;
    let (from, to) = (place.path("memory.db"), place.path("to.db"));
    let moved = place.json(&["migrate", "--from", &from, "--to", &to, "--session", "monday"])?;
    assert_eq!(moved["imported"]["record"], 1);
    assert_eq!(place.json(&["list", "--db", &to])?["items"][0]["text"], "I live in Lisbon");
    Ok(())
}

#[test]
fn an_address_is_not_taken_for_a_file() -> Result {
    let place = Place::new()?;
    place.run(&["write", "I live in Lisbon"])?.ok()?;
    let run = place.run(&["migrate", "--from", &place.path("memory.db"), "--to", "localhost:8000"])?;
    run.failed(2, "to: looks like an address");
    run.failed(2, "http://");
    assert!(!Path::new(&place.path("localhost:8000")).exists());
    Ok(())
}

#[test]
fn nothing_migrates_from_a_file_that_is_not_there() -> Result {
    let place = Place::new()?;
    let (missing, to) = (place.path("missing.db"), place.path("to.db"));
    place.run(&["migrate", "--from", &missing, "--to", &to])?.failed(2, "no such database file");
    assert!(!Path::new(&missing).exists() && !Path::new(&to).exists());
    Ok(())
}

#[test]
fn a_broken_import_file_names_its_line_and_stores_nothing() -> Result {
    let place = Place::new()?;
    place.run(&["write", "I live in Lisbon"])?.ok()?;
    let export = place.run(&["export", "-"])?.ok()?.stdout;
    let lines: Vec<_> = export.lines().collect();
    let (file, target) = (place.path("broken.jsonl"), place.path("target.db"));
    for (content, part) in [
        (lines[..2].join("\n"), "line 3: the file is cut"),
        (export.replace("Lisbon", "Madrid"), "SHA-256"),
        ("PK\u{3}\u{4}".to_owned(), "line 1: is no line of a cml export"),
        (String::new(), "line 1: the file is empty"),
        ("[{\"id\": 7}]".to_owned(), "entry 1: is no memory"),
        ("[".to_owned(), "entry 1: the file is cut"),
    ] {
        fs::write(&file, content)?;
        place.run(&["import", &file, "--db", &target])?.failed(2, part);
    }
    fs::write(place.path("broken.zst"), "no zstd")?;
    place.run(&["import", &place.path("broken.zst"), "--db", &target])?.failed(2, "zstd");
    assert_eq!(place.json(&["stats", "--db", &target])?["total_memories"], 0);
    Ok(())
}

#[test]
fn files_that_cannot_be_read_or_written_are_named() -> Result {
    let place = Place::new()?;
    place.run(&["import", &place.path("absent.jsonl")])?.failed(2, "no such file");
    place.run(&["import", &place.path("")])?.failed(2, "is a folder");
    place.run(&["write", "I live in Lisbon"])?.ok()?;
    place.run(&["export", &place.path("memory.db")])?.failed(2, "is a database");
    assert_eq!(place.json(&["stats"])?["total_memories"], 1);
    Ok(())
}

#[test]
fn the_originals_list_comes_in_and_goes_out_with_its_losses() -> Result {
    let place = Place::new()?;
    let entry = |n: u32, text: &str| {
        json!({
            "id": format!("00000000-0000-4000-8000-{n:012}"), "tenant_id": "acme", "type": "preference",
            "status": "active", "text": text, "key": null, "confidence": 0.9, "importance": 0.6,
            "access_count": 3, "timestamp": "2025-03-01T12:00:00",
        })
    };
    let list = json!([entry(1, "I prefer tea to coffee"), entry(2, "I prefer trains to planes")]);
    let file = place.path("original.json");
    fs::write(&file, list.to_string())?;
    let report = place.json(&["import", &file])?;
    assert!(report["losses"].as_array().is_some_and(|losses| !losses.is_empty()), "{report}");
    let read = place.json(&["read", "tea or coffee?"])?;
    assert_eq!(read["memories"][0]["text"], "I prefer tea to coffee");
    assert!(text(&read["memories"][0]["timestamp"]).starts_with("2025-03-01T12:00:00"));

    let out = place.path("out.json");
    let report = place.json(&["export", &out, "--original"])?;
    assert_eq!(report["exported"]["record"], 2);
    assert!(report["losses"].to_string().contains("fact"), "{report}");
    let written: Vec<Value> = serde_json::from_str(&fs::read_to_string(&out)?)?;
    assert_eq!(written[0].as_object().map(serde_json::Map::len), Some(10));
    Ok(())
}

#[test]
fn memories_migrate_from_a_server_into_a_file() -> Result {
    let place = Place::new()?;
    let served = Served::start(&place)?;
    served.run(&place, KEY, &["write", "I am allergic to shellfish"])?.ok()?;
    let file = place.path("moved.db");
    let moved = place.json(&["migrate", "--from", &served.url, "--from-key", KEY, "--to", &file])?;
    assert_eq!(moved["imported"]["record"], 1);
    assert_eq!(place.json(&["stats", "--db", &file])?["total_memories"], 1);
    Ok(())
}

#[test]
fn a_configured_key_goes_to_no_two_servers() -> Result {
    let place = Place::new()?;
    let served = Served::start(&place)?;
    served.run(&place, KEY, &["write", "I am allergic to shellfish"])?.ok()?;
    let arguments = ["migrate", "--from", &served.url, "--to", &served.url, "--to-tenant", "acme"];
    let migrate = |variables: &[&str]| {
        let mut command = place.command(&arguments);
        command.env("CML_ADMIN_API_KEY", KEY).env("CML_API_KEY", KEY);
        Run::of(command.envs(variables.iter().map(|name| (name, KEY))).output()?)
    };
    migrate(&[])?.failed(2, "from_key: is needed");
    migrate(&["CML_FROM_KEY"])?.failed(2, "to_key: is needed");
    let moved = migrate(&["CML_FROM_KEY", "CML_TO_KEY"])?.ok()?;
    assert!(moved.stdout.contains("1 record"), "{moved:?}");
    Ok(())
}
