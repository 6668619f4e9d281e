"""Sessions and turns: the log in order, the working context, what a scope sees."""

from datetime import datetime, timedelta, timezone
from uuid import uuid4

import pytest
from cml.exceptions import ValidationError
from cml.models import MemoryType


def texts(items):
    return [item.text for item in items]


def test_a_session_has_an_id_and_an_end(memory):
    day = memory.create_session()
    assert day.session_id and day.expires_at - day.created_at == timedelta(hours=24)
    short = memory.create_session(name="onboarding", ttl_hours=2, metadata={"channel": "web"})
    assert short.session_id != day.session_id
    assert short.expires_at - short.created_at == timedelta(hours=2)
    assert short.created_at.tzinfo is not None
    with pytest.raises(ValidationError):
        memory.create_session(ttl_hours=0)


def test_a_context_holds_the_messages_in_order(memory):
    session = memory.create_session(name="repair").session_id
    said = datetime(2026, 5, 7, 9, 0, tzinfo=timezone.utc)
    lines = ["The printer in room 4 is broken", "It shows error 52", "Error 52 means an open tray"]
    for minute, line in enumerate(lines):
        memory.write(line, session_id=session, timestamp=said + timedelta(minutes=minute))
    memory.write("tray sensor: open", session_id=session, memory_type=MemoryType.TOOL_RESULT)
    memory.write("Check the tray before calling anyone", session_id=session, memory_type=MemoryType.SCRATCH)
    memory.write("The plotter in room 5 works", session_id="another")

    context = memory.get_session_context(session)
    assert context.session_id == session
    assert texts(context.messages) == lines
    assert texts(context.tool_results) == ["tray sensor: open"]
    assert texts(context.scratch_pad) == ["Check the tray before calling anyone"]
    for line in lines:
        assert line in context.context_string
    assert "plotter" not in context.context_string


def test_an_unknown_session_is_empty(memory):
    context = memory.get_session_context(f"nowhere-{uuid4()}")
    assert not (context.messages or context.tool_results or context.scratch_pad)
    assert context.context_string == ""


def test_a_scope_writes_into_its_session_and_reads_only_that(memory):
    memory.write("The ferry to the island leaves at noon")
    scope = memory.session(name="trip", ttl_hours=1, metadata={"topic": "ferry"})
    written = scope.write("The ferry ticket costs 12 euros", context_tags=["price"], metadata={"n": 1}, agent_id="planner")
    again = scope.remember("The ferry has a café on deck 2", memory_type=MemoryType.KNOWLEDGE, turn_id="t-2")
    assert scope.write("The ferry has a café on deck 2", turn_id="t-2").memory_id == again.memory_id

    detail = memory.dashboard_memory_detail(written.memory_id)
    assert detail.source_session_id == scope.session_id
    assert (detail.context_tags, detail.agent_id, detail.metadata["n"]) == (["price"], "planner", 1)
    # A session's writes without tags are conversation.
    assert memory.dashboard_memory_detail(again.memory_id).context_tags == ["conversation"]

    found = texts(scope.read("ferry", max_results=10, response_format="list").memories)
    assert sorted(found) == ["The ferry has a café on deck 2", "The ferry ticket costs 12 euros"]
    assert texts(scope.read("ferry", context_filter=["price"]).memories) == ["The ferry ticket costs 12 euros"]
    assert texts(scope.read("ferry", memory_types=[MemoryType.KNOWLEDGE]).memories) == ["The ferry has a café on deck 2"]
    assert memory.read("ferry").total_count == 3


def test_a_session_id_may_hold_what_a_path_may_not(memory):
    memory.write("The gate code changes in June", session_id="team a+b")
    context = memory.get_session_context("team%20a%2Bb")
    assert (context.session_id, texts(context.messages)) == ("team a+b", ["The gate code changes in June"])


def test_a_turn_recalls_and_stores_nothing_without_an_answer(memory):
    memory.write("I am allergic to peanuts")
    before = memory.stats().total_memories
    turn = memory.turn("What could I cook for dinner tonight?")
    assert "I am allergic to peanuts" in turn.memory_context
    assert turn.memories_retrieved == 1 and turn.memories_stored == 0
    assert turn.reconsolidation_applied is False
    assert memory.stats().total_memories == before


def test_a_turn_with_an_answer_keeps_both_sides(memory):
    session = memory.create_session().session_id
    said = datetime(2026, 5, 7, 19, 0, tzinfo=timezone.utc)
    question, answer = "I adopted a cat named Miso", "Cats sleep for sixteen hours a day, so give Miso a warm bed."
    first = memory.turn(
        question,
        assistant_response=answer,
        session_id=session,
        max_context_tokens=400,
        timestamp=said,
        user_timezone="Europe/Lisbon",
    )
    assert first.memory_context == "", "a message is not part of its own recall"
    assert first.memories_retrieved == 0 and first.memories_stored >= 1
    context = memory.get_session_context(session)
    assert texts(context.messages) == [question, answer]
    assert [item.timestamp for item in context.messages] == [said, said]
    assert "Miso" in memory.turn("What is my cat called?", session_id=session).memory_context


def test_a_turn_in_a_scope_is_logged_there(memory):
    scope = memory.session()
    scope.turn("Where is the ladder?", assistant_response="The ladder is in the shed.", max_context_tokens=200)
    assert texts(memory.get_session_context(scope.session_id).messages) == [
        "Where is the ladder?",
        "The ladder is in the shed.",
    ]


def test_a_budget_limits_the_context(memory):
    for night in range(1, 20):
        memory.write(f"The hotel in Porto costs {80 + night} euros on night {night}")
    small = memory.turn("How much is the hotel in Porto?", max_context_tokens=40)
    large = memory.turn("How much is the hotel in Porto?", max_context_tokens=400)
    assert 0 < small.memories_retrieved < large.memories_retrieved
    with pytest.raises(ValidationError):
        memory.turn("How much?", max_context_tokens=0)


def test_the_dashboard_lists_sessions(memory, tenant):
    named = memory.create_session(name="standup", ttl_hours=3, metadata={"team": "red"})
    memory.write("The sprint ends on Friday", session_id=named.session_id)
    memory.write("We moved the review to Monday", session_id="retro")
    listed = memory.get_sessions(tenant_id=tenant)
    rows = {row.session_id: row for row in listed.sessions}
    assert set(rows) == {named.session_id, "retro"}
    row = rows[named.session_id]
    assert (row.tenant_id, row.memory_count) == (tenant, 1)
    assert row.metadata["team"] == "red" and row.metadata["name"] == "standup"
    assert 0 < row.ttl_seconds <= 3 * 3600
    assert listed.total_memories_with_session == 2
    assert listed.total_active == 2
