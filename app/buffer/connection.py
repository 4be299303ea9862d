"""
The only file that talks to NATS: a connection, the stream, and what is published to it.

Translates every error of the client to `BufferUnavailable`, `BufferFull` or `BufferUnsafe`.
"""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import nats
import structlog
from nats.aio.client import Client
from nats.errors import NoRespondersError
from nats.js import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError

from app.buffer.deliveries import Deliveries
from app.buffer.failures import translated
from app.buffer.servers import objections_to_servers, read_servers
from app.buffer.stream import Backlog, backlog_of, objections_to, servers_of, wanted_stream
from app.errors import BufferFull, BufferUnavailable, BufferUnsafe
from app.kit.log_limiter import LogLimiter

log = structlog.get_logger()

_CONNECT_SECONDS: Final = 2
_OPEN_SECONDS: Final = 3.0
_RECONNECT_SECONDS: Final = 0.1
#: Of each server, so that the first connection is not tried for ever; then it is made again always.
_FIRST_ATTEMPTS: Final = 20
_UNLIMITED: Final = -1
_ATTEMPTS: Final = "max_reconnect_attempts"
#: A server that answers no ping for two of these is taken for dead.
_PING_SECONDS: Final = 1
_API_SECONDS: Final = 3.0
#: Until a server that was killed counts as offline, and need not be verified.
_LOST_SERVER_SECONDS: Final = 4.0
#: Until another server leads the stream.
_NEW_LEADER_SECONDS: Final = 15.0
_START_PAUSE_SECONDS: Final = 0.5
#: While a stream has no leader.
_REPEAT_SECONDS: Final = 0.05
_STREAM_NOT_FOUND: Final = 404
_UNAVAILABLE: Final = 503
#: JetStream's code for "maximum bytes exceeded".
_STORE_FAILED: Final = 10077
#: For "replicas > 1 not supported in non-clustered mode".
_NOT_CLUSTERED: Final = 10074


class Buffer:
    """A stream of batches. Safe to use from many tasks; a lost connection is made again."""

    def __init__(  # noqa: PLR0913 (the settings of the buffer)
        self,
        urls: Sequence[str],
        *,
        stream: str,
        max_bytes: int,
        monitor_urls: Sequence[str] = (),
        is_unsafe_allowed: bool = False,
        name: str = "routee-receiver",
    ) -> None:
        self._urls = list(urls)
        self._stream = stream
        self._max_bytes = max_bytes
        self._monitor_urls = monitor_urls
        self._is_unsafe_allowed = is_unsafe_allowed
        self._name = name
        self._client: Client | None = None
        self._context: JetStreamContext | None = None
        #: Done when the connection is lost: what was published through it has no answer any more.
        self._lost: asyncio.Future[None] | None = None
        self._opening = asyncio.Lock()
        self._errors = LogLimiter()
        #: Why nothing may be published; None once the buffer is found to be durable.
        self.obstacle: BufferUnavailable | BufferUnsafe | None = BufferUnavailable(
            "The buffer has not been checked yet."
        )

    async def check(self) -> Backlog:
        """
        Connect, make the stream if it is missing, and verify that the buffer is durable.

        A server that was found durable stays so while its monitoring does not answer.

        Raises:
            BufferUnavailable: NATS does not answer, or the stream has no leader.
            BufferUnsafe: the buffer is not durable, or that cannot be verified. Nothing is
                published until another check finds it mended.
        """
        try:
            with translated():
                info = await self._stream_info(await self._jetstream())
            await self._verify(info)
        except BufferUnsafe as error:
            self.obstacle = error
            raise
        except BufferUnavailable as error:
            if not self._is_verified:
                self.obstacle = error
            raise
        self.obstacle = None
        return backlog_of(info)

    async def start(self) -> None:
        """
        Check the buffer, for some seconds: a server may have been lost a moment ago.

        Raises:
            BufferUnavailable: NATS does not answer, or the stream has no leader.
            BufferUnsafe: the buffer is not durable, or that cannot be verified.
        """
        loop = asyncio.get_running_loop()
        since, was_unsafe = loop.time(), False
        while True:
            try:
                await self.check()
            except (BufferUnavailable, BufferUnsafe) as error:
                if isinstance(error, BufferUnsafe) is not was_unsafe:
                    since, was_unsafe = loop.time(), not was_unsafe
                patience = _LOST_SERVER_SECONDS if was_unsafe else _NEW_LEADER_SECONDS
                if loop.time() - since > patience:
                    raise
            else:
                return
            await asyncio.sleep(_START_PAUSE_SECONDS)

    async def publish(self, message: bytes) -> None:
        """
        Return once *message* is acknowledged: as many servers have it on their disks as have to.

        It is repeated until then when the connection is lost or the stream has no leader. The
        caller cancels it at its deadline; whether the message is in the stream is unknown then.

        Raises:
            BufferUnavailable: it cannot be published now, or the last check found an obstacle.
            BufferFull: the stream has no room.
        """
        if self.obstacle is not None:
            raise BufferUnavailable(str(self.obstacle))
        while True:
            with translated():
                if await self._is_published(message):
                    return
            await asyncio.sleep(_REPEAT_SECONDS)

    async def deliveries(self, *, ack_wait_seconds: float) -> Deliveries:
        """
        The batches to store, through the consumer that all workers share; it is made if missing.

        Raises:
            BufferUnavailable: the consumer cannot be made now.
        """
        with translated():
            jetstream = await self._jetstream()
        return await Deliveries.of(jetstream, self._stream, ack_wait_seconds=ack_wait_seconds)

    async def close(self) -> None:
        """Send what is not sent yet, and end the connection."""
        client, self._client = self._client, None
        if client is not None:
            # Closing does not always end the task that connects again: so it gives up by itself.
            client.options[_ATTEMPTS] = 1
            with suppress(Exception):
                async with asyncio.timeout(_API_SECONDS):
                    if client.is_connected:
                        await client.flush()
                    await client.close()

    @property
    def _is_verified(self) -> bool:
        return self.obstacle is None

    async def _is_published(self, message: bytes) -> bool:
        """Whether it is acknowledged; False if it is worth to publish it again at once."""
        if self._client is None or not self._client.is_connected:
            return False
        if self._context is None or self._lost is None:
            return False
        publishing = asyncio.ensure_future(
            self._context.publish(self._stream, message, timeout=_OPEN_SECONDS, stream=self._stream)
        )
        either: set[asyncio.Future[Any]] = {publishing, self._lost}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not publishing.done():
                return False
            publishing.result()
        except (NoStreamResponseError, NoRespondersError):
            return False
        except APIError as error:
            if error.err_code == _STORE_FAILED:
                raise BufferFull("The buffer is full.") from error
            if error.code == _UNAVAILABLE:
                return False
            raise
        finally:
            publishing.cancel()
        return True

    async def _jetstream(self) -> JetStreamContext:
        async with self._opening:
            if self._context is None or self._client is None or self._client.is_closed:
                self._client = await self._connected()
                self._context = self._client.jetstream(timeout=_API_SECONDS)
            return self._context

    async def _connected(self) -> Client:
        self._lost = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(_OPEN_SECONDS):
            client = await nats.connect(
                self._urls,
                name=self._name,
                connect_timeout=_CONNECT_SECONDS,
                reconnect_time_wait=_RECONNECT_SECONDS,
                max_reconnect_attempts=_FIRST_ATTEMPTS,
                ping_interval=_PING_SECONDS,
                max_outstanding_pings=2,
                pending_size=0,  # nothing waits in this process for a connection
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnected,
                reconnected_cb=self._on_reconnected,
            )
        client.options[_ATTEMPTS] = _UNLIMITED
        return client

    async def _on_error(self, error: Exception) -> None:
        if times := self._errors.due():
            log.warning("the connection to the buffer failed", error=repr(error), times=times)

    async def _on_disconnected(self) -> None:
        lost, self._lost = self._lost, asyncio.get_running_loop().create_future()
        if lost is not None and not lost.done():
            lost.set_result(None)

    async def _on_reconnected(self) -> None:
        log.info("connected to the buffer again")

    async def _stream_info(self, jetstream: JetStreamContext) -> dict[str, Any]:
        """What JetStream says of the stream, which is made if it is missing."""
        try:
            return await self._asked(f"$JS.API.STREAM.INFO.{self._stream}")
        except NotFoundError:
            await self._make_stream(jetstream)
        return await self._asked(f"$JS.API.STREAM.INFO.{self._stream}")

    async def _make_stream(self, jetstream: JetStreamContext) -> None:
        wanted = wanted_stream(self._stream, max_bytes=self._max_bytes)
        log.info("making the stream of the buffer", stream=self._stream)
        try:
            await jetstream.add_stream(wanted)
        except APIError as error:
            if error.err_code != _NOT_CLUSTERED:
                raise
            if not self._is_unsafe_allowed:
                raise BufferUnsafe(
                    ["the NATS server is not part of a cluster, and 3 replicas are needed"]
                ) from error
            await jetstream.add_stream(wanted.evolve(num_replicas=1))

    async def _asked(self, subject: str) -> dict[str, Any]:
        """The answer of JetStream's API; the client's own classes lack some of its fields."""
        client = self._client
        if client is None:
            raise BufferUnavailable("The buffer is closed.")
        answer = json.loads((await client.request(subject, b"", timeout=_API_SECONDS)).data)
        if "error" in answer:
            raise APIError.from_error(answer["error"])
        info: dict[str, Any] = answer
        return info

    async def _verify(self, info: dict[str, Any]) -> None:
        if self._is_unsafe_allowed:
            return
        objections = objections_to(info)
        online, verdicts = servers_of(info), await read_servers(self._monitor_urls)
        if self._is_verified:
            objections += [reason for name in online for reason in verdicts.get(name, ())]
        else:
            objections += objections_to_servers(online, verdicts)
        if objections:
            raise BufferUnsafe(objections)
