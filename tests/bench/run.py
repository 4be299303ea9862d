"""One load on one target, what it cost, and whether all that was acknowledged is stored."""

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.bench.callbacks import Texts
from tests.bench.cost import Cost
from tests.bench.wrk import CONNECTIONS, Load, posted

#: `rows` of events; from ours also what it says of itself: `fresh`, `duplicate`, `quarantined`.
#: Empty: the target stores nothing.
Counts = Mapping[str, int]


class Target(Protocol):
    """What callbacks are posted to."""

    @property
    def url(self) -> str:
        """Where to."""

    def cost(self) -> Cost:
        """What it has spent so far."""

    async def counts(self) -> Counts:
        """What it has stored, once it is at rest."""


@dataclass
class Run:
    """One contender in one round."""

    load: Load
    cost: Cost
    #: What was added.
    counts: Counts
    #: What the clients of the feed received while callbacks came.
    feed: dict[str, Any] | None = None
    #: What is not as it must be.
    faults: list[str] = field(default_factory=list)

    @property
    def service_ms(self) -> float:
        """CPU milliseconds of the service for a callback."""
        return 1000 * self.cost.service / max(1, self.load.answered)

    @property
    def postgres_ms(self) -> float:
        """CPU milliseconds of PostgreSQL for a callback."""
        return 1000 * self.cost.postgres / max(1, self.load.answered)

    def document(self) -> dict[str, Any]:
        """It, for a file."""
        return {
            "callbacks_per_second": round(self.load.per_second, 1),
            "load": self.load._asdict(),
            "cpu_seconds": self.cost._asdict(),
            "stored": dict(self.counts),
            "feed": self.feed,
            "faults": self.faults,
        }


async def run(
    target: Target,
    seconds: int,
    *,
    connections: int = CONNECTIONS,
    texts: Texts = Texts.HALF,
    campaigns: str = "",
) -> Run:
    """Post to *target* for so long, about *campaigns* or some of the load's own, and compare."""
    stored, cost = await target.counts(), target.cost()
    load = await posted(
        target.url,
        mark=mark(),
        seconds=seconds,
        connections=connections,
        texts=texts,
        campaigns=campaigns,
    )
    spent = target.cost().since(cost)
    added = difference(stored, await target.counts())
    return Run(load, spent, added, faults=[*refusals(load), *losses(load, added)])


def mark() -> str:
    """Begins the ids of one load, and of no other: the first two parts of UUIDs."""
    return f"{secrets.token_hex(4)}-{secrets.token_hex(2)}"


def difference(earlier: Counts, later: Counts) -> Counts:
    """What was added."""
    return {name: number - earlier[name] for name, number in later.items()}


def refusals(load: Load) -> Iterator[str]:
    """What the client did not get."""
    if not load.acknowledged:
        yield "nothing was acknowledged"
    if load.refused or load.lost:
        yield f"{load.refused} answers were no 2xx, {load.lost} connections failed"


def losses(load: Load, added: Counts) -> Iterator[str]:
    """
    What contradicts that each acknowledged callback is stored, once.

    wrk does not say which requests it left unanswered when its time was up. There is at most one
    for each connection; it may be stored or not.
    """
    rules = _rules_of_rows(load, added) if "rows" in added else {}
    if "fresh" in added:
        rules |= _rules_of_ours(load, added)
    for rule, holds in rules.items():
        if not holds:
            yield f"not so: {rule}: {load} {added}"


def _rules_of_rows(load: Load, added: Counts) -> dict[str, bool]:
    unanswered = load.sent - load.answered + load.lost
    surely = load.distinct - unanswered - load.refused
    return {
        "one request a connection is unanswered": unanswered <= load.connections + load.lost,
        "no row was not sent": added["rows"] <= load.distinct,
        "each event that was sent and answered is a row": surely <= added["rows"],
    }


def _rules_of_ours(load: Load, added: Counts) -> dict[str, bool]:
    stored = added["fresh"] + added["duplicate"]
    return {
        "what is acknowledged is stored": load.acknowledged <= stored,
        "what is stored was sent": stored <= load.sent,
        "what is new is a row": added["fresh"] == added["rows"],
        "nothing is in the quarantine": added["quarantined"] == 0,
    }
