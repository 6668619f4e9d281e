//! The verbs on a file, and how they fail.

use std::{fs, io::Write as _, path::Path, process::Stdio};

use serde_json::Value;

use crate::place::{Place, Result, Run, text};

#[test]
fn what_is_written_is_read() -> Result {
    let place = Place::new()?;
    let sentence = "I am allergic to shellfish";
    let written =
        place.json(&["write", sentence, "--tags", "health,food", "--metadata", "{\"from\": \"form\"}"])?;
    let id = text(&written["memory_id"]).to_owned();
    assert_eq!(written["success"], true);

    let read = place.json(&["read", "what am I allergic to?", "--tags", "food"])?;
    assert_eq!(read["memories"][0]["id"], id.as_str());
    assert_eq!(read["memories"][0]["text"], sentence);
    assert_eq!(place.json(&["read", "allergic", "--tags", "work"])?["total_count"], 0);

    let people = place.run(&["read", "what am I allergic to?"])?.ok()?;
    assert!(people.stdout.contains(sentence), "{people:?}");
    let prompt = place.run(&["read", "allergic to what?", "--format", "llm-context"])?.ok()?;
    assert!(prompt.stdout.starts_with("## "), "{prompt:?}");

    let sheet = place.run(&["get", &id])?.ok()?;
    assert!(sheet.stdout.starts_with(&format!("{sentence}\n")), "{sheet:?}");
    assert_eq!(place.json(&["get", &id, "--facts"])?["metadata"]["from"], "form");
    assert_eq!(place.json(&["list"])?["items"][0]["id"], id.as_str());
    assert_eq!(place.json(&["stats"])?["total_memories"], 1);
    assert_eq!(place.json(&["health"])?["status"], "healthy");
    Ok(())
}

#[test]
fn arguments_beat_variables_and_variables_beat_the_file() -> Result {
    let place = Place::new()?;
    fs::write(place.path("cml.toml"), "tenant = \"from-file\"\n")?;
    place.run(&["write", "The tenant of the file wrote this"])?.ok()?;
    place.run(&["write", "Another tenant wrote this", "--tenant", "other"])?.ok()?;
    let listed = place.json(&["list"])?;
    assert_eq!(listed["items"][0]["tenant_id"], "from-file");
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    let mut other = place.command(&["list", "--json", "--db", &place.path("memory.db")]);
    let listed = Run::of(other.env("CML_TENANT_ID", "other").output()?)?.ok()?.json()?;
    assert_eq!(listed["items"][0]["text"], "Another tenant wrote this");
    Ok(())
}

#[test]
fn without_settings_memories_are_kept_in_the_users_folder() -> Result {
    let place = Place::new()?;
    Run::of(place.command(&["write", "We moved to Lisbon in May"]).output()?)?.ok()?;
    let listed = Run::of(place.command(&["list"]).output()?)?.ok()?;
    assert!(listed.stdout.contains("We moved to Lisbon in May"), "{listed:?}");
    let nothing = Run::of(place.command(&["list", "--db", ":memory:"]).output()?)?.ok()?;
    assert_eq!(nothing.stdout, "");
    Ok(())
}

#[test]
fn texts_come_from_standard_input() -> Result {
    let place = Place::new()?;
    place.run_with("O café da esquina fecha às dez\n".as_bytes(), &["write"])?.ok()?;
    place.run_with(b"The library closes at eight", &["write", "-"])?.ok()?;
    assert_eq!(place.json(&["stats"])?["total_memories"], 2);
    place.run_with(b"bad \xff text", &["write"])?.failed(2, "byte 5");
    place.run_with(b"", &["write"])?.failed(2, "content: must not be empty");
    assert_eq!(place.json(&["stats"])?["total_memories"], 2);
    Ok(())
}

#[test]
fn a_bad_line_of_a_batch_fails_alone_and_is_named() -> Result {
    let place = Place::new()?;
    let lines = "{\"content\": \"Ana plays the cello\"}\n\n{\"content\": 7}\n{\"content\": \" \"}\n\
                 {\"content\": \"Ben plays the oboe\", \"context_tags\": [\"music\"]}\n";
    let run = place.run_with(lines.as_bytes(), &["write", "--batch"])?;
    run.failed(2, "line 3: ");
    run.failed(2, "line 4: content: must not be empty");
    assert!(run.stderr.contains("2 stored, 0 skipped, 2 failed"), "{run:?}");
    assert_eq!(place.json(&["stats"])?["total_memories"], 2);

    let run = place.run_with(lines.as_bytes(), &["write", "--batch", "--json"])?;
    let answers: Vec<Value> = run.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(answers.len(), 4);
    assert_eq!(answers[1]["error"]["code"], "invalid_input");
    assert_eq!(answers[3]["success"], true);
    Ok(())
}

#[test]
fn a_batch_is_stored_even_if_nobody_reads_the_answers() -> Result {
    let place = Place::new()?;
    let mut child = place
        .command(&["write", "--batch", "--json", "--db", &place.path("memory.db")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    drop(child.stdout.take());
    let lines = "{\"content\": \"Ana plays the cello\"}\n7\n{\"content\": \"Ben plays the oboe\"}\n";
    child.stdin.take().ok_or("no stdin")?.write_all(lines.as_bytes())?;
    let run = Run::of(child.wait_with_output()?)?;
    assert_eq!(run.code, Some(2), "{run:?}");
    assert_eq!(place.json(&["stats"])?["total_memories"], 2);
    Ok(())
}

#[test]
fn exit_codes_tell_what_went_wrong() -> Result {
    let place = Place::new()?;
    let unknown = "0198c0de-0000-7000-8000-000000000001";
    place.run(&["get", unknown])?.failed(3, unknown);
    place.run(&["read", "x", "--max-results", "0"])?.failed(2, "max_results");
    place.run(&["read", "x", "--since", "soon"])?.failed(2, "must be a time");
    place.run(&["write", "x", "--type", "dream"])?.failed(2, "preference");
    place.run(&["conjure"])?.failed(2, "conjure");
    place.run(&["jobs", "list"])?.failed(7, "not supported");
    place.run(&["stats", "--mode", "full"])?.failed(2, "CML_POSTGRES_URL");
    place.run(&["stats", "--mode", "lite", "--url", "http://localhost:1"])?.failed(2, "--url means");
    let bad = Run::of(place.command(&["stats"]).env("CML_TIMEOUT", "0").output()?)?;
    bad.failed(2, "CML_TIMEOUT");
    let error: Value = serde_json::from_str(&place.run(&["get", unknown, "--json"])?.stderr)?;
    assert_eq!(error["error"]["code"], "not_found");
    Ok(())
}

#[test]
fn a_server_that_is_away_has_its_own_exit_code() -> Result {
    let place = Place::new()?;
    // The discard port: nothing listens there.
    let mut away = place.command(&["stats", "--url", "http://127.0.0.1:9", "--json"]);
    let away = Run::of(away.env("CML_MAX_RETRIES", "0").output()?)?;
    let error: Value = serde_json::from_str(&away.stderr)?;
    assert_eq!(error["error"]["code"], "unavailable", "{away:?}");
    assert_eq!(away.code, Some(6));
    Ok(())
}

#[test]
fn an_update_of_another_version_is_a_conflict() -> Result {
    let place = Place::new()?;
    let id = text(&place.json(&["write", "The meeting is on Monday"])?["memory_id"]).to_owned();
    let updated = place.json(&["update", &id, "--text", "The meeting is on Tuesday", "--tags", "work"])?;
    assert_eq!(updated["version"], 2);
    place.run(&["update", &id, "--importance", "0.9", "--expected-version", "1"])?.failed(4, "version");
    let detail = place.json(&["get", &id, "--versions"])?;
    assert_eq!(detail["text"], "The meeting is on Tuesday");
    assert_eq!(detail["versions"][0]["record"]["text"], "The meeting is on Monday");
    Ok(())
}

#[test]
fn nothing_is_removed_without_a_yes() -> Result {
    let place = Place::new()?;
    let written = place.json(&["write", "The old address is in Porto", "--user", "ana"])?;
    let id = text(&written["memory_id"]).to_owned();
    place.run(&["erase", "user", "ana"])?.failed(2, "--yes");
    place.run(&["forget", &id])?.failed(2, "--yes");
    place.run(&["sessions", "clear", "monday"])?.failed(2, "--yes");
    place.run(&["forget"])?.failed(2, "selector");
    place.run(&["erase", "user"])?.failed(2, "ID");
    for narrower in ["--namespace", "--user", "--agent", "--session"] {
        let run = place.run(&["erase", "tenant", "--yes", narrower, "ana"])?;
        run.failed(2, "erase reaches the whole tenant");
    }
    assert_eq!(place.json(&["forget", &id, "--dry-run"])?["matches"][0]["id"], id.as_str());
    assert_eq!(place.json(&["forget", &id, "--action", "archive"])?["affected_count"], 1);
    assert_eq!(place.json(&["list", "--status", "archived"])?["items"][0]["id"], id.as_str());
    assert_eq!(place.json(&["erase", "user", "ana", "--yes"])?["affected_count"], 1);
    assert_eq!(place.json(&["stats"])?["total_memories"], 0);
    Ok(())
}

#[test]
fn conversations_facts_and_events_have_their_verbs() -> Result {
    let place = Place::new()?;
    let session = place.json(&["sessions", "create", "--name", "planning"])?;
    let session = text(&session["session_id"]).to_owned();
    let turn = ["turn", "I live in Lisbon", "--answer", "Noted.", "--session", &session];
    assert!(place.json(&turn)?["memories_stored"].as_u64() >= Some(1));
    let log = place.json(&["sessions", "messages", &session])?;
    assert_eq!(log["messages"][0]["text"], "I live in Lisbon");
    assert!(place.run(&["sessions", "context", &session])?.ok()?.stdout.contains("Lisbon"));
    assert!(place.run(&["sessions", "list"])?.ok()?.stdout.contains("planning"));

    let facts = place.json(&["facts", "list", "--category", "location"])?;
    assert_eq!(facts["items"][0]["value"], "Lisbon");
    let fact = text(&facts["items"][0]["id"]).to_owned();
    assert_eq!(place.json(&["facts", "retract", &fact])?["status"], "retracted");
    assert_eq!(place.json(&["facts", "list"])?["total"], 0);
    assert_eq!(place.json(&["facts", "get", &fact])?["status"], "retracted");

    assert!(place.json(&["events", "--operation", "retract"])?["total"].as_u64() >= Some(1));
    assert_eq!(place.json(&["tenants"])?["tenants"][0]["tenant_id"], "default");
    assert!(place.json(&["sessions", "clear", &session, "--yes"])?["affected_count"].as_u64() >= Some(1));
    Ok(())
}

#[test]
fn every_page_is_listed_and_a_closed_pipe_is_no_failure() -> Result {
    let place = Place::new()?;
    let lines: String =
        (0..40).map(|n| format!("{{\"content\": \"Shelf number {n} holds box {n}\"}}\n")).collect();
    place.run_with(lines.as_bytes(), &["write", "--batch"])?.ok()?;
    let all = place.run(&["list", "--all", "--limit", "7"])?.ok()?;
    assert_eq!(all.stdout.lines().count(), 40);
    let page = place.run(&["list", "--limit", "7"])?.ok()?;
    assert!(page.stderr.contains("--cursor"), "{page:?}");
    let mut child = place
        .command(&["list", "--all", "--limit", "1", "--db", &place.path("memory.db")])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    drop(child.stdout.take());
    let run = Run::of(child.wait_with_output()?)?;
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    Ok(())
}

#[test]
fn completions_and_help_are_printed_without_a_memory() -> Result {
    let place = Place::new()?;
    for shell in ["bash", "zsh", "fish"] {
        let run = place.run(&["completions", shell])?.ok()?;
        assert!(run.stdout.contains("doctor"), "{shell}");
    }
    let help = place.run(&["--help"])?.ok()?;
    assert!(help.stdout.contains("Exit codes:"), "{help:?}");
    let hash = place.run_with(b"a key\n", &["hash-key"])?.ok()?;
    assert!(hash.stdout.starts_with("[[keys]]\nhash = \"sha256:"), "{hash:?}");
    assert!(!hash.stdout.contains("a key"));
    fs::write(place.path("cml.toml"), "tenant = \"from-file\"\n")?;
    assert_eq!(place.json(&["hash-key", "a key"])?["tenant"], "from-file");
    let mut other = place.command(&["hash-key", "a key", "--json"]);
    let other = Run::of(other.env("CML_TENANT_ID", "other").output()?)?.ok()?.json()?;
    assert_eq!(other["tenant"], "other");
    assert!(!Path::new(&place.path("memory.db")).exists());
    Ok(())
}
