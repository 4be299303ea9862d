"""
The only file that opens connections: to one server, or to the one of several that suits.

asyncpg tries the hosts of a URL one after the other within one time limit, so a first host that
drops packets costs all of it and the others are never tried. Here each has a head start only.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from app.errors import DatabaseUnavailable

#: How long a host may stay silent before the next one is tried as well. It has not lost then: the
#: first that suits is taken.
HEAD_START_SECONDS: Final = 0.25
_DEFAULT_PORT: Final = 5432
_MOST_HOSTS: Final = 16
#: The function of PostgreSQL that warns when a commit does not wait for its standby any longer. The
#: text of the warning is translated.
_WAITS_FOR_STANDBY: Final = "SyncRepWaitForLSN"
#: So that the warning is sent, whatever the defaults of the role and the database are.
_SETTINGS: Final = {"client_min_messages": "warning"}

#: What it means that a server cannot be used.
_FAILURES: Final = (
    OSError,
    EOFError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


class Host(NamedTuple):
    """Where a server listens."""

    #: A name, an address, or the folder of a socket.
    name: str
    port: int

    def __str__(self) -> str:
        return f"{self.name}:{self.port}"


class Connection(asyncpg.Connection):
    """A connection that knows whether one of its commits may be missing from the standbys."""

    __slots__ = ("is_unreplicated",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (asyncpg's own)
        super().__init__(*args, **kwargs)
        #: Whether a commit was ended before a synchronous standby had it: it is visible here, and
        #: would be lost with this server. PostgreSQL reports it as a warning of a success.
        self.is_unreplicated = False
        self.add_log_listener(_note_warning)


def _note_warning(connection: Any, message: Any) -> None:  # noqa: ANN401 (the driver's types are wider)
    # The driver calls this before the task that awaits the statement goes on.
    if message.server_source_function == _WAITS_FOR_STANDBY:
        connection.is_unreplicated = True


def require_replicated(connection: asyncpg.Connection) -> None:
    """
    Refuse to call what was committed through *connection* durable if a standby may lack it.

    Raises:
        DatabaseUnavailable: a commit did not wait for its synchronous standby to the end.
    """
    if isinstance(connection, Connection) and connection.is_unreplicated:
        raise DatabaseUnavailable("A commit was ended before a synchronous standby had it.")


async def connect(url: str, *, timeout: float, **options: Any) -> Connection:  # noqa: ANN401, ASYNC109 (as the driver's)
    """
    A connection to the server of *url*, or to the one of several that suits.

    That is the first to answer that has the `target_session_attrs` of *url*, where each host has a
    head start before the next. With `prefer-standby` a standby may answer a head start later than
    the primary.

    Args:
        url: `postgresql://…`, with one host or several.
        timeout: For all of it, in seconds.
        options: More parameters of `asyncpg.connect`.

    Raises:
        DatabaseUnavailable: no server suits; the message names each with the reason.
    """
    options["server_settings"] = _SETTINGS | options.get("server_settings", {})
    hosts = hosts_of(url)
    if len(hosts) <= 1:
        where = str(hosts[0]) if hosts else "the default host"
        return await _Search([_Attempt(where, url, options)]).run(timeout)
    prefers_standby = _target_of(url, options) == SessionAttribute.prefer_standby.value
    if prefers_standby:
        options["target_session_attrs"] = SessionAttribute.any
    attempts = [
        _Attempt(str(host), url, {**options, "host": host.name, "port": host.port})
        for host in hosts
    ]
    return await _Search(attempts, prefers_standby=prefers_standby).run(timeout)


def hosts_of(url: str) -> list[Host]:
    """The hosts of *url* in their order, at most 16; none if it leaves them to the driver."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    names = parts.netloc.rpartition("@")[2]
    specifications = unquote(names) or query.get("host", [""])[0]
    ports = query.get("port", [""])[0].split(",")
    found = [given for given in specifications.split(",") if given][:_MOST_HOSTS]
    return [_host(given, ports[min(at, len(ports) - 1)]) for at, given in enumerate(found)]


def _host(given: str, port: str) -> Host:
    """A host as it stands in a URL; *port* is for one that names none."""
    name, separator, own = given.rpartition(":")
    if separator and own.isdigit() and not given.startswith("/"):
        return Host(name.strip("[]"), int(own))
    return Host(given.strip("[]"), int(port) if port.isdigit() else _DEFAULT_PORT)


def _target_of(url: str, options: Mapping[str, Any]) -> str:
    given = options.get("target_session_attrs")
    named = parse_qs(urlsplit(url).query).get("target_session_attrs", [SessionAttribute.any.value])
    return str(given.value) if isinstance(given, SessionAttribute) else named[-1]


class _Attempt(NamedTuple):
    """How one server is connected to."""

    where: str
    url: str
    options: Mapping[str, Any]

    async def made(self, seconds: float) -> Connection:
        connection: Connection = await asyncpg.connect(
            self.url, timeout=seconds, connection_class=Connection, **self.options
        )
        return connection


class _Search:
    """Attempts of which the first one that succeeds is wanted."""

    def __init__(self, attempts: Sequence[_Attempt], *, prefers_standby: bool = False) -> None:
        self._waiting = iter(attempts)
        self._running: dict[asyncio.Task[Connection], _Attempt] = {}
        self._failures: list[str] = []
        self._prefers_standby = prefers_standby
        #: A primary, for the case that no standby answers soon.
        self._spare: Connection | None = None

    async def run(self, seconds: float) -> Connection:
        """
        The connection.

        Raises:
            DatabaseUnavailable: no attempt succeeds in time.
        """
        try:
            async with asyncio.timeout(seconds):
                found = await self._found(seconds)
        except TimeoutError as error:
            silent = [f"{attempt.where} did not answer" for attempt in self._running.values()]
            raise _unavailable([*self._failures, *silent]) from error
        finally:
            for task in self._running:
                task.add_done_callback(_end)
                task.cancel()
            if self._spare is not None:
                self._spare.terminate()
        return found

    async def _found(self, seconds: float) -> Connection:
        while True:
            following = next(self._waiting, None)
            if following is not None:
                self._running[asyncio.create_task(following.made(seconds))] = following
            is_patient = following is None and self._spare is None
            done = await self._ended(None if is_patient else HEAD_START_SECONDS)
            for task in done:
                if (connection := self._result(task)) is not None:
                    return connection
            if following is None and not (done and self._running):
                return self._take_spare()

    async def _ended(self, seconds: float | None) -> list[asyncio.Task[Connection]]:
        """Those of the attempts that have ended, in their order, after at most *seconds*."""
        if not self._running:
            return []
        done, _ = await asyncio.wait(
            self._running, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        return [task for task in self._running if task in done]

    def _result(self, task: asyncio.Task[Connection]) -> Connection | None:
        """The connection that *task* has made, if it is wanted already."""
        attempt = self._running.pop(task)
        error = task.exception()
        if error is not None:
            if not isinstance(error, _FAILURES):
                raise error
            self._failures.append(f"{attempt.where} {_reason(error)}")
            return None
        connection = task.result()
        if not self._prefers_standby or _is_standby(connection):
            return connection
        if self._spare is not None:
            self._spare.terminate()
        self._spare = connection
        return None

    def _take_spare(self) -> Connection:
        spare, self._spare = self._spare, None
        if spare is None:
            raise _unavailable(self._failures)
        return spare


def _is_standby(connection: Connection) -> bool:
    # A pooler may not report it.
    return getattr(connection.get_settings(), "in_hot_standby", None) == "on"


def _end(task: asyncio.Task[Connection]) -> None:
    """Close the connection of an attempt that came too late."""
    if not task.cancelled() and task.exception() is None:
        task.result().terminate()


def _reason(error: BaseException) -> str:
    """Why an attempt failed, without the text of the error, which may quote values."""
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return "has other session attributes"
    return f"failed ({type(error).__name__})"


def _unavailable(failures: Sequence[str]) -> DatabaseUnavailable:
    return DatabaseUnavailable(f"The database does not answer: {', '.join(failures)}.")
