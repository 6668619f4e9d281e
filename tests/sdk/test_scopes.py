"""Isolation: tenants, keys, namespaces."""

from uuid import uuid4

import pytest
from cml.exceptions import CMLError, NotFoundError
from server import ADMIN_KEY, USER_KEY

SAFE = "The safe is behind the painting"


def texts(answer):
    return [item.text for item in answer.memories]


def test_a_tenant_never_sees_another(connect, tenant):
    ours, theirs = (connect(api_key=ADMIN_KEY, tenant_id=name) for name in (tenant, f"{tenant}-b"))
    id = ours.write(SAFE, session_id="heist").memory_id
    assert texts(ours.read("safe")) == [SAFE]

    assert theirs.read("Where is the safe?").memories == []
    assert theirs.read("").memories == []
    assert theirs.read_stream("safe") == []
    assert theirs.get_context("safe") == ""
    assert theirs.turn("Where is the safe?").memory_context == ""
    assert theirs.get_session_context("heist").messages == []
    assert theirs.stats().total_memories == 0
    assert theirs.forget(memory_ids=[id]).affected_count == 0
    assert theirs.forget(query=SAFE).affected_count == 0
    with pytest.raises(NotFoundError):
        theirs.update(id, text="The safe is empty")
    assert theirs.delete_all(confirm=True) == 0
    assert texts(ours.read("safe")) == [SAFE]


def test_set_tenant_moves_an_admin_s_client(memory, tenant):
    memory.write(SAFE)
    other = f"{tenant}-b"
    memory.set_tenant(other)
    assert memory.tenant_id == other
    assert memory.read("safe").memories == []
    memory.write("The vault is under the stairs")
    assert memory.stats().total_memories == 1
    memory.set_tenant(tenant)
    assert texts(memory.read("safe")) == [SAFE]


def test_a_user_key_stays_in_its_tenant(user, connect, tenant):
    """As the original: the header of a user key is passed over."""
    admin = connect(api_key=ADMIN_KEY, tenant_id=tenant)
    mark = str(uuid4())
    admin.write(f"Ledger {mark} is red")
    user.set_tenant(tenant)
    written = user.write(f"Notebook {mark} is blue")
    found = texts(user.read(f"Ledger or notebook {mark}", max_results=50))
    assert f"Notebook {mark} is blue" in found
    assert f"Ledger {mark} is red" not in found
    assert texts(admin.read("", max_results=50)) == [f"Ledger {mark} is red"]
    home = connect(api_key=ADMIN_KEY, tenant_id="default")
    assert home.dashboard_memory_detail(written.memory_id).tenant_id == "default"
    user.forget(memory_ids=[written.memory_id])


def test_the_admin_key_is_used_where_it_is_needed(connect):
    """A client with both keys is a user, but for what only an administrator may do."""
    both = connect(api_key=USER_KEY, admin_api_key=ADMIN_KEY, tenant_id="default")
    mark = str(uuid4())
    id = both.write(f"Postcard {mark} from Porto").memory_id
    assert both.dashboard_memory_detail(id).text == f"Postcard {mark} from Porto"
    assert any(row.tenant_id == "default" for row in both.list_tenants().tenants)
    assert both.forget(memory_ids=[id]).affected_count == 1


def test_a_namespaced_view_writes_into_its_namespace(memory):
    notes = memory.with_namespace("notes")
    written = notes.write("The paint is in the cellar", context_tags=["paint"])
    elsewhere = notes.write("The brushes are in the attic", namespace="tools")
    remembered = notes.remember("The ladder is in the shed", session_id="house")
    plain = memory.write("The glue is in the kitchen")
    namespaces = {id: memory.dashboard_memory_detail(id).namespace for id in (written.memory_id, elsewhere.memory_id, remembered.memory_id, plain.memory_id)}
    assert list(namespaces.values()) == ["notes", "tools", "notes", "default"]
    batch = notes.batch_write([{"content": "The saw is in the garage"}])
    assert memory.dashboard_memory_detail(batch[0].memory_id).namespace == "notes"
    # The SDK's view reads the whole tenant.
    assert notes.read("", max_results=50).total_count == 5
    assert notes.tenant_id == memory.tenant_id


def test_the_same_text_in_two_namespaces_is_two_memories(memory):
    first = memory.with_namespace("a").write("The well is dry").memory_id
    second = memory.with_namespace("b").write("The well is dry").memory_id
    assert first != second
    assert memory.stats().total_memories == 2


def test_every_verb_of_a_namespaced_view_reaches_the_server(memory, tenant):
    """The view passes calls on; each is tried once here, their meaning is tested elsewhere."""
    view = memory.with_namespace("notes")
    id = view.write("I live in Lisbon", session_id="s").memory_id
    assert texts(view.search("Where do I live?")) == ["I live in Lisbon"]
    assert [item.text for item in view.read_stream("Where do I live?")] == ["I live in Lisbon"]
    assert "Lisbon" in view.get_context("Where do I live?")
    assert [answer.total_count for answer in view.batch_read(["live", "Lisbon"])] == [1, 1]
    assert view.turn("Where do I live?").memories_retrieved == 1
    assert view.update(id, importance=0.75).version == 2
    assert view.stats().total_memories == 1
    session = view.create_session(name="n").session_id
    assert view.get_session_context("s").messages[0].text == "I live in Lisbon"
    assert session in {row.session_id for row in view.get_sessions(tenant_id=tenant).sessions}
    assert tenant in {row.tenant_id for row in view.list_tenants().tenants}
    assert view.dashboard_overview(tenant_id=tenant).total_memories == 1
    assert view.dashboard_memories(tenant_id=tenant, page=1, per_page=5).total == 1
    assert view.dashboard_memory_detail(id).importance == 0.75
    assert len(view.dashboard_export_memories(tenant_id=tenant)) == 1
    assert view.get_events(limit=5).per_page == 5
    assert view.dashboard_timeline(tenant_id=tenant, days=7).total == 1
    assert view.component_health().components
    assert str(id) in {str(item.id) for item in view.iter_memories(batch_size=200)}
    assert view.get_rate_limits().configured_rpm == 0
    assert view.get_request_stats(hours=2).total_last_24h > 0
    assert view.get_config().sections
    assert view.test_retrieval("Lisbon", tenant_id=tenant).total_count == 1
    assert view.dashboard_neo4j_config().server_password == "***"
    fact = view.dashboard_facts(tenant_id=tenant).items[0]
    assert view.dashboard_invalidate_fact(fact.id)["success"] is True
    assert view.bulk_memory_action([id], "archive")["affected"] == 1
    assert view.forget(memory_ids=[id]).affected_count == 1
    assert view.delete_all(confirm=True) == 0
    with pytest.raises(ValueError):
        view.reset_database()
    with pytest.raises(CMLError):
        view.update_config({"no.such.key": 1})
    view.set_tenant(f"{tenant}-b")
    assert memory.tenant_id == f"{tenant}-b"
