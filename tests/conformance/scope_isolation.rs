//! Tenant, namespace, user, agent, session: what a scope sees.

use cml::{
    ErrorKind, Scope,
    ops::{ForgetRequest, ListEvents, ListRequest, ReadRequest, UpdateRequest, WriteRequest},
    scope::Subject,
};

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{failed, ids, invalid, open, record_ids, sorted},
};

async fn read_never_crosses_tenants(ctx: &Ctx) -> CaseResult {
    let stranger = ctx.stranger()?;
    stranger.write("The safe is behind the painting.").await?;
    let own = ctx.write("The safe is under the stairs.").await?;
    for query in ["Where is the safe?", "The safe is behind the painting.", ""] {
        assert_eq!(ids(&ctx.read(open(query)).await?.memories), [own], "{query:?}");
    }
    Ok(())
}

async fn get_list_and_stats_never_cross_tenants(ctx: &Ctx) -> CaseResult {
    let stranger = ctx.stranger()?;
    let foreign = stranger.write("The safe is behind the painting.").await?;
    failed(ctx.get(foreign).await, ErrorKind::NotFound)?;
    assert!(ctx.records().await?.is_empty());
    assert_eq!(ctx.stats().await?.total_memories, 0);
    assert_eq!(stranger.stats().await?.total_memories, 1);
    Ok(())
}

async fn facts_never_cross_tenants(ctx: &Ctx) -> CaseResult {
    ctx.stranger()?.write("I live in Lisbon.").await?;
    ctx.write("I live in Berlin.").await?;
    let values: Vec<String> = ctx.all_facts().await?.into_iter().map(|fact| fact.value).collect();
    assert!(!values.is_empty() && values.iter().all(|value| !value.contains("Lisbon")), "{values:?}");
    Ok(())
}

async fn sessions_never_cross_tenants(ctx: &Ctx) -> CaseResult {
    ctx.stranger()?.session("s1")?.write("The safe is behind the painting.").await?;
    assert!(ctx.messages("s1").await?.is_empty());
    assert!(ctx.backend.sessions()?.list(&ctx.scope).await?.is_empty());
    let context = ctx.backend.sessions()?.context(&ctx.scope, "s1", 1000).await?;
    assert!(context.messages.is_empty() && context.context_string.is_empty());
    Ok(())
}

async fn events_never_cross_tenants(ctx: &Ctx) -> CaseResult {
    ctx.stranger()?.write("The safe is behind the painting.").await?;
    assert!(ctx.events(ListEvents::new()).await?.is_empty());
    Ok(())
}

async fn changes_never_cross_tenants(ctx: &Ctx) -> CaseResult {
    let stranger = ctx.stranger()?;
    let foreign = stranger.session("s1")?.write("The safe is behind the painting.").await?;
    failed(ctx.update(UpdateRequest::new(foreign).with_importance(1.0)).await, ErrorKind::NotFound)?;
    assert_eq!(ctx.forget(ForgetRequest::ids([foreign])).await?.affected_count, 0);
    assert_eq!(ctx.forget(ForgetRequest::new().with_session("s1")).await?.affected_count, 0);
    assert_eq!(ctx.erase(Subject::Tenant).await?.affected_count, 0);
    let record = stranger.get(foreign).await?;
    assert_eq!((record.version, record.text.as_str()), (1, "The safe is behind the painting."));
    Ok(())
}

async fn the_same_text_in_two_tenants_is_two_memories(ctx: &Ctx) -> CaseResult {
    let own = ctx.write("The safe is behind the painting.").await?;
    let foreign = ctx.stranger()?.write("The safe is behind the painting.").await?;
    assert_ne!(own, foreign);
    Ok(())
}

async fn a_write_without_a_namespace_goes_to_default(ctx: &Ctx) -> CaseResult {
    let id = ctx.write("The safe is behind the painting.").await?;
    let record = ctx.get(id).await?;
    assert_eq!(record.namespace, "default");
    assert_eq!(record.tenant_id, ctx.scope.tenant());
    assert_eq!(ctx.read(open("safe")).await?.memories[0].namespace, "default");
    Ok(())
}

async fn a_scope_with_a_namespace_reads_and_writes_only_there(ctx: &Ctx) -> CaseResult {
    let (work, home) = (ctx.namespace("work")?, ctx.namespace("home")?);
    let at_work = work.write("The safe is under the desk.").await?;
    let at_home = home.write("The safe is behind the painting.").await?;
    let outside = ctx.write("The safe is in the bank.").await?;
    assert_eq!(work.get(at_work).await?.namespace, "work");
    for query in ["Where is the safe?", ""] {
        assert_eq!(ids(&work.read(open(query)).await?.memories), [at_work]);
    }
    assert_eq!(record_ids(&work.records().await?), [at_work]);
    assert_eq!(work.stats().await?.total_memories, 1);
    for hidden in [at_home, outside] {
        failed(work.get(hidden).await, ErrorKind::NotFound)?;
        failed(work.update(UpdateRequest::new(hidden).with_importance(1.0)).await, ErrorKind::NotFound)?;
    }
    assert_eq!(work.forget(ForgetRequest::ids([at_home, outside])).await?.affected_count, 0);
    Ok(())
}

async fn a_read_names_several_namespaces(ctx: &Ctx) -> CaseResult {
    let mut written = Vec::new();
    for name in ["work", "home", "club"] {
        written.push(ctx.namespace(name)?.write(format!("The safe of the {name} is new.")).await?);
    }
    let found = ctx.read(open("safe").with_namespaces(["work", "club"])).await?;
    assert_eq!(sorted(&ids(&found.memories)), sorted(&[written[0], written[2]]));
    let found = ctx.read(open("").with_namespaces(["home"])).await?;
    assert_eq!(ids(&found.memories), [written[1]]);
    Ok(())
}

async fn a_scope_without_a_namespace_reads_the_whole_tenant(ctx: &Ctx) -> CaseResult {
    let written = [
        ctx.namespace("work")?.write("The safe is under the desk.").await?,
        ctx.namespace("home")?.write("The safe is behind the painting.").await?,
        ctx.write("The safe is in the bank.").await?,
    ];
    assert_eq!(sorted(&ids(&ctx.read(open("safe")).await?.memories)), sorted(&written));
    assert_eq!(sorted(&record_ids(&ctx.records().await?)), sorted(&written));
    assert_eq!(ctx.stats().await?.total_memories, 3);
    Ok(())
}

async fn a_request_never_leaves_its_scope(ctx: &Ctx) -> CaseResult {
    let work = ctx.namespace("work")?;
    ctx.namespace("home")?.write("The safe is behind the painting.").await?;
    let mut request = WriteRequest::new("The safe is under the desk.");
    request.scope.namespace = Some("home".to_owned());
    invalid(work.try_write(request).await, "namespace")?;
    // Whether such a read is empty or refused is left open.
    if let Ok(found) = work.read(open("safe").with_namespaces(["home"])).await {
        assert!(found.memories.is_empty());
    }
    Ok(())
}

async fn a_write_names_its_place_itself(ctx: &Ctx) -> CaseResult {
    let mut request = WriteRequest::new("The safe is under the desk.");
    request.scope.namespace = Some("work".to_owned());
    request.scope.user_id = Some("ana".to_owned());
    request.scope.agent_id = Some("scribe".to_owned());
    request.scope.session_id = Some("s1".to_owned());
    let record = ctx.get(ctx.write(request).await?).await?;
    let place = [record.namespace, record.user_id, record.agent_id, record.session_id];
    assert_eq!(place, ["work", "ana", "scribe", "s1"]);
    Ok(())
}

async fn a_user_never_sees_another_users_rows(ctx: &Ctx) -> CaseResult {
    let (ana, ben) = (ctx.user("ana")?, ctx.user("ben")?);
    let of_ana = ana.write("The safe is under the desk.").await?;
    let of_ben = ben.write("The safe is behind the painting.").await?;
    assert_eq!(ana.get(of_ana).await?.user_id, "ana");
    for query in ["Where is the safe?", ""] {
        assert_eq!(ids(&ana.read(open(query)).await?.memories), [of_ana]);
    }
    assert_eq!(record_ids(&ana.records().await?), [of_ana]);
    assert_eq!(ana.stats().await?.total_memories, 1);
    failed(ana.get(of_ben).await, ErrorKind::NotFound)?;
    failed(ana.update(UpdateRequest::new(of_ben).with_importance(1.0)).await, ErrorKind::NotFound)?;
    assert_eq!(ana.forget(ForgetRequest::ids([of_ben])).await?.affected_count, 0);
    assert_eq!(
        ana.forget(ForgetRequest::new().with_query("safe behind the painting")).await?.affected_count,
        0
    );
    ben.get(of_ben).await?;
    Ok(())
}

async fn rows_without_a_user_are_shared(ctx: &Ctx) -> CaseResult {
    let shared = ctx.write("The safe is in the bank.").await?;
    let of_ana = ctx.user("ana")?.write("The safe is under the desk.").await?;
    let of_ben = ctx.user("ben")?.write("The safe is behind the painting.").await?;
    let seen = ctx.user("ana")?.read(open("safe")).await?.memories;
    assert_eq!(sorted(&ids(&seen)), sorted(&[shared, of_ana]));
    ctx.user("ben")?.get(shared).await?;
    assert_eq!(sorted(&record_ids(&ctx.records().await?)), sorted(&[shared, of_ana, of_ben]));
    Ok(())
}

async fn an_agent_is_stamped_on_writes_and_limits_only_where_asked(ctx: &Ctx) -> CaseResult {
    let (scribe, scout) = (ctx.agent("scribe")?, ctx.agent("scout")?);
    let first = scribe.write("The safe is under the desk.").await?;
    let second = scout.write("The safe is behind the painting.").await?;
    assert_eq!(scout.get(first).await?.agent_id, "scribe");
    assert_eq!(scout.get(second).await?.agent_id, "scout");
    let both = scout.read(open("safe")).await?.memories;
    assert_eq!(sorted(&ids(&both)), sorted(&[first, second]));
    let asked = scout.read(open("safe").with_agents(["scribe"])).await?.memories;
    assert_eq!(ids(&asked), [first]);
    Ok(())
}

async fn a_session_view_stamps_its_writes_and_reads_only_its_session(ctx: &Ctx) -> CaseResult {
    let (first, second) = (ctx.session("s1")?, ctx.session("s2")?);
    let in_first = first.write("The safe is under the desk.").await?;
    second.write("The safe is behind the painting.").await?;
    ctx.write("The safe is in the bank.").await?;
    assert_eq!(ctx.get(in_first).await?.session_id, "s1");
    for query in ["Where is the safe?", ""] {
        assert_eq!(ids(&first.read(open(query)).await?.memories), [in_first]);
    }
    assert_eq!(record_ids(&first.records().await?), [in_first]);
    assert_eq!(first.stats().await?.total_memories, 1);
    assert_eq!(ctx.read(open("safe")).await?.memories.len(), 3);
    Ok(())
}

async fn ids_have_1_to_100_characters_and_no_control_characters(ctx: &Ctx) -> CaseResult {
    let longest = "é".repeat(100);
    for bad in [String::new(), "x".repeat(101), "a\u{7}b".to_owned(), "a\nb".to_owned(), "\0".to_owned()] {
        let scope = || ctx.scope.clone();
        invalid(Scope::new(bad.clone()), "tenant_id")?;
        invalid(scope().with_namespace(bad.clone()), "namespace")?;
        invalid(scope().with_user(bad.clone()), "user_id")?;
        invalid(scope().with_agent(bad.clone()), "agent_id")?;
        invalid(scope().with_session(bad.clone()), "session_id")?;
        invalid(ctx.try_write(WriteRequest::new("text").with_session(bad.clone())).await, "session_id")?;
        invalid(ctx.read(ReadRequest::new("text").with_session(bad.clone())).await, "session_id")?;
        invalid(ctx.read(ReadRequest::new("text").with_namespaces([bad.clone()])).await, "namespaces")?;
        invalid(ctx.list(ListRequest::new().with_session(bad.clone())).await, "session_id")?;
        invalid(ctx.forget(ForgetRequest::new().with_session(bad.clone())).await, "session_id")?;
    }
    let wide = ctx.namespace(&longest)?.user(&longest)?.agent(&longest)?.session(&longest)?;
    let record = wide.get(wide.write("The safe is in the bank.").await?).await?;
    assert_eq!(
        [record.namespace, record.user_id, record.agent_id, record.session_id],
        [(); 4].map(|()| longest.clone())
    );
    Ok(())
}

async fn ids_are_told_apart_by_every_character(ctx: &Ctx) -> CaseResult {
    let written = ctx.namespace("Work")?.write("The safe is in the bank.").await?;
    for other in ["work", "Work ", "Wor_", "Wor%", "%", "W*"] {
        assert!(ctx.namespace(other)?.records().await?.is_empty(), "{other:?}");
        assert!(ctx.namespace(other)?.read(open("safe")).await?.memories.is_empty(), "{other:?}");
        failed(ctx.namespace(other)?.get(written).await, ErrorKind::NotFound)?;
    }
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    read_never_crosses_tenants,
    get_list_and_stats_never_cross_tenants: List,
    facts_never_cross_tenants: Facts,
    sessions_never_cross_tenants: Sessions,
    events_never_cross_tenants: Events,
    changes_never_cross_tenants: List,
    the_same_text_in_two_tenants_is_two_memories,
    a_write_without_a_namespace_goes_to_default: List,
    a_scope_with_a_namespace_reads_and_writes_only_there: Namespaces List,
    a_read_names_several_namespaces: Namespaces,
    a_scope_without_a_namespace_reads_the_whole_tenant: Namespaces List,
    a_request_never_leaves_its_scope: Namespaces,
    a_write_names_its_place_itself: Namespaces Users List,
    a_user_never_sees_another_users_rows: Users List,
    rows_without_a_user_are_shared: Users List,
    an_agent_is_stamped_on_writes_and_limits_only_where_asked: List,
    a_session_view_stamps_its_writes_and_reads_only_its_session: Sessions List,
    ids_have_1_to_100_characters_and_no_control_characters: Namespaces Users List,
    ids_are_told_apart_by_every_character: Namespaces List,
];
