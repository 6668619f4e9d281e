//! The command as a server, and as the client of one.

#[cfg(unix)]
use std::process::Command;
use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use crate::place::{KEY, Place, Result, Served, text};

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
