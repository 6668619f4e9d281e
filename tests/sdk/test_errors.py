"""Errors: the SDK's exception for each, with status, body and request id; and what it does when the
server is away."""

import socket
from uuid import uuid4

import pytest
from cml.exceptions import (
    AuthenticationError,
    AuthorizationError,
    CMLConnectionError,
    CMLTimeoutError,
    NotFoundError,
    RateLimitError,
    ValidationError,
)
from server import ADMIN_KEY, USER_KEY

ADMIN_VERBS = {
    "list_tenants": (),
    "dashboard_overview": (),
    "dashboard_memories": (),
    "dashboard_memory_detail": (uuid4(),),
    "dashboard_facts": (),
    "dashboard_invalidate_fact": (str(uuid4()),),
    "dashboard_export_memories": (),
    "dashboard_timeline": (),
    "get_events": (),
    "component_health": (),
    "iter_memories": (),
    "get_sessions": (),
    "get_rate_limits": (),
    "get_request_stats": (),
    "get_graph_stats": (),
    "graph_overview": (),
    "search_graph": ("Ana",),
    "dashboard_neo4j_config": (),
    "get_config": (),
    "update_config": ({"mode": "full"},),
    "get_labile_status": (),
    "test_retrieval": ("safe",),
    "get_jobs": (),
    "bulk_memory_action": ([uuid4()], "delete"),
    "consolidate": (),
    "run_forgetting": (),
    "reconsolidate": (),
    "admin_consolidate": ("ana",),
    "admin_forget": ("ana",),
}


def check(error, kind, status, code):
    assert isinstance(error, kind)
    assert error.status_code == status
    assert error.response_body["code"] == code
    assert error.request_id and error.request_id == error.response_body["request_id"]


@pytest.mark.parametrize(("key", "message"), [(None, "API key required"), ("wrong", "Invalid API key")])
def test_a_key_is_needed(connect, key, message):
    stranger = connect(api_key=key)
    assert stranger.health().status == "healthy", "health needs none"
    for verb, arguments in {"write": ("x",), "read": ("x",), "stats": (), "read_stream": ("x",), "list_tenants": ()}.items():
        with pytest.raises(AuthenticationError) as raised:
            getattr(stranger, verb)(*arguments)
        if verb != "read_stream":
            check(raised.value, AuthenticationError, 401, "unauthenticated")
            assert raised.value.message == message


@pytest.mark.parametrize("verb", ADMIN_VERBS)
def test_an_administrative_verb_needs_an_administrative_key(user, verb):
    with pytest.raises(AuthorizationError) as raised:
        getattr(user, verb)(*ADMIN_VERBS[verb])
    check(raised.value, AuthorizationError, 403, "permission_denied")


def test_removing_everything_needs_an_administrative_key(user):
    mark = str(uuid4())
    id = user.write(f"Receipt {mark}").memory_id
    for call in (lambda: user.delete_all(confirm=True), lambda: user.reset_database(confirm=True)):
        with pytest.raises(AuthorizationError):
            call()
    assert user.forget(memory_ids=[id]).affected_count == 1


def test_an_unknown_id_is_not_found(memory):
    with pytest.raises(NotFoundError) as raised:
        memory.update(uuid4(), text="nobody")
    check(raised.value, NotFoundError, 404, "not_found")


def test_a_broken_request_names_its_fields(memory):
    """The SDK checks some itself; these reach the server."""
    for call, field in [
        (lambda: memory.write("   "), "content"),
        (lambda: memory.write("nul\0"), "content"),
        (lambda: memory.write("x", namespace="n" * 101), "namespace"),
        (lambda: memory.write("x", session_id="a\nb"), "session_id"),
        (lambda: memory.write("x", metadata={"large": "n" * 70_000}), "metadata"),
        (lambda: memory.read("x", user_timezone="Nowhere"), "user_timezone"),
        (lambda: memory.turn("  "), "user_message"),
    ]:
        with pytest.raises(ValidationError) as raised:
            call()
        check(raised.value, ValidationError, 422, "invalid_input")
        detail = raised.value.response_body["detail"]
        assert [row["loc"] for row in detail] == [["body", field]]
        assert all(row["msg"] and row["type"] for row in detail)
    assert memory.stats().total_memories == 0


def test_a_tenant_must_be_a_valid_id(connect):
    client = connect(api_key=ADMIN_KEY, tenant_id="t" * 101)
    with pytest.raises(ValidationError):
        client.stats()


def test_what_the_sdk_refuses_itself_never_leaves(memory):
    import pydantic

    for call in (lambda: memory.write(""), lambda: memory.read("x", max_results=0), lambda: memory.read("x", max_results=51)):
        with pytest.raises(pydantic.ValidationError):
            call()


def test_too_many_requests(connect, start_server, kind):
    limited = start_server(CML_RATE_LIMIT_RPM="3")
    client = connect(limited.url, api_key=USER_KEY)
    for _ in range(3):
        client.stats()
    with pytest.raises(RateLimitError) as raised:
        client.stats()
    check(raised.value, RateLimitError, 429, "rate_limited")
    assert raised.value.message == "Rate limit exceeded. Try again later."
    assert 1 <= raised.value.retry_after <= 60
    assert client.health().status == "healthy", "health is not limited"
    limits = connect(limited.url, api_key=ADMIN_KEY).get_rate_limits()
    assert limits.configured_rpm == 3
    entry = max(limits.entries, key=lambda entry: entry.current_count)
    assert (entry.key_type, entry.current_count, entry.limit) == ("apikey", 3, 3)
    assert USER_KEY not in entry.identifier
    assert entry.utilization_pct == pytest.approx(100, abs=1)


def test_read_safe_survives_a_server_that_is_away(connect):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    client = connect(url, api_key=USER_KEY)
    answer = client.read_safe("anything", max_results=5)
    assert (answer.query, answer.memories, answer.total_count, answer.context) == ("anything", [], 0, "")
    for call in (lambda: client.read("anything"), lambda: client.read_stream("anything"), client.health):
        with pytest.raises(CMLConnectionError):
            call()


def test_read_safe_survives_a_server_that_does_not_answer(connect):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        client = connect(f"http://127.0.0.1:{silent.getsockname()[1]}", api_key=USER_KEY, timeout=0.2)
        assert client.read_safe("anything").memories == []
        with pytest.raises(CMLTimeoutError):
            client.stats()


def test_read_safe_hides_no_other_error(connect):
    with pytest.raises(AuthenticationError):
        connect(api_key="wrong").read_safe("anything")
