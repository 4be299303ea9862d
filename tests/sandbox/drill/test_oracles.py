"""Each oracle sees its own failure, and no other one."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

import pytest

from app.db.drill.reading import (
    AnalystsView,
    MessageState,
    QuarantinedBody,
    Stored,
    StoredRecord,
)
from app.domain.campaign_progress import CampaignProgress
from app.domain.event import UNKNOWN_TIME, DeliveryEvent
from app.domain.inbound_message import InboundMessage
from app.domain.message import project
from app.sandbox.drill.api_reading import ApiView
from app.sandbox.drill.callbacks import Stream
from app.sandbox.drill.expected import expected_counts, parts_of
from app.sandbox.drill.feed_follower import FeedReading
from app.sandbox.drill.ledger import NO_ANSWER, Account, Head, Ledger
from app.sandbox.drill.oracles import Evidence, judge

HEAD = Head(3, datetime(2026, 3, 1, tzinfo=UTC), "http://127.0.0.1/callbacks/token/inbound")


def _evidence() -> Evidence:
    """That of a run in which all went well: each callback was acknowledged, most at once."""
    sent = [
        *islice(HEAD.callbacks(Stream.CAMPAIGNS), 80),
        *(one for one in islice(HEAD.callbacks(Stream.GARBAGE), 20) if not one.is_too_large),
    ]
    accounts = {one.key: Account(one, {200: 1}) for one in sent}
    stored = Stored({}, {}, {}, {}, {}, {}, {})
    events: dict[str, list[DeliveryEvent]] = {}
    for number, part in enumerate(part for one in sent for part in parts_of(one)):
        record, row = part.record, StoredRecord(number, part.sha256)
        if isinstance(record, DeliveryEvent):
            stored.events[record.identity] = row  # type: ignore[index]
            events.setdefault(record.message_tracking_id, []).append(record)
        elif isinstance(record, InboundMessage):
            stored.replies[record.identity] = row  # type: ignore[index]
        elif isinstance(record, CampaignProgress):
            stored.progress[record.identity] = row  # type: ignore[index]
    for account in accounts.values():
        digest = hashlib.sha256(account.callback.body).digest()
        if any(part.record is None for part in parts_of(account.callback)):
            times = stored.quarantine[digest].times if digest in stored.quarantine else 0
            stored.quarantine[digest] = QuarantinedBody(times + 1, digest)  # type: ignore[index]
    messages = {name: project(its) for name, its in events.items()}
    counts = expected_counts(messages)
    return _with_readers(
        Ledger(HEAD, accounts), replace(stored, messages=messages, counts=counts, recount=counts)
    )


def _with_readers(ledger: Ledger, stored: Stored) -> Evidence:
    """Readers who see all of *stored*."""
    states = {
        name: MessageState(
            message.status.value, None if message.status_at == UNKNOWN_TIME else message.status_at
        )
        for name, message in stored.messages.items()
    }
    events = [row.id for row in stored.events.values()]
    replies = [row.id for row in stored.replies.values()]
    items = [
        *(("message.status", str(one)) for one in events),
        *(("message.inbound", str(one)) for one in replies),
    ]
    words = {name: state.status for name, state in states.items()}
    texts = [str(one) for one in events], [str(one) for one in replies]
    return Evidence(
        ledger,
        stored,
        ApiView(states, texts[1], states, *texts),
        AnalystsView(states, events, replies),
        FeedReading(list(items), words),
        FeedReading(list(items), words),
    )


def _broken(evidence: Evidence) -> set[str]:
    return {one.oracle for one in judge(evidence)[1] if not one.holds}


@pytest.fixture(scope="module")
def good_evidence() -> Evidence:
    return _evidence()


@pytest.fixture
def evidence(good_evidence: Evidence) -> Evidence:
    """A copy whose accounts and readers a test may change."""
    accounts = {
        key: replace(account, answers=dict(account.answers))
        for key, account in good_evidence.ledger.accounts.items()
    }
    return _with_readers(Ledger(HEAD, accounts), good_evidence.stored)


def _without(evidence: Evidence, key: str) -> Evidence:
    """As if the events of this callback were never stored, and readers saw just that."""
    identities = {part.record.identity for part in parts_of(evidence.ledger.accounts[key].callback)}  # type: ignore[union-attr]
    stored = replace(
        evidence.stored,
        events={
            name: row for name, row in evidence.stored.events.items() if name not in identities
        },
    )
    return _with_readers(evidence.ledger, stored)


def _key_of_an_event(evidence: Evidence) -> str:
    return next(
        key
        for key, account in evidence.ledger.accounts.items()
        if isinstance(parts_of(account.callback)[0].record, DeliveryEvent)
    )


def test_nothing_is_found_where_all_went_well(evidence: Evidence) -> None:
    totals, findings = judge(evidence)
    assert [one for one in findings if not one.holds] == []
    assert totals.sent == totals.acknowledged == totals.stored + totals.quarantined
    assert totals.quarantined > 0
    assert (totals.lost, totals.wrong, totals.unexpected) == (0, 0, 0)


def test_what_was_acknowledged_and_is_not_stored_is_lost(evidence: Evidence) -> None:
    lacking = _without(evidence, _key_of_an_event(evidence))
    assert {"acknowledged-is-stored", "sent-adds-up"} <= _broken(lacking)
    assert judge(lacking)[0].lost == 1


def test_what_had_no_answer_may_be_stored_or_not(evidence: Evidence) -> None:
    key = _key_of_an_event(evidence)
    evidence.ledger.accounts[key].answers = {NO_ANSWER: 2}
    assert _broken(evidence) == set()
    totals, findings = judge(_without(evidence, key))
    assert (totals.unknown, totals.lost) == (1, 0)
    broken = {one.oracle for one in findings if not one.holds}
    assert broken <= {"states-equal-the-model", "counts-equal-a-recount"}, "messages still have it"


def test_a_dropped_quarantine_is_lost(evidence: Evidence) -> None:
    stored = replace(evidence.stored, quarantine={})
    assert _broken(replace(evidence, stored=stored)) == {"acknowledged-is-stored", "sent-adds-up"}


def test_other_bytes_are_wrong(evidence: Evidence) -> None:
    name, row = next(iter(evidence.stored.events.items()))
    stored = replace(
        evidence.stored, events={**evidence.stored.events, name: row._replace(sha256=b"other")}
    )
    assert _broken(replace(evidence, stored=stored)) == {"payloads-identical"}
    assert judge(replace(evidence, stored=stored))[0].wrong == 1


def test_a_row_that_nothing_explains_is_unexpected(evidence: Evidence) -> None:
    stored = replace(
        evidence.stored, progress={**evidence.stored.progress, b"?": StoredRecord(-1, b"")}
    )
    totals, _ = judge(replace(evidence, stored=stored))
    assert _broken(replace(evidence, stored=stored)) == {"nothing-unexpected"}
    assert totals.unexpected == 1


def test_another_state_than_the_models_is_wrong(evidence: Evidence) -> None:
    name, message = next(iter(evidence.stored.messages.items()))
    changed = message._replace(price=None, country="XX")
    stored = replace(evidence.stored, messages={**evidence.stored.messages, name: changed})
    assert _broken(replace(evidence, stored=stored)) == {"states-equal-the-model"}


def test_counts_that_differ_from_a_recount_are_seen(evidence: Evidence) -> None:
    stored = replace(
        evidence.stored, counts={key: 2 * n for key, n in evidence.stored.counts.items()}
    )
    assert _broken(replace(evidence, stored=stored)) == {"counts-equal-a-recount"}


def test_a_body_that_was_counted_more_often_than_it_came_is_seen(evidence: Evidence) -> None:
    quarantine = {
        name: body._replace(times=body.times + 1)
        for name, body in evidence.stored.quarantine.items()
    }
    stored = replace(evidence.stored, quarantine=quarantine)
    assert _broken(replace(evidence, stored=stored)) == {"quarantine-counts"}


@pytest.mark.parametrize("answers", [{500: 1}, {404: 1}, {413: 1}])
def test_an_answer_that_was_not_promised_is_seen(
    evidence: Evidence, answers: dict[int, int]
) -> None:
    evidence.ledger.accounts[_key_of_an_event(evidence)].answers.update(answers)
    assert _broken(evidence) == {"answers-as-promised"}


def test_a_refusal_without_retry_after_is_seen(evidence: Evidence) -> None:
    evidence.ledger.bare_refusals = 1
    assert _broken(evidence) == {"answers-as-promised"}


def test_a_follower_that_skipped_repeated_or_reordered_is_seen(evidence: Evidence) -> None:
    items = evidence.feed.items
    for followed in (items[1:], [*items, items[0]], [items[1], items[0], *items[2:]]):
        changed = replace(evidence, followed=replace(evidence.followed, items=followed))
        assert _broken(changed) == {"feed-neither-skips-nor-repeats"}


def test_a_feed_that_ends_with_another_status_is_seen(evidence: Evidence) -> None:
    name = next(iter(evidence.feed.statuses))
    evidence.feed.statuses[name] = "PARKED"
    assert _broken(evidence) == {"feed-neither-skips-nor-repeats"}


def test_readers_that_differ_are_seen(evidence: Evidence) -> None:
    api, analysts = evidence.api, evidence.analysts
    for changed in (
        replace(evidence, api=replace(api, listed_messages={})),
        replace(evidence, api=replace(api, exported_messages={})),
        replace(evidence, api=replace(api, exported_events=api.exported_events[1:])),
        replace(evidence, api=replace(api, listed_replies=[*api.listed_replies, "0"])),
        replace(evidence, analysts=replace(analysts, messages={})),
        replace(evidence, analysts=replace(analysts, events=analysts.events[:-1])),
    ):
        assert _broken(changed) == {"readers-agree"}
