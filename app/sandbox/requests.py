"""A campaign request as the simulator reads it (routee-contract, section 2)."""

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import TypeVar

T = TypeVar("T")

#: The price of one message in the account's currency.
PRICE = Decimal("0.035")

#: The number of members of each group; there is no address book.
GROUP_MEMBERS = 3

#: The country of a number whose prefix is not in the table (user-assigned in ISO 3166).
UNKNOWN_COUNTRY = "ZZ"

_COUNTRY_BY_PREFIX = {
    "1": "US", "30": "GR", "31": "NL", "32": "BE", "33": "FR", "34": "ES", "351": "PT",
    "355": "AL", "357": "CY", "359": "BG", "36": "HU", "380": "UA", "381": "RS", "385": "HR",
    "389": "MK", "39": "IT", "40": "RO", "41": "CH", "420": "CZ", "43": "AT", "44": "GB",
    "46": "SE", "48": "PL", "49": "DE", "90": "TR",
}  # fmt: skip
_LONGEST_PREFIX = 3

_PLACEHOLDER = re.compile(r"\[~([^\]]+)\]")


class UnreadableRequestError(ValueError):
    """The request does not have the documented form; the message names the field."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient of a campaign; `groups` are those that contain the recipient."""

    number: str
    groups: tuple[str, ...] = ()

    @property
    def country(self) -> str:
        """The ISO 3166 code of the number's prefix, or `UNKNOWN_COUNTRY`."""
        digits = self.number.lstrip("+")
        prefixes = (digits[:length] for length in range(_LONGEST_PREFIX, 0, -1))
        found = (_COUNTRY_BY_PREFIX.get(prefix) for prefix in prefixes)
        return next((country for country in found if country), UNKNOWN_COUNTRY)


class Part(Enum):
    """The parts that a message can have; together they are its layout."""

    TEXT = "text"
    IMAGE = "imageURL"
    ACTION = "action"
    FILE = "viberFile"
    VIDEO = "viberVideo"


@dataclass(frozen=True, slots=True)
class MessageBody:
    """The body of a message; the media are unchanged."""

    text: str | None
    image_url: str | None
    action: Mapping[str, object] | None
    file: Mapping[str, object] | None
    video: Mapping[str, object] | None
    #: The document as it was received, for the echo in the answer.
    document: Mapping[str, object]

    @property
    def parts(self) -> frozenset[Part]:
        """The parts that are present and not empty."""
        return frozenset(part for part in Part if self.document.get(part.value))


@dataclass(frozen=True, slots=True)
class CampaignRequest:
    """A request to send a campaign, as far as the simulator acts on it."""

    sender_id: str | None
    to: tuple[str, ...]
    contacts: tuple[str, ...]
    groups: tuple[str, ...]
    name: str | None
    body: MessageBody
    ttl_seconds: int | None
    scheduled_at: datetime | None
    callback_url: str | None
    inbound_url: str | None
    label: str | None
    is_session_message: bool
    #: The document as it was received, for the echo in the answer.
    document: Mapping[str, object] = field(repr=False)

    @property
    def cost(self) -> Decimal:
        """The price of all messages in the account's currency."""
        return PRICE * len(self.recipients)

    @property
    def recipients(self) -> tuple[Recipient, ...]:
        """The numbers of `to`, then the contacts, then the members of the groups."""
        return (
            *(Recipient(number) for number in self.to),
            *(Recipient(number_of_contact(contact)) for contact in self.contacts),
            *(
                Recipient(number_of_contact(f"{group}/{member}"), groups=(group,))
                for group in self.groups
                for member in range(GROUP_MEMBERS)
            ),
        )


def number_of_contact(contact_id: str) -> str:
    """A fictitious Greek mobile number, always the same for the same contact."""
    return f"+30690{zlib.crc32(contact_id.encode()) % 10_000_000:07d}"


def read_campaign_request(document: object) -> CampaignRequest:
    """
    The request in *document*, which is parsed JSON.

    Raises:
        UnreadableRequestError: a field has another type than documented, or a required one is
            missing.
    """
    fields = _Fields(document)
    _require_writable(document)
    return CampaignRequest(
        sender_id=fields.text("senderInfoTrackingId"),
        to=fields.texts("to"),
        contacts=fields.texts("contacts"),
        groups=fields.texts("groups"),
        name=fields.text("campaignName"),
        body=_read_body(fields.mapping("body")),
        ttl_seconds=fields.whole("ttl"),
        scheduled_at=fields.instant("scheduledDate"),
        callback_url=fields.text("callbackUrl"),
        inbound_url=fields.text("inboundUrl"),
        label=fields.text("label"),
        is_session_message=fields.flag("isSessionMessage"),
        document=fields.document,
    )


def campaign_name_in(body: bytes) -> str | None:
    """The campaign name in the bytes of a request, or None if there is no readable one."""
    try:
        return _Fields(json.loads(body)).text("campaignName")
    except ValueError:
        return None


def _require_writable(document: object) -> None:
    """Refuse values that Python reads but UTF-8 or JSON cannot have: the answer echoes them."""
    try:
        json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        raise UnreadableRequestError("NaN and lone surrogates are not accepted") from None


def _read_body(document: Mapping[str, object] | None) -> MessageBody:
    if document is None:
        raise UnreadableRequestError("body is required")
    fields = _Fields(document)
    return MessageBody(
        text=_filled(fields.text("text"), fields.mapping("fallbackValues") or {}),
        image_url=fields.text("imageURL"),
        action=fields.mapping("action"),
        file=fields.mapping("viberFile"),
        video=fields.mapping("viberVideo"),
        document=document,
    )


def _filled(text: str | None, values: Mapping[str, object]) -> str | None:
    """*text* with each placeholder replaced by its fallback value, if it has one."""
    if text is None:
        return None
    return _PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), text)


class _Fields:
    """Typed access to a JSON object; null counts as missing."""

    def __init__(self, document: object) -> None:
        if not isinstance(document, dict):
            raise UnreadableRequestError("a JSON object is needed")
        self.document: Mapping[str, object] = document

    def text(self, name: str) -> str | None:
        return self._typed(name, str, "a string")

    def texts(self, name: str) -> tuple[str, ...]:
        values = self._typed(name, list, "an array of strings") or []
        if not all(isinstance(value, str) for value in values):
            raise UnreadableRequestError(f"{name} must be an array of strings")
        return tuple(values)

    def mapping(self, name: str) -> Mapping[str, object] | None:
        return self._typed(name, dict, "an object")

    def whole(self, name: str) -> int | None:
        return self._typed(name, int, "a whole number")

    def flag(self, name: str) -> bool:
        return self._typed(name, bool, "true or false") or False

    def instant(self, name: str) -> datetime | None:
        written = self.text(name)
        if written is None:
            return None
        try:
            instant = datetime.fromisoformat(written)
            if instant.tzinfo is not None:
                return instant.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        raise UnreadableRequestError(f"{name} must be ISO 8601 with a zone")

    def _typed(self, name: str, kind: type[T], description: str) -> T | None:
        value = self.document.get(name)
        # Not isinstance: true and false are no whole numbers.
        if value is None or type(value) is kind:
            return value
        raise UnreadableRequestError(f"{name} must be {description}")
