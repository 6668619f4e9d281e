//! The command as a process: answers, exit codes, files, and what it refuses.

use std::{
    error::Error,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// A folder of its own, in which the command finds no settings but those of the test.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cml"));
        command.args(arguments).current_dir(self.folder.path());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CML_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command.env("HOME", self.folder.path()).env_remove("XDG_DATA_HOME").stdin(Stdio::null());
        command
    }

    /// Runs the command on the file `memory.db`.
    fn run(&self, arguments: &[&str]) -> Result<Run> {
        let file = self.path("memory.db");
        Run::of(self.command(arguments).env("CML_DB_PATH", file).output()?)
    }

    fn run_with(&self, input: &[u8], arguments: &[&str]) -> Result<Run> {
        let mut child = self
            .command(arguments)
            .env("CML_DB_PATH", self.path("memory.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // A command that refuses its arguments does not read.
        let _unread = child.stdin.take().ok_or("no stdin")?.write_all(input);
        Run::of(child.wait_with_output()?)
    }

    fn json(&self, arguments: &[&str]) -> Result<Value> {
        self.run(&[arguments, &["--json"]].concat())?.ok()?.json()
    }
}

#[derive(Debug)]
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    fn of(output: Output) -> Result<Self> {
        let Output { status, stdout, stderr } = output;
        Ok(Self {
            code: status.code(),
            stdout: String::from_utf8(stdout)?,
            stderr: String::from_utf8(stderr)?,
        })
    }

    fn ok(self) -> Result<Self> {
        if self.code == Some(0) { Ok(self) } else { Err(format!("{self:?}").into()) }
    }

    fn json(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.stdout)?)
    }

    #[track_caller]
    fn failed(&self, code: i32, part: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.stderr.contains(part), "{self:?}");
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

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
fn exit_codes_tell_what_went_wrong() -> Result {
    let place = Place::new()?;
    let unknown = "0198c0de-0000-7000-8000-000000000001";
    place.run(&["get", unknown])?.failed(3, unknown);
    place.run(&["read", "x", "--max-results", "0"])?.failed(2, "max_results");
    place.run(&["read", "x", "--since", "soon"])?.failed(2, "must be a time");
    place.run(&["write", "x", "--type", "dream"])?.failed(2, "preference");
    place.run(&["conjure"])?.failed(2, "conjure");
    place.run(&["jobs", "list"])?.failed(7, "not supported");
    place.run(&["stats", "--mode", "full"])?.failed(7, "embedded-full");
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
fn the_doctor_names_what_is_broken_and_what_to_do() -> Result {
    let place = Place::new()?;
    let fresh = place.run(&["doctor"])?.ok()?;
    assert!(fresh.stdout.contains("its first use makes it"), "{fresh:?}");
    assert!(!Path::new(&place.path("memory.db")).exists());
    place.run(&["write", "I live in Lisbon"])?.ok()?;
    let well = place.json(&["doctor"])?;
    assert_eq!(well["ok"], true);
    assert!(well["findings"].as_array().is_some_and(|found| found.len() >= 5), "{well}");

    fs::write(place.path("notes.txt"), "no database at all")?;
    let run = place.run(&["doctor", "--db", &place.path("notes.txt"), "--json"])?;
    assert_eq!(run.code, Some(1));
    let findings = run.json()?["findings"].clone();
    let findings = findings.as_array().into_iter().flatten();
    let broken: Vec<_> = findings.filter(|finding| finding["state"] == "failed").collect();
    assert_eq!(broken.len(), 1);
    assert_eq!(broken[0]["check"], "file");
    assert!(text(&broken[0]["remedy"]).contains("--db"));
    assert_eq!(fs::read_to_string(place.path("notes.txt"))?, "no database at all");

    let lost = place.run(&["doctor", "--db", &place.path("nowhere/memory.db")])?;
    assert_eq!(lost.code, Some(1));
    assert!(lost.stdout.contains("does not exist"), "{lost:?}");
    let bad = Run::of(place.command(&["doctor"]).env("CML_MODE", "cloud").output()?)?;
    assert!(bad.code == Some(1) && bad.stdout.contains("CML_MODE"), "{bad:?}");
    Ok(())
}

#[test]
fn the_doctor_finds_the_step_at_which_a_server_is_away() -> Result {
    let place = Place::new()?;
    let run = place.run(&["doctor", "--url", "http://127.0.0.1:9"])?;
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("nothing answers at http://127.0.0.1:9"), "{run:?}");
    assert!(run.stdout.contains("cml serve"), "{run:?}");
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
    assert!(!Path::new(&place.path("memory.db")).exists());
    Ok(())
}

/// A server on a free port, ended with the test.
struct Served {
    child: Child,
    url: String,
}

const KEY: &str = "an-admin-key-for-tests";

impl Served {
    fn start(place: &Place) -> Result<Self> {
        let mut child = place
            .command(&["serve", "--listen", "127.0.0.1:0", "--db", &place.path("server.db")])
            .env("CML_ADMIN_API_KEY", KEY)
            .env("CML_API_KEY", "a-user-key")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
        let url = line.trim().strip_prefix("listening on ").ok_or("no first line")?.to_owned();
        Ok(Self { child, url })
    }

    fn run(&self, place: &Place, key: &str, arguments: &[&str]) -> Result<Run> {
        let arguments = [arguments, &["--url", &self.url]].concat();
        Run::of(place.command(&arguments).env("CML_API_KEY", key).output()?)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

#[test]
fn the_verbs_work_against_a_server() -> Result {
    let place = Place::new()?;
    let served = Served::start(&place)?;
    let json = |arguments: &[&str]| served.run(&place, KEY, &[arguments, &["--json"]].concat())?.ok()?.json();
    let id = text(&json(&["write", "I am allergic to shellfish"])?["memory_id"]).to_owned();
    assert_eq!(json(&["read", "what am I allergic to?"])?["memories"][0]["id"], id.as_str());
    assert_eq!(json(&["get", &id])?["text"], "I am allergic to shellfish");
    served.run(&place, "wrong", &["stats"])?.failed(5, "error: ");
    served.run(&place, "a-user-key", &["tenants"])?.failed(5, "error: ");
    Ok(())
}

#[test]
fn the_doctor_judges_a_server_and_a_key() -> Result {
    let place = Place::new()?;
    let served = Served::start(&place)?;
    let well = served.run(&place, KEY, &["doctor", "--json"])?.ok()?.json()?;
    assert_eq!(well["ok"], true, "{well}");
    let refused = served.run(&place, "wrong", &["doctor"])?;
    assert!(refused.code == Some(1) && refused.stdout.contains("does not know the key"), "{refused:?}");
    let foreign = served.run(&place, "a-user-key", &["doctor", "--tenant", "acme"])?;
    assert!(foreign.code == Some(1) && foreign.stdout.contains("may not use the tenant acme"), "{foreign:?}");
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

#[cfg(unix)]
#[test]
fn a_signal_ends_the_server_with_code_0() -> Result {
    let place = Place::new()?;
    let mut served = Served::start(&place)?;
    let kill = Command::new("kill").args(["-TERM", &served.child.id().to_string()]).status()?;
    assert!(kill.success());
    assert_eq!(served.child.wait()?.code(), Some(0));
    Ok(())
}

#[test]
fn a_server_without_keys_makes_one_and_says_so() -> Result {
    let place = Place::new()?;
    let mut child = place
        .command(&["serve", "--listen", "127.0.0.1:0", "--db", ":memory:", "--quiet"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut first = String::new();
    BufReader::new(child.stdout.take().ok_or("no stdout")?).read_line(&mut first)?;
    let mut told = BufReader::new(child.stderr.take().ok_or("no stderr")?);
    let (mut line, mut key) = (String::new(), String::new());
    told.read_line(&mut line)?;
    told.read_line(&mut key)?;
    child.kill()?;
    child.wait()?;
    assert!(first.starts_with("listening on http://127.0.0.1:"), "{first}");
    assert!(line.contains("admin key"), "{line}");
    assert!(!key.trim().is_empty());
    Ok(())
}
