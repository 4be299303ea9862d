"""
What a load needs: disk, memory, connections and cores, each figure with the reason for it.

The constants are measured figures of docs/capacity.md, which says on what; change both together.
"""

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Final, NamedTuple

GIGABYTE: Final = 1_000_000_000
_DAYS_OF_A_MONTH: Final = 365.25 / 12
_SECONDS_OF_A_DAY: Final = 86_400

# Bytes of one row.
_EVENT_BYTES: Final = 286
_EVENT_INDEX_BYTES: Final = 164
_PAYLOAD_BYTES: Final = 206
_MESSAGE_BYTES: Final = 391
_MESSAGE_INDEX_BYTES: Final = 411
_ROLL_UP_BYTES: Final = 150
_REPLY_BYTES: Final = 1_060

# Bytes of WAL for one event, soon after a checkpoint, in batches of 64.
_WAL_BYTES: Final = 2_300
#: `max_wal_size` of the embedded server.
_WAL_ON_DISK_BYTES: Final = 4 * GIGABYTE
_WAL_DAYS: Final = 7
_BASE_BACKUPS: Final = 2
#: Of the tables: dead rows until VACUUM, and room for building an index again.
_HEADROOM: Final = 0.3

# Seconds of a core for one callback.
_SERVICE_SECONDS: Final = 0.000_111
_DATABASE_SECONDS: Final = 0.000_087 + 0.000_022
#: A core that does more than half of what it can answers late in bursts.
_BUSY: Final = 0.5

_PROCESS_BYTES: Final = 250_000_000
_SESSION_BYTES: Final = 25_000_000
_SYSTEM_BYTES: Final = 1 * GIGABYTE
#: Sessions of PostgreSQL's superuser, monitoring, a backup, `migrate` and other commands.
_SPARE_CONNECTIONS: Final = 20


class Load(NamedTuple):
    """
    What is expected.

    Attributes:
        per_day: Callbacks a day, more than 0.
        months: For how long they come.
        peak: The busiest second ÷ the average one.
        per_message: Callbacks of one message.
        reply_percent: Replies to 100 messages.
        raw_days: For how many days payloads are kept; None: as long as their events.
        events_days: For how many days events are kept; None: for ever.
        messages_days: For how many days messages are kept; None: for ever.
        inbound_days: For how many days replies are kept; None: for ever.
        processes: Processes of `serve`, workers counted each.
        analysts: Connections of analysts' programs at once.
    """

    per_day: int
    months: int
    peak: float
    per_message: float
    reply_percent: float
    raw_days: int | None
    events_days: int | None
    messages_days: int | None
    inbound_days: int | None
    processes: int
    analysts: int


class Figure(NamedTuple):
    """One figure: what it is of (`disk`, …), its name, its value in *unit*, and why it is that."""

    part: str
    name: str
    value: float
    unit: str
    because: str


class Pools(NamedTuple):
    """
    Connections, at most, by what they are for.

    Attributes:
        each: Of one process of `serve`.
        once: Of all processes together.
        allowed: `max_connections` of the server that they are compared with.
    """

    each: Mapping[str, int]
    once: Mapping[str, int]
    allowed: int


def estimate(load: Load, pools: Pools) -> list[Figure]:
    """What *load* needs at the end of its months, with the connections of *pools*."""
    tables = list(_tables(load))
    own = load.processes * sum(pools.each.values()) + sum(pools.once.values())
    needed = own + load.analysts + _SPARE_CONNECTIONS
    return [
        *_rates(load),
        *tables,
        *_other_disk(load, sum(figure.value for figure in tables)),
        *_connections(load, pools, needed),
        *_memory(load, needed),
        *_cores(load),
    ]


def _per_second(load: Load) -> float:
    return load.per_day / _SECONDS_OF_A_DAY


def _kept(load: Load, *limits: int | None) -> float:
    """For how many days something is kept that is removed with the first of *limits*."""
    return min([load.months * _DAYS_OF_A_MONTH, *(days for days in limits if days is not None)])


def _rates(load: Load) -> Iterator[Figure]:
    average = _per_second(load)
    yield Figure("rate", "average", average, "/s", f"{load.per_day:,} callbacks a day")
    because = f"{load.peak:g} times the average: campaigns are sent in a few hours of the day"
    yield Figure("rate", "peak", average * load.peak, "/s", because)


def _tables(load: Load) -> Iterator[Figure]:
    days = _kept(load, load.events_days)
    events = load.per_day * days
    yield _disk("events", events, _EVENT_BYTES, f"{days:.0f} days of events")
    yield _disk("indexes of events", events, _EVENT_INDEX_BYTES, "for each of them")
    days = _kept(load, load.raw_days, load.events_days)
    because = f"{days:.0f} days of payloads, compressed"
    yield _disk("payloads", load.per_day * days, _PAYLOAD_BYTES, because)
    a_day = load.per_day / load.per_message
    # A message stays until its last event is gone.
    days = _kept(load) if load.events_days is None else _kept(load, load.messages_days)
    because = f"{days:.0f} days, {load.per_message:g} callbacks a message"
    yield _disk("messages", a_day * days, _MESSAGE_BYTES, because)
    yield _disk("indexes of messages", a_day * days, _MESSAGE_INDEX_BYTES, "for each of them")
    all_days = _kept(load)
    because = f"{all_days:.0f} days: nothing removes them"
    yield _disk("counts and roll-ups", a_day * all_days, _ROLL_UP_BYTES, because)
    days = _kept(load, load.inbound_days)
    because = f"{days:.0f} days, {load.reply_percent:g} to 100 messages, with indexes"
    yield _disk("replies", a_day * days * load.reply_percent / 100, _REPLY_BYTES, because)


def _disk(name: str, rows: float, bytes_each: int, because: str) -> Figure:
    return Figure("disk", name, rows * bytes_each / GIGABYTE, "GB", f"{because}, {bytes_each} B")


def _other_disk(load: Load, tables: float) -> Iterator[Figure]:
    room = tables * _HEADROOM
    because = f"{_HEADROOM:.0%} of the tables: dead rows until VACUUM, building an index again"
    yield Figure("disk", "headroom", room, "GB", because)
    wal = _WAL_ON_DISK_BYTES / GIGABYTE
    yield Figure("disk", "WAL", wal, "GB", "max_wal_size; more while it cannot be archived")
    because = "all of the above: the disk of the database"
    yield Figure("disk", "total", tables + room + wal, "GB", because)
    archive = load.per_day * _WAL_BYTES * _WAL_DAYS / GIGABYTE
    because = f"{_WAL_DAYS} days of archived WAL, {_WAL_BYTES:,} B an event, not compressed"
    yield Figure("backup", "WAL archive", archive, "GB", because)
    because = f"{_BASE_BACKUPS} base backups as large as the tables, not compressed"
    yield Figure("backup", "base backups", tables * _BASE_BACKUPS, "GB", because)


def _connections(load: Load, pools: Pools, needed: int) -> Iterator[Figure]:
    for name, items in pools.each.items():
        yield Figure("connections", name, items, "", "at most, of each process of serve")
    for name, items in pools.once.items():
        yield Figure("connections", name, items, "", "at most, of all processes together")
    because = (
        f"{load.processes} processes, {load.analysts} of analysts, {_SPARE_CONNECTIONS} for "
        f"commands, backups and monitoring; max_connections is {pools.allowed}: "
        f"{'enough' if needed <= pools.allowed else 'TOO FEW'}"
    )
    yield Figure("connections", "total", needed, "", because)


def _memory(load: Load, needed: int) -> Iterator[Figure]:
    service = load.processes * _PROCESS_BYTES / GIGABYTE
    because = f"{load.processes} processes, {_PROCESS_BYTES // 1_000_000} MB each"
    yield Figure("memory", "service", service, "GB", because)
    hot = load.per_day * _kept(load, 31, load.events_days)
    hot_bytes = hot * (_EVENT_INDEX_BYTES + _MESSAGE_INDEX_BYTES / load.per_message)
    cached = (hot_bytes + needed * _SESSION_BYTES + _SYSTEM_BYTES) / GIGABYTE
    because = (
        "the indexes of a month in the cache, "
        f"{_SESSION_BYTES // 1_000_000} MB a connection, 1 GB for the system; a quarter of it as "
        "shared_buffers"
    )
    yield Figure("memory", "database", cached, "GB", because)


def _cores(load: Load) -> Iterator[Figure]:
    peak = _per_second(load) * load.peak
    for name, seconds in (("service", _SERVICE_SECONDS), ("database", _DATABASE_SECONDS)):
        because = f"{seconds * 1000:.3f} ms a callback, half busy at the peak, at least 1"
        yield Figure("cores", name, max(1, ceil(peak * seconds / _BUSY)), "", because)
