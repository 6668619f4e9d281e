//! Properties of the index as a whole, and worked examples of the features.

use chrono::DateTime;
use cml_core::memory::{MemoryStatus, MemoryType, Role};
use cml_core::provider::Embedding;
use cml_core::{MemoryId, MessageId};
use uuid::Uuid;

use super::*;
use crate::embed::StaticModel;

type TestResult = Result<(), Box<dyn std::error::Error>>;

const ALL: &dyn Fn(&str, &str) -> bool = &|_, _| true;

/// Marsaglia's xorshift, so that each run is the same.
struct Noise(u64);

impl Noise {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

fn message(number: usize) -> MessageId {
    MessageId::from_uuid(Uuid::from_u128(number as u128 + 1))
}

fn memory(number: usize) -> MemoryId {
    MemoryId::from_uuid(Uuid::from_u128(number as u128 + 1))
}

fn turn(number: usize, session: &str, text: &str) -> TurnRow {
    TurnRow {
        id: message(number),
        namespace: "default".into(),
        user: String::new(),
        session: session.into(),
        seq: number as i64,
        role: None,
        speaker: String::new(),
        said_at: number as i64 * 86_400_000_000,
        analysis: TurnAnalysis::of(text),
    }
}

fn record(number: usize, vector: Option<(Vec<f32>, f32)>) -> RecordRow {
    RecordRow {
        id: memory(number),
        turn: message(number),
        chunk_index: 0,
        kind: MemoryType::EpisodicEvent,
        status: MemoryStatus::Active,
        agent: String::new(),
        tags: Vec::new(),
        metadata: None,
        event: None,
        valid_to: None,
        expires_at: None,
        superseded: false,
        written_at: 0,
        vector,
        context: None,
    }
}

fn index() -> TenantIndex {
    TenantIndex::new(IndexOptions { dimensions: 4, additive: true })
}

fn plan(text: &str) -> QueryPlan {
    plan_of(text, &[], false)
}

fn plan_of(text: &str, participants: &[&str], has_assistant: bool) -> QueryPlan {
    let context = QueryContext {
        reference_time: DateTime::UNIX_EPOCH,
        timezone: chrono_tz::UTC,
        speaker: None,
        participants,
        has_assistant,
        lexicon: None,
    };
    QueryPlan::new(text, &context)
}

fn request<'a>(plan: &'a QueryPlan, vector: Option<&'a Embedding>) -> SearchRequest<'a> {
    SearchRequest {
        plan,
        vector,
        visible: ALL,
        accept: &|_| true,
        session: None,
        prefer_session: None,
        limit: 50,
        boosts: &[],
        proposed: &[],
        statistics: None,
        explain: true,
    }
}

fn turns(result: &SearchResult) -> Vec<MessageId> {
    result.hits.iter().map(|hit| hit.turn).collect()
}

const WORDS: [&str; 12] = [
    "tea", "coffee", "mountain", "river", "painting", "2023", "May", "sister", "?", "Anna", "three",
    "bicycle",
];

#[derive(Clone)]
struct Entry {
    turn: TurnRow,
    records: Vec<RecordRow>,
}

fn random_entry(number: usize, noise: &mut Noise) -> Entry {
    let text: Vec<&str> = (0..2 + noise.below(9)).map(|_| WORDS[noise.below(WORDS.len())]).collect();
    let mut row = turn(number, ["", "one", "two"][noise.below(3)], &text.join(" "));
    row.namespace = ["home", "work"][noise.below(2)].into();
    row.user = ["", "ann"][noise.below(2)].into();
    row.seq = noise.below(40) as i64;
    row.role = [None, Some(Role::User), Some(Role::Assistant)][noise.below(3)];
    row.speaker = ["", "Anna", "Bob"][noise.below(3)].into();
    let records = (0..noise.below(3)).map(|chunk| {
        let raw: Vec<f32> = (0..4).map(|_| noise.below(200) as f32 / 100.0 - 1.0).collect();
        let vector = Embedding::from_raw(raw);
        let vector = (noise.below(5) > 0).then_some((vector.vector, vector.norm));
        let id = memory(number * 10 + chunk);
        RecordRow { id, turn: message(number), chunk_index: chunk as u32, ..record(number, vector) }
    });
    Entry { turn: row, records: records.collect() }
}

fn put(index: &mut TenantIndex, entry: &Entry) {
    index.put_turn(&entry.turn);
    for record in &entry.records {
        assert!(index.put_record(record.clone()));
    }
}

#[test]
fn an_index_kept_up_to_date_equals_one_built_afresh() {
    let mut noise = Noise(0x2545_f491_4f6c_dd1d);
    let mut entries: Vec<Option<Entry>> = vec![None; 60];
    let mut kept = index();
    for step in 0..600 {
        let number = noise.below(entries.len());
        match noise.below(4) {
            0 => {
                assert_eq!(kept.remove_turn(message(number)), entries[number].take().is_some());
            }
            1 => {
                if let Some(entry) = &mut entries[number]
                    && let Some(record) = entry.records.pop()
                {
                    assert!(kept.remove_record(record.id));
                }
            }
            _ => {
                let entry = random_entry(number, &mut noise);
                for record in entries[number].iter().flat_map(|old| &old.records) {
                    kept.remove_record(record.id);
                }
                put(&mut kept, &entry);
                entries[number] = Some(entry);
            }
        }
        if step % 20 != 0 {
            continue;
        }
        let mut fresh = index();
        entries.iter().flatten().for_each(|entry| put(&mut fresh, entry));
        assert_eq!((kept.len(), kept.turn_count()), (fresh.len(), fresh.turn_count()));
        let vector = Embedding::from_raw(vec![0.3, -0.5, 0.8, 0.1]);
        for text in
            ["When did Anna paint the mountain?", "tea river", "I had three coffees in May 2023 with her"]
        {
            let plan = plan_of(text, &["Anna", "Bob"], step % 40 == 0);
            for vector in [None, Some(&vector)] {
                let visible: &dyn Fn(&str, &str) -> bool =
                    if step % 60 == 0 { &|namespace, _| namespace == "home" } else { ALL };
                let request = SearchRequest { visible, ..request(&plan, vector) };
                assert_eq!(kept.search(&request), fresh.search(&request), "step {step}, {text}");
            }
        }
    }
}

/// Hits and what their scores are made of, each rounded to a millionth.
fn rounded(result: &SearchResult) -> Vec<(MemoryId, Vec<i64>)> {
    let micro = |value: f64| (value * 1e6).round() as i64;
    let hit = |hit: &Hit| {
        let features = hit.features.unwrap_or_default();
        let features = features.values().iter().map(|&value| micro(value.into()));
        (hit.record, [micro(hit.score), micro(hit.relevance)].into_iter().chain(features).collect())
    };
    result.hits.iter().map(hit).collect()
}

#[test]
fn statistics_from_outside_rank_as_those_that_are_counted() {
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for round in 0..40 {
        let entries: Vec<Entry> = (0..90).map(|number| random_entry(number, &mut noise)).collect();
        let (mut whole, mut part) = (index(), index());
        entries.iter().for_each(|entry| put(&mut whole, entry));
        let visible: &dyn Fn(&str, &str) -> bool =
            if round % 2 == 0 { ALL } else { &|namespace, _| namespace == "home" };
        // Of what is not visible the part holds the neighbours in sessions; what is in none it lacks.
        let seen = |entry: &&Entry| {
            visible(&entry.turn.namespace, &entry.turn.user) || !entry.turn.session.is_empty()
        };
        entries.iter().rev().filter(seen).for_each(|entry| put(&mut part, entry));
        let vector = Embedding::from_raw((0..4).map(|_| noise.below(200) as f32 / 100.0 - 1.0).collect());
        for text in
            ["When did Anna paint the mountain?", "tea river 3rd", "I had three coffees in May 2023 with her"]
        {
            let plan = plan_of(text, &["Anna", "Bob"], round % 3 == 0);
            for vector in [None, Some(&vector)] {
                let request = SearchRequest { visible, ..request(&plan, vector) };
                let statistics = whole.statistics(visible, &plan, vector);
                let expected = whole.search(&request);
                assert!(!expected.hits.is_empty());
                let found = part.search(&SearchRequest { statistics: Some(&statistics), ..request });
                assert_eq!(rounded(&found), rounded(&expected), "round {round}, {text}");
                let other =
                    CorpusStatistics { counts: Counts { turns: 5_000, ..statistics.counts }, ..statistics };
                let found = part.search(&SearchRequest { statistics: Some(&other), ..request });
                assert_ne!(rounded(&found), rounded(&expected), "statistics matter");
            }
        }
    }
}

#[test]
fn a_part_of_the_turns_with_the_statistics_of_all_ranks_alike() -> TestResult {
    const SESSIONS: usize = 250;
    const TURNS: usize = 3_000;
    let model = StaticModel::builtin()?;
    let stems: Vec<&str> = VOCABULARY.split_whitespace().collect();
    let mut noise = Noise(0x1234_5678_9abc_def1);
    // Few words are frequent and many are rare; those of a session come from its part of the vocabulary.
    let word = |session: usize, noise: &mut Noise| {
        let rank = noise.below(stems.len()) * noise.below(stems.len()) / stems.len();
        stems[if noise.below(3) == 0 { (session * 7 + noise.below(12)) % stems.len() } else { rank }]
    };
    let options = IndexOptions { dimensions: model.dimensions(), additive: true };
    let mut whole = TenantIndex::new(options);
    let mut rows = Vec::new();
    for number in 0..TURNS {
        let session = number * SESSIONS / TURNS;
        let text: Vec<&str> = (0..7).map(|_| word(session, &mut noise)).collect();
        let text = text.join(" ");
        let row = (turn(number, &format!("s{session}"), &text), record(number, Some(model.embed(&text))));
        whole.put_turn(&row.0);
        whole.put_record(row.1.clone());
        rows.push(row);
    }
    let (mut shared, mut all, mut first) = (0, 0, 0);
    for _ in 0..30 {
        let session = noise.below(SESSIONS);
        let words: Vec<&str> = (0..4).map(|_| word(session, &mut noise)).collect();
        let plan = plan(&format!("When did we talk about {}?", words.join(" ")));
        let (vector, norm) = model.embed(&plan.embed_text);
        let vector = Embedding::from_unit(vector, norm);
        let request = request(&plan, Some(&vector));
        let statistics = whole.statistics(ALL, &plan, Some(&vector));
        // What a database proposes: the best by words alone and by vectors alone, then their sessions.
        let covered = |row: &TurnRow| -> f32 {
            let terms = plan.terms.iter().zip(&statistics.terms);
            let held =
                terms.filter(|(term, _)| row.analysis.terms.iter().any(|(stem, _)| *stem == term.stem));
            held.map(|(_, frequency)| (TURNS as f32 / frequency.turns).ln()).sum()
        };
        let cosine = |record: &RecordRow| -> f32 {
            let vector = record
                .vector
                .iter()
                .flat_map(|(values, _)| values)
                .zip(&request.vector.expect("given").vector);
            vector.map(|(a, b)| a * b).sum()
        };
        let mut proposed: Vec<usize> = Vec::new();
        for score in [&(|n: usize| covered(&rows[n].0)) as &dyn Fn(usize) -> f32, &|n| cosine(&rows[n].1)] {
            let mut best: Vec<(f32, usize)> = (0..TURNS).map(|number| (score(number), number)).collect();
            best.sort_by(|a, b| b.0.total_cmp(&a.0));
            proposed.extend(best.iter().take(50).map(|(_, number)| number));
        }
        let mut sessions: Vec<usize> = proposed.iter().map(|number| number * SESSIONS / TURNS).collect();
        sessions.sort_unstable();
        sessions.dedup();
        let mut part = TenantIndex::new(options);
        for (turn, record) in rows
            .iter()
            .filter(|(turn, _)| sessions.binary_search(&(turn.seq as usize * SESSIONS / TURNS)).is_ok())
        {
            part.put_turn(turn);
            part.put_record(record.clone());
        }
        assert!(part.turn_count() < TURNS);
        let ten = |result: SearchResult| -> Vec<MessageId> { turns(&result).into_iter().take(10).collect() };
        let expected = ten(whole.search(&request));
        let found = ten(part.search(&SearchRequest { statistics: Some(&statistics), ..request }));
        shared += expected.iter().filter(|turn| found.contains(turn)).count();
        all += expected.len();
        first += usize::from(found[0] == expected[0]);
    }
    assert!(shared * 100 >= all * 90 && first >= 27, "{shared} of {all}, {first} of 30 first");
    Ok(())
}

/// Words of many subjects.
const VOCABULARY: &str = "tea river mountain painting sister bicycle coffee garden kitchen violin teacher Lisbon \
    invoice printer novel ocean winter tyre cello orchestra flight dog vet doctor marathon fence neighbour music \
    market deployment disk chemistry university museum dentist wrist skiing fridge train boiler film astronaut \
    nurse hospital tent rain brother birthday lease tulip path bank card quiz lift umbrella bus salary budget \
    chess guitar recipe bread cheese wine harbour island bridge castle forest lake desert camel tiger parrot \
    turtle spider rocket planet comet engine battery keyboard monitor server router password wallet passport \
    ticket hotel beach towel pillow blanket carpet curtain window ladder hammer drill paint brush canvas museum \
    poem theatre actor camera photo album concert festival parade costume mask candle lantern torch compass";

#[test]
fn what_is_not_visible_changes_nothing() {
    let mut noise = Noise(77);
    let (mut both, mut alone) = (index(), index());
    for number in 0..80 {
        let mut entry = random_entry(number, &mut noise);
        entry.turn.user = String::new();
        if entry.turn.namespace == "home" {
            put(&mut alone, &entry);
        }
        put(&mut both, &entry);
    }
    let plan = plan_of("Where did Anna drink tea by the river in May?", &["Anna"], false);
    let vector = Embedding::from_raw(vec![1.0, 0.2, -0.4, 0.6]);
    let home: &dyn Fn(&str, &str) -> bool = &|namespace, _| namespace == "home";
    let request = SearchRequest { visible: home, ..request(&plan, Some(&vector)) };
    let hits = both.search(&request);
    assert!(!hits.hits.is_empty());
    // Sessions run through both namespaces: without the hidden turns, neighbours would move up. So only
    // what does not depend on neighbours is compared, and that nothing hidden comes out.
    for hit in &hits.hits {
        assert!(both.record(hit.record).is_some_and(|record| record.namespace == "home"));
    }
    let lex = |result: &SearchResult| {
        let mut all: Vec<_> = result
            .hits
            .iter()
            .map(|hit| {
                (
                    hit.turn,
                    hit.features.map(|features| {
                        [Feature::Lex, Feature::LexSession, Feature::Dense].map(|f| features.get(f))
                    }),
                )
            })
            .collect();
        all.sort_by_key(|(turn, _)| *turn);
        all
    };
    assert_eq!(lex(&hits), lex(&alone.search(&request)));
    let mut names = both.participants(home);
    names.sort_unstable();
    assert_eq!(names, ["Anna", "Bob"]);
    assert!(both.search(&SearchRequest { visible: &|_, _| false, ..request }).hits.is_empty());
}

#[test]
fn features_of_a_small_session() {
    let mut index = index();
    let texts = [
        "Shall we meet for tea?",
        "Yes, in Rome on Friday",
        "Tea and cake, three cups",
        "Fine weather today",
    ];
    for (number, text) in texts.iter().enumerate() {
        let mut row = turn(number, "s", text);
        row.speaker = ["Ann", "Bob"][number % 2].into();
        index.put_turn(&row);
        index.put_record(record(number, None));
    }
    let plan = plan_of("How many cups of tea did Ann have on 3 January 1970?", &["Ann", "Bob"], false);
    let result = index.search(&request(&plan, None));
    let of = |number: usize, feature: Feature| {
        let hit = result.hits.iter().find(|hit| hit.turn == message(number));
        hit.and_then(|hit| hit.features).map(|features| features.get(feature))
    };
    assert_eq!(turns(&result)[0], message(2));
    assert!(of(2, Feature::Lex) > of(0, Feature::Lex) && of(0, Feature::Lex) > Some(0.0));
    assert_eq!(of(1, Feature::LexNext), of(2, Feature::Lex));
    assert_eq!(of(2, Feature::LexPrev2), of(0, Feature::Lex));
    assert_eq!(of(3, Feature::LexPrev2), of(1, Feature::Lex));
    assert_eq!(of(0, Feature::Cover), of(2, Feature::Cover), "both see the same window of words");
    assert_eq!((of(2, Feature::Speaker), of(1, Feature::Speaker)), (Some(1.0), Some(0.0)));
    assert_eq!((of(0, Feature::IsQuestion), of(1, Feature::PrevIsQuestion)), (Some(1.0), Some(1.0)));
    assert_eq!((of(2, Feature::Number), of(3, Feature::Number)), (Some(1.0), Some(0.0)));
    assert_eq!((of(0, Feature::Opens), of(2, Feature::Opens)), (Some(1.0), Some(0.0)));
    assert_eq!(of(2, Feature::Date), Some(1.0), "said on the third day of 1970");
    assert_eq!(of(2, Feature::NearTime), Some(1.0));
    assert_eq!(of(2, Feature::Length), Some(5.0_f32.ln_1p()));
    assert_eq!(of(2, Feature::LexSession), Some(1.0));
}

#[test]
fn context_vectors_are_sums_of_neighbours() {
    let mut index = index();
    for (number, vector) in [vec![1.0, 0.0, 0.0, 0.0], vec![0.0, 1.0, 0.0, 0.0]].into_iter().enumerate() {
        index.put_turn(&turn(number, "s", "words"));
        index.put_record(record(number, Some((vector, 2.0))));
    }
    let plan = plan("Which one?");
    let vector = Embedding::from_raw(vec![1.0, 0.0, 0.0, 0.0]);
    let result = index.search(&request(&plan, Some(&vector)));
    let hit = result.hits.iter().find(|hit| hit.turn == message(1)).and_then(|hit| hit.features);
    let (own, context) = hit.map_or((9.0, 9.0), |f| (f.get(Feature::Dense), f.get(Feature::DenseContext)));
    assert!(own.abs() < 0.01 && (context - 0.5_f32.sqrt()).abs() < 0.01, "{own} {context}");
}

#[test]
fn filters_sessions_preferences_and_boosts_decide_what_comes_out() {
    let mut index = index();
    for number in 0..4 {
        index.put_turn(&turn(number, ["a", "b"][number % 2], "we drank tea"));
        index.put_record(record(number, None));
    }
    let plan = plan("Who drank tea?");
    let base = request(&plan, None);
    assert_eq!(turns(&index.search(&SearchRequest { session: Some("a"), ..base })), [message(0), message(2)]);
    let preferred = turns(&index.search(&SearchRequest { prefer_session: Some("b"), limit: 2, ..base }));
    assert!(preferred.iter().all(|turn| [message(1), message(3)].contains(turn)), "{preferred:?}");
    let accept: &dyn Fn(&IndexedRecord<'_>) -> bool = &|record| record.row.id == memory(1);
    assert_eq!(turns(&index.search(&SearchRequest { accept, ..base })), [message(1)]);
    let boosts = [(memory(0), 5.0), (memory(99), 9.0)];
    assert_eq!(turns(&index.search(&SearchRequest { boosts: &boosts, ..base }))[0], message(0));
    assert!(index.search(&SearchRequest { limit: 0, ..base }).hits.is_empty());
    assert!(index.search(&SearchRequest { session: Some("unknown"), ..base }).hits.is_empty());
}

#[test]
fn large_scopes_find_what_small_ones_find() -> TestResult {
    let mut index = TenantIndex::new(IndexOptions { dimensions: 256, additive: true });
    let model = StaticModel::builtin()?;
    let mut noise = Noise(5);
    for number in 0..SMALL_SCOPE * 2 {
        let text: Vec<&str> = (0..6).map(|_| WORDS[noise.below(WORDS.len())]).collect();
        let text = if number == 700 { "the violin teacher moved to Lisbon".into() } else { text.join(" ") };
        index.put_turn(&turn(number, "", &text));
        index.put_record(record(number, Some(model.embed(&text))));
    }
    let plan = plan("Where does the music teacher live now?");
    let (vector, norm) = model.embed(&plan.embed_text);
    let vector = Embedding::from_unit(vector, norm);
    let result = index.search(&request(&plan, Some(&vector)));
    assert_eq!(turns(&result)[0], message(700));
    assert!(result.candidates <= 2 * CANDIDATES && result.hits.len() == 50);
    Ok(())
}

#[test]
fn what_is_proposed_is_a_candidate_and_no_more() {
    let mut index = TenantIndex::new(IndexOptions { dimensions: 256, additive: true });
    for number in 0..SMALL_SCOPE * 2 {
        let text = if number == 700 { "the violin teacher moved to Lisbon" } else { "a quiet day" };
        index.put_turn(&turn(number, "", text));
        index.put_record(record(number, None));
    }
    let plan = plan("Where does the violin teacher live?");
    let alone = index.search(&request(&plan, None));
    let proposed = [memory(3), memory(700), memory(9_999_999)];
    let result = index.search(&SearchRequest { proposed: &proposed, ..request(&plan, None) });
    assert_eq!(result.candidates, alone.candidates + 1, "700 is one already, the last is unknown");
    assert_eq!(result.hits[..alone.hits.len()], alone.hits, "nothing is added to what is proposed");
    let one = index.search(&SearchRequest { proposed: &proposed, limit: 1, ..request(&plan, None) });
    assert_eq!(turns(&one), [message(700)], "nor is it kept whatever its place");
}

const UNRELATED: [&str; 30] = [
    "My sister lives in Rome",
    "The quarterly report is due on Friday",
    "The car needs new winter tyres",
    "Tom plays the cello in an orchestra",
    "The flight to Oslo leaves at 7:40",
    "I finished a novel about the sea",
    "Our dog was at the vet on Monday",
    "The invoice from the printer was paid",
    "Marathon training starts in March",
    "The garden fence has to be repaired",
    "The neighbours complained about loud music",
    "I bought a bicycle at the flea market",
    "The deployment failed because the disk was full",
    "She studies chemistry at the university",
    "The museum is closed on Tuesdays",
    "The dentist appointment was moved",
    "He broke his wrist while skiing",
    "The wifi password is on the fridge",
    "The train was late again",
    "The boiler makes a strange noise",
    "We watched a film about astronauts",
    "Lena works as a nurse at the hospital",
    "The tent leaks when it rains",
    "My brother turned forty last week",
    "The lease ends in October",
    "We planted tulips along the path",
    "The bank sent a new card",
    "Our team won the quiz night",
    "The lift is out of order",
    "I lost my umbrella on the bus",
];

#[test]
fn short_memories_are_found_by_what_they_are_about() -> TestResult {
    let model = StaticModel::builtin()?;
    let lexicon = SoftLexicon::builtin().ok_or("no lexicon")?;
    for (text, query) in [
        ("User prefers dark mode", "theme preferences"),
        ("User is vegetarian", "dietary preferences"),
        ("User is allergic to nuts", "food preferences"),
        ("User is allergic to nuts", "any allergies?"),
        ("User uses VS Code", "development tools"),
        ("Postgres listens on port 5433", "Postgres port 5433"),
    ] {
        let mut index = TenantIndex::new(IndexOptions { dimensions: model.dimensions(), additive: true });
        for (number, text) in UNRELATED.iter().chain(&[text]).enumerate() {
            index.put_turn(&turn(number, "", text));
            index.put_record(record(number, Some(model.embed(text))));
        }
        let context = QueryContext {
            reference_time: DateTime::UNIX_EPOCH,
            timezone: chrono_tz::UTC,
            speaker: None,
            participants: &[],
            has_assistant: false,
            lexicon: Some((lexicon, model)),
        };
        let plan = QueryPlan::new(query, &context);
        let (vector, norm) = model.embed(&plan.embed_text);
        let result = index.search(&request(&plan, Some(&Embedding::from_unit(vector, norm))));
        let best = &result.hits[0];
        assert_eq!(best.turn, message(UNRELATED.len()), "{query}: {:?}", best.features);
        assert!(best.relevance >= DEFAULT_FLOOR, "{query}: {}", best.relevance);
        let plan = QueryPlan::new(text, &context);
        let (vector, norm) = model.embed(&plan.embed_text);
        let result = index.search(&request(&plan, Some(&Embedding::from_unit(vector, norm))));
        assert!(result.hits[0].relevance >= QUOTATION, "{text}: {}", result.hits[0].relevance);
    }
    Ok(())
}
