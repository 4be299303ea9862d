"""One user of the embedded server: the first one starts the server, the last one stops it."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from app.embedded.postmaster import stop_server
from app.embedded.process_files import FileLock, WaitReporter, is_held, locked_exclusively
from app.embedded.site import Paths, Site, find_site
from app.embedded.startup import Startup, url_of
from app.errors import ConfigurationError

#: A frozen server must not keep a service from ending. A slow one ends by itself.
STOP_SECONDS = 10.0


def _say_nothing(_message: str) -> None:
    """For callers that do not show why a start takes long."""


class EmbeddedPostgres:
    """
    One user of the server in *data_dir*; there may be many, in this process and in others.

    Also an asynchronous context manager that gives the URL.

    Args:
        data_dir: Holds the cluster, its password, log and locks. Made if it does not exist.
        port: TCP port on 127.0.0.1; without it there is a socket only.
        programs: The folder of an installed PostgreSQL; without it that of the wheel runs.
        on_progress: Gets a sentence about a long wait.
        stop_seconds: For how long the last user waits for the end of the server.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        programs: Path | None = None,
        on_progress: Callable[[str], None] = _say_nothing,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self._data_dir = data_dir
        self._port = port
        self._programs = programs
        self._say = on_progress
        self._stop_seconds = stop_seconds
        self._use: tuple[Site, FileLock] | None = None

    def is_made(self) -> bool:
        """Whether the data directory has a cluster; if not, `acquire` makes one."""
        return Paths(self._data_dir).cluster.exists()

    async def acquire(self) -> str:
        """
        Start or join the server; return the URL of the database `receiver`, for its superuser.

        The URL is `postgresql://receiver:{password}@/receiver?host={socket folder}&port={port}`.

        Raises:
            ConfigurationError: this can never work; the message says what to correct.
            DatabaseUnavailable: the server ended, or others use a server that does not suit. The
                message has the end of the server's log.
        """
        if self._use:
            raise RuntimeError("acquired already")
        paths = _make_paths(self._data_dir)
        async with locked_exclusively(paths.startup_lock, WaitReporter(self._say)):
            site = await asyncio.to_thread(find_site, paths, self._programs)
            users = FileLock(paths.users_lock)
            users.try_shared()
            try:
                port = await Startup(site, users, self._port, self._say).run()
                url = url_of(site, port)
            except BaseException:
                with self._in_time(users):
                    async with asyncio.timeout(self._stop_seconds):
                        await self._stop_if_last(site, users)
                raise
        self._use = site, users
        return url

    async def revive(self) -> bool:
        """
        Start the server again if it has ended, and return whether it had. Cheap while it runs.

        The URL stays the same. Raises the errors of `acquire`.
        """
        if self._use is None or is_held(self._use[0].paths.server_lock):
            return False
        site, users = self._use
        async with locked_exclusively(site.paths.startup_lock, WaitReporter(self._say)):
            await Startup(site, users, self._port, self._say).run()
        return True

    async def release(self) -> None:
        """
        Leave the server. The last user stops it, and returns when it has ended.

        One that does not end in time, as a frozen one, has been asked to, and is left to it.
        """
        if self._use is None:
            return
        site, users = self._use
        self._use = None
        with self._in_time(users):
            async with (
                asyncio.timeout(self._stop_seconds),
                locked_exclusively(site.paths.startup_lock, WaitReporter(self._say)),
            ):
                await self._stop_if_last(site, users)

    async def _stop_if_last(self, site: Site, users: FileLock) -> None:
        if users.try_exclusive():
            await stop_server(site, self._say)

    @contextmanager
    def _in_time(self, users: FileLock) -> Iterator[None]:
        """Leave *users* at the end of the block, which may time out."""
        try:
            yield
        except TimeoutError:
            self._say("PostgreSQL does not stop, and is not waited for any longer.")
        finally:
            users.close()

    async def __aenter__(self) -> str:
        return await self.acquire()

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.release()


def _make_paths(data_dir: Path) -> Paths:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"RECEIVER_DATA_DIR={data_dir} cannot be made ({error.strerror})."
        ) from error
    return Paths(data_dir.resolve())
