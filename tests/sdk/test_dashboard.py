"""The dashboard: lists, facts, events, timeline, components, settings; all with the admin key."""

from datetime import datetime, timedelta, timezone
from uuid import uuid4

import pytest
from cml.exceptions import AuthorizationError, CMLError, NotFoundError, ValidationError
from cml.models import MemoryType
from server import ADMIN_KEY


def test_tenants_have_their_counts(memory, tenant):
    memory.write("I live in Lisbon")
    memory.write("The tram is yellow")
    rows = {row.tenant_id: row for row in memory.list_tenants().tenants}
    row = rows[tenant]
    assert (row.memory_count, row.active_memory_count) == (2, 2)
    assert row.fact_count >= 1 and row.event_count >= 2
    assert row.last_memory_at is not None and row.last_event_at is not None


def test_an_overview_counts(memory, tenant):
    memory.write("I live in Lisbon", memory_type=MemoryType.SEMANTIC_FACT)
    archived = memory.write("The tram is yellow", memory_type=MemoryType.OBSERVATION).memory_id
    memory.forget(memory_ids=[archived], action="archive")
    view = memory.dashboard_overview(tenant_id=tenant)
    assert (view.total_memories, view.active_memories, view.archived_memories) == (2, 1, 1)
    assert view.by_type == {"semantic_fact": 1, "observation": 1}
    assert view.by_status == {"active": 1, "archived": 1}
    assert 0 < view.avg_confidence <= 1 and 0 < view.avg_importance <= 1
    assert view.avg_decay_rate > 0 and view.estimated_size_mb > 0
    assert view.current_semantic_facts >= 1 and view.facts_by_category["location"] == 1
    assert 0 < view.avg_fact_confidence <= 1 and view.avg_evidence_count >= 1
    assert view.total_events >= 3 and view.events_by_operation["write"] >= 2
    assert sum(view.events_by_type.values()) == view.total_events
    assert view.labile_memories == 0
    everything = memory.dashboard_overview()
    assert everything.total_memories >= view.total_memories


def test_what_a_turn_recalled_is_labile(memory, tenant):
    id = memory.write("I am allergic to shellfish").memory_id
    memory.write("The tram is yellow")
    assert memory.get_labile_status(tenant_id=tenant).total_redis_memories == 0
    memory.turn("Am I allergic to shellfish?", session_id="dinner")
    status = memory.get_labile_status(tenant_id=tenant)
    assert (status.total_redis_scopes, status.total_redis_sessions, status.total_redis_memories) == (1, 1, 1)
    assert status.total_db_labile == 0
    row = status.tenants[0]
    assert (row.tenant_id, row.redis_session_count, row.redis_memory_count, row.db_labile_count) == (tenant, 1, 1, 0)
    assert memory.dashboard_overview(tenant_id=tenant).labile_memories == 1
    rows = memory.dashboard_memories(tenant_id=tenant).items
    assert [row.id for row in rows if row.labile] == [id]
    for view in (memory, memory.with_namespace("notes")):
        assert view.get_labile_status().total_redis_memories >= 1
    memory.forget(memory_ids=[id], action="delete")
    assert memory.get_labile_status(tenant_id=tenant).total_redis_memories == 0


def test_memories_page_by_page_in_any_order(memory, tenant):
    for n in range(7):
        memory.write(f"Parcel {n} weighs {10 - n} kilos", timestamp=datetime(2026, 1, 1 + n, tzinfo=timezone.utc))
    pages = [memory.dashboard_memories(tenant_id=tenant, page=page, per_page=3, sort_by="timestamp", order="asc") for page in (1, 2, 3)]
    assert [(page.total, page.total_pages, page.page, page.per_page) for page in pages] == [(7, 3, n, 3) for n in (1, 2, 3)]
    texts = [item.text for page in pages for item in page.items]
    assert texts == [f"Parcel {n} weighs {10 - n} kilos" for n in range(7)]
    down = memory.dashboard_memories(tenant_id=tenant, per_page=200, sort_by="timestamp", order="desc")
    assert [item.text for item in down.items] == texts[::-1]
    assert memory.dashboard_memories(tenant_id=tenant, page=9).items == []
    for column in ("confidence", "importance", "access_count", "written_at", "type", "status"):
        assert memory.dashboard_memories(tenant_id=tenant, sort_by=column).total == 7
    for bad in ({"page": 0}, {"per_page": 201}, {"sort_by": "colour"}, {"type": "dream"}, {"status": "gone"}, {"order": "up"}):
        with pytest.raises(ValidationError):
            memory.dashboard_memories(tenant_id=tenant, **bad)


def test_memories_are_filtered_and_texts_are_cut(memory, tenant):
    long = "The 100% wool blanket " + "is warm and soft and " * 20 + "red"
    memory.write(long, memory_type=MemoryType.KNOWLEDGE, context_tags=["wool"], namespace="shop", agent_id="clerk")
    silent = memory.write("The cotton sheet is white", memory_type=MemoryType.OBSERVATION).memory_id
    memory.forget(memory_ids=[silent], action="silence")

    def found(**filters):
        return memory.dashboard_memories(tenant_id=tenant, **filters)

    item = found(type="knowledge").items[0]
    assert item.text == long[:300]
    assert (item.tenant_id, item.namespace, item.agent_id, item.context_tags) == (tenant, "shop", "clerk", ["wool"])
    assert (item.type, item.status, item.labile, item.version, item.access_count) == ("knowledge", "active", False, 1, 0)
    assert item.timestamp and item.written_at and item.decay_rate > 0
    assert [row.id for row in found(status="silent").items] == [silent]
    assert found(type="knowledge", status="silent").total == 0
    assert found(search="WOOL BLANKET").total == 1
    assert found(search="100% wool").total == 1
    assert found(search="100_ wool").total == 0, "signs are meant as they stand"
    assert found(search="%").total == 1


def test_a_memory_in_full(memory, tenant):
    id = memory.write("We meet at the mill at noon", session_id="plans").memory_id
    memory.update(id, text="We meet at the mill at one")
    detail = memory.dashboard_memory_detail(id)
    assert (detail.id, detail.tenant_id, detail.source_session_id) == (id, tenant, "plans")
    assert (detail.text, detail.version) == ("We meet at the mill at one", 2)
    assert len(detail.content_hash) == 64
    operations = [event["operation"] for event in detail.related_events]
    assert "write" in operations and "update" in operations
    with pytest.raises(NotFoundError):
        memory.dashboard_memory_detail(uuid4())
    with pytest.raises(ValidationError):
        memory.dashboard_memory_detail("seven")


def test_an_administrator_s_walk_goes_over_every_tenant(connect, memory, tenant):
    other = connect(api_key=ADMIN_KEY, tenant_id=f"{tenant}-b")
    ids = {memory.write(f"Lamp {n} is lit", memory_type=MemoryType.OBSERVATION).memory_id for n in range(5)}
    theirs = other.write("Candle 1 is lit", memory_type=MemoryType.PLAN).memory_id
    archived = memory.write("Lamp 9 is out").memory_id
    memory.forget(memory_ids=[archived], action="archive")

    def mine(**filters):
        items = memory.iter_memories(batch_size=3, **filters)
        assert len({item.id for item in items}) == len(items), "none twice"
        return {item.id for item in items if item.metadata["tenant_id"].startswith(tenant)}

    assert mine() == ids | {theirs}
    assert mine(status="archived") == {archived}
    assert mine(status=None) == ids | {theirs, archived}
    assert mine(memory_types=[MemoryType.PLAN]) == {theirs}
    with pytest.raises(ValueError):
        memory.iter_memories(memory_types=[MemoryType.PLAN, MemoryType.SCRATCH])


def test_an_export_is_a_list_of_whole_texts(memory, tenant):
    long = "The chronicle says " + "that the river rose and fell " * 20
    memory.write(long.strip(), timestamp=datetime(2026, 1, 1, tzinfo=timezone.utc))
    memory.write("The chronicle ends", timestamp=datetime(2026, 1, 2, tzinfo=timezone.utc))
    rows = memory.dashboard_export_memories(tenant_id=tenant)
    assert [row["text"] for row in rows] == ["The chronicle ends", long.strip()], "newest first"
    names = {"id", "tenant_id", "type", "status", "text", "key", "confidence", "importance", "access_count", "timestamp"}
    assert names <= set(rows[0])
    assert len(memory.dashboard_export_memories()) >= 2


def test_facts_have_one_current_value(memory, tenant):
    memory.write("I live in Lisbon", timestamp=datetime(2026, 1, 1, tzinfo=timezone.utc))
    memory.write("I live in Berlin now", timestamp=datetime(2026, 2, 1, tzinfo=timezone.utc))
    memory.write("I am allergic to shellfish")
    current = memory.dashboard_facts(tenant_id=tenant, category="location")
    assert current.total == 1
    fact = current.items[0]
    assert (fact.value, fact.category) == ("Berlin", "location")
    assert fact.key.startswith("user:location:")
    assert (fact.tenant_id, fact.is_current, fact.version, fact.evidence_count) == (tenant, True, 2, 1)
    assert 0 < fact.confidence <= 1 and fact.created_at and fact.updated_at
    history = memory.dashboard_facts(tenant_id=tenant, category="location", current_only=False)
    assert [(row.value, row.is_current) for row in history.items] == [("Berlin", True), ("Lisbon", False)]
    everything = memory.dashboard_facts(tenant_id=tenant)
    assert everything.total >= 2
    page = memory.dashboard_facts(tenant_id=tenant, limit=1, offset=1)
    assert (page.total, [row.id for row in page.items]) == (everything.total, [everything.items[1].id])
    assert memory.dashboard_facts().total == everything.total, "without a tenant it is the caller's"
    for bad in ({"category": "weather"}, {"limit": 0}, {"limit": 201}):
        with pytest.raises(ValidationError):
            memory.dashboard_facts(tenant_id=tenant, **bad)


def test_a_fact_can_be_invalidated(memory, tenant):
    memory.write("I live in Lisbon")
    fact = memory.dashboard_facts(tenant_id=tenant).items[0]
    assert memory.dashboard_invalidate_fact(fact.id)["success"] is True
    assert memory.dashboard_facts(tenant_id=tenant).total == 0
    past = memory.dashboard_facts(tenant_id=tenant, current_only=False).items
    assert [(row.id, row.is_current) for row in past] == [(fact.id, False)]
    with pytest.raises(NotFoundError):
        memory.dashboard_invalidate_fact(str(uuid4()))


def test_events_tell_what_happened(memory, tenant):
    before = datetime.now(timezone.utc) - timedelta(seconds=5)
    id = memory.write("The fuse is blown", agent_id="janitor").memory_id
    memory.update(id, text="The fuse is replaced")
    memory.forget(memory_ids=[id], action="archive")
    page = memory.get_events(limit=200, page=1, since=before)
    assert page.page == 1 and page.per_page == 200 and page.total >= 3
    mine = [event for event in page.items if event.tenant_id == tenant and id in event.memory_ids]
    assert [event.operation for event in mine] == ["forget", "update", "write"], "newest first"
    assert all(event.event_type == "memory" and event.created_at for event in mine)
    assert "fuse" not in str([event.payload for event in mine]), "events hold no text"
    assert memory.get_events(since=datetime(2999, 1, 1, tzinfo=timezone.utc)).total == 0
    assert all(event.event_type == "fact" for event in memory.get_events(event_type="fact").items)
    first, second = (memory.get_events(limit=2, page=page) for page in (1, 2))
    assert len(first.items) == 2 and not {event.id for event in first.items} & {event.id for event in second.items}


def test_a_timeline_counts_by_day_said(memory, tenant):
    today = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    days = [today - timedelta(days=back) for back in (1, 1, 3, 20)]
    for n, day in enumerate(days):
        memory.write(f"Entry {n} of the diary", timestamp=day)
    week = memory.dashboard_timeline(tenant_id=tenant, days=7)
    counts = {point.date: point.count for point in week.points if point.count}
    assert counts == {(today - timedelta(days=1)).date().isoformat(): 2, (today - timedelta(days=3)).date().isoformat(): 1}
    assert week.total == 3
    assert memory.dashboard_timeline(tenant_id=tenant, days=30, metric="memories").total == 4
    for bad in (0, 366):
        with pytest.raises(ValidationError):
            memory.dashboard_timeline(tenant_id=tenant, days=bad)


def test_health_and_components(memory):
    health = memory.health()
    assert health.status == "healthy" and health.version
    assert all(part["status"] == "ok" for part in health.components.values())
    parts = {part.name: part for part in memory.component_health().components}
    assert "Server" in parts
    assert all(part.status in ("ok", "unknown") for part in parts.values())
    assert set(health.components) <= set(parts)


def test_requests_are_counted_by_the_hour(memory):
    before = memory.get_request_stats(hours=24)
    assert len(before.points) == 24
    assert all(len(point.hour) == len("2026-05-07T09:00") and point.hour.endswith(":00") for point in before.points)
    memory.health()
    assert memory.get_request_stats(hours=24).total_last_24h > before.total_last_24h
    assert len(memory.get_request_stats(hours=1).points) == 1
    for bad in (0, 49):
        with pytest.raises(ValidationError):
            memory.get_request_stats(hours=bad)


def test_without_a_rate_limit_there_is_nothing_to_show(memory):
    limits = memory.get_rate_limits()
    assert (limits.entries, limits.configured_rpm) == ([], 0)


def test_settings_are_shown_without_secrets(memory):
    sections = memory.get_config().sections
    items = {item.key: item for section in sections for item in section.items}
    assert items["server.rate_limit_rpm"].value == items["server.rate_limit_rpm"].default_value == 0
    assert items["server.rate_limit_rpm"].env_var == "CML_RATE_LIMIT_RPM"
    assert items["http.admin_api_key"].is_secret
    assert ADMIN_KEY not in str(sections)
    assert items["mode"].value in ("lite", "standard", "full")
    with pytest.raises(AuthorizationError):
        memory.update_config({"http.admin_api_key": "mine"})
    with pytest.raises(CMLError) as refused:
        memory.update_config({"no.such.key": 1})
    assert refused.value.status_code == 400
    with pytest.raises(CMLError) as refused:
        memory.update_config({"engine.chunk_tokens": 7})
    assert refused.value.status_code == 400
    config = memory.dashboard_neo4j_config()
    assert (config.server_url, config.server_password) == ("", "***")


def test_a_setting_is_written_for_the_next_start(connect, start_server, tmp_path):
    file = tmp_path / "cml.toml"
    file.write_text('# ours\ntenant = "acme"\n', encoding="utf-8")
    client = connect(start_server(CML_CONFIG=str(file)).url, api_key=ADMIN_KEY)
    changed = client.update_config({"engine.chunk_tokens": 200, "engine.redaction": False})
    assert changed["success"] is True and "restart" in changed["message"]
    text = file.read_text(encoding="utf-8")
    assert text.startswith('# ours\ntenant = "acme"\n')
    assert "chunk_tokens = 200" in text and "redaction = false" in text
    items = {item.key: item for section in client.get_config().sections for item in section.items}
    assert items["engine.chunk_tokens"].value == 400, "until the restart"


def test_a_retrieval_can_be_tried(memory, tenant):
    id = memory.write("The spare key is under the mat", context_tags=["home"], metadata={"n": 1}).memory_id
    memory.write("The spare tyre is in the boot", context_tags=["car"], memory_type=MemoryType.KNOWLEDGE)
    tried = memory.test_retrieval("spare key", tenant_id=tenant, max_results=1)
    assert (tried.query, tried.total_count, tried.llm_context) == ("spare key", 1, None)
    row = tried.results[0]
    assert (row.id, row.text, row.metadata["n"]) == (id, "The spare key is under the mat", 1)
    assert 0 < row.relevance_score <= 1 and row.timestamp is not None
    assert memory.test_retrieval("spare", context_filter=["car"]).results[0].text == "The spare tyre is in the boot"
    assert [row.type for row in memory.test_retrieval("spare", memory_types=["knowledge"]).results] == ["knowledge"]
    prompt = memory.test_retrieval("spare key", response_format="llm_context").llm_context
    assert "The spare key is under the mat" in prompt
    assert memory.test_retrieval("spare", tenant_id=f"{tenant}-b").results == []


def test_a_reset_is_off_unless_it_is_switched_on(memory, connect, start_server, tenant):
    memory.write("The archive is on floor 3")
    with pytest.raises(ValueError):
        memory.reset_database()
    with pytest.raises(AuthorizationError):
        memory.reset_database(confirm=True)
    assert memory.stats().total_memories == 1

    allowed = start_server(CML_ALLOW_RESET="true")
    clients = [connect(allowed.url, api_key=ADMIN_KEY, tenant_id=name) for name in (tenant, "other")]
    for client in clients:
        client.write("The archive is on floor 3")
    assert clients[0].reset_database(confirm=True)["success"] is True
    assert [client.stats().total_memories for client in clients] == [0, 0]
    clients[0].write("The archive has moved")
    assert clients[0].read("archive").total_count == 1
