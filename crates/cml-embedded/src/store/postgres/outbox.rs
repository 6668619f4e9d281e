//! Who projects what waits, and what became of it. Every step is one statement.

use std::time::Duration;

use async_trait::async_trait;
use cml_core::{BoxStream, Result};
use futures_util::{StreamExt as _, stream};
use tokio::sync::broadcast::error::RecvError;
use uuid::Uuid;

use super::{PostgresStore, pool::Whose};
use crate::store::{
    GraphKey, Lease, Outbox, OutboxRow, OutboxStatus, Projected,
    sql::{
        dialect::{Dialect, Part},
        error::malformed,
        statement::Sql,
        value::Columns,
    },
};

/// Others who may take a tenant first before we wait for the next time.
const CONTENDERS: usize = 8;

/// `SET` of who holds a tenant, and for how long.
const HOLD: &str = "leased_until = now() + make_interval(secs => ?)";

/// Runs what needs one connection in a transaction of its own.
macro_rules! act {
    ($store:expr, $whose:expr, |$connection:ident| $act:expr) => {{
        let mut begun = $store.pool()?.begin($whose).await?;
        let done = {
            let $connection = &mut begun.connection();
            $act.await?
        };
        begun.commit().await?;
        done
    }};
}

#[async_trait]
impl Outbox for PostgresStore {
    async fn lease(&self, length: Duration) -> Result<Option<Lease>> {
        for _ in 0..CONTENDERS {
            let due = sql(
                "SELECT t.tenant_id FROM tenants t JOIN LATERAL (SELECT o.added_at, o.seq FROM outbox o WHERE \
                 o.tenant_id = t.tenant_id AND NOT o.dead ORDER BY o.seq LIMIT 1) o ON true LEFT JOIN \
                 projections p ON p.tenant_id = t.tenant_id WHERE coalesce(p.leased_until <= now(), true) AND \
                 coalesce(p.not_before <= now(), true) ORDER BY o.added_at, o.seq LIMIT 1",
            );
            let tenant = act!(self, Whose::All, |c| due.first(c, |columns| columns.text()));
            let Some(tenant) = tenant else { return Ok(None) };
            if let Some(lease) = self.lease_of(&tenant, length).await? {
                return Ok(Some(lease));
            }
        }
        Ok(None)
    }

    async fn lease_of(&self, tenant: &str, length: Duration) -> Result<Option<Lease>> {
        let token = Uuid::now_v7();
        let mut take =
            sql("INSERT INTO projections AS p (tenant_id, lease_token, leased_until) VALUES (?, ?, ");
        take.bind(tenant).bind_id(&token);
        take.push("now() + make_interval(secs => ?)) ON CONFLICT (tenant_id) DO UPDATE SET lease_token = ");
        take.bind(length.as_secs_f64());
        take.push(
            "excluded.lease_token, leased_until = excluded.leased_until WHERE coalesce(p.leased_until <= ",
        );
        take.push("now(), true) RETURNING p.tenant_id");
        let taken = act!(self, Whose::Tenant(tenant), |c| take.first(c, |columns| columns.text()));
        Ok(taken.map(|tenant| Lease { tenant, token }))
    }

    async fn take(&self, lease: &Lease, length: Duration, limit: usize) -> Result<Option<Vec<OutboxRow>>> {
        let mut take = sql("WITH held AS (UPDATE projections SET ");
        take.push(HOLD).bind(length.as_secs_f64());
        held(&mut take, lease);
        take.push(
            " RETURNING tenant_id) SELECT o.seq, o.kind, o.id, o.name, o.attempts FROM held LEFT JOIN ",
        );
        take.push(
            "LATERAL (SELECT seq, kind, id, name, attempts FROM outbox WHERE tenant_id = held.tenant_id ",
        );
        take.push("AND NOT dead ORDER BY seq").limit(limit, 0).push(") o ON true");
        let rows = act!(self, Whose::Tenant(&lease.tenant), |c| take.all(c, row));
        Ok((!rows.is_empty()).then(|| rows.into_iter().flatten().collect()))
    }

    async fn done(&self, lease: &Lease, rows: &[u64]) -> Result<bool> {
        let mut done = sql("WITH held AS (UPDATE projections SET applied_at = now(), failures = 0");
        held(&mut done, lease);
        done.push(" RETURNING tenant_id), gone AS (DELETE FROM outbox USING held WHERE outbox.tenant_id = ");
        done.push("held.tenant_id AND outbox.seq IN (SELECT ").part(Part::Number, 0).push(" FROM ");
        done.each(&rows.iter().map(|seq| [seq]).collect::<Vec<_>>()).push(")) SELECT tenant_id FROM held");
        Ok(act!(self, Whose::Tenant(&lease.tenant), |c| done.first(c, |columns| columns.text())).is_some())
    }

    async fn failed(&self, lease: &Lease, row: u64, error: &str, dead: bool) -> Result<bool> {
        let mut failed =
            sql("UPDATE outbox SET attempts = attempts + 1, dead = ?, error = ? WHERE tenant_id = ? ");
        failed.bind(dead).bind(error).bind(&*lease.tenant);
        failed.push("AND seq = ? AND EXISTS (SELECT 1 FROM projections").bind(row.cast_signed());
        held(&mut failed, lease);
        failed.push(")");
        Ok(act!(self, Whose::Tenant(&lease.tenant), |c| failed.run(c)) > 0)
    }

    async fn give_back(&self, lease: &Lease, pause: Option<Duration>) -> Result<()> {
        let mut back = sql("UPDATE projections SET lease_token = NULL, leased_until = NULL, failures = ");
        match pause {
            Some(pause) => back
                .push("failures + 1, not_before = now() + make_interval(secs => ?)")
                .bind(pause.as_secs_f64()),
            None => back.push("0, not_before = NULL"),
        };
        held(&mut back, lease);
        act!(self, Whose::Tenant(&lease.tenant), |c| back.run(c));
        Ok(())
    }

    fn added(&self) -> BoxStream<'static, ()> {
        let hints = self.subscribe();
        stream::unfold(hints, |mut hints| async move {
            match hints.recv().await {
                Ok(_) | Err(RecvError::Lagged(_)) => Some(((), hints)),
                Err(RecvError::Closed) => std::future::pending().await,
            }
        })
        .boxed()
    }

    async fn status(&self, tenant: Option<&str>) -> Result<OutboxStatus> {
        let mut status = sql(
            "SELECT count(*) FILTER (WHERE NOT dead), count(*) FILTER (WHERE dead), min(added_at) FILTER (WHERE \
             NOT dead), (array_agg(error ORDER BY attempts DESC, added_at DESC) FILTER (WHERE error IS NOT \
             NULL))[1] FROM outbox",
        );
        if let Some(tenant) = tenant {
            status.push(" WHERE tenant_id = ?").bind(tenant);
        }
        let read = |columns: &mut Columns<'_>| {
            Ok(OutboxStatus {
                pending: columns.number()?,
                dead: columns.number()?,
                oldest: columns.optional_time()?,
                error: columns.get()?,
            })
        };
        Ok(act!(self, tenant.map_or(Whose::All, Whose::Tenant), |c| status.first(c, read))
            .unwrap_or_default())
    }

    async fn replay(&self, tenant: &str) -> Result<u64> {
        let mut replay =
            sql("WITH due AS (UPDATE projections SET not_before = NULL, failures = 0 WHERE tenant_id = ?) ");
        replay.bind(tenant);
        replay.push("UPDATE outbox SET dead = false, attempts = 0 WHERE tenant_id = ? AND dead").bind(tenant);
        Ok(act!(self, Whose::Tenant(tenant), |c| replay.run(c)))
    }

    async fn rebuild(&self, tenant: &str) -> Result<()> {
        let mut rebuild = sql(
            "WITH numbered AS (UPDATE tenants SET last_outbox = last_outbox + 1 WHERE tenant_id = ? RETURNING \
             last_outbox), ",
        );
        rebuild.bind(tenant);
        rebuild.push("due AS (UPDATE projections SET not_before = NULL, failures = 0 WHERE tenant_id = ?), ");
        rebuild.bind(tenant);
        rebuild.push("gone AS (DELETE FROM outbox WHERE tenant_id = ?) INSERT INTO outbox (tenant_id, seq, ");
        rebuild.bind(tenant);
        rebuild.push(
            "kind, name, attempts, dead, added_at) SELECT ?, last_outbox, 4, '', 0, false, now() FROM ",
        );
        rebuild.bind(tenant).push("numbered");
        act!(self, Whose::Tenant(tenant), |c| rebuild.run(c));
        Ok(())
    }
}

fn sql(text: &str) -> Sql {
    Sql::new(Dialect::Postgres, text)
}

/// ` WHERE` the lease is held.
fn held(sql: &mut Sql, lease: &Lease) {
    sql.push(" WHERE tenant_id = ?").bind(&*lease.tenant).push(" AND lease_token = ?").bind_id(&lease.token);
}

/// A row, or none where nothing waits.
fn row(columns: &mut Columns<'_>) -> Result<Option<OutboxRow>> {
    let Some(seq) = columns.get::<Option<i64>>()? else { return Ok(None) };
    let kind: i64 = columns.get()?;
    let id: Option<Uuid> = columns.optional_id()?;
    let name = columns.text()?;
    let id = || id.ok_or_else(|| malformed("id"));
    let what = match kind {
        0 => Projected::Node(GraphKey::Record(id()?.into())),
        1 => Projected::Node(GraphKey::Fact(id()?.into())),
        2 => Projected::Node(GraphKey::Session(name)),
        3 => Projected::Node(GraphKey::Entity(id()?.into())),
        4 => Projected::Tenant,
        _ => return Err(malformed("kind")),
    };
    let attempts = columns.small()?;
    Ok(Some(OutboxRow { seq: seq.cast_unsigned(), what, attempts }))
}
