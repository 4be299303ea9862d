"""
The columns of exports, in the words of the API, and how a stored row fills them.

A cell is what the API's JSON has in its place, before it is made text: None where it has null.
"""

import json
import re
from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from app.db.exports import ExportTable
from app.domain.event import Source
from app.domain.masking import mask_number
from app.domain.status import RANK, Status, is_final, status_of
from app.routee.campaign_fields import passed_on

#: One row of an export, in the order of its table's columns.
Row = Sequence[Any]


class Kind(Enum):
    """What the cells of a column are."""

    TEXT = auto()
    #: Text of which there are few different ones.
    WORD = auto()
    INSTANT = auto()
    MONEY = auto()
    COUNT = auto()
    FLAG = auto()
    #: Any JSON: what Routee says there is Routee's matter.
    OPEN = auto()


class Column(NamedTuple):
    """One column."""

    name: str
    kind: Kind = Kind.TEXT
    #: Whether it has telephone numbers and nothing else.
    is_number: bool = False


class Columns(NamedTuple):
    """The columns of one table."""

    columns: tuple[Column, ...]
    #: How a record, as its statement gives it, becomes a row.
    row_of: Callable[[Row], Row]
    #: The column of whose day, in UTC, a row is.
    day: str

    @property
    def names(self) -> tuple[str, ...]:
        """What stands in the head of a table."""
        return tuple(column.name for column in self.columns)

    @property
    def day_place(self) -> int:
        """Where in a row that column is."""
        return self.names.index(self.day)


def _columns(words: str) -> tuple[Column, ...]:
    """From `name:kind` each; `number` is text."""
    pairs = (word.partition(":") for word in words.split())
    return tuple(
        Column(name, Kind.TEXT, is_number=True)
        if kind == "number"
        else Column(name, Kind[kind.upper() or "TEXT"])
        for name, _, kind in pairs
    )


_SOURCES: Final = {source.value: source.name.lower() for source in Source}


def _message(record: Row) -> Row:
    return (*record[:11], is_final(record[11]), *record[12:])


def _event(record: Row) -> Row:
    number, message, campaign, key, *told, source = record[:10]
    return (
        str(number),
        message,
        campaign,
        status_of(key).value,
        *told,
        _SOURCES[source],
        *record[10:],
    )


def _inbound_message(record: Row) -> Row:
    return (str(record[0]), *record[1:12])


def _campaign(record: Row) -> Row:
    (own_id, tracking_id, submission, reason, billing, name, cost, request, answer) = record[:9]
    warnings, expected, created_at, updated_at, counted = record[9:]
    fields = passed_on(request=request, answer=answer)
    known = json.loads(counted) if counted else {}
    counts = {status.value: known.get(status, 0) for status in Status}
    total = sum(counts.values())
    ours = {
        "id": str(own_id),
        "trackingId": tracking_id,
        "submission": submission,
        "submissionReason": reason,
        "billing": billing,
        "campaignName": name,
        "cost": cost,
        "counts": counts,
        "total": total,
        "finalCount": sum(counts[status] for status in Status if is_final(RANK[status])),
        "awaiting": None if expected is None else max(expected - total, 0),
        "warnings": json.loads(warnings),
        "recordedAt": created_at,
        "updatedAt": updated_at,
    }
    told = fields | ours
    return [told[column.name] for column in COLUMNS[ExportTable.CAMPAIGNS].columns]


COLUMNS: Final[dict[ExportTable, Columns]] = {
    ExportTable.MESSAGES: Columns(
        _columns("""
            trackingId campaignTrackingId:word to:number from:word country:word label:word
            status:word providerStatus:word detailedStatus:word description:word statusAt:instant
            final:flag queuedAt:instant sentAt:instant deliveredAt:instant seenAt:instant
            failedAt:instant price:money createdAt:instant updatedAt:instant
        """),
        _message,
        "updatedAt",
    ),
    ExportTable.EVENTS: Columns(
        _columns("""
            id trackingId campaignTrackingId:word status:word providerStatus:word
            detailedStatus:word description:word occurredAt:instant receivedAt:instant source:word
            to:number from:word country:word label:word price:money createdAt:instant
        """),
        _event,
        "occurredAt",
    ),
    ExportTable.INBOUND_MESSAGES: Columns(
        _columns("""
            id from:number to:word message media filename sentAt:instant receivedAt:instant
            campaignTrackingId:word campaignName:word referenceTrackingId label:word
        """),
        _inbound_message,
        "receivedAt",
    ),
    ExportTable.CAMPAIGNS: Columns(
        _columns("""
            id trackingId submission:word submissionReason billing:word type:open state:open
            createdAt:open senderInfoTrackingId:open senderInfoName:open to:open contacts:open
            groups:open campaignName scheduledDate:open body:open ttl:open cost:money
            totalMessages:open viberAnalysis:open callbackUrl:open inboundUrl:open label:open
            isSessionMessage:open respectQuietHours:open counts:open total:count finalCount:count
            awaiting:count warnings:open recordedAt:instant updatedAt:instant
        """),
        _campaign,
        "recordedAt",
    ),
}

_SPELT_OUT: Final = re.compile(r"\+\d{7,15}")


def with_numbers_masked(columns: Sequence[Column], row: Row) -> Row:
    """*row* with its telephone numbers masked, and what looks like one in any of its texts."""
    return [
        mask_number(cell) if column.is_number and cell is not None else _masked(cell)
        for column, cell in zip(columns, row, strict=True)
    ]


def _masked(value: object) -> object:
    if isinstance(value, str):
        return _SPELT_OUT.sub(lambda found: mask_number(found[0]), value)
    if isinstance(value, list):
        return [_masked(element) for element in value]
    if isinstance(value, dict):
        return {name: _masked(member) for name, member in value.items()}
    return value
