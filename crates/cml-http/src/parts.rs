//! The further nouns: conversations, facts, maintenance, tenants.

use std::time::Duration;

use async_trait::async_trait;
use cml_core::{
    Admin, Capability, FactId, Facts, JobId, Maintenance, Result, Scope, Sessions,
    memory::{Fact, Job, JobStatus, Session},
    ops::{
        CreateSession, EraseResponse, EventPage, FactList, ListEvents, ListFacts, ListJobs, MessagePage,
        SessionContext, TenantSummary,
    },
    scope::{MAX_ID_CHARS, ScopeParts, check_id},
    wire::{CallScope, ContextQuery, JobList, MessagesQuery, SessionList, join_session, path},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    HttpBackend,
    backend::{Open, call_scoped, scoped, verb},
    call::Call,
    original::Original,
    retry::Repeat,
};

/// Wait between two looks at a job that runs, doubled each time up to the last.
const JOB_WAIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

#[async_trait]
impl Sessions for HttpBackend {
    async fn create(&self, scope: &Scope, mut request: CreateSession) -> Result<Session> {
        verb!(scope, "create_session", {
            request.validate()?;
            let open = self.open(scope).await?;
            if let Some(original) = open.original() {
                return original.create_session(scope, request).await;
            }
            let repeat = open.keyed(&mut request.idempotency_key);
            let call = Call::post(path::SESSION_CREATE, &call_scoped(scope, request), repeat)?;
            open.client.json(call.of(scope)).await
        })
    }

    async fn list(&self, scope: &Scope) -> Result<Vec<Session>> {
        verb!(scope, "list_sessions", {
            let open = self.open(scope).await?;
            if let Some(original) = open.original() {
                return Err(original.lacks("the list of sessions"));
            }
            let call = Call::get(path::SESSIONS).query(&ScopeParts::from(scope)).of(scope);
            Ok(open.client.json::<SessionList>(call).await?.sessions)
        })
    }

    async fn messages(&self, scope: &Scope, session: &str, after: u64, limit: usize) -> Result<MessagePage> {
        verb!(scope, "messages", {
            check_session(scope, session)?;
            let open = self.open(scope).await?;
            if let Some(original) = open.original() {
                return Err(original.lacks("the log of a session"));
            }
            let query = call_scoped(scope, MessagesQuery { after, limit: Some(limit) });
            open.client.json(Call::get(path::MESSAGES).id(session).query(&query).of(scope)).await
        })
    }

    async fn context(&self, scope: &Scope, session: &str, max_tokens: usize) -> Result<SessionContext> {
        verb!(scope, "session_context", {
            check_session(scope, session)?;
            let open = self.open(scope).await?;
            if let Some(original) = open.original() {
                return original.session_context(scope, session, max_tokens).await;
            }
            let query = call_scoped(scope, ContextQuery { max_tokens: Some(max_tokens) });
            open.client.json(Call::get(path::SESSION_CONTEXT).id(session).query(&query).of(scope)).await
        })
    }

    async fn clear(&self, scope: &Scope, session: &str) -> Result<EraseResponse> {
        verb!(scope, "clear_session", {
            check_session(scope, session)?;
            let open = self.open(scope).await?;
            if let Some(original) = open.original() {
                return Err(original.lacks("clearing a session"));
            }
            // A repeat would count nothing, and the counts are the answer.
            let call = Call::delete(path::SESSION, Repeat::Twice).id(session).query(&CallScope::from(scope));
            open.client.json(call.unhurried().of(scope)).await
        })
    }
}

fn check_session(scope: &Scope, session: &str) -> Result<()> {
    check_id("session_id", session, MAX_ID_CHARS)?;
    join_session(scope, Some(session.to_owned())).map(drop)
}

#[async_trait]
impl Facts for HttpBackend {
    async fn list(&self, scope: &Scope, request: ListFacts) -> Result<FactList> {
        verb!(scope, "list_facts", {
            request.validate()?;
            let open = self.open_facts(scope).await?;
            open.client.json(Call::get(path::FACTS).query(&scoped(scope, request)).of(scope)).await
        })
    }

    async fn get(&self, scope: &Scope, id: FactId) -> Result<Fact> {
        verb!(scope, "get_fact", {
            let open = self.open_facts(scope).await?;
            let call = Call::get(path::FACT).id(&id).query(&ScopeParts::from(scope));
            open.client.json(call.of(scope)).await
        })
    }

    async fn retract(&self, scope: &Scope, id: FactId) -> Result<Fact> {
        verb!(scope, "retract_fact", {
            let open = self.open_facts(scope).await?;
            let call = Call::post(path::RETRACT, &ScopeParts::from(scope), Repeat::Same)?;
            open.client.json(call.id(&id).of(scope)).await
        })
    }
}

impl HttpBackend {
    async fn open_facts(&self, scope: &Scope) -> Result<Open<'_>> {
        let open = self.open(scope).await?;
        match open.original() {
            Some(original) => Err(original.lacks("facts by id")),
            None => Ok(open),
        }
    }

    /// Starts a maintenance run and waits for its end.
    async fn run(
        &self,
        scope: &Scope,
        route: &'static str,
        needs: Capability,
        dry_run: Option<bool>,
    ) -> Result<Job> {
        let open = self.open_unscoped().await?;
        open.seen.capabilities.require(needs)?;
        let open = self.open_admin(scope).await?;
        let mut body = json!({ "tenant_id": scope.tenant() });
        if !scope.user().is_empty() {
            body["user_id"] = Value::from(scope.user());
        }
        if let Some(dry_run) = dry_run {
            body["dry_run"] = Value::from(dry_run);
        }
        let call = Call::post(route, &body, Repeat::Twice)?.query(&json!({ "wait": false })).admin();
        let mut job: Job = open.client.json(call.of(scope)).await?;
        let mut wait = JOB_WAIT.0;
        while matches!(job.status, JobStatus::Pending | JobStatus::Running) {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(JOB_WAIT.1);
            job = open.client.json(job_call(scope, job.id).admin()).await?;
        }
        Ok(job)
    }
}

fn job_call(scope: &Scope, id: JobId) -> Call {
    Call::get(path::JOB).id(&id).query(&ScopeParts::from(scope)).of(scope)
}

#[async_trait]
impl Maintenance for HttpBackend {
    async fn events(&self, scope: &Scope, request: ListEvents) -> Result<EventPage> {
        verb!(scope, "events", {
            request.validate()?;
            if self.open_unscoped().await?.seen.original {
                let open = self.open_admin(scope).await?;
                return Original::new(open.client).events(scope, &request).await;
            }
            let open = self.open(scope).await?;
            open.client.json(Call::get(path::EVENTS).query(&scoped(scope, request)).of(scope)).await
        })
    }

    async fn jobs(&self, scope: &Scope, request: ListJobs) -> Result<Vec<Job>> {
        verb!(scope, "jobs", {
            let open = self.open(scope).await?;
            if let Some(original) = open.original() {
                return Err(original.lacks("jobs"));
            }
            let call = Call::get(path::JOBS).query(&scoped(scope, request)).of(scope);
            Ok(open.client.json::<JobList>(call).await?.items)
        })
    }

    async fn job(&self, scope: &Scope, id: JobId) -> Result<Job> {
        verb!(scope, "job", {
            let open = self.open(scope).await?;
            if let Some(original) = open.original() {
                return Err(original.lacks("jobs"));
            }
            open.client.json(job_call(scope, id)).await
        })
    }

    async fn consolidate(&self, scope: &Scope) -> Result<Job> {
        verb!(scope, "consolidate", {
            self.run(scope, path::CONSOLIDATE, Capability::Consolidation, None).await
        })
    }

    async fn run_forgetting(&self, scope: &Scope, dry_run: bool) -> Result<Job> {
        verb!(scope, "run_forgetting", {
            self.run(scope, path::RUN_FORGETTING, Capability::Forgetting, Some(dry_run)).await
        })
    }

    async fn reconsolidate(&self, scope: &Scope) -> Result<Job> {
        verb!(scope, "reconsolidate", {
            self.run(scope, path::RECONSOLIDATE, Capability::Reconsolidation, None).await
        })
    }
}

/// Answer to `GET /dashboard/tenants`.
#[derive(Debug, Deserialize)]
struct TenantList {
    tenants: Vec<TenantSummary>,
}

#[async_trait]
impl Admin for HttpBackend {
    async fn tenants(&self) -> Result<Vec<TenantSummary>> {
        let list = async {
            let open = self.open_unscoped().await?;
            let mut list: TenantList = open.client.json(Call::get(path::TENANTS).admin()).await?;
            list.tenants.sort_by(|a, b| a.tenant_id.cmp(&b.tenant_id));
            Ok(list.tenants)
        };
        list.await.map_err(|error: cml_core::Error| error.with_operation("tenants"))
    }
}
