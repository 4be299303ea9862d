import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from app.buffer.connection import Buffer
from app.errors import BufferFull, BufferUnavailable, BufferUnsafe
from app.sandbox.nats_servers import NatsCluster
from tests.nats import jetstream, stream, unsafe_buffer
from tests.promises.stage import eventually

_NOWHERE = "nats://127.0.0.1:9"


Closing = Callable[[Buffer], Buffer]


@pytest.fixture
async def closing() -> AsyncIterator[Closing]:
    """Closes the buffers that it is given at the end of the test."""
    given: list[Buffer] = []

    def _close_later(buffer: Buffer) -> Buffer:
        given.append(buffer)
        return buffer

    yield _close_later
    for buffer in given:
        await buffer.close()


@pytest.fixture
def name() -> str:
    """The name of a stream of this test's own."""
    return f"s-{secrets.token_hex(4)}"


@pytest.fixture
def buffer(nats_url: str, name: str, closing: Closing) -> Buffer:
    return closing(unsafe_buffer(nats_url, name))


def _watched(cluster: NatsCluster, *, monitored: int = 3) -> Buffer:
    urls, monitor_urls = cluster.url.split(","), cluster.monitor_urls.split(",")
    return Buffer(urls, stream="s", max_bytes=1024**2, monitor_urls=monitor_urls[:monitored])


async def test_what_is_published_is_counted_until_it_is_removed(buffer: Buffer) -> None:
    assert (await buffer.check()).messages == 0
    await buffer.publish(b"one")
    await buffer.publish(b"two")
    backlog = await buffer.check()
    assert backlog.messages == 2
    assert backlog.oldest_at is not None
    deliveries = await buffer.deliveries(ack_wait_seconds=30)
    for octets in (b"one", b"two"):
        delivery = await deliveries.next(timeout_seconds=5)
        assert delivery is not None
        assert (delivery.octets, delivery.times) == (octets, 1)
        await delivery.remove()
    assert await deliveries.next(timeout_seconds=0.2) is None
    assert (await buffer.check()).messages == 0
    await deliveries.close()


async def test_what_is_postponed_is_delivered_again(buffer: Buffer) -> None:
    await buffer.check()
    await buffer.publish(b"one")
    deliveries = await buffer.deliveries(ack_wait_seconds=30)
    for times in (1, 2):
        delivery = await deliveries.next(timeout_seconds=5)
        assert delivery is not None
        assert delivery.times == times
        await delivery.postpone(0.1)


async def test_a_consumer_that_is_deleted_fails_the_next_delivery_and_can_be_made_again(
    buffer: Buffer, nats_url: str, name: str
) -> None:
    await buffer.check()
    await buffer.publish(b"one")
    deliveries = await buffer.deliveries(ack_wait_seconds=30)
    assert await deliveries.next(timeout_seconds=5) is not None
    async with jetstream(nats_url) as context:
        await context.delete_consumer(name, "work")
    with pytest.raises(BufferUnavailable):
        await deliveries.next(timeout_seconds=0.5)
    again = await buffer.deliveries(ack_wait_seconds=30)
    delivery = await again.next(timeout_seconds=5)
    assert delivery is not None
    assert delivery.octets == b"one"


async def test_a_stream_that_is_deleted_is_made_again(
    buffer: Buffer, nats_url: str, name: str
) -> None:
    await buffer.check()
    async with jetstream(nats_url) as context:
        await context.delete_stream(name)
    await buffer.check()
    await buffer.publish(b"one")


async def test_a_full_stream_refuses_and_keeps_what_it_has(buffer: Buffer) -> None:
    await buffer.check()
    for _ in range(7):  # of the 4 MiB that the stream may have
        await buffer.publish(bytes(512 * 1024))
    with pytest.raises(BufferFull):
        await buffer.publish(bytes(600 * 1024))
    assert (await buffer.check()).messages == 7


async def test_nothing_is_published_before_the_buffer_was_checked(buffer: Buffer) -> None:
    with pytest.raises(BufferUnavailable, match="not been checked"):
        await buffer.publish(b"one")


@pytest.mark.slow
async def test_a_server_that_is_away_is_said_to_be(closing: Closing) -> None:
    buffer = closing(unsafe_buffer(_NOWHERE, "s"))
    with pytest.raises(BufferUnavailable, match="does not answer"):
        await buffer.check()


async def test_a_publication_without_an_acknowledgement_goes_on_until_it_is_cancelled(
    buffer: Buffer, nats_url: str, name: str
) -> None:
    async with jetstream(nats_url) as context:
        await context.add_stream(stream(name, no_ack=True))
    await buffer.check()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await buffer.publish(b"one")
    assert (await buffer.check()).messages == 1  # it is in the stream all the same


async def test_one_server_alone_is_refused(
    nats_url: str, nats_monitor_url: str, name: str, closing: Closing
) -> None:
    monitor_urls = [nats_monitor_url]
    alone = Buffer([nats_url], stream=name, max_bytes=1024**2, monitor_urls=monitor_urls)
    closing(alone)
    with pytest.raises(BufferUnsafe, match="not part of a cluster"):
        await alone.check()
    async with jetstream(nats_url) as context:
        await context.add_stream(stream(name))
    with pytest.raises(BufferUnsafe, match=r"num_replicas .*; .* set `sync_interval: always`"):
        await alone.check()
    with pytest.raises(BufferUnavailable, match="not durable"):
        await alone.publish(b"one")


@pytest.mark.slow
async def test_a_durable_cluster_is_accepted_and_a_change_for_the_worse_is_noticed(
    tmp_path: Path, closing: Closing
) -> None:
    async with NatsCluster(tmp_path) as cluster:
        buffer = closing(_watched(cluster))
        await buffer.check()
        await buffer.publish(b"one")
        async with jetstream(cluster.url) as context:
            await context.update_stream(stream("s", replicas=1))
            with pytest.raises(BufferUnsafe, match="num_replicas"):
                await buffer.check()
            with pytest.raises(BufferUnavailable):
                await buffer.publish(b"two")
            await context.update_stream(stream("s", replicas=3))
        await _eventually_accepted(buffer)
        await buffer.publish(b"two")
        unwatched = closing(_watched(cluster, monitored=2))
        with pytest.raises(BufferUnsafe, match="no monitoring URL answers for the server n3"):
            await unwatched.check()


@pytest.mark.slow
async def test_a_cluster_that_syncs_later_is_refused(tmp_path: Path, closing: Closing) -> None:
    async with NatsCluster(tmp_path, sync_always=False) as cluster:
        with pytest.raises(BufferUnsafe) as refused:
            await closing(_watched(cluster)).check()
    assert len(refused.value.objections) == 3
    assert all("sync_interval: always" in objection for objection in refused.value.objections)


@pytest.mark.slow
async def test_a_server_that_is_down_is_tolerated_until_it_comes_back_with_a_wrong_configuration(
    tmp_path: Path, closing: Closing
) -> None:
    async with NatsCluster(tmp_path) as cluster:
        first = closing(_watched(cluster))
        await first.check()
        leader = await cluster.leader_of("s")
        assert leader is not None
        other = (leader + 1) % 3
        cluster.kill_node(other)
        buffer = closing(_watched(cluster))
        await buffer.start()
        await buffer.publish(b"one")
        cluster.start_node(other, sync_always=False)
        await cluster.wait_until_ready()
        with pytest.raises(BufferUnsafe, match=f"the server n{other + 1} acknowledges before"):
            await buffer.check()


@pytest.mark.slow
async def test_what_is_published_while_a_stream_has_no_leader_is_acknowledged_by_the_next_one(
    tmp_path: Path, closing: Closing
) -> None:
    async with NatsCluster(tmp_path) as cluster:
        buffer = closing(_watched(cluster))
        await buffer.check()
        for _ in range(3):
            leader = await cluster.leader_of("s")
            assert leader is not None
            cluster.kill_node(leader)
            late = closing(_watched(cluster))
            async with asyncio.timeout(60):
                await asyncio.gather(buffer.publish(b"one"), late.start())
            await late.publish(b"two")
            await cluster.start()
        assert (await buffer.check()).messages >= 6


async def _eventually_accepted(buffer: Buffer) -> None:
    async def _is_accepted() -> bool:
        try:
            await buffer.check()
        except (BufferUnsafe, BufferUnavailable):
            return False
        return True

    await eventually(_is_accepted)
