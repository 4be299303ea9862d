"""Asking Routee's tracking: at a limited rate, as it wants, and never in the way of callbacks."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from app.errors import ReceiverError, RouteeRefused, RouteeTokenUnavailable, RouteeUnavailable
from app.kit.rate_limiter import RateLimiter
from app.routee.client import RouteeClient
from app.routee.refusals import ABOUT_ACCESS
from app.routee.tracking import PAGE_ITEMS

T = TypeVar("T")

#: How often one request is sent before the run ends.
_ATTEMPTS: Final = 4
_FIRST_PAUSE_SECONDS: Final = 0.5
#: A `Retry-After` up to this is waited for. After a longer one the run ends, and no process asks
#: before.
_MAX_WAIT_SECONDS: Final = 60
#: Until the next run after Routee has not answered, or while callbacks are behind.
PAUSE_SECONDS: Final = 60.0
#: Longer values of `Retry-After` are not believed.
_MAX_PAUSE_SECONDS: Final = 86_400.0
#: Longer than a request waits for its turn at any rate that the settings allow.
_TURN_SECONDS: Final = 600.0


class Postponed(ReceiverError):
    """The run has to end; the next one goes on after `seconds`."""

    def __init__(self, why: str, seconds: float = PAUSE_SECONDS, *, counts: bool = False) -> None:
        super().__init__(why)
        self.seconds = min(seconds, _MAX_PAUSE_SECONDS)
        #: Whether the answer to this one request may be to blame.
        self.counts = counts


class Behind(Postponed):
    """Callbacks come first: they wait, or storing takes long."""

    def __init__(self) -> None:
        super().__init__("Callbacks come first: they are behind, or storing takes long.")


class Tracking:
    """
    Routee's tracking reads, *per_second* at most.

    *is_behind* says whether callbacks are behind: nothing is asked then. *client* repeats nothing
    itself, so that the rate holds.
    """

    def __init__(
        self, client: RouteeClient, *, per_second: float, is_behind: Callable[[], bool]
    ) -> None:
        self._client = client
        self._limiter = RateLimiter(lambda: per_second)
        self._is_behind = is_behind
        #: How many requests were sent.
        self.requests = 0

    async def page(self, tracking_id: str, *, number: int) -> Mapping[str, Any]:
        """
        One page of a campaign's messages.

        Raises:
            Postponed: the run has to end.
            RouteeRefused: with 404, Routee does not know the campaign.
            RouteeUnavailable: asking again does not help.
        """
        return await self._asked(
            lambda: self._client.track_page(tracking_id, number=number, page_size=PAGE_ITEMS)
        )

    async def message(self, tracking_id: str) -> Mapping[str, Any]:
        """
        One message. The failures are those of `page`.

        Raises:
            Postponed: the run has to end.
            RouteeRefused: with 404, Routee does not know the message.
            RouteeUnavailable: asking again does not help.
        """
        return await self._asked(lambda: self._client.track_message(tracking_id))

    def close(self) -> None:
        """Wait for nothing any more."""
        self._limiter.close()

    async def _asked(self, ask: Callable[[], Awaitable[T]]) -> T:
        pause = _FIRST_PAUSE_SECONDS
        for attempt in range(1, _ATTEMPTS + 1):
            if self._is_behind():
                raise Behind
            await self._limiter.wait(within_seconds=_TURN_SECONDS)
            self.requests += 1
            try:
                return await ask()
            except RouteeRefused as refusal:
                if refusal.http_status in ABOUT_ACCESS:
                    raise Postponed(str(refusal)) from refusal
                raise
            except RouteeTokenUnavailable as error:
                raise Postponed(str(error), error.retry_after_seconds or PAUSE_SECONDS) from error
            except RouteeUnavailable as error:
                if not error.temporary:
                    raise
                wished = error.retry_after_seconds
                if attempt == _ATTEMPTS or (wished or 0) > _MAX_WAIT_SECONDS:
                    seconds = wished or PAUSE_SECONDS
                    raise Postponed(str(error), seconds, counts=not wished) from error
                await asyncio.sleep(wished or pause)
                pause *= 2
        raise AssertionError  # the last attempt has returned or raised
