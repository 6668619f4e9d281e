"""The knowledge graph: entities that memories mention, and what relates them; all with the admin key."""

from uuid import uuid4

import pytest
from cml.exceptions import ValidationError
from server import ADMIN_KEY

TEXTS = ["Ana lives in Lisbon", "Ana works at Initech", "Tom met Ana in Porto"]


@pytest.fixture
def told(memory):
    """A memory that was told of four entities and more."""
    for text in TEXTS:
        memory.write(text)
    return memory


@pytest.fixture(params=["client", "namespace"])
def view(request, told):
    """The client, and its namespaced view, which asks the same of the graph."""
    return told if request.param == "client" else told.with_namespace("notes")


def names(nodes):
    return {node.entity for node in nodes}


def relations(part):
    """Pairs of names that an edge joins, without direction."""
    by_id = {node.id: node.entity for node in part.nodes}
    return {frozenset((by_id[edge.source], by_id[edge.target])) for edge in part.edges}


def test_the_size_counts_every_tenant(view, tenant):
    stats = view.get_graph_stats()
    assert tenant in stats.tenants_with_graph
    assert stats.tenants_with_graph == sorted(stats.tenants_with_graph)
    assert stats.total_nodes >= 4 and stats.total_edges >= 0
    assert sum(stats.entity_types.values()) == stats.total_nodes
    assert stats.entity_types["person"] >= 1 and stats.entity_types["place"] >= 2


def test_an_overview_shows_the_best_connected(view, tenant):
    part = view.graph_overview()
    assert {"Ana", "Lisbon", "Initech", "Porto"} <= names(part.nodes)
    assert part.nodes[0].entity == "Ana", "the best connected comes first"
    assert part.center_entity is None
    types = {node.entity: node.entity_type for node in part.nodes}
    assert (types["Ana"], types["Lisbon"]) == ("person", "place")
    ana = part.nodes[0]
    assert ana.properties["mentions"] == 3
    assert {frozenset(("Ana", "Lisbon")), frozenset(("Ana", "Porto"))} <= relations(part)
    assert all(0 < edge.confidence <= 1 and edge.predicate for edge in part.edges)
    assert len({node.id for node in part.nodes}) == len(part.nodes), "none twice"
    for scope_id in ("default", tenant):
        assert names(view.graph_overview(tenant_id=tenant, scope_id=scope_id).nodes) == names(part.nodes)
    assert view.graph_overview(tenant_id=f"{tenant}-b").nodes == []


def test_the_neighbourhood_of_an_entity(view, tenant):
    near = view.explore_graph(entity="lisbon", depth=1)
    assert near.center_entity == "Lisbon", "in any case of letters"
    assert near.nodes[0].entity == "Lisbon" and names(near.nodes) == {"Lisbon", "Ana"}
    far = view.explore_graph(tenant_id=tenant, entity="Lisbon", depth=2)
    assert {"Lisbon", "Ana", "Initech", "Porto"} <= names(far.nodes)
    assert frozenset(("Ana", "Initech")) in relations(far)
    unknown = view.explore_graph(entity="Nobody")
    assert (unknown.nodes, unknown.edges, unknown.center_entity) == ([], [], None)
    for bad in ({"entity": "Ana", "depth": 0}, {"entity": "Ana", "depth": 6}, {"entity": ""}):
        with pytest.raises(ValidationError):
            view.explore_graph(**bad)


def test_a_scope_id_is_a_namespace(memory, tenant):
    memory.write("Ana lives in Lisbon", namespace="trips")
    memory.write("Ana works at Initech", namespace="work")
    assert names(memory.explore_graph(entity="Ana", scope_id="trips").nodes) == {"Ana", "Lisbon"}
    assert names(memory.graph_overview(scope_id="work").nodes) == {"Ana", "Initech"}
    assert {"Lisbon", "Initech"} <= names(memory.explore_graph(entity="Ana").nodes), "no choice is the whole tenant"


def test_entities_are_found_by_a_part_of_their_name(view, connect, tenant):
    found = view.search_graph("LISB", tenant_id=tenant).results
    assert [(row.entity, row.entity_type, row.tenant_id, row.scope_id) for row in found] == [
        ("Lisbon", "place", tenant, "default")
    ]
    assert view.search_graph("Lisb_n", tenant_id=tenant).results == [], "signs are meant as they stand"
    assert len(view.search_graph("o", tenant_id=tenant, limit=1).results) == 1
    # A name that only these two tenants know.
    place = "Z" + "".join(chr(ord("a") + int(digit, 16)) for digit in uuid4().hex[:12])
    for client in (view, connect(api_key=ADMIN_KEY, tenant_id=f"{tenant}-b")):
        client.write(f"Ana lives in {place}")
    everywhere = {row.tenant_id for row in view.search_graph(place[1:]).results}
    assert everywhere == {tenant, f"{tenant}-b"}, "without a tenant it is all of them"
    for bad in (("", {}), ("Ana", {"limit": 0}), ("Ana", {"limit": 101})):
        with pytest.raises(ValidationError):
            view.search_graph(bad[0], **bad[1])


def test_what_is_forgotten_leaves_the_graph(told, tenant):
    ids = [item.id for item in told.read("Porto").memories if "Porto" in item.text]
    assert told.forget(memory_ids=ids).affected_count == 1
    assert names(told.explore_graph(entity="Porto").nodes) == set()
    assert "Porto" not in names(told.graph_overview().nodes)
    told.delete_all(confirm=True)
    assert told.graph_overview().nodes == []
    assert tenant not in told.get_graph_stats().tenants_with_graph
