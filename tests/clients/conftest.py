"""A running service with something to read, and the table of what became of each generator."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from app.domain.api_key import Scope
from tests.api.conftest import (
    Service,
    fast_service,
    loop,
    progress,
    routee,
    routee_urls,
    service,
    shared_url,
    status,
)
from tests.openapi.conftest import Stored, stored

__all__ = ["fast_service", "loop", "routee", "routee_urls", "service", "shared_url", "stored"]

_BETWEEN_CALLBACKS_SECONDS = 0.5


@dataclass
class Row:
    """What became of one generator."""

    name: str
    version: str
    generates: str = "-"
    compiles: str = "-"
    works: str = "-"
    #: With a later version of the service, which may add members, words and types.
    lasts: str = "-"


_ROWS = pytest.StashKey[list[Row]]()


@pytest.fixture
def rows(pytestconfig: pytest.Config) -> list[Row]:
    """The table that is printed at the end."""
    return pytestconfig.stash.setdefault(_ROWS, [])


@pytest.fixture
def told(service: Service, stored: Stored) -> dict[str, str]:
    """What a program that uses a client is told, as its environment."""
    _, key = service.add_key(Scope.READ, Scope.CAMPAIGNS)
    return {
        "RECEIVER_URL": service.url,
        "RECEIVER_KEY": key,
        "MESSAGE_ID": stored.message_id,
        "CAMPAIGN_ID": stored.campaign_id,
    }


@pytest.fixture
def _callbacks(service: Service) -> Iterator[None]:
    """Routee posts a callback now and then, for those that wait for one."""
    ended = threading.Event()

    def _post() -> None:
        while not ended.wait(_BETWEEN_CALLBACKS_SECONDS):
            body = progress(status=status("DELIVERED", "2026-07-05T10:28:46.996Z"))
            service.stored(json.loads(json.dumps(body)))

    posting = threading.Thread(target=_post)
    posting.start()
    yield
    ended.set()
    posting.join()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    rows = config.stash.get(_ROWS, [])
    if not rows:
        return
    heading = Row("generator", "version", "generates", "compiles", "works", "works later")
    terminalreporter.section("clients that were generated from openapi/openapi.json")
    for row in (heading, *rows):
        became = f"{row.generates:10} {row.compiles:10} {row.works:8} {row.lasts}"
        terminalreporter.line(f"{row.name:34} {row.version:9} {became}")
