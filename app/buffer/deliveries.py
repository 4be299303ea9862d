"""The only file that knows how workers share the batches of the stream: one durable consumer."""

from contextlib import suppress
from typing import Final

import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from app.buffer.failures import translated

_CONSUMER: Final = "work"
_UNLIMITED: Final = -1


class Delivery:
    """
    One message, which is delivered again unless it is removed in time.

    The client that it came through may be disconnected: every method raises `BufferUnavailable`
    then, and the message is delivered again.
    """

    def __init__(self, message: Msg) -> None:
        self._message = message
        self.octets: bytes = message.data
        #: How often it was delivered so far.
        self.times: int = message.metadata.num_delivered

    async def remove(self) -> None:
        """Acknowledge it, as it is stored; if this gets lost, it is only delivered again."""
        with translated():
            await self._message.ack()

    async def postpone(self, seconds: float) -> None:
        """Have it delivered again, to any worker, after *seconds*."""
        with translated():
            await self._message.nak(delay=seconds)


class Deliveries:
    """The messages of a stream, each to one of all who ask for them."""

    def __init__(
        self, jetstream: JetStreamContext, stream: str, pulling: JetStreamContext.PullSubscription
    ) -> None:
        self._jetstream = jetstream
        self._stream = stream
        self._pulling = pulling

    @classmethod
    async def of(
        cls, jetstream: JetStreamContext, stream: str, *, ack_wait_seconds: float
    ) -> "Deliveries":
        """
        Those of *stream*; the consumer is made, or brought to this configuration.

        Raises:
            BufferUnavailable: it cannot be made now.
        """
        config = ConsumerConfig(
            durable_name=_CONSUMER,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ack_wait_seconds,
            max_deliver=_UNLIMITED,
        )
        with translated():
            await jetstream.add_consumer(stream, config)
            pulling = await jetstream.pull_subscribe_bind(_CONSUMER, stream)
        return cls(jetstream, stream, pulling)

    async def next(self, *, timeout_seconds: float) -> Delivery | None:
        """
        The next message; None if there is none within *timeout_seconds*.

        Raises:
            BufferUnavailable: the consumer does not answer, or does not exist any more.
        """
        with translated():
            try:
                (message,) = await self._pulling.fetch(1, timeout=timeout_seconds)
            except TimeoutError:
                await self._jetstream.consumer_info(self._stream, _CONSUMER)
                return None
        return Delivery(message)

    async def close(self) -> None:
        """Ask for no more."""
        with suppress(nats.errors.Error):
            await self._pulling.unsubscribe()
