"""What a client sees of each fault, and what Routee has done all the same."""

import asyncio
from datetime import timedelta
from itertools import pairwise
from urllib.parse import urlsplit

import httpx
import pytest

from app.sandbox.faults import (
    CUT_AFTER,
    CUT_BEFORE,
    Endpoint,
    InjectedFault,
    Slow,
    denied,
    garbage,
    server_error,
    too_many_requests,
)

from .stage import Stage, acknowledged_events, expire_token, staged, staged_in_process

NAME = "Spring sale"


async def bytes_answered_to_token_request(stage: Stage) -> bytes:
    """Everything that comes back on a bare connection until it is closed."""
    address = urlsplit(stage.origin)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"POST /oauth/token HTTP/1.1\r\nHost: routee\r\nContent-Length: 2\r\n\r\n{}")
    answered = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answered


@pytest.mark.parametrize("fault", [CUT_BEFORE, CUT_AFTER])
async def test_a_cut_connection_has_not_a_byte_of_an_answer_and_is_no_error_of_the_server(
    fault: InjectedFault, capsys: pytest.CaptureFixture[str]
) -> None:
    async with staged() as stage:
        stage.routee.faults.script(Endpoint.TOKEN, fault)

        assert await bytes_answered_to_token_request(stage) == b""
        assert (await stage.token()).status_code == 200
    assert capsys.readouterr().err == ""


async def test_a_campaign_that_is_cut_before_is_not_accepted() -> None:
    async with staged() as stage:
        stage.routee.faults.script(Endpoint.CAMPAIGN, CUT_BEFORE)
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            await stage.launch()

        assert not stage.routee.campaigns
        assert stage.routee.launches[NAME].accepted == 0
        assert (await stage.launch()).status_code == 200
        assert stage.routee.launches[NAME].accepted == 1
        assert stage.routee.launches[NAME].requests == 2


async def test_a_campaign_that_is_cut_after_is_accepted_and_its_callbacks_go_out() -> None:
    async with staged() as stage:
        stage.routee.faults.script(Endpoint.CAMPAIGN, CUT_AFTER)
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            await stage.launch(20)
        again = await stage.launch(20)
        await stage.drained()

        (campaign,) = stage.routee.campaigns.values()
        assert {r.document["campaignTrackingId"] for r in stage.receiver.statuses} == {
            campaign.tracking_id
        }
        assert acknowledged_events(campaign) == campaign.expected_events
        assert (again.status_code, again.json()["code"]) == (409, "409009003")
        launches = stage.routee.launches[NAME]
        assert (launches.requests, launches.accepted) == (2, 1)
        assert launches.refusal_codes == ["409009003"]


@pytest.mark.parametrize("handled", [False, True])
async def test_a_server_error_does_not_reveal_whether_the_campaign_was_accepted(
    *, handled: bool
) -> None:
    async with staged_in_process() as stage:
        stage.routee.faults.script(Endpoint.CAMPAIGN, server_error(503, handled=handled))
        answer = await stage.launch()

        assert answer.status_code == 503
        assert stage.routee.launches[NAME].accepted == handled


@pytest.mark.parametrize("handled", [False, True])
async def test_garbage_is_a_200_that_is_not_json(*, handled: bool) -> None:
    async with staged_in_process() as stage:
        stage.routee.faults.script(Endpoint.CAMPAIGN, garbage(handled=handled))
        answer = await stage.launch()

        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        with pytest.raises(ValueError, match="Expecting value"):
            answer.json()
        assert stage.routee.launches[NAME].accepted == handled


@pytest.mark.parametrize("retry_after", ["2", "Wed, 21 Oct 2026 07:28:00 GMT", None])
async def test_too_many_requests_says_when_to_come_again(retry_after: str | None) -> None:
    async with staged_in_process() as stage:
        stage.routee.faults.script(Endpoint.CAMPAIGN, too_many_requests(retry_after))
        answer = await stage.launch()

        assert answer.status_code == 429
        assert answer.headers.get("retry-after") == retry_after
        assert not stage.routee.campaigns


@pytest.mark.parametrize("status", [401, 403])
async def test_a_denial_happens_once_or_always_though_the_token_is_good(status: int) -> None:
    async with staged_in_process() as stage:
        stage.routee.faults.script(Endpoint.CAMPAIGN, denied(status))
        once = [(await stage.launch()).status_code for _ in range(2)]
        stage.routee.faults.sometimes(Endpoint.CAMPAIGN, {denied(status): 1})
        always = [(await stage.launch()).status_code for _ in range(3)]

        assert once == [status, 200]
        assert always == [status] * 3


@pytest.mark.parametrize("fault", [Slow(0.3, handled=False), Slow(0.3, handled=True)])
async def test_a_slow_answer_is_right_but_late(fault: InjectedFault) -> None:
    async with staged_in_process() as stage:
        stage.routee.faults.script(Endpoint.CAMPAIGN, fault)
        launching = asyncio.create_task(stage.launch())
        await asyncio.sleep(0.15)
        accepted_meanwhile = stage.routee.launches[NAME].accepted
        answer = await launching

        assert answer.status_code == 200
        assert accepted_meanwhile == fault.handled
        assert stage.routee.launches[NAME].accepted == 1


async def test_the_campaign_of_a_client_that_stopped_waiting_is_still_accepted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with staged() as stage:
        stage.routee.faults.script(Endpoint.CAMPAIGN, Slow(0.2, handled=False))
        stage.api.timeout = httpx.Timeout(0.05)
        with pytest.raises(httpx.ReadTimeout):
            await stage.launch()
        assert not stage.routee.campaigns
        await asyncio.sleep(0.25)

        assert stage.routee.launches[NAME].accepted == 1
    assert capsys.readouterr().err == ""


async def test_closing_ends_slow_answers() -> None:
    async with staged() as stage:
        stage.routee.faults.script(Endpoint.TRACKING, Slow(60, handled=True))
        asking = asyncio.create_task(stage.get("/viber/tracking/some"))
        await asyncio.sleep(0.05)
        await stage.routee.aclose()

        async with asyncio.timeout(30):
            assert (await asking).status_code == 404


async def test_each_endpoint_has_faults_of_its_own() -> None:
    statuses = dict(zip(Endpoint, (500, 501, 502, 503), strict=True))
    async with staged_in_process() as stage:
        for endpoint, status in statuses.items():
            stage.routee.faults.sometimes(endpoint, {server_error(status): 1})

        assert (await stage.token()).status_code == statuses[Endpoint.TOKEN]
        assert (await stage.launch()).status_code == statuses[Endpoint.CAMPAIGN]
        for path in ("/viber/tracking/some", "/viber/tracking/campaign/some"):
            assert (await stage.get(path)).status_code == statuses[Endpoint.TRACKING]
        assert (await stage.delete("/viber/campaign/x")).status_code == statuses[Endpoint.DELETE]


async def test_a_deletion_that_is_cut_after_has_happened() -> None:
    async with staged() as stage:
        campaign = await stage.launched(scheduledDate="2100-01-01T00:00:00Z")
        stage.routee.faults.script(Endpoint.DELETE, CUT_AFTER)
        path = f"/viber/campaign/{campaign.tracking_id}"
        with pytest.raises(httpx.RemoteProtocolError):
            await stage.delete(path)

        assert (await stage.delete(path)).json()["code"] == "404009001"


async def test_requests_are_counted_by_name_whatever_their_outcome() -> None:
    async with staged_in_process() as stage:
        stage.routee.faults.script(Endpoint.CAMPAIGN, server_error(), too_many_requests())
        for _ in range(4):
            await stage.launch()
        expire_token(stage.routee)
        await stage.launch()
        await stage.launch(campaignName="another", ttl="soon")
        await stage.launch(campaignName=None)

        launches = stage.routee.launches
        assert set(launches) == {NAME, "another"}
        assert (launches[NAME].requests, launches[NAME].accepted) == (5, 1)
        assert launches[NAME].refusal_codes == ["409009003"]
        assert launches["another"].accepted == 0
        gaps = [later - earlier for earlier, later in pairwise(launches[NAME].arrived_at)]
        assert all(timedelta(0) <= gap < timedelta(seconds=5) for gap in gaps)


async def test_of_many_requests_at_the_same_time_routee_accepts_one() -> None:
    async with staged() as stage:
        faults: dict[InjectedFault, float] = {
            CUT_BEFORE: 0.3,
            CUT_AFTER: 0.3,
            Slow(0.05, handled=False): 0.3,
        }
        stage.routee.faults.sometimes(Endpoint.CAMPAIGN, faults)
        launching = (stage.launch() for _ in range(40))
        answers = await asyncio.gather(*launching, return_exceptions=True)

        assert any(isinstance(answer, httpx.RemoteProtocolError) for answer in answers)
        assert stage.routee.launches[NAME].requests == 40
        assert stage.routee.launches[NAME].accepted == 1
        assert len(stage.routee.campaigns) == 1


async def test_a_cut_without_uvicorn_raises() -> None:
    async with staged_in_process() as stage:
        stage.routee.faults.script(Endpoint.TOKEN, CUT_BEFORE)

        with pytest.raises(RuntimeError, match="uvicorn"):
            await stage.token()


async def test_held_callbacks_wait_for_their_release_while_tracking_knows_them() -> None:
    async with staged(held=True, before_answer=True) as stage:
        stage.routee.faults.script(Endpoint.CAMPAIGN, CUT_AFTER)
        with pytest.raises(httpx.RemoteProtocolError):
            await stage.launch(20)
        (campaign,) = stage.routee.campaigns.values()
        tracked = await stage.get(f"/viber/tracking/campaign/{campaign.tracking_id}")
        await asyncio.sleep(0.1)
        assert tracked.json()["totalElements"] == 20
        assert not stage.receiver.received
        assert stage.routee.progress.attempted == 0 < stage.routee.progress.planned

        stage.routee.release()
        await stage.drained()
        assert len(stage.receiver.received) == stage.routee.progress.planned


async def test_callbacks_can_be_held_again() -> None:
    async with staged() as stage:
        await stage.launched(campaignName="first")
        await stage.drained()
        received = len(stage.receiver.received)
        stage.routee.hold()
        await stage.launched(campaignName="second")
        await asyncio.sleep(0.1)
        assert len(stage.receiver.received) == received

        stage.routee.release()
        await stage.drained()
        assert len(stage.receiver.received) > received


async def test_a_client_that_goes_in_the_middle_of_its_request_is_no_error_of_the_server(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with staged() as stage:
        address = urlsplit(stage.origin)
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(b"POST /viber/campaign HTTP/1.1\r\nHost: r\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0.05)

        assert not stage.routee.launches
    assert capsys.readouterr().err == ""
