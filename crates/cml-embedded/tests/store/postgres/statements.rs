//! No statement of a tenant looks beyond its tenant.

use std::{cell::RefCell, fmt};

use cml_core::{
    MemoryId, MessageId, Subject,
    ops::{ListEvents, ListFacts, ListRequest},
};
use cml_embedded::store::{
    ChangeSet, KeyOf, Precondition, Removal, RowKind, Select, SlotOf, Store, TurnOf, Wanted,
    postgres::PostgresStore,
};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use super::fixture::Schema;
use crate::{erase::everything, fixtures::*};

thread_local! {
    /// Texts of the statements that sqlx ran on this thread, while they are recorded.
    static RECORDED: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// The subscriber of the whole process: with one per thread, a thread without one may be asked first
/// whether anybody wants to know of statements, and its answer is kept.
struct Recorder;

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut statement = Statement::default();
        event.record(&mut statement);
        // A short statement is its own summary.
        let text = if statement.text.is_empty() { statement.summary } else { statement.text };
        RECORDED.with_borrow_mut(|recorded| recorded.as_mut().map(|texts| texts.push(text)));
    }

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}

#[derive(Default)]
struct Statement {
    summary: String,
    text: String,
}

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "db.statement" => value.clone_into(&mut self.text),
            "summary" => value.clone_into(&mut self.summary),
            _ => {}
        }
    }

    fn record_debug(&mut self, _field: &Field, _value: &dyn fmt::Debug) {}
}

/// The tables that a statement reads or changes without saying of which tenant.
fn boundless(statement: &str, tables: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for query in queries(statement) {
        let words: Vec<&str> = query.split_whitespace().collect();
        for (index, word) in words.iter().enumerate() {
            if !["FROM", "JOIN", "INTO", "UPDATE"].contains(word) {
                continue;
            }
            // The `UPDATE SET` of an insert, and those without a table.
            let Some(table) = words.get(index + 1).filter(|table| tables.iter().any(|known| known == *table))
            else {
                continue;
            };
            let alias = words.get(index + 2).filter(|next| next.chars().all(char::is_lowercase));
            let alone = words.iter().filter(|word| tables.iter().any(|known| known == *word)).count() == 1;
            let bound = match (*word, alias) {
                ("INTO", _) => query.contains("tenant_id"),
                (_, Some(alias)) => query.contains(&format!("{alias}.tenant_id")),
                _ => {
                    query.contains(&format!("{table}.tenant_id "))
                        || (alone && query.contains("tenant_id = "))
                }
            };
            if !bound {
                found.push((*table).to_owned());
            }
        }
    }
    found
}

/// The queries of a statement, each without those inside of it; a list of columns stays.
fn queries(statement: &str) -> Vec<String> {
    let (mut open, mut done) = (vec![String::new()], Vec::new());
    for one in statement.chars() {
        match one {
            '(' => open.push(String::new()),
            ')' => {
                let inner = open.pop().unwrap_or_default();
                if inner.contains("SELECT")
                    || inner.contains("INTO ")
                    || inner.contains("UPDATE ")
                    || inner.contains("DELETE ")
                {
                    done.push(inner);
                } else if let Some(outer) = open.last_mut() {
                    outer.push_str(&format!(" ( {inner} ) "));
                }
            }
            one => {
                if let Some(query) = open.last_mut() {
                    query.push(one);
                }
            }
        }
    }
    done.extend(open);
    done
}

#[test]
fn a_statement_beyond_a_tenant_is_found() {
    let tables = ["records".to_owned(), "messages".to_owned()];
    for statement in [
        "SELECT x FROM records WHERE id = $1",
        "SELECT x FROM records r JOIN messages m ON m.id = r.id WHERE r.tenant_id = $1",
        "SELECT x FROM records WHERE tenant_id = $1 AND id IN (SELECT id FROM messages)",
        "UPDATE records SET x = 1 WHERE id = $1",
        "INSERT INTO records (id) VALUES ($1)",
    ] {
        assert_eq!(boundless(statement, &tables).len(), 1, "{statement}");
    }
    for statement in [
        "SELECT x FROM records r JOIN messages m ON m.tenant_id = r.tenant_id WHERE r.tenant_id = $1",
        "INSERT INTO records (tenant_id, id) VALUES ($1, $2) ON CONFLICT (tenant_id, id) DO UPDATE SET x = 1",
        "WITH c0 AS (DELETE FROM records WHERE tenant_id = $1) UPDATE messages SET x = 1 WHERE tenant_id = $2",
    ] {
        assert!(boundless(statement, &tables).is_empty(), "{statement}");
    }
}

/// Every call of the store that acts within one tenant.
async fn use_all(store: &PostgresStore) -> TestResult {
    let tenant = "acme";
    let changes = everything("mark", "s", "bot", "ana", "default", false)?;
    let (id, fact, message) =
        (changes.records[0].record.id, changes.facts[0].clone(), changes.records[0].record.message_id);
    commit(store, changes).await?;
    let mut second = everything("mark", "s", "bot", "ana", "default", true)?;
    let key = KeyOf { namespace: "default".into(), user: "ana".into(), key: "none".into() };
    let slot = SlotOf {
        namespace: "none".into(),
        user: String::new(),
        subject: fact.subject.clone(),
        slot: fact.slot.clone(),
    };
    let turn = TurnOf { session: "s".into(), role: cml_core::memory::Role::User, turn_id: "none".into() };
    second.require = vec![
        Precondition::Version(id, 1),
        Precondition::Dedup([9; 16], None),
        Precondition::Key(key.clone(), None),
        Precondition::Slot(slot.clone(), Vec::new()),
        Precondition::Turn(turn.clone()),
        Precondition::Unused("none".into()),
        Precondition::Model(1),
    ];
    second.unembed = vec![id];
    second.sessions.push(session(&second.records[0].record));
    second.placed = std::mem::take(&mut second.messages);
    second.reinforced.push(cml_embedded::store::Reinforcement {
        id,
        confidence: cml_core::Score::clamped(1.0),
        at: at(1),
    });
    second.accessed.push(cml_embedded::store::Access { id, count: 1, at: at(1) });
    commit(store, second).await?;
    let wanted = Wanted {
        dedup: vec![*id.as_uuid().as_bytes()],
        keys: vec![key],
        slots: vec![slot],
        turns: vec![turn],
        idempotency: vec!["none".into()],
        last_messages: vec!["s".into()],
        now: at(0),
    };
    store.observe(tenant, &wanted).await?;
    store.tenant(tenant).await?;
    store.changes(tenant, 0, 10).await?;
    for select in [Select::After(None, 10), Select::After(Some(message), 10), Select::Ids(&[message])] {
        store.turns(tenant, select).await?;
    }
    for select in [Select::After(None, 10), Select::Ids(&[id])] {
        store.indexed(tenant, 1, select).await?;
    }
    store.indexed_facts(tenant, Select::After(None, 10)).await?;
    store.records(tenant, &[id, MemoryId::new()]).await?;
    store.records_of(tenant, &[message]).await?;
    store.versions(tenant, id).await?;
    store.facts_of(tenant, &[id]).await?;
    store.fact(tenant, fact.id).await?;
    store.session(tenant, "s").await?;
    store.messages_by_id(tenant, &[message, MessageId::new()]).await?;
    store.followers(tenant, &Removal::Records(vec![id])).await?;
    store.unembedded(1, Some(tenant), Some((tenant, id)), 10).await?;
    let scopes = [scope()?, scope()?.with_namespace("default")?.with_user("ana")?.with_session("s")?];
    for scope in &scopes {
        let request = ListRequest::new().with_search("\u{e9}");
        store.list(scope, &request, None, 10).await?;
        store.list(scope, &ListRequest::new(), None, 10).await?;
        store.facts(scope, &ListFacts::new()).await?;
        store.sessions(scope).await?;
        store.messages(scope, "s", 0, 10).await?;
        store.stats(scope).await?;
        store.events(scope, &ListEvents::new()).await?;
        for kind in RowKind::ALL {
            let rows = store.export(scope, kind, None, 1).await?;
            store.export(scope, kind, rows.last(), 10).await?;
            store.known(scope, &rows).await?;
        }
    }
    let mut removal = ChangeSet::new(tenant);
    removal.delete_records.push(id);
    commit(store, removal).await?;
    for subject in [
        Subject::Session("s".into()),
        Subject::Agent("bot".into()),
        Subject::User("ana".into()),
        Subject::Namespace("default".into()),
        Subject::Tenant,
    ] {
        store.followers(tenant, &Removal::Subject(subject.clone())).await?;
        let mut removal = ChangeSet::new(tenant);
        removal.erase = Some(subject);
        commit(store, removal).await?;
    }
    Ok(())
}

#[tokio::test]
async fn every_statement_of_a_tenant_says_so() -> TestResult {
    let Some(schema) = Schema::new() else { return Ok(()) };
    let store = schema.open().await?;
    let sql = "SELECT c.relname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE \
               c.relnamespace = $1::regnamespace AND c.relkind = 'r' AND a.attname = 'tenant_id'";
    let tables: Vec<String> =
        sqlx::query_scalar(sql).bind(&schema.name).fetch_all(&mut schema.connect().await?).await?;
    tracing::subscriber::set_global_default(Recorder)?;
    RECORDED.set(Some(Vec::new()));
    use_all(&store).await?;
    let mut statements = RECORDED.take().unwrap_or_default();
    statements.sort_unstable();
    statements.dedup();
    let (mut wrong, mut seen) = (Vec::new(), Vec::new());
    for statement in &statements {
        let found = boundless(statement, &tables);
        if !found.is_empty() {
            wrong.push(format!("{found:?} in {statement}"));
        }
        seen.extend(tables.iter().filter(|table| statement.contains(&***table)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    seen.sort_unstable();
    seen.dedup();
    let mut unseen: Vec<_> = tables.iter().filter(|table| !seen.contains(table)).collect();
    // Those two are the projector's own.
    unseen.retain(|table| !["outbox", "projections"].contains(&&***table));
    assert!(unseen.is_empty() && statements.len() > 100, "{unseen:?} of {} statements", statements.len());
    store.close().await?;
    Ok(())
}
