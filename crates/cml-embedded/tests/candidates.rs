//! Reads whose candidates the database proposes find what reads from memory find.
//!
//! Needs PostgreSQL at `CML_TEST_POSTGRES_URL`; says so where it is missing.

#![cfg(feature = "standard")]

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use cml_core::{
    Config, MemoryId, Scope,
    config::{Candidates, SecretString},
    memory::{MemoryStatus, MemoryType, Metadata, MetadataFilter, Role},
    ops::{ForgetRequest, ReadRequest, WriteRequest},
    provider::Embedder,
};
use cml_embedded::{
    clock::SystemClock,
    embed::{StaticEmbedder, WordPieceCounter},
    engine::{Engine, Parts},
    store::{
        CandidateFilter, LocalCache, Select, Store, Visible, Voice, WantedWords,
        postgres::{PostgresOptions, PostgresStore},
    },
};
use serde::Deserialize;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

type TestResult<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// One store, searched in memory and by proposals.
struct Pair {
    memory: Engine,
    database: Engine,
    schema: String,
    url: String,
}

impl Pair {
    /// `None` where there is no server.
    async fn open(name: &str) -> TestResult<Option<Self>> {
        let Some(url) = std::env::var("CML_TEST_POSTGRES_URL").ok().filter(|url| !url.is_empty()) else {
            eprintln!("SKIPPED: CML_TEST_POSTGRES_URL is not set, no candidates came from PostgreSQL");
            return Ok(None);
        };
        let schema = format!("cml_candidates_{name}_{}", std::process::id());
        let embedder: Arc<dyn Embedder> = Arc::new(StaticEmbedder::new()?);
        let options = PostgresOptions {
            schema: schema.clone(),
            ..PostgresOptions::new(SecretString::new(&*url), embedder.model().clone())
        };
        let store: Arc<dyn Store> = Arc::new(PostgresStore::open(options).await?);
        let engine = async |candidates| {
            let mut config = Config::default().engine;
            config.candidates = candidates;
            // Small scopes are proposed from as well.
            config.index_max_turns = 0;
            let parts = Parts {
                cache: Arc::new(LocalCache::new(Arc::new(SystemClock))),
                graph: None,
                store: Arc::clone(&store),
                embedder: Arc::clone(&embedder),
                counter: Arc::new(WordPieceCounter::new().map_err(|error| error.to_string())?),
                clock: Arc::new(SystemClock),
                config,
            };
            TestResult::Ok(Engine::new(parts).await?)
        };
        let (memory, database) = (engine(Candidates::Memory).await?, engine(Candidates::Database).await?);
        Ok(Some(Self { memory, database, schema, url }))
    }

    async fn write(&self, scope: &Scope, requests: Vec<WriteRequest>) -> TestResult {
        for chunk in requests.chunks(500) {
            for result in self.memory.write_batch(scope, chunk.to_vec()).await? {
                result?;
            }
        }
        Ok(())
    }

    /// What both find, in order, each with its relevance in thousandths.
    async fn both(&self, scope: &Scope, request: ReadRequest) -> TestResult<[Vec<(MemoryId, i64)>; 2]> {
        let of = async |engine: &Engine| {
            let response = engine.read(scope, request.clone()).await?;
            let relevance =
                |item: &cml_core::memory::MemoryItem| (item.relevance.get() * 1000.0).round() as i64;
            TestResult::Ok(response.memories.iter().map(|item| (item.id, relevance(item))).collect())
        };
        Ok([of(&self.memory).await?, of(&self.database).await?])
    }

    async fn close(self) -> TestResult {
        self.database.close().await?;
        let mut connection = PgConnection::connect(&self.url).await?;
        let sql = format!("SET client_min_messages TO error; DROP SCHEMA {} CASCADE", self.schema);
        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
        Ok(())
    }
}

/// How many of the first ten of one list are among those of another, and of how many.
fn shared([memory, database]: &[Vec<(MemoryId, i64)>; 2]) -> (usize, usize) {
    let first = &memory[..memory.len().min(10)];
    let other = &database[..database.len().min(10)];
    (first.iter().filter(|(id, _)| other.iter().any(|(found, _)| found == id)).count(), first.len())
}

#[derive(Deserialize)]
struct Line {
    session: String,
    timestamp: DateTime<Utc>,
    role: Role,
    text: String,
}

#[derive(Deserialize)]
struct Question {
    query: String,
    asked_at: DateTime<Utc>,
}

fn lines<T: for<'d> Deserialize<'d>>(name: &str) -> TestResult<Vec<T>> {
    let path = format!("{}/../../examples/data/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    Ok(std::fs::read_to_string(path)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_found_alike() -> TestResult {
    let Some(pair) = Pair::open("talk").await? else { return Ok(()) };
    let scope = Scope::new("talk")?.with_user("nell")?;
    let turns = lines::<Line>("conversation")?.into_iter().map(|line| {
        WriteRequest::new(line.text)
            .with_session(line.session)
            .with_role(line.role)
            .with_timestamp(line.timestamp)
    });
    pair.write(&scope, turns.collect()).await?;
    let (mut found, mut all, mut first, mut same) = (0, 0, 0, 0);
    let questions: Vec<Question> =
        lines("questions")?.into_iter().chain(lines::<Question>("unanswerable")?).collect();
    for question in &questions {
        let request = ReadRequest::new(&*question.query)
            .with_reference_time(question.asked_at)
            .with_min_relevance(0.0)
            .with_max_results(20_usize);
        let both = pair.both(&scope, request).await?;
        let (common, of) = shared(&both);
        (found, all) = (found + common, all + of);
        first += usize::from(both[0].first() == both[1].first());
        same += usize::from(both[0] == both[1]);
    }
    println!("top 10: {found} of {all}; first: {first}, all 20 and relevance: {same} of {}", questions.len());
    assert!(found * 100 >= all * 98, "{found} of {all}");
    assert!(first * 100 >= questions.len() * 95, "{first} of {}", questions.len());
    // What was found can be forgotten by asking for it.
    let forget =
        ForgetRequest::new().with_query("What's the name of my concertina teacher?").with_dry_run(true);
    let [memory, database] =
        [pair.memory.forget(&scope, forget.clone()).await?, pair.database.forget(&scope, forget).await?];
    assert!(memory.affected_count > 0);
    assert_eq!(memory.affected_count, database.affected_count);
    pair.close().await
}

/// Marsaglia's xorshift, so that each run is the same.
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }
}

const WHO: [&str; 12] = [
    "my sister",
    "our neighbour",
    "Tomas",
    "the new colleague",
    "Grandma",
    "my dentist",
    "Priya",
    "the landlord",
    "a friend from school",
    "my boss",
    "Uncle Rob",
    "the choir",
];
const DID: [&str; 12] = [
    "bought",
    "lost",
    "repaired",
    "painted",
    "borrowed",
    "sold",
    "photographed",
    "forgot",
    "found",
    "broke",
    "cleaned",
    "described",
];
const WHAT: [&str; 24] = [
    "a bicycle",
    "the violin",
    "an old camera",
    "the garden fence",
    "a kayak",
    "the boiler",
    "a grey parrot",
    "the blue teapot",
    "a telescope",
    "the wedding ring",
    "a sourdough starter",
    "the record player",
    "a chess set",
    "the caravan",
    "an oak table",
    "the lighthouse painting",
    "a drone",
    "the tax papers",
    "a leather suitcase",
    "the piano",
    "a hammock",
    "the greenhouse",
    "an accordion",
    "the motorbike",
];
const WHERE: [&str; 12] = [
    "in Lisbon",
    "at the flea market",
    "near the harbour",
    "on the train to Leeds",
    "in the attic",
    "at the office party",
    "by the lake",
    "in Oslo",
    "at the station",
    "in the library",
    "behind the museum",
    "at the airport",
];

fn sentence(noise: &mut Noise) -> String {
    let [who, did, what, place] = [&WHO[..], &DID, &WHAT, &WHERE].map(|words| noise.one_of(words));
    format!("{who} {did} {what} {place} and it took {} days", 2 + noise.below(90))
}

#[tokio::test(flavor = "multi_thread")]
async fn many_turns_and_filters_are_found_alike() -> TestResult {
    const TURNS: usize = 3_000;
    let Some(pair) = Pair::open("many").await? else { return Ok(()) };
    let mut noise = Noise(0x51ed_270b_9f3a_77c1);
    let start: DateTime<Utc> = "2024-03-01T09:00:00Z".parse()?;
    let tenant = Scope::new("many")?;
    for user in 0..3 {
        let scope =
            tenant.clone().with_user(format!("user{user}"))?.with_namespace(["home", "work"][user % 2])?;
        let requests = (0..TURNS / 3).map(|number| {
            let mut metadata = Metadata::new();
            metadata.insert("shelf".to_owned(), (number % 25).into());
            let kind = [MemoryType::EpisodicEvent, MemoryType::SemanticFact][usize::from(number % 40 == 0)];
            WriteRequest::new(sentence(&mut noise))
                .with_session(format!("user{user}-{}", number / 20))
                .with_role([Role::User, Role::Assistant][number % 2])
                .with_timestamp(start + TimeDelta::hours(number as i64))
                .with_memory_type(kind)
                .with_metadata(metadata)
                .with_tags([format!("tag{}", number % 30)])
        });
        pair.write(&scope, requests.collect()).await?;
    }
    let narrow: [fn(ReadRequest) -> ReadRequest; 8] = [
        |request| request,
        |request| request.with_memory_types([MemoryType::SemanticFact]),
        |request| request.with_tags(["tag7"]),
        |request| request.with_namespaces(["home"]),
        |request| request.with_session("user1-20"),
        |request| request.with_filter(MetadataFilter::eq("shelf", 7)),
        |request| request.with_since(DateTime::from_timestamp(1_711_000_000, 0).unwrap_or_default()),
        |request| request.with_as_of(DateTime::from_timestamp(1_711_000_000, 0).unwrap_or_default()),
    ];
    for (place, narrow) in narrow.iter().enumerate() {
        let (mut found, mut all, mut first, mut asked) = (0, 0, 0, 0);
        for round in 0..12 {
            let [who, did, what, at] = [&WHO[..], &DID, &WHAT, &WHERE].map(|words| noise.one_of(words));
            let query = match round % 3 {
                0 => format!("What did {who} do with {what} {at}?"),
                1 => format!("Who {did} {what}?"),
                _ => format!("{what} {at}"),
            };
            let request = narrow(ReadRequest::new(query).with_min_relevance(0.0).with_max_results(10_usize));
            let scope = if round % 2 == 0 { tenant.clone() } else { tenant.clone().with_user("user1")? };
            let both = pair.both(&scope, request).await?;
            let (common, of) = shared(&both);
            (found, all) = (found + common, all + of);
            first += usize::from(both[0].first().map(|hit| hit.0) == both[1].first().map(|hit| hit.0));
            asked += 1;
        }
        println!("filter {place}: top 10: {found} of {all}; first: {first} of {asked}");
        assert!(all > 0 && found * 100 >= all * 90, "filter {place}: {found} of {all}");
    }
    pair.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_proposes_what_it_is_asked_for() -> TestResult {
    let Some(pair) = Pair::open("source").await? else { return Ok(()) };
    let scope = Scope::new("source")?.with_namespace("home")?.with_user("ann")?;
    let said =
        |text: &str, session: &str, role| WriteRequest::new(text).with_session(session).with_role(role);
    let requests = vec![
        said("The tea, the tea and the tea are cold", "one", Role::User),
        said("A kettle makes tea hot again", "one", Role::Assistant),
        said("The violin hangs on the wall", "one", Role::User).with_speaker("Ann Lee"),
        said("The harbour is full of ships", "one", Role::User),
        said("My violin teacher drinks tea", "two", Role::User),
        WriteRequest::new("Ships need harbours"),
    ];
    pair.write(&scope, requests).await?;
    let work = Scope::new("source")?.with_namespace("work")?;
    pair.write(&work, vec![said("Tea at work", "one", Role::User)]).await?;
    let store = pair.database.store();
    let source = store.candidates().ok_or("PostgreSQL proposes")?;
    let visible = Visible { scope: &scope, namespaces: &[] };
    assert_eq!((source.turn_count("source").await?, source.turn_count("nobody").await?), (7, 0));

    let census = source.census(visible).await?;
    let sum = |of: fn(&Voice) -> u64| census.voices.iter().map(of).sum::<u64>();
    assert_eq!((sum(|voice| voice.turns), sum(|voice| voice.in_session), census.sessions), (6, 5, 2));
    let turns = store.turns("source", Select::Ids(&source.visible_turns(visible, 100).await?)).await?;
    let count = |word: &str| word.split_once('*').map_or(1, |(_, count)| count.parse().unwrap_or(1));
    let terms: u64 = turns.iter().flat_map(|turn| turn.terms.split_whitespace()).map(count).sum();
    assert_eq!(sum(|voice| voice.terms), terms);
    assert_eq!(census.voices.iter().filter(|voice| voice.assistant).map(|voice| voice.turns).sum::<u64>(), 1);
    assert!(census.voices.iter().any(|voice| voice.speaker == "Ann Lee"));
    assert_eq!(source.visible_turns(visible, 4).await?.len(), 4);
    assert_eq!(source.sample(visible, 6, 1_000).await?.len(), 6);

    let found = source.frequencies(visible, &["tea", "violin", "nothing"], 100).await?;
    let found: Vec<_> = found.iter().map(|found| (found.turns, found.units, found.user_units)).collect();
    assert_eq!(found, [(3, 2, 2), (2, 2, 2), (0, 0, 0)]);
    assert_eq!(source.frequencies(visible, &["tea"], 2).await?[0].turns, 2);

    let filter = CandidateFilter {
        visible,
        session: None,
        statuses: &[MemoryStatus::Active],
        memory_types: &[],
        agents: &[],
        tags: &[],
        since: None,
        until: None,
        at: Utc::now() + TimeDelta::days(1),
        as_of: false,
    };
    let words = WantedWords {
        any: &["tea", "violin"],
        all: &[],
        weights: &[("tea", 1.0), ("violin", 2.0)],
        most: 100,
    };
    let text =
        |id| turns.iter().find(|turn| turn.id == id).map(|turn| turn.terms.clone()).unwrap_or_default();
    let best = source.with_words(&filter, &words, 3).await?;
    assert!(
        text(best[0]).contains("teacher") && text(best[1]).contains("wall"),
        "both words, then the heavier one"
    );
    let session = CandidateFilter { session: Some("two"), ..filter };
    assert_eq!(source.with_words(&session, &words, 3).await?, [best[0]]);
    let both = WantedWords { any: &[], all: &["tea", "violin"], ..words };
    assert_eq!(source.with_words(&filter, &both, 3).await?, [best[0]]);
    let later = CandidateFilter { since: Some(Utc::now() + TimeDelta::days(1)), ..filter };
    assert!(source.with_words(&later, &words, 3).await?.is_empty());

    // The other namespace's turn stands in the session as well, after the four.
    let around: BTreeSet<_> = source.around("source", &[best[1]], 1).await?.into_iter().collect();
    assert_eq!(around.len(), 2);
    assert!(around.iter().all(|(turn, distance)| *distance == 1 && text(*turn) != text(best[1])));
    assert_eq!(source.around("source", &[best[1]], 9).await?.len(), 4);
    let last = source.session_turns("source", &["two", "one"], 2, 10).await?;
    assert_eq!((last.len(), last[0]), (3, best[0]));
    assert_eq!(source.records_of_turns("source", &best[..2]).await?.len(), 2);
    pair.close().await
}

#[cfg(feature = "lite")]
#[tokio::test]
async fn a_store_that_cannot_propose_is_refused() -> TestResult {
    let mut config = Config::default();
    config.engine.candidates = Candidates::Database;
    let error =
        cml_embedded::EmbeddedBuilder::new(config).build().await.expect_err("SQLite proposes nothing");
    assert_eq!(error.kind(), cml_core::ErrorKind::Config);
    assert!(error.message().contains("engine.candidates"), "{error}");
    Ok(())
}
