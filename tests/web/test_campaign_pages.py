"""Pages of campaigns: the list, one of them, its numbers, and what a person can settle."""

import csv
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import UUID

import pytest

from app.domain.api_key import Scope
from app.kit.cursor import encode_cursor
from app.sandbox.routee import SimulatedRoutee
from tests.api.conftest import Service, new_id, progress, reply, status
from tests.web.conftest import Browser, words_of

_Browsers = Callable[..., Browser]
_AT = "2026-07-0{}T10:{:02}:44Z"
_ROWS = re.compile(r"<tr>(.*?)</tr>", re.DOTALL)
_CELLS = re.compile(r"<t[dh][^>]*>(.*?)</t[dh]>", re.DOTALL)


def _told(service: Service) -> str:
    """A campaign of nine messages; its trackingId."""
    campaign = new_id("c")
    ways = (
        *(("QUEUED", "SENT", "DELIVERED", "SEEN"),) * 3,
        *(("QUEUED", "DELIVERED"),) * 2,
        ("QUEUED",),
        ("QUEUED", "UNDELIVERED"),
        ("QUEUED", "UNDELIVERED"),
        ("FAILED",),
    )
    for number, way in enumerate(ways):
        message = new_id()
        for minute, name in enumerate(way):
            service.stored(
                progress(
                    trackingId=message,
                    campaignTrackingId=campaign,
                    to=f"+30694000000{number}",
                    status=status(name, _AT.format(6 if name == "SEEN" else 5, minute)),
                )
            )
    for _ in range(2):
        service.stored(
            reply(campaignTrackingId=campaign, **{"from": "+306940000001"}), kind="inbound"
        )
    service.knows_events_of(campaign)
    return campaign


def _table(html: str, caption: str) -> list[list[str]]:
    """The rows of the table of that caption, but the first, as words."""
    [table] = [
        part
        for part in re.findall(r"<table[^>]*>.*?</table>", html, re.DOTALL)
        if "<caption" in part and caption in words_of(part.partition("</caption>")[0])
    ]
    return [[words_of(cell) for cell in _CELLS.findall(row)] for row in _ROWS.findall(table)[1:]]


@pytest.fixture(scope="module")
def told(service: Service) -> str:
    return _told(service)


def test_a_campaign_shows_what_the_api_says(
    service: Service, browser: _Browsers, told: str
) -> None:
    visitor = browser(Scope.READ)
    page = visitor.page(f"/ui/campaigns/{told}")
    api = service.read(f"/v1/campaigns/{told}")
    counts = {row[0].upper(): int(row[1]) for row in _table(page, "Messages by status")}
    assert counts == {name: number for name, number in api["counts"].items() if number}
    funnel = [int(row[1]) for row in _table(page, "From sent to replied")]
    arrived = api["counts"]["DELIVERED"] + api["counts"]["SEEN"]
    assert funnel == [api["total"], arrived, api["counts"]["SEEN"], 2]
    assert visitor.page(f"/ui/campaigns/{api['id']}") != ""


def test_the_charts_of_a_campaign_have_the_numbers_of_the_views(
    service: Service, browser: _Browsers, told: str
) -> None:
    page = browser(Scope.READ).page(f"/ui/campaigns/{told}")
    reasons = service.sql(
        "SELECT status, detailed_status, messages FROM bi_v1.failure_reasons"
        " WHERE campaign_tracking_id = $1",
        told,
    )
    shown = {row[0]: int(row[1]) for row in _table(page, "Failures by reason")}
    assert shown == {
        f"{row['status'].capitalize()}: {row['detailed_status']}": row["messages"]
        for row in reasons
    }
    [hour] = service.sql(
        "SELECT sum(sent), sum(delivered), sum(seen), sum(undelivered + failed)"
        " FROM bi_v1.delivery_hourly WHERE campaign_tracking_id = $1",
        told,
    )
    for step in ("by hour", "by day"):
        rows = _table(page, f"Events of messages, {step}")
        sums = [sum(map(int, column)) for column in list(zip(*rows, strict=True))[1:]]
        assert sums == list(hour)
    [view] = service.sql("SELECT * FROM bi_v1.campaigns WHERE campaign_tracking_id = $1", told)
    [deliver, see] = _table(page, "Known times only")
    assert (deliver[3], see[3]) == ("5", "3")
    assert deliver[1] == f"{view['seconds_to_deliver_p50']:.0f} s" or "min" in deliver[1]


def test_the_list_shows_each_campaign_with_its_messages_as_a_bar(
    service: Service, browser: _Browsers, told: str
) -> None:
    visitor = browser(Scope.READ)
    [found] = service.sql("SELECT id, name FROM campaigns WHERE tracking_id = $1", told)
    service.sql("UPDATE campaigns SET label = $2 WHERE tracking_id = $1", told, f"of {told}")
    page = visitor.page("/ui/campaigns", params={"label": told.upper()})
    assert f"/ui/campaigns/{found['id']}" in page
    assert "9 messages: 3 seen, 2 delivered, 1 queued, 3 failed." in words_of(page)
    assert page.count("chart-bar") == 1
    nothing = visitor.words("/ui/campaigns", params={"label": told, "submission": "rejected"})
    assert "No campaign matches." in nothing
    assert "data-live" in page


def test_the_list_goes_on_where_a_page_ends(service: Service, browser: _Browsers) -> None:
    mark = "One of many "  # whose number is too short to be masked
    service.sql(
        "INSERT INTO campaigns (submission, name, created_at)"
        " SELECT 'rejected', $1 || n, now() FROM generate_series(1, 120) n",
        mark,
    )
    visitor, found = browser(Scope.READ), []
    query: dict[str, str] = {"name": mark}
    for _ in range(3):
        page = visitor.page("/ui/campaigns", params=query)
        found += re.findall(rf"<bdi>{mark}(\d+)</bdi>", page)
        onward = re.search(r"cursor=([\w-]+)", page)
        if onward is None:
            break
        query["cursor"] = onward[1]
    assert sorted(map(int, found)) == list(range(1, 121))


@pytest.mark.parametrize(
    "query",
    [
        {"submission": "sent"},
        {"since": "yesterday"},
        {"before": "2026-13-45"},
        {"name": "\0"},
        {"name": "x" * 513},
        {"label": "\u202e\u0007"},
        {"cursor": "x"},
        {"cursor": encode_cursor(["x"], scope="page of campaigns")},
        {"cursor": encode_cursor(["no id"], scope="page of campaigns CampaignSearch(name=None,"
                                 " label=None, text=None, submissions=(), created_since=None,"
                                 " created_before=None)")},
    ],
)  # fmt: skip
def test_a_filter_or_cursor_that_cannot_be_is_said_to_be_wrong(
    browser: _Browsers, query: dict[str, str]
) -> None:
    answer = browser(Scope.READ).get("/ui/campaigns", params=query)
    assert answer.status_code in {400, 422}
    assert "<h1>" in answer.text


@pytest.mark.parametrize("below", ["", "/csv", "/resolve", "/cancel"])
@pytest.mark.parametrize(
    "campaign",
    ["nothing", "%00", "%ff", "a" * 600, "%E2%80%AE", "..%2fx", "' OR 1=1--", "ours:x",
     "00000000-0000-0000-0000-000000000000"],
)  # fmt: skip
def test_a_campaign_that_is_not_there_is_not_found(
    browser: _Browsers, campaign: str, below: str
) -> None:
    answer = browser(Scope.ADMIN).get(f"/ui/campaigns/{campaign}{below}")
    assert answer.status_code == 404
    assert "<h1>" in answer.text


@pytest.mark.parametrize("scopes", [(Scope.READ,), (Scope.READ, Scope.PII)])
def test_a_reason_with_a_number_stands_in_no_address(
    service: Service, browser: _Browsers, scopes: tuple[Scope, ...]
) -> None:
    campaign = new_id("c")
    service.stored(
        progress(
            campaignTrackingId=campaign,
            status={**status("UNDELIVERED"), "reason": {"detailedStatus": "No +306940000777"}},
        )
    )
    page = browser(*scopes).page(f"/ui/campaigns/{campaign}")
    assert "***777" in page or Scope.PII in scopes
    assert not re.search('href="[^"]*6940000777', page)


def test_texts_and_numbers_are_shown_as_texts_and_masked(
    service: Service, browser: _Browsers
) -> None:
    campaign = new_id("c")
    evil = "<script>alert(1)</script>\u202e " + "long " * 800 + " +306940000001 \U0001f600"
    service.stored(
        progress(campaignTrackingId=campaign, to="+306940000001", status=status("QUEUED"))
    )
    service.stored(
        reply(campaignTrackingId=campaign, message=evil, **{"from": "+306940000001"}),
        kind="inbound",
    )
    service.sql(
        "UPDATE campaigns SET name = $2, label = $2, submission_reason = $2, request = $3"
        " WHERE tracking_id = $1",
        campaign,
        evil,
        json.dumps({"to": ["+306940000002"], "body": {"text": evil}}).encode(),
    )
    reader, seer = browser(Scope.READ), browser(Scope.READ, Scope.PII)
    for path in (f"/ui/campaigns/{campaign}", "/ui/campaigns", "/ui/"):
        page = reader.page(path)
        assert "<script>alert" not in page
        assert "30694000000" not in page, path
    page = seer.page(f"/ui/campaigns/{campaign}")
    assert "+306940000001" in page
    assert "+306940000002" in page
    assert "30694000000" not in reader.get(f"/ui/campaigns/{campaign}/csv").text


def test_the_csv_has_what_the_page_has(service: Service, browser: _Browsers, told: str) -> None:
    answer = browser(Scope.READ).get(f"/ui/campaigns/{told}/csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(StringIO(answer.text)))
    api = service.read(f"/v1/campaigns/{told}")
    counts = {row["item"]: int(row["value"]) for row in rows if row["part"] == "messages"}
    assert counts == {name: number for name, number in api["counts"].items() if number}
    assert sum(int(row["value"]) for row in rows if row["part"] == "failures") == 3
    assert sum(int(row["value"]) for row in rows if row["part"] == "events by hour") == 22
    assert {"part": "campaign", "item": "trackingId", "detail": "", "value": told} in rows
    assert len([row for row in rows if row["part"] == "replies"]) == 2


# Settling


def _unconfirmed(service: Service) -> UUID:
    campaign_id, _ = service.add_campaign(submission="unconfirmed")
    return campaign_id


def _submission(service: Service, campaign_id: UUID) -> str:
    [row] = service.sql("SELECT submission FROM campaigns WHERE id = $1", campaign_id)
    return str(row["submission"])


def test_an_administrator_records_that_a_launch_succeeded(
    service: Service, browser: _Browsers
) -> None:
    campaign_id, routee_id = _unconfirmed(service), new_id("routee")
    admin = browser(Scope.ADMIN)
    path = f"/ui/campaigns/{campaign_id}"
    assert f"{path}/resolve?as=launched" in admin.page(path)
    asked = admin.page(f"{path}/resolve", params={"as": "launched"})
    assert 'name="trackingId"' in asked
    assert "It was not launched" not in asked
    answer = admin.post(f"{path}/resolve", submission="launched", trackingId=f" {routee_id} ")
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert _submission(service, campaign_id) == "launched"
    assert routee_id in admin.page(path)
    assert "resolve" not in admin.page(path)


def test_an_administrator_records_that_a_launch_failed(
    service: Service, browser: _Browsers
) -> None:
    campaign_id, admin = _unconfirmed(service), browser(Scope.ADMIN)
    path = f"/ui/campaigns/{campaign_id}/resolve"
    assert "It was not launched" in admin.page(path)
    assert admin.post(path, submission="rejected").status_code == 303
    assert _submission(service, campaign_id) == "rejected"
    again = admin.post(path, submission="rejected")
    assert again.status_code == 409
    assert "there is nothing to" in again.text


@pytest.mark.parametrize(
    "fields",
    [{}, {"submission": "cancelled"}, {"submission": "x"},
     {"submission": "launched", "trackingId": "x" * 600}],
)  # fmt: skip
def test_an_answer_that_is_none_settles_nothing(
    service: Service, browser: _Browsers, fields: dict[str, str]
) -> None:
    campaign_id = _unconfirmed(service)
    answer = browser(Scope.ADMIN).post(f"/ui/campaigns/{campaign_id}/resolve", **fields)
    assert answer.status_code == 422
    assert _submission(service, campaign_id) == "unconfirmed"


@pytest.mark.parametrize("scopes", [(Scope.READ,), (Scope.READ, Scope.CAMPAIGNS)])
def test_without_scope_admin_nobody_settles_a_launch(
    service: Service, browser: _Browsers, scopes: tuple[Scope, ...]
) -> None:
    campaign_id, visitor = _unconfirmed(service), browser(*scopes)
    page = visitor.page(f"/ui/campaigns/{campaign_id}")
    assert f"{campaign_id}/resolve" not in page
    assert "scope <code>admin</code>" in page
    for answer in (
        visitor.get(f"/ui/campaigns/{campaign_id}/resolve"),
        visitor.post(f"/ui/campaigns/{campaign_id}/resolve", submission="launched"),
    ):
        assert answer.status_code == 403
        assert "scope `admin`" in answer.text
    assert _submission(service, campaign_id) == "unconfirmed"


def test_a_form_without_its_token_settles_nothing(service: Service, browser: _Browsers) -> None:
    campaign_id, admin = _unconfirmed(service), browser(Scope.ADMIN)
    answer = admin.client.post(
        f"/ui/campaigns/{campaign_id}/resolve", data={"submission": "rejected"}
    )
    assert answer.status_code == 403
    assert _submission(service, campaign_id) == "unconfirmed"


@pytest.fixture
def scheduled(service: Service, routee: SimulatedRoutee) -> dict[str, Any]:
    """A campaign that Routee is to send in a day."""
    assert routee is not None
    at = datetime.now(UTC) + timedelta(days=1)
    return service.launched(scheduledDate=at.strftime("%Y-%m-%dT%H:%M:%SZ"))


def test_a_scheduled_campaign_is_cancelled(
    service: Service, browser: _Browsers, scheduled: dict[str, Any]
) -> None:
    visitor, path = browser(Scope.READ, Scope.CAMPAIGNS), f"/ui/campaigns/{scheduled['id']}"
    assert f"{path}/cancel" in visitor.page(path)
    assert "It is scheduled for" in visitor.words(f"{path}/cancel")
    answer = visitor.post(f"{path}/cancel")
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert _submission(service, UUID(scheduled["id"])) == "cancelled"
    page = visitor.page(path)
    assert "Cancelled" in page
    assert f"{path}/cancel" not in page
    assert visitor.get(f"{path}/cancel").status_code == 409


def test_without_scope_campaigns_nobody_cancels(
    service: Service, browser: _Browsers, scheduled: dict[str, Any]
) -> None:
    visitor, path = browser(Scope.READ), f"/ui/campaigns/{scheduled['id']}"
    assert f"{path}/cancel" not in visitor.page(path)
    for answer in (visitor.get(f"{path}/cancel"), visitor.post(f"{path}/cancel")):
        assert answer.status_code == 403
        assert "scope `campaigns`" in answer.text
    assert _submission(service, UUID(scheduled["id"])) == "launched"


def test_the_live_region_is_served_alone(browser: _Browsers, told: str) -> None:
    visitor = browser(Scope.READ)
    for path in ("/ui/", "/ui/campaigns", f"/ui/campaigns/{told}"):
        fragment = visitor.fragment(path)
        assert fragment.status_code == 200
        assert 'id="live"' in fragment.text
        assert "<header" not in fragment.text


def test_the_request_is_shown_as_it_was_launched_without_tokens(
    service: Service, browser: _Browsers, scheduled: dict[str, Any]
) -> None:
    page = browser(Scope.READ).page(f"/ui/campaigns/{scheduled['id']}")
    assert "Your parcel is on its way." in page
    [row] = service.sql("SELECT answer FROM campaigns WHERE id = $1", UUID(scheduled["id"]))
    assert row["answer"]
    assert "callbacks/" not in page.replace("callbacks/***", "")
