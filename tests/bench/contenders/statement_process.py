"""
`python -m tests.bench.contenders.statement_process DATABASE_URL MARK SECONDS`.

Runs the statement of the callback path on batches made beforehand, over two connections such as the
service has one of, and prints what it did as a `Load` in JSON, with `cpu_seconds` of its own. The
time and the processor that it takes to make the batches do not count. Through the driver, not by
pgbench, which cannot give it rows as the service does.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from statistics import quantiles
from typing import Final

import uvloop

from app.db.ingest import IngestSession, append_events
from app.domain.event import DeliveryEvent
from app.routee.translate import translate
from tests.bench.callbacks import Callbacks

_BATCH_ITEMS: Final = 64
_BATCHES_AT_ONCE: Final = 64
_CONNECTIONS: Final = 2
_TIMEOUT_SECONDS: Final = 10.0

Batch = list[DeliveryEvent]


@dataclass
class _Done:
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    #: Of each batch.
    milliseconds: list[float] = field(default_factory=list)


async def _append(session: IngestSession, batches: Iterator[Batch], done: _Done) -> None:
    async with session.connected() as connection:
        for batch in batches:
            started = time.perf_counter()
            await append_events(connection, batch)
            done.milliseconds.append(1000 * (time.perf_counter() - started))


async def _append_all(sessions: list[IngestSession], batches: list[Batch], done: _Done) -> None:
    started, cpu_started, left = time.perf_counter(), time.process_time(), iter(batches)
    await asyncio.gather(*(_append(session, left, done) for session in sessions))
    done.seconds += time.perf_counter() - started
    done.cpu_seconds += time.process_time() - cpu_started


def _made(callbacks: Callbacks) -> list[Batch]:
    def _event(body: bytes) -> DeliveryEvent:
        (record,) = translate(body).records
        assert isinstance(record, DeliveryEvent)
        return record

    return [
        [_event(body) for body in islice(callbacks, _BATCH_ITEMS)] for _ in range(_BATCHES_AT_ONCE)
    ]


async def _run(url: str, mark: str, seconds: int) -> None:
    callbacks, done = Callbacks(mark), _Done()
    sessions = [
        IngestSession(url, statement_timeout_seconds=_TIMEOUT_SECONDS) for _ in range(_CONNECTIONS)
    ]
    while done.seconds < seconds:
        await _append_all(sessions, _made(callbacks), done)
    for session in sessions:
        await session.close()
    sys.stdout.write(json.dumps(_load_of(callbacks, done)))


def _load_of(callbacks: Callbacks, done: _Done) -> dict[str, float]:
    thousandths = quantiles(done.milliseconds, n=1000)
    return {
        "answered": callbacks.sent,
        "refused": 0,
        "lost": 0,
        "sent": callbacks.sent,
        "distinct": callbacks.distinct,
        "seconds": done.seconds,
        "cpu_seconds": done.cpu_seconds,
        "connections": _CONNECTIONS,
        "p50_ms": thousandths[499],
        "p99_ms": thousandths[989],
        "p999_ms": thousandths[998],
    }


if __name__ == "__main__":
    uvloop.run(_run(sys.argv[1], sys.argv[2], int(sys.argv[3])))
