"""What a text in the search box is the name of."""

from collections.abc import Sequence
from typing import Final, NamedTuple
from uuid import UUID

from app.db.campaigns import CampaignFilter, find_campaign, page_of_campaigns
from app.db.dashboard.campaigns import CampaignSearch, page_of_listed_campaigns
from app.db.dashboard.search import has_label
from app.db.database import Database
from app.db.inbound_messages import InboundFilter, Reply, page_of_inbound_messages
from app.db.messages import MessageFilter, messages_of, page_of_messages
from app.domain.tracking_id import canonical_id

#: Of campaigns and replies, so many are shown.
MAX_FOUND: Final = 20


class FoundCampaign(NamedTuple):
    """A campaign whose id, name or label was looked for."""

    id: UUID
    name: str | None
    label: str | None


class Found(NamedTuple):
    """What a text is the name of."""

    #: The id of a message.
    message: str | None = None
    #: The newest first.
    campaigns: Sequence[FoundCampaign] = ()
    #: Whether the text is only a part of the campaigns' names and labels.
    is_part: bool = False
    #: The label of messages.
    label: str | None = None

    @property
    def number(self) -> int:
        """How many things there are."""
        is_message, has_label = self.message is not None, self.label is not None
        return len(self.campaigns) + is_message + has_label


class FoundNumber(NamedTuple):
    """What is known of a telephone number."""

    #: The ids of two messages to it at most.
    messages: Sequence[str] = ()
    #: From it; the oldest first.
    replies: Sequence[Reply] = ()


async def find_named(database: Database, text: str) -> Found:
    """
    What *text* is: the id of a message or of a campaign, a campaign's name, or a label.

    If it is none of them, the campaigns that have it in their name or label.

    Raises:
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    tracking_id = canonical_id(text)
    message = tracking_id if await messages_of(database, [tracking_id]) else None
    campaigns: dict[UUID, FoundCampaign] = {}
    if (row := await find_campaign(database, tracking_id)) is not None:
        campaigns[row.id] = FoundCampaign(row.id, row.name, row.label)
    for wanted in (CampaignFilter(name=text), CampaignFilter(label=text)):
        for row in await page_of_campaigns(database, wanted, before=None, limit=MAX_FOUND):
            campaigns[row.id] = FoundCampaign(row.id, row.name, row.label)
    label = text if await has_label(database, text) else None
    found = Found(message, list(campaigns.values())[:MAX_FOUND], label=label)
    return found if found.number else await _parts(database, text)


async def find_number(database: Database, number: str) -> FoundNumber:
    """
    What is known of the telephone *number*, in its one spelling.

    Raises:
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    page = await page_of_messages(database, MessageFilter(number), after=None, limit=2)
    messages = [row.message_tracking_id for row in page.rows]
    replies = await page_of_inbound_messages(
        database, InboundFilter(sender=number), after=None, limit=MAX_FOUND
    )
    return FoundNumber(messages, replies.replies)


async def _parts(database: Database, text: str) -> Found:
    page = await page_of_listed_campaigns(
        database, CampaignSearch(text=text), before=None, limit=MAX_FOUND
    )
    campaigns = [FoundCampaign(one.id, one.name, one.label) for one in page.campaigns]
    return Found(campaigns=campaigns, is_part=bool(campaigns))
