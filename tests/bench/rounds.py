"""What is measured: each contender in turn, several times, and that nothing was lost meanwhile."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.bench.processes import Cost, Followers, Stage, Stored, bare, following, staged
from tests.bench.wrk import CONNECTIONS, Load, posted

CLIENTS: Final = 500
_WARM_UP_SECONDS: Final = 1

Say = Callable[[str], None]


@dataclass
class Run:
    """One contender in one round."""

    load: Load
    cost: Cost | None = None
    stored: Stored | None = None
    #: What the clients of the feed were told while callbacks came.
    told: dict[str, Any] | None = None
    #: What is not as it must be.
    faults: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """It, for a file."""
        return {
            "callbacks_per_second": round(self.load.per_second, 1),
            "load": self.load._asdict(),
            "cpu_seconds": self.cost and self.cost._asdict(),
            "stored": self.stored and self.stored._asdict(),
            "feed": self.told,
            "faults": self.faults,
        }


@dataclass
class Round:
    """All contenders, one after the other."""

    bare: Run
    ours: Run
    followed: Run

    @property
    def runs(self) -> dict[str, Run]:
        """Each by its name."""
        return {"bare": self.bare, "ours": self.ours, "followed": self.followed}


class Bench:
    """
    Measures on one machine, client and database included.

    Args:
        seconds: How long one contender is measured.
        say: Tells a person how far it is.
    """

    def __init__(self, stage: Stage, bare_url: str, *, seconds: int, say: Say) -> None:
        self._stage = stage
        self._bare_url = bare_url
        self._seconds = seconds
        self._say = say

    async def warm_up(self) -> None:
        """Have plans made and code paths walked before it counts."""
        self._say("warming up")
        for url in (self._bare_url, self._stage.callback_url):
            await posted(url, mark=_mark(), seconds=_WARM_UP_SECONDS)

    async def measured(self, number: int) -> Round:
        """Round *number*; which of the two that store goes first changes from one to the next."""
        self._say(f"round {number}: a server that stores nothing")
        bare_run = Run(await posted(self._bare_url, mark=_mark(), seconds=self._seconds))
        bare_run.faults += _faults_of(bare_run.load)
        if number % 2:
            ours = await self._ours(number)
            followed = await self._followed(number)
        else:
            followed = await self._followed(number)
            ours = await self._ours(number)
        return Round(bare_run, ours, followed)

    async def _ours(self, number: int) -> Run:
        self._say(f"round {number}: the service")
        return await self._stored()

    async def _followed(self, number: int) -> Run:
        self._say(f"round {number}: the service, while {CLIENTS} clients long-poll the feed")
        async with following(self._stage, CLIENTS) as followers:
            run = await self._stored(followers)
            assert run.told is not None
            run.told["woken_at_last"] = await followers.woken(CLIENTS)
        if run.told["woken_at_last"] != CLIENTS:
            run.faults.append(f"only {run.told['woken_at_last']} of {CLIENTS} clients were told")
        if run.told["failures"]:
            run.faults.append(f"clients of the feed failed: {run.told['failures'][:3]}")
        return run

    async def _stored(self, followers: Followers | None = None) -> Run:
        stored, cost = await self._stage.settled(), self._stage.cost()
        load = await posted(self._stage.callback_url, mark=_mark(), seconds=self._seconds)
        spent = self._stage.cost().since(cost)
        told = await followers.told() if followers else None
        added = (await self._stage.settled()).since(stored)
        return Run(load, spent, added, told, faults=_faults_of(load) + _losses(load, added))


async def measure(folder: Path, *, rounds: int, seconds: int, say: Say) -> list[Round]:
    """Measure with everything in *folder*, and leave nothing running."""
    say("starting PostgreSQL and the service")
    async with bare() as bare_url, staged(folder) as stage:
        bench = Bench(stage, bare_url, seconds=seconds, say=say)
        await bench.warm_up()
        return [await bench.measured(number) for number in range(1, rounds + 1)]


def _faults_of(load: Load) -> list[str]:
    if load.refused or load.lost:
        return [f"{load.refused} answers were no 2xx, {load.lost} connections failed"]
    return []


def _losses(load: Load, added: Stored) -> list[str]:
    """
    What contradicts that each acknowledged callback is stored, once.

    wrk does not say which requests it left unanswered when its time was up. There is at most one
    for each connection; it may be stored or not.
    """
    unanswered = load.sent - load.answered + load.lost
    stored = added.fresh + added.duplicate
    rules = {
        f"at most {CONNECTIONS} requests are unanswered": unanswered <= CONNECTIONS + load.lost,
        "what is acknowledged is stored": load.acknowledged <= stored,
        "what is stored was sent": stored <= load.sent,
        "what is new is a row": added.fresh == added.rows,
        "no row was not sent": added.rows <= load.distinct,
        "each event that was sent and answered is a row": (
            load.distinct - unanswered - load.refused <= added.rows
        ),
        "nothing is in the quarantine": added.quarantined == 0,
    }
    return [f"not so: {rule}: {load} {added}" for rule, holds in rules.items() if not holds]


def _mark() -> str:
    return secrets.token_hex(6)
