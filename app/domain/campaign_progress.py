"""What the provider reports of a campaign as a whole: how far it is, and its messages by word."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID


class CampaignProgress(NamedTuple):
    """
    One report of a campaign's progress. It says nothing of a single message.

    A tuple, in the order of the database's type `callback_progress`.
    """

    #: The SHA-256 of the report in one spelling: the provider gives it no id.
    identity: bytes
    #: The provider's id of the campaign, at most 512 bytes of UTF-8.
    campaign_tracking_id: str
    #: Our own campaign, if the report came through that campaign's token.
    campaign_id: UUID | None
    #: The provider's word for the state of the campaign, at most 64 characters.
    status: str | None
    #: When the campaign was so, if the report says when.
    reported_at: datetime | None
    name: str | None
    total_recipients: int | None
    #: A JSON object: how many messages are in which state, in the provider's words.
    message_statuses: str
    payload: bytes
    payload_dictionary: int
    payload_reserialised: bool
