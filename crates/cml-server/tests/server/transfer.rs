//! Export and import as bodies.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cml_core::{
    Config,
    ops::{ExportHeader, ExportLine, FORMAT_NAME, FORMAT_VERSION},
};
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use crate::{ADMIN, Outcome, Running, USER, client::Reply, fake::Fake};

fn header() -> Outcome<ExportLine> {
    let header: ExportHeader = serde_json::from_value(json!({
        "format": FORMAT_NAME, "version": FORMAT_VERSION, "created_at": "2026-05-07T09:30:00Z", "models": [],
    }))?;
    Ok(ExportLine::Header(header))
}

fn session(id: &str) -> Outcome<ExportLine> {
    Ok(ExportLine::Session(serde_json::from_value(json!({
        "session_id": id, "tenant_id": "acme", "created_at": "2026-05-07T09:30:00Z",
    }))?))
}

async fn start() -> Outcome<(Arc<Fake>, Running)> {
    let backend = Arc::new(Fake::default());
    let lines = [header()?, session("monday")?, session("tuesday")?];
    backend.exported.lock().map_err(|_poisoned| "poisoned")?.extend(lines);
    let mut config = Config::default();
    config.server.max_body_bytes = 1024;
    let server = Running::start(Arc::clone(&backend) as _, &config).await?;
    Ok((backend, server))
}

fn imported(backend: &Fake) -> usize {
    backend.imported.lock().map_or(usize::MAX, |lines| lines.len())
}

#[tokio::test]
async fn an_export_is_imported_and_a_broken_one_names_its_line() -> Outcome {
    let (backend, server) = start().await?;
    let export = server.client.get("/export?vectors=false", ADMIN).await?;
    assert_eq!((export.status, export.header("content-type")), (200, Some("application/x-ndjson")));
    let text = export.text();
    let rows: Vec<_> = text.lines().collect();
    assert_eq!(rows.len(), 4);
    for (body, line) in [
        (String::new(), "line 1"),
        ("PK\u{3}\u{4}".repeat(100_000), "line 1"),
        ("{\"id\": 1}\n".to_owned(), "line 1"),
        (rows[..3].join("\n"), "line 4"),
        (text.replace("monday", "Monday"), "line 4"),
        (text.replace("\"version\":1", "\"version\":9"), "line 1"),
        (text.replacen("\"kind\":\"session\"", "\"kind\":\"dream\"", 1), "line 2"),
    ] {
        let reply = server.client.api("POST", "/import").key(ADMIN).body(body).send().await?;
        let answer = reply.json()?;
        assert_eq!((reply.status, answer["detail"][0]["loc"][1].as_str()), (422, Some(line)), "{answer}");
        assert_eq!(imported(&backend), 0);
    }
    let reply = server.client.api("POST", "/import").key(ADMIN).body(text).send().await?.ok()?;
    assert_eq!(reply["imported"], json!(BTreeMap::from([("header", 1), ("session", 2)])));
    assert_eq!(imported(&backend), 3);
    Ok(())
}

#[tokio::test]
async fn an_import_whose_sender_goes_away_stores_nothing() -> Outcome {
    let (backend, server) = start().await?;
    let export = server.client.get("/export?vectors=false", ADMIN).await?.body;
    let length = (export.len() + 10).to_string();
    let request = server.client.api("POST", "/import").key(ADMIN).header("content-length", &length);
    drop(request.body(export).open().await?);
    let reply = server.client.get("/export?vectors=false", ADMIN).await?;
    assert_eq!((reply.status, imported(&backend)), (200, 0));
    Ok(())
}

#[tokio::test]
async fn an_export_that_breaks_is_cut_and_not_ended() -> Outcome {
    let (backend, server) = start().await?;
    let reply = server.client.get("/export", ADMIN).await?;
    assert_eq!((reply.status, reply.json()?["code"].as_str()), (503, Some("unavailable")));
    let many = (0..2000).map(|number| session(&number.to_string())).collect::<Outcome<Vec<_>>>()?;
    backend.exported.lock().map_err(|_poisoned| "poisoned")?.extend(many);
    let reply = server.client.get("/export", ADMIN).await?;
    assert_eq!((reply.status, reply.complete), (200, false));
    assert!(!reply.text().contains("trailer"));
    Ok(())
}

#[tokio::test]
async fn a_refused_upload_hears_why() -> Outcome {
    let server = Running::lite().await?;
    let refused = |key: &str, length: usize| {
        server.client.api("POST", "/import").key(key).body(vec![b'a'; length]).send()
    };
    assert_eq!(refused("guess", 1 << 20).await?.status, 401);
    assert_eq!(refused(USER, 1 << 20).await?.status, 403);
    assert!([422, 501].contains(&refused(ADMIN, 20 << 20).await?.status));
    Ok(())
}

#[tokio::test]
async fn a_body_that_stalls_gives_its_place_back() -> Outcome {
    let backend = Arc::new(Fake::default());
    let mut config = Config::default();
    config.server.max_concurrent = 1;
    config.server.request_timeout = Duration::from_millis(200);
    let server = Running::start(Arc::clone(&backend) as _, &config).await?;
    for path in ["/import", "/erase", "/memory/read/stream"] {
        let request = server.client.api("POST", path).key(ADMIN).header("content-length", "100");
        let mut stalled = request.body("{").open().await?;
        let mut answer = Vec::new();
        stalled.read_to_end(&mut answer).await?;
        let reply = Reply::parse(&answer)?;
        assert_eq!((reply.status, reply.json()?["code"].as_str()), (504, Some("timeout")), "{path}");
    }
    assert_eq!(server.client.get("/whoami", ADMIN).await?.status, 200);
    assert_eq!(imported(&backend), 0);
    Ok(())
}
