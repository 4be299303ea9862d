"""Replaying the quarantine: what becomes of bodies of each kind, and what does not change."""

import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from app.db.count_folding import CountFolding
from app.db.database import Database
from app.db.erasure.recipients import add_erased
from app.db.feed.positions import position_before
from app.db.ingest import IngestSession, append_quarantined
from app.db.quarantine import BodyPage, QuarantineFilter
from app.domain.erasure import ErasureKeys, digits_of
from app.domain.event import Source
from app.domain.quarantine import Quarantined, Reason, ReplayOutcome, quarantined
from app.domain.retention import Retention, retention_of_days
from app.errors import ErasureNotConfigured
from app.observability.metrics import Metrics
from app.routee.content import Content
from app.routee.tracking import TRACKING_PATH
from app.services.callbacks.flush import PendingRecord
from app.services.callbacks.reading import Body, Reader
from app.services.callbacks.screening import Screen
from app.services.callbacks.storing import Store
from app.services.erasure.erased_recipients import ErasedRecipients
from app.services.quarantine import Replays
from tests.promises.load import callback, changed, reply

PATH = "/callbacks/***/status"
KEYS = ErasureKeys(["a-key-of-the-tests-for-erasure-0123456789"])
NUMBER = "+306912345678"
ALL = QuarantineFilter()
MAX_BODY_BYTES = 4000
KEEP_ALL = retention_of_days(raw=None, events=None, messages=None, inbound=None)
EARLIER = datetime.now(UTC) - timedelta(days=5)
FEED = "SELECT id FROM events UNION ALL SELECT id FROM inbound_messages ORDER BY id"
BODIES = (
    "SELECT id, sha256, reason, body, times, received_at, last_received_at FROM quarantine"
    " ORDER BY id"
)


class LaterReader(Reader):
    """A later version, which also reads a callback that is written backwards."""

    def read_in_pieces(self, body: Body) -> Iterator[Sequence[PendingRecord]]:
        octets = body.octets
        return super().read_in_pieces(
            body._replace(octets=octets[::-1] if octets.endswith(b"{") else octets)
        )


class FailingReader(Reader):
    def read_in_pieces(self, body: Body) -> Iterator[Sequence[PendingRecord]]:
        if b"fail" in body.octets:
            raise MemoryError
        return super().read_in_pieces(body)


@dataclass
class Stage:
    """What stores callbacks and replays them, as the composition root builds it."""

    url: str
    keys: ErasureKeys = KEYS
    retention: Retention = KEEP_ALL
    reader_type: type[Reader] = Reader
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.database = Database(self.url, name="tests", pool_items=2)
        self.reader = self.reader_type(self.metrics, max_body_bytes=MAX_BODY_BYTES)
        session = IngestSession(self.url, statement_timeout_seconds=30)
        screen = Screen(ErasedRecipients(self.keys), self.retention)
        self.store = Store(session, self.metrics, screen=screen)
        self.replays = Replays(
            self.database,
            self.reader,
            self.store,
            self.metrics,
            erasure_keys=self.keys,
            budget_seconds=30,
        )

    async def receive(
        self, octets: bytes, *, token: UUID | None = None, content: Content | None = None
    ) -> None:
        """As a callback, which is read by this stage's version."""
        for piece in self.reader.read_in_pieces(Body(octets, PATH, token, content)):
            await self.store.store(piece)

    async def close(self) -> None:
        await self.replays.close()
        await self.database.close()

    async def replay_all(self) -> list[tuple[str | None, str | None]]:
        """Outcome and reason of each."""
        page = await self.replays.replay_page(ALL, after=None, limit=100)
        assert page.end is None
        return [(body.replay_outcome, body.replay_reason) for body in page.bodies]


Stages = Callable[..., Stage]


@pytest.fixture
async def stage_with(url: str) -> AsyncIterator[Stages]:
    """Makes stages on the database of this test."""
    made: list[Stage] = []

    def _make(**parts: Any) -> Stage:  # noqa: ANN401 (the fields of a stage)
        made.append(Stage(url, **parts))
        return made[-1]

    yield _make
    for stage in made:
        await stage.close()


async def _rows(connection: asyncpg.Connection, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await connection.fetch(query)]


async def _everything(connection: asyncpg.Connection) -> list[list[tuple[Any, ...]]]:
    tables = ("events", "messages", "inbound_messages", "campaign_counts", "quarantine")
    return [await _rows(connection, f"SELECT * FROM {table}") for table in tables]  # noqa: S608


async def _counts(connection: asyncpg.Connection, stage: Stage) -> dict[str, int]:
    await CountFolding(stage.database).fold()
    return dict(await _rows(connection, "SELECT status, messages FROM campaign_counts"))


async def _quarantine(connection: asyncpg.Connection, body: Quarantined) -> int:
    """Put *body* into the quarantine, as received days ago; its id."""
    await append_quarantined(connection, [body], EARLIER)
    return int(await connection.fetchval("SELECT max(id) FROM quarantine"))


async def test_what_a_later_parser_reads_is_stored_as_first_received_and_only_once(
    stage_with: Stages, connection: asyncpg.Connection
) -> None:
    today, later = stage_with(), stage_with(reader_type=LaterReader)
    backwards = callback("m1").body[::-1]
    for octets in (callback("m0").body, backwards, backwards):
        await today.receive(octets)
    await connection.execute("UPDATE quarantine SET received_at = $1", EARLIER)
    before = await _rows(connection, BODIES)
    assert before[0][4] == 2
    assert await today.replay_all() == [("not-stored", "not-json")]
    feed = await _rows(connection, FEED)

    assert await later.replay_all() == [("stored", None)]
    assert (await _rows(connection, FEED))[:1] == feed  # what is replayed is the next item
    received = "SELECT message_tracking_id, received_at FROM events ORDER BY id"
    assert (await _rows(connection, received))[1:] == [("m1", EARLIER)]
    assert await _counts(connection, later) == {"DELIVERED": 2}
    assert await _rows(connection, BODIES) == before

    everything = await _everything(connection)
    assert await later.replay_all() == []
    again = await later.replays.replay(before[0][0])
    assert again is not None
    assert again.replay_outcome == ReplayOutcome.STORED
    await later.receive(backwards)  # Routee repeats it once more
    assert await _everything(connection) == everything
    counted = later.metrics.registry.get_sample_value(
        "receiver_quarantine_replayed_total", {"outcome": "stored"}
    )
    assert counted == 1


async def test_a_replay_absorbs_what_was_stored_meanwhile(
    stage_with: Stages, connection: asyncpg.Connection
) -> None:
    stage = stage_with()
    one = callback("m1").body
    await stage.receive(one)
    (stored,) = await _rows(connection, "SELECT * FROM events")
    await _quarantine(connection, quarantined(one, Reason.REFUSED_BY_DATABASE, path=PATH))
    assert await stage.replay_all() == [("stored", None)]
    assert await _rows(connection, "SELECT * FROM events") == [stored]


_GOOD = json.loads(callback("m1").body)
#: One body for each reason but the last three of `Reason`, in their order.
_UNREADABLE = (
    (b'{"trackingId": "\xff', None),
    (b"{", None),
    (b"{}0", Content(encoding="br")),
    (b"{}1", Content(encoding="gzip")),
    (gzip.compress(b" " * (MAX_BODY_BYTES + 1), mtime=0), Content(encoding="gzip")),
    (b"3", None),
    (json.dumps([_GOOD, 3]).encode(), None),
    (json.dumps({"messages": [{}] * 1001}).encode(), None),
    (b"{}", None),
    (b'{"trackingId": "m1"}', None),
    (json.dumps(_GOOD | {"trackingId": "x" * 600}).encode(), None),
)
_OLD = changed(callback("old"), status={"name": "SEEN", "updatedDate": "2011-01-01T00:00:00Z"})


async def test_what_still_cannot_be_stored_says_why_and_does_not_pile_up(
    stage_with: Stages, connection: asyncpg.Connection
) -> None:
    stage = stage_with(retention=_events_kept(3000))
    for octets, content in _UNREADABLE:
        await stage.receive(octets, content=content)
    campaign = await _add_campaign(connection)
    await stage.receive(callback("m1", "SEEN").body, token=campaign)
    await stage.receive(_OLD.body)
    others = {Reason.REFUSED_BY_DATABASE, Reason.DAMAGED_BUFFER_MESSAGE, Reason.UNFORESEEN_ERROR}
    reasons = [one for one in Reason if one not in others]
    bodies = await _rows(connection, BODIES)
    assert [row[2] for row in bodies] == reasons
    stored = await _rows(connection, "SELECT * FROM events")
    for _ in range(2):
        assert await stage.replay_all() == [
            ("partly-stored" if one is Reason.PARTLY_UNREADABLE else "not-stored", one)
            for one in reasons
        ]
    assert await _rows(connection, BODIES) == bodies
    assert await _rows(connection, "SELECT * FROM events") == stored

    # The campaign is known by that id now, and retention keeps everything.
    await connection.execute("DELETE FROM campaigns WHERE submission = 'observed'")
    await connection.execute("UPDATE campaigns SET tracking_id = 'campaign'")
    keeping = stage_with()
    assert (await keeping.replay_all())[-2:] == [("stored", None), ("stored", None)]
    words = "SELECT message_tracking_id, status_key FROM events ORDER BY id"
    assert (await _rows(connection, words))[1:] == [("m1", "SEEN"), ("old", "SEEN")]


async def test_a_body_is_read_with_its_headers_and_stays_marked_as_an_element(
    stage_with: Stages, connection: asyncpg.Connection
) -> None:
    stage = stage_with()
    campaign = await _add_campaign(connection)
    compressed = gzip.compress(callback("m1").body, mtime=0)
    await _quarantine(
        connection,
        quarantined(compressed, Reason.UNKNOWN_ENCODING, path=PATH, content_encoding="x-gzip"),
    )
    await stage.receive(callback("m2").body)
    greek = changed(callback("m2", "SEEN"), label="\u039d\u0391\u0399").body
    document = json.dumps(json.loads(greek), ensure_ascii=False).encode("cp1253")
    declared = Content(type="application/json; charset=windows-1253")
    ill_formed = document.replace(b"Shop", b"Sh\xaap")
    await stage.receive(ill_formed, token=campaign, content=declared)
    await stage.receive(
        json.dumps([json.loads(callback("m2", "SENT").body)]).encode(), token=campaign
    )
    kept = "SELECT reason, body, content_type, payload_reserialised FROM quarantine ORDER BY id"
    ((*_, no_type, _), as_it_came, element) = await _rows(connection, kept)
    assert no_type == ""
    assert as_it_came == ("campaign-mismatch", ill_formed, declared.type, False)
    assert (element[0], element[2:]) == ("campaign-mismatch", ("", True))
    await connection.execute("DELETE FROM campaigns WHERE submission = 'observed'")
    await connection.execute("UPDATE campaigns SET tracking_id = 'campaign'")
    assert await stage.replay_all() == [("stored", None)] * 3
    stored = (
        "SELECT message_tracking_id, status_key, label, payload_reserialised, campaign_id"
        " FROM events ORDER BY id"
    )
    assert await _rows(connection, stored) == [
        ("m2", "DELIVERED", "spring", False, None),
        ("m1", "DELIVERED", "spring", False, None),
        ("m2", "SEEN", "\u039d\u0391\u0399", False, campaign),
        ("m2", "SENT", "spring", True, campaign),
    ]


async def test_what_came_before_the_horizon_of_retention_is_expired_whatever_its_own_time(
    stage_with: Stages, connection: asyncpg.Connection
) -> None:
    now = datetime.now(UTC).isoformat()
    recent = changed(callback("m1"), status={"name": "SEEN", "updatedDate": now}).body
    await _quarantine(connection, quarantined(recent, Reason.NOT_JSON, path=PATH))
    short = stage_with(retention=_events_kept(4))
    assert await short.replay_all() == [("not-stored", "expired")]
    assert await _rows(connection, FEED) == []
    enough = stage_with(retention=_events_kept(6))
    assert await enough.replay_all() == [("stored", None)]


async def test_an_instant_is_found_in_the_feed_although_older_items_were_replayed_since(
    stage_with: Stages, connection: asyncpg.Connection
) -> None:
    stage = stage_with()
    await stage.store.store(_read(stage, callback("old").body))
    await connection.execute("UPDATE events SET received_at = $1", EARLIER - timedelta(days=1))
    for at in range(3):
        await stage.receive(callback(f"new-{at}").body)
    for one in (callback("replayed"), reply("new-1", "Yes"), callback("also")):
        await _quarantine(connection, quarantined(one.body, Reason.NOT_JSON, path=PATH))
    assert await stage.replay_all() == [("stored", None)] * 3
    position = await position_before(stage.database, datetime.now(UTC) - timedelta(days=1))
    later = "SELECT message_tracking_id FROM events WHERE xid::text::bigint > $1 ORDER BY id"
    found = [row[0] for row in await connection.fetch(later, position.xid)]
    assert found == ["new-0", "new-1", "new-2", "replayed", "also"]


async def test_a_replay_brings_no_erased_number_back(
    stage_with: Stages, connection: asyncpg.Connection
) -> None:
    later = stage_with(reader_type=LaterReader)
    body_id = await _quarantine(
        connection, quarantined(callback("m1").body[::-1], Reason.NOT_JSON, path=PATH)
    )
    emptied = quarantined(b"", Reason.NOT_JSON, path=PATH)._replace(sha256=b"another")
    await _quarantine(connection, emptied)
    await add_erased(later.database, KEYS.hashes_of(digits_of(NUMBER))[0])
    with pytest.raises(ErasureNotConfigured, match="RECEIVER_ERASURE_KEYS"):
        await stage_with(keys=ErasureKeys([]), reader_type=LaterReader).replays.replay(body_id)
    assert await later.replay_all() == [("stored", None), ("erased", None)]
    shown = "SELECT recipient, payload FROM events"
    ((recipient, payload),) = await _rows(connection, shown)
    assert recipient.startswith("erased:")
    assert payload is None


async def test_a_body_that_meets_an_unforeseen_error_harms_no_other(
    stage_with: Stages, connection: asyncpg.Connection
) -> None:
    stage = stage_with(reader_type=FailingReader)
    for octets in (b"fail", callback("m1").body):
        await _quarantine(connection, quarantined(octets, Reason.NOT_JSON, path=PATH))
    assert await stage.replay_all() == [("failed", None), ("stored", None)]


async def test_a_page_of_replays_ends_in_time_and_says_where_the_next_one_begins(
    stage_with: Stages, connection: asyncpg.Connection
) -> None:
    stage = stage_with()
    for octets in (b"1", b"2", b"3"):
        await _quarantine(connection, quarantined(octets, Reason.NOT_JSON, path=PATH))
    pages: list[BodyPage] = [await stage.replays.replay_page(ALL, after=None, limit=2, seconds=0)]
    while (end := pages[-1].end) is not None:
        pages.append(await stage.replays.replay_page(ALL, after=end, limit=2))
    assert [len(page.bodies) for page in pages][:2] == [1, 2]
    assert {body.replay_reason for page in pages for body in page.bodies} == {"not-an-object"}


async def test_a_dry_run_says_what_could_be_stored_and_stores_nothing(
    stage_with: Stages, connection: asyncpg.Connection
) -> None:
    stage = stage_with()
    ids = [
        await _quarantine(connection, quarantined(octets, Reason.NOT_JSON, path=PATH))
        for octets in (callback("m1").body, _UNREADABLE[6][0], b"{")
    ]
    before = await _everything(connection)
    verdicts = [await stage.replays.verdict_on(one) for one in ids]
    assert verdicts == [
        (ReplayOutcome.STORED, None),
        (ReplayOutcome.PARTLY_STORED, Reason.PARTLY_UNREADABLE),
        (ReplayOutcome.NOT_STORED, Reason.NOT_JSON),
    ]
    assert await _everything(connection) == before
    assert await stage.replays.verdict_on(max(ids) + 1) is None


def _events_kept(days: int) -> Retention:
    return retention_of_days(raw=None, events=days, messages=None, inbound=None)


def _read(stage: Stage, octets: bytes) -> Sequence[PendingRecord]:
    return stage.reader.read(Body(octets, PATH, None))


async def _add_campaign(connection: asyncpg.Connection) -> UUID:
    """A campaign of ours that is not the one of the callbacks of these tests."""
    campaign_id = uuid4()
    await connection.execute(
        "INSERT INTO campaigns (id, tracking_id, submission, name)"
        " VALUES ($1, 'another', 'launched', 'spring')",
        campaign_id,
    )
    return campaign_id


async def test_a_status_of_routees_tracking_is_stored_as_one(
    stage_with: Stages, connection: asyncpg.Connection
) -> None:
    body = callback("m1", "SEEN").body
    await connection.execute(
        "INSERT INTO quarantine (sha256, reason, path, body) VALUES ($1, $2, $3, $4)",
        hashlib.sha256(body).digest(),
        Reason.CAMPAIGN_MISMATCH,
        TRACKING_PATH,
        body,
    )
    assert await stage_with().replay_all() == [("stored", None)]
    assert await connection.fetchval("SELECT source FROM events") == Source.TRACKING
