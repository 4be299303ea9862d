"""The conventions of the API's JSON: camelCase, ISO 8601 in UTC, money as decimal strings."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final, Generic, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from app.domain.event import UNKNOWN_TIME

T = TypeVar("T")

_ENCODER: Final = msgspec.json.Encoder()


class Wire(BaseModel):
    """A JSON object in camelCase; `document.descriptions` describes members by their name."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


def iso(instant: datetime) -> str:
    """ISO 8601 with a Z."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def iso_or_none(instant: datetime | None) -> str | None:
    """*instant* as `iso` writes it."""
    return None if instant is None else iso(instant)


def _plain(amount: Decimal) -> str:
    return format(amount, "f")


#: ISO 8601 with up to six digits of fraction and a Z.
Instant = Annotated[
    datetime,
    PlainSerializer(iso, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
#: Exact; in the currency of the Routee account. The document calls it a text and no more: from a
#: format `decimal` generators make binary floats, or code that refuses the text.
Money = Annotated[
    Decimal,
    PlainSerializer(_plain, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string"}),
]


def open_words(words: type[StrEnum]) -> WithJsonSchema:
    """
    Annotates a member of an answer whose words may become more.

    The document calls it a text, with the *words* of today as examples: a program that was made
    from an enumeration refuses a whole page for one new word.
    """
    return WithJsonSchema({"type": "string", "examples": [word.value for word in words]})


def plain_or_none(amount: Decimal | None) -> str | None:
    """*amount* as `Money` writes it."""
    return None if amount is None else _plain(amount)


class Page(Wire, Generic[T]):
    """One page of a list."""

    items: list[T]
    #: For the parameter `cursor`; null on the last page.
    next_cursor: str | None


def joined(items: Sequence[bytes], **members: object) -> bytes:
    """An object with the array `items`, whose elements are JSON already, and then *members*."""
    rest = b"".join(
        b",%b:%b" % (_ENCODER.encode(name), _ENCODER.encode(value))
        for name, value in members.items()
    )
    return b'{"items":[%b]%b}' % (b",".join(items), rest)


def known_time(instant: datetime) -> datetime | None:
    """*instant*, or None for the sentinel of an unusable time."""
    return None if instant == UNKNOWN_TIME else instant
