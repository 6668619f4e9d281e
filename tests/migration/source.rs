//! The rows that move: a life in eight scopes, written as a caller would, and what no caller could write.

mod odd;

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, Duration, Utc};
use cml::{
    Config, Memory, MemoryBackend, MemoryId, Scope,
    memory::Role,
    ops::{
        CreateSession, ExportLine, Feedback, ForgetAction, ForgetRequest, ListFacts, TurnRequest,
        UpdateRequest, WriteRequest,
    },
};
use futures_util::TryStreamExt as _;

use crate::{TestResult, lines::Lines};

/// Memories.
pub(crate) const RECORDS: usize = 10_000;

/// Namespace, user and agent of the scopes that write; empty for none.
const SCOPES: [[&str; 3]; 8] = [
    ["", "", ""],
    ["", "ana", ""],
    ["", "bob", "scribe"],
    ["work", "ana", ""],
    ["work", "bob", "planner"],
    ["日本 / ünï", "名前", ""],
    ["diary", "o'neill \"x\"", "scribe"],
    ["archive", "", "scribe"],
];

/// Texts of a scope that mean something; what is missing to [`RECORDS`] are sentences about things.
const TEXTS: usize = 1_000;
const SESSIONS: usize = 6;

/// The rows, as a lite backend exports them.
pub(crate) async fn lines() -> TestResult<Lines> {
    let scope = Scope::new("where-the-rows-come-from")?;
    let memory = Memory::new(lite().await?, scope.clone());
    for (number, [namespace, user, agent]) in SCOPES.into_iter().enumerate() {
        let mut place = memory.clone();
        if !namespace.is_empty() {
            place = place.namespace(namespace)?;
        }
        if !user.is_empty() {
            place = place.user(user)?;
        }
        if !agent.is_empty() {
            place = place.agent(agent)?;
        }
        live(&place, number).await?;
    }
    let left = RECORDS - usize::try_from(memory.stats().await?.total_memories)?;
    write(&memory, (0..left).map(|n| WriteRequest::new(thing(n)).with_session(format!("things-{}", n % 40))))
        .await?;

    let mut rows: Vec<ExportLine> = memory.export(Default::default()).await?.try_collect().await?;
    memory.close().await?;
    odd::add(&mut rows)?;
    let other = lite().await?;
    let transfer = other.transfer()?;
    let report = transfer.import(&scope, Lines::new(&scope, rows.clone()).stream()).await?;
    assert_eq!((report.losses.len(), report.skipped.len()), (0, 0), "{report:?}");
    let lines = Lines::of(&scope, transfer.export(&scope, Default::default()).await?).await?;
    other.close().await?;
    assert_eq!(lines.rows().len(), rows.len() - 1);
    assert_eq!(lines.count("record"), RECORDS);
    for kind in ExportLine::KINDS {
        let least = match *kind {
            "header" | "trailer" => 0,
            "session" => 80,
            "record_version" | "fact_version" => 150,
            _ => 300,
        };
        assert!(lines.count(kind) >= least, "{} of {kind}", lines.count(kind));
    }
    Ok(lines)
}

async fn lite() -> TestResult<Arc<dyn MemoryBackend>> {
    Ok(cml::connect::backend(&Config::default()).await?)
}

/// What one scope writes, changes and forgets.
async fn live(place: &Memory, number: usize) -> TestResult {
    for session in 0..SESSIONS {
        let request = CreateSession::new().with_name(format!("talk {session}")).with_kind("planning");
        place.create_session(request).await?;
    }
    let texts = (0..TEXTS).map(|n| request(number, n));
    let ids = write(place, texts).await?;
    for (at, id) in ids.iter().enumerate() {
        match at % 40 {
            3 => drop(place.update(UpdateRequest::new(*id).with_text(thing(number * TEXTS + at))).await?),
            13 => drop(place.update(UpdateRequest::new(*id).with_importance(0.1 + 0.2)).await?),
            23 if at % 80 == 23 => {
                drop(place.update(UpdateRequest::new(*id).with_feedback(Feedback::Incorrect)).await?);
            }
            33 => {
                let action =
                    [ForgetAction::Delete, ForgetAction::Archive, ForgetAction::Silence][at / 40 % 3];
                place.forget(ForgetRequest::ids([*id]).with_action(action)).await?;
            }
            _ => {}
        }
    }
    for (n, fact) in place.list_facts(ListFacts::new().with_limit(1000usize)).await?.items.iter().enumerate()
    {
        if n % 4 == 1 {
            place.retract_fact(fact.id).await?;
        }
    }
    for turn in 0..10 {
        let request = TurnRequest::new(format!("Where does {} live?", name(turn)))
            .with_assistant_response(format!("Turn {turn} of scope {number}: nobody said it."))
            .with_turn_id(format!("turn-{turn}"));
        place.session(format!("chat-{number}"))?.turn(request).await?;
    }
    Ok(())
}

/// Writes a batch; the memories that came of it.
async fn write(place: &Memory, requests: impl Iterator<Item = WriteRequest>) -> TestResult<Vec<MemoryId>> {
    let requests: Vec<WriteRequest> = requests.collect();
    let mut ids = BTreeSet::new();
    for batch in requests.chunks(500) {
        for written in place.batch_write(batch.to_vec()).await? {
            ids.extend(written?.memory_id);
        }
    }
    Ok(ids.into_iter().collect())
}

/// Text `n` of a scope: statements that supersede one another, constraints, names, keys, sessions, expiries.
fn request(scope: usize, n: usize) -> WriteRequest {
    let said = start() + Duration::minutes(i64::try_from(n).unwrap_or_default() * 7);
    let request = match n % 10 {
        0 if n < 400 => WriteRequest::new(format!("I live in {}.", name(n))),
        1 => WriteRequest::new(format!("My sister {} works at {}.", name(n), name(n / 100 + 7))),
        2 if n < 300 => WriteRequest::new(format!("I am allergic to {}.", name(n).to_lowercase())),
        3 => WriteRequest::new(format!("I like {} tea.", name(n).to_lowercase())),
        4 => WriteRequest::new(format!("{} and {} met at the harbour.", name(n), name(n + 1)))
            .with_speaker(name(n % 7)),
        5 => WriteRequest::new(format!("The offer number {n} ends soon."))
            .with_expires_at(said + Duration::days(if n % 20 == 5 { 1 } else { 100_000 })),
        6 => WriteRequest::new(format!("Door number {n} is green.")).with_key(format!("door-{}", n % 300)),
        7 => WriteRequest::new(thing(scope * TEXTS + n)).with_role(Role::Assistant),
        _ => WriteRequest::new(format!("Note {n}: {}", thing(scope * TEXTS + n))).with_tags(["note", "βήτα"]),
    };
    let request = request.with_timestamp(said);
    if n.is_multiple_of(3) { request.with_session(format!("s{scope}-{}", n % SESSIONS)) } else { request }
}

fn start() -> DateTime<Utc> {
    DateTime::<Utc>::UNIX_EPOCH + Duration::days(19_700)
}

/// A sentence of its own for every number.
fn thing(n: usize) -> String {
    const WHAT: [&str; 7] = ["lantern", "ladder", "barrel", "mirror", "basket", "hammer", "anchor"];
    const WHERE: [&str; 5] = ["harbour", "orchard", "castle", "market", "valley"];
    format!("The {} number {n} stands behind the {} gate.", WHAT[n % 7], WHERE[n / 7 % 5])
}

/// A name of its own for every number; the letters give no English endings.
fn name(n: usize) -> String {
    let letters = n.to_string().into_bytes().into_iter();
    let letters = letters.map(|digit| char::from(b"bcdfghjkmn"[usize::from(digit - b'0')]));
    format!("Vo{}", letters.flat_map(|letter| [letter, 'o']).collect::<String>())
}
