"""Which messages a person wants to see: the fields of the form, and the position in the list."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.db.dashboard.activity import Walk
from app.db.messages import CampaignKey
from app.domain.feed import Position
from app.domain.status import Status
from app.domain.tracking_id import canonical_id
from app.kit.cursor import encode_cursor
from app.services.dashboard.message import get_message_row
from app.services.dashboard.messages import ListPosition, MessagesWanted, campaign_key
from app.web.given import as_field, instant_in, number_below, position_in, text_in, words_in
from app.web.visit import Visit

_MAX_EPOCH: Final = 2**15 - 1
_MAX_XID: Final = 2**64 - 1
_MAX_ID: Final = 2**63 - 1
_MAX_ID_BYTES: Final = 512
_COUNTRY_CHARACTERS: Final = 2


@dataclass(frozen=True, slots=True)
class Filters:
    """What the form says, and what it means."""

    wanted: MessagesWanted
    #: As they stand in the URL, without the position.
    fields: Mapping[str, str | tuple[str, ...]]
    #: The campaign that is asked for is not known.
    is_unknown_campaign: bool
    #: A message, to whose number messages are asked for.
    number_of: str | None

    @property
    def has_no_number(self) -> bool:
        """Whether the number of that message is not known."""
        return self.number_of is not None and self.wanted.recipient is None

    @property
    def is_any(self) -> bool:
        """Whether anything is filtered."""
        return any(self.fields.values())

    @property
    def scope(self) -> str:
        """Of the cursors of this list."""
        return f"page of messages {self.fields}"


async def filters_of(visit: Visit) -> Filters:
    """
    The filters in the query of *visit*.

    Raises:
        InvalidRequest: a field has what the form does not offer.
        NotFound: there is no message to whose number others could be listed.
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    campaign, number_of = text_in(visit, "campaign"), text_in(visit, "number_of")
    statuses = words_in(visit, "status", Status)
    country = text_in(visit, "country")
    key = None if campaign is None else await campaign_key(visit.parts.reads, campaign)
    wanted = MessagesWanted(
        campaign=key or (None if campaign is None else CampaignKey(canonical_id(campaign))),
        recipient=None if number_of is None else await _recipient(visit, canonical_id(number_of)),
        label=text_in(visit, "label", is_exact=True),
        statuses=statuses,
        detailed_status=text_in(visit, "reason"),
        country=country and (country.upper() if len(country) == _COUNTRY_CHARACTERS else country),
        since=instant_in(visit, "since"),
        before=instant_in(visit, "before"),
    )
    fields: Mapping[str, str | tuple[str, ...]] = {
        "campaign": campaign or "",
        "number_of": number_of or "",
        "status": statuses,
        "reason": wanted.detailed_status or "",
        "label": wanted.label or "",
        "country": wanted.country or "",
        "since": as_field(wanted.since),
        "before": as_field(wanted.before),
    }
    return Filters(
        wanted,
        fields,
        is_unknown_campaign=campaign is not None and key is None,
        number_of=number_of,
    )


def list_position(visit: Visit, filters: Filters) -> ListPosition | None:
    """
    Where the page begins in the list; None for the first page.

    Raises:
        InvalidCursor: it is none of this list.
    """
    of = _id if filters.wanted.has_key else _walk
    return position_in(visit, scope=filters.scope, of=of)


def cursor_at(position: ListPosition | None, filters: Filters) -> str | None:
    """The cursor of the page that begins at *position*; None if there is none."""
    if position is None:
        return None
    if isinstance(position, str):
        return encode_cursor([position], scope=filters.scope)
    return encode_cursor([*position.top, *position.at], scope=filters.scope)


async def _recipient(visit: Visit, tracking_id: str) -> str | None:
    return (await get_message_row(visit.parts.reads, tracking_id)).recipient


def _id(value: object) -> ListPosition:
    if not isinstance(value, str) or "\0" in value or len(value.encode()) > _MAX_ID_BYTES:
        raise ValueError
    return value


def _walk(*values: object) -> ListPosition:
    return Walk(_position(*values[:3]), _position(*values[3:]))


def _position(epoch: object, xid: object, number: object) -> Position:
    return Position(
        number_below(epoch, _MAX_EPOCH), number_below(xid, _MAX_XID), number_below(number, _MAX_ID)
    )
