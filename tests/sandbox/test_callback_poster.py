import asyncio
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from app.sandbox.behaviour import Behaviour
from app.sandbox.callback_poster import REPEAT_AFTER_SECONDS, CallbackPoster, PostingProgress
from app.sandbox.ledger import Fate, Occurrence
from app.sandbox.payloads import Document, iso
from app.sandbox.postings import Posting
from app.sandbox.routee import EARLY_CALLBACKS

from .stage import (
    Received,
    Stage,
    acknowledged_events,
    acknowledged_replies,
    staged,
    tracked_statuses,
)


def keys(received: list[Received]) -> set[tuple[str, str, str]]:
    return {one.key for one in received}


def expected_keys(stage: Stage) -> set[tuple[str, str, str]]:
    events = [e for c in stage.routee.campaigns.values() for e in c.expected_events]
    inbound = [i for c in stage.routee.campaigns.values() for i in c.expected_inbound]
    return {(e.message_tracking_id, e.status, iso(e.occurred_at)) for e in events} | {
        (i.reference_tracking_id, "INBOUND", iso(i.sent_at)) for i in inbound
    }


async def test_every_planned_callback_arrives_once_without_faults() -> None:
    async with staged() as stage:
        campaign = await stage.launched(100)
        await stage.drained()

        assert keys(stage.receiver.received) == expected_keys(stage)
        progress = stage.routee.progress
        assert len(stage.receiver.received) == progress.planned == progress.acknowledged
        assert progress.attempted == progress.planned == progress.total == progress.settled
        assert len(stage.receiver.inbound) == len(campaign.expected_inbound)
        assert acknowledged_events(campaign) == campaign.expected_events
        assert acknowledged_replies(campaign) == campaign.expected_inbound
        assert campaign.expected_statuses == tracked_statuses(campaign)


async def test_over_one_connection_the_callbacks_come_in_the_order_of_their_times() -> None:
    async with staged(connections=1) as stage:
        await stage.launched(50)
        await stage.drained()

        times = [received.key[2] for received in stage.receiver.received]
        assert times == sorted(times)


async def test_shuffled_callbacks_come_in_another_order_but_are_the_same() -> None:
    async with staged(connections=1, shuffled=True) as stage:
        await stage.launched(50)
        await stage.drained()

        times = [received.key[2] for received in stage.receiver.received]
        assert times != sorted(times)
        assert keys(stage.receiver.received) == expected_keys(stage)


async def test_the_given_share_is_sent_twice_although_acknowledged() -> None:
    async with staged(duplicate_share=0.1) as stage:
        await stage.launched(100)
        await stage.drained()

        progress = stage.routee.progress
        twice = list(Counter(r.key for r in stage.receiver.received).values())
        assert twice.count(2) == progress.duplicates_acknowledged == round(progress.planned * 0.1)
        assert twice.count(1) == progress.planned - twice.count(2)
        assert progress.duplicates_sent == progress.duplicates_planned == twice.count(2)
        assert progress.retries == 0
        assert progress.settled == progress.total == len(stage.receiver.received)


async def test_a_503_is_repeated_and_then_acknowledged() -> None:
    async with staged() as stage:
        stage.receiver.status_of = lambda r: 503 if stage.receiver.times(r) < 3 else 200
        campaign = await stage.launched(10)
        await stage.drained()

        progress = stage.routee.progress
        assert progress.acknowledged == progress.planned
        assert progress.refused == progress.retries == progress.planned * 2
        assert acknowledged_events(campaign) == campaign.expected_events


@pytest.mark.parametrize("status", [201, 202, 204, 302, 307, 404])
async def test_only_a_200_counts_as_acknowledged(status: int) -> None:
    async with staged() as stage:
        stage.receiver.status_of = lambda r: status if stage.receiver.times(r) == 1 else 200
        await stage.launched(3)
        await stage.drained()

        progress = stage.routee.progress
        assert progress.refused == progress.planned == progress.acknowledged
        assert {received.path for received in stage.receiver.received} <= {"/status", "/inbound"}


async def test_an_answer_after_two_seconds_does_not_count() -> None:
    async with staged() as stage:
        stage.receiver.seconds_of = lambda r: 2.3 if stage.receiver.times(r) == 1 else 0.0
        await stage.launched(3)
        await stage.drained()

        progress = stage.routee.progress
        assert progress.unanswered == progress.retries == progress.planned
        assert progress.acknowledged == progress.planned


async def test_an_answer_within_two_seconds_counts() -> None:
    async with staged() as stage:
        stage.receiver.seconds_of = lambda _: 1.0
        await stage.launched(1)
        await stage.drained()

        assert stage.routee.progress.retries == 0


async def test_after_twelve_repeats_a_callback_is_abandoned() -> None:
    async with staged(duplicate_share=1) as stage:
        stage.receiver.status_of = lambda _: 500
        campaign = await stage.launched(1, inboundUrl=None)
        await stage.drained()

        progress = stage.routee.progress
        assert progress.abandoned == progress.planned > 0
        assert set(Counter(r.key for r in stage.receiver.received).values()) == {13}
        assert progress.retries == progress.planned * 12
        assert progress.settled == progress.total
        assert progress.duplicates_planned == progress.duplicates_sent == 0
        assert acknowledged_events(campaign) == frozenset()
        fates = {o.fate for m in campaign.messages.values() for o in m.occurrences}
        assert fates == {Fate.ABANDONED}


async def test_repeats_wait_as_long_as_the_schedule_says() -> None:
    scale = 0.001
    async with staged(time_scale=scale) as stage:
        stage.receiver.status_of = lambda r: 503 if stage.receiver.times(r) < 5 else 200
        await stage.launched(1)
        await stage.drained()

        first = stage.receiver.received[0].key
        times = [r.at for r in stage.receiver.received if r.key == first]
        waits = [later - earlier for earlier, later in pairwise(times)]
        for wait, seconds in zip(waits, REPEAT_AFTER_SECONDS, strict=False):
            assert seconds * scale <= wait + 0.002 < seconds * scale + 0.25


def test_the_schedule_has_the_twelve_waits_of_the_contract() -> None:
    minutes = [0.5, 1, 2, 5, 10, 15, 30, 1 * 60, 2 * 60, 4 * 60, 8 * 60, 24 * 60]

    assert [seconds / 60 for seconds in REPEAT_AFTER_SECONDS] == minutes


async def test_a_wait_for_a_repeat_does_not_delay_other_callbacks() -> None:
    async with staged(connections=1, time_scale=1.0) as stage:
        stage.receiver.status_of = lambda r: 503 if r is stage.receiver.received[0] else 200
        await stage.launched(10)
        planned = stage.routee.progress.planned
        async with asyncio.timeout(5):
            while stage.routee.progress.acknowledged < planned - 1:  # noqa: ASYNC110 (a number)
                await asyncio.sleep(0.01)

        assert stage.routee.progress.settled == planned - 1


async def test_a_receiver_that_does_not_listen_counts_as_unanswered() -> None:
    async with staged() as stage:
        await stage.launched(1, callbackUrl="http://127.0.0.1:9/status", inboundUrl=None)
        await stage.drained()

        progress = stage.routee.progress
        assert progress.abandoned == progress.planned
        assert progress.unanswered == progress.planned * 13


async def test_callbacks_to_an_unusable_url_are_abandoned() -> None:
    async with staged() as stage:
        for url in ("not a url", "http://[", "ftp://127.0.0.1/status"):
            await stage.launched(1, campaignName=None, callbackUrl=url, inboundUrl=None)
        await stage.drained()

        assert stage.routee.progress.abandoned == stage.routee.progress.planned


async def test_lost_callbacks_are_never_posted_but_are_in_the_ledger() -> None:
    async with staged(lost_share=0.2) as stage:
        campaign = await stage.launched(100)
        await stage.drained()

        everything = sum(len(m.occurrences) for m in campaign.messages.values())
        assert stage.routee.progress.lost == len(campaign.lost_events) == round(everything * 0.2)
        assert len(keys(stage.receiver.statuses)) == everything - len(campaign.lost_events)
        assert keys(stage.receiver.received) == expected_keys(stage)
        assert campaign.expected_statuses != tracked_statuses(campaign)


async def test_if_all_is_lost_nothing_is_expected_and_replies_still_come() -> None:
    async with staged(lost_share=1) as stage:
        campaign = await stage.launched(100)
        await stage.drained()

        assert campaign.expected_statuses == {}
        assert stage.receiver.statuses == []
        assert stage.receiver.inbound


async def test_without_urls_nothing_is_posted() -> None:
    async with staged(duplicate_share=1, lost_share=0.5) as stage:
        campaign = await stage.launched(100, callbackUrl=None, inboundUrl=None)
        await stage.drained()

        assert stage.routee.progress.total == stage.routee.progress.lost == 0
        assert not campaign.expected_events
        assert not campaign.expected_inbound


async def test_some_callbacks_overtake_the_answer_if_asked() -> None:
    async with staged(before_answer=True, delay_seconds=60) as stage:
        await stage.launched(100)

        assert len(stage.receiver.received) == EARLY_CALLBACKS
        assert stage.routee.progress.acknowledged == EARLY_CALLBACKS


async def test_an_early_callback_that_is_refused_is_repeated_like_any_other() -> None:
    async with staged(before_answer=True) as stage:
        stage.receiver.status_of = lambda r: 503 if stage.receiver.times(r) == 1 else 200
        await stage.launched(20)
        await stage.drained()

        assert stage.routee.progress.acknowledged == stage.routee.progress.planned


async def test_the_first_callback_waits_for_the_configured_delay() -> None:
    async with staged(delay_seconds=0.3) as stage:
        began = asyncio.get_running_loop().time()
        await stage.launched(5)
        await stage.drained()

        assert 0.3 <= stage.receiver.received[0].at - began < 1


async def test_callbacks_keep_the_configured_rate() -> None:
    async with staged(callbacks_per_second=100) as stage:
        began = asyncio.get_running_loop().time()
        await stage.launched(30)
        await stage.drained()

        seconds = asyncio.get_running_loop().time() - began
        assert 50 < len(stage.receiver.received) / seconds < 120


async def test_two_campaigns_share_the_rate() -> None:
    async with staged(callbacks_per_second=200) as stage:
        began = asyncio.get_running_loop().time()
        await stage.launched(40, campaignName="one")
        await stage.launched(40, campaignName="two")
        await stage.drained()

        seconds = asyncio.get_running_loop().time() - began
        # Together no more than one may have; how much less depends on the machine.
        assert len(stage.receiver.received) / seconds < 230


async def test_no_more_callbacks_are_under_way_than_connections() -> None:
    async with staged(connections=3) as stage:
        under_way = 0
        most = 0

        def begin(_: Received) -> float:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            return 0.005

        def end(_: Received) -> int:
            nonlocal under_way
            under_way -= 1
            return 200

        stage.receiver.seconds_of, stage.receiver.status_of = begin, end
        await stage.launched(30)
        await stage.drained()

        assert most == 3


async def test_drained_waits_for_the_last_acknowledgement() -> None:
    async with staged(connections=1, duplicate_share=0.5) as stage:
        stage.receiver.seconds_of = lambda _: 0.01
        await stage.launched(10)
        before = stage.routee.progress
        await stage.drained()
        after = stage.routee.progress

        assert before.settled < before.total
        assert after.settled == after.total


async def test_drained_returns_at_once_if_there_is_nothing_to_do() -> None:
    async with staged() as stage:
        await stage.drained(seconds=0.5)


async def test_closing_stops_the_posting_and_ends_drained() -> None:
    async with staged(callbacks_per_second=5) as stage:
        campaign = await stage.launched(20)
        waiting = asyncio.create_task(stage.routee.drained())
        await asyncio.sleep(0.1)
        await stage.routee.aclose()
        await waiting
        posted = len(stage.receiver.received)
        await asyncio.sleep(0.3)

        assert len(stage.receiver.received) == posted
        assert stage.routee.progress.settled < stage.routee.progress.total
        assert acknowledged_events(campaign) < campaign.expected_events


async def test_a_seed_repeats_order_losses_and_duplicates() -> None:
    async def posted(seed: int) -> list[tuple[str, str]]:
        async with staged(
            seed=seed, connections=1, shuffled=True, lost_share=0.1, callbacks_per_second=2000
        ) as stage:
            await stage.launched(30)
            await stage.drained()
            return [(r.document["to"], r.key[1]) for r in stage.receiver.received]

    assert await posted(7) == await posted(7) != await posted(8)


async def test_drained_raises_a_failure_of_the_posting() -> None:
    def defect() -> Document:
        raise ZeroDivisionError

    subject = Occurrence("QUEUED", None, datetime.now(UTC))
    poster = CallbackPoster(behaviour=Behaviour(), progress=PostingProgress())
    poster.take([Posting("http://127.0.0.1:9/", subject, defect, subject.occurred_at)])

    with pytest.raises(ExceptionGroup) as caught:
        await poster.drained()
    await poster.aclose()

    assert caught.group_contains(ZeroDivisionError)
