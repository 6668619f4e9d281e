//! A disk that is full.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use cml::{
    Memory,
    config::Mode,
    ops::{ListRequest, ReadRequest},
};
use futures_util::TryStreamExt as _;

use crate::{
    TestResult,
    load::word,
    refusals::{nothing_was_made, refused},
    servers::Servers,
};

/// Most writes until the disk must be full.
const WRITES: usize = 20_000;

/// A small file system in memory, which ends with this.
struct Disk(PathBuf);

impl Disk {
    /// None where this process may not mount.
    fn mount(folder: &Path) -> TestResult<Option<Self>> {
        fs::create_dir(folder)?;
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=32m", "none"]).arg(folder).output();
        let mounted = mounted.is_ok_and(|output| output.status.success());
        Ok(mounted.then(|| Self(folder.to_owned())))
    }

    /// Takes all the room but for so many bytes.
    fn fill(&self, left: u64) -> TestResult {
        let mut filler = File::create(self.0.join("filler"))?;
        let mut block = vec![0; 1 << 20];
        while !block.is_empty() {
            match filler.write_all(&block) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => block.truncate(block.len() / 2),
                Err(error) => return Err(error.into()),
            }
        }
        let taken = filler.metadata()?.len();
        Ok(filler.set_len(taken.saturating_sub(left))?)
    }

    /// Gives it back.
    fn clear(&self) -> TestResult {
        Ok(fs::remove_file(self.0.join("filler"))?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the server may still hold files open.
        let ended = Command::new("umount").arg("-l").arg(&self.0).status();
        if !ended.is_ok_and(|status| status.success()) {
            eprintln!("{} is still mounted", self.0.display());
        }
    }
}

/// The database lies on a disk of its own, which is filled: before the start, and while memories are written.
pub(crate) async fn a_full_disk_leaves_nothing_half_done(servers: &Servers) -> TestResult {
    let folder = servers.folder()?.join("disk");
    let Some(disk) = Disk::mount(&folder)? else {
        eprintln!("NOT RUN: a_full_disk_leaves_nothing_half_done, this account may not mount a file system");
        return Ok(());
    };
    // The server runs as an account of its own.
    let owner = format!("--reference={}", servers.folder()?.join("data/postgres/main").display());
    assert!(Command::new("chown").arg(owner).arg(&folder).status()?.success());
    let tablespace = format!("CREATE TABLESPACE tiny LOCATION '{}'", folder.display());
    servers.sql("postgres", &[&tablespace, "CREATE DATABASE small TABLESPACE tiny"]).await?;
    let mut config = servers.fresh(Mode::Standard)?;
    servers.postgres()?.on("small").set(&mut config);

    let extensions = ["CREATE EXTENSION vector", "CREATE EXTENSION btree_gin"];
    servers.sql("small", &extensions).await?;

    // Who connects after a change of tables writes a file.
    servers.sql("small", &["SELECT 1"]).await?;
    // Some tables are made.
    disk.fill(256 << 10)?;
    refused(&config, cml::ErrorKind::Unavailable, &["disk is full"]).await?;
    disk.clear()?;
    nothing_was_made(servers, "small").await?;

    let memory = Memory::connect(&config).await?;
    let mut written = Vec::new();
    for number in 0..4 {
        written.push(memory.remember(text(number)).await?.ok_or("the gate kept a text out")?);
    }
    servers.sql("small", &["SELECT 1"]).await?;
    disk.fill(0)?;
    let error = loop {
        match memory.remember(text(written.len())).await {
            Ok(id) => written.push(id.ok_or("the gate kept a text out")?),
            Err(error) => break error,
        }
        assert!(written.len() < WRITES, "the disk is never full");
    };
    assert_eq!(error.kind(), cml::ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("disk is full"), "{error}");
    let found = memory.search(ReadRequest::new(word("lorv", 1)).with_min_relevance(0.0)).await?;
    assert_eq!(found.memories.first().map(|item| item.id), written.get(1).copied(), "reads go on");

    disk.clear()?;
    written.push(memory.remember(text(written.len())).await?.ok_or("the gate kept a text out")?);
    let records: Vec<_> =
        memory.iter_memories(ListRequest::new().with_limit(1000usize)).try_collect().await?;
    let mut found: Vec<_> = records.iter().map(|record| record.id).collect();
    found.sort();
    written.sort();
    assert_eq!(found, written);
    memory.close().await?;
    servers.sql("postgres", &["DROP DATABASE small WITH (FORCE)", "DROP TABLESPACE tiny"]).await?;
    Ok(())
}

fn text(number: usize) -> String {
    format!("The {} hangs in the hall.", word("lorv", number))
}
