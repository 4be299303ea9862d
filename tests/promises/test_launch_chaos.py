"""A campaign is paid for once and never forgotten, whatever breaks while it is launched."""

import asyncio
import os
import random
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import httpx
import pytest

from app.db.api_keys import add_api_key
from app.db.database import Database
from app.domain.api_key import Scope, digest, make_key
from app.sandbox.behaviour import Behaviour
from app.sandbox.faults import (
    CUT_AFTER,
    CUT_BEFORE,
    Endpoint,
    InjectedFault,
    Slow,
    denied,
    garbage,
    server_error,
    too_many_requests,
)
from app.sandbox.ledger import SimulatedCampaign
from app.sandbox.payloads import status_callback, written
from app.sandbox.requests import PRICE
from app.sandbox.routee import SimulatedRoutee
from app.sandbox.serving import listening_socket, served, url_of
from tests.promises.conftest import Look
from tests.promises.stage import SECRET, SIGNING_KEY, Postgres, Service, eventually

APPLICATION_SECRET = "secret-of-the-application-0123456789"
SLOW_SECONDS = 0.4
CALLERS = 12

#: What a launch meets at Routee, and how often; together less than one.
SHARES: dict[InjectedFault, float] = {
    CUT_BEFORE: 0.06,
    CUT_AFTER: 0.10,
    server_error(): 0.04,
    server_error(handled=True): 0.05,
    garbage(): 0.03,
    garbage(handled=True): 0.04,
    too_many_requests(): 0.03,
    denied(): 0.04,
    Slow(SLOW_SECONDS, handled=False): 0.10,
    Slow(SLOW_SECONDS, handled=True): 0.15,
}
TOKEN_SHARES: dict[InjectedFault, float] = {server_error(): 0.15, CUT_BEFORE: 0.1}


class Order(NamedTuple):
    """A campaign that a caller wants, once."""

    number: int
    name: str | None
    key: str | None

    @property
    def document(self) -> dict[str, Any]:
        given = {} if self.name is None else {"campaignName": self.name}
        return {
            "senderInfoTrackingId": "sender-1",
            "to": [f"+3069451{self.number:05d}"],
            "body": {"text": "Your parcel is on its way."},
            "label": f"order {self.number}",
            **given,
        }


def orders(count: int, rng: random.Random) -> list[Order]:
    """Named by the caller or by us, repeatable or not, each in every combination."""
    return [
        Order(
            number,
            name=f"Order {number}" if rng.random() < 0.5 else None,
            key=f"key-{number}" if rng.random() < 0.5 else None,
        )
        for number in range(count)
    ]


class LaunchingService(Service):
    """A service that may launch at *routee_url*."""

    def __init__(self, database_url: str, folder: Path, routee_url: str) -> None:
        super().__init__(database_url, folder)
        self.settings |= {
            "RECEIVER_PUBLIC_URL": self.url,
            "RECEIVER_ROUTEE_APPLICATION_ID": "id",
            "RECEIVER_ROUTEE_APPLICATION_SECRET": APPLICATION_SECRET,
            "RECEIVER_ROUTEE_API_URL": routee_url,
            "RECEIVER_ROUTEE_AUTH_URL": routee_url,
        }


@dataclass
class Chaos:
    """A service that is killed again and again, and the callers who bear with it."""

    service: Service
    routee: SimulatedRoutee
    look: Look
    api_key: str
    #: The last answer to each caller: HTTP status and body.
    answers: dict[int, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    #: Orders whose connection broke, and who may not ask again.
    left_alone: set[int] = field(default_factory=set)
    kills: int = 0
    _begun: int = 0
    #: How many may begin before the next kill.
    _allowed: int = 0
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _up: asyncio.Event = field(default_factory=asyncio.Event)

    async def launch_all(self, wanted: list[Order], *, kills: int) -> None:
        """Let callers launch everything, and kill the service so many times while they do."""
        self._up.set()
        waiting = iter(wanted)
        reaper = asyncio.create_task(self._reap(len(wanted), kills))
        clock = asyncio.create_task(self._let_time_fly())
        async with httpx.AsyncClient(
            base_url=self.service.url,
            headers={"Authorization": f"Bearer {self.api_key}"},
            timeout=40,
        ) as client:

            async def _launch_in_turn() -> None:
                for order in waiting:
                    self._begun += 1
                    await self._launch(client, order)
                    await self.until(lambda: self._begun < self._allowed)

            await asyncio.gather(*(_launch_in_turn() for _ in range(CALLERS)))
        await reaper
        clock.cancel()
        await asyncio.gather(clock, return_exceptions=True)

    async def _launch(self, client: httpx.AsyncClient, order: Order) -> None:
        """One caller: without a key only what cannot have arrived is repeated."""
        headers = {} if order.key is None else {"Idempotency-Key": order.key}
        while True:
            await self._up.wait()
            try:
                answer = await client.post("/v1/campaigns", json=order.document, headers=headers)
            except httpx.ConnectError:
                await asyncio.sleep(0.05)
                continue
            except httpx.TransportError:
                if order.key is None:
                    self.left_alone.add(order.number)
                    return
                continue
            if answer.status_code == 502 and order.key is not None:
                continue
            if "launch-in-progress" in answer.text:
                assert order.key is not None
                await asyncio.sleep(float(answer.headers["retry-after"]) / 10)
                continue
            self.answers[order.number] = answer.status_code, answer.json()
            return

    async def _reap(self, launches: int, kills: int) -> None:
        """Kill while callers wait for their answers, then while a launch is repeated, in turn."""
        for kill in range(1, kills + 1):
            self._allowed = launches * kill // (kills + 1)
            await self.until(lambda: self._begun >= self._allowed)
            if kill % 2 == 0:
                await eventually(self._something_is_repeated)
            await self._kill_and_start()
        self._allowed = launches + CALLERS

    async def until(self, holds: Callable[[], bool]) -> None:
        async def _does_hold() -> bool:
            return holds()

        await eventually(_does_hold, within_seconds=60)

    async def _something_is_repeated(self) -> bool:
        for _ in range(100):
            if await self._number(
                "SELECT count(*) FROM campaigns WHERE attempts > 1 AND lease_until > now()"
            ):
                return True
            await asyncio.sleep(0.005)
        return False

    async def _kill_and_start(self) -> None:
        self._up.clear()
        self.service.kill()
        self.kills += 1
        # What the dead process asked of Routee is over before its lease is.
        await asyncio.sleep(SLOW_SECONDS + 0.2)
        # No process lives, so no lease is that of a living one.
        await self._execute(
            "UPDATE campaigns SET lease_until = now() - interval '1 s'"
            " WHERE lease_until IS NOT NULL"
        )
        await self.service.start()
        self._up.set()

    async def _let_time_fly(self) -> None:
        while True:
            await self._end_all_pauses()
            await asyncio.sleep(0.3)

    async def _end_all_pauses(self) -> None:
        """As if every pause were over; what a process has in hand keeps its lease."""
        await self._execute(
            "UPDATE campaigns SET next_attempt_at = now()"
            " WHERE lease_until IS NULL AND next_attempt_at > now()"
        )

    async def settle(self) -> None:
        """Let all pauses be over again and again, until there is nothing more to be asked."""
        self.routee.faults.clear()

        async def _nothing_is_due() -> bool:
            await self._end_all_pauses()
            due = await self._number(
                "SELECT count(*) FROM campaigns WHERE submission = 'launching'"
                " OR (submission = 'unconfirmed'"
                "     AND (next_attempt_at IS NOT NULL OR lease_until IS NOT NULL))"
            )
            return due == 0

        await eventually(_nothing_is_due, within_seconds=40)

    async def _execute(self, statement: str) -> None:
        async with self._looking:
            await self.look.execute(statement)

    async def _number(self, query: str) -> int:
        async with self._looking:
            return await self.look.number(query)

    async def post_one_callback_each(self, rng: random.Random) -> None:
        """What Routee posts first about each campaign that it has accepted, in any order."""
        campaigns = list(self.routee.campaigns.values())
        rng.shuffle(campaigns)
        async with httpx.AsyncClient(timeout=10) as client:
            for campaign in campaigns:
                answer = await client.post(
                    campaign.request.callback_url or "", content=_first(campaign)
                )
                assert answer.json() == {"result": "stored"}

    async def rows(self) -> list[asyncpg.Record]:
        connection = await self.look.connection()
        return list(await connection.fetch("SELECT * FROM campaigns ORDER BY id"))


def _first(campaign: SimulatedCampaign) -> bytes:
    message = next(iter(campaign.messages.values()))
    return written(status_callback(campaign, message, message.occurrences[0]))


async def _new_key(url: str) -> str:
    key = make_key()
    database = Database(url, name="tests", pool_items=1)
    await add_api_key(
        database,
        name="tests",
        sha256=digest(key),
        scopes=frozenset({Scope.CAMPAIGNS}),
        expires_at=None,
    )
    await database.close()
    return key


@pytest.fixture
def seed() -> int:
    """Of faults and orders; another one can be tried by hand."""
    return int(os.environ.get("LAUNCH_CHAOS_SEED", "1"))


@pytest.fixture
async def chaos(postgres: Postgres, folder: Path, look: Look, seed: int) -> AsyncIterator[Chaos]:
    routee = SimulatedRoutee(
        behaviour=Behaviour(held=True, seed=seed),
        application_id="id",
        application_secret=APPLICATION_SECRET,
    )
    listening = listening_socket()
    service = LaunchingService(postgres.url, folder, url_of(listening))
    async with served(routee.app, listening):
        try:
            await service.start()
            yield Chaos(service, routee, look, await _new_key(postgres.url))
        finally:
            service.kill()
            await routee.aclose()


def _by_name(rows: list[asyncpg.Record]) -> dict[str, list[asyncpg.Record]]:
    found: dict[str, list[asyncpg.Record]] = {}
    for row in rows:
        found.setdefault(row["name"], []).append(row)
    return found


def _assert_paid_for_once_and_not_forgotten(chaos: Chaos, rows: list[asyncpg.Record]) -> None:
    ledger = chaos.routee.launches
    by_name = _by_name(rows)
    assert {row["submission"] for row in rows} <= {"launched", "rejected", "unconfirmed"}
    assert [name for name, launches in ledger.items() if launches.accepted > 1] == []
    assert sum(launches.accepted for launches in ledger.values()) == len(chaos.routee.campaigns)
    for campaign in chaos.routee.campaigns.values():
        its = by_name[str(campaign.request.name)]
        assert len([row for row in its if row["submission"] != "rejected"]) == 1, its
    for row in rows:
        launches = ledger.get(row["name"])
        accepted = launches.accepted if launches else 0
        if row["submission"] == "launched":
            assert accepted == 1, row
        elif row["submission"] == "unconfirmed":
            # Honestly so: only a name that the caller chose, or all repetitions were for nothing.
            assert accepted == 0 or not row["name_generated"], row
            assert accepted == 1 or row["attempts"] >= 8, row


def _assert_answers_are_true(chaos: Chaos, wanted: list[Order], rows: list[asyncpg.Record]) -> None:
    # The last one of each: before it may be those that could not be sent.
    by_label = {row["label"]: row for row in rows}
    held = [row["label"] for row in rows if row["submission"] != "rejected"]
    assert len(held) == len(set(held)), "an order was launched twice"
    labels = [campaign.request.label for campaign in chaos.routee.campaigns.values()]
    accepted = set(labels)
    assert len(labels) == len(accepted), "an order was paid for twice"
    for order in wanted:
        label = f"order {order.number}"
        if order.number not in chaos.answers:
            assert order.number in chaos.left_alone
            continue
        status, answer = chaos.answers[order.number]
        if status == 201:
            assert answer["submission"] == "launched"
            assert label in accepted, answer
        elif status == 202:
            assert answer["submission"] == "unconfirmed"
        else:
            assert status in {422, 502}, answer
            assert label not in accepted, (answer, by_label[label])
            assert by_label[label]["submission"] == "rejected", answer
        if status in {201, 202}:
            assert by_label[label]["id"] == UUID(answer["id"])


def _assert_every_accepted_one_knows_itself(chaos: Chaos, rows: list[asyncpg.Record]) -> None:
    known = {row["tracking_id"]: row for row in rows if row["tracking_id"] is not None}
    assert set(known) == set(chaos.routee.campaigns)
    for tracking_id, campaign in chaos.routee.campaigns.items():
        assert known[tracking_id]["submission"] == "launched"
        assert known[tracking_id]["name"] == campaign.request.name


def _secrets_of(chaos: Chaos) -> list[str]:
    urls = [campaign.request.callback_url or "" for campaign in chaos.routee.campaigns.values()]
    tokens = [found[1] for url in urls if (found := re.search(r"/callbacks/([^/]+)/", url))]
    assert len(tokens) == len(urls)
    numbers = [
        to.removeprefix("+") for one in chaos.routee.campaigns.values() for to in one.request.to
    ]
    return [
        SECRET,
        SIGNING_KEY,
        APPLICATION_SECRET,
        chaos.api_key,
        chaos.routee.tokens._token,
        *tokens,
        *(token.partition(".")[2] for token in tokens),
        *numbers,
    ]


def _assert_no_secret_was_logged(chaos: Chaos) -> None:
    log = chaos.service.log.read_text()
    assert "attempt to launch a campaign" in log
    assert [secret for secret in _secrets_of(chaos) if secret in log] == []
    assert "duty failed" not in log, log
    assert "unexpected error" not in log, log


def _summary(chaos: Chaos, rows: list[asyncpg.Record]) -> Mapping[str, object]:
    submissions = [row["submission"] for row in rows]
    statuses = [status for status, _ in chaos.answers.values()]
    return {
        "rows": {one: submissions.count(one) for one in sorted(set(submissions))},
        "answers": {one: statuses.count(one) for one in sorted(set(statuses))},
        "left alone": len(chaos.left_alone),
        "accepted": len(chaos.routee.campaigns),
        "requests": sum(one.requests for one in chaos.routee.launches.values()),
        "kills": chaos.kills,
        "attempts": max(row["attempts"] for row in rows),
    }


def _refused_for_balance(routee: SimulatedRoutee) -> int:
    return sum("400001009" in launches.refusal_codes for launches in routee.launches.values())


@pytest.mark.parametrize(
    ("launches", "kills"),
    [(10, 1), pytest.param(200, 5, marks=[pytest.mark.slow, pytest.mark.timeout(600)])],
)
async def test_a_campaign_is_paid_for_once_and_never_forgotten(
    chaos: Chaos, launches: int, kills: int, seed: int
) -> None:
    rng = random.Random(seed)  # noqa: S311 (chance, no secret)
    wanted = orders(launches, rng)
    chaos.routee.account.balance = PRICE * (launches // 3)
    chaos.routee.faults.sometimes(Endpoint.CAMPAIGN, SHARES)
    chaos.routee.faults.sometimes(Endpoint.TOKEN, TOKEN_SHARES)

    async def _top_up() -> None:
        await chaos.until(lambda: _refused_for_balance(chaos.routee) >= launches // 10)
        chaos.routee.account.balance = Decimal("Infinity")

    topping_up = asyncio.create_task(_top_up())
    await chaos.launch_all(wanted, kills=kills)
    topping_up.cancel()
    with suppress(asyncio.CancelledError):
        await topping_up
    chaos.routee.account.balance = Decimal("Infinity")
    await chaos.settle()
    rows = await chaos.rows()
    print(_summary(chaos, rows))  # noqa: T201 (shown with -s, and when it fails)
    _assert_paid_for_once_and_not_forgotten(chaos, rows)
    _assert_answers_are_true(chaos, wanted, rows)

    await chaos.post_one_callback_each(rng)

    rows = await chaos.rows()
    _assert_every_accepted_one_knows_itself(chaos, rows)
    _assert_paid_for_once_and_not_forgotten(chaos, rows)
    _assert_no_secret_was_logged(chaos)
    assert chaos.kills == kills
