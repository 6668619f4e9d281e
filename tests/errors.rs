//! Errors of opening and closing a memory: each kind, what its message names, and that nothing is lost.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use cml::{
    Config, Error, ErrorKind, Memory, Result,
    config::Mode,
    ops::ReembedProgress,
    provider::{Embedder, Embedding, EmbeddingModel},
};
use tempfile::TempDir;

type TestResult<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const TEXT: &str = "I prefer dark mode in every editor";

/// Where a SQLite file keeps its `user_version`, 4 bytes, <https://www.sqlite.org/fileformat2.html>, 1.3.
const USER_VERSION: usize = 60;

/// Vectors that depend on nothing but the length of a text, under any name and of any length.
#[derive(Debug)]
struct Lengths(EmbeddingModel);

impl Lengths {
    fn new(name: &str, dimensions: usize) -> Arc<Self> {
        Arc::new(Self(EmbeddingModel::new(name, dimensions)))
    }
}

#[async_trait]
impl Embedder for Lengths {
    fn model(&self) -> &EmbeddingModel {
        &self.0
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        let vector = |text: &&str| {
            let mut vector = vec![1.0; self.0.dimensions];
            vector[text.len() % self.0.dimensions] = 2.0;
            Embedding::from_raw(vector)
        };
        Ok(texts.iter().map(vector).collect())
    }
}

/// A closed database with one memory in it.
async fn database() -> TestResult<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("memories.db");
    let memory = Memory::lite().db_path(&file).await?;
    memory.remember(TEXT).await?;
    memory.close().await?;
    Ok((folder, file))
}

/// The error of opening `path`.
async fn refused(path: &Path) -> TestResult<Error> {
    match Memory::lite().db_path(path).await {
        Ok(_) => Err(format!("{} was opened", path.display()).into()),
        Err(error) => Ok(error),
    }
}

fn assert_names_path(error: &Error, path: &Path, reason: &str) {
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(!error.is_retryable());
    let message = error.message();
    assert!(message.starts_with("db_path: "), "{message}");
    assert!(message.contains(&path.display().to_string()), "{message}");
    assert!(message.contains(reason), "{message}");
}

/// Opens the database with the built-in model and finds the memory.
async fn assert_kept(file: &Path) -> TestResult {
    let memory = Memory::lite().db_path(file).await?;
    assert_eq!(memory.stats().await?.total_memories, 1);
    let answer = memory.search("Do I prefer dark mode?").await?;
    assert_eq!(answer.memories.first().map(|item| item.text.as_str()), Some(TEXT));
    memory.close().await?;
    Ok(())
}

/// Names of the files in a folder, in order.
fn files(folder: &Path) -> TestResult<Vec<String>> {
    let mut names = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// An empty SQLite database of another program: one page, a header and no table.
fn foreign_database() -> Vec<u8> {
    let mut page = vec![0; 4096];
    page[..16].copy_from_slice(b"SQLite format 3\0");
    page[16..24].copy_from_slice(&[0x10, 0, 1, 1, 0, 64, 32, 32]);
    for (offset, value) in [(24, 1_u32), (28, 1), (44, 4), (56, 1), (92, 1), (96, 3_045_000)] {
        page[offset..offset + 4].copy_from_slice(&value.to_be_bytes());
    }
    // A leaf of the schema's tree without cells; its content begins at the end of the page.
    page[100..108].copy_from_slice(&[0x0d, 0, 0, 0, 0, 0x10, 0, 0]);
    page
}

#[tokio::test]
async fn a_folder_is_no_database() -> TestResult {
    let folder = tempfile::tempdir()?;
    assert_names_path(&refused(folder.path()).await?, folder.path(), "is a folder");
    assert_eq!(files(folder.path())?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_file_in_a_missing_folder_is_refused() -> TestResult {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("absent").join("memories.db");
    assert_names_path(&refused(&file).await?, &file, "folder that does not exist");
    assert_eq!(files(folder.path())?, [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_not_sqlite_is_left_as_it_is() -> TestResult {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("notes.txt");
    for content in ["short", "Dear diary, today I learned what a magic number is. ".repeat(100).as_str()] {
        fs::write(&file, content)?;
        assert_names_path(&refused(&file).await?, &file, "something else");
        assert_eq!(fs::read_to_string(&file)?, content);
        assert_eq!(files(folder.path())?, ["notes.txt"]);
    }
    Ok(())
}

#[tokio::test]
async fn a_database_of_another_program_is_left_as_it_is() -> TestResult {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("other.db");
    let mut with_version = foreign_database();
    with_version[USER_VERSION + 3] = 1;
    for content in [foreign_database(), with_version] {
        fs::write(&file, &content)?;
        assert_names_path(&refused(&file).await?, &file, "something else");
        assert!(fs::read(&file)? == content, "the file was changed");
        assert_eq!(files(folder.path())?, ["other.db"]);
    }
    Ok(())
}

#[tokio::test]
async fn a_newer_schema_is_a_conflict_and_nothing_is_lost() -> TestResult {
    let (_folder, file) = database().await?;
    let original = fs::read(&file)?;
    let mut newer = original.clone();
    newer[USER_VERSION..USER_VERSION + 4].copy_from_slice(&1000_u32.to_be_bytes());
    fs::write(&file, &newer)?;

    let error = refused(&file).await?;
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.message().contains("schema version 1000"), "{error}");
    assert!(error.suggestion().is_some_and(|hint| hint.contains("newer release")), "{error}");
    assert!(fs::read(&file)? == newer, "the file was changed");

    fs::write(&file, original)?;
    assert_kept(&file).await
}

// The permission bits decide, so that a process that may write in spite of them (root) is refused too.
#[tokio::test]
async fn a_read_only_file_is_refused() -> TestResult {
    let (_folder, file) = database().await?;
    let writable = fs::metadata(&file)?.permissions();
    let mut read_only = writable.clone();
    read_only.set_readonly(true);
    fs::set_permissions(&file, read_only)?;
    let error = refused(&file).await?;
    fs::set_permissions(&file, writable)?;

    assert_names_path(&error, &file, "is read-only");
    assert_kept(&file).await
}

#[cfg(unix)]
#[tokio::test]
async fn a_read_only_folder_is_refused() -> TestResult {
    let (folder, file) = database().await?;
    let writable = fs::metadata(folder.path())?.permissions();
    let mut read_only = writable.clone();
    read_only.set_readonly(true);
    fs::set_permissions(folder.path(), read_only)?;
    let errors = [refused(&file).await?, refused(&folder.path().join("new.db")).await?];
    fs::set_permissions(folder.path(), writable)?;

    assert_names_path(&errors[0], &file, "read-only folder");
    assert_names_path(&errors[1], &folder.path().join("new.db"), "read-only folder");
    assert_kept(&file).await
}

#[tokio::test]
async fn another_embedding_model_is_a_conflict_and_nothing_is_lost() -> TestResult {
    let (_folder, file) = database().await?;
    let builtin = cml::embedded::embed::StaticEmbedder::new()?.model().clone();
    for (name, dimensions) in [("lengths", builtin.dimensions), (builtin.name.as_str(), 32)] {
        let opened = Memory::lite().db_path(&file).embedder(Lengths::new(name, dimensions)).await;
        let error = opened.err().ok_or("a store was opened with another model")?;
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        for part in [builtin.name.as_str(), name, &dimensions.to_string()] {
            assert!(error.message().contains(part), "{error}");
        }
        assert!(error.suggestion().is_some_and(|hint| hint.contains("reembed")), "{error}");
    }
    assert_kept(&file).await
}

#[tokio::test]
async fn a_store_is_opened_with_another_model_once_its_vectors_are_made_again() -> TestResult {
    let (_folder, file) = database().await?;
    let progress = Arc::new(|_: ReembedProgress| {});
    let memory =
        Memory::lite().db_path(&file).embedder(Lengths::new("lengths", 32)).reembed(progress).await?;
    assert_eq!(memory.search("dark mode").await?.memories[0].text, TEXT);
    memory.close().await?;

    let error = refused(&file).await?;
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert!(error.message().contains("lengths"), "{error}");
    Ok(())
}

#[tokio::test]
async fn closing_closes_every_handle() -> TestResult {
    let memory = Memory::lite().await?;
    let (clone, view) = (memory.clone(), memory.session("talk")?);
    view.remember(TEXT).await?;
    memory.close().await?;

    let written = clone.remember("too late").await.err().ok_or("a write into a closed memory")?;
    let read = view.search("dark mode").await.err().ok_or("a read from a closed memory")?;
    let counted = memory.stats().await.err().ok_or("a count of a closed memory")?;
    for error in [written, read, counted] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.message().contains("closed"), "{error}");
    }
    assert!(view.read_safe("dark mode").await?.warnings[0].contains("closed"));
    clone.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_closed_database_is_one_complete_file() -> TestResult {
    let (folder, file) = database().await?;
    let memory = Memory::lite().db_path(&file).await?;
    memory.batch_read(["dark mode", "an editor", "anything else"]).await;
    memory.close().await?;
    assert_eq!(files(folder.path())?, ["memories.db"]);

    let copy = folder.path().join("copy.db");
    fs::copy(&file, &copy)?;
    assert_kept(&copy).await
}

#[tokio::test]
async fn a_handle_of_its_own_outlives_another_one_that_closes() -> TestResult {
    let (_folder, file) = database().await?;
    let first = Memory::lite().db_path(&file).await?;
    let second = Memory::lite().db_path(&file).await?;
    first.close().await?;
    second.remember("The other handle is still open").await?;
    assert_eq!(second.stats().await?.total_memories, 2);
    second.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_mode_that_is_not_compiled_in_names_its_feature() -> TestResult {
    let modes = [
        (Mode::Standard, "`embedded-standard`", cfg!(feature = "embedded-standard")),
        (Mode::Full, "`embedded-full`", cfg!(feature = "embedded-full")),
        (Mode::Http, "`http`", cfg!(feature = "http")),
    ];
    for (mode, feature, _) in modes.into_iter().filter(|(_, _, compiled)| !compiled) {
        let mut config = Config::default();
        config.mode = mode;
        for opened in [Memory::connect(&config).await, Memory::builder(config.clone()).await] {
            let error = opened.err().ok_or("a mode that is not there")?;
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.message().contains(mode.as_str()), "{error}");
            assert!(error.suggestion().is_some_and(|hint| hint.contains(feature)), "{error}");
        }
    }
    Ok(())
}

#[cfg(feature = "embedded-standard")]
#[tokio::test]
async fn a_mode_whose_service_is_not_named_says_which() -> TestResult {
    let mut config = Config::default();
    config.mode = Mode::Standard;
    let unset = Memory::connect(&config).await;
    let foreign = Memory::standard("mysql://ana:hidden@localhost/cml").await;
    for (opened, rule) in [(unset, "is not set"), (foreign, "must be an address")] {
        let error = opened.err().ok_or("a memory without a database")?;
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.message().contains("postgres.url (CML_POSTGRES_URL)"), "{error}");
        assert!(error.message().contains(rule) && !format!("{error:?}").contains("hidden"), "{error:?}");
    }
    Ok(())
}

#[cfg(not(feature = "fastembed"))]
#[tokio::test]
async fn an_embedding_provider_that_is_not_compiled_in_names_its_feature() -> TestResult {
    let mut config = Config::default();
    config.embedding.provider = cml::config::EmbeddingProvider::Fastembed;
    let error = Memory::connect(&config).await.err().ok_or("a provider that is not there")?;
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.suggestion().is_some_and(|hint| hint.contains("`fastembed`")), "{error}");
    Ok(())
}
