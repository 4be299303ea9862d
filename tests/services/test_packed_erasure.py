"""Erasing recipients of what is packed: what they share with others stays, and tells nothing."""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.db.database import Database
from app.db.erasure import forms
from app.db.ingest_session import IngestSession
from app.domain.erasure import ErasureKeys
from app.observability.metrics import Metrics
from app.services import erasure
from app.services.erasure import Erasing
from app.services.intake import Intake, Receipt
from tests.promises.load import Callback, changed
from tests.services.erased_stage import digits_in, everything, everything_in_a_dump, samples
from tests.services.kept_stage import PATH, Kept, campaign, numbers

DIGITS = "306912345678"
NUMBER = f"+{DIGITS}"
KEYS = ErasureKeys(["a-key-of-the-tests-0123456789abcdef"])
#: The number among them, where all are packed.
RECIPIENTS = [*numbers(20), NUMBER, *numbers(30)[20:]]
THEIRS = "p-20"
FORMS = "SELECT * FROM event_forms ORDER BY id"
STATISTICS = (
    "SELECT campaign_tracking_id, status, count(*) FROM messages GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT status_key, count(*), count(DISTINCT recipient) FROM events GROUP BY 1 ORDER BY 1",
    "SELECT hour, campaign_key, sum(events) FROM bi_rollup_hourly GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT campaign_key, price, messages FROM bi_spends ORDER BY 1",
    "SELECT feed_epoch, xid, id FROM events ORDER BY 1, 2, 3",
)


@pytest.fixture
def kept(url: str, connection: asyncpg.Connection) -> Kept:
    return Kept(url, connection)


@pytest.fixture(autouse=True)
def _nobody_else_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "LEARNT_WITHIN_SECONDS", 0)


def _failed(one: Callback, description: str) -> Callback:
    status = json.loads(one.body)["status"]
    reason = {"detailedStatus": "Absent", "description": description}
    return changed(one, status=status | {"name": "FAILED", "reason": reason})


#: Where all callbacks of a campaign may quote the number of somebody else.
QUOTES: dict[str, Callable[[Callback], Callback]] = {
    "text": lambda one: changed(one, body={"text": f"call +30 691 234 5678, {DIGITS}"}),
    "label": lambda one: changed(one, label=f"on behalf of {NUMBER}"),
    "description": lambda one: _failed(one, f"no answer from 00{DIGITS}"),
    "sender": lambda one: changed(one, **{"from": DIGITS}),
    "what we do not read": lambda one: changed(one, sessionId={"of": f"0-{NUMBER}"}),
}


def _quoting(quote: Callable[[Callback], Callback], mark: str = "q") -> list[Callback]:
    return [quote(one) for one in campaign(mark, numbers(30))]


async def _erase(kept: Kept, *, dry_run: bool = False) -> dict[str, int]:
    done = await Erasing(kept.url, KEYS).erase(NUMBER, asked_by="the tests", dry_run=dry_run)
    return {table: rows for table, rows in done.rows.items() if rows}


async def _statistics(kept: Kept) -> list[list[tuple[Any, ...]]]:
    return [[tuple(row) for row in await kept.connection.fetch(query)] for query in STATISTICS]


async def test_what_is_packed_is_found_nowhere_and_others_keep_theirs_byte_for_byte(
    kept: Kept, tmp_path: Path
) -> None:
    await kept.store(campaign("p", RECIPIENTS, "SENT", "DELIVERED"))
    of_them = "SELECT count(form_id) FROM packed_events WHERE recipient = $1"
    assert await kept.number(of_them, NUMBER) == 2
    await kept.connection.execute("ANALYZE")
    before, shared, counted = await kept.told(), await _forms(kept), await _statistics(kept)
    assert digits_in(await everything(kept.connection))
    assert await _erase(kept) == {"messages": 1, "events": 2}
    assert digits_in(await everything(kept.connection)) == []
    assert digits_in(await everything_in_a_dump(kept.url, tmp_path / "dump")) == []
    after = await kept.told()
    assert {key: told for key, told in before.items() if key[0] != THEIRS} == {
        key: told for key, told in after.items() if key[0] != THEIRS
    }
    pseudonym = KEYS.marks_of(DIGITS)[0].pseudonym
    for status in ("SENT", "DELIVERED"):
        told, _ = before[THEIRS, status]
        known = json.loads(told) | {"recipient": pseudonym, "payload_dictionary": 0}
        assert json.loads(after[THEIRS, status][0]) == known
        assert after[THEIRS, status][1] is None
    assert await _forms(kept) == shared
    assert await _statistics(kept) == counted
    await kept.store([])
    assert await _statistics(kept) == counted
    assert await _erase(kept) == {}


async def test_what_only_they_were_told_is_in_no_form(kept: Kept) -> None:
    secret = {"text": "Maria, of Elm Street"}
    await kept.store(campaign("p", [NUMBER] * 30, body=secret))
    assert "Elm Street" not in str(await _forms(kept))
    await _erase(kept)
    assert "Elm Street" not in await everything(kept.connection)


@pytest.mark.parametrize("quote", QUOTES.values(), ids=QUOTES)
async def test_a_form_that_quotes_the_number_is_redacted_and_not_used_again(
    kept: Kept, tmp_path: Path, quote: Callable[[Callback], Callback]
) -> None:
    quoting = _quoting(quote)
    await kept.store(campaign("p", RECIPIENTS))
    await kept.store(quoting)
    assert await kept.packed("q")
    await kept.connection.execute("ANALYZE")
    others, counted = await kept.told("p-1"), await _statistics(kept)
    assert (await _erase(kept))["events"] == 1 + len(quoting)
    assert digits_in(await everything(kept.connection)) == []
    assert digits_in(await everything_in_a_dump(kept.url, tmp_path / "dump")) == []
    assert await kept.told("p-1") == others
    assert await _statistics(kept) == counted
    await kept.store([])
    assert await _statistics(kept) == counted
    told = await kept.told("q")
    assert len(told) == len(quoting)
    assert {payload for _, payload in told.values()} == {None}
    assert await kept.packed("q") == 0
    more = [one._replace(identity=(f"r-{at}", "")) for at, one in enumerate(quoting)]
    more = [changed(one, trackingId=one.identity[0]) for one in more]
    await kept.store(more)
    assert await kept.packed("r") == 0
    assert [payload for _, payload in (await kept.told("r")).values()] == [one.body for one in more]


async def test_a_dry_run_counts_what_is_packed_and_changes_nothing(kept: Kept) -> None:
    await kept.store(campaign("p", RECIPIENTS))
    await kept.store(_quoting(QUOTES["label"]))
    assert await kept.packed("p")
    assert await kept.packed("q")
    before = await everything(kept.connection)
    counted = await _erase(kept, dry_run=True)
    assert await everything(kept.connection) == before
    assert (await _erase(kept))["events"] == counted["events"] == 1 + 30


async def test_what_comes_after_the_events_were_searched_goes_with_its_form(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = IngestSession(kept.url, statement_timeout_seconds=5)
    intake = Intake(session, Metrics(), ack_budget_seconds=5)
    quoting = _quoting(QUOTES["label"])

    async def _store(callbacks: Sequence[Callback]) -> None:
        for one in callbacks:
            assert await intake.receive(one.body, path=PATH) is Receipt.STORED

    walked = forms.walked_forms

    async def _late(database: Database, after: int | None) -> Sequence[forms.StoredForm]:
        if after is None:
            await _store(quoting[20:])
            assert await kept.packed("q") == len(quoting) - 20
        return await walked(database, after)

    monkeypatch.setattr(forms, "walked_forms", _late)
    await _store(quoting[:20])
    assert await kept.packed("q")
    await _erase(kept)
    assert digits_in(await everything(kept.connection)) == []
    told = await kept.told("q")
    assert len(told) == len(quoting)
    assert {payload for _, payload in told.values()} == {None}
    labels = "SELECT count(DISTINCT label), count(label) FROM events"
    assert tuple(await kept.connection.fetchrow(labels) or ()) == (1, len(quoting))
    # The process that packed them stores what comes now as it comes.
    late = [
        changed(one, trackingId=f"late-{at}", label=f"on behalf of {NUMBER}")
        for at, one in enumerate(quoting)
    ]
    await _store(late)
    await intake.close()
    assert sorted(payload or b"" for _, payload in (await kept.told("late")).values()) == sorted(
        one.body for one in late
    )
    assert await kept.packed("late") == 0


async def test_an_erasure_while_packed_callbacks_keep_coming_loses_nothing(kept: Kept) -> None:
    session = IngestSession(kept.url, statement_timeout_seconds=5)
    intake = Intake(session, Metrics(), ack_budget_seconds=5)
    await kept.store(campaign("p", RECIPIENTS, "SENT"))
    sent: list[Callback] = []
    erasing = asyncio.create_task(_erase(kept))
    while not erasing.done():
        # Of the same forms, and of messages that the erasure is about to change.
        batch = campaign("p", numbers(30)[:20], "SENT", "DELIVERED", str(len(sent)))
        received = await asyncio.gather(*(intake.receive(one.body, path=PATH) for one in batch))
        assert set(received) == {Receipt.STORED}
        sent += batch
    await erasing
    await intake.close()
    told = await kept.told()
    assert await kept.packed() > len(RECIPIENTS)
    assert {(one.identity, one.body) for one in sent} <= {
        (key, payload) for key, (_, payload) in told.items()
    }
    assert digits_in(await everything(kept.connection)) == []


async def test_no_sample_of_a_form_keeps_the_number(kept: Kept) -> None:
    for at, quote in enumerate(QUOTES.values()):
        await kept.store(_quoting(quote, f"q{at}"))
    await kept.connection.execute("ANALYZE")
    sampled = await samples(kept.connection)
    assert "call +30 691" in sampled
    await _erase(kept)
    assert digits_in(await samples(kept.connection)) == []


async def _forms(kept: Kept) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await kept.connection.fetch(FORMS)]
