"""Campaigns and histories are written as their models describe them."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.campaign_json import LONG_MEMBERS, campaign_json, progress_json
from app.api.history import HistoryItem, history_json
from app.api.routes.campaigns import CampaignOut, CampaignSummary, ProgressItem
from app.api.routes.status import CampaignStatus
from app.db.messages import HistoryEvent
from app.db.tables import CampaignProgressRow, CampaignRow
from app.domain.event import UNKNOWN_TIME, Source
from app.domain.history import Effect
from app.domain.status import Status
from app.routee.campaign_fields import passed_on

AT = datetime(2026, 3, 1, 12, 0, 0, 123, tzinfo=UTC)
REQUEST = {"to": ["+306912345678"], "body": {"text": "Γειά"}, "ttl": 300, "label": "spring"}
ANSWER = {
    "type": "Viber",
    "viberAnalysis": {"numberOfRecipients": 1},
    "callbackUrl": "https://x.example/callbacks/" + "s" * 40 + "/status",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=9,
)
NAMES = st.sampled_from(["to", "viberAnalysis", "type", "body", "callbackUrl", "other"])
BODIES = st.one_of(
    st.none(),
    st.binary(max_size=20),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(NAMES, JSON).map(lambda value: json.dumps(value).encode()),
    st.tuples(NAMES, JSON, JSON).map(
        lambda twice: (
            f'{{"{twice[0]}":{json.dumps(twice[1])},"{twice[0]}":{json.dumps(twice[2])}}}'.encode()
        )
    ),
)


def _row(**changes: Any) -> CampaignRow:  # noqa: ANN401
    values: dict[str, Any] = {
        "id": UUID(int=7),
        "tracking_id": "c-1",
        "name": "Spring",
        "submission": "launched",
        "submission_reason": None,
        "billing": "promotional",
        "expected_messages": 5,
        "cost": Decimal("1E-3"),
        "request": json.dumps(REQUEST).encode(),
        "answer": json.dumps(ANSWER).encode(),
        "warnings": [{"field": "ttl", "code": "ttl-short", "message": "short"}],
        "updated_at": AT,
    }
    return CampaignRow(**(values | changes))


def _progress(**changes: Any) -> CampaignProgressRow:  # noqa: ANN401
    values: dict[str, Any] = {
        "id": 17,
        "status": "Running",
        "message_statuses": {"Delivered": 1},
        "total_recipients": 2,
        "name": None,
        "reported_at": None,
        "received_at": AT,
    }
    return CampaignProgressRow(**(values | changes))


@pytest.mark.parametrize("progress", [None, _progress(), _progress(reported_at=AT, name="x")])
@pytest.mark.parametrize("row", [_row(), _row(request=None, answer=None, cost=None, billing=None)])
def test_a_campaign(row: CampaignRow, progress: CampaignProgressRow | None) -> None:
    told = campaign_json(row, {"SEEN": 2}, progress).decode()
    assert CampaignOut.model_validate_json(told).model_dump_json(by_alias=True) == told
    shown = json.loads(told)
    assert (shown["total"], shown["awaiting"], shown["counts"]["SEEN"]) == (2, 3, 2)
    assert "s" * 40 not in told
    status = campaign_json(row, {}, progress, kind="campaign").decode()
    assert CampaignStatus.model_validate_json(status).model_dump_json(by_alias=True) == status


@pytest.mark.parametrize("fields", [(), ("to",), ("viberAnalysis",), LONG_MEMBERS])
def test_a_campaign_in_a_list(fields: tuple[str, ...]) -> None:
    left_out = set(LONG_MEMBERS) - set(fields)
    whole = json.loads(campaign_json(_row(), {}, None))
    listed = json.loads(campaign_json(_row(), {}, None, left_out=left_out))
    assert listed == {name: value for name, value in whole.items() if name not in left_out}
    assert set(CampaignSummary.model_json_schema()["properties"]) == set(whole)


@pytest.mark.parametrize(
    ("answered", "shown"),
    [
        ({"ttl": "300"}, {"ttl": 300}),
        ({"ttl": -1}, {"ttl": None}),
        ({"ttl": 1.5}, {"ttl": None}),
        ({"totalMessages": "12"}, {"totalMessages": 12}),
        ({"totalMessages": [12]}, {"totalMessages": None}),
        ({"totalMessages": 10**30}, {"totalMessages": None}),
        ({"state": 7, "type": True}, {"state": "7", "type": "true"}),
        ({"state": {"name": "Queued"}}, {"state": None}),
        ({"to": ["+306912345678", 306912345679]}, {"to": ["+306912345678", "306912345679"]}),
        ({"to": "+306912345678"}, {"to": None}),
        ({"groups": [{"id": 1}, None, "a"]}, {"groups": ["a"]}),
        ({"contacts": []}, {"contacts": []}),
        ({"isSessionMessage": "TRUE"}, {"isSessionMessage": True}),
        ({"respectQuietHours": 0}, {"respectQuietHours": None}),
        ({"body": "text"}, {"body": None}),
        ({"body": {"text": "a", "new": [1]}}, {"body": {"text": "a", "new": [1]}}),
        ({"viberAnalysis": [1]}, {"viberAnalysis": None}),
        ({"callbackUrl": ["x"], "inboundUrl": 7}, {"callbackUrl": None, "inboundUrl": "7"}),
        ({"createdAt": "2026-07-05T10:28:44.566Z"}, {"createdAt": "2026-07-05T10:28:44.566000Z"}),
        (
            {"scheduledDate": "2026-07-05T10:28:44.500Z"},
            {"scheduledDate": "2026-07-05T10:28:44.500Z"},
        ),
        ({"scheduledDate": "2026-07-05 13:28+03:00"}, {"scheduledDate": "2026-07-05T10:28:00Z"}),
        ({"createdAt": "2026-07-05T13:28:44+0300"}, {"createdAt": "2026-07-05T10:28:44Z"}),
        ({"createdAt": 1783247324566}, {"createdAt": "2026-07-05T10:28:44.566000Z"}),
        ({"createdAt": "2026-13-05T10:28:44Z"}, {"createdAt": None}),
        ({"scheduledDate": "tomorrow"}, {"scheduledDate": None}),
        ({"label": ""}, {"label": ""}),
    ],
)
def test_a_member_of_a_campaign_has_its_type_whatever_routee_answered(
    answered: dict[str, Any], shown: dict[str, Any]
) -> None:
    row = _row(request=None, answer=json.dumps(answered).encode())
    told = campaign_json(row, {}, None)
    CampaignOut.model_validate_json(told, strict=True)
    assert {name: json.loads(told)[name] for name in shown} == shown


def test_what_routee_answers_unreadably_is_shown_as_it_was_asked_for() -> None:
    row = _row(request=b'{"ttl":300,"to":["+306912345678"]}', answer=b'{"ttl":{},"to":"x"}')
    told = json.loads(campaign_json(row, {}, None))
    assert (told["ttl"], told["to"]) == (300, ["+306912345678"])


@given(BODIES, BODIES)
def test_every_campaign_fits_its_model(request: bytes | None, answer: bytes | None) -> None:
    told = campaign_json(_row(request=request, answer=answer), {}, None)
    CampaignOut.model_validate_json(told, strict=True)


@given(BODIES, BODIES)
def test_leaving_members_out_changes_no_other(request: bytes | None, answer: bytes | None) -> None:
    whole = passed_on(request=request, answer=answer)
    short = passed_on(request=request, answer=answer, left_out=LONG_MEMBERS)
    assert repr(short) == repr({name: whole[name] for name in whole if name not in LONG_MEMBERS})


def test_a_report_of_progress() -> None:
    told = progress_json(_progress(), raw='{"x":1}').decode()
    assert ProgressItem.model_validate_json(told).model_dump_json(by_alias=True) == told
    assert "raw" not in json.loads(progress_json(_progress()))


@pytest.mark.parametrize("at", [AT, UNKNOWN_TIME])
@pytest.mark.parametrize("effect", Effect)
def test_an_event_of_a_history(at: datetime, effect: Effect) -> None:
    event = HistoryEvent(1, 2, 3, "SEEN", "Seen", None, "read", at, AT, Source.CALLBACK.value)
    told = history_json(event, effect, raw=None).decode()
    assert HistoryItem.model_validate_json(told).model_dump_json(by_alias=True) == told
    shown = json.loads(told)
    assert (shown["status"], shown["reason"]) == (Status.SEEN, effect)
    assert (shown["occurredAt"] is None) == (at == UNKNOWN_TIME)
    assert "raw" not in json.loads(history_json(event, effect))
