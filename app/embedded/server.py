"""The only file that knows when a user comes and when the last one has gone."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from app.embedded.arrival import Arrival
from app.embedded.conversation import url_of
from app.embedded.locks import FileLock, alone, is_held
from app.embedded.paths import Paths
from app.embedded.postmaster import stop
from app.embedded.progress import Progress
from app.embedded.site import Site, survey
from app.errors import ConfigurationError


def _say_nothing(_message: str) -> None:
    """For callers that do not care what is waited for."""


class EmbeddedPostgres:
    """
    One user of the server in *data_dir*; there may be many, in this process and in others.

    Also an asynchronous context manager that gives the URL.

    Args:
        data_dir: Where the cluster, its password, log and locks are. Made if it does not exist.
        port: TCP port on 127.0.0.1; without it there is a socket only.
        on_progress: Told, in a sentence, what is waited for when that takes long.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        on_progress: Callable[[str], None] = _say_nothing,
    ) -> None:
        self._data_dir = data_dir
        self._port = port
        self._say = on_progress
        self._use: tuple[Site, FileLock] | None = None

    async def acquire(self) -> str:
        """
        Start the server or join it; the URL of the database `receiver`, as its superuser.

        It is `postgresql://receiver:{password}@/receiver?host={socket folder}&port={port}`.

        Raises:
            ConfigurationError: it can never work like this; the message says what to mend.
            DatabaseUnavailable: the server ended, with the end of its log, or others use one that
                we cannot.
        """
        if self._use:
            raise RuntimeError("acquired already")
        paths = _make_paths(self._data_dir)
        async with alone(paths.startup_lock, Progress(self._say)):
            site = await asyncio.to_thread(survey, paths)
            users = FileLock(paths.users_lock)
            users.try_shared()
            try:
                port = await Arrival(site, users, self._port, self._say).run()
                url = url_of(site, port)
            except BaseException:
                await self._leave(site, users)
                raise
        self._use = site, users
        return url

    async def revive(self) -> bool:
        """
        Start the server again if it has ended; whether that was needed. Cheap while it lives.

        The URL stays as it was.

        Raises:
            ConfigurationError: as for `acquire`.
            DatabaseUnavailable: as for `acquire`.
        """
        if self._use is None or is_held(self._use[0].paths.server_lock):
            return False
        site, users = self._use
        async with alone(site.paths.startup_lock, Progress(self._say)):
            await Arrival(site, users, self._port, self._say).run()
        return True

    async def release(self) -> None:
        """Leave the server. The last user stops it, and returns when it has ended."""
        if self._use is None:
            return
        site, users = self._use
        self._use = None
        async with alone(site.paths.startup_lock, Progress(self._say)):
            await self._leave(site, users)

    async def _leave(self, site: Site, users: FileLock) -> None:
        try:
            if users.try_exclusive():
                await stop(site, self._say)
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
