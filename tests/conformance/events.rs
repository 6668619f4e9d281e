//! What happened.

use cml::{
    memory::{EventType, OperationType},
    ops::{CreateSession, ForgetAction, ForgetRequest, ListEvents, UpdateRequest, WriteRequest},
};

use crate::{
    case::{Case, CaseResult, cases},
    ctx::Ctx,
    texts::{at, invalid, sentences, some},
};

async fn every_change_is_an_event(ctx: &Ctx) -> CaseResult {
    let place = ctx.namespace("work")?.user("ana")?.agent("scribe")?.session("s1")?;
    let id = place.write("The safe is new.").await?;
    place.write("The safe is new.").await?;
    ctx.update(UpdateRequest::new(id).with_text("The safe is old.")).await?;
    ctx.forget(ForgetRequest::ids([id]).with_action(ForgetAction::Archive)).await?;
    for operation in
        [OperationType::Write, OperationType::Reinforce, OperationType::Update, OperationType::Forget]
    {
        let events = ctx.events(ListEvents::new().with_operation(operation)).await?;
        assert_eq!(events.len(), 1, "{operation}");
        let event = &events[0];
        assert_eq!((event.operation, event.event_type), (operation, EventType::Memory));
        assert_eq!(
            (event.tenant_id.as_str(), event.memory_ids.as_slice()),
            (ctx.scope.tenant(), [id].as_slice())
        );
    }
    let written = &ctx.events(ListEvents::new().with_operation(OperationType::Write)).await?[0];
    let owner = [&written.namespace, &written.user_id, &written.agent_id, &written.session_id];
    assert_eq!(owner, ["work", "ana", "scribe", "s1"]);
    Ok(())
}

async fn a_supersession_is_an_event(ctx: &Ctx) -> CaseResult {
    for (town, said) in [("Lisbon", "2024-03-01T10:00:00Z"), ("Berlin", "2024-03-10T10:00:00Z")] {
        ctx.write(WriteRequest::new(format!("I live in {town}.")).with_timestamp(at(said)?)).await?;
    }
    let events = ctx.events(ListEvents::new().with_operation(OperationType::Supersede)).await?;
    assert_eq!(events.iter().filter(|event| event.event_type == EventType::Fact).count(), 1);
    Ok(())
}

async fn a_session_is_an_event_when_created_and_cleared(ctx: &Ctx) -> CaseResult {
    let sessions = ctx.backend.sessions()?;
    let id = sessions.create(&ctx.scope, CreateSession::new()).await?.session_id;
    ctx.session(&id)?.write("The safe is new.").await?;
    sessions.clear(&ctx.scope, &id).await?;
    for operation in [OperationType::CreateSession, OperationType::ClearSession] {
        let events = ctx.events(ListEvents::new().with_operation(operation)).await?;
        assert_eq!(
            events.iter().map(|event| event.event_type).collect::<Vec<_>>(),
            [EventType::Session],
            "{operation}"
        );
    }
    Ok(())
}

async fn events_are_filtered_by_type_operation_and_time(ctx: &Ctx) -> CaseResult {
    let id = ctx.write("The safe is new.").await?;
    ctx.update(UpdateRequest::new(id).with_importance(1.0)).await?;
    ctx.write("I live in Berlin.").await?;
    let all = ctx.events(ListEvents::new()).await?;
    for event_type in EventType::ALL {
        let expected: Vec<_> = all.iter().filter(|event| event.event_type == *event_type).cloned().collect();
        assert_eq!(
            ctx.events(ListEvents::new().with_event_type(*event_type)).await?,
            expected,
            "{event_type}"
        );
    }
    let both = ListEvents::new().with_event_type(EventType::Memory).with_operation(OperationType::Update);
    assert_eq!(ctx.events(both).await?.len(), 1);
    let update = some(all.iter().find(|event| event.operation == OperationType::Update), "update")?;
    let since = ctx.events(ListEvents::new().with_since(update.created_at)).await?;
    assert_eq!(
        since,
        all.iter().filter(|event| event.created_at >= update.created_at).cloned().collect::<Vec<_>>()
    );
    assert!(since.contains(update), "at or after");
    assert!(ctx.events(ListEvents::new().with_since(at("2199-01-01T00:00:00Z")?)).await?.is_empty());
    Ok(())
}

async fn events_stand_newest_first_page_by_page(ctx: &Ctx) -> CaseResult {
    for text in sentences(7) {
        ctx.write(text).await?;
    }
    let all = ctx.events(ListEvents::new()).await?;
    assert!(all.windows(2).all(|pair| pair[0].created_at >= pair[1].created_at));
    let maintenance = ctx.backend.maintenance()?;
    let page =
        maintenance.events(&ctx.scope, ListEvents::new().with_limit(3usize).with_offset(2usize)).await?;
    assert_eq!((page.items.as_slice(), page.total), (&all[2..5], all.len() as u64));
    for limit in [0usize, 1001] {
        invalid(maintenance.events(&ctx.scope, ListEvents::new().with_limit(limit)).await, "limit")?;
    }
    Ok(())
}

async fn events_hold_no_memory_text(ctx: &Ctx) -> CaseResult {
    let id = ctx.write("I live in Lisbon, near the zeppelin hangar.").await?;
    ctx.update(UpdateRequest::new(id).with_text("I live in Berlin, near the submarine dock.")).await?;
    ctx.forget(ForgetRequest::ids([id])).await?;
    let json = serde_json::to_string(&ctx.events(ListEvents::new()).await?)?;
    for word in ["Lisbon", "zeppelin", "Berlin", "submarine"] {
        assert!(!json.contains(word), "{word} in {json}");
    }
    Ok(())
}

async fn a_scope_sees_its_own_events(ctx: &Ctx) -> CaseResult {
    ctx.user("ana")?.write("The safe is new.").await?;
    ctx.namespace("work")?.user("ben")?.write("The door is red.").await?;
    let count = async |place: Ctx| place.events(ListEvents::new()).await.map(|events| events.len());
    assert_eq!(count(ctx.clone()).await?, 2);
    assert_eq!(count(ctx.user("ana")?).await?, 1);
    assert_eq!(count(ctx.namespace("work")?).await?, 1);
    assert_eq!(count(ctx.user("eve")?).await?, 0);
    Ok(())
}

pub(crate) const CASES: &[Case] = cases![
    every_change_is_an_event: Events Users Namespaces,
    a_supersession_is_an_event: Events,
    a_session_is_an_event_when_created_and_cleared: Events Sessions,
    events_are_filtered_by_type_operation_and_time: Events,
    events_stand_newest_first_page_by_page: Events,
    events_hold_no_memory_text: Events,
    a_scope_sees_its_own_events: Events Users Namespaces,
];
