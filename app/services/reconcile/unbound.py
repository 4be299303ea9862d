"""Messages whose campaign has no trackingId here, asked for one by one."""

from collections import Counter
from http import HTTPStatus
from uuid import UUID

import structlog

from app.db import reconcile as work
from app.db.database import Database
from app.domain.reconcile import DAILY, RARELY
from app.errors import RouteeRefused, RouteeUnavailable
from app.routee.tracking import Unusable, read_item
from app.services.reconcile.asking import Tracking
from app.services.reconcile.comparison import Comparison

log = structlog.get_logger()


async def next_unbound(
    database: Database, after: str, campaign_id: UUID | None
) -> work.UnboundMessage | None:
    """The next message beyond *after* to ask for; None if there is none up to the end."""
    while True:
        part = await work.unbound_messages(database, after=after, campaign_id=campaign_id)
        if not part:
            return None
        wanted = next((message for message in part if message.is_wanted), None)
        if wanted is not None:
            return wanted
        after = part[-1].message_tracking_id


async def compare_unbound(
    database: Database,
    message: work.UnboundMessage,
    tracking: Tracking,
    comparison: Comparison,
) -> Counter[str]:
    """Compare *message*, and note that Routee was asked for it."""
    tracking_id = message.message_tracking_id
    counts: Counter[str] = Counter()
    pause = DAILY
    try:
        item = await tracking.message(tracking_id)
    except RouteeRefused as refusal:
        if refusal.http_status == HTTPStatus.NOT_FOUND:
            counts["notFound"] += 1
            pause = RARELY
        else:
            counts["refused"] += 1
    except RouteeUnavailable as error:
        log.warning("a message of tracking cannot be read", error=str(error))
        counts["unreadable"] += 1
    else:
        found = await comparison.compare(
            [item], message_tracking_id=tracking_id, campaign_id=message.campaign_id
        )
        counts.update(found)
    await work.note_message(database, tracking_id, pause=pause)
    return counts


async def peeked_id(database: Database, campaign_id: UUID, tracking: Tracking) -> str | None:
    """The trackingId of a campaign as one of its messages has it at Routee; None without one."""
    message = await next_unbound(database, "", campaign_id)
    if message is None:
        return None
    try:
        item = await tracking.message(message.message_tracking_id)
    except (RouteeRefused, RouteeUnavailable):
        return None
    event = read_item(item, message_tracking_id=message.message_tracking_id)
    return None if isinstance(event, Unusable) else event.campaign_tracking_id
