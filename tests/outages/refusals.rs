//! A PostgreSQL that will not do is refused at the start, by an error that says what to do about it, and is
//! left as it was.

use std::sync::Arc;

use async_trait::async_trait;
use cml::{
    Config, Error, ErrorKind, Memory, Result,
    config::Mode,
    ops::ReadRequest,
    provider::{Embedder, Embedding, EmbeddingModel},
};
use tokio::{io::AsyncWriteExt as _, net::TcpListener};

use crate::{
    TestResult,
    servers::{Address, Servers},
};

const PASSWORD: &str = "hidden-hidden";

/// The error of a configuration that must be refused with `kind`, in `words`, without the password.
pub(crate) async fn refused(config: &Config, kind: ErrorKind, words: &[&str]) -> TestResult<Error> {
    expect(cml::connect::backend(config).await.map(drop), kind, words)
}

fn expect(opened: Result<()>, kind: ErrorKind, words: &[&str]) -> TestResult<Error> {
    let Err(error) = opened else { return Err(format!("not refused: {words:?}").into()) };
    let text = format!("{error} {error:?}");
    let said = words.iter().all(|word| text.contains(word));
    if error.kind() == kind && said && error.suggestion().is_some() && !text.contains(PASSWORD) {
        return Ok(error);
    }
    Err(format!("expected {kind} with {words:?}, got {}: {text}", error.kind()).into())
}

fn with(config: &Config, address: &Address) -> Config {
    let mut config = config.clone();
    address.set(&mut config);
    config
}

pub(crate) async fn without_postgres_no_mode_opens(servers: &Servers) -> TestResult {
    let address = servers.postgres()?.by("postgres", PASSWORD);
    let closed = address.clone().at(&TcpListener::bind("127.0.0.1:0").await?.local_addr()?);
    let stranger = TcpListener::bind("127.0.0.1:0").await?;
    let other = address.at(&stranger.local_addr()?);
    let answering = tokio::spawn(async move {
        while let Ok((mut connection, _)) = stranger.accept().await {
            // It may have hung up.
            let _sent = connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    for mode in [Mode::Standard, Mode::Full] {
        let Ok(config) = servers.config(mode, "nowhere") else { continue };
        let words = ["postgres.url", "CML_POSTGRES_URL", "start the server"];
        refused(&with(&config, &closed), ErrorKind::Unavailable, &words).await?;
        refused(&with(&config, &other), ErrorKind::Config, &["postgres.url", "no PostgreSQL"]).await?;
    }
    answering.abort();
    Ok(())
}

/// The remedies are followed one after the other, until the database will do.
pub(crate) async fn each_remedy_leads_on_until_the_database_will_do(servers: &Servers) -> TestResult {
    let role = format!("CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'");
    servers.sql("postgres", &[&role, "CREATE DATABASE bare"]).await?;
    let config = with(&servers.fresh(Mode::Standard)?, &servers.postgres()?.by("plain", PASSWORD).on("bare"));

    refused(&config, ErrorKind::Config, &["extension vector", "CREATE EXTENSION vector"]).await?;
    nothing_was_made(servers, "bare").await?;
    servers.sql("bare", &["CREATE EXTENSION vector"]).await?;
    refused(&config, ErrorKind::Config, &["extension btree_gin", "CREATE EXTENSION btree_gin"]).await?;
    servers.sql("bare", &["CREATE EXTENSION btree_gin"]).await?;

    let older = "UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'";
    let version = "SELECT extversion FROM pg_extension WHERE extname = 'vector'";
    let newer = format!(
        "UPDATE pg_extension SET extversion = '{}' WHERE extname = 'vector'",
        servers.sql("bare", &[version]).await?
    );
    servers.sql("bare", &[older]).await?;
    refused(&config, ErrorKind::Config, &["0.7.4", "0.8", "ALTER EXTENSION vector UPDATE"]).await?;
    nothing_was_made(servers, "bare").await?;
    servers.sql("bare", &[&newer]).await?;

    let grant = refused(&config, ErrorKind::Config, &["plain", "GRANT CREATE ON DATABASE"]).await?;
    nothing_was_made(servers, "bare").await?;
    follow(servers, "bare", &grant).await?;
    cml::connect::backend(&config).await?.close().await?;

    let mut elsewhere = config.clone();
    "theirs".clone_into(&mut elsewhere.postgres.schema);
    servers.sql("bare", &["CREATE SCHEMA theirs"]).await?;
    let grant = refused(&elsewhere, ErrorKind::Config, &["theirs", "GRANT USAGE, CREATE ON SCHEMA"]).await?;
    follow(servers, "bare", &grant).await?;
    cml::connect::backend(&elsewhere).await?.close().await?;
    Ok(())
}

/// Does what an error suggests.
async fn follow(servers: &Servers, database: &str, error: &Error) -> TestResult {
    servers.sql(database, &[error.suggestion().unwrap_or_default()]).await.map(drop)
}

pub(crate) async fn vectors_of_another_size_are_refused(servers: &Servers) -> TestResult {
    let config = servers.fresh(Mode::Standard)?;
    let memory = Memory::connect(&config).await?;
    let id = memory.remember("Vobora lent the zither to Vomira.").await?;
    memory.close().await?;
    let embedder = Arc::new(Wide(EmbeddingModel::new("wide", 77)));
    let other = Memory::builder(config.clone()).embedder(embedder).await.map(drop);
    expect(other, ErrorKind::Conflict, &["wide", "reembed"])?;
    let memory = Memory::connect(&config).await?;
    let found = memory.search(ReadRequest::new("zither").with_min_relevance(0.0)).await?;
    assert_eq!(found.memories.first().map(|item| item.id), id);
    memory.close().await?;
    Ok(())
}

/// No table, index or sequence but those of the system.
pub(crate) async fn nothing_was_made(servers: &Servers, database: &str) -> TestResult {
    let made = "SELECT count(*) FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid WHERE nspname \
                <> 'information_schema' AND nspname NOT LIKE 'pg\\_%'";
    assert_eq!(servers.sql(database, &[made]).await?, "0", "something was left behind");
    Ok(())
}

/// A model of another size than the built-in one.
#[derive(Debug)]
struct Wide(EmbeddingModel);

#[async_trait]
impl Embedder for Wide {
    fn model(&self) -> &EmbeddingModel {
        &self.0
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        Ok(texts.iter().map(|text| Embedding::from_raw(vec![text.len() as f32 + 1.0; 77])).collect())
    }
}
