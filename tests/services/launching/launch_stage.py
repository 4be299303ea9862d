"""A launch service, a simulated Routee on a real socket, and a database, for one test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx

from app.db.campaigns import get_campaign
from app.db.database import Database
from app.db.tables import CampaignRow
from app.domain.callback_token import CallbackTokens
from app.domain.erasure import ErasureKeys
from app.routee.client import RouteeClient
from app.routee.exchange import Patience
from app.routee.preflight import Prober
from app.routee.repeats import Repeats
from app.sandbox.behaviour import Behaviour
from app.sandbox.routee import SimulatedRoutee
from app.sandbox.serving import listening_socket, served, url_of
from app.services.erasure.erased_recipients import ErasedRecipients
from app.services.launching.attempts import Attempts
from app.services.launching.launches import Launches
from tests.database import connect

SIGNING_KEY = "k" * 32
SECRET = "application-secret"
NOWHERE = "http://127.0.0.1:9"
API_KEY = uuid4()

QUICK = Patience(connect_seconds=1, answer_seconds=1, launch_seconds=1)


@dataclass
class Stage:
    """What plays together."""

    database: Database
    routee: SimulatedRoutee
    client: RouteeClient
    launching: Launches
    connection: asyncpg.Connection

    async def launch(self, **changes: object) -> UUID:
        """Launch a campaign and return our id of it."""
        launched = await self.launching.launch(request(**changes), api_key_id=API_KEY)
        return launched.campaign_id

    async def campaign(self, campaign_id: UUID) -> CampaignRow:
        """What is stored of a campaign."""
        return await get_campaign(self.database, campaign_id)

    async def only_campaign(self) -> CampaignRow:
        """What is stored of the one campaign that there is."""
        return await self.campaign(await self.connection.fetchval("SELECT id FROM campaigns"))

    async def some_time_later(self) -> None:
        """As if every lease had run out and every pause were over; then the duty is done once."""
        await self.connection.execute(
            "UPDATE campaigns SET lease_until = now() - interval '1 s',"
            " next_attempt_at = next_attempt_at - interval '1 day'"
        )
        await self.launching.relaunch_due()


def request(**changes: object) -> dict[str, Any]:
    """A campaign as a caller of Routee's API writes it."""
    return {
        "senderInfoTrackingId": "sender",
        "to": ["+306945000001", "+306945000002"],
        "body": {"text": "Hello"},
        **changes,
    }


@asynccontextmanager
async def set_up(url: str, *, configured: bool = True) -> AsyncIterator[Stage]:
    """Build everything; callbacks are held back and would go nowhere."""
    routee = SimulatedRoutee(
        behaviour=Behaviour(held=True), application_id="id", application_secret=SECRET
    )
    listening = listening_socket()
    database = Database(url, name="test", pool_items=4)
    client = RouteeClient(
        api_url=url_of(listening),
        auth_url=url_of(listening),
        application_id="id",
        application_secret=SECRET,
        patience=QUICK,
        repeats=Repeats(attempts=2, first_pause_seconds=0.01, max_pause_seconds=0.02),
    )
    tokens = CallbackTokens(secrets=[], signing_keys=[SIGNING_KEY])
    erased = ErasedRecipients(ErasureKeys(()))
    launching = Launches(
        database,
        Attempts(database, client, tokens, public_url=NOWHERE, erased=erased),
        Prober(ssl_context=httpx.create_ssl_context(trust_env=False)),
        missing_settings=() if configured else ("RECEIVER_PUBLIC_URL",),
        erased=erased,
    )
    connection = await connect(url)
    async with served(routee.app, listening):
        yield Stage(database, routee, client, launching, connection)
        await routee.aclose()
    await client.aclose()
    await database.close()
    await connection.close()
