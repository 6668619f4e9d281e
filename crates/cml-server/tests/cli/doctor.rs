//! What the doctor finds.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::Path,
    thread,
};

use crate::place::{KEY, Place, Result, Run, Served, text};

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
fn the_doctor_tells_a_proxy_without_its_server_from_no_server() -> Result {
    let place = Place::new()?;
    let proxy = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", proxy.local_addr()?);
    // It ends with the tests.
    thread::spawn(move || {
        for mut caller in proxy.incoming().flatten() {
            let mut request = BufReader::new(&caller).lines();
            while request.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let answer = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            // A caller that is gone needs no answer.
            let _gone = caller.write_all(answer);
        }
    });
    let run = place.run(&["doctor", "--url", &url])?;
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("the server behind it is away or busy"), "{run:?}");
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
fn the_doctor_names_the_service_that_is_missing() -> Result {
    let place = Place::new()?;
    let run = place.run(&["doctor", "--mode", "full"])?;
    assert_eq!(run.code, Some(1));
    for option in
        ["postgres.url (CML_POSTGRES_URL)", "neo4j.url (CML_NEO4J_URL)", "redis.url (CML_REDIS_URL)"]
    {
        assert!(run.stdout.contains(option), "{run:?}");
    }
    let wrong = place
        .command(&["doctor", "--mode", "standard"])
        .env("CML_POSTGRES_URL", "mysql://ana:hidden@db.example/cml")
        .output()?;
    let wrong = Run::of(wrong)?;
    assert!(wrong.code == Some(1) && wrong.stdout.contains("CML_POSTGRES_URL: must be"), "{wrong:?}");
    assert!(!format!("{wrong:?}").contains("hidden"), "{wrong:?}");
    Ok(())
}
