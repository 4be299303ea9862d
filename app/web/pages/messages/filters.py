"""Which messages a person wants to see: the fields of the form, and the position in the list."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.db.dashboard.activity import Walk
from app.db.messages import CampaignKey
from app.domain.feed import Position
from app.domain.status import Status
from app.domain.tracking_id import canonical_id
from app.errors import InvalidCursor
from app.kit.cursor import encode_cursor
from app.services.dashboard.message import get_message_row
from app.services.dashboard.messages import ListPosition, MessagesWanted, campaign_key
from app.web.fields import NO_SUCH_PAGE, as_field, instant_in, position_in, value_in, words_in
from app.web.visit import Visit

#: As they stand in the URL.
_FIELDS: Final = (
    "campaign", "number_of", "status", "reason", "label", "country", "since", "before",
)  # fmt: skip
#: What the columns can hold.
_LAST: Final = Position(2**15 - 1, 2**64 - 1, 2**63 - 1)
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
        """Of the cursors of this list; without the number, which could be guessed by a cursor."""
        return f"page of messages {self.wanted._replace(recipient=self.number_of)}"


async def filters_of(visit: Visit) -> Filters:
    """
    The filters in the query of *visit*.

    Raises:
        InvalidRequest: a field has what the form does not offer.
        NotFound: there is no message to whose number others could be listed.
        DatabaseUnavailable: the database failed, or cannot be reached.
    """
    given = {name: visit.query.get(name, "") for name in _FIELDS}
    campaign = value_in(given["campaign"], "id of a campaign")
    number_of = value_in(given["number_of"], "id of a message")
    country = value_in(given["country"].strip(), "country")
    key = None if campaign is None else await campaign_key(visit.parts.reads, campaign)
    wanted = MessagesWanted(
        campaign=key or (None if campaign is None else CampaignKey(canonical_id(campaign))),
        recipient=None if number_of is None else await _recipient(visit, canonical_id(number_of)),
        label=value_in(given["label"], "label"),
        statuses=words_in(Status, visit.request.query_params.getlist("status"), "status"),
        detailed_status=value_in(given["reason"].strip(), "reason"),
        country=country and (country.upper() if len(country) == _COUNTRY_CHARACTERS else country),
        since=instant_in(given["since"]),
        before=instant_in(given["before"]),
    )
    fields: dict[str, str | tuple[str, ...]] = {
        **given,
        "status": wanted.statuses,
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
    match position_in(visit.query.get("cursor", ""), scope=filters.scope):
        case None:
            return None
        case [str(after)] if filters.wanted.has_key and _can_be_id(after):
            return after
        case [int(a), int(b), int(c), int(d), int(e), int(f)] if not filters.wanted.has_key:
            walk = Walk(Position(a, b, c), Position(d, e, f))
            if all(map(_can_be_position, walk)):
                return walk
    raise InvalidCursor(NO_SUCH_PAGE)


def cursor_at(position: ListPosition | None, filters: Filters) -> str | None:
    """The cursor of the page that begins at *position*; None if there is none."""
    if position is None:
        return None
    if isinstance(position, str):
        return encode_cursor([position], scope=filters.scope)
    return encode_cursor([*position.top, *position.at], scope=filters.scope)


async def _recipient(visit: Visit, tracking_id: str) -> str | None:
    return (await get_message_row(visit.parts.reads, tracking_id)).recipient


def _can_be_id(text: str) -> bool:
    return "\0" not in text and len(text.encode()) <= _MAX_ID_BYTES


def _can_be_position(position: Position) -> bool:
    return all(0 <= number <= most for number, most in zip(position, _LAST, strict=True))
