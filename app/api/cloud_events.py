"""The feed as CloudEvents 1.0, in batches."""

from datetime import datetime
from typing import Final

import msgspec

from app.api.negotiation import qualities
from app.domain.feed import FeedItemType

MEDIA_TYPE: Final = "application/cloudevents-batch+json"
#: What the ids of the events are unique in: the feed of one installation.
SOURCE: Final = "/v1/events"
SPEC_VERSION: Final = "1.0"


class CloudEvent(msgspec.Struct, gc=False):
    """An item of the feed; its subject is left out if it has none."""

    id: str
    type: FeedItemType
    time: datetime
    data: msgspec.Raw
    subject: str | msgspec.UnsetType = msgspec.UNSET
    specversion: str = SPEC_VERSION
    source: str = SOURCE
    datacontenttype: str = "application/json"


def wants_batch(accept: str) -> bool:
    """
    Whether a request with that header `Accept` would rather have a batch than a page.

    Generated clients accept all that the document names, with equal quality, and read pages.
    """
    accepted = qualities(accept)
    return accepted.get(MEDIA_TYPE, 0) > accepted.get("application/json", 0)
