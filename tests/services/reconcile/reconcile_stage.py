"""A reconciler, a Routee on a real socket that posts no callbacks, and a database, for one test."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from app.db import reconcile as work
from app.db.database import Database
from app.db.ingest import IngestSession
from app.db.reconcile import Reconciliation
from app.domain.erasure import ErasureKeys
from app.domain.retention import Retention
from app.observability.metrics import Metrics
from app.routee.client import RouteeClient
from app.routee.exchange import Patience
from app.routee.repeats import Repeats
from app.sandbox.behaviour import Behaviour
from app.sandbox.ledger import SimulatedCampaign
from app.sandbox.payloads import status_callback, written
from app.sandbox.routee import SimulatedRoutee
from app.sandbox.serving import listening_socket, served, url_of
from app.services.callbacks.flush import Receipt
from app.services.callbacks.reading import Body, Reader
from app.services.callbacks.screening import Screen
from app.services.callbacks.storing import Store
from app.services.erasure.erased_recipients import ErasedRecipients
from app.services.reconcile.reconciler import Reconciler
from tests.database import connect

APPLICATION_ID = "application"
APPLICATION_SECRET = "secret of the application"
SHORT = Patience(connect_seconds=2, answer_seconds=2)
#: Fast enough not to matter.
PER_SECOND = 1000


@dataclass
class Stage:
    """What plays together."""

    url: str
    database: Database
    connection: asyncpg.Connection
    reconciler: Reconciler

    async def campaign(self, tracking_id: str | None, **columns: Any) -> UUID:  # noqa: ANN401
        """A campaign that was launched here."""
        given = {"tracking_id": tracking_id, "submission": "launched", **columns}
        places = ", ".join(f"${at}" for at in range(1, len(given) + 1))
        made: UUID = await self.connection.fetchval(
            f"INSERT INTO campaigns ({', '.join(given)}) VALUES ({places}) RETURNING id",  # noqa: S608
            *given.values(),
        )
        return made

    async def compare(self, *campaigns: UUID) -> list[Reconciliation]:
        """Ask for the comparison of *campaigns*, and do what is open."""
        await work.ask_for(self.database, campaigns, asked_by="a test")
        assert await self.reconciler.run()
        return [await self.reconciliation(campaign) for campaign in campaigns]

    async def reconciliation(self, campaign: UUID) -> Reconciliation:
        found = await work.find_reconciliation(self.database, campaign)
        assert found is not None
        return found

    async def callbacks(self, *bodies: bytes, campaign_id: UUID | None = None) -> set[Receipt]:
        """Store *bodies* as callbacks."""
        reader = Reader(Metrics())
        store = Store(IngestSession(self.url, statement_timeout_seconds=30), Metrics())
        bodies_read = [
            reader.read(Body(body, "/callbacks/-/status", campaign_id)) for body in bodies
        ]
        outcomes = await store.store([one for body in bodies_read for one in body])
        await store.close()
        return {outcome for outcome in outcomes if isinstance(outcome, Receipt)}

    async def statuses(self) -> dict[str, str]:
        """The status of each message."""
        rows = await self.connection.fetch("SELECT message_tracking_id, status FROM messages")
        return {row[0]: row[1] for row in rows}

    async def number(self, query: str, *arguments: object) -> int:
        return int(await self.connection.fetchval(query, *arguments))

    async def everything(self) -> dict[str, list[asyncpg.Record]]:
        """All rows that storing, or reconciling, could change."""
        tables = (
            "events", "messages", "campaigns", "campaign_counts", "campaign_count_deltas",
            "quarantine", "reconciliations", "message_reconciliations", "reconcile_state",
        )  # fmt: skip
        return {
            table: await self.connection.fetch(f"SELECT * FROM {table} AS t ORDER BY t")  # noqa: S608
            for table in tables
        }


@dataclass
class SimulatedStage(Stage):
    """With the simulated Routee, which holds its callbacks back."""

    routee: SimulatedRoutee
    api: httpx.AsyncClient

    async def launched(self, recipients: int = 3) -> SimulatedCampaign:
        """A campaign at the simulated Routee alone."""
        token = await self.api.post(
            "/oauth/token",
            data={"grant_type": "client_credentials"},
            auth=(APPLICATION_ID, APPLICATION_SECRET),
        )
        answer = await self.api.post(
            "/viber/campaign",
            headers={"Authorization": f"Bearer {token.json()['access_token']}"},
            json={
                "senderInfoTrackingId": "sender",
                "to": [f"+30694{number:07d}" for number in range(recipients)],
                "campaignName": f"Spring {len(self.routee.campaigns)}",
                "body": {"text": "Hello"},
                "callbackUrl": "http://127.0.0.1:9/status",
            },
        )
        return self.routee.campaigns[answer.json()["trackingId"]]

    async def known(self, sent: SimulatedCampaign) -> UUID:
        """*sent* as a campaign that was launched here and has no callback so far."""
        return await self.campaign(sent.tracking_id, expected_messages=len(sent.messages))

    @staticmethod
    def final_callbacks(sent: SimulatedCampaign) -> list[bytes]:
        """The callbacks with the last status of each message."""
        return [
            written(status_callback(sent, message, message.final))
            for message in sent.messages.values()
        ]


def tracked(sent: Iterable[SimulatedCampaign]) -> dict[str, str]:
    """The status of each message by the ledger."""
    return {
        message.tracking_id: message.final.status
        for campaign in sent
        for message in campaign.messages.values()
    }


def item(message: str, status: str = "DELIVERED", **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """An item of a tracking read."""
    return {
        "trackingId": message,
        "campaignTrackingId": "c",
        "to": "+306912345678",
        "status": {"status": status, "date": "2026-11-01T10:00:00.123Z", "reason": None},
        "direction": "Outbound",
    } | changes


def page(*items: Any, last: bool = True, **changes: Any) -> bytes:  # noqa: ANN401 (any JSON)
    """A page of a tracking read."""
    return json.dumps({"content": list(items), "last": last, **changes}).encode()


def client_of(url: str) -> RouteeClient:
    """A client that repeats nothing, as that of the service."""
    return RouteeClient(
        api_url=url,
        auth_url=url,
        application_id=APPLICATION_ID,
        application_secret=APPLICATION_SECRET,
        patience=SHORT,
        repeats=Repeats(attempts=1),
    )


def screen() -> Screen:
    return Screen(ErasedRecipients(ErasureKeys(())), Retention())


@asynccontextmanager
async def parts_of(
    url: str, routee_url: str
) -> AsyncIterator[tuple[Database, asyncpg.Connection, Reconciler]]:
    database, client = Database(url, name="test", pool_items=4), client_of(routee_url)
    connection = await connect(url)
    try:
        yield (
            database,
            connection,
            Reconciler(url, client, Metrics(), screen(), per_second=PER_SECOND),
        )
    finally:
        await connection.close()
        await client.aclose()
        await database.close()


@asynccontextmanager
async def simulated(url: str, **behaviour: Any) -> AsyncIterator[SimulatedStage]:  # noqa: ANN401
    routee = SimulatedRoutee(
        behaviour=Behaviour(held=True, **behaviour),
        application_id=APPLICATION_ID,
        application_secret=APPLICATION_SECRET,
    )
    listening = listening_socket()
    async with (
        served(routee.app, listening),
        httpx.AsyncClient(base_url=url_of(listening), trust_env=False) as api,
        parts_of(url, url_of(listening)) as (database, connection, reconciler),
    ):
        yield SimulatedStage(url, database, connection, reconciler, routee, api)
        await routee.aclose()


@asynccontextmanager
async def scripted(url: str, routee_url: str) -> AsyncIterator[Stage]:
    async with parts_of(url, routee_url) as (database, connection, reconciler):
        yield Stage(url, database, connection, reconciler)


def in_seconds(instant: datetime | None, since: datetime | None) -> float:
    """From *since* to *instant*."""
    assert instant is not None
    assert since is not None
    return (instant - since).total_seconds()
