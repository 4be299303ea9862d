"""Finding the server that suits among several, one of which may be silent."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from app.db.connecting import HEAD_START_SECONDS, connect
from app.db.explaining import Host, hosts_of
from app.errors import DatabaseUnavailable

_SECONDS = 10.0


@contextmanager
def _silent() -> Iterator[int]:
    """A port that takes connections and never says anything, as that of a frozen server."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


@contextmanager
def _dropping() -> Iterator[int]:
    """A port whose backlog is full, so that the kernel drops what arrives."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        address = listening.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.settimeout(0)
            one.connect_ex(address)
        try:
            yield address[1]
        finally:
            for one in waiting:
                one.close()


@contextmanager
def _refusing() -> Iterator[int]:
    """A port at which nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def _with_first(url: str, port: int, **query: str) -> str:
    """*url* of a server's socket, after 127.0.0.1 with *port*."""
    parts = urlsplit(url)
    given = dict(parse_qsl(parts.query))
    given["host"] = f"127.0.0.1,{given['host']}"
    given["port"] = f"{port},{given['port']}"
    spelt = "&".join(f"{key}={quote(value)}" for key, value in (given | query).items())
    return parts._replace(query=spelt).geturl()


@pytest.mark.parametrize("dead", [_silent, _dropping, _refusing])
@pytest.mark.parametrize("target", ["read-write", "any", "prefer-standby"])
async def test_a_dead_first_host_costs_no_more_than_its_head_start(
    dead: Callable[[], AbstractContextManager[int]], target: str, url: str
) -> None:
    began = asyncio.get_running_loop().time()
    with dead() as port:
        several = _with_first(url, port, target_session_attrs=target)
        connection = await connect(several, timeout=_SECONDS)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
    took = asyncio.get_running_loop().time() - began
    assert took < _SECONDS


async def test_a_server_that_takes_no_writes_is_passed_over(url: str) -> None:
    read_only = f"{url}&options=-c%20default_transaction_read_only%3Don"
    with pytest.raises(DatabaseUnavailable, match="has other session attributes"):
        await connect(
            f"{_with_first(read_only, 1)}&target_session_attrs=read-write", timeout=_SECONDS
        )


async def test_a_failure_names_each_host_with_its_reason_and_no_password() -> None:
    with _silent() as silent, _refusing() as refusing:
        url = f"postgresql://user:kept@127.0.0.1:{silent},127.0.0.1:{refusing}/db"
        with pytest.raises(DatabaseUnavailable) as raised:
            await connect(url, timeout=2 * HEAD_START_SECONDS)
    assert f"127.0.0.1:{silent} does not answer in time" in str(raised.value)
    assert f"127.0.0.1:{refusing} refuses the connection" in str(raised.value)
    assert "kept" not in str(raised.value)


async def test_giving_up_leaves_no_connection_behind(url: str) -> None:
    before = asyncio.all_tasks()
    with _silent() as port:
        waiting = asyncio.create_task(connect(_with_first(url, port), timeout=_SECONDS))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        attempts = asyncio.all_tasks() - before
        if attempts:
            await asyncio.wait(attempts)
    assert all(task.cancelled() for task in attempts)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@db/r", [("db", 5432)]),
        ("postgresql://u:p%40,@a:1,b:2/r", [("a", 1), ("b", 2)]),
        ("postgresql://u@a,b:2/r", [("a", 5432), ("b", 2)]),
        ("postgresql://u@[::1]:1,[fe80::2]/r", [("::1", 1), ("fe80::2", 5432)]),
        ("postgresql://u@/r?host=%2Ftmp%2Fx,b&port=1,2", [("/tmp/x", 1), ("b", 2)]),  # noqa: S108
        ("postgresql://u@a,b/r?port=6432", [("a", 6432), ("b", 6432)]),
        ("postgresql:///r", []),
    ],
)
def test_hosts_are_read_as_libpq_reads_them(url: str, expected: list[tuple[str, int]]) -> None:
    assert hosts_of(url) == [Host(*host) for host in expected]
