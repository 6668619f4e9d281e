"""A `cml serve` for the tests, and the published SDK's clients on it.

CML_BIN names the `cml` binary. Every test runs once with the synchronous and once with the asynchronous
client; `clients.py` makes both look alike.
"""

import os
import uuid
from pathlib import Path

import pytest
from server import ADMIN_KEY, SERVICES, USER_KEY, Server

BINARY = os.environ.get("CML_BIN", "")

# The mode of the servers and where its services are.
SERVICES.update(
    (name, value)
    for name, value in os.environ.items()
    if name == "CML_MODE" or name.startswith(("CML_POSTGRES_", "CML_NEO4J_", "CML_REDIS_"))
)
# The SDK reads CML_* where an argument is missing; the tests say everything themselves.
for name in [name for name in os.environ if name.startswith("CML_")]:
    del os.environ[name]

from clients import KINDS, Client, Loop  # noqa: E402


def pytest_configure(config):
    if not BINARY or not Path(BINARY).is_file():
        raise pytest.UsageError("CML_BIN must name the cml binary, such as target/release/cml")


@pytest.fixture(scope="session")
def start_server(tmp_path_factory):
    """Starts servers with settings of their own; each must end well when it is asked to."""
    servers = []

    def start(**settings):
        server = Server(BINARY, tmp_path_factory.mktemp("server"), settings)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def server(start_server):
    return start_server()


@pytest.fixture(scope="session")
def loop():
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def connect(kind, loop, server):
    """Opens clients: `connect(tenant_id=..., api_key=..., admin_api_key=...)`."""
    clients = []

    def connect(url=None, **settings):
        client = Client.open(kind, loop, url or server.url, **settings)
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def tenant():
    """A tenant that no other test uses."""
    return f"t-{uuid.uuid4()}"


@pytest.fixture
def memory(connect, tenant):
    """An administrator's client in a tenant of the test's own."""
    return connect(api_key=ADMIN_KEY, tenant_id=tenant)


@pytest.fixture
def user(connect):
    """A user's client: its key is bound to the tenant `default`."""
    return connect(api_key=USER_KEY, tenant_id="default")


def pytest_collection_modifyitems(config, items):
    """The check of the surface runs after everything that it looks at."""
    items.sort(key=lambda item: item.path.name == "test_surface.py")
    files = {path.name for path in Path(__file__).parent.glob("test_*.py")}
    narrowed = config.getoption("keyword") or config.getoption("markexpr") or any("::" in argument for argument in config.args)
    config.complete_run = not narrowed and files == {item.path.name for item in items}
