"""What is written without models is what the models write."""

import asyncio
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.cloud_events import wants_batch
from app.api.feed_json import feed_json
from app.api.message_json import (
    awaited_message_json,
    explained_message_json,
    message_json,
    message_status_json,
)
from app.api.routes.campaigns import CampaignMessage
from app.api.routes.events import FeedPageOut
from app.api.routes.messages import LookupAnswer, MessageExplanation, MessageOut
from app.api.routes.status import MessageStatus
from app.api.wire import joined, known_time
from app.db.feed.pages import (
    FeedEvent,
    FeedNotice,
    FeedPage,
    InboundItem,
    Item,
    NoticeItem,
    StatusItem,
)
from app.db.inbound_messages import Reply
from app.db.messages import CurrentMessage
from app.db.tables import InboundMessageRow
from app.domain.event import UNKNOWN_TIME, Source
from app.domain.explanations import explained
from app.domain.feed import FeedItemType, Position
from app.domain.history import Effect
from app.domain.status import Status, is_final
from app.kit.slices import Slices
from app.services.feed.pages import FeedForm

#: All that the database can have: no NUL, and no half characters.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
TIMES = st.one_of(st.just(UNKNOWN_TIME), st.datetimes(timezones=st.just(UTC)))
MONEY = st.decimals(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [Decimal("1E-9"), Decimal("1E+9"), Decimal("-0.00")]
)
_OF_A_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    str | None: st.none() | TEXTS,
    int: st.integers(0, 2**63 - 1),
    bool: st.booleans(),
    datetime: TIMES,
    datetime | None: st.none() | TIMES,
    Decimal | None: st.none() | MONEY,
}


def _rows(kind: type[Any], **columns: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    of_each = kind.__annotations__.items()
    drawn = {name: _OF_A_TYPE[of] for name, of in of_each if name not in columns}
    return st.builds(kind, **drawn | columns)


MESSAGES: st.SearchStrategy[CurrentMessage] = _rows(
    CurrentMessage,
    status=st.sampled_from([status.value for status in Status]),
    status_rank=st.integers(0, 5),
)
POSITIONS = st.builds(Position, st.integers(0, 9), st.integers(0, 2**64 - 1), st.integers(0, 9))
STATUS_ITEMS = st.builds(
    StatusItem,
    POSITIONS,
    _rows(FeedEvent, source=st.sampled_from([source.value for source in Source])),
    st.none() | TEXTS,
    st.sampled_from(Effect),
    st.none() | st.sampled_from(Status),
)
_REPLY_TEXTS = (
    "sender", "recipient", "message", "media", "filename", "campaign_name",
    "reference_tracking_id", "label",
)  # fmt: skip
REPLIES = st.builds(
    InboundMessageRow,
    id=st.integers(1, 2**63 - 1),
    sent_at=st.none() | TIMES,
    received_at=TIMES,
    **{name: st.none() | TEXTS for name in _REPLY_TEXTS},
)
INBOUND_ITEMS = st.builds(InboundItem, POSITIONS, st.builds(Reply, REPLIES, st.none() | TEXTS))

_OPTIONAL: Any = st.none() | TEXTS
_CAMPAIGN: Any = {"campaignName": _OPTIONAL, "label": _OPTIONAL, "submissionReason": _OPTIONAL}
_COUNTS: Any = dict.fromkeys(("total", "finalCount", "overdue"), st.integers(0, 2**53))
NOTICE_DATA: dict[FeedItemType, Any] = {
    FeedItemType.OVERDUE: {"to": _OPTIONAL, "status": st.sampled_from(Status).map(str)},
    FeedItemType.LAUNCHED: _CAMPAIGN,
    FeedItemType.REJECTED: _CAMPAIGN,
    FeedItemType.CANCELLED: _CAMPAIGN,
    FeedItemType.FINISHED: _CAMPAIGN | _COUNTS,
    FeedItemType.ERASED: {
        "erasureId": TEXTS, "recipientKey": TEXTS, "earlierRecipientKeys": st.lists(TEXTS),
    },
}  # fmt: skip


def _notices(kind: FeedItemType) -> st.SearchStrategy[NoticeItem]:
    notice = _rows(
        FeedNotice,
        type=st.just(kind.value),
        campaign_id=st.none() | st.uuids(),
        data=st.fixed_dictionaries(NOTICE_DATA[kind]),
    )
    return st.builds(NoticeItem, POSITIONS, notice, _OPTIONAL)


NOTICE_ITEMS = st.sampled_from(sorted(NOTICE_DATA)).flatmap(_notices)


def _model(row: CurrentMessage) -> MessageOut:
    return MessageOut(
        tracking_id=row.message_tracking_id,
        campaign_tracking_id=row.campaign_tracking_id,
        to=row.recipient,
        from_=row.sender,
        country=row.country,
        label=row.label,
        status=Status(row.status),
        provider_status=row.provider_status or None,
        detailed_status=row.detailed_status,
        description=row.description,
        status_at=known_time(row.status_at),
        final=is_final(row.status_rank),
        overdue=row.is_overdue,
        queued_at=row.queued_at,
        sent_at=row.sent_at,
        delivered_at=row.delivered_at,
        seen_at=row.seen_at,
        failed_at=row.failed_at,
        price=row.price,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


@given(MESSAGES)
def test_a_message(row: CurrentMessage) -> None:
    model = _model(row)
    assert message_json(row).decode() == model.model_dump_json(by_alias=True, exclude_unset=True)
    status = MessageStatus.model_validate(dict(model))
    assert message_status_json(row).decode() == status.model_dump_json(by_alias=True)
    found = explained(row)
    explanation = MessageExplanation(text=found.text, action=found.action)
    whole = model.model_copy(update={"explanation": explanation})
    assert explained_message_json(row).decode() == whole.model_dump_json(by_alias=True)


@given(MESSAGES, TEXTS, st.none() | TEXTS, st.booleans())
def test_a_message_of_a_campaign(
    row: CurrentMessage,
    number: str,
    campaign: str | None,
    is_overdue: bool,  # noqa: FBT001 (hypothesis gives it by position)
) -> None:
    """The model makes the same of it again, with a callback and without."""
    awaited = awaited_message_json(number, campaign_tracking_id=campaign, is_overdue=is_overdue)
    for told in (message_json(row).decode(), awaited.decode()):
        assert CampaignMessage.model_validate_json(told).model_dump_json(by_alias=True) == told
    shown = json.loads(awaited)
    assert (shown["status"], shown["to"], shown["final"]) == ("AWAITING", number, False)
    assert shown["campaignTrackingId"] == campaign
    assert shown["overdue"] is is_overdue
    assert set(shown.values()) == {"AWAITING", number, False, is_overdue, campaign, None}


@given(st.lists(MESSAGES, max_size=3), st.lists(TEXTS, max_size=3))
def test_what_was_looked_up(rows: list[CurrentMessage], not_found: list[str]) -> None:
    model = LookupAnswer(items=list(map(_model, rows)), not_found=not_found)
    assert joined(
        list(map(message_json, rows)), notFound=not_found
    ).decode() == model.model_dump_json(by_alias=True, exclude_unset=True)


@given(st.lists(STATUS_ITEMS | INBOUND_ITEMS | NOTICE_ITEMS, max_size=4), POSITIONS)
def test_a_page_of_the_feed(items: list[Item], end: Position) -> None:
    """The model makes the same of it again, and what was put in is in it."""
    page = FeedPage(items, end, is_last=True)
    told = asyncio.run(feed_json(page, FeedForm(), Slices())).decode()
    assert FeedPageOut.model_validate_json(told).model_dump_json(by_alias=True) == told
    for item, one in zip(items, json.loads(told)["items"], strict=True):
        assert one["campaignTrackingId"] == (
            item.reply.campaign_tracking_id
            if isinstance(item, InboundItem)
            else item.campaign_tracking_id
        )
        _is_told(item, one)


@given(st.lists(STATUS_ITEMS | INBOUND_ITEMS | NOTICE_ITEMS, max_size=4), POSITIONS)
def test_a_page_of_the_feed_as_cloud_events(items: list[Item], end: Position) -> None:
    """Each has the item of the usual form as its data, and says of it what CloudEvents want."""
    page = FeedPage(items, end, is_last=True)
    usual = json.loads(asyncio.run(feed_json(page, FeedForm(), Slices())))["items"]
    form = FeedForm(as_cloud_events=True)
    events = json.loads(asyncio.run(feed_json(page, form, Slices())))
    assert [event["data"] for event in events] == usual
    for event, item in zip(events, usual, strict=True):
        subject = item["trackingId"] or item["campaignTrackingId"]
        assert event == {
            "specversion": "1.0",
            "id": item["id"],
            "source": "/v1/events",
            "type": item["type"],
            "time": item["occurredAt"] or item["receivedAt"],
            "datacontenttype": "application/json",
            "data": item,
            **({"subject": subject} if subject else {}),
        }


@given(st.lists(STATUS_ITEMS | INBOUND_ITEMS | NOTICE_ITEMS, max_size=4), POSITIONS)
def test_events_of_a_stream_have_the_types_of_their_items(items: list[Item], end: Position) -> None:
    page = FeedPage(items, end, is_last=True)
    usual = json.loads(asyncio.run(feed_json(page, FeedForm(), Slices())))["items"]
    stream = asyncio.run(feed_json(page, FeedForm(as_events=True), Slices())).decode()
    lines = stream.split("\n")
    assert [line[7:] for line in lines if line.startswith("event: ")] == [
        item["type"] for item in usual
    ]
    assert [json.loads(line[6:]) for line in lines if line.startswith("data: ")] == usual


@given(STATUS_ITEMS)
def test_cloud_events_may_be_sparse_too(item: StatusItem) -> None:
    page = FeedPage([item], item.position, is_last=True)
    form = FeedForm(frozenset({"id", "type"}), as_cloud_events=True)
    (event,) = json.loads(asyncio.run(feed_json(page, form, Slices())))
    assert event["data"] == {"id": event["id"], "type": "message.status"}


@pytest.mark.parametrize(
    ("accept", "wants"),
    [
        ("application/cloudevents-batch+json", True),
        ("application/json;q=0.5, Application/CloudEvents-Batch+JSON ; charset=utf-8", True),
        ("application/cloudevents-batch+json;q=0.1", True),
        ("application/cloudevents-batch+json; q=0", False),
        ("application/cloudevents-batch+json;q=0.4, application/json;q=0.5", False),
        ("application/json, application/cloudevents-batch+json, text/event-stream", False),
        ("application/cloudevents+json", False),
        ("application/json", False),
        ("*/*", False),
        ("", False),
    ],
)
def test_cloud_events_are_given_to_who_names_them(accept: str, wants: bool) -> None:  # noqa: FBT001
    assert wants_batch(accept) == wants


def _is_told(item: Item, one: dict[str, Any]) -> None:
    data = one["data"]
    if isinstance(item, NoticeItem):
        notice = item.notice
        assert (one["type"], one["id"], one["source"]) == (notice.type, str(notice.id), "service")
        assert one["trackingId"] == notice.message_tracking_id
        ours = {"campaignId": notice.campaign_id and str(notice.campaign_id)}
        assert data == (ours | notice.data if one["type"].startswith("campaign.") else notice.data)
        return
    if isinstance(item, InboundItem):
        row = item.reply.row
        assert (one["type"], one["id"]) == ("message.inbound", str(row.id))
        assert (data["from"], data["to"]) == (row.sender, row.recipient)
        assert [data["message"], data["media"], data["filename"], data["label"]] == [
            row.message, row.media, row.filename, row.label,
        ]  # fmt: skip
        assert data["referenceTrackingId"] == one["trackingId"] == row.reference_tracking_id
        assert data["campaignName"] == row.campaign_name
        return
    event = item.event
    assert (one["type"], one["id"]) == ("message.status", str(event.id))
    assert one["trackingId"] == event.message_tracking_id
    assert one["source"] == Source(event.source).name.lower()
    assert (one["occurredAt"] is None) == (event.occurred_at == UNKNOWN_TIME)
    assert data["providerStatus"] == (event.provider_status or None)
    assert [data["detailedStatus"], data["description"], data["to"]] == [
        event.detailed_status, event.description, event.recipient,
    ]  # fmt: skip
    assert (data["changed"], data["reason"]) == (item.effect is Effect.ADVANCED, item.effect)
    assert data["messageStatus"] == item.message_status
