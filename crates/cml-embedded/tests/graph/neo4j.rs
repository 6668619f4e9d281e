//! The suites on a real Neo4j, where `CML_TEST_NEO4J_URL` names one.

use std::{
    env,
    io::{self, Write as _},
    sync::Once,
};

use async_trait::async_trait;
use cml_core::config::SecretString;
use cml_embedded::store::{
    GraphChanges, GraphProjection, GraphStore,
    neo4j::{Neo4jGraph, Neo4jOptions},
};
use uuid::Uuid;

use super::{
    fixtures::{Subject, TestResult},
    following::{self, following},
    questions::{self, questions},
};

/// The server of the tests.
pub(crate) fn options() -> Option<Neo4jOptions> {
    let Ok(url) = env::var("CML_TEST_NEO4J_URL") else {
        static SAID: Once = Once::new();
        // Past the capture of a test's output, which shows nothing of a test that passes.
        SAID.call_once(|| {
            let _ = writeln!(
                io::stderr(),
                "SKIPPED: all tests on Neo4j; set CML_TEST_NEO4J_URL (and _USER, _PASSWORD, _DATABASE)"
            );
        });
        return None;
    };
    let user = env::var("CML_TEST_NEO4J_USER").unwrap_or_else(|_| "neo4j".into());
    let password = SecretString::new(env::var("CML_TEST_NEO4J_PASSWORD").unwrap_or_default());
    let mut options = Neo4jOptions::new(url, user, password).with_prefix("CmlTest");
    options.database = env::var("CML_TEST_NEO4J_DATABASE").ok();
    Some(options)
}

/// A graph and a tenant of the test's own in it.
pub(crate) struct Neo4jSubject {
    pub(crate) graph: Neo4jGraph,
    pub(crate) tenant: String,
}

impl Neo4jSubject {
    pub(crate) fn open() -> TestResult<Option<Self>> {
        let Some(options) = options() else { return Ok(None) };
        let tenant = format!("t {}", Uuid::now_v7());
        Ok(Some(Self { graph: Neo4jGraph::new(options)?, tenant }))
    }

    pub(crate) async fn clear(&self) -> TestResult {
        while !self.graph.clear(&self.tenant).await? {}
        while !self.graph.clear(&format!("{} 2", self.tenant)).await? {}
        Ok(())
    }
}

#[async_trait]
impl Subject for Neo4jSubject {
    fn graph(&self) -> &dyn GraphStore {
        &self.graph
    }

    fn tenant(&self) -> &str {
        &self.tenant
    }

    async fn put(&self, tenant: &str, rows: &GraphChanges) -> TestResult {
        Ok(self.graph.apply(tenant, rows).await?)
    }
}

macro_rules! answers {
    ($($case:ident,)+) => {$(
        #[tokio::test]
        async fn $case() -> TestResult {
            let Some(subject) = Neo4jSubject::open()? else { return Ok(()) };
            questions::$case(&subject).await?;
            subject.clear().await
        }
    )+};
}

questions!(answers);

macro_rules! follows {
    ($($case:ident,)+) => {$(
        #[tokio::test]
        async fn $case() -> TestResult {
            let Some(subject) = Neo4jSubject::open()? else { return Ok(()) };
            following::$case(&subject.graph, &subject.tenant).await?;
            subject.clear().await
        }
    )+};
}

following!(follows);
