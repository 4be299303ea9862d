"""The only file of the simulator that knows what a request meets on its way in and out."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from app.sandbox.account import SimulatedAccount
from app.sandbox.fault_plan import FaultPlan
from app.sandbox.faults import Endpoint, Fault, Slow
from app.sandbox.hang_up import HangUp
from app.sandbox.refusals import VIBER_NOT_ACTIVATED
from app.sandbox.requests import campaign_name_in
from app.sandbox.tokens import TokenDesk, unknown_token

Answering = Callable[[Request], Awaitable[Response]]


class Door:
    """
    Lets requests in: past the faults that are planned, with a living token, to an active account.

    `close` ends the waits of slow answers.
    """

    def __init__(self, *, tokens: TokenDesk, faults: FaultPlan, account: SimulatedAccount) -> None:
        self._tokens = tokens
        self._faults = faults
        self._account = account
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Let nobody wait any longer."""
        self._closed.set()

    def open(self, endpoint: Endpoint, answering: Answering) -> Answering:
        """*answering* for everyone, with the faults planned for *endpoint*."""

        async def let_in(request: Request) -> Response:
            try:
                # Read before any wait: who has sent it all may go, and it is handled all the same.
                body = await request.body()
            except ClientDisconnect:
                return HangUp()
            self._note(endpoint, body)
            return await self._meeting(self._faults.next(endpoint), request, answering)

        return let_in

    def guarded(self, endpoint: Endpoint, answering: Answering) -> Answering:
        """*answering* for those who may use Viber, with the faults planned for *endpoint*."""

        async def guard(request: Request) -> Response:
            if not self._tokens.opens(request.headers.get("authorization", "")):
                return unknown_token()
            if not self._account.is_viber_activated:
                return VIBER_NOT_ACTIVATED.answer()
            return await answering(request)

        return self.open(endpoint, guard)

    def _note(self, endpoint: Endpoint, body: bytes) -> None:
        if endpoint is Endpoint.CAMPAIGN and (name := campaign_name_in(body)):
            self._account.note_arrival(name, at=datetime.now(UTC))

    async def _meeting(
        self, fault: Fault | None, request: Request, answering: Answering
    ) -> Response:
        if fault is None:
            return await answering(request)
        answer = await answering(request) if fault.handled else None
        if not isinstance(fault, Slow):
            return fault.answer()
        await self._wait(fault.seconds)
        return answer or await answering(request)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()
