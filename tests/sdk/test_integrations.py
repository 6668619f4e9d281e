"""What the SDK builds on its clients: the chat helper, the provider protocol, the context managers."""

from types import SimpleNamespace

import cml
import pytest
from cml.integrations import CMLOpenAIHelper, MemoryProvider
from server import ADMIN_KEY, USER_KEY


class FakeOpenAI:
    """A chat model that remembers what it was asked."""

    def __init__(self, answer):
        self.requests = []
        self._answer = answer
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=self._create))

    def _create(self, *, model, messages):
        self.requests.append((model, messages))
        message = SimpleNamespace(content=self._answer)
        return SimpleNamespace(choices=[SimpleNamespace(message=message)])


@pytest.fixture
def sdk(server, tenant):
    """The synchronous client itself: the helper takes no other."""
    config = cml.CMLConfig(api_key=ADMIN_KEY, base_url=server.url, tenant_id=tenant, max_retries=0)
    with cml.CognitiveMemoryLayer(config=config) as client:
        yield client


def test_the_chat_helper_recalls_asks_and_stores(sdk):
    sdk.write("I am allergic to peanuts")
    model = FakeOpenAI("How about a mushroom risotto?")
    helper = CMLOpenAIHelper(sdk, model, model="small")
    extra = [{"role": "user", "content": "Hello"}]
    answer = helper.chat("What could I cook for dinner tonight?", session_id="dinner", extra_messages=extra)
    assert answer == "How about a mushroom risotto?"

    name, messages = model.requests[0]
    assert name == "small"
    assert [message["role"] for message in messages] == ["system", "user", "user"]
    assert messages[0]["content"].startswith("You are a helpful assistant.")
    assert "I am allergic to peanuts" in messages[0]["content"]
    assert messages[2]["content"] == "What could I cook for dinner tonight?"

    log = [item.text for item in sdk.get_session_context("dinner").messages]
    assert log == ["What could I cook for dinner tonight?", "How about a mushroom risotto?"]
    with pytest.raises(ValueError):
        CMLOpenAIHelper(sdk, model, model="").chat("Hello")


def test_a_memory_provider_is_a_few_calls(sdk):
    class Provider:
        def get_context(self, query):
            return sdk.get_context(query)

        def store_exchange(self, user_message, assistant_response, session_id):
            sdk.turn(user_message, assistant_response=assistant_response, session_id=session_id)

        def clear_session(self, session_id):
            items = sdk.get_session_context(session_id).messages
            sdk.forget(memory_ids=[item.id for item in items])

    provider = Provider()
    assert isinstance(provider, MemoryProvider)
    provider.store_exchange("I adopted a cat named Miso", "Miso is a lovely name for a cat.", "pets")
    assert "Miso" in provider.get_context("What is my cat called?")
    provider.clear_session("pets")
    assert provider.get_context("What is my cat called?") == ""


def test_a_client_closes_at_the_end_of_its_block(server):
    config = cml.CMLConfig(api_key=USER_KEY, base_url=server.url + "/", max_retries=0)
    with cml.CognitiveMemoryLayer(config=config) as client:
        assert client.stats().total_memories >= 0
        transport = client._transport.client
    assert transport.is_closed


def test_an_asynchronous_client_closes_at_the_end_of_its_block(server, loop):
    async def run():
        client = cml.AsyncCognitiveMemoryLayer(api_key=USER_KEY, base_url=server.url, max_retries=0)
        async with client as memory, memory.session(name="async") as scope:
            written = await scope.write("The kettle is on")
            assert written.memory_id is not None
            found = await scope.read("kettle")
            assert [item.text for item in found.memories] == ["The kettle is on"]
            assert (await memory.forget(memory_ids=[written.memory_id])).affected_count == 1
            transport = memory._transport.client
        assert transport.is_closed

    loop.run(run())


def test_retries_end_with_the_server_s_own_answer(server):
    """A verb that is missing stays missing: the SDK tries it again and then tells of it."""
    config = cml.CMLConfig(api_key=ADMIN_KEY, base_url=server.url, max_retries=2, retry_delay=0.0)
    with cml.CognitiveMemoryLayer(config=config) as client, pytest.raises(cml.ServerError) as raised:
        client.get_jobs()
    assert raised.value.status_code == 501


def test_a_repeated_write_is_one_memory(sdk):
    """The SDK sends writes again after a lost answer."""
    ids = {sdk.write("The courier comes at ten", session_id="mail").memory_id for _ in range(3)}
    assert len(ids) == 1
    assert sdk.stats().total_memories == 1
