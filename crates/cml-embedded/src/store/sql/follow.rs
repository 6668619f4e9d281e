//! Which messages stay while the one before them goes.

use std::collections::HashMap;

use cml_core::{MessageId, Result, Subject, memory::MemoryRecord};

use super::{connection::Connection, read, statement::Sql};
use crate::store::{Follower, Removal};

/// A follower and the message that then comes before it.
type Gap = (MessageId, Option<MessageId>);

/// See [`Store::followers`](crate::store::Store::followers); the connection is a snapshot.
pub(in crate::store) async fn followers(
    connection: &mut Connection<'_>,
    tenant: &str,
    removed: &Removal,
) -> Result<Vec<Follower>> {
    let gaps = gaps(connection, tenant, removed).await?;
    let before: Vec<MessageId> = gaps.iter().filter_map(|(_, before)| *before).collect();
    let texts = read::messages(connection, tenant, &before).await?;
    let texts: HashMap<MessageId, String> =
        texts.into_iter().map(|message| (message.id, message.text)).collect();
    let followers: Vec<MessageId> = gaps.iter().map(|(follower, _)| *follower).collect();
    let mut records: HashMap<MessageId, Vec<MemoryRecord>> = HashMap::new();
    for record in read::records_of(connection, tenant, &followers).await? {
        records.entry(record.message_id).or_default().push(record);
    }
    let follower = |(follower, before): Gap| {
        let before = before.and_then(|id| texts.get(&id).cloned());
        Some(Follower { records: records.remove(&follower)?, before })
    };
    Ok(gaps.into_iter().filter_map(follower).collect())
}

async fn gaps(connection: &mut Connection<'_>, tenant: &str, removed: &Removal) -> Result<Vec<Gap>> {
    let messages: Vec<MessageId> = match removed {
        Removal::Subject(_) => Vec::new(),
        Removal::Records(ids) => {
            let mut sql =
                Sql::new(connection.dialect(), "SELECT DISTINCT message_id FROM records WHERE tenant_id = ?");
            sql.bind(tenant).in_ids(" AND id", ids.iter().map(cml_core::MemoryId::as_uuid));
            sql.all(connection, |columns| columns.id()).await?
        }
    };
    // The session and whether the message goes, twice: once per row, once to find the sessions.
    let goes = |sql: &mut Sql| match removed {
        Removal::Subject(subject) => match subject {
            Subject::Namespace(name) => drop(sql.push("namespace = ?").bind(&**name)),
            Subject::User(name) => drop(sql.push("user_id = ?").bind(&**name)),
            Subject::Agent(name) => drop(sql.push("agent_id = ?").bind(&**name)),
            Subject::Session(name) => drop(sql.push("session_id = ?").bind(&**name)),
            _ => drop(sql.push("TRUE")),
        },
        Removal::Records(_) => drop(sql.in_ids("id", messages.iter().map(MessageId::as_uuid))),
    };
    let mut sql = Sql::new(connection.dialect(), "SELECT id, session_id, ");
    goes(&mut sql);
    sql.push(" FROM messages WHERE tenant_id = ?").bind(tenant);
    sql.push(" AND session_id IN (SELECT session_id FROM messages WHERE tenant_id = ?")
        .bind(tenant)
        .push(" AND ");
    goes(&mut sql);
    sql.push(") ORDER BY session_id, seq");
    let rows = sql.all(connection, |columns| Ok((columns.id()?, columns.text()?, columns.get()?))).await?;
    Ok(after_gaps(&rows))
}

/// The messages that stay and follow one that goes, with the one that stays before them.
fn after_gaps(rows: &[(MessageId, String, bool)]) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let (mut session, mut before, mut gap) = ("", None, false);
    for (id, own, goes) in rows {
        if own != session {
            (session, before, gap) = (own, None, false);
        }
        if *goes {
            gap = true;
            continue;
        }
        if gap {
            gaps.push((*id, before));
        }
        (before, gap) = (Some(*id), false);
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_after_a_gap_follows_the_last_one_that_stays() {
        let ids: Vec<MessageId> = (0..7).map(|_| MessageId::new()).collect();
        let row = |index: usize, session: &str, goes| (ids[index], session.to_owned(), goes);
        let rows = [
            row(0, "a", true),
            row(1, "a", false),
            row(2, "a", true),
            row(3, "a", true),
            row(4, "a", false),
            row(5, "b", false),
            row(6, "b", true),
        ];
        assert_eq!(after_gaps(&rows), [(ids[1], None), (ids[4], Some(ids[1]))]);
    }
}
