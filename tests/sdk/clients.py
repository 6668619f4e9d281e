"""Both clients of the SDK behind one face, so that each test is written once.

A call of the asynchronous client is run to its end, what iterates becomes a list, and each name that is
called is noted in `CALLED`.
"""

import asyncio
import inspect

import cml
from cml import async_client, client

KINDS = ("sync", "async")

CLASSES = {
    "sync": (cml.CognitiveMemoryLayer, cml.NamespacedClient, client.SessionScope),
    "async": (cml.AsyncCognitiveMemoryLayer, cml.AsyncNamespacedClient, async_client.AsyncSessionScope),
}

CALLED = set()


class Loop:
    """The event loop that every asynchronous client lives in."""

    def __init__(self):
        self._loop = asyncio.new_event_loop()

    def run(self, awaitable):
        async def wait():
            return await awaitable

        return self._loop.run_until_complete(wait())

    def close(self):
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


class Client:
    """A client, a namespaced view or a session scope of the SDK."""

    def __init__(self, inner, loop):
        self.inner = inner
        self._loop = loop

    @classmethod
    def open(cls, kind, loop, url, *, api_key=None, admin_api_key=None, tenant_id="default", timeout=60.0):
        config = cml.CMLConfig(
            api_key=api_key,
            admin_api_key=admin_api_key,
            base_url=url,
            tenant_id=tenant_id,
            timeout=timeout,
            max_retries=0,
            retry_delay=0.0,
        )

        async def build():
            return CLASSES["async"][0](config=config)

        inner = CLASSES["sync"][0](config=config) if kind == "sync" else loop.run(build())
        return cls(inner, loop)

    def session(self, **arguments):
        """The scope inside the SDK's `with memory.session(...)`."""
        self._note("session")
        context = self.inner.session(**arguments)
        if hasattr(context, "__aenter__"):

            async def enter():
                async with context as scope:
                    return scope

            return Client(self._loop.run(enter()), self._loop)
        with context as scope:
            return Client(scope, self._loop)

    def with_namespace(self, namespace):
        self._note("with_namespace")
        return Client(self.inner.with_namespace(namespace), self._loop)

    def __getattr__(self, name):
        self._note(name)
        member = getattr(self.inner, name)
        if not callable(member):
            return member

        def call(*arguments, **named):
            return self._result(member(*arguments, **named))

        return call

    def _note(self, name):
        CALLED.add((type(self.inner), name))

    def _result(self, result):
        if inspect.isawaitable(result):
            return self._loop.run(result)
        if inspect.isasyncgen(result):

            async def gather():
                return [item async for item in result]

            return self._loop.run(gather())
        return list(result) if inspect.isgenerator(result) else result
