"""A sender of callbacks that remembers every answer, and how long it took."""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import NamedTuple
from uuid import NAMESPACE_OID, uuid5

from app.sandbox.http_connection import HttpConnection
from app.sandbox.payloads import iso
from app.sandbox.processes import HOST

#: Routee hangs up after 2 s. A process of a busy machine may get no processor for a while; what has
#: no limit takes longer by far.
PATIENCE_SECONDS = 4.0
_GIVE_UP_SECONDS = 20.0
_START = datetime(2026, 3, 1, tzinfo=UTC)
_NUMBER = "+306912345678"
_STATUSES = ("QUEUED", "SENT", "DELIVERED", "SEEN")

Identity = tuple[str, str]


class Callback(NamedTuple):
    """One request body and what tells it from others."""

    identity: Identity
    body: bytes


def callback(
    message: str,
    status: str = "DELIVERED",
    *,
    campaign: str | None = "campaign",
    days: int = 0,
    position: int = 0,
) -> Callback:
    """
    What Routee posts about *message*.

    With a *position* it has times of its own, and every second one a text of its own as well.
    """
    created_at = _START + timedelta(milliseconds=position)
    document = {
        "trackingId": message,
        "campaignTrackingId": campaign,
        "to": _NUMBER,
        "from": "Shop",
        "country": "GR",
        "status": {"name": status, "updatedDate": iso(created_at + timedelta(days=days))},
        "body": {"text": f"Dear customer {position}" if position % 2 else "Dear customer"},
        "label": "spring",
        "price": 0.035,
        "createdAt": iso(created_at),
    }
    return Callback((message, status), json.dumps(document).encode())


def changed(one: Callback, **changes: object) -> Callback:
    """*one* with other members."""
    return one._replace(body=json.dumps(json.loads(one.body) | changes).encode())


def reply(message: str, text: str) -> Callback:
    """What Routee posts when the recipient of *message* answers."""
    document = {
        "from": _NUMBER,
        "to": "Shop",
        "message": text,
        "sentDate": _START.isoformat(),
        "referenceTrackingId": message,
        "direction": "Inbound",
    }
    return Callback((message, text), json.dumps(document).encode())


def report(campaign: str, status: str = "Running", **changes: object) -> Callback:
    """What Routee posts about *campaign* as a whole."""
    document = {
        "trackingId": campaign,
        "name": "Spring sale",
        "totalRecipients": 3,
        "campaignStatus": status,
        "messageStatuses": {"Queued": 1, "Delivered": 2},
    }
    return Callback((campaign, status), json.dumps(document | changes).encode())


def stories(
    prefix: str, messages: int, *, campaigns: int = 1, recipients: int = 1
) -> list[Callback]:
    """The whole life of some messages, spread over some campaigns and recipients."""
    callbacks = []
    for at in range(messages):
        message, campaign, to = f"{prefix}-{at}", f"{prefix}-c{at % campaigns}", at % recipients
        for days, status in enumerate(_STATUSES):
            one = callback(message, status, campaign=campaign, days=days, position=at)
            callbacks.append(_to(to, one))
    return callbacks


def endless(prefix: str) -> Iterator[Callback]:
    """One message after the other, each to another recipient, without end."""
    for at in count():
        message = f"{prefix}-{at}"
        if at % 3:  # as Routee gives them
            message = str(uuid5(NAMESPACE_OID, message))
        yield _to(at, callback(message, days=1, position=at))


def _to(recipient: int, one: Callback) -> Callback:
    return changed(one, to=f"+3069555{recipient:05}") if recipient else one


class Answer(NamedTuple):
    """What became of one request."""

    callback: Callback
    #: 0: the connection was lost, or refused, before there was an answer.
    status: int
    seconds: float
    retry_after: str | None
    body: bytes


class CannotConnect(Exception):
    """Raised when the service does not listen."""


@dataclass
class Sender:
    """Posts callbacks over some connections at once, each of them one after the other."""

    port: int
    path: str
    connections: int = 32
    answers: list[Answer] = field(default_factory=list)

    async def send(self, callbacks: Iterable[Callback], *, until: Callable[[], bool]) -> None:
        """Post *callbacks* until there are no more, or *until* says that it is enough."""
        source = iter(callbacks)

        async def _post_in_turn() -> None:
            connection = _Connection(self.port, self.path)
            for item in source:
                if until():
                    break
                answer = await connection.post(item)
                self.answers.append(answer)
                if answer.status == 0:
                    await asyncio.sleep(0.02)
            connection.close()

        await asyncio.gather(*(_post_in_turn() for _ in range(self.connections)))

    async def send_all(self, callbacks: Iterable[Callback]) -> None:
        """Post each of *callbacks* once."""
        await self.send(callbacks, until=lambda: False)

    async def send_for(self, seconds: float, callbacks: Iterable[Callback]) -> None:
        """Post *callbacks* for so long."""
        end = time.monotonic() + seconds
        await self.send(callbacks, until=lambda: time.monotonic() >= end)

    @property
    def acknowledged(self) -> set[Callback]:
        """What was answered 200."""
        return {answer.callback for answer in self.answers if answer.status == 200}

    @property
    def statuses(self) -> set[int]:
        """All the answers' statuses; 0 stands for a lost connection."""
        return {answer.status for answer in self.answers}


def assert_each_is_stored_or_to_be_repeated_in_time(answers: Iterable[Answer]) -> None:
    """200 or 503 with Retry-After, before Routee hangs up."""
    for answer in answers:
        assert answer.status in (200, 503), answer
        assert answer.seconds < PATIENCE_SECONDS, answer
        assert (answer.retry_after is not None) == (answer.status == 503), answer
        assert answer.status == 503 or b"quarantined" not in answer.body, answer


class _Connection:
    """One connection that is kept alive, and opened again when it is lost."""

    def __init__(self, port: int, path: str) -> None:
        self._path = path
        self._connection = HttpConnection(HOST, port)

    async def post(self, item: Callback) -> Answer:
        started = time.monotonic()
        try:
            async with asyncio.timeout(_GIVE_UP_SECONDS):
                answer = await self._connection.post(self._path, item.body)
        except TimeoutError:  # the promise is broken; not a lost connection
            raise
        except (OSError, EOFError):
            self.close()
            return Answer(item, 0, time.monotonic() - started, None, b"")
        seconds = time.monotonic() - started
        return Answer(item, answer.status, seconds, answer.headers.get("retry-after"), answer.body)

    def close(self) -> None:
        self._connection.close()
