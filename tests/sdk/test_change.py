"""Update, forget, remove: what changes, what stays, what is gone."""

from datetime import datetime, timezone
from uuid import uuid4

import pytest
from cml.exceptions import NotFoundError, ValidationError


def texts(answer):
    return [item.text for item in answer.memories]


def test_an_update_changes_what_is_given(memory):
    id = memory.write("The review is on Monday", metadata={"room": 1, "floor": 2}).memory_id
    updated = memory.update(id, text="The review is on Friday", confidence=0.9, importance=1.0, metadata={"room": 7})
    assert (updated.success, updated.memory_id, updated.version) == (True, id, 2)
    detail = memory.dashboard_memory_detail(id)
    assert (detail.text, detail.version) == ("The review is on Friday", 2)
    assert (detail.confidence, detail.importance) == (0.9, 1.0)
    assert detail.metadata == {"room": 7, "floor": 2}, "metadata merges"
    assert texts(memory.read("review Friday")) == ["The review is on Friday"]
    assert memory.stats().total_memories == 1


def test_feedback(memory):
    right = memory.write("The office has 40 desks").memory_id
    before = memory.dashboard_memory_detail(right).confidence
    memory.update(right, feedback="correct")
    assert memory.dashboard_memory_detail(right).confidence == pytest.approx(min(1.0, before + 0.2))

    wrong = memory.write("The office has a swimming pool").memory_id
    memory.update(wrong, feedback="incorrect")
    assert memory.dashboard_memory_detail(wrong).status == "deleted"
    assert memory.dashboard_memory_detail(wrong).confidence == 0
    assert "The office has a swimming pool" not in texts(memory.read("swimming pool"))

    old = memory.write("The office closes at five").memory_id
    memory.update(old, feedback="outdated")
    assert memory.dashboard_memory_detail(old).valid_to is not None
    assert "The office closes at five" not in texts(memory.read("when does the office close"))
    with pytest.raises(ValidationError):
        memory.update(right, feedback="great")


def test_a_bad_update_changes_nothing(memory):
    id = memory.write("The tram stops at the museum").memory_id
    for arguments in ({"confidence": 1.5}, {"importance": -0.1}, {"text": "   "}):
        with pytest.raises(ValidationError):
            memory.update(id, **arguments)
    detail = memory.dashboard_memory_detail(id)
    assert (detail.text, detail.version) == ("The tram stops at the museum", 1)
    with pytest.raises(NotFoundError):
        memory.update(uuid4(), text="nobody")


def test_forget_deletes_archives_and_silences(memory):
    ids = [memory.write(f"The {thing} is in the {room}").memory_id for thing, room in [("saw", "shed"), ("drill", "cellar"), ("rake", "garage")]]
    saw, drill, rake = ids
    assert memory.forget(memory_ids=[saw, uuid4()]).affected_count == 1
    with pytest.raises(NotFoundError):
        memory.dashboard_memory_detail(saw)
    assert memory.forget(memory_ids=[saw]).affected_count == 0, "a repeat changes nothing"

    archived = memory.forget(memory_ids=[drill], action="archive")
    assert archived.success and archived.affected_count == 1
    assert memory.dashboard_memory_detail(drill).status == "archived"
    assert memory.forget(memory_ids=[rake], action="silence").affected_count == 1
    assert memory.dashboard_memory_detail(rake).status == "silent"

    assert texts(memory.read("Where do I keep my tools?")) == []
    stats = memory.stats()
    assert (stats.total_memories, stats.archived_memories, stats.silent_memories, stats.active_memories) == (2, 1, 1, 0)


def test_forget_by_query_takes_strong_matches_only(memory):
    memory.write("My locker number is 4711")
    memory.write("The gym opens at six")
    forgotten = memory.forget(query="My locker number is 4711")
    assert forgotten.affected_count == 1
    assert texts(memory.read("", response_format="list")) == ["The gym opens at six"]


def test_forget_before_a_time(memory):
    for year in (2023, 2024, 2025):
        memory.write(f"Report of {year}", timestamp=datetime(year, 6, 1, tzinfo=timezone.utc))
    assert memory.forget(before=datetime(2025, 1, 1, tzinfo=timezone.utc)).affected_count == 2
    assert texts(memory.read("", response_format="list")) == ["Report of 2025"]
    with pytest.raises(ValueError):
        memory.forget()


def test_delete_all_empties_one_tenant(memory, connect, tenant):
    from server import ADMIN_KEY

    other = connect(api_key=ADMIN_KEY, tenant_id=f"{tenant}-other")
    for text in ("The bridge was repaired", "The tunnel was closed"):
        memory.write(text)
    other.write("The bridge was painted")
    with pytest.raises(ValueError):
        memory.delete_all()
    assert memory.delete_all(confirm=True) == 2
    assert memory.stats().total_memories == 0
    assert memory.read("bridge").memories == []
    assert memory.delete_all(confirm=True) == 0
    assert texts(other.read("bridge")) == ["The bridge was painted"]


def test_bulk_actions(memory):
    ids = [memory.write(f"Crate {n} holds {what}").memory_id for n, what in enumerate(["apples", "pears", "plums", "figs"])]
    assert memory.bulk_memory_action(ids[:1], "archive") == {"success": True, "affected": 1, "action": "archive"}
    assert memory.bulk_memory_action(ids[1:2], "silence")["affected"] == 1
    assert memory.bulk_memory_action([ids[2], uuid4()], "delete")["affected"] == 1
    assert memory.dashboard_memory_detail(ids[0]).status == "archived"
    assert memory.dashboard_memory_detail(ids[1]).status == "silent"
    assert texts(memory.read("", response_format="list")) == ["Crate 3 holds figs"]
    with pytest.raises(ValidationError):
        memory.bulk_memory_action(ids, "burn")


def test_stats_count_by_type_and_status(memory):
    empty = memory.stats()
    assert (empty.total_memories, empty.oldest_memory, empty.newest_memory) == (0, None, None)
    assert empty.by_type == {}
    first, last = datetime(2026, 1, 2, tzinfo=timezone.utc), datetime(2026, 3, 4, tzinfo=timezone.utc)
    from cml.models import MemoryType

    memory.write("The lease runs until May", memory_type=MemoryType.KNOWLEDGE, timestamp=last)
    memory.write("I like rye bread", memory_type=MemoryType.PREFERENCE, timestamp=first)
    stats = memory.stats()
    assert (stats.total_memories, stats.active_memories) == (2, 2)
    assert stats.by_type == {"knowledge": 1, "preference": 1}
    assert (stats.oldest_memory, stats.newest_memory) == (first, last)
    assert 0 < stats.avg_confidence <= 1 and 0 < stats.avg_importance <= 1
    assert stats.estimated_size_mb > 0
    assert str(stats).startswith("Memory Stats: 2 total")
