import asyncio
import gzip
import json
import re
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from app.db import finishing
from app.db.database import Database
from app.db.erasure import other_tables
from app.db.erasure.recipients import Erased, add_erased
from app.db.erasure.rollups import Rollup, redact_rollups
from app.db.ingest import IngestSession
from app.domain.erasure import ErasureKeys, spelling_pattern
from app.domain.retention import Retention, retention_of_days
from app.errors import DatabaseUnavailable, ErasureInProgress, ErasureNotConfigured, InvalidRequest
from app.kit.uuid7 import uuid7
from app.observability.metrics import Metrics
from app.routee.content import Content
from app.services.callbacks.intake import Receipt
from app.services.callbacks.screening import Screen
from app.services.erasure import erasures, scan
from app.services.erasure.erased_recipients import ErasedRecipients
from app.services.erasure.erasures import Eraser
from app.services.finishing import finish_due
from tests.database import connect
from tests.promises.load import Callback, callback, reply, report, stories
from tests.promises.stage import eventually
from tests.services.callbacks.intakes import intake_on
from tests.services.erasure.erased_stage import digits_in, everything, everything_in_a_dump, samples
from tests.services.kept_stage import PATH, Kept

DIGITS = "306912345678"
NUMBER = f"+{DIGITS}"
OTHER = "+306987654321"
KEYS = ErasureKeys(["a-key-of-the-tests-0123456789abcdef"])
PSEUDONYM = KEYS.hashes_of(DIGITS)[0].pseudonym.encode()
STATISTICS = (
    "SELECT status, count(*) FROM messages GROUP BY 1 ORDER BY 1",
    "SELECT status_key, count(*), count(DISTINCT recipient) FROM events GROUP BY 1 ORDER BY 1",
    "SELECT count(*), count(DISTINCT sender) FROM inbound_messages",
    "SELECT hour, identity, events FROM bi_rollup_hourly WHERE label = 'spring' ORDER BY 1, 2",
    "SELECT sum(events) FROM bi_rollup_hourly",
    "SELECT feed_epoch, xid, id FROM events ORDER BY 1, 2, 3",
    "SELECT feed_epoch, xid, id FROM inbound_messages ORDER BY 1, 2, 3",
    "SELECT id, campaign_tracking_id, total_recipients FROM campaign_progress ORDER BY 1",
)


@pytest.fixture
def kept(url: str, connection: asyncpg.Connection) -> Kept:
    return Kept(url, connection)


@pytest.fixture(autouse=True)
def _no_wait_for_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasures, "KNOWN_WITHIN_SECONDS", 0)


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
    report("c-1", callbackInfo={"url": f"https://x.example/?to=%2B{DIGITS}"}),
    report("c-2", "Paused by " + NUMBER, name=DIGITS, messageStatuses={f"To {NUMBER}": 1}),
    report("c-2", "of nobody"),
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


async def _erase(kept: Kept, number: str = NUMBER, **options: bool) -> dict[str, int]:
    done = await Eraser(kept.url, KEYS).erase(number, asked_by="the tests", **options)
    return {table: rows for table, rows in done.rows.items() if rows}


async def test_what_the_feed_tells_of_an_erased_recipient_is_pseudonymised(
    kept: Kept, tmp_path: Path
) -> None:
    await kept.store(EVERYTHING)
    await _launch(kept, "unconfirmed")
    await kept.connection.execute(
        "UPDATE campaigns SET submission = 'rejected', label = $1, submission_reason = $2"
        " WHERE submission = 'unconfirmed'",
        f"for {DIGITS}",
        f"{NUMBER} is malformed; not of {OTHER}",
    )
    await kept.connection.execute(
        "UPDATE campaigns SET created_at = now() - interval '20 days';"
        " UPDATE bi_campaign_facts SET last_created_at = NULL;"
        " UPDATE messages SET status_rank = 1, status = 'QUEUED'"
    )
    database = Database(kept.url, name="tests", pool_items=2)
    await finish_due(database)
    await database.close()
    positions = "SELECT id, xid, type, message_tracking_id FROM notices ORDER BY id"
    before = await kept.connection.fetch(positions)
    to = "SELECT count(*) FROM notices WHERE data ->> 'to' = $1"
    assert (theirs := await kept.number(to, NUMBER)) > 3
    others = await kept.number(to, OTHER)
    assert (await _erase(kept))["notices"] == theirs + 1
    after = await kept.connection.fetch(positions)
    assert after[:-1] == before
    assert after[-1]["type"] == "recipient.erased"
    assert await kept.number(to, PSEUDONYM.decode()) == theirs
    assert await kept.number(to, OTHER) == others
    assert digits_in(await everything_in_a_dump(kept.url, tmp_path / "dump")) == []
    (told,) = await kept.texts(
        "SELECT data ->> 'submissionReason' FROM notices WHERE type = 'campaign.rejected'"
    )
    assert told == f"{PSEUDONYM.decode()} is malformed; not of {OTHER}"


async def test_a_number_that_is_being_told_of_while_it_is_erased_is_found(
    kept: Kept,
) -> None:
    """The duty that finishes campaigns has read the number, and commits while erasure runs."""
    await kept.store([_changed(callback("m", "SENT"), campaignTrackingId="c")])
    await kept.connection.execute(
        "UPDATE campaigns SET created_at = now() - interval '20 days';"
        " UPDATE bi_campaign_facts SET last_created_at = NULL"
    )
    telling = await connect(kept.url)
    transaction = telling.transaction()
    await transaction.start()
    statement = str(finishing._OF_TRACKING_ID)
    for name, value in {
        "id": f"'{uuid7()}'",
        "tracking_id": "'c'",
        "upto": "''",
        "most": "9",
    }.items():
        statement = re.sub(rf"(?<!:):{name}\b", value, statement)
    await telling.execute(statement)
    erasing = asyncio.create_task(_erase(kept))
    await asyncio.sleep(1)
    assert not erasing.done()
    await transaction.commit()
    await telling.close()
    assert (await erasing)["notices"] == 1
    assert digits_in(await everything(kept.connection)) == []


async def _statistics(kept: Kept) -> list[list[tuple[Any, ...]]]:
    return [[tuple(row) for row in await kept.connection.fetch(query)] for query in STATISTICS]


def _screen() -> Screen:
    return Screen(ErasedRecipients(KEYS), Retention())


async def test_nothing_of_an_erased_recipient_is_found_in_any_table_or_dump(
    kept: Kept, tmp_path: Path
) -> None:
    await kept.store(EVERYTHING)
    await _launch(kept, "launched")
    await _launch(kept, "unconfirmed")
    await kept.connection.execute("ANALYZE")
    assert digits_in(await everything(kept.connection))
    found = await _erase(kept)
    assert found.keys() == {
        "messages",
        "events",
        "inbound_messages",
        "quarantine",
        "campaigns",
        "campaign_progress",
        "idempotency_keys",
    }
    stored = await everything(kept.connection)
    assert digits_in(stored) == []
    assert digits_in(await everything_in_a_dump(kept.url, tmp_path / "dump")) == []
    assert "hello" not in stored
    assert "call me" not in stored
    assert OTHER in stored
    assert "nothing of anybody" in stored


async def test_statistics_and_the_feed_stay_what_they_were(kept: Kept) -> None:
    # Spellings that Routee does not use count as recipients of their own before, and not after.
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
    again = await Eraser(kept.url, KEYS).erase(DIGITS, asked_by="the tests")
    assert again.is_repeated


async def test_late_callbacks_are_pseudonymised_and_counted_as_before(
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


_TIMELESS = [
    _changed(callback("t"), to=DIGITS, status={"name": "SEEN"}, sessionId="1"),
    _changed(callback("t"), to=DIGITS, status={"name": "SEEN"}, sessionId="2"),
    _changed(callback("t"), to=DIGITS, status={}, sessionId="2"),
]
_DIGESTS = "SELECT digest FROM events WHERE message_tracking_id = 't' ORDER BY 1"


async def _digests(kept: Kept) -> list[bytes]:
    return [row[0] for row in await kept.connection.fetch(_DIGESTS)]


async def test_late_callbacks_without_a_time_are_recognised_by_a_pseudonymised_digest(
    kept: Kept,
) -> None:
    await kept.store(_TIMELESS)
    plain = await _digests(kept)
    assert len(set(plain)) == len(_TIMELESS)
    await _erase(kept)
    pseudonymised = await _digests(kept)
    assert not set(plain) & set(pseudonymised)
    await kept.store(_TIMELESS, screen=_screen())
    assert await _digests(kept) == pseudonymised
    await _erase(kept)
    assert await _digests(kept) == pseudonymised


async def test_an_event_that_is_stored_under_both_digests_does_not_stop_an_erasure(
    kept: Kept,
) -> None:
    await kept.store(_TIMELESS)
    await _erase(kept)
    await kept.store(_TIMELESS)
    await _erase(kept)
    assert len(set(await _digests(kept))) == 2 * len(_TIMELESS)


async def test_a_dry_run_changes_nothing(kept: Kept) -> None:
    await kept.store(EVERYTHING)
    before = await everything(kept.connection)
    assert await _erase(kept, dry_run=True)
    assert await everything(kept.connection) == before


async def test_an_erasure_is_recorded_with_its_requester_and_without_the_number(kept: Kept) -> None:
    await kept.store(EVERYTHING)
    counts = await _erase(kept)
    row = await kept.connection.fetchrow("SELECT * FROM erasures")
    assert row is not None
    assert (row["kind"], row["asked_by"]) == ("erase", "the tests")
    assert row["ended_at"] is not None
    assert {name: rows for name, rows in json.loads(row["counts"]).items() if rows} == counts


async def test_an_erasure_is_lifted(kept: Kept) -> None:
    await _erase(kept)
    erasing = Eraser(kept.url, KEYS)
    assert await erasing.lift(NUMBER, asked_by="the tests")
    assert not await erasing.lift(NUMBER, asked_by="the tests")
    await kept.store([callback("m")], screen=_screen())
    assert await kept.texts("SELECT recipient FROM messages") == [NUMBER]


async def test_after_a_key_rotation_erased_recipients_are_still_recognised(kept: Kept) -> None:
    await _erase(kept)
    rotated = ErasureKeys(["a-new-key-of-the-tests-0123456789abc", *_KEY_TEXTS])
    screen = Screen(ErasedRecipients(rotated), Retention())
    await kept.store([callback("m")], screen=screen)
    (recipient,) = await kept.texts("SELECT recipient FROM messages")
    assert recipient is not None
    assert recipient.startswith("erased:")


_KEY_TEXTS = ["a-key-of-the-tests-0123456789abcdef"]


async def test_a_flush_reads_the_erased_recipients_when_they_are_stale(kept: Kept) -> None:
    erased = ErasedRecipients(KEYS)
    database = Database(kept.url, name="tests")
    await erased.refresh(database)
    assert not erased.is_stale
    await _erase(kept)
    await kept.store([callback("before")], screen=Screen(erased, Retention()))
    erased._read_at -= 10
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


async def test_without_a_key_an_erasure_is_refused_with_how_to_make_one(kept: Kept) -> None:
    with pytest.raises(ErasureNotConfigured, match="RECEIVER_ERASURE_KEYS"):
        await Eraser(kept.url, ErasureKeys([])).erase(NUMBER, asked_by="the tests")


@pytest.mark.parametrize("number", ["", "12345", "+3069x12345678", "1" * 16])
async def test_an_invalid_number_is_refused(kept: Kept, number: str) -> None:
    with pytest.raises(InvalidRequest):
        await Eraser(kept.url, KEYS).erase(number, asked_by="the tests")


async def test_every_spelling_is_found_by_the_scan_and_by_the_screen(kept: Kept) -> None:
    bodies = [f"{number:>03}: {spelt}" for number, spelt in enumerate(SPELLINGS)]
    bodies += [f"{number:>03}! {spelt}" for number, spelt in enumerate(SPELLINGS)]
    callbacks = [Callback(("q", body), body.encode()) for body in bodies]
    await kept.store(callbacks[: len(SPELLINGS)])
    assert (await _erase(kept))["quarantine"] == len(SPELLINGS)
    await kept.store(callbacks[len(SPELLINGS) :], screen=_screen())
    assert await kept.number("SELECT count(*) FROM quarantine") == 2 * len(SPELLINGS)
    assert await kept.number("SELECT count(*) FROM quarantine WHERE body LIKE '%erased:%'") == (
        2 * len(SPELLINGS)
    )


async def test_postgresql_finds_what_python_finds(kept: Kept) -> None:
    pattern = spelling_pattern(DIGITS)
    for spelt in SPELLINGS:
        assert re.search(pattern, spelt), spelt
        assert await kept.connection.fetchval("SELECT $1 ~ $2", spelt, pattern), spelt
    for other in OTHERS:
        assert not re.search(pattern, other), other
        assert not await kept.connection.fetchval("SELECT $1 ~ $2", other, pattern), other


async def test_a_number_in_escaped_digits_of_other_scripts_is_found_by_scan_and_screen(
    kept: Kept,
) -> None:
    hidden = ["\\u0663\\u06606912345678", "%D9%A3%D9%A06912345678", "\\ud835\\udfd106912345678"]
    bodies = [Callback(("q", one), f"{{to: {one}".encode()) for one in hidden]
    await kept.store(bodies)
    assert (await _erase(kept))["quarantine"] == len(hidden)
    await kept.connection.execute("TRUNCATE quarantine")
    await kept.store(bodies, screen=_screen())
    assert await kept.number("SELECT count(*) FROM quarantine WHERE body LIKE '%erased:%'") == (
        len(hidden)
    )


@pytest.mark.parametrize(
    ("erased", "received"),
    [
        ("0030 691 234 5678", NUMBER),
        ("\u0663\u0660\u0666\u0669\u0661\u0662345678", "0030\u00a0691-2345678"),
        ("tel:+30-691-234-5678", [int(DIGITS)]),
        (" 306912345678", "3.06912345678E+11"),
    ],
)
async def test_a_recipient_is_erased_in_one_spelling_and_recognised_in_another(
    kept: Kept, erased: str, received: object
) -> None:
    await kept.store([_changed(callback("before"), to=received)])
    await _erase(kept, erased)
    await kept.store([_changed(callback("after"), to=received)], screen=_screen())
    rows = await kept.connection.fetch("SELECT recipient, payload FROM events")
    pseudonym = KEYS.hashes_of(DIGITS)[0].pseudonym
    assert [tuple(row) for row in rows] == [(pseudonym, None)] * 2


SPELLINGS = [
    f"%22{DIGITS}%22",
    f"to=%20{DIGITS}",
    f'"\\u00a0{DIGITS}"',
    "+30\u00a0691\u00a0234\u00a05678",
    "+30\u2009691\u2013234\u20115678",
    f"2026-03-01 {DIGITS} FAILED",
    f"5 {DIGITS}",
    f"12.50 {DIGITS}",
    "%2B30%20691%20234%205678",
    "30%C2%A0691%C2%A02345678",
    "\\u0033\\u0030\\u0036912345678",
    "\u0663\u0660\u0666\u0669\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668",
    "+\uff13\uff10\u00a0\uff16\uff19\uff11\u20602345678",
    "\u0660\u0660\u0663\u06606912345678",
    "(30) - 691 - 2345678",
    "3.06912345678E+11",
    "to=3,06912345678e11",
]
OTHERS = [f"9{DIGITS}", f"{DIGITS}9", "306%34912345678", f"{DIGITS}%30", f"{DIGITS}\\u0030"]


async def test_an_unreadable_body_keeps_what_is_of_other_people(
    kept: Kept,
) -> None:
    theirs, of_others = json.loads(callback("theirs").body), {"to": OTHER, "n": 1.50}
    array = json.dumps([theirs, of_others, "no object", {"of": [NUMBER, OTHER]}]).encode()
    latin = f"to={NUMBER}&from=".encode() + b"\xe9\xff " + OTHER.encode()
    one = json.dumps({"of": "nothing that we know", "to": NUMBER, "text": "secret"}).encode()
    bodies = [Callback(("q", str(at)), body) for at, body in enumerate((array, latin, one))]
    for screen in (None, _screen()):
        await kept.connection.execute("TRUNCATE quarantine")
        await kept.store(bodies, screen=screen)
        if screen is None:
            await _erase(kept)
        rows = await kept.connection.fetch("SELECT body FROM quarantine ORDER BY id")
        left = [row[0] for row in rows]
        assert json.loads(left[0]) == [of_others, "no object", {"of": [OTHER]}]
        assert left[1] == latin.replace(
            NUMBER.encode(), KEYS.hashes_of(DIGITS)[0].pseudonym.encode()
        )
        assert left[2] == b""


async def test_a_reply_stored_again_during_an_interrupted_erasure_does_not_stop_it(
    kept: Kept,
) -> None:
    answer = reply("m", "thanks")
    await kept.store([callback("m"), answer])
    await _know(kept)
    await kept.store([answer], screen=_screen())
    assert await kept.number("SELECT count(*) FROM inbound_messages") == 1
    # As if it had been stored between the two: under the identity that the erasure is to give.
    await kept.connection.execute(
        "INSERT INTO inbound_messages (identity, sender) SELECT $1, $2",
        KEYS.hashes_of(DIGITS)[0].pseudonymised(
            await kept.connection.fetchval("SELECT identity FROM inbound_messages")
        ),
        KEYS.hashes_of(DIGITS)[0].pseudonym,
    )
    assert (await _erase(kept))["inbound_messages"] == 1
    await kept.store([answer], screen=_screen())
    assert await kept.number("SELECT count(*) FROM inbound_messages") == 2
    assert digits_in(await everything(kept.connection)) == []


async def test_a_recipient_is_erased_again_after_a_lift(kept: Kept) -> None:
    answer = reply("m", "thanks")
    await kept.store([answer])
    await _erase(kept)
    await Eraser(kept.url, KEYS).lift(NUMBER, asked_by="the tests")
    await kept.store([answer], screen=_screen())
    assert (await _erase(kept))["inbound_messages"] == 1
    assert digits_in(await everything(kept.connection)) == []
    assert await kept.number("SELECT count(message) FROM inbound_messages") == 0


async def test_a_report_of_a_campaign_keeps_what_is_of_nobody(kept: Kept) -> None:
    named = report("c", "Paused by " + NUMBER, messageStatuses={f"To {NUMBER}": 1, "Sent": 2})
    await kept.store([named, report("c", "Finished")])
    assert await _erase(kept) == {"campaign_progress": 1}
    await kept.store([named, report("c", "Finished")], screen=_screen())
    rows = await kept.connection.fetch("SELECT * FROM campaign_progress ORDER BY id")
    pseudonym = KEYS.hashes_of(DIGITS)[0].pseudonym
    assert [row["status"] for row in rows] == [f"Paused by {pseudonym}", "Finished"]
    assert json.loads(rows[0]["message_statuses"]) == {f"To {pseudonym}": 1, "Sent": 2}
    assert [row["payload"] is None for row in rows] == [True, False]
    assert digits_in(await everything(kept.connection)) == []


async def test_a_report_that_comes_before_the_erasure_reaches_it_is_still_one(kept: Kept) -> None:
    named = report("c", callbackInfo={"to": NUMBER})
    await kept.store([named])
    await _know(kept)
    await kept.store([named], screen=_screen())
    assert await kept.number("SELECT count(*) FROM campaign_progress") == 1
    assert await _erase(kept) == {"campaign_progress": 1}
    await kept.store([named], screen=_screen())
    assert await kept.number("SELECT count(*) FROM campaign_progress") == 1
    await Eraser(kept.url, KEYS).lift(NUMBER, asked_by="the tests")
    await kept.store([named], screen=_screen())
    assert await _erase(kept) == {"campaign_progress": 1}
    assert digits_in(await everything(kept.connection)) == []


async def test_a_large_report_of_a_new_number_is_pseudonymised_before_it_is_stored(
    kept: Kept,
) -> None:
    await _erase(kept)
    text = "x" * 20_000
    await kept.store([report("c", note=f"{text} {NUMBER}")], screen=_screen())
    assert digits_in(await everything(kept.connection)) == []
    assert await kept.texts("SELECT status FROM campaign_progress") == ["Running"]


async def test_an_interrupted_erasure_is_completed_by_its_pseudonyms(
    kept: Kept,
) -> None:
    await kept.store(
        [callback("m"), _changed(reply("m", "it is me, of Elm Street"), **{"from": None})]
    )
    mark = KEYS.hashes_of(DIGITS)[0]
    # What is left when the process dies after the messages and before the events and replies.
    await kept.connection.execute("UPDATE messages SET recipient = $1", mark.pseudonym)
    await kept.connection.execute(
        "UPDATE events SET recipient = $1, payload = $2, payload_dictionary = 0",
        mark.pseudonym,
        b"of Elm Street",
    )
    assert (await _erase(kept)).keys() == {"events", "inbound_messages"}
    assert "Elm Street" not in await everything(kept.connection)
    assert await _erase(kept) == {}


async def test_quarantined_bodies_of_erased_recipients_stay_distinct(kept: Kept) -> None:
    await _erase(kept)
    screen = Screen(
        ErasedRecipients(KEYS), retention_of_days(raw=1, events=1, messages=1, inbound=1)
    )
    old = [callback("a"), callback("b"), reply("a", "thanks")]
    assert await kept.store(old, screen=screen) == {Receipt.QUARANTINED}
    await kept.store(old[:1], screen=screen)
    rows = await kept.connection.fetch("SELECT body, times FROM quarantine ORDER BY id")
    assert [tuple(row) for row in rows] == [(b"", 2), (b"", 1), (b"", 1)]


async def test_no_sample_of_a_payload_keeps_the_number(kept: Kept) -> None:
    await kept.store(EVERYTHING)
    await _launch(kept, "launched")
    await kept.connection.execute(
        "UPDATE events SET payload_dictionary = 0, payload = 'x 306912345678'"
    )
    await kept.connection.execute("ANALYZE")
    assert digits_in(await samples(kept.connection))
    async with _holding(kept, "SHARE UPDATE EXCLUSIVE"):
        await _erase(kept)
    assert digits_in(await samples(kept.connection)) == []
    assert await kept.number("SELECT count(*) FROM erasures WHERE sampled_at IS NULL") == 0


async def test_after_a_crash_every_table_is_sampled_again(kept: Kept) -> None:
    await kept.store(EVERYTHING)
    await kept.connection.execute("ANALYZE")
    await _erase(kept)
    await kept.connection.execute("UPDATE erasures SET sampled_at = NULL")
    await kept.connection.execute(
        "INSERT INTO quarantine (sha256, reason, path, body)"
        " VALUES ('x', '', '', 'of 306912345678')"
    )
    await kept.connection.execute("ANALYZE")
    await kept.connection.execute("DELETE FROM quarantine WHERE sha256 = 'x'")
    assert digits_in(await samples(kept.connection))
    assert await _erase(kept) == {}
    assert digits_in(await samples(kept.connection)) == []


@asynccontextmanager
async def _holding(kept: Kept, mode: str) -> AsyncIterator[None]:
    """As an autovacuum does, for longer than a moment."""
    connection = await connect(kept.url)

    async def _hold() -> None:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE quarantine IN {mode} MODE")
            await asyncio.sleep(3)

    held = asyncio.create_task(_hold())
    await asyncio.sleep(0.1)
    yield
    await held
    await connection.close()


async def _know(kept: Kept) -> None:
    """As an erasure that died after it had told all processes."""
    database = Database(kept.url, name="tests")
    await add_erased(database, KEYS.hashes_of(DIGITS)[0])
    await database.close()


async def test_an_open_campaign_keeps_its_name_and_other_names_stay_distinct(kept: Kept) -> None:
    named = {f"to {DIGITS}": "launched", f"to {NUMBER}": "launched", f"for {DIGITS}": "unconfirmed"}
    for name, submission in named.items():
        await kept.connection.execute(
            "INSERT INTO campaigns (name, submission) VALUES ($1, $2)", name, submission
        )
    await _erase(kept)
    names = await kept.texts("SELECT name FROM campaigns WHERE submission = 'launched'")
    assert len(set(names)) == 2
    assert all(name and name.startswith("to erased:") for name in names)
    is_open = "SELECT count(*) FROM campaigns WHERE name = $1"
    assert await kept.number(is_open, f"for {DIGITS}") == 1
    await kept.connection.execute("UPDATE campaigns SET submission = 'launched'")
    await _erase(kept)
    assert await kept.number(is_open, f"for {DIGITS}") == 0


async def test_status_words_with_the_number_are_redacted_also_when_they_come_again(
    kept: Kept,
) -> None:
    odd = _changed(callback("odd"), status={"name": f"failed {DIGITS}"})
    await kept.store([odd])
    await _know(kept)
    await kept.store([odd], screen=_screen())
    await _erase(kept)
    assert digits_in(await everything(kept.connection)) == []
    await kept.store([odd], screen=_screen())
    assert await kept.number("SELECT count(*) FROM events") == 2


async def test_a_large_page_is_searched_in_pieces_and_blocks_nothing(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        other_tables,
        "_BODIES",
        other_tables._page("quarantine", other_tables._BODY_COLUMNS, "5000000"),
    )
    await kept.store([Callback(("q", str(at)), f"{at} {NUMBER}".encode()) for at in range(3)])
    database = Database(kept.url, name="tests")
    assert len(await other_tables.next_bodies(database, 0)) == 1
    await database.close()
    assert (await _erase(kept))["quarantine"] == 3


async def test_the_event_loop_goes_on_while_large_bodies_are_searched(kept: Kept) -> None:
    filling = b'{"a":"' + b"no number 12 345 " * 50_000 + b'"'
    await kept.store([Callback(("q", str(at)), filling + str(at).encode()) for at in range(8)])
    longest, erasing = 0.0, asyncio.create_task(_erase(kept))
    while not erasing.done():
        began = time.monotonic()
        await asyncio.sleep(0.005)
        longest = max(longest, time.monotonic() - began)
    await erasing
    assert longest < 0.4


async def test_a_missing_key_is_logged_as_an_error(
    kept: Kept, capsys: pytest.CaptureFixture[str]
) -> None:
    await _erase(kept)
    others = ErasureKeys(["another-key-of-the-tests-0123456789"])
    erased, said = ErasedRecipients(others), list[str]()
    database = Database(kept.url, name="tests")
    await erased.refresh(database)
    await database.close()
    assert "erased recipients are not recognised" in capsys.readouterr().out
    erasing = Eraser(kept.url, others, say=said.append)
    await erasing.erase(OTHER, asked_by="the tests", dry_run=True)
    assert any("missing" in line for line in said)


def test_an_older_read_does_not_replace_a_newer_one() -> None:
    erased = ErasedRecipients(KEYS)
    mark = KEYS.hashes_of(DIGITS)[0]
    erased.update(Erased(2, frozenset({mark.hash}), frozenset({mark.key_id})), asked_at=0)
    erased.update(Erased(1, frozenset(), frozenset()), asked_at=0)
    assert erased.mark_of(NUMBER) == mark


async def test_a_lift_is_recorded_and_does_not_wait_for_an_erasure(kept: Kept) -> None:
    await _erase(kept)
    held = await connect(kept.url)
    await held.execute("SELECT pg_advisory_lock($1)", erasures._ERASURE_LOCK)
    with pytest.raises(ErasureInProgress):
        await Eraser(kept.url, KEYS).lift(NUMBER, asked_by="the tests")
    await held.close()
    assert await Eraser(kept.url, KEYS).lift(NUMBER, asked_by="somebody")
    assert await kept.texts("SELECT asked_by FROM erasures WHERE kind = 'lift'") == ["somebody"]


async def test_quarantined_callbacks_of_foreign_campaigns_stay_distinct(kept: Kept) -> None:
    await _erase(kept)
    ours, theirs = uuid7(), uuid7()
    for campaign, tracking_id in ((ours, "ours"), (theirs, "theirs")):
        await kept.connection.execute(
            "INSERT INTO campaigns (id, tracking_id, submission) VALUES ($1, $2, 'launched')",
            campaign,
            tracking_id,
        )
    session = IngestSession(kept.url, statement_timeout_seconds=5)
    intake = intake_on(session, Metrics(), ack_budget_seconds=5, screen=_screen())
    for message in ("a", "b", "a"):
        body = callback(message, campaign="theirs").body
        assert await intake.receive(body, path=PATH, campaign_id=ours) is Receipt.QUARANTINED
    await intake.close()
    rows = await kept.connection.fetch("SELECT reason, body, times FROM quarantine ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("campaign-mismatch", b"", 2),
        ("campaign-mismatch", b"", 1),
    ]


async def test_roll_ups_are_changed_in_short_steps_between_which_others_fold(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "CHUNK_ITEMS", 1)
    failures = [_failed(f"f-{at}", NUMBER, f"no answer from {NUMBER}, {at}") for at in range(6)]
    await kept.store(failures)
    steps = list[str]()

    async def _with_a_fold(database: Database, analysis: Rollup, *others: Any) -> None:  # noqa: ANN401
        await redact_rollups(database, analysis, *others)
        steps.append(analysis.table)
        await kept.store([])

    monkeypatch.setattr(scan, "redact_rollups", _with_a_fold)
    await _erase(kept)
    assert steps.count("bi_failure_reasons") == 6
    assert digits_in(await everything(kept.connection)) == []
    reasons = (
        "SELECT count(*), sum(messages), min(messages) FROM bi_failure_reasons WHERE messages <> 0"
    )
    assert tuple(await kept.connection.fetchrow(reasons) or ()) == (6, 6, 1)


async def test_an_interrupted_erasure_is_resumed_and_counts_what_was_done_before(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept.store(EVERYTHING)
    wanted = await _erase(kept, dry_run=True)

    async def _crash(_: scan.ErasureScan) -> None:
        raise DatabaseUnavailable("killed")

    monkeypatch.setattr(scan.ErasureScan, "_bodies", _crash)
    with pytest.raises(DatabaseUnavailable):
        await _erase(kept)
    row = await kept.connection.fetchrow("SELECT * FROM erasures")
    assert row is not None
    assert (row["digits"], row["ended_at"]) == (DIGITS, None)
    assert row["progress"] == "searching the quarantine"
    monkeypatch.undo()
    monkeypatch.setattr(erasures, "KNOWN_WITHIN_SECONDS", 0)
    await kept.connection.execute("ANALYZE")
    database = Database(kept.url, name="tests")
    await Eraser(kept.url, ErasureKeys([])).perform_asked(database)  # has no key, and does nothing
    assert await kept.number("SELECT count(*) FROM erasures WHERE ended_at IS NULL") == 1
    await Eraser(kept.url, KEYS).perform_asked(database)
    await database.close()
    row = await kept.connection.fetchrow("SELECT * FROM erasures")
    assert row is not None
    assert (row["digits"], row["progress"]) == (None, None)
    counts = {name: rows for name, rows in json.loads(row["counts"]).items() if rows}
    assert counts == wanted | {"messages": wanted["messages"] + 1}  # one that quotes the number
    assert digits_in(await everything(kept.connection)) == []
    assert digits_in(await samples(kept.connection)) == []


async def test_erasures_that_wait_are_performed_one_after_the_other(kept: Kept) -> None:
    await kept.store(EVERYTHING)
    database = Database(kept.url, name="tests")
    erasing = Eraser(kept.url, KEYS)
    first = await erasing.ask(database, NUMBER, asked_by="one")
    second = await erasing.ask(database, OTHER, asked_by="two")
    assert (await erasing.ask(database, DIGITS, asked_by="three")).id == first.id
    with pytest.raises(ErasureInProgress):
        await erasing.lift(NUMBER, asked_by="four")
    await asyncio.gather(*(Eraser(kept.url, KEYS).perform_asked(database) for _ in range(3)))
    await database.close()
    rows = await kept.connection.fetch("SELECT id, asked_by FROM erasures ORDER BY ended_at")
    assert [tuple(row) for row in rows] == [(first.id, "one"), (second.id, "two")]
    assert await kept.number("SELECT count(*) FROM messages WHERE recipient LIKE '+%'") == 0


async def test_one_who_asks_while_another_process_erases_sees_its_progress_and_waits(
    kept: Kept,
) -> None:
    held = await connect(kept.url)
    await held.execute("SELECT pg_advisory_lock($1)", erasures._ERASURE_LOCK)
    said = list[str]()
    waiting = asyncio.create_task(
        Eraser(kept.url, KEYS, say=said.append).erase(NUMBER, asked_by="the tests")
    )

    async def _is_asked() -> bool:
        return bool(await kept.number("SELECT count(*) FROM erasures"))

    async def _is_shown() -> bool:
        return "half of it" in said

    await eventually(_is_asked)
    await kept.connection.execute("UPDATE erasures SET progress = 'half of it'")
    await eventually(_is_shown)
    assert not waiting.done()
    await held.close()
    assert (await waiting).erased_at is not None


GREEK = "καλέστε το {number} τώρα"
ARABIC = DIGITS.translate({48 + digit: 0x660 + digit for digit in range(10)})
WIDE = DIGITS.translate({48 + digit: 0xFF10 + digit for digit in range(10)})
HIDING = {
    "UTF-16": GREEK.format(number=DIGITS).encode("utf-16"),
    "UTF-16 without a mark": f'{{"to":"{NUMBER}"'.encode("utf-16-be"),
    "UTF-32": f"to={DIGITS}".encode("utf-32-le"),
    "Greek with no-break spaces": GREEK.format(number="+30\u00a0691\u00a0234\u00a05678").encode(
        "iso-8859-7"
    ),
    "Windows with dashes": GREEK.format(number="30\u2013691\u20132345678").encode("cp1253"),
    "gzip": gzip.compress(GREEK.format(number=DIGITS).encode()),
    "two gzip members": gzip.compress(b"nothing") + gzip.compress(f"to={NUMBER}".encode()),
    "zlib": zlib.compress(f"to={NUMBER}".encode()),
    "deflate without a header": zlib.compress(f"to={NUMBER}, please".encode() * 3, wbits=-15),
    "gzip of gzip of UTF-16": gzip.compress(gzip.compress(f"to {NUMBER}".encode("utf-16"))),
    "Arabic digits": f"to {ARABIC}".encode(),
    "full width digits": f"[{{'to': '{WIDE}'}}]".encode(),
    "Arabic digits as JSON spells them": json.dumps([{"to": ARABIC}]).encode(),
    "Arabic digits in UTF-16": f"to {ARABIC}".encode("utf-16"),
    "Arabic digits as URLs spell them": quote(f"to {ARABIC}").encode(),
    "a broken gzip": gzip.compress(f"to={NUMBER}".encode())[:-9],
    "a gzip that is too long": gzip.compress(b"0" * 5_000_000),
    "zstandard": b"\x28\xb5\x2f\xfd" + bytes(range(128, 160)),
}
HARMLESS = {
    "UTF-16": "καλημέρα 306912345679".encode("utf-16"),
    "Greek": "καλημέρα 12.5".encode("iso-8859-7"),
    "gzip": gzip.compress(b"to=306912345679"),
    "a text that begins as a stream does": b"x^2 of 306912345679",
    "a longer number": f"to {DIGITS}9".encode("utf-16"),
    "zlib of nothing": zlib.compress(b""),
}


@pytest.mark.parametrize("body", HIDING.values(), ids=HIDING)
async def test_a_quarantined_body_is_erased_in_whatever_it_hides_the_number(
    kept: Kept, body: bytes
) -> None:
    await kept.store([Callback(("q", "q"), body), Callback(("q", "r"), b"of nobody")])
    assert await kept.number("SELECT count(*) FROM quarantine") == 2
    assert await _erase(kept) == {"quarantine": 1}
    rows = await kept.connection.fetch("SELECT body FROM quarantine ORDER BY id")
    left, other = (bytes(row[0]) for row in rows)
    assert left in {b"", b"to " + PSEUDONYM, b"[{'to': '" + PSEUDONYM + b"'}]"}
    assert other == b"of nobody"


@pytest.mark.parametrize("body", HIDING.values(), ids=HIDING)
async def test_a_body_that_arrives_later_is_stored_without_what_it_hides(
    kept: Kept, body: bytes
) -> None:
    await _erase(kept)
    await kept.store([Callback(("q", "q"), body)], screen=_screen())
    (left,) = [bytes(row[0]) for row in await kept.connection.fetch("SELECT body FROM quarantine")]
    assert left in {b"", b"to " + PSEUDONYM, b"[{'to': '" + PSEUDONYM + b"'}]"}


@pytest.mark.parametrize("body", HARMLESS.values(), ids=HARMLESS)
async def test_a_body_without_the_number_stays_whatever_its_charset(
    kept: Kept, body: bytes
) -> None:
    await kept.store([Callback(("q", "q"), body)])
    assert await _erase(kept) == {}
    await kept.store([Callback(("q", "q"), body)], screen=_screen())
    rows = await kept.connection.fetch("SELECT body, times FROM quarantine")
    assert [(bytes(row[0]), row[1]) for row in rows] == [(body, 2)]


async def test_digits_of_other_scripts_are_erased_in_texts(kept: Kept) -> None:
    await kept.store(
        [
            _changed(callback("a"), to=OTHER, label=f"of {ARABIC}"),
            _changed(callback("b"), to=OTHER, sessionId=WIDE),
            _changed(reply("b", f"call {WIDE}"), **{"from": OTHER}),
            _failed("c", OTHER, f"forwarded from {ARABIC}"),
        ]
    )
    await _erase(kept)
    stored = await everything(kept.connection)
    assert ARABIC not in stored
    assert WIDE not in stored
    assert OTHER in stored


ENCODED = {
    "an unknown encoding": (b"\x0b\x02\x80\xff\xfe", "br"),
    "a broken deflate without a header": (zlib.compress(b"x" * 99, wbits=-15)[:-3], "deflate"),
    "too much deflate": (zlib.compress(bytes(5_000_000), wbits=-15), "deflate"),
}


@pytest.mark.parametrize(("body", "encoding"), ENCODED.values(), ids=ENCODED)
async def test_a_body_that_is_said_to_be_compressed_and_cannot_be_opened_is_removed(
    kept: Kept, body: bytes, encoding: str
) -> None:
    session = IngestSession(kept.url, statement_timeout_seconds=5)
    content = Content(f"text/plain; to={DIGITS}", encoding)
    for screen in (None, _screen()):
        intake = intake_on(session, Metrics(), ack_budget_seconds=5, screen=screen)
        receipt = await intake.receive(body, path=PATH, content=content)
        await intake.close()
        assert receipt is Receipt.QUARANTINED
        (stored,) = await kept.connection.fetch("SELECT body, content_type FROM quarantine")
        assert bytes(stored[0]) == (b"" if screen else body)
        assert (DIGITS in stored[1]) is (screen is None)
        assert await _erase(kept) == ({} if screen else {"quarantine": 1})
        (stored,) = await kept.connection.fetch("SELECT body, content_type FROM quarantine")
        assert bytes(stored[0]) == b""
        assert stored[1] == f"text/plain; to={PSEUDONYM.decode()}"
        await kept.connection.execute("DELETE FROM quarantine")
