"""A scripted Routee and a client that talks to it."""

import socket
from collections.abc import AsyncIterator

import pytest

from app.routee.client import RouteeClient
from tests.routee.scripted_routee import ScriptedRoutee, scripted_routee


@pytest.fixture
async def routee(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScriptedRoutee]:
    """Routee, as a test scripts it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with scripted_routee() as routee:
        yield routee


@pytest.fixture
async def client(routee: ScriptedRoutee) -> AsyncIterator[RouteeClient]:
    """A client of the scripted Routee."""
    async with routee.client() as client:
        yield client


@pytest.fixture
def unused_url() -> str:
    """An address at which no server listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
