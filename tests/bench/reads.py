"""
How fast what is stored is read: the service beside PostgREST on tables with the same facts.

PostgREST verifies no key and makes no entity tag.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import httpx

from app.domain.feed import Position
from app.sandbox.processes import HOST
from tests.bench import reads_stored
from tests.bench.cluster import PLAIN_TABLES, Cluster
from tests.bench.contenders.contender import Unavailable
from tests.bench.contenders.postgrest_binary import postgrest
from tests.bench.figure import Bound, Figure
from tests.bench.group import Findings, Group, Setting
from tests.bench.processes import running
from tests.bench.reads_wrk import Load, asked, written
from tests.bench.stage import Stage, staged
from tests.database import connect
from tests.promises.stage import eventually, free_port

_VIEWS: Final = Path(__file__).with_name("reads.sql")
_WARM_UP_SECONDS: Final = 1
_SAYS: Final = {
    "message": "one message",
    "status": "the status of one message",
    "lookup": "100 messages at once",
    "feed": "pages of 1000 items of the feed, from 100 positions",
    "feed_shared": "pages of 1000 items of the feed, from one position",
}
_BOUNDS: Final = {
    "message": Bound(1.5, 3),
    "status": Bound(1.5, 3),
    "lookup": Bound(1),
    "feed": Bound(1),
    "feed_shared": Bound(1),
}


class _Server(NamedTuple):
    """One that is asked, with a file of requests for each thing that is measured."""

    url: str
    headers: Mapping[str, str]
    files: Mapping[str, Path]

    async def load(self, what: str, seconds: int) -> Load:
        await self._finishes(what)
        return await asked(self.url, self.files[what], self.headers, seconds=seconds)

    async def _finishes(self, what: str) -> None:
        """Return when it has done what wrk no longer waited for, so that the next is not slowed."""
        method, path, body = self.files[what].read_text().partition("\n")[0].split("\t")
        async with httpx.AsyncClient(base_url=self.url, timeout=60, trust_env=False) as client:
            answer = await client.request(method, path, content=body, headers=self.headers)
        assert answer.is_success, answer.text


async def measure(setting: Setting) -> Findings:
    """Each kind of reading, by both in turn."""
    findings = Findings()
    try:
        async with _opened(setting) as servers:
            for what, says in _SAYS.items():
                await _compare(what, says, servers, setting, findings)
    except Unavailable as error:
        findings.skipped.append(f"reads: {error}")
    return findings


async def _compare(
    what: str, says: str, servers: Mapping[str, _Server], setting: Setting, findings: Findings
) -> None:
    setting.say(f"reading {says}")
    loads: dict[str, list[Load]] = {name: [] for name in servers}
    for server in servers.values():
        await server.load(what, _WARM_UP_SECONDS)
    for number in range(setting.rounds):
        for name in list(servers)[:: -1 if number % 2 else 1]:
            load = await servers[name].load(what, setting.seconds)
            loads[name].append(load)
            if load.refused or load.lost:
                findings.faults.append(f"reads, {what}, {name}: {load.refused=} {load.lost=}")
    ratios = [
        ours.per_second / theirs.per_second
        for ours, theirs in zip(loads["ours"], loads["postgrest"], strict=True)
    ]
    findings.figures.append(
        Figure(f"read_{what}_to_postgrest", f"{says}: ours ÷ PostgREST", ratios, _BOUNDS[what])
    )
    for name, each in loads.items():
        rates = [load.per_second for load in each]
        findings.figures.append(Figure(f"read_{what}_{name}", f"{says}: {name}, a second", rates))
    findings.details[f"read_{what}"] = {
        name: [load._asdict() for load in each] for name, each in loads.items()
    }


@asynccontextmanager
async def _opened(setting: Setting) -> AsyncIterator[Mapping[str, _Server]]:
    binary = await postgrest()
    setting.say(f"starting the service and PostgREST, storing {reads_stored.MESSAGES} messages")
    async with staged(setting.folder) as stage:
        positions = await _stored(stage.cluster)
        ours = {
            name: written(setting.folder / f"ours-{name}.txt", requests)
            for name, requests in reads_stored.of_ours(positions).items()
        }
        theirs = {
            name: written(setting.folder / f"postgrest-{name}.txt", requests)
            for name, requests in reads_stored.of_postgrest(positions).items()
        }
        key = {"Authorization": f"Bearer {stage.key}", "Content-Type": "application/json"}
        async with _serving(binary, stage, setting.folder) as url:
            yield {
                "ours": _Server(f"http://{HOST}:{stage.port}", key, ours),
                "postgrest": _Server(url, {}, theirs),
            }


async def _stored(cluster: Cluster) -> list[Position]:
    connection = await connect(cluster.url)
    try:
        await reads_stored.store(connection)
        await connection.execute(PLAIN_TABLES.read_text())
        await connection.execute(_VIEWS.read_text())
        await connection.execute("VACUUM ANALYZE")
        return await reads_stored.positions(connection)
    finally:
        await connection.close()


@asynccontextmanager
async def _serving(binary: Path, stage: Stage, folder: Path) -> AsyncIterator[str]:
    """The URL of a PostgREST in front of the views."""
    port = free_port()
    settings = {
        "DB_URI": stage.cluster.url,
        "DB_ANON_ROLE": await stage.cluster.value("SELECT current_user"),
        "DB_SCHEMAS": "bench_reads",
        "DB_POOL": "10",
        "DB_CHANNEL_ENABLED": "false",
        "LOG_LEVEL": "crit",
        "OPENAPI_MODE": "disabled",
        "SERVER_HOST": HOST,
        "SERVER_PORT": str(port),
    }
    environment = {**os.environ, **{f"PGRST_{name}": value for name, value in settings.items()}}
    url = f"http://{HOST}:{port}"
    async with running(binary, environment=environment, log=folder / "postgrest.log"):
        await eventually(lambda: _answers(f"{url}/messages?limit=1"))
        yield url


async def _answers(url: str) -> bool:
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            return (await client.get(url)).is_success
        except httpx.TransportError:
            return False


GROUP: Final = Group("reads", "how fast what is stored is read, beside PostgREST", measure)
