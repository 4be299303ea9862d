"""The oracles: each compares what one source says with another, and has a name."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NamedTuple, TypeVar

from app.db.drill.reading import AnalystsView, MessageState, Stored
from app.domain.event import UNKNOWN_TIME
from app.domain.feed import FeedItemType
from app.domain.message import Message
from app.sandbox.drill.api_reading import ApiView
from app.sandbox.drill.expected import Outcome, expected_counts, expected_messages, outcomes
from app.sandbox.drill.feed_follower import FeedReading
from app.sandbox.drill.ledger import NO_ANSWER, Ledger

_SHOWN_FAULTS: Final = 5

K = TypeVar("K")


class Finding(NamedTuple):
    """What one oracle found; it is content if there are no faults."""

    oracle: str
    faults: tuple[str, ...]
    #: What it looked at, in a few words.
    seen: str = ""
    #: How many faults there are; *faults* has the first few.
    fault_items: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


@dataclass(frozen=True, slots=True)
class Totals:
    """The outcomes of all callbacks, counted apart. The first five add up to *sent*."""

    sent: int
    #: Callbacks with all their parts in their tables, and those with a part in the quarantine.
    stored: int
    quarantined: int
    #: Not stored: each request was refused, or one had no answer.
    refused: int
    unknown: int
    #: Acknowledged, and not stored.
    lost: int
    acknowledged: int
    #: Requests that were answered 200 for something that was acknowledged before.
    duplicates_absorbed: int
    #: Acknowledged after a request that was not.
    recovered: int
    #: Rows that differ from what was sent, and rows that nothing that was sent explains.
    wrong: int
    unexpected: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that was written down and read at the end of a run."""

    ledger: Ledger
    stored: Stored
    api: ApiView
    analysts: AnalystsView
    #: The feed as it was followed during the run, and read from the beginning at the end.
    followed: FeedReading
    feed: FeedReading


def judge(evidence: Evidence) -> tuple[Totals, list[Finding]]:
    """The totals, and what each oracle finds in *evidence*."""
    by_key = outcomes(evidence.ledger, evidence.stored)
    messages = expected_messages(by_key)
    findings = [
        _acknowledged_is_stored(evidence, by_key),
        _all_is_accounted_for(evidence, by_key),
        _nothing_unexpected(evidence, by_key),
        _payloads_are_identical(by_key),
        _states_equal_the_model(evidence.stored, messages),
        _counts_equal_a_recount(evidence.stored, messages),
        _quarantine_counts_receipts(evidence),
        _answers_are_as_promised(evidence.ledger),
        _feed_neither_skips_nor_repeats(evidence),
        _readers_agree(evidence),
    ]
    return _totals(evidence, by_key, findings), findings


def finding(oracle: str, faults: Iterable[str], seen: str = "") -> Finding:
    """A finding with the first few of *faults*, and how many more there are."""
    found = list(faults)
    more = len(found) - _SHOWN_FAULTS
    shown = (*found[:_SHOWN_FAULTS], *([f"and {more} more"] if more > 0 else []))
    return Finding(oracle, shown, seen, len(found))


def _acknowledged_is_stored(evidence: Evidence, by_key: Mapping[str, Outcome]) -> Finding:
    acknowledged = [
        key for key, account in evidence.ledger.accounts.items() if account.is_acknowledged
    ]
    return finding(
        "acknowledged-is-stored",
        (
            f"{key} was acknowledged, and {len(by_key[key].missing)} of its parts are not stored"
            for key in acknowledged
            if not by_key[key].is_stored
        ),
        f"{len(acknowledged)} acknowledged",
    )


def _all_is_accounted_for(evidence: Evidence, by_key: Mapping[str, Outcome]) -> Finding:
    totals = _totals(evidence, by_key, [])
    sum_of_all = totals.stored + totals.quarantined + totals.refused + totals.unknown
    faults = (
        [f"{totals.sent} sent, but {sum_of_all} stored, quarantined, refused or unknown"]
        if sum_of_all != totals.sent
        else []
    )
    return finding("sent-adds-up", faults, f"{totals.sent} sent")


def _nothing_unexpected(evidence: Evidence, by_key: Mapping[str, Outcome]) -> Finding:
    """No row that nothing which was sent explains."""
    stored = evidence.stored
    known: set[object] = set()
    for outcome in by_key.values():
        known.update(
            part.sha256 if part.record is None else part.record.identity for part in outcome.parts
        )
    tables: tuple[tuple[str, Collection[object]], ...] = (
        ("event", stored.events),
        ("reply", stored.replies),
        ("report of progress", stored.progress),
        ("quarantined body", stored.quarantine),
    )
    faults = [
        f"a {name} was never sent: {row!r}"
        for name, rows in tables
        for row in rows
        if row not in known
    ]
    return finding("nothing-unexpected", faults, f"{sum(len(rows) for _, rows in tables)} rows")


def _quarantine_counts_receipts(evidence: Evidence) -> Finding:
    """Each body was counted at least as often as it was acknowledged, and at most as it came."""
    least, most = Counter[bytes](), Counter[bytes]()
    for account in evidence.ledger.accounts.values():
        sha256 = hashlib.sha256(account.callback.body).digest()
        least[sha256] += account.acknowledgements
        most[sha256] += max(sum(account.answers.values()), 1)
    faults = [
        f"a body was acknowledged {least[sha256]} times, and the quarantine says {body.times}"
        for sha256, body in evidence.stored.quarantine.items()
        if not least[sha256] <= body.times <= most[sha256]
    ]
    return finding("quarantine-counts", faults, f"{len(evidence.stored.quarantine)} bodies")


def _payloads_are_identical(by_key: Mapping[str, Outcome]) -> Finding:
    return finding(
        "payloads-identical",
        (
            f"{key} is stored with other bytes than were sent"
            for key, outcome in by_key.items()
            if outcome.changed
        ),
        f"{sum(len(outcome.parts) for outcome in by_key.values())} payloads",
    )


def _states_equal_the_model(stored: Stored, messages: Mapping[str, Message]) -> Finding:
    faults = [
        f"message {message} is stored, but none of its events"
        for message in stored.messages
        if message not in messages
    ]
    for message, expected in messages.items():
        found = stored.messages.get(message)
        if found is None:
            faults.append(f"message {message} has events, and no state")
        elif found != expected:
            names = [
                name
                for name, one, other in zip(Message._fields, expected, found, strict=True)
                if one != other
            ]
            faults.append(f"message {message} differs in {', '.join(names)}")
    return finding("states-equal-the-model", faults, f"{len(messages)} messages")


def _counts_equal_a_recount(stored: Stored, messages: Mapping[str, Message]) -> Finding:
    expected = expected_counts(messages)
    faults = [
        *_differences("the counts and a recount", stored.counts, stored.recount),
        *_differences("the counts and the model's", stored.counts, expected),
    ]
    return finding("counts-equal-a-recount", faults, f"{len(expected)} counts")


def _answers_are_as_promised(ledger: Ledger) -> Finding:
    """200, or 503 with Retry-After; 413 for what is too large; or none, if a process was away."""
    unknown: Counter[int] = Counter()
    for account in ledger.accounts.values():
        usual = {HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE, NO_ANSWER}
        if account.callback.is_too_large:
            usual = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, NO_ANSWER}
        unknown.update(
            {status: count for status, count in account.answers.items() if status not in usual}
        )
    faults = [f"{count} requests were answered {status}" for status, count in unknown.items()]
    if ledger.bare_refusals:
        faults.append(f"{ledger.bare_refusals} answers 503 had no Retry-After")
    return finding("answers-as-promised", faults, f"{ledger.requests} requests")


def _feed_neither_skips_nor_repeats(evidence: Evidence) -> Finding:
    feed, followed = evidence.feed.items, evidence.followed.items
    stored = [
        *((FeedItemType.STATUS.value, str(row.id)) for row in evidence.stored.events.values()),
        *((FeedItemType.INBOUND.value, str(row.id)) for row in evidence.stored.replies.values()),
    ]
    faults = [
        *_unequal("the feed from its beginning", feed, "what is stored", stored),
        *_unequal("the feed as it was followed", followed, "what is stored", stored),
    ]
    if not faults and feed != followed:
        faults.append("the feed has another order than when it was followed")
    faults += [
        f"the feed ends with {status} for message {message}"
        for message, status in evidence.feed.statuses.items()
        if message not in evidence.stored.messages
        or evidence.stored.messages[message].status.value != status
    ]
    return finding("feed-neither-skips-nor-repeats", faults, f"{len(followed)} items followed")


def _readers_agree(evidence: Evidence) -> Finding:
    stored, api, analysts = evidence.stored, evidence.api, evidence.analysts
    states = {name: _state_of(message) for name, message in stored.messages.items()}
    events = [str(row.id) for row in stored.events.values()]
    replies = [str(row.id) for row in stored.replies.values()]
    faults = [
        *_differences("the list of messages and what is stored", api.listed_messages, states),
        *_differences("the export of messages and what is stored", api.exported_messages, states),
        *_differences("bi_v1.messages and what is stored", analysts.messages, states),
        *_unequal("the export of events", api.exported_events, "what is stored", events),
        *_unequal(
            "bi_v1.message_events", list(map(str, analysts.events)), "what is stored", events
        ),
        *_unequal("the list of replies", api.listed_replies, "what is stored", replies),
        *_unequal("the export of replies", api.exported_replies, "what is stored", replies),
        *_unequal(
            "bi_v1.inbound_messages", list(map(str, analysts.replies)), "what is stored", replies
        ),
    ]
    return finding("readers-agree", faults, "REST, feed, bi_v1 and exports")


def _state_of(message: Message) -> MessageState:
    at = None if message.status_at == UNKNOWN_TIME else message.status_at
    return MessageState(message.status.value, at)


def _differences(names: str, one: Mapping[K, object], other: Mapping[K, object]) -> Iterator[str]:
    for key in one.keys() | other.keys():
        if one.get(key) != other.get(key):
            yield f"{names} differ for {key}: {one.get(key)} and {other.get(key)}"


def _unequal(
    name: str, items: Sequence[object], other_name: str, others: Sequence[object]
) -> Iterator[str]:
    """How the items, in any order, differ; none may be there twice."""
    missing = set(others) - set(items)
    additional = set(items) - set(others)
    repeated = len(items) - len(set(items))
    if missing:
        yield f"{name} lacks {len(missing)} of {other_name}: {min(missing)}"  # type: ignore[type-var]
    if additional:
        yield f"{name} has {len(additional)} more than {other_name}: {min(additional)}"  # type: ignore[type-var]
    if repeated:
        yield f"{name} has {repeated} items twice"


def _totals(
    evidence: Evidence, by_key: Mapping[str, Outcome], findings: Sequence[Finding]
) -> Totals:
    accounts = evidence.ledger.accounts
    absent = [account for key, account in accounts.items() if not by_key[key].is_stored]
    quarantined = sum(by_key[key].is_quarantined for key in accounts)
    acknowledged = [account for account in accounts.values() if account.is_acknowledged]
    return Totals(
        sent=len(accounts),
        stored=len(accounts) - len(absent) - quarantined,
        quarantined=quarantined,
        refused=sum(account.is_refused for account in absent),
        unknown=sum(account.is_unknown for account in absent),
        lost=sum(account.is_acknowledged for account in absent),
        acknowledged=len(acknowledged),
        duplicates_absorbed=sum(account.acknowledgements - 1 for account in acknowledged),
        recovered=sum(account.is_recovered for account in acknowledged),
        wrong=_count_of(findings, "payloads-identical", "states-equal-the-model"),
        unexpected=_count_of(findings, "nothing-unexpected"),
    )


def _count_of(findings: Sequence[Finding], *names: str) -> int:
    return sum(one.fault_items for one in findings if one.oracle in names)
