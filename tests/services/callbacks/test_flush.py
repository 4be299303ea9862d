import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import pytest
from structlog.testing import capture_logs

from app.db.launching.binding import bind
from app.domain.quarantine import Reason, quarantined
from app.errors import DatabaseUnavailable
from app.routee.translate import translate
from app.services.callbacks.flush import PendingRecord, Receipt
from tests.promises.flushing import PATH, Flushing
from tests.promises.load import Callback, callback, reply, report

#: Raises the given error for what matches, but only as often as `times` says.
_POISON = """
CREATE SEQUENCE raised;
CREATE FUNCTION poison() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF {condition} AND nextval('raised') <= {times} THEN
        RAISE EXCEPTION 'poison' USING ERRCODE = '{sqlstate}';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER poison BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION poison();
"""
_ALWAYS = 10**9
_BATCH = [callback(f"m{at}") for at in range(40)]
_BAD = callback("bad")


@pytest.fixture
async def flushing(url: str) -> AsyncIterator[Flushing]:
    flushing = Flushing(url)
    yield flushing
    await flushing.session.close()


async def _poison(
    connection: asyncpg.Connection,
    sqlstate: str,
    *,
    table: str = "messages",
    condition: str = "NEW.message_tracking_id = 'bad'",
    times: int = _ALWAYS,
) -> None:
    await connection.execute(
        _POISON.format(sqlstate=sqlstate, table=table, condition=condition, times=times)
    )


async def _stored(connection: asyncpg.Connection) -> set[str]:
    """The messages that have both a row and an event."""
    rows = await connection.fetch(
        "SELECT message_tracking_id FROM messages JOIN events USING (message_tracking_id)"
    )
    return {row[0] for row in rows}


async def _quarantined(connection: asyncpg.Connection) -> list[tuple[str, bytes]]:
    rows = await connection.fetch("SELECT reason, body FROM quarantine ORDER BY id")
    return [(row[0], row[1]) for row in rows]


def _with_bad_at(position: int) -> list[Callback]:
    return [*_BATCH[:position], _BAD, *_BATCH[position:]]


_MESSAGES_OF_BATCH = {item.identity[0] for item in _BATCH}


@pytest.mark.parametrize(
    ("sqlstate", "position"), [("22001", 0), ("22P05", 17), ("23502", 40), ("54000", 1)]
)
async def test_one_poison_row_never_harms_its_neighbours(
    flushing: Flushing, connection: asyncpg.Connection, sqlstate: str, position: int
) -> None:
    await _poison(connection, sqlstate)
    receipts = await flushing.flush(_with_bad_at(position))
    assert receipts.count(Receipt.QUARANTINED) == 1
    assert receipts[position] == Receipt.QUARANTINED
    assert await _stored(connection) == _MESSAGES_OF_BATCH
    assert await _quarantined(connection) == [(Reason.REFUSED_BY_DATABASE, _BAD.body)]


class _Unencodable(bytes):
    """A payload that the driver cannot even look at, for a reason that nobody foresaw."""

    def __len__(self) -> int:
        raise MemoryError


@pytest.mark.parametrize("position", [0, 7, 40])
async def test_a_record_that_meets_an_unforeseen_error_harms_no_other_and_is_not_blamed(
    flushing: Flushing, connection: asyncpg.Connection, position: int
) -> None:
    records = [record for item in _with_bad_at(position) for record in translate(item.body).records]
    records[position] = records[position]._replace(payload=_Unencodable(b"{}"))
    outcomes = await flushing.flush_records([PendingRecord(record, PATH) for record in records])
    assert outcomes.pop(position) == "failed"
    assert outcomes == ["stored"] * 40
    assert await _stored(connection) == _MESSAGES_OF_BATCH
    assert await _quarantined(connection) == []
    counted = flushing.metrics.registry.get_sample_value(
        "receiver_records_failed_total", {"step": "store"}
    )
    assert counted == 1
    assert await flushing.flush([_BAD]) == ["stored"]


async def test_a_row_that_a_constraint_refuses_never_harms_its_neighbours(
    flushing: Flushing, connection: asyncpg.Connection
) -> None:
    await connection.execute("ALTER TABLE events ADD CHECK (message_tracking_id <> 'bad')")
    assert (await flushing.flush(_with_bad_at(5)))[5] == Receipt.QUARANTINED
    assert await _stored(connection) == _MESSAGES_OF_BATCH
    assert await _quarantined(connection) == [(Reason.REFUSED_BY_DATABASE, _BAD.body)]


async def test_an_inbound_message_that_is_refused_never_harms_its_neighbours(
    flushing: Flushing, connection: asyncpg.Connection
) -> None:
    await connection.execute("ALTER TABLE inbound_messages ADD CHECK (message <> 'bad')")
    batch = [reply("m1", "good"), reply("m1", "bad"), callback("m1"), reply("m1", "fine")]
    receipts = await flushing.flush(batch)
    assert receipts == ["stored", "quarantined", "stored", "stored"]
    assert await connection.fetchval("SELECT count(*) FROM inbound_messages") == 2
    assert await _quarantined(connection) == [(Reason.REFUSED_BY_DATABASE, batch[1].body)]


async def test_a_report_of_a_campaign_that_is_refused_never_harms_its_neighbours(
    flushing: Flushing, connection: asyncpg.Connection
) -> None:
    await connection.execute("ALTER TABLE campaign_progress ADD CHECK (status <> 'bad')")
    batch = [report("c1"), report("c1", "bad"), callback("m1"), report("c2"), reply("m1", "x")]
    receipts = await flushing.flush(batch)
    assert receipts == ["stored", "quarantined", "stored", "stored", "stored"]
    assert await connection.fetchval("SELECT count(*) FROM campaign_progress") == 2
    assert await _stored(connection) == {"m1"}
    assert await _quarantined(connection) == [(Reason.REFUSED_BY_DATABASE, batch[1].body)]


async def test_a_campaign_that_is_refused_never_harms_the_others(
    flushing: Flushing, connection: asyncpg.Connection
) -> None:
    await connection.execute("ALTER TABLE campaigns ADD CHECK (tracking_id <> 'bad')")
    batch = [callback("m1"), callback("m2", campaign="bad"), callback("m3", campaign="fine")]
    assert await flushing.flush(batch) == ["stored", "quarantined", "stored"]
    assert await _stored(connection) == {"m1", "m3"}
    assert await _quarantined(connection) == [(Reason.REFUSED_BY_DATABASE, batch[1].body)]
    campaigns = await connection.fetch("SELECT tracking_id FROM campaigns ORDER BY 1")
    assert [row[0] for row in campaigns] == ["campaign", "fine"]


async def test_a_campaign_that_its_own_token_cannot_learn_harms_no_other_callback(
    flushing: Flushing, connection: asyncpg.Connection
) -> None:
    campaign = await _launched(connection)
    await connection.execute("ALTER TABLE campaigns ADD CHECK (tracking_id <> 'bad')")
    batch = [callback("m1", campaign=None), callback("m2", campaign="bad")]
    assert await flushing.flush(batch, token=campaign) == ["stored", "quarantined"]
    assert await _stored(connection) == {"m1"}


async def test_a_whole_batch_of_poison_is_quarantined_within_the_budget(
    flushing: Flushing, connection: asyncpg.Connection
) -> None:
    await connection.execute("ALTER TABLE events ADD CHECK (message_tracking_id < 'bad')")
    batch = [callback(f"bad{at}") for at in range(512)]
    async with asyncio.timeout(10):
        assert await flushing.flush(batch) == ["quarantined"] * 512
    assert await connection.fetchval("SELECT count(*) FROM quarantine") == 512
    assert await connection.fetchval("SELECT count(*) FROM messages") == 0


@pytest.mark.parametrize(
    ("sqlstate", "table"),
    [
        ("40P01", "messages"),
        ("40001", "events"),
        ("40001", "inbound_messages"),
        ("40P01", "campaign_progress"),
        ("40P01", "campaigns"),
        ("40001", "quarantine"),
    ],
)
async def test_a_batch_that_lost_a_conflict_is_repeated_once(
    flushing: Flushing, connection: asyncpg.Connection, sqlstate: str, table: str
) -> None:
    await _poison(connection, sqlstate, table=table, condition="true", times=1)
    batch = [
        PendingRecord(translate(callback("m1").body).records[0], PATH),
        PendingRecord(translate(reply("m1", "hello").body).records[0], PATH),
        PendingRecord(translate(report("campaign").body).records[0], PATH),
        PendingRecord(quarantined(b"?", Reason.NOT_JSON, path=PATH), PATH),
    ]
    receipts = await flushing.flush_records(batch)
    assert receipts == ["stored", "stored", "stored", "quarantined"]
    assert await _stored(connection) == {"m1"}
    assert await _quarantined(connection) == [(Reason.NOT_JSON, b"?")]


async def test_a_batch_that_lost_twice_is_for_the_provider_to_repeat(
    flushing: Flushing, connection: asyncpg.Connection
) -> None:
    await _poison(connection, "40P01", times=2)
    with pytest.raises(DatabaseUnavailable):
        await flushing.flush(_with_bad_at(3))
    assert await _quarantined(connection) == []
    assert set(await flushing.flush(_with_bad_at(3))) == {"stored"}


@pytest.mark.parametrize("table", ["messages", "events", "campaigns"])
async def test_a_sick_database_never_poisons_a_row(
    flushing: Flushing, connection: asyncpg.Connection, table: str
) -> None:
    for sqlstate in ("53100", "57014", "25006", "08006", "55P03", "XX000"):
        await _poison(connection, sqlstate, table=table, condition="true")
        with pytest.raises(DatabaseUnavailable):
            await flushing.flush(_BATCH)
        assert await _quarantined(connection) == []
        await connection.execute("DROP FUNCTION poison CASCADE; DROP SEQUENCE raised")
    assert set(await flushing.flush(_BATCH)) == {"stored"}
    assert await _stored(connection) == _MESSAGES_OF_BATCH


async def test_what_was_stored_before_the_flush_failed_is_absorbed_when_it_comes_again(
    flushing: Flushing, connection: asyncpg.Connection
) -> None:
    await _poison(connection, "53100", table="inbound_messages", condition="true", times=1)
    batch = [callback("m1"), reply("m1", "hello"), callback("m2")]
    with pytest.raises(DatabaseUnavailable):
        await flushing.flush(batch)
    assert await _stored(connection) == {"m1", "m2"}
    assert await flushing.flush(batch) == ["stored"] * 3
    for table, rows in (("events", 2), ("messages", 2), ("inbound_messages", 1)):
        assert await connection.fetchval(f"SELECT count(*) FROM {table}") == rows  # noqa: S608
    counts = "SELECT sum(messages) FROM campaign_count_deltas"
    assert await connection.fetchval(counts) == 2


async def test_the_same_reply_is_one_row_in_a_batch_and_across_processes(
    flushing: Flushing, connection: asyncpg.Connection, url: str
) -> None:
    other = Flushing(url)
    batch = [reply(f"m{at % 5}", f"text {at % 7}") for at in range(70)]
    for _ in range(5):
        await asyncio.gather(flushing.flush(batch), other.flush(list(reversed(batch))))
    assert await connection.fetchval("SELECT count(*) FROM inbound_messages") == 35
    await other.session.close()


async def test_the_same_report_is_one_row_in_a_batch_and_across_processes(
    flushing: Flushing, connection: asyncpg.Connection, url: str
) -> None:
    other = Flushing(url)
    batch = [report(f"c{at % 5}", f"word {at % 7}") for at in range(70)]
    for _ in range(5):
        await asyncio.gather(flushing.flush(batch), other.flush(list(reversed(batch))))
    assert await connection.fetchval("SELECT count(*) FROM campaign_progress") == 35
    assert await connection.fetchval("SELECT count(*) FROM messages") == 0
    counted = b'receiver_records_total{kind="campaign-progress",outcome="%b"}'
    shown = flushing.metrics.exposition() + other.metrics.exposition()
    for outcome in (b"fresh", b"duplicate"):
        assert counted % outcome in shown
    await other.session.close()


async def test_a_batch_without_reports_runs_no_statement_for_them(
    flushing: Flushing, connection: asyncpg.Connection
) -> None:
    await connection.execute("DROP FUNCTION append_progress; DROP TABLE campaign_progress CASCADE")
    assert await flushing.flush([callback("m1"), reply("m1", "x")]) == ["stored", "stored"]


async def test_the_same_bytes_set_aside_by_two_at_once_are_one_row_that_counts(
    flushing: Flushing, connection: asyncpg.Connection, url: str
) -> None:
    other = Flushing(url)
    bodies = [f"not json {at % 10}".encode() for at in range(30)]
    batch = [PendingRecord(quarantined(body, Reason.NOT_JSON, path=PATH), PATH) for body in bodies]
    for _ in range(8):
        await asyncio.gather(
            flushing.flush_records(batch), other.flush_records(list(reversed(batch)))
        )
    rows = await connection.fetch("SELECT times FROM quarantine")
    assert [row["times"] for row in rows] == [8 * 2 * 3] * 10
    await other.session.close()


async def _launched(connection: asyncpg.Connection, tracking_id: str | None = None) -> UUID:
    campaign_id: UUID = await connection.fetchval(
        "INSERT INTO campaigns (name, tracking_id, submission) VALUES ($1, $2, 'launched')"
        " RETURNING id",
        uuid4().hex,
        tracking_id,
    )
    return campaign_id


async def test_a_token_opens_only_what_it_was_made_for(
    flushing: Flushing, connection: asyncpg.Connection
) -> None:
    ours = await _launched(connection, "c1")
    await _launched(connection, "c2")
    await flushing.flush([callback("theirs", "SENT", campaign="c2")])
    before = await connection.fetch("SELECT * FROM messages")
    foreign = [
        callback("m1", campaign="c2"),
        callback("theirs", "SEEN", campaign="c1"),
        callback("theirs", "SEEN", campaign=None),
    ]
    receipts = await flushing.flush([*foreign, callback("own", campaign="c1")], token=ours)
    assert receipts == ["quarantined"] * 3 + ["stored"]
    assert await _stored(connection) == {"theirs", "own"}
    unchanged = "SELECT * FROM messages WHERE message_tracking_id = 'theirs'"
    assert await connection.fetch(unchanged) == before
    quarantined_rows = await _quarantined(connection)
    assert sorted(body for _, body in quarantined_rows) == sorted(item.body for item in foreign)
    assert {reason for reason, _ in quarantined_rows} == {Reason.CAMPAIGN_MISMATCH}


async def test_a_token_opens_reports_of_its_own_campaign_and_of_copies_only(
    flushing: Flushing, connection: asyncpg.Connection
) -> None:
    ours, _ = await _launched(connection), await _launched(connection, "c2")
    batch = [report("c2"), report("c1"), report("c2", "Finished"), report("copy")]
    receipts = await flushing.flush(batch, token=ours)
    assert receipts == ["quarantined", "stored", "quarantined", "stored"]
    stored = await connection.fetch("SELECT campaign_tracking_id FROM campaign_progress ORDER BY 1")
    assert [row[0] for row in stored] == ["c1", "copy"]
    tracking_id = await connection.fetchval("SELECT tracking_id FROM campaigns WHERE id = $1", ours)
    assert tracking_id == "c1"
    assert sorted(await _quarantined(connection)) == sorted(
        (Reason.CAMPAIGN_MISMATCH, batch[at].body) for at in (0, 2)
    )


async def test_a_copied_campaign_is_stored_counted_and_warned_of_once(
    flushing: Flushing, connection: asyncpg.Connection
) -> None:
    ours = await _launched(connection, "c1")
    with capture_logs() as logs:
        for at in range(3):
            batch = [callback(f"m{at}", campaign="copy"), callback(f"n{at}", campaign="copy")]
            assert await flushing.flush(batch, token=ours) == ["stored"] * 2
    assert len([line for line in logs if "copied in the console" in line["event"]]) == 1
    assert b"receiver_campaign_copies_total 1.0" in flushing.metrics.exposition()
    tracking_id = await connection.fetchval("SELECT tracking_id FROM campaigns WHERE id = $1", ours)
    assert tracking_id == "c1"


async def test_a_copy_that_turns_out_to_be_another_campaign_of_ours_is_foreign_from_then_on(
    flushing: Flushing, connection: asyncpg.Connection
) -> None:
    ours, other = await _launched(connection, "c1"), await _launched(connection)
    assert await flushing.flush([callback("m1", campaign="c2")], token=ours) == ["stored"]
    assert await flushing.flush([callback("m2", campaign="c2")], token=other) == ["quarantined"]
    assert await bind(connection, other, "c2"), "Routee's answer says so"
    assert await flushing.flush([callback("m2", campaign="c2")], token=other) == ["stored"]
    assert await flushing.flush([callback("m3", campaign="c2")], token=ours) == ["quarantined"]


async def test_callbacks_of_one_message_through_several_tokens_in_one_batch(
    flushing: Flushing, connection: asyncpg.Connection
) -> None:
    one, two = await _launched(connection, "c1"), await _launched(connection, "c2")
    batch = [
        PendingRecord(translate(item.body, campaign_id=token).records[0], PATH)
        for item, token in [
            (callback("m1", "SENT", campaign=None), one),
            (callback("m1", "SEEN", campaign=None), two),
            (callback("m1", "DELIVERED", campaign=None), None),
        ]
    ]
    assert await flushing.flush_records(batch) == ["stored", "quarantined", "stored"]
    row = await connection.fetchrow("SELECT campaign_tracking_id, status FROM messages")
    assert row is not None
    assert tuple(row) == ("c1", "DELIVERED")
