import json
import re
import subprocess
from typing import Any

import asyncpg
import pytest

from app.db.database import Database
from app.db.embedded.binaries import find_binaries
from app.db.payloads import opened
from app.domain.erasure import ErasureKeys
from app.domain.retention import Retention
from app.errors import ErasureNotConfigured, InvalidRequest
from app.kit.uuid7 import uuid7
from app.services import erasure
from app.services.erased import ErasedRecipients
from app.services.erasure import Erasing
from app.services.intake import Receipt
from app.services.screening import Screen
from tests.promises.load import Callback, callback, reply, stories
from tests.services.kept_stage import Kept

DIGITS = "306912345678"
NUMBER = f"+{DIGITS}"
OTHER = "+306987654321"
KEYS = ErasureKeys(["a-key-of-the-tests-0123456789abcdef"])
STATISTICS = (
    "SELECT status, count(*) FROM messages GROUP BY 1 ORDER BY 1",
    "SELECT status_key, count(*), count(DISTINCT recipient) FROM events GROUP BY 1 ORDER BY 1",
    "SELECT count(*), count(DISTINCT sender) FROM inbound_messages",
    "SELECT hour, identity, events FROM bi_rollup_hourly WHERE label = 'spring' ORDER BY 1, 2",
    "SELECT sum(events) FROM bi_rollup_hourly",
    "SELECT feed_epoch, xid, id FROM events ORDER BY 1, 2, 3",
    "SELECT feed_epoch, xid, id FROM inbound_messages ORDER BY 1, 2, 3",
)


@pytest.fixture
def kept(url: str, connection: asyncpg.Connection) -> Kept:
    return Kept(url, connection)


@pytest.fixture(autouse=True)
def _nobody_else_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "LEARNT_WITHIN_SECONDS", 0)


def _changed(one: Callback, **changes: Any) -> Callback:  # noqa: ANN401 (any JSON)
    return one._replace(body=json.dumps(json.loads(one.body) | changes).encode())


def _failed(message: str, to: str, description: str) -> Callback:
    reason = {"detailedStatus": "Absent", "description": description}
    status = {"name": "FAILED", "reason": reason, "updatedDate": "2026-03-01T00:00:00Z"}
    return _changed(callback(message, "FAILED"), to=to, status=status)


EVERYTHING = [
    *stories("m", 3, campaigns=2),
    _changed(callback("bare"), to=DIGITS),
    _changed(callback("spaced"), to="+30 691 234 5678"),
    _changed(callback("calling"), to=f"00{DIGITS}"),
    _changed(callback("labelled"), label=f"to {NUMBER}"),
    _changed(callback("text"), body={"text": "hello"}),
    _failed("failed", NUMBER, f"no answer from {NUMBER}"),
    _failed("quoting", OTHER, f"forwarded from {DIGITS}"),
    _changed(callback("other"), to=OTHER),
    _changed(callback("payload only"), to=OTHER, sessionId=DIGITS),
    reply("m-0", "call me at +30 691 234 5678"),
    _changed(reply("m-1", "no sender"), **{"from": None}),
    _changed(reply("other", f"ask {DIGITS}"), **{"from": OTHER}),
    Callback(("q", "q"), f"to={DIGITS}&status=x".encode()),
    Callback(("q", "r"), b"nothing of anybody"),
]


async def _launch(kept: Kept, submission: str) -> None:
    request = {"to": [NUMBER, OTHER], "body": {"text": f"from {NUMBER}"}, "label": "x"}
    answer = {"to": [NUMBER, OTHER], "viberAnalysis": {"recipientCountries": {NUMBER: "GR"}}}
    await kept.connection.execute(
        "INSERT INTO campaigns (id, name, submission, request, answer, warnings)"
        " VALUES ($1, $2, $3, $4, $5, $6)",
        uuid7(),
        f"campaign {submission}",
        submission,
        json.dumps(request).encode(),
        json.dumps(answer).encode(),
        json.dumps([{"field": "to[0]", "message": f"look at {NUMBER}"}]),
    )
    await kept.connection.execute(
        "INSERT INTO idempotency_keys (api_key_id, key, fingerprint, campaign_id)"
        " VALUES ($1, $2, '', $1)",
        uuid7(),
        f"order-{DIGITS}",
    )


async def _everything(connection: asyncpg.Connection) -> str:
    """All that is stored, of every column of every table, the payloads opened."""
    tables = await connection.fetch(
        "SELECT oid::regclass::text AS name FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    samples = "SELECT concat_ws(' ', most_common_vals::text, histogram_bounds::text) FROM pg_stats"
    found = [_shown(row[0]) for row in await connection.fetch(samples)]
    for (name,) in tables:
        for row in await connection.fetch(f"SELECT t.* FROM {name} t"):  # noqa: S608
            found += [_shown(value) for value in row.values()]
            if "payload_dictionary" in row and row["payload"] is not None:
                found.append(_shown(opened(row["payload"], row["payload_dictionary"])))
    return "\n".join(found)


def _shown(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


async def _erase(kept: Kept, number: str = NUMBER, **options: bool) -> dict[str, int]:
    done = await Erasing(kept.url, KEYS).erase(number, asked_by="the tests", **options)
    return {table: rows for table, rows in done.rows.items() if rows}


async def _statistics(kept: Kept) -> list[list[tuple[Any, ...]]]:
    return [[tuple(row) for row in await kept.connection.fetch(query)] for query in STATISTICS]


def _screen() -> Screen:
    return Screen(ErasedRecipients(KEYS), Retention())


def _digits_in(text: str) -> list[str]:
    return re.findall(r"3\W{0,2}0\W{0,2}6\W{0,2}9\W{0,2}1\W{0,2}2\W{0,2}3\W{0,2}4.*", text)


async def test_nothing_of_an_erased_recipient_is_found_in_any_table_or_dump(kept: Kept) -> None:
    await kept.store(EVERYTHING)
    await _launch(kept, "launched")
    await _launch(kept, "unconfirmed")
    await kept.connection.execute("ANALYZE")
    assert _digits_in(await _everything(kept.connection))
    found = await _erase(kept)
    assert found.keys() == {
        "messages",
        "events",
        "inbound_messages",
        "quarantine",
        "campaigns",
        "idempotency_keys",
    }
    stored = await _everything(kept.connection)
    assert _digits_in(stored) == []
    assert _digits_in(_dump(kept.url)) == []
    assert "hello" not in stored
    assert "call me" not in stored
    assert OTHER in stored
    assert "nothing of anybody" in stored


def _dump(url: str) -> str:
    program = find_binaries().folder / "bin" / "pg_dump"
    command = [str(program), "--inserts", "--dbname", url]
    return subprocess.run(command, check=True, capture_output=True).stdout.decode()  # noqa: S603


async def test_statistics_and_the_feed_stay_what_they_were(kept: Kept) -> None:
    # Spellings that Routee does not use would be told apart before, and are one recipient after.
    await kept.store([one for one in EVERYTHING if one.identity[0] not in {"spaced", "calling"}])
    before = await _statistics(kept)
    failures = await kept.number("SELECT sum(messages) FROM bi_failure_reasons")
    await _erase(kept)
    assert await _statistics(kept) == before
    await kept.store([])
    assert await kept.number("SELECT sum(messages) FROM bi_failure_reasons") == failures
    assert await kept.number("SELECT count(*) FROM bi_failure_reasons WHERE messages < 0") == 0


async def test_a_second_erasure_finds_nothing(kept: Kept) -> None:
    await kept.store(EVERYTHING)
    await _launch(kept, "launched")
    assert await _erase(kept)
    assert await _erase(kept) == {}
    again = await Erasing(kept.url, KEYS).erase(DIGITS, asked_by="the tests")
    assert again.is_repeated


async def test_what_comes_late_is_made_unknown_and_counted_as_it_would_have_been(
    kept: Kept,
) -> None:
    await kept.store(EVERYTHING)
    await _erase(kept)
    before = await _statistics(kept)
    screen = _screen()
    assert Receipt.STORED in await kept.store(EVERYTHING, screen=screen)
    assert await _statistics(kept) == before
    assert await kept.store([callback("late", "SEEN")], screen=screen) == {Receipt.STORED}
    row = await kept.connection.fetchrow(
        "SELECT recipient, payload FROM events WHERE message_tracking_id = 'late'"
    )
    assert row is not None
    assert row["recipient"].startswith("erased:")
    assert row["payload"] is None
    known = await kept.connection.fetchval(
        "SELECT recipient FROM messages WHERE message_tracking_id = 'm-0'"
    )
    assert row["recipient"] == known


async def test_a_dry_run_changes_nothing(kept: Kept) -> None:
    await kept.store(EVERYTHING)
    before = await _everything(kept.connection)
    assert await _erase(kept, dry_run=True)
    assert await _everything(kept.connection) == before


async def test_who_asked_is_on_record_and_the_number_is_not(kept: Kept) -> None:
    await kept.store(EVERYTHING)
    counts = await _erase(kept)
    row = await kept.connection.fetchrow("SELECT * FROM erasures")
    assert row is not None
    assert (row["kind"], row["asked_by"]) == ("erase", "the tests")
    assert row["ended_at"] is not None
    assert {name: rows for name, rows in json.loads(row["counts"]).items() if rows} == counts


async def test_an_erasure_is_lifted(kept: Kept) -> None:
    await _erase(kept)
    erasing = Erasing(kept.url, KEYS)
    assert await erasing.lift(NUMBER, asked_by="the tests")
    assert not await erasing.lift(NUMBER, asked_by="the tests")
    await kept.store([callback("m")], screen=_screen())
    assert await kept.texts("SELECT recipient FROM messages") == [NUMBER]


async def test_a_key_that_came_later_still_finds_whom_an_older_one_erased(kept: Kept) -> None:
    await _erase(kept)
    rotated = ErasureKeys(["a-new-key-of-the-tests-0123456789abc", *_KEY_TEXTS])
    screen = Screen(ErasedRecipients(rotated), Retention())
    await kept.store([callback("m")], screen=screen)
    (recipient,) = await kept.texts("SELECT recipient FROM messages")
    assert recipient is not None
    assert recipient.startswith("erased:")


_KEY_TEXTS = ["a-key-of-the-tests-0123456789abcdef"]


async def test_a_process_looks_itself_when_what_it_knows_is_old(kept: Kept) -> None:
    erased = ErasedRecipients(KEYS)
    database = Database(kept.url, name="tests")
    await erased.refresh(database)
    assert not erased.is_stale
    await _erase(kept)
    await kept.store([callback("before")], screen=Screen(erased, Retention()))
    erased._learnt_at -= 10
    await kept.store([callback("after")], screen=Screen(erased, Retention()))
    rows = await kept.connection.fetch("SELECT message_tracking_id, recipient FROM messages")
    found = {row[0]: row[1] for row in rows}
    assert found["before"] == NUMBER
    assert found["after"] != NUMBER
    await database.close()


async def test_an_open_launch_goes_on_without_the_recipient(kept: Kept) -> None:
    await _launch(kept, "unconfirmed")
    await _erase(kept)
    request = await kept.connection.fetchval("SELECT request FROM campaigns")
    assert json.loads(request)["to"] == [OTHER]


async def test_without_a_key_nobody_is_erased_and_it_is_said_how_to_make_one(kept: Kept) -> None:
    with pytest.raises(ErasureNotConfigured, match="RECEIVER_ERASURE_KEYS"):
        await Erasing(kept.url, ErasureKeys([])).erase(NUMBER, asked_by="the tests")


@pytest.mark.parametrize("number", ["", "12345", "+3069x12345678", "1" * 16])
async def test_what_is_no_number_is_refused(kept: Kept, number: str) -> None:
    with pytest.raises(InvalidRequest):
        await Erasing(kept.url, KEYS).erase(number, asked_by="the tests")
