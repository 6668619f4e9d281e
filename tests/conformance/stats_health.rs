//! Counts, health, capabilities, tenants.

use std::collections::BTreeMap;

use cml::{
    Capability, ErrorKind,
    memory::{MemoryStatus, MemoryType},
    ops::{ComponentStatus, Feedback, ForgetAction, ForgetRequest, Stats, UpdateRequest, WriteRequest},
};

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, failed, some},
};

async fn stats_count_by_status_and_type(ctx: &Ctx) -> CaseResult {
    let typed = |text: &str, memory_type| ctx.write(WriteRequest::new(text).with_memory_type(memory_type));
    typed("The safe is new.", MemoryType::Knowledge).await?;
    let archived = typed("The door is red.", MemoryType::Knowledge).await?;
    let silent = typed("The lock is old.", MemoryType::Plan).await?;
    let deleted = typed("The wall is white.", MemoryType::Plan).await?;
    ctx.forget(ForgetRequest::ids([archived]).with_action(ForgetAction::Archive)).await?;
    ctx.forget(ForgetRequest::ids([silent]).with_action(ForgetAction::Silence)).await?;
    ctx.update(UpdateRequest::new(deleted).with_feedback(Feedback::Incorrect)).await?;
    let stats = ctx.stats().await?;
    assert_eq!((stats.total_memories, stats.active_memories), (4, 1));
    assert_eq!((stats.silent_memories, stats.archived_memories), (1, 1));
    assert_eq!(stats.by_type, BTreeMap::from([(MemoryType::Knowledge, 2), (MemoryType::Plan, 2)]));
    assert_eq!(
        stats.by_status,
        BTreeMap::from([
            (MemoryStatus::Active, 1),
            (MemoryStatus::Silent, 1),
            (MemoryStatus::Archived, 1),
            (MemoryStatus::Deleted, 1)
        ])
    );
    Ok(())
}

async fn stats_of_an_empty_scope_are_zero(ctx: &Ctx) -> CaseResult {
    assert_eq!(ctx.stats().await?, Stats::default());
    Ok(())
}

async fn stats_have_means_and_times(ctx: &Ctx) -> CaseResult {
    let (first, last) = (at("2023-03-06T10:00:00Z")?, at("2024-03-06T10:00:00Z")?);
    for (text, said, share) in [("The safe is new.", last, 0.2), ("The door is red.", first, 0.6)] {
        let id = ctx.write(WriteRequest::new(text).with_timestamp(said)).await?;
        ctx.update(UpdateRequest::new(id).with_confidence(share).with_importance(1.0 - share)).await?;
    }
    let stats = ctx.stats().await?;
    assert!((stats.avg_confidence - 0.4).abs() < 1e-9 && (stats.avg_importance - 0.6).abs() < 1e-9);
    assert_eq!((stats.oldest_memory, stats.newest_memory), (Some(first), Some(last)));
    assert!(stats.estimated_size_mb > 0.0 && stats.estimated_size_mb < 1.0);
    Ok(())
}

async fn stats_count_what_the_scope_can_see(ctx: &Ctx) -> CaseResult {
    ctx.write("The safe is new.").await?;
    ctx.user("ana")?.write("The door is red.").await?;
    ctx.user("ben")?.session("s1")?.write("The lock is old.").await?;
    ctx.namespace("work")?.write("The wall is white.").await?;
    for (place, count) in [
        (ctx.clone(), 4),
        (ctx.user("ana")?, 3),
        (ctx.user("ben")?.session("s1")?, 1),
        (ctx.namespace("work")?, 1),
        (ctx.namespace("other")?, 0),
    ] {
        assert_eq!(place.stats().await?.total_memories, count, "{}", place.scope);
    }
    Ok(())
}

async fn health_says_backend_version_mode_and_each_component(ctx: &Ctx) -> CaseResult {
    let health = ctx.backend.health().await?;
    let capabilities = ctx.backend.capabilities();
    assert!(health.is_healthy(), "{health:?}");
    assert_eq!(
        [&health.backend, &health.mode, &health.version],
        [&capabilities.backend, &capabilities.mode, &capabilities.version]
    );
    assert!(!health.backend.is_empty() && !health.mode.is_empty() && !health.version.is_empty());
    assert!(!health.components.is_empty());
    for component in &health.components {
        assert_eq!((component.status, &component.error), (ComponentStatus::Ok, &None), "{}", component.name);
        assert!(!component.name.is_empty());
        assert!(component.latency_ms.is_some_and(|latency| latency >= 0.0), "{}", component.name);
    }
    Ok(())
}

async fn capabilities_say_which_parts_there_are(ctx: &Ctx) -> CaseResult {
    let capabilities = ctx.backend.capabilities();
    assert!(capabilities.max_results >= 50);
    let backend = &ctx.backend;
    for (capability, part) in [
        (Capability::Sessions, backend.sessions().err()),
        (Capability::Facts, backend.facts().err()),
        (Capability::Events, backend.maintenance().err()),
        (Capability::Tenants, backend.admin().err()),
        (Capability::Transfer, backend.transfer().err()),
    ] {
        match part {
            None => {}
            Some(error) => {
                assert!(!capabilities.has(capability), "{capability}: {error}");
                assert_eq!((error.kind(), error.suggestion().is_some()), (ErrorKind::Unsupported, true));
            }
        }
    }
    Ok(())
}

async fn a_verb_that_is_missing_is_unsupported(ctx: &Ctx) -> CaseResult {
    let capabilities = ctx.backend.capabilities();
    let maintenance = ctx.backend.maintenance()?;
    if !capabilities.has(Capability::Consolidation) {
        failed(maintenance.consolidate(&ctx.scope).await, ErrorKind::Unsupported)?;
    }
    if !capabilities.has(Capability::Forgetting) {
        failed(maintenance.run_forgetting(&ctx.scope, true).await, ErrorKind::Unsupported)?;
    }
    if !capabilities.has(Capability::Reconsolidation) {
        failed(maintenance.reconsolidate(&ctx.scope).await, ErrorKind::Unsupported)?;
    }
    Ok(())
}

async fn tenants_are_listed_with_counts(ctx: &Ctx) -> CaseResult {
    let said = at("2024-03-06T10:00:00Z")?;
    ctx.write(WriteRequest::new("I live in Berlin.").with_timestamp(said)).await?;
    let archived = ctx.write(WriteRequest::new("The door is red.").with_timestamp(said)).await?;
    ctx.forget(ForgetRequest::ids([archived]).with_action(ForgetAction::Archive)).await?;
    let empty = ctx.stranger()?;
    let tenants = ctx.backend.admin()?.tenants().await?;
    assert!(tenants.windows(2).all(|pair| pair[0].tenant_id < pair[1].tenant_id), "by id, each once");
    let own = some(tenants.iter().find(|tenant| tenant.tenant_id == ctx.scope.tenant()), "the tenant")?;
    assert_eq!((own.memory_count, own.active_memory_count, own.fact_count), (2, 1, 1));
    assert_eq!(own.last_memory_at, Some(said));
    assert!(own.event_count >= 3 && own.last_event_at.is_some());
    assert!(!tenants.iter().any(|tenant| tenant.tenant_id == empty.scope.tenant()));
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    stats_count_by_status_and_type,
    stats_of_an_empty_scope_are_zero,
    stats_have_means_and_times,
    stats_count_what_the_scope_can_see: Users Namespaces,
    health_says_backend_version_mode_and_each_component,
    capabilities_say_which_parts_there_are,
    a_verb_that_is_missing_is_unsupported: Events,
    tenants_are_listed_with_counts: Tenants Facts,
];
