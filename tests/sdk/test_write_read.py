"""Write and read: content, types, filters, formats, the gate, streams, batches."""

from datetime import datetime, timedelta, timezone
from uuid import UUID

import pytest
from cml.exceptions import ValidationError
from cml.models import MemoryType

SEATS = "I prefer window seats on long flights"
SHELLFISH = "I am allergic to shellfish"
DEPLOY = "The deploy runs from the release branch every Tuesday"


def texts(items):
    return [item.text for item in items]


def utc(*parts):
    return datetime(*parts, tzinfo=timezone.utc)


def as_utc(instant):
    return instant.replace(tzinfo=timezone.utc) if instant.tzinfo is None else instant.astimezone(timezone.utc)


def test_what_is_written_is_read(memory):
    written = memory.write(SEATS, context_tags=["travel"], metadata={"topic": "travel", "n": 7})
    assert written.success and written.chunks_created == 1
    assert isinstance(written.memory_id, UUID)
    assert written.eval_outcome is None and written.eval_reason is None
    memory.write(DEPLOY)

    answer = memory.read("window seats on flights")
    assert answer.query == "window seats on flights"
    item = answer.memories[0]
    assert (item.id, item.text) == (written.memory_id, SEATS)
    assert item.metadata["topic"] == "travel" and item.metadata["n"] == 7
    assert "_similarity" not in item.metadata
    assert 0 < item.relevance <= 1 and 0 < item.confidence <= 1
    assert answer.total_count == len(answer.memories)
    assert answer.elapsed_ms >= 0
    relevances = [item.relevance for item in answer.memories]
    assert relevances == sorted(relevances, reverse=True)


def test_meaning_is_found_without_a_common_word(memory):
    memory.write("I prefer dark mode in every editor")
    memory.write(DEPLOY)
    assert memory.search("theme preferences").memories[0].text == "I prefer dark mode in every editor"


def test_a_constraint_is_returned_where_it_applies(memory):
    memory.write(SHELLFISH)
    answer = memory.read("recommend a restaurant for tonight")
    assert texts(answer.constraints) == [SHELLFISH]
    assert SHELLFISH in texts(answer.memories)


@pytest.mark.parametrize("verb", ["write", "remember"])
def test_every_argument_of_a_write_is_kept(memory, verb):
    said = utc(2026, 5, 7, 9, 30, 0, 123456)
    arguments = dict(
        context_tags=["travel", "seat"],
        session_id="monday",
        memory_type=MemoryType.PREFERENCE,
        namespace="trips",
        metadata={"nested": {"list": [1, "two"]}},
        turn_id="turn-1",
        agent_id="planner",
        timestamp=said,
        eval_mode=True,
    )
    written = getattr(memory, verb)(SEATS, **arguments)
    assert written.eval_outcome == "stored"
    assert written.eval_reason

    detail = memory.dashboard_memory_detail(written.memory_id)
    assert detail.text == SEATS
    assert detail.type == "preference" and detail.status == "active"
    assert sorted(detail.context_tags) == ["seat", "travel"]
    assert detail.source_session_id == "monday"
    assert detail.namespace == "trips"
    assert detail.agent_id == "planner"
    assert detail.metadata["nested"] == {"list": [1, "two"]}
    assert as_utc(detail.timestamp) == said
    assert detail.version == 1

    # The same turn again returns the first answer and stores nothing.
    again = getattr(memory, verb)(SEATS, **arguments)
    assert again.memory_id == written.memory_id
    assert memory.stats().total_memories == 1


def test_a_naive_time_is_utc_and_an_offset_counts(memory):
    naive = memory.write("The boiler was serviced", timestamp=datetime(2026, 5, 7, 9, 30))
    offset = timezone(timedelta(hours=2))
    aware = memory.write("The chimney was swept", timestamp=datetime(2026, 5, 7, 9, 30, tzinfo=offset))
    assert as_utc(memory.dashboard_memory_detail(naive.memory_id).timestamp) == utc(2026, 5, 7, 9, 30)
    assert as_utc(memory.dashboard_memory_detail(aware.memory_id).timestamp) == utc(2026, 5, 7, 7, 30)
    assert all(item.timestamp.tzinfo for item in memory.read("boiler serviced").memories)


def test_secrets_are_skipped_and_personal_data_is_marked(memory):
    skipped = memory.write("My password is hunter2-correct-horse", eval_mode=True)
    assert skipped.success and skipped.memory_id is None and skipped.chunks_created == 0
    assert skipped.eval_outcome == "skipped" and skipped.eval_reason
    marked = memory.write("Write to ana@example.com about the lease")
    text = memory.dashboard_memory_detail(marked.memory_id).text
    assert text == "Write to [EMAIL_REDACTED] about the lease"
    assert memory.stats().total_memories == 1


def test_the_same_text_again_is_one_memory(memory):
    first, second = memory.write(SEATS), memory.write(SEATS)
    assert first.memory_id == second.memory_id
    assert memory.stats().total_memories == 1


def test_a_long_text_becomes_chunks_that_read_as_one(memory):
    sentences = [f"Chapter {n} of the manual explains how valve number {n} is opened by hand." for n in range(200)]
    written = memory.write(" ".join(sentences))
    assert written.chunks_created > 1
    assert memory.stats().total_memories == written.chunks_created
    assert len(memory.read("how is valve number 150 opened").memories) == 1


def test_filters_are_exact(memory):
    memory.write(SEATS, context_tags=["travel"], memory_type=MemoryType.PREFERENCE, timestamp=utc(2026, 1, 10))
    memory.write("The window seats were booked", context_tags=["work"], memory_type=MemoryType.TASK_STATE, timestamp=utc(2026, 2, 10))
    memory.write("Window seats cost ten euros more", context_tags=["travel", "work"], memory_type=MemoryType.KNOWLEDGE, timestamp=utc(2026, 3, 10))
    query = "window seats"
    everything = {SEATS, "The window seats were booked", "Window seats cost ten euros more"}

    def found(**filters):
        return set(texts(memory.read(query, **filters).memories))

    assert found() == everything
    assert found(context_filter=["travel"]) == {SEATS, "Window seats cost ten euros more"}
    assert found(context_filter=["travel", "work"]) == everything
    assert found(context_filter=["none"]) == set()
    assert found(memory_types=[MemoryType.TASK_STATE]) == {"The window seats were booked"}
    assert found(memory_types=[MemoryType.TASK_STATE, MemoryType.PREFERENCE]) == everything - {"Window seats cost ten euros more"}
    assert found(since=utc(2026, 2, 1)) == everything - {SEATS}
    assert found(until=utc(2026, 2, 1)) == {SEATS}
    assert found(since=datetime(2026, 2, 1), until=datetime(2026, 3, 1)) == {"The window seats were booked"}
    assert found(context_filter=["travel"], since=utc(2026, 2, 1)) == {"Window seats cost ten euros more"}
    assert len(memory.read(query, max_results=2).memories) == 2


def test_relative_dates_of_a_query_use_the_caller_s_zone(memory):
    now = datetime.now(timezone.utc)
    memory.write("We painted the fence", timestamp=now)
    answer = memory.read("What did we paint today?", user_timezone=None)
    assert texts(answer.memories) == ["We painted the fence"]
    for zone in ("Europe/Lisbon", "Pacific/Auckland"):
        assert memory.read("fence", user_timezone=zone).total_count == 1
    with pytest.raises(ValidationError):
        memory.read("fence", user_timezone="Mars/Olympus")


def test_an_empty_query_lists_the_newest_first(memory):
    for day in (2, 3, 1):
        memory.write(f"Entry of day {day}", timestamp=utc(2026, 5, day))
    listed = memory.read("", response_format="list")
    assert texts(listed.memories) == ["Entry of day 3", "Entry of day 2", "Entry of day 1"]


def test_formats(memory):
    memory.write(SHELLFISH, memory_type=MemoryType.CONSTRAINT)
    memory.write("I prefer restaurants with a garden", memory_type=MemoryType.PREFERENCE)
    memory.write("The restaurant on the corner opened in May", memory_type=MemoryType.EPISODIC_EVENT)
    query = "restaurant with a garden on the corner"

    packet = memory.read(query, response_format="packet")
    assert SHELLFISH in texts(packet.constraints)
    assert "I prefer restaurants with a garden" in texts(packet.preferences)
    assert "The restaurant on the corner opened in May" in texts(packet.episodes)
    grouped = packet.constraints + packet.facts + packet.preferences + packet.episodes
    assert sorted(texts(grouped)) == sorted(texts(packet.memories))
    assert packet.llm_context is None and packet.context == ""

    flat = memory.read(query, response_format="list")
    assert texts(flat.memories) == texts(packet.memories)
    assert not (flat.constraints or flat.facts or flat.preferences or flat.episodes)

    prompt = memory.read(query, response_format="llm_context")
    assert prompt.llm_context.startswith("## Constraints")
    assert SHELLFISH in prompt.llm_context
    assert memory.get_context(query) == prompt.llm_context
    assert memory.get_context(query, memory_types=[MemoryType.PREFERENCE]).count("- [") == 1
    assert str(prompt).startswith(f"Query: {query}")


def test_a_stream_gives_the_items_of_a_read_in_its_order(memory):
    for n in range(12):
        memory.write(f"Lighthouse number {n} stands on cliff {n}", context_tags=["even" if n % 2 == 0 else "odd"])
    query = "lighthouse on a cliff"
    read = memory.read(query, max_results=10)
    stream = memory.read_stream(query, max_results=10)
    assert [item.id for item in stream] == [item.id for item in read.memories]
    assert len(stream) == 10
    assert texts(stream) == texts(read.memories)
    even = memory.read_stream(query, context_filter=["even"], max_results=50, user_timezone="UTC")
    assert len(even) == 6
    assert all(int(item.text.split()[2]) % 2 == 0 for item in even)
    assert memory.read_stream("x", since=utc(2999, 1, 1), until=utc(2999, 2, 1)) == []


def test_search_and_read_safe_are_reads(memory):
    memory.write(SEATS)
    arguments = dict(max_results=3, context_filter=None, response_format="list")
    read = memory.read("window seats", **arguments)
    for verb in ("search", "read_safe"):
        answer = getattr(memory, verb)("window seats", **arguments)
        assert [item.id for item in answer.memories] == [item.id for item in read.memories]
        assert texts(answer.memories) == [SEATS]


def test_batches_keep_their_order(memory):
    items = [
        {"content": "The heron nests by the mill", "context_tags": ["birds"], "memory_type": MemoryType.OBSERVATION},
        {"content": "The kingfisher nests by the weir", "metadata": {"rare": True}, "agent_id": "ranger"},
        {"content": "thanks!"},
    ]
    written = memory.batch_write(items, session_id="walk", namespace="river")
    assert len(written) == 3
    assert written[2].memory_id is None
    heron, kingfisher = (memory.dashboard_memory_detail(answer.memory_id) for answer in written[:2])
    assert (heron.text, heron.type, heron.context_tags) == (items[0]["content"], "observation", ["birds"])
    assert (kingfisher.metadata["rare"], kingfisher.agent_id) == (True, "ranger")
    assert {heron.source_session_id, kingfisher.source_session_id} == {"walk"}
    assert {heron.namespace, kingfisher.namespace} == {"river"}

    queries = ["kingfisher nests", "heron nests"]
    answers = memory.batch_read(queries, max_results=1, response_format="list")
    assert [answer.query for answer in answers] == queries
    assert [answer.memories[0].text for answer in answers] == [items[1]["content"], items[0]["content"]]
    with pytest.raises(ValueError):
        memory.batch_write([{"text": "no content"}])


def test_what_no_memory_answers_is_a_short_answer(memory):
    memory.write(DEPLOY)
    answer = memory.read("Who won the chess tournament in Reykjavik?")
    assert all(item.relevance < 0.5 for item in answer.memories)
    assert isinstance(answer.retrieval_meta, dict)
