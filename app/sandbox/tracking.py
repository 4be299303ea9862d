"""Tracking reads of a campaign: its messages, sorted and in pages; and their rate limit."""

import time
from collections import deque
from collections.abc import Callable
from operator import attrgetter

from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse

from app.sandbox.ledger import SimulatedCampaign, SimulatedMessage
from app.sandbox.payloads import page, tracking_item
from app.sandbox.refusals import UNREADABLE

_PAGE_ITEMS = 20
#: A greater `size` counts as this. Routee documents no limit; frameworks have one.
MAX_PAGE_ITEMS = 1000

#: The values of `sort`; any other keeps the order in which the messages were queued.
_SORT_KEYS: dict[str, Callable[[SimulatedMessage], object]] = {
    "trackingId": attrgetter("tracking_id"),
    "to": attrgetter("to"),
    "status": attrgetter("final.status"),
    "date": attrgetter("final.occurred_at"),
}


def tracking_page(campaign: SimulatedCampaign, query: QueryParams) -> JSONResponse:
    """One page of a campaign's messages; *query* may have `page`, `size` and `sort`."""
    try:
        number = int(query.get("page", "0"))
        size = int(query.get("size", str(_PAGE_ITEMS)))
    except ValueError:
        return UNREADABLE.answer("page and size must be whole numbers")
    if number < 0 or size < 1:
        return UNREADABLE.answer("page must be at least 0 and size at least 1")
    size = min(size, MAX_PAGE_ITEMS)
    messages = _sorted(list(campaign.messages.values()), query.get("sort", ""))
    items = [tracking_item(campaign, message) for message in messages]
    return JSONResponse(page(items, number=number, size=size))


class RateLimit:
    """Allows so many requests in any second."""

    def __init__(self, per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._allowed: deque[float] = deque()

    def allows(self) -> bool:
        """Whether the request of this moment is allowed; it counts if it is."""
        now = self._clock()
        while self._allowed and self._allowed[0] <= now - 1:
            self._allowed.popleft()
        if len(self._allowed) >= self._per_second:
            return False
        self._allowed.append(now)
        return True


def _sorted(messages: list[SimulatedMessage], sort: str) -> list[SimulatedMessage]:
    """*messages* in the order of *sort*: `field` or `field,desc`."""
    field, _, direction = sort.partition(",")
    key = _SORT_KEYS.get(field)
    if key is None:
        return messages
    return sorted(messages, key=key, reverse=direction.lower() == "desc")  # type: ignore[arg-type]
