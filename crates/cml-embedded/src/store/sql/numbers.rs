//! Numbers of messages in their sessions.

use std::collections::HashMap;

use cml_core::{MessageId, Result, memory::Message};
use uuid::Uuid;

use super::{connection::Connection, dialect::Part, statement::Sql};
use crate::store::TurnRow;

/// Place in its session by message.
pub(in crate::store) type Numbers = HashMap<MessageId, u64>;

/// Keeps the numbers of placed messages as far as they are free, and says how many are not.
pub(in crate::store) async fn of_placed(
    connection: &mut Connection<'_>,
    tenant: &str,
    placed: &[Message],
) -> Result<(Numbers, u64)> {
    let mut numbers = HashMap::with_capacity(placed.len());
    let mut moved = 0;
    if placed.is_empty() {
        return Ok((numbers, moved));
    }
    let mut last = last_numbers(connection, tenant, placed).await?;
    let taken = taken(connection, tenant, placed).await?;
    // The last number that a message of this change set got, by session.
    let mut ends: HashMap<&str, u64> = HashMap::new();
    for (message, taken) in placed.iter().zip(taken) {
        let last = last.entry(&message.session_id).or_default();
        let end = ends.entry(&message.session_id).or_default();
        let number = if taken || message.seq <= *end {
            moved += 1;
            *last + 1
        } else {
            message.seq
        };
        (*last, *end) = (number.max(*last), number);
        numbers.insert(message.id, number);
    }
    Ok((numbers, moved))
}

/// Whether the number of each message is that of a stored one.
async fn taken(connection: &mut Connection<'_>, tenant: &str, messages: &[Message]) -> Result<Vec<bool>> {
    let places: Vec<(&str, u64)> =
        messages.iter().map(|message| (&*message.session_id, message.seq)).collect();
    let mut sql =
        Sql::new(connection.dialect(), "SELECT EXISTS (SELECT 1 FROM messages m WHERE m.tenant_id = ?");
    sql.bind(tenant).equal(&[("m.session_id", Part::Text), ("m.seq", Part::Number)]);
    sql.push(") FROM ").each(&places).push(" ORDER BY w.key");
    sql.all(connection, |columns| columns.get()).await
}

/// Numbers new messages after the last of their sessions, and after those placed in the same commit.
pub(in crate::store) async fn of_messages(
    connection: &mut Connection<'_>,
    tenant: &str,
    messages: &[Message],
    placed: &[Message],
    places: &Numbers,
) -> Result<Numbers> {
    let mut numbers = HashMap::with_capacity(messages.len());
    if messages.is_empty() {
        return Ok(numbers);
    }
    let mut last = last_numbers(connection, tenant, messages).await?;
    for message in placed {
        let number = last.entry(&message.session_id).or_default();
        *number = places.get(&message.id).copied().unwrap_or_default().max(*number);
    }
    for message in messages {
        let number = last.entry(&message.session_id).or_default();
        *number += 1;
        numbers.insert(message.id, *number);
    }
    Ok(numbers)
}

/// The last number of each session of `messages`.
async fn last_numbers<'m>(
    connection: &mut Connection<'_>,
    tenant: &str,
    messages: &'m [Message],
) -> Result<HashMap<&'m str, u64>> {
    let mut sessions: Vec<&str> = messages.iter().map(|message| &*message.session_id).collect();
    sessions.sort_unstable();
    sessions.dedup();
    let dialect = connection.dialect();
    let mut sql = Sql::new(dialect, "SELECT w.key, (SELECT max(m.seq) FROM messages m WHERE m.tenant_id = ?");
    sql.bind(tenant).push(" AND m.session_id = ").push(dialect.text_of_value());
    sql.push(") FROM ").each(&sessions);
    let found = sql.all(connection, |columns| Ok((columns.number()?, columns.get::<Option<i64>>()?))).await?;
    let number = |(index, last): (u64, Option<i64>)| {
        let session = sessions.get(usize::try_from(index).ok()?)?;
        Some((*session, last?.cast_unsigned()))
    };
    Ok(found.into_iter().filter_map(number).collect())
}

/// Numbers that turns of a session take from messages stored before; `new` has those of this commit.
pub(in crate::store) async fn of_turns(
    connection: &mut Connection<'_>,
    tenant: &str,
    turns: &[TurnRow],
    new: &Numbers,
) -> Result<Numbers> {
    let stored: Vec<&Uuid> = turns
        .iter()
        .filter(|turn| !turn.session.is_empty() && !new.contains_key(&turn.id))
        .map(|turn| turn.id.as_uuid())
        .collect();
    if stored.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = Sql::new(connection.dialect(), "SELECT id, seq FROM messages WHERE tenant_id = ?");
    sql.bind(tenant).in_ids(" AND id", stored);
    let found = sql.all(connection, |columns| Ok((columns.id()?, columns.number()?))).await?;
    Ok(found.into_iter().collect())
}
