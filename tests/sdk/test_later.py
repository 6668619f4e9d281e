"""Verbs that the server does not have yet are 501, never a wrong answer. A verb leaves this table with
the change that brings it."""

import pytest
from cml.exceptions import ServerError

LATER = {
    "consolidate": ((), {}),
    "run_forgetting": ((), {"dry_run": True, "max_memories": 100}),
    "reconsolidate": ((), {"user_id": "ana"}),
    "admin_consolidate": (("ana",), {}),
    "admin_forget": (("ana",), {"dry_run": True}),
    "get_jobs": ((), {"job_type": "consolidate"}),
}


@pytest.mark.parametrize("view", ["client", "namespace"])
@pytest.mark.parametrize("verb", LATER)
def test_a_verb_of_a_later_release_is_not_implemented(memory, verb, view):
    arguments, named = LATER[verb]
    client = memory if view == "client" else memory.with_namespace("notes")
    with pytest.raises(ServerError) as raised:
        getattr(client, verb)(*arguments, **named)
    error = raised.value
    assert error.status_code == 501
    assert error.response_body["code"] == "unsupported"
    assert error.request_id == error.response_body["request_id"]
    assert isinstance(error.response_body["detail"], str)
