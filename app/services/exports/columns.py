"""
The columns of exports, named as in the API, and how a stored row fills them.

A cell is the value that the API's JSON has, before it becomes text: None where the JSON has null.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum, auto
from typing import Any, Final, NamedTuple

from app.db.exports import ExportTable
from app.domain.event import Source
from app.domain.finishing import final_count, overdue
from app.domain.masking import mask_number, mask_numbers
from app.domain.status import Status, is_final, status_of
from app.routee.campaign_fields import passed_on

#: One row of an export, in the order of its table's columns.
Row = Sequence[Any]


class CellKind(Enum):
    """The type of a column's cells."""

    TEXT = auto()
    #: Text with few distinct values.
    WORD = auto()
    INSTANT = auto()
    MONEY = auto()
    COUNT = auto()
    FLAG = auto()
    #: Any JSON, as Routee sent it.
    OPEN = auto()


class Column(NamedTuple):
    """One column."""

    name: str
    kind: CellKind = CellKind.TEXT
    #: Whether its cells are telephone numbers.
    is_number: bool = False

    @property
    def is_id(self) -> bool:
        """Whether its cells are ids, which are never masked."""
        return self.name == "id" or self.name.endswith("rackingId")


class Columns(NamedTuple):
    """The columns of one table."""

    columns: tuple[Column, ...]
    #: Turns a record of the table's statement into a row.
    row_of: Callable[[Row], Row]
    #: The column whose day, in UTC, a row belongs to.
    day: str

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in their order."""
        return tuple(column.name for column in self.columns)

    @property
    def day_index(self) -> int:
        """The index of the column `day` in a row."""
        return self.names.index(self.day)


def _columns(words: str) -> tuple[Column, ...]:
    """Columns from words `name:kind`; a `number` is text."""
    pairs = (word.partition(":") for word in words.split())
    return tuple(
        Column(name, CellKind.TEXT, is_number=True)
        if kind == "number"
        else Column(name, CellKind[kind.upper() or "TEXT"])
        for name, _, kind in pairs
    )


_SOURCES: Final = {source.value: source.name.lower() for source in Source}


def _message(record: Row) -> Row:
    return (*record[:11], is_final(record[11]), *record[12:])


def _event(record: Row) -> Row:
    number, message, campaign, key, *reported, source = record[:10]
    return (
        str(number),
        message,
        campaign,
        status_of(key).value,
        *reported,
        _SOURCES[source],
        *record[10:],
    )


def _inbound_message(record: Row) -> Row:
    return (str(record[0]), *record[1:12])


def _campaign(record: Row) -> Row:
    (own_id, tracking_id, submission, reason, billing, name, cost, request, answer) = record[:9]
    warnings, expected, created_at, updated_at, counted = record[9:14]
    finished_at, first_event_at, last_event_at = record[14:17]
    fields = passed_on(request=request, answer=answer)
    ours = {
        "id": str(own_id),
        "trackingId": tracking_id,
        "submission": submission,
        "submissionReason": reason,
        "billing": billing,
        "campaignName": name,
        "cost": cost,
        **count_members(
            json.loads(counted) if counted else {},
            expected,
            submission=submission,
            finished_at=finished_at,
        ),
        "firstEventAt": first_event_at,
        "lastEventAt": last_event_at,
        "progress": _progress(record[17:]),
        "warnings": json.loads(warnings),
        "recordedAt": created_at,
        "updatedAt": updated_at,
    }
    cells = fields | ours
    return [cells[column.name] for column in COLUMNS[ExportTable.CAMPAIGNS].columns]


def _progress(record: Row) -> dict[str, Any] | None:
    status, counts, total_recipients, name, reported_at, received_at = record
    if received_at is None:
        return None
    return {
        "campaignStatus": status,
        "messageStatuses": json.loads(counts),
        "totalRecipients": total_recipients,
        "name": name,
        "occurredAt": None if reported_at is None else _iso(reported_at),
        "receivedAt": _iso(received_at),
    }


def _iso(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def count_members(
    counted: Mapping[str, int],
    expected: int | None,
    *,
    submission: str,
    finished_at: datetime | None,
) -> dict[str, Any]:
    """The members of a campaign that follow from its messages by status, and from its end."""
    is_finished = finished_at is not None
    counts = {status.value: counted.get(status, 0) for status in Status}
    total = sum(counts.values())
    return {
        "counts": counts,
        "total": total,
        "finalCount": final_count(counts),
        "awaiting": None if expected is None else max(expected - total, 0),
        "finished": is_finished,
        "finishedAt": finished_at,
        "overdue": overdue(counts, expected, submission=submission, is_finished=is_finished),
    }


COLUMNS: Final[dict[ExportTable, Columns]] = {
    ExportTable.MESSAGES: Columns(
        _columns("""
            trackingId campaignTrackingId:word to:number from:word country:word label:word
            status:word providerStatus:word detailedStatus:word description:word statusAt:instant
            final:flag overdue:flag queuedAt:instant sentAt:instant deliveredAt:instant
            seenAt:instant failedAt:instant price:money createdAt:instant updatedAt:instant
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
            awaiting:count finished:flag finishedAt:instant overdue:count firstEventAt:instant
            lastEventAt:instant progress:open warnings:open recordedAt:instant updatedAt:instant
        """),
        _campaign,
        "recordedAt",
    ),
}


def with_numbers_masked(columns: Sequence[Column], row: Row) -> Row:
    """*row* with its telephone numbers masked, and what looks like one, but no ids."""
    return [
        cell
        if cell is None or column.is_id
        else mask_number(cell)
        if column.is_number
        else _masked(cell)
        for column, cell in zip(columns, row, strict=True)
    ]


def _masked(value: object) -> object:
    if isinstance(value, str):
        return mask_numbers(value)
    if isinstance(value, list):
        return [_masked_element(element) for element in value]
    if isinstance(value, dict):  # Routee names countries by the recipients' numbers
        return {mask_numbers(name): _masked(member) for name, member in value.items()}
    return value


def _masked_element(element: object) -> object:
    """A whole number in a list is a recipient's; elsewhere it is a count or a time."""
    if isinstance(element, int) and not isinstance(element, bool):
        shown = mask_numbers(str(element))
        return element if shown == str(element) else shown
    return _masked(element)
