"""
What very many events cost: `python -m tests.bench scale_bytes … --events 10000000`.

A full database is compared with a small one on the same server, in turn: how fast events are
stored, how long readers wait, and how many bytes an event takes with all that follows from it.
"""

import time
from random import Random
from typing import Final

from tests.bench import beside_dashboards, scale_analysts, scale_pages
from tests.bench.cluster import Cluster
from tests.bench.figure import Bound, Figure
from tests.bench.group import Findings, Group, Setting
from tests.bench.scale_analysts import ANALYSTS, fold_all
from tests.bench.scale_ingest import rates, warm_up
from tests.bench.scale_pages import PAGES_PART
from tests.bench.scale_reads import READS, latencies
from tests.bench.scale_sides import Side, loaded
from tests.bench.scale_sizes import sizes_of
from tests.bench.stage import serving
from tests.database import connect

_INGEST: Final = "scale_ingest"
_BYTES: Final = "scale_bytes"
_DASHBOARDS: Final = "scale_dashboards"
_EVENT_BYTES: Final = Bound(1000, is_ceiling=True)
_SEED: Final = 1
#: Events are stored for so many times as long as other things are measured.
_TIMES: Final = 2
_WARM_UP_TIMES: Final = 6


async def measure(setting: Setting) -> Findings:
    """All figures of this group."""
    started = time.monotonic()
    async with loaded(setting.folder, setting.events, setting.say) as (big, small):
        took = {"events": setting.events, "seconds": round(time.monotonic() - started, 1)}
        findings = await measured(setting, big, small)
    findings.details["scale_loaded"] = took
    return findings


async def measured(setting: Setting, big: Side, small: Side) -> Findings:
    """All figures of two databases that are there; first their roll-ups are brought up to date."""
    findings = Findings()
    fold_seconds = await fold_all(big, setting.say)
    await fold_all(small, lambda _: None)
    if setting.wants(_BYTES):
        findings.add(await _bytes(big))
    for name in READS:
        if setting.wants(name):
            findings.add(await _read(setting, name, big, small))
    if setting.wants(PAGES_PART):
        findings.add(await scale_pages.measure(setting, big))
    if setting.wants(ANALYSTS):
        findings.add(await scale_analysts.measure(setting, big, fold_seconds=fold_seconds))
    if setting.wants(_INGEST):
        findings.add(await _ingest(setting, big, small))
    if setting.wants(_DASHBOARDS):
        findings.add(await _dashboards(setting, big))
    return findings


async def _bytes(side: Side) -> Findings:
    connection = await connect(side.url, timeout=60)
    sizes = await sizes_of(connection)
    await connection.close()
    figures = [
        Figure(_BYTES, "bytes stored for an event", [sizes.per_event], _EVENT_BYTES),
        Figure(
            f"{_BYTES}_to_payload",
            "bytes stored for an event ÷ bytes of its payload",
            [sizes.per_event / sizes.payload],
        ),
    ]
    return Findings(figures, details={_BYTES: sizes.document()})


async def _read(setting: Setting, name: str, big: Side, small: Side) -> Findings:
    read, rng = READS[name], Random(_SEED)  # noqa: S311 (no secret)
    setting.say(f"in turn: {read.says}")
    found = [await latencies(read, big, small, rng) for _ in range(setting.rounds)]
    says = f"{read.says}: time with much in the database ÷ with little"
    figure = Figure(name, says, [each.ratio for each in found], read.bound)
    return Findings([figure], details={name: [each._asdict() for each in found]})


async def _dashboards(setting: Setting, big: Side) -> Findings:
    cluster = Cluster(big.url, setting.folder / "data" / "postgres")
    async with serving(cluster, setting.folder) as stage:
        return await beside_dashboards.measured(setting, stage, _DASHBOARDS)


async def _ingest(setting: Setting, big: Side, small: Side) -> Findings:
    setting.say("in turn: storing events")
    await warm_up(big, small, seconds=_WARM_UP_TIMES * setting.seconds)
    found = [
        await rates(big, small, f"round {number}", seconds=_TIMES * setting.seconds)
        for number in range(setting.rounds)
    ]
    says = "events stored with much in the database ÷ with little"
    figure = Figure(_INGEST, says, [each.ratio for each in found], Bound(0.85, aim=0.95))
    return Findings([figure], details={_INGEST: [each._asdict() for each in found]})


GROUP: Final = Group(
    "scale",
    "what very many events cost (--events), beside few",
    measure,
    parts=(_BYTES, *READS, PAGES_PART, ANALYSTS, _INGEST, _DASHBOARDS),
)
