"""What did not come by callbacks comes from Routee's tracking, and nothing is made up."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from app.db import reconcile as work
from app.db.database import Database
from app.db.retention.runs import exclusive
from app.domain.event import Source
from app.domain.reconcile import SEARCH_BACK, Outcome
from app.errors import NotFound, ReconcilingNotConfigured
from app.observability.metrics import Metrics
from app.sandbox.faults import CUT_BEFORE, Endpoint, denied, server_error, too_many_requests
from app.services.callbacks.flush import Receipt
from app.services.finishing import finish_due, measure_missing
from app.services.reconcile import asking, pages
from app.services.reconcile.asking import Postponed
from app.services.reconcile.reconciler import RECONCILE_LOCK, Reconciler
from tests.routee.scripted_routee import says, scripted_routee, trickles
from tests.services.reconcile.reconcile_stage import (
    client_of,
    in_seconds,
    item,
    page,
    screen,
    scripted,
    simulated,
    tracked,
)

_WEEK = timedelta(days=7).total_seconds()


async def test_every_status_is_that_of_routee_and_comparing_again_changes_nothing(url: str) -> None:
    async with simulated(url) as stage:
        sent = await stage.launched(250)
        campaign = await stage.known(sent)
        (found,) = await stage.compare(campaign)
        assert found.outcome is Outcome.COMPARED
        assert found.counts["pages"] == 3
        assert found.counts["messages"] == found.counts["missing"] == 250
        assert await stage.statuses() == tracked([sent])
        assert await stage.number("SELECT count(*) FROM messages WHERE campaign_id = $1", campaign)
        before = await stage.everything()
        (again,) = await stage.compare(campaign)
        after = await stage.everything()
        assert again.counts["missing"] == 0
        unchanged = before.keys() - {"reconciliations"}
        assert {table: after[table] for table in unchanged} == {
            table: before[table] for table in unchanged
        }


async def test_a_callback_that_comes_afterwards_is_the_same_event(url: str) -> None:
    async with simulated(url) as stage:
        sent = await stage.launched(20)
        campaign = await stage.known(sent)
        await stage.compare(campaign)
        callbacks = stage.final_callbacks(sent)
        assert await stage.callbacks(*callbacks, campaign_id=campaign) == {Receipt.STORED}
        assert await stage.number("SELECT count(*) FROM events") == 20
        source = await stage.number("SELECT max(source) FROM events")
        assert Source(source) is Source.TRACKING
        assert await stage.number("SELECT count(*) FROM messages WHERE label IS NULL") == 20


async def test_a_callback_that_came_before_is_the_same_event(url: str) -> None:
    async with simulated(url) as stage:
        sent = await stage.launched(20)
        campaign = await stage.known(sent)
        await stage.callbacks(*stage.final_callbacks(sent), campaign_id=campaign)
        (found,) = await stage.compare(campaign)
        assert found.counts["missing"] == 0
        assert await stage.number("SELECT count(*) FROM events WHERE source = 0") == 20


async def test_a_campaign_learns_its_tracking_id_from_any_of_its_messages(url: str) -> None:
    async with simulated(url) as stage:
        sent = await stage.launched(5)
        campaign = await stage.campaign(None, expected_messages=5)
        gone, kept = "00-not-known-to-routee", list(sent.messages)[2]
        without_campaign = [
            b'{"trackingId": "%s", "status": {"name": "QUEUED"}}' % message.encode()
            for message in (gone, kept)
        ]
        await stage.callbacks(*without_campaign, campaign_id=campaign)
        (found,) = await stage.compare(campaign)
        assert (found.tracking_id, found.outcome) == (sent.tracking_id, Outcome.COMPARED)
        assert found.counts["notFound"] == 1
        assert await stage.statuses() == tracked([sent]) | {gone: "QUEUED"}
        assert await stage.number("SELECT count(*) FROM campaigns") == 1


async def test_a_campaign_of_which_nothing_is_known_cannot_be_asked_for(url: str) -> None:
    async with simulated(url) as stage:
        (found,) = await stage.compare(await stage.campaign(None, expected_messages=5))
        assert found.outcome is Outcome.NO_ID
        assert await stage.statuses() == {}


async def test_what_routee_does_not_know_stays_overdue_and_is_asked_for_rarely(url: str) -> None:
    async with simulated(url) as stage:
        long_ago = datetime.now(UTC) - timedelta(days=20)
        campaign = await stage.campaign("gone", expected_messages=2, created_at=long_ago)
        await stage.callbacks(
            b'{"trackingId": "m", "campaignTrackingId": "gone", "status": {"name": "QUEUED"}}'
        )
        await finish_due(stage.database)
        (found,) = await stage.compare(campaign)
        assert found.outcome is Outcome.NOT_FOUND
        assert in_seconds(found.next_at, found.ended_at) == pytest.approx(_WEEK)
        assert await stage.statuses() == {"m": "QUEUED"}
        assert await _due(stage.database) == []
        metrics = Metrics()
        await measure_missing(stage.database, metrics)
        assert b"\nreceiver_overdue_messages 2.0\n" in metrics.exposition()
        overdue = await stage.connection.fetchval("SELECT overdue FROM bi_v1.messages")
        assert overdue is True


async def _due(database: Database) -> list[UUID]:
    after = work.first_id_since(datetime.now(UTC) - SEARCH_BACK)
    return (await work.due_campaigns(database, after=after))[0]


_CASES: list[tuple[int, int | None, list[str], bool]] = [
    # hours ago, expected messages, statuses, whether it is due
    (0, 2, [], False),  # a moment ago
    (2, 2, [], True),  # nothing was heard for two hours
    (2, None, [], True),  # nobody knows how many
    (2, 2, ["SEEN", "QUEUED"], True),
    (2, 2, ["SEEN", "UNDELIVERED"], False),  # complete
    (17 * 24, 2, ["SEEN", "UNDELIVERED"], True),  # complete, and never compared after its end
    (17 * 24, None, ["SEEN"], True),
    (40 * 24, 2, [], False),  # too long ago
]


async def test_a_campaign_is_due_when_it_lacks_statuses_for_long_and_once_after_its_end(
    url: str,
) -> None:
    async with simulated(url) as stage:
        names: dict[UUID, str] = {}
        for hours_ago, expected, statuses, is_due in _CASES:
            name = f"{hours_ago} {expected} {statuses} {is_due}"
            created_at = datetime.now(UTC) - timedelta(hours=hours_ago)
            campaign = await stage.campaign(name, expected_messages=expected, created_at=created_at)
            names[campaign] = name
            for at, word in enumerate(statuses):
                message = f"{name} {at}"
                body = {"trackingId": message, "campaignTrackingId": name, "status": word}
                await stage.callbacks(json.dumps(body).encode())
        due = [names[campaign] for campaign in await _due(stage.database)]
        assert due == [name for name in names.values() if name.endswith("True")]
        await work.ask_for(stage.database, list(names), asked_by=None)
        assert await _due(stage.database) == []
        await stage.reconciler.run()
        assert await _due(stage.database) == []  # not again at once


async def test_the_duty_finds_what_is_due_and_waits_while_callbacks_are_behind(url: str) -> None:
    async with simulated(url) as stage:
        sent = await stage.launched()
        long_ago = datetime.now(UTC) - timedelta(hours=2)
        await stage.campaign(sent.tracking_id, expected_messages=3, created_at=long_ago)
        await stage.reconciler.perform(stage.database, is_behind=lambda: True)
        assert await stage.statuses() == {}
        await stage.reconciler.perform(stage.database)
        assert await stage.statuses() == tracked([sent])


@pytest.mark.slow
async def test_a_message_without_any_campaign_is_asked_for_by_its_own_id(url: str) -> None:
    async with simulated(url) as stage:
        sent = await stage.launched(1)
        (message,) = sent.messages
        for known in (message, "not-known-to-routee"):
            await stage.callbacks(
                b'{"trackingId": "%s", "status": {"name": "QUEUED"}}' % known.encode()
            )
        await stage.connection.execute("UPDATE messages SET updated_at = now() - interval '2 h'")
        await stage.reconciler.run(search=True)
        assert await stage.statuses() == tracked([sent]) | {"not-known-to-routee": "QUEUED"}
        asked = await stage.connection.fetch(
            "SELECT message_tracking_id FROM message_reconciliations"
            " WHERE next_at > now() + interval '6 days'"
        )
        assert [row[0] for row in asked] == ["not-known-to-routee"]


async def test_a_run_that_ends_between_pages_is_resumed_at_the_next_one(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_FIRST_PAUSE_SECONDS", 0.01)
    async with simulated(url) as stage:
        sent = await stage.launched(250)
        campaign = await stage.known(sent)
        stage.routee.faults.script(Endpoint.TRACKING, None, *[CUT_BEFORE] * 4)
        await work.ask_for(stage.database, [campaign], asked_by="a test")
        with pytest.raises(Postponed):
            await stage.reconciler.run()
        half = await stage.reconciliation(campaign)
        assert (half.page, half.counts["messages"], half.ended_at) == (1, 100, None)
        assert await work.paused_seconds(stage.database) > 0
        await stage.reconciler.run()
        found = await stage.reconciliation(campaign)
        assert (found.counts["pages"], found.counts["messages"]) == (3, 250)
        assert await stage.statuses() == tracked([sent])


@pytest.mark.slow
async def test_retry_after_is_waited_for(url: str) -> None:
    async with simulated(url) as stage:
        sent = await stage.launched()
        campaign = await stage.known(sent)
        stage.routee.faults.script(Endpoint.TRACKING, too_many_requests("1"), server_error(503))
        began = time.monotonic()
        await stage.compare(campaign)
        assert time.monotonic() - began >= 1
        assert await stage.statuses() == tracked([sent])


async def test_after_a_long_retry_after_no_process_asks_before(url: str) -> None:
    async with simulated(url) as stage:
        sent = await stage.launched()
        campaign = await stage.known(sent)
        stage.routee.faults.script(Endpoint.TRACKING, too_many_requests("3600"))
        await work.ask_for(stage.database, [campaign], asked_by="a test")
        await stage.reconciler.perform(stage.database)
        assert 3500 < await work.paused_seconds(stage.database) <= 3600
        await stage.reconciler.perform(stage.database)
        assert await stage.statuses() == {}
        assert (await stage.reconciliation(campaign)).ended_at is None


async def test_credentials_that_routee_refuses_end_the_run_and_blame_no_campaign(url: str) -> None:
    async with simulated(url) as stage:
        campaign = await stage.known(await stage.launched())
        stage.routee.faults.script(Endpoint.TRACKING, denied(), denied())
        await work.ask_for(stage.database, [campaign], asked_by="a test")
        with pytest.raises(Postponed):
            await stage.reconciler.run()
        assert (await stage.reconciliation(campaign)).ended_at is None


@pytest.mark.slow
async def test_a_campaign_that_is_never_answered_has_to_wait_like_others(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_FIRST_PAUSE_SECONDS", 0.0)
    async with simulated(url) as stage:
        campaign = await stage.known(await stage.launched())
        stage.routee.faults.sometimes(Endpoint.TRACKING, {server_error(): 1.0})
        await work.ask_for(stage.database, [campaign], asked_by="a test")
        for _ in range(5):
            assert (await stage.reconciliation(campaign)).ended_at is None
            with pytest.raises(Postponed):
                await stage.reconciler.run()
        assert (await stage.reconciliation(campaign)).outcome is Outcome.FAILED


async def test_a_dry_run_finds_the_same_and_writes_nothing(url: str) -> None:
    async with simulated(url) as stage:
        sent, other = await stage.launched(5), await stage.launched(4)
        known = await stage.known(sent)
        unbound = await stage.campaign(None)
        (first, *_) = other.messages
        body = b'{"trackingId": "%s", "status": {"name": "QUEUED"}}' % first.encode()
        await stage.callbacks(body, campaign_id=unbound)
        before = await stage.everything()
        found = await stage.reconciler.preview([known, unbound])
        assert await stage.everything() == before
        assert [(campaign, outcome) for campaign, outcome, _ in found] == [
            (known, Outcome.COMPARED),
            (unbound, Outcome.COMPARED),
        ]
        assert [counts["missing"] for _, _, counts in found] == [5, 4]
        await stage.compare(known, unbound)
        assert await stage.statuses() == tracked([sent, other])


async def test_one_process_reconciles_at_a_time(url: str) -> None:
    async with simulated(url) as stage:
        campaign = await stage.known(await stage.launched())
        await work.ask_for(stage.database, [campaign], asked_by="a test")
        async with exclusive(stage.database, RECONCILE_LOCK) as is_ours:
            assert is_ours
            assert await stage.reconciler.run() is False
        assert await stage.reconciler.run() is True


@pytest.mark.slow
async def test_asked_for_again_it_is_one_comparison_and_later_another(url: str) -> None:
    async with simulated(url) as stage:
        sent = await stage.launched()
        campaign = await stage.known(sent)
        first = await stage.reconciler.ask(stage.database, sent.tracking_id, asked_by="one")
        again = await stage.reconciler.ask(stage.database, str(campaign), asked_by="another")
        assert again.asked_at == first.asked_at
        await stage.reconciler.run()
        later = await stage.reconciler.ask(stage.database, str(campaign), asked_by="one")
        assert later.asked_at > first.asked_at
        assert (later.outcome, later.ended_at, later.counts) == (None, None, {})


async def test_without_credentials_and_without_a_campaign_nothing_is_asked(url: str) -> None:
    async with simulated(url) as stage:
        with pytest.raises(NotFound):
            await stage.reconciler.ask(stage.database, "unknown", asked_by="one")
        missing = Reconciler(
            url, client_of("http://127.0.0.1:9"), Metrics(), screen(),
            per_second=1, missing_settings=("RECEIVER_ROUTEE_APPLICATION_ID",),
        )  # fmt: skip
        with pytest.raises(ReconcilingNotConfigured, match="RECEIVER_ROUTEE_APPLICATION_ID"):
            await missing.ask(stage.database, "unknown", asked_by="one")


@pytest.mark.slow
async def test_no_more_requests_are_sent_than_the_rate_allows(url: str) -> None:
    async with simulated(url) as stage:
        limited = Reconciler(url, stage.reconciler._client, Metrics(), screen(), per_second=10)
        campaign = await stage.known(await stage.launched(500))
        await work.ask_for(stage.database, [campaign], asked_by="a test")
        began = time.monotonic()
        await limited.run()
        assert (await stage.reconciliation(campaign)).counts["pages"] == 5
        assert time.monotonic() - began >= 0.4


_FULL = item("m1", "SEEN")


async def test_pages_that_are_no_pages_store_nothing_and_end_the_comparison(url: str) -> None:
    async with scripted_routee() as routee, scripted(url, routee.url) as stage:
        campaign = await stage.campaign("c")
        too_large = says(200, page(_FULL, padding="x" * 2_200_000))
        for answer in (
            too_large,
            says(200, b"<html>"),
            says(200, b"[]"),
            says(200, b'{"content": {"a": 1}}'),
            says(200, b"{}"),
            says(302, b""),
            says(400, {"code": "400000000", "developerMessage": "no"}),
        ):
            routee.will(answer)
            (found,) = await stage.compare(campaign)
            assert found.outcome is Outcome.FAILED
        assert await stage.statuses() == {}


async def test_a_page_that_never_ends_is_given_up(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_ATTEMPTS", 1)
    async with scripted_routee() as routee, scripted(url, routee.url) as stage:
        campaign = await stage.campaign("c")
        client = stage.reconciler._client
        client._exchange._total_seconds = 0.3
        routee.will(trickles(b" ", pieces=1000, seconds=0.05))
        await work.ask_for(stage.database, [campaign], asked_by="a test")
        with pytest.raises(Postponed):
            await stage.reconciler.run()
        assert (await stage.reconciliation(campaign)).ended_at is None


async def test_a_list_that_never_ends_is_read_to_a_limit(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MAX_PAGES", 3)
    async with scripted_routee() as routee, scripted(url, routee.url) as stage:
        campaign = await stage.campaign("c")
        routee.will(*(says(200, page(item(f"m{at}"), last=False)) for at in range(9)))
        (found,) = await stage.compare(campaign)
        assert (found.outcome, found.counts["pages"]) == (Outcome.INCOMPLETE, 3)
        routee.will(says(200, page(_FULL, last=False)))  # the same page, whatever is asked for
        (found,) = await stage.compare(campaign)
        assert (found.outcome, found.counts["pages"]) == (Outcome.INCOMPLETE, 1)


async def test_items_of_a_page_are_stored_each_for_itself(url: str) -> None:
    async with scripted_routee() as routee, scripted(url, routee.url) as stage:
        campaign = await stage.campaign("c")
        routee.will(
            says(
                200,
                page(
                    item("m1", "Seen"),
                    item("m2", "CLICKED"),
                    item("m3", campaignTrackingId="another"),
                    item("m4", campaignTrackingId=None),
                    {"trackingId": "m5"},
                    {"status": {"status": "SEEN"}},
                    item("m6", direction="Inbound"),
                    "no object",
                    None,
                ),
            )
        )
        (found,) = await stage.compare(campaign)
        assert await stage.statuses() == {"m1": "SEEN", "m2": "UNKNOWN", "m4": "DELIVERED"}
        assert (found.counts["foreign"], found.counts["unreadable"]) == (1, 5)
        assert found.counts["missing"] == 3
        rows = await stage.connection.fetch("SELECT campaign_tracking_id FROM events")
        assert {row[0] for row in rows} == {"c"}
        assert await stage.number("SELECT count(*) FROM campaigns") == 1
        assert await stage.number("SELECT count(*) FROM quarantine") == 0


async def test_a_message_of_another_campaign_is_not_moved(url: str) -> None:
    async with scripted_routee() as routee, scripted(url, routee.url) as stage:
        campaign = await stage.campaign("c")
        await stage.callbacks(
            b'{"trackingId": "m", "campaignTrackingId": "z", "status": {"name": "QUEUED"}}'
        )
        routee.will(says(200, page(item("m", campaignTrackingId=None))))
        (found,) = await stage.compare(campaign)
        assert found.counts["quarantined"] == 1
        assert await stage.statuses() == {"m": "QUEUED"}
        reason = await stage.connection.fetchval("SELECT reason FROM quarantine")
        assert reason == "campaign-mismatch"


async def test_an_item_without_a_time_is_one_event_however_often_it_is_read(url: str) -> None:
    async with scripted_routee() as routee, scripted(url, routee.url) as stage:
        campaign = await stage.campaign("c")
        for price in ("0.1", "0.2"):  # the bytes differ
            status = {"status": "DELIVERED", "date": None}
            routee.will(says(200, page(item("m", price=price) | {"status": status})))
            await stage.compare(campaign)
        assert await stage.number("SELECT count(*) FROM events") == 1
        timed = b'{"trackingId": "t", "campaignTrackingId": "c", "status": {"name": "%s"}, %s}'
        created = b'"createdAt": "2026-11-01T10:00:00.123Z"'
        await stage.callbacks(timed % (b"queued", created))
        routee.will(says(200, page(item("t") | {"status": {"status": "QUEUED"}})))
        await stage.compare(campaign)
        queued = {"status": "Queued", "date": "2026-11-01T10:00:00Z"}
        routee.will(says(200, page(item("t") | {"status": queued})))
        await stage.compare(campaign)
        assert await stage.number("SELECT count(*) FROM events WHERE status_key = 'QUEUED'") == 1


@pytest.mark.slow
async def test_a_run_can_be_cancelled_and_resumed(url: str) -> None:
    async with simulated(url) as stage:
        sent = await stage.launched(300)
        campaign = await stage.known(sent)
        await work.ask_for(stage.database, [campaign], asked_by="a test")
        slow = Reconciler(url, stage.reconciler._client, Metrics(), screen(), per_second=5)
        running = asyncio.create_task(slow.run())
        while (await stage.reconciliation(campaign)).page < 1:  # noqa: ASYNC110 (of the database)
            await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert (await stage.reconciliation(campaign)).ended_at is None
        await stage.reconciler.run()
        assert (await stage.reconciliation(campaign)).counts["messages"] == 300
        assert await stage.statuses() == tracked([sent])
