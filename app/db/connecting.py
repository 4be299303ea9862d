"""
The only file that opens connections: to one server, or to the one of several that suits.

asyncpg tries the hosts of a URL one after the other within one time limit, so a first host that
drops packets costs all of it and the others are never tried. Here each has a head start only.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from app.db.explaining import Where, hosts_of, predicate_of, where_of
from app.errors import DatabaseUnavailable, DatabaseUnusable
from app.observability import tracing

#: How long a host may stay silent before the next one is tried as well. It has not lost then: the
#: first that suits is taken.
HEAD_START_SECONDS: Final = 0.25
#: The one for which the statements are written.
_NEEDED_MAJOR: Final = 18
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
    DatabaseUnusable,
)


class Connection(asyncpg.Connection):
    """
    A connection that knows where it leads.

    It also knows whether one of its commits may be missing from the standbys.
    """

    __slots__ = ("is_unreplicated", "where")

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 (asyncpg's own)
        super().__init__(*args, **kwargs)
        #: Whether a commit was ended before a synchronous standby had it: it is visible here, and
        #: would be lost with this server. PostgreSQL reports it as a warning of a success.
        self.is_unreplicated = False
        #: For messages; None until it is made.
        self.where: Where | None = None
        self.add_log_listener(_note_warning)
        tracing.watch_connection(self)


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
        DatabaseUnusable: each is too old, or behind a pooler that drops our settings.
    """
    options["server_settings"] = _SETTINGS | options.get("server_settings", {})
    hosts = hosts_of(url)
    where = where_of(url)
    if len(hosts) <= 1:
        return await _Search([_Attempt(where, url, options)]).run(timeout)
    prefers_standby = _target_of(url, options) == SessionAttribute.prefer_standby.value
    if prefers_standby:
        options["target_session_attrs"] = SessionAttribute.any
    attempts = [
        _Attempt(
            where._replace(hosts=str(host)), url, {**options, "host": host.name, "port": host.port}
        )
        for host in hosts
    ]
    return await _Search(attempts, prefers_standby=prefers_standby).run(timeout)


def _target_of(url: str, options: Mapping[str, Any]) -> str:
    given = options.get("target_session_attrs")
    named = parse_qs(urlsplit(url).query).get("target_session_attrs", [SessionAttribute.any.value])
    return str(given.value) if isinstance(given, SessionAttribute) else named[-1]


class _Attempt(NamedTuple):
    """How one server is connected to."""

    where: Where
    url: str
    options: Mapping[str, Any]

    async def made(self, seconds: float) -> Connection:
        connection: Connection = await asyncpg.connect(
            self.url, timeout=seconds, connection_class=Connection, **self.options
        )
        try:
            _require_suitable(connection, self.options["server_settings"])
        except DatabaseUnusable:
            connection.terminate()
            raise
        connection.where = self.where
        return connection


def _require_suitable(connection: Connection, asked: Mapping[str, str]) -> None:
    """Refuse a server that is too old, and a pooler that has dropped the settings *asked* for."""
    version = connection.get_server_version()
    if version.major < _NEEDED_MAJOR:
        raise DatabaseUnusable(
            f"is PostgreSQL {version.major}.{version.minor or version.micro}, and this program "
            f"needs {_NEEDED_MAJOR} or later"
        )
    # From version 18 on, each server reports it.
    path = getattr(connection.get_settings(), "search_path", None)
    if "search_path" in asked and path != asked["search_path"]:
        raise DatabaseUnusable(
            "is reached through a pooler that drops the settings of sessions, as PgBouncer does; "
            "name PostgreSQL itself in place of the pooler"
        )


class _Search:
    """Attempts of which the first one that succeeds is wanted."""

    def __init__(self, attempts: Sequence[_Attempt], *, prefers_standby: bool = False) -> None:
        self._waiting = iter(attempts)
        self._running: dict[asyncio.Task[Connection], _Attempt] = {}
        self._failures: list[str] = []
        self._is_unusable = True
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
            for attempt in self._running.values():
                self._note_failure(attempt, error)
            raise self._failure() from error
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
            self._note_failure(attempt, error)
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
            raise self._failure()
        return spare

    def _note_failure(self, attempt: _Attempt, error: BaseException) -> None:
        is_unusable = isinstance(error, DatabaseUnusable)
        reason = str(error) if is_unusable else predicate_of(error, attempt.where)
        self._failures.append(f"{attempt.where.hosts} {reason}")
        self._is_unusable = self._is_unusable and is_unusable

    def _failure(self) -> DatabaseUnavailable:
        kind = DatabaseUnusable if self._is_unusable else DatabaseUnavailable
        return kind(f"PostgreSQL at {'; '.join(self._failures)}.")


def _is_standby(connection: Connection) -> bool:
    # A pooler may not report it.
    return getattr(connection.get_settings(), "in_hot_standby", None) == "on"


def _end(task: asyncio.Task[Connection]) -> None:
    """Close the connection of an attempt that came too late."""
    if not task.cancelled() and task.exception() is None:
        task.result().terminate()
