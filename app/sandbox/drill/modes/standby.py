"""Standby mode: replicas of `serve`, and a primary whose commits wait for one of two standbys."""

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.db.database import migrate_database
from app.db.drill.breaking import change_server
from app.errors import ReceiverError
from app.sandbox.drill.mode import Build, Mode
from app.sandbox.drill.modes.direct import SERVER_SETTINGS
from app.sandbox.drill.plan import FaultKind, PlannedFault
from app.sandbox.drill.serving import Injection
from app.sandbox.drill.sessions import session_kinds, takes_writes
from app.sandbox.processes import eventually
from app.sandbox.replicas import ReplicaSet, Server

_LANE: Final = "servers"


class StandbyMode(Mode):
    """Two replicas of the service on three servers; a killed primary is replaced by a standby."""

    name = "standby"

    def __init__(
        self, folder: Path, build: Build, settings: Mapping[str, str], *, seconds: float
    ) -> None:
        super().__init__(folder, build, settings, seconds=seconds)
        self._servers = ReplicaSet(folder / "servers")
        self._frozen_sessions: set[int] = set()
        self.left_out.append("no full disk: in direct mode only")

    @property
    def database_url(self) -> str:
        """The URL of all servers, of which a session gets the one that takes writes."""
        return self._servers.url

    @property
    def needed_settings(self) -> Mapping[str, str]:
        """Which standbys a commit waits for."""
        names = ", ".join(server.name for server in self._servers.servers)
        return {"synchronous_standby_names": f"ANY 1 ({names})"}

    async def start(self) -> None:
        """Start everything; return when it is ready."""
        await self._servers.start()
        await migrate_database(self.database_url)
        for server in self._servers.servers:
            await change_server(server.url, SERVER_SETTINGS)
        await self._start_replicas(self._database_kinds())

    async def _heal_database(self, *, within_seconds: float) -> None:
        async def _is_complete() -> bool:
            with suppress(ReceiverError):
                await self._bring_back()
                return await takes_writes(self._servers.primary.url)
            return False

        await eventually(_is_complete, within_seconds=within_seconds)

    async def _restart_database(self) -> None:
        await self._servers.stop()
        await self._bring_back()

    async def _stop_database(self) -> None:
        await self._servers.stop()

    def _database_kinds(self) -> list[tuple[FaultKind, Injection]]:
        """Each failure of the servers and of sessions, with what injects it."""
        kinds: list[tuple[FaultKind, Injection]] = [
            (FaultKind("primary lost", _LANE, (0.2, 2.0), weight=3), self._lose_primary),
            (FaultKind("primary frozen", _LANE, (0.5, 3.0), weight=2), self._freeze_primary),
            (FaultKind("standby killed", _LANE, (0.2, 2.0), weight=2), self._kill_standby),
            (FaultKind("standby frozen", _LANE, (0.5, 3.0)), self._freeze_standby),
            (FaultKind("all standbys frozen", _LANE, (0.5, 4.0)), self._freeze_standbys),
        ]
        sessions = session_kinds(
            lambda: self._servers.primary.url,
            freeze=self._freeze_session,
            thaw=self._thaw_sessions,
        )
        return [*kinds, *sessions]

    async def _lose_primary(self, fault: PlannedFault) -> None:
        """Kill the primary, promote the standby that has most, and bring the old one back."""
        lost = self._servers.primary
        await self._servers.kill_primary()
        await asyncio.sleep(fault.seconds)
        promoted = await self._servers.promote()
        # It may be a copy of a server that was read-only.
        await takes_writes(promoted.url)
        await self._servers.rejoin(lost.index)

    async def _freeze_primary(self, fault: PlannedFault) -> None:
        await _freeze([self._servers.primary], fault.seconds)

    async def _freeze_standby(self, fault: PlannedFault) -> None:
        await _freeze([self._standby(fault)], fault.seconds)

    async def _freeze_standbys(self, fault: PlannedFault) -> None:
        """No commit is acknowledged meanwhile: the service has to refuse."""
        await _freeze(list(self._servers.standbys), fault.seconds)

    async def _kill_standby(self, fault: PlannedFault) -> None:
        standby = self._standby(fault)
        await standby.kill()
        await asyncio.sleep(fault.seconds)
        await standby.start()
        await self._servers.all_stream()

    def _standby(self, fault: PlannedFault) -> Server:
        standbys = self._servers.standbys
        return standbys[int(fault.draw * len(standbys))]

    def _freeze_session(self, pid: int) -> None:
        """SIGSTOP *pid*, which the primary has named a moment ago."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            self._frozen_sessions.add(pid)

    def _thaw_sessions(self) -> None:
        while self._frozen_sessions:
            with suppress(ProcessLookupError):
                os.kill(self._frozen_sessions.pop(), signal.SIGCONT)

    async def _bring_back(self) -> None:
        """
        Start each server that does not run, the primary first; a new one if it cannot be.

        Raises:
            ReceiverError: a server does not start.
        """
        self._thaw_sessions()
        primary = self._servers.primary
        for server in (primary, *self._servers.standbys):
            server.thaw()
        if not primary.is_running:
            await primary.start()
        for standby in self._servers.standbys:
            if not standby.is_running:
                await standby.start()
        await self._servers.all_stream()


async def _freeze(servers: list[Server], seconds: float) -> None:
    for server in servers:
        server.freeze()
    try:
        await asyncio.sleep(seconds)
    finally:
        for server in servers:
            server.thaw()
