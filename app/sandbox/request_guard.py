"""The checks and faults around every endpoint of the simulated Routee."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from app.sandbox.account import SimulatedAccount
from app.sandbox.fault_plan import FaultPlan
from app.sandbox.faults import Endpoint, HangUp, InjectedFault, Slow
from app.sandbox.refusals import VIBER_NOT_ACTIVATED
from app.sandbox.requests import campaign_name_in
from app.sandbox.tokens import TokenIssuer, unknown_token

Answering = Callable[[Request], Awaitable[Response]]


class RequestGuard:
    """
    Wraps endpoints with the planned faults, the check of the token and that of the account.

    `close` ends the waits of slow answers.
    """

    def __init__(
        self, *, tokens: TokenIssuer, faults: FaultPlan, account: SimulatedAccount
    ) -> None:
        self._tokens = tokens
        self._faults = faults
        self._account = account
        self._closed = asyncio.Event()

    def close(self) -> None:
        """End the waits of slow answers."""
        self._closed.set()

    def wrapped(self, endpoint: Endpoint, answering: Answering) -> Answering:
        """*answering* without a check of access, with the faults planned for *endpoint*."""

        async def respond(request: Request) -> Response:
            try:
                # Read before any wait, so that a complete request is handled if its client leaves.
                body = await request.body()
            except ClientDisconnect:
                return HangUp()
            if endpoint is Endpoint.CAMPAIGN and (name := campaign_name_in(body)):
                self._account.note_arrival(name, at=datetime.now(UTC))
            return await self._answer_with(self._faults.next(endpoint), request, answering)

        return respond

    def guarded(self, endpoint: Endpoint, answering: Answering) -> Answering:
        """*answering* with the checks of access and the faults planned for *endpoint*."""

        async def guard(request: Request) -> Response:
            if not self._tokens.accepts(request.headers.get("authorization", "")):
                return unknown_token()
            if not self._account.is_viber_activated:
                return VIBER_NOT_ACTIVATED.answer()
            return await answering(request)

        return self.wrapped(endpoint, guard)

    async def _answer_with(
        self, fault: InjectedFault | None, request: Request, answering: Answering
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
